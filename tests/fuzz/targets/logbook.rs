//! A log: what is told of a line is in it, to a second reader too; the sums are the same in whatever parts it is read; and what
//! this program writes is read back as it was, whatever clients and servers have put into it.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt;
use std::task::Context;
use std::task::Poll;
use std::task::Waker;
use std::time::Duration;

use serde::Deserialize;
use serde::Deserializer;
use serde::de::MapAccess;
use serde::de::Visitor;
use serde_json::Value;
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use why502::config;
use why502::config::LogOutput;
use why502::diagnosis::Cause;
use why502::fault::Fault;
use why502::logbook::At;
use why502::logbook::Entry;
use why502::logbook::Event;
use why502::logbook::Filter;
use why502::logbook::Found;
use why502::logbook::Incident;
use why502::logbook::IncidentLine;
use why502::logbook::Kind;
use why502::logbook::Place;
use why502::logbook::Story;
use why502::logbook::Tally;
use why502::logbook::read;
use why502::telemetry;
use why502::telemetry::Audience;
use why502::telemetry::Core;
use why502::telemetry::Kinds;
use why502::telemetry::Span;
use why502::telemetry::Telemetry;
use why502::telemetry::UpstreamFailure;
use why502::telemetry::members_in_line;

use super::request::configuration;

/// Each line is one of a log, a time, and what a client and a server say.
pub(crate) fn check(input: &[u8]) {
    let lines: Vec<&[u8]> = input.split(|byte| *byte == b'\n').take(200).collect();
    for line in &lines {
        assert_time(line);
        read(line, &mut |found| assert_told(&found));
    }
    assert_parts(&lines, input.len());
    assert_written(&lines);
}

/// A time is the one that a second reader has, and is read again as it is written.
fn assert_time(text: &[u8]) {
    let judged = std::str::from_utf8(text).ok().and_then(|text| OffsetDateTime::parse(text, &Rfc3339).ok());
    let judged = judged.map(|moment| moment.unix_timestamp_nanos().div_euclid(1_000_000));
    // Years have four digits, in UTC too.
    let judged = judged.filter(|at| (-62_167_219_200_000..253_402_300_800_000).contains(at));
    let at = At::read(text);
    assert_eq!(at.map(|at| i128::from(at.0)), judged, "{}", text.escape_ascii());
    if let Some(at) = at {
        assert_eq!(At::read(at.rfc3339().as_bytes()), Some(at), "{at}");
    }
}

/// What is told of a line is told of the object alone too, and says what the object says.
fn assert_told(found: &Found<'_>) {
    let Found::Entry(entry) = found else { return };
    let mut again = Vec::new();
    read(entry.object, &mut |found| again.push(format!("{found:?}")));
    assert_eq!(again, [format!("{found:?}")]);
    let details = entry.details();
    assert!(details.evidence.len() <= 4 && details.checklist.len() <= 32 && details.detail.len() <= 2100);
    // A request is read in haste, so that it may be broken, or hold what this program does not write.
    let Ok(Members(members)) = serde_json::from_slice(entry.object) else { return };
    let is_plain = |value: &Value| !value.is_object() && !value.is_array();
    let keys: HashSet<&str> = members.iter().map(|(key, _)| &**key).collect();
    let is_request = matches!(entry.event, Event::Request { .. });
    if !is_request || keys.len() == members.len() && members.iter().all(|(_, value)| is_plain(value)) {
        assert_eq!(Some(said(entry)), judged(&members), "{}", entry.object.escape_ascii());
    }
}

/// An event, to be compared.
fn said(Entry { at, event, .. }: &Entry<'_>) -> Value {
    let incident = |incident: &IncidentLine<'_>, word: &str| {
        let [opened, closed] = [incident.opened, incident.closed].map(|at| at.map(|at| at.0));
        json!([at.0, word, incident.id, incident.upstream, incident.cause, opened, closed, incident.count])
    };
    match event {
        Event::Request { upstream, status } => json!([at.0, "request", upstream, status]),
        Event::Failure(it) => json!([at.0, "failure", it.upstream, it.fault, it.cause, it.retried, it.incident]),
        Event::Opened(it) => incident(it, "opened"),
        Event::Closed(it) => incident(it, "closed"),
        Event::Probe { server } => json!([at.0, "probe", server]),
        Event::Other => json!([at.0, "other"]),
    }
}

