//! What a command finds around itself: no terminal but its own, no devices, no cgroups that it can change, no switch of
//! the machine, and nothing that is hidden from it under another name.
//!
//! A command prints a line for each thing that it reached.

use crate::support::need;
use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::twice::{ORDINARY_USER, Test, become_user, test, works};
use lictor::evidence::{Evidence, Level, Status};
use lictor::executor::contract;
use lictor::executor::{Directory, Executor, Job, Posix};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test(
            "the caller's terminal cannot be reached",
            terminal_cannot_be_reached,
        ),
        test(
            "a terminal in reach is told, and left as it was",
            terminal_in_reach_is_left_as_it_was,
        ),
        test(
            "a command has terminals of its own",
            own_terminals_can_be_made,
        ),
        test(
            "there are harmless devices only",
            there_are_harmless_devices_only,
        ),
        test(
            "a device file elsewhere is none",
            device_files_elsewhere_are_none,
        ),
        test(
            "the devices themselves cannot be changed",
            devices_cannot_be_changed,
        ),
        test(
            "the machine's settings are read-only",
            settings_are_read_only,
        ),
        test(
            "root keeps what Docker leaves it, at most",
            root_keeps_little,
        ),
        test(
            "System V IPC and shared memory end with the run",
            shared_memory_ends_with_the_run,
        ),
        test(
            "what is hidden is hidden under each of its names",
            hidden_under_each_name,
        ),
        test("a hard link to what is hidden is told", hard_links_are_told),
        test(
            "cgroups are read-only, and nothing of them stays",
            cgroups_are_read_only,
        ),
        test(
            "a hierarchy that is mounted anew shows the run's part",
            mounted_anew_shows_the_leaf,
        ),
        test(
            "a limit cannot be lifted from inside",
            limits_cannot_be_lifted,
        ),
        test(
            "processor time that nobody saw counts",
            late_processor_time_counts,
        ),
        test(
            "keys of the caller's session are not found",
            keys_are_not_found,
        ),
        test(
            "abstract sockets of others cannot be connected to",
            abstract_sockets_are_out_of_reach,
        ),
        test("levels without namespaces say so", weak_levels_say_so),
        test("ordinary programs work", ordinary_programs_work),
    ]
}

/// A command of this program, and what it does with its words.
type Hostile = (&'static str, fn(&[&str]));

const COMMANDS: &[Hostile] = &[
    ("terminal", attack_terminal),
    ("own-terminal", make_terminal),
    ("devices", list_devices),
    ("open", open_each),
    ("settings", open_settings),
    ("ipc", leave_ipc),
    ("cgroup", attack_cgroups),
    ("anew", mount_cgroups_anew),
    ("many", make_many),
    ("burn", burn),
    ("key", search_key),
    ("connect", connect),
];

pub(crate) fn be_command(name: &str, words: &[&str]) {
    let command = COMMANDS.iter().find(|(known, _)| *known == name);
    (command.unwrap().1)(words);
}

/// A job of this program's command `name`.
fn inside(name: &str, words: &[&str]) -> Job {
    let program = std::env::current_exe().unwrap();
    let mut argv = vec![program.to_str().unwrap(), "--command", name];
    argv.extend(words);
    let mut job = contract::job(&argv);
    job.limits.timeout = Duration::from_secs(20);
    job
}

fn run(job: &Job) -> Evidence {
    contract::run(&Posix::new(), job, &mut ())
}

fn said(evidence: &Evidence) -> String {
    let stderr = evidence.stderr.text.to_lossy();
    assert_eq!(evidence.status, Status::Pass, "{evidence:#?}\n{stderr}");
    evidence.stdout.text.to_lossy()
}

/// This program as the host of a run that needs its own surroundings: it prints the evidence as JSON.
fn host(name: &str, words: &[&str]) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--host", name]).args(words);
    command
}

pub(crate) fn be_host(name: &str, words: &[&str]) {
    let evidence = match (name, words) {
        ("terminal", [level, terminal]) => {
            let level = *Level::ALL
                .iter()
                .find(|known| known.name() == *level)
                .unwrap();
            let executor = Posix::new().at_most(level);
            // Where nothing is in the way, only what is the test's own may be hurt.
            let all = (level == Level::PidNamespace).then_some("all");
            let words: Vec<&str> = all.into_iter().chain([*terminal]).collect();
            contract::run(&executor, &inside("terminal", &words), &mut ())
        }
        ("mounts", [user, binds @ ..]) => {
            // Mounts of this process only, made with root's rights or in a user namespace.
            own_mounts(binds);
            let user: u32 = user.parse().unwrap();
            if user != 0 && need::is_root() {
                let words = ["--host", "hidden"];
                become_user(user, &words);
            }
            return be_host("hidden", &[]);
        }
        ("hidden", []) => {
            let place = PathBuf::from(std::env::var_os("PLACE").unwrap());
            let names = std::env::var("NAMES").unwrap();
            let mut job = inside("open", &names.split(' ').collect::<Vec<_>>());
            job.hidden = vec![place.join("ledger")];
            job.read_only = vec![place.join("policy")];
            run(&job)
        }
        ("cgroup", [directory, command, limit, rest @ ..]) => {
            let mut job = inside(command, rest);
            job.limits.processes = limit.parse().ok();
            fs::write(Path::new(directory).join("cgroup.procs"), "0").unwrap();
            if std::env::var_os("ORDINARY").is_some() {
                let user = ORDINARY_USER.to_string();
                let mut words = vec!["--as", &user, "--host", "cgroup", directory, command, limit];
                words.extend(rest);
                let error = Command::new(std::env::current_exe().unwrap())
                    .args(words)
                    .env_remove("ORDINARY")
                    .exec();
                panic!("{error}");
            }
            run(&job)
        }
        _ => panic!("{name} {words:?}"),
    };
    println!("{}", serde_json::to_string(&evidence).unwrap());
}

