//! Owns `[[route]]`: which request goes to which upstream. Which of several routes wins is for `crate::route` to say.

use std::sync::Arc;

use super::document::Table;
use super::document::Written;
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
    /// The upstream's name.
    pub upstream: Arc<str>,
}

/// A route and the places that `check` may have to name.
#[derive(Debug)]
pub(super) struct ReadRoute {
    pub(super) route: Route,
    /// Of the path, the host or, where neither was written, the route itself.
    pub(super) condition: Place,
    /// Of the upstream's name.
    pub(super) upstream: Place,
}

impl ReadRoute {
    pub(super) fn read(table: Table<'_>) -> Option<Self> {
        let host = table.value::<HostPattern>("host");
        let path = table.value::<PathPrefix>("path");
        let upstream = table.required::<String>("upstream", r#"upstream = "app", the name of an [[upstream]]"#);
        table.not_yet(&["redirect", "strip_path", "request_headers", "response_headers"]);
        let places = [path.as_ref().map(|path| path.place), host.as_ref().map(|host| host.place), Some(table.place())];
        let condition = places.into_iter().flatten().next();
        table.close();
        let Placed { value: name, place: upstream } = upstream?;
        let route = Route {
            host: host.map_or(HostPattern::Any, |host| host.value),
            path: path.map_or_else(|| "/".into(), |path| path.value.0),
            upstream: name.into(),
        };
        condition.map(|condition| Self { route, condition, upstream })
    }
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
