//! Owns `why502 check`: everything that is wrong in a file, or in short what it means. Starts nothing.

use std::io;
use std::path::PathBuf;

use super::Exit;
use super::console::Console;
use super::sources::Sources;
use crate::config::Config;
use crate::config::HostPattern;

/// Checks a configuration file, the named one or the one that is found, and the runbook that it names.
pub(super) fn check(named: Option<PathBuf>, console: &mut Console<'_>) -> io::Result<Exit> {
    match Sources::open(named) {
        Ok(Sources { file, config, .. }) => {
            console.say([format!("{}: fine", file.display())])?;
            console.say(summary(&config))?;
            Ok(Exit::Done)
        }
        Err(problems) => {
            console.complain(&problems)?;
            let noun = if problems.len() == 1 { "problem" } else { "problems" };
            console.complain([format!("{} {noun}", problems.len())])?;
            Ok(Exit::Wrong)
        }
    }
}

/// What a configuration means, a line for each thing in it.
fn summary(config: &Config) -> Vec<String> {
    let listeners = config.listeners.iter().map(|listener| ("listener", listener.address.to_string()));
    let routes = config.routes.iter().map(|route| {
        let host = host_in_words(&route.host);
        let target = route.upstream().map_or("https", |name| name);
        ("route", format!("{host} {} to {target}", route.path))
    });
    let upstreams = config.upstreams.iter().map(|upstream| {
        let servers: Vec<&str> = upstream.servers.iter().map(|server| &*server.url.text).collect();
        ("upstream", format!("{}: {}", upstream.name, servers.join(", ")))
    });
    let template = config.page.template.iter().map(|template| ("template", template.file.display().to_string()));
    let runbook = config.diagnosis.checklists.iter().map(|file| ("runbook", file.display().to_string()));
    let notices = config.notices().into_iter().chain(config.incidents.concern()).map(|notice| ("notice", notice));
    let rows = listeners.chain(routes).chain(upstreams).chain(template).chain(runbook).chain(notices);
    rows.map(|(what, says)| format!("  {what:<8}  {says}")).collect()
}

fn host_in_words(host: &HostPattern) -> String {
    match host {
        HostPattern::Any => "every host".to_owned(),
        HostPattern::Exact(name) => name.to_string(),
        HostPattern::Suffix(suffix) => format!("*{suffix}"),
    }
}

pub(super) const HELP: &str = "\
Without --config it looks for ./why502.toml, then for /etc/why502/why502.toml.
Each problem is a line on standard error, with its place and its cure, and the
exit status is 2. Certificates, keys, the runbook and the template that the file
names are read too.

