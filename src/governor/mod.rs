//! Decide, resolve, prepare, admit, run, record: the one place where the parts meet.
//!
//! A [`Governor`] holds one policy with its workspace, its ledger and something that runs commands.
//! The order of [`Governor::run`] is the order of the promises: nothing runs undecided, nothing runs
//! unrecorded, and what the machine refuses is known before the decision is recorded.

#![forbid(unsafe_code)]
#![expect(
    clippy::disallowed_methods,
    reason = "with `cli`, the place that reads the environment"
)]

mod load;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use crate::decision::{Context, Decision, Effect, Request, decide};
use crate::evidence::{self, Evidence};
use crate::executor::{Executor, Observer, Posix};
use crate::ledger::{Ledger, LedgerError, Options};
use crate::policy::CompiledPolicy;
use crate::policy::model::ApprovalKind;
use crate::policy::terms::ReportKind;
use crate::reason::Reason;
use crate::resolve::{Host, Resolved, Workspace, WorkspaceError, resolve};

pub use crate::resolve::user_id;
pub use load::{LoadError, LoadedPolicy, load, load_default, load_document};

/// One policy, ready to decide and to run.
#[derive(Debug)]
pub struct Governor {
    loaded: LoadedPolicy,
    workspace: Result<Arc<Workspace>, WorkspaceError>,
    /// Opened when first needed: a request that is denied needs none.
    ledger: Mutex<Option<Arc<Ledger>>>,
    executor: Box<dyn Executor>,
}

/// A decision that may have been recorded.
#[derive(Debug)]
#[non_exhaustive]
pub struct Checked {
    /// The decision.
    pub decision: Decision,
    /// Whether it is on disk.
    pub recorded: bool,
    /// Why it is not, if it was to be.
    pub unrecorded_because: Option<LedgerError>,
}

/// What came of a request to run.
#[derive(Debug)]
#[non_exhaustive]
pub struct Ran {
    /// The decision.
    pub decision: Decision,
    /// What happened; none if nothing was run.
    pub evidence: Option<Evidence>,
    /// Whether all of it is on disk.
    pub recorded: bool,
    /// Why it is not.
    pub unrecorded_because: Option<LedgerError>,
    /// The first and last entry about it.
    pub entries: Option<(u64, u64)>,
}

/// Whether the disk is asked too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "it is asked or not")]
pub enum OnDisk {
    /// Only the policy is.
    No,
    /// Paths, program and limits are looked at, as before a run.
    Yes,
}

impl Governor {
    /// Governs by a loaded policy, running commands with the POSIX backend.
    #[must_use]
    pub fn new(loaded: LoadedPolicy) -> Governor {
        Governor::with_executor(loaded, Box::new(Posix::default()))
    }

    /// The same with another backend.
    #[must_use]
    pub fn with_executor(loaded: LoadedPolicy, executor: Box<dyn Executor>) -> Governor {
        let workspace = Workspace::open_root(&loaded.workspace).map(Arc::new);
        Governor {
            loaded,
            workspace,
            ledger: Mutex::new(None),
            executor,
        }
    }

    /// The policy.
    #[must_use]
    pub fn policy(&self) -> &CompiledPolicy {
        &self.loaded.policy
    }

    /// The ledger's directory.
    #[must_use]
    pub fn ledger_path(&self) -> &Path {
        &self.loaded.ledger
    }

    /// What decisions depend on besides the policy and the request, as it is now: the time, and the
    /// environment switches that the policy's approvals name.
    #[must_use]
    pub fn context(&self, actor: &str) -> Context {
        let mut context = Context::new(actor).with_time(jiff::Timestamp::now());
        for approval in self.loaded.policy.approvals() {
            if let ApprovalKind::Switch { variable, .. } = &approval.kind
                && let Ok(value) = std::env::var(variable)
            {
                context = context.with_switch(variable, value);
            }
        }
        context
    }

    /// Decides, without recording.
    #[must_use]
    pub fn decide(&self, request: &Request, context: &Context, on_disk: OnDisk) -> Decision {
        let decision = decide(&self.loaded.policy, request, context);
        match on_disk {
            OnDisk::No => decision,
            OnDisk::Yes => match self.resolve(decision, context) {
                Resolved::Command(command) => match self.executor.prepare(command.launch()) {
                    Ok(_) => Resolved::Command(command).into_decision(),
                    Err(error) => Resolved::Command(command)
                        .into_decision()
                        .denied(error.reason(), error.to_string()),
                },
                resolved @ (Resolved::HostActs(_) | Resolved::Denied(_)) => {
                    resolved.into_decision()
                }
            },
        }
    }

    /// Decides and records. An allow that cannot be recorded is a denial.
    #[must_use]
    pub fn check(&self, request: &Request, context: &Context, on_disk: OnDisk) -> Checked {
        self.recorded(self.decide(request, context, on_disk))
    }

