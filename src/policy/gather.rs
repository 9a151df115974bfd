//! One policy's file and all that it names -> one [`Policy`]: tool libraries, the policies it extends, the
//! machine's floor.
//!
//! A name that a policy defines cannot be defined again: a child adds to its parents and replaces nothing of
//! theirs. So a parent's denies and asks mean in the child what they mean alone.

#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::compile::Files;
use super::decode::{self, nearest};
use super::error::{Code, Problem, Problems};
use super::library;
use super::model::{Confine, Parent, Policy, StatedLimits, StatedTerms, Test, Tool};
use super::source::{self, Node, SourceFile, Span, Value};

/// Maximum number of policies that extend each other in a row, the first included.
const MAX_DEPTH: usize = 8;

/// A policy with everything that it names, and the files it was read from in reading order.
pub(crate) struct Gathered {
    pub(crate) files: Vec<Arc<SourceFile>>,
    pub(crate) policy: Policy,
    pub(crate) problems: Problems,
    /// Not everything could be read: what is missing may stand there.
    pub(crate) partial: bool,
    /// The parents that nothing may be allowed beyond, and where they are named as such.
    pub(crate) narrow: Vec<(Span, String)>,
}

/// A document that was read as YAML, and not yet as a policy or a tool library.
pub(crate) struct Document {
    file: SourceFile,
    parsed: source::Parsed,
}

impl Document {
    /// Reads the text of the file; `number` is the file's among those of a policy.
    fn numbered(file: SourceFile, number: u16) -> Document {
        let parsed = source::parse(&file.text, number);
        Document { file, parsed }
    }

    /// Reads the text of a file that no other one names.
    pub(crate) fn read(file: SourceFile) -> Document {
        Document::numbered(file, 0)
    }

    /// Returns true for a tool library, and false for a policy and what is meant to be one.
    pub(crate) fn is_library(&self) -> bool {
        self.parsed.root.as_ref().is_some_and(decode::is_library)
    }
}

/// Gathers `main` and what it names.
pub(crate) fn gather(main: Document, files: &dyn Files) -> Gathered {
    let mut gathering = Gathering {
        outside: files,
        files: Vec::new(),
        problems: Problems::default(),
        partial: false,
        libraries: Vec::new(),
        parents: Vec::new(),
        narrow: Vec::new(),
    };
    let mut policy = gathering.read(main, "");
    let extends = std::mem::take(&mut policy.extends);
    gathering.add_parents(&mut policy, &extends, &mut Vec::new());
    gathering.add_floor(&mut policy);
    // Read in a circle, the same names are defined again and again: that is not another mistake.
    if gathering
        .problems
        .iter()
        .any(|problem| problem.code == Code::P010)
    {
        gathering.problems.keep_only(Code::P010);
    }
    Gathered {
        files: gathering.files,
        policy,
        problems: gathering.problems,
        partial: gathering.partial,
        narrow: gathering.narrow,
    }
}

/// A parent by itself, with what it names.
pub(crate) fn gather_alone(name: &str, files: &dyn Files) -> Result<Gathered, String> {
    struct Beside<'f>(&'f str, &'f dyn Files);
    impl Files for Beside<'_> {
        fn read(&self, name: &str) -> Result<SourceFile, String> {
            self.1.read(&beside(self.0, name))
        }
    }
    let file = files.read(name)?;
    let file = Document::read(file);
    Ok(gather(file, &Beside(directory_of(name), files)))
}

/// A tool library by itself, as a policy that declares its tools and has no rules.
/// Its tests are about another one: whose rules allow all that it declares.
pub(crate) fn gather_library(main: Document) -> (Gathered, Vec<Test>) {
    let decoded = decode::library(main.parsed);
    let gathered = Gathered {
        files: vec![Arc::new(main.file)],
        policy: Policy {
            tools: decoded.value.tools,
            ..Policy::default()
        },
        problems: decoded.problems,
        partial: decoded.partial,
        narrow: Vec::new(),
    };
    (gathered, decoded.value.tests)
}

struct Gathering<'f> {
    outside: &'f dyn Files,
    files: Vec<Arc<SourceFile>>,
    problems: Problems,
    partial: bool,
    /// The tool libraries read so far.
    libraries: Vec<ReadLibrary>,
    /// The parents merged so far.
    parents: Vec<String>,
    narrow: Vec<(Span, String)>,
}

/// A tool library as it was read.
struct ReadLibrary {
    name: String,
    tree: Option<Cow<'static, Node>>,
    tools: Vec<Tool>,
}

