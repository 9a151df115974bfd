//! Random policies over a few fixed tools: a model that is easy to walk, and the YAML that says the
//! same.
//!
//! Words are few so that rules meet: two letters for directories, the same in the other case, two
//! files, and every kind of wildcard.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::strategy::Union;

use lictor::policy::glob::Pattern;

/// The actions that rules speak about, each with its path arguments and their access.
pub(crate) const ACTIONS: &[(&str, &str, &[(&str, Access)])] = &[
    ("files", "read", &[("path", Access::Read)]),
    ("files", "write", &[("path", Access::Write)]),
    (
        "files",
        "copy",
        &[("from", Access::Read), ("to", Access::Write)],
    ),
    ("files", "exec", &[("path", Access::Execute)]),
    ("files", "ping", &[]),
    (
        "runner",
        "test",
        &[
            ("dir", Access::Read),
            ("out", Access::Write),
            ("target", Access::Read),
        ],
    ),
    ("runner", "clean", &[("dir", Access::Read)]),
];

const TOOLS: &str = r#"tools:
  files:
    actions:
      read: {args: {path: {type: path, required: true}}}
      write: {args: {path: {type: path, access: write, required: true}}}
      copy: {args: {from: {type: path, required: true, repeat: true}, to: {type: path, access: write, required: true}}}
      exec: {args: {path: {type: path, access: execute, required: true}}}
      ping: {}
  runner:
    program: runner
    args: {dir: {type: path, option: "-C", base: true}}
    actions:
      test: {command: test, args: {out: {type: path, option: "--out", access: write}, target: {type: path, syntax: pytest, repeat: true}}}
      clean: {command: clean}
"#;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
    Execute,
}

impl Access {
    fn word(self) -> &'static str {
        match self {
            Access::Read => "read",
            Access::Write => "write",
            Access::Execute => "execute",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    Allow,
    Ask,
    Deny,
}

#[derive(Clone, Debug)]
pub(crate) struct Policy {
    pub(crate) scopes: Vec<Scope>,
    pub(crate) approvals: Vec<Approval>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) defaults: Terms,
    /// `.` and a leading `./` are understood.
    pub(crate) strips_dot: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Scope {
    pub(crate) include: Vec<String>,
    pub(crate) exclude: Vec<String>,
}

/// An approval is called `p` and its number; a scope `s` and its number; a rule `r` and its own.
#[derive(Clone, Debug)]
pub(crate) enum Approval {
    Switch {
        variable: String,
        accept: Option<Vec<String>>,
    },
    Grant,
}

#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) id: usize,
    pub(crate) effect: Effect,
    /// `*`, `tool.*` or `tool.action`.
    pub(crate) actions: Vec<String>,
    pub(crate) paths: Option<Paths>,
    pub(crate) access: Option<Vec<Access>>,
    pub(crate) approval: Option<usize>,
    pub(crate) actors: Option<Vec<String>>,
    /// The day of January 2027 at the end of which it lapses.
    pub(crate) until: Option<u8>,
    pub(crate) terms: Terms,
}

/// The scopes of a rule, by number.
#[derive(Clone, Debug)]
pub(crate) enum Paths {
    Any(Vec<usize>),
    Each(Vec<(String, Vec<usize>)>),
}

/// What a rule or `defaults` says about a run; where it says nothing, none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) timeout_s: Option<u64>,
    pub(crate) output_kib: Option<u64>,
    pub(crate) processes: Option<u64>,
    pub(crate) keep: Option<&'static str>,
    pub(crate) containment: Option<&'static str>,
    pub(crate) leaks: Option<&'static str>,
    pub(crate) stop: Option<&'static str>,
    pub(crate) inherit: Vec<String>,
    pub(crate) set: Vec<(String, String)>,
    pub(crate) confine: Option<Confine>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Confine {
    pub(crate) read: Option<Vec<usize>>,
    pub(crate) hide: Vec<usize>,
    pub(crate) network: Option<&'static str>,
}

