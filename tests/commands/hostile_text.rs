//! No output of any command carries characters that act on a terminal, that nobody sees, or that end a line for some
//! readers, whatever a policy, a record, names of files and arguments hold. The output of a command that `run` passes on is
//! the one exception.

use crate::support::need;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;

use crate::support::program::{Answer, Place};

/// Text that acts on a terminal, hides, reorders, and begins a line of its own.
const HOSTILE: &str = "x\u{1b}]0;pwn\u{7}\u{1b}[35;45m\u{9b}31m\u{85}\u{202e}\u{2066}\u{2028}\u{200b}\u{feff}\u{e0041}\u{7f}\u{8}\t\r\nFORGED: all is well";

/// The text as a double-quoted value of YAML and JSON.
fn quoted() -> String {
    let escaped = HOSTILE.chars().map(|c| match c {
        '\u{20}'..='\u{7e}' => c.to_string(),
        c if u32::from(c) > 0xffff => {
            let mut units = [0; 2];
            let units = c.encode_utf16(&mut units);
            units.iter().map(|unit| format!("\\u{unit:04x}")).collect()
        }
        c => format!("\\u{:04x}", u32::from(c)),
    });
    format!("\"{}\"", escaped.collect::<String>())
}

/// A policy with that text wherever it takes text.
fn policy() -> String {
    // YAML has other escapes than JSON beyond U+FFFF.
    let text = quoted().replace("\\udb40\\udc41", "\\U000E0041");
    format!(
        r#"version: 1
name: hostile
description: {text}
use: [lictor/files@1, lictor/coreutils@1]
tools:
  say: {{program: echo, actions: {{say: {{args: {{what: {{type: text, pattern: "[a-z]+", means: {text}}}}}}}}}}}
scopes: {{docs: "docs/**", secrets: "docs/secret/**", drafts: "drafts/**"}}
approvals: {{owner: {{grant: true, reference: {text}}}}}
rules:
  - {{id: read, allow: [cat.run, ls.run, filesystem.read_file, say.say], within: docs, reason: {text}, instead: {text}}}
  - {{id: ask, allow: wc.run, within: drafts, approval: owner, reason: {text}, instead: {text}}}
  - {{id: secret, deny: "*", touching: secrets, reason: {text}, instead: {text}}}
invariants:
  - {{id: closed, never: "*", paths: ["docs/**"]}}
tests:
  - {{run: [cat, {text}], expect: allow}}
  - {{tool: filesystem, action: read_file, args: {{path: {text}}}, expect: allow, given: {{actor: {text}}}}}
"#
    )
}

/// Policies that say something wrong in such text, as it is and as an escape.
fn wrong_policies() -> Vec<String> {
    let text = quoted().replace("\\udb40\\udc41", "\\U000E0041");
    vec![
        format!("version: 1\nname: {text}\nrules: []\n"),
        format!("version: 1\nname: wrong\n{text}: 1\nscopes: {{{text}: [{text}]}}\n"),
        format!(
            "version: 1\nname: wrong\nuse: [{text}]\nextends: [{text}]\nrules: [{{id: {text}, allow: {text}, within: {text}}}]\n"
        ),
        format!("version: 1\nname: wrong\nrules: [] # {HOSTILE}\n"),
        format!("version: 1\nname: wrong\nscopes: {{a: \"{HOSTILE}\"}}\n"),
        HOSTILE.to_owned(),
    ]
}

fn name(text: &str) -> String {
    text.replace('/', "")
}

fn place() -> Place {
    let place = Place::with_policy(&policy());
    let name = name(HOSTILE);
    for directory in ["docs", "docs/secret", "drafts", "elsewhere"] {
        place.write(&format!("{directory}/{name}"), "text\n");
        place.write(&format!("{directory}/{name}-directory/a"), "text\n");
    }
    place.write("docs/a.md", "text\n");
    let text = quoted();
    place.write(
        "settings.json",
        format!("{{\"permissions\": {{\"deny\": [{text}, \"Bash(rm:*)\"]}}}}"),
    );
    place.write("drafts/a.md", "text\n");
    place.write(&format!("{name}.yaml"), policy());
    let old = policy().replace("docs/**\", secrets", "docs/*.md\", secrets");
    place.write("old.yaml", old);
    for (nth, policy) in wrong_policies().into_iter().enumerate() {
        place.write(&format!("wrong-{nth}.yaml"), policy);
    }
    place
}

