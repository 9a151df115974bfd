//! Grants at work: made, recorded, taken back, and found when a request needs one.
//!
//! What a grant covers is decided by pure functions (`decision::grant`), what is left of it is counted by
//! the ledger under its lock. Here the two meet: the grants of the ledger that cover a request are put
//! into the context, the request is decided again, and of the grants that let it through the fewest are
//! named in the decision, whose line in the ledger is then what spends them.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::Governor;
use crate::decision::grant::{Asking, GrantMisfit, GrantTerms, GrantUnreadable, Pin, Who};
use crate::decision::{Context, Decision, Effect, GrantUse, RefusedGrant, Request, decide};
use crate::ledger::signature::{SignatureError, signed_by};
use crate::ledger::{Grant, LedgerError, RunId};
use crate::path::{CanonicalPath, Switches};
use crate::policy::glob::Pattern;
use crate::policy::model::{Approval, ApprovalKind};
use crate::resolve::user_id;

/// How long a grant counts if nobody says.
pub const DEFAULT_AGE: Duration = Duration::from_secs(8 * 3600);

/// What is to be granted.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Wish {
    /// The one request, or a rule.
    pub what: What,
    /// Which approval; needed if several are missing.
    pub approval: Option<String>,
    /// Why.
    pub why: String,
    /// How often it may be used.
    pub uses: u64,
    /// Until when it counts; none: for [`DEFAULT_AGE`], or as long as the policy lets it.
    pub until: Option<Timestamp>,
    /// The only actor that may use it; none: any.
    pub actor: Option<String>,
    /// What whoever grants it is called.
    pub name: Option<String>,
}

/// What a grant is to cover.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_enums, reason = "the two forms of a grant")]
pub enum What {
    /// Exactly this request.
    Request(Request),
    /// What this rule is about, on paths that one of the patterns matches; without patterns on all.
    Rule {
        /// The id of the rule.
        rule: String,
        /// The patterns.
        within: Vec<String>,
    },
}

impl Wish {
    /// One use of this, for this reason.
    #[must_use]
    pub fn new(what: What, why: impl Into<String>) -> Wish {
        Wish {
            what,
            approval: None,
            why: why.into(),
            uses: 1,
            until: None,
            actor: None,
            name: None,
        }
    }
}

/// A grant that was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Accepted {
    /// What it says.
    pub terms: GrantTerms,
    /// Fingerprint of the key that signed it.
    pub key: Option<String>,
    /// The entry; none if it was on record already.
    pub entry: Option<u64>,
}

/// How a grant stands.
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
    /// How it stands.
    pub standing: Standing,
    /// Why it does not count.
    pub void_because: Option<String>,
    /// How often it may be used at most.
    pub uses: Option<u64>,
    /// How often it has been.
    pub spent: u64,
    /// Until when it counts.
    pub until: Option<String>,
    /// Fingerprint of the key that signed it.
    pub key: Option<String>,
    /// What it says; none if that cannot be read.
    pub terms: Option<GrantTerms>,
}

