//! The tree of one document -> [`Policy`]: every key of the language, and all mistakes in one run.
//!
//! This file is the document's top level; `fields.rs` reads mappings and single values, the others
//! one section each. A value that cannot be read is reported and left out; its neighbours are still
//! read. Names are looked up later, in [`compile`](super::compile).

#![forbid(unsafe_code)]

mod fields;
mod rules;
mod tests_section;
mod tools;
mod values;

use super::error::{Code, Problem, Problems};
use super::model::{
    Approval, ApprovalKind, DiskRules, LedgerSettings, Library, Parent, PathRules, Policy, Scope,
    ShellSettings, Tool,
};
use super::signers;
use super::source::{Node, Parsed, Span, Value};
use crate::path::{
    Backslash, Braces, Colon, Dot, Edges, Expansion, Nfc, Percent, ShortNames, Unicode,
    WindowsNames,
};
use fields::Fields;
pub(crate) use fields::nearest;

/// Result of decoding one document.
pub(crate) struct Decoded<T> {
    pub(crate) value: T,
    pub(crate) problems: Problems,
    /// Only the beginning could be read: do not complain about what is missing.
    pub(crate) partial: bool,
}

/// Reads a policy.
pub(crate) fn policy(parsed: Parsed) -> Decoded<Policy> {
    let mut decoder = Decoder {
        problems: parsed.problems.into(),
        partial: parsed.partial,
        is_compiled_in: false,
        is_library: false,
        normalises: false,
    };
    let value = parsed
        .root
        .map(|root| decoder.top(&root))
        .unwrap_or_default();
    Decoded {
        value,
        problems: decoder.problems,
        partial: decoder.partial,
    }
}

/// Reads a tool library: a document that holds only `version`, `tools` and `tests`.
pub(crate) fn library(parsed: Parsed) -> Decoded<Library> {
    let mut decoder = Decoder {
        problems: parsed.problems.into(),
        partial: parsed.partial,
        is_compiled_in: false,
        is_library: true,
        normalises: false,
    };
    let value = parsed
        .root
        .map(|root| decoder.library_top(&root))
        .unwrap_or_default();
    Decoded {
        value,
        problems: decoder.problems,
        partial: decoder.partial,
    }
}

/// Returns true for the document of a tool library: it declares tools, and has no key that makes it a policy.
pub(crate) fn is_library(root: &Node) -> bool {
    let Value::Map(entries) = &root.value else {
        return false;
    };
    let has = |name: &str| {
        let mut keys = entries.iter().map(|(key, _)| &key.value);
        keys.any(|key| matches!(key, Value::Text { text, .. } if text == name))
    };
    let of_policies = ["name", "use", "extends", "scopes", "rules", "invariants"];
    has("tools") && !of_policies.into_iter().any(has)
}

/// Reads a compiled-in library. That nothing is wrong with it is known, so not everything is checked.
pub(crate) fn known_library(root: &Node) -> Vec<Tool> {
    let mut decoder = Decoder {
        problems: Problems::default(),
        partial: false,
        is_compiled_in: true,
        is_library: true,
        normalises: false,
    };
    decoder.library_top(root).tools
}

/// The mistakes found so far.
struct Decoder {
    problems: Problems,
    partial: bool,
    /// The text is one that the tests of this crate have read.
    is_compiled_in: bool,
    /// The document is a tool library.
    is_library: bool,
    /// Paths are normalised before they are matched, so patterns are too.
    normalises: bool,
}

const TOP: &[&str] = &[
    "version",
    "name",
    "description",
    "workspace",
    "use",
    "extends",
    "scopes",
    "approvals",
    "tools",
    "rules",
    "invariants",
    "tests",
    "defaults",
    "paths",
    "ledger",
    "shell",
];

impl Decoder {
    fn top(&mut self, root: &Node) -> Policy {
        if matches!(root.value, Value::Null) && !self.partial {
            self.invalid(
                root.at,
                "the document is empty",
                "begin it with `version: 1`, `name: …`, and rules",
            );
            return Policy::default();
        }
        let Some(top) = self.fields(root, "a policy", TOP) else {
            return Policy::default();
        };
        self.version(&top);
        let mut policy = Policy {
            name: self.policy_name(&top, root).unwrap_or_default(),
            description: self.optional(&top, "description", Self::text),
            workspace: self.optional(&top, "workspace", Self::text),
            uses: self
                .optional(&top, "use", |d, n| {
                    d.list_of(n, "a library", Self::spanned_text)
                })
                .unwrap_or_default(),
            ..Policy::default()
        };
        // Before the patterns, which are read as it says.
        if let Some(node) = top.get("paths") {
            policy.paths = self.paths(node);
            policy.states.paths = true;
            self.normalises = policy.paths.switches.nfc == Nfc::Ignore;
        }
        if let Some(node) = top.get("extends") {
            policy.extends = self
                .items(node)
                .into_iter()
                .filter_map(|(_, entry)| self.parent(entry))
                .collect();
        }
        if let Some(node) = top.get("scopes") {
            policy.scopes = self.named(node, "scopes", |d, name, _, node| d.scope(name, node));
        }
        if let Some(node) = top.get("approvals") {
            policy.approvals = self.named(node, "approvals", |d, name, at, node| {
                d.approval(name, at, node)
            });
        }
        if let Some(node) = top.get("tools") {
            policy.tools = self.named(node, "tools", |d, name, at, node| d.tool(name, at, node));
        }
        if let Some(node) = top.get("rules") {
            policy.rules = self.list(node, "rules", Self::rule);
        }
        if let Some(node) = top.get("invariants") {
            policy.invariants = self.list(node, "invariants", Self::invariant);
        }
        if let Some(node) = top.get("tests") {
            policy.tests = self.list(node, "tests", Self::test);
        }
        if let Some(node) = top.get("defaults") {
            self.defaults(node, &mut policy);
        }
        if let Some(node) = top.get("ledger") {
            policy.ledger = self.ledger(node);
        }
        if let Some(node) = top.get("shell") {
            policy.shell = self.shell(node);
            policy.states.shell = true;
        }
        policy
    }

