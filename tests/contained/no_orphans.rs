//! Nothing of a run survives it, whatever it does, and the evidence says how that is known.
//!
//! That something survives is judged from outside: see `escape`.

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::escape::{self, ESCAPES, Escape, Leader};
use crate::twice::{Test, test, works};
use lictor::evidence::{EmptyProof, Evidence, Level, ProcView, Status, StopReason};
use lictor::executor::contract::{self, ANY, LOCAL};
use lictor::executor::{
    CancelToken, Directory, Executor, Job, Observer, Posix, PrepareError, Stream,
};
use lictor::policy::terms::Containment;

/// How each level that offers proof proves that nothing is left.
const PROOFS: [(Level, EmptyProof); 3] = [
    (Level::PidNamespace, EmptyProof::InitReaped),
    (Level::Cgroup, EmptyProof::CgroupEmpty),
    (Level::Subreaper, EmptyProof::NoDescendants),
];

/// A copy that becomes root for whoever starts it.
pub(crate) fn with_setuid(copy: &Path) -> Vec<PathBuf> {
    let setuid = escape::setuid_copy(copy);
    std::fs::copy(copy, &setuid).unwrap();
    std::fs::set_permissions(&setuid, std::fs::Permissions::from_mode(0o4755)).unwrap();
    vec![setuid]
}

pub(crate) fn tests() -> Vec<Test> {
    let mut tests = vec![
        test("pids of two runs do not meet", pids_start_at_random),
        test("a helper can be named", helper_can_be_named),
        test(
            "a helper that is none is told from one",
            wrong_helpers_are_noticed,
        ),
        test(
            "what was prepared and dropped leaves nothing",
            dropping_leaves_nothing,
        ),
        test(
            "what was built ahead is used for what it was built for only",
            a_helper_that_was_started_ahead_builds_what_is_asked_for,
        ),
        test(
            "many runs at once do not disturb each other",
            many_runs_at_once,
        ),
        test(
            "500 runs leave no descriptor and no zombie behind",
            many_runs_leave_nothing,
        ),
        test(
            "the trial names every level and why one does not work",
            trial_names_every_level,
        ),
        test(
            "a level that is not to be had is refused while preparing",
            weak_levels_are_refused,
        ),
        test(
            "the command sees its own processes only",
            command_sees_its_own_processes_only,
        ),
        test("what is hidden or protected is so", hidden_is_hidden),
        test(
            "the number of processes is limited or refused",
            processes_are_limited,
        ),
        test("memory is limited or refused", memory_is_limited),
        test("open files and file sizes are limited", rlimits_are_set),
        test("the deadline is kept to the millisecond", deadline_is_kept),
        test("nothing survives when the host is killed", || {
            nothing_survives(&[Who::Host])
        }),
        test("nothing survives when the helper is killed", || {
            nothing_survives(&[Who::Helper])
        }),
        test("nothing survives when both are killed", || {
            nothing_survives(&[Who::Host, Who::Helper]);
        }),
        test(
            "nothing survives when both are killed the other way round",
            || {
                nothing_survives(&[Who::Helper, Who::Host]);
            },
        ),
        test(
            "a host that is stopped cannot stop the clock",
            stopped_host_stops_no_clock,
        ),
        test(
            "the loss of the helper is in the evidence",
            loss_of_helper_is_in_the_evidence,
        ),
        test(
            "a helper that the command stops cannot stop the clock",
            stopped_helper_stops_no_clock,
        ),
    ];
    for (level, _) in PROOFS {
        if !works(level) {
            continue;
        }
        for (name, promise) in ANY.iter().chain(LOCAL) {
            let name = format!("{} keeps promise {name}", level.name());
            tests.push(test(name, move || promise(&Posix::new().at_most(level))));
        }
        for escape in ESCAPES
            .iter()
            .filter(|e| level == Level::PidNamespace || !e.hits_supervisor)
        {
            let name = format!("{} holds {}", level.name(), escape.name);
            tests.push(test(name, move || nothing_escapes(level, escape)));
        }
    }
    tests
}

/// Cancels once `ready` was printed, if somebody really holds the lock.
struct OnReady {
    alive: PathBuf,
    seen: Vec<u8>,
    was_alive: bool,
    cancel: bool,
    token: CancelToken,
}

