//! Owns the choice of a route: the most specific host, then the longest path prefix on whole segments. A redirect to https
//! is for requests without TLS only, and wins there over a route to an upstream that is as specific.
//!
//! What a route leads to is the caller's: `Routes` is generic over it. Nothing is allocated to find one, unless the path has what
//! may be dot segments.

use std::cmp::Ordering;
use std::cmp::Reverse;
use std::sync::Arc;

use memchr::memchr2;

use crate::config::HostPattern;
use crate::config::Route;
use crate::config::Target;

/// Every route, in the order in which they are tried.
#[derive(Debug)]
pub struct Routes<T> {
    /// Routes for one host each, sorted by host.
    exact: Vec<Group<T>>,
    /// Routes for every host below a suffix, longest suffix first.
    suffixes: Vec<Group<T>>,
    /// Routes for every host.
    any: Vec<Found<T>>,
}

/// A route that was found.
#[derive(Debug, PartialEq, Eq)]
pub struct Found<T> {
    /// Host pattern and path prefix as one word for the log: `shop.example/api`, `*/`.
    pub label: Arc<str>,
    /// The path prefix.
    pub prefix: Arc<str>,
    /// Whether it is only for requests without TLS.
    pub plain_only: bool,
    /// Where it leads.
    pub target: T,
}

/// Why no route was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Miss {
    /// No route is for this host: 421, Misdirected Request (RFC 9110, section 15.5.20).
    NoHost,
    /// A route is for this host, but none for this path: 404.
    NoPath,
    /// The path has dot segments, and leads elsewhere where they are resolved, as most servers do: 400. Otherwise they would be a way
    /// around a route.
    Evasive,
}

/// The routes of one host pattern, longest path prefix first.
#[derive(Debug)]
struct Group<T> {
    host: Arc<str>,
    routes: Vec<Found<T>>,
}

impl<T> Routes<T> {
    /// Sorts the routes; `target` says where each of them, with its label, leads. Of two that are equal, the first wins.
    pub fn new(routes: &[Route], mut target: impl FnMut(&Route, &Arc<str>) -> T) -> Self {
        let mut sorted = Self { exact: Vec::new(), suffixes: Vec::new(), any: Vec::new() };
        for route in routes {
            let (label, prefix) = (label(route), Arc::clone(&route.path));
            let plain_only = route.target == Target::Https;
            let found = Found { target: target(route, &label), label, prefix, plain_only };
            match &route.host {
                HostPattern::Any => sorted.any.push(found),
                HostPattern::Exact(host) => group(&mut sorted.exact, host).push(found),
                HostPattern::Suffix(suffix) => group(&mut sorted.suffixes, suffix).push(found),
            }
        }
        sorted.exact.sort_by(|a, b| order(&a.host, &b.host));
        sorted.suffixes.sort_by_key(|group| Reverse(group.host.len()));
        let groups = sorted.exact.iter_mut().chain(&mut sorted.suffixes).map(|group| &mut group.routes);
        for routes in groups.chain([&mut sorted.any]) {
            routes.sort_by_key(|route| Reverse((route.prefix.len(), route.plain_only)));
        }
        sorted
    }

    /// The route for a request to this host (as the `Host` field has it, port and final dot included or not) and path
    /// (without the query; `*` counts as `/`) that came with TLS or without.
    ///
    /// # Errors
    ///
    /// What kept every route from matching.
    pub fn find(&self, host: &str, path: &str, secure: bool) -> Result<&Found<T>, Miss> {
        let found = self.first(host, path, secure);
        let Some(resolved) = resolved(path) else { return found };
        let found = found?;
        let leads_there = |path: &String| self.first(host, path, secure).is_ok_and(|there| std::ptr::eq(there, found));
        if resolved.iter().all(leads_there) { Ok(found) } else { Err(Miss::Evasive) }
    }

    fn first(&self, host: &str, path: &str, secure: bool) -> Result<&Found<T>, Miss> {
        let host = bare(host);
        let path = if path == "*" { "/" } else { path };
        let exact = self.exact.binary_search_by(|group| order(&group.host, host)).ok();
        let exact = exact.and_then(|index| self.exact.get(index));
        let suffixes = self.suffixes.iter().filter(|group| lies_below(host, &group.host));

        let mut known = !self.any.is_empty();
        for group in exact.into_iter().chain(suffixes) {
            known = true;
            if let Some(found) = first(&group.routes, path, secure) {
                return Ok(found);
            }
        }
        first(&self.any, path, secure).ok_or(if known { Miss::NoPath } else { Miss::NoHost })
    }
}

