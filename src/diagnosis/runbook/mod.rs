//! Owns the format of runbooks: the built-in one and the operators' own are read by it, with a place for every mistake.
//!
//! Which of the steps a case gets is `checklist`'s; what their placeholders mean is `placeholder`'s. The format is
//! explained to its users at the top of `config/checklist.toml`; the forms of its values are in `word`.

mod word;

use std::path::Path;

use self::word::Command;
use self::word::Group;
use self::word::Id;
use self::word::Runs;
use self::word::Sentence;
use super::Audience;
use super::Cause;
use super::command::Template;
use crate::config::Platform;
use crate::config::document::Document;
use crate::config::document::Table;
use crate::config::document::Written;
use crate::config::document::nearest;
use crate::config::problem::Placed;
use crate::config::problem::Problems;
use crate::config::problem::Wrong;
use crate::config::problem::quoted;
use crate::fault::Fault;
use crate::fault::gateway::Gateway;

/// One step of a runbook. An empty list of what it is for means everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) id: String,
    pub(super) audience: Audience,
    pub(super) causes: Vec<Cause>,
    pub(super) faults: Vec<Fault>,
    pub(super) platforms: Vec<Platform>,
    pub(super) upstreams: Vec<String>,
    pub(super) gateways: Vec<Gateway>,
    pub(super) rank: u32,
    pub(super) text: Template,
    /// The first whose placeholders all have a value is shown.
    pub(super) commands: Vec<Template>,
    /// Whether it was said to be for operators only.
    pub(super) private: bool,
    pub(super) instead_of: Vec<String>,
}

impl Entry {
    /// Whether only operators may see it.
    pub(super) fn is_private(&self) -> bool {
        self.private || !self.commands.is_empty() || self.text.has_placeholders()
    }
}

/// Reads a runbook on top of the steps that there are: what comes out are all of them, with the new ones added or put in
/// their places.
///
/// # Errors
///
/// Every mistake in the text, each with its line, its column and its cure.
pub(super) fn read(text: &str, file: &Path, present: &[Entry]) -> Result<Vec<Entry>, Problems> {
    let document = Document::parse(text, file);
    let root = document.root();
    let mut reader = Reader { document: &document, entries: present.to_vec(), stand_ins: Vec::new() };
    let removed = root.values::<Id>("remove");
    for table in root.tables("step") {
        reader.step(&table);
        table.close();
    }
    root.close();
    for id in &removed {
        reader.must_exist(id);
    }
    reader.check_stand_ins();
    let mut entries = reader.entries;
    entries.retain(|entry| !removed.iter().any(|id| id.value.0 == entry.id));
    document.finish(entries)
}

/// What has been read so far.
struct Reader<'d> {
    document: &'d Document<'d>,
    entries: Vec<Entry>,
    /// The ids that steps stand in for, checked when all steps are known.
    stand_ins: Vec<(Entry, Vec<Placed<Id>>)>,
}

