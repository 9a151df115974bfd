//! Policies that extend others: what a parent denies stays denied, and nothing of it can be replaced.

use std::collections::HashMap;

use lictor::decision::{Context, Effect, Request, decide};
use lictor::policy::{CompiledPolicy, Files, PolicyErrors, SourceFile};

/// Files that are not on any disk.
#[derive(Default)]
struct Shelf {
    files: HashMap<&'static str, String>,
    floor: Vec<&'static str>,
}

impl Shelf {
    fn with(mut self, name: &'static str, text: impl Into<String>) -> Shelf {
        self.files.insert(name, text.into());
        self
    }

    fn load(&self, child: &str) -> Result<CompiledPolicy, PolicyErrors> {
        CompiledPolicy::load(SourceFile::new("lictor.yaml", child), self)
    }

    #[track_caller]
    fn refuses(&self, child: &str, line: u32, column: u32, code: &str, says: &str) {
        let errors = match self.load(child) {
            Ok(_) => panic!("it is accepted"),
            Err(errors) => errors,
        };
        let found: Vec<_> = errors
            .problems()
            .iter()
            .map(|p| {
                let text = format!("{} / {}", p.message, p.help.clone().unwrap_or_default());
                (p.at.line, p.at.column, p.code.text(), text)
            })
            .collect();
        assert!(
            found
                .iter()
                .any(|f| (f.0, f.1, f.2) == (line, column, code) && f.3.contains(says)),
            "{found:#?}"
        );
        assert!(found.iter().all(|f| !f.3.ends_with("/ ")), "{found:#?}");
    }
}

impl Files for Shelf {
    fn read(&self, name: &str) -> Result<SourceFile, String> {
        let text = self.files.get(name).ok_or("there is none")?;
        Ok(SourceFile::new(name, text))
    }

    fn floor(&self) -> Result<Vec<SourceFile>, String> {
        self.floor.iter().map(|name| self.read(name)).collect()
    }
}