Example:
  why502 check --config why502.toml";

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::demo::origin::PrivateDirectory;

    fn directory_with(files: &[(&str, &str)]) -> PrivateDirectory {
        let directory = PrivateDirectory::new().unwrap();
        for (name, text) in files {
            fs::write(directory.file(name), text).unwrap();
        }
        directory
    }

    /// What `check` ends with and writes, with `/` in the place of the directory.
    fn checked(directory: &Path, name: &str) -> (Exit, String, String) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let exit =
            check(Some(directory.join(name)), &mut Console::new(&mut out, &mut err)).expect("a vector takes all");
        let text = |bytes| String::from_utf8(bytes).unwrap().replace(&format!("{}/", directory.display()), "/");
        (exit, text(out), text(err))
    }

    #[test]
    fn every_problem_of_both_files_is_a_line_and_then_they_are_counted() {
        let directory = directory_with(&[("why502.toml", WRONG), ("runbook.toml", WRONG_RUNBOOK)]);
        assert_eq!(checked(directory.path(), "why502.toml"), (Exit::Wrong, String::new(), PROBLEMS.to_owned()));
        let one = "/absent.toml: no such file; write one, or name another with --config\n1 problem\n";
        assert_eq!(checked(directory.path(), "absent.toml"), (Exit::Wrong, String::new(), one.to_owned()));
    }

    #[test]
    fn a_mistake_in_the_runbook_alone_is_a_problem_too() {
        let named = format!("{RIGHT}\nchecklists = \"runbook.toml\"\n");
        let directory = directory_with(&[("why502.toml", &named), ("runbook.toml", "remove = 1\n")]);
        let says = "/runbook.toml:1:10: `remove` is a list; write it in brackets: [ … ]\n1 problem\n";
        assert_eq!(checked(directory.path(), "why502.toml"), (Exit::Wrong, String::new(), says.to_owned()));
    }

    #[test]
    fn a_right_file_is_summed_up() {
        let directory = directory_with(&[("why502.toml", RIGHT)]);
        assert_eq!(checked(directory.path(), "why502.toml"), (Exit::Done, SUMMARY.to_owned(), String::new()));
    }

    #[test]
    fn a_mistake_in_the_template_is_told_with_its_place() {
        let named = format!("{RIGHT}\n[page]\ntemplate = \"page.html\"\n");
        let directory =
            directory_with(&[("why502.toml", &named), ("page.html", "<h1>{{ title }}</h1>\n<p>{{ detial }}")]);
        let says = "/page.html:2:7: \"detial\" is not there; did you mean \"detail\"?\n1 problem\n";
        assert_eq!(checked(directory.path(), "why502.toml"), (Exit::Wrong, String::new(), says.to_owned()));
        let wrong = format!("{named}nmae = \"x\"\n");
        fs::write(directory.file("why502.toml"), wrong).unwrap();
        let (_, _, told) = checked(directory.path(), "why502.toml");
        assert!(
            told.contains("unknown key `nmae`") && told.contains("/page.html:2:7: ") && told.contains("2 problems"),
            "{told}"
        );
    }

    #[test]
    fn a_history_that_cannot_be_used_is_a_notice() {
        let named = format!("{RIGHT}\n[incidents]\nhistory = \"notes.txt\"\n");
        let directory = directory_with(&[("why502.toml", &named), ("notes.txt", "buy milk\n")]);
        let (exit, out, _) = checked(directory.path(), "why502.toml");
        let says = "notice    [incidents] history: /notes.txt cannot be used: it is a file of another kind, which is left alone";
        assert!(exit == Exit::Done && out.contains(says), "{out}");
    }

    const RIGHT: &str = r#"
[[listener]]
address = "127.0.0.1:8080"

[[listener]]
address = "unix:/run/why502.sock"

[[route]]
host = "*.shop.example"
path = "/api"
upstream = "app"

[[route]]
upstream = "app"

[[upstream]]
name = "app"
servers = ["http://127.0.0.1:3000", "https://app-2.internal"]

[[upstream]]
name = "spare"
servers = ["unix:/run/spare.sock"]

[diagnosis]
probes = false
"#;

    const SUMMARY: &str = "\
/why502.toml: fine
  listener  127.0.0.1:8080
  listener  unix:/run/why502.sock
  route     *.shop.example /api to app
  route     every host / to app
  upstream  app: http://127.0.0.1:3000, https://app-2.internal
  upstream  spare: unix:/run/spare.sock
  notice    upstream \"spare\": no route leads to it, so it gets no request
";

    const WRONG: &str = r#"
[[listener]]
adress = "127.0.0.1:8080"

[[route]]
upstream = "ap"

[[upstream]]
name = "app"
servers = ["http://127.0.0.1:3000"]

[upstream.timeouts]
connect = 3

[diagnosis]
checklists = "runbook.toml"
"#;

    const WRONG_RUNBOOK: &str = r#"
[[step]]
id = "restart"
audience = "boss"
text = "Restart it."

[[step]]
id = "call"
audience = "owner"
"#;

    const PROBLEMS: &str = r#"/why502.toml:3:1: unknown key `adress` in [[listener]]; did you mean `address`?
/why502.toml:6:12: there is no upstream "ap"; did you mean "app"?
/why502.toml:13:11: 3 is not a duration; write "3s", "250ms" or "2m"
/runbook.toml:4:12: "boss" is not an audience; write "visitor" or "owner"
/runbook.toml:7:1: [[step]] has no `text`; add text = "What to do."
5 problems
"#;
}
