//! Programs that are not ours check the record: Go's `sumdb/note` and `sumdb/tlog`, `tlog-scales` from PyPI,
//! `sed` and `sha256sum`, `jq`, and the schema of OCSF.
//!
//! What has to be installed is named by the environment (`LICTOR_TEST_GO`, `LICTOR_TEST_PYTHON`,
//! `LICTOR_TEST_JQ`; `test.sh` does it), and without it the tests say that they did not run.

use super::reading::segments;
use crate::support::need;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use lictor::log::read::{Filter, show};
use lictor::log::{Draft, Kind, RunId, note, proof};
use lictor::record::ocsf::Converter;
use lictor::record::{Ledger, Options};
use serde_json::{Value, json};

fn checker(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/ledger/third_party")
        .join(name)
}

/// A ledger that grows to exact sizes.
struct Growing {
    dir: tempfile::TempDir,
    size: u64,
}

impl Growing {
    fn new() -> Growing {
        Growing {
            dir: tempfile::tempdir().unwrap(),
            size: 0,
        }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Adds entries until the checkpoint covers `size`, which is two more than it was or larger.
    fn to(&mut self, size: u64) {
        // The first line of the ledger counts, and so does the checkpoint at the end.
        let own = size - self.size - 1 - u64::from(self.size == 0);
        write(self.path(), &Options::default(), own);
        self.size = head(self.path()).size;
        assert_eq!(self.size, size);
    }
}

fn write(dir: &Path, options: &Options, entries: u64) {
    let ledger = Ledger::open(dir, options).unwrap();
    let drafts: Vec<Draft> = (0..entries)
        .map(|n| {
            Draft::new(Kind::Observed)
                .with("n", n)
                .with("text", "a \"quoted\" line")
        })
        .collect();
    if !drafts.is_empty() {
        ledger.commit(drafts).unwrap();
    }
    ledger.close().unwrap();
}

fn head(dir: &Path) -> note::Checkpoint {
    note::peek(&proof::checkpoint(dir).unwrap()).unwrap()
}

fn key(dir: &Path) -> String {
    proof::keys(dir).unwrap().last().unwrap().to_string()
}

/// The checker in Go, built once.
fn go() -> Option<&'static Path> {
    static BUILT: OnceLock<Option<PathBuf>> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        let go = need::named("go")?;
        let to = Path::new(env!("CARGO_TARGET_TMPDIR")).join("check_tiles");
        // Debian's packages of Go's own libraries: nothing is fetched.
        let built = Command::new(go)
            .env("GOPATH", "/usr/share/gocode")
            .env("GO111MODULE", "off")
            .arg("build")
            .arg("-o")
            .arg(&to)
            .arg(checker("check_tiles.go"))
            .output()
            .unwrap();
        assert!(built.status.success(), "{built:?}");
        Some(to)
    });
    built.as_deref()
}

fn check<A: AsRef<OsStr>>(program: &Path, key: &str, export: &Path, more: &[A]) -> Output {
    let mut command = Command::new(program);
    command.arg(key).arg(export).args(more);
    command.output().unwrap()
}

#[track_caller]
fn accepts(output: &Output, size: u64) {
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(said.trim(), size.to_string(), "{output:?}");
}

#[test]
fn go_verifies_exports_around_the_edges_of_tiles_older_checkpoints_and_proofs() {
    let Some(go) = go() else { return };
    for sizes in [&[255, 257, 65_535, 65_537][..], &[3, 256, 65_536]] {
        let mut ledger = Growing::new();
        let dir = ledger.dir.path().to_owned();
        let out = tempfile::tempdir().unwrap();
        let mut more: Vec<OsString> = Vec::new();
        for size in sizes {
            ledger.to(*size);
            // Into the same directory each time: what earlier clients have read stays true.
            assert_eq!(proof::export(&dir, out.path()).unwrap(), *size);
            for index in [0, size / 2, size - 1] {
                let files = [
                    format!("proof-{size}-{index}"),
                    format!("entry-{size}-{index}"),
                ];
                let [proof, entry] = files.map(|name| out.path().join(name));
                fs::write(&proof, proof::prove(&dir, index).unwrap()).unwrap();
                fs::write(&entry, proof::entry(&dir, index).unwrap()).unwrap();
                more.extend(["-proof".into(), proof.into(), entry.into()]);
            }
            accepts(&check(go, &key(&dir), out.path(), &more), *size);
            let older = out.path().join(format!("checkpoint-{size}"));
            fs::copy(out.path().join("checkpoint"), &older).unwrap();
            more.extend(["-older".into(), older.into()]);
        }
    }
}

