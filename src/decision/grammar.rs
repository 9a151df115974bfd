//! A command line read against the declared grammars. Closed world: a word that no declaration
//! accepts denies the whole.
//!
//! Every action of every tool that the first words name is tried. One that accepts is the answer; if
//! several do, the request is ambiguous and denied, because a program that reads the words otherwise
//! than we do is how policies are walked around.

#![forbid(unsafe_code)]

use super::call::{Call, Given, Misfit, Part, Slot, arguments, check, positionals, shares};
use super::hints;
use super::paths::Decided;
use crate::path::shown;
use crate::policy::CompiledPolicy;
use crate::policy::model::{Action, Argument, ArgumentKind, Join, Spelling, Tool, WORKSPACE};
use crate::reason::Reason;

/// Finds the one action that accepts the words.
pub(super) fn parse(policy: &CompiledPolicy, words: &[Vec<u8>]) -> Result<Call, Misfit> {
    let mut accepted = readings(policy, words)?;
    if accepted.len() > 1 {
        let names: Vec<_> = accepted
            .iter()
            .filter_map(|call| name(policy, call))
            .collect();
        let message = format!(
            "several actions accept this command line: {}",
            names.join(", ")
        );
        return Err(Misfit::new(Reason::ArgumentAmbiguous, message));
    }
    // Never: that none accepts is an error above.
    accepted.pop().ok_or_else(no_actions)
}

/// The action that is called, as `tool.action`.
pub(super) fn name(policy: &CompiledPolicy, call: &Call) -> Option<String> {
    let (tool, action, _) = policy.action(call.tool, call.action)?;
    Some(format!("{}.{}", tool.name, action.name))
}

/// The actions, as `tool.action`, that accept a command line if several do. [`super::decide`] denies it then.
pub(crate) fn ambiguous(policy: &CompiledPolicy, argv: &[String]) -> Option<Vec<String>> {
    let words: Vec<Vec<u8>> = argv.iter().map(|word| word.as_bytes().to_vec()).collect();
    let accepted = readings(policy, &words).ok()?;
    let names = accepted.iter().filter_map(|call| name(policy, call));
    (accepted.len() > 1).then(|| names.collect())
}

/// The reading of the words by every action that accepts them: one at least, or why the one that came
/// farthest does not.
pub(super) fn readings(policy: &CompiledPolicy, words: &[Vec<u8>]) -> Result<Vec<Call>, Misfit> {
    let Some(program) = words.first() else {
        return Err(Misfit::new(
            Reason::RequestInvalid,
            "the command line is empty".to_owned(),
        ));
    };
    let candidates: Vec<_> = policy
        .tools()
        .iter()
        .enumerate()
        .flat_map(|(nth, tool)| {
            called_as(tool, words)
                .into_iter()
                .map(move |skip| (nth, tool, skip))
        })
        .collect();
    if candidates.is_empty() {
        let message = format!("no tool of the policy is called `{}`", shown(program));
        let misfit = Misfit::new(Reason::ToolNotAllowed, message);
        return Err(misfit.or(hints::for_program(policy, words)));
    }
    let mut accepted: Vec<Call> = Vec::new();
    let mut misfit: Option<Misfit> = None;
    for &(nth, tool, skip) in &candidates {
        let rest = words.get(skip..).unwrap_or_default();
        for (action_nth, action) in tool.actions.iter().enumerate() {
            let call = Call {
                tool: nth,
                action: action_nth,
                given: Vec::new(),
                climbs: Vec::new(),
            };
            match Reader::new(tool, action, rest).read(&call) {
                Ok(call) => accepted.push(call),
                Err(other)
                    if misfit
                        .as_ref()
                        .is_none_or(|known| other.depth > known.depth) =>
                {
                    misfit = Some(other)
                }
                Err(_) => {}
            }
        }
    }
    if !accepted.is_empty() {
        return Ok(accepted);
    }
    let misfit = misfit.unwrap_or_else(no_actions);
    let left_out = candidates
        .iter()
        .find_map(|(_, tool, skip)| hints::for_left_out(tool, words.get(*skip..)?));
    let misfit = misfit.or_rather(left_out.clone());
    if misfit.reason != Reason::ActionNotAllowed {
        return Err(misfit);
    }
    // None of the actions was asked for, so the message is about all that could have been.
    let tools: Vec<&Tool> = candidates.iter().map(|(_, tool, _)| *tool).collect();
    let skip = candidates.first().map_or(1, |(_, _, skip)| *skip);
    let asked = words
        .get(skip.saturating_add(misfit.depth)..)
        .unwrap_or_default();
    let (message, instead) = hints::for_words(program, &tools, asked);
    Err(Misfit::new(misfit.reason, message)
        .or(instead)
        .or_rather(left_out))
}

