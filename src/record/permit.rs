//! Proof of "allowed and recorded", made nowhere else.
//!
//! A [`Permit`] exists only after the decision and the start of a run are on disk, and is used up by the
//! run. The [`OpenRun`] that comes with it takes the outcome.

#![forbid(unsafe_code)]

use std::ops::Range;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{Abandoned, Elsewhere, Ledger, LedgerError, Reservation};
use crate::decision::{Decision, GrantUse, bytes_json};
use crate::evidence::{Evidence, Process};
use crate::log::hash::{hex, sha256};
use crate::log::{Draft, Kind, LogError, Purpose, RunId};
use crate::policy::CompiledPolicy;
use crate::policy::model::{Approval, ApprovalKind};
use crate::policy::source::SourceFile;
use crate::policy::terms::Containment;
use crate::resolve::{Command, user_id};

/// Leave to run one command once.
///
/// Only the ledger makes a permit, and only after the decision is on disk, so holding one proves
/// "decided, allowed and recorded". Not `Clone`: the run uses it up.
///
/// ```compile_fail
/// fn forge(command: lictor::resolve::Command) -> lictor::record::Permit {
///     lictor::record::Permit { command }
/// }
/// ```
///
/// ```compile_fail
/// fn twice(permit: lictor::record::Permit) -> (lictor::record::Permit, lictor::record::Permit) {
///     (permit.clone(), permit)
/// }
/// ```
#[derive(Debug)]
#[must_use = "an unused permit leaves an allowed run in the ledger that never happened"]
pub struct Permit {
    command: Command,
}

impl Permit {
    /// The command that may be run.
    pub fn command(&self) -> &Command {
        &self.command
    }

    /// The run, as the ledger knows it.
    #[must_use]
    pub fn run(&self) -> RunId {
        self.command.job().run
    }
}

/// A run whose outcome is not recorded yet. Dropped without one, it is `LOST` at the next open after the end of this process, or its
/// executor elsewhere is asked.
#[derive(Debug)]
#[must_use = "a run without an outcome is recorded as lost"]
pub struct OpenRun {
    ledger: Arc<Ledger>,
    run: RunId,
    first: u64,
    reservation: Reservation,
}

/// Why a command may not be run after all.
#[derive(Debug)]
#[non_exhaustive]
pub struct NotAdmitted {
    /// The decision, now a denial.
    pub decision: Decision,
    /// Error of the ledger.
    pub error: LedgerError,
}

impl Ledger {
    /// Records a decision that is not followed by a run. It spends no grant.
    ///
    /// # Errors
    /// When it is not on disk.
    pub fn record(
        &self,
        policy: &CompiledPolicy,
        decision: &Decision,
    ) -> Result<Range<u64>, LedgerError> {
        self.record_as(policy, decision, WOULD_SPEND)
    }

    /// Records a decision that somebody else acts on, and with an allow spends the grants that it needed.
    ///
    /// # Errors
    /// When it is not on disk, or a grant cannot be used any more.
    pub fn record_spending(
        &self,
        policy: &CompiledPolicy,
        decision: &Decision,
    ) -> Result<Range<u64>, LedgerError> {
        self.record_as(policy, decision, SPENT)
    }

    fn record_as(
        &self,
        policy: &CompiledPolicy,
        decision: &Decision,
        grants: &str,
    ) -> Result<Range<u64>, LedgerError> {
        self.note_policy(policy)?;
        let run = RunId::random().map_err(|error| LogError::io("draw a run id", &error))?;
        let mut drafts = approval_drafts(run, policy, decision);
        drafts.push(decision_draft(run, decision, grants));
        self.commit_last(drafts)
    }

