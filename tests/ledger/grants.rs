//! Approvals that people give: exactly what was approved runs, as often as it was approved, and by nobody
//! else's word. Real processes, and signatures made by ssh-keygen where that is installed.

use crate::support::need;
use crate::support::ordinary;
use crate::support::program;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use crate::support::program::{Answer, Place};
use serde_json::{Value as Json, json};
use ssh_key::private::Ed25519Keypair;
use ssh_key::{LineEnding, PrivateKey};

/// Prints its arguments, and says so in `applied`, where a test counts the runs.
const TERRAFORM: &str = r#"#!/bin/sh
case $1 in
    plan) printf 'create 1 server\n' > "${2#-out=}" ;;
    apply) { printf 'applied '; cat -- "$2"; } | tee -a applied ;;
    *) printf '%s\n' "$*" | tee -a applied ;;
esac
"#;

/// Anybody may plan; a plan is applied if its bytes were approved; states are moved and files are shown
/// on approvals of other kinds.
const POLICY: &str = r#"version: 1
name: infra
tools:
  terraform:
    program: terraform
    actions:
      plan: {command: plan, args: {out: {type: path, option: "-out", access: write, creates: itself, required: true}}}
      apply: {command: apply, args: {plan: {type: path, pin: true, required: true}}}
      show: {command: show, args: {json: {type: flag, names: ["-json"]}, path: {type: path, required: true, repeat: true}}}
      import: {command: import, args: {name: {type: text, required: true}}}
      destroy: {command: destroy}
      taint: {command: taint, args: {name: {type: text, required: true}}}
  notes:
    actions:
      read: {args: {path: {type: path, required: true}}}
scopes:
  plans: ["*.tfplan"]
  states: ["states/**"]
  staging: ["states/staging/**"]
  notes: ["notes/**"]
approvals:
  human: {grant: true, BY max_age: 8h, max_uses: 2}
  second: {grant: true}
  council: {env: COUNCIL_AGREES, reference: CR-1}
rules:
  - {id: plan, allow: terraform.plan, within: plans}
  - {id: apply, allow: terraform.apply, within: plans, approval: human}
  - {id: show, allow: terraform.show, within: states, approval: human}
  - {id: show-staging, allow: terraform.show, within: staging, approval: second}
  - {id: import, allow: terraform.import, approval: council}
  - {id: destroy, allow: terraform.destroy, approval: human}
  - {id: ask-destroy, ask: terraform.destroy, approval: second}
  - {id: taint, allow: terraform.taint}
  - {id: ask-taint, ask: terraform.taint}
  - {id: notes, allow: notes.read, within: notes, approval: human}
defaults: {program_path: ["BIN", /usr/bin, /bin]}
"#;

/// A key that only this test knows: `seed` makes it.
fn key(seed: u8, comment: &str) -> PrivateKey {
    PrivateKey::new(Ed25519Keypair::from_seed(&[seed; 32]).into(), comment).unwrap()
}

const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/policy/README.md");

const ALICE: u8 = 1;
const MALLORY: u8 = 2;

fn public(seed: u8) -> String {
    key(seed, "someone").public_key().to_openssh().unwrap()
}

/// The file of a private key, as ssh wants it.
fn key_file(place: &Place, seed: u8) -> String {
    let file = place.root().join(format!("key-{seed}"));
    let text = key(seed, "someone").to_openssh(LineEnding::LF).unwrap();
    std::fs::write(&file, text.as_bytes()).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    file.to_str().unwrap().to_owned()
}

/// A place with the policy, of which `by` is a part, and a program that stands for terraform.
fn place_with(by: &str) -> Place {
    let place = Place::new();
    let bin = place.root().join("bin");
    std::fs::create_dir(&bin).unwrap();
    let program = bin.join("terraform");
    std::fs::write(&program, TERRAFORM).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    // The name of the directory is random, and may hold any letters.
    let policy = POLICY
        .replace("BY", by)
        .replace("BIN", bin.to_str().unwrap());
    place.write("lictor.yaml", policy);
    for file in [
        "states/a",
        "states/b",
        "states/staging/a",
        "notes/a",
        "states_old/a",
    ] {
        place.write(file, "text\n");
    }
    place
}

/// Approvals need no signature.
fn unsigned() -> Place {
    place_with("")
}

/// Only what Alice signed counts.
fn signed() -> Place {
    place_with(&format!("by: [\"{}\"],", public(ALICE)))
}

fn lictor(place: &Place, words: &[&str]) -> Answer {
    place.lictor(words).end()
}

#[track_caller]
fn run(place: &Place, words: &[&str], code: i32) -> Answer {
    let all: Vec<&str> = ["run", "--"].iter().chain(words).copied().collect();
    lictor(place, &all).ends_with_code(code)
}

/// Approves a request and returns the grant's name.
#[track_caller]
fn approve(place: &Place, options: &[&str], words: &[&str]) -> String {
    let start = ["approve", "--json", "--why", "it was read"];
    let dashes: &[&str] = if words.is_empty() { &[] } else { &["--"] };
    let all: Vec<&str> = start
        .iter()
        .chain(options)
        .chain(dashes)
        .chain(words)
        .copied()
        .collect();
    let json = lictor(place, &all).ends_with_code(0).json();
    assert_eq!(json["recorded"], true, "{json}");
    json["grant"].as_str().unwrap().to_owned()
}

/// The text of a grant that says this.
fn text(terms: &Json) -> String {
    let terms = serde_json::from_value::<lictor::decision::grant::GrantTerms>(terms.clone());
    terms.unwrap().to_text()
}

/// The words that approve `SHOW`.
fn approving<'w>(options: &[&'w str]) -> Vec<&'w str> {
    [&["approve", "--why", "x"], options, &["--"], &SHOW].concat()
}

/// Writes a grant for `SHOW` to a file and returns its name. Nothing is recorded.
fn grant_file(place: &Place, name: &str, options: &[&str]) -> String {
    let file = place.root().join(name).to_str().unwrap().to_owned();
    let words = approving(&[options, &["--out", &file]].concat());
    lictor(place, &words).ends_with_code(0);
    file
}

fn grants(place: &Place) -> Vec<Json> {
    let json = lictor(place, &["approvals", "--json"])
        .ends_with_code(0)
        .json();
    json["grants"].as_array().unwrap().clone()
}

#[track_caller]
fn standing(place: &Place, grant: &str, expected: &str) {
    let all = grants(place);
    let found = all.iter().find(|known| known["grant"] == grant).unwrap();
    assert_eq!(found["standing"], expected, "{found}");
}

fn entries(place: &Place, kind: &str) -> Vec<Json> {
    let segments = place.root().join("state/lictor/infra/segments");
    let mut files: Vec<PathBuf> = std::fs::read_dir(segments)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
        .iter()
        .flat_map(|file| {
            let text = std::fs::read_to_string(file).unwrap();
            text.lines()
                .map(|line| serde_json::from_str::<Json>(line).unwrap())
                .collect::<Vec<_>>()
        })
        .filter(|entry| entry["type"] == kind)
        .collect()
}

#[track_caller]
fn is_intact(place: &Place) {
    lictor(place, &["ledger", "verify"]).ends_with_code(0);
}

fn applied(place: &Place) -> usize {
    let file = place.work().join("applied");
    std::fs::read_to_string(file).map_or(0, |text| text.lines().count())
}

const SHOW: [&str; 3] = ["terraform", "show", "states/a"];

// What is granted

