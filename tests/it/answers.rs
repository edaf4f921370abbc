//! What is answered in place of an origin: every format, to visitors and operators, for failures and for refusals.

use std::fs;

use serde_json::Value;

use why502::demo::origin::PrivateDirectory;

use super::support::client::Answer;
use super::support::client::Client;
use super::support::client::get;
use super::support::origin::Reserved;
use super::support::proxy::Proxy;
use super::support::proxy::in_front_of;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// A proxy in front of a port that refuses, which knows its operators by a token; and the refusing port.
fn refused(diagnosis: &str) -> (Proxy, Reserved) {
    let (directory, closed) = (PrivateDirectory::new().unwrap(), Reserved::port());
    fs::write(directory.file("token"), TOKEN).unwrap();
    let tables = format!("[operators]\ntoken_file = \"token\"\n[diagnosis]\nprobes = false\n{diagnosis}");
    (Proxy::run_in(directory, &in_front_of(&[&closed.url()], "", &tables)), closed)
}

fn accept(format: &str) -> String {
    format!("Accept: {format}\r\n")
}

/// A format as it is asked for and as it is answered, and how a visitor's body begins.
const FORMATS: [(&str, &str, &str); 6] = [
    ("text/html", "text/html; charset=utf-8", "<!doctype html>"),
    ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/html; charset=utf-8", "<!doctype html>"),
    ("application/problem+json", "application/problem+json", "{"),
    ("application/json", "application/json", "{"),
    ("*/*", "text/plain; charset=utf-8", "502 "),
    ("image/png", "text/plain; charset=utf-8", "502 "),
];

#[test]
fn each_format_is_answered_with_a_head_that_nobody_stores() {
    let (proxy, _closed) = refused("");
    for (asked, content_type, begins) in FORMATS {
        let answer = get(proxy.address(), "/", &accept(asked));
        assert_eq!((answer.head.status, answer.field("content-type")), (502, Some(content_type)), "{asked}");
        assert!(answer.text().to_lowercase().starts_with(begins), "{asked}: {}", answer.text());
        assert_eq!(answer.field("cache-control"), Some("no-store"), "{asked}");
        assert_eq!(answer.field("vary"), Some("Accept, Accept-Language"), "{asked}");
        assert_eq!(answer.field("content-language"), Some("en"), "{asked}");
        assert_eq!(answer.field("proxy-status"), Some("why502; error=connection_refused"), "{asked}");
        assert!(answer.field("retry-after").is_some_and(|wait| wait.parse::<u32>().is_ok()), "{asked}");
        let id = answer.field("x-request-id").expect("an answer has its id");
        assert!(answer.text().contains(id), "{asked}");
        let is_page = content_type.starts_with("text/html");
        let policy = answer.field("content-security-policy");
        assert_eq!(policy.is_some_and(|policy| policy.contains("default-src 'none'")), is_page, "{asked}: {policy:?}");
    }
}

#[test]
fn a_page_needs_nothing_from_elsewhere() {
    let (proxy, _closed) = refused("");
    let page = get(proxy.address(), "/", &accept("text/html"));
    for outside in ["src=", "<link", "@import", "<script", "url("] {
        assert!(!page.text().contains(outside), "{outside}");
    }
}

#[test]
fn a_head_request_gets_the_same_head_and_no_body() {
    let (proxy, _closed) = refused("");
    // A server that has failed a few times is known better than one that has failed once.
    (0..3).for_each(|_| drop(get(proxy.address(), "/earlier", "")));
    for (asked, _, _) in FORMATS {
        let whole = get(proxy.address(), "/", &accept(asked));
        let mut client = Client::connect(proxy.address());
        client.send(format!("HEAD / HTTP/1.1\r\nHost: shop.example\r\n{}Connection: close\r\n\r\n", accept(asked)));
        let head = client.answer_to_head();
        assert!(client.is_closed(), "{asked}: nothing follows the head");
        assert_eq!((head.head.status, comparable(&head)), (whole.head.status, comparable(&whole)), "{asked}");
    }
}

