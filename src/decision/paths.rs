//! The paths of a call: from the caller's text to canonical paths below the workspace.
//!
//! Relative paths start from the request's own directory (`--cwd`) and from the call's `base` option,
//! both of which are paths to be decided like the others.

#![forbid(unsafe_code)]

use super::Request;
use super::call::{Call, Given, argument, slots};
use crate::path::{CanonicalPath, Denial, Syntax, Target, lexical, shown};
use crate::policy::CompiledPolicy;
#[cfg(feature = "run")]
use crate::policy::glob::Pattern;
use crate::policy::model::{
    Absent, Access, Action, ArgumentKind, Creates, PathArgument, Tool, Tree,
};
use crate::reason::Reason;

/// The name that findings and rules know the request's own directory by.
pub(crate) const CWD: &str = "cwd";

/// One path that has to be decided.
#[derive(Clone, Debug)]
pub(crate) struct Decided {
    pub(crate) argument: String,
    pub(crate) access: Access,
    pub(crate) tree: Tree,
    /// Where the names come from that a write makes there.
    pub(crate) creates: Creates,
    /// Names that the program leaves out of a directory.
    pub(crate) skips: Vec<String>,
    /// Patterns of which a file below a directory has to match one; none: every file counts.
    pub(crate) takes: Vec<String>,
    /// As the caller wrote it; none if it was implied.
    pub(crate) text: Option<Vec<u8>>,
    pub(crate) canonical: CanonicalPath,
    /// The word that is passed on.
    pub(crate) rendered: String,
    /// It stands for a word of the command line.
    pub(crate) is_given: bool,
}

/// A path that the lexical layer refused.
#[derive(Clone, Debug)]
pub(crate) struct Refused {
    pub(crate) argument: String,
    pub(crate) text: Option<Vec<u8>>,
    pub(crate) denial: Option<Denial>,
}

impl Refused {
    pub(crate) fn reason(&self) -> Reason {
        self.denial
            .as_ref()
            .map_or(Reason::PathEmptyOrNone, Denial::reason)
    }

    pub(crate) fn message(&self) -> String {
        match (&self.denial, &self.text) {
            (Some(denial), Some(text)) => denial.message(text),
            _ => format!("argument `{}` is no path: it is empty", self.argument),
        }
    }
}

/// All paths of a call, in the order in which they are rendered, and the refused ones.
pub(crate) struct Paths {
    pub(crate) decided: Vec<Decided>,
    pub(crate) refused: Vec<Refused>,
    /// The directory the command starts in.
    pub(crate) cwd: CanonicalPath,
    /// The directory that the program resolves paths from.
    pub(crate) base: CanonicalPath,
}

impl Paths {
    /// The way from the directory that the program resolves paths from to the workspace.
    pub(super) fn climb(&self) -> String {
        let up = vec![".."; self.base.segments().count()];
        if up.is_empty() {
            ".".to_owned()
        } else {
            up.join("/")
        }
    }
}

pub(super) fn read(
    policy: &CompiledPolicy,
    tool: &Tool,
    action: &Action,
    call: &Call,
    request: &Request,
) -> Paths {
    let mut reader = Reader {
        policy,
        paths: Paths {
            decided: Vec::new(),
            refused: Vec::new(),
            cwd: CanonicalPath::workspace(),
            base: CanonicalPath::workspace(),
        },
        base: CanonicalPath::workspace(),
    };
    if let Some(text) = &request.cwd {
        reader.cwd(text);
    }
    let given = || {
        call.given
            .iter()
            .filter_map(|(slot, given)| Some((argument(tool, action, *slot)?, given)))
    };
    // The base first: it is what the others start from, wherever it stands.
    for is_base in [true, false] {
        for (argument, given) in given() {
            if let ArgumentKind::Path(kind) = &argument.kind
                && kind.base == is_base
            {
                reader.argument(&argument.name, kind, given);
            }
        }
    }
    for (slot, argument) in slots(tool, action) {
        if let ArgumentKind::Path(kind) = &argument.kind
            && kind.is_implied()
            && !call.given.iter().any(|(at, _)| *at == slot)
        {
            reader.implied(&argument.name, kind);
        }
    }
    let mut paths = reader.paths;
    paths.base = reader.base;
    for path in &mut paths.decided {
        path.takes = taken(tool, action, call, &path.argument);
    }
    in_rendered_order(&mut paths.decided, tool, action, call);
    paths
}

/// The patterns that an argument's `takes` comes to in a call: all that are not turned around by a `!`, if each is one that
/// every reader of such patterns reads alike.
fn taken(tool: &Tool, action: &Action, call: &Call, path: &str) -> Vec<String> {
    let declared = tool
        .arguments(action)
        .find(|declared| declared.name == path);
    let by = declared.and_then(|declared| match &declared.kind {
        ArgumentKind::Path(kind) => kind.takes.as_deref(),
        ArgumentKind::Flag
        | ArgumentKind::Text { .. }
        | ArgumentKind::Int { .. }
        | ArgumentKind::Choice(_) => None,
    });
    let mut patterns = Vec::new();
    for (slot, given) in &call.given {
        match given {
            Given::Text(text)
                if argument(tool, action, *slot)
                    .is_some_and(|one| Some(one.name.as_str()) == by) =>
            {
                if !text.starts_with('!') {
                    patterns.push(text.clone());
                }
            }
            Given::Text(_) | Given::Path(_) | Given::NoPath | Given::Flag | Given::Bare => {}
        }
    }
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-*".contains(&byte);
    match patterns.iter().all(|pattern| pattern.bytes().all(is_plain)) {
        true => patterns,
        false => Vec::new(),
    }
}

