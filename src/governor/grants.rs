//! Grants at work: found when a request needs one, and how each stands.
//!
//! Pure functions (`decision::grant`) decide which requests a grant covers; the ledger counts its uses under its
//! lock. Here the two meet: the grants of the ledger that cover a request are put into the context,
//! the request is decided again, and of the grants that let it through the fewest are named in the decision,
//! whose line in the ledger is then what spends them.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::way_out;
use super::{Governor, GrantError};
use crate::decision::grant::{Asking, GrantMisfit, GrantTerms, OneWorkspace, Pin};
use crate::decision::{Context, Decision, Effect, GrantUse, RefusedGrant, Request, decide};
use crate::path::{CanonicalPath, Switches};
use crate::policy::model::{Approval, ApprovalKind};
use crate::reason::Reason;
use crate::record::signature::{SignatureError, signed_by};
use crate::record::{Grant, LedgerError, RefusalTerms};
use crate::resolve::WorkspaceError;
use crate::text::escaped;

/// State of a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Standing {
    /// It can be used.
    Open,
    /// All its uses are spent.
    Used,
    /// Somebody took it back.
    Revoked,
    /// Its time is over.
    Expired,
    /// It does not count: see why.
    Void,
}

impl Standing {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Standing::Open => "open",
            Standing::Used => "used",
            Standing::Revoked => "revoked",
            Standing::Expired => "expired",
            Standing::Void => "void",
        }
    }
}

/// A grant as people see it.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct GrantView {
    /// Its name.
    pub grant: String,
    /// Its state.
    pub standing: Standing,
    /// Why it does not count.
    pub void_because: Option<String>,
    /// Largest number of uses.
    pub uses: Option<u64>,
    /// Number of uses so far.
    pub spent: u64,
    /// Until when it counts.
    pub until: Option<String>,
    /// Fingerprint of the key that signed it.
    pub key: Option<String>,
    /// Its contents; none if they cannot be read.
    pub terms: Option<GrantTerms>,
}

/// A decision that grants may have had a part in.
#[derive(Debug)]
pub(super) struct Granted {
    pub(super) decision: Decision,
    /// With what the grants in use grant.
    pub(super) context: Context,
    /// The pinned files of each grant in use.
    pins: Vec<(String, Vec<Pin>)>,
}

/// A grant that covers a request.
struct Candidate {
    terms: GrantTerms,
    until: String,
    key: Option<String>,
}

impl Governor {
    /// Decides with the grants of the ledger, but for those that are `gone`.
    pub(super) fn granted(&self, request: &Request, context: &Context, gone: &[String]) -> Granted {
        let policy = self.policy();
        let decision = decide(policy, request, context).or_instead(|denied| {
            way_out::in_workspace(policy, &self.loaded.workspace, request, denied)
        });
        let as_it_is = |decision| Granted {
            decision,
            context: context.clone(),
            pins: Vec::new(),
        };
        if decision.effect() == Effect::Ask {
            let now = context.now().unwrap_or_else(Timestamp::now);
            if let Some(refusal) = self.refusal(&decision, now) {
                return as_it_is(refused(decision, &refusal));
            }
        }
        let can_be_granted =
            |approval: &Approval| matches!(approval.kind, ApprovalKind::Grant { .. });
        if decision.effect() != Effect::Ask || !policy.approvals().iter().any(can_be_granted) {
            return as_it_is(decision);
        }
        let (mut candidates, refused) = self.candidates(&decision, context, gone);
        let with = |candidates: &[Candidate], without: Option<usize>| {
            candidates
                .iter()
                .enumerate()
                .filter(|(nth, _)| Some(*nth) != without)
                .fold(context.clone(), |context, (_, candidate)| {
                    candidate.terms.grant(context)
                })
        };
        let found = decide(policy, request, &with(&candidates, None));
        let missing: Vec<String> = found
            .approvals()
            .iter()
            .map(|need| need.name.clone())
            .collect();
        let refused = refused
            .into_iter()
            .filter(|(approval, _)| missing.contains(approval))
            .map(|(_, refused)| refused)
            .collect();
        if found.effect() != Effect::Allow {
            return as_it_is(found.with_grants(Vec::new(), refused));
        }
        // Only what is needed is spent. The least welcome to spend are tried first.
        let mut nth = candidates.len();
        while let Some(last) = nth.checked_sub(1) {
            nth = last;
            if decide(policy, request, &with(&candidates, Some(nth))).effect() == Effect::Allow {
                candidates.remove(nth);
            }
        }
        let context = with(&candidates, None);
        let used = candidates.iter().map(Candidate::to_use).collect();
        Granted {
            decision: decide(policy, request, &context).with_grants(used, Vec::new()),
            context,
            pins: candidates
                .into_iter()
                .map(|candidate| (candidate.terms.id, candidate.terms.pins))
                .collect(),
        }
    }

