//! Shell text → simple commands, read only where bash, dash and zsh agree.
//!
//! Agents hand over command lines as text for a shell. A decision about such a text is worth nothing if the shell
//! reads another command than was decided about. [`parse`] therefore accepts a small subset that the three shells
//! read alike, and refuses everything else with the place and the reason; it never repairs a text.
//!
//! | accepted | |
//! |---|---|
//! | words | letters, digits and `_ @ % + = : , . / -`; `'…'`; `"…"` without `$`, backtick, `\` and `!`; pieces side by side |
//! | revisions | `HEAD~2`, `main^`, `stash@{0}`, `@{u}` |
//! | patterns | `*` in a word without quotes that begins otherwise: [`Command::patterns`] says which, and whoever decides looks up the files |
//! | text of several lines | `"$(cat <<'EOF'` … `EOF` and `)"`, as agents write commit messages |
//! | lists | `&&`, `\|\|`, `;`, a line break, pipes |
//! | redirections | `> FILE`, `>> FILE`, `2> FILE`, `2>> FILE`, `< FILE`, `2>&1`, `>&2`, behind a command |
//! | `cd DIRECTORY && …` | as the start of a text whose commands are joined by `&&` and pipes only |
//!
//! Everything that expands, assigns, groups, branches or runs in the background is refused, and so are the
//! builtins by which one command changes how the next one is read (`alias`, `set`, `export`, `eval`, …).
//!
//! Not covered: aliases, functions and `CDPATH` that the shell got from its start-up files or its environment, and
//! builtins that run in place of the program of their name (`echo`, `test`, `kill`). The shells agree on the words
//! of those, not on what they do.
//!
//! | file | |
//! |---|---|
//! | `mod` | the commands of a text, and how they are joined |
//! | `token` | the text as words, operators and redirections |
//!
//! ```
//! use lictor::shell::parse;
//!
//! let script = parse("cd crates/core && cargo test 2>&1 | tail -50")?;
//! assert_eq!(script.directory(), Some("crates/core"));
//! let words: Vec<&[String]> = script.commands().iter().map(|command| command.words()).collect();
//! assert_eq!(words, [["cargo", "test"], ["tail", "-50"]]);
//!
//! let refused = parse("rm -rf $TMP/x").unwrap_err();
//! assert_eq!(refused.span(), 7..8);
//! assert_eq!(refused.to_string(), "`$` is replaced by the shell: write the value itself, or put the word in single quotes");
//! # Ok::<(), lictor::shell::Unparsed>(())
//! ```

#![forbid(unsafe_code)]

mod token;

use std::fmt;
use std::ops::Range;

use crate::reason::Reason;

pub use token::Redirection;
use token::{Token, Tokens};

/// The longest text that is read, in bytes.
pub const MAX_TEXT_BYTES: usize = 16 * 1024;

/// The commands of a shell text, in the order in which they stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    directory: Option<String>,
    commands: Vec<Command>,
}

impl Script {
    /// The operand of a leading `cd`: all commands run there. As it is written, relative to where the shell is.
    #[must_use]
    pub fn directory(&self) -> Option<&str> {
        self.directory.as_deref()
    }

    /// The commands, without the leading `cd`. Empty if that is the whole text.
    #[must_use]
    pub fn commands(&self) -> &[Command] {
        &self.commands
    }
}

/// A program or builtin with its arguments and redirections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    joint: Joint,
    words: Vec<String>,
    patterns: Vec<usize>,
    redirections: Vec<Redirection>,
}

impl Command {
    /// The operator between the command and the one before it.
    #[must_use]
    pub fn joint(&self) -> Joint {
        self.joint
    }

    /// The command's name and its arguments, quotes removed. Never empty.
    #[must_use]
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// The places of words that hold an unquoted `*`: shells replace each by the names of the files that it matches. Neither
    /// the first word, nor one that begins with `*` or `-`, nor one with quotes in it.
    #[must_use]
    pub fn patterns(&self) -> &[usize] {
        &self.patterns
    }

    /// The redirections, in the order in which they stand. No stream is redirected twice.
    #[must_use]
    pub fn redirections(&self) -> &[Redirection] {
        &self.redirections
    }
}

