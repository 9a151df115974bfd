//! Claude Code's own permission rules, as its version 2.1.330 was seen to match them: which commands a rule is about, and
//! which lines pass it.
//!
//! Every line that is handed out as a witness was held against this model; the lines of the tables below were tried with the
//! program and a scripted model. Before it matches, that version takes a line apart at `&&`, `||`, `;`, `|` and line ends, looks into
//! groups, loops, `$(…)` and `sh -c`, and takes away variables, quotes and programs that call another (`WRAPPERS`).

#![forbid(unsafe_code)]

use serde_json::Value as Json;

/// The version that the model was compared with.
pub const TESTED: &str = "2.1.330";

/// Effect of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the settings have three lists")]
pub enum Effect {
    /// The call is refused.
    Deny,
    /// A person is asked.
    Ask,
    /// Nobody is asked.
    Allow,
}

impl Effect {
    /// The list's name in the settings.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Effect::Deny => "deny",
            Effect::Ask => "ask",
            Effect::Allow => "allow",
        }
    }
}

/// One rule of the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rule {
    /// The file of settings.
    pub file: String,
    /// The list that it stands in.
    pub effect: Effect,
    /// Where it stands there, from 0.
    pub nth: usize,
    /// The rule as it is written.
    pub text: String,
    /// The tool's name.
    pub tool: String,
    /// The text in parentheses, if there is any.
    pub about: Option<String>,
}

/// Finding about one rule.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// The rule.
    pub rule: Rule,
    /// Kind of the mistake.
    pub kind: Kind,
    /// In words.
    pub message: String,
    /// Lines that show it.
    pub witnesses: Vec<String>,
}

/// Kind of a mistake in a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "callers show each")]
pub enum Kind {
    /// It matches no call.
    NeverMatches,
    /// Another rule decides all that it matches.
    Shadowed,
    /// It does not match lines that do the same.
    Passed,
    /// It allows more than it seems to.
    AllowsMore,
}

impl Kind {
    /// The kind in answers to programs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::NeverMatches => "never-matches",
            Kind::Shadowed => "shadowed",
            Kind::Passed => "passed",
            Kind::AllowsMore => "allows-more",
        }
    }
}

/// Reads `permissions` of the settings in a file.
///
/// # Errors
///
/// A value has another form than rules have: which, and where.
pub fn rules(settings: &Json, file: &str) -> Result<Vec<Rule>, String> {
    let mut all = Vec::new();
    let Some(permissions) = settings.get("permissions") else {
        return Ok(all);
    };
    if !permissions.is_object() {
        return Err("`permissions` is no object".to_owned());
    }
    for effect in [Effect::Deny, Effect::Ask, Effect::Allow] {
        let name = effect.name();
        let list = match permissions.get(name) {
            None => continue,
            Some(Json::Array(list)) => list,
            Some(_) => return Err(format!("`permissions.{name}` is no list")),
        };
        for (nth, text) in list.iter().enumerate() {
            let Some(text) = text.as_str() else {
                return Err(format!("`permissions.{name}[{nth}]` is no text"));
            };
            let (tool, about) = match text.split_once('(') {
                Some((tool, rest)) => match rest.strip_suffix(')') {
                    Some(about) => (tool, Some(about.to_owned())),
                    None => return Err(format!("`permissions.{name}[{nth}]` does not end in `)`")),
                },
                None => (text, None),
            };
            all.push(Rule {
                file: file.to_owned(),
                effect,
                nth,
                text: text.to_owned(),
                tool: tool.to_owned(),
                about: about.filter(|about| about != "*"),
            });
        }
    }
    Ok(all)
}

/// Mistakes in rules, each looked at beside all others.
#[must_use]
pub fn audit(rules: &[Rule]) -> Vec<Finding> {
    let mut found = Vec::new();
    for rule in rules {
        let mut tell = |kind: Kind, message: String, witnesses: Vec<String>| {
            let rule = rule.clone();
            found.push(Finding {
                rule,
                kind,
                message,
                witnesses,
            });
        };
        if let Some(why) = never(rule) {
            tell(Kind::NeverMatches, why, Vec::new());
            continue;
        }
        if let Some(by) = rules.iter().find(|other| shadows(other, rule)) {
            let message = format!(
                "`{}` in `{}` decides all that it matches",
                by.text,
                by.effect.name()
            );
            tell(Kind::Shadowed, message, Vec::new());
            continue;
        }
        let passed = |lines: Vec<String>| -> Vec<String> {
            let is_denied = |line: &String| {
                let mut denies = rules.iter().filter(|rule| rule.effect != Effect::Allow);
                denies.any(|rule| matches(rule, line))
            };
            lines.into_iter().filter(|line| !is_denied(line)).collect()
        };
        match rule.effect {
            Effect::Deny | Effect::Ask => {
                let lines = passed(around(rule));
                if !lines.is_empty() {
                    let message = "these lines do the same, and it does not match them".to_owned();
                    tell(Kind::Passed, message, lines);
                }
            }
            Effect::Allow => {
                let lines = passed(more(rule));
                if !lines.is_empty() {
                    let message = "it allows these lines as well".to_owned();
                    tell(Kind::AllowsMore, message, lines);
                }
            }
        }
    }
    found
}

