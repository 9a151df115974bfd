//! What is skipped because git ignores it is ignored by git, and not shown by ripgrep either, whatever
//! stands in the ignore files.
//!
//! The other direction does not hold and is not promised: what is not skipped is looked at.
//!
//! Compared is the ripgrep that is installed. By hand, with the same tests: 13.0.0, 14.1.1 and 15.1.0. They differ: for 14.1.1 a
//! `\r` at the end of a file without a line break is a part of the pattern.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use lictor::decision::{Context, Effect, Request, decide};
use lictor::policy::CompiledPolicy;
use lictor::resolve::{Workspace, resolve_paths};
use proptest::prelude::*;

/// The files of the tree.
const FILES: [&str; 14] = [
    ".env",
    "b.key",
    "zz",
    "a b",
    "aéc",
    "config/prod.key",
    "target/x.key",
    "sub/.env",
    "sub/b.key",
    "sub/zz",
    "sub/config/prod.key",
    "sub/target/y.env",
    "sub/deep/.env",
    "sub/deep/er/b.key",
];

/// For each file an action that is denied only for it.
static POLICY: LazyLock<CompiledPolicy> = LazyLock::new(|| {
    let mut text = "version: 1\nname: ignored\ntools:\n  look:\n    actions:\n".to_owned();
    let mut scopes = "scopes:\n  all: \"**\"\n".to_owned();
    let mut rules = "rules:\n  - {id: all, allow: \"*\", within: all}\n".to_owned();
    for (nth, file) in FILES.iter().enumerate() {
        text += &format!("      a{nth}: {{args: {{path: {{type: path, tree: unignored}}}}}}\n");
        scopes += &format!("  s{nth}: \"{file}\"\n");
        rules += &format!("  - {{id: r{nth}, deny: look.a{nth}, touching: s{nth}}}\n");
    }
    CompiledPolicy::from_yaml(&format!("{text}{scopes}{rules}")).unwrap()
});

struct Tree {
    _place: tempfile::TempDir,
    root: PathBuf,
    workspace: Workspace,
}

impl Tree {
    fn new() -> Tree {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().canonicalize().unwrap().join("work");
        for file in FILES {
            let file = root.join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "x").unwrap();
        }
        let tree = Tree {
            workspace: Workspace::open_root(&root).unwrap(),
            root,
            _place: place,
        };
        assert!(
            tree.command("git")
                .args(["init", "-q"])
                .status()
                .unwrap()
                .success()
        );
        tree
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(&self.root)
            .env("HOME", self.root.parent().unwrap())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env_remove("XDG_CONFIG_HOME");
        command
    }

    /// The files that are skipped when this directory is looked through.
    fn skipped(&self, directory: &str) -> Vec<&'static str> {
        let context = Context::new("test");
        let is_skipped = |nth: usize| {
            let request = Request::named("look", format!("a{nth}")).with_arg("path", directory);
            let decision = decide(&POLICY, &request, &context);
            let decision = resolve_paths(&POLICY, decision, &context, &self.workspace);
            decision.effect() == Effect::Allow
        };
        let below = |file: &str| directory == "." || file.starts_with(&format!("{directory}/"));
        let files = FILES.iter().enumerate();
        files
            .filter(|(nth, file)| below(file) && is_skipped(*nth))
            .map(|(_, file)| *file)
            .collect()
    }

    fn ignored_by_git(&self) -> Vec<String> {
        let mut git = self
            .command("git")
            .args(["check-ignore", "--no-index", "--stdin", "-z"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = git.stdin.take().unwrap();
        stdin.write_all(FILES.join("\0").as_bytes()).unwrap();
        drop(stdin);
        lines(&git.wait_with_output().unwrap().stdout)
    }

    fn shown_by_ripgrep(&self, operand: Option<&str>, from: &Path) -> Vec<String> {
        let fixed = [
            "--files",
            "--null",
            "--hidden",
            "--no-config",
            "--no-ignore-dot",
        ];
        let output = self
            .command("rg")
            .args(fixed)
            .args(["--no-require-git", "--glob=!.git"])
            .args(operand)
            .current_dir(from)
            .output()
            .unwrap();
        lines(&output.stdout)
    }
}

fn lines(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let names = text.split('\0').filter(|name| !name.is_empty());
    names
        .map(|name| name.trim_start_matches("./").to_owned())
        .collect()
}

/// Lines that git and ripgrep read alike and lines that they do not.
fn text() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        ".env",
        "*.key",
        "b.key",
        "config",
        "target",
        "sub",
        "deep",
        "prod",
        "zz",
        "*",
        "?",
        "**",
        "a",
        "é",
        "{",
        "}",
        ",",
        "[",
        "]",
        "!",
        "\\",
        " ",
        "\t",
        "\u{a0}",
        "\u{b}",
        "\u{c}",
        "\u{3000}",
        "\r",
        "\0",
        "\u{feff}",
        "#",
        ".",
        "[[:punct:]]",
        "[!a]",
    ]);
    let plain = prop::sample::select(vec![
        ".env", "*.key", "config", "target", "sub", "deep", "zz", "*", "**", "b.key", "?.key", "z?",
    ]);
    let plain = prop::collection::vec(plain, 1..4).prop_map(|pieces| pieces.join("/"));
    let odd = prop::collection::vec(piece, 1..5).prop_map(|pieces| pieces.concat());
    let body = prop_oneof![5 => plain, 1 => odd];
    // Mostly nothing, so that much is understood.
    let edge = |often: &'static [&'static str], seldom: &'static [&'static str]| {
        prop_oneof![
            8 => Just(""),
            4 => prop::sample::select(often),
            1 => prop::sample::select(seldom),
        ]
    };
    let line = (
        edge(&["!", "/", "**/"], &["!/", "\u{feff}", "#", "\\!"]),
        body,
        edge(
            &["/", "/**", "/*", "\r"],
            &[" ", "\t", "\r\r", "\\ ", "\0", "\u{a0}"],
        ),
    )
        .prop_map(|(start, body, end)| format!("{start}{body}{end}"));
    prop::collection::vec(line, 0..5).prop_map(|lines| lines.join("\n"))
}