/// The same, read from the members one by one.
fn judged(members: &[(String, Value)]) -> Option<Value> {
    let member = |name: &str| members.iter().find(|(key, _)| key == name).map(|(_, value)| value);
    let text = |name: &str| member(name).and_then(Value::as_str);
    let number = |name: &str| member(name).and_then(|value| value.as_u64().or_else(|| value.as_bool().map(u64::from)));
    let time = |name: &str| At::read(text(name)?.as_bytes()).map(|at| at.0);
    let at = time("ts")?;
    let incident = |word: &str| {
        let [id, upstream, cause] = [text("incident")?, text("upstream")?, text("cause")?];
        Some(json!([at, word, id, upstream, cause, time("opened"), time("closed"), number("count")]))
    };
    match text("event")? {
        "request" => {
            let status = number("status").filter(|status| *status < 1000)?;
            Some(json!([at, "request", text("upstream"), status]))
        }
        "upstream_failure" => {
            let [upstream, fault, cause] = [text("upstream")?, text("fault")?, text("cause")?];
            Some(json!([at, "failure", upstream, fault, cause, number("retried") == Some(1), text("incident")]))
        }
        "incident_opened" => incident("opened"),
        "incident_closed" => incident("closed"),
        "probe" => Some(json!([at, "probe", text("server")?])),
        _ => Some(json!([at, "other"])),
    }
}

/// However a log is cut, and in whatever order its parts are summed up, the sums are the same.
fn assert_parts(lines: &[&[u8]], chance: usize) {
    let filter = Filter::default();
    let tally = |from: usize, lines: &[&[u8]]| {
        let mut tally = Tally::default();
        for (number, line) in lines.iter().enumerate() {
            tally.line(line, Place { file: 0, line: (from + number) as u64 }, &filter);
        }
        tally
    };
    let whole = sums(&tally(0, lines), &filter);
    let (first, last) = lines.split_at(chance % (lines.len() + 1));
    let [first, last] = [tally(0, first), tally(first.len(), last)];
    let [mut forth, mut back] = [first.clone(), last.clone()];
    forth.merge(last);
    back.merge(first);
    assert_eq!(sums(&forth, &filter), whole);
    assert_eq!(sums(&back, &filter), whole, "the end first");

    let Some(id) = lines.iter().find_map(|line| story_id(line)) else { return };
    let mut story = Story::of(&id);
    for (number, line) in lines.iter().enumerate() {
        story.line(line, Place { file: 0, line: number as u64 });
    }
    let kept = story.lines();
    assert!(kept.iter().all(|kept| kept.says.get("request_id").and_then(Value::as_str) == Some(&*id)));
    assert!(kept.is_sorted_by_key(|kept| (kept.at, kept.place)));
}

fn story_id(line: &[u8]) -> Option<String> {
    let begin = line.windows(ID.len()).position(|window| window == ID)? + ID.len();
    let id = line[begin..].split(|byte| *byte == b'"').next()?;
    String::from_utf8(id.to_vec()).ok().filter(|id| !id.is_empty())
}

/// All that a summary shows but details, which are those of whatever was read first.
fn sums(tally: &Tally, filter: &Filter) -> Vec<String> {
    let mut all = vec![
        format!("{} {} {} {:?} {:?}", tally.lines, tally.events, tally.beyond, tally.span, tally.own),
        format!("{:?}", tally.left_out),
        format!("{:?}", tally.timeline.clone().in_steps(24)),
    ];
    all.extend(tally.upstreams().iter().map(|upstream| format!("{:?} {:?}", upstream.name, upstream.answers)));
    all.extend(tally.kinds().iter().map(|(upstream, kind)| {
        let Kind { fault, cause, seen, hidden, first, last, .. } = kind;
        format!("{:?} {fault:?} {cause:?} {seen} {hidden} {first} {last}", upstream.name)
    }));
    all.extend(tally.incidents(filter).iter().map(|incident| {
        let Incident { id, cause, opened, seen, span, .. } = incident;
        format!("{id:?} {cause:?} {opened:?} {:?} {} {seen} {span:?}", incident.closed(), incident.count())
    }));
    all
}

