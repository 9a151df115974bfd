//! One line of a ledger, read strictly: bytes in, borrowed fields out, no values built.
//!
//! Only what `entry` can write is accepted: the head in its order, no white space, no
//! float, no control character, no name twice. Verification reads every byte of a ledger through this,
//! so a line costs one pass and no allocation.

#![forbid(unsafe_code)]

use data_encoding::HEXLOWER;

use super::line::{Kind, MAX_INTEGER, MAX_LINE_BYTES, RunId};
use super::merkle::Hash;
use super::names::{NameAt, Names, Object};

/// Values nested deeper than this are refused. The writer cuts earlier.
pub const MAX_DEPTH: usize = 64;

/// Reads lines; keeps the places of the fields of the last one, so that reading allocates nothing.
#[derive(Debug, Default)]
pub struct Decoder {
    fields: Vec<Span>,
    names: Names,
}

/// Where one field of a body stands, in bytes of the line, quotes of the key excluded.
#[derive(Clone, Copy, Debug)]
struct Span {
    key: NameAt,
    value: (usize, usize),
}

/// One line that could be read.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Line<'a> {
    /// Its place in the ledger, from 0.
    pub seq: u64,
    /// SHA-256 of the line before it; zeros for the first.
    pub prev: Hash,
    /// When it was written, by the clock on the wall: RFC 3339, microseconds, `Z`.
    pub ts: &'a str,
    /// Microseconds since the machine was started.
    pub mono_us: u64,
    /// Which start of the machine that was.
    pub boot: &'a str,
    /// Kind of the entry.
    pub kind: Kind,
    /// The run it belongs to.
    pub run: Option<RunId>,
    text: &'a str,
    fields: &'a [Span],
}

impl<'a> Line<'a> {
    /// The JSON of a field of the body.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&'a str> {
        self.fields()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value)
    }

    /// The text of a field of the body, if it is a string without escapes.
    #[must_use]
    pub fn plain(&self, name: &str) -> Option<&'a str> {
        let text = self.field(name)?.strip_prefix('"')?.strip_suffix('"')?;
        (!text.contains('\\')).then_some(text)
    }

    /// All fields of the body in their order: name (as it stands, escapes and all) and JSON.
    pub fn fields(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let text = self.text;
        self.fields.iter().filter_map(move |span| {
            Some((
                text.get(span.key.0..span.key.1)?,
                text.get(span.value.0..span.value.1)?,
            ))
        })
    }

    /// The whole line, without its `\n`.
    #[must_use]
    pub fn text(&self) -> &'a str {
        self.text
    }
}

/// A line that no ledger of this version writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {at} of the line")]
#[non_exhaustive]
pub struct Malformed {
    /// Offset in the line, in bytes.
    pub at: usize,
    /// Description of the mistake.
    pub what: &'static str,
}

impl Malformed {
    fn twice(at: usize) -> Malformed {
        Malformed {
            at,
            what: "name used twice",
        }
    }
}

impl Decoder {
    /// A decoder.
    #[must_use]
    pub fn new() -> Decoder {
        Decoder::default()
    }