/// The arguments that are tried in the place of `X`.
fn values() -> Vec<OsString> {
    let mut bytes = HOSTILE.as_bytes().to_vec();
    bytes.extend(b"\xff\x1b[2J");
    vec![
        HOSTILE.into(),
        format!("docs/{}", name(HOSTILE)).into(),
        format!("--{HOSTILE}").into(),
        OsString::from_vec(bytes),
    ]
}

/// Lines of all commands, in which `X` stands for a hostile word and `Y` for the hostile policy's file.
const LINES: &[&str] = &[
    "X",
    "--policy X check -- cat docs/a.md",
    "--ledger X ledger show",
    "--actor X check -- cat X",
    "--color X doctor",
    "check -- X",
    "check -- cat X",
    "check -- wc X",
    "check -- say X",
    "check X",
    "check --on-disk -- ls docs X",
    "check --tool X --action X --arg X",
    "check --tool filesystem --action read_file --arg path=X",
    "check --tool filesystem --action X",
    "check --cwd X -- ls",
    "check --at X -- ls",
    "check --given-env X --given-approval X -- wc drafts/a.md",
    "check --batch",
    "explain -- cat X",
    "explain --on-disk -- wc drafts/a.md",
    "explain --on-disk -- ls docs/secret",
    "explain --policy Y -- cat docs/secret/a",
    "run -- X",
    "run -- cat X",
    "run -- wc drafts/a.md",
    "run -- cat docs/secret/a",
    "run --cwd X -- ls",
    "run --outcome X -- cat docs/a.md",
    "run --report-file X -- cat docs/a.md",
    "run --grant X -- cat docs/a.md",
    "--sealed run --outcome X -- cat a",
    "approve --why X -- wc drafts/a.md",
    "approve --why X --who X --for X -- wc drafts/a.md",
    "approve --why x --rule X --within X",
    "approve --why x --approval X -- wc drafts/a.md",
    "approve --import X --signature X",
    "approve --why x --key X -- wc drafts/a.md",
    "approvals",
    "approvals --open",
    "approvals X",
    "approve -- X",
    "approve -- wc drafts/a.md",
    "approve X --why X",
    "approve --why X --width X -- wc drafts/a.md",
    "approve --why X --width below --offer X -- wc drafts/a.md",
    "refuse X --why X",
    "refuse --why X --who X -- wc drafts/a.md",
    "refuse --why X --for X -- X",
    "revoke X --why X",
    "start --name X -- cat docs/a.md",
    "start --name web -- X",
    "start --name web -- cat docs/secret/a",
    "start --name web --owner-pid X -- cat docs/a.md",
    "list-runs",
    "logs X",
    "stop long",
    "stop X",
    "lint",
    "lint X",
    "lint Y",
    "lint --all Y",
    "lint --fix Y",
    "lint --explain X",
    "lint --baseline old.yaml Y",
    "lint --baseline X Y",
    "lint --format X",
    "lint --format human Y X wrong-0.yaml wrong-1.yaml wrong-2.yaml wrong-3.yaml wrong-4.yaml wrong-5.yaml",
    "lint --format compact Y X wrong-0.yaml wrong-1.yaml wrong-2.yaml wrong-3.yaml wrong-4.yaml wrong-5.yaml",
    "lint --format json Y X wrong-0.yaml wrong-1.yaml wrong-2.yaml wrong-3.yaml wrong-4.yaml wrong-5.yaml",
    "lint --format sarif Y X wrong-0.yaml wrong-1.yaml wrong-2.yaml wrong-3.yaml wrong-4.yaml wrong-5.yaml",
    "lint --format github Y X wrong-0.yaml wrong-1.yaml wrong-2.yaml wrong-3.yaml wrong-4.yaml wrong-5.yaml",
    "lint --format junit Y X wrong-0.yaml wrong-1.yaml wrong-2.yaml wrong-3.yaml wrong-4.yaml wrong-5.yaml",
    "check --policy wrong-0.yaml -- ls",
    "check --policy wrong-2.yaml -- ls",
    "check --policy wrong-3.yaml -- ls",
    "test Y",
    "test --coverage Y X",
    "test --format json Y X",
    "test --format junit Y X",
    "test --generate Y",
    "diff old.yaml Y",
    "diff X Y",
    "diff --git X lictor.yaml",
    "diff --against-ledger ../ledger old.yaml Y",
    "prove Y X",
    "suggest",
    "list",
    "list --tool X",
    "list --tool cat --all",
    "list --tool ls --action run --all",
    "attack --count 30 Y",
    "attack X",
    "ledger verify",
    "ledger verify --anchor X",
    "ledger show",
    "ledger show --run X",
    "ledger show --from X",
    "ledger show --reason X",
    "ledger tail -n 200",
    "ledger tail -n 200 --format jsonl",
    "ledger tail -n 200 --format ocsf",
    "ledger stats",
    "ledger stats --format json",
    "ledger stats --format openmetrics",
    "ledger anchor --out X",
    "ledger anchor",
    "ledger prove 1",
    "ledger prove X",
    "ledger check-proof X",
    "ledger export X",
    "ledger export --format jsonl",
    "ledger export --format ocsf",
    "ledger reindex",
    "ledger key show",
    "ledger key X",
    "init --preset X",
    "init --for X",
    "init --print",
    "init --preset X --print",
    "import X",
    "import claude-settings X",
    "import claude-settings settings.json",
    "audit X",
    "audit claude X",
    "audit claude settings.json",
    "audit claude settings.json --format X",
    "init --for X",
    "init --agent X",
    "init --agent codex --policy X --print",
    "init --agent codex --on-allow X",
    "tools",
    "tools show X",
    "tools try -- X",
    "tools try -- cat X",
    "tools try -- git log X",
    "hook X",
    "hook claude-code",
    "ledger calls",
    "ledger calls --open",
    "schema",
    "doctor",
];

