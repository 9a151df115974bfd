//! At the moment of asking: what a person is offered, what each approval then covers, and what a refusal does.
//! Real processes.
use crate::support::ordinary;
use crate::support::program::{self, Answer, Place};
use serde_json::{Value as Json, json};

const POLICY: &str = r#"version: 1
name: asks
tools:
  edit:
    program: edit
    actions:
      write: {command: write, args: {force: {type: flag, names: ["--force"]}, path: {type: path, access: write, creates: itself, required: true, repeat: true}}}
      copy: {command: copy, args: {from: {type: path, required: true}, to: {type: path, access: write, creates: itself, required: true}}}
      stop: {command: stop}
      plan: {command: plan, args: {plan: {type: path, pin: true, required: true}}}
scopes:
  src: {include: "src/**", exclude: "src/vendor/**"}
  docs: ["docs/*.md"]
  keys: ["**/*.key"]
  release: ["src/release/**"]
  legal: ["src/legal/**"]
approvals:
  person: {grant: true}
  lead: {grant: true}
  brief: {grant: true, max_uses: 3, max_age: 5m}
rules:
  - {id: write, allow: edit.write, within: src, approval: person}
  - {id: write-docs, allow: edit.write, within: docs, approval: brief}
  - {id: release, ask: edit.write, touching: release, approval: lead}
  - {id: copy, allow: edit.copy, within: src, approval: person}
  - {id: stop, allow: edit.stop, approval: person}
  - {id: plan, allow: edit.plan, within: src, approval: person}
  - {id: no-keys, deny: "*", touching: keys, reason: Keys are nobody's business.}
invariants:
  - {id: legal, never: edit.copy, paths: "src/legal/**"}
defaults: {program_path: ["BIN", /usr/bin, /bin]}
"#;

/// Says what it was told to do.
const EDIT: &str = "#!/bin/sh\nprintf '%s\\n' \"$*\"\n";

fn place() -> Place {
    let place = Place::new();
    place.write("lictor.yaml", POLICY.replace("BIN", &bin(&place)));
    for file in [
        "src/ui/a.ts",
        "src/ui/b.ts",
        "src/ui/deep/c.ts",
        "src/ui/page.key",
        "src/vendor/x.js",
        "src/release/notes",
        "src/legal/terms",
        "src/lib.rs",
        "docs/a.md",
        "docs/b.md",
        "docs/sub/c.md",
        "docs/a.txt",
    ] {
        place.write(file, "text\n");
    }
    place
}

/// The directory of the program that the policy names, made with it.
fn bin(place: &Place) -> String {
    use std::os::unix::fs::PermissionsExt;
    let bin = place.root().join("bin");
    std::fs::create_dir(&bin).unwrap();
    let program = bin.join("edit");
    std::fs::write(&program, EDIT).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    bin.to_str().unwrap().to_owned()
}

fn lictor(place: &Place, words: &[&str]) -> Answer {
    place.lictor(words).end()
}

/// What is offered for a command line.
fn offers(place: &Place, words: &[&str]) -> Json {
    let all = [&["--actor", "agent", "approve", "--json", "--"], words].concat();
    lictor(place, &all).ends_with_code(3).json()
}

fn offered<'o>(offers: &'o Json, width: &str) -> Option<&'o Json> {
    let all = offers["offers"].as_array().unwrap();
    all.iter().find(|offer| offer["width"] == width)
}

#[track_caller]
fn approve(place: &Place, width: &str, words: &[&str]) -> Json {
    let options = [
        "--actor",
        "agent",
        "approve",
        "--json",
        "--why",
        "it was read",
        "--width",
    ];
    let all = [&options[..], &[width, "--"], words].concat();
    lictor(place, &all).ends_with_code(0).json()
}

#[track_caller]
fn check(place: &Place, actor: &str, words: &[&str], effect: &str) {
    let all = [
        &[
            "--actor",
            actor,
            "check",
            "--json",
            "--dry-run",
            "--on-disk",
            "--",
        ],
        words,
    ]
    .concat();
    let decision = lictor(place, &all).json();
    assert_eq!(decision["effect"], effect, "{words:?}: {decision:#}");
}

