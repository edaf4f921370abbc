//! The shape of the source tree, checked: floors, purity, front pages, sizes.
//!
//! It reads the text, not the syntax. So that nothing escapes it, there are no macros of our own and no `super::super`.
#![expect(
    clippy::expect_used,
    clippy::string_slice,
    reason = "the whole crate is a test, and reads only our own sources"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

/// The floors, ground floor first. A room may import only from floors below its own. Rooms may stand here before they are
/// built; those that are, stand in `lib.rs` in this order.
const FLOORS: &[&[&str]] = &[
    &["config", "fault", "logbook", "per_core"],
    &["diagnosis", "net", "route"],
    &["dns", "incident"],
    &["upstream"],
    &["answer", "probe", "telemetry"],
    &["archive", "webhook"],
    &["proxy"],
    &["admin", "listener"],
    &["server"],
    &["demo"],
    &["command"],
];

/// Rooms that decide and never act: no sockets, no clock, no tasks.
const PURE: &[&str] = &["answer", "diagnosis", "fault", "incident", "logbook", "route"];
const ACTS: &[&str] = &["tokio::", ".await", "Instant::now", "SystemTime::now", "std::fs", "std::net::Tcp"];

/// What would hide an import from this test, or lead a reader astray.
const NOT_WRITTEN: &[(&str, &str)] = &[
    ("use crate::{", "write one `use crate::room::…` a line"),
    ("super::super", "write the path from `crate::`"),
    ("macro_rules!", "write a function or a table"),
];

/// In lines, without the tests at the end of a file.
const LONGEST_FILE: usize = 420;

/// Files that may be longer, how long, and why.
const LONGER_FILES: &[(&str, usize, &str)] = &[];

#[test]
fn a_room_imports_only_from_floors_below() {
    let floors = floors();
    let mut wrong = Vec::new();
    for line in lines() {
        let Some(from) = floors.get(line.room.as_str()) else { continue };
        for target in line.text.split("crate::").skip(1).map(first_word) {
            if let Some(to) = floors.get(target).filter(|to| line.room != target && *to >= from) {
                wrong.push(format!("{line}: `{}` (floor {from}) imports `{target}` (floor {to})", line.room));
            }
        }
    }
    none(&wrong);
}

#[test]
fn pure_rooms_do_not_act() {
    let mut wrong = Vec::new();
    for line in lines().iter().filter(|line| PURE.contains(&line.room.as_str())) {
        let acts = ACTS.iter().filter(|word| line.text.contains(**word));
        wrong.extend(acts.map(|word| format!("{line}: `{}` is pure, but says `{word}`", line.room)));
    }
    none(&wrong);
}

#[test]
fn nothing_escapes_this_test() {
    let mut wrong = Vec::new();
    for line in lines() {
        let hidden = NOT_WRITTEN.iter().filter(|(word, _)| line.text.contains(word));
        wrong.extend(hidden.map(|(word, instead)| format!("{line}: no `{word}` here; {instead}")));
        if is_front_page(&line.file) && line.text.contains("super::") {
            wrong.push(format!("{line}: above a room is only the crate; write the path from `crate::`"));
        }
    }
    none(&wrong);
}

#[test]
fn every_room_has_a_floor_and_the_library_lists_them_in_that_order() {
    let floors = floors();
    let library = read(Path::new("src/lib.rs"));
    let listed: Vec<&str> =
        library.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    let on_floors: Vec<_> = listed.iter().map(|room| floors.get(room)).collect();
    assert!(!on_floors.contains(&None), "a room of src/lib.rs has no floor: {listed:?}");
    assert!(on_floors.is_sorted(), "src/lib.rs does not list the rooms floor by floor: {listed:?}");

    let mut listed: Vec<String> = listed.into_iter().map(str::to_owned).collect();
    let mut built: Vec<String> = sources("src").iter().map(|file| room_of(file)).collect();
    built.retain(|room| room != "lib" && room != "main");
    built.sort();
    built.dedup();
    listed.sort();
    assert_eq!(listed, built, "src/lib.rs on the left, the folders and files of src on the right");
}

#[test]
fn files_begin_with_their_purpose() {
    let files = ["src", "tests", "benches"].into_iter().flat_map(sources);
    let silent = files.filter(|file| !read(file).starts_with("//! "));
    let wrong: Vec<_> = silent.map(|file| format!("{}: no `//! ` on the first line", file.display())).collect();
    none(&wrong);
}

#[test]
fn files_are_short_enough_to_be_read() {
    let mut wrong = Vec::new();
    for file in sources("src").iter().filter(|file| !holds_only_tests(file)) {
        let name = file.display().to_string();
        let limit = LONGER_FILES.iter().find(|(longer, _, _)| *longer == name).map(|(_, limit, _)| *limit);
        let length = without_tests(&read(file)).lines().count();
        match limit {
            None if length > LONGEST_FILE => wrong.push(format!("{name}: {length} lines; split it at {LONGEST_FILE}")),
            Some(limit) if length > limit => wrong.push(format!("{name}: {length} lines; {limit} were agreed on")),
            Some(_) if length <= LONGEST_FILE => wrong.push(format!("{name}: short enough to leave the list")),
            None | Some(_) => {}
        }
    }
    none(&wrong);
}

fn none(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// A line of code, without the tests at the end of its file and without comments.
struct Line {
    file: PathBuf,
    number: usize,
    room: String,
    text: String,
}

impl std::fmt::Display for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.number)
    }
}

fn lines() -> Vec<Line> {
    let mut found = Vec::new();
    for file in sources("src").into_iter().filter(|file| !holds_only_tests(file)) {
        let text = read(&file);
        let code = without_tests(&text).lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"));
        found.extend(code.map(|(index, line)| Line {
            file: file.clone(),
            number: index + 1,
            room: room_of(&file),
            text: line.to_owned(),
        }));
    }
    assert!(found.len() > 1000, "this test looked into the wrong folder");
    found
}

/// Tests stand at the end of a file, and may import from anywhere.
fn without_tests(text: &str) -> &str {
    text.split_once("#[cfg(test)]\nmod tests {").map_or(text, |(code, _)| code)
}

/// Files that a `#[cfg(test)]` in their folder's front page declares.
fn holds_only_tests(file: &Path) -> bool {
    let (Some(folder), Some(name)) = (file.parent(), file.file_stem().and_then(|name| name.to_str())) else {
        return false;
    };
    let front_page = fs::read_to_string(folder.join("mod.rs")).unwrap_or_default();
    front_page.contains(&format!("#[cfg(test)]\nmod {name};"))
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).expect("a source file can be read")
}

/// `src/route.rs` or `src/dns/mod.rs`.
fn is_front_page(file: &Path) -> bool {
    match file.iter().count() {
        2 => true,
        3 => file.ends_with("mod.rs"),
        _ => false,
    }
}

/// `src/dns/cache.rs` is of the room `dns`, `src/route.rs` of `route`.
fn room_of(file: &Path) -> String {
    let name = file.iter().nth(1).and_then(|name| name.to_str()).unwrap_or_default();
    name.trim_end_matches(".rs").to_owned()
}

fn floors() -> BTreeMap<&'static str, usize> {
    let floors = FLOORS.iter().enumerate();
    floors.flat_map(|(floor, rooms)| rooms.iter().map(move |room| (*room, floor))).collect()
}

fn first_word(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}

/// Every Rust file in a folder, in the folders below it too; none where there is no such folder.
fn sources(folder: impl AsRef<Path>) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(sources(path));
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
    found
}
