//! The ledger on real file systems: full ones, and files that can only be appended to.
//!
//! Mounts are of one thread only and end with it. Where this user cannot make them, a test says so.
#![cfg(target_os = "linux")]

use super::reading::report;
use crate::support::need;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use lictor::log::note::peek;
use lictor::log::verify::Verdict;
use lictor::log::{Draft, Kind, RunId};
use lictor::reason::Reason;
use lictor::record::{Ledger, LedgerError, Options, Reservation};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

fn start(ledger: &Ledger) -> Result<(RunId, Reservation), LedgerError> {
    let run = RunId::random().unwrap();
    let decision = Draft::new(Kind::Decision).of(run).with("effect", "allow");
    let start = Draft::new(Kind::Start).of(run);
    let drafts = [decision, start].map(|draft| draft.with("argv", vec!["a"]).with("policy", "p"));
    let (_, reservation) = ledger.commit_reserving(drafts.into())?;
    Ok((run, reservation))
}

/// The two longest lines that a run can end with.
fn longest_end(run: RunId) -> Vec<Draft> {
    let long = |kind| {
        (0..8).fold(Draft::new(kind).of(run), |draft, n| {
            draft.with(&format!("text{n}"), "y".repeat(8000))
        })
    };
    vec![
        long(Kind::Stop).with("why", "timeout"),
        long(Kind::Outcome).with("status", "TIMEOUT"),
    ]
}

/// Writes until nothing more fits.
fn fill(path: &Path) {
    let mut file = fs::File::create(path).unwrap();
    for size in [1 << 16, 1 << 12, 1 << 9, 1] {
        while file.write_all(&vec![b'x'; size]).is_ok() {}
    }
    file.sync_all().ok();
}

fn a_run_that_started_is_recorded_to_its_end(disk: &Path) {
    recorded_to_its_end(&disk.join("one-segment"), disk, &Options::default());
    // Each group would like to go on in a new segment, where no space is kept for anybody.
    let mut rotating = Options::default();
    rotating.log.segment_bytes = 1000;
    recorded_to_its_end(&disk.join("many-segments"), disk, &rotating);
}

fn recorded_to_its_end(dir: &Path, disk: &Path, options: &Options) {
    let ledger = Ledger::open(dir, options).unwrap();
    let mut open = vec![start(&ledger).unwrap(), start(&ledger).unwrap()];
    fill(&disk.join("filler"));
    let refused = (0..100).find_map(|_| match start(&ledger) {
        Ok(started) => {
            open.push(started);
            None
        }
        Err(error) => Some(error),
    });
    assert_eq!(refused.unwrap().reason(), Reason::LedgerNoSpace);
    // What belongs to no run may use what is left over, and nothing that is kept.
    let big = "z".repeat(7000);
    let refused = (0..500).find_map(|_| {
        ledger
            .commit(vec![Draft::new(Kind::Observed).with("text", big.clone())])
            .err()
    });
    assert_eq!(refused.unwrap().reason(), Reason::LedgerNoSpace);
    for (run, reservation) in open {
        ledger.finish(reservation, longest_end(run)).unwrap();
    }
    drop(ledger);
    let full = report(dir);
    assert!(full.verdict.is_intact() && full.open_runs == 0, "{full:#?}");
    // Nothing of it is forgotten when there is space again.
    fs::remove_file(disk.join("filler")).unwrap();
    let ledger = Ledger::open(dir, options).unwrap();
    let (run, reservation) = start(&ledger).unwrap();
    ledger.finish(reservation, longest_end(run)).unwrap();
    ledger.close().unwrap();
    let after = report(dir);
    assert!(after.verdict.is_intact(), "{after:#?}");
    assert_eq!((after.unsigned_tail, after.open_runs), (0, 0), "{after:#?}");
    assert!(after.entries > full.entries);
}

/// Runs `test` on a small disk of its own that `make` mounts at a path; says so if it cannot.
fn on_a_small_disk(make: impl Fn(&Path) -> Result<(), String> + Sync, test: impl Fn(&Path) + Sync) {
    let place = tempfile::tempdir().unwrap();
    let disk = place.path().join("disk");
    fs::create_dir(&disk).unwrap();
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let none = None::<&str>;
            let private = unshare(CloneFlags::CLONE_NEWNS)
                .and_then(|()| mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none))
                .map_err(|error| error.to_string());
            match private.and_then(|()| make(&disk)) {
                Ok(()) => test(&disk),
                Err(why) => need::lacks("mounts", why),
            }
        });
        thread.join().unwrap();
    });
}

