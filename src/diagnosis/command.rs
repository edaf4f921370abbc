//! Owns filling in: a template of a runbook becomes a sentence or a command with a case's own values.
//!
//! Values come from the network and from clients. In a sentence they cannot break a terminal; in a command for a POSIX
//! shell they cannot be anything but one word. What a placeholder stands for is `placeholder`'s.

use super::Case;
use super::placeholder::Placeholder;
use crate::config::document::nearest;
use crate::config::problem::Wrong;
use crate::config::problem::quoted;

/// A text with placeholders: `ss -ltn 'sport = :{port}'`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Value(Placeholder),
}

impl Template {
    /// Reads a sentence: `{word}` is a placeholder, `{{` and `}}` are braces.
    ///
    /// # Errors
    ///
    /// A word that is no placeholder, a brace without its other half, a control character.
    pub fn read(source: &str) -> Result<Self, Wrong> {
        if source.chars().any(char::is_control) {
            return Err(Wrong::new("a step stands on one line without control characters", "write it on one line"));
        }
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = source.chars().peekable();
        while let Some(next) = rest.next() {
            match next {
                '{' | '}' if rest.next_if_eq(&next).is_some() => literal.push(next),
                '{' => {
                    let word: String = std::iter::from_fn(|| rest.next_if(|next| !matches!(next, '{' | '}'))).collect();
                    if rest.next() != Some('}') {
                        return Err(lone_brace('{'));
                    }
                    let placeholder = Placeholder::from_word(&word).ok_or_else(|| unknown(&word))?;
                    pieces.extend([Piece::Literal(std::mem::take(&mut literal)), Piece::Value(placeholder)]);
                }
                '}' => return Err(lone_brace('}')),
                _ => literal.push(next),
            }
        }
        pieces.push(Piece::Literal(literal));
        pieces.retain(|piece| *piece != Piece::Literal(String::new()));
        Ok(Self { pieces })
    }

    /// Reads a command, in which a value must be able to stand as a word of its own.
    ///
    /// # Errors
    ///
    /// Those of `read`; a placeholder inside quotes or behind `$` or `\`, where quoting it would not hold; a quote
    /// that is never closed; backquotes.
    pub fn read_command(source: &str) -> Result<Self, Wrong> {
        let template = Self::read(source)?;
        let mut shell = Shell::Bare;
        for piece in &template.pieces {
            match piece {
                Piece::Literal(literal) => shell = literal.chars().try_fold(shell, Shell::after)?,
                Piece::Value(placeholder) => shell = shell.after_value(*placeholder)?,
            }
        }
        match shell {
            Shell::Bare | Shell::Dollar => Ok(template),
            Shell::Escaped => Err(Wrong::new("the command ends in a backslash", "take it away")),
            Shell::Single | Shell::Double | Shell::EscapedInDouble | Shell::DollarInDouble => {
                Err(Wrong::new("a quote in the command is never closed", "close it"))
            }
        }
    }

    /// Whether it has placeholders, and so says something of one incident.
    #[must_use]
    pub fn has_placeholders(&self) -> bool {
        self.pieces.iter().any(|piece| matches!(piece, Piece::Value(_)))
    }

    /// The sentence for this case; none where it lacks a value.
    #[must_use]
    pub fn sentence(&self, case: &Case) -> Option<String> {
        self.fill(case, |value, _| Some(value))
    }

    /// The command for this case, safe for a POSIX shell; none where it lacks a value, or where a program would take one for an
    /// option.
    #[must_use]
    pub fn command(&self, case: &Case) -> Option<String> {
        self.fill(case, |value, before| (!begins_a_word(before) || !is_option(&value)).then(|| shell_word(&value)))
    }

    /// What is written of a value goes by what stands before it.
    fn fill(&self, case: &Case, written: impl Fn(String, &str) -> Option<String>) -> Option<String> {
        let mut filled = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Literal(literal) => filled.push_str(literal),
                Piece::Value(placeholder) => {
                    let value = placeholder.value(case).filter(|value| value.len() <= LONGEST_VALUE)?;
                    let written = written(printable(&value), &filled)?;
                    filled.push_str(&written);
                }
            }
        }
        Some(filled)
    }
}

/// Where in a command a shell is, as far as quoting goes (POSIX, Shell Command Language, section 2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shell {
    /// Outside quotes.
    Bare,
    /// Outside quotes, behind a dollar sign: some shells read `$'…'` in their own way.
    Dollar,
    /// Outside quotes, behind a backslash.
    Escaped,
    /// Between single quotes.
    Single,
    /// Between double quotes.
    Double,
    /// Between double quotes, behind a backslash.
    EscapedInDouble,
    /// Between double quotes, behind a dollar sign.
    DollarInDouble,
}

