//! The small process that owns the deadline.
//!
//! It is the same program, started again by the host: one thread, its own session, nothing
//! inherited but a socket. It builds the empty tree, starts the command in it on the host's word,
//! and ends the run, whether or not the host is still there. It dies only after its run.

#![forbid(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use rustix::event::{PollFd, PollFlags};
use rustix::process::{Pid, PidfdFlags, getpid, getppid, pidfd_open};

use super::alarm::Alarm;
use super::containment::{self, Tree};
use super::limits::CpuWatch;
use super::payload::Descriptors;
use super::stop::{Ending, Kept, LOOK_TIME, later, ms_between};
use super::wire::{Channel, Finished, FromHelper, Order, ToHelper};
use super::{poll, sys, tree};
use crate::evidence::{EmptyProof, Event, Resources, StopReason};

/// The first argument of a process that is to be a helper.
pub(super) const ARGUMENT: &str = "__lictor-helper";

/// Is the helper, until its run is over. Never returns.
pub(super) fn run() -> ! {
    // Nothing here may print: descriptors 1 and 2 are nowhere. A failure is the end of the stream
    // for the host.
    let result = std::panic::catch_unwind(be_helper);
    sys::exit_now(i32::from(!matches!(result, Ok(Ok(())))))
}

fn be_helper() -> io::Result<()> {
    // A terminal's signals are for the host; it passes on what it means.
    let _ = rustix::process::setsid();
    rustix::process::chdir("/")?;
    sys::close_from(3);
    sys::reset_signals(0)?;
    sys::be_prompt();
    let host = Channel::new(UnixStream::from(sys::take_stdin()?));
    let Some((ToHelper::Begin(begin), _)) = host.receive()? else {
        return Ok(());
    };
    // The end of the socket says that the host is gone, unless somebody else has got hold of its
    // end by `fork`; this says it even then.
    let host_process = watch_parent(begin.host)?;
    rustix::process::set_child_subreaper(Some(getpid()))?;

    // What takes longest, while the host may still be reading its policy.
    let begun = containment::begin(begin.at_most);
    let Some((ToHelper::Prepare(prepare), _)) = host.receive()? else {
        return Ok(());
    };
    let mut tree = match containment::build(&prepare, begun) {
        Ok(tree) => tree,
        Err(refusal) => return host.send(&refusal, &[]),
    };
    // Only now: a process that cannot be dumped cannot open the maps of its children.
    nix::sys::prctl::set_dumpable(false)?;
    let beside: Vec<BorrowedFd<'_>> = tree.init_pidfd().into_iter().collect();
    host.send(&FromHelper::Ready(Box::new(tree.ready())), &beside)?;

    let Some((ToHelper::Go(order), fds)) = host.receive()? else {
        tree.take_down();
        return Ok(());
    };
    let descriptors = Descriptors::try_from(fds)?;
    let started = Instant::now();
    let start = tree.start(&order, &descriptors);
    // Only the run may hold them, or its output never ends.
    drop(descriptors);
    if let Err(error) = start {
        tree.take_down();
        return host.send(&FromHelper::NotStarted(error.to_string()), &[]);
    }
    let alarm = Alarm::set(order.timeout);
    // A host that is gone is noticed below.
    let _ = host.send(&FromHelper::Started, &[]);
    let run = Run {
        host: &host,
        host_process: host_process.as_ref(),
        order: &order,
        started,
        alarm: &alarm,
    };
    let told = match run.supervise(&mut tree) {
        Some(finished) => host.send(&FromHelper::Finished(Box::new(finished)), &[]),
        None => Ok(()),
    };
    // Only now: what cannot be proven to be gone may take longer than the host waits.
    tree.take_down();
    told
}

/// Becomes readable when the host has ended. Nothing if it cannot be watched.
fn watch_parent(host: i32) -> io::Result<Option<OwnedFd>> {
    let Some(parent) = getppid() else {
        return Ok(None);
    };
    let pidfd = pidfd_open(parent, PidfdFlags::empty()).ok();
    // Asked again after the opening: before, the host may have died and its pid been taken.
    if getppid() == Some(parent) && parent.as_raw_pid() == host {
        Ok(pidfd)
    } else if getppid() == Pid::from_raw(host) {
        Ok(None)
    } else {
        Err(io::Error::other("the host is gone"))
    }
}

/// One run, from the start of the command to the proof that nothing is left of it.
struct Run<'a> {
    host: &'a Channel,
    host_process: Option<&'a OwnedFd>,
    order: &'a Order,
    started: Instant,
    alarm: &'a Alarm,
}

