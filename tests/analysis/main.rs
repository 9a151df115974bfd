//! Exact analysis, and the lint rules that ask it.
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

mod lint_bounds;
mod lint_catalogue;
mod lint_exact;
mod lint_fixes;
mod lint_formats;
mod oracle;
mod policies;
mod sets;
