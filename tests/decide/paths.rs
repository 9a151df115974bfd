//! The lexical rules from outside: recorded cases, laws, and a second implementation to agree with.

use std::sync::LazyLock;

use lictor::path::{
    Backslash, Braces, CanonicalPath, Colon, Denial, Dot, Edges, Expansion, Nfc, Percent,
    ShortNames, Switches, Syntax, Unicode, WindowsNames, lexical,
};
use lictor::policy::glob::Pattern;
use lictor::reason::Reason;
use proptest::prelude::*;
use proptest::sample::select;
use regex::Regex;
use serde::Deserialize;
use unicode_normalization::UnicodeNormalization;

#[derive(Deserialize)]
struct Case {
    id: String,
    path: Option<String>,
    path_b64: Option<String>,
    syntax: String,
    expect: String,
    reason: Option<Reason>,
    canonical: Option<String>,
}

impl Case {
    fn bytes(&self) -> Vec<u8> {
        match (&self.path, &self.path_b64) {
            (Some(text), None) => text.clone().into_bytes(),
            (None, Some(b64)) => data_encoding::BASE64.decode(b64.as_bytes()).unwrap(),
            _ => panic!("{}: one of `path` and `path_b64`", self.id),
        }
    }
}

fn cases(file: &str) -> Vec<Case> {
    let path = format!("{}/tests/data/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).expect(line))
        .collect()
}

#[test]
fn every_recorded_case_has_its_verdict_reason_and_canonical_form() {
    let all: Vec<_> = [
        "benign_paths.jsonl",
        "hostile_paths.jsonl",
        "more_paths.jsonl",
    ]
    .into_iter()
    .flat_map(cases)
    .collect();
    assert!(all.len() > 1_100);
    let scope = Pattern::parse("runtime/tests/**").unwrap();
    for case in all {
        let bytes = case.bytes();
        let syntax = Syntax::from_name(&case.syntax).unwrap();
        let answer = lexical(&bytes, syntax, &strictest());
        let (reason, canonical) = match &answer {
            Ok(target) if scope.matches(target.path()) => (None, Some(target.path())),
            Ok(_) => (Some(Reason::PathOutsideAllowedScope), None),
            Err(denial) => (Some(denial.reason()), None),
        };
        assert_eq!(reason, case.reason, "{}", case.id);
        assert_eq!(canonical, case.canonical.as_deref(), "{}", case.id);
        assert_eq!(reason.is_none(), case.expect == "allow", "{}", case.id);
    }
}

/// Every switch at its strictest: as built in, and no dot is stripped. The case files are read so.
fn strictest() -> Switches {
    let mut switches = Switches::default();
    switches.dot = Dot::Deny;
    switches
}

fn strict(text: &str) -> Result<String, Denial> {
    CanonicalPath::parse(text.as_bytes(), &strictest()).map(|path| path.as_str().to_owned())
}

fn reason(text: &str) -> Option<Reason> {
    strict(text).err().map(|denial| denial.reason())
}

fn rules(denial: &Denial) -> Vec<u8> {
    denial
        .findings()
        .iter()
        .map(|finding| finding.rule)
        .collect()
}

/// The rules once more, by regular expressions, as close to the wording of the table as can be.
///
/// Answers all rules that match.
fn reference(bytes: &[u8], syntax: Syntax, s: &Switches) -> Vec<u8> {
    macro_rules! matches {
        ($pattern:expr, $text:expr) => {{
            static PATTERN: LazyLock<Regex> = LazyLock::new(|| Regex::new($pattern).unwrap());
            PATTERN.is_match($text)
        }};
    }
    if bytes.is_empty() {
        return vec![1];
    }
    if bytes.len() > 4096 {
        return vec![2];
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        return vec![3];
    };
    let mut found = Vec::new();
    let mut rule = |number: u8, matches: bool| {
        if matches {
            found.push(number);
        }
    };
    rule(5, matches!(r"[\x00-\x1f\x7f-\u{9f}\u{2028}\u{2029}]", text));
    rule(6, s.unicode == Unicode::Strict && matches!(LIST_I, text));
    let mut text = text;
    if s.dot == Dot::Strip {
        text = text.strip_prefix("./").unwrap_or(text);
        if s.backslash == Backslash::Separator && text.len() == bytes.len() {
            text = text.strip_prefix(".\\").unwrap_or(text);
        }
        if text.is_empty() || text == "." && bytes == b"." {
            return found;
        }
    }
    let is_blank = matches!(r"^\s*$", text);
    rule(7, matches!("^[-@]", text));
    let mut path = text;
    if syntax == Syntax::Pytest {
        let base = text.split('[').next().unwrap();
        let mut parts = base.split("::");
        path = parts.next().unwrap();
        let names: Vec<_> = parts.collect();
        let has_parameters = base.len() < text.len();
        rule(
            8,
            has_parameters && (names.is_empty() || !text.ends_with(']'))
                || names.iter().any(|name| matches!(r"^$|[/\\:]", name))
                || !names.is_empty() && matches!(r"[/\\]$", path)
                || matches!(r"^\s*$", path),
        );
        if path.is_empty() {
            if is_blank {
                found.push(4);
            }
            found.sort_unstable();
            return found;
        }
    }
    let normal: String = path.nfc().collect();
    let path = if s.nfc == Nfc::Ignore {
        normal.as_str()
    } else {
        path
    };
    rule(9, path.len() > 1023);
    rule(
        10,
        matches!(r"^[/\\]|^(?s:.):|^[A-Za-z][A-Za-z0-9+.-]*:[/\\]{2}", path),
    );
    let encoded =
        s.percent == Percent::Deny && matches!(r"%[0-9A-Fa-f]{2}|%[uU][0-9A-Fa-f]{4}", path);
    let expands = matches!(r"^[~$]|\$\{|\$\(", path)
        || matches!(r"%[A-Za-z_][A-Za-z0-9_()]*%", path) && !encoded;
    rule(11, s.expansion == Expansion::Deny && expands);
    let is_separator = |c| c == '/' || c == '\\' && s.backslash == Backslash::Separator;
    let mut segments: Vec<_> = path.split(is_separator).collect();
    if segments.len() > 1 && segments.last() == Some(&"") {
        segments.pop();
    }
    let any = |predicate: &dyn Fn(&str) -> bool| segments.iter().any(|s| predicate(s));
    let is_cut = segments.len() == 1 && path.ends_with(is_separator);
    let is_blank_before_the_last =
        s.edges == Edges::Allow && is_cut && any(&|segment| matches!(r"^\s+$", segment));
    rule(4, is_blank || is_blank_before_the_last);
    rule(
        12,
        segments.len() > 64 || any(&|segment| segment.len() > 255),
    );
    rule(13, any(&|segment| matches!(r"^\s*\.[\s.]*$", segment)));
    rule(14, any(&str::is_empty));
    rule(15, encoded);
    let looks = matches!(
        "[\u{2044}\u{2215}\u{2216}\u{29F5}\u{29F8}\u{29F9}\u{FE68}\u{FF0F}\u{FF3C}]",
        path
    ) || any(&|segment| {
        matches!(
            r"^[\s.\u{2024}-\u{2026}\u{FE19}\u{FE30}\u{FE52}\u{FF0E}]*$",
            segment
        ) && matches!(r"[^\s.]", segment)
    });
    rule(
        16,
        s.unicode == Unicode::Strict && looks || s.nfc == Nfc::Require && normal != path,
    );
    rule(17, s.colon == Colon::Deny && path.contains(':'));
    let reserved = matches!(r#"[<>"|?*]"#, path)
        || s.braces == Braces::Deny && matches!("[{}]", path)
        || s.backslash == Backslash::Deny && path.contains('\\');
    rule(18, reserved);
    rule(
        19,
        s.edges == Edges::Deny
            && any(&|segment| {
                matches!(r"^\s|[\s.]$", segment) && !matches!(r"^[\s.]*\.[\s.]*$", segment)
            }),
    );
    let device = |segment: &str| match s.windows_names {
        WindowsNames::Deny => matches!(DEVICE, segment),
        WindowsNames::Bare => matches!(DEVICE, segment) && !segment.contains('.'),
        WindowsNames::Allow | _ => false,
    };
    rule(20, any(&device));
    let short = |segment: &str| {
        matches!(r"^[^.~]{1,6}~[0-9]{1,6}(\.[^.]{0,3})?$", segment)
            && segment.split('.').next().unwrap().chars().count() <= 8
    };
    rule(21, s.short_names == ShortNames::Deny && any(&short));
    rule(
        22,
        any(&|segment| {
            let taken = lictor::path::taken_for(segment);
            let names = [Some(segment), taken.as_deref()];
            let is_named = |name: &String| {
                let mut names = names.iter().flatten();
                names.any(|known| name.eq_ignore_ascii_case(known))
            };
            s.protected.iter().any(is_named)
        }),
    );
    found.sort_unstable();
    found
}

const LIST_I: &str = "[\u{AD}\u{34F}\u{61C}\u{115F}\u{1160}\u{17B4}\u{17B5}\u{180B}-\u{180F}\u{200B}-\u{200F}\
    \u{202A}-\u{202E}\u{2060}-\u{206F}\u{3164}\u{FE00}-\u{FE0F}\u{FEFF}\u{FFA0}\u{FFF0}-\u{FFFB}\
    \u{1BCA0}-\u{1BCA3}\u{1D173}-\u{1D17A}\u{E0000}-\u{E0FFF}\u{E000}-\u{F8FF}\u{F0000}-\u{10FFFF}\
    \u{FDD0}-\u{FDEF}\u{FFFE}\u{FFFF}\u{1FFFE}\u{1FFFF}\u{2FFFE}\u{2FFFF}\u{3FFFE}\u{3FFFF}\u{4FFFE}\
    \u{4FFFF}\u{5FFFE}\u{5FFFF}\u{6FFFE}\u{6FFFF}\u{7FFFE}\u{7FFFF}\u{8FFFE}\u{8FFFF}\u{9FFFE}\u{9FFFF}\
    \u{AFFFE}\u{AFFFF}\u{BFFFE}\u{BFFFF}\u{CFFFE}\u{CFFFF}\u{DFFFE}\u{DFFFF}\u{EFFFE}\u{EFFFF}]";

const DEVICE: &str = r"^(?:(?i-u:con|prn|aux|nul|conin\$|conout\$|clock\$)|(?i-u:com|lpt)[0-9¹²³\u{2070}\u{2074}-\u{2079}]) *(?:\.(?s:.)*)?$";

#[test]
fn white_space_before_the_last_separator_is_no_path_and_said_once() {
    let mut switches = Switches::default();
    switches.edges = Edges::Allow;
    for (text, syntax, expected) in [
        (" /", Syntax::Path, &[4][..]),
        (" ", Syntax::Path, &[4]),
        (" \\", Syntax::Pytest, &[4]),
        ("  ::t", Syntax::Pytest, &[8]),
        ("\n::", Syntax::Pytest, &[5, 8]),
        (" /::t", Syntax::Pytest, &[4, 8]),
    ] {
        let denial = lexical(text.as_bytes(), syntax, &switches).unwrap_err();
        assert_eq!(rules(&denial), expected, "{text:?}");
        assert_eq!(
            reference(text.as_bytes(), syntax, &switches),
            expected,
            "{text:?}"
        );
    }
}

/// Pieces of which hostile paths are made.
const PIECES: &[&str] = &[
    "/",
    "/",
    "/",
    "\\",
    ".",
    "..",
    "...",
    " ",
    "a",
    "tests",
    "runtime",
    "::",
    ":",
    "[",
    "]",
    "%",
    "%2e",
    "%u002e",
    "%HOME%",
    "$",
    "${",
    "$(",
    "~",
    "~1",
    "-",
    "@",
    "*",
    "?",
    "{",
    "}",
    "<",
    "|",
    "\"",
    "\0",
    "\n",
    "\u{7f}",
    "\u{85}",
    "\u{2028}",
    "\u{200b}",
    "\u{202e}",
    "\u{feff}",
    "\u{e000}",
    "\u{fffe}",
    "\u{10ffff}",
    "\u{2215}",
    "\u{ff0f}",
    "\u{2024}",
    "\u{2026}",
    "\u{ff0e}",
    "e\u{301}",
    "\u{301}",
    "\u{212a}",
    "\u{e9}",
    "\u{a0}",
    "\u{3000}",
    "con",
    "AUX",
    "com",
    "1",
    "¹",
    "lpt⁰",
    "nul.txt",
    "clock$",
    ".git",
    ".GIT",
    "C:",
    "file://",
    "x.py",
    "TEST_A~1",
    "(x86)",
    "_",
    "テスト",
];

fn hostile() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::collection::vec(select(PIECES), 0..14).prop_map(|pieces| pieces.concat()),
        1 => prop::collection::vec(select(PIECES), 0..500).prop_map(|pieces| pieces.concat()),
        1 => any::<String>(),
    ]
}

