//! Many patterns at once: which of them match a path, in a time that does not grow with their number.
//!
//! The patterns form a tree by their segments. Plain names lead on by a hash table, segments such as
//! `test_*` and `*.py` by a hash of their first or last bytes, and only what has neither is tried one
//! by one. A path is walked down the tree with the set of positions at which it can stand at a node,
//! so every node is entered once, `**` below `**` or not, and every pattern is reported once. Nothing
//! is allocated while looking up a canonical path.

#![forbid(unsafe_code)]

mod affix;
mod build;
mod positions;
mod table;

use std::borrow::Cow;
use std::num::NonZeroU32;
use std::ops::Range;

use super::casefold::{fold_bytes, fold_into};
use super::glob::{Case, Pattern, Segment, names, taken_name};
use affix::{Affix, AffixKind};
use positions::Positions;
use table::{Ends, Table, hash, keyed};

/// Patterns, each with a number, made ready for looking up.
///
/// ```
/// use lictor::policy::glob::Pattern;
/// use lictor::policy::index::Index;
///
/// let patterns: Vec<Pattern> =
///     ["src/**", "**/*.rs", "docs/*.md"].iter().map(|text| text.parse()).collect::<Result<_, _>>()?;
/// let index = Index::build(patterns.iter().zip(0..));
/// let mut found = Vec::new();
/// index.visit("src/lib.rs", &mut |number| found.push(number));
/// found.sort_unstable();
/// assert_eq!(found, [0, 1]);
/// # Ok::<(), lictor::policy::glob::GlobError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Index {
    case: Case,
    /// The root is the first.
    nodes: Box<[Node]>,
    /// From a node and a name to the node below.
    by_name: Table,
    /// The names of all nodes that are entered by name, one after the other.
    text: Box<str>,
    /// From a node and an affix to a group of edges.
    by_affix: Table,
    groups: Box<[Group]>,
    edges: Box<[Edge]>,
    numbers: Box<[u32]>,
}

impl Default for Index {
    /// The index without patterns.
    fn default() -> Index {
        Index::build([])
    }
}

