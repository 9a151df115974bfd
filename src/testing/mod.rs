//! For tests of what decides, this crate's and those of programs that embed it: hostile and benign
//! paths, requests and policies, and an attack on a policy of one's own.
//!
//! [`attack`] attacks a policy as lictor decides by it; [`attack_decider`] attacks whatever an embedder
//! makes of lictor's parts, on a real tree with links, siblings and twins.
//!
//! With the feature `testing`, [`paths`], [`requests`] and [`policies`] are strategies of proptest. An
//! embedder's own use of [`decide`](crate::decision::decide) is tested so:
//!
//!
//! | file | |
//! |---|---|
//! | `attack`, `tricks`, `scratch`, `oracle` | the attack on a policy: hostile paths, a tree for them, a second judgement |
//! | `generate`, `random` | requests out of a policy |
//! | `documents` | a policy as other YAML readers see it |
//! | `paths`, `requests`, `policies` | strategies of proptest |
#![cfg_attr(feature = "testing", doc = "```")]
#![cfg_attr(not(feature = "testing"), doc = "```ignore")]
//! use lictor::decision::{Context, Effect, Request, Value, decide};
//! use lictor::policy::CompiledPolicy;
//! use lictor::testing;
//! use proptest::test_runner::TestRunner;
//!
//! let policy = CompiledPolicy::from_yaml(
//!     "version: 1
//! name: example
//! use: lictor/files@1
//! scopes: {docs: \"docs/**\"}
//! rules:
//!   - {id: read-docs, allow: filesystem.read_file, within: docs}
//! ",
//! )?;
//!
//! // The embedder's own function: may this agent see that file?
//! let may_read = |path: &[u8]| {
//!     let request = Request::named("filesystem", "read_file").with_arg("path", Value::Text(path.to_vec()));
//!     decide(&policy, &request, &Context::new("agent")).effect() == Effect::Allow
//! };
//! let mut runner = TestRunner::default();
//! runner.run(&testing::paths::hostile("docs"), |path| {
//!     assert!(!may_read(&path));
//!     Ok(())
//! })?;
//! runner.run(&testing::paths::benign("docs"), |path| {
//!     assert!(may_read(path.as_bytes()));
//!     Ok(())
//! })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

mod attack;
mod generate;
mod oracle;
mod random;
mod scratch;
mod tricks;

#[cfg(feature = "testing")]
pub mod documents;
#[cfg(feature = "testing")]
pub mod paths;
#[cfg(feature = "testing")]
pub mod policies;
#[cfg(feature = "testing")]
pub mod requests;

pub use attack::{Attack, AttackError, Breach, Decider, Outcome, attack, attack_decider};
