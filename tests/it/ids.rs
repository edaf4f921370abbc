//! The ids by which a request is known: `X-Request-Id` and the trace that it belongs to.

use super::support::client::Answer;
use super::support::client::Client;
use super::support::client::get;
use super::support::origin::Origin;
use super::support::origin::Request;
use super::support::proxy::Proxy;
use super::support::proxy::in_front_of;

/// A proxy that believes its clients, and its origin.
fn trusting() -> (Proxy, Origin) {
    let origin = Origin::listen();
    let proxy = Proxy::run(&in_front_of(&[&origin.url], "", "[forwarding]\ntrusted_proxies = [\"127.0.0.1\"]"));
    (proxy, origin)
}

/// A GET with these lines, and what the origin and the client get.
fn exchange(proxy: &Proxy, origin: &Origin, fields: &str, answer: &str) -> (Request, Answer) {
    let mut client = Client::connect(proxy.address());
    client.send(format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n"));
    let mut conversation = origin.accept();
    let got = conversation.request();
    conversation.say(answer);
    drop(conversation);
    (got, client.answer())
}

const EMPTY: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";

#[test]
fn an_id_is_on_every_answer_and_in_every_line_and_the_origins_own_stays() {
    let (mut proxy, origin) = trusting();
    let (got, answer) = exchange(&proxy, &origin, "", EMPTY);
    let line = proxy.line("request");
    assert_eq!(got.field("x-request-id"), answer.field("x-request-id"));
    assert_eq!(line["request_id"].as_str(), answer.field("x-request-id"));

    let (got, answer) = exchange(&proxy, &origin, "X-Request-Id: edge-1\r\n", EMPTY);
    assert_eq!([got.field("x-request-id"), answer.field("x-request-id")], [Some("edge-1"); 2]);
    assert_eq!(proxy.line("request")["request_id"], "edge-1");

    let own = EMPTY.replace("Connection", "X-Request-Id: theirs\r\nConnection");
    let (_, answer) = exchange(&proxy, &origin, "", &own);
    assert_eq!(answer.field("x-request-id"), Some("theirs"));
}

#[test]
fn a_trusted_proxys_trace_goes_on_and_its_ids_are_in_every_line() {
    let (mut proxy, origin) = trusting();
    for (flags, passed) in [("00", "-00"), ("01", "-01"), ("03", "-03")] {
        let parent = format!("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-{flags}");
        let request = format!("traceparent: {parent}\r\ntracestate: a=1\r\ntracestate: b=2\r\n");
        let (got, _) = exchange(&proxy, &origin, &request, EMPTY);
        let sent = got.field("traceparent").unwrap();
        let [version, trace, span, _] = sent.split('-').collect::<Vec<_>>()[..] else { panic!("{sent}") };
        assert_eq!((version, trace), ("00", "4bf92f3577b34da6a3ce929d0e0e4736"));
        assert!(span != "00f067aa0ba902b7" && sent.ends_with(passed), "{sent}");
        let states: Vec<_> =
            got.fields.iter().filter(|(name, _)| name == "tracestate").map(|(_, value)| &**value).collect();
        assert_eq!(states, ["a=1", "b=2"]);
        let line = proxy.line("request");
        assert_eq!((&line["trace_id"], &line["span_id"]), (&trace.into(), &span.into()));
    }
    for wrong in ["traceparent: 00-00000000000000000000000000000000-00f067aa0ba902b7-01\r\n", "traceparent: x\r\n", ""]
    {
        let request = format!("{wrong}tracestate: a=1\r\n");
        let (got, _) = exchange(&proxy, &origin, &request, EMPTY);
        assert!(got.field("traceparent").is_some_and(|sent| sent.len() == 55 && sent.ends_with("-03")), "{wrong}");
        assert_eq!(got.field("tracestate"), None, "{wrong}");
    }
}

#[test]
fn a_failure_has_the_ids_of_its_request() {
    let mut proxy = Proxy::run(&in_front_of(&["http://127.0.0.1:1"], "", ""));
    get(proxy.address(), "/", "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n");
    let failure = proxy.line("upstream_failure");
    let request = proxy.line("request");
    for id in ["trace_id", "span_id", "request_id"] {
        assert!(failure[id].is_string() && failure[id] == request[id], "{id}: {failure:#} {request:#}");
    }
    assert_ne!(request["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736", "a stranger's trace ends here");
}
