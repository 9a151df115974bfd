//! Proof of "allowed and recorded", made nowhere else.
//!
//! A [`Permit`] exists only after the decision and the start of a run are on disk, and is used up by the
//! run. The [`OpenRun`] that comes with it takes the outcome.

#![forbid(unsafe_code)]

use std::ops::Range;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{Draft, Kind, Ledger, LedgerError, Reservation, RunId};
use crate::decision::{Decision, bytes_json};
use crate::evidence::{Evidence, Process};
use crate::policy::CompiledPolicy;
use crate::policy::terms::Containment;
use crate::resolve::{Command, Launch};

/// Leave to run one command once.
///
/// Only the ledger makes a permit, and only after the decision is on disk, so holding one proves
/// "decided, allowed and recorded". Not `Clone`: the run uses it up.
///
/// ```compile_fail
/// fn forge(command: lictor::resolve::Command) -> lictor::ledger::Permit {
///     lictor::ledger::Permit { command }
/// }
/// ```
///
/// ```compile_fail
/// fn twice(permit: lictor::ledger::Permit) -> (lictor::ledger::Permit, lictor::ledger::Permit) {
///     (permit.clone(), permit)
/// }
/// ```
#[derive(Debug)]
#[must_use = "an unused permit leaves an allowed run in the ledger that never happened"]
pub struct Permit {
    command: Command,
    run: RunId,
}

impl Permit {
    /// The command that may be run.
    pub fn command(&self) -> &Command {
        &self.command
    }

    /// What is started.
    #[must_use]
    pub fn launch(&self) -> &Launch {
        self.command.launch()
    }

    /// The run, as the ledger knows it.
    #[must_use]
    pub fn run(&self) -> RunId {
        self.run
    }
}

/// A run whose outcome is not recorded yet. Dropped without one, it is `LOST` at the next open.
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
    /// What the ledger said.
    pub error: LedgerError,
}

impl Ledger {
    /// Records a decision that is not followed by a run.
    ///
    /// # Errors
    /// When it is not on disk.
    pub fn record(
        &self,
        policy: &CompiledPolicy,
        decision: &Decision,
    ) -> Result<Range<u64>, LedgerError> {
        self.note_policy(policy)?;
        let run = RunId::random().map_err(|error| LedgerError::io("draw a run id", &error))?;
        self.commit_last(vec![decision_draft(run, decision)])
    }

    /// Records that a command was allowed and starts, and returns once both are on disk.
    ///
    /// # Errors
    /// When they are not: the command may then not be run, and the decision is a denial.
    pub fn admit(
        self: &Arc<Self>,
        policy: &CompiledPolicy,
        command: Command,
    ) -> Result<(Permit, OpenRun), Box<NotAdmitted>> {
        let recorded = self.note_policy(policy).and_then(|()| {
            let run = RunId::random().map_err(|error| LedgerError::io("draw a run id", &error))?;
            let drafts = vec![
                decision_draft(run, command.decision()),
                self.start_draft(run, &command),
            ];
            let (lines, reservation) = self.commit_reserving(drafts)?;
            Ok((run, lines.start, reservation))
        });
        match recorded {
            Ok((run, first, reservation)) => {
                let open = OpenRun {
                    ledger: Arc::clone(self),
                    run,
                    first,
                    reservation,
                };
                Ok((Permit { command, run }, open))
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

    fn note_policy(&self, policy: &CompiledPolicy) -> Result<(), LedgerError> {
        let files: Vec<&str> = policy.files().map(|file| file.name.as_str()).collect();
        let draft = Draft::new(Kind::Policy)
            .with("policy", policy.digest())
            .with("name", policy.name())
            .with("files", json!(files));
        self.ensure_policy(policy.digest(), &draft)
    }

    fn start_draft(&self, run: RunId, command: &Command) -> Draft {
        let launch = command.launch();
        let workspace = command.workspace();
        let names: Vec<Value> = launch
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
                bytes_json(launch.program.as_os_str().as_encoded_bytes()),
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
                match launch.containment {
                    Containment::Auto => "auto",
                    Containment::AtLeast(level) => level.name(),
                },
            );
        self.owner_fields()
            .into_iter()
            .fold(draft, |draft, (key, value)| draft.with(&key, value))
    }
}

impl OpenRun {
    /// Records how the run ended. Returns the lines of the whole run: from its decision to its outcome.
    ///
    /// # Errors
    /// When the outcome is not on disk. It can then only be told to the caller.
    pub fn finish(self, evidence: &Evidence) -> Result<Range<u64>, LedgerError> {
        let draft = bounded(evidence).into_iter().fold(
            Draft::new(Kind::Outcome).of(self.run),
            |draft, (key, value)| draft.with(&key, value),
        );
        let lines = self.ledger.finish_last(self.reservation, vec![draft])?;
        Ok(self.first..lines.end)
    }

    /// The run, as the ledger knows it.
    #[must_use]
    pub fn run(&self) -> RunId {
        self.run
    }
}

fn decision_draft(run: RunId, decision: &Decision) -> Draft {
    let mut json = decision.to_json();
    let mut take = |key: &str| json.get_mut(key).map(Value::take).unwrap_or(Value::Null);
    let asked = decision.asked();
    Draft::new(Kind::Decision)
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
        .with("disk", take("disk"))
}

fn argv(decision: &Decision) -> Value {
    decision.argv().map_or(Value::Null, |argv| json!(argv))
}

/// Most processes of each list that go into an entry: a tree of hundreds is told by its size.
const MAX_PROCESSES: usize = 40;
/// Most test ids of each list, and bytes of each message.
const MAX_TESTS: usize = 100;
const MAX_MESSAGE_BYTES: usize = 400;

/// The evidence as it is recorded: outputs by digest, lists cut to what one line can hold, with how
/// many there were.
fn bounded(evidence: &Evidence) -> Map<String, Value> {
    let mut evidence = evidence.clone();
    let mut cut = Map::new();
    let mut shorten = |name: &str, list: &mut Vec<Process>| {
        if list.len() > MAX_PROCESSES {
            cut.insert(name.to_owned(), Value::from(list.len()));
            list.truncate(MAX_PROCESSES);
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
                .filter(|text| text.len() > MAX_MESSAGE_BYTES)
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
