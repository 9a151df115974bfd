//! Segment patterns side by side as one automaton over the characters of a name.
//!
//! A token is what an automaton reads at once: a character with its bytes, or one byte that is no
//! text. `?` takes a byte and `*` any number, so a token of several bytes may be taken piecemeal; all
//! else takes whole tokens. Characters that no pattern tells apart are one class.

#![forbid(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::alike::{self, Alike};
use super::atoms::Atom;
use super::names::Excluded;
use super::refused_names;
use crate::path::{
    SECOND_DOT, is_composed, is_text_composed, joins_what_is_before, parts, taken_for,
};
use crate::policy::casefold::{fold, key, variants};
use crate::policy::glob::{Case, Class, Piece, Segment};

/// One symbol of an automaton: a character, with or without marks, or a byte that is not text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Token {
    Char(char),
    Marked(char, char, Option<char>),
    Byte,
}

impl Token {
    /// The byte that stands for all that are no text.
    const BYTE: u8 = 0xff;

    /// The length in bytes, if it is read as a whole.
    pub(super) fn len(self) -> usize {
        match self {
            Token::Char(c) => c.len_utf8(),
            Token::Marked(..) => 0,
            Token::Byte => 1,
        }
    }

    /// Its characters; none if it is no text.
    pub(super) fn chars(self) -> Option<impl Iterator<Item = char>> {
        let (first, marks) = match self {
            Token::Char(c) => (c, [None, None]),
            Token::Marked(c, one, two) => (c, [Some(one), two]),
            Token::Byte => return None,
        };
        Some(std::iter::once(first).chain(marks.into_iter().flatten()))
    }

    /// Its key: equal for all tokens that some file system may take for one another; `None` if it is not text.
    pub(super) fn key(self) -> Option<Vec<char>> {
        match self {
            Token::Char(c) if c.is_ascii() => Some(vec![c.to_ascii_lowercase()]),
            Token::Char(_) | Token::Marked(..) | Token::Byte => {
                Some(key(&self.chars()?.collect::<String>()).chars().collect())
            }
        }
    }

    pub(super) fn put(self, name: &mut Vec<u8>) {
        match self.chars() {
            Some(chars) => name.extend_from_slice(chars.collect::<String>().as_bytes()),
            None => name.push(Token::BYTE),
        }
    }
}

/// Input of an edge.
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
    Odd(refused_names::Test),
}

impl Label {
    /// Returns true if the edge takes this token as a whole.
    fn takes(&self, token: Token) -> bool {
        match (self, token) {
            (Label::Char(known), Token::Char(c)) => *known == c,
            (Label::Folded(folded), Token::Char(c)) => *folded == fold(c),
            (Label::Class(class, case), Token::Char(c)) => {
                u8::try_from(c).is_ok_and(|byte| class.contains(byte, *case))
            }
            (Label::AnyByte, token) => token.len() == 1,
            (Label::Odd(test), token) => test.holds(token),
            (
                Label::Char(_) | Label::Folded(_) | Label::Class(..),
                Token::Byte | Token::Marked(..),
            ) => false,
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
    /// For each state which reading of a name moves it on.
    readings: Vec<Reading>,
    /// The reading of the states that are added.
    reading: Reading,
    labels: BTreeMap<Label, usize>,
    /// For each state which atom matches when a name ends there.
    accepts: Vec<Option<usize>>,
    pub(super) starts: Vec<State>,
    /// An atom tells how many bytes a character has.
    counts_bytes: bool,
    /// The distinct effects of characters.
    effects: Vec<Effect>,
    pub(super) classes: Vec<TokenClass>,
}

/// A way to read a name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Reading {
    /// As it is written.
    #[default]
    Written,
    /// As what some file system may take it for.
    Taken,
}

/// The effect of a character on an automaton.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Effect {
    /// The length in bytes; 1 if no atom counts bytes.
    len: usize,
    taken_by: Vec<bool>,
}

