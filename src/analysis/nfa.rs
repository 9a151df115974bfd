//! Segment patterns side by side as one automaton over the characters of a name.
//!
//! A token is what an automaton reads at once: a character with its bytes, or one byte that is no
//! text. `?` takes a byte and `*` any number, so a token of several bytes may be taken piecemeal; all
//! else takes whole tokens. Characters that no pattern tells apart are one class.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use super::atoms::Atom;
use super::odd;
use crate::path::is_composed;
use crate::policy::casefold::{fold, variants};
use crate::policy::glob::{Case, Class, Piece, Segment};

/// What an automaton reads at once: a character, or a byte that is no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Token {
    Char(char),
    Byte,
}

impl Token {
    /// The byte that stands for all that are no text.
    const BYTE: u8 = 0xff;

    pub(super) fn len(self) -> usize {
        match self {
            Token::Char(c) => c.len_utf8(),
            Token::Byte => 1,
        }
    }

    pub(super) fn put(self, name: &mut Vec<u8>) {
        match self {
            Token::Char(c) => name.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            Token::Byte => name.push(Token::BYTE),
        }
    }
}

/// What an edge takes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Label {
    /// This character.
    Char(char),
    /// A character that folds to this one.
    Folded(char),
    /// A byte of a set.
    Class(Class, Case),
    /// One byte, whichever.
    AnyByte,
    /// Whatever an odd name is told by.
    Odd(odd::Test),
}

impl Label {
    /// Whether the edge takes this token as a whole.
    fn takes(&self, token: Token) -> bool {
        match (self, token) {
            (Label::Char(known), Token::Char(c)) => *known == c,
            (Label::Folded(folded), Token::Char(c)) => *folded == fold(c),
            (Label::Class(class, case), Token::Char(c)) => {
                u8::try_from(c).is_ok_and(|byte| class.contains(byte, *case))
            }
            (Label::AnyByte, token) => token.len() == 1,
            (Label::Odd(test), token) => test.holds(token),
            (Label::Char(_) | Label::Folded(_) | Label::Class(..), Token::Byte) => false,
        }
    }
}

/// A state of the automaton, and sets of them: sorted, without repetition.
pub(super) type State = u32;
pub(super) type States = Vec<State>;

/// All atoms of a question as one automaton.
#[derive(Debug, Default)]
pub(super) struct Nfa {
    /// For each state its edges.
    edges: Vec<Vec<(usize, State)>>,
    /// For each state what is reached from it without reading, itself included.
    closure: Vec<States>,
    silent: Vec<Vec<State>>,
    labels: BTreeMap<Label, usize>,
    /// For each state which atom matches when a name ends there.
    accepts: Vec<Option<usize>>,
    pub(super) starts: Vec<State>,
    pub(super) classes: Vec<TokenClass>,
}

/// Tokens that no edge tells apart.
#[derive(Debug)]
pub(super) struct TokenClass {
    /// The most ordinary one first.
    pub(super) tokens: Vec<Token>,
    len: usize,
    taken_by: Vec<bool>,
}

