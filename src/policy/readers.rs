//! Where YAML readers disagree: characters that end a line for some of them, and words that are not text to all.
//!
//! A policy is reviewed with other tools than the one that enforces it. What they could read differently is
//! refused, so that everybody sees the policy that is in force. Compared were PyYAML, ruamel.yaml, libyaml
//! (`serde_yaml`), and `yaml` and `js-yaml` for Node; the words are those of <https://yaml.org/type/>.

#![forbid(unsafe_code)]

/// A character that YAML readers disagree about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OddCharacter {
    /// Its first byte.
    pub(super) at: usize,
    pub(super) character: char,
}

impl OddCharacter {
    /// Description of the mistake.
    pub(super) fn message(self) -> String {
        let code = u32::from(self.character);
        let readers = "ends a line for some YAML readers and not for others";
        match self.character {
            '\\' => "a `\\` before CR LF, which YAML readers disagree about".to_owned(),
            '\r' => format!("a carriage return without a line feed {readers}"),
            '\u{85}' | '\u{2028}' | '\u{2029}' => format!("U+{code:04X} {readers}"),
            '\u{feff}' => "a byte order mark that is not the first character".to_owned(),
            _ => format!("the control character U+{code:04X}, which YAML does not allow"),
        }
    }

    /// Advice on how to mend it.
    pub(super) fn help(self) -> String {
        match self.character {
            '\\' => "end the lines with LF, or write the text on one line".to_owned(),
            '\r' => "end every line with LF or CR LF; most editors can convert a file".to_owned(),
            other => format!(
                "take it out; text that needs it writes \"\\u{:04X}\" in double quotes",
                u32::from(other)
            ),
        }
    }
}

/// The characters of a document that YAML readers disagree about, quoted text included: there, too, some
/// readers take them for line breaks, which they fold.
pub(super) fn odd_characters(text: &str) -> impl Iterator<Item = OddCharacter> + '_ {
    // Nearly every document is plain ASCII, and looked through a byte at a time.
    let suspicious = |byte: u8| byte < b' ' && byte != b'\n' && byte != b'\t' || byte >= 0x7f;
    let follows = |at: usize, bytes: &[u8]| {
        let rest = text.as_bytes().get(at.saturating_add(1)..);
        rest.is_some_and(|rest| rest.starts_with(bytes))
    };
    let all = if text.bytes().any(suspicious) {
        text
    } else {
        ""
    };
    all.char_indices()
        .filter(move |(at, c)| match c {
            '\\' => follows(*at, b"\r\n"),
            '\r' => !follows(*at, b"\n"),
            '\u{feff}' => *at != 0,
            '\n' | '\t' => false,
            '\u{2028}' | '\u{2029}' | '\u{fffe}' | '\u{ffff}' => true,
            c => c.is_control(),
        })
        .map(|(at, character)| OddCharacter { at, character })
}

/// The kind of value that some YAML readers take an unquoted word for; nothing if it is text to all.
///
/// ```
/// use lictor::policy::readers::other_than_text;
///
/// assert_eq!(other_than_text("1:20:30"), Some("a number in base 60 to some YAML readers"));
/// assert_eq!(other_than_text("src/**"), None);
/// ```
#[must_use]
pub fn other_than_text(word: &str) -> Option<&'static str> {
    if reads_as_boolean(word) {
        return Some("a boolean to some YAML readers");
    }
    if matches!(word, "~" | "" | "null" | "Null" | "NULL") {
        return Some("nothing to YAML readers");
    }
    if matches!(word, "=" | "<<") {
        return Some("a sign of YAML 1.1, not text");
    }
    // `[?x]` is a list of one mapping to YAML 1.1.
    if word.starts_with('?') {
        return Some("a key of a mapping to some YAML readers");
    }
    if is_date(word) {
        return Some("a date to some YAML readers");
    }
    let digits = word.strip_prefix(['+', '-']).unwrap_or(word);
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    if is_base_60(digits) {
        return Some("a number in base 60 to some YAML readers");
    }
    is_number(digits).then_some("a number to some YAML readers")
}

/// Words that YAML 1.1 readers take for booleans and YAML 1.2 readers for text. The letters `y` and
/// `n` are in YAML 1.1 as well, but no reader in use follows it there.
pub(super) fn reads_as_boolean(text: &str) -> bool {
    ["yes", "no", "on", "off", "true", "false"]
        .iter()
        .any(|word| word.eq_ignore_ascii_case(text))
}

/// A number as every reader reads it: decimal, without a leading zero, sign `+` or separators.
#[must_use]
pub fn is_plain_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    digits == "0"
        || digits.starts_with(|c: char| matches!(c, '1'..='9'))
            && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// `2001-12-14`, whatever follows it: the timestamps of YAML 1.1 are one of several ways to write a time.
