//! What can be shown about a ledger elsewhere: proofs of single entries, the tree as tiles, checkpoints to
//! keep, a change of keys, and verification that goes on where it ended.

use super::reading::{in_segments_of, lines, report_with};
use std::fs;
use std::path::Path;

use lictor::log::merkle::{leaf_hash, node_hash};
use lictor::log::note;
use lictor::log::proof::{ProofError, check_proof, checkpoint, export, keys, prove};
use lictor::log::verify::{Grade, Resume, Verdict, VerifyOptions};
use lictor::log::{Draft, Kind};
use lictor::record::{Ledger, Options};

fn write(dir: &Path, entries: u64) {
    let ledger = Ledger::open(dir, &in_segments_of(40_000)).unwrap();
    let drafts = (0..entries)
        .map(|n| Draft::new(Kind::Observed).with("n", n))
        .collect();
    ledger.commit(drafts).unwrap();
    ledger.close().unwrap();
}

#[test]
fn a_proof_holds_for_its_entry_and_for_no_other_and_not_when_a_byte_of_it_is_changed() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), 300);
    let (lines, keys) = (lines(dir.path()), keys(dir.path()).unwrap());
    for index in [0, 1, 150, 255, 256, lines.len() - 1] {
        let proof = prove(dir.path(), u64::try_from(index).unwrap()).unwrap();
        let proven = check_proof(&proof, &lines[index], &keys).unwrap();
        assert_eq!(
            (proven.index, proven.size),
            (
                u64::try_from(index).unwrap(),
                u64::try_from(lines.len()).unwrap()
            )
        );
        let other = &lines[(index + 1) % lines.len()];
        assert!(matches!(
            check_proof(&proof, other, &keys),
            Err(ProofError::DoesNotHold)
        ));
    }
    let proof = prove(dir.path(), 42).unwrap();
    for at in 0..proof.len() {
        let mut bytes = proof.clone().into_bytes();
        bytes[at] ^= 1;
        let held =
            String::from_utf8(bytes).is_ok_and(|bad| check_proof(&bad, &lines[42], &keys).is_ok());
        assert!(!held, "byte {at}");
    }
    let beyond = prove(dir.path(), u64::try_from(lines.len()).unwrap());
    assert!(matches!(beyond, Err(ProofError::NotCovered { .. })));
    let stranger = tempfile::tempdir().unwrap();
    write(stranger.path(), 1);
    let strange = lictor::log::proof::keys(stranger.path()).unwrap();
    assert!(check_proof(&proof, &lines[42], &strange).is_err());
}

#[test]
fn a_proof_of_an_older_size_is_made_again_when_the_ledger_has_grown() {
    let dir = tempfile::tempdir().unwrap();
    for entries in [10, 300, 3] {
        write(dir.path(), entries);
        let proof = prove(dir.path(), 3).unwrap();
        let proven =
            check_proof(&proof, &lines(dir.path())[3], &keys(dir.path()).unwrap()).unwrap();
        assert_eq!(proven.size, u64::try_from(lines(dir.path()).len()).unwrap());
    }
}

#[test]
fn an_export_holds_every_entry_and_its_tiles_hash_to_the_signed_root() {
    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write(dir.path(), 600);
    let size = export(dir.path(), out.path()).unwrap();
    let note = fs::read(out.path().join("checkpoint")).unwrap();
    let (head, _) = note::open(&note, &keys(dir.path()).unwrap()).unwrap();
    assert_eq!(head.size, size);

    let mut entries = Vec::new();
    for (name, width) in [("000", 256), ("001", 256), ("002", size - 512)] {
        let partial = if width < 256 {
            format!("{name}.p/{width}")
        } else {
            name.to_owned()
        };
        let bundle = fs::read(out.path().join("tile/entries").join(&partial)).unwrap();
        let tile = fs::read(out.path().join("tile/0").join(&partial)).unwrap();
        assert_eq!(tile.len(), usize::try_from(width).unwrap() * 32);
        let mut rest = &bundle[..];
        for hash in tile.chunks(32) {
            let length = usize::from(u16::from_be_bytes([rest[0], rest[1]]));
            let entry = &rest[2..2 + length];
            assert_eq!(leaf_hash(entry)[..], *hash);
            entries.push(entry.to_vec());
            rest = &rest[2 + length..];
        }
        assert!(rest.is_empty());
    }
    assert_eq!(entries, lines(dir.path()));
    let top = fs::read(out.path().join("tile/1/000.p/2")).unwrap();
    assert_eq!(top.len(), 64);
    let full = |at: usize| -> [u8; 32] { top[at * 32..(at + 1) * 32].try_into().unwrap() };
    let last: Vec<[u8; 32]> = entries[512..]
        .iter()
        .map(|entry| leaf_hash(entry))
        .collect();
    assert_eq!(
        node_hash(&node_hash(&full(0), &full(1)), &mth(&last)),
        head.root
    );
}

fn mth(leaves: &[[u8; 32]]) -> [u8; 32] {
    match leaves {
        [leaf] => *leaf,
        _ => {
            let split = 1 << (leaves.len() - 1).ilog2();
            node_hash(&mth(&leaves[..split]), &mth(&leaves[split..]))
        }
    }
}

