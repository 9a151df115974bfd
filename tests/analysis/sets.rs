//! Sets of paths: random ones, and those that look alike and are not.

use lictor::analysis::paths::OnlyIn;
use lictor::analysis::{Answer, Budget, Cap, PathSet, Space};
use lictor::path::{CanonicalPath, Dot, Switches};
use lictor::policy::glob::{Case, Pattern};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

fn pattern(text: &str) -> Pattern {
    Pattern::parse(text).unwrap()
}

fn exact(text: &str) -> PathSet {
    PathSet::of(&pattern(text), Case::Exact)
}

fn folded(text: &str) -> PathSet {
    PathSet::of(&pattern(text), Case::Folded)
}

/// The workspace itself is no path that can be written.
fn requests() -> Space {
    Space::of_requests(&switches())
}

fn switches() -> Switches {
    let mut switches = Switches::default();
    switches.dot = Dot::Deny;
    switches
}

/// A set as a tree that is easy to evaluate.
#[derive(Clone, Debug)]
enum Set {
    Scope(Vec<&'static str>, Vec<&'static str>, Case),
    And(Box<Set>, Box<Set>),
    Or(Box<Set>, Box<Set>),
    Without(Box<Set>, Box<Set>),
}

impl Set {
    fn built(&self) -> PathSet {
        match self {
            Set::Scope(include, exclude, case) => PathSet::scope(
                include.iter().map(|text| pattern(text)),
                exclude.iter().map(|text| pattern(text)),
                *case,
            ),
            Set::And(a, b) => a.built().and(b.built()),
            Set::Or(a, b) => a.built().or(b.built()),
            Set::Without(a, b) => a.built().without(b.built()),
        }
    }

    fn holds(&self, path: &str) -> bool {
        match self {
            Set::Scope(include, exclude, case) => {
                include
                    .iter()
                    .any(|text| pattern(text).matches_in(path, *case))
                    && !exclude.iter().any(|text| pattern(text).matches(path))
            }
            Set::And(a, b) => a.holds(path) && b.holds(path),
            Set::Or(a, b) => a.holds(path) || b.holds(path),
            Set::Without(a, b) => a.holds(path) && !b.holds(path),
        }
    }
}

const PATTERNS: &[&str] = &[
    "**",
    "a",
    "a/**",
    "a/*",
    "a/*/**",
    "a/b",
    "a/B",
    "A/**",
    "**/a",
    "**/a/**",
    "*/b",
    "**/*.b",
    "*",
    "*/*",
    "?",
    "??",
    "[a-b]",
    "[!a]",
    "{a,b}",
    "{a,b}/**",
    "a*",
    "*a",
    "*a*",
    "**/a*/**",
    "a/**/b",
    "**/b/**/a",
    "B",
    "b/**",
    "*b*",
    "a.b",
    "**/{a.b,b}",
    ".*",
    "**/.b",
    "é/**",
    "É",
    "*é",
];

fn scope() -> impl Strategy<Value = Set> {
    let case = select(vec![Case::Exact, Case::Exact, Case::Folded]);
    let include = subsequence(PATTERNS, 1..4);
    let exclude = subsequence(PATTERNS, 0..2);
    (include, exclude, case).prop_map(|(include, exclude, case)| Set::Scope(include, exclude, case))
}

fn any_set() -> impl Strategy<Value = Set> {
    scope().prop_recursive(3, 8, 2, |inner| {
        (inner.clone(), inner, 0..3).prop_map(|(a, b, how)| {
            let (a, b) = (Box::new(a), Box::new(b));
            match how {
                0 => Set::And(a, b),
                1 => Set::Or(a, b),
                _ => Set::Without(a, b),
            }
        })
    })
}

