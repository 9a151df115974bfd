//! `lictor schema`: the language as JSON Schema, for editors.

#![forbid(unsafe_code)]

use clap::Args;

use super::Failure;
use super::exit::Exit;

/// Kept by hand beside the language's description; tests hold it against the decoder.
const SCHEMA: &str = include_str!("../../policy/schema.json");

#[derive(Args, Debug)]
pub(super) struct Schema {}

pub(super) fn main(_: &Schema) -> Result<Exit, Failure> {
    answer_part!("{SCHEMA}");
    Ok(Exit::Good)
}
