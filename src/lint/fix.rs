//! Fixes -> the text with them made. Comments and layout stay: edits are stretches of bytes.
//!
//! Only what is safe is made, and only if the policy that comes of it says the same: its document, read
//! again, equals the old one in everything but what the fix is about. Where the policy did not load, what
//! comes of it may have no mistake that was not there before.

#![forbid(unsafe_code)]

use super::diagnostic::{Diagnostic, Edit, Safety};
use super::{Report, yaml};
use crate::analysis::Budget;
use crate::analysis::diff::diff;
use crate::policy::CompiledPolicy;
use crate::policy::model::{Approval, ApprovalKind};
use crate::policy::source::{Node, Value};

/// A text with fixes made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fixed {
    /// The new text.
    pub text: String,
    /// Findings that were settled: code and line of each.
    pub settled: Vec<(&'static str, u32)>,
}

/// Makes the safe fixes of the first file that do not overlap and that `proves` agrees with, given the text
/// before and after; the first in the text wins. None if there are none.
#[must_use]
pub fn apply(report: &Report, proves: &dyn Fn(&str, &str) -> bool) -> Option<Fixed> {
    let text = report.files.first()?.text.as_str();
    let mut safe: Vec<(&Diagnostic, &[Edit])> = report
        .diagnostics
        .iter()
        .filter(|diagnostic| diagnostic.at.file == 0)
        .filter_map(|diagnostic| {
            let fix = diagnostic.fix.as_ref()?;
            (fix.safety == Safety::Safe).then_some((diagnostic, fix.edits.as_slice()))
        })
        .collect();
    safe.sort_by_key(|(_, edits)| edits.first().map(|edit| edit.start));
    let mut chosen: Vec<(&Diagnostic, &[Edit])> = Vec::new();
    for (diagnostic, edits) in safe {
        let mut taken = chosen.iter().flat_map(|(_, edits)| *edits);
        let is_free = edits.iter().all(|edit| {
            is_within(text, edit)
                && taken.all(|other| edit.end <= other.start || other.end <= edit.start)
        });
        if is_free {
            chosen.push((diagnostic, edits));
        }
    }
    // All at once if that can be proved, else each that can.
    if !proved(text, &chosen, proves) {
        let mut kept: Vec<(&Diagnostic, &[Edit])> = Vec::new();
        for fix in chosen {
            kept.push(fix);
            if !proved(text, &kept, proves) {
                kept.pop();
            }
        }
        chosen = kept;
    }
    if chosen.is_empty() {
        return None;
    }
    Some(Fixed {
        text: with(text, &chosen)?,
        settled: chosen
            .iter()
            .map(|(diagnostic, _)| (diagnostic.code, diagnostic.at.line))
            .collect(),
    })
}

fn proved(
    text: &str,
    fixes: &[(&Diagnostic, &[Edit])],
    proves: &dyn Fn(&str, &str) -> bool,
) -> bool {
    with(text, fixes).is_some_and(|new| proves(text, &new))
}

fn with(text: &str, fixes: &[(&Diagnostic, &[Edit])]) -> Option<String> {
    let mut edits: Vec<&Edit> = fixes.iter().flat_map(|(_, edits)| *edits).collect();
    edits.sort_by_key(|edit| edit.start);
    edited(text, &edits)
}

fn is_within(text: &str, edit: &Edit) -> bool {
    edit.start <= edit.end && text.is_char_boundary(edit.start) && text.is_char_boundary(edit.end)
}

/// The text with edits that are sorted and apart.
fn edited(text: &str, edits: &[&Edit]) -> Option<String> {
    let mut new = String::with_capacity(text.len());
    let mut at = 0_usize;
    for edit in edits {
        new.push_str(text.get(at..edit.start)?);
        new.push_str(&edit.text);
        at = edit.end;
    }
    new.push_str(text.get(at..)?);
    Some(new)
}

