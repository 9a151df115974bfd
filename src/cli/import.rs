//! `lictor import`: a policy from permission rules that an agent has already.

#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;

use super::exit::Exit;
use super::{Failure, Global, audit, discover, print_json};
use crate::agents::permissions::{self, Effect, Rule};
use crate::policy::model::{Action, ArgumentKind, Tool};
use crate::policy::{CompiledPolicy, SourceFile, library_for};
use crate::resolve::Below;
use crate::text::{is_odd, one_line};

const ABOUT: &str = "\
Prints a policy that says what the settings say, as far as a policy can. A rule that cannot be taken over without allowing more
than it does is not, and is listed with the reason at the end of the policy and on standard error. The exit code is 1 if a deny or
an ask is among them: without it the policy allows more than the settings. Look at it before you use it.

Examples:
  lictor import claude-settings
  lictor import claude-settings .claude/settings.local.json --out lictor.yaml";

#[derive(Args, Debug)]
pub(super) struct Import {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand, Debug)]
enum What {
    /// Read `permissions` of Claude Code's settings
    ClaudeSettings(Settings),
}

#[derive(Args, Debug)]
#[command(after_help = ABOUT)]
struct Settings {
    /// The file of settings
    #[arg(value_name = "FILE", default_value = ".claude/settings.json")]
    file: PathBuf,
    /// A new file to write the policy to
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) fn main(command: &Import, global: &Global) -> Result<Exit, Failure> {
    let What::ClaudeSettings(settings) = &command.what;
    let directory = discover::current_directory()?;
    let shown = directory.join(&settings.file);
    let text = Below::new(&directory, &settings.file).read();
    let text = text.map_err(|why| audit::failed(&shown, &why))?;
    let text = text.ok_or_else(|| audit::failed(&shown, "there is no such file"))?;
    let of = shown.display().to_string();
    let rules = audit::settings(&text, &of).map_err(|why| audit::failed(&shown, &why))?;
    let taken = imported(&rules, &directory.display().to_string());
    let policy = taken.text();
    CompiledPolicy::from_yaml(&policy).map_err(Failure::new)?;
    if let Some(out) = &settings.out {
        let file = Below::new(&directory, out);
        let written = match file.read() {
            Ok(None) => file.write(None, &policy, 0o644),
            Ok(Some(_)) => {
                Err("it is there already, and nothing is replaced; name a new file".to_owned())
            }
            Err(why) => Err(why),
        };
        written.map_err(|why| audit::failed(&directory.join(out), &why))?;
    }
    // Without one of them the policy allows more than the settings.
    let is_wider = |(rule, _): &(&Rule, String)| rule.effect != Effect::Allow;
    let exit = match taken.left.iter().any(is_wider) {
        true => Exit::Bad,
        false => Exit::Good,
    };
    if global.json {
        let left = taken.left.iter().map(|(rule, why)| json!({"list": rule.effect.name(), "nth": rule.nth, "rule": rule.text, "why": why}));
        print_json(&json!({
            "v": 1, "file": of, "rules": rules.len(), "policy": policy, "not_taken_over": left.collect::<Vec<_>>(),
            "written": settings.out.as_ref().map(|out| out.display().to_string()),
        }));
        return Ok(exit);
    }
    if settings.out.is_none() {
        answer_part!("{policy}");
    }
    for (rule, why) in &taken.left {
        message!("not taken over: {}: {why}", origin(rule));
    }
    Ok(exit)
}

fn origin(rule: &Rule) -> String {
    format!(
        "permissions.{}[{}]: {}",
        rule.effect.name(),
        rule.nth,
        one_line(&rule.text)
    )
}

/// Rules that were taken over, and rules that were not.
struct Imported<'r> {
    uses: BTreeSet<&'static str>,
    scopes: Vec<String>,
    entries: Vec<String>,
    left: Vec<(&'r Rule, String)>,
}

