//! The section `tools`, and documents that are tool libraries.

#![forbid(unsafe_code)]

use super::Decoder;
use super::fields::Fields;
use crate::path::Syntax;
use crate::policy::error::{Code, Problem};
use crate::policy::model::{
    Absent, Access, Action, Argument, ArgumentKind, Creates, Join, PathArgument, Spelling, Tool,
    Tree, WORKSPACE,
};
use crate::policy::source::{Node, Span, Value};
use crate::policy::terms::ReportKind;

const ARGUMENT: &[&str] = &[
    "type", "option", "names", "required", "repeat", "access", "syntax", "tree", "absent", "base",
    "pin", "chars", "creates", "skips", "takes", "min", "max", "of", "pattern", "lines", "dash",
    "suffix", "means", "value", "join",
];
const FOR_PATHS: &[&str] = &[
    "access", "syntax", "tree", "absent", "base", "pin", "chars", "creates", "skips", "takes",
];
const FOR_TEXT: &[&str] = &["pattern", "lines", "dash", "suffix", "means"];

impl Decoder {
    pub(super) fn tool(&mut self, name: String, at: Span, node: &Node) -> Option<Tool> {
        let keys = &[
            "extends",
            "program",
            "also",
            "fixed",
            "env",
            "bundle",
            "options_first",
            "repository",
            "args",
            "left_out",
            "actions",
        ];
        let fields = self.fields(node, "a tool", keys)?;
        // Where the library was read, its tool stands here with what is added, and no `extends`.
        let extends = fields.get("extends");
        if let Some(node) = extends.filter(|_| self.is_library) {
            self.invalid(
                node.at,
                "a tool of a library extends none",
                "extend it in the policy that uses it",
            );
        }
        let program = self.optional(&fields, "program", Self::program);
        if fields.get("program").is_none() && extends.is_none() {
            let keys = [
                "also",
                "fixed",
                "env",
                "bundle",
                "options_first",
                "repository",
                "left_out",
            ];
            self.only_with(&fields, &keys, "program");
        }
        let tool = Tool {
            name,
            at,
            program,
            also: self
                .optional(&fields, "also", |d, n| {
                    d.list_of(n, "a way to call it", Self::words)
                })
                .unwrap_or_default(),
            fixed: self
                .optional(&fields, "fixed", |d, n| {
                    d.list_of(n, "a word", Self::fixed_word)
                })
                .unwrap_or_default(),
            env: self.environment(&fields),
            bundle: self
                .optional(&fields, "bundle", Self::boolean)
                .unwrap_or_default(),
            options_first: self
                .optional(&fields, "options_first", Self::boolean)
                .unwrap_or_default(),
            repository: self
                .word(&fields, "repository", [("git", true)])
                .unwrap_or_default(),
            args: self.arguments(&fields, "args"),
            left_out: self.left_out(&fields),
            actions: match fields.get("actions") {
                Some(node) => self.named(node, "actions", |d, name, at, node| {
                    d.action(name, at, node)
                }),
                None => {
                    if extends.is_none() {
                        self.missing(&fields, "actions", "what can be asked of it");
                    }
                    Vec::new()
                }
            },
        };
        // The tests of this crate have read a compiled-in library with its places, and all checks.
        for action in tool
            .actions
            .iter()
            .filter(|_| !self.is_compiled_in)
            .collect::<Vec<_>>()
        {
            self.spellings_are_unique(&tool, action);
            self.sources_exist(&tool, action);
            self.command_is_no_option(&tool, action);
            self.one_repeats(tool.args.iter().chain(&action.args));
        }
        if tool.actions.iter().any(|action| !action.command.is_empty()) {
            for argument in tool
                .args
                .iter()
                .filter(|argument| argument.spelling == Spelling::Positional)
            {
                self.invalid(
                    argument.at,
                    "an argument before command words is an option or a flag",
                    "a plain word there could not be told from a command; move it into the actions",
                );
            }
        }
        Some(tool)
    }

