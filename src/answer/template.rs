//! Owns the operator's own page: a template in the language of Jinja, which sees what a visitor may know and nothing else.
//!
//! It is rendered once for each kind of answer, like the built-in page, with marks for what differs from request to request:
//! so a template can show an id or a time, but not compute with it. Whatever it can meet is tried when it is read, so that a
//! mistake is told by `check` and not to a visitor.

use minijinja::AutoEscape;
use minijinja::Environment;
use minijinja::Error;
use minijinja::ErrorKind;
use minijinja::HtmlEscape;
use minijinja::UndefinedBehavior;
use minijinja::value::Serde;

use super::language::Language;
use super::seen;
use super::seen::Seen;
use crate::config;
use crate::config::document::nearest;
use crate::config::problem::Place;
use crate::config::problem::Problem;
use crate::config::problem::Wrong;
use crate::config::problem::quoted;

/// A template that has been tried.
#[derive(Debug)]
pub(super) struct Template(Environment<'static>);

impl Template {
    /// Reads a template that is right.
    ///
    /// # Errors
    ///
    /// What is wrong with its syntax.
    pub(super) fn read(source: &config::PageTemplate) -> Result<Self, Problem> {
        let mut environment = environment();
        let added = environment.add_template_owned(NAME, source.text.to_string());
        added.map(|()| Self(environment)).map_err(|error| told(&error, source))
    }

    /// Reads a template and tries it with an answer of every kind.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong with it, with its line and column.
    pub(super) fn tried(source: &config::PageTemplate) -> Result<Self, Problem> {
        let template = Self::read(source)?;
        if let Some(script) = source.text.to_ascii_lowercase().find("<script") {
            let instead = "remove it: the policy of these pages lets none run";
            return Err(problem(
                source,
                Some(place(&source.text, script)),
                Wrong::new("a script stands here", instead),
            ));
        }
        if let Some((name, at)) = template.unknown(&source.text) {
            return Err(problem(source, at.map(|at| place(&source.text, at)), unknown(&name)));
        }
        let mut is_empty = false;
        for seen in seen::of_every_kind() {
            let page = template.try_to_render(&seen).map_err(|error| told(&error, source))?;
            is_empty |= page.trim().is_empty();
            if page.len() > LARGEST {
                let what = format!("a page of this template has {} bytes", page.len());
                return Err(problem(source, None, Wrong::new(what, format!("write one that has {LARGEST} at most"))));
            }
        }
        if is_empty {
            let instead = "write one, as config/page.html is, or remove `template` for the built-in one";
            return Err(problem(source, None, Wrong::new("a page of this template is empty", instead)));
        }
        Ok(template)
    }

    /// The page, with marks for what is filled in; none where it fails, which it did not when it was tried.
    pub(super) fn render(&self, seen: &Seen<'_>) -> Option<String> {
        self.try_to_render(seen).ok().filter(|page| page.len() <= LARGEST)
    }

    fn try_to_render(&self, seen: &Seen<'_>) -> Result<String, Error> {
        self.0.get_template(NAME)?.render(Serde(seen))
    }

    /// A name that no answer has, wherever the template has it, and the byte where it stands.
    fn unknown(&self, text: &str) -> Option<(String, Option<usize>)> {
        let template = self.0.get_template(NAME).ok()?;
        let is_global = |name: &str| self.0.globals().any(|(global, _)| global == name);
        let mut unknown: Vec<String> = template.undeclared_variables(false).into_iter().collect();
        unknown.retain(|name| !seen::NAMES.contains(&name.as_str()) && !is_global(name));
        unknown.sort_by_key(|name| where_it_stands(name, text));
        let name = unknown.into_iter().next()?;
        let at = where_it_stands(&name, text);
        Some((name, at))
    }
}

/// Everything is escaped, whatever the template says; what is not there is a mistake; and no template runs for long.
fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_debug(true);
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.set_formatter(|out, _state, value| {
        if value.is_none() {
            return Ok(());
        }
        // What a macro or a block of this template made has been escaped where it was made.
        let text = value.to_string();
        let written = if value.is_safe() { out.write_str(&text) } else { write!(out, "{}", HtmlEscape(&text)) };
        written.map_err(Error::from)
    });
    environment.remove_filter("safe");
    environment.remove_global("debug");
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(DEEPEST);
    environment.add_function("say", |language: &str, english: &str| {
        let language = Language::all().find(|known| known.tag() == language).unwrap_or(Language::ENGLISH);
        language.say(english).to_owned()
    });
    environment
}

fn told(error: &Error, source: &config::PageTemplate) -> Problem {
    let line = error.line().map(|line| Place { line, column: 1 });
    let place = error.range().map(|range| place(&source.text, range.start));
    problem(source, place.or(line), wrong(error, &source.text))
}

fn problem(source: &config::PageTemplate, place: Option<Place>, wrong: Wrong) -> Problem {
    Problem { file: source.file.display().to_string(), place, wrong }
}

/// What is wrong, in the words of the engine, and what would be right.
fn wrong(error: &Error, text: &str) -> Wrong {
    let what = match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    };
    let written = error.range().and_then(|range| text.get(range));
    match (error.kind(), written) {
        (ErrorKind::UndefinedError, Some(written)) => unknown(written),
        (ErrorKind::OutOfFuel, _) => Wrong::new("this template takes too long", "take away the loop that does not end"),
        _ => Wrong::new(what, "mend the template"),
    }
}

