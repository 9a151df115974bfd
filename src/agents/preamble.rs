//! Preambles that agents put around a command: a shell that is called with it.
//!
//! Codex and others call `bash -lc 'COMMAND'`; Claude Code writes `-c -l`. The command is read in place of the call,
//! by the same grammar. A shell that is called in another way is a program like any other, and needs a rule.

#![forbid(unsafe_code)]

use super::requests::is_shell;
use crate::shell::{Script, Unparsed, parse as parse_text};

/// Reads a shell text, or the one that it calls a shell with.
///
/// # Errors
///
/// Why it is not read, with the place.
pub(super) fn parse(text: &str) -> Result<Script, String> {
    let script = parse_text(text).map_err(|why| told(text, &why))?;
    match wrapped(&script) {
        Some(inner) => parse_text(&inner).map_err(|why| told(&inner, &why)),
        None => Ok(script),
    }
}

/// Bytes shown of the place where a text is not read.
const MAX_PLACE_CHARS: usize = 40;

fn told(text: &str, why: &Unparsed) -> String {
    match text.get(why.span()).filter(|place| !place.is_empty()) {
        Some(place) => {
            let shown: String = place.chars().take(MAX_PLACE_CHARS).collect();
            format!(
                "{why} (at `{}`, byte {})",
                shown.escape_debug(),
                why.span().start
            )
        }
        None => why.to_string(),
    }
}

/// The text that a script gives to a shell, if it does nothing else.
fn wrapped(script: &Script) -> Option<String> {
    let [command] = script.commands() else {
        return None;
    };
    if script.directory().is_some() || !command.redirections().is_empty() {
        return None;
    }
    let (shell, rest) = command.words().split_first()?;
    if !is_shell(shell) {
        return None;
    }
    let (text, options) = rest.split_last()?;
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let is_known = matches!(
        options.as_slice(),
        ["-c"] | ["-lc"] | ["-l", "-c"] | ["-c", "-l"]
    );
    is_known.then(|| text.clone())
}
