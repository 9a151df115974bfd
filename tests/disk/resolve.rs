//! What the disk says about paths: links, mounts, odd files and trees, by both ways of looking them up.

use crate::support::need;
use crate::support::ordinary;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use lictor::decision::{Context, Decision, Effect, Request, decide};
use lictor::path::{CanonicalPath, Switches};
use lictor::policy::CompiledPolicy;
use lictor::policy::model::DiskRules;
use lictor::reason::Reason;
use lictor::resolve::{
    ComponentWalk, Identity, Kind, Openat2, Resolver, Surveyed, Workspace, resolve_paths, survey,
};
use lictor::testing;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::{Mode, SFlag, mknod};
use nix::unistd::{Gid, Uid, setfsgid, setfsuid};
use proptest::prelude::*;

/// A workspace beside a directory that nothing may lead to.
struct Tree {
    root: tempfile::TempDir,
}

impl Tree {
    fn new() -> Tree {
        let root = tempfile::Builder::new()
            .permissions(fs::Permissions::from_mode(0o755))
            .tempdir()
            .unwrap();
        let tree = Tree { root };
        fs::create_dir(tree.work()).unwrap();
        tree.outside("outside/secret");
        tree
    }

    fn work(&self) -> PathBuf {
        self.root.path().canonicalize().unwrap().join("work")
    }

    fn outside(&self, path: &str) {
        write(&self.work().parent().unwrap().join(path));
    }

    fn file(&self, path: impl AsRef<[u8]>) -> PathBuf {
        let path = self.work().join(OsStr::from_bytes(path.as_ref()));
        write(&path);
        path
    }

    fn text(&self, path: &str, text: &str) {
        fs::write(self.file(path), text).unwrap();
    }

    fn link(&self, path: &str, target: impl AsRef<Path>) {
        let path = self.work().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(target, path).unwrap();
    }

    fn workspace(&self) -> Workspace {
        Workspace::open_root(&self.work()).unwrap()
    }
}

fn write(path: &Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, "x").unwrap();
}

fn canonical(path: &str) -> CanonicalPath {
    if path == "." {
        return CanonicalPath::workspace();
    }
    CanonicalPath::parse(path.as_bytes(), &Switches::default()).unwrap()
}

fn rules(links: bool, mounts: bool) -> DiskRules {
    let mut rules = DiskRules::default();
    rules.symlinks_within = links;
    rules.cross_mounts = mounts;
    rules
}

type Answer = Result<(Identity, Kind, Option<String>), Reason>;

fn ask(work: &Path, resolver: Box<dyn Resolver>, path: &str, rules: DiskRules) -> Answer {
    let workspace = Workspace::open_root_with(work, resolver).unwrap();
    let opened = workspace.open(&canonical(path), rules)?;
    let real = opened.real().map(|real| real.as_str().to_owned());
    Ok((opened.identity().clone(), opened.kind(), real))
}

/// Both ways, which have to agree; the answer without links and the one with them.
#[track_caller]
fn both(work: &Path, path: &str) -> [Answer; 2] {
    let [[strict, _], [within, _]] = [false, true].map(|links| {
        [false, true].map(|mounts| {
            let by_call = ask(work, Box::new(Openat2), path, rules(links, mounts));
            let by_walk = ask(work, Box::new(ComponentWalk), path, rules(links, mounts));
            assert_eq!(by_call, by_walk, "{path}: links {links}, mounts {mounts}");
            by_call
        })
    });
    [strict, within]
}

#[track_caller]
fn check(tree: &Tree, path: &str, strict: Result<(), Reason>, within: Result<&str, Reason>) {
    let [without_links, with_links] = both(&tree.work(), path);
    assert_eq!(without_links.map(drop), strict, "{path}, links denied");
    let real = with_links.map(|(_, _, real)| real.unwrap_or_else(|| path.to_owned()));
    assert_eq!(real, within.map(str::to_owned), "{path}, links within");
}

#[test]
fn both_ways_of_looking_up_answer_alike() {
    use Reason::{
        PathEscapeDenied as Escape, PathNotDirectory as NotDirectory, PathNotFound as Missing,
        PathSymlinkDenied as Link,
    };
    let tree = Tree::new();
    tree.file("dir/sub/file");
    tree.file("odd/@types");
    tree.file("odd/a b");
    fs::hard_link(tree.work().join("dir/sub/file"), tree.work().join("twin")).unwrap();
    tree.link("in", "dir/sub");
    tree.link("up", "dir/../dir/sub/file");
    tree.link("slash", "dir/sub/");
    tree.link("file-slash", "twin/");
    tree.link("dot", ".");
    tree.link("dir/top", "..");
    tree.link("out", "../outside");
    tree.link("out-and-in", "../work/dir");
    tree.link("abs", tree.work().join("dir"));
    tree.link("etc", "/etc");
    tree.link("dangling", "nowhere");
    tree.link("loop-a", "loop-b");
    tree.link("loop-b", "loop-a");
    tree.link("self", "self");
    tree.link("through-file", "twin/x");
    tree.link("up-from-file", "twin/../dir");
    for nth in 0..50_u32 {
        tree.link(&format!("chain/{nth}"), format!("{}", nth + 1));
    }
    tree.file("chain/50");

    check(&tree, "dir/sub/file", Ok(()), Ok("dir/sub/file"));
    check(&tree, ".", Ok(()), Ok("."));
    check(&tree, "dir/sub", Ok(()), Ok("dir/sub"));
    check(&tree, "odd/@types", Ok(()), Ok("odd/@types"));
    check(&tree, "odd/a b", Ok(()), Ok("odd/a b"));
    check(&tree, "missing", Err(Missing), Err(Missing));
    check(&tree, "dir/missing/x", Err(Missing), Err(Missing));
    check(&tree, "twin/x", Err(NotDirectory), Err(NotDirectory));
    check(&tree, "in", Err(Link), Ok("dir/sub"));
    check(&tree, "in/file", Err(Link), Ok("dir/sub/file"));
    check(&tree, "up", Err(Link), Ok("dir/sub/file"));
    check(&tree, "slash/file", Err(Link), Ok("dir/sub/file"));
    check(&tree, "file-slash", Err(Link), Err(NotDirectory));
    check(&tree, "dot/dot/dir", Err(Link), Ok("dir"));
    check(&tree, "dir/top", Err(Link), Ok("."));
    check(&tree, "dir/top/in/file", Err(Link), Ok("dir/sub/file"));
    check(&tree, "out/secret", Err(Link), Err(Escape));
    check(&tree, "out-and-in/sub", Err(Link), Err(Escape));
    check(&tree, "abs/sub", Err(Link), Err(Escape));
    check(&tree, "etc/passwd", Err(Link), Err(Escape));
    check(&tree, "dangling", Err(Link), Err(Missing));
    check(&tree, "loop-a", Err(Link), Err(Link));
    check(&tree, "self/x", Err(Link), Err(Link));
    check(&tree, "through-file", Err(Link), Err(NotDirectory));
    check(&tree, "up-from-file", Err(Link), Err(NotDirectory));
    check(&tree, "chain/10", Err(Link), Ok("chain/50"));
    check(&tree, "chain/9", Err(Link), Err(Link));
    check(&tree, "chain/0", Err(Link), Err(Link));
}

