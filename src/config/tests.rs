//! The configuration as a whole: the files that are shipped, and the exact words for everything that can be wrong.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;

use toml::de::DeTable;
use toml::de::DeValue;

use super::*;

const FULL: &str = include_str!("../../config/why502.toml");
const MINIMAL: &str = include_str!("../../config/minimal.toml");

/// A right configuration of five lines that ends inside `[[upstream]]`.
const RIGHT: &str = "[[route]]\nupstream = \"app\"\n[[upstream]]\nname = \"app\"\nservers = [\"http://a\"]\n";

#[test]
fn the_full_configuration_says_the_defaults() {
    let full = from_text(FULL, Path::new("config.toml")).unwrap();
    let minimal = from_text(MINIMAL, Path::new("config.toml")).unwrap();
    assert_eq!(full, minimal);
}

#[test]
fn the_full_configuration_names_every_key_that_is_read_and_no_other() {
    let text = with_examples(FULL);
    let mut named = BTreeSet::new();
    collect_keys("", &DeTable::parse(&text).unwrap().into_inner(), &mut named);
    assert_eq!(named, keys().into_iter().collect());
    let directory = Directory::with_files();
    from_text(&text, &directory.path("why502.toml")).unwrap();
}

#[test]
fn an_extra_key_is_refused_in_every_table() {
    let text = with_examples(FULL);
    let directory = Directory::with_files();
    let mut tables = 0;
    for (index, line) in text.lines().enumerate().filter(|(_, line)| line.starts_with('[')) {
        let mut lines: Vec<&str> = text.lines().collect();
        lines.insert(index + 1, "zzqq = 1");
        let problems = from_text(&lines.join("\n"), &directory.path("why502.toml")).unwrap_err();
        let expected = format!("why502.toml:{}:1: unknown key `zzqq` in {line}; known there: ", index + 2);
        assert!(problems.to_string().contains(&expected), "{problems}\n{expected}");
        assert_eq!(problems.iter().count(), 1, "{problems}");
        tables += 1;
    }
    assert_eq!(tables, 22);
}

/// Whatever the parser makes of half a file: it is read or refused, and no problem is without words.
#[test]
fn a_file_cut_anywhere_does_no_harm() {
    let text: String = FULL.lines().filter(|line| !line.starts_with('#')).map(|line| line.to_owned() + "\n").collect();
    for (end, _) in text.char_indices().step_by(3) {
        let (head, tail) = text.split_at(end);
        for cut in [
            head.to_owned(),
            tail.to_owned(),
            format!("{head}\"{tail}"),
            format!("{head}[{tail}"),
            format!("{head}]{tail}"),
        ] {
            if let Err(problems) = from_text(&cut, Path::new("why502.toml")) {
                assert!(problems.iter().count() > 0 && !problems.to_string().contains("; \n"), "{cut}");
            }
        }
    }
}

