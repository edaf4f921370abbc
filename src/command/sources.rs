//! Owns which files a command reads: the configuration, looked for where none is named, and the runbook and the template that
//! it names.
//!
//! All are read to the end whatever is wrong with any, so that a person hears of every problem at once.

use std::path::Path;
use std::path::PathBuf;

use crate::answer::Site;
use crate::config;
use crate::config::Config;
use crate::config::PageTemplate;
use crate::config::Problems;
use crate::config::document::Document;
use crate::config::problem::Problem;
use crate::config::problem::Wrong;
use crate::diagnosis::Checklist;

/// What the proxy is to run with.
pub(super) struct Sources {
    /// The file that was read.
    pub(super) file: PathBuf,
    pub(super) config: Config,
    pub(super) checklist: Checklist,
}

impl Sources {
    /// Reads the configuration file that is named, or the first that is there of those that are looked for, and the
    /// runbook and the template that it names.
    ///
    /// # Errors
    ///
    /// Every problem of the file, then every problem of the runbook, then the template's; one problem where there is no file.
    pub(super) fn open(named: Option<PathBuf>) -> Result<Self, Vec<Problem>> {
        let file = match named {
            Some(file) => file,
            None => find(SEARCHED).map_err(|missing| vec![missing])?,
        };
        Self::read(file)
    }

    /// Reads this file and the runbook that it names.
    ///
    /// # Errors
    ///
    /// As those of `open`.
    pub(super) fn read(file: PathBuf) -> Result<Self, Vec<Problem>> {
        let config = config::load(&file);
        let template = match &config {
            Ok(config) => config.page.template.as_ref().map_or(Ok(()), Site::try_template),
            Err(_) => template_of_a_wrong_file(&file),
        };
        let runbook = match &config {
            Ok(config) => config.diagnosis.checklists.clone(),
            Err(_) => runbook_of_a_wrong_file(&file),
        };
        let checklist = runbook.map_or_else(|| Ok(Checklist::built_in()), |runbook| with_runbook(&runbook));
        match (config, checklist, template) {
            (Ok(config), Ok(checklist), Ok(())) => Ok(Self { file, config, checklist }),
            (config, checklist, template) => {
                let all = [config.err(), checklist.err(), template.err().map(Problems::from)];
                Err(all.iter().flatten().flatten().cloned().collect())
            }
        }
    }
}

fn find([first, second]: [&str; 2]) -> Result<PathBuf, Problem> {
    // What cannot be looked at may well be there, and the reader of the file says best why it cannot be read.
    let is_there = |file: &&str| Path::new(file).try_exists().unwrap_or(true);
    let missing = || {
        let instead = "name one with --config FILE, or run without a file: why502 run --to http://127.0.0.1:3000";
        let wrong = Wrong::new(format!("there is no such file, and no {second} either"), instead);
        Problem { file: first.to_owned(), place: None, wrong }
    };
    [first, second].into_iter().find(is_there).map(PathBuf::from).ok_or_else(missing)
}

/// What a file names as its runbook, although it is not right as a whole.
fn runbook_of_a_wrong_file(file: &Path) -> Option<PathBuf> {
    let text = text_of(file)?;
    let document = Document::parse(&text, file);
    document.root().table("diagnosis").path("checklists").map(|found| found.value)
}

/// The same for the template of its page. One that cannot be read has been told.
fn template_of_a_wrong_file(file: &Path) -> Result<(), Problem> {
    let named = |text: &str| Document::parse(text, file).root().table("page").path("template").map(|found| found.value);
    let Some(file) = text_of(file).and_then(|text| named(&text)) else { return Ok(()) };
    let Some(text) = text_of(&file) else { return Ok(()) };
    Site::try_template(&PageTemplate { file, text: text.into() })
}

/// None where it cannot be read as a text, which has been told.
fn text_of(file: &Path) -> Option<String> {
    String::from_utf8(config::contents(file).ok()?).ok()
}

fn with_runbook(file: &Path) -> Result<Checklist, Problems> {
    // A runbook that cannot be read has been told with the line of the configuration that names it.
    let Ok(bytes) = config::contents(file) else { return Ok(Checklist::built_in()) };
    let Ok(text) = String::from_utf8(bytes) else {
        let wrong = Wrong::new("this file is not UTF-8", "save it as UTF-8");
        return Err(Problem { file: file.display().to_string(), place: None, wrong }.into());
    };
    Checklist::built_in().with(&text, file)
}

/// Where a configuration is looked for, in this order.
const SEARCHED: [&str; 2] = ["why502.toml", "/etc/why502/why502.toml"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_file_that_is_there_is_read() {
        let table = [
            (["Cargo.toml", "src/lib.rs"], Ok("Cargo.toml")),
            (["nowhere.toml", "src/lib.rs"], Ok("src/lib.rs")),
            (
                ["nowhere.toml", "/no/where.toml"],
                Err("nowhere.toml: there is no such file, and no /no/where.toml either; name one with --config FILE, \
                     or run without a file: why502 run --to http://127.0.0.1:3000"),
            ),
        ];
        for (searched, expected) in table {
            let found = find(searched).map_err(|problem| problem.to_string());
            assert_eq!(found, expected.map(PathBuf::from).map_err(str::to_owned), "looking for {searched:?}");
        }
    }
}