/// Why there is no grant.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GrantError {
    /// The request is allowed as it is.
    #[error("there is nothing to approve: the request is allowed already")]
    Allowed,
    /// The request is denied whoever approves.
    #[error("the request is denied, and no approval changes that: {message}")]
    Denied {
        /// Why.
        message: String,
    },
    /// An ask rule that names no approval.
    #[error("{message}, and the rule names no approval that would answer it")]
    NoApproval {
        /// What asks.
        message: String,
    },
    /// The approval is a switch.
    #[error("the approval `{name}` is not granted by a person: {how}")]
    Switch {
        /// The approval.
        name: String,
        /// How it is given.
        how: String,
    },
    /// Several approvals are missing.
    #[error("several approvals are missing: {}", names.join(", "))]
    Several {
        /// Their names.
        names: Vec<String>,
    },
    /// The approval is not one that is missing.
    #[error("the approval `{}` is none that is missing here", name.escape_debug())]
    NotMissing {
        /// Its name.
        name: String,
    },
    /// There is no such rule, or it needs no approval.
    #[error("no rule `{}` of this policy needs an approval", rule.escape_debug())]
    NoSuchRule {
        /// The rule.
        rule: String,
    },
    /// The policy does not let a grant count for so long.
    #[error("a grant of `{name}` counts for {most} at most")]
    TooLong {
        /// The approval.
        name: String,
        /// How long.
        most: String,
    },
    /// The policy does not let a grant be used so often.
    #[error("a grant of `{name}` can be used {most} times at most")]
    TooMany {
        /// The approval.
        name: String,
        /// How often.
        most: u64,
    },
    /// A file that the grant would bind to cannot be read.
    #[error("`{}` cannot be approved by its content: {why}", path.escape_debug())]
    Pin {
        /// The file.
        path: String,
        /// Why.
        why: String,
    },
    /// The text is no grant.
    #[error(transparent)]
    Unreadable(#[from] GrantUnreadable),
    /// It does not count here.
    #[error("the grant `{id}` does not count: {why}")]
    Misfit {
        /// Its name.
        id: String,
        /// Why.
        why: GrantMisfit,
    },
    /// The signature does not count, or there is none.
    #[error("the grant `{id}` does not count: {why}")]
    Signature {
        /// Its name.
        id: String,
        /// Why.
        why: SignatureError,
    },
    /// Another grant is on record under this name, or it was revoked or used up.
    #[error("a grant `{id}` is on record already and {what}")]
    Known {
        /// Its name.
        id: String,
        /// What about it.
        what: &'static str,
    },
    /// There is none of that name.
    #[error("there is no grant `{}` in this ledger", id.escape_debug())]
    Unknown {
        /// The name.
        id: String,
    },
    /// The ledger did not take it.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
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
        let decision = decide(policy, request, context);
        let as_it_is = |decision| Granted {
            decision,
            context: context.clone(),
            pins: Vec::new(),
        };
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
        let Some(asking) = Asking::new(self.policy(), decision, now) else {
            return (candidates, refused);
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
            refused.push((entry.terms.approval, RefusedGrant { grant, why }));
        }
        // What is for exactly this request first, and of those what is over soonest.
        candidates.sort_by(|a, b| {
            let key = |of: &Candidate| (of.terms.rule.is_some(), of.until.clone());
            key(a).cmp(&key(b))
        });
        // Of those that grant the same, one is enough.
        let mut kept: Vec<Candidate> = Vec::new();
        for candidate in candidates {
            let same = |other: &Candidate| {
                other.terms.approval == candidate.terms.approval
                    && other.terms.rule == candidate.terms.rule
                    && other.terms.within == candidate.terms.within
            };
            if !kept.iter().any(same) {
                kept.push(candidate);
            }
        }
        (kept, refused)
    }

    /// How a grant stands under this policy, with the key that signed it or why it does not count.
    fn standing(
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
        } else if entry.terms.policy != self.policy().digest() {
            return void(GrantMisfit::OtherPolicy.to_string());
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

    /// What a grant of `wish` would say: nothing is recorded yet.
    ///
    /// # Errors
    ///
    /// Why it would be of no use.
    pub fn draft_grant(&self, wish: &Wish, context: &Context) -> Result<GrantTerms, GrantError> {
        let now = context.now().unwrap_or_else(Timestamp::now);
        let (approval, request, rule, within, pins) = match &wish.what {
            What::Request(request) => {
                let decision = decide(self.policy(), request, context);
                let approval = self.missing(&decision, wish.approval.as_deref())?;
                let exact = decision.exact();
                let mut digests = self.digests();
                let mut pins = Vec::new();
                for (arg, path) in exact.map(|exact| exact.pinned()).unwrap_or_default() {
                    let digest = digests(path.as_str()).map_err(|why| GrantError::Pin {
                        path: path.as_str().to_owned(),
                        why,
                    })?;
                    pins.push(Pin::new(arg, path, digest));
                }
                let request = exact.map(|exact| exact.to_json());
                (approval, request, None, Vec::new(), pins)
            }
            What::Rule { rule, within } => {
                let approval = self.of_rule(rule, wish.approval.as_deref())?;
                for text in within {
                    Pattern::parse(text).map_err(|error| GrantUnreadable {
                        why: format!("`{}` is no pattern: {error}", text.escape_debug()),
                    })?;
                }
                let rule = Some(rule.clone());
                (approval, None, rule, within.clone(), Vec::new())
            }
        };
        let until = self.until(approval, wish, now)?;
        let id = RunId::random().map_err(|error| LedgerError::Io {
            doing: "draw the name of a grant",
            why: error.to_string(),
        })?;
        let terms = GrantTerms {
            lictor_grant: 1,
            id: format!("g-{}", id.to_string().get(..16).unwrap_or_default()),
            approval: approval.name.clone(),
            policy: self.policy().digest().to_owned(),
            request,
            rule,
            within,
            actor: wish.actor.clone(),
            pins,
            who: Who::new(user_id(), wish.name.clone()),
            why: wish.why.clone(),
            made: format!("{now:.6}"),
            until: format!("{until:.6}"),
            uses: wish.uses,
        };
        // What is written has to be what can be read: too long a request shows here.
        Ok(GrantTerms::parse(&terms.to_text())?)
    }

    fn until(
        &self,
        approval: &Approval,
        wish: &Wish,
        now: Timestamp,
    ) -> Result<Timestamp, GrantError> {
        let ApprovalKind::Grant {
            max_age, max_uses, ..
        } = &approval.kind
        else {
            return Err(is_a_switch(approval));
        };
        if let Some(most) = max_uses.filter(|most| wish.uses > *most) {
            let name = approval.name.clone();
            return Err(GrantError::TooMany { name, most });
        }
        let after = |age: Duration| {
            let age = SignedDuration::try_from(age).unwrap_or(SignedDuration::MAX);
            now.saturating_add(age).unwrap_or(Timestamp::MAX)
        };
        let most = max_age.map(after);
        match (wish.until, most) {
            (Some(until), Some(most)) if until > most => Err(GrantError::TooLong {
                name: approval.name.clone(),
                most: max_age.map(shown).unwrap_or_default(),
            }),
            (Some(until), _) if until <= now => Err(GrantError::Unreadable(GrantUnreadable {
                why: "it would be over already".to_owned(),
            })),
            (Some(until), _) => Ok(until),
            (None, most) => {
                let usual = after(DEFAULT_AGE);
                Ok(most.map_or(usual, |most| most.min(usual)))
            }
        }
    }

    /// The approval that a request is missing.
    fn missing(&self, decision: &Decision, wanted: Option<&str>) -> Result<&Approval, GrantError> {
        let message = decision.message().to_owned();
        match decision.effect() {
            Effect::Allow => return Err(GrantError::Allowed),
            Effect::Deny => return Err(GrantError::Denied { message }),
            Effect::Ask => {}
        }
        let missing: Vec<&Approval> = decision
            .approvals()
            .iter()
            .filter_map(|need| self.approval(&need.name))
            .filter(|approval| wanted.is_none_or(|wanted| approval.name == wanted))
            .collect();
        let can_be_granted =
            |approval: &&&Approval| matches!(approval.kind, ApprovalKind::Grant { .. });
        let grants: Vec<&&Approval> = missing.iter().filter(can_be_granted).collect();
        match (grants.as_slice(), missing.first(), wanted) {
            ([one], _, _) => Ok(one),
            ([], Some(switch), _) => Err(is_a_switch(switch)),
            ([], None, Some(name)) => Err(GrantError::NotMissing {
                name: name.to_owned(),
            }),
            ([], None, None) => Err(GrantError::NoApproval { message }),
            (several, _, _) => Err(GrantError::Several {
                names: several
                    .iter()
                    .map(|approval| approval.name.clone())
                    .collect(),
            }),
        }
    }

    fn of_rule(&self, rule: &str, wanted: Option<&str>) -> Result<&Approval, GrantError> {
        let policy = self.policy();
        let found = policy
            .rules()
            .find(|(_, own)| own.id == rule)
            .and_then(|(_, own)| policy.approval(own.approval?));
        let approval = found.ok_or_else(|| GrantError::NoSuchRule {
            rule: rule.to_owned(),
        })?;
        match (&approval.kind, wanted) {
            (ApprovalKind::Switch { .. }, _) => Err(is_a_switch(approval)),
            (ApprovalKind::Grant { .. }, Some(wanted)) if wanted != approval.name => {
                Err(GrantError::NotMissing {
                    name: wanted.to_owned(),
                })
            }
            (ApprovalKind::Grant { .. }, _) => Ok(approval),
        }
    }

    /// Records a grant from its text: made here or elsewhere, signed or not.
    ///
    /// A grant that is on record already is accepted again if it is the same and can still be used.
    ///
    /// # Errors
    ///
    /// Why it does not count here, or cannot be recorded.
    pub fn accept_grant(
        &self,
        text: &str,
        signature: Option<&str>,
    ) -> Result<Accepted, GrantError> {
        let terms = GrantTerms::parse(text)?;
        let id = || terms.id.clone();
        let misfit = |why| GrantError::Misfit { id: id(), why };
        if terms.policy != self.policy().digest() {
            return Err(misfit(GrantMisfit::OtherPolicy));
        }
        let bounded = self
            .approval(&terms.approval)
            .and_then(|approval| Some((approval, terms.bounds(approval)?)));
        let Some((approval, (_, until))) = bounded else {
            return Err(misfit(GrantMisfit::Elsewhere));
        };
        if until < format!("{:.6}", Timestamp::now()) {
            return Err(misfit(GrantMisfit::Over { until }));
        }
        let key = signer(approval, text, signature)
            .map_err(|why| GrantError::Signature { id: id(), why })?;
        let ledger = self.ledger()?;
        let known = |ledger: &crate::ledger::Ledger| -> Result<Option<Grant>, LedgerError> {
            let all = ledger.grants()?;
            Ok(all.into_iter().find(|grant| grant.id == terms.id))
        };
        if let Some(grant) = known(&ledger)? {
            let what = match self.standing(&grant, Timestamp::now()) {
                _ if grant.read().is_none_or(|entry| entry.body != text) => "says something else",
                (Standing::Open, _, _) => {
                    let entry = None;
                    return Ok(Accepted { terms, key, entry });
                }
                (Standing::Used, _, _) => "is used up",
                (Standing::Revoked, _, _) => "was revoked",
                (Standing::Expired, _, _) => "is over",
                (Standing::Void, _, _) => "does not count",
            };
            return Err(GrantError::Known { id: id(), what });
        }
        let entry = ledger.make_grant(text, signature, key.as_deref(), approval)?;
        // Whoever was faster, or a ledger that holds too many, shows only here.
        let same = known(&ledger)?
            .and_then(|grant| grant.read())
            .is_some_and(|entry| entry.body == text);
        if !same {
            let what = "the ledger keeps too many that are open to count it";
            return Err(GrantError::Ledger(LedgerError::GrantUnfit { why: what }));
        }
        Ok(Accepted {
            terms,
            key,
            entry: Some(entry),
        })
    }

    /// Takes a grant back. What it was used for stays as it is.
    ///
    /// # Errors
    ///
    /// There is no such grant, or it cannot be recorded.
    pub fn revoke_grant(&self, id: &str, why: &str) -> Result<u64, GrantError> {
        let all = self.known_grants()?;
        let unknown = || GrantError::Unknown { id: id.to_owned() };
        let grant = all
            .iter()
            .find(|grant| grant.id == id)
            .ok_or_else(unknown)?;
        if grant.revoked {
            return Err(GrantError::Known {
                id: id.to_owned(),
                what: "was revoked",
            });
        }
        Ok(self.ledger()?.revoke_grant(id, why)?)
    }

    /// Whether an approval of this policy only counts if it is signed.
    #[must_use]
    pub fn has_to_be_signed(&self, approval: &str) -> bool {
        self.approval(approval).is_some_and(
            |approval| matches!(&approval.kind, ApprovalKind::Grant { by, .. } if !by.is_empty()),
        )
    }

    fn approval(&self, name: &str) -> Option<&Approval> {
        let by_name = |approval: &&Approval| approval.name == name;
        self.policy().approvals().iter().find(by_name)
    }

    /// The grants of the ledger; none if there is no ledger yet, which is not made for this.
    fn known_grants(&self) -> Result<Vec<Grant>, LedgerError> {
        if !self.loaded.ledger.exists() {
            return Ok(Vec::new());
        }
        self.ledger()?.grants()
    }

    /// Reads the digests of files of the workspace, each once.
    fn digests(&self) -> impl FnMut(&str) -> Result<String, String> {
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

/// Who signed the text of a grant; an error if a signature is wrong, or missing where there has to be one.
fn signer(
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

fn is_a_switch(approval: &Approval) -> GrantError {
    let how = match &approval.kind {
        ApprovalKind::Switch { variable, accept } => format!(
            "whoever starts lictor sets the environment variable {variable} to {}",
            accept.join(" or ")
        ),
        ApprovalKind::Grant { .. } => String::new(),
    };
    GrantError::Switch {
        name: approval.name.clone(),
        how,
    }
}

/// A time as the policy writes it.
fn shown(age: Duration) -> String {
    let seconds = age.as_secs();
    let units = [("d", 86_400), ("h", 3600), ("m", 60)];
    let fitting = units
        .into_iter()
        .find(|(_, unit)| seconds >= *unit && seconds.checked_rem(*unit) == Some(0));
    match fitting {
        Some((name, unit)) => format!("{}{name}", seconds.checked_div(unit).unwrap_or(0)),
        None => format!("{seconds}s"),
    }
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