fn no_actions() -> Misfit {
    let message = "the tool has no actions".to_owned();
    Misfit::new(Reason::ActionNotAllowed, message)
}

/// Returns true if the words that a call was rendered to say that call again, and no other: `paths` are the
/// words that stand for its paths. What a program reads otherwise than it was decided must not run.
pub(super) fn reads_back(
    tool: &Tool,
    action: &Action,
    call: &Call,
    words: &[String],
    paths: &[Decided],
) -> bool {
    let words: Vec<Vec<u8>> = words.iter().map(|word| word.as_bytes().to_vec()).collect();
    let empty = Call {
        given: Vec::new(),
        climbs: Vec::new(),
        ..*call
    };
    let Ok(again) = Reader::new(tool, action, &words).read(&empty) else {
        return false;
    };
    let mut paths = paths.iter().filter(|path| path.is_given);
    again.given.len() == call.given.len()
        && again.given.iter().zip(&call.given).all(|((slot, given), (meant, value))| {
            let is_meant = match value {
                Given::Path(_) => paths.next().is_some_and(|path| matches!(given, Given::Path(text) if text == path.rendered.as_bytes())),
                Given::Flag | Given::Text(_) | Given::Bare | Given::NoPath => given == value,
            };
            slot == meant && is_meant
        })
}

/// Number of leading words that name the tool, for each way they do.
fn called_as(tool: &Tool, words: &[Vec<u8>]) -> Vec<usize> {
    let mut ways = Vec::new();
    let Some(first) = words.first() else {
        return ways;
    };
    if let Some(program) = &tool.program {
        let has_slash = first.contains(&b'/');
        let file_name = program.rsplit('/').next().unwrap_or(program);
        let is_called = if has_slash {
            program.as_bytes() == first.as_slice()
        } else {
            file_name.as_bytes() == first.as_slice()
        };
        if is_called {
            ways.push(1);
        }
    }
    for also in &tool.also {
        let is_called = also.len() <= words.len()
            && also
                .iter()
                .zip(words)
                .all(|(word, given)| word.as_bytes() == given.as_slice());
        if is_called && !ways.contains(&also.len()) {
            ways.push(also.len());
        }
    }
    ways
}

/// Reads the words behind the program for one action.
struct Reader<'r> {
    tool: &'r Tool,
    action: &'r Action,
    words: &'r [Vec<u8>],
    at: usize,
    fixed: Vec<Fixed<'r>>,
    given: Vec<(Slot, Given)>,
    climbs: Vec<String>,
    positionals: Vec<&'r [u8]>,
}

/// Words that are always passed on: an option with the plain words behind it, which may be its value.
struct Fixed<'r> {
    words: &'r [String],
    is_dropped: bool,
}

