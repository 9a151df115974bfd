//! Runs of executors elsewhere whose owner was killed: the executor is asked what became of them, and each gets one outcome.

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};
use std::{fs, thread};

use lictor::evidence::{
    CONTAINMENT_WEAKER, Containment, EmptyProof, Ended, Evidence, Status, Stop,
};
use lictor::executor::{
    Capabilities, Executor, Executors, Job, Observer, PrepareError, Ready, Recovery,
};
use lictor::governor::{Found, Governor};
use lictor::log::RunId;
use lictor::log::verify::{Report, Verdict, VerifyOptions};
use lictor::record::verify;
use lictor::{Effect, Request};

use super::executors::{Place, governor_in};

const NAME: &str = "elsewhere";

/// Prepares a mechanism that offers proof. Its runs do not end with whoever waits for them.
#[derive(Debug, Default)]
struct Elsewhere {
    /// The process is killed as soon as a command was started.
    dies: bool,
    /// What is answered.
    knows: Option<Knows>,
}

#[derive(Debug)]
enum Knows {
    Says(Recovery),
    Panics,
    /// Waits until the other end is dropped, and is asked once.
    Hangs(Mutex<Option<Receiver<()>>>),
}

fn promised() -> Containment {
    Containment::other(NAME, true)
}

fn ended(code: i32) -> Evidence {
    let mut containment = promised();
    containment.empty_proof = EmptyProof::Attested {
        by: NAME.to_owned(),
    };
    let mut stop = Stop::default();
    stop.why = Some(lictor::evidence::StopReason::Timeout);
    let mut evidence = Evidence::new(containment, Some(Ended::Exited(code)), stop, None, false);
    evidence.duration_ms = 42;
    evidence
}

impl Executor for Elsewhere {
    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }
    fn prepare(&self, _: &Job) -> Result<Box<dyn Ready>, PrepareError> {
        Ok(Box::new(Started(promised(), self.dies)))
    }
    fn recover(&self, _: RunId) -> Recovery {
        match self.knows.as_ref().unwrap() {
            Knows::Says(recovery) => recovery.clone(),
            Knows::Panics => panic!("this is meant to be seen"),
            Knows::Hangs(until) => {
                let until = until.lock().unwrap().take().unwrap();
                assert!(until.recv().is_err());
                Recovery::Unknown
            }
        }
    }
}

#[derive(Debug)]
struct Started(Containment, bool);

impl Ready for Started {
    fn containment(&self) -> &Containment {
        &self.0
    }
    fn run(&mut self, _: &Job, _: &mut dyn Observer) -> Evidence {
        if self.1 {
            Command::new("kill")
                .args(["-9", &std::process::id().to_string()])
                .status()
                .unwrap();
        }
        ended(0)
    }
}

fn governor(place: &Place, executor: Elsewhere) -> Governor {
    let executors = Executors::none().with(NAME, executor);
    place.governor(&executors, Some(NAME))
}

fn run(governor: &Governor) -> lictor::governor::Ran {
    let request = Request::argv(["wc", "-l", "a.md"]);
    governor.run(&request, &governor.context("test"), &mut ())
}

/// Where the run of [`dies_while_it_waits`] takes place.
const PLACE: &str = "LICTOR_TEST_DIES_IN";

/// Starts a run in another process, which is killed while it waits.
fn with_an_open_run() -> Place {
    let place = Place::new("");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "recovered::dies_while_it_waits", "--nocapture"])
        .env(PLACE, place.work().parent().unwrap())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(9));
    place
}

#[test]
fn dies_while_it_waits() {
    match std::env::var_os(PLACE) {
        Some(place) => {
            let dies = Elsewhere {
                dies: true,
                ..Elsewhere::default()
            };
            let executors = Executors::none().with(NAME, dies);
            let governor = governor_in(Path::new(&place), &executors, Some(NAME));
            panic!("survived {:?}", run(&governor));
        }
        None => assert_eq!(outcomes(&with_an_open_run()), [] as [String; 0]),
    }
}

fn says(recovery: Recovery) -> Elsewhere {
    Elsewhere {
        knows: Some(Knows::Says(recovery)),
        ..Elsewhere::default()
    }
}

fn ledger(place: &Place) -> PathBuf {
    let governor = place.governor(&Executors::shipped(), None);
    governor.ledger_path().to_owned()
}

fn first_segment(place: &Place) -> String {
    fs::read_to_string(ledger(place).join("segments/000000000000.jsonl")).unwrap()
}

/// The status in each outcome.
fn outcomes(place: &Place) -> Vec<String> {
    let lines = first_segment(place);
    let entries = lines.lines().map(serde_json::from_str::<serde_json::Value>);
    let entries = entries.map(Result::unwrap);
    let outcomes = entries.filter(|entry| entry["type"] == "outcome");
    outcomes
        .map(|outcome| outcome["status"].as_str().unwrap().to_owned())
        .collect()
}

#[track_caller]
fn verified(place: &Place) -> Report {
    let report = verify(&ledger(place), &VerifyOptions::default(), &mut |_, _| {}).unwrap();
    assert!(
        matches!(report.verdict, Verdict::Signed | Verdict::Unsigned),
        "{report:#?}"
    );
    report
}

