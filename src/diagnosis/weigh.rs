//! Owns the arithmetic of a diagnosis: what is likely before anything else is known, and how evidence changes it.
//!
//! Each cause starts at the share of cases in which it is behind the fault; each piece of evidence multiplies its odds.
//! How much a rule adds stands beside its name in `rules`.

use super::Cause;
use super::Evidence;
use crate::fault::Fault;

/// The causes that are worth naming with their confidence, likeliest first; `unknown` only where it leads.
///
/// Confidences are rounded down to two digits, so that they never add up to more than 1.
#[must_use]
pub fn weigh(fault: Fault, evidence: &[Evidence]) -> Vec<(Cause, f64)> {
    let odds = Cause::ALL.map(|cause| (cause, prior(fault, cause) * gain(cause, evidence).exp()));
    let whole: f64 = odds.iter().map(|(_, odds)| odds).sum();
    let mut causes = odds.map(|(cause, odds)| (cause, round_down(odds / whole)));
    causes.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    let leading = causes.first().map(|(cause, _)| *cause);
    let named =
        |(cause, share): &(Cause, f64)| Some(*cause) == leading || (*share >= LEAST && *cause != Cause::Unknown);
    causes.into_iter().filter(named).collect()
}

/// The logarithm by which the evidence multiplies a cause's odds.
///
/// Rules look at the same few facts, so that their findings are not independent: the weightiest for a cause counts
/// whole, every further one less than the one before. More evidence for a cause never lowers it all the same.
fn gain(cause: Cause, evidence: &[Evidence]) -> f64 {
    let weights = || evidence.iter().filter(|found| found.points_to == cause).map(|found| found.weight);
    faded(weights().filter(|weight| *weight > 0.0)) - faded(weights().filter(|weight| *weight < 0.0).map(f64::abs))
}

fn faded(weights: impl Iterator<Item = f64>) -> f64 {
    let mut weights: Vec<f64> = weights.collect();
    weights.sort_by(|one, other| other.total_cmp(one));
    weights.iter().rev().fold(0.0, |rest, weight| weight + FADING * rest)
}

/// The share of cases with this fault in which this cause is behind it.
fn prior(fault: Fault, cause: Cause) -> f64 {
    let [overload, dns, firewall, faulty_proxy, origin_down, application, network, tls] = priors(fault);
    let percent = match cause {
        Cause::Overload => overload,
        Cause::Dns => dns,
        Cause::Firewall => firewall,
        Cause::FaultyProxy => faulty_proxy,
        Cause::OriginDown => origin_down,
        Cause::Application => application,
        Cause::Network => network,
        Cause::Tls => tls,
        Cause::Unknown => 100_u8.saturating_sub(priors(fault).iter().sum()),
    };
    f64::from(percent).max(RARE) / 100.0
}