#[test]
fn what_is_skipped_is_ignored_by_git_and_by_ripgrep() {
    let tree = Tree::new();
    let has_ripgrep = Command::new("rg").arg("--version").output().is_ok();
    if !has_ripgrep {
        println!("not compared with ripgrep: it is not installed");
    }
    let skipped_of_all = std::cell::Cell::new(0_usize);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: std::env::var("PROPTEST_CASES").map_or(200, |cases| cases.parse().unwrap()),
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let texts = (text(), prop::option::of(text()), prop::option::of(text()));
    runner
        .run(&texts, |(top, sub, deep)| {
            for (place, text) in [("", Some(top)), ("sub", sub), ("sub/deep", deep)] {
                let file = tree.root.join(place).join(".gitignore");
                match text {
                    Some(text) => fs::write(file, text).unwrap(),
                    None => drop(fs::remove_file(file)),
                }
            }
            let ignored = tree.ignored_by_git();
            for directory in [".", "sub", "sub/deep"] {
                let skipped = tree.skipped(directory);
                skipped_of_all.set(skipped_of_all.get() + skipped.len());
                for file in &skipped {
                    prop_assert!(
                        ignored.iter().any(|name| name == file),
                        "git shows {}",
                        file
                    );
                }
                if !has_ripgrep {
                    continue;
                }
                let named = (directory != ".").then_some(directory);
                let mut shown = tree.shown_by_ripgrep(named, &tree.root);
                let from = tree.root.join(directory);
                let inside = tree.shown_by_ripgrep(None, &from);
                shown.extend(inside.iter().map(|name| match named {
                    Some(directory) => format!("{directory}/{name}"),
                    None => name.clone(),
                }));
                for file in &skipped {
                    prop_assert!(
                        !shown.iter().any(|name| name == file),
                        "ripgrep shows {}",
                        file
                    );
                }
            }
            Ok(())
        })
        .unwrap();
    assert!(skipped_of_all.get() > 300, "{}", skipped_of_all.get());
}

#[test]
fn ordinary_ignore_files_are_understood() {
    let tree = Tree::new();
    let check = |text: &str, skipped: &[&str]| {
        fs::write(tree.root.join(".gitignore"), text).unwrap();
        assert_eq!(tree.skipped("."), skipped, "{text:?}");
    };
    check(
        "# Byte-compiled\n__pycache__/\n*.py[cod]\n.env\n",
        &[".env", "sub/.env", "sub/deep/.env"],
    );
    check("/target\r\nnode_modules/\r\n", &["target/x.key"]);
    check(".env\n!sub/.env\n", &[".env", "sub/deep/.env"]);
    check(
        ".env*\n!.env.example\n*.key\n!b.key",
        &[
            ".env",
            "config/prod.key",
            "target/x.key",
            "sub/.env",
            "sub/config/prod.key",
            "sub/deep/.env",
        ],
    );
    check(
        "sub/\n",
        &[
            "sub/.env",
            "sub/b.key",
            "sub/zz",
            "sub/config/prod.key",
            "sub/target/y.env",
            "sub/deep/.env",
            "sub/deep/er/b.key",
        ],
    );
    // Takes something back in, and readers differ about what.
    check(".env\n![.]env\n", &[]);
}

#[test]
fn nothing_is_ignored_where_another_tool_would_look_with_other_eyes() {
    for name in [".rgignore", ".ignore", ".jj", ".hg", ".git"] {
        let tree = Tree::new();
        fs::write(tree.root.join(".gitignore"), ".env\n").unwrap();
        assert_eq!(tree.skipped("sub"), ["sub/.env", "sub/deep/.env"]);
        fs::write(tree.root.join("sub").join(name), "!.env\n").unwrap();
        assert!(tree.skipped("sub").is_empty(), "{name}");
        assert!(tree.skipped("sub/deep").is_empty(), "{name}");
    }
}
