//! The tests of a module once more, as an ordinary user.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::program::PROGRAM;

const USER: &str = "1001";

/// Runs all tests of `module` (`module_path!()`) as a user without rights, if this is root, but those that have one of
/// `skip` in their names. That user gets copies of the tests and of the program where they can be reached.
#[expect(clippy::print_stderr, reason = "a test says what it leaves out")]
pub(crate) fn again(module: &str, skip: &[&str]) {
    let user = Command::new("id").arg("-u").output().unwrap().stdout;
    if user != b"0\n" {
        eprintln!("not run a second time: this is an ordinary user already");
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
        .current_dir("/");
    // The tests of a crate's root are all that there are.
    if let Some((_, module)) = module.split_once("::") {
        command.arg(format!("{module}::"));
    }
    let Ok(output) = command.output() else {
        eprintln!("not run as an ordinary user: there is no setpriv");
        return;
    };
    assert!(
        output.status.success(),
        "as user {USER}:\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
