//! Python's path modules as oracles: what is allowed is a fixed point of `normpath` for POSIX and for
//! Windows, relative in both, and no name that Windows keeps for itself.
//!
//! Needs Python, which `test.sh` names.

use crate::support::need;
use std::io::Write;
use std::process::{Command, Stdio};

use lictor::path::{Switches, Syntax, lexical};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

/// Reads pairs of what was written and its canonical form, prints those that it sees otherwise.
const ORACLE: &str = r#"
import json, ntpath, posixpath, sys
reserved = getattr(ntpath, "isreserved", lambda path: False)
count, wrong = 0, []
for line in sys.stdin:
    written, canonical = json.loads(line)
    slashes = written.replace("\\", "/")
    claims = {
        "posix fixed point": posixpath.normpath(canonical) == canonical,
        "windows fixed point": ntpath.normpath(canonical).replace("\\", "/") == canonical,
        "posix says the same of what was written": posixpath.normpath(slashes) == canonical,
        "windows says the same of what was written": ntpath.normpath(written).replace("\\", "/") == canonical,
        "relative": not posixpath.isabs(written) and not ntpath.isabs(written),
        "no drive": ntpath.splitdrive(written)[0] == "",
        "stays below": (posixpath.normpath("/a/b/" + slashes) + "/").startswith("/a/b/"),
        "not reserved": not reserved(written) and not reserved(canonical),
    }
    count += 1
    for claim, holds in claims.items():
        if not holds:
            wrong.append(f"{claim}: {written!r} as {canonical!r}")
print(*wrong, sep="\n", end="\n" if wrong else "")
print(f"{count} paths")
"#;

/// Paths of which many are allowed, and pieces that something or other could misread.
fn path() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        6 => "[a-z]{1,6}",
        4 => Just("/".to_owned()),
        2 => Just("\\".to_owned()),
        4 => prop::sample::select(vec![
            ".", "..", "...", " ", ":", "~", "~1", "$", "con", "aux", "COM1", "nul", "prn", "lpt", "\u{b9}", "é",
            "テ", "a.b", ".x", "x.", "_", "+", "=", ",", ";", "!", "#", "&", "'", "(", ")", "^", "`", "[", "]", "@",
            "-", "\u{2025}", "conin", "conin$", "clock$", "?", "*", "|", "\"", "<", "\u{1f600}", "\u{3000}",
        ]).prop_map(str::to_owned),
    ];
    prop::collection::vec(piece, 1..10).prop_map(|pieces| pieces.concat())
}

#[test]
fn python_sees_no_path_otherwise_that_is_allowed() {
    let Some(python) = need::named("python") else {
        return;
    };
    let mut runner = TestRunner::deterministic();
    let strategy = path();
    let mut asked = String::new();
    let mut allowed = 0;
    while allowed < 5_000 {
        let written = strategy.new_tree(&mut runner).unwrap().current();
        if let Ok(target) = lexical(written.as_bytes(), Syntax::Path, &Switches::default()) {
            allowed += 1;
            let pair = serde_json::json!([written, target.path()]);
            asked.push_str(&format!("{pair}\n"));
        }
    }
    let mut child = Command::new(python)
        .args(["-I", "-c", ORACLE])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    // It prints at its end only, so neither waits for the other.
    input.write_all(asked.as_bytes()).unwrap();
    drop(input);
    let told = child.wait_with_output().unwrap();
    assert!(told.status.success());
    assert_eq!(String::from_utf8(told.stdout).unwrap(), "5000 paths\n");
}