/// A name of a small tree, where names meet each other often.
fn name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&["a", "b", "c", "d"][..])
}

/// What a link of the small tree says, or a path that is asked for: also up, out and nowhere.
fn way() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        6 => name(),
        2 => Just(".."),
        1 => Just("."),
        1 => Just(""),
        1 => Just("outside"),
        1 => Just("work"),
    ];
    let rooted = prop::sample::select(&["", "", "", "", "/", "ROOT/"][..]);
    (rooted, prop::collection::vec(part, 1..5))
        .prop_map(|(root, parts)| format!("{root}{}", parts.join("/")))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Any tree of a few directories, files and links, and any path into it: both ways give the same
    /// reason or the same file, and what is opened is where `realpath` says, inside.
    #[test]
    fn both_ways_answer_alike_on_any_tree(
        made in prop::collection::vec((prop::collection::vec(name(), 1..4), prop::option::of(way())), 1..14),
        asked in prop::collection::vec(prop::collection::vec(name(), 1..6), 8),
    ) {
        let tree = Tree::new();
        for (place, target) in &made {
            let (name, above) = place.split_last().unwrap();
            // Where something else stands already the tree is another one. No link is followed: some lead out.
            let mut path = tree.work();
            let is_free = above.iter().all(|part| {
                path.push(part);
                match fs::symlink_metadata(&path) {
                    Ok(found) => found.is_dir(),
                    Err(_) => fs::create_dir(&path).is_ok(),
                }
            });
            path.push(name);
            if !is_free || fs::symlink_metadata(&path).is_ok() {
                continue;
            }
            let _ = match target {
                Some(target) if !target.is_empty() => {
                    symlink(target.replace("ROOT", tree.work().to_str().unwrap()), &path)
                }
                _ => fs::write(&path, "x"),
            };
        }
        for path in asked {
            let path = path.join("/");
            let [strict, within] = both(&tree.work(), &path);
            let real = tree.work().join(&path).canonicalize();
            match &within {
                Ok((_, _, found)) => {
                    let real = real.unwrap();
                    let found = found.as_deref().unwrap_or(&path);
                    let found = if found == "." { tree.work() } else { tree.work().join(found) };
                    prop_assert_eq!(real, found);
                }
                Err(Reason::PathNotFound | Reason::PathNotDirectory) => prop_assert!(real.is_err()),
                Err(reason) => prop_assert!(
                    matches!(reason, Reason::PathEscapeDenied | Reason::PathSymlinkDenied), "{path}: {reason}"
                ),
            }
            // Without links the answer is the same, or that there is one.
            match strict {
                Ok((_, _, real)) => prop_assert_eq!(real, None),
                Err(Reason::PathSymlinkDenied) => {}
                Err(reason) => prop_assert_eq!(within, Err(reason)),
            }
        }
    }
}

#[test]
fn files_that_are_neither_file_nor_directory_are_told_apart() {
    let tree = Tree::new();
    let fifo = tree.work().join("fifo");
    nix::unistd::mkfifo(&fifo, Mode::S_IRUSR).unwrap();
    let _socket = UnixListener::bind(tree.work().join("socket")).unwrap();
    let mut odd = vec!["fifo", "socket"];
    let device = tree.work().join("device");
    match mknod(
        &device,
        SFlag::S_IFCHR,
        Mode::S_IRUSR,
        nix::libc::makedev(1, 3),
    ) {
        Ok(()) => odd.push("device"),
        Err(errno) => need::lacks("root", format!("no devices: {errno}")),
    }
    let policy = policy("");
    for name in odd {
        let [strict, within] = both(&tree.work(), name);
        assert_eq!(strict.unwrap().1, Kind::Other, "{name}");
        assert_eq!(within.unwrap().1, Kind::Other, "{name}");
        assert_eq!(read(&tree, &policy, name), Err(Reason::PathNotRegular));
    }
}

#[test]
fn a_link_to_a_name_that_no_path_can_hold_is_refused() {
    let tree = Tree::new();
    tree.file(b"odd/\xff\xfe");
    tree.file("odd/e\u{301}");
    tree.link("bytes", OsStr::from_bytes(b"odd/\xff\xfe"));
    tree.link("decomposed", "odd/e\u{301}");
    check(
        &tree,
        "bytes",
        Err(Reason::PathSymlinkDenied),
        Err(Reason::PathEncodingDenied),
    );
    // The rules speak about the composed name, which is no file or another one.
    check(
        &tree,
        "decomposed",
        Err(Reason::PathSymlinkDenied),
        Err(Reason::PathFsError),
    );
}