fn switches() -> impl Strategy<Value = Switches> {
    let one = (
        (
            select(Dot::ALL),
            select(Nfc::ALL),
            select(Unicode::ALL),
            select(Percent::ALL),
        ),
        (
            select(Expansion::ALL),
            select(Colon::ALL),
            select(Braces::ALL),
            select(Edges::ALL),
        ),
        (
            select(WindowsNames::ALL),
            select(ShortNames::ALL),
            select(Backslash::ALL),
        ),
    );
    let some = one.prop_map(
        |((dot, nfc, unicode, percent), (expansion, colon, braces, edges), last)| {
            let mut switches = Switches::default();
            switches.dot = dot;
            switches.nfc = nfc;
            switches.unicode = unicode;
            switches.percent = percent;
            switches.expansion = expansion;
            switches.colon = colon;
            switches.braces = braces;
            switches.edges = edges;
            (
                switches.windows_names,
                switches.short_names,
                switches.backslash,
            ) = last;
            switches
        },
    );
    prop_oneof![Just(Switches::default()), some]
}

fn syntax() -> impl Strategy<Value = Syntax> {
    select(&[Syntax::Path, Syntax::Pytest][..])
}

/// Canonical paths below `runtime/tests`, of ordinary names.
fn ordinary() -> impl Strategy<Value = String> {
    prop::collection::vec("[a-z]{2,5}[a-zA-Z0-9_é]{0,9}(\\.py)?", 1..6)
        .prop_map(|names| format!("runtime/tests/{}", names.join("/")))
        .prop_filter("allowed", |text| strict(text).is_ok())
}

