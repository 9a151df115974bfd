//! `lictor explain`: why, and why not, and what to do. Nothing is recorded.

#![forbid(unsafe_code)]

use clap::Args;
use serde_json::json;

use super::check::Given;
use super::exit::Exit;
use super::request::RequestArgs;
use super::{Failure, Global, discover, print_json};
use crate::decision::{Decision, Effect, Explanation, RuleOutcome, RuleView, explain};
use crate::governor::{Governor, OnDisk};
use crate::policy::Place;
use crate::reason::Reason;
use crate::text::{escaped, shell};
use crate::text::{indented, one_line};

#[derive(Args, Debug)]
pub(super) struct Explain {
    /// Ask the disk and the machine too, as before a run
    #[arg(long)]
    on_disk: bool,
    #[command(flatten)]
    given: Given,
    #[command(flatten)]
    request: RequestArgs,
}

pub(super) fn main(command: Explain, global: &Global) -> Result<Exit, Failure> {
    let governor = Governor::new(discover::policy(global)?);
    let actor = discover::actor(global);
    let request = command.request.into_request(&actor, &governor)?;
    let context = command
        .given
        .applied(governor.policy(), governor.context(&actor))?;
    // The rules with what grants there are, and the decision with which of them a run would spend.
    let with_grants = governor.context_with_grants(&request, &context);
    let mut explanation = explain(governor.policy(), &request, &with_grants);
    let on_disk = if command.on_disk {
        OnDisk::Yes
    } else {
        OnDisk::No
    };
    explanation.decision = governor.decide(&request, &context, on_disk);
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
        if !command.on_disk && explanation.decision.effect() != Effect::Deny {
            answer!();
            answer!("    the disk was not asked: `explain --on-disk` asks it, as a run does");
        }
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
        let (tool, action, actor) = (escaped(tool), escaped(action), escaped(&asked.actor));
        answer!("  request  {tool}.{action} by {actor}");
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
        answer!("           {} = {path}{reason}{at}", finding.arg);
    }
    if let Some(argv) = decision.argv() {
        answer!(
            "  command  {}",
            argv.iter()
                .map(|word| shell(word.as_bytes()))
                .collect::<Vec<_>>()
                .join(" ")
        );
    }
    if let Some(nearest) = &explanation.nearest {
        answer!(
            "  nearest  rule `{}`{}: {}",
            nearest.id,
            place(nearest.at.as_ref()),
            nearest.outcome.text()
        );
    }
    for need in decision.approvals() {
        answer!("  approval `{}`: {}", need.name, indented(&need.how));
    }
    super::check::print_grants(decision, false);
    if let Some(instead) = decision
        .instead()
        .filter(|_| decision.effect() != Effect::Ask)
    {
        answer!("  instead  {}", indented(instead));
    }
    answer!();
    print_rules(explanation);
}

/// Rules that are told one by one. A screen has about twice as many lines.
const MOST_RULES: usize = 12;

/// The rules that had a say, and of the others those that came near; the rest is counted.
fn print_rules(explanation: &Explanation) {
    let rules = &explanation.rules;
    if !rules.is_empty()
        && rules
            .iter()
            .all(|rule| rule.outcome == RuleOutcome::NotAsked)
    {
        answer!("    no rule was asked: the request was refused before");
        return;
    }
    let is_beside = |rule: &&RuleView| {
        matches!(
            rule.outcome,
            RuleOutcome::OtherAction | RuleOutcome::OtherActor(_)
        )
    };
    let mut told: Vec<&RuleView> = rules.iter().filter(|rule| !is_beside(rule)).collect();
    // In the order of the policy otherwise.
    told.sort_by_key(|rule| {
        let is_about_approval = matches!(
            rule.outcome,
            RuleOutcome::NeedsApproval(_) | RuleOutcome::Lifted(_)
        );
        (rule.outcome != RuleOutcome::Applies, !is_about_approval)
    });
    let width = told
        .iter()
        .take(MOST_RULES)
        .map(|rule| rule.id.chars().count())
        .max()
        .unwrap_or(0);
    for rule in told.iter().take(MOST_RULES) {
        let (mark, outcome) = said(rule, &explanation.decision);
        answer!("  {mark} {:<5} {:<width$}  {outcome}", rule.effect, rule.id);
    }
    let counted = |count: usize, what: &str| {
        if count > 0 {
            let rules = if count == 1 { "rule" } else { "rules" };
            answer!("    and {count} {rules} {what}");
        }
    };
    counted(
        told.len().saturating_sub(MOST_RULES),
        "more about this action, which do not decide",
    );
    counted(
        rules.iter().filter(is_beside).count(),
        "about other actions or actors",
    );
}

/// The text of a rule, and a mark for those that the decision rests on.
fn said(rule: &RuleView, decision: &Decision) -> (char, String) {
    if rule.outcome != RuleOutcome::Applies {
        return (' ', rule.outcome.text());
    }
    if decision.rules().iter().any(|by| by.id == rule.id) {
        return ('*', format!("decides{}", place(rule.at.as_ref())));
    }
    let would = match rule.effect {
        "allow" => "would allow it",
        "ask" => "would ask",
        _ => "applies",
    };
    let outcome = if decision.reason() == Some(Reason::DeniedByRule) {
        format!("{would}, but a deny is stronger")
    } else if decision.reason() == Some(Reason::ApprovalRequired) {
        format!("{would}, but what asks for an approval is stronger")
    } else {
        "applies".to_owned()
    };
    (' ', outcome)
}

pub(super) fn place(at: Option<&Place>) -> String {
    at.map(|at| format!(" ({}:{}:{})", one_line(&at.file), at.line, at.column))
        .unwrap_or_default()
}