#[test]
fn who_may_not_pass_through_a_directory_is_told_so() {
    if !need::root("only root can act as somebody else") {
        return;
    }
    let tree = Tree::new();
    tree.file("closed/file");
    tree.file("listless/file");
    tree.link("to-closed", "closed/file");
    tree.link("back", "closed/../listless");
    let mode = |name, mode| {
        fs::set_permissions(tree.work().join(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    mode("closed", 0o700);
    mode("listless", 0o711);
    as_somebody_else(|| {
        let unreadable = Err(Reason::PathUnreadable);
        check(
            &tree,
            "closed/file",
            Err(Reason::PathUnreadable),
            Err(Reason::PathUnreadable),
        );
        check(&tree, "closed", Ok(()), Ok("closed"));
        check(
            &tree,
            "to-closed",
            Err(Reason::PathSymlinkDenied),
            Err(Reason::PathUnreadable),
        );
        check(
            &tree,
            "back",
            Err(Reason::PathSymlinkDenied),
            Err(Reason::PathUnreadable),
        );
        check(&tree, "listless/file", Ok(()), Ok("listless/file"));
        // A tree that cannot be looked through is denied, not skipped.
        let policy = policy("  - {id: no-secrets, deny: \"*\", touching: secrets}\n");
        assert_eq!(read(&tree, &policy, "listless"), unreadable);
        assert_eq!(read(&tree, &policy, "."), unreadable);
        assert_eq!(read(&tree, &policy, "listless/file"), Ok(()));
    });
}

/// Runs it with the rights over files that user 1001 has. Threads have their own.
fn as_somebody_else(claims: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            setfsgid(Gid::from_raw(1001));
            setfsuid(Uid::from_raw(1001));
            claims();
        });
        thread.join().unwrap();
    });
}

#[test]
fn other_mounts_are_seen_even_of_the_same_device() {
    let tree = Tree::new();
    tree.file("dir/file");
    tree.link("to-bound", "bound/file");
    tree.link("to-proc", "proc/version");
    for name in ["bound", "proc"] {
        fs::create_dir(tree.work().join(name)).unwrap();
    }
    let bound_file = tree.file("bound-file");
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            // Mounts of this thread only; they end with it.
            let none = None::<&str>;
            let made = unshare(CloneFlags::CLONE_NEWNS)
                .and_then(|()| mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none))
                .and_then(|()| {
                    let from = tree.work().join("dir");
                    let to = tree.work().join("bound");
                    mount(Some(&from), &to, none, MsFlags::MS_BIND, none)
                })
                .and_then(|()| {
                    let from = tree.work().join("dir/file");
                    mount(Some(&from), &bound_file, none, MsFlags::MS_BIND, none)
                })
                .and_then(|()| {
                    let to = tree.work().join("proc");
                    mount(Some("proc"), &to, Some("proc"), MsFlags::empty(), none)
                });
            if let Err(errno) = made {
                return need::lacks("mounts", errno);
            }
            let escape = || Err(Reason::PathEscapeDenied);
            check(&tree, "dir/file", Ok(()), Ok("dir/file"));
            check(&tree, "bound", Err(Reason::PathEscapeDenied), escape());
            check(&tree, "bound/file", Err(Reason::PathEscapeDenied), escape());
            check(&tree, "bound-file", Err(Reason::PathEscapeDenied), escape());
            check(&tree, "to-bound", Err(Reason::PathSymlinkDenied), escape());
            check(
                &tree,
                "proc/self/cwd",
                Err(Reason::PathEscapeDenied),
                escape(),
            );
            check(&tree, "to-proc", Err(Reason::PathSymlinkDenied), escape());
            let crossing = rules(true, true);
            for resolver in resolvers() {
                let ask = |path| {
                    let name = format!("{resolver:?}");
                    let again: Box<dyn Resolver> = if name == "Openat2" {
                        Box::new(Openat2)
                    } else {
                        Box::new(ComponentWalk)
                    };
                    ask(&tree.work(), again, path, crossing)
                };
                assert!(ask("bound/file").is_ok());
                assert!(ask("proc/version").is_ok());
                assert!(ask("to-proc").is_ok());
                for made_up in ["proc/self/cwd", "proc/self/exe", "proc/self/root/etc"] {
                    assert_eq!(ask(made_up), Err(Reason::PathSymlinkDenied), "{made_up}");
                }
            }
            // A tree with another mount below is not looked into.
            let policy = policy("  - {id: no-secrets, deny: \"*\", touching: secrets}\n");
            assert_eq!(read(&tree, &policy, "."), Err(Reason::PathEscapeDenied));
        });
        thread.join().unwrap();
    });
}

fn resolvers() -> [Box<dyn Resolver>; 2] {
    [Box::new(Openat2), Box::new(ComponentWalk)]
}

#[test]
fn a_workspace_behind_a_link_is_refused_and_one_that_is_gone_allows_nothing() {
    let tree = Tree::new();
    let link = tree.work().parent().unwrap().join("link");
    symlink(tree.work(), &link).unwrap();
    fs::create_dir(tree.work().join("sub")).unwrap();
    for path in [link.clone(), link.join("sub")] {
        for resolver in resolvers() {
            let error = Workspace::open_root_with(&path, resolver).unwrap_err();
            assert_eq!(error.reason(), Reason::WorkspaceSymlinkDenied);
        }
    }
    let policy = policy("");
    let workspace = tree.workspace();
    let asked = |path| decided(&policy, &workspace, "write_file", path);
    assert_eq!(asked("new"), Ok(()));
    fs::rename(tree.work(), tree.work().with_extension("old")).unwrap();
    assert_eq!(asked("new"), Err(Reason::PathNotFound));
    fs::create_dir(tree.work()).unwrap();
    assert_eq!(asked("new"), Err(Reason::PathNotFound));
    let removed = tree.workspace();
    fs::remove_dir(tree.work()).unwrap();
    let asked = decided(&policy, &removed, "write_file", "new");
    assert_eq!(asked, Err(Reason::PathNotFound));
}

