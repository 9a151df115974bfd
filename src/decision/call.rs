//! A request read against a tool's declared grammar: which action, and a checked value for each
//! argument. Both forms of a request end here, and what is executed is rendered from here, so they
//! cannot be decided apart.

#![forbid(unsafe_code)]

use super::Request;
use super::suffix;
use crate::policy::model::{Action, Argument, ArgumentKind, PathArgument, Spelling, Tool};
use crate::reason::Reason;

/// Which of an action's three lists of arguments one stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// The tool's own, before the command words.
    Tool,
    /// The action's.
    Action,
    /// Behind `--`.
    After,
}

/// One declared argument: its part and place there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Slot {
    pub(super) part: Part,
    pub(super) nth: usize,
}

/// A request whose form fits.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) tool: usize,
    pub(super) action: usize,
    /// In declared order; values of one argument in the order given.
    pub(super) given: Vec<(Slot, Given)>,
    /// The ways to the workspace that fixed words name, where the caller wrote these words out.
    pub(super) climbs: Vec<String>,
}

impl Call {
    /// Writes absolute paths below the workspace as the relative ones that they stand for. Returns true if there were
    /// some. Where an option says where paths start, none is: what they start from is not known yet.
    pub(super) fn take_roots(&mut self, tool: &Tool, action: &Action, request: &Request) -> bool {
        if request.roots.is_empty() {
            return false;
        }
        let is_base = |slot: Slot| {
            argument(tool, action, slot).is_some_and(
                |argument| matches!(&argument.kind, ArgumentKind::Path(kind) if kind.base),
            )
        };
        let has_base = self.given.iter().any(|(slot, _)| is_base(*slot));
        let mut is_changed = false;
        for (slot, given) in &mut self.given {
            if let Given::Path(path) = given
                && (!has_base || is_base(*slot))
                && let Some(below) = request.below_root(path)
            {
                *path = below;
                is_changed = true;
            }
        }
        is_changed
    }
}

/// One checked value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Given {
    Flag,
    Text(String),
    /// An option that stands without its value.
    Bare,
    /// A path, not yet looked at.
    Path(Vec<u8>),
    /// A path that is explicitly nothing.
    NoPath,
}

/// Why a request does not fit a grammar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Misfit {
    pub(super) reason: Reason,
    pub(super) message: String,
    /// Advice on what to do instead.
    pub(super) instead: Option<String>,
    /// The argument that has to be given and is not: its tool, its action there, its name.
    pub(super) missing: Option<(usize, usize, String)>,
    /// Number of words that were understood before it; the misfit that came furthest is reported.
    pub(super) depth: usize,
}

impl Misfit {
    pub(super) fn new(reason: Reason, message: String) -> Misfit {
        Misfit {
            reason,
            message,
            instead: None,
            missing: None,
            depth: 0,
        }
    }

    /// Replaces the advice, if there is a better one.
    pub(super) fn or_rather(self, instead: Option<String>) -> Misfit {
        Misfit {
            instead: instead.or(self.instead),
            ..self
        }
    }

    pub(super) fn or(self, instead: Option<String>) -> Misfit {
        Misfit { instead, ..self }
    }

    /// Adds what to do, if nothing was said about that.
    pub(super) fn or_instead(mut self, instead: Option<String>) -> Misfit {
        self.instead = self.instead.or(instead);
        self
    }

    pub(super) fn at(self, depth: usize) -> Misfit {
        Misfit { depth, ..self }
    }
}

/// The arguments of a part.
pub(super) fn arguments<'p>(tool: &'p Tool, action: &'p Action, part: Part) -> &'p [Argument] {
    match part {
        Part::Tool => &tool.args,
        Part::Action => &action.args,
        Part::After => action.after.as_deref().unwrap_or_default(),
    }
}

/// Every argument of an action with its slot, in the order in which they are rendered.
pub(super) fn slots<'p>(
    tool: &'p Tool,
    action: &'p Action,
) -> impl Iterator<Item = (Slot, &'p Argument)> {
    [Part::Tool, Part::Action, Part::After]
        .into_iter()
        .flat_map(move |part| {
            arguments(tool, action, part)
                .iter()
                .enumerate()
                .map(move |(nth, argument)| (Slot { part, nth }, argument))
        })
}

/// The argument of a slot.
pub(super) fn argument<'p>(tool: &'p Tool, action: &'p Action, slot: Slot) -> Option<&'p Argument> {
    arguments(tool, action, slot.part).get(slot.nth)
}