fn unknown(name: &str) -> Wrong {
    let instead = match nearest(name, seen::NAMES.iter().copied()).filter(|_| !name.contains('.')) {
        Some(nearest) => format!("did you mean {}?", quoted(nearest)),
        None => LISTED.to_owned(),
    };
    Wrong::new(format!("{} is not there", quoted(name)), instead)
}

/// The line and column of a byte.
fn place(text: &str, byte: usize) -> Place {
    let before = text.get(..byte).unwrap_or(text);
    let begin = before.rfind('\n').map_or(0, |newline| newline + 1);
    Place {
        line: before.matches('\n').count() + 1,
        column: before.get(begin..).unwrap_or_default().chars().count() + 1,
    }
}

/// The first byte of a name where it stands as a whole word between the marks of an expression or a statement.
fn where_it_stands(name: &str, text: &str) -> Option<usize> {
    let is_part = |character: char| character.is_alphanumeric() || character == '_';
    let inside = |before: &str| {
        let opened = before.rfind("{{").max(before.rfind("{%"));
        opened.is_some() && opened > before.rfind("}}").max(before.rfind("%}"))
    };
    let whole = |before: &str, behind: &str| {
        !before.ends_with(|last| is_part(last) || last == '.') && !behind.starts_with(is_part) && inside(before)
    };
    let split = |at: usize| Some((text.get(..at)?, text.get(at + name.len()..)?));
    text.match_indices(name)
        .map(|(at, _)| at)
        .find(|at| split(*at).is_some_and(|(before, behind)| whole(before, behind)))
}

const NAME: &str = "page.html";
const LISTED: &str = "README.md lists what there is";

/// In bytes; the built-in page has a sixth of it.
const LARGEST: usize = 96 * 1024;
/// In instructions of the engine, which counts 64 bytes that are written as one. A large page takes a few thousand.
const FUEL: u64 = 50_000;
/// Macros and blocks within each other.
const DEEPEST: usize = 64;

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::FUEL;
    use super::Template;
    use crate::config::PageTemplate;

    fn read(text: &str) -> Result<Template, String> {
        let source = PageTemplate { file: PathBuf::from("page.html"), text: text.into() };
        Template::tried(&source).map_err(|problem| problem.to_string())
    }

    #[test]
    fn the_example_is_right() {
        read(include_str!("../../config/page.html")).unwrap();
    }

    #[test]
    fn a_mistake_is_told_with_its_line_and_its_column() {
        for (text, told) in [
            ("<p>\n{{ titel }}", "page.html:2:4: \"titel\" is not there; did you mean \"title\"?"),
            (
                "{% if false %}{{ nonsense_of_mine }}{% endif %}",
                "page.html:1:18: \"nonsense_of_mine\" is not there; README.md lists what there is",
            ),
            ("{{ cause.nmae }}", "page.html:1:4: \"cause.nmae\" is not there; README.md lists what there is"),
            ("", "page.html: a page of this template is empty; write one"),
            ("{% if wait %}soon{% endif %}", "page.html: a page of this template is empty; write one"),
            ("{% for step in steps %}{{ step }}", "page.html:1:"),
            ("a\n{{ title", "page.html:2:"),
            ("{{ title|upcase }}", "page.html:1:10: unknown filter: "),
            ("{{ title|safe }}", "page.html:1:10: unknown filter: "),
            ("{% include \"x\" %}", "page.html:1:4: syntax error: unknown statement include; mend the template"),
            (
                "<Script>alert(1)</Script>",
                "page.html:1:1: a script stands here; remove it: the policy of these pages lets none run",
            ),
            ("{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}", "page.html:1:"),
            (
                "{{ 'x' * 200000 }}",
                "page.html: a page of this template has 200000 bytes; write one that has 98304 at most",
            ),
        ] {
            let problem = read(text).unwrap_err();
            assert!(problem.starts_with(told), "{text}\n{problem}\n{told}");
        }
    }

    #[test]
    fn a_mistake_that_only_some_answers_meet_is_found() {
        for text in [
            "{% if fault == 'dns_timeout' %}{{ title.x }}{% endif %}",
            "{% if not incident %}{{ title.x }}{% endif %}",
            "{% if wait %}{% else %}{{ title.x }}{% endif %}",
            "{% if not repeatable %}{{ title.x }}{% endif %}",
            "{% if language == 'ja' %}{{ title.x }}{% endif %}",
            "{% if cause.word == 'tls' %}{{ title.x }}{% endif %}",
            "{% if not steps %}{{ title.x }}{% endif %}",
            "{% if not site %}{{ title.x }}{% endif %}",
        ] {
            assert!(read(text).unwrap_err().contains("\"title.x\" is not there"), "{text}");
        }
    }

    #[test]
    fn nothing_a_template_says_turns_escaping_off() {
        for text in [
            "{% autoescape false %}{{ '<b>' }}{% endautoescape %}",
            "{% macro m() %}{{ '<b>' }}{% endmacro %}{{ m() }}",
        ] {
            let template = read(text).unwrap();
            let seen = crate::answer::seen::of_every_kind().next().unwrap();
            assert_eq!(template.render(&seen).unwrap(), "&lt;b&gt;", "{text}");
        }
    }

    #[test]
    fn the_example_is_far_from_the_limits() {
        let template = read(include_str!("../../config/page.html")).unwrap();
        let seen = crate::answer::seen::of_every_kind().next().unwrap();
        let page = template.render(&seen).unwrap();
        assert!(page.len() < 14_336, "{} bytes", page.len());
        let mut tight = template;
        tight.0.set_fuel(Some(FUEL / 20));
        assert!(tight.render(&seen).is_some());
    }
}