fn is_date(word: &str) -> bool {
    let mut parts = word.splitn(3, '-');
    let (Some(year), Some(month), Some(rest)) = (parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    let is_number = |text: &str, most: usize| {
        (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    let day = rest
        .split(|c: char| !c.is_ascii_digit())
        .next()
        .unwrap_or("");
    let time = rest.get(day.len()..).unwrap_or("");
    let is_time = time.is_empty()
        || time.starts_with(['T', 't', ' ', '\t'])
            && time
                .get(1..)
                .unwrap_or("")
                .trim_start()
                .starts_with(|c: char| c.is_ascii_digit());
    year.len() == 4 && is_number(year, 4) && is_number(month, 2) && is_number(day, 2) && is_time
}

/// `190:20:30` or `190:20:30.15`, the sexagesimal numbers of YAML 1.1.
fn is_base_60(digits: &str) -> bool {
    let whole = digits.split('.').next().unwrap_or(digits);
    let fraction = digits.get(whole.len()..).unwrap_or("");
    let mut parts = whole.split(':');
    let first = parts.next().unwrap_or("");
    let mut has_more = false;
    let is_sixtieth = |part: &str| {
        (1..=2).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    let all = parts.all(|part| {
        has_more = true;
        is_sixtieth(part)
    });
    let is_digits = |text: &str| {
        text.bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'_')
    };
    has_more && all && is_digits(first) && is_digits(fraction.trim_start_matches('.'))
}

/// Decimal, binary, octal and hexadecimal numbers, with the separators `_` and `,` that some readers accept.
fn is_number(digits: &str) -> bool {
    let all = |text: &str, fits: &dyn Fn(u8) -> bool| {
        !text.is_empty()
            && text
                .bytes()
                .all(|byte| fits(byte) || matches!(byte, b'_' | b','))
    };
    let radix = digits.get(..2).unwrap_or("").to_ascii_lowercase();
    let rest = digits.get(2..).unwrap_or("");
    match radix.as_str() {
        "0x" => return all(rest, &|byte| byte.is_ascii_hexdigit()),
        "0o" | "0b" => return all(rest, &|byte| byte.is_ascii_digit()),
        _ => {}
    }
    if digits.eq_ignore_ascii_case(".inf") || digits.eq_ignore_ascii_case(".nan") {
        return true;
    }
    let mantissa = digits.split(['e', 'E']).next().unwrap_or(digits);
    let exponent = digits.get(mantissa.len()..).unwrap_or("");
    let power = exponent
        .get(1..)
        .unwrap_or("")
        .trim_start_matches(['+', '-']);
    let has_digit = mantissa.bytes().any(|byte| byte.is_ascii_digit());
    let is_exponent = exponent.is_empty() || all(power, &|byte| byte.is_ascii_digit());
    has_digit
        && is_exponent
        && mantissa.matches('.').count() <= 1
        && all(&mantissa.replacen('.', "", 1), &|byte| {
            byte.is_ascii_digit()
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_text_only_if_it_is_to_every_reader() {
        for word in [
            "1:20",
            "1:20:30",
            "190:20:30.15",
            "-1:20",
            "685_230.15",
            "1_000",
            "1,000",
            "010",
            "0o17",
            "0b1_0",
            "0xFF",
            "0x_1",
            "1.5e+3",
            ".5",
            "5.",
            "+.5",
            "+12e03",
            ".inf",
            "-.INF",
            ".NaN",
            "2001-01-01",
            "2001-1-1",
            "2001-12-14t21:59:43.10-05:00",
            "2001-12-14 21:59:43.10 -5",
            "no",
            "Off",
            "~",
            "null",
            "=",
            "<<",
            "0_",
        ] {
            assert!(other_than_text(word).is_some(), "{word}");
        }
        for word in [
            "a",
            "1.2.3",
            "v1",
            "300s",
            "50KiB",
            "10.0.0.1",
            "10.0.0.1:443",
            "2001-01",
            "2001-01-01-notes",
            "2001-01-01.md",
            "y",
            "n",
            "-x",
            "1:200:3",
            "a:1",
            ".",
            "-",
            "...",
            "0x",
            "1e",
            "e5",
            "_1",
            "1/2",
            "src/**",
            "12ab",
            "x=1",
        ] {
            assert_eq!(other_than_text(word), None, "{word}");
        }
    }

    #[test]
    fn a_number_has_one_spelling() {
        for number in ["0", "7", "-7", "120"] {
            assert!(is_plain_number(number), "{number}");
        }
        for number in ["", "-", "010", "+7", "1_0", "0x1", "1.0", "1e3", "-01", "٣"] {
            assert!(!is_plain_number(number), "{number}");
        }
    }

    #[test]
    fn characters_that_end_a_line_for_some_are_found_wherever_they_stand() {
        let found = |text: &str| odd_characters(text).map(|odd| odd.at).collect::<Vec<_>>();
        assert_eq!(found("\u{feff}a: b\r\nc: \"é\" # ok\ttab\n"), [0_usize; 0]);
        assert_eq!(found("a\rb\r"), [1, 3]);
        assert_eq!(found("\"a\\\r\n b\"\r\n\"a\\\n b\""), [2]);
        assert_eq!(
            found("é\u{85}\u{2028}'\u{2029}'\u{feff}\u{b}\u{7f}\u{0}"),
            [2, 4, 8, 12, 15, 16, 17]
        );
    }
}
