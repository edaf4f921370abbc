//! Owns the format of runbooks: the built-in one and the operators' own are read by it, with a place for every mistake.
//!
//! Which of the steps a case gets is `checklist`'s; what their placeholders mean is `placeholder`'s. The format is
//! explained to its users at the top of `config/checklist.toml`.

use std::path::Path;

use super::Audience;
use super::Cause;
use super::command::Template;
use crate::config::Platform;
use crate::config::document::Document;
use crate::config::document::Table;
use crate::config::document::Word;
use crate::config::document::Written;
use crate::config::document::nearest;
use crate::config::problem::Placed;
use crate::config::problem::Problems;
use crate::config::problem::Wrong;
use crate::config::problem::one_of;
use crate::config::problem::quoted;
use crate::fault::Fault;
use crate::fault::Stage;

/// One step of a runbook. An empty list of what it is for means everything.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) id: String,
    pub(super) audience: Audience,
    pub(super) causes: Vec<Cause>,
    pub(super) faults: Vec<Fault>,
    pub(super) platforms: Vec<Platform>,
    pub(super) upstreams: Vec<String>,
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
        let audience = audience.map(|it| it.value).or(base.as_ref().map(|base| base.audience));
        let text = text.map(|it| it.value.0).or_else(|| base.as_ref().map(|base| base.text.clone()));
        let stands_in = table.values::<Id>("instead_of");
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
                    let what = format!("{} is for operators only, {} for everybody", quoted(&entry.id), quoted(&id.value.0));
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
    rank: u32,
    commands: Vec<Template>,
    private: bool,
    instead_of: Vec<String>,
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
            rank: table.integer("rank", 0..=1_000, base.map_or(USUAL_RANK, |base| base.rank)),
            commands: commands(table, base),
            private: table.flag("private", base.is_some_and(|base| base.private)),
            instead_of: base.map(|base| base.instead_of.clone()).unwrap_or_default(),
        }
    }

    fn entry(self, id: String, audience: Audience, text: Template, stands_in: &[Placed<Id>]) -> Entry {
        let Self { causes, faults, platforms, upstreams, rank, commands, private, mut instead_of } = self;
        if !stands_in.is_empty() {
            instead_of = stands_in.iter().map(|id| id.value.0.clone()).collect();
        }
        Entry { id, audience, causes, faults, platforms, upstreams, rank, text, commands, private, instead_of }
    }
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

/// The name of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Id(String);

impl Written for Id {
    const NOUN: &'static str = "an id";

    fn cure() -> String {
        "write lower-case letters, digits and hyphens".to_owned()
    }

    fn parse(text: &str) -> Result<Self, Wrong> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let is_id = !text.is_empty() && text.chars().all(allowed);
        if is_id { Ok(Self(text.to_owned())) } else { Err(Self::refused(&quoted(text))) }
    }
}

/// A text that may have placeholders.
struct Sentence(Template);

impl Written for Sentence {
    const NOUN: &'static str = "text";

    fn cure() -> String {
        "write a sentence in quotes".to_owned()
    }

    fn parse(text: &str) -> Result<Self, Wrong> {
        if text.trim().is_empty() { Err(Self::refused(&quoted(text))) } else { Template::read(text).map(Self) }
    }
}

/// A command that may have placeholders.
struct Command(Template);

impl Written for Command {
    const NOUN: &'static str = "a command";

    fn cure() -> String {
        "write a command line in quotes".to_owned()
    }

    fn parse(text: &str) -> Result<Self, Wrong> {
        if text.trim().is_empty() { Err(Self::refused(&quoted(text))) } else { Template::read_command(text).map(Self) }
    }
}

/// The faults that a word stands for: its own, or all of a stage.
struct Group(Vec<Fault>);

impl Written for Group {
    const NOUN: &'static str = "a fault or a stage";

    fn cure() -> String {
        format!("write a fault's word, or {}", one_of(Stage::ALL.iter().map(|stage| stage.word())))
    }

    fn parse(text: &str) -> Result<Self, Wrong> {
        let stands_for = |fault: &Fault| fault.word() == text || fault.stage().word() == text;
        let faults: Vec<Fault> = Fault::ALL.into_iter().filter(stands_for).collect();
        match nearest(text, Fault::ALL.iter().map(|fault| fault.word())) {
            _ if !faults.is_empty() => Ok(Self(faults)),
            Some(nearest) => Err(Wrong { instead: format!("did you mean {}?", quoted(nearest)), ..Self::refused(&quoted(text)) }),
            None => Err(Self::refused(&quoted(text))),
        }
    }
}

impl Written for Cause {
    const NOUN: &'static str = "a cause";

    fn cure() -> String {
        format!("write {}", one_of(Self::ALL.iter().map(|cause| cause.word())))
    }

    fn parse(text: &str) -> Result<Self, Wrong> {
        Self::from_word(text).ok_or_else(|| Self::refused(&quoted(text)))
    }
}

impl Word for Audience {
    const NOUN: &'static str = "an audience";
    const WORDS: &'static [(&'static str, Self)] =
        &[(Self::Visitor.word(), Self::Visitor), (Self::Owner.word(), Self::Owner)];
}

/// What an upstream is made with.
struct Runs(Platform);

impl Written for Runs {
    const NOUN: &'static str = "a platform";

    fn cure() -> String {
        format!("write {}", one_of(Platform::ALL.iter().map(|platform| platform.word())))
    }

    fn parse(text: &str) -> Result<Self, Wrong> {
        let platform = Platform::ALL.into_iter().find(|platform| platform.word() == text);
        platform.map(Self).ok_or_else(|| Self::refused(&quoted(text)))
    }
}

/// Where a step stands that does not say it.
const USUAL_RANK: u32 = 500;
