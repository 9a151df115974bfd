//! Names that no path may hold: the lexical rules about one segment as an automaton.
//!
//! The rules themselves stay in [`path`](crate::path); here they are only foreseen. Every name that
//! comes out of a search is shown to them, and a test holds both to the same answer.

#![forbid(unsafe_code)]

use super::nfa::{Label, Nfa, State, Token};
use crate::path::{
    Backslash, Braces, CanonicalPath, Colon, Dot, Edges, Expansion, Nfc, Percent, ShortNames,
    Switches, Unicode, WindowsNames, is_separator_lookalike,
};
use crate::text::{is_control, is_hidden};

/// The names that no path may hold under some switches.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Odd {
    switches: Switches,
    /// As the first name of a path: more is refused there.
    first: bool,
    /// Only names matter that these switches let through: what both refuse need not be foreseen.
    within: Option<Switches>,
}

/// Number of cases that are foreseen. Those that are rarely met cost the automaton most of its size, so that
/// a search begins without them and is repeated with all where it mattered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Depth {
    /// Characters, edges, dots.
    Usual,
    /// Devices, short names, protected names, encoded bytes and variables as well.
    Full,
}

impl Odd {
    pub(super) fn new(switches: &Switches, first: bool, within: Option<&Switches>) -> Odd {
        let of_names = |switches: &Switches| {
            let mut switches = switches.clone();
            // What would be stripped is no name, and text is normalised before it is a name.
            switches.dot = Dot::Deny;
            switches.nfc = Nfc::Require;
            switches
        };
        Odd {
            switches: of_names(switches),
            first,
            within: within.map(of_names),
        }
    }

    /// Returns true if no name that it is about has characters beyond ASCII.
    pub(super) fn is_ascii(&self) -> bool {
        self.switches.protected.iter().all(|name| name.is_ascii())
    }

    /// Returns true if the name is none of those that matter.
    pub(super) fn is_beside(&self, name: &[u8]) -> bool {
        let within = self.within.clone();
        within.is_some_and(|switches| {
            let within = Odd {
                switches,
                first: self.first,
                within: None,
            };
            within.holds(name)
        })
    }

    /// Returns true if the lexical rules refuse the name.
    pub(super) fn holds(&self, name: &[u8]) -> bool {
        // A separator would make two names of it.
        if name.contains(&b'/') || name.contains(&b'\\') || name.is_empty() {
            return true;
        }
        if self.first {
            CanonicalPath::parse(name, &self.switches).is_err()
        } else {
            CanonicalPath::parse(&[b"a/", name].concat(), &self.switches).is_err()
        }
    }

    /// Adds an automaton that matches such names, as atom `atom` from `start` on.
    pub(super) fn build(&self, nfa: &mut Nfa, start: State, atom: usize, depth: Depth) {
        let mut builder = Builder::new(nfa, start, atom);
        let (mine, within) = (&self.switches, self.within.as_ref());
        let differs = |part: &dyn Fn(&Switches) -> String| {
            within.is_none_or(|within| part(mine) != part(within))
        };
        if differs(&|s| format!("{} {} {}", s.unicode, s.colon, s.braces)) {
            builder.characters(mine);
        }
        if differs(&|s| s.unicode.to_string()) {
            builder.dots(mine);
        }
        if mine.edges == Edges::Deny && differs(&|s| s.edges.to_string()) {
            builder.edges();
        }
        if self.first && differs(&|s| s.expansion.to_string()) {
            builder.first(mine);
        }
        if depth == Depth::Full {
            if differs(&|s| s.windows_names.to_string()) {
                builder.devices(mine);
            }
            if mine.short_names == ShortNames::Deny && differs(&|s| s.short_names.to_string()) {
                builder.short_names();
            }
            if differs(&|s| format!("{} {}", s.percent, s.expansion)) {
                builder.sequences(mine);
            }
            for name in &mine.protected {
                if within.is_none_or(|within| !within.protected.contains(name)) {
                    builder.nfa.name(name, builder.start, builder.atom);
                }
            }
        }
    }
}

