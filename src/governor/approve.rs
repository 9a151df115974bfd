//! Approving: what a grant will say, its way into the ledger, and back out of force.

#![forbid(unsafe_code)]

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::Governor;
use super::grants::{Standing, signer};
use crate::decision::extent::{Extent, Width};
use crate::decision::grant::{GrantMisfit, GrantTerms, GrantUnreadable, GrantWorkspace, Pin, Who};
use crate::decision::{Context, Decision, Effect, ExactRequest, Request, decide};
use crate::log::{LogError, RunId};
use crate::policy::glob::Pattern;
use crate::policy::model::{Approval, ApprovalKind};
use crate::record::signature::SignatureError;
use crate::record::{Grant, Ledger, LedgerError};
use crate::resolve::{WorkspaceError, user_id};
use crate::text::escaped;

/// Time for which a grant of one request, or of a rule, counts by default.
pub const DEFAULT_AGE: Duration = Duration::from_secs(8 * 3600);

/// Number of uses and time of a grant by default: the wider it is, the shorter.
#[must_use]
pub fn usual(width: Width) -> (u64, Duration) {
    match width {
        Width::Exact => (1, DEFAULT_AGE),
        Width::Paths => (10, Duration::from_secs(3600)),
        Width::Below => (20, Duration::from_secs(1800)),
    }
}

/// A grant that somebody wants to make.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Wish {
    /// The one request, or a rule.
    pub what: What,
    /// Which approval; needed if several are missing.
    pub approval: Option<String>,
    /// Why.
    pub why: String,
    /// Its width, if it is for a request.
    pub width: Width,
    /// Number of uses; none: as [`usual`] says, or as often as the policy lets it.
    pub uses: Option<u64>,
    /// Until when it counts; none: as [`usual`] says, or as long as the policy lets it.
    pub until: Option<Timestamp>,
    /// The only actor that may use it; none: any.
    pub actor: Option<String>,
    /// Name of the person who grants it.
    pub name: Option<String>,
    /// True if it is to count in every workspace with this policy; else in the one that it is made in.
    pub anywhere: bool,
}

/// Subject of a grant.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_enums, reason = "the two forms of a grant")]
pub enum What {
    /// Exactly this request.
    Request(Request),
    /// The requests of this rule, on paths that one of the patterns matches; without patterns on all.
    Rule {
        /// The id of the rule.
        rule: String,
        /// The patterns.
        within: Vec<String>,
    },
}

impl Wish {
    /// Exactly this, for this reason.
    #[must_use]
    pub fn new(what: What, why: impl Into<String>) -> Wish {
        Wish {
            what,
            approval: None,
            why: why.into(),
            width: Width::Exact,
            uses: None,
            until: None,
            actor: None,
            name: None,
            anywhere: false,
        }
    }
}

/// Contents of a grant to be.
struct Drafted<'p> {
    approval: &'p Approval,
    request: Option<ExactRequest>,
    extent: Option<Extent>,
    rule: Option<String>,
    within: Vec<String>,
    pins: Vec<Pin>,
    /// The only actor that may use it, if it is not said.
    actor: Option<String>,
}

