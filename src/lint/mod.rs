//! What is wrong with a policy that is valid: its tests are run here, and the texts for people made.

#![forbid(unsafe_code)]

pub mod policy_tests;
#[cfg(feature = "cli")]
pub mod render;
