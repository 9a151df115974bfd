//! What a write will create is decided before it runs: names that are not on disk yet, at every place
//! where a program could make them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;

use lictor::decision::{Context, Decision, Effect, Request, decide};
use lictor::policy::CompiledPolicy;
use lictor::reason::Reason::{self, *};
use lictor::resolve::{Workspace, resolve_paths};

const POLICY: &str = "version: 1
name: created
use: [lictor/files@1]
tools:
  cp:
    program: cp
    actions:
      run:
        args:
          from: {type: path, required: true, repeat: true}
          to: {type: path, access: write, creates: {from: from}, required: true}
  mv:
    program: mv
    actions:
      run:
        args:
          from: {type: path, access: write, creates: itself, required: true, repeat: true}
          to: {type: path, access: write, creates: {from: from}, required: true}
  restore:
    program: git
    actions:
      run: {args: {path: {type: path, access: write, tree: names, creates: index, repeat: true}}}
  touch: {program: touch, actions: {run: {args: {path: {type: path, access: write, creates: itself, required: true}}}}}
  mkdir: {program: mkdir, actions: {run: {args: {path: {type: path, access: write, creates: parents, required: true}}}}}
  unpack: {program: tar, actions: {run: {args: {to: {type: path, access: write, required: true}}}}}
  grep: {program: grep, actions: {run: {args: {path: {type: path, required: true}}}}}
  grep-skips: {program: sgrep, actions: {run: {args: {path: {type: path, skips: .git, required: true}}}}}
