//! The system calls that no safe wrapper has, each with a safe signature. The only unsafe code.

#![expect(unsafe_code, reason = "clone3, exec and others have no safe wrapper")]

use std::ffi::{CStr, CString, OsString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicU8, AtomicU64, Ordering};

use super::wire::{Bytes, Order};

/// The standard descriptors that were closed when this program was started, as bits.
static CLOSED: AtomicU8 = AtomicU8::new(0);

/// The signals that were ignored when this program was started: signal `n` is bit `n - 1`.
static IGNORED: AtomicU64 = AtomicU64::new(0);

/// Looks before `main`: by then the runtime has opened `/dev/null` in their place, and ignores `SIGPIPE`.
#[used]
// SAFETY: the linker's list of functions to call before `main` holds pointers of just this type.
#[unsafe(link_section = ".init_array")]
static LOOK: extern "C" fn() = look;

extern "C" fn look() {
    for descriptor in 0..3_u8 {
        // SAFETY: the call takes no pointer, and a descriptor that is closed is an error.
        if unsafe { libc::fcntl(descriptor.into(), libc::F_GETFD) } == -1 {
            CLOSED.fetch_or(1 << descriptor, Ordering::Relaxed);
        }
    }
    for (bit, signal) in signals() {
        if disposition(signal) == Some(libc::SIG_IGN) {
            IGNORED.fetch_or(bit, Ordering::Relaxed);
        }
    }
}

/// Every signal, with its bit in a set of signals.
fn signals() -> impl Iterator<Item = (u64, libc::c_int)> {
    (0..64).map(|nth| 1 << nth).zip(1..)
}

/// The disposition of `signal`; `None` for those that the C library keeps to itself.
fn disposition(signal: libc::c_int) -> Option<libc::sighandler_t> {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: changes nothing, and the pointer is valid for writes.
    let done = unsafe { libc::sigaction(signal, ptr::null(), action.as_mut_ptr()) };
    // SAFETY: all bit patterns are valid, zero among them.
    (done == 0).then(|| unsafe { action.assume_init() }.sa_sigaction)
}

/// The signals that were ignored when this program was started: signal `n` is bit `n - 1`.
pub(super) fn ignored() -> u64 {
    IGNORED.load(Ordering::Relaxed)
}

/// Returns true if one of the descriptors 0 to 2 was closed when this program was started.
#[cfg(feature = "cli")]
pub(crate) fn was_closed(descriptor: u8) -> bool {
    CLOSED.load(Ordering::Relaxed) >> descriptor.min(7) & 1 == 1
}

/// The version of Landlock's interface that the kernel offers; `None` if it offers none, or if it is switched
/// off.
pub(super) fn landlock_abi() -> Option<u32> {
    const VERSION: libc::c_uint = 1;
    let none = ptr::null::<libc::c_void>();
    // SAFETY: with this flag the call takes a null pointer and the size 0, and only answers a number.
    let answer =
        unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, none, 0_usize, VERSION) };
    u32::try_from(answer).ok().filter(|abi| *abi > 0)
}

/// Abstract sockets of those who do not run below this process cannot be connected to from now on, by it and by all below
/// it. Needs `NO_NEW_PRIVS`. Where the kernel cannot do so (before Linux 6.12), all is as before.
pub(super) fn leave_abstract_sockets() {
    /// `struct landlock_ruleset_attr` as of version 6.
    #[repr(C)]
    struct Attributes {
        files: u64,
        ports: u64,
        scoped: u64,
    }
    const ABSTRACT_SOCKETS: u64 = 1;
    if landlock_abi().is_none_or(|abi| abi < 6) {
        return;
    }
    let attributes = Attributes {
        files: 0,
        ports: 0,
        scoped: ABSTRACT_SOCKETS,
    };
    let flags: libc::c_uint = 0;
    // SAFETY: the pointer is valid for reads of as many bytes as are given. The descriptor is this function's own.
    unsafe {
        let rules = libc::syscall(
            libc::SYS_landlock_create_ruleset,
            &raw const attributes,
            size_of::<Attributes>(),
            flags,
        );
        if let Ok(rules) = libc::c_int::try_from(rules)
            && rules >= 0
        {
            libc::syscall(libc::SYS_landlock_restrict_self, rules, flags);
            libc::close(rules);
        }
    }
}