impl OnReady {
    fn new(directory: &Path, cancel: bool) -> OnReady {
        let alive = escape::alive(directory);
        OnReady {
            alive,
            seen: Vec::new(),
            was_alive: false,
            cancel,
            token: CancelToken::new(),
        }
    }
}

impl Observer for OnReady {
    fn output(&mut self, _stream: Stream, bytes: &[u8]) {
        if self.was_alive || self.seen.len() > 4096 {
            return;
        }
        self.seen.extend_from_slice(bytes);
        if self.seen.windows(6).any(|window| window == b"ready\n") {
            self.was_alive = !is_free(&self.alive);
            if self.cancel {
                self.token.cancel();
            }
        }
    }
    fn cancellation(&self) -> Option<CancelToken> {
        Some(self.token.clone())
    }
}

/// Whether nobody holds the lock.
fn is_free(alive: &Path) -> bool {
    let file = OpenOptions::new().append(true).open(alive).unwrap();
    file.try_lock().is_ok()
}

/// A directory that whoever runs the tests can write to.
fn directory() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn escaping(escape: &str, directory: &Path) -> Job {
    let program = std::env::current_exe().unwrap();
    let words = [
        program.to_str().unwrap(),
        "--escape",
        escape,
        directory.to_str().unwrap(),
    ];
    let mut job = contract::job(&words);
    job.limits.timeout = Duration::from_secs(20);
    job.limits.grace = Duration::from_millis(50);
    job
}

#[track_caller]
fn nothing_escapes(level: Level, escape: &Escape) {
    let directory = directory();
    let mut job = escaping(escape.name, directory.path());
    job.containment = Containment::AtLeast(level);
    let mut observer = OnReady::new(directory.path(), escape.leader == Leader::Stays);
    let started = Instant::now();
    let evidence = contract::run(&Posix::new().at_most(level), &job, &mut observer);
    assert!(
        is_free(&observer.alive),
        "something survived: {evidence:#?}"
    );
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "{:?}: {evidence:#?}",
        started.elapsed()
    );
    assert!(evidence.survivors.is_empty(), "{evidence:#?}");
    let (_, proof) = PROOFS.into_iter().find(|(of, _)| *of == level).unwrap();
    assert_eq!(
        (
            &evidence.containment.level,
            &evidence.containment.empty_proof
        ),
        (&level.into(), &proof)
    );
    assert!(!evidence.stdout.held_open, "{evidence:#?}");
    match escape.leader {
        Leader::Stays => assert_eq!(evidence.status, Status::Cancelled, "{evidence:#?}"),
        Leader::Exits => {
            assert_eq!(
                (evidence.status, evidence.exit_code),
                (Status::Pass, Some(0))
            );
            assert_eq!(evidence.stop.why, Some(StopReason::Leaked), "{evidence:#?}");
        }
    }
    let seen = String::from_utf8_lossy(&observer.seen[..observer.seen.len().min(100)]).into_owned();
    assert!(seen.contains("ready"), "it never got away: {evidence:#?}");
    for reached in ["traced", "opened", "privileged"] {
        assert!(!seen.contains(reached), "{reached}: {evidence:#?}");
    }
    // Who ends at once may be gone before we look.
    if !escape.name.starts_with("fork_chain") {
        assert!(observer.was_alive, "nobody held the lock: {evidence:#?}");
    }
}

fn trial_names_every_level() {
    let trials = Posix::new().trial().unwrap();
    let levels: Vec<Level> = trials.iter().map(|trial| trial.level).collect();
    assert_eq!(
        levels,
        [Level::PidNamespace, Level::Cgroup, Level::Subreaper]
    );
    for trial in trials {
        if let Some(error) = trial.error {
            assert!(
                error.starts_with(trial.level.name()) && error.contains(':'),
                "{error}"
            );
        }
    }
}

fn weak_levels_are_refused() {
    let mut job = contract::shell("exit 0");
    job.containment = Containment::AtLeast(Level::PidNamespace);
    let error = Posix::new()
        .at_most(Level::Subreaper)
        .prepare(&job)
        .unwrap_err();
    assert!(matches!(error, PrepareError::Containment { .. }), "{error}");
    assert_eq!(error.reason().code(), "CONTAINMENT_UNAVAILABLE");
}