/// Makes a record, and appends to it what a hostile writer could: lines with that text in the place of every text.
fn record(place: &Place, ledger: &Path) {
    let to = ledger.to_str().unwrap();
    let mark = "markmarkmark";
    for words in [
        &[
            "--ledger",
            to,
            "--actor",
            mark,
            "run",
            "--",
            "cat",
            "docs/a.md",
        ][..],
        &["--ledger", to, "--actor", mark, "run", "--", "cat", mark],
        &["--ledger", to, "--actor", mark, "run", "--", mark, mark],
        &[
            "--ledger",
            to,
            "--actor",
            mark,
            "approve",
            "--why",
            mark,
            "--",
            "wc",
            "drafts/a.md",
        ],
        &[
            "--ledger",
            to,
            "--actor",
            mark,
            "check",
            "--",
            "cat",
            "/markmarkmark",
        ],
    ] {
        place.lictor(words).end();
    }
    let segment = ledger.join("segments/000000000000.jsonl");
    let mut text = std::fs::read_to_string(&segment).unwrap();
    let inside = quoted().trim_matches('"').to_owned();
    let raw = inside
        .replace("\\u202e", "\u{202e}")
        .replace("\\u2028", "\u{2028}");
    for hostile in [&inside, &raw] {
        let mut forged = text.replace(mark, hostile);
        for (key, value) in [
            ("effect", "deny"),
            ("effect", "allow"),
            ("reason", "TOOL_NOT_ALLOWED"),
            ("reason", "PATH_NOT_FOUND"),
            ("status", "PASS"),
            ("level", "pid-namespace"),
            ("rule", "read"),
            ("tool", "cat"),
            ("action", "run"),
            ("program", "cat"),
            ("host", "markless"),
        ] {
            forged = forged.replace(
                &format!("\"{key}\":\"{value}\""),
                &format!("\"{key}\":\"{hostile}\""),
            );
        }
        // A list of processes, as a run that left some behind records it.
        let process = format!(
            "[{{\"pid\":1,\"ppid\":0,\"state\":\"{hostile}\",\"command\":\"{hostile}\",\"age_ms\":1,\"cpu_ms\":1,\"rss_bytes\":1,\"sid\":1,\"pgid\":1,\"threads\":1}}]"
        );
        for list in ["leaked", "survivors", "tree"] {
            forged = forged.replace(&format!("\"{list}\":[]"), &format!("\"{list}\":{process}"));
        }
        assert_ne!(forged, text);
        text.push_str(&forged);
    }
    std::fs::write(&segment, text).unwrap();
    // A long run, of which everything is such text.
    let run = ledger.join("running/long");
    std::fs::create_dir_all(&run).unwrap();
    std::fs::write(run.join("lock"), "").unwrap();
    std::fs::write(run.join("out-00000000000000000000"), HOSTILE).unwrap();
    let about = r#"{"v":1,"name":T,"run":T,"argv":[T],"actor":T,"pid":1,"started":T,"lease_ms":1,"until":T,"grace_ms":1,"owner_pid":1,
        "ended":{"at":T,"status":T,"exit_code":1,"signal":1,"duration_ms":1,"recorded":true,"clean":true,"events":[{"what":T,"about":T}]}}"#;
    std::fs::write(run.join("run"), about.replace('T', &quoted())).unwrap();
}