/// Every recorded hostile path, against a tree where there is something to be had: none is allowed and
/// leads out of the scope.
#[test]
fn no_hostile_path_gets_anywhere_on_a_real_tree() {
    let tree = scoped_tree();
    for (link, target) in [("scope/up", ".."), ("scope/out", "/"), ("scope/in", "b")] {
        tree.link(link, target);
    }
    let policies = ["deny", "within"].map(|links| {
        let text = format!(
            "version: 1\nname: scope\nuse: lictor/files@1\npaths: {{symlinks: {links}}}\n\
             scopes: {{scope: \"scope/**\"}}\n\
             rules: [{{id: all, allow: \"filesystem.*\", within: scope}}]\n"
        );
        CompiledPolicy::from_yaml(&text).unwrap()
    });
    let scope = tree.work().join("scope");
    let workspace = tree.workspace();
    let (mut tried, mut allowed) = (0, 0);
    for path in recorded_paths() {
        for (policy, action) in policies
            .iter()
            .zip(["read_file", "write_file"].iter().cycle())
        {
            let value = lictor::decision::Value::Text(path.clone());
            let request = Request::named("filesystem", *action).with_arg("path", value);
            let decision = on_disk(policy, &workspace, &request);
            tried += 1;
            if decision.effect() != Effect::Allow {
                continue;
            }
            allowed += 1;
            let canonical = decision
                .findings()
                .first()
                .unwrap()
                .canonical
                .clone()
                .unwrap();
            let used = tree.work().join(&canonical);
            let real = used.ancestors().find_map(|above| above.canonicalize().ok());
            assert!(real.unwrap().starts_with(&scope), "{canonical}");
        }
    }
    assert!(
        tried > 2_000 && allowed > 10,
        "{tried} tried, {allowed} allowed"
    );
}

/// The paths of `tests/data`, with `scope` in the place of the scope that they are about.
fn recorded_paths() -> Vec<Vec<u8>> {
    let mut paths = Vec::new();
    for file in [
        "hostile_paths.jsonl",
        "more_paths.jsonl",
        "benign_paths.jsonl",
    ] {
        let data = format!("{}/tests/data/{file}", env!("CARGO_MANIFEST_DIR"));
        for line in fs::read_to_string(data).unwrap().lines() {
            let case: serde_json::Value = serde_json::from_str(line).unwrap();
            let path = match (case.get("path"), case.get("path_b64")) {
                (Some(text), _) => text.as_str().unwrap().as_bytes().to_vec(),
                (None, Some(b64)) => data_encoding::BASE64
                    .decode(b64.as_str().unwrap().as_bytes())
                    .unwrap(),
                (None, None) => panic!("{line}"),
            };
            let text = String::from_utf8(path.clone()).ok();
            let in_scope = text.map(|text| text.replace("runtime/tests", "scope").into_bytes());
            paths.push(in_scope.unwrap_or(path));
        }
    }
    paths
}

/// A policy that lets everything be read and written but what `more` says, with links.
fn policy(more: &str) -> CompiledPolicy {
    policy_with("{symlinks: within, dot: strip}", more)
}

fn policy_with(paths: &str, more: &str) -> CompiledPolicy {
    compiled("[lictor/files@1, lictor/git@1]", paths, more)
}

fn policy_of(libraries: &str, more: &str) -> CompiledPolicy {
    compiled(libraries, "{symlinks: within, dot: strip}", more)
}