impl Rule {
    pub(crate) fn name(&self) -> String {
        format!("r{}", self.id)
    }

    /// Whether one of the rule's patterns names the action.
    pub(crate) fn names(&self, tool: &str, action: &str) -> bool {
        let names = [
            format!("{tool}.{action}"),
            format!("{tool}.*"),
            "*".to_owned(),
        ];
        self.actions.iter().any(|pattern| names.contains(pattern))
    }

    fn key(&self) -> &'static str {
        match self.effect {
            Effect::Allow => "allow",
            Effect::Ask => "ask",
            Effect::Deny => "deny",
        }
    }

    /// Takes out the patterns, all but `*`, of which no action has a path that the rule could be about: such a
    /// rule is refused.
    fn leave_out_what_has_no_such_path(&mut self) {
        if self.paths.is_none() && self.access.is_none() {
            return;
        }
        let (paths, access) = (self.paths.clone(), self.access.clone());
        let is_meant = |(name, access_of): &(&str, Access)| match &paths {
            Some(Paths::Each(entries)) => entries.iter().any(|(known, _)| known == name),
            Some(Paths::Any(_)) | None => {
                *name != "dir" && access.as_ref().is_none_or(|all| all.contains(access_of))
            }
        };
        let names_cwd =
            matches!(&paths, Some(Paths::Each(all)) if all.iter().any(|(name, _)| name == "cwd"));
        self.actions.retain(|pattern| {
            let of = |(tool, action, _): &&(&str, &str, _)| {
                *pattern == format!("{tool}.*") || *pattern == format!("{tool}.{action}")
            };
            let mut named = ACTIONS.iter().filter(of);
            pattern == "*" || names_cwd || named.any(|(_, _, paths)| paths.iter().any(is_meant))
        });
        if self.actions.is_empty() {
            self.actions = vec!["*".to_owned()];
        }
    }

    fn scopes(&self) -> Vec<usize> {
        match &self.paths {
            None => Vec::new(),
            Some(Paths::Any(scopes)) => scopes.clone(),
            Some(Paths::Each(entries)) => entries
                .iter()
                .flat_map(|(_, scopes)| scopes.clone())
                .collect(),
        }
    }
}

impl Policy {
    /// Whether no rule but allows uses the scope.
    pub(crate) fn is_for_allows_only(&self, scope: usize) -> bool {
        let uses = |rule: &&Rule| rule.scopes().contains(&scope);
        self.rules
            .iter()
            .filter(uses)
            .all(|rule| rule.effect == Effect::Allow)
    }

    /// The same policy with one rule more.
    pub(crate) fn with_rule(&self, mut rule: Rule, at: prop::sample::Index) -> Policy {
        let mut more = self.clone();
        rule.id = 99;
        more.rules.insert(at.index(self.rules.len() + 1), rule);
        more
    }

    /// The same rules, which say nothing about how a run is run.
    pub(crate) fn without_terms(mut self) -> Policy {
        self.rules
            .iter_mut()
            .for_each(|rule| rule.terms = Terms::default());
        // Denies what is allowed, as long as nothing enforces it.
        self.defaults.confine = None;
        self
    }

    pub(crate) fn yaml(&self) -> String {
        let mut text = String::from("version: 1\nname: random\n");
        text.push_str(TOOLS);
        if !self.strips_dot {
            text.push_str("paths: {dot: deny}\n");
        }
        let defaults = self.defaults.yaml();
        if !defaults.is_empty() {
            text.push_str(&format!("defaults: {{{}}}\n", defaults.join(", ")));
        }
        if !self.scopes.is_empty() {
            text.push_str("scopes:\n");
        }
        for (nth, scope) in self.scopes.iter().enumerate() {
            let exclude = match scope.exclude.is_empty() {
                true => String::new(),
                false => format!(", exclude: {}", quoted(&scope.exclude)),
            };
            text.push_str(&format!(
                "  s{nth}: {{include: {}{exclude}}}\n",
                quoted(&scope.include)
            ));
        }
        if !self.approvals.is_empty() {
            text.push_str("approvals:\n");
        }
        for (nth, approval) in self.approvals.iter().enumerate() {
            let body = match approval {
                Approval::Switch {
                    variable,
                    accept: None,
                } => format!("env: {variable}"),
                Approval::Switch {
                    variable,
                    accept: Some(accept),
                } => {
                    format!("env: {variable}, accept: {}", quoted(accept))
                }
                Approval::Grant => "grant: true".to_owned(),
            };
            text.push_str(&format!("  p{nth}: {{{body}}}\n"));
        }
        text.push_str(if self.rules.is_empty() {
            "rules: []\n"
        } else {
            "rules:\n"
        });
        for rule in &self.rules {
            text.push_str(&format!("  - {}\n", rule.yaml()));
        }
        text
    }
}

