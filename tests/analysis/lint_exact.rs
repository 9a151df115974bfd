//! Rules that decide over all paths and all command lines, and not over those that somebody thought of.

use std::cell::Cell;

use lictor::decision::{Context, Request, decide};
use lictor::lint::{self, Kind, Options, Surroundings, Unknown};
use lictor::policy::CompiledPolicy;
use lictor::reason::Reason;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

fn policy(body: &str) -> CompiledPolicy {
    CompiledPolicy::from_yaml(&format!("version: 1\nname: exact\n{body}")).unwrap()
}

/// The path that the finding of a code shows, for each finding of that code.
fn shown(policy: &CompiledPolicy, around: &dyn Surroundings, code: &str) -> Vec<String> {
    let report = lint::run(policy, around, &Options::default());
    let unknown = report
        .diagnostics
        .iter()
        .filter(|found| found.code == "L215");
    assert_eq!(unknown.count(), 0, "{:?}", report.diagnostics);
    let found = report.diagnostics.iter().filter(|found| found.code == code);
    found
        .map(|found| found.witness.as_ref().unwrap().path.clone().unwrap())
        .collect()
}

/// A rule that lets some action with files in a scope, a deny over another scope.
#[track_caller]
fn check(action: &str, allow: &str, deny: &str, code: &str, expected: &[&str]) {
    let policy = policy(&format!(
        "use: lictor/files@1\nscopes: {{open: {allow}, closed: {deny}}}\nrules:\n  \
         - {{id: open, allow: filesystem.{action}, within: open}}\n  \
         - {{id: closed, deny: \"*\", touching: closed}}\n"
    ));
    assert_eq!(shown(&policy, &Unknown, code), expected);
}

