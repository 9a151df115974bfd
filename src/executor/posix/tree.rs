//! Processes in `/proc`: who descends from whom, and what each one is doing.
//!
//! Pictures for the evidence, and candidates for a signal. Nothing here is ever proof that a
//! process is gone: between two reads everything may have changed.
//!
//! A process can make whoever reads its memory wait as long as it likes, and the command line is read from there. So
//! that is read by a thread that nobody waits for. `stat`, `status` and `children` are the kernel's own.

#![forbid(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use super::poll;
use super::stop::later;
use crate::evidence::Process;

/// Clock ticks a second in `/proc/PID/stat`. The kernel's `USER_HZ`, which is 100 on every
/// architecture of Linux that Rust is built for, whatever the kernel's own frequency is.
const TICKS_PER_SECOND: u64 = 100;

/// Most processes that a picture lists. A fork bomb must not make the evidence unreadable.
pub(super) const MAX_LISTED: usize = 256;

/// Most characters of a command line.
const MAX_COMMAND: usize = 200;

/// Bytes that [`MAX_COMMAND`] characters can take.
const MAX_COMMAND_BYTES: u64 = 800;

/// Time for one command line, once there is somebody to read it. It takes microseconds on a quiet machine.
const COMMAND_TIME: Duration = Duration::from_millis(80);

/// Time for all command lines of a picture together.
const PICTURE_TIME: Duration = Duration::from_millis(200);

/// Most tasks that want to run on a machine where a look at some processes is not in the way of anything.
const CALM: u32 = 32;

/// Most tasks that want to run on a machine where a look at some processes is possible at all.
const BEARABLE: u32 = 300;

/// Time until the next look at whether they have become fewer.
const LOOK_AGAIN: Duration = Duration::from_millis(60);

/// Most bytes of a command line once it is escaped, but for the last character.
const MAX_COMMAND_BYTES_SHOWN: usize = 400;

/// The fields of `/proc/PID/stat` that matter here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) pid: i32,
    pub(super) comm: String,
    pub(super) state: char,
    pub(super) ppid: i32,
    pub(super) pgid: i32,
    pub(super) sid: i32,
    /// Own time and that of children that were waited for, in ticks.
    pub(super) ticks: u64,
    pub(super) child_ticks: u64,
    pub(super) threads: u64,
    /// Since boot, in ticks. With the pid, this names a process for good.
    pub(super) started: u64,
}

impl Stat {
    /// Returns true if anything of it can still run. A process whose main thread has exited is in state `Z`
    /// while its other threads run on.
    pub(super) fn is_alive(&self) -> bool {
        !matches!(self.state, 'Z' | 'X' | 'x') || self.threads > 1
    }

    pub(super) fn parse(text: &[u8]) -> Option<Stat> {
        // The name may itself contain `) Z 1 1`: only the last parenthesis is the kernel's.
        let open = text.iter().position(|byte| *byte == b'(')?;
        let close = text.iter().rposition(|byte| *byte == b')')?;
        let pid = std::str::from_utf8(text.get(..open)?)
            .ok()?
            .trim()
            .parse()
            .ok()?;
        let comm = String::from_utf8_lossy(text.get(open.checked_add(1)?..close)?).into_owned();
        let rest = std::str::from_utf8(text.get(close.checked_add(1)?..)?).ok()?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        let number = |at: usize| -> Option<u64> {
            // Children's times are signed in the kernel's format.
            fields
                .get(at)?
                .parse::<i64>()
                .ok()
                .map(|value| value.max(0).unsigned_abs())
        };
        Some(Stat {
            pid,
            comm,
            state: fields.first()?.chars().next()?,
            ppid: fields.get(1)?.parse().ok()?,
            pgid: fields.get(2)?.parse().ok()?,
            sid: fields.get(3)?.parse().ok()?,
            ticks: number(11)?.saturating_add(number(12)?),
            child_ticks: number(13)?.saturating_add(number(14)?),
            threads: number(17)?,
            started: number(19)?,
        })
    }
}