    /// Records a decision that nothing is run for.
    #[must_use]
    pub fn recorded(&self, decision: Decision) -> Checked {
        let recorded = self
            .ledger()
            .and_then(|ledger| ledger.record(&self.loaded.policy, &decision));
        match recorded {
            Ok(_) => Checked {
                decision,
                recorded: true,
                unrecorded_because: None,
            },
            Err(error) => {
                let decision = match decision.effect() {
                    Effect::Allow => decision.denied(error.reason(), error.to_string()),
                    Effect::Ask | Effect::Deny => decision,
                };
                Checked {
                    decision,
                    recorded: false,
                    unrecorded_because: Some(error),
                }
            }
        }
    }

    /// Decides, records, runs, records.
    #[must_use]
    pub fn run(&self, request: &Request, context: &Context, observer: &mut dyn Observer) -> Ran {
        let decision = decide(&self.loaded.policy, request, context);
        let command = match self.resolve(decision, context) {
            Resolved::Command(command) => command,
            Resolved::HostActs(decision) => {
                let message = "the tool has no program: lictor decides and records, the host acts";
                return self.refused(decision.denied(Reason::ProgramNotFound, message));
            }
            Resolved::Denied(decision) => return self.refused(decision),
        };
        let prepared = match self.executor.prepare(command.launch()) {
            Ok(prepared) => prepared,
            Err(error) => {
                let decision = Resolved::Command(command).into_decision();
                return self.refused(decision.denied(error.reason(), error.to_string()));
            }
        };
        let decision = command.decision().clone();
        let report = command.launch().report;
        let admitted = match self.ledger() {
            Ok(ledger) => ledger.admit(&self.loaded.policy, command),
            Err(error) => {
                let decision = decision.denied(error.reason(), error.to_string());
                return Ran::unrun(decision, Some(error));
            }
        };
        let (permit, open) = match admitted {
            Ok(admitted) => admitted,
            Err(refusal) => return Ran::unrun(refusal.decision, Some(refusal.error)),
        };
        let mut evidence = self.executor.run(prepared, permit, observer);
        evidence.report = report.and_then(|kind| read_report(kind, &evidence));
        match open.finish(&evidence) {
            Ok(entries) => Ran {
                decision,
                evidence: Some(evidence),
                recorded: true,
                unrecorded_because: None,
                entries: Some((entries.start, entries.end.saturating_sub(1))),
            },
            Err(error) => Ran {
                decision,
                evidence: Some(evidence),
                recorded: false,
                unrecorded_because: Some(error),
                entries: None,
            },
        }
    }

    fn refused(&self, decision: Decision) -> Ran {
        let checked = self.recorded(decision);
        Ran {
            recorded: checked.recorded,
            ..Ran::unrun(checked.decision, checked.unrecorded_because)
        }
    }

    fn resolve(&self, decision: Decision, context: &Context) -> Resolved {
        if decision.effect() != Effect::Allow {
            return Resolved::Denied(decision);
        }
        let workspace = match &self.workspace {
            Ok(workspace) => workspace,
            Err(error) => {
                return Resolved::Denied(decision.denied(error.reason(), error.to_string()));
            }
        };
        let host = Host {
            environment: std::env::vars_os().collect(),
            hidden: vec![self.loaded.ledger.clone()],
            read_only: self.loaded.files.clone(),
        };
        resolve(&self.loaded.policy, decision, context, workspace, &host)
    }

    fn ledger(&self) -> Result<Arc<Ledger>, LedgerError> {
        let mut held = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ledger) = &*held {
            return Ok(Arc::clone(ledger));
        }
        let settings = self.loaded.policy.ledger_settings();
        let options = Options {
            allow_unsafe_filesystem: settings.allow_unsafe_filesystem,
            redact: settings.redact.clone(),
            ..Options::default()
        };
        let ledger = Arc::new(Ledger::open(&self.loaded.ledger, &options)?);
        *held = Some(Arc::clone(&ledger));
        Ok(ledger)
    }
}

impl Checked {
    /// A decision that is not to be recorded.
    #[must_use]
    pub fn unrecorded(decision: Decision) -> Checked {
        Checked {
            decision,
            recorded: false,
            unrecorded_because: None,
        }
    }
}

impl Ran {
    fn unrun(decision: Decision, unrecorded_because: Option<LedgerError>) -> Ran {
        Ran {
            decision,
            evidence: None,
            recorded: false,
            unrecorded_because,
            entries: None,
        }
    }
}

/// What the command's own summary says.
fn read_report(kind: ReportKind, evidence: &Evidence) -> Option<evidence::Report> {
    let stdout = evidence.stdout.text.to_lossy();
    match kind {
        ReportKind::Pytest => evidence::pytest::parse(&stdout),
        // libtest writes to standard output, nextest to standard error.
        ReportKind::CargoTest => evidence::cargo_test::parse(&stdout)
            .or_else(|| evidence::cargo_test::parse(&evidence.stderr.text.to_lossy())),
        ReportKind::Junit => evidence::junit::parse(&stdout),
        ReportKind::Tap => evidence::tap::parse(&stdout),
    }
}
