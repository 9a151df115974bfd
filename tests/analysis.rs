//! Exact analysis against brute force and a second method: what is said to hold has no counterexample
//! among small paths, a witness is one, and every law holds in both directions.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test fails by panicking"
)]

#[path = "analysis/sets.rs"]
mod sets;

#[path = "analysis/oracle.rs"]
mod oracle;
#[path = "analysis/policies.rs"]
mod policies;
