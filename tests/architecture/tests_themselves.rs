//! The form of `tests`: every file belongs to a program, and none passes because something is missing on the machine.

use std::collections::BTreeSet;
use std::fs;

use crate::{files_below, none};

/// A file that no `mod` line names is not built, and its tests pass by not being there.
#[test]
fn every_file_belongs_to_a_program() {
    let files = files_below("tests");
    let text_of = |name: &str| files.iter().find(|(known, _)| known == name);
    let mut wrong = Vec::new();
    for (name, _) in &files {
        let Some((folder, file)) = name.rsplit_once('/') else {
            wrong.push(format!(
                "tests/{name}: a program of its own takes long to link: make it a file of a folder with a `main.rs`"
            ));
            continue;
        };
        if file == "main.rs" || file == "mod.rs" {
            continue;
        }
        let parents = [
            format!("{folder}/main.rs"),
            format!("{folder}/mod.rs"),
            format!("{folder}.rs"),
        ];
        let line = format!("mod {};", file.trim_end_matches(".rs"));
        let names_it =
            |parent: &String| text_of(parent).is_some_and(|(_, text)| text.contains(&line));
        if !parents.iter().any(names_it) {
            wrong.push(format!("tests/{name}: no `{line}` in {}", parents[0]));
        }
    }
    none(&wrong);
}

/// What is missing is said in one way, which fails where it is required.
#[test]
fn what_a_machine_lacks_is_told_by_one_function() {
    let mut wrong = Vec::new();
    for (name, text) in files_below("tests") {
        if name.starts_with("support/") || name.starts_with("architecture/") {
            continue;
        }
        for (number, line) in (1..).zip(text.lines()) {
            let code = line.trim_start();
            let says_so =
                code.contains("not run") && !code.starts_with("//") && code.contains("print");
            let text_says_so = code.starts_with("\"not run");
            let asks =
                code.contains("var_os(\"LICTOR_TEST_") || code.contains("var(\"LICTOR_TEST_");
            if says_so || text_says_so || asks {
                wrong.push(format!(
                    "tests/{name}:{number}: use `support::need`, so that LICTOR_TEST_REQUIRE counts"
                ));
            }
        }
    }
    none(&wrong);
}

#[test]
fn what_test_sh_requires_is_what_tests_need() {
    let root = env!("CARGO_MANIFEST_DIR");
    let script = fs::read_to_string(format!("{root}/test.sh")).unwrap();
    let required: BTreeSet<&str> = script
        .lines()
        .filter_map(|line| line.trim().strip_prefix("require+=("))
        .flat_map(|names| names.trim_end_matches(')').split(' '))
        .collect();
    assert!(
        required.contains("jq") && required.contains("root"),
        "{required:?}"
    );
    let need = fs::read_to_string(format!("{root}/tests/support/need.rs")).unwrap();
    let known = |name: &&&str| need.contains(&format!("    \"{name}\",\n"));
    let unknown: Vec<_> = required.iter().filter(|name| !known(name)).collect();
    assert!(
        unknown.is_empty(),
        "tests/support/need.rs has no {unknown:?}"
    );
}
