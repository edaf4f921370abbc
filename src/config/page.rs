//! Owns `[page]`: what the site says of itself on the pages that visitors see.

use std::path::PathBuf;
use std::sync::Arc;

use super::document::Table;
use super::document::Written;
use super::files;
use super::problem::Placed;
use super::problem::Wrong;
use super::problem::quoted;

/// `[page]`
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// What the site is called.
    pub name: Option<Arc<str>>,
    /// Where visitors find its status, or somebody to tell.
    pub contact: Option<Contact>,
    /// The operator's own page.
    pub template: Option<PageTemplate>,
}

/// A template as it was read. Whether it is right is for `crate::answer` to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageTemplate {
    /// Its file.
    pub file: PathBuf,
    /// Its text.
    pub text: Arc<str>,
}

/// A web page or an e-mail address, as a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact(Arc<str>);

impl Contact {
    /// The link: `https://…`, `http://…` or `mailto:…`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.0
    }

    /// The same for a person to read: an address without its `mailto:`.
    #[must_use]
    pub fn shown(&self) -> &str {
        let address = self.0.strip_prefix(MAILTO).map(|rest| rest.split_once('?').map_or(rest, |(address, _)| address));
        address.unwrap_or(&self.0)
    }
}

impl Page {
    pub(super) fn read(table: Table<'_>) -> Self {
        let page = Self {
            name: table.value::<Name>("name").map(|name| name.value.0),
            contact: table.value("contact").map(|contact| contact.value),
            template: table.path("template").and_then(|file| template(&table, file)),
        };
        table.close();
        page
    }
}

/// The text of a template.
fn template(table: &Table<'_>, file: Placed<PathBuf>) -> Option<PageTemplate> {
    let text = String::from_utf8(files::readable(table, &file)?);
    if text.is_err() {
        table.note(file.place, Wrong::new("this template is not UTF-8", "save it as UTF-8"));
    }
    text.ok().map(|text| PageTemplate { file: file.value, text: text.into() })
}

/// A name that fits on a line.
struct Name(Arc<str>);

impl Written for Name {
    const NOUN: &'static str = "the name of a site";

    fn cure() -> String {
        format!("write one on a line, of at most {LONGEST_NAME} characters")
    }

    fn parse(text: &str) -> Result<Self, Wrong> {
        let name = text.trim();
        let fits = !name.is_empty() && name.chars().count() <= LONGEST_NAME && !name.chars().any(is_unprintable);
        if fits { Ok(Self(name.into())) } else { Err(Self::refused(&quoted(text))) }
    }
}

impl Written for Contact {
    const NOUN: &'static str = "a contact";

    fn cure() -> String {
        r#"write "https://status.example" or "mailto:help@shop.example""#.to_owned()
    }

    fn parse(text: &str) -> Result<Self, Wrong> {
        if is_web_page(text) || text.strip_prefix(MAILTO).is_some_and(is_address) {
            return Ok(Self(text.into()));
        }
        Err(if is_address(text) {
            Wrong::new(format!("{} is no link", quoted(text)), format!("write {}", quoted(&format!("{MAILTO}{text}"))))
        } else if text.contains("://") && text.contains('@') {
            // It may be a password that stands before the @.
            Wrong::new("this contact holds a user name or a password", Self::cure())
        } else {
            Self::refused(&quoted(text))
        })
    }
}

/// Whether it is a whole http or https URL with a host, in the characters that a URL may have (RFC 3986).
fn is_web_page(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let Some(rest) = rest.filter(|rest| rest.bytes().all(is_of_a_url)) else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let parsed = text.parse::<http::Uri>();
    parsed.is_ok_and(|uri| uri.host().is_some_and(|host| !host.is_empty())) && !authority.contains('@')
}

/// Whether it is an e-mail address, with or without a subject behind it (RFC 6068).
fn is_address(text: &str) -> bool {
    let address = text.split_once('?').map_or(text, |(address, _)| address);
    let Some((local, domain)) = address.split_once('@') else { return false };
    let is_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    text.bytes().all(is_of_a_url)
        && !local.is_empty()
        && !local.contains([':', '/', '?', '#'])
        && domain.split('.').all(is_label)
}

fn is_of_a_url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&byte)
}

/// Control characters, and those that turn writing round or hide in it.
fn is_unprintable(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FEFF}')
        || matches!(character, '\u{FDD0}'..='\u{FDEF}')
}

const MAILTO: &str = "mailto:";

/// In characters; a longer one would not fit on a phone.
const LONGEST_NAME: usize = 80;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::document::Document;
    use crate::config::page::Page;

    fn read(text: &str) -> Result<Page, String> {
        let text = format!("[page]\n{text}\n");
        let document = Document::parse(&text, Path::new("c"));
        let root = document.root();
        let page = Page::read(root.table("page"));
        root.close();
        document.finish(page).map_err(|problems| problems.to_string())
    }

    #[test]
    fn a_contact_is_a_web_page_or_an_address() {
        for (contact, shown) in [
            ("https://status.example", "https://status.example"),
            ("http://10.0.0.1:8080/status?now=1#top", "http://10.0.0.1:8080/status?now=1#top"),
            ("https://status.example/@shop", "https://status.example/@shop"),
            ("mailto:help@shop.example", "help@shop.example"),
            ("mailto:help+web@shop.example?subject=Down%20again", "help+web@shop.example"),
        ] {
            let page = read(&format!("contact = \"{contact}\"")).unwrap();
            let read = page.contact.unwrap();
            assert_eq!((read.url(), read.shown()), (contact, shown));
        }
    }

    #[test]
    fn what_is_no_contact_is_told_with_its_cure() {
        let usual = r#"is not a contact; write "https://status.example" or "mailto:help@shop.example""#;
        for (contact, says) in [
            ("help@shop.example", r#""help@shop.example" is no link; write "mailto:help@shop.example""#.to_owned()),
            ("status.example", format!(r#""status.example" {usual}"#)),
            ("https://", format!(r#""https://" {usual}"#)),
            ("javascript:alert(1)", format!(r#""javascript:alert(1)" {usual}"#)),
            ("https://a b", format!(r#""https://a b" {usual}"#)),
            ("mailto:", format!(r#""mailto:" {usual}"#)),
            ("mailto:a@b@c", format!(r#""mailto:a@b@c" {usual}"#)),
            ("", format!(r#""" {usual}"#)),
            (
                "https://me:secret@status.example",
                r#"this contact holds a user name or a password; write "https://status.example" or "mailto:help@shop.example""#
                    .to_owned(),
            ),
        ] {
            assert_eq!(read(&format!("contact = \"{contact}\"")).unwrap_err(), format!("c:2:11: {says}"), "{contact}");
        }
    }

    #[test]
    fn a_name_fits_on_a_line() {
        assert_eq!(read("name = \" Example Shop \"").unwrap().name.as_deref(), Some("Example Shop"));
        for name in ["", " ", "two\\nlines", "\\u202Eeno", &"x".repeat(81)] {
            let told = read(&format!("name = \"{name}\"")).unwrap_err();
            assert!(
                told.ends_with("is not the name of a site; write one on a line, of at most 80 characters"),
                "{told}"
            );
        }
    }
}