    /// Reads one line, its `\n` included.
    ///
    /// ```
    /// use lictor::log::{Kind, decode::Decoder};
    ///
    /// let line = format!(
    ///     r#"{{"v":1,"seq":7,"prev":"{}","ts":"2026-11-22T23:00:00.123456Z","mono_us":5,"boot":"b","type":"gap","why":"full"}}"#,
    ///     "0".repeat(64),
    /// ) + "\n";
    /// let mut decoder = Decoder::new();
    /// let entry = decoder.decode(line.as_bytes())?;
    /// assert_eq!((entry.seq, entry.kind, entry.plain("why")), (7, Kind::Gap, Some("full")));
    ///
    /// let error = decoder.decode(line.replace("full", "fu\tll").as_bytes()).unwrap_err();
    /// assert_eq!(error.what, "control character");
    /// # Ok::<(), lictor::log::decode::Malformed>(())
    /// ```
    ///
    /// # Errors
    /// Where the line first differs from everything the writer can write.
    pub fn decode<'a>(&'a mut self, line: &'a [u8]) -> Result<Line<'a>, Malformed> {
        if line.len() > MAX_LINE_BYTES {
            return Err(Malformed {
                at: MAX_LINE_BYTES,
                what: "line too long",
            });
        }
        let text = match std::str::from_utf8(line) {
            Ok(text) => text,
            Err(error) => {
                return Err(Malformed {
                    at: error.valid_up_to(),
                    what: "not UTF-8",
                });
            }
        };
        self.fields.clear();
        let mut reader = Reader {
            line,
            at: 0,
            escapes: 0,
            names: &mut self.names,
        };
        reader.exactly(b"{\"v\":", "not an entry")?;
        let version_at = reader.at;
        if reader.integer()? != 1 {
            return Err(Malformed {
                at: version_at,
                what: "unknown version",
            });
        }
        reader.exactly(b",\"seq\":", "no `seq`")?;
        let seq = reader.integer()?;
        reader.exactly(b",\"prev\":\"", "no `prev`")?;
        let prev = reader.hex::<32>(64)?;
        reader.exactly(b"\",\"ts\":\"", "no `ts`")?;
        let ts = reader.timestamp()?;
        reader.exactly(b"\",\"mono_us\":", "no `mono_us`")?;
        let mono_us = reader.integer()?;
        reader.exactly(b",\"boot\":\"", "no `boot`")?;
        let boot = reader.word(64)?;
        reader.exactly(b"\",\"type\":\"", "no `type`")?;
        let kind_at = reader.at;
        let kind = reader.word(16)?;
        let kind = line.get(kind.0..kind.1).and_then(Kind::from_name);
        let kind = kind.ok_or(Malformed {
            at: kind_at,
            what: "unknown type",
        })?;
        reader.exactly(b"\"", "unknown type")?;
        let run = if reader.rest().starts_with(b",\"run\":") {
            reader.exactly(b",\"run\":\"", "no run")?;
            let run = RunId(reader.hex::<16>(32)?);
            reader.exactly(b"\"", "no run")?;
            Some(run)
        } else {
            None
        };
        let mut object = reader.names.line();
        while reader.peek() == Some(b',') {
            reader.step();
            self.fields.push(reader.field(&mut object)?);
        }
        reader.end(&object)?;
        reader.exactly(b"}", "neither `,` nor `}`")?;
        if reader.rest() != b"\n" {
            return Err(Malformed {
                at: reader.at,
                what: "no line feed after the entry",
            });
        }
        let slice = |(from, to): (usize, usize)| text.get(from..to).unwrap_or("");
        Ok(Line {
            seq,
            prev,
            ts: slice(ts),
            mono_us,
            boot: slice(boot),
            kind,
            run,
            text: text.strip_suffix('\n').unwrap_or(text),
            fields: &self.fields,
        })
    }
}