scopes:
  work: {include: [\"**\"], exclude: [\"vendor/*\"]}
  locked: [\"deploy/*.yml\", \"**/*.key\"]
rules:
  - {id: work, allow: \"*\", within: work}
  - {id: locked, deny: \"*\", touching: locked}
";

struct Tree {
    _place: tempfile::TempDir,
    root: PathBuf,
}

impl Tree {
    fn new(files: &[&str]) -> Tree {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().canonicalize().unwrap().join("work");
        fs::create_dir(&root).unwrap();
        let tree = Tree {
            _place: place,
            root,
        };
        for file in files {
            tree.file(file);
        }
        tree
    }

    /// A directory if it ends in a slash.
    fn file(&self, path: &str) {
        let path_on_disk = self.root.join(path);
        if path.ends_with('/') {
            return fs::create_dir_all(path_on_disk).unwrap();
        }
        fs::create_dir_all(path_on_disk.parent().unwrap()).unwrap();
        fs::write(path_on_disk, "x").unwrap();
    }

    fn git(&self, words: &[&str]) {
        let status = Command::new("git")
            .args([
                "-c",
                "user.name=a",
                "-c",
                "user.email=a@b",
                "-c",
                "protocol.file.allow=always",
            ])
            .args(words)
            .current_dir(&self.root)
            .env("HOME", &self.root)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .status();
        assert!(status.unwrap().success(), "{words:?}");
    }

    fn decision(&self, request: &Request) -> Decision {
        let policy = CompiledPolicy::from_yaml(POLICY).unwrap();
        let context = Context::new("test");
        let workspace = Workspace::open_root(&self.root).unwrap();
        resolve_paths(
            &policy,
            decide(&policy, request, &context),
            &context,
            &workspace,
        )
    }

    #[track_caller]
    fn check(&self, line: &str, expected: Result<(), Reason>) {
        let mut words = line.split(' ');
        let tool = words.next().unwrap();
        let words: Vec<&str> = words.collect();
        let program = match tool {
            "restore" => "git",
            "unpack" => "tar",
            "grep-skips" => "sgrep",
            other => other,
        };
        let argv = std::iter::once(program).chain(words);
        let decision = self.decision(&Request::argv(argv));
        let found = match decision.effect() {
            Effect::Allow => Ok(()),
            Effect::Ask | Effect::Deny => Err(decision.reason().unwrap()),
        };
        assert_eq!(found, expected, "{line}: {}", decision.message());
    }
}

#[test]
fn a_copy_or_a_move_is_judged_by_the_names_it_makes() {
    let tree = Tree::new(&[
        "src/prod.yml",
        "src/h/lib.py",
        "src/h/deep/x.py",
        "src/g/hooks/x.json",
        "src/keys/",
        "src/a.py",
        "deploy/readme",
        "vendor/readme",
        ".github/readme",
        "web/",
    ]);
    for tool in ["cp", "mv"] {
        let check = |rest: &str, expected| tree.check(&format!("{tool} {rest}"), expected);
        check("src/prod.yml deploy/prod.yml", Err(DeniedByRule));
        check("src/prod.yml deploy", Err(DeniedByRule));
        check("src/prod.yml web", Ok(()));
        check("src/a.py src/prod.yml deploy", Err(DeniedByRule));
        check("src/a.py src/h web", Ok(()));
        check("src/a.py src/b.py", Ok(()));
        // A directory under a new name, and into one that exists.
        check("src/h web/h", Ok(()));
        check("src/h vendor/h", Err(PathOutsideAllowedScope));
        check("src/h vendor", Err(PathOutsideAllowedScope));
        check("src/g .github", Ok(()));
        check("src/g/hooks .github", Err(SelfProtected));
        check("src/g .github/hooks", Err(SelfProtected));
        check("src/g src/.github", Err(SelfProtected));
        check("src web/missing/deep", Err(PathNotFound));
    }
}

#[test]
fn a_link_in_the_destination_is_not_written_through() {
    let tree = Tree::new(&["src/a.py", "src/h/lib.py", "web/h/", "outside"]);
    symlink("/etc/passwd", tree.root.join("web/a.py")).unwrap();
    symlink("nowhere", tree.root.join("web/h/lib.py")).unwrap();
    tree.check("cp src/a.py web", Err(PathSymlinkDenied));
    tree.check("cp src/h web", Err(PathSymlinkDenied));
    fs::remove_file(tree.root.join("web/h/lib.py")).unwrap();
    tree.check("cp src/h web", Ok(()));
}

/// Where links may be followed, what is made has a name through the link and one that it really has.
#[test]
fn what_is_made_behind_a_link_is_judged_by_both_of_its_names() {
    let tree = Tree::new(&["src/prod.txt", "real/"]);
    symlink("real", tree.root.join("link")).unwrap();
    let context = Context::new("test");
    let workspace = Workspace::open_root(&tree.root).unwrap();
    let reason = |denied: &str, line: &str| {
        let text = POLICY.replace("scopes:\n", "paths: {symlinks: within}\nscopes:\n");
        let text = text.replace("\"**/*.key\"", &format!("\"{denied}\""));
        let policy = CompiledPolicy::from_yaml(&text).unwrap();
        let decision = decide(&policy, &Request::argv(line.split(' ')), &context);
        resolve_paths(&policy, decision, &context, &workspace).reason()
    };
    for (line, made) in [
        ("cp src link", "src/prod.txt"),
        ("cp src link/new", "new/prod.txt"),
        ("mkdir link/a/b", "a"),
        ("mkdir link/a/b", "a/b"),
    ] {
        assert_eq!(reason("elsewhere", line), None, "{line}");
        for directory in ["link", "real"] {
            let denied = format!("{directory}/{made}");
            assert_eq!(reason(&denied, line), Some(DeniedByRule), "{line} {denied}");
        }
    }
}

#[test]
fn a_write_that_does_not_say_what_it_creates_may_only_replace_a_file() {
    let tree = Tree::new(&["src/a.py", "out/"]);
    tree.check("unpack src/a.py", Ok(()));
    tree.check("unpack out", Err(PathTreeTouchesDenied));
    tree.check("unpack new", Err(PathTreeTouchesDenied));
    let decision = tree.decision(&Request::argv(["tar", "new"]));
    let told = decision.message();
    assert!(
        told.contains("`new/lictor.yaml`") && told.contains("`creates`"),
        "{told}"
    );
}

#[test]
fn missing_directories_are_made_only_where_the_tool_says_so_and_are_judged() {
    let tree = Tree::new(&["src/a.py"]);
    tree.check("touch src/new", Ok(()));
    tree.check("touch src/new/deep", Err(PathNotFound));
    tree.check("mkdir src/new/deep/er", Ok(()));
    tree.check("mkdir src/x.key/deep", Err(DeniedByRule));
    tree.check("mkdir vendor/a", Err(PathOutsideAllowedScope));
    tree.check("mkdir vendor/a/b", Err(PathOutsideAllowedScope));
    tree.check("mkdir .claude/commands", Err(SelfProtected));
    symlink("/tmp", tree.root.join("link")).unwrap();
    tree.check("mkdir link/a/b", Err(PathSymlinkDenied));
    let told = tree.decision(&Request::argv(["touch", "a/b/c"]));
    assert!(
        told.message().contains("directory `a/b` does not exist"),
        "{}",
        told.message()
    );
}

#[test]
fn what_the_index_tracks_is_judged_whether_or_not_it_is_on_disk() {
    let tree = Tree::new(&[
        "src/a.py",
        "src/deep/prod.key",
        "web/a.py",
        "web/.claude/settings.json",
    ]);
    tree.git(&["init", "-q", "."]);
    tree.git(&["add", "-A"]);
    tree.git(&["commit", "-qm", "one"]);
    for directory in ["src/deep", "web"] {
        fs::remove_dir_all(tree.root.join(directory)).unwrap();
    }
    tree.check("restore src/a.py", Ok(()));
    tree.check("restore web/a.py", Ok(()));
    tree.check("restore src", Err(DeniedByRule));
    tree.check("restore src/deep", Err(DeniedByRule));
    tree.check("restore web", Err(SelfProtected));
    tree.check("restore web/.claude", Err(SelfProtected));
    tree.check("restore", Err(DeniedByRule));
    tree.check("restore src/other", Err(PathNotFound));
    // What git does not track is not touched, so it does not matter.
    tree.file("lib/a.py");
    tree.git(&["add", "lib"]);
    tree.file("lib/untracked.key");
    tree.check("restore lib", Ok(()));
}

#[test]
fn a_submodule_that_is_written_writes_gitmodules_too() {
    let other = Tree::new(&["a"]);
    other.git(&["init", "-q", "."]);
    other.git(&["add", "-A"]);
    other.git(&["commit", "-qm", "one"]);
    let tree = Tree::new(&["lib/b"]);
    tree.git(&["init", "-q", "."]);
    tree.git(&[
        "submodule",
        "--quiet",
        "add",
        other.root.to_str().unwrap(),
        "lib/sub",
    ]);
    let closed = POLICY.replace("\"**/*.key\"", "\"**/*.key\", .gitmodules");
    let workspace = Workspace::open_root(&tree.root).unwrap();
    let context = Context::new("test");
    let reason = |text: &str, path: &str| {
        let policy = CompiledPolicy::from_yaml(text).unwrap();
        let decision = decide(&policy, &Request::argv(["git", path]), &context);
        resolve_paths(&policy, decision, &context, &workspace).reason()
    };
    for path in ["lib", "lib/sub"] {
        assert_eq!(reason(POLICY, path), None);
        assert_eq!(reason(&closed, path), Some(DeniedByRule), "{path}");
    }
}

#[test]
fn where_no_index_can_be_read_nothing_is_written_from_it() {
    let tree = Tree::new(&["src/a.py"]);
    tree.check("restore src/a.py", Err(PathFsError));
}

#[test]
fn a_protected_name_below_a_directory_is_like_a_denied_entry() {
    let tree = Tree::new(&["src/a.py", "sub/.git/config", "far/deep/.GIT/x"]);
    tree.check("grep src", Ok(()));
    for place in ["sub", "far"] {
        tree.check(&format!("grep {place}"), Err(PathTreeTouchesDenied));
    }
    tree.check("grep-skips sub", Ok(()));
    // Only that very name is left out.
    tree.check("grep-skips far", Err(PathTreeTouchesDenied));
    tree.check("mv sub new", Err(PathTreeTouchesDenied));
    for action in ["delete", "search", "read_file"] {
        let request = Request::named("filesystem", action).with_arg("path", "sub");
        assert_eq!(
            tree.decision(&request).reason(),
            Some(PathTreeTouchesDenied),
            "{action}"
        );
    }
    let edit = Request::named("filesystem", "edit").with_arg("path", "src");
    assert_eq!(
        tree.decision(&edit.clone().with_arg("to", "new")).reason(),
        None
    );
    assert_eq!(
        tree.decision(&edit.with_arg("to", ".claude")).reason(),
        Some(SelfProtected)
    );
}

/// One request has one budget: naming a directory often does not make it look often.
#[test]
fn equal_and_nested_operands_share_one_budget() {
    let tree = Tree::new(&["many/"]);
    for nth in 0..300 {
        tree.file(&format!("many/{nth}"));
    }
    let grep = POLICY.replace(
        "{type: path, required: true}}}}}\n  grep-skips",
        "{type: path, required: true, repeat: true}}}}}\n  grep-skips",
    );
    let policy = CompiledPolicy::from_yaml(&grep).unwrap();
    let context = Context::new("test");
    let workspace = Workspace::open_root(&tree.root).unwrap();
    let asked = |paths: Vec<&str>| {
        let argv = std::iter::once("grep").chain(paths);
        let decision = decide(&policy, &Request::argv(argv), &context);
        resolve_paths(&policy, decision, &context, &workspace).reason()
    };
    assert_eq!(asked(vec!["many"; 1_000]), None);
    // Other spellings of the same directory are the same path.
    assert_eq!(asked(["many", "many/", "./many"].repeat(300)), None);
}