/// Gives this process, and all below it, a session keyring of its own, which is empty: what the caller's holds is not found.
///
/// # Errors
///
/// Those of `keyctl`, unless there is none here: then no key can be had by anybody.
pub(super) fn leave_keyring() -> io::Result<()> {
    const JOIN_SESSION_KEYRING: libc::c_ulong = 1;
    let unnamed = ptr::null::<libc::c_char>();
    // SAFETY: without a name the call takes no pointer that is read.
    let joined = unsafe { libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, unnamed) };
    match io::Error::last_os_error() {
        error
            if joined < 0 && !matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) =>
        {
            Err(error)
        }
        _ => Ok(()),
    }
}

/// Program, arguments and environment in the form that `exec` takes.
#[derive(Debug)]
pub(super) struct Image {
    program: CString,
    argv: Vec<CString>,
    env: Vec<CString>,
}

impl Image {
    /// From what came over the wire.
    ///
    /// # Errors
    ///
    /// If a text contains a zero byte.
    pub(super) fn from_order(order: &Order) -> io::Result<Image> {
        let text =
            |text: &Bytes| CString::new(OsString::from(text).into_vec()).map_err(io::Error::from);
        Ok(Image {
            program: text(&order.program)?,
            argv: order.argv.iter().map(text).collect::<io::Result<_>>()?,
            env: order
                .env
                .iter()
                .map(|(name, value)| {
                    let mut entry = OsString::from(name);
                    entry.push("=");
                    entry.push(OsString::from(value));
                    CString::new(entry.into_vec()).map_err(io::Error::from)
                })
                .collect::<io::Result<_>>()?,
        })
    }

    /// Replaces this process. Returns only what went wrong.
    pub(super) fn exec(&self) -> io::Error {
        match nix::unistd::execve(&self.program, &self.argv, &self.env) {
            Ok(never) => match never {},
            Err(error) => error.into(),
        }
    }
}

/// Which of the two processes this is.
pub(super) enum Forked {
    Parent(i32),
    Child,
}

/// `fork(2)`, for the helper and its init only: a process with one thread.
pub(super) fn fork() -> io::Result<Forked> {
    // SAFETY: the helper starts no threads, so no lock is held by a thread that does not exist in
    // the child, and the child may do anything that the parent may.
    match unsafe { nix::unistd::fork() }? {
        nix::unistd::ForkResult::Parent { child } => Ok(Forked::Parent(child.as_raw())),
        nix::unistd::ForkResult::Child => Ok(Forked::Child),
    }
}

/// As `vfork(2)`: runs `child` in a new process that borrows this one's memory until it has become another
/// program, or has ended, which it does when `child` returns. This one waits for that; what `child` has written
/// is here then. Returns its pid.
///
/// A fork would copy each page that either of the two touches, for a process that is about to be another program.
///
/// `child` must not unwind.
pub(super) fn vfork(child: &mut dyn FnMut()) -> io::Result<i32> {
    use nix::sched::{CloneFlags, clone};
    /// Far more than what leads to `exec` needs.
    const STACK_BYTES: usize = 256 << 10;
    let mut stack = vec![0; STACK_BYTES];
    let run = Box::new(|| {
        child();
        127
    });
    let flags = CloneFlags::CLONE_VM | CloneFlags::CLONE_VFORK;
    // SAFETY: with CLONE_VFORK nothing here runs before the child has left this memory, so it is never used by
    // two at once, and `stack` and `child` outlive its use of them. There is one thread, so no lock can be held
    // by another. The child has its own descriptors, signal handlers and limits, as after `fork`; it has no
    // handler that could run, since helper and init set none.
    let pid = unsafe { clone(run, &mut stack, flags, Some(libc::SIGCHLD)) }?;
    Ok(pid.as_raw())
}