impl Index {
    /// An index that matches as [`Pattern::matches`] does.
    pub fn build<'a>(patterns: impl IntoIterator<Item = (&'a Pattern, u32)>) -> Index {
        build::build(patterns, Case::Exact)
    }

    /// An index that matches as [`Pattern::matches_folded`] does.
    pub fn build_folded<'a>(patterns: impl IntoIterator<Item = (&'a Pattern, u32)>) -> Index {
        build::build(patterns, Case::Folded)
    }

    /// Calls `found` with the number of every pattern that matches the path, in no particular order,
    /// once for each pattern.
    ///
    /// The path is as for [`Pattern::matches`].
    pub fn visit(&self, path: impl AsRef<[u8]>, found: &mut impl FnMut(u32)) {
        let path = path.as_ref();
        if self.case == Case::Exact || is_folded(path) {
            return self.visit_as(path, path, &[], found);
        }
        // Folding makes two bytes three at most, so every canonical path fits.
        let mut buffer = [0_u8; crate::path::MAX_PATH_BYTES.div_ceil(2) * 3];
        let folded = match fold_into(path, &mut buffer) {
            Some(folded) => Cow::Borrowed(folded),
            None => Cow::Owned(fold_bytes(path)),
        };
        if path.is_ascii() {
            return self.visit_as(path, &folded, &[], found);
        }
        let texts: Vec<Option<[Vec<u8>; 2]>> = names(path)
            .map(|name| taken_name(name).map(|taken| [fold_bytes(&taken), taken]))
            .collect();
        let taken: Vec<Option<Name<'_>>> = texts
            .iter()
            .map(|texts| texts.as_ref().map(|[key, taken]| Name::new(taken, key)))
            .collect();
        self.visit_as(path, &folded, &taken, found);
    }

    /// Looks up `keys`, which is the path as the tables hold it, and what each of its names may be taken for.
    fn visit_as(
        &self,
        path: &[u8],
        keys: &[u8],
        taken: &[Option<Name<'_>>],
        found: &mut impl FnMut(u32),
    ) {
        let mut few = [Name::default(); 8];
        if let Some(names) = split(path, keys, &mut few) {
            return self.walk::<u64>(names, taken, found);
        }
        let mut many = [Name::default(); 127];
        if let Some(names) = split(path, keys, &mut many) {
            return self.walk::<u128>(names, taken, found);
        }
        let names: Vec<_> = names(path)
            .zip(names(keys))
            .map(|(original, key)| Name::new(original, key))
            .collect();
        self.walk::<Vec<bool>>(&names, taken, found);
    }

    fn walk<P: Positions>(
        &self,
        names: &[Name<'_>],
        taken: &[Option<Name<'_>>],
        found: &mut impl FnMut(u32),
    ) {
        let mut start = P::none(names.len());
        start.insert(0);
        Walk {
            index: self,
            names,
            taken,
            found,
        }
        .enter(0, &start);
    }

    fn child_by_name(&self, node: usize, name: &Name<'_>) -> Option<usize> {
        self.by_name.find(keyed(node, name.hash), |child| {
            self.nodes.get(child).is_some_and(|child| {
                child.parent as usize == node && child.name.of(self.text.as_bytes()) == name.key
            })
        })
    }

    fn group(&self, number: usize, node: &Node, affix: Affix) -> Option<&Group> {
        let key = keyed(number, affix.hash());
        if node.affix_filter & filter_bit(key) == 0 {
            return None;
        }
        let at = self.by_affix.find(key, |at| {
            self.groups
                .get(at)
                .is_some_and(|group| group.node == number && group.affix == affix)
        });
        self.groups.get(at?)
    }
}

/// Common first segments of some patterns. Small, since every lookup walks over some.
#[derive(Clone, Debug, Default)]
struct Node {
    /// The bits of the keys of the groups that start here: most names have no group, and most of those
    /// are seen here.
    affix_filter: u64,
    /// Of which kinds the groups are.
    affixes: u16,
    /// True if any node below is entered by name.
    has_names: bool,
    parent: u32,
    /// The node behind `**`; never the root.
    double_star: Option<NonZeroU32>,
    /// The ends of the name by which the node is entered, if it is, and where in the text it stands.
    ends: Ends,
    name: Place,
    /// Where the numbers of the patterns stand that end here.
    numbers: Place,
    /// The edges without an affix to know them by.
    edges: Place,
}

/// A range of some list.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    start: u32,
    end: u32,
}

impl Place {
    fn new(range: Range<usize>) -> Place {
        Place {
            start: small(range.start),
            end: small(range.end),
        }
    }

    fn of<T>(self, list: &[T]) -> &[T] {
        list.get(self.start as usize..self.end as usize)
            .unwrap_or_default()
    }
}

/// A place in a list. All patterns together would have to be over 4 GiB to have more places.
fn small(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// A segment with wildcards, and the node behind it.
#[derive(Clone, Debug)]
struct Edge {
    segment: Segment,
    /// The segment as which this one may be read, if that is another one and the index folds.
    taken: Option<Segment>,
    child: usize,
}

impl Edge {
    /// Returns true if the name matches, read as it is here.
    fn takes(&self, name: &[u8], case: Case) -> bool {
        let taken = self.taken.as_ref();
        self.segment.matches_as_written(name, case)
            || taken.is_some_and(|taken| taken.matches_as_written(name, case))
    }
}

/// The edges of one node that have one affix.
#[derive(Clone, Debug)]
struct Group {
    node: usize,
    affix: Affix,
    edges: Place,
}

fn filter_bit(key: u64) -> u64 {
    1_u64.wrapping_shl((key & 63) as u32)
}

/// One name of the path that is looked up.
#[derive(Clone, Copy, Default)]
struct Name<'a> {
    /// As it stands in the path.
    original: &'a [u8],
    /// As the tables hold it: the same, or folded.
    key: &'a [u8],
    /// The hash of `key`.
    hash: u64,
    /// The ends of `key`.
    ends: Ends,
}

impl<'a> Name<'a> {
    fn new(original: &'a [u8], key: &'a [u8]) -> Name<'a> {
        let ends = Ends::of(key);
        Name {
            original,
            key,
            hash: hash(key, ends),
            ends,
        }
    }
}

/// The names of a path and of its keys side by side, if there is room for them.
fn split<'a, 'b>(
    path: &'a [u8],
    keys: &'a [u8],
    room: &'b mut [Name<'a>],
) -> Option<&'b [Name<'a>]> {
    let mut len = 0_usize;
    let mut put = |original, key| {
        *room.get_mut(len)? = Name::new(original, key);
        len = len.saturating_add(1);
        Some(())
    };
    if std::ptr::eq(path, keys) {
        names(path).try_for_each(|name| put(name, name))?;
    } else {
        names(path)
            .zip(names(keys))
            .try_for_each(|(original, key)| put(original, key))?;
    }
    room.get(..len)
}

/// Returns true if folding changes nothing, seen without looking into the tables of Unicode.
fn is_folded(path: &[u8]) -> bool {
    path.iter()
        .all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase())
}

/// A path on its way down.
struct Walk<'a, F> {
    index: &'a Index,
    names: &'a [Name<'a>],
    /// The name as which each one may be read, if that is another one; empty if no name has one.
    taken: &'a [Option<Name<'a>>],
    found: &'a mut F,
}

