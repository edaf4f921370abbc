//! Owns a name server whose answers the test changes while it runs, and that counts what it is asked.

use std::collections::HashMap;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::Mutex;
use std::thread;

use hickory_proto::op::Message;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::Name;
use hickory_proto::rr::RData;
use hickory_proto::rr::Record;
use hickory_proto::rr::RecordType;
use hickory_proto::rr::rdata::SRV;

/// A name server, over UDP.
#[derive(Debug)]
pub(crate) struct Names {
    pub(crate) address: SocketAddr,
    zone: Arc<Mutex<Zone>>,
}

#[derive(Debug, Default)]
struct Zone {
    names: HashMap<String, Says>,
    questions: usize,
}

/// What is said of a name. Of any that nothing is said of, it is said that it does not exist.
#[derive(Debug, Clone)]
pub(crate) enum Says {
    /// These addresses, each for whoever asks for its family, for so many seconds.
    Addresses(Vec<IpAddr>, u32),
    /// That the service runs there: priority, weight, port and target of each; for so many seconds.
    Services(Vec<(u16, u16, u16, &'static str)>, u32),
    /// That the name server has failed.
    Failure,
}

impl Names {
    pub(crate) fn serve() -> Self {
        Self::serve_on(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free"))
    }

    pub(crate) fn serve_on(socket: UdpSocket) -> Self {
        let address = socket.local_addr().expect("a bound socket has an address");
        let zone = Arc::<Mutex<Zone>>::default();
        let shared = Arc::clone(&zone);
        thread::spawn(move || {
            let mut packet = [0; 4096];
            loop {
                let Ok((length, from)) = socket.recv_from(&mut packet) else { continue };
                let query = Message::from_vec(&packet[..length]).expect("the proxy asks in the words of DNS");
                let answer = shared.lock().expect("nobody panicked with it").answer(&query);
                // Who asked may be gone.
                socket.send_to(&answer.to_vec().expect("an answer can be written"), from).ok();
            }
        });
        Self { address, zone }
    }

    /// From now on it says this of that name.
    pub(crate) fn say(&self, name: &str, says: Says) {
        self.zone.lock().expect("nobody panicked with it").names.insert(name.to_owned(), says);
    }

    /// How often it was asked so far.
    pub(crate) fn questions(&self) -> usize {
        self.zone.lock().expect("nobody panicked with it").questions
    }
}

impl Zone {
    fn answer(&mut self, query: &Message) -> Message {
        self.questions += 1;
        let question = query.queries.first().expect("a query asks something");
        let mut answer = Message::response(query.metadata.id, query.metadata.op_code);
        answer.metadata.recursion_available = true;
        answer.add_query(question.clone());
        let name = question.name().to_ascii().trim_end_matches('.').to_ascii_lowercase();
        match self.names.get(&name) {
            None => answer.metadata.response_code = ResponseCode::NXDomain,
            Some(Says::Failure) => answer.metadata.response_code = ResponseCode::ServFail,
            Some(Says::Services(services, ttl)) => {
                for (priority, weight, port, target) in services {
                    if question.query_type() == RecordType::SRV {
                        let target = Name::from_ascii(target).expect("a test writes names");
                        let data = RData::SRV(SRV::new(*priority, *weight, *port, target));
                        answer.add_answer(Record::from_rdata(question.name().clone(), *ttl, data));
                    }
                }
            }
            Some(Says::Addresses(addresses, ttl)) => {
                for address in addresses {
                    let data = match (address, question.query_type()) {
                        (IpAddr::V4(address), RecordType::A) => RData::A((*address).into()),
                        (IpAddr::V6(address), RecordType::AAAA) => RData::AAAA((*address).into()),
                        _ => continue,
                    };
                    answer.add_answer(Record::from_rdata(question.name().clone(), *ttl, data));
                }
            }
        }
        answer
    }
}