const BASE: &str = "version: 1
name: base
use: lictor/files@1
scopes: {secrets: [\"**/.env*\"], docs: [\"docs/**\"]}
approvals: {owner: {env: OWNER}}
rules:
  - {id: no-secrets, deny: \"*\", touching: secrets}
  - {id: ask-docs, ask: filesystem.write_file, touching: docs, approval: owner}
  - {id: read-docs, allow: filesystem.read_file, within: docs}
defaults: {limits: {timeout: 60s, processes: 10}, containment: subreaper}
";

const CHILD: &str = "version: 1
name: child
extends: base.yaml
use: lictor/files@1
scopes: {all: [\"**\"]}
rules:
  - {id: everything, allow: [filesystem.read_file, filesystem.write_file], within: all}
";

#[track_caller]
fn is(policy: &CompiledPolicy, action: &str, path: &str, effect: Effect) {
    let request = Request::named("filesystem", action).with_arg("path", path);
    let decision = decide(policy, &request, &Context::new("me"));
    assert_eq!(decision.effect(), effect, "{action} {path}");
}

#[test]
fn what_a_parent_denies_and_asks_for_holds_in_the_child() {
    let policy = Shelf::default()
        .with("base.yaml", BASE)
        .load(CHILD)
        .unwrap();
    assert_eq!(policy.name(), "child");
    is(&policy, "read_file", "src/a.rs", Effect::Allow);
    is(&policy, "read_file", "src/.env", Effect::Deny);
    is(&policy, "write_file", "docs/a.md", Effect::Ask);
    let files: Vec<&str> = policy.files().map(|file| file.name.as_str()).collect();
    assert_eq!(files, ["lictor.yaml", "lictor/files@1", "base.yaml"]);
}

#[test]
fn what_a_parent_allows_is_allowed_in_the_child() {
    let child = "version: 1\nname: child\nextends: [base.yaml]\n";
    let policy = Shelf::default()
        .with("base.yaml", BASE)
        .load(child)
        .unwrap();
    is(&policy, "read_file", "docs/a.md", Effect::Allow);
    is(&policy, "read_file", "src/a.rs", Effect::Deny);
}

#[test]
fn the_floor_is_the_parent_of_every_policy() {
    let floor = BASE.replace("name: base", "name: floor");
    let mut shelf = Shelf::default().with("/etc/floor/1.yaml", floor);
    let child = CHILD.replace("extends: base.yaml\n", "");
    is(
        &shelf.load(&child).unwrap(),
        "read_file",
        ".env",
        Effect::Allow,
    );
    shelf.floor.push("/etc/floor/1.yaml");
    is(
        &shelf.load(&child).unwrap(),
        "read_file",
        ".env",
        Effect::Deny,
    );
    shelf.floor.push("/etc/floor/absent.yaml");
    shelf.refuses(&child, 1, 1, "P009", "floor");
}

#[test]
fn defaults_are_combined_to_the_stricter() {
    let child = "version: 1
name: child
extends: base.yaml
tools: {ls: {program: ls, actions: {run: {}}}}
rules: [{id: list, allow: ls.run}]
defaults: {limits: {timeout: 5m, processes: 4, output: 1KiB}, leaks: fail}
";
    let policy = Shelf::default()
        .with("base.yaml", BASE)
        .load(child)
        .unwrap();
    let decision = decide(&policy, &Request::argv(["ls"]), &Context::new("me"));
    let json = decision.to_json();
    assert_eq!(json["limits"]["timeout_ms"], 60_000);
    assert_eq!(json["limits"]["processes"], 4);
    assert_eq!(json["limits"]["output_bytes"], 1024);
    assert_eq!(json["containment"], "subreaper");
}

#[test]
fn nothing_that_a_parent_defines_can_be_replaced() {
    let shelf = Shelf::default().with("base.yaml", BASE);
    let with = |section: &str| format!("version: 1\nname: child\nextends: base.yaml\n{section}\n");
    let check = |section: &str, column, says: &str| {
        shelf.refuses(&with(section), 4, column, "P005", says);
    };
    check("scopes: {secrets: [\"x\"]}", 20, "scope `secrets`");
    check(
        "approvals: {owner: {env: MINE}}",
        13,
        "approval `owner` is defined by `base.yaml`",
    );
    check(
        "tools: {filesystem: {actions: {read_file: {}}}}",
        9,
        "tool `filesystem`",
    );
    check(
        "rules: [{id: no-secrets, deny: \"*\"}]",
        14,
        "rule `no-secrets`",
    );
}

#[test]
fn a_parent_is_found_from_the_file_that_names_it_and_read_once() {
    let middle = |name: &str| {
        format!("version: 1\nname: {name}\nextends: ../base.yaml\nuse: lictor/files@1\n")
    };
    let shelf = Shelf::default()
        .with("team/a.yaml", middle("a"))
        .with("team/b.yaml", middle("b"))
        .with("team/../base.yaml", BASE);
    let child = CHILD.replace("base.yaml", "[team/a.yaml, team/b.yaml]");
    let policy = shelf.load(&child).unwrap();
    is(&policy, "read_file", "src/.env", Effect::Deny);
    assert_eq!(policy.files().count(), 5);
}

#[test]
fn circles_and_endless_lines_are_refused() {
    let extending = |name: &str| format!("version: 1\nname: x\nextends: {name}\n");
    let shelf = Shelf::default()
        .with("a.yaml", extending("b.yaml"))
        .with("b.yaml", extending("a.yaml"));
    shelf.refuses(&extending("a.yaml"), 3, 10, "P010", "extends itself");

    let mut shelf = Shelf::default();
    let names = ["1", "2", "3", "4", "5", "6", "7", "8"];
    for pair in names.windows(2) {
        shelf
            .files
            .insert(pair[0], extending(&format!("\"{}\"", pair[1])));
    }
    shelf.files.insert("8", "version: 1\nname: x\n".to_owned());
    // Eight policies may: this one and seven more.
    assert!(shelf.load(&extending("\"2\"")).is_ok());
    shelf.refuses(&extending("\"1\""), 3, 10, "P010", "more than 8");
}

#[test]
fn a_parent_has_to_be_the_file_that_is_stated() {
    let stated = |digest: &str| {
        format!("version: 1\nname: x\nextends: [{{file: base.yaml, sha256: \"{digest}\"}}]\n")
    };
    let shelf = Shelf::default().with("base.yaml", BASE);
    let wrong = "0".repeat(64);
    let Err(errors) = shelf.load(&stated(&wrong)) else {
        panic!("it is accepted")
    };
    // The help says which it is now.
    let help = errors.problems()[0].help.clone().unwrap();
    let found = help.rsplit(' ').next().unwrap();
    assert!(shelf.load(&stated(found)).is_ok());
    assert!(shelf.load(&stated(&found.to_uppercase())).is_ok());
    shelf.refuses(&stated("abc"), 3, 37, "P006", "64 hexadecimal");
    shelf.refuses(&stated(&wrong), 3, 11, "P006", "is not the file");
}

#[test]
fn mistakes_of_a_parent_are_told_at_their_place_in_it() {
    let shelf = Shelf::default().with("base.yaml", "version: 1\nname: base\nrulez: []\n");
    let Err(errors) = shelf.load("version: 1\nname: x\nextends: base.yaml\n") else {
        panic!("it is accepted")
    };
    let problem = &errors.problems()[0];
    assert_eq!((problem.at.file, problem.at.line), (1, 3));
    shelf.refuses(
        "version: 1\nname: x\nextends: absent.yaml\n",
        3,
        10,
        "P009",
        "there is none",
    );
}

#[test]
fn a_child_looks_programs_up_where_its_parent_does_or_in_fewer_places() {
    let stating = |entries: &str| {
        format!("version: 1\nname: x\nextends: base.yaml\ndefaults:\n  program_path: [{entries}]\n")
    };
    let base = "version: 1\nname: base\ndefaults: {program_path: [/usr/bin, /bin]}\n";
    let shelf = Shelf::default().with("base.yaml", base);
    let policy = shelf
        .load("version: 1\nname: x\nextends: base.yaml\n")
        .unwrap();
    assert_eq!(policy.program_path(), ["/usr/bin", "/bin"]);
    assert_eq!(
        shelf.load(&stating("/bin")).unwrap().program_path(),
        ["/bin"]
    );
    shelf.refuses(&stating("/bin, /opt/bin"), 5, 24, "P006", "/opt/bin");
}

#[test]
fn the_digest_covers_the_parents() {
    let before = Shelf::default().with("base.yaml", BASE);
    let after = Shelf::default().with("base.yaml", format!("{BASE}# a remark\n"));
    assert_ne!(
        before.load(CHILD).unwrap().digest(),
        after.load(CHILD).unwrap().digest()
    );
}