    fn library_top(&mut self, root: &Node) -> Library {
        let keys = &["version", "tools", "tests"];
        let Some(top) = self.fields(root, "a tool library", keys) else {
            return Library::default();
        };
        self.version(&top);
        let mut library = Library::default();
        match top.get("tools") {
            Some(node) => {
                library.tools =
                    self.named(node, "tools", |d, name, at, node| d.tool(name, at, node));
            }
            None => self.missing(&top, "tools", "a library declares at least one tool"),
        }
        if let Some(node) = top.get("tests") {
            library.tests = self.list(node, "tests", Self::test);
        }
        library
    }

    fn version(&mut self, top: &Fields<'_>) {
        let Some(node) = top.get("version") else {
            if !self.partial {
                let problem = Problem::new(Code::P003, top.start(), "`version` is missing")
                    .with_help("begin the document with `version: 1`");
                self.problems.push(problem);
            }
            return;
        };
        let is_known = matches!(&node.value, Value::Number(text) if text == "1");
        if !is_known {
            let problem = Problem::new(
                Code::P003,
                node.at,
                "this version of the language is not known",
            )
            .with_help("write `version: 1`")
            .with_replacement("1");
            self.problems.push(problem);
        }
    }

    fn policy_name(&mut self, top: &Fields<'_>, root: &Node) -> Option<String> {
        let Some(node) = top.get("name") else {
            if is_library(root) {
                let help =
                    "name it in a policy, `use: [FILE]`; `lictor lint FILE` looks at it by itself";
                self.invalid(top.start(), "this is a tool library, and no policy", help);
            } else {
                self.missing(top, "name", "for example `name: my-project`");
            }
            return None;
        };
        let name = self.text(node)?;
        let fits = (1..=64).contains(&name.len())
            && name
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if !fits {
            self.invalid(
                node.at,
                format!("`{}` is no name of a policy", name.escape_debug()),
                "1 to 64 lowercase letters, digits and `-`",
            );
            return None;
        }
        Some(name)
    }

