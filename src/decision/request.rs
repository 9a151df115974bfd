//! Requests: a command line, or a tool's action with named arguments; by whom; from where.
//!
//! A request is text that nobody has looked at yet. Reading it never fails for what it says, only for
//! its form: that is for [`decide`](super::decide) to judge.

#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// Most bytes of all arguments of a request together.
pub const MAX_REQUEST_BYTES: usize = 256 * 1024;

/// Most paths of one request.
pub const MAX_REQUEST_PATHS: usize = 1024;

/// A request for a decision.
///
/// ```
/// use lictor::Request;
///
/// let argv = Request::argv(["pytest", "-v", "runtime/tests/a.py"]);
/// let named = Request::named("pytest", "run")
///     .with_arg("target", "runtime/tests/a.py")
///     .with_arg("verbose", true)
///     .with_actor("ci");
/// assert_eq!(named.actor(), Some("ci"));
/// assert!(argv.actor().is_none());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub(crate) form: Form,
    pub(crate) actor: Option<String>,
    pub(crate) cwd: Option<Vec<u8>>,
    /// Names of the workspace's directory by which absolute paths below it are read.
    pub(crate) roots: Vec<Vec<u8>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Argv(Vec<Vec<u8>>),
    Named {
        tool: String,
        action: String,
        args: Vec<(String, Value)>,
    },
}

/// The value of a named argument.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Value {
    /// Explicitly nothing.
    Null,
    /// A flag that is given, or not.
    Flag(bool),
    /// A whole number.
    Int(i64),
    /// Text, a word, or a path: bytes, because not every path is text.
    Text(Vec<u8>),
    /// The values of an argument that repeats.
    List(Vec<Value>),
}

/// Tool, action and named arguments of a request.
#[cfg(any(feature = "testing", feature = "run"))]
pub(crate) type Parts<'r> = (&'r str, &'r str, &'r [(String, Value)]);

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(text.as_bytes().to_vec())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Text(text.into_bytes())
    }
}

impl From<Vec<u8>> for Value {
    fn from(text: Vec<u8>) -> Value {
        Value::Text(text)
    }
}

impl From<bool> for Value {
    fn from(is_given: bool) -> Value {
        Value::Flag(is_given)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Value {
        Value::Int(number)
    }
}

impl Request {
    /// Asks for a command line; the first word is the program.
    pub fn argv<W: Into<Vec<u8>>>(words: impl IntoIterator<Item = W>) -> Request {
        let words = words.into_iter().map(Into::into).collect();
        Request {
            form: Form::Argv(words),
            actor: None,
            cwd: None,
            roots: Vec::new(),
        }
    }

    /// Asks for an action of a tool.
    pub fn named(tool: impl Into<String>, action: impl Into<String>) -> Request {
        let form = Form::Named {
            tool: tool.into(),
            action: action.into(),
            args: Vec::new(),
        };
        Request {
            form,
            actor: None,
            cwd: None,
            roots: Vec::new(),
        }
    }

    /// Adds a named argument. A name given twice becomes a list. On a command line it does nothing.
    #[must_use]
    pub fn with_arg(mut self, name: impl Into<String>, value: impl Into<Value>) -> Request {
        if let Form::Named { args, .. } = &mut self.form {
            let (name, value) = (name.into(), value.into());
            match args.iter_mut().find(|(known, _)| *known == name) {
                Some((_, Value::List(values))) => values.push(value),
                Some((_, first)) => {
                    let values = vec![std::mem::replace(first, Value::Null), value];
                    *first = Value::List(values);
                }
                None => args.push((name, value)),
            }
        }
        self
    }

    /// Says who asks.
    #[must_use]
    pub fn with_actor(mut self, actor: impl Into<String>) -> Request {
        self.actor = Some(actor.into());
        self
    }

    /// Says which directory the command is to start in; the request's relative paths start from there.
    #[must_use]
    pub fn with_cwd(mut self, directory: impl Into<Vec<u8>>) -> Request {
        self.cwd = Some(directory.into());
        self
    }

