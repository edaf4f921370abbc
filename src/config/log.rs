//! Owns `[log]`: how a line looks and where it goes.

use std::path::Path;
use std::path::PathBuf;

use super::document::Table;
use super::document::Word;
use super::document::Written;
use super::files;
use super::problem::Placed;
use super::problem::Wrong;
use super::problem::quoted;

/// `[log]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// How a line looks.
    pub format: LogFormat,
    /// Where lines go.
    pub output: LogOutput,
    /// Whether every request gets a line.
    pub access: bool,
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For a person.
    Pretty,
}

impl Word for LogFormat {
    const NOUN: &'static str = "a log format";
    const WORDS: &'static [(&'static str, Self)] = &[("json", Self::Json), ("pretty", Self::Pretty)];
}

/// Where log lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogOutput {
    /// Standard output.
    Stdout,
    /// A file, appended to.
    File(PathBuf),
}

impl Written for LogOutput {
    const NOUN: &'static str = "an output for the log";

    fn cure() -> String {
        r#"write "stdout", or the path of a file"#.to_owned()
    }

    fn parse(text: &str) -> Result<Self, Wrong> {
        match text {
            "stdout" => Ok(Self::Stdout),
            "" | "-" | "stderr" | "syslog" | "journald" => Err(Self::refused(&quoted(text))),
            path => Ok(Self::File(path.into())),
        }
    }
}

impl Log {
    pub(super) fn read(table: Table<'_>) -> Self {
        let output = table.value("output").map(|written| output(&table, written));
        let log = Self {
            format: table.value_or("format", LogFormat::Json),
            output: output.unwrap_or(LogOutput::Stdout),
            access: table.flag("access", true),
        };
        table.close();
        log
    }
}

fn output(table: &Table<'_>, Placed { value, place }: Placed<LogOutput>) -> LogOutput {
    match value {
        LogOutput::Stdout => LogOutput::Stdout,
        LogOutput::File(path) => {
            let file = Placed { value: table.document().resolve(Path::new(&path)), place };
            files::writable(table, &file);
            LogOutput::File(file.value)
        }
    }
}