impl<'a, F: FnMut(u32)> Walk<'a, F> {
    /// Goes on from a node. `at` holds how many names can have been taken on the way to it; no node is
    /// entered twice, since all ways to it are taken together.
    fn enter<P: Positions>(&mut self, number: usize, at: &P) {
        let index = self.index;
        let Some(node) = index.nodes.get(number) else {
            return;
        };
        let all = self.names.len();
        if at.contains(all) {
            node.numbers
                .of(&index.numbers)
                .iter()
                .copied()
                .for_each(&mut *self.found);
        }
        if let Some(behind) = node.double_star {
            self.enter(behind.get() as usize, &at.lowest_to(all));
        }
        if node.has_names {
            self.enter_by_name(number, at.clone());
        }
        for kind in AffixKind::all(node.affixes) {
            self.enter_by_affix(number, node, kind, at.clone());
        }
        self.enter_by_edges(node.edges, at);
    }

    fn enter_by_name<P: Positions>(&mut self, number: usize, at: P) {
        let index = self.index;
        let mut readings = self.readings(at);
        while let Some((first, name)) = readings.take_first() {
            let Some(child) = index.child_by_name(number, name) else {
                continue;
            };
            let is_same = |other: &Name<'_>| other.ends == name.ends && other.key == name.key;
            let mut same = readings.take_where(is_same);
            same.insert(first);
            self.enter(child, &same.each_one_more());
        }
    }

    fn enter_by_affix<P: Positions>(&mut self, number: usize, node: &Node, kind: AffixKind, at: P) {
        let index = self.index;
        let mut readings = self.readings(at);
        while let Some((first, name)) = readings.take_first() {
            let Some(affix) = name.ends.affix(kind) else {
                continue;
            };
            let Some(group) = index.group(number, node, affix) else {
                continue;
            };
            let is_same = |other: &Name<'_>| other.ends.affix(kind) == Some(affix);
            let mut same = readings.take_where(is_same);
            same.insert(first);
            self.enter_by_edges(group.edges, &same);
        }
    }

    fn enter_by_edges<P: Positions>(&mut self, edges: Place, at: &P) {
        let index = self.index;
        for edge in edges.of(&index.edges) {
            let is_match = |name: &Name<'_>| edge.takes(name.original, index.case);
            let matching = self.readings(at.clone()).take_where(is_match);
            if matching.lowest().is_some() {
                self.enter(edge.child, &matching.each_one_more());
            }
        }
    }

    /// The names that stand at some positions, and what they may be taken for.
    fn readings<P: Positions>(&self, at: P) -> Readings<'a, P> {
        let mut taken = P::none(self.names.len());
        for (nth, _) in self
            .taken
            .iter()
            .enumerate()
            .filter(|(_, name)| name.is_some())
        {
            if at.contains(nth) {
                taken.insert(nth);
            }
        }
        Readings {
            names: self.names,
            others: self.taken,
            at,
            taken,
        }
    }
}

/// The names at some positions of a path, and what they may be taken for.
struct Readings<'a, P> {
    names: &'a [Name<'a>],
    others: &'a [Option<Name<'a>>],
    /// Where a name is still to be looked at as it is written, and where as what it may be taken for.
    at: P,
    taken: P,
}

impl<'a, P: Positions> Readings<'a, P> {
    /// Takes one out, with its position. None stands at the last.
    fn take_first(&mut self) -> Option<(usize, &'a Name<'a>)> {
        if let Some(at) = self.at.take_lowest()
            && let Some(name) = self.names.get(at)
        {
            return Some((at, name));
        }
        let at = self.taken.take_lowest()?;
        Some((at, self.others.get(at)?.as_ref()?))
    }