/// The odd characters and forged lines of a text, and what an escape sequence of a value looks like.
fn found(text: &str, is_coloured: bool) -> Option<String> {
    let mut text = text.to_owned();
    if is_coloured {
        if text.contains("\u{1b}[35;45m") {
            return Some("a colour that a value sets".to_owned());
        }
        // The colours of the program's own.
        while let Some((before, behind)) = text.split_once("\u{1b}[") {
            let end = behind.find(|c: char| !c.is_ascii_digit() && c != ';');
            let (_, rest) = behind.split_at(end.unwrap_or(0));
            match rest.strip_prefix('m') {
                Some(rest) => text = format!("{before}{rest}"),
                None => return Some("an escape sequence".to_owned()),
            }
        }
    }
    let is_odd = |c: char| {
        (c.is_control() && c != '\n')
            || matches!(u32::from(c), 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f | 0xfeff | 0xfff9..=0xfffb | 0xe0000..=0xe0fff)
    };
    if let Some(c) = text.chars().find(|c| is_odd(*c)) {
        return Some(format!("U+{:04X}", u32::from(c)));
    }
    let forged = text.lines().find(|line| line.starts_with("FORGED"));
    forged.map(|line| format!("the line {line:?}"))
}

#[test]
fn no_command_prints_what_acts_on_a_terminal_or_hides() {
    let place = place();
    let ledger = place.ledger();
    record(&place, &ledger);
    let sound = place.root().join("sound");
    let policy = OsString::from(format!("{}.yaml", name(HOSTILE)));
    let batch = format!(
        "{{\"argv\":[\"cat\",{0}],\"actor\":{0},\"id\":{0}}}\n{HOSTILE}\n{{\"argv\":[{0}]}}\n",
        quoted()
    );
    let mut wrong = Vec::new();
    for line in LINES {
        let values = match line.split(' ').any(|word| word.contains('X')) {
            true => values(),
            false => vec![OsString::new()],
        };
        for (nth, value) in values.iter().enumerate() {
            for before in [&[][..], &["--json"], &["--color", "always"]] {
                // One of the values for each way to print.
                if !before.is_empty() && nth > 0 {
                    continue;
                }
                if before.contains(&"--color") && line.contains("--color") {
                    continue;
                }
                let word = |word: &str| -> OsString {
                    match word {
                        "X" => value.clone(),
                        "Y" => policy.clone(),
                        "path=X" => [OsString::from("path="), value.clone()]
                            .into_iter()
                            .collect(),
                        word => word.into(),
                    }
                };
                let mut words: Vec<OsString> = before.iter().map(Into::into).collect();
                if !line.contains("--ledger") {
                    // What is damaged lets nothing run.
                    let runs = ["run", "approve", "approvals", "refuse", "revoke"];
                    let is_run = runs.iter().any(|name| line.starts_with(name));
                    let to = if is_run { &sound } else { &ledger };
                    words.extend(["--ledger".into(), to.clone().into()]);
                }
                words.extend(line.split(' ').map(word));
                let mut start = place.lictor(&words);
                if line.contains("--batch") {
                    start = start.input(batch.clone());
                }
                let Answer { stdout, stderr, .. } = start.end();
                for (stream, text) in [("stdout", &stdout), ("stderr", &stderr)] {
                    if let Some(what) = found(text, before.contains(&"always")) {
                        wrong.push(format!(
                            "{before:?} {line} ({value:?}), {stream}: {what}\n{text:?}"
                        ));
                    }
                }
            }
        }
    }
    for format in ["human", "jsonl", "ocsf"] {
        // What is followed has no end.
        let ledger = ledger.to_str().unwrap();
        let words = [
            "--ledger", ledger, "ledger", "tail", "-f", "-n", "200", "--format", format,
        ];
        let mut child = place.lictor(words).command.spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_secs(1));
        child.kill().unwrap();
        let said = child.wait_with_output().unwrap();
        let stdout = String::from_utf8(said.stdout).unwrap();
        assert!(stdout.contains("FORGED"), "{stdout}");
        if let Some(what) = found(&stdout, false) {
            wrong.push(format!("tail -f --format {format}: {what}\n{stdout:?}"));
        }
    }
    for file in ["wrong.json", "lines.jsonl", "events.jsonl"] {
        let to = place.root().join(file);
        let to = to.to_str().unwrap();
        let export = ["--ledger", "../ledger", "ledger", "export", "--format"];
        let line = match file {
            "wrong.json" => vec!["run", "--outcome", to, "--", "cat", HOSTILE],
            "lines.jsonl" => [&export[..], &["jsonl", to]].concat(),
            _ => [&export[..], &["ocsf", to]].concat(),
        };
        place.lictor(line).end();
        let text = std::fs::read_to_string(to).unwrap();
        if let Some(what) = found(&text, false) {
            wrong.push(format!("the file {file}: {what}"));
        }
    }
    let count = wrong.len();
    wrong.dedup();
    wrong.truncate(30);
    assert!(wrong.is_empty(), "{count}:\n{}", wrong.join("\n\n"));
}

