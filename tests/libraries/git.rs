//! The library and the preset for git, with the real program: what the repository's own configuration wants to
//! run does not run, what names an object names a commit, and a day of ordinary work asks for nothing.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::git::{OPEN, sh};
use crate::support::program::Place;
use lictor::decision::{Context, Request, decide};
use lictor::policy::CompiledPolicy;
use proptest::prelude::*;

/// The gits of this machine, of different versions.
fn gits() -> Vec<PathBuf> {
    let mut found: Vec<(String, PathBuf)> = Vec::new();
    for path in ["git", "/usr/local/bin/git", "/usr/bin/git"] {
        let Ok(output) = Command::new(path).arg("--version").output() else {
            continue;
        };
        let version = String::from_utf8_lossy(&output.stdout).into_owned();
        if found.iter().all(|(known, _)| *known != version) {
            found.push((version, path.into()));
        }
    }
    assert!(!found.is_empty(), "these tests need git");
    found.into_iter().map(|(_, path)| path).collect()
}

/// Words set apart by blanks; `'several words'` are one.
fn words(line: &str) -> Vec<String> {
    let pieces = line.split('\'').enumerate();
    let words = pieces.flat_map(|(nth, piece)| match nth % 2 {
        1 => vec![piece.to_owned()],
        _ => piece.split_whitespace().map(str::to_owned).collect(),
    });
    words.collect()
}

/// Runs the line as it is decided, without asking the disk.
fn run(policy: &CompiledPolicy, git: &Path, directory: &Path, line: &str) -> (String, Output) {
    run_behind(&[], policy, git, directory, line)
}

fn run_behind(
    before: &[&OsStr],
    policy: &CompiledPolicy,
    git: &Path,
    directory: &Path,
    line: &str,
) -> (String, Output) {
    let decision = decide(
        policy,
        &Request::argv(words(line)),
        &Context::new("test").with_approval("person"),
    );
    let Some(argv) = decision.argv() else {
        panic!("{line}: {}", decision.message());
    };
    let mut all = before.iter().copied().chain([git.as_os_str()]);
    let mut command = Command::new(all.next().unwrap());
    command.args(all).args(argv.iter().skip(1));
    command.current_dir(directory);
    command.env_clear().env("HOME", directory.join("no-home"));
    command.env("PATH", std::env::var_os("PATH").unwrap());
    for (name, value) in &decision.terms().unwrap().env.set {
        command.env(name, value);
    }
    let asked = &decision.to_json()["request"]["action"];
    let output = command.stdin(std::process::Stdio::null()).output().unwrap();
    (asked.as_str().unwrap().to_owned(), output)
}

/// A line for each action that only looks, and more where options could start something.
const LOOKS: &[&str] = &[
    "git status",
    "git status --short",
    "git status --ignored",
    "git status --porcelain=v2 --branch --show-stash",
    "git diff",
    "git diff --cached",
    "git diff HEAD~1",
    "git diff --check --word-diff",
    "git diff -- src/sub",
    "git diff --stat HEAD~1",
    "git diff --raw",
    "git diff --stat -p HEAD~1",
    "git log -5",
    "git log --oneline --stat --all --graph",
    "git log '--format=%h %s %(trailers)' --follow -- src/a.py",
    "git log -p -3",
    "git log -Sprint",
    "git log -Gpr.nt",
    "git show",
    "git show v1a",
    "git show --stat HEAD~1",
    "git show -p --name-only HEAD~1",
    "git blame src/a.py",
    "git blame HEAD -- src/a.py",
    "git grep -n print",
    "git grep print HEAD -- src",
    "git ls-files -s",
    "git ls-files -m",
    "git ls-files -o --exclude-standard",
    "git branch -avv",
    "git branch --contains HEAD",
    "git branch --list 'f*'",
    "git branch --merged",
    "git tag -n",
    "git tag -l 'v*'",
    "git remote -v",
    "git remote get-url origin",
    "git stash list",
    "git stash show",
    "git stash show --name-only",
    "git worktree list",
    "git reflog -3",
    "git rev-parse HEAD",
    "git rev-list --count HEAD",
    "git merge-base main feature",
    "git describe --tags",
    "git shortlog -s HEAD",
    "git version",
];

/// And for each that changes something.
const CHANGES: &[&str] = &[
    "git add src/a.py",
    "git add -A",
    "git add -n .",
    "git commit -m x",
    "git commit --dry-run -m x",
    "git commit -am x",
    "git commit -m x src/a.py",
    "git commit --amend --no-edit",
    "git commit -a --amend --no-edit",
    "git switch -c f2",
    "git checkout -- src/a.py",
    "git restore src/a.py",
    "git restore src",
    "git restore --staged .",
    "git rm -q src/d.txt",
    "git rm --cached -q src/d.txt",
    "git mv src/d.txt src/e.txt",
    "git fetch",
    "git fetch origin more",
    "git push origin main",
    "git tag -a v1.2.3 -m x",
    "git reset",
    "git reset --soft HEAD~1",
];

