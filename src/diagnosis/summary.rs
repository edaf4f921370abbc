//! Owns the visitor's sentence: what happened, to somebody who has never heard of a gateway.
//!
//! Every sentence is fixed text, so that nothing of the operators' can be in it and an answer can be prepared once.

use super::Cause;
use crate::fault::Fault;

/// What happened and probably why, in one or two plain sentences.
#[must_use]
pub const fn summary(fault: Fault, cause: Cause) -> &'static str {
    match scene(fault) {
        Scene::Name => name(cause),
        Scene::Directory => directory(cause),
        Scene::Closed => closed(cause),
        Scene::Silent => silent(cause),
        Scene::Here => here(cause),
        Scene::Certificate => certificate(cause),
        Scene::Handshake => handshake(cause),
        Scene::Broken => broken(cause),
        Scene::Slow => slow(cause),
        Scene::Garbled => garbled(cause),
        Scene::Partial => partial(cause),
        Scene::Pool => pool(cause),
        Scene::Further => further(cause),
    }
}

/// Faults that look the same to a visitor.
enum Scene {
    /// The server's name leads to no address.
    Name,
    /// Nobody could say where the server's name leads.
    Directory,
    /// The server's machine is there and turns the connection away.
    Closed,
    /// Nothing comes back at all.
    Silent,
    /// It is this side that cannot.
    Here,
    /// The server shows a certificate that is not accepted.
    Certificate,
    /// The two cannot agree on a secure connection.
    Handshake,
    /// The connection ended before an answer.
    Broken,
    /// The connection stands, and no answer comes.
    Slow,
    /// An answer came that makes no sense.
    Garbled,
    /// The answer stopped in the middle.
    Partial,
    /// No server of several is left.
    Pool,
    /// The server says itself that something behind it fails.
    Further,
}

const fn scene(fault: Fault) -> Scene {
    match fault {
        Fault::DnsNameNotFound | Fault::DnsNoRecords => Scene::Name,
        Fault::DnsServerFailure | Fault::DnsRefused | Fault::DnsResolverUnreachable | Fault::DnsTimeout => {
            Scene::Directory
        }
        Fault::ConnectionRefused | Fault::SocketMissing | Fault::SocketBacklogFull => Scene::Closed,
        Fault::ConnectionTimedOut | Fault::HostUnreachable | Fault::NetworkUnreachable => Scene::Silent,
        Fault::ConnectionProhibited
        | Fault::LocalPortsExhausted
        | Fault::FileDescriptorsExhausted
        | Fault::SocketPermissionDenied
        | Fault::ServerAtCapacity
        | Fault::ProxyLoop => Scene::Here,
        Fault::TlsCertificateExpired
        | Fault::TlsCertificateNotYetValid
        | Fault::TlsCertificateWrongName
        | Fault::TlsCertificateUntrusted => Scene::Certificate,
        Fault::TlsAlert
        | Fault::TlsNotSpoken
        | Fault::TlsHandshakeClosed
        | Fault::TlsHandshakeTimedOut
        | Fault::TlsProtocolError => Scene::Handshake,
        Fault::ResetWhileSending
        | Fault::ClosedBeforeResponse
        | Fault::ResetBeforeResponse
        | Fault::H2StreamRefused
        | Fault::H2StreamReset
        | Fault::H2ConnectionError => Scene::Broken,
        Fault::RequestSendTimedOut | Fault::ResponseTimedOut => Scene::Slow,
        Fault::ResponseNotHttp | Fault::ResponseMalformed | Fault::ResponseHeaderTooLarge | Fault::UpgradeFailed => {
            Scene::Garbled
        }
        Fault::ResponseTruncated | Fault::ResponseBodyTimedOut | Fault::ResponseChunkingInvalid => Scene::Partial,
        Fault::NoHealthyServer => Scene::Pool,
        Fault::UpstreamBadGateway | Fault::UpstreamUnavailable | Fault::UpstreamGatewayTimeout => Scene::Further,
    }
}

