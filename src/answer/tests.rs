//! Owns the tests of whole answers: every fault and cause in every format, what no visitor may see, what is prepared.

use std::fs;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::HeaderValue;
use http::StatusCode;
use serde_json::Value;
use serde_json::json;

use super::Answer;
use super::Format;
use super::Moment;
use super::Occurrence;
use super::Prepared;
use super::Problem;
use super::RefusalReport;
use super::Report;
use super::mark::Mark;
use super::samples::OCCURRENCE;
use super::samples::SECRET_PLACES;
use super::samples::Story;
use crate::config::StatusPolicy;
use crate::diagnosis::Cause;
use crate::fault::Fault;

#[test]
fn every_fault_and_cause_has_an_answer_in_every_format() {
    for fault in Fault::ALL {
        for cause in Cause::ALL {
            let story = Story::of(fault, cause);
            for format in Format::ALL {
                for report in [story.for_visitor(OCCURRENCE), story.for_operator(OCCURRENCE)] {
                    let answer = Answer::failure(&report, format, StatusPolicy::BadGateway);
                    let expected = if format == Format::Grpc { StatusCode::OK } else { StatusCode::BAD_GATEWAY };
                    assert_eq!(answer.status, expected, "{fault} {cause} {format:?}");
                    assert_eq!(answer.body.is_empty(), format == Format::Grpc, "{fault} {cause} {format:?}");
                    assert_eq!(marks_left(&answer), 0, "{fault} {cause} {format:?}");
                    assert_valid_list(&answer.headers["proxy-status"]);
                }
            }
        }
    }
}

