//! The declared grammar of an action as an automaton that reads words: where it is among the command words,
//! which arguments it has seen, how many positional words it will have read.
//!
//! It accepts everything that the reader of command lines does, and sometimes a little more.

#![forbid(unsafe_code)]

use std::collections::HashSet;

use super::budget::Cap;
use super::words::Words;
use crate::decision::positional_shares;
use crate::policy::model::{Action, Argument, Join, Spelling, Tool};

/// How the command lines of an action are read.
#[derive(Debug)]
pub(crate) struct Grammar<'p> {
    tool: &'p Tool,
    action: &'p Action,
    slots: Vec<(Part, &'p Argument)>,
    pub(super) words: Vec<Words>,
    /// Words that stand together: how the tool is called, command words, what is always passed on.
    lists: Vec<List>,
    options: Vec<(Part, Move)>,
    /// For each slot its value in a word of its own, after the option.
    values: Vec<Option<usize>>,
    /// For each positional slot a value that is no option, and any value.
    positionals: Vec<Option<(usize, usize)>>,
    dashes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Part {
    Tool,
    Action,
    After,
}

#[derive(Debug)]
struct List {
    text: Vec<String>,
    words: Vec<usize>,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The words by which the tool is called.
    Call,
    /// The words that select the action.
    Command,
    /// What is passed on anyhow, and may stand in the part.
    Fixed(Part),
    /// An option of several words, of which the value is the next.
    Option(Part, usize),
}

/// What one word does.
#[derive(Clone, Copy, Debug)]
struct Move {
    word: usize,
    slot: usize,
    /// The value is the next word.
    waits: bool,
    bundle: Option<Bundle>,
}

/// Several flags in one word.
#[derive(Clone, Copy, Debug)]
struct Bundle {
    /// Those that it sets of the flags that may not be given twice, as bits; none: it may set any.
    flags: Option<u64>,
    /// It sets some of the flags that may be given twice.
    others: bool,
}

/// Flags that may not be given twice and of which each set is looked at by itself.
const MOST_BUNDLED: usize = 4;

/// Arguments of one action that are counted for how often another one of them may repeat.
const MOST_SPARE: usize = 4;

/// Where a reader is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct At {
    phase: Phase,
    then: Then,
    /// Arguments that were given, as far as it matters.
    given: u64,
    /// Positional words that there will be in this phase, and how many were read.
    plan: (usize, usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Phase {
    Before,
    Action,
    /// Behind `--`, where the action declares nothing for it: everything is positional.
    Only,
    After,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Then {
    Free,
    Value(usize),
    Rest(usize, usize),
}

/// Whether arguments that must not be given twice are watched.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Watch {
    Required,
    All,
}

impl<'p> Grammar<'p> {
    /// The grammar of an action of a tool.
    ///
    /// # Errors
    /// A cap, if what an argument takes is too large to look at.
    pub(crate) fn new(tool: &'p Tool, action: &'p Action) -> Result<Grammar<'p>, Cap> {
        let of = |part: Part, arguments: &'p [Argument]| arguments.iter().map(move |a| (part, a));
        let after = action.after.as_deref().unwrap_or_default();
        let slots = of(Part::Tool, &tool.args)
            .chain(of(Part::Action, &action.args))
            .chain(of(Part::After, after));
        let mut grammar = Grammar {
            tool,
            action,
            slots: slots.collect(),
            words: vec![Words::literal("--")?],
            lists: Vec::new(),
            options: Vec::new(),
            values: Vec::new(),
            positionals: Vec::new(),
            dashes: 0,
        };
        for way in ways(tool) {
            grammar.list(&way, Kind::Call)?;
        }
        for command in &action.command {
            grammar.list(command, Kind::Command)?;
        }
        for (part, fixed) in [
            (Part::Tool, &tool.fixed),
            (Part::Action, &action.fixed),
            (Part::Action, &action.fixed_last),
        ] {
            for group in fixed.chunk_by(|_, next| !(next.len() > 1 && next.starts_with('-'))) {
                grammar.list(group, Kind::Fixed(part))?;
            }
        }
        for slot in 0..grammar.slots.len() {
            grammar.slot(slot)?;
        }
        grammar.leave_out_names();
        if tool.bundle {
            for part in [Part::Tool, Part::Action, Part::After] {
                grammar.bundles(part)?;
            }
        }
        Ok(grammar)
    }

    fn word(&mut self, words: Words) -> usize {
        self.words.push(words);
        self.words.len().saturating_sub(1)
    }

    fn list(&mut self, words: &[String], kind: Kind) -> Result<(), Cap> {
        let mut list = Vec::with_capacity(words.len());
        for word in words {
            let word = match kind {
                Kind::Fixed(_) => Words::fixed(word)?,
                Kind::Call | Kind::Command | Kind::Option(..) => Words::literal(word)?,
            };
            list.push(self.word(word));
        }
        if !list.is_empty() {
            let text = words.to_vec();
            let words = list;
            self.lists.push(List { text, words, kind });
        }
        Ok(())
    }

    fn slot(&mut self, slot: usize) -> Result<(), Cap> {
        let Some((part, argument)) = self.slots.get(slot).copied() else {
            return Ok(());
        };
        let (mut value, mut positional) = (None, None);
        match &argument.spelling {
            Spelling::Positional => {
                let plain = self.word(Words::valued("", argument)?.no_option());
                positional = Some((plain, self.word(Words::valued("", argument)?)));
            }
            Spelling::Flag { names } => {
                for name in names {
                    let word = self.word(Words::literal(name)?);
                    self.option(part, word, slot, false);
                }
            }
            Spelling::Option {
                names,
                value_optional,
                join,
            } => {
                value = Some(self.word(Words::valued("", argument)?));
                for name in names {
                    if name.contains(' ') {
                        let words: Vec<String> = name.split(' ').map(str::to_owned).collect();
                        self.list(&words, Kind::Option(part, slot))?;
                        continue;
                    }
                    let word = self.word(Words::literal(name)?);
                    self.option(part, word, slot, !value_optional);
                    let is_glued = name.len() == 2 && *join != Some(Join::Equals);
                    let attached = if name == "-<n>" {
                        Words::valued("-", argument)?.not_empty()
                    } else if is_glued {
                        Words::valued(name, argument)?.not_empty()
                    } else {
                        Words::valued(&format!("{name}="), argument)?
                    };
                    let word = self.word(attached);
                    self.option(part, word, slot, false);
                }
            }
        }
        self.values.push(value);
        self.positionals.push(positional);
        Ok(())
    }

    fn option(&mut self, part: Part, word: usize, slot: usize, waits: bool) {
        let option = Move {
            word,
            slot,
            waits,
            bundle: None,
        };
        self.options.push((part, option));
    }

    /// A word that is the name of an option is nothing else.
    fn leave_out_names(&mut self) {
        let joined = self.action.command.is_empty();
        for (part, option) in &self.options {
            let in_reach = |other: &Part| {
                other == part || joined && *other != Part::After && *part != Part::After
            };
            let names = self.slots.iter().filter(|(other, _)| in_reach(other));
            let names = names
                .flat_map(|(_, argument)| argument.spelling.names())
                .cloned();
            if let Some(words) = self.words.get_mut(option.word)
                && words.has_value()
            {
                words.without(names.collect());
            }
        }
    }

    /// Several letters behind one dash: flags, and perhaps an option as the last.
    fn bundles(&mut self, part: Part) -> Result<(), Cap> {
        let in_reach = |other: Part| match part {
            // Without command words there is no border between the tool's options and the action's.
            Part::Action if self.action.command.is_empty() => other != Part::After,
            Part::Tool if self.tool.options_first => other != Part::After,
            Part::Tool | Part::Action | Part::After => other == part,
        };
        // Flags that may not be given twice with their bits, all others, and options with a value.
        let mut once: Vec<(u64, String)> = Vec::new();
        let mut often = String::new();
        let mut valued: Vec<(usize, String, bool)> = Vec::new();
        for (slot, (other, argument)) in self.slots.iter().enumerate() {
            let names = argument.spelling.names().iter();
            let letters = names.filter(|name| name.len() == 2);
            for letter in letters.filter_map(|name| name.get(1..)) {
                let letter = regex_syntax::escape(letter);
                match &argument.spelling {
                    _ if !in_reach(*other) => {}
                    Spelling::Flag { .. } if argument.repeat => often.push_str(&letter),
                    Spelling::Flag { .. } => once.push((bit(slot), letter)),
                    Spelling::Option { value_optional, .. } => {
                        valued.push((slot, letter, *value_optional));
                    }
                    Spelling::Positional => {}
                }
            }
        }
        let any: String = once.iter().map(|(_, letter)| letter.as_str()).collect();
        if any.is_empty() && often.is_empty() {
            return Ok(());
        }
        let any = (
            Bundle {
                flags: None,
                others: true,
            },
            format!("[{any}{often}]+"),
        );
        for (bundle, letters) in sets(&once, &often).into_iter().chain([any]) {
            let mut moves = vec![(Words::matching("-", &letters)?, usize::MAX, false)];
            for (slot, letter, value_optional) in &valued {
                let open = Words::matching("-", &format!("{letters}{letter}"))?;
                moves.push((open, *slot, !value_optional));
                let closed = Words::matching("-", &format!("(?s){letters}{letter}.+"))?;
                moves.push((closed, *slot, false));
            }
            for (words, slot, waits) in moves {
                let option = Move {
                    word: self.word(words),
                    slot,
                    waits,
                    bundle: Some(bundle),
                };
                self.options.push((part, option));
            }
        }
        Ok(())
    }

    /// How many positional words more than it has arguments it can tell apart from fewer, about.
    pub(super) fn spare(&self) -> usize {
        self.slots.len().min(MOST_SPARE)
    }

    /// The ways in which the tool is called, as places in the lists.
    pub(super) fn calls(&self) -> impl Iterator<Item = usize> + '_ {
        let calls = self.lists.iter().enumerate();
        calls
            .filter(|(_, list)| list.kind == Kind::Call)
            .map(|(nth, _)| nth)
    }

    fn in_part(&self, phase: Phase, part: Part) -> bool {
        match phase {
            Phase::Before => part == Part::Tool || part == Part::Action && self.tool.options_first,
            Phase::Action => {
                part == Part::Action || part == Part::Tool && self.action.command.is_empty()
            }
            Phase::Only => false,
            Phase::After => part == Part::After,
        }
    }

    /// The positional arguments of a phase, by their slots.
    fn takers(&self, phase: Phase) -> Vec<(usize, &'p Argument)> {
        let phase = if phase == Phase::Only {
            Phase::Action
        } else {
            phase
        };
        let slots = self.slots.iter().enumerate();
        let takers = slots.filter(|(_, (part, argument))| {
            argument.spelling == Spelling::Positional && self.in_part(phase, *part)
        });
        takers
            .map(|(slot, (_, argument))| (slot, *argument))
            .collect()
    }

    /// The states at the beginning of a phase: one for each number of positional words to come.
    fn entering(&self, phase: Phase, given: u64, spare: usize) -> Vec<At> {
        let takers = self.takers(phase);
        let most = if phase == Phase::Before || takers.is_empty() {
            0
        } else if takers.iter().any(|(_, argument)| argument.repeat) {
            takers.len().saturating_add(spare)
        } else {
            takers.len()
        };
        let at = |words| At {
            phase,
            then: Then::Free,
            given,
            plan: (words, 0),
        };
        (0..=most).map(at).collect()
    }

    pub(super) fn start(&self, call: usize) -> At {
        At {
            phase: Phase::Before,
            then: Then::Rest(call, 0),
            given: 0,
            plan: (0, 0),
        }
    }

    fn gives(&self, at: &At, slot: usize, watch: Watch) -> Option<At> {
        let Some((_, argument)) = self.slots.get(slot) else {
            return Some(at.clone());
        };
        let bit = bit(slot);
        let is_positional = argument.spelling == Spelling::Positional;
        let is_flag = matches!(argument.spelling, Spelling::Flag { .. });
        let is_watched = watch == Watch::All && (!is_flag || self.counts_flags());
        if is_watched && at.given & bit != 0 && !argument.repeat && !is_positional {
            return None;
        }
        let counts = argument.required || watch == Watch::All;
        let given = if counts { at.given | bit } else { at.given };
        Some(At {
            given,
            ..at.clone()
        })
    }

    /// What each word leads to.
    pub(super) fn moves(&self, at: &At, watch: Watch, spare: usize) -> Vec<(usize, At)> {
        let mut moves = Vec::new();
        match at.then {
            Then::Value(slot) => {
                let next = At {
                    then: Then::Free,
                    ..at.clone()
                };
                if let Some(word) = self.values.get(slot).copied().flatten() {
                    moves.extend(self.gives(&next, slot, watch).map(|next| (word, next)));
                }
                return moves;
            }
            Then::Rest(list, place) => {
                moves.extend(self.within(at, list, place, spare).into_iter().flatten());
                return moves;
            }
            Then::Free => {}
        }
        for (nth, list) in self.lists.iter().enumerate() {
            let begins = match list.kind {
                Kind::Call => false,
                Kind::Command => at.phase == Phase::Before,
                Kind::Option(part, _) => self.in_part(at.phase, part),
                Kind::Fixed(part) => {
                    at.phase != Phase::After
                        && self.in_part(at.phase, part)
                        && !(at.phase == Phase::Before && self.selects(&list.text))
                }
            };
            if begins {
                moves.extend(self.within(at, nth, 0, spare).into_iter().flatten());
            }
        }
        for (part, option) in self
            .options
            .iter()
            .filter(|(part, _)| self.in_part(at.phase, *part))
        {
            let mut next = Some(at.clone());
            if let (Some(bundle), Some(next)) = (option.bundle, &mut next) {
                let has_sets = |(other, option): &(Part, Move)| {
                    other == part && option.bundle.is_some_and(|bundle| bundle.flags.is_some())
                };
                let is_meant = match (bundle.flags, watch) {
                    (None, Watch::Required) => true,
                    (None, Watch::All) => !self.options.iter().any(has_sets),
                    (Some(flags), Watch::All) => at.given & flags == 0,
                    (Some(_), Watch::Required) => false,
                };
                if !is_meant {
                    continue;
                }
                next.given |= match bundle.flags {
                    Some(flags) if !bundle.others => flags,
                    Some(flags) => flags | self.required_flags(true),
                    // Any of its flags, so all that are required.
                    None => self.required_flags(false),
                };
            }
            if option.waits {
                let then = Then::Value(option.slot);
                next = next.map(|next| At { then, ..next });
            } else {
                next = next.and_then(|next| self.gives(&next, option.slot, watch));
            }
            moves.extend(next.map(|next| (option.word, next)));
        }
        if at.phase == Phase::Action && at.then == Then::Free {
            if self.action.after.is_none() {
                moves.push((
                    self.dashes,
                    At {
                        phase: Phase::Only,
                        ..at.clone()
                    },
                ));
            } else if at.plan.0 == at.plan.1 {
                let entering = self.entering(Phase::After, at.given, spare);
                moves.extend(entering.into_iter().map(|next| (self.dashes, next)));
            }
        }
        moves.extend(self.positional(at, watch));
        moves
    }

    /// The next positional word, read for the argument that it belongs to.
    fn positional(&self, at: &At, watch: Watch) -> Option<(usize, At)> {
        let (words, read) = at.plan;
        if at.phase == Phase::Before || read >= words {
            return None;
        }
        let takers = self.takers(at.phase);
        let declared: Vec<&Argument> = takers.iter().map(|(_, argument)| *argument).collect();
        let mut end = 0_usize;
        let mut shares = takers.iter().zip(positional_shares(&declared, words));
        let ((slot, _), _) = shares.find(|(_, share)| {
            end = end.saturating_add(*share);
            read < end
        })?;
        let (plain, any) = self.positionals.get(*slot).copied().flatten()?;
        let has_options = self.options.iter().any(|(part, _)| *part == Part::After);
        let takes_all = at.phase == Phase::Only || at.phase == Phase::After && !has_options;
        let next = self.gives(at, *slot, watch)?;
        let plan = (words, read.saturating_add(1));
        Some((if takes_all { any } else { plain }, At { plan, ..next }))
    }

    fn within(&self, at: &At, list: usize, place: usize, spare: usize) -> Option<Vec<(usize, At)>> {
        let found = self.lists.get(list)?;
        let word = *found.words.get(place)?;
        let next = place.saturating_add(1);
        if next < found.words.len() {
            let then = Then::Rest(list, next);
            return Some(vec![(word, At { then, ..at.clone() })]);
        }
        let then = match found.kind {
            Kind::Call if !self.action.command.is_empty() => {
                self.entering(Phase::Before, at.given, spare)
            }
            Kind::Call | Kind::Command => self.entering(Phase::Action, at.given, spare),
            Kind::Option(_, slot) => vec![At {
                then: Then::Value(slot),
                ..at.clone()
            }],
            Kind::Fixed(_) => vec![At {
                then: Then::Free,
                ..at.clone()
            }],
        };
        Some(then.into_iter().map(|at| (word, at)).collect())
    }

    /// Whether these words are taken for those that select the action.
    fn selects(&self, words: &[String]) -> bool {
        let mut commands = self.action.command.iter();
        commands.any(|command| !command.is_empty() && words.starts_with(command))
    }

    fn required_flags(&self, only_repeating: bool) -> u64 {
        self.bits(|argument| {
            let is_flag = matches!(argument.spelling, Spelling::Flag { .. });
            argument.required && is_flag && (argument.repeat || !only_repeating)
        })
    }

    /// Whether it is known which flags a word of several letters gives.
    fn counts_flags(&self) -> bool {
        let of = |has_sets: bool| {
            let bundles = self.options.iter().filter(move |(_, option)| {
                option
                    .bundle
                    .is_some_and(|bundle| bundle.flags.is_some() == has_sets)
            });
            bundles.map(|(part, _)| *part).collect::<HashSet<Part>>()
        };
        of(false).is_subset(&of(true))
    }

    fn bits(&self, counts: impl Fn(&Argument) -> bool) -> u64 {
        let slots = self.slots.iter().enumerate();
        let bits = slots.filter(|(_, (_, argument))| counts(argument));
        bits.fold(0, |all, (slot, _)| all | bit(slot))
    }

    /// Whether a command line may end here.
    pub(super) fn ends(&self, at: &At) -> bool {
        let required = self.bits(|argument| argument.required);
        at.then == Then::Free
            && at.phase != Phase::Before
            && at.plan.0 == at.plan.1
            && at.given & required == required
    }
}