fn succeeds(program: &str, args: &[&str]) -> Result<(), String> {
    let status = Command::new(program)
        .args(args)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{program}` ended with {status}")),
        Err(error) => Err(format!("`{program}`: {error}")),
    }
}

#[test]
fn on_a_full_tmpfs_a_run_that_started_is_recorded_to_its_end_and_nothing_else_is() {
    on_a_small_disk(
        |disk| {
            let options = Some("size=4m,mode=700");
            mount(Some("none"), disk, Some("tmpfs"), MsFlags::empty(), options)
                .map_err(|error| error.to_string())
        },
        a_run_that_started_is_recorded_to_its_end,
    );
}

#[test]
fn on_a_full_ext4_a_run_that_started_is_recorded_to_its_end_and_nothing_else_is() {
    on_a_small_disk(
        |disk| {
            let image = disk.with_extension("image");
            fs::File::create(&image).unwrap().set_len(12 << 20).unwrap();
            let (image, disk) = (image.to_str().unwrap(), disk.to_str().unwrap());
            succeeds("mkfs.ext4", &["-q", "-F", "-m", "0", image])?;
            succeeds("mount", &["-o", "loop", image, disk])
        },
        a_run_that_started_is_recorded_to_its_end,
    );
}

/// What the disk holds of the ledger at this moment, though nobody unmounted it: as after the machine stopped.
fn check_after_a_stop(disk: &Path) {
    let (image, copy, there) = (
        disk.with_extension("image"),
        disk.with_extension("copy"),
        disk.with_extension("after"),
    );
    fs::copy(image, &copy).unwrap();
    fs::create_dir_all(&there).unwrap();
    let (image, mounted) = (copy.to_str().unwrap(), there.to_str().unwrap());
    // It ends with 1 where it repaired something.
    succeeds("e2fsck", &["-fy", image]).ok();
    succeeds("mount", &["-o", "loop", image, mounted]).unwrap();
    let dir = there.join("ledger");
    let checkpoint = fs::read(dir.join("checkpoint")).unwrap();
    let report = report(&dir);
    assert!(report.verdict.is_intact(), "{report:#?}");
    assert!(peek(&checkpoint).unwrap().size <= report.entries);
    let ledger = Ledger::open(&dir, &Options::default()).unwrap();
    ledger
        .commit_last(vec![Draft::new(Kind::Observed)])
        .unwrap();
    ledger.close().unwrap();
    assert_eq!(self::report(&dir).unsigned_tail, 0);
    succeeds("umount", &[mounted]).unwrap();
}

fn each_stop_shows_a_whole_checkpoint(disk: &Path) {
    let dir = disk.join("ledger");
    let open = || Ledger::open(&dir, &Options::default()).unwrap();
    let draft = || vec![Draft::new(Kind::Observed)];
    for round in 0..8 {
        let (one, two) = (open(), open());
        one.commit_last(draft()).unwrap();
        // Now and then both want the spare, and one has to write a new file.
        if round % 3 == 0 {
            two.commit_last(draft()).unwrap();
        }
        for ledger in [one, two] {
            ledger.close().unwrap();
            check_after_a_stop(disk);
        }
    }
}

#[test]
fn whenever_the_machine_stops_the_checkpoint_is_whole_and_covers_what_is_there() {
    for features in ["has_journal", "^has_journal"] {
        on_a_small_disk(
            |disk| {
                let image = disk.with_extension("image");
                fs::File::create(&image).unwrap().set_len(8 << 20).unwrap();
                let (image, disk) = (image.to_str().unwrap(), disk.to_str().unwrap());
                succeeds("mkfs.ext4", &["-q", "-F", "-O", features, image])?;
                succeeds("mount", &["-o", "loop", image, disk])
            },
            each_stop_shows_a_whole_checkpoint,
        );
    }
}

/// Takes the attribute back, so that the directory can be removed.
struct AppendOnly<'a>(Vec<&'a Path>);

impl AppendOnly<'_> {
    fn set(&mut self, sign: &str) -> Result<(), String> {
        let paths: Vec<&str> = self.0.iter().map(|path| path.to_str().unwrap()).collect();
        succeeds("chattr", &[&[sign][..], &paths].concat())
    }
}

impl Drop for AppendOnly<'_> {
    fn drop(&mut self) {
        self.set("-a").ok();
    }
}

#[test]
fn a_ledger_whose_segments_can_only_be_appended_to_goes_on_and_recovers() {
    let place = tempfile::tempdir().unwrap();
    let dir = place.path().join("ledger");
    let write = |options: &Options| {
        let ledger = Ledger::open(&dir, options).unwrap();
        for n in 0..3 {
            ledger
                .commit(vec![Draft::new(Kind::Observed).with("n", n)])
                .unwrap();
        }
        let (run, reservation) = start(&ledger).unwrap();
        ledger.finish(reservation, longest_end(run)).unwrap();
        ledger.close().unwrap();
    };
    write(&Options::default());
    let segments = dir.join("segments");
    let first = segments.join("000000000000.jsonl");
    let mut only = AppendOnly(vec![&first, &segments]);
    if let Err(why) = only.set("+a") {
        return need::lacks("root", why);
    }
    assert!(fs::remove_file(&first).is_err());
    assert!(fs::File::options().write(true).open(&first).is_err());
    write(&Options::default());
    assert_eq!(report(&dir).verdict, Verdict::Signed);
    // A torn end stays, and the next segment accounts for it.
    let mut file = fs::File::options().append(true).open(&first).unwrap();
    file.write_all(b"{\"v\":1,\"se").unwrap();
    drop(file);
    write(&Options::default());
    let report = report(&dir);
    assert_eq!(
        (report.verdict, report.unsigned_tail, report.open_runs),
        (Verdict::TornTail, 0, 0),
        "{report:#?}"
    );
    assert!(report.torn[0].accounted);
    let mut rotating = Options::default();
    rotating.log.segment_bytes = 1000;
    write(&rotating);
    assert_eq!(self::report(&dir).unsigned_tail, 0);
}
