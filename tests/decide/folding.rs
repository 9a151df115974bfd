//! What keeps out holds for every name that a file system may take for the one it speaks about; what lets in
//! stays exact.

use crate::support::random::Random;
use lictor::analysis::cells::Analysis;
use lictor::analysis::{Answer, Budget, Witness};
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
    crate::support::compiled(&text)
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

fn random_text(random: &mut Random, wild: bool) -> String {
    let mut text = String::new();
    for nth in 0..=random.below(3) {
        if nth > 0 && random.below(3) == 0 {
            text.push('/');
        }
        text.push_str(PIECES[random.below(PIECES.len())]);
        if wild && random.below(4) == 0 {
            text.push_str(["*", "?", "[a-s]", "{fi,ß}"][random.below(4)]);
        }
    }
    text
}

#[test]
fn the_index_matches_as_the_patterns_do_and_widening_only_adds() {
    let mut random = Random(5);
    for _ in 0..300 {
        let texts: Vec<String> = (0..20).map(|_| random_text(&mut random, true)).collect();
        let patterns: Vec<Pattern> = texts
            .iter()
            .filter_map(|text| Pattern::parse(text).ok())
            .collect();
        let index = Index::build_folded(patterns.iter().zip(0..));
        for _ in 0..40 {
            let path = random_text(&mut random, false);
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

fn prove(text: &str) -> (CompiledPolicy, Vec<Answer<Witness>>) {
    let policy = crate::support::compiled(text);
    let proofs = Analysis::of(&policy).prove(&Budget::default());
    (
        policy,
        proofs.into_iter().map(|proof| proof.answer).collect(),
    )
}

/// Proves that nothing of `never` is ever read, of which `allowed` says what may be read.
fn never(
    paths: &str,
    allowed: &str,
    denied: &str,
    never: &str,
) -> (CompiledPolicy, Answer<Witness>) {
    let (policy, answers) = prove(&format!(
        "version: 1
name: proved
use: lictor/files@1
paths: {paths}
scopes: {{all: {allowed}, denied: {denied}}}
rules:
  - {{id: a, allow: filesystem.read_file, within: all}}
  - {{id: d, deny: \"*\", touching: denied}}
invariants:
  - {{id: n, never: filesystem.read_file, paths: {never}}}
"
    ));
    let [answer] = answers.try_into().unwrap();
    (policy, answer)
}

/// The path that shows that a claim does not hold; the policy allows it.
#[track_caller]
fn shown(policy: &CompiledPolicy, answer: &Answer<Witness>) -> String {
    let witness = answer.witness().unwrap_or_else(|| panic!("{answer:?}"));
    let path = witness.path.clone().unwrap();
    assert_eq!(self::answer(policy, "read_file", &path), None, "{path}");
    path
}

#[test]
fn a_name_that_is_taken_for_one_that_is_never_allowed_is_found() {
    for (paths, allowed, kept, expected) in [
        ("{}", "[\"ﬁle\"]", "[\"file\"]", Some("ﬁle")),
        ("{}", "[\"file\"]", "[\"ﬁle\"]", Some("file")),
        ("{}", "{include: \"ﬁ*\"}", "[\"file\"]", Some("ﬁle")),
        ("{}", "[\"straße/**\"]", "[\"strasse/**\"]", Some("straße")),
        (
            "{}",
            "[\"STRASSE/a\"]",
            "[\"straße/**\"]",
            Some("STRASSE/a"),
        ),
        (
            "{}",
            "[\"straße/ﬁ*\"]",
            "[\"strasse/f*\"]",
            Some("straße/ﬁ"),
        ),
        ("{}", "[\"*/x.ıni\"]", "[\"**/*.ini\"]", Some("a/x.ıni")),
        (
            "{}",
            "{include: \"f*le\", exclude: \"file\"}",
            "[\"file\"]",
            None,
        ),
        (
            "{}",
            "{include: \"fi*le\", exclude: \"file\"}",
            "[\"file\"]",
            Some("fi\u{307}le"),
        ),
        ("{}", "[\"fi??le\"]", "[\"file\"]", Some("fi\u{307}le")),
        (
            "{}",
            "{include: \"????*\", exclude: \"file\"}",
            "[\"file\"]",
            None,
        ),
        ("{}", "[\"cafｅ*\"]", "[\"café\"]", Some("cafｅ\u{301}")),
        ("{}", "[\"x??\"]", "[\"x[!a][!b]\"]", None),
    ] {
        let (policy, answer) = never(paths, allowed, "nothing", kept);
        let path = shown(&policy, &answer);
        let is_kept = |text: &str| Pattern::parse(text).unwrap().matches_folded(&path);
        assert!(kept.split('"').skip(1).step_by(2).any(is_kept), "{path}");
        if let Some(expected) = expected {
            assert_eq!(path, expected);
        }
    }
}

#[test]
fn what_is_kept_out_as_file_systems_read_it_is_proved_to_be() {
    for (denied, kept) in [
        ("[\"file*\"]", "[\"ﬁle\"]"),
        ("[\"straße/**\"]", "[\"strasse/**\"]"),
        ("[\"strasse/**\"]", "[\"straße/a\"]"),
        (
            "[\"**/.env*\", \"secrets/**\"]",
            "[\"secrets/**\", \"**/.env\", \"**/.env.*\"]",
        ),
        ("[\"*é*\"]", "[\"café\", \"É\"]"),
        ("[\"caf?\", \"café\"]", "[\"caf?\"]"),
        ("[\"off[hi]ce\"]", "[\"oﬃce\"]"),
        ("[\"*.ﬁ\"]", "[\"*.fi\", \"a.ﬁ\"]"),
        ("[\"[!a-c]x\"]", "[\"[!a-c]x\"]"),
    ] {
        for paths in ["{}", "{unicode: relaxed, nfc: ignore}"] {
            let (_, answer) = never(paths, "[\"**\"]", denied, kept);
            assert!(answer.holds(), "{denied} {kept} {paths}: {answer:?}");
        }
    }
}

#[test]
fn what_is_always_allowed_and_what_a_change_allows_are_read_so_too() {
    let text = |denied: &str| {
        format!(
            "version: 1
name: proved
use: lictor/files@1
scopes: {{all: [\"ﬁ*\"], denied: {denied}}}
rules:
  - {{id: a, allow: filesystem.read_file, within: all}}
  - {{id: d, deny: filesystem.read_file, touching: denied}}
invariants:
  - {{id: n, always: filesystem.read_file, paths: \"ﬁl?\"}}
"
        )
    };
    let (kept, answers) = prove(&text("file"));
    let path = answers[0].witness().unwrap().path.clone().unwrap();
    assert_eq!(path, "ﬁle");
    assert!(answer(&kept, "read_file", &path).is_some());
    let (open, answers) = prove(&text("other"));
    assert!(answers[0].holds());
    let found = lictor::analysis::diff::diff(&kept, &open, &Budget::default());
    assert!(found.answer().witness().is_some());
}

/// The letters of random policies, with what they are taken for.
const LETTERS: &[(&str, &str)] = &[
    ("f", "f"),
    ("F", "f"),
    ("i", "i"),
    ("ı", "i"),
    ("ﬁ", "fi"),
    ("s", "s"),
    ("ß", "ss"),
    ("ſ", "s"),
    ("e", "e"),
    ("ｅ", "e"),
    ("é", "é"),
    ("É", "é"),
    ("x", "x"),
];

fn spelled(random: &mut Random, most: usize, wild: bool) -> String {
    let mut text = String::new();
    for _ in 0..=random.below(most) {
        match random.below(8) {
            0 | 1 if wild => text.push_str(["*", "?", "[e-i]", "[!e]", "{f,ß}"][random.below(5)]),
            _ => text.push_str(LETTERS[random.below(LETTERS.len())].0),
        }
    }
    text
}

fn patterns(random: &mut Random, most: usize) -> Vec<Pattern> {
    let texts = (0..=random.below(most)).map(|_| spelled(random, 3, true));
    texts
        .filter_map(|text| Pattern::parse(&text).ok())
        .collect()
}

fn listed(patterns: &[Pattern]) -> String {
    let quoted: Vec<String> = patterns
        .iter()
        .map(|pattern| format!("\"{pattern}\""))
        .collect();
    format!("[{}]", quoted.join(", "))
}

fn taken(text: &str) -> String {
    let letter = |c: char| {
        let known = LETTERS.iter().find(|(letter, _)| letter.chars().eq([c]));
        known.map_or(c.to_string(), |(_, taken)| (*taken).to_owned())
    };
    text.chars().map(letter).collect()
}

/// Returns true if some pattern keeps the name out: compared in the plainest way, as written and as taken.
fn keeps_out(patterns: &[Pattern], name: &str) -> bool {
    let lower = |text: &str| text.to_lowercase().replace('ſ', "s");
    let is_match = |pattern: &str, name: &str| {
        Pattern::parse(pattern).is_ok_and(|pattern| pattern.matches(name))
    };
    let is_kept = |pattern: &Pattern| {
        let readings = [lower(pattern.as_str()), taken(pattern.as_str())];
        let names = [lower(name), taken(name)];
        readings
            .iter()
            .any(|pattern| names.iter().any(|name| is_match(pattern, name)))
    };
    patterns.iter().any(is_kept)
}

#[test]
fn proofs_about_random_policies_say_what_trying_all_short_names_says() {
    let mut names = vec![String::new()];
    for length in 0..3 {
        let longer: Vec<String> = names
            .iter()
            .filter(|name| name.chars().count() == length)
            .flat_map(|name| {
                LETTERS
                    .iter()
                    .map(move |(letter, _)| format!("{name}{letter}"))
            })
            .collect();
        names.extend(longer);
    }
    names.remove(0);
    let mut random = Random(12);
    let (mut failed, mut held, mut unknown) = (0, 0, 0);
    for _ in 0..400 {
        let [include, exclude, denied, mut kept] =
            [1, 3, 1, 2].map(|most| patterns(&mut random, most));
        if let [first, ..] = include.as_slice()
            && random.below(2) == 0
        {
            kept.extend(Pattern::parse(&taken(first.as_str())));
        }
        if include.is_empty() || kept.is_empty() || denied.is_empty() {
            continue;
        }
        let allowed = format!(
            "{{include: {}, exclude: {}}}",
            listed(&include),
            listed(&exclude)
        );
        let (policy, answer) = never("{}", &allowed, &listed(&denied), &listed(&kept));
        let is_in = |patterns: &[Pattern], name: &str| patterns.iter().any(|one| one.matches(name));
        let is_leak = |name: &&String| {
            is_in(&include, name)
                && !is_in(&exclude, name)
                && !keeps_out(&denied, name)
                && keeps_out(&kept, name)
        };
        let leak = names.iter().find(is_leak);
        let what = format!(
            "{allowed} without {} never {}",
            listed(&denied),
            listed(&kept)
        );
        match &answer {
            Answer::Holds => {
                assert_eq!(leak, None, "{what}");
                held += 1;
            }
            Answer::Fails(_) => {
                let path = shown(&policy, &answer);
                assert!(
                    kept.iter().any(|one| one.matches_folded(&path)),
                    "{path}: {what}"
                );
                failed += 1;
            }
            Answer::Unknown(cap) => {
                println!("{cap:?}: {what}");
                unknown += 1;
            }
        }
    }
    assert!(
        failed > 100 && held > 30 && unknown < 4,
        "{failed} {held} {unknown}"
    );
}