impl Rule {
    fn yaml(&self) -> String {
        let mut fields = vec![
            format!("id: {}", self.name()),
            format!("{}: {}", self.key(), quoted(&self.actions)),
        ];
        let scopes = |numbers: &[usize]| {
            let names: Vec<_> = numbers.iter().map(|nth| format!("s{nth}")).collect();
            format!("[{}]", names.join(", "))
        };
        let key = if self.effect == Effect::Allow {
            "within"
        } else {
            "touching"
        };
        match &self.paths {
            None => {}
            Some(Paths::Any(numbers)) => fields.push(format!("{key}: {}", scopes(numbers))),
            Some(Paths::Each(entries)) => {
                let entries: Vec<_> = entries
                    .iter()
                    .map(|(name, numbers)| format!("{name}: {}", scopes(numbers)))
                    .collect();
                fields.push(format!("{key}: {{{}}}", entries.join(", ")));
            }
        }
        if let Some(accesses) = &self.access {
            let words: Vec<_> = accesses.iter().map(|access| access.word()).collect();
            fields.push(format!("access: [{}]", words.join(", ")));
        }
        if let Some(nth) = self.approval {
            fields.push(format!("approval: p{nth}"));
        }
        if let Some(actors) = &self.actors {
            fields.push(format!("for: {}", quoted(actors)));
        }
        if let Some(day) = self.until {
            fields.push(format!("until: 2027-01-{day:02}"));
        }
        fields.extend(self.terms.yaml());
        format!("{{{}}}", fields.join(", "))
    }
}

impl Terms {
    fn yaml(&self) -> Vec<String> {
        let mut limits = Vec::new();
        limits.extend(self.timeout_s.map(|n| format!("timeout: {n}s")));
        limits.extend(self.output_kib.map(|n| format!("output: {n}KiB")));
        limits.extend(self.processes.map(|n| format!("processes: {n}")));
        limits.extend(self.keep.map(|word| format!("keep: {word}")));
        let mut env = Vec::new();
        if !self.inherit.is_empty() {
            env.push(format!("inherit: {}", quoted(&self.inherit)));
        }
        if !self.set.is_empty() {
            let set: Vec<_> = self
                .set
                .iter()
                .map(|(name, value)| format!("{name}: \"{value}\""))
                .collect();
            env.push(format!("set: {{{}}}", set.join(", ")));
        }
        let mut fields = Vec::new();
        if !limits.is_empty() {
            fields.push(format!("limits: {{{}}}", limits.join(", ")));
        }
        if !env.is_empty() {
            fields.push(format!("env: {{{}}}", env.join(", ")));
        }
        fields.extend(self.containment.map(|word| format!("containment: {word}")));
        fields.extend(self.leaks.map(|word| format!("leaks: {word}")));
        fields.extend(self.stop.map(|word| format!("stop: {{signal: {word}}}")));
        if let Some(confine) = &self.confine {
            let places = |numbers: &[usize]| {
                quoted(
                    &numbers
                        .iter()
                        .map(|nth| format!("s{nth}"))
                        .collect::<Vec<_>>(),
                )
            };
            let mut body = Vec::new();
            body.extend(
                confine
                    .read
                    .as_ref()
                    .map(|numbers| format!("read: {}", places(numbers))),
            );
            if !confine.hide.is_empty() {
                body.push(format!("hide: {}", places(&confine.hide)));
            }
            body.extend(confine.network.map(|word| format!("network: {word}")));
            fields.push(format!("confine: {{{}}}", body.join(", ")));
        }
        fields
    }
}