fn label(route: &Route) -> Arc<str> {
    match &route.host {
        HostPattern::Any => format!("*{}", route.path).into(),
        HostPattern::Exact(host) => format!("{host}{}", route.path).into(),
        HostPattern::Suffix(suffix) => format!("*{suffix}{}", route.path).into(),
    }
}

fn group<'a, T>(groups: &'a mut Vec<Group<T>>, host: &Arc<str>) -> &'a mut Vec<Found<T>> {
    let index = groups.iter().position(|group| group.host.eq_ignore_ascii_case(host)).unwrap_or(groups.len());
    if index == groups.len() {
        groups.push(Group { host: Arc::clone(host), routes: Vec::new() });
    }
    #[expect(clippy::indexing_slicing, reason = "the index was found in this list or just pushed onto it")]
    &mut groups[index].routes
}

/// The path without its dot segments (RFC 3986, section 5.2.4), as the server sees it that is the most eager to find them: with dots
/// and slashes that are encoded or lean the other way, and with what some append to a segment: with empty segments, and without
/// them, which many servers drop before. None where it has none.
fn resolved(path: &str) -> Option<[String; 2]> {
    // Most paths have no dot but in the name of a file, and are not copied for it.
    if memchr2(b'%', b'\\', path.as_bytes()).is_none() && !path.contains("/.") {
        return None;
    }
    let plain = path.replace("%2e", ".").replace("%2E", ".").replace("%2f", "/").replace("%2F", "/");
    let plain = plain.replace("%5c", "/").replace("%5C", "/").replace('\\', "/");
    let bare = |segment: &str| segment.split_once(';').map_or(segment, |(bare, _)| bare).to_owned();
    let segments: Vec<String> = plain.split('/').skip(1).map(bare).collect();
    if !segments.iter().any(|segment| matches!(&**segment, "." | "..")) {
        return None;
    }
    // One at the end leaves the slash before it.
    let slash = if matches!(segments.last().map(|last| &**last), Some("." | "..")) { "/" } else { "" };
    let resolve = |segments: &mut dyn Iterator<Item = &String>| {
        let mut kept: Vec<&str> = Vec::new();
        for segment in segments {
            match &**segment {
                "." => {}
                ".." => {
                    kept.pop();
                }
                segment => kept.push(segment),
            }
        }
        let path = kept.join("/");
        if path.is_empty() { "/".to_owned() } else { format!("/{path}{slash}") }
    };
    Some([resolve(&mut segments.iter()), resolve(&mut segments.iter().filter(|segment| !segment.is_empty()))])
}

/// The host without its port and without the dot that makes a name absolute.
#[must_use]
pub fn bare(host: &str) -> &str {
    let end = match host.find(']') {
        Some(bracket) => bracket + 1,
        None => host.find(':').unwrap_or(host.len()),
    };
    let host = host.get(..end).unwrap_or(host);
    host.strip_suffix('.').unwrap_or(host)
}

/// Whether the host has one label or more before the suffix, which begins with a dot.
fn lies_below(host: &str, suffix: &str) -> bool {
    let Some(start) = host.len().checked_sub(suffix.len()) else { return false };
    start > 0 && host.get(start..).is_some_and(|end| end.eq_ignore_ascii_case(suffix))
}

fn order(a: &str, b: &str) -> Ordering {
    let lower = |byte: u8| byte.to_ascii_lowercase();
    a.bytes().map(lower).cmp(b.bytes().map(lower))
}

fn first<'a, T>(routes: &'a [Found<T>], path: &str, secure: bool) -> Option<&'a Found<T>> {
    routes.iter().find(|route| covers(&route.prefix, path) && !(secure && route.plain_only))
}

