//! The program's commands as others use them: how they end, where they start, what they print and what they write. Run as
//! root, everything is tried a second time as an ordinary user.
#![expect(
    clippy::disallowed_methods,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test starts programs and fails by panicking"
)]

mod ordinary;
#[expect(dead_code, reason = "the helpers of all tests of the program")]
mod program;

#[path = "commands/exit_codes.rs"]
mod exit_codes;
#[path = "commands/hostile_text.rs"]
mod hostile_text;
#[path = "commands/init.rs"]
mod init;
#[path = "commands/ledger_place.rs"]
mod ledger_place;
#[path = "commands/lint_files.rs"]
mod lint_files;
#[path = "commands/output.rs"]
mod output;
#[path = "commands/tools.rs"]
mod tools;
#[path = "commands/ways_out.rs"]
mod ways_out;
#[path = "commands/where_it_starts.rs"]
mod where_it_starts;
#[path = "commands/written_files.rs"]
mod written_files;

#[test]
fn everything_holds_for_an_ordinary_user_as_well() {
    let program = Some((program::PROGRAM, env!("CARGO_BIN_EXE_lictor").as_ref()));
    ordinary::again("everything_holds_for_an_ordinary_user", program);
}
