//! Text for people, terminals and shells: characters that mislead, and words quoted for a command line.
//!
//! | file | |
//! |---|---|
//! | `hidden` | the one table of characters that a reader does not see as they are; text with them escaped |
//! | `quote` | one word, quoted for a shell |

#![forbid(unsafe_code)]

mod hidden;
mod quote;

#[cfg(feature = "run")]
pub(crate) use hidden::is_odd;
pub(crate) use hidden::{escaped, escaped_json, is_control, is_hidden};
#[cfg(feature = "cli")]
pub(crate) use hidden::{indented, odd_characters, one_line, printable, printable_in_colours};
pub(crate) use quote::shell;
