//! `lictor explain`: why, and why not, and what to do. Nothing is recorded.

#![forbid(unsafe_code)]

use clap::Args;
use serde_json::json;

use super::check::Given;
use super::exit::Exit;
use super::request::RequestArgs;
use super::{Failure, Global, discover, print_json};
use crate::decision::{Effect, Explanation, RuleOutcome, RuleView, explain};
use crate::governor::{Governor, OnDisk};
use crate::policy::Place;

#[derive(Args, Debug)]
pub(super) struct Explain {
    #[command(flatten)]
    given: Given,
    #[command(flatten)]
    request: RequestArgs,
}

pub(super) fn main(command: Explain, global: &Global) -> Result<Exit, Failure> {
    let governor = Governor::new(discover::policy(global)?);
    let actor = discover::actor(global);
    let request = command.request.into_request(&actor)?;
    let context = command
        .given
        .applied(governor.policy(), governor.context(&actor))?;
    // The rules with what grants there are, and the decision with which of them a run would spend.
    let with_grants = governor.context_with_grants(&request, &context);
    let mut explanation = explain(governor.policy(), &request, &with_grants);
    explanation.decision = governor.decide(&request, &context, OnDisk::No);
    if global.json {
        let mut json = explanation.decision.to_json();
        if let Some(fields) = json.as_object_mut() {
            fields.insert(
                "explanation".to_owned(),
                json!({
                    "rules": explanation.rules.iter().map(rule_json).collect::<Vec<_>>(),
                    "nearest": explanation.nearest.as_ref().map(rule_json),
                }),
            );
            fields.insert("recorded".to_owned(), json!(false));
        }
        print_json(&json);
    } else {
        print_human(&explanation);
    }
    Ok(Exit::of_check(&explanation.decision))
}

fn rule_json(rule: &RuleView) -> serde_json::Value {
    let applies = rule.outcome == RuleOutcome::Applies;
    json!({"id": rule.id, "effect": rule.effect, "at": rule.at, "applies": applies, "why": rule.outcome.text()})
}

fn print_human(explanation: &Explanation) {
    let decision = &explanation.decision;
    super::check::print_head(decision);
    let asked = decision.asked();
    if let (Some(tool), Some(action)) = (&asked.tool, &asked.action) {
        anstream::println!("  request  {tool}.{action} by {}", asked.actor);
    }
    for finding in decision.findings() {
        let path = finding
            .path
            .as_deref()
            .map_or_else(|| "(not given)".to_owned(), crate::path::shown);
        let reason = finding
            .reason
            .map(|reason| format!("  {reason}"))
            .unwrap_or_default();
        let at = finding
            .offset
            .map(|offset| format!(" at byte {offset}"))
            .unwrap_or_default();
        anstream::println!("           {} = {path}{reason}{at}", finding.arg);
    }
    if let Some(argv) = decision.argv() {
        anstream::println!(
            "  command  {}",
            argv.iter()
                .map(|word| quoted(word))
                .collect::<Vec<_>>()
                .join(" ")
        );
    }
    if let Some(nearest) = &explanation.nearest {
        anstream::println!(
            "  nearest  rule `{}`{}: {}",
            nearest.id,
            place(nearest.at.as_ref()),
            nearest.outcome.text()
        );
    }
    for need in decision.approvals() {
        anstream::println!("  approval `{}`: {}", need.name, need.how);
    }
    super::check::print_grants(decision, false);
    if let Some(instead) = decision
        .instead()
        .filter(|_| decision.effect() != Effect::Ask)
    {
        anstream::println!("  instead  {instead}");
    }
    anstream::println!();
    let width = explanation
        .rules
        .iter()
        .map(|rule| rule.id.chars().count())
        .max()
        .unwrap_or(0);
    for rule in &explanation.rules {
        let mark = if rule.outcome == RuleOutcome::Applies {
            '*'
        } else {
            ' '
        };
        anstream::println!(
            "  {mark} {:<5} {:<width$}  {}",
            rule.effect,
            rule.id,
            rule.outcome.text()
        );
    }
}

pub(super) fn place(at: Option<&Place>) -> String {
    at.map(|at| format!(" ({}:{}:{})", at.file, at.line, at.column))
        .unwrap_or_default()
}

/// A word as a shell would have to be given it, with control characters escaped.
pub(super) fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./=:,@%+".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.escape_debug())
    }
}