#[test]
fn a_request_is_offered_in_widths_each_with_what_it_covers() {
    let place = place();
    let all = offers(&place, &["edit", "write", "src/ui"]);
    let paths = offered(&all, "paths").unwrap();
    assert_eq!(
        paths["terms"]["extent"],
        json!({
            "rules": ["write"], "tool": "edit", "action": "write", "args": {}, "cwd": ".",
            "paths": {"path": {"within": ["src/ui/**"], "except": ["**/*.key"]}},
        })
    );
    assert_eq!(paths["files"], json!({"covered": 3, "kept_out": 1}));
    assert_eq!(
        (&paths["number"], &paths["terms"]["uses"]),
        (&json!(2), &json!(10))
    );
    // Wider than the tree: the directory above, without what is excluded, denied, or another rule's to ask about.
    let all = offers(&place, &["edit", "write", "src/lib.rs", "src/ui/a.ts"]);
    let below = offered(&all, "below").unwrap();
    assert_eq!(
        below["terms"]["extent"],
        json!({
            "rules": ["write"], "tool": "edit", "action": "write", "args": "any", "cwd": ".",
            "paths": {"path": {
                "within": ["src/**"],
                "except": ["src/vendor/**", "src/release/**", "**/*.key"],
            }},
        })
    );
    assert_eq!(below["files"], json!({"covered": 5, "kept_out": 3}));
    assert_eq!(below["terms"]["uses"], 20);
    assert_eq!(below["terms"]["actor"], "agent");
    // What a pattern of the rule says more closely than the directory is what is offered; no more than the policy lets a
    // grant have.
    let all = offers(&place, &["edit", "write", "docs/a.md"]);
    let below = offered(&all, "below").unwrap();
    assert_eq!(
        below["terms"]["extent"]["paths"]["path"],
        json!({"within": ["docs/*.md"]})
    );
    assert_eq!(below["files"], json!({"covered": 2, "kept_out": 0}));
    assert_eq!(below["terms"]["uses"], 3);
    // An invariant keeps out as a deny does. Each argument has places of its own.
    let all = offers(&place, &["edit", "copy", "src/lib.rs", "src/ui/c"]);
    let places = &offered(&all, "below").unwrap()["terms"]["extent"]["paths"];
    assert_eq!(
        places["to"],
        json!({"within": ["src/ui/**"], "except": ["**/*.key"]})
    );
    assert_eq!(
        places["from"]["except"],
        json!(["src/vendor/**", "**/*.key", "src/legal/**"])
    );
}

#[test]
fn a_width_that_says_no_more_or_cannot_be_proved_is_not_offered_and_why_is_told() {
    let place = place();
    let withheld = |words: &[&str], width: &str| {
        let all = offers(&place, words);
        assert!(offered(&all, width).is_none(), "{all:#}");
        let found = all["withheld"].as_array().unwrap().iter();
        let found = found.clone().find(|withheld| withheld["width"] == width);
        found.unwrap()["why"].as_str().unwrap().to_owned()
    };
    let why = withheld(&["edit", "write", "src/ui/a.ts"], "paths");
    assert!(why.contains("no more than the request itself"), "{why}");
    for width in ["paths", "below"] {
        let why = withheld(&["edit", "stop"], width);
        assert!(why.contains("names no path"), "{why}");
        let why = withheld(&["edit", "plan", "src/lib.rs"], width);
        assert!(why.contains("by its content"), "{why}");
        // The first answer is not the last: two people are asked.
        let why = lictor(
            &place,
            &[
                "approve",
                "--why",
                "x",
                "--approval",
                "lead",
                "--width",
                width,
                "--",
                "edit",
                "write",
                "src/release/notes",
            ],
        )
        .ends_with_code(2)
        .stderr;
        assert!(why.contains("needs another approval as well"), "{why}");
    }
}