/// And for each that writes what nobody can name. What becomes of it depends on the tree that it finds.
const REWRITES: &[&str] = &[
    "git stash",
    "git stash push -u -m x",
    "git stash pop",
    "git stash apply stash@{0}",
    "git switch feature",
    "git merge feature",
    "git merge --no-ff -m x feature",
    "git merge --abort",
    "git rebase feature",
    "git rebase --onto feature HEAD~1",
    "git rebase --abort",
    "git cherry-pick feature",
    "git cherry-pick --abort",
    "git revert --no-edit HEAD",
    "git reset --hard HEAD~1",
    "git pull origin more",
];

/// Actions that run hooks: they are there to look at what is committed and pushed.
const WITH_HOOKS: &[&str] = &[
    "commit",
    "commit-all",
    "commit-paths",
    "amend",
    "amend-all",
    "push",
];

/// Actions that reach another repository, by what the configuration names for it.
const REMOTE: &[&str] = &["fetch", "fetch-branch", "push", "pull"];

/// What started programs began with, one word list each, without the program that was asked for. None without
/// strace.
fn started(trace: &Path) -> Vec<String> {
    let mut all = Vec::new();
    for file in fs::read_dir(trace).unwrap() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        let calls = text.lines().filter(|line| line.contains("execve"));
        let done = calls.filter(|line| line.ends_with("= 0"));
        all.extend(done.filter_map(|line| {
            let words = line.split_once('[')?.1.split_once(']')?.0;
            Some(words.replace("\", \"", " ").replace('"', ""))
        }));
    }
    all
}

