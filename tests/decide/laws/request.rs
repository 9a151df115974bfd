//! Random requests to the tools of `policy.rs`, in both forms, and what they are asked with.

use jiff::civil::date;
use jiff::tz::TimeZone;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use lictor::decision::{Context, Request, Value};

/// What is asked for; a path is its text.
#[derive(Clone, Debug)]
pub(crate) enum Call {
    One {
        action: &'static str,
        path: String,
    },
    Copy {
        from: Vec<String>,
        to: String,
    },
    Ping,
    Test {
        dir: Option<String>,
        out: Option<String>,
        targets: Vec<String>,
    },
    Clean {
        dir: Option<String>,
    },
}

#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) call: Call,
    pub(crate) cwd: Option<String>,
    pub(crate) actor: Option<&'static str>,
    /// As a command line, where there is a program to name.
    pub(crate) as_argv: bool,
}

/// What a decision may depend on besides policy and request.
#[derive(Clone, Debug)]
pub(crate) struct Given {
    pub(crate) actor: &'static str,
    /// Approvals that are granted, by number.
    pub(crate) approved: Vec<usize>,
    pub(crate) switches: Vec<(&'static str, &'static str)>,
    /// A second of January 2027.
    pub(crate) second: Option<i64>,
}

impl Ask {
    pub(crate) fn names(&self) -> (&'static str, &'static str) {
        match &self.call {
            Call::One { action, .. } => ("files", action),
            Call::Copy { .. } => ("files", "copy"),
            Call::Ping => ("files", "ping"),
            Call::Test { .. } => ("runner", "test"),
            Call::Clean { .. } => ("runner", "clean"),
        }
    }

    pub(crate) fn request(&self) -> Request {
        let mut request = match self.argv().filter(|_| self.as_argv) {
            Some(argv) => Request::argv(argv),
            None => self.named(),
        };
        if let Some(cwd) = &self.cwd {
            request = request.with_cwd(cwd.as_bytes());
        }
        match self.actor {
            Some(actor) => request.with_actor(actor),
            None => request,
        }
    }

    fn named(&self) -> Request {
        let (tool, action) = self.names();
        let list = |texts: &[String]| {
            Value::List(
                texts
                    .iter()
                    .map(|text| Value::from(text.as_str()))
                    .collect(),
            )
        };
        let mut args = Vec::new();
        match &self.call {
            Call::One { path, .. } => args.push(("path", Value::from(path.as_str()))),
            Call::Copy { from, to } => {
                args.extend([("to", Value::from(to.as_str())), ("from", list(from))])
            }
            Call::Ping => {}
            Call::Clean { dir } => {
                args.extend(dir.iter().map(|dir| ("dir", Value::from(dir.as_str()))))
            }
            Call::Test { dir, out, targets } => {
                args.push(("target", list(targets)));
                args.extend(out.iter().map(|out| ("out", Value::from(out.as_str()))));
                args.extend(dir.iter().map(|dir| ("dir", Value::from(dir.as_str()))));
            }
        }
        args.into_iter()
            .fold(Request::named(tool, action), |request, (name, value)| {
                request.with_arg(name, value)
            })
    }

    /// The command line; none if a path would be read as an option, or the tool has no program.
    fn argv(&self) -> Option<Vec<String>> {
        let words = |parts: &[&[&str]]| {
            Some(
                parts
                    .concat()
                    .into_iter()
                    .map(str::to_owned)
                    .collect::<Vec<_>>(),
            )
        };
        let base = |dir: &Option<String>| {
            dir.clone()
                .map_or(Vec::new(), |dir| vec!["-C".to_owned(), dir])
        };
        match &self.call {
            Call::One { .. } | Call::Copy { .. } | Call::Ping => None,
            Call::Clean { dir } => {
                Some([words(&[&["runner"]])?, base(dir), words(&[&["clean"]])?].concat())
            }
            Call::Test { dir, out, targets } => {
                let out = out
                    .as_ref()
                    .map_or(Vec::new(), |out| vec![format!("--out={out}")]);
                let is_plain = targets.iter().all(|target| !target.starts_with('-'));
                let words = [
                    words(&[&["runner"]])?,
                    base(dir),
                    words(&[&["test"]])?,
                    targets.clone(),
                    out,
                ];
                is_plain.then(|| words.concat())
            }
        }
    }
}

