//! From patterns to an index: a tree that grows, and is then laid out flat.

#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::collections::HashMap;

use super::affix::Affix;
use super::table::{Ends, Table, hash, keyed};
use super::{Edge, Group, Index, Node, Place};
use crate::policy::casefold::key;
use crate::policy::glob::{Case, Pattern, Piece, Segment};

/// The index of these patterns.
pub(super) fn build<'a>(
    patterns: impl IntoIterator<Item = (&'a Pattern, u32)>,
    case: Case,
) -> Index {
    let mut tree = Tree::new(case);
    for (pattern, number) in patterns {
        tree.add(pattern, number);
    }
    Layout::default().lay_out(&tree)
}

/// The tree while it grows.
struct Tree<'a> {
    case: Case,
    /// The root is the first; parents stand before their children.
    nodes: Vec<Growing<'a>>,
    below: HashMap<(usize, Step<'a>), usize>,
}

struct Growing<'a> {
    parent: usize,
    step: Step<'a>,
    numbers: Vec<u32>,
}

/// Step by which a node is entered from its parent.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Step<'a> {
    /// The root is not.
    Root,
    Name(Cow<'a, str>),
    Wild(&'a [Piece]),
    DoubleStar,
}

impl<'a> Tree<'a> {
    fn new(case: Case) -> Tree<'a> {
        let root = Growing {
            parent: 0,
            step: Step::Root,
            numbers: Vec::new(),
        };
        Tree {
            case,
            nodes: vec![root],
            below: HashMap::new(),
        }
    }

    fn add(&mut self, pattern: &'a Pattern, number: u32) {
        let mut at = 0;
        for segment in pattern.segments() {
            at = self.below(at, segment);
        }
        if let Some(node) = self.nodes.get_mut(at) {
            node.numbers.push(number);
        }
    }

    /// The node to which a segment leads.
    fn below(&mut self, parent: usize, segment: &'a Segment) -> usize {
        let step = match segment {
            Segment::DoubleStar => Step::DoubleStar,
            Segment::Wild(pieces) => Step::Wild(pieces.as_slice()),
            Segment::Literal(name) => Step::Name(match self.case {
                Case::Exact => Cow::Borrowed(name.as_str()),
                Case::Folded => Cow::Owned(key(name)),
            }),
        };
        let nodes = &mut self.nodes;
        *self
            .below
            .entry((parent, step))
            .or_insert_with_key(|(parent, step)| {
                nodes.push(Growing {
                    parent: *parent,
                    step: step.clone(),
                    numbers: Vec::new(),
                });
                nodes.len().saturating_sub(1)
            })
    }
}

/// The parts of an index while they are filled.
#[derive(Default)]
struct Layout {
    nodes: Vec<Node>,
    text: String,
    numbers: Vec<u32>,
    by_name: Vec<(u64, usize)>,
    edges: Vec<Edge>,
    groups: Vec<Group>,
    by_affix: Vec<(u64, usize)>,
}

impl Layout {
    fn lay_out(mut self, tree: &Tree<'_>) -> Index {
        for growing in &tree.nodes {
            let numbers = appended(&mut self.numbers, &growing.numbers);
            let parent = super::small(growing.parent);
            self.nodes.push(Node {
                parent,
                numbers,
                ..Node::default()
            });
        }
        let mut wild = Vec::new();
        for (child, growing) in tree.nodes.iter().enumerate() {
            match &growing.step {
                Step::Root => {}
                Step::Name(name) => self.lead_by_name(growing.parent, name, child),
                Step::DoubleStar => {
                    self.parent(growing.parent).double_star = super::small(child).try_into().ok();
                }
                Step::Wild(pieces) => {
                    wild.push((growing.parent, Affix::of(pieces, tree.case), child, *pieces));
                }
            }
        }
        self.lead_by_edges(wild, tree.case);
        Index {
            case: tree.case,
            nodes: self.nodes.into(),
            by_name: Table::new(&self.by_name),
            text: self.text.into(),
            by_affix: Table::new(&self.by_affix),
            groups: self.groups.into(),
            edges: self.edges.into(),
            numbers: self.numbers.into(),
        }
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "every parent has been laid out as a node before"
    )]
    fn parent(&mut self, at: usize) -> &mut Node {
        &mut self.nodes[at]
    }

    fn lead_by_name(&mut self, parent: usize, name: &str, child: usize) {
        let ends = Ends::of(name.as_bytes());
        let hash = hash(name.as_bytes(), ends);
        self.by_name.push((keyed(parent, hash), child));
        self.parent(parent).has_names = true;
        let start = self.text.len();
        self.text.push_str(name);
        self.parent(child).ends = ends;
        self.parent(child).name = Place::new(start..self.text.len());
    }

    /// Lays out the edges, those of one node and affix side by side.
    fn lead_by_edges(
        &mut self,
        mut wild: Vec<(usize, Option<Affix>, usize, &[Piece])>,
        case: Case,
    ) {
        wild.sort_by_key(|(parent, affix, ..)| (*parent, *affix));
        for group in wild.chunk_by(|one, next| (one.0, one.1) == (next.0, next.1)) {
            let Some((parent, affix, ..)) = group.first() else {
                continue;
            };
            let edge = |(_, _, child, pieces): &(_, _, usize, &[Piece])| {
                let segment = Segment::Wild(pieces.to_vec());
                Edge {
                    taken: segment.taken().filter(|_| case == Case::Folded),
                    segment,
                    child: *child,
                }
            };
            let start = self.edges.len();
            self.edges.extend(group.iter().map(edge));
            let edges = Place::new(start..self.edges.len());
            match affix {
                None => self.parent(*parent).edges = edges,
                Some(affix) => {
                    let key = keyed(*parent, affix.hash());
                    let node = self.parent(*parent);
                    node.affixes |= affix.kind_bit();
                    node.affix_filter |= super::filter_bit(key);
                    self.by_affix.push((key, self.groups.len()));
                    self.groups.push(Group {
                        node: *parent,
                        affix: *affix,
                        edges,
                    });
                }
            }
        }
    }
}

fn appended(all: &mut Vec<u32>, more: &[u32]) -> Place {
    let start = all.len();
    all.extend_from_slice(more);
    Place::new(start..all.len())
}
