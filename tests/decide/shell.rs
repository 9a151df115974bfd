//! Shell text: what is accepted is read alike by the shells that are installed, everything else is refused.

use crate::support::need;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use lictor::reason::Reason;
use lictor::shell::{Joint, Redirection, Script, parse};
use proptest::prelude::*;
use proptest::sample::select;

#[track_caller]
fn reads(text: &str, directory: Option<&str>, commands: &[&[&str]]) {
    let script = parse(text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
    assert_eq!(script.directory(), directory, "{text:?}");
    let words: Vec<_> = script
        .commands()
        .iter()
        .map(|command| command.words())
        .collect();
    assert_eq!(words, commands, "{text:?}");
}

#[test]
fn an_everyday_text_is_read() {
    reads(
        "cargo test --workspace 2>&1 | tail -50",
        None,
        &[&["cargo", "test", "--workspace"], &["tail", "-50"]],
    );
    reads(
        "cd crates/core && cargo test",
        Some("crates/core"),
        &[&["cargo", "test"]],
    );
    reads("cd 'a b'", Some("a b"), &[]);
    reads(
        "\n git add -A && git commit -m \"wip: don't\"\n",
        None,
        &[
            &["git", "add", "-A"],
            &["git", "commit", "-m", "wip: don't"],
        ],
    );
    reads(
        "rg -g '*.py' -g '!tests/**' \"foo bar\"",
        None,
        &[&["rg", "-g", "*.py", "-g", "!tests/**", "foo bar"]],
    );
    reads(
        "pytest -k 'a or b';ls\nls",
        None,
        &[&["pytest", "-k", "a or b"], &["ls"], &["ls"]],
    );
    reads(
        "git diff HEAD~1 main^2~ HEAD~2..HEAD^ stash@{0} @{u}",
        None,
        &[&[
            "git",
            "diff",
            "HEAD~1",
            "main^2~",
            "HEAD~2..HEAD^",
            "stash@{0}",
            "@{u}",
        ]],
    );
    let patterns = parse("wc -l src/*.py 'a*' b*c").unwrap();
    assert_eq!(patterns.commands()[0].patterns(), [2, 4]);
    reads(
        "echo a\"b\"'c'd '' \"\"",
        None,
        &[&["echo", "abcd", "", ""]],
    );
    reads(
        "git commit -m \"$(cat <<'EOF'\nFix it\n\nIt's `broken` ($HOME), \"so\" \\ there: EOF\n EOF\n\nEOF\n)\" --quiet",
        None,
        &[&[
            "git",
            "commit",
            "-m",
            "Fix it\n\nIt's `broken` ($HOME), \"so\" \\ there: EOF\n EOF",
            "--quiet",
        ]],
    );
    reads(
        "a |\n b &&\n\n c || d;",
        None,
        &[&["a"], &["b"], &["c"], &["d"]],
    );
}

#[test]
fn redirections_keep_their_stream_and_file() {
    let script = parse("a 2>> 'e r' <in | b >&2; c 2>&1 >/dev/null").unwrap();
    let found: Vec<_> = script
        .commands()
        .iter()
        .map(|command| command.redirections())
        .collect();
    let expected: [&[Redirection]; 3] = [
        &[
            Redirection::Error {
                file: "e r".to_owned(),
                append: true,
            },
            Redirection::Read("in".to_owned()),
        ],
        &[Redirection::OutputToError],
        &[
            Redirection::ErrorToOutput,
            Redirection::Output {
                file: "/dev/null".to_owned(),
                append: false,
            },
        ],
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_text_that_shells_may_read_differently_is_refused_where_it_stands() {
    for (text, span) in [
        ("", 0..0),
        (" \n ", 3..3),
        ("ls $HOME", 3..4),
        ("ls \"$HOME\"", 4..5),
        ("ls `id`", 3..4),
        ("ls \"a\\\"b\"", 5..6),
        ("ls a\\ b", 4..5),
        ("ls *.py", 3..4),
        ("ls a**", 5..6),
        ("ls -a*", 5..6),
        ("ls a*'b'", 4..5),
        ("ls 'a'*", 6..7),
        ("a* b", 0..2),
        ("ls > a*", 3..7),
        ("cd a* && ls", 0..5),
        ("ls a~b", 4..5),
        ("ls a=~1", 5..6),
        ("ls a:~1", 5..6),
        ("ls {u}", 3..4),
        ("ls a@{b,c}", 5..6),
        ("ls a@{1..3}", 5..6),
        ("ls @{}", 4..5),
        ("ls ^a", 3..4),
        ("ls ?", 3..4),
        ("ls [ab]", 3..4),
        ("ls {a,b}", 3..4),
        ("(ls)", 0..1),
        ("ls ~/x", 3..4),
        ("ls # x", 3..4),
        ("ls a^b", 4..5),
        ("! ls", 0..1),
        ("ls &", 3..4),
        ("ls & ls", 3..4),
        ("ls &> x", 3..4),
        ("ls |& cat", 3..5),
        ("ls &&& cat", 5..6),
        ("ls ;; cat", 4..5),
        ("; ls", 0..1),
        ("ls && ", 6..6),
        ("ls | | cat", 5..6),
        ("ls && ; cat", 6..7),
        ("ls\n; cat", 3..4),
        ("cat << EOF\nx\nEOF", 4..6),
        ("cat <<< x", 4..6),
        ("cat <> x", 4..6),
        ("ls >| x", 3..5),
        ("ls >! x", 3..5),
        ("ls >& x", 3..5),
        ("ls 2>&1x", 4..6),
        ("ls 1>&2", 4..5),
        ("ls 3> x", 4..5),
        ("ls x>y", 4..5),
        ("ls > x>y", 6..7),
        ("ls <1-5>", 7..8),
        ("ls >", 3..4),
        ("ls > ; x", 3..5),
        ("> x", 0..3),
        ("> x ls", 0..3),
        ("ls > a > b", 7..10),
        ("ls 2>&1 2> x", 8..12),
        ("ls > a | cat", 0..6),
        ("ls | cat < a", 5..12),
        ("A=b ls", 0..3),
        ("1=b ls", 0..3),
        ("'A'=b", 0..5),
        ("ls =cat", 3..7),
        ("ls ''=cat", 3..9),
        ("=ls", 0..3),
        ("- ls", 0..1),
        ("%1", 0..2),
        ("''", 0..2),
        ("'a''b'", 3..4),
        ("ls 'a", 3..5),
        ("ls \"a", 3..5),
        ("if ls", 0..2),
        ("'if' ls", 0..4),
        ("time ls", 0..4),
        ("export A=b", 0..6),
        (". x", 0..1),
        ("ls\r\n", 2..3),
        ("ls \u{0}", 3..4),
        ("ls 'a\u{85}b'", 5..7),
        ("ls \u{fc}", 3..5),
        ("ls; cd x", 4..8),
        ("cd x; ls", 0..4),
        ("cd x\nls", 0..4),
        ("cd x || ls", 0..4),
        ("cd x && ls; ls", 0..4),
        ("cd x | ls", 0..4),
        ("cd && ls", 0..2),
        ("cd - && ls", 0..4),
        ("cd +1 && ls", 0..5),
        ("cd a b && ls", 0..6),
        ("cd '' && ls", 0..5),
        ("cd a > b && ls", 0..8),
        ("cd a && cd b && ls", 8..12),
        ("x \"$(cat <<EOF\nEOF\n)\"", 3..4),
        ("x \"$(cat <<'EOF'\na\nEOF)\"", 2..24),
        ("x \"$(cat <<'EOF'\na\nEOF\n) b\"", 2..23),
        ("x \"$(cat <<'E F'\na\nE F\n)\"", 2..25),
        ("x $(cat <<'EOF'\na\nEOF\n)", 2..3),
    ] {
        let refused = parse(text).expect_err(text);
        assert_eq!(refused.reason(), Reason::ShellUnparsed);
        assert_eq!(refused.span(), span, "{text:?}: {refused}");
        assert!(text.get(span).is_some(), "{text:?}");
    }
    assert!(parse(&format!("ls {}", "a".repeat(16 * 1024))).is_err());
}

/// A program that writes down its name, its arguments and where its streams lead, and succeeds if it is `ok`.
const PRINTER: &str = r#"#!/bin/sh
line=${0##*/}
for word; do line="$line ${#word}:$word"; done
for stream in 0 1 2; do
    place=$(readlink "/proc/$$/fd/$stream")
    case $place in pipe:*) place=pipe ;; esac
    line="$line > $place"
done
printf '%s in %s' "$line" "$(pwd -P)" >"$LOG/$$"
[ "${0##*/}" = ok ]
"#;

/// Programs, and a directory in which commands run and whose files are those that texts name.
struct Bench {
    root: tempfile::TempDir,
}

impl Bench {
    fn new() -> Bench {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("bin")).unwrap();
        for name in ["ok", "no"] {
            let path = root.path().join("bin").join(name);
            fs::write(&path, PRINTER).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        Bench { root }
    }

    fn path(&self, name: &str) -> String {
        self.root
            .path()
            .canonicalize()
            .unwrap()
            .join(name)
            .to_str()
            .unwrap()
            .to_owned()
    }

    /// What the commands of a text wrote down when this shell ran it, sorted.
    fn run(&self, shell: &[&str], text: &str) -> Vec<String> {
        for directory in ["log", "work"] {
            let _ = fs::remove_dir_all(self.path(directory));
            fs::create_dir(self.path(directory)).unwrap();
        }
        fs::create_dir(self.path("work/d")).unwrap();
        for name in ["in", "out", "err", "work/f", "work/d/f"] {
            fs::write(self.path(name), "").unwrap();
        }
        let open = |name: &str| {
            fs::OpenOptions::new()
                .append(true)
                .open(self.path(name))
                .unwrap()
        };
        let (shell, options) = shell.split_first().unwrap();
        Command::new(shell)
            .args(options)
            .args(["-c", text])
            .env_clear()
            .env("PATH", format!("{}:/usr/bin:/bin", self.path("bin")))
            .env("LOG", self.path("log"))
            .env("LC_ALL", "C.UTF-8")
            .current_dir(self.path("work"))
            .stdin(Stdio::from(fs::File::open(self.path("in")).unwrap()))
            .stdout(Stdio::from(open("out")))
            .stderr(Stdio::from(open("err")))
            .status()
            .unwrap();
        let mut lines: Vec<String> = fs::read_dir(self.path("log"))
            .unwrap()
            .map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap())
            .collect();
        lines.sort();
        lines
    }

    /// What a shell has to do with a text that is read like this, sorted as [`Bench::run`] does.
    fn expected(&self, script: &Script) -> Vec<String> {
        let place = script.directory().map_or_else(
            || self.path("work"),
            |directory| self.path(&format!("work/{}", directory.trim_start_matches("./"))),
        );
        let commands = script.commands();
        let mut lines = Vec::new();
        let mut succeeded = true;
        let mut runs = true;
        for (at, command) in commands.iter().enumerate() {
            let is_piped = commands
                .get(at.saturating_add(1))
                .is_some_and(|next| next.joint() == Joint::Pipe);
            runs = match command.joint() {
                Joint::Then => true,
                Joint::And => succeeded,
                Joint::Or => !succeeded,
                Joint::Pipe => runs,
            };
            if !runs {
                continue;
            }
            let input = if command.joint() == Joint::Pipe {
                "pipe".to_owned()
            } else {
                self.path("in")
            };
            let output = if is_piped {
                "pipe".to_owned()
            } else {
                self.path("out")
            };
            let mut streams = [input, output, self.path("err")];
            let named = |file: &str| {
                if file.starts_with('/') {
                    file.to_owned()
                } else {
                    format!("{place}/{file}")
                }
            };
            for redirection in command.redirections() {
                match redirection {
                    Redirection::Read(file) => streams[0] = named(file),
                    Redirection::Output { file, .. } => streams[1] = named(file),
                    Redirection::Error { file, .. } => streams[2] = named(file),
                    Redirection::ErrorToOutput => streams[2] = streams[1].clone(),
                    Redirection::OutputToError => streams[1] = streams[2].clone(),
                }
            }
            let (name, words) = command.words().split_first().unwrap();
            let mut line = name.clone();
            for word in words {
                line.push_str(&format!(" {}:{word}", word.len()));
            }
            for stream in streams {
                line.push_str(&format!(" > {stream}"));
            }
            line.push_str(&format!(" in {place}"));
            lines.push(line);
            if !is_piped {
                succeeded = name == "ok";
            }
        }
        lines.sort();
        lines
    }
}

/// The shells that are installed, of those that read an accepted text as it is read here.
fn shells() -> Vec<&'static [&'static str]> {
    let all: [&[&str]; 6] = [
        &["bash"],
        &["bash", "--posix"],
        &["dash"],
        &["zsh", "-f"],
        &["busybox", "sh"],
        &["mksh"],
    ];
    let (installed, missing): (Vec<_>, Vec<_>) = all.into_iter().partition(|shell| {
        ["/usr/bin", "/bin"]
            .iter()
            .any(|directory| Path::new(directory).join(shell[0]).exists())
    });
    if !missing.is_empty() {
        need::lacks("shells", format!("{missing:?}"));
    }
    assert!(!installed.is_empty(), "no shell is installed");
    installed
}

/// A piece of a text: accepted, or tempting.
fn piece() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        6 => select(vec!["ok", "no", "ok", "no", "ok a", "no b=c"]),
        4 => select(vec![" ", "\t", "\n", "  "]),
        6 => select(vec![" && ", " || ", ";", " | ", "|", "&&", "||", "\n", " ;\n", " |\n", " &&\n"]),
        4 => select(vec![" a", " 'b c'", " \"d e\"", " ''", " \"\"", "'x'", "\"y\"", "z", " -n", " --a=b", " a:b", " %1", " +x", " @", " a,b", " 2", " HEAD~1", " m^2~", " a@{u}", " @{-1}", "~2", "^", " x~1..y^"]),
        3 => select(vec![" > f", " >>f", " 2> f", " 2>>d/f", " < f", " 2>&1", " >&2", " >/dev/null", " 2>/dev/null"]),
        1 => select(vec!["cd d && ", "cd d;", "cd d\n", "cd ./d && "]),
        2 => select(vec![
            " 'a\n$x `y` \\ ! \"'", " \"it's\n*?[a]{b,c}~#^()<>|&;\"", " 'ü\u{200d}'", " \"$(cat <<'EOF'\nit's (a \"b\" `c` $d \\ ) !\n\nEOF\n)\"",
            " \"$(cat <<'E'\nE\n)\"", " \"$(cat <<'E'\n)\"\nE\n)\"", " \"$(cat <<'E'\ncase x in x) ;; esac # '\nE\n)\"",
        ]),
        1 => select(vec!["=", "-", "%", "!", "#", "~", "{a,b}", "*", "$x", "\\", "`", "(", ")", "&", "<1-5>", "3>f", "2", "1", ">", "<", "'", "\"", "^", "<<", "&>f", "|&", ";;"]),
    ]
}

