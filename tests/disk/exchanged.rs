//! Paths that are exchanged between looking and using: nothing is started if that is seen in time, and
//! it is told if it is seen afterwards.

use crate::support::ordinary;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use lictor::decision::{Effect, Request};
use lictor::evidence::{Evidence, Status};
use lictor::executor::{Capabilities, Executor, Job, Posix, PrepareError, Ready};
use lictor::governor::{Governor, Ran, load};
use lictor::reason::Reason;

/// `run` prints where it is and what it got; `change` exchanges its first path while it runs.
const POLICY: &str = r#"version: 1
name: exchanged
tools:
  run:
    program: sh
    actions:
      run:
        command: "-c"
        fixed: ['pwd; printf "%s\n" "$@"', sh]
        args: {path: {type: path, repeat: true, absent: nothing}}
      write:
        command: "-ec"
        fixed: ['echo "$1"', sh]
        args: {path: {type: path, access: write, creates: itself, required: true}}
      change:
        command: "-euc"
        fixed: ['echo new > "$1.new"; mv "$1.new" "$1"', sh]
        args: {path: {type: path, required: true}}
      replace:
        command: "-eufc"
        fixed: ['echo new > "$1.new"; mv "$1.new" "$1"', sh]
        args: {path: {type: path, access: write, creates: itself, required: true}}
scopes: {all: "**"}
rules: [{id: all, allow: "*", within: all, containment: process-group}]
"#;

/// The backend, on a machine where somebody is quick: after the tree was looked at, before the start.
#[derive(Debug)]
struct Late {
    backend: Posix,
    work: PathBuf,
    change: fn(&Path),
}

impl Executor for Late {
    fn capabilities(&self) -> Capabilities {
        self.backend.capabilities()
    }

    fn prepare(&self, job: &Job) -> Result<Box<dyn Ready>, PrepareError> {
        let ready = self.backend.prepare(job);
        (self.change)(&self.work);
        ready
    }
}

struct Place {
    root: tempfile::TempDir,
}

impl Place {
    fn new() -> Place {
        let root = tempfile::tempdir().unwrap();
        let place = Place { root };
        for path in ["work/docs/a.md", "work/docs/b.md", "outside/secret"] {
            let path = place.root().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        }
        fs::write(place.root().join("work/lictor.yaml"), POLICY).unwrap();
        place
    }

    fn root(&self) -> PathBuf {
        self.root.path().canonicalize().unwrap()
    }

    fn run(&self, request: &Request, change: fn(&Path)) -> Ran {
        let work = self.root().join("work");
        let file = Path::new("lictor.yaml");
        let loaded = load(file, &work, &self.root().join("state")).unwrap();
        // The tests' own program is no helper.
        let backend = Posix::new().with_helper(env!("CARGO_BIN_EXE_lictor"));
        let late = Late {
            backend,
            work,
            change,
        };
        let governor = Governor::with_executor(loaded, late);
        governor.run(request, &governor.context("test"), &mut ())
    }

    /// What is in the ledger, as text.
    fn recorded(&self) -> String {
        fn texts(directory: &Path) -> String {
            let entries = fs::read_dir(directory)
                .unwrap()
                .map(|entry| entry.unwrap().path());
            let text = |path: PathBuf| match path.is_dir() {
                true => texts(&path),
                false => fs::read_to_string(path).unwrap_or_default(),
            };
            entries.map(text).collect()
        }
        texts(&self.root().join("state"))
    }
}

/// The paths that the evidence says have changed.
fn changed(evidence: &Evidence) -> Vec<&str> {
    let events = evidence.events.iter();
    let changed = events.filter(|event| event.what == Reason::PathChanged.code());
    changed.map(|event| event.about.as_str()).collect()
}

fn asked(action: &str, path: &str) -> Request {
    Request::named("run", action).with_arg("path", path)
}

#[track_caller]
fn not_started(request: &Request, change: fn(&Path)) {
    let place = Place::new();
    let ran = place.run(request, change);
    assert_eq!(ran.decision.effect(), Effect::Allow, "{ran:?}");
    let evidence = ran.evidence.unwrap();
    assert_eq!(evidence.status, Status::SpawnFailed, "{evidence:#?}");
    assert_eq!(evidence.stdout.bytes, 0);
    let told = serde_json::to_string(&evidence).unwrap();
    assert!(
        told.contains("was exchanged after it had been decided"),
        "{told}"
    );
    assert!(place.recorded().contains("SPAWN_FAILED"));
}