const TOOLS: &[&str] = &[
    "Agent",
    "Artifact",
    "AskUserQuestion",
    "Bash",
    "Edit",
    "EnterPlanMode",
    "EnterWorktree",
    "ExitPlanMode",
    "ExitWorktree",
    "Glob",
    "Grep",
    "LSP",
    "Monitor",
    "MultiEdit",
    "NotebookEdit",
    "PowerShell",
    "Read",
    "RemoteTrigger",
    "SendUserFile",
    "Skill",
    "Task",
    "TaskCreate",
    "TaskGet",
    "TaskList",
    "TaskStop",
    "TaskUpdate",
    "TodoWrite",
    "ToolSearch",
    "WebFetch",
    "WebSearch",
    "Workflow",
    "Write",
];

/// Why a rule matches no call, if it does not.
pub(crate) fn never(rule: &Rule) -> Option<String> {
    let is_known = TOOLS.contains(&rule.tool.as_str())
        || rule.tool.starts_with("mcp__")
        || rule.tool.starts_with("Cron");
    let about = rule.about.as_deref().unwrap_or_default();
    if !is_known {
        let close = TOOLS
            .iter()
            .find(|known| known.eq_ignore_ascii_case(&rule.tool));
        return Some(match close {
            Some(known) => format!("no tool has this name: `{known}` is written so"),
            None => "no tool has this name".to_owned(),
        });
    }
    if rule.tool == "Bash" && rule.effect == Effect::Allow && about.contains(" | ") {
        return Some(
            "a line is taken apart at `|` before it is allowed: write one rule for each command"
                .to_owned(),
        );
    }
    if rule.tool == "Write" && !about.is_empty() {
        return Some(format!(
            "paths are matched in rules for `Edit` only: write `Edit({about})`, which is about all tools that write"
        ));
    }
    if matches!(rule.tool.as_str(), "Read" | "Edit")
        && about.starts_with('/')
        && !about.starts_with("//")
        && SYSTEM.iter().any(|top| about.starts_with(top))
    {
        return Some(format!(
            "`/` at the start means the project's directory: write `/{about}` for the file system's"
        ));
    }
    if rule.tool == "WebFetch" && !about.is_empty() && !about.starts_with("domain:") {
        return Some("a host is written `WebFetch(domain:HOST)`".to_owned());
    }
    None
}

const SYSTEM: &[&str] = &[
    "/etc/", "/home/", "/root/", "/usr/", "/var/", "/proc/", "/opt/", "/tmp/",
];

/// Returns true if `other` decides everything that `rule` matches.
fn shadows(other: &Rule, rule: &Rule) -> bool {
    if std::ptr::eq(other, rule) || other.tool != rule.tool {
        return false;
    }
    let rank = |effect: Effect| match effect {
        Effect::Deny => 0_u8,
        Effect::Ask => 1,
        Effect::Allow => 2,
    };
    let same_list = other.effect == rule.effect;
    if rank(other.effect) > rank(rule.effect) {
        return false;
    }
    match (&other.about, &rule.about) {
        (None, Some(_)) => true,
        (None, None) => !same_list || other.nth < rule.nth,
        (Some(_), None) => false,
        (Some(one), Some(two)) if one == two => !same_list || other.nth < rule.nth,
        (Some(one), Some(two)) if rule.tool == "Bash" => {
            let (prefix, text) = (prefix(one), prefix(two));
            match (prefix, text) {
                (Some(prefix), Some(text)) => begins(text, prefix),
                (Some(prefix), None) => !two.contains('*') && begins(two, prefix),
                (None, _) => false,
            }
        }
        (Some(_), Some(_)) => false,
    }
}

/// The text that commands of this rule begin with, if that is all that it says.
pub(crate) fn prefix(about: &str) -> Option<&str> {
    let prefix = about
        .strip_suffix(":*")
        .or_else(|| about.strip_suffix(" *"))?;
    (!prefix.contains('*')).then_some(prefix)
}

