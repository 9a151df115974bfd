//! `lictor test --generate`: the tests that policies lack, as a change to review or put into the file.

#![forbid(unsafe_code)]

use std::time::Instant;

use serde_json::{Value as Json, json};

use super::exit::Exit;
use super::prove::LONGEST;
use super::{Failure, print_json, replace};
use crate::governor::LoadedPolicy;
use crate::lint::Options;
use crate::lint::coverage::PointKind;
use crate::lint::generate::{Generated, Left, generate};
use crate::lint::policy_tests;
use crate::text::one_line;

/// Use of the tests.
pub(super) struct Wanted {
    /// Put them into the files; else they are printed.
    pub(super) write: bool,
    pub(super) json: bool,
    /// The coverage that has to be reached, in per cent.
    pub(super) least: u8,
}

/// Result for one policy.
struct Made<'p> {
    loaded: &'p LoadedPolicy,
    generated: Generated,
    /// Its own tests that fail.
    failing: usize,
}

pub(super) fn main(policies: &[LoadedPolicy], wanted: &Wanted) -> Result<Exit, Failure> {
    let made: Vec<Made<'_>> = policies.iter().map(make).collect();
    // All or nothing, as far as it can be seen before.
    if wanted.write {
        for one in &made {
            if one.generated.text.is_none() && !one.generated.tests.is_empty() {
                tell_block(one);
                return Err(Failure::new(format!(
                    "the layout of `{}` has no room for tests that was found; nothing was written",
                    document(one).0.escape_debug()
                )));
            }
        }
        for one in &made {
            if let (Some(text), Some(file)) = (&one.generated.text, one.loaded.files.first()) {
                replace(file, document(one).1, text)?;
            }
        }
    }
    if wanted.json {
        let policies: Vec<Json> = made.iter().map(|one| to_json(one, wanted.write)).collect();
        print_json(&json!({"v": 1, "generated": policies}));
    } else {
        for one in &made {
            tell(one, wanted);
        }
    }
    Ok(exit(&made, wanted.least))
}

fn make(loaded: &LoadedPolicy) -> Made<'_> {
    let begun = Instant::now();
    let is_late = || begun.elapsed() > LONGEST;
    let options = Options::default().until(&is_late);
    Made {
        loaded,
        generated: generate(&loaded.policy, &options),
        failing: policy_tests::run(&loaded.policy)
            .iter()
            .filter(|outcome| !outcome.passed())
            .count(),
    }
}

/// Wrong is told before unknown: what is unknown may yet turn out well.
fn exit(made: &[Made<'_>], least: u8) -> Exit {
    let short = || made.iter().filter(|one| one.generated.percent < least);
    let is_wrong = |one: &Made<'_>| one.generated.left.iter().any(|left| !left.is_unknown);
    if made.iter().any(|one| one.failing > 0) || short().any(is_wrong) {
        Exit::Bad
    } else if short().next().is_some() {
        Exit::Unknown
    } else {
        Exit::Good
    }
}

/// The policy's own file, with its name and its text; those that it extends come behind it.
fn document<'m>(made: &'m Made<'_>) -> (&'m str, &'m str) {
    let first = made.loaded.policy.files().next();
    first.map_or(("", ""), |file| (&file.name, &file.text))
}

fn patch(made: &Made<'_>) -> Option<String> {
    let after = made.generated.text.as_deref()?;
    let (name, before) = document(made);
    let diff = similar::TextDiff::from_lines(before, after);
    Some(
        diff.unified_diff()
            .header(&one_line(name), &one_line(name))
            .to_string(),
    )
}

/// The tests go to standard output, all else to standard error.
fn tell(made: &Made<'_>, wanted: &Wanted) {
    let generated = &made.generated;
    let count = generated.tests.len();
    let tests = if count == 1 { "test" } else { "tests" };
    if !wanted.write {
        match patch(made) {
            Some(patch) => answer_part!("{patch}"),
            None => tell_block(made),
        }
    }
    let (policy, percent) = (made.loaded.policy.name(), generated.percent);
    if count == 0 {
        message!("{policy}: no test to add, {percent} % covered");
    } else {
        let verb = if wanted.write { "added" } else { "to add" };
        let was = generated.percent_before;
        message!("{policy}: {count} {tests} {verb}, {was} % covered without, {percent} % with");
        if !wanted.write && generated.text.is_some() {
            message!("  `lictor test --generate --write` puts them into the file");
        }
    }
    for left in &generated.left {
        message!(
            "  {}:{}: no test shows {} `{}`: {}",
            one_line(&left.at.file),
            left.at.line,
            what(left.kind),
            left.name,
            left.why
        );
    }
    match made.failing {
        0 => {}
        1 => message!("  one of its own tests fails; `lictor test` tells which"),
        more => message!("  {more} of its own tests fail; `lictor test` tells which"),
    }
}

/// The tests where no place was found for them.
fn tell_block(made: &Made<'_>) {
    if made.generated.tests.is_empty() {
        return;
    }
    answer!("# The layout of the policy has no room that was found; put this where it belongs.");
    answer!("tests:");
    for test in &made.generated.tests {
        answer!("  - {}", test.yaml);
    }
}

fn what(kind: PointKind) -> &'static str {
    match kind {
        PointKind::Rule => "rule",
        PointKind::Boundary => "where the scope ends:",
    }
}

fn to_json(made: &Made<'_>, is_written: bool) -> Json {
    let generated = &made.generated;
    let points = |shows: &[(PointKind, String)]| -> Vec<Json> {
        let points = shows.iter();
        points
            .map(|(kind, name)| json!({"kind": kind.word(), "name": name}))
            .collect()
    };
    let tests: Vec<Json> = generated
        .tests
        .iter()
        .map(|test| {
            json!({
                "id": test.id,
                "test": test.yaml,
                "shows": points(&test.shows),
                "request": test.outcome.request,
                "effect": test.outcome.decision.effect(),
                "reason": test.outcome.decision.reason(),
            })
        })
        .collect();
    let left = |left: &Left| {
        json!({
            "kind": left.kind.word(),
            "name": left.name,
            "file": left.at.file,
            "line": left.at.line,
            "why": left.why,
            "unknown": left.is_unknown,
        })
    };
    json!({
        "policy": made.loaded.policy.name(),
        "file": made.loaded.files.first().map(|file| file.display().to_string()),
        "percent_before": generated.percent_before,
        "percent": generated.percent,
        "failing": made.failing,
        "tests": tests,
        "left": generated.left.iter().map(left).collect::<Vec<_>>(),
        "diff": patch(made),
        "written": is_written && generated.text.is_some(),
    })
}