impl<'p> Drafted<'p> {
    fn of(approval: &'p Approval) -> Drafted<'p> {
        Drafted {
            approval,
            request: None,
            extent: None,
            rule: None,
            within: Vec::new(),
            pins: Vec::new(),
            actor: None,
        }
    }
}

/// A grant that was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Accepted {
    /// Its text, as values.
    pub terms: GrantTerms,
    /// Fingerprint of the key that signed it.
    pub key: Option<String>,
    /// The entry; none if it was on record already.
    pub entry: Option<u64>,
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
        /// Message of the rule that asks.
        message: String,
    },
    /// The approval is a switch.
    #[error("the approval `{name}` is not granted by a person: {how}")]
    Switch {
        /// The approval.
        name: String,
        /// Way in which it is given.
        how: String,
    },
    /// Several approvals are missing.
    #[error("several approvals are missing: {}", names.join(", "))]
    Several {
        /// Their names.
        names: Vec<String>,
    },
    /// The approval is not one that is missing.
    #[error("the approval `{}` is none that is missing here", escaped(name))]
    NotMissing {
        /// Its name.
        name: String,
    },
    /// There is no such rule, or it needs no approval.
    #[error("no rule `{}` of this policy needs an approval", escaped(rule))]
    NoSuchRule {
        /// The rule.
        rule: String,
    },
    /// The policy does not let a grant count for so long.
    #[error("a grant of `{name}` counts for {most} at most")]
    TooLong {
        /// The approval.
        name: String,
        /// The longest time.
        most: String,
    },
    /// The policy does not let a grant be used so often.
    #[error("a grant of `{name}` can be used {} at most", times(*most))]
    TooMany {
        /// The approval.
        name: String,
        /// The largest number.
        most: u64,
    },
    /// It cannot be approved so widely.
    #[error("no approval of width `{}` is offered: {why}", width.word())]
    NotOffered {
        /// The width that was asked for.
        width: Width,
        /// Why not.
        why: String,
    },
    /// A file that the grant would bind to cannot be read.
    #[error("`{}` cannot be approved by its content: {why}", escaped(path))]
    Pin {
        /// The file.
        path: String,
        /// Why.
        why: String,
    },
    /// The workspace that the grant would be for cannot be opened.
    #[error(transparent)]
    Workspace(#[from] WorkspaceError),
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
        /// The part of it that is wrong.
        what: &'static str,
    },
    /// A person refused exactly this.
    #[error("it was refused as `{}`: {}", escaped(id), escaped(why))]
    Refused {
        /// The refusal.
        id: String,
        /// Why.
        why: String,
    },
    /// Nobody asks so.
    #[error(
        "there is no question `{}` in this ledger, or there are several",
        escaped(id)
    )]
    UnknownAsk {
        /// The name.
        id: String,
    },
    /// There is none of that name.
    #[error("there is no grant or refusal `{}` in this ledger", escaped(id))]
    Unknown {
        /// The name.
        id: String,
    },
    /// The ledger did not take it.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// A name that nothing in the record has yet: `kind`, and 16 random hex digits.
pub(super) fn drawn_name(kind: &str) -> Result<String, LedgerError> {
    let drawn = RunId::random().map_err(|error| LogError::io("draw a name", &error))?;
    let digits = drawn.to_string();
    Ok(format!("{kind}-{}", digits.get(..16).unwrap_or_default()))
}

impl Governor {
    /// The text of a grant for `wish`: nothing is recorded yet.
    ///
    /// # Errors
    ///
    /// Why it would be of no use.
    pub fn draft_grant(&self, wish: &Wish, context: &Context) -> Result<GrantTerms, GrantError> {
        let now = context.now().unwrap_or_else(Timestamp::now);
        let drafted = match &wish.what {
            What::Request(request) => self.draft_of(request, wish, context)?,
            What::Rule { rule, within } => {
                let approval = self.of_rule(rule, wish.approval.as_deref())?;
                for text in within {
                    Pattern::parse(text).map_err(|error| GrantUnreadable {
                        why: format!("`{}` is no pattern: {error}", escaped(text)),
                    })?;
                }
                Drafted {
                    rule: Some(rule.clone()),
                    within: within.clone(),
                    ..Drafted::of(approval)
                }
            }
        };
        let Drafted {
            approval,
            request,
            extent,
            rule,
            within,
            pins,
            actor,
        } = drafted;
        let uses = self.uses(approval, wish)?;
        let until = self.until(approval, wish, now)?;
        let workspace = match wish.anywhere {
            true => GrantWorkspace::Any,
            false => GrantWorkspace::One(self.here().map_err(Clone::clone)?),
        };
        let terms = GrantTerms {
            lictor_grant: 2,
            id: drawn_name("g")?,
            approval: approval.name.clone(),
            policy: self.policy().digest().to_owned(),
            workspace: Some(workspace),
            request,
            extent,
            rule,
            within,
            actor: wish.actor.clone().or(actor),
            pins,
            who: Who::new(user_id(), wish.name.clone()),
            why: wish.why.clone(),
            made: format!("{now:.6}"),
            until: format!("{until:.6}"),
            uses,
        };
        // What is written has to be what can be read: too long a request shows here.
        Ok(GrantTerms::parse(&terms.to_text())?)
    }