fn files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// A byte of each file in turn; in small files every few bytes.
fn is_refused_when_a_byte_is_changed(refuses: &dyn Fn(&Path) -> bool) {
    let mut ledger = Growing::new();
    ledger.to(259);
    let out = tempfile::tempdir().unwrap();
    proof::export(ledger.path(), out.path()).unwrap();
    assert!(!refuses(out.path()), "the export itself is accepted");
    let mut all = Vec::new();
    files(out.path(), &mut all);
    assert_eq!(
        all.len(),
        6,
        "two tiles of leaves, one above, two bundles, the checkpoint"
    );
    for file in all {
        let good = fs::read(&file).unwrap();
        let step = (good.len() / 12).max(1);
        for at in (0..good.len()).step_by(step).chain([good.len() - 1]) {
            let mut bad = good.clone();
            // Not the lowest bit: the last two of a signature in base64 mean nothing, and Go ignores them.
            bad[at] ^= 0x10;
            fs::write(&file, &bad).unwrap();
            assert!(refuses(out.path()), "byte {at} of {}", file.display());
        }
        fs::write(&file, &good[..good.len() - 1]).unwrap();
        assert!(refuses(out.path()), "{} cut by a byte", file.display());
        fs::remove_file(&file).unwrap();
        assert!(refuses(out.path()), "{} removed", file.display());
        fs::write(&file, &good).unwrap();
    }
    assert!(!refuses(out.path()), "and is accepted again");
}

#[test]
fn go_refuses_an_export_of_which_one_byte_is_changed() {
    let Some(go) = go() else { return };
    // Of the key that the checkpoint names, as an auditor has it from elsewhere.
    is_refused_when_a_byte_is_changed(&|export| {
        static KEY: OnceLock<String> = OnceLock::new();
        let key = KEY.get_or_init(|| first_key(export));
        !check::<&str>(go, key, export, &[]).status.success()
    });
}

/// The key in the first entry of an export that nobody has touched yet.
fn first_key(export: &Path) -> String {
    let bundle = fs::read(export.join("tile/entries/000")).unwrap();
    let length = usize::from(u16::from_be_bytes([bundle[0], bundle[1]]));
    let line: Value = serde_json::from_slice(&bundle[2..2 + length]).unwrap();
    line["key"].as_str().unwrap().to_owned()
}

#[test]
fn go_refuses_the_key_the_history_and_the_entry_of_another_ledger() {
    let Some(go) = go() else { return };
    let (mut one, mut two) = (Growing::new(), Growing::new());
    one.to(40);
    two.to(30);
    let out = tempfile::tempdir().unwrap();
    proof::export(one.path(), out.path()).unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = out.path().join(name);
        fs::write(&path, bytes).unwrap();
        path.into_os_string()
    };
    let key = key(one.path());
    let other = file("other", &proof::checkpoint(two.path()).unwrap());
    let proof = file("proof", proof::prove(one.path(), 7).unwrap().as_bytes());
    let entry = file("entry", &proof::entry(one.path(), 7).unwrap());
    let wrong = file("wrong", &proof::entry(one.path(), 8).unwrap());
    accepts(
        &check(
            go,
            &key,
            out.path(),
            &["-proof".into(), proof.clone(), entry],
        ),
        40,
    );
    for (key, more) in [
        (&self::key(two.path()), vec![]),
        (&key, vec!["-older".into(), other]),
        (&key, vec!["-proof".into(), proof, wrong]),
    ] {
        let refused = check(go, key, out.path(), &more);
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    }
}

