//! Owns the demo's pages: the start page, and the one that shows an answer byte for byte.
//!
//! `start.css` is of one family with the page of a failure: both begin with `house.css`. Every value is escaped; nothing is loaded from elsewhere.

use std::net::SocketAddr;

use askama::Template;

use super::exhibit::Exhibit;
use super::origin::Ask;
use super::origin::LEFT_OUT;
use super::origin::Row;
use super::shown;
use super::shown::Shown;
use super::viewer::Format;
use super::viewer::Viewer;
use super::visit::Ending;
use super::visit::Heard;
use super::visit::Visit;
use crate::fault::Stage;

/// The start page.
#[must_use]
pub fn start_page(proxy: SocketAddr, exhibits: &[Exhibit]) -> String {
    let broken = exhibits.iter().filter(|exhibit| exhibit.row.fault.is_some());
    rendered(&StartPage {
        proxy,
        failing: broken.filter(|exhibit| exhibit.reason().is_none()).count(),
        shelves: Stage::ALL.into_iter().filter_map(|stage| Shelf::of(stage, exhibits)).collect(),
        healthy: exhibits.iter().filter(|exhibit| exhibit.row.fault.is_none()).map(Item::of).collect(),
        left_out: LEFT_OUT.iter().map(|(fault, reason)| (fault.word(), *reason)).collect(),
    })
}

/// What came back from a visit, or why it could not be made.
#[must_use]
pub fn answer_page(visit: &Visit<'_>, viewer: Viewer, heard: Result<&Heard, &str>) -> String {
    let row = visit.row;
    let viewers = Viewer::ALL.map(|other| Choice {
        title: viewer_title(other),
        chosen: other == viewer,
        address: answer_address(row, other, visit.format),
    });
    let formats = Format::ALL.map(|other| Choice {
        title: other.title(),
        chosen: other == visit.format,
        address: answer_address(row, viewer, other),
    });
    rendered(&AnswerPage {
        row,
        word: row.fault.map_or(row.name, |fault| fault.word()),
        stage: row.fault.map(|fault| fault.stage().word()),
        viewers,
        formats,
        page: row.fault.map(|_| page_address(row, viewer)),
        command: visit.command(),
        before: heard.ok().filter(|heard| !heard.before.is_empty()).map(|heard| Shown::of(&heard.before)),
        answer: heard.map(|heard| (Shown::of(&heard.answer), ending_sentence(heard))),
    })
}

/// Where the raw answer is shown.
#[must_use]
pub fn answer_address(row: &Row, viewer: Viewer, format: Format) -> String {
    format!("/see/{}?as={}&format={}", row.name, viewer.word(), format.word())
}

/// Where the page itself is: behind the proxy where a link can lead there, or through the demo, which sends what a link
/// cannot: a token, or a body.
#[must_use]
pub fn page_address(row: &Row, viewer: Viewer) -> String {
    match (viewer, row.ask) {
        (Viewer::Visitor, Ask::Get) => format!("{}/", row.path()),
        (Viewer::Visitor | Viewer::Operator, Ask::Get | Ask::Upload | Ask::PostAfterGet | Ask::WebSocket) => {
            format!("/page/{}?as={}", row.name, viewer.word())
        }
    }
}

/// Rendering into memory fails for no template of ours.
fn rendered(page: &impl Template) -> String {
    page.render().unwrap_or_default()
}

const CSS: &str = concat!(include_str!("../answer/house.css"), include_str!("start.css"));

#[derive(Debug, Template)]
#[template(path = "start.html", config = "src/demo/askama.toml")]
struct StartPage<'a> {
    proxy: SocketAddr,
    failing: usize,
    shelves: Vec<Shelf<'a>>,
    healthy: Vec<Item<'a>>,
    left_out: Vec<(&'static str, &'static str)>,
}

/// The exhibits of one stage.
#[derive(Debug)]
struct Shelf<'a> {
    word: &'static str,
    title: &'static str,
    meaning: &'static str,
    items: Vec<Item<'a>>,
}

impl<'a> Shelf<'a> {
    fn of(stage: Stage, exhibits: &'a [Exhibit]) -> Option<Self> {
        let here = |exhibit: &&Exhibit| exhibit.row.fault.is_some_and(|fault| fault.stage() == stage);
        let items: Vec<Item<'_>> = exhibits.iter().filter(here).map(Item::of).collect();
        let (title, meaning) = stage_texts(stage);
        (!items.is_empty()).then_some(Self { word: stage.word(), title, meaning, items })
    }

    /// How many of them are there to be seen.
    fn there(&self) -> usize {
        self.items.iter().filter(|item| item.reason.is_none()).count()
    }
}

fn stage_texts(stage: Stage) -> (&'static str, &'static str) {
    match stage {
        Stage::Resolve => ("Resolve", "Turning the origin's name into addresses."),
        Stage::Connect => ("Connect", "Opening a connection to one of them."),
        Stage::Tls => ("TLS", "Agreeing on encryption, and on who the origin is."),
        Stage::Send => ("Send", "Handing the request over."),
        Stage::Response => ("Response", "Waiting for the head of the answer."),
        Stage::Body => {
            ("Body", "Reading the rest. What has gone out already cannot become a page: it is cut, and logged.")
        }
        Stage::Gateway => ("Gateway", "Decided by the proxy before any server was asked."),
        Stage::Upstream => ("Upstream", "Said by the origin itself."),
    }
}

/// One exhibit on the start page.
#[derive(Debug)]
struct Item<'a> {
    row: &'static Row,
    word: &'static str,
    sent: Option<&'static str>,
    reason: Option<&'a str>,
    visitor_page: String,
    operator_page: String,
    answer: String,
}

