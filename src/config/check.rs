//! Owns what no section can tell alone: whether listeners, routes and upstreams fit together.

use std::collections::HashMap;
use std::hash::Hash;

use super::Admin;
use super::Listener;
use super::Upstream;
use super::document::Document;
use super::document::Table;
use super::document::nearest;
use super::problem::Place;
use super::problem::Placed;
use super::problem::Wrong;
use super::problem::one_of;
use super::problem::quoted;
use super::route::ReadRoute;
use super::value::ListenAddress;

/// Notes what is wrong between the sections. A route or an upstream that could not be read stands as `None`: it counts as
/// written, but nothing more is said about it.
pub(super) fn across(
    root: &Table<'_>,
    (listeners, admin): (&[Placed<Listener>], Option<&Placed<Admin>>),
    routes: &[Option<ReadRoute>],
    upstreams: &[Option<Placed<Upstream>>],
) {
    let document = root.document();
    something_to_do(root, routes, upstreams);
    listener_twice(document, listeners);
    admin_beside_listeners(document, listeners, admin);
    upstream_twice(document, upstreams);
    route_twice(document, routes);
    upstream_unknown(document, routes, upstreams);
}

/// Without an upstream and a route there is nothing that could be answered.
fn something_to_do(root: &Table<'_>, routes: &[Option<ReadRoute>], upstreams: &[Option<Placed<Upstream>>]) {
    let wanted = routes.iter().flatten().find_map(|read| read.route.upstream()).map_or("app", |name| name);
    let only_redirects = routes.iter().all(|read| read.as_ref().is_some_and(|read| read.route.upstream().is_none()));
    let there = upstreams.iter().flatten().next().map_or("app", |upstream| &*upstream.value.name);
    let server = r#"servers = ["http://127.0.0.1:3000"]"#;
    let add_upstream = format!("add [[upstream]] with name = {} and {server}", quoted(wanted));
    let add_route = format!("[[route]] with upstream = {}", quoted(there));
    let wrong = match (root.has("route"), root.has("upstream")) {
        (true, true) => return,
        (true, false) if only_redirects => return,
        (false, false) => Wrong::new("nothing is configured", format!("{add_upstream}, and {add_route}")),
        (true, false) => Wrong::new("there is no [[upstream]] to send requests to", add_upstream),
        (false, true) => {
            Wrong::new("there is no [[route]], so every request would get a 404", format!("add {add_route}"))
        }
    };
    root.document().note_missing(None, wrong);
}

fn listener_twice(document: &Document<'_>, listeners: &[Placed<Listener>]) {
    for (index, listener) in listeners.iter().enumerate() {
        let mut before = listeners.iter().take(index);
        if let Some(first) = before.find(|first| collide(&first.value.address, &listener.value.address)) {
            let what = format!(
                "{} cannot be listened on beside {}, line {}",
                listener.value.address, first.value.address, first.place.line
            );
            document.note(listener.place, Wrong::new(what, "remove one of the two listeners, or change its port"));
        }
    }
}

fn admin_beside_listeners(document: &Document<'_>, listeners: &[Placed<Listener>], admin: Option<&Placed<Admin>>) {
    let Some(Placed { value: admin, place }) = admin else { return };
    if let Some(listener) = listeners.iter().find(|listener| collide(&listener.value.address, &admin.address)) {
        let what = format!(
            "clients come in at {}, line {}; operators cannot there",
            listener.value.address, listener.place.line
        );
        document.note(*place, Wrong::new(what, "give [admin] a port of its own"));
    }
}

/// Whether only one of two addresses can be listened on. The same port on every address includes it on each.
fn collide(one: &ListenAddress, other: &ListenAddress) -> bool {
    match (one, other) {
        (ListenAddress::Tcp(one), ListenAddress::Tcp(other)) => {
            let everywhere = one.ip().is_unspecified() || other.ip().is_unspecified();
            let same = one.ip() == other.ip() || (one.is_ipv4() == other.is_ipv4() && everywhere);
            same && one.port() == other.port() && one.port() != 0
        }
        _ => one == other,
    }
}

fn upstream_twice(document: &Document<'_>, upstreams: &[Option<Placed<Upstream>>]) {
    let names = upstreams.iter().flatten().map(|upstream| (&upstream.value.name, upstream.place));
    for (name, first, second) in repeated(names) {
        let what = format!("the upstream on line {} is called {} too", first.line, quoted(name));
        document.note(second, Wrong::new(what, "give this one another name, or put its servers there"));
    }
}

/// The most specific route wins, so one can only be out of reach where another is as specific. A redirect and a route to an
/// upstream go together: one is for requests without TLS, the other for those with it.
fn route_twice(document: &Document<'_>, routes: &[Option<ReadRoute>]) {
    let conditions = routes.iter().flatten().filter_map(|ReadRoute { route, condition, .. }| {
        let redirects = route.upstream().is_none();
        Some(((&route.host, &route.path, redirects), (*condition)?))
    });
    for (_, first, second) in repeated(conditions) {
        let what = format!("this route can never match: the one on line {} has the same host and path", first.line);
        document.note(second, Wrong::new(what, "remove one of the two, or change its host or path"));
    }
}

/// Every repetition, with the place where it was first met.
fn repeated<T: Eq + Hash>(met: impl Iterator<Item = (T, Place)>) -> Vec<(T, Place, Place)> {
    let mut first_at = HashMap::new();
    let mut repetitions = Vec::new();
    for (what, place) in met {
        match first_at.get(&what) {
            Some(first) => repetitions.push((what, *first, place)),
            None => {
                first_at.insert(what, place);
            }
        }
    }
    repetitions
}

fn upstream_unknown(document: &Document<'_>, routes: &[Option<ReadRoute>], upstreams: &[Option<Placed<Upstream>>]) {
    let names: Option<Vec<&str>> = upstreams.iter().map(|read| read.as_ref().map(|it| &*it.value.name)).collect();
    // An upstream without a name may be the one that is meant, and where there is none at all that has been said.
    let Some(names) = names.filter(|names| !names.is_empty()) else { return };
    for ReadRoute { route, target: place, .. } in routes.iter().flatten() {
        let Some(wanted) = route.upstream().filter(|wanted| !names.contains(&&***wanted)) else { continue };
        let what = format!("there is no upstream {}", quoted(wanted));
        let instead = match nearest(wanted, names.iter().copied()) {
            Some(name) => format!("did you mean {}?", quoted(name)),
            None => format!("write {}, or add an [[upstream]] of that name", one_of(names.iter().copied())),
        };
        document.note_missing(Some(*place), Wrong::new(what, instead));
    }
}
