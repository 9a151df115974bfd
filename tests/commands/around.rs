//! What lies around a policy: which one counts, which programs are trusted, what a run gets for an environment.

use crate::support::need;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use crate::support::program::Place;

const READ_ALL: &str = "version: 1
name: NAME
use: lictor/coreutils@1
scopes: {all: \"**\"}
rules: [{id: r, allow: [cat.run], within: all}]
";

fn mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// Gives a file to another user; false without the right to, which is said.
fn given_away(path: &Path) -> bool {
    let given = chown(path, Some(65_534), Some(65_534));
    if let Err(error) = &given {
        need::lacks("root", error);
    }
    given.is_ok()
}

fn policy_in_force(place: &Place) -> (String, String) {
    let start = place.lictor(["check", "--json", "--dry-run", "--", "cat", "a"]);
    let end = start.current_dir(place.work().join("below")).end();
    let decision = end.json();
    let name = decision["policy"]["name"].as_str().unwrap().to_owned();
    (name, end.stderr)
}

#[test]
fn a_policy_of_somebody_else_further_up_is_passed_over_and_named() {
    let place = Place::new();
    let foreign = place.write("lictor.yaml", READ_ALL.replace("NAME", "foreign"));
    place.write("below/lictor.yaml", READ_ALL.replace("NAME", "own"));
    assert_eq!(policy_in_force(&place).0, "foreign");
    // Its owner's own, and writable by others: nobody can say who wrote it.
    mode(&foreign, 0o666);
    let (name, said) = policy_in_force(&place);
    assert_eq!(name, "default");
    assert!(
        said.contains("others may write to it") && said.contains("lictor.yaml"),
        "{said}"
    );
    mode(&foreign, 0o644);
    if !given_away(&foreign) {
        return;
    }
    let (name, said) = policy_in_force(&place);
    assert_eq!(name, "own");
    assert!(
        said.contains(foreign.to_str().unwrap()) && said.contains("somebody else"),
        "{said}"
    );
}

#[test]
fn a_document_with_odd_characters_is_refused_without_a_panic() {
    for text in [
        "version: 1\nname: x\n\u{feff}rules: []\n",
        "version: \u{feff}1\nname: x\n",
        "version: 1\nname: x\nscopes: {a: [b]}\u{e0001}rules: []\n",
        "version: 1\nname: x\nrules:\n  - {id: \u{1F600}, allow: \u{1F600}}\n\u{1F600}",
    ] {
        let place = Place::with_policy(text);
        for words in [
            &["lint", "lictor.yaml"][..],
            &["lint", "--format", "sarif", "lictor.yaml"],
            &["lint", "--format", "json", "lictor.yaml"],
            &["lint", "--fix", "lictor.yaml"],
            &["check", "--", "cat", "a"],
            &["run", "--", "cat", "a"],
            &["test", "lictor.yaml"],
            &["prove", "lictor.yaml"],
        ] {
            let end = place.lictor(words).end();
            let code = end.code.unwrap();
            assert!(
                (1..=3).contains(&code),
                "{words:?} {text:?}: {code}\n{}",
                end.stderr
            );
        }
    }
}

// Programs.

/// A policy with a tool of its own whose program lies in `bin`, beside the workspace.
fn tool(place: &Place, program_path: &str, rest: &str) {
    let policy = format!(
        "version: 1
name: tools
use: lictor/files@1
tools: {{tool: {{program: tool, actions: {{run: {{}}}}}}}}
defaults: {{program_path: [{program_path}]}}
scopes: {{made: \"made/**\"}}
rules:
  - {{id: t, allow: tool.run}}
{rest}"
    )
    .replace("ROOT", place.root().to_str().unwrap());
    place.write("lictor.yaml", policy);
}

fn script(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
    mode(path, 0o755);
}

/// What a run of the tool is answered with, and what lint says of it.
#[track_caller]
fn check(place: &Place, reason: Option<&str>, words: &str) {
    let decision = place
        .lictor(["check", "--json", "--on-disk", "--", "tool"])
        .end()
        .json();
    let found = decision["reason"].as_str();
    assert_eq!(found, reason, "{decision}");
    let said = decision["message"].as_str().unwrap_or_default();
    assert!(said.contains(words), "{said}");
    let ran = place.lictor(["run", "--", "tool"]).end();
    match reason {
        None => assert_eq!(ran.stdout, "ran\n", "{}", ran.stderr),
        Some(_) => assert!(ran.stdout.is_empty() && ran.code != Some(0), "{ran:?}"),
    }
    let lint = place
        .lictor(["lint", "--format", "compact", "lictor.yaml"])
        .end()
        .stdout;
    let is_trusted = reason != Some("PROGRAM_NOT_TRUSTED");
    assert_eq!(!lint.contains("X303"), is_trusted, "{lint}");
    if !is_trusted {
        assert!(lint.contains(words), "{lint}");
    }
}

#[test]
fn every_directory_of_path_is_judged_with_its_parents() {
    let place = Place::new();
    script(&place.root().join("bin/tool"), "#!/bin/sh\necho ran\n");
    let pub_ = place.root().join("pub");
    std::fs::create_dir(&pub_).unwrap();
    let both = "ROOT/pub, ROOT/bin, /usr/bin, /bin";
    tool(&place, both, "");
    check(&place, None, "");
    // Before or behind the program's own directory: what it starts is looked up in all.
    for path in [
        both,
        "ROOT/bin, /usr/bin, /bin, ROOT/pub",
        "ROOT/pub/absent, ROOT/bin, /usr/bin",
    ] {
        tool(&place, path, "");
        mode(&pub_, 0o777);
        check(&place, Some("PROGRAM_NOT_TRUSTED"), "others may");
        // The sticky bit keeps what is there; anybody may add what is not.
        mode(&pub_, 0o1777);
        check(&place, Some("PROGRAM_NOT_TRUSTED"), "others may");
        mode(&pub_, 0o755);
        check(&place, None, "");
    }
    // Through a link, as /bin is one.
    std::os::unix::fs::symlink("pub", place.root().join("link")).unwrap();
    tool(&place, "ROOT/link, ROOT/bin, /usr/bin, /bin", "");
    check(&place, None, "");
    mode(&pub_, 0o777);
    check(
        &place,
        Some("PROGRAM_NOT_TRUSTED"),
        "others may write to the directory",
    );
    std::fs::remove_file(place.root().join("link")).unwrap();
    std::os::unix::fs::symlink("pub/nothing", place.root().join("link")).unwrap();
    check(&place, Some("PROGRAM_NOT_TRUSTED"), "others may");
    mode(&pub_, 0o755);
    check(&place, None, "");
    if given_away(&pub_) {
        check(&place, Some("PROGRAM_NOT_TRUSTED"), "belongs to user 65534");
    }
}

#[test]
fn a_directory_of_path_that_a_request_may_write_to_is_not_trusted_before_it_exists_either() {
    let place = Place::new();
    script(&place.root().join("bin/tool"), "#!/bin/sh\necho ran\n");
    let write = |scope: &str| {
        format!("  - {{id: w, allow: filesystem.write_file, within: s}}\nscopes: {{s: {scope}}}\n")
    };
    let with = |path: &str, scope: &str| {
        tool(&place, &format!("{path}, ROOT/bin, /usr/bin"), "");
        let text = std::fs::read_to_string(place.work().join("lictor.yaml")).unwrap();
        let text = text.replace("scopes: {made: \"made/**\"}\n", "");
        place.write("lictor.yaml", format!("{text}{}", write(scope)));
    };
    for exists in [false, true] {
        if exists {
            std::fs::create_dir_all(place.work().join("node_modules/.bin")).unwrap();
        }
        for scope in [
            "\"**\"",
            "node_modules/**",
            "\"node_modules/.bin/*\"",
            "\"**/node\"",
            "\"node_modules/.bin/n*e\"",
        ] {
            with("./node_modules/.bin", scope);
            check(&place, Some("PROGRAM_NOT_TRUSTED"), "let");
        }
        for scope in [
            "\"src/**\"",
            "{include: \"**\", exclude: \"node_modules/**\"}",
            "\"node_modules/*/x\"",
        ] {
            with("./node_modules/.bin", scope);
            if scope.contains("*/x") {
                check(&place, Some("PROGRAM_NOT_TRUSTED"), "let");
            } else {
                check(&place, None, "");
            }
        }
    }
}

#[test]
fn the_interpreter_of_a_script_is_judged_like_the_program_also_through_env() {
    let place = Place::new();
    let other = place.root().join("other");
    let interpreter = other.join("shell");
    std::fs::create_dir(&other).unwrap();
    std::os::unix::fs::symlink("/bin/sh", &interpreter).unwrap();
    let root = place.root().to_str().unwrap().to_owned();
    let program = place.root().join("bin/tool");
    tool(&place, "ROOT/bin, /usr/bin, /bin", "");
    for line in [
        format!("#!{root}/other/shell"),
        format!("#! {root}/other/shell -e"),
        format!("#!/usr/bin/env {root}/other/shell"),
        format!("#!/usr/bin/env -S A=b {root}/other/shell -e"),
        format!("#!{root}/bin/inner"),
    ] {
        script(
            &place.root().join("bin/inner"),
            &format!("#!{root}/other/shell\n. \"$1\"\n"),
        );
        script(&program, &format!("{line}\necho ran\n"));
        mode(&other, 0o755);
        check(&place, None, "");
        mode(&other, 0o777);
        check(
            &place,
            Some("PROGRAM_NOT_TRUSTED"),
            "others may write to the directory",
        );
    }
    // By name, in a directory of PATH that is trusted itself.
    mode(&other, 0o755);
    tool(&place, "ROOT/bin, ROOT/other, /usr/bin, /bin", "");
    script(&program, "#!/usr/bin/env shell\necho ran\n");
    check(&place, None, "");
    let own = other.join("own");
    script(&own, "#!/bin/sh\n. \"$1\"\n");
    script(&program, "#!/usr/bin/env own\necho ran\n");
    check(&place, None, "");
    mode(&own, 0o777);
    check(&place, Some("PROGRAM_NOT_TRUSTED"), "others may write to");
    mode(&own, 0o755);
    script(&program, "#!/usr/bin/env absent\necho ran\n");
    check(&place, Some("PROGRAM_NOT_FOUND"), "absent");
    for line in [
        "#!shell",
        "#!/usr/bin/env -S -i own",
        "#!/usr/bin/env -S PATH=/tmp own",
    ] {
        script(&program, &format!("{line}\necho ran\n"));
        check(&place, Some("PROGRAM_NOT_TRUSTED"), "first line");
    }
}

#[test]
fn the_path_that_a_policy_sets_itself_is_judged_as_well() {
    let place = Place::new();
    script(&place.root().join("bin/tool"), "#!/bin/sh\necho ran\n");
    for path in ["ROOT/pub:/usr/bin", "/usr/bin:", "bin:/usr/bin"] {
        tool(&place, "ROOT/bin, /usr/bin", "");
        std::fs::create_dir_all(place.root().join("pub")).unwrap();
        mode(&place.root().join("pub"), 0o777);
        let text = std::fs::read_to_string(place.work().join("lictor.yaml")).unwrap();
        let set = format!("allow: tool.run, env: {{set: {{PATH: \"{path}\"}}}}}}");
        let set = set.replace("ROOT", place.root().to_str().unwrap());
        place.write("lictor.yaml", text.replace("allow: tool.run}", &set));
        let ran = place.lictor(["run", "--", "tool"]).end();
        assert_eq!(
            (ran.code, ran.stdout.as_str()),
            (Some(126), ""),
            "{}",
            ran.stderr
        );
        assert!(ran.stderr.contains("PROGRAM_NOT_TRUSTED"), "{}", ran.stderr);
    }
}

#[test]
fn everyday_program_paths_are_trusted() {
    let place = Place::new();
    script(
        &place.work().join(".venv/bin/tool"),
        "#!/usr/bin/env -S sh -e\necho ran\n",
    );
    std::os::unix::fs::symlink("bin", place.work().join(".venv/scripts")).unwrap();
    // A group with nobody in it, as `staff` on Debian, has /usr/local/bin.
    let local = place.root().join("local");
    std::fs::create_dir(&local).unwrap();
    mode(&local, 0o2775);
    let is_root = chown(&local, None, Some(50)).is_ok();
    let staff = if is_root { "ROOT/local, " } else { "" };
    for path in [
        "./.venv/bin",
        "./.venv/scripts",
        "~/.cargo/bin, ./.venv/bin",
    ] {
        tool(
            &place,
            &format!("{path}, {staff}/usr/local/bin, /usr/bin, /bin, /usr/sbin"),
            "",
        );
        check(&place, None, "");
    }
}

// The environment.

fn with_env(env: &str) -> Place {
    let place = Place::new();
    script(&place.root().join("bin/tool"), "#!/bin/sh\nenv | sort\n");
    tool(&place, "ROOT/bin, /usr/bin, /bin", "");
    let text = std::fs::read_to_string(place.work().join("lictor.yaml")).unwrap();
    place.write(
        "lictor.yaml",
        text.replace(
            "allow: tool.run}",
            &format!("allow: tool.run, env: {env}}}"),
        ),
    );
    place
}

#[test]
fn a_name_that_steers_is_passed_on_only_on_purpose_in_any_case_and_by_any_pattern() {
    for name in [
        "RUSTFMT",
        "PREFIX",
        "Npm_Config_Script_Shell",
        "AWS_CONFIG_FILE",
        "\"AWS_*\"",
        "\"J*\"",
        "\"npm_*\"",
        "https_proxy",
        "MYTOOL_OPTS",
        "GOFLAGS",
    ] {
        let place = with_env(&format!("{{inherit: [{name}]}}"));
        let end = place.lictor(["check", "--", "tool"]).end();
        assert_eq!(end.code, Some(2), "{name}: {end:?}");
        assert!(
            end.stderr.contains("unsafe_inherit"),
            "{name}: {}",
            end.stderr
        );
    }
    let place = with_env("{unsafe_inherit: [RUSTFMT]}");
    let ran = place
        .lictor(["run", "--", "tool"])
        .env("RUSTFMT", "x")
        .end();
    assert!(ran.stdout.contains("RUSTFMT=x\n"), "{ran:?}");
    // What a `*` stands for besides is left out.
    let place = with_env("{inherit: [\"ACME_*\"]}");
    let start = place.lictor(["run", "--", "tool"]).env("ACME_COLOR", "red");
    let ran = start
        .env("ACME_OPTS", "--run")
        .env("ACME_PLUGIN_PATH", "/tmp")
        .end();
    assert!(ran.stdout.contains("ACME_COLOR=red\n"), "{ran:?}");
    assert!(
        !ran.stdout.contains("ACME_OPTS") && !ran.stdout.contains("ACME_PLUGIN"),
        "{ran:?}"
    );
}

#[test]
fn lint_speaks_of_every_name_that_is_not_known_to_be_harmless() {
    let said = |env: &str| {
        let lint = with_env(env)
            .lictor(["lint", "--format", "compact", "lictor.yaml"])
            .end();
        lint.stdout.matches("X307").count()
    };
    assert_eq!(
        said(
            "{inherit: [TERM, LANG, \"LC_*\", CI, SSH_AUTH_SOCK, GITHUB_SHA, NO_COLOR, RUST_LOG]}"
        ),
        0
    );
    assert_eq!(said("{inherit: [GITHUB_TOKEN]}"), 1);
    assert_eq!(said("{inherit: [\"GITHUB_*\"]}"), 1);
    assert_eq!(said("{inherit: [ACME_COLOR]}"), 1);
    assert_eq!(
        said("{set: {LD_PRELOAD: a, PYTEST_ADDOPTS: \"-p evil\", ACME_COLOR: red}}"),
        2
    );
}
