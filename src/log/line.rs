//! Entries: the exact bytes of one line of the ledger.
//!
//! In comes a [`Draft`], what somebody wants recorded; out comes one line of JSON that ends in `\n`,
//! is at most [`MAX_LINE_BYTES`] long and holds no control character, whatever the draft contained.
//! The way back, strict and without building values, is in [`decode`](super::decode).
//!
//! Nothing that can be asked for makes recording fail: numbers that JSON readers disagree about become
//! text, and what is too long is cut, with its length and digest in its place.

#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use data_encoding::{BASE64, HEXLOWER};
use serde_json::{Map, Value, json};

use super::hash::{hex, sha256};
use super::merkle::Hash;
use crate::text::is_odd;

/// The longest line, `\n` included, in bytes. One less than 64 KiB, so that a length fits 16 bits, as
/// the entry bundles of C2SP tlog-tiles require.
pub const MAX_LINE_BYTES: usize = 65_535;

/// The largest integer written, 2^53 − 1: beyond it, readers that use doubles disagree.
pub const MAX_INTEGER: u64 = (1 << 53) - 1;

/// Bytes kept for what comes before a body and behind it. The longest possible head is 272 bytes, and
/// [`TAIL_NAMES`] with what they name take 105.
const HEAD_BYTES: usize = 512;

/// Texts longer than this are cut, in bytes.
const MAX_TEXT_BYTES: usize = 8 * 1024;

/// Bytes shown of a text that was cut.
const SHOWN_TEXT_BYTES: usize = 4 * 1024;

/// Bytes shown of the JSON of a value that was cut because its line was too long.
const SHOWN_JSON_BYTES: usize = 128;

/// Values nested deeper than this are cut. The reader accepts [`super::decode::MAX_DEPTH`].
const MAX_DEPTH: usize = 32;

/// The names that a body must not use: they come first in every line.
pub const HEAD_NAMES: [&str; 8] = ["v", "seq", "prev", "ts", "mono_us", "boot", "type", "run"];

/// The names that the ledger itself puts behind a body: how far the clock went back, an outcome that came after its
/// run was given up, and the code of whoever wrote the line.
pub const TAIL_NAMES: [&str; 3] = ["clock_back_us", "after_lost", "mac"];

/// Kind of an entry. The name is the entry's `type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// First line of each file: origin, verification key, predecessor and its torn bytes.
    Segment,
    /// A policy that decides from here on: its digest, path and files, and what lint says of it.
    Policy,
    /// A request, and the answer.
    Decision,
    /// Something was approved: who, how, until when, for exactly what.
    Approval,
    /// A run was let go.
    Start,
    /// A run was stopped: why, with which signals, and its process tree.
    Stop,
    /// The end of a run.
    Outcome,
    /// A signed tree head of all lines before it.
    Checkpoint,
    /// A checkpoint was given away to be kept elsewhere.
    Anchor,
    /// Something could not be recorded.
    Gap,
    /// A grant was made or revoked.
    Grant,
    /// A hook saw a call end, or what would have been denied.
    Observed,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Kind; 12] = [
        Kind::Segment,
        Kind::Policy,
        Kind::Decision,
        Kind::Approval,
        Kind::Start,
        Kind::Stop,
        Kind::Outcome,
        Kind::Checkpoint,
        Kind::Anchor,
        Kind::Gap,
        Kind::Grant,
        Kind::Observed,
    ];

    /// The text in `type`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::Segment => "segment",
            Kind::Policy => "policy",
            Kind::Decision => "decision",
            Kind::Approval => "approval",
            Kind::Start => "start",
            Kind::Stop => "stop",
            Kind::Outcome => "outcome",
            Kind::Checkpoint => "checkpoint",
            Kind::Anchor => "anchor",
            Kind::Gap => "gap",
            Kind::Grant => "grant",
            Kind::Observed => "observed",
        }
    }

    /// The kind with that name.
    #[must_use]
    pub fn from_name(name: &[u8]) -> Option<Kind> {
        Kind::ALL
            .into_iter()
            .find(|kind| kind.name().as_bytes() == name)
    }
}

/// Names one run: 128 random bits, written as 32 hex digits.
///
/// ```
/// use lictor::log::RunId;
///
/// let run: RunId = "00112233445566778899aabbccddeeff".parse()?;
/// assert_eq!(run.to_string(), "00112233445566778899aabbccddeeff");
/// assert!("00112233445566778899AABBCCDDEEFF".parse::<RunId>().is_err());
/// # Ok::<(), lictor::log::NotARunId>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(pub(super) [u8; 16]);