impl Imported<'_> {
    fn new() -> Self {
        Imported {
            uses: BTreeSet::from(["lictor/files@1"]),
            scopes: Vec::new(),
            entries: Vec::new(),
            left: Vec::new(),
        }
    }

    fn text(&self) -> String {
        let mut text = String::from("version: 1\nname: imported\n");
        let uses: Vec<&str> = self.uses.iter().copied().collect();
        _ = writeln!(text, "use: [{}]", uses.join(", "));
        text.push_str("scopes:\n  everything: \"**\"\n");
        text.extend(self.scopes.iter().map(String::as_str));
        text.push_str("approvals:\n  person: {grant: true}\n");
        match self.entries.is_empty() {
            true => text.push_str("rules: []\n"),
            false => text.push_str("rules:\n"),
        }
        text.extend(self.entries.iter().map(String::as_str));
        if !self.left.is_empty() {
            text.push_str("# Not taken over:\n");
        }
        for (rule, why) in &self.left {
            _ = writeln!(text, "#   {}: {}", origin(rule), one_line(why));
        }
        text
    }
}

/// Meaning of a rule of the settings in a policy.
#[derive(Default)]
struct Meaning {
    uses: Vec<&'static str>,
    /// Actions, as a rule names them.
    actions: Vec<String>,
    /// Globs of the paths that are meant, if some are.
    paths: Option<Vec<String>>,
    access: Option<&'static str>,
    has_paths: bool,
    /// Difference from the settings.
    differs: &'static str,
}

fn imported<'r>(rules: &'r [Rule], directory: &str) -> Imported<'r> {
    let mut all = Imported::new();
    for rule in rules {
        let added = meaning(rule, directory).and_then(|meaning| {
            let mut alone = Imported::new();
            add(&mut alone, rule, &meaning);
            // The language refuses by itself what it cannot say.
            CompiledPolicy::from_yaml(&alone.text()).map_err(|errors| errors.to_string())?;
            Ok(meaning)
        });
        match added {
            Ok(meaning) => add(&mut all, rule, &meaning),
            Err(why) => all.left.push((rule, why)),
        }
    }
    all
}

fn add(all: &mut Imported<'_>, rule: &Rule, meaning: &Meaning) {
    let name = format!("{}-{}", rule.effect.name(), rule.nth);
    all.uses.extend(&meaning.uses);
    let scope = meaning.paths.as_ref().map(|paths| {
        let quoted: Vec<String> = paths.iter().map(|path| json!(path).to_string()).collect();
        all.scopes
            .push(format!("  {name}: [{}]\n", quoted.join(", ")));
        name.as_str()
    });
    let actions = meaning.actions.join(", ");
    let touching = scope
        .map(|scope| format!(", touching: {scope}"))
        .unwrap_or_default();
    let access = meaning
        .access
        .map(|access| format!(", access: {access}"))
        .unwrap_or_default();
    let within = match meaning.has_paths {
        true => format!(", within: {}", scope.unwrap_or("everything")),
        false => String::new(),
    };
    let mut entry = format!("  # {}\n", origin(rule));
    if !meaning.differs.is_empty() {
        _ = writeln!(entry, "  # {}", meaning.differs);
    }
    _ = match rule.effect {
        Effect::Deny => writeln!(
            entry,
            "  - {{id: {name}, deny: [{actions}]{touching}{access}}}"
        ),
        Effect::Ask if meaning.actions.iter().any(|action| action == EVERY) => {
            writeln!(
                entry,
                "  - {{id: {name}, ask: [{actions}], approval: person}}"
            )
        }
        Effect::Ask => writeln!(
            entry,
            "  - {{id: {name}, ask: [{actions}]{touching}, approval: person}}\n  \
             - {{id: {name}-granted, allow: [{actions}]{within}, approval: person}}"
        ),
        Effect::Allow => writeln!(entry, "  - {{id: {name}, allow: [{actions}]{within}}}"),
    };
    all.entries.push(entry);
}

