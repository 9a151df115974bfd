//! Which kinds of characters a text holds at all, seen in one pass over its bytes.
//!
//! Most paths are letters, digits, `_`, `-`, `.` and `/`. A rule whose characters do not occur is
//! skipped without looking at the text again.

#![forbid(unsafe_code)]

/// The kinds of bytes that occur in a text.
#[derive(Clone, Copy, Default)]
pub(super) struct Marks(u8);

impl Marks {
    /// C0 or DEL.
    pub(super) const CONTROL: Marks = Marks(1);
    /// Any byte of a character that is not ASCII.
    pub(super) const NOT_ASCII: Marks = Marks(1 << 1);
    /// `\`.
    pub(super) const BACKSLASH: Marks = Marks(1 << 2);
    /// `:`.
    pub(super) const COLON: Marks = Marks(1 << 3);
    /// `%`.
    pub(super) const PERCENT: Marks = Marks(1 << 4);
    /// `$`.
    pub(super) const DOLLAR: Marks = Marks(1 << 5);
    /// `~`.
    pub(super) const TILDE: Marks = Marks(1 << 6);
    /// `< > " | ? * { }`.
    pub(super) const RESERVED: Marks = Marks(1 << 7);

    /// The marks of a text.
    pub(super) fn of(text: &str) -> Marks {
        Marks(text.bytes().fold(0, |marks, byte| marks | mark(byte)))
    }

    /// Returns true if any of `kinds` occurs.
    pub(super) fn has(self, kinds: Marks) -> bool {
        self.0 & kinds.0 != 0
    }

    /// Either kind.
    pub(super) const fn or(self, other: Marks) -> Marks {
        Marks(self.0 | other.0)
    }
}

fn mark(byte: u8) -> u8 {
    let Marks(mark) = match byte {
        0..0x20 | 0x7F => Marks::CONTROL,
        b'\\' => Marks::BACKSLASH,
        b':' => Marks::COLON,
        b'%' => Marks::PERCENT,
        b'$' => Marks::DOLLAR,
        b'~' => Marks::TILDE,
        b'<' | b'>' | b'"' | b'|' | b'?' | b'*' | b'{' | b'}' => Marks::RESERVED,
        0x80.. => Marks::NOT_ASCII,
        _ => Marks(0),
    };
    mark
}