#[test]
fn secrets_that_denies_leave_open_are_found_wherever_they_lie() {
    let check = |allow: &str, deny: &str, expected: &[&str]| {
        check("read_file", allow, deny, "G119", expected);
    };
    // What is usual, and what nobody would have tried.
    check(r#""conf/**""#, r#""conf/.env""#, &["conf/app/.env"]);
    check(
        r#""conf/**""#,
        r#"["**/.env", "**/.env.*", "**/*.{pem,key}", "**/id_*", "**/.{ssh,aws}/**", "**/.{netrc,npmrc,pypirc}"]"#,
        &["conf/.envrc"],
    );
    check(
        r#""a/b/c/d/e/f/**/.env""#,
        r#""a/.env""#,
        &["a/b/c/d/e/f/.env"],
    );
    check(
        r#""a/*/c/*/.env.staging""#,
        r#"".env*""#,
        &["a/a/c/a/.env.staging"],
    );
    check(r#""**/*.PEM""#, r#""other/**""#, &["a.PEM"]);
    check(r#""certs/*.Pem""#, r#""certs/server.*""#, &["certs/a.Pem"]);
    check(
        r#""keys/id_[a-z]*9""#,
        r#""keys/id_{rsa,dsa,ecdsa}""#,
        &["keys/id_ed25519"],
    );
    check(
        r#""keys/id_[x-z]""#,
        r#""keys/id_{rsa,dsa,ecdsa,ed25519}""#,
        &[],
    );
    check(
        r#""home/**""#,
        r#"["**/.env*", "**/*.{pem,key}", "**/id_*", "**/.ssh/*", "**/.aws/**", "**/.{netrc,npmrc,pypirc}"]"#,
        &["home/.ssh"],
    );
    check(
        r#""home/*/**""#,
        r#"["*/.env*", "**/*.{pem,key}", "**/id_*", "**/.{ssh,aws}/**", "**/.{netrc,npmrc,pypirc}"]"#,
        &["home/a/.env"],
    );
}

#[test]
fn secrets_that_denies_cover_are_no_finding() {
    let check = |allow: &str, deny: &str| check("read_file", allow, deny, "G119", &[]);
    let all = r#"["**/.env*", "**/*.{pem,key}", "**/id_*", "**/.{ssh,aws}/**", "**/.{netrc,npmrc,pypirc}"]"#;
    check(r#""**""#, all);
    check(r#""a/**/*.PEM""#, all);
    check(r#""src/**/[a-z]*.rs""#, r#""other/**""#);
    check(
        r#""conf/**""#,
        r#"["conf/**/.*", "conf/**/.*/**", "conf/**/*.[pk]*", "conf/**/id_*"]"#,
    );
    check(
        r#"["conf/*", "src/*"]"#,
        r#"["conf/.*", "src/.*", "{conf,src}/*.{pem,key}", "*/[i]d_*"]"#,
    );
    // Names that only look like keys.
    check(r#"["src/id_*.rs", "docs/id_rsa.pub"]"#, r#""other/**""#);
    // What a scope excludes is excluded; in which case is the business of another rule.
    check(
        r#"{include: "conf/*", exclude: ["**/.*", "**/*.{pem,key}", "**/id_*"]}"#,
        r#""other/**""#,
    );
}

#[test]
fn hidden_files_are_found_exactly() {
    let check = |allow: &str, deny: &str, expected: &[&str]| {
        check("write_file", allow, deny, "G110", expected);
    };
    check(
        r#""docs/**""#,
        r#"["**/.env*", "**/.ssh/**"]"#,
        &["docs/.gitattributes"],
    );
    check(
        r#"".github/**""#,
        r#"".github/workflows/*.yml""#,
        &[".github/workflows/a.yaml"],
    );
    check(
        r#"".github/**""#,
        r#"["**/.env*", "**/.git*/**/*.y*ml", "**/.gitattributes", "**/.ssh/**"]"#,
        &[],
    );
    // Secrets are the business of another rule.
    check(r#""**/x/.E[n-q]V""#, r#"".env""#, &[]);
    check(r#""src/**""#, r#"["**/.[e-g]*", "**/.[e-z]*/**"]"#, &[]);
}

#[test]
fn what_only_some_actions_or_actors_are_kept_from_is_found() {
    let policy = policy(
        "use: lictor/files@1
scopes: {conf: \"conf/*\", secrets: [\"**/.*\", \"**/*.{pem,key}\", \"**/id_*\"]}
rules:
  - {id: read, allow: [filesystem.read_file, filesystem.search], within: conf}
  - {id: ci, allow: filesystem.read_file, within: conf, for: ci-*}
  - {id: no-reading, deny: filesystem.read_file, touching: secrets}
  - {id: not-for-ci, deny: filesystem.*, touching: secrets, for: ci-*}
",
    );
    let report = lint::run(&policy, &Unknown, &Options::default());
    let found: Vec<_> = report
        .diagnostics
        .iter()
        .filter(|found| found.code == "G119")
        .map(|found| found.witness.as_ref().unwrap().text())
        .collect();
    assert_eq!(
        found,
        ["`filesystem.search path=conf/.env` is allowed by `read`"]
    );
}

/// A workspace that holds these files.
struct Workspace(Vec<(String, Kind)>);

impl Surroundings for Workspace {
    fn names(&self) -> Option<&[(String, Kind)]> {
        Some(&self.0)
    }
}

#[test]
fn a_secret_that_is_there_is_shown_before_one_that_might_be() {
    let policy = policy(
        "use: lictor/files@1
scopes: {conf: \"conf/**\", closed: \"conf/**/.env\"}
rules:
  - {id: read, allow: filesystem.read_file, within: conf}
  - {id: closed, deny: \"*\", touching: closed}
",
    );
    let names = [
        "conf",
        "conf/.env",
        "conf/deep",
        "conf/deep/.env.production",
        "src/.env",
    ];
    let names = names.map(|name| (name.to_owned(), Kind::File)).into();
    assert_eq!(
        shown(&policy, &Workspace(names), "G119"),
        ["conf/deep/.env.production"]
    );
}

#[test]
fn a_name_that_is_there_is_shown_before_an_invented_one() {
    let policy = policy(
        "use: lictor/files@1
scopes: {notes: \"notes/**/*.md\", drafts: \"notes/**/*draft*\"}
rules:
  - {id: read, allow: filesystem.read_file, within: notes}
  - {id: no-drafts, deny: filesystem.read_file, touching: drafts}
invariants:
  - {id: nothing-old, never: filesystem.read_file, paths: \"notes/*/*.md\"}
",
    );
    let names = [
        "README.md",
        "notes",
        "notes/plan.md",
        "notes/2026/plan.md",
        "notes/2026/old-draft.md",
    ];
    let names: Vec<_> = names.map(|name| (name.to_owned(), Kind::File)).into();
    let around = Workspace(names);
    assert_eq!(shown(&policy, &around, "L211"), ["notes/2026/plan.md"]);
    assert_eq!(shown(&policy, &around, "L205"), ["notes/2026/old-draft.md"]);
    assert_eq!(shown(&policy, &Unknown, "L211"), ["notes/a/a.md"]);
}

/// `é` in its two normal forms.
const COMPOSED: &str = "r\u{e9}sum\u{e9}s";
const DECOMPOSED: &str = "re\u{301}sume\u{301}s";

#[test]
fn a_deny_in_another_normal_form_is_refused_or_holds_and_is_never_a_hole() {
    let text = |paths: &str| {
        format!(
            "version: 1\nname: forms\nuse: lictor/files@1\n{paths}scopes: {{all: \"{COMPOSED}/**\", closed: \"{DECOMPOSED}/x\"}}\nrules:\n  \
             - {{id: read, allow: filesystem.read_file, within: all}}\n  \
             - {{id: closed, deny: \"*\", touching: closed}}\n"
        )
    };
    let refused = CompiledPolicy::from_yaml(&text("")).unwrap_err();
    let problem = refused.problems().first().unwrap();
    assert!(
        problem.message.contains("normal form C"),
        "{}",
        problem.message
    );
    assert_eq!(
        problem.replacement.as_deref(),
        Some(format!("\"{COMPOSED}/x\"").as_str())
    );
    let policy = CompiledPolicy::from_yaml(&text("paths: {nfc: ignore}\n")).unwrap();
    for form in [COMPOSED, DECOMPOSED] {
        let request = Request::named("filesystem", "read_file")
            .with_arg("path", format!("{form}/x").as_str());
        let decision = decide(&policy, &request, &Context::new("anybody"));
        assert_eq!(decision.reason(), Some(Reason::DeniedByRule), "{form:?}");
    }
    let report = lint::run(&policy, &Unknown, &Options::default());
    assert!(report.diagnostics.iter().all(|found| found.code != "G111"));
}

/// What X301 shows for two tools of one program, whose declarations are given.
#[track_caller]
fn check_commands(one: &str, other: &str, expected: &[&str]) {
    let policy = policy(&format!(
        "tools:\n  one: {{program: tool, {one}}}\n  two: {{program: tool, {other}}}\nscopes: {{all: \"**\"}}\nrules:\n  \
         - {{id: run, allow: [one.*, two.*], within: all}}\n"
    ));
    let report = lint::run(&policy, &Unknown, &Options::default());
    let unknown: Vec<_> = report
        .diagnostics
        .iter()
        .filter(|found| found.code == "L215")
        .collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    let found = report
        .diagnostics
        .iter()
        .filter(|found| found.code == "X301");
    let shown: Vec<_> = found
        .map(|found| {
            found
                .witness
                .as_ref()
                .unwrap()
                .argv
                .clone()
                .unwrap()
                .join(" ")
        })
        .collect();
    assert_eq!(shown, expected);
}

#[test]
fn a_command_line_that_two_tools_accept_is_found() {
    // Only an optional argument of both makes them meet.
    check_commands(
        r#"actions: {a: {args: {x: {type: flag, names: [--x], required: true}, y: {type: flag, names: [--y]}}}}"#,
        r#"actions: {a: {args: {y: {type: flag, names: [--y], required: true}, x: {type: flag, names: [--x]}}}}"#,
        &["tool --x --y"],
    );
    // A flag of one is the value of the other's option.
    check_commands(
        r#"actions: {a: {args: {out: {type: text, option: -o, required: true}}}}"#,
        r#"actions: {a: {args: {out: {type: flag, names: [-out], required: true}}}}"#,
        &["tool -out"],
    );
    check_commands(
        r#"actions: {a: {args: {out: {type: text, option: -out, required: true}}}}"#,
        r#"actions: {a: {args: {out: {type: text, option: -o, pattern: "ut=[0-9]+", required: true}}}}"#,
        &["tool -out=0"],
    );
    // Several flags in one word, and a value behind them.
    check_commands(
        r#"bundle: true, actions: {a: {args: {v: {type: flag, names: [-v]}, m: {type: text, option: -m, required: true}}}}"#,
        r#"actions: {a: {args: {x: {type: text, option: -v, required: true, pattern: "m[0-9]"}}}}"#,
        &["tool -vm0"],
    );
    // What stands behind `--`, and a tool's own options before the command words.
    check_commands(
        r#"args: {dir: {type: path, option: -C}}, actions: {a: {command: go, after: {file: {type: path, required: true}}}}"#,
        r#"args: {dir: {type: path, option: -C, required: true}}, actions: {a: {command: go, args: {w: {type: text, dash: true, required: true}}}}"#,
        &["tool -C a go -- a"],
    );
    // Whole numbers without bounds.
    check_commands(
        r#"actions: {a: {command: go, args: {n: {type: int, option: --n, required: true}}}}"#,
        r#"actions: {a: {command: go, args: {n: {type: int, option: --n, min: 17, required: true}}}}"#,
        &["tool go --n=17"],
    );
    // Words that are always passed on.
    check_commands(
        r#"fixed: [-c, core.pager=cat], actions: {a: {command: go}}"#,
        r#"args: {c: {type: text, option: -c, required: true}}, actions: {a: {command: go}}"#,
        &["tool -c core.pager=cat go"],
    );
}

#[test]
fn a_line_that_was_not_tried_is_no_finding_and_is_denied() {
    // The values have one word in common, and it is neither's example.
    let one = r#"actions: {a: {command: go, args: {n: {type: choice, option: --n, of: [left, right], required: true}}}}"#;
    let two = r#"actions: {a: {command: go, args: {n: {type: text, option: --n, pattern: ".*gh.*", required: true}}}}"#;
    check_commands(one, two, &[]);
    let policy = policy(&format!(
        "tools:\n  one: {{program: tool, {one}}}\n  two: {{program: tool, {two}}}\nscopes: {{all: \"**\"}}\nrules:\n  \
         - {{id: run, allow: [one.*, two.*], within: all}}\n"
    ));
    let request = Request::argv(["tool", "go", "--n=right"]);
    let decision = decide(&policy, &request, &Context::new("anybody"));
    assert_eq!(decision.reason(), Some(Reason::ArgumentAmbiguous));
}

#[test]
fn grammars_without_a_common_command_line_are_no_finding() {
    let check = |one: &str, other: &str| check_commands(one, other, &[]);
    check(
        r#"actions: {a: {command: go, args: {n: {type: int, option: --n, min: 10, max: 20, required: true}}}}"#,
        r#"actions: {a: {command: go, args: {n: {type: text, option: --n, pattern: "[03-9]*|2[1-9]+|1[0-9]{2}", required: true}}}}"#,
    );
    check(
        r#"actions: {a: {args: {x: {type: flag, names: [--x], required: true}}}}"#,
        r#"actions: {a: {args: {y: {type: flag, names: [--y]}}}}"#,
    );
    check(
        r#"actions: {a: {args: {w: {type: text, repeat: true, pattern: "a|b"}, v: {type: text, pattern: "c", required: true}}}}"#,
        r#"actions: {a: {args: {w: {type: text, pattern: "c"}, v: {type: text, repeat: true, pattern: "a|b", required: true}}}}"#,
    );
    check(
        r#"actions: {a: {command: [run, go]}}"#,
        r#"actions: {a: {args: {w: {type: text, required: true, pattern: "r.*n.|g"}}}}"#,
    );
    // One that may not be given twice.
    check(
        r#"actions: {a: {args: {x: {type: flag, names: [-x]}, y: {type: flag, names: [-y]}}}}"#,
        r#"actions: {a: {args: {z: {type: flag, names: [-x], required: true}, w: {type: flag, names: [-xx], required: true}}}}"#,
    );
}

#[test]
fn a_tool_that_is_called_in_two_ways_may_be_meant_in_both() {
    let policy = policy(
        "tools:
  test: {program: test, also: [\"python3\", \"python3 -m test\"], actions: {run: {args: {m: {type: text, option: -m}, file: {type: path}}}}}
scopes: {all: \"**\"}
rules:
  - {id: run, allow: test.run, within: all}
",
    );
    let report = lint::run(&policy, &Unknown, &Options::default());
    let found: Vec<_> = report
        .diagnostics
        .iter()
        .filter(|found| found.code == "X301")
        .collect();
    assert_eq!(found.len(), 1);
    let witness = found.first().unwrap().witness.as_ref().unwrap().text();
    assert_eq!(witness, "`python3 -m test` is denied, ARGUMENT_AMBIGUOUS");
}

/// The arguments that random tools are made of.
const ARGUMENTS: &[&str] = &[
    "type: flag, names: [-a]",
    "type: flag, names: [-b, --bb]",
    "type: text, option: -a, pattern: \"b*\"",
    "type: text, option: [--bb, -c], pattern: \"a|-b\"",
    "type: text, option: -ab, value: optional, pattern: \"a+\"",
    "type: int, option: \"-<n>\", min: 1, max: 12",
    "type: choice, of: [a, go]",
    "type: text, pattern: \"[ab]\"",
    "type: text, pattern: \"-?b\", dash: true",
    "type: path",
];

fn argument() -> impl Strategy<Value = String> {
    let chosen = (0..ARGUMENTS.len(), any::<bool>(), any::<bool>());
    chosen.prop_map(|(nth, required, repeat)| {
        let text = ARGUMENTS.get(nth).unwrap();
        format!("{{{text}, required: {required}, repeat: {repeat}}}")
    })
}

fn tool() -> impl Strategy<Value = String> {
    let arguments = |most| proptest::collection::vec(argument(), 0..=most);
    let after = proptest::option::of(arguments(2));
    let switches = (any::<bool>(), any::<bool>(), any::<bool>());
    (arguments(1), proptest::option::of("go|a|-b"), arguments(3), after, switches).prop_map(
        |(own, command, args, after, (bundle, fixed, options_first))| {
            let listed = |prefix: &str, args: &[String]| {
                let named = args.iter().enumerate();
                named.map(|(nth, arg)| format!("{prefix}{nth}: {arg}")).collect::<Vec<_>>().join(", ")
            };
            let command = command.map_or(String::new(), |word| format!("command: \"{word}\", "));
            let after = after.map_or(String::new(), |after| format!(", after: {{{}}}", listed("t", &after)));
            let fixed = if fixed { "fixed: [-b, a], " } else { "" };
            format!(
                "program: tool, bundle: {bundle}, options_first: {options_first}, {fixed}args: {{{}}}, actions: {{act: {{{command}args: {{{}}}{after}}}}}",
                listed("o", &own),
                listed("a", &args),
            )
        },
    )
}

#[test]
fn every_line_that_is_shown_is_denied_as_ambiguous() {
    let mut runner = TestRunner::new(ProptestConfig {
        cases: 96,
        source_file: Some(file!()),
        ..ProptestConfig::default()
    });
    let shown = Cell::new(0_usize);
    let compared = runner.run(&(tool(), tool()), |(one, other)| {
        let text = format!(
            "version: 1\nname: random\ntools:\n  one: {{{one}}}\n  two: {{{other}}}\nscopes: {{all: \"**\"}}\nrules:\n  \
             - {{id: run, allow: [one.*, two.*], within: all}}\n"
        );
        let Ok(policy) = CompiledPolicy::from_yaml(&text) else {
            return Ok(());
        };
        let report = lint::run(&policy, &Unknown, &Options::default());
        for found in report.diagnostics.iter().filter(|found| found.code == "X301") {
            let argv = found.witness.as_ref().unwrap().argv.clone().unwrap();
            let request = Request::argv(argv.iter().map(String::as_str));
            let decision = decide(&policy, &request, &Context::new("anybody"));
            prop_assert_eq!(decision.reason(), Some(Reason::ArgumentAmbiguous));
            shown.set(shown.get() + 1);
        }
        Ok(())
    });
    compared.unwrap_or_else(|error| panic!("{error}"));
    assert!(shown.get() > 0);
}