#[track_caller]
fn evidence_of(output: &Output) -> Evidence {
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(text.trim()).unwrap_or_else(|error| {
        panic!("{error}: {text}{}", String::from_utf8_lossy(&output.stderr))
    })
}

fn directory() -> tempfile::TempDir {
    tempfile::Builder::new()
        .permissions(fs::Permissions::from_mode(0o755))
        .tempdir()
        .unwrap()
}

/// Opens for both, without waiting and without taking a terminal.
fn open(path: &Path) -> std::io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NOCTTY | libc::O_NONBLOCK)
        .open(path)
}

// The terminal.

/// A pseudo terminal: its two ends, and the name of the one that programs get.
fn terminal() -> (OwnedFd, OwnedFd, String) {
    let (mut one, mut other) = (-1, -1);
    let none = std::ptr::null_mut();
    let mut name = [0_u8; 64];
    // SAFETY: the pointers are valid for writes, or null; the name has room for any terminal's.
    unsafe {
        let made = libc::openpty(&raw mut one, &raw mut other, none, none.cast(), none.cast());
        assert_eq!(made, 0);
        assert_eq!(
            libc::ttyname_r(other, name.as_mut_ptr().cast(), name.len()),
            0
        );
        let name = std::ffi::CStr::from_bytes_until_nul(&name).unwrap();
        let name = name.to_str().unwrap().to_owned();
        (OwnedFd::from_raw_fd(one), OwnedFd::from_raw_fd(other), name)
    }
}

/// What can be asked about a terminal: its modes, its size, and if it takes output.
fn state(terminal: &OwnedFd) -> (String, (u16, u16), bool) {
    // SAFETY: all bit patterns are valid, and the pointers are valid for writes.
    unsafe {
        let mut modes: libc::termios = std::mem::zeroed();
        let mut size: libc::winsize = std::mem::zeroed();
        assert_eq!(libc::tcgetattr(terminal.as_raw_fd(), &raw mut modes), 0);
        libc::ioctl(terminal.as_raw_fd(), libc::TIOCGWINSZ, &raw mut size);
        let modes = format!(
            "{:?}",
            (modes.c_iflag, modes.c_oflag, modes.c_lflag, modes.c_cc)
        );
        let mut poll = libc::pollfd {
            fd: terminal.as_raw_fd(),
            events: libc::POLLOUT,
            revents: 0,
        };
        let takes = libc::poll(&raw mut poll, 1, 0) == 1;
        (modes, (size.ws_row, size.ws_col), takes)
    }
}

/// A host at `level` on a terminal of its own, whose command attacks that terminal. Returns its evidence.
fn on_a_terminal(level: Level) -> (Evidence, bool) {
    let (_master, slave, name) = terminal();
    let before = state(&slave);
    let stdin = Stdio::from(slave.try_clone().unwrap());
    let mut command = host("terminal", &[level.name(), &name]);
    command.stdin(stdin).stdout(Stdio::piped());
    // SAFETY: only system calls between `fork` and `exec`.
    unsafe {
        command.pre_exec(|| {
            libc::setsid();
            libc::ioctl(0, libc::TIOCSCTTY, 0);
            Ok(())
        })
    };
    let evidence = evidence_of(&command.output().unwrap());
    (evidence, state(&slave) == before)
}

fn terminal_cannot_be_reached() {
    if !works(Level::PidNamespace) {
        return;
    }
    let (evidence, is_as_before) = on_a_terminal(Level::PidNamespace);
    assert_eq!(said(&evidence), "", "{evidence:#?}");
    assert!(is_as_before && evidence.events.is_empty(), "{evidence:#?}");
}

fn terminal_in_reach_is_left_as_it_was() {
    let (evidence, is_as_before) = on_a_terminal(Level::Subreaper);
    assert!(said(&evidence).contains("reached"), "{evidence:#?}");
    let is_told = |event: &lictor::evidence::Event| {
        event.what == "NOT_PROTECTED" && event.about.contains("the terminal")
    };
    assert!(evidence.events.iter().any(is_told), "{evidence:#?}");
    assert!(is_as_before);
}

fn listed(directory: impl AsRef<Path>) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

