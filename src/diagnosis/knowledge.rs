//! Owns the tests of what the built-in runbook says: all that is known of 502s, enough in every case, nothing private.
//!
//! The facts are in `facts.txt`, a line each.

#![expect(clippy::similar_names, reason = "a case and its cause are this room's words")]

use std::collections::BTreeSet;
use std::process::Command;

use super::Audience;
use super::Audience::Owner;
use super::Audience::Visitor;
use super::Cause;
use super::Checklist;
use super::Step;
use super::samples;
use crate::config::Platform;
use crate::fault::Fault;
use crate::fault::gateway::Gateway;

/// What must be told, to whom, in which case.
struct Fact {
    line: &'static str,
    audience: Audience,
    cause: Cause,
    fault: Fault,
    platform: Platform,
    gateway: Option<Gateway>,
    words: Vec<&'static str>,
}

impl Fact {
    fn all() -> Vec<Self> {
        include_str!("facts.txt")
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(Self::read)
            .collect()
    }

    fn read(line: &'static str) -> Self {
        let (case, words) = line.split_once(": ").expect(line);
        let [audience, cause, fault, platform] = case.split(' ').collect::<Vec<_>>().try_into().expect(line);
        let (platform, gateway) = platform.split_once('@').unwrap_or((platform, ""));
        Self {
            line,
            audience: [Visitor, Owner].into_iter().find(|it| it.word() == audience).expect(line),
            cause: Cause::from_word(cause).expect(line),
            fault: Fault::from_word(fault).expect(line),
            platform: Platform::ALL.into_iter().find(|it| it.word() == platform).expect(line),
            gateway: Gateway::ALL.into_iter().find(|it| it.word() == gateway),
            words: words.split(" | ").collect(),
        }
    }

    /// The words that no step has.
    fn missing(&self, checklist: &Checklist) -> Vec<&'static str> {
        let steps = steps_behind(self.gateway, checklist, self.fault, self.cause, self.platform);
        let told: Vec<String> = steps
            .iter()
            .filter(|step| step.audience == self.audience)
            .map(|step| format!("{} {}", step.text, step.command.as_deref().unwrap_or_default()))
            .collect();
        self.words.iter().filter(|word| !told.iter().any(|step| step.contains(*word))).copied().collect()
    }
}

fn steps(checklist: &Checklist, fault: Fault, cause: Cause, platform: Platform) -> Vec<Step> {
    steps_behind(None, checklist, fault, cause, platform)
}

/// The same where this gateway answered.
fn steps_behind(
    gateway: Option<Gateway>,
    checklist: &Checklist,
    fault: Fault,
    cause: Cause,
    platform: Platform,
) -> Vec<Step> {
    let mut case = samples::full(fault);
    case.attempts.iter_mut().filter_map(|failure| failure.response.as_mut()).for_each(|it| it.gateway = gateway);
    case.settings.platform = platform;
    checklist.steps(&case, cause)
}

#[test]
fn the_built_in_runbook_says_every_fact() {
    let checklist = Checklist::built_in();
    for fact in Fact::all() {
        assert_eq!(fact.missing(&checklist), [""; 0], "{}", fact.line);
    }
}

#[test]
fn no_step_can_go_without_a_fact_that_misses_it() {
    let (built_in, facts) = (Checklist::built_in(), Fact::all());
    let text = include_str!("../../config/checklist.toml");
    for id in text.lines().filter_map(|line| line.strip_prefix("id = \"")?.strip_suffix('"')) {
        let without = built_in.clone().with(&format!("remove = [\"{id}\"]"), "test.toml".as_ref()).unwrap();
        assert!(facts.iter().any(|fact| !fact.missing(&without).is_empty()), "nothing misses {id}");
    }
}