    /// Contents of a grant for a request: for that alone, or for all of its kind. A kind is always one
    /// actor's.
    fn draft_of(
        &self,
        request: &Request,
        wish: &Wish,
        context: &Context,
    ) -> Result<Drafted<'_>, GrantError> {
        let decision = decide(self.policy(), request, context);
        let approval = self.missing(&decision, wish.approval.as_deref())?;
        let now = context.now().unwrap_or_else(Timestamp::now);
        if let Some(refusal) = self.refusal(&decision, now) {
            return Err(GrantError::Refused {
                id: refusal.id,
                why: refusal.why,
            });
        }
        if wish.width != Width::Exact {
            return Ok(Drafted {
                extent: Some(self.extent(request, context, approval, wish.width)?),
                actor: Some(decision.asked().actor.clone()),
                ..Drafted::of(approval)
            });
        }
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
        Ok(Drafted {
            request: exact.map(|exact| exact.request().clone()),
            pins,
            ..Drafted::of(approval)
        })
    }

    fn uses(&self, approval: &Approval, wish: &Wish) -> Result<u64, GrantError> {
        let ApprovalKind::Grant { max_uses, .. } = &approval.kind else {
            return Err(is_a_switch(approval));
        };
        let most = max_uses.unwrap_or(u64::MAX);
        match wish.uses {
            Some(uses) if uses > most => Err(GrantError::TooMany {
                name: approval.name.clone(),
                most,
            }),
            Some(uses) => Ok(uses),
            None => Ok(usual(wish.width).0.min(most)),
        }
    }

    fn until(
        &self,
        approval: &Approval,
        wish: &Wish,
        now: Timestamp,
    ) -> Result<Timestamp, GrantError> {
        let ApprovalKind::Grant { max_age, .. } = &approval.kind else {
            return Err(is_a_switch(approval));
        };
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
                let usual = after(usual(wish.width).1);
                Ok(most.map_or(usual, |most| most.min(usual)))
            }
        }
    }

    /// The approval that a request is missing.
    pub(super) fn missing(
        &self,
        decision: &Decision,
        wanted: Option<&str>,
    ) -> Result<&Approval, GrantError> {
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
        if let Some(why) = self.misplaced(&terms) {
            return Err(misfit(why));
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
        let known = |ledger: &Ledger| -> Result<Option<Grant>, LedgerError> {
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

    /// Takes a grant back, or a refusal. What a grant was used for stays as it is.
    ///
    /// # Errors
    ///
    /// There is none of that name, or it cannot be recorded.
    pub fn revoke_grant(&self, id: &str, why: &str) -> Result<u64, GrantError> {
        let grants = self.known_grants()?;
        let refusals = self.known_refusals()?;
        let revoked = grants
            .iter()
            .find(|grant| grant.id == id)
            .map(|grant| grant.revoked);
        let refusal = refusals.iter().find(|refusal| refusal.id == id);
        let revoked = revoked.or_else(|| refusal.map(|refusal| refusal.revoked));
        if revoked.ok_or_else(|| GrantError::Unknown { id: id.to_owned() })? {
            return Err(GrantError::Known {
                id: id.to_owned(),
                what: "was revoked",
            });
        }
        Ok(self.ledger()?.revoke_grant(id, why)?)
    }

    /// Returns true if an approval of this policy only counts if it is signed.
    #[must_use]
    pub fn has_to_be_signed(&self, approval: &str) -> bool {
        self.approval(approval).is_some_and(
            |approval| matches!(&approval.kind, ApprovalKind::Grant { by, .. } if !by.is_empty()),
        )
    }
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

fn times(number: u64) -> String {
    match number {
        1 => "once".to_owned(),
        more => format!("{more} times"),
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
