//! Grants: a person's approval for exactly one request or for a rule and some paths, and the test that one
//! covers a request.
//!
//! [`GrantTerms`] are a short JSON text that a person can read. Their bytes are what is signed and what
//! the ledger keeps, so that nothing has to be put into a canonical form. Everything here is a pure
//! function; the ledger counts the uses, and what the disk says of pinned files comes in as an argument.

#![forbid(unsafe_code)]

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::extent::{Extent, Width};
use super::{Context, Decision, Effect, Exact, ExactRequest};
use crate::path::CanonicalPath;
use crate::policy::CompiledPolicy;
use crate::policy::glob::Pattern;
use crate::policy::model::{Approval, ApprovalKind};
use crate::reason::Reason;
use crate::text::{escaped, escaped_json};

/// The most bytes that the text of a grant may have.
pub const MAX_GRANT_BYTES: usize = 8 * 1024;

/// The most bytes that the reason for a grant may have.
pub const MAX_WHY_BYTES: usize = 1000;

/// Maximum time by which the clock of a grant's author may be ahead, in seconds.
pub const CLOCK_AHEAD_SECONDS: i64 = 300;

/// Number of grants that do not count which a decision names: the newest.
pub const MOST_REFUSED_GRANTS: usize = 5;

/// Text of a grant, as values.
///
/// ```
/// use lictor::decision::grant::GrantTerms;
///
/// let text = r#"{
///   "lictor_grant": 2,
///   "id": "g-1",
///   "approval": "human",
///   "policy": "00",
///   "workspace": "any",
///   "rule": "deploy",
///   "who": {
///     "uid": 1000
///   },
///   "why": "the plan was read",
///   "made": "2026-11-22T15:00:00.000000Z",
///   "until": "2026-11-22T23:00:00.000000Z",
///   "uses": 1
/// }
/// "#;
/// let terms = GrantTerms::parse(text)?;
/// assert_eq!(terms.why, "the plan was read");
/// assert!(GrantTerms::parse(&text.replace("\"uses\"", "\"user\"")).is_err());
/// // No other spelling of it counts.
/// assert!(GrantTerms::parse(&text.replace("2,\n", "2 ,\n")).is_err());
/// # Ok::<(), lictor::decision::grant::GrantUnreadable>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct GrantTerms {
    /// The version of this form: 2. Grants of version 1 name no workspace; they can be read, and count no more.
    pub lictor_grant: u32,
    /// Its name.
    pub id: String,
    /// The approval of the policy that it grants.
    pub approval: String,
    /// The digest of the policy; under any other it does not count.
    pub policy: String,
    /// The workspace that it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<GrantWorkspace>,
    /// The one request that it is for, without its spelling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<ExactRequest>,
    /// Or all requests of this kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extent: Option<Extent>,
    /// Or the rule that it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// With a rule: patterns of the paths that it is for; empty for all that the rule is about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub within: Vec<String>,
    /// The actor that it is for; none for any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// The bytes of the files that the request's pinned arguments name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pins: Vec<Pin>,
    /// Who made it, as the machine and that person say. What proves it is a signature.
    pub who: Who,
    /// Why.
    pub why: String,
    /// When it was made: RFC 3339 with microseconds and `Z`.
    pub made: String,
    /// Until when it counts, in the same form.
    pub until: String,
    /// Number of times that it may be used.
    pub uses: u64,
}

/// Where a grant counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum GrantWorkspace {
    /// In every workspace with the policy: `"any"`.
    Any,
    /// In this directory only.
    #[serde(untagged)]
    One(OneWorkspace),
}

/// A directory: a copy of it, or another one that was put in its place, is not the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct OneWorkspace {
    /// Its path as the kernel knows it; bytes that are not UTF-8 are lost, what follows tells such paths apart.
    pub path: String,
    /// Major and minor number of its device.
    pub device: (u32, u32),
    /// Its inode.
    pub inode: u64,
}

