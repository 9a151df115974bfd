//! Keys that are held elsewhere: by a program, behind a socket, by anything else that signs. What they
//! sign counts as if the key lay beside the ledger; what they do not sign stays, unsigned, and is said to be.

use super::reading::report;
use crate::support::need;
use crate::support::program;
use std::fs;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lictor::executor::CommandHolder;
use lictor::log::LogError;
use lictor::log::holder::{KeyHolder, SignError, SignatureBytes, SocketHolder};
use lictor::log::note::{Signer, Verifier};
use lictor::log::verify::{Verdict, VerifyOptions};
use lictor::log::{Draft, Kind};
use lictor::record::verify;
use lictor::record::{Ledger, LedgerError, Options};

const NAME: &str = "lictor/elsewhere";

fn signer(seed: u8) -> Signer {
    Signer::new(NAME, &[seed; 32]).unwrap()
}

/// Holds a key in this process, and counts what it signs.
#[derive(Debug)]
struct Here {
    signer: Signer,
    signed: AtomicU64,
}

impl Here {
    fn new(seed: u8) -> Arc<Here> {
        Arc::new(Here {
            signer: signer(seed),
            signed: AtomicU64::new(0),
        })
    }
}

impl KeyHolder for Here {
    fn verifier(&self) -> &Verifier {
        self.signer.verifier()
    }

    fn sign(&self, text: &str, _wait: Duration) -> Result<SignatureBytes, SignError> {
        self.signed.fetch_add(1, Ordering::SeqCst);
        Ok(self.signer.signature(text))
    }
}

fn held(holder: Arc<dyn KeyHolder>) -> Options {
    let mut options = Options::default();
    options.log.holder = Some(holder);
    options
}

fn write(dir: &Path, options: &Options, entries: u64) -> Result<(), LedgerError> {
    let ledger = Ledger::open(dir, options)?;
    for n in 0..entries {
        ledger.commit(vec![Draft::new(Kind::Observed).with("n", n)])?;
    }
    ledger.close()
}

#[track_caller]
fn check_signed(dir: &Path) {
    let report = report(dir);
    assert_eq!(
        (report.verdict, report.unsigned_tail),
        (Verdict::Signed, 0),
        "{report:#?}"
    );
    assert!(report.warnings.is_empty(), "{report:#?}");
}

fn key_file(dir: &Path) -> String {
    fs::read_to_string(dir.join("key")).unwrap()
}

fn new_dir() -> (tempfile::TempDir, PathBuf) {
    let guard = tempfile::tempdir().unwrap();
    let dir = guard.path().join("ledger");
    (guard, dir)
}

#[test]
fn a_new_ledger_whose_key_is_held_elsewhere_is_signed_to_its_end_without_a_key_beside_it() {
    let (_guard, dir) = new_dir();
    let holder = Here::new(1);
    for _ in 0..3 {
        write(&dir, &held(holder.clone()), 5).unwrap();
        check_signed(&dir);
        assert!(!key_file(&dir).contains("PRIVATE"));
    }
    let ledger = Ledger::open(&dir, &held(holder)).unwrap();
    assert_eq!(ledger.log().verifier().as_ref(), Some(signer(1).verifier()));
    let anchor = ledger.log().anchor("a test").unwrap();
    drop(ledger);
    let mut options = VerifyOptions::default();
    options.anchors = vec![anchor];
    let report = verify(&dir, &options, &mut |_, _| {}).unwrap();
    assert_eq!(report.verdict, Verdict::Anchored);
    assert_eq!(report.anchored, report.entries);
}

#[test]
fn an_index_is_made_again_byte_for_byte_and_kept_where_nobody_signs() {
    let (_guard, dir) = new_dir();
    write(&dir, &held(Here::new(1)), 3).unwrap();
    let read = |file: &str| fs::read_to_string(dir.join(file)).unwrap();
    let before = (read("checkpoint"), read("state"));
    for options in [held(Here::new(1)), Options::default()] {
        Ledger::reindex(&dir, &options).unwrap();
        assert_eq!((read("checkpoint"), read("state")), before);
    }
    fs::remove_file(dir.join("checkpoint")).unwrap();
    Ledger::reindex(&dir, &held(Here::new(1))).unwrap();
    assert_eq!((read("checkpoint"), read("state")), before);
    check_signed(&dir);
}

