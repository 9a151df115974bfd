//! What keeps out holds for every name that a file system may take for the one it speaks about; what lets in
//! stays exact.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use lictor::analysis::Budget;
use lictor::analysis::cells::Analysis;
use lictor::decision::{Context, Effect, Request, decide};
use lictor::policy::CompiledPolicy;
use lictor::policy::glob::Pattern;
use lictor::policy::index::Index;
use lictor::reason::Reason;
use lictor::resolve::{Workspace, resolve_paths};

fn policy(paths: &str, denied: &str) -> CompiledPolicy {
    let text = format!(
        "version: 1
name: folding
use: lictor/files@1
paths: {paths}
scopes: {{all: \"**\", exact: [\"straße/**\", \"ﬁle\"], denied: {denied}}}
rules:
  - {{id: a, allow: [filesystem.read_file, filesystem.write_file], within: all}}
  - {{id: e, allow: filesystem.delete, within: exact}}
  - {{id: d, deny: \"*\", touching: denied}}
"
    );
    CompiledPolicy::from_yaml(&text).unwrap_or_else(|errors| panic!("{text}\n{errors}"))
}

fn answer(policy: &CompiledPolicy, action: &str, path: &str) -> Option<Reason> {
    let request = Request::named("filesystem", action).with_arg("path", path);
    let decision = decide(policy, &request, &Context::new("test"));
    match decision.effect() {
        Effect::Allow => None,
        Effect::Deny | Effect::Ask => decision.reason(),
    }
}

/// What the disk says of reading a path that the rules allow: there, names are taken for one another.
fn on_disk(policy: &CompiledPolicy, path: &str) -> Option<Reason> {
    let place = tempfile::tempdir().unwrap();
    let workspace = Workspace::open_root(&place.path().canonicalize().unwrap()).unwrap();
    let context = Context::new("test");
    let request = Request::named("filesystem", "read_file").with_arg("path", path);
    let decision = decide(policy, &request, &context);
    resolve_paths(policy, decision, &context, &workspace).reason()
}

#[test]
fn a_deny_holds_for_every_name_that_is_taken_for_the_one_it_names() {
    let denied = "[\"secrets/**\", \"**/.env*\", \"file\", \"straße\", \"off?ce\", \"a/*ss\", \"{ﬂow,x}/y\", \"k[ei]y\"]";
    for paths in ["{}", "{unicode: relaxed, nfc: ignore}"] {
        let policy = policy(paths, denied);
        for path in [
            "secrets/a",
            "ſecrets/a",
            "SECRETS/a",
            "ſECRETS",
            ".ENV",
            "b/.Env.local",
            "ﬁle",
            "ﬁLE",
            "FILE",
            "straße",
            "STRASSE",
            "strasse",
            "STRAẞE",
            "offıce",
            "a/ß",
            "a/xß",
            "flow/y",
            "ﬂow/y",
            "FLOW/y",
        ] {
            assert_eq!(
                answer(&policy, "read_file", path),
                Some(Reason::DeniedByRule),
                "{path} {paths}"
            );
        }
        for path in [
            "secret/a",
            "café",
            "日本",
            "b/file",
            "files",
            "straẞen",
            "a/s",
            "ﬁler",
            "flo/y",
        ] {
            assert_eq!(answer(&policy, "read_file", path), None, "{path} {paths}");
        }
    }
    // Where the lexical rules let them through.
    let relaxed = policy("{unicode: relaxed, nfc: ignore}", denied);
    for path in [
        "\u{212A}ey",
        "．ｅｎｖ",
        "s\u{200b}ecrets/a",
        "ｓｅｃｒｅｔｓ/a",
        "sec\u{34f}rets",
    ] {
        assert!(answer(&relaxed, "read_file", path).is_some(), "{path}");
    }
}

#[test]
fn what_protects_itself_and_names_that_no_request_may_have_are_kept_out_in_every_form() {
    let relaxed = policy("{unicode: relaxed, nfc: ignore}", "nothing");
    let strict = policy("{}", "nothing");
    for policy in [&relaxed, &strict] {
        for path in [".gıt/config", ".gİt/hooks/a", "a/.GıT"] {
            assert_eq!(
                on_disk(policy, path),
                Some(Reason::PathProtectedDenied),
                "{path}"
            );
        }
        for path in [
            "lıctor.yaml",
            "a/Lİctor.yaml",
            ".vſcode/tasks.json",
            ".vscode/ﬁ",
        ] {
            assert_eq!(
                answer(policy, "write_file", path),
                Some(Reason::SelfProtected),
                "{path}"
            );
        }
        assert_eq!(answer(policy, "read_file", "lıctor.yaml"), None);
    }
    for path in [".g\u{200c}it/config", ".ｇit/x", ".gi\u{307}t"] {
        assert_eq!(
            on_disk(&relaxed, path),
            Some(Reason::PathProtectedDenied),
            "{path}"
        );
    }
}

#[test]
fn what_lets_in_stays_exact() {
    let policy = policy("{}", "nothing");
    assert_eq!(answer(&policy, "delete", "straße/a"), None);
    assert_eq!(answer(&policy, "delete", "ﬁle"), None);
    for path in ["strasse/a", "STRASSE/a", "straẞe/a", "file"] {
        assert_eq!(
            answer(&policy, "delete", path),
            Some(Reason::PathOutsideAllowedScope),
            "{path}"
        );
    }
}

const PIECES: &[&str] = &[
    "a", "s", "ss", "ß", "ẞ", "ſ", "i", "ı", "İ", "ﬁ", "fi", "F", "K", "\u{212A}", "é", "e", "ﬅ",
    "st", "A", ".", "x",
];

/// Numbers that look random and are the same each time.
struct Random(u64);

impl Random {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap_or(0) % most
    }

    fn text(&mut self, wild: bool) -> String {
        let mut text = String::new();
        for nth in 0..=self.below(3) {
            if nth > 0 && self.below(3) == 0 {
                text.push('/');
            }
            text.push_str(PIECES[self.below(PIECES.len())]);
            if wild && self.below(4) == 0 {
                text.push_str(["*", "?", "[a-s]", "{fi,ß}"][self.below(4)]);
            }
        }
        text
    }
}

#[test]
fn the_index_matches_as_the_patterns_do_and_widening_only_adds() {
    let mut random = Random(5);
    for _ in 0..300 {
        let texts: Vec<String> = (0..20).map(|_| random.text(true)).collect();
        let patterns: Vec<Pattern> = texts
            .iter()
            .filter_map(|text| Pattern::parse(text).ok())
            .collect();
        let index = Index::build_folded(patterns.iter().zip(0..));
        for _ in 0..40 {
            let path = random.text(false);
            let mut found = Vec::new();
            index.visit(&path, &mut |number| found.push(number));
            found.sort_unstable();
            let expected: Vec<u32> = patterns
                .iter()
                .zip(0..)
                .filter(|(pattern, _)| pattern.matches_folded(&path))
                .map(|(_, number)| number)
                .collect();
            assert_eq!(found, expected, "{path} {patterns:?}");
            for pattern in patterns.iter().filter(|pattern| pattern.matches(&path)) {
                assert!(pattern.matches_folded(&path), "{pattern} {path}");
            }
        }
    }
}

/// Analysis speaks of letters one by one. Where a name is taken for another by more, it may not know; it shows
/// nothing that is not so.
#[test]
fn what_analysis_says_of_such_names_is_so_or_unknown() {
    let text = "version: 1
name: proved
use: lictor/files@1
scopes: {all: \"**\", kept: [\"straße/**\", \"file*\"]}
rules:
  - {id: a, allow: filesystem.read_file, within: all}
  - {id: d, deny: \"*\", touching: kept}
invariants:
  - {id: street, never: \"*\", paths: \"strasse/**\"}
  - {id: file, never: \"*\", paths: \"ﬁle\"}
";
    let policy = CompiledPolicy::from_yaml(text).unwrap();
    let proofs = Analysis::of(&policy).prove(&Budget::default());
    let answer_of = |id: &str| &proofs.iter().find(|proof| proof.id == id).unwrap().answer;
    assert!(answer_of("street").holds(), "{:?}", answer_of("street"));
    assert!(
        answer_of("file").witness().is_none(),
        "{:?}",
        answer_of("file")
    );
    for path in ["strasse/a", "STRASSE", "straße/b", "ﬁle", "FILE"] {
        assert_eq!(
            answer(&policy, "read_file", path),
            Some(Reason::DeniedByRule),
            "{path}"
        );
    }
}
