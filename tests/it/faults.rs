//! One row a fault: met on real sockets by the real program, and what is said of it.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;

use serde_json::Value;

use why502::demo::origin::BROKEN;
use why502::demo::origin::PrivateDirectory;
use why502::demo::shown;
use why502::demo::viewer::Format;
use why502::demo::viewer::Viewer;
use why502::demo::visit::MOST_KEPT;
use why502::fault::Fault;

use super::support::Needs;
use super::support::can;
use super::support::client::Answer;
use super::support::client::Client;
use super::support::client::get;
use super::support::is_root;
use super::support::museum::Museum;
use super::support::origin::Origin;
use super::support::origin::Reserved;
use super::support::proxy::Proxy;
use super::support::proxy::in_front_of;

/// What is said of a failure, in the log and to a visitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Said<'s> {
    /// The row of the demo's table, or the path that leads to it.
    name: &'s str,
    fault: &'s str,
    stage: &'s str,
    /// With `[diagnosis] status = "standard"`; 200 where the head had gone out before.
    standard: u16,
    /// Our member of `Proxy-Status` behind its name; `CUT` where the head had gone out before.
    proxy_status: &'s str,
    /// The likeliest cause, as far as it can be told without a probe; where it depends on the machine, one of several.
    cause: &'s str,
}

const fn row<'s>(
    name: &'s str,
    fault: &'s str,
    stage: &'s str,
    standard: u16,
    proxy_status: &'s str,
    cause: &'s str,
) -> Said<'s> {
    Said { name, fault, stage, standard, proxy_status, cause }
}