    /// Takes all such names out; their positions.
    fn take_where(&mut self, is_it: impl Fn(&Name<'_>) -> bool) -> P {
        let mut found = P::none(self.names.len());
        let mut rest = self.at.clone();
        while let Some(at) = rest.take_lowest() {
            if self.names.get(at).is_some_and(&is_it) {
                found.insert(at);
                self.at.remove(at);
            }
        }
        let mut rest = self.taken.clone();
        while let Some(at) = rest.take_lowest() {
            if self
                .others
                .get(at)
                .and_then(Option::as_ref)
                .is_some_and(&is_it)
            {
                found.insert(at);
                self.taken.remove(at);
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    fn patterns(texts: &[&str]) -> Vec<Pattern> {
        texts
            .iter()
            .map(|text| Pattern::parse(text).unwrap())
            .collect()
    }

    /// Looks a path up in both ways and compares with asking every pattern.
    #[track_caller]
    fn check(patterns: &[Pattern], path: &[u8]) {
        for case in [Case::Exact, Case::Folded] {
            let numbered = || patterns.iter().zip(0..);
            let index = match case {
                Case::Exact => Index::build(numbered()),
                Case::Folded => Index::build_folded(numbered()),
            };
            let mut found = Vec::new();
            index.visit(path, &mut |number| found.push(number));
            found.sort_unstable();
            let expected: Vec<u32> = numbered()
                .filter(|(pattern, _)| pattern.matches_in(path, case))
                .map(|(_, number)| number)
                .collect();
            assert_eq!(
                found,
                expected,
                "{case:?} {:?} {patterns:?}",
                path.escape_ascii().to_string()
            );
        }
    }

    #[test]
    fn every_kind_of_segment_is_found() {
        let patterns = patterns(&[
            "**",
            "a/**",
            "a/b",
            "a/*",
            "*.py",
            "**/*.py",
            "**/test_*",
            "**/test_*.py",
            "*/*",
            "?",
            "a/[bc]",
            "**/a/**",
            "**/a/**/b/**",
            "{a,b}/**",
            "A/B",
            "**/*long_suffix_of_a_name.py",
            "é*",
            "*É",
        ]);
        for path in [
            ".",
            "a",
            "b",
            "a/b",
            "A/b",
            "a/c",
            "x.py",
            "a/test_x.py",
            "a/b/a/b/a/x.py",
            "x/y/z",
            "é",
            "É.py",
            "aé",
            "x/a_long_suffix_of_a_name.py",
            "TEST_X.PY",
            "b/TEST_",
            "test_",
        ] {
            check(&patterns, path.as_bytes());
        }
        check(&patterns, b"a/\xff.PY");
        check(&patterns, b"\xc3/a/\xe2\x84");
        check(&[], b"a");
    }

    #[test]
    fn one_pattern_may_have_several_numbers() {
        let patterns = patterns(&["a", "a", "b"]);
        check(&patterns, b"a");
        assert!(Index::default().nodes.len() == 1);
    }

    #[test]
    fn paths_with_more_names_than_positions_are_looked_up_too() {
        let patterns = patterns(&[
            "**", "a/**", "**/b", "**/a/b", "a/*", "**/x/**", "A/**/B", "**/*b",
        ]);
        for names in [7, 8, 9, 126, 127, 128, 129, 500] {
            for last in ["a", "b", "B"] {
                let path = ["a"].repeat(names).join("/") + "/" + last;
                check(&patterns, path.as_bytes());
            }
        }
    }

    #[test]
    fn long_paths_are_folded_too() {
        let patterns = patterns(&["**/B", "É/**", "**/*Z"]);
        check(&patterns, ("É/".repeat(100) + "b").as_bytes());
        check(&patterns, ("\u{23a}".repeat(3000) + "/x/z").as_bytes());
    }

    #[test]
    fn nested_double_stars_do_not_multiply() {
        // Entered again at every position, these are 64 over 8 ways: more than four thousand million.
        let texts: Vec<_> = (0..100)
            .map(|n| "**/a/".repeat(8) + &format!("x{n}"))
            .collect();
        let texts: Vec<_> = texts.iter().map(String::as_str).collect();
        check(&patterns(&texts), ["a"; 64].join("/").as_bytes());
        check(&patterns(&texts), (["a"; 63].join("/") + "/x7").as_bytes());
    }

    fn segment() -> impl Strategy<Value = &'static str> {
        select(
            &[
                "**",
                "**",
                "a",
                "b",
                "A",
                "ab",
                "é",
                "*",
                "a*",
                "*b",
                "*.py",
                "a*b",
                "?",
                "[ab]",
                "{a,b}",
                "*É",
                "K*",
                "abcdefghi*",
                "*abcdefghi",
            ][..],
        )
    }

    fn name() -> impl Strategy<Value = &'static [u8]> {
        select(NAMES)
    }

    const NAMES: &[&[u8]] = &[
        b"a",
        b"b",
        b"A",
        b"ab",
        b"aB",
        b"x.py",
        b"X.PY",
        b"\xc3\xa9",
        b"\xc3\x89",
        b"a\xc3\x89",
        b"\xff",
        b"k",
        b"\xe2\x84\xaax",
        b"abcdefghi",
        b"ABCDEFGHIJ",
        b"xabcdefghi",
        b"\xc3",
        b"\xffb",
    ];

    proptest! {
        #[test]
        fn the_index_finds_what_asking_every_pattern_finds(
            texts in prop::collection::vec(prop::collection::vec(segment(), 1..6), 0..12),
            names in prop::collection::vec(prop::collection::vec(name(), 0..12), 4),
        ) {
            let patterns: Vec<_> =
                texts.iter().filter_map(|segments| Pattern::parse(&segments.join("/")).ok()).collect();
            for names in names {
                let path = if names.is_empty() { b".".to_vec() } else { names.join(&b'/') };
                check(&patterns, &path);
            }
        }
    }
}
