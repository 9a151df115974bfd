//! Requests and grants as a person is shown them: each value quoted as for a shell, one argument a line if
//! there are several, with the policy and the workspace.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use crate::decision::extent::{Extent, ExtentArgs};
use crate::decision::grant::{GrantTerms, GrantWorkspace};
use crate::decision::{Decision, Effect, ExactRequest, ExactValue};
use crate::governor::Governor;
use crate::policy::CompiledPolicy;
use crate::text::{escaped, odd_characters, shell};

/// The request that a question is about; none if the decision asks nothing.
pub(super) fn question(decision: &Decision, governor: &Governor) -> Vec<String> {
    let Some(exact) = decision
        .exact()
        .filter(|_| decision.effect() == Effect::Ask)
    else {
        return Vec::new();
    };
    let mut lines = Lines::default();
    lines.request("request", exact.request());
    lines.add("policy", &shown(governor.policy().name()));
    let workspace = governor.workspace_path();
    lines.add("workspace", &shown(&workspace.to_string_lossy()));
    lines.0
}

/// Advice on seeing the wider approvals, beside the line that approves exactly the request.
pub(super) fn wider(decision: &Decision) -> Option<&'static str> {
    let is_granted = |line: &str| line.starts_with("lictor approve ");
    (decision.effect() == Effect::Ask && decision.instead().is_some_and(is_granted))
        .then_some("or more than this: the same line without --why shows what can be approved")
}

/// A request in one line.
pub(super) fn in_a_line(request: &ExactRequest) -> String {
    let mut words = vec![action(&request.tool, &request.action)];
    words.extend(arguments(&request.args));
    if request.cwd != "." {
        words.push(format!("in {}", shown(&request.cwd)));
    }
    words.join(" ")
}

/// A request as it was understood.
pub(super) fn understood(request: &ExactRequest) -> Vec<String> {
    let mut lines = Lines::default();
    lines.request("request", request);
    lines.0
}

/// The extent of a grant and its author. `counts` says how often, and until when.
pub(super) fn grant(
    terms: &GrantTerms,
    key: Option<&str>,
    counts: &str,
    policy: &CompiledPolicy,
) -> Vec<String> {
    let mut lines = Lines::default();
    match (&terms.request, &terms.extent, &terms.rule) {
        (Some(request), _, _) => lines.request("for", request),
        (None, Some(extent), _) => lines.extent("for", extent),
        (None, None, rule) => {
            lines.add(
                "for",
                &format!("rule {}", shown(rule.as_deref().unwrap_or("?"))),
            );
            lines.several("within", terms.within.iter().map(|pattern| shown(pattern)));
        }
    }
    for pin in &terms.pins {
        let (path, sha256) = (shown(&pin.path), shown(&pin.sha256));
        lines.add("file", &format!("{path} with SHA-256 {sha256}"));
    }
    if let Some(actor) = &terms.actor {
        lines.add("actor", &shown(actor));
    }
    let own = terms.policy == policy.digest();
    let name = if own {
        shown(policy.name())
    } else {
        "another one".to_owned()
    };
    let digest: String = escaped(&terms.policy).chars().take(16).collect();
    lines.add("policy", &format!("{name}, SHA-256 {digest}…"));
    let workspace = match &terms.workspace {
        Some(GrantWorkspace::One(place)) => shown(&place.path),
        Some(GrantWorkspace::Any) => "any, wherever this policy is".to_owned(),
        None => "not named".to_owned(),
    };
    lines.add("workspace", &workspace);
    lines.add("counts", counts);
    lines.add("why", &escaped(&terms.why));
    let signed = match key {
        Some(key) => format!("signed by {key}"),
        None => "not signed".to_owned(),
    };
    lines.add("by", &format!("{}, {signed}", terms.who));
    lines.0
}

/// Description of a kind of requests.
pub(super) fn kind(extent: &Extent) -> Vec<String> {
    let mut lines = Lines::default();
    lines.extent("covers", extent);
    lines.0
}

/// A value as a shell reads it, and what of it a reader does not see.
pub(super) fn shown(value: &str) -> String {
    let odd = odd_characters(value);
    match odd.as_slice() {
        [] => shell(value.as_bytes()),
        odd => format!("{}  (holds {})", shell(value.as_bytes()), odd.join(", ")),
    }
}

/// Lines with a name in front of each.
#[derive(Default)]
struct Lines(Vec<String>);

impl Lines {
    fn add(&mut self, name: &str, text: &str) {
        self.0.push(format!("{name:<9}  {text}"));
    }

    fn several(&mut self, name: &str, texts: impl Iterator<Item = String>) {
        for (nth, text) in texts.enumerate() {
            self.add(if nth == 0 { name } else { "" }, &text);
        }
    }

    fn extent(&mut self, name: &str, extent: &Extent) {
        let action = action(&extent.tool, &extent.action);
        match &extent.args {
            ExtentArgs::Any => self.add(name, &format!("{action}, whatever else it is given")),
            ExtentArgs::These(args) => {
                self.add(
                    name,
                    &format!("{action}, with these paths and nothing else"),
                );
                for argument in arguments(args) {
                    self.add("", &format!("  and {argument}"));
                }
            }
        }
        for (argument, places) in &extent.paths {
            let argument = shell(argument.as_bytes());
            for pattern in &places.within {
                self.add("", &format!("  {argument} in {}", shown(pattern)));
            }
            for pattern in &places.except {
                self.add("", &format!("  {argument} not in {}", shown(pattern)));
            }
        }
        self.several(
            "answers",
            extent
                .rules
                .iter()
                .map(|rule| format!("rule {}", shown(rule))),
        );
        if extent.cwd != "." {
            self.add("directory", &shown(&extent.cwd));
        }
    }

    fn request(&mut self, name: &str, request: &ExactRequest) {
        let action = action(&request.tool, &request.action);
        match arguments(&request.args).as_slice() {
            [] => self.add(name, &action),
            [one] => self.add(name, &format!("{action} {one}")),
            several => {
                self.add(name, &action);
                for argument in several {
                    self.add("", &format!("  {argument}"));
                }
            }
        }
        if request.cwd != "." {
            self.add("directory", &shown(&request.cwd));
        }
    }
}

fn action(tool: &str, action: &str) -> String {
    format!("{}.{}", shell(tool.as_bytes()), shell(action.as_bytes()))
}

fn arguments(args: &BTreeMap<String, Vec<ExactValue>>) -> Vec<String> {
    args.iter()
        .flat_map(|(name, values)| values.iter().map(move |value| argument(name, value)))
        .collect()
}

fn argument(name: &str, value: &ExactValue) -> String {
    match value {
        ExactValue::Text(text) => format!("{}={}", shell(name.as_bytes()), shown(text)),
        ExactValue::Flag(_) | ExactValue::Bare => shell(name.as_bytes()),
    }
}
