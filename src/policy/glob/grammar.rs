//! The grammar of globs: text -> segments, or the first thing that is wrong.
//!
//! An error found here carries a pattern in which that one thing is corrected;
//! [`Pattern::parse`](super::Pattern::parse) repeats until all is.

#![forbid(unsafe_code)]

use unicode_normalization::{UnicodeNormalization, is_nfc};

use super::{Class, GlobError, Piece, Segment};
use super::{MAX_DOUBLE_STARS, MAX_PATTERN_BYTES, MAX_WILDCARDS};
use crate::path::{root_len, shown};
use crate::policy::error::Code;
use crate::text::is_control;

/// The segments that a text spells.
pub(super) fn parse(text: &str) -> Result<Vec<Segment>, GlobError> {
    check_text(text)?;
    check_start(text)?;
    let mut parser = Parser {
        text,
        at: 0,
        wildcards: 0,
        double_stars: 0,
    };
    let mut segments = Vec::new();
    loop {
        let segment = parser.segment()?;
        if segment != Segment::DoubleStar || segments.last() != Some(&Segment::DoubleStar) {
            segments.push(segment);
        }
        if parser.bump() != Some('/') {
            return Ok(segments);
        }
    }
}

/// Checks of the text as a whole.
fn check_text(text: &str) -> Result<(), GlobError> {
    let invalid = |at, what: &str, help: &str| GlobError::new(Code::P006, text, at, what, help);
    if text.is_empty() {
        return Err(invalid((0, 0), "is empty", "write `**` for everything"));
    }
    if text.len() > MAX_PATTERN_BYTES {
        let over = text.len().saturating_sub(MAX_PATTERN_BYTES);
        let what = format!("is longer than {MAX_PATTERN_BYTES} bytes");
        return Err(invalid(
            (MAX_PATTERN_BYTES, over),
            &what,
            "write several patterns",
        ));
    }
    if let Some((at, c)) = text.char_indices().find(|(_, c)| is_control(*c)) {
        let what = format!("holds the control character U+{:04X}", u32::from(c));
        let without: String = text.chars().filter(|c| !is_control(*c)).collect();
        return Err(
            invalid((at, c.len_utf8()), &what, "no path holds one: remove it").or_write(without),
        );
    }
    if !is_nfc(text) {
        let normal: String = text.nfc().collect();
        let same = text
            .char_indices()
            .zip(normal.chars())
            .find(|((_, a), b)| a != b);
        let at = same.map_or(normal.len(), |((at, _), _)| at);
        return Err(invalid(
            (at, text.len().saturating_sub(at)),
            "is not in Unicode normal form C",
            "paths are, so it could match nothing: write it in normal form C",
        )
        .or_write(normal));
    }
    let trimmed = text.trim();
    if trimmed.len() < text.len() {
        let lead = text.len().saturating_sub(text.trim_start().len());
        let at = if lead > 0 {
            (0, lead)
        } else {
            (trimmed.len(), text.len().saturating_sub(trimmed.len()))
        };
        return Err(invalid(at, "begins or ends with white space", "remove it").or_write(trimmed));
    }
    Ok(())
}

/// Checks of the first characters.
fn check_start(text: &str) -> Result<(), GlobError> {
    if text.starts_with('!') {
        let help =
            "a pattern cannot negate: list what is left out under `exclude`, or write a deny rule";
        return Err(GlobError::new(
            Code::P006,
            text,
            (0, 1),
            "begins with `!`",
            help,
        ));
    }
    let Some(root) = absolute_len(text) else {
        return Ok(());
    };
    let rest = text.get(root..).unwrap_or_default().replace('\\', "/");
    let rest = rest.trim_start_matches('/');
    Err(GlobError::new(
        Code::G101,
        text,
        (0, root),
        &format!(
            "begins with `{}`, so it is not relative",
            shown(text.get(..root).unwrap_or_default().as_bytes())
        ),
        "patterns start from the workspace",
    )
    .or_write(if rest.is_empty() { "**" } else { rest }))
}

