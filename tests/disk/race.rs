//! A directory and a link that somebody keeps exchanging while paths through them are opened: nothing
//! outside is ever opened.

use crate::support::ordinary;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use lictor::path::{CanonicalPath, Switches};
use lictor::policy::model::DiskRules;
use lictor::resolve::{ComponentWalk, Openat2, Resolver, Workspace};
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use rustix::fs::{AtFlags, StatxFlags, statx};

/// How often a path is opened: by each way of looking up, half of it with links denied, half with links
/// that stay inside.
const OPENS: u32 = 100_000;

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
        let mut rounds = Vec::new();
        let ways: [fn() -> Box<dyn Resolver>; 2] =
            [|| Box::new(Openat2), || Box::new(ComponentWalk)];
        for resolver in ways {
            for within in [false, true] {
                let workspace = Workspace::open_root_with(&place.join("work"), resolver()).unwrap();
                let path = CanonicalPath::parse(b"flip/file", &Switches::default()).unwrap();
                let mut rules = DiskRules::default();
                rules.symlinks_within = within;
                let (mut tried, mut opened, mut escapes) = (0_u32, 0_u32, 0_u32);
                // On a busy machine the other thread may be late: until both have been met.
                while tried < OPENS / 2 || (opened == 0 || opened == tried) && tried < 50 * OPENS {
                    tried += 1;
                    if let Ok(found) = workspace.open(&path, rules) {
                        opened += 1;
                        escapes += u32::from(found.identity().inode == secret);
                    }
                }
                let name = format!("{:?}, links within: {within}", resolver());
                rounds.push((name, tried, opened, escapes));
            }
        }
        is_over.store(true, Ordering::Relaxed);
        let swaps = swaps.join().unwrap();
        for (round, tried, opened, escapes) in rounds {
            assert_eq!(
                escapes, 0,
                "{round}: of {opened} opened, with {swaps} exchanges"
            );
            // The race took place: some look-ups met the directory and some the link.
            assert!(
                opened > 0 && opened < tried,
                "{round}: {opened} of {tried} opened, {swaps} exchanges"
            );
        }
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

#[test]
fn everything_holds_for_an_ordinary_user_as_well() {
    ordinary::again(module_path!(), &[]);
}
