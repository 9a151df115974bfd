//! Two declared grammars -> a command line that both accept, or the proof that there is none.
//!
//! A step of both is a word that does for either; sets of words are automata themselves. The grammars'
//! automata accept all that the reader of command lines does, so that "none" is a proof; every line that is
//! found is shown to the reader before it is an answer.

#![forbid(unsafe_code)]

use std::collections::{HashMap, HashSet};

use super::argv::{At, Grammar, Watch};
use super::budget::{Cap, Meter};
use super::words::common;
use super::{Answer, Budget};

/// Positional words beyond one for each argument that are thought of.
const MORE_WORDS: usize = 2;

/// Whether no command line is accepted by both grammars; else a short one that is. `accepts` asks the real
/// reader. Of a grammar and itself it is asked whether a tool that is called in several ways can be meant
/// in two of them at once.
pub(crate) fn never_both(
    a: &Grammar<'_>,
    b: &Grammar<'_>,
    accepts: &dyn Fn(&[String]) -> bool,
    budget: &Budget<'_>,
) -> Answer<Vec<String>> {
    let meter = budget.meter();
    let mut pairs = Pairs {
        grammars: (a, b),
        common: HashMap::new(),
        meter: &meter,
    };
    let mut answer = Answer::Holds;
    for watch in [Watch::Required, Watch::All] {
        match pairs.search(watch, accepts) {
            Ok(Found::Line(line)) => return Answer::Fails(line),
            Ok(Found::Nothing) => return Answer::Holds,
            Ok(Found::Doubtful) => answer = Answer::Unknown(Cap::NotReproduced),
            Err(cap) => return Answer::Unknown(cap),
        }
    }
    answer
}

enum Found {
    Line(Vec<String>),
    Nothing,
    /// Only lines that the real reader does not take.
    Doubtful,
}

struct Pairs<'g, 'p> {
    grammars: (&'g Grammar<'p>, &'g Grammar<'p>),
    /// A word of both sets, by their numbers.
    common: HashMap<(usize, usize), Option<String>>,
    meter: &'g Meter<'g, 'g>,
}

struct Step {
    at: (At, At),
    parent: usize,
    word: String,
}

impl Pairs<'_, '_> {
    fn search(&mut self, watch: Watch, accepts: &dyn Fn(&[String]) -> bool) -> Result<Found, Cap> {
        let (a, b) = self.grammars;
        let is_same = std::ptr::eq(a, b);
        // As many words as both together can tell apart.
        let spare = a
            .spare()
            .saturating_add(b.spare())
            .saturating_add(MORE_WORDS);
        let mut steps: Vec<Step> = Vec::new();
        for call in a.calls() {
            for other in b.calls().filter(|other| !is_same || call < *other) {
                steps.push(Step {
                    at: (a.start(call), b.start(other)),
                    parent: usize::MAX,
                    word: String::new(),
                });
            }
        }
        let mut seen: HashSet<(At, At)> = steps.iter().map(|step| step.at.clone()).collect();
        let mut is_doubtful = false;
        let mut nth = 0_usize;
        while let Some(step) = steps.get(nth) {
            let at = step.at.clone();
            if a.ends(&at.0) && b.ends(&at.1) {
                let line = line(&steps, nth);
                if accepts(&line) {
                    return Ok(Found::Line(line));
                }
                is_doubtful = true;
            }
            let others = b.moves(&at.1, watch, spare);
            for (mine, next) in a.moves(&at.0, watch, spare) {
                for (other, other_next) in &others {
                    self.meter.step(1)?;
                    let Some(word) = self.word(mine, *other)? else {
                        continue;
                    };
                    let to = (next.clone(), other_next.clone());
                    if seen.insert(to.clone()) {
                        self.meter.hold(256)?;
                        steps.push(Step {
                            at: to,
                            parent: nth,
                            word,
                        });
                    }
                }
            }
            nth = nth.saturating_add(1);
        }
        Ok(if is_doubtful {
            Found::Doubtful
        } else {
            Found::Nothing
        })
    }

    fn word(&mut self, mine: usize, other: usize) -> Result<Option<String>, Cap> {
        if let Some(known) = self.common.get(&(mine, other)) {
            return Ok(known.clone());
        }
        let (a, b) = self.grammars;
        let found = match (a.words.get(mine), b.words.get(other)) {
            (Some(mine), Some(others)) => common(mine, others, self.meter)?,
            _ => None,
        };
        self.common.insert((mine, other), found.clone());
        Ok(found)
    }
}

fn line(steps: &[Step], last: usize) -> Vec<String> {
    let mut line = Vec::new();
    let mut at = last;
    while let Some(step) = steps.get(at).filter(|step| step.parent != usize::MAX) {
        line.push(step.word.clone());
        at = step.parent;
    }
    line.reverse();
    line
}