impl Shell {
    fn after(self, next: char) -> Result<Self, Wrong> {
        Ok(match (self, next) {
            (Self::Bare | Self::Dollar | Self::Double | Self::DollarInDouble, '`') => {
                return Err(Wrong::new("backquotes do not nest safely", "write $(…) instead"));
            }
            // Inside of them quotes count anew, which is more than is followed here.
            (Self::DollarInDouble, '(' | '{') => {
                return Err(Wrong::new("$( or ${ stands inside double quotes", "take the double quotes away"));
            }
            (Self::Bare | Self::Dollar, '\'') => Self::Single,
            (Self::Bare | Self::Dollar, '"') => Self::Double,
            (Self::Bare | Self::Dollar, '\\') => Self::Escaped,
            (Self::Bare | Self::Dollar, '$') => Self::Dollar,
            (Self::Single, '\'')
            | (Self::Double | Self::DollarInDouble, '"')
            | (Self::Bare | Self::Dollar | Self::Escaped, _) => Self::Bare,
            (Self::Single, _) => Self::Single,
            (Self::Double | Self::DollarInDouble, '\\') => Self::EscapedInDouble,
            (Self::Double | Self::DollarInDouble, '$') => Self::DollarInDouble,
            (Self::Double | Self::DollarInDouble | Self::EscapedInDouble, _) => Self::Double,
        })
    }

    fn after_value(self, placeholder: Placeholder) -> Result<Self, Wrong> {
        let word = placeholder.word();
        match self {
            Self::Bare => Ok(Self::Bare),
            Self::Single | Self::Double if placeholder.is_number() => Ok(self),
            Self::Single | Self::Double | Self::EscapedInDouble | Self::DollarInDouble => Err(Wrong::new(
                format!("{{{word}}} stands inside quotes"),
                "put it outside of them: a value is quoted when it is filled in",
            )),
            Self::Dollar | Self::Escaped => Err(Wrong::new(
                format!("{{{word}}} stands behind a dollar sign or a backslash"),
                "put something between them: a value is quoted when it is filled in",
            )),
        }
    }
}

/// The text as one word of a POSIX shell: as it is where nothing in it means anything to a shell, else in single quotes.
///
/// The text holds no control characters; see `printable`.
fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_./:@%+,=-".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// Whether what comes next in a command begins a word: it is at the beginning, or behind what ends one (POSIX, section 2.3).
fn begins_a_word(before: &str) -> bool {
    before.chars().next_back().is_none_or(|last| last.is_whitespace() || ";|&()<>".contains(last))
}

/// Whether a program takes a word for something else than a name, however it is quoted: for an option, which `-` begins with all
/// of them and `+` with dig, or for a server to ask (`@` with dig). No host, path or address begins so.
fn is_option(word: &str) -> bool {
    word.starts_with(['-', '+', '@'])
}