fn is_comparable(script: &Script) -> bool {
    let known = |file: &str| matches!(file, "f" | "d/f" | "/dev/null");
    script
        .directory()
        .is_none_or(|directory| matches!(directory, "d" | "./d"))
        && script.commands().iter().all(|command| {
            matches!(command.words()[0].as_str(), "ok" | "no")
                && command.patterns().is_empty()
                && command
                    .redirections()
                    .iter()
                    .all(|redirection| match redirection {
                        Redirection::Read(file)
                        | Redirection::Output { file, .. }
                        | Redirection::Error { file, .. } => {
                            known(file) && (script.directory().is_none() || file != "d/f")
                        }
                        Redirection::ErrorToOutput | Redirection::OutputToError => true,
                    })
        })
}

#[test]
fn every_shell_runs_the_commands_that_were_read() {
    let bench = Bench::new();
    let shells = shells();
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        failure_persistence: None,
        // Texts that say something, of which about one in ten is.
        cases: 30,
        max_global_rejects: 100_000,
        ..ProptestConfig::default()
    });
    runner
        .run(&prop::collection::vec(piece(), 1..10), |pieces| {
            let text = pieces.concat();
            let script = parse(&text).ok().filter(is_comparable);
            prop_assume!(script.is_some());
            let script = script.unwrap();
            let expected = bench.expected(&script);
            for shell in &shells {
                prop_assert_eq!(
                    &bench.run(shell, &text),
                    &expected,
                    "{:?} {:?}",
                    shell,
                    text
                );
            }
            Ok(())
        })
        .unwrap();
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_with_a_place_in_it(text in prop_oneof![
        "[ -~\n\t]{0,40}",
        any::<String>(),
        prop::collection::vec(piece(), 0..12).prop_map(|pieces| pieces.concat()),
    ]) {
        match parse(&text) {
            Ok(script) => prop_assert!(script.commands().iter().all(|command| !command.words().is_empty())),
            Err(refused) => prop_assert!(text.get(refused.span()).is_some()),
        }
    }
}
