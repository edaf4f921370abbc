//! What the program is built from: every crate's licence is one that the program may be given away under, and `unsafe` stands in
//! one small file.
//!
//! Advisories are not looked at: their database is nowhere but on the network (`cargo deny check advisories` reads it).

#![expect(clippy::expect_used, reason = "the whole crate is a test, and reads only our own sources")]

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Those that ask for no more than to be named (SPDX).
const ALLOWED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "CC0-1.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Where `unsafe` may stand; each says why at the place.
const UNSAFE: &str = "src/net/kernel.rs";

#[test]
fn every_crate_has_a_licence_that_is_allowed() {
    let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs a test");
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        eprintln!("skipped: every_crate_has_a_licence_that_is_allowed: cargo cannot tell without the network: {why}");
        return;
    }
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo writes JSON");
    let packages = metadata["packages"].as_array().expect("it has packages");
    assert!(packages.len() > 50, "{}", packages.len());
    let wrong: Vec<_> = packages
        .iter()
        .filter(|package| !package["license"].as_str().is_some_and(is_allowed))
        .map(|package| format!("{}: {}", package["name"], package["license"]))
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Whether an SPDX expression leaves a choice that is allowed. An older notation has `/` for `OR`. An exception takes nothing away.
fn is_allowed(expression: &str) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = &words[..];
    any(&mut rest) && rest.is_empty()
}

fn any(words: &mut &[&str]) -> bool {
    let mut allowed = all(words);
    while let ["OR", rest @ ..] = *words {
        *words = rest;
        allowed |= all(words);
    }
    allowed
}

fn all(words: &mut &[&str]) -> bool {
    let mut allowed = one(words);
    while let ["AND", rest @ ..] = *words {
        *words = rest;
        allowed &= one(words);
    }
    allowed
}

fn one(words: &mut &[&str]) -> bool {
    match *words {
        ["(", rest @ ..] => {
            *words = rest;
            let allowed = any(words);
            *words = words.strip_prefix(&[")"]).unwrap_or_default();
            allowed
        }
        [name, "WITH", _, rest @ ..] | [name, rest @ ..] => {
            *words = rest;
            ALLOWED.contains(name)
        }
        [] => false,
    }
}

#[test]
fn an_expression_is_allowed_where_one_of_its_choices_is() {
    for (expression, expected) in [
        ("MIT", true),
        ("MIT OR Apache-2.0", true),
        ("MIT/Apache-2.0", true),
        ("GPL-3.0", false),
        ("GPL-3.0 OR MIT", true),
        ("GPL-3.0 AND MIT", false),
        ("MIT AND GPL-3.0 OR ISC", true),
        ("(MIT OR GPL-3.0) AND Unicode-3.0", true),
        ("MIT AND (GPL-3.0 OR AGPL-3.0)", false),
        ("Apache-2.0 WITH LLVM-exception", true),
        ("MIT )", false),
        ("", false),
    ] {
        assert_eq!(is_allowed(expression), expected, "{expression}");
    }
}

#[test]
fn unsafe_stands_in_one_small_file() {
    let mut found = Vec::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    look(&root.join("src"), &mut |file, text| {
        // The word also stands in policies for browsers.
        let text = text.replace("'unsafe-inline'", "");
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        if code.flat_map(|line| line.split(|c: char| !c.is_alphanumeric() && c != '_')).any(|word| word == "unsafe") {
            let name = file.strip_prefix(root).expect("it is below").display().to_string();
            assert!(text.lines().count() < 80, "{name} is not small");
            found.push(name);
        }
    });
    assert_eq!(found, [UNSAFE]);
}

fn look(folder: &Path, at: &mut impl FnMut(&Path, &str)) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            look(&path, at);
        } else if path.extension().is_some_and(|end| end == "rs") {
            at(&path, &fs::read_to_string(&path).expect("a source file can be read"));
        }
    }
}