/// The fields of a head that are the same for every request that fails alike.
fn comparable(answer: &Answer) -> Vec<&(String, String)> {
    answer.head.fields.iter().filter(|(name, _)| !matches!(&**name, "date" | "x-request-id")).collect()
}

#[test]
fn a_visitor_and_an_operator_see_what_is_theirs() {
    let (proxy, closed) = refused("");
    let address = closed.address.to_string();
    for (asked, _, _) in FORMATS {
        let visitor = get(proxy.address(), "/", &accept(asked));
        let operator = get(proxy.address(), "/", &format!("{}X-Why502-Token: {TOKEN}\r\n", accept(asked)));
        assert!(!visitor.text().contains(&address), "{asked}");
        assert!(operator.text().contains(&address), "{asked}: {}", operator.text());
        let said = operator.field("proxy-status").unwrap();
        assert!(
            said.starts_with(&format!("why502; error=connection_refused; next-hop=\"{address}\"; details=\"")),
            "{said}"
        );
    }
}

#[test]
fn the_json_has_the_members_of_the_contract() {
    const EVERYBODYS: [&str; 14] = [
        "type",
        "title",
        "status",
        "detail",
        "instance",
        "request_id",
        "incident",
        "fault",
        "stage",
        "proxy_status",
        "cause",
        "confidence",
        "causes",
        "checklist",
    ];
    const OPERATORS: [&str; 6] = ["upstream", "server", "peer", "elapsed_ms", "evidence", "attempts"];
    let (proxy, closed) = refused("");
    let keys = |json: &Value| {
        let mut keys: Vec<_> = json.as_object().unwrap().keys().cloned().collect();
        keys.sort();
        keys
    };
    let sorted = |names: &[&str]| {
        let mut names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        names.sort();
        names
    };
    let answer = get(proxy.address(), "/", &accept("application/json"));
    let visitors = answer.json();
    let id = answer.field("x-request-id").unwrap();
    assert_eq!(keys(&visitors), sorted(&EVERYBODYS));
    assert_eq!(visitors["type"], "urn:why502:fault:connection_refused");
    assert_eq!((&visitors["status"], &visitors["stage"]), (&502.into(), &"connect".into()));
    assert_eq!(
        (&visitors["request_id"], &visitors["instance"]),
        (&id.into(), &format!("urn:why502:request:{id}").into())
    );
    let steps = visitors["checklist"].as_array().unwrap();
    let audiences = |audience: &str| steps.iter().filter(|step| step["audience"] == audience).count();
    assert!(audiences("visitor") > 0 && audiences("owner") > 0, "{steps:#?}");
    assert!(steps.iter().all(|step| step["command"].is_null()), "commands are for operators: {steps:#?}");

    let token = format!("{}X-Why502-Token: {TOKEN}\r\n", accept("application/json"));
    let operators = get(proxy.address(), "/", &token).json();
    assert_eq!(keys(&operators), sorted(&[&EVERYBODYS[..], &OPERATORS[..]].concat()));
    assert_eq!((&operators["server"], &operators["peer"]), (&closed.url().into(), &closed.address.to_string().into()));
    let port = closed.address.port().to_string();
    let commands = operators["checklist"].as_array().unwrap().iter().filter_map(|step| step["command"].as_str());
    assert!(commands.into_iter().any(|command| command.contains(&port)), "{operators:#}");
}

