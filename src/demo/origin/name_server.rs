//! Owns the demo's name server: one answer for each name, right or wrong in one known way. It never asks anybody else.

use std::io;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;

use hickory_proto::op::Edns;
use hickory_proto::op::Message;
use hickory_proto::op::Query;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::Name;
use hickory_proto::rr::RData;
use hickory_proto::rr::Record;
use hickory_proto::rr::RecordType;
use hickory_proto::rr::rdata::SOA;
use hickory_proto::rr::rdata::opt::EdnsOption;
use socket2::Domain;
use socket2::Socket;
use socket2::Type;
use tokio::net::UdpSocket;
use tokio::task::JoinSet;

/// A name with both kinds of addresses, `::1` and `127.0.0.1`. Where only one of them answers, the other is used.
pub const LOOPBACK: &str = "loopback.why502.test";
/// A name that does not exist.
pub const MISSING: &str = "missing.why502.test";
/// A name that exists and has no addresses.
pub const EMPTY: &str = "empty.why502.test";
/// A name for which the server fails, and says why in an Extended DNS Error.
pub const FAILING: &str = "failing.why502.test";
/// A name for which the server refuses to answer, and says why in an Extended DNS Error.
pub const REFUSED: &str = "refused.why502.test";
/// A name for which nothing comes back.
pub const SILENT: &str = "silent.why502.test";
/// A name whose answer is too long for UDP, from a server that cannot be reached over TCP.
pub const CUT: &str = "cut.why502.test";

/// A name server on loopback, over UDP only.
#[derive(Debug)]
pub struct NameServer {
    address: SocketAddr,
    /// The same port over TCP, taken but closed: who comes back over TCP is refused, and nobody else can answer there.
    _closed: Socket,
    _tasks: JoinSet<()>,
}

impl NameServer {
    /// Starts one, within a tokio runtime.
    ///
    /// # Errors
    ///
    /// Where no port on loopback is free for UDP and TCP alike.
    pub fn start() -> io::Result<Self> {
        let (udp, closed) = free_on_both()?;
        udp.set_nonblocking(true)?;
        let udp = UdpSocket::from_std(udp)?;
        let address = udp.local_addr()?;
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(udp));
        Ok(Self { address, _closed: closed, _tasks: tasks })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// A port that is ours over UDP and over TCP. Few tries are enough: hardly any port is taken over TCP only.
fn free_on_both() -> io::Result<(std::net::UdpSocket, Socket)> {
    let mut tries_left = 16;
    loop {
        let udp = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let tcp = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        match tcp.bind(&udp.local_addr()?.into()) {
            Ok(()) => return Ok((udp, tcp)),
            Err(error) if tries_left == 0 => return Err(error),
            Err(_) => tries_left -= 1,
        }
    }
}

async fn serve(socket: UdpSocket) {
    let mut packet = [0; 4096];
    // An error here is that of one client which has gone already (ICMP port unreachable): the next one is served.
    loop {
        let Ok((length, client)) = socket.recv_from(&mut packet).await else { continue };
        let query = packet.get(..length).and_then(|bytes| Message::from_vec(bytes).ok());
        let Some(answer) = query.as_ref().and_then(answer) else { continue };
        if let Ok(bytes) = answer.to_vec() {
            drop(socket.send_to(&bytes, client).await);
        }
    }
}

/// What is answered to a query; nothing where it shall time out.
fn answer(query: &Message) -> Option<Message> {
    let question = query.queries.first()?;
    let mut answer = Message::response(query.metadata.id, query.metadata.op_code);
    answer.metadata.recursion_desired = query.metadata.recursion_desired;
    answer.metadata.recursion_available = true;
    answer.add_query(question.clone());
    let name = question.name().to_ascii().trim_end_matches('.').to_ascii_lowercase();
    match name.as_str() {
        LOOPBACK => add_loopback(&mut answer, question),
        EMPTY => add_authority(&mut answer),
        FAILING => {
            fail(query, &mut answer, ResponseCode::ServFail, (22, "no reachable authority at delegation why502.test"));
        }
        REFUSED => fail(query, &mut answer, ResponseCode::Refused, (18, "this client may not ask here")),
        SILENT => return None,
        CUT => answer.metadata.truncation = true,
        _ => {
            answer.metadata.response_code = ResponseCode::NXDomain;
            add_authority(&mut answer);
        }
    }
    Some(answer)
}

/// The address of that kind; for any other kind, that there is nothing of it.
fn add_loopback(answer: &mut Message, question: &Query) {
    let address = if question.query_type() == RecordType::A {
        RData::A(Ipv4Addr::LOCALHOST.into())
    } else if question.query_type() == RecordType::AAAA {
        RData::AAAA(Ipv6Addr::LOCALHOST.into())
    } else {
        return add_authority(answer);
    };
    answer.add_answer(Record::from_rdata(question.name().clone(), 5, address));
}

/// Says for how long the absence may be remembered (RFC 2308, section 3): not long, so that a demo stays lively.
fn add_authority(answer: &mut Message) {
    let zone = Name::from_labels(["why502", "test"]).unwrap_or_default();
    let soa = SOA::new(zone.clone(), zone.clone(), 1, 60, 60, 60, 1);
    answer.add_authority(Record::from_rdata(zone, 1, RData::SOA(soa)));
}

/// A response code with its Extended DNS Error (RFC 8914), which only a client that spoke EDNS may get (RFC 6891, section 7).
fn fail(query: &Message, answer: &mut Message, code: ResponseCode, (info, text): (u16, &str)) {
    const EXTENDED_DNS_ERROR: u16 = 15;
    answer.metadata.response_code = code;
    if query.edns.is_some() {
        let data = [info.to_be_bytes().as_slice(), text.as_bytes()].concat();
        let mut edns = Edns::new();
        edns.options_mut().insert(EdnsOption::Unknown(EXTENDED_DNS_ERROR, data));
        answer.set_edns(edns);
    }
}

#[cfg(test)]
mod tests {
    use hickory_proto::op::Edns;
    use hickory_proto::op::Message;
    use hickory_proto::op::Query;
    use hickory_proto::op::ResponseCode;
    use hickory_proto::rr::Name;
    use hickory_proto::rr::RecordType;
    use tokio::net::TcpStream;
    use tokio::net::UdpSocket;