/// Opens what could be the caller's terminal, and does to it what hurts.
fn attack_terminal(words: &[&str]) {
    let mut paths = Vec::new();
    let given = match words {
        ["all", given @ ..] => {
            let names = "tty console tty0 tty1 ttyS0 vcs vcs1 vcsa vcsu";
            paths.extend(names.split(' ').map(|name| Path::new("/dev").join(name)));
            paths.extend(listed("/dev/pts"));
            for process in listed("/proc") {
                paths.extend(listed(process.join("fd")));
            }
            // A new terminal is not the caller's.
            paths.retain(|path| !path.ends_with("ptmx"));
            given
        }
        given => given,
    };
    paths.extend(given.iter().map(PathBuf::from));
    for path in paths {
        let Ok(file) = open(&path) else { continue };
        let fd = file.as_raw_fd();
        // SAFETY: all pointers are valid for the calls.
        unsafe {
            let mut modes: libc::termios = std::mem::zeroed();
            if libc::tcgetattr(fd, &raw mut modes) != 0 {
                continue;
            }
            println!("reached {}", path.display());
            libc::cfmakeraw(&raw mut modes);
            libc::tcsetattr(fd, libc::TCSANOW, &raw const modes);
            let size = libc::winsize {
                ws_row: 7,
                ws_col: 77,
                ws_xpixel: 0,
                ws_ypixel: 0,
            };
            libc::ioctl(fd, libc::TIOCSWINSZ, &raw const size);
            libc::ioctl(fd, libc::TIOCSTI, c"!".as_ptr());
            libc::tcflow(fd, libc::TCOOFF);
        }
    }
}

fn own_terminals_can_be_made() {
    if works(Level::PidNamespace) {
        assert_eq!(said(&run(&inside("own-terminal", &[]))), "own terminal\n");
    }
}

/// As `script`, `tmux` and test frameworks do.
fn make_terminal(_: &[&str]) {
    let (master, slave, name) = terminal();
    assert!(name.starts_with("/dev/pts/"), "{name}");
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", "tty >/dev/tty && stty -echo </dev/tty"])
        .stdin(Stdio::from(slave));
    // SAFETY: only system calls between `fork` and `exec`.
    unsafe {
        command.pre_exec(|| {
            libc::setsid();
            assert_eq!(libc::ioctl(0, libc::TIOCSCTTY, 0), 0);
            Ok(())
        })
    };
    assert!(command.status().unwrap().success());
    let mut text = [0; 64];
    let count = std::io::Read::read(&mut File::from(master), &mut text).unwrap();
    assert_eq!(String::from_utf8_lossy(&text[..count]).trim(), name);
    println!("own terminal");
}

// Devices.

fn there_are_harmless_devices_only() {
    if !works(Level::PidNamespace) {
        return;
    }
    let expected = "fd full null ptmx pts random shm stderr stdin stdout tty urandom zero\n";
    assert_eq!(said(&run(&inside("devices", &[]))), expected);
}

fn list_devices(_: &[&str]) {
    let entries = fs::read_dir("/dev")
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = entries.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    println!("{}", names.join(" "));
    for name in ["null", "zero", "full", "random", "urandom"] {
        open(&Path::new("/dev").join(name)).unwrap();
    }
    fs::write("/dev/null", "x").unwrap();
    fs::write("/dev/shm/x", "x").unwrap();
    let error = open(Path::new("/dev/tty")).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ENXIO), "{error}");
}

/// The disk below the ledger could be read through a device file, which need not lie in `/dev`.
fn device_files_elsewhere_are_none() {
    if !works(Level::PidNamespace) {
        return;
    }
    let place = directory();
    let node = place.path().join("node");
    let name = CString::new(node.to_str().unwrap()).unwrap();
    // SAFETY: the name is a terminated string. The device is the one of `/dev/zero`.
    let made = unsafe { libc::mknod(name.as_ptr(), libc::S_IFCHR | 0o666, libc::makedev(1, 5)) };
    if made != 0 {
        return need::lacks("root", "no device file can be made");
    }
    open(&node).unwrap();
    let evidence = run(&inside("open", &[node.to_str().unwrap()]));
    assert_eq!(said(&evidence), "", "{evidence:#?}");
}

/// Tells which of `paths` can be opened, to read or to write.
fn open_each(paths: &[&str]) {
    for path in paths.iter().map(Path::new) {
        if path.is_dir() {
            let count = fs::read_dir(path).map_or(0, |entries| entries.count());
            if count > 0 {
                println!("reached {}: {count} entries", path.display());
            }
        } else if !fs::metadata(path).is_ok_and(|file| file.is_file() && file.len() > 0) {
            // Nothing that was there.
        } else if OpenOptions::new().append(true).open(path).is_ok() {
            println!("reached {}", path.display());
        } else if path.file_name().is_some_and(|name| name == "key") && File::open(path).is_ok() {
            println!("read {}", path.display());
        }
    }
}

fn devices_cannot_be_changed() {
    if !works(Level::PidNamespace) {
        return;
    }
    let mode = || fs::metadata("/dev/full").unwrap().mode();
    let before = mode();
    let script = "chmod 600 /dev/full; chown 1 /dev/full; rm -f /dev/full; mv /dev/full /dev/x; test -c /dev/full && echo there";
    assert_eq!(said(&run(&contract::shell(script))), "there\n");
    assert_eq!(mode(), before);
}

// The machine.

fn settings_are_read_only() {
    if works(Level::PidNamespace) {
        assert_eq!(said(&run(&inside("settings", &[]))), "");
    }
}

