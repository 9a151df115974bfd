//! Characters that a reader does not see as they are: controls, invisible ones, and what reorders text.

#![forbid(unsafe_code)]

/// A control character or line separator: C0, DEL, C1, U+2028, U+2029.
pub(crate) fn is_control(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

/// An invisible, bidirectional, private-use or non-character.
///
/// The list is our own: default-ignorable code points that a name has no use for, letters and symbols that
/// are drawn as nothing (Hangul fillers, U+2800, U+1D159), characters that reorder text, private use (WSL, Cygwin
/// and SFM map some of it to `\`, `:` and `/`), and what is no character at all.
pub(crate) fn is_hidden(c: char) -> bool {
    match u32::from(c) {
        0x00AD
        | 0x034F
        | 0x061C
        | 0x115F..=0x1160
        | 0x17B4..=0x17B5
        | 0x180B..=0x180F
        | 0x200B..=0x200F
        | 0x202A..=0x202E
        | 0x2060..=0x206F
        | 0x2800
        | 0x3164
        | 0xE000..=0xF8FF
        | 0xFDD0..=0xFDEF
        | 0xFE00..=0xFE0F
        | 0xFEFF
        | 0xFFA0
        | 0xFFF0..=0xFFFB
        | 0x1BCA0..=0x1BCA3
        | 0x1D159
        | 0x1D173..=0x1D17A
        | 0xE0000..=0xE0FFF
        | 0xF0000.. => true,
        code => code & 0xFFFE == 0xFFFE,
    }
}

/// A character that is escaped wherever text is shown, recorded or signed: a control, a hidden one, and what
/// the standard library does not print (unassigned, formats, spaces other than U+0020).
///
/// Paths are judged by [`is_control`] and [`is_hidden`] alone, which do not change with the compiler.
pub(crate) fn is_odd(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_control();
    }
    is_control(c) || is_hidden(c) || !is_printed(c)
}

/// Behind a letter, so that a mark that joins to one counts as printed.
fn is_printed(c: char) -> bool {
    let mut text = String::with_capacity(5);
    text.push('a');
    text.push(c);
    text.escape_debug().nth(2).is_none()
}

/// The text with every odd character and `\` escaped: `\n`, `\u{202e}`. Quotes stay, they end nothing in a
/// message.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        // A mark that would join to what stands before the text.
        let joins = at == 0 && !c.is_ascii() && c.escape_debug().nth(1).is_some();
        if c == '\\' || c.is_ascii_control() {
            out.extend(c.escape_debug());
        } else if joins || is_odd(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

/// The text with every odd character but its line feeds escaped, so that a terminal and a log show what is there. A `\`
/// stays: either a value was [escaped] already where it was put into the text, or the character is meant.
#[cfg(feature = "cli")]
pub(crate) fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    put_printable(text, &mut out);
    out
}

/// Printable text without line feeds, so that it begins no line of its own.
#[cfg(feature = "cli")]
pub(crate) fn one_line(text: &str) -> String {
    printable(text).replace('\n', "\\n")
}

/// Printable text that may have several lines, as a policy's author writes a reason: those behind the first are indented,
/// so that none looks like a line of the program's own.
#[cfg(feature = "cli")]
pub(crate) fn indented(text: &str) -> String {
    printable(text.trim_end()).replace('\n', "\n    ")
}

/// Printable text, in which sequences that only set colours (`ESC [ 1 ; 31 m`) stay. For text of a renderer that was
/// given nothing but printable values.
#[cfg(feature = "cli")]
pub(crate) fn printable_in_colours(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("\u{1b}[") {
        put_printable(before, &mut out);
        let end = behind.find(|c: char| !c.is_ascii_digit() && c != ';');
        rest = match end.and_then(|end| behind.split_at_checked(end)) {
            Some((numbers, behind)) if behind.starts_with('m') => {
                out.push_str("\u{1b}[");
                out.push_str(numbers);
                behind
            }
            _ => {
                put_printable("\u{1b}[", &mut out);
                behind
            }
        };
    }
    put_printable(rest, &mut out);
    out
}

#[cfg(feature = "cli")]
fn put_printable(text: &str, out: &mut String) {
    for c in text.chars() {
        if c == '\n' || !is_odd(c) {
            out.push(c);
        } else if c.is_ascii() {
            out.extend(c.escape_debug());
        } else {
            out.extend(c.escape_unicode());
        }
    }
}

/// JSON with every odd character but its own line breaks as `\uXXXX`. JSON has such characters in strings
/// only, so it means as much as before, and each reader takes it for as many lines.
pub(crate) fn escaped_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if c != '\n' && is_odd(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            out.push(c);
        }
    }
    out
}

