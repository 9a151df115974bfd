//! Findings as GitHub Actions takes them: one workflow command a line, shown beside the code.

#![forbid(unsafe_code)]

use super::file_name;
use crate::lint::{Diagnostic, Level, Report};

/// `::error file=…,line=…,col=…,endColumn=…,title=…::message`, one line for each.
#[must_use]
pub fn github(report: &Report) -> String {
    let line = |found: &Diagnostic| {
        let command = match found.level {
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Info => "notice",
        };
        let mut message = found.message.clone();
        if let Some(witness) = &found.witness {
            message.push_str(&format!("\nnote: {}", witness.text()));
        }
        if let Some(help) = &found.help {
            message.push_str(&format!("\nhelp: {help}"));
        }
        format!(
            "::{command} file={},line={},col={},title={}::{}",
            property(file_name(report, found)),
            found.at.line,
            found.at.column,
            property(&format!("{} {}", found.code, found.name)),
            data(&message)
        )
    };
    report
        .diagnostics
        .iter()
        .map(line)
        .collect::<Vec<_>>()
        .join("\n")
}

/// Escaped as the message of a command has to be.
fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// Escaped as a property of a command has to be.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_can_end_its_line_or_property() {
        assert_eq!(property("a:b,c%\nd"), "a%3Ab%2Cc%25%0Ad");
        assert_eq!(data("a:b\r\n::error::x"), "a:b%0D%0A::error::x");
    }
}
