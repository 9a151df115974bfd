//! Programs that try to outlive their run. Each says `ready` when it has got away as far as it can.
//!
//! Every process of such a program holds a lock on the file `alive` in the given directory, so that
//! whoever can take the lock knows that none is left. Every one ends by itself after [`LIFE`], and
//! the number of forks is bounded.

use std::ffi::CStr;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// After this every process ends, whatever happens.
const LIFE: Duration = Duration::from_secs(30);

/// A program, and what it is up to.
pub(crate) struct Escape {
    pub(crate) name: &'static str,
    pub(crate) run: fn(&Path),
    /// What the command itself does.
    pub(crate) leader: Leader,
    /// It attacks its supervisor, against which only a PID namespace protects.
    pub(crate) hits_supervisor: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leader {
    Stays,
    Exits,
}

const fn stays(name: &'static str, run: fn(&Path)) -> Escape {
    Escape {
        name,
        run,
        leader: Leader::Stays,
        hits_supervisor: false,
    }
}

const fn exits(name: &'static str, run: fn(&Path)) -> Escape {
    Escape {
        name,
        run,
        leader: Leader::Exits,
        hits_supervisor: false,
    }
}

const fn hits(name: &'static str, run: fn(&Path)) -> Escape {
    Escape {
        name,
        run,
        leader: Leader::Stays,
        hits_supervisor: true,
    }
}

pub(crate) const ESCAPES: &[Escape] = &[
    stays("plain_child", plain_child),
    stays("term_ignored", term_ignored),
    stays("all_signals_blocked", all_signals_blocked),
    stays("setsid", setsid),
    stays("double_fork", double_fork),
    exits("daemon_left_behind", daemon_left_behind),
    exits("child_left_behind", child_left_behind),
    stays("closed_descriptors", closed_descriptors),
    exits("pipe_held_open", pipe_held_open),
    stays("stopped", stopped),
    exits("fork_chain", fork_chain),
    exits("fork_chain_with_setsid", fork_chain_with_setsid),
    stays("fork_bomb", fork_bomb),
    stays("vfork", vfork),
    exits("clone_parent", clone_parent),
    stays("ptrace_stopped", ptrace_stopped),
    stays("main_thread_exited", main_thread_exited),
    exits("main_thread_of_child_exited", main_thread_of_child_exited),
    exits("user_changed", user_changed),
    stays("setuid_program", setuid_program),
    stays("nested_namespaces", nested_namespaces),
    stays("infinite_output", infinite_output),
    exits("subreaper_thief", subreaper_thief),
    stays("fork_in_term_handler", fork_in_term_handler),
    stays("fork_from_another_thread", fork_from_another_thread),
    exits("misleading_name", misleading_name),
    hits("supervisor_killed", supervisor_killed),
    hits("supervisor_stopped", supervisor_stopped),
    hits("supervisor_traced", supervisor_traced),
];

/// Runs the program `name`.
pub(crate) fn run(name: &str, directory: &Path) {
    let escape = ESCAPES.iter().find(|escape| escape.name == name).unwrap();
    // SAFETY: has no precondition.
    if unsafe { libc::geteuid() != libc::getuid() } {
        say(c"privileged\n");
    }
    hold(directory);
    (escape.run)(directory);
}

/// The file that every process of an escape holds a lock on.
pub(crate) fn alive(directory: &Path) -> PathBuf {
    directory.join("alive")
}

fn plain_child(_: &Path) {
    if fork() == 0 {
        park();
    }
    ready();
    park();
}

fn term_ignored(_: &Path) {
    ignore(libc::SIGTERM);
    plain_child(Path::new(""));
}

fn all_signals_blocked(_: &Path) {
    // SAFETY: a set of signals, filled before it is used.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigfillset(&raw mut set);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut());
    }
    plain_child(Path::new(""));
}

fn setsid(_: &Path) {
    if fork() == 0 {
        new_session();
        ready();
        park();
    }
    park();
}

fn double_fork(_: &Path) {
    if fork() == 0 {
        new_session();
        if fork() == 0 {
            ignore(libc::SIGTERM);
            ready();
            park();
        }
        exit();
    }
    park();
}

fn daemon_left_behind(_: &Path) {
    let gate = Gate::new();
    if fork() == 0 {
        new_session();
        if fork() == 0 {
            gate.ready();
            park();
        }
        exit();
    }
    wait_for_child();
    gate.exit_when_ready();
}

fn child_left_behind(_: &Path) {
    let gate = Gate::new();
    if fork() == 0 {
        ignore(libc::SIGTERM);
        gate.ready();
        park();
    }
    gate.exit_when_ready();
}

fn closed_descriptors(directory: &Path) {
    ready();
    if fork() == 0 {
        new_session();
        for fd in 0..64 {
            // SAFETY: nothing in this process uses its descriptors any more.
            unsafe { libc::close(fd) };
        }
        hold(directory);
        park();
    }
    park();
}

