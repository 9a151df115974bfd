//! `lictor lint`: what is wrong with policies.

#![forbid(unsafe_code)]

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::exit::Exit;
use super::{Failure, Global, discover, print_json};
use crate::governor::{LoadError, load};
use crate::lint::render;

#[derive(Args, Debug)]
pub(super) struct Lint {
    /// The policies; without one, the policy that other commands would use
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How findings are written
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: Format,
    /// End with 0 whatever is found
    #[arg(long)]
    exit_zero: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people, with the lines they are about
    Human,
    /// One line for each finding
    Compact,
    /// A JSON array
    Json,
}

pub(super) fn main(command: &Lint, global: &Global) -> Result<Exit, Failure> {
    let directory = discover::current_directory()?;
    let files = if command.files.is_empty() {
        let found = discover::path(global, &directory).ok_or_else(|| {
            Failure::new("there is no policy above this directory; name the file to look at")
        })?;
        vec![found]
    } else {
        command.files.clone()
    };
    let format = if global.json {
        Format::Json
    } else {
        command.format
    };
    let mut json = Vec::new();
    let mut count = 0_usize;
    for file in &files {
        match load(file, &directory, &directory) {
            Ok(_) => {}
            Err(LoadError::Invalid(errors)) => {
                count = count.saturating_add(errors.problems().len());
                match format {
                    Format::Human => anstream::println!("{}", render::human(&errors)),
                    Format::Compact => anstream::println!("{}", render::compact(&errors)),
                    Format::Json => json.extend(render::json(&errors)),
                }
            }
            Err(error) => return Err(Failure::new(error)),
        }
    }
    match format {
        Format::Json => print_json(&serde_json::Value::Array(json)),
        Format::Human if count == 0 => {
            anstream::eprintln!("{} clean", counted(files.len(), "policy", "policies"))
        }
        Format::Human => anstream::eprintln!("{}", counted(count, "error", "errors")),
        Format::Compact => {}
    }
    Ok(if count == 0 || command.exit_zero {
        Exit::Good
    } else {
        Exit::Bad
    })
}

fn counted(count: usize, one: &str, more: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { more })
}
