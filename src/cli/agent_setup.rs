//! `lictor init --agent`: the settings by which an agent calls the hook.
//!
//! Nothing is written before all of it is known: the texts, that they can be read again, and that they are wanted.

#![forbid(unsafe_code)]

use std::io::{BufRead as _, IsTerminal as _};
use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};

use super::exit::Exit;
use super::{Failure, Global, discover, print, print_json};
use crate::agents::{Agent, Hooked};
use crate::resolve::Below;
use crate::text::shell;

/// An installation that somebody wants.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    pub(super) agent: &'static Agent,
    pub(super) on_allow: Option<&'a str>,
    pub(super) is_for_user: bool,
    pub(super) is_confirmed: bool,
    pub(super) prints_only: bool,
    /// A policy to write; none if one is there.
    pub(super) policy: Option<Change>,
}

/// A file, as it is and as it is to be.
#[derive(Debug)]
pub(super) struct Change {
    file: Below,
    before: Option<String>,
    after: String,
}

impl Change {
    pub(super) fn new(file: Below, after: String) -> Result<Change, Failure> {
        let before = file.read().map_err(|why| unusable(&file, &why))?;
        Ok(Change {
            file,
            before,
            after,
        })
    }

    fn is_one(&self) -> bool {
        self.before.as_ref() != Some(&self.after)
    }

    fn diff(&self) -> String {
        let before = self.before.as_deref().unwrap_or_default();
        let name = self.file.whole().display().to_string();
        let old = match self.before {
            Some(_) => name.as_str(),
            None => "/dev/null",
        };
        similar::TextDiff::from_lines(before, &self.after)
            .unified_diff()
            .header(old, &name)
            .to_string()
    }

    /// Writes the text; returns the command that undoes it.
    fn write(&self) -> Result<String, Failure> {
        let failed = |file: &Below, why: String| unusable(file, &why);
        let whole = self.file.whole();
        let word = |path: &Path| shell(path.as_os_str().as_encoded_bytes());
        let Some(before) = &self.before else {
            self.file
                .write(None, &self.after, 0o644)
                .map_err(|why| failed(&self.file, why))?;
            return Ok(format!("rm -- {}", word(&whole)));
        };
        let saved = self.save(before)?;
        self.file
            .write(Some(before), &self.after, 0o644)
            .map_err(|why| failed(&self.file, why))?;
        Ok(format!("mv -- {} {}", word(&saved), word(&whole)))
    }

    /// Keeps the text as it was in a file of its own beside it.
    fn save(&self, before: &str) -> Result<PathBuf, Failure> {
        for nth in 1..=99 {
            let copy = self.file.beside(&format!(".before-lictor-{nth}"));
            match copy.read() {
                Ok(None) => {}
                Ok(Some(_)) | Err(_) => continue,
            }
            copy.write(None, before, 0o600)
                .map_err(|why| unusable(&copy, &why))?;
            return Ok(copy.whole());
        }
        let why = "ninety-nine copies lie beside it already: remove those that you do not need";
        Err(unusable(&self.file, why))
    }
}

fn unusable(file: &Below, why: &str) -> Failure {
    let shown = file.whole().display().to_string();
    Failure::new(format!(
        "`{}`: {why}; nothing was written to it",
        shown.escape_debug()
    ))
}