/// The demo's origins, all of them.
#[rustfmt::skip] // A table is read in rows.
const ROWS: &[Said<'_>] = &[
    row("dns_name_not_found", "dns_name_not_found", "resolve", 502, r#"dns_error; rcode="NXDOMAIN""#, "dns"),
    row("dns_no_records", "dns_no_records", "resolve", 502, r#"dns_error; rcode="NOERROR""#, "dns"),
    row("dns_server_failure", "dns_server_failure", "resolve", 502, r#"dns_error; rcode="SERVFAIL"; info-code=22"#, "dns"),
    row("dns_server_failure_cut", "dns_server_failure", "resolve", 502, r#"dns_error; rcode="NOERROR""#, "dns"),
    row("dns_refused", "dns_refused", "resolve", 502, r#"dns_error; rcode="REFUSED"; info-code=18"#, "dns"),
    row("dns_timeout", "dns_timeout", "resolve", 504, "dns_timeout", "dns"),
    row("connection_refused", "connection_refused", "connect", 502, "connection_refused", NOBODY_ON_LOOPBACK),
    row("connection_refused_socket", "connection_refused", "connect", 502, "connection_refused", "origin_down"),
    row("connection_timed_out", "connection_timed_out", "connect", 504, "connection_timeout", "firewall"),
    row("network_unreachable", "network_unreachable", "connect", 502, "destination_ip_unroutable", "network"),
    row("socket_missing", "socket_missing", "connect", 503, "destination_unavailable", "origin_down"),
    row("socket_permission_denied", "socket_permission_denied", "connect", 503, "destination_unavailable", "faulty_proxy"),
    row("socket_backlog_full", "socket_backlog_full", "connect", 503, "destination_unavailable", "overload"),
    row("tls_certificate_expired", "tls_certificate_expired", "tls", 502, "tls_certificate_error", "tls"),
    row("tls_certificate_not_yet_valid", "tls_certificate_not_yet_valid", "tls", 502, "tls_certificate_error", "tls"),
    row("tls_certificate_wrong_name", "tls_certificate_wrong_name", "tls", 502, "tls_certificate_error", "tls"),
    row("tls_certificate_untrusted", "tls_certificate_untrusted", "tls", 502, "tls_certificate_error", "tls"),
    row("tls_certificate_self_signed", "tls_certificate_untrusted", "tls", 502, "tls_certificate_error", "tls"),
    row("tls_alert_client_certificate", "tls_alert", "tls", 502, "tls_alert_received; alert-id=116; alert-message=certificate_required", "tls"),
    row("tls_alert_unrecognized_name", "tls_alert", "tls", 502, "tls_alert_received; alert-id=112; alert-message=unrecognized_name", "tls"),
    row("tls_alert_handshake_failure", "tls_alert", "tls", 502, "tls_alert_received; alert-id=40; alert-message=handshake_failure", "tls"),
    row("tls_not_spoken", "tls_not_spoken", "tls", 502, "tls_protocol_error", "faulty_proxy"),
    row("tls_handshake_closed", "tls_handshake_closed", "tls", 502, "tls_protocol_error", "tls"),
    row("tls_handshake_timed_out", "tls_handshake_timed_out", "tls", 504, "tls_protocol_error", "faulty_proxy"),
    row("tls_protocol_error", "tls_protocol_error", "tls", 502, "tls_protocol_error", "tls"),
    row("request_send_timed_out", "request_send_timed_out", "send", 504, "connection_write_timeout", "application"),
    row("reset_while_sending", "reset_while_sending", "send", 502, "connection_terminated", "application"),
    row("response_timed_out", "response_timed_out", "response", 504, "http_response_timeout", "application"),
    row("response_timed_out_in_head", "response_timed_out", "response", 504, "http_response_timeout", "application"),
    row("closed_before_response", "closed_before_response", "response", 502, "connection_terminated", "application"),
    row("closed_in_head", "closed_before_response", "response", 502, "connection_terminated", "application"),
    row("closed_after_idle", "closed_before_response", "response", 502, "connection_terminated", RACE_OR_CRASH),
    row("reset_before_response", "reset_before_response", "response", 502, "connection_terminated", "application"),
    row("response_not_http_ssh", "response_not_http", "response", 502, "http_protocol_error", "faulty_proxy"),
    row("response_not_http_smtp", "response_not_http", "response", 502, "http_protocol_error", "faulty_proxy"),
    row("response_not_http_ftp", "response_not_http", "response", 502, "http_protocol_error", "faulty_proxy"),
    row("response_not_http_mysql", "response_not_http", "response", 502, "http_protocol_error", "faulty_proxy"),
    row("response_not_http_postgresql", "response_not_http", "response", 502, "http_protocol_error", "faulty_proxy"),
    row("response_not_http_redis", "response_not_http", "response", 502, "http_protocol_error", "faulty_proxy"),
    row("response_not_http_memcached", "response_not_http", "response", 502, "http_protocol_error", "faulty_proxy"),
    row("response_not_http_mqtt", "response_not_http", "response", 502, "http_protocol_error", "faulty_proxy"),
    row("response_not_http_fastcgi", "response_not_http", "response", 502, "http_protocol_error", "faulty_proxy"),
    row("response_not_http_tls", "response_not_http", "response", 502, "http_protocol_error", "faulty_proxy"),
    row("response_not_http_h2", "response_not_http", "response", 502, "http_protocol_error", "faulty_proxy"),
    row("response_not_http_1", "response_not_http", "response", 502, "http_protocol_error", "faulty_proxy"),
    row("response_not_http_09", "response_not_http", "response", 502, "http_protocol_error", "application"),
    row("response_malformed_status_line", "response_malformed", "response", 502, "http_protocol_error", "application"),
    row("response_malformed_lengths", "response_malformed", "response", 502, "http_protocol_error", "application"),
    row("response_malformed_coding", "response_malformed", "response", 502, "http_protocol_error; received-status=200", "application"),
    row("response_malformed_field", "response_malformed", "response", 502, "http_protocol_error", "application"),
    row("response_header_too_large", "response_header_too_large", "response", 502, "http_response_header_section_size; header-section-size=8192", "application"),
    row("h2_stream_refused", "h2_stream_refused", "response", 502, "http_protocol_error", "overload"),
    row("h2_stream_reset", "h2_stream_reset", "response", 502, "http_protocol_error", "application"),
    row("h2_connection_error", "h2_connection_error", "response", 502, "http_protocol_error", "overload"),
    row("upgrade_failed", "upgrade_failed", "response", 502, "http_upgrade_failed; received-status=101", "application"),
    row("response_truncated", "response_truncated", "body", 200, CUT, "application"),
    row("response_truncated_chunks", "response_truncated", "body", 200, CUT, "application"),
    row("response_body_timed_out", "response_body_timed_out", "body", 200, CUT, "application"),
    row("response_chunking_invalid", "response_chunking_invalid", "body", 200, CUT, "application"),
    row("response_chunking_invalid_at_once", "response_chunking_invalid", "body", 502, "http_response_transfer_coding; coding=chunked; received-status=200", "application"),
    row("no_healthy_server", "no_healthy_server", "gateway", 503, "destination_unavailable", "origin_down"),
    row("proxy_loop", "proxy_loop", "gateway", 502, "proxy_loop_detected", "faulty_proxy"),
    row("upstream_bad_gateway", "upstream_bad_gateway", "upstream", 502, "why502; received-status=502", "origin_down"),
    row("upstream_bad_gateway_chain", "upstream_bad_gateway", "upstream", 502, "why502; received-status=502", "dns"),
    row("upstream_unavailable", "upstream_unavailable", "upstream", 503, "why502; received-status=503", "origin_down"),
    row("upstream_unavailable_busy", "upstream_unavailable", "upstream", 503, "why502; received-status=503", "overload"),
    row("upstream_gateway_timeout", "upstream_gateway_timeout", "upstream", 504, "why502; received-status=504", "application"),
];

/// What the demo cannot show, met in a place of its own.
#[rustfmt::skip] // A table is read in rows.
const ELSEWHERE: &[Said<'_>] = &[
    row("unreachable_resolver", "dns_resolver_unreachable", "resolve", 502, "dns_error", "dns"),
    row("forbidden", "socket_permission_denied", "connect", 503, "destination_unavailable", "faulty_proxy"),
    row("descriptors", "file_descriptors_exhausted", "connect", 500, "proxy_internal_error", "faulty_proxy"),
    row("prohibited", "connection_prohibited", "connect", 502, "destination_ip_prohibited", "firewall"),
    row("unreachable", "host_unreachable", "connect", 502, "destination_ip_unroutable", "firewall"),
    row("no_route", "network_unreachable", "connect", 502, "destination_ip_unroutable", "network"),
    row("full", "server_at_capacity", "gateway", 503, "connection_limit_reached", "overload"),
    row("crowded", "local_ports_exhausted", "connect", 500, "proxy_internal_error", "faulty_proxy"),
];

/// Faults that no row leads to, and why.
const NOT_MET: &[(&str, &str)] = &[];

/// In place of a member of `Proxy-Status`, where the head had gone out before.
const CUT: &str = "cut";

/// On loopback, a container looks for its origin in itself, and anybody else finds it down.
const NOBODY_ON_LOOPBACK: &str = "origin_down|faulty_proxy";

/// On a used connection, an end at once is a race with its being closed, and a late one is the program's: a busy machine
/// makes the one look like the other.
const RACE_OR_CRASH: &str = "faulty_proxy|application";

#[test]
fn every_fault_has_a_row_or_a_reason_why_not() {
    let met: BTreeSet<&str> = ROWS.iter().chain(ELSEWHERE).map(|row| row.fault).collect();
    let not_met: BTreeSet<&str> = NOT_MET.iter().map(|(fault, _)| *fault).collect();
    assert_eq!(met.intersection(&not_met).count(), 0);
    assert_eq!(&met | &not_met, Fault::ALL.iter().map(|fault| fault.word()).collect());
    let shown: Vec<_> = BROKEN.iter().map(|row| (row.name, row.fault.unwrap().word())).collect();
    assert_eq!(ROWS.iter().map(|row| (row.name, row.fault)).collect::<Vec<_>>(), shown);
}

#[test]
fn each_fault_is_said_for_what_it_is() {
    check_the_demo("", |said| if said.proxy_status == CUT { 200 } else { 502 });
}

#[test]
fn each_fault_has_the_status_of_the_standard_where_that_is_wanted() {
    check_the_demo("status = \"standard\"", |said| said.standard);
}

#[test]
fn what_works_is_left_alone() {
    let museum = Museum::open("");
    let rows: Vec<_> = museum.rows().into_iter().filter(|row| row.fault.is_none()).collect();
    let visits: Vec<_> = rows.iter().map(|row| (*row, Viewer::Visitor, Format::Text)).collect();
    for (row, heard) in rows.iter().zip(museum.visit(&visits)) {
        let (answer, status) = match row.name {
            // What counts there are the frames behind the handshake.
            "websocket" => (&heard.before, "101"),
            "early_answer" => (&heard.answer, "413"),
            "early_hints" => (&heard.answer, "103"),
            _ => (&heard.answer, "200"),
        };
        let (head, _) = shown::split(answer).unwrap_or_else(|| panic!("{}: {heard:?}", row.name));
        assert_eq!((row.name, head.get(9..12)), (row.name, Some(status)));
        // Of a large answer only the beginning is kept.
        let missing = shown::missing(answer).filter(|_| answer.len() < MOST_KEPT);
        assert_eq!((row.name, missing), (row.name, None));
        assert_eq!((row.name, shown::field(&head, "proxy-status")), (row.name, None));
    }
    let log = museum.close();
    let healthy = |line: &&Value| line["route"].as_str().is_some_and(|route| route.contains("/healthy/"));
    assert_eq!(log.iter().filter(healthy).count(), 0, "{log:#?}");
}

/// Visits each row of the demo that fails once, and compares all that is said of it.
fn check_the_demo(diagnosis: &str, status: fn(&Said<'_>) -> u16) {
    let museum = Museum::open(diagnosis);
    let rows: Vec<_> = museum.rows().into_iter().filter(|row| row.fault.is_some()).collect();
    let visits: Vec<_> = rows.iter().map(|row| (*row, Viewer::Visitor, Format::Json)).collect();
    let answers = museum.visit(&visits);
    let lines = lines_by_path(museum.close());
    let mut wrong = Vec::new();
    for (row, answer) in rows.iter().zip(&answers) {
        let expected = ROWS.iter().find(|said| said.name == row.name).unwrap();
        let (head, _) = shown::split(&answer.answer).unwrap_or_default();
        let line = lines.get(&row.path()).unwrap_or(&Value::Null);
        let said = (head.get(9..12).unwrap_or_default(), shown::field(&head, "proxy-status").unwrap_or(CUT));
        wrong.extend(differences(expected, status(expected), said, line));
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// The last line of a failure of each route, by its path.
fn lines_by_path(log: Vec<Value>) -> BTreeMap<String, Value> {
    let failures = log.into_iter().filter(|line| line["event"] == "upstream_failure");
    failures.map(|line| (line["route"].as_str().unwrap().trim_start_matches('*').to_owned(), line)).collect()
}

/// What is said otherwise than expected, in a line each.
fn differences(expected: &Said<'_>, status: u16, (met, proxy_status): (&str, &str), line: &Value) -> Option<String> {
    let told = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
    let told_cause = told("cause");
    let cause = expected.cause.split('|').find(|cause| *cause == told_cause).unwrap_or(expected.cause);
    let wanted = format!("{status} {} {} {cause} {}", expected.fault, expected.stage, expected.proxy_status);
    let proxy_status = proxy_status.trim_start_matches("why502; error=");
    let got = format!("{met} {} {} {} {proxy_status}", told("fault"), told("stage"), told_cause);
    (got != wanted).then(|| format!("{}\n  expected {wanted}\n  but met  {got}\n  {}", expected.name, told("detail")))
}

/// The same for a row of `ELSEWHERE` and one answer.
fn check(name: &str, answer: &Answer, proxy: &mut Proxy) {
    let expected = ELSEWHERE.iter().find(|said| said.name == name).unwrap();
    let line = proxy.line("upstream_failure");
    let said = (answer.head.status.to_string(), answer.field("proxy-status").unwrap_or_default());
    let wrong = differences(expected, expected.standard, (&said.0, said.1), &line);
    assert!(wrong.is_none(), "\n{}", wrong.unwrap_or_default());
}

#[test]
fn a_name_server_that_is_not_there_is_unreachable() {
    let dns = format!("{STANDARD}\n[dns]\nservers = [\"127.0.0.1:1\"]");
    let mut proxy = Proxy::run(&in_front_of(&["http://shop.internal"], "", &dns));
    let answer = get(proxy.address(), "/", "");
    check("unreachable_resolver", &answer, &mut proxy);
}

#[test]
fn a_socket_that_may_not_be_written_to_is_said_to_be_so() {
    // Root may write to every file, but for this capability.
    let wrapper: &[&str] = if is_root() { &["setpriv", "--bounding-set=-dac_override"] } else { &[] };
    if is_root()
        && !can(
            "a socket that may not be written to",
            Needs::Command(&["setpriv", "--bounding-set=-dac_override", "true"]),
        )
    {
        return;
    }
    let directory = PrivateDirectory::new().unwrap();
    let path = directory.file("app.sock");
    let _listener = UnixListener::bind(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    let server = format!("unix:{}", path.display());
    let mut proxy = Proxy::run_under(wrapper, directory, &in_front_of(&[&server], "", STANDARD));
    let answer = get(proxy.address(), "/", "");
    check("forbidden", &answer, &mut proxy);
}

#[test]
fn a_server_that_has_all_that_it_may_have_is_said_to_be_full() {
    let origin = Origin::listen();
    let mut proxy = Proxy::run(&in_front_of(&[&origin.url], "limits.in_flight = 1", STANDARD));
    let mut first = Client::connect(proxy.address());
    first.send("GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n");
    let mut conversation = origin.accept();
    conversation.request();
    let answer = get(proxy.address(), "/", "");
    check("full", &answer, &mut proxy);
}

#[test]
fn running_out_of_descriptors_is_this_hosts_own_fault_and_passes() {
    let closed = Reserved::port();
    let configuration = in_front_of(&[&closed.url()], "", &format!("{STANDARD}\n[runtime]\nworkers = 1"));
    let wrapper = ["sh", "-c", "ulimit -n 40; exec \"$0\" \"$@\""];
    let mut proxy = Proxy::run_under(&wrapper, PrivateDirectory::new().unwrap(), &configuration);
    // Whoever has begun the next request does not make way for others.
    let ask = |client: &mut Client| {
        let request = "GET / HTTP/1.1\r\nHost: shop.example\r\nAccept: application/json\r\n\r\nGET / HTTP/1.1\r\n";
        client.send(request);
        client.answer()
    };
    // Each client takes a descriptor and keeps it, until there is none left to connect with.
    let mut clients = Vec::new();
    let answer = loop {
        assert!(clients.len() < 40, "the limit was not met");
        let mut client = Client::connect(proxy.address());
        let answer = ask(&mut client);
        clients.push(client);
        if answer.json()["fault"] == "file_descriptors_exhausted" {
            break answer;
        }
        assert_eq!(proxy.line("upstream_failure")["fault"], "connection_refused");
    };
    check("descriptors", &answer, &mut proxy);
    // One more client cannot even be let in, until another one leaves.
    let mut waiting = Client::connect(proxy.address());
    waiting.send("GET / HTTP/1.1\r\nHost: shop.example\r\nAccept: application/json\r\n\r\n");
    assert!(proxy.line("notice")["message"].as_str().unwrap().contains("cannot accept connections"));
    clients.clear();
    assert_eq!(waiting.answer().json()["fault"], "connection_refused");
}

#[test]
fn what_the_kernel_forbids_or_lacks_is_told_apart() {
    if !can("what only a network of its own can show", Needs::Command(&["unshare", "-rn", "sh", "-c", NETWORK, "true"]))
    {
        return;
    }
    let directory = PrivateDirectory::new().unwrap();
    let listener = directory.file("proxy.sock");
    let upstreams = [
        ("prohibited", "203.0.113.1"),
        ("unreachable", "203.0.113.200"),
        ("no_route", "192.0.2.1"),
        ("crowded", "198.51.100.2"),
    ];
    let mut configuration = format!("[[listener]]\naddress = \"unix:{}\"\n{STANDARD}\n", listener.display());
    for (name, address) in upstreams {
        configuration.extend([
            format!("[[route]]\npath = \"/{name}\"\nupstream = \"{name}\"\n"),
            format!("[[upstream]]\nname = \"{name}\"\nservers = [\"http://{address}\"]\ntimeouts.connect = \"1s\"\n"),
        ]);
    }
    let mut proxy = Proxy::run_under(&["unshare", "-rn", "sh", "-c", NETWORK], directory, &configuration);
    for name in ["prohibited", "unreachable", "no_route"] {
        let answer = ask_through(&listener, name).answer();
        check(name, &answer, &mut proxy);
    }
    // There is one local port. Whoever gets it holds it until the limit for connecting ends that.
    let mut clients = [ask_through(&listener, "crowded"), ask_through(&listener, "crowded")];
    let answers = clients.each_mut().map(Client::answer);
    let without = answers.iter().find(|answer| answer.head.status == 500).expect("one of them gets no port");
    check("crowded", without, &mut proxy);
    assert_eq!(proxy.line("upstream_failure")["fault"], "connection_timed_out");
}

fn ask_through(listener: &Path, path: &str) -> Client {
    let mut client = Client::connect_to_socket(listener);
    client.send(format!("GET /{path} HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n"));
    client
}

/// Without checks: the causes of the table are those that the failure alone shows.
const STANDARD: &str = "[diagnosis]\nstatus = \"standard\"\nprobes = false";

/// A network of its own: one that is prohibited, one whose hosts are unreachable, one that swallows everything, one port to
/// connect from. What follows is run in it.
const NETWORK: &str = "set -e; ip link set lo up; ip route add prohibit 203.0.113.0/25; \
    ip route add unreachable 203.0.113.128/25; ip route add 198.51.100.0/24 dev lo; \
    echo 40000 40000 > /proc/sys/net/ipv4/ip_local_port_range; exec \"$0\" \"$@\"";