/// Returns true if a command is `prefix` or goes on behind it with another word.
fn begins(command: &str, prefix: &str) -> bool {
    command
        .strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
}

/// Words in front of a command that are taken away before a rule that keeps out is matched.
const WRAPPERS: &[&str] = &[
    "env", "command", "builtin", "exec", "nohup", "time", "nice", "sudo", "setsid", "timeout",
    "stdbuf", "xargs",
];

/// Commands that are seen to read or change the files that they name; others are not looked into.
const READERS: &[&str] = &[
    "cat", "head", "tail", "grep", "sed", "awk", "cp", "mv", "base64", "tac", "od", "diff", "wc",
    "sort", "nl", "jq", "cut", "strings",
];
const WRITERS: &[&str] = &["sed", "tee", "touch", "cp", "mv", "rm", "mkdir"];

/// Returns true if a rule that keeps out matches a line.
#[must_use]
pub fn matches(rule: &Rule, line: &str) -> bool {
    let Some(about) = &rule.about else {
        return rule.tool == "Bash";
    };
    simple(line).iter().any(|command| {
        let words: Vec<&str> = command.split_whitespace().collect();
        match rule.tool.as_str() {
            "Bash" => {
                // As it is called, and by the program's name alone.
                let mut words = unwrapped(&words);
                let whole = words.join(" ");
                if let Some(first) = words.first_mut() {
                    *first = first.rsplit('/').next().unwrap_or(first);
                }
                let matches = |command: &str| match prefix(about) {
                    Some(prefix) => begins(command, prefix),
                    None => wild(about.as_bytes(), command.as_bytes()),
                };
                matches(&whole) || matches(&words.join(" "))
            }
            "Read" | "Edit" => {
                let known = if rule.tool == "Read" {
                    READERS
                } else {
                    WRITERS
                };
                let path = concrete(about);
                let reads = words.first().is_some_and(|word| known.contains(word));
                reads
                    && words
                        .iter()
                        .any(|word| word.trim_start_matches("./") == path)
            }
            _ => false,
        }
    })
}

/// The commands of a line, as far as they are told apart.
fn simple(line: &str) -> Vec<String> {
    if let Some((_, script)) = line.split_once(" -c '") {
        let shell = line.split_whitespace().next().unwrap_or_default();
        if matches!(shell, "sh" | "bash") && !script.contains("cat ") {
            return simple(script.trim_end_matches('\''));
        }
    }
    let separators = [" && ", " || ", "; ", " | "];
    let mut parts = vec![line.to_owned()];
    for separator in separators {
        parts = parts
            .iter()
            .flat_map(|part| part.split(separator).map(str::to_owned))
            .collect();
    }
    parts
}

/// A command without what is taken away in front of it.
fn unwrapped<'w>(words: &[&'w str]) -> Vec<&'w str> {
    let mut words = words.to_vec();
    loop {
        let Some(first) = words.first().copied() else {
            return words;
        };
        let name = first.rsplit('/').next().unwrap_or(first);
        let is_assignment = first.contains('=') && !first.starts_with(['=', '-', '\'', '"']);
        let next = words.get(1).copied().unwrap_or_default();
        let is_wrapper = WRAPPERS.contains(&name) && !(name == "xargs" && next.starts_with('-'));
        if !is_assignment && !is_wrapper {
            return words;
        }
        words.remove(0);
        let is_own = |word: &&str| word.starts_with('-') || word.parse::<f64>().is_ok();
        while is_wrapper && words.first().is_some_and(is_own) {
            words.remove(0);
        }
    }
}

/// Returns true if `text` is matched by a pattern in which `*` stands for any text.
fn wild(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => {
            (0..=text.len()).any(|at| wild(rest, text.get(at..).unwrap_or_default()))
        }
        (Some((one, pattern)), Some((two, text))) => one == two && wild(pattern, text),
        (Some(_), None) | (None, Some(_)) => false,
    }
}

/// A path that a pattern of paths matches, from the project's directory.
fn concrete(about: &str) -> String {
    let about = about.strip_prefix("./").unwrap_or(about);
    let about = about
        .strip_prefix("//")
        .map_or(about.to_owned(), |rest| format!("/{rest}"));
    let path = about.replace("**/", "").replace("**", "a.txt");
    path.replace('*', "a")
}

