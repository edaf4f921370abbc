//! Unix sockets on both sides.

use std::os::unix::fs::FileTypeExt;

use why502::demo::origin::PrivateDirectory;

use super::support::client::Client;
use super::support::origin::Origin;
use super::support::proxy::Proxy;
use super::support::proxy::in_front_of;
use super::support::proxy::why502;

#[test]
fn a_request_passes_from_one_socket_to_another() {
    let directory = PrivateDirectory::new().unwrap();
    let (front, back) = (directory.file("front.sock"), directory.file("back.sock"));
    let origin = Origin::listen_on(&back);
    let listener = format!("unix:{}", front.display());
    let configuration = in_front_of(&[&origin.url], "", "").replace("127.0.0.1:0", &listener);
    let mut proxy = Proxy::run_in(directory, &configuration);

    let mut client = Client::connect_to_socket(&front);
    for path in ["/1", "/2"] {
        client.send(format!("POST {path} HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 2\r\n\r\nhi"));
    }
    let mut conversation = origin.accept();
    for path in ["/1", "/2"] {
        let request = conversation.request();
        assert_eq!((request.line, &*request.body), (format!("POST {path} HTTP/1.1"), &b"hi"[..]));
        assert_eq!(request.fields.iter().filter(|(name, _)| name == "x-forwarded-for").count(), 1);
        conversation.answer(path);
        assert_eq!(client.answer().text(), path);
        let line = proxy.line("request");
        assert_eq!((&line["status"], &line["server"]), (&200.into(), &origin.url.clone().into()));
    }
    assert!(origin.is_left_alone(), "connections to a socket are kept too");

    drop(client);
    assert!(front.metadata().unwrap().file_type().is_socket());
    assert_eq!(proxy.stop().0.status, Some(0));
    assert!(!front.exists(), "its own socket goes with it");
}

#[test]
fn a_socket_that_a_killed_program_left_behind_is_taken_over_and_one_in_use_is_not() {
    let directory = PrivateDirectory::new().unwrap();
    let front = directory.file("front.sock");
    drop(std::os::unix::net::UnixListener::bind(&front).unwrap());
    let listener = format!("unix:{}", front.display());
    let configuration = in_front_of(&["http://127.0.0.1:1"], "", "").replace("127.0.0.1:0", &listener);
    let _proxy = Proxy::run_in(directory, &configuration);
    let mut client = Client::connect_to_socket(&front);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.answer().head.status, 502);

    let ended = why502(&["run", "--to", "http://127.0.0.1:1", "--listen", &listener], front.parent().unwrap());
    assert_eq!(ended.status, Some(2));
    assert!(ended.err.contains("another program listens on this socket"), "{}", ended.err);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.answer().head.status, 502, "the one that was there serves on");
}
