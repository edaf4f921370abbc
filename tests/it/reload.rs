//! SIGHUP: everything in the file can change, nobody who is inside notices, and what is wrong changes nothing.

use std::collections::HashMap;
use std::fs;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;

use serde_json::Value;

use why502::demo::origin::PrivateDirectory;

use super::support::certs::identity;
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
use super::support::proxy::why502;
use super::support::wire::Wire;

/// Writes another configuration and has it read; the line that comes of it.
fn reload(proxy: &mut Proxy, configuration: &str) -> Value {
    fs::write(proxy.directory().join("why502.toml"), configuration).unwrap();
    proxy.signal("HUP");
    loop {
        let line = proxy.next_line("reloaded");
        if line["event"] == "reloaded" || line["event"] == "reload_refused" {
            return line;
        }
    }
}

fn changed(line: &Value) -> Vec<&str> {
    assert_eq!(line["event"], "reloaded", "{line:#}");
    line["changed"].as_array().unwrap().iter().map(|changed| changed.as_str().unwrap()).collect()
}

#[test]
fn requests_go_by_the_new_file_and_one_in_flight_ends_by_the_old() {
    let (old, new) = (Origin::listen(), Origin::listen());
    let before = in_front_of(&[&old.url], "", "");
    let mut proxy = Proxy::run(&before);
    let mut client = Client::connect(proxy.address());
    client.send("GET /first HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut conversation = old.accept();
    assert_eq!(conversation.request().line, "GET /first HTTP/1.1");

    let line = reload(&mut proxy, &in_front_of(&[&new.url], "", ""));
    assert_eq!(changed(&line), ["upstream \"app\": changed"]);
    conversation.answer("by the old one");
    assert_eq!(client.answer().text(), "by the old one");
    // The same connection of the client, which notices nothing.
    client.send("GET /second HTTP/1.1\r\nHost: a\r\n\r\n");
    new.greet("by the new one");
    assert_eq!(client.answer().text(), "by the new one");
    assert!(conversation.is_closed(), "nobody keeps a connection to a server that is gone");
    assert_eq!(proxy.stop().0.status, Some(0));
}

#[test]
fn what_is_equal_keeps_its_connections() {
    let (kept, other) = (Origin::listen(), Origin::listen());
    let configuration = |limit: &str, other: &str| {
        format!(
            "{}\n[[upstream]]\nname = \"other\"\nservers = [{other:?}]\n[[route]]\npath = \"/other\"\nupstream = \"other\"\n",
            in_front_of(&[&kept.url], "", &format!("[runtime]\nworkers = 1\n[limits]\nbody_timeout = \"{limit}\""))
        )
    };
    let mut proxy = Proxy::run(&configuration("60s", "http://127.0.0.1:1"));
    let mut client = Client::connect(proxy.address());
    let mut ask = |path: &str| client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
    ask("/1");
    let mut conversation = kept.accept();
    conversation.request();
    conversation.answer("one");
    proxy.line("request");

    let line = reload(&mut proxy, &configuration("50s", &other.url));
    assert_eq!(changed(&line), ["upstream \"other\": changed", "[limits]"]);
    ask("/2");
    assert_eq!(conversation.request().line, "GET /2 HTTP/1.1", "on the same connection as before");
    conversation.answer("two");
    proxy.line("request");
    assert!(kept.is_left_alone());
}

#[test]
fn a_wrong_file_changes_nothing_and_is_told_as_check_tells_it() {
    let origin = Origin::listen();
    let right = in_front_of(&[&origin.url], "", "");
    let mut proxy = Proxy::run(&right);
    origin.greet("as before");
    let wrong = format!("{right}\nconect = 1\n[limits]\nbody_timeout = 3\n");
    let line = reload(&mut proxy, &wrong);
    assert_eq!((&line["event"], &line["level"]), (&"reload_refused".into(), &"warn".into()));
    let problems: Vec<_> = line["problems"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
    let file = proxy.directory().join("why502.toml").display().to_string();
    let checked = why502(&["check", "--config", &file], proxy.directory());
    assert_eq!((problems.len(), checked.status), (2, Some(2)));
    assert_eq!(format!("{}\n2 problems\n", problems.join("\n")), checked.err);
    assert_eq!(line["configuration"], file);

    // What is right as a file and cannot be followed here.
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let socket = proxy.directory().join("front.sock");
    let listener = |address: &str| format!("[[listener]]\naddress = \"{address}\"\n");
    let listeners =
        listener(&format!("unix:{}", socket.display())) + &listener(&busy.local_addr().unwrap().to_string());
    let line = reload(&mut proxy, &(in_front_of(&["http://127.0.0.1:1"], "", "") + &listeners));
    assert_eq!(line["event"], "reload_refused");
    assert!(line["problems"][0].as_str().unwrap().contains("another program listens there already"), "{line:#}");
    assert!(!socket.exists(), "what was listened on before that was met is left no trace of");
    assert_eq!(get(proxy.address(), "/", "").text(), "as before");

    assert_eq!(changed(&reload(&mut proxy, &right)), [""; 0]);
    assert_eq!(get(proxy.address(), "/", "").text(), "as before");
}

#[test]
fn listeners_come_and_go_and_those_who_are_inside_are_served() {
    let origin = Origin::listen();
    let directory = PrivateDirectory::new().unwrap();
    let socket = directory.file("extra.sock");
    let before = in_front_of(&[&origin.url], "", "");
    let extra = free_port();
    let more = format!(
        "{before}\n[[listener]]\naddress = \"{extra}\"\n[[listener]]\naddress = \"unix:{}\"\n",
        socket.display()
    );
    let mut proxy = Proxy::run_in(directory, &before);

    let line = reload(&mut proxy, &more);
    let unix = format!("listener unix:{}", socket.display());
    assert_eq!(changed(&line), [format!("listener {extra}: new"), format!("{unix}: new")]);
    let mut tcp = Client::connect(extra);
    let mut local = Client::connect_to_socket(&socket);
    let mut conversations = Vec::new();
    for client in [&mut tcp, &mut local] {
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let mut conversation = origin.accept();
        conversation.request();
        conversations.push(conversation);
    }
    let mut stays = Client::connect(proxy.address());
    let mut idle = Client::connect(extra);

    let line = reload(&mut proxy, &before);
    assert_eq!(changed(&line), [format!("listener {extra}: removed"), format!("{unix}: removed")]);
    eventually("the end of the listeners", || {
        (TcpStream::connect(extra).is_err() && UnixStream::connect(&socket).is_err()).then_some(())
    });
    assert!(!socket.exists() && idle.is_closed());
    for (client, conversation) in [&mut tcp, &mut local].into_iter().zip(&mut conversations) {
        conversation.answer("finished");
        let answer = client.answer();
        assert_eq!((answer.text(), answer.field("connection")), ("finished", Some("close")));
        assert!(client.is_closed());
    }
    drop(conversations);
    origin.greet("hello");
    stays.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let answer = stays.answer();
    assert_eq!(
        (answer.text(), answer.field("connection")),
        ("hello", None),
        "the other listener is none of its business"
    );
    // And again, on the same addresses.
    assert_eq!(changed(&reload(&mut proxy, &more)).len(), 2);
    assert_eq!(get(extra, "/", "").text(), "hello");
}

#[test]
fn a_listener_may_grow_to_every_address_and_shrink_again() {
    let origin = Origin::listen();
    let address = free_port();
    let narrow = in_front_of(&[&origin.url], "", "").replace("127.0.0.1:0", &address.to_string());
    let wide = narrow.replace(&address.to_string(), &format!("0.0.0.0:{}", address.port()));
    let mut proxy = Proxy::run(&narrow);
    origin.greet("hello");
    for configuration in [&wide, &narrow, &wide] {
        assert_eq!(changed(&reload(&mut proxy, configuration)).len(), 2);
        eventually("an answer", || {
            let mut wire = Wire::to(address).ok()?;
            wire.try_send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").ok()?;
            let mut answer = Vec::new();
            wire.until_closed(&mut answer)?;
            answer.ends_with(b"hello").then_some(())
        });
    }
}

#[test]
fn those_who_stay_at_a_listener_that_is_gone_are_cut_when_the_time_is_up() {
    let origin = Origin::listen();
    let extra = free_port();
    let before = format!("shutdown_timeout = \"300ms\"\n{}", in_front_of(&[&origin.url], "", ""));
    let mut proxy = Proxy::run(&format!("{before}\n[[listener]]\naddress = \"{extra}\"\n"));
    let mut client = Client::connect(extra);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut conversation = origin.accept();
    conversation.request();
    reload(&mut proxy, &before);
    assert!(client.is_closed() && conversation.is_closed());
    origin.greet("hello");
    assert_eq!(get(proxy.address(), "/", "").text(), "hello");
}

#[test]
fn operators_their_token_the_runbook_the_page_and_limits_change() {
    let directory = PrivateDirectory::new().unwrap();
    fs::write(directory.file("token"), "0123456789abcdef-first").unwrap();
    fs::write(directory.file("runbook.toml"), runbook("Ask Anna.")).unwrap();
    let tables = "[operators]\ntoken_file = \"token\"\n[diagnosis]\nprobes = false\nchecklists = \"runbook.toml\"\n";
    let configuration = in_front_of(&["http://127.0.0.1:1"], "", tables);
    let mut proxy = Proxy::run_in(directory, &configuration);
    let as_operator = |proxy: &Proxy, token: &str| {
        get(proxy.address(), "/", &format!("Accept: application/json\r\nX-Why502-Token: {token}\r\n"))
    };
    assert!(as_operator(&proxy, "0123456789abcdef-first").text().contains("Ask Anna."));

    // The files that the configuration names are read again too, though it is the same to the letter.
    fs::write(proxy.directory().join("token"), "0123456789abcdef-second").unwrap();
    fs::write(proxy.directory().join("runbook.toml"), runbook("Ask Bert.")).unwrap();
    let line = reload(&mut proxy, &configuration);
    assert_eq!(changed(&line), ["the runbook", "[operators]"]);
    assert!(as_operator(&proxy, "0123456789abcdef-first").json()["server"].is_null());
    let answer = as_operator(&proxy, "0123456789abcdef-second");
    assert!(answer.text().contains("Ask Bert.") && !answer.text().contains("Ask Anna."), "{}", answer.text());
    assert_eq!(answer.head.status, 502);

    let other = configuration.replace("probes = false", "probes = false\nstatus = \"503\"")
        + "\n[limits]\nrequest_header_bytes = \"8KiB\"\n";
    assert_eq!(changed(&reload(&mut proxy, &other)), ["[diagnosis]", "[limits]"]);
    assert_eq!(get(proxy.address(), "/", "").head.status, 503);
    let long = format!("X-Long: {}\r\n", "x".repeat(10_000));
    assert_eq!(get(proxy.address(), "/", &long).head.status, 431);
    fs::write(proxy.directory().join("runbook.toml"), "steps = 1").unwrap();
    let line = reload(&mut proxy, &other);
    assert_eq!(line["event"], "reload_refused");
    assert!(line["problems"][0].as_str().unwrap().contains("runbook.toml:1:1"), "{line:#}");
}

fn runbook(text: &str) -> String {
    format!("[[step]]\nid = \"ours\"\naudience = \"owner\"\ntext = {text:?}\n")
}

#[test]
fn the_log_goes_elsewhere_and_looks_otherwise() {
    let origin = Origin::listen();
    let directory = PrivateDirectory::new().unwrap();
    let (first, second) = (directory.file("first.log"), directory.file("second.log"));
    let url = origin.url.clone();
    let configuration = |log: &str| in_front_of(&[&url], "", &format!("[log]\n{log}"));
    let proxy = Proxy::run_in(directory, &configuration(""));
    let write = |log: &str| {
        fs::write(proxy.directory().join("why502.toml"), configuration(log)).unwrap();
        proxy.signal("HUP");
    };
    let address = proxy.address();
    origin.greet("hello");
    let text = |file| fs::read_to_string(file).unwrap_or_default();
    write("output = \"first.log\"");
    eventually("the first file", || text(&first).contains("\"reloaded\"").then_some(()));
    get(address, "/1", "");
    eventually("a line", || text(&first).contains("\"path\":\"/1\"").then_some(()));
    write("output = \"second.log\"\nformat = \"pretty\"");
    eventually("the second file", || text(&second).contains("  reload ").then_some(()));
    get(address, "/2", "");
    eventually("a line", || text(&second).contains(&format!("GET shop.example/2  {url}")).then_some(()));
    write("output = \"second.log\"\nformat = \"json\"\naccess = false");
    eventually("the next reload", || text(&second).contains("\"reloaded\"").then_some(()));
    get(address, "/3", "");
    write("output = \"nowhere/else.log\"");
    eventually("a refusal", || text(&second).contains("reload_refused").then_some(()));
    assert!(!text(&second).contains("/3") && !text(&first).contains("/2"));
}

#[test]
fn checks_follow_the_file() {
    let (old, new) = (Origin::listen(), Origin::listen());
    let health = |server: &str, path: &str| {
        let upstream = format!("[upstream.health]\npath = \"{path}\"\ninterval = \"50ms\"");
        in_front_of(&[server], &upstream, "")
    };
    let mut proxy = Proxy::run(&health(&old.url, "/old"));
    assert_eq!(old.accept().request().line, "GET /old HTTP/1.1");
    reload(&mut proxy, &health(&new.url, "/new"));
    for _ in 0..3 {
        assert_eq!(new.accept().request().line, "GET /new HTTP/1.1");
    }
    while old.try_accept().is_some_and(|mut conversation| conversation.next().is_some()) {}
    assert!(old.is_left_alone(), "nobody checks what is not configured any more");
    let line = reload(&mut proxy, &in_front_of(&[&new.url], "", ""));
    assert_eq!(changed(&line), ["upstream \"app\": changed"]);
    while new.try_accept().is_some() {}
    assert!(new.is_left_alone());
}

#[test]
fn how_a_server_stands_and_an_open_incident_outlive_a_reload_that_leaves_the_upstream_alone() {
    let dead = "http://127.0.0.1:1";
    let alive = Origin::listen();
    let upstream = "retry.attempts = 1\nejection = { after = 2, base_time = \"5m\" }\nbalance = \"round_robin\"";
    let configuration = |limit: u32| {
        let tables = format!("[limits]\nconnections = {limit}\n[runtime]\nworkers = 1");
        in_front_of(&[dead, &alive.url], upstream, &tables)
    };
    let (first, second) = (configuration(1000), configuration(2000));
    let mut proxy = Proxy::run(&first);
    alive.greet("hello");
    (0..4).for_each(|_| drop(get(proxy.address(), "/", "")));
    let incident = proxy.line("incident_opened")["incident"].clone();
    assert_eq!(proxy.line("server_ejected")["server"], dead);
    for configuration in [&second, &first] {
        assert_eq!(changed(&reload(&mut proxy, configuration)), ["[limits]"]);
        for _ in 0..10 {
            assert_eq!(get(proxy.address(), "/", "").text(), "hello", "the other one is still out");
        }
    }
    let log = proxy.stop().1;
    let incidents: Vec<_> = log.iter().filter(|line| line["event"].as_str().unwrap().starts_with("incident")).collect();
    assert_eq!(incidents.len(), 1, "{incidents:#?}");
    assert_eq!(incidents[0]["incident"], incident);
}

#[test]
fn an_incident_of_an_upstream_that_is_gone_is_over() {
    let origin = Origin::listen();
    let mut proxy = Proxy::run(&in_front_of(&["http://127.0.0.1:1"], "", ""));
    get(proxy.address(), "/", "");
    let opened = proxy.line("incident_opened");
    let other = in_front_of(&[&origin.url], "", "").replace("\"app\"", "\"other\"");
    assert_eq!(
        changed(&reload(&mut proxy, &other)),
        ["upstream \"other\": new", "upstream \"app\": removed", "[[route]]"]
    );
    assert_eq!(proxy.line("incident_closed")["incident"], opened["incident"]);
}

#[test]
fn a_new_certificate_under_an_old_name_is_read() {
    let directory = PrivateDirectory::new().unwrap();
    let (old, new) = (identity("localhost"), identity("localhost"));
    fs::write(directory.file("ca.pem"), &old.certificate).unwrap();
    let configuration = in_front_of(&["https://localhost:1"], "[upstream.tls]\nca = \"ca.pem\"", "");
    let mut proxy = Proxy::run_in(directory, &configuration);
    assert_eq!(changed(&reload(&mut proxy, &configuration)), [""; 0]);
    fs::write(proxy.directory().join("ca.pem"), &new.certificate).unwrap();
    assert_eq!(changed(&reload(&mut proxy, &configuration)), ["upstream \"app\": changed"]);
    fs::write(proxy.directory().join("ca.pem"), "half of a").unwrap();
    assert_eq!(reload(&mut proxy, &configuration)["event"], "reload_refused");
}

#[test]
fn a_burst_of_signals_is_a_few_reloads_and_workers_wait_for_a_restart() {
    let origin = Origin::listen();
    let configuration = in_front_of(&[&origin.url], "", "[runtime]\nworkers = 1");
    let mut proxy = Proxy::run(&configuration);
    (0..20).for_each(|_| proxy.signal("HUP"));
    fs::write(proxy.directory().join("why502.toml"), configuration.replace("workers = 1", "workers = 3")).unwrap();
    proxy.signal("HUP");
    let notice = eventually("the word on workers", || {
        let line = proxy.next_line("notice");
        line["message"].as_str().filter(|message| message.contains("workers")).map(str::to_owned)
    });
    assert!(notice.contains("restart"), "{notice}");
    origin.greet("hello");
    assert_eq!(get(proxy.address(), "/", "").text(), "hello");
    let log = proxy.stop().1;
    let reloads = log.iter().filter(|line| line["event"] == "reloaded").count();
    assert!((1..=21).contains(&reloads), "{reloads}");
}

#[test]
fn without_a_file_the_log_alone_is_opened_anew() {
    let directory = PrivateDirectory::new().unwrap();
    let arguments = ["run", "--to", "http://127.0.0.1:1", "--listen", "127.0.0.1:0"];
    let program = Program::start(&[], &arguments, directory.path());
    let mut lines = std::iter::from_fn(|| program.line());
    assert!(lines.next().unwrap().contains("started"));
    program.signal("HUP");
    assert!(lines.any(|line| line.contains("no configuration file to read again")));
    program.signal("TERM");
    assert_eq!(program.ended().status, Some(0));
}

#[test]
fn hundreds_of_reloads_under_load_lose_nothing_and_cost_no_memory() {
    let (one, other) = (Origin::listen(), Origin::listen());
    let urls = [one.url.clone(), other.url.clone()];
    let extra = free_port();
    // What every second one has, another port and all.
    let configurations = [
        in_front_of(&[&urls[0], &urls[1]], "", "[runtime]\nworkers = 2"),
        in_front_of(&[&urls[1]], "timeouts.connect = \"2s\"", "[runtime]\nworkers = 2")
            + &format!("\n[[listener]]\naddress = \"{extra}\"\n[upstream.health]\ninterval = \"1s\"\n"),
    ];
    let mut proxy = Proxy::run(&configurations[0]);
    echo(one);
    echo(other);
    // Few, for each of their connections keeps a port that other tests may want.
    let crowd = Crowd::at(&Place::Tcp(proxy.address()), 2);
    let mut sizes = HashMap::new();
    for round in 1..=300_usize {
        assert_ne!(changed(&reload(&mut proxy, &configurations[round % 2])).len(), 0);
        if [100, 300].contains(&round) {
            sizes.insert(round, (proxy.memory(), proxy.descriptors()));
        }
    }
    let answered = crowd.answered();
    let wrong = crowd.stop();
    assert_eq!(wrong, [""; 0], "of {answered}");
    assert!(answered > 100, "{answered}");
    let ((early, early_files), (late, late_files)) = (sizes[&100], sizes[&300]);
    println!(
        "{answered} answers; {early} bytes after 100 reloads and {late} after 300, {early_files} and {late_files} descriptors"
    );
    assert!(late < early + (2 << 20), "{early} bytes after 100 reloads, {late} after 300");
    assert!(late_files < early_files + 60, "{early_files} descriptors after 100 reloads, {late_files} after 300");
    eventually("few descriptors when nobody asks", || (proxy.descriptors() < 60).then_some(()));
}

fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}