#[test]
fn a_changed_entry_is_neither_exported_nor_proven() {
    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write(dir.path(), 5);
    let path = dir.path().join("segments/000000000000.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("\"n\":3", "\"n\":4")).unwrap();
    assert!(matches!(
        export(dir.path(), out.path()),
        Err(ProofError::Differs)
    ));
    assert!(matches!(prove(dir.path(), 3), Err(ProofError::Differs)));
    assert!(!out.path().join("checkpoint").exists());
}

#[test]
fn the_key_can_be_changed_again_and_again_and_old_anchors_still_count() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), 3);
    let anchor = String::from_utf8(checkpoint(dir.path()).unwrap()).unwrap();
    let other = Ledger::open(dir.path(), &Options::default()).unwrap();
    other.commit(vec![Draft::new(Kind::Observed)]).unwrap();
    for round in 1..=3 {
        let ledger = Ledger::open(dir.path(), &Options::default()).unwrap();
        let before = ledger.log().verifier();
        let new = ledger.log().rotate_key().unwrap();
        assert_ne!(before.as_ref(), Some(&new));
        ledger.commit(vec![Draft::new(Kind::Observed)]).unwrap();
        ledger.close().unwrap();
        // A process that was there before goes on with the new key.
        other.commit(vec![Draft::new(Kind::Observed)]).unwrap();
        let mut options = VerifyOptions::default();
        let plain = report_with(dir.path(), &options);
        assert_eq!(plain.verdict, Verdict::Signed, "{plain:#?}");
        options.anchors = vec![anchor.clone()];
        assert_eq!(report_with(dir.path(), &options).verdict, Verdict::Anchored);
        assert_eq!(keys(dir.path()).unwrap().len(), round + 1);
    }
    other.close().unwrap();
    assert_eq!(
        report_with(dir.path(), &VerifyOptions::default()).unsigned_tail,
        0
    );
    // Without the old key's signature a new key is nobody's.
    let text = fs::read_to_string(dir.path().join("segments/000000000001.jsonl")).unwrap();
    assert_eq!(text.lines().nth(1).unwrap().matches("— ").count(), 2);
}

#[test]
fn an_anchor_is_recorded_and_covers_its_own_record() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), 3);
    let ledger = Ledger::open(dir.path(), &Options::default()).unwrap();
    let anchor = ledger.log().anchor("a mail to the auditor").unwrap();
    drop(ledger);
    let mut options = VerifyOptions::default();
    options.anchors = vec![anchor];
    let report = report_with(dir.path(), &options);
    assert_eq!(
        (report.verdict, report.unsigned_tail),
        (Verdict::Anchored, 0),
        "{report:#?}"
    );
    assert!(report.reaches(Grade::Anchored) && report.reaches(Grade::Signed));
    assert!(
        lines(dir.path())
            .iter()
            .any(|line| String::from_utf8_lossy(line).contains("the auditor"))
    );
}

#[test]
fn verification_goes_on_where_it_ended_and_finds_what_happened_to_the_old_part() {
    let dir = tempfile::tempdir().unwrap();
    let mut since = VerifyOptions::default();
    since.resumable = true;
    for entries in [20, 200, 0, 300] {
        write(dir.path(), entries);
        let whole = report_with(dir.path(), &VerifyOptions::default());
        let part = report_with(dir.path(), &since);
        assert_eq!(
            (part.verdict, part.entries, &part.root),
            (whole.verdict, whole.entries, &whole.root),
            "{part:#?}"
        );
        assert_eq!(part.unsigned_tail, 0);
        let text = part.resume.unwrap().text();
        since.since = Some(Resume::parse(&text).unwrap());
    }
    let last = lines(dir.path()).len();
    let state = since.since.as_ref().unwrap();
    assert_eq!(state.entries(), u64::try_from(last).unwrap());
    assert!(Resume::parse("{}").is_err());
    // The same number of entries, written anew.
    fs::remove_dir_all(dir.path()).unwrap();
    write(dir.path(), 700);
    assert!(!report_with(dir.path(), &since).verdict.is_intact());
    fs::remove_dir_all(dir.path()).unwrap();
    write(dir.path(), 3);
    assert_eq!(report_with(dir.path(), &since).verdict, Verdict::RolledBack);
}

#[test]
fn secrets_never_reach_the_ledger() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = Options::default();
    options.redact = vec!["^internal-[0-9]+$".to_owned()];
    let ledger = Ledger::open(dir.path(), &options).unwrap();
    let token = format!("gh{}{}", "p_", "A2b3C4d5E6f7G2h3I4j5K6l7M2n3O4p5Q6r7");
    let argv = vec![
        "curl".to_owned(),
        format!("--header=x: {token}"),
        "internal-42".to_owned(),
        "plain".to_owned(),
    ];
    let deep = serde_json::json!({ token.clone(): [{"b64": data_encoding::BASE64.encode(format!("\u{0}{token}").as_bytes())}] });
    ledger
        .commit(vec![
            Draft::new(Kind::Observed)
                .with("argv", argv)
                .with("deep", deep),
        ])
        .unwrap();
    ledger.close().unwrap();
    let text: Vec<u8> = lines(dir.path()).concat();
    let text = String::from_utf8(text).unwrap();
    assert!(!text.contains(&token) && !text.contains("internal-42") && text.contains("\"plain\""));
    assert_eq!(text.matches("{\"redacted\":").count(), 3);
    let mut bad = Options::default();
    bad.redact = vec!["(".to_owned()];
    assert!(Ledger::open(dir.path(), &bad).is_err());
}

