//! What happens to a ledger when the machine fails: every call of the store in turn, and every crash
//! between two syncs.
//!
//! The store here is memory that forgets. What was synced survives; of the rest a crash keeps any
//! beginning. Whatever happens, what was acknowledged is there afterwards, nothing starts without a
//! durable start, and the next writer goes on.

#![cfg(target_os = "linux")]

use super::reading::report;
use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lictor::log::holder::{KeyHolder, SignError, SignatureBytes};
use lictor::log::note::{self, Signer, Verifier};
use lictor::log::read::{Filter, show};
use lictor::log::store::{SideFile, Store, segment_name};
use lictor::log::{Draft, Kind, LogError, RunId};
use lictor::reason::Reason;
use lictor::record::{Ledger, LedgerError, Options, Reservation};

/// A file: what is in it, and how much of that survives.
#[derive(Clone, Debug, Default)]
struct File {
    bytes: Vec<u8>,
    synced: usize,
}

#[derive(Clone, Debug, Default)]
struct Disk {
    segments: Vec<File>,
    side: HashMap<SideFile, Vec<u8>>,
    /// The side files that survive a crash for certain.
    side_synced: HashMap<SideFile, Vec<u8>>,
    staged: HashMap<String, Vec<u8>>,
    calls: u64,
    /// Which of the calls were syncs.
    syncs: Vec<u64>,
    fault: Option<(u64, Fault)>,
    /// Nothing more fits.
    full: bool,
    /// The filesystem keeps no space in advance.
    keeps_none: bool,
    /// What fits all the same, because a file was removed.
    freed: usize,
    /// Up to where space was kept: segment and offset.
    reserved: (u64, usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// The call fails and nothing happens.
    Error,
    /// An append or a write of a side file writes its first half and then fails.
    Half,
    /// The call and all after it fail: the process is as good as dead.
    Forever,
}

/// One process's view of a disk.
#[derive(Debug, Default)]
struct Memory(Arc<Mutex<Disk>>);

impl Memory {
    /// Another process's view of the same disk.
    fn other(&self) -> Memory {
        Memory(Arc::clone(&self.0))
    }

    /// The disk, unless this is the call that fails.
    fn call(&self) -> io::Result<std::sync::MutexGuard<'_, Disk>> {
        let mut disk = self.0.lock().unwrap();
        disk.calls += 1;
        match disk.fault {
            Some((at, Fault::Error | Fault::Half)) if disk.calls == at => {
                Err(io::Error::other("fault"))
            }
            Some((at, Fault::Forever)) if disk.calls >= at => Err(io::Error::other("fault")),
            _ => Ok(disk),
        }
    }

    /// The disk, and how many of `bytes` a write that begins now writes.
    fn write(&self, bytes: usize) -> io::Result<(std::sync::MutexGuard<'_, Disk>, usize)> {
        let half = {
            let disk = self.0.lock().unwrap();
            disk.fault == Some((disk.calls + 1, Fault::Half))
        };
        match self.call() {
            Ok(disk) => Ok((disk, bytes)),
            Err(_) if half => Ok((self.0.lock().unwrap(), bytes / 2)),
            Err(error) => Err(error),
        }
    }

    fn disk(&self) -> Disk {
        self.0.lock().unwrap().clone()
    }
}

/// Overwrites the beginning of a file; whether that was all.
fn overwrite(file: &mut Vec<u8>, bytes: &[u8], written: usize) -> io::Result<()> {
    if written < bytes.len() {
        let end = written.min(file.len());
        file.splice(..end, bytes[..written].iter().copied());
        return Err(io::Error::other("fault"));
    }
    bytes.clone_into(file);
    Ok(())
}

fn index(segment: u64) -> usize {
    usize::try_from(segment).unwrap()
}

impl Store for Memory {
    fn lock(&self, _wait: Duration, moves: &mut dyn FnMut() -> bool) -> io::Result<()> {
        moves();
        self.call().map(|_| ())
    }

