//! What one word of a command line may be, as an automaton over its characters; and a word that is two
//! things at once.

#![forbid(unsafe_code)]

use std::collections::{HashSet, VecDeque};

use regex_syntax::hir::{Class, Hir, HirKind};

use super::budget::{Cap, Meter};
use crate::policy::model::{Argument, ArgumentKind, WORKSPACE};

/// A set of words.
#[derive(Debug)]
pub(super) struct Words {
    nodes: Vec<Node>,
    start: usize,
    /// Characters before the value.
    value_from: usize,
    /// The value is text: without control characters, but for these.
    text: Option<Text>,
    may_be_option: bool,
    may_be_empty: bool,
    has_value: bool,
    /// Words of it that are read as something else.
    but: Vec<String>,
}

#[derive(Clone, Copy, Debug)]
struct Text {
    lines: bool,
    dash: bool,
}

#[derive(Debug)]
enum Node {
    /// Leads on to all of these without reading.
    Fork(Vec<usize>),
    /// Reads a character of these ranges, which are sorted.
    Read(Vec<(char, char)>, usize),
    End,
}

/// Nodes that the words of one argument may take.
const MOST_NODES: usize = 20_000;

/// Characters of a word that is looked for.
const MOST_CHARACTERS: usize = 512;

impl Words {
    /// This word.
    pub(super) fn literal(word: &str) -> Result<Words, Cap> {
        Words::new(word, None, None)
    }

    /// `prefix`, then what the expression matches.
    pub(super) fn matching(prefix: &str, expression: &str) -> Result<Words, Cap> {
        Words::new(prefix, Some(expression), None)
    }

    /// `prefix`, then a value of the argument.
    pub(super) fn valued(prefix: &str, argument: &Argument) -> Result<Words, Cap> {
        let any = "(?s).*".to_owned();
        let (expression, text) = match &argument.kind {
            ArgumentKind::Flag => return Err(Cap::NotReproduced),
            ArgumentKind::Path(_) => (any, None),
            ArgumentKind::Text {
                pattern,
                lines,
                dash,
                suffix,
                means: _,
            } => {
                let text = Text {
                    lines: *lines,
                    dash: *dash,
                };
                let pattern = pattern.as_ref().map(|pattern| pattern.as_str().to_owned());
                let expression = pattern.unwrap_or(any);
                let mut words = Words::new("", Some(&expression), Some(text))?;
                if let Some(suffix) = suffix {
                    words.suffixed(suffix)?;
                }
                return words.behind(prefix);
            }
            ArgumentKind::Int { min, max } => (numbers(*min, *max), None),
            ArgumentKind::Choice(words) => {
                let words: Vec<_> = words
                    .iter()
                    .map(|word| regex_syntax::escape(word))
                    .collect();
                (words.join("|"), None)
            }
        };
        Words::new(prefix, Some(&expression), text)
    }

    fn new(prefix: &str, expression: Option<&str>, text: Option<Text>) -> Result<Words, Cap> {
        let mut words = Words {
            nodes: vec![Node::End],
            start: 0,
            value_from: prefix.chars().count(),
            text,
            may_be_option: true,
            may_be_empty: true,
            has_value: expression.is_some(),
            but: Vec::new(),
        };
        if let Some(expression) = expression {
            let parsed = regex_syntax::parse(expression).map_err(|_| Cap::NotReproduced)?;
            words.start = words.add(&parsed, 0)?;
        }
        words.start = words.spelled(prefix, words.start)?;
        Ok(words)
    }

    /// A word that is always passed on, with each way to the workspace that it can name.
    pub(super) fn fixed(word: &str) -> Result<Words, Cap> {
        match word.split_once(WORKSPACE) {
            None => Words::literal(word),
            Some((front, back)) => {
                let back = regex_syntax::escape(back);
                Words::matching(front, &format!(r"(?:\.|\.\.(?:/\.\.)*){back}"))
            }
        }
    }