impl OneWorkspace {
    /// The directory at `path`, with this device and inode.
    #[must_use]
    pub fn new(path: &std::path::Path, device: (u32, u32), inode: u64) -> OneWorkspace {
        OneWorkspace {
            path: path.to_string_lossy().into_owned(),
            device,
            inode,
        }
    }
}

/// The bytes of a pinned file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Pin {
    /// The argument that names it.
    pub arg: String,
    /// Its path, from the workspace.
    pub path: String,
    /// SHA-256 of its content, in lower-case hex.
    pub sha256: String,
}

impl Pin {
    /// The file `path` with this digest, named by the argument `arg`.
    #[must_use]
    pub fn new(arg: &str, path: &CanonicalPath, sha256: String) -> Pin {
        Pin {
            arg: arg.to_owned(),
            path: path.as_str().to_owned(),
            sha256,
        }
    }
}

/// Who made a grant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Who {
    /// The user that made it.
    pub uid: u32,
    /// The name that was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl Who {
    /// The user `uid`, who may have given a name.
    #[must_use]
    pub fn new(uid: u32, name: Option<String>) -> Who {
        Who { uid, name }
    }
}

impl std::fmt::Display for Who {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{} (uid {})", escaped(name), self.uid),
            None => write!(f, "uid {}", self.uid),
        }
    }
}

/// A grant that an allowed decision needed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct GrantUse {
    /// Its name.
    pub grant: String,
    /// The approval that it grants.
    pub approval: String,
    /// Who made it.
    pub who: Who,
    /// The key that signed it, as ssh prints fingerprints.
    pub key: Option<String>,
    /// Why it was made.
    pub why: String,
    /// Until when it counts.
    pub until: String,
}

/// A grant that looks as if it were for a request, and does not count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RefusedGrant {
    /// Its name.
    pub grant: String,
    /// Why it does not count.
    pub why: String,
}

/// Mistake in the text of a grant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no grant: {why}")]
#[non_exhaustive]
pub struct GrantUnreadable {
    /// Description of the mistake.
    pub why: String,
}

/// Why a grant does not cover a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GrantMisfit {
    /// It is about something else altogether.
    #[error("it is for something else")]
    Elsewhere,
    /// It is for the same action with other arguments.
    #[error("it is for other arguments, or another directory")]
    OtherRequest,
    /// It is for somebody else.
    #[error("it is for the actor `{}` only", escaped(actor))]
    OtherActor {
        /// Whom it is for.
        actor: String,
    },
    /// It is for another workspace.
    #[error("it is for the workspace `{}` only", escaped(path))]
    OtherWorkspace {
        /// Which one.
        path: String,
    },
    /// Another directory has taken the place of the workspace.
    #[error(
        "it is for the directory that was at `{}` before, and another one is there now",
        escaped(path)
    )]
    ReplacedWorkspace {
        /// Where.
        path: String,
    },
    /// It names no workspace.
    #[error("it was made by an earlier version of lictor and names no workspace")]
    NoWorkspace,
    /// The policy was changed since, or it is for another one.
    #[error("it was made for another policy, or before this one was changed")]
    OtherPolicy,
    /// It is over.
    #[error("it counted until {until}")]
    Over {
        /// When that was.
        until: String,
    },
    /// It says that it was made later than now.
    #[error("it says that it was made at {made}, which is still to come")]
    NotYet {
        /// When that is.
        made: String,
    },
    /// The request names a pinned file, and it is for more than one request and names none.
    #[error(
        "the file of argument `{arg}` has to be approved by its content, and this grant names none"
    )]
    NotPinned {
        /// The argument.
        arg: String,
    },
    /// A pinned file is another one now.
    #[error("`{}` is not the file that was approved", escaped(path))]
    PinChanged {
        /// The file.
        path: String,
    },
    /// A pinned file cannot be read.
    #[error("`{}` cannot be compared with what was approved: {why}", escaped(path))]
    PinUnreadable {
        /// The file.
        path: String,
        /// Why.
        why: String,
    },
}

