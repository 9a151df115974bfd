//! Decide, resolve, prepare, admit, run, record: the one place where the parts meet.
//!
//! A [`Governor`] holds one policy with its workspace, its ledger and something that runs commands.
//! The order of [`Governor::run`] is the order of the promises: nothing runs undecided, nothing runs
//! unrecorded, and what the machine refuses is known before the decision is recorded.
//!
//! | file | |
//! |---|---|
//! | `load` | a policy from the disk |
//! | `grants`, `approve`, `offers`, `asks` | grants at work, granting, what a person is offered, and what is waiting |
//! | `calls` | the tools of an agent |
//! | `long` | long runs by name: which go on, their output, how they ended |
//! | `recover` | what became of runs elsewhere whose owner died |
//! | `report`, `way_out`, `signers` | the report of a run, advice for a denied request, who signs the ledger |

#![forbid(unsafe_code)]
#![expect(
    clippy::disallowed_methods,
    reason = "with `cli`, the place that reads the environment"
)]

mod approve;
mod asks;
#[cfg(feature = "cli")]
mod calls;
mod grants;
mod load;
#[cfg(feature = "cli")]
pub(crate) mod long;
mod offers;
mod recover;
mod report;
mod signers;
mod way_out;

use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::analysis::cells::Analysis;
use crate::decision::{Context, Decision, Effect, Request};
use crate::evidence::{Containment, Event, Evidence};
use crate::executor::{Executor, ExecutorError, Executors, Observer, PrepareError, Prepared};
#[cfg(feature = "cli")]
use crate::log::{Draft, Kind};
use crate::path::CanonicalPath;
use crate::policy::CompiledPolicy;
use crate::policy::model::ApprovalKind;
use crate::reason::Reason;
use crate::record::{Elsewhere, Ledger, LedgerError, NotAdmitted, Options};
#[cfg(feature = "cli")]
use crate::resolve::{Existing, Guarded, NewFile};
use crate::resolve::{Host, Job, Lookup, Resolved, Workspace, WorkspaceError, resolve_for};

pub use crate::resolve::{Owners, home_directory, user_id};
pub use approve::{Accepted, DEFAULT_AGE, GrantError, What, Wish, usual};
pub use asks::{ASK_WAITS, AskAnswer, AskState, AskView, Inbox, REFUSAL_AGE};
#[cfg(feature = "cli")]
pub(crate) use calls::{Answered, Part};
pub use grants::{GrantView, Standing};
pub use load::{
    FLOOR, LoadError, LoadedPolicy, floor_files, load, load_above, load_default, load_document,
    load_text, load_to_test, load_unproved,
};
pub use offers::{Files, Offer, Offers, Withheld, offer_of};
pub use recover::{Found, Recovered};
pub use signers::with_signer;

use grants::Granted;

/// Advice where a tool has no program, so that the answer itself is acted on.
const ASK_SPENDING: &str = "ask again in a way that spends the grant: `lictor check --spend`, right before acting on the answer";

/// One policy, ready to decide and to run.
#[derive(Debug)]
pub struct Governor {
    loaded: LoadedPolicy,
    workspace: Result<Arc<Workspace>, WorkspaceError>,
    /// The ledger's directory, if rules let requests read or write there.
    exposed: Option<CanonicalPath>,
    /// Opened when first needed: a request that is denied needs none.
    ledger: Mutex<Option<Arc<Ledger>>>,
    /// All that may have runs in this ledger.
    executors: Executors,
    /// The one that runs commands, by name.
    executor: Result<(String, Arc<dyn Executor>), ExecutorError>,
    asking: recover::Asking,
    /// Made when a wider approval is first asked for; one for all questions, which share what was computed.
    analysis: OnceLock<Analysis>,
}

/// A decision that may have been recorded.
#[derive(Debug)]
#[non_exhaustive]
pub struct Checked {
    /// The decision.
    pub decision: Decision,
    /// True if it is on disk.
    pub recorded: bool,
    /// Why it is not, if it was to be.
    pub unrecorded_because: Option<LedgerError>,
}

/// Result of a request to run.
#[derive(Debug)]
#[non_exhaustive]
pub struct Ran {
    /// The decision.
    pub decision: Decision,
    /// Evidence of the run; none if nothing was run.
    pub evidence: Option<Evidence>,
    /// True if all of it is on disk.
    pub recorded: bool,
    /// Why it is not.
    pub unrecorded_because: Option<LedgerError>,
    /// The first and last entry about it.
    pub entries: Option<(u64, u64)>,
}

/// Manner in which a command is run, besides what the policy says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Manner {
    /// Where its report is read from, if not from its output.
    pub(crate) report_file: Option<Vec<u8>>,
    /// It is bounded by a lease.
    pub(crate) long: Option<Long>,
}

