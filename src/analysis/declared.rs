//! Parts of two policies besides rules: settings that hold for every request, and declarations of tools.

#![forbid(unsafe_code)]

use crate::policy::CompiledPolicy;
use crate::policy::model::{Action, Argument, DiskRules, Tool};

/// One setting that two policies have otherwise.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Setting {
    /// Its key in the policy.
    pub key: String,
    /// Its value in the first policy.
    pub before: String,
    /// Its value in the second policy.
    pub after: String,
}

impl Setting {
    /// Returns true if a child that has it otherwise may read requests which its parent does not. The
    /// workspace and the record are a child's own, and its directories of programs are some of its parent's.
    pub(crate) fn may_widen(&self) -> bool {
        self.key.starts_with("paths.") || self.key.starts_with("shell.")
    }
}

/// The settings that differ and that decide about requests as a whole, in the order of the language.
pub(super) fn settings(before: &CompiledPolicy, after: &CompiledPolicy) -> Vec<Setting> {
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for (policy, into) in [(before, &mut first), (after, &mut second)] {
        let mut add = |key: &str, value: String| into.push((key.to_owned(), value));
        add("workspace", policy.workspace().to_owned());
        add("program_path", policy.program_path().join(", "));
        add("executor", policy.executor().unwrap_or("local").to_owned());
        if let Ok(serde_json::Value::Object(switches)) = serde_json::to_value(policy.switches()) {
            for (key, value) in switches {
                let text = value.as_str().map(str::to_owned);
                let value = text.unwrap_or_else(|| value.to_string());
                add(&format!("paths.{key}"), value);
            }
        }
        let DiskRules {
            symlinks_within,
            cross_mounts,
            deny_hardlinks,
        } = policy.disk_rules();
        let word = |is: bool, yes: &str, no: &str| if is { yes } else { no }.to_owned();
        add("paths.symlinks", word(symlinks_within, "within", "deny"));
        add("paths.mounts", word(cross_mounts, "cross", "deny"));
        add("paths.hardlinks", word(deny_hardlinks, "deny", "warn"));
        let shell = policy.shell_settings();
        add("shell.unparsed", word(shell.ask_unparsed, "ask", "deny"));
        add("shell.filters", shell.filters.join(", "));
        let ledger = policy.ledger_settings();
        add(
            "ledger.path",
            ledger.path.clone().unwrap_or_else(|| "default".to_owned()),
        );
        add("ledger.redact", ledger.redact.join(", "));
        add("ledger.keep_output", ledger.keep_output.to_string());
        add(
            "ledger.allow_unsafe_filesystem",
            ledger.allow_unsafe_filesystem.to_string(),
        );
    }
    let pairs = first.into_iter().zip(second);
    pairs
        .filter(|((_, before), (_, after))| before != after)
        .map(|((key, before), (_, after))| Setting { key, before, after })
        .collect()
}

/// An action as it is declared, without where: alike for two that read the same requests and render the
/// same commands.
pub(super) fn shape(tool: &Tool, action: &Action) -> String {
    let argument = |argument: &Argument| {
        let Argument {
            name,
            at: _,
            kind,
            spelling,
            required,
            repeat,
        } = argument;
        format!("{name} {kind:?} {spelling:?} {required} {repeat}")
    };
    let all: Vec<String> = tool.arguments(action).map(argument).collect();
    let places = (tool.args.len(), action.args.len(), action.after.is_some());
    format!(
        "{:?} {:?} {:?} {:?} {} {} {} {:?} {:?} {:?} {:?} {:?} {:?} {places:?} {all:?}",
        tool.program,
        tool.also,
        tool.fixed,
        tool.env,
        tool.bundle,
        tool.options_first,
        tool.repository,
        action.command,
        action.fixed,
        action.fixed_last,
        action.env,
        action.unnamed,
        action.report
    )
}
