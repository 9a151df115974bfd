//! Who is writing: this process, named so that another process can tell later whether it is gone.
//!
//! A process id alone is used again by others; with the start time it is not, within one start of the
//! machine and one PID namespace. Where that cannot be told, a process counts as alive: a run is only
//! ever declared lost on proof.

#![forbid(unsafe_code)]

use std::io::{self, Read};

use serde::{Deserialize, Serialize};

/// One process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Owner {
    pub(super) pid: u32,
    /// Start time in clock ticks since the machine was started; 0 where it is not known.
    #[serde(default)]
    pub(super) start: u64,
    /// The PID namespace in which `pid` counts; empty where it is not known.
    #[serde(default)]
    pub(super) pidns: String,
}

impl Owner {
    /// This process.
    pub(super) fn this() -> Owner {
        let pid = std::process::id();
        Owner {
            pid,
            start: start_time(pid).unwrap_or(0),
            pidns: pid_namespace(),
        }
    }

    /// Whether it is certain that the process, seen at the start `boot` of the machine, is gone.
    pub(super) fn is_gone(&self, boot: &str, now: &Observer) -> bool {
        if now.is_restarted_since(boot) {
            return true;
        }
        if self.pidns != now.pidns {
            return false;
        }
        let Some(pid) = i32::try_from(self.pid)
            .ok()
            .and_then(rustix::process::Pid::from_raw)
        else {
            return true;
        };
        match rustix::process::test_kill_process(pid) {
            Err(rustix::io::Errno::SRCH) => true,
            _ => self.start != 0 && start_time(self.pid).is_some_and(|start| start != self.start),
        }
    }
}

/// From where it is judged whether a process is gone.
#[derive(Clone, Debug)]
pub(super) struct Observer {
    pub(super) boot: String,
    pub(super) pidns: String,
}

impl Observer {
    pub(super) fn here() -> Observer {
        Observer {
            boot: boot_id(),
            pidns: pid_namespace(),
        }
    }

    /// Whether the machine was started again since the start `boot`.
    pub(super) fn is_restarted_since(&self, boot: &str) -> bool {
        boot != self.boot && boot != UNKNOWN_BOOT && self.boot != UNKNOWN_BOOT
    }
}

/// Written where the machine does not name its starts.
const UNKNOWN_BOOT: &str = "unknown";

fn boot_id() -> String {
    let text = read_small("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let text = String::from_utf8(text).unwrap_or_default();
    let text = text.trim();
    let plain = !text.is_empty()
        && text.len() <= 64
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if plain {
        text.to_owned()
    } else {
        UNKNOWN_BOOT.to_owned()
    }
}

/// A file that the kernel makes up, in one read: it says no length beforehand. Longer than 4 KiB is none of those
/// that are read here.
fn read_small(path: &str) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(4096);
    let file = std::fs::File::open(path)?;
    file.take(4095).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn pid_namespace() -> String {
    let link = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    link.to_string_lossy()
        .trim_start_matches("pid:[")
        .trim_end_matches(']')
        .to_owned()
}

/// Field 22 of `/proc/PID/stat`. The second field holds the program's name, which may hold anything, so
/// counting starts behind its last `)`.
fn start_time(pid: u32) -> Option<u64> {
    let stat = read_small(&format!("/proc/{pid}/stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    stat.rsplit_once(')')?
        .1
        .split_ascii_whitespace()
        .nth(19)?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_not_gone_and_another_start_of_it_or_of_the_machine_is() {
        let (me, here) = (Owner::this(), Observer::here());
        assert!(!me.is_gone(&here.boot, &here));
        assert!(me.is_gone("another-boot", &here));
        let earlier = Owner {
            start: me.start.wrapping_add(1),
            ..me
        };
        assert!(earlier.is_gone(&here.boot, &here));
        let elsewhere = Owner {
            pidns: "1".to_owned(),
            ..earlier
        };
        assert!(!elsewhere.is_gone(&here.boot, &here));
    }
}
