//! Comments that silence a finding: `# lint: allow G110 -- the fixtures need it`, on the line above it.
//!
//! Several codes are written with commas between them. Without a reason a comment silences nothing, because
//! nobody could tell later whether it still holds.

#![forbid(unsafe_code)]

use super::diagnostic::{Diagnostic, Edit, Fix, Safety};
use super::rule::Findings;
use super::{catalogue, yaml};
use crate::policy::Span;

/// One comment.
#[derive(Clone, Debug)]
pub(super) struct Suppression {
    /// The comment, from its `#`.
    at: Span,
    /// The bytes of its whole line.
    line: (usize, usize),
    /// The line it is about.
    target: u32,
    /// Codes or names, with whether one silenced something.
    names: Vec<(String, bool)>,
    has_reason: bool,
}

/// Finds the comments of a document.
pub(super) fn find(text: &str) -> Vec<Suppression> {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let mut found = Vec::new();
    let mut start = 0_usize;
    for (nth, line) in lines.iter().enumerate() {
        let body = line.trim();
        let end = start.saturating_add(line.len());
        if let Some(rest) = body
            .strip_prefix('#')
            .map(str::trim_start)
            .and_then(|rest| rest.strip_prefix("lint:"))
            .map(str::trim_start)
            .and_then(|rest| rest.strip_prefix("allow"))
            .filter(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace))
        {
            let (names, reason) = rest.split_once("--").unwrap_or((rest, ""));
            let is_other = |line: &&str| !matches!(line.trim().chars().next(), None | Some('#'));
            let ahead = lines.iter().skip(nth).position(is_other).unwrap_or(0);
            let indent = line.len().saturating_sub(line.trim_start().len());
            found.push(Suppression {
                at: Span {
                    file: 0,
                    offset: narrow(start.saturating_add(indent)),
                    len: narrow(body.len()),
                    line: narrow(nth.saturating_add(1)),
                    column: narrow(indent.saturating_add(1)),
                },
                line: (start, end),
                target: narrow(nth.saturating_add(ahead).saturating_add(1)),
                names: names
                    .split([',', ' '])
                    .filter(|name| !name.trim().is_empty())
                    .map(|name| (name.trim().to_owned(), false))
                    .collect(),
                has_reason: !reason.trim().is_empty(),
            });
        }
        start = end;
    }
    found
}

/// Takes out what is silenced, and notes which comments did something.
pub(super) fn apply(found: &mut Vec<Diagnostic>, suppressions: &mut [Suppression]) {
    found.retain(|diagnostic| {
        let mut is_silenced = false;
        for suppression in suppressions.iter_mut() {
            if suppression.target != diagnostic.at.line
                || diagnostic.at.file != 0
                || !suppression.has_reason
            {
                continue;
            }
            for (name, is_used) in &mut suppression.names {
                if *name == diagnostic.code || *name == diagnostic.name {
                    *is_used = true;
                    is_silenced = true;
                }
            }
        }
        !is_silenced
    });
}

/// Mistakes in the comments themselves. Unless every question about the meaning of rules was decided, nobody
/// knows that a comment about one silences nothing.
pub(super) fn unused(
    text: &str,
    suppressions: &[Suppression],
    is_decided: bool,
    out: &mut Findings<'_>,
) {
    for suppression in suppressions {
        let listed = |names: &[&str]| {
            names
                .iter()
                .map(|name| format!("`{}`", name.escape_debug()))
                .collect::<Vec<_>>()
                .join(", ")
        };
        if suppression.names.is_empty() {
            out.at(suppression.at, "this comment names no rule to allow", |d| {
                d.help("write `# lint: allow CODE -- reason`");
            });
            continue;
        }
        let unknown: Vec<&str> = suppression
            .names
            .iter()
            .map(|(name, _)| name.as_str())
            .filter(|name| catalogue::page(name).is_none())
            .collect();
        if !unknown.is_empty() {
            out.at(
                suppression.at,
                format!("there is no lint rule {}", listed(&unknown)),
                |d| {
                    d.help("`lictor lint --explain CODE` tells what a rule is about");
                },
            );
            continue;
        }
        if !suppression.has_reason {
            out.at(
                suppression.at,
                "a suppression without a reason silences nothing",
                |d| {
                    d.help("write why behind `--`, for example `# lint: allow G110 -- the fixtures need it`");
                },
            );
            continue;
        }
        let idle: Vec<&str> = suppression
            .names
            .iter()
            .filter(|(_, is_used)| !is_used)
            .filter(|(name, _)| is_decided || !is_about_meaning(name))
            .map(|(name, _)| name.as_str())
            .collect();
        if !idle.is_empty() {
            let is_all = idle.len() == suppression.names.len();
            out.at(
                suppression.at,
                format!(
                    "nothing on line {} is silenced by allowing {}",
                    suppression.target,
                    listed(&idle)
                ),
                |d| {
                    d.help(if is_all {
                        "take the comment out".to_owned()
                    } else {
                        format!("take {} out of it", listed(&idle))
                    });
                    if is_all {
                        let (start, end) = suppression.line;
                        d.fix(Fix::new(
                            Safety::Safe,
                            "take the comment out",
                            vec![Edit {
                                start,
                                end,
                                text: String::new(),
                            }],
                        ));
                    } else if let Some(edit) = without(text, suppression, &idle) {
                        d.fix(Fix::new(
                            Safety::Safe,
                            format!("take {} out of it", listed(&idle)),
                            vec![edit],
                        ));
                    }
                },
            );
        }
    }
}

/// The comment with only the names that did something.
fn without(text: &str, suppression: &Suppression, idle: &[&str]) -> Option<Edit> {
    let start = yaml::start(suppression.at);
    let comment = text.get(start..yaml::end(suppression.at))?;
    let (_, reason) = comment.split_once("--")?;
    let names: Vec<&str> = suppression
        .names
        .iter()
        .map(|(name, _)| name.as_str())
        .filter(|name| !idle.contains(name))
        .collect();
    Some(Edit {
        start,
        end: yaml::end(suppression.at),
        text: format!("# lint: allow {} --{reason}", names.join(", ")),
    })
}

fn narrow(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// Returns true for a rule about patterns or about what rules mean, by its code or its name.
fn is_about_meaning(name: &str) -> bool {
    catalogue::page(name).is_some_and(|page| page.code.starts_with(['G', 'L']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, target: u32, names: &[&str], has_reason: bool) {
        let found = find(text);
        assert_eq!(found.len(), 1, "{text}");
        assert_eq!(found[0].target, target, "{text}");
        assert_eq!(found[0].has_reason, has_reason, "{text}");
        let found: Vec<&str> = found[0]
            .names
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(found, names, "{text}");
    }

    #[test]
    fn a_comment_is_about_the_next_line_that_is_no_comment() {
        check("# lint: allow G110 -- why\nx: 1\n", 2, &["G110"], true);
        check(
            "a: 1\n  # lint: allow G110, G119 -- why\n# more\n\nx: 1\n",
            5,
            &["G110", "G119"],
            true,
        );
        check("#lint: allow dead-allow\nx: 1\n", 2, &["dead-allow"], false);
        check("# lint: allow G110 --  \nx: 1\n", 2, &["G110"], false);
        check("# lint: allow\nx: 1\n", 2, &[], false);
    }

    #[test]
    fn other_comments_and_text_silence_nothing() {
        for text in [
            "# lint allow G110 -- x\n",
            "x: 1 # lint: allow G110 -- x\n",
            "# lint: allowed G110 -- x\n",
        ] {
            assert!(find(text).is_empty(), "{text}");
        }
    }
}
