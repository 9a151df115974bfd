//! What a run can reach, and what is left of it: hostile commands, crowds of them, and real suites.
//!
//! This program is everything at once: the tests, the helper (an embedder's, by `lictor::executor::init`), and the hostile
//! commands. So it has a `main` of its own. Run as root it checks everything a second time as an ordinary user.
#![expect(
    unsafe_code,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "hostile programs need raw system calls, and a test fails by panicking"
)]
#![cfg(target_os = "linux")]

mod crowds;
mod escape;
mod inside;
mod no_orphans;
mod real_suites;
mod twice;

#[path = "../support/mod.rs"]
#[expect(dead_code, reason = "other tests use more of it")]
mod support;

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    lictor::executor::init();
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["--as", user, rest @ ..] => return twice::become_user(user.parse().unwrap(), rest),
        ["--command", name, rest @ ..] => inside::be_command(name, rest),
        ["--host", name, rest @ ..] => inside::be_host(name, rest),
        ["--escape", name, directory] => escape::run(name, Path::new(directory)),
        ["--killed", directory] => no_orphans::be_host(Path::new(directory)),
        ["--crowd", name] => crowds::be_crowd(name),
        ["--list", ..] => tests()
            .iter()
            .for_each(|test| println!("{}: test", test.name)),
        _ => {
            let filter = words.iter().copied().find(|word| !word.starts_with('-'));
            return twice::run_tests(filter, tests(), no_orphans::with_setuid);
        }
    }
    ExitCode::SUCCESS
}

/// All tests, each named after its file. Crowds are last: what is left of them takes processors while it dies.
fn tests() -> Vec<twice::Test> {
    let files = [
        ("inside", inside::tests()),
        ("no_orphans", no_orphans::tests()),
        ("real_suites", real_suites::tests()),
        ("crowds", crowds::tests()),
    ];
    let named = files
        .into_iter()
        .flat_map(|(file, tests)| tests.into_iter().map(move |test| test.of(file)));
    named.collect()
}
