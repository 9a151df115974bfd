//! What runs commands is chosen by the policy or by the caller, and by nobody else.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use lictor::evidence::{Evidence, Mechanism, Status};
use lictor::executor::{
    Capabilities, DryRun, Executor, Executors, Job, Posix, PrepareError, Ready,
};
use lictor::governor::{Governor, load};
use lictor::resolve::Lookup;
use lictor::{Effect, Reason, Request};

fn policy(executor: &str) -> String {
    format!(
        "version: 1\nname: x\nuse: lictor/coreutils@1\nscopes: {{all: \"**\"}}\n\
         rules: [{{id: all, allow: wc.run, within: all}}]\ndefaults: {{limits: {{timeout: 5s}}{executor}}}\n"
    )
}

pub(super) struct Place(tempfile::TempDir);

impl Place {
    pub(super) fn new(executor: &str) -> Place {
        let place = Place(tempfile::tempdir().unwrap());
        fs::create_dir(place.work()).unwrap();
        fs::write(place.work().join("a.md"), "one\n").unwrap();
        fs::write(place.work().join("lictor.yaml"), policy(executor)).unwrap();
        place
    }

    pub(super) fn work(&self) -> std::path::PathBuf {
        self.0.path().canonicalize().unwrap().join("work")
    }

    pub(super) fn lictor(&self, words: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_lictor"))
            .args(words)
            .current_dir(self.work())
            .env("XDG_STATE_HOME", self.0.path().join("state"))
            .output()
            .unwrap()
    }

    pub(super) fn governor(&self, executors: &Executors, wanted: Option<&str>) -> Governor {
        governor_in(&self.0.path().canonicalize().unwrap(), executors, wanted)
    }
}

/// The governor of a place by its path.
pub(super) fn governor_in(place: &Path, executors: &Executors, wanted: Option<&str>) -> Governor {
    let (work, state) = (place.join("work"), place.join("state/lictor"));
    let loaded = load(Path::new("lictor.yaml"), &work, &state).unwrap();
    Governor::with_executors(loaded, executors, wanted)
}

const LINE: [&str; 4] = ["--", "wc", "-l", "a.md"];

#[track_caller]
fn check(policy: &str, options: &[&str], code: i32, said: &str) {
    let place = Place::new(policy);
    let words = [&["run"], options, &LINE].concat();
    let output = place.lictor(&words);
    let told = String::from_utf8(output.stderr).unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(code), "{told}");
    assert!(
        told.contains(said) || printed.contains(said),
        "{told}{printed}"
    );
}

#[test]
fn the_policy_or_the_caller_chooses() {
    check("", &[], 0, "1 a.md");
    check("", &["--executor", "local"], 0, "1 a.md");
    check(", executor: local", &["--executor", "local"], 0, "1 a.md");
    check("", &["--executor", "dry-run"], 125, "nothing was started");
    check(", executor: dry-run", &[], 125, "nothing was started");
}

#[test]
fn an_unknown_executor_is_an_error_with_the_list() {
    let list = "there is no executor `slurm` here; there are `local`, `dry-run`";
    check("", &["--executor", "slurm"], 2, list);
    let place = Place::new(", executor: slurm");
    let output = place.lictor(&["--json", "run", "--", "wc", "-l", "a.md"]);
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(
        printed.contains(list) && printed.contains("CONTAINMENT_UNAVAILABLE"),
        "{printed}"
    );
}

#[test]
fn a_caller_does_not_take_the_policys_executor_away() {
    let why = "the policy runs commands with the executor `dry-run`, not with `local`";
    check(", executor: dry-run", &["--executor", "local"], 2, why);
}

#[test]
fn who_completes_a_sealed_line_chooses_no_executor() {
    let place = Place::new("");
    let words = [
        "--policy",
        "lictor.yaml",
        "--sealed",
        "run",
        "--executor",
        "local",
    ];
    let output = place.lictor(&[&words[..], &LINE].concat());
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        told.contains("`--executor` stands behind `--sealed`"),
        "{told}"
    );
}

#[test]
fn an_executor_in_defaults_is_a_name() {
    let yaml = policy(", executor: ../x");
    let errors = lictor::CompiledPolicy::from_yaml(&yaml).unwrap_err();
    assert!(errors.to_string().contains("is no name"), "{errors}");
}

/// Runs commands with the local backend, and looks programs up in a table of its own.
#[derive(Debug)]
struct Elsewhere(Lookup);

impl Executor for Elsewhere {
    fn capabilities(&self) -> Capabilities {
        Posix::new().capabilities()
    }
    fn prepare(&self, job: &Job) -> Result<Box<dyn Ready>, PrepareError> {
        Posix::new()
            .with_helper(env!("CARGO_BIN_EXE_lictor"))
            .prepare(job)
    }
    fn program(&self, name: &str) -> Lookup {
        assert_eq!(name, "wc");
        self.0.clone()
    }
}

fn ran_with(lookup: Lookup) -> (Effect, Option<Reason>, Option<Evidence>) {
    let place = Place::new(", executor: elsewhere");
    let executors = Executors::none().with("elsewhere", Elsewhere(lookup));
    let governor = place.governor(&executors, None);
    let request = Request::argv(["wc", "-l", "a.md"]);
    let ran = governor.run(&request, &governor.context("test"), &mut ());
    (ran.decision.effect(), ran.decision.reason(), ran.evidence)
}

#[test]
fn a_backend_is_asked_where_its_programs_are() {
    let (effect, _, evidence) = ran_with(Lookup::Found("/bin/echo".into()));
    let evidence = evidence.unwrap();
    assert_eq!((effect, evidence.status), (Effect::Allow, Status::Pass));
    assert_eq!(evidence.stdout.text.to_lossy(), "-l a.md\n");
    let (_, _, evidence) = ran_with(Lookup::OnThisDisk);
    assert_eq!(evidence.unwrap().stdout.text.to_lossy(), "1 a.md\n");
    let (effect, reason, evidence) = ran_with(Lookup::NotFound("there is none".to_owned()));
    assert_eq!(
        (effect, reason),
        (Effect::Deny, Some(Reason::ProgramNotFound))
    );
    assert!(evidence.is_none());
    let (_, reason, _) = ran_with(Lookup::NotTrusted("it is somebody's".to_owned()));
    assert_eq!(reason, Some(Reason::ProgramNotTrusted));
}

#[test]
fn a_program_that_forgot_init_runs_nothing() {
    let place = Place::new("");
    let governor = place.governor(&Executors::shipped(), None);
    let request = Request::argv(["wc", "-l", "a.md"]);
    let ran = governor.run(&request, &governor.context("test"), &mut ());
    assert_eq!(ran.decision.reason(), Some(Reason::ContainmentUnavailable));
    assert!(ran.decision.message().contains("init()"), "{ran:?}");
    assert!(ran.evidence.is_none() && ran.recorded);
}

#[test]
fn a_run_of_nothing_says_what_it_is() {
    let place = Place::new("");
    let executors = Executors::none().with("local", DryRun::new());
    let governor = place.governor(&executors, None);
    let request = Request::argv(["wc", "-l", "a.md"]);
    let evidence = governor
        .run(&request, &governor.context("test"), &mut ())
        .evidence
        .unwrap();
    let mechanism = Mechanism::Other {
        name: "dry-run".to_owned(),
        proves_end: true,
    };
    assert_eq!(
        (evidence.status, evidence.containment.level),
        (Status::SpawnFailed, mechanism)
    );
}