    /// Records that a command was allowed and starts, and returns once both are on disk. The run is lost with this process unless
    /// somebody `elsewhere` runs it.
    ///
    /// # Errors
    /// When they are not: the command may then not be run, and the decision is a denial.
    pub fn admit(
        self: &Arc<Self>,
        policy: &CompiledPolicy,
        command: Command,
        elsewhere: Option<&Elsewhere>,
    ) -> Result<(Permit, OpenRun), Box<NotAdmitted>> {
        let run = command.job().run;
        let recorded = self.note_policy(policy).and_then(|()| {
            let mut drafts = approval_drafts(run, policy, command.decision());
            drafts.push(decision_draft(run, command.decision(), SPENT));
            drafts.push(self.start_draft(run, &command, elsewhere));
            let (lines, reservation) = self.commit_reserving(drafts)?;
            Ok((lines.start, reservation))
        });
        match recorded {
            Ok((first, reservation)) => {
                let open = OpenRun {
                    ledger: Arc::clone(self),
                    run,
                    first,
                    reservation,
                };
                Ok((Permit { command }, open))
            }
            Err(error) => {
                let decision = command
                    .decision()
                    .clone()
                    .denied(error.reason(), error.to_string());
                Err(Box::new(NotAdmitted { decision, error }))
            }
        }
    }

    pub(super) fn note_policy(&self, policy: &CompiledPolicy) -> Result<(), LedgerError> {
        self.ensure_policy(policy.digest(), || {
            let file = |file: &SourceFile| json!({"name": file.name, "sha256": hex(&sha256(file.text.as_bytes()))});
            let path = policy.files().next().map(|file| file.name.as_str());
            Draft::new(Kind::Policy)
                .with("policy", policy.digest())
                .with("name", policy.name())
                .with("path", path)
                .with("files", policy.files().map(file).collect::<Vec<Value>>())
                .with("lint", self.lint.map(|lint| lint(policy)))
        })
    }

    fn start_draft(&self, run: RunId, command: &Command, elsewhere: Option<&Elsewhere>) -> Draft {
        let job = command.job();
        let workspace = command.workspace();
        let names: Vec<Value> = job
            .env
            .iter()
            .map(|(name, _)| bytes_json(name.as_encoded_bytes()))
            .collect();
        let draft = Draft::new(Kind::Start)
            .of(run)
            .with("argv", argv(command.decision()))
            .with("policy", command.decision().policy().sha256.as_str())
            .with(
                "program",
                bytes_json(job.program.as_os_str().as_encoded_bytes()),
            )
            .with(
                "workspace",
                json!({
                    "path": bytes_json(workspace.path().as_os_str().as_encoded_bytes()),
                    "device": workspace.identity().device,
                    "inode": workspace.identity().inode.to_string(),
                }),
            )
            .with("env_names", Value::Array(names))
            .with("limits", command.decision().limits_json())
            .with(
                "containment",
                match job.containment {
                    Containment::Auto => "auto",
                    Containment::AtLeast(level) => level.name(),
                },
            );
        let executor = elsewhere.and_then(|elsewhere| serde_json::to_value(elsewhere).ok());
        let mut draft = match executor {
            Some(executor) => draft.with("executor", executor),
            None => draft,
        };
        if let Some(name) = &job.name {
            draft = draft.with("name", name.as_str());
        }
        self.owner_fields()
            .into_iter()
            .fold(draft, |draft, (key, value)| draft.with(&key, value))
    }

    /// Records how a run ended whose owner is gone.
    ///
    /// # Errors
    /// [`LedgerError::RunEnded`] if somebody else did; otherwise the outcome is not on disk, and the run stays open.
    pub fn settle(
        &self,
        abandoned: &Abandoned,
        evidence: &Evidence,
    ) -> Result<Range<u64>, LedgerError> {
        let mut drafts = self.end_drafts(abandoned.run, evidence);
        drafts.retain(|draft| draft.kind != Kind::Stop || !abandoned.stopped);
        self.submit(drafts, Purpose::End, false)
    }

    /// Entries at the end of a run: the stop, if there was one, and the outcome.
    fn end_drafts(&self, run: RunId, evidence: &Evidence) -> Vec<Draft> {
        let mut fields = bounded(evidence, &|text| {
            self.redactor.holds_secret(text.as_bytes())
        });
        let streams = [("stdout", &evidence.stdout), ("stderr", &evidence.stderr)];
        for (stream, output) in streams.into_iter().filter(|_| self.keeps_output) {
            if let Some(Value::Object(field)) = fields.get_mut(stream) {
                field.insert("kept".to_owned(), self.keep_output(output));
            }
        }
        let mut drafts: Vec<Draft> = stop_draft(run, &mut fields).into_iter().collect();
        let mut outcome = Draft::new(Kind::Outcome).of(run);
        outcome.body = fields;
        drafts.push(outcome);
        drafts
    }
}