/// Which of the two processes this is, after [`clone_into_namespaces`].
pub(super) enum Cloned {
    Parent { pid: i32, pidfd: OwnedFd },
    Child,
}

/// As [`fork`], with the child in new namespaces, and in `cgroup`.
///
/// # Errors
///
/// Those of `clone3`, or of `clone` where a filter says that `clone3` does not exist, and no cgroup is given.
pub(super) fn clone_into_namespaces(
    flags: libc::c_int,
    cgroup: Option<BorrowedFd<'_>>,
) -> io::Result<Cloned> {
    let mut pidfd: libc::c_int = -1;
    let mut flags = u64::try_from(flags | libc::CLONE_PIDFD).map_err(io::Error::other)?;
    // SAFETY: all fields are integers, for which zero is a value.
    let mut arguments: libc::clone_args = unsafe { std::mem::zeroed() };
    if let Some(cgroup) = cgroup {
        /// Newer than what the C library's headers have.
        const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
        flags |= CLONE_INTO_CGROUP;
        arguments.cgroup = u64::try_from(cgroup.as_raw_fd()).map_err(io::Error::other)?;
    }
    arguments.flags = flags;
    arguments.pidfd = ptr::from_mut(&mut pidfd).expose_provenance() as u64;
    arguments.exit_signal = libc::SIGCHLD.unsigned_abs().into();
    // SAFETY: without CLONE_VM the child has its own copy of everything, as after `fork`; that one
    // thread is all there is makes the copy usable. `pidfd` outlives the call.
    let mut pid = unsafe {
        libc::syscall(
            libc::SYS_clone3,
            &raw mut arguments,
            size_of::<libc::clone_args>(),
        )
    };
    // Filters of containers answer ENOSYS because they cannot see flags behind a pointer.
    #[cfg(not(target_arch = "s390x"))] // where the first two arguments are the other way round
    if pid < 0
        && cgroup.is_none()
        && io::Error::last_os_error().raw_os_error() == Some(libc::ENOSYS)
    {
        let flags = flags | u64::from(libc::SIGCHLD.unsigned_abs());
        let none = ptr::null_mut::<libc::c_void>();
        // SAFETY: as above. Stack 0 means the same one, in the child's own copy. The order of the
        // arguments behind the third differs by architecture, and those are null.
        pid = unsafe { libc::syscall(libc::SYS_clone, flags, none, &raw mut pidfd, none, none) };
    }
    match pid {
        0 => Ok(Cloned::Child),
        pid if pid > 0 && pidfd >= 0 => {
            let pid = i32::try_from(pid).map_err(io::Error::other)?;
            // SAFETY: the kernel has just opened it for us, close-on-exec, and nobody else has it.
            Ok(Cloned::Parent {
                pid,
                pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) },
            })
        }
        _ => Err(io::Error::last_os_error()),
    }
}

/// Makes device files below `point` devices, or nothing but names: in the mount there, and all below it.
///
/// # Errors
///
/// Those of `mount_setattr`, which is there from Linux 5.12 on.
pub(super) fn set_devices(point: &CStr, can_be_used: bool) -> io::Result<()> {
    /// `struct mount_attr`, which the C library's crate does not have.
    #[derive(Default)]
    #[repr(C)]
    struct Attributes {
        set: u64,
        clear: u64,
        propagation: u64,
        namespace: u64,
    }
    const MOUNT_ATTR_NODEV: u64 = 4;
    let mut attributes = Attributes::default();
    if can_be_used {
        attributes.clear = MOUNT_ATTR_NODEV;
    } else {
        attributes.set = MOUNT_ATTR_NODEV;
    }
    // SAFETY: both pointers are valid for reads during the call, and the second is of as many bytes as is said.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            point.as_ptr(),
            libc::AT_RECURSIVE,
            &raw const attributes,
            size_of::<Attributes>(),
        )
    };
    if done == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Ends this process without running anything that the parent has registered for its end.