#[test]
fn a_grpc_client_gets_a_status_of_its_own_protocol() {
    for policy in ["", "status = \"503\"", "status = \"standard\""] {
        let (proxy, closed) = refused(policy);
        let mut client = Client::connect(proxy.address());
        let request = "POST /pkg.Shop/Buy HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc+proto\r\nTE: trailers\r\n\
            Connection: close\r\nContent-Length: 0\r\n\r\n";
        client.send(request);
        let answer = client.answer();
        assert_eq!((answer.head.status, answer.field("content-type")), (200, Some("application/grpc")), "{policy}");
        assert_eq!((answer.field("grpc-status"), &*answer.body), (Some("14"), &b""[..]), "{policy}");
        let message = answer.field("grpc-message").unwrap();
        assert!(message.starts_with("The origin refused the connection"), "{message}");
        assert!(!message.contains(&closed.address.to_string()), "{message}");
        assert_eq!(answer.field("proxy-status"), Some("why502; error=connection_refused"));
    }
}

#[test]
fn the_status_is_the_one_that_is_wanted() {
    for (policy, status) in
        [("", 502), ("status = \"502\"", 502), ("status = \"503\"", 503), ("status = \"standard\"", 502)]
    {
        let (proxy, _closed) = refused(policy);
        let answer = get(proxy.address(), "/", &accept("application/json"));
        assert_eq!((answer.head.status, &answer.json()["status"]), (status, &status.into()), "{policy}");
    }
}

#[test]
fn who_has_to_change_something_first_is_not_told_to_come_back() {
    let (mut proxy, _closed) = refused("");
    let closed = get(proxy.address(), "/", "");
    assert!(closed.field("retry-after").is_some());
    proxy.line("upstream_failure");
    // The proxy behind itself: waiting cures nothing.
    let origin = super::support::origin::Origin::listen();
    let proxy = Proxy::run(&in_front_of(&[&origin.url], "", ""));
    let mut client = Client::connect(proxy.address());
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let own = origin.accept().request().field("via").unwrap().to_owned();
    let looped = get(proxy.address(), "/", &format!("Via: {own}\r\n"));
    assert_eq!(
        (looped.field("proxy-status"), looped.field("retry-after")),
        (Some("why502; error=proxy_loop_detected"), None)
    );
}

/// What is the client's own doing: what is sent before the fields that choose a format, and what follows them.
#[rustfmt::skip] // A table is read in rows.
const REFUSED: &[(&str, &str, &str, u16)] = &[
    ("no host", "GET /shop HTTP/1.1\r\n", "\r\n", 400),
    ("two hosts", "GET /shop HTTP/1.1\r\nHost: shop.example\r\nHost: shop.example\r\n", "\r\n", 400),
    ("a host that is none", "GET /shop HTTP/1.1\r\nHost: shop example\r\n", "\r\n", 400),
    ("a space before the colon", "GET /shop HTTP/1.1\r\nHost : shop.example\r\n", "\r\n", 400),
    ("a folded field", "GET /shop HTTP/1.1\r\nHost: shop.example\r\nX-Fold: a\r\n b\r\n", "\r\n", 400),
    ("a target that is none", "GET shop HTTP/1.1\r\nHost: shop.example\r\n", "\r\n", 400),
    ("another scheme", "GET ftp://shop.example/shop HTTP/1.1\r\nHost: shop.example\r\n", "\r\n", 400),
    ("two lengths", "POST /shop HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 1\r\nContent-Length: 2\r\n", "\r\nx", 400),
    ("a length that is none", "POST /shop HTTP/1.1\r\nHost: shop.example\r\nContent-Length: +1\r\n", "\r\nx", 400),
    ("a length beyond all numbers", "POST /shop HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 18446744073709551615\r\n", "\r\nx", 400),
    ("an upgrade with a body", "GET /shop HTTP/1.1\r\nHost: shop.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n", "\r\nx", 400),
    ("no route for the path", "GET /other HTTP/1.1\r\nHost: shop.example\r\n", "\r\n", 404),
    ("CONNECT", "CONNECT shop.example:443 HTTP/1.1\r\nHost: shop.example:443\r\n", "\r\n", 405),
    ("TRACE that ends here", "TRACE /shop HTTP/1.1\r\nHost: shop.example\r\nMax-Forwards: 0\r\n", "\r\n", 405),
    ("a body that is too large", "POST /shop HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 1000001\r\n", "\r\n", 413),
    ("another expectation", "POST /shop HTTP/1.1\r\nHost: shop.example\r\nExpect: 200-ok\r\nContent-Length: 1\r\n", "\r\nx", 417),
    ("no route for the host", "GET /shop HTTP/1.1\r\nHost: other.example\r\n", "\r\n", 421),
    ("a coding that is not known", "POST /shop HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: gzip, chunked\r\n", "\r\n0\r\n\r\n", 501),
    ("a method beyond all measure", concat!("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", " /shop HTTP/1.1\r\nHost: shop.example\r\n"), "\r\n", 501),
    ("a version that is not spoken", "GET /shop HTTP/2.0\r\nHost: shop.example\r\n", "\r\n", 400),
];