    fn program(&mut self, node: &Node) -> Option<String> {
        let program = self.text(node)?;
        let is_absolute = program.starts_with('/')
            && !program
                .split('/')
                .skip(1)
                .any(|part| matches!(part, "" | "." | ".."));
        let is_name = !program.is_empty()
            && !program.contains('/')
            && !program.starts_with('-')
            && program != "."
            && program != "..";
        let is_clean = !program.contains(|c: char| c.is_control() || c.is_whitespace());
        if !(is_clean && (is_absolute || is_name)) {
            self.invalid(
                node.at,
                format!(
                    "`{}` is neither the name nor the absolute path of a program",
                    program.escape_debug()
                ),
                "a name is looked up in `program_path`; an absolute path is taken as it is",
            );
            return None;
        }
        Some(program)
    }

    /// A text split at spaces.
    fn words(&mut self, node: &Node) -> Option<Vec<String>> {
        let text = self.text(node)?;
        let words: Vec<_> = text
            .split(' ')
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect();
        if words.is_empty() || text.contains(char::is_control) {
            self.invalid(node.at, "words belong here", "for example `run build`");
            return None;
        }
        Some(words)
    }

    /// One word of a command line, as it is passed.
    fn word_text(&mut self, node: &Node) -> Option<String> {
        let text = self.text(node)?;
        if text.is_empty() || text.contains('\0') || text == "--" {
            self.invalid(
                node.at,
                "this cannot be a word of a command line here",
                "leave `--` to `after`",
            );
            return None;
        }
        Some(text)
    }

    /// A word that is always passed on.
    fn fixed_word(&mut self, node: &Node) -> Option<String> {
        let text = self.word_text(node)?;
        if text.matches(WORKSPACE).nth(1).is_some() {
            self.invalid(
                node.at,
                format!("`{WORKSPACE}` stands twice in one word"),
                "say it once in each word",
            );
            return None;
        }
        Some(text)
    }

    /// Variables that a tool or an action sets.
    fn environment(&mut self, fields: &Fields<'_>) -> Vec<(String, String)> {
        match fields.get("env") {
            Some(node) => self.named(node, "env", Self::set_variable),
            None => Vec::new(),
        }
    }

    /// The advice for lines that no action takes.
    fn left_out(&mut self, fields: &Fields<'_>) -> Vec<(Vec<String>, String)> {
        let Some(node) = fields.get("left_out") else {
            return Vec::new();
        };
        let entries = self
            .mapping(node, || "`left_out`".to_owned())
            .unwrap_or_default();
        let mut all = Vec::new();
        for (words, at, node) in entries {
            let words: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
            if words.is_empty() {
                self.invalid(
                    at,
                    "`left_out` names no words",
                    "write the words that are left out, as `switch`",
                );
            } else if let Some(text) = self.text(node) {
                all.push((words, text));
            }
        }
        all
    }

    fn action(&mut self, name: String, at: Span, node: &Node) -> Option<Action> {
        let fields = self.fields(
            node,
            "an action",
            &[
                "command",
                "fixed",
                "fixed_last",
                "env",
                "unnamed",
                "args",
                "after",
                "report",
            ],
        )?;
        let reports = [
            ("pytest", ReportKind::Pytest),
            ("cargo-test", ReportKind::CargoTest),
            ("nextest", ReportKind::Nextest),
            ("junit", ReportKind::Junit),
            ("tap", ReportKind::Tap),
        ];
        let action = Action {
            name,
            at,
            command: self
                .optional(&fields, "command", |d, n| {
                    d.list_of(n, "a word", Self::words)
                })
                .unwrap_or_default(),
            fixed: self
                .optional(&fields, "fixed", |d, n| {
                    d.list_of(n, "a word", Self::fixed_word)
                })
                .unwrap_or_default(),
            fixed_last: self
                .optional(&fields, "fixed_last", |d, n| {
                    d.list_of(n, "a word", Self::fixed_word)
                })
                .unwrap_or_default(),
            env: self.environment(&fields),
            unnamed: self.optional(&fields, "unnamed", Self::text),
            args: self.arguments(&fields, "args"),
            after: fields
                .get("after")
                .is_some()
                .then(|| self.arguments(&fields, "after")),
            report: self.word(&fields, "report", reports),
        };
        if let Some(after) = &action.after {
            self.one_repeats(after.iter());
        }
        if let Some(after) = &action.after {
            let in_both =
                |argument: &&Argument| action.args.iter().any(|other| other.name == argument.name);
            for argument in after.iter().filter(in_both) {
                self.twice(argument);
            }
        }
        Some(action)
    }

