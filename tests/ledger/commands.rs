//! `lictor ledger` as a person or a job meets it: what each command prints, how it ends, and what it says to
//! somebody who named the wrong place.

use crate::support::need;
use std::io::{BufRead, BufReader, Lines};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Stdio};

use crate::support::program::{Answer, Place};
use lictor::log::{Draft, Kind};
use lictor::record::{Ledger, Options};
use serde_json::{Value as Json, json};

const POLICY: &str = "version: 1
name: files
tools:
  files:
    actions:
      read: {args: {path: {type: path, required: true}}}
scopes:
  docs: [\"docs/**\"]
rules:
  - {id: docs, allow: files.read, within: docs}
";

/// A place with a ledger of four decisions: two allowed, two denied, by two actors.
fn place() -> Place {
    let place = Place::with_policy(POLICY);
    for (actor, path) in [
        ("anna", "docs/a.md"),
        ("anna", "../x"),
        ("ben", "docs/b.md"),
        ("ben", "other/c.md"),
    ] {
        check(&place, actor, path);
    }
    place
}

fn check(place: &Place, actor: &str, path: &str) {
    let argument = format!("path={path}");
    let words = [
        "check", "--tool", "files", "--action", "read", "--arg", &argument,
    ];
    let flags = [
        "--actor",
        actor,
        "--ledger",
        place.ledger().to_str().unwrap(),
    ]
    .map(str::to_owned);
    let words = words.map(str::to_owned);
    let answer = place.lictor(words.iter().chain(&flags)).end();
    assert!(matches!(answer.code, Some(0 | 1)), "{answer:?}");
}

/// `lictor ledger ARGS` on the place's ledger.
fn call(place: &Place, args: &[&str]) -> Answer {
    on(place, &place.ledger(), args)
}

fn on(place: &Place, directory: &Path, args: &[&str]) -> Answer {
    let flags = [Path::new("--ledger"), directory, Path::new("ledger")];
    let args = args.iter().map(Path::new);
    place.lictor(flags.into_iter().chain(args)).end()
}

fn seqs(answer: &Answer) -> Vec<u64> {
    let seq = |line: &Json| line["seq"].as_u64().unwrap();
    answer.json_lines().iter().map(seq).collect()
}

fn types(answer: &Answer) -> Vec<String> {
    let kind = |line: &Json| line["type"].as_str().unwrap().to_owned();
    answer.json_lines().iter().map(kind).collect()
}

// show

#[test]
fn entries_are_chosen_by_run_actor_reason_and_time() {
    let place = place();
    let all = call(&place, &["show", "--json"]).ends_with_code(0);
    let lines = all.json_lines();
    let decisions: Vec<&Json> = lines
        .iter()
        .filter(|line| line["type"] == "decision")
        .collect();
    assert_eq!(decisions.len(), 4);
    let run = decisions[1]["run"].as_str().unwrap();
    let at = decisions[2]["ts"].as_str().unwrap();
    #[track_caller]
    fn chosen(place: &Place, flags: &[&str], expected: &[&Json]) {
        let flags = [&["show", "--json"], flags].concat();
        let answer = call(place, &flags).ends_with_code(0);
        let found = answer.json_lines();
        let found: Vec<&Json> = found
            .iter()
            .filter(|line| line["type"] == "decision")
            .collect();
        assert_eq!(found, expected, "{flags:?}");
    }
    chosen(&place, &["--run", run], &decisions[1..2]);
    chosen(&place, &["--actor", "ben"], &decisions[2..]);
    chosen(
        &place,
        &["--reason", "PATH_TRAVERSAL_DENIED"],
        &decisions[1..2],
    );
    chosen(&place, &["--from", at], &decisions[2..]);
    chosen(&place, &["--to", at], &decisions[..3]);
    chosen(&place, &["--from", "1h"], &decisions);
    chosen(
        &place,
        &["--actor", "ben", "--reason", "PATH_TRAVERSAL_DENIED"],
        &[],
    );
    let human = call(&place, &["show", "--actor", "ben"]).ends_with_code(0);
    assert_eq!(human.stdout.lines().count(), 2, "{human:?}");
    assert!(
        human
            .stdout
            .contains("decision   effect=allow actor=ben tool=files"),
        "{human:?}"
    );
}

#[test]
fn what_is_no_run_reason_or_time_is_told() {
    let place = place();
    for (flags, says) in [
        (&["--run", "x"][..], "32 lower-case hex digits"),
        (&["--reason", "NO_SUCH_CODE"], "NO_SUCH_CODE"),
        (&["--from", "yesterday"], "2027-01-31"),
        (
            &["--from", "2027-01-01", "--to", "2026-01-01"],
            "later than",
        ),
    ] {
        let answer = call(&place, &[&["show"], flags].concat()).ends_with_code(2);
        assert!(answer.stderr.contains(says), "{says}: {answer:?}");
        assert_eq!(answer.stdout, "");
    }
}

#[test]
fn a_line_that_cannot_be_read_is_shown_in_its_place_and_ends_with_1() {
    let place = place();
    let segment = place.ledger().join("segments/000000000000.jsonl");
    let text = std::fs::read_to_string(&segment).unwrap();
    std::fs::write(&segment, text.replacen("\"effect\"", "\"eff\u{1b}ct\"", 1)).unwrap();
    let human = call(&place, &["show"]).ends_with_code(1);
    assert!(human.stdout.contains("line 3: cannot be read"), "{human:?}");
    assert!(!human.stdout.contains('\u{1b}'), "{human:?}");
    let json = call(&place, &["show", "--json"]).ends_with_code(1);
    assert_eq!(json.json_lines()[2]["line"], 3);
    assert_eq!(call(&place, &["stats"]).code, Some(1));
    let events = call(&place, &["export", "--format", "ocsf"]).ends_with_code(1);
    assert_eq!(
        events.json_lines().len(),
        json.json_lines().len() - 1,
        "events only"
    );
    assert!(
        events.stderr.contains("1 lines cannot be read"),
        "{events:?}"
    );
}

// Wrong places.

#[test]
fn whoever_names_a_wrong_directory_is_told_what_is_there_and_where_the_ledger_is() {
    let place = place();
    let export = place.root().join("mirror");
    call(&place, &["export", export.to_str().unwrap()]).ends_with_code(0);
    let file = place.write("file", "");
    let commands: [&[&str]; 9] = [
        &["show"],
        &["tail"],
        &["tail", "-f"],
        &["stats"],
        &["anchor"],
        &["prove", "0"],
        &["export", "--format", "jsonl", "never-made"],
        &["reindex"],
        &["key", "show"],
    ];
    for (directory, says) in [
        (place.root().join("nowhere"), "the directory does not exist"),
        (file, "that is no directory"),
        (place.work(), "no `segments` in it"),
        (place.root().to_owned(), "did you mean `"),
        (
            place.ledger().join("segments"),
            "it is part of the ledger `",
        ),
        (export, "it holds an export"),
    ] {
        for command in commands {
            let answer = on(&place, &directory, command).ends_with_code(2);
            assert!(
                answer.stderr.contains(says),
                "{says} {command:?}: {answer:?}"
            );
            assert_eq!(answer.stdout, "");
        }
        let verdict = on(&place, &directory, &["verify"]).ends_with_code(1);
        assert!(verdict.stdout.starts_with("MISSING"), "{verdict:?}");
        assert!(verdict.stdout.contains(says), "{verdict:?}");
        let json = on(&place, &directory, &["verify", "--json"]).ends_with_code(1);
        assert_eq!(json.json()["verdict"], "MISSING");
    }
    assert!(
        !place.root().join("nowhere").exists(),
        "looking makes nothing"
    );
    assert!(!place.work().join("never-made").exists());
}

#[test]
fn the_name_of_a_directory_is_printed_escaped() {
    let place = place();
    let bad = std::ffi::OsStr::from_bytes(b"a\x1b[31m\xffb");
    for command in [&["show"][..], &["verify"], &["key", "show"], &["anchor"]] {
        let answer = on(&place, Path::new(bad), command);
        assert!(
            !answer.stderr.contains('\u{1b}') && !answer.stdout.contains('\u{1b}'),
            "{answer:?}"
        );
    }
}

// tail

struct Following {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Following {
    fn start(place: &Place, args: &[&str]) -> Following {
        let directory = place.ledger();
        let flags = [
            "--ledger",
            directory.to_str().unwrap(),
            "ledger",
            "tail",
            "-f",
        ];
        let mut command = place.lictor(flags.iter().chain(args)).command;
        let mut child = command.stdin(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Following { child, lines }
    }

    fn next(&mut self) -> Json {
        serde_json::from_str(&self.lines.next().unwrap().unwrap()).unwrap()
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        let sent = std::process::Command::new("kill")
            .args([signal, &pid])
            .status();
        assert!(sent.unwrap().success());
    }

    fn end(mut self) -> Answer {
        drop(self.lines);
        let mut stderr = String::new();
        std::io::Read::read_to_string(&mut self.child.stderr.take().unwrap(), &mut stderr).unwrap();
        let code = self.child.wait().unwrap().code();
        Answer {
            code,
            stdout: String::new(),
            stderr,
        }
    }
}

#[test]
fn the_last_entries_are_printed_as_many_as_are_wanted() {
    let place = place();
    let all = seqs(&call(&place, &["show", "--json"]));
    for lines in [0, 1, 3, 10, 1000] {
        let answer = call(&place, &["tail", "--json", "-n", &lines.to_string()]).ends_with_code(0);
        assert_eq!(
            seqs(&answer),
            all[all.len().saturating_sub(lines)..],
            "{lines}"
        );
    }
    let default = call(&place, &["tail"]).ends_with_code(0);
    assert_eq!(default.stdout.lines().count(), all.len().min(10));
}

#[test]
fn a_tail_goes_back_over_as_many_files_as_it_needs() {
    let place = Place::with_policy(POLICY);
    let mut options = Options::default();
    options.log.segment_bytes = 2_000;
    for n in 0..30 {
        let ledger = Ledger::open(&place.ledger(), &options).unwrap();
        ledger
            .commit(vec![Draft::new(Kind::Observed).with("n", n)])
            .unwrap();
        ledger.close().unwrap();
    }
    let all = seqs(&call(&place, &["show", "--json"]));
    for lines in [1, 7, 40, 1000] {
        let answer = call(&place, &["tail", "--json", "-n", &lines.to_string()]).ends_with_code(0);
        assert_eq!(
            seqs(&answer),
            all[all.len().saturating_sub(lines)..],
            "{lines}"
        );
    }
}

#[test]
fn following_goes_on_in_the_next_file_past_a_torn_end_and_ends_well_when_interrupted() {
    use std::io::Write;
    for signal in ["-INT", "-TERM"] {
        let place = place();
        let mut tail = Following::start(&place, &["--json", "-n", "1"]);
        let mut expected = tail.next()["seq"].as_u64().unwrap();
        // What a crash leaves: half a line, and the next writer in a new file.
        let segments = place.ledger().join("segments");
        let torn = segments.join("000000000000.jsonl");
        let mut torn = std::fs::File::options().append(true).open(torn).unwrap();
        torn.write_all(b"{\"v\":1,\"seq\":").unwrap();
        check(&place, "carl", "docs/d.md");
        assert!(segments.join("000000000001.jsonl").exists());
        let mut kinds = Vec::new();
        while kinds.last() != Some(&json!("decision")) {
            let entry = tail.next();
            expected += 1;
            assert_eq!(entry["seq"], expected, "none is left out or printed twice");
            kinds.push(entry["type"].clone());
        }
        assert_eq!(kinds[0], "segment", "{kinds:?}");
        tail.signal(signal);
        let answer = tail.end();
        assert_eq!((answer.code, &*answer.stderr), (Some(0), ""), "{signal}");
    }
}

#[test]
fn following_ends_when_nobody_reads_although_nothing_comes() {
    let place = place();
    let mut tail = Following::start(&place, &["--json", "-n", "1"]);
    tail.next();
    let answer = tail.end();
    assert_eq!((answer.code, &*answer.stderr), (Some(0), ""));
}

#[test]
fn following_fails_when_the_ledger_goes_away_or_becomes_shorter() {
    type Damage = fn(&Path);
    let damages: [(Damage, &str); 2] = [
        (|ledger| std::fs::remove_dir_all(ledger).unwrap(), "gone"),
        (
            |ledger| {
                let segment = ledger.join("segments/000000000000.jsonl");
                let file = std::fs::File::options().write(true).open(segment);
                file.unwrap().set_len(400).unwrap();
            },
            "shorter",
        ),
    ];
    for (damage, says) in damages {
        let place = place();
        let mut tail = Following::start(&place, &["--json", "-n", "1"]);
        tail.next();
        damage(&place.ledger());
        assert!(tail.lines.next().is_none(), "it ends by itself");
        let answer = tail.end();
        assert_eq!(answer.code, Some(2), "{answer:?}");
        assert!(answer.stderr.contains(says), "{answer:?}");
    }
}

#[test]
fn events_come_while_following_with_what_the_decision_said() {
    let place = place();
    let mut tail = Following::start(&place, &["--format", "ocsf", "-n", "0", "--actor", "carl"]);
    check(&place, "anna", "docs/e.md");
    check(&place, "carl", "../e.md");
    let event = tail.next();
    assert_eq!(event["class_uid"], 6003);
    assert_eq!(event["action"], "Denied");
    assert_eq!(event["status_code"], "PATH_TRAVERSAL_DENIED");
    assert_eq!(event["actor"]["user"]["name"], "carl");
    assert_eq!(event["api"]["operation"], "files.read");
    assert_eq!(tail.end().code, Some(0));
}

// verify

#[test]
fn verification_goes_on_where_the_last_one_ended_and_says_so() {
    let place = place();
    let state = place.root().join("verified");
    let since = ["verify", "--since", state.to_str().unwrap()];
    let first = call(&place, &since).ends_with_code(0);
    assert!(
        first
            .stderr
            .contains("not there yet, so everything is verified"),
        "{first:?}"
    );
    check(&place, "anna", "docs/a.md");
    // There is one file, and it is read whole.
    let second = call(&place, &since).ends_with_code(0);
    assert_eq!(second.stderr, "");
    assert!(second.stdout.starts_with("SIGNED"), "{second:?}");
    let entries = call(&place, &["verify", "--json"]).json()["entries"].clone();
    assert_eq!(
        call(&place, &[&since[..], &["--json"]].concat()).json()["entries"],
        entries
    );
    // Cut below what was verified: the state stays as it was.
    let segment = place.ledger().join("segments/000000000000.jsonl");
    let before = std::fs::read(&state).unwrap();
    std::fs::File::options()
        .write(true)
        .open(segment)
        .unwrap()
        .set_len(400)
        .unwrap();
    let cut = call(&place, &since).ends_with_code(1);
    assert!(cut.stdout.starts_with("TAMPERED"), "{cut:?}");
    assert_eq!(std::fs::read(&state).unwrap(), before);
    std::fs::write(&state, "{}").unwrap();
    let answer = call(&place, &since).ends_with_code(2);
    assert!(answer.stderr.contains("not the state"), "{answer:?}");
}

#[test]
fn an_anchor_that_was_kept_elsewhere_finds_a_record_that_was_cut_or_written_anew() {
    let place = place();
    let anchor = place.root().join("anchor");
    let file = anchor.to_str().unwrap();
    let anchored = ["verify", "--anchor", file, "--require", "anchored"];
    let copy = place.root().join("before");
    copied(&place.ledger(), &copy);
    call(&place, &["anchor", "--out", file]).ends_with_code(0);
    let good = call(&place, &anchored).ends_with_code(0);
    assert!(good.stdout.starts_with("ANCHORED"), "{good:?}");
    // An older copy is whole in itself.
    on(&place, &copy, &["verify"]).ends_with_code(0);
    let cut = on(&place, &copy, &anchored).ends_with_code(1);
    assert!(cut.stdout.starts_with("ROLLED_BACK"), "{cut:?}");
    // With the key, another history is made out of it.
    let other = Ledger::open(&copy, &Options::default()).unwrap();
    for n in 0..5 {
        other
            .commit(vec![Draft::new(Kind::Observed).with("n", n)])
            .unwrap();
    }
    other.close().unwrap();
    on(&place, &copy, &["verify"]).ends_with_code(0);
    let split = on(&place, &copy, &anchored).ends_with_code(1);
    assert!(split.stdout.starts_with("SPLIT_VIEW"), "{split:?}");
}

fn copied(from: &Path, to: &Path) {
    let status = std::process::Command::new("cp")
        .arg("-a")
        .arg(from)
        .arg(to)
        .status();
    assert!(status.unwrap().success());
}

#[test]
fn what_is_required_is_the_least_that_ends_with_0() {
    let place = place();
    call(&place, &["verify", "--require", "signed"]).ends_with_code(0);
    let answer = call(&place, &["verify", "--require", "anchored"]).ends_with_code(1);
    assert!(answer.stdout.starts_with("SIGNED"), "{answer:?}");
    assert!(answer.stderr.contains("`--anchor`"), "{answer:?}");
    let nowhere = call(&place, &["verify", "--anchor", "nowhere"]).ends_with_code(2);
    assert!(nowhere.stderr.contains("nowhere"), "{nowhere:?}");
    let no_anchor = place.write("note", "hello\n");
    let answer = call(&place, &["verify", "--anchor", no_anchor.to_str().unwrap()]);
    assert!(answer.ends_with_code(2).stderr.contains("no checkpoint"));
    let mut options = Options::default();
    options.log.sign = false;
    let unsigned = place.root().join("unsigned");
    Ledger::open(&unsigned, &options).unwrap().close().unwrap();
    let answer = on(&place, &unsigned, &["verify"]).ends_with_code(0);
    assert!(answer.stdout.starts_with("UNSIGNED"), "{answer:?}");
    on(&place, &unsigned, &["verify", "--require", "signed"]).ends_with_code(1);
    let key = on(&place, &unsigned, &["key", "show"]).ends_with_code(2);
    assert!(key.stderr.contains("is not signed"), "{key:?}");
}

// anchor, prove, check-proof, export, reindex, key

#[test]
fn an_anchor_that_cannot_be_kept_is_not_recorded() {
    let place = place();
    let before = seqs(&call(&place, &["show", "--json"])).len();
    let answer = call(&place, &["anchor", "--out", "no/such/place"]).ends_with_code(2);
    assert!(answer.stderr.contains("no/such/place"), "{answer:?}");
    let after = call(&place, &["show", "--json"]);
    assert!(!types(&after).contains(&"anchor".to_owned()));
    assert_eq!(seqs(&after).len(), before);
    let json = call(&place, &["anchor", "--json"]).ends_with_code(0).json();
    assert_eq!(json["v"], 1);
    let note = json["checkpoint"].as_str().unwrap();
    assert!(note.starts_with(json["origin"].as_str().unwrap()));
    assert!(note.contains(&format!("\n{}\n", json["entries"])));
}

#[test]
fn a_proof_convinces_somebody_without_the_ledger_and_no_other_entry() {
    let place = place();
    let key = call(&place, &["key", "show"]).ends_with_code(0).stdout;
    let files = ["proof", "entry"].map(|name| place.root().join(name));
    let [proof, entry] = files.each_ref().map(|path| path.to_str().unwrap());
    call(&place, &["prove", "3", "--out", proof, "--entry", entry]).ends_with_code(0);
    let elsewhere = Place::new();
    let check = |entry: &str, key: &str| {
        let words = [
            "ledger",
            "check-proof",
            proof,
            entry,
            "--key",
            key,
            "--json",
        ];
        elsewhere.lictor(words).end()
    };
    let holds = check(entry, &key).ends_with_code(0).json();
    assert_eq!(
        (&holds["v"], &holds["holds"], &holds["index"]),
        (&json!(1), &json!(true), &json!(3))
    );
    let line = std::fs::read(entry).unwrap();
    let cut = elsewhere.write("cut", &line[..line.len() - 1]);
    let refused = check(cut.to_str().unwrap(), &key).ends_with_code(1).json();
    assert_eq!(refused["holds"], false);
    assert!(
        check(entry, "not a key")
            .ends_with_code(2)
            .stderr
            .contains("no verification key")
    );
    assert_eq!(call(&place, &["prove", "100000"]).code, Some(2));
    assert_eq!(call(&place, &["prove", "x"]).code, Some(2));
}

#[test]
fn an_export_never_replaces_what_would_not_stay_true() {
    let place = place();
    let mirror = place.root().join("mirror");
    let mirror = mirror.to_str().unwrap();
    let old = place.root().join("old");
    copied(&place.ledger(), &old);
    let first = call(&place, &["export", mirror, "--json"])
        .ends_with_code(0)
        .json();
    check(&place, "anna", "docs/z.md");
    let second = call(&place, &["export", mirror, "--json"])
        .ends_with_code(0)
        .json();
    assert!(second["entries"].as_u64() > first["entries"].as_u64());
    let note = std::fs::read(Path::new(mirror).join("checkpoint")).unwrap();
    let stranger = place.root().join("stranger");
    Ledger::open(&stranger, &Options::default())
        .unwrap()
        .close()
        .unwrap();
    for ledger in [&old, &stranger] {
        let answer = on(&place, ledger, &["export", mirror]).ends_with_code(2);
        assert!(
            answer.stderr.contains("export of another ledger"),
            "{answer:?}"
        );
        assert_eq!(
            std::fs::read(Path::new(mirror).join("checkpoint")).unwrap(),
            note
        );
    }
    // Longer than the export, and another history.
    let other = Ledger::open(&old, &Options::default()).unwrap();
    for n in 0..9 {
        other
            .commit(vec![Draft::new(Kind::Observed).with("n", n)])
            .unwrap();
    }
    other.close().unwrap();
    on(&place, &old, &["export", mirror]).ends_with_code(2);
    for (flags, says) in [
        (&["export"][..], "need a directory"),
        (
            &["export", mirror, "--reason", "DENIED_BY_RULE"],
            "the whole record",
        ),
        (&["export", "--format", "xml"], "tiles, jsonl, ocsf"),
    ] {
        let answer = call(&place, flags).ends_with_code(2);
        assert!(answer.stderr.contains(says), "{answer:?}");
    }
}

#[test]
fn lines_are_exported_as_they_are_to_a_file_for_its_owner_or_to_standard_output() {
    use std::os::unix::fs::PermissionsExt;
    let place = place();
    let segment =
        std::fs::read_to_string(place.ledger().join("segments/000000000000.jsonl")).unwrap();
    let printed = call(&place, &["export", "--format", "jsonl"]).ends_with_code(0);
    assert_eq!(printed.stdout, segment);
    let file = place.root().join("lines");
    call(
        &place,
        &["export", "--format", "jsonl", file.to_str().unwrap()],
    )
    .ends_with_code(0);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), segment);
    assert_eq!(
        std::fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let full = call(&place, &["export", "--format", "jsonl", "/dev/full"]).ends_with_code(2);
    assert!(full.stderr.contains("cannot be written"), "{full:?}");
}

#[test]
fn reindex_makes_the_same_files_again_and_leaves_a_changed_record_alone() {
    let place = place();
    call(&place, &["prove", "1"]).ends_with_code(0);
    let files = ["checkpoint", "state"];
    let read = || files.map(|name| std::fs::read(place.ledger().join(name)).unwrap());
    let before = read();
    for name in files {
        std::fs::remove_file(place.ledger().join(name)).unwrap();
    }
    call(&place, &["reindex"]).ends_with_code(0);
    assert_eq!(read(), before);
    let segment = place.ledger().join("segments/000000000000.jsonl");
    let text = std::fs::read_to_string(&segment).unwrap();
    std::fs::write(&segment, text.replacen("docs/a.md", "docs/x.md", 1)).unwrap();
    let answer = call(&place, &["reindex"]).ends_with_code(2);
    assert!(answer.stderr.contains("is left as it is"), "{answer:?}");
    assert_eq!(read(), before);
}

#[test]
fn a_key_is_shown_without_writing_and_changed_with_the_old_one_kept_for_old_proofs() {
    let place = place();
    let before = seqs(&call(&place, &["show", "--json"])).len();
    let old = call(&place, &["key", "show"]).ends_with_code(0).stdout;
    assert_eq!(
        seqs(&call(&place, &["show", "--json"])).len(),
        before,
        "showing records nothing"
    );
    let new = call(&place, &["key", "rotate"]).ends_with_code(0).stdout;
    assert_ne!(old, new);
    assert_eq!(call(&place, &["key", "show"]).stdout, new);
    assert_eq!(
        call(&place, &["key", "show", "--all"]).stdout,
        format!("{old}{new}")
    );
    let json = call(&place, &["key", "show", "--json"])
        .ends_with_code(0)
        .json();
    assert_eq!(
        (&json["v"], &json["keys"]),
        (&json!(1), &json!([old.trim(), new.trim()]))
    );
    call(&place, &["verify", "--require", "signed"]).ends_with_code(0);
    assert!(!old.contains("PRIVATE") && !new.contains("PRIVATE"));
}

#[test]
fn counts_come_for_people_programs_and_prometheus() {
    let place = place();
    let human = call(&place, &["stats"]).ends_with_code(0);
    assert!(human.stdout.contains("allow 2, deny 2"), "{human:?}");
    let json = call(&place, &["stats", "--format", "json"])
        .ends_with_code(0)
        .json();
    assert_eq!(
        (&json["v"], &json["decisions"]["deny"]),
        (&json!(1), &json!(2))
    );
    assert_eq!(call(&place, &["stats", "--json"]).json(), json);
    let metrics = call(&place, &["stats", "--format", "openmetrics"]).ends_with_code(0);
    assert!(
        metrics
            .stdout
            .contains("lictor_decisions_total{effect=\"deny\"} 2\n"),
        "{metrics:?}"
    );
    assert!(metrics.stdout.ends_with("# EOF\n"));
}

#[test]
fn every_command_of_the_ledger_has_help() {
    let place = Place::new();
    let commands: [&[&str]; 12] = [
        &["verify"],
        &["show"],
        &["tail"],
        &["stats"],
        &["anchor"],
        &["prove"],
        &["check-proof"],
        &["export"],
        &["reindex"],
        &["key"],
        &["key", "show"],
        &["key", "rotate"],
    ];
    for command in commands {
        let words = [&["ledger"], command, &["--help"]].concat();
        let answer = place.lictor(words).end().ends_with_code(0);
        assert!(answer.stdout.contains("Usage: lictor ledger"), "{answer:?}");
        assert_eq!(answer.stderr, "");
    }
}

// doctor

#[test]
fn doctor_looks_at_the_record_and_ends_with_0_whatever_it_finds() {
    let place = place();
    let directory = place.ledger();
    let ledger = ["--ledger", directory.to_str().unwrap()];
    let json = place
        .lictor([&ledger[..], &["doctor", "--json"]].concat())
        .end();
    let json = json.ends_with_code(0).json();
    assert_eq!(json["v"], 1);
    let found = &json["ledger"];
    assert_eq!(found["path"], directory.to_str().unwrap());
    assert_eq!(
        (&found["exists"], &found["error"]),
        (&json!(true), &Json::Null)
    );
    assert_eq!(
        (&found["key"]["mode"], &found["key"]["readable"]),
        (&json!(0o600), &json!(true))
    );
    assert!(found["filesystem"]["name"].is_string(), "{found}");
    assert!(
        !found["advice"].as_array().unwrap().is_empty(),
        "a key that can be read: {found}"
    );
    assert!(json["kernel"]["openat2"].is_boolean());
    let human = place
        .lictor([&ledger[..], &["doctor"]].concat())
        .end()
        .ends_with_code(0);
    for part in [
        "containment, strongest first",
        "openat2",
        "Landlock",
        "filesystem",
        "mode 0600",
    ] {
        assert!(human.stdout.contains(part), "{part}: {human:?}");
    }
    // Without a ledger, without a policy, and with a policy that cannot be used.
    let none = Place::with_policy(POLICY)
        .lictor(["doctor", "--json"])
        .end();
    assert_eq!(none.ends_with_code(0).json()["ledger"]["exists"], false);
    Place::new().lictor(["doctor"]).end().ends_with_code(0);
    let bad = Place::with_policy("version: 1\nalow: x\n")
        .lictor(["doctor", "--json"])
        .end();
    let bad = bad.ends_with_code(0).json();
    assert!(
        bad["ledger"]["error"]
            .as_str()
            .unwrap()
            .contains("not usable"),
        "{bad}"
    );
}

// docs/LEDGER.md

#[test]
fn the_commands_of_the_documentation_work_as_they_are_printed() {
    let text = std::fs::read_to_string("docs/LEDGER.md").unwrap();
    let blocks: Vec<&str> = text
        .split("```sh\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect();
    assert!(blocks.len() >= 7);
    let has_jq = std::process::Command::new("jq")
        .arg("--version")
        .output()
        .is_ok();
    let place = Place::with_policy(&format!("{POLICY}ledger: {{path: ../ledger}}\n"));
    for path in ["docs/a.md", "../x", "docs/b.md"] {
        check(&place, "anna", path);
    }
    std::fs::create_dir(place.root().join("kept")).unwrap();
    let programs = place.root().join("programs");
    std::fs::create_dir(&programs).unwrap();
    let program = place.lictor(["--version"]).command.get_program().to_owned();
    std::os::unix::fs::symlink(program, programs.join("lictor")).unwrap();
    let lines = blocks.iter().flat_map(|block| block.lines());
    let mut printed = Vec::new();
    for line in lines {
        if line.contains("jq") && !has_jq {
            need::lacks("jq", line);
            continue;
        }
        // Each line for itself, so that what fails is named; a variable is set before the line that needs it.
        let set = blocks
            .iter()
            .flat_map(|block| block.lines())
            .find(|line| line.starts_with("segments="));
        let script = if line.contains("$segments") {
            format!("{}\n{line}", set.unwrap())
        } else {
            line.to_owned()
        };
        let mut command = place.lictor([""]).command;
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin", programs.display());
        let environment: Vec<_> = command
            .get_envs()
            .map(|(name, value)| (name.to_owned(), value.unwrap().to_owned()))
            .collect();
        command = std::process::Command::new("bash");
        let output = command
            .args(["-euo", "pipefail", "-c", &script])
            .env_clear()
            .envs(environment)
            .env("PATH", path)
            .current_dir(place.work())
            .output()
            .unwrap();
        assert!(output.status.success(), "{line}: {output:?}");
        printed.push((line, String::from_utf8(output.stdout).unwrap()));
    }
    let of = |beginning: &str| {
        let found = printed.iter().find(|(line, _)| line.starts_with(beginning));
        found.map(|(_, printed)| printed.clone())
    };
    assert!(
        of("lictor ledger verify --anchor")
            .unwrap()
            .starts_with("ANCHORED")
    );
    if let Some(prev) = of("sed -n 4p") {
        assert!(of("sed -n 3p").unwrap().starts_with(prev.trim()));
    }
}

#[test]
fn lint_tells_who_can_read_the_key_of_the_ledger() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    let place = place();
    let key = place.ledger().join("key");
    let told = || {
        let ledger = place.ledger();
        let words = ["lint", "--json", "--ledger", ledger.to_str().unwrap()];
        let found = place.lictor(words).end().json();
        let found = found.as_array().unwrap().clone();
        let mut of_key = found.iter().filter(|found| found["code"] == "X314");
        of_key
            .next()
            .map(|found| found["message"].as_str().unwrap().to_owned())
    };
    let is_root = std::fs::metadata(&key).unwrap().uid() == 0;
    match told() {
        // Root can read every key, which says nothing about an agent.
        None => assert!(is_root),
        Some(message) => {
            assert!(
                !is_root && message.contains("can be read by the user who runs this"),
                "{message}"
            );
        }
    }
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o604)).unwrap();
    let message = told().unwrap();
    assert!(message.contains("can be read by everybody"), "{message}");
    std::fs::remove_file(&key).unwrap();
    assert_eq!(told(), None);
}
