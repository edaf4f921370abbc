//! Owns what the demo says in the terminal when it has started: where to look, what to try, how to stop. 80 columns.

use std::net::SocketAddr;

use super::exhibit::Exhibit;

/// The text, with a line break at its end.
#[must_use]
pub fn welcome(proxy: SocketAddr, token: &str, exhibits: &[Exhibit]) -> String {
    let failing = exhibits.iter().filter(|exhibit| exhibit.row.fault.is_some() && exhibit.reason().is_none()).count();
    let mut text = format!(
        "
why502 demo: {failing} origins that fail, each in its own way, behind the real proxy.

  Open  http://{proxy}/

Or ask from another shell.

  As a visitor, in plain text:
    curl http://{proxy}/fault/connection_refused/

  As an operator, in JSON:
    curl -H 'Accept: application/json' \\
      -H 'X-Why502-Token: {token}' \\
      http://{proxy}/fault/tls_certificate_expired/

  The page, as a browser gets it:
    curl -H 'Accept: text/html' http://{proxy}/fault/response_timed_out/
"
    );
    for exhibit in exhibits {
        if let Some(reason) = exhibit.reason() {
            text.push_str(&wrapped(&format!("\nNot on this machine: {}. {reason}.", exhibit.row.name)));
        }
    }
    text.push_str("\nStop with Ctrl-C. Every failure is logged below.\n\n");
    text
}

/// Broken into lines between words, where a word does not fit.
fn wrapped(text: &str) -> String {
    let mut lines = String::new();
    let mut column = 0;
    for word in text.split(' ') {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > COLUMNS {
            lines.push('\n');
            column = 0;
        } else if column > 0 {
            lines.push(' ');
            column += 1;
        }
        lines.push_str(word);
        column += length;
    }
    lines.push('\n');
    lines
}

const COLUMNS: usize = 80;

#[cfg(test)]
mod tests {
    use super::COLUMNS;
    use super::welcome;
    use crate::demo::exhibit::Exhibit;
    use crate::demo::origin::BROKEN;
    use crate::demo::origin::Unavailable;

    #[test]
    fn it_fits_a_terminal_and_says_where_to_look_what_to_try_and_what_is_missing() {
        let reason = "This user may open every file, as root may; run the demo as another user";
        let missing = Exhibit { row: &BROKEN[0], origin: Err(Unavailable(reason.to_owned())) };
        let text = welcome(([127, 0, 0, 1], 65535).into(), "0123456789abcdef0123456789abcdef", &[missing]);
        for line in text.lines() {
            assert!(line.chars().count() <= COLUMNS, "{line}");
        }
        for said in [
            "  Open  http://127.0.0.1:65535/\n",
            "curl http://127.0.0.1:65535/fault/connection_refused/\n",
            "-H 'X-Why502-Token: 0123456789abcdef0123456789abcdef' \\\n",
            "Not on this machine: dns_name_not_found. This user may open every file, as root\n\
             may; run the demo as another user.\n",
            "Ctrl-C",
        ] {
            assert!(text.contains(said), "{said}\n{text}");
        }
    }

    #[test]
    fn the_commands_are_about_rows_that_there_are() {
        let text = welcome(([127, 0, 0, 1], 8080).into(), "token", &[]);
        let names: Vec<&str> = text.split("/fault/").skip(1).filter_map(|rest| rest.split('/').next()).collect();
        assert_eq!(names.len(), 3);
        assert!(names.iter().all(|name| BROKEN.iter().any(|row| row.name == *name)), "{names:?}");
    }
}
