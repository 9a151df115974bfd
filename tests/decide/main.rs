//! What is decided about a request, from the text of a policy on, without a look at the disk.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    clippy::panic,
    clippy::string_slice,
    clippy::type_complexity,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test starts programs, says what it leaves out, and fails by panicking"
)]

#[path = "../support/mod.rs"]
#[expect(dead_code, reason = "other tests use more of it")]
mod support;

mod documents;
mod folding;
mod generate;
mod inheritance;
mod laws;
mod passed_on;
mod path_oracles;
mod paths;
mod policy_language;
mod requests;
mod schema;
mod seed_cases;
mod shell;