/// Length of the prefix that makes the text absolute: a root, a drive, a URL, or what a shell would turn into
/// an absolute path.
fn absolute_len(text: &str) -> Option<usize> {
    // `?:` and `*:` may stand for a name that holds a colon.
    if let Some(root) = root_len(text)
        && !text.starts_with(['*', '?', '[', '{'])
    {
        return Some(root);
    }
    let first = text.split(['/', '\\']).next()?;
    let expands = first == "~"
        || first.strip_prefix('$').is_some_and(|name| {
            name.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '{' | '('))
        });
    expands.then_some(first.len())
}

struct Parser<'a> {
    text: &'a str,
    /// Byte offset of what comes next.
    at: usize,
    wildcards: usize,
    double_stars: usize,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at = self.at.saturating_add(c.len_utf8());
        Some(c)
    }

    /// One segment, up to the next `/` or the end.
    fn segment(&mut self) -> Result<Segment, GlobError> {
        let start = self.at;
        if self.raw_segment(start) == "**" {
            self.at = self.at.saturating_add(2);
            self.double_stars = self.double_stars.saturating_add(1);
            if self.double_stars > MAX_DOUBLE_STARS {
                let what = format!("holds more than {MAX_DOUBLE_STARS} `**`");
                return Err(self.error(Code::P006, (start, 2), &what, "write several patterns"));
            }
            return Ok(Segment::DoubleStar);
        }
        let mut pieces = Vec::new();
        while let Some(c) = self.peek()
            && c != '/'
        {
            self.piece(start, &mut pieces)?;
        }
        let raw = self.text.get(start..self.at).unwrap_or_default();
        match pieces.as_slice() {
            [] => Err(self.empty_segment(start)),
            [Piece::Literal(name)] if is_no_name(name) => Err(self.traversal(start, raw)),
            [Piece::Literal(name)] => Ok(Segment::Literal(name.clone())),
            _ => Ok(Segment::Wild(pieces)),
        }
    }

    /// One piece that is not in braces, or one group of alternatives.
    fn piece(&mut self, segment: usize, pieces: &mut Vec<Piece>) -> Result<(), GlobError> {
        let start = self.at;
        match self.bump() {
            Some('{') => {
                let branches = self.alternatives(start)?;
                if branches.len() < 2 {
                    return Err(self.single_alternative(start));
                }
                self.count_wildcard(start)?;
                pieces.push(Piece::Alternatives(branches));
                Ok(())
            }
            Some('*') if self.peek() == Some('*') => Err(self.glued(segment)),
            _ => {
                self.at = start;
                let piece = self.simple_piece()?;
                push(pieces, piece);
                Ok(())
            }
        }
    }

    /// One piece that may also stand in braces.
    fn simple_piece(&mut self) -> Result<Piece, GlobError> {
        let start = self.at;
        match self.bump() {
            Some('*') => self.count_wildcard(start).map(|()| Piece::Star),
            Some('?') => self.count_wildcard(start).map(|()| Piece::AnyByte),
            Some('[') => self.class(start),
            Some('\\') => Err(self.backslash(start)),
            Some(c @ (']' | '}' | '{')) => {
                let what = format!("holds `{c}` without its other half");
                let help = format!("write `[{c}]` for the character itself");
                Err(self
                    .error(Code::G118, (start, 1), &what, help)
                    .or_write(self.replaced(start, self.at, &format!("[{c}]"))))
            }
            Some(_) => {
                let rest = self.text.get(start..).unwrap_or_default();
                let run = rest.split(is_special).next().unwrap_or_default();
                // A comma is ordinary here: in braces, where it is not, it has been looked at before.
                let run = if run.is_empty() { "," } else { run };
                self.at = start.saturating_add(run.len());
                Ok(Piece::Literal(run.to_owned()))
            }
            None => Err(self.error(
                Code::G118,
                (start, 0),
                "ends too early",
                "close what is open",
            )),
        }
    }

    /// The branches of `{…}`, whose `{` at `start` has been read.
    fn alternatives(&mut self, start: usize) -> Result<Vec<Vec<Piece>>, GlobError> {
        let mut branches = vec![Vec::new()];
        loop {
            let at = self.at;
            let Some(branch) = branches.last_mut() else {
                return Ok(branches);
            };
            match self.peek() {
                Some(',' | '}') if branch.is_empty() => {
                    let what = "holds an empty alternative";
                    let help = "write one pattern with the text and one without it";
                    return Err(self.error(Code::G118, (at, 1), what, help));
                }
                Some(',') => {
                    self.bump();
                    branches.push(Vec::new());
                }
                Some('}') => {
                    self.bump();
                    return Ok(branches);
                }
                Some('{') => return Err(self.nested(start, at)),
                Some('*') if self.rest().starts_with("**") => {
                    return Err(self.double_star_in_braces(start, at));
                }
                Some('/') => return Err(self.separator_in_braces(start, at)),
                None => {
                    let help = "close it with `}`, or write `[{]` for the character itself";
                    return Err(self
                        .error(Code::G118, (start, 1), "never closes `{`", help)
                        .or_write(self.replaced(start, start.saturating_add(1), "[{]")));
                }
                Some(_) => {
                    let piece = self.simple_piece()?;
                    push(branch, piece);
                }
            }
        }
    }

    /// Braces without a comma, which have been read: shells and other libraries read them otherwise, `{1..3}` as
    /// three texts and `{a}` as these three characters.
    fn single_alternative(&self, start: usize) -> GlobError {
        let len = self.at.saturating_sub(start);
        let inside = self
            .text
            .get(start.saturating_add(1)..self.at.saturating_sub(1))
            .unwrap_or_default();
        let Some((first, last)) = inside.split_once("..") else {
            return self
                .error(
                    Code::G118,
                    (start, len),
                    "holds braces with one alternative",
                    "write the text without braces, or `[{]` and `[}]` for the characters themselves",
                )
                .or_write(self.replaced(start, self.at, inside));
        };
        let what = format!("holds the range `{{{inside}}}`, which is none here");
        let error = self.error(
            Code::G118,
            (start, len),
            &what,
            "write the alternatives out",
        );
        match written_out(first, last) {
            Some(all) => error.or_write(self.replaced(start, self.at, &format!("{{{all}}}"))),
            None => error,
        }
    }

    /// A class, whose `[` at `start` has been read. A `]` that comes first stands for itself, as in
    /// every shell; so does a `-` that comes first or last.
    fn class(&mut self, start: usize) -> Result<Piece, GlobError> {
        if self.peek() == Some('^') {
            let caret = self.at;
            let what = "negates a class with `^`";
            let help = "write `[!…]` for all but these; put `^` last for the character itself";
            let end = caret.saturating_add(1);
            return Err(self
                .error(Code::G118, (caret, 1), what, help)
                .or_write(self.replaced(caret, end, "!")));
        }
        let negated = self.peek() == Some('!');
        if negated {
            self.bump();
        }
        let mut members = Vec::new();
        let mut after_range = false;
        loop {
            let at = self.at;
            match self.bump() {
                None => return Err(self.open_class(start)),
                Some(']') if !members.is_empty() => break,
                Some('\\') => {
                    let without = self.replaced(at, self.at, "");
                    return Err(self.backslash(at).or_write(without));
                }
                Some('-') if after_range && self.peek() != Some(']') => {
                    let help = "write `-` last for the character itself";
                    let what = "holds a `-` after a range, which is read in several ways";
                    return Err(self.error(Code::G118, (at, 1), what, help));
                }
                Some(first) => {
                    let last = self.range_end(first);
                    if last < first {
                        let what = format!("holds the range `{first}-{last}`, which is empty");
                        let len = self.at.saturating_sub(at);
                        return Err(self
                            .error(Code::G118, (at, len), &what, "write it the other way round")
                            .or_write(self.replaced(at, self.at, &format!("{last}-{first}"))));
                    }
                    // Longer than its first character: written as a range, be it of one.
                    after_range = self.at.saturating_sub(at) > first.len_utf8();
                    members.push((first, last));
                }
            }
        }
        self.class_piece(start, negated, &members)
    }

    /// The end of a range whose first character has been read, or that character.
    fn range_end(&mut self, first: char) -> char {
        let mut ahead = self.rest().chars();
        match (ahead.next(), ahead.next()) {
            (Some('-'), Some(last)) if !matches!(last, ']' | '\\') => {
                self.bump();
                self.bump();
                last
            }
            _ => first,
        }
    }

    fn class_piece(
        &mut self,
        start: usize,
        negated: bool,
        members: &[(char, char)],
    ) -> Result<Piece, GlobError> {
        let mut ranges = Vec::with_capacity(members.len());
        for (first, last) in members {
            match (u8::try_from(*first), u8::try_from(*last)) {
                (Ok(first), Ok(last)) if last.is_ascii() && !(first..=last).contains(&b'/') => {
                    ranges.push((first, last));
                }
                _ => return Err(self.crossing_class(start, negated, members)),
            }
        }
        let ranges = joined(ranges);
        match ranges.as_slice() {
            // `[*]` is how a wildcard is escaped: a literal, not a wildcard.
            [(byte, last)] if byte == last && !negated => {
                Ok(Piece::Literal(char::from(*byte).to_string()))
            }
            _ => {
                self.count_wildcard(start)?;
                Ok(Piece::Class(Class { negated, ranges }))
            }
        }
    }

    fn count_wildcard(&mut self, at: usize) -> Result<(), GlobError> {
        self.wildcards = self.wildcards.saturating_add(1);
        if self.wildcards > MAX_WILDCARDS {
            let what = format!("holds more than {MAX_WILDCARDS} wildcards");
            return Err(self.error(Code::P006, (at, 1), &what, "write several patterns"));
        }
        Ok(())
    }
}