#[test]
fn a_ledger_hands_over_to_a_key_elsewhere_from_there_to_another_and_back() {
    let (_guard, dir) = new_dir();
    let mut options = Options::default();
    options.log.origin = Some(NAME.to_owned());
    write(&dir, &options, 3).unwrap();
    let anchor = fs::read_to_string(dir.join("checkpoint")).unwrap();
    let (one, two) = (Here::new(1), Here::new(2));

    write(&dir, &held(one.clone()), 3).unwrap();
    check_signed(&dir);
    assert!(!key_file(&dir).contains("PRIVATE"));

    // Without the one before nobody signs that it hands over.
    let error = write(&dir, &held(two.clone()), 1).unwrap_err();
    assert!(
        matches!(error, LedgerError::Log(LogError::Key { .. })),
        "{error}"
    );
    check_signed(&dir);
    let mut options = held(two.clone());
    options.log.earlier_holders = vec![one];
    write(&dir, &options, 3).unwrap();
    write(&dir, &held(two.clone()), 3).unwrap();
    check_signed(&dir);

    let mut options = Options::default();
    options.log.earlier_holders = vec![two];
    write(&dir, &options, 3).unwrap();
    write(&dir, &Options::default(), 3).unwrap();
    check_signed(&dir);
    assert!(key_file(&dir).contains("PRIVATE"));

    let mut options = VerifyOptions::default();
    options.anchors = vec![anchor];
    let report = verify(&dir, &options, &mut |_, _| {}).unwrap();
    assert_eq!(report.verdict, Verdict::Anchored, "{report:#?}");
}

#[test]
fn while_the_key_before_does_not_hand_over_the_ledger_goes_on_with_it() {
    let (_guard, dir) = new_dir();
    write(&dir, &held(Here::new(1)), 3).unwrap();
    let mut options = held(Here::new(2));
    options.log.earlier_holders = vec![Arc::new(Bad(signer(1), 0))];
    for n in 1..4 {
        let error = write(&dir, &options, 2).unwrap_err();
        assert!(
            matches!(error, LedgerError::Log(LogError::NotSigned { .. })),
            "{error}"
        );
        let now = report(&dir);
        assert_eq!((now.verdict, now.unsigned_tail), (Verdict::Signed, 2 * n));
    }
    options.log.earlier_holders = vec![Here::new(1)];
    fs::remove_file(dir.join("unanswered")).unwrap();
    write(&dir, &options, 2).unwrap();
    check_signed(&dir);
    let ledger = Ledger::open(&dir, &held(Here::new(2))).unwrap();
    assert_eq!(ledger.log().verifier().as_ref(), Some(signer(2).verifier()));
}

#[test]
fn a_key_of_another_name_and_a_ledger_that_does_not_sign_are_left_as_they_are() {
    let (_guard, dir) = new_dir();
    write(&dir, &Options::default(), 1).unwrap();
    let error = write(&dir, &held(Here::new(1)), 1).unwrap_err();
    assert!(error.to_string().contains(NAME), "{error}");
    check_signed(&dir);

    let (_guard, dir) = new_dir();
    let mut options = Options::default();
    options.log.sign = false;
    options.log.origin = Some(NAME.to_owned());
    write(&dir, &options, 1).unwrap();
    write(&dir, &held(Here::new(1)), 1).unwrap();
    assert_eq!(report(&dir).verdict, Verdict::Unsigned);
}

#[test]
fn a_process_that_was_not_told_who_holds_the_key_goes_on_and_the_next_has_all_of_it_signed() {
    let (_guard, dir) = new_dir();
    write(&dir, &held(Here::new(1)), 2).unwrap();
    let before = report(&dir).entries;
    write(&dir, &Options::default(), 3).unwrap();
    let now = report(&dir);
    assert_eq!(
        (now.verdict, now.unsigned_tail),
        (Verdict::Signed, now.entries - before)
    );
    let ledger = Ledger::open(&dir, &Options::default()).unwrap();
    assert!(matches!(
        ledger.log().rotate_key(),
        Err(LogError::Key { .. })
    ));
    assert!(matches!(
        ledger.log().anchor("x"),
        Err(LogError::NotSigned { .. })
    ));
    drop(ledger);
    write(&dir, &held(Here::new(1)), 1).unwrap();
    check_signed(&dir);
}

