//! Hostile requests against a policy of one's own, in a scratch copy of the places it speaks about.

#![forbid(unsafe_code)]

use std::path::Path;

use serde_json::{Value as Json, json};

use super::generate;
use super::oracle::Oracle;
use super::random::Random;
use super::scratch;
use crate::decision::{Context, Decision, Effect, Request, Value, bytes_json, decide};
use crate::policy::CompiledPolicy;
use crate::policy::model::{Action, Argument, Tool};
use crate::resolve::{Surveyed, Workspace, WorkspaceError, resolve_paths};

/// Most breaches that are kept: each is another way through.
const MAX_BREACHES: usize = 20;

/// How a policy is attacked.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Attack {
    /// Where the choices start. The same seed makes the same requests.
    pub seed: u64,
    /// How many requests are made.
    pub count: u64,
    /// Who asks.
    pub actor: String,
}

impl Attack {
    /// `count` requests by `actor`, chosen by `seed`.
    #[must_use]
    pub fn new(seed: u64, count: u64, actor: impl Into<String>) -> Attack {
        Attack {
            seed,
            count,
            actor: actor.into(),
        }
    }
}

impl Default for Attack {
    fn default() -> Attack {
        Attack::new(0, 10_000, "attacker")
    }
}

/// What came of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// How many requests were made.
    pub tried: u64,
    /// How many of them were allowed, disk included.
    pub allowed: u64,
    /// Those that should not have been.
    pub breaches: Vec<Breach>,
}

/// A request that is allowed and leads where it should not.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Breach {
    /// The request, without what is not needed.
    pub request: Json,
    /// Where it leads.
    pub why: String,
    /// What was done to a path of the policy's own.
    pub tricks: Vec<&'static str>,
}

/// Why a policy could not be attacked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AttackError {
    /// No scratch tree could be made.
    #[error("no scratch tree can be made: {0}")]
    Scratch(#[from] std::io::Error),
    /// The scratch tree cannot be a workspace.
    #[error(transparent)]
    Workspace(#[from] WorkspaceError),
}

/// Attacks a policy. `directory` is empty, and belongs to the attack; `progress` is told how many
/// requests have been made, from time to time.
///
/// All approvals count as granted, so that the rules behind them are attacked too. A request counts as
/// allowed if [`decide`] and the disk agree; programs are not looked for.
///
/// ```
/// use lictor::policy::CompiledPolicy;
/// use lictor::testing::{Attack, attack};
///
/// let policy = CompiledPolicy::from_yaml(
///     "version: 1
/// name: example
/// use: lictor/files@1
/// scopes: {docs: \"docs/**\"}
/// rules:
///   - {id: read-docs, allow: filesystem.read_file, within: docs}
/// ",
/// )?;
/// let directory = tempfile::tempdir()?;
/// let how = Attack::new(7, 200, "agent");
/// let outcome = attack(&policy, &how, directory.path(), &mut |_| {})?;
/// assert!(outcome.breaches.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// When the scratch tree cannot be made.
pub fn attack(
    policy: &CompiledPolicy,
    how: &Attack,
    directory: &Path,
    progress: &mut dyn FnMut(u64),
) -> Result<Outcome, AttackError> {
    let root = scratch::make(directory, policy)?;
    let mut context = Context::new(&how.actor);
    for approval in policy.approvals() {
        context = context.with_approval(&approval.name);
    }
    let attacker = Attacker {
        policy,
        context,
        workspace: Workspace::open_root(&root)?,
        oracle: Oracle {
            policy,
            actor: &how.actor,
            root: &root,
        },
        places: generate::places(policy),
    };
    Ok(attacker.run(how, progress))
}

struct Attacker<'a> {
    policy: &'a CompiledPolicy,
    context: Context,
    workspace: Workspace,
    oracle: Oracle<'a>,
    places: Vec<String>,
}

/// An argument that is attacked, and the places that are allowed for it.
struct Target<'a> {
    tool: &'a Tool,
    action: &'a Action,
    argument: String,
    places: Vec<String>,
}