/// Descriptions of mistakes, each with the pattern in which it is mended.
impl<'a> Parser<'a> {
    fn error(
        &self,
        code: Code,
        at: (usize, usize),
        what: &str,
        help: impl Into<String>,
    ) -> GlobError {
        GlobError::new(code, self.text, at, what, help)
    }

    /// The whole text with the bytes from `start` to `end` replaced.
    fn replaced(&self, start: usize, end: usize, by: &str) -> String {
        let before = self.text.get(..start).unwrap_or_default();
        let after = self.text.get(end..).unwrap_or_default();
        format!("{before}{by}{after}")
    }

    /// The text from `start` to the next `/`, whatever it holds.
    fn raw_segment(&self, start: usize) -> &'a str {
        let rest = self.text.get(start..).unwrap_or_default();
        rest.split('/').next().unwrap_or_default()
    }

    fn empty_segment(&self, start: usize) -> GlobError {
        if start == self.text.len() {
            let at = start.saturating_sub(1);
            let what = "ends with `/`";
            let help = "write `dir` for the directory itself, `dir/**` for all that is in it too";
            let dir = self.text.trim_end_matches("/**/").trim_end_matches('/');
            return self
                .error(Code::P006, (at, 1), what, help)
                .or_write(format!("{dir}/**"));
        }
        let help = "no path holds one: write one `/`";
        let cleaned: Vec<_> = self
            .text
            .split('/')
            .filter(|segment| !segment.is_empty())
            .collect();
        self.error(Code::G102, (start, 1), "holds an empty segment", help)
            .or_write(cleaned.join("/"))
    }

    fn traversal(&self, start: usize, raw: &str) -> GlobError {
        let what = format!(
            "holds the segment `{}`, which no path holds",
            shown(raw.as_bytes())
        );
        let help = "write the pattern as it is seen from the workspace";
        let error = self.error(Code::G102, (start, raw.len()), &what, help);
        let before = self
            .text
            .get(..start)
            .unwrap_or_default()
            .trim_end_matches('/');
        let end = start.saturating_add(raw.len());
        let after = self
            .text
            .get(end..)
            .unwrap_or_default()
            .trim_start_matches('/');
        let before = match raw {
            "." => before,
            // One up: only a plain name can be taken back.
            ".." => match before.rsplit_once('/').unwrap_or(("", before)) {
                (_, "") => return error,
                (_, name) if name.contains(['*', '?', '[', '{', '}', '\\']) => return error,
                (parent, _) => parent,
            },
            _ => return error,
        };
        let parts: Vec<_> = [before, after]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect();
        error.or_write(if parts.is_empty() {
            "**".to_owned()
        } else {
            parts.join("/")
        })
    }

    /// `**` that is not a whole segment.
    fn glued(&self, segment: usize) -> GlobError {
        let raw = self.raw_segment(segment);
        let end = segment.saturating_add(raw.len());
        let stars = self.at.saturating_sub(1);
        let dir = raw.trim_end_matches('*');
        if !dir.is_empty() && !dir.contains("**") {
            let dir_shown = shown(dir.as_bytes());
            return self
                .error(
                    Code::G104,
                    (segment, raw.len()),
                    &format!(
                        "has `**` glued to `{dir_shown}`, which reads as if `{dir_shown}_old` were meant too"
                    ),
                    format!("write `{dir_shown}/**` for it and all that is below it"),
                )
                .or_write(self.replaced(segment, end, &format!("{dir}/**")));
        }
        let corrected = match raw.trim_start_matches('*') {
            "" => "**".to_owned(),
            name if raw.starts_with("**") => format!("**/*{}", single_stars(name)),
            _ => single_stars(raw),
        };
        self.error(
            Code::G105,
            (stars, 2),
            &format!(
                "holds `**` glued to other characters in `{}`",
                shown(raw.as_bytes())
            ),
            "`**` is a whole segment; within a segment write `*`",
        )
        .or_write(self.replaced(segment, end, &corrected))
    }

    /// The end of the group that opened at `start`, after its `}`.
    fn group_end(&self, start: usize) -> Option<usize> {
        let rest = self.text.get(start..)?;
        let mut depth = 0_usize;
        for (at, c) in rest.char_indices() {
            match c {
                '{' => depth = depth.saturating_add(1),
                '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 {
                return Some(start.saturating_add(at).saturating_add(1));
            }
        }
        None
    }

    fn double_star_in_braces(&self, start: usize, at: usize) -> GlobError {
        let help = "write one pattern for each alternative";
        let error = self.error(Code::G106, (at, 2), "holds `**` in braces", help);
        let Some(end) = self.group_end(start) else {
            return error;
        };
        let group = self.text.get(start..end).unwrap_or_default();
        let branches = group.trim_start_matches('{').trim_end_matches('}');
        let is_segment = self
            .text
            .get(..start)
            .is_some_and(|text| text.is_empty() || text.ends_with('/'))
            && self
                .text
                .get(end..)
                .is_some_and(|text| text.is_empty() || text.starts_with('/'));
        if group.contains('/') {
            error
        } else if is_segment && branches.split(',').any(|branch| branch == "**") {
            // The other alternatives are names, which `**` takes as well.
            error.or_write(self.replaced(start, end, "**"))
        } else {
            error.or_write(self.replaced(start, end, &single_stars(group)))
        }
    }

    fn separator_in_braces(&self, start: usize, at: usize) -> GlobError {
        match self.group_end(start) {
            None => {
                let help = "close it with `}`, or write `[{]` for the character itself";
                self.error(Code::G118, (start, 1), "never closes `{`", help)
                    .or_write(self.replaced(start, start.saturating_add(1), "[{]"))
            }
            Some(end) => {
                let group = self.text.get(start..end).unwrap_or_default();
                if let Some(stars) = group.find("**") {
                    return self.double_star_in_braces(start, start.saturating_add(stars));
                }
                let help = "write one pattern for each alternative";
                self.error(Code::G118, (at, 1), "holds `/` in braces", help)
            }
        }
    }

    fn nested(&self, start: usize, at: usize) -> GlobError {
        let help = "write all alternatives in one pair of braces";
        let error = self.error(Code::G118, (at, 1), "holds braces in braces", help);
        let Some(inner_end) = self.group_end(at) else {
            return error;
        };
        let before = self.text.get(start..at).unwrap_or_default();
        let after = self.text.get(inner_end..).unwrap_or_default();
        // `{a,{b,c}}` is `{a,b,c}`; `{a,x{b,c}}` is not.
        if before.ends_with(['{', ',']) && after.starts_with(['}', ',']) {
            let inner = self
                .text
                .get(at.saturating_add(1)..inner_end.saturating_sub(1));
            error.or_write(self.replaced(at, inner_end, inner.unwrap_or_default()))
        } else {
            error
        }
    }

    fn backslash(&self, at: usize) -> GlobError {
        let help = "write `/` between segments, and `[*]` for a character that is no wildcard";
        let mut corrected = String::with_capacity(self.text.len());
        let mut chars = self.text.chars().peekable();
        while let Some(c) = chars.next() {
            match (c, chars.peek()) {
                ('\\', Some(escaped @ ('?' | '[' | ']' | '{' | '}'))) => {
                    corrected.push('[');
                    corrected.push(*escaped);
                    corrected.push(']');
                    chars.next();
                }
                ('\\', _) => corrected.push('/'),
                (c, _) => corrected.push(c),
            }
        }
        self.error(Code::G103, (at, 1), "holds `\\`", help)
            .or_write(corrected)
    }

    fn open_class(&self, start: usize) -> GlobError {
        let rest = self.text.get(start..).unwrap_or_default();
        let is_empty = rest.starts_with("[]") || rest.starts_with("[!]");
        let (what, len) = if is_empty {
            ("holds an empty class", rest.find(']'))
        } else {
            ("never closes `[`", None)
        };
        let len = len.map_or(1, |at| at.saturating_add(1));
        let help = "write `[[]` for the character itself";
        let end = start.saturating_add(1);
        self.error(Code::G118, (start, len), what, help)
            .or_write(self.replaced(start, end, "[[]"))
    }

    /// A class that holds `/` or characters beyond ASCII.
    fn crossing_class(&self, start: usize, negated: bool, members: &[(char, char)]) -> GlobError {
        let class = self.text.get(start..self.at).unwrap_or_default();
        let is_beyond_ascii = members.iter().any(|(_, last)| !last.is_ascii());
        let (what, help) = if is_beyond_ascii {
            (
                "beyond ASCII",
                "a class stands for one byte: write `{é,è}` for such characters",
            )
        } else {
            (
                "`/`",
                "a class stands for one byte of a name, and no name holds `/`: leave it out",
            )
        };
        let what = format!(
            "holds the class `{}`, which reaches {what}",
            shown(class.as_bytes())
        );
        let error = self.error(Code::G107, (start, class.len()), &what, help);
        match without_crossing(negated, members) {
            Some(corrected) => error.or_write(self.replaced(start, self.at, &corrected)),
            None => error,
        }
    }
}

