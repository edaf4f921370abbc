//! What visitors are shown: the site's name and contact, and their own language, in every format; and what they are not.

use std::fs;
use std::time::Duration;

use why502::demo::origin::PrivateDirectory;

use super::support::client::Client;
use super::support::client::get;
use super::support::origin::Reserved;
use super::support::proxy::Proxy;
use super::support::proxy::in_front_of;
use super::support::proxy::why502;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// A proxy in front of a port that refuses, which knows its operators by a token; and the refusing port.
fn refused(tables: &str) -> (Proxy, Reserved) {
    let (directory, closed) = (PrivateDirectory::new().unwrap(), Reserved::port());
    fs::write(directory.file("token"), TOKEN).unwrap();
    let tables = format!("[operators]\ntoken_file = \"token\"\n[diagnosis]\nprobes = false\n{tables}");
    (Proxy::run_in(directory, &in_front_of(&[&closed.url()], "", &tables)), closed)
}

fn asking(format: &str, language: &str) -> String {
    format!("Accept: {format}\r\nAccept-Language: {language}\r\n")
}

/// A language, as it is asked for and answered, and what an answer to a refused connection says in it: its title, and
/// what the visitor can do at last.
const LANGUAGES: [(&str, &str, &str, &str); 10] = [
    ("en-GB", "en", "The origin refused the connection", "tell the site's owner"),
    ("de-AT,de;q=0.9,en;q=0.8", "de", "Der Ursprungsserver hat die Verbindung abgelehnt", "dem Betreiber der Website"),
    ("fr, en;q=0.7", "fr", "Le serveur d’origine a refusé la connexion", "le propriétaire du site"),
    ("es-MX", "es", "El servidor de origen rechazó la conexión", "al propietario del sitio"),
    ("pt-BR", "pt", "O servidor de origem recusou a conexão", "o dono do site"),
    ("it", "it", "Il server di origine ha rifiutato la connessione", "il proprietario del sito"),
    ("sv;q=0.9, pl;q=0.8", "pl", "Serwer źródłowy odrzucił połączenie", "właściciela strony"),
    ("tr-TR", "tr", "Kaynak sunucu bağlantıyı reddetti", "site sahibine"),
    ("ja", "ja", "オリジンサーバーが接続を拒否しました", "サイトの運営者"),
    ("zh-CN,zh;q=0.9", "zh-Hans", "源服务器拒绝了连接", "网站所有者"),
];

#[test]
fn visitors_are_answered_in_the_language_that_they_ask_for() {
    let (proxy, _closed) = refused("");
    for (asked, tag, title, step) in LANGUAGES {
        for format in ["text/html", "text/plain", "application/json", "application/problem+json"] {
            let answer = get(proxy.address(), "/", &asking(format, asked));
            assert_eq!(answer.field("content-language"), Some(tag), "{asked} {format}");
            assert_eq!(answer.field("vary"), Some("Accept, Accept-Language"), "{asked} {format}");
            let words: String = answer.text().split_whitespace().collect();
            for said in [title, step] {
                let said: String = said.split_whitespace().collect();
                let escaped = said.replace('\'', "&#39;");
                assert!(
                    words.contains(&said) || words.contains(&escaped),
                    "{asked} {format} says {said}: {}",
                    answer.text()
                );
            }
            if format == "text/html" {
                assert!(answer.text().contains(&format!("<html lang=\"{tag}\">")), "{asked}");
            }
        }
    }
}

#[test]
fn words_that_programs_go_by_are_the_same_in_every_language() {
    let (proxy, _closed) = refused("");
    let stable = ["type", "fault", "stage", "proxy_status", "cause", "causes", "confidence", "status"];
    let english = get(proxy.address(), "/", &asking("application/json", "en")).json();
    let japanese = get(proxy.address(), "/", &asking("application/json", "ja")).json();
    for member in stable {
        assert_eq!(english[member], japanese[member], "{member}");
    }
    for member in ["title", "detail"] {
        assert_ne!(english[member], japanese[member], "{member}");
    }
    let owners = |document: &serde_json::Value| -> Vec<serde_json::Value> {
        let steps = document["checklist"].as_array().unwrap().iter();
        steps.filter(|step| step["audience"] == "owner").cloned().collect()
    };
    assert_eq!(owners(&english), owners(&japanese));
}

#[test]
fn operators_grpc_clients_and_the_log_read_english() {
    let (mut proxy, _closed) = refused("");
    let title = "The origin refused the connection";
    for format in ["text/html", "text/plain", "application/json"] {
        let operators = format!("{}X-Why502-Token: {TOKEN}\r\n", asking(format, "de"));
        let answer = get(proxy.address(), "/", &operators);
        assert_eq!(answer.field("content-language"), Some("en"), "{format}");
        assert!(answer.text().contains(title), "{format}: {}", answer.text());
        assert_eq!(proxy.line("upstream_failure")["title"], title);
    }
    let visitor = get(proxy.address(), "/", &asking("text/plain", "de"));
    assert!(!visitor.text().contains(title));
    assert_eq!(proxy.line("upstream_failure")["title"], title);
    let mut client = Client::connect(proxy.address());
    client.send(
        "POST /a.B/C HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc\r\nAccept-Language: de\r\n\
         Content-Length: 0\r\n\r\n",
    );
    let answer = client.answer();
    assert!(answer.field("grpc-message").unwrap().starts_with(title));
    assert_eq!((answer.field("content-language"), answer.field("vary")), (Some("en"), Some("Accept")));
}

