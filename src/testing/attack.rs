//! Hostile requests against a policy of one's own, in a scratch copy of the places it speaks about.

#![forbid(unsafe_code)]

use std::path::Path;

use serde_json::{Value as Json, json};

use super::generate;
use super::oracle::{Oracle, TooLarge};
use super::random::Random;
use super::scratch;
use crate::decision::{Context, Decision, Effect, Request, Value, bytes_json, decide};
use crate::path::{CanonicalPath, Switches};
use crate::policy::CompiledPolicy;
use crate::policy::model::{Action, Argument, Tool};
use crate::resolve::{Surveyed, Workspace, WorkspaceError, resolve_paths};

/// Most breaches that are kept: each is another way through.
const MAX_BREACHES: usize = 20;

/// Settings of an attack on a policy.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Attack {
    /// Where the choices start. The same seed makes the same requests.
    pub seed: u64,
    /// Number of requests to make.
    pub count: u64,
    /// Who asks.
    pub actor: String,
    /// Files of a real tree, relative to its top. They stand in the scratch tree too, empty, and are
    /// asked for like the places that the policy names.
    pub files: Vec<String>,
}

impl Attack {
    /// `count` requests by `actor`, chosen by `seed`.
    #[must_use]
    pub fn new(seed: u64, count: u64, actor: impl Into<String>) -> Attack {
        Attack {
            seed,
            count,
            actor: actor.into(),
            files: Vec::new(),
        }
    }

    /// Adds files that the tree holds. Those that no request may name are left out.
    #[must_use]
    pub fn with_files(mut self, files: impl IntoIterator<Item = String>) -> Attack {
        let is_plain =
            |file: &String| CanonicalPath::parse(file.as_bytes(), &Switches::default()).is_ok();
        self.files.extend(files.into_iter().filter(is_plain));
        self
    }
}

impl Default for Attack {
    fn default() -> Attack {
        Attack::new(0, 10_000, "attacker")
    }
}

/// Result of an attack.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// Number of requests that were made.
    pub tried: u64,
    /// Number of them that were allowed, disk included.
    pub allowed: u64,
    /// Those that should not have been.
    pub breaches: Vec<Breach>,
    /// Number of allowed requests that cannot be judged: too much lies below their paths to look at.
    pub undecided: u64,
    /// Number of places of the policy that were left out: it speaks about too many.
    pub left_out: u64,
}

/// The attacked code: a function that decides requests in a workspace.
///
/// It may only tell lictor's own decisions on, or refuse them: what is allowed is judged by the
/// [`Decision`], by the rules, and by where the paths lead.
pub type Decider<'a> = dyn Fn(&Request, &Context, &Workspace) -> Decision + 'a;

/// A request that is allowed and leads where it should not.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Breach {
    /// The request, without what is not needed.
    pub request: Json,
    /// Where it leads.
    pub why: String,
    /// Changes that were made to a path of the policy's own.
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
    attack_decider(policy, &decide_on_disk(policy), how, directory, progress)
}

/// The decision as a run makes it, but for looking for the program.
fn decide_on_disk(
    policy: &CompiledPolicy,
) -> impl Fn(&Request, &Context, &Workspace) -> Decision + '_ {
    |request, context, workspace| {
        let decision = decide(policy, request, context);
        match decision.effect() {
            Effect::Allow => resolve_paths(policy, decision, context, workspace),
            Effect::Ask | Effect::Deny => decision,
        }
    }
}