/// What an experienced engineer would say on hearing the fault alone, in percent; what is left is `unknown`.
#[rustfmt::skip]
const fn priors(fault: Fault) -> [u8; 8] {
    match fault {
        //                               overload  dns  firewall  proxy  down  application  network  tls
        Fault::DnsNameNotFound =>          [   0,   91,      1,      5,    1,       0,         0,     0],
        Fault::DnsNoRecords =>             [   0,   93,      0,      4,    1,       0,         0,     0],
        Fault::DnsServerFailure =>         [   1,   90,      1,      2,    1,       0,         2,     0],
        Fault::DnsRefused =>               [   0,   85,      6,      6,    0,       0,         0,     0],
        Fault::DnsResolverUnreachable =>   [   0,   80,      3,      5,    5,       0,         4,     0],
        Fault::DnsTimeout =>               [   3,   67,     12,      2,    3,       0,        10,     0],
        Fault::ConnectionRefused =>        [   3,    1,      8,     19,   62,       3,         1,     0],
        Fault::ConnectionTimedOut =>       [  14,    3,     40,      6,   22,       1,        12,     0],
        Fault::HostUnreachable =>          [   0,    3,     23,      3,   50,       0,        18,     0],
        Fault::NetworkUnreachable =>       [   0,    2,      3,     11,    1,       0,        80,     0],
        Fault::ConnectionProhibited =>     [   0,    0,     76,     20,    0,       0,         1,     0],
        Fault::LocalPortsExhausted =>      [  18,    0,      0,     77,    0,       1,         1,     0],
        Fault::FileDescriptorsExhausted => [  18,    0,      0,     77,    0,       1,         0,     0],
        Fault::SocketMissing =>            [   0,    0,      0,     26,   66,       5,         0,     0],
        Fault::SocketPermissionDenied =>   [   0,    0,      6,     76,    4,      11,         0,     0],
        Fault::SocketBacklogFull =>        [  78,    0,      0,      2,    3,      14,         0,     0],
        Fault::TlsCertificateExpired =>    [   0,    0,      0,      3,    0,       0,         0,    94],
        Fault::TlsCertificateNotYetValid =>[   0,    0,      0,     14,    0,       0,         0,    83],
        Fault::TlsCertificateWrongName =>  [   0,    3,      0,     19,    0,       0,         0,    75],
        Fault::TlsCertificateUntrusted =>  [   0,    0,      2,     15,    0,       0,         0,    80],
        Fault::TlsAlert =>                 [   0,    0,      1,     16,    0,       2,         0,    78],
        Fault::TlsNotSpoken =>             [   0,    0,      1,     84,    0,       3,         0,     9],
        Fault::TlsHandshakeClosed =>       [   4,    0,      9,     32,    7,       8,         2,    35],
        Fault::TlsHandshakeTimedOut =>     [  19,    0,      9,     27,    3,      15,        15,     9],
        Fault::TlsProtocolError =>         [   0,    0,      2,     24,    0,       4,         1,    66],
        Fault::RequestSendTimedOut =>      [  20,    0,      6,      4,    1,      43,        23,     0],
        Fault::ResetWhileSending =>        [   6,    0,      8,     16,    7,      58,         2,     0],
        Fault::ResponseTimedOut =>         [  29,    0,      2,      4,    2,      57,         3,     0],
        Fault::ClosedBeforeResponse =>     [   5,    0,      2,     21,    9,      60,         0,     0],
        Fault::ResetBeforeResponse =>      [   6,    0,     18,     17,   10,      46,         1,     0],
        Fault::ResponseNotHttp =>          [   0,    0,      1,     62,    0,      33,         0,     1],
        Fault::ResponseMalformed =>        [   0,    0,      0,     11,    0,      86,         0,     0],
        Fault::ResponseHeaderTooLarge =>   [   0,    0,      0,     22,    0,      75,         0,     0],
        Fault::H2StreamRefused =>          [  52,    0,      0,     12,    6,      27,         0,     0],
        Fault::H2StreamReset =>            [   8,    0,      2,     14,    4,      69,         0,     0],
        Fault::H2ConnectionError =>        [   5,    0,      3,     40,    6,      42,         0,     1],
        Fault::UpgradeFailed =>            [   0,    0,      1,     22,    0,      74,         0,     0],
        Fault::ResponseTruncated =>        [   3,    0,      3,      9,    5,      75,         2,     0],
        Fault::ResponseBodyTimedOut =>     [  20,    0,      3,      3,    2,      60,         9,     0],
        Fault::ResponseChunkingInvalid =>  [   0,    0,      0,      6,    0,      91,         0,     0],
        Fault::NoHealthyServer =>          [  15,    2,      4,      5,   59,      10,         2,     1],
        Fault::ServerAtCapacity =>         [  74,    0,      0,     13,    1,      10,         0,     0],
        Fault::ProxyLoop =>                [   0,    4,      0,     93,    0,       0,         0,     0],
        Fault::UpstreamBadGateway =>       [   8,    2,      2,     20,   44,      20,         1,     0],
        Fault::UpstreamUnavailable =>      [  34,    0,      1,     12,   36,      14,         0,     0],
        Fault::UpstreamGatewayTimeout =>   [  32,    0,      6,     10,   10,      36,         3,     0],
    }
}

