//! An item put into a JSON text of somebody else's: values, order and comments stay as they are.
//!
//! The text is read with its blanks and comments by the crate `jsonc-parser`, which keeps them; an object or array of one
//! line that gets a longer item is spread over lines. A text that is not plainly one JSON object is refused with the place;
//! it is never repaired.

#![forbid(unsafe_code)]

use jsonc_parser::ParseOptions;
use jsonc_parser::cst::{CstInputValue, CstNode, CstObject, CstRootNode};
use serde::de::IgnoredAny;
use serde_json::Value as Json;

/// The longest settings that are read, in bytes: those of people have a few thousand.
const MAX_BYTES: usize = 1 << 20;

/// Puts `item` into the array under `event` in the object under `group` of the text; what is missing on the way is made.
///
/// An item there for which `is_ours` is true is replaced. The text comes back as it was if that item is the same already.
///
/// # Errors
///
/// The text is not understood, or has something else where the array belongs.
pub(super) fn put(
    text: &str,
    comments: bool,
    [group, event]: [&str; 2],
    item: &Json,
    is_ours: impl Fn(&Json) -> bool,
) -> Result<String, String> {
    let root = parse(text, comments)?;
    let top = root.object_value().ok_or("the text is no object")?;
    let groups = top.object_value_or_create(group);
    let groups = groups.ok_or_else(|| format!("`{group}` is no object"))?;
    let items = groups.array_value_or_create(event);
    let items = items.ok_or_else(|| format!("`{group}.{event}` is no array"))?;
    let json = |node: &CstNode| node.to_serde_value().unwrap_or_default();
    match items
        .elements()
        .into_iter()
        .find(|node| is_ours(&json(node)))
    {
        Some(node) if json(&node) == *item => return Ok(text.to_owned()),
        Some(node) => {
            let object = node.as_object();
            let object =
                object.ok_or_else(|| format!("an item of `{group}.{event}` is no object"))?;
            object.replace_with(input(item));
        }
        None => {
            items.append(input(item));
        }
    }
    Ok(root.to_string())
}

/// The text as a value, as an agent reads it.
///
/// # Errors
///
/// The text is not understood: what, and where.
pub(super) fn value(text: &str, comments: bool) -> Result<Json, String> {
    Ok(parse(text, comments)?.to_serde_value().unwrap_or_default())
}

fn parse(text: &str, comments: bool) -> Result<CstRootNode, String> {
    if text.len() > MAX_BYTES {
        return Err(format!("the text has more than {MAX_BYTES} bytes"));
    }
    if !comments {
        serde_json::from_str::<IgnoredAny>(text).map_err(|error| error.to_string())?;
    }
    let options = ParseOptions {
        allow_comments: true,
        allow_loose_object_property_names: false,
        allow_trailing_commas: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    };
    let root = CstRootNode::parse(text, &options).map_err(|error| error.to_string())?;
    match root.value().and_then(|value| twice(&value)) {
        Some(key) => Err(format!(
            "key `{}` stands twice in an object",
            key.escape_debug()
        )),
        None => Ok(root),
    }
}

/// A key that an object of the text has twice: readers differ on which of them counts.
fn twice(node: &CstNode) -> Option<String> {
    let object = node.as_object();
    let own = object.as_ref().and_then(repeated);
    own.or_else(|| node.children().iter().find_map(twice))
}

fn repeated(object: &CstObject) -> Option<String> {
    let mut known = std::collections::BTreeSet::new();
    let mut names = object
        .properties()
        .into_iter()
        .filter_map(|property| property.decoded_name());
    names.find(|name| !known.insert(name.clone()))
}

