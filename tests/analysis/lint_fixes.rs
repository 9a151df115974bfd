//! Fixes that take a definition out: the policy that is left decides alike, and its comments are there.

use lictor::analysis::Budget;
use lictor::analysis::diff::diff;
use lictor::lint::{self, Options, Unknown};
use lictor::policy::CompiledPolicy;
use proptest::prelude::*;

/// The text after the first fix of this code was made.
fn fixed(text: &str, code: &str) -> Option<String> {
    let policy = CompiledPolicy::from_yaml(text).unwrap();
    let report = lint::run(&policy, &Unknown, &Options::default());
    let found = report.diagnostics.iter().filter(|found| found.code == code);
    let fix = found.filter_map(|found| found.fix.clone()).next()?;
    let mut text = text.to_owned();
    for edit in fix.edits.iter().rev() {
        text.replace_range(edit.start..edit.end, &edit.text);
    }
    Some(text)
}

const HEAD: &str = "version: 1\nname: fixes\nuse: lictor/files@1\n";
const RULES: &str = "rules:\n  - {id: read, allow: filesystem.read_file, within: docs}\n";

#[test]
fn an_unused_definition_is_taken_out_with_its_lines() {
    #[track_caller]
    fn check(before: &str, after: &str) {
        let fixed = fixed(&format!("{HEAD}{before}{RULES}"), "P008");
        assert_eq!(fixed, Some(format!("{HEAD}{after}{RULES}")));
    }
    check(
        "scopes:\n  # about docs\n  docs: \"docs/**\"\n  # about the other\n  other:\n    - \"a/**\" # inside\n    - \"b/**\" # the last\n  # behind\n\n",
        "scopes:\n  # about docs\n  docs: \"docs/**\"\n  # about the other\n  # behind\n\n",
    );
    check(
        "scopes:\n  other:\n    include: [\"a/**\",\n      \"b/**\"]\n    exclude:\n    - c/d\n  docs: [\"docs/**\"]\n",
        "scopes:\n  docs: [\"docs/**\"]\n",
    );
    check(
        "scopes: {other: {include: \"**\", exclude: [\"a\", \"b\"]}, docs: \"docs/**\"}\n",
        "scopes: {docs: \"docs/**\"}\n",
    );
    check(
        "scopes: {docs: \"docs/**\", other: [\"a\"]} # all\n",
        "scopes: {docs: \"docs/**\"} # all\n",
    );
    check(
        "scopes: {docs: \"docs/**\"}\napprovals:\n  # a person\n  council:\n    env: COUNCIL\n    accept:\n      - \"1\"\n# behind\n",
        "scopes: {docs: \"docs/**\"}\n# behind\n",
    );
}

/// A scope in one of several layouts, with a comment above it that names it.
fn scope(nth: usize) -> impl Strategy<Value = String> {
    let layout = prop_oneof![
        Just("  NAME: \"dir/NAME/**\"\n"),
        Just("  NAME: [\"dir/NAME/*\", \"b/**\"] # beside\n"),
        Just("  NAME:\n    - \"dir/NAME/**\"\n    # within\n    - \"b/**\"\n"),
        Just("  NAME:\n  - \"dir/NAME/**\"\n  - 'x/{a,b}'\n\n"),
        Just("  NAME:\n    include:\n      - \"dir/NAME/**\"\n    exclude: \"dir/NAME/x\"\n"),
        Just("  NAME: {include: [\"dir/NAME/**\",\n    \"c\"], exclude: \"dir/NAME/x\"}\n"),
    ];
    layout.prop_map(move |layout| {
        let text = format!("  # above NAME\n{layout}");
        text.replace("NAME", &format!("s{nth}"))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn a_fix_leaves_the_difference_empty_and_comments_in_place(
        scopes in (scope(0), scope(1), scope(2), scope(3)),
        used in proptest::collection::vec(any::<bool>(), 4),
    ) {
        let (a, b, c, d) = scopes;
        let rules: String = used.iter().enumerate().filter(|(_, used)| **used).map(|(nth, _)| {
            format!("  - {{id: r{nth}, allow: filesystem.read_file, within: s{nth}}}\n")
        }).collect();
        prop_assume!(!rules.is_empty());
        let mut text = format!("{HEAD}scopes:\n{a}{b}{c}{d}rules:\n{rules}");
        let before = CompiledPolicy::from_yaml(&text).unwrap();
        for _ in used.iter().filter(|used| !**used) {
            text = fixed(&text, "P008").unwrap();
        }
        let after = CompiledPolicy::from_yaml(&text).unwrap();
        prop_assert!(diff(&before, &after, &Budget::default()).answer().holds());
        for (nth, used) in used.iter().enumerate() {
            let comment = format!("# above s{nth}");
            let definition = format!("\n  s{nth}:");
            prop_assert!(text.contains(&comment));
            prop_assert_eq!(text.contains(&definition), *used);
        }
        prop_assert_eq!(fixed(&text, "P008"), None);
    }
}
