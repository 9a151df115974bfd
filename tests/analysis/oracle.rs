//! A second method: each pattern as a regular expression over whole paths, compiled to a dense DFA, and
//! inclusion by walking the product of all of them byte by byte. Only names as they are written: what a file
//! system may take them for is no regular expression, and is held to by trying names (`sets.rs`, `tests/decide/folding.rs`).

use std::collections::{HashSet, VecDeque};

use lictor::analysis::{Answer, Budget, PathSet, Space};
use lictor::policy::glob::{Case, Pattern, Piece, Segment};
use proptest::prelude::*;
use proptest::sample::subsequence;
use regex_automata::dfa::{Automaton, StartKind, dense};
use regex_automata::util::primitives::StateID;
use regex_automata::util::{start, syntax};
use regex_automata::{Anchored, MatchKind};

/// Any byte of a name.
const BYTE: &str = r"[^/\x00]";

fn byte(b: u8) -> String {
    format!(r"\x{b:02x}")
}

fn letter(c: char) -> String {
    byte(u8::try_from(c).unwrap())
}

fn piece(piece: &Piece) -> String {
    match piece {
        Piece::Literal(text) => text.chars().map(letter).collect(),
        Piece::Star => format!("{BYTE}*"),
        Piece::AnyByte => BYTE.to_owned(),
        Piece::Class(class) => {
            let members = (1..128_u8).filter(|b| *b != b'/' && class.contains(*b, Case::Exact));
            format!("[{}]", members.map(byte).collect::<String>())
        }
        Piece::Alternatives(branches) => {
            let branches = branches.iter().map(|branch| pieces(branch));
            format!("(?:{})", branches.collect::<Vec<_>>().join("|"))
        }
    }
}

fn pieces(all: &[Piece]) -> String {
    all.iter().map(piece).collect()
}

/// The pattern over paths in which every name is followed by `/`.
fn expression(pattern: &Pattern) -> String {
    let mut text = String::new();
    for segment in pattern.segments() {
        text.push_str(&match segment {
            Segment::DoubleStar => format!("(?:{BYTE}+/)*"),
            Segment::Literal(name) => name.chars().map(letter).collect::<String>() + "/",
            Segment::Wild(all) => pieces(all) + "/",
        });
    }
    text
}

fn dfa(expression: &str) -> dense::DFA<Vec<u32>> {
    dense::Builder::new()
        .configure(
            dense::Config::new()
                .match_kind(MatchKind::All)
                .start_kind(StartKind::Anchored)
                .minimize(true),
        )
        .syntax(syntax::Config::new().unicode(false).utf8(false))
        .build(&format!("(?s-u)(?:{expression})$"))
        .unwrap()
}

/// Whether some path is in `part` and in none of `whole`.
fn lacks(part: &[Pattern], whole: &[Pattern]) -> bool {
    // Names that there are: not empty, and not `.` or `..`.
    let other = r"(?:[^./\x00][^/\x00]*|\.[^./\x00][^/\x00]*|\.\.[^/\x00]+)/";
    let mut all = vec![dfa(&format!("(?:{other})*"))];
    all.extend(
        part.iter()
            .chain(whole)
            .map(|pattern| dfa(&expression(pattern))),
    );
    let begin = start::Config::new().anchored(Anchored::Yes);
    let first: Vec<StateID> = all
        .iter()
        .map(|dfa| dfa.start_state(&begin).unwrap())
        .collect();
    let mut seen = HashSet::from([first.clone()]);
    let mut queue = VecDeque::from([first]);
    while let Some(states) = queue.pop_front() {
        let ends: Vec<bool> = all
            .iter()
            .zip(&states)
            .map(|(dfa, state)| dfa.is_match_state(dfa.next_eoi_state(*state)))
            .collect();
        let (valid, ends) = ends.split_first().unwrap();
        let (of_part, of_whole) = ends.split_at(part.len());
        if *valid && of_part.contains(&true) && !of_whole.contains(&true) {
            return true;
        }
        for b in 1..=u8::MAX {
            let next: Vec<StateID> = all
                .iter()
                .zip(&states)
                .map(|(dfa, state)| dfa.next_state(*state, b))
                .collect();
            let is_dead = all[0].is_dead_state(next[0]);
            if !is_dead && seen.insert(next.clone()) {
                queue.push_back(next);
            }
        }
    }
    false
}

const PATTERNS: &[&str] = &[
    "**",
    "a",
    "a/**",
    "a/*",
    "a/*/**",
    "A/b",
    "**/a",
    "**/a/**",
    "*/b",
    "**/*.b",
    "*",
    "*/*",
    "?",
    "??",
    "[a-b]",
    "[!a]",
    "[!a]*",
    "{a,b}/**",
    "a*",
    "*a",
    "*a*b*",
    "**/a*/**",
    "a/**/b",
    "**/b/**/a",
    ".*",
    "**/{a.b,b}",
    "{a,?}*",
    "[!.]*",
    ".[!.]*",
    "..*",
    "*.*/**",
    "**/*a?",
    "{b*,*c}",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn inclusion_is_what_the_product_of_dense_automata_says(
        part in subsequence(PATTERNS, 1..3),
        whole in subsequence(PATTERNS, 1..4),
    ) {
        let read = |texts: &[&str]| -> Vec<Pattern> {
            texts.iter().map(|text| Pattern::parse(text).unwrap()).collect()
        };
        let (part, whole) = (read(&part), read(&whole));
        let set = |patterns: &[Pattern]| {
            PathSet::any(patterns.iter().map(|pattern| PathSet::of(pattern, Case::Exact)))
        };
        let answer = Space::of_disk().covers(&set(&whole), &set(&part), &Budget::default());
        match answer {
            Answer::Holds => prop_assert!(!lacks(&part, &whole), "{part:?} is not inside {whole:?}"),
            Answer::Fails(path) => prop_assert!(lacks(&part, &whole), "{part:?} is inside {whole:?}, not {path}"),
            Answer::Unknown(cap) => prop_assert!(false, "{part:?} {whole:?} {cap}"),
        }
    }
}