#[test]
fn every_command_is_among_the_lines() {
    let place = Place::new();
    let commands = |words: &[&str]| -> Vec<String> {
        let help = place.lictor(words).end().stdout;
        let (_, list) = help.split_once("Commands:\n").unwrap();
        let (list, _) = list.split_once("\n\n").unwrap();
        let names = list
            .lines()
            .filter(|line| line.starts_with("  ") && !line.starts_with("   "));
        names
            .map(|line| line.split_whitespace().next().unwrap().to_owned())
            .collect()
    };
    let tried = |name: &str| {
        let mut lines = LINES.iter();
        name == "help" || lines.any(|line| format!(" {line} ").contains(&format!(" {name} ")))
    };
    for name in commands(&["--help"]) {
        assert!(tried(&name), "{name}");
    }
    for name in commands(&["ledger", "--help"]) {
        assert!(
            tried(&format!("ledger {name}")) || name == "help",
            "ledger {name}"
        );
    }
}

#[test]
fn the_output_of_a_command_is_passed_on_as_it_is() {
    let place = place();
    place.write("docs/raw", HOSTILE);
    let run = place
        .lictor(["run", "--", "cat", "docs/raw"])
        .end()
        .ends_with_code(0);
    assert_eq!(run.stdout, HOSTILE);
}

#[test]
fn names_of_processes_that_run_are_shown_escaped_once() {
    let policy = r#"version: 1
name: live
tools:
  python3: {program: /usr/bin/python3, actions: {run: {args: {file: {type: path, required: true, access: read}}}}}
scopes: {all: ["**"]}
rules: [{id: r, allow: python3.run, within: all, limits: {timeout: 1s, grace: 100ms}}]
defaults: {program_path: [/usr/bin, /bin]}
"#;
    if !need::system_python() {
        return;
    }
    let place = Place::with_policy(policy);
    // The name of one, and what the kernel knows of another that has no command line.
    let script = format!(
        r#"import os, ctypes
name = {} + "it's \\x"
if os.fork() == 0: os.execv('/bin/sleep', [name, '30'])
if os.fork() == 0:
    ctypes.CDLL(None).prctl(15, "\x1b[2J\nFORGED".encode(), 0, 0, 0)
    os.execv('/bin/sleep', ['', '30'])
os.execv('/bin/sleep', ['sleep', '30'])
"#,
        quoted().replace("\\udb40\\udc41", "\\U000E0041")
    );
    place.write("script", script);
    let said = place.lictor(["run", "--", "python3", "script"]).end();
    let json = place
        .lictor(["--json", "run", "--", "python3", "script"])
        .end();
    let show = place.lictor(["ledger", "show"]).end();
    for text in [
        &said.stdout,
        &said.stderr,
        &json.stdout,
        &json.stderr,
        &show.stdout,
    ] {
        assert_eq!(found(text, false), None, "{text:?}");
    }
    assert!(said.stderr.contains("x\\u{1b}]0;pwn"), "{}", said.stderr);
    let evidence = &json.json()["evidence"];
    let tree = evidence["tree"].as_array().unwrap();
    let named = |wanted: &str| {
        tree.iter()
            .any(|process| process["command"].as_str() == Some(wanted))
    };
    assert!(named(&format!("{HOSTILE}it's \\x 30")), "{evidence}");
}