/// A place in a line.
struct Reader<'a> {
    line: &'a [u8],
    // INVARIANT: at most `line.len()`, so adding a few bytes to it cannot overflow.
    at: usize,
    /// Number of escapes before it.
    escapes: usize,
    names: &'a mut Names,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a [u8] {
        self.line.get(self.at..).unwrap_or(&[])
    }

    fn peek(&self) -> Option<u8> {
        self.line.get(self.at).copied()
    }

    fn step(&mut self) {
        self.skip(1);
    }

    fn skip(&mut self, bytes: usize) {
        self.at = self.at.saturating_add(bytes).min(self.line.len());
    }

    fn fail<T>(&self, what: &'static str) -> Result<T, Malformed> {
        Err(Malformed { at: self.at, what })
    }

    // Where the text is known, so is its length: comparing it then takes an instruction or two instead of a call.
    #[inline(always)]
    fn exactly(&mut self, text: &[u8], what: &'static str) -> Result<(), Malformed> {
        if self.rest().starts_with(text) {
            self.skip(text.len());
            return Ok(());
        }
        self.differs(text, what)
    }

    /// The byte that differs is where somebody has to look.
    #[cold]
    fn differs(&mut self, text: &[u8], what: &'static str) -> Result<(), Malformed> {
        let same = self
            .rest()
            .iter()
            .zip(text)
            .take_while(|(a, b)| a == b)
            .count();
        self.skip(same);
        self.fail(what)
    }

    /// Digits without sign and without leading zeros, at most [`MAX_INTEGER`].
    fn integer(&mut self) -> Result<u64, Malformed> {
        let start = self.at;
        let mut number = 0_u64;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            if self.at > start && number == 0 {
                return self.fail("leading zero");
            }
            number = number
                .saturating_mul(10)
                .saturating_add(u64::from(digit.wrapping_sub(b'0')));
            if number > MAX_INTEGER {
                return self.fail("integer too large");
            }
            self.step();
        }
        if self.at == start {
            self.fail("no integer")
        } else {
            Ok(number)
        }
    }

    fn hex<const N: usize>(&mut self, digits: usize) -> Result<[u8; N], Malformed> {
        let mut bytes = [0; N];
        let text = self.rest().get(..digits).unwrap_or(self.rest());
        if text.len() == digits && HEXLOWER.decode_mut(text, &mut bytes).is_ok() {
            self.skip(digits);
            return Ok(bytes);
        }
        let good = text
            .iter()
            .take_while(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
            .count();
        self.skip(good);
        self.fail("not a lower-case hex digit")
    }

    /// `2026-11-22T23:00:00.123456Z`
    fn timestamp(&mut self) -> Result<(usize, usize), Malformed> {
        let start = self.at;
        for shape in b"dddd-dd-ddTdd:dd:dd.ddddddZ" {
            let fits = match (shape, self.peek()) {
                (b'd', Some(byte)) => byte.is_ascii_digit(),
                (shape, byte) => byte == Some(*shape),
            };
            if !fits {
                return self.fail("not a time in UTC with microseconds");
            }
            self.step();
        }
        Ok((start, self.at))
    }

    /// Letters, digits, `-`, `_` and `.`.
    fn word(&mut self, longest: usize) -> Result<(usize, usize), Malformed> {
        let start = self.at;
        let good = |b: &&u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        let length = self.rest().iter().take_while(good).count();
        if length == 0 || length > longest {
            return self.fail("not a word");
        }
        self.skip(length);
        Ok((start, self.at))
    }

    fn field(&mut self, object: &mut Object) -> Result<Span, Malformed> {
        let (key, is_escaped) = self.name(object)?;
        // What the line itself has is asked for by name, as it stands.
        if is_escaped {
            return Err(Malformed {
                at: key.0,
                what: "name with an escape",
            });
        }
        self.exactly(b":", "no `:` after a name")?;
        let start = self.at;
        self.value(0)?;
        Ok(Span {
            key,
            value: (start, self.at),
        })
    }

    /// The next name of `object`, and whether it could be written otherwise too.
    fn name(&mut self, object: &mut Object) -> Result<(NameAt, bool), Malformed> {
        let escapes = self.escapes;
        let span = self.string()?;
        let is_escaped = self.escapes > escapes;
        let added = self.names.add(object, self.line, span, is_escaped);
        added.map_err(Malformed::twice).map(|()| (span, is_escaped))
    }

    fn end(&mut self, object: &Object) -> Result<(), Malformed> {
        let ended = self.names.end(object, self.line);
        ended.map_err(Malformed::twice)
    }

    fn value(&mut self, depth: usize) -> Result<(), Malformed> {
        if depth > MAX_DEPTH {
            return self.fail("nested too deeply");
        }
        let inner = depth.saturating_add(1);
        match self.peek() {
            Some(b'"') => self.string().map(|_| ()),
            Some(b'0'..=b'9') => self.number(),
            Some(b'-') => {
                self.step();
                let at = self.at;
                self.number()?;
                // -0 is a float in some readers.
                if self.line.get(at) == Some(&b'0') {
                    self.fail("negative zero")
                } else {
                    Ok(())
                }
            }
            Some(b'n') => self.exactly(b"null", "not a value"),
            Some(b't') => self.exactly(b"true", "not a value"),
            Some(b'f') => self.exactly(b"false", "not a value"),
            Some(b'[') => {
                self.step();
                if self.peek() == Some(b']') {
                    self.step();
                    return Ok(());
                }
                loop {
                    self.value(inner)?;
                    if self.ends(b']')? {
                        return Ok(());
                    }
                }
            }
            Some(b'{') => {
                self.step();
                if self.peek() == Some(b'}') {
                    self.step();
                    return Ok(());
                }
                let mut object = self.names.object();
                loop {
                    self.name(&mut object)?;
                    self.exactly(b":", "no `:` after a name")?;
                    self.value(inner)?;
                    if self.ends(b'}')? {
                        return self.end(&object);
                    }
                }
            }
            _ => self.fail("not a value"),
        }
    }

    /// After a member: whether the closing bracket stands here, or a comma.
    fn ends(&mut self, close: u8) -> Result<bool, Malformed> {
        match self.peek() {
            Some(b',') => {
                self.step();
                Ok(false)
            }
            Some(byte) if byte == close => {
                self.step();
                Ok(true)
            }
            _ => self.fail("neither `,` nor a closing bracket"),
        }
    }

    fn number(&mut self) -> Result<(), Malformed> {
        self.integer()?;
        match self.peek() {
            Some(b'.' | b'e' | b'E') => self.fail("not an integer"),
            _ => Ok(()),
        }
    }

    /// A string; returns where its text stands, quotes excluded.
    fn string(&mut self) -> Result<(usize, usize), Malformed> {
        self.exactly(b"\"", "no string")?;
        let start = self.at;
        loop {
            self.skip(plain_prefix(self.rest()));
            match self.peek() {
                Some(b'"') => {
                    let end = self.at;
                    self.step();
                    return Ok((start, end));
                }
                Some(b'\\') => self.escape()?,
                Some(0xc2) => {
                    // U+0080 to U+009F: control characters of two bytes.
                    if matches!(self.rest().get(1), Some(0x80..=0x9f)) {
                        return self.fail("control character");
                    }
                    self.skip(2);
                }
                // The line is UTF-8, so what follows are its continuation bytes.
                Some(0x80..) => self.step(),
                Some(_) => return self.fail("control character"),
                None => return self.fail("string without end"),
            }
        }
    }

    fn escape(&mut self) -> Result<(), Malformed> {
        self.escapes = self.escapes.saturating_add(1);
        match self.rest().get(1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.skip(2);
                Ok(())
            }
            Some(b'u') => {
                let unit = self.unit()?;
                match unit {
                    0xd800..=0xdbff => {
                        let low = self.unit()?;
                        if (0xdc00..=0xdfff).contains(&low) {
                            Ok(())
                        } else {
                            self.fail("half a surrogate pair")
                        }
                    }
                    0xdc00..=0xdfff => self.fail("half a surrogate pair"),
                    _ => Ok(()),
                }
            }
            _ => self.fail("not an escape"),
        }
    }

    /// `\uXXXX`
    fn unit(&mut self) -> Result<u16, Malformed> {
        let unit = match self.rest().get(..6) {
            Some([b'\\', b'u', digits @ ..]) if digits.iter().all(u8::is_ascii_hexdigit) => {
                std::str::from_utf8(digits)
                    .ok()
                    .and_then(|digits| u16::from_str_radix(digits, 16).ok())
            }
            _ => None,
        };
        match unit {
            Some(unit) => {
                self.skip(6);
                Ok(unit)
            }
            None => self.fail("not an escape"),
        }
    }
}

