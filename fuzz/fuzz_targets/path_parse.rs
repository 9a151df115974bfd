//! Paths and globs from any bytes: no panic, and the laws that hold between their answers.
//!
//! The first two bytes set the switches, the third the syntax. What follows is the argument, up to the
//! first line feed; after it stand patterns, one on a line.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lictor::path::{
    Backslash, Braces, CanonicalPath, Colon, Dot, Edges, Expansion, Nfc, Percent, ShortNames,
    Switches, Syntax, Unicode, WindowsNames, lexical,
};
use lictor::policy::glob::Pattern;
use lictor::policy::index::Index;

fuzz_target!(|data: &[u8]| {
    let [low, high, syntax, rest @ ..] = data else {
        return;
    };
    let switches = switches(u16::from_le_bytes([*low, *high]));
    let syntax = if syntax & 1 == 0 {
        Syntax::Path
    } else {
        Syntax::Pytest
    };
    let mut lines = rest.split(|byte| *byte == b'\n');
    let argument = lines.next().unwrap_or_default();

    let path = parse(argument, syntax, &switches);
    if let Some(path) = &path {
        insert_at_borders(path);
    }
    // What no argument may be, a disk may still hold.
    let path = path.as_ref().map_or(argument, |path| path.as_ref());
    match_patterns(lines, path);
});

/// One choice for each bit.
fn switches(bits: u16) -> Switches {
    let is_set = |bit: u32| bits & 1_u16.wrapping_shl(bit) != 0;
    let mut switches = Switches::default();
    switches.dot = if is_set(0) { Dot::Strip } else { Dot::Deny };
    switches.nfc = if is_set(1) { Nfc::Ignore } else { Nfc::Require };
    switches.unicode = if is_set(2) {
        Unicode::Relaxed
    } else {
        Unicode::Strict
    };
    switches.percent = if is_set(3) {
        Percent::Literal
    } else {
        Percent::Deny
    };
    switches.expansion = if is_set(4) {
        Expansion::Literal
    } else {
        Expansion::Deny
    };
    switches.colon = if is_set(5) { Colon::Allow } else { Colon::Deny };
    switches.braces = if is_set(6) {
        Braces::Allow
    } else {
        Braces::Deny
    };
    switches.edges = if is_set(7) { Edges::Allow } else { Edges::Deny };
    switches.windows_names = match (is_set(8), is_set(9)) {
        (false, _) => WindowsNames::Deny,
        (true, false) => WindowsNames::Bare,
        (true, true) => WindowsNames::Allow,
    };
    switches.short_names = if is_set(10) {
        ShortNames::Allow
    } else {
        ShortNames::Deny
    };
    switches.backslash = if is_set(11) {
        Backslash::Deny
    } else {
        Backslash::Separator
    };
    switches
}

fn parse(argument: &[u8], syntax: Syntax, switches: &Switches) -> Option<CanonicalPath> {
    let target = match lexical(argument, syntax, switches) {
        Ok(target) => target,
        Err(denial) => {
            for finding in denial.findings() {
                assert!(finding.offset + finding.len <= argument.len());
                assert!(!finding.message(argument).contains(char::is_control));
            }
            assert_eq!(denial.first().reason, denial.reason());
            let _ = denial.suggestion(argument, switches);
            return None;
        }
    };
    let path = target.to_canonical();
    assert_eq!(
        CanonicalPath::parse(path.as_str().as_bytes(), switches).unwrap(),
        path
    );
    let executed = format!("{}{}", target.path(), target.suffix());
    assert_eq!(
        lexical(executed.as_bytes(), syntax, switches).unwrap(),
        target
    );
    assert_eq!(
        path_clean::clean(path.as_str()).to_str(),
        Some(path.as_str())
    );
    assert!(
        path.segments()
            .all(|name| !name.is_empty() && name != "." && name != "..")
    );
    Some(path)
}

/// Whatever is put at a border of an allowed path makes it another one, and a denied one.
fn insert_at_borders(path: &CanonicalPath) {
    let strict = Switches::default();
    let parse = |text: &str| CanonicalPath::parse(text.as_bytes(), &strict);
    let text = path.as_str();
    if path.is_workspace() || parse(text).is_err() {
        return;
    }
    for (border, _) in text.match_indices('/').take(8) {
        let (before, behind) = text.split_at(border);
        for inserted in [
            "/", "/.", "/..", "\\..", "\0", "\u{200b}", "%2e", ".", " ", "\n", "*",
        ] {
            let changed = format!("{before}{inserted}{behind}");
            assert!(parse(&changed).is_err(), "{changed:?}");
        }
        // Another word for a border changes nothing.
        let behind = behind.strip_prefix('/').unwrap_or(behind);
        let changed = format!("{before}\\{behind}/");
        assert_eq!(parse(&changed).as_ref(), Ok(path), "{changed:?}");
    }
}

fn match_patterns<'a>(lines: impl Iterator<Item = &'a [u8]>, path: &[u8]) {
    let mut patterns = Vec::new();
    for line in lines.take(16) {
        let Ok(text) = std::str::from_utf8(line) else {
            continue;
        };
        match Pattern::parse(text) {
            Ok(pattern) => patterns.push(pattern),
            Err(error) => {
                assert!(error.offset() + error.len() <= text.len());
                if let Some(suggestion) = error.suggestion() {
                    assert!(Pattern::parse(suggestion).is_ok());
                }
            }
        }
    }
    let numbered = || patterns.iter().zip(0..);
    let expected = |matches: fn(&Pattern, &[u8]) -> bool| -> Vec<u32> {
        numbered()
            .filter(|(pattern, _)| matches(pattern, path))
            .map(|(_, number)| number)
            .collect()
    };
    for (index, expected) in [
        (
            Index::build(numbered()),
            expected(|pattern, path| pattern.matches(path)),
        ),
        (
            Index::build_folded(numbered()),
            expected(|pattern, path| pattern.matches_folded(path)),
        ),
    ] {
        let mut found = Vec::new();
        index.visit(path, &mut |number| found.push(number));
        found.sort_unstable();
        assert_eq!(found, expected);
    }
    for pattern in &patterns {
        assert!(!pattern.matches(path) || pattern.matches_folded(path));
    }
}