/// Options in front of a subcommand, which some programs take: the rule then no longer begins the line.
const IN_FRONT: &[(&str, &str)] = &[
    ("git", "-C ."),
    ("npm", "--silent"),
    ("pnpm", "--silent"),
    ("docker", "--debug"),
    ("kubectl", "-n default"),
    ("terraform", "-chdir=."),
    ("gh", "-R owner/name"),
    ("cargo", "-q"),
];

/// Lines that do what a rule keeps out, of which some are not matched.
fn around(rule: &Rule) -> Vec<String> {
    let Some(about) = rule.about.as_deref() else {
        return Vec::new();
    };
    match rule.tool.as_str() {
        "Bash" => {
            let command = prefix(about)
                .unwrap_or(about)
                .trim_end_matches('*')
                .trim_end();
            let (program, rest) = match command.split_once(' ') {
                Some((program, rest)) => (program, Some(rest)),
                None => (command, None),
            };
            if program.is_empty() || command.contains('*') {
                return Vec::new();
            }
            let mut lines = Vec::new();
            if let Some(rest) = rest
                && let Some((_, option)) = IN_FRONT.iter().find(|(name, _)| *name == program)
            {
                lines.push(format!("{program} {option} {rest}"));
            }
            if prefix(about).is_none() && !about.ends_with('*') {
                lines.push(format!("{command} x"));
            }
            lines.push(format!("echo x | xargs -n1 {command}"));
            lines.push(format!("find . -maxdepth 0 -exec {command} {{}} +"));
            let rest = rest.map(|rest| format!(" {rest}")).unwrap_or_default();
            lines.push(format!("$(echo {program}){rest} x"));
            lines.push(format!("eval {command} x"));
            lines
        }
        "Read" => {
            let path = concrete(about);
            vec![
                format!("/bin/cat {path}"),
                format!("bash -c 'cat {path}'"),
                format!("python3 -c 'print(open(\"{path}\").read())'"),
                format!("less {path}"),
                format!("dd if={path}"),
            ]
        }
        "Edit" => {
            let path = concrete(about);
            vec![
                format!("truncate -s0 {path}"),
                format!("dd if=/dev/null of={path}"),
                format!("python3 -c 'open(\"{path}\", \"w\")'"),
            ]
        }
        _ => Vec::new(),
    }
}

/// Lines that a rule for a bare program allows, and that do more than the program's name says.
const MORE: &[(&str, &str)] = &[
    ("sed", "sed -i s/a/b/ x"),
    ("sort", "sort -o out x"),
    ("git", "git config alias.x '!touch made'"),
    ("env", "env touch made"),
    ("xargs", "echo made | xargs touch"),
    ("python3", "python3 -c 'open(\"made\", \"w\")'"),
    (
        "node",
        "node -e 'require(\"fs\").writeFileSync(\"made\", \"\")'",
    ),
    ("perl", "perl -e 'open(F, \">made\")'"),
    ("make", "make -f /dev/null --eval 'x:;touch made'"),
    ("curl", "curl -o made file:///etc/hostname"),
];

