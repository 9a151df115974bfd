//! What exact answers cost: every rule of a policy of 100 and of 1,000 rules asked whether it can decide
//! and whether it is needed, two policies compared, and patterns that are made to blow up.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark prints, and fails by panicking"
)]

use std::fmt::Write as _;
use std::time::Instant;

use divan::{Bencher, black_box};
use lictor::analysis::cells::Analysis;
use lictor::analysis::diff::diff;
use lictor::analysis::{Answer, Budget, PathSet, Space};
use lictor::lint::{self, Options, Unknown};
use lictor::path::Switches;
use lictor::policy::CompiledPolicy;
use lictor::policy::glob::{Case, Pattern};

fn main() {
    ratios();
    divan::main();
}

/// Looking at policies against loading one of them in the same run: ratios mean the same on every machine.
fn ratios() {
    let quickest = |work: &dyn Fn()| {
        let time = || {
            let begun = Instant::now();
            work();
            begun.elapsed()
        };
        (0..7)
            .map(|_| time())
            .min()
            .unwrap_or_default()
            .as_secs_f64()
    };
    let (hundred, thousand) = (policy(100, None), policy(1000, None));
    let changed = policy(100, Some(8));
    let load = quickest(&|| {
        black_box(policy(100, None));
    });
    let look = |policy: &CompiledPolicy| {
        black_box(lint::run(policy, &Unknown, &Options::default()));
    };
    let compare = || {
        black_box(diff(&hundred, &changed, &Budget::default()));
    };
    println!("against loading a policy of 100 rules once:");
    println!(
        "  lint of 100 rules    {:6.1}",
        quickest(&|| look(&hundred)) / load
    );
    println!(
        "  lint of 1,000 rules  {:6.1}",
        quickest(&|| look(&thousand)) / load
    );
    println!("  diff of 100 rules    {:6.1}", quickest(&compare) / load);
}

/// A policy of so many rules: teams with directories of their own, now and then a deny, an approval or a
/// limit, and secrets that nobody reads. `changed` is the number of a team that may do more.
fn policy(rules: usize, changed: Option<usize>) -> CompiledPolicy {
    let mut scopes = String::from(
        "  secrets: [\"**/.env*\", \"**/*.pem\", \"**/id_*\", \"secrets/**\", \"**/.aws/**\", \"**/*.key\"]\n  docs: \"docs/**\"\n",
    );
    let mut text = String::from(
        "  - {id: no-secrets, deny: \"*\", touching: secrets}\n  - {id: docs, allow: filesystem.*, within: docs}\n",
    );
    for nth in 0..rules.saturating_sub(2) {
        let team = nth / 4;
        let wide = if changed == Some(nth) { "*" } else { "" };
        match nth % 4 {
            0 => {
                writeln!(
                    scopes,
                    "  s{nth}: [\"teams/t{team}{wide}/src/**\", \"teams/t{team}/**/*.md\"]"
                )
                .unwrap();
                writeln!(text, "  - {{id: r{nth}, allow: [filesystem.read_file, filesystem.list_dir], within: s{nth}}}").unwrap();
            }
            1 => {
                writeln!(scopes, "  s{nth}: {{include: \"teams/t{team}{wide}/src/**\", exclude: \"teams/t{team}/src/vendor/**\"}}").unwrap();
                writeln!(text, "  - {{id: r{nth}, allow: filesystem.write_file, within: s{nth}, approval: council}}").unwrap();
            }
            2 => {
                writeln!(
                    scopes,
                    "  s{nth}: \"teams/t{team}{wide}/tests/**/test_*.py\""
                )
                .unwrap();
                writeln!(text, "  - {{id: r{nth}, allow: pytest.run, within: s{nth}, limits: {{timeout: {}s}}}}", 60_usize.saturating_add(nth % 3)).unwrap();
            }
            _ => {
                writeln!(scopes, "  s{nth}: \"teams/t{team}{wide}/src/generated/**\"").unwrap();
                writeln!(
                    text,
                    "  - {{id: r{nth}, deny: filesystem.write_file, touching: s{nth}}}"
                )
                .unwrap();
            }
        }
    }
    CompiledPolicy::from_yaml(&format!(
        "version: 1\nname: bench\nuse: [lictor/files@1, lictor/pytest@1]\napprovals: {{council: {{env: COUNCIL}}}}\nscopes:\n{scopes}rules:\n{text}"
    ))
    .unwrap()
}

fn ids(policy: &CompiledPolicy) -> Vec<String> {
    let text = &policy.files().next().unwrap().text;
    let ids = text
        .split("{id: ")
        .skip(1)
        .map(|rest| rest.split(',').next().unwrap().to_owned());
    ids.collect()
}

#[divan::bench(args = [100, 1000], sample_count = 3)]
fn every_rule_can_it_decide(bencher: Bencher<'_, '_>, rules: usize) {
    let policy = policy(rules, None);
    let ids = ids(&policy);
    bencher.bench(|| {
        let analysis = Analysis::of(&policy);
        let budget = Budget::default();
        for id in &ids {
            let answer = analysis.never_allows(black_box(id), &budget);
            assert!(answer.cap().is_none(), "{id}");
        }
    });
}

#[divan::bench(args = [100, 1000], sample_count = 3)]
fn every_rule_is_it_needed(bencher: Bencher<'_, '_>, rules: usize) {
    let policy = policy(rules, None);
    let ids = ids(&policy);
    bencher.bench(|| {
        let analysis = Analysis::of(&policy);
        let budget = Budget::default();
        for id in &ids {
            let answer = analysis.is_redundant(black_box(id), &budget);
            assert!(answer.cap().is_none(), "{id}");
        }
    });
}

#[divan::bench(args = [100, 1000], sample_count = 5)]
fn difference_of_two_policies(bencher: Bencher<'_, '_>, rules: usize) {
    let (before, after) = (policy(rules, None), policy(rules, Some(8)));
    bencher.bench(|| {
        let found = diff(black_box(&before), black_box(&after), &Budget::default());
        assert!(!found.changes.is_empty() && found.unknown.is_empty());
    });
}

#[divan::bench(args = [100, 1000], sample_count = 5)]
fn difference_of_a_policy_and_itself(bencher: Bencher<'_, '_>, rules: usize) {
    let (before, after) = (policy(rules, None), policy(rules, None));
    bencher.bench(|| assert!(diff(&before, &after, &Budget::default()).answer().holds()));
}

/// Patterns that are made to blow up, one inside the other: an answer, or the cap, in bounded time.
#[divan::bench(args = [
    ("**/a/**/a/**/a/**/a/**/a/**/a", "**/a/**/a/**/a/**/a/**/a/**/a"),
    ("*a*b*a*b*a*b*a*b*a*b", "*b*a*b*a*b*a*b*a"),
    ("**/*a?????????????????????????", "**/*[ab]????????????????????????"),
    ("**/{a*b,b*a,a*a,b*b}/**/{*ab,*ba}*/**", "**/?????????????/**/*a????????????"),
], sample_count = 5)]
fn nasty(bencher: Bencher<'_, '_>, pair: &(&str, &str)) {
    let set = |text: &str| PathSet::of(&Pattern::parse(text).unwrap(), Case::Exact);
    let (part, whole) = (set(pair.0), set(pair.1));
    let space = Space::of_requests(&Switches::default());
    bencher.bench(|| match space.covers(&whole, &part, &Budget::default()) {
        Answer::Holds | Answer::Fails(_) | Answer::Unknown(_) => {}
    });
}
