//! `lictor tools`: the tool libraries inside this program, and how they read a command line.

#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

use clap::{Args, Subcommand};
use serde_json::json;

use super::exit::Exit;
use super::{Failure, Global, discover, granted, print_json};
use crate::decision::{Context, Decision, Request, decide};
use crate::policy::{CompiledPolicy, Library, SourceFile, libraries, library_for, nearest};
use crate::text::{indented, shell};

#[derive(Args, Debug)]
pub(super) struct Tools {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// List the libraries and the tools that each declares
    List,
    /// Print one library: what it declares, what it leaves out and why, and its tests
    Show {
        /// `pytest`, `lictor/pytest@1`, or a tool that a library declares
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Tell how the libraries read a command line; no policy is asked, nothing is recorded or run
    Try {
        /// The command line
        #[arg(last = true, required = true, value_name = "ARGV")]
        argv: Vec<OsString>,
    },
}

pub(super) fn main(command: Tools, global: &Global) -> Result<Exit, Failure> {
    match command.command.unwrap_or(Command::List) {
        Command::List => Ok(list(global)),
        Command::Show { name } => show(&name),
        Command::Try { argv } => read(argv, global),
    }
}

fn list(global: &Global) -> Exit {
    if global.json {
        let all: Vec<_> = libraries()
            .map(|library| {
                let tools: Vec<&str> = library.tools().collect();
                json!({"name": library.name(), "summary": library.summary(), "tools": tools})
            })
            .collect();
        print_json(&json!({"v": 1, "libraries": all}));
        return Exit::Good;
    }
    for library in libraries() {
        answer!("{}: {}", library.name(), library.summary());
        let mut line = String::from("   ");
        for tool in library.tools() {
            if line.len().saturating_add(tool.len()) >= WIDTH {
                answer!("{line}");
                line.truncate(3);
            }
            line.push(' ');
            line.push_str(tool);
        }
        answer!("{line}");
    }
    Exit::Good
}

/// Columns of a line of tools.
const WIDTH: usize = 100;

fn show(name: &str) -> Result<Exit, Failure> {
    let is_named = |library: &&Library| {
        let short = library.name().strip_prefix("lictor/");
        let short = short.and_then(|short| short.split('@').next());
        library.name() == name || short == Some(name)
    };
    let declares = |library: &&Library| library.tools().any(|tool| tool == name);
    let found = libraries().find(is_named);
    let Some(library) = found.or_else(|| libraries().find(declares)) else {
        let names =
            libraries().flat_map(|library| std::iter::once(library.name()).chain(library.tools()));
        let help = match nearest(name, names) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => "`lictor tools` lists them".to_owned(),
        };
        return Err(Failure::new(format!(
            "no tool library is called `{}`, or declares such a tool\n  help: {help}",
            name.escape_debug()
        )));
    };
    answer_part!("{}", library.text());
    Ok(Exit::Good)
}

fn read(argv: Vec<OsString>, global: &Global) -> Result<Exit, Failure> {
    let argv: Vec<Vec<u8>> = argv.into_iter().map(OsString::into_vec).collect();
    let words: Vec<&str> = argv
        .iter()
        .map_while(|word| str::from_utf8(word).ok())
        .collect();
    let Some(library) = library_for(&words) else {
        let program = argv.first().map(|word| shell(word)).unwrap_or_default();
        return Err(Failure::new(format!(
            "no tool library declares `{program}`\n  help: `lictor tools` lists what is declared; policy/README.md \
             shows how a policy declares a tool of its own"
        )));
    };
    let file = SourceFile::new(library.name(), library.text());
    let policy = match CompiledPolicy::library_allowed(&file) {
        Some(Ok(policy)) => policy,
        Some(Err(error)) => return Err(Failure::new(error)),
        None => return Err(Failure::new(format!("{} is no library", library.name()))),
    };
    let actor = discover::actor(global);
    let decision = decide(&policy, &Request::argv(argv), &Context::new(actor));
    if global.json {
        let mut json = decision.to_json();
        if let Some(fields) = json.as_object_mut() {
            fields.retain(|key, _| {
                matches!(
                    key.as_str(),
                    "v" | "effect" | "reason" | "message" | "instead" | "request" | "command"
                )
            });
            fields.insert("library".to_owned(), json!(library.name()));
        }
        print_json(&json);
    } else {
        tell(&decision, library);
    }
    Ok(Exit::of_check(&decision))
}

fn tell(decision: &Decision, library: &Library) {
    let (Some(exact), Some(command)) = (decision.exact(), decision.argv()) else {
        return refused(decision, library);
    };
    let command: Vec<String> = command.iter().map(|word| shell(word.as_bytes())).collect();
    answer!("library    {}", library.name());
    for line in granted::understood(exact.request()) {
        answer!("{line}");
    }
    answer!("command    {}", command.join(" "));
}

fn refused(decision: &Decision, library: &Library) {
    let reason = decision.reason().map_or("", |reason| reason.code());
    answer!("not understood: {reason}, of {}", library.name());
    answer!("  {}", indented(decision.message()));
    if let Some(instead) = decision.instead() {
        answer!("  instead: {}", indented(instead));
    }
}
