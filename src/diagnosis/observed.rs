//! Owns the words for measurements, short, one for each line of a list: what was looked at, and what it said.
//!
//! What came over the network is cut to a length; whoever writes it where it could do harm escapes it.

use std::fmt;
use std::fmt::Display;
use std::net::IpAddr;

use crate::diagnosis::observation::Asked;
use crate::diagnosis::observation::Certificate;
use crate::diagnosis::observation::Connected;
use crate::diagnosis::observation::NameServer;
use crate::diagnosis::observation::NeighbourState;
use crate::diagnosis::observation::Observation;
use crate::diagnosis::observation::OtherPort;
use crate::diagnosis::observation::Own;
use crate::diagnosis::observation::ProcessState;
use crate::diagnosis::observation::SocketFile;
use crate::diagnosis::observation::SocketFound;
use crate::diagnosis::observation::Spoke;
use crate::diagnosis::observation::SpokeEnd;
use crate::diagnosis::observation::Tongue;
use crate::diagnosis::wording::counted;
use crate::diagnosis::wording::date;
use crate::diagnosis::wording::duration;
use crate::diagnosis::wording::errno;
use crate::fault::Fault;
use crate::fault::Spoken;

/// Each measurement in a line, in their order; other ports of a host that all did the same, and said nothing, share one.
#[must_use]
pub fn in_lines(observations: &[Observation]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut told: Vec<(IpAddr, Option<Fault>)> = Vec::new();
    for observation in observations {
        match mute_port(observation) {
            None => lines.push(observation.to_string()),
            Some(kind) if told.contains(&kind) => {}
            Some(kind) => {
                told.push(kind);
                let same = observations.iter().filter(|other| mute_port(other) == Some(kind));
                lines.push(other_ports(kind, same));
            }
        }
    }
    lines
}

/// Of another port that said nothing: its host, and how it went.
fn mute_port(observation: &Observation) -> Option<(IpAddr, Option<Fault>)> {
    let Observation::OtherPort(other) = observation else { return None };
    other.spoken.is_none().then_some((other.connected.address.ip(), other.connected.fault))
}

fn other_ports<'a>(
    (host, fault): (IpAddr, Option<Fault>),
    observations: impl Iterator<Item = &'a Observation>,
) -> String {
    let connected =
        |one: &'a Observation| if let Observation::OtherPort(other) = one { Some(&other.connected) } else { None };
    let mut all: Vec<&Connected> = observations.filter_map(connected).collect();
    all.sort_by_key(|connected| connected.address.port());
    let longest = all.iter().map(|connected| connected.elapsed).max().unwrap_or_default();
    let ports: Vec<String> = all.iter().map(|connected| connected.address.port().to_string()).collect();
    format!(
        "other ports of {host}, {}: {}, {}",
        fault.map_or("opened", Fault::word),
        ports.join(" "),
        duration(longest)
    )
}

impl Display for Observation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NameServer(said) => write!(f, "{}", name_server(said)),
            Self::HostsFile(addresses) => write!(f, "hosts file: {}", list(addresses)),
            Self::AbsoluteName(Ok(addresses)) => write!(f, "without a search domain: {}", list(addresses)),
            Self::AbsoluteName(Err(fault)) => write!(f, "without a search domain: {fault}"),
            Self::FormerAddress(tried) => write!(f, "former address {}", connected(tried)),
            Self::Connected(tried) => f.write_str(&connected(tried)),
            Self::OtherPort(other) => f.write_str(&other_port(other)),
            Self::Echo { address, after: Some(after) } => {
                write!(f, "{address} answered an echo in {}", duration(*after))
            }
            Self::Echo { address, after: None } => write!(f, "{address} did not answer an echo"),
            Self::Neighbour { address, state: NeighbourState::Known } => write!(f, "{address} is a known neighbour"),
            Self::Neighbour { address, state: NeighbourState::Unanswered } => {
                write!(f, "no neighbour has answered for {address}")
            }
            Self::Spoke(spoke) => f.write_str(&spoken(spoke)),
            Self::Certificate(seen) => f.write_str(&certificate(seen)),
            Self::Asked(asked) => f.write_str(&answer(asked)),
            Self::Listening { port, on_port } if on_port.is_empty() => {
                write!(f, "nothing on this host listens on port {port}")
            }
            Self::Listening { port, on_port } => write!(f, "port {port} is listened on at {}", list(on_port)),
            Self::AcceptQueue { waiting, room } => write!(f, "{waiting} of {room} connections wait to be accepted"),
            Self::SocketFile(file) => f.write_str(&socket_file(file)),
            Self::Process { id, name, state } => write!(f, "process {id} ({}) {}", cut(name), process(*state)),
            Self::KilledForMemory { count } => write!(f, "killed for lack of memory on this host lately: {count}"),
            Self::Own(own) => f.write_str(&own_means(own)),
        }
    }
}

