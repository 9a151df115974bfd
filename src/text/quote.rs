//! One word, quoted for a shell.

#![forbid(unsafe_code)]

use super::hidden::is_odd;

/// A word as a POSIX shell has to be given it, as it is where that is plain. Odd characters and bytes that are
/// not UTF-8 are shown by their octal numbers in `$'…'`, which bash, zsh, ksh and POSIX 2024 read.
pub(crate) fn shell(word: &[u8]) -> String {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-./=:,@%+".contains(byte);
    match std::str::from_utf8(word) {
        // zsh replaces `=name` by the path of a program.
        Ok(text) if word.iter().all(is_plain) && !text.is_empty() && !text.starts_with('=') => {
            text.to_owned()
        }
        Ok(text) if !text.contains(is_odd) => format!("'{}'", text.replace('\'', r"'\''")),
        _ => by_numbers(word),
    }
}

fn by_numbers(word: &[u8]) -> String {
    let mut out = "$'".to_owned();
    let mut put = |byte: u8| match byte {
        b'\'' | b'\\' => {
            out.push('\\');
            out.push(char::from(byte));
        }
        0x20..=0x7e => out.push(char::from(byte)),
        // Three digits, so that a digit behind them is not read as one more.
        _ => out.push_str(&format!("\\{byte:03o}")),
    };
    word.iter().copied().for_each(&mut put);
    out.push('\'');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_quoted_if_a_shell_would_read_it_otherwise() {
        for (word, quoted) in [
            (&b"runtime/tests/a.py"[..], "runtime/tests/a.py"),
            (b"", "''"),
            (b"it's", r"'it'\''s'"),
            (b"a\"b\\", "'a\"b\\'"),
            (b"$HOME `id`", "'$HOME `id`'"),
            (b"~", "'~'"),
            (b"=ls", "'=ls'"),
            (b"a=b", "a=b"),
            (b"a\xff\n1'\\", r"$'a\377\0121\'\\'"),
            ("ü".as_bytes(), "'ü'"),
            ("a\u{3164}".as_bytes(), r"$'a\343\205\244'"),
        ] {
            assert_eq!(shell(word), quoted);
        }
    }
}