impl RunId {
    /// A new id from the system's random numbers.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn random() -> Result<RunId, std::io::Error> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
        Ok(RunId(bytes))
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RunId({self})")
    }
}

impl FromStr for RunId {
    type Err = NotARunId;

    fn from_str(text: &str) -> Result<RunId, NotARunId> {
        let mut bytes = [0; 16];
        if text.len() != 32 {
            return Err(NotARunId);
        }
        match HEXLOWER.decode_mut(text.as_bytes(), &mut bytes) {
            Ok(_) => Ok(RunId(bytes)),
            Err(_) => Err(NotARunId),
        }
    }
}

/// The text is not 32 lower-case hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a run is named by 32 lower-case hex digits")]
#[non_exhaustive]
pub struct NotARunId;

/// An entry to be recorded: the kind, the run it belongs to, and the body in the order of its keys.
///
/// ```
/// use lictor::log::{Draft, Kind};
///
/// let draft = Draft::new(Kind::Observed).with("what", "a call ended").with("code", 0);
/// assert_eq!(draft.body.len(), 2);
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Draft {
    /// Its kind.
    pub kind: Kind,
    /// The run it belongs to.
    pub run: Option<RunId>,
    /// Everything else. None of [`HEAD_NAMES`] may be a key.
    pub body: Map<String, Value>,
    /// Claims that it uses up, for a [`Follower`](super::Follower) that counts. The body has to say it, too.
    pub claims: Vec<String>,
}

impl Draft {
    /// A draft with an empty body.
    #[must_use]
    pub fn new(kind: Kind) -> Draft {
        Draft {
            kind,
            run: None,
            body: Map::new(),
            claims: Vec::new(),
        }
    }

    /// Makes it belong to `run`.
    #[must_use]
    pub fn of(mut self, run: RunId) -> Draft {
        self.run = Some(run);
        self
    }

    /// Adds a field.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Draft {
        self.body.insert(key.to_owned(), value.into());
        self
    }
}

/// Bytes as an entry shows them: text where they are UTF-8, else `{"b64": …}`.
///
/// ```
/// use lictor::log::text_value;
///
/// assert_eq!(text_value(b"a.py"), "a.py");
/// assert_eq!(text_value(b"\xff"), serde_json::json!({"b64": "/w=="}));
/// ```
#[must_use]
pub fn text_value(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => Value::String(text.to_owned()),
        Err(_) => json!({ "b64": BASE64.encode(bytes) }),
    }
}

/// A piece of a text that holds a secret.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Part<'t> {
    /// It stays.
    Plain(&'t str),
    /// Digest and length of what is replaced.
    Secret(Hash, usize),
}

/// Decides which texts of a draft are replaced by digests before they are written.
pub trait Cover {
    /// The text in pieces, if a secret is in it.
    fn parts<'t>(&self, text: &'t str) -> Option<Vec<Part<'t>>>;

    /// A key of an object, or what stands in its place.
    fn key<'t>(&self, key: &'t str) -> Cow<'t, str>;

    /// The replacement for `{"b64": …}`, if the bytes in it hold a secret.
    fn bytes_value(&self, map: &Map<String, Value>) -> Option<Part<'static>>;
}

/// Covers nothing: for what the log says itself. It holds no secrets, but keys and digests that may look like some.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "it has no state and gets none")]
pub struct Plain;

impl Cover for Plain {
    fn parts<'t>(&self, _text: &'t str) -> Option<Vec<Part<'t>>> {
        None
    }

    fn key<'t>(&self, key: &'t str) -> Cow<'t, str> {
        Cow::Borrowed(key)
    }

    fn bytes_value(&self, _map: &Map<String, Value>) -> Option<Part<'static>> {
        None
    }
}

/// A draft whose body is encoded, redacted and cut: all that needs neither the lock nor the place in the chain.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Prepared {
    /// Its kind.
    pub kind: Kind,
    /// The run it belongs to.
    pub run: Option<RunId>,
    /// Claims that it uses up.
    pub claims: Vec<String>,
    /// `,"key":value` for each field of the body.
    pub(super) tail: Vec<u8>,
}

