//! Lictor decides from one YAML policy whether a tool may perform an action on some paths, runs the
//! allowed command so that nothing of it outlives its deadline, and records every decision and
//! outcome in a ledger that shows tampering.
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
pub mod ledger;

#[cfg(any(feature = "testing", feature = "cli"))]
pub mod testing;

#[cfg(feature = "run")]
pub mod executor;

#[cfg(feature = "run")]
pub mod governor;

#[cfg(feature = "cli")]
pub mod cli;

/// The examples of README.md, which have to run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
#[expect(missing_debug_implementations, reason = "it is documentation")]
pub enum Readme {}