#[test]
fn one_request_is_approved_once_and_no_other() {
    let place = unsigned();
    let ask = run(&place, &SHOW, 126);
    let line = "lictor approve --why 'WHY' --cwd . -- terraform show states/a";
    assert!(ask.stderr.contains(line), "{ask:?}");

    let grant = approve(&place, &[], &SHOW);
    for other in [
        &["terraform", "show", "states/b"][..],
        &["terraform", "show", "states/a", "states/b"],
        &["terraform", "show", "-json", "states/a"],
        &["terraform", "destroy"],
    ] {
        run(&place, other, 126);
    }
    let elsewhere = ["run", "--cwd", "states", "--", "terraform", "show", "a"];
    lictor(&place, &elsewhere).ends_with_code(126);
    assert_eq!(applied(&place), 0);

    // The spelling of the request does not matter, who asks neither: nobody was named.
    let named = [
        "run",
        "--actor",
        "x",
        "--tool",
        "terraform",
        "--action",
        "show",
        "--arg",
        "path=states/a",
    ];
    lictor(&place, &named).ends_with_code(0);
    assert_eq!(applied(&place), 1);
    standing(&place, &grant, "used");
    let again = run(&place, &SHOW, 126);
    assert!(again.stderr.contains("it is used up"), "{again:?}");
    assert_eq!(applied(&place), 1);

    let spent = entries(&place, "decision");
    let spending: Vec<&Json> = spent
        .iter()
        .filter(|entry| entry.get("grants").is_some())
        .collect();
    assert_eq!(spending.len(), 1);
    assert_eq!(spending[0]["grants"], json!([grant]));
    let approval = entries(&place, "approval");
    assert_eq!(approval.len(), 1, "{approval:?}");
    assert_eq!(approval[0]["grant"], grant);
    assert_eq!(approval[0]["why"], "it was read");
    is_intact(&place);
}

#[test]
fn the_line_that_an_ask_shows_is_one_that_approves() {
    let place = unsigned();
    let words = ["terraform", "show", "states/it's $HOME"];
    place.write("states/it's $HOME", "text\n");
    let ask = run(&place, &words, 126);
    let line = ask
        .stderr
        .lines()
        .find_map(|line| line.split_once("lictor approve "));
    let (_, rest) = line.unwrap_or_else(|| panic!("{ask:?}"));
    let program = env!("CARGO_BIN_EXE_lictor");
    let script = format!(
        "exec \"$0\" approve {}",
        rest.replace("'WHY'", "'it was read'")
    );
    let start = place.lictor::<&str>([]);
    let program = std::env::var(program::PROGRAM).unwrap_or_else(|_| program.to_owned());
    let output = Command::new("sh")
        .args(["-c", &script, &program])
        .current_dir(place.work())
        .env_clear()
        .envs(start.command.get_envs().filter_map(|(k, v)| Some((k, v?))))
        .output()
        .unwrap();
    assert!(output.status.success(), "{script} {output:?}");
    run(&place, &words, 0);
}

#[test]
fn who_may_use_a_grant_is_who_it_names() {
    let place = unsigned();
    approve(&place, &["--actor", "ci"], &SHOW);
    let other = lictor(
        &place,
        &[
            "run",
            "--actor",
            "ci2",
            "--",
            "terraform",
            "show",
            "states/a",
        ],
    );
    let other = other.ends_with_code(126);
    assert!(
        other.stderr.contains("for the actor `ci` only"),
        "{other:?}"
    );
    lictor(
        &place,
        &[
            "run",
            "--actor",
            "ci",
            "--",
            "terraform",
            "show",
            "states/a",
        ],
    )
    .ends_with_code(0);
}

#[test]
fn a_changed_policy_voids_what_was_granted_under_the_old_one() {
    let place = unsigned();
    let grant = approve(&place, &[], &SHOW);
    let file = place.work().join("lictor.yaml");
    let policy = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{policy}# a comment\n")).unwrap();
    let ask = run(&place, &SHOW, 126);
    assert!(ask.stderr.contains("another policy"), "{ask:?}");
    standing(&place, &grant, "void");
    std::fs::write(&file, policy).unwrap();
    run(&place, &SHOW, 0);
}

#[test]
fn a_grant_for_a_rule_holds_where_it_says() {
    let place = unsigned();
    approve(
        &place,
        &[
            "--rule",
            "show",
            "--within",
            "states/staging/**",
            "--within",
            "states/b",
            "--uses",
            "2",
        ],
        &[],
    );
    run(&place, &["terraform", "show", "states/a"], 126);
    run(&place, &["terraform", "show", "states/b", "states/a"], 126);
    run(
        &place,
        &["terraform", "show", "states/staging/a", "states/b"],
        0,
    );
    // A directory is all that is in it.
    run(&place, &["terraform", "show", "states"], 126);
    run(&place, &["terraform", "show", "states/staging"], 0);
    run(&place, &["terraform", "show", "states/b"], 126);
    is_intact(&place);
}

#[test]
fn a_rule_is_not_lifted_by_a_grant_for_another_with_the_same_approval() {
    let place = unsigned();
    approve(&place, &["--rule", "destroy"], &[]);
    run(&place, &SHOW, 126);
}

#[test]
fn of_several_grants_only_those_that_are_needed_are_spent() {
    let place = unsigned();
    let rule = approve(&place, &["--rule", "show-staging", "--uses", "9"], &[]);
    let show = ["terraform", "show", "states/staging/a"];
    let exact = approve(&place, &["--approval", "human"], &show);
    run(&place, &show, 0);
    standing(&place, &exact, "used");
    let left = grants(&place);
    let left = left.iter().find(|grant| grant["grant"] == rule).unwrap();
    assert_eq!(left["spent"], 0);

    // Both an allow and a question of its own: each has to be answered.
    let several = lictor(
        &place,
        &["approve", "--why", "x", "--", "terraform", "destroy"],
    );
    let first = several.ends_with_code(0);
    assert!(first.stdout.contains("granted `second`"), "{first:?}");
    let ask = run(&place, &["terraform", "destroy"], 126);
    assert!(ask.stderr.contains("`human`"), "{ask:?}");
    // The question is answered by the first one; what is missing then is asked for with it.
    approve(&place, &["--rule", "destroy"], &[]);
    run(&place, &["terraform", "destroy"], 0);
    let used: Vec<Json> = entries(&place, "decision");
    assert_eq!(used.last().unwrap()["grants"].as_array().unwrap().len(), 2);
    is_intact(&place);
}

#[test]
fn time_uses_and_revocation_end_a_grant() {
    let place = unsigned();
    let grant = approve(&place, &["--uses", "2", "--for", "1h"], &SHOW);
    run(&place, &SHOW, 0);
    standing(&place, &grant, "open");
    lictor(&place, &["revoke", &grant, "--why", "plan changed"]).ends_with_code(0);
    standing(&place, &grant, "revoked");
    let ask = run(&place, &SHOW, 126);
    assert!(ask.stderr.contains("was revoked"), "{ask:?}");
    let twice = lictor(&place, &["revoke", &grant, "--why", "x"]).ends_with_code(2);
    assert!(twice.stderr.contains("was revoked"), "{twice:?}");
    let unknown = lictor(&place, &["revoke", "g-none", "--why", "x"]).ends_with_code(2);
    assert!(unknown.stderr.contains("lictor approvals"), "{unknown:?}");

    // What is over by the clock: the same question for another time.
    approve(&place, &["--for", "1h"], &["terraform", "show", "states/b"]);
    let later = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(2);
    let check = |at: &[&str]| {
        let words = [
            &["check", "--dry-run"],
            at,
            &["--", "terraform", "show", "states/b"],
        ]
        .concat();
        lictor(&place, &words)
    };
    check(&[]).ends_with_code(0);
    let over = check(&["--at", &later.to_string()]).ends_with_code(3);
    assert!(
        over.stdout.contains("counted until") || over.stdout.contains("time is over"),
        "{over:?}"
    );
    is_intact(&place);
}

