//! A request from the command line.

#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use clap::Args;

use super::{Failure, discover};
use crate::decision::{Request, Value};
use crate::governor::Governor;

/// The workspace itself, where it is named as a directory to start in.
const TOP: &str = ".";

/// What is asked for: a command line behind `--`, or a tool's action with named arguments
#[derive(Args, Debug)]
pub(super) struct RequestArgs {
    /// The tool
    #[arg(
        long,
        value_name = "TOOL",
        requires = "action",
        conflicts_with = "argv"
    )]
    tool: Option<String>,
    /// The action of the tool
    #[arg(long, value_name = "ACTION", requires = "tool")]
    action: Option<String>,
    /// An argument of the action; repeat for several values; NAME alone for a flag, or an option without value
    #[arg(long = "arg", value_name = "NAME[=VALUE]", requires = "tool")]
    args: Vec<OsString>,
    /// An argument in base64, for bytes that are not text
    #[arg(long = "arg-b64", value_name = "NAME=BASE64", requires = "tool")]
    args_b64: Vec<String>,
    /// The directory that the command starts in and paths are relative to, from the workspace's top (`.`); else
    /// the one you are in, where that lies in the workspace
    #[arg(long, value_name = "DIR")]
    cwd: Option<OsString>,
    /// The command line
    #[arg(last = true, value_name = "ARGV")]
    argv: Vec<OsString>,
}

impl RequestArgs {
    /// The request, about the caller's own directory unless another one is named: so a line means here what it would
    /// mean without lictor.
    pub(super) fn into_request(self, actor: &str, governor: &Governor) -> Result<Request, Failure> {
        let mut request = match (self.tool, self.action) {
            (Some(tool), Some(action)) => Request::named(tool, action),
            _ if self.argv.is_empty() => {
                return Err(Failure::new(
                    "nothing is asked for: name a command line behind `--`, or `--tool` and `--action`",
                ));
            }
            _ => Request::argv(self.argv.into_iter().map(OsString::into_vec)),
        };
        for arg in self.args {
            let mut name = arg.into_vec();
            let value = match name.iter().position(|byte| *byte == b'=') {
                Some(at) => {
                    let value = name.split_off(at.saturating_add(1));
                    name.truncate(at);
                    Value::Text(value)
                }
                None => Value::Flag(true),
            };
            let name = String::from_utf8(name)
                .map_err(|_| Failure::new("the name of an argument is not UTF-8"))?;
            request = request.with_arg(name, value);
        }
        for arg in self.args_b64 {
            let decoded = arg.split_once('=').and_then(|(name, text)| {
                Some((name, data_encoding::BASE64.decode(text.as_bytes()).ok()?))
            });
            let Some((name, bytes)) = decoded else {
                return Err(Failure::new(format!(
                    "`--arg-b64 {}` is not NAME=BASE64",
                    arg.escape_debug()
                )));
            };
            request = request.with_arg(name, Value::Text(bytes));
        }
        let cwd = match self.cwd {
            Some(cwd) => Some(cwd),
            None => discover::directory_in(governor.workspace_path())?,
        };
        if let Some(cwd) = cwd.filter(|cwd| cwd != TOP) {
            request = request.with_cwd(cwd.into_vec());
        }
        Ok(request.with_actor(actor))
    }
}
