//! Tests of a program that is its own helper and its own hostile commands: as who runs them, and once more as an
//! ordinary user if that is root.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use lictor::evidence::Level;
use lictor::executor::Posix;

use crate::support::need;

/// Who runs the tests a second time.
pub(crate) const ORDINARY_USER: u32 = 1001;

/// Returns true if this level works here, and says it if not.
pub(crate) fn works(level: Level) -> bool {
    let trials = Posix::new().trial().unwrap();
    let trial = trials.into_iter().find(|trial| trial.level == level);
    let error = trial.unwrap().error;
    if let Some(error) = &error {
        need::lacks(level.name(), error);
    }
    error.is_none()
}

/// One claim.
pub(crate) struct Test {
    pub(crate) name: String,
    claim: Box<dyn Fn()>,
}

impl Test {
    pub(crate) fn of(self, file: &str) -> Test {
        Test {
            name: format!("{file}: {}", self.name),
            ..self
        }
    }
}

pub(crate) fn test(name: impl Into<String>, claim: impl Fn() + 'static) -> Test {
    Test {
        name: name.into(),
        claim: Box::new(claim),
    }
}

/// Drops all privileges and starts again: a process that has changed its user cannot look into its
/// own `/proc` directory.
pub(crate) fn become_user(user: u32, words: &[&str]) -> ExitCode {
    // SAFETY: the list of groups is empty.
    unsafe {
        assert_eq!(libc::setgroups(0, std::ptr::null()), 0);
        assert_eq!(libc::setresgid(user, user, user), 0);
        assert_eq!(libc::setresuid(user, user, user), 0);
    }
    let error = Command::new(std::env::current_exe().unwrap())
        .args(words)
        .exec();
    panic!("{error}");
}

/// Runs those of `tests` that `filter` is in the name of. The ordinary user gets a copy of this program, and what
/// `beside` puts beside it.
pub(crate) fn run_tests(
    filter: Option<&str>,
    tests: Vec<Test>,
    beside: fn(&Path) -> Vec<PathBuf>,
) -> ExitCode {
    let (mut passed, mut failed) = (0, Vec::new());
    let user = if need::is_root() { "root" } else { "user" };
    for test in tests {
        let name = format!("{user}: {}", test.name);
        if filter.is_some_and(|filter| !name.contains(filter)) {
            continue;
        }
        let started = Instant::now();
        let ok = catch_unwind(AssertUnwindSafe(&test.claim)).is_ok();
        let ms = started.elapsed().as_millis();
        println!(
            "test {name} ... {} ({ms} ms)",
            if ok { "ok" } else { "FAILED" }
        );
        if ok { passed += 1 } else { failed.push(name) }
    }
    println!(
        "\n{user}: {passed} passed; {} failed {failed:?}\n",
        failed.len()
    );
    if !need::is_root() {
        return if failed.is_empty() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        };
    }
    // The program may lie where only its owner can look.
    let copy = std::env::temp_dir().join(format!("lictor-tests-{}", std::process::id()));
    std::fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
    std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o755)).unwrap();
    let others = beside(&copy);
    let status = Command::new(&copy)
        .env(need::REQUIRE, need::required_of_everybody())
        .args(["--as", &ORDINARY_USER.to_string()])
        .args(filter)
        .status()
        .unwrap();
    for file in others.iter().chain([&copy]) {
        std::fs::remove_file(file).unwrap();
    }
    if status.success() && failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