    /// These words behind a prefix, which is no part of the value.
    fn behind(mut self, prefix: &str) -> Result<Words, Cap> {
        self.value_from = prefix.chars().count();
        self.start = self.spelled(prefix, self.start)?;
        Ok(self)
    }

    /// With the suffix at the end and before dots: it may be written there, and is passed on there.
    fn suffixed(&mut self, suffix: &str) -> Result<(), Cap> {
        for nth in 0..self.nodes.len() {
            let ends = match self.nodes.get(nth) {
                Some(Node::End) => true,
                Some(Node::Read(ranges, _)) => ranges.iter().any(|(a, z)| (*a..=*z).contains(&'.')),
                Some(Node::Fork(_)) | None => false,
            };
            let Some(node) = self.nodes.get_mut(nth).filter(|_| ends) else {
                continue;
            };
            let plain = std::mem::replace(node, Node::End);
            let plain = self.node(plain)?;
            let suffixed = self.spelled(suffix, plain)?;
            if let Some(node) = self.nodes.get_mut(nth) {
                *node = Node::Fork(vec![plain, suffixed]);
            }
        }
        Ok(())
    }

    /// Only those that do not look like an option.
    pub(super) fn no_option(mut self) -> Words {
        self.may_be_option = false;
        self
    }

    /// Only those with a value of at least one character.
    pub(super) fn not_empty(mut self) -> Words {
        self.may_be_empty = false;
        self
    }

    /// Whether more than one word can be in it.
    pub(super) fn has_value(&self) -> bool {
        self.has_value
    }

    /// All but these.
    pub(super) fn without(&mut self, words: Vec<String>) {
        self.but = words;
    }

    fn node(&mut self, node: Node) -> Result<usize, Cap> {
        if self.nodes.len() >= MOST_NODES {
            return Err(Cap::Memory);
        }
        self.nodes.push(node);
        Ok(self.nodes.len().saturating_sub(1))
    }

    fn spelled(&mut self, text: &str, mut next: usize) -> Result<usize, Cap> {
        for c in text.chars().rev() {
            next = self.node(Node::Read(vec![(c, c)], next))?;
        }
        Ok(next)
    }

    /// What an expression matches, and then what `next` leads to.
    fn add(&mut self, expression: &Hir, next: usize) -> Result<usize, Cap> {
        match expression.kind() {
            // An assertion is taken for granted: each word that is found is shown to the real decision.
            HirKind::Empty | HirKind::Look(_) => Ok(next),
            HirKind::Literal(literal) => {
                let text = std::str::from_utf8(&literal.0).map_err(|_| Cap::NotReproduced)?;
                self.spelled(text, next)
            }
            HirKind::Class(Class::Unicode(class)) => {
                let ranges = class.iter().map(|range| (range.start(), range.end()));
                self.node(Node::Read(ranges.collect(), next))
            }
            HirKind::Class(Class::Bytes(class)) => {
                let ascii = class.iter().filter(|range| range.start().is_ascii());
                let ranges = ascii
                    .map(|range| (char::from(range.start()), char::from(range.end().min(0x7f))));
                self.node(Node::Read(ranges.collect(), next))
            }
            HirKind::Repetition(repetition) => {
                let mut at = match repetition.max {
                    None => {
                        let again = self.node(Node::Fork(Vec::new()))?;
                        let body = self.add(&repetition.sub, again)?;
                        if let Some(node) = self.nodes.get_mut(again) {
                            *node = Node::Fork(vec![body, next]);
                        }
                        again
                    }
                    Some(max) => {
                        let mut at = next;
                        for _ in repetition.min..max {
                            let body = self.add(&repetition.sub, at)?;
                            at = self.node(Node::Fork(vec![body, next]))?;
                        }
                        at
                    }
                };
                for _ in 0..repetition.min {
                    at = self.add(&repetition.sub, at)?;
                }
                Ok(at)
            }
            HirKind::Capture(capture) => self.add(&capture.sub, next),
            HirKind::Concat(parts) => parts
                .iter()
                .rev()
                .try_fold(next, |next, part| self.add(part, next)),
            HirKind::Alternation(branches) => {
                let starts: Result<Vec<usize>, Cap> = branches
                    .iter()
                    .map(|branch| self.add(branch, next))
                    .collect();
                let starts = starts?;
                self.node(Node::Fork(starts))
            }
        }
    }