impl Given {
    pub(crate) fn context(&self) -> Context {
        let mut context = Context::new(self.actor);
        for nth in &self.approved {
            context = context.with_approval(format!("p{nth}"));
        }
        for (variable, value) in &self.switches {
            context = context.with_switch(*variable, *value);
        }
        if let Some(second) = self.second {
            let first = date(2027, 1, 1)
                .to_zoned(TimeZone::UTC)
                .unwrap()
                .timestamp();
            context = context.with_time(first + jiff::SignedDuration::from_secs(second));
        }
        context
    }
}

/// A path over the alphabet of the patterns, or something odd.
fn path() -> impl Strategy<Value = String> {
    let segment = select(vec![
        "a",
        "a",
        "b",
        "A",
        "B",
        "x.py",
        "docs",
        "Docs",
        "d",
        "lictor.yaml",
    ]);
    let plain = vec(segment, 1..4).prop_map(|segments| segments.join("/"));
    let odd = select(vec![
        "",
        " ",
        ".",
        "./a",
        "..",
        "a/../b",
        "a/./b",
        "a//b",
        "/etc/passwd",
        "-x",
        "@a",
        "~/x",
        "$HOME",
        "C:\\x",
        "a\\b",
        "a/",
        "a\0b",
        "a\u{200b}",
        "%2e",
        "a*b",
        "con",
        "a/.git/x",
        "progra~1",
        "a.",
        ".claude/settings.json",
        "a/.mcp.json",
        ".Cursor/x",
        "LICTOR.yaml",
        ".github/hooks/pre.json",
        ".gemini",
        "a::b",
        "e\u{301}",
    ])
    .prop_map(str::to_owned);
    prop_oneof![24 => plain, 1 => odd]
}

fn target() -> impl Strategy<Value = String> {
    (
        path(),
        prop_oneof![8 => Just(""), 1 => select(vec!["::test_a", "::A::test_b[1]", "::", "[x]"])],
    )
        .prop_map(|(path, names)| path + names)
}

pub(crate) fn ask() -> impl Strategy<Value = Ask> {
    let call = prop_oneof![
        3 => (select(vec!["read", "write", "exec"]), path()).prop_map(|(action, path)| Call::One { action, path }),
        2 => (vec(path(), 0..4), path()).prop_map(|(from, to)| Call::Copy { from, to }),
        1 => Just(Call::Ping),
        3 => (option::weighted(0.2, path()), option::of(path()), vec(target(), 0..4))
            .prop_map(|(dir, out, targets)| Call::Test { dir, out, targets }),
        1 => option::of(path()).prop_map(|dir| Call::Clean { dir }),
    ];
    let actor = option::of(select(vec!["ci", "agent-1", "agent-2", "b"]));
    (call, option::weighted(0.15, path()), actor, any::<bool>()).prop_map(
        |(call, cwd, actor, as_argv)| Ask {
            call,
            cwd,
            actor,
            as_argv,
        },
    )
}

pub(crate) fn given() -> impl Strategy<Value = Given> {
    let values = || {
        select(vec![
            "true", "TRUE", "oN", "1", "yes", "Yes", "0", "", "true ",
        ])
    };
    let switches = (option::of(values()), option::of(values())).prop_map(|(a, b)| {
        let a = a.map(|value| ("SWITCH_A", value));
        a.into_iter()
            .chain(b.map(|value| ("SWITCH_B", value)))
            .collect()
    });
    // The first and the last second of a day, and one between.
    let second = (0_i64..5, select(vec![0_i64, 86_399, 40_000]))
        .prop_map(|(day, second)| day * 86_400 + second);
    (
        select(vec!["ci", "agent-1", "agent-2", "b"]),
        subsequence(vec![0, 1, 2], 0..=3),
        switches,
        option::of(second),
    )
        .prop_map(|(actor, approved, switches, second)| Given {
            actor,
            approved,
            switches,
            second,
        })
}