#[test]
fn every_case_gets_enough_steps_and_not_too_many() {
    let checklist = Checklist::built_in();
    let mut wrong = Vec::new();
    for_every_case(|fault, cause, platform| {
        let steps = steps(&checklist, fault, cause, platform);
        let count = |is: &dyn Fn(&Step) -> bool| steps.iter().filter(|step| is(step)).count();
        let visitor = count(&|step| step.audience == Visitor);
        let owner = count(&|step| step.audience == Owner);
        let public = count(&|step| step.audience == Owner && !step.private);
        if !(3..=5).contains(&visitor) || owner > MOST || public < 4 {
            wrong.push(format!(
                "{fault} {cause} {}: {visitor} visitor's, {owner} owner's, {public} public",
                platform.word()
            ));
        }
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_gateway_has_a_step_of_its_own_which_only_operators_see() {
    let checklist = Checklist::built_in();
    let fault = Fault::UpstreamBadGateway;
    for cause in Cause::ALL {
        let plain = steps(&checklist, fault, cause, Platform::Generic);
        for gateway in Gateway::ALL {
            let steps = steps_behind(Some(gateway), &checklist, fault, cause, Platform::Generic);
            let own: Vec<_> = steps.iter().filter(|step| !plain.contains(step)).collect();
            assert!(!own.is_empty() && own.iter().all(|step| step.private), "{} {cause}: {own:?}", gateway.word());
            assert!(steps.iter().filter(|step| step.audience == Owner).count() <= 14, "{} {cause}", gateway.word());
        }
    }
}

#[test]
fn what_everybody_may_read_names_nothing_private() {
    let tokens = [
        "badger",
        "lemur",
        "10.77",
        "3456",
        "marmot",
        "walrus",
        "quail",
        "otter",
        "54.3 s",
        "43 s",
        "4.9",
        "6.1 s",
        "55 s",
        "65536",
        "SSH-",
        "handshake_failure",
        "2026",
        "gecko",
        "heron",
        "ferret",
        "narwhal",
        "8181",
        "dugong",
        "tapir",
        "47110",
        "111",
        "127.0.0.1",
        "localhost",
        "{",
        "errno",
    ];
    let checklist = Checklist::built_in();
    for_every_case(|fault, cause, platform| {
        for step in steps(&checklist, fault, cause, platform).iter().filter(|step| !step.private) {
            assert_eq!(step.command, None, "{}", step.text);
            for token in tokens {
                assert!(!step.text.contains(token), "{token:?} in {:?}", step.text);
            }
        }
    });
}

#[test]
fn visitors_are_never_asked_to_lower_their_guard() {
    let checklist = Checklist::built_in();
    for_every_case(|fault, cause, platform| {
        let steps = steps(&checklist, fault, cause, platform);
        let told: String =
            steps.iter().filter(|step| step.audience == Visitor).map(|step| step.text.as_str()).collect();
        assert!(told.contains("not on your side"), "{fault} {cause}");
        for word in ["firewall", "antivirus", "VPN", "turn off", "disable", "proxy", "gateway", "origin", "upstream"] {
            assert!(!told.contains(word), "{word:?} for a visitor of {fault} {cause}: {told}");
        }
    });
}

#[test]
fn every_platform_has_steps_of_its_own_for_its_application() {
    let checklist = Checklist::built_in();
    let plain = steps(&checklist, Fault::ClosedBeforeResponse, Cause::Application, Platform::Generic);
    for platform in Platform::ALL.into_iter().filter(|platform| *platform != Platform::Generic) {
        let own = steps(&checklist, Fault::ClosedBeforeResponse, Cause::Application, platform);
        assert!(own.iter().any(|step| !step.private && !plain.contains(step)), "{}", platform.word());
    }
}

#[test]
fn commands_are_filled_in_and_the_shell_reads_them() {
    let checklist = Checklist::built_in();
    let mut commands = BTreeSet::new();
    for_every_case(|fault, cause, platform| {
        for sample in [samples::full, samples::case] {
            let mut case = sample(fault);
            case.settings.platform = platform;
            commands.extend(checklist.steps(&case, cause).into_iter().filter_map(|step| step.command));
        }
    });
    for command in commands {
        assert!(!command.contains(['{', '}']), "{command}");
        let shell = Command::new("sh").args(["-n", "-c", &command]).output().unwrap();
        assert!(shell.status.success(), "{command}: {}", String::from_utf8_lossy(&shell.stderr));
    }
}

/// How many steps an owner is given at most: 14, one that says what history knows, and two that say what checks have found.
const MOST: usize = 17;

fn for_every_case(mut check: impl FnMut(Fault, Cause, Platform)) {
    for fault in Fault::ALL {
        for cause in Cause::ALL {
            for platform in Platform::ALL {
                check(fault, cause, platform);
            }
        }
    }
}