fn pipe_held_open(_: &Path) {
    let gate = Gate::new();
    if fork() == 0 {
        new_session();
        ignore(libc::SIGTERM);
        ignore(libc::SIGHUP);
        gate.ready();
        park();
    }
    gate.exit_when_ready();
}

fn stopped(_: &Path) {
    let child = fork();
    if child == 0 {
        ignore(libc::SIGTERM);
        raise(libc::SIGSTOP);
        park();
    }
    wait_until_stopped(child);
    ready();
    raise(libc::SIGSTOP);
    park();
}

fn fork_chain(_: &Path) {
    chain(false);
}

fn fork_chain_with_setsid(_: &Path) {
    chain(true);
}

/// Each process forks and ends at once: no one of them lives long enough to be found.
fn chain(with_setsid: bool) {
    ready();
    let started = Instant::now();
    for _ in 0..1_000_000 {
        if started.elapsed() > LIFE {
            break;
        }
        if fork() != 0 {
            exit();
        }
        ignore(libc::SIGTERM);
        if with_setsid {
            new_session();
        }
    }
    exit();
}

fn fork_bomb(_: &Path) {
    // 2^7 processes.
    for _ in 0..7 {
        fork();
        ignore(libc::SIGTERM);
    }
    ready();
    park();
}

fn vfork(_: &Path) {
    extern "C" fn child(_: *mut libc::c_void) -> libc::c_int {
        ready();
        park()
    }
    ignore(libc::SIGTERM);
    let mut stack = vec![0u8; 256 * 1024];
    // SAFETY: the stack outlives the child, since the parent waits in the call until it ends.
    unsafe {
        let top = stack.as_mut_ptr().add(stack.len());
        let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
        libc::clone(child, top.cast(), flags, std::ptr::null_mut());
    }
    park();
}

fn clone_parent(_: &Path) {
    let gate = Gate::new();
    let none = std::ptr::null_mut::<libc::c_void>();
    let flags = libc::CLONE_PARENT | libc::SIGCHLD;
    // SAFETY: without CLONE_VM as `fork`; there is one thread.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, none, none, none, none) };
    if pid == 0 {
        new_session();
        gate.ready();
        park();
    }
    gate.exit_when_ready();
}

fn ptrace_stopped(_: &Path) {
    let child = fork();
    if child == 0 {
        // SAFETY: has no precondition.
        unsafe { libc::ptrace(libc::PTRACE_TRACEME) };
        raise(libc::SIGSTOP);
        park();
    }
    wait_until_stopped(child);
    ready();
    ignore(libc::SIGTERM);
    park();
}

fn main_thread_exited(_: &Path) {
    ignore(libc::SIGTERM);
    std::thread::spawn(|| {
        ready();
        park();
    });
    // SAFETY: ends this thread only; nothing of it is used by the other one.
    unsafe { libc::syscall(libc::SYS_exit, 0) };
}

fn main_thread_of_child_exited(_: &Path) {
    let gate: &Gate = Box::leak(Box::new(Gate::new()));
    if fork() == 0 {
        new_session();
        ignore(libc::SIGTERM);
        std::thread::spawn(|| {
            gate.ready();
            park();
        });
        // SAFETY: ends this thread only; nothing of it is used by the other one.
        unsafe { libc::syscall(libc::SYS_exit, 0) };
    }
    gate.exit_when_ready();
}

/// Another user's process, where that is permitted, cannot be signalled by the one who started it, and
/// the signal for the death of its parent is cleared.
fn user_changed(_: &Path) {
    let gate = Gate::new();
    if fork() == 0 {
        new_session();
        // SAFETY: has no precondition.
        unsafe { libc::setresuid(NOBODY, NOBODY, NOBODY) };
        gate.ready();
        park();
    }
    gate.exit_when_ready();
}

const NOBODY: libc::uid_t = 65534;

/// The program that becomes root where setuid counts, if somebody has put it there.
pub(crate) fn setuid_copy(program: &Path) -> PathBuf {
    let mut path = program.as_os_str().to_owned();
    path.push("-setuid");
    path.into()
}

fn setuid_program(directory: &Path) {
    let program = std::env::current_exe().unwrap();
    let copy = setuid_copy(&program);
    if fork() == 0 {
        new_session();
        let program = if copy.exists() { copy } else { program };
        let error = Command::new(program)
            .args(["--escape", "plain_child"])
            .arg(directory)
            .exec();
        panic!("{error}");
    }
    park();
}

fn nested_namespaces(_: &Path) {
    // SAFETY: has no precondition.
    unsafe { libc::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWPID) };
    if fork() == 0 {
        // PID 1 of its own namespace, if it could be made: immune to signals from inside it.
        new_session();
        if fork() == 0 {
            ready();
        }
        park();
    }
    park();
}

