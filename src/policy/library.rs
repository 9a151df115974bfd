//! The tool libraries that are compiled in.
//!
//! Each is written as YAML, for people, and kept beside it as JSON, for the program: reading six
//! libraries as YAML takes three times the processor time that a whole `lictor check` may take. A test
//! holds that the two say the same; `UPDATE_EXPECT=1` writes the JSON anew.

#![forbid(unsafe_code)]

use std::fmt;
use std::sync::OnceLock;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::source::{self, Node, SourceFile, Span, Value};

/// A tool library that is compiled in.
#[derive(Debug)]
pub struct Library {
    name: &'static str,
    yaml: &'static str,
    json: &'static str,
}

/// Returns the compiled-in tool libraries, in the order of their names.
///
/// ```
/// let mut names = lictor::policy::libraries().map(|library| library.name());
/// assert!(names.any(|name| name == "lictor/pytest@1"));
/// ```
pub fn libraries() -> impl Iterator<Item = &'static Library> + Clone {
    LIBRARIES.iter()
}

/// Every library, in the order of their names: the files below `policy/tools`, as `build.rs` finds them.
pub(crate) const LIBRARIES: &[Library] = &include!(concat!(env!("OUT_DIR"), "/libraries.rs"));

/// The compiled-in library of that name.
pub(crate) fn find(name: &str) -> Option<&'static Library> {
    LIBRARIES.iter().find(|library| library.name == name)
}

impl Library {
    /// The name that `use` and `extends` take, for example `lictor/pytest@1`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The YAML document as its authors wrote it, with its comments and tests.
    #[must_use]
    pub fn text(&self) -> &'static str {
        self.yaml
    }

    /// The first sentence of its head: what it is about.
    ///
    /// ```
    /// let files = lictor::policy::libraries().find(|library| library.name() == "lictor/files@1");
    /// let summary = files.map(|library| library.summary());
    /// assert_eq!(summary, Some("what an agent does to files by itself, without starting a program"));
    /// ```
    #[must_use]
    pub fn summary(&self) -> &'static str {
        let head = self.yaml.lines().next().unwrap_or_default();
        let (_, said) = head.split_once(": ").unwrap_or_default();
        let (first, _) = said.split_once(". ").unwrap_or((said, ""));
        first.trim_end_matches('.')
    }

    /// The names of the tools that it declares.
    pub fn tools(&self) -> impl Iterator<Item = &'static str> {
        let entries = match self.tree().and_then(|tree| tree.value.field("tools")) {
            Some(Node {
                value: Value::Map(entries),
                ..
            }) => entries.as_slice(),
            Some(_) | None => &[],
        };
        entries.iter().filter_map(|(name, _)| match &name.value {
            Value::Text { text, .. } => Some(text.as_str()),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::List(_) | Value::Map(_) => {
                None
            }
        })
    }

    /// The library as the tree that its YAML would be read as, without places: nothing is wrong in it.
    /// Read once in a process and kept: taking it down again costs as much as putting it up.
    pub(crate) fn tree(&self) -> Option<&'static Node> {
        let nth = LIBRARIES
            .iter()
            .position(|library| library.name == self.name)?;
        let read = || {
            serde_json::from_str::<Placeless>(self.json)
                .ok()
                .map(|placeless| placeless.0)
        };
        TREES.get(nth)?.get_or_init(read).as_ref()
    }
}

/// The names of the tools that a library declares, compiled in or not.
pub(crate) fn declared_tools(file: &SourceFile) -> Vec<String> {
    if let Some(library) = find(&file.name) {
        return library.tools().map(str::to_owned).collect();
    }
    let root = source::parse(&file.text, 0).root;
    let tools = root.as_ref().and_then(|root| root.value.field("tools"));
    match tools.map(|tools| &tools.value) {
        Some(Value::Map(entries)) => entries.iter().map(|(key, _)| key.value.written()).collect(),
        Some(_) | None => Vec::new(),
    }
}

/// The library that declares a tool which a command line with these first words calls.
pub(crate) fn declaring(words: &[&str]) -> Option<&'static Library> {
    let calls = |node: &Node| match &node.value {
        Value::Text { text, .. } => {
            let mut way = text.split(' ').enumerate();
            way.all(|(nth, word)| words.get(nth) == Some(&word))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::List(_) | Value::Map(_) => false,
    };
    let declares = |library: &&Library| {
        let Some(Value::Map(tools)) = library
            .tree()
            .and_then(|tree| tree.value.field("tools"))
            .map(|tools| &tools.value)
        else {
            return false;
        };
        tools.iter().any(|(name, tool)| {
            let is_also = match tool.value.field("also").map(|also| &also.value) {
                Some(Value::List(ways)) => ways.iter().any(calls),
                Some(_) | None => false,
            };
            // A tool without a program is asked for by its name.
            is_also || calls(tool.value.field("program").unwrap_or(name))
        })
    };
    LIBRARIES.iter().find(declares)
}