    /// Says that an absolute path below this directory means the path from the workspace's top. Only whoever knows the
    /// workspace can say so: agents write such paths, and the rules speak of relative ones.
    #[must_use]
    #[cfg_attr(
        not(feature = "cli"),
        expect(dead_code, reason = "only agents write paths so")
    )]
    pub(crate) fn with_root(mut self, root: impl Into<Vec<u8>>) -> Request {
        let root = root.into();
        // Of `/`, every path is below.
        if root.len() > 1 && !self.roots.contains(&root) {
            self.roots.push(root);
        }
        self
    }

    /// The path from where the request's paths start that an absolute path below the workspace stands for; none if it is
    /// not below it by its text, or not below the directory in which the request starts.
    pub(super) fn below_root(&self, path: &[u8]) -> Option<Vec<u8>> {
        fn below<'p>(path: &'p [u8], root: &[u8]) -> Option<&'p [u8]> {
            match path.strip_prefix(root)? {
                [] => Some(b"."),
                [b'/'] => Some(b"."),
                [b'/', rest @ ..] => Some(rest),
                _ => None,
            }
        }
        let from_top = self.roots.iter().find_map(|root| below(path, root))?;
        match self.cwd.as_deref() {
            None | Some(b".") => Some(from_top.to_vec()),
            Some(cwd) => below(from_top, cwd).map(<[u8]>::to_vec),
        }
    }

    /// Tool, action and arguments; none of a command line.
    #[cfg(any(feature = "testing", feature = "run"))]
    pub(crate) fn parts(&self) -> Option<Parts<'_>> {
        match &self.form {
            Form::Argv(_) => None,
            Form::Named { tool, action, args } => Some((tool, action, args)),
        }
    }

    /// Bytes of its words, names and values together.
    pub(super) fn size(&self) -> usize {
        fn of(value: &Value) -> usize {
            match value {
                Value::Null | Value::Flag(_) | Value::Int(_) => 8,
                Value::Text(bytes) => bytes.len().saturating_add(8),
                Value::List(values) => values.iter().map(of).sum(),
            }
        }
        match &self.form {
            Form::Argv(words) => words.iter().map(|word| word.len().saturating_add(1)).sum(),
            Form::Named { tool, action, args } => {
                let args: usize = args
                    .iter()
                    .map(|(name, value)| name.len().saturating_add(of(value)))
                    .sum();
                tool.len().saturating_add(action.len()).saturating_add(args)
            }
        }
    }
    /// Who asks, if the request says so.
    #[must_use]
    pub fn actor(&self) -> Option<&str> {
        self.actor.as_deref()
    }

    /// Reads one request and its `id` from a line of JSON.
    ///
    /// ```
    /// use lictor::decision::Request;
    ///
    /// let (id, request) = Request::from_json(r#"{"id": 7, "argv": ["ls", "docs"]}"#)?;
    /// assert_eq!(id, Some(serde_json::json!(7)));
    /// assert_eq!(request, Request::argv(["ls", "docs"]));
    /// assert!(Request::from_json(r#"{"argv": ["ls"], "tool": "coreutils"}"#).is_err());
    /// # Ok::<(), lictor::decision::RequestError>(())
    /// ```
    ///
    /// # Errors
    /// What is wrong with its form. The `id` is told even then, where it could be read.
    pub fn from_json(line: &str) -> Result<(Option<serde_json::Value>, Request), RequestError> {
        if line.trim_start().starts_with('[') {
            // The parser would take a sequence for the fields in order.
            return Err(RequestError {
                id: None,
                why: "a sequence is no request; write an object".to_owned(),
            });
        }
        if !line.trim_start().starts_with('{') {
            // A list would be read as the fields in their order.
            let why = "a request is a mapping".to_owned();
            return Err(RequestError { id: None, why });
        }
        let written: Written = serde_json::from_str(line).map_err(|error| RequestError {
            // Unknown and repeated keys leave the rest readable.
            id: serde_json::from_str::<serde_json::Value>(line)
                .ok()
                .and_then(|value| value.get("id").cloned()),
            why: error.to_string(),
        })?;
        let id = written.id;
        let fail = |why: &str| RequestError {
            id: id.clone(),
            why: why.to_owned(),
        };
        let form = match (written.argv, written.tool, written.action) {
            (Some(argv), None, None) if written.args.is_none() => {
                let words: Option<Vec<_>> = argv.into_iter().map(WrittenValue::bytes).collect();
                Form::Argv(words.ok_or_else(|| fail("`argv` is a list of texts"))?)
            }
            (None, Some(tool), Some(action)) => Form::Named {
                tool,
                action,
                args: written
                    .args
                    .unwrap_or_default()
                    .0
                    .into_iter()
                    .map(|(name, value)| (name, value.0))
                    .collect(),
            },
            (Some(_), _, _) => return Err(fail("`argv` goes without `tool`, `action` and `args`")),
            _ => return Err(fail("`argv`, or `tool` and `action`, must be given")),
        };
        let cwd = match written.cwd {
            Some(value) => Some(value.bytes().ok_or_else(|| fail("`cwd` is a text"))?),
            None => None,
        };
        Ok((
            id,
            Request {
                form,
                actor: written.actor,
                cwd,
                roots: Vec::new(),
            },
        ))
    }
}

/// A request that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the request cannot be read: {why}")]
#[non_exhaustive]
pub struct RequestError {
    /// The request's own id, if it could be read.
    pub id: Option<serde_json::Value>,
    /// Description of the mistake.
    pub why: String,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default, deserialize_with = "given")]
    id: Option<serde_json::Value>,
    argv: Option<Vec<WrittenValue>>,
    tool: Option<String>,
    action: Option<String>,
    args: Option<WrittenArgs>,
    actor: Option<String>,
    cwd: Option<WrittenValue>,
}

/// A value that is given, even if it is null.
fn given<'de, D: Deserializer<'de>>(from: D) -> Result<Option<serde_json::Value>, D::Error> {
    serde_json::Value::deserialize(from).map(Some)
}

#[derive(Default)]
struct WrittenArgs(Vec<(String, WrittenValue)>);

struct WrittenValue(Value);