/// The operator before a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "who writes a text anew must know every operator"
)]
pub enum Joint {
    /// `;` or a line break; also the first command of a text.
    Then,
    /// `&&`.
    And,
    /// `||`.
    Or,
    /// `|`.
    Pipe,
}

/// A shell text outside the accepted subset: where, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unparsed {
    span: Range<usize>,
    message: String,
}

impl Unparsed {
    /// Returns [`Reason::ShellUnparsed`].
    #[must_use]
    pub fn reason(&self) -> Reason {
        Reason::ShellUnparsed
    }

    /// The bytes of the text that are not accepted; empty at the end of a text that breaks off.
    #[must_use]
    pub fn span(&self) -> Range<usize> {
        self.span.clone()
    }
}

impl fmt::Display for Unparsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Unparsed {}

/// Reads a shell text.
///
/// # Errors
///
/// [`Unparsed`] for everything that bash, dash and zsh may read differently, that is no complete text, or that is
/// longer than [`MAX_TEXT_BYTES`].
pub fn parse(text: &str) -> Result<Script, Unparsed> {
    let mut tokens = Tokens::of(text)?;
    let mut commands = Vec::new();
    let mut joint = Joint::Then;
    tokens.skip_line_breaks();
    loop {
        commands.push(command(&mut tokens, joint)?);
        joint = match tokens.next()?.0 {
            Token::Semicolon | Token::LineBreak => Joint::Then,
            Token::And => Joint::And,
            Token::Or => Joint::Or,
            Token::Pipe => Joint::Pipe,
            Token::End | Token::Word(_) | Token::Redirection(_) => break,
        };
        tokens.skip_line_breaks();
        if joint == Joint::Then && tokens.is_at_end() {
            break;
        }
    }
    check_pipes(&commands)?;
    let directory = leading_directory(&mut commands)?;
    Ok(Script {
        directory,
        commands: commands.into_iter().map(|(command, _)| command).collect(),
    })
}

/// Reads one command, up to the operator behind it.
fn command(tokens: &mut Tokens<'_>, joint: Joint) -> Result<(Command, Range<usize>), Unparsed> {
    let (mut words, mut redirections) = (Vec::new(), Vec::new());
    let mut patterns = Vec::new();
    let (mut name, mut end) = (0..0, 0);
    while let Some((token, span)) = tokens.next_of_command()? {
        end = span.end;
        match token {
            Token::Word(word) => {
                if words.is_empty() {
                    if word.is_pattern {
                        return Err(refused(span, "a pattern in place of a command"));
                    }
                    check_name(&word.text, span.clone())?;
                    name = span;
                }
                if word.is_pattern {
                    patterns.push(words.len());
                }
                words.push(word.text);
            }
            Token::Redirection(_) if words.is_empty() => {
                return Err(refused(
                    span,
                    "a redirection before its command: write it behind the command",
                ));
            }
            Token::Redirection(redirection) => {
                let stream = redirection.stream();
                if redirections
                    .iter()
                    .any(|other: &Redirection| other.stream() == stream)
                {
                    return Err(refused(
                        span,
                        "a stream that is redirected twice: zsh writes to both places, other shells to one",
                    ));
                }
                redirections.push(redirection);
            }
            Token::End
            | Token::Semicolon
            | Token::LineBreak
            | Token::And
            | Token::Or
            | Token::Pipe => {}
        }
    }
    if words.is_empty() {
        return Err(tokens.unexpected());
    }
    let command = Command {
        joint,
        words,
        patterns,
        redirections,
    };
    Ok((command, name.start..end))
}

