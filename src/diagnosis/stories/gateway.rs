//! Owns the stories that this proxy tells of itself: no server, no place, a loop.

use super::Row;
use super::teller::Story;
use crate::diagnosis::Cause;
use crate::fault::Fault;
use crate::fault::own::CapacityEvidence;
use crate::fault::own::CheckEvidence;
use crate::fault::own::Limited;

pub(super) fn rows() -> Vec<Row> {
    let full = CapacityEvidence { what: Limited::Requests, taken: 2, limit: 2, waiting: 0, queue: 0 };
    let check = |status| CheckEvidence { server: "http://10.0.0.5:3000".into(), path: "/healthz".into(), status };
    let empty = |first: Story| Story::of(Fault::NoHealthyServer).after(first);
    vec![
        Story::of(Fault::NoHealthyServer).ends("every server is out of service", Cause::OriginDown, 0.55, &[]),
        empty(Story::of(Fault::ConnectionRefused).errno(libc::ECONNREFUSED).took(0.3))
            .ends("the pool was stopped at once", Cause::OriginDown, 0.75, &["first_failure_refused"])
            .says(&["10.0.0.5:3000 refused the connection"]),
        empty(Story::of(Fault::ConnectionTimedOut).limit(3_000)).ends(
            "the pool fell silent",
            Cause::Firewall,
            0.4,
            &["first_failure_silent"],
        ),
        empty(Story::of(Fault::DnsNameNotFound).name("app.internal")).ends(
            "the pool's name is gone",
            Cause::Dns,
            0.8,
            &["first_failure_lookup"],
        ),
        empty(Story::of(Fault::TlsAlert).asked_for("app.internal").alert(112, "unrecognized_name"))
            .ends("the pool was ejected for a missing server name", Cause::Tls, 0.75, &["first_failure_tls"])
            .says(&["112 unrecognized_name"]),
        empty(Story::of(Fault::ClosedBeforeResponse).took(20.0)).ends(
            "the pool crashes on every request",
            Cause::Application,
            0.5,
            &["first_failure_broken"],
        ),
        Story::of(Fault::NoHealthyServer)
            .knows(|failure| failure.check = Some(check(404)))
            .ends(
                "the check asks for a path that there is not",
                Cause::FaultyProxy,
                0.5,
                &["check_answered", "check_refused"],
            )
            .says(&["/healthz", "gets 404"]),
        Story::of(Fault::NoHealthyServer)
            .knows(|failure| failure.check = Some(check(500)))
            .ends(
                "every instance says that it is not well",
                Cause::Application,
                0.5,
                &["check_answered", "check_failed"],
            )
            .says(&["answered 500"]),
        Story::of(Fault::ServerAtCapacity)
            .ends("the operator's own limit", Cause::Overload, 0.8, &["limit_reached"])
            .says(&["limits of the upstream app"]),
        Story::of(Fault::ServerAtCapacity)
            .knows(|failure| failure.capacity = Some(full))
            .ends("all places are taken and nobody may wait", Cause::Overload, 0.8, &["limit_reached"])
            .says(&["2 of 2 requests in flight, no queue"]),
        Story::of(Fault::ProxyLoop)
            .at("http://10.0.0.2:8080")
            .ends("the upstream is this proxy", Cause::FaultyProxy, 0.9, &["leads_to_itself"])
            .says(&["loop", "itself"]),
    ]
}