/// Contents of `/proc/PID/stat` now.
pub(super) fn stat(pid: i32) -> Option<Stat> {
    let mut text = Vec::with_capacity(512);
    fs::File::open(format!("/proc/{pid}/stat"))
        .ok()?
        .read_to_end(&mut text)
        .ok()?;
    Stat::parse(&text)
}

/// Every process there is, by pid.
pub(super) fn all() -> BTreeMap<i32, Stat> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return BTreeMap::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(stat)
        .map(|stat| (stat.pid, stat))
        .collect()
}

/// Everything below `root`, parents before children; not `root` itself.
pub(super) fn descendants(root: i32) -> Vec<Stat> {
    descendants_until(root, None)
}

/// As [`descendants`], as far as one gets within `time`.
pub(super) fn descendants_within(root: i32, time: Duration) -> Vec<Stat> {
    descendants_until(root, Some(later(Instant::now(), time)))
}

/// Returns true if so few tasks want to run that looking at processes delays nothing.
pub(super) fn is_calm() -> bool {
    running().is_some_and(|running| running <= CALM)
}

/// Returns true if few enough tasks want to run for a look at some processes, or will within `time`.
pub(super) fn is_bearable(time: Option<Duration>) -> bool {
    let until = later(Instant::now(), time.unwrap_or_default());
    loop {
        if running().is_none_or(|running| running <= BEARABLE) {
            return true;
        }
        let now = Instant::now();
        if now >= until {
            return false;
        }
        poll::wait(&mut [], Some(until.min(later(now, LOOK_AGAIN))));
    }
}

/// The number of tasks that want to run on this machine.
fn running() -> Option<u32> {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let running = text
        .split(' ')
        .nth(3)
        .and_then(|tasks| tasks.split_once('/'))?;
    running.0.parse().ok()
}

fn descendants_until(root: i32, until: Option<Instant>) -> Vec<Stat> {
    if children(root).is_none() {
        return descendants_in(&all(), root);
    }
    collect(root, |pid| {
        if until.is_some_and(|until| Instant::now() >= until) {
            return Vec::new();
        }
        let children = children(pid).unwrap_or_default();
        children.into_iter().filter_map(stat).collect()
    })
}

/// As [`descendants`], from one look at everything.
pub(super) fn descendants_in(all: &BTreeMap<i32, Stat>, root: i32) -> Vec<Stat> {
    let mut by_parent: BTreeMap<i32, Vec<&Stat>> = BTreeMap::new();
    for stat in all.values() {
        by_parent.entry(stat.ppid).or_default().push(stat);
    }
    collect(root, |pid| {
        by_parent
            .get(&pid)
            .into_iter()
            .flatten()
            .map(|stat| (*stat).clone())
            .collect()
    })
}

/// Goes down from `root`, to each process once: a pid that is used again meanwhile could otherwise
/// lead in a circle.
fn collect(root: i32, children_of: impl Fn(i32) -> Vec<Stat>) -> Vec<Stat> {
    let mut found = Vec::new();
    let mut seen = BTreeSet::from([root]);
    let mut next = vec![root];
    while let Some(pid) = next.pop() {
        for child in children_of(pid) {
            if seen.insert(child.pid) {
                next.push(child.pid);
                found.push(child);
            }
        }
    }
    found
}

/// The children of all threads of `pid`. Nothing if the kernel does not keep such lists.
pub(super) fn children(pid: i32) -> Option<Vec<i32>> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    let mut found = Vec::new();
    for task in tasks {
        let mut path = task.ok()?.path();
        path.push("children");
        match fs::read_to_string(&path) {
            Ok(text) => found.extend(
                text.split_ascii_whitespace()
                    .filter_map(|pid| pid.parse::<i32>().ok()),
            ),
            // The thread ended meanwhile, or the file does not exist at all.
            Err(_) if fs::exists(format!("/proc/{pid}/task/{pid}/children")).unwrap_or(false) => {}
            Err(_) => return None,
        }
    }
    Some(found)
}

