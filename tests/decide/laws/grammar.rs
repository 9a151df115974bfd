//! Random tool grammars, random valid calls to them, and every legal way to write a call as words.
//!
//! The grammars of [`tool`] keep their spellings apart, so that what a call must be rendered to and
//! read as can be said here without asking the product. Those of [`crowded_tool`] do not: there only
//! laws can be stated, not answers.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};

use lictor::decision::{Request, Value};

#[derive(Clone, Debug)]
pub(super) struct Tool {
    pub(super) program: String,
    pub(super) also: Option<String>,
    pub(super) fixed: Vec<String>,
    pub(super) bundle: bool,
    pub(super) options_first: bool,
    pub(super) args: Vec<Argument>,
    pub(super) actions: Vec<Action>,
}

#[derive(Clone, Debug)]
pub(super) struct Action {
    pub(super) command: Vec<String>,
    pub(super) fixed: Vec<String>,
    pub(super) fixed_last: Vec<String>,
    pub(super) args: Vec<Argument>,
    pub(super) after: Option<Vec<Argument>>,
}

#[derive(Clone, Debug)]
pub(super) struct Argument {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) spelling: Spelling,
    pub(super) required: bool,
    pub(super) repeat: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Flag,
    Path { base: bool },
    Text { dash: bool, lines: bool },
    Int { min: i64, max: i64 },
    Choice(Vec<String>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Spelling {
    Positional,
    Named {
        names: Vec<String>,
        optional: bool,
        join: Option<&'static str>,
    },
}

/// A value of an argument; a flag, or an option that stands alone, has none.
pub(super) type Given = Option<String>;

/// A call: the action, and the values of each argument of the tool, the action and behind `--`.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) action: usize,
    pub(super) before: Vec<Vec<Given>>,
    pub(super) args: Vec<Vec<Given>>,
    pub(super) after: Vec<Vec<Given>>,
}

impl Tool {
    pub(super) fn yaml(&self) -> String {
        let mut text =
            String::from("version: 1\nname: random\nscopes: {all: \"**\"}\ntools:\n  tool:\n");
        text.push_str(&format!("    program: {}\n", quoted(&self.program)));
        if let Some(also) = &self.also {
            text.push_str(&format!("    also: [{}]\n", quoted(also)));
        }
        text.push_str(&list("    fixed", &self.fixed));
        text.push_str(&format!("    bundle: {}\n", self.bundle));
        text.push_str(&format!("    options_first: {}\n", self.options_first));
        text.push_str(&arguments("    args", &self.args));
        text.push_str("    actions:\n");
        for (nth, action) in self.actions.iter().enumerate() {
            text.push_str(&format!("      a{nth}:\n        report: tap\n"));
            text.push_str(&list("        command", &action.command));
            text.push_str(&list("        fixed", &action.fixed));
            text.push_str(&list("        fixed_last", &action.fixed_last));
            text.push_str(&arguments("        args", &action.args));
            if let Some(after) = &action.after {
                text.push_str(&arguments("        after", after));
            }
        }
        text.push_str("rules:\n  - {id: all, allow: tool.*, within: all}\n");
        text
    }
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

fn list(key: &str, texts: &[String]) -> String {
    if texts.is_empty() {
        String::new()
    } else {
        format!("{key}: {}\n", serde_json::to_string(texts).unwrap())
    }
}

fn arguments(key: &str, arguments: &[Argument]) -> String {
    let mut text = format!("{key}:{}\n", if arguments.is_empty() { " {}" } else { "" });
    let indent = key.len() - key.trim_start().len() + 2;
    for argument in arguments {
        text.push_str(&format!(
            "{:indent$}{}: {}\n",
            "",
            argument.name,
            argument.yaml()
        ));
    }
    text
}

impl Argument {
    fn yaml(&self) -> String {
        let mut fields = vec![match &self.kind {
            Kind::Flag => "type: flag".to_owned(),
            Kind::Path { base } => format!("type: path, absent: nothing, base: {base}"),
            Kind::Text { dash, lines } => format!("type: text, dash: {dash}, lines: {lines}"),
            Kind::Int { min, max } => format!("type: int, min: {min}, max: {max}"),
            Kind::Choice(words) => format!(
                "type: choice, of: {}",
                serde_json::to_string(words).unwrap()
            ),
        }];
        if self.required {
            fields[0] = fields[0].replace(", absent: nothing", "");
        }
        if let Spelling::Named {
            names,
            optional,
            join,
        } = &self.spelling
        {
            let key = if self.kind == Kind::Flag {
                "names"
            } else {
                "option"
            };
            fields.push(format!("{key}: {}", serde_json::to_string(names).unwrap()));
            fields.extend(optional.then(|| "value: optional".to_owned()));
            fields.extend(join.map(|join| format!("join: {join}")));
        }
        fields.push(format!(
            "required: {}, repeat: {}",
            self.required, self.repeat
        ));
        format!("{{{}}}", fields.join(", "))
    }