/// Opens every setting of the machine that it finds for writing, also through a file system that is mounted anew.
fn open_settings(_: &[&str]) {
    let look = |top: &Path| {
        let mut left = vec![top.to_owned()];
        let mut seen = 0;
        while let Some(directory) = left.pop() {
            for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
                seen += 1;
                let Ok(kind) = entry.file_type() else {
                    continue;
                };
                if seen > 20_000 {
                    return;
                }
                let path = entry.path();
                // What any user may open without being able to write; and what a new namespace has of its own.
                let is_own = !need::is_root()
                    && (path.ends_with("kernel/pid_max")
                        || path.components().any(|part| part.as_os_str() == "user"));
                if path.ends_with("kernel/ns_last_pid") || is_own {
                    continue;
                }
                if kind.is_dir() {
                    left.push(entry.path());
                } else if kind.is_file()
                    && OpenOptions::new().write(true).open(entry.path()).is_ok()
                {
                    println!("reached {}", entry.path().display());
                }
            }
        }
    };
    let tops = ["sys", "irq", "bus", "fs", "acpi", "scsi", "driver"];
    let tops = tops.iter().map(|name| Path::new("/proc").join(name));
    for top in
        tops.chain(["/sys/kernel", "/sys/fs", "/sys/power", "/sys/module"].map(PathBuf::from))
    {
        look(&top);
    }
    if open(Path::new("/proc/sysrq-trigger")).is_ok() {
        println!("reached sysrq");
    }
    // SAFETY: without an argument of its own to read: an impossible time is refused as such to who may set it.
    unsafe {
        let never = libc::timespec {
            tv_sec: 0,
            tv_nsec: 2_000_000_000,
        };
        if libc::clock_settime(libc::CLOCK_REALTIME, &raw const never) == 0
            || *libc::__errno_location() != libc::EPERM && *libc::__errno_location() != libc::EINVAL
        {
            println!("reached the clock");
        }
    }
    if !enter_user_namespace(libc::CLONE_NEWNS | libc::CLONE_NEWPID) {
        return;
    }
    let place = directory();
    // SAFETY: as below; the child is the first process of its namespace.
    let child = unsafe { libc::fork() };
    if child == 0 {
        if mount("proc", place.path(), "proc", "") {
            look(&place.path().join("sys"));
        }
        exit();
    }
    wait();
}

/// In a user namespace in which the user is the same.
fn enter_user_namespace(others: libc::c_int) -> bool {
    // SAFETY: none of the calls has a precondition.
    let (user, group, done) = unsafe {
        let (user, group) = (libc::geteuid(), libc::getegid());
        (
            user,
            group,
            libc::unshare(libc::CLONE_NEWUSER | others) == 0,
        )
    };
    if !done {
        return false;
    }
    fs::write("/proc/self/setgroups", "deny").unwrap();
    fs::write("/proc/self/uid_map", format!("{user} {user} 1")).unwrap();
    fs::write("/proc/self/gid_map", format!("{group} {group} 1")).unwrap();
    true
}

fn mount(source: &str, target: &Path, kind: &str, options: &str) -> bool {
    let text = |text: &str| CString::new(text).unwrap();
    let (source, target) = (text(source), text(target.to_str().unwrap()));
    let (kind, options) = (text(kind), text(options));
    // SAFETY: all strings are terminated and outlive the call.
    unsafe {
        let data = options.as_ptr().cast();
        libc::mount(source.as_ptr(), target.as_ptr(), kind.as_ptr(), 0, data) == 0
    }
}

fn wait() {
    // SAFETY: has no precondition.
    while unsafe { libc::wait(std::ptr::null_mut()) } > 0 {}
}

fn exit() -> ! {
    use std::io::Write;
    let _ = std::io::stdout().flush();
    // SAFETY: has no precondition.
    unsafe { libc::_exit(0) }
}

fn root_keeps_little() {
    if !works(Level::PidNamespace) {
        return;
    }
    let evidence = run(&contract::shell("grep CapBnd /proc/self/status"));
    let text = said(&evidence);
    let has = u64::from_str_radix(text.rsplit('\t').next().unwrap().trim(), 16).unwrap();
    // CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, SETPCAP, NET_BIND_SERVICE, NET_RAW, SYS_CHROOT, SETFCAP
    let kept: u64 = [0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 31]
        .iter()
        .map(|bit| 1 << bit)
        .sum();
    assert_eq!(has & !kept, 0, "{has:x}");
}

// Shared memory.

fn shared_memory_ends_with_the_run() {
    if !works(Level::PidNamespace) {
        return;
    }
    let mine = || {
        let lists = ["shm", "msg", "sem"].map(|name| format!("/proc/sysvipc/{name}"));
        let lines = lists.map(|list| fs::read_to_string(list).unwrap_or_default());
        lines
            .iter()
            .filter(|text| text.contains(&KEY.to_string()))
            .count()
    };
    assert_eq!(mine(), 0);
    let evidence = run(&inside("ipc", &[]));
    assert_eq!(said(&evidence), "left\n");
    assert_eq!(mine(), 0, "{evidence:#?}");
    assert!(!Path::new("/dev/shm").join(SHARED).exists());
}

