//! T403: a test that stands twice.

#![forbid(unsafe_code)]

use crate::lint::diagnostic::{Fix, Safety};
use crate::lint::rule::{Findings, declare_rule};
use crate::lint::subject::Subject;
use crate::lint::yaml;

declare_rule! {
    /// ## What it does
    /// Finds two tests with the same request under the same conditions.
    ///
    /// ## Why is this bad?
    /// Of two that expect the same one is idle, and was probably meant to ask for something else. Two that expect different
    /// things cannot both pass.
    ///
    /// ## Example
    /// ```yaml
    /// tests:
    ///   - {run: [ls, docs], expect: deny, reason: TOOL_NOT_ALLOWED}
    ///   - {run: [ls, docs], expect: deny, reason: TOOL_NOT_ALLOWED}
    /// ```
    ///
    /// ## When it stays silent
    /// ```yaml
    /// tests:
    ///   - {run: [ls, docs], expect: deny, reason: TOOL_NOT_ALLOWED}
    ///   - {run: [ls, src], expect: deny, reason: TOOL_NOT_ALLOWED}
    ///   - {run: [ls, docs], cwd: src, expect: deny, reason: TOOL_NOT_ALLOWED}
    /// ```
    pub(super) static DUPLICATE_TEST = { code: "T403", name: "duplicate-test", level: Error, since: "0.1.0" }
}

pub(super) fn check(subject: &Subject<'_>, out: &mut Findings<'_>) {
    let mut seen = std::collections::HashMap::new();
    let nodes = yaml::get(&subject.root, "tests").map_or(&[][..], yaml::items);
    for (nth, (node, test)) in nodes.iter().zip(&subject.model.tests).enumerate() {
        let keys = ["run", "tool", "action", "args", "cwd", "given"];
        let asked: Vec<String> = keys
            .iter()
            .map(|key| yaml::get(node, key).map_or(String::new(), yaml::written))
            .collect();
        if let Some(first) = seen.get(&asked) {
            let first: &crate::policy::Span = first;
            let message = format!("this test asks the same as the one on line {}", first.line);
            out.at(test.at, message, |d| {
                d.help("take it out, or let it ask for what was meant")
                    .related(*first, "the first one");
                if let Some(list) = yaml::get(&subject.root, "tests") {
                    let edit = yaml::remove_item(&subject.text, list, nth);
                    d.fix(edit.map(|edit| Fix::new(Safety::Suggested, "take it out", vec![edit])));
                }
            });
        } else {
            seen.insert(asked, test.at);
        }
    }
}
