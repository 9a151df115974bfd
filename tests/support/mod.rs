//! What several tests use.

use lictor::policy::CompiledPolicy;

pub(crate) mod git;
pub(crate) mod need;
pub(crate) mod ordinary;
pub(crate) mod program;
pub(crate) mod random;

/// A policy that has to load.
#[track_caller]
pub(crate) fn compiled(text: &str) -> CompiledPolicy {
    CompiledPolicy::from_yaml(text).unwrap_or_else(|errors| panic!("{text}\n{errors}"))
}
