//! Every code with its page: what `lictor lint --explain` prints and `policy/LINTS.md` is made of.

#![forbid(unsafe_code)]

use std::fmt::Write as _;

use super::diagnostic::Level;
use super::rule::Page;
use super::{loading, rules};

/// All pages, by code.
#[must_use]
pub fn pages() -> Vec<&'static Page> {
    let mut pages: Vec<&'static Page> = loading::PAGES
        .iter()
        .chain(rules::ALL.iter().map(|rule| &rule.page))
        .collect();
    let group = |page: &Page| {
        page.code
            .chars()
            .next()
            .and_then(|letter| "PGLXT".find(letter))
    };
    pages.sort_by_key(|page| (group(page), page.code));
    pages
}

/// The page of a code or name, in any case.
#[must_use]
pub fn page(name: &str) -> Option<&'static Page> {
    pages().into_iter().find(|page| {
        page.code.eq_ignore_ascii_case(name)
            || page.name == name
            || page.name.split(", ").any(|one| one == name)
    })
}

/// All pages as one Markdown document.
#[must_use]
pub fn markdown() -> String {
    let mut text = String::from(HEAD);
    let groups = [
        ('P', "Document"),
        ('G', "Globs"),
        ('L', "Meaning"),
        ('X', "Execution and record"),
        ('T', "Tests"),
    ];
    text.push_str("| code | name | level |\n|---|---|---|\n");
    for page in pages() {
        let _ = writeln!(
            text,
            "| [{code}](#{anchor}) | {name} | {level} |",
            code = page.code,
            anchor = anchor(page),
            name = page.name,
            level = page.level.word()
        );
    }
    for (letter, title) in groups {
        let of_group = pages()
            .into_iter()
            .filter(|page| page.code.starts_with(letter));
        let _ = write!(text, "\n# {title}\n");
        for page in of_group {
            let _ = write!(
                text,
                "\n## {} {}\n\n{}, since {}{}\n\n{}",
                page.code,
                page.name,
                level(page.level),
                page.since,
                if loading::PAGES.iter().any(|other| other.code == page.code) {
                    "; a policy with this does not load"
                } else {
                    ""
                },
                page.text().replace("\n## ", "\n### ").replacen(
                    "## ",
                    "### ",
                    usize::from(page.text().starts_with("## "))
                ),
            );
        }
    }
    text
}

const HEAD: &str = "# Lint rules

Made from the rules themselves; `UPDATE_EXPECT=1 cargo test --test analysis lint_catalogue` writes this file anew.
`lictor lint --explain CODE` prints one page. A finding is silenced by a comment on the line above it, with
a reason: `# lint: allow G110 -- the fixtures need it`. Errors of loading cannot be silenced.

";

fn level(level: Level) -> &'static str {
    match level {
        Level::Error => "Error",
        Level::Warning => "Warning",
        Level::Info => "Info",
    }
}

/// As GitHub makes it of a heading.
fn anchor(page: &Page) -> String {
    format!("{} {}", page.code, page.name)
        .to_lowercase()
        .replace(' ', "-")
        .replace(',', "")
}
