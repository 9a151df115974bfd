//! What opening a path below the workspace costs, against two ways that are in use elsewhere: asking for
//! the real path and comparing its beginning (which can be raced), and cap-std. And what looking through
//! a tree of 100,000 files costs.
#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use divan::Bencher;
use lictor::decision::{Context, Effect, Request, decide};
use lictor::path::{CanonicalPath, Switches};
use lictor::policy::CompiledPolicy;
use lictor::policy::model::DiskRules;
use lictor::resolve::{
    ComponentWalk, Openat2, Resolver, Surveyed, Workspace, resolve_paths, survey,
};

fn main() {
    divan::main();
}

const PATH: &str = "runtime/tests/unit/deep/test_a.py";

/// A directory with one file, which ends with the process.
static PLACE: LazyLock<(tempfile::TempDir, PathBuf)> = LazyLock::new(|| {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().canonicalize().unwrap();
    fs::create_dir_all(root.join(PATH).parent().unwrap()).unwrap();
    fs::write(root.join(PATH), "x").unwrap();
    (directory, root)
});

fn root() -> &'static Path {
    &PLACE.1
}

fn open(bencher: Bencher, resolver: Box<dyn Resolver>) {
    let workspace = Workspace::open_root_with(root(), resolver).unwrap();
    let path = CanonicalPath::parse(PATH.as_bytes(), &Switches::default()).unwrap();
    bencher.bench(|| workspace.open(&path, DiskRules::default()).unwrap());
}

#[divan::bench]
fn openat2(bencher: Bencher) {
    open(bencher, Box::new(Openat2));
}

#[divan::bench]
fn component_walk(bencher: Bencher) {
    open(bencher, Box::new(ComponentWalk));
}

#[divan::bench]
fn canonicalize_then_check(bencher: Bencher) {
    bencher.bench(|| {
        let real = root().join(PATH).canonicalize().unwrap();
        assert!(real.starts_with(root()));
        fs::File::open(real).unwrap()
    });
}

#[divan::bench]
fn cap_std(bencher: Bencher) {
    let dir = cap_std::fs::Dir::open_ambient_dir(root(), cap_std::ambient_authority()).unwrap();
    bencher.bench(|| dir.open(PATH).unwrap());
}

/// 100 directories of 1,000 files.
static TREE: LazyLock<(tempfile::TempDir, PathBuf)> = LazyLock::new(|| {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().canonicalize().unwrap();
    for nth in 0..100 {
        let below = root.join(format!("src/part-{nth}"));
        fs::create_dir_all(&below).unwrap();
        for file in 0..1000 {
            fs::write(below.join(format!("file-{file}.rs")), "").unwrap();
        }
    }
    (directory, root)
});

fn policy() -> CompiledPolicy {
    CompiledPolicy::from_yaml(
        "version: 1
name: bench
use: lictor/files@1
scopes: {repo: \"**\", secrets: [\"**/.env*\", \"**/*.pem\", \"secrets/**\"]}
rules:
  - {id: files, allow: \"filesystem.*\", within: repo}
  - {id: no-secrets, deny: \"*\", touching: secrets}
",
    )
    .unwrap()
}

#[divan::bench(sample_count = 5, sample_size = 1)]
fn tree_of_100_000_files(bencher: Bencher) {
    let (policy, context) = (policy(), Context::new("bench"));
    let workspace = Workspace::open_root(&TREE.1).unwrap();
    bencher.bench(|| {
        let request = Request::named("filesystem", "search").with_arg("path", "src");
        let decision = decide(&policy, &request, &context);
        let decision = resolve_paths(&policy, decision, &context, &workspace);
        assert_eq!(decision.effect(), Effect::Allow);
    });
}

#[divan::bench(sample_count = 5, sample_size = 1)]
fn list_of_100_000_files(bencher: Bencher) {
    let (policy, context) = (policy(), Context::new("bench"));
    let workspace = Workspace::open_root(&TREE.1).unwrap();
    let arguments = Surveyed::of(&policy, "bench", None, None);
    bencher.bench(|| {
        let mut allowed = 0_usize;
        survey(
            &policy,
            &context,
            &workspace,
            &arguments,
            &mut |_, _, verdict| {
                allowed = allowed.saturating_add(usize::from(verdict.effect == Effect::Allow));
            },
        )
        .unwrap();
        assert_eq!(allowed.checked_div(arguments.len()), Some(100_000));
    });
}