#[test]
fn what_is_the_clients_doing_is_told_in_its_language_too() {
    let (proxy, _closed) = refused("");
    for (request, status, says) in [
        ("GET / HTTP/1.1\r\n", 400, "Eine Anfrage in HTTP/1.1 braucht ein Feld namens Host, und diese hat keines."),
        ("GET / HTTP/1.1\r\nHost : a\r\n", 400, "Die Anfragezeile oder eines der Felder verletzt die Regeln von HTTP."),
        (
            "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n",
            405,
            "Dies ist ein Reverse Proxy; er öffnet keine Tunnel zu anderen Hosts.",
        ),
    ] {
        for format in ["text/html", "text/plain", "application/json"] {
            let mut client = Client::connect(proxy.address());
            client.send(format!("{request}{}\r\n", asking(format, "de")));
            let answer = client.answer();
            assert_eq!((answer.head.status, answer.field("content-language")), (status, Some("de")), "{request}");
            let words = answer.text().split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(words.contains(says), "{request} {format}: {words}");
        }
    }
}

#[test]
fn the_sites_name_and_contact_are_shown_where_they_help() {
    let page = "[page]\nname = \"Fish & Chips\"\ncontact = \"https://status.example/?a=1&b=2\"\n";
    let (proxy, _closed) = refused(page);
    let html = get(proxy.address(), "/", &asking("text/html", "en"));
    for part in [
        "<title>502 The origin refused the connection · Fish &#38; Chips</title>",
        "<header class=\"site\">Fish &#38; Chips</header>",
        "Status and contact: <a href=\"https://status.example/?a=1&#38;b=2\">https://status.example/?a=1&#38;b=2</a>",
    ] {
        assert!(html.text().contains(part), "{part}: {}", html.text());
    }
    let text = get(proxy.address(), "/", &asking("text/plain", "de"));
    for part in ["Status und Kontakt: https://status.example/?a=1&b=2", "\nWebsite  Fish & Chips\n"] {
        assert!(text.text().contains(part), "{part}: {}", text.text());
    }
    for token in [String::new(), format!("X-Why502-Token: {TOKEN}\r\n")] {
        let fields = format!("{}{token}", asking("application/json", "en"));
        let json = get(proxy.address(), "/", &fields).json();
        let steps = json["checklist"].as_array().unwrap();
        let last = steps.iter().rfind(|step| step["audience"] == "visitor").unwrap();
        assert_eq!(last["step"], "Status and contact: https://status.example/?a=1&b=2");
    }
    let mut client = Client::connect(proxy.address());
    client.send(format!("GET / HTTP/1.1\r\n{}\r\n", asking("text/html", "en")));
    let refusal = client.answer();
    assert_eq!(refusal.head.status, 400);
    assert!(refusal.text().contains("Status and contact: <a href"), "{}", refusal.text());
}

#[test]
fn a_wrong_page_is_told_with_its_cure() {
    let directory = PrivateDirectory::new().unwrap();
    let tables = "[page]\nname = \"\"\ncontact = \"help@shop.example\"\n";
    fs::write(directory.file("why502.toml"), in_front_of(&["http://127.0.0.1:1"], "", tables)).unwrap();
    let ended = why502(&["check", "--config", "why502.toml"], directory.path());
    assert_eq!(ended.status, Some(2));
    for says in [
        r#""" is not the name of a site; write one on a line, of at most 80 characters"#,
        r#""help@shop.example" is no link; write "mailto:help@shop.example""#,
    ] {
        assert!(ended.err.contains(says), "{}", ended.err);
    }
}

#[test]
fn each_policy_has_its_status_in_every_format() {
    let silent = super::support::origin::Origin::listen();
    let closed = Reserved::port();
    let missing = "unix:/nowhere/why502.sock".to_owned();
    for (server, fault, standard) in [
        (&silent.url, "response_timed_out", 504),
        (&closed.url(), "connection_refused", 502),
        (&missing, "socket_missing", 503),
    ] {
        for (policy, status) in [("502", 502), ("standard", standard), ("503", 503)] {
            let upstream = "[upstream.timeouts]\nresponse = \"100ms\"\n[upstream.retry]\nattempts = 1\n";
            let tables = format!("[diagnosis]\nprobes = false\nstatus = \"{policy}\"\n");
            let proxy = Proxy::run(&in_front_of(&[server], upstream, &tables));
            for format in ["text/html", "text/plain", "application/json", "application/problem+json"] {
                let answer = get(proxy.address(), "/", &asking(format, "fr"));
                assert_eq!(answer.head.status, status, "{fault} under {policy} as {format}");
                let wait: u64 = answer.field("retry-after").expect("waiting helps").parse().unwrap();
                assert!(Duration::from_secs(wait) <= Duration::from_secs(60), "{fault}: {wait}");
                let told = answer.field("proxy-status").unwrap();
                assert!(told.starts_with("why502; error="), "{told}");
                if format.ends_with("json") {
                    let json = answer.json();
                    assert_eq!((&json["status"], &json["fault"]), (&status.into(), &fault.into()), "{policy}");
                } else {
                    assert!(answer.text().contains(&status.to_string()), "{fault} under {policy} as {format}");
                }
            }
        }
    }
}

