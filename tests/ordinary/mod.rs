//! The tests of a file once more, as an ordinary user.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

const USER: &str = "1001";

/// Runs all tests of this file but `skip` as a user without rights, if this is root. `program` is
/// copied to where that user can reach it, and named by the environment variable beside it.
#[expect(clippy::print_stderr, reason = "a test says what it leaves out")]
pub(crate) fn again(skip: &str, program: Option<(&str, &Path)>) {
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
        .args(["--skip", skip])
        .current_dir("/");
    if let Some((variable, program)) = program {
        command.env(
            variable,
            copy(program, program.file_name().unwrap().to_str().unwrap()),
        );
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