#[test]
fn a_head_request_that_cannot_be_read_is_answered_without_a_body() {
    let mut proxy = choosy();
    for head in ["HEAD /shop HTTP/1.1\r\nHost : a\r\n\r\n", "\r\nHEAD /shop HTTP/3.0\r\n\r\n"] {
        let mut client = Client::connect(proxy.address());
        client.send(head);
        let answer = client.answer_to_head();
        assert_eq!(answer.head.status, 400, "{head:?}");
        assert!(answer.field("content-length").is_some_and(|length| length != "0"), "{head:?}");
        assert!(client.is_closed(), "{head:?}: nothing comes behind the head");
        assert_eq!(proxy.line("request")["bytes_sent"], 0, "{head:?}");
    }
}

#[test]
fn a_head_behind_another_request_is_refused_as_it_would_be_alone() {
    let proxy = choosy();
    let json = "Accept: application/json\r\n";
    let fields = "X: y\r\n".repeat(110);
    for (head, status) in [
        (format!("GET / HTTP/1.1\r\n{json}{fields}\r\n"), 431),
        (format!("GET / HTTP/1.1\r\n{json}Content-Length: 18446744073709551615\r\n\r\n"), 400),
        (format!("GET / HTTP/1.1\r\n{json}Host : a\r\n\r\n"), 400),
        (format!("HEAD / HTTP/1.1\r\n{json}Host : a\r\n\r\n"), 400),
    ] {
        for before in ["", "GET /other HTTP/1.1\r\nHost: shop.example\r\n\r\n"] {
            let mut client = Client::connect(proxy.address());
            client.send(format!("{before}{head}"));
            if !before.is_empty() {
                assert_eq!(client.answer().head.status, 404);
            }
            let answer = if head.starts_with("HEAD") { client.answer_to_head() } else { client.answer() };
            assert_eq!(answer.head.status, status, "{before:?} {head:?}");
            assert_eq!(answer.field("content-type"), Some("application/json"), "{before:?} {head:?}");
            assert!(client.is_closed(), "{before:?} {head:?}");
        }
    }
}

#[test]
fn a_connection_that_closes_behind_a_refusal_says_so() {
    let proxy = choosy();
    for (body, closes) in
        [("Content-Length: 5\r\n\r\nhello", false), ("Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", true)]
    {
        let mut client = Client::connect(proxy.address());
        let next = "GET /other HTTP/1.1\r\nHost: shop.example\r\n\r\n";
        client.send(format!("POST /other HTTP/1.1\r\nHost: shop.example\r\n{body}{next}"));
        let answer = client.answer();
        assert_eq!((answer.head.status, answer.field("connection")), (404, closes.then_some("close")), "{body:?}");
        assert!(if closes { client.is_closed() } else { client.answer().head.status == 404 }, "{body:?}");
    }
}

