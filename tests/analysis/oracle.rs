//! A second method: each pattern as a regular expression over whole paths, compiled to a dense DFA, and
//! inclusion by walking the product of all of them byte by byte.

use std::collections::{HashSet, VecDeque};

use lictor::analysis::{Answer, Budget, PathSet, Space};
use lictor::policy::glob::{Case, Pattern, Piece, Segment};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use regex_automata::dfa::{Automaton, StartKind, dense};
use regex_automata::util::primitives::StateID;
use regex_automata::util::{start, syntax};
use regex_automata::{Anchored, MatchKind};

/// Any byte of a name.
const BYTE: &str = r"[^/\x00]";

fn byte(b: u8) -> String {
    format!(r"\x{b:02x}")
}

fn letter(c: char, case: Case) -> String {
    // No letter here folds to anything beyond ASCII.
    assert!(c.is_ascii() && !"ksKS".contains(c), "{c}");
    let b = u8::try_from(c).unwrap();
    match case {
        Case::Folded => format!(
            "[{}{}]",
            byte(b.to_ascii_lowercase()),
            byte(b.to_ascii_uppercase())
        ),
        _ => byte(b),
    }
}

fn piece(piece: &Piece, case: Case) -> String {
    match piece {
        Piece::Literal(text) => text.chars().map(|c| letter(c, case)).collect(),
        Piece::Star => format!("{BYTE}*"),
        Piece::AnyByte => BYTE.to_owned(),
        Piece::Class(class) => {
            let members = (1..128_u8).filter(|b| *b != b'/' && class.contains(*b, case));
            format!("[{}]", members.map(byte).collect::<String>())
        }
        Piece::Alternatives(branches) => {
            let branches = branches.iter().map(|branch| pieces(branch, case));
            format!("(?:{})", branches.collect::<Vec<_>>().join("|"))
        }
    }
}

fn pieces(all: &[Piece], case: Case) -> String {
    all.iter().map(|one| piece(one, case)).collect()
}

/// The pattern over paths in which every name is followed by `/`.
fn expression(pattern: &Pattern, case: Case) -> String {
    let mut text = String::new();
    for segment in pattern.segments() {
        text.push_str(&match segment {
            Segment::DoubleStar => format!("(?:{BYTE}+/)*"),
            Segment::Literal(name) => {
                name.chars().map(|c| letter(c, case)).collect::<String>() + "/"
            }
            Segment::Wild(all) => pieces(all, case) + "/",
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
fn lacks(part: &[(Pattern, Case)], whole: &[(Pattern, Case)]) -> bool {
    // Names that there are: not empty, and not `.` or `..`.
    let other = r"(?:[^./\x00][^/\x00]*|\.[^./\x00][^/\x00]*|\.\.[^/\x00]+)/";
    let mut all = vec![dfa(&format!("(?:{other})*"))];
    all.extend(
        part.iter()
            .chain(whole)
            .map(|(pattern, case)| dfa(&expression(pattern, *case))),
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
        cases in (select(vec![Case::Exact, Case::Folded]), select(vec![Case::Exact, Case::Folded])),
    ) {
        let read = |texts: &[&str], case: Case| -> Vec<(Pattern, Case)> {
            texts.iter().map(|text| (Pattern::parse(text).unwrap(), case)).collect()
        };
        let (part, whole) = (read(&part, cases.0), read(&whole, cases.1));
        let set = |patterns: &[(Pattern, Case)]| {
            PathSet::any(patterns.iter().map(|(pattern, case)| PathSet::of(pattern, *case)))
        };
        let answer = Space::of_disk().covers(&set(&whole), &set(&part), &Budget::default());
        match answer {
            Answer::Holds => prop_assert!(!lacks(&part, &whole), "{part:?} is not inside {whole:?}"),
            Answer::Fails(path) => prop_assert!(lacks(&part, &whole), "{part:?} is inside {whole:?}, not {path}"),
            Answer::Unknown(cap) => prop_assert!(false, "{part:?} {whole:?} {cap}"),
        }
    }
}
