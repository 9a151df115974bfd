//! A directory and a link that somebody keeps exchanging while paths through them are opened: nothing
//! outside is ever opened.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use lictor::path::{CanonicalPath, Switches};
use lictor::policy::model::DiskRules;
use lictor::resolve::{ComponentWalk, Openat2, Resolver, Workspace};
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use rustix::fs::{AtFlags, StatxFlags, statx};

/// How often a path is opened, by each way and with links denied and allowed.
const OPENS: u32 = 25_000;

#[test]
fn nothing_outside_is_opened_while_a_directory_and_a_link_change_places() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path().canonicalize().unwrap();
    for path in ["work/flip/file", "outside/file", "work/other/file"] {
        let path = place.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "x").unwrap();
    }
    symlink("../outside", place.join("work/link")).unwrap();
    let secret = inode(&place.join("outside/file"));

    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let swaps = scope.spawn(|| {
            let mut swaps = 0_u64;
            while !is_over.load(Ordering::Relaxed) {
                exchange(&place.join("work/flip"), &place.join("work/link"));
                swaps += 1;
            }
            swaps
        });
        let mut opened = 0_u32;
        let mut escapes = 0_u32;
        for within in [false, true] {
            for resolver in [
                Box::new(Openat2) as Box<dyn Resolver>,
                Box::new(ComponentWalk),
            ] {
                let workspace = Workspace::open_root_with(&place.join("work"), resolver).unwrap();
                let path = CanonicalPath::parse(b"flip/file", &Switches::default()).unwrap();
                let mut rules = DiskRules::default();
                rules.symlinks_within = within;
                for _ in 0..OPENS {
                    if let Ok(found) = workspace.open(&path, rules) {
                        opened += 1;
                        escapes += u32::from(found.identity().inode == secret);
                    }
                }
            }
        }
        is_over.store(true, Ordering::Relaxed);
        let swaps = swaps.join().unwrap();
        assert_eq!(escapes, 0, "of {opened} opened, with {swaps} exchanges");
        // The race took place: some look-ups met the directory and some the link.
        assert!(
            opened > 0 && opened < 4 * OPENS,
            "{opened} opened, {swaps} exchanges"
        );
    });
}

fn exchange(a: &Path, b: &Path) {
    renameat2(AT_FDCWD, a, AT_FDCWD, b, RenameFlags::RENAME_EXCHANGE).unwrap();
}

fn inode(path: &Path) -> u64 {
    let stat = statx(
        rustix::fs::CWD,
        path,
        AtFlags::empty(),
        StatxFlags::BASIC_STATS,
    )
    .unwrap();
    stat.stx_ino
}
