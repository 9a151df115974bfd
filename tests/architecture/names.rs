//! The text of a Rust file -> every path that it names, with its line.
//!
//! Not a parser: it knows words, signs, texts and comments, which is enough to find `use` trees,
//! paths in expressions and macros. What it cannot see is a name made by a macro.

/// A path of Rust that stands in a file. What is written from `crate`, `super` or `self` is spelled
/// from `crate`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) path: Vec<String>,
    pub(super) line: usize,
    pub(super) in_tests: bool,
}

/// Every path in the text, groups taken apart.
pub(super) fn names(text: &str, module: &[String]) -> Vec<Named> {
    let tokens = tokens(text);
    let mut reader = Reader {
        tokens: &tokens,
        at: 0,
        module: module.to_vec(),
        inline: Vec::new(),
        depth: 0,
        found: Vec::new(),
    };
    reader.read();
    reader.found
}

struct Reader<'t> {
    tokens: &'t [Token<'t>],
    at: usize,
    module: Vec<String>,
    /// Modules written in place: the depth of braces they stand at, and whether they are tests.
    inline: Vec<(usize, bool)>,
    depth: usize,
    found: Vec<Named>,
}

impl Reader<'_> {
    fn read(&mut self) {
        let mut is_test = false;
        while let Some(token) = self.tokens.get(self.at) {
            match token.text {
                "{" => self.depth += 1,
                "}" => {
                    self.depth -= 1;
                    if self
                        .inline
                        .last()
                        .is_some_and(|(depth, _)| *depth == self.depth)
                    {
                        self.inline.pop();
                        self.module.pop();
                    }
                }
                "mod" if self.text_at(2) == "{" => {
                    self.module.push(self.text_at(1).to_owned());
                    self.inline.push((self.depth, std::mem::take(&mut is_test)));
                    self.depth += 1;
                    self.at += 2;
                }
                // The attribute of the next item.
                "cfg"
                    if self.text_at(1) == "("
                        && self.text_at(2) == "test"
                        && self.text_at(3) == ")" =>
                {
                    is_test = true;
                    self.at += 5;
                    continue;
                }
                // What follows is a field or a method, not a path.
                "." if is_identifier(self.text_at(1)) => self.at += 1,
                "fn" | "use" | "const" | "static" | "struct" | "enum" | "impl" | "trait"
                | "type" => is_test = false,
                text if is_identifier(text) => {
                    let is_use =
                        self.at > 0 && matches!(self.tokens[self.at - 1].text, "use" | "crate");
                    self.path(Vec::new(), is_use);
                    continue;
                }
                _ => {}
            }
            self.at += 1;
        }
    }

    fn text_at(&self, ahead: usize) -> &str {
        self.tokens
            .get(self.at + ahead)
            .map_or("", |token| token.text)
    }

    /// Reads one path from here on, with what stands before it.
    fn path(&mut self, mut path: Vec<String>, is_use: bool) {
        let line = self.tokens[self.at].line;
        loop {
            let text = self.text_at(0).to_owned();
            if text == "{" {
                self.at += 1;
                while !matches!(self.text_at(0), "}" | "") {
                    if is_identifier(self.text_at(0)) || self.text_at(0) == "*" {
                        self.path(path.clone(), true);
                    } else {
                        self.at += 1;
                    }
                }
                self.at += 1;
                return;
            }
            self.at += 1;
            path.push(text);
            if self.text_at(0) == "as" && is_use {
                self.at += 2;
            }
            let leads_on = self.text_at(0) == "::"
                && (is_identifier(self.text_at(1)) || matches!(self.text_at(1), "{" | "*"));
            if !leads_on {
                break;
            }
            self.at += 1;
        }
        if self.text_at(0) == "!" && self.text_at(1) != "=" {
            path.last_mut().unwrap().push('!');
        }
        // A lone word is a variable unless `use` brings it in.
        if path.len() > 1 || is_use || path[0].ends_with('!') {
            let in_tests = self.inline.iter().any(|(_, is_test)| *is_test);
            self.found.push(Named {
                path: self.absolute(path),
                line,
                in_tests,
            });
        }
    }

    /// Spells a path that begins with `self` or `super` from `crate`.
    fn absolute(&self, path: Vec<String>) -> Vec<String> {
        let ups = path.iter().take_while(|part| *part == "super").count();
        let skip = ups + usize::from(ups == 0 && path[0] == "self");
        if skip == 0 {
            return path;
        }
        let base = &self.module[..self.module.len().saturating_sub(ups)];
        let root = std::iter::once("crate".to_owned()).chain(base.iter().cloned());
        root.chain(path.into_iter().skip(skip)).collect()
    }
}

#[derive(Clone, Copy)]
struct Token<'t> {
    text: &'t str,
    line: usize,
}