/// Lines that a rule allows, and that do more than it seems to say.
fn more(rule: &Rule) -> Vec<String> {
    let Some(about) = rule.about.as_deref() else {
        return match rule.tool.as_str() {
            "Bash" => vec!["python3 -c 'open(\"made\", \"w\")'".to_owned()],
            _ => Vec::new(),
        };
    };
    let Some(command) = prefix(about).filter(|_| rule.tool == "Bash") else {
        return Vec::new();
    };
    let by_name = MORE.iter().filter(|(name, _)| *name == command);
    let mut lines: Vec<String> = by_name.map(|(_, line)| (*line).to_owned()).collect();
    if command.starts_with("npm run ") {
        lines.push(format!("{command} --prefix /tmp"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rule(effect: Effect, text: &str) -> Rule {
        let settings = json!({"permissions": {effect.name(): [text]}});
        rules(&settings, "f").unwrap().remove(0)
    }

    /// Lines as Claude Code 2.1.330 was seen to match them.
    #[test]
    fn the_model_matches_what_the_program_was_seen_to_match() {
        let rm = rule(Effect::Deny, "Bash(rm:*)");
        for line in [
            "rm x",
            "/bin/rm x",
            "env rm x",
            "command rm x",
            "bash -c 'rm x'",
            "FOO=1 rm x",
            "timeout 5 rm x",
            "timeout --foreground 5 rm x",
            "nice -n 5 rm x",
            "nohup rm x",
            "echo x | xargs rm",
            "cd . && rm x",
            "stdbuf -o0 rm x",
            "exec rm x",
            "env -i rm x",
            "sudo rm x",
            "true | rm x",
            "builtin command rm x",
            "/usr/bin/env rm x",
        ] {
            assert!(matches(&rm, line), "{line}");
        }
        for line in [
            "echo x | xargs -n1 rm",
            "find . -name x -delete",
            "find . -name x -exec rm {} +",
            "$(echo rm) x",
            "eval rm x",
            "busybox rm x",
            "unlink x",
            "git rm x",
        ] {
            assert!(!matches(&rm, line), "{line}");
        }
        let push = rule(Effect::Deny, "Bash(git push *)");
        for line in [
            "git push",
            "git push origin",
            "/usr/bin/git push",
            "env git push",
            "timeout 5 git push",
        ] {
            assert!(matches(&push, line), "{line}");
        }
        for line in [
            "git -C . push",
            "git --no-pager push",
            "git -c a.b=c push",
            "git pushx",
            "git push-x",
        ] {
            assert!(!matches(&push, line), "{line}");
        }
        let stat = rule(Effect::Deny, "Bash(/usr/bin/stat:*)");
        assert!(matches(&stat, "/usr/bin/stat x") && !matches(&stat, "stat x"));
        let exact = rule(Effect::Deny, "Bash(rm)");
        assert!(matches(&exact, "rm") && !matches(&exact, "rm x"));
        let open = rule(Effect::Deny, "Bash(install x*)");
        assert!(matches(&open, "install xx") && matches(&open, "install x y"));
        let env = rule(Effect::Deny, "Read(./.env)");
        for line in [
            "cat .env",
            "cat ./.env",
            "head -n1 .env",
            "sed -n p .env",
            "cp .env y",
            "cd . && cat .env",
        ] {
            assert!(matches(&env, line), "{line}");
        }
        for line in [
            "less .env",
            "/bin/cat .env",
            "bash -c 'cat .env'",
            "cat .en*",
            "dd if=.env",
            "xxd .env",
        ] {
            assert!(!matches(&env, line), "{line}");
        }
    }

    #[track_caller]
    fn found(settings: &Json) -> Vec<(&'static str, Vec<String>)> {
        let found = audit(&rules(settings, "f").unwrap());
        let one = |finding: Finding| (finding.kind.name(), finding.witnesses);
        found.into_iter().map(one).collect()
    }

    #[test]
    fn each_kind_of_finding_is_made_with_its_lines() {
        let push = found(&json!({"permissions": {"deny": ["Bash(git push:*)"]}}));
        assert_eq!(push[0].0, "passed");
        assert_eq!(push[0].1[0], "git -C . push");
        let read = found(&json!({"permissions": {"deny": ["Read(./.env)"]}}));
        assert!(read[0].1.contains(&"/bin/cat .env".to_owned()));
        assert!(!read[0].1.iter().any(|line| line == "cat .env"));
        let more = found(&json!({"permissions": {"allow": ["Bash(npm run test:*)"]}}));
        assert_eq!(
            more,
            [("allows-more", vec!["npm run test --prefix /tmp".to_owned()])]
        );
        // All commands are denied: no line passes.
        assert!(found(&json!({"permissions": {"deny": ["Bash", "Read(./.env)"]}})).is_empty());
        for (settings, kind) in [
            (json!({"deny": ["bash(rm:*)"]}), "never-matches"),
            (json!({"allow": ["Bash(cat * | sort)"]}), "never-matches"),
            (json!({"deny": ["Write(./src/**)"]}), "never-matches"),
            (json!({"deny": ["Read(/etc/passwd)"]}), "never-matches"),
            (json!({"allow": ["WebFetch(example.org)"]}), "never-matches"),
            (json!({"allow": ["Bash(ls:*)", "Bash(ls -la)"]}), "shadowed"),
            (
                json!({"deny": ["WebFetch"], "allow": ["WebFetch(domain:a.example)"]}),
                "shadowed",
            ),
        ] {
            let found = found(&json!({"permissions": settings}));
            assert_eq!(found.len(), 1, "{settings}: {found:?}");
            assert_eq!(found[0].0, kind, "{settings}");
        }
        assert!(
            found(&json!({"permissions": {"allow": ["Bash(ls)", "Edit(src/**)", "mcp__a__b"]}}))
                .is_empty()
        );
    }

    #[test]
    fn rules_of_another_form_are_refused() {
        for settings in [
            json!({"permissions": []}),
            json!({"permissions": {"deny": "Bash"}}),
            json!({"permissions": {"deny": [1]}}),
            json!({"permissions": {"deny": ["Bash(rm"]}}),
        ] {
            assert!(rules(&settings, "f").is_err(), "{settings}");
        }
    }
}