/// One edit list made on a text, whatever its safety: what an editor would show.
#[must_use]
pub fn preview(text: &str, edits: &[Edit]) -> Option<String> {
    let mut sorted: Vec<&Edit> = edits.iter().collect();
    sorted.sort_by_key(|edit| edit.start);
    let is_good = sorted.iter().all(|edit| is_within(text, edit))
        && sorted.windows(2).all(|pair| match pair {
            [a, b] => a.end <= b.start,
            _ => true,
        });
    if is_good { edited(text, &sorted) } else { None }
}

/// Returns true if a fixed text may take the place of the old one: it says the same; or exact analysis proves
/// that every request is decided alike; or, where the old one did not load for its form, every mistake that
/// is left was there before.
#[must_use]
pub fn keeps_meaning(before: &str, after: &str) -> bool {
    let mistakes = |text: &str| -> Vec<String> {
        let form = crate::policy::form_problems(text);
        form.into_iter()
            .map(|problem| format!("{:?} {}", problem.code, problem.message))
            .collect()
    };
    let known = mistakes(before);
    if known.is_empty() {
        return says_the_same(before, after) || decides_the_same(before, after);
    }
    let left = mistakes(after);
    left.len() < known.len() && left.iter().all(|mistake| known.contains(mistake))
}

/// Returns true if two policies that need no other file decide every request alike: effect, limits and
/// approvals.
fn decides_the_same(before: &str, after: &str) -> bool {
    match (
        CompiledPolicy::from_yaml(before),
        CompiledPolicy::from_yaml(after),
    ) {
        (Ok(before), Ok(after)) => diff(&before, &after, &Budget::default()).answer().holds(),
        _ => false,
    }
}

/// Returns true if two documents say the same: equal but for comments, layout, how text is quoted, and
/// whether a list of variables to pass on names the switch of an approval, which is never passed on.
#[must_use]
pub fn says_the_same(before: &str, after: &str) -> bool {
    match (crate::policy::reread(before), crate::policy::reread(after)) {
        (Some((mut before, policy)), Some((mut after, _))) => {
            let switches: Vec<&str> = policy.approvals.iter().filter_map(switch).collect();
            without_switches(&mut before, &switches);
            without_switches(&mut after, &switches);
            yaml::written(&before) == yaml::written(&after)
        }
        _ => false,
    }
}

fn switch(approval: &Approval) -> Option<&str> {
    match &approval.kind {
        ApprovalKind::Switch { variable, .. } => Some(variable),
        ApprovalKind::Grant { .. } => None,
    }
}

/// Takes the switches out of every `inherit` and `unsafe_inherit` of an `env`.
fn without_switches(node: &mut Node, switches: &[&str]) {
    match &mut node.value {
        Value::Map(entries) => {
            for (key, value) in entries {
                let is_env = yaml::text(key) == Some("env");
                if let (true, Value::Map(entries)) = (is_env, &mut value.value) {
                    for (key, list) in entries {
                        if let (Some("inherit" | "unsafe_inherit"), Value::List(items)) =
                            (yaml::text(key), &mut list.value)
                        {
                            items.retain(|item| {
                                yaml::text(item).is_none_or(|text| !switches.contains(&text))
                            });
                        }
                    }
                }
                without_switches(value, switches);
            }
        }
        Value::List(items) => items
            .iter_mut()
            .for_each(|item| without_switches(item, switches)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text { .. } => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(before: &str, after: &str, same: bool) {
        assert_eq!(says_the_same(before, after), same, "{before:?} {after:?}");
    }

    #[test]
    fn only_comments_layout_and_quotes_may_differ() {
        let text = "version: 1\nname: x\nrules: []\n";
        check(text, "version: 1\n# why\nname: \"x\"\nrules: [ ]\n", true);
        check(text, "version: 1\nname: y\nrules: []\n", false);
        check(text, "version: 1\nname: x\n", false);
        check("a: [1, 2]\n", "a: [2, 1]\n", false);
        let switched = "approvals: {a: {env: A}}\nrules:\n  - {env: {inherit: [A, B]}}\n";
        check(switched, &switched.replace("[A, B]", "[B]"), true);
        check(switched, &switched.replace("[A, B]", "[A]"), false);
    }
}