/// A list in brackets. JSON's quoting is YAML's.
fn quoted(texts: &[String]) -> String {
    serde_json::to_string(texts).unwrap()
}

/// A pattern over the small alphabet.
pub(crate) fn pattern() -> impl Strategy<Value = String> {
    let segment = select(vec![
        "a",
        "a",
        "b",
        "A",
        "x.py",
        "docs",
        "Docs",
        "*",
        "*.py",
        "?",
        "[ab]",
        "[!a]",
        "{a,b}",
        "{docs,a}",
        "d*",
        "**",
        "**",
        "lictor.yaml",
    ]);
    let wide = select(vec!["**", "a/**", "b/**", "docs/**", "**/*.py", "a/*", "*"])
        .prop_map(str::to_owned);
    prop_oneof![1 => wide, 1 => vec(segment, 1..4).prop_map(|segments| segments.join("/"))]
        .prop_filter("must be a pattern", |text| Pattern::parse(text).is_ok())
}

fn scope() -> impl Strategy<Value = Scope> {
    (
        vec(pattern(), 1..4),
        prop_oneof![3 => Just(Vec::new()), 1 => vec(pattern(), 1..3)],
    )
        .prop_map(|(include, exclude)| Scope { include, exclude })
}

fn approval() -> impl Strategy<Value = Approval> {
    let accept = option::of(subsequence(
        vec!["true".to_owned(), "On".to_owned(), "1".to_owned()],
        1..=3,
    ));
    prop_oneof![
        (select(vec!["SWITCH_A", "SWITCH_B"]), accept).prop_map(|(variable, accept)| {
            Approval::Switch {
                variable: variable.to_owned(),
                accept,
            }
        }),
        Just(Approval::Grant),
    ]
}

fn terms(scopes: usize) -> impl Strategy<Value = Terms> {
    let confine = (
        option::of(subsequence((0..scopes).collect::<Vec<_>>(), 1..=scopes)),
        subsequence((0..scopes).collect::<Vec<_>>(), 0..=scopes),
        option::of(select(vec!["none", "host"])),
    );
    let limits = (
        option::of(select(vec![1_u64, 60, 300])),
        option::of(select(vec![1_u64, 50])),
        option::of(select(vec![8_u64, 64])),
        option::weighted(0.2, select(vec!["head", "tail", "head-tail"])),
    );
    let others = (
        option::of(select(vec![
            "auto",
            "process-group",
            "cgroup",
            "pid-namespace",
        ])),
        option::of(select(vec!["warn", "fail"])),
        option::weighted(0.2, select(vec!["TERM", "INT"])),
        option::weighted(0.1, confine),
    );
    let env = (
        subsequence(vec!["ACME_KEY", "ACME_*", "CI"], 0..=3),
        subsequence(vec!["LANG", "MODE"], 0..=2),
        select(vec!["one", "two"]),
    );
    let stated = (limits, others, env).prop_map(|(limits, others, (inherit, set, value))| Terms {
        timeout_s: limits.0,
        output_kib: limits.1,
        processes: limits.2,
        keep: limits.3,
        containment: others.0,
        leaks: others.1,
        stop: others.2,
        confine: others.3.map(|(read, hide, network)| Confine {
            read,
            hide,
            network,
        }),
        inherit: inherit.into_iter().map(str::to_owned).collect(),
        set: set
            .into_iter()
            .map(|name| (name.to_owned(), value.to_owned()))
            .collect(),
    });
    prop_oneof![2 => Just(Terms::default()), 1 => stated]
}