fn meaning(rule: &Rule, directory: &str) -> Result<Meaning, String> {
    if let (Effect::Allow, Some(why)) = (rule.effect, permissions::never(rule)) {
        return Err(format!("it matches no call: {why}"));
    }
    match rule.tool.as_str() {
        "Bash" => commands(rule),
        "Read" => files(
            rule,
            &["read_file", "list_dir", "search"],
            "read",
            directory,
        ),
        "Glob" => files(rule, &["list_dir"], "read", directory),
        "Grep" => files(rule, &["search"], "read", directory),
        "Edit" | "Write" | "MultiEdit" | "NotebookEdit" => {
            files(rule, &["edit", "write_file"], "write", directory)
        }
        "WebFetch" | "WebSearch" => {
            Err("no action of a library reads the network for an agent".to_owned())
        }
        tool if tool.starts_with("mcp__") => {
            Err("tools of other MCP servers are no tools of a policy".to_owned())
        }
        _ => Err("no action of a library does what this tool does".to_owned()),
    }
}

fn files(
    rule: &Rule,
    actions: &[&str],
    access: &'static str,
    directory: &str,
) -> Result<Meaning, String> {
    let paths = match &rule.about {
        None => None,
        Some(about) => Some(globs(about, rule.effect, directory)?),
    };
    let is_deny = rule.effect == Effect::Deny && paths.is_some();
    Ok(Meaning {
        actions: match is_deny {
            true => vec![EVERY.to_owned()],
            false => actions
                .iter()
                .map(|action| format!("filesystem.{action}"))
                .collect(),
        },
        access: is_deny.then_some(access),
        has_paths: true,
        differs: match is_deny {
            true => "Every action that touches these paths so is denied, commands too.",
            false => "Inside the workspace only.",
        },
        paths,
        ..Meaning::default()
    })
}

/// The globs for a pattern of paths. What keeps out speaks of names at any depth, and of what lies below; what lets in, of the
/// pattern as it is written from the top.
fn globs(about: &str, effect: Effect, directory: &str) -> Result<Vec<String>, String> {
    let is_allow = effect == Effect::Allow;
    let from_root = match about.strip_prefix('~') {
        Some(below) => discover::user_home().map(|home| format!("{}{below}", home.display())),
        None => about
            .strip_prefix('/')
            .filter(|path| path.starts_with('/'))
            .map(str::to_owned),
    };
    let (is_top, path) = match &from_root {
        None => (
            about.starts_with('/') || about.starts_with("./"),
            about.strip_prefix("./").unwrap_or(about),
        ),
        Some(path) => match (path.strip_prefix(directory), path.find("**")) {
            (Some(below), _) if below.starts_with('/') => (true, below),
            (_, Some(at)) if !is_allow => (true, path.get(at..).unwrap_or_default()),
            _ => {
                return Err(
                    "it is about paths outside the project, which nothing here allows".to_owned(),
                );
            }
        },
    };
    let path = path.trim_matches('/');
    let mut parts = Vec::new();
    for part in path.split('/') {
        if matches!(part, "." | ".." | "") {
            return Err("its path is not one of the project".to_owned());
        }
        let is_glued = part.contains("**") && part != "**";
        if !is_glued && !part.contains(['[', ']', '{', '}', '!', '\\']) && !part.contains(is_odd) {
            parts.push(part);
            continue;
        }
        if is_allow {
            return Err("its pattern has characters that a scope reads otherwise".to_owned());
        }
        // What keeps out is then about all that is there.
        parts.push("**");
        break;
    }
    let path = parts.join("/");
    if is_allow {
        return Ok(vec![path]);
    }
    let is_open = path.ends_with("**");
    let mut globs = vec![path.clone()];
    if !is_open {
        globs.push(format!("{path}/**"));
    }
    if !is_top && !path.contains('/') && !is_open {
        globs.extend([format!("**/{path}"), format!("**/{path}/**")]);
    }
    Ok(globs)
}

/// Every action, in a rule.
const EVERY: &str = "\"*\"";

