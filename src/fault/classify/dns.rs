//! Owns the meaning of what name servers say, and of the errors on the way to them: response codes and I/O errors → `Fault`.
//!
//! Asking them, and which of several answers counts, is `dns`'s.

use std::io;

use hickory_proto::op::ResponseCode;

use crate::fault::Fault;
use crate::fault::failure::DnsAnswer;
use crate::fault::failure::DnsEvidence;

impl Fault {
    /// The fault that a name server's response code means (RFC 1035, section 4.1.1; RFC 6895); none for `NOERROR`, where
    /// the records decide.
    #[must_use]
    pub fn of_response_code(code: ResponseCode) -> Option<Self> {
        match code {
            ResponseCode::NoError => None,
            ResponseCode::NXDomain => Some(Self::DnsNameNotFound),
            ResponseCode::Refused => Some(Self::DnsRefused),
            ResponseCode::FormErr
            | ResponseCode::ServFail
            | ResponseCode::NotImp
            | ResponseCode::YXDomain
            | ResponseCode::YXRRSet
            | ResponseCode::NXRRSet
            | ResponseCode::NotAuth
            | ResponseCode::NotZone
            | ResponseCode::BADVERS
            | ResponseCode::BADSIG
            | ResponseCode::BADKEY
            | ResponseCode::BADTIME
            | ResponseCode::BADMODE
            | ResponseCode::BADNAME
            | ResponseCode::BADALG
            | ResponseCode::BADTRUNC
            | ResponseCode::BADCOOKIE
            | ResponseCode::Unknown(_) => Some(Self::DnsServerFailure),
        }
    }

    /// The fault that an I/O error on the way to a name server means.
    ///
    /// Descriptors and ports that have run out are this host's own failure; a server that closes in the middle of its answer
    /// was reached; everything else says that it was not.
    #[must_use]
    pub fn of_name_server_error(error: &io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::EMFILE | libc::ENFILE) => return Self::FileDescriptorsExhausted,
            Some(libc::EADDRNOTAVAIL | libc::EADDRINUSE) => return Self::LocalPortsExhausted,
            Some(_) | None => {}
        }
        #[expect(clippy::wildcard_enum_match_arm, reason = "io::ErrorKind is open, and all others mean the same here")]
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::DnsServerFailure,
            io::ErrorKind::TimedOut => Self::DnsTimeout,
            _ => Self::DnsResolverUnreachable,
        }
    }
}

impl DnsEvidence {
    /// The answer that the fault was taken from, where a name server answered at all: the last one with its response code.
    ///
    /// An answer whose code is `NOERROR` and that was of no use (malformed, lame) stands behind `dns_server_failure`.
    #[must_use]
    pub fn deciding(&self, fault: Fault) -> Option<&DnsAnswer> {
        let says = |wanted: fn(&str, Fault) -> bool| {
            self.answers.iter().rev().find(|answer| answer.rcode.is_some_and(|rcode| wanted(rcode, fault)))
        };
        says(|rcode, fault| meaning(rcode) == Some(fault))
            .or_else(|| says(|rcode, fault| rcode == "NOERROR" && NOERROR_BEHIND.contains(&fault)))
    }
}

/// The response code's mnemonic as IANA's registry has it, in capitals; `RESERVED` for one that has none.
#[must_use]
pub fn mnemonic(code: ResponseCode) -> &'static str {
    let number = u16::from(code);
    MNEMONICS.iter().find(|(known, _)| *known == number).map_or("RESERVED", |(_, name)| name)
}

/// The fault behind a mnemonic that `mnemonic` has given out.
fn meaning(rcode: &str) -> Option<Fault> {
    let number = MNEMONICS.iter().find(|(_, name)| *name == rcode).map_or(u16::MAX, |(number, _)| *number);
    Fault::of_response_code(number.into())
}

/// The faults that an answer with `NOERROR` can stand behind.
const NOERROR_BEHIND: [Fault; 2] = [Fault::DnsNoRecords, Fault::DnsServerFailure];