impl Reader<'_> {
    /// Reads one `[[step]]`: a new one, or one that takes the place of another.
    fn step(&mut self, table: &Table<'_>) {
        let replaced = table.value::<Id>("replace");
        let id = self.id(table, replaced.as_ref());
        let place = replaced.as_ref().and_then(|replaced| self.must_exist(replaced));
        let base = place.and_then(|place| self.entries.get(place)).cloned();
        let (audience, text) = if replaced.is_some() {
            (table.value("audience"), table.value::<Sentence>("text"))
        } else {
            (table.required("audience", r#"audience = "owner""#), table.required("text", r#"text = "What to do.""#))
        };
        let audience = audience.map(|it| it.value).or_else(|| base.as_ref().map(|base| base.audience));
        let text = text.map(|it| it.value.0).or_else(|| base.as_ref().map(|base| base.text.clone()));
        let stands_in = stands_in(table, base.as_ref());
        let scope = Scope::read(table, base.as_ref());
        let id = id.or_else(|| base.map(|base| base.id));
        let (Some(id), Some(audience), Some(text)) = (id, audience, text) else { return };
        let entry = scope.entry(id, audience, text, &stands_in);
        if entry.audience == Audience::Visitor && entry.is_private() {
            let what = format!("the step {} is for visitors and shows what is the operators'", quoted(&entry.id));
            let instead = r#"take away its command, its placeholders and `private`, or write audience = "owner""#;
            table.note(table.place(), Wrong::new(what, instead));
        }
        self.stand_ins.push((entry.clone(), stands_in));
        match place.and_then(|place| self.entries.get_mut(place)) {
            Some(place) => *place = entry,
            None => self.entries.push(entry),
        }
    }

    /// The id of a new step, which no other has. A step that replaces another keeps that one's.
    fn id(&self, table: &Table<'_>, replaced: Option<&Placed<Id>>) -> Option<String> {
        if replaced.is_none() {
            let id = table.required::<Id>("id", r#"id = "name-of-the-step""#)?;
            if self.position(&id.value).is_none() {
                return Some(id.value.0);
            }
            let what = format!("there is a step {} already", quoted(&id.value.0));
            let instead = format!("choose another id, or write replace = {} to take its place", quoted(&id.value.0));
            table.note(id.place, Wrong::new(what, instead));
        } else if let Some(id) = table.value::<Id>("id") {
            let what = "a step that takes another's place keeps its id";
            table.note(id.place, Wrong::new(what, "remove either `id` or `replace`"));
        }
        None
    }

    /// Where the step of that id is; notes it where there is none.
    fn must_exist(&self, id: &Placed<Id>) -> Option<usize> {
        let position = self.position(&id.value);
        if position.is_none() {
            let known = self.entries.iter().map(|entry| entry.id.as_str());
            let instead = match nearest(&id.value.0, known) {
                Some(nearest) => format!("did you mean {}?", quoted(nearest)),
                None => "the built-in ones are in config/checklist.toml".to_owned(),
            };
            self.document.note(id.place, Wrong::new(format!("there is no step {}", quoted(&id.value.0)), instead));
        }
        position
    }

    /// A step that visitors may read must not make way for one that they may not.
    fn check_stand_ins(&self) {
        for (entry, ids) in &self.stand_ins {
            for id in ids {
                let other = self.must_exist(id).and_then(|position| self.entries.get(position));
                if other.is_some_and(|other| entry.is_private() && !other.is_private()) {
                    let what =
                        format!("{} is for operators only, {} for everybody", quoted(&entry.id), quoted(&id.value.0));
                    let instead = "leave both, or make the new one a step that everybody may see";
                    self.document.note(id.place, Wrong::new(what, instead));
                }
            }
        }
    }

    fn position(&self, id: &Id) -> Option<usize> {
        self.entries.iter().position(|entry| entry.id == id.0)
    }
}

/// All of a step that need not be written: what it is for, where it stands, its commands.
struct Scope {
    causes: Vec<Cause>,
    faults: Vec<Fault>,
    platforms: Vec<Platform>,
    upstreams: Vec<String>,
    gateways: Vec<Gateway>,
    rank: u32,
    commands: Vec<Template>,
    private: bool,
}

impl Scope {
    /// What is not written stays as the replaced step has it.
    fn read(table: &Table<'_>, base: Option<&Entry>) -> Self {
        let faults = list(table, "faults", |group: Group| group.0, None);
        let faults: Vec<Fault> = faults.into_iter().flatten().collect();
        Self {
            causes: list(table, "causes", |cause| cause, base.map(|base| &base.causes)),
            faults: base.map(|base| &base.faults).filter(|_| faults.is_empty()).cloned().unwrap_or(faults),
            platforms: list(table, "platforms", |Runs(platform)| platform, base.map(|base| &base.platforms)),
            upstreams: list(table, "upstreams", |name: String| name, base.map(|base| &base.upstreams)),
            gateways: list(table, "gateways", |gateway| gateway, base.map(|base| &base.gateways)),
            rank: table.integer("rank", 0..=1_000, base.map_or(USUAL_RANK, |base| base.rank)),
            commands: commands(table, base),
            private: table.flag("private", base.is_some_and(|base| base.private)),
        }
    }

    fn entry(self, id: String, audience: Audience, text: Template, stands_in: &[Placed<Id>]) -> Entry {
        let Self { causes, faults, platforms, upstreams, gateways, rank, commands, private } = self;
        let instead_of = stands_in.iter().map(|id| id.value.0.clone()).collect();
        Entry {
            id,
            audience,
            causes,
            faults,
            platforms,
            upstreams,
            gateways,
            rank,
            text,
            commands,
            private,
            instead_of,
        }
    }
}

/// The steps that this one stands in for, each with its place, so that what a replaced step had is checked again.
fn stands_in(table: &Table<'_>, base: Option<&Entry>) -> Vec<Placed<Id>> {
    let written = table.values::<Id>("instead_of");
    let kept = |base: &Entry| {
        base.instead_of.iter().map(|id| Placed { value: Id(id.clone()), place: table.place() }).collect()
    };
    base.filter(|_| written.is_empty()).map(kept).unwrap_or(written)
}

fn list<T, U: Clone>(table: &Table<'_>, key: &'static str, of: impl Fn(T) -> U, base: Option<&Vec<U>>) -> Vec<U>
where
    T: Written,
{
    let written: Vec<U> = table.values::<T>(key).into_iter().map(|it| of(it.value)).collect();
    base.filter(|_| written.is_empty()).cloned().unwrap_or(written)
}

/// `command`, or `commands` to choose from.
fn commands(table: &Table<'_>, base: Option<&Entry>) -> Vec<Template> {
    let one = table.value::<Command>("command");
    let several = table.values::<Command>("commands");
    if let (Some(one), false) = (&one, several.is_empty()) {
        table.note(one.place, Wrong::new("a step has either `command` or `commands`", "remove one of them"));
    }
    let written: Vec<Template> = one.into_iter().chain(several).map(|it| it.value.0).collect();
    base.map(|base| &base.commands).filter(|_| written.is_empty()).cloned().unwrap_or(written)
}

/// Where a step stands that does not say it.
const USUAL_RANK: u32 = 500;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Stage;

    const BASE: &str = r#"
[[step]]
id = "public"
audience = "owner"
causes = ["dns"]
faults = ["connect"]
platforms = ["php"]
rank = 7
text = "Public."

[[step]]
id = "secret"
audience = "owner"
text = "Secret."
commands = ["a {host}", "b"]

[[step]]
id = "open"
audience = "owner"
text = "Open."
"#;

    fn base() -> Vec<Entry> {
        read(BASE, Path::new("base.toml"), &[]).unwrap()
    }

    fn ids(entries: &[Entry]) -> Vec<&str> {
        entries.iter().map(|entry| entry.id.as_str()).collect()
    }

    #[test]
    fn steps_are_added_removed_and_replaced() {
        let text = r#"
remove = ["secret"]

[[step]]
id = "own"
audience = "visitor"
text = "Own."

[[step]]
replace = "public"
text = "Replaced."
faults = ["dns_refused"]
"#;
        let entries = read(text, Path::new("own.toml"), &base()).unwrap();
        assert_eq!(ids(&entries), ["public", "open", "own"]);
        let replaced = &entries[0];
        assert_eq!(replaced.text, Template::read("Replaced.").unwrap());
        assert_eq!((&*replaced.faults, &*replaced.causes), (&[Fault::DnsRefused][..], &[Cause::Dns][..]));
        assert_eq!((&*replaced.platforms, replaced.rank), (&[Platform::Php][..], 7));
        assert_eq!((entries[2].audience, entries[2].rank), (Audience::Visitor, USUAL_RANK));
    }

    #[test]
    fn a_stage_stands_for_all_of_its_faults() {
        let connect: Vec<Fault> = Fault::ALL.into_iter().filter(|fault| fault.stage() == Stage::Connect).collect();
        assert_eq!(base()[0].faults, connect);
    }

    #[test]
    fn a_command_a_placeholder_or_a_word_makes_a_step_the_operators_own() {
        let step = |more: &str| format!("[[step]]\nid = \"a\"\naudience = \"owner\"\n{more}");
        let table = [
            ("text = \"a\"", false),
            ("text = \"a {{b}}\"", false),
            ("text = \"a {host}\"", true),
            ("text = \"a\"\ncommand = \"b\"", true),
            ("text = \"a\"\nprivate = true", true),
        ];
        for (more, expected) in table {
            let entries = read(&step(more), Path::new("own.toml"), &[]).unwrap();
            assert_eq!(entries[0].is_private(), expected, "{more}");
        }
    }

    #[test]
    fn every_mistake_is_told_at_once_with_its_place_and_its_cure() {
        let text = r#"remove = ["publik", "A B"]
[[step]]
id = "secret"
audience = "owners"
causes = ["dsn"]
faults = ["connection_refusd", "tls"]
platforms = ["perl"]
txt = "x"
[[step]]
id = "hint"
audience = "visitor"
text = "Ask {host}."
instead_of = ["nothing-like-it"]
[[step]]
replace = "public"
id = "mine"
command = "a '{host}'"
commands = ["b"]
[[step]]
id = "in-its-place"
audience = "owner"
text = "x"
command = "c"
rank = 1001
instead_of = ["open", "secret"]
[[step]]
id = "twice"
audience = "owner"
text = ""
command = "d"
commands = ["e"]
"#;
        let problems = read(text, Path::new("own.toml"), &base()).unwrap_err();
        let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
        let expected = r#"
own.toml:1:11: there is no step "publik"; did you mean "public"?
own.toml:1:21: "A B" is not an id; write lower-case letters, digits and hyphens
own.toml:2:1: [[step]] has no `text`; add text = "What to do."
own.toml:3:6: there is a step "secret" already; choose another id, or write replace = "secret" to take its place
own.toml:4:12: "owners" is not an audience; write "visitor" or "owner"
own.toml:5:11: "dsn" is not a cause; write "overload", "dns", "firewall", "faulty_proxy", "origin_down", "application", "network", "tls" or "unknown"
own.toml:6:11: "connection_refusd" is not a fault or a stage; did you mean "connection_refused"?
own.toml:7:14: "perl" is not a platform; write "generic", "php", "wordpress", "magento", "node", "python", "java", "ruby" or "go"
own.toml:8:1: unknown key `txt` in [[step]]; did you mean `text`?
own.toml:9:1: the step "hint" is for visitors and shows what is the operators'; take away its command, its placeholders and `private`, or write audience = "owner"
own.toml:13:15: there is no step "nothing-like-it"; the built-in ones are in config/checklist.toml
own.toml:16:6: a step that takes another's place keeps its id; remove either `id` or `replace`
own.toml:17:11: {host} stands inside quotes; put it outside of them: a value is quoted when it is filled in
own.toml:24:8: 1001 is out of range; write a whole number from 0 to 1000
own.toml:25:15: "in-its-place" is for operators only, "open" for everybody; leave both, or make the new one a step that everybody may see
own.toml:29:8: "" is not text; write a sentence in quotes
own.toml:30:11: a step has either `command` or `commands`; remove one of them"#;
        assert_eq!(told.join("\n"), expected.trim_start());
    }
}