fn infinite_output(_: &Path) {
    if fork() == 0 {
        new_session();
        ignore(libc::SIGTERM);
        ready();
        let block = vec![b'x'; 64 * 1024];
        let started = Instant::now();
        while started.elapsed() < LIFE {
            // SAFETY: the buffer is valid for the call.
            unsafe { libc::write(1, block.as_ptr().cast(), block.len()) };
        }
        exit();
    }
    park();
}

fn subreaper_thief(_: &Path) {
    let gate = Gate::new();
    if fork() == 0 {
        // SAFETY: has no precondition.
        unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1) };
        new_session();
        if fork() == 0 {
            if fork() == 0 {
                new_session();
                gate.ready();
                park();
            }
            exit();
        }
        park();
    }
    gate.exit_when_ready();
}

fn fork_in_term_handler(_: &Path) {
    extern "C" fn handler(_: libc::c_int) {
        if fork() == 0 {
            new_session();
            park();
        }
    }
    let handler: extern "C" fn(libc::c_int) = handler;
    // SAFETY: the handler only makes system calls.
    unsafe { libc::signal(libc::SIGTERM, handler as libc::sighandler_t) };
    ready();
    park();
}

fn fork_from_another_thread(_: &Path) {
    std::thread::spawn(|| {
        if fork() == 0 {
            new_session();
            ready();
            park();
        }
        park();
    });
    park();
}

fn misleading_name(_: &Path) {
    let gate = Gate::new();
    if fork() == 0 {
        // SAFETY: the name is a terminated string.
        unsafe { libc::prctl(libc::PR_SET_NAME, c"a) Z 1 1".as_ptr()) };
        new_session();
        gate.ready();
        park();
    }
    gate.exit_when_ready();
}

fn supervisor_killed(_: &Path) {
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGSEGV, libc::SIGKILL] {
        ignore(libc::SIGTERM);
        // SAFETY: has no precondition.
        unsafe { libc::kill(libc::getppid(), signal) };
    }
    plain_child(Path::new(""));
}

fn supervisor_stopped(_: &Path) {
    // SAFETY: has no precondition.
    unsafe { libc::kill(libc::getppid(), libc::SIGSTOP) };
    plain_child(Path::new(""));
}

fn supervisor_traced(_: &Path) {
    // SAFETY: has no precondition; without an address it touches no memory.
    unsafe {
        let supervisor = libc::getppid();
        let nothing = std::ptr::null_mut::<libc::c_void>();
        if libc::ptrace(libc::PTRACE_SEIZE, supervisor, nothing, nothing) == 0 {
            say(c"traced\n");
        }
    }
    if File::open("/proc/1/mem").is_ok() {
        say(c"opened\n");
    }
    plain_child(Path::new(""));
}

/// Lets the command itself end only when what it has started has got away.
struct Gate(std::io::PipeReader, std::io::PipeWriter);

impl Gate {
    fn new() -> Gate {
        let (reader, writer) = std::io::pipe().unwrap();
        Gate(reader, writer)
    }

    fn ready(&self) {
        ready();
        (&self.1).write_all(b"!").unwrap();
    }

    fn exit_when_ready(&self) -> ! {
        let _ = (&self.0).read_exact(&mut [0]);
        exit()
    }
}

/// Tells that the escape has succeeded as far as it can.
fn ready() {
    say(c"ready\n");
}

fn say(text: &CStr) {
    // SAFETY: the text is valid for the call.
    unsafe { libc::write(1, text.as_ptr().cast(), text.count_bytes()) };
}

/// Holds the lock as long as this process and its children live.
fn hold(directory: &Path) {
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(alive(directory))
        .unwrap();
    file.lock_shared().unwrap();
    std::mem::forget(file);
}

/// Does nothing until the end of the time.
fn park() -> ! {
    let started = Instant::now();
    while started.elapsed() < LIFE {
        // SAFETY: the time is valid for the call.
        unsafe {
            let time = libc::timespec {
                tv_sec: 1,
                tv_nsec: 0,
            };
            libc::nanosleep(&raw const time, std::ptr::null_mut());
        }
    }
    exit()
}

fn fork() -> i32 {
    // SAFETY: the children make system calls only.
    let pid = unsafe { libc::fork() };
    if pid < 0 {
        exit();
    }
    pid
}

fn exit() -> ! {
    // SAFETY: has no precondition.
    unsafe { libc::_exit(0) }
}

fn new_session() {
    // SAFETY: has no precondition.
    unsafe { libc::setsid() };
}

fn ignore(signal: libc::c_int) {
    // SAFETY: sets no handler.
    unsafe { libc::signal(signal, libc::SIG_IGN) };
}

fn raise(signal: libc::c_int) {
    // SAFETY: has no precondition.
    unsafe { libc::kill(libc::getpid(), signal) };
}

fn wait_for_child() {
    // SAFETY: no status is asked for.
    unsafe { libc::waitpid(-1, std::ptr::null_mut(), 0) };
}

fn wait_until_stopped(pid: i32) {
    // SAFETY: no status is asked for.
    unsafe { libc::waitpid(pid, std::ptr::null_mut(), libc::WUNTRACED) };
}