/// The class without `/`, or its characters as alternatives.
fn without_crossing(negated: bool, members: &[(char, char)]) -> Option<String> {
    if members.iter().any(|(_, last)| !last.is_ascii()) {
        if negated || members.iter().any(|(first, last)| first != last) {
            return None;
        }
        let chars: Vec<_> = members
            .iter()
            .map(|(c, _)| {
                if is_special(*c) {
                    format!("[{c}]")
                } else {
                    c.to_string()
                }
            })
            .collect();
        let [only] = chars.as_slice() else {
            return Some(format!("{{{}}}", chars.join(",")));
        };
        return Some(only.clone());
    }
    let bytes = members
        .iter()
        .filter_map(|(first, last)| Some((u8::try_from(*first).ok()?, u8::try_from(*last).ok()?)));
    let mut ranges = Vec::new();
    for (first, last) in joined(bytes.collect()) {
        if (first..=last).contains(&b'/') {
            ranges.extend([(first, b'.'), (b'0', last)]);
        } else {
            ranges.push((first, last));
        }
    }
    ranges.retain(|(first, last)| first <= last);
    match (ranges.is_empty(), negated) {
        // `[/]` was meant as a separator, `[!/]` as any byte.
        (true, false) => Some("/".to_owned()),
        (true, true) => Some("?".to_owned()),
        (false, _) => spelled(negated, &ranges),
    }
}

