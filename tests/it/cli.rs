//! The command line: what each command says, and the exit status that it ends with.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use why502::demo::origin::PrivateDirectory;

use super::support::Needs;
use super::support::can;
use super::support::certs;
use super::support::client::Client;
use super::support::client::get;
use super::support::proxy::Ended;
use super::support::proxy::Proxy;
use super::support::proxy::in_front_of;
use super::support::proxy::why502;

#[test]
fn a_command_line_ends_with_the_status_and_the_words_that_it_should() {
    let table: &[(&[&str], i32, &str, &str)] = &[
        (&["--version"], 0, concat!("why502 ", env!("CARGO_PKG_VERSION"), "\n"), ""),
        (&["--help"], 0, "why502 demo", ""),
        (&["run", "--help"], 0, "--to <URL>", ""),
        (&[], 2, "", "Usage: why502 <COMMAND>"),
        (&["rnu"], 2, "", "unrecognized subcommand 'rnu'"),
        (&["run"], 2, "", "name one with --config FILE, or run without a file"),
        (&["run", "--config", "absent.toml"], 2, "", "absent.toml: no such file"),
        (&["run", "--to", "127.0.0.1:3000"], 2, "", "--to: \"127.0.0.1:3000\" does not begin with its scheme"),
        (&["run", "--to", "http://a", "--listen", "1"], 2, "", "--listen: \"1\" does not say on which address"),
        (&["check"], 2, "", "1 problem\n"),
        (&["check", "--config", "absent.toml"], 2, "", "absent.toml: no such file"),
        (&["demo", "--listen", "unix:/a"], 2, "", "which no browser opens"),
    ];
    let directory = PrivateDirectory::new().unwrap();
    for (arguments, status, out, err) in table {
        let ended = why502(arguments, directory.path());
        assert_eq!(ended.status, Some(*status), "why502 {arguments:?}: {ended:?}");
        let silent = |text: &str, said: &str| text.is_empty() == said.is_empty();
        assert!(ended.out.contains(out) && silent(out, &ended.out), "why502 {arguments:?}: {ended:?}");
        assert!(ended.err.contains(err) && silent(err, &ended.err), "why502 {arguments:?}: {ended:?}");
    }
}

#[test]
fn a_wrong_file_starts_nothing_and_is_told_alike_by_run_and_check() {
    let directory = PrivateDirectory::new().unwrap();
    let wrong = CONFIGURATION.replace("servers", "server").replace("127.0.0.1:0", "localhost:0");
    fs::write(directory.file("why502.toml"), wrong).unwrap();
    let run = why502(&["run"], directory.path());
    let check = why502(&["check"], directory.path());
    assert_eq!((run.status, &*run.out), (Some(2), ""));
    assert!(run.err.contains("why502.toml:10:1: unknown key `server`"), "{}", run.err);
    assert_eq!(check, Ended { err: format!("{}{} problems\n", run.err, run.err.lines().count()), ..run });
}

#[test]
fn check_reads_the_certificates_and_keys_that_a_file_names() {
    let directory = PrivateDirectory::new().unwrap();
    let (one, other) = (certs::identity("a.example"), certs::identity("a.example"));
    fs::write(directory.file("client.pem"), &one.certificate).unwrap();
    fs::write(directory.file("why502.toml"), CONFIGURATION.to_owned() + MUTUAL_TLS).unwrap();
    fs::write(directory.file("client.key"), &one.key).unwrap();
    assert_eq!(why502(&["check"], directory.path()).status, Some(0));
    fs::write(directory.file("client.key"), &other.key).unwrap();
    let check = why502(&["check"], directory.path());
    assert_eq!(check.status, Some(2));
    assert!(check.err.contains("this key is not that of \"client.pem\""), "{}", check.err);
}

