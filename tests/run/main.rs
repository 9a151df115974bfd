//! Runs as a caller sees them: which executor, in which surroundings, what is read from their output.
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

mod executors;
mod long_runs;
mod recovered;
mod reported;
mod reports;
mod surroundings;