#[test]
fn of_many_grants_that_do_not_count_the_newest_are_named_and_the_others_counted() {
    let place = unsigned();
    let grants: Vec<String> = (0..8).map(|_| approve(&place, &[], &SHOW)).collect();
    for grant in &grants {
        lictor(&place, &["revoke", grant, "--why", "plan changed"]).ends_with_code(0);
    }
    let ask = run(&place, &SHOW, 126);
    let named = |grant: &String| {
        ask.stderr
            .contains(&format!("grant `{grant}` does not count"))
    };
    let shown: Vec<bool> = grants.iter().map(named).collect();
    assert_eq!(shown, [false, false, false, true, true, true, true, true]);
    assert!(ask.stderr.contains("3 older grants"), "{ask:?}");
    let words = [&["--json", "check", "--"][..], &SHOW].concat();
    let check = lictor(&place, &words).ends_with_code(3).json();
    assert_eq!(check["refused_grants"].as_array().unwrap().len(), 5);
    assert_eq!(check["more_refused_grants"], 3);
}

#[test]
fn the_policy_bounds_what_can_be_granted() {
    let place = unsigned();
    #[track_caller]
    fn refused(place: &Place, options: &[&str], words: &[&str], says: &str) {
        let all = [&["approve", "--why", "x"], options, &["--"], words].concat();
        let answer = lictor(place, &all).ends_with_code(2);
        assert!(answer.stderr.contains(says), "{says}: {answer:?}");
        assert_eq!(answer.stdout, "");
    }
    refused(&place, &["--uses", "3"], &SHOW, "2 times at most");
    refused(&place, &["--for", "9h"], &SHOW, "8h at most");
    refused(&place, &["--until", "2020-01-01"], &SHOW, "over already");
    refused(&place, &["--for", "2 weeks"], &SHOW, "for example 2h");
    refused(
        &place,
        &["--approval", "council"],
        &SHOW,
        "none that is missing",
    );
    // Nothing that an approval could change.
    refused(
        &place,
        &[],
        &["terraform", "plan", "-out=a.tfplan"],
        "allowed already",
    );
    refused(
        &place,
        &[],
        &["terraform", "show", "states_old/a"],
        "no approval changes that",
    );
    refused(
        &place,
        &[],
        &["terraform", "show", "../a"],
        "no approval changes that",
    );
    refused(&place, &[], &["terraform", "import", "x"], "COUNCIL_AGREES");
    refused(
        &place,
        &[],
        &["terraform", "taint", "x"],
        "names no approval",
    );
    refused(
        &place,
        &[],
        &["terraform", "show", "states/staging/a"],
        "--approval NAME",
    );
    refused(
        &place,
        &[],
        &["terraform", "apply", "gone.tfplan"],
        "PATH_NOT_FOUND",
    );
    let rule = lictor(&place, &["approve", "--why", "x", "--rule", "plan"]).ends_with_code(2);
    assert!(rule.stderr.contains("needs an approval"), "{rule:?}");
    let blank = lictor(&place, &["approve", "--why", " ", "--rule", "show"]).ends_with_code(2);
    assert!(blank.stderr.contains("`why`"), "{blank:?}");
    let long = "x".repeat(9000);
    let words = [
        "approve",
        "--why",
        "x",
        "--",
        "terraform",
        "show",
        &format!("states/{}", long),
    ];
    lictor(&place, &words).ends_with_code(2);
    assert_eq!(grants(&place), Vec::<Json>::new());
    assert!(
        !place.root().join("state/lictor/infra").exists(),
        "nothing is recorded"
    );
}

#[test]
fn what_a_grant_says_is_recorded_as_it_is_or_not_at_all() {
    let place = unsigned();
    let secret = format!("see https://me:{}@example.org", "pass");
    let words = [
        "approve",
        "--why",
        &secret,
        "--",
        "terraform",
        "show",
        "states/a",
    ];
    let refused = lictor(&place, &words).ends_with_code(2);
    assert!(
        refused.stderr.contains("looks like a secret"),
        "{refused:?}"
    );
    assert_eq!(grants(&place), Vec::<Json>::new());
}

// Where it counts

/// A copy of the workspace under another name, with the same policy and the same ledger.
fn copy(place: &Place, name: &str) -> PathBuf {
    let to = place.root().join(name);
    let copied = Command::new("cp")
        .arg("-r")
        .arg(place.work())
        .arg(&to)
        .status();
    assert!(copied.unwrap().success());
    to
}

#[test]
fn a_grant_counts_in_the_workspace_that_it_was_made_in() {
    let place = unsigned();
    let other = copy(&place, "other");
    let elsewhere = |words: &[&str]| place.lictor(words).current_dir(&other).end();
    let show = [&["run", "--"][..], &SHOW].concat();
    let ask = elsewhere(&show).ends_with_code(126);
    let named = other.canonicalize().unwrap();
    let named = format!("workspace  {}", named.display());
    assert!(ask.stderr.contains(&named), "{ask:?}");

    let grant = approve(&place, &["--uses", "2"], &SHOW);
    let ask = elsewhere(&show).ends_with_code(126);
    let only = format!("for the workspace `{}` only", place.work().display());
    assert!(ask.stderr.contains(&only), "{ask:?}");
    let check = elsewhere(&["check", "--", "terraform", "show", "states/a"]).ends_with_code(3);
    assert!(check.stdout.contains(&only), "{check:?}");
    let list = elsewhere(&["approvals"]).ends_with_code(0);
    assert!(list.stdout.contains(&only), "{list:?}");
    standing(&place, &grant, "open");
    run(&place, &SHOW, 0);
    assert!(!other.join("applied").exists());

    // A rule is approved no wider.
    approve(&place, &["--rule", "show"], &[]);
    elsewhere(&show).ends_with_code(126);

    // A file says where it counts, and is not taken elsewhere.
    let file = grant_file(&place, "here.grant", &[]);
    let refused = elsewhere(&["approve", "--import", &file]).ends_with_code(2);
    assert!(refused.stderr.contains(&only), "{refused:?}");
    assert!(refused.stderr.contains("--workspace any"), "{refused:?}");
    let job = [&["run", "--grant", &file, "--"][..], &SHOW].concat();
    elsewhere(&job).ends_with_code(126);
    let file = grant_file(&place, "any.grant", &["--workspace", "any"]);
    let taken = elsewhere(&["approve", "--import", &file]).ends_with_code(0);
    assert!(taken.stdout.contains("workspace  any"), "{taken:?}");
    elsewhere(&show).ends_with_code(0);
    is_intact(&place);
}

#[test]
fn a_grant_does_not_count_for_what_took_the_place_of_its_workspace() {
    let place = unsigned();
    approve(&place, &[], &SHOW);
    let fresh = copy(&place, "fresh");
    std::fs::rename(place.work(), place.root().join("old")).unwrap();
    std::fs::rename(fresh, place.work()).unwrap();
    let ask = run(&place, &SHOW, 126);
    assert!(ask.stderr.contains("another one is there now"), "{ask:?}");
    std::fs::rename(place.work(), place.root().join("fresh")).unwrap();
    std::fs::rename(place.root().join("old"), place.work()).unwrap();
    run(&place, &SHOW, 0);
}

#[test]
fn a_grant_of_an_earlier_version_counts_no_more_and_says_so() {
    use lictor::record::{Ledger, Options};

    let place = unsigned();
    let file = grant_file(&place, "a.grant", &[]);
    let mut old: Json = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    old["lictor_grant"] = 1.into();
    old.as_object_mut().unwrap().remove("workspace");
    std::fs::write(&file, text(&old)).unwrap();
    let refused = lictor(&place, &["approve", "--import", &file]).ends_with_code(2);
    assert!(refused.stderr.contains("earlier version"), "{refused:?}");
    assert!(refused.stderr.contains("approve it again"), "{refused:?}");

    let policy = std::fs::read_to_string(place.work().join("lictor.yaml")).unwrap();
    let policy = lictor::policy::CompiledPolicy::from_yaml(&policy).unwrap();
    let directory = place.root().join("state/lictor/infra");
    std::fs::create_dir_all(&directory).unwrap();
    let ledger = Ledger::open(&directory, &Options::default()).unwrap();
    let human = &policy.approvals()[0];
    ledger.make_grant(&text(&old), None, None, human).unwrap();
    drop(ledger);
    let ask = run(&place, &SHOW, 126);
    assert!(ask.stderr.contains("earlier version"), "{ask:?}");
    standing(&place, old["id"].as_str().unwrap(), "void");
    is_intact(&place);
}