pub(super) fn exit_now(code: i32) -> ! {
    // SAFETY: has no precondition.
    unsafe { libc::_exit(code) }
}

/// The kernel kills this process when its parent ends.
pub(super) fn die_with_parent() -> io::Result<()> {
    Ok(nix::sys::prctl::set_pdeathsig(
        nix::sys::signal::Signal::SIGKILL,
    )?)
}

/// Sends `signal`, whatever its number, to `pid`, which is understood as by `kill(2)`.
pub(super) fn kill(pid: i32, signal: i32) {
    // SAFETY: has no precondition.
    unsafe { libc::kill(pid, signal) };
}

/// Sends `signal`, whatever its number, to the process of `pidfd`.
pub(super) fn kill_pidfd(pidfd: BorrowedFd<'_>, signal: i32) {
    let none = ptr::null::<libc::c_void>();
    // SAFETY: without a `siginfo_t` the call takes numbers only.
    unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signal,
            none,
            0,
        )
    };
}

/// Unblocks every signal, and gives each its default action but those that are to be `ignored`.
pub(super) fn reset_signals(ignored: u64) -> io::Result<()> {
    for (bit, signal) in signals() {
        // The kernel's own structure, which begins with the handler: the C library refuses the two signals that
        // it keeps to itself, and its `posix_spawn` leaves them ignored. One word is a set of 64 signals.
        const SET_BYTES: usize = 8;
        let action = [
            if ignored & bit == 0 {
                libc::SIG_DFL
            } else {
                libc::SIG_IGN
            },
            0,
            0,
            0,
            0,
        ];
        let none = ptr::null_mut::<libc::c_void>();
        // SAFETY: sets no handler, and the pointer is valid for reads of more than the structure. Fails for
        // SIGKILL and SIGSTOP, which nobody else can have changed either.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                action.as_ptr(),
                none,
                SET_BYTES,
            );
        }
    }
    let none = nix::sys::signal::SigSet::empty();
    Ok(nix::sys::signal::sigprocmask(
        nix::sys::signal::SigmaskHow::SIG_SETMASK,
        Some(&none),
        None,
    )?)
}

/// The niceness that this program was started with, once [`be_prompt`] has changed it.
static NICE: AtomicI32 = AtomicI32::new(i32::MAX);

/// Lets this process run as soon as it may when it wakes up: with the best niceness that is permitted, and a short
/// slice, which counts where each session is scheduled as one, so that niceness does not count between them.
/// None of it passes to children. What is refused changes nothing but how soon.
pub(super) fn be_prompt() {
    /// `struct sched_attr` in its first size.
    #[repr(C)]
    struct Attributes {
        size: u32,
        policy: u32,
        flags: u64,
        nice: i32,
        priority: u32,
        runtime_ns: u64,
        deadline_ns: u64,
        period_ns: u64,
    }
    const RESET_ON_FORK: u64 = 1;
    const SIZE: u32 = 48;
    // The shortest that the kernel takes.
    const SLICE_NS: u64 = 100_000;
    // SAFETY: none of the calls takes a pointer.
    let nice = unsafe {
        let nice = libc::getpriority(libc::PRIO_PROCESS, 0);
        let _ = NICE.compare_exchange(i32::MAX, nice, Ordering::Relaxed, Ordering::Relaxed);
        libc::setpriority(libc::PRIO_PROCESS, 0, -20);
        libc::getpriority(libc::PRIO_PROCESS, 0)
    };
    let attributes = Attributes {
        size: SIZE,
        policy: libc::SCHED_OTHER.unsigned_abs(),
        flags: RESET_ON_FORK,
        nice,
        priority: 0,
        runtime_ns: SLICE_NS,
        deadline_ns: 0,
        period_ns: 0,
    };
    // SAFETY: the pointer is valid for reads of as many bytes as the structure says it has.
    unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) };
}

