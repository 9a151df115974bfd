//! What a test needs and a machine may lack.
//!
//! A test that lacks something says so, and returns. Where `LICTOR_TEST_REQUIRE` names it, the test fails: `test.sh` names
//! what it has installed, so no test passes there because something is missing.

use std::ffi::OsString;
use std::fmt::Display;
use std::io::Write as _;

/// Names what has to be there, separated by commas.
pub(crate) const REQUIRE: &str = "LICTOR_TEST_REQUIRE";

/// What every user of a machine has, or nobody.
const EVERYBODYS: &[&str] = &[
    "bwrap",
    "cc",
    "chromium",
    "gdb",
    "git",
    "go",
    "jq",
    "keys",
    "landlock",
    "large-files",
    "npm",
    "node",
    "openssl",
    "pid-namespace",
    "python3",
    "ripgrep",
    "script",
    "setpriv",
    "shells",
    "ssh",
    "sshd",
    "strace",
    "subreaper",
    "tmux",
    "unshare",
];

/// What root has, or whoever started the tests, and other users may lack.
const ONES_OWN: &[&str] = &[
    "agents",
    "cargo",
    "cgroup",
    "jsonschema",
    "mounts",
    "pytest",
    "python",
    "root",
    "rustup",
    "sarif-schema",
    "user-name",
];

/// Says that this test, or a part of it, is not run, since it lacks `name`.
///
/// It is written past the test harness, which shows the output of failed tests only.
#[track_caller]
pub(crate) fn lacks(name: &str, why: impl Display) {
    let is_known = |name: &str| EVERYBODYS.contains(&name) || ONES_OWN.contains(&name);
    assert!(is_known(name), "add `{name}` to tests/support/need.rs");
    for required in required() {
        assert!(is_known(&required), "{REQUIRE}: no test needs `{required}`");
        assert!(required != name, "{REQUIRE} names `{name}`: {why}");
    }
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a part of a test");
    let _ = writeln!(std::io::stderr(), "not run: {test}: no `{name}`: {why}");
}

/// What the variable of `name` holds (`LICTOR_TEST_GO` for `go`), mostly the path of a program.
#[track_caller]
pub(crate) fn named(name: &str) -> Option<OsString> {
    let variable = format!("LICTOR_TEST_{}", name.to_uppercase().replace('-', "_"));
    let value = std::env::var_os(&variable).filter(|value| !value.is_empty());
    if value.is_none() {
        lacks(name, format!("{variable} is not set; `test.sh` sets it"));
    }
    value
}

/// Returns true where the system has a Python; says what is not run if it has none.
pub(crate) fn system_python() -> bool {
    let has = std::path::Path::new("/usr/bin/python3").exists();
    if !has {
        lacks("python3", "there is no /usr/bin/python3");
    }
    has
}

/// Returns true for root; says what is not run if it is not.
pub(crate) fn root(what: &str) -> bool {
    let is_root = is_root();
    if !is_root {
        lacks("root", what);
    }
    is_root
}

pub(crate) fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// What [`REQUIRE`] is to be where the tests run once more, as an ordinary user.
pub(crate) fn required_of_everybody() -> String {
    let mut required = required();
    required.retain(|name| EVERYBODYS.contains(&name.as_str()));
    required.join(",")
}

fn required() -> Vec<String> {
    let names = std::env::var(REQUIRE).unwrap_or_default();
    let names = names.split(',').map(str::trim);
    let names = names.filter(|name| !name.is_empty());
    names.map(str::to_owned).collect()
}
