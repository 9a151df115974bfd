//! Side files that are written again where they lie: the end of every process waits for them.
//!
//! A new file and a rename cost an inode and blocks each time, and freeing those of the old file: more than the
//! write. `state` is simply overwritten. `checkpoint` has to be whole at every moment: what is overwritten is a
//! spare file beside it, which then takes its place, and the old one becomes the spare.

#![forbid(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags, Stat};

use super::{SideFile, check_file, identity, refused};

/// Its name beside `checkpoint`.
pub(super) const SPARE: &str = "checkpoint.spare";

/// Read and written by its owner: what each new file of a ledger has.
const OWN_MODE: u32 = 0o600;

/// Overwrites a side file, or makes it.
pub(super) fn overwrite(root: &OwnedFd, file: SideFile, bytes: &[u8]) -> io::Result<()> {
    let (file, stat) = open(root, file.name(), 0o644)?;
    put(&file, &stat, bytes)
}

/// Whether a file may be overwritten on a filesystem that knew it under another name a moment ago; by its number
/// in `linux/magic.h`.
///
/// The old `checkpoint` is overwritten only after lines were appended behind the exchange and made durable. With
/// ext4 and XFS that commits the journal up to there, the exchange included; Btrfs writes no data over old data;
/// on tmpfs nothing outlives a crash. Elsewhere (F2FS writes in place, and makes no other file's name durable)
/// a crash might bring back the old name with half of the new bytes.
pub(super) fn keeps_order(filesystem: u32) -> bool {
    matches!(filesystem, 0xef53 | 0x5846_5342 | 0x9123_683e | 0x0102_1994)
}

/// The spare file, locked: nobody else overwrites it, or gives its name to another file. A process that dies gives
/// it back, whatever is in it then.
#[derive(Debug)]
pub(super) struct Spare {
    file: File,
    stat: Stat,
    since: Since,
}

/// What was done since the spare was claimed. Only what is `Synced` may be overwritten: until then a crash could
/// undo the exchange by which it became the spare, and show as `checkpoint` whatever is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Since {
    Claimed,
    Appended,
    Synced,
}

impl Spare {
    /// The spare of the directory, made if there is none; `None` if it cannot be had or is not one.
    pub(super) fn claim(root: &OwnedFd) -> Option<Spare> {
        let (file, stat) = open(root, SPARE, OWN_MODE).ok()?;
        file.try_lock().ok()?;
        // Whoever had locked it may have made it the checkpoint since it was opened.
        let is_spare =
            is_own(&stat) && found(root, SPARE).as_ref().map(identity) == Some(identity(&stat));
        is_spare.then_some(Spare {
            file,
            stat,
            since: Since::Claimed,
        })
    }

    /// Lines were appended.
    pub(super) fn appended(&mut self) {
        if self.since == Since::Claimed {
            self.since = Since::Appended;
        }
    }

    /// Lines were made durable.
    pub(super) fn synced(&mut self) {
        if self.since == Since::Appended {
            self.since = Since::Synced;
        }
    }

    /// Whether it may be overwritten.
    pub(super) fn is_free(&self) -> bool {
        self.since == Since::Synced
    }

    /// Writes what is to become the checkpoint. It is whole and durable before any name shows it.
    pub(super) fn stage(&self, bytes: &[u8]) -> io::Result<()> {
        put(&self.file, &self.stat, bytes)?;
        self.file.sync_data()
    }

    /// Exchanges it with the checkpoint. A crash leaves one of the two there, and both are whole.
    pub(super) fn install(&self, root: &OwnedFd) -> io::Result<()> {
        let checkpoint = SideFile::Checkpoint.name();
        if found(root, SPARE).as_ref().map(identity) != Some(identity(&self.stat)) {
            return Err(refused(SPARE, "is another file than before"));
        }
        // One that a person has given another mode is not to be the next spare, nor one with a second name.
        let fits = found(root, checkpoint).is_some_and(|old| is_own(&old));
        let exchange = RenameFlags::EXCHANGE;
        if fits && rustix::fs::renameat_with(root, SPARE, root, checkpoint, exchange).is_ok() {
            return Ok(());
        }
        Ok(rustix::fs::renameat(root, SPARE, root, checkpoint)?)
    }
}

fn open(root: &OwnedFd, name: &str, widest: u32) -> io::Result<(File, Stat)> {
    let flags =
        OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = File::from(rustix::fs::openat(root, name, flags, Mode::from(OWN_MODE))?);
    let stat = rustix::fs::fstat(&file)?;
    check_file(&stat, name, widest)?;
    Ok((file, stat))
}

/// Overwrites all of a file that was as `stat` says.
fn put(file: &File, stat: &Stat, bytes: &[u8]) -> io::Result<()> {
    file.write_all_at(bytes, 0)?;
    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    match u64::try_from(stat.st_size) {
        Ok(old) if old <= length => Ok(()),
        _ => file.set_len(length),
    }
}

fn found(root: &OwnedFd, name: &str) -> Option<Stat> {
    rustix::fs::statat(root, name, AtFlags::SYMLINK_NOFOLLOW).ok()
}

