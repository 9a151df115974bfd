//! What lies around a policy: which one counts, which programs are trusted, what a run gets for an environment.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test starts programs and fails by panicking"
)]

#[expect(dead_code, reason = "other tests use more of it")]
mod program;

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use program::Place;

const READ_ALL: &str = "version: 1
name: NAME
use: lictor/coreutils@1
scopes: {all: \"**\"}
rules: [{id: r, allow: [cat.run], within: all}]
";

fn mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// Gives a file to another user; false without the right to, which is said.
fn given_away(path: &Path) -> bool {
    let given = chown(path, Some(65_534), Some(65_534)).is_ok();
    if !given {
        eprintln!("not run: giving files to another user needs root");
    }
    given
}

fn policy_in_force(place: &Place) -> (String, String) {
    let start = place.lictor(["check", "--json", "--dry-run", "--", "cat", "a"]);
    let end = start.current_dir(place.work().join("below")).end();
    let decision = end.json();
    let name = decision["policy"]["name"].as_str().unwrap().to_owned();
    (name, end.stderr)
}

#[test]
fn a_policy_of_somebody_else_further_up_is_passed_over_and_named() {
    let place = Place::new();
    let foreign = place.write("lictor.yaml", READ_ALL.replace("NAME", "foreign"));
    place.write("below/lictor.yaml", READ_ALL.replace("NAME", "own"));
    assert_eq!(policy_in_force(&place).0, "foreign");
    // Its owner's own, and writable by others: nobody can say who wrote it.
    mode(&foreign, 0o666);
    let (name, said) = policy_in_force(&place);
    assert_eq!(name, "default");
    assert!(
        said.contains("others may write to it") && said.contains("lictor.yaml"),
        "{said}"
    );
    mode(&foreign, 0o644);
    if !given_away(&foreign) {
        return;
    }
    let (name, said) = policy_in_force(&place);
    assert_eq!(name, "own");
    assert!(
        said.contains(foreign.to_str().unwrap()) && said.contains("somebody else"),
        "{said}"
    );
}

#[test]
fn a_document_with_odd_characters_is_refused_without_a_panic() {
    for text in [
        "version: 1\nname: x\n\u{feff}rules: []\n",
        "version: \u{feff}1\nname: x\n",
        "version: 1\nname: x\nscopes: {a: [b]}\u{e0001}rules: []\n",
        "version: 1\nname: x\nrules:\n  - {id: \u{1F600}, allow: \u{1F600}}\n\u{1F600}",
    ] {
        let place = Place::with_policy(text);
        for words in [
            &["lint", "lictor.yaml"][..],
            &["lint", "--format", "sarif", "lictor.yaml"],
            &["lint", "--format", "json", "lictor.yaml"],
            &["lint", "--fix", "lictor.yaml"],
            &["check", "--", "cat", "a"],
            &["run", "--", "cat", "a"],
            &["test", "lictor.yaml"],
            &["prove", "lictor.yaml"],
        ] {
            let end = place.lictor(words).end();
            let code = end.code.unwrap();
            assert!(
                (1..=3).contains(&code),
                "{words:?} {text:?}: {code}\n{}",
                end.stderr
            );
        }
    }
}