/// Test of a token.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Test {
    Any,
    Never,
    /// One of these.
    OneOf(&'static str),
    /// None of these.
    NoneOf(&'static str),
    /// This letter, in either case of ASCII.
    Letter(char),
    White,
    DotOrWhite,
    DotLike,
    DotLikeOrWhite,
    Digit,
    Hex,
    Port,
    VariableStart,
    VariablePart,
    /// Refused wherever it stands.
    Refused(Refused),
}

/// Which characters are refused wherever they stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Refused {
    unicode: bool,
    colon: bool,
    braces: bool,
}

impl Test {
    pub(super) fn holds(&self, token: Token) -> bool {
        let Token::Char(c) = token else {
            return match self {
                Test::Any | Test::NoneOf(_) | Test::Refused(_) => true,
                Test::Never
                | Test::OneOf(_)
                | Test::Letter(_)
                | Test::White
                | Test::DotOrWhite
                | Test::DotLike
                | Test::DotLikeOrWhite
                | Test::Digit
                | Test::Hex
                | Test::Port
                | Test::VariableStart
                | Test::VariablePart => false,
            };
        };
        match self {
            Test::Any => true,
            Test::Never => false,
            Test::OneOf(set) => set.contains(c),
            Test::NoneOf(set) => !set.contains(c),
            Test::Letter(letter) => letter.eq_ignore_ascii_case(&c),
            Test::White => c.is_whitespace(),
            Test::DotOrWhite => c == '.' || c.is_whitespace(),
            Test::DotLike => DOT_LIKE.contains(c),
            Test::DotLikeOrWhite => c == '.' || c.is_whitespace() || DOT_LIKE.contains(c),
            Test::Digit => c.is_ascii_digit(),
            Test::Hex => c.is_ascii_hexdigit(),
            Test::Port => PORTS.contains(c),
            Test::VariableStart => c.is_ascii_alphabetic() || c == '_',
            Test::VariablePart => c.is_ascii_alphanumeric() || matches!(c, '_' | '(' | ')'),
            Test::Refused(refused) => {
                is_control(c)
                    || "<>\"|?*\\/".contains(c)
                    || refused.colon && c == ':'
                    || refused.braces && "{}".contains(c)
                    || refused.unicode && (is_hidden(c) || is_separator_lookalike(c))
            }
        }
    }

    /// The characters beyond ASCII that it is about.
    pub(super) fn mentioned(&self) -> Vec<char> {
        match self {
            Test::Port => PORTS.chars().collect(),
            Test::DotLike | Test::DotLikeOrWhite => DOT_LIKE.chars().collect(),
            Test::Letter(c) => vec![*c],
            Test::Any
            | Test::Never
            | Test::OneOf(_)
            | Test::NoneOf(_)
            | Test::White
            | Test::DotOrWhite
            | Test::Digit
            | Test::Hex
            | Test::VariableStart
            | Test::VariablePart
            | Test::Refused(_) => Vec::new(),
        }
    }
}

/// Rule 16's dots that are none.
const DOT_LIKE: &str = "\u{2024}\u{2025}\u{2026}\u{FE19}\u{FE30}\u{FE52}\u{FF0E}";

/// Rule 20's numbers of ports.
const PORTS: &str = "0123456789¹²³\u{2070}\u{2074}\u{2075}\u{2076}\u{2077}\u{2078}\u{2079}";

/// For each length a character of each kind that some switch lets through and another does not.
pub(super) const CHARACTERS: &[char] = &[
    '\u{A0}',
    '\u{3000}',
    '\u{AD}',
    '\u{200B}',
    '\u{E0001}',
    '\u{2044}',
    '\u{2025}',
    '\u{85}',
    '\u{2028}',
];

/// Puts together the automaton of odd names.
struct Builder<'n> {
    nfa: &'n mut Nfa,
    start: State,
    /// Reached by every text.
    anywhere: State,
    /// From here on everything is odd.
    sink: State,
    atom: usize,
}

