//! Table of the patterns that the grammar accepts and refuses, and of the paths that they match.

#![forbid(unsafe_code)]

use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::path::{Braces, Switches};
use crate::policy::casefold::variants;
use crate::policy::error::Code;

#[track_caller]
fn check_match(pattern: &str, yes: &[&str], no: &[&str]) {
    let pattern = Pattern::parse(pattern).unwrap();
    for path in yes {
        assert!(pattern.matches(path), "`{pattern}` should match `{path}`");
        assert!(
            pattern.matches_folded(path),
            "`{pattern}` should match `{path}` folded"
        );
    }
    for path in no {
        assert!(
            !pattern.matches(path),
            "`{pattern}` should not match `{path}`"
        );
    }
}

#[test]
fn double_stars_stand_for_any_number_of_segments() {
    check_match("**", &[".", "a", "a/b/c"], &[]);
    check_match("a/**", &["a", "a/b", "a/b/c"], &[".", "ab", "b/a"]);
    check_match("**/a", &["a", "b/a", "c/b/a"], &["ab", "a/b", "."]);
    check_match(
        "a/**/b",
        &["a/b", "a/x/b", "a/x/y/b", "a/b/b"],
        &["a", "b", "ab", "a/x"],
    );
    check_match("**/a/**/b/**", &["a/b", "x/a/y/b/z"], &["b/a", "a", "b"]);
    check_match("**/**/**", &[".", "a"], &[]);
    check_match("a/**/**", &["a", "a/b"], &["."]);
    check_match("**/*.py", &["a.py", "x/y/.py"], &["a.pyc", "a.py/x"]);
}

#[test]
fn wildcards_stay_within_their_segment() {
    check_match("*", &["a", ".env", "é"], &[".", "a/b"]);
    check_match("a/*", &["a/b"], &["a", "a/b/c"]);
    check_match("a*b", &["ab", "axb", "abab"], &["a/b", "aba"]);
    check_match("?", &["a"], &["ab", ".", "é"]);
    check_match("??", &["ab", "é"], &["a"]);
    check_match("*a*b*", &["ab", "xaxbx", "aabb"], &["ba", "a"]);
    check_match(
        "test_*.py",
        &["test_.py", "test_a.b.py"],
        &["test.py", "test_a.py/x"],
    );
    check_match("a?c", &["abc"], &["ac", "a/c", "abbc"]);
}

#[test]
fn classes_stand_for_one_ascii_byte() {
    check_match("[abc]", &["a", "c"], &["d", "ab", "A"]);
    check_match("x[a-c0-2]y", &["xay", "x1y"], &["x3y", "xy"]);
    check_match("[!a]", &["b", "-", "]"], &["a", "é", "bb"]);
    check_match("[[]slug[]]", &["[slug]"], &["slug"]);
    check_match("[]a]", &["]", "a"], &["["]);
    check_match("[!]]", &["a"], &["]"]);
    check_match("[a-]", &["a", "-"], &["b"]);
    check_match("[-a]", &["a", "-"], &["b"]);
    check_match("[*][?]", &["*?"], &["ab"]);
    check_match("[a^]", &["^", "a"], &["b"]);
    check_match("[b!]", &["!", "b"], &["a"]);
}

#[test]
fn alternatives_are_tried_all() {
    check_match("{a,ab}{c,bc}", &["ac", "abc", "abbc"], &["ab", "c"]);
    check_match("*.{ts,tsx}", &["a.ts", "b.tsx"], &["a.js", "ts"]);
    check_match("{a*,[xy]?}z", &["az", "abcz", "xqz"], &["xz", "z"]);
    check_match("a{[,],b}", &["a,", "ab"], &["a"]);
    check_match("a,b", &["a,b"], &["a"]);
    // 2^31 ways to split the text, and one pass over it.
    let many = Pattern::parse(&"{a,aa}".repeat(31)).unwrap();
    assert!(many.matches("a".repeat(62)));
    assert!(!many.matches("a".repeat(63)));
    assert!(!many.matches("a".repeat(61) + "b"));
    assert!(
        Pattern::parse("{a,b}*z")
            .unwrap()
            .matches("b".repeat(5000) + "z")
    );
}