/// Meaning of a word that begins with a dash.
enum Spelled<'r> {
    Flag(Slot, Given),
    /// Several single-letter flags, and perhaps an option with the rest as its value.
    Bundle(Vec<(Slot, Given)>, Option<(Slot, Valued<'r>)>),
    Valued(Slot, Valued<'r>),
}

/// Where an option's value stands.
enum Valued<'r> {
    Here(&'r [u8]),
    /// That many words are between: the rest of an option of several words.
    NextWord(usize),
    Bare,
}

impl<'r> Reader<'r> {
    fn new(tool: &'r Tool, action: &'r Action, words: &'r [Vec<u8>]) -> Reader<'r> {
        Reader {
            tool,
            action,
            words,
            at: 0,
            fixed: Vec::new(),
            given: Vec::new(),
            climbs: Vec::new(),
            positionals: Vec::new(),
        }
    }

    fn read(self, call: &Call) -> Result<Call, Misfit> {
        let (action, words) = (self.action, self.words);
        self.read_all(call).map_err(|misfit| {
            // A required flag selects its action: without it nobody asked for that one.
            let is_written = |argument: &Argument| {
                words.iter().any(|word| {
                    argument
                        .spelling
                        .names()
                        .iter()
                        .any(|name| name.as_bytes() == word)
                })
            };
            let mut required = action.args.iter().filter(|argument| {
                argument.required && matches!(argument.kind, ArgumentKind::Flag)
            });
            match required.all(is_written) {
                true => misfit,
                false => misfit.at(0),
            }
        })
    }

    fn read_all(mut self, call: &Call) -> Result<Call, Misfit> {
        if !self.action.command.is_empty() {
            self.before_the_command()?;
        }
        self.action_words()?;
        let depth = self.at;
        let call = Call {
            given: self.given,
            climbs: self.climbs,
            tool: call.tool,
            action: call.action,
        };
        call.complete(self.tool, self.action)
            .map_err(|misfit| misfit.at(depth))
    }

    fn next(&mut self) -> Option<&'r [u8]> {
        let word = self.words.get(self.at)?;
        self.at = self.at.saturating_add(1);
        Some(word)
    }

    fn misfit(&self, reason: Reason, message: String) -> Misfit {
        Misfit::new(reason, message).at(self.at)
    }

    /// The tool's own options, the action's where the tool says so, and the words that select the action.
    fn before_the_command(&mut self) -> Result<(), Misfit> {
        let parts: &[Part] = if self.tool.options_first {
            &[Part::Tool, Part::Action]
        } else {
            &[Part::Tool]
        };
        self.fixed = Fixed::list(&self.tool.fixed).collect();
        loop {
            let rest = self.words.get(self.at..).unwrap_or_default();
            let selects = |command: &&Vec<String>| {
                command.len() <= rest.len()
                    && command
                        .iter()
                        .zip(rest)
                        .all(|(word, given)| word.as_bytes() == given.as_slice())
            };
            if let Some(command) = self
                .action
                .command
                .iter()
                .filter(selects)
                .max_by_key(|command| command.len())
            {
                self.at = self.at.saturating_add(command.len());
                return Ok(());
            }
            let Some(word) = self.next() else {
                let message = format!("no action of `{}` is asked for", self.tool.name);
                return Err(self.misfit(Reason::ActionNotAllowed, message));
            };
            if self.drops(word, parts) {
                continue;
            }
            if !is_option(word) {
                self.at = self.at.saturating_sub(1);
                let message = format!("`{}` declares no action `{}`", self.tool.name, shown(word));
                return Err(self.misfit(Reason::ActionNotAllowed, message));
            }
            if self.find_option(word, parts).is_none() {
                self.at = self.at.saturating_sub(1);
                let message = format!(
                    "`{}` takes no option `{}` in front of what it is asked to do",
                    self.tool.name,
                    shown(word)
                );
                let hint = hints::for_option(self.tool, self.action, parts, word);
                return Err(self.misfit(Reason::ArgumentUnknown, message).or(hint));
            }
            self.option(word, parts)?;
        }
    }

    fn action_words(&mut self) -> Result<(), Misfit> {
        // Without command words there is no border between the tool's options and the action's.
        let parts: &[Part] = if self.action.command.is_empty() {
            &[Part::Tool, Part::Action]
        } else {
            &[Part::Action]
        };
        self.fixed = Fixed::list(&self.action.fixed).collect();
        self.fixed.extend(Fixed::list(&self.action.fixed_last));
        if self.action.command.is_empty() {
            self.fixed.extend(Fixed::list(&self.tool.fixed));
        }
        let mut only_positionals = false;
        while let Some(word) = self.next() {
            if only_positionals {
                self.positionals.push(word);
            } else if word == b"--" {
                if self.action.after.is_some() {
                    self.assign(parts)?;
                    return self.behind_the_dashes();
                }
                only_positionals = true;
            } else if self.drops(word, parts) {
                // It will be rendered in any case.
            } else if is_option(word) {
                self.option(word, parts)?;
            } else {
                self.positionals.push(word);
            }
        }
        self.assign(parts)
    }

    fn behind_the_dashes(&mut self) -> Result<(), Misfit> {
        while let Some(word) = self.next() {
            if word == b"--" {
                return Err(self.misfit(Reason::ArgumentUnknown, "a second `--`".to_owned()));
            }
            let declares_options = arguments(self.tool, self.action, Part::After)
                .iter()
                .any(|a| a.spelling != Spelling::Positional);
            if is_option(word) && declares_options {
                self.option(word, &[Part::After])?;
            } else {
                self.positionals.push(word);
            }
        }
        self.assign(&[Part::After])
    }

    /// Drops what the caller wrote although it stands in the command anyway: a fixed word together with
    /// the words behind it that are no options (`-c` with its `core.pager=cat`). One without the other
    /// would mean something else. What could also be a word of its own is dropped once only.
    fn drops(&mut self, word: &'r [u8], parts: &[Part]) -> bool {
        let rest = self.words.get(self.at..).unwrap_or_default();
        let is_written = |fixed: &Fixed<'_>| {
            let given = std::iter::once(word).chain(rest.iter().map(Vec::as_slice));
            let mut fits = fixed
                .words
                .iter()
                .zip(given)
                .map(|(word, given)| says(word, given));
            let is_whole = fixed.words.len() <= rest.len().saturating_add(1);
            (is_whole && fits.all(|said| said.is_some()))
                .then_some(fixed.words.len().saturating_sub(1))
        };
        let is_only_fixed = || is_option(word) && self.find_option(word, parts).is_none();
        let mut written = self
            .fixed
            .iter()
            .enumerate()
            .filter_map(|(nth, fixed)| Some((nth, is_written(fixed)?)));
        let found = written
            .clone()
            .find(|(nth, _)| self.fixed.get(*nth).is_some_and(|fixed| !fixed.is_dropped));
        let found = found.or_else(|| written.next().filter(|_| is_only_fixed()));
        let Some((nth, values)) = found else {
            return false;
        };
        self.at = self.at.saturating_add(values);
        if let Some(fixed) = self.fixed.get_mut(nth) {
            fixed.is_dropped = true;
            let given = std::iter::once(word).chain(rest.iter().map(Vec::as_slice));
            let climbs = fixed
                .words
                .iter()
                .zip(given)
                .filter_map(|(word, given)| says(word, given)?);
            self.climbs.extend(climbs);
        }
        true
    }

    fn option(&mut self, word: &'r [u8], parts: &[Part]) -> Result<(), Misfit> {
        let Some(found) = self.find_option(word, parts) else {
            let message = format!(
                "`{}.{}` takes no option `{}`",
                self.tool.name,
                self.action.name,
                shown(word)
            );
            self.at = self.at.saturating_sub(1);
            let hint = hints::for_option(self.tool, self.action, parts, word);
            return Err(self.misfit(Reason::ArgumentUnknown, message).or(hint));
        };
        match found {
            Spelled::Flag(slot, given) => self.given.push((slot, given)),
            Spelled::Bundle(flags, last) => {
                self.given.extend(flags);
                if let Some((slot, valued)) = last {
                    self.value(slot, word, &valued)?;
                }
            }
            Spelled::Valued(slot, valued) => self.value(slot, word, &valued)?,
        }
        Ok(())
    }

    fn value(&mut self, slot: Slot, word: &[u8], valued: &Valued<'r>) -> Result<(), Misfit> {
        let bytes = match valued {
            Valued::Here(bytes) => *bytes,
            Valued::Bare => {
                self.given.push((slot, Given::Bare));
                return Ok(());
            }
            Valued::NextWord(between) => {
                self.at = self.at.saturating_add(*between);
                match self.next() {
                    Some(bytes) => bytes,
                    None => {
                        let message = format!("option `{}` lacks its value", shown(word));
                        return Err(self.misfit(Reason::ArgumentInvalid, message));
                    }
                }
            }
        };
        self.checked(slot, bytes)
    }

    fn checked(&mut self, slot: Slot, bytes: &[u8]) -> Result<(), Misfit> {
        let Some(argument) = super::call::argument(self.tool, self.action, slot) else {
            return Ok(());
        };
        let given = check(argument, bytes).map_err(|misfit| misfit.at(self.at))?;
        self.given.push((slot, given));
        Ok(())
    }

    /// The arguments of these parts, with their slots.
    fn declared<'p>(
        &self,
        parts: &'p [Part],
    ) -> impl Iterator<Item = (Slot, &'r Argument)> + use<'r, 'p> {
        let (tool, action) = (self.tool, self.action);
        parts.iter().copied().flat_map(move |part| {
            arguments(tool, action, part)
                .iter()
                .enumerate()
                .map(move |(nth, argument)| (Slot { part, nth }, argument))
        })
    }

    /// Exact spellings first, then `name=value`, then a value glued to a letter, then a bundle.
    fn find_option(&self, word: &'r [u8], parts: &[Part]) -> Option<Spelled<'r>> {
        let candidates = || self.declared(parts);
        let exact = candidates().find_map(|(slot, argument)| {
            let mut names = argument.spelling.names().iter();
            let spelled = names.find(|name| self.spells(name, word));
            let between = spelled.map(|name| name.matches(' ').count());
            match &argument.spelling {
                Spelling::Flag { .. } => {
                    spelled.map(|name| Spelled::Flag(slot, flag(argument, name)))
                }
                Spelling::Option {
                    value_optional: true,
                    ..
                } => spelled.map(|_| Spelled::Valued(slot, Valued::Bare)),
                Spelling::Option { .. } => {
                    between.map(|between| Spelled::Valued(slot, Valued::NextWord(between)))
                }
                Spelling::Positional => None,
            }
        });
        exact
            .or_else(|| {
                // `-out=v` belongs to `-out` where `-o` is declared too.
                let fitting = candidates()
                    .filter_map(|(slot, argument)| Some((slot, attached(argument, word)?)));
                let (slot, value) = fitting.min_by_key(|(_, value)| value.len())?;
                Some(Spelled::Valued(slot, Valued::Here(value)))
            })
            .or_else(|| self.bundle(word, &candidates().collect::<Vec<_>>()))
    }

    /// Returns true if a word, with those behind it, is this spelling of an option.
    fn spells(&self, name: &str, word: &[u8]) -> bool {
        let mut rest = self.words.get(self.at..).unwrap_or_default().iter();
        let mut parts = name.split(' ');
        parts.next().is_some_and(|first| first.as_bytes() == word)
            && parts.all(|part| {
                rest.next()
                    .is_some_and(|word| part.as_bytes() == word.as_slice())
            })
    }

    /// `-xvs` as `-x -v -s`; the first letter that takes a value ends the bundle. Letters are ASCII, as no other
    /// byte alone is a name; the value may be anything.
    fn bundle(&self, word: &'r [u8], candidates: &[(Slot, &Argument)]) -> Option<Spelled<'r>> {
        let letters = word
            .strip_prefix(b"-")
            .filter(|letters| self.tool.bundle && letters.len() > 1)?;
        let mut flags = Vec::new();
        for (nth, letter) in letters.iter().enumerate() {
            let name = [b'-', *letter];
            let (slot, argument, spelled) = candidates.iter().find_map(|(slot, argument)| {
                let mut names = argument.spelling.names().iter();
                let spelled = names.find(|known| known.as_bytes() == name)?;
                Some((slot, argument, spelled))
            })?;
            let rest = letters.get(nth.saturating_add(1)..).unwrap_or_default();
            match &argument.spelling {
                Spelling::Flag { .. } => flags.push((*slot, flag(argument, spelled))),
                Spelling::Option { value_optional, .. } => {
                    let valued = match (rest.is_empty(), value_optional) {
                        (false, _) => Valued::Here(rest),
                        (true, true) => Valued::Bare,
                        (true, false) => Valued::NextWord(0),
                    };
                    return Some(Spelled::Bundle(flags, Some((*slot, valued))));
                }
                Spelling::Positional => return None,
            }
        }
        Some(Spelled::Bundle(flags, None))
    }

    /// Gives the positional words to the positional arguments, in declared order.
    fn assign(&mut self, parts: &[Part]) -> Result<(), Misfit> {
        let words = std::mem::take(&mut self.positionals);
        let takers: Vec<_> = positionals(self.tool, self.action, parts).collect();
        let declared: Vec<&Argument> = takers.iter().map(|(_, argument)| *argument).collect();
        let mut words = words.as_slice();
        for ((slot, _), share) in takers.iter().zip(shares(&declared, words.len())) {
            let (mine, rest) = words.split_at_checked(share).unwrap_or((words, &[]));
            for word in mine {
                self.checked(*slot, word)?;
            }
            words = rest;
        }
        match words.first() {
            None => Ok(()),
            Some(word) => {
                let message = format!(
                    "`{}.{}` takes no further argument `{}`",
                    self.tool.name,
                    self.action.name,
                    shown(word)
                );
                let after = arguments(self.tool, self.action, Part::After);
                let takes_paths = |argument: &Argument| {
                    argument.spelling == Spelling::Positional
                        && matches!(argument.kind, ArgumentKind::Path(_))
                };
                let hint = (!parts.contains(&Part::After) && after.iter().any(takes_paths))
                    .then(|| format!("a path stands behind `--`: write `-- {}`", shown(word)));
                Err(self.misfit(Reason::ArgumentUnknown, message).or(hint))
            }
        }
    }
}

impl<'r> Fixed<'r> {
    fn list(words: &'r [String]) -> impl Iterator<Item = Fixed<'r>> {
        let groups = words.chunk_by(|_, next| !is_option(next.as_bytes()));
        groups.map(|words| Fixed {
            words,
            is_dropped: false,
        })
    }
}

/// Meaning of a flag: that it is there, or which of several it is.
fn flag(argument: &Argument, name: &str) -> Given {
    match &argument.kind {
        ArgumentKind::Choice(_) => Given::Text(name.to_owned()),
        ArgumentKind::Flag
        | ArgumentKind::Path(_)
        | ArgumentKind::Text { .. }
        | ArgumentKind::Int { .. } => Given::Flag,
    }
}

/// If a word is the fixed one: the way to the workspace that it names, where it names one.
fn says(fixed: &str, given: &[u8]) -> Option<Option<String>> {
    let Some((front, back)) = fixed.split_once(WORKSPACE) else {
        return (fixed.as_bytes() == given).then_some(None);
    };
    let way = given
        .strip_prefix(front.as_bytes())?
        .strip_suffix(back.as_bytes())?;
    let way = std::str::from_utf8(way).ok()?;
    let is_way = way == "." || way.split('/').all(|segment| segment == "..");
    is_way.then(|| Some(way.to_owned()))
}

/// A lone `-` is a word like others: it stands for a stream.
pub(super) fn is_option(word: &[u8]) -> bool {
    word.len() > 1 && word.starts_with(b"-")
}

/// An option of one letter, as `-k`.
pub(super) fn is_letter(name: &str) -> bool {
    name.len() == 2
}

/// The value that is part of the option's own word, if this is a word of this option.
fn attached<'w>(argument: &Argument, word: &'w [u8]) -> Option<&'w [u8]> {
    let Spelling::Option { names, join, .. } = &argument.spelling else {
        return None;
    };
    let values = names.iter().filter_map(|name| {
        if name == "-<n>" {
            let digits = word.strip_prefix(b"-")?;
            return (!digits.is_empty() && digits.iter().all(u8::is_ascii_digit)).then_some(digits);
        }
        let rest = word
            .strip_prefix(name.as_bytes())
            .filter(|rest| !rest.is_empty())?;
        // `-k=v` is the value `=v` to most programs, and `v` to those that join with `=`.
        if is_letter(name) && *join != Some(Join::Equals) {
            Some(rest)
        } else {
            rest.strip_prefix(b"=")
        }
    });
    values.min_by_key(|value| value.len())
}