/// A proxy like `refused`, with this template.
fn with_template(template: &str) -> (Proxy, Reserved) {
    let (directory, closed) = (PrivateDirectory::new().unwrap(), Reserved::port());
    fs::write(directory.file("token"), TOKEN).unwrap();
    fs::write(directory.file("page.html"), template).unwrap();
    let tables = "[operators]\ntoken_file = \"token\"\n[diagnosis]\nprobes = false\n\
                  [page]\nname = \"Fish & Chips\"\ntemplate = \"page.html\"\n";
    (Proxy::run_in(directory, &in_front_of(&[&closed.url()], "", tables)), closed)
}

#[test]
fn a_page_of_the_operators_own_takes_the_place_of_ours_for_visitors() {
    let template = "{{ language }}|{{ site }}|{{ status }}|{{ fault }}|{{ title }}|{{ request_id }}|{{ clock }}|\
                    {{ say(language, 'Try again') }}|{% if repeatable %}again{% else %}once{% endif %}|\
                    {% if incident %}incident{% endif %}|{{ wait }}";
    let (proxy, closed) = with_template(template);
    let answer = get(proxy.address(), "/", &asking("text/html", "de"));
    let id = answer.field("x-request-id").unwrap();
    let says: Vec<&str> = answer.text().split('|').collect();
    let expected =
        ["de", "Fish &amp; Chips", "502", "connection_refused", "Der Ursprungsserver hat die Verbindung abgelehnt", id];
    assert_eq!(says[..6], expected, "{}", answer.text());
    assert!(says[6].ends_with(" UTC"), "{}", answer.text());
    assert_eq!(says[7..10], ["Erneut versuchen", "again", "incident"], "{}", answer.text());
    assert_eq!(says[10], format!("{}\u{a0}Sekunden", answer.field("retry-after").unwrap()));
    let policy = answer.field("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'unsafe-inline'; img-src data:;"), "{policy}");
    assert!(!policy.contains("script"), "{policy}");
    assert_eq!(answer.field("content-length"), Some(&*answer.body.len().to_string()));

    let mut client = Client::connect(proxy.address());
    let post = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n{}\r\n", asking("text/html", "en"));
    client.send(post);
    assert!(client.answer().text().contains("|Try again|once|"));

    let operators = format!("{}X-Why502-Token: {TOKEN}\r\n", asking("text/html", "de"));
    let operators = get(proxy.address(), "/", &operators);
    assert!(operators.text().starts_with("<!doctype html>") && operators.text().contains(&closed.address.to_string()));
    for format in ["text/plain", "application/json"] {
        assert!(get(proxy.address(), "/", &asking(format, "en")).text().contains("The origin refused the connection"));
    }
    let mut client = Client::connect(proxy.address());
    client.send(format!("GET / HTTP/1.1\r\n{}\r\n", asking("text/html", "en")));
    let refusal = client.answer();
    assert!(refusal.head.status == 400 && refusal.text().starts_with("<!doctype html>"), "{}", refusal.text());
}

#[test]
fn the_example_of_a_page_works_in_every_language() {
    let (proxy, _closed) = with_template(include_str!("../../config/page.html"));
    for (asked, tag, _, step) in LANGUAGES {
        let answer = get(proxy.address(), "/", &asking("text/html", asked));
        assert_eq!((answer.head.status, answer.field("content-language")), (502, Some(tag)), "{asked}");
        assert!(answer.text().contains(&format!("<html lang=\"{tag}\">")), "{asked}");
        assert!(answer.text().contains(step) || tag == "en", "{asked}: {}", answer.text());
        assert!(!answer.text().contains("://") && !answer.text().contains("{{"), "{asked}");
    }
}

#[test]
fn a_broken_template_starts_nothing() {
    let directory = PrivateDirectory::new().unwrap();
    let tables = "[page]\ntemplate = \"page.html\"\n";
    fs::write(directory.file("why502.toml"), in_front_of(&["http://127.0.0.1:1"], "", tables)).unwrap();
    for (template, told) in [
        ("<h1>\n  {{ titel }}", "page.html:2:6: \"titel\" is not there; did you mean \"title\"?"),
        ("{% if fault == 'proxy_loop' %}{{ upstream }}{% endif %}", "page.html:1:34: \"upstream\" is not there;"),
        ("{% for step in steps %}", "page.html:1:"),
    ] {
        fs::write(directory.file("page.html"), template).unwrap();
        for command in ["check", "run"] {
            let ended = why502(&[command, "--config", "why502.toml"], directory.path());
            assert_eq!(ended.status, Some(2), "{command} {template}");
            assert!(ended.err.contains(told), "{command}: {}", ended.err);
        }
    }
}