    /// Whether a character may stand at a place of a word.
    fn permits(&self, c: char, at: usize, after_dash: bool) -> bool {
        if !self.may_be_option && after_dash {
            return false;
        }
        let Some(text) = self.text.filter(|_| at >= self.value_from) else {
            return true;
        };
        let is_odd = c.is_control() && c != '\t' && !(c == '\n' && text.lines);
        !is_odd && (text.dash || at > self.value_from || c != '-')
    }

    fn may_end(&self, len: usize) -> bool {
        self.may_be_empty || len > self.value_from
    }
}

/// A short word that is in both sets, if there is one.
pub(super) fn common(a: &Words, b: &Words, meter: &Meter<'_, '_>) -> Result<Option<String>, Cap> {
    // What is told apart of the length of a word: where values begin, and whether they are empty.
    let enough = a.value_from.max(b.value_from).saturating_add(2);
    let but: Vec<&str> = a.but.iter().chain(&b.but).map(String::as_str).collect();
    let mut ways = vec![Way {
        at: (a.start, b.start),
        len: 0,
        is_dash: false,
        spelled: (!but.is_empty()).then(String::new),
        parent: 0,
        c: None,
    }];
    let mut empty = false;
    let mut seen = HashSet::new();
    let mut waiting: VecDeque<usize> = VecDeque::from([0]);
    while let Some(nth) = waiting.pop_front() {
        meter.step(1)?;
        let Some(way) = ways.get(nth) else { break };
        let (at, len, is_dash, spelled) = (way.at, way.len, way.is_dash, way.spelled.clone());
        if !seen.insert((at, len.min(enough), is_dash, spelled.clone())) {
            continue;
        }
        let mut fork = |to: &[usize], place: &dyn Fn(usize) -> (usize, usize)| {
            for next in to.iter().rev() {
                waiting.push_front(ways.len());
                ways.push(Way {
                    at: place(*next),
                    len,
                    is_dash,
                    spelled: spelled.clone(),
                    parent: nth,
                    c: None,
                });
            }
        };
        match (a.nodes.get(at.0), b.nodes.get(at.1)) {
            (Some(Node::Fork(to)), _) => fork(to, &|next| (next, at.1)),
            (_, Some(Node::Fork(to))) => fork(to, &|next| (at.0, next)),
            (Some(Node::End), Some(Node::End)) => {
                let is_other = spelled.as_deref().is_some_and(|word| but.contains(&word));
                // An empty word is a word, and one to show only where there is no other.
                let may_end = a.may_end(len) && b.may_end(len) && !is_other;
                if may_end && len > 0 {
                    return Ok(Some(word(&ways, nth)));
                }
                empty |= may_end;
            }
            (Some(Node::Read(mine, to_a)), Some(Node::Read(others, to_b)))
                if len < MOST_CHARACTERS =>
            {
                let permits = |c: char| a.permits(c, len, is_dash) && b.permits(c, len, is_dash);
                // A character on the way to a word that is left out is told apart from all others.
                let on_the_way = |c: &char| {
                    let so_far = spelled.as_deref();
                    so_far.is_some_and(|word| but.iter().any(|but| leads_to(word, *c, but)))
                };
                let next = |text: &&str| text.chars().nth(len);
                let special: Vec<char> = but.iter().filter_map(next).filter(on_the_way).collect();
                for c in characters(mine, others, &special, &permits) {
                    let on = spelled.as_ref().filter(|_| on_the_way(&c));
                    waiting.push_back(ways.len());
                    ways.push(Way {
                        at: (*to_a, *to_b),
                        len: len.saturating_add(1),
                        is_dash: len == 0 && c == '-',
                        spelled: on.map(|word| format!("{word}{c}")),
                        parent: nth,
                        c: Some(c),
                    });
                }
            }
            _ => {}
        }
        meter.hold(96)?;
    }
    Ok(empty.then(String::new))
}