/// Of System V objects.
const KEY: i32 = 0x1e57_c0de;

const SHARED: &str = "lictor-test-shared";

fn leave_ipc(_: &[&str]) {
    let flags = libc::IPC_CREAT | 0o600;
    // SAFETY: none of the calls takes a pointer.
    unsafe {
        assert!(libc::shmget(KEY, 4096, flags) >= 0);
        assert!(libc::msgget(KEY, flags) >= 0);
        assert!(libc::semget(KEY, 1, flags) >= 0);
    }
    fs::write(Path::new("/dev/shm").join(SHARED), "x").unwrap();
    println!("left");
}

// Other names.

/// Mounts each second of `binds` over the one behind it, in a mount namespace of this process's own.
fn own_mounts(binds: &[&str]) {
    if need::is_root() {
        // SAFETY: has no precondition.
        assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNS) }, 0);
    } else {
        assert!(enter_user_namespace(libc::CLONE_NEWNS));
    }
    assert!(mount_private());
    for pair in binds.chunks(2) {
        let [source, target] = [0, 1].map(|index| CString::new(pair[index]).unwrap());
        let none = std::ptr::null();
        // SAFETY: the strings are terminated, and the null pointers are what the call ignores.
        let done = unsafe {
            libc::mount(
                source.as_ptr(),
                target.as_ptr(),
                none,
                libc::MS_BIND,
                none.cast(),
            )
        };
        assert_eq!(done, 0, "{pair:?}: {}", std::io::Error::last_os_error());
    }
}

fn mount_private() -> bool {
    let none = std::ptr::null();
    // SAFETY: the string is terminated, and the null pointers are what the call ignores.
    unsafe {
        let flags = libc::MS_REC | libc::MS_PRIVATE;
        libc::mount(none, c"/".as_ptr(), none, flags, none.cast()) == 0
    }
}

/// A ledger with a key, a policy, and room for other names.
fn place() -> tempfile::TempDir {
    let place = directory();
    let path = |name: &str| place.path().join(name);
    for name in ["ledger", "ledger/segments", "alt", "part", "one"] {
        fs::create_dir(path(name)).unwrap();
    }
    for name in ["ledger/key", "ledger/segments/0", "policy"] {
        fs::write(path(name), "secret").unwrap();
        fs::set_permissions(path(name), fs::Permissions::from_mode(0o644)).unwrap();
    }
    for name in ["key", "other"] {
        fs::write(path(name), "").unwrap();
    }
    place
}

fn hidden_under_each_name() {
    if !works(Level::PidNamespace) {
        return;
    }
    let place = place();
    let top = place.path().to_str().unwrap();
    let binds = [
        (".", "alt"),
        ("ledger/segments", "part"),
        ("ledger/key", "key"),
        ("policy", "other"),
    ];
    let binds: Vec<String> = binds
        .iter()
        .flat_map(|(source, target)| [source, target])
        .map(|name| format!("{top}/{name}"))
        .collect();
    let names = [
        "ledger",
        "ledger/key",
        "ledger/segments",
        "policy",
        "alt/ledger",
        "alt/ledger/key",
        "alt/policy",
        "alt/ledger/segments",
        "part",
        "key",
        "other",
    ];
    let names: Vec<String> = names.iter().map(|name| format!("{top}/{name}")).collect();
    let users: &[u32] = if need::is_root() {
        &[0, ORDINARY_USER]
    } else {
        &[ORDINARY_USER]
    };
    for user in users {
        let user = user.to_string();
        let words: Vec<&str> = std::iter::once(&user)
            .chain(&binds)
            .map(String::as_str)
            .collect();
        let output = host("mounts", &words)
            .envs([("PLACE", top), ("NAMES", &names.join(" "))])
            .output()
            .unwrap();
        let evidence = evidence_of(&output);
        assert_eq!(said(&evidence), "", "as {user}: {evidence:#?}");
        assert!(evidence.events.is_empty(), "{evidence:#?}");
    }
}

fn hard_links_are_told() {
    if !works(Level::PidNamespace) {
        return;
    }
    let place = place();
    let path = |name: &str| place.path().join(name);
    fs::hard_link(path("ledger/key"), path("second")).unwrap();
    let mut job = contract::job(&["/bin/true"]);
    job.hidden = vec![path("ledger")];
    job.read_only = vec![path("policy")];
    let evidence = run(&job);
    assert_eq!(evidence.events.len(), 1, "{evidence:#?}");
    assert_eq!(evidence.events[0].what, "NOT_PROTECTED");
    assert!(
        evidence.events[0].about.contains("ledger/key"),
        "{evidence:#?}"
    );
}

// Cgroups.

/// Two cgroups beside each other, which a user has been given as `systemd` gives them. Removed when dropped.
struct Delegated(PathBuf);