/// The request's own directory first, for all others start from it; then the values of a call in
/// rendered order, of which bases were read before the others; what is implied last.
fn in_rendered_order(decided: &mut [Decided], tool: &Tool, action: &Action, call: &Call) {
    let order: Vec<&str> = call
        .given
        .iter()
        .filter_map(|(slot, _)| argument(tool, action, *slot))
        .map(|argument| argument.name.as_str())
        .collect();
    decided.sort_by_key(|path| {
        (
            path.text.is_none(),
            order.iter().position(|name| *name == path.argument),
        )
    });
}

struct Reader<'r> {
    policy: &'r CompiledPolicy,
    paths: Paths,
    base: CanonicalPath,
}

impl Reader<'_> {
    fn cwd(&mut self, text: &[u8]) {
        let read =
            lexical(text, Syntax::Path, self.policy.switches()).map(|target| target.to_canonical());
        match read {
            Ok(path) => {
                self.base = path.clone();
                self.paths.cwd = path.clone();
                self.decide(Decided {
                    argument: CWD.to_owned(),
                    access: Access::Read,
                    tree: Tree::Names,
                    creates: Creates::Itself,
                    skips: Vec::new(),
                    takes: Vec::new(),
                    text: Some(text.to_vec()),
                    rendered: path.as_str().to_owned(),
                    canonical: path,
                    is_given: false,
                });
            }
            Err(denial) => self.refuse(CWD, Some(text), Some(denial)),
        }
    }

    fn argument(&mut self, name: &str, kind: &PathArgument, given: &Given) {
        match given {
            Given::Path(text) => self.given(name, kind, text),
            Given::NoPath => self.refuse(name, None, None),
            Given::Flag | Given::Text(_) | Given::Bare => {}
        }
    }

    fn given(&mut self, name: &str, kind: &PathArgument, text: &[u8]) {
        let read = lexical(text, kind.syntax, self.policy.switches()).and_then(|target| {
            let below = target.to_canonical();
            Ok((self.base.join(&below)?, rendered(&below, &target)))
        });
        match read {
            Ok((canonical, rendered)) => {
                if kind.base {
                    self.base = canonical.clone();
                }
                self.decide(Decided {
                    text: Some(text.to_vec()),
                    rendered,
                    is_given: true,
                    ..Decided::at(name, kind, canonical)
                });
            }
            Err(denial) => self.refuse(name, Some(text), Some(denial)),
        }
    }

    /// An argument that is left out and then means everything (`git -C src diff` shows the whole
    /// repository), or the directory that paths start from. That directory is decided in both cases: a
    /// walk from the top may leave out what it holds, and not every program starts at the top.
    fn implied(&mut self, name: &str, kind: &PathArgument) {
        if kind.absent == Absent::Workspace {
            self.decide(Decided::at(name, kind, CanonicalPath::workspace()));
        }
        if kind.absent == Absent::Here || !self.base.is_workspace() {
            self.decide(Decided::at(name, kind, self.base.clone()));
        }
    }

    fn decide(&mut self, path: Decided) {
        self.paths.decided.push(path);
    }

    fn refuse(&mut self, name: &str, text: Option<&[u8]>, denial: Option<Denial>) {
        self.paths.refused.push(Refused {
            argument: name.to_owned(),
            text: text.map(<[u8]>::to_vec),
            denial,
        });
    }
}

/// The path as the program is to read it from the directory it starts in. The text was relative to
/// that directory, so what was read is what is left when the directory is taken away.
fn rendered(below: &CanonicalPath, target: &Target<'_>) -> String {
    format!("{}{}", below.to_argument(), target.suffix())
}

impl Decided {
    /// A path that stands for no word of the command line.
    fn at(argument: &str, kind: &PathArgument, canonical: CanonicalPath) -> Decided {
        Decided {
            argument: argument.to_owned(),
            access: kind.access,
            tree: kind.tree,
            creates: kind.creates.clone(),
            skips: kind.skips.clone(),
            takes: Vec::new(),
            text: None,
            canonical,
            rendered: String::new(),
            is_given: false,
        }
    }

    /// Returns true if the program leaves out entries of this name, at any depth of a directory.
    pub(crate) fn leaves_out(&self, name: &[u8]) -> bool {
        // Git's own directory is never a part of its tree, and what skips as git does leaves it out too.
        self.tree == Tree::Unignored && name == b".git"
            || self.skips.iter().any(|skipped| skipped.as_bytes() == name)
    }

    /// Returns true if the program does not read files of this name, at any depth of a directory.
    #[cfg(feature = "run")]
    pub(crate) fn passes_over(&self, name: &[u8]) -> bool {
        !self.takes.is_empty()
            && !self.takes.iter().any(|pattern| {
                Pattern::parse(pattern).map_or(true, |pattern| pattern.matches_folded(name))
            })
    }

    /// Returns true if asking the disk about both is asking the same.
    #[cfg(feature = "run")]
    pub(crate) fn is_decided_like(&self, other: &Decided) -> bool {
        (&self.canonical, &self.argument) == (&other.canonical, &other.argument)
    }

    /// The path for a message: as it was written, or as what it stands for.
    pub(crate) fn shown(&self) -> String {
        match &self.text {
            Some(text) => shown(text),
            None => self.canonical.as_str().to_owned(),
        }
    }
}
