//! A policy as its author meant it: values checked one by one, names not yet looked up.
//!
//! `decode` makes it from the text, `compile` looks the names up.
//! Every part knows where it stands in the text, so that a later complaint can point at it.

#![forbid(unsafe_code)]

use std::time::Duration;

use super::glob::Pattern;
use super::source::Span;
use super::terms::{Containment, Keep, Leaks, ReportKind, ReportTrouble, StopSignal};
use crate::path::{Switches, Syntax};

/// One document, checked for form.
#[derive(Clone, Debug, Default)]
pub(crate) struct Policy {
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) workspace: Option<String>,
    pub(crate) uses: Vec<(String, Span)>,
    pub(crate) extends: Vec<Parent>,
    pub(crate) scopes: Vec<Scope>,
    pub(crate) approvals: Vec<Approval>,
    pub(crate) tools: Vec<Tool>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) invariants: Vec<Invariant>,
    pub(crate) tests: Vec<Test>,
    pub(crate) defaults: StatedTerms,
    pub(crate) program_path: Option<Vec<(String, Span)>>,
    /// The name of what runs commands.
    pub(crate) executor: Option<String>,
    pub(crate) paths: PathRules,
    pub(crate) ledger: LedgerSettings,
    pub(crate) shell: ShellSettings,
    pub(crate) states: States,
}

/// A tool library, checked for form.
#[derive(Clone, Debug, Default)]
pub(crate) struct Library {
    pub(crate) tools: Vec<Tool>,
    /// Command lines, and what comes of them where a policy allows all that the tools declare.
    pub(crate) tests: Vec<Test>,
}

/// Which sections that are never empty stand in the document.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct States {
    pub(crate) paths: bool,
    pub(crate) shell: bool,
}

/// A policy that this one extends.
#[derive(Clone, Debug)]
pub(crate) struct Parent {
    /// Its file, relative to the one that names it.
    pub(crate) file: String,
    pub(crate) at: Span,
    /// The SHA-256 that its bytes must have, in lower-case hex.
    pub(crate) sha256: Option<String>,
    /// Everything that is allowed must be allowed by it.
    pub(crate) narrow: bool,
}

/// Rules for reading paths, and for answers of the disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct PathRules {
    pub(crate) switches: Switches,
    pub(crate) disk: DiskRules,
}

/// Rules for answers of the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct DiskRules {
    /// Links that stay inside the workspace may be followed.
    pub symlinks_within: bool,
    /// A path may lead onto another mount.
    pub cross_mounts: bool,
    /// A file with several hard links is refused, not only reported.
    pub deny_hardlinks: bool,
}

/// Where the record is kept, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LedgerSettings {
    /// Directory of the ledger, relative to the policy's file.
    pub path: Option<String>,
    /// Text matching one of these is redacted before it is recorded.
    pub redact: Vec<String>,
    /// Outputs are kept beside the ledger.
    pub keep_output: bool,
    /// The ledger may lie on a file system whose durability is not known.
    pub allow_unsafe_filesystem: bool,
}

/// Settings for shell text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShellSettings {
    /// Text that is not understood is asked for instead of denied.
    pub ask_unparsed: bool,
    /// Commands without path arguments that may follow a pipe.
    pub filters: Vec<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct Scope {
    pub(crate) name: String,
    pub(crate) include: Vec<(Pattern, Span)>,
    pub(crate) exclude: Vec<(Pattern, Span)>,
}

/// Something that must be granted before an allow rule counts.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Approval {
    /// Its name in the policy.
    pub name: String,
    /// Where it is declared.
    pub at: Span,
    /// Way in which it is granted.
    pub kind: ApprovalKind,
    /// Where people find out more, for example a change request.
    pub reference: Option<String>,
}

/// Way in which an approval is granted.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ApprovalKind {
    /// By a switch in lictor's own environment.
    Switch {
        /// The variable.
        variable: String,
        /// The values that count as yes, compared without regard to ASCII case.
        accept: Vec<String>,
    },
    /// By a person's recorded grant.
    Grant {
        /// Keys that must have signed it; empty: any.
        by: Vec<String>,
        /// Longest time for which a grant may count.
        max_age: Option<Duration>,
        /// Largest number of uses of a grant.
        max_uses: Option<u64>,
    },
}