    fn unlock(&self) {}

    fn segments(&self) -> io::Result<Vec<u64>> {
        let disk = self.call()?;
        Ok((0..).take(disk.segments.len()).collect())
    }

    fn segment_bytes(&self, segment: u64) -> io::Result<Option<u64>> {
        let disk = self.call()?;
        Ok(disk
            .segments
            .get(index(segment))
            .map(|file| u64::try_from(file.bytes.len()).unwrap()))
    }

    fn read_at(&self, segment: u64, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let disk = self.call()?;
        let rest = &disk.segments[index(segment)].bytes[index(offset)..];
        let got = rest.len().min(buffer.len());
        buffer[..got].copy_from_slice(&rest[..got]);
        Ok(got)
    }

    fn create_segment(&self, segment: u64) -> io::Result<()> {
        let mut disk = self.call()?;
        if disk.full {
            return Err(io::ErrorKind::StorageFull.into());
        }
        assert_eq!(disk.segments.len(), index(segment));
        disk.segments.push(File::default());
        Ok(())
    }

    fn append(&self, segment: u64, bytes: &[u8]) -> io::Result<usize> {
        let (mut disk, most) = self.write(bytes.len())?;
        let kept = if disk.reserved.0 == segment {
            disk.reserved.1
        } else {
            0
        };
        let (full, freed) = (disk.full, disk.freed);
        let file = &mut disk.segments[index(segment)];
        let room = if full {
            kept.saturating_sub(file.bytes.len()).max(freed)
        } else {
            usize::MAX
        };
        let fits = most.min(room);
        if fits == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        file.bytes.extend_from_slice(&bytes[..fits]);
        disk.freed = freed.saturating_sub(fits);
        Ok(fits)
    }

    fn sync(&self, segment: u64) -> io::Result<()> {
        let mut disk = self.call()?;
        let calls = disk.calls;
        disk.syncs.push(calls);
        let file = &mut disk.segments[index(segment)];
        file.synced = file.bytes.len();
        Ok(())
    }

    fn reserve(&self, segment: u64, offset: u64, bytes: u64) -> io::Result<()> {
        let mut disk = self.call()?;
        if disk.keeps_none {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let end = index(offset + bytes);
        if disk.full && (disk.reserved.0 != segment || disk.reserved.1 < end) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        disk.reserved = (segment, end);
        Ok(())
    }

    fn read(&self, file: SideFile) -> io::Result<Option<Vec<u8>>> {
        Ok(self.call()?.side.get(&file).cloned())
    }

    fn stage(&self, file: SideFile, bytes: &[u8]) -> io::Result<String> {
        let (mut disk, written) = self.write(bytes.len())?;
        if disk.full {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let mut staged = Vec::new();
        overwrite(&mut staged, bytes, written)?;
        disk.staged.insert(file.name().to_owned(), staged);
        Ok(file.name().to_owned())
    }

    fn install(&self, staged: &str, file: SideFile) -> io::Result<()> {
        let mut disk = self.call()?;
        let bytes = disk.staged.remove(staged).unwrap();
        disk.side.insert(file, bytes);
        // Names of a directory become durable together.
        disk.side_synced = disk.side.clone();
        Ok(())
    }

    fn discard(&self, staged: &str) -> io::Result<()> {
        self.call()?.staged.remove(staged);
        Ok(())
    }

    fn overwrite(&self, file: SideFile, bytes: &[u8]) -> io::Result<()> {
        let (mut disk, written) = self.write(bytes.len())?;
        overwrite(disk.side.entry(file).or_default(), bytes, written)
    }

    fn remove(&self, file: SideFile) -> io::Result<()> {
        let mut disk = self.call()?;
        let removed = disk.side.remove(&file);
        disk.freed += removed.map_or(0, |bytes| bytes.len());
        Ok(())
    }
}

/// What a crash leaves: all that was synced, and of what was not as many thousandths.
#[expect(
    clippy::iter_over_hash_type,
    reason = "each file is written on its own"
)]
fn after_crash(disk: &Disk, thousandths: usize, dir: &Path) {
    fs::create_dir_all(dir.join("segments")).unwrap();
    let write = |path: &Path, bytes: &[u8]| {
        fs::write(path, bytes).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    };
    for (file, number) in disk.segments.iter().zip(0..) {
        let kept = file.synced + (file.bytes.len() - file.synced) * thousandths / 1000;
        write(
            &dir.join("segments").join(segment_name(number)),
            &file.bytes[..kept],
        );
    }
    for (file, bytes) in &disk.side {
        write(&dir.join(file.name()), bytes);
    }
    for path in [dir, &dir.join("segments")] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
    }
}

