//! Owns the report for programs: everything, without the limits of a screen.

use serde_json::Value;
use serde_json::json;

use crate::logbook::Answers;
use crate::logbook::At;
use crate::logbook::Filter;
use crate::logbook::Incident;
use crate::logbook::Kept;
use crate::logbook::LeftOuts;
use crate::logbook::Story;
use crate::logbook::Tally;

/// The sums as one object.
pub(super) fn of_tally(tally: &Tally, filter: &Filter, names: &[String]) -> String {
    let upstreams = tally.upstreams();
    let upstreams = upstreams.iter().map(|upstream| {
        json!({
            "upstream": upstream.name,
            "requests": upstream.answers.all(),
            "responses": answers(upstream.answers),
            "failures": upstream.seen(),
            "retried": upstream.hidden(),
        })
    });
    let kinds = tally.kinds();
    let kinds = kinds.iter().map(|(upstream, kind)| {
        json!({
            "upstream": upstream.name,
            "fault": kind.fault,
            "cause": kind.cause,
            "failures": kind.seen,
            "retried": kind.hidden,
            "first": kind.first.rfc3339(),
            "last": kind.last.rfc3339(),
            "detail": kind.details.detail,
        })
    });
    let (step, buckets) = tally.timeline.clone().in_steps(MOST_STEPS);
    let buckets = buckets.iter().map(
        |(begin, bucket)| json!({ "begin": begin.rfc3339(), "requests": bucket.requests, "failures": bucket.failures }),
    );
    let advice = tally.advice();
    let advice = advice.iter().map(|advice| {
        let on = advice.on.iter().map(|(upstream, fault)| json!({ "upstream": upstream, "fault": fault }));
        json!({
            "step": advice.step.step,
            "command": advice.step.command,
            "failures": advice.failures,
            "on": on.collect::<Vec<_>>(),
        })
    });
    let time = |at: Option<At>| at.map(At::rfc3339);
    let report = json!({
        "files": names,
        "lines": tally.lines,
        "events": tally.events,
        "since": time(filter.since),
        "until": time(filter.until),
        "first": time(tally.span.map(|(first, _)| first)),
        "last": time(tally.span.map(|(_, last)| last)),
        "upstreams": upstreams.collect::<Vec<_>>(),
        "own": { "requests": tally.own.all(), "responses": answers(tally.own) },
        "failures": kinds.collect::<Vec<_>>(),
        "timeline": { "step_seconds": step, "steps": buckets.collect::<Vec<_>>() },
        "incidents": tally.incidents(filter).into_iter().map(incident).collect::<Vec<_>>(),
        "checklist": advice.collect::<Vec<_>>(),
        "left_out": left_out(&tally.left_out, names),
        "beyond": { "requests_and_failures": tally.beyond, "incidents": tally.incidents_beyond() },
    });
    written(&report)
}

/// One request's story as one object.
pub(super) fn of_story(story: &Story) -> String {
    let says = |kept: Vec<&Kept>| kept.into_iter().map(|kept| kept.says.clone()).collect::<Vec<_>>();
    let report = json!({
        "request_id": story.id(),
        "lines": says(story.lines()),
        "incident": story.incident().map(incident),
        "probes": says(story.probes()),
    });
    written(&report)
}

fn incident(incident: &Incident) -> Value {
    json!({
        "incident": incident.id,
        "upstream": incident.upstream,
        "cause": incident.cause,
        "opened": incident.opened.map(At::rfc3339),
        "closed": incident.closed().map(At::rfc3339),
        "first": incident.span.0.rfc3339(),
        "last": incident.span.1.rfc3339(),
        "count": incident.count(),
        "detail": incident.details.detail,
        "first_evidence": incident.details.evidence.first().map(|seen| &seen.says),
    })
}

fn answers(answers: Answers) -> Value {
    json!({
        "1xx": answers.informational,
        "2xx": answers.success,
        "3xx": answers.redirect,
        "4xx": answers.client_error,
        "5xx": answers.server_error,
    })
}

fn left_out(left_out: &LeftOuts, names: &[String]) -> Vec<Value> {
    let row = |(what, count, first): (crate::logbook::LeftOut, u64, crate::logbook::Place)| json!({ "why": what.word(), "count": count, "file": names.get(first.file), "line": first.line });
    left_out.all().map(row).collect()
}

/// Nothing in these can fail to be written: every key is a text.
fn written(report: &Value) -> String {
    serde_json::to_string_pretty(report).unwrap_or_default()
}

/// How many steps of time there are at most.
const MOST_STEPS: usize = 1000;
