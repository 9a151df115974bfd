//! Strategies for policies.

#![forbid(unsafe_code)]

use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use crate::policy::CompiledPolicy;

const PATTERNS: &[&str] = &[
    "**",
    "src/**",
    "src/*",
    "docs/**",
    "tests/unit/**",
    "tests/*/fixtures/**",
    "**/*.py",
    "**/.env*",
    "secrets/**",
    "src/secrets/**",
    "README.md",
    "{src,tests}/**/*.rs",
    "src/[a-m]*",
];

const ACTIONS: &[&str] = &[
    "\"*\"",
    "\"filesystem.*\"",
    "filesystem.read_file",
    "filesystem.write_file",
    "filesystem.search",
    "pytest.run",
    "git.add",
    "[git.diff, git.log]",
    "filesystem.list_dir",
];

/// Texts of valid policies over the tool libraries, with scopes, exclusions, rules of every effect, and
/// one approval.
pub fn text() -> impl Strategy<Value = String> {
    let scope = (
        subsequence(PATTERNS, 1..4),
        prop::option::of(select(PATTERNS)),
    );
    let rule = (
        select(vec!["allow", "allow", "allow", "ask", "deny"]),
        select(ACTIONS),
        0..3_usize,
        prop::bool::ANY,
        select(vec!["", ", approval: council"]),
    );
    let scopes = prop::collection::vec(scope, 3);
    let rules = prop::collection::vec(rule, 0..6);
    let links = select(vec!["deny", "within"]);
    (scopes, rules, links).prop_map(|(scopes, rules, links)| {
        let mut text = format!(
            "version: 1\nname: generated\nuse: [lictor/files@1, lictor/pytest@1, lictor/git@1]\n\
             paths: {{symlinks: {links}}}\napprovals:\n  council: {{env: COUNCIL}}\nscopes:\n"
        );
        for (nth, (include, exclude)) in scopes.iter().enumerate() {
            let exclude = exclude
                .filter(|pattern| *pattern != "**")
                .map(|pattern| format!(", exclude: [\"{pattern}\"]"))
                .unwrap_or_default();
            let include: Vec<String> = include.iter().map(|text| format!("\"{text}\"")).collect();
            let include = include.join(", ");
            text.push_str(&format!("  s{nth}: {{include: [{include}]{exclude}}}\n"));
        }
        text.push_str(if rules.is_empty() {
            "rules: []\n"
        } else {
            "rules:\n"
        });
        for (nth, (effect, actions, scope, outright, approval)) in rules.iter().enumerate() {
            let scoped = match (*effect, *outright) {
                ("allow", _) => format!(", within: s{scope}"),
                (_, true) => String::new(),
                (_, false) => format!(", touching: s{scope}"),
            };
            let approval = if *effect == "deny" { "" } else { approval };
            text.push_str(&format!(
                "  - {{id: r{nth}, {effect}: {actions}{scoped}{approval}}}\n"
            ));
        }
        text
    })
}

/// Policies, compiled.
pub fn any() -> impl Strategy<Value = CompiledPolicy> {
    text().prop_filter_map("a policy that is refused", |text| {
        CompiledPolicy::from_yaml(&text).ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest! {
        // Each case compiles a policy.
        #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn every_generated_policy_is_valid(text in text()) {
            let read = CompiledPolicy::from_yaml(&text);
            prop_assert!(read.is_ok(), "{text}\n{:?}", read.err());
        }
    }
}