fn options() -> Options {
    let mut options = Options::default();
    options.log.segment_bytes = 3000;
    options
}

/// Numbers of the `observed` entries, and runs with a start.
fn recorded(dir: &Path) -> (Vec<u64>, Vec<RunId>) {
    let (mut numbers, mut started) = (Vec::new(), Vec::new());
    for shown in show(dir, Filter::default()).unwrap().unwrap() {
        let Ok(entry) = shown.unwrap().entry else {
            continue;
        };
        if entry.kind == Kind::Observed {
            numbers.extend(entry.value()["n"].as_u64());
        } else if entry.kind == Kind::Start {
            started.extend(entry.run);
        }
    }
    (numbers, started)
}

/// A day in the life of a ledger; returns what was acknowledged.
#[derive(Debug, Default)]
struct Day {
    acknowledged: Vec<u64>,
    started: Vec<RunId>,
    errors: Vec<LedgerError>,
}

fn live(store: &Arc<Memory>) -> Day {
    let mut day = Day::default();
    for round in 0..2_u64 {
        let ledger = match Ledger::open_store(Arc::clone(store) as Arc<dyn Store>, &options()) {
            Ok(ledger) => ledger,
            Err(error) => {
                day.errors.push(error);
                continue;
            }
        };
        for n in round * 10..round * 10 + 4 {
            match ledger.commit(vec![
                Draft::new(Kind::Observed)
                    .with("n", n)
                    .with("text", "x".repeat(200)),
            ]) {
                Ok(_) => day.acknowledged.push(n),
                Err(error) => day.errors.push(error),
            }
        }
        match start(&ledger) {
            Ok((run, reservation)) => {
                day.started.push(run);
                let outcome = Draft::new(Kind::Outcome).of(run).with("status", "PASS");
                day.errors
                    .extend(ledger.finish(reservation, vec![outcome]).err());
            }
            Err(error) => day.errors.push(error),
        }
    }
    day
}

fn start(ledger: &Ledger) -> Result<(RunId, Reservation), LedgerError> {
    let run = RunId::random().unwrap();
    let decision = Draft::new(Kind::Decision).of(run).with("effect", "allow");
    let decision = decision.with("argv", vec!["a"]).with("policy", "p");
    let start = Draft::new(Kind::Start)
        .of(run)
        .with("argv", vec!["a"])
        .with("policy", "p");
    let (_, reservation) = ledger.commit_reserving(vec![decision, start])?;
    Ok((run, reservation))
}

/// The disk after a crash: of what was not synced, `lose` says what is left of the last segment.
fn crashed(disk: &Disk, side_synced: bool, lose: impl Fn(&mut Vec<u8>, usize)) -> Arc<Memory> {
    let mut disk = disk.clone();
    for file in &mut disk.segments {
        lose(&mut file.bytes, file.synced);
        file.synced = file.bytes.len();
    }
    if side_synced {
        disk.side = disk.side_synced.clone();
    }
    disk.staged.clear();
    disk.fault = None;
    Arc::new(Memory(Arc::new(Mutex::new(disk))))
}