#[test]
fn what_a_wider_grant_covers_runs_and_nothing_else_does() {
    let place = place();
    let granted = approve(&place, "below", &["edit", "write", "src/ui/a.ts"]);
    assert_eq!(granted["terms"]["extent"]["args"], "any");
    for words in [
        &["edit", "write", "src/ui/a.ts"][..],
        &["edit", "write", "src/ui/b.ts", "src/ui/deep/c.ts"],
        &["edit", "write", "--force", "src/ui/new.ts"],
        &["edit", "write", "src/ui/deep"],
    ] {
        check(&place, "agent", words, "allow");
        check(&place, "other", words, "ask");
    }
    for (words, effect) in [
        (&["edit", "write", "src/lib.rs"][..], "ask"),
        (&["edit", "write", "src/ui/a.ts", "src/lib.rs"], "ask"),
        (&["edit", "copy", "src/ui/a.ts", "src/ui/c"], "ask"),
        (&["edit", "write", "src/release/notes"], "ask"),
        (&["edit", "write", "src/ui/page.key"], "deny"),
        // The tree holds what is denied.
        (&["edit", "write", "src/ui"], "deny"),
    ] {
        check(&place, "agent", words, effect);
    }
    let run = [
        "--actor",
        "agent",
        "run",
        "--",
        "edit",
        "write",
        "src/ui/b.ts",
    ];
    let ran = lictor(&place, &run).ends_with_code(0);
    assert_eq!(ran.stdout, "write src/ui/b.ts\n");
    let list = lictor(&place, &["approvals", "--json"]).json();
    assert_eq!(list["grants"][0]["spent"], 1, "{list:#}");
    // A policy that changes voids it, whatever changed.
    let policy = std::fs::read_to_string(place.work().join("lictor.yaml")).unwrap();
    place.write("lictor.yaml", policy + "# read again\n");
    check(&place, "agent", &["edit", "write", "src/ui/b.ts"], "ask");
}

#[test]
fn the_same_command_is_the_same_arguments_on_some_of_the_paths() {
    let place = place();
    approve(&place, "2", &["edit", "write", "src/ui/a.ts", "src/lib.rs"]);
    for (words, effect) in [
        (&["edit", "write", "src/ui/a.ts", "src/lib.rs"][..], "allow"),
        (&["edit", "write", "src/lib.rs", "src/ui/a.ts"], "allow"),
        (&["edit", "write", "src/lib.rs"], "allow"),
        (&["edit", "write", "--force", "src/lib.rs"], "ask"),
        (&["edit", "write", "src/lib.rs", "src/ui/b.ts"], "ask"),
    ] {
        check(&place, "agent", words, effect);
    }
    // It is about the directory that it was asked in.
    let elsewhere = [
        "--actor",
        "agent",
        "check",
        "--json",
        "--dry-run",
        "--cwd",
        "src",
        "--",
        "edit",
        "write",
        "lib.rs",
    ];
    assert_ne!(lictor(&place, &elsewhere).json()["effect"], "allow");
}

#[test]
fn only_what_was_shown_is_approved() {
    let place = place();
    let words = ["edit", "write", "src/ui/a.ts"];
    let all = offers(&place, &words);
    let offer = offered(&all, "below").unwrap();
    let shown = offer["offer"].as_str().unwrap().to_owned();
    let approve = |width: &str| {
        let options = [
            "--actor", "agent", "approve", "--json", "--why", "x", "--offer", &shown, "--width",
        ];
        lictor(&place, &[&options[..], &[width, "--"], &words].concat())
    };
    let other = approve("exact").ends_with_code(2);
    assert!(other.stderr.contains("is not what was shown"), "{other:?}");
    approve("below").ends_with_code(0);
    let policy = std::fs::read_to_string(place.work().join("lictor.yaml")).unwrap();
    place.write("lictor.yaml", policy.replace("src/legal", "src/law"));
    approve("below").ends_with_code(2);
}

#[test]
fn what_is_offered_is_read_at_eighty_columns_and_quotes_each_value() {
    let place = place();
    let words = [
        "--actor",
        "agent",
        "approve",
        "--",
        "edit",
        "write",
        "src/ui/a.ts",
        "src/ui/it's .ts",
    ];
    let told = lictor(&place, &words).ends_with_code(3).stdout;
    for line in told.lines() {
        assert!(
            line.chars().count() <= 80 || line.contains("workspace"),
            "{line}"
        );
    }
    for part in [
        "1  exact  this request\n",
        "2  paths  this command on these paths\n",
        "3  below  this action below this directory\n",
        "counts     20 times, until ",
        "path in 'src/ui/**'",
        "path not in '**/*.key'",
        "none that a deny touches",
        r"'src/ui/it'\''s .ts'",
    ] {
        assert!(told.contains(part), "{part}:\n{told}");
    }
    let ask = [
        "--actor",
        "agent",
        "run",
        "--",
        "edit",
        "write",
        "src/ui/a.ts",
    ];
    let ask = lictor(&place, &ask).ends_with_code(126);
    assert!(
        ask.stderr.contains("the same line without --why"),
        "{ask:?}"
    );
}