fn is_identifier(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Words and signs of Rust, without comments, texts, characters and lifetimes.
fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    let mut at = 0;
    let mut line = 1;
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        let len = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(len) = literal_len(rest) {
            len
        } else if is_identifier(rest) {
            let len = rest
                .find(|c: char| !(c.is_alphanumeric() || c == '_'))
                .unwrap_or(rest.len());
            found.push(Token {
                text: &rest[..len],
                line,
            });
            len
        } else if c.is_ascii_digit() {
            // A number with its type; its point and exponent do not matter.
            rest.find(|c: char| !(c.is_alphanumeric() || c == '_'))
                .unwrap_or(rest.len())
        } else {
            let len = if rest.starts_with("::") {
                2
            } else {
                c.len_utf8()
            };
            if !c.is_whitespace() {
                found.push(Token {
                    text: &rest[..len],
                    line,
                });
            }
            len
        };
        line += rest[..len].matches('\n').count();
        at += len;
    }
    found
}

/// The length of a text, character or lifetime that begins here.
fn literal_len(rest: &str) -> Option<usize> {
    let prefix = rest
        .find(|c| !matches!(c, 'b' | 'c' | 'r'))
        .filter(|len| *len <= 2)?;
    let body = &rest[prefix..];
    let hashes = body.len() - body.trim_start_matches('#').len();
    if rest[..prefix].contains('r') && body[hashes..].starts_with('"') {
        let end = format!("\"{}", "#".repeat(hashes));
        let inside = &body[hashes + 1..];
        return Some(prefix + hashes + 1 + inside.find(&end).unwrap() + end.len());
    }
    if body.starts_with('"') {
        return Some(prefix + quoted_len(body, '"'));
    }
    if body.starts_with('\'') && (prefix == 0 || &rest[..prefix] == "b") {
        let mut inside = body[1..].chars();
        let first = inside.next()?;
        let is_character = first == '\\' || inside.next() == Some('\'');
        let name = body[1..]
            .find(|c: char| !(c.is_alphanumeric() || c == '_'))
            .unwrap_or(body.len() - 1);
        return Some(
            prefix
                + if is_character {
                    quoted_len(body, '\'')
                } else {
                    1 + name
                },
        );
    }
    None
}

fn quoted_len(body: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in body.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    body.len()
}

#[track_caller]
fn check(text: &str, module: &str, expected: &[(&str, usize)]) {
    let module: Vec<String> = module
        .split("::")
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect();
    let found: Vec<_> = names(text, &module)
        .iter()
        .map(|named| (named.path.join("::"), named.line))
        .collect();
    let found: Vec<_> = found
        .iter()
        .map(|(path, line)| (path.as_str(), *line))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn the_reader_of_names_takes_rust_apart() {
    check(
        "use crate::policy::glob::Pattern;",
        "path",
        &[("crate::policy::glob::Pattern", 1)],
    );
    check(
        "use crate::{path::{self, Syntax}, policy as p, reason::*};",
        "",
        &[
            ("crate::path::self", 1),
            ("crate::path::Syntax", 1),
            ("crate::policy", 1),
            ("crate::reason::*", 1),
        ],
    );
    check(
        "let x = super::super::decision::decide();",
        "policy::glob",
        &[("crate::decision::decide", 1)],
    );
    check(
        "mod tests {\n use super::*;\n use super::super::policy; }\nuse super::reason;",
        "path",
        &[
            ("crate::path::*", 2),
            ("crate::policy", 3),
            ("crate::reason", 4),
        ],
    );
    check(
        "// crate::cli\nlet a = \"crate::cli\"; let b = r#\"crate::\"cli\"#; /* crate::cli */",
        "",
        &[],
    );
    check(
        "let c = '\"'; let d: &'static str = f(b'\\'', \"\\\"\"); crate::cli::x",
        "",
        &[("crate::cli::x", 1)],
    );
    check("println!(\"{}\", nix.len())", "", &[("println!", 1)]);
    check(
        "use nix;\nif a != b { nix::unistd::getpid() }",
        "",
        &[("nix", 1), ("nix::unistd::getpid", 2)],
    );
    check(
        "let v = Vec::<crate::cli::X>::new();",
        "",
        &[("crate::cli::X", 1)],
    );
}

#[test]
fn tests_are_told_from_the_rest() {
    let text = "fn a() { std::fs::a(); }\n#[cfg(test)]\nmod tests {\n fn b() { std::fs::b(); }\n}\n\
                #[cfg(test)]\nfn c() {}\nmod d { fn e() { std::fs::e(); } }";
    let found: Vec<_> = names(text, &[])
        .iter()
        .map(|named| (named.path.join("::"), named.in_tests))
        .collect();
    let found: Vec<_> = found
        .iter()
        .map(|(path, in_tests)| (path.as_str(), *in_tests))
        .collect();
    assert_eq!(
        found,
        [
            ("std::fs::a", false),
            ("std::fs::b", true),
            ("std::fs::e", false)
        ]
    );
}
