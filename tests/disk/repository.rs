//! A repository that git would read otherwise than it lies there, or that makes git run or show something while it
//! only looks, is refused, with the way out; the repositories that people work in are not.

use std::cell::Cell;
use std::fs;
use std::process::Command;

use crate::support::git::{OPEN, sh};
use crate::support::program::Place;
use lictor::decision::{Context, Request, decide};
use lictor::policy::CompiledPolicy;
use lictor::resolve::{Workspace, resolve_paths};
use proptest::prelude::*;

/// A repository with a commit, a change, and a repository beside it.
fn repository() -> Place {
    let place = Place::with_policy(OPEN);
    sh(
        &place.work(),
        "git init -q -b main . && git config user.email a@example.org && git config user.name a
         mkdir src && echo 'print(1)' > src/a.py && echo '* filter=e diff=e merge=e' > .gitattributes
         git add -A && git commit -qm one && echo 'print(2)' > src/a.py
         git init -q -b main ../other && cd ../other && git config user.email a@example.org && git config user.name a
         echo SECRET > s && git add -A && git commit -qm SECRET",
    );
    place
}

const LOOKS: &[&str] = &[
    "git status",
    "git diff",
    "git log -p -1",
    "git blame src/a.py",
];

/// What is done to the repository, and a piece of the way out.
const REFUSED: &[(&str, &str)] = &[
    (
        "git config filter.e.clean 'touch $PWD/../mark; cat'",
        "git lfs install",
    ),
    (
        "git config filter.e.process 'touch $PWD/../mark; cat'",
        "--global",
    ),
    (
        "git config filter.e.smudge 'touch $PWD/../mark; cat'",
        "--remove-section",
    ),
    (
        "printf '[core] [FILTER \"e\"] clean = touch ../mark' >> .git/config",
        "section `filter`",
    ),
    (
        "printf '[Filter.e]\\r\\n\\tclean = touch ../mark\\r\\n' >> .git/config",
        "section `filter`",
    ),
    (
        "git config extensions.worktreeConfig true; git config --worktree filter.e.clean 'touch ../mark'",
        "`.git/config.worktree` has",
    ),
    (
        "printf '[filter \"e\"]\\n\\tclean = touch ../mark\\n' > evil; git config include.path ../evil",
        "--global",
    ),
    (
        "git config includeIf.gitdir:/.path ../evil",
        "section `include`",
    ),
    (
        "printf '[includeIf \"onbranch:**\"] path = ../evil' >> .git/config",
        "section `include`",
    ),
    (
        "git config core.worktree ../../other",
        "git config --unset core.worktree",
    ),
    (
        "printf '[core]WORKTREE=../../other' >> .git/config",
        "core.worktree",
    ),
    ("git config core.bare true", "git config core.bare false"),
    ("printf '[core]\\n\\tbare' >> .git/config", "core.bare"),
    (
        "git config core.attributesFile /etc/passwd",
        ".git/info/attributes",
    ),
    (
        "git config blame.ignoreRevsFile /etc/passwd",
        ".git-blame-ignore-revs",
    ),
    (
        "git config blame.ignoreRevsFile src/a.py",
        ".git-blame-ignore-revs",
    ),
    (
        "git config blame.ignoreRevsFile .git-blame-ignore-revs; ln -s ../other/s .git-blame-ignore-revs",
        "as a file at the top",
    ),
    // Another repository than the one that lies here.
    ("mv .git ../moved; ln -s ../moved .git", "`.git` is a link"),
    ("rm -rf .git; ln -s ../other/.git .git", "`.git` is a link"),
    (
        "rm -rf .git; echo 'gitdir: ../other/.git' > .git",
        "git worktree repair",
    ),
    (
        "rm -rf .git; git init -q --separate-git-dir ../apart .",
        "git config core.worktree",
    ),
    ("rm -rf .git; mkfifo .git", "`.git` is a link or no file"),
    (
        "rm -rf .git; echo nothing > .git",
        "does not name a directory",
    ),
    (
        "rm -rf .git; echo 'gitdir: ../nowhere' > .git",
        "cannot be found",
    ),
    (
        "git -C ../other worktree add -q ../tree; rm -rf .git; cp ../tree/.git .git",
        "git worktree repair",
    ),
    ("echo ../../other/.git > .git/commondir", "`.git/commondir`"),
    (
        "echo $PWD/../other/.git/objects > .git/objects/info/alternates",
        "git repack -a -d",
    ),
    // Links that git would write or read through.
    (
        "ln -sf ../../kept .git/COMMIT_EDITMSG",
        "`.git/COMMIT_EDITMSG` is a link",
    ),
    (
        "mv .git/index ../kept; ln -s ../../kept .git/index",
        "`.git/index` is a link",
    ),
    (
        "mv .git/config ../kept; ln -s ../../kept .git/config",
        "`.git/config` is a link",
    ),
    (
        "mv .git/HEAD ../kept; ln -s ../../kept .git/HEAD",
        "`.git/HEAD` is a link",
    ),
    (
        "rm -r .git/objects; ln -s ../../other/.git/objects .git/objects",
        "`.git/objects` is a link",
    ),
    (
        "rm -rf .git/objects/pack; ln -s ../../../other/.git/objects .git/objects/pack",
        "`.git/objects/pack` is a link",
    ),
    (
        "rm -rf .git/objects/ab; ln -s ../../../other/.git/objects/ab .git/objects/ab",
        "`.git/objects/ab` is a link",
    ),
    (
        "mv .git/logs/HEAD ../kept; ln -s ../../../kept .git/logs/HEAD",
        "`.git/logs/HEAD` is a link",
    ),
    (
        "ln -s ../../../../other/.git/refs/heads/main .git/refs/heads/x",
        "`.git/refs/heads/x` is a link",
    ),
    (
        "rm -rf .git/refs; ln -s ../../other/.git/refs .git/refs",
        "`.git/refs` is a link",
    ),
    (
        "ln -s /etc/passwd .git/info/attributes",
        "`.git/info/attributes` is a link",
    ),
    ("rm .git/config; mkfifo .git/config", "not a regular file"),
    (
        "git update-index --split-index",
        "git update-index --no-split-index",
    ),
    ("echo DIRC > .git/index", "not understood"),
    // What git looks into when it looks at a submodule.
    (
        "git -c protocol.file.allow=always submodule --quiet add ../other sub; git -C sub config filter.e.clean 'touch ../../mark'",
        "`.git/modules/sub/config` has a section `filter`",
    ),
    (
        "cp -r ../other sub; git add sub 2>/dev/null; git -C sub config filter.e.clean 'touch ../../mark'",
        "`sub/.git/config` has a section `filter`",
    ),
];