/// A class with these ranges, as the grammar spells it: `]` stands for itself where it comes first,
/// `!` and `^` where they do not, `-` where it comes last.
fn spelled(negated: bool, ranges: &[(u8, u8)]) -> Option<String> {
    let mut inner = String::new();
    let mut last_ones = String::new();
    for (first, last) in ranges {
        let (mut first, last) = (char::from(*first), char::from(*last));
        if matches!(first, '!' | '^' | '-') {
            last_ones.push(first);
            if first == last {
                continue;
            }
            first = char::from_u32(u32::from(first).saturating_add(1))?;
        }
        let range = match u32::from(last).saturating_sub(u32::from(first)) {
            0 => first.to_string(),
            1 if last != '-' => format!("{first}{last}"),
            _ => format!("{first}-{last}"),
        };
        if first == ']' {
            inner.insert_str(0, &range);
        } else {
            inner.push_str(&range);
        }
    }
    if last_ones.contains('-') {
        last_ones = last_ones.replace('-', "");
        last_ones.push('-');
    }
    match (inner.as_str(), last_ones.as_str(), negated) {
        ("", "!" | "^", false) => Some(last_ones),
        ("", one, false) if one.starts_with(['!', '^']) => None,
        _ => Some(format!(
            "[{}{inner}{last_ones}]",
            if negated { "!" } else { "" }
        )),
    }
}

