//! The record: what stands in it, what it survives, what shows that it was changed, and approvals that are counted in it.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "a test starts programs, says what it leaves out, and fails by panicking"
)]

#[path = "../support/mod.rs"]
#[expect(dead_code, reason = "other tests use more of it")]
mod support;

mod approvals;
mod before;
mod commands;
mod crash;
mod disk;
mod faults;
mod forgery;
mod grants;
mod proofs;
mod reading;
mod record;
mod recorded;
mod runs;
mod signer;
mod tamper;
mod third_parties;