/// Asks, as an agent does, and returns the exit code.
#[track_caller]
fn ask(place: &Place, words: &[&str], code: i32) -> Answer {
    let all = [&["--actor", "agent", "run", "--"], words].concat();
    lictor(place, &all).ends_with_code(code)
}

fn listed(place: &Place) -> Json {
    lictor(place, &["approvals", "--json"])
        .ends_with_code(0)
        .json()
}

/// The id and the state of the question about this path.
fn question(place: &Place, path: &str) -> (String, String) {
    let list = listed(place);
    let all = list["asks"].as_array().unwrap().iter();
    let is_meant = |ask: &&Json| ask["request"]["args"]["path"] == json!([path]);
    let found = all
        .clone()
        .find(is_meant)
        .unwrap_or_else(|| panic!("{list:#}"));
    let text = |name: &str| found[name].as_str().unwrap().to_owned();
    (text("id"), text("state"))
}

#[test]
fn a_question_is_answered_by_its_name_and_the_reason_reaches_whoever_asked() {
    let place = place();
    for path in ["src/ui/a.ts", "src/ui/b.ts", "src/ui/a.ts"] {
        ask(&place, &["edit", "write", path], 126);
    }
    let list = listed(&place);
    assert_eq!(list["asks"].as_array().unwrap().len(), 2, "{list:#}");
    let (a, state) = question(&place, "src/ui/a.ts");
    assert_eq!(state, "pending");
    let (b, _) = question(&place, "src/ui/b.ts");
    let shown = lictor(&place, &["approvals", &a[..12]])
        .ends_with_code(0)
        .stdout;
    assert!(
        shown.contains("asked      2 times") && shown.contains("3  below"),
        "{shown}"
    );
    assert!(
        shown.contains("nobody has answered yet") && !shown.contains("refused"),
        "{shown}"
    );

    let refuse = [
        "refuse",
        &b[..12],
        "--why",
        "b is generated\n\u{202e}by c",
        "--json",
    ];
    let refused = lictor(&place, &refuse).ends_with_code(0).json();
    assert_eq!(refused["terms"]["actor"], "agent");
    assert_eq!(question(&place, "src/ui/b.ts").1, "refused");
    let denied = ask(&place, &["edit", "write", "src/ui/b.ts"], 126);
    assert!(denied.stderr.contains("APPROVAL_REFUSED"), "{denied:?}");
    assert!(
        denied.stderr.contains(r"b is generated\n\u{202e}by c"),
        "{denied:?}"
    );
    // However it is spelled, and not what is another request, or another actor's.
    check(&place, "agent", &["edit", "write", "./src/ui/b.ts"], "deny");
    check(
        &place,
        "agent",
        &["edit", "write", "--force", "src/ui/b.ts"],
        "ask",
    );
    check(&place, "other", &["edit", "write", "src/ui/b.ts"], "ask");
    // Nothing wider lets it through.
    let approve = [
        "approve",
        &a[..12],
        "--width",
        "below",
        "--why",
        "mine",
        "--json",
    ];
    lictor(&place, &approve).ends_with_code(0);
    assert_eq!(question(&place, "src/ui/a.ts").1, "approved");
    assert_eq!(question(&place, "src/ui/b.ts").1, "refused");
    check(&place, "agent", &["edit", "write", "src/ui/b.ts"], "deny");
    ask(&place, &["edit", "write", "src/ui/a.ts"], 0);
    let again = lictor(&place, &["approve", &b[..12], "--why", "x"]).ends_with_code(2);
    assert!(
        again.stderr.contains("was refused") && again.stderr.contains("revoke"),
        "{again:?}"
    );
    // What is taken back is no answer any more.
    let id = refused["refusal"].as_str().unwrap();
    lictor(&place, &["revoke", id, "--why", "after all"]).ends_with_code(0);
    lictor(&place, &["revoke", id, "--why", "after all"]).ends_with_code(2);
    ask(&place, &["edit", "write", "src/ui/b.ts"], 0);
    lictor(&place, &["refuse", "abc", "--why", "x"]).ends_with_code(2);
    lictor(
        &place,
        &[
            "refuse",
            "--why",
            "x",
            "--",
            "edit",
            "write",
            "src/ui/page.key",
        ],
    )
    .ends_with_code(2);
    lictor(&place, &["ledger", "verify"]).ends_with_code(0);
}