// What a person is shown

/// An action with all kinds of arguments, which nobody may do without approval.
const SHOWN: &str = r#"version: 1
name: shown
tools:
  tf:
    program: "true"
    actions:
      apply:
        command: apply
        args:
          note: {type: text, option: "-note", repeat: true}
          target: {type: text, option: "-target"}
          color: {type: text, option: "-color", value: optional}
          force: {type: flag, names: ["-force"]}
          count: {type: int, option: "-count"}
          file: {type: path, repeat: true}
approvals: {op: {grant: true}}
scopes: {all: ["**"]}
rules: [{id: g, allow: "tf.*", within: all, approval: op}]
"#;

/// What a question, a grant and the list of grants say that such a request is.
fn shown_for(place: &Place, words: &[&str]) -> String {
    let lines = |text: &str, name: &str| -> String {
        let mut lines = text.lines().skip_while(|line| !line.starts_with(name));
        let first = lines.next().unwrap_or_else(|| panic!("{text}"));
        let rest = lines.take_while(|line| line.starts_with("             "));
        let lines = [first].into_iter().chain(rest);
        lines.map(|line| &line[13..]).collect::<Vec<_>>().join("\n")
    };
    let ask = lictor(place, &[&["check", "--dry-run", "--"], words].concat()).ends_with_code(3);
    let asked = lines(&ask.stdout, "  request");
    let run = lictor(place, &[&["run", "--"], words].concat()).ends_with_code(126);
    assert_eq!(lines(&run.stderr, "  request"), asked);
    let answer = lictor(place, &[&["approve", "--why", "ok", "--"], words].concat());
    let answer = answer.ends_with_code(0);
    assert_eq!(lines(&answer.stdout, "  for"), asked);
    let list = lictor(place, &["approvals", "--open"]).ends_with_code(0);
    let listed = lines(&list.stdout.replace("\n    ", "\n  "), "  for");
    assert_eq!(listed, asked);
    let grant = &grants(place)[0]["grant"];
    lictor(place, &["revoke", grant.as_str().unwrap(), "--why", "x"]).ends_with_code(0);
    asked
}

#[test]
fn each_request_is_shown_as_no_other_is() {
    let place = Place::with_policy(SHOWN);
    for (words, shown) in [
        (
            &["-note", "a", "-note", "b"][..],
            "tf.apply\n  note=a\n  note=b",
        ),
        (&["-note", "a note=b"], "tf.apply note='a note=b'"),
        (
            &["-note", "x", "-target", "test"],
            "tf.apply\n  note=x\n  target=test",
        ),
        (
            &["-note", "x target=test", "-target", "live"],
            "tf.apply\n  note='x target=test'\n  target=live",
        ),
        (&["-note", "x force"], "tf.apply note='x force'"),
        (&["-note", "x", "-force"], "tf.apply\n  force\n  note=x"),
        (&["-color"], "tf.apply color"),
        (&["-color="], "tf.apply color=''"),
        (&["-color=true"], "tf.apply color=true"),
        (&["-note", "it's \\"], r"tf.apply note='it'\''s \'"),
        (
            &["-note", "prod\u{3164}\u{fe0f}"],
            r"tf.apply note=$'prod\343\205\244\357\270\217'  (holds U+3164, U+FE0F)",
        ),
        (
            &["-note", "a\u{202e}b"],
            r"tf.apply note=$'a\342\200\256b'  (holds U+202E)",
        ),
        (&[], "tf.apply"),
    ] {
        let words: Vec<&str> = ["true", "apply"].iter().chain(words).copied().collect();
        assert_eq!(shown_for(&place, &words), shown, "{words:?}");
    }
}

#[test]
fn what_a_person_reads_before_approving_names_policy_workspace_and_directory() {
    let place = Place::with_policy(SHOWN);
    std::fs::create_dir(place.work().join("sub dir")).unwrap();
    let words = ["--cwd", "sub dir", "--", "true", "apply", "-force"];
    let workspace = place.work().canonicalize().unwrap();
    let workspace = format!("workspace  {}", workspace.display());
    let ask = lictor(&place, &[&["check"][..], &words].concat()).ends_with_code(3);
    let granted = lictor(&place, &[&["approve", "--why", "x"][..], &words].concat());
    let granted = granted.ends_with_code(0);
    for text in [ask.stdout, granted.stdout] {
        for says in ["directory  'sub dir'", "policy     shown", &workspace] {
            assert!(text.contains(says), "{says}: {text}");
        }
    }
}

/// Characters that shells, terminals and readers of options treat in ways of their own.
const HOSTILE: &str =
    "ab1=- '\"\\$`!~*?[{}(;&|<#%^,\u{fc}\u{a0}\u{200b}\u{202e}\u{3164}\u{e0041}\u{2028}\u{85}\t";

fn hostile(random: &mut impl FnMut(usize) -> usize) -> String {
    let characters: Vec<char> = HOSTILE.chars().collect();
    let length = random(6);
    (0..length)
        .map(|_| characters[random(characters.len())])
        .collect()
}

/// A request of `SHOWN` with hostile values, and who asks.
fn hostile_request(random: &mut impl FnMut(usize) -> usize) -> (lictor::decision::Request, String) {
    use lictor::decision::{Request, Value};

    let mut request = if random(2) == 0 {
        let mut words = vec!["true".to_owned(), "apply".to_owned()];
        for option in ["-note=", "-target=", "-color", "-color=", "-force"] {
            match (random(3), option.ends_with('=')) {
                (0, true) => words.push(format!("{option}{}", hostile(random))),
                (0, false) => words.push(option.to_owned()),
                _ => {}
            }
        }
        Request::argv(words)
    } else {
        let mut request = Request::named("tf", "apply");
        for _ in 0..random(4) {
            let text = Value::from(hostile(random).as_str());
            request = match random(7) {
                0 => request.with_arg("force", Value::Flag(random(2) == 0)),
                1 => request.with_arg("color", Value::Flag(true)),
                2 => request.with_arg("color", text),
                3 => request.with_arg(
                    "count",
                    Value::Int(i64::try_from(random(9)).unwrap().wrapping_neg()),
                ),
                4 => request.with_arg("file", text),
                5 => request.with_arg("target", text),
                _ => request.with_arg("note", text),
            };
        }
        request
    };
    if random(4) == 0 {
        request = request.with_cwd(hostile(random));
    }
    let actor = match random(3) {
        0 => format!("a{}", hostile(random)),
        1 => format!("-{}", hostile(random)),
        _ => "uid-0".to_owned(),
    };
    (request.with_actor(&actor), actor)
}

/// The line that a question shows, parsed by a shell, approves that request and no other.
#[test]
fn the_line_to_approve_approves_what_was_asked() {
    use lictor::decision::{Context, Effect, decide};

    let place = Place::with_policy(SHOWN);
    let policy = lictor::policy::CompiledPolicy::from_yaml(SHOWN).unwrap();
    let bin = place.root().join("bin");
    std::fs::create_dir(&bin).unwrap();
    let program =
        std::env::var(program::PROGRAM).unwrap_or_else(|_| env!("CARGO_BIN_EXE_lictor").to_owned());
    let wrapper = bin.join("lictor");
    std::fs::write(
        &wrapper,
        format!("#!/bin/sh\nexec {program} --json \"$@\"\n"),
    )
    .unwrap();
    std::fs::set_permissions(&wrapper, std::fs::Permissions::from_mode(0o755)).unwrap();

    // Numbers that look random and are the same in each run.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % u64::try_from(below).unwrap()).unwrap()
    };
    let mut lines = String::new();
    let mut expected = Vec::new();
    while expected.len() < 200 {
        let (request, actor) = hostile_request(&mut random);
        let decision = decide(&policy, &request, &Context::new(&actor));
        if decision.effect() != Effect::Ask {
            continue;
        }
        let line = decision.instead().unwrap();
        assert!(
            !line.contains('\n') && line.starts_with("lictor approve "),
            "{line:?}"
        );
        lines.push_str(line);
        lines.push('\n');
        let actor = (actor != "uid-0").then_some(actor);
        let exact = decision.exact().unwrap().to_json();
        expected.push((exact, json!(actor), line.to_owned()));
    }
    // Wherever it is typed.
    let below = place.work().join("below");
    std::fs::create_dir(&below).unwrap();
    let start = place.lictor::<&str>([]);
    let output = Command::new("bash")
        .args(["-c", &lines])
        .current_dir(&below)
        .env_clear()
        .envs(start.command.get_envs().filter_map(|(k, v)| Some((k, v?))))
        .env("PATH", format!("{}:/usr/bin:/bin", bin.display()))
        .output()
        .unwrap();
    let answers: Vec<Json> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for (answer, (request, actor, line)) in answers.iter().zip(&expected) {
        let terms = &answer["terms"];
        assert_eq!(&terms["request"], request, "{line}");
        assert_eq!(&terms["actor"], actor, "{line}");
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(answers.len(), expected.len(), "{errors}");
}

