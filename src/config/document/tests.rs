//! The reader of TOML documents: exact messages for small documents.

use std::time::Duration;

use super::*;

/// Reads what a small reader of one table knows, and answers the messages.
fn messages(text: &str) -> Vec<String> {
    let document = Document::parse(text, Path::new("f.toml"));
    let root = document.root();
    let shutdown = root.value_or("shutdown_timeout", Duration::ZERO);
    let times = root.table("timeouts");
    let connect = times.time_limit("connect", Duration::from_secs(3));
    let on = times.flag("on", true);
    times.close();
    let list: Vec<String> = root
        .tables("server")
        .into_iter()
        .filter_map(|server| {
            let name = server.required::<String>("name", "name = \"a\"");
            server.close();
            name.map(|name| name.value)
        })
        .collect();
    root.close();
    match document.finish((shutdown, connect, on, list)) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn every_problem_is_told_with_its_place() {
    let table: &[(&str, &[&str])] = &[
        ("", &[]),
        ("\u{feff}shutdown_timeout = \"1s\"\r\n[timeouts]\r\non = true", &[]),
        (
            "[timeouts]\nconnect = \"3 secs\"",
            &[r#"f.toml:2:11: "3 secs" is not a duration; write "3s", "250ms" or "2m""#],
        ),
        ("[timeouts]\nconnect = 3", &[r#"f.toml:2:11: 3 is not a duration; write "3s", "250ms" or "2m""#]),
        (
            "[timeouts]\nconnect = '0s'",
            &[
                "f.toml:2:11: '0s' leaves no time at all; write a duration above zero, or remove the line for the default",
            ],
        ),
        (
            "timeouts = { connect = \"x\", on = \"ü\" }",
            &[
                r#"f.toml:1:24: "x" is not a duration; write "3s", "250ms" or "2m""#,
                r#"f.toml:1:34: "ü" is neither true nor false; write true or false, without quotes"#,
            ],
        ),
        (
            "conect = '1s'\n[timeouts.on.x]\n[x]",
            &[
                "f.toml:1:1: unknown key `conect` above the first table; did you mean `connect` in [timeouts]?",
                "f.toml:2:11: on is neither true nor false; write true or false, without quotes",
                "f.toml:3:2: unknown table `x`; known there: shutdown_timeout, server, timeouts",
            ],
        ),
        (
            "[timeouts]\nconect = '1s'\nshutdown_timeout = 's'\nzz = 1\n[timeout]",
            &[
                "f.toml:2:1: unknown key `conect` in [timeouts]; did you mean `connect`?",
                "f.toml:3:1: unknown key `shutdown_timeout` in [timeouts]; it belongs above the first table",
                "f.toml:4:1: unknown key `zz` in [timeouts]; known there: connect, on",
                "f.toml:5:2: unknown table `timeout`; did you mean `timeouts`?",
            ],
        ),
        (
            "[[server]]\n[[server]]\nname = 1",
            &[
                r#"f.toml:1:1: [[server]] has no `name`; add name = "a""#,
                "f.toml:3:8: 1 is not text; write it in quotes",
            ],
        ),
        (
            "timeouts = 1\nserver = [1]",
            &[
                "f.toml:1:12: `timeouts` is a single table; write [timeouts] on a line, once, and its keys below it",
                "f.toml:2:11: `server` is a list of tables; write [[server]] on a line and its keys below it",
            ],
        ),
        (
            "[server]\n[[timeouts]]",
            &[
                "f.toml:1:1: `server` is a list of tables; begin each with [[server]], in two brackets, above the tables that belong to it",
                "f.toml:2:1: `timeouts` is a single table; write [timeouts] on a line, once, and its keys below it",
            ],
        ),
    ];
    for (text, expected) in table {
        assert_eq!(messages(text), *expected, "in {text:?}");
    }
}

#[test]
fn what_is_no_toml_is_told_once_a_line_and_hides_no_other_problem() {
    let table: &[(&str, &[&str])] = &[
        (
            "shutdown_timeout = 3s\n[timeouts]\non = yes\nconnect =\nzz = 1",
            &[
                r#"f.toml:1:20: 3s is text without quotes; write "3s""#,
                "f.toml:3:6: yes is neither true nor false; write true or false, without quotes",
                "f.toml:4:10: the value is missing; write it after the `=`, or remove the line for the default",
                "f.toml:5:1: unknown key `zz` in [timeouts]; known there: connect, on",
            ],
        ),
        ("shutdown_timeout = “3s”", &[r#"f.toml:1:20: “3s” is text without quotes; write "3s""#]),
        (
            "shutdown_timeout = http://u:p@h",
            &[r#"f.toml:1:20: "http://u:p@h" is not a duration; write "3s", "250ms" or "2m""#],
        ),
        (
            "shutdown_timeout = \"3s",
            &[
                "f.toml:1:23: this text is not closed, or has a character that cannot stand in it; end it with \" on the \
             same line, and write a backslash as \\\\",
            ],
        ),
        (
            "shutdown_timeout = \"3s\" # ok\nshutdown_timeout = \"4s\"\n[timeouts]\n[timeouts]\nzz = 1",
            &[
                "f.toml:2:1: `shutdown_timeout` is set for the second time; keep one of the two",
                "f.toml:4:2: the table `timeouts` is here for the second time; join the two",
                "f.toml:5:1: unknown key `zz` in [timeouts]; known there: connect, on",
            ],
        ),
        (
            "[server]\nname = 'a'\n[[server]]\nname = 'b'",
            &[
                "f.toml:1:1: `server` is a list of tables; begin each with [[server]], in two brackets, above the tables \
             that belong to it",
                "f.toml:3:3: `server` was begun further up as one table; begin every `server` with [[server]], in two \
             brackets, above the tables that belong to it",
            ],
        ),
        // What is lost may be what is missing, and what is unknown may have lost its table.
        (
            "[[server]\nname = 'a'\nzz = 1\n[timeouts]\nconnect = 'x'",
            &["f.toml:1:10: the name of the table is not closed; end it with ]]"],
        ),
        // What follows an open list is read as its elements.
        (
            "a = \"\n\nshutdown_timeout = ['1s'\n[timeouts]\nconnect = 'x'\n",
            &[
                "f.toml:1:6: this text is not closed, or has a character that cannot stand in it; end it with \" on the \
                 same line, and write a backslash as \\\\",
                r#"f.toml:3:20: this value is not a duration; write "3s", "250ms" or "2m""#,
                "f.toml:4:1: a comma is missing here, or the closing ] before it; write , between the elements and ] \
                 at the end",
            ],
        ),
        (
            "listen 80;\nshutdown_timeout = 1",
            &["f.toml:1:8: a key stands here without a value; write KEY = VALUE, [TABLE] or, behind a #, a comment"],
        ),
        (
            "\"a\\nb\" = 1",
            &["f.toml:1:1: unknown key `a\\nb` above the first table; known there: shutdown_timeout, server, timeouts"],
        ),
    ];
    for (text, expected) in table {
        assert_eq!(messages(text), *expected, "in {text:?}");
    }
}

#[test]
fn the_nearest_known_word_is_one_that_may_have_been_meant() {
    let known = ["connect", "response", "path", "ca", "networks"];
    let table = [
        ("conect", Some("connect")),
        ("reponse", Some("response")),
        ("network", Some("networks")),
        ("Path", Some("path")),
        ("port", None),
        ("", None),
    ];
    for (word, meant) in table {
        assert_eq!(nearest(word, known), meant, "{word}");
    }
}
