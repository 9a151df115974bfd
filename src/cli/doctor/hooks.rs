//! The agents' part of `lictor doctor`: which settings call the hook, whether that would hold, and what it answers.
//!
//! A hook is called only if it is this very program: settings of a project are somebody else's words.

#![forbid(unsafe_code)]

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use serde_json::{Value as Json, json};
use sha2::{Digest as _, Sha256};

use crate::agents::{Agent, Sample, SettingsPlace};
use crate::cli::discover;
use crate::executor::ask;
use crate::governor::LoadedPolicy;
use crate::log::read::{self, Filter};
use crate::record::Calls;
use crate::resolve::Below;

/// Commands that look at nothing secret: one of them is allowed by most policies.
const HARMLESS: &[&str] = &["ls", "pwd", "git status", "date"];

/// The hook in one file of settings.
pub(super) struct Hook {
    agent: &'static Agent,
    file: PathBuf,
    problems: Vec<String>,
    /// Calls that were tried, and their results.
    tried: Vec<String>,
}

/// Looks at the settings of all agents, of this project and of this user.
pub(super) fn look() -> Vec<Hook> {
    let project = discover::current_directory().ok();
    let home = discover::user_home();
    let mut found = Vec::new();
    for agent in Agent::all() {
        let setup = agent.setup();
        let files = [
            project
                .as_deref()
                .map(|top| Below::new(top, setup.project())),
            home.as_deref().map(|top| Below::new(top, setup.user())),
        ];
        let mut seen: Vec<PathBuf> = Vec::new();
        for file in files.into_iter().flatten() {
            let path = file.whole();
            if seen.contains(&path) {
                continue;
            }
            seen.push(path.clone());
            let mut hook = Hook {
                agent,
                file: path,
                problems: Vec::new(),
                tried: Vec::new(),
            };
            let text = match file.read() {
                Ok(None) => continue,
                Ok(Some(text)) => text,
                Err(why) => {
                    hook.problems.push(why);
                    found.push(hook);
                    continue;
                }
            };
            match agent.installed_in(&text) {
                Ok(None) => continue,
                Ok(Some(installed)) => {
                    hook.problems = installed.problems;
                    hook.switched_off(project.as_deref(), home.as_deref());
                    hook.command(&installed.words);
                }
                Err(why) => hook.problems.push(why),
            }
            found.push(hook);
        }
    }
    found
}

impl Hook {
    pub(super) fn json(&self) -> Json {
        json!({
            "agent": self.agent.name(),
            "file": self.file.display().to_string(),
            "problems": self.problems,
            "tried": self.tried,
        })
    }

    pub(super) fn print(&self) {
        answer!("  {} in {}", self.agent.name(), self.file.display());
        for tried in &self.tried {
            answer!("    {tried}");
        }
        for problem in &self.problems {
            answer!("    to do: {problem}");
        }
    }

    fn problem(&mut self, text: impl Into<String>) {
        self.problems.push(text.into());
    }

    fn switched_off(&mut self, project: Option<&Path>, home: Option<&Path>) {
        for (place, file, words) in self.agent.setup().off() {
            let top = match place {
                SettingsPlace::Project => project,
                SettingsPlace::Home => home,
                SettingsPlace::Machine => Some(Path::new("/")),
            };
            let Some(file) = top.map(|top| Below::new(top, *file)) else {
                continue;
            };
            let text = file.read().ok().flatten().unwrap_or_default();
            let mut lines = text
                .lines()
                .map(|line| line.split_whitespace().collect::<String>());
            if lines.any(|line| !line.starts_with('#') && line.contains(words)) {
                let file = file.whole().display().to_string();
                self.problem(format!("`{words}` in {file} switches hooks off"));
            }
        }
    }