static TREES: [OnceLock<Option<Node>>; LIBRARIES.len()] =
    [const { OnceLock::new() }; LIBRARIES.len()];

struct Placeless(Node);

impl<'de> Deserialize<'de> for Placeless {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Tree)
    }
}

struct Tree;

fn node<E>(value: Value) -> Result<Placeless, E> {
    Ok(Placeless(Node {
        at: Span::default(),
        value,
    }))
}

impl<'de> Visitor<'de> for Tree {
    type Value = Placeless;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }
    fn visit_bool<E>(self, value: bool) -> Result<Placeless, E> {
        node(Value::Bool(value))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Placeless, E> {
        node(Value::Number(value.to_string()))
    }
    fn visit_u64<E>(self, value: u64) -> Result<Placeless, E> {
        node(Value::Number(value.to_string()))
    }
    fn visit_str<E: de::Error>(self, value: &str) -> Result<Placeless, E> {
        node(Value::Text {
            text: value.to_owned(),
            plain: false,
        })
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Placeless, A::Error> {
        let mut items = Vec::new();
        while let Some(Placeless(item)) = access.next_element()? {
            items.push(item);
        }
        node(Value::List(items))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Placeless, A::Error> {
        let mut entries = Vec::new();
        while let Some((Placeless(key), Placeless(value))) = access.next_entry()? {
            entries.push((key, value));
        }
        node(Value::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::decode;
    use crate::policy::pattern::TextPattern;

    fn written(node: &Node, into: &mut String) {
        let quoted = |text: &str| serde_json::to_string(text).unwrap();
        match &node.value {
            Value::Null => into.push_str("null"),
            Value::Bool(value) => into.push_str(&value.to_string()),
            Value::Number(text) => into.push_str(text),
            Value::Text { text, .. } => into.push_str(&quoted(text)),
            Value::List(items) => {
                into.push('[');
                for (nth, item) in items.iter().enumerate() {
                    into.push_str(if nth == 0 { "" } else { "," });
                    written(item, into);
                }
                into.push(']');
            }
            Value::Map(entries) => {
                into.push('{');
                for (nth, (key, value)) in entries.iter().enumerate() {
                    into.push_str(if nth == 0 { "" } else { ",\n" });
                    written(key, into);
                    into.push(':');
                    written(value, into);
                }
                into.push('}');
            }
        }
    }

    fn patterns(node: &Node, into: &mut Vec<String>) {
        match &node.value {
            Value::List(items) => items.iter().for_each(|item| patterns(item, into)),
            Value::Map(entries) => {
                for (key, value) in entries {
                    match (&key.value, &value.value) {
                        (Value::Text { text: key, .. }, Value::Text { text, .. })
                            if key == "pattern" =>
                        {
                            into.push(text.clone())
                        }
                        _ => patterns(value, into),
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text { .. } => {}
        }
    }

    #[test]
    fn every_expression_of_the_libraries_compiles() {
        let mut found = Vec::new();
        for library in LIBRARIES {
            patterns(library.tree().unwrap(), &mut found);
        }
        assert!(found.len() > 20);
        for text in found {
            assert!(TextPattern::parse(&text).unwrap().compiles(), "{text}");
        }
    }

    #[test]
    #[expect(
        clippy::disallowed_methods,
        reason = "how a golden file is asked to be written anew"
    )]
    fn the_compiled_form_of_each_library_says_what_its_text_says() {
        for library in LIBRARIES {
            let parsed = source::parse(library.yaml, 0);
            assert_eq!(parsed.problems, [], "{}", library.name);
            let decoded = decode::library(source::parse(library.yaml, 0));
            assert_eq!(*decoded.problems, [], "{}", library.name);
            let mut json = String::new();
            let mut root = parsed.root.unwrap();
            if let Value::Map(entries) = &mut root.value {
                entries.retain(|(key, _)| !key.value.is_text("tests"));
            }
            written(&root, &mut json);
            json.push('\n');
            let file = library
                .name
                .trim_start_matches("lictor/")
                .trim_end_matches("@1");
            if std::env::var_os("UPDATE_EXPECT").is_some() {
                std::fs::write(format!("policy/tools/compiled/{file}.json"), &json).unwrap();
                continue;
            }
            assert_eq!(
                library.json, json,
                "run the tests once with UPDATE_EXPECT=1"
            );
            let mut read_back = String::new();
            written(library.tree().unwrap(), &mut read_back);
            assert_eq!(library.json.trim_end(), read_back);
        }
    }
}