#[test]
fn folding_widens_literals_and_positive_classes_only() {
    #[track_caller]
    fn check(pattern: &str, path: &str, expected: bool) {
        assert_eq!(
            Pattern::parse(pattern).unwrap().matches_folded(path),
            expected,
            "{pattern} {path}"
        );
    }
    check("secrets/**", "Secrets/KEY", true);
    check("*.PEM", "a.pem", true);
    check("STRASSE", "straße", true);
    check("GRÜẞE", "grüße", true);
    check("s", "\u{17f}", true);
    check("K*", "\u{212a}elvin", true);
    check("[a-c]", "B", true);
    check("[A-C]", "b", true);
    check("[!a]", "a", false);
    check("[!a]", "A", true);
    check("[!A]", "A", false);
    check("{Key,PEM}.x", "kEY.X", true);
}

#[test]
fn names_that_are_not_utf8_are_matched_by_byte() {
    let pattern = Pattern::parse("a/*.KEY").unwrap();
    assert!(pattern.matches(b"a/\xff\xfe.KEY"));
    assert!(pattern.matches_folded(b"A/\xff\xfe.key"));
    assert!(!pattern.matches_folded(b"a/\xff.ke"));
    assert!(Pattern::parse("?").unwrap().matches(b"\xff"));
    assert!(!Pattern::parse("[!a]").unwrap().matches(b"\xff"));
}

#[test]
fn a_path_is_a_pattern_of_its_own() {
    for text in ["a/[b]/c.py", "x,y", "[[...opt]]", "{", "."] {
        let switches = Switches {
            braces: Braces::Allow,
            ..Switches::default()
        };
        let path = CanonicalPath::parse(text.as_bytes(), &switches).unwrap();
        let (exactly, below) = (Pattern::exactly(&path), Pattern::below(&path));
        assert!(exactly.matches(&path) && below.matches(&path), "{text}");
        assert!(below.reaches_down() && !exactly.reaches_down());
        assert!(
            below.matches(format!("{text}/x").trim_start_matches("./")),
            "{text}"
        );
        assert!(
            !exactly.matches(format!("{text}/x").trim_start_matches("./")),
            "{text}"
        );
        assert_eq!(Pattern::parse(below.as_str()).unwrap(), below);
        assert!(path.is_workspace() || Pattern::parse(exactly.as_str()).unwrap() == exactly);
    }
}

#[test]
fn the_literal_prefix_ends_at_the_first_wildcard() {
    let prefix = |text| Pattern::parse(text).unwrap().literal_prefix();
    assert_eq!(prefix("a/b/*.py"), "a/b");
    assert_eq!(prefix("a/b"), "a/b");
    assert_eq!(prefix("**/a"), "");
}

#[track_caller]
fn check_error(text: &str, code: &str, offset: usize, len: usize, suggestion: Option<&str>) {
    let error = Pattern::parse(text).expect_err(text);
    assert_eq!(error.code().text(), code, "{text:?}: {error}");
    assert_eq!(
        (error.offset(), error.len()),
        (offset, len),
        "{text:?}: {error}"
    );
    assert_eq!(error.suggestion(), suggestion, "{text:?}: {error}");
}

#[test]
fn what_is_refused_has_a_position_and_a_correction() {
    check_error("/x", "G101", 0, 1, Some("x"));
    check_error("C:\\x", "G101", 0, 2, Some("x"));
    check_error("\\\\server\\x", "G101", 0, 1, Some("server/x"));
    check_error("~/.ssh/**", "G101", 0, 1, Some(".ssh/**"));
    check_error("$HOME/x", "G101", 0, 5, Some("x"));
    check_error("/", "G101", 0, 1, Some("**"));

    check_error("./a", "G102", 0, 1, Some("a"));
    check_error("a/./b", "G102", 2, 1, Some("a/b"));
    check_error("a/../b", "G102", 2, 2, Some("b"));
    check_error("a/b/../../c", "G102", 4, 2, Some("c"));
    check_error("../a", "G102", 0, 2, None);
    check_error("*/../a", "G102", 2, 2, None);
    check_error(".", "G102", 0, 1, Some("**"));
    check_error("a//b", "G102", 2, 1, Some("a/b"));
    check_error("a/...", "G102", 2, 3, None);
    check_error("a/[.]", "G102", 2, 3, None);

    check_error("a\\b\\*", "G103", 1, 1, Some("a/b/*"));
    check_error("a\\[b\\]", "G103", 1, 1, Some("a[[]b[]]"));
    check_error("a[\\]]", "G103", 2, 1, Some("a[]]"));

    check_error("dir**", "G104", 0, 5, Some("dir/**"));
    check_error("a/dir**/b", "G104", 2, 5, Some("a/dir/**/b"));
    check_error("**.py", "G105", 0, 2, Some("**/*.py"));
    check_error("src/**.py", "G105", 4, 2, Some("src/**/*.py"));
    check_error("a**b", "G105", 1, 2, Some("a*b"));
    check_error("a/***", "G105", 2, 2, Some("a/**"));

    check_error("a/{**,b}", "G106", 3, 2, Some("a/**"));
    check_error("{a**,b}", "G106", 2, 2, Some("{a*,b}"));
    check_error("{a/**,b}", "G106", 3, 2, None);

    check_error("[a/b]", "G107", 0, 5, Some("[ab]"));
    check_error("x[.-0]", "G107", 1, 5, Some("x[.0]"));
    check_error("a[/]b", "G107", 1, 3, Some("a/b"));
    check_error("a[!/]b", "G107", 1, 4, Some("a?b"));
    check_error("[é]", "G107", 0, 4, Some("é"));
    check_error("[éa]x", "G107", 0, 5, Some("{é,a}x"));
    check_error("[!é]", "G107", 0, 5, None);
    check_error("[!-/]", "G107", 0, 5, Some("[!-]"));
}