    pub(super) fn is_positional(&self) -> bool {
        self.spelling == Spelling::Positional
    }

    /// The words that the specification renders a value to.
    fn rendered(&self, given: &Given) -> Vec<String> {
        let Spelling::Named {
            names,
            optional,
            join,
        } = &self.spelling
        else {
            return given.iter().cloned().collect();
        };
        let Some(value) = given else {
            return vec![names[0].clone()];
        };
        let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
        // A letter alone is the option without its value; `--long=`, or `-k=`, says an empty one.
        let alone = *optional && value.is_empty() && *join != Some("equals");
        let says_it =
            |name: &&String| (*name != "-<n>" || is_number) && !(alone && name.len() == 2);
        let name = names.iter().find(says_it).unwrap_or(&names[0]);
        let join = join.unwrap_or(match (name.len() > 2, optional) {
            (true, _) => "equals",
            (false, true) => "glued",
            (false, false) => "space",
        });
        match join {
            _ if name == "-<n>" => vec![format!("-{value}")],
            "equals" => vec![format!("{name}={value}")],
            "glued" if !value.is_empty() => vec![format!("{name}{value}")],
            _ => in_words(name, value),
        }
    }
}

/// An option, which may be of several words, and its value in the next.
fn in_words(name: &str, value: &str) -> Vec<String> {
    let words = name.split(' ').chain([value]);
    words.map(str::to_owned).collect()
}

/// The words that the specification renders a call to. Words that begin like options stand behind `--`,
/// or the program would take them for some.
pub(super) fn rendered(tool: &Tool, call: &Call) -> Vec<String> {
    let action = &tool.actions[call.action];
    let of = |arguments: &[Argument], values: &[Vec<Given>], positional: bool| {
        let chosen = arguments
            .iter()
            .zip(values)
            .filter(|(argument, _)| argument.is_positional() == positional);
        chosen
            .flat_map(|(argument, values)| values.iter().flat_map(|given| argument.rendered(given)))
            .collect::<Vec<_>>()
    };
    let mut words = vec![tool.program.clone()];
    words.extend(tool.fixed.clone());
    words.extend(of(&tool.args, &call.before, false));
    words.extend(
        action
            .command
            .first()
            .iter()
            .flat_map(|command| command.split(' '))
            .map(str::to_owned),
    );
    words.extend(action.fixed.clone());
    words.extend(of(&action.args, &call.args, false));
    words.extend(action.fixed_last.clone());
    let positional = of(&action.args, &call.args, true);
    if positional
        .iter()
        .any(|word| word.len() > 1 && word.starts_with('-'))
    {
        words.push("--".to_owned());
    }
    words.extend(positional);
    if let Some(after) = &action.after {
        words.push("--".to_owned());
        words.extend(of(after, &call.after, false));
        words.extend(of(after, &call.after, true));
    }
    words
}

impl Call {
    /// The call by name. A number or a flag is given as what it is or as text, as `as_text` says.
    pub(super) fn named(&self, tool: &Tool, as_text: bool) -> Request {
        let action = &tool.actions[self.action];
        let all = tool
            .args
            .iter()
            .zip(&self.before)
            .chain(action.args.iter().zip(&self.args));
        let all = all.chain(action.after.iter().flatten().zip(&self.after));
        let value = |argument: &Argument, given: &Given| match (&argument.kind, given) {
            (_, None) => Value::Flag(true),
            (Kind::Int { .. }, Some(text)) if !as_text => Value::Int(text.parse().unwrap()),
            (_, Some(text)) => Value::from(text.as_str()),
        };
        let mut request = Request::named("tool", format!("a{}", self.action));
        for (argument, values) in all.filter(|(_, values)| !values.is_empty()) {
            let mut values: Vec<Value> =
                values.iter().map(|given| value(argument, given)).collect();
            let value = if values.len() == 1 {
                values.pop().unwrap()
            } else {
                Value::List(values)
            };
            request = request.with_arg(argument.name.clone(), value);
        }
        request
    }