fn exchange(path: PathBuf, target: &str) {
    fs::rename(&path, path.with_extension("old")).unwrap();
    symlink(target, path).unwrap();
}

#[test]
fn nothing_is_started_once_a_path_leads_elsewhere() {
    let read = asked("run", "docs/a.md");
    not_started(&read, |work| {
        exchange(work.join("docs/a.md"), "../../outside/secret")
    });
    not_started(&read, |work| exchange(work.join("docs/a.md"), "a.old"));
    not_started(&read, |work| exchange(work.join("docs"), "../outside"));
    not_started(&read, |work| {
        fs::rename(work.join("docs/b.md"), work.join("docs/a.md")).unwrap()
    });
    not_started(&read, |work| {
        fs::remove_file(work.join("docs/a.md")).unwrap()
    });
    let tree = asked("run", "docs");
    not_started(&tree, |work| exchange(work.join("docs"), "../outside"));
    let write = asked("write", "docs/a.md");
    not_started(&write, |work| {
        exchange(work.join("docs/a.md"), "../../outside/secret")
    });
    let below = asked("run", "a.md").with_cwd("docs");
    not_started(&below, |work| exchange(work.join("docs"), "../outside"));
    let there = Request::named("run", "run").with_cwd("docs");
    not_started(&there, |work| exchange(work.join("docs"), "../outside"));
}

#[test]
fn nothing_is_started_once_something_stands_where_a_new_file_was_to_be() {
    let write = asked("write", "docs/new");
    not_started(&write, |work| {
        symlink("../../outside/secret", work.join("docs/new")).unwrap()
    });
    not_started(&write, |work| {
        symlink("nowhere", work.join("docs/new")).unwrap()
    });
    not_started(&write, |work| {
        fs::write(work.join("docs/new"), "x").unwrap()
    });
    not_started(&write, |work| exchange(work.join("docs"), "../outside"));
}

#[test]
fn what_was_not_asked_for_may_change() {
    let place = Place::new();
    let ran = place.run(&asked("write", "docs/new"), |work| {
        exchange(work.join("docs/b.md"), "../../outside/secret");
        fs::write(work.join("docs/other"), "x").unwrap();
    });
    let evidence = ran.evidence.unwrap();
    assert_eq!(evidence.status, Status::Pass, "{evidence:#?}");
    assert_eq!(changed(&evidence), [""; 0]);
}

#[test]
fn a_path_that_was_read_and_exchanged_is_in_the_evidence_and_in_the_ledger() {
    let place = Place::new();
    let ran = place.run(&asked("change", "docs/a.md"), |_| ());
    let evidence = ran.evidence.unwrap();
    assert_eq!(evidence.status, Status::Pass, "{evidence:#?}");
    assert_eq!(changed(&evidence), ["docs/a.md"]);
    assert!(place.recorded().contains("PATH_CHANGED"));
    // Written files are often replaced.
    let ran = place.run(&asked("replace", "docs/b.md"), |_| ());
    let evidence = ran.evidence.unwrap();
    assert_eq!(evidence.status, Status::Pass, "{evidence:#?}");
    assert_eq!(changed(&evidence), [""; 0]);
}

#[test]
fn the_command_gets_canonical_paths_from_where_it_starts() {
    let place = Place::new();
    let check = |request: Request, cwd: &str, paths: &[&str]| {
        let evidence = place.run(&request, |_| ()).evidence.unwrap();
        assert_eq!(evidence.status, Status::Pass, "{evidence:#?}");
        let cwd = place.root().join(cwd);
        let expected = format!("{}\n{}\n", cwd.display(), paths.join("\n"));
        assert_eq!(evidence.stdout.text.to_lossy(), expected);
    };
    check(asked("run", "docs\\a.md"), "work", &["docs/a.md"]);
    check(asked("run", "docs/"), "work", &["docs"]);
    check(
        asked("run", "a.md").with_cwd("docs"),
        "work/docs",
        &["a.md"],
    );
}

#[test]
fn everything_holds_for_an_ordinary_user_as_well() {
    ordinary::again(module_path!(), &[]);
}