#[test]
fn a_verifier_from_pypi_accepts_the_export_makes_the_same_proofs_and_refuses_changes() {
    let Some(python) = need::named("python") else {
        return;
    };
    let script = checker("check_tiles.py");
    let run = |key: &str, export: &Path, indexes: &[&str]| {
        let mut command = Command::new(&python);
        command.arg(&script).arg(key).arg(export).args(indexes);
        command.output().unwrap()
    };
    for size in [3, 255, 256, 257, 600] {
        let mut ledger = Growing::new();
        ledger.to(size);
        let out = tempfile::tempdir().unwrap();
        proof::export(ledger.path(), out.path()).unwrap();
        let output = run(&key(ledger.path()), out.path(), &["1"]);
        let ours = proof::prove(ledger.path(), 1).unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), ours, "{output:?}");
    }
    let mut ledger = Growing::new();
    ledger.to(100);
    let out = tempfile::tempdir().unwrap();
    proof::export(ledger.path(), out.path()).unwrap();
    let tile = out.path().join("tile/0/000.p/100");
    let mut bytes = fs::read(&tile).unwrap();
    bytes[77] ^= 1;
    fs::write(&tile, bytes).unwrap();
    let refused = run(&key(ledger.path()), out.path(), &[]);
    assert!(!refused.status.success(), "{refused:?}");
}

#[test]
fn sed_and_sha256sum_give_the_prev_of_every_line() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = Options::default();
    options.log.segment_bytes = 40_000;
    for _ in 0..3 {
        write(dir.path(), &options, 150);
    }
    let mut expected = "0".repeat(64);
    let paths = segments(dir.path());
    assert!(paths.len() > 1, "across the ends of files");
    for path in paths {
        let text = fs::read_to_string(&path).unwrap();
        for (at, line) in text.lines().enumerate().step_by(7) {
            let line: Value = serde_json::from_str(line).unwrap();
            if at == 0 {
                assert_eq!(line["prev"], expected.as_str());
                continue;
            }
            let command = format!("sed -n {at}p {} | sha256sum", path.display());
            let output = Command::new("sh").arg("-c").arg(&command).output().unwrap();
            let digest = String::from_utf8(output.stdout).unwrap();
            assert_eq!(line["prev"], digest.split(' ').next().unwrap(), "{command}");
        }
        let command = format!("tail -n 1 {} | sha256sum", path.display());
        let output = Command::new("sh").arg("-c").arg(&command).output().unwrap();
        expected = String::from_utf8(output.stdout).unwrap();
        expected.truncate(64);
    }
}

#[test]
fn jq_reads_every_segment_and_gives_back_each_line() {
    let Some(jq) = need::named("jq") else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    of_every_kind(dir.path());
    for path in segments(dir.path()) {
        let output = Command::new(&jq)
            .arg("-c")
            .arg(".")
            .arg(&path)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        let text = fs::read_to_string(&path).unwrap();
        // We escape what a terminal could act on, jq does not: the same values, line by line.
        let values = |text: &str| -> Vec<Value> {
            let value = |line: &str| serde_json::from_str(line).unwrap();
            text.lines().map(value).collect()
        };
        let given = String::from_utf8(output.stdout).unwrap();
        assert_eq!(values(&given), values(&text));
    }
}