#[test]
fn what_is_no_file_or_has_no_end_is_not_read_to_it() {
    let directory = PrivateDirectory::new().unwrap();
    let made = Command::new("mkfifo").arg(directory.file("pipe")).status().unwrap();
    assert!(made.success());
    fs::File::create(directory.file("long")).unwrap().set_len(1 << 30).unwrap();
    for (name, why) in [
        ("/dev/zero", "cannot be read: it is a device or a socket, not a file; correct the path"),
        ("pipe", "cannot be read: it is a named pipe, not a file; correct the path"),
        ("long", "is larger than 1 MiB; write another file"),
    ] {
        let files = format!(
            "[diagnosis]\nchecklists = {name:?}\n[page]\ntemplate = {name:?}\n[operators]\ntoken_file = {name:?}\n"
        );
        let tls = format!("[upstream.tls]\nca = {name:?}\ncertificate = {name:?}\nkey = {name:?}\n");
        fs::write(directory.file("why502.toml"), in_front_of(&["https://127.0.0.1:1"], &tls, &files)).unwrap();
        let checked = why502(&["check"], directory.path());
        let told = checked.err.matches(&format!("{name:?} {why}")).count();
        assert_eq!((checked.status, told), (Some(2), 6), "{}", checked.err);
    }
    for (name, why) in [("pipe", "a named pipe, not a file"), ("long", "it is larger than 16 MiB")] {
        let checked = why502(&["check", "--config", name], directory.path());
        assert_eq!((checked.status, checked.err.matches(why).count()), (Some(2), 1), "{}", checked.err);
    }
}

#[test]
fn a_configuration_may_come_from_a_command() {
    let directory = PrivateDirectory::new().unwrap();
    fs::write(directory.file("why502.toml"), CONFIGURATION).unwrap();
    let program = env!("CARGO_BIN_EXE_why502");
    for script in [
        format!("cat why502.toml | {program} check --config /dev/stdin"),
        format!("{program} check --config <(cat why502.toml)"),
    ] {
        let checked = Command::new("bash").args(["-c", &script]).current_dir(directory.path()).output().unwrap();
        assert!(checked.status.success(), "{script}: {}", String::from_utf8_lossy(&checked.stderr));
    }
}

#[test]
fn a_file_that_may_not_be_read_is_told_so() {
    if !can("a file that may not be read", Needs::NoRoot) {
        return;
    }
    let directory = PrivateDirectory::new().unwrap();
    fs::write(directory.file("why502.toml"), CONFIGURATION).unwrap();
    fs::set_permissions(directory.file("why502.toml"), fs::Permissions::from_mode(0o000)).unwrap();
    let run = why502(&["run"], directory.path());
    assert_eq!(run.status, Some(2));
    assert!(run.err.contains("may not be read by this user"), "{}", run.err);
}

#[test]
fn a_busy_port_is_told_with_a_command_that_finds_who_has_it() {
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = busy.local_addr().unwrap().to_string();
    let directory = PrivateDirectory::new().unwrap();
    let run = why502(&["run", "--to", "http://127.0.0.1:1", "--listen", &address], directory.path());
    assert_eq!((run.status, &*run.out), (Some(2), ""));
    assert!(run.err.starts_with(&format!("why502: {address}")), "{}", run.err);

    let (_, command) = run.err.split_once("ss -ltnp '").expect("the message has a command");
    let (filter, _) = command.split_once('\'').expect("the command has an end");
    if can("the command of the message about a busy port", Needs::Program("ss")) {
        let found = Command::new("ss").args(["-ltnp", filter]).output().unwrap();
        assert!(String::from_utf8_lossy(&found.stdout).contains(&address), "ss -ltnp '{filter}' finds nothing");
    }
}

#[test]
fn run_serves_until_it_is_told_to_stop() {
    let mut proxy = Proxy::run(CONFIGURATION);
    let answer = get(proxy.address(), "/cart?secret=1", "Accept: application/json\r\n");
    assert_eq!((answer.head.status, &answer.json()["fault"]), (502, &"connection_refused".into()));
    assert!(get(proxy.address(), "/", "").text().contains("502"));
    let mut client = Client::connect(proxy.address());
    client.send("GARBAGE\r\n\r\n");
    assert_eq!(client.answer().head.status, 400);
    assert!(client.is_closed());
    drop(client);

    assert_eq!(proxy.line("upstream_failure")["path"], "/cart");
    proxy.signal("HUP");
    let file = proxy.directory().join("why502.toml");
    let (ended, log) = proxy.stop();
    assert_eq!((ended.status, &*ended.err), (Some(0), ""));
    assert_eq!(log[0]["configuration"], file.to_string_lossy().as_ref());
    let last = log.last().unwrap();
    assert_eq!((&last["event"], &last["reason"]), (&"stopped".into(), &"SIGTERM".into()));
}

/// In front of a port on which nothing listens.
const CONFIGURATION: &str = r#"
[[listener]]
address = "127.0.0.1:0"

[[route]]
upstream = "app"

[[upstream]]
name = "app"
servers = ["http://127.0.0.1:1"]
"#;

const MUTUAL_TLS: &str = r#"
[upstream.tls]
certificate = "client.pem"
key = "client.key"
"#;
