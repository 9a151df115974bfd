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
    file.write_all_at(bytes, 0)?;
    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    match u64::try_from(stat.st_size) {
        Ok(old) if old <= length => Ok(()),
        _ => file.set_len(length),
    }
}

/// The smallest unit that a disk writes, in bytes: after a crash it holds the old or the new. A note with one
/// signature has some 200.
const SECTOR_BYTES: u64 = 512;

/// The spare file, locked: nobody else overwrites it, or gives its name to another file. A process that dies gives
/// it back, whatever is in it then.
///
/// It was the checkpoint a moment ago, and a crash could give it back that name. Two things keep such a crash from
/// showing half of what is written here. It is overwritten only after lines were appended behind the exchange and made
/// durable: where the filesystem keeps the order of what is done (ext4 with its journal, XFS) that made the exchange
/// durable too, and Btrfs writes no data over old data. And it is overwritten only by as many bytes, within one
/// sector: so it holds the old note or the new one, both of them whole and signed over lines that are durable.
#[derive(Debug)]
pub(super) struct Spare {
    file: File,
    stat: Stat,
    since: Since,
}

/// What was done since the spare was claimed. Only what is `Synced` may be overwritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Since {
    Claimed,
    Appended,
    Synced,
}

/// What became of the old checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Installed {
    /// It is the spare.
    Exchanged,
    /// It is gone.
    Renamed,
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

    /// Whether what was appended since is durable.
    pub(super) fn is_free(&self) -> bool {
        self.since == Since::Synced
    }

    /// Whether so much may be written: as much as there was, or into one that is new and was never a checkpoint.
    pub(super) fn fits(&self, bytes: &[u8]) -> bool {
        let (old, new) = (u64::try_from(self.stat.st_size), u64::try_from(bytes.len()));
        old.is_ok_and(|old| new.is_ok_and(|new| new <= SECTOR_BYTES && (old == new || old == 0)))
    }

    /// Takes it away, so that the next process makes a new one.
    pub(super) fn remove(&self, root: &OwnedFd) {
        // Where it cannot be removed nothing is lost but time.
        rustix::fs::unlinkat(root, SPARE, AtFlags::empty()).ok();
    }

    /// Writes what is to become the checkpoint. It is whole and durable before any name shows it.
    pub(super) fn stage(&self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, 0)?;
        self.file.sync_data()
    }

    /// Exchanges it with the checkpoint. A crash leaves one of the two there, and both are whole.
    pub(super) fn install(&self, root: &OwnedFd) -> io::Result<Installed> {
        let checkpoint = SideFile::Checkpoint.name();
        if found(root, SPARE).as_ref().map(identity) != Some(identity(&self.stat)) {
            return Err(refused(SPARE, "is another file than before"));
        }
        // One that a person has given another mode is not to be the next spare, nor one with a second name.
        let fits = found(root, checkpoint).is_some_and(|old| is_own(&old));
        let exchange = RenameFlags::EXCHANGE;
        if fits && rustix::fs::renameat_with(root, SPARE, root, checkpoint, exchange).is_ok() {
            return Ok(Installed::Exchanged);
        }
        rustix::fs::renameat(root, SPARE, root, checkpoint)?;
        Ok(Installed::Renamed)
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

    #[test]
    fn two_files_take_turns_in_being_the_checkpoint() {
        let dir = tempfile::tempdir().unwrap();
        // As long as each note is as long as the one before: from 11 entries on.
        for _ in 0..7 {
            live(dir.path());
        }
        let now = || (inode(dir.path(), "checkpoint"), inode(dir.path(), SPARE));
        let (a, b) = now();
        for round in 0..4 {
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
    fn what_was_a_checkpoint_is_not_overwritten_by_more_or_less_than_it_holds() {
        let dir = tempfile::tempdir().unwrap();
        let (checkpoint, spare) = (dir.path().join("checkpoint"), dir.path().join(SPARE));
        let length = || fs::metadata(&checkpoint).unwrap().len();
        let mut lengths = Vec::new();
        // From 9 entries to 10, and over to 100.
        while lengths.len() < 3 {
            live(dir.path());
            if !lengths.contains(&length()) {
                lengths.push(length());
                // It was written as a new file, and what was too short is gone.
                assert!(!spare.exists());
            }
        }
        live(dir.path());
        assert!(spare.exists());
        for junk in ["x".to_owned(), "x".repeat(5000)] {
            fs::write(&spare, junk).unwrap();
            live(dir.path());
            assert!(!spare.exists());
            live(dir.path());
            assert!(spare.exists());
        }
        // A new one may be filled, and a name so long that a note takes more than a sector is written as before.
        fs::write(&spare, "").unwrap();
        let inode_before = inode(dir.path(), SPARE);
        live(dir.path());
        assert_eq!(inode(dir.path(), "checkpoint"), inode_before);
        let long = tempfile::tempdir().unwrap();
        let options = Options {
            origin: Some("n".repeat(400)),
            ..Options::default()
        };
        for _ in 0..3 {
            let ledger = Ledger::open(long.path(), &options).unwrap();
            ledger
                .commit_last(vec![Draft::new(Kind::Observed)])
                .unwrap();
            ledger.close().unwrap();
            let text = fs::read_to_string(long.path().join("checkpoint")).unwrap();
            assert!(text.len() > 512 && !long.path().join(SPARE).exists());
        }
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
        let note = fs::read(dir.path().join("checkpoint")).unwrap();
        held.stage(&note).unwrap();
        assert_eq!(held.install(&root).unwrap(), Installed::Exchanged);
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
        use super::super::{FileStore, Store as _};
        #[track_caller]
        fn check(since: fn(&FileStore), is_used: bool) {
            let dir = tempfile::tempdir().unwrap();
            let store = FileStore::open(dir.path(), false).unwrap();
            store.create_segment(0).unwrap();
            store.append(0, b"before").unwrap();
            store.claim_spare();
            since(&store);
            let staged = store.stage(SideFile::Checkpoint, b"x").unwrap();
            assert_eq!(staged == SPARE, is_used);
        }
        check(|_| {}, false);
        check(|store| store.sync(0).unwrap(), false);
        check(
            |store| assert_eq!(store.append(0, b"since").unwrap(), 5),
            false,
        );
        check(
            |store| {
                assert_eq!(store.append(0, b"since").unwrap(), 5);
                store.sync(0).unwrap();
            },
            true,
        );
    }
}
