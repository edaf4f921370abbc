//! Owns the demo's configuration as TOML: the text that the demo runs is the text that it shows.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::Path;

use super::exhibit::Exhibit;

/// What the configuration is written from, beside the exhibits.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    /// Where the proxy listens.
    pub listen: SocketAddr,
    /// The demo's name server.
    pub name_server: SocketAddr,
    /// The file of the operator's token.
    pub token_file: &'a Path,
    /// Where the start page is served.
    pub start: SocketAddr,
}

/// The whole configuration: a route and an upstream for each exhibit that is there, the start page for all other paths.
#[must_use]
pub fn written(frame: &Frame<'_>, exhibits: &[Exhibit]) -> String {
    let mut text = format!(
        r#"# The configuration that this demo runs.

shutdown_timeout = "1s"

[[listener]]
address = "{listen}"

[dns]
servers = ["{name_server}"]

[operators]
token_file = {token_file:?}

[diagnosis]
probes = false

[log]
format = "pretty"
access = false

# The start page.
[[route]]
path = "/"
upstream = "start"

[[upstream]]
name = "start"
servers = ["http://{start}"]
"#,
        listen = frame.listen,
        name_server = frame.name_server,
        token_file = frame.token_file.display().to_string(),
        start = frame.start,
    );
    for exhibit in exhibits {
        // Writing to a String cannot fail.
        write_exhibit(&mut text, exhibit).unwrap_or_default();
    }
    text
}

fn write_exhibit(text: &mut String, exhibit: &Exhibit) -> std::fmt::Result {
    let row = exhibit.row;
    let Ok(origin) = &exhibit.origin else { return Ok(()) };
    writeln!(text, "\n# {}", row.story)?;
    writeln!(text, "[[route]]\npath = {:?}\nupstream = {:?}\n", row.path(), row.name)?;
    writeln!(text, "[[upstream]]\nname = {:?}\nservers = {:?}", row.name, origin.servers)?;
    for line in &origin.settings {
        writeln!(text, "{line}")?;
    }
    if row.fault.is_some() {
        // One attempt is one failure to look at.
        writeln!(text, "retry.attempts = 1")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::Frame;
    use super::written;
    use crate::demo::exhibit::Exhibit;
    use crate::demo::origin::BROKEN;
    use crate::demo::origin::HEALTHY;
    use crate::demo::origin::Workshop;

    fn frame() -> Frame<'static> {
        Frame {
            listen: ([127, 0, 0, 1], 8080).into(),
            name_server: ([127, 0, 0, 1], 53).into(),
            token_file: Path::new("/tmp/a \"quoted\" path/token"),
            start: ([127, 0, 0, 1], 9).into(),
        }
    }

    #[tokio::test]
    async fn every_exhibit_that_is_there_has_a_route_and_an_upstream() {
        let workshop = Workshop::open(([127, 0, 0, 1], 8080).into()).unwrap();
        let exhibits = Exhibit::all(&workshop);
        let text = written(&frame(), &exhibits);
        let table = toml::de::DeTable::parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let length = |key: &str| table.get_ref()[key].get_ref().as_array().unwrap().len();
        let there = exhibits.iter().filter(|exhibit| exhibit.reason().is_none()).count();
        assert_eq!((length("route"), length("upstream")), (there + 1, there + 1));
        assert!(
            there + 1 >= BROKEN.len() + HEALTHY.len(),
            "at most one exhibit is missing, the one that root cannot have"
        );
    }

    #[tokio::test]
    async fn an_exhibit_is_written_with_its_story_and_its_settings() {
        let workshop = Workshop::open(([127, 0, 0, 1], 8080).into()).unwrap();
        let exhibits = Exhibit::all(&workshop);
        let text = written(&frame(), &exhibits);
        let story = "# The proxy may not";
        assert_eq!(text.contains(story), exhibits.iter().all(|exhibit| exhibit.reason().is_none()));
        let timeout = "# The name server does not answer at all.\n[[route]]\npath = \"/fault/dns_timeout\"\n\
            upstream = \"dns_timeout\"\n\n[[upstream]]\nname = \"dns_timeout\"\nservers = [\"http://silent.why502.test\"]\n\
            timeouts.resolve = \"1s\"\nretry.attempts = 1\n";
        assert!(text.contains(timeout), "{text}");
    }
}