impl Nfa {
    /// The automaton of some atoms, over the tokens that matter to them.
    pub(super) fn new<'a>(
        atoms: impl IntoIterator<Item = &'a Atom>,
        depth: odd::Depth,
        alphabet: Alphabet,
    ) -> Nfa {
        let mut nfa = Nfa::default();
        for (nth, atom) in atoms.into_iter().enumerate() {
            let start = nfa.add_state();
            nfa.starts.push(start);
            match atom {
                Atom::Named(segment, case) => {
                    let end = match segment {
                        Segment::Literal(text) => nfa.literal(text, *case, start),
                        Segment::Wild(pieces) => nfa.pieces(pieces, *case, start),
                        Segment::DoubleStar => nfa.star(start),
                    };
                    nfa.accept(end, nth);
                }
                Atom::Odd(odd) => odd.build(&mut nfa, start, nth, depth),
            }
        }
        nfa.close();
        nfa.classify(alphabet);
        nfa
    }

    pub(super) fn add_state(&mut self) -> State {
        let state = u32::try_from(self.edges.len()).unwrap_or(u32::MAX);
        self.edges.push(Vec::new());
        self.silent.push(Vec::new());
        self.accepts.push(None);
        state
    }

    pub(super) fn edge(&mut self, from: State, label: Label, to: State) {
        let next = self.labels.len();
        let label = *self.labels.entry(label).or_insert(next);
        if let Some(edges) = self.edges.get_mut(index(from)) {
            edges.push((label, to));
        }
    }

    pub(super) fn silent(&mut self, from: State, to: State) {
        if let Some(silent) = self.silent.get_mut(index(from)) {
            silent.push(to);
        }
    }

    pub(super) fn accept(&mut self, state: State, atom: usize) {
        if let Some(accepts) = self.accepts.get_mut(index(state)) {
            *accepts = Some(atom);
        }
    }

    fn literal(&mut self, text: &str, case: Case, from: State) -> State {
        let mut at = from;
        for c in text.chars() {
            let to = self.add_state();
            let label = match case {
                Case::Exact => Label::Char(c),
                Case::Folded => Label::Folded(fold(c)),
            };
            self.edge(at, label, to);
            at = to;
        }
        at
    }

    fn star(&mut self, from: State) -> State {
        let to = self.add_state();
        self.silent(from, to);
        self.edge(to, Label::AnyByte, to);
        to
    }

    fn pieces(&mut self, pieces: &[Piece], case: Case, from: State) -> State {
        let mut at = from;
        for piece in pieces {
            at = match piece {
                Piece::Literal(text) => self.literal(text, case, at),
                Piece::Star => self.star(at),
                Piece::AnyByte => {
                    let to = self.add_state();
                    self.edge(at, Label::AnyByte, to);
                    to
                }
                Piece::Class(class) => {
                    let to = self.add_state();
                    self.edge(at, Label::Class(class.clone(), case), to);
                    to
                }
                Piece::Alternatives(branches) => {
                    let to = self.add_state();
                    for branch in branches {
                        let end = self.pieces(branch, case, at);
                        self.silent(end, to);
                    }
                    to
                }
            };
        }
        at
    }

    fn close(&mut self) {
        self.closure = (0..self.edges.len())
            .map(|state| {
                let mut reached = vec![u32::try_from(state).unwrap_or(u32::MAX)];
                let mut at = 0_usize;
                while let Some(state) = reached.get(at).copied() {
                    for to in self.silent.get(index(state)).into_iter().flatten() {
                        if !reached.contains(to) {
                            reached.push(*to);
                        }
                    }
                    at = at.saturating_add(1);
                }
                reached
            })
            .collect();
    }

    fn classify(&mut self, alphabet: Alphabet) {
        let mut tokens: Vec<Token> = ORDINARY.chars().map(Token::Char).collect();
        let mut mentioned = self.mentioned();
        // The Kelvin sign is a `k` in another case, and no path holds it.
        mentioned.retain(|c| !alphabet.composed || is_composed(*c));
        // For each length one character that nothing mentions and that no rule about paths minds.
        for plain in [
            [
                '\u{138}', '\u{142}', '\u{180}', '\u{19b}', '\u{1aa}', '\u{1c0}',
            ],
            [
                '\u{4e00}', '\u{4e2d}', '\u{5b57}', '\u{6587}', '\u{540d}', '\u{8def}',
            ],
            [
                '\u{20000}',
                '\u{20001}',
                '\u{20002}',
                '\u{20003}',
                '\u{20004}',
                '\u{20005}',
            ],
        ] {
            tokens.extend(
                plain
                    .into_iter()
                    .find(|c| !mentioned.contains(c))
                    .map(Token::Char),
            );
        }
        if alphabet.odd {
            tokens.extend(odd::CHARACTERS.iter().copied().map(Token::Char));
        }
        tokens.extend(mentioned.into_iter().map(Token::Char));
        if alphabet.bytes {
            tokens.push(Token::Char('\u{1}'));
            tokens.push(Token::Byte);
        }
        let labels: Vec<&Label> = {
            let mut sorted: Vec<_> = self
                .labels
                .iter()
                .map(|(label, nth)| (*nth, label))
                .collect();
            sorted.sort_unstable_by_key(|(nth, _)| *nth);
            sorted.into_iter().map(|(_, label)| label).collect()
        };
        let mut known: BTreeMap<(usize, Vec<bool>), usize> = BTreeMap::new();
        let mut classes: Vec<TokenClass> = Vec::new();
        for token in tokens {
            let taken_by: Vec<bool> = labels.iter().map(|label| label.takes(token)).collect();
            let next = classes.len();
            let nth = *known.entry((token.len(), taken_by.clone())).or_insert(next);
            match classes.get_mut(nth) {
                Some(class) if class.tokens.contains(&token) => {}
                Some(class) => class.tokens.push(token),
                None => classes.push(TokenClass {
                    tokens: vec![token],
                    len: token.len(),
                    taken_by,
                }),
            }
        }
        self.classes = classes;
    }

    /// The characters beyond ASCII that an edge takes in its own right.
    fn mentioned(&self) -> Vec<char> {
        let mut mentioned: Vec<char> = Vec::new();
        for label in self.labels.keys() {
            match label {
                Label::Char(c) => mentioned.push(*c),
                Label::Folded(c) => mentioned.extend(variants(*c)),
                Label::Odd(test) => mentioned.extend(test.mentioned()),
                Label::Class(..) | Label::AnyByte => {}
            }
        }
        mentioned.retain(|c| !c.is_ascii());
        mentioned.sort_unstable();
        mentioned.dedup();
        mentioned
    }

    /// All that is reached without reading anything.
    pub(super) fn closed(&self, states: impl IntoIterator<Item = State>) -> States {
        let mut all = Vec::new();
        for state in states {
            all.extend(
                self.closure
                    .get(index(state))
                    .into_iter()
                    .flatten()
                    .copied(),
            );
        }
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Where a token of the class leads.
    pub(super) fn step(&self, states: &[State], class: &TokenClass) -> States {
        let mut reached = self.follow(states, |label| class.taken_by.get(label) == Some(&true));
        if class.len > 1 {
            // Taken byte by byte.
            let any_byte = self.labels.get(&Label::AnyByte).copied();
            let mut piecemeal = states.to_vec();
            for _ in 0..class.len {
                piecemeal = self.follow(&piecemeal, |label| Some(label) == any_byte);
                if piecemeal.is_empty() {
                    break;
                }
            }
            reached.extend(piecemeal);
            reached.sort_unstable();
            reached.dedup();
        }
        reached
    }

    fn follow(&self, states: &[State], takes: impl Fn(usize) -> bool) -> States {
        let mut reached = Vec::new();
        for state in states {
            for (label, to) in self.edges.get(index(*state)).into_iter().flatten() {
                if takes(*label) {
                    reached.extend(self.closure.get(index(*to)).into_iter().flatten().copied());
                }
            }
        }
        reached.sort_unstable();
        reached.dedup();
        reached
    }

    /// Which atoms match if the name ends here.
    pub(super) fn accepted<'s>(&'s self, states: &'s [State]) -> impl Iterator<Item = usize> + 's {
        states
            .iter()
            .filter_map(|state| self.accepts.get(index(*state)).copied().flatten())
    }
}

/// Which tokens there are besides ordinary characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Alphabet {
    /// Characters that no path may hold.
    pub(super) odd: bool,
    /// Bytes that are no text, and control characters.
    pub(super) bytes: bool,
    /// Only characters that stand in texts in normal form C.
    pub(super) composed: bool,
}

fn index(state: State) -> usize {
    usize::try_from(state).unwrap_or(usize::MAX)
}

/// The characters of ASCII that are printed, the most ordinary first: names in answers are made of them.
const ORDINARY: &str = "abcdefghijklmnopqrstuvwxyz0123456789_-ABCDEFGHIJKLMNOPQRSTUVWXYZ.+=,@#()[]~!$%&';^` {}:<>\"|?*\\";