impl OpenRun {
    /// Records how the run ended. Returns the lines of the whole run: from its decision to its outcome.
    ///
    /// # Errors
    /// When the outcome is not on disk. It can then only be told to the caller.
    pub fn finish(self, evidence: &Evidence) -> Result<Range<u64>, LedgerError> {
        let drafts = self.ledger.end_drafts(self.run, evidence);
        let lines = self.ledger.finish_last(self.reservation, drafts)?;
        Ok(self.first..lines.end)
    }

    /// The run, as the ledger knows it.
    #[must_use]
    pub fn run(&self) -> RunId {
        self.run
    }
}

/// Entry of a stop, if there was one: its reason, its signals, and the processes that were there. The process
/// tree stands in this entry only.
fn stop_draft(run: RunId, outcome: &mut Map<String, Value>) -> Option<Draft> {
    let stop = outcome.get("stop")?.as_object()?;
    stop.get("why").filter(|why| !why.is_null())?;
    let mut draft = Draft::new(Kind::Stop).of(run);
    draft.body.clone_from(stop);
    let tree = outcome.remove("tree")?;
    Some(draft.with("tree", tree))
}

/// The approvals that a decision counted: what each one is, who gave it and for exactly what.
pub(super) fn approval_drafts(
    run: RunId,
    policy: &CompiledPolicy,
    decision: &Decision,
) -> Vec<Draft> {
    let used = |approval: &Approval| {
        let of = |used: &&GrantUse| used.approval == approval.name;
        decision.grants().iter().find(of)
    };
    // An ask that a grant lifted is none of the rules that allowed.
    let granted = |approval: &&Approval| {
        decision.granted().contains(&approval.name) || used(approval).is_some()
    };
    let approvals = policy.approvals().iter().filter(granted);
    approvals
        .map(|approval| {
            let draft = Draft::new(Kind::Approval)
                .of(run)
                .with("approval", approval.name.as_str());
            let draft = match &approval.kind {
                // Its value is not recorded: no value of the environment ever is.
                ApprovalKind::Switch { variable, .. } => draft
                    .with("how", "environment")
                    .with("variable", variable.as_str())
                    .with("who", "whoever started lictor"),
                ApprovalKind::Grant { .. } => {
                    let used = used(approval);
                    draft
                        .with("how", "grant")
                        .with("grant", used.map(|used| used.grant.as_str()))
                        .with("who", used.map(|used| used.who.to_string()))
                        .with("key", used.and_then(|used| used.key.as_deref()))
                        .with("why", used.map(|used| used.why.as_str()))
                }
            };
            let expires = used(approval).map(|used| used.until.as_str());
            draft
                .with("user", user_id())
                .with("reference", approval.reference.clone())
                .with("expires", expires)
                .with("uses", 1)
                .with("policy", decision.policy().sha256.as_str())
                .with("actor", decision.asked().actor.as_str())
                .with("action", decision.asked().action.clone())
                .with("argv", argv(decision))
        })
        .collect()
}

/// The field of a decision that spends the grants it names.
pub(super) const SPENT: &str = "grants";

/// The field that names the grants that a run would spend.
pub(super) const WOULD_SPEND: &str = "would_spend";

