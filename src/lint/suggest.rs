//! Requests that were denied for want of a rule -> the narrowest rules that would allow them.
//!
//! A suggestion names exactly the tools, actions, actors and paths that were asked for, nothing more: what a
//! person makes of it is up to them, and nothing here is ever applied by itself. What a deny or ask rule,
//! the text of a path or the grammar of a tool refuses is never suggested.

#![forbid(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet};

use super::diagnostic::Edit;
use super::{fix, yaml};
use crate::decision::{Context, Decision, Effect, Request, decide, paths::CWD};
use crate::path::CanonicalPath;
use crate::policy::glob::Pattern;
use crate::policy::source::Node;
use crate::policy::{self, CompiledPolicy};
use crate::reason::Reason;

/// Additions that a policy would need.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Suggestions {
    /// The rules, in the order of tools, actions and actors.
    pub rules: Vec<SuggestedRule>,
    /// The policy's text with them; none if its layout has no room for them, or nothing is to be added.
    pub text: Option<String>,
    /// Denied requests that no rule is suggested for, by the reason of their denial.
    pub left: BTreeMap<&'static str, u64>,
    /// Requests that the policy allows, or asks about, by now.
    pub settled: u64,
}

/// One rule that would allow what was denied.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SuggestedRule {
    /// Its id.
    pub id: String,
    /// The tool.
    pub tool: String,
    /// The action.
    pub action: String,
    /// Who asked.
    pub actor: String,
    /// For each path argument its patterns.
    pub paths: BTreeMap<String, BTreeSet<String>>,
    /// Number of the requests that it would allow.
    pub requests: u64,
}

impl SuggestedRule {
    /// The name of the scope of one of its arguments.
    fn scope(&self, argument: &str) -> String {
        match self.paths.len() {
            1 => self.id.clone(),
            _ => fitting(&format!("{}-{argument}", self.id)),
        }
    }

    /// The scopes it needs, as entries of `scopes`.
    #[must_use]
    pub fn scopes_yaml(&self) -> Vec<String> {
        let entry = |(argument, patterns): (&String, &BTreeSet<String>)| {
            let patterns: Vec<_> = patterns.iter().map(|text| yaml::quoted(text)).collect();
            format!("{}: [{}]", self.scope(argument), patterns.join(", "))
        };
        self.paths.iter().map(entry).collect()
    }

    /// The rule itself, as an item of `rules`.
    #[must_use]
    pub fn yaml(&self) -> String {
        let within: Vec<_> = self
            .paths
            .keys()
            .map(|argument| format!("{argument}: {}", self.scope(argument)))
            .collect();
        let within = match within.is_empty() {
            true => String::new(),
            false => format!(", within: {{{}}}", within.join(", ")),
        };
        let times = match self.requests {
            1 => "once".to_owned(),
            times => format!("{times} times"),
        };
        format!(
            "{{id: {}, allow: {}.{}{within}, for: {}, reason: Asked for {times} and denied.}}",
            self.id,
            self.tool,
            self.action,
            yaml::quoted(&self.actor)
        )
    }
}