/// The list as `tests/data/approvals.json` has it: without what differs each time.
fn settled(mut list: Json, place: &Place) -> Json {
    fn go(value: &mut Json, root: &str) {
        match value {
            Json::Object(fields) => {
                for (name, field) in fields.iter_mut() {
                    match (name.as_str(), &*field) {
                        ("id" | "grant", Json::String(text)) if text.len() == 32 => {
                            *field = json!("0".repeat(32))
                        }
                        ("id" | "grant", Json::String(text)) => {
                            *field = json!(format!("{}-0", &text[..1]))
                        }
                        ("first" | "last" | "until" | "made", Json::String(_)) => {
                            *field = json!("2026-11-22T15:00:00.000000Z");
                        }
                        ("policy" | "offer", Json::String(_)) => *field = json!("0".repeat(64)),
                        ("device" | "inode" | "uid", _) => *field = json!(0),
                        ("text", Json::String(_)) => *field = json!("TEXT"),
                        _ => go(field, root),
                    }
                }
            }
            Json::Array(values) => values.iter_mut().for_each(|value| go(value, root)),
            Json::String(text) => *text = text.replace(root, "/srv"),
            Json::Null | Json::Bool(_) | Json::Number(_) => {}
        }
    }
    go(&mut list, place.root().to_str().unwrap());
    list
}

#[test]
fn what_other_front_ends_read_is_as_documented() {
    let place = place();
    ask(&place, &["edit", "write", "src/ui/a.ts", "src/lib.rs"], 126);
    ask(&place, &["edit", "stop"], 126);
    ask(&place, &["edit", "write", "docs/a.md"], 126);
    let refuse = [
        "--actor", "agent", "refuse", "--why", "wait", "--", "edit", "stop",
    ];
    lictor(&place, &refuse).ends_with_code(0);
    let approve = [
        "--actor",
        "agent",
        "approve",
        "--why",
        "read",
        "--",
        "edit",
        "write",
        "docs/a.md",
    ];
    lictor(&place, &approve).ends_with_code(0);
    let list = listed(&place);
    // The text is what would be recorded, byte for byte.
    let offer = &list["asks"][0]["offers"][2];
    let terms: lictor::decision::grant::GrantTerms =
        serde_json::from_value(offer["terms"].clone()).unwrap();
    assert_eq!(offer["text"], terms.to_text());
    let text = serde_json::to_string_pretty(&settled(list, &place)).unwrap() + "\n";
    let golden = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/approvals.json");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&golden, &text).unwrap();
    }
    assert_eq!(text, std::fs::read_to_string(golden).unwrap());
}