/// Attacks whatever decides by a policy: the way in which a program that embeds lictor puts the parts
/// together, for example.
///
/// Here one has forgotten to ask the disk, and links lead out of what is allowed:
///
/// ```
/// use lictor::decision::decide;
/// use lictor::policy::CompiledPolicy;
/// use lictor::resolve::resolve_paths;
/// use lictor::testing::{Attack, attack_decider};
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
/// let how = Attack::new(7, 2_000, "agent");
///
/// let place = tempfile::tempdir()?;
/// let outcome = attack_decider(
///     &policy,
///     &|request, context, _| decide(&policy, request, context),
///     &how,
///     place.path(),
///     &mut |_| {},
/// )?;
/// let breach = outcome.breaches.first().expect("links lead out");
/// assert!(breach.request.to_string().contains("lictor-"), "{}", breach.request);
///
/// let place = tempfile::tempdir()?;
/// let outcome = attack_decider(
///     &policy,
///     &|request, context, workspace| {
///         resolve_paths(&policy, decide(&policy, request, context), context, workspace)
///     },
///     &how,
///     place.path(),
///     &mut |_| {},
/// )?;
/// assert!(outcome.breaches.is_empty() && outcome.allowed > 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// When the scratch tree cannot be made.
pub fn attack_decider(
    policy: &CompiledPolicy,
    decider: &Decider<'_>,
    how: &Attack,
    directory: &Path,
    progress: &mut dyn FnMut(u64),
) -> Result<Outcome, AttackError> {
    let (mut places, left_out) = generate::places(policy);
    for file in &how.files {
        if !places.contains(file) {
            places.push(file.clone());
        }
    }
    let root = scratch::make(directory, policy, &places)?;
    let mut context = Context::new(&how.actor);
    for approval in policy.approvals() {
        context = context.with_approval(&approval.name);
    }
    let attacker = Attacker {
        policy,
        decider,
        context,
        workspace: Workspace::open_root(&root)?,
        oracle: Oracle::new(policy, &how.actor, &root),
        places,
    };
    let outcome = attacker.run(how, progress);
    Ok(Outcome {
        left_out,
        ..outcome
    })
}