    /// The grants that cover the request of a decision, those first that should be spent first; and those
    /// that look as if they did, by approval.
    fn candidates(
        &self,
        decision: &Decision,
        context: &Context,
        gone: &[String],
    ) -> (Vec<Candidate>, Vec<(String, RefusedGrant)>) {
        let mut candidates: Vec<Candidate> = Vec::new();
        let mut refused = Vec::new();
        let now = context.now().unwrap_or_else(Timestamp::now);
        let here = self.here().ok();
        let Some(asking) = Asking::new(self.policy(), here.as_ref(), decision, now) else {
            return (candidates, Vec::new());
        };
        let mut digests = self.digests();
        for grant in self.known_grants().unwrap_or_default() {
            let Some(entry) = grant.read() else {
                continue;
            };
            let why = match entry.terms.misfit(&asking) {
                Some(GrantMisfit::Elsewhere) => continue,
                Some(misfit) => misfit.to_string(),
                None => match self.standing(&grant, now) {
                    (Standing::Open, key, _) => match entry.terms.pin_misfit(&mut digests) {
                        Some(misfit) => misfit.to_string(),
                        None if gone.contains(&grant.id) => {
                            "another run has just used it".to_owned()
                        }
                        None => {
                            candidates.push(Candidate {
                                until: grant.until.unwrap_or_default(),
                                terms: entry.terms,
                                key,
                            });
                            continue;
                        }
                    },
                    (Standing::Void, _, why) => why.unwrap_or_default(),
                    (Standing::Used, _, _) => "it is used up".to_owned(),
                    (Standing::Revoked, _, _) => "it was revoked".to_owned(),
                    (Standing::Expired, _, _) => "its time is over".to_owned(),
                },
            };
            let grant = grant.id;
            let terms = entry.terms;
            refused.push((terms.made, terms.approval, RefusedGrant { grant, why }));
        }
        refused.sort_by(|(a, ..), (b, ..)| a.cmp(b));
        let refused = refused
            .into_iter()
            .map(|(_, approval, refused)| (approval, refused))
            .collect();
        // What is narrowest first, and of those what is over soonest.
        candidates.sort_by(|a, b| {
            let key = |of: &Candidate| {
                let is_widest = of.terms.width().is_none();
                (is_widest, of.terms.width(), of.until.clone())
            };
            key(a).cmp(&key(b))
        });
        // Of those that grant the same, one is enough.
        let mut kept: Vec<Candidate> = Vec::new();
        for candidate in candidates {
            let same = |other: &Candidate| {
                other.terms.approval == candidate.terms.approval
                    && other.terms.rule == candidate.terms.rule
                    && other.terms.within == candidate.terms.within
                    && other.terms.extent == candidate.terms.extent
            };
            if !kept.iter().any(same) {
                kept.push(candidate);
            }
        }
        (kept, refused)
    }

    /// The workspace as grants name it.
    pub(super) fn here(&self) -> Result<OneWorkspace, &WorkspaceError> {
        let workspace = self.workspace.as_ref()?;
        let found = workspace.identity();
        let place = OneWorkspace::new(workspace.path(), found.device, found.inode);
        Ok(place)
    }

    /// Why a grant counts neither under this policy nor in this workspace.
    pub(super) fn misplaced(&self, terms: &GrantTerms) -> Option<GrantMisfit> {
        terms.misplaced(self.policy(), self.here().ok().as_ref())
    }

    /// State of a grant under this policy, with the key that signed it or why it does not count.
    pub(super) fn standing(
        &self,
        grant: &Grant,
        now: Timestamp,
    ) -> (Standing, Option<String>, Option<String>) {
        let void = |why: String| (Standing::Void, None, Some(why));
        let Some(entry) = grant.read() else {
            return void("its entry cannot be read".to_owned());
        };
        let Some(approval) = self.approval(&entry.terms.approval) else {
            return void("the policy has no such approval".to_owned());
        };
        let Some((uses, until)) = entry.terms.bounds(approval) else {
            return void("the approval is a switch".to_owned());
        };
        // The entry is what is counted; it must not give more than was signed.
        if !grant.is_within(uses, &until) {
            return void("its entry says more than the grant and the policy do".to_owned());
        }
        let key = match signer(approval, &entry.body, entry.signature.as_deref()) {
            Ok(key) => key,
            Err(why) => return void(why.to_string()),
        };
        let standing = if grant.revoked {
            Standing::Revoked
        } else if grant.left() == Some(0) {
            Standing::Used
        } else if !grant.counts_at(&format!("{now:.6}")) {
            Standing::Expired
        } else if let Some(misfit) = self.misplaced(&entry.terms) {
            return void(misfit.to_string());
        } else {
            Standing::Open
        };
        (standing, key, None)
    }