impl Delegated {
    /// None where there is no unified hierarchy in which this user may make one.
    fn new(owner: u32) -> Option<Delegated> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let point = mounts
            .lines()
            .find(|line| line.contains(" - cgroup2 "))?
            .split(' ')
            .nth(4)?;
        let top = Path::new(point).join(format!("lictor-test-{}", std::process::id()));
        fs::create_dir(&top).ok()?;
        let made = Delegated(top);
        for directory in [made.0.clone(), made.a(), made.b()] {
            let _ = fs::create_dir(&directory);
            std::os::unix::fs::chown(&directory, Some(owner), None).unwrap();
            for name in [
                "cgroup.procs",
                "cgroup.subtree_control",
                "cgroup.freeze",
                "cgroup.kill",
            ] {
                let _ = std::os::unix::fs::chown(directory.join(name), Some(owner), None);
            }
        }
        Some(made)
    }

    fn a(&self) -> PathBuf {
        self.0.join("a")
    }

    fn b(&self) -> PathBuf {
        self.0.join("b")
    }

    /// A host in the first, for `owner`, whose command is `words`.
    fn run(&self, owner: u32, limit: &str, words: &[&str]) -> (Evidence, Duration) {
        let (a, b) = (self.a(), self.b());
        let mut all = vec![a.to_str().unwrap(), words[0], limit];
        all.extend(&words[1..]);
        all.extend([a.to_str().unwrap(), b.to_str().unwrap()]);
        let mut command = host("cgroup", &all);
        if owner != 0 {
            command.env("ORDINARY", "");
        }
        let started = Instant::now();
        let evidence = evidence_of(&command.output().unwrap());
        (evidence, started.elapsed())
    }

    /// What is left in the first but what was made here.
    fn left(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.a()).unwrap().map(|entry| entry.unwrap());
        entries
            .filter(|entry| entry.file_type().unwrap().is_dir())
            .map(|entry| entry.path())
            .collect()
    }
}

impl Drop for Delegated {
    fn drop(&mut self) {
        let _ = fs::write(self.a().join("cgroup.freeze"), "0");
        for directory in [self.a(), self.b(), self.0.clone()] {
            let _ = fs::write(directory.join("cgroup.kill"), "1");
            let until = Instant::now() + Duration::from_secs(2);
            while fs::remove_dir(&directory).is_err() && Instant::now() < until {
                std::thread::yield_now();
            }
        }
    }
}

/// Calls `check` with cgroups of root's, and with such that were given to an ordinary user.
fn in_delegated(check: fn(&Delegated, u32)) {
    if !works(Level::PidNamespace) || !need::root("cgroups are given by root only") {
        return;
    }
    for owner in [0, ORDINARY_USER] {
        match Delegated::new(owner) {
            Some(delegated) => check(&delegated, owner),
            None => need::lacks("cgroup", "none can be made"),
        }
    }
}

fn cgroups_are_read_only() {
    in_delegated(|delegated, owner| {
        let (evidence, took) = delegated.run(owner, "", &["cgroup"]);
        assert_eq!(said(&evidence), "", "as {owner}: {evidence:#?}");
        assert!(evidence.events.is_empty(), "{evidence:#?}");
        assert!(took < Duration::from_secs(10), "{took:?}");
        assert_eq!(delegated.left(), [] as [PathBuf; 0]);
    });
}

/// Leaves for the cgroup beside the supervisor's, freezes that one, and ends it.
fn attack_cgroups(words: &[&str]) {
    let [a, b] = words else { panic!("{words:?}") };
    for (directory, file, text) in [
        (b, "cgroup.procs", "0"),
        (a, "cgroup.procs", "0"),
        (a, "cgroup.freeze", "1"),
        (a, "cgroup.kill", "1"),
        (a, "cgroup.max.descendants", "0"),
        (a, "cgroup.subtree_control", "+pids"),
    ] {
        if fs::write(Path::new(directory).join(file), text).is_ok() {
            println!("reached {directory}/{file}");
        }
    }
    for directory in [a, b] {
        if fs::create_dir(Path::new(directory).join("nested")).is_ok() {
            println!("reached {directory}");
        }
    }
    let own = fs::read_to_string("/proc/self/cgroup").unwrap();
    for line in own
        .lines()
        .filter(|line| line.starts_with("0::") && *line != "0::/")
    {
        println!("reached {line}");
    }
}

fn mounted_anew_shows_the_leaf() {
    in_delegated(|delegated, owner| {
        let (evidence, took) = delegated.run(owner, "", &["anew"]);
        let text = said(&evidence);
        assert!(
            text == "made\n" || text == "not mounted\n",
            "as {owner}: {text}"
        );
        assert!(took < Duration::from_secs(10), "{took:?}");
        assert_eq!(delegated.left(), [] as [PathBuf; 0], "as {owner}");
    });
}

/// Mounts the hierarchies anew in a user namespace, and makes directories in the unified one that it leaves.
fn mount_cgroups_anew(words: &[&str]) {
    let place = directory();
    let others = libc::CLONE_NEWNS | libc::CLONE_NEWCGROUP;
    if !enter_user_namespace(others) || !mount("cgroup2", place.path(), "cgroup2", "") {
        println!("not mounted");
        return;
    }
    let supervisor = Path::new(words[0]).file_name().unwrap();
    let mut left = vec![place.path().to_owned()];
    while let Some(directory) = left.pop() {
        if directory.file_name().unwrap() == supervisor {
            println!("reached {}", directory.display());
        }
        let entries = fs::read_dir(&directory)
            .unwrap()
            .map(|entry| entry.unwrap());
        left.extend(
            entries
                .filter(|entry| entry.file_type().unwrap().is_dir())
                .map(|entry| entry.path()),
        );
    }
    let processes = fs::read_to_string(place.path().join("cgroup.procs")).unwrap();
    // 0 is one that cannot be seen from here.
    if processes.lines().any(|pid| pid == "0") {
        println!("reached a process outside");
    }
    let mut nested = place.path().to_owned();
    for _ in 0..5 {
        nested.push("nested");
        fs::create_dir(&nested).unwrap();
    }
    fs::write(nested.join("cgroup.procs"), "0").unwrap();
    println!("made");
}

