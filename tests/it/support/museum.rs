//! Owns the demo's origins behind the real program: every row of `demo::origin`, visited many at once.

use std::fs;

use serde_json::Value;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use why502::demo::Demo;
use why502::demo::origin::BROKEN;
use why502::demo::origin::HEALTHY;
use why502::demo::origin::Row;
use why502::demo::viewer::Format;
use why502::demo::viewer::Viewer;
use why502::demo::visit::Heard;
use why502::demo::visit::Visit;

use super::proxy::Proxy;

/// The demo, with the program in front of it.
#[derive(Debug)]
pub(crate) struct Museum {
    pub(crate) proxy: Proxy,
    pub(crate) configuration: String,
    pub(crate) token: String,
    demo: Demo,
    runtime: Runtime,
}

impl Museum {
    /// Opens the demo with more lines in its `[diagnosis]`. Its log is JSON here, and its upstreams have names of which no
    /// visitor should know.
    pub(crate) fn open(diagnosis: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime can be had");
        let demo = runtime.block_on(async { Demo::open(([127, 0, 0, 1], 0).into()) }).expect("the demo opens");
        let configuration = demo
            .configuration()
            .replace("format = \"pretty\"", "format = \"json\"")
            .replace("upstream = \"", "upstream = \"inside-")
            .replace("\nname = \"", "\nname = \"inside-")
            .replace("probes = false", &format!("probes = false\n{diagnosis}"));
        let token = fs::read_to_string(written(&configuration, "token_file")).expect("the demo has a token");
        let proxy = Proxy::run(&configuration);
        runtime.block_on(demo.rehearse()).expect("what needs failures before gets them");
        Self { proxy, configuration, token, demo, runtime }
    }

    /// The rows of the tables that this machine can have, and for the others one line that says why not.
    pub(crate) fn rows(&self) -> Vec<&'static Row> {
        let (there, missing): (Vec<&Row>, Vec<&Row>) = BROKEN.iter().chain(HEALTHY).partition(|row| self.has(row));
        for row in missing {
            eprintln!("skipped: {}: this machine or this user cannot have it", row.name);
        }
        there
    }

    /// Ends the program; answers its whole log.
    pub(crate) fn close(self) -> Vec<Value> {
        self.proxy.stop().1
    }

    fn has(&self, row: &Row) -> bool {
        self.configuration.contains(&format!("\npath = {:?}\n", row.path()))
    }

    /// What is heard of each of these, in their order. Many are visited at once, for some take a second, but not so many that
    /// a busy machine cannot keep the limits of the others.
    pub(crate) fn visit(&self, visits: &[(&'static Row, Viewer, Format)]) -> Vec<Heard> {
        visits.chunks(AT_ONCE).flat_map(|visits| self.visit_at_once(visits)).collect()
    }

    fn visit_at_once(&self, visits: &[(&'static Row, Viewer, Format)]) -> Vec<Heard> {
        let mut under_way = JoinSet::new();
        for (index, (row, viewer, format)) in visits.iter().copied().enumerate() {
            let token = (viewer == Viewer::Operator).then(|| self.token.clone());
            let proxy = self.demo.proxy();
            let visit = async move {
                let visit = Visit { proxy, row, token: token.as_deref(), format };
                (index, visit.make().await.unwrap_or_else(|error| panic!("{}: {error}", row.name)))
            };
            under_way.spawn_on(visit, self.runtime.handle());
        }
        let mut heard = self.runtime.block_on(under_way.join_all());
        heard.sort_by_key(|(index, _)| *index);
        heard.into_iter().map(|(_, heard)| heard).collect()
    }
}

/// The text that a key has in a configuration; the first where there are several.
pub(crate) fn written<'c>(configuration: &'c str, key: &str) -> &'c str {
    let value = configuration.split(&format!("{key} = \"")).nth(1).and_then(|rest| rest.split('"').next());
    value.unwrap_or_else(|| panic!("the configuration has a text for {key}"))
}

/// How many rows are visited at once.
const AT_ONCE: usize = 24;