/// IANA, DNS RCODEs; 16 is `BADVERS` wherever no transaction is signed, as here.
const MNEMONICS: [(u16, &str); 19] = [
    (0, "NOERROR"),
    (1, "FORMERR"),
    (2, "SERVFAIL"),
    (3, "NXDOMAIN"),
    (4, "NOTIMP"),
    (5, "REFUSED"),
    (6, "YXDOMAIN"),
    (7, "YXRRSET"),
    (8, "NXRRSET"),
    (9, "NOTAUTH"),
    (10, "NOTZONE"),
    (16, "BADVERS"),
    (17, "BADKEY"),
    (18, "BADTIME"),
    (19, "BADMODE"),
    (20, "BADNAME"),
    (21, "BADALG"),
    (22, "BADTRUNC"),
    (23, "BADCOOKIE"),
];

#[cfg(test)]
mod tests {
    use std::io;
    use std::time::Duration;

    use hickory_proto::op::ResponseCode;

    use super::Fault;
    use super::mnemonic;
    use crate::fault::failure::DnsAnswer;
    use crate::fault::failure::DnsEvidence;

    #[test]
    fn each_response_code_has_its_mnemonic_and_its_fault() {
        let rows = [
            (0, "NOERROR", None),
            (1, "FORMERR", Some(Fault::DnsServerFailure)),
            (2, "SERVFAIL", Some(Fault::DnsServerFailure)),
            (3, "NXDOMAIN", Some(Fault::DnsNameNotFound)),
            (4, "NOTIMP", Some(Fault::DnsServerFailure)),
            (5, "REFUSED", Some(Fault::DnsRefused)),
            (9, "NOTAUTH", Some(Fault::DnsServerFailure)),
            (11, "RESERVED", Some(Fault::DnsServerFailure)),
            (16, "BADVERS", Some(Fault::DnsServerFailure)),
            (23, "BADCOOKIE", Some(Fault::DnsServerFailure)),
        ];
        for (number, name, fault) in rows {
            let code: ResponseCode = number.into();
            assert_eq!((number, mnemonic(code), Fault::of_response_code(code)), (number, name, fault));
        }
    }

    #[test]
    fn errors_on_the_way_are_the_servers_or_our_own() {
        let rows = [
            (io::Error::from_raw_os_error(libc::ECONNREFUSED), Fault::DnsResolverUnreachable),
            (io::Error::from_raw_os_error(libc::ENETUNREACH), Fault::DnsResolverUnreachable),
            (io::Error::from_raw_os_error(libc::EPERM), Fault::DnsResolverUnreachable),
            (io::Error::from_raw_os_error(libc::ECONNRESET), Fault::DnsResolverUnreachable),
            (io::Error::from_raw_os_error(libc::ETIMEDOUT), Fault::DnsTimeout),
            (io::Error::from_raw_os_error(libc::EMFILE), Fault::FileDescriptorsExhausted),
            (io::Error::from_raw_os_error(libc::EADDRNOTAVAIL), Fault::LocalPortsExhausted),
            (io::ErrorKind::UnexpectedEof.into(), Fault::DnsServerFailure),
        ];
        for (error, fault) in rows {
            assert_eq!(Fault::of_name_server_error(&error), fault, "{error}");
        }
    }

    #[test]
    fn the_deciding_answer_is_the_one_that_says_the_fault() {
        let evidence = DnsEvidence {
            answers: vec![answer("SERVFAIL"), answer("NOERROR"), answer("NXDOMAIN")],
            ..DnsEvidence::default()
        };
        let rows = [
            (Fault::DnsNameNotFound, Some("NXDOMAIN")),
            (Fault::DnsServerFailure, Some("SERVFAIL")),
            (Fault::DnsNoRecords, Some("NOERROR")),
            (Fault::DnsRefused, None),
            (Fault::DnsTimeout, None),
        ];
        for (fault, rcode) in rows {
            assert_eq!(evidence.deciding(fault).and_then(|answer| answer.rcode), rcode, "{fault}");
        }
    }

    fn answer(rcode: &'static str) -> DnsAnswer {
        DnsAnswer {
            server: ([10, 0, 0, 53], 53).into(),
            rcode: Some(rcode),
            extended: Vec::new(),
            elapsed: Duration::from_millis(1),
            os_error: None,
        }
    }
}
