//! Owns `[[route]]`: which request goes where, and what is changed on the way. Which of several routes wins is for
//! `crate::route` to say.

use std::sync::Arc;

use super::document::Table;
use super::document::Word;
use super::document::Written;
use super::headers::HeaderChanges;
use super::headers::Side;
use super::problem::Place;
use super::problem::Placed;
use super::problem::Wrong;
use super::problem::quoted;
use super::value::HostPattern;

/// `[[route]]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The hosts it is for.
    pub host: HostPattern,
    /// The path prefix, on whole segments; begins with `/`, and ends with one only where it is `/` itself.
    pub path: Arc<str>,
    /// Where it leads.
    pub target: Target,
    /// Whether the origin sees the path without the prefix.
    pub strip_path: bool,
    /// What is changed in a request's head on its way to the origin.
    pub request_headers: HeaderChanges,
    /// What is changed in an answer's head on its way to the client.
    pub response_headers: HeaderChanges,
}

/// Where a route leads.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Target {
    /// To the upstream of this name.
    Upstream(Arc<str>),
    /// To the same address in https; for requests only that came without TLS.
    Https,
}

/// A route and the places that `check` may have to name.
#[derive(Debug)]
pub(super) struct ReadRoute {
    pub(super) route: Route,
    /// Of the path, the host or, where neither was written, the route itself; none where one of them could not be read, so that
    /// it is not known what the route is for.
    pub(super) condition: Option<Place>,
    /// Of the upstream's name, or of the redirect.
    pub(super) target: Place,
}

impl Route {
    /// A route to an upstream that changes nothing.
    #[must_use]
    pub fn new(host: HostPattern, path: &str, upstream: &str) -> Self {
        Self {
            host,
            path: path.into(),
            target: Target::Upstream(upstream.into()),
            strip_path: false,
            request_headers: HeaderChanges::default(),
            response_headers: HeaderChanges::default(),
        }
    }

    /// The name of the upstream that it leads to.
    #[must_use]
    pub const fn upstream(&self) -> Option<&Arc<str>> {
        match &self.target {
            Target::Upstream(name) => Some(name),
            Target::Https => None,
        }
    }
}

impl ReadRoute {
    pub(super) fn read(table: Table<'_>) -> Option<Self> {
        let host = table.value::<HostPattern>("host");
        let path = table.value::<PathPrefix>("path");
        let target = read_target(&table);
        let strip_path = table.flag("strip_path", false);
        let request_headers = HeaderChanges::read(&table, Side::Request);
        let response_headers = HeaderChanges::read(&table, Side::Response);
        let places = [path.as_ref().map(|path| path.place), host.as_ref().map(|host| host.place), Some(table.place())];
        let is_known = host.is_some() == table.has("host") && path.is_some() == table.has("path");
        let condition = places.into_iter().flatten().next().filter(|_| is_known);
        let path = path.map_or_else(|| "/".into(), |path| path.value.0);
        if strip_path && &*path == "/" && target.as_ref().is_some_and(|target| target.value != Target::Https) {
            let what = "there is nothing to strip from the path \"/\"";
            table.note(table.place_of_value("strip_path"), Wrong::new(what, STRIP_CURE));
        }
        table.close();
        let Placed { value: target, place } = target?;
        let host = host.map_or(HostPattern::Any, |host| host.value);
        let route = Route { host, path, target, strip_path, request_headers, response_headers };
        Some(Self { route, condition, target: place })
    }
}