/// A ledger with entries of every kind, as lictor writes them and as a hostile request would like them.
fn of_every_kind(dir: &Path) {
    let ledger = Ledger::open(dir, &Options::default()).unwrap();
    let run = |n: u8| format!("{n:032x}").parse::<RunId>().unwrap();
    let decision = |n: u8, effect: &str, reason: Value| {
        Draft::new(Kind::Decision)
            .of(run(n))
            .with("effect", effect)
            .with("reason", reason)
            .with(
                "policy",
                "5feceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b46729d73a27fb57e9",
            )
            .with("tool", "pytest")
            .with("action", "run")
            .with("actor", "ci")
            .with(
                "argv",
                json!(["pytest", "a b", "it's", "\u{1b}[31m", {"b64": "/w=="}]),
            )
            .with("rule", "tests")
            .with("message", "a message\nof two lines")
            .with(
                "findings",
                json!([{"arg": "target", "path": "a.py", "canonical": "a.py"}]),
            )
    };
    let start = |n: u8| {
        Draft::new(Kind::Start)
            .of(run(n))
            .with("argv", json!(["pytest", "a b"]))
            .with(
                "policy",
                "5feceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b46729d73a27fb57e9",
            )
            .with("program", "/usr/bin/pytest")
            .with(
                "workspace",
                json!({"path": "/srv/work", "device": [8, 1], "inode": "12"}),
            )
    };
    let outcome = |n: u8, status: &str, survivors: Value| {
        Draft::new(Kind::Outcome)
            .of(run(n))
            .with("status", status)
            .with("exit_code", 0)
            .with("signal", Value::Null)
            .with("duration_ms", 12)
            .with(
                "containment",
                json!({"level": "pid-namespace", "empty_proof": "init-reaped"}),
            )
            .with("stop", json!({"why": null}))
            .with("survivors", survivors)
    };
    let drafts = vec![
        Draft::new(Kind::Policy)
            .with(
                "policy",
                "5feceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b46729d73a27fb57e9",
            )
            .with("name", "example")
            .with("files", json!(["lictor.yaml"])),
        decision(1, "allow", Value::Null),
        start(1),
        Draft::new(Kind::Stop)
            .of(run(1))
            .with("why", "timeout")
            .with("signals", json!([{"signal": 15, "at_ms": 10}])),
        outcome(1, "TIMEOUT", json!([{"pid": 7}])),
        decision(2, "deny", "PATH_TRAVERSAL_DENIED".into()),
        decision(3, "ask", "APPROVAL_REQUIRED".into()),
        decision(4, "allow", Value::Null),
        start(4),
        outcome(4, "LOST", json!([])),
        Draft::new(Kind::Decision).with("effect", "deny"),
        Draft::new(Kind::Approval)
            .with("approval", "council")
            .with("by", "anna")
            .with("why", "CR-3A-01"),
        Draft::new(Kind::Grant)
            .with("grant", "g-1")
            .with("change", "made")
            .with("by", "anna")
            .with("uses", 3),
        Draft::new(Kind::Grant)
            .with("grant", "g-1")
            .with("change", "revoked")
            .with("why", "no longer"),
        Draft::new(Kind::Observed)
            .with("what", "a call ended")
            .with("actor", "ci")
            .with("tool", "Bash"),
        Draft::new(Kind::Observed)
            .of(run(5))
            .with("message", "\u{7f}\u{202e}")
            .with("reason", "DENIED_BY_RULE"),
        Draft::new(Kind::Gap).with("lost", json!(["{}"])),
    ];
    ledger.commit(drafts).unwrap();
    ledger.log().anchor("a mail").unwrap();
    ledger.log().rotate_key().unwrap();
    ledger.commit(vec![Draft::new(Kind::Observed)]).unwrap();
    ledger.close().unwrap();
}

fn events(dir: &Path) -> Vec<Value> {
    let mut converter = Converter::default();
    let entries = show(dir, Filter::default()).unwrap().unwrap();
    entries
        .map(|shown| converter.event(&shown.unwrap().entry.unwrap()))
        .collect()
}

#[test]
fn the_schema_of_ocsf_accepts_an_event_of_every_kind_of_entry() {
    let Some(python) = need::named("python") else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    of_every_kind(dir.path());
    let events = events(dir.path());
    let validate = |events: &[Value], versions: &[&str]| {
        let mut child = Command::new(&python)
            .arg(checker("check_ocsf.py"))
            .args(versions)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        let lines: String = events.iter().map(|event| format!("{event}\n")).collect();
        // It stops reading at the first event that is wrong.
        let _ = input.write_all(lines.as_bytes());
        drop(input);
        child.wait_with_output().unwrap()
    };
    for versions in [&[][..], &["1.8.0"]] {
        let output = validate(&events, versions);
        assert!(output.status.success(), "{output:?}");
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(said.trim(), events.len().to_string());
    }
    for (name, wrong) in [
        ("time", json!("now")),
        ("severity_id", json!(77)),
        ("new", json!(1)),
    ] {
        let mut event = events[1].clone();
        event[name] = wrong;
        assert!(!validate(&[event], &[]).status.success(), "{name}");
    }
}