/// Words that begin a construct, or by which a command changes how what follows it is read or run. Refused as the
/// name of a command however they are quoted: POSIX special builtins and reserved words, and what bash and zsh add.
const STEERING: &[&str] = &[
    "!",
    ".",
    ":",
    "[[",
    "]]",
    "alias",
    "autoload",
    "bg",
    "bindkey",
    "break",
    "builtin",
    "case",
    "chdir",
    "command",
    "compopt",
    "continue",
    "coproc",
    "declare",
    "dirs",
    "disable",
    "disown",
    "do",
    "done",
    "elif",
    "else",
    "emulate",
    "enable",
    "end",
    "esac",
    "eval",
    "exec",
    "exit",
    "export",
    "fc",
    "fg",
    "fi",
    "float",
    "for",
    "foreach",
    "function",
    "functions",
    "getopts",
    "hash",
    "history",
    "if",
    "in",
    "integer",
    "jobs",
    "let",
    "limit",
    "local",
    "logout",
    "mapfile",
    "nocorrect",
    "noglob",
    "popd",
    "private",
    "pushd",
    "r",
    "read",
    "readarray",
    "readonly",
    "rehash",
    "repeat",
    "return",
    "sched",
    "select",
    "set",
    "setopt",
    "shift",
    "shopt",
    "source",
    "suspend",
    "then",
    "time",
    "times",
    "trap",
    "ttyctl",
    "typeset",
    "ulimit",
    "umask",
    "unalias",
    "unfunction",
    "unhash",
    "unlimit",
    "unset",
    "unsetopt",
    "until",
    "vared",
    "wait",
    "while",
    "zcompile",
    "zle",
    "zmodload",
    "zparseopts",
    "zstyle",
];

/// Refuses a name of a command that is more than the name of a program.
fn check_name(name: &str, span: Range<usize>) -> Result<(), Unparsed> {
    let message = if STEERING.binary_search(&name).is_ok() {
        format!("`{name}` changes how the shell goes on: write plain commands only")
    } else if name.is_empty() {
        "an empty name of a command".to_owned()
    } else if name.contains('=') {
        "an assignment before a command: variables are the policy's to set".to_owned()
    } else if name.starts_with(['-', '%', '+']) {
        "a command whose name begins with `-`, `%` or `+`: shells read that differently".to_owned()
    } else {
        return Ok(());
    };
    Err(refused(span, message))
}

/// Refuses streams that a pipe and a redirection both claim: zsh serves both, other shells the redirection.
fn check_pipes(commands: &[(Command, Range<usize>)]) -> Result<(), Unparsed> {
    let piped = |at: usize| {
        commands
            .get(at)
            .is_some_and(|(command, _)| command.joint == Joint::Pipe)
    };
    for (at, (command, span)) in commands.iter().enumerate() {
        let claims = |stream| {
            command
                .redirections
                .iter()
                .any(|other| other.stream() == stream)
        };
        let reads_pipe = piped(at);
        let writes_pipe = piped(at.saturating_add(1));
        if reads_pipe && claims(token::Stream::Input)
            || writes_pipe && claims(token::Stream::Output)
        {
            return Err(refused(
                span.clone(),
                "a pipe and a redirection for one stream: zsh serves both, other shells one",
            ));
        }
    }
    Ok(())
}

/// Takes a leading `cd` out of the commands; refuses every other.
fn leading_directory(
    commands: &mut Vec<(Command, Range<usize>)>,
) -> Result<Option<String>, Unparsed> {
    let is_cd = |command: &Command| command.words.first().is_some_and(|name| name == "cd");
    if let Some((_, span)) = commands.iter().skip(1).find(|(command, _)| is_cd(command)) {
        return Err(refused(
            span.clone(),
            "`cd` is read at the start of a text only: `cd DIRECTORY && …`",
        ));
    }
    let Some((first, span)) = commands.first().filter(|(command, _)| is_cd(command)) else {
        return Ok(None);
    };
    let mut joints = commands.iter().skip(1).map(|(command, _)| command.joint);
    let starts_chain = joints.next().is_none_or(|joint| joint == Joint::And);
    if !starts_chain || !joints.all(|joint| matches!(joint, Joint::And | Joint::Pipe)) {
        return Err(refused(
            span.clone(),
            "what runs after `cd` depends on whether it worked: join all commands by `&&`",
        ));
    }
    let directory = match first.words.as_slice() {
        [_, directory]
            if first.redirections.is_empty()
                && first.patterns.is_empty()
                && !directory.is_empty()
                && !directory.starts_with(['-', '+']) =>
        {
            directory.clone()
        }
        _ => {
            return Err(refused(
                span.clone(),
                "`cd` takes one directory here, and nothing else",
            ));
        }
    };
    commands.remove(0);
    Ok(Some(directory))
}

fn refused(span: Range<usize>, message: impl Into<String>) -> Unparsed {
    Unparsed {
        span,
        message: message.into(),
    }
}