pub(super) fn main(wanted: Wanted<'_>, global: &Global) -> Result<Exit, Failure> {
    let agent = wanted.agent;
    let directory = discover::current_directory()?;
    let policy = match &wanted.policy {
        Some(change) => change.file.whole(),
        None => discover::path(global, &directory)
            .map(|path| directory.join(path))
            .ok_or_else(|| Failure::new("no policy is here and none is to be written"))?,
    };
    let program = discover::program()
        .map_err(|error| Failure::new(format!("this program does not find itself: {error}")))?;
    let program = text(&program)?;
    let mut args = ["hook", agent.name(), "--policy"]
        .map(str::to_owned)
        .to_vec();
    args.push(text(&policy)?);
    if let Some(ledger) = &global.ledger {
        args.extend(["--ledger".to_owned(), text(&directory.join(ledger))?]);
    }
    if let Some(on_allow) = wanted.on_allow {
        args.extend(["--on-allow".to_owned(), on_allow.to_owned()]);
    }
    let hooked = Hooked {
        program: &program,
        args: &args,
    };
    let settings = match wanted.is_for_user {
        false => Below::new(&directory, agent.setup().project()),
        true => {
            let home = discover::user_home()
                .ok_or_else(|| Failure::new("this user has no home directory"))?;
            Below::new(&home, agent.setup().user())
        }
    };
    let before = settings.read().map_err(|why| unusable(&settings, &why))?;
    let after = agent
        .installed(before.as_deref(), &hooked)
        .map_err(|why| unusable(&settings, &why))?;
    let settings = Change {
        file: settings,
        before,
        after,
    };
    let changes: Vec<Change> = wanted.policy.into_iter().chain([settings]).collect();
    let changes: Vec<&Change> = changes.iter().filter(|change| change.is_one()).collect();
    if wanted.prints_only {
        show(&changes, global);
        return Ok(Exit::Good);
    }
    if !global.json {
        show(&changes, global);
    }
    let touches = changes.iter().any(|change| change.before.is_some());
    if touches && !wanted.is_confirmed && !confirmed(global) {
        return Err(Failure::new(
            "a file that is there is to be changed, and nobody has confirmed it: nothing was written\n  help: look at the difference, and say `--yes`",
        ));
    }
    let mut undo = Vec::new();
    for change in &changes {
        let written = change.write();
        match written {
            Ok(command) => undo.push(command),
            Err(failure) if undo.is_empty() => return Err(failure),
            Err(failure) => {
                let undo = undo.join("\n    ");
                return Err(Failure::new(format!(
                    "{}\n  to undo what was written before:\n    {undo}",
                    failure.plain()
                )));
            }
        }
    }
    // What was made last is undone first.
    undo.reverse();
    tell(agent, &changes, &undo, global);
    Ok(Exit::Good)
}

fn text(path: &Path) -> Result<String, Failure> {
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| {
        let shown = path.display().to_string();
        Failure::new(format!(
            "`{}` is not UTF-8, and cannot stand in an agent's settings",
            shown.escape_debug()
        ))
    })
}

fn listed(changes: &[&Change]) -> Vec<Json> {
    let one = |change: &&Change| {
        json!({
            "file": change.file.whole().display().to_string(),
            "new": change.before.is_none(),
            "diff": change.diff(),
        })
    };
    changes.iter().map(one).collect()
}

fn show(changes: &[&Change], global: &Global) {
    if global.json {
        print_json(&json!({"v": 1, "changes": listed(changes), "written": false}));
        return;
    }
    for change in changes {
        answer_part!("{}", change.diff());
    }
}

/// Asks on the terminal, if there is one.
fn confirmed(global: &Global) -> bool {
    if global.json || !std::io::stdin().is_terminal() || !print::is_watched() {
        return false;
    }
    message_part!("change this? [y/N] ");
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line);
    read.is_ok() && matches!(line.trim(), "y" | "Y" | "yes")
}

fn tell(agent: &Agent, changes: &[&Change], undo: &[String], global: &Global) {
    let notes = agent.setup().notes();
    if global.json {
        print_json(&json!({
            "v": 1, "changes": listed(changes), "written": true, "undo": undo, "notes": notes,
        }));
        return;
    }
    if changes.is_empty() {
        answer!("nothing to do: {} calls lictor already", agent.name());
    }
    for change in changes {
        answer!("wrote {}", change.file.whole().display());
    }
    for note in notes {
        answer!("  note: {note}");
    }
    if !undo.is_empty() {
        answer!("  to undo it:");
        for command in undo {
            answer!("    {command}");
        }
        answer!("  `lictor doctor` calls the hook, and tells whether it answers");
    }
}
