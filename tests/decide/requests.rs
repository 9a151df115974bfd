//! What can only fail is denied before it runs, with the way out; what may succeed is not.

use crate::support::git::{OPEN, sh};
use crate::support::program::Place;

/// A repository with files, branches and tags that partly have one name.
fn repository() -> Place {
    let place = Place::with_policy(OPEN);
    place.write("src/a.py", "foo\n");
    place.write("foo", "foo\n");
    place.write("v1", "foo\n");
    place.write("topic", "foo\n");
    place.write("origin/x", "foo\n");
    place.write("v1-1-gabcd123", "foo\n");
    sh(
        &place.work(),
        "git init -q -b main . && git config user.email a@example.org && git config user.name a
         git add -A && git commit -qm one && git tag v1 && git branch topic && git pack-refs --all && git branch src/b
         git update-ref refs/remotes/origin/main HEAD && git symbolic-ref refs/remotes/origin/HEAD refs/remotes/origin/main",
    );
    place
}

#[test]
fn a_path_in_the_place_of_a_revision_is_denied_with_the_way_out() {
    let place = repository();
    let said = |words: &str, directory: &str| {
        let args = ["run", "--", "git"].into_iter().chain(words.split(' '));
        let lictor = place.lictor(args);
        lictor.current_dir(place.work().join(directory)).end()
    };
    for (line, directory, path) in [
        ("grep foo src", "", "src"),
        ("grep -n foo src foo", "", "src"),
        ("grep foo HEAD foo", "", "foo"),
        ("diff src", "", "src"),
        ("diff HEAD src", "", "src"),
        ("diff --stat foo", "", "foo"),
        ("log --oneline src", "", "src"),
        ("log -p foo", "", "foo"),
        ("show --stat src", "", "src"),
        ("shortlog -sn HEAD src", "", "src"),
        ("-C src log foo", "", ""),
        ("-C . log foo", "", "foo"),
        ("log foo", "src", ""),
    ] {
        let answer = said(line, directory);
        // In `src` there is no `foo`: git says that it knows no such revision.
        if path.is_empty() {
            assert_eq!(answer.code, Some(128), "{line}: {answer:?}");
            continue;
        }
        assert_eq!(answer.code, Some(126), "{line}: {answer:?}");
        let way_out = format!("as in `-- {path}`");
        assert!(answer.stderr.contains("ARGUMENT_INVALID"), "{answer:?}");
        assert!(answer.stderr.contains(&way_out), "{line}: {answer:?}");
    }
    // A name of both is a revision, wherever git keeps it.
    let number = sh(&place.work(), "git rev-parse --short HEAD");
    let number = number.trim();
    place.write(number, "");
    for line in [
        "grep foo -- src",
        "log --oneline v1",
        "log --oneline topic",
        "log --oneline origin",
        "log --oneline src/b",
        "log --oneline HEAD",
        &format!("log --oneline {number}"),
        "diff v1 topic",
    ] {
        let answer = said(line, "");
        assert_eq!(answer.code, Some(0), "{line}: {answer:?}");
    }
    // What could be a number of a commit is left to git.
    assert_eq!(said("log v1-1-gabcd123", "").code, Some(128));
    // A worktree has some references of its own, and others of the repository.
    sh(
        &place.work(),
        "git worktree add -q ../tree -b leaf && cp lictor.yaml ../tree && touch ../tree/leaf",
    );
    let said = |line: &str| {
        let args = ["run", "--", "git"].into_iter().chain(line.split(' '));
        let lictor = place.lictor(args);
        lictor.current_dir(place.root().join("tree")).end().code
    };
    assert_eq!(said("log --oneline leaf"), Some(0));
    assert_eq!(said("log --oneline HEAD"), Some(0));
    assert_eq!(said("log --oneline src"), Some(126));
}

/// An export goes to a directory of its own: nothing of it lies in `.git`, in agents' settings or beside other files.
#[test]
fn an_export_is_written_to_no_directory_that_holds_something_else() {
    let place = repository();
    let run = |args: &[&str]| place.lictor(args).end();
    run(&["run", "--", "git", "status"]).ends_with_code(0);
    place.write(".claude/x", "");
    place.write("full/x", "");
    std::fs::create_dir(place.work().join("empty")).unwrap();
    std::os::unix::fs::symlink("empty", place.work().join("link")).unwrap();
    for (out, why) in [
        (".git", "protected"),
        (".git/new", "protected"),
        (".claude", "protected"),
        ("full", "something else lies there"),
        ("link", "symbolic link"),
        ("link/new", "symbolic link"),
        ("foo", "there already"),
    ] {
        let answer = run(&["ledger", "export", out]).ends_with_code(2);
        assert!(answer.stderr.contains(why), "{out}: {answer:?}");
    }
    for out in ["empty", "new"] {
        run(&["ledger", "export", out]).ends_with_code(0);
        run(&["run", "--", "git", "status"]).ends_with_code(0);
        run(&["ledger", "export", out]).ends_with_code(0);
        assert!(place.work().join(out).join("checkpoint").is_file());
    }
}

/// A directory stands for the policy in it, whatever is asked about that.
#[test]
fn a_directory_stands_for_its_policy_in_every_command() {
    let place = repository();
    for args in [
        &["lint", "."][..],
        &["test", "."],
        &["prove", "."],
        &["diff", ".", "lictor.yaml"],
        &["diff", "lictor.yaml", "."],
    ] {
        let answer = place.lictor(args).end();
        assert_eq!(answer.code, Some(0), "{args:?}: {answer:?}");
    }
    let answer = place.lictor(["diff", "--git", "none", "lictor.yaml"]).end();
    assert!(
        answer.stderr.contains("invalid object name 'none'"),
        "{answer:?}"
    );
}