impl GrantTerms {
    /// Reads the text of a grant.
    ///
    /// # Errors
    ///
    /// It is no grant's text. An unknown field is a mistake, since it might bound what is granted, and so is every
    /// spelling but that of [`GrantTerms::to_text`]. Else a text could say one thing to whoever reads it before signing,
    /// and another to a parser: by a name that stands twice, or by what is out of sight.
    pub fn parse(text: &str) -> Result<GrantTerms, GrantUnreadable> {
        let fail = |why: &str| GrantUnreadable {
            why: why.to_owned(),
        };
        if text.len() > MAX_GRANT_BYTES {
            return Err(fail("it is longer than a grant may be (8 KiB)"));
        }
        if !text.trim_start().starts_with('{') {
            // A list would be read as the fields in their order.
            return Err(fail("a grant is a mapping in JSON"));
        }
        let terms: GrantTerms =
            serde_json::from_str(text).map_err(|error| fail(&error.to_string()))?;
        terms.check().map_err(fail)?;
        // One of version 1 does not count, however it is written.
        if terms.workspace.is_some() && terms.to_text() != text {
            return Err(fail(
                "it is not byte for byte what lictor writes; have it written anew by `lictor approve --out FILE`",
            ));
        }
        Ok(terms)
    }

    fn check(&self) -> Result<(), &'static str> {
        let is_id = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
        let is_time = |text: &str| time(text).is_some_and(|time| format!("{time:.6}") == text);
        match (self.lictor_grant, &self.workspace) {
            (2, Some(_)) | (1, None) => {}
            _ => return Err("only version 2 is known, which names a `workspace`"),
        }
        if self.id.is_empty() || self.id.len() > 64 || !self.id.bytes().all(is_id) {
            return Err("`id` is 1 to 64 of a-z, 0-9 and `-`");
        }
        match (&self.request, &self.extent, &self.rule) {
            (Some(_), None, None) if self.within.is_empty() => {}
            (None, Some(extent), None) if self.within.is_empty() && self.pins.is_empty() => {
                extent.check()?;
            }
            (None, None, Some(_)) if self.pins.is_empty() => {}
            _ => {
                return Err(
                    "it is either for a `request`, for an `extent`, or for a `rule` and paths `within`",
                );
            }
        }
        if self.patterns().is_none() {
            return Err("`within` holds something that is no pattern");
        }
        if self.why.trim().is_empty() || self.why.len() > MAX_WHY_BYTES {
            return Err("`why` is a text of at most 1000 bytes");
        }
        if !is_time(&self.made) || !is_time(&self.until) {
            return Err("`made` and `until` are times such as 2026-11-22T15:00:00.000000Z");
        }
        if self.uses == 0 || self.uses > 1_000_000 {
            return Err("`uses` is a number from 1 to 1000000");
        }
        Ok(())
    }

    /// The text that is signed and recorded. What a terminal would act on is escaped, so that it can be
    /// read before it is signed.
    #[must_use]
    pub fn to_text(&self) -> String {
        let json = serde_json::to_string_pretty(self).unwrap_or_default();
        escaped_json(&json) + "\n"
    }

    /// Bounds that the policy sets: the number of uses, and the time until when it counts, in the form of
    /// [`GrantTerms::until`].
    ///
    /// None if the approval is not one that can be granted.
    #[must_use]
    pub fn bounds(&self, approval: &Approval) -> Option<(u64, String)> {
        let ApprovalKind::Grant {
            max_age, max_uses, ..
        } = &approval.kind
        else {
            return None;
        };
        let mut until = time(&self.until)?;
        if let Some(age) = max_age {
            // Too far away to be told: then it is no bound.
            if let Ok(end) = time(&self.made)?.checked_add(*age) {
                until = until.min(end);
            }
        }
        let uses = max_uses.map_or(self.uses, |most| self.uses.min(most));
        Some((uses, format!("{until:.6}")))
    }

    /// Why it does not cover a request, as far as that can be told without the ledger and the disk; the
    /// rules are still to be asked with it.
    #[must_use]
    pub fn misfit(&self, asking: &Asking<'_>) -> Option<GrantMisfit> {
        let Asking {
            policy,
            workspace,
            exact,
            actor,
            now,
        } = *asking;
        let has_rule = |id: &String| policy.rules().any(|(_, own)| own.id == *id);
        let own = exact.request();
        let other = |tool: &str, action: &str| {
            Some(
                match (own.tool.as_str(), own.action.as_str()) == (tool, action) {
                    true => GrantMisfit::OtherRequest,
                    false => GrantMisfit::Elsewhere,
                },
            )
        };
        match (&self.request, &self.extent, &self.rule) {
            (Some(request), _, _) if own == request => {}
            (Some(request), _, _) => return other(&request.tool, &request.action),
            (None, Some(extent), _) if !extent.rules.iter().all(has_rule) => {
                return Some(GrantMisfit::Elsewhere);
            }
            (None, Some(extent), _) if extent.covers(exact) => {}
            (None, Some(extent), _) => return other(&extent.tool, &extent.action),
            (None, None, Some(rule)) if has_rule(rule) => {}
            (None, None, _) => return Some(GrantMisfit::Elsewhere),
        }
        let Some((_, until)) = asking
            .policy
            .approvals()
            .iter()
            .find(|own| own.name == self.approval)
            .and_then(|own| self.bounds(own))
        else {
            return Some(GrantMisfit::Elsewhere);
        };
        if let Some(misfit) = self.misplaced(policy, workspace) {
            return Some(misfit);
        }
        if let Some(own) = self.actor.as_ref().filter(|own| *own != actor) {
            return Some(GrantMisfit::OtherActor { actor: own.clone() });
        }
        if time(&until).is_none_or(|until| now > until) {
            return Some(GrantMisfit::Over { until });
        }
        let ahead = jiff::SignedDuration::from_secs(CLOCK_AHEAD_SECONDS);
        let latest = now.saturating_add(ahead).unwrap_or(now);
        if time(&self.made).is_none_or(|made| made > latest) {
            return Some(GrantMisfit::NotYet {
                made: self.made.clone(),
            });
        }
        let named: Vec<(&str, &str)> = exact
            .pinned()
            .iter()
            .map(|(arg, path)| (arg.as_str(), path.as_str()))
            .collect();
        let own: Vec<(&str, &str)> = self
            .pins
            .iter()
            .map(|pin| (pin.arg.as_str(), pin.path.as_str()))
            .collect();
        if let Some((arg, _)) = named.first().filter(|_| own.is_empty()) {
            let arg = (*arg).to_owned();
            return Some(GrantMisfit::NotPinned { arg });
        }
        (named != own).then_some(GrantMisfit::OtherRequest)
    }

    /// Why it counts neither under this policy nor in this workspace, whatever is asked for.
    #[must_use]
    pub fn misplaced(
        &self,
        policy: &CompiledPolicy,
        workspace: Option<&OneWorkspace>,
    ) -> Option<GrantMisfit> {
        if self.policy != policy.digest() {
            return Some(GrantMisfit::OtherPolicy);
        }
        match (&self.workspace, workspace) {
            (None, _) => Some(GrantMisfit::NoWorkspace),
            (Some(GrantWorkspace::Any), _) => None,
            (Some(GrantWorkspace::One(own)), Some(here)) if own == here => None,
            (Some(GrantWorkspace::One(own)), here) => {
                let path = own.path.clone();
                Some(match here.is_some_and(|here| here.path == own.path) {
                    true => GrantMisfit::ReplacedWorkspace { path },
                    false => GrantMisfit::OtherWorkspace { path },
                })
            }
        }
    }

    /// Why the pinned files are not what was approved; `digest` says what the disk holds.
    pub fn pin_misfit(
        &self,
        digest: &mut dyn FnMut(&str) -> Result<String, String>,
    ) -> Option<GrantMisfit> {
        self.pins.iter().find_map(|pin| match digest(&pin.path) {
            Ok(found) if found == pin.sha256 => None,
            Ok(_) => Some(GrantMisfit::PinChanged {
                path: pin.path.clone(),
            }),
            Err(why) => Some(GrantMisfit::PinUnreadable {
                path: pin.path.clone(),
                why,
            }),
        })
    }

    /// The context with what it grants.
    #[must_use]
    pub fn grant(&self, context: Context) -> Context {
        match (&self.extent, &self.rule) {
            (Some(extent), _) => extent.grant(&self.approval, context),
            (None, None) => context.with_approval(&self.approval),
            (None, Some(rule)) => match self.patterns() {
                Some(within) => context.with_rule_approval(&self.approval, rule, within),
                None => context,
            },
        }
    }

    /// Its width.
    #[must_use]
    pub fn width(&self) -> Option<Width> {
        match (&self.request, &self.extent) {
            (Some(_), _) => Some(Width::Exact),
            (None, Some(extent)) => Some(extent.width()),
            (None, None) => None,
        }
    }

    fn patterns(&self) -> Option<Vec<Pattern>> {
        let parse = |text: &String| Pattern::parse(text).ok();
        self.within.iter().map(parse).collect()
    }
}