/// The grants that a decision needed stand in the field `grants`.
pub(super) fn decision_draft(run: RunId, decision: &Decision, grants: &str) -> Draft {
    let mut json = decision.to_json();
    let mut take = |key: &str| json.get_mut(key).map(Value::take).unwrap_or(Value::Null);
    let asked = decision.asked();
    let used: Vec<&str> = decision
        .grants()
        .iter()
        .map(|used| used.grant.as_str())
        .collect();
    let draft = Draft::new(Kind::Decision)
        .of(run)
        .with("effect", take("effect"))
        .with("reason", take("reason"))
        .with("policy", decision.policy().sha256.as_str())
        .with("tool", asked.tool.clone().map_or(Value::Null, Value::from))
        .with(
            "action",
            asked.action.clone().map_or(Value::Null, Value::from),
        )
        .with("actor", asked.actor.as_str())
        .with("argv", argv(decision))
        .with("rule", take("rule"))
        .with("rules", take("rules"))
        .with("reasons", take("reasons"))
        .with("message", take("message"))
        .with("request", take("request"))
        .with("findings", take("findings"))
        .with("granted", json!(decision.granted()))
        .with("disk", take("disk"));
    match used.is_empty() {
        true => draft,
        false => draft.with(grants, used),
    }
}

fn argv(decision: &Decision) -> Value {
    decision.argv().map_or(Value::Null, |argv| json!(argv))
}

/// Most processes of each list that go into an entry, and bytes of them as JSON: a tree of hundreds is told by its
/// size. Three lists of that length leave room for the rest of a line.
const MAX_PROCESSES: usize = 40;
const MAX_PROCESSES_BYTES: usize = 12 * 1024;
/// Bytes of a process as JSON, without its command.
const PROCESS_BYTES: usize = 160;
/// Most test ids of each list, and bytes of each message.
const MAX_TESTS: usize = 100;
const MAX_MESSAGE_BYTES: usize = 400;

/// The evidence as it is recorded: outputs by digest, lists cut to what one line can hold, with how
/// many there were.
///
/// A text that `is_secret` stays whole: it is replaced as a whole, and half of it might not be known.
fn bounded(evidence: &Evidence, is_secret: &dyn Fn(&str) -> bool) -> Map<String, Value> {
    let mut evidence = evidence.clone();
    let mut cut = Map::new();
    let mut shorten = |name: &str, list: &mut Vec<Process>| {
        let mut bytes = 0_usize;
        let fits = |process: &&Process| {
            // As the line will hold it: characters that are not ASCII are escaped there, the longest of four bytes by ten.
            let escaped = process.command.chars().map(|c| {
                if c.is_ascii_graphic() || c == ' ' {
                    1
                } else {
                    12
                }
            });
            bytes = bytes
                .saturating_add(escaped.sum::<usize>())
                .saturating_add(PROCESS_BYTES);
            bytes <= MAX_PROCESSES_BYTES
        };
        let fitting = list.iter().take(MAX_PROCESSES).take_while(fits).count();
        // What is not empty never looks so.
        let kept = fitting.max(1);
        if list.len() > kept {
            cut.insert(name.to_owned(), Value::from(list.len()));
            list.truncate(kept);
        }
    };
    shorten("tree", &mut evidence.tree);
    shorten("leaked", &mut evidence.leaked);
    shorten("survivors", &mut evidence.survivors);
    if let Some(report) = &mut evidence.report {
        for (name, list) in [
            ("failed", &mut report.failed),
            ("passed", &mut report.passed),
            ("messages", &mut report.messages),
        ] {
            if list.len() > MAX_TESTS {
                cut.insert(format!("report.{name}"), Value::from(list.len()));
                list.truncate(MAX_TESTS);
            }
            for text in list
                .iter_mut()
                .filter(|text| text.len() > MAX_MESSAGE_BYTES && !is_secret(text))
            {
                let ends = text.char_indices().map(|(at, _)| at);
                let end = ends
                    .take_while(|at| *at <= MAX_MESSAGE_BYTES)
                    .last()
                    .unwrap_or(0);
                text.truncate(end);
                text.push('…');
            }
        }
    }
    let Ok(Value::Object(mut fields)) = serde_json::to_value(&evidence) else {
        return Map::new();
    };
    for stream in ["stdout", "stderr"] {
        if let Some(Value::Object(output)) = fields.get_mut(stream) {
            output.remove("text");
        }
    }
    if !cut.is_empty() {
        fields.insert("cut".to_owned(), Value::Object(cut));
    }
    fields
}
