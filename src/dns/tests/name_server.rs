//! Owns the name servers of the tests: on loopback, over UDP and TCP, each behaving as its script says.

use std::future::pending;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::sync::Arc;

use hickory_proto::op::Edns;
use hickory_proto::op::Message;
use hickory_proto::op::OpCode;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::Name;
use hickory_proto::rr::RData;
use hickory_proto::rr::Record;
use hickory_proto::rr::RecordType;
use hickory_proto::rr::rdata::CNAME;
use hickory_proto::rr::rdata::SOA;
use hickory_proto::rr::rdata::opt::EdnsOption;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::TcpSocket;
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What a name server does with a question: the datagrams or the messages that it sends back.
pub(crate) type Script = fn(&Asked) -> Vec<Vec<u8>>;
type Behaviour = dyn Fn(&Asked) -> Vec<Vec<u8>> + Send + Sync;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    Udp,
    Tcp,
}

/// A question as a name server sees it.
pub(crate) struct Asked {
    pub(crate) query: Message,
    pub(crate) name: String,
    pub(crate) family: RecordType,
    pub(crate) transport: Transport,
    /// How many questions came before.
    pub(crate) before: usize,
}

impl Asked {
    pub(crate) fn reply(&self, code: ResponseCode) -> Message {
        let mut reply = Message::response(self.query.metadata.id, OpCode::Query);
        reply.metadata.response_code = code;
        reply.metadata.recursion_available = true;
        reply.add_queries(self.query.queries.clone());
        if self.query.edns.is_some() {
            reply.set_edns(Edns::new());
        }
        reply
    }

    /// Records from the name that was asked for along these words: a name is an alias, an address is one of the last name's.
    /// Addresses of the other family are left out.
    pub(crate) fn answer(&self, words: &str) -> Vec<Vec<u8>> {
        let mut reply = self.reply(ResponseCode::NoError);
        let mut owner = self.query.queries[0].name.clone();
        for word in words.split_whitespace() {
            let data = match word.parse::<IpAddr>() {
                Ok(address) => RData::from(address),
                Err(_) if name(word) == owner => continue,
                Err(_) => RData::CNAME(CNAME(name(word))),
            };
            let family = data.record_type();
            if family == RecordType::CNAME || family == self.family {
                reply.add_answer(Record::from_rdata(owner.clone(), 60, data));
            }
            if family == RecordType::CNAME {
                owner = name(word);
            }
        }
        vec![octets(&reply)]
    }

    pub(crate) fn error(&self, code: ResponseCode) -> Vec<Vec<u8>> {
        let mut reply = self.reply(code);
        let soa = SOA::new(name("ns.example"), name("root.example"), 1, 60, 60, 60, 60);
        reply.add_authority(Record::from_rdata(name("example"), 60, RData::SOA(soa)));
        vec![octets(&reply)]
    }

    pub(crate) fn extended_error(&self) -> Vec<Vec<u8>> {
        let mut reply = self.reply(ResponseCode::ServFail);
        let mut edns = Edns::new();
        edns.options_mut().insert(EdnsOption::Unknown(15, b"\x00\x09no key".to_vec()));
        edns.options_mut().insert(EdnsOption::Unknown(15, b"\x00\x16".to_vec()));
        reply.set_edns(edns);
        vec![octets(&reply)]
    }

    pub(crate) fn truncated(&self) -> Vec<Vec<u8>> {
        let mut reply = self.reply(ResponseCode::NoError);
        reply.metadata.truncation = true;
        vec![octets(&reply)]
    }

    /// A head that belongs to the question, and then nothing that its counts promise.
    pub(crate) fn garbage(&self) -> Vec<Vec<u8>> {
        vec![octets(&self.reply(ResponseCode::NoError))[..14].to_vec()]
    }
}

/// A name server on loopback, over UDP and TCP, that ends with its owner.
pub(crate) struct NameServer {
    pub(crate) address: SocketAddr,
    /// The names that it was asked for.
    asked: Arc<watch::Sender<Vec<String>>>,
    _tasks: JoinSet<()>,
}