/// Suggests rules for those of `asked` that `policy` denies for want of one. `is_directory` says of a path
/// whether everything below it is meant.
///
/// ```
/// use lictor::decision::{Context, Request};
/// use lictor::lint::suggest::suggest;
/// use lictor::policy::CompiledPolicy;
///
/// let policy = CompiledPolicy::from_yaml(
///     "version: 1
/// name: readers
/// use: lictor/files@1
/// scopes:
///   docs: [\"docs/**\"]
/// rules:
///   - {id: read-docs, allow: filesystem.read_file, within: docs}
/// ",
/// )?;
/// let request = Request::named("filesystem", "read_file").with_arg("path", "src/a.rs");
/// let found = suggest(&policy, &[(request, Context::new("agent-7"))], &|_| false);
/// assert_eq!(
///     found.rules[0].yaml(),
///     "{id: suggested-filesystem-read_file, allow: filesystem.read_file, within: {path: suggested-filesystem-read_file}, \
///      for: \"agent-7\", reason: Asked for once and denied.}"
/// );
/// assert_eq!(found.rules[0].scopes_yaml(), ["suggested-filesystem-read_file: [\"src/a.rs\"]"]);
/// # Ok::<(), lictor::policy::PolicyErrors>(())
/// ```
#[must_use]
pub fn suggest(
    policy: &CompiledPolicy,
    asked: &[(Request, Context)],
    is_directory: &dyn Fn(&CanonicalPath) -> bool,
) -> Suggestions {
    let mut found = Suggestions::default();
    let mut groups: BTreeMap<(String, String, String), SuggestedRule> = BTreeMap::new();
    for (request, context) in asked {
        let decision = decide(policy, request, context);
        if decision.effect() != Effect::Deny {
            found.settled = found.settled.saturating_add(1);
            continue;
        }
        let Some(wanting) = wanting(policy, &decision, is_directory) else {
            let code = decision.reason().map_or("UNKNOWN", Reason::code);
            let count = found.left.entry(code).or_default();
            *count = count.saturating_add(1);
            continue;
        };
        let Wanting {
            tool,
            action,
            paths,
        } = wanting;
        let actor = decision.asked().actor.clone();
        let group = groups
            .entry((tool.clone(), action.clone(), actor.clone()))
            .or_insert_with(|| SuggestedRule {
                id: String::new(),
                tool,
                action,
                actor,
                paths: BTreeMap::new(),
                requests: 0,
            });
        group.requests = group.requests.saturating_add(1);
        for (argument, pattern) in paths {
            group.paths.entry(argument).or_default().insert(pattern);
        }
    }
    let mut taken: BTreeSet<String> = policy.rules().map(|(_, rule)| rule.id.clone()).collect();
    for mut rule in groups.into_values() {
        rule.paths.values_mut().for_each(only_needed);
        rule.id = unused(&rule, &taken);
        taken.insert(rule.id.clone());
        found.rules.push(rule);
    }
    found.text = added(policy, &found.rules);
    found
}

/// The rule that a request lacks: about this action, over these patterns of its arguments.
struct Wanting {
    tool: String,
    action: String,
    paths: Vec<(String, String)>,
}

/// The action and the paths that lack a rule, if that is all that a request lacks.
fn wanting(
    policy: &CompiledPolicy,
    decision: &Decision,
    is_directory: &dyn Fn(&CanonicalPath) -> bool,
) -> Option<Wanting> {
    let lacks_a_rule = |reason: &Reason| {
        matches!(
            reason,
            Reason::NoRuleAllows | Reason::PathOutsideAllowedScope
        )
    };
    if decision.reasons().is_empty() || !decision.reasons().iter().all(lacks_a_rule) {
        return None;
    }
    // In a rule it would stand for every actor: who asks chooses their name.
    if decision.asked().actor.contains('*') {
        return None;
    }
    let (tool, action) = (
        decision.asked().tool.clone()?,
        decision.asked().action.clone()?,
    );
    let mut paths = Vec::new();
    for finding in decision.findings() {
        match finding.reason {
            None => continue,
            Some(reason) if lacks_a_rule(&reason) && finding.arg != CWD => {}
            Some(_) => return None,
        }
        let canonical = finding.canonical.as_ref()?;
        let path = CanonicalPath::parse(canonical.as_bytes(), policy.switches()).ok()?;
        let pattern = match is_directory(&path) {
            true => Pattern::below(&path),
            false => Pattern::exactly(&path),
        };
        paths.push((finding.arg.clone(), pattern.as_str().to_owned()));
    }
    Some(Wanting {
        tool,
        action,
        paths,
    })
}

/// An id that no rule has.
fn unused(rule: &SuggestedRule, taken: &BTreeSet<String>) -> String {
    let first = fitting(&format!("suggested-{}-{}", rule.tool, rule.action));
    let mut id = first.clone();
    let mut number = 2_u32;
    while taken.contains(&id) {
        id = fitting(&format!("{number}-{first}"));
        number = number.saturating_add(1);
    }
    id
}

