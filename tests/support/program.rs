//! The program as others see it: started in a directory of its own, with an environment of its own.

use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value as Json;

/// Names another copy of the program to test, for a user who cannot reach the first.
pub(crate) const PROGRAM: &str = "LICTOR_TEST_PROGRAM";

fn program() -> PathBuf {
    std::env::var_os(PROGRAM).map_or_else(|| env!("CARGO_BIN_EXE_lictor").into(), PathBuf::from)
}

/// Directories that end with the test: the workspace, beside it the ledger and other state.
pub(crate) struct Place {
    root: tempfile::TempDir,
}

impl Place {
    /// An empty place that every user may look into.
    pub(crate) fn new() -> Place {
        let root = tempfile::Builder::new()
            .prefix("lictor-")
            .permissions(std::fs::Permissions::from_mode(0o755))
            .tempdir()
            .unwrap();
        for directory in ["work", "state"] {
            std::fs::create_dir(root.path().join(directory)).unwrap();
        }
        Place { root }
    }

    /// A place whose `lictor.yaml` is this.
    pub(crate) fn with_policy(policy: &str) -> Place {
        let place = Place::new();
        place.write("lictor.yaml", policy);
        place
    }

    pub(crate) fn root(&self) -> &Path {
        self.root.path()
    }

    pub(crate) fn work(&self) -> PathBuf {
        self.root().join("work")
    }

    pub(crate) fn ledger(&self) -> PathBuf {
        self.root().join("ledger")
    }

    /// Writes a file of the workspace, and the directories above it.
    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.work().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    /// A start of the program in the workspace. Its environment holds nothing of ours.
    pub(crate) fn lictor<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Start {
        let mut command = Command::new(program());
        command
            .args(args)
            .current_dir(self.work())
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", self.root())
            .env("XDG_STATE_HOME", self.root().join("state"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Start {
            command,
            input: Vec::new(),
        }
    }
}

/// A start of the program that is being put together.
pub(crate) struct Start {
    pub(crate) command: Command,
    input: Vec<u8>,
}

impl Start {
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Start {
        self.command.env(name, value);
        self
    }

    pub(crate) fn current_dir(mut self, directory: impl AsRef<Path>) -> Start {
        self.command.current_dir(directory);
        self
    }

    pub(crate) fn input(mut self, bytes: impl Into<Vec<u8>>) -> Start {
        self.input = bytes.into();
        self.command.stdin(Stdio::piped());
        self
    }

    pub(crate) fn end(mut self) -> Answer {
        let mut child = self.command.spawn().unwrap();
        if let Some(mut stdin) = child.stdin.take() {
            // A program that does not want to read on has said why.
            let _ = stdin.write_all(&self.input);
        }
        let output = child.wait_with_output().unwrap();
        Answer {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// What the program said.
#[derive(Debug)]
pub(crate) struct Answer {
    /// None if a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Answer {
    /// The one line of JSON that is its standard output.
    #[track_caller]
    pub(crate) fn json(&self) -> Json {
        let line = self
            .stdout
            .strip_suffix('\n')
            .filter(|line| !line.contains('\n'));
        let line = line.unwrap_or_else(|| panic!("not one line: {self:?}"));
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The lines of JSON that are its standard output.
    #[track_caller]
    pub(crate) fn json_lines(&self) -> Vec<Json> {
        let line = |line: &str| {
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
        };
        self.stdout.lines().map(line).collect()
    }

    #[track_caller]
    pub(crate) fn ends_with_code(self, code: i32) -> Answer {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }
}