#[test]
fn every_answer_has_the_fields_of_a_failing_answer() {
    let story = Story::refused();
    for format in Format::ALL {
        let answer = Answer::failure(&story.for_visitor(OCCURRENCE), format, StatusPolicy::BadGateway);
        for (name, value) in [
            ("content-type", format.content_type()),
            ("proxy-status", "why502; error=connection_refused"),
            ("cache-control", "no-store"),
            ("vary", "Accept"),
            ("content-language", "en"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("x-robots-tag", "noindex"),
            ("x-request-id", OCCURRENCE.request_id),
            ("retry-after", "15"),
            ("content-length", &answer.body.len().to_string()),
        ] {
            assert_eq!(answer.headers[name], value, "{format:?} {name}");
        }
    }
}

#[test]
fn a_known_wait_goes_before_the_usual_one() {
    let story = Story::refused();
    let occurrence = Occurrence { retry_after: Some(120), ..OCCURRENCE };
    let answer = Answer::failure(&story.for_visitor(occurrence), Format::Text, StatusPolicy::BadGateway);
    assert_eq!(answer.headers["retry-after"], "120");
    assert!(text(&answer).contains("Give it about 2 minutes first."));
}

#[test]
fn nobody_is_asked_to_wait_where_waiting_does_not_help() {
    let story = Story::of(Fault::TlsCertificateExpired, Cause::Tls);
    let answer = Answer::failure(&story.for_visitor(OCCURRENCE), Format::Html, StatusPolicy::BadGateway);
    assert!(!answer.headers.contains_key("retry-after"));
    assert!(!text(&answer).contains("Give it about"));
}

#[test]
fn no_visitor_sees_what_is_the_operators() {
    for fault in Fault::ALL {
        let story = Story::full_of_secrets(fault);
        let report = story.for_visitor(OCCURRENCE);
        for format in Format::ALL {
            let answer = Answer::failure(&report, format, StatusPolicy::Standard);
            let shown = format!("{:?}\n{}", answer.headers, text(&answer)).to_lowercase();
            for secret in SECRET_PLACES.into_iter().chain(["secret"]) {
                assert!(!shown.contains(secret), "{fault} {format:?} shows {secret}: {shown}");
            }
        }
    }
}

#[test]
fn operators_see_what_visitors_do_not() {
    let story = Story::full_of_secrets(Fault::DnsServerFailure);
    let report = story.for_operator(OCCURRENCE);
    for format in [Format::Html, Format::Problem, Format::Json, Format::Text] {
        let answer = Answer::failure(&report, format, StatusPolicy::BadGateway);
        for part in [
            "secret detail",
            "secret finding",
            "secret step",
            "secret command",
            "http://secret.internal:47113",
            "203.0.113.77:47113",
            "[2001:db8::77]:47113",
        ] {
            assert!(text(&answer).contains(part), "{format:?} lacks {part}");
        }
    }
    let answer = Answer::failure(&report, Format::Json, StatusPolicy::BadGateway);
    assert!(text(&answer).contains("\"upstream\": \"secret-upstream\""));
    assert_eq!(
        answer.headers["proxy-status"],
        "why502; error=dns_error; rcode=\"SERVFAIL\"; info-code=22; received-status=503; \
         next-hop=\"203.0.113.77:47113\"; details=\"secret detail\""
    );
}

#[test]
fn the_document_has_the_members_of_the_contract_in_its_order() {
    let story = Story::refused();
    let operators = Answer::failure(&story.for_operator(OCCURRENCE), Format::Problem, StatusPolicy::BadGateway);
    assert_eq!(members(&operators), [&PUBLIC_MEMBERS[..], &PRIVATE_MEMBERS[..]].concat());
    let visitors = Answer::failure(&story.for_visitor(OCCURRENCE), Format::Problem, StatusPolicy::BadGateway);
    assert_eq!(members(&visitors), PUBLIC_MEMBERS);
}

#[test]
fn a_visitors_document_is_as_in_the_contract() {
    let story = Story::refused();
    let answer = Answer::failure(&story.for_visitor(OCCURRENCE), Format::Problem, StatusPolicy::BadGateway);
    let document: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(
        document,
        json!({
            "type": "urn:why502:fault:connection_refused",
            "title": "The origin refused the connection",
            "status": 502,
            "detail": story.diagnosis.summary,
            "instance": "urn:why502:request:01JNWZ8Q4T5K3V9XH2M7RDCAEB",
            "request_id": "01JNWZ8Q4T5K3V9XH2M7RDCAEB",
            "incident": "01JNWZ7F0G1Y6S8PBN4QWKCT3D",
            "fault": "connection_refused",
            "stage": "connect",
            "proxy_status": "connection_refused",
            "cause": "origin_down",
            "confidence": 0.86,
            "causes": [
                { "cause": "origin_down", "confidence": 0.86 },
                { "cause": "firewall", "confidence": 0.08 },
            ],
            "checklist": [
                { "audience": "visitor", "step": story.diagnosis.steps[0].text },
                { "audience": "visitor", "step": story.diagnosis.steps[1].text },
                { "audience": "visitor", "step": story.diagnosis.steps[2].text },
                { "audience": "owner", "step": story.diagnosis.steps[3].text },
            ],
        })
    );
}

#[test]
fn what_only_operators_read_is_as_in_the_contract() {
    let story = Story::refused();
    let answer = Answer::failure(&story.for_operator(OCCURRENCE), Format::Json, StatusPolicy::BadGateway);
    let document: Value = serde_json::from_slice(&answer.body).unwrap();
    let inside: Vec<_> = PRIVATE_MEMBERS.iter().map(|member| document[member].clone()).collect();
    assert_eq!(inside[..4], [json!("app"), json!("http://app-1.internal:3000"), json!("10.0.0.5:3000"), json!(0.4)]);
    assert_eq!(
        inside[4][0],
        json!({
            "id": "port_closed_host_alive",
            "says": "port 3000 is closed, but the host answers on port 22",
            "points_to": "origin_down",
            "weight": 1.5,
        })
    );
    assert_eq!(
        inside[5],
        json!([{
            "server": "http://app-1.internal:3000",
            "peer": "10.0.0.5:3000",
            "fault": "connection_refused",
            "elapsed_ms": 0.4,
        }])
    );
    assert_eq!(document["checklist"][4]["command"], "ss -ltnp 'sport = :3000'");
    assert_eq!(document["detail"], story.diagnosis.detail);
}

#[test]
fn the_log_writes_the_very_same_document() {
    let story = Story::refused();
    let report = story.for_operator(OCCURRENCE);
    let logged = serde_json::to_value(Problem::new(&report, 502)).unwrap();
    let answered: Value =
        serde_json::from_slice(&Answer::failure(&report, Format::Json, StatusPolicy::BadGateway).body).unwrap();
    assert_eq!(logged, answered);
}

#[test]
fn the_document_says_the_status_of_its_answer() {
    for policy in [StatusPolicy::BadGateway, StatusPolicy::Standard, StatusPolicy::Unavailable] {
        for fault in Fault::ALL {
            let story = Story::of(fault, Cause::Unknown);
            let answer = Answer::failure(&story.for_visitor(OCCURRENCE), Format::Problem, policy);
            let document: Value = serde_json::from_slice(&answer.body).unwrap();
            assert_eq!(document["status"], answer.status.as_u16(), "{fault} under {policy:?}");
        }
    }
}

#[test]
fn a_prepared_answer_filled_in_is_the_answer() {
    let story = Story::tried_twice();
    for format in Format::ALL {
        for report in [story.for_visitor(OCCURRENCE), story.for_operator(OCCURRENCE)] {
            let prepared = Prepared::failure(&report, format, StatusPolicy::BadGateway);
            for occurrence in [OCCURRENCE, BARE] {
                let report = match report {
                    Report::Visitor(_) => story.for_visitor(occurrence),
                    Report::Operator(_) => story.for_operator(occurrence),
                };
                let direct = Answer::failure(&report, format, StatusPolicy::BadGateway);
                assert_eq!(prepared.fill(&occurrence), direct, "{format:?}");
                let sees = |part: &str| text(&direct).contains(part);
                assert_eq!(sees(occurrence.request_id), format != Format::Grpc, "{format:?} and the request's id");
                assert_eq!(sees(OCCURRENCE.incident.unwrap()), occurrence.incident.is_some() && format != Format::Grpc);
            }
        }
    }
}

#[test]
fn only_a_request_that_a_link_repeats_gets_a_link() {
    let story = Story::tried_twice();
    let page = |occurrence| {
        let answer = Answer::failure(&story.for_visitor(occurrence), Format::Html, StatusPolicy::BadGateway);
        (text(&answer).contains("<a href=\"\">Try again</a>"), text(&answer).contains("it had gone through"))
    };
    assert_eq!(page(OCCURRENCE), (true, false));
    assert_eq!(page(BARE), (false, true));
}

#[test]
fn a_request_that_was_never_sent_cannot_have_gone_through() {
    let story = Story::refused();
    let answer = Answer::failure(&story.for_visitor(BARE), Format::Html, StatusPolicy::BadGateway);
    assert!(!text(&answer).contains("it had gone through"));
}

#[test]
fn what_a_client_or_a_server_chose_breaks_out_of_no_format() {
    let hostile = "\"'><script>alert(1)</script>\\\u{1b}[31m\u{FDD0}\r\nX: y";
    let mut story = Story::refused();
    story.diagnosis.detail = hostile.to_owned();
    story.diagnosis.evidence[0].says = hostile.to_owned();
    story.diagnosis.steps[4].command = Some(hostile.to_owned());
    let report = story.for_operator(Occurrence { request_id: hostile, incident: Some(hostile), ..OCCURRENCE });
    for format in Format::ALL {
        let answer = Answer::failure(&report, format, StatusPolicy::BadGateway);
        let body = text(&answer);
        assert_valid_list(&answer.headers["proxy-status"]);
        assert!(!answer.headers.contains_key("x-request-id"), "a value that no field may have");
        match format {
            Format::Html => assert!(!body.contains("<script"), "{body}"),
            Format::Problem | Format::Json => {
                let document: Value = serde_json::from_slice(&answer.body).unwrap();
                assert_eq!((&document["request_id"], &document["incident"]), (&json!(hostile), &json!(hostile)));
            }
            Format::Text => assert!(!body.chars().any(|c| c.is_control() && c != '\n'), "{body}"),
            Format::Grpc => assert_eq!(answer.headers["grpc-status"], "14"),
        }
    }
}

#[test]
fn the_page_needs_nothing_from_elsewhere_and_is_small() {
    for fault in Fault::ALL {
        let story = Story::of(fault, Cause::OriginDown);
        let answer = Answer::failure(&story.for_visitor(OCCURRENCE), Format::Html, StatusPolicy::BadGateway);
        let page = text(&answer);
        for outside in ["://", "src=", "<script", "<link", "@import", "url(", " style=", " onclick"] {
            assert!(!page.contains(outside), "{fault} has {outside}");
        }
        assert!(page.len() < 16_384, "{fault}: {} bytes before compression", page.len());
    }
}

#[test]
fn the_policy_allows_the_style_sheet_that_is_in_the_page() {
    let story = Story::refused();
    let answer = Answer::failure(&story.for_visitor(OCCURRENCE), Format::Html, StatusPolicy::BadGateway);
    let page = text(&answer);
    let style = page.split("<style>").nth(1).unwrap().split("</style>").next().unwrap();
    let hash = BASE64.encode(ring::digest::digest(&ring::digest::SHA256, style.as_bytes()));
    assert_eq!(
        answer.headers["content-security-policy"],
        format!(
            "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
    );
}

#[test]
fn the_page_marks_the_station_that_broke() {
    for (fault, mark) in [
        (Fault::ConnectionRefused, "<li class=\"broken\"><b>Origin</b>"),
        (Fault::LocalPortsExhausted, "<li class=\"broken\"><b>This proxy</b>"),
        (Fault::DnsTimeout, "<li class=\"fine cut\"><b>This proxy</b>"),
    ] {
        let story = Story::of(fault, Cause::Unknown);
        let answer = Answer::failure(&story.for_visitor(OCCURRENCE), Format::Html, StatusPolicy::BadGateway);
        assert!(text(&answer).contains(mark), "{fault}");
    }
}

#[test]
fn plain_text_fits_a_terminal_but_for_commands_which_are_never_wrapped() {
    for fault in Fault::ALL {
        let story = Story::of(fault, Cause::OriginDown);
        for report in [story.for_visitor(OCCURRENCE), story.for_operator(OCCURRENCE)] {
            let answer = Answer::failure(&report, Format::Text, StatusPolicy::BadGateway);
            for line in text(&answer).lines().filter(|line| !line.trim_start().starts_with("$ ")) {
                assert!(line.chars().count() <= 80, "{fault}: {line}");
                assert_eq!(line.trim_end(), line, "{fault} ends a line with a space");
            }
        }
    }
}

#[test]
fn a_refusal_has_neither_fault_nor_cause() {
    let answer = Answer::refusal(&NOT_FOUND, Format::Problem);
    let document: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(
        document,
        json!({
            "type": "about:blank",
            "title": "Not Found",
            "status": 404,
            "detail": "Nothing is set up for this address.",
            "instance": "urn:why502:request:01JNWZ8Q4T5K3V9XH2M7RDCAEB",
            "request_id": "01JNWZ8Q4T5K3V9XH2M7RDCAEB",
        })
    );
}

#[test]
fn a_refusal_says_whose_doing_it_was() {
    for (status, proxy_status, grpc) in [
        (400, "why502; error=http_request_error; status-code=400", "13"),
        (404, "why502; error=http_request_error; status-code=404", "12"),
        (431, "why502; error=http_request_error; status-code=431", "8"),
        (501, "why502; error=http_request_error; status-code=501", "12"),
        (500, "why502; error=proxy_internal_error", "13"),
        (503, "why502; error=proxy_internal_response", "14"),
    ] {
        let refusal = RefusalReport { status: StatusCode::from_u16(status).unwrap(), ..NOT_FOUND };
        for format in Format::ALL {
            let answer = Answer::refusal(&refusal, format);
            assert_eq!(answer.headers["proxy-status"], proxy_status, "{format:?}");
            assert_eq!(answer.status.as_u16(), if format == Format::Grpc { 200 } else { status }, "{format:?}");
            assert_eq!(answer.body.is_empty(), format == Format::Grpc, "{format:?}");
        }
        assert_eq!(Answer::refusal(&refusal, Format::Grpc).headers["grpc-status"], grpc);
    }
}

#[test]
#[ignore = "writes pages and texts to target/gallery, to be looked at"]
fn the_gallery() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/gallery");
    fs::create_dir_all(&directory).unwrap();
    let write = |name: &str, suffix: &str, answer: Answer| {
        fs::write(directory.join(format!("{name}.{suffix}")), answer.body).unwrap();
    };
    for (name, story) in [
        ("refused", Story::refused()),
        ("resolver", Story::of(Fault::DnsTimeout, Cause::Dns)),
        ("ports", Story::of(Fault::LocalPortsExhausted, Cause::Overload)),
        ("unknown", Story::of(Fault::ResponseTimedOut, Cause::Unknown)),
        ("tried", Story::tried_twice()),
    ] {
        let posted = Occurrence { repeatable: false, retry_after: Some(120), incident: None, ..OCCURRENCE };
        let occurrence = if name == "tried" { posted } else { OCCURRENCE };
        for (format, suffix) in [(Format::Html, "html"), (Format::Text, "txt"), (Format::Json, "json")] {
            let answer = |report| Answer::failure(&report, format, StatusPolicy::BadGateway);
            write(&format!("{name}-visitor"), suffix, answer(story.for_visitor(occurrence)));
            write(&format!("{name}-operator"), suffix, answer(story.for_operator(occurrence)));
            write("not-found", suffix, Answer::refusal(&NOT_FOUND, format));
        }
    }
}

const NOT_FOUND: RefusalReport<'static> = RefusalReport {
    status: StatusCode::NOT_FOUND,
    detail: "Nothing is set up for this address.",
    hint: Some("Check the address for a typing error."),
    occurrence: Occurrence { repeatable: false, incident: None, ..OCCURRENCE },
};