#[test]
fn broken_brackets_are_refused() {
    check_error("a[b", "G118", 1, 1, Some("a[[]b"));
    check_error("a]b", "G118", 1, 1, Some("a[]]b"));
    check_error("a{b", "G118", 1, 1, Some("a[{]b"));
    check_error("a{b/c", "G118", 1, 1, Some("a[{]b/c"));
    check_error("a}b", "G118", 1, 1, Some("a[}]b"));
    check_error("[]", "G118", 0, 2, Some("[[][]]"));
    check_error("{a,}", "G118", 3, 1, None);
    check_error("{}", "G118", 1, 1, None);
    check_error("x{a}", "G118", 1, 3, Some("xa"));
    check_error("logs-{1..3}/**", "G118", 5, 6, Some("logs-{1,2,3}/**"));
    check_error("{a..c}", "G118", 0, 6, Some("{a,b,c}"));
    check_error("{1..900}", "G118", 0, 8, None);
    check_error("{01..03}", "G118", 0, 8, None);
    check_error("{3..1}", "G118", 0, 6, None);
    check_error("{a..}", "G118", 0, 5, None);
    check_error("{a,{b,c}}", "G118", 3, 1, Some("{a,b,c}"));
    check_error("{a,x{b,c}}", "G118", 4, 1, None);
    check_error("{a/b,c}", "G118", 2, 1, None);
    check_error("[z-a]", "G118", 1, 3, Some("[a-z]"));
    check_error("[^a]", "G118", 1, 1, Some("[!a]"));
    check_error("[a-c-e]", "G118", 4, 1, None);
}

#[test]
fn everything_else_that_is_refused() {
    check_error("", "P006", 0, 0, None);
    check_error("!a", "P006", 0, 1, None);
    check_error("a/", "P006", 1, 1, Some("a/**"));
    check_error("a/**/", "P006", 4, 1, Some("a/**"));
    check_error(" a", "P006", 0, 1, Some("a"));
    check_error("a \u{a0}", "P006", 1, 3, Some("a"));
    check_error("a\tb", "P006", 1, 1, Some("ab"));
    check_error("a/cafe\u{301}", "P006", 5, 3, Some("a/caf\u{e9}"));
    check_error(&"a".repeat(1025), "P006", 1024, 1, None);
    check_error(&"a?".repeat(33), "P006", 65, 1, None);
    check_error(&"**/a/".repeat(9), "P006", 40, 2, None);
    assert!(Pattern::parse(&"a?".repeat(32)).is_ok());
    assert!(Pattern::parse(&format!("{}a", "**/a/".repeat(8))).is_ok());
    assert!(
        Pattern::parse(&"[*]".repeat(100)).is_ok(),
        "an escaped star is no wildcard"
    );
    assert!(
        Pattern::parse_normalised("cafe\u{301}")
            .unwrap()
            .matches("caf\u{e9}")
    );
}

const PIECES: &[&str] = &[
    "a",
    "b",
    "ab",
    "A",
    "é",
    "k",
    "\u{212a}",
    ".",
    "-",
    "_",
    ",",
    "*",
    "*",
    "?",
    "[a]",
    "[a-c]",
    "[!a]",
    "[]b]",
    "[B-k-]",
    "{a,b}",
    "{a,ab,*}",
    "{b?,[a-b]}",
    "{É,ab}",
];

