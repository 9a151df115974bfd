//! The executor against an `sshd` of the test's own, on loopback.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use executor_ssh::Ssh;
use lictor::evidence::{EmptyProof, Evidence, Status};
use lictor::executor::{Executor, Executors, Lookup, Observer, PrepareError, Prepared, contract};
use lictor::governor::{Found, Governor, Ran, load};
use lictor::log::verify::{Verdict, VerifyOptions};
use lictor::{Effect, Request};

/// An `sshd` with keys and a configuration of its own, which ends with the value.
struct Sshd {
    place: tempfile::TempDir,
    child: Child,
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn run(program: &str, words: &[&str]) -> String {
    let output = Command::new(program).args(words).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program} {words:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

impl Sshd {
    fn start() -> Sshd {
        const PROGRAM: &str = "/usr/sbin/sshd";
        assert!(
            Path::new(PROGRAM).exists(),
            "{PROGRAM} is missing: install openssh-server"
        );
        let place = tempfile::tempdir().unwrap();
        let dir = place.path().to_str().unwrap();
        for key in ["host", "user"] {
            let file = format!("{dir}/{key}");
            run(
                "ssh-keygen",
                &["-q", "-t", "ed25519", "-N", "", "-f", &file],
            );
        }
        let user = run("id", &["-un"]);
        if run("id", &["-u"]) == "0" {
            // Where root's `sshd` keeps its unprivileged half; a service makes it where there is one.
            fs::create_dir_all("/run/sshd").unwrap();
        }
        let (port, child) = (0..5).find_map(|_| Self::listen(PROGRAM, dir)).unwrap();
        let host = fs::read_to_string(format!("{dir}/host.pub")).unwrap();
        fs::write(format!("{dir}/known"), format!("[127.0.0.1]:{port} {host}")).unwrap();
        let config = format!(
            "Host there\n HostName 127.0.0.1\n Port {port}\n User {user}\n IdentityFile {dir}/user\n IdentitiesOnly yes\n\
             UserKnownHostsFile {dir}/known\n StrictHostKeyChecking yes\n"
        );
        fs::write(format!("{dir}/config"), config).unwrap();
        Sshd { place, child }
    }

    /// Starts it at a port that is free now; none if somebody was faster.
    fn listen(program: &str, dir: &str) -> Option<(u16, Child)> {
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {dir}/host\nAuthorizedKeysFile {dir}/user.pub\nPidFile none\n\
             StrictModes no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\n\
             PermitRootLogin prohibit-password\nMaxStartups 100\n"
        );
        fs::write(format!("{dir}/sshd_config"), config).unwrap();
        let log = fs::File::create(format!("{dir}/log")).unwrap();
        let mut child = Command::new(program)
            .args(["-D", "-e", "-f", &format!("{dir}/sshd_config")])
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(20) {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Some((port, child));
            }
            if child.try_wait().unwrap().is_some() {
                break;
            }
            sleep(Duration::from_millis(20));
        }
        child.kill().ok();
        child.wait().unwrap();
        eprintln!("{}", fs::read_to_string(format!("{dir}/log")).unwrap());
        None
    }

    fn executor(&self) -> Ssh {
        executor_at(self.place.path())
    }
}

fn executor_at(sshd: &Path) -> Ssh {
    Ssh::new("there")
        .option("-F")
        .option(sshd.join("config"))
        .state_in(sshd.join("runs").to_str().unwrap())
}

/// A workspace with a policy that lets `sh` scripts of it run elsewhere.
struct Place(tempfile::TempDir);

const POLICY: &str = r#"version: 1
name: elsewhere
use: lictor/coreutils@1
tools:
  script:
    program: sh
    actions:
      run:
        args: {file: {type: path, access: read, required: true}}
scopes: {all: "**"}
rules:
  - {id: count, allow: wc.run, within: all}
  - {id: scripts, allow: script.run, within: all}
defaults: {limits: {timeout: 20s}, containment: pid-namespace, executor: builder}
"#;

impl Place {
    fn new() -> Place {
        let place = Place(tempfile::tempdir().unwrap());
        fs::create_dir(place.0.path().join("work")).unwrap();
        place.write("lictor.yaml", POLICY);
        place.write("a.md", "one\ntwo\n");
        place
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.path().join("work").join(name), text).unwrap();
    }

    fn verify(&self, governor: &Governor) {
        let options = VerifyOptions::default();
        let report = lictor::record::verify(governor.ledger_path(), &options, &mut |_, _| {});
        let report = report.unwrap();
        assert!(matches!(report.verdict, Verdict::Signed), "{report:#?}");
    }
}