impl WrittenValue {
    fn bytes(self) -> Option<Vec<u8>> {
        match self.0 {
            Value::Text(bytes) => Some(bytes),
            Value::Null | Value::Flag(_) | Value::Int(_) | Value::List(_) => None,
        }
    }
}

impl<'de> Deserialize<'de> for WrittenArgs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Args;
        impl<'de> Visitor<'de> for Args {
            type Value = WrittenArgs;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping of arguments")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<WrittenArgs, A::Error> {
                let mut args: Vec<(String, WrittenValue)> = Vec::new();
                let mut known = BTreeSet::new();
                while let Some((name, value)) = access.next_entry::<String, WrittenValue>()? {
                    if !known.insert(name.clone()) {
                        return Err(de::Error::custom(format_args!(
                            "argument `{}` stands twice",
                            name.escape_debug()
                        )));
                    }
                    args.push((name, value));
                }
                Ok(WrittenArgs(args))
            }
        }
        deserializer.deserialize_map(Args)
    }
}

impl<'de> Deserialize<'de> for WrittenValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyValue;
        impl<'de> Visitor<'de> for AnyValue {
            type Value = WrittenValue;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "text, a whole number, a boolean, null, a list of these, or {\"b64\": …}",
                )
            }
            fn visit_unit<E>(self) -> Result<WrittenValue, E> {
                Ok(WrittenValue(Value::Null))
            }
            fn visit_bool<E>(self, value: bool) -> Result<WrittenValue, E> {
                Ok(WrittenValue(Value::Flag(value)))
            }
            fn visit_i64<E>(self, value: i64) -> Result<WrittenValue, E> {
                Ok(WrittenValue(Value::Int(value)))
            }
            fn visit_u64<E: de::Error>(self, value: u64) -> Result<WrittenValue, E> {
                let value =
                    i64::try_from(value).map_err(|_| E::custom("the number is too large"))?;
                Ok(WrittenValue(Value::Int(value)))
            }
            fn visit_str<E>(self, value: &str) -> Result<WrittenValue, E> {
                Ok(WrittenValue(Value::from(value)))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<WrittenValue, A::Error> {
                let mut values = Vec::new();
                while let Some(WrittenValue(value)) = access.next_element()? {
                    values.push(value);
                }
                Ok(WrittenValue(Value::List(values)))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<WrittenValue, A::Error> {
                let entry = access.next_entry::<String, String>()?;
                let bytes = match entry {
                    Some((key, text)) if key == "b64" => {
                        data_encoding::BASE64.decode(text.as_bytes()).ok()
                    }
                    _ => None,
                };
                let ends = access.next_key::<de::IgnoredAny>()?.is_none();
                match bytes.filter(|_| ends) {
                    Some(bytes) => Ok(WrittenValue(Value::Text(bytes))),
                    None => Err(de::Error::custom(
                        "a mapping is {\"b64\": …} with standard base64",
                    )),
                }
            }
        }
        deserializer.deserialize_any(AnyValue)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(line: &str, why: &str) {
        let error = Request::from_json(line).unwrap_err();
        assert!(error.why.contains(why), "{error}");
    }

    #[test]
    fn every_kind_of_value_is_read() {
        let line = r#"{"tool":"t","action":"a","actor":"ci","cwd":"x","args":{"p":{"b64":"/w=="},"l":["x",2],"f":true,"n":null}}"#;
        let (id, request) = Request::from_json(line).unwrap();
        assert_eq!(id, None);
        let Form::Named { args, .. } = &request.form else {
            panic!()
        };
        assert_eq!(args[0], ("p".to_owned(), Value::Text(vec![0xff])));
        assert_eq!(
            args[1].1,
            Value::List(vec![Value::from("x"), Value::Int(2)])
        );
        assert_eq!((&args[2].1, &args[3].1), (&Value::Flag(true), &Value::Null));
        assert_eq!(request.cwd.as_deref(), Some(&b"x"[..]));
    }

    #[test]
    fn what_is_not_understood_is_refused_and_the_id_still_told() {
        refused("", "mapping");
        refused("[]", "write an object");
        refused(
            r#"[1, ["ls"], null, null, null, null, null]"#,
            "write an object",
        );
        refused("{}", "must be given");
        refused(r#"{"argv":["a"],"argv":["b"]}"#, "duplicate");
        refused(r#"{"argv":["a"],"force":true}"#, "unknown field");
        refused(r#"{"argv":"ls -l"}"#, "sequence");
        refused(r#"{"argv":[1]}"#, "list of texts");
        refused(
            r#"{"tool":"t","action":"a","args":{"x":1,"x":2}}"#,
            "stands twice",
        );
        refused(
            r#"{"tool":"t","action":"a","args":{"x":{"b64":"?"}}}"#,
            "base64",
        );
        refused(r#"{"tool":"t","action":"a","args":{"x":1.5}}"#, "float");
        let error = Request::from_json(r#"{"id":"q1","argv":["a"],"force":true}"#).unwrap_err();
        assert_eq!(error.id, Some(serde_json::json!("q1")));
    }
}