fn round_down(share: f64) -> f64 {
    (share * 100.0).floor() / 100.0
}

/// Below this share, a cause is not worth a reader's time.
const LEAST: f64 = 0.03;

/// How much of its weight each further piece of evidence for the same cause keeps.
const FADING: f64 = 0.6;

/// The percentage of a cause that the table gives none, so that evidence can still raise it.
const RARE: f64 = 0.4;

#[cfg(test)]
mod tests {
    use super::Cause;
    use super::Evidence;
    use super::gain;
    use super::priors;
    use super::weigh;
    use crate::diagnosis::rules::RULES;
    use crate::fault::Fault;

    fn found(points_to: Cause, weight: f64) -> Evidence {
        Evidence { id: "test", says: String::new(), points_to, weight }
    }

    fn share(causes: &[(Cause, f64)], cause: Cause) -> f64 {
        causes.iter().find(|(named, _)| *named == cause).map_or(0.0, |(_, share)| *share)
    }

    #[test]
    fn priors_leave_something_for_what_nobody_thought_of() {
        for fault in Fault::ALL {
            let whole: u32 = priors(fault).map(u32::from).iter().sum();
            assert!((90..=99).contains(&whole), "{fault}: {whole}");
        }
    }

    #[test]
    fn confidences_are_numbers_in_order_that_add_up_to_at_most_one() {
        for fault in Fault::ALL {
            for rule in RULES {
                let causes = weigh(fault, &[found(rule.points_to, rule.weight), found(Cause::Network, 1.0)]);
                let shares: Vec<f64> = causes.iter().map(|(_, share)| *share).collect();
                assert!(shares.iter().all(|share| (0.0..1.0).contains(share)), "{fault}: {shares:?}");
                assert!(shares.is_sorted_by(|one, other| one >= other), "{fault}: {shares:?}");
                assert!(shares.iter().sum::<f64>() < 1.0 + 1e-9, "{fault}: {shares:?}");
            }
        }
    }

    #[test]
    fn evidence_for_a_cause_never_lowers_it_and_evidence_against_it_never_raises_it() {
        for fault in Fault::ALL {
            for cause in Cause::ALL {
                let mut evidence = vec![found(Cause::Dns, 0.7), found(cause, 1.5), found(cause, -0.4)];
                let before = share(&weigh(fault, &evidence), cause);
                evidence.push(found(cause, 0.9));
                let with = share(&weigh(fault, &evidence), cause);
                evidence.push(found(cause, -2.0));
                let against = share(&weigh(fault, &evidence), cause);
                assert!(before <= with && against <= with, "{fault} {cause}: {before} {with} {against}");
            }
        }
    }

    #[test]
    fn further_evidence_for_the_same_cause_counts_less() {
        let one = gain(Cause::Tls, &[found(Cause::Tls, 2.0)]);
        let two = gain(Cause::Tls, &[found(Cause::Tls, 1.0), found(Cause::Tls, 2.0)]);
        assert!((one - 2.0).abs() < 1e-9 && (two - 2.6).abs() < 1e-9, "{one} {two}");
    }

    #[test]
    fn a_fault_alone_gives_a_guess_and_never_certainty() {
        for fault in Fault::ALL {
            let (cause, confidence) = weigh(fault, &[])[0];
            assert_ne!(cause, Cause::Unknown, "{fault}");
            assert!((0.2..0.97).contains(&confidence), "{fault}: {cause} {confidence}");
        }
    }

    #[test]
    fn unknown_is_said_only_where_it_leads() {
        let nothing_fits = Cause::ALL.map(|cause| found(cause, if cause == Cause::Unknown { 0.0 } else { -6.0 }));
        assert_eq!(weigh(Fault::ResponseTimedOut, &nothing_fits)[0].0, Cause::Unknown);
        assert!(weigh(Fault::ResponseTimedOut, &[]).iter().all(|(cause, _)| *cause != Cause::Unknown));
    }
}
