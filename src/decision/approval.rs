//! Approvals: whether one is granted, and what to tell somebody who needs it.

#![forbid(unsafe_code)]

use super::Context;
use crate::policy::CompiledPolicy;
use crate::policy::model::{Approval, ApprovalKind};

/// An approval that is missing.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct ApprovalNeeded {
    /// Its name in the policy.
    pub name: String,
    /// How to get it, in one line.
    pub how: String,
    /// Where to find out more.
    pub reference: Option<String>,
}

/// Whether the context grants an approval. A switch counts if its value is one of the accepted ones,
/// compared without regard to ASCII case; nothing is trimmed, and an unset variable is no value.
pub(crate) fn is_granted(approval: &Approval, context: &Context) -> bool {
    if context.approved.contains(&approval.name) {
        return true;
    }
    match &approval.kind {
        ApprovalKind::Switch { variable, accept } => context
            .switches
            .get(variable)
            .is_some_and(|value| accept.iter().any(|yes| yes.eq_ignore_ascii_case(value))),
        ApprovalKind::Grant { .. } => false,
    }
}

pub(super) fn needed(policy: &CompiledPolicy, nth: usize) -> Option<ApprovalNeeded> {
    let approval = policy.approval(nth)?;
    let how = match &approval.kind {
        ApprovalKind::Switch { variable, accept } => {
            format!(
                "whoever starts lictor sets {variable} to {}",
                accept.join(" or ")
            )
        }
        ApprovalKind::Grant { .. } => "a person grants it".to_owned(),
    };
    Some(ApprovalNeeded {
        name: approval.name.clone(),
        how,
        reference: approval.reference.clone(),
    })
}