#[test]
fn what_git_would_read_otherwise_or_run_while_it_looks_is_refused() {
    for (script, way_out) in REFUSED {
        let place = repository();
        fs::write(place.root().join("kept"), "kept").unwrap();
        sh(&place.work(), script);
        for line in ["git diff", "git commit --allow-empty -m text"] {
            let words = ["run", "--"].into_iter().chain(line.split(' '));
            let answer = place.lictor(words).end();
            let told = format!("{}{}", answer.stdout, answer.stderr);
            assert_eq!(answer.code, Some(126), "{script}; {line}: {told}");
            assert!(
                told.contains("REPOSITORY_NOT_TRUSTED"),
                "{script}; {line}: {told}"
            );
            assert!(told.contains(way_out), "{script}; {line}: {told}");
            assert!(
                !told.contains("SECRET") && !told.contains("root:x:"),
                "{told}"
            );
        }
        assert!(!place.root().join("mark").exists(), "{script}");
    }
}

/// Repositories as people have them, and what they set in them.
const ACCEPTED: &[&str] = &[
    ":",
    "rm -rf .git; git init -q --object-format=sha256 -b main .; git add -A; git -c user.name=a -c user.email=a@b commit -qm one",
    "git update-index --index-version 4; git update-index --untracked-cache --force-untracked-cache",
    "git config diff.e.textconv 'touch ../mark; cat'; git config diff.e.command 'touch ../mark'",
    "git config merge.e.driver 'touch ../mark'; git config alias.st status; git config pager.log 'touch ../mark'",
    "git config lfs.repositoryformatversion 0; git config lfs.url https://example.org; mkdir ../lfs; ln -s ../../lfs .git/lfs",
    "git config branch.worktree.remote filter; git config branch.include.merge refs/heads/bare; git branch worktree",
    "git config extensions.worktreeConfig true; git config --worktree core.sparseCheckout false",
    "git config blame.ignoreRevsFile .git-blame-ignore-revs; git rev-parse HEAD > .git-blame-ignore-revs",
    "rm -rf .git/hooks; mkdir hooks; ln -s ../hooks .git/hooks",
    "git config core.worktree ..; git config core.bare false",
    "git config core.excludesFile ../ignored; git config commit.template ../ignored; git config mailmap.file ../ignored",
    "git gc -q; git pack-refs --all",
    "git -c protocol.file.allow=always submodule --quiet add ../other sub",
    "cp -r ../other sub; git add sub 2>/dev/null",
    // The worktree of a repository, also of a bare one, and a submodule.
    "git worktree add -q ../tree; rm -rf ../moved; mv ../work ../main; mv ../tree ../work; git -C ../main worktree repair ../work 2>/dev/null
     cp ../main/lictor.yaml ../work",
    "git clone -q --bare . ../bare; cp lictor.yaml ..; rm -rf ../work; git -C ../bare worktree add -q ../work; mv ../lictor.yaml ../work",
];