fn limits_cannot_be_lifted() {
    in_delegated(|delegated, owner| {
        let mut job = contract::job(&["/bin/true"]);
        job.limits.processes = Some(20);
        if let Err(error) = Posix::new().prepare(&job) {
            return need::lacks("cgroup", error);
        }
        let (evidence, _) = delegated.run(owner, "20", &["many"]);
        let text = evidence.stdout.text.to_lossy();
        let most: u32 = text
            .trim()
            .parse()
            .unwrap_or_else(|_| panic!("{evidence:#?}"));
        assert!(most <= 20, "{most}");
        assert_eq!(delegated.left(), [] as [PathBuf; 0], "as {owner}");
    });
}

/// Lifts the limit of processes wherever it can be written, and makes as many as it can.
fn make_many(_: &[&str]) {
    let place = directory();
    let lift = |top: &Path| {
        for name in ["pids.max", "run/pids.max", "../pids.max"] {
            let _ = fs::write(top.join(name), "max");
        }
    };
    for entry in fs::read_dir("/sys/fs/cgroup")
        .into_iter()
        .flatten()
        .flatten()
    {
        lift(&entry.path());
        let _ = fs::write(entry.path().join("cgroup.procs"), "0");
        for entry in fs::read_dir(entry.path()).into_iter().flatten().flatten() {
            lift(&entry.path());
        }
    }
    // SAFETY: the child does nothing but to look at its surroundings, and this program has one thread.
    if unsafe { libc::fork() } == 0 {
        if enter_user_namespace(libc::CLONE_NEWNS | libc::CLONE_NEWCGROUP) {
            for (kind, options) in [("cgroup2", ""), ("cgroup", "pids")] {
                if mount(kind, place.path(), kind, options) {
                    lift(place.path());
                    let _ = fs::write(place.path().join("cgroup.procs"), "0");
                }
            }
        }
        exit();
    }
    wait();
    let mut count = 0;
    for _ in 0..80 {
        // SAFETY: as above.
        match unsafe { libc::fork() } {
            0 => {
                std::thread::sleep(Duration::from_secs(1));
                exit();
            }
            -1 => break,
            _ => count += 1,
        }
    }
    println!("{count}");
}

fn late_processor_time_counts() {
    // Used up between two looks, or where nobody could look: what was used says so in the end.
    for level in [Level::PidNamespace, Level::Subreaper] {
        if !works(level) {
            continue;
        }
        let mut job = inside("burn", &["60"]);
        job.limits.cpu = Some(Duration::from_millis(50));
        let evidence = contract::run(&Posix::new().at_most(level), &job, &mut ());
        assert_eq!(evidence.status, Status::Limit, "{evidence:#?}");
        assert_eq!(evidence.limit.as_deref(), Some("cpu"), "{evidence:#?}");
    }
}

/// Uses as many milliseconds of processor time.
fn burn(words: &[&str]) {
    let most: i64 = words[0].parse().unwrap();
    loop {
        // SAFETY: all bit patterns are valid, and the pointer is valid for writes.
        let used = unsafe {
            let mut used: libc::rusage = std::mem::zeroed();
            libc::getrusage(libc::RUSAGE_SELF, &raw mut used);
            used
        };
        let ms = |time: libc::timeval| time.tv_sec * 1000 + time.tv_usec / 1000;
        if ms(used.ru_utime) + ms(used.ru_stime) > most {
            return;
        }
    }
}

fn keyctl(words: [libc::c_long; 2], name: &str) -> libc::c_long {
    let [operation, keyring] = words;
    let (kind, name) = (c"user", CString::new(name).unwrap());
    // SAFETY: both texts end with a NUL, and the last argument is a number.
    unsafe {
        libc::syscall(
            libc::SYS_keyctl,
            operation,
            keyring,
            kind.as_ptr(),
            name.as_ptr(),
            0,
        )
    }
}

const JOIN: libc::c_long = 1;
const SEARCH: libc::c_long = 10;
const SESSION: libc::c_long = -3;

