//! How long it takes from a failure to the bytes of its answer: the diagnosis, and each format.
//!
//! Run with `cargo bench --bench failure`.

#![expect(clippy::expect_used, clippy::print_stdout, reason = "a bench speaks to a person and may fail loudly")]

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use why502::answer::Answer;
use why502::answer::Format;
use why502::answer::Language;
use why502::answer::Moment;
use why502::answer::Occurrence;
use why502::answer::OperatorReport;
use why502::answer::Prepared;
use why502::answer::Report;
use why502::answer::Site;
use why502::answer::Style;
use why502::answer::VisitorReport;
use why502::config;
use why502::config::StatusPolicy;
use why502::diagnosis;
use why502::diagnosis::Case;
use why502::diagnosis::Checklist;
use why502::diagnosis::case::Here;
use why502::diagnosis::case::RequestFacts;
use why502::diagnosis::case::Settings;
use why502::diagnosis::history::History;
use why502::diagnosis::observation::Findings;
use why502::fault::Failure;
use why502::fault::Fault;
use why502::fault::failure::Peer;
use why502::fault::failure::Target;

fn main() {
    let checklist = Checklist::built_in();
    let case = case();
    measure("diagnosis and steps", || diagnosis::diagnose(&case, |cause| checklist.steps(&case, cause)));
    let diagnosis = diagnosis::diagnose(&case, |cause| checklist.steps(&case, cause));
    let occurrence = Occurrence {
        request_id: "01JNWZ8Q4T5K3V9XH2M7RDCAEB",
        at: Moment(1_772_357_400_000),
        incident: None,
        retry_after: None,
        repeatable: true,
    };
    let site = Site::default();
    for format in [Format::Html, Format::Problem, Format::Text, Format::Grpc] {
        let style = Style { format, language: Language::ENGLISH, site: &site };
        let visitor = Report::Visitor(VisitorReport::new(&case, &diagnosis, occurrence));
        let operator = Report::Operator(OperatorReport::new(&case, &diagnosis, occurrence));
        let prepared = Prepared::failure(&visitor, style, StatusPolicy::BadGateway);
        measure(&format!("{format:?} for a visitor"), || Answer::failure(&visitor, style, StatusPolicy::BadGateway));
        measure(&format!("{format:?} for an operator"), || Answer::failure(&operator, style, StatusPolicy::BadGateway));
        measure(&format!("{format:?} filled in again"), || prepared.fill(&occurrence));
    }
}

fn measure<T>(what: &str, mut work: impl FnMut() -> T) {
    let begin = Instant::now();
    for _ in 0..ROUNDS {
        black_box(work());
    }
    println!("{what:<28}  {:?}", begin.elapsed() / ROUNDS);
}

/// A port on which nothing listens.
fn case() -> Case {
    let mut failure = Failure::new(Fault::ConnectionRefused);
    failure.target = Some(Target {
        upstream: Arc::from("app"),
        url: Arc::from("http://10.0.0.5:3000"),
        host: Arc::from("10.0.0.5"),
        port: 3000,
        tls: false,
        socket: None,
    });
    failure.peer = Some(Peer::Tcp(([10, 0, 0, 5], 3000).into()));
    failure.os_error = Some(111);
    failure.elapsed = Duration::from_micros(400);
    failure.stage_elapsed = failure.elapsed;
    Case {
        attempts: vec![failure],
        telling: 0,
        request: RequestFacts {
            method: "GET".to_owned(),
            host: "shop.example".to_owned(),
            path: "/".to_owned(),
            ..RequestFacts::default()
        },
        settings: Settings::of(&upstream(), Vec::new()),
        here: Here::default(),
        history: History::default(),
        findings: Findings::default(),
    }
}

fn upstream() -> Arc<config::Upstream> {
    let text = "[[route]]\nupstream = \"app\"\n[[upstream]]\nname = \"app\"\nservers = [\"http://10.0.0.5:3000\"]\n";
    let config = config::from_text(text, Path::new("bench.toml")).expect("the bench's configuration is right");
    Arc::clone(config.upstreams.first().expect("it has one upstream"))
}

const ROUNDS: u32 = 20_000;
