//! `lictor check`: decides and records, and runs nothing.

#![forbid(unsafe_code)]

use std::io::{BufRead, Read};

use clap::Args;
use serde_json::{Value as Json, json};

use super::exit::Exit;
use super::explain::place;
use super::request::RequestArgs;
use super::{Failure, Global, discover, granted, print_json};
use crate::decision::{Context, Decision, Effect, MAX_REQUEST_BYTES, Request};
use crate::governor::{Checked, Governor, OnDisk};
use crate::policy::{CompiledPolicy, parse_time};
use crate::text::indented;
use crate::text::{escaped, shell};

#[derive(Args, Debug)]
pub(super) struct Check {
    /// Do not record the decision
    #[arg(long)]
    dry_run: bool,
    /// Ask the disk too, as before a run
    #[arg(long)]
    on_disk: bool,
    /// Spend the grants that an allow needs: for whoever acts on the answer
    #[arg(long, conflicts_with_all = ["dry_run", "env", "approvals", "at"])]
    spend: bool,
    /// Read requests from standard input, one JSON object a line, and answer each with a line
    #[arg(long, conflicts_with_all = ["tool", "argv"])]
    batch: bool,
    #[command(flatten)]
    given: Given,
    #[command(flatten)]
    request: RequestArgs,
}

/// What to suppose instead of what is
#[derive(Args, Debug)]
pub(super) struct Given {
    /// Suppose that this variable is set; implies --dry-run
    #[arg(long = "given-env", value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// Suppose that this approval is granted; implies --dry-run
    #[arg(long = "given-approval", value_name = "NAME")]
    approvals: Vec<String>,
    /// Suppose that it is this date (2027-01-31) or time (2027-01-31T12:00:00Z); implies --dry-run
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
}

impl Given {
    fn is_empty(&self) -> bool {
        self.env.is_empty() && self.approvals.is_empty() && self.at.is_none()
    }

    /// The facts, changed by the assumptions.
    pub(super) fn applied(
        &self,
        policy: &CompiledPolicy,
        mut context: Context,
    ) -> Result<Context, Failure> {
        for given in &self.env {
            let Some((name, value)) = given.split_once('=') else {
                return Err(Failure::new(format!(
                    "`--given-env {}` is not NAME=VALUE",
                    given.escape_debug()
                )));
            };
            context = context.with_switch(name, value);
        }
        for name in &self.approvals {
            if !policy
                .approvals()
                .iter()
                .any(|approval| approval.name == *name)
            {
                return Err(Failure::new(format!(
                    "the policy has no approval `{}`",
                    name.escape_debug()
                )));
            }
            context = context.with_approval(name);
        }
        if let Some(text) = &self.at {
            let Some(time) = parse_time(text) else {
                return Err(Failure::new(format!(
                    "`--at {}` is no time; write 2027-01-31 or 2027-01-31T12:00:00Z",
                    text.escape_debug()
                )));
            };
            context = context.with_time(time);
        }
        Ok(context)
    }
}

pub(super) fn main(command: Check, global: &Global) -> Result<Exit, Failure> {
    let governor = Governor::new(discover::policy(global)?);
    let actor = discover::actor(global);
    let context = command
        .given
        .applied(governor.policy(), governor.context(&actor))?;
    let answer = Answer {
        governor: &governor,
        context: &context,
        on_disk: if command.on_disk {
            OnDisk::Yes
        } else {
            OnDisk::No
        },
        is_recorded: !command.dry_run && command.given.is_empty(),
        spends: command.spend,
    };
    if command.batch {
        return answer.batch(&actor);
    }
    let request = command.request.into_request(&actor, &governor)?;
    let checked = answer.one(&request);
    if global.json {
        print_json(&answer.json(&checked, None));
    } else {
        print_head(&checked.decision);
        print_rest(&checked.decision, &governor);
        print_grants(&checked.decision, answer.spends);
    }
    warn(&checked, answer.is_recorded, governor.ledger_path());
    Ok(Exit::of_check(&checked.decision))
}

/// Form in which requests are answered.
struct Answer<'a> {
    governor: &'a Governor,
    context: &'a Context,
    on_disk: OnDisk,
    is_recorded: bool,
    spends: bool,
}