/// The next writer goes on after a crash, what was acknowledged is there, and verification accounts for
/// every byte.
#[track_caller]
fn check_goes_on(store: &Arc<Memory>, day: &Day, options: &Options, what: &str) {
    let ledger = Ledger::open_store(Arc::clone(store) as Arc<dyn Store>, options);
    let ledger = ledger.unwrap_or_else(|error| panic!("{what}: {error}"));
    ledger
        .commit(vec![Draft::new(Kind::Observed).with("n", 99)])
        .unwrap();
    ledger.close().unwrap();
    let dir = tempfile::tempdir().unwrap();
    after_crash(&store.disk(), 1000, dir.path());
    let report = report(dir.path());
    assert!(
        report.verdict.is_intact() && report.unsigned_tail == 0,
        "{what}: {report:#?}"
    );
    let (numbers, started) = recorded(dir.path());
    assert!(
        day.acknowledged.iter().all(|n| numbers.contains(n)),
        "{what}"
    );
    assert!(
        day.started.iter().all(|run| started.contains(run)),
        "{what}"
    );
    let mut unique = numbers.clone();
    unique.dedup();
    assert_eq!(numbers, unique, "{what}");
}

#[test]
fn after_a_crash_with_any_prefix_of_what_was_not_synced_the_next_writer_goes_on() {
    let mut prefixes = 0;
    for at in crash_points() {
        let store = Arc::new(Memory::default());
        store.0.lock().unwrap().fault = Some((at, Fault::Forever));
        let day = live(&store);
        let disk = store.disk();
        let unsynced = |file: &File| file.bytes.len() - file.synced;
        let most = disk.segments.iter().map(unsynced).max().unwrap_or(0);
        for kept in 0..=most {
            prefixes += 1;
            let what = format!("crash at call {at}, {kept} of {most} bytes");
            let crashed = crashed(&disk, kept % 2 == 0, |bytes, synced| {
                bytes.truncate(synced + kept);
            });
            check_goes_on(&crashed, &day, &options(), &what);
        }
    }
    assert!(prefixes > 1000, "{prefixes}");
}

#[test]
fn after_a_crash_that_lost_sectors_in_the_middle_or_at_the_end_the_next_writer_goes_on() {
    for at in crash_points() {
        let store = Arc::new(Memory::default());
        store.0.lock().unwrap().fault = Some((at, Fault::Forever));
        let day = live(&store);
        let disk = store.disk();
        for first in 0..8 {
            for count in [1, 2, 100] {
                let what = format!("crash at call {at}, {count} sectors from {first} on");
                let crashed = crashed(&disk, false, |bytes, synced| {
                    // The first sector behind what was synced is half old and half lost.
                    let end = ((synced / 512) + first + count) * 512;
                    let start = synced.max((synced / 512 + first) * 512);
                    for byte in bytes.iter_mut().take(end).skip(start) {
                        *byte = 0;
                    }
                });
                check_goes_on(&crashed, &day, &options(), &what);
            }
        }
    }
}

/// The calls that make a commit durable, in a healthy day: a crash right before them loses most.
fn crash_points() -> Vec<u64> {
    let healthy = Arc::new(Memory::default());
    live(&healthy);
    let syncs = healthy.disk().syncs;
    // The first makes the ledger, one is in the middle of a day, one is behind a new segment.
    [0, 3, syncs.len() / 2, syncs.len() - 1]
        .into_iter()
        .map(|at| syncs[at])
        .collect()
}