const fn name(cause: Cause) -> &'static str {
    match cause {
        Cause::FaultyProxy => {
            "This site cannot find its own server at the moment. It was probably told the wrong name."
        }
        Cause::Firewall => "This site may not learn where its own server is at the moment: the name is being withheld.",
        Cause::Dns
        | Cause::Overload
        | Cause::OriginDown
        | Cause::Network
        | Cause::Application
        | Cause::Tls
        | Cause::Unknown => {
            "This site cannot find its own server at the moment, because the server's name leads nowhere."
        }
    }
}

const fn directory(cause: Cause) -> &'static str {
    match cause {
        Cause::FaultyProxy => {
            "This site cannot find its own server at the moment. It probably asks in the wrong place where that is."
        }
        Cause::Firewall | Cause::Network => {
            "This site cannot find its own server at the moment, because it cannot ask anybody where that is."
        }
        Cause::Dns | Cause::Overload | Cause::OriginDown | Cause::Application | Cause::Tls | Cause::Unknown => {
            "This site cannot find its own server at the moment, because the directory it asks gives no answer."
        }
    }
}

const fn closed(cause: Cause) -> &'static str {
    match cause {
        Cause::Overload => "The site's server is so busy at the moment that it takes no more visitors.",
        Cause::Dns => OLD_ADDRESS,
        Cause::Firewall | Cause::Network => {
            "Something turns this site away from its own server at the moment, probably a security rule."
        }
        Cause::FaultyProxy => WRONG_PLACE,
        Cause::Application => "The program behind this site is not running as it should at the moment.",
        Cause::OriginDown | Cause::Tls | Cause::Unknown => {
            "The site's server is not accepting connections at the moment. It may be restarting."
        }
    }
}

const fn silent(cause: Cause) -> &'static str {
    match cause {
        Cause::Overload => "The site's server is too busy at the moment to take another visitor.",
        Cause::Dns => OLD_ADDRESS,
        Cause::Firewall => {
            "This site cannot get through to its server at the moment, probably because a security rule is in the way."
        }
        Cause::FaultyProxy => WRONG_PLACE,
        Cause::Network => "This site cannot reach its server at the moment, because the line between them is broken.",
        Cause::OriginDown | Cause::Application | Cause::Tls | Cause::Unknown => {
            "The site's server does not respond at the moment. It may be switched off or restarting."
        }
    }
}

const fn here(cause: Cause) -> &'static str {
    match cause {
        Cause::Overload => "More people are using this site at the moment than it has room for.",
        Cause::Firewall => "A security rule keeps this site from reaching its own server at the moment.",
        Cause::FaultyProxy
        | Cause::Dns
        | Cause::OriginDown
        | Cause::Application
        | Cause::Network
        | Cause::Tls
        | Cause::Unknown => {
            "The entrance to this site is not working properly, so that your request did not get to its server."
        }
    }
}

const fn certificate(cause: Cause) -> &'static str {
    match cause {
        Cause::FaultyProxy => {
            "This site cannot check that it is talking to its own server, so it did not pass your request on."
        }
        Cause::Tls
        | Cause::Overload
        | Cause::Dns
        | Cause::Firewall
        | Cause::OriginDown
        | Cause::Application
        | Cause::Network
        | Cause::Unknown => {
            "The site's server shows a security certificate that is not valid, so your request was not passed on."
        }
    }
}

const fn handshake(cause: Cause) -> &'static str {
    match cause {
        Cause::FaultyProxy => "This site speaks to its server in a way that the server does not understand.",
        Cause::Overload => {
            "The site's server is too busy at the moment to set up a secure connection to the rest of the site."
        }
        Cause::Firewall | Cause::Network => {
            "The secure connection between this site and its server does not get through at the moment."
        }
        Cause::OriginDown => "The site's server hung up at once. It may be restarting.",
        Cause::Tls | Cause::Dns | Cause::Application | Cause::Unknown => {
            "This site and its server cannot agree on a secure connection at the moment."
        }
    }
}

const fn broken(cause: Cause) -> &'static str {
    match cause {
        Cause::Overload => {
            "The site's server has so much to do at the moment that it broke off before it had answered."
        }
        Cause::Firewall => {
            "The connection between this site and its server was cut before the answer came, probably by \
             a security rule."
        }
        Cause::FaultyProxy => "This site and its server misunderstood each other, and no answer came.",
        Cause::OriginDown => "The site's server hung up before it had answered. It may be restarting.",
        Cause::Network => "The connection between this site and its server broke before the answer came.",
        Cause::Application | Cause::Dns | Cause::Tls | Cause::Unknown => {
            "The site's server broke off before it had answered. Other pages of the site may still work."
        }
    }
}

