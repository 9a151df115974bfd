//! An item put into a JSON text of somebody else's: every other byte stays as it is.
//!
//! The text is read with the place of each value, so that comments, order and indentation are kept. A text that is not
//! plainly one JSON object is refused with the place; it is never repaired.

#![forbid(unsafe_code)]

use std::ops::Range;

use serde_json::{Map, Value as Json};

/// The longest settings that are read, in bytes: those of people have a few thousand.
const MAX_BYTES: usize = 1 << 20;

/// Objects and arrays in each other.
const MAX_DEPTH: usize = 64;

/// Puts `item` into the array that `keys` lead to; what is missing on the way is made.
///
/// An item there for which `is_ours` is true is replaced. The text comes back as it was if that item is the same already.
///
/// # Errors
///
/// The text is not understood, or has something else where the array belongs.
pub(super) fn put(
    text: &str,
    comments: bool,
    keys: &[&str],
    item: &Json,
    is_ours: impl Fn(&Json) -> bool,
) -> Result<String, String> {
    let root = parse(text, comments)?;
    let style = Style::of(text);
    let mut at = &root;
    for (depth, key) in keys.iter().enumerate() {
        let Is::Object(members) = &at.is else {
            return Err(wrong(text, at.span.start, &not_a(keys, depth, "object")));
        };
        match members.iter().find(|(name, _)| name == key) {
            Some((_, value)) => at = value,
            None => {
                let mut value = Json::Array(vec![item.clone()]);
                for key in keys.iter().skip(depth.saturating_add(1)).rev() {
                    value = Json::Object(Map::from_iter([((*key).to_owned(), value)]));
                }
                let last = members.last().map(|(_, value)| value);
                let key = Json::String((*key).to_owned()).to_string();
                return Ok(style.inserted(text, at, last, Some(&key), &value));
            }
        }
    }
    let Is::Array(items) = &at.is else {
        return Err(wrong(
            text,
            at.span.start,
            &not_a(keys, keys.len(), "array"),
        ));
    };
    match items.iter().find(|there| is_ours(&there.json())) {
        Some(there) if there.json() == *item => Ok(text.to_owned()),
        Some(there) => {
            let prefix = style.before(text, there.span.start);
            Ok(spliced(
                text,
                there.span.clone(),
                &style.rendered(item, &prefix),
            ))
        }
        None => Ok(style.inserted(text, at, items.last(), None, item)),
    }
}

/// The text as a value, as an agent reads it.
///
/// # Errors
///
/// The text is not understood: what, and where.
pub(super) fn value(text: &str, comments: bool) -> Result<Json, String> {
    parse(text, comments).map(|node| node.json())
}

fn not_a(keys: &[&str], depth: usize, what: &str) -> String {
    let names: Vec<&str> = keys.iter().take(depth).copied().collect();
    match names.is_empty() {
        true => format!("the text is no {what}"),
        false => format!("`{}` is no {what}", names.join(".")),
    }
}

/// A value of the text, and where it stands.
#[derive(Debug)]
struct Node {
    span: Range<usize>,
    is: Is,
}

#[derive(Debug)]
enum Is {
    Object(Vec<(String, Node)>),
    Array(Vec<Node>),
    Plain(Json),
}

impl Node {
    fn json(&self) -> Json {
        match &self.is {
            Is::Object(members) => {
                let members = members.iter();
                Json::Object(
                    members
                        .map(|(key, node)| (key.clone(), node.json()))
                        .collect(),
                )
            }
            Is::Array(items) => items.iter().map(Node::json).collect(),
            Is::Plain(value) => value.clone(),
        }
    }
}

/// How a text is laid out.
struct Style {
    newline: &'static str,
    unit: String,
}

