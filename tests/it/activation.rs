//! A service manager: it passes sockets, and is told how it goes.

use std::fs;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::thread;
use std::time::Duration;

use why502::demo::origin::PrivateDirectory;

use super::support::Needs;
use super::support::PATIENCE;
use super::support::can;
use super::support::client::Client;
use super::support::client::get;
use super::support::crowd::Crowd;
use super::support::crowd::Place;
use super::support::crowd::echo;
use super::support::eventually;
use super::support::origin::Origin;
use super::support::proxy::Program;
use super::support::proxy::Proxy;
use super::support::proxy::in_front_of;

const ACTIVATE: Needs = Needs::Program("systemd-socket-activate");

/// systemd's own helper, which listens there and starts the program when somebody comes.
fn activated(addresses: &[&str], directory: PrivateDirectory, configuration: &str, knock: SocketAddr) -> Proxy {
    let mut wrapper = vec!["systemd-socket-activate"];
    for address in addresses {
        wrapper.extend(["-l", address]);
    }
    // It waits for the first client.
    let knocking = thread::spawn(move || eventually("the socket", || TcpStream::connect(knock).ok()));
    let proxy = Proxy::run_under(&wrapper, directory, configuration);
    knocking.join().unwrap();
    proxy
}

fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[test]
fn sockets_that_systemd_passes_are_listened_on_by_all_cores() {
    if !can("sockets of systemd", ACTIVATE) {
        return;
    }
    let (origin, port) = (Origin::listen(), free_port());
    let directory = PrivateDirectory::new().unwrap();
    let socket = directory.file("front.sock");
    let unix = socket.display().to_string();
    let configuration = in_front_of(&[&origin.url], "", "[runtime]\nworkers = 2")
        .replace("127.0.0.1:0", &port.to_string())
        + &format!("\n[[listener]]\naddress = \"unix:{unix}\"\n[[listener]]\naddress = \"127.0.0.1:0\"\n");
    let mut proxy = activated(&[&port.to_string(), &unix], directory, &configuration, port);
    echo(origin);
    for place in [Place::Tcp(port), Place::Unix(socket.clone())] {
        let crowd = Crowd::at(&place, 4);
        crowd.go_on(100);
        // Another process takes them over like its own.
        proxy.take_over();
        crowd.go_on(100);
        assert_eq!(crowd.stop(), [""; 0]);
    }
    proxy.signal("TERM");
    proxy.line("stopped");
    assert!(socket.exists(), "it is systemd's");
}

#[test]
fn a_socket_that_nobody_wants_is_an_error_with_its_cure() {
    if !can("a socket of systemd that nobody wants", ACTIVATE) {
        return;
    }
    let port = free_port();
    let directory = PrivateDirectory::new().unwrap();
    let file = directory.file("why502.toml");
    fs::write(&file, in_front_of(&["http://127.0.0.1:1"], "", "")).unwrap();
    let wrapper = ["systemd-socket-activate", "--fdname", "why502.socket", "-l", &port.to_string()];
    let program = Program::start(&wrapper, &["run", "--config", &file.to_string_lossy()], directory.path());
    eventually("the socket", || TcpStream::connect(port).ok());
    let ended = program.ended();
    assert_eq!(ended.status, Some(2), "{ended:?}");
    let says = format!("no [[listener]] is for the socket {port} that systemd passes (why502.socket)");
    assert!(ended.err.contains(&says) && ended.err.contains("ListenStream="), "{}", ended.err);
}

/// What the service manager hears next.
fn heard(manager: &UnixDatagram) -> String {
    let mut words = [0; 1024];
    let length = manager.recv(&mut words).expect("it is told");
    String::from_utf8(words[..length].to_vec()).unwrap()
}

#[test]
fn a_service_manager_is_told_when_it_serves_reloads_is_succeeded_and_ends() {
    let directory = PrivateDirectory::new().unwrap();
    let ear = directory.file("notify.sock");
    let manager = UnixDatagram::bind(&ear).unwrap();
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    let socket = format!("NOTIFY_SOCKET={}", ear.display());
    let configuration = in_front_of(&["http://127.0.0.1:1"], "", "");
    let mut proxy = Proxy::run_under(&["env", &socket], directory, &configuration);
    assert!(heard(&manager).starts_with("READY=1"));

    for (file, event) in [(configuration.clone(), "reloaded"), ("wrong".to_owned(), "reload_refused")] {
        fs::write(proxy.directory().join("why502.toml"), file).unwrap();
        proxy.signal("HUP");
        proxy.line(event);
        let reloading = heard(&manager);
        let moment =
            reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").and_then(|moment| moment.parse::<u128>().ok());
        let up = Duration::from_secs_f64(uptime());
        let moment = Duration::from_micros(moment.expect("it says when").try_into().unwrap());
        assert!(moment <= up + Duration::from_secs(1) && moment + Duration::from_secs(30) > up, "{moment:?} {up:?}");
        assert!(heard(&manager).starts_with("READY=1"));
    }

    fs::write(proxy.directory().join("why502.toml"), configuration).unwrap();
    proxy.take_over();
    let next = [heard(&manager), heard(&manager)];
    assert!(next.contains(&format!("MAINPID={}", proxy.id())), "{next:?}");
    assert!(next.iter().any(|words| words.starts_with("READY=1")), "{next:?}");
    proxy.signal("TERM");
    assert!(heard(&manager).starts_with("STOPPING=1"), "the one that was succeeded says nothing of the sort");
}