impl Gathering<'_> {
    /// Reads one policy and the libraries it uses. Its own names are relative to `directory`.
    fn read(&mut self, document: Document, directory: &str) -> Policy {
        let Document { file, mut parsed } = document;
        self.files.push(Arc::new(file));
        if let Some(root) = &mut parsed.root {
            self.extend_tools(root, directory);
        }
        let decoded = decode::policy(parsed);
        self.problems.append(decoded.problems);
        self.partial |= decoded.partial;
        let mut policy = decoded.value;
        self.add_libraries(&mut policy, directory);
        policy
    }

    /// A library's tool gives way to one of the policy's own; two libraries must not meet.
    fn add_libraries(&mut self, policy: &mut Policy, directory: &str) {
        let own: Vec<String> = policy.tools.iter().map(|tool| tool.name.clone()).collect();
        for (name, at) in std::mem::take(&mut policy.uses) {
            let Some(library) = self.library(&name, at, directory) else {
                continue;
            };
            for tool in library.tools.clone() {
                if own.contains(&tool.name) {
                    continue;
                }
                if policy.tools.iter().any(|other| other.name == tool.name) {
                    let message = format!(
                        "`{name}` declares a tool `{}` that another library declares too",
                        tool.name
                    );
                    self.problems.push(
                        Problem::new(Code::P005, at, message).with_help("use one of the two"),
                    );
                    continue;
                }
                policy.tools.push(tool);
            }
        }
    }

    /// Puts the library's tool, with what the policy adds to it, in the place of each tool that extends one.
    fn extend_tools(&mut self, root: &mut Node, directory: &str) {
        let Some(Value::Map(tools)) = field_mut(root, "tools").map(|tools| &mut tools.value) else {
            return;
        };
        for (name, tool) in tools {
            let name = name.value.written();
            let Some(Node {
                at,
                value: Value::Text { text, .. },
            }) = tool.value.field("extends")
            else {
                continue;
            };
            let (library, at) = (text.clone(), *at);
            let Some(read) = self.library(&library, at, directory) else {
                continue;
            };
            let declared = read
                .tree
                .as_deref()
                .and_then(|tree| tree.value.field("tools"));
            let Some(base) = declared.and_then(|tools| tools.value.field(&name)) else {
                let known = read.tools.iter().map(|tool| tool.name.as_str());
                let help = format!("it declares {}", known.collect::<Vec<_>>().join(", "));
                let message = format!(
                    "`{}` declares no tool `{}` to extend",
                    library.escape_debug(),
                    name.escape_debug()
                );
                self.problems
                    .push(Problem::new(Code::P009, at, message).with_help(help));
                continue;
            };
            let mut extended = extended(Part::Tool, base, tool);
            if let Value::Map(entries) = &mut extended.value {
                entries.retain(|(key, _)| !key.value.is_text("extends"));
            }
            *tool = extended;
        }
    }

    /// A library, which is read once however many policies use it.
    fn library(&mut self, name: &str, at: Span, directory: &str) -> Option<&ReadLibrary> {
        let name = match library::find(name) {
            Some(_) => name.to_owned(),
            None => beside(directory, name),
        };
        let known = self.libraries.iter().position(|known| known.name == name);
        let nth = match known {
            Some(nth) => nth,
            None => {
                let read = self.read_library(name, at)?;
                self.libraries.push(read);
                self.libraries.len().saturating_sub(1)
            }
        };
        self.libraries.get(nth)
    }

    fn read_library(&mut self, name: String, at: Span) -> Option<ReadLibrary> {
        let file = self.library_file(&name, at)?;
        let number = u16::try_from(self.files.len()).ok()?;
        let (tree, tools) = match library::find(&name) {
            Some(compiled_in) => {
                let tree = compiled_in.tree();
                let tools = tree.map(decode::known_library).unwrap_or_default();
                (tree.map(Cow::Borrowed), tools)
            }
            None => {
                let parsed = source::parse(&file.text, number);
                let tree = parsed.root.clone().map(Cow::Owned);
                let decoded = decode::library(parsed);
                self.problems.append(decoded.problems);
                (tree, decoded.value.tools)
            }
        };
        self.files.push(Arc::new(file));
        Some(ReadLibrary { name, tree, tools })
    }

    fn library_file(&mut self, name: &str, at: Span) -> Option<SourceFile> {
        if let Some(library) = library::find(name) {
            return Some(SourceFile::new(name, library.text()));
        }
        if name.starts_with("lictor/") {
            let known = library::libraries().map(library::Library::name);
            let mut problem = Problem::new(
                Code::P009,
                at,
                format!("there is no library `{}`", name.escape_debug()),
            );
            problem = match nearest(name, known.clone()) {
                Some(meant) => problem
                    .with_help(format!("did you mean `{meant}`?"))
                    .with_replacement(meant),
                None => problem.with_help(format!(
                    "there are {}",
                    known.collect::<Vec<_>>().join(", ")
                )),
            };
            self.problems.push(problem);
            return None;
        }
        match self.outside.read(name) {
            Ok(file) => Some(file),
            Err(why) => {
                let message = format!("library `{}` cannot be read: {why}", name.escape_debug());
                self.problems.push(
                    Problem::new(Code::P009, at, message)
                        .with_help("name a file relative to this one, or `lictor/NAME@N`"),
                );
                None
            }
        }
    }

    /// Reads the parents that `extends` names, theirs after each, and adds them to `policy`. `line` is
    /// the line of descent that led here.
    fn add_parents(&mut self, policy: &mut Policy, extends: &[Parent], line: &mut Vec<String>) {
        for parent in extends {
            let directory = line.last().map_or("", |name| directory_of(name));
            let name = beside(directory, &parent.file);
            if line.contains(&name) || line.len().saturating_add(1) >= MAX_DEPTH {
                let shown = name.escape_debug();
                let message = if line.contains(&name) {
                    format!("`{shown}` extends itself by way of the policies it extends")
                } else {
                    format!("more than {MAX_DEPTH} policies extend each other")
                };
                let problem = Problem::new(Code::P010, parent.at, message);
                self.problems
                    .push(problem.with_help("take this parent out"));
                continue;
            }
            if self.parents.contains(&name) {
                continue;
            }
            let file = match self.outside.read(&name) {
                Ok(file) => file,
                Err(why) => {
                    let message = format!(
                        "policy `{}` cannot be read: {why}",
                        parent.file.escape_debug()
                    );
                    self.problems.push(
                        Problem::new(Code::P009, parent.at, message)
                            .with_help("name a file relative to this one"),
                    );
                    continue;
                }
            };
            self.is_as_stated(parent, &file);
            // What a parent says of its own parents is about that parent.
            if parent.narrow && line.is_empty() {
                self.narrow.push((parent.at, name.clone()));
            }
            self.parents.push(name.clone());
            line.push(name);
            self.add_parent(policy, file, parent.at, line);
            line.pop();
        }
    }

    /// Parents of every policy on this machine.
    fn add_floor(&mut self, policy: &mut Policy) {
        let start = Span {
            line: 1,
            column: 1,
            ..Span::default()
        };
        match self.outside.floor() {
            Ok(floor) => {
                for file in floor {
                    let mut line = vec![file.name.clone()];
                    self.add_parent(policy, file, start, &mut line);
                }
            }
            Err(why) => {
                let message = format!("the machine's floor cannot be read: {why}");
                self.problems.push(
                    Problem::new(Code::P009, start, message).with_help(
                        "nothing is decided without it; ask who looks after this machine",
                    ),
                );
            }
        }
    }

    fn add_parent(
        &mut self,
        policy: &mut Policy,
        file: SourceFile,
        at: Span,
        line: &mut Vec<String>,
    ) {
        let name = file.name.clone();
        let directory = line.last().map_or("", |name| directory_of(name)).to_owned();
        let number = u16::try_from(self.files.len()).unwrap_or(u16::MAX);
        let mut parent = self.read(Document::numbered(file, number), &directory);
        let extends = std::mem::take(&mut parent.extends);
        self.add_parents(&mut parent, &extends, line);
        self.merge(policy, parent, &name, at);
    }

    fn is_as_stated(&mut self, parent: &Parent, file: &SourceFile) {
        let Some(stated) = &parent.sha256 else { return };
        let found = data_encoding::HEXLOWER.encode(&Sha256::digest(file.text.as_bytes()));
        if found != *stated {
            let message = format!(
                "`{}` is not the file that `sha256` states",
                parent.file.escape_debug()
            );
            let help = format!("look at what has changed in it; its digest is now {found}");
            self.problems
                .push(Problem::new(Code::P006, parent.at, message).with_help(help));
        }
    }

    /// Adds to `policy` what `parent`, the file `name`, defines. `at` is where the child names it.
    fn merge(&mut self, policy: &mut Policy, parent: Policy, name: &str, at: Span) {
        let mut merging = Merging {
            problems: &mut self.problems,
            parent: name,
            at,
        };
        let libraries = &self.libraries;
        let is_of_library = |tool: &Tool| {
            let mut tools = libraries.iter().flat_map(|library| &library.tools);
            tools.any(|known| known.name == tool.name && known.at == tool.at)
        };
        for tool in parent.tools {
            match policy.tools.iter().find(|known| known.name == tool.name) {
                // Both use the same library.
                Some(known) if known.at == tool.at && is_of_library(&tool) => {}
                Some(known) => merging.is_defined("tool", &tool.name, known.at),
                None => policy.tools.push(tool),
            }
        }
        for scope in parent.scopes {
            match policy.scopes.iter().find(|known| known.name == scope.name) {
                Some(known) => {
                    let place = known.include.first().map_or(at, |(_, at)| *at);
                    merging.is_defined("scope", &scope.name, place);
                }
                None => policy.scopes.push(scope),
            }
        }
        for approval in parent.approvals {
            let mut known = policy.approvals.iter();
            match known.find(|known| known.name == approval.name) {
                Some(known) => merging.is_defined("approval", &approval.name, known.at),
                None => policy.approvals.push(approval),
            }
        }
        for rule in parent.rules {
            match policy.rules.iter().find(|known| known.id == rule.id) {
                Some(known) => merging.is_defined("rule", &rule.id, known.at),
                None => policy.rules.push(rule),
            }
        }
        for invariant in parent.invariants {
            let mut known = policy.invariants.iter();
            match known.find(|known| known.id == invariant.id) {
                Some(known) => merging.is_defined("invariant", &invariant.id, known.at),
                None => policy.invariants.push(invariant),
            }
        }
        merging.terms(&mut policy.defaults, parent.defaults);
        merging.program_path(policy, parent.program_path);
        merging.executor(&mut policy.executor, parent.executor);
        if !policy.states.paths && parent.states.paths {
            policy.paths = parent.paths;
            policy.states.paths = true;
        } else if parent.states.paths {
            let protected = &mut policy.paths.switches.protected;
            for name in parent.paths.switches.protected {
                if !protected.contains(&name) {
                    protected.push(name);
                }
            }
        }
        if !policy.states.shell && parent.states.shell {
            policy.shell = parent.shell;
            policy.states.shell = true;
        }
        policy.ledger.path = policy.ledger.path.take().or(parent.ledger.path);
        policy.ledger.redact.extend(parent.ledger.redact);
        policy.ledger.keep_output |= parent.ledger.keep_output;
        policy.ledger.allow_unsafe_filesystem |= parent.ledger.allow_unsafe_filesystem;
    }
}