/// A tool: actions that can be asked for, and how a command line spells them.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// Where it is declared.
    pub at: Span,
    /// The program that performs its actions; none: the host performs them.
    pub program: Option<String>,
    /// Other ways it is called, each as leading words.
    pub also: Vec<Vec<String>>,
    /// Words right after the program, always. `{workspace}` in one is the way to the workspace.
    pub fixed: Vec<String>,
    /// Variables that every run of it gets.
    pub env: Vec<(String, String)>,
    /// `-xvs` is `-x -v -s`.
    pub bundle: bool,
    /// An action's options may stand before its command words, too.
    pub options_first: bool,
    /// It reads the workspace's git repository.
    pub repository: bool,
    /// Options that stand before the command words.
    pub args: Vec<Argument>,
    /// Words that a line which no action takes may hold, one after the other, and what to do instead.
    pub left_out: Vec<(Vec<String>, String)>,
    /// Its actions.
    pub actions: Vec<Action>,
}

/// Placeholder in a fixed word for the way from the directory that the program resolves paths from to the
/// workspace: `.`, `..`, `../..` and so on.
pub(crate) const WORKSPACE: &str = "{workspace}";

impl Tool {
    /// The variables that a run of an action gets, each once.
    pub(crate) fn env_of<'t>(
        &'t self,
        action: &'t Action,
    ) -> impl Iterator<Item = &'t (String, String)> {
        let is_said =
            |(name, _): &&(String, String)| !action.env.iter().any(|(own, _)| own == name);
        self.env.iter().filter(is_said).chain(&action.env)
    }

    /// Returns true if a fixed word of the tool or the action says where the workspace is.
    pub(crate) fn names_workspace(&self, action: &Action) -> bool {
        let own = action.fixed.iter().chain(&action.fixed_last);
        let mut fixed = self.fixed.iter().chain(own);
        fixed.any(|word| word.contains(WORKSPACE))
    }

    /// All arguments of one of the tool's actions: those of the tool, those of the action, those behind `--`.
    pub(crate) fn arguments<'t>(
        &'t self,
        action: &'t Action,
    ) -> impl Iterator<Item = &'t Argument> {
        let after = action.after.iter().flatten();
        self.args.iter().chain(&action.args).chain(after)
    }

    /// The written path arguments of an action that one scope for all of its paths does not cover, but only a
    /// scope that is named for them: options that name a file to write beside what the action is about
    /// (`--junitxml`).
    ///
    /// A path that must be given or is implied is what the action is about, and so is any path of an action that
    /// reads none.
    pub(crate) fn apart<'t>(&'t self, action: &'t Action) -> impl Iterator<Item = &'t str> {
        let all = || {
            self.arguments(action)
                .filter_map(|argument| match &argument.kind {
                    ArgumentKind::Path(kind) => Some((argument, kind)),
                    ArgumentKind::Flag
                    | ArgumentKind::Text { .. }
                    | ArgumentKind::Int { .. }
                    | ArgumentKind::Choice(_) => None,
                })
        };
        let reads = all().any(|(_, kind)| kind.access != Access::Write && !kind.base);
        let apart = all().filter(move |(argument, kind)| {
            reads && kind.access == Access::Write && !argument.required && !kind.is_implied()
        });
        apart.map(|(argument, _)| argument.name.as_str())
    }
}

/// One action of a tool.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Action {
    /// Its name.
    pub name: String,
    /// Where it is declared.
    pub at: Span,
    /// Alternatives of literal words that select it; the first is rendered. Empty: none.
    pub command: Vec<Vec<String>>,
    /// Words right after the command words, always. `{workspace}` in one is the way to the workspace.
    pub fixed: Vec<String>,
    /// Words behind its options, always: a program that lets the last one win lets these win.
    pub fixed_last: Vec<String>,
    /// Variables that every run of it gets, before those of the tool.
    pub env: Vec<(String, String)>,
    /// Description of the files that it writes whose names nobody can tell beforehand. Only a rule with an
    /// approval allows it.
    pub unnamed: Option<String>,
    /// Its arguments.
    pub args: Vec<Argument>,
    /// Arguments behind `--`, which is then always rendered.
    pub after: Option<Vec<Argument>>,
    /// The format of the command's summary.
    pub report: Option<ReportKind>,
}

/// One declared argument.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Argument {
    /// Its name.
    pub name: String,
    /// Where it is declared.
    pub at: Span,
    /// Kind of value that it takes.
    pub kind: ArgumentKind,
    /// Its spelling on a command line.
    pub spelling: Spelling,
    /// It must be given.
    pub required: bool,
    /// It may be given more than once.
    pub repeat: bool,
}

