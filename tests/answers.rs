//! What one command says, every command says: `check`, `explain`, policy tests, `prove` and `lint` decide as `run` does,
//! and a denial says what is so and what to do.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use lictor::analysis::Answer;
use lictor::analysis::Budget;
use lictor::analysis::cells::Analysis;
use lictor::decision::{Context, Decision, Effect, Request, decide};
use lictor::policy::CompiledPolicy;
use lictor::reason::Reason::{self, *};

fn policy(text: &str) -> CompiledPolicy {
    let text = format!("version: 1\nname: answers\n{text}");
    CompiledPolicy::from_yaml(&text).unwrap_or_else(|errors| panic!("{text}\n{errors}"))
}

fn decided(policy: &CompiledPolicy, line: &str) -> Decision {
    let request = Request::argv(line.split(' '));
    decide(policy, &request, &Context::new("agent"))
}

#[track_caller]
fn check(policy: &CompiledPolicy, line: &str, expected: Result<(), Reason>) -> Decision {
    let decision = decided(policy, line);
    let answer = match decision.effect() {
        Effect::Allow => Ok(()),
        Effect::Ask | Effect::Deny => Err(decision.reason().unwrap()),
    };
    assert_eq!(answer, expected, "{line}: {}", decision.message());
    decision
}

/// Tools in which a written path is what the action is about, or beside what it is about.
const WRITERS: &str = r#"
tools:
  ruff:
    program: ruff
    args: {log: {type: path, option: "--log", access: write}}
    actions:
      check:
        command: check
        args:
          out: {type: path, option: ["-o", "--output-file"], access: write}
          files: {type: path, repeat: true}
        after: {more: {type: path, option: "--more", access: write}}
      clean: {command: clean, args: {cache: {type: path, option: "--cache", access: write}}}
  cp: {program: cp, actions: {run: {args: {from: {type: path, required: true, repeat: true}, to: {type: path, access: write, required: true}}}}}
  restore: {program: restore, args: {dir: {type: path, option: "-C", base: true}}, actions: {run: {args: {path: {type: path, access: write, repeat: true}}}}}
"#;