/// Every single relaxation, with the rules it may lift.
fn relaxations() -> Vec<(Switches, &'static [u8])> {
    let relax = |change: &dyn Fn(&mut Switches)| {
        let mut switches = strictest();
        change(&mut switches);
        switches
    };
    vec![
        (relax(&|s| s.unicode = Unicode::Relaxed), &[6, 16]),
        (relax(&|s| s.percent = Percent::Literal), &[15]),
        (relax(&|s| s.expansion = Expansion::Literal), &[11]),
        (relax(&|s| s.colon = Colon::Allow), &[17]),
        (relax(&|s| s.braces = Braces::Allow), &[18]),
        (relax(&|s| s.edges = Edges::Allow), &[19]),
        (relax(&|s| s.windows_names = WindowsNames::Bare), &[20]),
        (relax(&|s| s.windows_names = WindowsNames::Allow), &[20]),
        (relax(&|s| s.short_names = ShortNames::Allow), &[21]),
        (relax(&|s| s.protected.clear()), &[22]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, ..ProptestConfig::default() })]

    #[test]
    fn the_rules_agree_with_the_table_written_as_expressions(
        text in hostile(), syntax in syntax(), switches in switches()
    ) {
        let expected = reference(text.as_bytes(), syntax, &switches);
        let found = lexical(text.as_bytes(), syntax, &switches).err();
        prop_assert_eq!(found.as_ref().map(rules).unwrap_or_default(), expected);
    }

    #[test]
    fn any_bytes_get_an_answer_that_can_be_shown(
        bytes in prop::collection::vec(any::<u8>(), 0..200), syntax in syntax(), switches in switches()
    ) {
        if let Err(denial) = lexical(&bytes, syntax, &switches) {
            prop_assert!(denial.findings().windows(2).all(|two| two[0].rule < two[1].rule));
            for finding in denial.findings() {
                prop_assert!(finding.offset + finding.len <= bytes.len());
                let message = finding.message(&bytes);
                prop_assert!(!message.contains(|c: char| c.is_control()), "{message}");
                prop_assert!(!message.ends_with('.') && message.starts_with(char::is_lowercase));
            }
            let _ = denial.suggestion(&bytes, &switches);
        }
    }

    #[test]
    fn every_finding_points_into_the_argument(
        text in hostile(), syntax in syntax(), switches in switches()
    ) {
        if let Err(denial) = lexical(text.as_bytes(), syntax, &switches) {
            for finding in denial.findings() {
                prop_assert!(finding.offset + finding.len <= text.len());
                if finding.rule != 2 && finding.rule != 9 && switches.nfc == Nfc::Require {
                    prop_assert!(text.is_char_boundary(finding.offset), "{finding:?}");
                }
                prop_assert!(!finding.message(text.as_bytes()).contains(|c: char| c.is_control()));
            }
        }
    }

    #[test]
    fn a_canonical_form_is_its_own_canonical_form(
        text in hostile(), syntax in syntax(), switches in switches()
    ) {
        if let Ok(target) = lexical(text.as_bytes(), syntax, &switches) {
            let executed = format!("{}{}", target.path(), target.suffix());
            let again = lexical(executed.as_bytes(), syntax, &switches).unwrap();
            prop_assert_eq!(&again, &target);
            let path = target.to_canonical();
            // What a program is given is the same path, and begins like a name to every program.
            let argument = path.to_argument();
            prop_assert!(argument.starts_with(|c: char| c.is_alphanumeric() || "._".contains(c)), "{argument}");
            let mut stripped = switches.clone();
            stripped.dot = Dot::Strip;
            prop_assert_eq!(&CanonicalPath::parse(argument.as_bytes(), &stripped).unwrap(), &path);
            prop_assert_eq!(&CanonicalPath::parse(target.path().as_bytes(), &switches).unwrap(), &path);
            let cleaned = path_clean::clean(path.as_str());
            prop_assert_eq!(cleaned.to_str(), Some(path.as_str()));
            prop_assert!(path.segments().all(|s| !s.is_empty() && s != "." && s != ".."));
        }
    }

    #[test]
    fn a_relaxed_switch_lifts_its_own_rules_and_no_other(text in hostile(), syntax in syntax()) {
        let strict = lexical(text.as_bytes(), syntax, &strictest());
        let strict = strict.as_ref().map_err(rules).err().unwrap_or_default();
        for (switches, own) in relaxations() {
            let relaxed = lexical(text.as_bytes(), syntax, &switches);
            let relaxed = relaxed.as_ref().map_err(rules).err().unwrap_or_default();
            for rule in &strict {
                prop_assert!(relaxed.contains(rule) || own.contains(rule), "{rule} {switches:?}");
            }
            for rule in &relaxed {
                // An encoded byte that is now literal may turn out to be a variable: `%AB%`. And a blank
                // segment that is now allowed may turn out to be all there is: ` /`.
                let uncovered = own == [15] && *rule == 11 || own == [19] && *rule == 4;
                prop_assert!(strict.contains(rule) || uncovered, "{rule} {switches:?}");
            }
        }
    }

    #[test]
    fn an_insertion_at_a_border_of_an_allowed_path_is_refused(
        text in ordinary(), at in any::<prop::sample::Index>(),
        inserted in select(&["/", "/.", "/..", "\0", "\u{200b}", "%2e", "..", "\\..", "*", "\n"][..])
    ) {
        let borders: Vec<_> = text.match_indices('/').map(|(at, _)| at).collect();
        let mut changed = text;
        changed.insert_str(*at.get(&borders), inserted);
        prop_assert!(reason(&changed).is_some(), "{changed:?}");
    }

    #[test]
    fn a_dot_or_blank_at_the_end_of_a_segment_is_refused(
        text in ordinary(), at in any::<prop::sample::Index>(), inserted in select(&[".", " ", "\u{a0}", "...", ". "][..])
    ) {
        let mut borders: Vec<_> = text.match_indices('/').map(|(at, _)| at).collect();
        borders.push(text.len());
        let mut changed = text;
        changed.insert_str(*at.get(&borders), inserted);
        prop_assert_eq!(reason(&changed), Some(Reason::PathSegmentEdgeDenied), "{:?}", changed);
    }

    #[test]
    fn the_decomposed_form_is_refused_unless_it_is_ignored(text in ordinary()) {
        let decomposed: String = text.nfd().collect();
        if decomposed != text {
            prop_assert_eq!(reason(&decomposed), Some(Reason::PathUnicodeDenied));
        }
        let mut switches = Switches::default();
        switches.nfc = Nfc::Ignore;
        let path = CanonicalPath::parse(decomposed.as_bytes(), &switches).unwrap();
        prop_assert_eq!(path.as_str(), text);
    }

    #[test]
    fn another_case_or_a_longer_name_of_the_scope_is_outside(text in ordinary(), at in 0..12_usize) {
        let scope = Pattern::parse("runtime/tests/**").unwrap();
        prop_assert!(scope.matches(&text));
        let at = if at == 7 { 8 } else { at };
        let mut other = text.clone().into_bytes();
        other[at] = other[at].to_ascii_uppercase();
        prop_assert!(!scope.matches(&other) && scope.matches_folded(&other));
        for longer in ["_evil", "2", "-old", " copy", "é"] {
            let sibling = text.replacen("tests", &format!("tests{longer}"), 1);
            prop_assert!(!scope.matches(&sibling) && !scope.matches_folded(&sibling));
        }
    }

    #[test]
    fn backslashes_and_a_last_separator_make_no_difference(text in ordinary()) {
        let written = format!("{}\\", text.replace('/', "\\"));
        prop_assert_eq!(strict(&written).unwrap(), text);
    }

    #[test]
    fn what_is_joined_can_be_taken_off_again(a in ordinary(), b in ordinary()) {
        let parse = |text: &str| CanonicalPath::parse(text.as_bytes(), &Switches::default()).unwrap();
        let (a, b) = (parse(&a), parse(&b));
        let joined = a.join(&b).unwrap();
        prop_assert_eq!(joined.strip_prefix(&a), Some(b));
        prop_assert_eq!(joined.segments().count(), joined.as_str().split('/').count());
    }
}
