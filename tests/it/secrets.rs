//! What is inside stays inside: no answer to a visitor, no origin and no log line holds what is not theirs.

use std::fs;

use why502::demo::origin::PrivateDirectory;
use why502::demo::shown;
use why502::demo::viewer::Format;
use why502::demo::viewer::Viewer;

use super::support::client::Client;
use super::support::client::get;
use super::support::museum::Museum;
use super::support::museum::written;
use super::support::origin::Origin;
use super::support::proxy::Proxy;
use super::support::proxy::in_front_of;

#[test]
fn no_answer_to_a_visitor_holds_anything_of_the_inside() {
    let museum = Museum::open("");
    let taints = Taints::of(&museum.configuration);
    let rows: Vec<_> = museum.rows().into_iter().filter(|row| row.fault.is_some()).collect();
    let ways = Viewer::ALL.into_iter().flat_map(|viewer| Format::ALL.map(|format| (viewer, format)));
    let visits: Vec<_> = ways.flat_map(|(viewer, format)| rows.iter().map(move |row| (*row, viewer, format))).collect();
    let mut found = Vec::new();
    for ((row, viewer, format), heard) in visits.iter().zip(museum.visit(&visits)) {
        let answer = String::from_utf8_lossy(&heard.answer).into_owned();
        let taint = taints.in_answer(&answer);
        let was_cut = shown::field(&answer, "proxy-status").is_none();
        match viewer {
            Viewer::Visitor => found.extend(taint.map(|taint| format!("{} {}: {taint}", row.name, format.word()))),
            // So that this test is known to see what it looks for.
            Viewer::Operator => assert!(
                taint.is_some() || was_cut || row.name == "proxy_loop",
                "{} {}: an operator is told nothing\n{answer}",
                row.name,
                format.word()
            ),
        }
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

/// What only the inside knows.
struct Taints {
    texts: Vec<String>,
    /// Numbers that stand alone.
    ports: Vec<String>,
}

impl Taints {
    /// Of the demo's configuration, and of what its origins and the libraries say.
    fn of(configuration: &str) -> Self {
        let front = written(configuration, "address").to_owned();
        let quoted = configuration.split('"').skip(1).step_by(2);
        let insides =
            quoted.filter(|text| text.contains("://") || text.starts_with("unix:") || text.contains("127.0.0.1"));
        let hosts = insides.filter_map(|url| url.split("//").last()).filter(|host| *host != front);
        let ports = hosts.filter_map(|host| host.rsplit_once(':')).map(|(_, port)| port.to_owned());
        let directory = written(configuration, "token_file").rsplit_once('/').unwrap().0.to_owned();
        let texts = SAID_INSIDE.iter().map(|said| (*said).to_owned()).chain([directory]);
        Self {
            texts: texts.collect(),
            ports: ports.filter(|port| port.parse::<u16>().is_ok_and(|port| port > 1024)).collect(),
        }
    }

    fn in_answer<'t>(&'t self, answer: &'t str) -> Option<&'t str> {
        let lines = answer.lines().filter(|line| !line.to_lowercase().starts_with("content-length:"));
        let mut words = lines.flat_map(|line| line.split(|c: char| !c.is_ascii_alphanumeric()));
        let text = self.texts.iter().find(|text| answer.contains(&***text)).map(String::as_str);
        text.or_else(|| words.find(|word| self.ports.iter().any(|port| port == word)))
    }
}

/// Names and addresses, what servers say of themselves, and what the system and libraries call errors.
const SAID_INSIDE: [&str; 22] = [
    "why502.test",
    "127.255.255.255",
    "127.0.0.1:",
    "inside-",
    ".sock",
    "OpenSSH",
    "Debian",
    "vsFTPd",
    "Postfix",
    "FATAL",
    "ERR unknown",
    "why502 demo authority",
    "CN=",
    "no reachable authority",
    "may not ask here",
    "ECONN",
    "ENOENT",
    "EACCES",
    "os error",
    "hyper",
    "rustls",
    "UnknownIssuer",
];

#[test]
fn the_operators_token_is_neither_forwarded_nor_logged() {
    let origin = Origin::listen();
    let mut proxy = with_operators(&origin.url, "token_file = \"token\"", "");
    for (token, path) in [(TOKEN, "/right"), ("wrong-wrong-wrong-wrong", "/wrong")] {
        let mut client = Client::connect(proxy.address());
        for fails in [false, true] {
            client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\nX-Why502-Token: {token}\r\n\r\n"));
            let mut conversation = origin.accept();
            let request = conversation.request();
            assert!(!request.fields.iter().any(|(_, value)| value.contains(token)), "{request:?}");
            if fails {
                drop(conversation);
            } else {
                conversation.answer_and_close("hello");
            }
            let answer = client.answer();
            assert!(!answer.text().contains(token), "{}", answer.text());
        }
    }
    proxy.line("upstream_failure");
    let log = format!("{:?}", proxy.stop());
    assert!(log.contains("/wrong") && !log.contains(TOKEN) && !log.contains("wrong-wrong"), "{log}");
}

#[test]
fn an_operator_is_known_by_address_or_token_and_by_nothing_that_can_be_forged() {
    const OURS: &str = "networks = [\"127.0.0.0/8\"]\ntoken_file = \"token\"";
    const OFFICE: &str = "networks = [\"10.0.0.0/8\"]\ntoken_file = \"token\"";
    const TRUSTING: &str = "[forwarding]\ntrusted_proxies = [\"127.0.0.0/8\"]";
    let table = [
        (OURS, "", "", true),
        (OURS, "", "X-Forwarded-For: 127.0.0.1\r\n", false),
        (OURS, "", "Forwarded: for=127.0.0.1\r\n", false),
        (OURS, "", "Via: 1.1 elsewhere\r\n", false),
        (OURS, "", "X-Forwarded-For: \r\n", false),
        (OURS, "", "X-Forwarded-For: 192.0.2.1\r\nX-Why502-Token: TOKEN\r\n", true),
        (OFFICE, "", "", false),
        (OFFICE, "", "X-Forwarded-For: 10.0.0.5\r\n", false),
        (OFFICE, "", "Forwarded: for=10.0.0.5\r\n", false),
        (OFFICE, "", "X-Real-IP: 10.0.0.5\r\nTrue-Client-IP: 10.0.0.5\r\n", false),
        (OFFICE, "", "X-Why502-Token: TOKEN\r\n", true),
        (OFFICE, "", "X-Why502-Token: TOKE\r\n", false),
        (OFFICE, "", "X-Why502-Token: TOKENx\r\n", false),
        (OFFICE, "", "X-Why502-Token: \r\n", false),
        (OFFICE, TRUSTING, "X-Forwarded-For: 10.0.0.5\r\n", true),
        (OFFICE, TRUSTING, "X-Forwarded-For: 10.0.0.5, 192.0.2.1\r\n", false),
        (OFFICE, TRUSTING, "X-Forwarded-For: 10.0.0.5\r\nForwarded: for=192.0.2.1\r\n", false),
        (OFFICE, TRUSTING, "X-Forwarded-For: 10.0.0.5, nonsense\r\n", false),
        (OURS, TRUSTING, "Via: 1.1 elsewhere\r\n", false),
    ];
    for (operators, forwarding, fields, is_operator) in table {
        let proxy = with_operators("http://127.0.0.1:1", operators, forwarding);
        let fields = format!("Accept: application/json\r\n{}", fields.replace("TOKEN", TOKEN));
        let answer = get(proxy.address(), "/", &fields).json();
        assert_eq!(answer["server"].is_string(), is_operator, "{operators} {forwarding} {fields:?}");
    }
}

#[test]
fn a_token_that_is_guessed_too_often_counts_no_more() {
    let mut proxy = with_operators("http://127.0.0.1:1", "token_file = \"token\"", "[runtime]\nworkers = 2");
    let is_operator = |token: &str| {
        let fields = format!("Accept: application/json\r\nX-Why502-Token: {token}\r\n");
        get(proxy.address(), "/", &fields).json()["server"].is_string()
    };
    assert!(is_operator(TOKEN));
    for _ in 0..10 {
        assert!(!is_operator("wrong-wrong-wrong-wrong"));
    }
    assert!(!is_operator(TOKEN), "whatever comes from there now");
    let notice = proxy.line("notice");
    assert!(notice["message"].as_str().unwrap().starts_with("127.0.0.1 has sent 10 tokens"), "{notice}");
}

fn with_operators(server: &str, operators: &str, tables: &str) -> Proxy {
    let directory = PrivateDirectory::new().unwrap();
    fs::write(directory.file("token"), TOKEN).unwrap();
    Proxy::run_in(directory, &in_front_of(&[server], "", &format!("[operators]\n{operators}\n{tables}")))
}

const TOKEN: &str = "0123456789abcdef0123456789abcdef";