impl Style {
    fn of(text: &str) -> Style {
        // Lines of comments may begin with a blank of their own.
        let is_value = |line: &&str| line.trim_start().starts_with(['"', '{', '[']);
        let indented = text.lines().filter(is_value).map(|line| {
            let inner = line.trim_start_matches([' ', '\t']);
            let length = line.len().saturating_sub(inner.len());
            line.get(..length).unwrap_or_default().to_owned()
        });
        let indented = indented.into_iter().find(|indent| !indent.is_empty());
        Style {
            newline: if text.contains("\r\n") { "\r\n" } else { "\n" },
            unit: indented.unwrap_or_else(|| "  ".to_owned()),
        }
    }

    /// The blanks in front of what stands at `at`, if nothing else does on its line.
    fn before(&self, text: &str, at: usize) -> String {
        let line = text.get(..at).unwrap_or_default();
        let line = line.rsplit('\n').next().unwrap_or_default();
        let blanks: String = line
            .chars()
            .take_while(|c| matches!(c, ' ' | '\t'))
            .collect();
        blanks
    }

    /// The value on lines of its own, of which those behind the first begin with `prefix`.
    fn rendered(&self, value: &Json, prefix: &str) -> String {
        let text = serde_json::to_string_pretty(value).unwrap_or_default();
        let mut lines = text.lines();
        let mut out = lines.next().unwrap_or_default().to_owned();
        for line in lines {
            let inner = line.trim_start_matches(' ');
            let depth = line.len().saturating_sub(inner.len()) / 2;
            out.push_str(self.newline);
            out.push_str(prefix);
            out.push_str(&self.unit.repeat(depth));
            out.push_str(inner);
        }
        out
    }

    /// The text with one more member or item at the end of `inside`.
    fn inserted(
        &self,
        text: &str,
        inside: &Node,
        last: Option<&Node>,
        key: Option<&str>,
        value: &Json,
    ) -> String {
        let named = |rendered: String| match key {
            Some(key) => format!("{key}: {rendered}"),
            None => rendered,
        };
        let outer = self.before(text, inside.span.start);
        let own = format!("{outer}{}", self.unit);
        let Some(last) = last else {
            // Nothing but blanks and comments stands between the brackets.
            let open = inside.span.start.saturating_add(1);
            let close = inside.span.end.saturating_sub(1);
            let between = text.get(open..close).unwrap_or_default();
            let item = named(self.rendered(value, &own));
            let newline = self.newline;
            return match between.trim().is_empty() {
                true => spliced(
                    text,
                    open..close,
                    &format!("{newline}{own}{item}{newline}{outer}"),
                ),
                false => {
                    let kept = between.trim_end();
                    let from = open.saturating_add(kept.len());
                    spliced(
                        text,
                        from..close,
                        &format!("{newline}{own}{item}{newline}{outer}"),
                    )
                }
            };
        };
        let tail = text.get(last.span.end..inside.span.end).unwrap_or_default();
        let Some(line_end) = tail.find('\n') else {
            // All on one line.
            let item = named(value.to_string());
            return spliced(text, last.span.end..last.span.end, &format!(", {item}"));
        };
        let line = tail.get(..line_end).unwrap_or_default();
        let line = line.strip_suffix('\r').unwrap_or(line);
        let item = named(self.rendered(value, &own));
        // A comment behind the last value stays on its line; one that goes on below it comes behind the new value.
        let rest = if is_trivia(line) { line } else { "" };
        spliced(
            text,
            last.span.end..last.span.end.saturating_add(rest.len()),
            &format!(",{rest}{}{own}{item}", self.newline),
        )
    }
}

/// Returns true for blanks, and a comment that ends on this line.
fn is_trivia(line: &str) -> bool {
    let line = line.trim();
    line.is_empty()
        || line.starts_with("//")
        || line
            .strip_prefix("/*")
            .is_some_and(|rest| rest.find("*/") == rest.len().checked_sub(2))
}

