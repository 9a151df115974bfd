//! A generated test as a policy writes it, and where in a document it belongs.
//!
//! Edits are made of byte ranges, so that comments and layout stay; none is returned that the layout could
//! not be seen to have room for.

#![forbid(unsafe_code)]

use super::Asked;
use crate::decision::{Decision, Value};
use crate::lint::diagnostic::Edit;
use crate::lint::yaml;
use crate::policy::source::{self, Node};

/// A request as a test asks it.
pub(super) enum Form<'a> {
    /// As a command line.
    Run(&'a [String]),
    /// By name.
    Named,
}

/// A test as one flow mapping: what is asked, what is given, and all that the decision says. The actor is
/// left out if the test may be asked by anybody.
pub(super) fn test(
    id: &str,
    form: &Form<'_>,
    asked: &Asked,
    actor: Option<&str>,
    decision: &Decision,
) -> String {
    let mut parts = vec![format!("id: {}", word(id))];
    parts.push(request(form, asked));
    if let Some(cwd) = &asked.cwd {
        parts.push(format!("cwd: {}", word(cwd)));
    }
    let mut given = Vec::new();
    if !asked.env.is_empty() {
        let env = asked.env.iter();
        let env = env.map(|(name, value)| format!("{}: {}", word(name), yaml::quoted(value)));
        given.push(format!("env: {{{}}}", joined(env)));
    }
    if !asked.approved.is_empty() {
        let names = asked.approved.iter().map(|name| word(name));
        given.push(format!("approved: [{}]", joined(names)));
    }
    if let Some(actor) = actor {
        given.push(format!("actor: {}", word(actor)));
    }
    if let Some(now) = asked.at {
        given.push(format!("at: {}", yaml::quoted(&now.to_string())));
    }
    if !given.is_empty() {
        parts.push(format!("given: {{{}}}", given.join(", ")));
    }
    parts.push(format!("expect: {}", decision.effect().word()));
    // A rule that is compiled in has no name that a policy could give.
    let rule = decision.rules().iter().find(|rule| rule.at.is_some());
    if let Some(rule) = rule {
        parts.push(format!("rule: {}", word(&rule.id)));
    }
    if let Some(reason) = decision.reason() {
        parts.push(format!("reason: {}", reason.code()));
    }
    format!("{{{}}}", parts.join(", "))
}

/// Text of the request.
fn request(form: &Form<'_>, asked: &Asked) -> String {
    match form {
        Form::Run(words) => {
            format!("run: [{}]", joined(words.iter().map(|text| word(text))))
        }
        Form::Named => {
            let args = asked.args.iter();
            let args = args.map(|(name, given)| format!("{}: {}", word(name), value(given)));
            format!(
                "tool: {}, action: {}, args: {{{}}}",
                word(&asked.tool),
                word(&asked.action),
                joined(args)
            )
        }
    }
}

fn joined(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}

fn value(given: &Value) -> String {
    match given {
        Value::Null => "null".to_owned(),
        Value::Flag(is) => is.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Text(bytes) => word(&String::from_utf8_lossy(bytes)),
        Value::List(values) => match values.as_slice() {
            [only] => value(only),
            more => format!("[{}]", joined(more.iter().map(value))),
        },
    }
}

/// A text as YAML writes it in a flow: plain where every reader takes it for the same text, else in quotes.
fn word(text: &str) -> String {
    let is_plain_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/');
    let body = text.trim_start_matches('-');
    let begins = |c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '.' | '/');
    let dashes = text.len().saturating_sub(body.len());
    let is_special = SPECIAL
        .iter()
        .any(|special| special.eq_ignore_ascii_case(body));
    let is_plain = body.starts_with(begins)
        && body.chars().all(is_plain_part)
        && body.chars().any(|c| c.is_ascii_alphabetic())
        && dashes <= 2
        // `.5`, `.1e3` and `...` are no text to every reader.
        && !body
            .strip_prefix('.')
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit() || c == '.'))
        && !is_special;
    if is_plain || text == "--" {
        text.to_owned()
    } else {
        yaml::quoted(text)
    }
}

/// Words that some reader of YAML takes for something else than text.
const SPECIAL: &[&str] = &[
    "y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf", ".nan", ".inf",
];

/// Where tests are added to a document.
#[derive(Debug)]
pub(super) struct Spot {
    at: usize,
    end: usize,
    /// In front of all that is added, in front of each, between two, behind the last.
    frame: [String; 4],
}