/// Properties of a long run.
#[derive(Clone, Debug)]
pub(crate) struct Long {
    pub(crate) name: String,
    /// As long as the policy permits, if nothing is said.
    pub(crate) lease: Option<std::time::Duration>,
}

/// Choice to ask the disk too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "it is asked or not")]
pub enum OnDisk {
    /// Only the policy is asked.
    No,
    /// Paths, program and limits are looked at, as before a run.
    Yes,
}

impl Governor {
    /// Governs by a loaded policy, with the executor of this crate that the policy names, or the local one.
    #[must_use]
    pub fn new(loaded: LoadedPolicy) -> Governor {
        Governor::with_executors(loaded, &Executors::shipped(), None)
    }

    /// Governs with one executor, in the place of the local one: its runs are lost when this process dies. A policy that names
    /// another one runs nothing.
    #[must_use]
    pub fn with_executor(loaded: LoadedPolicy, executor: impl Executor + 'static) -> Governor {
        let only = Executors::none().with(Executors::DEFAULT, executor);
        Governor::with_executors(loaded, &only, None)
    }

    /// Governs with one of `executors`: the one that the policy names, else the one that is `wanted`, else the local one.
    ///
    /// Where there is no such executor, or another one is wanted than the policy names, requests are still decided. None
    /// is run: it is denied with what [`Governor::executor`] says.
    #[must_use]
    pub fn with_executors(
        loaded: LoadedPolicy,
        executors: &Executors,
        wanted: Option<&str>,
    ) -> Governor {
        let executor = executors.choose(loaded.policy.executor(), wanted);
        let workspace = Workspace::open_root(&loaded.workspace)
            .map(|workspace| Arc::new(workspace.guarding(loaded.own_files())));
        let exposed = workspace
            .as_ref()
            .ok()
            .and_then(|workspace| load::exposed(&loaded, workspace));
        Governor {
            loaded,
            workspace,
            exposed,
            ledger: Mutex::new(None),
            executors: executors.clone(),
            executor,
            asking: recover::Asking::default(),
            analysis: OnceLock::new(),
        }
    }

    /// The executor that runs commands.
    ///
    /// # Errors
    ///
    /// If there is none by the name that the policy or the caller gave.
    pub fn executor(&self) -> Result<&dyn Executor, &ExecutorError> {
        self.executor.as_ref().map(|(_, executor)| &**executor)
    }

