//! Policies to start from: the presets, and a policy composed for the kinds of project that a directory holds.
//!
//! The parts of composed policies are the files below `policy/starters`: `base.yaml` and one for each kind of project.
//! Adding a kind is adding a file. Each has some of these keys:
//!
//! | key | meaning |
//! |---|---|
//! | `detect` | a file or directory of one of these names shows that a project is of this kind |
//! | `use` | the tool libraries that it needs |
//! | `code` `build-files` `secrets` | globs for the scopes of these names |
//! | `program_path` | directories to look programs up in first, where they exist |
//! | `scopes` `rules` `tests` | text that is put into these sections |

#![forbid(unsafe_code)]

use super::source::{self, Node, Value};

/// The presets: their names and texts.
pub(crate) const PRESETS: &[(&str, &str)] = &include!(concat!(env!("OUT_DIR"), "/presets.rs"));

const PARTS: &[(&str, &str)] = &include!(concat!(env!("OUT_DIR"), "/starters.rs"));

/// The part that every composed policy has.
const BASE: &str = "base";

/// One part of composed policies.
pub(crate) struct Part {
    pub(crate) name: &'static str,
    root: Node,
}

impl Part {
    /// The names of files and directories that a project of this kind has one of.
    pub(crate) fn detect(&self) -> impl Iterator<Item = &str> {
        self.list("detect")
    }

    fn list(&self, key: &str) -> impl Iterator<Item = &str> {
        let items = match self.root.value.field(key).map(|node| &node.value) {
            Some(Value::List(items)) => items.as_slice(),
            Some(_) | None => &[],
        };
        items.iter().filter_map(text)
    }

    fn text(&self, key: &str) -> &str {
        self.root
            .value
            .field(key)
            .and_then(text)
            .unwrap_or_default()
    }
}

fn text(node: &Node) -> Option<&str> {
    match &node.value {
        Value::Text { text, .. } => Some(text),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::List(_) | Value::Map(_) => None,
    }
}

fn parts() -> impl Iterator<Item = Part> {
    PARTS.iter().filter_map(|(name, text)| {
        let root = source::parse(text, 0).root?;
        Some(Part { name, root })
    })
}

/// The kinds of project that there is a part for.
pub(crate) fn kinds() -> Vec<Part> {
    parts().filter(|part| part.name != BASE).collect()
}

/// Composes the policy `name` for a project of these kinds. `exists` tells whether there is such a directory.
pub(crate) fn compose(name: &str, kinds: &[Part], exists: impl Fn(&str) -> bool) -> String {
    let base: Vec<Part> = parts().filter(|part| part.name == BASE).collect();
    let parts = || base.iter().chain(kinds);
    let list = |key: &'static str| {
        let mut all: Vec<&str> = Vec::new();
        for item in parts().flat_map(|part| part.list(key)) {
            if !all.contains(&item) {
                all.push(item);
            }
        }
        all
    };
    let path = list("program_path")
        .into_iter()
        .filter(|entry| exists(entry));
    let path: Vec<&str> = path.chain(["/usr/local/bin", "/usr/bin", "/bin"]).collect();
    let names: Vec<&str> = kinds.iter().map(|part| part.name).collect();
    let about = match names.as_slice() {
        [] => "a project".to_owned(),
        names => format!("a project with {}", names.join(", ")),
    };
    let section = |key| {
        let texts = parts().map(|part| part.text(key).trim_end());
        let texts = texts.filter(|text| !text.is_empty()).map(indented);
        texts
            .collect::<Vec<_>>()
            .join(if key == "rules" { "\n\n" } else { "\n" })
    };
    let scopes = match section("scopes") {
        scopes if scopes.is_empty() => scopes,
        scopes => scopes + "\n",
    };
    format!(
        "# Written by `lictor init` for {about}. What to adapt: the scopes `code` and `build-files`.\n\
         # `lictor test` runs the tests below, `lictor lint` looks for what is probably not meant.\n\
         version: 1\n\
         name: {name}\n\
         description: \"Look at everything but secrets, work on the code, ask before what is built or sent changes.\"\n\n\
         use: [{uses}]\n\n\
         scopes:\n  \
           project: [\"**\"]\n  \
           code:\n{code}  \
           # What is read before anything is built or run: a change here changes what that means.\n  \
           build-files:\n{build}  \
           secrets:\n{secrets}{VARIABLES}{scopes}\n\
         {PERSON}\
         defaults: {{program_path: [{path}]}}\n\n\
         rules:\n{rules}\n\n\
         invariants:\n  \
           - {{id: secrets-stay-closed, never: \"*\", paths: [\"**/.env\", \"**/*.pem\", \"**/id_rsa\"]}}\n\n\
         tests:\n{tests}\n",
        uses = list("use").join(", "),
        code = globs(&list("code")),
        build = globs(&list("build-files")),
        secrets = globs(&list("secrets")),
        path = path.join(", "),
        rules = section("rules"),
        tests = section("tests"),
    )
}

const PERSON: &str = "approvals:
  # lint: allow X313 -- a key of yours belongs here: add `by: [\"ssh-ed25519 … name\"]`
  person: {grant: true, max_age: 8h, max_uses: 1}

";

const VARIABLES: &str = "  # Files of variables, but not the examples that are committed.
  variables:
    include: [\"**/.env\", \"**/.env.*\", \"**/.envrc\"]
    exclude: [\"**/.env.{example,sample,template,dist}\", \"**/.env.*.{example,sample,template,dist}\"]
";

fn globs(all: &[&str]) -> String {
    all.iter()
        .map(|glob| format!("    - \"{glob}\"\n"))
        .collect()
}

fn indented(text: &str) -> String {
    let lines = text.lines().map(|line| match line {
        "" => String::new(),
        line => format!("  {line}"),
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::CompiledPolicy;

    #[test]
    fn every_kind_alone_and_all_of_them_compose_a_policy_that_loads() {
        let all = kinds().len();
        assert!(all >= 4);
        for chosen in (0..all).map(|nth| nth..nth + 1).chain([0..0, 0..all]) {
            let kinds: Vec<Part> = kinds().drain(chosen).collect();
            let text = compose("composed", &kinds, |_| true);
            if let Err(errors) = CompiledPolicy::from_yaml(&text) {
                panic!("{errors}\n{text}");
            }
        }
    }

    #[test]
    fn a_part_has_no_other_keys() {
        let known = [
            "detect",
            "use",
            "code",
            "build-files",
            "secrets",
            "program_path",
            "scopes",
            "rules",
            "tests",
        ];
        for part in parts() {
            let Value::Map(entries) = &part.root.value else {
                panic!("{}", part.name);
            };
            for (key, _) in entries {
                assert!(
                    known.contains(&key.value.written().as_str()),
                    "{}: {key:?}",
                    part.name
                );
            }
        }
    }
}