    /// The call as words, written in one of the legal ways that `dice` picks; none if no words say it.
    pub(super) fn words(&self, tool: &Tool, dice: &mut Dice) -> Option<Vec<String>> {
        let action = &tool.actions[self.action];
        let mut words: Vec<String> = match &tool.also {
            Some(also) if dice.roll(2) == 0 => also.split(' ').map(str::to_owned).collect(),
            _ => vec![tool.program.rsplit('/').next().unwrap().to_owned()],
        };
        if tool.program.starts_with('/') && tool.also.is_none() {
            words[0].clone_from(&tool.program);
        }
        let tool_part: Vec<_> = tool.args.iter().zip(&self.before).collect();
        let action_part: Vec<_> = action.args.iter().zip(&self.args).collect();
        let dashes = if action.after.is_none() {
            Dashes::Free
        } else {
            Dashes::Reserved
        };
        if action.command.is_empty() {
            let fixed = [&tool.fixed[..], &action.fixed, &action.fixed_last].concat();
            words.extend(part(
                [tool_part, action_part].concat(),
                &fixed,
                tool.bundle,
                dashes,
                dice,
            )?);
        } else {
            let (early, action_part): (Vec<_>, Vec<_>) =
                action_part.into_iter().partition(|(argument, _)| {
                    let is_option = argument.spelling != Spelling::Positional;
                    tool.options_first && is_option && dice.roll(2) == 0
                });
            words.extend(part(
                [tool_part, early].concat(),
                &tool.fixed,
                tool.bundle,
                Dashes::Reserved,
                dice,
            )?);
            let command = &action.command[dice.roll(action.command.len())];
            words.extend(command.split(' ').map(str::to_owned));
            let fixed = [&action.fixed[..], &action.fixed_last].concat();
            words.extend(part(action_part, &fixed, tool.bundle, dashes, dice)?);
        }
        if let Some(after) = &action.after {
            let behind = part(
                after.iter().zip(&self.after).collect(),
                &[],
                tool.bundle,
                Dashes::Before,
                dice,
            )?;
            if !behind.is_empty() || dice.roll(2) == 0 {
                words.push("--".to_owned());
                words.extend(behind);
            }
        }
        Some(words)
    }
}

/// Choices made one after the other from random numbers.
pub(super) struct Dice(Vec<u16>);

impl Dice {
    pub(super) fn roll(&mut self, sides: usize) -> usize {
        let rolled = self.0.pop().unwrap_or(0);
        usize::from(rolled) % sides.max(1)
    }
}

pub(super) fn dice() -> impl Strategy<Value = Vec<u16>> {
    vec(any::<u16>(), 64)
}

pub(super) fn throw(rolls: Vec<u16>) -> Dice {
    Dice(rolls)
}

/// One thing on a command line.
#[derive(Clone, Debug)]
enum Item {
    /// Words that stand alone.
    Words(Vec<String>),
    /// A flag of one letter.
    Letter(char),
    /// An option of one letter, with its value, which may stand glued.
    Valued(char, String, bool),
    Positional(String),
}

/// What `--` is to a part of a command line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Dashes {
    /// It may end the options.
    Free,
    /// It would end more than this part.
    Reserved,
    /// It stands before this part.
    Before,
}

