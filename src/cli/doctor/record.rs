//! The ledger's part of `lictor doctor`: where the record lies, and who could rewrite it.

#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};

use crate::cli::{Global, discover};
use crate::governor::{LoadedPolicy, user_id};
use crate::log::place::{self, KeyFile, Place};
use crate::resolve::is_tracked;

/// Facts about the record.
pub(super) struct Record {
    path: Option<PathBuf>,
    /// The option, policy key or variable that names the place.
    from: &'static str,
    found: Result<Place, String>,
    /// The policy's rules let requests read or write there.
    is_in_reach: bool,
    /// The policy's file, if git tracks it.
    tracked: Option<PathBuf>,
    user: u32,
}

/// Looks at the ledger that is named, or that the policy names.
pub(super) fn look(global: &Global) -> Record {
    let loaded = discover::policy(global);
    let is_in_reach = loaded.as_ref().ok().and_then(LoadedPolicy::ledger_in_reach);
    let is_in_reach = is_in_reach.is_some();
    let files = loaded.as_ref().map(|loaded| loaded.files.clone());
    let mut files = files.unwrap_or_default().into_iter();
    let tracked = files.find(|file| is_tracked(file));
    let place = match (&global.ledger, loaded) {
        (Some(path), _) => Ok((path.clone(), "--ledger")),
        (None, Ok(loaded)) => {
            let from = match loaded.policy.ledger_settings().path {
                Some(_) => "`ledger.path` of the policy",
                None => discover::state().from,
            };
            Ok((loaded.ledger, from))
        }
        (None, Err(failure)) => Err(failure),
    };
    let user = user_id();
    match place {
        Ok((path, from)) => Record {
            found: place::look(&path).map_err(|error| error.to_string()),
            path: Some(path),
            from,
            is_in_reach,
            tracked,
            user,
        },
        Err(failure) => {
            // The rest of the machine can be looked at without a policy.
            let whole = failure.plain();
            let first = whole.lines().next().unwrap_or_default();
            Record {
                path: None,
                from: "",
                is_in_reach: false,
                tracked,
                found: Err(format!("the policy that names it is not usable: {first}")),
                user,
            }
        }
    }
}

impl Record {
    pub(super) fn json(&self) -> Json {
        let path = self.path.as_ref().map(|path| path.display().to_string());
        let (found, error) = match &self.found {
            Ok(place) => (serde_json::to_value(place).unwrap_or(Json::Null), None),
            Err(error) => (json!({}), Some(error)),
        };
        let mut json = json!({"path": path, "from": self.from, "user": self.user, "error": error});
        if let (Some(fields), Json::Object(found)) = (json.as_object_mut(), found) {
            fields.extend(found);
            fields.insert("advice".to_owned(), json!(self.advice()));
        }
        json
    }

    pub(super) fn print(&self) {
        let path = self.path.as_deref().map_or_else(String::new, named);
        answer!("ledger {path}:");
        if !self.from.is_empty() {
            answer!("  named by       {}", self.from);
        }
        let place = match &self.found {
            Ok(place) => place,
            Err(error) => {
                answer!("  cannot be looked at: {}", error.escape_debug());
                return;
            }
        };
        let what = match (place.exists, place.writable) {
            (true, _) => "is there".to_owned(),
            (false, true) => "is not there yet; the first decision makes it".to_owned(),
            (false, false) => format!("is not there, or user {} may not see it", self.user),
        };
        answer!("  record         {what}");
        let filesystem = &place.filesystem;
        answer!(
            "  filesystem     {}{}",
            filesystem.name,
            if filesystem.refused { ", refused" } else { "" }
        );
        match &place.key {
            Some(key) => answer!(
                "  key            belongs to user {}, mode {:04o}; user {}, who runs this, {} read it",
                key.owner,
                key.mode,
                self.user,
                if key.readable { "can" } else { "cannot" }
            ),
            None if place.exists => {
                answer!("  key            none that user {} can see", self.user);
            }
            None => {}
        }
        super::print_advice(&self.advice());
    }

