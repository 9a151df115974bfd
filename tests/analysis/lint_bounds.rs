//! Policies that are made to cost: each ends with an answer, and what was not decided is told.

use std::cell::Cell;
use std::fmt::Write as _;

use lictor::analysis::Budget;
use lictor::analysis::cells::Analysis;
use lictor::lint::{self, Options, Unknown};
use lictor::policy::{CompiledPolicy, Files, SourceFile};

fn codes(policy: &CompiledPolicy, options: &Options<'_>) -> Vec<(&'static str, String)> {
    let report = lint::run(policy, &Unknown, options);
    let found = report.diagnostics.into_iter();
    found.map(|found| (found.code, found.message)).collect()
}

#[test]
fn when_the_time_is_over_that_is_told_once_for_all_rules_and_not_for_each() {
    let mut text = String::from("version: 1\nname: many\nuse: lictor/files@1\nscopes:\n");
    let mut rules = String::new();
    for nth in 0..600 {
        writeln!(
            text,
            "  s{nth}: {{include: \"d{nth}/**\", exclude: \"d{nth}/x/**\"}}"
        )
        .unwrap();
        let effect = if nth % 4 == 3 {
            "deny: filesystem.*, touching"
        } else {
            "allow: filesystem.read_file, within"
        };
        writeln!(rules, "  - {{id: r{nth}, {effect}: s{nth}}}").unwrap();
    }
    let policy = CompiledPolicy::from_yaml(&format!("{text}rules:\n{rules}")).unwrap();
    // The clock of this run: it is over after so many looks at it.
    let looks = Cell::new(0_u32);
    let is_late = || {
        looks.set(looks.get().saturating_add(1));
        looks.get() > 300
    };
    let found = codes(&policy, &Options::default().until(&is_late));
    let unknown: Vec<_> = found.iter().filter(|(code, _)| *code == "L215").collect();
    assert!(!unknown.is_empty());
    // One for each kind of question, and perhaps one for the rule that was being looked at.
    let from_here = unknown
        .iter()
        .filter(|(_, message)| message.contains("from here on"));
    assert!(from_here.count() <= 3);
}

#[test]
fn patterns_that_blow_up_end_with_an_answer_or_a_cap() {
    #[track_caller]
    fn check(allow: &str, deny: &str) {
        let policy = CompiledPolicy::from_yaml(&format!(
            "version: 1\nname: nasty\nuse: lictor/files@1\nscopes: {{a: {allow}, d: {deny}}}\nrules:\n  \
             - {{id: a, allow: filesystem.read_file, within: a}}\n  \
             - {{id: d, deny: filesystem.read_file, touching: d}}\n"
        ))
        .unwrap();
        let budget = Budget::default().with_steps(20_000).with_bytes(32 << 20);
        let analysis = Analysis::of(&policy);
        let answers = [
            analysis.never_allows("a", &budget),
            analysis.is_redundant("d", &budget),
            analysis.are_apart("a", "d", &budget),
        ];
        for answer in answers {
            if let Some(witness) = answer.witness() {
                assert!(witness.path.is_some());
            }
        }
        // A question is a few searches, one for each argument, and each may take as many.
        assert!(budget.taken() < 10 * 21_000, "{}", budget.taken());
    }
    let branches = |from: u8| {
        let words: Vec<_> = (0..60_u8)
            .map(|nth| format!("{}{nth}*", char::from(from + nth % 20)))
            .collect();
        words.join(",")
    };
    check(
        &format!("\"**/{{{}}}/**\"", "a*,b*,c*,d*,e*,f*,g*,h*"),
        &format!("[\"**/{{{}}}\", \"**/*z*/**\"]", "*a,*b,*c,*d,*e,*f,*g,*h"),
    );
    check(
        "\"**/*a??????????????????????????????\"",
        "\"**/*[ab]?????????????????????????????\"",
    );
    check(
        "\"*/**/a/**/*/**/a/**/*/**/a/**/*/**/a\"",
        "\"**/a/*/**/a/*/**/a/*/**/a/**\"",
    );
    check(
        "\"[!a]*[!b]*[!c]*[!d]*[!e]*[!f]*[!g]*[!h]*\"",
        "\"*[a-d]*[e-h]*[i-l]*[m-p]*[q-t]*[u-x]*\"",
    );
    // More wildcards than a pattern may have are refused when the policy is loaded.
    let refused = CompiledPolicy::from_yaml(&format!(
        "version: 1\nname: nasty\nuse: lictor/files@1\nscopes: {{a: \"**/{{{}}}\"}}\nrules:\n  - {{id: a, allow: filesystem.read_file, within: a}}\n",
        branches(b'a'),
    ));
    assert!(refused.is_err());
}

/// Files that extend each other.
struct Ring(usize);

impl Files for Ring {
    fn read(&self, name: &str) -> Result<SourceFile, String> {
        Ok(SourceFile::new(name, ring(name, self.0)))
    }
}

fn ring(name: &str, of: usize) -> String {
    let nth: usize = name
        .trim_matches(|c: char| !c.is_ascii_digit())
        .parse()
        .unwrap_or(0);
    let next = nth.saturating_add(1) % of;
    format!("version: 1\nname: p{nth}\nextends: p{next}.yaml\n")
}

#[test]
fn policies_that_extend_each_other_in_a_ring_are_refused_with_a_place() {
    for of in [1, 2, 3, 9, 500] {
        let main = SourceFile::new("p0.yaml", ring("p0.yaml", of));
        let errors = CompiledPolicy::load(main, &Ring(of)).unwrap_err();
        let problem = errors.problems().first().unwrap();
        assert_eq!(problem.code.text(), "P010", "{of}: {}", problem.message);
        assert!(problem.at.line == 3 && errors.problems().len() == 1, "{of}");
    }
}