fn commands(rule: &Rule) -> Result<Meaning, String> {
    let is_allow = rule.effect == Effect::Allow;
    let about = rule.about.as_deref().unwrap_or("*");
    let prefix = permissions::prefix(about);
    let text = prefix.unwrap_or(about);
    if is_allow && text != "*" && text.contains('*') {
        return Err("it allows lines of which only parts are named".to_owned());
    }
    let words: Vec<&str> = text
        .split_whitespace()
        .take_while(|word| !word.contains('*'))
        .collect();
    let Some((program, rest)) = words.split_first() else {
        return match is_allow {
            true => Err("it is about every command; a policy allows what it names".to_owned()),
            false => Ok(Meaning {
                actions: vec![EVERY.to_owned()],
                differs: "It is about the tools for files as well.",
                ..Meaning::default()
            }),
        };
    };
    let Some(library) = library_for(&words) else {
        return Err(format!(
            "no tool library declares `{}`, and nothing allows it",
            one_line(program)
        ));
    };
    let file = SourceFile::new(library.name(), library.text());
    let policy = match CompiledPolicy::library_allowed(&file) {
        Some(policy) => policy.map_err(|errors| errors.to_string())?,
        None => return Err(format!("{} is no library", library.name())),
    };
    let called = |tool: &&Tool| tool.program.as_deref().unwrap_or(&tool.name) == *program;
    let mut meaning = Meaning {
        uses: vec![library.name()],
        ..Meaning::default()
    };
    let tools: Vec<&Tool> = policy.tools().iter().filter(called).collect();
    if tools.is_empty() {
        if is_allow {
            return Err(format!(
                "{} reads this program in some lines only",
                library.name()
            ));
        }
        // Another spelling of a tool: what keeps out is about all of it.
        meaning.actions = policy
            .tools()
            .iter()
            .map(|tool| format!("{}.*", tool.name))
            .collect();
        meaning.differs = "It is about every action of these tools.";
        meaning.has_paths = true;
        return Ok(meaning);
    }
    for tool in tools {
        for action in &tool.actions {
            if !is_meant(tool, action, rest, is_allow, prefix.is_some()) {
                continue;
            }
            meaning
                .actions
                .push(format!("{}.{}", tool.name, action.name));
            let mut arguments = tool.arguments(action);
            meaning.has_paths |=
                arguments.any(|argument| matches!(argument.kind, ArgumentKind::Path(_)));
        }
    }
    if meaning.actions.is_empty() {
        return Err(match is_allow {
            true => format!(
                "no action of {} allows these lines and no others",
                library.name()
            ),
            false => format!(
                "no action of {} begins like this, so nothing allows it",
                library.name()
            ),
        });
    }
    meaning.differs = match rule.effect {
        Effect::Allow => {
            "Of the lines that begin so: those that the library reads, on paths of the workspace."
        }
        Effect::Deny | Effect::Ask => {
            "It is about these actions whatever their arguments and spelling."
        }
    };
    Ok(meaning)
}

/// Returns true if a rule about lines that begin with `rest` is about an action: one that lets in, if all of the action's lines
/// are meant; one that keeps out, if some can be.
fn is_meant(tool: &Tool, action: &Action, rest: &[&str], is_allow: bool, is_prefix: bool) -> bool {
    let begins = |one: &[&str], two: &[&str]| one.starts_with(two);
    let ways: Vec<Vec<&str>> = match action.command.as_slice() {
        [] => vec![Vec::new()],
        ways => ways
            .iter()
            .map(|way| way.iter().map(String::as_str).collect())
            .collect(),
    };
    if !is_allow {
        return ways
            .iter()
            .any(|way| begins(way, rest) || begins(rest, way));
    }
    if action.unnamed.is_some() {
        return false;
    }
    match is_prefix {
        true => ways.iter().any(|way| begins(way, rest)),
        false => ways.iter().any(|way| way == rest) && tool.arguments(action).next().is_none(),
    }
}