#[test]
fn whichever_call_fails_while_keys_change_the_next_writer_goes_on_and_is_believed() {
    let holder = || -> Arc<dyn KeyHolder> { Arc::new(Held(Signer::new("k", &[1; 32]).unwrap())) };
    let mut local = options();
    local.log.origin = Some("k".to_owned());
    let mut elsewhere = local.clone();
    elsewhere.log.holder = Some(holder());
    let mut back = local.clone();
    back.log.earlier_holders = vec![holder()];
    let begin = |options: &Options| {
        let store = Arc::new(Memory::default());
        let ledger = Ledger::open_store(Arc::clone(&store) as Arc<dyn Store>, options).unwrap();
        ledger
            .commit(vec![Draft::new(Kind::Observed).with("n", 1)])
            .unwrap();
        ledger.close().unwrap();
        store
    };
    let change =
        |store: &Arc<Memory>, options: &Options, rotate: bool| -> Result<(), LedgerError> {
            let ledger = Ledger::open_store(Arc::clone(store) as Arc<dyn Store>, options)?;
            if rotate {
                ledger.log().rotate_key()?;
            }
            ledger.commit(vec![Draft::new(Kind::Observed).with("n", 2)])?;
            ledger.close()
        };
    for (what, before, after, rotate) in [
        ("rotate", &local, &local, true),
        ("hand over", &local, &elsewhere, false),
        ("take back", &elsewhere, &back, false),
    ] {
        let healthy = begin(before);
        let start = healthy.disk().calls;
        change(&healthy, after, rotate).unwrap();
        let end = healthy.disk().calls;
        for at in start..=end {
            for fault in [Fault::Error, Fault::Half, Fault::Forever] {
                let store = begin(before);
                store.0.lock().unwrap().fault = Some((at, fault));
                change(&store, after, rotate).ok();
                let what = format!("{what}: {fault:?} at call {at}");
                let mut day = Day::default();
                day.acknowledged.push(1);
                for side_synced in [false, true] {
                    let crashed = crashed(&store.disk(), side_synced, |bytes, synced| {
                        bytes.truncate(synced);
                    });
                    check_goes_on(&crashed, &day, after, &what);
                }
            }
        }
    }
}

/// Holds a key in this process.
#[derive(Debug)]
struct Held(Signer);

impl KeyHolder for Held {
    fn verifier(&self) -> &Verifier {
        self.0.verifier()
    }

    fn sign(&self, text: &str, _wait: Duration) -> Result<SignatureBytes, SignError> {
        Ok(self.0.signature(text))
    }
}

#[track_caller]
fn check_survives(disk: &Disk, day: &Day, what: &str) {
    for thousandths in [0, 370, 1000] {
        let dir = tempfile::tempdir().unwrap();
        after_crash(disk, thousandths, dir.path());
        if disk.segments.is_empty() {
            assert!(
                day.acknowledged.is_empty() && day.started.is_empty(),
                "{what}"
            );
            continue;
        }
        let (numbers, started) = recorded(dir.path());
        assert!(
            day.acknowledged.iter().all(|n| numbers.contains(n)),
            "{what}: {day:?} {numbers:?}"
        );
        assert!(
            day.started.iter().all(|run| started.contains(run)),
            "{what}: {day:?}"
        );
        let ledger = Ledger::open(dir.path(), &options());
        let ledger = ledger.unwrap_or_else(|error| panic!("{what} {thousandths}: {error}"));
        ledger
            .commit(vec![Draft::new(Kind::Observed).with("n", 99)])
            .unwrap();
        ledger.close().unwrap();
        let report = report(dir.path());
        assert!(
            report.verdict.is_intact() && report.unsigned_tail == 0,
            "{what} {thousandths}: {report:#?}"
        );
        let (numbers, _) = recorded(dir.path());
        let mut unique = numbers.clone();
        unique.dedup();
        assert_eq!(numbers, unique, "{what}");
    }
}

#[test]
fn whichever_call_fails_nothing_acknowledged_is_lost_and_the_next_writer_goes_on() {
    let healthy = Arc::new(Memory::default());
    let day = live(&healthy);
    assert!(
        day.errors.is_empty() && day.acknowledged.len() == 8,
        "{day:?}"
    );
    let calls = healthy.disk().calls;
    for fault in [Fault::Error, Fault::Half, Fault::Forever] {
        for at in 1..=calls {
            let store = Arc::new(Memory::default());
            store.0.lock().unwrap().fault = Some((at, fault));
            let day = live(&store);
            check_survives(&store.disk(), &day, &format!("{fault:?} at call {at}"));
        }
    }
}

