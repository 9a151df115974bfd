//! The hook in an agent's settings: the command that is called, and whatever is missing for it to hold.
//!
//! The measure is what `lictor init` would write. Settings that hold as much in another form are taken for that.

#![forbid(unsafe_code)]

use serde_json::Value as Json;

use super::Agent;
use super::setup::{Event, Form, Hooked, commands};

/// The hook as settings hold it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Installed {
    /// The program and its arguments.
    pub words: Vec<String>,
    /// Faults that keep the hook from being called, or from blocking.
    pub problems: Vec<String>,
}

/// Keys by which a hook is called for some calls only, or by which nobody waits for it.
const NARROWING: &[&str] = &["if", "async", "asyncRewake", "once", "disabled"];

impl Agent {
    /// The hook in a text of this agent's settings; none if nothing in it calls lictor for this agent.
    ///
    /// # Errors
    ///
    /// The text is not understood: what, and where.
    pub fn installed_in(&self, text: &str) -> Result<Option<Installed>, String> {
        match &self.setup.form {
            Form::Whole(whole) => Ok(whole_file(text, *whole)),
            Form::Entries {
                under,
                events,
                entry,
                ..
            } => {
                let settings = self.setup.read(text)?;
                let at = |event: &Event| settings.get(*under)?.get(event.name)?.as_array();
                Ok(self.entries(events, *entry, |event| {
                    at(event).into_iter().flatten().collect()
                }))
            }
        }
    }

    fn entries<'j>(
        &self,
        events: &[Event],
        entry: fn(&Hooked<'_>, &Event) -> Json,
        at: impl Fn(&Event) -> Vec<&'j Json>,
    ) -> Option<Installed> {
        let mut found = Installed::default();
        let mut missing = Vec::new();
        for event in events {
            let there = at(event);
            let ours = there.into_iter().find_map(|item| {
                let words = commands(item)
                    .into_iter()
                    .find(|words| self.is_hook(words))?;
                Some((item, words))
            });
            let Some((item, words)) = ours else {
                missing.push(event.name);
                continue;
            };
            let (program, args) = words.split_first()?;
            let wanted = entry(&Hooked { program, args }, event);
            lacks(&wanted, item, event.name, &mut found.problems);
            if found.words.is_empty() {
                found.words = words;
            } else if found.words != words {
                found.problems.push(format!(
                    "`{}` calls another command than the first event",
                    event.name
                ));
            }
        }
        if found.words.is_empty() {
            return None;
        }
        let missing = missing.iter();
        found
            .problems
            .extend(missing.map(|event| format!("event `{event}` calls no hook")));
        Some(found)
    }
}

/// A file of lictor's own, as it would be written for the command that it holds.
fn whole_file(text: &str, whole: fn(&Hooked<'_>) -> String) -> Option<Installed> {
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        serde_json::from_str::<Json>(line.trim_end_matches(';')).ok()
    };
    let program = value("const program = ")?.as_str()?.to_owned();
    let args = value("const args = ")?;
    let args = args.as_array()?.iter().filter_map(Json::as_str);
    let args: Vec<String> = args.map(str::to_owned).collect();
    let wanted = whole(&Hooked {
        program: &program,
        args: &args,
    });
    let problems = match wanted == text {
        true => Vec::new(),
        false => vec!["the file is not as `lictor init` writes it".to_owned()],
    };
    let words = std::iter::once(program).chain(args).collect();
    Some(Installed { words, problems })
}

