//! Owns `why502 report`: which logs are read, for what, and what is said of them. What is in them is `crate::logbook`'s.

mod json;
mod reading;
mod source;
mod story;
mod summary;
mod times;

use std::io;
use std::io::IsTerminal;
use std::path::Path;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use self::reading::read;
use self::source::Input;
use self::source::Source;
use self::times::Bound;
use super::Exit;
use super::ReportArguments;
use super::console::Console;
use crate::config::problem::Problem;
use crate::config::problem::Wrong;
use crate::logbook::At;
use crate::logbook::Filter;
use crate::logbook::LeftOuts;
use crate::logbook::Story;
use crate::logbook::Tally;

/// Reads the logs and says what is asked for.
pub(super) fn report(arguments: &ReportArguments, console: &mut Console<'_>) -> io::Result<Exit> {
    let (filter, inputs) = match asked(arguments) {
        Ok(asked) => asked,
        Err(problems) => {
            console.complain(&problems)?;
            return Ok(Exit::Wrong);
        }
    };
    let names: Vec<String> = inputs.iter().map(|input| input.name.clone()).collect();
    let source = Source::new(inputs);
    match &arguments.request {
        Some(id) => tell_story(id, source, &names, arguments.json, console),
        None => sum_up(&filter, source, &names, arguments.json, console),
    }
}

fn sum_up(
    filter: &Filter,
    source: Source,
    names: &[String],
    json: bool,
    console: &mut Console<'_>,
) -> io::Result<Exit> {
    let (summing, failed) = read(source, || reading::Summing { tally: Tally::default(), filter }, console);
    let tally = summing.tally;
    if json {
        console.say([json::of_tally(&tally, filter, names)])?;
    } else {
        let mut sheet = console.sheet();
        summary::write(&mut sheet, &tally, filter, names);
        console.show(&mut sheet)?;
    }
    ended(failed.as_ref(), console)
}

fn tell_story(id: &str, source: Source, names: &[String], json: bool, console: &mut Console<'_>) -> io::Result<Exit> {
    let whole = Story::of(id);
    let (story, failed) = read(source, || whole.part(), console);
    if story.lines().is_empty() {
        ended(failed.as_ref(), console)?;
        let lost = "it may be in an older log, or access lines are off and it did not fail";
        console.complain([format!("why502: no request {id} in {}; {lost}", names.join(", "))])?;
        return Ok(Exit::Failed);
    }
    if json {
        console.say([json::of_story(&story)])?;
    } else {
        let mut sheet = console.sheet();
        story::write(&mut sheet, &story, names);
        console.show(&mut sheet)?;
    }
    ended(failed.as_ref(), console)
}

/// What could not be read to its end is said behind what was.
fn ended(failed: Option<&source::Unread>, console: &mut Console<'_>) -> io::Result<Exit> {
    match failed {
        None => Ok(Exit::Done),
        Some(unread) => {
            console.complain_of(unread)?;
            Ok(Exit::Failed)
        }
    }
}

/// What is asked for, and the logs, opened; or everything that is wrong with that.
fn asked(arguments: &ReportArguments) -> Result<(Filter, Vec<Input>), Vec<Problem>> {
    let mut problems = Vec::new();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = At(i64::try_from(now.as_millis()).unwrap_or_default());
    let mut time = |option: &str, text: &Option<String>, bound| {
        let read = text.as_deref().map(|text| times::read(text, bound, now)).transpose();
        read.unwrap_or_else(|wrong| {
            problems.push(Problem { file: option.to_owned(), place: None, wrong });
            None
        })
    };
    let since = time("--since", &arguments.since, Bound::Begin);
    let until = time("--until", &arguments.until, Bound::End);
    if since.zip(until).is_some_and(|(since, until)| since >= until) {
        let wrong = Wrong::new("nothing is since then and before --until", "write an earlier time");
        problems.push(Problem { file: "--since".to_owned(), place: None, wrong });
    }
    let standard_input = Path::new("-").to_path_buf();
    let named = if arguments.files.is_empty() {
        if io::stdin().is_terminal() {
            let wrong = Wrong::new("no log is named, and a terminal has none", "why502 report FILE, or pipe one in");
            problems.push(Problem { file: "standard input".to_owned(), place: None, wrong });
        }
        std::slice::from_ref(&standard_input)
    } else {
        &arguments.files
    };
    let mut inputs = Vec::new();
    for file in named {
        match Input::open(file) {
            Ok(input) => inputs.push(input),
            Err(wrong) => problems.push(Problem { file: file.display().to_string(), place: None, wrong }),
        }
    }
    let upstream = arguments.upstream.as_deref().map(Box::from);
    if problems.is_empty() { Ok((Filter { since, until, upstream }, inputs)) } else { Err(problems) }
}

/// What was left out, each in a line: `3 lines cut short or damaged, the first at why502.log:17`.
fn left_out_in_lines(left_out: &LeftOuts, names: &[String]) -> Vec<String> {
    let place = |file: usize, line: u64| format!("{}:{line}", names.get(file).map_or("?", String::as_str));
    left_out
        .all()
        .map(|(what, count, first)| {
            let (count, at) = (super::sheet::grouped(count), place(first.file, first.line));
            format!("{count} {}, the first at {at}", what.says())
        })
        .collect()
}

pub(super) const HELP: &str = "\
It reads what [log] format = \"json\" writes, as fast as the disk gives it: whole
or cut, behind the prefixes of journald or of containers, among other programs'
lines. What could not be read is counted, and the first place of it named. Times
are UTC. A date alone is that whole day; 90s, 15m, 2h and 3d are so long ago.

Examples:
  why502 report /var/log/why502.log
  why502 report --since 2h --upstream app why502.log.1 why502.log
  journalctl -u why502 -o cat | why502 report
  zcat why502.log.2.gz | why502 report --json
  why502 report --request 01J8Z3K4M5N6P7Q8R9S0T1V2W3 why502.log

Exit status: 0 done, 1 a log could not be read to its end or the request is not
in it, 2 wrong usage or no such file.";
