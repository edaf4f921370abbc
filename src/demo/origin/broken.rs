//! Owns the table of the origins that fail: one row for each way, in the order in which an exchange passes its stages.

use std::time::Duration;

use super::Act;
use super::Act::ReadHead;
use super::Act::ReadSome;
use super::Act::Say;
use super::Ask;
use super::Credentials;
use super::Manner;
use super::Row;
use super::Way;
use super::name_server;
use crate::fault::Fault;

/// Every origin that fails.
#[rustfmt::skip] // A table is read in rows.
pub const BROKEN: &[Row] = &[
    // Resolve.
    Row::broken("dns_name_not_found", Fault::DnsNameNotFound, Way::Name(name_server::MISSING), "The origin's name does not exist, as after a typing mistake."),
    Row::broken("dns_no_records", Fault::DnsNoRecords, Way::Name(name_server::EMPTY), "The name exists, but it has no address."),
    Row::broken("dns_server_failure", Fault::DnsServerFailure, Way::Name(name_server::FAILING), "The name server fails, and says why in an extended error."),
    Row::broken("dns_server_failure_cut", Fault::DnsServerFailure, Way::Name(name_server::CUT), "The answer is too long for UDP, and the name server refuses TCP."),
    Row::broken("dns_refused", Fault::DnsRefused, Way::Name(name_server::REFUSED), "The name server does not answer this proxy."),
    Row::broken("dns_timeout", Fault::DnsTimeout, Way::Name(name_server::SILENT), "The name server does not answer at all.").with(&["timeouts.resolve = \"1s\""]),
    // Connect.
    Row::broken("connection_refused", Fault::ConnectionRefused, Way::ClosedPort, "Nothing listens on the port."),
    Row::broken("connection_refused_socket", Fault::ConnectionRefused, Way::SocketAbandoned, "The unix socket is there, but its program has gone."),
    Row::broken("connection_timed_out", Fault::ConnectionTimedOut, Way::FullPort, "The queue of new connections is full, and the kernel drops what comes on top.").with(&["timeouts.connect = \"1s\""]),
    Row::broken("network_unreachable", Fault::NetworkUnreachable, Way::NoRoute, "No connection can be made to the address: it stands for a whole network."),
    Row::broken("socket_missing", Fault::SocketMissing, Way::SocketMissing, "The unix socket does not exist."),
    Row::broken("socket_permission_denied", Fault::SocketPermissionDenied, Way::SocketForbidden, "The proxy may not write to the unix socket."),
    Row::broken("socket_backlog_full", Fault::SocketBacklogFull, Way::SocketFull, "The unix socket's queue of new connections is full."),
    // TLS.
    Row::broken("tls_certificate_expired", Fault::TlsCertificateExpired, Way::Tls(Credentials::Expired, Manner::Hello), "The certificate ran out in 2024."),
    Row::broken("tls_certificate_not_yet_valid", Fault::TlsCertificateNotYetValid, Way::Tls(Credentials::NotYetValid, Manner::Hello), "The certificate begins in 2099; or this machine's clock is wrong."),
    Row::broken("tls_certificate_wrong_name", Fault::TlsCertificateWrongName, Way::Tls(Credentials::WrongName, Manner::Hello), "The certificate is for elsewhere.why502.test."),
    Row::broken("tls_certificate_untrusted", Fault::TlsCertificateUntrusted, Way::Tls(Credentials::UnknownIssuer, Manner::Hello), "An authority that nobody knows has signed the certificate."),
    Row::broken("tls_certificate_self_signed", Fault::TlsCertificateUntrusted, Way::Tls(Credentials::SelfSigned, Manner::Hello), "The certificate is signed by itself."),
    Row::broken("tls_alert_client_certificate", Fault::TlsAlert, Way::Tls(Credentials::MutualTls, Manner::Hello), "The server wants a client certificate, and the proxy has none."),
    Row::broken("tls_alert_unrecognized_name", Fault::TlsAlert, Way::NotTls(&[ReadSome, Say(b"\x15\x03\x03\0\x02\x02\x70"), Act::Wait]), "The server does not know the name that it is asked for (SNI)."),
    Row::broken("tls_alert_handshake_failure", Fault::TlsAlert, Way::NotTls(&[ReadSome, Say(b"\x15\x03\x03\0\x02\x02\x28"), Act::Wait]), "The two have no cipher in common."),
    Row::broken("tls_not_spoken", Fault::TlsNotSpoken, Way::NotTls(&[ReadSome, Say(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"), Act::Wait]), "The port speaks plain HTTP, and TLS was asked for."),
    Row::broken("tls_handshake_closed", Fault::TlsHandshakeClosed, Way::NotTls(&[ReadSome]), "The server hangs up in the middle of the handshake."),
    Row::broken("tls_handshake_timed_out", Fault::TlsHandshakeTimedOut, Way::NotTls(&[Act::Wait]), "The server accepts the connection and says nothing.").with(&["timeouts.tls = \"1s\""]),
    Row::broken("tls_protocol_error", Fault::TlsProtocolError, Way::NotTls(&[ReadSome, Say(b"\x16\x03\x03\0\x04\x02\0\0\0"), Act::Wait]), "The handshake begins like TLS and goes on as nonsense."),
    // Send.
    Row::broken("request_send_timed_out", Fault::RequestSendTimedOut, Way::DeafPort, "The origin stops reading in the middle of an upload.").asked(Ask::Upload).with(&["timeouts.send = \"1s\""]),
    Row::broken("reset_while_sending", Fault::ResetWhileSending, script(&[Act::Read(64 * 1024), Act::Reset]), "The origin cuts the connection in the middle of an upload.").asked(Ask::Upload),
    // Response.
    Row::broken("response_timed_out", Fault::ResponseTimedOut, script(&[Act::Wait]), "The origin takes the request and never answers.").with(&["timeouts.response = \"1s\""]),
    Row::broken("response_timed_out_in_head", Fault::ResponseTimedOut, script(&[ReadHead, Say(b"HTTP/1.1 200 OK\r\n"), Act::Drip(b"X-Slow: y\r\n", 100, Duration::from_millis(100))]), "The head of the answer comes line by line and has no end.").with(&["timeouts.response = \"1s\""]),
    Row::broken("closed_before_response", Fault::ClosedBeforeResponse, script(&[ReadHead]), "The origin takes the request and hangs up without a word."),
    Row::broken("closed_in_head", Fault::ClosedBeforeResponse, script(&[ReadHead, Say(b"HTTP/1.1 200 OK\r\nContent-Ty")]), "The origin hangs up in the middle of the head."),
    Row::broken("closed_after_idle", Fault::ClosedBeforeResponse, script(&[ReadHead, Say(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n"), ReadHead]), "The origin hangs up on the second request of a connection; a POST must not be sent twice.").asked(Ask::PostAfterGet),
    Row::broken("reset_before_response", Fault::ResetBeforeResponse, script(&[ReadHead, Act::Reset]), "The origin takes the request and resets the connection."),
    Row::broken("response_not_http_ssh", Fault::ResponseNotHttp, script(&[Say(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"), Act::Wait]), "An SSH server is behind the port."),
    Row::broken("response_not_http_smtp", Fault::ResponseNotHttp, script(&[Say(b"220 mail.why502.test ESMTP Postfix\r\n"), Act::Wait]), "A mail server is behind the port."),
    Row::broken("response_not_http_ftp", Fault::ResponseNotHttp, script(&[Say(b"220 (vsFTPd 3.0.3)\r\n"), Act::Wait]), "An FTP server is behind the port."),
    Row::broken("response_not_http_mysql", Fault::ResponseNotHttp, script(&[Say(b"\x4a\0\0\0\x0a8.0.36\0\x08\0\0\0\x1f\x2b\x3d\x01\x02\x03\x04\x05\0\xff\xff\xff\x02\0\xff\xdf\x15"), Act::Wait]), "A MySQL server is behind the port."),
    Row::broken("response_not_http_postgresql", Fault::ResponseNotHttp, script(&[ReadHead, Say(b"E\0\0\0\x35SFATAL\0C08P01\0Minvalid length of startup packet\0\0"), Act::Wait]), "A PostgreSQL server is behind the port."),
    Row::broken("response_not_http_redis", Fault::ResponseNotHttp, script(&[ReadHead, Say(b"-ERR unknown command 'GET', with args beginning with: '/' 'HTTP/1.1' \r\n"), Act::Wait]), "A Redis server is behind the port."),
    Row::broken("response_not_http_memcached", Fault::ResponseNotHttp, script(&[ReadHead, Say(b"ERROR\r\nERROR\r\n"), Act::Wait]), "A memcached server is behind the port."),
    Row::broken("response_not_http_mqtt", Fault::ResponseNotHttp, script(&[ReadHead, Say(b"\x20\x02\0\x01"), Act::Wait]), "An MQTT broker is behind the port."),
    Row::broken("response_not_http_fastcgi", Fault::ResponseNotHttp, script(&[ReadHead, Say(b"\x01\x0b\0\0\0\x08\0\0\x47\0\0\0\0\0\0\0"), Act::Wait]), "FastCGI is spoken behind the port, as by PHP-FPM."),
    Row::broken("response_not_http_tls", Fault::ResponseNotHttp, script(&[ReadHead, Say(b"\x15\x03\x01\0\x02\x02\x46"), Act::Wait]), "The port wants TLS, and plain HTTP was spoken."),
    Row::broken("response_not_http_h2", Fault::ResponseNotHttp, script(&[ReadHead, Say(b"\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x80"), Act::Wait]), "The port speaks HTTP/2 only."),
    Row::broken("response_not_http_1", Fault::ResponseNotHttp, script(&[ReadHead, Say(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"), Act::Wait]), "The port speaks HTTP/1 only, and HTTP/2 was spoken.").with(OVER_H2),
    Row::broken("response_not_http_09", Fault::ResponseNotHttp, script(&[ReadHead, Say(b"<html><body>It works.</body></html>\n")]), "A document comes without a head, as in HTTP/0.9."),
    Row::broken("response_malformed_status_line", Fault::ResponseMalformed, script(&[ReadHead, Say(b"HTTP/1.1 twohundred OK\r\n\r\n"), Act::Wait]), "The status is not a number."),
    Row::broken("response_malformed_lengths", Fault::ResponseMalformed, script(&[ReadHead, Say(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 7\r\n\r\nhello"), Act::Wait]), "The answer has two lengths."),
    Row::broken("response_malformed_coding", Fault::ResponseMalformed, script(&[ReadHead, Say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"), Act::Wait]), "The answer is chunked twice."),
    Row::broken("response_malformed_field", Fault::ResponseMalformed, script(&[ReadHead, Say(b"HTTP/1.1 200 OK\r\nno colon here\r\nContent-Length: 2\r\n\r\nok"), Act::Wait]), "A line of the head is no field."),
    Row::broken("response_header_too_large", Fault::ResponseHeaderTooLarge, script(&[ReadHead, Say(b"HTTP/1.1 200 OK\r\nSet-Cookie: session="), Say(&[b'x'; 16 * 1024]), Act::Wait]), "A cookie is larger than the limit for the whole head.").with(&["limits.response_header_bytes = \"8KiB\""]),
    Row::broken("h2_stream_refused", Fault::H2StreamRefused, script(&[ReadHead, Say(H2_GREETING), H2_GREETED, Say(H2_REFUSES), Act::Wait]), "The origin has as many HTTP/2 streams as it wants, and refuses another.").with(OVER_H2),
    Row::broken("h2_stream_reset", Fault::H2StreamReset, script(&[ReadHead, Say(H2_GREETING), H2_GREETED, Say(H2_RESETS), Act::Wait]), "The origin takes the HTTP/2 stream, fails, and resets it.").with(OVER_H2),
    Row::broken("h2_connection_error", Fault::H2ConnectionError, script(&[ReadHead, Say(H2_GREETING), H2_GREETED, Say(b"\0\0\x19\x07\0\0\0\0\0\0\0\0\0\0\0\0\x0btoo_many_requests")]), "The origin ends the whole HTTP/2 connection and asks for calm.").with(OVER_H2),
    Row::broken("upgrade_failed", Fault::UpgradeFailed, script(&[ReadHead, Say(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n"), Act::Wait]), "The origin switches to a protocol that nobody asked for."),
    // Body.
    Row::broken("response_truncated", Fault::ResponseTruncated, script(&[ReadHead, Say(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1000\r\n\r\nThe beginning of an answer,\n"), BREATH]), "A thousand bytes are announced, and 28 come."),
    Row::broken("response_truncated_chunks", Fault::ResponseTruncated, script(&[ReadHead, Say(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n1c\r\nThe beginning of an answer,\n\r\n"), BREATH]), "The chunk that says the end never comes."),
    Row::broken("response_body_timed_out", Fault::ResponseBodyTimedOut, script(&[ReadHead, Say(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1000\r\n\r\nThe beginning of an answer,\n"), Act::Wait]), "The answer stops in the middle, and the connection stays open.").with(&["timeouts.body = \"1s\""]),
    Row::broken("response_chunking_invalid", Fault::ResponseChunkingInvalid, script(&[ReadHead, Say(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n1c\r\nThe beginning of an answer,\n\r\n"), BREATH, Say(b"what?\r\n"), Act::Wait]), "The size of a chunk is not a number, after the answer has begun."),
    Row::broken("response_chunking_invalid_at_once", Fault::ResponseChunkingInvalid, script(&[ReadHead, Say(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\nwhat?\r\n"), Act::Wait]), "The same in the first chunk, early enough for a page."),
    // Gateway.
    Row::broken("no_healthy_server", Fault::NoHealthyServer, Way::TwoClosedPorts, "Both servers have failed before and are left alone for a while.").with(&["ejection.after = 1", "ejection.base_time = \"1h\"", "ejection.max_share = 1.0"]).after(2),
    Row::broken("proxy_loop", Fault::ProxyLoop, Way::Proxy, "The upstream's address leads back to this proxy."),
    // Upstream.
    Row::broken("upstream_bad_gateway", Fault::UpstreamBadGateway, script(&[ReadHead, Say(NGINX_502), Act::Wait]), "The origin is an nginx that answers 502 at once, for nothing listens behind it.").with(INTERCEPT),
    Row::broken("upstream_bad_gateway_chain", Fault::UpstreamBadGateway, script(&[ReadHead, Say(b"HTTP/1.1 502 Bad Gateway\r\nProxy-Status: why502; error=dns_error; rcode=\"NXDOMAIN\"\r\nContent-Length: 0\r\n\r\n"), Act::Wait]), "The origin is another why502, which says that a name behind it leads nowhere.").with(INTERCEPT),
    Row::broken("upstream_unavailable", Fault::UpstreamUnavailable, script(&[ReadHead, Say(b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n<html><body><h1>503 Service Unavailable</h1>\nNo server is available to handle this request.\n</body></html>\n")]), "The origin is an HAProxy that has taken out every server behind it.").with(INTERCEPT),
    Row::broken("upstream_unavailable_busy", Fault::UpstreamUnavailable, script(&[ReadHead, Say(b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nRetry-After: 5\r\nContent-Length: 44\r\n\r\nserver busy: too many requests in flight now"), Act::Wait]), "The application has too much to do, says so, and says when to come back.").with(INTERCEPT),
    Row::broken("upstream_gateway_timeout", Fault::UpstreamGatewayTimeout, script(&[ReadHead, Act::Pause(Duration::from_secs(1)), Say(b"HTTP/1.1 504 Gateway Time-out\r\nServer: nginx\r\nContent-Type: text/html\r\nContent-Length: 0\r\n\r\n"), Act::Wait]), "The origin is an nginx that has waited for an application and gives up.").with(INTERCEPT),
];

/// The faults that no row shows, with the reason, each a sentence for the start page.
pub const LEFT_OUT: &[(Fault, &str)] = &[
    (
        Fault::DnsResolverUnreachable,
        "It takes a network without a name server, and the demo's has one for its other names.",
    ),
    (Fault::HostUnreachable, "Only a router or a silent neighbour makes it, and loopback has neither."),
    (Fault::ConnectionProhibited, "It takes a rule of the kernel's firewall, which only root may set."),
    (Fault::LocalPortsExhausted, "It would take every port of this machine."),
    (Fault::FileDescriptorsExhausted, "It would take every file descriptor of the demo itself."),
    (Fault::ServerAtCapacity, "It takes two visitors at once, one of whom is in the other one's way."),
];

/// What an upstream of HTTP/2 is told.
const OVER_H2: &[&str] = &["protocol = \"h2\""];
/// Settings that allow one stream, and a PING, as frames. Where the PING has come back, the request has come too.
const H2_GREETING: &[u8] = b"\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x01\0\0\x08\x06\0\0\0\0\0why502hi";
/// GOAWAY without an error, so that each request has a connection of its own; then the stream is refused, or reset.
const H2_REFUSES: &[u8] = b"\0\0\x08\x07\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\x04\x03\0\0\0\0\x01\0\0\0\x07";
const H2_RESETS: &[u8] = b"\0\0\x08\x07\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\x04\x03\0\0\0\0\x01\0\0\0\x02";
const H2_GREETED: Act = Act::ReadUntil(b"why502hi");

const fn script(acts: &'static [Act]) -> Way {
    Way::Tcp(Manner::Script(acts))
}

/// Answers of the origin itself are passed on where nothing else is said.
const INTERCEPT: &[&str] = &["intercept = [502, 503, 504]"];

/// nginx's own page.
const NGINX_502: &[u8] =
    b"HTTP/1.1 502 Bad Gateway\r\nServer: nginx/1.28.0\r\nContent-Type: text/html\r\nContent-Length: 157\r\n\r\n\
    <html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n\
    <hr><center>nginx/1.28.0</center>\r\n</body>\r\n</html>\r\n";

/// Long enough for what was said to have been passed on, so that the answer's head is out when the rest fails.
const BREATH: Act = Act::Pause(Duration::from_millis(300));

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::io;
    use std::sync::Arc;
    use std::time::Duration;

    use rustls::ClientConfig;
    use rustls::RootCertStore;
    use rustls_pki_types::CertificateDer;
    use rustls_pki_types::ServerName;
    use rustls_pki_types::pem::PemObject;
    use tokio::io::AsyncReadExt;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpStream;
    use tokio::net::UnixStream;
    use tokio::time::timeout;
    use tokio_rustls::TlsConnector;

    use super::BROKEN;
    use super::LEFT_OUT;
    use crate::demo::origin::Origin;
    use crate::demo::origin::Workshop;
    use crate::demo::origin::certificates::SERVER_NAME;
    use crate::fault::Fault;
    use crate::fault::Spoken;
    use crate::fault::Stage;

    #[test]
    fn every_fault_has_a_row_or_a_reason_why_not() {
        let shown: BTreeSet<Fault> = BROKEN.iter().filter_map(|row| row.fault).collect();
        let left_out: BTreeSet<Fault> = LEFT_OUT.iter().map(|(fault, _)| *fault).collect();
        assert_eq!(shown.intersection(&left_out).count(), 0);
        assert_eq!(&shown | &left_out, BTreeSet::from(Fault::ALL));
    }

    #[test]
    fn rows_have_names_of_their_own_and_stand_by_stage() {
        let names: BTreeSet<&str> = BROKEN.iter().map(|row| row.name).collect();
        assert_eq!(names.len(), BROKEN.len());
        let stages: Vec<Stage> = BROKEN.iter().filter_map(|row| row.fault.map(Fault::stage)).collect();
        assert!(stages.is_sorted());
    }

    fn started(name: &str) -> (Origin, Workshop) {
        let workshop = Workshop::open(([127, 0, 0, 1], 1).into()).unwrap();
        let row = BROKEN.iter().find(|row| row.name == name).unwrap();
        (row.start(&workshop).unwrap(), workshop)
    }

    /// What a client meets that connects to the row's origin and sends this.
    async fn met(name: &'static str, sent: Vec<u8>) -> (String, Vec<u8>) {
        let (origin, _workshop) = started(name);
        let address = origin.url().split_once("//").unwrap().1.to_owned();
        let Ok(connected) = timeout(Duration::from_millis(300), TcpStream::connect(address)).await else {
            return ("no connection".to_owned(), Vec::new());
        };
        let mut stream = match connected {
            Ok(stream) => stream,
            Err(error) => return (error.kind().to_string(), Vec::new()),
        };
        stream.write_all(&sent).await.unwrap();
        let mut answer = Vec::new();
        let ending = match timeout(Duration::from_millis(600), stream.read_to_end(&mut answer)).await {
            Err(_) => "stays open".to_owned(),
            Ok(Ok(_)) => "closed".to_owned(),
            Ok(Err(error)) => error.kind().to_string(),
        };
        (ending, answer)
    }

    #[tokio::test]
    async fn each_origin_fails_in_its_own_way_on_the_wire() {
        const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
        let upload = &[GET, &vec![0; 64 * 1024]].concat();
        let stories = [
            ("connection_refused", GET, "connection refused", ""),
            ("connection_timed_out", GET, "no connection", ""),
            ("network_unreachable", GET, "network unreachable", ""),
            ("tls_alert_unrecognized_name", GET, "stays open", "\x15\x03\x03\0\x02\x02\x70"),
            ("tls_not_spoken", GET, "stays open", "HTTP/1.1 400"),
            ("tls_handshake_closed", GET, "closed", ""),
            ("tls_handshake_timed_out", GET, "stays open", ""),
            ("request_send_timed_out", GET, "stays open", ""),
            ("reset_while_sending", upload, "connection reset", ""),
            ("response_timed_out", GET, "stays open", ""),
            ("response_timed_out_in_head", GET, "stays open", "HTTP/1.1 200 OK\r\nX-Slow: y\r\nX-Slow: y\r\n"),
            ("closed_before_response", GET, "closed", ""),
            ("closed_in_head", GET, "closed", "HTTP/1.1 200 OK\r\nContent-Ty"),
            ("closed_after_idle", GET, "stays open", "HTTP/1.1 200 OK"),
            ("reset_before_response", GET, "connection reset", ""),
            ("response_malformed_lengths", GET, "stays open", "HTTP/1.1 200 OK\r\nContent-Length: 5"),
            ("response_truncated", GET, "closed", "HTTP/1.1 200 OK"),
            ("response_truncated_chunks", GET, "closed", "HTTP/1.1 200 OK"),
            ("response_body_timed_out", GET, "stays open", "HTTP/1.1 200 OK"),
            ("response_chunking_invalid", GET, "stays open", "HTTP/1.1 200 OK"),
        ];
        // All at once, since many of them are known only by what does not come for a while.
        let meetings = stories.map(|(name, sent, ..)| tokio::spawn(met(name, sent.to_vec())));
        for ((name, _, ending, begins), meeting) in stories.into_iter().zip(meetings) {
            let (met, answer) = meeting.await.unwrap();
            let answer = String::from_utf8_lossy(&answer).into_owned();
            assert_eq!((name, met.as_str()), (name, ending), "{answer}");
            assert!(if begins.is_empty() { answer.is_empty() } else { answer.starts_with(begins) }, "{name}: {answer}");
        }
    }

    #[tokio::test]
    async fn a_used_connection_is_hung_up_on_at_its_second_request() {
        let (origin, _workshop) = started("closed_after_idle");
        let mut stream = TcpStream::connect(origin.url().strip_prefix("http://").unwrap()).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        let mut first = [0; 44];
        stream.read_exact(&mut first).await.unwrap();
        assert!(first.ends_with(b"\r\n\r\nhello\n"));
        stream.write_all(b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi").await.unwrap();
        assert_eq!(stream.read(&mut first).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn what_speaks_instead_of_http_is_recognised_by_its_first_bytes() {
        let stories = [
            ("response_not_http_ssh", Spoken::Ssh),
            ("response_not_http_smtp", Spoken::Smtp),
            ("response_not_http_ftp", Spoken::Ftp),
            ("response_not_http_mysql", Spoken::Mysql),
            ("response_not_http_postgresql", Spoken::Postgresql),
            ("response_not_http_redis", Spoken::Redis),
            ("response_not_http_memcached", Spoken::Memcached),
            ("response_not_http_mqtt", Spoken::Mqtt),
            ("response_not_http_fastcgi", Spoken::FastCgi),
            ("response_not_http_tls", Spoken::TlsAlert),
            ("response_not_http_h2", Spoken::Http2),
            ("response_not_http_1", Spoken::Http1),
            ("response_not_http_09", Spoken::Http09),
        ];
        let meetings = stories.map(|(name, _)| tokio::spawn(met(name, b"GET / HTTP/1.1\r\n\r\n".to_vec())));
        for ((name, spoken), meeting) in stories.into_iter().zip(meetings) {
            let (_, answer) = meeting.await.unwrap();
            assert_eq!((name, Spoken::recognise(&answer)), (name, Some(spoken)));
        }
    }

    #[tokio::test]
    async fn each_socket_fails_in_its_own_way() {
        for (name, expected) in [
            ("connection_refused_socket", io::ErrorKind::ConnectionRefused),
            ("socket_missing", io::ErrorKind::NotFound),
            ("socket_backlog_full", io::ErrorKind::WouldBlock),
        ] {
            let (origin, _workshop) = started(name);
            let error = UnixStream::connect(origin.url().strip_prefix("unix:").unwrap()).await.unwrap_err();
            assert_eq!((name, error.kind()), (name, expected));
        }
    }

    /// What a client says that trusts the demo's authority and nobody else.
    async fn handshake(name: &str) -> String {
        let (origin, workshop) = started(name);
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(workshop.authority.file()).unwrap()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let stream = TcpStream::connect(origin.url().strip_prefix("https://").unwrap()).await.unwrap();
        let server = ServerName::try_from(SERVER_NAME).unwrap();
        let shaken = async {
            let mut stream = TlsConnector::from(Arc::new(config)).connect(server, stream).await?;
            // With TLS 1.3 a server refuses a client only after the client has finished its side.
            stream.read_u8().await
        };
        shaken.await.unwrap_err().to_string()
    }

    #[tokio::test]
    async fn each_handshake_fails_in_its_own_way() {
        for (name, says) in [
            ("tls_certificate_expired", "certificate expired"),
            ("tls_certificate_not_yet_valid", "certificate not valid yet"),
            ("tls_certificate_wrong_name", "not valid for name"),
            ("tls_certificate_untrusted", "UnknownIssuer"),
            ("tls_certificate_self_signed", "UnknownIssuer"),
            ("tls_alert_client_certificate", "CertificateRequired"),
            ("tls_alert_unrecognized_name", "UnrecognisedName"),
            ("tls_alert_handshake_failure", "HandshakeFailure"),
            ("tls_not_spoken", "corrupt message of type InvalidContentType"),
            ("tls_handshake_closed", "tls handshake eof"),
            ("tls_protocol_error", "received corrupt message of type MissingData"),
        ] {
            let error = handshake(name).await;
            assert!(error.contains(says), "{name}: {error}");
        }
    }
}