fn helper_can_be_named() {
    let executor = Posix::new().with_helper(std::env::current_exe().unwrap());
    let evidence = contract::run(&executor, &contract::shell("exit 7"), &mut ());
    assert_eq!(evidence.exit_code, Some(7));
    assert!(evidence.containment.level >= Level::Subreaper);
}

fn wrong_helpers_are_noticed() {
    for wrong in ["/bin/true", "/bin/cat", "/nonexistent", "/etc/passwd"] {
        let executor = Posix::new().with_helper(wrong);
        let error = executor.prepare(&contract::shell("exit 7")).unwrap_err();
        assert_eq!(error.reason().code(), "CONTAINMENT_UNAVAILABLE");
        assert!(error.to_string().contains("the helper process"), "{error}");
    }
}

fn children_of_this_process() -> String {
    let pid = std::process::id();
    std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap()
}

fn dropping_leaves_nothing() {
    let mut job = contract::shell("exit 0");
    job.limits.cpu = Some(Duration::from_secs(1));
    let prepared: Vec<_> = (0..3)
        .map(|_| Posix::new().prepare(&job).unwrap())
        .collect();
    assert_eq!(children_of_this_process().split_whitespace().count(), 3);
    drop(prepared);
    assert_eq!(children_of_this_process(), "");
}

/// A shell that lists `directory`, which is hidden from it.
fn listing(directory: &Path) -> Job {
    let mut job = contract::shell(&format!("ls -A {}", directory.display()));
    job.hidden = vec![directory.to_owned()];
    job
}

fn a_helper_that_was_started_ahead_builds_what_is_asked_for() {
    let place = tempfile::tempdir().unwrap();
    let [before, after] = ["before", "after"].map(|name| place.path().join(name));
    std::fs::create_dir(&before).unwrap();
    std::fs::write(before.join("secret"), "").unwrap();
    // One of them is not there yet when the helper is started.
    let check = |prepared: &Path| {
        let executor = Posix::new();
        executor.start_helper_ahead();
        std::fs::create_dir_all(&after).unwrap();
        std::fs::write(after.join("secret"), "").unwrap();
        let evidence = contract::run(&executor, &listing(prepared), &mut ());
        assert_eq!(evidence.containment.level, Level::PidNamespace);
        assert_eq!(evidence.stdout.text.to_lossy(), "", "{evidence:#?}");
        assert_eq!(children_of_this_process(), "");
    };
    if Posix::new().trial().unwrap()[0].error.is_some() {
        return;
    }
    check(&after);
    check(&before);
    // One that has ended is not waited for.
    let executor = Posix::new();
    executor.start_helper_ahead();
    let helper: i32 = children_of_this_process().trim().parse().unwrap();
    let id = helper.unsigned_abs();
    // SAFETY: it is a child that was not waited for, so the pid is its own; all bit patterns are a `siginfo_t`.
    unsafe {
        libc::kill(helper, libc::SIGKILL);
        let mut info = std::mem::zeroed();
        let until_it_ends = libc::WEXITED | libc::WNOWAIT;
        assert_eq!(
            libc::waitid(libc::P_PID, id, &raw mut info, until_it_ends),
            0
        );
    }
    let evidence = contract::run(&executor, &listing(&before), &mut ());
    assert_eq!(evidence.containment.level, Level::PidNamespace);
    // One that nobody needs ends.
    let executor = Posix::new();
    executor.start_helper_ahead();
    drop(executor);
    assert_eq!(children_of_this_process(), "");
}

fn many_runs_at_once() {
    let started = Instant::now();
    std::thread::scope(|scope| {
        for number in 0..8 {
            scope.spawn(move || {
                let job = contract::shell(&format!("sleep 0.3; echo {number}; exit {number}"));
                let evidence = contract::run(&Posix::new(), &job, &mut ());
                assert_eq!(evidence.exit_code, Some(number));
                assert_eq!(evidence.stdout.text.to_lossy(), format!("{number}\n"));
            });
        }
    });
    assert!(
        started.elapsed() < Duration::from_millis(2000),
        "{:?}",
        started.elapsed()
    );
}