/// Whether `word` and then `c` begins the other.
fn leads_to(word: &str, c: char, other: &str) -> bool {
    let rest = other.strip_prefix(word);
    rest.is_some_and(|rest| rest.starts_with(c))
}

struct Way {
    at: (usize, usize),
    len: usize,
    /// It is a dash so far.
    is_dash: bool,
    /// The word so far, while it begins one that is left out.
    spelled: Option<String>,
    parent: usize,
    c: Option<char>,
}

fn word(ways: &[Way], last: usize) -> String {
    let mut word = Vec::new();
    let mut at = last;
    while let Some(way) = ways.get(at).filter(|_| at > 0) {
        word.extend(way.c);
        at = way.parent;
    }
    word.iter().rev().collect()
}

/// The plainest character that both read, and those of the special ones and the dash that both do: a word
/// with one of them may be another thing.
fn characters(
    a: &[(char, char)],
    b: &[(char, char)],
    special: &[char],
    permits: &dyn Fn(char) -> bool,
) -> Vec<char> {
    let mut both: Vec<(char, char)> = Vec::new();
    let (mut left, mut right) = (a.iter().peekable(), b.iter().peekable());
    while let (Some((a_from, a_to)), Some((b_from, b_to))) = (left.peek(), right.peek()) {
        let (from, to) = (*a_from.max(b_from), *a_to.min(b_to));
        if from <= to {
            both.push((from, to));
        }
        if a_to < b_to {
            left.next();
        } else {
            right.next();
        }
    }
    let is_in = |c: char| both.iter().any(|(from, to)| (*from..=*to).contains(&c)) && permits(c);
    let is_plain = |c: &char| *c != '-' && !special.contains(c) && is_in(*c);
    let plain = ('a'..='z')
        .chain('0'..='9')
        .chain('A'..='Z')
        .chain(' '..='~')
        .chain(['\u{e9}'])
        .find(is_plain);
    let ends = || {
        both.iter()
            .flat_map(|(from, to)| [*from, *to])
            .find(is_plain)
    };
    let mut found: Vec<char> = plain.or_else(ends).into_iter().collect();
    for c in special.iter().copied().chain(['-']) {
        if is_in(c) && !found.contains(&c) {
            found.push(c);
        }
    }
    found
}

/// An expression for the whole numbers from `min` to `max`, each in its one spelling.
fn numbers(min: i64, max: i64) -> String {
    let mut parts = Vec::new();
    if min < 0 && min <= max {
        let nearest = if max < 0 { max.unsigned_abs() } else { 1 };
        parts.push(format!("-(?:{})", from_to(nearest, min.unsigned_abs())));
    }
    if min <= 0 && max >= 0 {
        parts.push("0".to_owned());
    }
    if max > 0 && min <= max {
        parts.push(from_to(min.max(1).unsigned_abs(), max.unsigned_abs()));
    }
    // Nothing lies between them: an expression that nothing matches.
    if parts.is_empty() {
        return "[a&&b]".to_owned();
    }
    parts.join("|")
}

/// The numbers from `low`, which is not 0, to `high`.
fn from_to(low: u64, high: u64) -> String {
    let (low, high) = (low.to_string(), high.to_string());
    let mut parts = Vec::new();
    for len in low.len()..=high.len() {
        let from = if len == low.len() {
            low.clone()
        } else {
            format!("1{}", "0".repeat(len.saturating_sub(1)))
        };
        let to = if len == high.len() {
            high.clone()
        } else {
            "9".repeat(len)
        };
        parts.push(of_one_length(&from, &to));
    }
    parts.join("|")
}