impl Answer<'_> {
    fn one(&self, request: &Request) -> Checked {
        if self.spends {
            return self
                .governor
                .check_spending(request, self.context, self.on_disk);
        }
        self.finish(self.governor.decide(request, self.context, self.on_disk))
    }

    fn finish(&self, decision: Decision) -> Checked {
        if self.is_recorded {
            self.governor.recorded(decision)
        } else {
            Checked::unrecorded(decision)
        }
    }

    /// One answer for each line, in order; a line that cannot be read is denied.
    fn batch(&self, actor: &str) -> Result<Exit, Failure> {
        let mut input = std::io::stdin().lock();
        let policy = self.governor.policy();
        while let Some(line) = next_line(&mut input)
            .map_err(|error| Failure::new(format!("standard input cannot be read: {error}")))?
        {
            let (id, checked) = match line.as_deref().map(read) {
                Some(Ok((id, request))) => (id, self.one(&request)),
                Some(Err((id, why))) => {
                    (id, self.finish(Decision::unreadable(policy, actor, &why)))
                }
                None => (None, self.finish(Decision::too_large(policy, actor))),
            };
            print_json(&self.json(&checked, id));
        }
        Ok(Exit::Good)
    }

    fn json(&self, checked: &Checked, id: Option<Json>) -> Json {
        let mut json = checked.decision.to_json();
        if let Some(fields) = json.as_object_mut() {
            fields.insert("recorded".to_owned(), json!(checked.recorded));
            if let Some(id) = id {
                // Right after the version, where a reader looks for it.
                fields.shift_insert(1, "id".to_owned(), id);
            }
        }
        json
    }
}

/// The next line without its end; `Some(None)` for one that is longer than a request may be, of which nothing is
/// kept.
fn next_line(input: &mut impl BufRead) -> std::io::Result<Option<Option<Vec<u8>>>> {
    let most = u64::try_from(MAX_REQUEST_BYTES).unwrap_or(u64::MAX);
    let mut line = Vec::new();
    let mut bounded = input.by_ref().take(most.saturating_add(1));
    if bounded.read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    if line.pop_if(|end| *end == b'\n').is_some() || line.len() <= MAX_REQUEST_BYTES {
        return Ok(Some(Some(line)));
    }
    input.skip_until(b'\n')?;
    Ok(Some(None))
}

fn read(line: &[u8]) -> Result<(Option<Json>, Request), (Option<Json>, String)> {
    let text = std::str::from_utf8(line).map_err(|_| (None, "the line is not UTF-8".to_owned()))?;
    Request::from_json(text).map_err(|error| (error.id.clone(), error.to_string()))
}

/// The decision in two lines.
pub(super) fn print_head(decision: &Decision) {
    let reason = decision
        .reason()
        .map(|reason| format!("  {reason}"))
        .unwrap_or_default();
    answer!("{}{reason}", decision.effect().word());
    answer!("  {}", indented(decision.message()));
}

fn print_rest(decision: &Decision, governor: &Governor) {
    let first = decision.rules().first();
    if let Some(rule) = first.filter(|rule| rule.at.is_some()) {
        answer!("  rule `{}`{}", rule.id, place(rule.at.as_ref()));
    }
    for finding in decision.findings() {
        if let (Some(names), Some(path)) = (finding.hard_links, &finding.canonical) {
            let path = escaped(path);
            answer!("  note: `{path}` has {names} names (hard links)");
        }
    }
    if let Some(argv) = decision.argv() {
        answer!(
            "  command: {}",
            argv.iter()
                .map(|word| shell(word.as_bytes()))
                .collect::<Vec<_>>()
                .join(" ")
        );
    }
    for line in granted::question(decision, governor) {
        answer!("  {line}");
    }
    if let Some(instead) = decision.instead() {
        let word = if decision.effect() == Effect::Ask {
            "to approve"
        } else {
            "instead"
        };
        answer!("  {word}: {}", indented(instead));
    }
    if let Some(wider) = granted::wider(decision) {
        answer!("  {wider}");
    }
}

/// The grants that a decision rests on, and those that do not count.
pub(super) fn print_grants(decision: &Decision, spent: bool) {
    let word = if spent {
        "is spent"
    } else {
        "would be spent by a run"
    };
    for used in decision.grants() {
        answer!("  grant `{}` of {} {word}", used.grant, used.who);
    }
    for refused in decision.refused_grants() {
        answer!(
            "  grant `{}` does not count: {}",
            refused.grant,
            refused.why
        );
    }
    if decision.more_refused_grants() > 0 {
        answer!(
            "  {} older grants do not count either: `lictor approvals` lists them",
            decision.more_refused_grants()
        );
    }
}

/// Says when a decision that should be on record is not.
pub(super) fn warn(checked: &Checked, was_wanted: bool, ledger: &std::path::Path) {
    if let (true, Some(error)) = (was_wanted, &checked.unrecorded_because) {
        message!("warning: the decision is not recorded: {error}");
        discover::tell_ledger(ledger);
    }
}