/// All paths of at most four of these names.
fn small_paths() -> Vec<String> {
    let names = ["a", "b", "A", "B", "a.b", ".b", "ab", "c", "é"];
    let mut paths = vec![".".to_owned()];
    let mut last = vec![String::new()];
    for depth in 0..4 {
        // The fourth name from fewer, or there are too many.
        let names = if depth < 3 { &names[..] } else { &names[..3] };
        let longer = |path: &String| {
            let join = |name: &&str| match path.as_str() {
                "" => (*name).to_owned(),
                path => format!("{path}/{name}"),
            };
            names.iter().map(join).collect::<Vec<_>>()
        };
        last = last.iter().flat_map(longer).collect();
        paths.extend(last.iter().cloned());
    }
    paths
}

fn depth(path: &str) -> usize {
    if path == "." {
        0
    } else {
        path.split('/').count()
    }
}

/// Holds an answer against the small paths: `Holds` is refuted by none, a witness is one and is as
/// short as any.
fn agrees(
    answer: &Answer<String>,
    space: Option<&Switches>,
    is_in: &dyn Fn(&str) -> bool,
) -> Result<(), String> {
    let is_path = |path: &str| match space {
        Some(switches) => {
            path != "."
                && CanonicalPath::parse(path.as_bytes(), switches)
                    .is_ok_and(|read| read.as_str() == path)
        }
        None => true,
    };
    let mut small = small_paths()
        .into_iter()
        .filter(|path| is_path(path) && is_in(path));
    match answer {
        Answer::Holds => match small.next() {
            Some(path) => Err(format!("is said to be empty and holds {path}")),
            None => Ok(()),
        },
        Answer::Fails(path) => {
            // What is shown of a name that is no text is another name.
            let is_shown_otherwise = space.is_none() && path.contains('\u{FFFD}');
            if !is_shown_otherwise && (!is_in(path) || !is_path(path)) {
                return Err(format!("does not hold the witness {path}"));
            }
            match small
                .map(|path| depth(&path))
                .filter(|depth| *depth > 0)
                .min()
            {
                Some(shortest) if depth(path) > shortest => Err(format!("{path} is no shortest")),
                _ => Ok(()),
            }
        }
        Answer::Unknown(cap) => Err(format!("is unknown: {cap}")),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn an_answer_about_a_set_is_that_of_brute_force(set in any_set()) {
        let budget = Budget::default();
        let switches = switches();
        let answer = requests().is_empty(&set.built(), &budget);
        agrees(&answer, Some(&switches), &|path| set.holds(path)).map_err(|why| TestCaseError::fail(format!("{set:?} {why}")))?;
        let answer = Space::of_disk().is_empty(&set.built(), &budget);
        agrees(&answer, None, &|path| set.holds(path)).map_err(|why| TestCaseError::fail(format!("on disk {set:?} {why}")))?;
    }

    #[test]
    fn each_covers_the_other_if_and_only_if_they_are_equal(a in scope(), b in scope()) {
        let budget = Budget::default();
        let space = requests();
        let (left, right) = (a.built(), b.built());
        let equal = space.are_equal(&left, &right, &budget);
        let (there, back) = (space.covers(&left, &right, &budget), space.covers(&right, &left, &budget));
        prop_assert_eq!(equal.holds(), there.holds() && back.holds());
        let differs = left.clone().without(right.clone()).or(right.clone().without(left.clone()));
        prop_assert_eq!(equal.holds(), space.is_empty(&differs, &budget).holds());
        if let Answer::Fails((path, only)) = equal {
            let (holds, lacks) = match only { OnlyIn::First => (&a, &b), OnlyIn::Second => (&b, &a) };
            prop_assert!(holds.holds(&path) && !lacks.holds(&path));
        }
        // What is disjoint from the one lies outside of it.
        let apart = space.are_disjoint(&left, &right, &budget).holds();
        let outside = PathSet::everything().without(right.clone());
        prop_assert_eq!(apart, space.covers(&outside, &left, &budget).holds());
        prop_assert!(space.covers(&left.clone().or(right.clone()), &left, &budget).holds());
        prop_assert!(space.covers(&left, &left.clone().and(right), &budget).holds());
    }
}

#[track_caller]
fn covers(whole: &[&str], part: &str, lacks: Option<&str>) {
    let whole = PathSet::any(whole.iter().map(|text| exact(text)));
    let answer = requests().covers(&whole, &exact(part), &Budget::default());
    let expected = lacks.map_or(Answer::Holds, |path| Answer::Fails(path.to_owned()));
    assert_eq!(answer, expected);
}

#[test]
fn unions_cover_what_no_pattern_of_theirs_does() {
    covers(&["src", "src/*", "src/*/**"], "src/**", None);
    covers(&["src/*", "src/*/**"], "src/**", Some("src"));
    covers(&["src", "src/*/**"], "src/**", None);
    covers(&["src", "src/*/*/**"], "src/**", Some("src/a"));
    covers(&["{a,b}/**"], "a/**", None);
    covers(&["a/**", "b/**"], "{a,b}/**", None);
    covers(&["[a-m]*", "[n-z]*"], "[a-z]*", None);
    covers(&["[a-m]*", "[o-z]*"], "[a-z]*", Some("n"));
    covers(&["**/*.py"], "src/**/*.py", None);
    covers(&["**/test_*.py"], "**/*.py", Some("a.py"));
    covers(&["src/**"], "src*/**", Some("srca"));
    covers(&["*/**"], "**", None);
    covers(&["**/a/**", "b/**"], "**/a/b/**", None);
}

#[test]
fn a_name_that_no_path_may_hold_is_no_witness() {
    // `?` and `*` match them, requests do not.
    covers(&["**/[!:]*"], "**", Some("\u{138}"));
    covers(&["{[!.],[!.]*}", ".[!.]*"], "*", Some("\u{138}"));
    let budget = Budget::default();
    let odd = [
        "**/.git/**",
        "**/[:]*",
        "**/* ",
        "con",
        "**/aux.*",
        "**/*[*]*",
        "**/*%41*",
    ];
    for text in odd {
        let Ok(pattern) = Pattern::parse(text) else {
            continue;
        };
        let set = PathSet::of(&pattern, Case::Exact);
        assert_eq!(requests().is_empty(&set, &budget), Answer::Holds, "{text}");
        let on_disk = Space::of_disk().is_empty(&set, &budget);
        assert!(on_disk.witness().is_some(), "{text} {on_disk:?}");
    }
}

#[test]
fn what_is_denied_in_every_case_is_seen_in_another() {
    let budget = Budget::default();
    let answer = requests().covers(&exact("secrets/**"), &folded("secrets/**"), &budget);
    let path = answer.witness().unwrap();
    assert!(
        path.eq_ignore_ascii_case("secrets") && path != "secrets",
        "{path}"
    );
    assert!(
        requests()
            .covers(&folded("secrets/**"), &exact("SECRETS/**"), &budget)
            .holds()
    );
    assert!(
        requests()
            .covers(&folded("straße"), &exact("STRAẞE"), &budget)
            .holds()
    );
    assert!(
        requests()
            .are_disjoint(&folded("a/**"), &exact("b/**"), &budget)
            .holds()
    );
    // Exclusions are exact even so.
    let kept = PathSet::scope([pattern("**")], [pattern("a")], Case::Folded);
    assert_eq!(
        requests().covers(&kept, &exact("A"), &budget),
        Answer::Holds
    );
}

#[test]
fn the_workspace_is_in_double_stars_only_and_the_last_witness() {
    let space = Space::of_requests(&Switches::default());
    let budget = Budget::default();
    assert_eq!(
        space.covers(&exact("*/**"), &exact("**"), &budget),
        Answer::Fails(".".into())
    );
    assert_eq!(
        space.is_empty(&exact("**"), &budget),
        Answer::Fails("a".into())
    );
    assert_eq!(
        requests().covers(&exact("*/**"), &exact("**"), &budget),
        Answer::Holds
    );
}

#[test]
fn witnesses_look_like_names() {
    #[track_caller]
    fn check(text: &str, expected: &str) {
        let answer = requests().is_empty(&exact(text), &Budget::default());
        assert_eq!(answer, Answer::Fails(expected.to_owned()));
    }
    check("src/**", "src");
    check("src/*", "src/a");
    check("**/*.py", "a.py");
    check("**/test_*.py", "test_a.py");
    check("**/.env*", ".env");
    check("**/id_*", "id_a");
    check("*secret*", "secret");
    check("**/*.{pem,key}", "a.pem");
    check("src/[!a]*", "src/b");
    check("a/**/b/**/c", "a/b/c");
}

#[test]
fn nasty_patterns_end_within_the_caps() {
    let nasty = [
        "**/a/**/a/**/a/**/a/**/a/**/a/**/a",
        "**/a/**/b/**/a/**/b/**/a/**/b/**/a",
        "*a*a*a*a*a*a*a*a*a*a*a*a",
        "*a*b*a*b*a*b*a*b*a*b",
        "**/*a?????????????????????????",
        "**/{a*b,b*a,a*a,b*b}/**/{*ab,*ba}*/**",
        "**/?????????????/**/*a????????????",
        "**/*[ab]*[bc]*[ca]*[ab]*[bc]*/**",
        "[!a]*[!b]*[!c]*[!d]*[!e]*[!f]*",
    ];
    // A tenth of what is usual: in a debug build a step takes microseconds.
    let budget = Budget::default().with_steps(20_000);
    for a in nasty {
        for b in nasty {
            for space in [requests(), Space::of_disk()] {
                let covers = space.covers(&folded(b), &exact(a), &budget);
                match covers {
                    Answer::Holds | Answer::Unknown(Cap::Steps | Cap::Memory) => {}
                    Answer::Fails(path) => {
                        assert!(
                            pattern(a).matches(&path) && !pattern(b).matches_folded(&path),
                            "{a} {b} {path}"
                        );
                    }
                    Answer::Unknown(cap) => panic!("{a} {b} {cap}"),
                }
                if a == b {
                    assert!(
                        space.covers(&exact(b), &exact(a), &budget) != Answer::Fails(String::new())
                    );
                }
            }
        }
    }
    // All of them at once, wanted and not.
    let all = PathSet::any(nasty.map(exact));
    for part in nasty {
        let answer = requests().covers(&all, &exact(part), &budget);
        assert!(
            matches!(answer, Answer::Holds | Answer::Unknown(_)),
            "{part} {answer:?}"
        );
    }
}

#[test]
fn a_cap_that_is_reached_is_unknown_and_never_holds() {
    let whole = PathSet::any(["src", "src/*", "src/*/**"].map(exact));
    let part = exact("src/**");
    for steps in 0..60 {
        let answer = requests().covers(&whole, &part, &Budget::default().with_steps(steps));
        assert!(
            matches!(answer, Answer::Holds | Answer::Unknown(Cap::Steps)),
            "{steps} {answer:?}"
        );
    }
    let few = Budget::default().with_bytes(64);
    assert_eq!(
        requests().covers(&whole, &part, &few),
        Answer::Unknown(Cap::Memory)
    );
    let late = || true;
    let stopped = Budget::default().until(&late);
    assert_eq!(
        requests().covers(&whole, &part, &stopped),
        Answer::Unknown(Cap::Stopped)
    );
}

#[test]
fn a_disk_holds_names_that_are_no_text() {
    let budget = Budget::default();
    let disk = Space::of_disk();
    // One byte that is no character, and is in no class.
    let answer = disk.covers(&exact("{[!a],a}"), &exact("?"), &budget);
    assert_eq!(answer, Answer::Fails("\u{FFFD}".into()));
    assert_eq!(
        requests().covers(&exact("{[!a],a}"), &exact("?"), &budget),
        Answer::Holds
    );
    assert!(disk.covers(&exact("a/**"), &exact("a/**"), &budget).holds());
}