fn part(
    given: Vec<(&Argument, &Vec<Given>)>,
    fixed: &[String],
    bundles: bool,
    dashes: Dashes,
    dice: &mut Dice,
) -> Option<Vec<String>> {
    let mut items: Vec<Item> = Vec::new();
    let positional = positional_words(&given)?;
    for (argument, values) in given
        .iter()
        .filter(|(argument, _)| !argument.is_positional())
    {
        // Values of one argument keep their order; those of different ones mix.
        let mut at = 0;
        for given in *values {
            at += dice.roll(items.len() + 1 - at);
            items.insert(at, option_item(argument, given, dice)?);
            at += 1;
        }
    }
    for group in fixed.chunk_by(|_, next| !next.starts_with('-')) {
        if dice.roll(4) == 0 {
            items.insert(dice.roll(items.len() + 1), Item::Words(group.to_vec()));
        }
    }
    // What begins with a dash can only stand behind `--`, and so must all that follow it.
    let needs_end = positional
        .iter()
        .position(|word| word.len() > 1 && word.starts_with('-'));
    let has_options = given.iter().any(|(argument, _)| !argument.is_positional());
    let is_plain_behind = dashes == Dashes::Before && !has_options;
    if positional
        .iter()
        .any(|word| word == "--" && dashes == Dashes::Before)
        || needs_end.is_some() && dashes != Dashes::Free && !is_plain_behind
    {
        return None;
    }
    let needs_end = needs_end.filter(|_| !is_plain_behind);
    let may_end = dashes == Dashes::Free;
    let ends = may_end && (needs_end.is_some() || dice.roll(4) == 0);
    let border = if ends {
        needs_end
            .unwrap_or(positional.len())
            .min(dice.roll(positional.len() + 1))
    } else {
        positional.len()
    };
    let mut at = 0;
    for word in &positional[..border] {
        at += dice.roll(items.len() + 1 - at);
        items.insert(at, Item::Positional(word.clone()));
        at += 1;
    }
    let mut words = written(&items, bundles, dice);
    if ends {
        words.push("--".to_owned());
        words.extend(positional[border..].iter().cloned());
    }
    Some(words)
}

/// The positional words in order; none if reading them would give them to other arguments.
fn positional_words(given: &[(&Argument, &Vec<Given>)]) -> Option<Vec<String>> {
    let takers: Vec<_> = given
        .iter()
        .filter(|(argument, _)| argument.is_positional())
        .collect();
    let words: Vec<String> = takers
        .iter()
        .flat_map(|(_, values)| values.iter().flatten().cloned())
        .collect();
    let mut left = words.len();
    for (nth, (argument, values)) in takers.iter().enumerate() {
        let needed = takers[nth + 1..]
            .iter()
            .filter(|(other, _)| other.required)
            .count();
        let free = left.saturating_sub(needed);
        let taken = if argument.repeat { free } else { free.min(1) };
        if taken != values.len() {
            return None;
        }
        left -= taken;
    }
    Some(words)
}

fn option_item(argument: &Argument, given: &Given, dice: &mut Dice) -> Option<Item> {
    let Spelling::Named {
        names,
        optional,
        join,
    } = &argument.spelling
    else {
        return None;
    };
    let letter = |name: &str| name.chars().nth(1).filter(|_| name.len() == 2);
    let Some(value) = given else {
        let name = &names[dice.roll(names.len())];
        // In a bundle an option could not do without its value but as the last; it stands alone here.
        return Some(match letter(name).filter(|_| argument.kind == Kind::Flag) {
            Some(letter) => Item::Letter(letter),
            None => Item::Words(vec![name.clone()]),
        });
    };
    let mut ways: Vec<Item> = Vec::new();
    for name in names {
        if name == "-<n>" {
            let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
            ways.extend(is_number.then(|| Item::Words(vec![format!("-{value}")])));
            continue;
        }
        if !optional {
            ways.push(Item::Words(in_words(name, value)));
        }
        match letter(name) {
            Some(_) if *join == Some("equals") => {
                ways.push(Item::Words(vec![format!("{name}={value}")]))
            }
            Some(letter) if !value.is_empty() => {
                ways.push(Item::Valued(letter, value.clone(), *optional))
            }
            Some(_) => {}
            None if name.contains(' ') => {}
            None => ways.push(Item::Words(vec![format!("{name}={value}")])),
        }
    }
    let nth = dice.roll(ways.len());
    ways.get(nth).cloned()
}