fn spliced(text: &str, range: Range<usize>, with: &str) -> String {
    let (before, after) = (text.get(..range.start), text.get(range.end..));
    format!(
        "{}{with}{}",
        before.unwrap_or_default(),
        after.unwrap_or_default()
    )
}

fn wrong(text: &str, at: usize, what: &str) -> String {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count().saturating_add(1);
    let column = before
        .rsplit('\n')
        .next()
        .unwrap_or_default()
        .chars()
        .count();
    format!("line {line}, column {}: {what}", column.saturating_add(1))
}

fn parse(text: &str, comments: bool) -> Result<Node, String> {
    if text.len() > MAX_BYTES {
        return Err(format!("the text has more than {MAX_BYTES} bytes"));
    }
    let mut reader = Reader {
        text,
        at: 0,
        comments,
    };
    reader.blanks()?;
    let root = reader.value(0)?;
    reader.blanks()?;
    match reader.rest().is_empty() {
        true => Ok(root),
        false => Err(reader.wrong("more text behind the value")),
    }
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
    comments: bool,
}

impl<'t> Reader<'t> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn wrong(&self, what: &str) -> String {
        wrong(self.text, self.at, what)
    }

    fn take(&mut self, word: &str) -> bool {
        let found = self.rest().starts_with(word);
        if found {
            self.at = self.at.saturating_add(word.len());
        }
        found
    }

    fn blanks(&mut self) -> Result<(), String> {
        loop {
            let rest = self.rest();
            let blank = rest
                .len()
                .saturating_sub(rest.trim_start_matches([' ', '\t', '\r', '\n']).len());
            self.at = self.at.saturating_add(blank);
            let rest = self.rest();
            let comment = match rest.get(..2) {
                Some("//") => Some(rest.find('\n').unwrap_or(rest.len())),
                Some("/*") => rest.find("*/").map(|end| end.saturating_add(2)),
                _ => return Ok(()),
            };
            match comment {
                _ if !self.comments => {
                    return Err(self.wrong("a comment, which this agent's JSON does not have"));
                }
                None => return Err(self.wrong("a comment without an end")),
                Some(length) => self.at = self.at.saturating_add(length),
            }
        }
    }

    fn value(&mut self, depth: usize) -> Result<Node, String> {
        if depth > MAX_DEPTH {
            return Err(self.wrong("values in values more than 64 deep"));
        }
        let start = self.at;
        let is = if self.take("{") {
            Is::Object(self.members(depth)?)
        } else if self.take("[") {
            Is::Array(self.items(depth)?)
        } else {
            Is::Plain(self.plain()?)
        };
        Ok(Node {
            span: start..self.at,
            is,
        })
    }

    fn members(&mut self, depth: usize) -> Result<Vec<(String, Node)>, String> {
        let mut members: Vec<(String, Node)> = Vec::new();
        self.blanks()?;
        if self.take("}") {
            return Ok(members);
        }
        loop {
            self.blanks()?;
            let place = self.at;
            let Json::String(key) = self.plain()? else {
                return Err(wrong(
                    self.text,
                    place,
                    "a key in double quotes belongs here",
                ));
            };
            if members.iter().any(|(known, _)| *known == key) {
                let what = format!("key `{}` stands twice", key.escape_debug());
                return Err(wrong(self.text, place, &what));
            }
            self.blanks()?;
            if !self.take(":") {
                return Err(self.wrong("`:` belongs here"));
            }
            self.blanks()?;
            members.push((key, self.value(depth.saturating_add(1))?));
            self.blanks()?;
            if self.take("}") {
                return Ok(members);
            }
            if !self.take(",") {
                return Err(self.wrong("`,` or `}` belongs here"));
            }
        }
    }

    fn items(&mut self, depth: usize) -> Result<Vec<Node>, String> {
        let mut items = Vec::new();
        self.blanks()?;
        if self.take("]") {
            return Ok(items);
        }
        loop {
            self.blanks()?;
            items.push(self.value(depth.saturating_add(1))?);
            self.blanks()?;
            if self.take("]") {
                return Ok(items);
            }
            if !self.take(",") {
                return Err(self.wrong("`,` or `]` belongs here"));
            }
        }
    }

    /// A text, number or word.
    fn plain(&mut self) -> Result<Json, String> {
        let rest = self.rest();
        let length = if rest.starts_with('"') {
            let mut is_escaped = false;
            let end = rest.char_indices().skip(1).find(|(_, c)| {
                let ends = *c == '"' && !is_escaped;
                is_escaped = *c == '\\' && !is_escaped;
                ends
            });
            end.map_or(rest.len(), |(at, _)| at.saturating_add(1))
        } else {
            let is_end =
                |c: char| matches!(c, ',' | ']' | '}' | ':' | '/' | ' ' | '\t' | '\r' | '\n');
            rest.find(is_end).unwrap_or(rest.len())
        };
        let word = rest.get(..length).unwrap_or_default();
        let value = serde_json::from_str(word).map_err(|_| self.wrong("no JSON value"))?;
        self.at = self.at.saturating_add(length);
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const KEYS: &[&str] = &["hooks", "Pre"];

    fn ours(item: &Json) -> bool {
        item.get("of").is_some()
    }

    fn item() -> Json {
        json!({"of": "us", "words": ["a"]})
    }

    /// Puts the item in; what comes out is read as what went in and the item, and a second time changes nothing.
    #[track_caller]
    fn check(before: &str, comments: bool, after: &str) {
        let put_in = |text: &str| put(text, comments, KEYS, &item(), ours);
        let once = put_in(before).unwrap();
        assert_eq!(once, after);
        assert_eq!(put_in(&once).unwrap(), once);
        let mut expected = value(before, comments).unwrap();
        let hooks = expected
            .as_object_mut()
            .unwrap()
            .entry("hooks")
            .or_insert_with(|| json!({}));
        let pre = hooks
            .as_object_mut()
            .unwrap()
            .entry("Pre")
            .or_insert_with(|| json!([]));
        let items = pre.as_array_mut().unwrap();
        items.retain(|item| !ours(item));
        let mut found = value(&once, comments).unwrap();
        let mut got = found["hooks"]["Pre"].as_array().unwrap().clone();
        assert_eq!(got.iter().filter(|one| **one == item()).count(), 1);
        got.retain(|item| !ours(item));
        assert_eq!(got, *items);
        found["hooks"]["Pre"] = Json::Array(items.clone());
        assert_eq!(found, expected);
    }

    #[test]
    fn every_other_byte_stays_and_a_second_time_changes_nothing() {
        let object = "{\n  \"hooks\": {\n    \"Pre\": [\n      {\n        \"of\": \"us\",\n        \"words\": [\n          \"a\"\n        ]\n      }\n    ]\n  }\n}";
        check("{}", false, object);
        check("{ \n}\n", false, &format!("{object}\n"));
        check(
            "{\n\t\"z\": 1,\n\t\"a\" : [ 1,2 ]\n}\n",
            false,
            "{\n\t\"z\": 1,\n\t\"a\" : [ 1,2 ],\n\t\"hooks\": {\n\t\t\"Pre\": [\n\t\t\t{\n\t\t\t\t\"of\": \"us\",\n\t\t\t\t\"words\": [\n\t\t\t\t\t\"a\"\n\t\t\t\t]\n\t\t\t}\n\t\t]\n\t}\n}\n",
        );
        check(
            "{\"z\": 1, \"hooks\": {\"Pre\": [{\"x\": 1}]}}",
            false,
            "{\"z\": 1, \"hooks\": {\"Pre\": [{\"x\": 1}, {\"of\":\"us\",\"words\":[\"a\"]}]}}",
        );
        check(
            "{\r\n    \"hooks\": {\r\n        \"Pre\": []\r\n    }\r\n}\r\n",
            false,
            "{\r\n    \"hooks\": {\r\n        \"Pre\": [\r\n            {\r\n                \"of\": \"us\",\r\n                \"words\": [\r\n                    \"a\"\r\n                ]\r\n            }\r\n        ]\r\n    }\r\n}\r\n",
        );
        check(
            "{\"hooks\": {\"Pre\": [{\"x\": 1}, {\"of\": \"us\", \"old\": 1}, {\"y\": 2}]}}",
            false,
            "{\"hooks\": {\"Pre\": [{\"x\": 1}, {\n  \"of\": \"us\",\n  \"words\": [\n    \"a\"\n  ]\n}, {\"y\": 2}]}}",
        );
    }

    #[test]
    fn comments_stay_where_they_are_or_are_refused() {
        check(
            "// top\n{\n  \"a\": \"x // no\", // why\n  \"b\": [1] /* this */\n  // last\n}\n",
            true,
            "// top\n{\n  \"a\": \"x // no\", // why\n  \"b\": [1], /* this */\n  \"hooks\": {\n    \"Pre\": [\n      {\n        \"of\": \"us\",\n        \"words\": [\n          \"a\"\n        ]\n      }\n    ]\n  }\n  // last\n}\n",
        );
        check(
            "{\n  \"hooks\": {\n    // none yet\n  }\n}\n",
            true,
            "{\n  \"hooks\": {\n    // none yet\n    \"Pre\": [\n      {\n        \"of\": \"us\",\n        \"words\": [\n          \"a\"\n        ]\n      }\n    ]\n  }\n}\n",
        );
        check(
            "{\"a\": 1 /* x\n */}",
            true,
            "{\"a\": 1,\n  \"hooks\": {\n    \"Pre\": [\n      {\n        \"of\": \"us\",\n        \"words\": [\n          \"a\"\n        ]\n      }\n    ]\n  } /* x\n */}",
        );
        let refused = put("{\n  // x\n}", false, KEYS, &item(), ours).unwrap_err();
        assert!(
            refused.starts_with("line 2, column 3: a comment"),
            "{refused}"
        );
    }

    #[test]
    fn what_is_not_plainly_one_object_is_refused_with_its_place() {
        for (text, why) in [
            ("", "line 1, column 1: no JSON value"),
            ("[]", "line 1, column 1: the text is no object"),
            ("{\"hooks\": []}", "line 1, column 11: `hooks` is no object"),
            (
                "{\"hooks\": {\n\"Pre\": {}}}",
                "line 2, column 8: `hooks.Pre` is no array",
            ),
            (
                "{\"a\": 1, \"a\": 2}",
                "line 1, column 10: key `a` stands twice",
            ),
            ("{\"a\": 1,}", "line 1, column 9: no JSON value"),
            ("{\"a\": 1} x", "line 1, column 10: more text"),
            ("{\"a\": 01}", "line 1, column 7: no JSON value"),
            ("{\"a\" 1}", "line 1, column 6: `:` belongs here"),
            ("{\"a\": \"x}", "line 1, column 7: no JSON value"),
            ("{'a': 1}", "line 1, column 2: no JSON value"),
            ("{\"a\": [1 2]}", "line 1, column 10: `,` or `]`"),
            ("{a: 1}", "line 1, column 2: no JSON value"),
            ("{1: 1}", "line 1, column 2: a key in double quotes"),
            ("\u{feff}{}", "line 1, column 1: no JSON value"),
            ("{\"a\": /* x", "line 1, column 7: a comment without an end"),
        ] {
            let refused = put(text, true, KEYS, &item(), ours).unwrap_err();
            assert!(refused.starts_with(why), "{text}: {refused}");
        }
        let deep = format!("{{\"a\": {}", "[".repeat(100_000));
        assert!(put(&deep, false, KEYS, &item(), ours).is_err());
    }
}