/// Encodes the body of a draft.
///
/// # Errors
/// The body uses one of [`HEAD_NAMES`] or [`TAIL_NAMES`] or a name that is not plain ASCII.
pub(crate) fn prepare(draft: &Draft, cover: &dyn Cover) -> Result<Prepared, DraftError> {
    let mut fields = Vec::with_capacity(draft.body.len());
    for (key, value) in &draft.body {
        if HEAD_NAMES.contains(&key.as_str()) || TAIL_NAMES.contains(&key.as_str()) {
            return Err(DraftError::HeadName { key: key.clone() });
        }
        let plain = |b: u8| b.is_ascii_graphic() && b != b'"' && b != b'\\';
        if !key.bytes().all(plain) {
            return Err(DraftError::Name { key: key.clone() });
        }
        let mut name = Vec::with_capacity(key.len().saturating_add(2));
        write_text(&mut name, &cover.key(key));
        let mut text = Vec::new();
        write_value(&mut text, value, cover, 0);
        fields.push((name, text));
    }
    let room = MAX_LINE_BYTES.saturating_sub(HEAD_BYTES);
    cut_largest(&mut fields, room);
    let mut tail = Vec::with_capacity(length(&fields));
    for (name, text) in &fields {
        tail.push(b',');
        tail.extend_from_slice(name);
        tail.push(b':');
        tail.extend_from_slice(text);
    }
    if tail.len() > room {
        // Hundreds of fields, each too short to cut.
        let digest = cut_json(&tail);
        tail = b",\"body\":".to_vec();
        tail.extend_from_slice(&digest);
    }
    Ok(Prepared {
        kind: draft.kind,
        run: draft.run,
        claims: draft.claims.clone(),
        tail,
    })
}

/// A draft that no line can be made of. These are mistakes of the program, never of a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DraftError {
    /// The body uses a name that is the ledger's own.
    #[error("`{}` is not free for the body of an entry", key.escape_debug())]
    HeadName {
        /// The name.
        key: String,
    },
    /// A name would have to be escaped, and could then be written in several ways.
    #[error("`{}` cannot name a field of an entry", key.escape_debug())]
    Name {
        /// The name.
        key: String,
    },
}

/// Fields that the ledger itself puts before every body.
#[derive(Clone, Debug)]
pub(crate) struct Stamp<'a> {
    /// RFC 3339 with microseconds and `Z`.
    pub(crate) ts: &'a str,
    /// Microseconds since the machine was started.
    pub(crate) mono_us: u64,
    pub(crate) boot: &'a str,
}

/// Appends the line of `entry` at place `seq` of the chain to `out`.
pub(crate) fn write_line(
    out: &mut Vec<u8>,
    seq: u64,
    prev: &Hash,
    stamp: &Stamp<'_>,
    entry: &Prepared,
) {
    out.extend_from_slice(b"{\"v\":1,\"seq\":");
    write_integer(out, seq);
    out.extend_from_slice(b",\"prev\":\"");
    out.extend_from_slice(hex(prev).as_bytes());
    out.extend_from_slice(b"\",\"ts\":\"");
    out.extend_from_slice(stamp.ts.as_bytes());
    out.extend_from_slice(b"\",\"mono_us\":");
    write_integer(out, stamp.mono_us.min(MAX_INTEGER));
    out.extend_from_slice(b",\"boot\":\"");
    out.extend_from_slice(stamp.boot.as_bytes());
    out.extend_from_slice(b"\",\"type\":\"");
    out.extend_from_slice(entry.kind.name().as_bytes());
    out.push(b'"');
    if let Some(run) = entry.run {
        out.extend_from_slice(b",\"run\":\"");
        out.extend_from_slice(hex(&run.0).as_bytes());
        out.push(b'"');
    }
    out.extend_from_slice(&entry.tail);
    out.extend_from_slice(b"}\n");
}

fn write_integer(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(number.to_string().as_bytes());
}

/// Cuts the largest fields, one after the other, until the rest fits.
///
/// The digest is that of the field's JSON, so two entries about the same command can be compared even
/// if only one of them had to cut it.
fn cut_largest(fields: &mut [(Vec<u8>, Vec<u8>)], room: usize) {
    let mut total = length(fields);
    while total > room {
        let Some((_, largest)) = fields.iter_mut().max_by_key(|(_, text)| text.len()) else {
            return;
        };
        let cut = cut_json(largest);
        if cut.len() >= largest.len() {
            return;
        }
        total = total
            .saturating_sub(largest.len())
            .saturating_add(cut.len());
        *largest = cut;
    }
}