/// Signs when it is told to.
#[derive(Debug)]
struct Slow {
    signer: Signer,
    asked: Sender<String>,
    go: Mutex<Receiver<()>>,
}

impl KeyHolder for Slow {
    fn verifier(&self) -> &Verifier {
        self.signer.verifier()
    }

    fn sign(&self, text: &str, _wait: Duration) -> Result<SignatureBytes, SignError> {
        self.asked.send(text.to_owned()).unwrap();
        self.go.lock().unwrap().recv().unwrap();
        Ok(self.signer.signature(text))
    }
}

#[test]
fn while_a_holder_is_asked_others_write_and_what_they_wrote_is_signed_too() {
    let (_guard, dir) = new_dir();
    let (asked, was_asked) = channel();
    let (go, wait) = channel();
    let slow = Arc::new(Slow {
        signer: signer(1),
        asked,
        go: Mutex::new(wait),
    });
    let ledger = Ledger::open(&dir, &held(slow)).unwrap();
    ledger.commit(vec![Draft::new(Kind::Observed)]).unwrap();
    std::thread::scope(|scope| {
        let closing = scope.spawn(|| ledger.close().unwrap());
        was_asked.recv().unwrap();
        // Nothing is locked while it thinks: another process writes, starts and ends a run.
        write(&dir, &Options::default(), 2).unwrap();
        for _ in 0..3 {
            go.send(()).unwrap();
        }
        closing.join().unwrap();
    });
    check_signed(&dir);
    // Once for what was there, once for what was written meanwhile, once for the file `checkpoint`.
    assert_eq!(was_asked.try_iter().count(), 2);
}

/// What a holder can do wrong.
#[derive(Debug)]
struct Bad(Signer, u8);

impl KeyHolder for Bad {
    fn verifier(&self) -> &Verifier {
        self.0.verifier()
    }

    fn sign(&self, text: &str, wait: Duration) -> Result<SignatureBytes, SignError> {
        match self.1 {
            0 => Err(SignError::Late(wait)),
            1 => Ok([0; 64]),
            2 => Ok(signer(9).signature(text)),
            _ => Ok(self.0.signature("another text\n")),
        }
    }
}

#[test]
fn a_holder_that_signs_nothing_or_something_else_loses_no_entry_and_verification_says_so() {
    for what in 0..4 {
        let (_guard, dir) = new_dir();
        let bad = || held(Arc::new(Bad(signer(1), what)));
        let error = write(&dir, &bad(), 4).unwrap_err();
        assert!(
            matches!(error, LedgerError::Log(LogError::NotSigned { .. })),
            "{error}"
        );
        let unsigned = report(&dir);
        assert_eq!(
            (unsigned.verdict, unsigned.entries, unsigned.unsigned_tail),
            (Verdict::Unsigned, 5, 5),
            "{unsigned:#?}"
        );
        // It was asked once, and is left alone by the next process.
        let left_alone = Here::new(1);
        write(&dir, &held(left_alone.clone()), 1).unwrap_err();
        assert_eq!(left_alone.signed.load(Ordering::SeqCst), 0);
        assert_eq!(report(&dir).unsigned_tail, 6);
        fs::write(dir.join("unanswered"), "0").unwrap();
        write(&dir, &held(Here::new(1)), 1).unwrap();
        check_signed(&dir);
        assert!(!dir.join("unanswered").exists());
        write(&dir, &bad(), 3).unwrap_err();
        let tail = report(&dir);
        assert_eq!((tail.verdict, tail.unsigned_tail), (Verdict::Signed, 3));
    }
}

#[test]
fn threads_and_segments_do_not_keep_a_holder_from_signing_the_end() {
    let (_guard, dir) = new_dir();
    let holder = Here::new(1);
    let mut options = held(holder.clone());
    options.log.segment_bytes = 4096;
    let ledger = Ledger::open(&dir, &options).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for n in 0..20 {
                    ledger
                        .commit(vec![Draft::new(Kind::Observed).with("n", n)])
                        .unwrap();
                }
            });
        }
    });
    ledger.close().unwrap();
    check_signed(&dir);
    let asked = holder.signed.load(Ordering::SeqCst);
    assert!(asked < 10, "asked {asked} times");
}