#[test]
fn one_scope_for_all_paths_does_not_cover_what_an_option_writes_beside_them() {
    let outside = || Err(PathOutsideAllowedScope);
    let scalar = policy(&format!(
        "{WRITERS}
use: lictor/pytest@1
scopes: {{tests: \"tests/**\"}}
rules: [{{id: all, allow: \"*\", within: tests}}]"
    ));
    check(&scalar, "pytest tests/a.py", Ok(()));
    check(
        &scalar,
        "pytest --deselect=tests/a.py::t tests/a.py",
        Ok(()),
    );
    let denied = check(
        &scalar,
        "pytest --junitxml=tests/a.py tests/b.py",
        outside(),
    );
    assert_eq!(
        denied.message(),
        "path `tests/a.py` is outside what the policy allows pytest.run: rule `all` names no scope for `junit` \
         (`within: {junit: SCOPE}` would)"
    );
    check(&scalar, "ruff check tests/a.py", Ok(()));
    check(&scalar, "ruff check -o tests/b.py tests/a.py", outside());
    check(&scalar, "ruff --log tests/b.py check tests/a.py", outside());
    check(
        &scalar,
        "ruff check tests/a.py -- --more tests/b.py",
        outside(),
    );
    // What the action is about is covered, read or written.
    check(&scalar, "ruff clean --cache tests/b", Ok(()));
    check(&scalar, "cp tests/a tests/b", Ok(()));
    check(&scalar, "restore -C tests a", Ok(()));

    let named = policy(&format!(
        "{WRITERS}
scopes: {{tests: \"tests/**\", reports: \"reports/*\"}}
rules: [{{id: lint, allow: ruff.check, within: {{files: tests, out: reports}}}}]"
    ));
    check(&named, "ruff check -o reports/x tests/a.py", Ok(()));
    check(&named, "ruff check -o tests/x tests/a.py", outside());
}

#[test]
fn what_keeps_out_holds_for_what_an_option_writes() {
    let text = "
use: lictor/pytest@1
scopes: {tests: \"tests/**\", open: \"tests/out/**\", secret: \"tests/out/keys/**\"}
rules:
  - {id: run, allow: pytest.run, within: {target: tests, junit: open}}
  - {id: secret, deny: \"*\", touching: secret}
";
    let policy = policy(text);
    check(&policy, "pytest --junitxml=tests/out/x tests/a.py", Ok(()));
    check(
        &policy,
        "pytest --junitxml=tests/out/keys/x tests/a.py",
        Err(DeniedByRule),
    );
}

#[test]
fn analysis_knows_what_one_scope_does_not_cover() {
    let policy = policy(
        "use: lictor/pytest@1
scopes: {tests: \"tests/**\"}
rules: [{id: run, allow: pytest.run, within: tests}]",
    );
    let analysis = Analysis::of(&policy);
    let allowed = |argument: &str| {
        let cell = analysis.cell("pytest", "run", argument).unwrap();
        let paths = analysis.paths(cell, &Context::new("agent"), Effect::Allow);
        analysis.space(cell).is_empty(&paths, &Budget::default())
    };
    assert_eq!(allowed("junit"), Answer::Holds);
    assert!(matches!(allowed("target"), Answer::Fails(_)));
}

#[test]
fn what_this_version_cannot_enforce_is_denied_by_every_command() {
    let with = |defaults: &str, confine: &str| {
        policy(&format!(
            "use: [lictor/pytest@1, lictor/files@1]
{defaults}scopes: {{tests: \"tests/**\"}}
rules:
  - {{id: run, allow: pytest.run, within: tests{confine}}}
  - {{id: read, allow: filesystem.read_file, within: tests}}
"
        ))
    };
    let denied = || Err(ConfineNotEnforceable);
    let own = with("", ", confine: {network: none}");
    let decision = check(&own, "pytest tests/a.py", denied());
    assert_eq!(
        decision.message(),
        "rule `run` states `confine`, and this version of lictor cannot enforce it"
    );
    check(&own, "pytest src/a.py", Err(PathOutsideAllowedScope));
    let all = with("defaults: {confine: {write: [tests]}}\n", "");
    check(&all, "pytest tests/a.py", denied());
    check(&with("", ""), "pytest tests/a.py", Ok(()));

    // Analysis, and with it `prove`, `diff` and lint, says so too.
    for (policy, action, argument, is_open) in [
        (&own, "run", "target", false),
        (&own, "read_file", "path", true),
        (&all, "read_file", "path", false),
    ] {
        let analysis = Analysis::of(policy);
        let tool = if action == "run" {
            "pytest"
        } else {
            "filesystem"
        };
        let cell = analysis.cell(tool, action, argument).unwrap();
        let paths = analysis.paths(cell, &Context::new("agent"), Effect::Allow);
        let answer = analysis.space(cell).is_empty(&paths, &Budget::default());
        assert_eq!(answer != Answer::Holds, is_open, "{action}: {answer:?}");
    }
}

fn refusal(text: &str) -> Option<String> {
    let text = format!("version: 1\nname: answers\n{text}");
    let errors = CompiledPolicy::from_yaml(&text).err()?;
    errors
        .problems()
        .first()
        .map(|problem| problem.message.clone())
}

#[test]
fn a_rule_that_could_never_touch_anything_is_an_error() {
    let with = |rule: &str| {
        refusal(&format!(
            "use: [lictor/cargo@1, lictor/git@1, lictor/files@1, lictor/pytest@1]
scopes: {{all: \"**\"}}
rules:
  - {{id: keep, {rule}}}
"
        ))
    };
    for (rule, message) in [
        (
            "deny: cargo.clean, touching: all",
            "rule `keep` is about `cargo.clean` only for paths, and that action takes none",
        ),
        (
            "deny: [filesystem.delete, cargo.clean], touching: all",
            "rule `keep` is about `cargo.clean` only for paths, and that action takes none",
        ),
        (
            "ask: git.push, touching: all",
            "rule `keep` is about `git.push` only for paths, and that action takes none",
        ),
        (
            "deny: cargo.*, touching: all",
            "rule `keep` is about `cargo.*` only for paths, and no action of `cargo` takes one",
        ),
        (
            "deny: cargo.clean, access: write",
            "rule `keep` is about `cargo.clean` only for paths with this `access`, and that action takes none",
        ),
        (
            "deny: filesystem.read_file, touching: all, access: write",
            "rule `keep` is about `filesystem.read_file` only for paths with this `access`, and that action takes none",
        ),
        (
            "deny: [filesystem.read_file, pytest.run], touching: {target: all}",
            "rule `keep` is about `filesystem.read_file` only for paths that it names, and that action takes none",
        ),
    ] {
        assert_eq!(with(rule).as_deref(), Some(message), "{rule}");
    }
    for rule in [
        "deny: \"*\", touching: all",
        "deny: \"*\", touching: all, access: write",
        "deny: git.*, touching: all",
        "deny: cargo.clean",
        "deny: cargo.clean, touching: {cwd: all}",
        "deny: git.push, touching: {dir: all}",
        "deny: pytest.run, touching: all, access: write",
        "allow: cargo.clean, within: all",
    ] {
        assert_eq!(with(rule), None, "{rule}");
    }
}

#[test]
fn a_question_that_nothing_answers_says_how_to_answer_it() {
    let policy = policy(
        "use: [lictor/npm@1, lictor/files@1]
scopes: {all: \"**\"}
rules:
  - {id: install, allow: npm.ci}
  - {id: confirm, ask: npm.ci}
  - {id: read, allow: filesystem.read_file, within: all}
  - {id: confirm-read, ask: filesystem.read_file, touching: all}
",
    );
    let asked = check(&policy, "npm ci", Err(ApprovalRequired));
    assert_eq!(
        asked.instead(),
        Some(
            "nothing in this policy answers rule `confirm`: give it an `approval`, for example one with `grant: true`"
        )
    );
    // Where the host acts, the host asks.
    let read = Request::named("filesystem", "read_file").with_arg("path", "a");
    let asked = decide(&policy, &read, &Context::new("agent"));
    assert_eq!((asked.effect(), asked.instead()), (Effect::Ask, None));
    let report = lictor::lint::run(
        &policy,
        &lictor::lint::Unknown,
        &lictor::lint::Options::default(),
    );
    let found: Vec<_> = report
        .diagnostics
        .iter()
        .filter(|d| d.code == "L208")
        .collect();
    assert_eq!(found.len(), 1, "{found:?}");
}