    fn advice(&self) -> Vec<String> {
        let (Ok(place), Some(path)) = (&self.found, &self.path) else {
            return Vec::new();
        };
        let mut lines = advice(place, path, self.user);
        if self.is_in_reach {
            lines.push(
                "to do: keep the ledger outside of the workspace, or have a deny rule cover it: rules let requests read or write there, so everything is denied"
                    .to_owned(),
            );
        }
        if let Some(file) = &self.tracked {
            lines.push(format!(
                "note: git tracks {}, and no run can replace it: a git command that switches to another version of it stops half-way. \
                 Keep the policy in a directory above the checkout, or name it with `--policy`, or run such commands without lictor",
                named(file)
            ));
        }
        lines
    }
}

fn advice(place: &Place, path: &Path, user: u32) -> Vec<String> {
    let mut lines = Vec::new();
    let name = &place.filesystem.name;
    if place.filesystem.refused {
        lines.push(format!(
            "to do: put the ledger on a local filesystem (`ledger:` in the policy, or `--ledger`): on {name}, locks and durability cannot be relied on, so nothing is allowed there"
        ));
    }
    if place.filesystem.volatile {
        lines.push(format!(
            "note: what {name} holds is gone when the machine stops; put the ledger on a disk to keep it"
        ));
    }
    if place.others_may_write {
        lines.push(format!(
            "to do: chmod go-w {}: others may exchange any file of the record, so nothing is recorded there",
            named(path)
        ));
    }
    if !place.writable && !place.exists {
        lines.push(format!(
            "to do: let user {user} make the ledger, or name another place: what cannot be recorded is denied"
        ));
    }
    if let Some(key) = &place.key {
        lines.extend(key_advice(key, path, user));
    }
    lines
}

fn key_advice(key: &KeyFile, path: &Path, user: u32) -> Vec<String> {
    let mut lines = Vec::new();
    if key.mode & 0o077 != 0 {
        lines.push(format!(
            "to do: chmod 600 {}: others than its owner may read the key, so it is not used",
            named(&path.join("key"))
        ));
    }
    if key.readable && user == 0 {
        lines.push(
            "note: root can read every key. Ask again as the user whom your agent runs as"
                .to_owned(),
        );
    } else if key.readable {
        lines.push(format!(
            "note: a key readable by the agent's user protects nothing after the last anchor. If your agent runs as user {user}, it can rewrite everything since then"
        ));
        lines.push(
            "to do: keep anchors where that user cannot write (`lictor ledger anchor`), or keep the key with another user (SECURITY.md)"
                .to_owned(),
        );
    }
    lines
}

fn named(path: &Path) -> String {
    path.display().to_string().escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(change: impl FnOnce(&mut Place)) -> Place {
        let dir = tempfile::tempdir().unwrap();
        let options = crate::record::Options::default();
        drop(crate::record::Ledger::open(dir.path(), &options).unwrap());
        let mut place = place::look(dir.path()).unwrap();
        place.filesystem.volatile = false;
        change(&mut place);
        place
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut Place), user: u32, expected: &[&str]) {
        let advice = advice(&found(change), Path::new("/l"), user);
        assert_eq!(advice.len(), expected.len(), "{advice:#?}");
        for (line, expected) in advice.iter().zip(expected) {
            assert!(line.contains(expected), "{expected}: {line}");
        }
    }

    #[test]
    fn what_weakens_the_record_is_told_with_what_to_do() {
        let unreadable = |place: &mut Place| place.key.as_mut().unwrap().readable = false;
        check(unreadable, 1000, &[]);
        check(|_| {}, 0, &["root can read every key"]);
        let readable = ["protects nothing after the last anchor", "ledger anchor"];
        check(|_| {}, 1000, &readable);
        check(|place| place.key = None, 1000, &[]);
        check(
            |place| {
                unreadable(place);
                place.key.as_mut().unwrap().mode = 0o644;
                place.others_may_write = true;
                place.filesystem.refused = true;
                place.filesystem.volatile = true;
            },
            1000,
            &[
                "local filesystem",
                "gone when",
                "chmod go-w /l",
                "chmod 600 /l/key",
            ],
        );
    }
}