const fn slow(cause: Cause) -> &'static str {
    match cause {
        Cause::Overload => {
            "The site's server has more to do at the moment than it can manage, and it did not answer in time."
        }
        Cause::Firewall | Cause::Network | Cause::FaultyProxy => {
            "Your request or its answer was lost on the way between this site and its server."
        }
        Cause::OriginDown => "The site's server no longer responds. It may be restarting.",
        Cause::Application | Cause::Dns | Cause::Tls | Cause::Unknown => {
            "The site's server took too long over this request. Other pages of the site may still work."
        }
    }
}

const fn garbled(cause: Cause) -> &'static str {
    match cause {
        Cause::FaultyProxy => {
            "This site and its server do not understand each other, so the answer could not be passed on."
        }
        Cause::Application
        | Cause::Overload
        | Cause::Dns
        | Cause::Firewall
        | Cause::OriginDown
        | Cause::Network
        | Cause::Tls
        | Cause::Unknown => {
            "The site's server sent an answer that cannot be read, probably because of an error in its program."
        }
    }
}

const fn partial(cause: Cause) -> &'static str {
    match cause {
        Cause::Overload => "The site's server is so busy at the moment that its answer stopped in the middle.",
        Cause::Firewall | Cause::Network | Cause::FaultyProxy => {
            "The connection to the site's server broke in the middle of its answer."
        }
        Cause::Application | Cause::OriginDown | Cause::Dns | Cause::Tls | Cause::Unknown => {
            "The answer of the site's server stopped in the middle, so that not all of it could be shown."
        }
    }
}

const fn pool(cause: Cause) -> &'static str {
    match cause {
        Cause::Overload => "All of the site's servers are too busy at the moment to take another visitor.",
        Cause::Firewall | Cause::Network | Cause::Dns | Cause::Tls | Cause::FaultyProxy => {
            "This site cannot get through to any of its servers at the moment."
        }
        Cause::OriginDown | Cause::Application | Cause::Unknown => {
            "None of the site's servers is ready at the moment. They may be restarting."
        }
    }
}

const fn further(cause: Cause) -> &'static str {
    match cause {
        Cause::Overload => "The site's server says that it is too busy at the moment.",
        Cause::Application => "The program behind this site did not give its own server a proper answer.",
        Cause::OriginDown
        | Cause::FaultyProxy
        | Cause::Dns
        | Cause::Firewall
        | Cause::Network
        | Cause::Tls
        | Cause::Unknown => "The site's server says that something it depends on does not answer at the moment.",
    }
}

const OLD_ADDRESS: &str = "This site is being sent to an old or wrong address for its own server at the moment.";
const WRONG_PLACE: &str =
    "This site is looking for its own server in the wrong place. Its settings probably need correcting.";

#[cfg(test)]
mod tests {
    use super::Cause;
    use super::summary;
    use crate::fault::Fault;

    /// Words that somebody who only wanted the page has never heard of.
    const JARGON: &[&str] =
        &["gateway", "proxy", "upstream", "origin", "dns", "tls", "tcp", "http", "port", "socket", "timeout", "host"];

    #[test]
    fn a_visitor_reads_whole_plain_sentences_without_a_number_or_a_term() {
        for (fault, cause) in Fault::ALL.into_iter().flat_map(|fault| Cause::ALL.map(|cause| (fault, cause))) {
            let said = summary(fault, cause);
            let words: Vec<String> = said.split(|c: char| !c.is_alphanumeric()).map(str::to_lowercase).collect();
            assert!(said.ends_with('.') && said.len() < 130, "{fault} {cause}: {said}");
            assert!(!said.contains(|c: char| c.is_numeric() || "!\u{2014}".contains(c)), "{fault} {cause}: {said}");
            assert!(!words.iter().any(|word| JARGON.contains(&word.as_str())), "{fault} {cause}: {said}");
        }
    }
}