impl NameServer {
    pub(crate) async fn saying(script: impl Fn(&Asked) -> Vec<Vec<u8>> + Send + Sync + 'static) -> Self {
        let (udp, tcp) = sockets().await;
        Self::start(udp, Arc::new(script), |tasks, answer| {
            let listener = tcp.listen(16).unwrap();
            tasks.spawn(answer_over_tcp(listener, answer));
        })
    }

    /// Its TCP port refuses, and stays its own.
    pub(crate) async fn without_tcp(script: Script) -> Self {
        let (udp, tcp) = sockets().await;
        Self::start(udp, Arc::new(script), |tasks, _| {
            tasks.spawn(async move {
                pending::<()>().await;
                drop(tcp);
            });
        })
    }

    fn start(udp: UdpSocket, script: Arc<Behaviour>, serve_tcp: impl FnOnce(&mut JoinSet<()>, Answering)) -> Self {
        let address = udp.local_addr().unwrap();
        let asked = Arc::new(watch::Sender::new(Vec::new()));
        let answer = Answering { asked: Arc::clone(&asked), script };
        let mut tasks = JoinSet::new();
        serve_tcp(&mut tasks, answer.clone());
        tasks.spawn(answer_over_udp(udp, answer));
        Self { address, asked, _tasks: tasks }
    }

    /// How many questions there have been.
    pub(crate) fn count(&self) -> usize {
        self.asked.borrow().len()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.asked.borrow().clone()
    }

    pub(crate) fn forget(&self) {
        self.asked.send_modify(Vec::clear);
    }

    pub(crate) async fn wait_for(&self, count: usize) {
        self.asked.subscribe().wait_for(|asked| asked.len() >= count).await.unwrap();
    }
}

/// A port that is free for UDP may be taken for TCP.
async fn sockets() -> (UdpSocket, TcpSocket) {
    loop {
        let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let tcp = TcpSocket::new_v4().unwrap();
        if tcp.bind(udp.local_addr().unwrap()).is_ok() {
            return (udp, tcp);
        }
    }
}

/// What both transports of a server share.
#[derive(Clone)]
struct Answering {
    asked: Arc<watch::Sender<Vec<String>>>,
    script: Arc<Behaviour>,
}

impl Answering {
    fn answer(&self, octets: &[u8], transport: Transport) -> Vec<Vec<u8>> {
        let query = Message::from_vec(octets).unwrap();
        let (name, family) = (query.queries[0].name.to_ascii(), query.queries[0].query_type);
        let asked = Asked { query, name: name.clone(), family, transport, before: self.asked.borrow().len() };
        self.asked.send_modify(|names| names.push(name));
        (self.script)(&asked)
    }
}

async fn answer_over_udp(socket: UdpSocket, answering: Answering) {
    let mut buffer = [0; 4096];
    while let Ok((length, peer)) = socket.recv_from(&mut buffer).await {
        for octets in answering.answer(&buffer[..length], Transport::Udp) {
            socket.send_to(&octets, peer).await.unwrap();
        }
    }
}

async fn answer_over_tcp(listener: TcpListener, answering: Answering) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let length = stream.read_u16().await.unwrap();
        let mut buffer = vec![0; usize::from(length)];
        stream.read_exact(&mut buffer).await.unwrap();
        for octets in answering.answer(&buffer, Transport::Tcp) {
            stream.write_u16(u16::try_from(octets.len()).unwrap()).await.unwrap();
            stream.write_all(&octets).await.unwrap();
        }
    }
}

pub(crate) fn octets(message: &Message) -> Vec<u8> {
    message.to_vec().unwrap()
}

pub(crate) fn name(text: &str) -> Name {
    let mut name = Name::from_ascii(text).unwrap();
    name.set_fqdn(true);
    name
}

/// A port that nobody else can take meanwhile: its socket is connected to itself, so that the kernel turns away all others.
pub(crate) struct ClosedPort {
    pub(crate) address: SocketAddr,
    _held: UdpSocket,
}

impl ClosedPort {
    pub(crate) async fn new() -> Self {
        let held = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = held.local_addr().unwrap();
        held.connect(address).await.unwrap();
        Self { address, _held: held }
    }
}