    /// All grants of the ledger, open ones first, and in each group those made last first.
    ///
    /// # Errors
    ///
    /// The ledger cannot be read.
    pub fn grants(&self) -> Result<Vec<GrantView>, GrantError> {
        let now = Timestamp::now();
        let grants = self.known_grants()?;
        let mut views: Vec<GrantView> = grants
            .into_iter()
            .map(|grant| {
                let (standing, key, void_because) = self.standing(&grant, now);
                GrantView {
                    standing,
                    void_because,
                    key,
                    terms: grant.read().map(|entry| entry.terms),
                    grant: grant.id,
                    uses: grant.uses,
                    spent: grant.spent,
                    until: grant.until,
                }
            })
            .collect();
        views.sort_by(|a, b| {
            let made = |view: &GrantView| view.terms.as_ref().map(|terms| terms.made.clone());
            let closed = |view: &GrantView| view.standing != Standing::Open;
            (closed(a), made(b)).cmp(&(closed(b), made(a)))
        });
        Ok(views)
    }

    pub(super) fn approval(&self, name: &str) -> Option<&Approval> {
        let by_name = |approval: &&Approval| approval.name == name;
        self.policy().approvals().iter().find(by_name)
    }

    /// The grants of the ledger; none if there is no ledger yet, which is not made for this.
    pub(super) fn known_grants(&self) -> Result<Vec<Grant>, LedgerError> {
        if !self.loaded.ledger.exists() {
            return Ok(Vec::new());
        }
        self.ledger()?.grants()
    }

    /// Reads the digests of files of the workspace, each once.
    pub(super) fn digests(&self) -> impl FnMut(&str) -> Result<String, String> {
        let mut known: BTreeMap<String, Result<String, String>> = BTreeMap::new();
        move |path: &str| {
            let found = known
                .entry(path.to_owned())
                .or_insert_with(|| self.digest(path));
            found.clone()
        }
    }

    fn digest(&self, path: &str) -> Result<String, String> {
        let workspace = self.workspace.as_ref().map_err(ToString::to_string)?;
        let path = CanonicalPath::parse(path.as_bytes(), self.switches())
            .map_err(|denial| denial.reason().code().to_owned())?;
        workspace.digest(&path, self.policy().disk_rules())
    }

    fn switches(&self) -> &Switches {
        self.policy().switches()
    }

    /// The grants in use of which a pinned file is not what was approved any more.
    pub(super) fn changed_pins(&self, granted: &Granted) -> Vec<(String, String)> {
        let mut digests = self.digests();
        let pins = granted
            .pins
            .iter()
            .flat_map(|(id, pins)| pins.iter().map(move |pin| (id, pin)));
        pins.filter(|(_, pin)| digests(&pin.path).as_ref() != Ok(&pin.sha256))
            .map(|(id, pin)| (id.clone(), pin.path.clone()))
            .collect()
    }
}

/// The denial of a request that a person refused.
fn refused(decision: Decision, refusal: &RefusalTerms) -> Decision {
    let message = format!(
        "{} was asked and refused this, until {}: {}",
        refusal.who,
        refusal.until,
        escaped(&refusal.why)
    );
    let instead = "do it in another way, or ask that person; it is no use to try again before then";
    decision
        .denied(Reason::ApprovalRefused, message)
        .or_instead(|_| Some(instead.to_owned()))
}

/// Who signed the text of a grant; an error if a signature is wrong, or missing where there has to be one.
pub(super) fn signer(
    approval: &Approval,
    text: &str,
    signature: Option<&str>,
) -> Result<Option<String>, SignatureError> {
    let by: &[String] = match &approval.kind {
        ApprovalKind::Grant { by, .. } => by,
        ApprovalKind::Switch { .. } => &[],
    };
    if by.is_empty() && signature.is_none() {
        return Ok(None);
    }
    signed_by(by, text.as_bytes(), signature).map(Some)
}

impl Candidate {
    fn to_use(&self) -> GrantUse {
        GrantUse {
            grant: self.terms.id.clone(),
            approval: self.terms.approval.clone(),
            who: self.terms.who.clone(),
            key: self.key.clone(),
            why: self.terms.why.clone(),
            until: self.until.clone(),
        }
    }
}