fn governor(place: &Path, executor: Ssh) -> Governor {
    let place = place.canonicalize().unwrap();
    let loaded = load(
        Path::new("lictor.yaml"),
        &place.join("work"),
        &place.join("state"),
    );
    let executors = Executors::none().with("builder", executor);
    Governor::with_executors(loaded.unwrap(), &executors, None)
}

fn ran(governor: &Governor, line: &[&str]) -> Ran {
    governor.run(
        &Request::argv(line.iter().copied()),
        &governor.context("test"),
        &mut (),
    )
}

/// Processes of this machine whose command line holds `mark`.
fn alive(mark: &str) -> Vec<PathBuf> {
    let all = fs::read_dir("/proc")
        .unwrap()
        .map(|entry| entry.unwrap().path());
    all.filter(|process| {
        let line = fs::read(process.join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(mark)
    })
    .collect()
}

#[track_caller]
fn none_alive_within(mark: &str, most: Duration) {
    let started = Instant::now();
    while !alive(mark).is_empty() {
        assert!(started.elapsed() < most, "{:?}", alive(mark));
        sleep(Duration::from_millis(50));
    }
}

#[test]
fn it_keeps_the_promises_of_every_backend() {
    contract::check_any(&Sshd::start().executor());
}

#[test]
fn a_policy_chooses_it_and_the_record_says_whose_word_the_proof_is() {
    let (sshd, place) = (Sshd::start(), Place::new());
    let governor = governor(place.0.path(), sshd.executor());
    let ran = ran(&governor, &["wc", "-l", "a.md"]);
    let evidence = ran.evidence.unwrap();
    assert_eq!((ran.decision.effect(), ran.recorded), (Effect::Allow, true));
    assert_eq!(evidence.stdout.text.to_lossy(), "2 a.md\n");
    assert_eq!(evidence.containment.level.name(), "ssh");
    let proof = &evidence.containment.empty_proof;
    assert!(matches!(proof, EmptyProof::Attested { by } if by.starts_with("the supervisor on ")));
    place.verify(&governor);
}

#[test]
fn programs_are_those_of_the_other_machine() {
    let sshd = Sshd::start();
    let ssh = sshd.executor();
    assert!(matches!(ssh.program("wc"), Lookup::Found(path) if path.ends_with("wc")));
    assert!(matches!(
        ssh.program("no-such-program"),
        Lookup::NotFound(_)
    ));
    let open = sshd.place.path().join("open");
    fs::write(&open, "#!/bin/sh\n").unwrap();
    run("chmod", &["777", open.to_str().unwrap()]);
    assert!(matches!(
        ssh.program(open.to_str().unwrap()),
        Lookup::NotTrusted(_)
    ));
}

fn within(executor: &Ssh, script: &str, timeout: Duration) -> Evidence {
    let mut job = contract::shell(script);
    job.limits.timeout = timeout;
    job.limits.grace = Duration::from_millis(300);
    contract::run(executor, &job, &mut ())
}

#[test]
fn nothing_outlives_the_deadline_or_the_command() {
    let sshd = Sshd::start();
    let ssh = sshd.executor();
    let script =
        "trap '' TERM HUP; for i in 1 2 3; do setsid sh -c 'trap \"\" TERM; sleep 31871; :' & done";
    let evidence = within(&ssh, &format!("{script}; wait"), Duration::from_millis(700));
    assert_eq!(evidence.status, Status::Timeout);
    assert!(!evidence.proof_failed() && evidence.stop.kill_at_ms.is_some());
    none_alive_within("31871", Duration::ZERO);
    // What is left behind is killed, and listed.
    let script = script.replace("31871", "31872");
    let evidence = within(&ssh, &format!("{script}; exit 0"), Duration::from_secs(20));
    assert_eq!(evidence.status, Status::Pass);
    assert!(
        evidence.leaked.len() >= 3 && !evidence.proof_failed(),
        "{evidence:?}"
    );
    none_alive_within("31872", Duration::ZERO);
}

#[test]
fn a_command_that_kills_its_supervisor_proves_nothing() {
    let sshd = Sshd::start();
    let ssh = sshd.executor();
    let evidence = within(&ssh, "kill -9 $PPID; sleep 2", Duration::from_secs(20));
    assert_eq!(evidence.status, Status::Lost);
    assert_eq!(evidence.containment.empty_proof, EmptyProof::None);
}

#[test]
fn a_command_reads_what_it_is_given() {
    struct Gives(fs::File);
    impl Observer for Gives {
        fn input(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
            Some(std::os::fd::AsFd::as_fd(&self.0))
        }
    }
    let sshd = Sshd::start();
    let file = sshd.place.path().join("input");
    // More than a pipe holds.
    fs::write(&file, "0123456789\n".repeat(100_000)).unwrap();
    let mut gives = Gives(fs::File::open(&file).unwrap());
    let evidence = contract::run(&sshd.executor(), &contract::shell("wc -l"), &mut gives);
    assert_eq!(evidence.stdout.text.to_lossy().trim(), "100000");
}

#[test]
fn what_cannot_be_had_is_known_before_anything_is_recorded() {
    let sshd = Sshd::start();
    let refused = |executor: &Ssh, job| match Prepared::new(executor, &job) {
        Err(error) => error,
        Ok(_) => panic!("it is ready"),
    };
    let mut job = contract::shell("exit 0");
    job.limits.memory_bytes = Some(1 << 20);
    let error = refused(&sshd.executor(), job);
    assert!(matches!(
        error,
        PrepareError::Limit {
            limit: "memory",
            ..
        }
    ));
    let nobody = sshd.executor().option("-oPort=1");
    let error = refused(&nobody, contract::shell("exit 0")).to_string();
    assert!(error.contains("refused"), "{error}");
}

/// Where the run of the owner that is killed takes place: the workspace, and what belongs to the `sshd`.
const PLACE: &str = "EXECUTOR_SSH_TEST_PLACE";
const SSHD: &str = "EXECUTOR_SSH_TEST_SSHD";

#[test]
fn what_became_of_a_run_whose_owner_was_killed_is_found_out() {
    if let (Some(place), Some(sshd)) = (std::env::var_os(PLACE), std::env::var_os(SSHD)) {
        let governor = governor(Path::new(&place), executor_at(Path::new(&sshd)));
        panic!("survived {:?}", ran(&governor, &["sh", "slow.sh"]));
    }
    let (sshd, place) = (Sshd::start(), Place::new());
    let started = place.0.path().join("started");
    let slow = format!(
        "trap 'sleep 1; exit 7' TERM\ntouch {}\nwhile :; do sleep 0.1; done\n",
        started.display()
    );
    place.write("slow.sh", &slow);
    let name = "what_became_of_a_run_whose_owner_was_killed_is_found_out";
    let mut owner = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(PLACE, place.0.path())
        .env(SSHD, sshd.place.path())
        .spawn()
        .unwrap();
    let waiting = Instant::now();
    while !started.exists() {
        assert!(waiting.elapsed() < Duration::from_secs(60) && owner.try_wait().unwrap().is_none());
        sleep(Duration::from_millis(20));
    }
    owner.kill().unwrap();
    assert_eq!(owner.wait().unwrap().signal(), Some(9));

    // Nobody can be asked: it stays open.
    let away = governor(place.0.path(), sshd.executor().option("-oPort=1"));
    assert_eq!(away.recover().unwrap()[0].found, Found::Running);
    // The supervisor ends it, as its owner is gone.
    let governor = governor(place.0.path(), sshd.executor());
    let evidence = loop {
        let found = governor.recover().unwrap().remove(0).found;
        match found {
            Found::Ended(evidence) => break evidence,
            found => assert_eq!(found, Found::Running),
        }
        assert!(waiting.elapsed() < Duration::from_secs(60));
    };
    assert_eq!(
        (evidence.status, evidence.exit_code),
        (Status::Cancelled, Some(7))
    );
    assert!(!evidence.proof_failed());
    assert_eq!(governor.recover().unwrap(), []);
    // The next run goes on as if nothing had been.
    assert!(ran(&governor, &["wc", "-l", "a.md"]).recorded);
    place.verify(&governor);
}

#[test]
fn a_run_that_it_never_started_is_unknown() {
    let sshd = Sshd::start();
    let job = contract::shell("exit 0");
    let recovery = sshd.executor().recover(job.run);
    assert_eq!(recovery, lictor::executor::Recovery::Unknown);
}