/// In seconds.
fn uptime() -> f64 {
    let text = fs::read_to_string("/proc/uptime").unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}

#[test]
fn too_few_descriptors_are_said_and_no_panic() {
    let directory = PrivateDirectory::new().unwrap();
    let arguments = ["run", "--to", "http://127.0.0.1:1", "--listen", "127.0.0.1:0"];
    for limit in [5, 6, 7, 8, 9, 10, 11, 12, 14, 16] {
        let limited = format!("ulimit -n {limit} && exec \"$0\" \"$@\"");
        let program = Program::start(&["sh", "-c", &limited], &arguments, directory.path());
        // With enough of them it serves, and is ended here.
        if program.line().is_some() {
            program.signal("TERM");
            assert!(program.complaint().is_none());
            break;
        }
        let ended = program.ended();
        let said = ["descriptors", "Too many open files"].iter().any(|words| ended.err.contains(words));
        assert!(said && !ended.err.contains("panicked"), "{limit}: {}", ended.err);
        assert_eq!(ended.status, Some(2), "{limit}: {}", ended.err);
    }
}

#[test]
fn the_example_units_are_as_systemd_wants_them() {
    if !can("the example units", Needs::Program("systemd-analyze")) {
        return;
    }
    let directory = PrivateDirectory::new().unwrap();
    for unit in ["why502.service", "why502.socket"] {
        let text = fs::read_to_string(Path::new("config").join(unit)).unwrap();
        // What the unit starts is not installed here.
        fs::write(directory.file(unit), text.replace("/usr/local/bin/why502", env!("CARGO_BIN_EXE_why502"))).unwrap();
    }
    let mut verify = std::process::Command::new("systemd-analyze");
    let said = verify.arg("verify").args(["why502.service", "why502.socket"].map(|unit| directory.file(unit))).output();
    let said = said.unwrap();
    let says = String::from_utf8_lossy(&said.stderr);
    let about_us: Vec<&str> = says.lines().filter(|line| line.contains("why502")).collect();
    assert_eq!(about_us, [""; 0]);
}

#[test]
fn a_client_that_waits_at_a_unix_socket_is_served_when_the_program_ends() {
    for _ in 0..3 {
        let origin = Origin::listen();
        let directory = PrivateDirectory::new().unwrap();
        let socket = directory.file("front.sock");
        let configuration = in_front_of(&[&origin.url], "", "[runtime]\nworkers = 2")
            .replace("127.0.0.1:0", &format!("unix:{}", socket.display()));
        let proxy = Proxy::run_in(directory, &configuration);
        origin.greet("hello");
        let crowd: Vec<_> = (0..8)
            .map(|_| {
                let socket = socket.clone();
                thread::spawn(move || ask_until_it_is_gone(&socket))
            })
            .collect();
        let mut proxy = proxy;
        (0..200).for_each(|_| drop(proxy.line("request")));
        proxy.signal("TERM");
        let asked: Vec<_> = crowd.into_iter().map(|client| client.join().unwrap()).collect();
        let (answered, lost) = asked.iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        assert!(answered >= 200);
        assert_eq!(lost, 0, "of {answered} and these");
        assert_eq!(proxy.ended().0.status, Some(0));
    }
}

/// How many were answered, and how many were not although there was a connection.
fn ask_until_it_is_gone(socket: &Path) -> (usize, usize) {
    let (mut answered, mut lost) = (0, 0);
    while let Ok(wire) = super::support::wire::Wire::to_socket(socket) {
        let mut client = Client { wire };
        let sent = client.wire.try_send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let came = sent.is_ok() && client.wire.has_head() && client.answer().text() == "hello";
        if came { answered += 1 } else { lost += 1 }
    }
    (answered, lost)
}

#[test]
fn a_listener_of_its_own_stands_beside_those_of_systemd() {
    if !can("a listener beside those of systemd", ACTIVATE) {
        return;
    }
    let (origin, port, own) = (Origin::listen(), free_port(), free_port());
    let configuration = in_front_of(&[&origin.url], "", "").replace("127.0.0.1:0", &port.to_string())
        + &format!("\n[[listener]]\naddress = \"{own}\"\n");
    let _proxy = activated(&[&port.to_string()], PrivateDirectory::new().unwrap(), &configuration, port);
    origin.greet("hello");
    for address in [port, own] {
        assert_eq!(get(address, "/", "").text(), "hello");
    }
}