#[test]
fn nothing_that_the_repository_configures_runs_but_what_an_action_is_for() {
    let policy = CompiledPolicy::from_yaml(OPEN).unwrap();
    let place = tempfile::tempdir().unwrap();
    let root = place.path().canonicalize().unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/libraries/hostile.sh");
    let made = Command::new("sh").arg(script).arg(&root).output().unwrap();
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    sh(&root, "cp -a ws kept && cp -a up up-kept");
    let traces = Command::new("strace").arg("-V").output().is_ok();
    if !traces {
        eprintln!(
            "strace is not installed: only what leaves a mark is seen, not every program that starts"
        );
    }
    let (mark, trace) = (root.join("mark"), root.join("trace"));
    let hooks = format!("{}/hooks/", root.display());
    let ssh = format!("{}/bin/ssh", root.display());
    let output = root.join("trace/of");
    let strace = [
        "strace",
        "-ff",
        "-qq",
        "-s",
        "500",
        "-e",
        "trace=execve,execveat",
        "-o",
    ];
    let strace: Vec<&OsStr> = strace
        .iter()
        .map(OsStr::new)
        .chain([output.as_os_str()])
        .collect();
    let before: &[&OsStr] = if traces { &strace } else { &[] };
    let (mut seen, mut wrong) = (BTreeSet::new(), Vec::new());
    for git in gits() {
        let git_name = git.display().to_string();
        let is_remote = |line: &str| {
            ["git fetch", "git push", "git pull"]
                .iter()
                .any(|name| line.contains(name))
        };
        let reaching = CHANGES
            .iter()
            .chain(REWRITES)
            .filter(|line| is_remote(line));
        let lines = LOOKS
            .iter()
            .chain(CHANGES)
            .chain(REWRITES)
            .map(|line| (line, false));
        let mut is_fresh = false;
        for (line, reaches) in lines.chain(reaching.map(|line| (line, true))) {
            let is_remote = is_remote(line);
            if !is_fresh || CHANGES.contains(line) || REWRITES.contains(line) {
                // Git from 2.43 can sort by signatures.
                let script = format!(
                    "rm -rf ws up && cp -a kept ws && cp -a up-kept up && cd ws
                     if {git_name} for-each-ref --format='%(signature)' refs/none 2>/dev/null; then
                     git config tag.sort signature; git config branch.sort signature; fi"
                );
                sh(&root, &script);
                is_fresh = true;
            }
            sh(&root, "rm -rf mark trace && mkdir trace");
            if reaches {
                sh(
                    &root.join("ws"),
                    "for file in .git/config .git/config.worktree; do
                     for key in vcs promisor partialclonefilter; do git config -f $file --unset remote.origin.$key; done; done
                     git config --unset extensions.partialClone
                     git config remote.origin.url ssh://localhost/up
                     git update-ref HEAD $(git commit-tree -p HEAD -m ours HEAD^{tree})
                     cd ../up && git branch -q more $(git commit-tree -p HEAD -m theirs HEAD^{tree})",
                );
                sh(&root, "rm -f mark");
            }
            let (action, output) = run_behind(before, &policy, &git, &root.join("ws"), line);
            let marks = fs::read_to_string(&mark).unwrap_or_default();
            let permitted = |mark: &&str| match *mark {
                "hook" => WITH_HOOKS.contains(&action.as_str()),
                "core.sshCommand" => REMOTE.contains(&action.as_str()),
                // What merges does so as the repository says; the library's head says that.
                "merge.e.driver" => REWRITES.contains(line),
                _ => false,
            };
            let marks: BTreeSet<&str> = marks.lines().filter(|mark| !permitted(mark)).collect();
            let told = String::from_utf8_lossy(&output.stderr).into_owned();
            let is_odd =
                !REWRITES.contains(line) && output.status.success() != (!is_remote || reaches);
            if !marks.is_empty() || is_odd {
                wrong.push(format!(
                    "{git_name} {line} [{action}]: {marks:?} {}\n{told}",
                    output.status
                ));
            }
            let is_expected = |words: &&String| {
                let mut words = words.split(' ');
                let program = words.next().unwrap_or_default();
                let is_git = program == "git" || program.ends_with("/git");
                let (has_hooks, is_remote) = (WITH_HOOKS.contains(&&*action), reaches);
                match program {
                    // The one that was asked for, and git's own way to list stashes and to look into submodules,
                    // whose configuration is held to the same as the repository's.
                    _ if is_git => {
                        has_hooks
                            || is_remote
                            || matches!(words.next(), Some("--no-pager" | "log"))
                            || action == "add"
                            || REWRITES.contains(line)
                    }
                    "cat" => has_hooks,
                    "env" => is_remote,
                    _ if program.starts_with(&*hooks) => has_hooks,
                    _ => is_remote && program == ssh,
                }
            };
            let started = started(&trace);
            assert_eq!(started.is_empty(), !traces, "{line}");
            let odd: Vec<_> = started.iter().filter(|words| !is_expected(words)).collect();
            if !odd.is_empty() {
                wrong.push(format!("{git_name} {line} [{action}] started {odd:?}"));
            }
            if reaches {
                let came = sh(
                    &root,
                    "cat ws/.git/FETCH_HEAD 2>/dev/null || :; git -C up log -1 --format=%s main",
                );
                assert!(came.contains("more") || came == "ours\n", "{line}: {came}");
            }
            // Nor is a file shown that only the configuration names.
            let shown = String::from_utf8_lossy(&output.stdout);
            if shown.contains("root:x:") || told.contains("root:x:") {
                wrong.push(format!("{line}: {shown}{told}"));
            }
            seen.insert(action);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let tools = policy.tools();
    let git = tools.iter().find(|tool| tool.name == "git").unwrap();
    let missing: Vec<_> = git
        .actions
        .iter()
        .filter(|action| !seen.contains(&action.name))
        .collect();
    assert!(missing.is_empty(), "no line for {missing:?}");
}

/// The shipped preset, unchanged, in a repository of the usual kind.
fn repository() -> Place {
    let preset = fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/policy/presets/git.yaml"
    ));
    let place = Place::with_policy(&preset.unwrap());
    place.write("src/a.py", "print(1)\n");
    place.write("src/id_generator.py", "ids = []\n");
    place.write("tests/test_a.py", "def test_a(): pass\n");
    place.write("README.md", "read me\n");
    place.write(".env.example", "TOKEN=\n");
    place.write(".github/workflows/ci.yml", "on: push\n");
    place.write(".gitignore", "/build/\n.env\n");
    place.write(".env", "TOKEN=hidden\n");
    place.write("build/out.pem", "hidden\n");
    sh(
        &place.work(),
        "git init -q -b main . && git config user.email a@example.org && git config user.name a
         git add -A && git commit -qm one && git tag v1 && echo 'print(2)' >> src/a.py && git commit -qam two
         echo kept >> README.md && git stash -q",
    );
    place
}

#[track_caller]
fn answer(place: &Place, line: &str) -> (i32, String) {
    let line = words(line);
    let args = ["run", "--"].into_iter().map(str::to_owned).chain(line);
    let answer = place.lictor(args).end();
    (
        answer.code.unwrap(),
        format!("{}{}", answer.stdout, answer.stderr),
    )
}