/// All orders in which two processes can do their steps: who does the next.
fn orders(left: (u32, u32)) -> Vec<Vec<usize>> {
    if left == (0, 0) {
        return vec![Vec::new()];
    }
    let mut orders = Vec::new();
    for (process, rest) in [
        (0, (left.0.wrapping_sub(1), left.1)),
        (1, (left.0, left.1.wrapping_sub(1))),
    ] {
        if rest.0 != u32::MAX && rest.1 != u32::MAX {
            orders.extend(self::orders(rest).into_iter().map(|mut order| {
                order.insert(0, process);
                order
            }));
        }
    }
    orders
}

#[test]
fn however_two_processes_take_turns_a_crash_shows_a_whole_checkpoint_of_what_is_durable() {
    const STEPS: u32 = 4;
    // Whether each of them says beforehand that it is about to end.
    let sayings = [[true, true], [true, false], [false, false]];
    for (order, says) in orders((STEPS, STEPS))
        .iter()
        .flat_map(|order| sayings.iter().map(move |says| (order, says)))
    {
        let disk = Memory::default();
        // Somebody was here before: there is a checkpoint.
        {
            let ledger = Ledger::open_store(Arc::new(disk.other()), &options()).unwrap();
            let draft = vec![Draft::new(Kind::Observed)];
            ledger.commit_last(draft).unwrap();
        }
        let mut ledgers = [None, None];
        let mut done = [0, 0];
        for (at, &process) in order.iter().enumerate() {
            let draft = vec![Draft::new(Kind::Observed).with("n", at)];
            match (&mut ledgers[process], done[process]) {
                (ledger, 0) => {
                    let store = Arc::new(disk.other());
                    *ledger = Some(Ledger::open_store(store, &options()).unwrap());
                }
                (Some(ledger), 2) if says[process] => drop(ledger.commit_last(draft).unwrap()),
                (Some(ledger), 1 | 2) => drop(ledger.commit(draft).unwrap()),
                (ledger, _) => ledger.take().unwrap().close().unwrap(),
            }
            done[process] += 1;
            let now = disk.disk();
            for side_synced in [false, true] {
                let what = format!("{order:?}, {says:?}, after {at}, {side_synced}");
                let crashed = crashed(&now, side_synced, |bytes, synced| bytes.truncate(synced));
                let checkpoint = crashed.disk().side[&SideFile::Checkpoint].clone();
                assert!(note::peek(&checkpoint).is_ok(), "{what}");
                // The ledger is not shorter than it says.
                let opened = Ledger::open_store(crashed, &options());
                assert!(opened.is_ok(), "{what}: {opened:?}");
            }
        }
    }
}

#[test]
fn a_state_of_which_a_crash_left_old_and_new_bytes_is_not_believed() {
    let store = Arc::new(Memory::default());
    let mut states = Vec::new();
    for runs in [0, 1] {
        let ledger = Ledger::open_store(Arc::clone(&store) as Arc<dyn Store>, &options()).unwrap();
        ledger.commit(vec![Draft::new(Kind::Observed)]).unwrap();
        for _ in 0..runs {
            // It stays open, and makes the new state longer than the old one.
            drop(start(&ledger).unwrap());
        }
        ledger.close().unwrap();
        states.push(store.disk().side[&SideFile::State].clone());
    }
    let day = Day::default();
    let (old, new) = (&states[0], &states[1]);
    assert_ne!(old.len(), new.len());
    for at in (0..old.len().max(new.len())).step_by(7) {
        for (front, back) in [(old, new), (new, old)] {
            let mut mixed = front.get(..at).unwrap_or(front).to_vec();
            mixed.extend_from_slice(back.get(at..).unwrap_or(&[]));
            let crashed = crashed(&store.disk(), false, |_, _| {});
            crashed
                .0
                .lock()
                .unwrap()
                .side
                .insert(SideFile::State, mixed);
            check_goes_on(&crashed, &day, &options(), &format!("mixed at {at}"));
        }
    }
}