/// The lines are what a client and a server say.
fn assert_written(lines: &[&[u8]]) {
    let line = |number: usize| lines.get(number).copied().unwrap_or_default();
    let text = |number: usize| String::from_utf8_lossy(line(number)).into_owned();
    let [client, method, upstream, incident, detail] = [2, 3, 4, 5, 6].map(text);
    let (status, retried) = (100 + u16::try_from(line(0).len() % 900).unwrap_or_default(), line(1).len() % 2 == 1);
    let upstream = (!upstream.is_empty()).then_some(&*upstream);
    let span = Span::new(502, 502);
    let request = telemetry::Request {
        request_id: &incident,
        span: Some(span),
        client: &client,
        method: &method,
        host: line(0),
        path: line(1),
        protocol: "HTTP/1.1",
        status,
        bytes_sent: 3,
        elapsed: Duration::from_millis(1),
        route: Some(&detail),
        upstream,
        server: Some(&detail),
        aborted: retried,
        traffic: None,
    };
    assert_eq!(read_back(telemetry::Event::Request(request)), json!(["request", upstream, status]));

    let upstream = upstream.unwrap_or("app");
    let report = json!({
        "request_id": client, "fault": "dns_timeout", "cause": "dns", "upstream": upstream, "incident": incident,
        "detail": detail, "evidence": [{ "says": detail }], "checklist": [{ "audience": "owner", "step": detail }],
    });
    let report = members_in_line(&report.to_string());
    let failure = UpstreamFailure {
        client: &client,
        method: &method,
        host: line(0),
        path: line(1),
        route: None,
        bytes_sent: 0,
        retried,
        span,
        report: report.as_bytes(),
        fault: Fault::DnsTimeout,
        cause: Cause::Dns,
        confidence: 0.5,
        upstream,
        detail: &detail,
    };
    let expected = json!(["failure", upstream, "dns_timeout", "dns", retried, incident]);
    assert_eq!(read_back(telemetry::Event::UpstreamFailure(failure)), expected);
}

/// What is told of the line of an event, which is one line and can be shown anywhere.
fn read_back(event: telemetry::Event<'_>) -> Value {
    thread_local! {
        static WRITER: RefCell<Writer> = RefCell::new(Writer::new());
    }
    let line = WRITER.with_borrow_mut(|writer| writer.line(event));
    let hidden = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}');
    assert!(!line.contains(hidden), "{line:?}");
    let mut all = Vec::new();
    read(line.as_bytes(), &mut |found| match found {
        Found::Entry(entry) => all.push(said(&entry)),
        Found::LeftOut(what) => panic!("{what:?}: {line}"),
    });
    let Ok([Value::Array(mut event)]) = <[Value; 1]>::try_from(all) else { panic!("more than one: {line}") };
    event.remove(0);
    Value::Array(event)
}

/// The program's own writer, of which somebody listens to each line.
struct Writer {
    core: Core,
    audience: Audience,
    _telemetry: Telemetry,
}

impl Writer {
    fn new() -> Self {
        let log = config::Log { output: LogOutput::File("/dev/null".into()), ..configuration().log.clone() };
        let telemetry = Telemetry::start(&log).expect("it can be opened");
        let audience = telemetry.listen(Kinds::ALL).expect("there is a seat");
        Self { core: telemetry.core(), audience, _telemetry: telemetry }
    }

    fn line(&mut self, event: telemetry::Event<'_>) -> String {
        self.core.record(event);
        self.core.flush();
        let Poll::Ready(Some(told)) = self.audience.poll_next(&mut Context::from_waker(Waker::noop())) else {
            panic!("nothing is told")
        };
        let told = String::from_utf8(told.to_vec()).expect("it is text");
        let line = told.split_once("\ndata: ").and_then(|(_, data)| data.strip_suffix("\n\n"));
        line.expect("it has a line").to_owned()
    }
}

/// The members of an object as they stand there, the same twice too.
struct Members(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor).map(Self)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Vec<(String, Value)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(members)
    }
}

const ID: &[u8] = b"\"request_id\":\"";
