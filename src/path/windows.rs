//! Names that Windows reads otherwise: drives, shares, device names, generated short names.
//!
//! The rules hold on every system alike: a policy decides the same wherever it is read, and a disk
//! mounted from Windows brings its names along.

#![forbid(unsafe_code)]

use super::switches::WindowsNames;

/// The length in bytes of what makes the path absolute (rule 10): a separator at the start, a drive,
/// or a URL's scheme with two separators.
pub(crate) fn root(path: &str) -> Option<usize> {
    let mut chars = path.chars();
    let first = chars.next()?;
    if matches!(first, '/' | '\\') {
        return Some(1);
    }
    // Any first character: `ß:` is a drive as well, by `subst` (CVE-2019-1351).
    if chars.next() == Some(':') {
        return Some(first.len_utf8().saturating_add(1));
    }
    let (scheme, rest) = path.split_once(':')?;
    let is_scheme = first.is_ascii_alphabetic()
        && scheme
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'.' | b'-'));
    let two_separators = rest
        .bytes()
        .take(2)
        .filter(|b| matches!(b, b'/' | b'\\'))
        .count()
        == 2;
    (is_scheme && two_separators).then(|| scheme.len().saturating_add(3))
}

/// Returns true if the segment is a DOS device (rule 20): up to its first dot, without trailing spaces, in
/// any ASCII case.
pub(super) fn is_device(segment: &str, names: WindowsNames) -> bool {
    // Nearly every name ends here: the devices begin with one of five letters.
    if !matches!(
        segment.as_bytes().first(),
        Some(b'a' | b'A' | b'c' | b'C' | b'l' | b'L' | b'n' | b'N' | b'p' | b'P')
    ) {
        return false;
    }
    let (stem, has_extension) = match segment.split_once('.') {
        Some((stem, _)) => (stem, true),
        None => (segment, false),
    };
    match names {
        WindowsNames::Allow => return false,
        WindowsNames::Bare if has_extension => return false,
        WindowsNames::Bare | WindowsNames::Deny => {}
    }
    let stem = stem.trim_end_matches(' ');
    if DEVICES
        .iter()
        .any(|device| stem.eq_ignore_ascii_case(device))
    {
        return true;
    }
    let Some((port, number)) = stem.split_at_checked(3) else {
        return false;
    };
    let mut number = number.chars();
    (port.eq_ignore_ascii_case("com") || port.eq_ignore_ascii_case("lpt"))
        && number.next().is_some_and(is_port_number)
        && number.next().is_none()
}

/// The devices without a number.
const DEVICES: [&str; 7] = ["con", "prn", "aux", "nul", "conin$", "conout$", "clock$"];

/// Windows takes ¹ ² ³ for digits of a port (CVE-2023-45284). The other superscripts are refused with
/// them, since programs have disagreed about which count (CVE-2024-51756).
fn is_port_number(c: char) -> bool {
    matches!(c, '0'..='9' | '¹' | '²' | '³' | '\u{2070}' | '\u{2074}'..='\u{2079}')
}

/// Returns true if the segment has the form of a generated short name (rule 21):
/// `^[^.~]{1,6}~[0-9]{1,6}(\.[^.]{0,3})?$` with at most 8 characters before the first dot.
pub(super) fn is_short_name(segment: &str) -> bool {
    let (stem, extension) = segment.split_once('.').unwrap_or((segment, ""));
    let Some((name, number)) = stem.split_once('~') else {
        return false;
    };
    !name.is_empty()
        && !number.is_empty()
        && number.bytes().all(|b| b.is_ascii_digit())
        && number.len() <= 6
        && is_at_most(name, 6)
        && is_at_most(stem, 8)
        && !extension.contains('.')
        && is_at_most(extension, 3)
}

fn is_at_most(text: &str, chars: usize) -> bool {
    text.chars().nth(chars).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drives_shares_and_urls_are_absolute() {
        #[track_caller]
        fn check(path: &str, expected: Option<usize>) {
            assert_eq!(root(path), expected, "{path:?}");
        }
        check("/", Some(1));
        check("\\\\server\\share", Some(1));
        check("C:", Some(2));
        check("é:/x", Some(3));
        check("::x", Some(2));
        check("file:///x", Some(7));
        check("vscode-remote:\\/x", Some(16));
        check("file:/x", None);
        check("1file://x", None);
        check(":x", None);
        check("a/b://c", None);
        check("a", None);
        check("", None);
    }

    #[test]
    fn device_names_count_with_extension_case_and_trailing_spaces() {
        #[track_caller]
        fn check(segment: &str, deny: bool, bare: bool) {
            assert_eq!(is_device(segment, WindowsNames::Deny), deny, "{segment:?}");
            assert_eq!(
                is_device(segment, WindowsNames::Bare),
                bare,
                "{segment:?} bare"
            );
            assert!(!is_device(segment, WindowsNames::Allow));
        }
        check("con", true, true);
        check("NUL .txt", true, false);
        check("AUX ", true, true);
        check("aux.c", true, false);
        check("COM¹", true, true);
        check("lpt⁰", true, true);
        check("com0.tar.gz", true, false);
        check("CONOUT$", true, true);
        check("clock$.x", true, false);
        for name in [
            "com", "com10", "console", "aux_", "lpt1_", "xcon", "con_", "coé", ".con", "com¼",
        ] {
            check(name, false, false);
        }
    }

    #[test]
    fn short_names_are_recognised_by_their_form() {
        #[track_caller]
        fn check(segment: &str, expected: bool) {
            assert_eq!(is_short_name(segment), expected, "{segment:?}");
        }
        for name in [
            "GIT~1",
            "TEST_A~1.PY",
            "a~1",
            "ab~12345",
            "a~1.",
            "é~1.txt",
            "abcdef~1",
        ] {
            check(name, true);
        }
        for name in [
            "a~b",
            "~1",
            "a~",
            "abcdefg~1",
            "abc~12345",
            "a~1234567",
            "a~1.text",
            "a~1.a.b",
            "a.b~1",
            "x~a1",
            "a~1~2",
            "x.py~",
        ] {
            check(name, false);
        }
    }
}