fn many_runs_leave_nothing() {
    let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let before = descriptors();
    std::thread::scope(|scope| {
        for _ in 0..10 {
            scope.spawn(|| {
                let (executor, job) = (Posix::new(), contract::job(&["/bin/true"]));
                for _ in 0..50 {
                    let evidence = contract::run(&executor, &job, &mut ());
                    assert_eq!(evidence.status, Status::Pass, "{evidence:#?}");
                    assert_ne!(evidence.containment.empty_proof, EmptyProof::None);
                }
            });
        }
    });
    assert_eq!(
        (descriptors(), children_of_this_process()),
        (before, String::new())
    );
}

fn command_sees_its_own_processes_only() {
    if !works(Level::PidNamespace) {
        return;
    }
    let script = "echo $PPID; for p in /proc/[0-9]*; do echo ${p#/proc/}; done";
    let evidence = contract::run(&Posix::new(), &contract::shell(script), &mut ());
    let text = evidence.stdout.text.to_lossy();
    assert_eq!(text.lines().next(), Some("1"), "{text}");
    if evidence.containment.proc_view == ProcView::Fresh {
        assert_eq!(text.lines().count(), 3, "{text}");
    }
    assert!(evidence.containment.degraded_because.is_empty() && evidence.containment.crash_safe);
}

fn pids_start_at_random() {
    if !works(Level::PidNamespace) {
        return;
    }
    let pids: Vec<String> = (0..3)
        .map(|_| contract::run(&Posix::new(), &contract::shell("echo $$"), &mut ()))
        .map(|evidence| evidence.stdout.text.to_lossy())
        .collect();
    // Three times 2 is what a machine gives that does not permit it.
    assert!(
        pids[0] != pids[1] || pids[1] != pids[2] || pids[0] == "2\n",
        "{pids:?}"
    );
}

fn hidden_is_hidden() {
    if !works(Level::PidNamespace) {
        return;
    }
    let directory = directory();
    let (ledger, policy) = (
        directory.path().join("ledger"),
        directory.path().join("lictor.yaml"),
    );
    std::fs::create_dir(&ledger).unwrap();
    std::fs::write(ledger.join("key"), "secret").unwrap();
    std::fs::write(&policy, "version: 1").unwrap();
    // By a path from the root, and by one from the working directory.
    let script = format!(
        "umount -l {0}/ledger; umount -l {0}/lictor.yaml; cat {0}/ledger/key; cat ledger/key; cat ../{1}/ledger/key; ls {0}/ledger; touch {0}/ledger/x;
         echo x > lictor.yaml; echo x > {0}/lictor.yaml; rm -f lictor.yaml; mv lictor.yaml y; cat lictor.yaml",
        directory.path().display(),
        directory.path().file_name().unwrap().display(),
    );
    let mut job = contract::shell(&script);
    job.directory = Directory::open(directory.path()).unwrap();
    job.hidden = vec![ledger.clone(), directory.path().join("absent")];
    job.read_only = vec![policy.clone()];
    let evidence = contract::run(&Posix::new(), &job, &mut ());
    assert_eq!(
        evidence.stdout.text.to_lossy(),
        "version: 1",
        "{:?}",
        evidence.stderr.text
    );
    assert!(evidence.events.is_empty(), "{:?}", evidence.events);
    assert_eq!(std::fs::read_to_string(&policy).unwrap(), "version: 1");
    assert_eq!(std::fs::read_dir(&ledger).unwrap().count(), 1);
    // A level that cannot hide says so.
    let weak = contract::run(&Posix::new().at_most(Level::Subreaper), &job, &mut ());
    assert_eq!(weak.events.len(), 4, "{:?}", weak.events);
    // The directory that is hidden is no place to start in.
    job.directory = Directory::open(&ledger).unwrap();
    let evidence = contract::run(&Posix::new(), &job, &mut ());
    assert_eq!(evidence.status, Status::SpawnFailed, "{evidence:#?}");
}