#[test]
fn the_next_run_settles_what_ended_meanwhile() {
    let place = with_an_open_run();
    let report = verified(&place);
    let told = report.not_proven.join("\n");
    assert!(told.contains("another executor than `local`"), "{told}");
    let governor = governor(&place, says(Recovery::Ended(Box::new(ended(3)))));
    assert_eq!(run(&governor).decision.effect(), Effect::Allow);
    assert_eq!(outcomes(&place), ["TIMEOUT", "TIMEOUT"]);
    assert_eq!(governor.recover().unwrap(), []);
    assert!(
        verified(&place)
            .not_proven
            .iter()
            .all(|what| !what.contains("no outcome"))
    );
}

#[test]
fn a_decision_settles_nothing_and_waits_for_nobody() {
    let place = with_an_open_run();
    let governor = governor(&place, Elsewhere::default());
    let request = Request::argv(["wc", "-l", "a.md"]);
    let context = governor.context("test");
    let checked = governor.check(&request, &context, lictor::governor::OnDisk::Yes);
    assert!(checked.recorded && checked.decision.effect() == Effect::Allow);
    assert_eq!(outcomes(&place), [] as [String; 0]);
}

#[test]
fn what_still_runs_stays_open() {
    let place = with_an_open_run();
    for _ in 0..2 {
        let found = governor(&place, says(Recovery::Running)).recover().unwrap();
        assert_eq!((found.len(), &found[0].found), (1, &Found::Running));
        assert_eq!(found[0].executor, NAME);
    }
    let found = governor(&place, says(Recovery::Ended(Box::new(ended(0))))).recover();
    assert!(matches!(found.unwrap()[0].found, Found::Ended(_)));
    assert_eq!(outcomes(&place), ["TIMEOUT"]);
    verified(&place);
}

#[test]
fn what_its_executor_does_not_know_is_lost() {
    let place = with_an_open_run();
    let found = governor(&place, says(Recovery::Unknown)).recover().unwrap();
    let Found::Ended(evidence) = &found[0].found else {
        panic!("{found:?}")
    };
    assert_eq!(evidence.status, Status::Lost);
    assert!(
        evidence
            .error
            .as_deref()
            .unwrap()
            .contains("`elsewhere` does not know it")
    );
    assert_eq!(outcomes(&place), ["LOST"]);
    verified(&place);
}

#[test]
fn where_nobody_has_the_executor_the_run_stays_open() {
    let place = with_an_open_run();
    // The program, and an embedder without that executor.
    assert_eq!(
        place
            .lictor(&["run", "--", "wc", "-l", "a.md"])
            .status
            .code(),
        Some(0)
    );
    let other = place.governor(&Executors::shipped(), None);
    let found = other.recover().unwrap();
    assert_eq!(found[0].found, Found::NotRegistered);
    assert_eq!(outcomes(&place), ["PASS"]);
    verified(&place);
}

#[test]
fn an_executor_that_panics_or_hangs_holds_nothing_up_for_long() {
    let place = with_an_open_run();
    let panics = Elsewhere {
        knows: Some(Knows::Panics),
        ..Elsewhere::default()
    };
    let found = governor(&place, panics).recover().unwrap();
    assert_eq!(found[0].found, Found::NoAnswer);

    let (hold, until): (Sender<()>, _) = channel();
    let hangs = Elsewhere {
        knows: Some(Knows::Hangs(Mutex::new(Some(until)))),
        ..Elsewhere::default()
    };
    let governor = governor(&place, hangs);
    let started = Instant::now();
    let ran = run(&governor);
    assert!(ran.recorded && ran.decision.effect() == Effect::Allow);
    let first = started.elapsed();
    // It is still being asked, so that nobody waits for it again.
    assert_eq!(governor.recover().unwrap()[0].found, Found::NoAnswer);
    assert!(first < Duration::from_secs(15) && started.elapsed() - first < Duration::from_secs(4));
    assert_eq!(outcomes(&place), ["TIMEOUT"]);
    drop(hold);
    verified(&place);
}

#[test]
fn many_that_settle_at_once_settle_once() {
    for recovery in [Recovery::Unknown, Recovery::Ended(Box::new(ended(0)))] {
        let place = with_an_open_run();
        // Each opens the ledger for itself, as processes do.
        let found: Vec<Found> = thread::scope(|scope| {
            let settling: Vec<_> = (0..8)
                .map(|_| {
                    let governor = governor(&place, says(recovery.clone()));
                    scope.spawn(move || governor.recover().unwrap())
                })
                .collect();
            let found = settling.into_iter().map(|thread| thread.join().unwrap());
            found.flatten().map(|recovered| recovered.found).collect()
        });
        let ended = found
            .iter()
            .filter(|found| matches!(found, Found::Ended(_)));
        assert_eq!(ended.count(), 1, "{found:?}");
        assert_eq!(outcomes(&place).len(), 1);
        verified(&place);
    }
}

#[test]
fn what_a_recovered_run_reports_is_held_to_what_was_prepared() {
    let place = with_an_open_run();
    let mut weaker = ended(0);
    weaker.containment = Containment::other(NAME, false);
    let found = governor(&place, says(Recovery::Ended(Box::new(weaker))))
        .recover()
        .unwrap();
    let Found::Ended(evidence) = &found[0].found else {
        panic!("{found:?}")
    };
    assert!(evidence.proof_failed());
    assert_eq!(evidence.events[0].what, CONTAINMENT_WEAKER);
    verified(&place);
}

#[test]
fn a_run_of_the_local_executor_is_lost_at_once() {
    let place = Place::new("");
    // In the place of the local one: nobody is asked.
    let local = Executors::none().with(Executors::DEFAULT, says(Recovery::Running));
    assert!(run(&place.governor(&local, None)).recorded);
    assert!(!first_segment(&place).contains("\"executor\""));
}