#[test]
fn repositories_as_people_have_them_are_taken() {
    for script in ACCEPTED {
        let place = repository();
        sh(&place.work(), script);
        for line in LOOKS {
            let words = ["run", "--"].into_iter().chain(line.split(' '));
            let answer = place.lictor(words).end();
            let told = format!("{}{}", answer.stdout, answer.stderr);
            assert_eq!(answer.code, Some(0), "{script}; {line}: {told}");
        }
        assert!(!place.root().join("mark").exists(), "{script}");
    }
}

#[test]
fn a_submodule_can_be_the_workspace() {
    let place = repository();
    sh(
        &place.work(),
        "git -c protocol.file.allow=always submodule --quiet add ../other sub && mv lictor.yaml sub",
    );
    let sub = place.work().join("sub");
    let run = || {
        let words = [
            "run",
            "--policy",
            "lictor.yaml",
            "--",
            "git",
            "log",
            "--format=%s",
        ];
        place.lictor(words).current_dir(&sub).end()
    };
    assert_eq!(run().ends_with_code(0).stdout, "SECRET\n");
    sh(&sub, "git config core.worktree ../../../elsewhere");
    assert!(run().ends_with_code(126).stderr.contains("core.worktree"));
}

/// Pieces of which configuration files are made, and some that only look like it.
const PIECES: &[&str] = &[
    "[filter \"e\"]",
    "[FILTER.e]",
    "[filter\t\"a]\"]",
    "[core]",
    "[Core]\r\n",
    "[a \"]\"]",
    "[include]",
    "[includeIf \"x\"]",
    "[a \"\\\"\"]",
    "\n\tclean = x\n",
    " clean",
    "process=x\n",
    "path = x\n",
    "WorkTree = ../../other\n",
    "worktree",
    "bare\n",
    "bare = \"false\"\n",
    "attributesFile=x",
    "\n",
    "\r\n",
    "\r",
    " ",
    "\t",
    "# ",
    ";",
    "=",
    "\\\n",
    "\"",
    "\"\n",
    "a",
    "-",
    "[",
    "]",
    "x = y\n",
    "x = y \\\n",
    "\u{b}",
    "\u{a0}",
    "\u{feff}",
];

/// A section or a key that git finds is found, however it is written.
#[test]
fn nothing_in_a_configuration_is_overlooked() {
    let place = repository();
    let work = place.work().canonicalize().unwrap();
    let workspace = Workspace::open_root(&work).unwrap();
    let policy = CompiledPolicy::from_yaml(OPEN).unwrap();
    let context = Context::new("test");
    let (file, found) = (work.join(".git/config"), Cell::new(0));
    let piece = proptest::sample::select(PIECES);
    let text = proptest::collection::vec(piece, 1..9).prop_map(|pieces| pieces.concat());
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 500,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let tried = runner.run(&text, |text| {
        fs::write(&file, &text).unwrap();
        let list = [
            "config",
            "--no-includes",
            "--list",
            "--name-only",
            "-z",
            "-f",
        ];
        let listed = Command::new("git").args(list).arg(&file).output().unwrap();
        // Git stops at what it does not understand, whoever asks.
        if !listed.status.success() {
            return Ok(());
        }
        let names = String::from_utf8_lossy(&listed.stdout).into_owned();
        let is_meant = |name: &str| {
            ["filter.", "include.", "includeif."]
                .iter()
                .any(|begin| name.starts_with(begin))
                || ["core.worktree", "core.bare", "core.attributesfile"].contains(&name)
        };
        let request = Request::argv(["git", "status"]);
        let decision = resolve_paths(
            &policy,
            decide(&policy, &request, &context),
            &context,
            &workspace,
        );
        let refused =
            decision.reason().map(lictor::reason::Reason::code) == Some("REPOSITORY_NOT_TRUSTED");
        if names.split('\0').any(is_meant) {
            found.set(found.get() + 1);
            prop_assert!(refused, "{names:?}");
        }
        Ok(())
    });
    tried.unwrap();
    assert!(found.get() > 8, "{found:?}");
}