fn name_server(said: &NameServer) -> String {
    let number = said.os_error.map(|number| format!(" ({})", errno(number)));
    let aliases = (!said.aliases.is_empty()).then(|| format!(", alias of {}", cut(&said.aliases.join(", "))));
    let addresses = (said.rcode == Some("NOERROR")).then(|| format!(", {}", list(&said.addresses)));
    let extended = said.extended.iter().map(|(code, text)| format!(", EDE {code} {}", cut(text)));
    let said_more: String = number.into_iter().chain(aliases).chain(addresses).chain(extended).collect();
    let rcode = said.rcode.unwrap_or("no answer");
    format!("name server {}: {rcode}{said_more}, {}", said.server, duration(said.elapsed))
}

fn connected(tried: &Connected) -> String {
    let word = tried.fault.map_or("opened", Fault::word);
    let number = tried.os_error.map_or_else(String::new, |number| format!(" ({})", errno(number)));
    format!("{}: {word}{number}, {}", tried.address, duration(tried.elapsed))
}

fn other_port(other: &OtherPort) -> String {
    let spoken = other.spoken.map_or_else(String::new, |spoken| format!(", answers {}", spoken.name()));
    let status = other.status.map_or_else(String::new, |status| format!(" with status {status}"));
    format!("another port, {}{spoken}{status}", connected(&other.connected))
}

fn spoken(spoke: &Spoke) -> String {
    let to = match spoke.tongue {
        Tongue::Silence => "unasked",
        Tongue::Tls => "to a TLS hello",
        Tongue::Http1 => "to plain HTTP/1.1",
        Tongue::Http2 => "to plain HTTP/2",
        Tongue::ProxyHeader => "to a PROXY header and HTTP/1.1",
        Tongue::Redis => "to Redis",
        Tongue::FastCgi => "to FastCGI",
    };
    let heard = spoke.heard.map_or("nothing", Spoken::name);
    let status = spoke.status.map_or_else(String::new, |status| format!(" with status {status}"));
    let end = match spoke.end {
        SpokeEnd::Open => "",
        SpokeEnd::Closed => ", then closed",
        SpokeEnd::Reset => ", then reset",
        SpokeEnd::NotOpened => ", not opened",
    };
    format!("{to}: {heard}{status}{end}, {}", duration(spoke.elapsed))
}

fn certificate(seen: &Certificate) -> String {
    let says = &seen.evidence;
    let asked = seen.server_name.as_deref().map_or_else(|| "no name".to_owned(), cut);
    let (names, issuer) = (cut(&says.names.join(", ")), cut(&says.issuer));
    let (from, until) = (date(says.not_before), date(says.not_after));
    let chain = counted(says.chain_length, "certificate");
    format!("certificate asked for with {asked}: for {names}, by {issuer}, {from} to {until}, chain of {chain}")
}

fn answer(asked: &Asked) -> String {
    let came = match (asked.status, asked.fault) {
        (Some(status), _) => format!("status {status}"),
        (None, Some(fault)) => fault.word().to_owned(),
        (None, None) => "nothing".to_owned(),
    };
    format!("GET {}: {came}, {}", cut(&asked.path), duration(asked.elapsed))
}

fn socket_file(file: &SocketFile) -> String {
    let found = match &file.found {
        SocketFound::Nothing { nearest } => format!("nothing there; {} is the nearest folder", cut(nearest)),
        SocketFound::NoSocket => "a file that is no socket".to_owned(),
        SocketFound::Socket { mode, owner, group, listened_on } => {
            let listened_on = match listened_on {
                Some(true) => ", listened on",
                Some(false) => ", not listened on",
                None => "",
            };
            format!("a socket, mode {mode:03o}, owner {owner}, group {group}{listened_on}")
        }
        SocketFound::Hidden => "may not be looked at".to_owned(),
    };
    format!("{}: {found}", cut(&file.path))
}

const fn process(state: ProcessState) -> &'static str {
    match state {
        ProcessState::Alive => "is alive",
        ProcessState::Stopped => "is stopped",
        ProcessState::Blocked => "waits for a disk",
        ProcessState::Zombie => "has ended and is not reaped",
    }
}

fn own_means(own: &Own) -> String {
    let mut words = Vec::new();
    words.extend(own.descriptors.map(|(used, most)| format!("{used} of {most} descriptors")));
    words.extend(own.ports.map(|(used, most)| format!("{used} of {most} local ports to the server")));
    words.extend(own.load.map(|(load, count)| {
        format!(
            "load {}.{:02} on {}",
            load / 100,
            load % 100,
            counted(usize::try_from(count).unwrap_or(usize::MAX), "processor")
        )
    }));
    if own.is_itself {
        words.push("the server is this proxy's own listener".to_owned());
    }
    format!("this host: {}", words.join(", "))
}