fn segment_text() -> impl Strategy<Value = String> {
    prop::collection::vec(select(PIECES), 1..6).prop_map(|pieces| pieces.concat())
}

fn pattern() -> impl Strategy<Value = Pattern> {
    let segment = prop_oneof![
        1 => Just("**".to_owned()),
        1 => select(&["a", "b", "c"][..]).prop_map(str::to_owned),
        1 => segment_text(),
    ];
    prop::collection::vec(segment, 1..6).prop_filter_map("parses", |segments| {
        Pattern::parse(&segments.join("/")).ok()
    })
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(select(BYTES), 1..6)
        .prop_map(|pieces| pieces.concat())
        .prop_filter("a name", |name| name != b".")
}

const BYTES: &[&[u8]] = &[
    b"a",
    b"b",
    b"A",
    b"B",
    b"c",
    b"ab",
    b"k",
    b"-",
    b"]",
    b".",
    b"\xff",
    b"\xc3",
    b"\xc3\xa9",
    b"\xc3\x89",
    b"\xe2\x84\xaa",
];

fn path() -> impl Strategy<Value = Vec<u8>> {
    let name = prop_oneof![
        select(&["a", "b", "c", "A"][..]).prop_map(|name| name.as_bytes().to_vec()),
        name(),
    ];
    prop_oneof![
        1 => Just(b".".to_vec()),
        9 => prop::collection::vec(name, 1..7).prop_map(|names| names.join(&b'/')),
    ]
}

/// The segment as a regular expression over bytes.
fn expression(segment: &Segment, case: Case) -> regex::bytes::Regex {
    fn literal(text: &str, case: Case, out: &mut String) {
        for c in text.chars() {
            let all: Vec<_> = match case {
                Case::Exact => vec![c],
                Case::Folded => variants(c).collect(),
            };
            let all: Vec<_> = all.iter().map(|c| regex::escape(&c.to_string())).collect();
            out.push_str(&format!("(?:{})", all.join("|")));
        }
    }
    fn pieces(all: &[Piece], case: Case, out: &mut String) {
        for piece in all {
            match piece {
                Piece::Literal(text) => literal(text, case, out),
                Piece::Star => out.push_str("(?s-u:.*)"),
                Piece::AnyByte => out.push_str("(?s-u:.)"),
                Piece::Class(class) => {
                    let bytes = (0..128_u8).filter(|byte| class.contains(*byte, case));
                    let bytes: Vec<_> = bytes.map(|byte| format!("\\x{byte:02x}")).collect();
                    out.push_str(&format!("(?-u:[{}])", bytes.concat()));
                }
                Piece::Alternatives(branches) => {
                    out.push_str("(?:");
                    for (at, branch) in branches.iter().enumerate() {
                        out.push_str(if at > 0 { "|" } else { "" });
                        pieces(branch, case, out);
                    }
                    out.push(')');
                }
            }
        }
    }
    let mut out = "^".to_owned();
    match segment {
        Segment::DoubleStar => out.push_str("(?s-u:.*)"),
        Segment::Literal(text) => literal(text, case, &mut out),
        Segment::Wild(all) => pieces(all, case, &mut out),
    }
    out.push_str("(?-u:\\z)");
    regex::bytes::Regex::new(&out).unwrap()
}

/// Whole patterns, by trying everything.
fn naive(segments: &[Segment], names: &[&[u8]], case: Case) -> bool {
    match (segments, names) {
        ([], []) => true,
        ([], _) => false,
        ([Segment::DoubleStar, rest @ ..], _) => {
            (0..=names.len()).any(|taken| naive(rest, &names[taken..], case))
        }
        (_, []) => false,
        ([first, rest @ ..], [name, names @ ..]) => {
            first.matches(name, case) && naive(rest, names, case)
        }
    }
}