/// Signs for whoever connects, until the test ends.
fn serve(path: &Path, signer: Signer) {
    let listener = UnixListener::bind(path).unwrap();
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let mut socket = socket.unwrap();
            let mut text = String::new();
            socket.read_to_string(&mut text).unwrap();
            let answer = data_encoding::BASE64.encode(&signer.signature(&text));
            socket.write_all(answer.as_bytes()).unwrap();
            socket.shutdown(Shutdown::Both).ok();
        }
    });
}

const SHORT: Duration = Duration::from_millis(300);

#[test]
fn a_socket_signs_and_one_that_is_gone_silent_or_wrong_is_an_error_within_its_time() {
    let guard = tempfile::tempdir().unwrap();
    let path = guard.path().join("good");
    serve(&path, signer(1));
    let dir = guard.path().join("ledger");
    let holder = SocketHolder::new(signer(1).verifier().clone(), &path);
    write(&dir, &held(Arc::new(holder)), 3).unwrap();
    check_signed(&dir);

    let silent = guard.path().join("silent");
    let listener = UnixListener::bind(&silent).unwrap();
    let other = guard.path().join("other");
    serve(&other, signer(2));
    for (path, error) in [
        (silent, SignError::Late(SHORT)),
        (other, SignError::Signature),
    ] {
        let holder = SocketHolder::new(signer(1).verifier().clone(), path);
        assert_eq!(holder.sign("text\n", SHORT), Err(error));
    }
    drop(listener);
    let gone = SocketHolder::new(signer(1).verifier().clone(), guard.path().join("gone"));
    assert!(matches!(
        gone.sign("text\n", SHORT),
        Err(SignError::Failed(_))
    ));
}

fn script(path: &Path, text: &str) {
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o700)
        .open(path)
        .unwrap();
    file.write_all(format!("#!/bin/sh\n{text}\n").as_bytes())
        .unwrap();
}

fn fifo(path: &Path) {
    let made = std::process::Command::new("mkfifo").arg(path).status();
    assert!(made.unwrap().success());
}

#[test]
fn a_program_signs_what_it_reads() {
    let guard = tempfile::tempdir().unwrap();
    let path = |name: &str| guard.path().join(name);
    // The program hands on what it reads, and what it is told: this test is the card in the reader.
    fifo(&path("ask"));
    fifo(&path("answer"));
    let dir = guard.path().display();
    script(
        &path("sign"),
        &format!("test \"$1\" = --slot || exit 1\ncat > {dir}/ask\ncat {dir}/answer"),
    );
    let (ask, answer) = (path("ask"), path("answer"));
    std::thread::spawn(move || {
        loop {
            let text = fs::read_to_string(&ask).unwrap();
            fs::write(&answer, signer(1).signature(&text)).unwrap();
        }
    });
    let holder = CommandHolder::new(
        signer(1).verifier().clone(),
        path("sign"),
        ["--slot".to_owned()],
    );
    let dir = path("ledger");
    write(&dir, &held(Arc::new(holder)), 3).unwrap();
    check_signed(&dir);
}

#[test]
fn a_program_that_hangs_fails_or_answers_wrongly_is_an_error_within_its_time() {
    let guard = tempfile::tempdir().unwrap();
    let replay = data_encoding::BASE64.encode(&signer(1).signature("older text\n"));
    for (name, text, late) in [
        ("hangs", "exec sleep 100".to_owned(), true),
        (
            "reads-and-hangs",
            "cat > /dev/null; exec sleep 100".to_owned(),
            true,
        ),
        (
            "closes-and-hangs",
            "exec 1>&-; exec sleep 100".to_owned(),
            true,
        ),
        ("leaves-a-child", "sleep 5 & exit 0".to_owned(), true),
        ("fails", "exit 3".to_owned(), false),
        ("says-nothing", "exit 0".to_owned(), false),
        ("says-too-much", "yes | head -c 100000".to_owned(), false),
        ("replays", format!("echo {replay}"), false),
    ] {
        let path = guard.path().join(name);
        script(&path, &text);
        let holder = CommandHolder::new(signer(1).verifier().clone(), &path, []);
        let error = holder.sign("text\n", SHORT).unwrap_err();
        assert_eq!(error == SignError::Late(SHORT), late, "{name}: {error}");
    }
    let missing = CommandHolder::new(signer(1).verifier().clone(), guard.path().join("none"), []);
    assert!(matches!(
        missing.sign("text\n", SHORT),
        Err(SignError::Failed(_))
    ));
}