#[test]
fn after_a_failed_sync_nothing_more_is_acknowledged_and_the_next_open_writes_a_gap() {
    let store = Arc::new(Memory::default());
    let ledger = Ledger::open_store(Arc::clone(&store) as Arc<dyn Store>, &options()).unwrap();
    // Find the sync among the calls of one commit: it is the last.
    let before = store.disk().calls;
    ledger
        .commit(vec![Draft::new(Kind::Observed).with("n", 1)])
        .unwrap();
    let calls = store.disk().calls;
    store.0.lock().unwrap().fault = Some((calls + (calls - before), Fault::Error));
    let failed = ledger
        .commit(vec![Draft::new(Kind::Observed).with("n", 2)])
        .unwrap_err();
    assert!(
        matches!(failed, LedgerError::Log(LogError::Poisoned { .. })),
        "{failed}"
    );
    for _ in 0..3 {
        let again = ledger
            .commit(vec![Draft::new(Kind::Observed).with("n", 3)])
            .unwrap_err();
        assert_eq!(again, failed);
    }
    assert!(ledger.close().is_ok());
    let ledger = Ledger::open_store(Arc::clone(&store) as Arc<dyn Store>, &options()).unwrap();
    ledger
        .commit(vec![Draft::new(Kind::Observed).with("n", 4)])
        .unwrap();
    ledger.close().unwrap();
    let dir = tempfile::tempdir().unwrap();
    after_crash(&store.disk(), 0, dir.path());
    let text = fs::read_to_string(dir.path().join("segments").join(segment_name(0))).unwrap();
    assert_eq!(text.matches("\"type\":\"gap\"").count(), 1);
    assert!(report(dir.path()).verdict.is_intact());
}

#[test]
fn a_run_that_started_is_recorded_to_its_end_on_a_full_disk_and_nothing_else_is() {
    recorded_on_a_full_disk(Memory::default());
}

#[test]
fn where_the_filesystem_keeps_no_space_a_ballast_file_does() {
    let store = Memory::default();
    store.0.lock().unwrap().keeps_none = true;
    let disk = recorded_on_a_full_disk(store);
    assert!(!disk.side.contains_key(&SideFile::Ballast));
}

fn recorded_on_a_full_disk(store: Memory) -> Disk {
    let store = Arc::new(store);
    let ledger =
        Ledger::open_store(Arc::clone(&store) as Arc<dyn Store>, &Options::default()).unwrap();
    let mut open = Vec::new();
    for _ in 0..3 {
        open.push(start(&ledger).unwrap());
    }
    store.0.lock().unwrap().full = true;
    // What was kept in advance may let one or two more start, each with its own space.
    let denied = (0..10)
        .find_map(|_| match start(&ledger) {
            Ok(started) => {
                open.push(started);
                None
            }
            Err(error) => Some(error),
        })
        .unwrap();
    assert_eq!(denied.reason(), Reason::LedgerNoSpace);
    // Other entries may use what is left over, but never what is kept for the runs.
    let big = "x".repeat(7000);
    let refused = (0..200).any(|_| {
        ledger
            .commit(vec![Draft::new(Kind::Observed).with("text", big.clone())])
            .is_err()
    });
    assert!(refused);
    for (run, reservation) in open {
        let whole = Draft::new(Kind::Outcome).of(run).with("status", "PASS");
        let whole = (0..8).fold(whole, |draft, n| {
            draft.with(&format!("text{n}"), "y".repeat(7900))
        });
        ledger.finish(reservation, vec![whole]).unwrap();
    }
    drop(ledger);
    let dir = tempfile::tempdir().unwrap();
    after_crash(&store.disk(), 0, dir.path());
    let report = report(dir.path());
    assert!(
        report.verdict.is_intact() && report.open_runs == 0,
        "{report:#?}"
    );
    store.disk()
}