/// The text without what a terminal would obey or hide: control characters, line separators, and the invisible marks
/// that turn the direction of writing or have no width. Each becomes U+FFFD, so that it can be seen that it was there.
#[must_use]
pub fn printable(text: &str) -> String {
    let invisible = |c: char| {
        matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
    };
    text.chars().map(|c| if c.is_control() || invisible(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

fn lone_brace(brace: char) -> Wrong {
    Wrong::new(format!("a {brace:?} stands alone"), format!("write {brace}{brace} for the brace itself"))
}

fn unknown(word: &str) -> Wrong {
    let instead = match nearest(word, Placeholder::ALL.into_iter().map(Placeholder::word)) {
        Some(nearest) => format!("did you mean {{{nearest}}}?"),
        None => "they are listed at the top of config/checklist.toml; {{ and }} are the braces themselves".to_owned(),
    };
    Wrong::new(format!("{} is not a placeholder", quoted(&format!("{{{word}}}"))), instead)
}

/// In bytes. A longer value would bury the command that it stands in.
const LONGEST_VALUE: usize = 2_000;

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::diagnosis::samples;
    use crate::fault::Fault;

    #[test]
    fn a_template_is_filled_in_from_the_case() {
        let mut case = samples::full(Fault::ConnectionRefused);
        case.request.path = "/it's a \"$(trap)\"".into();
        let table = [
            ("ss -ltnp 'sport = :{port}'", "ss -ltnp 'sport = :3456'"),
            ("curl -gv {url}", r#"curl -gv 'https://localhost:3456/it'\''s a "$(trap)"'"#),
            ("dig {name} @{resolver} | awk '{{print $1}}'", "dig badger.internal @10.77.0.54 | awk '{print $1}'"),
            ("kill $(lsof -t {socket}) \"$HOME/{port}\"", "kill $(lsof -t /run/marmot.sock) \"$HOME/3456\""),
            (r"echo \'{host}", r"echo \'badger.internal"),
        ];
        for (source, expected) in table {
            let template = Template::read_command(source).unwrap();
            assert_eq!(template.command(&case).as_deref(), Some(expected), "{source}");
        }
        let sentence = Template::read("{{{alert}}} for {path}.").unwrap();
        assert_eq!(sentence.sentence(&case).unwrap(), "{handshake_failure (40)} for /it's a \"$(trap)\".");
    }

    #[test]
    fn without_a_value_there_is_no_sentence_and_no_command() {
        let mut case = samples::case(Fault::ConnectionRefused);
        assert_eq!(Template::read("from {address}").unwrap().sentence(&case), None);
        assert_eq!(Template::read_command("echo {socket}").unwrap().command(&case), None);
        case.request.path = format!("/{}", "a".repeat(LONGEST_VALUE));
        assert_eq!(Template::read_command("echo {path}").unwrap().command(&case), None);
    }

    #[test]
    fn a_template_that_cannot_be_filled_in_safely_is_refused() {
        let table = [
            ("echo {hosst}", "\"{hosst}\" is not a placeholder; did you mean {host}?"),
            (
                "awk '{print $1}'",
                "\"{print $1}\" is not a placeholder; they are listed at the top of config/checklist.toml; {{ and }} are the braces themselves",
            ),
            ("echo {host", "a '{' stands alone; write {{ for the brace itself"),
            ("echo host}", "a '}' stands alone; write }} for the brace itself"),
            ("echo\nrm", "a step stands on one line without control characters; write it on one line"),
            (
                "echo '{host}'",
                "{host} stands inside quotes; put it outside of them: a value is quoted when it is filled in",
            ),
            (
                "echo \"a {path}\"",
                "{path} stands inside quotes; put it outside of them: a value is quoted when it is filled in",
            ),
            (
                r#"echo "\{port}""#,
                "{port} stands inside quotes; put it outside of them: a value is quoted when it is filled in",
            ),
            (
                "echo ${host}",
                "{host} stands behind a dollar sign or a backslash; put something between them: a value is quoted when it is filled in",
            ),
            (
                r"echo \{host}",
                "{host} stands behind a dollar sign or a backslash; put something between them: a value is quoted when it is filled in",
            ),
            ("echo \"$(echo \"{path}\")\"", "$( or ${ stands inside double quotes; take the double quotes away"),
            ("echo `{path}`", "backquotes do not nest safely; write $(…) instead"),
            ("echo 'a", "a quote in the command is never closed; close it"),
            ("echo \"a", "a quote in the command is never closed; close it"),
            ("echo \\", "the command ends in a backslash; take it away"),
        ];
        for (source, expected) in table {
            let wrong = Template::read_command(source).unwrap_err();
            assert_eq!(format!("{}; {}", wrong.what, wrong.instead), expected, "{source}");
        }
    }

    #[test]
    fn a_shell_takes_every_value_as_one_word() {
        let nasty = [
            "plain",
            "-n",
            "--",
            "",
            " ",
            "a b",
            "it's",
            "'",
            "''",
            "'\\''",
            "\\",
            "\\'",
            "\"",
            "$HOME",
            "$(id)",
            "`id`",
            "${x}",
            "a;id",
            "a|id",
            "a&id",
            "a>b",
            "a<b",
            "*",
            "?",
            "[a]",
            "~",
            "~root",
            "#a",
            "!x",
            "a{b,c}",
            "%s%n",
            "(a)",
            "a=b",
            "ä €",
            "/%2e%2e/",
            "a\nid",
            "a\rid",
            "a\tb",
            "\u{1b}[31m",
            "\u{7}",
            "\u{7f}",
            "\u{9b}2J",
            "a\u{202e}b",
            "a\u{200b}b",
            "\u{2028}",
            "\u{0}",
        ];
        for value in nasty {
            let (value, word) = (printable(value), shell_word(&printable(value)));
            assert!(!word.chars().any(char::is_control), "{word:?}");
            let shell = Command::new("sh").args(["-c", &format!("printf %s {word}")]).output().unwrap();
            assert_eq!(
                (String::from_utf8_lossy(&shell.stdout).as_ref(), &*shell.stderr),
                (&*value, &b""[..]),
                "{word}"
            );
        }
    }

    /// Names from DNS, certificates, headers and clients, put together at random from what a shell or a program would obey.
    #[test]
    fn no_value_makes_another_command_of_one() {
        const PARTS: [&str; 24] = [
            "-",
            "--",
            "+",
            "@",
            "a",
            "db.internal",
            " ",
            "\t",
            "\n",
            "\r\n",
            "'",
            "\"",
            "\\",
            "$(id)",
            "`id`",
            "${IFS}",
            ";",
            "|",
            "&",
            ">",
            "#",
            "*",
            "\u{1b}[2J",
            "\u{202e}",
        ];
        // A command, and the words that it is to have; `{…}` are values there too.
        let commands = [
            ("show {name} {host} {site}", "{name}\n{host}\n{site}"),
            ("show {software};show {issuer} {certificate_names}", "{software}\n{issuer}\n{certificate_names}"),
            ("show h 'Host: '{site} to={host}", "h\nHost: {site}\nto={host}"),
            ("(show {method})|cat && show \"$HOME\" {path}", "{method}\n/h\n{path}"),
        ];
        let mut random = fastrand::Rng::with_seed(502);
        let mut filled_in = 0;
        for _ in 0..200 {
            let mut value = || -> String { (0..random.usize(1..5)).filter_map(|_| random.choice(PARTS)).collect() };
            let mut case = samples::full(Fault::ConnectionRefused);
            let failure = &mut case.attempts[0];
            failure.target.as_mut().unwrap().host = value().into();
            failure.dns.as_mut().unwrap().name = value();
            let certificate = failure.tls.as_mut().unwrap().certificate.as_mut().unwrap();
            (certificate.issuer, certificate.names) = (value(), vec![value(), value()]);
            failure.response.as_mut().unwrap().server = Some(value());
            (case.request.host, case.request.method, case.request.path) = (value(), value(), value());
            for (source, words) in commands {
                let Some(command) = Template::read_command(source).unwrap().command(&case) else { continue };
                filled_in += 1;
                assert!(!command.chars().any(char::is_control), "{command:?}");
                let script = format!("show() {{ printf '%s\\n' \"$@\"; }}; {command}");
                let shell = Command::new("sh").args(["-c", &script]).env("HOME", "/h").output().unwrap();
                let said = String::from_utf8_lossy(&shell.stdout);
                let word = |word| Template::read(word).unwrap().sentence(&case).unwrap();
                let words: Vec<String> = words.lines().map(word).collect();
                assert_eq!((said.lines().map(str::to_owned).collect(), &*shell.stderr), (words, &b""[..]), "{command}");
                assert!(!said.lines().any(is_option), "{command}");
            }
        }
        assert!(filled_in > 200, "{filled_in}");
    }

    #[test]
    fn a_value_that_a_program_would_take_for_an_option_makes_no_command() {
        for (asked, source, expected) in [
            ("-oProxyCommand=id", "ssh {site} uptime", None),
            ("+trace", "dig {site}", None),
            ("@evil.example", "dig {site}", None),
            ("-x", "show $({site})", None),
            ("-x", "curl -H 'Host: '{site} a", Some("curl -H 'Host: '-x a")),
            ("a-x", "ssh {site} uptime", Some("ssh a-x uptime")),
        ] {
            let mut case = samples::full(Fault::ConnectionRefused);
            case.request.host = asked.into();
            let command = Template::read_command(source).unwrap().command(&case);
            assert_eq!(command.as_deref(), expected, "{asked} {source}");
        }
    }

    #[test]
    fn a_value_between_the_quotes_of_others_stays_one_word() {
        let mut case = samples::full(Fault::ConnectionRefused);
        case.request.path = "/'; echo broken; '".into();
        let command = Template::read_command("printf %s 'a 'b{path}\" c\"").unwrap().command(&case).unwrap();
        let shell = Command::new("sh").args(["-c", &command]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&shell.stdout), "a b/'; echo broken; ' c");
    }

    #[test]
    fn what_a_terminal_would_obey_or_hide_is_shown_as_replaced() {
        assert_eq!(printable("a\u{1b}]0;x\u{7}\u{202e}b\nä"), "a\u{fffd}]0;x\u{fffd}\u{fffd}b\u{fffd}ä");
    }
}