struct Attacker<'a> {
    policy: &'a CompiledPolicy,
    decider: &'a Decider<'a>,
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
            undecided: 0,
            left_out: 0,
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
            match self.oracle.objection(&decision) {
                Ok(None) => {}
                Ok(Some(_)) => self.keep(&mut outcome.breaches, request, tricks),
                Err(TooLarge) => outcome.undecided = outcome.undecided.saturating_add(1),
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
        let mut cwd = None;
        let is_own = !target.places.is_empty() && !random.once_in(4);
        let places = if is_own { &target.places } else { &self.places };
        let make = |argument: &Argument, random: &mut Random| {
            if argument.name == target.argument {
                let made = generate::path(places, random);
                tricks.extend(made.tricks);
                // The same place, from a directory on the way to it.
                let slashes = made.bytes.iter().filter(|byte| **byte == b'/').count();
                if cwd.is_none() && slashes > 0 && random.once_in(6) {
                    let nth = random.below(slashes);
                    let mut parts = made.bytes.split(|byte| *byte == b'/');
                    let above: Vec<&[u8]> = parts.by_ref().take(nth.saturating_add(1)).collect();
                    let below: Vec<&[u8]> = parts.collect();
                    cwd = Some(above.join(&b'/'));
                    return Some(below.join(&b'/'));
                }
                Some(made.bytes)
            } else if argument.required {
                random.pick(places).map(|place| place.clone().into_bytes())
            } else {
                None
            }
        };
        let request = generate::request(target.tool, target.action, random, make);
        let request = match cwd {
            Some(cwd) => request.with_cwd(cwd),
            None => request,
        };
        (request, tricks)
    }

    /// The decision, if it allows.
    fn allowed(&self, request: &Request) -> Option<Decision> {
        let decision = (self.decider)(request, &self.context, &self.workspace);
        (decision.effect() == Effect::Allow).then_some(decision)
    }

    fn objection(&self, request: &Request) -> Option<String> {
        self.oracle.objection(&self.allowed(request)?).ok()?
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

/// Copies of the request with one thing less, in each way.
fn smaller(request: &Request) -> Vec<Request> {
    let Some((tool, action, args)) = request.parts() else {
        return Vec::new();
    };
    let from = |cwd: Option<&Vec<u8>>, args: Vec<(String, Value)>| {
        let request = Request::named(tool, action);
        let request = args.into_iter().fold(request, |request, (name, value)| {
            request.with_arg(name, value)
        });
        match cwd {
            Some(cwd) => request.with_cwd(cwd.clone()),
            None => request,
        }
    };
    let cwd = request.cwd.as_ref();
    let changed = |nth: usize, value: Value| {
        let mut changed = args.to_vec();
        if let Some((_, old)) = changed.get_mut(nth) {
            *old = value;
        }
        changed
    };
    let mut found = Vec::new();
    if cwd.is_some() {
        found.push(from(None, args.to_vec()));
    }
    for nth in 0..args.len() {
        let mut fewer = args.to_vec();
        fewer.remove(nth);
        found.push(from(cwd, fewer));
    }
    for (nth, (_, value)) in args.iter().enumerate() {
        match value {
            Value::Text(text) => {
                if let Some(cwd) = cwd {
                    let joined = [cwd.as_slice(), text].join(&b'/');
                    found.push(from(None, changed(nth, Value::Text(joined))));
                }
                let parts: Vec<&[u8]> = text.split(|byte| *byte == b'/').collect();
                for left_out in 0..parts.len() {
                    let mut fewer = parts.clone();
                    fewer.remove(left_out);
                    if !fewer.is_empty() {
                        let fewer = Value::Text(fewer.join(&b'/'));
                        found.push(from(cwd, changed(nth, fewer)));
                    }
                }
            }
            Value::List(values) => {
                for value in values {
                    found.push(from(cwd, changed(nth, value.clone())));
                }
            }
            Value::Null | Value::Flag(_) | Value::Int(_) => {}
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
    let mut json = json!({"tool": tool, "action": action, "args": args, "actor": actor});
    if let (Some(fields), Some(cwd)) = (json.as_object_mut(), &request.cwd) {
        fields.insert("cwd".to_owned(), bytes_json(cwd));
    }
    json
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
    use crate::decision::paths::Decided;
    use crate::reason::Reason;

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

    /// Breaches that an attack on a faulty decider finds.
    fn breaches(text: &str, decider: &Decider<'_>) -> Vec<Breach> {
        let policy = CompiledPolicy::from_yaml(text).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let how = Attack::new(1, 1_500, "attacker");
        let found = attack_decider(&policy, decider, &how, directory.path(), &mut |_| {});
        let found = found.unwrap();
        for breach in &found.breaches {
            // What is reported is the request that was refused to be let through, as a person sends it.
            let line = breach.request.to_string();
            let (_, request) = Request::from_json(&line).unwrap();
            assert!(request.parts().is_some(), "{line}");
        }
        found.breaches
    }

    #[test]
    fn a_decider_that_never_asks_the_disk_is_caught_with_the_shortest_of_its_requests() {
        let policy = CompiledPolicy::from_yaml(POLICY).unwrap();
        let found = breaches(POLICY, &|request, context, _| {
            decide(&policy, request, context)
        });
        for why in ["leads out of the workspace", "leads to `", "holds `"] {
            assert!(
                found.iter().any(|breach| breach.why.contains(why)),
                "{why}: {found:#?}"
            );
        }
        for breach in &found {
            // Nothing is left in it that could be left out: no options, no detours.
            let request = breach.request.to_string();
            let args = breach.request["args"].as_object().unwrap();
            assert!(args.len() <= 3, "{request}");
            for path in ["path", "target", "dir"]
                .iter()
                .filter_map(|name| args.get(*name))
            {
                assert!(path.as_str().unwrap().split('/').count() <= 3, "{request}");
            }
        }
    }

    #[test]
    fn requests_start_elsewhere_and_name_several_paths_too() {
        let policy = CompiledPolicy::from_yaml(POLICY).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let seen = std::cell::Cell::new((0, 0));
        let counting: &Decider<'_> = &|request, context, workspace| {
            let decision = decide_on_disk(&policy)(request, context, workspace);
            let (from_elsewhere, of_several) = seen.get();
            let is_allowed = decision.effect() == Effect::Allow;
            let is_several = |plan: &crate::decision::Plan| plan.paths.len() > 1;
            seen.set((
                from_elsewhere + u32::from(is_allowed && request.cwd.is_some()),
                of_several + u32::from(is_allowed && decision.plan().is_some_and(is_several)),
            ));
            decision
        };
        let how = Attack::new(3, 1_200, "attacker");
        let outcome = attack_decider(&policy, counting, &how, directory.path(), &mut |_| {});
        assert_eq!(outcome.unwrap().breaches.len(), 0);
        let (from_elsewhere, of_several) = seen.get();
        assert!(from_elsewhere > 0 && of_several > 0, "{seen:?}");
    }

    #[test]
    fn a_decider_that_forgets_a_rule_is_caught() {
        let lax = POLICY.replace("  - {id: no-secrets, deny: \"*\", touching: secrets}\n", "");
        assert_ne!(lax, POLICY);
        let lax = CompiledPolicy::from_yaml(&lax).unwrap();
        let found = breaches(POLICY, &decide_on_disk(&lax));
        assert!(
            found
                .iter()
                .any(|breach| breach.why.contains("`no-secrets`")),
            "{found:#?}"
        );
    }

    #[test]
    fn a_decider_with_a_wider_scope_is_caught() {
        let wide = POLICY.replace("\"runtime/tests/**\"", "\"**\"");
        let wide = CompiledPolicy::from_yaml(&wide).unwrap();
        let found = breaches(POLICY, &decide_on_disk(&wide));
        let why = |breach: &Breach| breach.why.contains("which no scope holds");
        assert!(found.iter().any(why), "{found:#?}");
    }

    #[test]
    fn a_decider_that_forgets_to_look_below_directories_is_caught() {
        let policy = CompiledPolicy::from_yaml(POLICY).unwrap();
        // One that opens what is named, and takes a directory for a file.
        let found = breaches(POLICY, &|request, context, workspace| {
            let decision = decide(&policy, request, context);
            let opens = decision.plan().is_some_and(|plan| {
                let open = |path: &Decided| workspace.open(&path.canonical, policy.disk_rules());
                plan.paths.iter().all(|path| match open(path) {
                    Ok(opened) => opened.real().is_none(),
                    Err(_) => false,
                })
            });
            match opens {
                true => decision,
                false => decision.denied(Reason::PathNotFound, "not there"),
            }
        });
        let why = |breach: &Breach| breach.why.contains("holds `");
        assert!(found.iter().any(why), "{found:#?}");
    }

    #[test]
    fn the_files_of_a_real_tree_are_attacked_too() {
        let text = "version: 1
name: attacked
use: lictor/files@1
scopes: {some: \"**/notes.txt\"}
rules: [{id: some, allow: filesystem.read_file, within: some}]
";
        let policy = CompiledPolicy::from_yaml(text).unwrap();
        let files = ["ours/deep/notes.txt", "ours/other", "../out", "a//b"];
        let how = Attack::new(1, 300, "attacker").with_files(files.map(str::to_owned));
        assert_eq!(how.files, ["ours/deep/notes.txt", "ours/other"]);
        let directory = tempfile::tempdir().unwrap();
        let asked = std::cell::Cell::new(0);
        let decider: &Decider<'_> = &|request, context, workspace| {
            let decision = decide_on_disk(&policy)(request, context, workspace);
            let is_ours = decision.effect() == Effect::Allow
                && decision
                    .to_json()
                    .to_string()
                    .contains("ours/deep/notes.txt");
            asked.set(asked.get() + u32::from(is_ours));
            decision
        };
        let outcome = attack_decider(&policy, decider, &how, directory.path(), &mut |_| {});
        assert_eq!(outcome.unwrap().breaches.len(), 0);
        assert!(asked.get() > 0, "the real file is asked for, and is there");
        assert!(directory.path().join("work/ours/lictor-out").is_symlink());
    }

    #[test]
    fn the_same_seed_makes_the_same_attack() {
        let policy = CompiledPolicy::from_yaml(POLICY).unwrap();
        let faulty: &Decider<'_> = &|request, context, _| decide(&policy, request, context);
        let requests = || {
            let found = breaches(POLICY, faulty);
            found
                .into_iter()
                .map(|breach| breach.request)
                .collect::<Vec<_>>()
        };
        assert_eq!(requests(), requests());
    }

    #[test]
    fn what_is_too_much_to_attack_is_counted() {
        let scopes: String = (0..400).map(|n| format!("\"d{n}/**\", ")).collect();
        let policy = format!(
            "version: 1\nname: large\nuse: lictor/files@1\nscopes: {{all: [{scopes}\"x\"]}}\n\
             rules: [{{id: all, allow: \"filesystem.*\", within: all}}]\n"
        );
        let policy = CompiledPolicy::from_yaml(&policy).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let how = Attack::new(1, 10, "attacker");
        let outcome = attack(&policy, &how, directory.path(), &mut |_| {}).unwrap();
        assert!(outcome.left_out > 100, "{}", outcome.left_out);
    }

    #[test]
    fn the_oracle_objects_where_a_decider_without_the_disk_would_allow() {
        // The decision alone follows no links: what it allows is objected to as soon as one leads out.
        let policy = CompiledPolicy::from_yaml(POLICY).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let (places, _) = generate::places(&policy);
        let root = scratch::make(directory.path(), &policy, &places).unwrap();
        let oracle = Oracle::new(&policy, "attacker", &root);
        let objection = |path: &str| {
            let request = Request::named("filesystem", "read_file").with_arg("path", path);
            let decision = decide(&policy, &request, &Context::new("attacker"));
            assert_eq!(decision.effect(), Effect::Allow, "{path}");
            oracle.objection(&decision).unwrap()
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