fn compiled(libraries: &str, paths: &str, more: &str) -> CompiledPolicy {
    let text = format!(
        "version: 1
name: disk
use: {libraries}
paths: {paths}
scopes: {{all: \"**\", src: \"src/**\", given: \"given/**\", secrets: \"**/.env*\"}}
rules:
  - {{id: files, allow: \"*\", within: all}}
{more}"
    );
    crate::support::compiled(&text)
}

fn read(tree: &Tree, policy: &CompiledPolicy, path: &str) -> Result<(), Reason> {
    decided(policy, &tree.workspace(), "search", path)
}

fn decided(
    policy: &CompiledPolicy,
    workspace: &Workspace,
    action: &str,
    path: &str,
) -> Result<(), Reason> {
    let request = Request::named("filesystem", action).with_arg("path", path);
    outcome(&on_disk(policy, workspace, &request))
}

/// By both ways of looking up, as long as the workspace can be opened a second time.
fn on_disk(policy: &CompiledPolicy, workspace: &Workspace, request: &Request) -> Decision {
    let context = Context::new("test");
    let by = |workspace: &Workspace| {
        let decision = decide(policy, request, &context);
        resolve_paths(policy, decision, &context, workspace)
    };
    let decision = by(workspace);
    let again = Workspace::open_root_with(workspace.path(), Box::new(ComponentWalk));
    if let Ok(again) = again.as_ref().map(by)
        && workspace.is_in_place()
    {
        assert_eq!(again.to_json(), decision.to_json(), "{request:?}");
    }
    decision
}

fn outcome(decision: &Decision) -> Result<(), Reason> {
    match decision.effect() {
        Effect::Allow => Ok(()),
        Effect::Ask | Effect::Deny => Err(decision.reason().unwrap()),
    }
}

#[test]
fn rules_speak_about_the_given_path_and_about_the_real_one() {
    let tree = Tree::new();
    tree.file("data/plain");
    tree.file("data/secret.txt");
    tree.file("keys/key");
    tree.file(".git/config");
    tree.link("given", "data");
    tree.link("alias", "keys");
    tree.link("src/key", "../keys/key");
    tree.link("repo", ".git");
    tree.link("new-key", "keys/new");
    tree.link("new-out", "../outside/new");
    let policy = CompiledPolicy::from_yaml(
        "version: 1
name: disk
use: lictor/files@1
paths: {symlinks: within}
scopes: {all: \"**\", keys: \"keys/**\", hidden: \"given/secret*\"}
rules:
  - {id: files, allow: \"filesystem.*\", within: all}
  - {id: no-keys, deny: \"*\", touching: keys}
  - {id: no-given, deny: \"*\", touching: hidden}
",
    )
    .unwrap();
    let workspace = tree.workspace();
    let check = |action, path, expected: Result<(), Reason>| {
        let found = decided(&policy, &workspace, action, path);
        assert_eq!(found, expected, "{action} {path}");
    };
    let denied = || Err(Reason::DeniedByRule);
    check("read_file", "given/plain", Ok(()));
    check("read_file", "given/secret.txt", denied());
    check("read_file", "data/secret.txt", Ok(()));
    check("read_file", "src/key", denied());
    check("read_file", "alias/key", denied());
    // Not there yet, below a linked directory.
    check("write_file", "given/new", Ok(()));
    check("write_file", "given/secret-new", denied());
    check("write_file", "alias/new", denied());
    // A link that leads to nothing yet: what is written comes to be where it points to.
    check("write_file", "new-key", Err(Reason::PathSymlinkDenied));
    check("write_file", "new-out", Err(Reason::PathEscapeDenied));
    // A protected name that a link leads to.
    check("read_file", "repo/config", Err(Reason::PathProtectedDenied));
    check("write_file", "repo/hooks", Err(Reason::PathProtectedDenied));
    // A tree below a link is looked at under both names.
    check("search", "data", Ok(()));
    check("search", "given", Err(Reason::PathTreeTouchesDenied));
    check("search", "alias", denied());
    // Directories that are missing are made too, and judged.
    check("write_file", "given/a/b", Ok(()));
    check("write_file", "given/secret-a/b", denied());
    check("write_file", "alias/a/b", denied());
    check("write_file", "new-key/a", Err(Reason::PathSymlinkDenied));
}

#[test]
fn what_allows_a_linked_directory_has_to_reach_down_under_both_names() {
    let tree = Tree::new();
    tree.file("data/plain");
    tree.link("given", "data");
    let policy = CompiledPolicy::from_yaml(
        "version: 1
name: disk
use: lictor/files@1
paths: {symlinks: within}
scopes: {given: \"given/**\", top: \"*\"}
rules: [{id: files, allow: \"filesystem.*\", within: [given, top]}]
",
    )
    .unwrap();
    let found = decided(&policy, &tree.workspace(), "search", "given");
    assert_eq!(found, Err(Reason::PathOutsideAllowedScope));
}

#[test]
fn rules_that_only_together_allow_all_below_a_directory_allow_it() {
    let tree = Tree::new();
    tree.file("src/a/b");
    let workspace = tree.workspace();
    let check = |scopes: &str, rules: &str, expected: Result<(), &str>| {
        let policy = CompiledPolicy::from_yaml(&format!(
            "version: 1\nname: disk\nuse: lictor/files@1\nscopes: {{{scopes}}}\napprovals: {{c: {{env: C}}}}\nrules:\n{rules}"
        ))
        .unwrap();
        let request = Request::named("filesystem", "search").with_arg("path", "src");
        let decision = on_disk(&policy, &workspace, &request);
        match expected {
            Ok(()) => assert_eq!(outcome(&decision), Ok(()), "{scopes}"),
            Err(lacks) => {
                assert_eq!(
                    outcome(&decision),
                    Err(Reason::PathOutsideAllowedScope),
                    "{scopes}"
                );
                assert!(decision.message().contains(lacks), "{}", decision.message());
            }
        }
    };
    let one = "  - {id: r, allow: filesystem.search, within: s}\n";
    check("s: [src, \"src/*\", \"src/*/**\"]", one, Ok(()));
    check("s: [\"{src,docs}/**\"]", one, Ok(()));
    check("s: [src, \"src/*/*/**\"]", one, Err("`src/a`"));
    check(
        "s: [src, \"src/[a-z]*/**\", \"src/[!a-z]*/**\"]",
        one,
        Err("for example"),
    );
    check("s: [\"src/**/*\"]", one, Err("`src`"));
    // What is excluded here and allowed there is allowed.
    let two = "  - {id: r, allow: filesystem.search, within: s}\n  - {id: q, allow: filesystem.search, within: t}\n";
    check(
        "s: {include: \"src/**\", exclude: \"src/a/**\"}, t: \"src/a/**\"",
        two,
        Ok(()),
    );
    check(
        "s: {include: \"src/**\", exclude: \"src/a/**\"}, t: \"src/a/*\"",
        two,
        Err("`src/a`"),
    );
    // No request can name it, and a search reads it.
    check(
        "s: {include: \"src/**\", exclude: \"**/.git/**\"}",
        one,
        Err("`src/.git`"),
    );
    // An allow whose approval is missing does not count.
    let approved = "  - {id: r, allow: filesystem.search, within: s}\n  - {id: q, allow: filesystem.search, within: t, approval: c}\n";
    check(
        "s: [src, \"src/*\"], t: \"src/*/**\"",
        approved,
        Err("`src/a/a`"),
    );
}

#[test]
fn a_denied_file_below_a_directory_is_found_and_named() {
    let tree = Tree::new();
    tree.file("src/deep/er/.env.local");
    tree.file("src/@types/index");
    tree.file("clean/a");
    tree.file("node_modules/@types/x");
    let policy = policy("  - {id: no-secrets, deny: \"*\", touching: secrets}\n");
    let workspace = tree.workspace();
    let request = Request::named("filesystem", "search").with_arg("path", "src");
    let decision = on_disk(&policy, &workspace, &request);
    assert_eq!(outcome(&decision), Err(Reason::PathTreeTouchesDenied));
    assert!(
        decision.message().contains("`src/deep/er/.env.local`"),
        "{}",
        decision.message()
    );
    assert_eq!(read(&tree, &policy, "clean"), Ok(()));
    assert_eq!(read(&tree, &policy, "node_modules"), Ok(()));
    assert_eq!(
        read(&tree, &policy, "."),
        Err(Reason::PathTreeTouchesDenied)
    );
    tree.file(b"clean/\xff");
    assert_eq!(
        read(&tree, &policy, "clean"),
        Err(Reason::PathTreeTouchesDenied)
    );
}

#[test]
fn a_denied_file_is_found_and_named_whichever_program_would_read_it() {
    let tree = Tree::new();
    tree.file("src/main.rs");
    tree.file("src/deep/.env");
    tree.file("clean/main.rs");
    let policy = policy_of(
        "[lictor/files@1, lictor/git@1, lictor/coreutils@1]",
        "  - {id: no-secrets, deny: \"*\", touching: secrets}\n",
    );
    let workspace = tree.workspace();
    let named = |request: Request| {
        let decision = on_disk(&policy, &workspace, &request);
        let found = outcome(&decision);
        if let Err(reason) = found {
            assert_eq!(reason, Reason::PathTreeTouchesDenied, "{request:?}");
            let told = decision.message().to_owned();
            assert!(told.contains("`src/deep/.env`"), "{request:?}: {told}");
        }
        found.is_err()
    };
    let argv = |line: &str| Request::argv(line.split(' '));
    for line in [
        "rg KEY src",
        "rg KEY .",
        "rg KEY",
        "rg -g *env KEY src",
        "grep -rn KEY src",
        "grep -rn KEY src/",
        "git add .",
        "git add -A",
        "git add src",
        "git grep KEY -- src",
        "git diff",
        "diff -r src clean",
    ] {
        assert!(named(argv(line)), "{line}");
    }
    // No name that the pattern matches is a secret's.
    assert!(!named(argv("rg -g *.rs KEY src")));
    let grep = |path: &str| Request::named("filesystem", "search").with_arg("path", path);
    assert!(named(grep("src")));
    // Without a path it is the workspace.
    assert!(named(Request::named("filesystem", "search")));
    // From a directory further down it is that directory.
    assert!(!named(argv("rg KEY").with_cwd("clean")));
    assert!(named(argv("rg KEY").with_cwd("src")));
    assert!(named(argv("git -C src add .")));
    for line in [
        "rg KEY clean",
        "grep -r KEY clean",
        "git add clean",
        "ls -R src",
        "find src -name x",
    ] {
        assert!(!named(argv(line)), "{line}");
    }
    assert!(!named(grep("clean")));
}

#[test]
fn twins_in_another_normal_form_are_looked_into() {
    let tree = Tree::new();
    tree.file("\u{e9}/plain");
    tree.file("e\u{301}/.env");
    let policy = policy("  - {id: no-secrets, deny: \"*\", touching: secrets}\n");
    assert_eq!(
        read(&tree, &policy, "."),
        Err(Reason::PathTreeTouchesDenied)
    );
}

#[test]
fn what_git_ignores_is_skipped_and_nothing_else() {
    let tree = Tree::new();
    let policy = policy("  - {id: no-secrets, deny: \"*\", touching: secrets}\n");
    let add = |path: &str| {
        let request = Request::argv(["git", "add", path]);
        outcome(&on_disk(&policy, &tree.workspace(), &request))
    };
    let touches = || Err(Reason::PathTreeTouchesDenied);
    tree.file("a/plain");
    tree.file("a/.env");
    tree.text(".gitignore", ".env\nbuild/\n");
    tree.file("build/.env");
    // No repository, or one further up: nothing is ignored.
    assert_eq!(add("a"), touches());
    tree.text(".git/HEAD", "ref: refs/heads/main\n");
    assert_eq!(add("a"), Ok(()));
    // Git's own directory is no part of the tree.
    tree.file(".git/.env");
    assert_eq!(add("a"), Ok(()));
    // Only a link of that name, or one that cannot be read, tells nothing.
    tree.text("rules", "!nothing\n");
    tree.link("a/.gitignore", "../rules");
    assert_eq!(add("a"), touches());
    fs::remove_file(tree.work().join("a/.gitignore")).unwrap();
    // Taken out again further down.
    tree.text("a/.gitignore", "!.env\n");
    assert_eq!(add("a"), touches());
    fs::remove_file(tree.work().join("a/.gitignore")).unwrap();
    // A repository in the repository.
    tree.text("a/.git/HEAD", "ref: refs/heads/main\n");
    assert_eq!(add("a"), touches());
    fs::remove_dir_all(tree.work().join("a/.git")).unwrap();
    // A directory that is ignored itself.
    assert_eq!(add("build"), touches());
    // What cannot be understood: nothing is ignored, and git is not asked.
    tree.text(".git/index", "DIRC nonsense");
    assert_eq!(add("a"), Err(Reason::RepositoryNotTrusted));
}

#[test]
fn a_fifo_in_the_place_of_a_file_of_gits_is_not_waited_for() {
    let policy = policy("  - {id: no-secrets, deny: \"*\", touching: secrets}\n");
    let fifo = |path: PathBuf| nix::unistd::mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
    type Place = fn(&Tree) -> PathBuf;
    let (unread, refused) = (Reason::PathTreeTouchesDenied, Reason::RepositoryNotTrusted);
    let places: [(Place, Reason); 5] = [
        (|tree| tree.work().join(".git/index"), refused),
        (|tree| tree.work().join(".git/config"), refused),
        (
            |tree| {
                fs::rename(tree.work().join(".git"), tree.work().join("git")).unwrap();
                tree.work().join(".git")
            },
            refused,
        ),
        (
            |tree| {
                fs::rename(tree.work().join(".git"), tree.work().join("git")).unwrap();
                tree.text(".git", "gitdir: git\n");
                tree.text("git/config", "[core]\n\tworktree = ..\n");
                tree.work().join("git/index")
            },
            refused,
        ),
        (|tree| tree.work().join("a/.gitignore"), unread),
    ];
    for (place, reason) in places {
        let tree = Tree::new();
        tree.text(".gitignore", ".env\n");
        tree.text(".git/HEAD", "ref: refs/heads/main\n");
        tree.file("a/.env");
        fifo(place(&tree));
        let request = Request::argv(["git", "add", "a"]);
        let decided = outcome(&on_disk(&policy, &tree.workspace(), &request));
        // What cannot be read tells nothing.
        assert_eq!(decided, Err(reason));
    }
}

#[test]
fn the_policy_is_not_written_to_by_another_name() {
    let tree = Tree::new();
    tree.file("lictor.yaml");
    tree.file("src/plain");
    tree.file("../ledger/key");
    for (of, name) in [
        ("lictor.yaml", "src/twin"),
        ("../ledger/key", "src/record"),
        ("src/plain", "src/same"),
    ] {
        fs::hard_link(tree.work().join(of), tree.work().join(name)).unwrap();
    }
    tree.link("src/link", "twin");
    let policy = policy("");
    let guarded = || {
        [
            tree.work().join("lictor.yaml"),
            tree.work().join("../ledger"),
        ]
    };
    for resolver in resolvers() {
        let workspace = Workspace::open_root_with(&tree.work(), resolver).unwrap();
        let workspace = workspace.guarding(guarded());
        let context = Context::new("test");
        let asked = |action: &str, path: &str| {
            let request = Request::named("filesystem", action).with_arg("path", path);
            let decision = decide(&policy, &request, &context);
            resolve_paths(&policy, decision, &context, &workspace)
        };
        for path in ["src/twin", "src/record", "src/link"] {
            let written = outcome(&asked("write_file", path));
            assert_eq!(written, Err(Reason::SelfProtected), "{path}");
            assert_eq!(outcome(&asked("read_file", path)), Ok(()), "{path}");
        }
        // Others are told of.
        let decision = asked("write_file", "src/same");
        assert_eq!(outcome(&decision), Ok(()));
        assert_eq!(decision.findings()[0].hard_links, Some(2));
        let json = decision.to_json().to_string();
        assert!(json.contains("\"hard_links\":2"), "{json}");
        // A survey says the same.
        let mut told = Vec::new();
        let arguments = Surveyed::of(&policy, "test", Some("filesystem"), Some("write_file"));
        survey(
            &policy,
            &context,
            &workspace,
            &arguments,
            &mut |path, _, verdict| {
                if verdict.reason == Some(Reason::SelfProtected) {
                    told.push(String::from_utf8(path.to_vec()).unwrap());
                }
            },
        )
        .unwrap();
        assert_eq!(told, ["lictor.yaml", "src/link", "src/record", "src/twin"]);
    }
}

#[test]
fn a_tracked_file_is_not_ignored_whatever_is_said() {
    let tree = Tree::new();
    tree.file("a/plain");
    let Some(()) = git(&tree, &["init", "-q"]) else {
        return need::lacks("git", "it cannot be started");
    };
    tree.file("a/.env");
    git(&tree, &["add", "-f", "a/.env"]).unwrap();
    tree.text(".gitignore", ".env\n");
    let policy = policy("  - {id: no-secrets, deny: \"*\", touching: secrets}\n");
    let add = |path: &str| {
        let request = Request::argv(["git", "add", path]);
        outcome(&on_disk(&policy, &tree.workspace(), &request))
    };
    assert_eq!(add("a"), Err(Reason::PathTreeTouchesDenied));
    git(&tree, &["rm", "-q", "--cached", "a/.env"]).unwrap();
    assert_eq!(add("a"), Ok(()));
}

/// Runs git without anybody's settings.
fn git(tree: &Tree, args: &[&str]) -> Option<()> {
    let status = std::process::Command::new("git")
        .args(args)
        .current_dir(tree.work())
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("HOME", tree.root.path())
        .status()
        .ok()?;
    status.success().then_some(())
}

#[test]
fn a_survey_answers_as_the_requests_for_its_files_do() {
    let tree = Tree::new();
    for name in [
        "a",
        "src/b",
        "src/.env",
        "odd/a:b",
        ".git/config",
        "lictor.yaml",
        "-x",
    ] {
        tree.file(name);
    }
    tree.link("in", "src/b");
    tree.link("secret", "src/.env");
    tree.link("out", "/etc/passwd");
    tree.link("nothing", "nowhere");
    fs::hard_link(tree.work().join("a"), tree.work().join("twin")).unwrap();
    for paths in [
        "{symlinks: within, dot: strip}",
        "{symlinks: deny, hardlinks: deny, dot: strip}",
    ] {
        let policy = policy_with(
            paths,
            "  - {id: no-secrets, deny: \"*\", touching: secrets}\n",
        );
        let context = Context::new("test");
        let arguments = Surveyed::of(&policy, "test", Some("filesystem"), Some("read_file"));
        let workspace = tree.workspace();
        let mut seen = 0;
        survey(
            &policy,
            &context,
            &workspace,
            &arguments,
            &mut |path, _, verdict| {
                seen += 1;
                let path = std::str::from_utf8(path).unwrap();
                let asked = decided(&policy, &workspace, "read_file", path);
                let told = match verdict.effect {
                    Effect::Allow => Ok(()),
                    Effect::Ask | Effect::Deny => Err(verdict.reason.unwrap()),
                };
                assert_eq!(told, asked, "{path} with {paths}");
            },
        )
        .unwrap();
        assert_eq!(seen, 12);
    }
}

thread_local! {
    static HERE: (Tree, CompiledPolicy) = (scoped_tree(), scope_policy());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// The kernel reads what was written, not what it was taken for.
    #[test]
    fn what_is_allowed_opens_inside_the_scope_or_does_not_exist(path in testing::paths::any("scope")) {
        HERE.with(|(tree, policy)| {
            let request = Request::named("filesystem", "read_file")
                .with_arg("path", lictor::decision::Value::Text(path.clone()));
            if decide(policy, &request, &Context::new("test")).effect() == Effect::Allow {
                let written = tree.work().join(OsStr::from_bytes(&path));
                if let Ok(real) = written.canonicalize() {
                    prop_assert!(real.starts_with(tree.work().join("scope")), "{path:?}: {real:?}");
                }
            }
            Ok(())
        })?;
    }

    #[test]
    fn hostile_paths_are_denied_and_benign_ones_are_not(
        hostile in testing::paths::hostile("scope"), benign in testing::paths::benign("scope"),
    ) {
        let effect = |path: &[u8]| HERE.with(|(_, policy)| {
            let path = lictor::decision::Value::Text(path.to_vec());
            let request = Request::named("filesystem", "read_file").with_arg("path", path);
            decide(policy, &request, &Context::new("test")).effect()
        });
        prop_assert_eq!(effect(&hostile), Effect::Deny, "{:?}", String::from_utf8_lossy(&hostile));
        prop_assert_eq!(effect(benign.as_bytes()), Effect::Allow, "{}", benign);
    }

}

proptest! {
    // Each case compiles a policy.
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_request_and_no_policy_makes_it_panic(
        (policy, request) in testing::policies::any()
            .prop_flat_map(|policy| (Just(policy.clone()), testing::requests::any(&policy))),
    ) {
        let decision = decide(&policy, &request, &Context::new("test"));
        prop_assert!(decision.effect() == Effect::Allow || decision.reason().is_some());
    }
}

fn scope_policy() -> CompiledPolicy {
    CompiledPolicy::from_yaml(
        "version: 1
name: scope
use: lictor/files@1
scopes: {scope: \"scope/**\"}
rules: [{id: read, allow: filesystem.read_file, within: scope}]
",
    )
    .unwrap()
}

fn scoped_tree() -> Tree {
    let tree = Tree::new();
    for path in [
        "scope/a",
        "scope/b/c",
        "scope_evil/a",
        "Scope/a",
        "a",
        "b/c",
        "etc/passwd",
    ] {
        tree.file(path);
    }
    for name in [
        " ", "...", "a.", "a ", "%2e%2e", "C:", "~", "a\\b", "\u{2025}",
    ] {
        tree.file(format!("scope/{name}"));
        tree.file(format!("{name}/a"));
    }
    tree
}

#[test]
fn everything_holds_for_an_ordinary_user_as_well() {
    ordinary::again(module_path!(), &[]);
}

/// Leaving a path out means the directory that the program starts in, which a walk from the top may have
/// left out.
#[test]
fn a_path_that_is_left_out_is_the_directory_the_program_starts_in() {
    let tree = Tree::new();
    tree.file("config/prod.key");
    tree.file("private/names.txt");
    tree.file("docs/a");
    fs::create_dir(tree.work().join(".git")).unwrap();
    fs::write(tree.work().join(".git/HEAD"), "ref: refs/heads/main\n").unwrap();
    fs::write(tree.work().join(".gitignore"), "config/\n").unwrap();
    let text = |absent: &str| {
        format!(
            "version: 1
name: left-out
tools:
  look: {{program: look, actions: {{run: {{args: {{path: {{type: path, tree: unignored, {absent}}}}}}}}}}}
  list: {{program: list, actions: {{run: {{args: {{path: {{type: path, tree: names, {absent}}}}}}}}}}}
scopes: {{all: \"**\", keys: \"**/*.key\", private: private}}
rules:
  - {{id: all, allow: \"*\", within: all}}
  - {{id: no-keys, deny: \"*\", touching: keys}}
  - {{id: no-private, deny: list.run, touching: {{path: private}}}}
"
        )
    };
    for absent in ["absent: here", "absent: workspace"] {
        let policy = CompiledPolicy::from_yaml(&text(absent)).unwrap();
        let workspace = tree.workspace();
        let asked = |line: &str, cwd: Option<&str>| {
            let mut request = Request::argv(line.split(' '));
            if let Some(cwd) = cwd {
                request = request.with_cwd(cwd);
            }
            outcome(&on_disk(&policy, &workspace, &request))
        };
        assert_eq!(asked("look", None), Ok(()), "{absent}");
        assert_eq!(asked("look", Some("docs")), Ok(()), "{absent}");
        let denied = Err(Reason::PathTreeTouchesDenied);
        assert_eq!(asked("look config", None), denied, "{absent}");
        assert_eq!(asked("look", Some("config")), denied, "{absent}");
        assert_eq!(asked("list", None), Ok(()), "{absent}");
        assert_eq!(asked("list private", None), Err(Reason::DeniedByRule));
        assert_eq!(asked("list", Some("private")), Err(Reason::DeniedByRule));
    }
    // Only where the program looks: a secret elsewhere is nothing to it.
    fs::write(tree.work().join("top.key"), "").unwrap();
    let policy = CompiledPolicy::from_yaml(&text("absent: here")).unwrap();
    let request = Request::argv(["look"]).with_cwd("docs");
    assert_eq!(
        outcome(&on_disk(&policy, &tree.workspace(), &request)),
        Ok(())
    );
}