const POLICY: &str = r#"version: 1
name: held
ledger: {path: ../ledger}
tools:
  sh:
    program: sh
    actions:
      run: {args: {script: {type: text, option: "-c", required: true, lines: true, join: space}}}
rules:
  - {id: run, allow: sh.run, limits: {timeout: 300ms, grace: 100ms}}
"#;

#[test]
fn the_file_signer_names_who_signs_and_a_dead_one_keeps_neither_run_nor_kill_nor_record() {
    let place = program::Place::with_policy(POLICY);
    let run = |script: &str| place.lictor(["run", "--", "sh", "-c", script]).end();
    let dir = place.ledger();
    fs::create_dir(&dir).unwrap();
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).unwrap();
    let socket = place.root().join("signer.socket");
    let listed = format!(
        "# the card\n{} socket {}\n",
        signer(1).verifier(),
        socket.display()
    );
    fs::write(dir.join("signer"), &listed).unwrap();

    // Nobody is there yet.
    assert_eq!(run("exit 3").code, Some(3));
    assert_eq!(run("sleep 100").code, Some(124));
    let before = report(&dir);
    assert_eq!(before.verdict, Verdict::Unsigned);
    assert_eq!(
        (before.open_runs, before.unsigned_tail),
        (0, before.entries)
    );
    assert!(!key_file(&dir).contains("PRIVATE"));

    serve(&socket, signer(1));
    fs::remove_file(dir.join("unanswered")).unwrap();
    assert_eq!(run("true").code, Some(0));
    check_signed(&dir);

    // It names programs that are started: nobody else may write it.
    let file = dir.join("signer");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
    assert_eq!(run("true").code, Some(126));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&file, "nobody\n").unwrap();
    let refused = run("true");
    assert_eq!(refused.code, Some(126));
    assert!(refused.stderr.contains("line 1"), "{refused:?}");
    fs::write(&file, listed).unwrap();
    let anchor = place
        .lictor(["--ledger", dir.to_str().unwrap(), "ledger", "anchor"])
        .end();
    assert!(anchor.stdout.starts_with(NAME), "{anchor:?}");
    check_signed(&dir);
}

#[test]
fn a_script_around_openssl_signs() {
    let version = std::process::Command::new("openssl")
        .arg("version")
        .output();
    let version = version.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    if !version
        .as_ref()
        .is_ok_and(|text| text.starts_with("OpenSSL 3"))
    {
        return need::lacks("openssl", format!("no version 3: {version:?}"));
    }
    let place = program::Place::with_policy(POLICY);
    let dir = place.ledger();
    fs::create_dir(&dir).unwrap();
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).unwrap();
    let key = place.root().join("key.pem");
    let openssl = |args: &str| {
        let script = format!("openssl {args}");
        let output = std::process::Command::new("sh")
            .args(["-c", &script])
            .output();
        let output = output.unwrap();
        assert!(output.status.success(), "{output:?}");
        output.stdout
    };
    let pem = key.display();
    openssl(&format!("genpkey -algorithm ed25519 -out {pem}"));
    let public = openssl(&format!("pkey -in {pem} -pubout -outform DER"));
    let sign = place.root().join("sign");
    let text = format!(
        "set -e\nf=$(mktemp)\ntrap 'rm -f \"$f\"' EXIT\ncat > \"$f\"\nopenssl pkeyutl -sign -rawin -inkey {pem} -in \"$f\""
    );
    script(&sign, &text);
    let public = data_encoding::BASE64.encode(&public);
    let line = format!("{NAME}+{public} command {}\n", sign.display());
    fs::write(dir.join("signer"), line).unwrap();
    let answer = place.lictor(["run", "--", "sh", "-c", "true"]).end();
    assert_eq!(answer.code, Some(0), "{answer:?}");
    check_signed(&dir);
}