/// The odd characters of a text, each once, as `U+200B`.
#[cfg(feature = "cli")]
pub(crate) fn odd_characters(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for c in text.chars().filter(|c| is_odd(*c)) {
        let name = format!("U+{:04X}", u32::from(c));
        if !found.contains(&name) {
            found.push(name);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Drawn as nothing, or as something else than what they are.
    const HIDDEN: [char; 30] = [
        '\u{AD}',
        '\u{34F}',
        '\u{61C}',
        '\u{115F}',
        '\u{1160}',
        '\u{17B4}',
        '\u{17B5}',
        '\u{180B}',
        '\u{180E}',
        '\u{180F}',
        '\u{200B}',
        '\u{200D}',
        '\u{202E}',
        '\u{2066}',
        '\u{2069}',
        '\u{2060}',
        '\u{2800}',
        '\u{3164}',
        '\u{FE00}',
        '\u{FE0F}',
        '\u{FEFF}',
        '\u{FFA0}',
        '\u{FFF9}',
        '\u{F05C}',
        '\u{1D159}',
        '\u{E0041}',
        '\u{E0100}',
        '\u{E01EF}',
        '\u{1FFFE}',
        '\u{10FFFF}',
    ];

    #[test]
    fn hidden_characters_are_those_of_the_list_and_all_are_odd() {
        for c in HIDDEN {
            assert!(is_hidden(c) && is_odd(c), "{c:?}");
        }
        for c in [
            '\0', '\n', '\u{7f}', '\u{85}', '\u{9b}', '\u{2028}', '\u{2029}',
        ] {
            assert!(is_control(c) && is_odd(c), "{c:?}");
        }
        // A space of another kind, unassigned, a format character.
        for c in ['\u{A0}', '\u{3000}', '\u{378}', '\u{1FFFD}', '\u{600}'] {
            assert!(!is_hidden(c) && is_odd(c), "{c:?}");
        }
        for c in [
            'a',
            ' ',
            'é',
            '\u{301}',
            '\u{2014}',
            '\u{2026}',
            '\u{FFFC}',
            '\u{FFFD}',
            '\u{1F600}',
            '\u{2010}',
            '語',
        ] {
            assert!(!is_hidden(c) && !is_odd(c), "{c:?}");
        }
    }

    #[test]
    fn every_default_ignorable_code_point_is_odd() {
        // Unicode 16, DerivedCoreProperties.txt.
        let ranges: [(u32, u32); 17] = [
            (0xAD, 0xAD),
            (0x34F, 0x34F),
            (0x61C, 0x61C),
            (0x115F, 0x1160),
            (0x17B4, 0x17B5),
            (0x180B, 0x180F),
            (0x200B, 0x200F),
            (0x202A, 0x202E),
            (0x2060, 0x206F),
            (0x3164, 0x3164),
            (0xFE00, 0xFE0F),
            (0xFEFF, 0xFEFF),
            (0xFFA0, 0xFFA0),
            (0xFFF0, 0xFFF8),
            (0x1BCA0, 0x1BCA3),
            (0x1D173, 0x1D17A),
            (0xE0000, 0xE0FFF),
        ];
        let all = ranges.into_iter().flat_map(|(from, to)| from..=to);
        for c in all.filter_map(char::from_u32) {
            assert!(is_odd(c), "{c:?}");
        }
    }

    #[test]
    fn escaped_text_shows_what_is_there() {
        assert_eq!(escaped("a\n\u{3164}\\'\"é"), r#"a\n\u{3164}\\'"é"#);
        assert_eq!(escaped("\u{301}x"), r"\u{301}x");
        assert_eq!(escaped("x\u{301}"), "x\u{301}");
        assert_eq!(
            escaped_json("{\"a\":\"\u{2028}\u{e0041}ü\"}\n"),
            "{\"a\":\"\\u2028\\udb40\\udc41ü\"}\n"
        );
    }

    #[cfg(feature = "cli")]
    #[test]
    fn only_line_feeds_and_colours_of_a_renderer_reach_a_terminal() {
        let hostile = "a\\\t\n\r\u{1b}]0;x\u{7}\u{9b}31m\u{202e}\u{2028}é";
        let shown = r"a\\t
\r\u{1b}]0;x\u{7}\u{9b}31m\u{202e}\u{2028}é";
        assert_eq!(printable(hostile), shown);
        assert_eq!(printable_in_colours(hostile), shown);
        let colours = "\u{1b}[1m\u{1b}[38;5;9merror\u{1b}[0m: ";
        assert_eq!(printable_in_colours(colours), colours);
        assert_eq!(
            printable(colours),
            r"\u{1b}[1m\u{1b}[38;5;9merror\u{1b}[0m: "
        );
        for sequence in [
            "[2J",
            "[",
            "[31",
            "[?25l",
            "[1;m2J\u{1b}[3J",
            "]8;;http://x",
            "[31;\u{1b}m",
        ] {
            let text = format!("\u{1b}{sequence}");
            let left = printable_in_colours(&text).replace("\u{1b}[1;m", "");
            assert!(!left.contains('\u{1b}'), "{sequence:?}: {left:?}");
        }
    }
}
