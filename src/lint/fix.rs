//! Fixes -> the text with them made. Comments and layout stay: edits are stretches of bytes.
//!
//! Only what is safe is made, and only if the policy that comes of it says the same: its document, read
//! again, equals the old one in everything but what the fix is about. Where the policy did not load, what
//! comes of it may have no mistake that was not there before.

#![forbid(unsafe_code)]

use super::diagnostic::{Diagnostic, Edit, Safety};
use super::{Report, yaml};

/// A text with fixes made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fixed {
    /// The new text.
    pub text: String,
    /// What was settled: code and line of each finding.
    pub settled: Vec<(&'static str, u32)>,
}

/// Makes all safe fixes of the first file that do not overlap; the first in the text wins. None if there
/// are none.
#[must_use]
pub fn apply(report: &Report) -> Option<Fixed> {
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
    let mut chosen: Vec<&Edit> = Vec::new();
    let mut settled = Vec::new();
    for (diagnostic, edits) in safe {
        let is_free = edits.iter().all(|edit| {
            is_within(text, edit)
                && chosen
                    .iter()
                    .all(|other| edit.end <= other.start || other.end <= edit.start)
        });
        if is_free {
            chosen.extend(edits);
            settled.push((diagnostic.code, diagnostic.at.line));
        }
    }
    if settled.is_empty() {
        return None;
    }
    chosen.sort_by_key(|edit| edit.start);
    Some(Fixed {
        text: edited(text, &chosen)?,
        settled,
    })
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

/// Whether a fixed text may take the place of the old one: it says the same, or, where the old one did not
/// load for its form, every mistake that is left was there before.
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
        return says_the_same(before, after);
    }
    let left = mistakes(after);
    left.len() < known.len() && left.iter().all(|mistake| known.contains(mistake))
}

/// Whether two documents say the same: equal but for comments, layout, and how text is quoted.
#[must_use]
pub fn says_the_same(before: &str, after: &str) -> bool {
    match (crate::policy::reread(before), crate::policy::reread(after)) {
        (Some((before, _)), Some((after, _))) => yaml::written(&before) == yaml::written(&after),
        _ => false,
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
    }
}
