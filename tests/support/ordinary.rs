//! The tests of a module once more, as an ordinary user.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::need;
use super::program::PROGRAM;

const USER: &str = "1001";

/// Set where the tests run a second time.
const SECOND: &str = "LICTOR_TEST_SECOND";

/// Runs all tests of `module` (`module_path!()`) as a user without rights, if this is root, but those that have one of
/// `skip` in their names. That user gets copies of the tests and of the program where they can be reached.
pub(crate) fn again(module: &str, skip: &[&str]) {
    if std::env::var_os(SECOND).is_some() || !need::root("a second run, as an ordinary user") {
        return;
    }
    let place = tempfile::Builder::new()
        .permissions(std::fs::Permissions::from_mode(0o755))
        .tempdir()
        .unwrap();
    let copy = |from: &Path, name: &str| -> PathBuf {
        let to = place.path().join(name);
        std::fs::copy(from, &to).unwrap();
        std::fs::set_permissions(&to, std::fs::Permissions::from_mode(0o755)).unwrap();
        to
    };
    let tests = copy(&std::env::current_exe().unwrap(), "tests");
    let mut command = Command::new("setpriv");
    command
        .args([
            &format!("--reuid={USER}"),
            &format!("--regid={USER}"),
            "--clear-groups",
        ])
        .arg(tests)
        .args(skip.iter().flat_map(|name| ["--skip", name]))
        .env(
            PROGRAM,
            copy(env!("CARGO_BIN_EXE_lictor").as_ref(), "lictor"),
        )
        .env(SECOND, "yes")
        .env(need::REQUIRE, need::required_of_everybody())
        .current_dir("/");
    // The tests of a crate's root are all that there are.
    if let Some((_, module)) = module.split_once("::") {
        command.arg(format!("{module}::"));
    }
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => return need::lacks("setpriv", error),
    };
    let told = String::from_utf8_lossy(&output.stderr);
    for line in told.lines().filter(|line| line.starts_with("not run: ")) {
        let _ = writeln!(std::io::stderr(), "as user {USER}: {line}");
    }
    assert!(
        output.status.success(),
        "as user {USER}:\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        told
    );
}