fn length(fields: &[(Vec<u8>, Vec<u8>)]) -> usize {
    fields
        .iter()
        .map(|(name, text)| name.len().saturating_add(text.len()).saturating_add(2))
        .fold(0, usize::saturating_add)
}

/// `{"cut_json": beginning, "bytes": …, "sha256": …}` in place of a value's JSON.
fn cut_json(json: &[u8]) -> Vec<u8> {
    cut(
        "cut_json",
        &String::from_utf8_lossy(json),
        SHOWN_JSON_BYTES,
        json,
    )
}

/// `{"cut": beginning, "bytes": …, "sha256": …}` in place of a long text.
fn cut_text(text: &str) -> Vec<u8> {
    cut("cut", text, SHOWN_TEXT_BYTES, text.as_bytes())
}

fn cut(name: &str, text: &str, shown: usize, whole: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(shown.saturating_add(160));
    out.push(b'{');
    write_text(&mut out, name);
    out.push(b':');
    write_text(&mut out, beginning(text, shown));
    out.extend_from_slice(b",\"bytes\":");
    write_integer(&mut out, u64::try_from(whole.len()).unwrap_or(MAX_INTEGER));
    out.extend_from_slice(b",\"sha256\":\"");
    out.extend_from_slice(hex(&sha256(whole)).as_bytes());
    out.extend_from_slice(b"\"}");
    out
}

/// The longest beginning of at most `bytes` bytes. `str::floor_char_boundary` is newer than our oldest compiler.
fn beginning(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len()))
        .rev()
        .find(|at| text.is_char_boundary(*at));
    end.and_then(|end| text.get(..end)).unwrap_or("")
}

fn write_value(out: &mut Vec<u8>, value: &Value, cover: &dyn Cover, depth: usize) {
    if depth >= MAX_DEPTH {
        // Nothing of it is shown: the patterns of the redactor have not looked at it.
        out.extend_from_slice(&cut("cut_json", "", 0, value.to_string().as_bytes()));
        return;
    }
    let inner = depth.saturating_add(1);
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) => write_number(out, number),
        Value::String(text) => write_string(out, text, cover),
        Value::Array(values) => {
            out.push(b'[');
            for (at, value) in values.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write_value(out, value, cover, inner);
            }
            out.push(b']');
        }
        Value::Object(map) => {
            if let Some(secret) = cover.bytes_value(map) {
                write_redacted(out, &[secret]);
                return;
            }
            out.push(b'{');
            for (at, (key, value)) in map.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write_text(out, &cover.key(key));
                out.push(b':');
                write_value(out, value, cover, inner);
            }
            out.push(b'}');
        }
    }
}

/// Integers that every reader agrees on stay numbers, all others become text.
fn write_number(out: &mut Vec<u8>, number: &serde_json::Number) {
    let size = number
        .as_u64()
        .or_else(|| number.as_i64().map(i64::unsigned_abs));
    let text = number.to_string();
    match size {
        Some(size) if size <= MAX_INTEGER => out.extend_from_slice(text.as_bytes()),
        _ => write_text(out, &text),
    }
}

fn write_string(out: &mut Vec<u8>, text: &str, cover: &dyn Cover) {
    match cover.parts(text) {
        Some(parts) => write_redacted(out, &parts),
        None => write_plain(out, text),
    }
}

fn write_plain(out: &mut Vec<u8>, text: &str) {
    if text.len() > MAX_TEXT_BYTES {
        out.extend_from_slice(&cut_text(text));
    } else {
        write_text(out, text);
    }
}

fn write_redacted(out: &mut Vec<u8>, parts: &[Part<'_>]) {
    out.extend_from_slice(b"{\"redacted\":[");
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        match part {
            Part::Plain(text) => write_plain(out, text),
            Part::Secret(digest, bytes) => {
                out.extend_from_slice(b"{\"hmac\":\"");
                out.extend_from_slice(hex(digest).as_bytes());
                out.extend_from_slice(b"\",\"bytes\":");
                write_integer(out, u64::try_from(*bytes).unwrap_or(MAX_INTEGER));
                out.push(b'}');
            }
        }
    }
    out.extend_from_slice(b"]}");
}

/// A JSON string. Whatever a terminal would act on or a reader would not see is escaped.
pub(super) fn write_text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for c in text.chars() {
        match c {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\t' => out.extend_from_slice(b"\\t"),
            '\r' => out.extend_from_slice(b"\\r"),
            c if is_odd(c) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    out.extend_from_slice(format!("\\u{unit:04x}").as_bytes());
                }
            }
            c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
}
