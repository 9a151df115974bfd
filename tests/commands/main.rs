//! The program's commands as others use them: how they end, where they start, what they print and what they write. Run as
//! root, everything is tried a second time as an ordinary user.
#![expect(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test starts programs, says what it leaves out, and fails by panicking"
)]

#[path = "../support/mod.rs"]
#[expect(dead_code, reason = "other tests use more of it")]
mod support;

mod answers;
mod around;
mod audit;
mod bounds;
mod command_line;
mod doctor_hooks;
mod exit_codes;
mod golden;
mod hostile_text;
mod import;
mod init;
mod init_agent;
mod ledger_place;
mod lint_files;
mod output;
mod tools;
mod ways_out;
mod where_it_starts;
mod written_files;

#[test]
fn everything_holds_for_an_ordinary_user_as_well() {
    support::ordinary::again(module_path!(), &["golden::"]);
}