    fn parent(&mut self, node: &Node) -> Option<Parent> {
        let Value::Map(_) = node.value else {
            return Some(Parent {
                file: self.text(node)?,
                at: node.at,
                sha256: None,
                narrow: false,
            });
        };
        let fields = self.fields(node, "a parent", &["file", "sha256", "narrow"])?;
        let file = self.required(&fields, "file", "the policy to extend", Self::text);
        let sha256 = self.optional(&fields, "sha256", |d, node| {
            let digest = d.text(node)?;
            if digest.len() == 64 && digest.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Some(digest.to_ascii_lowercase());
            }
            d.invalid(
                node.at,
                "`sha256` is not a SHA-256 digest",
                "64 hexadecimal digits, as `sha256sum` prints them",
            );
            None
        });
        let narrow = self.optional(&fields, "narrow", Self::boolean);
        Some(Parent {
            file: file?,
            at: node.at,
            sha256,
            narrow: narrow.unwrap_or(false),
        })
    }

    fn scope(&mut self, name: String, node: &Node) -> Scope {
        let mut scope = Scope {
            name,
            include: Vec::new(),
            exclude: Vec::new(),
        };
        if let Value::Map(_) = node.value {
            if let Some(fields) = self.fields(node, "a scope", &["include", "exclude"]) {
                scope.include = self
                    .required(
                        &fields,
                        "include",
                        "the patterns of the scope",
                        Self::patterns,
                    )
                    .unwrap_or_default();
                scope.exclude = self
                    .optional(&fields, "exclude", Self::patterns)
                    .unwrap_or_default();
            }
        } else {
            scope.include = self.patterns(node).unwrap_or_default();
        }
        scope
    }

    /// A public key that can sign grants.
    fn key(&mut self, node: &Node) -> Option<String> {
        let text = self.text(node)?;
        if let Err(no_key) = signers::check(&text) {
            self.invalid(node.at, no_key.why, no_key.help);
            return None;
        }
        Some(text)
    }

    fn approval(&mut self, name: String, at: Span, node: &Node) -> Option<Approval> {
        let keys = &[
            "env",
            "accept",
            "reference",
            "grant",
            "by",
            "max_age",
            "max_uses",
        ];
        let fields = self.fields(node, "an approval", keys)?;
        let reference = self.optional(&fields, "reference", Self::text);
        let kind = match (fields.get("env"), fields.get("grant")) {
            (Some(env), None) => {
                self.only_with(&fields, &["by", "max_age", "max_uses"], "grant");
                let variable = self.variable(env)?;
                let accept = self
                    .optional(&fields, "accept", |d, n| {
                        d.list_of(n, "a value", Self::text)
                    })
                    .unwrap_or_else(|| vec!["true".to_owned(), "1".to_owned(), "yes".to_owned()]);
                ApprovalKind::Switch { variable, accept }
            }
            (None, Some(grant)) => {
                self.only_with(&fields, &["accept"], "env");
                if !self.boolean(grant)? {
                    self.invalid(
                        grant.at,
                        "an approval that nothing can grant",
                        "write `grant: true`",
                    );
                    return None;
                }
                ApprovalKind::Grant {
                    by: self
                        .optional(&fields, "by", |d, n| d.list_of(n, "a key", Self::key))
                        .unwrap_or_default(),
                    max_age: self.optional(&fields, "max_age", Self::duration),
                    max_uses: self.optional(&fields, "max_uses", Self::positive),
                }
            }
            (Some(_), Some(grant)) => {
                self.invalid(
                    grant.at,
                    "an approval is a switch or a grant, not both",
                    "make two approvals of it",
                );
                return None;
            }
            (None, None) => {
                self.missing(&fields, "env", "or `grant: true`: how is it granted?");
                return None;
            }
        };
        Some(Approval {
            name,
            at,
            kind,
            reference,
        })
    }

    fn paths(&mut self, node: &Node) -> PathRules {
        let mut rules = PathRules::default();
        let keys = &[
            "dot",
            "nfc",
            "unicode",
            "percent",
            "expansion",
            "colon",
            "braces",
            "edges",
            "windows_names",
            "short_names",
            "protected",
            "backslash",
            "symlinks",
            "mounts",
            "hardlinks",
        ];
        let Some(fields) = self.fields(node, "`paths`", keys) else {
            return rules;
        };
        let switches = &mut rules.switches;
        macro_rules! switch {
            ($($key:ident: $type:ident),+) => {
                $(if let Some(value) = self.word(&fields, stringify!($key), $type::ALL.iter().map(|v| (v.name(), *v))) {
                    switches.$key = value;
                })+
            };
        }
        switch!(dot: Dot, nfc: Nfc, unicode: Unicode, percent: Percent, expansion: Expansion, colon: Colon,
            braces: Braces, edges: Edges, windows_names: WindowsNames, short_names: ShortNames, backslash: Backslash);
        if let Some(names) = self.optional(&fields, "protected", |d, n| {
            d.list_of(n, "a name", Self::text)
        }) {
            switches.protected = names;
        }
        let DiskRules {
            symlinks_within,
            cross_mounts,
            deny_hardlinks,
        } = &mut rules.disk;
        if let Some(value) = self.word(&fields, "symlinks", [("deny", false), ("within", true)]) {
            *symlinks_within = value;
        }
        if let Some(value) = self.word(&fields, "mounts", [("deny", false), ("cross", true)]) {
            *cross_mounts = value;
        }
        if let Some(value) = self.word(&fields, "hardlinks", [("warn", false), ("deny", true)]) {
            *deny_hardlinks = value;
        }
        rules
    }

    fn ledger(&mut self, node: &Node) -> LedgerSettings {
        let keys = &["path", "redact", "keep_output", "allow_unsafe_filesystem"];
        let Some(fields) = self.fields(node, "`ledger`", keys) else {
            return LedgerSettings::default();
        };
        LedgerSettings {
            path: self.optional(&fields, "path", Self::text),
            redact: self
                .optional(&fields, "redact", |d, n| {
                    d.list_of(n, "an expression", Self::expression)
                })
                .unwrap_or_default(),
            keep_output: self
                .optional(&fields, "keep_output", Self::boolean)
                .unwrap_or_default(),
            allow_unsafe_filesystem: self
                .optional(&fields, "allow_unsafe_filesystem", Self::boolean)
                .unwrap_or_default(),
        }
    }

    fn shell(&mut self, node: &Node) -> ShellSettings {
        let Some(fields) = self.fields(node, "`shell`", &["unparsed", "filters"]) else {
            return ShellSettings::default();
        };
        ShellSettings {
            ask_unparsed: self
                .word(&fields, "unparsed", [("deny", false), ("ask", true)])
                .unwrap_or_default(),
            filters: self
                .optional(&fields, "filters", |d, n| {
                    d.list_of(n, "a command", Self::text)
                })
                .unwrap_or_default(),
        }
    }
}
