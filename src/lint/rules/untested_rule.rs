//! T401: a rule that no test of the policy shows at work.

#![forbid(unsafe_code)]

use crate::lint::coverage;
use crate::lint::diagnostic::{Edit, Fix, NamedRequest, Safety};
use crate::lint::rule::{Findings, declare_rule};
use crate::lint::subject::{RuleView, Subject};
use crate::lint::{probe, yaml};
use crate::policy::model::RuleEffect;

declare_rule! {
    /// ## What it does
    /// Finds rules that decide none of the policy's own tests, and offers a test.
    ///
    /// ## Why is this bad?
    /// A rule that no test shows at work can stop working, or be taken out, without anybody noticing.
    ///
    /// ## Example
    /// ```yaml
    /// use: lictor/files@1
    /// scopes: {docs: "docs/**"}
    /// rules:
    ///   - {id: read, allow: filesystem.read_file, within: docs}
    /// ```
    ///
    /// ## When it stays silent
    /// ```yaml
    /// use: lictor/files@1
    /// scopes: {docs: "docs/**"}
    /// rules:
    ///   - {id: read, allow: filesystem.read_file, within: docs}
    /// tests:
    ///   - {tool: filesystem, action: read_file, args: {path: docs/a.md}, expect: allow, rule: read}
    /// ```
    pub(super) static UNTESTED_RULE = { code: "T401", name: "untested-rule", level: Warning, since: "0.1.0" }
}

pub(super) fn check(subject: &Subject<'_>, out: &mut Findings<'_>) {
    let untested = coverage::untested_rules(subject.policy, &subject.tests);
    for rule in subject.rules().filter(|rule| untested.contains(&rule.written.id)) {
        let request = example(subject, rule);
        let message = format!("no test shows rule `{}` at work", rule.written.id);
        out.at(rule.written.at, message, |d| {
            let Some((request, effect)) = request else {
                d.help("add a test that it decides");
                return;
            };
            let test = test_of(&request, effect, &rule.written.id);
            d.help(format!("add a test that it decides, for example: - {test}"));
            d.fix(add_test(subject, &test).map(|edit| Fix::new(Safety::Suggested, "add a test", vec![edit])));
        });
    }
}

/// A request that the rule decides, and how.
fn example(subject: &Subject<'_>, rule: RuleView<'_>) -> Option<(NamedRequest, &'static str)> {
    let decides = |request: NamedRequest| {
        let decision = probe::decided(subject, &request);
        let is_by_it = decision.rules().iter().any(|by| by.id == rule.written.id);
        is_by_it.then(|| (request, decision.effect().word()))
    };
    for deed in subject.deeds(rule) {
        let paths: Vec<(&str, String)> = deed
            .paths()
            .flat_map(|(argument, _)| {
                subject
                    .scopes_of(rule.written, &argument.name)
                    .into_iter()
                    .flat_map(|scope| &scope.include)
                    .map(|(pattern, _)| (argument.name.as_str(), probe::sample(pattern)))
            })
            .collect();
        for (argument, path) in &paths {
            // A deny or ask is seen at work only where the rest of the request could pass.
            let allows = subject.allows().map(|allow| allow.written).chain([rule.written]);
            for by in allows {
                let request = probe::request(subject, by, deed, Some((argument, path)));
                let request = request.map(|request| match rule.written.effect {
                    RuleEffect::Allow => request,
                    RuleEffect::Ask | RuleEffect::Deny => NamedRequest {
                        actor: probe::actor(rule.written),
                        approved: Vec::new(),
                        ..request
                    },
                });
                if let Some(found) = request.and_then(decides) {
                    return Some(found);
                }
            }
        }
        if paths.is_empty()
            && let Some(found) = probe::request(subject, rule.written, deed, None).and_then(decides)
        {
            return Some(found);
        }
    }
    None
}

/// A test as the policy writes it.
fn test_of(request: &NamedRequest, effect: &str, rule: &str) -> String {
    let args: Vec<String> = request
        .args
        .iter()
        .map(|(name, value)| format!("{name}: {}", yaml::quoted(value)))
        .collect();
    let mut given = Vec::new();
    if request.actor != probe::ANYONE {
        given.push(format!("actor: {}", yaml::quoted(&request.actor)));
    }
    if !request.approved.is_empty() {
        given.push(format!("approved: [{}]", request.approved.join(", ")));
    }
    let given = if given.is_empty() {
        String::new()
    } else {
        format!(", given: {{{}}}", given.join(", "))
    };
    format!(
        "{{tool: {}, action: {}, args: {{{}}}{given}, expect: {effect}, rule: {rule}}}",
        request.tool,
        request.action,
        args.join(", ")
    )
}

/// Puts a test behind the last one, or begins the section.
fn add_test(subject: &Subject<'_>, test: &str) -> Option<Edit> {
    let text = &subject.text;
    let Some((_, tests)) = yaml::entry(&subject.root, "tests") else {
        if yaml::is_in_braces(text, &subject.root) {
            return None;
        }
        let gap = if text.ends_with('\n') { "" } else { "\n" };
        return Some(Edit::insert(text.len(), format!("{gap}\ntests:\n  - {test}\n")));
    };
    if yaml::is_in_braces(text, tests) {
        return None;
    }
    let first = yaml::items(tests).first()?;
    let line = yaml::line_start(text, yaml::start(first.at));
    let indent = text.get(line..yaml::start(first.at))?.split('-').next()?;
    Some(Edit::insert(line, format!("{indent}- {test}\n")))
}