/// `upstream` or `redirect`, of which a route has exactly one.
fn read_target(table: &Table<'_>) -> Option<Placed<Target>> {
    let redirect = table.value::<Redirect>("redirect");
    if !table.has("redirect") {
        let example = r#"upstream = "app", the name of an [[upstream]]"#;
        let name = table.required::<String>("upstream", example)?;
        return Some(Placed { value: Target::Upstream(name.value.into()), place: name.place });
    }
    let both = table.value::<String>("upstream").map(|upstream| upstream.place);
    if let Some(place) = both {
        let what = "a route with a `redirect` sends nothing to an upstream";
        table.note(place, Wrong::new(what, "remove one of the two, or write two routes"));
    }
    for key in ["strip_path", "request_headers"] {
        if table.has(key) {
            let what = format!("a route with a `redirect` sends nothing on, so `{key}` does nothing here");
            table.note(table.place_of_value(key), Wrong::new(what, "remove it"));
        }
    }
    redirect.map(|Placed { value: Redirect::Https, place }| Placed { value: Target::Https, place })
}

/// `redirect`
#[derive(Debug, Clone, Copy)]
enum Redirect {
    Https,
}

impl Word for Redirect {
    const NOUN: &'static str = "a redirect";
    const WORDS: &'static [(&'static str, Self)] = &[("https", Self::Https)];
}

/// A path that a route is for, with all that is below it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct PathPrefix(Arc<str>);

impl Written for PathPrefix {
    const NOUN: &'static str = "a path";

    fn cure() -> String {
        r#"write "/api", or no `path` for every path"#.to_owned()
    }

    fn parse(text: &str) -> Result<Self, Wrong> {
        let shown = quoted(text);
        if text.is_empty() {
            return Err(Wrong::new("the path is empty", Self::cure()));
        }
        if let Some(prefix) = text.strip_suffix('*') {
            let what = format!("{shown} has a `*`, and a path is for all that is below it anyway");
            return Err(Wrong::new(what, format!("write {}", quoted(&shortest(prefix)))));
        }
        if !text.starts_with('/') {
            let what = format!("{shown} does not begin with a slash");
            return Err(Wrong::new(what, format!("write {}", quoted(&format!("/{text}")))));
        }
        if text.contains(['?', '#']) {
            return Err(Wrong::new(format!("{shown} is more than a path"), "write what stands before the ? or the #"));
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            let instead = "write it as a URL has it: %20 for a space, %C3%BC for an ü";
            return Err(Wrong::new(format!("{shown} has characters that no request's path has"), instead));
        }
        if text.split('/').any(|segment| matches!(segment, "." | "..")) {
            return Err(Wrong::new(format!("{shown} has a `.` or `..` to follow"), "write the path that it leads to"));
        }
        Ok(Self(shortest(text).into()))
    }
}

const STRIP_CURE: &str = r#"write the path that is to go, such as path = "/api", or remove strip_path"#;

/// A path without slashes at its end, since a prefix is for whole segments.
fn shortest(path: &str) -> String {
    match path.trim_end_matches('/') {
        "" => "/".to_owned(),
        path => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_prefix_on_whole_segments() {
        for (text, path) in [("/", "/"), ("/api", "/api"), ("/api/", "/api"), ("/a/b%20c", "/a/b%20c"), ("//", "/")] {
            assert_eq!(PathPrefix::parse(text), Ok(PathPrefix(path.into())), "{text}");
        }
        let table = [
            ("", "the path is empty", r#"write "/api", or no `path` for every path"#),
            ("api", r#""api" does not begin with a slash"#, r#"write "/api""#),
            ("/api/*", r#""/api/*" has a `*`, and a path is for all that is below it anyway"#, r#"write "/api""#),
            ("/*", r#""/*" has a `*`, and a path is for all that is below it anyway"#, r#"write "/""#),
            ("/a?b", r#""/a?b" is more than a path"#, "write what stands before the ? or the #"),
            (
                "/a b",
                r#""/a b" has characters that no request's path has"#,
                "write it as a URL has it: %20 for a space, %C3%BC for an ü",
            ),
            ("/a/../b", r#""/a/../b" has a `.` or `..` to follow"#, "write the path that it leads to"),
        ];
        for (text, what, instead) in table {
            assert_eq!(PathPrefix::parse(text), Err(Wrong::new(what, instead)), "{text}");
        }
    }
}