impl<'a> Item<'a> {
    fn of(exhibit: &'a Exhibit) -> Self {
        let row = exhibit.row;
        let sent = match row.ask {
            Ask::Get => None,
            Ask::Upload => Some("met by an upload"),
            Ask::PostAfterGet => Some("met by a POST"),
            Ask::WebSocket => Some("met by a WebSocket"),
        };
        let format = if row.fault.is_some() { Format::Json } else { Format::Text };
        Self {
            row,
            word: row.fault.map_or(row.name, |fault| fault.word()),
            sent,
            reason: exhibit.reason(),
            visitor_page: page_address(row, Viewer::Visitor),
            operator_page: page_address(row, Viewer::Operator),
            answer: answer_address(row, Viewer::Visitor, format),
        }
    }

    /// Whether a link alone shows it, so that its story can be that link.
    fn opens(&self) -> bool {
        self.reason.is_none() && (self.row.fault.is_some() || self.row.ask == Ask::Get)
    }
}

#[derive(Debug, Template)]
#[template(path = "answer.html", config = "src/demo/askama.toml")]
struct AnswerPage<'a> {
    row: &'a Row,
    word: &'static str,
    stage: Option<&'static str>,
    viewers: [Choice; 2],
    formats: [Choice; 4],
    page: Option<String>,
    command: Option<String>,
    before: Option<Shown>,
    answer: Result<(Shown, String), &'a str>,
}

/// One of several ways to look at the same.
#[derive(Debug)]
struct Choice {
    title: &'static str,
    chosen: bool,
    address: String,
}

fn viewer_title(viewer: Viewer) -> &'static str {
    match viewer {
        Viewer::Visitor => "Visitor",
        Viewer::Operator => "Operator",
    }
}

/// How much came, in what time, and how it ended.
fn ending_sentence(heard: &Heard) -> String {
    let ended = match heard.ending {
        Ending::Closed => "then the proxy closed the connection",
        Ending::Reset => "then the proxy cut the connection with a reset",
        Ending::Open => "and the connection is still open",
    };
    let came = format!("{} bytes in {} ms, {ended}.", heard.length, heard.elapsed.as_millis());
    if heard.length > heard.answer.len() {
        return format!("{came} Shown are the first {}.", heard.answer.len());
    }
    match shown::missing(&heard.answer) {
        Some(missing) => format!("{came} {missing}"),
        None => came,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::answer_page;
    use super::page_address;
    use super::start_page;
    use crate::demo::exhibit::Exhibit;
    use crate::demo::origin::BROKEN;
    use crate::demo::origin::HEALTHY;
    use crate::demo::origin::Unavailable;
    use crate::demo::viewer::Format;
    use crate::demo::viewer::Viewer;
    use crate::demo::visit::Ending;
    use crate::demo::visit::Heard;
    use crate::demo::visit::Visit;

    fn exhibits(reason: &str) -> Vec<Exhibit> {
        let rows = BROKEN.iter().chain(HEALTHY);
        rows.map(|row| Exhibit { row, origin: Err(Unavailable(reason.to_owned())) }).collect()
    }

    #[tokio::test]
    async fn the_start_page_leads_to_every_exhibit_that_is_there() {
        let workshop = crate::demo::origin::Workshop::open(([127, 0, 0, 1], 8080).into()).unwrap();
        let exhibits = Exhibit::all(&workshop);
        let page = start_page(([127, 0, 0, 1], 8080).into(), &exhibits);
        for exhibit in exhibits.iter().filter(|exhibit| exhibit.reason().is_none()) {
            assert!(
                page.contains(&format!("\"/see/{}?as=visitor&#38;format=", exhibit.row.name)),
                "{}",
                exhibit.row.name
            );
        }
        for row in BROKEN {
            assert!(page.contains(&format!("<code>{}</code>", row.fault.unwrap().word())), "{}", row.name);
        }
    }

    #[test]
    fn what_is_missing_says_why_and_leads_nowhere() {
        let page = start_page(([127, 0, 0, 1], 8080).into(), &exhibits("<b>No</b> luck"));
        assert!(page.contains("Not on this machine. &#60;b&#62;No&#60;/b&#62; luck."), "{page}");
        assert!(!page.contains("<b>No</b>") && !page.contains("href=\"/see/"));
    }

    #[test]
    fn a_page_is_linked_straight_where_a_link_can_meet_it() {
        let address = |name: &str, viewer| page_address(BROKEN.iter().find(|row| row.name == name).unwrap(), viewer);
        assert_eq!(address("connection_refused", Viewer::Visitor), "/fault/connection_refused/");
        assert_eq!(address("connection_refused", Viewer::Operator), "/page/connection_refused?as=operator");
        assert_eq!(address("reset_while_sending", Viewer::Visitor), "/page/reset_while_sending?as=visitor");
    }

    #[test]
    fn an_answer_is_shown_escaped_with_its_end() {
        let visit =
            Visit { proxy: ([127, 0, 0, 1], 8080).into(), row: &BROKEN[0], token: Some("<t>"), format: Format::Page };
        let heard = Heard {
            before: Vec::new(),
            answer: b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\n\r\n<script>".to_vec(),
            length: 62,
            ending: Ending::Reset,
            elapsed: Duration::from_millis(7),
        };
        let page = answer_page(&visit, Viewer::Operator, Ok(&heard));
        for said in
            ["502 Bad Gateway", "&#60;script&#62;", "X-Why502-Token: &#60;t&#62;", "62 bytes in 7 ms", "with a reset"]
        {
            assert!(page.contains(said), "{said}\n{page}");
        }
        assert!(!page.contains("<script>"));
        let page = answer_page(&visit, Viewer::Operator, Err("nobody <there>"));
        assert!(page.contains("nobody &#60;there&#62;"), "{page}");
    }
}