/// Whether it is as this process makes files.
fn is_own(stat: &Stat) -> bool {
    check_file(stat, SPARE, OWN_MODE).is_ok()
        && stat.st_mode & 0o7777 == OWN_MODE
        && stat.st_uid == rustix::process::geteuid().as_raw()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
    use std::path::Path;
    use std::{fs, iter};

    use super::*;
    use crate::ledger::verify::{VerifyOptions, verify};
    use crate::ledger::{Draft, Kind, Ledger, Options};

    /// A process that records one entry and ends. Its checkpoint covers everything.
    #[track_caller]
    fn live(dir: &Path) {
        let ledger = Ledger::open(dir, &Options::default()).unwrap();
        ledger
            .commit_last(vec![Draft::new(Kind::Observed)])
            .unwrap();
        ledger.close().unwrap();
        let report = verify(dir, &VerifyOptions::default(), &mut |_, _| {}).unwrap();
        assert!(report.verdict.is_intact(), "{report:#?}");
        let text = fs::read_to_string(dir.join("checkpoint")).unwrap();
        let size: u64 = text.lines().nth(1).unwrap().parse().unwrap();
        assert_eq!(size, report.entries);
    }

    fn inode(dir: &Path, name: &str) -> u64 {
        fs::symlink_metadata(dir.join(name)).unwrap().ino()
    }

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// Whether this directory is where a spare can be had: elsewhere, these tests say nothing.
    fn has_spares(dir: &Path) -> bool {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let root = rustix::fs::open(dir, flags, Mode::empty()).unwrap();
        keeps_order(super::super::filesystem(&root).unwrap())
    }

    #[test]
    fn two_files_take_turns_in_being_the_checkpoint() {
        let dir = tempfile::tempdir().unwrap();
        live(dir.path());
        assert!(!dir.path().join(SPARE).exists());
        live(dir.path());
        if !has_spares(dir.path()) {
            return;
        }
        let now = || (inode(dir.path(), "checkpoint"), inode(dir.path(), SPARE));
        let (a, b) = now();
        // Lengths differ: from 9 to 10 entries, and what somebody killed left in the spare.
        for round in 0..6 {
            if round == 4 {
                fs::write(dir.path().join(SPARE), "x".repeat(5000)).unwrap();
            }
            live(dir.path());
            assert_eq!(now(), if round % 2 == 0 { (b, a) } else { (a, b) });
        }
        let expected = [
            "checkpoint",
            "checkpoint.spare",
            "key",
            "lock",
            "segments",
            "state",
        ];
        assert_eq!(names(dir.path()), expected);
    }

    #[test]
    fn what_is_not_a_spare_is_left_alone_and_keeps_nobody_from_writing_the_checkpoint() {
        #[track_caller]
        fn check(make: impl Fn(&Path)) {
            let dir = tempfile::tempdir().unwrap();
            live(dir.path());
            let spare = dir.path().join(SPARE);
            make(&spare);
            let before = fs::symlink_metadata(&spare).unwrap();
            for _ in 0..2 {
                live(dir.path());
            }
            let after = fs::symlink_metadata(&spare).unwrap();
            assert_eq!(
                (
                    before.ino(),
                    before.mtime_nsec(),
                    before.mode(),
                    before.len()
                ),
                (after.ino(), after.mtime_nsec(), after.mode(), after.len())
            );
            let others = names(dir.path());
            assert!(
                !others.iter().any(|name| name.contains(".new-")),
                "{others:?}"
            );
        }
        let with_mode = |mode| {
            move |path: &Path| {
                fs::write(path, "mine").unwrap();
                fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
            }
        };
        for mode in [0o644, 0o666, 0o4600, 0o400] {
            check(with_mode(mode));
        }
        check(|path| fs::create_dir(path).unwrap());
        check(|path| symlink("elsewhere", path).unwrap());
        check(|path| symlink("state", path).unwrap());
        check(|path| {
            with_mode(0o600)(path);
            fs::hard_link(path, path.with_extension("second")).unwrap();
        });
        check(|path| {
            rustix::fs::mknodat(
                rustix::fs::CWD,
                path,
                rustix::fs::FileType::Fifo,
                Mode::RUSR | Mode::WUSR,
                0,
            )
            .unwrap()
        });
    }

    #[test]
    fn a_spare_that_another_process_holds_is_its_own_and_one_that_it_gave_away_is_not() {
        let dir = tempfile::tempdir().unwrap();
        live(dir.path());
        live(dir.path());
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let root = rustix::fs::open(dir.path(), flags, Mode::empty()).unwrap();
        let held = Spare::claim(&root).unwrap();
        assert!(Spare::claim(&root).is_none());
        for _ in 0..2 {
            live(dir.path());
            assert_eq!(inode(dir.path(), SPARE), held.stat.st_ino);
        }
        held.stage(&fs::read(dir.path().join("checkpoint")).unwrap())
            .unwrap();
        held.install(&root).unwrap();
        assert_eq!(inode(dir.path(), "checkpoint"), held.stat.st_ino);
        // It is locked still, and is not the spare any more.
        assert!(Spare::claim(&root).is_some());
        assert!(held.install(&root).is_err());
    }

    #[test]
    fn a_checkpoint_that_a_person_gave_another_mode_does_not_become_the_spare() {
        let dir = tempfile::tempdir().unwrap();
        live(dir.path());
        for _ in iter::repeat_n((), 3) {
            let wide = fs::Permissions::from_mode(0o644);
            fs::set_permissions(dir.path().join("checkpoint"), wide).unwrap();
            live(dir.path());
            assert!(!dir.path().join(SPARE).exists());
        }
    }

    #[test]
    fn the_spare_is_not_overwritten_before_what_was_appended_since_is_durable() {
        let dir = tempfile::tempdir().unwrap();
        let store = super::super::FileStore::open(dir.path(), false).unwrap();
        use super::super::Store as _;
        let staged = || store.stage(SideFile::Checkpoint, b"x").unwrap() == SPARE;
        store.create_segment(0).unwrap();
        store.append(0, b"before").unwrap();
        store.claim_spare();
        assert!(!staged());
        store.sync(0).unwrap();
        assert!(!staged());
        store.append(0, b"since").unwrap();
        assert!(!staged());
        store.sync(0).unwrap();
        assert_eq!(staged(), has_spares(dir.path()));
    }
}