impl Attacker<'_> {
    fn run(&self, how: &Attack, progress: &mut dyn FnMut(u64)) -> Outcome {
        let mut outcome = Outcome {
            tried: 0,
            allowed: 0,
            breaches: Vec::new(),
        };
        let targets = self.targets(&how.actor);
        let mut random = Random::new(how.seed);
        while outcome.tried < how.count && outcome.breaches.len() < MAX_BREACHES {
            let Some(target) = random.pick(&targets) else {
                break;
            };
            let (request, tricks) = self.request(target, &mut random);
            outcome.tried = outcome.tried.saturating_add(1);
            if outcome.tried.is_multiple_of(512) {
                progress(outcome.tried);
            }
            let Some(decision) = self.allowed(&request) else {
                continue;
            };
            outcome.allowed = outcome.allowed.saturating_add(1);
            if self.oracle.objection(&decision).is_some() {
                self.keep(&mut outcome.breaches, request, tricks);
            }
        }
        progress(outcome.tried);
        outcome
    }

    fn targets(&self, actor: &str) -> Vec<Target<'_>> {
        let mut targets = Vec::new();
        for surveyed in Surveyed::of(self.policy, actor, None, None) {
            let tools = self.policy.tools();
            let Some(tool) = tools.iter().find(|tool| tool.name == surveyed.tool) else {
                continue;
            };
            let mut actions = tool.actions.iter();
            let Some(action) = actions.find(|action| action.name == surveyed.action) else {
                continue;
            };
            let (of_tool, number) = surveyed.numbers();
            let is_allowed = |place: &&String| {
                let (argument, place) = (&surveyed.argument, place.as_bytes());
                self.oracle.is_allowed(of_tool, number, argument, place)
            };
            targets.push(Target {
                tool,
                action,
                places: self.places.iter().filter(is_allowed).cloned().collect(),
                argument: surveyed.argument,
            });
        }
        targets
    }

    fn request(&self, target: &Target<'_>, random: &mut Random) -> (Request, Vec<&'static str>) {
        let mut tricks = Vec::new();
        let is_own = !target.places.is_empty() && !random.once_in(4);
        let places = if is_own { &target.places } else { &self.places };
        let make = |argument: &Argument, random: &mut Random| {
            if argument.name == target.argument {
                let made = generate::path(places, random);
                tricks = made.tricks;
                Some(made.bytes)
            } else if argument.required {
                random.pick(places).map(|place| place.clone().into_bytes())
            } else {
                None
            }
        };
        let request = generate::request(target.tool, target.action, random, make);
        (request, tricks)
    }

    /// The decision, if it allows and the disk agrees.
    fn allowed(&self, request: &Request) -> Option<Decision> {
        let decision = decide(self.policy, request, &self.context);
        if decision.effect() != Effect::Allow {
            return None;
        }
        let decision = resolve_paths(self.policy, decision, &self.context, &self.workspace);
        (decision.effect() == Effect::Allow).then_some(decision)
    }

    fn objection(&self, request: &Request) -> Option<String> {
        self.oracle.objection(&self.allowed(request)?)
    }

    /// Keeps the breach, made as small as it gets, unless it is known.
    fn keep(&self, breaches: &mut Vec<Breach>, request: Request, tricks: Vec<&'static str>) {
        let request = self.smallest(request);
        let Some(why) = self.objection(&request) else {
            return;
        };
        let request = request_json(&request, self.context.actor());
        if !breaches.iter().any(|known| known.request == request) {
            breaches.push(Breach {
                request,
                why,
                tricks,
            });
        }
    }

    /// Leaves arguments and parts of paths away as long as the request still leads where it should not.
    fn smallest(&self, mut request: Request) -> Request {
        while let Some(smaller) = smaller(&request)
            .into_iter()
            .find(|smaller| self.objection(smaller).is_some())
        {
            request = smaller;
        }
        request
    }
}