fn input(value: &Json) -> CstInputValue {
    match value {
        Json::Null => CstInputValue::Null,
        Json::Bool(value) => CstInputValue::Bool(*value),
        Json::Number(value) => CstInputValue::Number(value.to_string()),
        Json::String(value) => CstInputValue::String(value.clone()),
        Json::Array(items) => CstInputValue::Array(items.iter().map(input).collect()),
        Json::Object(members) => {
            let member = |(key, value): (&String, &Json)| (key.clone(), input(value));
            CstInputValue::Object(members.iter().map(member).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const KEYS: [&str; 2] = ["hooks", "Pre"];

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
    fn everything_else_stays_and_a_second_time_changes_nothing() {
        let object = "{\n  \"hooks\": {\n    \"Pre\": [\n      {\n        \"of\": \"us\",\n        \"words\": [\"a\"]\n      }\n    ]\n  }\n}";
        check("{}", false, object);
        check("{\n}\n", false, &format!("{object}\n"));
        check(
            "{\n\t\"z\": 1,\n\t\"a\" : [ 1,2 ]\n}\n",
            false,
            "{\n\t\"z\": 1,\n\t\"a\" : [ 1,2 ],\n\t\"hooks\": {\n\t\t\"Pre\": [\n\t\t\t{\n\t\t\t\t\"of\": \"us\",\n\t\t\t\t\"words\": [\"a\"]\n\t\t\t}\n\t\t]\n\t}\n}\n",
        );
        check(
            "{\"z\": 1, \"hooks\": {\"Pre\": [{\"x\": 1}]}}",
            false,
            "{\"z\": 1, \"hooks\": {\"Pre\": [{\"x\": 1},\n      {\n        \"of\": \"us\",\n        \"words\": [\"a\"]\n      }]}}",
        );
        check(
            "{\r\n    \"hooks\": {\r\n        \"Pre\": []\r\n    }\r\n}\r\n",
            false,
            "{\r\n    \"hooks\": {\r\n        \"Pre\": [\r\n            {\r\n                \"of\": \"us\",\r\n                \"words\": [\"a\"]\r\n            }\r\n        ]\r\n    }\r\n}\r\n",
        );
        check(
            "{\"hooks\": {\"Pre\": [{\"x\": 1}, {\"of\": \"us\", \"old\": 1}, {\"y\": 2}]}}",
            false,
            "{\"hooks\": {\"Pre\": [{\"x\": 1}, {\n      \"of\": \"us\",\n      \"words\": [\"a\"]\n    }, {\"y\": 2}]}}",
        );
    }

    #[test]
    fn comments_stay_where_they_are_or_are_refused() {
        check(
            "// top\n{\n  \"a\": \"x // no\", // why\n  \"b\": [1] /* this */\n  // last\n}\n",
            true,
            "// top\n{\n  \"a\": \"x // no\", // why\n  \"b\": [1], /* this */\n  \"hooks\": {\n    \"Pre\": [\n      {\n        \"of\": \"us\",\n        \"words\": [\"a\"]\n      }\n    ]\n  }\n  // last\n}\n",
        );
        check(
            "{\n  \"hooks\": {\n    // none yet\n  }\n}\n",
            true,
            "{\n  \"hooks\": {\n    // none yet\n    \"Pre\": [\n      {\n        \"of\": \"us\",\n        \"words\": [\"a\"]\n      }\n    ]\n  }\n}\n",
        );
        let refused = put("{\n  // x\n}", false, KEYS, &item(), ours).unwrap_err();
        assert!(refused.contains("line 2 column 3"), "{refused}");
    }

    #[test]
    fn what_is_not_plainly_one_object_is_refused_with_its_place() {
        for (text, why) in [
            ("", "the text is no object"),
            ("[]", "the text is no object"),
            ("{\"hooks\": []}", "`hooks` is no object"),
            ("{\"hooks\": {\n\"Pre\": {}}}", "`hooks.Pre` is no array"),
            ("{\"a\": 1, \"a\": 2}", "key `a` stands twice"),
            (
                "{\"x\": [{\"a\": 1, \"\\u0061\": 2}]}",
                "key `a` stands twice",
            ),
            ("{\"a\": 1,}", "line 1 column 8"),
            ("{\"a\": 1} x", "line 1 column 10"),
            ("{\"a\": 01}", "line 1 column 8"),
            ("{\"a\" 1}", "line 1 column 6"),
            ("{\"a\": \"x}", "line 1 column 7"),
            ("{'a': 1}", "line 1 column 2"),
            ("{\"a\": [1 2]}", "line 1 column 9"),
            ("{a: 1}", "line 1 column 2"),
            ("{1: 1}", "line 1 column 2"),
            ("\u{feff}{}", "line 1 column 1"),
            ("{\"a\": /* x", "line 1 column 7"),
        ] {
            let refused = put(text, true, KEYS, &item(), ours).unwrap_err();
            assert!(refused.contains(why), "{text}: {refused}");
        }
        for deep in ["[", "{\"a\":"] {
            let deep = format!("{{\"a\": {}", deep.repeat(100_000));
            assert!(put(&deep, false, KEYS, &item(), ours).is_err());
        }
    }
}