    use super::CUT;
    use super::EMPTY;
    use super::FAILING;
    use super::LOOPBACK;
    use super::MISSING;
    use super::NameServer;
    use super::REFUSED;
    use super::SILENT;
    use super::answer;

    fn query(name: &str, kind: RecordType) -> Message {
        let mut message = Message::query();
        message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
        message.set_edns(Edns::new());
        message
    }

    #[test]
    fn each_name_is_answered_in_its_own_way() {
        let story = |name: &str, kind| {
            answer(&query(name, kind)).map(|message| {
                let addresses: Vec<String> = message.answers.iter().map(|record| record.data.to_string()).collect();
                (message.metadata.response_code, message.metadata.truncation, addresses.join(" "))
            })
        };
        let says = |code, addresses: &str| Some((code, false, addresses.to_owned()));
        assert_eq!(story(LOOPBACK, RecordType::A), says(ResponseCode::NoError, "127.0.0.1"));
        assert_eq!(story(LOOPBACK, RecordType::AAAA), says(ResponseCode::NoError, "::1"));
        assert_eq!(story("LOOPBACK.why502.TEST.", RecordType::A), says(ResponseCode::NoError, "127.0.0.1"));
        assert_eq!(story(MISSING, RecordType::A), says(ResponseCode::NXDomain, ""));
        assert_eq!(story(EMPTY, RecordType::A), says(ResponseCode::NoError, ""));
        assert_eq!(story(FAILING, RecordType::A), says(ResponseCode::ServFail, ""));
        assert_eq!(story(REFUSED, RecordType::A), says(ResponseCode::Refused, ""));
        assert_eq!(story(CUT, RecordType::A), Some((ResponseCode::NoError, true, String::new())));
        assert_eq!(story(SILENT, RecordType::A), None);
    }

    #[test]
    fn an_extended_error_is_for_those_who_speak_edns() {
        let mut plain = query(FAILING, RecordType::A);
        assert!(answer(&plain).unwrap().edns.is_some());
        plain.edns = None;
        assert!(answer(&plain).unwrap().edns.is_none());
    }

    #[tokio::test]
    async fn it_answers_over_udp_and_refuses_tcp() {
        let server = NameServer::start().unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let question = query(MISSING, RecordType::A);
        client.send_to(&question.to_vec().unwrap(), server.address()).await.unwrap();
        let mut packet = [0; 4096];
        let (length, _) = client.recv_from(&mut packet).await.unwrap();
        let answer = Message::from_vec(&packet[..length]).unwrap();
        assert_eq!((answer.metadata.id, answer.metadata.response_code), (question.metadata.id, ResponseCode::NXDomain));
        let refused = TcpStream::connect(server.address()).await.unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    }
}
