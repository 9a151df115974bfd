//! A second judgement of an allowed request: asked of the disk and of the rules in the plainest way, without
//! the code that decides.
//!
//! Where a path leads is what `realpath` says. Which rules speak about that place is found by walking
//! all rules and all patterns, one by one.

#![forbid(unsafe_code)]

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::decision::paths::{CWD, Decided};
use crate::decision::{Decision, Plan, Value};
use crate::policy::glob::Case;
use crate::policy::matcher::ScopeId;
use crate::policy::model::{Access, ArgumentKind, Creates, RuleEffect, Spelling, Tree};
use crate::policy::protection;
use crate::policy::{CompiledPolicy, CompiledRule};

/// Most entries of a tree that are looked at: as many as the decision itself looks at.
const MAX_ENTRIES: usize = 200_000;

/// Most links that are followed by hand, to a place that does not exist yet.
const MAX_LINKS: u32 = 8;

pub(super) struct Oracle<'a> {
    policy: &'a CompiledPolicy,
    actor: &'a str,
    /// The workspace, links resolved.
    root: &'a Path,
}

/// There is more below a path than is looked at, and nothing wrong in what was.
#[derive(Debug)]
pub(super) struct TooLarge;

impl<'a> Oracle<'a> {
    pub(super) fn new(policy: &'a CompiledPolicy, actor: &'a str, root: &'a Path) -> Oracle<'a> {
        Oracle {
            policy,
            actor,
            root,
        }
    }

    /// Why this allowed request should not have been allowed.
    pub(super) fn objection(&self, decision: &Decision) -> Result<Option<String>, TooLarge> {
        let Some(plan) = decision.plan() else {
            return Ok(None);
        };
        for path in &plan.paths {
            if let Some(why) = self.of_path(plan, path)? {
                return Ok(Some(why));
            }
        }
        Ok(self.of_words(decision, plan))
    }

    /// Returns true if some allow rule has a scope that holds the path, for this argument of the action.
    pub(super) fn is_allowed(&self, tool: u32, action: u32, argument: &str, path: &[u8]) -> bool {
        self.rules(tool, action).any(|rule| {
            rule.effect == RuleEffect::Allow
                && match &rule.scope {
                    Some(_) => self.holds(rule, action, argument, path, Case::Exact),
                    None => argument == CWD,
                }
        })
    }

    fn of_path(&self, plan: &Plan, path: &Decided) -> Result<Option<String>, TooLarge> {
        let Some(real) = real(&self.root.join(path.canonical.as_str()), MAX_LINKS) else {
            return Ok(None);
        };
        let shown = path.shown();
        let Ok(below) = real.strip_prefix(self.root) else {
            let outside = real.display().to_string();
            return Ok(Some(format!(
                "`{shown}` leads out of the workspace, to `{}`",
                outside.escape_debug()
            )));
        };
        let below = match below.as_os_str().as_bytes() {
            b"" => b".",
            below => below,
        };
        let place = crate::path::shown(below);
        if !self.is_allowed(plan.tool, plan.action, &path.argument, below) {
            return Ok(Some(format!(
                "`{shown}` leads to `{place}`, which no scope holds"
            )));
        }
        if let Some(rule) = self.keeps_out(plan, path, below) {
            return Ok(Some(format!(
                "`{shown}` leads to `{place}`, which rule `{}` keeps out",
                rule.id
            )));
        }
        if path.access == Access::Write
            && let Some(why) = self.of_created(plan, path, &real)?
        {
            return Ok(Some(why));
        }
        // What is copied or moved into a directory leaves what it holds already.
        let is_into = matches!(path.creates, Creates::From(_));
        if path.tree == Tree::Names || is_into || !real.is_dir() {
            return Ok(None);
        }
        let mut seen = 0;
        let found = self.of_tree(plan, path, &real, &mut seen)?;
        Ok(found.map(|(found, rule)| {
            let found = crate::path::shown(found.as_os_str().as_bytes());
            format!("`{shown}` holds `{found}`, which rule `{rule}` keeps out")
        }))
    }

    /// A name that the write makes and that no request may. What git's index tracks is not known here.
    fn of_created(
        &self,
        plan: &Plan,
        path: &Decided,
        real: &Path,
    ) -> Result<Option<String>, TooLarge> {
        let mut made = Vec::new();
        match &path.creates {
            Creates::Itself | Creates::Index => made.push(real.to_owned()),
            Creates::Parents => {
                made.extend(
                    real.ancestors()
                        .take_while(|above| !above.exists())
                        .map(Path::to_owned),
                );
            }
            Creates::From(source) => {
                let sources = plan.paths.iter().filter(|other| other.argument == *source);
                for source in sources {
                    let source = self.root.join(source.canonical.as_str());
                    let to = match source.file_name() {
                        Some(name) if real.is_dir() => real.join(name),
                        _ => real.to_owned(),
                    };
                    copies(&source, &to, &mut made)?;
                }
            }
            Creates::Unknown if real.is_file() => {}
            Creates::Unknown => {
                let shown = path.shown();
                return Ok(Some(format!(
                    "nobody knows which names come to be below `{shown}`"
                )));
            }
        }
        let objection = made.iter().find_map(|made| {
            let place = made.strip_prefix(self.root).ok()?.as_os_str().as_bytes();
            let why = if self.is_guarded(place) {
                "no request may write".to_owned()
            } else if let Some(rule) = self.keeps_out(plan, path, place) {
                format!("rule `{}` keeps out", rule.id)
            } else if !self.is_allowed(plan.tool, plan.action, &path.argument, place) {
                "no scope holds".to_owned()
            } else {
                return None;
            };
            let (shown, place) = (path.shown(), crate::path::shown(place));
            Some(format!("writing `{shown}` makes `{place}`, which {why}"))
        });
        Ok(objection)
    }

    /// Returns true for a place that nothing is written to, whatever the rules say.
    fn is_guarded(&self, place: &[u8]) -> bool {
        let protected = &self.policy.switches().protected;
        let mut names = place.split(|byte| *byte == b'/');
        protection::covers(place)
            || names.any(|name| {
                let mut protected = protected.iter();
                protected.any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
            })
    }

    /// The first entry below that a rule keeps out.
    fn of_tree(
        &self,
        plan: &Plan,
        path: &Decided,
        directory: &Path,
        seen: &mut usize,
    ) -> Result<Option<(PathBuf, String)>, TooLarge> {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            *seen = seen.saturating_add(1);
            if *seen > MAX_ENTRIES {
                return Err(TooLarge);
            }
            let real = entry.path();
            let below = real.strip_prefix(self.root).unwrap_or(&real);
            if let Some(rule) = self.keeps_out(plan, path, below.as_os_str().as_bytes()) {
                return Ok(Some((below.to_owned(), rule.id.clone())));
            }
            if entry.file_type().is_ok_and(|kind| kind.is_dir())
                && let Some(found) = self.of_tree(plan, path, &real, seen)?
            {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The deny rule, or the ask rule that nothing lifts, which speaks about the place.
    fn keeps_out(&self, plan: &Plan, path: &Decided, place: &[u8]) -> Option<&CompiledRule> {
        let is_of = |access: &Option<Vec<Access>>| {
            access
                .as_ref()
                .is_none_or(|accesses| accesses.contains(&path.access))
        };
        let mut rules = self.rules(plan.tool, plan.action);
        rules.find(|rule| {
            let counts = match rule.effect {
                RuleEffect::Deny => true,
                RuleEffect::Ask => rule.approval.is_none(),
                RuleEffect::Allow => false,
            };
            counts
                && is_of(&rule.access)
                && (rule.scope.is_none()
                    || self.holds(rule, plan.action, &path.argument, place, Case::Folded))
        })
    }

    fn rules(&self, tool: u32, action: u32) -> impl Iterator<Item = &CompiledRule> {
        self.policy
            .rules()
            .map(|(_, rule)| rule)
            .filter(move |rule| {
                rule.is_for(self.actor)
                    && rule
                        .selectors
                        .iter()
                        .any(|selector| selector.covers(tool, action))
            })
    }

    fn holds(
        &self,
        rule: &CompiledRule,
        action: u32,
        argument: &str,
        path: &[u8],
        case: Case,
    ) -> bool {
        let is_in = |id: &ScopeId| {
            let scope = usize::try_from(id.0).ok();
            let scope = scope.and_then(|nth| self.policy.scopes().get(nth));
            scope.is_some_and(|scope| {
                let includes = |case| {
                    let mut patterns = scope.include.iter();
                    patterns.any(|pattern| pattern.matches_in(path, case))
                };
                (includes(Case::Exact) || includes(case))
                    && !scope.exclude.iter().any(|pattern| pattern.matches(path))
            })
        };
        let scopes = self.policy.scopes_for(rule, action, argument);
        scopes.is_some_and(|scopes| scopes.iter().any(is_in))
    }

    /// A text that stands where an option could, and would be taken for one.
    fn of_words(&self, decision: &Decision, plan: &Plan) -> Option<String> {
        let nth = |number: u32| usize::try_from(number).ok();
        let tool = self.policy.tools().get(nth(plan.tool)?)?;
        let name = decision.asked().action.as_ref()?;
        let action = tool.actions.iter().find(|action| action.name == *name)?;
        let options = plan.words.iter().take_while(|word| *word != "--");
        let options: Vec<&String> = options.collect();
        let is_kept_from_dashes = |name: &str| {
            tool.arguments(action).any(|argument| {
                argument.name == name
                    && argument.spelling == Spelling::Positional
                    && matches!(argument.kind, ArgumentKind::Text { dash: false, .. })
            })
        };
        for (name, value) in &decision.asked().args {
            for text in texts(value) {
                if text.starts_with(b"-")
                    && is_kept_from_dashes(name)
                    && options.iter().any(|word| word.as_bytes() == text)
                {
                    let text = crate::path::shown(text);
                    return Some(format!("text `{text}` stands where an option could"));
                }
            }
        }
        None
    }
}

fn texts(value: &Value) -> Vec<&[u8]> {
    match value {
        Value::Text(text) => vec![text.as_slice()],
        Value::List(values) => values.iter().flat_map(texts).collect(),
        Value::Null | Value::Flag(_) | Value::Int(_) => Vec::new(),
    }
}

/// The places that a copy of `source` to `to` makes, itself first.
fn copies(source: &Path, to: &Path, made: &mut Vec<PathBuf>) -> Result<(), TooLarge> {
    if made.len() >= MAX_ENTRIES {
        return Err(TooLarge);
    }
    made.push(to.to_owned());
    if source.is_dir() && !source.is_symlink() {
        for entry in std::fs::read_dir(source).into_iter().flatten().flatten() {
            copies(&entry.path(), &to.join(entry.file_name()), made)?;
        }
    }
    Ok(())
}

/// Where a path leads, the last names of which need not exist.
fn real(path: &Path, links: u32) -> Option<PathBuf> {
    if let Ok(real) = path.canonicalize() {
        return Some(real);
    }
    let parent = real(path.parent()?, links)?;
    match std::fs::read_link(path) {
        Ok(target) => real(&parent.join(target), links.checked_sub(1)?),
        Err(_) => Some(parent.join(path.file_name()?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::{Context, Request, decide};

    const POLICY: &str = "version: 1
name: creates
tools:
  copy: {program: cp, actions: {run: {args: {from: {type: path, required: true}, to: {type: path, access: write, creates: {from: from}, required: true}}}}}
  make: {program: mkdir, actions: {run: {args: {path: {type: path, access: write, creates: parents, required: true}}}}}
  out: {program: out, actions: {run: {args: {path: {type: path, access: write, required: true}}}}}
scopes: {work: [\"src/**\", \"deploy/**\", \"new\", \"new/a/b\"], locked: \"deploy/*.yml\"}
rules:
  - {id: work, allow: \"*\", within: work}
  - {id: locked, deny: \"*\", touching: locked, access: write}
";

    #[test]
    fn names_that_a_write_makes_are_asked_about() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().canonicalize().unwrap();
        for file in ["src/prod.yml", "src/a/b.py", "src/g/.git/x", "deploy/c.py"] {
            let file = root.join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, "").unwrap();
        }
        let policy = CompiledPolicy::from_yaml(POLICY).unwrap();
        let oracle = Oracle::new(&policy, "test", &root);
        let check = |line: &[&str], why: Option<&str>| {
            let decision = decide(
                &policy,
                &Request::argv(line.iter().copied()),
                &Context::new("test"),
            );
            assert!(
                decision.plan().is_some(),
                "{line:?}: {}",
                decision.message()
            );
            let objection = oracle.objection(&decision).unwrap();
            match why {
                Some(why) => assert!(
                    objection.as_ref().is_some_and(|told| told.contains(why)),
                    "{line:?}: {objection:?}"
                ),
                None => assert_eq!(objection, None, "{line:?}"),
            }
        };
        check(
            &["cp", "src/prod.yml", "deploy"],
            Some("`deploy/prod.yml`, which rule `locked`"),
        );
        check(&["cp", "src/a", "deploy"], None);
        check(
            &["cp", "src/g", "deploy"],
            Some("`deploy/g/.git`, which no request may write"),
        );
        check(
            &["cp", "src/a", "new"],
            Some("`new/b.py`, which no scope holds"),
        );
        check(&["cp", "src/prod.yml", "src/other.yml"], None);
        check(&["mkdir", "src/x/y"], None);
        check(&["mkdir", "new/a/b"], Some("`new/a`, which no scope holds"));
        check(&["out", "src/a"], Some("nobody knows"));
        check(&["out", "src/prod.yml"], None);
    }
}