/// What `line`, with `PROGRAM` for the program, shows on a terminal of its own, which `script` of util-linux makes, below no
/// agent that may run these tests: what starts it has ended before. Each of `typed` is typed after a second, and each line of
/// `meanwhile` is asked for by an agent.
fn on_a_terminal(place: &Place, line: &str, typed: &[&str], meanwhile: &str) -> String {
    let program =
        std::env::var(program::PROGRAM).unwrap_or(env!("CARGO_BIN_EXE_lictor").to_owned());
    let [out, done, typing] = ["out", "done", "typing"].map(|name| place.root().join(name));
    let keys: String = typed
        .iter()
        .map(|keys| format!("sleep 1; printf '{keys}'; "))
        .collect();
    let line = line.replace("PROGRAM", &program);
    let text = format!(
        "({keys} sleep 1) | script -qfec '{line}; echo \"ends $?\"' /dev/null >'{}' 2>&1; : >'{}'",
        out.display(),
        done.display(),
    );
    std::fs::write(&typing, text).unwrap();
    let start = |text: &str| {
        let mut command = std::process::Command::new("sh");
        command
            .args(["-c", text])
            .current_dir(place.work())
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", place.root())
            .env("XDG_STATE_HOME", place.root().join("state"))
            .env("SHELL", "/bin/sh")
            .stdin(std::process::Stdio::null());
        command.status().unwrap()
    };
    start(&format!("setsid -f sh '{}'", typing.display()));
    for words in meanwhile.lines() {
        std::thread::sleep(std::time::Duration::from_millis(700));
        start(&format!(
            "{program} --actor agent {words} >/dev/null 2>&1; true"
        ));
    }
    let end = std::time::Instant::now() + std::time::Duration::from_secs(120);
    while !done.exists() {
        assert!(std::time::Instant::now() < end, "it goes on");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    std::fs::remove_file(done).unwrap();
    std::fs::read_to_string(out).unwrap()
}

#[test]
fn a_person_at_a_terminal_answers_questions_as_they_come() {
    let place = place();
    ask(&place, &["edit", "write", "src/ui/a.ts"], 126);
    let told = on_a_terminal(
        &place,
        "PROGRAM approvals --watch",
        &[
            "1\\n",
            "",
            "",
            "a 1\\n",
            "3\\n",
            "my own\\n",
            "r 2\\n",
            "no, wait\\n",
            "q\\n",
        ],
        "run -- edit copy src/lib.rs src/vendors\nrun -- edit write docs/a.md",
    );
    for part in [
        "  1  ",
        "agent asks: edit.write path=src/ui/a.ts",
        "  2  ",
        "agent asks: edit.copy from=src/lib.rs to=src/vendors",
        "  3  ",
        "none that a deny touches",
        "approved as `g-",
        "refused as `r-",
        "ends 0",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    for line in told.lines() {
        let line = line.trim_end();
        let is_own = !line.contains("workspace") && !line.contains("speed");
        assert!(!is_own || line.chars().count() <= 80, "{line}");
        assert!(!line.contains('\u{1b}'), "{line:?}");
    }
    assert_eq!(question(&place, "src/ui/a.ts").1, "approved");
    assert_eq!(question(&place, "docs/a.md").1, "pending");
    ask(&place, &["edit", "write", "src/ui/b.ts"], 0);
    let denied = ask(&place, &["edit", "copy", "src/lib.rs", "src/vendors"], 126);
    assert!(denied.stderr.contains("no, wait"), "{denied:?}");
}

#[test]
fn an_interrupt_ends_it_and_leaves_the_terminal_and_the_questions_as_they_were() {
    let place = place();
    ask(&place, &["edit", "write", "src/ui/a.ts"], 126);
    let told = on_a_terminal(
        &place,
        "PROGRAM approvals --watch",
        &["a 1\\n", "\\003"],
        "",
    );
    assert!(told.contains("width (1, 3):"), "{told}");
    assert!(!told.contains("approved"), "{told}");
    assert_eq!(question(&place, "src/ui/a.ts").1, "pending");
}

#[test]
fn what_an_agent_starts_does_not_answer() {
    let place = place();
    ask(&place, &["edit", "write", "src/ui/a.ts"], 126);
    let piped = lictor(&place, &["approvals", "--watch"]).ends_with_code(2);
    assert!(piped.stderr.contains("a person's terminal"), "{piped:?}");
    let watch = |line: &str| on_a_terminal(&place, line, &["q\\n"], "");
    let person = watch("PROGRAM approvals --watch");
    assert!(person.contains("ends 0"), "{person}");
    let marked = watch("CLAUDECODE=1 PROGRAM approvals --watch");
    assert!(
        marked.contains("$CLAUDECODE is set") && marked.contains("ends 2"),
        "{marked}"
    );
    // An agent that hides its marks is seen by its name.
    let agent = place.root().join("bin/codex");
    std::fs::copy("/bin/sh", &agent).unwrap();
    let below = format!(
        "{} -c \"PROGRAM approvals --watch; exit \\$?\"",
        agent.display()
    );
    let named = watch(&below);
    assert!(
        named.contains("the agent `codex` started this program"),
        "{named}"
    );
    assert!(named.contains("ends 2"), "{named}");
}

#[test]
fn all_of_it_as_an_ordinary_user() {
    ordinary::again(module_path!(), &["as_an_ordinary_user"]);
}