/// The items as words; letters beside each other may be bundled.
fn written(items: &[Item], bundles: bool, dice: &mut Dice) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut bundle = String::new();
    for item in items {
        let joins = bundles && !bundle.is_empty() && dice.roll(3) > 0;
        if !joins && !bundle.is_empty() {
            words.push(format!("-{}", std::mem::take(&mut bundle)));
        }
        match item {
            Item::Letter(letter) => bundle.push(*letter),
            Item::Valued(letter, value, must_be_glued) => {
                words.push(format!("-{}{letter}", std::mem::take(&mut bundle)));
                if *must_be_glued || dice.roll(2) == 0 {
                    words.last_mut().unwrap().push_str(value);
                } else {
                    words.push(value.clone());
                }
            }
            Item::Words(more) => {
                if !bundle.is_empty() {
                    words.push(format!("-{}", std::mem::take(&mut bundle)));
                }
                words.extend(more.iter().cloned());
            }
            Item::Positional(word) => {
                if !bundle.is_empty() {
                    words.push(format!("-{}", std::mem::take(&mut bundle)));
                }
                words.push(word.clone());
            }
        }
    }
    if !bundle.is_empty() {
        words.push(format!("-{bundle}"));
    }
    words
}

/// An argument before its names are known.
#[derive(Clone, Debug)]
struct Sketch {
    kind: Kind,
    positional: bool,
    required: bool,
    repeat: bool,
    /// Which of the spellings that are free to it; never empty.
    names: Vec<usize>,
    optional: bool,
    join: Option<&'static str>,
}

fn sketch() -> impl Strategy<Value = Sketch> {
    let words = || subsequence(vec!["one", "two", "-three", "--", ""], 1..5);
    let kind = prop_oneof![
        3 => Just(Kind::Flag),
        3 => Just(Kind::Path { base: false }),
        2 => (any::<bool>(), any::<bool>()).prop_map(|(dash, lines)| Kind::Text { dash, lines }),
        1 => select(vec![(0, 9), (-5, 5), (1, 1000), (i64::MIN, i64::MAX)]).prop_map(|(min, max)| Kind::Int { min, max }),
        1 => words().prop_map(|words| Kind::Choice(
            words.into_iter().filter(|word| !matches!(*word, "" | "--")).map(str::to_owned).collect())),
    ]
    .prop_filter("a choice has words", |kind| *kind != Kind::Choice(Vec::new()));
    (
        kind,
        any::<bool>(),
        option::weighted(0.3, Just(())),
        option::weighted(0.3, Just(())),
        subsequence(vec![0, 1, 2, 3, 4], 1..5).prop_shuffle(),
        option::weighted(0.25, Just(())),
        option::of(select(vec!["equals", "space", "glued"])),
    )
        .prop_map(
            |(kind, positional, required, repeat, names, optional, join)| Sketch {
                kind,
                positional,
                required: required.is_some(),
                repeat: repeat.is_some(),
                names,
                optional: optional.is_some(),
                join,
            },
        )
}

impl Sketch {
    /// The argument number `nth` of its tool, with spellings that no other argument shares a beginning with.
    fn argument(mut self, nth: usize, is_option: bool) -> Argument {
        let positional = self.positional && self.kind != Kind::Flag && !is_option;
        let letter = char::from(b'a' + u8::try_from(nth).unwrap());
        let is_flag = self.kind == Kind::Flag;
        let spellings = [
            format!("-{letter}"),
            format!("--{letter}-long"),
            format!("--{letter}-longer"),
            if is_flag {
                format!("--{letter}-mode=on")
            } else {
                format!("-{}word", letter.to_ascii_uppercase())
            },
        ];
        let mut names: Vec<String> = self
            .names
            .iter()
            .filter_map(|nth| spellings.get(*nth).cloned())
            .collect();
        if names.is_empty() {
            names.push(spellings[1].clone());
        }
        // One argument may be spelled as a number.
        if self.names.contains(&4) && nth == 3 && !is_flag {
            names.insert(self.names[0] % names.len(), "-<n>".to_owned());
        }
        let optional = self.optional && !is_flag;
        let fits = |join: &&str| match *join {
            "space" => !optional,
            "glued" => names.iter().all(|name| name.len() == 2),
            _ => true,
        };
        let join = self.join.filter(|join| !is_flag && fits(join));
        // An option of two words takes its value from the third.
        if join == Some("space") && self.names.contains(&2) {
            let name = format!("-{}not -in", letter.to_ascii_uppercase());
            names.insert(self.names[0] % names.len(), name);
        }
        if positional {
            self.join = None;
        }
        let spelling = if positional {
            Spelling::Positional
        } else {
            Spelling::Named {
                names,
                optional,
                join,
            }
        };
        Argument {
            name: format!("arg-{letter}"),
            kind: self.kind,
            spelling,
            required: self.required,
            repeat: self.repeat,
        }
    }
}