/// Whether the path is the prefix itself or goes on with a new segment after it.
fn covers(prefix: &str, path: &str) -> bool {
    match path.strip_prefix(prefix) {
        Some(rest) => prefix.ends_with('/') || rest.is_empty() || rest.starts_with('/'),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::Miss;
    use super::Routes;
    use crate::config::HostPattern;
    use crate::config::Route;
    use crate::config::Target;

    fn pattern(host: &str) -> HostPattern {
        match host.strip_prefix('*') {
            None => HostPattern::Exact(Arc::from(host)),
            Some("") => HostPattern::Any,
            Some(suffix) => HostPattern::Suffix(Arc::from(suffix)),
        }
    }

    fn routes(rows: &[(&str, &str)]) -> Routes<String> {
        let routes: Vec<Route> = rows.iter().map(|(host, path)| Route::new(pattern(host), path, "app")).collect();
        let mut names = rows.iter().map(|(host, path)| format!("{host}{path}"));
        Routes::new(&routes, |_, _| names.next().unwrap())
    }

    fn check(rows: &[(&str, &str)], cases: &[(&str, &str, Result<&str, Miss>)]) {
        let routes = routes(rows);
        for (host, path, expected) in cases {
            let found = routes.find(host, path, false).map(|found| found.target.as_str());
            assert_eq!(found, *expected, "{host} {path}");
        }
    }

    #[test]
    fn dot_segments_lead_nobody_around_a_route() {
        let rows = [("*", "/api/"), ("*", "/api/open/"), ("shop.example", "/")];
        let evasive = Err(Miss::Evasive);
        check(
            &rows,
            &[
                ("a", "/api/x", Ok("*/api/")),
                ("a", "/api/x/../y", Ok("*/api/")),
                ("a", "/api/..x/.y/...", Ok("*/api/")),
                ("a", "/api/%2e%2ex", Ok("*/api/")),
                ("a", "/api/../x", evasive),
                ("a", "/api/..", evasive),
                ("a", "/api/%2e%2E/x", evasive),
                ("a", "/api/.%2e%2fx", evasive),
                ("a", "/api/..\\x", evasive),
                ("a", "/api/..;a=b/x", evasive),
                ("a", "/api/open/../x", evasive),
                ("a", "/api/./open/x", evasive),
                ("a", "/api//../x", evasive),
                ("a", "/api/y//../../x", evasive),
                ("a", "/api/;/../x", evasive),
                ("a", "/api//y/../x", Ok("*/api/")),
                ("a", "/api/y/..", Ok("*/api/")),
                ("a", "/api/open/y/.", Ok("*/api/open/")),
                ("a", "/x/../api/y", Err(Miss::NoPath)),
                ("shop.example", "/../../etc", Ok("shop.example/")),
                ("shop.example", "/x/../api/y", Ok("shop.example/")),
            ],
        );
    }

    #[test]
    fn the_most_specific_host_wins_before_the_longest_path() {
        check(
            &[
                ("*", "/"),
                ("*.example", "/api/v2"),
                ("*.shop.example", "/"),
                ("shop.example", "/"),
                ("shop.example", "/api"),
            ],
            &[
                ("shop.example", "/", Ok("shop.example/")),
                ("shop.example", "/api/v2", Ok("shop.example/api")),
                ("a.shop.example", "/api/v2", Ok("*.shop.example/")),
                ("a.b.shop.example", "/", Ok("*.shop.example/")),
                ("other.example", "/api/v2/x", Ok("*.example/api/v2")),
                ("other.example", "/api/v3", Ok("*/")),
                ("elsewhere.test", "/", Ok("*/")),
            ],
        );
    }

    #[test]
    fn hosts_are_compared_without_case_port_and_final_dot() {
        check(
            &[("shop.example", "/"), ("*.wild.example", "/"), ("[::1]", "/")],
            &[
                ("SHOP.Example", "/", Ok("shop.example/")),
                ("shop.example:8080", "/", Ok("shop.example/")),
                ("shop.example.", "/", Ok("shop.example/")),
                ("shop.example.:443", "/", Ok("shop.example/")),
                ("A.WILD.example:1", "/", Ok("*.wild.example/")),
                ("[::1]:8080", "/", Ok("[::1]/")),
                ("[::1]", "/", Ok("[::1]/")),
            ],
        );
    }

    #[test]
    fn a_wildcard_wants_one_label_or_more() {
        check(
            &[("*.example", "/")],
            &[
                ("a.example", "/", Ok("*.example/")),
                ("a.b.example", "/", Ok("*.example/")),
                ("example", "/", Err(Miss::NoHost)),
                (".example", "/", Err(Miss::NoHost)),
                ("anexample", "/", Err(Miss::NoHost)),
                ("", "/", Err(Miss::NoHost)),
            ],
        );
    }

    #[test]
    fn prefixes_end_where_segments_end() {
        check(
            &[("*", "/api"), ("*", "/api/v2"), ("shop.example", "/x")],
            &[
                ("a", "/api", Ok("*/api")),
                ("a", "/api/", Ok("*/api")),
                ("a", "/api/v2", Ok("*/api/v2")),
                ("a", "/api/v20", Ok("*/api")),
                ("a", "/apis", Err(Miss::NoPath)),
                ("a", "/", Err(Miss::NoPath)),
                ("a", "/API", Err(Miss::NoPath)),
                ("shop.example", "/y", Err(Miss::NoPath)),
                ("shop.example", "/api/x", Ok("*/api")),
            ],
        );
    }

    #[test]
    fn a_host_of_no_route_is_told_from_a_path_of_no_route() {
        check(
            &[("shop.example", "/api")],
            &[("shop.example", "/", Err(Miss::NoPath)), ("evil.example", "/api", Err(Miss::NoHost))],
        );
    }

    #[test]
    fn an_asterisk_is_routed_as_the_root() {
        check(&[("*", "/")], &[("a", "*", Ok("*/"))]);
        check(&[("*", "/api")], &[("a", "*", Err(Miss::NoPath))]);
    }

    #[test]
    fn the_first_of_two_equal_routes_wins_and_labels_say_what_was_written() {
        let mut number = 0;
        let twice = [("*.a.example", "/x"), ("*.a.example", "/x")];
        let twice: Vec<Route> = twice.iter().map(|(host, path)| Route::new(pattern(host), path, "app")).collect();
        let routes = Routes::new(&twice, |_, _| {
            number += 1;
            number
        });
        let found = routes.find("b.a.example", "/x", false).unwrap();
        assert_eq!((found.target, &*found.label, &*found.prefix), (1, "*.a.example/x", "/x"));
    }

    #[test]
    fn a_redirect_takes_what_came_without_tls_and_is_not_there_for_the_rest() {
        let redirect = |host, path| Route { target: Target::Https, ..Route::new(pattern(host), path, "") };
        let to_app = |host, path| Route::new(pattern(host), path, "app");
        let table = [to_app("*", "/"), redirect("*", "/"), to_app("*", "/.well-known"), redirect("b.example", "/")];
        let routes =
            Routes::new(&table, |route, label| format!("{label} {}", route.upstream().map_or("https", |it| it)));
        for (host, path, secure, expected) in [
            ("a", "/x", false, Ok("*/ https")),
            ("a", "/x", true, Ok("*/ app")),
            ("a", "/.well-known/x", false, Ok("*/.well-known app")),
            ("b.example", "/.well-known/x", false, Ok("b.example/ https")),
            ("b.example", "/.well-known/x", true, Ok("*/.well-known app")),
        ] {
            let found = routes.find(host, path, secure).map(|found| found.target.as_str());
            assert_eq!(found, expected, "{host}{path} {secure}");
        }
        let alone = Routes::new(&[redirect("a", "/")], |_, _| ());
        assert_eq!(alone.find("a", "/", true).err(), Some(Miss::NoPath));
        assert_eq!(alone.find("c", "/", false).err(), Some(Miss::NoHost));
    }

    /// Random tables and requests against the definition itself: of all routes that match, the most specific.
    #[test]
    fn any_table_answers_as_its_definition_does() {
        let mut random = fastrand::Rng::with_seed(502);
        let hosts = ["*", "*.e", "*.b.e", "*.a.b.e", "a.b.e", "b.e", "e", "c"];
        let paths = ["/", "/x", "/x/y", "/xy", "/x/y/z"];
        for _ in 0..2_000 {
            let rows: Vec<_> = (0..random.usize(..8))
                .map(|_| (hosts[random.usize(..hosts.len())], paths[random.usize(..paths.len())]))
                .collect();
            let host = ["a.b.e", "z.a.b.e", "b.e", "B.E:80", "e.", "c", "nobody"][random.usize(..7)];
            let path = ["/", "/x", "/x/", "/x/y", "/x/yy", "/xy/z", "/x/y/z/0"][random.usize(..7)];
            let expected = rows
                .iter()
                .filter(|(pattern, prefix)| host_matches(pattern, host) && path_matches(prefix, path))
                .max_by_key(|(pattern, prefix)| (!pattern.starts_with('*'), pattern.len(), prefix.len()))
                .map(|(pattern, prefix)| format!("{pattern}{prefix}"));
            let table = routes(&rows);
            let found = table.find(host, path, false).ok().map(|found| found.target.clone());
            assert_eq!(found, expected, "{host}{path} in {rows:?}");
        }
    }

    fn host_matches(pattern: &str, host: &str) -> bool {
        let host = host.split(':').next().unwrap().trim_end_matches('.').to_lowercase();
        match pattern.strip_prefix('*') {
            Some(suffix) => suffix.is_empty() || host.len() > suffix.len() && host.ends_with(suffix),
            None => host == pattern,
        }
    }

    fn path_matches(prefix: &str, path: &str) -> bool {
        let segments =
            |text: &str| text.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect::<Vec<_>>();
        segments(path).starts_with(&segments(prefix))
    }
}