    fn prepare(&self, job: &Job) -> Result<Prepared, PrepareError> {
        match &self.executor {
            Ok((_, executor)) => Prepared::new(&**executor, job),
            Err(error) => Err(PrepareError::Executor(error.clone())),
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

    /// The workspace's directory.
    #[must_use]
    pub fn workspace_path(&self) -> &Path {
        match &self.workspace {
            Ok(workspace) => workspace.path(),
            Err(_) => &self.loaded.workspace,
        }
    }

    /// A file that the program is to write because its caller named it, from the current directory: never one that
    /// is guarded, and nothing that is there already.
    #[cfg(feature = "cli")]
    pub(crate) fn new_file(&self, path: &Path, from: &Path) -> Result<NewFile, String> {
        let guarded = Guarded {
            workspace: self.workspace_path(),
            names: &self.loaded.policy.switches().protected,
            files: &self.loaded.own_files().collect::<Vec<_>>(),
        };
        NewFile::reserve(path, from, &guarded, Existing::Refused)
    }

    /// Facts that decisions depend on besides the policy and the request, as they are now: the time, and the
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
    ///
    /// If grants of the ledger let the request through, it is an allow that names them, as for a run; they
    /// are not spent. A tool without a program is an exception: whoever asks acts on the answer, so
    /// without spending there is no allow (see [`Governor::check_spending`]).
    #[must_use]
    pub fn decide(&self, request: &Request, context: &Context, on_disk: OnDisk) -> Decision {
        let decision = self.settle(self.granted(request, context, &[]), on_disk);
        match decision.effect() {
            Effect::Allow if !decision.grants().is_empty() && decision.argv().is_none() => {
                decision.unspent(ASK_SPENDING)
            }
            Effect::Allow | Effect::Ask | Effect::Deny => decision,
        }
    }

    /// Facts that decisions depend on, with what the grants of the ledger add for this request.
    #[must_use]
    pub fn context_with_grants(&self, request: &Request, context: &Context) -> Context {
        self.granted(request, context, &[]).context
    }

    fn settle(&self, granted: Granted, on_disk: OnDisk) -> Decision {
        let Granted {
            decision, context, ..
        } = granted;
        if let (Effect::Allow, Err(error)) = (decision.effect(), self.is_out_of_reach()) {
            return decision.denied(error.reason(), error.to_string());
        }
        match on_disk {
            OnDisk::No => decision,
            OnDisk::Yes => match self.resolve(decision, &context, &Manner::default()) {
                Resolved::Command(command) => match self.prepare(command.job()) {
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

    /// Decides and records for somebody who acts on the answer: an allow spends the grants that it needed,
    /// and is a denial if they cannot be spent.
    #[must_use]
    pub fn check_spending(&self, request: &Request, context: &Context, on_disk: OnDisk) -> Checked {
        let mut gone = Vec::new();
        loop {
            let decision = self.settle(self.granted(request, context, &gone), on_disk);
            let recorded = self
                .ledger()
                .and_then(|ledger| ledger.record_spending(&self.loaded.policy, &decision));
            match recorded {
                // Somebody was faster; another grant may do.
                Err(LedgerError::GrantGone { id }) if !gone.contains(&id) => gone.push(id),
                recorded => return Checked::of(decision, recorded.map(|_| ())),
            }
        }
    }

    /// Records a decision that nothing is run for.
    #[must_use]
    pub fn recorded(&self, decision: Decision) -> Checked {
        let recorded = self
            .ledger()
            .and_then(|ledger| ledger.record(&self.loaded.policy, &decision));
        Checked::of(decision, recorded.map(|_| ()))
    }

    /// Decides, records, runs, records.
    #[must_use]
    pub fn run(&self, request: &Request, context: &Context, observer: &mut dyn Observer) -> Ran {
        self.run_reporting(request, context, None, observer)
    }

    /// Runs a request whose evidence has its report read from `report_file`, in JUnit XML, instead of from
    /// the output. It has to be one of the paths that the request says are written, or nothing runs; if the
    /// run does not write it, there is no report and an event says why.
    #[must_use]
    pub fn run_reporting(
        &self,
        request: &Request,
        context: &Context,
        report_file: Option<&[u8]>,
        observer: &mut dyn Observer,
    ) -> Ran {
        let manner = Manner {
            report_file: report_file.map(<[u8]>::to_vec),
            ..Manner::default()
        };
        self.run_as(request, context, &manner, observer)
    }

    /// Runs a request in this manner.
    #[must_use]
    pub(crate) fn run_as(
        &self,
        request: &Request,
        context: &Context,
        manner: &Manner,
        observer: &mut dyn Observer,
    ) -> Ran {
        let mut gone = Vec::new();
        loop {
            let granted = self.granted(request, context, &gone);
            match self.attempt(&granted, manner, observer) {
                Ok(ran) => return ran,
                Err(ids) => gone.extend(ids),
            }
        }
    }

    /// One try with the grants there are. The error names grants that counted and no longer do: somebody
    /// was faster, or a pinned file was changed since.
    fn attempt(
        &self,
        granted: &Granted,
        manner: &Manner,
        observer: &mut dyn Observer,
    ) -> Result<Ran, Vec<String>> {
        let decision = granted.decision.clone();
        let decision = match &manner.long {
            Some(long) => decision.leased(long.lease),
            None => decision,
        };
        let command = match self.resolve(decision, &granted.context, manner) {
            Resolved::Command(command) => command,
            Resolved::HostActs(decision) => {
                let message = "the tool has no program: lictor decides and records, the host acts";
                return Ok(self.refused(decision.denied(Reason::ProgramNotFound, message)));
            }
            Resolved::Denied(decision) => return Ok(self.refused(decision)),
        };
        let report_file = manner.report_file.as_deref();
        let mut report = match report::Source::new(self.policy(), &command, report_file) {
            Ok(report) => report,
            Err(why) => {
                let decision = Resolved::Command(command).into_decision();
                return Ok(self.refused(decision.denied(Reason::ArgumentInvalid, why)));
            }
        };
        let input = match observer.read_input(command.job().limits.stdin_bytes) {
            Ok(input) => input,
            Err(why) => {
                let decision = Resolved::Command(command).into_decision();
                return Ok(self.refused(decision.denied(Reason::ArgumentInvalid, why)));
            }
        };
        // Before the tree is built: what hides the ledger from the command can only hide what exists.
        let ledger = match self.ledger() {
            Ok(ledger) => ledger,
            Err(error) => {
                let decision = Resolved::Command(command).into_decision();
                let decision = decision.denied(error.reason(), error.to_string());
                return Ok(Ran::unrun(decision, Some(error)));
            }
        };
        if let Err(error) = self.recover_in(&ledger) {
            let decision = Resolved::Command(command).into_decision();
            let decision = decision.denied(error.reason(), error.to_string());
            return Ok(Ran::unrun(decision, Some(error)));
        }
        let mut prepared = match self.prepare(command.job()) {
            Ok(prepared) => prepared,
            Err(error) => {
                let decision = Resolved::Command(command).into_decision();
                return Ok(self.refused(decision.denied(error.reason(), error.to_string())));
            }
        };
        // As late as can be: what is approved is what these files hold now.
        let changed = self.changed_pins(granted);
        if !changed.is_empty() {
            return Err(changed.into_iter().map(|(id, _)| id).collect());
        }
        let decision = command.decision().clone();
        let elsewhere = self.elsewhere(prepared.containment());
        let admitted = ledger.admit(&self.loaded.policy, command, elsewhere.as_ref());
        let (permit, open) = match admitted {
            Ok(admitted) => admitted,
            Err(refusal) => {
                let NotAdmitted { decision, error } = *refusal;
                if let LedgerError::GrantGone { id } = error {
                    return Err(vec![id]);
                }
                return Ok(Ran::unrun(decision, Some(error)));
            }
        };
        // The end of the helper is waited for when this is dropped, after the outcome was recorded.
        let mut evidence = prepared.run(permit, &mut report.watching(observer));
        evidence.stdin = input;
        report.tell(&mut evidence);
        for (id, path) in self.changed_pins(granted) {
            let about = format!("{path}, which grant {id} approved");
            evidence
                .events
                .push(Event::new("PINNED_FILE_CHANGED", about));
        }
        if let Ok(workspace) = &self.workspace
            && !workspace.is_in_place()
        {
            let about = "its path leads to something else now, or to nothing";
            evidence.events.push(Event::new("WORKSPACE_MOVED", about));
        }
        Ok(match open.finish(&evidence) {
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
        })
    }

    /// The executor that runs commands, if a run of it may outlive this process.
    fn elsewhere(&self, containment: &Containment) -> Option<Elsewhere> {
        let (name, _) = self.executor.as_ref().ok()?;
        let is_elsewhere = name != Executors::DEFAULT;
        is_elsewhere.then(|| Elsewhere::new(name, containment.clone()))
    }

    fn refused(&self, decision: Decision) -> Ran {
        let checked = self.recorded(decision);
        Ran {
            recorded: checked.recorded,
            ..Ran::unrun(checked.decision, checked.unrecorded_because)
        }
    }

    fn resolve(&self, decision: Decision, context: &Context, manner: &Manner) -> Resolved {
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
            name: manner.long.as_ref().map(|long| long.name.clone()),
        };
        let policy = &self.loaded.policy;
        match resolve_for(policy, decision, context, workspace, &host, &|name| {
            self.lookup(name)
        }) {
            Resolved::Denied(decision) => {
                let decision = decision.or_instead(|denied| way_out::unignored(policy, denied));
                Resolved::Denied(decision)
            }
            resolved @ (Resolved::Command(_) | Resolved::HostActs(_)) => resolved,
        }
    }

    fn lookup(&self, name: &str) -> Lookup {
        match &self.executor {
            Ok((_, executor)) => executor.program(name),
            Err(_) => Lookup::OnThisDisk,
        }
    }

    /// The record has to be out of reach of those whom it is about, and the key more so.
    fn is_out_of_reach(&self) -> Result<(), LedgerError> {
        match &self.exposed {
            None => Ok(()),
            Some(directory) => Err(LedgerError::InReach {
                directory: directory.as_str().to_owned(),
            }),
        }
    }

    /// Opens the ledger, if it is not open yet.
    #[cfg(feature = "cli")]
    pub(crate) fn open_ledger(&self) -> Result<(), LedgerError> {
        self.ledger().map(|_| ())
    }

    /// Records that the supervisor of a long run was found to be gone. With it goes that the run is lost.
    #[cfg(feature = "cli")]
    pub(crate) fn record_lost(&self, name: &str) -> Result<(), LedgerError> {
        let what = format!("the supervisor of long run `{name}` is gone");
        let draft = Draft::new(Kind::Observed).with("what", what);
        self.ledger()?.commit_last(vec![draft]).map(|_| ())
    }

    fn ledger(&self) -> Result<Arc<Ledger>, LedgerError> {
        self.is_out_of_reach()?;
        let mut held = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ledger) = &*held {
            return Ok(Arc::clone(ledger));
        }
        let settings = self.loaded.policy.ledger_settings();
        let mut options = Options {
            redact: settings.redact.clone(),
            keep_output: settings.keep_output,
            lint: self.loaded.lint,
            ..Options::default()
        };
        options.log.allow_unsafe_filesystem = settings.allow_unsafe_filesystem;
        let options = with_signer(&self.loaded.ledger, options)?;
        let ledger = Arc::new(Ledger::open(&self.loaded.ledger, &options)?);
        *held = Some(Arc::clone(&ledger));
        Ok(ledger)
    }
}

impl Checked {
    /// A decision after somebody tried to record it: an allow that is not on disk is a denial.
    fn of(decision: Decision, recorded: Result<(), LedgerError>) -> Checked {
        match recorded {
            Ok(()) => Checked {
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
