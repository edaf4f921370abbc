//! Owns the tests of the languages: that each has every text and none besides, and that each is written as its readers write.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use toml::de::DeTable;

use super::Language;
use super::TRANSLATED;
use super::read;
use crate::answer::place::Place;
use crate::answer::report::SENT_ALREADY;
use crate::answer::words;
use crate::diagnosis::Cause;
use crate::diagnosis::summary::summary;
use crate::fault::Fault;
use crate::proxy::admission::refusal::Refusal;

/// Every text that a visitor may be shown, in English.
fn texts() -> BTreeSet<String> {
    let mut texts: BTreeSet<String> = written_in_the_code();
    let faults = Fault::ALL.into_iter();
    texts.extend(faults.clone().map(|fault| fault.title().to_owned()));
    texts.extend(faults.flat_map(|fault| Cause::ALL.map(|cause| summary(fault, cause).to_owned())));
    let places = Fault::ALL.into_iter().flat_map(|fault| Cause::ALL.map(|cause| Place::of(fault, cause)));
    for place in places {
        let stations = place.stations().map(|station| [station.name, station.role, station.says]);
        texts.extend(stations.concat().into_iter().chain([place.sentence()]).map(str::to_owned));
    }
    for cause in Cause::ALL {
        texts.extend([cause.title(), cause.meaning(), words::supposed(cause)].map(str::to_owned));
    }
    texts.extend(Refusal::ALL.map(|refusal| refusal.detail().to_owned()));
    texts.extend(steps());
    texts.insert(SENT_ALREADY.to_owned());
    texts
}

/// The visitor's steps of the built-in runbook.
fn steps() -> Vec<String> {
    let runbook = DeTable::parse(include_str!("../../../config/checklist.toml")).unwrap().into_inner();
    let steps = runbook.get("step").unwrap().get_ref().as_array().unwrap().iter();
    let value = |step: &DeTable<'_>, key: &str| step.get(key).unwrap().get_ref().as_str().unwrap().to_owned();
    let steps = steps.map(|step| step.get_ref().as_table().unwrap());
    steps.filter(|step| value(step, "audience") == "visitor").map(|step| value(step, "text")).collect()
}

/// The texts that stand in a call of `say`, `said` or `fill`, and those of a bug of ours.
fn written_in_the_code() -> BTreeSet<String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = fs::read_dir(source.join("answer")).unwrap().map(|entry| entry.unwrap().path());
    let mut texts = BTreeSet::new();
    for file in files.filter(|file| file.is_file()) {
        let text = fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        for call in ["say(", "said(", "fill("] {
            texts.extend(code.split(call).skip(1).flat_map(arguments));
        }
    }
    let refuse = fs::read_to_string(source.join("proxy/refuse.rs")).unwrap();
    let own = refuse.lines().filter(|line| line.starts_with("const ") && line.contains(": &str = \""));
    texts.extend(own.map(|line| line.split('"').nth(1).unwrap().to_owned()));
    texts
}

/// The texts at the beginning of a call's arguments.
fn arguments(rest: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = rest.trim_start();
    while let Some((text, behind)) = rest.strip_prefix('"').and_then(|rest| rest.split_once('"')) {
        found.push(text.to_owned());
        rest = behind.trim_start_matches(',').trim_start();
    }
    found
}

#[test]
fn every_language_has_every_text_and_no_other() {
    let texts = texts();
    assert!(texts.len() > 150 && texts.contains("Try again") && texts.contains("not reached"), "{texts:?}");
    let mut wrong = Vec::new();
    for (tag, file) in TRANSLATED {
        DeTable::parse(file).unwrap_or_else(|error| panic!("{tag}: {error}"));
        let translated: BTreeSet<String> = read(file).into_keys().collect();
        wrong.extend(texts.difference(&translated).map(|text| format!("{tag} lacks {text:?}")));
        wrong.extend(translated.difference(&texts).map(|text| format!("{tag} has {text:?}, which nobody says")));
    }
    assert!(wrong.is_empty(), "mend config/languages:\n{}", wrong.join("\n"));
}

#[test]
fn a_translation_has_the_placeholders_and_the_code_of_the_english() {
    for (tag, file) in TRANSLATED {
        for (english, text) in read(file) {
            assert_eq!(placeholders(&text), placeholders(&english), "{tag}: {english:?}");
            assert_eq!(text.matches('`').count(), english.matches('`').count(), "{tag}: {english:?}");
            assert!(!text.trim().is_empty() || english == " ", "{tag}: {english:?}");
        }
    }
}

fn placeholders(text: &str) -> BTreeSet<&str> {
    text.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(word, _)| word).collect()
}

#[test]
fn each_language_is_written_as_its_readers_write() {
    let spaced = [" !", " ?", " ; ", " : ", " %", " »"].map(str::to_owned);
    for (tag, file) in TRANSLATED {
        for (english, text) in read(file) {
            let said = format!("{tag}: {text}");
            assert!(!text.contains(['"', '\u{2014}', '!']), "{said}");
            // French has a space before these, and it must not break.
            assert!(!spaced.iter().any(|mark| text.contains(mark.as_str())), "{said}");
            if ["ja", "zh-Hans"].contains(tag) {
                assert!(!text.ends_with('.') && !text.contains(". ") && !text.contains(", "), "{said}");
                assert_eq!(text.ends_with('。'), english.ends_with('.'), "{said}");
            } else {
                assert_eq!(text.ends_with('.'), english.ends_with('.'), "{said}");
            }
        }
    }
}

#[test]
fn a_file_is_a_language_by_its_line() {
    let files = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("config/languages")).unwrap();
    let names: BTreeSet<String> = files.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    let listed: BTreeSet<String> = TRANSLATED.iter().map(|(tag, _)| format!("{tag}.toml")).collect();
    assert_eq!(names, listed, "config/languages on the left, TRANSLATED on the right");
    let tags: Vec<&str> = Language::all().map(Language::tag).collect();
    assert_eq!(tags[0], "en");
    assert_eq!(tags.len(), TRANSLATED.len() + 1);
}

#[test]
fn a_text_is_said_in_the_language_or_as_it_was_written() {
    let german = Language::all().find(|language| language.tag() == "de").unwrap();
    assert_eq!(german.say("Try again"), "Erneut versuchen");
    assert_eq!(german.say("Ring the engineer on call."), "Ring the engineer on call.");
    assert_eq!(Language::ENGLISH.say("Try again"), "Try again");
    assert_eq!(german.fill("{number} %", &[("number", "7")]), "7\u{a0}%");
    assert_eq!(Language::ENGLISH.fill("a {b} {c}{b} {", &[("b", "{c}")]), "a {c} {c} {");
}