fn keys_are_not_found() {
    let name = format!("lictor-test-{}", std::process::id());
    // SAFETY: the texts end with a NUL, or their length is given; without a name the first call takes a null pointer.
    let added = unsafe {
        let (kind, key) = (c"user", CString::new(name.clone()).unwrap());
        libc::syscall(libc::SYS_keyctl, JOIN, std::ptr::null::<libc::c_char>());
        libc::syscall(
            libc::SYS_add_key,
            kind.as_ptr(),
            key.as_ptr(),
            b"secret".as_ptr(),
            6,
            SESSION,
        )
    };
    if added < 0 || keyctl([SEARCH, SESSION], &name) < 0 {
        return need::lacks("keys", "none can be made");
    }
    for level in [Level::Subreaper, Level::Cgroup, Level::PidNamespace] {
        if works(level) {
            let executor = Posix::new().at_most(level);
            let evidence = contract::run(&executor, &inside("key", &[&name]), &mut ());
            assert_eq!(said(&evidence), "", "{evidence:#?}");
        }
    }
}

fn search_key(words: &[&str]) {
    let name = CString::new(words[0]).unwrap();
    let none = std::ptr::null::<libc::c_char>();
    // SAFETY: the texts end with a NUL, or there are none.
    let requested = unsafe {
        libc::syscall(
            libc::SYS_request_key,
            c"user".as_ptr(),
            name.as_ptr(),
            none,
            0,
        )
    };
    if requested >= 0 || keyctl([SEARCH, SESSION], words[0]) >= 0 {
        println!("reached the key");
    }
}

fn abstract_sockets_are_out_of_reach() {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixListener};
    if Posix::new().landlock_abi().is_none_or(|abi| abi < 6) {
        return need::lacks("landlock", "the kernel has no version 6 of it");
    }
    let name = format!("lictor-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let _outside = UnixListener::bind_addr(&address).unwrap();
    for level in [Level::Subreaper, Level::Cgroup, Level::PidNamespace] {
        if works(level) {
            let executor = Posix::new().at_most(level);
            let evidence = contract::run(&executor, &inside("connect", &[&name]), &mut ());
            assert_eq!(said(&evidence), "own\n", "{evidence:#?}");
        }
    }
}

/// Connects to an abstract socket of somebody else's, and to one of its own.
fn connect(words: &[&str]) {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
    let address = |name: &str| SocketAddr::from_abstract_name(name).unwrap();
    if UnixStream::connect_addr(&address(words[0])).is_ok() {
        println!("reached the socket");
    }
    let own = address(&format!("{}-own", words[0]));
    let _own = UnixListener::bind_addr(&own).unwrap();
    if UnixStream::connect_addr(&own).is_ok() {
        println!("own");
    }
}

fn weak_levels_say_so() {
    for level in [Level::Subreaper, Level::Cgroup] {
        let executor = Posix::new().at_most(level);
        let evidence = contract::run(&executor, &contract::job(&["/bin/true"]), &mut ());
        let about = "lictor's processes, the terminal, devices, control groups and System V IPC: no namespaces";
        let is_told =
            |event: &lictor::evidence::Event| event.what == "NOT_PROTECTED" && event.about == about;
        assert!(evidence.events.iter().any(is_told), "{evidence:#?}");
    }
}

// What has to work all the same.

fn ordinary_programs_work() {
    if !works(Level::PidNamespace) {
        return;
    }
    // Each prints `ok`, if the program is there.
    for (program, script) in [
        (
            "script",
            "script -qec 'tty >/dev/tty; echo ok' /dev/null | grep ok | tr -d '\\r'",
        ),
        (
            "python3",
            "python3 -c \"import multiprocessing as m; print('ok' if m.Pool(2).map(abs, [-1, -2]) == [1, 2] else '')\"",
        ),
        (
            "python3",
            "python3 -c \"import pty; pty.spawn(['sh', '-c', 'test -t 0 && echo ok'])\" </dev/null | tr -d '\\r'",
        ),
        ("unshare", "unshare -Ur sh -c 'echo ok'"),
        (
            "bwrap",
            "bwrap --unshare-user --unshare-pid --ro-bind / / --dev /dev --tmpfs /tmp sh -c 'echo ok >/dev/tty || echo ok' 2>/dev/null",
        ),
        ("strace", "strace -f -o /dev/null sh -c 'echo ok'"),
        (
            "gdb",
            "gdb -q -batch -ex run -ex quit --args echo ok 2>&1 | grep -x ok",
        ),
        (
            "tmux",
            "tmux -L inside -f /dev/null new-session -d 'echo ok >out; tmux -L inside wait -S end; sleep 30'; tmux -L inside wait end; tmux -L inside kill-server; cat out",
        ),
    ] {
        let place = directory();
        if !is_there(program) {
            need::lacks(program, "it is not installed");
            continue;
        }
        let mut job = contract::shell(script);
        job.limits.timeout = Duration::from_secs(60);
        job.directory = Directory::open(place.path()).unwrap();
        let home = place.path().as_os_str().to_owned();
        job.env.push(("PATH".into(), "/usr/bin:/bin".into()));
        job.env.push(("HOME".into(), home.clone()));
        job.env.push(("TERM".into(), "xterm".into()));
        job.env.push(("TMUX_TMPDIR".into(), home));
        let evidence = run(&job);
        let stdout = evidence.stdout.text.to_lossy();
        assert_eq!(
            stdout,
            "ok\n",
            "{program}: {}",
            evidence.stderr.text.to_lossy()
        );
    }
}

fn is_there(program: &str) -> bool {
    ["/usr/bin", "/bin"]
        .iter()
        .any(|directory| Path::new(directory).join(program).exists())
}