/// A character that may mean something in a pattern.
fn is_special(c: char) -> bool {
    matches!(c, '*' | '?' | '[' | ']' | '{' | '}' | ',' | '/' | '\\')
}

/// The text with every run of stars made one.
fn single_stars(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c != '*' || !out.ends_with('*') {
            out.push(c);
        }
    }
    out
}

/// A name that no canonical path has: only dots and blanks.
fn is_no_name(name: &str) -> bool {
    name.contains('.') && name.chars().all(|c| c == '.' || c.is_whitespace())
}

/// Appends a piece; text joins with the text before it, and `*` with `*` (as in `{*}*`) is one.
fn push(pieces: &mut Vec<Piece>, piece: Piece) {
    match (pieces.last_mut(), piece) {
        (Some(Piece::Literal(before)), Piece::Literal(text)) => before.push_str(&text),
        (Some(Piece::Star), Piece::Star) => {}
        (_, piece) => pieces.push(piece),
    }
}

/// The ranges sorted, those that touch joined.
fn joined(mut ranges: Vec<(u8, u8)>) -> Vec<(u8, u8)> {
    ranges.sort_unstable();
    let mut out: Vec<(u8, u8)> = Vec::with_capacity(ranges.len());
    for (first, last) in ranges {
        match out.last_mut() {
            Some((_, end)) if first <= end.saturating_add(1) => *end = (*end).max(last),
            _ => out.push((first, last)),
        }
    }
    out
}

/// The alternatives that other programs read a range of numbers or letters as, if they are few.
fn written_out(first: &str, last: &str) -> Option<String> {
    const MOST: usize = 20;
    let plain = |number: u32, text: &str| number.to_string() == text;
    if let (Ok(from), Ok(to)) = (first.parse::<u32>(), last.parse::<u32>()) {
        let fits = plain(from, first) && plain(to, last);
        let all: Vec<_> = (from..=to).take(MOST + 1).map(|n| n.to_string()).collect();
        return (fits && (2..=MOST).contains(&all.len())).then(|| all.join(","));
    }
    let one = |text: &str| {
        let mut chars = text.chars();
        let letter = chars.next().filter(char::is_ascii_alphabetic)?;
        chars.next().is_none().then_some(letter)
    };
    let all: Vec<_> = (one(first)?..=one(last)?).map(String::from).collect();
    (all.len() >= 2
        && all
            .iter()
            .all(|letter| letter.chars().all(|c| c.is_ascii_alphabetic())))
    .then(|| all.join(","))
}