fn actions() -> impl Strategy<Value = Vec<String>> {
    let mut patterns = vec!["*".to_owned(), "files.*".to_owned(), "runner.*".to_owned()];
    patterns.extend(
        ACTIONS
            .iter()
            .map(|(tool, action, _)| format!("{tool}.{action}")),
    );
    prop_oneof![1 => subsequence(patterns.clone(), 1..3), 1 => select(patterns).prop_map(|one| vec![one])]
}

fn accesses() -> impl Strategy<Value = Vec<Access>> {
    subsequence(vec![Access::Read, Access::Write, Access::Execute], 1..3)
}

/// One rule; its id is set by its place.
pub(crate) fn rule(
    effect: Option<Effect>,
    scopes: usize,
    approvals: usize,
) -> impl Strategy<Value = Rule> {
    let effect = match effect {
        Some(effect) => Just(effect).boxed(),
        None => Union::new_weighted(vec![
            (4, Just(Effect::Allow)),
            (1, Just(Effect::Ask)),
            (2, Just(Effect::Deny)),
        ])
        .boxed(),
    };
    let numbers = move || vec(0..scopes, 1..3);
    let restrictions = (
        option::weighted(0.3, accesses()),
        option::weighted(0.4, 0..approvals.max(1))
            .prop_map(move |nth| nth.filter(|_| approvals > 0)),
        option::weighted(
            0.3,
            vec(
                select(vec!["ci", "agent-*", "*-1", "a*t-*", "*"]).prop_map(str::to_owned),
                1..3,
            ),
        ),
        option::weighted(0.2, 1_u8..4),
    );
    (
        effect,
        actions(),
        (
            0..4_u8,
            numbers(),
            vec((any::<prop::sample::Index>(), numbers()), 1..3),
        ),
        restrictions,
        terms(scopes),
    )
        .prop_map(
            |(effect, actions, (form, any, each), (access, approval, actors, until), terms)| {
                let mut rule = Rule {
                    id: 0,
                    effect,
                    actions,
                    paths: None,
                    access,
                    approval,
                    actors,
                    until,
                    terms,
                };
                let named = ACTIONS
                    .iter()
                    .filter(|(tool, action, _)| rule.names(tool, action));
                let mut arguments: Vec<&str> = named
                    .flat_map(|(_, _, paths)| paths.iter().map(|(name, _)| *name))
                    .collect();
                let has_paths = !arguments.is_empty();
                arguments.push("cwd");
                let mut entries: Vec<(String, Vec<usize>)> = Vec::new();
                for (index, numbers) in each {
                    let name = index.get(&arguments).to_string();
                    if entries.iter().all(|(known, _)| *known != name) {
                        entries.push((name, numbers));
                    }
                }
                let allows = rule.effect == Effect::Allow;
                rule.paths = match form {
                    0 if !(allows && has_paths) => None,
                    1 => Some(Paths::Each(entries)),
                    _ => Some(Paths::Any(any)),
                };
                if allows {
                    rule.access = None;
                } else {
                    rule.until = None;
                    rule.terms = Terms::default();
                    rule.leave_out_what_has_no_such_path();
                }
                if rule.effect == Effect::Deny {
                    rule.approval = None;
                }
                rule
            },
        )
}

/// A whole policy.
pub(crate) fn policy() -> impl Strategy<Value = Policy> {
    (vec(scope(), 1..5), vec(approval(), 0..3)).prop_flat_map(|(scopes, approvals)| {
        let rules = vec(rule(None, scopes.len(), approvals.len()), 0..10);
        let defaults = terms(scopes.len());
        (
            Just(scopes),
            Just(approvals),
            rules,
            defaults,
            any::<bool>(),
        )
            .prop_map(|(scopes, approvals, mut rules, defaults, strips_dot)| {
                rules
                    .iter_mut()
                    .enumerate()
                    .for_each(|(nth, rule)| rule.id = nth);
                Policy {
                    scopes,
                    approvals,
                    rules,
                    defaults,
                    strips_dot,
                }
            })
    })
}
