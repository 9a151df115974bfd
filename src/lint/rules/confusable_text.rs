//! P011: text that shows otherwise than it is.

#![forbid(unsafe_code)]

use crate::lint::rule::{Findings, declare_rule};
use crate::lint::subject::Subject;
use crate::policy::Span;

declare_rule! {
    /// ## What it does
    /// Finds bidirectional controls and invisible characters anywhere in the document, names in patterns that mix scripts
    /// (a Cyrillic `а` among Latin letters), and ids that look alike (`l` and `1`, `O` and `0`, `-` and `_`).
    ///
    /// ## Why is this bad?
    /// What a reviewer sees is not what is enforced.
    ///
    /// ## Example
    /// ```yaml
    /// use: lictor/files@1
    /// scopes: {docs: "dоcs/**"}
    /// rules:
    ///   - {id: read, allow: filesystem.read_file, within: docs}
    /// ```
    ///
    /// ## When it stays silent
    /// ```yaml
    /// use: lictor/files@1
    /// scopes: {docs: "docs/**", dokumente: "дела/**"}
    /// rules:
    ///   - {id: read, allow: filesystem.read_file, within: [docs, dokumente]}
    /// ```
    pub(super) static CONFUSABLE_TEXT = { code: "P011", name: "confusable-text", level: Warning, since: "0.1.0" }
}

pub(super) fn check(subject: &Subject<'_>, out: &mut Findings<'_>) {
    controls(subject, out);
    scripts(subject, out);
    look_alikes(subject, out);
}

fn controls(subject: &Subject<'_>, out: &mut Findings<'_>) {
    let (mut line, mut column) = (1_u32, 1_u32);
    for (offset, c) in subject.text.char_indices() {
        let kind = match c {
            '\u{061c}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}' => Some("a bidirectional control"),
            '\u{00ad}' | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2064}' => {
                Some("an invisible character")
            }
            // At the very beginning it only says that the file is UTF-8.
            '\u{feff}' if offset > 0 => Some("an invisible character"),
            _ => None,
        };
        if let Some(kind) = kind {
            let at = Span {
                file: 0,
                offset: u32::try_from(offset).unwrap_or(u32::MAX),
                len: u32::try_from(c.len_utf8()).unwrap_or(1),
                line,
                column,
            };
            out.at(
                at,
                format!("{kind}, U+{:04X}, stands here", u32::from(c)),
                |d| {
                    d.help("take it out: what follows may show otherwise than it is");
                },
            );
        }
        if c == '\n' {
            (line, column) = (line.saturating_add(1), 1);
        } else {
            column = column.saturating_add(1);
        }
    }
}

fn scripts(subject: &Subject<'_>, out: &mut Findings<'_>) {
    for scope in &subject.model.scopes {
        for (pattern, at) in scope.include.iter().chain(&scope.exclude) {
            for name in pattern.as_str().split('/') {
                let mut scripts: Vec<&str> = name.chars().filter_map(script).collect();
                scripts.dedup();
                scripts.sort_unstable();
                scripts.dedup();
                if scripts.len() < 2 {
                    continue;
                }
                let odd = name
                    .chars()
                    .find(|c| script(*c).is_some_and(|script| script != "Latin"));
                let shown = odd.map_or(String::new(), |c| {
                    format!(": `{c}` is U+{:04X}", u32::from(c))
                });
                let message = format!("`{name}` mixes {} letters{shown}", scripts.join(" and "));
                out.at(*at, message, |d| {
                    d.help("write the name in one script");
                });
            }
        }
    }
}

/// The script of a letter, for those whose letters look alike.
fn script(c: char) -> Option<&'static str> {
    match c {
        'a'..='z' | 'A'..='Z' | '\u{00c0}'..='\u{024f}' => Some("Latin"),
        '\u{0370}'..='\u{03ff}' | '\u{1f00}'..='\u{1fff}' => Some("Greek"),
        '\u{0400}'..='\u{052f}' => Some("Cyrillic"),
        '\u{0530}'..='\u{058f}' => Some("Armenian"),
        '\u{13a0}'..='\u{13ff}' => Some("Cherokee"),
        _ => None,
    }
}

fn look_alikes(subject: &Subject<'_>, out: &mut Findings<'_>) {
    let rules = subject
        .model
        .rules
        .iter()
        .map(|rule| ("rule", rule.id.as_str(), rule.at));
    let scopes = crate::lint::yaml::get(&subject.root, "scopes")
        .into_iter()
        .flat_map(crate::lint::yaml::entries)
        .filter_map(|(key, _)| Some(("scope", crate::lint::yaml::text(key)?, key.at)));
    let approvals = subject
        .model
        .approvals
        .iter()
        .map(|known| ("approval", known.name.as_str(), known.at));
    let mut seen: std::collections::HashMap<(&str, String), (&str, Span)> =
        std::collections::HashMap::new();
    for (what, name, at) in rules.chain(scopes).chain(approvals) {
        match seen.entry((what, skeleton(name))) {
            std::collections::hash_map::Entry::Occupied(first) => {
                let (other, first_at) = *first.get();
                if other != name {
                    let message = format!(
                        "{what} `{name}` looks like {what} `{other}` on line {}",
                        first_at.line
                    );
                    out.at(at, message, |d| {
                        d.help("give one of them a name that cannot be mistaken for the other")
                            .related(first_at, "the other one");
                    });
                }
            }
            std::collections::hash_map::Entry::Vacant(free) => {
                free.insert((name, at));
            }
        }
    }
}

/// The common form of names that look alike.
fn skeleton(name: &str) -> String {
    name.chars()
        .map(|c| match c {
            '1' | 'I' | 'l' | 'i' => 'l',
            '0' | 'O' | 'o' => 'o',
            '_' | '-' => '-',
            other => other.to_ascii_lowercase(),
        })
        .collect()
}