impl Spot {
    /// The edit that adds tests there.
    pub(super) fn edit(&self, tests: &[&str]) -> Edit {
        let [first, lead, between, last] = &self.frame;
        let tests: Vec<String> = tests.iter().map(|test| format!("{lead}{test}")).collect();
        Edit {
            start: self.at,
            end: self.end,
            text: format!("{first}{}{last}", tests.join(between)),
        }
    }
}

/// The places where a document may have room for tests, the best first. That the document then holds what it
/// did and the tests has to be seen by reading it.
pub(super) fn spots(text: &str, root: &Node) -> Vec<Spot> {
    let line_end = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let spot = |at: usize, end: usize, frame: [&str; 4]| Spot {
        at,
        end,
        frame: frame.map(|part| part.replace('\n', line_end)),
    };
    let is_flow = yaml::is_in_braces(text, root);
    let Some((_, tests)) = yaml::entry(root, "tests") else {
        return match is_flow {
            true => closing(text, root)
                .map(|at| {
                    let comma = if ends_with_comma(text, at) { "" } else { ", " };
                    spot(at, at, [&format!("{comma}tests: ["), "", ", ", "]"])
                })
                .into_iter()
                .collect(),
            false => {
                // On a line of its own, behind an empty one.
                let lines = text.replace('\r', "");
                let gap = match (lines.ends_with("\n\n"), lines.ends_with('\n')) {
                    (true, _) => "",
                    (false, true) => "\n",
                    (false, false) => "\n\n",
                };
                let indent = indent_of(text, root);
                let first = format!("{gap}{indent}tests:\n");
                let lead = format!("{indent}  - ");
                vec![spot(text.len(), text.len(), [&first, &lead, "\n", "\n"])]
            }
        };
    };
    let items = match &tests.value {
        source::Value::List(items) => items.as_slice(),
        source::Value::Null
        | source::Value::Bool(_)
        | source::Value::Number(_)
        | source::Value::Text { .. }
        | source::Value::Map(_) => return Vec::new(),
    };
    let start = yaml::start(tests.at);
    let Some(last) = items.last() else {
        let end = start.saturating_add("[]".len());
        let is_bare = text.get(start..end) == Some("[]")
            && !is_flow
            && rest_of_line(text, end).is_some_and(|rest| rest.trim().is_empty());
        let opened = start.saturating_add(1);
        return match is_bare {
            true => {
                let indent = indent_of(text, root);
                let lead = format!("\n{indent}  - ");
                // Also what blank there is in front, so that no line ends with one.
                let before = text
                    .get(..start)
                    .map_or(start, |text| text.trim_end().len());
                vec![spot(before, end, ["", &lead, "", ""])]
            }
            false => vec![spot(opened, opened, ["", "", ", ", ""])],
        };
    };
    let Some(end) = value_end(text, last) else {
        return Vec::new();
    };
    if yaml::is_in_braces(text, tests) && text.get(start..).is_some_and(|t| t.starts_with('[')) {
        let line = yaml::line_start(text, yaml::start(last.at));
        let lead = match text.get(line..yaml::start(last.at)) {
            Some(indent) if indent.trim().is_empty() => format!(",\n{indent}"),
            Some(_) | None => ", ".to_owned(),
        };
        return vec![spot(end, end, ["", &lead, "", ""])];
    }
    let mut found = Vec::new();
    let first = items.first().unwrap_or(last);
    let line = yaml::line_start(text, yaml::start(first.at));
    let indent = text
        .get(line..yaml::start(first.at))
        .and_then(|lead| lead.split('-').next())
        .filter(|indent| indent.trim().is_empty());
    if let Some(indent) = indent {
        let lead = format!("{indent}- ");
        if let Some(rest) = rest_of_line(text, end) {
            let at = end.saturating_add(rest.len());
            found.push(spot(at, at, ["\n", &lead, "\n", ""]));
        }
        found.push(spot(line, line, ["", &lead, "\n", "\n"]));
    }
    found
}

/// The spaces in front of the keys of a block.
fn indent_of(text: &str, root: &Node) -> String {
    let first = yaml::entries(root).next();
    let column = first.map_or(1, |(key, _)| {
        let start = yaml::start(key.at);
        start
            .saturating_sub(yaml::line_start(text, start))
            .saturating_add(1)
    });
    let lead = column.saturating_sub(1);
    // A byte order mark is no space.
    if lead > 8 || text.starts_with('\u{feff}') && first.is_some_and(|(key, _)| key.at.line == 1) {
        return String::new();
    }
    " ".repeat(lead)
}