/// One parent being added to its child.
struct Merging<'g> {
    problems: &'g mut Problems,
    parent: &'g str,
    at: Span,
}

impl Merging<'_> {
    fn is_defined(&mut self, what: &str, name: &str, at: Span) {
        let message = format!(
            "{what} `{name}` is defined by `{}` already",
            self.parent.escape_debug()
        );
        self.problems.push(
            Problem::new(Code::P005, at, message)
                .with_help("give it another name: what a parent defines cannot be replaced"),
        );
    }

    /// The stricter of the two, what only one states, and of the environment what either passes on.
    fn terms(&mut self, own: &mut StatedTerms, parent: StatedTerms) {
        let StatedLimits {
            timeout,
            lease,
            grace,
            output_bytes,
            keep,
            processes,
            memory_bytes,
            cpu,
            open_files,
            file_size_bytes,
            stdin_bytes,
        } = parent.limits;
        let limits = &mut own.limits;
        lower(&mut limits.timeout, timeout);
        lower(&mut limits.lease, lease);
        lower(&mut limits.grace, grace);
        lower(&mut limits.output_bytes, output_bytes);
        limits.keep = limits.keep.or(keep);
        lower(&mut limits.processes, processes);
        lower(&mut limits.memory_bytes, memory_bytes);
        lower(&mut limits.cpu, cpu);
        lower(&mut limits.open_files, open_files);
        lower(&mut limits.file_size_bytes, file_size_bytes);
        lower(&mut limits.stdin_bytes, stdin_bytes);
        own.containment = own.containment.max(parent.containment);
        own.leaks = own.leaks.max(parent.leaks);
        own.report = own.report.max(parent.report);
        own.stop = own.stop.or(parent.stop);
        for (mine, theirs) in [
            (&mut own.env.inherit, parent.env.inherit),
            (&mut own.env.unsafe_inherit, parent.env.unsafe_inherit),
        ] {
            mine.extend(theirs);
            mine.sort_unstable();
            mine.dedup();
        }
        for (name, value) in parent.env.set {
            match own.env.set.iter().find(|(known, _)| *known == name) {
                Some((_, known)) if *known == value => {}
                Some(_) => self.disagrees(&format!("env.set.{name}")),
                None => own.env.set.push((name, value)),
            }
        }
        self.confine(&mut own.confine, parent.confine);
    }

    fn confine(&mut self, own: &mut Option<Confine>, parent: Option<Confine>) {
        match (own.is_some(), parent) {
            (_, None) => {}
            (false, parent) => *own = parent,
            (true, Some(parent)) if own.as_ref() == Some(&parent) => {}
            (true, Some(_)) => self.disagrees("confine"),
        }
    }

    /// A child looks programs up in no other directories than its parent does.
    fn program_path(&mut self, policy: &mut Policy, parent: Option<Vec<(String, Span)>>) {
        let Some(parent) = parent else { return };
        let Some(own) = &policy.program_path else {
            policy.program_path = Some(parent);
            return;
        };
        let is_new = |entry: &&(String, Span)| parent.iter().all(|(known, _)| *known != entry.0);
        if let Some((entry, at)) = own.iter().find(is_new) {
            let message = format!(
                "`{}` is not in the `program_path` of `{}`",
                entry.escape_debug(),
                self.parent.escape_debug()
            );
            self.problems.push(
                Problem::new(Code::P006, *at, message)
                    .with_help("a policy may leave directories of its parent out, and add none"),
            );
        }
    }

    /// A child's commands run where its parent's do.
    fn executor(&mut self, own: &mut Option<String>, parent: Option<String>) {
        if own.is_some() && parent.is_some() && *own != parent {
            self.disagrees("executor");
        }
        if own.is_none() {
            *own = parent;
        }
    }

    fn disagrees(&mut self, what: &str) {
        let message = format!(
            "`defaults` states another `{what}` than `{}` does",
            self.parent.escape_debug()
        );
        self.problems.push(
            Problem::new(Code::P006, self.at, message)
                .with_help("state it in one of the two; rules may state their own"),
        );
    }
}