/// The request and the moment that a grant is compared with.
#[derive(Clone, Copy, Debug)]
pub struct Asking<'a> {
    policy: &'a CompiledPolicy,
    workspace: Option<&'a OneWorkspace>,
    exact: &'a Exact,
    actor: &'a str,
    now: Timestamp,
}

impl<'a> Asking<'a> {
    /// The request of a decision, in a workspace, at a time; none if the request could not be understood.
    #[must_use]
    pub fn new(
        policy: &'a CompiledPolicy,
        workspace: Option<&'a OneWorkspace>,
        decision: &'a Decision,
        now: Timestamp,
    ) -> Option<Asking<'a>> {
        Some(Asking {
            policy,
            workspace,
            exact: decision.exact()?,
            actor: &decision.asked().actor,
            now,
        })
    }
}

fn time(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

impl Decision {
    /// Grants that look as if they were for this request, and why they do not count: the newest
    /// [`MOST_REFUSED_GRANTS`].
    #[must_use]
    pub fn refused_grants(&self) -> &[RefusedGrant] {
        &self.refused_grants
    }

    /// Number of grants that [`refused_grants`](Decision::refused_grants) leaves out.
    #[must_use]
    pub fn more_refused_grants(&self) -> usize {
        self.more_refused_grants
    }

    /// Adds the grants that it needed and those that did not count, the oldest first.
    #[must_use]
    #[cfg_attr(
        not(feature = "run"),
        expect(dead_code, reason = "only what reads the ledger asks for it")
    )]
    pub(crate) fn with_grants(
        mut self,
        used: Vec<GrantUse>,
        mut refused: Vec<RefusedGrant>,
    ) -> Decision {
        if self.effect == Effect::Allow {
            self.grants = used;
        } else if self.effect == Effect::Ask {
            self.more_refused_grants = refused.len().saturating_sub(MOST_REFUSED_GRANTS);
            self.refused_grants = refused.split_off(self.more_refused_grants);
        }
        self
    }

    /// An allow that would need a grant, where nothing is spent: the answer is that somebody has to ask
    /// in a way that does.
    #[must_use]
    #[cfg_attr(
        not(feature = "run"),
        expect(dead_code, reason = "only what reads the ledger asks for it")
    )]
    pub(crate) fn unspent(mut self, instead: &str) -> Decision {
        let names: Vec<&str> = self.grants.iter().map(|used| used.grant.as_str()).collect();
        self.message = format!(
            "allowed by the grant `{}`, which has to be spent for it",
            names.join("`, `")
        );
        self.effect = Effect::Ask;
        self.reasons = vec![Reason::ApprovalRequired];
        self.instead = Some(instead.to_owned());
        self.plan = None;
        self
    }
}

#[cfg(test)]
mod tests;
