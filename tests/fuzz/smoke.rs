//! Every fuzz target over its seeds, over what was found before, and over some thousand mutations of them, on stable Rust.
//!
//! It finds little that is new: it holds what was found to stay mended, and the targets to stay in working order.

#[cfg(test)]
mod targets;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::panic::AssertUnwindSafe;
    use std::panic::catch_unwind;
    use std::panic::resume_unwind;
    use std::path::Path;
    use std::process::Command;

    use super::targets;

    #[test]
    fn configuration() {
        smoke("configuration", targets::configuration::check, 2_000);
    }

    #[test]
    fn request() {
        smoke("request", targets::request::check, 4_000);
    }

    #[test]
    fn response() {
        smoke("response", targets::response::check, 4_000);
    }

    #[test]
    fn answer() {
        smoke("answer", targets::answer::check, 100);
    }

    #[test]
    fn proxy_header() {
        smoke("proxy_header", targets::proxy_header::check, 20_000);
    }

    #[test]
    fn first_bytes() {
        smoke("first_bytes", targets::first_bytes::check, 20_000);
    }

    #[test]
    fn framing() {
        smoke("framing", targets::framing::check, 20_000);
    }

    #[test]
    fn logbook() {
        smoke("logbook", targets::logbook::check, 4_000);
    }

    #[test]
    fn shell() {
        smoke("shell", targets::shell::check, 4_000);
    }

    /// The second reader of the shell's quoting is only as good as it is like a shell.
    #[test]
    fn a_real_shell_says_each_value_back() {
        let mut random = fastrand::Rng::with_seed(502);
        let letters: Vec<char> = " \t\n'\"\\$`;&|<>()*?[]#~!{}^=%-a\u{e4}\u{202e}\u{1b}".chars().collect();
        let mut value =
            || -> String { (0..random.usize(1..12)).map(|_| letters[random.usize(..letters.len())]).collect() };
        let said: Vec<_> = (0..500).filter_map(|_| targets::shell::saying(&value())).collect();
        let script: Vec<&str> = said.iter().map(|(command, _)| &**command).collect();
        let output = Command::new("sh").args(["-c", &script.join("\n")]).output().unwrap();
        let expected: Vec<&str> = said.iter().flat_map(|(_, value)| [value, "\n"]).collect();
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected.concat());
        assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(said.len() > 300, "{}", said.len());
    }

    /// Tries every known input, and then so many mutations.
    fn smoke(target: &str, check: fn(&[u8]), mutations: usize) {
        let known = known(target);
        let attempt = |input: &[u8]| {
            catch_unwind(AssertUnwindSafe(|| check(input))).unwrap_or_else(|panic| {
                eprintln!("{target} fails with \"{}\"", input.escape_ascii());
                resume_unwind(panic)
            });
        };
        for input in &known {
            attempt(input);
        }
        let mut random = fastrand::Rng::with_seed(502);
        for _ in 0..mutations {
            let mut input = known[random.usize(..known.len())].clone();
            for _ in 0..random.usize(1..5) {
                mutate(&mut input, &known, &mut random);
            }
            attempt(&input);
        }
    }

    fn known(target: &str) -> Vec<Vec<u8>> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz");
        let mut files: Vec<_> = ["seeds", "found"]
            .iter()
            .flat_map(|kind| fs::read_dir(folder.join(kind).join(target)).into_iter().flatten())
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        assert!(files.len() >= 5, "{target} has no seeds");
        files.iter().map(|file| fs::read(file).unwrap()).collect()
    }

    fn mutate(input: &mut Vec<u8>, known: &[Vec<u8>], random: &mut fastrand::Rng) {
        let at = random.usize(..=input.len());
        match random.u8(..7) {
            0 if at < input.len() => input[at] ^= 1 << random.u8(..8),
            1 if at < input.len() => input[at] = random.u8(..),
            2 => input.truncate(at),
            3 => drop(input.drain(at..input.len().min(at + random.usize(1..9)))),
            4 => drop(input.splice(at..at, piece(known, random))),
            5 => {
                let end = input.len().min(at + random.usize(1..30));
                let again = input[at..end].to_vec();
                drop(input.splice(at..at, again));
            }
            _ => drop(input.splice(at..at, TELLING[random.usize(..TELLING.len())].iter().copied())),
        }
        input.truncate(10_000);
    }

    fn piece(known: &[Vec<u8>], random: &mut fastrand::Rng) -> Vec<u8> {
        let other = &known[random.usize(..known.len())];
        let begin = random.usize(..=other.len());
        other[begin..other.len().min(begin + random.usize(1..60))].to_vec()
    }

    /// What parsers trip over.
    const TELLING: &[&[u8]] = &[
        b"\r\n",
        b"\n",
        b"\r",
        b"\0",
        b" ",
        b"\t",
        b":",
        b",",
        b";",
        b"\"",
        b"'",
        b"\\",
        b"<",
        b"&",
        b"$(",
        b"`",
        b"{",
        b"}",
        b"0",
        b"-1",
        b"+1",
        b"0x1",
        b"18446744073709551616",
        b"9223372036854775807",
        b"chunked",
        b"Transfer-Encoding: chunked\r\n",
        b"Content-Length: 1\r\n",
        b"Connection: close\r\n",
        b"Connection: content-length\r\n",
        b"Host: b\r\n",
        b"HTTP/1.1",
        b"HTTP/1.0",
        b"\x0b",
        b"\x1b[31m",
        b"\x7f",
        b"\x80",
        b"\xff",
        b"\xe2\x80\xae",
        b"\xc2\x85",
        b"[[upstream]]\n",
        b"= 1\n",
        b"</script>",
        b"{\"ts\":\"",
        b",\"status\":",
        b",\"upstream\":\"",
    ];
}