/// A little nicer than this program was started: whoever ends a run comes first.
pub(super) fn be_ordinary() {
    let nice = NICE.load(Ordering::Relaxed);
    if nice != i32::MAX {
        // SAFETY: takes no pointer.
        unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice.saturating_add(1)) };
    }
}

/// Makes `fds` the descriptors 0 to 2.
pub(super) fn set_stdio(fds: &[OwnedFd; 3]) -> io::Result<()> {
    for (target, fd) in (0..).zip(fds) {
        // SAFETY: both are numbers; what 0 to 2 were before belongs to nobody in this process.
        if unsafe { libc::dup2(fd.as_raw_fd(), target) } < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Marks all descriptors from `first` on as close-on-exec.
pub(super) fn close_on_exec_from(first: u32) -> io::Result<()> {
    // SAFETY: closes nothing now.
    let done = unsafe {
        libc::syscall(
            libc::SYS_close_range,
            first,
            u32::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    };
    // Before Linux 5.11 it does not exist; our own descriptors are close-on-exec anyway.
    let error = io::Error::last_os_error();
    if done == 0 || matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EINVAL)) {
        Ok(())
    } else {
        Err(error)
    }
}

/// Closes all descriptors from `first` on. For the start of a process that owns none of them yet.
pub(super) fn close_from(first: u32) {
    // SAFETY: called before anything in this process has opened a descriptor of its own.
    unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) };
}

/// Takes over descriptor 0, and puts `/dev/null` in its place.
pub(super) fn take_stdin() -> io::Result<OwnedFd> {
    let own = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?;
    let null = std::fs::File::open("/dev/null")?;
    // SAFETY: as in `set_stdio`.
    if unsafe { libc::dup2(null.as_raw_fd(), 0) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(own)
}

/// Puts `/dev/null` in the place of descriptors 1 and 2.
#[cfg(feature = "cli")]
pub(super) fn leave_output() -> io::Result<()> {
    let null = std::fs::OpenOptions::new().write(true).open("/dev/null")?;
    for target in [1, 2] {
        // SAFETY: as in `set_stdio`.
        if unsafe { libc::dup2(null.as_raw_fd(), target) } < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Closes descriptors 0 to 2.
pub(super) fn close_stdio() {
    for fd in 0..3 {
        // SAFETY: nothing in this process uses the standard streams.
        unsafe { libc::close(fd) };
    }
}

/// The signals by which others end a process, real-time ones included: not those of its own faults, and not `SIGALRM`,
/// by which it limits its own waiting.
pub(super) fn ending_signals() -> impl Iterator<Item = libc::c_int> {
    use libc::{SIGHUP, SIGINT, SIGIO, SIGPROF, SIGPWR, SIGQUIT};
    use libc::{SIGTERM, SIGUSR1, SIGUSR2, SIGVTALRM, SIGXCPU};
    [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2]
        .into_iter()
        .chain([SIGXCPU, SIGVTALRM, SIGPROF, SIGIO, SIGPWR])
        .chain(34..=64)
}

/// Sets a handler where the signal would have its default action; system calls that it interrupts go on by themselves.
pub(super) fn on_signal(
    signal: libc::c_int,
    handler: extern "C" fn(libc::c_int),
) -> io::Result<()> {
    match disposition(signal) {
        Some(libc::SIG_DFL) => handle(signal, handler, libc::SA_RESTART),
        _ => Ok(()),
    }
}

/// Sets the handler of `SIGALRM`, which interrupts system calls.
pub(super) fn on_alarm(handler: extern "C" fn(libc::c_int)) -> io::Result<()> {
    handle(libc::SIGALRM, handler, 0)?;
    let alarm = nix::sys::signal::SigSet::from_iter([nix::sys::signal::Signal::SIGALRM]);
    let unblock = nix::sys::signal::SigmaskHow::SIG_UNBLOCK;
    Ok(nix::sys::signal::sigprocmask(unblock, Some(&alarm), None)?)
}

fn handle(
    signal: libc::c_int,
    handler: extern "C" fn(libc::c_int),
    flags: libc::c_int,
) -> io::Result<()> {
    // SAFETY: an all-zero `sigaction` is a valid one: no flags, an empty mask.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler as libc::sighandler_t;
    action.sa_flags = flags;
    // SAFETY: `action` outlives the call. The handlers are in `signals`. They use atomic numbers and the system calls
    // `write`, `setitimer`, `clock_gettime`, `sigaction` and `raise`, which a handler may do.
    let done = unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) };
    if done == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// When this process has to be over, in milliseconds of the clock since boot; 0 for never.
static OVER_AT: AtomicU64 = AtomicU64::new(0);

/// Time for this process to end a run and record it, when it was told twice to end.
const LAST_TIME_MS: u64 = 3000;

fn now_ms() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    let millis = u64::try_from(now.tv_nsec).unwrap_or_default() / 1_000_000;
    seconds.saturating_mul(1000).saturating_add(millis)
}

/// Sets the time from which on [`is_over`] is true, and lets alarms come until then.
pub(super) fn end_soon() {
    let over = now_ms().saturating_add(LAST_TIME_MS);
    let _ = OVER_AT.compare_exchange(0, over, Ordering::Relaxed, Ordering::Relaxed);
    alarms(ALARM_MS);
}

/// Returns true if this process has to be over.
pub(super) fn is_over() -> bool {
    let over = OVER_AT.load(Ordering::Relaxed);
    over != 0 && now_ms() >= over
}

/// The interval at which a write that waits is interrupted.
const ALARM_MS: u16 = 10;

/// Makes the kernel send `SIGALRM` every so many milliseconds; 0 for no more.
fn alarms(every_ms: u16) {
    let time = libc::timeval {
        tv_sec: 0,
        tv_usec: libc::suseconds_t::from(every_ms).saturating_mul(1000),
    };
    let timer = libc::itimerval {
        it_interval: time,
        it_value: time,
    };
    // SAFETY: `timer` outlives the call, and the old one is not asked for.
    unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const timer, ptr::null_mut()) };
}