    /// Looks at the command, and tries it.
    fn command(&mut self, words: &[String]) {
        let Some((program, args)) = words.split_first() else {
            return;
        };
        let program = Path::new(program);
        if !program.is_absolute() {
            self.problem("the program is not named by its absolute path: an agent looks it up wherever it is");
            return;
        }
        let own = discover::program().and_then(std::fs::metadata);
        match (std::fs::metadata(program), own) {
            (Ok(named), Ok(own)) if (named.dev(), named.ino()) == (own.dev(), own.ino()) => {}
            (Ok(_), _) => {
                self.problem("the settings name another program than this one, which is not called here: run `doctor` with that one");
                return;
            }
            (Err(error), _) => {
                self.problem(format!("the program cannot be found: {error}"));
                return;
            }
        }
        let value = |name: &str| {
            let mut pairs = args.iter().zip(args.iter().skip(1));
            let glued = args
                .iter()
                .find_map(|arg| arg.strip_prefix(name)?.strip_prefix('='));
            let value = pairs
                .find(|(one, _)| *one == name)
                .map(|(_, next)| next.as_str());
            value.or(glued)
        };
        if args.iter().any(|arg| arg == "--observe") {
            self.problem("`--observe`: decisions are recorded, and nothing is blocked");
        }
        let Some(policy) = value("--policy").map(Path::new) else {
            self.problem("no policy is named: every call is blocked");
            return;
        };
        if !policy.is_absolute() {
            self.problem("the policy is not named by its absolute path: every call is blocked");
            return;
        }
        let loaded = match discover::load_file(policy, Path::new("/")) {
            Ok(loaded) => loaded,
            Err(failure) => {
                let why = failure.plain();
                let why = why.lines().next().unwrap_or_default().to_owned();
                self.problem(format!(
                    "the policy cannot be used, so every call is blocked: {why}"
                ));
                return;
            }
        };
        let ledger = value("--ledger").map_or_else(|| loaded.ledger.clone(), PathBuf::from);
        self.fire(program, args, policy, &loaded, &ledger);
    }

    /// Calls the hook as the agent does: with a call that every policy denies, and with a harmless one.
    fn fire(
        &mut self,
        program: &Path,
        args: &[String],
        policy: &Path,
        loaded: &LoadedPolicy,
        ledger: &Path,
    ) {
        let top = &loaded.workspace;
        let setup = self.agent.setup();
        let cwd = top.display().to_string();
        let target = policy.display().to_string();
        let denied = setup.sample(&cwd, &Sample::Write(&target)).to_string();
        let answer = match ask(program, args, top, &denied) {
            Ok(answer) => answer,
            Err(error) => {
                self.problem(format!("the hook cannot be started: {error}"));
                return;
            }
        };
        let took = answer.took.as_millis();
        let is_json =
            serde_json::from_str::<Json>(&answer.stdout).is_ok_and(|json| json.is_object());
        let reason = answer.stderr.lines().next().unwrap_or_default();
        match (answer.code, is_json, reason.is_empty()) {
            (Some(2), true, false) => self.tried.push(format!(
                "a write to the policy is blocked, in {took} ms: {reason}"
            )),
            (code, ..) => self.problem(format!(
                "a write to the policy is not blocked: exit code {code:?}, {reason}"
            )),
        }
        self.recorded(&denied, ledger);
        for command in HARMLESS {
            let message = setup.sample(&cwd, &Sample::Shell(command)).to_string();
            let Ok(answer) = ask(program, args, top, &message) else {
                continue;
            };
            if answer.code == Some(0) {
                let took = answer.took.as_millis();
                self.tried
                    .push(format!("`{command}` is let through, in {took} ms"));
                self.recorded(&message, ledger);
                return;
            }
        }
        self.tried.push(format!(
            "none of {} is allowed by the policy",
            HARMLESS.join(", ")
        ));
    }

    /// Looks for a call in the record.
    fn recorded(&mut self, message: &str, ledger: &Path) {
        let digest = HEXLOWER.encode(&Sha256::digest(message.as_bytes()));
        let mut calls = Calls::default();
        if let Ok(Some(entries)) = read::show(ledger, Filter::default()) {
            for entry in entries.flatten().filter_map(|shown| shown.entry.ok()) {
                calls.add(&entry);
            }
        }
        let is_it = |call: &Json| call.get("input_sha256").and_then(Json::as_str) == Some(&digest);
        if !calls.all().iter().any(|call| is_it(&call.call)) {
            let ledger = ledger.display();
            self.problem(format!("the call is not in the record in {ledger}"));
        }
    }
}

/// Facts that no look at a machine can tell.
pub(super) fn not_known(hooks: &[Hook]) -> Vec<&'static str> {
    let mut lines = vec![
        "not known: if an agent that runs now has read these settings since they changed, and if it calls hooks at all",
    ];
    if hooks.iter().any(|hook| hook.agent.name() == "codex") {
        lines.push(
            "not known: if a person has approved the hook in Codex (`/hooks`), which skips others",
        );
    }
    lines
}