#[test]
fn a_refusal_is_answered_in_the_format_that_is_asked_for_and_logged_as_a_request() {
    let proxy = choosy();
    let mut statuses = Vec::new();
    let large = format!("GET /shop HTTP/1.1\r\nHost: shop.example\r\nX-Large: {}\r\n", "x".repeat(140_000));
    let lengthy = format!("GET /{} HTTP/1.1\r\nHost: shop.example\r\n", "x".repeat(70_000));
    let made =
        [("a head that is too large", &*large, "\r\n", 431), ("a target that is too long", &*lengthy, "\r\n", 414)];
    for (what, before, behind, status) in REFUSED.iter().copied().chain(made) {
        for format in ["text/html", "application/problem+json", "application/json", "text/plain"] {
            let mut client = Client::connect(proxy.address());
            // For heads that are too large, the format has to stand before what is too large.
            let (line, fields) = before.split_once("\r\n").unwrap();
            client.wire.try_send(format!("{line}\r\n{}{fields}{behind}", accept(format))).ok();
            let answer = client.answer();
            let what = format!("{what}, {format}");
            let format = if status == 414 { "text/plain" } else { format };
            assert_eq!(answer.head.status, status, "{what}");
            assert!(answer.field("content-type").unwrap().starts_with(format), "{what}: {answer:?}");
            let said = format!("why502; error=http_request_error; status-code={status}");
            assert_eq!(answer.field("proxy-status"), Some(&*said), "{what}");
            assert_eq!(answer.field("cache-control"), Some("no-store"), "{what}");
            assert_eq!(answer.field("allow").is_some(), status == 405, "{what}");
            if format.ends_with("json") {
                let json = answer.json();
                assert_eq!((&json["type"], &json["status"]), (&"about:blank".into(), &status.into()), "{what}");
                assert!(json["fault"].is_null() && json["cause"].is_null(), "{what}: {json}");
            }
            if !matches!(status, 404 | 405 | 421) {
                assert_eq!(answer.field("connection"), Some("close"), "{what}");
                assert!(client.is_closed(), "{what}");
            }
            statuses.push(status);
        }
    }
    let log = proxy.stop().1;
    assert!(!log.iter().any(|line| line["event"] == "upstream_failure"), "{log:#?}");
    // The lines of several cores need not come in the order of the requests.
    let mut logged: Vec<_> =
        log.iter().filter(|line| line["event"] == "request").map(|line| line["status"].clone()).collect();
    logged.sort_by_key(Value::as_u64);
    statuses.sort_unstable();
    assert_eq!(logged, statuses);
}

#[test]
fn a_target_that_is_larger_than_a_whole_head_may_be_is_told_so() {
    let proxy = Proxy::run(&in_front_of(&["http://127.0.0.1:1"], "", ""));
    assert_eq!(get(proxy.address(), &format!("/{}", "x".repeat(70_000)), "").head.status, 414);
}

#[test]
fn a_refusal_repeats_nothing_that_the_client_sent() {
    let proxy = choosy();
    for request in [
        "GET /<script>alert(1)</script> HTTP/1.1\r\nHost: other.example\r\nX-Request-Id: <script>\r\n",
        "GET /x HTTP/1.1\r\nHost: <script>\r\n",
    ] {
        let mut client = Client::connect(proxy.address());
        client.send(format!("{request}{}Connection: close\r\n\r\n", accept("text/html")));
        let answer = client.answer();
        assert!(!answer.text().contains("<script"), "{request:?}");
        assert!(!answer.head.fields.iter().any(|(_, value)| value.contains("script")), "{request:?}");
    }
}

/// A proxy that serves one path of one host, and bodies of a million bytes.
fn choosy() -> Proxy {
    let configuration = in_front_of(
        &["http://127.0.0.1:1"],
        "",
        "[limits]\nrequest_body_bytes = \"1000000\"\nrequest_header_bytes = \"128KiB\"",
    );
    Proxy::run(&configuration.replace("[[route]]\n", "[[route]]\nhost = \"shop.example\"\npath = \"/shop\"\n"))
}
