//! Lictor decides from one YAML policy whether a tool may perform an action on some paths, runs the
//! allowed command so that nothing of it outlives its deadline, and records every decision and
//! outcome in a ledger that shows tampering.
//!
//! # Decide
//!
//! A [`CompiledPolicy`] and a [`Request`] give a [`Decision`]: [`Effect::Allow`], [`Effect::Ask`] or
//! [`Effect::Deny`] with a [`Reason`]. [`decide`] is a pure function. It reads no file, no clock and no environment:
//! what a decision depends on besides the two stands in its [`Context`].
//!
//! ```
//! use lictor::{CompiledPolicy, Context, Effect, Reason, Request, decide};
//!
//! let policy = CompiledPolicy::from_yaml(
//!     r#"
//! version: 1
//! name: example
//! use: lictor/coreutils@1
//! scopes: {documents: "docs/**"}
//! rules:
//!   - {id: look, allow: wc.run, within: documents}
//! "#,
//! )?;
//! let context = Context::new("my-agent");
//!
//! let request = Request::argv(["wc", "-l", "docs/notes.md"]);
//! assert_eq!(decide(&policy, &request, &context).effect(), Effect::Allow);
//!
//! let request = Request::argv(["wc", "-l", "docs/../.env"]);
//! let decision = decide(&policy, &request, &context);
//! assert_eq!(decision.effect(), Effect::Deny);
//! assert_eq!(decision.reason(), Some(Reason::PathTraversalDenied));
//! # Ok::<(), lictor::PolicyErrors>(())
//! ```
//!
//! # Run
//!
//! A [`Governor`] holds one policy with its workspace, its ledger and an executor. [`Governor::run`] decides, asks the
//! disk, records the decision, runs the command and records its [`Evidence`]. [`init`] is the first call in `main`:
//! the process that ends a run at its deadline is the same program, started again.
//!
#![cfg_attr(feature = "run", doc = "```standalone_crate")]
#![cfg_attr(not(feature = "run"), doc = "```ignore")]
//! use lictor::{Effect, Governor, Request, Status, load};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     lictor::init();
//!     let project = tempfile::tempdir()?;
//!     let file = |name: &str| project.path().join(name);
//!     std::fs::create_dir_all(file("work/docs"))?;
//!     std::fs::write(file("work/docs/notes.md"), "one line\n")?;
//!     std::fs::write(
//!         file("work/lictor.yaml"),
//!         r#"
//! version: 1
//! name: example
//! use: lictor/coreutils@1
//! scopes: {documents: "docs/**"}
//! rules:
//!   - {id: look, allow: wc.run, within: documents}
//! defaults: {limits: {timeout: 5s}}
//! "#,
//!     )?;
//!
//!     let governor = Governor::new(load(&file("work/lictor.yaml"), &file("work"), &file("state"))?);
//!     let request = Request::argv(["wc", "-l", "docs/notes.md"]);
//!     let ran = governor.run(&request, &governor.context("my-agent"), &mut ());
//!
//!     assert_eq!(ran.decision.effect(), Effect::Allow);
//!     assert!(ran.recorded);
//!     let evidence = ran.evidence.ok_or("nothing was run")?;
//!     assert_eq!(evidence.status, Status::Pass);
//!     Ok(())
//! }
//! ```
//!
//! # Where to look
//!
//! | module | |
//! |---|---|
//! | [`decision`] | requests, decisions and their explanations |
//! | [`policy`] | the policy language, patterns and tool libraries |
//! | [`path`] | the form in which paths are decided |
//! | [`shell`] | shell texts as requests |
//! | [`analysis`] | questions about all requests at once: what a policy never allows, how two policies differ |
//! | [`lint`] | findings about policies |
//! | `governor` | loading, deciding, running, recording (feature `run`) |
//! | `executor` | what runs commands, and how to write another one (feature `run`) |
//! | `log` | an append-only, signed file: lines, proofs, verification (feature `run`) |
//! | `record` | what is written there: decisions, starts, outcomes, grants (feature `run`) |
//! | `agents` | hook protocols of coding agents (feature `cli`) |
//! | [`evidence`] | what is known about one run |
//! | [`reason`] | the codes of denials |
//!
//! The modules stand in reading order; each names only modules before it.
#![cfg_attr(
    test,
    expect(clippy::arithmetic_side_effects, reason = "a test fails by panicking")
)]

pub mod reason;

pub mod evidence;

mod text;

pub mod path;

pub mod shell;

pub mod policy;

pub mod decision;

pub mod analysis;

pub mod lint;

#[cfg(feature = "run")]
pub mod resolve;

#[cfg(feature = "run")]
pub mod log;

#[cfg(feature = "run")]
pub mod record;

#[cfg(any(feature = "testing", feature = "cli"))]
pub mod testing;

#[cfg(feature = "run")]
pub mod executor;

#[cfg(feature = "run")]
pub mod governor;

#[cfg(feature = "cli")]
pub mod agents;

#[cfg(feature = "cli")]
pub mod cli;

pub use decision::{Context, Decision, Effect, Request, Value, decide};
#[cfg(feature = "run")]
pub use evidence::{Evidence, Status};
#[cfg(feature = "run")]
pub use executor::{CancelToken, Executor, Observer, init};
#[cfg(feature = "run")]
pub use governor::{Checked, Governor, LoadedPolicy, OnDisk, Ran, load};
pub use policy::{CompiledPolicy, PolicyErrors};
pub use reason::Reason;

/// The examples of README.md, which have to run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
#[expect(missing_debug_implementations, reason = "it is documentation")]
pub enum Readme {}