/// Prepares and runs, unless a limit is refused, which must be the one that is named.
fn run_limited(job: &Job, limit: &str) -> Option<Evidence> {
    match Posix::new().prepare(job) {
        Ok(prepared) => {
            drop(prepared);
            Some(contract::run(&Posix::new(), job, &mut ()))
        }
        Err(error) => {
            assert_eq!(error.reason().code(), "LIMIT_NOT_ENFORCEABLE");
            assert!(error.to_string().contains(&format!("`{limit}`")), "{error}");
            println!("note: {error}");
            None
        }
    }
}

fn processes_are_limited() {
    let script = "for i in 1 2 3 4 5 6 7 8 9; do sleep 5 & done; echo all; wait";
    let mut job = contract::shell(script);
    job.limits.processes = Some(5);
    job.limits.timeout = Duration::from_millis(500);
    if let Some(evidence) = run_limited(&job, "processes") {
        assert!(
            evidence.stderr.text.to_lossy().contains("fork"),
            "{evidence:#?}"
        );
        assert!(
            evidence
                .resources
                .peak_processes
                .is_none_or(|peak| peak <= 5),
            "{evidence:#?}"
        );
    }
    job.limits.processes = Some(20);
    if let Some(evidence) = run_limited(&job, "processes") {
        assert_eq!(evidence.stdout.text.to_lossy(), "all\n", "{evidence:#?}");
        assert_eq!(evidence.tree.len(), 10, "{:#?}", evidence.tree);
    }
}

fn memory_is_limited() {
    // Doubles a variable until it is refused or killed.
    let mut job = contract::shell("x=0123456789abcdef; while :; do x=$x$x; done");
    job.limits.memory_bytes = Some(64 << 20);
    if let Some(evidence) = run_limited(&job, "memory") {
        assert_eq!(
            (evidence.status, evidence.limit.as_deref()),
            (Status::Limit, Some("memory"))
        );
        // Pages of the program file are not charged to the run.
        assert!(
            evidence.resources.max_rss_bytes <= 80 << 20,
            "{evidence:#?}"
        );
    }
    let mut job = contract::shell("echo fits");
    job.limits.memory_bytes = Some(64 << 20);
    if let Some(evidence) = run_limited(&job, "memory") {
        assert_eq!(evidence.status, Status::Pass, "{evidence:#?}");
    }
}

fn rlimits_are_set() {
    let directory = directory();
    let script = format!(
        "ulimit -n; ulimit -Hn; exec cat /dev/zero > {}/f",
        directory.path().display()
    );
    let mut job = contract::shell(&script);
    job.limits.open_files = Some(50);
    job.limits.file_size_bytes = Some(8192);
    let evidence = contract::run(&Posix::new(), &job, &mut ());
    assert_eq!(evidence.stdout.text.to_lossy(), "50\n50\n");
    assert_eq!(evidence.status, Status::Limit, "{evidence:#?}");
    assert_eq!(
        (evidence.limit.as_deref(), evidence.signal),
        (Some("file_size"), Some(25))
    );
    assert_eq!(
        std::fs::metadata(directory.path().join("f")).unwrap().len(),
        8192
    );
}

fn deadline_is_kept() {
    let mut job = contract::shell("exec sleep 50");
    job.limits.timeout = Duration::from_millis(300);
    let best = (0..5)
        .map(|_| {
            let evidence = contract::run(&Posix::new(), &job, &mut ());
            assert_eq!(
                (evidence.status, evidence.signal),
                (Status::Timeout, Some(15))
            );
            assert!(evidence.stop.term_at_ms >= Some(300), "{evidence:#?}");
            evidence.stop.term_at_ms
        })
        .min();
    // On a machine that is busy with other things every single one may be late.
    assert!(best <= Some(Some(310)), "{best:?}");
}

/// Who is killed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    Host,
    Helper,
}

/// A process of its own that runs an escape.
struct Host {
    process: std::process::Child,
    output: BufReader<std::process::ChildStdout>,
    directory: tempfile::TempDir,
}

