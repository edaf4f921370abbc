//! A configuration file: whatever it holds, it is read the same each time, and each problem has a place in it and a cure.

use std::path::Path;

use why502::config::from_text;

pub(crate) fn check(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    // Files that it names are looked for where there are none.
    let file = Path::new("/nonexistent/why502/fuzz.toml");
    let outcome = from_text(text, file);
    assert_eq!(outcome, from_text(text, file));
    let problems = match outcome {
        Ok(config) => {
            assert!(!config.routes.is_empty() && !config.listeners.is_empty());
            let targets = config.routes.iter().filter_map(|route| route.upstream());
            for name in targets {
                assert!(config.upstreams.iter().any(|upstream| upstream.name == *name), "{name}");
            }
            return;
        }
        Err(problems) => problems,
    };
    let lines: Vec<&str> = text.split('\n').collect();
    assert!(problems.iter().next().is_some(), "it is refused without a word");
    for problem in &problems {
        let shown = problem.to_string();
        assert!(!shown.chars().any(char::is_control), "{shown:?}");
        assert!(!problem.wrong.what.is_empty() && !problem.wrong.instead.is_empty(), "{shown}");
        // What is missing as a whole is nowhere.
        let Some(place) = problem.place else {
            let missing = ["there is no [[", "nothing is configured"];
            assert!(missing.iter().any(|begin| problem.wrong.what.starts_with(begin)), "{shown}");
            continue;
        };
        assert!((1..=lines.len()).contains(&place.line), "{shown}");
        let length = lines[place.line - 1].chars().count();
        assert!((1..=length + 1).contains(&place.column), "{shown}: the line has {length}");
    }
}