fn of_one_length(low: &str, high: &str) -> String {
    let (Some(a), Some(b)) = (low.chars().next(), high.chars().next()) else {
        return String::new();
    };
    // All of that length: without this, each digit would double the expression.
    if low.chars().all(|c| c == '0') && high.chars().all(|c| c == '9') {
        return format!("[0-9]{{{}}}", low.len());
    }
    let (low_rest, high_rest) = (low.get(1..).unwrap_or(""), high.get(1..).unwrap_or(""));
    if a == b {
        return format!("{a}{}", of_one_length(low_rest, high_rest));
    }
    let rest = low_rest.len();
    let mut parts = vec![format!("{a}{}", of_one_length(low_rest, &"9".repeat(rest)))];
    let between: String = ('0'..='9').filter(|c| a < *c && *c < b).collect();
    if !between.is_empty() {
        parts.push(format!("[{between}][0-9]{{{rest}}}"));
    }
    parts.push(format!(
        "{b}{}",
        of_one_length(&"0".repeat(rest), high_rest)
    ));
    format!("(?:{})", parts.join("|"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::analysis::Budget;

    fn meets(a: &Words, b: &Words) -> Option<String> {
        common(a, b, &Budget::default().meter()).unwrap()
    }

    #[test]
    fn a_common_word_is_found_and_is_plain() {
        #[track_caller]
        fn check(a: (&str, &str), b: (&str, &str), expected: Option<&str>) {
            let words = |(prefix, rest): (&str, &str)| Words::matching(prefix, rest).unwrap();
            assert_eq!(meets(&words(a), &words(b)).as_deref(), expected);
        }
        check(("--x=", "[a-z]+"), ("--x=", "b|c"), Some("--x=b"));
        check(("-o", ".*"), ("-out=", "[0-9]{2}"), Some("-out=00"));
        check(("", "[a-m]+x"), ("", "[k-w]+"), None);
        check(("", "[a-m]+x"), ("", "[k-z]+"), Some("kx"));
        check(("", "[a-m]+x"), ("", "[k-z]{2}|kk*x"), Some("kx"));
        check(("", "(ab)*c"), ("", "a?b?a?b?c"), Some("c"));
        check(("", "(?i)main"), ("", "[A-Z]+"), Some("MAIN"));
        check(("", r"\pL{2}"), ("", "ß."), Some("ßa"));
        check(("a", ""), ("b", ""), None);
    }

    #[test]
    fn what_is_no_option_does_not_begin_like_one() {
        let any = || Words::matching("", "(?s).*").unwrap();
        let option = Words::matching("-", ".*").unwrap();
        assert_eq!(meets(&any(), &option).as_deref(), Some("-"));
        let longer = Words::matching("-", ".+").unwrap();
        assert_eq!(meets(&any(), &longer).as_deref(), Some("-a"));
        assert_eq!(meets(&any().no_option(), &longer), None);
        assert_eq!(
            meets(&any().not_empty(), &Words::literal("").unwrap()),
            None
        );
    }

    proptest! {
        #[test]
        fn an_expression_for_numbers_matches_just_these(a in -2000_i64..2000, b in -2000_i64..2000, c in -2500_i64..2500) {
            let (min, max) = (a.min(b), a.max(b));
            let regex = regex::Regex::new(&format!(r"\A(?:{})\z", numbers(min, max))).unwrap();
            prop_assert_eq!(regex.is_match(&c.to_string()), (min..=max).contains(&c));
        }
    }

    #[test]
    fn the_widest_range_of_numbers_has_its_ends() {
        let regex =
            regex::Regex::new(&format!(r"\A(?:{})\z", numbers(i64::MIN, i64::MAX))).unwrap();
        for (text, is_in) in [
            ("9223372036854775807", true),
            ("9223372036854775808", false),
            ("-9223372036854775808", true),
            ("-9223372036854775809", false),
            ("0", true),
            ("-0", false),
            ("01", false),
        ] {
            assert_eq!(regex.is_match(text), is_in, "{text}");
        }
    }
}