proptest! {
    #[test]
    fn names_are_what_stands_between_separators(path in prop::collection::vec(select(&b"/a/bc\xaf\x2e\x30\0"[..]), 0..40)) {
        prop_assume!(path != b".");
        let expected: Vec<_> = path.split(|byte| *byte == b'/').filter(|name| !name.is_empty()).collect();
        prop_assert_eq!(names(&path).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_segment_matches_as_its_expression_does(text in segment_text(), names in prop::collection::vec(name(), 8)) {
        if let Ok(pattern) = Pattern::parse(&text) {
            let [segment] = pattern.segments() else { return Ok(()) };
            for case in [Case::Exact, Case::Folded] {
                let is_folded = case == Case::Folded;
                let taken = segment.taken().filter(|_| is_folded);
                let expressions: Vec<_> =
                    [Some(segment), taken.as_ref()].into_iter().flatten().map(|read| expression(read, case)).collect();
                for name in &names {
                    let taken = taken_name(name).filter(|_| is_folded);
                    let expected = [Some(name), taken.as_ref()].into_iter().flatten()
                        .any(|name| expressions.iter().any(|expression| expression.is_match(name)));
                    prop_assert_eq!(segment.matches(name, case), expected, "{} {:?} {:?}", pattern, case, name);
                }
            }
        }
    }

    #[test]
    fn a_segment_matches_ascii_names_as_globset_does(text in segment_text(), name in "[abAB.k_-]{1,8}") {
        let glob = globset::GlobBuilder::new(&text).literal_separator(true).backslash_escape(false).build();
        if let (Ok(pattern), Ok(glob)) = (Pattern::parse(&text), glob) {
            prop_assume!(name != ".");
            prop_assert_eq!(pattern.matches(&name), glob.compile_matcher().is_match(&name));
        }
    }

    #[test]
    fn a_pattern_matches_as_if_everything_were_tried(pattern in pattern(), path in path()) {
        let names: Vec<_> = names(&path).collect();
        for case in [Case::Exact, Case::Folded] {
            let expected = naive(pattern.segments(), &names, case);
            prop_assert_eq!(pattern.matches_in(&path, case), expected, "{} {:?}", pattern, case);
        }
        prop_assert!(!pattern.matches(&path) || pattern.matches_folded(&path));
    }

    #[test]
    fn any_text_is_a_pattern_or_an_error_that_leads_to_one(text in prop_oneof![
        any::<String>(),
        prop::collection::vec(
            select(&["/", "/", "\\", "..", ".", "*", "**", "{", "}", "[", "]", ",", "!", "^", "-", "a", "b", "é", " ", "~", "C:", "0", "e\u{301}"][..]),
            0..12,
        ).prop_map(|pieces| pieces.concat()),
    ]) {
        match Pattern::parse(&text) {
            Ok(pattern) => {
                prop_assert_eq!(pattern.as_str(), &text);
                prop_assert!(!pattern.segments().is_empty());
                let _ = pattern.matches(&text);
            }
            Err(error) => {
                prop_assert!(error.offset() + error.len() <= text.len());
                prop_assert!(error.to_string().starts_with(char::is_lowercase) && !error.to_string().ends_with('.'));
                prop_assert!(!error.to_string().contains(|c: char| c.is_control()));
                if let Some(suggestion) = error.suggestion() {
                    prop_assert!(Pattern::parse(suggestion).is_ok(), "{suggestion}");
                }
            }
        }
    }

    #[test]
    fn a_class_without_its_separator_stands_for_the_same_names(
        negated: bool, members in prop::collection::vec(
            (prop_oneof![0x21_u8..0x7f, select(&b"!^-]/.0"[..])], any::<bool>(), 0_u8..40), 1..5
        ),
    ) {
        let mut class = String::new();
        for (first, is_range, len) in members {
            class.push(char::from(first));
            if is_range {
                class.push('-');
                class.push(char::from((first + len).min(0x7e)));
            }
        }
        let text = format!("x[{}{class}]y", if negated { "!" } else { "" });
        let Err(error) = Pattern::parse(&text) else { return Ok(()) };
        if error.code() != Code::G107 || error.len() + 2 != text.len() { return Ok(()) }
        let Some(suggestion) = error.suggestion() else { return Ok(()) };
        let corrected = Pattern::parse(suggestion).unwrap();
        // The class as it was written, read by globset, which takes it as it is.
        let Ok(glob) = globset::GlobBuilder::new(&text).literal_separator(true).backslash_escape(false).build() else {
            return Ok(());
        };
        let glob = glob.compile_matcher();
        for byte in (0x21..0x7f_u8).filter(|byte| *byte != b'/') {
            let name = format!("x{}y", char::from(byte));
            if suggestion != "x/y" {
                prop_assert_eq!(corrected.matches(&name), glob.is_match(&name), "{} {} {}", text, suggestion, name);
            }
        }
    }
}
