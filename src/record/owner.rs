//! Who is writing: this process, named so that another process can tell later whether it is gone.
//!
//! A run is only ever declared lost on proof. The proof is a lock on the ledger's own file `alive`, which the kernel
//! gives back when its process ends: it counts in every PID namespace, in every time namespace, and whatever the
//! machine calls this start of it. A process id is a second witness, at one start of the machine and in one PID
//! namespace; a start time, where both sides also count in one time namespace. Where nothing proves it, a process counts as alive.

#![forbid(unsafe_code)]

use serde::{Deserialize, Serialize};

use crate::log::boot::{UNKNOWN_BOOT, boot_id, read_small};
use crate::log::store::Mark;

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
    /// The time namespace in which `start` counts; empty where it is not known.
    #[serde(default)]
    pub(super) timens: String,
    /// The lock that it holds; none where none could be had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) mark: Option<Mark>,
}

/// The knowledge about a process by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    Gone,
    Alive,
    /// Its number says nothing here.
    Unknown,
}

impl Owner {
    /// This process, which holds `mark`.
    pub(super) fn this(mark: Option<Mark>) -> Owner {
        let pid = std::process::id();
        Owner {
            pid,
            start: stat(pid).map_or(0, |(_, start)| start),
            pidns: namespace("pid"),
            timens: namespace("time"),
            mark,
        }
    }

    /// Returns true if it is certain that the process, which ran at the start `boot` of the machine, is gone.
    /// `mark` says if the lock that it held is still held, where that is known.
    pub(super) fn is_gone(&self, boot: &str, now: &Observer, mark: Option<bool>) -> bool {
        if mark == Some(true) {
            return false;
        }
        match self.seen(boot, now) {
            Seen::Gone => true,
            Seen::Alive => false,
            Seen::Unknown => mark == Some(false),
        }
    }

    /// Looks for the process by its number. At one start of the machine and in one PID namespace a number that nobody
    /// has is proof; one that somebody has may be another process's by now. Another start of the machine may be
    /// another machine, or a container with a name of its own for it.
    fn seen(&self, boot: &str, now: &Observer) -> Seen {
        let pid = i32::try_from(self.pid).ok();
        let pid = pid.and_then(rustix::process::Pid::from_raw);
        let one_start = boot == now.boot && boot != UNKNOWN_BOOT;
        let counts_here = one_start && is_same(&self.pidns, &now.pidns);
        let (Some(pid), true) = (pid, counts_here) else {
            return Seen::Unknown;
        };
        if rustix::process::test_kill_process(pid) == Err(rustix::io::Errno::SRCH) {
            return Seen::Gone;
        }
        if self.start == 0 || !is_same(&self.timens, &now.timens) {
            return Seen::Unknown;
        }
        match stat(self.pid) {
            Some((_, start)) if start != self.start => Seen::Gone,
            // It has ended, and nobody has waited for it; or only its first thread has.
            Some(('Z', _)) => Seen::Unknown,
            Some(_) => Seen::Alive,
            None => Seen::Unknown,
        }
    }
}

/// Returns true if two namespaces are known and are one.
fn is_same(a: &str, b: &str) -> bool {
    !a.is_empty() && a == b
}

/// From where it is judged if a process is gone.
#[derive(Clone, Debug)]
pub(super) struct Observer {
    pub(super) boot: String,
    pub(super) pidns: String,
    pub(super) timens: String,
}

impl Observer {
    pub(super) fn here() -> Observer {
        Observer {
            boot: boot_id(),
            pidns: namespace("pid"),
            timens: namespace("time"),
        }
    }
}

/// The number of the namespace of this kind that this process is in; empty where there is none.
fn namespace(kind: &str) -> String {
    let link = std::fs::read_link(format!("/proc/self/ns/{kind}")).unwrap_or_default();
    link.to_string_lossy()
        .trim_start_matches(kind)
        .trim_start_matches(":[")
        .trim_end_matches(']')
        .to_owned()
}

/// Fields 3 and 22 of `/proc/PID/stat`: the state and the start time. The second field holds the program's name, which
/// may hold anything, so counting starts behind its last `)`.
fn stat(pid: u32) -> Option<(char, u64)> {
    let stat = read_small(&format!("/proc/{pid}/stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    let (_, behind) = stat.rsplit_once(')')?;
    let mut fields = behind.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((state, fields.nth(18)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(
        clippy::disallowed_methods,
        reason = "a process that has ended, for this test"
    )]
    fn a_process_that_has_ended_is_gone_though_nobody_waited_for_it() {
        use std::io::Read as _;
        use std::process::{Command, Stdio};
        let mut child = Command::new("true").stdout(Stdio::piped()).spawn().unwrap();
        let (pid, here) = (child.id(), Observer::here());
        // Its output is closed a moment before it has ended.
        child
            .stdout
            .take()
            .unwrap()
            .read_to_end(&mut Vec::new())
            .unwrap();
        while stat(pid).unwrap().0 != 'Z' {}
        let start = stat(pid).unwrap().1;
        let owner = Owner {
            pid,
            start,
            ..Owner::this(None)
        };
        assert!(!owner.is_gone(&here.boot, &here, None));
        assert!(!owner.is_gone(&here.boot, &here, Some(true)));
        assert!(owner.is_gone(&here.boot, &here, Some(false)));
        child.wait().unwrap();
        assert!(owner.is_gone(&here.boot, &here, None));
    }

    #[test]
    fn a_process_is_gone_only_where_that_is_certain() {
        let (me, here) = (Owner::this(None), Observer::here());
        assert!(!me.pidns.is_empty() && !me.timens.is_empty());
        let boot = here.boot;
        let owner = |change: &dyn Fn(&mut Owner)| {
            let mut owner = me.clone();
            change(&mut owner);
            owner
        };
        #[track_caller]
        fn check(owner: &Owner, boot: &str, mark: Option<bool>, gone: bool) {
            let here = Observer::here();
            assert_eq!(owner.is_gone(boot, &here, mark), gone, "{owner:?}");
        }
        // What is seen by its number, where no mark says more.
        check(&me, &boot, None, false);
        check(&me, "another-boot", None, false);
        let earlier = owner(&|owner| owner.start += 1);
        check(&earlier, &boot, None, true);
        check(&earlier, "another-boot", None, false);
        check(&owner(&|owner| owner.pid = 0), &boot, None, false);
        // Start times count in one time namespace only, and numbers in one PID namespace.
        let shifted = |change: fn(&mut Owner)| {
            let mut owner = earlier.clone();
            change(&mut owner);
            owner
        };
        check(
            &shifted(|owner| owner.timens = "1".to_owned()),
            &boot,
            None,
            false,
        );
        check(&shifted(|owner| owner.timens.clear()), &boot, None, false);
        check(
            &shifted(|owner| owner.pidns = "1".to_owned()),
            &boot,
            None,
            false,
        );
        check(
            &shifted(|owner| owner.pidns.clear()),
            "another-boot",
            None,
            false,
        );
        check(&shifted(|owner| owner.start = 0), &boot, None, false);
        // A lock that is held is proof of life, one that is not is proof of the end unless the process is seen.
        check(&earlier, &boot, Some(true), false);
        check(
            &shifted(|owner| owner.pidns = "1".to_owned()),
            "another-boot",
            Some(false),
            true,
        );
        check(&me, &boot, Some(false), false);
        check(&me, "another-boot", Some(false), true);
    }
}
