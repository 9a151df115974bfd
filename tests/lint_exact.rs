//! Rules that decide over all paths and all command lines, and not over those that somebody thought of.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use lictor::lint::{self, Kind, Options, Surroundings, Unknown};
use lictor::policy::CompiledPolicy;

fn policy(body: &str) -> CompiledPolicy {
    CompiledPolicy::from_yaml(&format!("version: 1\nname: exact\n{body}")).unwrap()
}

/// The path that the finding of a code shows, for each finding of that code.
fn shown(policy: &CompiledPolicy, around: &dyn Surroundings, code: &str) -> Vec<String> {
    let report = lint::run(policy, around, &Options::default());
    let unknown = report
        .diagnostics
        .iter()
        .filter(|found| found.code == "L215");
    assert_eq!(unknown.count(), 0, "{:?}", report.diagnostics);
    let found = report.diagnostics.iter().filter(|found| found.code == code);
    found
        .map(|found| found.witness.as_ref().unwrap().path.clone().unwrap())
        .collect()
}

/// A rule that lets some action with files in a scope, a deny over another scope.
#[track_caller]
fn check(action: &str, allow: &str, deny: &str, code: &str, expected: &[&str]) {
    let policy = policy(&format!(
        "use: lictor/files@1\nscopes: {{open: {allow}, closed: {deny}}}\nrules:\n  \
         - {{id: open, allow: filesystem.{action}, within: open}}\n  \
         - {{id: closed, deny: \"*\", touching: closed}}\n"
    ));
    assert_eq!(shown(&policy, &Unknown, code), expected);
}

#[test]
fn secrets_that_denies_leave_open_are_found_wherever_they_lie() {
    let check = |allow: &str, deny: &str, expected: &[&str]| {
        check("read_file", allow, deny, "G119", expected);
    };
    // What is usual, and what nobody would have tried.
    check(r#""conf/**""#, r#""conf/.env""#, &["conf/app/.env"]);
    check(
        r#""conf/**""#,
        r#"["**/.env", "**/.env.*", "**/*.{pem,key}", "**/id_*", "**/.{ssh,aws}/**", "**/.{netrc,npmrc,pypirc}"]"#,
        &["conf/.enva"],
    );
    check(
        r#""a/b/c/d/e/f/**/.env""#,
        r#""a/.env""#,
        &["a/b/c/d/e/f/.env"],
    );
    check(
        r#""a/*/c/*/.env.staging""#,
        r#"".env*""#,
        &["a/a/c/a/.env.staging"],
    );
    check(r#""**/*.PEM""#, r#""other/**""#, &["a.PEM"]);
    check(r#""certs/*.Pem""#, r#""certs/server.*""#, &["certs/a.Pem"]);
    check(
        r#""keys/id_[a-z]*9""#,
        r#""keys/id_{rsa,dsa,ecdsa}""#,
        &["keys/id_ed25519"],
    );
    check(
        r#""keys/id_[x-z]""#,
        r#""keys/id_{rsa,dsa,ecdsa,ed25519}""#,
        &["keys/id_x"],
    );
    check(
        r#""home/**""#,
        r#"["**/.env*", "**/*.{pem,key}", "**/id_*", "**/.ssh/*", "**/.aws/**", "**/.{netrc,npmrc,pypirc}"]"#,
        &["home/.ssh"],
    );
    check(
        r#""home/*/**""#,
        r#"["*/.env*", "**/*.{pem,key}", "**/id_*", "**/.{ssh,aws}/**", "**/.{netrc,npmrc,pypirc}"]"#,
        &["home/a/.env"],
    );
}

#[test]
fn secrets_that_denies_cover_are_no_finding() {
    let check = |allow: &str, deny: &str| check("read_file", allow, deny, "G119", &[]);
    let all = r#"["**/.env*", "**/*.{pem,key}", "**/id_*", "**/.{ssh,aws}/**", "**/.{netrc,npmrc,pypirc}"]"#;
    check(r#""**""#, all);
    check(r#""a/**/*.PEM""#, all);
    check(r#""src/**/[a-z]*.rs""#, r#""other/**""#);
    check(
        r#""conf/**""#,
        r#"["conf/**/.*", "conf/**/.*/**", "conf/**/*.[pk]*", "conf/**/id_*"]"#,
    );
    check(
        r#"["conf/*", "src/*"]"#,
        r#"["conf/.*", "src/.*", "{conf,src}/*.{pem,key}", "*/[i]d_*"]"#,
    );
    // Names that only look like keys.
    check(r#"["src/id_*.rs", "docs/id_rsa.pub"]"#, r#""other/**""#);
    // What a scope excludes is excluded; in which case is the business of another rule.
    check(
        r#"{include: "conf/*", exclude: ["**/.*", "**/*.{pem,key}", "**/id_*"]}"#,
        r#""other/**""#,
    );
}

#[test]
fn hidden_files_are_found_exactly() {
    let check = |allow: &str, deny: &str, expected: &[&str]| {
        check("write_file", allow, deny, "G110", expected);
    };
    check(
        r#""docs/**""#,
        r#"["**/.env*", "**/.ssh/**"]"#,
        &["docs/.gitattributes"],
    );
    check(
        r#"".github/**""#,
        r#"".github/workflows/*.yml""#,
        &[".github/workflows/a.yaml"],
    );
    check(
        r#"".github/**""#,
        r#"["**/.env*", "**/.git*/**/*.y*ml", "**/.gitattributes", "**/.ssh/**"]"#,
        &[],
    );
    check(r#""**/x/.E[n-q]V""#, r#"".env""#, &["x/.EnV"]);
    check(r#""src/**""#, r#"["**/.[e-g]*", "**/.[e-z]*/**"]"#, &[]);
}

#[test]
fn what_only_some_actions_or_actors_are_kept_from_is_found() {
    let policy = policy(
        "use: lictor/files@1
scopes: {conf: \"conf/*\", secrets: [\"**/.*\", \"**/*.{pem,key}\", \"**/id_*\"]}
rules:
  - {id: read, allow: [filesystem.read_file, filesystem.search], within: conf}
  - {id: ci, allow: filesystem.read_file, within: conf, for: ci-*}
  - {id: no-reading, deny: filesystem.read_file, touching: secrets}
  - {id: not-for-ci, deny: filesystem.*, touching: secrets, for: ci-*}
",
    );
    let report = lint::run(&policy, &Unknown, &Options::default());
    let found: Vec<_> = report
        .diagnostics
        .iter()
        .filter(|found| found.code == "G119")
        .map(|found| found.witness.as_ref().unwrap().text())
        .collect();
    assert_eq!(
        found,
        ["`filesystem.search path=conf/.env` is allowed by `read`"]
    );
}

/// A workspace that holds these files.
struct Workspace(Vec<(String, Kind)>);

impl Surroundings for Workspace {
    fn names(&self) -> Option<&[(String, Kind)]> {
        Some(&self.0)
    }
}

#[test]
fn a_secret_that_is_there_is_shown_before_one_that_might_be() {
    let policy = policy(
        "use: lictor/files@1
scopes: {conf: \"conf/**\", closed: \"conf/.env\"}
rules:
  - {id: read, allow: filesystem.read_file, within: conf}
  - {id: closed, deny: \"*\", touching: closed}
",
    );
    let names = [
        "conf",
        "conf/.env",
        "conf/deep",
        "conf/deep/.env.production",
        "src/.env",
    ];
    let names = names.map(|name| (name.to_owned(), Kind::File)).into();
    assert_eq!(
        shown(&policy, &Workspace(names), "G119"),
        ["conf/deep/.env.production"]
    );
}