/// Arguments of one part of a tool, numbered from `first`: at most one positional repeats.
fn sketched(sketches: Vec<Sketch>, first: usize, is_option: bool) -> Vec<Argument> {
    let mut repeats = false;
    let mut arguments: Vec<Argument> = sketches
        .into_iter()
        .enumerate()
        .map(|(nth, sketch)| sketch.argument(first + nth, is_option))
        .collect();
    for argument in arguments
        .iter_mut()
        .filter(|argument| argument.is_positional())
    {
        argument.repeat &= !repeats;
        repeats |= argument.repeat;
    }
    arguments
}

fn action(nth: usize) -> impl Strategy<Value = Action> {
    let command = subsequence(vec!["run", "build it", "x"], 1..3);
    let fixed = select(vec![
        vec![],
        vec!["--fixed"],
        vec!["--fixed", "-F", "plain"],
    ]);
    let fixed_last = select(vec![vec![], vec!["--last"], vec!["--last", "off", "-L"]]);
    (
        command,
        fixed,
        fixed_last,
        vec(sketch(), 0..5),
        option::weighted(0.4, vec(sketch(), 0..4)),
    )
        .prop_map(move |(command, fixed, fixed_last, args, after)| Action {
            command: command
                .into_iter()
                .map(|words| format!("{words}{nth}"))
                .collect(),
            fixed: fixed.into_iter().map(str::to_owned).collect(),
            fixed_last: fixed_last.into_iter().map(str::to_owned).collect(),
            args: sketched(args, 3, false),
            after: after.map(|after| sketched(after, 8, false)),
        })
}

/// A tool whose spellings cannot be taken for each other.
pub(super) fn tool() -> impl Strategy<Value = Tool> {
    let program = select(vec!["tool", "/opt/bin/tool"]);
    let also = option::of(select(vec!["other", "python3 -m tool"]));
    let fixed = select(vec![vec![], vec!["--quiet"], vec!["--quiet", "on"]]);
    let base = any::<bool>();
    (
        program,
        also,
        fixed,
        (any::<bool>(), any::<bool>()),
        vec(sketch(), 0..3),
        base,
        action(0),
        option::of(action(1)),
        any::<bool>(),
    )
        .prop_map(
            |(program, also, fixed, switches, args, base, first, second, is_wordless)| {
                let (bundle, options_first) = switches;
                let mut args = sketched(args, 0, true);
                if let Some(Argument { kind, repeat, .. }) = args.first_mut().filter(|_| base)
                    && let Kind::Path { base } = kind
                {
                    *base = true;
                    *repeat = false;
                }
                let mut actions: Vec<Action> = std::iter::once(first).chain(second).collect();
                if is_wordless && actions.len() == 1 {
                    actions[0].command = Vec::new();
                }
                Tool {
                    program: program.to_owned(),
                    also: also.map(str::to_owned),
                    fixed: fixed.into_iter().map(str::to_owned).collect(),
                    bundle,
                    options_first,
                    args,
                    actions,
                }
            },
        )
}

/// A value that the argument takes.
fn value(argument: &Argument) -> BoxedStrategy<Given> {
    let texts = |texts: Vec<String>| select(texts).prop_map(Some).boxed();
    let of = |words: &[&str]| {
        words
            .iter()
            .map(|word| (*word).to_owned())
            .collect::<Vec<_>>()
    };
    let valued = match &argument.kind {
        Kind::Flag => return Just(None).boxed(),
        Kind::Path { .. } => texts(of(&[
            "a",
            "a/b",
            "docs/x.py",
            "Docs/=y",
            "on",
            "plain",
            "src/caf\u{e9}",
        ])),
        Kind::Text { dash, lines } => {
            let mut words = of(&[
                "v", "", "k=v", "=v", "a b", "run0", "plain", "on", "\u{e9}", "-",
            ]);
            if *dash {
                words.extend(of(&["-x", "--", "--a-long", "-a", "--fixed", "-5"]));
            } else {
                words.pop();
            }
            if *lines {
                words.push("two\nlines".to_owned());
            }
            texts(words)
        }
        Kind::Int { min, max } => {
            let fitting = [*min, *max, 0, 5, -1]
                .into_iter()
                .filter(|number| (*min..=*max).contains(number));
            texts(fitting.map(|number| number.to_string()).collect())
        }
        Kind::Choice(words) => texts(words.clone()),
    };
    match &argument.spelling {
        Spelling::Named { optional: true, .. } => prop_oneof![1 => Just(None), 3 => valued].boxed(),
        Spelling::Named { .. } | Spelling::Positional => valued,
    }
}