fn list(addresses: &[IpAddr]) -> String {
    if addresses.is_empty() {
        return "no addresses".to_owned();
    }
    let shown: Vec<String> = addresses.iter().take(MOST_ADDRESSES).map(ToString::to_string).collect();
    let more = if addresses.len() > MOST_ADDRESSES { " …" } else { "" };
    format!("{}{more}", shown.join(" "))
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST_TEXT) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

const MOST_ADDRESSES: usize = 8;
/// How many characters of a text are shown.
const LONGEST_TEXT: usize = 120;

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::time::Duration;

    use super::in_lines;
    use crate::diagnosis::observation::Asked;
    use crate::diagnosis::observation::Connected;
    use crate::diagnosis::observation::NameServer;
    use crate::diagnosis::observation::Observation;
    use crate::diagnosis::observation::OtherPort;
    use crate::diagnosis::observation::Spoke;
    use crate::diagnosis::observation::SpokeEnd;
    use crate::diagnosis::observation::Tongue;
    use crate::fault::Fault;
    use crate::fault::Spoken;

    #[test]
    fn ports_that_did_the_same_share_a_line() {
        let port = |port: u16, fault, spoken| {
            let address = ([10, 0, 0, 5], port).into();
            let connected = Connected { address, fault, os_error: None, elapsed: Duration::from_micros(400) };
            Observation::OtherPort(OtherPort { connected, spoken, status: None })
        };
        let refused = Some(Fault::ConnectionRefused);
        let found = [
            port(443, refused, None),
            Observation::HostsFile(Vec::new()),
            port(8080, None, Some(Spoken::Http1)),
            port(22, None, None),
            port(80, refused, None),
        ];
        let expected = [
            "other ports of 10.0.0.5, connection_refused: 80 443, 0.4 ms",
            "hosts file: no addresses",
            "another port, 10.0.0.5:8080: opened, 0.4 ms, answers HTTP/1",
            "other ports of 10.0.0.5, opened: 22, 0.4 ms",
        ];
        assert_eq!(in_lines(&found), expected);
    }

    #[test]
    fn a_measurement_is_a_short_line() {
        let elapsed = Duration::from_micros(400);
        let connected =
            |port: u16, fault, os_error| Connected { address: ([10, 0, 0, 5], port).into(), fault, os_error, elapsed };
        let server = NameServer {
            server: ([10, 0, 0, 53], 53).into(),
            rcode: Some("NOERROR"),
            extended: vec![(3, "stale".to_owned())],
            addresses: Vec::new(),
            aliases: vec!["gone.example".to_owned()],
            elapsed,
            os_error: None,
        };
        let http = Some(Spoken::Http1);
        let rows = [
            (
                Observation::NameServer(server),
                "name server 10.0.0.53:53: NOERROR, alias of gone.example, no addresses, EDE 3 stale, 0.4 ms",
            ),
            (
                Observation::Connected(connected(3000, Some(Fault::ConnectionRefused), Some(111))),
                "10.0.0.5:3000: connection_refused (ECONNREFUSED 111), 0.4 ms",
            ),
            (
                Observation::OtherPort(OtherPort {
                    connected: connected(8080, None, None),
                    spoken: http,
                    status: Some(200),
                }),
                "another port, 10.0.0.5:8080: opened, 0.4 ms, answers HTTP/1 with status 200",
            ),
            (
                Observation::Spoke(Spoke {
                    tongue: Tongue::Http2,
                    heard: None,
                    status: None,
                    end: SpokeEnd::Closed,
                    elapsed,
                }),
                "to plain HTTP/2: nothing, then closed, 0.4 ms",
            ),
            (
                Observation::Asked(Asked {
                    path: "/".repeat(500),
                    status: None,
                    fault: Some(Fault::ResponseTimedOut),
                    elapsed,
                }),
                &format!("GET {}…: response_timed_out, 0.4 ms", "/".repeat(120)),
            ),
            (
                Observation::Echo { address: IpAddr::from([10, 0, 0, 5]), after: None },
                "10.0.0.5 did not answer an echo",
            ),
            (
                Observation::HostsFile(vec![IpAddr::from([10, 0, 0, 5]); 9]),
                "hosts file: 10.0.0.5 10.0.0.5 10.0.0.5 10.0.0.5 10.0.0.5 10.0.0.5 10.0.0.5 10.0.0.5 …",
            ),
        ];
        for (observation, expected) in rows {
            assert_eq!(observation.to_string(), expected);
        }
    }
}