/// A part of a declared tool, by how another declaration is added to it.
#[derive(Clone, Copy)]
enum Part {
    Tool,
    Actions,
    Action,
    /// A mapping whose values are replaced whole.
    Entries,
}

impl Part {
    /// The value of this key, where it is a mapping that entries are added to.
    fn below(self, key: &str) -> Option<Part> {
        match (self, key) {
            (Part::Tool, "actions") => Some(Part::Actions),
            (Part::Actions, _) => Some(Part::Action),
            (Part::Tool, "args" | "env" | "left_out")
            | (Part::Action, "args" | "after" | "env") => Some(Part::Entries),
            (Part::Tool | Part::Action | Part::Entries, _) => None,
        }
    }
}

/// `base` with the entries of `added`; of the same key that of `added`.
fn extended(part: Part, base: &Node, added: &Node) -> Node {
    let (Value::Map(of_base), Value::Map(of_added)) = (&base.value, &added.value) else {
        return added.clone();
    };
    let mut entries = of_base.clone();
    for (key, value) in of_added {
        let name = key.value.written();
        let known = entries
            .iter_mut()
            .find(|(known, _)| known.value.is_text(&name));
        match (known, part.below(&name)) {
            (Some(known), Some(below)) => *known = (key.clone(), extended(below, &known.1, value)),
            (Some(known), None) => *known = (key.clone(), value.clone()),
            (None, _) => entries.push((key.clone(), value.clone())),
        }
    }
    Node {
        at: added.at,
        value: Value::Map(entries),
    }
}

fn field_mut<'n>(node: &'n mut Node, name: &str) -> Option<&'n mut Node> {
    let Value::Map(entries) = &mut node.value else {
        return None;
    };
    let mut entries = entries.iter_mut();
    entries.find_map(|(key, value)| key.value.is_text(name).then_some(value))
}

fn lower<T: Ord>(own: &mut Option<T>, parent: Option<T>) {
    let smaller = match (own.take(), parent) {
        (Some(own), Some(parent)) => Some(own.min(parent)),
        (own, parent) => own.or(parent),
    };
    *own = smaller;
}

/// The name of a file that a file in `directory` calls `name`.
fn beside(directory: &str, name: &str) -> String {
    if directory.is_empty() || name.starts_with('/') {
        name.to_owned()
    } else {
        format!("{}/{name}", directory.trim_end_matches('/'))
    }
}

/// The directory of a file; empty for the policy's own.
fn directory_of(name: &str) -> &str {
    match name.rsplit_once('/') {
        Some(("", _)) => "/",
        Some((directory, _)) => directory,
        None => "",
    }
}
