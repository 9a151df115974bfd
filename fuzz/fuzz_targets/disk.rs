//! Paths from any bytes against a real tree: what is allowed opens inside the scope or does not exist,
//! and both ways of looking paths up give one answer.
//!
//! The first byte says what links and mounts may do, and which of two actions asks. The rest is the path.
#![no_main]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use lictor::decision::{Context, Effect, Request, Value, decide};
use lictor::path::{CanonicalPath, Switches};
use lictor::policy::CompiledPolicy;
use lictor::policy::model::DiskRules;
use lictor::resolve::{ComponentWalk, Openat2, Opened, Workspace, resolve_paths};

/// A workspace, opened by each way.
struct Place {
    root: PathBuf,
    by_call: Workspace,
    by_walk: Workspace,
}

static PLACE: LazyLock<Place> = LazyLock::new(|| {
    // Left behind at the end, so it lies where what is built lies.
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/disk");
    let place = place.join(std::process::id().to_string());
    fs::create_dir_all(place.join("work")).unwrap();
    let root = place.canonicalize().unwrap().join("work");
    plant(&root);
    Place {
        by_call: Workspace::open_root_with(&root, Box::new(Openat2)).unwrap(),
        by_walk: Workspace::open_root_with(&root, Box::new(ComponentWalk)).unwrap(),
        root,
    }
});

/// Siblings of the scope, odd names in it, and links of every sort.
fn plant(root: &Path) {
    let file = |path: &str| {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "x").unwrap();
    };
    for path in [
        "s/a",
        "s/b/c",
        "s/d/e/f",
        "s_evil/a",
        "S/a",
        "a",
        "b/c",
        "../outside/a",
    ] {
        file(path);
    }
    for name in [
        " ", "...", "a.", "a ", "%2e%2e", "C:", "~", "a\\b", "..\\a", "\u{2025}", "\u{ff0e}",
    ] {
        file(&format!("s/{name}"));
        file(&format!("{name}/a"));
    }
    for (path, target) in [
        ("s/in", "b"),
        ("s/up", ".."),
        ("s/out", "../../outside"),
        ("s/abs", "/etc"),
        ("s/top", "."),
        ("s/x", "y"),
        ("s/y", "x"),
        ("s/z", "nowhere"),
        ("s/b/g", "../in/../../a"),
        ("l", "s"),
    ] {
        symlink(target, root.join(path)).unwrap();
    }
}

/// The first denies links, the second lets them lead inside.
static POLICIES: LazyLock<[CompiledPolicy; 2]> = LazyLock::new(|| {
    ["deny", "within"].map(|links| {
        CompiledPolicy::from_yaml(&format!(
            "version: 1\nname: fuzz\nuse: lictor/files@1\npaths: {{symlinks: {links}}}\n\
             scopes: {{s: \"s/**\"}}\nrules: [{{id: s, allow: \"filesystem.*\", within: s}}]\n"
        ))
        .expect("a policy")
    })
});

fuzz_target!(|data: &[u8]| {
    let [choice, path @ ..] = data else { return };
    if let Ok(canonical) = CanonicalPath::parse(path, &Switches::default()) {
        agree(&canonical, choice & 1 != 0, choice & 2 != 0);
    }
    let place = &*PLACE;
    let is_linked = choice & 1 != 0;
    let policy = &POLICIES[usize::from(is_linked)];
    let action = ["read_file", "write_file"][usize::from(choice & 4 != 0)];
    let request = Request::named("filesystem", action).with_arg("path", Value::Text(path.to_vec()));
    let context = Context::new("fuzz");
    let decision = decide(policy, &request, &context);
    if decision.effect() != Effect::Allow {
        return;
    }
    let scope = place.root.join("s");
    let written = place.root.join(OsStr::from_bytes(path));
    // As a text alone: what the kernel makes of the words themselves, but for links.
    let plain = fs::symlink_metadata(&written).is_ok();
    let real = written.canonicalize();
    let decided = [&place.by_call, &place.by_walk]
        .map(|workspace| resolve_paths(policy, decision.clone(), &context, workspace));
    assert_eq!(decided[0].to_json(), decided[1].to_json());
    if decided[0].effect() == Effect::Allow {
        // Both separators separate, which the kernel does not know.
        let canonical = decided[0].findings()[0].canonical.clone().unwrap();
        let used = place.root.join(canonical);
        if let Ok(real) = used.canonicalize() {
            assert!(real.starts_with(&scope), "{path:?} leads to {real:?}");
        }
        if plain && let Ok(real) = real {
            assert!(real.starts_with(&scope), "{path:?} leads to {real:?}");
        }
    }
});

/// The two ways of looking up, on one path.
fn agree(path: &CanonicalPath, links: bool, mounts: bool) {
    let mut rules = DiskRules::default();
    rules.symlinks_within = links;
    rules.cross_mounts = mounts;
    let told = |opened: Opened| {
        (
            opened.identity().clone(),
            opened.kind(),
            opened.real().map(ToString::to_string),
        )
    };
    let by_call = PLACE.by_call.open(path, rules).map(told);
    let by_walk = PLACE.by_walk.open(path, rules).map(told);
    assert_eq!(by_call, by_walk, "{path}");
}
