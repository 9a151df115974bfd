//! What one command says, every command says: `check`, `explain`, policy tests, `prove` and `lint` decide as `run` does,
//! and a denial says what is so and what to do.

use crate::support::program;
use lictor::analysis::Answer;
use lictor::analysis::Budget;
use lictor::analysis::cells::Analysis;
use lictor::decision::{Context, Decision, Effect, Request, decide};
use lictor::policy::CompiledPolicy;
use lictor::reason::Reason::{self, *};

fn policy(text: &str) -> CompiledPolicy {
    let text = format!("version: 1\nname: answers\n{text}");
    crate::support::compiled(&text)
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

/// A denial's message and what to do instead.
#[track_caller]
fn told(policy: &CompiledPolicy, line: &str, reason: Reason, message: &str, instead: Option<&str>) {
    let denied = check(policy, line, Err(reason));
    assert_eq!(
        (denied.message(), denied.instead()),
        (message, instead),
        "{line}"
    );
}

#[test]
fn a_program_that_the_policy_does_not_know_is_told_with_a_way_out() {
    let policy = policy(
        "use: [lictor/npm@1, lictor/coreutils@1]
scopes: {all: \"**\"}
rules: [{id: all, allow: \"*\", within: all}]",
    );
    let set = |name: &str| {
        format!(
            "leave `{name}=…` out: variables are set by a rule of the policy, `env: {{set: {{{name}: VALUE}}}}`"
        )
    };
    let library = |name: &str| {
        format!(
            "the library `{name}` declares it: name that under `use` of the policy, and allow its actions"
        )
    };
    for (line, program, instead) in [
        ("git status", "git", Some(library("lictor/git@1"))),
        (
            "python3 -m pytest tests",
            "python3",
            Some(library("lictor/pytest@1")),
        ),
        (
            "python3 tool.py",
            "python3",
            Some(library("lictor/python@1")),
        ),
        ("nmp test", "nmp", Some("did you mean `npm`?".to_owned())),
        (
            "/usr/bin/cat a",
            "/usr/bin/cat",
            Some("call it `cat`; which file that is, `program_path` of the policy says".to_owned()),
        ),
        (
            "NODE_ENV=test npm test",
            "NODE_ENV=test",
            Some(set("NODE_ENV")),
        ),
        ("env NODE_ENV=test npm test", "env", Some(set("NODE_ENV"))),
        ("quux a", "quux", None),
    ] {
        let message = format!("no tool of the policy is called `{program}`");
        told(&policy, line, ToolNotAllowed, &message, instead.as_deref());
    }
    let named = |tool: &str, action: &str| {
        let request = Request::named(tool, action).with_arg("path", "a");
        let denied = decide(&policy, &request, &Context::new("agent"));
        denied.instead().map(str::to_owned)
    };
    assert_eq!(named("gti", "status"), None);
    assert_eq!(named("git", "status"), Some(library("lictor/git@1")));
    assert_eq!(
        named("filesystem", "read_file"),
        Some(library("lictor/files@1"))
    );
    assert_eq!(named("cta", "run"), Some("did you mean `cat`?".to_owned()));
    assert_eq!(
        named("npm", "tset"),
        Some("did you mean `test`?".to_owned())
    );
}

#[test]
fn words_that_select_no_action_are_told_with_those_that_do() {
    let policy = policy(
        "use: [lictor/npm@1, lictor/git@1]
tools:
  npm-more: {program: npm, actions: {dev: {command: run dev}}}
  deploy: {program: deploy, actions: {plan: {command: plan}, apply: {command: apply}}}
rules: [{id: all, allow: [npm.test, npm-more.dev, deploy.*], within: all}]
scopes: {all: \"**\"}",
    );
    check(&policy, "npm run dev", Ok(()));
    told(
        &policy,
        "npm run biuld",
        ActionNotAllowed,
        "`npm` declares no action `run biuld`",
        Some("did you mean `run build`?"),
    );
    let denied = check(&policy, "npm run deploy", Err(ActionNotAllowed));
    assert_eq!(denied.message(), "`npm` declares no action `run deploy`");
    let instead = denied.instead().unwrap();
    assert!(
        instead.starts_with("it has `run ") && instead.contains("`run dev`"),
        "{instead}"
    );
    told(
        &policy,
        "deploy",
        ActionNotAllowed,
        "no action of `deploy` is asked for",
        Some("it has `plan`, `apply`"),
    );
    told(
        &policy,
        "deploy aply",
        ActionNotAllowed,
        "`deploy` declares no action `aply`",
        Some("did you mean `apply`?"),
    );
    let denied = check(&policy, "git psuh origin main", Err(ActionNotAllowed));
    assert_eq!(denied.instead(), Some("did you mean `push`?"));
}

const OPTIONS: &str = r#"
tools:
  site:
    program: site
    args: {root: {type: path, option: "--root", base: true}}
    actions:
      serve:
        command: serve
        args: {port: {type: int, option: "--port", min: 1, max: 9}, name: {type: text, pattern: "[a-z]+", means: "a word of small letters"}}
        after: {file: {type: path, repeat: true}, raw: {type: flag, names: "--raw"}}
  push: {program: push, actions: {run: {args: {remote: {type: text, required: true}, branch: {type: text, required: true}}}}}
  rg:
    program: rg
    actions:
      run: {args: {pattern: {type: text, required: true}, path: {type: path, repeat: true}}}
      list: {args: {files: {type: flag, names: "--files", required: true}, glob: {type: text, option: "-g"}, path: {type: path, repeat: true}}}
scopes: {all: "**"}
rules: [{id: all, allow: "*", within: all}]
"#;

#[test]
fn an_argument_that_is_not_taken_is_told_as_it_is() {
    let policy = policy(OPTIONS);
    let unknown = |line, message, instead| told(&policy, line, ArgumentUnknown, message, instead);
    unknown(
        "site serve --prot 3",
        "`site.serve` takes no option `--prot`",
        Some("did you mean `--port`?"),
    );
    unknown(
        "site serve --root=a",
        "`site.serve` takes no option `--root=a`",
        Some("write `--root` right behind `site`"),
    );
    unknown(
        "site --port=3 serve",
        "`site` takes no option `--port=3` in front of what it is asked to do",
        Some("write `--port` behind `serve`"),
    );
    unknown(
        "site serve --raw",
        "`site.serve` takes no option `--raw`",
        Some("write `--raw` behind `--`"),
    );
    unknown(
        "site serve x src/a",
        "`site.serve` takes no further argument `src/a`",
        Some("a path stands behind `--`: write `-- src/a`"),
    );
    told(
        &policy,
        "site serve X",
        ArgumentInvalid,
        "argument `name` cannot be `X`: it is not a word of small letters",
        None,
    );
    // What is lacking is the last, where the first are there.
    told(
        &policy,
        "push origin",
        ArgumentRequired,
        "`push.run` requires the argument `branch`",
        None,
    );
    // An action that a flag selects is not told of where that flag is not given.
    unknown("rg -g x foo", "`rg.run` takes no option `-g`", None);
}

#[test]
fn a_path_is_told_as_the_request_has_to_write_it() {
    let place = program::Place::with_policy(
        "version: 1
name: told
tools:
  cat: {program: cat, args: {dir: {type: path, option: \"-C\", base: true}}, actions: {run: {args: {path: {type: path, required: true}}}}}
  ruff: {program: ruff, actions: {run: {args: {path: {type: path, required: true}}}}}
scopes: {all: \"**\", secrets: \"**/.env\"}
rules:
  - {id: all, allow: \"*\", within: all}
  - {id: no-secrets, deny: \"*\", touching: secrets}
",
    );
    place.write("src/a.py", "");
    place.write("src/.env", "");
    let work = place.work().display().to_string();
    let told = |words: &[&str]| {
        let words = words.iter().map(|word| word.replace("WORK", &work));
        let end = place.lictor(words.collect::<Vec<_>>()).end();
        let json: serde_json::Value = serde_json::from_str(&end.stdout).unwrap();
        json["instead"].as_str().map(str::to_owned)
    };
    let check = ["--json", "check", "--on-disk", "--dry-run"];
    let of = |rest: &[&str]| told(&[&check, rest].concat());
    let write = |path: &str| Some(format!("write `{path}`"));
    assert_eq!(of(&["--", "cat", "WORK/src/a.py"]), write("src/a.py"));
    assert_eq!(of(&["--", "cat", "WORK"]), write("."));
    assert_eq!(
        of(&["--cwd", "src", "--", "cat", "WORK/src/a.py"]),
        write("a.py")
    );
    assert_eq!(
        of(&["--cwd", "WORK/src", "--", "cat", "a.py"]),
        write("src")
    );
    assert_eq!(of(&["--cwd", "src", "--", "cat", "WORK/b"]), None);
    assert_eq!(of(&["--", "cat", "-C", "src", "WORK/src/a.py"]), None);
    assert_eq!(of(&["--", "cat", "WORK-evil/a.py"]), None);
    assert_eq!(of(&["--", "cat", "/etc/passwd"]), None);
    assert_eq!(
        of(&["--", "ruff", "src"]).as_deref(),
        Some(
            "if `ruff` passes over what git ignores, and git ignores that file, declare `path` with `tree: unignored`"
        )
    );
}

#[test]
fn explain_asks_the_disk_where_it_is_told_to() {
    let place = program::Place::with_policy(
        "version: 1
name: told
tools: {cat: {program: cat, actions: {run: {args: {path: {type: path, required: true}}}}}}
scopes: {all: \"**\"}
rules: [{id: all, allow: \"*\", within: all}]
",
    );
    let explain = |words: &[&str]| {
        let end = place
            .lictor([&["explain"], words, &["--", "cat", "gone"]].concat())
            .end();
        (end.code, end.stdout)
    };
    let (code, text) = explain(&[]);
    assert!(
        code == Some(0) && text.contains("the disk was not asked"),
        "{text}"
    );
    let (code, text) = explain(&["--on-disk"]);
    assert!(
        code == Some(1) && text.starts_with("deny  PATH_NOT_FOUND"),
        "{text}"
    );
}

/// The codes of what lint finds and people are shown.
fn shown(text: &str) -> Vec<(&'static str, String)> {
    let policy = policy(text);
    let report = lictor::lint::run(
        &policy,
        &lictor::lint::Unknown,
        &lictor::lint::Options::default(),
    );
    let found = report.diagnostics.into_iter();
    let found = found.filter(|found| found.level > lictor::lint::Level::Info);
    found.map(|found| (found.code, found.message)).collect()
}

/// A person is shown at most so many findings of a policy.
#[track_caller]
fn few(text: &str, most: usize) {
    let place = program::Place::with_policy(&format!("version: 1\nname: answers\n{text}"));
    for name in ["src/a.py", "docs/a.md", "tests/test_a.py"] {
        place.write(name, "");
    }
    let told = place.lictor(["lint"]).end().stdout;
    let count = told
        .lines()
        .filter(|line| line.starts_with("warning[") || line.starts_with("error["))
        .count();
    assert!(count <= most, "{count}\n{told}");
    let json = place.lictor(["lint", "--format", "json"]).end();
    let all: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert!(all.as_array().unwrap().len() >= count);
}

#[test]
fn a_first_policy_lints_with_no_more_than_a_handful() {
    let first = "use: [lictor/pytest@1, lictor/git@1, lictor/files@1]
scopes:
  tests: \"tests/**\"
  repo: \"**\"
  code: [\"src/**\", \"docs/**\"]
rules:
  - {id: run-tests, allow: pytest.run, within: tests, limits: {timeout: 120s}}
  - {id: look, allow: [git.status, git.diff, git.log], within: repo}
  - {id: read, allow: [filesystem.read_file, filesystem.list_dir], within: repo}
  - {id: edit, allow: [filesystem.write_file, filesystem.edit], within: code}
";
    few(first, 5);
    let with_deny = first.replace(
        "  - {id: look",
        "  - {id: no-secrets, deny: \"*\", touching: secrets}
  - {id: look",
    ).replace(
        "  repo:",
        "  secrets: [\"**/.env*\", \"**/*.pem\", \"**/*.key\", \"**/id_*\", \"**/.ssh/**\", \"**/.aws/**\", \"**/.netrc\", \"**/.npmrc\", \"**/.pypirc\"]
  repo:",
    );
    few(&with_deny, 4);
    let one = "use: lictor/files@1
scopes: {docs: \"docs/**\"}
rules: [{id: read, allow: filesystem.read_file, within: docs}]
";
    few(one, 4);
}

/// The first policy of a document.
fn first_policy(document: &str) -> &str {
    let (_, rest) = document.split_once("```yaml\nversion: 1\n").unwrap();
    let (policy, _) = rest.split_once("```").unwrap();
    policy.split_once('\n').unwrap().1
}

#[test]
fn the_first_policies_of_the_documents_lint_with_next_to_nothing_and_do_what_they_are_for() {
    for (document, most) in [
        (include_str!("../../README.md"), 0),
        // A switch in the environment stands for what a project has; lint says what it is worth.
        (include_str!("../../policy/README.md"), 1),
    ] {
        let policy = first_policy(document);
        few(policy, most);
        let place = program::Place::with_policy(&format!("version: 1\nname: answers\n{policy}"));
        let tested = place.lictor(["test", "--coverage"]).end().ends_with_code(0);
        assert!(tested.stdout.contains("100 % covered"), "{tested:?}");
    }
}

#[test]
fn codes_fire_as_their_text_says() {
    let codes = |text: &str| {
        shown(text)
            .into_iter()
            .map(|(code, _)| code)
            .collect::<Vec<_>>()
    };
    let libraries = codes(
        "use: [lictor/cargo@1, lictor/coreutils@1]
scopes: {all: \"**\"}
rules: [{id: all, allow: [cargo.*, tr.run, cat.run], within: all}]
",
    );
    assert!(!libraries.contains(&"L207"), "{libraries:?}");
    let own = codes(
        "tools: {cat: {program: cat, actions: {run: {args: {n: {type: flag, names: \"-n\", required: true}, path: {type: path}}}}}}
scopes: {all: \"**\"}
rules: [{id: all, allow: cat.run, within: all}]
",
    );
    assert!(!own.contains(&"L207"), "{own:?}");
}