#[test]
fn the_public_half_of_a_key_is_called_that() {
    let place = signed();
    let file = place.root().join("alice.pub");
    std::fs::write(&file, format!("{}\n", public(ALICE))).unwrap();
    let refused = lictor(&place, &approving(&["--key", file.to_str().unwrap()]));
    let refused = refused.ends_with_code(2);
    assert!(
        refused.stderr.contains("this is the public half"),
        "{refused:?}"
    );
}

// Who spends

#[test]
fn check_says_that_a_grant_would_do_and_spends_nothing() {
    let place = unsigned();
    let grant = approve(&place, &[], &SHOW);
    for _ in 0..3 {
        let check = lictor(
            &place,
            &["check", "--json", "--", "terraform", "show", "states/a"],
        );
        let json = check.ends_with_code(0).json();
        assert_eq!(json["grants"][0]["grant"], grant);
    }
    let explain = lictor(&place, &["explain", "--", "terraform", "show", "states/a"]);
    let explain = explain.ends_with_code(0);
    assert!(explain.stdout.contains(&grant), "{explain:?}");
    standing(&place, &grant, "open");
    run(&place, &SHOW, 0);
    let check = lictor(&place, &["check", "--", "terraform", "show", "states/a"]).ends_with_code(3);
    assert!(check.stdout.contains("it is used up"), "{check:?}");
    is_intact(&place);
}

#[test]
fn an_answer_that_a_host_acts_on_is_an_allow_only_if_it_spends() {
    let place = unsigned();
    let note = [
        "--tool",
        "notes",
        "--action",
        "read",
        "--arg",
        "path=notes/a",
    ];
    let words = [&["approve", "--why", "x"], &note[..]].concat();
    lictor(&place, &words).ends_with_code(0);
    let check = |options: &[&str]| lictor(&place, &[&["check"], options, &note].concat());
    let ask = check(&[]).ends_with_code(3);
    assert!(ask.stdout.contains("--spend"), "{ask:?}");
    lictor(&place, &[&["explain"], &note[..]].concat()).ends_with_code(3);
    check(&["--spend"]).ends_with_code(0);
    check(&["--spend"]).ends_with_code(3);
    is_intact(&place);
}

#[test]
fn what_does_not_run_spends_nothing() {
    let place = unsigned();
    let show = ["terraform", "show", "states/later"];
    let grant = approve(&place, &[], &show);
    let gone = run(&place, &show, 126);
    assert!(gone.stderr.contains("PATH_NOT_FOUND"), "{gone:?}");
    standing(&place, &grant, "open");
    place.write("states/later", "text\n");
    run(&place, &show, 0);
    standing(&place, &grant, "used");
}

#[test]
fn jobs_that_race_with_the_same_signed_file_use_it_once() {
    let place = signed();
    let alice = key_file(&place, ALICE);
    let file = grant_file(&place, "a.grant", &["--key", &alice]);
    let job = [
        "run",
        "--grant",
        &file,
        "--",
        "terraform",
        "show",
        "states/a",
    ];
    let racing: Vec<_> = (0..6)
        .map(|_| place.lictor(job).command.spawn().unwrap())
        .collect();
    let mut codes: Vec<Option<i32>> = racing
        .into_iter()
        .map(|child| child.wait_with_output().unwrap().status.code())
        .collect();
    codes.sort_unstable();
    let expected = [vec![Some(0)], vec![Some(126); 5]].concat();
    assert_eq!(codes, expected);
    assert_eq!(applied(&place), 1);
    is_intact(&place);
}

#[test]
fn a_run_that_is_lost_gives_nothing_back() {
    use std::io::Read;
    let place = unsigned();
    let program = place.root().join("bin/terraform");
    std::fs::write(&program, "#!/bin/sh\nprintf s; exec sleep 1000\n").unwrap();
    let grant = approve(&place, &[], &SHOW);
    let words = ["run", "--", "terraform", "show", "states/a"];
    let mut child = place.lictor(words).command.spawn().unwrap();
    let mut started = [0; 1];
    let stdout = child.stdout.as_mut().unwrap();
    stdout.read_exact(&mut started).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    standing(&place, &grant, "used");
    run(&place, &SHOW, 126);
    let outcomes = entries(&place, "outcome");
    assert_eq!(outcomes.last().unwrap()["status"], "LOST", "{outcomes:?}");
    is_intact(&place);
}

#[test]
fn runs_that_race_use_a_grant_as_often_as_it_was_given() {
    let place = unsigned();
    approve(&place, &["--uses", "2"], &SHOW);
    approve(&place, &["--uses", "1"], &SHOW);
    let racing: Vec<_> = (0..8)
        .map(|_| {
            let mut start = place.lictor(["run", "--", "terraform", "show", "states/a"]);
            start.command.spawn().unwrap()
        })
        .collect();
    let mut codes: Vec<Option<i32>> = racing
        .into_iter()
        .map(|child| child.wait_with_output().unwrap().status.code())
        .collect();
    codes.sort_unstable();
    let expected = [vec![Some(0); 3], vec![Some(126); 5]].concat();
    assert_eq!(codes, expected);
    assert_eq!(applied(&place), 3);
    is_intact(&place);
}

// Pinned files and signatures

#[test]
fn a_job_may_plan_and_applies_exactly_the_plan_that_a_person_signed() {
    let readme = std::fs::read_to_string(README).unwrap();
    let (_, rest) = readme
        .split_once("### Example: apply only the plan")
        .unwrap();
    let (_, rest) = rest.split_once("```yaml\n").unwrap();
    let (policy, _) = rest.split_once("```").unwrap();
    assert!(policy.contains(public(ALICE).trim_end_matches(" someone")));
    let place = signed();
    let bin = place.root().join("bin");
    let path = format!("[{}, /usr/local/bin", bin.display());
    place.write("lictor.yaml", policy.replace("[/usr/local/bin", &path));
    std::fs::write(
        bin.join("terraform"),
        TERRAFORM.replace("$2", "$3").replace("${2#", "${3#"),
    )
    .unwrap();
    let alice = key_file(&place, ALICE);
    // The job plans, and may not apply.
    run(&place, &["terraform", "plan", "-out=prod.tfplan"], 0);
    let apply = ["terraform", "apply", "prod.tfplan"];
    let ask = run(&place, &apply, 126);
    assert!(
        ask.stderr.contains(
            "lictor approve --why 'WHY' --key FILE --cwd . -- terraform apply prod.tfplan"
        ),
        "{ask:?}"
    );
    // A person reads the plan and signs; the file travels to where the job runs.
    let file = place.root().join("prod.grant");
    let file = file.to_str().unwrap();
    let words = [
        "approve",
        "--why",
        "one server",
        "--actor",
        "ci",
        "--key",
        &alice,
        "--out",
        file,
        "--",
        "terraform",
        "apply",
        "prod.tfplan",
    ];
    let out = lictor(&place, &words).ends_with_code(0);
    assert!(out.stdout.contains("nothing is recorded here"), "{out:?}");
    assert_eq!(grants(&place), Vec::<Json>::new());

    // Another plan under the same name is not what was signed.
    let plan = std::fs::read(place.work().join("prod.tfplan")).unwrap();
    place.write("prod.tfplan", "destroy 9 servers\n");
    let job = [
        "run",
        "--actor",
        "ci",
        "--grant",
        file,
        "--",
        "terraform",
        "apply",
        "prod.tfplan",
    ];
    let changed = lictor(&place, &job).ends_with_code(126);
    assert!(
        changed.stderr.contains("not the file that was approved"),
        "{changed:?}"
    );
    std::fs::remove_file(place.work().join("prod.tfplan")).unwrap();
    lictor(&place, &job).ends_with_code(126);
    assert_eq!(applied(&place), 0);

    place.write("prod.tfplan", plan);
    let ran = lictor(&place, &job).ends_with_code(0);
    assert!(ran.stdout.contains("applied create 1 server"), "{ran:?}");
    let again = lictor(&place, &job).ends_with_code(126);
    assert!(again.stderr.contains("is used up"), "{again:?}");
    assert_eq!(applied(&place), 1);
    let view = grants(&place);
    assert_eq!(
        view[0]["key"],
        key(ALICE, "")
            .fingerprint(ssh_key::HashAlg::Sha256)
            .to_string()
    );
    is_intact(&place);
}