/// Kind of value that an argument takes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ArgumentKind {
    /// A path.
    Path(PathArgument),
    /// Nothing: it is there or not.
    Flag,
    /// Text.
    Text {
        /// Pattern that the whole text must match.
        pattern: Option<super::pattern::TextPattern>,
        /// Line breaks are allowed.
        lines: bool,
        /// It may begin with `-`.
        dash: bool,
        /// Text that is written behind it, and behind each side of `..` or `...` in it.
        suffix: Option<String>,
        /// Description of a fitting value, for a person who writes one that does not fit.
        means: Option<String>,
    },
    /// A whole number.
    Int {
        /// Smallest.
        min: i64,
        /// Largest.
        max: i64,
    },
    /// One of these words.
    Choice(Vec<String>),
}

impl ArgumentKind {
    /// Text that is passed on behind a value.
    pub(crate) fn suffix(&self) -> Option<&str> {
        if let ArgumentKind::Text { suffix, .. } = self {
            suffix.as_deref()
        } else {
            None
        }
    }
}

/// Properties of a path argument.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PathArgument {
    /// The tool's use of the path.
    pub access: Access,
    /// Syntax of the text.
    pub syntax: Syntax,
    /// Meaning of a directory.
    pub tree: Tree,
    /// Meaning of its absence.
    pub absent: Absent,
    /// Other paths of the request are relative to it.
    pub base: bool,
    /// An approval binds to the file's bytes.
    pub pin: bool,
    /// It is made of ASCII letters, digits and `. _ / + @ % = : , -` only, which no shell reads.
    pub portable: bool,
    /// Where the names come from that a write makes at and below it.
    pub creates: Creates,
    /// Names that the program leaves out of a directory, at any depth.
    pub skips: Vec<String>,
    /// The argument whose values say which files of a directory are read.
    pub takes: Option<String>,
}

impl PathArgument {
    /// Returns true if some path is decided although none is given.
    #[must_use]
    pub fn is_implied(&self) -> bool {
        self.absent != Absent::Nothing
    }

    /// Returns true if a text is made of ASCII letters, digits and `. _ / + @ % = : , -` only, and does not begin
    /// with a dash: one word, as it stands, to every shell.
    pub(crate) fn is_portable(text: &[u8]) -> bool {
        let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"._/+@%=:,-".contains(byte);
        text.iter().all(is_plain) && !text.starts_with(b"-")
    }
}

/// Meaning of a path argument that is not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Absent {
    /// Nothing.
    Nothing,
    /// The whole workspace, and the directory that the program starts in.
    Workspace,
    /// The directory that the program resolves paths from.
    Here,
}

/// Where the names come from that a write makes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Creates {
    /// Nobody said: anything may come to lie below the path.
    Unknown,
    /// The path itself, and nothing new below it.
    Itself,
    /// The path itself, and the directories above it that are missing.
    Parents,
    /// The files at or below the path that git's index tracks.
    Index,
    /// The files at and below the paths of another argument: it is copied or moved here.
    From(String),
}

/// A tool's use of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Access {
    /// Reads it.
    Read,
    /// Writes, creates or removes it.
    Write,
    /// Runs it.
    Execute,
}

/// Meaning of a directory that is given as a path argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Tree {
    /// Everything below it.
    All,
    /// Everything below it that git does not ignore.
    Unignored,
    /// Its listing only.
    Names,
}

/// Spelling of an argument on a command line.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Spelling {
    /// By its place among the words that are no options.
    Positional,
    /// As an option with a value.
    Option {
        /// Its spellings; the first is rendered. `-<n>` is a dash and digits.
        names: Vec<String>,
        /// It may stand without a value.
        value_optional: bool,
        /// Way in which name and value are put together; none: `--x=value` and `-k value`.
        join: Option<Join>,
    },
    /// As a flag.
    Flag {
        /// Its spellings; the first is rendered.
        names: Vec<String>,
    },
}

/// Way in which an option and its value are put together when rendered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Join {
    /// `--x=value`.
    Equals,
    /// Two words.
    Space,
    /// `-kvalue`.
    Glued,
}

#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) id: String,
    pub(crate) at: Span,
    pub(crate) effect: RuleEffect,
    pub(crate) actions: Vec<(ActionPattern, Span)>,
    pub(crate) scope: Option<ScopeUse>,
    pub(crate) access: Option<Vec<Access>>,
    pub(crate) approval: Option<(String, Span)>,
    pub(crate) actors: Option<Vec<String>>,
    pub(crate) terms: StatedTerms,
    pub(crate) reason: Option<String>,
    pub(crate) instead: Option<String>,
    pub(crate) until: Option<(jiff::civil::Date, Span)>,
    pub(crate) widens: bool,
}

