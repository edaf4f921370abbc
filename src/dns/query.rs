//! Owns one question to one name server: UDP with EDNS, TCP where the answer was cut, plain DNS for servers without EDNS.
//!
//! It waits as long as it is let; how long that is, and who is asked next, is `lookup`'s.

use std::io;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;

use hickory_proto::ProtoError;
use hickory_proto::op::Edns;
use hickory_proto::op::Message;
use hickory_proto::op::MessageType;
use hickory_proto::op::Query;
use hickory_proto::op::ResponseCode;
use hickory_proto::serialize::binary::DecodeError;
use thiserror::Error;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::UdpSocket;

use crate::dns::answer::Answer;
use crate::fault::Fault;

/// Why a name server gave no answer that could be read.
#[derive(Debug, Error)]
pub(super) enum Trouble {
    /// It could not be reached, or it closed in the middle.
    #[error("the name server could not be asked")]
    Io(#[from] io::Error),
    /// Its answer over UDP was cut, and the whole one could not be had over TCP (RFC 7766, section 5).
    #[error("the name server cut its answer and could not be asked over TCP")]
    Truncated(ResponseCode, #[source] io::Error),
    /// Its answer is no DNS message, but carries the question's id.
    #[error("the name server's answer is malformed")]
    Malformed(ResponseCode, #[source] DecodeError),
    /// It answered over TCP, but to another question.
    #[error("the name server answered another question")]
    Mismatched(ResponseCode),
    /// The question cannot be put into a message.
    #[error("the question cannot be asked")]
    Question(#[from] ProtoError),
}

impl Trouble {
    /// What it means for the look-up.
    pub(super) fn fault(&self) -> Fault {
        match self {
            Self::Io(error) => Fault::of_name_server_error(error),
            // It was reached: it said that there is more, and would not say what.
            Self::Truncated(_, error) => {
                let fault = Fault::of_name_server_error(error);
                if fault == Fault::DnsResolverUnreachable { Fault::DnsServerFailure } else { fault }
            }
            Self::Malformed(..) | Self::Mismatched(_) | Self::Question(_) => Fault::DnsServerFailure,
        }
    }

    /// The response code, where a message's head was received all the same.
    pub(super) fn code(&self) -> Option<ResponseCode> {
        match self {
            Self::Truncated(code, _) | Self::Malformed(code, _) | Self::Mismatched(code) => Some(*code),
            Self::Io(_) | Self::Question(_) => None,
        }
    }

    /// The operating system's error number, where there is one.
    pub(super) fn os_error(&self) -> Option<i32> {
        match self {
            Self::Io(error) | Self::Truncated(_, error) => error.raw_os_error(),
            Self::Malformed(..) | Self::Mismatched(_) | Self::Question(_) => None,
        }
    }
}

/// Asks one server and waits for its answer, for ever where there is none.
pub(super) async fn ask(server: SocketAddr, question: &Query) -> Result<Answer, Trouble> {
    let message = ask_with(server, question, Extension::Edns).await?;
    // A server that does not know EDNS says FORMERR or NOTIMP, without an OPT record, and wants plain DNS (RFC 6891, section 7).
    let unknown = matches!(message.metadata.response_code, ResponseCode::FormErr | ResponseCode::NotImp);
    let message =
        if unknown && message.edns.is_none() { ask_with(server, question, Extension::None).await? } else { message };
    Ok(Answer::read(&message, question))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extension {
    Edns,
    None,
}

async fn ask_with(server: SocketAddr, question: &Query, extension: Extension) -> Result<Message, Trouble> {
    let query = Outgoing::new(question, extension)?;
    let code = match over_udp(server, &query).await? {
        Datagram::Whole(message) => return Ok(message),
        Datagram::Truncated(code) => code,
    };
    match over_tcp(server, &query).await {
        Err(Trouble::Io(error)) => Err(Trouble::Truncated(code, error)),
        other => other,
    }
}

/// A question on its way: what is sent, and what an answer has to repeat.
struct Outgoing<'a> {
    id: u16,
    question: &'a Query,
    octets: Vec<u8>,
}

impl<'a> Outgoing<'a> {
    fn new(question: &'a Query, extension: Extension) -> Result<Self, ProtoError> {
        let mut message = Message::query();
        message.metadata.recursion_desired = true;
        message.add_query(question.clone());
        if extension == Extension::Edns {
            let mut edns = Edns::new();
            edns.set_max_payload(UDP_PAYLOAD);
            message.set_edns(edns);
        }
        Ok(Self { id: message.metadata.id, question, octets: message.to_vec()? })
    }

    /// Whether the message answers this question (RFC 5452, section 9.1). An error may leave the question out.
    fn is_answered_by(&self, message: &Message) -> bool {
        let same_question = match message.queries.as_slice() {
            [] => message.metadata.response_code != ResponseCode::NoError,
            [question] => question == self.question,
            _ => false,
        };
        message.metadata.id == self.id && message.metadata.message_type == MessageType::Response && same_question
    }

    fn is_repeated_in(&self, octets: &[u8]) -> bool {
        octets.first_chunk::<2>().is_some_and(|id| u16::from_be_bytes(*id) == self.id)
    }
}

/// An answer that came over UDP.
enum Datagram {
    Whole(Message),
    /// The rest did not fit in (RFC 1035, section 4.1.1: TC). Some servers cut in the middle of a record.
    Truncated(ResponseCode),
}

impl Datagram {
    fn of(message: Message) -> Self {
        if message.metadata.truncation { Self::Truncated(message.metadata.response_code) } else { Self::Whole(message) }
    }
}

/// The socket is this question's own: a fresh port for every question makes an answer hard to forge (RFC 5452, section 9.2), and keeps
/// two questions from being taken for one by a packet filter (the lost answers of kubernetes#56903). It is connected, so that
/// the kernel drops what does not come from the server, and tells when nobody listens there.
async fn over_udp(server: SocketAddr, query: &Outgoing<'_>) -> Result<Datagram, Trouble> {
    let any: SocketAddr =
        if server.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(server).await?;
    socket.send(&query.octets).await?;
    let mut buffer = vec![0; RECEIVE_BUFFER];
    loop {
        let length = socket.recv(&mut buffer).await?;
        let octets = buffer.get(..length).unwrap_or_default();
        match Message::from_vec(octets) {
            Ok(message) if query.is_answered_by(&message) => return Ok(Datagram::of(message)),
            Err(_) if query.is_repeated_in(octets) && says_truncated(octets) => {
                return Ok(Datagram::Truncated(code_of(octets)));
            }
            Err(error) if query.is_repeated_in(octets) => return Err(Trouble::Malformed(code_of(octets), error)),
            // Somebody else's answer, or a forged one: the true one may still come.
            Ok(_) | Err(_) => {}
        }
    }
}

/// Each message stands behind its length in two octets (RFC 1035, section 4.2.2); both go out in one write (RFC 7766, section 8).
async fn over_tcp(server: SocketAddr, query: &Outgoing<'_>) -> Result<Message, Trouble> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(query.octets.len()).unwrap_or(u16::MAX);
    stream.write_all(&[&length.to_be_bytes(), query.octets.as_slice()].concat()).await?;
    let length = stream.read_u16().await?;
    let mut octets = vec![0; usize::from(length)];
    stream.read_exact(&mut octets).await?;
    let message = Message::from_vec(&octets).map_err(|error| Trouble::Malformed(code_of(&octets), error))?;
    if !query.is_answered_by(&message) {
        return Err(Trouble::Mismatched(message.metadata.response_code));
    }
    Ok(message)
}

/// The response code in the head of a message whose rest cannot be read.
fn code_of(octets: &[u8]) -> ResponseCode {
    ResponseCode::from_low(octets.get(3).copied().unwrap_or_default())
}

/// The TC bit in the head of a message whose rest cannot be read.
fn says_truncated(octets: &[u8]) -> bool {
    octets.get(2).is_some_and(|flags| flags & 0b10 != 0)
}

/// The size that passes every path without fragments (DNS Flag Day 2020).
const UDP_PAYLOAD: u16 = 1232;

/// Room for servers that send more than they were asked to.
const RECEIVE_BUFFER: usize = 4096;