impl Host {
    fn start() -> Host {
        let directory = directory();
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--killed", directory.path().to_str().unwrap()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        Host {
            process,
            output,
            directory,
        }
    }

    fn pid(&self) -> i32 {
        i32::try_from(self.process.id()).unwrap()
    }

    fn helper(&self) -> i32 {
        let children = format!("/proc/{0}/task/{0}/children", self.pid());
        std::fs::read_to_string(children)
            .unwrap()
            .trim()
            .parse()
            .unwrap()
    }

    /// Waits until nobody holds the lock.
    fn wait_until_nothing_lives(&self) -> bool {
        let alive = escape::alive(self.directory.path());
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            let file = OpenOptions::new().append(true).open(alive).unwrap();
            file.lock().unwrap();
            let _ = sender.send(());
        });
        receiver.recv_timeout(Duration::from_secs(5)).is_ok()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Runs an escape, passes its output through, and prints how it went.
pub(crate) fn be_host(directory: &Path) {
    struct Through;
    impl Observer for Through {
        fn output(&mut self, _stream: Stream, bytes: &[u8]) {
            print!("{}", String::from_utf8_lossy(bytes));
            let _ = std::io::Write::flush(&mut std::io::stdout());
        }
    }
    let mut job = escaping("double_fork", directory);
    job.limits.timeout = Duration::from_millis(1500);
    let evidence = contract::run(&Posix::new(), &job, &mut Through);
    println!("{}", serde_json::to_string(&evidence).unwrap());
}

fn signal(pid: i32, signal: i32) {
    // SAFETY: has no precondition.
    assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
}

fn nothing_survives(killed: &[Who]) {
    if !works(Level::PidNamespace) {
        return;
    }
    let host = Host::start();
    let helper = host.helper();
    for who in killed {
        signal(
            if *who == Who::Host {
                host.pid()
            } else {
                helper
            },
            libc::SIGKILL,
        );
    }
    let started = Instant::now();
    assert!(host.wait_until_nothing_lives());
    // Long before the deadline would have ended it.
    assert!(
        started.elapsed() < Duration::from_millis(500),
        "{:?}",
        started.elapsed()
    );
}

fn stopped_host_stops_no_clock() {
    let mut host = Host::start();
    signal(host.pid(), libc::SIGSTOP);
    assert!(host.wait_until_nothing_lives());
    signal(host.pid(), libc::SIGCONT);
    let mut text = String::new();
    host.output.read_to_string(&mut text).unwrap();
    let evidence: Evidence = serde_json::from_str(&text).unwrap();
    assert_eq!(evidence.status, Status::Timeout);
    assert!(evidence.duration_ms < 1700, "{evidence:#?}");
}

fn stopped_helper_stops_no_clock() {
    for level in [Level::Subreaper, Level::Cgroup] {
        if !works(level) {
            continue;
        }
        let directory = directory();
        let mut job = escaping("supervisor_stopped", directory.path());
        job.limits.timeout = Duration::from_millis(300);
        let mut observer = OnReady::new(directory.path(), false);
        let evidence = contract::run(&Posix::new().at_most(level), &job, &mut observer);
        assert!(observer.was_alive && is_free(&observer.alive));
        // What the helper would have told is not known, and nothing is claimed in its place.
        let containment = &evidence.containment;
        assert_eq!(
            (&containment.level, &containment.empty_proof),
            (&level.into(), &EmptyProof::None)
        );
        assert!(evidence.proof_failed() && evidence.survivors.is_empty());
        let lost = |event: &lictor::evidence::Event| event.what == "HELPER_LOST";
        assert!(evidence.events.iter().any(lost), "{evidence:#?}");
        // How the command ended nobody knows; that its time was over the host knows by itself.
        assert_eq!((evidence.status, evidence.signal), (Status::Timeout, None));
    }
}

fn loss_of_helper_is_in_the_evidence() {
    if !works(Level::PidNamespace) {
        return;
    }
    let mut host = Host::start();
    signal(host.helper(), libc::SIGKILL);
    let mut text = String::new();
    host.output.read_to_string(&mut text).unwrap();
    let evidence: Evidence = serde_json::from_str(&text).unwrap();
    // Nobody has seen how the command ended.
    assert_eq!((evidence.status, evidence.signal), (Status::Lost, None));
    assert_eq!(evidence.containment.empty_proof, EmptyProof::InitReaped);
    assert!(evidence.survivors.is_empty(), "{evidence:#?}");
    assert!(evidence.error.is_some_and(|error| error.contains("helper")));
}
