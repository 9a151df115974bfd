//! Findings of the lint: place, message, advice, proof, and possible change.
//!
//! Plain data. A span says which of the policy's files it is in; the [`Report`](super::Report) holds their
//! texts.

#![forbid(unsafe_code)]

use serde_json::{Value as Json, json};

use crate::policy::Span;

/// Weight of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(
    clippy::exhaustive_enums,
    reason = "three levels are the whole scale, and callers should look at each"
)]
pub enum Level {
    /// Worth knowing.
    Info,
    /// Probably not what is meant.
    Warning,
    /// Wrong, or open where it looks closed.
    Error,
}

impl Level {
    /// The word in text and JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Level::Info => "info",
            Level::Warning => "warning",
            Level::Error => "error",
        }
    }
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Diagnostic {
    /// The rule's code, for example `L201`.
    pub code: &'static str,
    /// The rule's name, for example `dead-allow`.
    pub name: &'static str,
    /// Weight of the finding.
    pub level: Level,
    /// Where.
    pub at: Span,
    /// Description of the mistake: a lowercase fragment without a final period.
    pub message: String,
    /// Advice on how to mend it.
    pub help: Option<String>,
    /// Other places it depends on, for example the rules that cover this one.
    pub related: Vec<Related>,
    /// A path or request that shows it.
    pub witness: Option<Witness>,
    /// A possible change.
    pub fix: Option<Fix>,
}

/// Another place that a finding depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Related {
    /// Where.
    pub at: Span,
    /// Its connection with the finding.
    pub message: String,
}

/// A path or request that shows why a finding holds. A request was decided before it is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Witness {
    /// The path that matters.
    pub path: Option<String>,
    /// The request, by name.
    pub request: Option<NamedRequest>,
    /// The request, as a command line.
    pub argv: Option<Vec<String>>,
    /// The meaning of the witness: a fragment that fits after it.
    pub shows: String,
}

/// A request by name.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NamedRequest {
    /// The tool.
    pub tool: String,
    /// The action.
    pub action: String,
    /// The arguments.
    pub args: Vec<(String, String)>,
    /// Who asks.
    pub actor: String,
    /// The approvals it is given.
    pub approved: Vec<String>,
}

impl Witness {
    /// A path alone.
    pub(crate) fn path(path: impl Into<String>, shows: impl Into<String>) -> Witness {
        Witness {
            path: Some(path.into()),
            shows: shows.into(),
            ..Witness::default()
        }
    }

    /// As it is told to people: `filesystem.read_file path=src/.env: is allowed`.
    #[must_use]
    pub fn text(&self) -> String {
        let subject = match (&self.request, &self.argv, &self.path) {
            (Some(request), _, _) => request.text(),
            (None, Some(argv), _) => format!("`{}`", argv.join(" ").escape_debug()),
            (None, None, Some(path)) => format!("`{}`", path.escape_debug()),
            (None, None, None) => "the policy".to_owned(),
        };
        format!("{subject} {}", self.shows)
    }

    /// As JSON: the request, and the path that matters.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let mut object = serde_json::Map::new();
        if let Some(path) = &self.path {
            object.insert("path".to_owned(), json!(path));
        }
        if let Some(request) = &self.request {
            let args: serde_json::Map<_, _> = request
                .args
                .iter()
                .map(|(name, value)| (name.clone(), json!(value)))
                .collect();
            object.insert("tool".to_owned(), json!(request.tool));
            object.insert("action".to_owned(), json!(request.action));
            object.insert("args".to_owned(), Json::Object(args));
            object.insert("actor".to_owned(), json!(request.actor));
            if !request.approved.is_empty() {
                object.insert("approved".to_owned(), json!(request.approved));
            }
        }
        if let Some(argv) = &self.argv {
            object.insert("argv".to_owned(), json!(argv));
        }
        object.insert("shows".to_owned(), json!(self.shows));
        Json::Object(object)
    }
}

impl NamedRequest {
    fn text(&self) -> String {
        let args = self
            .args
            .iter()
            .map(|(name, value)| format!(" {name}={}", value.escape_debug()));
        let asked = if self.actor == super::samples::ANYONE {
            String::new()
        } else {
            format!(" by `{}`", self.actor.escape_debug())
        };
        format!(
            "`{}.{}{}`{asked}",
            self.tool,
            self.action,
            args.collect::<String>()
        )
    }
}

/// A change that would settle a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fix {
    /// Safety of making the change without a look at it.
    pub safety: Safety,
    /// Description of the change, for people.
    pub message: String,
    /// The changes; they do not overlap.
    pub edits: Vec<Edit>,
}

/// Safety of making a fix without a look at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "either the decisions stay as they are, or somebody has to look"
)]
pub enum Safety {
    /// Every decision stays as it was.
    Safe,
    /// It may change decisions: somebody has to look at it.
    Suggested,
}

impl Safety {
    /// The word in JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Safety::Safe => "safe",
            Safety::Suggested => "suggested",
        }
    }
}

/// Text in place of a stretch of bytes of the policy's first file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Edit {
    /// First byte that goes.
    pub start: usize,
    /// First byte that stays.
    pub end: usize,
    /// The text that takes its place.
    pub text: String,
}

impl Fix {
    pub(crate) fn new(safety: Safety, message: impl Into<String>, edits: Vec<Edit>) -> Fix {
        Fix {
            safety,
            message: message.into(),
            edits,
        }
    }

    /// As JSON.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let edits: Vec<_> = self
            .edits
            .iter()
            .map(|edit| json!({"start": edit.start, "end": edit.end, "text": edit.text}))
            .collect();
        json!({"safety": self.safety.word(), "message": self.message, "edits": edits})
    }
}

impl Edit {
    pub(crate) fn replace(at: Span, text: impl Into<String>) -> Edit {
        let start = usize::try_from(at.offset).unwrap_or(usize::MAX);
        let len = usize::try_from(at.len).unwrap_or(0);
        Edit {
            start,
            end: start.saturating_add(len),
            text: text.into(),
        }
    }

    pub(crate) fn insert(at: usize, text: impl Into<String>) -> Edit {
        Edit {
            start: at,
            end: at,
            text: text.into(),
        }
    }
}

impl Diagnostic {
    pub(crate) fn help(&mut self, help: impl Into<String>) -> &mut Diagnostic {
        self.help = Some(help.into());
        self
    }

    pub(crate) fn witness(&mut self, witness: Witness) -> &mut Diagnostic {
        self.witness = Some(witness);
        self
    }

    pub(crate) fn fix(&mut self, fix: impl Into<Option<Fix>>) -> &mut Diagnostic {
        self.fix = fix.into();
        self
    }

    pub(crate) fn level(&mut self, level: Level) -> &mut Diagnostic {
        self.level = level;
        self
    }

    pub(crate) fn related(&mut self, at: Span, message: impl Into<String>) -> &mut Diagnostic {
        self.related.push(Related {
            at,
            message: message.into(),
        });
        self
    }
}