/// The closing brace of a mapping in braces.
fn closing(text: &str, node: &Node) -> Option<usize> {
    flow_end(text, yaml::start(node.at))?.checked_sub(1)
}

fn ends_with_comma(text: &str, at: usize) -> bool {
    text.get(..at)
        .is_some_and(|before| before.trim_end().ends_with([',', '{']))
}

/// The rest of the line, without its end.
fn rest_of_line(text: &str, at: usize) -> Option<&str> {
    let rest = text.get(at..)?;
    let line = rest.split('\n').next().unwrap_or("");
    Some(line.strip_suffix('\r').unwrap_or(line))
}

/// Where a value ends. Spans say it of single values only.
fn value_end(text: &str, node: &Node) -> Option<usize> {
    if yaml::is_in_braces(text, node) {
        return flow_end(text, yaml::start(node.at));
    }
    let last = match &node.value {
        source::Value::List(items) => items.last(),
        source::Value::Map(entries) => entries.last().map(|(_, value)| value),
        source::Value::Null
        | source::Value::Bool(_)
        | source::Value::Number(_)
        | source::Value::Text { .. } => None,
    };
    match last {
        Some(last) => value_end(text, last),
        None => Some(yaml::end(node.at)),
    }
}

/// Where what begins with a brace or bracket ends: behind the one that closes it. Braces in quotes and
/// comments close nothing.
fn flow_end(text: &str, start: usize) -> Option<usize> {
    let mut open = 0_usize;
    let mut quote: Option<char> = None;
    let mut is_comment = false;
    // What stands before, and whether blanks are between.
    let (mut before, mut blank) = ('{', false);
    let mut chars = text.get(start..)?.char_indices();
    while let Some((at, c)) = chars.next() {
        if is_comment {
            is_comment = c != '\n';
            blank = true;
            continue;
        } else if let Some(quoted) = quote {
            if c == '\\' && quoted == '"' {
                chars.next();
            } else if c == quoted {
                quote = None;
                before = c;
            }
            continue;
        }
        match c {
            '#' if blank => is_comment = true,
            '"' | '\'' if matches!(before, '{' | '[' | ',' | ':') => quote = Some(c),
            // Written twice, it is itself.
            '\'' if before == '\'' && !blank => quote = Some(c),
            '{' | '[' => open = open.saturating_add(1),
            '}' | ']' => {
                open = open.saturating_sub(1);
                if open == 0 {
                    return start.checked_add(at)?.checked_add(1);
                }
            }
            _ => {}
        }
        blank = c.is_whitespace();
        if !blank {
            before = c;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_braces_ends_where_they_are_closed() {
        #[track_caller]
        fn check(text: &str) {
            let end = text.find('$').unwrap();
            assert_eq!(flow_end(&text.replace('$', ""), 0), Some(end), "{text}");
        }
        check("[]$ x");
        check("{a: [1, {b: c}], d: e}$ }");
        check("[\"]\", ']', \"\\\"]\"]$");
        check("[it's, a'b]$ ']");
        check("[a # ]\n]$");
        check("[a#, b]$");
        check("{a: 'it''s }'}$");
        assert_eq!(flow_end("[a", 0), None);
    }

    #[test]
    fn words_are_plain_where_every_reader_takes_them_for_the_same_text() {
        #[track_caller]
        fn check(text: &str, is_plain: bool) {
            assert_eq!(word(text) == text, is_plain, "{text}");
            let read: serde_yaml::Value =
                serde_yaml::from_str(&format!("[{}]", word(text))).unwrap();
            assert_eq!(read.get(0).and_then(|read| read.as_str()), Some(text));
        }
        for text in [
            "a",
            "docs/a.md",
            ".env",
            "-k",
            "--xml",
            "--",
            "_a",
            "/etc/x",
            "a-b_c.d",
        ] {
            check(text, true);
        }
        for text in [
            "",
            "1",
            "1.5",
            "-1",
            ".5",
            "...",
            "---",
            "no",
            "Yes",
            "null",
            "~",
            "-",
            "a b",
            "a#b",
            "a: b",
            "[x",
            "x=y",
            ".inf",
            "-.inf",
            "0x1f",
            "2027-01-31",
            "*",
            "&a",
            "!t",
            "%2e",
            "a\nb",
            "\"",
            "é",
        ] {
            check(text, false);
        }
    }
}