/// Checks one value against what its argument takes.
pub(super) fn check(argument: &Argument, bytes: &[u8]) -> Result<Given, Misfit> {
    let invalid = |why: &str| {
        let shown = crate::path::shown(bytes);
        Misfit::new(
            Reason::ArgumentInvalid,
            format!("argument `{}` cannot be `{shown}`: {why}", argument.name),
        )
    };
    let text = || std::str::from_utf8(bytes).map_err(|_| invalid("it is not UTF-8"));
    match &argument.kind {
        ArgumentKind::Path(kind) if kind.portable && !PathArgument::is_portable(bytes) => {
            Err(invalid(
                "a shell may read it on the way: it is made of letters, digits and `._/+@%=:,-`, and begins with no dash",
            ))
        }
        ArgumentKind::Path(_) => Ok(Given::Path(bytes.to_vec())),
        ArgumentKind::Flag => Err(invalid("a flag takes no value")),
        ArgumentKind::Text {
            pattern,
            lines,
            dash,
            suffix,
            means,
        } => {
            let kept = suffix
                .as_deref()
                .map(|suffix| text().map(|text| suffix::bare(text, suffix)))
                .transpose()?;
            let text = kept.as_deref().map_or_else(text, Ok)?;
            let is_odd = |c: char| c.is_control() && c != '\t' && !(c == '\n' && *lines);
            if text.contains(is_odd) {
                return Err(invalid(if text.contains('\n') && !lines {
                    "it has several lines"
                } else {
                    "it holds a control character"
                }));
            }
            if !dash && text.starts_with('-') {
                return Err(invalid("it begins like an option"));
            }
            if let Some(pattern) = pattern.as_ref().filter(|pattern| !pattern.matches(text)) {
                return Err(invalid(&match means {
                    Some(means) => format!("it is not {means}"),
                    None => format!("it does not match `{}`", pattern.as_str()),
                }));
            }
            Ok(Given::Text(text.to_owned()))
        }
        ArgumentKind::Int { min, max } => {
            let text = text()?;
            let digits = text.strip_prefix('-').unwrap_or(text);
            // One spelling for each number: what is checked is what is passed on.
            let is_canonical = digits == "0" && !text.starts_with('-')
                || digits.starts_with(|c: char| ('1'..='9').contains(&c));
            let value = text
                .parse::<i64>()
                .ok()
                .filter(|_| is_canonical)
                .ok_or_else(|| invalid("it is no whole number"))?;
            if value < *min || value > *max {
                return Err(invalid(&bounds(*min, *max)));
            }
            Ok(Given::Text(text.to_owned()))
        }
        ArgumentKind::Choice(words) => {
            let text = text()?;
            if !words.iter().any(|word| word == text) {
                return Err(invalid(&format!("it is one of {}", words.join(", "))));
            }
            Ok(Given::Text(text.to_owned()))
        }
    }
}

fn bounds(min: i64, max: i64) -> String {
    match (min, max) {
        (i64::MIN, max) => format!("at most {max}"),
        (min, i64::MAX) => format!("at least {min}"),
        (min, max) => format!("from {min} to {max}"),
    }
}

impl Call {
    /// Sorts the values into declared order and checks how often each argument is given.
    pub(super) fn complete(mut self, tool: &Tool, action: &Action) -> Result<Call, Misfit> {
        self.given.sort_by_key(|(slot, _)| *slot);
        for (slot, argument) in slots(tool, action) {
            let times = self.given.iter().filter(|(at, _)| *at == slot).count();
            if times == 0 && argument.required {
                let message = format!(
                    "`{}.{}` requires the argument `{}`",
                    tool.name, action.name, argument.name
                );
                let missing = Some((self.tool, self.action, argument.name.clone()));
                return Err(Misfit {
                    missing,
                    ..Misfit::new(Reason::ArgumentRequired, message)
                });
            }
            if times > 1 && !argument.repeat {
                let message = format!(
                    "argument `{}` is given {times} times and does not repeat",
                    argument.name
                );
                return Err(Misfit::new(Reason::ArgumentInvalid, message));
            }
        }
        self.positions_hold(tool, action)?;
        Ok(self)
    }

    /// Checks that each positional value would be read back as the argument it was given for. Arguments by
    /// name can leave one out in front of another; rendered, the second would stand in the first's place.
    fn positions_hold(&self, tool: &Tool, action: &Action) -> Result<(), Misfit> {
        for parts in positional_groups(action) {
            let takers: Vec<_> = positionals(tool, action, parts).collect();
            let times = |slot: Slot| self.given.iter().filter(|(at, _)| *at == slot).count();
            let given: Vec<usize> = takers.iter().map(|(slot, _)| times(*slot)).collect();
            let declared: Vec<&Argument> = takers.iter().map(|(_, argument)| *argument).collect();
            let read_back = shares(&declared, given.iter().sum());
            let moved = given
                .iter()
                .zip(&read_back)
                .zip(&declared)
                .find(|((given, read), _)| given > read);
            if let Some((_, argument)) = moved {
                let message = format!(
                    "argument `{}` is known by its place and cannot be given without those before it",
                    argument.name
                );
                return Err(Misfit::new(Reason::ArgumentInvalid, message));
            }
        }
        Ok(())
    }
}

/// The parts whose positional words are read together. Without command words there is no border
/// between the tool's arguments and the action's.
fn positional_groups(action: &Action) -> [&'static [Part]; 2] {
    let first: &[Part] = if action.command.is_empty() {
        &[Part::Tool, Part::Action]
    } else {
        &[Part::Action]
    };
    [first, &[Part::After]]
}

/// The positional arguments of some parts, in declared order.
pub(super) fn positionals<'p>(
    tool: &'p Tool,
    action: &'p Action,
    parts: &[Part],
) -> impl Iterator<Item = (Slot, &'p Argument)> {
    slots(tool, action).filter(move |(slot, argument)| {
        parts.contains(&slot.part) && argument.spelling == Spelling::Positional
    })
}

/// Number of the `words` positional words that each argument takes: one, in declared order, as long as there
/// are some that the required ones behind it do not need. One argument may repeat; it takes what is free.
pub(crate) fn shares(takers: &[&Argument], words: usize) -> Vec<usize> {
    let mut left = words;
    let mut shares = Vec::with_capacity(takers.len());
    // Where there are too few, the first have what there is: the last are what is lacking.
    let is_short = takers.iter().filter(|other| other.required).count() > words;
    for (place, argument) in takers.iter().enumerate() {
        let behind = takers.get(place.saturating_add(1)..).unwrap_or_default();
        let needed = behind.iter().filter(|other| other.required && !is_short);
        let needed = needed.count();
        let free = left.saturating_sub(needed);
        let share = if argument.repeat { free } else { free.min(1) };
        shares.push(share);
        left = left.saturating_sub(share);
    }
    shares
}