/// Tokens that no edge tells apart.
#[derive(Debug)]
pub(super) struct TokenClass {
    /// The most ordinary one first.
    pub(super) tokens: Vec<Token>,
    /// The effects of its characters, one after the other, in each reading.
    written: Vec<usize>,
    taken: Vec<usize>,
}

impl Nfa {
    /// The automaton of some atoms, over the tokens that matter to them.
    ///
    /// With names that are left out, names are among the tokens that no atom mentions and that are taken for
    /// what one mentions.
    pub(super) fn new<'a>(
        atoms: impl IntoIterator<Item = &'a Atom>,
        depth: refused_names::Depth,
        alphabet: Alphabet,
        wide: Option<&Excluded>,
    ) -> Nfa {
        let mut nfa = Nfa::default();
        let atoms: Vec<&Atom> = atoms.into_iter().collect();
        // Else names that are made of the tokens are the same in both readings, or the written one adds nothing.
        let is_mixed = alphabet.odd || alphabet.bytes || atoms.iter().any(|atom| !atom.is_ascii());
        nfa.counts_bytes = atoms
            .iter()
            .any(|atom| matches!(atom, Atom::Named(segment, _) if segment.counts_bytes()));
        for (nth, atom) in atoms.into_iter().enumerate() {
            let start = nfa.add_state();
            nfa.starts.push(start);
            match atom {
                Atom::Named(segment, Case::Folded) => {
                    let taken = segment.taken();
                    let both = is_mixed || wide.is_some() && !segment.is_even();
                    let is_name = matches!(segment, Segment::Literal(_));
                    let mut read = |segment: &Segment, reading| {
                        nfa.reading = reading;
                        let first = nfa.add_state();
                        nfa.silent(start, first);
                        let end = nfa.segment(segment, Case::Folded, first);
                        nfa.accept(end, nth);
                    };
                    let segments = [Some(segment), taken.as_ref()];
                    for segment in segments.into_iter().flatten() {
                        if both && !is_name {
                            read(segment, Reading::Written);
                        }
                        read(segment, Reading::Taken);
                    }
                    nfa.reading = Reading::Written;
                }
                Atom::Named(segment, Case::Exact) => {
                    let end = nfa.segment(segment, Case::Exact, start);
                    nfa.accept(end, nth);
                }
                Atom::Odd(odd) => odd.build(&mut nfa, start, nth, depth),
            }
        }
        nfa.close();
        nfa.classify(alphabet, wide);
        nfa
    }

    pub(super) fn add_state(&mut self) -> State {
        let state = u32::try_from(self.edges.len()).unwrap_or(u32::MAX);
        self.edges.push(Vec::new());
        self.silent.push(Vec::new());
        self.readings.push(self.reading);
        self.accepts.push(None);
        state
    }

    /// Adds what matches every name that may be taken for `name`.
    pub(super) fn name(&mut self, name: &str, from: State, atom: usize) {
        self.reading = Reading::Taken;
        let first = self.add_state();
        self.silent(from, first);
        let end = self.literal(&key(name), Case::Folded, first);
        self.accept(end, atom);
        self.reading = Reading::Written;
    }

    fn segment(&mut self, segment: &Segment, case: Case, from: State) -> State {
        match segment {
            Segment::Literal(text) => self.literal(text, case, from),
            Segment::Wild(pieces) => self.pieces(pieces, case, from),
            Segment::DoubleStar => self.star(from),
        }
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

    fn classify(&mut self, alphabet: Alphabet, wide: Option<&Excluded>) {
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
            tokens.extend(refused_names::CHARACTERS.iter().copied().map(Token::Char));
        }
        if let Some(excluded) = wide {
            let is_free = |c: &char| {
                (!alphabet.composed || is_composed(*c))
                    && !mentioned.contains(c)
                    && excluded.lacks(*c)
            };
            let told = self.told();
            // Where bytes are not counted, each letter can be written by itself, and in one way.
            let groups: Vec<&Alike> = match self.counts_bytes {
                true => alike::all().iter().collect(),
                false => told.iter().flat_map(|c| alike::of(*c)).collect(),
            };
            let mut free: Vec<(&str, char)> = Vec::new();
            for alike in groups {
                let is_known = free.last().is_some_and(|(taken, _)| *taken == alike.taken);
                if (self.counts_bytes || !is_known)
                    && alike.taken.chars().any(|c| told.contains(&c))
                    && let Some(c) = alike.characters.iter().find(|c| is_free(c))
                {
                    free.push((&alike.taken, *c));
                }
            }
            tokens.extend(free.into_iter().map(|(_, c)| Token::Char(c)));
            let hidden = alike::HIDDEN.iter().filter(|_| alphabet.hidden);
            tokens.extend(
                hidden
                    .filter_map(|group| group.iter().find(|c| is_free(c)))
                    .map(|c| Token::Char(*c)),
            );
        }
        tokens.extend(mentioned.into_iter().map(Token::Char));
        if self.readings.contains(&Reading::Taken) {
            tokens.extend(self.marked(&tokens, alphabet, wide.is_some()));
        }
        if alphabet.bytes {
            tokens.push(Token::Char('\u{1}'));
            tokens.push(Token::Byte);
        }
        let labels = std::mem::take(&mut self.labels);
        let mut sorted: Vec<(usize, &Label)> =
            labels.iter().map(|(label, nth)| (*nth, label)).collect();
        sorted.sort_unstable_by_key(|(nth, _)| *nth);
        let mut numbers: BTreeMap<Effect, usize> = BTreeMap::new();
        let mut by_token: HashMap<Token, usize> = HashMap::new();
        let mut effect = |token: Token| {
            *by_token.entry(token).or_insert_with(|| {
                let len = if self.counts_bytes { token.len() } else { 1 };
                let takes = |label: &Label| match label {
                    Label::AnyByte => len == 1,
                    Label::Char(_) | Label::Folded(_) | Label::Class(..) | Label::Odd(_) => {
                        label.takes(token)
                    }
                };
                let taken_by = sorted.iter().map(|(_, label)| takes(label)).collect();
                let next = numbers.len();
                let effect = Effect { len, taken_by };
                *numbers.entry(effect).or_insert(next)
            })
        };
        let mut known: HashMap<[Vec<usize>; 2], usize> = HashMap::new();
        let mut classes: Vec<TokenClass> = Vec::new();
        for token in tokens {
            let mut read = |text: &str| text.chars().map(|c| effect(Token::Char(c))).collect();
            let [written, taken]: [Vec<usize>; 2] = match token {
                Token::Char(c) if c.is_ascii() => [vec![effect(token)], vec![effect(token)]],
                Token::Byte => [vec![effect(token)], vec![effect(token)]],
                Token::Char(_) | Token::Marked(..) => {
                    let text: String = token.chars().into_iter().flatten().collect();
                    let taken = taken_for(&text);
                    [read(&text), read(taken.as_deref().unwrap_or(&text))]
                }
            };
            let next = classes.len();
            let nth = *known
                .entry([written.clone(), taken.clone()])
                .or_insert(next);
            match classes.get_mut(nth) {
                Some(class) if class.tokens.contains(&token) => {}
                Some(class) => class.tokens.push(token),
                None => classes.push(TokenClass {
                    tokens: vec![token],
                    written,
                    taken,
                }),
            }
        }
        let mut effects: Vec<(Effect, usize)> = numbers.into_iter().collect();
        effects.sort_unstable_by_key(|(_, nth)| *nth);
        self.effects = effects.into_iter().map(|(effect, _)| effect).collect();
        self.labels = labels;
        self.classes = classes;
    }

    /// The characters that an edge takes which other characters may be taken for.
    fn told(&self) -> BTreeSet<char> {
        let mut told = BTreeSet::new();
        for label in self.labels.keys() {
            match label {
                Label::Folded(c) => {
                    told.insert(*c);
                }
                Label::Class(class, case) => {
                    let bytes = (0..0x80_u8).filter(|byte| class.contains(*byte, *case));
                    told.extend(bytes.map(|byte| char::from(byte).to_ascii_lowercase()));
                }
                Label::Char(_) | Label::AnyByte | Label::Odd(_) => {}
            }
        }
        told
    }

    /// Characters with marks on them that are read otherwise than one after the other.
    fn marked(&self, tokens: &[Token], alphabet: Alphabet, is_wide: bool) -> Vec<Token> {
        let (mut written, mut folded) = (Vec::new(), Vec::new());
        for label in self.labels.keys() {
            match label {
                Label::Char(c) if !c.is_ascii() => written.push(*c),
                Label::Folded(c) if !c.is_ascii() => folded.push(parts(*c)),
                Label::Char(_)
                | Label::Folded(_)
                | Label::Class(..)
                | Label::AnyByte
                | Label::Odd(_) => {}
            }
        }
        if !is_wide {
            folded.clear();
        }
        let mut marked = Vec::new();
        for token in tokens {
            let Token::Char(c) = *token else { continue };
            if joins_what_is_before(c) {
                continue;
            }
            let last = token.key().and_then(|key| key.last().copied());
            if is_wide && last == Some('i') {
                marked.push(Token::Marked(c, SECOND_DOT, None));
                if self.counts_bytes {
                    marked.push(Token::Marked(c, SECOND_DOT, Some(SECOND_DOT)));
                }
            }
            for parts in &folded {
                if let [first, one, rest @ ..] = parts.as_slice()
                    && Some(*first) == last
                {
                    marked.push(Token::Marked(c, *one, rest.first().copied()));
                }
            }
            let marks = written.iter().filter(|mark| joins_what_is_before(**mark));
            marked.extend(marks.map(|mark| Token::Marked(c, *mark, None)));
            if written.contains(&c) && taken_for(c.encode_utf8(&mut [0; 4])).is_some() {
                marked.extend(MARKS.iter().map(|mark| Token::Marked(c, *mark, None)));
            }
        }
        let is_name = |token: &Token| {
            let text = token.chars().into_iter().flatten();
            !alphabet.composed || is_text_composed(&text.collect::<String>())
        };
        marked.retain(is_name);
        marked
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
        if class.written == class.taken {
            return self.read(states, &class.written);
        }
        let is_written =
            |state: &&State| self.readings.get(index(**state)) == Some(&Reading::Written);
        let (written, taken): (States, States) = states.iter().partition(is_written);
        let mut reached = self.read(&written, &class.written);
        reached.extend(self.read(&taken, &class.taken));
        reached.sort_unstable();
        reached.dedup();
        reached
    }

    /// The states that characters with these effects lead to, one after the other.
    fn read(&self, states: &[State], effects: &[usize]) -> States {
        let mut effects = effects.iter().filter_map(|nth| self.effects.get(*nth));
        let Some(first) = effects.next() else {
            return states.to_vec();
        };
        effects.fold(self.take(states, first), |states, effect| {
            self.take(&states, effect)
        })
    }

    fn take(&self, states: &[State], effect: &Effect) -> States {
        let mut reached = self.follow(states, |label| effect.taken_by.get(label) == Some(&true));
        if effect.len > 1 {
            // Taken byte by byte.
            let any_byte = self.labels.get(&Label::AnyByte).copied();
            let mut piecemeal = states.to_vec();
            for _ in 0..effect.len {
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
    /// Characters that show nothing.
    pub(super) hidden: bool,
}

fn index(state: State) -> usize {
    usize::try_from(state).unwrap_or(usize::MAX)
}

/// Marks of which one makes another character of each letter of ASCII but `q`.
const MARKS: &[char] = &['\u{301}', '\u{307}', '\u{30c}', '\u{323}'];

/// The characters of ASCII that are printed, the most ordinary first: names in answers are made of them.
const ORDINARY: &str = "abcdefghijklmnopqrstuvwxyz0123456789_-ABCDEFGHIJKLMNOPQRSTUVWXYZ.+=,@#()[]~!$%&';^` {}:<>\"|?*\\";