#[test]
fn a_rule_with_a_pinned_file_is_not_approved_as_a_whole() {
    let place = unsigned();
    place.write("a.tfplan", "plan");
    approve(&place, &["--rule", "apply"], &[]);
    let ask = run(&place, &["terraform", "apply", "a.tfplan"], 126);
    assert!(ask.stderr.contains("by its content"), "{ask:?}");
}

#[test]
fn a_plan_that_changes_while_it_is_applied_is_told() {
    let place = unsigned();
    let program = place.root().join("bin/terraform");
    std::fs::write(&program, "#!/bin/sh\nprintf 'changed' > \"$2\"\n").unwrap();
    place.write("a.tfplan", "plan");
    approve(&place, &[], &["terraform", "apply", "a.tfplan"]);
    let ran = run(&place, &["terraform", "apply", "a.tfplan"], 0);
    assert!(ran.stderr.contains("PINNED_FILE_CHANGED"), "{ran:?}");
}

#[test]
fn where_keys_are_named_an_unsigned_grant_does_not_count() {
    let place = signed();
    let direct = lictor(&place, &approving(&[]));
    let direct = direct.ends_with_code(2);
    assert!(
        direct.stderr.contains("ssh-keygen -Y sign -n lictor-grant"),
        "{direct:?}"
    );
    let file = grant_file(&place, "a.grant", &[]);
    let import = lictor(&place, &["approve", "--import", &file]).ends_with_code(2);
    assert!(import.stderr.contains("it is not signed"), "{import:?}");
    let mallory = key_file(&place, MALLORY);
    let words = approving(&["--key", &mallory]);
    let stranger = lictor(&place, &words).ends_with_code(2);
    assert!(
        stranger.stderr.contains("none of the keys that may"),
        "{stranger:?}"
    );
    assert_eq!(grants(&place), Vec::<Json>::new());
    let alice = key_file(&place, ALICE);
    approve(&place, &["--key", &alice], &SHOW);
    run(&place, &SHOW, 0);
}

#[test]
fn a_signature_is_one_of_these_bytes_only() {
    let place = signed();
    let alice = key_file(&place, ALICE);
    let file = grant_file(&place, "a.grant", &["--key", &alice]);
    let text = std::fs::read_to_string(&file).unwrap();
    for (changed, says) in [
        (
            text.replace("\"uses\": 1", "\"uses\": 2"),
            "one of them was changed",
        ),
        (
            text.replace("states/a", "states/b"),
            "one of them was changed",
        ),
        (format!("{text}\n"), "not byte for byte"),
    ] {
        assert_ne!(changed, text);
        std::fs::write(&file, changed).unwrap();
        let import = lictor(&place, &["approve", "--import", &file]).ends_with_code(2);
        assert!(import.stderr.contains(says), "{import:?}");
    }
    std::fs::write(&file, &text).unwrap();
    lictor(&place, &["approve", "--import", &file]).ends_with_code(0);
    // Once more is no second grant.
    let again = lictor(&place, &["approve", "--import", &file]).ends_with_code(0);
    assert!(again.stdout.contains("already"), "{again:?}");
    run(&place, &SHOW, 0);
    let used = lictor(&place, &["approve", "--import", &file]).ends_with_code(2);
    assert!(used.stderr.contains("is used up"), "{used:?}");
    run(&place, &SHOW, 126);
}