#[test]
fn every_event_has_what_its_class_requires() {
    let dir = tempfile::tempdir().unwrap();
    of_every_kind(dir.path());
    let all = events(dir.path());
    let kinds: std::collections::BTreeSet<_> = all
        .iter()
        .map(|event| event["metadata"]["event_code"].as_str().unwrap())
        .collect();
    assert_eq!(kinds.len(), Kind::ALL.len(), "{kinds:?}");
    for event in &all {
        let class = event["class_uid"].as_u64().unwrap();
        let required: &[&str] = match class {
            6003 => &["actor", "api", "src_endpoint"],
            1007 => &["actor", "device", "process"],
            3004 => &["entity"],
            1008 => &["log_name"],
            other => panic!("class {other}"),
        };
        let base = [
            "activity_id",
            "category_uid",
            "class_uid",
            "metadata",
            "severity_id",
            "time",
            "type_uid",
        ];
        for name in base.iter().chain(required) {
            assert!(!event[*name].is_null(), "{name} of {event}");
        }
        let raw: Value = serde_json::from_str(event["raw_data"].as_str().unwrap()).unwrap();
        assert_eq!(event["metadata"]["sequence"], raw["seq"]);
        let time = raw["ts"]
            .as_str()
            .unwrap()
            .parse::<jiff::Timestamp>()
            .unwrap();
        assert_eq!(event["time"], time.as_millisecond());
    }
    fn of<'a>(all: &'a [Value], code: &str) -> Vec<&'a Value> {
        let is_of = |event: &&Value| event["metadata"]["event_code"] == code;
        all.iter().filter(is_of).collect()
    }
    let actions: Vec<_> = of(&all, "decision")
        .iter()
        .map(|event| &event["action"])
        .collect();
    assert_eq!(actions, ["Allowed", "Denied", "Ask", "Allowed", "Denied"]);
    // What the decision said is known at the end of its run.
    let end = of(&all, "outcome")[0];
    assert_eq!(end["process"]["cmd_line"], "pytest 'a b'");
    assert_eq!(end["actor"]["user"]["name"], "ci");
    assert_eq!(
        (&end["status"], &end["severity"]),
        (&json!("Failure"), &json!("High"))
    );
    assert_eq!(of(&all, "gap")[0]["severity"], "High");
    let starts: Vec<_> = of(&all, "segment")
        .iter()
        .map(|event| &event["activity_name"])
        .collect();
    assert_eq!(starts, ["Start", "Rotate"]);
}

#[test]
fn an_event_names_the_leaf_of_its_entry() {
    let dir = tempfile::tempdir().unwrap();
    of_every_kind(dir.path());
    let lines: Vec<u8> = segments(dir.path())
        .iter()
        .flat_map(|path| fs::read(path).unwrap())
        .collect();
    let lines: Vec<&[u8]> = lines.split_inclusive(|byte| *byte == b'\n').collect();
    for (event, line) in events(dir.path()).iter().zip(&lines) {
        let raw = format!("{}\n", event["raw_data"].as_str().unwrap());
        assert_eq!(raw.as_bytes(), *line);
        use sha2::Digest;
        let digest = data_encoding::HEXLOWER.encode(&sha2::Sha256::digest(line));
        assert_eq!(event["unmapped"]["line_sha256"], digest);
    }
}

#[test]
fn the_parser_of_prometheus_reads_the_counters() {
    let Some(python) = need::named("python") else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    of_every_kind(dir.path());
    let mut stats = lictor::record::stats::Stats::default();
    for shown in show(dir.path(), Filter::default()).unwrap().unwrap() {
        stats.add(&shown.unwrap().entry.unwrap());
    }
    let script = "import sys\n\
        from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse\n\
        print(sorted(int(s.value) for f in parse(sys.argv[1]) for s in f.samples if f.name == 'lictor_decisions'))";
    let output = Command::new(&python)
        .args(["-c", script, &stats.openmetrics()])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(said.trim(), "[1, 2, 2]", "{output:?}");
}
