//! What the disk says about a request: links, mounts, trees, repositories, and what changes meanwhile.
#![expect(
    clippy::disallowed_methods,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test starts programs, says what it leaves out, and fails by panicking"
)]

#[path = "../support/mod.rs"]
#[expect(dead_code, reason = "other tests use more of it")]
mod support;

mod created;
mod exchanged;
mod ignored;
mod race;
mod repository;
mod resolve;