/// Number of bytes at the beginning that are printable ASCII other than `"` and `\`.
fn plain_prefix(bytes: &[u8]) -> usize {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut length = 0_usize;
    for word in words {
        match plain_bytes(u64::from_le_bytes(*word)) {
            8 => length = length.saturating_add(8),
            some => return length.saturating_add(some),
        }
    }
    let plain = |b: &&u8| matches!(b, 0x20..=0x7e) && !matches!(b, b'"' | b'\\');
    length.saturating_add(rest.iter().take_while(plain).count())
}

/// Number of bytes at the beginning of eight, the first in the lowest bits, that are printable ASCII other
/// than `"` and `\`; eight at a time, because most of a ledger is text.
fn plain_bytes(word: u64) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    // The usual "has a zero byte" test. A byte above the first one may be found in error, since what is
    // borrowed goes up; the first one is right, and only that is asked for.
    let has_zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
    let repeated = |byte: u8| ONES.wrapping_mul(u64::from(byte));
    let below_space = word.wrapping_sub(repeated(0x20)) & !word & HIGH;
    let found = below_space
        | has_zero(word ^ repeated(b'"'))
        | has_zero(word ^ repeated(b'\\'))
        | has_zero(word ^ repeated(0x7f))
        | (word & HIGH);
    usize::try_from(found.trailing_zeros() >> 3).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    use super::*;
    use crate::log::hash::{hex, sha256};
    use crate::log::line::{Draft, HEAD_NAMES, Plain, Stamp, prepare, text_value, write_line};

    fn line(draft: &Draft) -> Vec<u8> {
        let mut out = Vec::new();
        let stamp = Stamp {
            ts: "2026-11-22T23:00:00.123456Z",
            mono_us: 7,
            boot: "b-1",
        };
        write_line(
            &mut out,
            41,
            &[0xab; 32],
            &stamp,
            &prepare(draft, &Plain).unwrap(),
        );
        out
    }

    fn read_back(draft: &Draft) -> Map<String, Value> {
        let bytes = line(draft);
        let mut decoder = Decoder::new();
        let read = decoder.decode(&bytes).unwrap();
        assert_eq!(
            (read.seq, read.prev, read.kind, read.run),
            (41, [0xab; 32], draft.kind, draft.run)
        );
        assert!(bytes.len() <= MAX_LINE_BYTES);
        let text = std::str::from_utf8(&bytes).unwrap();
        assert!(
            !text.trim_end_matches('\n').contains(char::is_control),
            "{text}"
        );
        let value: Value = serde_json::from_str(text).unwrap();
        let fields = read.fields().map(|(name, json)| {
            let name = serde_json::from_str::<String>(&format!("\"{name}\"")).unwrap();
            assert_eq!(value[&name], serde_json::from_str::<Value>(json).unwrap());
            (name, value.clone())
        });
        assert_eq!(fields.count(), draft.body.len());
        value
            .as_object()
            .unwrap()
            .iter()
            .skip(7 + usize::from(draft.run.is_some()))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    }

    fn json_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (-9_007_199_254_740_991_i64..=9_007_199_254_740_991).prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::vec((any::<String>(), inner), 0..6)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn whatever_is_recorded_is_read_back_as_it_was(
            fields in prop::collection::vec(("[a-z]{1,12}", json_value()), 0..8),
            run in any::<Option<[u8; 16]>>(),
        ) {
            let mut draft = Draft::new(Kind::Observed);
            draft.run = run.map(RunId);
            let heads = |key: &str| HEAD_NAMES.contains(&key);
            draft.body = fields.into_iter().filter(|(key, _)| !heads(key)).collect();
            prop_assert_eq!(read_back(&draft), draft.body);
        }

        #[test]
        fn all_bytes_are_recorded_and_come_back(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let back = &read_back(&Draft::new(Kind::Observed).with("path", text_value(&bytes)))["path"];
            let found = match back.as_str() {
                Some(text) => text.as_bytes().to_vec(),
                None => data_encoding::BASE64.decode(back["b64"].as_str().unwrap().as_bytes()).unwrap(),
            };
            prop_assert_eq!(found, bytes);
        }

        #[test]
        fn what_is_accepted_is_json_to_others_too(
            value in json_value(),
            at in any::<prop::sample::Index>(),
            with in prop_oneof![any::<u8>(), prop::sample::select(b"{}[]\",:\\/0129-eEn\x7f\r\n u".to_vec())],
        ) {
            let mut bytes = line(&Draft::new(Kind::Observed).with("value", value));
            let at = at.index(bytes.len());
            bytes[at] = with;
            let mut decoder = Decoder::new();
            if let Ok(read) = decoder.decode(&bytes) {
                let value: Value = serde_json::from_slice(&bytes).unwrap();
                prop_assert_eq!(value["seq"].as_u64(), Some(read.seq));
                prop_assert_eq!(value["type"].as_str(), Some(read.kind.name()));
            }
        }
    }

    #[test]
    fn lines_never_grow_too_long_and_say_what_was_cut() {
        let huge = "ä\u{1}".repeat(100_000);
        let argv: Vec<String> = (0..20_000).map(|n| format!("argument {n}")).collect();
        let draft = Draft::new(Kind::Observed)
            .with("text", huge.clone())
            .with("argv", argv.clone())
            .with("n", 1);
        let back = read_back(&draft);
        assert_eq!(back["text"]["bytes"], json!(huge.len()));
        let sha = |bytes: &[u8]| hex(&sha256(bytes));
        assert_eq!(back["text"]["sha256"], json!(sha(huge.as_bytes())));
        let json = serde_json::to_string(&argv).unwrap();
        assert_eq!(
            (&back["argv"]["sha256"], &back["n"]),
            (&json!(sha(json.as_bytes())), &json!(1))
        );
        let many = (0..2000).fold(Draft::new(Kind::Observed), |draft, n| {
            draft.with(&format!("field{n}"), "x".repeat(40))
        });
        assert!(line(&many).len() <= MAX_LINE_BYTES);
        let deep = (0..200).fold(json!(1), |value, _| json!([value]));
        assert!(
            Decoder::new()
                .decode(&line(&Draft::new(Kind::Observed).with("deep", deep)))
                .is_ok()
        );
    }

    #[test]
    fn numbers_that_readers_disagree_about_become_text() {
        let draft = Draft::new(Kind::Observed)
            .with("big", u64::MAX)
            .with("small", i64::MIN)
            .with("float", 1.5)
            .with("edge", MAX_INTEGER);
        let back = read_back(&draft);
        assert_eq!(back["big"], json!("18446744073709551615"));
        assert_eq!(back["small"], json!("-9223372036854775808"));
        assert_eq!(
            (&back["float"], &back["edge"]),
            (&json!("1.5"), &json!(MAX_INTEGER))
        );
    }

    proptest! {
        #[test]
        fn plain_text_ends_at_the_first_byte_that_is_not_plain(
            bytes in prop::collection::vec(
                prop_oneof![8 => 0x20_u8..0x7f, 1 => any::<u8>(), 1 => prop::sample::select(b"\x00\x1f\x20\x21\"#[\\]\x7e\x7f\x80".to_vec())],
                0..40,
            ),
        ) {
            let one_by_one = bytes
                .iter()
                .take_while(|byte| matches!(byte, 0x20..=0x7e) && !b"\"\\".contains(byte))
                .count();
            prop_assert_eq!(plain_prefix(&bytes), one_by_one);
        }
    }

    #[track_caller]
    fn check(from: &str, to: &str, what: &str) {
        let good = String::from_utf8(line(
            &Draft::new(Kind::Gap)
                .with("a", "text")
                .with("b", json!([1, {"c": null}])),
        ))
        .unwrap();
        assert!(good.contains(from), "{good}");
        let error = Decoder::new()
            .decode(good.replacen(from, to, 1).as_bytes())
            .unwrap_err();
        assert_eq!(error.what, what, "{from} -> {to}");
    }

    #[test]
    fn what_the_writer_never_writes_is_refused_and_named() {
        check("\"v\":1", "\"v\":2", "unknown version");
        check("\"v\":1", "\"v\": 1", "no integer");
        check("{\"v\"", "{\"x\"", "not an entry");
        check("\"seq\":41", "\"seq\":041", "leading zero");
        check("\"seq\":41", "\"seq\":-41", "no integer");
        check(
            "\"seq\":41",
            "\"seq\":9007199254740992",
            "integer too large",
        );
        check(
            "\"prev\":\"ab",
            "\"prev\":\"AB",
            "not a lower-case hex digit",
        );
        check("123456Z", "123456+", "not a time in UTC with microseconds");
        check("\"type\":\"gap\"", "\"type\":\"grap\"", "unknown type");
        check("\"a\":", "\"b\":", "name used twice");
        check("\"a\":", "\"seq\":", "name used twice");
        check("{\"c\":null}", "{\"c\":1,\"c\":2}", "name used twice");
        check("{\"c\":null}", "{\"c\":1,\"\\u0063\":2}", "name used twice");
        check("\"a\":", "\"\\u0062\":", "name with an escape");
        check("[1,", "[1.0,", "not an integer");
        check("[1,", "[1e3,", "not an integer");
        check("[1,", "[-0,", "negative zero");
        check("[1,", "[01,", "leading zero");
        check("[1,", "[1,,", "not a value");
        check("[1,", "[1 ,", "neither `,` nor a closing bracket");
        check("null", "nul", "not a value");
        check("null", "NaN", "not a value");
        check("text", "te\txt", "control character");
        check("text", "te\u{7f}xt", "control character");
        check("text", "te\u{85}xt", "control character");
        check("text", "te\\xt", "not an escape");
        check("text", "te\\ud800xt", "not an escape");
        check("text", "te\\ud800\\u0041xt", "half a surrogate pair");
        check("text", "te\\udc00xt", "half a surrogate pair");
        check("}\n", "}", "no line feed after the entry");
        check("}\n", "}\r\n", "no line feed after the entry");
        check("}\n", "}\n\n", "no line feed after the entry");
        check("}]}\n", "}]\n", "neither `,` nor `}`");
        check("text", &"x".repeat(70_000), "line too long");
        let nested = format!("{}1{}", "[".repeat(100), "]".repeat(100));
        check("null", &nested, "nested too deeply");
    }
}