    fn one_repeats<'a>(&mut self, arguments: impl Iterator<Item = &'a Argument>) {
        let repeated = arguments.filter(|a| a.repeat && a.spelling == Spelling::Positional);
        for argument in repeated.skip(1) {
            self.invalid(
                argument.at,
                "a second positional argument that repeats",
                "where one ends and the next begins could not be told",
            );
        }
    }

    fn arguments(&mut self, fields: &Fields<'_>, key: &str) -> Vec<Argument> {
        match fields.get(key) {
            Some(node) => self.named(node, key, |d, name, at, node| d.argument(name, at, node)),
            None => Vec::new(),
        }
    }

    fn argument(&mut self, name: String, at: Span, node: &Node) -> Option<Argument> {
        let fields = self.fields(node, "an argument", ARGUMENT)?;
        if fields.get("type").is_none() {
            self.missing(
                &fields,
                "type",
                "one of `path`, `flag`, `text`, `int`, `choice`",
            );
            return None;
        }
        let types = [
            ("path", 'p'),
            ("flag", 'f'),
            ("text", 't'),
            ("int", 'i'),
            ("choice", 'c'),
        ];
        let kind = self.word(&fields, "type", types)?;
        // A choice with `names` is one of several flags.
        let are_flags = kind == 'c' && fields.get("names").is_some();
        let spelling = if kind == 'f' || are_flags {
            self.flag_spelling(&fields)?
        } else {
            self.spelling(&fields)?
        };
        let required = self
            .optional(&fields, "required", Self::boolean)
            .unwrap_or_default();
        let repeat = self
            .optional(&fields, "repeat", Self::boolean)
            .unwrap_or_default();
        if kind != 'p' {
            self.only_with(&fields, FOR_PATHS, "type: path");
        }
        if kind != 't' {
            self.only_with(&fields, FOR_TEXT, "type: text");
        }
        if kind != 'i' {
            self.only_with(&fields, &["min", "max"], "type: int");
        }
        if kind != 'c' {
            self.only_with(&fields, &["of"], "type: choice");
        } else if are_flags {
            self.only_with(&fields, &["of"], "no `names`");
        }
        let kind = match kind {
            'p' => ArgumentKind::Path(self.path_argument(&fields, &spelling, required)),
            'f' => ArgumentKind::Flag,
            't' => self.text_argument(&fields, &spelling),
            'i' => self.int_argument(&fields),
            _ if are_flags => ArgumentKind::Choice(spelling.names().to_vec()),
            _ => ArgumentKind::Choice(
                self.required(&fields, "of", "the words to choose from", |d, n| {
                    d.list_of(n, "a word", Self::word_text)
                })
                .unwrap_or_default(),
            ),
        };
        Some(Argument {
            name,
            at,
            kind,
            spelling,
            required,
            repeat,
        })
    }

    fn path_argument(
        &mut self,
        fields: &Fields<'_>,
        spelling: &Spelling,
        required: bool,
    ) -> PathArgument {
        let access = self
            .word(fields, "access", ACCESSES)
            .unwrap_or(Access::Read);
        let syntax = self.word(
            fields,
            "syntax",
            [("path", Syntax::Path), ("pytest", Syntax::Pytest)],
        );
        let trees = [
            ("all", Tree::All),
            ("unignored", Tree::Unignored),
            ("names", Tree::Names),
        ];
        let absents = [
            ("nothing", Absent::Nothing),
            ("workspace", Absent::Workspace),
            ("here", Absent::Here),
        ];
        let absent = self.word(fields, "absent", absents);
        if required && absent.is_some() {
            self.only_with(fields, &["absent"], "an optional argument");
        }
        let usual = match spelling {
            Spelling::Positional => Absent::Workspace,
            Spelling::Option { .. } | Spelling::Flag { .. } => Absent::Nothing,
        };
        if access != Access::Write {
            self.only_with(fields, &["creates"], "access: write");
        }
        let tree = self.word(fields, "tree", trees).unwrap_or(Tree::All);
        let unsaid = match (access, tree) {
            (Access::Write, Tree::All | Tree::Unignored) => Creates::Unknown,
            (Access::Write, Tree::Names) | (Access::Read | Access::Execute, _) => Creates::Itself,
        };
        PathArgument {
            access,
            syntax: syntax.unwrap_or(Syntax::Path),
            tree,
            absent: match required {
                true => Absent::Nothing,
                false => absent.unwrap_or(usual),
            },
            base: self
                .optional(fields, "base", Self::boolean)
                .unwrap_or_default(),
            pin: self
                .optional(fields, "pin", Self::boolean)
                .unwrap_or_default(),
            portable: self
                .word(fields, "chars", [("any", false), ("portable", true)])
                .unwrap_or_default(),
            creates: self
                .optional(fields, "creates", Self::creates)
                .unwrap_or(unsaid),
            skips: self
                .optional(fields, "skips", |d, n| {
                    d.list_of(n, "a name", Self::name_in_a_directory)
                })
                .unwrap_or_default(),
            takes: self.optional(fields, "takes", Self::text),
        }
    }

    /// `itself`, `parents`, `index`, or `{from: ARGUMENT}`.
    fn creates(&mut self, node: &Node) -> Option<Creates> {
        if !is_mapping(node) {
            let words = [
                ("itself", Creates::Itself),
                ("parents", Creates::Parents),
                ("index", Creates::Index),
            ];
            return self.one_of(node, words);
        }
        let fields = self.fields(node, "what a write creates", &["from"])?;
        self.required(
            &fields,
            "from",
            "the argument that is copied or moved",
            Self::text,
        )
        .map(Creates::From)
    }

    fn name_in_a_directory(&mut self, node: &Node) -> Option<String> {
        let name = self.text(node)?;
        if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']) {
            self.invalid(
                node.at,
                format!("`{}` is no name in a directory", name.escape_debug()),
                "for example `.git`",
            );
            return None;
        }
        Some(name)
    }

    fn text_argument(&mut self, fields: &Fields<'_>, spelling: &Spelling) -> ArgumentKind {
        ArgumentKind::Text {
            pattern: self.optional(fields, "pattern", Self::text_pattern),
            lines: self
                .optional(fields, "lines", Self::boolean)
                .unwrap_or_default(),
            dash: self
                .optional(fields, "dash", Self::boolean)
                .unwrap_or(*spelling != Spelling::Positional),
            suffix: self.optional(fields, "suffix", Self::suffix),
            means: self.optional(fields, "means", Self::text),
        }
    }

    fn suffix(&mut self, node: &Node) -> Option<String> {
        let text = self.word_text(node)?;
        if text.contains("..") || text.contains(char::is_control) {
            self.invalid(
                node.at,
                format!("`{}` cannot stand behind a value", text.escape_debug()),
                "a suffix has no control characters and no `..`, which sets two values apart",
            );
            return None;
        }
        Some(text)
    }

    fn int_argument(&mut self, fields: &Fields<'_>) -> ArgumentKind {
        let min = self.optional(fields, "min", Self::int).unwrap_or(i64::MIN);
        let max = self.optional(fields, "max", Self::int).unwrap_or(i64::MAX);
        if min > max {
            self.invalid(
                fields.start(),
                format!("`min` {min} is larger than `max` {max}"),
                "no number would fit",
            );
        }
        ArgumentKind::Int { min, max }
    }

    fn spelling(&mut self, fields: &Fields<'_>) -> Option<Spelling> {
        self.only_with(fields, &["names"], "type: flag");
        let Some(node) = fields.get("option") else {
            self.only_with(fields, &["value", "join"], "option");
            return Some(Spelling::Positional);
        };
        let names = self.list_of(node, "a spelling", |d, n| d.option_name(n, false))?;
        let value_optional = self
            .word(fields, "value", [("optional", true), ("required", false)])
            .unwrap_or_default();
        let joins = [
            ("equals", Join::Equals),
            ("space", Join::Space),
            ("glued", Join::Glued),
        ];
        let join = self.word(fields, "join", joins);
        if join == Some(Join::Glued)
            && names
                .first()
                .is_some_and(|name| name.len() > 2 && name != "-<n>")
        {
            self.invalid(
                fields.start(),
                "a value is glued to an option of one letter only",
                "name the letter first, or join it with `equals` or `space`",
            );
        }
        let has_words = names.iter().any(|name| name.contains(' '));
        if has_words && (value_optional || join != Some(Join::Space)) {
            self.invalid(
                fields.start(),
                "the value of an option of several words is a word of its own",
                "add `join: space`",
            );
        }
        if value_optional && join == Some(Join::Space) {
            self.invalid(
                fields.start(),
                "an option whose value may be missing cannot take it as a word of its own",
                "join it with `equals` or `glued`",
            );
        }
        Some(Spelling::Option {
            names,
            value_optional,
            join,
        })
    }

    fn flag_spelling(&mut self, fields: &Fields<'_>) -> Option<Spelling> {
        self.only_with(fields, &["option", "value", "join"], "a value");
        let node = fields.get("names");
        if node.is_none() {
            self.missing(
                fields,
                "names",
                "how the flag is spelled, for example `names: [\"-v\", \"--verbose\"]`",
            );
        }
        let names = self.list_of(node?, "a spelling", |d, n| d.option_name(n, true))?;
        Some(Spelling::Flag { names })
    }

    fn option_name(&mut self, node: &Node, is_flag: bool) -> Option<String> {
        let name = self.text(node)?;
        let stem = name
            .strip_prefix("--")
            .or_else(|| name.strip_prefix('-'))
            .unwrap_or("");
        // `-not -path` of find: several words, and then the value.
        let (stem, rest) = match stem.split_once(' ').filter(|_| !is_flag) {
            Some((stem, rest)) => (stem, Some(rest)),
            None => (stem, None),
        };
        let is_option = |word: &str| word.len() > 1 && word.starts_with('-');
        let fits = !stem.is_empty()
            && rest.is_none_or(|rest| rest.split(' ').all(is_option))
            && !stem.starts_with(['-', '='])
            && !name.contains(|c: char| c != ' ' && c.is_whitespace() || c.is_control())
            && !stem.contains(' ')
            && (is_flag || !stem.contains('='))
            && (stem == "<n>" || !stem.contains(['<', '>']));
        if !fits || (is_flag && stem == "<n>") {
            self.invalid(
                node.at,
                format!("`{}` is no spelling of an option", name.escape_debug()),
                "for example `-k`, `--keyword`, or `-<n>` for a dash and digits",
            );
            return None;
        }
        Some(name)
    }

    /// No two arguments that are looked for at the same place are spelled alike.
    fn spellings_are_unique(&mut self, tool: &Tool, action: &Action) {
        let before = if action.command.is_empty() || tool.options_first {
            tool.args.as_slice()
        } else {
            &[]
        };
        let groups = [
            before.iter().chain(&action.args).collect::<Vec<_>>(),
            action.after.iter().flatten().collect(),
            tool.args.iter().collect(),
        ];
        for group in groups {
            let mut seen: Vec<&str> = Vec::new();
            for argument in group {
                for name in argument.spelling.names() {
                    let is_like = |other: &&str| {
                        let first = |name: &str| name.split(' ').next() == Some(other);
                        let is_begun = |name: &str| name.contains(' ') && first(name);
                        *other == name.as_str() || is_begun(name)
                    };
                    let begins = |other: &&str| {
                        other.contains(' ') && other.split(' ').next() == Some(name.as_str())
                    };
                    if seen.iter().any(|other| is_like(other) || begins(other)) {
                        let problem = Problem::new(
                            Code::P005,
                            argument.at,
                            format!(
                                "`{}` is spelled like another argument here",
                                name.escape_debug()
                            ),
                        )
                        .with_help("give each spelling to one argument");
                        self.push(problem);
                    }
                    seen.push(name);
                }
            }
        }
        let clash =
            |argument: &&Argument| tool.args.iter().any(|other| other.name == argument.name);
        for argument in action
            .args
            .iter()
            .chain(action.after.iter().flatten())
            .filter(clash)
        {
            self.twice(argument);
        }
    }

    /// An option in front of the words that select an action is not spelled like the first of them: no line
    /// could give both.
    fn command_is_no_option(&mut self, tool: &Tool, action: &Action) {
        for first in action.command.iter().filter_map(|words| words.first()) {
            let is_spelled = |argument: &&Argument| argument.spelling.names().contains(first);
            if let Some(argument) = tool.args.iter().find(is_spelled) {
                let message = format!(
                    "`{}` is also a word that selects `{}`",
                    first.escape_debug(),
                    action.name
                );
                self.push(
                    Problem::new(Code::P005, argument.at, message).with_help(
                        "give the option another spelling, or declare it in the actions",
                    ),
                );
            }
        }
    }

    /// Checks that the source of a copy or a move is another path argument of the same action.
    fn sources_exist(&mut self, tool: &Tool, action: &Action) {
        for argument in tool.arguments(action) {
            let ArgumentKind::Path(PathArgument {
                creates: Creates::From(source),
                ..
            }) = &argument.kind
            else {
                continue;
            };
            let is_source = |other: &Argument| {
                other.name == *source
                    && other.name != argument.name
                    && matches!(other.kind, ArgumentKind::Path(_))
            };
            if !tool.arguments(action).any(is_source) {
                self.push(
                    Problem::new(
                        Code::P009,
                        argument.at,
                        format!(
                            "`{}` is no other path argument of this action",
                            source.escape_debug()
                        ),
                    )
                    .with_help("`creates: {from: …}` names the argument that is copied or moved"),
                );
            }
        }
    }

    fn twice(&mut self, argument: &Argument) {
        let message = format!("a second argument is called `{}`", argument.name);
        self.push(
            Problem::new(Code::P005, argument.at, message)
                .with_help("requests name arguments; each needs a name of its own"),
        );
    }

    pub(super) fn accesses(&mut self, node: &Node) -> Option<Vec<Access>> {
        self.list_of(node, "an access", |d, n| d.one_of(n, ACCESSES))
    }
}

pub(super) const ACCESSES: [(&str, Access); 3] = [
    ("read", Access::Read),
    ("write", Access::Write),
    ("execute", Access::Execute),
];

impl Spelling {
    /// The spellings of an option or a flag; none for a positional argument.
    #[must_use]
    pub fn names(&self) -> &[String] {
        match self {
            Spelling::Positional => &[],
            Spelling::Option { names, .. } | Spelling::Flag { names } => names,
        }
    }
}

/// Returns true if a value is a mapping, for keys that take either form.
pub(super) fn is_mapping(node: &Node) -> bool {
    matches!(node.value, Value::Map(_))
}