/// The text cut to the length that a name may have.
fn fitting(text: &str) -> String {
    text.chars().take(64).collect()
}

/// The policy's text with the rules and their scopes.
fn added(policy: &CompiledPolicy, rules: &[SuggestedRule]) -> Option<String> {
    if rules.is_empty() {
        return None;
    }
    let text = &policy.files().next()?.text;
    let (root, _) = policy::reread(text)?;
    let mut edits = Vec::new();
    let rules_key = match yaml::entry(&root, "rules") {
        Some((key, list)) => {
            edits.push(rules_edit(text, list, rules)?);
            yaml::line_start(text, yaml::start(key.at))
        }
        None => {
            let added = rules.iter().map(|rule| format!("  - {}\n", rule.yaml()));
            let added = format!("rules:\n{}", added.collect::<String>());
            edits.push(Edit::insert(text.len(), added));
            text.len()
        }
    };
    let scopes: Vec<String> = rules.iter().flat_map(SuggestedRule::scopes_yaml).collect();
    if !scopes.is_empty() {
        let section = yaml::get(&root, "scopes");
        let edit = match section {
            Some(section) => scopes_edit(text, section, &scopes)?,
            None => Edit::insert(rules_key, format!("scopes:\n  {}\n", scopes.join("\n  "))),
        };
        // In front of a section `rules` that is added at the end as well.
        edits.insert(0, edit);
    }
    if let Some(first) = edits.iter_mut().find(|edit| edit.start == text.len())
        && !text.ends_with('\n')
        && !first.text.starts_with('\n')
    {
        first.text.insert(0, '\n');
    }
    fix::preview(text, &edits)
}

/// Behind the last rule: a line of a block, or an item in brackets.
fn rules_edit(text: &str, list: &Node, rules: &[SuggestedRule]) -> Option<Edit> {
    let items = yaml::items(list);
    if yaml::is_in_braces(text, list) {
        let all: Vec<String> = rules.iter().map(SuggestedRule::yaml).collect();
        let all = all.join(", ");
        return Some(match items.last() {
            Some(last) => Edit::insert(yaml::last_byte(text, last), format!(", {all}")),
            None => Edit::insert(yaml::start(list.at).saturating_add(1), all),
        });
    }
    let last = items.last()?;
    let first_line = yaml::line_start(text, yaml::start(last.at));
    let indent = text
        .get(first_line..yaml::start(last.at))?
        .split('-')
        .next()?;
    if !indent.trim().is_empty() {
        return None;
    }
    let added = rules
        .iter()
        .map(|rule| format!("{indent}- {}\n", rule.yaml()));
    let added: String = added.collect();
    // The last rule ends where a line begins that belongs to no item: in front of a comment, a key, the end.
    let end = yaml::last_byte(text, last).min(text.len());
    let rest = text.get(end..)?;
    Some(match rest.find('\n') {
        Some(line) => Edit::insert(end.saturating_add(line).saturating_add(1), added),
        None => Edit::insert(text.len(), format!("\n{added}")),
    })
}

/// In front of the first scope.
fn scopes_edit(text: &str, section: &Node, scopes: &[String]) -> Option<Edit> {
    let first = yaml::entries(section).next();
    if yaml::is_in_braces(text, section) {
        let all = scopes.join(", ");
        return Some(match first {
            Some((key, _)) => Edit::insert(yaml::start(key.at), format!("{all}, ")),
            None => Edit::insert(yaml::start(section.at).saturating_add(1), all),
        });
    }
    let (first, _) = first?;
    let indent = " ".repeat(usize::try_from(first.at.column).ok()?.saturating_sub(1));
    let added: String = scopes
        .iter()
        .map(|scope| format!("{scope}\n{indent}"))
        .collect();
    Some(Edit::insert(yaml::start(first.at), added))
}