#[test]
fn grants_are_spent_by_the_line_that_names_them_and_never_twice() {
    let dir = tempfile::tempdir().unwrap();
    let one = Ledger::open(dir.path(), &Options::default()).unwrap();
    let two = Ledger::open(dir.path(), &Options::default()).unwrap();
    let grant = |change: &str| {
        Draft::new(Kind::Grant)
            .with("grant", "g")
            .with("change", change)
    };
    let spend = || {
        vec![
            Draft::new(Kind::Decision)
                .with("effect", "allow")
                .with("grants", vec!["g"]),
        ]
    };
    assert!(one.commit(spend()).is_err(), "never made");
    one.commit(vec![grant("made").with("uses", 3)]).unwrap();
    assert_eq!(two.grants().unwrap()[0].left(), Some(3));
    two.commit(spend()).unwrap();
    one.commit(spend()).unwrap();
    two.commit(spend()).unwrap();
    assert!(one.commit(spend()).is_err(), "used up");
    one.commit(vec![grant("made").with("uses", 3)]).unwrap();
    assert!(
        one.commit(spend()).is_err(),
        "making it again gives nothing back"
    );
    let other = |change: &str| {
        Draft::new(Kind::Grant)
            .with("grant", "h")
            .with("change", change)
    };
    one.commit(vec![
        other("made").with("until", "2020-01-01T00:00:00.000000Z"),
    ])
    .unwrap();
    let spend = |id: &str| {
        vec![
            Draft::new(Kind::Decision)
                .with("effect", "allow")
                .with("grants", vec![id]),
        ]
    };
    assert!(two.commit(spend("h")).is_err(), "over");
    one.commit(vec![
        Draft::new(Kind::Grant)
            .with("grant", "i")
            .with("change", "made"),
    ])
    .unwrap();
    two.commit(spend("i")).unwrap();
    one.commit(vec![
        Draft::new(Kind::Grant)
            .with("grant", "i")
            .with("change", "revoked"),
    ])
    .unwrap();
    assert!(two.commit(spend("i")).is_err(), "revoked");
    drop((one, two));
    fs::remove_file(dir.path().join("state")).unwrap();
    let again = Ledger::open(dir.path(), &Options::default()).unwrap();
    assert_eq!(again.grants().unwrap()[0].left(), Some(0));
}

#[test]
fn an_index_that_was_lost_is_made_again_byte_for_byte() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), 600);
    prove(dir.path(), 1).unwrap();
    let files = [
        "checkpoint",
        "state",
        "tile/0/000",
        "tile/1/000.p/2",
        "tile/entries/001",
    ];
    let read = || files.map(|file| fs::read(dir.path().join(file)).unwrap());
    let before = read();
    for file in ["checkpoint", "state", "tile/0/000"] {
        fs::remove_file(dir.path().join(file)).unwrap();
    }
    Ledger::reindex(dir.path(), &Options::default()).unwrap();
    assert!(before == read());
    let path = dir.path().join("segments/000000000000.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(
        &path,
        text.replace("\"n\":3,", "\"n\":4,")
            .replace("\"n\":3}", "\"n\":4}"),
    )
    .unwrap();
    assert!(Ledger::reindex(dir.path(), &Options::default()).is_err());
}

#[cfg(target_os = "linux")]
#[test]
fn a_tail_shows_what_comes_and_wakes_up_for_it() {
    use lictor::log::follow::{Until, follow};
    use lictor::log::read::Filter;
    use std::ops::ControlFlow;
    use std::time::{Duration, Instant};
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), 30);
    let mut follower = follow(dir.path(), Filter::default(), None)
        .unwrap()
        .unwrap();
    let mut seen = 0;
    let mut count = |follower: &mut lictor::log::follow::Tail| {
        follower
            .read(&mut |shown| {
                seen += usize::from(shown.entry.unwrap().kind == Kind::Observed);
                ControlFlow::Continue(())
            })
            .unwrap();
        seen
    };
    assert_eq!(count(&mut follower), 30);
    assert_eq!(count(&mut follower), 30, "nothing is shown twice");
    let started = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| write(dir.path(), 400));
        while count(&mut follower) < 430 && started.elapsed() < Duration::from_secs(60) {
            follower
                .wait(Duration::from_secs(60), Until::default())
                .unwrap();
        }
    });
    assert_eq!(count(&mut follower), 430);
    assert!(
        started.elapsed() < Duration::from_secs(60),
        "nothing woke it up"
    );
}