#[test]
fn a_problem_is_told_with_file_line_and_column() {
    let text = format!("{RIGHT}{}[upstream.timeouts]\nconnect = \"3 secs\"\n", "\n".repeat(24));
    let problems = from_text(&text, Path::new("why502.toml")).unwrap_err();
    assert_eq!(problems.to_string(), r#"why502.toml:31:11: "3 secs" is not a duration; write "3s", "250ms" or "2m""#);
}

/// Each is appended to the right configuration, and begins on line 6; the answer stands without the file's name.
#[test]
fn every_wrong_value_is_told_with_its_cure() {
    let durations = r#"write "3s", "250ms" or "2m""#;
    let table = [
        ("protocol = \"spdy\"", r#"6:12: "spdy" is not a protocol; write "http1", "h2" or "auto""#.to_owned()),
        ("intercept = [502, 500, \"503\", 99999]", [
            "6:19: 500 is not a status that can be intercepted; write intercept = [502, 503, 504], or some of them",
            "6:24: \"503\" is not a status that can be intercepted; write intercept = [502, 503, 504], or some of them",
            "6:31: 99999 is not a status that can be intercepted; write intercept = [502, 503, 504], or some of them",
        ].join("\n")),
        ("intercept = 502", "6:13: `intercept` is a list; write intercept = [502, 503, 504], or some of them".to_owned()),
        ("host_header = \"a b\"", r#"6:15: "a b" is not a Host field; write "client", "upstream" or a name: "shop.example""#.to_owned()),
        ("platform = \"rust\"", r#"6:12: "rust" is not a platform; write "generic", "php", "wordpress", "magento", "node", "python", "java", "ruby" or "go""#.to_owned()),
        ("[upstream.timeouts]\nresolve = 2\nconnect = \"\"\ntls = \"0s\"\nsend = true\nresponse = \"1min\"\nbody = [\"1s\"]\ntunnel = \"1 h\"", [
            format!("7:11: 2 is not a duration; {durations}"),
            format!("8:11: \"\" is not a duration; {durations}"),
            "9:7: \"0s\" leaves no time at all; write a duration above zero, or remove the line for the default".to_owned(),
            format!("10:8: true is not a duration; {durations}"),
            format!("11:12: \"1min\" is not a duration; {durations}"),
            format!("12:8: [\"1s\"] is not a duration; {durations}"),
            format!("13:10: \"1 h\" is not a duration; {durations}"),
        ].join("\n")),
        ("[upstream.tls]\nverify = \"no\"\nserver_name = \"a b\"\nca = 1", [
            "7:10: \"no\" is neither true nor false; write true or false, without quotes",
            r#"8:15: "a b" is not a host name; write it as the certificate has it: "app.internal""#,
            "9:6: 1 is not text; write it in quotes",
        ].join("\n")),
        ("[upstream.retry]\nattempts = 0\nbudget = -1", [
            "7:12: 0 is out of range; write a whole number from 1 to 100",
            "8:10: -1 is out of range; write a number from 0.0 to 100.0",
        ].join("\n")),
        ("[upstream.ejection]\nafter = 1.5\nbase_time = \"x\"\nmax_share = nan", [
            "7:9: 1.5 is not a whole number; write a whole number from 1 to 4294967295".to_owned(),
            format!("8:13: \"x\" is not a duration; {durations}"),
            "9:13: nan is out of range; write a number from 0.0 to 1.0".to_owned(),
        ].join("\n")),
        ("[upstream.pool]\nidle_timeout = 55\nmax_idle = -1", [
            format!("7:16: 55 is not a duration; {durations}"),
            "8:12: -1 is out of range; write a whole number from 0 to 1000000".to_owned(),
        ].join("\n")),
        ("[upstream.limits]\nresponse_header_bytes = \"1KiB\"", "7:25: \"1KiB\" is too small; write at least \"8KiB\"".to_owned()),
        ("[dns]\nservers = [\"dns\", 1]\nmax_ttl = 1\nserve_stale = \"1y\"", [
            r#"7:12: "dns" is not the address of a name server; write "10.0.0.53:53" or "[2001:db8::53]:53""#.to_owned(),
            r#"7:19: 1 is not the address of a name server; write "10.0.0.53:53" or "[2001:db8::53]:53""#.to_owned(),
            format!("8:11: 1 is not a duration; {durations}"),
            format!("9:15: \"1y\" is not a duration; {durations}"),
        ].join("\n")),
        ("[diagnosis]\nstatus = 502\nprobes = 1\nprobe_interval = \"0s\"\nwait = 1\nchecklists = \"\"", [
            r#"7:10: 502 is not a choice of status; write "502", "standard" or "503""#.to_owned(),
            "8:10: 1 is neither true nor false; write true or false, without quotes".to_owned(),
            "9:18: \"0s\" leaves no time at all; write a duration above zero, or remove the line for the default".to_owned(),
            format!("10:8: 1 is not a duration; {durations}"),
            "11:14: the path is empty; write the path of a file, or remove the line".to_owned(),
        ].join("\n")),
        ("[operators]\nnetworks = \"10.0.0.0/8\"", "7:12: `networks` is a list; write it in brackets: [ … ]".to_owned()),
        ("[operators]\nnetworks = [\"lan\"]", r#"7:13: "lan" is not a network; write "10.0.0.0/8", "192.0.2.7", "2001:db8::/32" or "unix""#.to_owned()),
        ("[forwarding]\ntrusted_proxies = [\"*\"]\nheaders = \"xff\"", [
            r#"7:20: "*" is not a network; write "10.0.0.0/8", "192.0.2.7", "2001:db8::/32" or "unix""#,
            r#"8:11: "xff" is not a choice of forwarding headers; write "x-forwarded", "forwarded", "both" or "none""#,
        ].join("\n")),
        ("[limits]\nconnections = 0\nrequest_header_bytes = 100\nrequest_body_bytes = \"1MB\"\nheader_timeout = \"0s\"\nbody_timeout = 0\nidle_timeout = \"\"\nconnections_per_client = \"5\"", [
            "7:15: 0 is out of range; write a whole number from 1 to 10000000".to_owned(),
            "8:24: 100 is too small; write at least \"8KiB\"".to_owned(),
            r#"9:22: "1MB" is not a size; write "64KiB", "10MiB" or a number of bytes"#.to_owned(),
            "10:18: \"0s\" leaves no time at all; write a duration above zero, or remove the line for the default".to_owned(),
            format!("11:16: 0 is not a duration; {durations}"),
            format!("12:16: \"\" is not a duration; {durations}"),
            "13:26: \"5\" is not a whole number; write a whole number from 0 to 10000000".to_owned(),
        ].join("\n")),
        ("[log]\nformat = \"text\"\noutput = \"stderr\"\naccess = \"on\"", [
            r#"7:10: "text" is not a log format; write "json" or "pretty""#,
            r#"8:10: "stderr" is not an output for the log; write "stdout", or the path of a file"#,
            "9:10: \"on\" is neither true nor false; write true or false, without quotes",
        ].join("\n")),
        ("[log]\noutput = \"nowhere/a.log\"", r#"7:10: there is no directory "nowhere"; create it, or correct the path"#.to_owned()),
        ("[incidents]\nhistory = \"nowhere/a.db\"\nkeep = \"0s\"\nwebhook = \"hooks.example\"", [
            r#"7:11: there is no directory "nowhere"; create it, or correct the path"#,
            r#"8:8: "0s" leaves no time at all; write a duration above zero, or remove the line for the default"#,
            r#"9:11: this is not the URL of a webhook; write "https://hooks.example/why502""#,
        ].join("\n")),
        ("[runtime]\nworkers = 2000", "7:11: 2000 is out of range; write a whole number from 0 to 1024".to_owned()),
        ("[[listener]]\naddress = 80", r#"7:11: 80 is not an address to listen on; write "0.0.0.0:8080", "[::]:8080" or "unix:/run/why502.sock""#.to_owned()),
        ("[[route]]\nhost = \"a:80\"\npath = \"x\"\nupstream = 1", [
            r#"7:8: "a:80" has the port 80, and a route is for all of them; write "a""#,
            r#"8:8: "x" does not begin with a slash; write "/x""#,
            "9:12: 1 is not text; write it in quotes",
        ].join("\n")),
        ("[upstream.tls]\ncertificate = \"a.pem\"", "7:15: a certificate without its key; add key = \"client.key\", its private key".to_owned()),
        ("[upstream.tls]\nkey = \"a.key\"", "7:7: a key without its certificate; add certificate = \"client.pem\"".to_owned()),
    ];
    for (text, expected) in table {
        assert_eq!(messages(&format!("{RIGHT}{text}")), expected, "{text}");
    }
}

/// Appended in the same way.
#[test]
fn every_wrong_server_and_way_to_balance_is_told_with_its_cure() {
    let table = [
        ("balance = \"rand\"", r#"6:11: "rand" is not a way to balance; write "least_requests", "round_robin", "random" or "hash""#.to_owned()),
        ("balance = \"hash\"", r#"6:11: "hash" does not say what is hashed; add hash_on = "client", "header:NAME" or "cookie:NAME""#.to_owned()),
        ("balance = \"hash\"\nhash_on = \"header:a b\"", r#"7:11: "header:a b" is not something to hash; write "client", "header:NAME" or "cookie:NAME""#.to_owned()),
        ("balance = \"random\"\nhash_on = \"cookie:sid\"", "7:11: `hash_on` means nothing where balance is not \"hash\"; write balance = \"hash\", or remove this line".to_owned()),
        ("hash_on = \"client\"", "6:11: `hash_on` means nothing where balance is not \"hash\"; write balance = \"hash\", or remove this line".to_owned()),
        ("balance = \"hsh\"\nhash_on = \"ip\"\nslow_start = 3", [
            r#"6:11: "hsh" is not a way to balance; write "least_requests", "round_robin", "random" or "hash""#.to_owned(),
            r#"7:11: "ip" is not something to hash; write "client", "header:NAME" or "cookie:NAME""#.to_owned(),
            r#"8:14: 3 is not a duration; write "3s", "250ms" or "2m""#.to_owned(),
        ].join("\n")),
        ("[[upstream]]\nname = \"\"\nservers = []", [
            r#"7:8: this cannot be the name of an upstream; write a word for it, such as "app""#,
            r#"8:11: `servers` is empty; write servers = ["http://127.0.0.1:3000"]"#,
        ].join("\n")),
        ("[[upstream]]\nservers = [{ url = \"http://a\", weight = 2 }, \"http://u:secret@a\"]", [
            r#"6:1: [[upstream]] has no `name`; add name = "app""#,
            "7:46: this URL holds a user name or a password; write it without; credentials go into the request's Authorization field",
        ].join("\n")),
        ("[[upstream]]\nname = \"b\"\nservers = [{ url = \"http://a\", weight = 0 }, { weight = -1 }, { url = \"b:1\", wieght = 2 }, 7]", [
            "8:41: 0 is out of range; write a whole number from 1 to 1000",
            "8:46: [[upstream.servers]] has no `url`; add url = \"http://127.0.0.1:3000\"",
            "8:57: -1 is out of range; write a whole number from 1 to 1000",
            r#"8:71: "b:1" does not begin with its scheme; write "http://b:1""#,
            "8:78: unknown key `wieght` in [[upstream.servers]]; did you mean `weight`?",
            r#"8:92: 7 is not a server; write "http://app.internal:3000", "https://app.internal" or "unix:/run/app.sock""#,
        ].join("\n")),
    ];
    for (text, expected) in table {
        assert_eq!(messages(&format!("{RIGHT}{text}")), expected, "{text}");
    }
}

#[test]
fn every_wrong_limit_and_check_of_a_server_is_told_with_its_cure() {
    let durations = r#"write "3s", "250ms" or "2m""#;
    let table = [
        (
            "[upstream.limits]\nconnections = 0\nin_flight = -1\nqueue = \"10\"\nqueue_timeout = \"0s\"",
            [
                "7:15: 0 is out of range; write a whole number from 1 to 10000000",
                "8:13: -1 is out of range; write a whole number from 0 to 10000000",
                "9:9: \"10\" is not a whole number; write a whole number from 0 to 1000000",
                "10:17: \"0s\" leaves no time at all; write a duration above zero, or remove the line for the default",
            ]
            .join("\n"),
        ),
        (
            "[upstream.health]\npath = \"healthz\"\ninterval = 5\ntimeout = \"0s\"\nhealthy_after = 0\nunhealthy_after = 1001",
            [
                "7:8: \"healthz\" does not begin with a slash; write \"/healthz\"".to_owned(),
                format!("8:12: 5 is not a duration; {durations}"),
                "9:11: \"0s\" leaves no time at all; write a duration above zero, or remove the line for the default"
                    .to_owned(),
                "10:17: 0 is out of range; write a whole number from 1 to 1000".to_owned(),
                "11:19: 1001 is out of range; write a whole number from 1 to 1000".to_owned(),
            ]
            .join("\n"),
        ),
        ("[upstream.health]\npath = \"/a b\"", "7:8: \"/a b\" is not a path to ask for; write \"/healthz\"".to_owned()),
        (
            "health = \"/healthz\"",
            "6:10: `health` is a single table; write [upstream.health] on a line, once, and its keys below it"
                .to_owned(),
        ),
    ];
    for (text, expected) in table {
        assert_eq!(messages(&format!("{RIGHT}{text}")), expected, "{text}");
    }
}

#[test]
fn everything_wrong_with_where_a_route_leads_and_what_it_changes_is_told_with_its_cure() {
    let one_connection = "is for one connection only, and this proxy writes its own; remove it";
    let table = [
        ("redirect = \"https\"", String::new()),
        ("host = \"a\"\nredirect = \"http\"", r#"8:12: "http" is not a redirect; write "https""#.to_owned()),
        (
            "host = \"a\"\nupstream = \"app\"\nredirect = \"https\"",
            "8:12: a route with a `redirect` sends nothing to an upstream; remove one of the two, or write two routes"
                .to_owned(),
        ),
        (
            "redirect = \"https\"\nstrip_path = true\nrequest_headers = { X = \"1\" }\nresponse_headers = { X = \"1\" }",
            [
                "8:14: a route with a `redirect` sends nothing on, so `strip_path` does nothing here; remove it",
                "9:19: a route with a `redirect` sends nothing on, so `request_headers` does nothing here; remove it",
            ]
            .join("\n"),
        ),
        ("redirect = \"https\"\n[[route]]\nredirect = \"https\"", "8:1: this route can never match: the one on line 6 has the same host and path; remove one of the two, or change its host or path".to_owned()),
        ("host = \"a\"", r#"6:1: [[route]] has no `upstream`; add upstream = "app", the name of an [[upstream]]"#.to_owned()),
        (
            "host = \"a\"\nupstream = \"app\"\nstrip_path = true",
            r#"9:14: there is nothing to strip from the path "/"; write the path that is to go, such as path = "/api", or remove strip_path"#.to_owned(),
        ),
        ("path = \"/a\"\nupstream = \"app\"\nstrip_path = 1", "9:14: 1 is neither true nor false; write true or false, without quotes".to_owned()),
        (
            "path = \"/a\"\nupstream = \"app\"\nrequest_headers = \"X\"",
            r#"9:19: `request_headers` is a table of names and texts; write request_headers = { "X-Env" = "prod", "X-Debug" = "" }"#.to_owned(),
        ),
        (
            "path = \"/a\"\nupstream = \"app\"\n[route.request_headers]\nX-A = \"1\"\nx-a = \"2\"\n\"a b\" = \"\"\nX-B = 1\nX-C = \" 1\"\nX-D = \"a\\nb\"",
            [
                "11:1: the field \"x-a\" is written twice; keep one of the two; case makes no difference",
                r#"12:1: "a b" cannot be the name of a field; write letters, digits and hyphens: "X-Env""#,
                "13:7: 1 is not text; write it in quotes",
                "14:7: the value begins or ends with a space, which no field's value can; remove it",
                "15:7: the value has characters that no field can carry; write it on one line, without control characters",
            ]
            .join("\n"),
        ),
        (
            "path = \"/a\"\nupstream = \"app\"\n[route.request_headers]\nConnection = \"\"\nContent-Length = \"1\"\nHost = \"b\"\nVia = \"\"\n\
             X-Request-Id = \"1\"\nX-Why502-Token = \"1\"\ntraceparent = \"1\"\ntracestate = \"\"",
            [
                format!("10:1: \"connection\" {one_connection}"),
                "11:1: \"content-length\" frames the body, which this proxy does itself; remove it".to_owned(),
                r#"12:1: "host" is set for an upstream as a whole; write host_header = "shop.example" below the [[upstream]]"#.to_owned(),
                "13:1: \"via\" is this proxy's own to write; remove it".to_owned(),
                "14:1: \"x-request-id\" is this proxy's own to write; remove it".to_owned(),
                "15:1: \"x-why502-token\" is the operator's, and is never passed on; remove it".to_owned(),
                r#"16:1: "traceparent" is this proxy's own to continue or begin; write "" to send none, or remove it"#.to_owned(),
            ]
            .join("\n"),
        ),
        (
            "path = \"/a\"\nupstream = \"app\"\nresponse_headers = { Upgrade = \"x\", Host = \"a\", Date = \"\", Proxy-Status = \"\", Server = \"\" }",
            [
                format!("9:22: \"upgrade\" {one_connection}"),
                "9:37: \"host\" is no field of a response; remove it".to_owned(),
                "9:49: \"date\" says when an answer was made; remove it".to_owned(),
                "9:60: \"proxy-status\" is this proxy's own to write; remove it".to_owned(),
            ]
            .join("\n"),
        ),
    ];
    for (text, expected) in table {
        assert_eq!(messages(&format!("{RIGHT}[[route]]\n{text}")), expected, "{text}");
    }
    assert_eq!(messages("[[route]]\nredirect = \"https\""), "", "redirects alone need no upstream");
}

#[test]
fn a_redirect_of_everything_says_what_it_leaves_out() {
    let notices = |routes: &str| {
        let text =
            format!("diagnosis.probes = false\n{routes}\n{}", RIGHT.split_once("[[upstream]]").map_or("", |it| it.1));
        from_text(&text.replacen("\nname", "\n[[upstream]]\nname", 1), Path::new("why502.toml")).unwrap().notices()
    };
    let redirect = "[[route]]\nredirect = \"https\"";
    let shop = "[[route]]\nhost = \"*.shop.example\"\nupstream = \"app\"";
    let says = "the redirect of every host leaves out *.shop.example, whose own route is more specific; to send that to https \
                too, add a [[route]] with host = \"*.shop.example\" and redirect = \"https\"";
    for (routes, expected) in [
        (format!("{redirect}\n[[route]]\nupstream = \"app\""), vec![]),
        (format!("{redirect}\n[[route]]\npath = \"/acme\"\nupstream = \"app\""), vec![]),
        (format!("{redirect}\n{shop}"), vec![says]),
        (format!("{redirect}\n{shop}\n{redirect}\nhost = \"*.shop.example\""), vec![]),
    ] {
        assert_eq!(notices(&routes), expected, "{routes}");
    }
}

#[test]
fn the_admin_listener_has_an_address_of_its_own_and_beyond_this_host_a_token() {
    let beyond = "can be reached from other hosts, and nothing would keep strangers out; write [operators] token_file = \
                  \"operator.token\", or an address on loopback";
    for (text, expected) in [
        ("[admin]\naddress = \"127.0.0.1:9502\"\nnames = [\"why502.internal\"]", String::new()),
        ("[admin]\naddress = \"unix:/run/why502-admin.sock\"", String::new()),
        ("[admin]\naddress = \"0.0.0.0:9502\"", format!("7:11: 0.0.0.0:9502 {beyond}")),
        ("[admin]\naddress = \"[2001:db8::1]:9502\"", format!("7:11: [2001:db8::1]:9502 {beyond}")),
        ("[admin]", "6:1: [admin] has no `address`; add address = \"127.0.0.1:9502\"".to_owned()),
        (
            "[admin]\naddress = \"0.0.0.0:8080\"\n[operators]\ntoken_file = \"absent\"",
            "7:11: clients come in at 127.0.0.1:8080, line 1; operators cannot there; give [admin] a port of its own\n\
             9:14: there is no file \"absent\"; create it, or correct the path, which is meant from the directory of this file"
                .to_owned(),
        ),
        (
            "[admin]\naddress = \"127.0.0.1:9502\"\nnames = [\"*.internal\", \"a:80\"]",
            "8:10: \"*.internal\" is not a host name; write it without a port: \"why502.internal\"\n\
             8:24: \"a:80\" is not a host name; write it without a port: \"why502.internal\""
                .to_owned(),
        ),
    ] {
        assert_eq!(messages(&format!("{RIGHT}{text}")), expected, "{text}");
    }
}

#[test]
fn sections_that_do_not_fit_together_are_told() {
    let table = [
        (
            "",
            r#"nothing is configured; add [[upstream]] with name = "app" and servers = ["http://127.0.0.1:3000"], and [[route]] with upstream = "app""#,
        ),
        (
            "# a comment\n",
            r#"nothing is configured; add [[upstream]] with name = "app" and servers = ["http://127.0.0.1:3000"], and [[route]] with upstream = "app""#,
        ),
        (
            "[[upstream]]\nname = \"shop\"\nservers = [\"http://a\"]",
            r#"there is no [[route]], so every request would get a 404; add [[route]] with upstream = "shop""#,
        ),
        (
            "[[route]]\nupstream = \"shop\"",
            r#"there is no [[upstream]] to send requests to; add [[upstream]] with name = "shop" and servers = ["http://127.0.0.1:3000"]"#,
        ),
        (
            &format!("{RIGHT}[[route]]\nhost = \"b\"\nupstream = \"ap\""),
            r#"8:12: there is no upstream "ap"; did you mean "app"?"#,
        ),
        (
            &format!("{RIGHT}[[route]]\nhost = \"b\"\nupstream = \"shop\""),
            r#"8:12: there is no upstream "shop"; write "app", or add an [[upstream]] of that name"#,
        ),
        (
            &format!("{RIGHT}[[upstream]]\nname = \"app\"\nservers = [\"http://b\"]"),
            r#"7:8: the upstream on line 4 is called "app" too; give this one another name, or put its servers there"#,
        ),
        (
            &format!("{RIGHT}[[route]]\npath = \"/\"\nupstream = \"app\""),
            "7:8: this route can never match: the one on line 1 has the same host and path; remove one of the two, or change its host or path",
        ),
        (
            &format!(
                "{RIGHT}[[route]]\nhost = \"A.b\"\npath = \"/x\"\nupstream = \"app\"\n[[route]]\nhost = \"a.B.\"\npath = \"/x/\"\nupstream = \"app\""
            ),
            "12:8: this route can never match: the one on line 8 has the same host and path; remove one of the two, or change its host or path",
        ),
        // Nothing more is said about a route of which it is not known what it is for, but about what it leads to.
        (
            &format!(
                "{RIGHT}[[route]]\npath = \"api\"\nupstream = \"app\"\n[[route]]\nhost = \"a b\"\nupstream = \"app\""
            ),
            "7:8: \"api\" does not begin with a slash; write \"/api\"\n\
             10:8: \"a b\" is not a host name; write \"shop.example\", \"*.example\", or no `host` for every host",
        ),
        (
            &format!("{RIGHT}[[listener]]\naddress = \"127.0.0.1:80\"\n[[listener]]\naddress = \"0.0.0.0:80\""),
            "9:11: 0.0.0.0:80 cannot be listened on beside 127.0.0.1:80, line 7; remove one of the two listeners, or change its port",
        ),
        (
            &format!("{RIGHT}[[listener]]\naddress = \"unix:/a\"\n[[listener]]\naddress = \"unix:/a\""),
            "9:11: unix:/a cannot be listened on beside unix:/a, line 7; remove one of the two listeners, or change its port",
        ),
        (
            &format!(
                "{RIGHT}[[listener]]\naddress = \"127.0.0.1:0\"\n[[listener]]\naddress = \"127.0.0.1:0\"\n[[listener]]\naddress = \"[::]:80\"\n[[listener]]\naddress = \"127.0.0.1:80\""
            ),
            "",
        ),
    ];
    for (text, expected) in table {
        assert_eq!(messages(text), expected, "{text}");
    }
}

#[test]
fn files_that_cannot_serve_are_told_where_they_are_named() {
    let directory = Directory::with_files();
    let at = |name: &str| format!("{:?}", directory.path(name).display().to_string());
    let tls = "[upstream.tls]";
    let table = [
        (format!("{tls}\nca = \"gone.pem\""), format!("7:6: there is no file {}; create it, or correct the path, which is meant from the directory of this file", at("gone.pem"))),
        (format!("{tls}\nca = \"folder\""), format!("7:6: {} is a directory; write the path of a file", at("folder"))),
        (format!("{tls}\nca = \"client.key\""), "7:6: no certificate is in this file; write a PEM file with -----BEGIN CERTIFICATE-----".to_owned()),
        (format!("{tls}\nca = \"cut.pem\""), "7:6: this is not a whole PEM file; copy it again".to_owned()),
        (format!("{tls}\nca = \"client.der\""), "7:6: this certificate is DER, not PEM; convert it: openssl x509 -inform der -in FILE -out FILE.pem".to_owned()),
        (format!("{tls}\nca = \"nonsense.pem\""), "7:6: certificate 1 of this file cannot be used: invalid peer certificate: BadEncoding; replace it, or remove it from the file".to_owned()),
        (format!("{tls}\ncertificate = \"client.pem\"\nkey = \"client.pem\""), "8:7: no private key is in this file; write a PEM file with -----BEGIN PRIVATE KEY-----".to_owned()),
        (format!("{tls}\ncertificate = \"client.pem\"\nkey = \"locked.key\""), "8:7: this key is locked with a passphrase; unlock it: openssl pkey -in FILE -out FILE.open".to_owned()),
        (format!("{tls}\ncertificate = \"client.pem\"\nkey = \"other.key\""), format!("8:7: this key is not that of {}; write the one that the certificate was made for", at("client.pem"))),
        ("[operators]\ntoken_file = \"empty\"".to_owned(), "7:14: the token file is empty; put a long random one there: openssl rand -hex 32".to_owned()),
        ("[operators]\ntoken_file = \"short.token\"".to_owned(), "7:14: the token has only 15 characters, which can be guessed; put a long random one there: openssl rand -hex 32".to_owned()),
        ("[operators]\ntoken_file = \"odd.token\"".to_owned(), "7:14: the token has characters that no HTTP field can carry; put a long random one there: openssl rand -hex 32".to_owned()),
        ("[diagnosis]\nchecklists = \"gone.toml\"".to_owned(), format!("7:14: there is no file {}; create it, or correct the path, which is meant from the directory of this file", at("gone.toml"))),
        ("[log]\noutput = \"folder\"".to_owned(), format!("7:10: {} is a directory; write the path of a file in it", at("folder"))),
        ("[log]\noutput = \"gone/a.log\"".to_owned(), format!("7:10: there is no directory {}; create it, or correct the path", at("gone"))),
        ("[log]\noutput = \"a.log\"".to_owned(), String::new()),
    ];
    for (text, expected) in table {
        let file = directory.path("why502.toml");
        assert_eq!(messages_in(&format!("{RIGHT}{text}"), &file), expected, "{text}");
    }
}

#[test]
fn relative_paths_are_meant_from_the_directory_of_the_file() {
    let directory = Directory::with_files();
    let text = "[[listener]]\naddress = \"unix:in.sock\"\n[[route]]\nupstream = \"a\"\n[[upstream]]\nname = \"a\"\n\
                servers = [\"unix:out.sock\"]\n[operators]\ntoken_file = \"operator.token\"";
    let config = from_text(text, &directory.path("why502.toml")).unwrap();
    assert_eq!(config.listeners, [Listener::plain(ListenAddress::Unix(directory.path("in.sock")))]);
    let socket = directory.path("out.sock").to_string_lossy().into();
    assert_eq!(config.upstreams[0].servers[0].url.location, Location::Unix(socket));
    assert_eq!(config.operators.token, Some(Token("0123456789abcdef".into())));
    assert_eq!(format!("{:?}", config.operators.token), "Some(Token(…))");
}

#[test]
fn a_file_that_cannot_be_read_is_one_problem_without_a_place() {
    let directory = Directory::with_files();
    let table = [
        ("gone.toml", "no such file; write one, or name another with --config"),
        ("folder", "it is a directory; write the path of a file"),
        ("latin1.toml", "line 2 is not UTF-8; save the file as UTF-8"),
        (
            "empty",
            r#"nothing is configured; add [[upstream]] with name = "app" and servers = ["http://127.0.0.1:3000"], and [[route]] with upstream = "app""#,
        ),
    ];
    for (name, expected) in table {
        let path = directory.path(name);
        assert_eq!(load(&path).unwrap_err().to_string(), format!("{}: {expected}", path.display()));
    }
}

#[test]
fn an_origin_alone_gets_every_default() {
    let text = "[[listener]]\naddress = \"127.0.0.1:9\"\n[[route]]\nupstream = \"origin\"\n[[upstream]]\nname = \"origin\"\n\
                servers = [\"https://app:3000\"]";
    let written = from_text(text, Path::new("why502.toml")).unwrap();
    let config = Config::for_origin("https://app:3000/", "127.0.0.1:9").unwrap();
    assert_eq!(config, Config { file: None, ..written });
    assert_eq!(
        Config::for_origin("app:3000", ":9").unwrap_err().to_string(),
        "--to: \"app:3000\" does not begin with its scheme; write \"http://app:3000\"\n\
         --listen: \":9\" does not say on which address; write \"127.0.0.1:9\", or \"0.0.0.0:9\" for all of them"
    );
}

#[test]
fn what_may_surprise_is_said_once() {
    assert_eq!(from_text(MINIMAL, Path::new("why502.toml")).unwrap().notices(), [""; 0]);
    let text = r#"
        listener = [{ address = "0.0.0.0:8080" }, { address = "unix:/a" }]
        route = [{ upstream = "app" }]
        diagnosis.probes = false
        operators.networks = ["::/0"]
        forwarding.trusted_proxies = ["0.0.0.0/0"]
        [[upstream]]
        name = "app"
        servers = ["http://a:443", "https://a:80", "http://localhost:8080", "http://10.0.0.1:8080", "unix:/a"]
        tls.verify = false
        timeouts = { connect = "3m", response = "60s" }
        [[upstream]]
        name = "b"
        servers = ["http://b"]
        tls.server_name = "c"
    "#;
    let expected = [
        "upstream \"app\": http://a:443 is plain HTTP to the port of HTTPS; is https:// meant?",
        "upstream \"app\": https://a:80 is HTTPS to the port of plain HTTP; is http:// meant?",
        "upstream \"app\": http://localhost:8080 is this proxy's own listener, so a request would come back to it; \
         write the address of the origin",
        "upstream \"app\": unix:/a is this proxy's own listener, so a request would come back to it; \
         write the address of the origin",
        "upstream \"app\": verify = false accepts every certificate, so whoever is on the way can read and change what \
         is sent; ca = \"FILE\" trusts an authority of your own",
        "upstream \"app\": [upstream.timeouts] connect = 180s is longer than response = 60s; are the units right?",
        "upstream \"b\": no route leads to it, so it gets no request",
        "upstream \"b\": [upstream.tls] does nothing, since no server is https://",
        "[operators] networks: ::/0 makes everybody an operator, who sees addresses and commands",
        "[forwarding] trusted_proxies: 0.0.0.0/0 lets everybody claim any client address",
    ];
    assert_eq!(from_text(text, Path::new("why502.toml")).unwrap().notices(), expected);
}

#[test]
fn a_limit_that_nobody_chose_and_one_of_tls_without_tls_are_no_notice() {
    let notices = |server: &str, timeouts: &str| {
        let text = format!(
            "diagnosis.probes = false\nlistener = [{{ address = \"127.0.0.1:8080\" }}]\nroute = [{{ upstream = \"a\" }}]\n\
             [[upstream]]\nname = \"a\"\nservers = [\"{server}\"]\ntimeouts = {{ response = \"1s\"{timeouts} }}"
        );
        from_text(&text, Path::new("why502.toml")).unwrap().notices()
    };
    let odd = |key: &str| {
        let limit = format!("{key} = 7s is longer than response = 1s");
        vec![format!("upstream \"a\": [upstream.timeouts] {limit}; are the units right?")]
    };
    for (server, timeouts, expected) in [
        ("http://a", "", vec![]),
        ("https://a", "", vec![]),
        ("http://a", ", tls = \"7s\"", vec![]),
        ("https://a", ", tls = \"7s\"", odd("tls")),
        ("http://a", ", connect = \"7s\"", odd("connect")),
    ] {
        assert_eq!(notices(server, timeouts), expected, "{server}{timeouts}");
    }
}

/// The messages of a text without the file's name; empty where it is right.
fn messages(text: &str) -> String {
    messages_in(text, Path::new("why502.toml"))
}

fn messages_in(text: &str, file: &Path) -> String {
    let Err(problems) = from_text(text, file) else { return String::new() };
    let name = format!("{}:", file.display());
    let lines: Vec<_> =
        problems.iter().map(|it| it.to_string().replacen(&name, "", 1).trim_start().to_owned()).collect();
    lines.join("\n")
}

/// The text with its examples, which stand behind one `#` by default.
fn with_examples(text: &str) -> String {
    let example = |rest: &&str| is_setting(rest) || (rest.starts_with('[') && rest.ends_with(']'));
    let uncommented = |line| match str::strip_prefix(line, "# ").filter(example) {
        Some(example) => example,
        None => line,
    };
    text.lines().map(uncommented).collect::<Vec<_>>().join("\n")
}

fn is_setting(line: &str) -> bool {
    let key = line.split_once(" = ").map(|(key, _)| key);
    key.is_some_and(|key| key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'))
}

fn collect_keys(table: &str, entries: &DeTable<'_>, found: &mut BTreeSet<String>) {
    let own = table.trim_matches(['[', ']']);
    for (key, value) in entries {
        let path = if own.is_empty() { key.get_ref().to_string() } else { format!("{own}.{}", key.get_ref()) };
        match value.get_ref() {
            DeValue::Table(_) if path.ends_with("_headers") => {
                found.insert(format!("{table} {}", key.get_ref()));
            }
            DeValue::Table(below) => collect_keys(&format!("[{path}]"), below, found),
            DeValue::Array(list) if list.iter().any(|element| element.get_ref().is_table()) => {
                for below in list.iter().filter_map(|element| element.get_ref().as_table()) {
                    collect_keys(&format!("[[{path}]]"), below, found);
                }
            }
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_) => {
                found.insert(format!("{table} {}", key.get_ref()).trim_start().to_owned());
            }
        }
    }
}

/// A directory of files that a configuration may name, removed at the end.
struct Directory(PathBuf);

impl Directory {
    fn with_files() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("why502-config-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let directory = Self(std::env::temp_dir().join(name));
        fs::create_dir_all(directory.path("folder")).unwrap();
        let made = rcgen::generate_simple_self_signed(["app.internal".to_owned()]).unwrap();
        let (pem, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        let other_key = rcgen::KeyPair::generate().unwrap().serialize_pem();
        let files: [(&str, &[u8]); 18] = [
            ("client.pem", pem.as_bytes()),
            ("internal-ca.pem", pem.as_bytes()),
            ("client.key", key.as_bytes()),
            ("site.pem", pem.as_bytes()),
            ("ca.pem", pem.as_bytes()),
            ("site.key", key.as_bytes()),
            ("client.der", made.cert.der()),
            ("cut.pem", &pem.as_bytes()[..100]),
            ("nonsense.pem", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
            ("other.key", other_key.as_bytes()),
            ("locked.key", b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"),
            ("operator.token", b" 0123456789abcdef\n"),
            ("short.token", b"0123456789abcde"),
            ("odd.token", b"0123456789 abcdef"),
            ("runbook.toml", b""),
            ("page.html", b"<!doctype html>"),
            ("latin1.toml", b"# a\n# \xfc\n"),
            ("empty", b"\n"),
        ];
        for (name, contents) in files {
            fs::write(directory.path(name), contents).unwrap();
        }
        directory
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}