/// The bit of a slot; none of those beyond the first 64, which are not watched.
fn bit(slot: usize) -> u64 {
    let slot = u32::try_from(slot).ok();
    slot.and_then(|slot| 1_u64.checked_shl(slot)).unwrap_or(0)
}

/// Every set of flags that may not be given twice, with the letters of a word that gives just these, in
/// whichever order: alone, and with others between them. None if there are too many.
///
/// Sets of one flag count too: its letter may stand in front of an option's, and no longer word gives it.
fn sets(once: &[(u64, String)], often: &str) -> Vec<(Bundle, String)> {
    if once.len() > MOST_BUNDLED {
        return Vec::new();
    }
    let mut sets: Vec<(u64, Vec<Vec<&str>>)> = vec![(0, vec![Vec::new()])];
    let mut nth = 0_usize;
    while let Some((flags, orders)) = sets.get(nth).cloned() {
        for (bit, letter) in once.iter().filter(|(bit, _)| flags & bit == 0) {
            let longer = orders
                .iter()
                .map(|order| [order.as_slice(), &[letter.as_str()]].concat());
            let longer: Vec<Vec<&str>> = longer.collect();
            let with = flags | bit;
            match sets.iter_mut().find(|(known, _)| *known == with) {
                Some((_, orders)) => orders.extend(longer),
                None => sets.push((with, longer)),
            }
        }
        nth = nth.saturating_add(1);
    }
    let mut named = Vec::new();
    for (flags, orders) in sets {
        let mut add = |words: Vec<String>, others: bool| {
            let flags = Some(flags);
            if !words.is_empty() {
                named.push((Bundle { flags, others }, format!("(?:{})", words.join("|"))));
            }
        };
        let some = orders.iter().filter(|order| !order.is_empty());
        add(some.map(|order| order.concat()).collect(), false);
        if often.is_empty() {
            continue;
        }
        let mut between: Vec<String> = Vec::new();
        for order in &orders {
            if order.is_empty() {
                between.push(format!("[{often}]{{2,}}"));
                continue;
            }
            // At least one other, in some gap.
            for gap in 0..=order.len() {
                let at = |nth: usize| if nth == gap { "+" } else { "*" };
                let mut word = format!("[{often}]{}", at(0));
                for (nth, letter) in (1_usize..).zip(order) {
                    word.push_str(&format!("{letter}[{often}]{}", at(nth)));
                }
                between.push(word);
            }
        }
        add(between, true);
    }
    named
}

/// The leading words by which a tool is called.
pub(crate) fn ways(tool: &Tool) -> Vec<Vec<String>> {
    let mut ways: Vec<Vec<String>> = Vec::new();
    if let Some(program) = &tool.program {
        let name = program.rsplit('/').next().unwrap_or(program);
        ways.push(vec![name.to_owned()]);
        if name != program {
            ways.push(vec![program.clone()]);
        }
    }
    for also in &tool.also {
        if !ways.contains(also) {
            ways.push(also.clone());
        }
    }
    ways
}