/// What an agent writes in the course of a day, the answer, and what it leaves behind.
#[test]
fn a_day_of_ordinary_work_under_the_preset_asks_for_nothing_it_should_not() {
    let place = repository();
    let day: &[(&str, &str)] = &[
        ("git status", "allow"),
        ("git status -sb", "allow"),
        ("git log --oneline -10", "allow"),
        ("git log --graph --oneline --all -20", "allow"),
        ("git log -p -1", "allow"),
        ("git log -Sprint --oneline -- src", "allow"),
        ("git log --oneline -- .env", "allow"),
        ("git show HEAD --stat", "allow"),
        ("git show", "allow"),
        ("git show --stat -p", "allow"),
        ("git diff -p --stat HEAD~1", "allow"),
        ("git grep -rn print -- src", "allow"),
        ("git status src", "allow"),
        ("git show v1", "allow"),
        ("git blame -L 1,2 src/a.py", "allow"),
        ("git grep -n print", "allow"),
        ("git grep -n print -- src", "allow"),
        ("git ls-files", "allow"),
        ("git branch --show-current", "allow"),
        ("git branch -a --contains HEAD", "allow"),
        ("git branch --merged", "allow"),
        ("git tag -l 'v1*'", "allow"),
        ("git stash list", "allow"),
        ("git remote -v", "allow"),
        ("git rev-parse --short HEAD", "allow"),
        ("git rev-list --count HEAD", "allow"),
        ("git merge-base main HEAD", "allow"),
        ("git describe --tags", "allow"),
        ("git switch -c feature/x", "allow"),
        (
            "sh: echo 'print(3)' >> src/a.py && echo 'y = 1' > src/b.py",
            "",
        ),
        ("git diff", "allow"),
        ("git diff --stat HEAD~1 -- src", "allow"),
        ("git diff --name-only", "allow"),
        ("git -C src diff -- a.py", "allow"),
        ("git add src/a.py src/b.py", "allow"),
        ("git diff --cached", "allow"),
        ("git commit -m 'Add the thing'", "allow"),
        (
            "sh: echo 'y = 2' > src/b.py && echo x > tests/test_b.py",
            "",
        ),
        ("git add -A", "allow"),
        ("git restore --staged .", "allow"),
        ("git add .", "allow"),
        ("git restore --staged tests/test_b.py", "allow"),
        ("git commit --amend --no-edit", "allow"),
        (
            "sh: echo 'y = 3' > src/b.py && echo on: pull >> .github/workflows/ci.yml",
            "",
        ),
        ("git commit -am 'Change y'", "allow"),
        (
            "sh: echo on: x >> .github/workflows/ci.yml && git add .github",
            "",
        ),
        ("git restore --staged .github/workflows/ci.yml", "allow"),
        // The workflow is not among what is worked on.
        ("git restore .github/workflows/ci.yml", "deny"),
        ("sh: git checkout -q .github && echo 'y = 4' > src/b.py", ""),
        ("git commit -m 'Change y again' src/b.py", "allow"),
        ("sh: echo 'y = 5' > src/b.py", ""),
        ("git restore src/b.py", "allow"),
        ("sh: echo 'y = 6' > src/b.py", ""),
        ("git checkout -- src", "allow"),
        ("git mv src/b.py src/c.py", "allow"),
        ("git rm -q --cached README.md", "allow"),
        ("git restore --staged README.md", "allow"),
        ("git rm -qf src/c.py", "deny"),
        ("git commit -m 'Move b'", "allow"),
        ("git rm -q src/c.py", "allow"),
        ("git commit -m 'Remove c'", "allow"),
        ("git log -3 --format=%s", "allow"),
        ("git diff main...HEAD --stat", "allow"),
        ("git push origin feature/x", "ask"),
        ("git fetch", "ask"),
        ("git push --force origin main", "deny"),
        // What this is for.
        ("git add .env", "deny"),
        ("git add build/out.pem", "deny"),
        ("git diff -- .env", "deny"),
        ("git switch main", "deny"),
        ("git diff src/a.py", "deny"),
        ("git status", "allow"),
    ];
    let mut wrong = Vec::new();
    for (line, expected) in day {
        if let Some(script) = line.strip_prefix("sh: ") {
            sh(&place.work(), script);
            continue;
        }
        let (code, told) = answer(&place, line);
        let got = match code {
            0 => "allow",
            126 if told.contains("ask") => "ask",
            126 => "deny",
            _ => "failed",
        };
        if got != *expected {
            wrong.push(format!("{line}: {code} {got}, not {expected}\n{told}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let kept = sh(
        &place.work(),
        "git log --all -p --format=%s && git status --short",
    );
    assert!(!kept.contains("TOKEN=hidden"), "{kept}");
}

/// What else is typed on an ordinary day, and a piece of what the answer says to do instead.
const NOT_TAKEN: &[(&str, &str)] = &[
    ("git switch --guess main", "`git switch -c NAME`"),
    ("git switch -", "`git switch -c NAME`"),
    ("git -C src switch --orphan x", "`git switch -c NAME`"),
    ("git checkout main", "a person's to check out"),
    ("git checkout src/a.py", "`git checkout -- FILE`"),
    ("git checkout HEAD~1 -- src/a.py", "a person's to check out"),
    ("git restore --source=HEAD~1 src/a.py", "--source"),
    ("git restore --staged --worktree src/a.py", "two lines"),
    ("git reset --keep HEAD~1", "`git restore FILE`"),
    ("git pull --rebase=interactive", "`git pull --ff-only`"),
    ("git merge -s ours main", "`git merge BRANCH`"),
    ("git rebase -i main", "`--abort`"),
    (
        "git cherry-pick --strategy=ours abc123",
        "`git cherry-pick REV`",
    ),
    ("git revert -m 1 HEAD", "`git revert --no-edit REV`"),
    ("git apply x.patch", "the files themselves"),
    ("git stash clear", "`git stash list`"),
    ("git stash drop", "`git stash list`"),
    (
        "git stash show -p",
        "`git diff stash@{0}^ stash@{0} -- PATH`",
    ),
    ("git clean -fd", "by its name"),
    ("git branch new", "`git switch -c NAME`"),
    ("git branch -D feature", "a person's"),
    ("git tag -d v2", "`git tag --list`"),
    ("git tag main", "`git tag v1.2.3`"),
    ("git remote show origin", "`git remote -v`"),
    ("git worktree add ../x", "`git worktree list`"),
    ("git submodule update --init", "a person's"),
    ("git config user.name", "a person's"),
    ("git -c color.ui=never diff", "leave `-c …` out"),
    ("git --git-dir=/x status", "the workspace's"),
    ("git add -p", "interactively"),
    ("git add -f build/x", "forced"),
    ("git commit", "-m MESSAGE"),
    ("git commit --amend", "--amend --no-edit"),
    ("git commit -F message.txt", "several lines"),
    ("git commit --no-verify -m x", "leave `--no-verify` out"),
    ("git commit -n -m x", "leave `-n` out"),
    ("git push", "`git push origin BRANCH`"),
    ("git push --force-with-lease origin x", "a person's"),
    ("git push origin --delete x", "a person's"),
    ("git fetch upstream", "`git fetch origin`"),
    ("git clone https://example.org/x", "a person's"),
    ("git show HEAD:src/a.py", "`git blame -s REV -- FILE`"),
    ("git show src/a.py", "behind `--`"),
    ("git ls-tree -r HEAD", "`git ls-files`"),
    ("git cat-file -p HEAD", "`git show REV`"),
    ("git log -L 1,2:src/a.py", "`git log -p -- FILE`"),
    ("git log src/a.py", "behind `--`"),
    ("git diff HEAD src/a.py", "behind `--`"),
    ("git grep -e foo", "first word"),
    ("git shortlog -sn", "HEAD"),
    (
        "git symbolic-ref --short HEAD",
        "`git branch --show-current`",
    ),
    ("git for-each-ref", "--sort"),
    ("git show-ref", "`git rev-parse NAME`"),
    ("git ls-remote origin", "`git branch -r`"),
    ("git check-ignore -v x", "--ignored"),
    ("git whatchanged", "`git log --raw`"),
    ("git reflog expire --all", "`git reflog -5`"),
    ("git bisect start", "`git log --oneline`"),
    ("git blam src/a.py", "`blame`"),
    ("git fsck --full", "`git log`"),
    ("git count-objects -vH", "`git rev-list --count --all`"),
    ("git var GIT_EDITOR", "settings are a person's"),
    ("git difftool HEAD~1", "`git diff`"),
    ("git annotate src/a.py", "`git blame FILE`"),
    ("git name-rev HEAD", "`git describe --all --always REV`"),
    ("git diff-tree -r HEAD", "--name-status"),
    ("git hash-object src/a.py", "--stage"),
    ("git update-index --assume-unchanged x", "`git add FILE`"),
    ("git filter-branch --all", "rewriting history"),
    ("git lfs pull", "by itself"),
    ("git show-branch", "--graph"),
    ("git column", "it has `status`, `diff`"),
    ("git log --onelin", "`--oneline`"),
];

#[test]
fn what_is_not_taken_is_told_with_the_way_out() {
    let policy = CompiledPolicy::from_yaml(OPEN).unwrap();
    let mut wrong = Vec::new();
    for (line, way_out) in NOT_TAKEN {
        let decision = decide(
            &policy,
            &Request::argv(words(line)),
            &Context::new("test").with_approval("person"),
        );
        let told = format!(
            "{} {}",
            decision.message(),
            decision.instead().unwrap_or_default()
        );
        if decision.argv().is_some() || !told.contains(way_out) {
            wrong.push(format!("{line}: {told}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A command that the library says to write instead is one that it takes.
#[test]
fn the_way_out_is_open() {
    let policy = CompiledPolicy::from_yaml(OPEN).unwrap();
    let tools = policy.tools();
    let git = tools.iter().find(|tool| tool.name == "git").unwrap();
    let mut tried = 0;
    for (left_out, text) in &git.left_out {
        for (nth, line) in text.split('`').enumerate() {
            if nth % 2 == 0
                || !line.starts_with("git ")
                || line == "git commit"
                || line == "git help"
            {
                continue;
            }
            let line = line.replace("FILE", "src/a.py").replace("PATH", "src");
            let line = line.replace("BRANCH", "main").replace("REV", "HEAD~1");
            let decision = decide(
                &policy,
                &Request::argv(words(&line)),
                &Context::new("test").with_approval("person"),
            );
            assert!(
                decision.argv().is_some(),
                "{left_out:?}: {line}: {}",
                decision.message()
            );
            tried += 1;
        }
    }
    assert!(tried > 50, "{tried}");
}

/// Pieces of formats, and what git might read over them.
const FORMAT: &[&str] = &[
    "%",
    "%%",
    "%+",
    "%-",
    "% ",
    "+",
    "-",
    " ",
    "G",
    "G?",
    "GS",
    "GG",
    "%G?",
    "?",
    "%x25",
    "%x",
    "x25",
    "%n",
    "%h",
    "%C",
    "%C(red)",
    "%Cred",
    "(auto)",
    "%C(auto,",
    "(",
    ")",
    "%(",
    "trailers",
    "trailers:key=G?",
    "%(trailers)",
    "%(describe)",
    "%(decorate)",
    "%w",
    "(1,2,3)",
    "%<(9)",
    "%>|(9,trunc)",
    "%><",
    "|",
    "%<(",
    "9",
    ",",
    "%b",
    "\n",
    "%m",
    "%N",
    "%S",
    "tformat:",
    "format:",
    "%aG",
    "%gG",
];

/// No format that is taken makes git look at a signature, whatever git reads in it.
#[test]
fn no_format_starts_a_program() {
    let place = repository();
    sh(
        &place.work(),
        "git cat-file commit HEAD | awk '$0 == \"\" && !d { print \"gpgsig -----BEGIN PGP SIGNATURE-----\\n \\n iQ\\n -----END PGP SIGNATURE-----\"; d = 1 } { print }' > ../signed
         git update-ref HEAD $(git hash-object -t commit -w ../signed)
         printf '#!/bin/sh\ntouch %s/mark\n' \"$PWD/..\" > ../gpg && chmod +x ../gpg",
    );
    let mark = place.root().join("mark");
    let gpg = format!("gpg.program={}", place.root().join("gpg").display());
    let policy = CompiledPolicy::from_yaml(OPEN).unwrap();
    let shows = |git: &Path, format: &str| {
        let args = ["--no-pager", "-c", &gpg, "log", "-1", format];
        let mut git = Command::new(git);
        git.args(args).current_dir(place.work()).output().unwrap();
        mark.exists()
    };
    assert!(
        shows(Path::new("git"), "--format=%G?"),
        "the program would be started"
    );
    fs::remove_file(&mark).unwrap();
    let format = proptest::collection::vec(proptest::sample::select(FORMAT), 1..7);
    let format = format.prop_map(|pieces| pieces.concat());
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 4000,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let taken = Cell::new(0);
    let tried = runner.run(&format, |format| {
        let option = format!("--format={format}");
        let request = Request::argv(["git", "log", "-1", &*option]);
        if decide(
            &policy,
            &request,
            &Context::new("test").with_approval("person"),
        )
        .argv()
        .is_none()
        {
            return Ok(());
        }
        taken.set(taken.get() + 1);
        for git in gits() {
            prop_assert!(!shows(&git, &option), "{format:?}");
        }
        Ok(())
    });
    tried.unwrap();
    assert!(taken.get() > 200, "{taken:?}");
    // Each of these does start it.
    let disguised = [
        "%G?",
        "%GG",
        "%GS",
        "%GK",
        "%GF",
        "%GP",
        "%GT",
        "%+G?",
        "%-G?",
        "% G?",
        "%+%G?",
        "%-%GS",
        "% %GS",
        "%%%G?",
        "%h%G?%h",
        "%x%G?",
        "%C%G?",
        "%(%G?",
        "%<(%G?",
        "%w(%G?",
        "%<(20)%G?",
        "%>|(9)%GS",
        "%C(red)%G?",
        "%a%G?",
        "tformat:%G?",
        "format:% GS",
        "%(trailers%G?",
        "%+%+%G?",
        "%Z%G?",
        "%xx%G?",
    ];
    for format in disguised {
        for (git, option) in gits().iter().flat_map(|git| {
            [
                (git, format!("--format={format}")),
                (git, format!("--pretty={format}")),
            ]
        }) {
            if !shows(git, &option) {
                continue;
            }
            fs::remove_file(&mark).unwrap();
            for command in ["log", "show"] {
                let request = Request::argv(["git", command, &*option]);
                let decision = decide(
                    &policy,
                    &request,
                    &Context::new("test").with_approval("person"),
                );
                assert!(decision.argv().is_none(), "{command} {option}");
            }
        }
    }
}

/// Neither a file nor a directory is shown, compared or written by its id, however it is spelled.
#[test]
fn what_names_an_object_names_a_commit() {
    let place = repository();
    place.write("private/README.md", "salary 1\n");
    place.write("src/prod.key", "SUPERSECRET=1\n");
    sh(
        &place.work(),
        "git add -A && git commit -qm secrets && git tag blob HEAD:src/prod.key && git tag -am note blob-note HEAD:src/prod.key
         git tag tree HEAD:private && git tag -am note tree-note HEAD:private && git tag -am note nested blob-note",
    );
    let id = |object: &str| {
        sh(&place.work(), &format!("git rev-parse {object}"))
            .trim()
            .to_owned()
    };
    let (blob, tree, top) = (id(":src/prod.key"), id("HEAD:private"), id("HEAD^{tree}"));
    let short = blob.chars().take(9).collect::<String>();
    let blobs = [
        &*blob,
        &*short,
        "blob",
        "blob-note",
        "nested",
        "refs/tags/blob",
        "blob~0",
        "blob^0",
        "blob@{0}",
    ];
    let trees = [&*tree, &*top, "tree", "tree-note"];
    let policy = CompiledPolicy::from_yaml(OPEN).unwrap();
    let mut tried = 0;
    for git in gits() {
        let mut refused = |line: &str| {
            let (_, output) = run(&policy, &git, &place.work(), line);
            let told = String::from_utf8_lossy(&output.stdout).into_owned();
            // As one word, this is a commit to git, which takes what stands before `@` for a branch.
            let is_other = line.contains("..blob@{0}");
            assert!(!output.status.success() || is_other, "{line}: {told}");
            assert!(
                !told.contains("SUPERSECRET") && !told.contains("salary"),
                "{line}: {told}"
            );
            tried += 1;
        };
        for object in blobs.iter().chain(&trees) {
            for line in [
                "show",
                "show --stat",
                "log -p",
                "log -1",
                "diff",
                "diff --stat",
                "diff HEAD",
                "diff HEAD..",
                "rev-list",
            ] {
                let line = match line.strip_suffix("..") {
                    Some(_) => format!("git {line}{object} -- README.md"),
                    None => format!("git {line} {object} -- README.md"),
                };
                refused(&line);
            }
            refused(&format!("git blame {object} -- README.md"));
            refused(&format!("git grep S {object} -- README.md"));
            refused(&format!("git describe --always {object}"));
            refused(&format!("git shortlog {object}"));
            refused(&format!("git merge-base HEAD {object}"));
            refused(&format!("git branch --contains={object}"));
            refused(&format!("git tag --points-at={object}"));
            refused(&format!("git tag v9.9 {object}"));
            refused(&format!("git reset --soft {object}"));
            refused(&format!("git reset {object}"));
        }
        for pair in [
            "{top} {tree}",
            "{tree}..{top}",
            "HEAD {tree}",
            "{tree} HEAD",
            "{blob} {short}",
        ] {
            let pair = pair.replace("{top}", &top).replace("{tree}", &tree);
            let pair = pair.replace("{blob}", &blob).replace("{short}", &short);
            refused(&format!("git diff {pair} -- README.md"));
        }
    }
    assert!(tried > 150);
    // What no commit is spelled like is refused before git is asked.
    for odd in [
        "HEAD^{tree}",
        "HEAD^{object}",
        "HEAD^{blob}",
        "HEAD^{}",
        "HEAD^{/two}",
        ":/two",
        "HEAD:src/prod.key",
        ":src/prod.key",
        "HEAD^@",
        "HEAD^!",
        "HEAD^-",
        "HEAD^{commit}^{tree}",
        "@{1 day ago}",
        "HEAD^{tree}^{commit}",
        "a..b..c",
        "a....b",
    ] {
        for line in [
            "git show ODD",
            "git diff ODD",
            "git log ODD -- src",
            "git grep x ODD --",
        ] {
            let line: Vec<String> = line
                .split(' ')
                .map(|word| word.replace("ODD", odd))
                .collect();
            let decision = decide(
                &policy,
                &Request::argv(line.clone()),
                &Context::new("test").with_approval("person"),
            );
            let reason = decision.reason().map(lictor::reason::Reason::code);
            assert_eq!(
                reason,
                Some("ARGUMENT_INVALID"),
                "{line:?}: {}",
                decision.message()
            );
        }
    }
    for option in [
        "--not",
        "--objects",
        "--stdin",
        "--find-object=a",
        "--source=HEAD~1",
        "-L1,5:src/prod.key",
    ] {
        for command in ["show", "log", "diff", "rev-list", "restore"] {
            let decision = decide(
                &policy,
                &Request::argv(["git", command, option, "--", "src/a.py"]),
                &Context::new("test"),
            );
            assert!(decision.argv().is_none(), "{command} {option}");
        }
    }
}

/// A flag that means files is decided as these files.
#[test]
fn what_a_commit_takes_by_itself_is_decided() {
    let place = repository();
    place.write("src/prod.key", "S=1\n");
    sh(
        &place.work(),
        "git add -A && git commit -qm key && echo S=2 > src/prod.key",
    );
    for line in [
        "git add -u",
        "git add .",
        "git commit -am x",
        "git commit -a -m x",
        "git commit --amend --no-edit -a",
        "git commit -m x src/prod.key",
        "git commit -m x -- src",
        "git commit -m x .",
    ] {
        let (code, told) = answer(&place, line);
        assert_eq!(code, 126, "{line}: {told}");
        assert!(told.contains("prod.key"), "{line}: {told}");
    }
    for line in [
        "git commit --include -m x src",
        "git commit --only -m x src",
        "git commit -i -m x",
        "git stash",
    ] {
        assert_eq!(answer(&place, line).0, 126, "{line}");
    }
    assert_eq!(sh(&place.work(), "git log -1 --format=%s").trim(), "key");
}

/// A repository below the workspace, above it, or of another work tree is not the workspace's.
#[test]
fn only_the_repository_of_the_workspace_is_looked_at() {
    let place = repository();
    sh(
        &place.work(),
        "mkdir -p nested && cd nested && git init -q . && git config user.email a@b && git config user.name a
         echo NESTED > prod.key && git add -A && git commit -qm nested",
    );
    // The files of the repository below are files of the workspace that nobody tracks here.
    for line in [
        "git -C nested log -p",
        "git -C nested show",
        "git -C nested log --oneline -- prod.key",
    ] {
        let (_, told) = answer(&place, line);
        assert!(!told.contains("NESTED"), "{line}: {told}");
    }
    sh(
        &place.work(),
        "rm -rf nested && mkdir -p /tmp && git config core.worktree /tmp",
    );
    // Such a repository is refused, and would be read as the workspace's if it were not.
    let (code, told) = answer(&place, "git grep -n print -- src");
    assert!(code == 126 && told.contains("core.worktree"), "{told}");
    let policy = CompiledPolicy::from_yaml(OPEN).unwrap();
    for git in gits() {
        let (_, output) = run(&policy, &git, &place.work(), "git grep -n print -- src");
        assert!(String::from_utf8_lossy(&output.stdout).contains("src/a.py:1:print(1)"));
    }
    sh(
        &place.work(),
        "git config --unset core.worktree && mv .git ../.git",
    );
    for line in [
        "git status",
        "git log -1",
        "git diff --stat",
        "git ls-files",
    ] {
        let (code, told) = answer(&place, line);
        assert!(code != 0 && !told.contains("src/a.py"), "{line}: {told}");
    }
}

/// A worktree has a file `.git`, and is the workspace of whoever works in it.
#[test]
fn a_worktree_is_a_workspace_like_others() {
    let place = repository();
    sh(
        &place.work(),
        "git worktree add -q ../tree && cp lictor.yaml ../tree",
    );
    let tree = place.root().join("tree");
    let run = |words: &[&str]| {
        let args = ["run", "--"].iter().chain(words);
        place.lictor(args).current_dir(&tree).end()
    };
    for line in [
        "git status -sb",
        "git log --oneline",
        "git grep print -- src",
        "git add src",
    ] {
        let answer = run(&line.split(' ').collect::<Vec<_>>());
        assert_eq!(
            answer.code,
            Some(0),
            "{line}: {}{}",
            answer.stdout,
            answer.stderr
        );
    }
}

/// `origin` that is no configured remote is a directory, with a configuration of its own.
#[test]
fn a_directory_is_no_remote() {
    let place = repository();
    let mark = place.root().join("mark");
    place.write("origin/HEAD", "ref: refs/heads/main\n");
    let evil = format!(
        "[core]\n\tbare = true\n\talternateRefsCommand = \"touch {}\"\n",
        mark.display()
    );
    place.write("origin/config", evil);
    place.write(
        "origin/objects/info/alternates",
        format!("{}\n", place.work().join(".git/objects").display()),
    );
    place.write("origin/refs/heads/x", "");
    let policy = CompiledPolicy::from_yaml(OPEN).unwrap();
    for git in gits() {
        for url in [
            "",
            "file:///tmp/x",
            "ext::touch mark",
            "git://127.0.0.1:1/x",
            "mark::x",
        ] {
            if !url.is_empty() {
                sh(
                    &place.work(),
                    &format!("git config remote.origin.url '{url}'"),
                );
            }
            for line in [
                "git push origin main",
                "git fetch origin",
                "git fetch origin main",
            ] {
                let (_, output) = run(&policy, &git, &place.work(), line);
                let told = String::from_utf8_lossy(&output.stderr).into_owned();
                assert!(
                    !output.status.success() && told.contains("not allowed"),
                    "{url} {line}: {told}"
                );
            }
        }
        sh(&place.work(), "git config --unset remote.origin.url");
    }
    assert!(!mark.exists() && !place.work().join("mark").exists());
}

/// Git does not fetch on its own what a partial clone lacks.
#[test]
fn looking_fetches_nothing() {
    let place = repository();
    sh(&place.work(), "git config uploadpack.allowFilter true");
    sh(
        place.root(),
        "git clone -q --no-local --filter=blob:none --no-checkout file://\"$PWD\"/work partial",
    );
    let partial = place.root().join("partial");
    let packs = || sh(&partial, "find .git/objects -type f | sort");
    let before = packs();
    let policy = CompiledPolicy::from_yaml(OPEN).unwrap();
    for git in gits() {
        let (_, output) = run(&policy, &git, &partial, "git show HEAD");
        assert!(!output.status.success(), "{output:?}");
        assert_eq!(packs(), before);
    }
}