fn values(arguments: &[Argument]) -> impl Strategy<Value = Vec<Vec<Given>>> + use<> {
    let each = |argument: &Argument| {
        let most = if argument.repeat { 3 } else { 1 };
        vec(value(argument), usize::from(argument.required)..=most)
    };
    arguments.iter().map(each).collect::<Vec<_>>()
}

/// A tool and a valid call to it.
pub(super) fn called(tool: impl Strategy<Value = Tool>) -> impl Strategy<Value = (Tool, Call)> {
    (tool, any::<Index>()).prop_flat_map(|(tool, index)| {
        let nth = index.index(tool.actions.len());
        let action = &tool.actions[nth];
        let after = action.after.clone().unwrap_or_default();
        let call = (values(&tool.args), values(&action.args), values(&after)).prop_map(
            move |(before, args, after)| Call {
                action: nth,
                before,
                args,
                after,
            },
        );
        (Just(tool), call)
    })
}

/// A tool whose spellings crowd each other: letters, bundles, glued values and numbers that could be
/// taken for one another.
pub(super) fn crowded_tool() -> impl Strategy<Value = Tool> {
    let spelling = subsequence(
        vec![
            "-a", "-b", "-ab", "-abc", "-a1", "-1", "-<n>", "--a", "--ab", "--a=b", "-o", "-out",
            "-b=x",
        ],
        1..3,
    );
    let argument = move || {
        (sketch(), spelling.clone()).prop_map(|(sketch, names)| {
            let mut argument = sketch.argument(0, false);
            if let Spelling::Named { names: own, .. } = &mut argument.spelling {
                *own = names.into_iter().map(str::to_owned).collect();
            }
            argument
        })
    };
    let numbered = |mut arguments: Vec<Argument>, prefix: &str| {
        arguments
            .iter_mut()
            .enumerate()
            .for_each(|(nth, argument)| argument.name = format!("{prefix}{nth}"));
        arguments
    };
    let fixed = || subsequence(vec!["-a", "--a", "b", "--ab"], 0..3);
    let lists = (
        vec(argument(), 0..3),
        vec(argument(), 0..4),
        option::of(vec(argument(), 0..3)),
    );
    let switches = (any::<bool>(), any::<bool>(), any::<bool>());
    (switches, fixed(), fixed(), lists).prop_map(
        move |(
            (bundle, options_first, has_command),
            tool_fixed,
            action_fixed,
            (args, own, after),
        )| Tool {
            program: "tool".to_owned(),
            also: None,
            fixed: tool_fixed.into_iter().map(str::to_owned).collect(),
            bundle,
            options_first,
            args: numbered(args, "t"),
            actions: vec![Action {
                command: if has_command {
                    vec!["b".to_owned()]
                } else {
                    Vec::new()
                },
                fixed: action_fixed.into_iter().map(str::to_owned).collect(),
                fixed_last: Vec::new(),
                args: numbered(own, "a"),
                after: after.map(|after| numbered(after, "z")),
            }],
        },
    )
}

/// Words that a crowded tool might take or mistake.
pub(super) fn crowded_words() -> impl Strategy<Value = Vec<String>> {
    let word = select(vec![
        "-a", "-b", "-ab", "-abc", "-a1", "-1", "-12", "--a", "--ab", "--a=b", "-o", "-out",
        "-outx", "-out=x", "-ox", "-o=x", "-b=x", "-ba", "b", "a", "a/b", "--", "-", "", "5",
        "one", "--a=", "-a=",
    ]);
    vec(word.prop_map(str::to_owned), 0..6)
        .prop_map(|words| [vec!["tool".to_owned()], words].concat())
}