/// The same request with one thing less, in each way.
fn smaller(request: &Request) -> Vec<Request> {
    let Some((tool, action, args)) = request.parts() else {
        return Vec::new();
    };
    let with = |args: Vec<(String, Value)>| {
        let request = Request::named(tool, action);
        args.into_iter().fold(request, |request, (name, value)| {
            request.with_arg(name, value)
        })
    };
    let mut found = Vec::new();
    for nth in 0..args.len() {
        let mut fewer = args.to_vec();
        fewer.remove(nth);
        found.push(with(fewer));
    }
    for (nth, (_, value)) in args.iter().enumerate() {
        let Value::Text(text) = value else { continue };
        let parts: Vec<&[u8]> = text.split(|byte| *byte == b'/').collect();
        for left_out in 0..parts.len() {
            let mut fewer = parts.clone();
            fewer.remove(left_out);
            let mut changed = args.to_vec();
            if let Some((_, value)) = changed.get_mut(nth)
                && !fewer.is_empty()
            {
                *value = Value::Text(fewer.join(&b'/'));
                found.push(with(changed));
            }
        }
    }
    found
}

/// The request as `check --batch` reads it.
fn request_json(request: &Request, actor: &str) -> Json {
    let Some((tool, action, args)) = request.parts() else {
        return Json::Null;
    };
    let args: serde_json::Map<String, Json> = args
        .iter()
        .map(|(name, value)| (name.clone(), value_json(value)))
        .collect();
    json!({"tool": tool, "action": action, "args": args, "actor": actor})
}

fn value_json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Flag(given) => json!(given),
        Value::Int(number) => json!(number),
        Value::Text(text) => bytes_json(text),
        Value::List(values) => values.iter().map(value_json).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = "version: 1
name: attacked
use: [lictor/files@1, lictor/pytest@1, lictor/git@1]
paths: {symlinks: within}
scopes: {repo: \"**\", tests: \"runtime/tests/**\", secrets: [\"**/.env*\", \"secrets/**\"]}
rules:
  - {id: files, allow: \"filesystem.*\", within: repo}
  - {id: tests, allow: pytest.run, within: tests}
  - {id: git, allow: \"git.*\", within: repo}
  - {id: no-secrets, deny: \"*\", touching: secrets}
";

    #[test]
    fn the_decider_stands_and_the_attack_is_not_idle() {
        let policy = CompiledPolicy::from_yaml(POLICY).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let how = Attack {
            count: 3_000,
            ..Attack::default()
        };
        let outcome = attack(&policy, &how, directory.path(), &mut |_| {}).unwrap();
        assert!(outcome.breaches.is_empty(), "{:#?}", outcome.breaches);
        assert_eq!(outcome.tried, 3_000);
        assert!(outcome.allowed > 50, "{}", outcome.allowed);
    }

    #[test]
    fn the_oracle_objects_where_a_decider_without_the_disk_would_allow() {
        // The decision alone follows no links: what it allows is objected to as soon as one leads out.
        let policy = CompiledPolicy::from_yaml(POLICY).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let root = scratch::make(directory.path(), &policy).unwrap();
        let oracle = Oracle {
            policy: &policy,
            actor: "attacker",
            root: &root,
        };
        let objection = |path: &str| {
            let request = Request::named("filesystem", "read_file").with_arg("path", path);
            let decision = decide(&policy, &request, &Context::new("attacker"));
            assert_eq!(decision.effect(), Effect::Allow, "{path}");
            oracle.objection(&decision)
        };
        assert!(
            root.join("lictor-out/secret").exists() && root.join("src/lictor-abs/secret").exists()
        );
        assert_eq!(objection("src/a"), None);
        for path in ["lictor-out/secret", "src/lictor-abs/secret"] {
            let why = objection(path).unwrap_or_else(|| panic!("{path}"));
            assert!(why.contains("leads out of the workspace"), "{why}");
        }
        assert!(objection("lictor-denied").unwrap().contains("`no-secrets`"));
    }
}
