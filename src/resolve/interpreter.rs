//! The first line of a script: `#!interpreter [argument]`, read as the kernel reads it, and as `env` reads the
//! argument. What would be read in several ways is not understood, which is an error.

#![forbid(unsafe_code)]

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Number of bytes of a file that the kernel reads for this line (`BINPRM_BUF_SIZE` of Linux).
const LINE_BYTES: u64 = 256;

/// The program that runs a script.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Interpreter {
    pub(super) path: PathBuf,
    pub(super) starts: Starts,
}

/// The program that reads the script in the end.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Starts {
    Itself,
    /// The program that `env` is told to start, a name or an absolute path.
    Named(PathBuf),
}

/// The program that runs this file; none if the kernel runs it itself.
///
/// # Errors
///
/// When the line is not understood, with why.
pub(super) fn of(program: &Path) -> Result<Option<Interpreter>, String> {
    let mut start = Vec::new();
    let read = File::open(program).and_then(|file| file.take(LINE_BYTES).read_to_end(&mut start));
    match read {
        // A script that may not be read cannot be run either; a program can.
        Err(_) => Ok(None),
        Ok(_) => parse(&start),
    }
}

fn parse(start: &[u8]) -> Result<Option<Interpreter>, String> {
    let Some(rest) = start.strip_prefix(b"#!") else {
        return Ok(None);
    };
    let Some(line) = rest
        .split(|byte| *byte == b'\n')
        .next()
        .filter(|line| line.len() < rest.len())
    else {
        return Err("its first line, which names its interpreter, does not end".to_owned());
    };
    if line.contains(&0) {
        return Err("its first line holds a NUL".to_owned());
    }
    let line = trimmed(line);
    let (path, argument) = split(line);
    let path = PathBuf::from(OsStr::from_bytes(path));
    if !path.is_absolute() {
        return Err("its first line names an interpreter by a relative path".to_owned());
    }
    let starts = match path.file_name() {
        Some(name) if name == "env" => Starts::Named(started_by_env(argument)?),
        _ => Starts::Itself,
    };
    Ok(Some(Interpreter { path, starts }))
}

/// The program that `env` starts when it gets this one argument and the script's path.
fn started_by_env(argument: &[u8]) -> Result<PathBuf, String> {
    let not_understood = || {
        format!(
            "what its first line tells `env` is not understood: `{}`",
            String::from_utf8_lossy(argument).escape_debug()
        )
    };
    let split_string = [&b"-S"[..], b"--split-string="]
        .iter()
        .find_map(|option| argument.strip_prefix(*option));
    // Quotes, escapes and variables: `env` has a language of its own there.
    let is_plain =
        |byte: &u8| byte.is_ascii_graphic() && !b"\"'\\$#".contains(byte) || b" \t".contains(byte);
    let words: Vec<&[u8]> = match split_string {
        Some(text) if text.iter().all(is_plain) => text
            .split(|byte| b" \t".contains(byte))
            .filter(|word| !word.is_empty())
            .collect(),
        Some(_) => return Err(not_understood()),
        None => vec![argument],
    };
    for word in words {
        if word.is_empty() || word.starts_with(b"-") || word.starts_with(b"PATH=") {
            return Err(not_understood());
        }
        if word.contains(&b'=') {
            continue;
        }
        let program = PathBuf::from(OsStr::from_bytes(word));
        return if word.contains(&b'/') && !program.is_absolute() {
            Err(not_understood())
        } else {
            Ok(program)
        };
    }
    Err(not_understood())
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn trimmed(mut line: &[u8]) -> &[u8] {
    while let Some((first, rest)) = line.split_first().filter(|(first, _)| is_blank(**first)) {
        let _ = first;
        line = rest;
    }
    while let Some((_, rest)) = line.split_last().filter(|(last, _)| is_blank(**last)) {
        line = rest;
    }
    line
}

/// The first word, and all that follows it.
fn split(line: &[u8]) -> (&[u8], &[u8]) {
    let at = line.iter().position(|byte| is_blank(*byte));
    let (first, rest) = at
        .and_then(|at| line.split_at_checked(at))
        .unwrap_or((line, b""));
    (first, trimmed(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, expected: Option<(&str, Option<&str>)>) {
        let expected = expected.map(|(path, named)| Interpreter {
            path: path.into(),
            starts: named.map_or(Starts::Itself, |named| Starts::Named(named.into())),
        });
        assert_eq!(parse(line.as_bytes()), Ok(expected), "{line:?}");
    }

    #[test]
    fn a_first_line_is_read_as_the_kernel_and_env_read_it() {
        check("\x7fELF", None);
        check("echo\n", None);
        check("#!/bin/sh\n", Some(("/bin/sh", None)));
        check("#! \t/bin/sh -eu \nrest", Some(("/bin/sh", None)));
        check(
            "#!/usr/bin/env node\n",
            Some(("/usr/bin/env", Some("node"))),
        );
        check(
            "#!/usr/bin/env  node --x\n",
            Some(("/usr/bin/env", Some("node --x"))),
        );
        check(
            "#!/usr/bin/env -S node --x\n",
            Some(("/usr/bin/env", Some("node"))),
        );
        check(
            "#!/usr/bin/env -Snode\n",
            Some(("/usr/bin/env", Some("node"))),
        );
        check(
            "#!/usr/bin/env -S A=b /opt/x/node y=1\n",
            Some(("/usr/bin/env", Some("/opt/x/node"))),
        );
        check(
            "#!/usr/bin/env --split-string=python3 -u\n",
            Some(("/usr/bin/env", Some("python3"))),
        );
    }

    #[test]
    fn a_first_line_that_could_be_read_otherwise_is_not_understood() {
        for line in [
            "#!",
            "#!\n",
            "#!/bin/sh",
            "#!sh\n",
            "#!./sh\n",
            "#!/bin/env\n",
            "#!/bin/env -i node\n",
            "#!/bin/env -S -i node\n",
            "#!/bin/env -S PATH=/tmp node\n",
            "#!/bin/env PATH=/tmp\n",
            "#!/bin/env -S \"no de\"\n",
            "#!/bin/env -S ${X}\n",
            "#!/bin/env -S ./node\n",
            "#!/bin/env bin/node\n",
            "#!/bin/sh\0\n",
            "#!/bin/env -S A=b\n",
        ] {
            assert!(parse(line.as_bytes()).is_err(), "{line:?}");
        }
        assert!(parse(format!("#!/{}", "x".repeat(300)).as_bytes()).is_err());
    }
}