/// A request that is not repeated by a link and belongs to no incident.
const BARE: Occurrence<'static> =
    Occurrence { request_id: "another-id", at: Moment(0), incident: None, retry_after: None, repeatable: false };

const PUBLIC_MEMBERS: [&str; 14] = [
    "type",
    "title",
    "status",
    "detail",
    "instance",
    "request_id",
    "incident",
    "fault",
    "stage",
    "proxy_status",
    "cause",
    "confidence",
    "causes",
    "checklist",
];

const PRIVATE_MEMBERS: [&str; 6] = ["upstream", "server", "peer", "elapsed_ms", "evidence", "attempts"];

fn text(answer: &Answer) -> &str {
    str::from_utf8(&answer.body).unwrap()
}

/// The members of the outermost object, in the order in which they stand.
fn members(answer: &Answer) -> Vec<&str> {
    let member = |line: &'_ str| line.starts_with("  \"");
    text(answer).lines().filter(|line| member(line)).map(|line| line.split('"').nth(1).unwrap()).collect()
}

fn marks_left(answer: &Answer) -> usize {
    text(answer).chars().filter(|character| Mark::of(*character).is_some()).count()
}

/// One member of a list of Structured Fields: a token, then parameters with tokens, integers or strings.
fn assert_valid_list(field: &HeaderValue) {
    let field = field.to_str().unwrap();
    let mut rest = field.strip_prefix("why502").unwrap();
    while !rest.is_empty() {
        let (key, value) = rest.strip_prefix("; ").unwrap().split_once('=').unwrap();
        assert!(key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{field}");
        rest = match value.strip_prefix('"') {
            Some(string) => after_string(string),
            None => value.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_'),
        };
    }
}

/// What follows the closing quote of a string whose opening quote has been read.
fn after_string(string: &str) -> &str {
    let mut escaped = false;
    let end = string.find(|character: char| {
        let was_escaped = std::mem::take(&mut escaped);
        escaped = character == '\\' && !was_escaped;
        character == '"' && !was_escaped
    });
    &string[end.unwrap() + 1..]
}