/// Writes what can be written of `bytes` within some 10 ms, whatever `fd` is, and returns how much that was. Only where
/// [`on_alarm`] has set a handler.
///
/// A terminal or a pipe can take a part and then wait for its reader; to make it not wait would change it for
/// everybody who has it open.
///
/// # Errors
///
/// Those of `write`.
#[cfg(feature = "cli")]
pub(crate) fn write_briefly(fd: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    let mut poll = libc::pollfd {
        fd: fd.as_raw_fd(),
        events: libc::POLLOUT,
        revents: 0,
    };
    // SAFETY: `poll` outlives the call.
    if unsafe { libc::poll(&raw mut poll, 1, 0) } <= 0 {
        return Ok(0);
    }
    alarms(ALARM_MS);
    let written = rustix::io::write(fd, bytes);
    alarms(0);
    // Whoever is told twice to end needs them until then.
    if OVER_AT.load(Ordering::Relaxed) != 0 {
        alarms(ALARM_MS);
    }
    match written {
        Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => Ok(0),
        written => Ok(written?),
    }
}

/// Ends this process by `signal`, so that whoever waits for it sees that. Returns if the signal does not end it.
pub(crate) fn die_of(signal: libc::c_int) {
    // SAFETY: sets no handler; the set is initialised before it is used; `raise` has no precondition.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        let mut set = MaybeUninit::uninit();
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), signal);
        // No image of this process is to be left anywhere: it has seen keys.
        libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, set.as_ptr(), ptr::null_mut());
        libc::raise(signal);
    }
}

/// A file that reaches a limit is an error of the write to it, and not the end of this process.
#[cfg(feature = "cli")]
pub(crate) fn outlive_file_limits() {
    // SAFETY: sets no handler.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
}