impl<'n> Builder<'n> {
    fn new(nfa: &'n mut Nfa, start: State, atom: usize) -> Builder<'n> {
        let anywhere = nfa.add_state();
        let sink = nfa.add_state();
        let mut builder = Builder {
            nfa,
            start,
            anywhere,
            sink,
            atom,
        };
        builder.nfa.silent(start, anywhere);
        builder.edge(anywhere, Test::Any, anywhere);
        builder.edge(sink, Test::Any, sink);
        builder.nfa.accept(sink, atom);
        builder
    }

    fn edge(&mut self, from: State, test: Test, to: State) {
        self.nfa.edge(from, Label::Odd(test), to);
    }

    /// A new state behind `from`.
    fn next(&mut self, from: State, test: Test) -> State {
        let to = self.nfa.add_state();
        self.edge(from, test, to);
        to
    }

    fn characters(&mut self, switches: &Switches) {
        let refused = Refused {
            unicode: switches.unicode == Unicode::Strict,
            colon: switches.colon == Colon::Deny,
            braces: switches.braces == Braces::Deny,
        };
        // `\` is a separator or refused, so no canonical name holds it.
        let (Backslash::Separator | Backslash::Deny) = switches.backslash;
        self.edge(self.anywhere, Test::Refused(refused), self.sink);
    }

    fn dots(&mut self, switches: &Switches) {
        let blank = self.nfa.add_state();
        self.nfa.silent(self.start, blank);
        self.edge(blank, Test::White, blank);
        let dots = self.next(blank, Test::OneOf("."));
        self.edge(dots, Test::DotOrWhite, dots);
        self.nfa.accept(dots, self.atom);
        if switches.unicode == Unicode::Strict {
            let plain = self.nfa.add_state();
            self.nfa.silent(self.start, plain);
            self.edge(plain, Test::DotOrWhite, plain);
            let like = self.next(plain, Test::DotLike);
            self.edge(like, Test::DotLikeOrWhite, like);
            self.nfa.accept(like, self.atom);
        }
    }

    fn edges(&mut self) {
        self.edge(self.start, Test::White, self.sink);
        let last = self.next(self.anywhere, Test::DotOrWhite);
        self.nfa.accept(last, self.atom);
    }

    fn first(&mut self, switches: &Switches) {
        self.edge(self.start, Test::OneOf("-@"), self.sink);
        if switches.expansion == Expansion::Deny {
            self.edge(self.start, Test::OneOf("~$"), self.sink);
        }
        let second = self.next(self.start, Test::Any);
        self.edge(second, Test::OneOf(":"), self.sink);
    }

    /// A whole name in either case, and then whatever `more` takes, any number of times.
    fn word(&mut self, word: &str, more: &Test) -> State {
        let mut at = self.start;
        for c in word.chars() {
            // Beyond ASCII `Letter` compares exactly, as the rule does.
            at = self.next(at, Test::Letter(c));
        }
        if *more != Test::Never {
            self.edge(at, more.clone(), at);
        }
        self.nfa.accept(at, self.atom);
        at
    }

    fn devices(&mut self, switches: &Switches) {
        if switches.windows_names != WindowsNames::Allow {
            let mut ends = Vec::new();
            for device in ["con", "prn", "aux", "nul", "conin$", "conout$", "clock$"] {
                ends.push(self.word(device, &Test::OneOf(" ")));
            }
            for port in ["com", "lpt"] {
                let mut at = self.start;
                for c in port.chars() {
                    at = self.next(at, Test::Letter(c));
                }
                let end = self.next(at, Test::Port);
                self.edge(end, Test::OneOf(" "), end);
                self.nfa.accept(end, self.atom);
                ends.push(end);
            }
            if switches.windows_names == WindowsNames::Deny {
                for end in ends {
                    self.edge(end, Test::OneOf("."), self.sink);
                }
            }
        }
    }

    /// `^[^.~]{1,6}~[0-9]{1,6}(\.[^.]{0,3})?$` with at most 8 characters before the first dot.
    fn short_names(&mut self) {
        let mut name = self.start;
        for named in 1..=6_usize {
            name = self.next(name, Test::NoneOf(".~"));
            let mut number = self.next(name, Test::OneOf("~"));
            let room = 8_usize.saturating_sub(named).saturating_sub(1).min(6);
            for _ in 0..room {
                number = self.next(number, Test::Digit);
                self.nfa.accept(number, self.atom);
                let mut extension = self.next(number, Test::OneOf("."));
                self.nfa.accept(extension, self.atom);
                for _ in 0..3 {
                    extension = self.next(extension, Test::NoneOf("."));
                    self.nfa.accept(extension, self.atom);
                }
            }
        }
    }

    fn sequences(&mut self, switches: &Switches) {
        if switches.percent == Percent::Deny {
            let percent = self.next(self.anywhere, Test::OneOf("%"));
            let hex = self.next(percent, Test::Hex);
            self.edge(hex, Test::Hex, self.sink);
            let mut unicode = self.next(percent, Test::OneOf("uU"));
            for _ in 0..3 {
                unicode = self.next(unicode, Test::Hex);
            }
            self.edge(unicode, Test::Hex, self.sink);
        }
        if switches.expansion == Expansion::Deny {
            let dollar = self.next(self.anywhere, Test::OneOf("$"));
            self.edge(dollar, Test::OneOf("{("), self.sink);
            let percent = self.next(self.anywhere, Test::OneOf("%"));
            let variable = self.next(percent, Test::VariableStart);
            self.edge(variable, Test::VariablePart, variable);
            self.edge(variable, Test::OneOf("%"), self.sink);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;
    use crate::analysis::atoms::Atom;
    use crate::analysis::nfa::{Alphabet, TokenClass};

    fn switches() -> impl Strategy<Value = Switches> {
        (0..=u16::MAX).prop_map(|bits| {
            let is = |nth: u16| bits & (1 << nth) != 0;
            let mut switches = Switches::default();
            if is(0) {
                switches.unicode = Unicode::Relaxed;
            }
            if is(1) {
                switches.percent = Percent::Literal;
            }
            if is(2) {
                switches.expansion = Expansion::Literal;
            }
            if is(3) {
                switches.colon = Colon::Allow;
            }
            if is(4) {
                switches.braces = Braces::Allow;
            }
            if is(5) {
                switches.edges = Edges::Allow;
            }
            switches.windows_names = match bits >> 6 & 3 {
                0 => WindowsNames::Allow,
                1 => WindowsNames::Bare,
                _ => WindowsNames::Deny,
            };
            if is(8) {
                switches.short_names = ShortNames::Allow;
            }
            if is(9) {
                switches.backslash = Backslash::Deny;
            }
            if is(10) {
                switches.protected = vec!["secret".to_owned(), ".gît".to_owned()];
            }
            switches
        })
    }

    fn name() -> impl Strategy<Value = String> {
        let pieces = vec![
            "a", "b", "u", "A", "con", "COM", "1", "¹", "aux", "clock$", "nul", ".", "..", " ",
            "\u{a0}", "~", "~1", "%", "%4", "1", "f", "u00", "${", "$", "(", ")", "_", "{", "}",
            ":", "<", "?", "-", "@", "\u{2025}", "\u{2044}", "\u{200b}", "é", "git", ".git",
            ".gît", ".gıt", ".gÎt", "ſ", "secret", "SECRET", "lpt", "x", "abcdef", "\u{4e2d}",
            "😀",
        ];
        prop::collection::vec(select(pieces), 1..7).prop_map(|pieces| pieces.concat())
    }

    /// Returns true if the automaton says that the name is odd.
    fn is_foreseen(odd: &Odd, name: &str) -> bool {
        let atom = Atom::Odd(std::sync::Arc::new(odd.clone()));
        // The atom of the name itself makes its characters known.
        let all = Alphabet {
            odd: true,
            bytes: true,
            composed: false,
            hidden: true,
        };
        let literal = crate::policy::glob::Segment::Literal(name.to_owned());
        let itself = Atom::Named(literal, crate::policy::glob::Case::Exact);
        let nfa = Nfa::new([&atom, &itself], Depth::Full, all, None);
        let mut states = nfa.closed([nfa.starts[0]]);
        for c in name.chars() {
            let holds = |class: &&TokenClass| class.tokens.contains(&Token::Char(c));
            let class = nfa.classes.iter().find(holds).unwrap();
            states = nfa.step(&states, class);
        }
        nfa.accepted(&states).next().is_some()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn the_automaton_says_what_the_rules_say(name in name(), switches in switches(), first: bool) {
            // Normal form C, and a path of blanks alone, are left to the rules themselves.
            prop_assume!(unicode_normalization::is_nfc(&name) && !name.trim().is_empty());
            let odd = Odd::new(&switches, first, None);
            prop_assert_eq!(is_foreseen(&odd, &name), odd.holds(name.as_bytes()), "{:?} {:?}", name, switches);
        }
    }
}
