//! Grants into the ledger and out of it: the entries that make and revoke them, and what they say.
//!
//! The entry repeats how often and until when the grant counts, as the policy bounds it, because that is
//! what is counted under the lock. What was signed is the text in `body`, byte for byte.

#![forbid(unsafe_code)]

use serde::Deserialize;
use serde_json::Value as Json;

use super::grants::Grant;
use super::{Ledger, LedgerError};
use crate::decision::grant::GrantTerms;
use crate::log::{Draft, Kind};
use crate::policy::model::Approval;
use crate::resolve::user_id;

/// Fields of a grant's entry besides those that [`Grant`] counts.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GrantEntry {
    /// Its text, byte for byte as it may have been signed.
    pub body: String,
    /// The text, read.
    pub terms: GrantTerms,
    /// The signature, as `ssh-keygen -Y sign` makes it.
    pub signature: Option<String>,
}

#[derive(Deserialize)]
struct Written {
    body: String,
    #[serde(default)]
    signature: Option<String>,
}

impl Grant {
    /// The contents of its entry; none if they cannot be read, or are about another grant.
    #[must_use]
    pub fn read(&self) -> Option<GrantEntry> {
        let written: Written = serde_json::from_str(&self.entry).ok()?;
        let terms = GrantTerms::parse(&written.body).ok()?;
        (terms.id == self.id).then_some(GrantEntry {
            body: written.body,
            terms,
            signature: written.signature,
        })
    }

    /// Returns true if its text and the policy bound it as counted, or more tightly.
    #[must_use]
    pub fn is_within(&self, uses: u64, until: &str) -> bool {
        self.uses.is_some_and(|own| own <= uses)
            && self.until.as_deref().is_some_and(|own| own <= until)
    }
}

impl Ledger {
    /// Records a grant. `body` is its text; the caller has checked the signature.
    ///
    /// # Errors
    ///
    /// It is not on disk, or could not be read back from there as it is.
    pub fn make_grant(
        &self,
        body: &str,
        signature: Option<&str>,
        key: Option<&str>,
        approval: &Approval,
    ) -> Result<u64, LedgerError> {
        let unfit = |why: &'static str| LedgerError::GrantUnfit { why };
        let terms = GrantTerms::parse(body).map_err(|_| unfit("its text cannot be read"))?;
        let (uses, until) = terms
            .bounds(approval)
            .ok_or_else(|| unfit("its approval is not one that can be granted"))?;
        let is_secret = |text: &str| self.redactor.holds_secret(text.as_bytes());
        if is_secret(body) || signature.is_some_and(is_secret) {
            return Err(unfit(
                "it holds what looks like a secret and would be recorded without it",
            ));
        }
        let draft = Draft::new(Kind::Grant)
            .with("grant", terms.id.as_str())
            .with("change", "made")
            .with("approval", terms.approval.as_str())
            .with("policy", terms.policy.as_str())
            .with("uses", uses)
            .with("until", until)
            .with("who", terms.who.to_string())
            .with("user", user_id())
            .with("why", terms.why.as_str())
            .with("key", key.map_or(Json::Null, Json::from))
            .with("body", body)
            .with("signature", signature.map_or(Json::Null, Json::from));
        Ok(self.commit_last(vec![draft])?.start)
    }

    /// Records that a grant counts no longer.
    ///
    /// # Errors
    ///
    /// It is not on disk.
    pub fn revoke_grant(&self, id: &str, why: &str) -> Result<u64, LedgerError> {
        let draft = Draft::new(Kind::Grant)
            .with("grant", id)
            .with("change", "revoked")
            .with("why", why)
            .with("user", user_id());
        Ok(self.commit_last(vec![draft])?.start)
    }
}