/// Takes out the patterns that others of the same argument hold.
fn only_needed(patterns: &mut BTreeSet<String>) {
    let all = patterns.clone();
    patterns.retain(|pattern| {
        let is_held_by = |other: &String| {
            let Some(top) = other.strip_suffix("**") else {
                return false;
            };
            // `P/**` is `P` as well.
            other != pattern && (pattern.starts_with(top) || top.strip_suffix('/') == Some(pattern))
        };
        !all.iter().any(is_held_by)
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: &str = "version: 1
name: readers
use: [lictor/files@1, lictor/pytest@1]
scopes:
  # What may be read.
  docs: [\"docs/**\"]
  keys: [\"**/*.pem\"]
rules:
  # Everybody may.
  - id: read-docs
    allow: filesystem.read_file
    within: docs   # all of them
  - {id: no-keys, deny: \"*\", touching: keys}  # nobody
tests: []
";

    fn asked(action: &str, path: &str) -> (Request, Context) {
        let request = Request::named("filesystem", action).with_arg("path", path);
        (request, Context::new("ci"))
    }

    #[track_caller]
    fn suggested(text: &str, asked: &[(Request, Context)]) -> Suggestions {
        let policy = CompiledPolicy::from_yaml(text).unwrap_or_else(|errors| panic!("{errors}"));
        suggest(&policy, asked, &|path| !path.as_str().contains('.'))
    }

    #[test]
    fn what_is_suggested_allows_what_was_asked_and_nothing_beside_it() {
        let asked = [
            asked("read_file", "src/a.rs"),
            asked("read_file", "src/[b].rs"),
            asked("read_file", "src/a.rs"),
            asked("write_file", "out"),
        ];
        let flow = BLOCK.replace(
            "scopes:\n  # What may be read.\n  docs: [\"docs/**\"]\n  keys: [\"**/*.pem\"]\n",
            "scopes: {docs: [\"docs/**\"], keys: [\"**/*.pem\"]}\n",
        );
        for text in [BLOCK, &flow] {
            let found = suggested(text, &asked);
            assert_eq!(found.rules.len(), 2);
            assert_eq!(found.rules[0].requests, 3);
            let new = found.text.unwrap();
            let policy =
                CompiledPolicy::from_yaml(&new).unwrap_or_else(|errors| panic!("{new}\n{errors}"));
            let effect = |action: &str, path: &str, actor: &str| {
                let request = Request::named("filesystem", action).with_arg("path", path);
                decide(&policy, &request, &Context::new(actor)).effect()
            };
            assert_eq!(effect("read_file", "src/a.rs", "ci"), Effect::Allow);
            assert_eq!(effect("read_file", "src/[b].rs", "ci"), Effect::Allow);
            assert_eq!(effect("write_file", "out/x/y", "ci"), Effect::Allow);
            assert_eq!(effect("read_file", "src/b.rs", "ci"), Effect::Deny);
            assert_eq!(effect("read_file", "src/a.rs", "me"), Effect::Deny);
            assert_eq!(effect("write_file", "src/a.rs", "ci"), Effect::Deny);
            assert!(new.contains("# nobody\n") && new.contains("# all of them\n"));
        }
    }

    #[test]
    fn what_a_rule_denies_or_no_path_may_be_is_never_suggested() {
        let found = suggested(
            BLOCK,
            &[
                asked("read_file", "src/key.pem"),
                asked("read_file", "../x"),
                asked("write_file", "lictor.yaml"),
                asked("read_file", "docs/a.md"),
                (
                    Request::argv(["pytest", "--rootdir=/", "x"]),
                    Context::new("ci"),
                ),
            ],
        );
        assert!(found.rules.is_empty() && found.text.is_none());
        let left: Vec<_> = found.left.keys().copied().collect();
        assert_eq!(
            left,
            [
                "ARGUMENT_UNKNOWN",
                "DENIED_BY_RULE",
                "PATH_TRAVERSAL_DENIED",
                "SELF_PROTECTED"
            ]
        );
        assert_eq!(found.settled, 1);
        let anybody = asked("read_file", "src/a.rs").0.with_actor("*");
        let found = suggested(BLOCK, &[(anybody, Context::new("ci"))]);
        assert!(found.rules.is_empty());
    }

    #[test]
    fn every_layout_has_room() {
        let head = "version: 1\nname: x\nuse: [lictor/files@1, lictor/npm@1]\n";
        for rest in [
            "rules: []\n",
            "rules: [ ]",
            "scopes: {}\nrules: []\n",
            "",
            "# The end.\n",
            "description: no end of line",
            "rules:\n  - id: t\n    allow: npm.build\n",
            "rules:\n- id: t\n  allow:\n  - npm.build\n  - npm.test  # all\n  within: s\nscopes:\n  s:\n  - \"a/**\"\n",
            "rules:\n  - id: t\n    allow: npm.build\n    reason: >\n      Several lines,\n      folded.\n\n# Behind.\ntests: []\n",
            "rules:\n  - id: t\n    allow: npm.build\n    reason: \"Several lines,\n      quoted.\"\n    limits:\n      timeout: 10m",
            "rules: [{id: t, allow: npm.build}]\n",
            "rules: [\n  {id: t, allow: npm.build},\n]\ntests: []\n",
            "rules: [{id: t, allow: npm.build}] # one\n",
            "rules:\n  - {id: t, allow: npm.build}\n  # Last words.\n",
            "rules:\n  - {id: t,\n     allow: [npm.build]}\n",
            "\"rules\":\n  - id: t\n    \"allow\": npm.build\n    limits: {timeout: 1m,\n      grace: 1s}\n",
        ] {
            for ends in ["\n", "\r\n"] {
                let text = format!("{head}{rest}").replace('\n', ends);
                let found = suggested(&text, &[asked("read_file", "src/a.rs")]);
                let new = found.text.unwrap_or_else(|| panic!("no room in {text}"));
                let policy = CompiledPolicy::from_yaml(&new)
                    .unwrap_or_else(|errors| panic!("{new}\n{errors}"));
                let (request, context) = asked("read_file", "src/a.rs");
                let decision = decide(&policy, &request, &context);
                assert_eq!(decision.effect(), Effect::Allow, "{new}");
                for line in text.lines() {
                    assert!(
                        new.contains(line)
                            || line.contains("[]")
                            || line.contains("[ ]")
                            || line.contains("}]")
                            || line.contains("{}"),
                        "{line}\n{new}"
                    );
                }
            }
        }
    }

    #[test]
    fn every_preset_has_room() {
        for entry in std::fs::read_dir("policy/presets").unwrap() {
            let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
            let request = Request::named("filesystem", "write_file").with_arg("path", "odd/a.rs");
            let found = suggested(&text, &[(request.clone(), Context::new("ci"))]);
            if found.rules.is_empty() {
                continue;
            }
            let new = found.text.unwrap();
            let policy = CompiledPolicy::from_yaml(&new).unwrap_or_else(|e| panic!("{new}\n{e}"));
            let decision = decide(&policy, &request, &Context::new("ci"));
            assert_eq!(decision.effect(), Effect::Allow, "{new}");
        }
    }

    #[test]
    fn a_pattern_that_another_holds_is_not_suggested_beside_it() {
        let found = suggested(
            BLOCK,
            &[
                asked("read_file", "src/app"),
                asked("read_file", "src/app/a.py"),
                asked("read_file", "src/app.py"),
            ],
        );
        let patterns: Vec<_> = found.rules[0].paths["path"].iter().collect();
        assert_eq!(patterns, ["src/app.py", "src/app/**"]);
    }

    #[test]
    fn scopes_are_added_where_there_are_none() {
        let text = "version: 1
name: x
use: lictor/files@1
tools: {ls: {program: ls, actions: {run: {}}}}
rules:
  - {id: list, allow: ls.run, for: me}
";
        let found = suggested(
            text,
            &[
                asked("read_file", "a.rs"),
                (Request::argv(["ls"]), Context::new("ci")),
            ],
        );
        let new = found.text.unwrap();
        assert!(CompiledPolicy::from_yaml(&new).is_ok(), "{new}");
        assert!(
            new.contains("\n  - {id: suggested-ls-run, allow: ls.run, for: \"ci\""),
            "{new}"
        );
    }
}