/// ssh-keygen, if it is there.
fn ssh_keygen(place: &Place, args: &[&str]) -> Option<std::process::Output> {
    match Command::new("ssh-keygen")
        .args(args)
        .current_dir(place.work())
        .output()
    {
        Ok(output) => {
            if output.stderr.starts_with(b"No user exists") {
                need::lacks("user-name", "ssh-keygen refuses a user without one");
                return None;
            }
            assert!(output.status.success(), "{args:?} {output:?}");
            Some(output)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            need::lacks("ssh", error);
            None
        }
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn ssh_keygen_signs_what_lictor_reads_and_checks_what_lictor_signs() {
    let place = signed();
    let (alice, mallory) = (key_file(&place, ALICE), key_file(&place, MALLORY));
    let file = grant_file(&place, "a.grant", &[]);
    let sig = format!("{file}.sig");
    let sign = |key: &str, namespace: &str| {
        let _ = std::fs::remove_file(&sig);
        ssh_keygen(
            &place,
            &["-q", "-Y", "sign", "-n", namespace, "-f", key, &file],
        )
    };
    let import = || lictor(&place, &["approve", "--import", &file]);
    if sign(&mallory, "lictor-grant").is_none() {
        return;
    }
    let stranger = import().ends_with_code(2);
    assert!(
        stranger.stderr.contains("none of the keys that may"),
        "{stranger:?}"
    );
    sign(&alice, "git");
    let namespace = import().ends_with_code(2);
    assert!(namespace.stderr.contains("made for `git`"), "{namespace:?}");
    sign(&alice, "lictor-grant");
    import().ends_with_code(0);
    run(&place, &SHOW, 0);

    let ours = grant_file(&place, "b.grant", &["--key", &alice]);
    let signers = place.root().join("signers");
    std::fs::write(&signers, format!("alice {}\n", public(ALICE))).unwrap();
    let signers = signers.to_str().unwrap();
    let ours_sig = format!("{ours}.sig");
    let mut verify = Command::new("ssh-keygen")
        .args([
            "-Y",
            "verify",
            "-n",
            "lictor-grant",
            "-I",
            "alice",
            "-f",
            signers,
            "-s",
            &ours_sig,
        ])
        .stdin(std::fs::File::open(&ours).unwrap())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    assert!(verify.wait().unwrap().success());
}

/// A text, a signature beside it in the tree, and what is wrong with it. All were made by ssh-keygen, with
/// keys from the seeds of this file.
const VECTORS: [(&str, &str, Option<&str>); 5] = [
    ("a grant\n", "alice.sig", None),
    (
        "a grant\n",
        "mallory.sig",
        Some("none of the keys that may"),
    ),
    ("a grant\n", "alice-git.sig", Some("made for `git`")),
    ("a grant", "alice.sig", Some("one of them was changed")),
    ("a grant\n", "alice-sha256.sig", None),
];

#[test]
fn signatures_that_ssh_keygen_made_are_read_without_it() {
    use lictor::record::signature::signed_by;
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/grants");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        write_the_vectors();
    }
    let keys = [public(9), public(ALICE)];
    for (text, file, wrong) in VECTORS {
        let signature = std::fs::read_to_string(format!("{directory}/{file}")).unwrap();
        let found = signed_by(&keys, text.as_bytes(), Some(&signature));
        match (found, wrong) {
            (Ok(key), None) => assert!(key.starts_with("SHA256:"), "{key}"),
            (Err(error), Some(says)) => {
                assert!(error.to_string().contains(says), "{file}: {error}");
            }
            (found, _) => panic!("{file}: {found:?}"),
        }
    }
    let alice = std::fs::read_to_string(format!("{directory}/alice.sig")).unwrap();
    // Every character of it counts.
    let begins = alice.find('\n').unwrap();
    let ends = alice.rfind("-----END").unwrap();
    for at in begins..ends {
        let other = match alice.as_bytes()[at] {
            b'A' => "B",
            _ => "A",
        };
        let changed = format!("{}{other}{}", &alice[..at], &alice[at + 1..]);
        assert!(
            signed_by(&keys, b"a grant\n", Some(&changed)).is_err(),
            "{at}"
        );
    }
    let refused = |keys: &[String], signature: Option<&str>, says: &str| {
        let error = signed_by(keys, b"a grant\n", signature).unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    };
    refused(&keys, None, "it is not signed");
    refused(&keys, Some(""), "none that `ssh-keygen -Y sign` makes");
    refused(&keys, Some(&"x".repeat(5000)), "too long");
    refused(
        &["ssh-ed25519 AAAA x".to_owned()],
        Some(&alice),
        "no key that can sign",
    );
    let rsa =
        "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAIQDRbcL3FQAy2xSHBnNuDvyDJ6Dn0bGYGYnBdWXvx8rUyQ== x";
    refused(&[rsa.to_owned()], Some(&alice), "no key that can sign");
    // One that cannot be used does not keep the others from signing.
    let mixed = [rsa.to_owned(), public(ALICE)];
    assert!(signed_by(&mixed, b"a grant\n", Some(&alice)).is_ok());
    refused(
        &[rsa.to_owned(), public(9)],
        Some(&alice),
        "none of the keys that may",
    );
    assert!(signed_by(&[], b"a grant\n", Some(&alice)).is_ok());
}

/// Makes the signatures anew.
fn write_the_vectors() {
    let place = Place::new();
    let text = place
        .write("text", "a grant\n")
        .to_str()
        .unwrap()
        .to_owned();
    let (alice, mallory) = (key_file(&place, ALICE), key_file(&place, MALLORY));
    let made: [(&str, &str, &[&str]); 4] = [
        ("alice.sig", &alice, &["-n", "lictor-grant"]),
        ("mallory.sig", &mallory, &["-n", "lictor-grant"]),
        ("alice-git.sig", &alice, &["-n", "git"]),
        (
            "alice-sha256.sig",
            &alice,
            &["-n", "lictor-grant", "-O", "hashalg=sha256"],
        ),
    ];
    for (file, key, options) in made {
        let words = [&["-q", "-Y", "sign", "-f", key], options, &[&text]].concat();
        ssh_keygen(&place, &words).unwrap();
        let to = format!("{}/tests/data/grants/{file}", env!("CARGO_MANIFEST_DIR"));
        std::fs::copy(format!("{text}.sig"), to).unwrap();
        std::fs::remove_file(format!("{text}.sig")).unwrap();
    }
}

/// The key of a token, which this test has instead, and its signature of `bytes` with these flags.
fn token(bytes: &[u8], flags: u8) -> (ssh_key::PublicKey, String) {
    use ed25519_dalek::{Signer, SigningKey};
    use sha2::{Digest, Sha256};
    use ssh_key::public::{Ed25519PublicKey, KeyData, SkEd25519};
    use ssh_key::{Algorithm, HashAlg, Signature, SshSig};
    let secret = SigningKey::from_bytes(&[3; 32]);
    let inner = Ed25519PublicKey(secret.verifying_key().to_bytes());
    let data = KeyData::SkEd25519(SkEd25519::new(inner, "ssh:"));
    let message = SshSig::signed_data("lictor-grant", HashAlg::Sha512, bytes).unwrap();
    let trailer = [&[flags][..], &7_u32.to_be_bytes()].concat();
    let signed = [
        &Sha256::digest("ssh:")[..],
        &trailer,
        &Sha256::digest(&message),
    ]
    .concat();
    let raw = [&secret.sign(&signed).to_bytes()[..], &trailer].concat();
    let signature = Signature::new(Algorithm::SkEd25519, raw).unwrap();
    let signature = SshSig::new(data.clone(), "lictor-grant", HashAlg::Sha512, signature).unwrap();
    let key = ssh_key::PublicKey::new(data, "token");
    (key, signature.to_pem(LineEnding::LF).unwrap())
}

#[test]
fn a_token_signs_if_somebody_touches_it() {
    use lictor::record::signature::signed_by;
    let text = b"a grant\n";
    let (key, touched) = token(text, 1);
    let keys = [key.to_openssh().unwrap()];
    assert!(keys[0].starts_with("sk-ssh-ed25519@openssh.com "));
    assert!(signed_by(&keys, text, Some(&touched)).is_ok());
    let refused = |text: &[u8], signature: &str, says: &str| {
        let error = signed_by(&keys, text, Some(signature)).unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    };
    refused(b"another", &touched, "one of them was changed");
    refused(text, &token(text, 0).1, "nobody had to touch");
    assert!(signed_by(&[public(ALICE)], text, Some(&touched)).is_err());

    // ssh-keygen reads what this test takes for a token's signature.
    let place = Place::new();
    let signers = place.write("signers", format!("token {}\n", keys[0]));
    let sig = place.write("text.sig", &touched);
    let text = place.write("text", text);
    let args = ["-Y", "verify", "-n", "lictor-grant", "-I", "token", "-f"];
    let verify = Command::new("ssh-keygen")
        .args(args)
        .arg(signers)
        .arg("-s")
        .arg(sig)
        .stdin(std::fs::File::open(text).unwrap())
        .output();
    match verify {
        Ok(verify) if verify.stderr.starts_with(b"No user exists") => {
            eprintln!("not compared: ssh-keygen refuses a user without a name");
        }
        Ok(verify) => assert!(verify.status.success(), "{verify:?}"),
        Err(error) => eprintln!("not compared: no ssh-keygen: {error}"),
    }
}

#[test]
fn a_signed_grant_is_bounded_by_the_policy_whatever_it_says() {
    let place = signed();
    let file = grant_file(&place, "a.grant", &[]);
    let text = std::fs::read_to_string(&file).unwrap();
    let until = text
        .lines()
        .find(|line| line.contains("\"until\""))
        .unwrap();
    let generous = text
        .replace("\"uses\": 1", "\"uses\": 50")
        .replace(until, "  \"until\": \"2099-01-01T00:00:00.000000Z\",");
    let signature = key(ALICE, "")
        .sign(
            "lictor-grant",
            ssh_key::HashAlg::Sha512,
            generous.as_bytes(),
        )
        .unwrap();
    std::fs::write(&file, &generous).unwrap();
    let other = place.root().join("elsewhere");
    std::fs::write(&other, signature.to_pem(LineEnding::LF).unwrap()).unwrap();
    let words = [
        "approve",
        "--import",
        &file,
        "--signature",
        other.to_str().unwrap(),
    ];
    lictor(&place, &words).ends_with_code(0);
    let grant = &grants(&place)[0];
    assert_eq!(grant["uses"], 2);
    let until: jiff::Timestamp = grant["until"].as_str().unwrap().parse().unwrap();
    assert!(until < jiff::Timestamp::now() + jiff::SignedDuration::from_hours(8));
    run(&place, &SHOW, 0);
    run(&place, &SHOW, 0);
    run(&place, &SHOW, 126);
}

#[test]
fn a_key_with_a_passphrase_is_sent_to_ssh_keygen() {
    let place = signed();
    let file = place.root().join("locked").to_str().unwrap().to_owned();
    let made = ssh_keygen(
        &place,
        &[
            "-q", "-t", "ed25519", "-N", "secret", "-C", "x", "-f", &file,
        ],
    );
    if made.is_none() {
        return;
    }
    let words = approving(&["--key", &file]);
    let locked = lictor(&place, &words).ends_with_code(2);
    assert!(
        locked.stderr.contains("sign it with ssh-keygen"),
        "{locked:?}"
    );
}

// Whoever writes the ledger by hand

#[test]
fn an_entry_that_was_changed_is_found() {
    let place = unsigned();
    approve(&place, &[], &SHOW);
    let segment = place
        .root()
        .join("state/lictor/infra/segments/000000000000.jsonl");
    let text = std::fs::read_to_string(&segment).unwrap();
    assert_eq!(text.matches("\"uses\":1,").count(), 1);
    std::fs::write(&segment, text.replace("\"uses\":1,", "\"uses\":9,")).unwrap();
    lictor(&place, &["ledger", "verify"]).ends_with_code(1);
    // A run that has to read it again allows nothing by it.
    std::fs::remove_file(place.root().join("state/lictor/infra/state")).unwrap();
    run(&place, &SHOW, 126);
}

#[test]
fn an_entry_that_gives_more_than_was_signed_does_not_count() {
    use lictor::log::{Draft, Kind};
    use lictor::record::{Ledger, Options};
    let place = signed();
    let alice = key_file(&place, ALICE);
    let file = grant_file(&place, "a.grant", &["--key", &alice]);
    let body = std::fs::read_to_string(&file).unwrap();
    let signature = std::fs::read_to_string(format!("{file}.sig")).unwrap();
    let terms: Json = serde_json::from_str(&body).unwrap();
    let until = terms["until"].as_str().unwrap();
    let forge = |id: &str, uses: Json, until: Json, signature: Json| {
        let ledger = place.root().join("state/lictor/infra");
        std::fs::create_dir_all(&ledger).unwrap();
        let ledger = Ledger::open(&ledger, &Options::default()).unwrap();
        let draft = Draft::new(Kind::Grant)
            .with("grant", id)
            .with("change", "made")
            .with("uses", uses)
            .with("until", until)
            .with("body", body.replace(terms["id"].as_str().unwrap(), id))
            .with("signature", signature);
        ledger.commit(vec![draft]).unwrap();
    };
    let id = terms["id"].as_str().unwrap();
    let far = json!("2099-01-01T00:00:00.000000Z");
    let own = json!(signature);
    forge("g-unsigned", json!(1), json!(until), Json::Null);
    forge("g-renamed", json!(1), json!(until), own.clone());
    forge(id, json!(9), far, own);
    for grant in grants(&place) {
        assert_eq!(grant["standing"], "void", "{grant}");
    }
    let ask = run(&place, &SHOW, 126);
    assert!(ask.stderr.contains("says more than the grant"), "{ask:?}");
    assert!(ask.stderr.contains("it is not signed"), "{ask:?}");
    assert!(ask.stderr.contains("one of them was changed"), "{ask:?}");
}

#[test]
fn approvals_tells_people_what_there_is() {
    let place = unsigned();
    let none = lictor(&place, &["approvals"]).ends_with_code(0);
    assert_eq!(none.stdout, "no grants\n");
    let used = approve(&place, &["--who", "alice"], &SHOW);
    run(&place, &SHOW, 0);
    let open = approve(
        &place,
        &["--rule", "show", "--within", "states/b", "--actor", "ci"],
        &[],
    );
    let all = lictor(&place, &["approvals"]).ends_with_code(0);
    let workspace = place.work().canonicalize().unwrap();
    let workspace = format!("    workspace  {}", workspace.display());
    for says in [
        &format!("{used}  used  human"),
        "    for        terraform.show path=states/a",
        "    counts     1 of 1 used, until ",
        "    by         alice (uid ",
        &format!("{open}  open  human"),
        "    for        rule show",
        "    within     states/b",
        "    actor      ci",
        "    policy     infra, SHA-256 ",
        &workspace,
    ] {
        assert!(all.stdout.contains(says), "{says}: {all:?}");
    }
    let only = lictor(&place, &["approvals", "--open"]).ends_with_code(0);
    assert!(
        !only.stdout.contains(&used) && only.stdout.contains(&open),
        "{only:?}"
    );
}

#[test]
fn a_file_from_elsewhere_cannot_speak_to_the_terminal() {
    let place = unsigned();
    let file = grant_file(&place, "a.grant", &[]);
    let text = std::fs::read_to_string(&file).unwrap();
    let escape = "\\u001b]0;x\\u0007";
    let hostile = text
        .replace("\"why\": \"x\"", &format!("\"why\": \"{escape}\""))
        .replace(
            "\"tool\": \"terraform\"",
            &format!("\"tool\": \"{escape}\""),
        )
        .replace("states/a", escape);
    assert_eq!(hostile.matches("u001b").count(), 3);
    std::fs::write(&file, hostile).unwrap();
    let import = lictor(&place, &["approve", "--import", &file]).ends_with_code(0);
    let list = lictor(&place, &["approvals"]).ends_with_code(0);
    for answer in [import, list] {
        assert!(!answer.stdout.contains(['\u{1b}', '\u{7}']), "{answer:?}");
        assert!(answer.stdout.contains("u{1b}"), "{answer:?}");
    }
}

#[test]
fn an_ordinary_user_sees_all_of_this_too() {
    ordinary::again(module_path!(), &[]);
}

#[test]
fn lint_tells_grants_that_ended_unused_until_they_are_revoked_and_writes_nothing() {
    use lictor::record::{Ledger, Options};

    let place = unsigned();
    let findings = || -> Vec<String> {
        let found = lictor(&place, &["lint", "--json", "--exit-zero"]).ends_with_code(0);
        let found = found.json();
        let of_grants = found.as_array().unwrap().iter().filter(|found| {
            found["code"] == "P014" && found["message"].as_str().unwrap().contains("grant")
        });
        let messages = of_grants.map(|found| found["message"].as_str().unwrap().to_owned());
        messages.collect()
    };
    let directory = place.root().join("state/lictor/infra");
    assert_eq!(findings(), Vec::<String>::new());
    assert!(!directory.exists(), "looking makes no ledger");
    // One that counts is no finding, nor is one that is used up.
    approve(&place, &[], &SHOW);
    assert_eq!(findings(), Vec::<String>::new());

    let file = grant_file(&place, "old.grant", &[]);
    let mut old: Json = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    old["made"] = "2026-01-01T00:00:00.000000Z".into();
    old["until"] = "2026-01-01T08:00:00.000000Z".into();
    old["request"]["args"]["state"] = json!([null]);
    let policy = std::fs::read_to_string(place.work().join("lictor.yaml")).unwrap();
    let policy = lictor::policy::CompiledPolicy::from_yaml(&policy).unwrap();
    let is_human = |approval: &&lictor::policy::model::Approval| approval.name == "human";
    let human = policy.approvals().iter().find(is_human).unwrap();
    let ledger = Ledger::open(&directory, &Options::default()).unwrap();
    ledger.make_grant(&text(&old), None, None, human).unwrap();
    drop(ledger);
    let before = std::fs::read(directory.join("segments/000000000000.jsonl")).unwrap();
    assert_eq!(
        findings(),
        [
            "a grant of approval `human` has expired with uses left: it counted until 2026-01-01T08:00:00Z"
        ]
    );
    let after = std::fs::read(directory.join("segments/000000000000.jsonl")).unwrap();
    assert!(before == after, "looking writes nothing");
    // A grant for the policy as it was says nothing about it as it is.
    place.write(
        "lictor.yaml",
        format!("{}# edited\n", policy.files().next().unwrap().text),
    );
    assert_eq!(findings(), Vec::<String>::new());
    place.write("lictor.yaml", policy.files().next().unwrap().text.as_str());

    let id = old["id"].as_str().unwrap();
    lictor(&place, &["revoke", "--why", "nobody needs it", id]).ends_with_code(0);
    assert_eq!(findings(), Vec::<String>::new());
}
