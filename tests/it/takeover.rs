//! SIGUSR2: another process takes over, and no client notices.

use std::fs;
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::Path;

use why502::demo::origin::PrivateDirectory;

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

#[test]
fn a_request_in_flight_ends_in_the_old_process_and_the_next_goes_to_the_new() {
    let origin = Origin::listen();
    let mut proxy = Proxy::run(&in_front_of(&[&origin.url], "", ""));
    let (address, old) = (proxy.address(), proxy.id());
    let mut client = Client::connect(address);
    client.send("GET /old HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut conversation = origin.accept();
    conversation.request();
    let mut idle = Client::connect(address);

    proxy.signal("USR2");
    let started = proxy.line("started");
    assert_eq!(
        started["listeners"],
        serde_json::json!([address.to_string()]),
        "on the same port, which was chosen once"
    );
    let mut next = Client::connect(address);
    next.send("GET /new HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut second = origin.accept();
    second.request();
    second.answer("the new one");
    assert_eq!(next.answer().text(), "the new one");

    assert!(idle.is_closed(), "the old one lets those go who want nothing");
    conversation.answer("the old one");
    let answer = client.answer();
    assert_eq!((answer.text(), answer.field("connection")), ("the old one", Some("close")));
    assert!(client.is_closed());
    drop(next);
    let stopped = proxy.heir();
    assert!(stopped["reason"].as_str().unwrap().ends_with("has taken over"), "{stopped}");
    assert_ne!(proxy.id(), old);
    eventually("the end of the old one", || (!is_running(old)).then_some(()));
    proxy.signal("TERM");
    assert_eq!(proxy.line("stopped")["reason"], "SIGTERM");
    eventually("the end of the listener", || std::net::TcpStream::connect(address).is_err().then_some(()));
}

/// Whether it still does anything: it may be waited for yet.
fn is_running(process: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    !status.is_empty() && !status.contains(") Z ")
}

#[test]
fn no_client_loses_a_request_however_often_another_process_takes_over() {
    for (workers, unix) in [(2, false), (2, true), (1, false)] {
        let origin = Origin::listen();
        let directory = PrivateDirectory::new().unwrap();
        let socket = directory.file("front.sock");
        let mut configuration = in_front_of(&[&origin.url], "", &format!("[runtime]\nworkers = {workers}"));
        if unix {
            configuration = configuration.replace("127.0.0.1:0", &format!("unix:{}", socket.display()));
        }
        let mut proxy = Proxy::run_in(directory, &configuration);
        echo(origin);
        let place = if unix { Place::Unix(socket.clone()) } else { Place::Tcp(proxy.address()) };
        let crowd = Crowd::at(&place, 6);
        let mut processes = vec![proxy.id()];
        for _ in 0..4 {
            crowd.go_on(50);
            proxy.take_over();
            processes.push(proxy.id());
        }
        crowd.go_on(50);
        let answered = crowd.answered();
        let wrong = crowd.stop();
        assert_eq!(wrong, [""; 0], "of {answered} over {workers} workers, unix: {unix}");
        processes.dedup();
        assert_eq!(processes.len(), 5);
        if unix {
            assert!(socket.exists());
            proxy.signal("TERM");
            proxy.line("stopped");
            eventually("the end of the socket", || (!socket.exists()).then_some(()));
        }
    }
}

#[test]
fn the_new_process_goes_by_the_file_as_it_is_now() {
    let (origin, other) = (Origin::listen(), Origin::listen());
    let directory = PrivateDirectory::new().unwrap();
    let (gone, stays) = (directory.file("gone.sock"), directory.file("stays.sock"));
    let listener = |path: &Path| format!("\n[[listener]]\naddress = \"unix:{}\"\n", path.display());
    let before = in_front_of(&[&origin.url], "", "[runtime]\nworkers = 2");
    let after = in_front_of(&[&other.url], "", "[runtime]\nworkers = 3");
    let mut proxy = Proxy::run_in(directory, &(before + &listener(&gone) + &listener(&stays)));
    let address = proxy.address();
    let mut inside = Client::connect_to_socket(&gone);
    inside.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut conversation = origin.accept();
    conversation.request();
    fs::write(proxy.directory().join("why502.toml"), after + &listener(&stays)).unwrap();

    proxy.signal("USR2");
    let started = proxy.line("started");
    assert_eq!((started["workers"].as_u64(), started["listeners"].as_array().unwrap().len()), (Some(3), 2));
    eventually("the end of the socket", || (!gone.exists()).then_some(()));
    conversation.answer("still");
    assert_eq!(inside.answer().text(), "still");
    proxy.heir();
    other.greet("by the new file");
    for _ in 0..6 {
        assert_eq!(get(address, "/", "").text(), "by the new file");
    }
    let mut client = Client::connect_to_socket(&stays);
    client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_eq!(client.answer().text(), "by the new file");
    assert!(UnixStream::connect(&gone).is_err());
}

#[test]
fn a_reload_that_is_asked_for_while_another_process_takes_over_is_done_by_that_one() {
    let (origin, other) = (Origin::listen(), Origin::listen());
    let mut proxy = Proxy::run(&in_front_of(&[&origin.url], "", ""));
    let changed = in_front_of(&[&other.url], "", "");
    other.greet("by the new file");
    let address = proxy.address();
    // Somebody is inside, so that the old one does not end at once.
    let mut client = Client::connect(address);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut conversation = origin.accept();
    conversation.request();
    proxy.signal("USR2");
    // The new one has read its file. Whether the old one has heard of it yet or not, it is who gets the signal.
    proxy.line("started");
    fs::write(proxy.directory().join("why502.toml"), changed).unwrap();
    proxy.signal("HUP");
    assert_eq!(proxy.line("reloaded")["changed"], serde_json::json!(["upstream \"app\": changed"]));
    conversation.answer("by the old file");
    assert_eq!(client.answer().text(), "by the old file");
    proxy.heir();
    assert_eq!(get(address, "/", "").text(), "by the new file");
}

#[test]
fn the_new_process_may_listen_on_more_addresses_of_the_same_port() {
    let origin = Origin::listen();
    let configuration = in_front_of(&[&origin.url], "", "");
    let mut proxy = Proxy::run(&configuration);
    origin.greet("hello");
    let port = proxy.address().port();
    for address in [format!("127.0.0.1:{port}"), format!("0.0.0.0:{port}"), format!("127.0.0.1:{port}")] {
        let configuration = configuration.replace("127.0.0.1:0", &address);
        fs::write(proxy.directory().join("why502.toml"), configuration).unwrap();
        proxy.signal("USR2");
        assert_eq!(proxy.line("started")["listeners"], serde_json::json!([address]));
        proxy.heir();
        assert_eq!(get(([127, 0, 0, 1], port).into(), "/", "").text(), "hello");
    }
}

#[test]
fn where_the_new_process_does_not_start_the_old_one_serves_on_and_says_why() {
    let origin = Origin::listen();
    let directory = PrivateDirectory::new().unwrap();
    let socket = directory.file("front.sock");
    let right =
        in_front_of(&[&origin.url], "", "") + &format!("\n[[listener]]\naddress = \"unix:{}\"\n", socket.display());
    let mut proxy = Proxy::run_in(directory, &right);
    let address = proxy.address();
    origin.greet("as before");
    let busy = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let held = TcpListener::bind(busy).unwrap();
    let file = proxy.directory().join("why502.toml");
    let rows = [
        (format!("{right}\nconect = 1\n"), "unknown key `conect`"),
        (format!("{right}\n[[listener]]\naddress = \"{busy}\"\n"), "another program listens there already"),
    ];
    for (wrong, why) in rows {
        fs::write(&file, wrong).unwrap();
        proxy.signal("USR2");
        let notice = proxy.line("notice");
        let message = notice["message"].as_str().unwrap();
        assert!(message.contains("this one serves on: ") && message.contains(why), "{message}");
        assert_eq!(get(address, "/", "").text(), "as before");
        let mut client = Client::connect_to_socket(&socket);
        client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        assert_eq!(client.answer().text(), "as before");
    }
    drop(held);
    fs::write(&file, right).unwrap();
    proxy.take_over();
    assert_eq!(get(address, "/", "").text(), "as before");
}

#[test]
fn a_file_says_which_process_serves() {
    let directory = PrivateDirectory::new().unwrap();
    let file = directory.file("why502.pid");
    let path = file.display().to_string();
    let arguments = ["run", "--to", "http://127.0.0.1:1", "--listen", "127.0.0.1:0", "--pid-file", &path];
    let program = Program::start(&[], &arguments, directory.path());
    let in_file = || fs::read_to_string(&file).unwrap_or_default().trim().to_owned();
    let first = eventually("the first", || Some(in_file()).filter(|id| !id.is_empty()));
    program.signal("USR2");
    let second = eventually("the second", || Some(in_file()).filter(|id| !id.is_empty() && *id != first));
    eventually("the end of the first", || (!is_running(first.parse().unwrap())).then_some(()));
    assert_eq!(in_file(), second, "the first leaves the second's file alone");
    let killed = std::process::Command::new("sh").args(["-c", "kill \"$0\"", &second]).status().unwrap();
    assert!(killed.success());
    eventually("the end of the file", || (!file.exists()).then_some(()));
    drop(program);
}

#[test]
fn the_demo_is_not_taken_over() {
    let directory = PrivateDirectory::new().unwrap();
    let program = Program::start(&[], &["demo", "--listen", "127.0.0.1:0"], directory.path());
    let mut lines = std::iter::from_fn(|| program.line());
    assert!(lines.any(|line| line.contains("http://127.0.0.1")));
    program.signal("USR2");
    assert!(lines.any(|line| line.contains("can be taken over")));
    program.signal("TERM");
    assert_eq!(program.ended().status, Some(0));
}