/// Effect of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum RuleEffect {
    /// It allows.
    Allow,
    /// A person has to be asked.
    Ask,
    /// It denies.
    Deny,
}

impl RuleEffect {
    /// The key in a policy.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            RuleEffect::Allow => "allow",
            RuleEffect::Ask => "ask",
            RuleEffect::Deny => "deny",
        }
    }
}

/// Which actions a rule is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ActionPattern {
    Any,
    Tool(String),
    Action(String, String),
}

/// Which scopes a rule is about: for all path arguments, or for each its own.
#[derive(Clone, Debug)]
pub(crate) enum ScopeUse {
    All(Vec<(String, Span)>),
    PerArgument(Vec<ArgumentScopes>),
}

/// The scopes of one argument.
#[derive(Clone, Debug)]
pub(crate) struct ArgumentScopes {
    pub(crate) argument: String,
    pub(crate) at: Span,
    pub(crate) scopes: Vec<(String, Span)>,
}

/// The terms that a rule or `defaults` states; what is not stated is none.
#[derive(Clone, Debug, Default)]
pub(crate) struct StatedTerms {
    pub(crate) limits: StatedLimits,
    pub(crate) env: StatedEnv,
    pub(crate) containment: Option<Containment>,
    pub(crate) confine: Option<Confine>,
    pub(crate) stop: Option<StopSignal>,
    pub(crate) leaks: Option<Leaks>,
    pub(crate) report: Option<ReportTrouble>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct StatedLimits {
    pub(crate) timeout: Option<Duration>,
    pub(crate) lease: Option<Duration>,
    pub(crate) grace: Option<Duration>,
    pub(crate) output_bytes: Option<u64>,
    pub(crate) keep: Option<Keep>,
    pub(crate) processes: Option<u64>,
    pub(crate) memory_bytes: Option<u64>,
    pub(crate) cpu: Option<Duration>,
    pub(crate) open_files: Option<u64>,
    pub(crate) file_size_bytes: Option<u64>,
    pub(crate) stdin_bytes: Option<u64>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct StatedEnv {
    /// Names that are passed on; a trailing `*` is any run of characters.
    pub(crate) inherit: Vec<String>,
    pub(crate) unsafe_inherit: Vec<String>,
    pub(crate) set: Vec<(String, String)>,
}

/// Bounds that the kernel is to set to a run, beyond its arguments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Confine {
    /// Places that may be read: names of scopes, `system`, `home/…`.
    pub read: Option<Vec<String>>,
    /// Places that may be written.
    pub write: Option<Vec<String>>,
    /// Places that are hidden.
    pub hide: Vec<String>,
    /// No network but the loopback device.
    pub no_network: bool,
}

/// A claim that a policy makes of itself.
#[derive(Clone, Debug)]
pub(crate) struct Invariant {
    pub(crate) id: String,
    pub(crate) at: Span,
    pub(crate) always: bool,
    pub(crate) actions: Vec<(ActionPattern, Span)>,
    pub(crate) access: Option<Vec<Access>>,
    pub(crate) paths: Vec<(Pattern, Span)>,
}

/// One of a policy's own tests: a request, what it is given, what is expected.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Test {
    /// Where it stands.
    pub at: Span,
    /// The name it is told by, if it has one.
    pub id: Option<String>,
    /// The request, as argv or by name.
    pub request: TestRequest,
    /// The directory it starts in, from which its relative paths start; none: the workspace.
    pub cwd: Option<String>,
    /// Environment switches.
    pub env: Vec<(String, String)>,
    /// Approvals that are granted.
    pub approved: Vec<String>,
    /// Who asks.
    pub actor: Option<String>,
    /// When; none: no rule has lapsed.
    pub at_time: Option<jiff::Timestamp>,
    /// The expected effect.
    pub expect: String,
    /// The expected rule.
    pub rule: Option<String>,
    /// The expected reason code.
    pub reason: Option<crate::reason::Reason>,
}

/// The request of a test.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum TestRequest {
    /// A command line.
    Argv(Vec<String>),
    /// A tool's action with named arguments.
    Named {
        /// The tool.
        tool: String,
        /// The action.
        action: String,
        /// The arguments.
        args: Vec<(String, TestValue)>,
    },
}

/// The value of an argument in a test.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum TestValue {
    /// Nothing.
    Null,
    /// A flag.
    Flag(bool),
    /// Text or a number.
    Text(String),
    /// Several.
    List(Vec<TestValue>),
}
