//! What several tests use.

pub(crate) mod git;
pub(crate) mod need;
pub(crate) mod ordinary;
pub(crate) mod program;
