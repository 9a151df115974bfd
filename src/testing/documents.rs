//! A policy's document as it is read here, for comparison with other YAML readers.

#![forbid(unsafe_code)]

use serde_json::{Map, Value as Json};

use crate::policy::readers::{is_plain_number, other_than_text};
use crate::policy::source::{Node, Value, parse};

/// The values of a document, with every rule about text that readers disagree about; none if it is refused.
///
/// ```
/// use lictor::testing::documents::read;
///
/// assert_eq!(read("a: [b, 1, true]"), Some(serde_json::json!({"a": ["b", 1, true]})));
/// assert_eq!(read("a: 1:20"), None);
/// ```
#[must_use]
pub fn read(text: &str) -> Option<Json> {
    let parsed = parse(text, 0);
    parsed
        .problems
        .is_empty()
        .then(|| parsed.root.as_ref().and_then(value))
        .flatten()
}

fn value(node: &Node) -> Option<Json> {
    Some(match &node.value {
        Value::Null => Json::Null,
        Value::Bool(value) => Json::Bool(*value),
        Value::Number(text) if is_plain_number(text) => Json::from(text.parse::<i64>().ok()?),
        Value::Number(_) => return None,
        Value::Text { .. } => Json::String(text(node)?),
        Value::List(items) => Json::Array(items.iter().map(value).collect::<Option<_>>()?),
        Value::Map(entries) => {
            let mut map = Map::new();
            for (key, of) in entries {
                if map.insert(text(key)?, value(of)?).is_some() {
                    return None;
                }
            }
            Json::Object(map)
        }
    })
}

/// Text that is text to every reader.
fn text(node: &Node) -> Option<String> {
    match &node.value {
        Value::Text { text, plain } if !plain || other_than_text(text).is_none() => {
            Some(text.clone())
        }
        Value::Text { .. }
        | Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::List(_)
        | Value::Map(_) => None,
    }
}
