//! A command of a checklist, filled in: to a shell it has the words of its template, whatever the values are.

use why502::diagnosis::command::Template;
use why502::fault::Fault;

use super::case::case;

/// The first line is a template, the rest a value for each of its placeholders.
pub(crate) fn check(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let (source, value) = text.split_once('\n').unwrap_or((EXAMPLE, &text));
    assert_words(value);
    let Ok(template) = Template::read_command(source) else { return };
    let fault = Fault::ResponseTimedOut;
    // Of the same length, for that decides on the kind of target.
    let plain = "a".repeat(value.len());
    let filled = template.command(&case(fault, value, None));
    let (Some(filled), Some(plain)) = (filled, template.command(&case(fault, &plain, None))) else { return };
    assert!(!filled.chars().any(char::is_control), "{filled:?}");
    let [shape, wanted] = [&filled, &plain].map(|command| shape(&read(command)));
    assert_eq!(shape, wanted, "{filled}\n{plain}");
}

/// Each value is one word, and that word is the value as a sentence has it.
fn assert_words(value: &str) {
    let case = case(Fault::ResponseTimedOut, value, None);
    let template = |source| Template::read(source).expect("a template");
    let Some(command) = template("{path} {site} {issuer}").command(&case) else { return };
    let said = template("{path}").sentence(&case).expect("it has a value");
    let words = [read(&command), vec![Piece::Gap]].concat();
    let word: Vec<_> = said.chars().map(Piece::Text).chain([Piece::Gap]).collect();
    assert_eq!(words, word.repeat(3), "{command}");
}

/// A command for this value, for a real shell to say the value back.
pub(crate) fn saying(value: &str) -> Option<(String, String)> {
    let case = case(Fault::ResponseTimedOut, value, None);
    let command = Template::read_command("printf '%s\\n' {path}").ok()?.command(&case)?;
    Some((command, Template::read("{path}").ok()?.sentence(&case)?))
}

/// What a shell sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece {
    /// A character of a word that means nothing more.
    Text(char),
    /// A character that means something to the shell.
    Active(char),
    /// Space between words.
    Gap,
}

/// Reads a command by the quoting of a shell (POSIX, Shell Command Language, section 2.2). An empty pair of quotes is a word, and
/// so a text of no characters; it is told by an active quote.
fn read(command: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = command.chars().peekable();
    while let Some(next) = rest.next() {
        match next {
            ' ' | '\t' if pieces.last() == Some(&Piece::Gap) => {}
            ' ' | '\t' => pieces.push(Piece::Gap),
            '\\' => pieces.extend(rest.next().map(Piece::Text)),
            '\'' => pieces.extend(rest.by_ref().take_while(|c| *c != '\'').map(Piece::Text)),
            '"' => {
                while let Some(inner) = rest.next().filter(|c| *c != '"') {
                    pieces.push(match inner {
                        '\\' if rest.peek().is_some_and(|c| "$`\"\\".contains(*c)) => {
                            Piece::Text(rest.next().unwrap_or(inner))
                        }
                        '$' | '`' => Piece::Active(inner),
                        _ => Piece::Text(inner),
                    });
                }
            }
            _ if "$`;&|<>()*?[]#~!{}^\n".contains(next) => pieces.push(Piece::Active(next)),
            _ => pieces.push(Piece::Text(next)),
        }
    }
    pieces
}

/// The command without what its words say: where words begin and end, and what is active between.
fn shape(pieces: &[Piece]) -> Vec<Option<char>> {
    let mut shape = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Text(_) if shape.last() == Some(&Some('w')) => {}
            Piece::Text(_) => shape.push(Some('w')),
            Piece::Active(active) => shape.push(Some(*active)),
            Piece::Gap => shape.push(None),
        }
    }
    shape
}

const EXAMPLE: &str = "curl -gv -H Host:{site} --unix-socket {socket} {url}; echo \"$(id)\" 'x'{path}";