impl Run<'_> {
    /// Nothing if the host is gone, so nobody is left to be told.
    fn supervise(&self, tree: &mut Tree) -> Option<Finished> {
        let order = self.order;
        let mut ending = Ending::new(self.started, order.timeout, order.grace, order.stop);
        let mut cpu = CpuWatch::new(order.cpu, self.started);
        let mut limit = None;
        let mut host_is_gone = false;
        let mut leader_seen = false;
        let proof = loop {
            tree.listen();
            let now = Instant::now();
            if tree.ended().is_some() && !leader_seen {
                leader_seen = true;
                ending.command_ended(now);
            }
            // Asked for even while nothing is ending: a tree may die without a word from anybody.
            if let Some(proof) = tree.proof() {
                ending.emptied(now);
                break proof;
            }
            if tree.is_asked_to_end() {
                ending.stop(StopReason::Cancelled, now, tree);
            }
            if !host_is_gone {
                match self.hear_host() {
                    Heard::Nothing => {}
                    Heard::Cancel => ending.stop(StopReason::Cancelled, now, tree),
                    Heard::Hurry => ending.hurry(now, tree),
                    Heard::Gone => {
                        // Nobody is left who could want the output or the grace period.
                        host_is_gone = true;
                        ending.stop(StopReason::Cancelled, now, tree);
                        ending.hurry(now, tree);
                    }
                }
            }
            if !ending.is_ending() && self.alarm.has_rung() {
                ending.stop(StopReason::Timeout, now, tree);
            }
            if !ending.is_ending() && cpu.is_due(now) && cpu.is_more_than_allowed(now, tree.cpu()) {
                limit = Some("cpu".to_owned());
                ending.stop(StopReason::Limit, now, tree);
            }
            if ending.is_killed() {
                tree.kill();
            }
            if !ending.tick(now, tree) {
                break EmptyProof::None;
            }
            self.wait(tree, &ending, cpu.next_look(), host_is_gone);
        };

        let ended = tree.ended();
        let survivors = if proof == EmptyProof::None {
            tree::outlines(&tree.living(LOOK_TIME))
        } else {
            Vec::new()
        };
        let duration_ms = ms_between(self.started, Instant::now());
        let parts = ending.into_parts();
        let mut events: Vec<Event> = parts.unseen().into_iter().collect();
        events.extend(tree.lost_init(&parts.stop));
        events.extend(self.alarm.slept());
        if let Some(exceeded) = tree.limit_exceeded() {
            limit = Some(exceeded.to_owned());
        }
        let peak_processes = tree.peak();
        let resources = resources(peak_processes);
        let used = Duration::from_millis(
            resources
                .cpu_user_ms
                .saturating_add(resources.cpu_system_ms),
        );
        // Where it was used between two looks.
        if order.cpu.is_some_and(|most| used > most) {
            limit.get_or_insert_with(|| "cpu".to_owned());
        }
        (!host_is_gone).then_some(Finished {
            ended,
            duration_ms,
            limit,
            proof,
            stop: parts.stop,
            tree: parts.tree,
            leaked: parts.leaked,
            survivors,
            events,
            resources,
        })
    }

    fn hear_host(&self) -> Heard {
        if self
            .host_process
            .is_some_and(|host| poll::is_readable(host.as_fd()))
        {
            return Heard::Gone;
        }
        if !poll::is_readable(self.host.as_fd()) {
            return Heard::Nothing;
        }
        match self.host.receive() {
            Ok(Some((ToHelper::Cancel, _))) => Heard::Cancel,
            Ok(Some((ToHelper::Hurry, _))) => Heard::Hurry,
            Ok(Some((ToHelper::Begin(_) | ToHelper::Prepare(_) | ToHelper::Go(_), _))) => {
                Heard::Nothing
            }
            Ok(None) | Err(_) => Heard::Gone,
        }
    }

    fn wait(&self, tree: &Tree, ending: &Ending, look: Option<Instant>, host_is_gone: bool) {
        let mut until = [ending.wake_at(), look].into_iter().flatten().min();
        if ending.is_killed() {
            let again = later(Instant::now(), tree.kill_again());
            until = Some(until.map_or(again, |until| until.min(again)));
        }
        let mut fds = tree.fds();
        // What has rung stays readable.
        if let Some(alarm) = self.alarm.as_fd().filter(|_| !ending.is_ending()) {
            fds.push(PollFd::from_borrowed_fd(alarm, PollFlags::IN));
        }
        if !host_is_gone {
            fds.push(PollFd::from_borrowed_fd(self.host.as_fd(), PollFlags::IN));
            if let Some(host) = self.host_process {
                fds.push(PollFd::from_borrowed_fd(host.as_fd(), PollFlags::IN));
            }
        }
        poll::wait(&mut fds, until);
    }
}

enum Heard {
    Nothing,
    Cancel,
    Hurry,
    Gone,
}

/// Resources that all processes of the run used: all of them have been waited for, by this process or by
/// others that it has waited for.
fn resources(peak_processes: Option<u32>) -> Resources {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_CHILDREN) else {
        return Resources::default();
    };
    let ms = |time: nix::sys::time::TimeVal| {
        let seconds = u64::try_from(time.tv_sec()).unwrap_or_default();
        let micros = u64::try_from(time.tv_usec()).unwrap_or_default();
        seconds.saturating_mul(1000).saturating_add(micros / 1000)
    };
    Resources {
        cpu_user_ms: ms(usage.user_time()),
        cpu_system_ms: ms(usage.system_time()),
        max_rss_bytes: u64::try_from(usage.max_rss())
            .unwrap_or_default()
            .saturating_mul(1024),
        peak_processes,
    }
}