/// The picture of a process, with the name that the kernel has for it as its command.
fn describe(stat: &Stat) -> Process {
    // The name of the process stands in it, which may be any bytes.
    let status = fs::read(format!("/proc/{}/status", stat.pid)).unwrap_or_default();
    let status = String::from_utf8_lossy(&status);
    let field = |name: &str| {
        status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .map(str::trim)
            .unwrap_or_default()
    };
    // The last number is the innermost namespace's: what the command's own processes see.
    let inner = |name: &str, outer: i32| {
        field(name)
            .rsplit(char::is_whitespace)
            .next()
            .and_then(|pid| pid.parse().ok())
            .unwrap_or(outer)
    };
    let rss_kib: u64 = field("VmRSS:")
        .trim_end_matches("kB")
        .trim_end()
        .parse()
        .unwrap_or_default();
    Process {
        pid: inner("NSpid:", stat.pid),
        ppid: stat.ppid,
        pgid: inner("NSpgid:", stat.pgid),
        sid: inner("NSsid:", stat.sid),
        state: stat.state.to_string(),
        command: format!("[{}]", stat.comm),
        cpu_ms: stat
            .ticks
            .saturating_mul(1000)
            .checked_div(TICKS_PER_SECOND)
            .unwrap_or_default(),
        rss_bytes: rss_kib.saturating_mul(1024),
        age_ms: age_ms(stat),
    }
}

/// Pictures of `stats`, with command lines as far as they can be read in a short time.
pub(super) fn describe_all(stats: &[Stat]) -> Vec<Process> {
    let mut pictures = outlines(stats);
    let pids = stats.iter().take(MAX_LISTED).map(|stat| stat.pid).collect();
    for (picture, command) in pictures.iter_mut().zip(commands(pids)) {
        if let Some(command) = command {
            picture.command = command;
        }
    }
    pictures
}

/// Pictures of `stats` without what stands in their memory, with parents' pids as their children see them.
pub(super) fn outlines(stats: &[Stat]) -> Vec<Process> {
    let mut pictures: Vec<Process> = stats.iter().take(MAX_LISTED).map(describe).collect();
    let inner: BTreeMap<i32, i32> = stats
        .iter()
        .zip(&pictures)
        .map(|(stat, picture)| (stat.pid, picture.pid))
        .collect();
    for (stat, picture) in stats.iter().zip(&mut pictures) {
        if let Some(ppid) = inner.get(&stat.ppid) {
            picture.ppid = *ppid;
        } else if picture.pid != stat.pid {
            // Only init is left as a parent that is not in the list.
            picture.ppid = 1;
        }
    }
    pictures
}

/// Processor time of `stats` and of all children that they have waited for.
pub(super) fn cpu_ms(stats: &[Stat]) -> u64 {
    let ticks = stats.iter().fold(0u64, |sum, stat| {
        sum.saturating_add(stat.ticks)
            .saturating_add(stat.child_ticks)
    });
    ticks
        .saturating_mul(1000)
        .checked_div(TICKS_PER_SECOND)
        .unwrap_or_default()
}