/// Tells what an entry lacks of the one that is wanted, and what it has that narrows it.
fn lacks(wanted: &Json, found: &Json, event: &str, problems: &mut Vec<String>) {
    match (wanted, found) {
        (Json::Object(wanted), Json::Object(found)) => {
            for (key, value) in wanted {
                match (key.as_str(), found.get(key)) {
                    ("command" | "args" | "exec" | "name" | "type" | "sequential", _) => {}
                    ("matcher", None | Some(Json::Null)) => {}
                    ("matcher", Some(Json::String(text)))
                        if matches!(text.as_str(), "" | "*" | ".*") => {}
                    ("matcher", Some(other)) => problems.push(format!(
                        "`{event}` is called for tools that match {other} only"
                    )),
                    ("timeout" | "timeoutSec", _) => {}
                    (_, Some(there)) if value.is_array() || value.is_object() => {
                        lacks(value, there, event, problems);
                    }
                    (_, Some(there)) if there == value => {}
                    (key, _) => problems.push(format!(
                        "`{event}` lacks `\"{key}\": {value}`: a hook that fails or is late lets the call through"
                    )),
                }
            }
            for key in NARROWING {
                match found.get(*key) {
                    None | Some(Json::Null | Json::Bool(false)) => {}
                    Some(value) => problems.push(format!(
                        "`{event}` has `\"{key}\": {value}`: it does not hold back every call"
                    )),
                }
            }
        }
        (Json::Array(wanted), Json::Array(found)) => {
            for (wanted, found) in wanted.iter().zip(found) {
                lacks(wanted, found, event, problems);
            }
        }
        _ => problems.push(format!("`{event}` has another form than is known")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn problems(text: &str) -> Vec<String> {
        let agent = Agent::named("claude-code").unwrap();
        agent.installed_in(text).unwrap().unwrap().problems
    }

    #[test]
    fn what_init_writes_lacks_nothing_for_each_agent() {
        let args = ["--policy".to_owned(), "/p/lictor.yaml".to_owned()];
        for agent in Agent::all() {
            let args: Vec<String> = ["hook".to_owned(), agent.name().to_owned()]
                .into_iter()
                .chain(args.clone())
                .collect();
            let hooked = Hooked {
                program: "/opt/my tools/lictor",
                args: &args,
            };
            let text = agent.installed(None, &hooked).unwrap();
            let found = agent.installed_in(&text).unwrap().unwrap();
            let words: Vec<String> = std::iter::once("/opt/my tools/lictor".to_owned())
                .chain(args)
                .collect();
            assert_eq!(found.words, words, "{}", agent.name());
            assert!(found.problems.is_empty(), "{found:?}");
        }
    }

    #[test]
    fn what_is_missing_is_told_by_event() {
        let hook = r#"{"type": "command", "command": "/l/lictor", "args": ["hook", "claude-code"], "timeout": 10"#;
        let settings = |matcher: &str, rest: &str| {
            format!(
                r#"{{"hooks": {{"PreToolUse": [{{"matcher": "{matcher}", "hooks": [{hook}{rest}}}]}}],
                "PostToolUse": [{{"hooks": [{hook}}}]}}], "PostToolUseFailure": [{{"hooks": [{hook}}}]}}]}}}}"#
            )
        };
        let block = r#", "onFailure": "block""#;
        assert!(problems(&settings("*", block)).is_empty());
        assert!(problems(&settings("", block)).is_empty());
        assert!(problems(&settings("Bash", block))[0].contains("match \"Bash\" only"));
        assert!(problems(&settings("*", ""))[0].contains("lacks `\"onFailure\": \"block\"`"));
        let narrowed = format!(r#"{block}, "if": "Bash(git *)""#);
        assert!(problems(&settings("*", &narrowed))[0].contains("does not hold back every call"));
        let only = format!(r#"{{"hooks": {{"PostToolUse": [{{"hooks": [{hook}}}]}}]}}}}"#);
        assert!(problems(&only).contains(&"event `PreToolUse` calls no hook".to_owned()));
    }

    #[test]
    fn settings_without_lictor_hold_no_hook() {
        let agent = Agent::named("claude-code").unwrap();
        for text in [
            "{}",
            r#"{"hooks": {"PreToolUse": [{"matcher": "*", "hooks": [{"type": "command", "command": "./mine"}]}]}}"#,
            r#"{"hooks": {"PreToolUse": [{"hooks": [{"command": "lictor hook codex --policy /p"}]}]}}"#,
        ] {
            assert_eq!(agent.installed_in(text).unwrap(), None, "{text}");
        }
    }
}
