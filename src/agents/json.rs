//! Bytes of a message → a JSON object, read strictly.
//!
//! Two readers of one message must not see different things, so what JSON leaves open is refused: a key that stands
//! twice, text behind the value, and anything that is not an object of UTF-8.

#![forbid(unsafe_code)]

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// The fields of an object.
pub(super) type Object = Map<String, Value>;

/// The longest message that is read, in bytes. Agents send whole files in messages; the largest that they
/// write at once have about 1 MB.
pub const MAX_MESSAGE_BYTES: usize = 8 << 20;

/// Reads one message.
///
/// # Errors
///
/// Why it is not one.
pub(super) fn object(bytes: &[u8]) -> Result<Object, String> {
    if bytes.len() > MAX_MESSAGE_BYTES {
        return Err(format!(
            "the message has more than {MAX_MESSAGE_BYTES} bytes"
        ));
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|error| format!("it is not UTF-8 from byte {} on", error.valid_up_to()))?;
    parsed(text)
}

/// Reads the text of one object.
///
/// # Errors
///
/// Why it is not one.
pub(super) fn parsed(text: &str) -> Result<Object, String> {
    if text.trim().is_empty() {
        return Err("it is empty".to_owned());
    }
    match serde_json::from_str::<Strict>(text) {
        Ok(Strict(Value::Object(fields))) => Ok(fields),
        Ok(_) => Err("it is no JSON object".to_owned()),
        Err(error) => Err(format!("it is no valid JSON: {error}")),
    }
}

/// A value of which no object has a key twice.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Strict, D::Error> {
        from.deserialize_any(AnyValue).map(Strict)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Strict(value)) = access.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some((key, Strict(value))) = access.next_entry::<String, Strict>()? {
            if fields.contains_key(&key) {
                let key = key.escape_debug();
                return Err(de::Error::custom(format_args!("`{key}` stands twice")));
            }
            fields.insert(key, value);
        }
        Ok(Value::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(bytes: &[u8], why: &str) {
        let error = object(bytes).unwrap_err();
        assert!(error.contains(why), "{error}");
    }

    #[test]
    fn what_two_readers_could_see_differently_is_refused() {
        refused(b"", "empty");
        refused(b" \n", "empty");
        refused(b"[]", "no JSON object");
        refused(b"\"x\"", "no JSON object");
        refused(b"{", "no valid JSON");
        refused(b"{} {}", "no valid JSON");
        refused(b"{\"a\": \"\xff\"}", "not UTF-8");
        refused(b"\xef\xbb\xbf{}", "no valid JSON");
        refused(br#"{"a": 1, "a": 1}"#, "stands twice");
        refused(br#"{"a": {"b": 1, "\u0062": 2}}"#, "stands twice");
        refused(br#"{"a": "\ud800"}"#, "no valid JSON");
        refused(&[b'['].repeat(100_000), "no valid JSON");
        let long = vec![b' '; MAX_MESSAGE_BYTES + 1];
        refused(&long, "more than");
        assert_eq!(
            object(br#" {"a": [1, null, {"b": 1.5}]} "#).unwrap().len(),
            1
        );
    }
}