/// The command lines of `pids`, where there is one and it can be read in time.
fn commands(pids: Vec<i32>) -> Vec<Option<String>> {
    let pids = std::sync::Arc::<[i32]>::from(pids);
    let until = later(Instant::now(), PICTURE_TIME);
    let mut found = Vec::new();
    while found.len() < pids.len() && Instant::now() < until {
        let (sender, receiver) = mpsc::channel();
        let (pids, next) = (std::sync::Arc::clone(&pids), found.len());
        let reader = std::thread::Builder::new().spawn(move || {
            let _ = sender.send(None);
            for pid in pids.iter().skip(next) {
                if sender.send(command(*pid)).is_err() {
                    return;
                }
            }
        });
        if reader.is_err() {
            break;
        }
        // The first word says that it runs; on a busy machine that may take longest.
        let _ = receiver.recv_timeout(PICTURE_TIME);
        // Whoever does not answer is passed over, with the thread that waits for it.
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match receiver.recv_timeout(COMMAND_TIME.min(left)) {
                Ok(command) => found.push(command),
                Err(RecvTimeoutError::Timeout) => {
                    found.push(None);
                    break;
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
    }
    found
}

/// Command line, cut. Nothing if there is none.
fn command(pid: i32) -> Option<String> {
    let mut bytes = Vec::new();
    if let Ok(file) = fs::File::open(format!("/proc/{pid}/cmdline")) {
        let _ = file.take(MAX_COMMAND_BYTES).read_to_end(&mut bytes);
    }
    while bytes.last() == Some(&0) {
        bytes.pop();
    }
    if bytes.is_empty() {
        return None;
    }
    for byte in &mut bytes {
        if *byte == 0 {
            *byte = b' ';
        }
    }
    let text = String::from_utf8_lossy(&bytes);
    // Escaped, a few hundred characters are thousands of bytes.
    let mut shown = 0_usize;
    let fits = |c: &char| {
        let fits = shown < MAX_COMMAND_BYTES_SHOWN;
        shown = shown.saturating_add(c.escape_debug().map(char::len_utf8).sum());
        fits
    };
    let mut command: String = text.chars().take(MAX_COMMAND).take_while(fits).collect();
    if command.len() < text.len() {
        command.push('…');
    }
    Some(command)
}

fn age_ms(stat: &Stat) -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    let now_ms = u64::try_from(now.tv_sec)
        .unwrap_or_default()
        .saturating_mul(1000)
        .saturating_add(u64::try_from(now.tv_nsec).unwrap_or_default() / 1_000_000);
    let started_ms = stat
        .started
        .saturating_mul(1000)
        .checked_div(TICKS_PER_SECOND)
        .unwrap_or_default();
    now_ms.saturating_sub(started_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAIL: &str =
        "S 10 11 12 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 3 0 4242 1000 25 18446744073709551615";

    #[test]
    fn a_name_that_looks_like_the_rest_of_the_line_fools_nobody() {
        for comm in ["sh", "a) Z 1 1", "((", "))", ") R 1 (", "with space", ""] {
            let stat = Stat::parse(format!("42 ({comm}) {TAIL}").as_bytes()).unwrap();
            assert_eq!(
                (
                    stat.pid,
                    stat.comm.as_str(),
                    stat.state,
                    stat.ppid,
                    stat.pgid,
                    stat.sid
                ),
                (42, comm, 'S', 10, 11, 12)
            );
            assert_eq!(
                (stat.ticks, stat.child_ticks, stat.threads, stat.started),
                (11, 15, 3, 4242)
            );
        }
    }

    #[test]
    fn what_is_not_a_stat_line_is_refused() {
        for text in ["", "42", "42 (sh", "42 (sh)", "42 (sh) S", "x (sh) S 1 1 1"] {
            assert_eq!(Stat::parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_zombie_with_running_threads_is_alive() {
        let zombie = |threads: u64| {
            let line = format!("1 (a) Z 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 {threads} 0 1 0 0");
            Stat::parse(line.as_bytes()).unwrap()
        };
        assert!(!zombie(1).is_alive());
        assert!(!zombie(0).is_alive());
        assert!(zombie(2).is_alive());
    }

    #[test]
    fn this_process_is_found_and_described() {
        let own = i32::try_from(std::process::id()).unwrap();
        let stat = stat(own).unwrap();
        assert!(stat.is_alive());
        let pictures = describe_all(&[stat]);
        assert!(pictures[0].rss_bytes > 0 && !pictures[0].command.starts_with('['));
        assert!(all().contains_key(&own));
    }
}
