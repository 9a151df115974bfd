//! Published bypasses of programs that decide about paths or commands, one test each, named after the
//! advisory. KNOWN_ATTACKS.md says for each what was done and why it does not work here; the last test
//! holds the two together.
//!
//! What is tried on the disk is tried with both ways of looking paths up.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test starts programs and fails by panicking"
)]

#[path = "../support/mod.rs"]
#[expect(dead_code, reason = "other tests use more of it")]
mod support;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::LazyLock;

use lictor::decision::{Context, Decision, Effect, Request, Value, decide};
use lictor::path::{CanonicalPath, Switches};
use lictor::policy::CompiledPolicy;
use lictor::policy::glob::Pattern;
use lictor::policy::model::DiskRules;
use lictor::reason::Reason::{self, *};
use lictor::resolve::{ComponentWalk, Openat2, Resolver, Workspace, resolve_paths};
use support::ordinary;
use support::program::Place;

/// Tests may be read, written and run; what is secret below them may not.
fn policy(paths: &str) -> CompiledPolicy {
    let text = format!(
        "version: 1
name: known-attacks
use: [lictor/files@1, lictor/pytest@1, lictor/git@1, lictor/coreutils@1]
paths: {paths}
scopes: {{tests: \"runtime/tests/**\", secrets: [\"**/.env*\", \"runtime/tests/secrets/**\"]}}
rules:
  - {{id: tests, allow: \"*\", within: tests}}
  - {{id: no-secrets, deny: \"*\", touching: secrets}}
"
    );
    crate::support::compiled(&text)
}

static POLICY: LazyLock<CompiledPolicy> = LazyLock::new(|| policy("{}"));

/// The same with links that stay inside.
static LINKED: LazyLock<CompiledPolicy> = LazyLock::new(|| policy("{symlinks: within}"));

fn asked(action: &str, path: impl AsRef<[u8]>) -> Request {
    let path = Value::Text(path.as_ref().to_vec());
    Request::named("filesystem", action).with_arg("path", path)
}

fn answer(decision: &Decision) -> Result<(), Reason> {
    match decision.effect() {
        Effect::Allow => Ok(()),
        Effect::Ask | Effect::Deny => Err(decision.reason().unwrap()),
    }
}

fn text(policy: &CompiledPolicy, request: &Request) -> Result<(), Reason> {
    answer(&decide(policy, request, &Context::new("test")))
}

/// Refused whatever is done with the path.
#[track_caller]
fn refused(path: impl AsRef<[u8]>, reason: Reason) {
    let path = path.as_ref();
    for action in ["read_file", "write_file"] {
        let answer = text(&POLICY, &asked(action, path));
        assert_eq!(answer, Err(reason), "{}", String::from_utf8_lossy(path));
    }
}

#[track_caller]
fn command(words: &[&str], expected: Result<&[&str], Reason>) {
    let request = Request::argv(words.iter().copied());
    let decision = decide(&POLICY, &request, &Context::new("test"));
    assert_eq!(answer(&decision), expected.map(drop), "{words:?}");
    if let Ok(argv) = expected {
        assert_eq!(decision.argv().unwrap(), argv, "{words:?}");
    }
}

/// A workspace with something outside that is wanted.
struct Disk {
    place: tempfile::TempDir,
}

impl Disk {
    fn new() -> Disk {
        let place = tempfile::tempdir().unwrap();
        let disk = Disk { place };
        disk.file("../outside/secret");
        disk.file("runtime/tests/a.py");
        disk
    }

    fn work(&self) -> PathBuf {
        self.place.path().canonicalize().unwrap().join("work")
    }

    fn file(&self, path: &str) {
        let path = self.work().join(path);
        fs::create_dir_all(self.work()).unwrap();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "x").unwrap();
    }

    fn link(&self, path: &str, target: &str) {
        symlink(target, self.work().join(path)).unwrap();
    }

    fn resolvers() -> [Box<dyn Resolver>; 2] {
        [Box::new(Openat2), Box::new(ComponentWalk)]
    }

    #[track_caller]
    fn check(
        &self,
        policy: &CompiledPolicy,
        action: &str,
        path: &str,
        expected: Result<(), Reason>,
    ) {
        for resolver in Disk::resolvers() {
            let workspace = Workspace::open_root_with(&self.work(), resolver).unwrap();
            let context = Context::new("test");
            let decision = decide(policy, &asked(action, path), &context);
            assert_eq!(decision.effect(), Effect::Allow, "{path} as a text");
            let decision = resolve_paths(policy, decision, &context, &workspace);
            assert_eq!(
                answer(&decision),
                expected,
                "{action} {path}, {workspace:?}"
            );
        }
    }

    /// Refused with links denied and with links that stay inside, to read and to write.
    #[track_caller]
    fn leads_out(&self, path: &str) {
        for action in ["read_file", "write_file"] {
            self.check(&POLICY, action, path, Err(PathSymlinkDenied));
            self.check(&LINKED, action, path, Err(PathEscapeDenied));
        }
    }
}

// Drives, devices and streams of other systems: the rules hold on every platform.

#[test]
fn cve_2019_1351_virtual_drive_letter() {
    for path in ["ß:/x", "1:/x", "\u{20ac}:runtime/tests/a.py", "c:runtime"] {
        refused(path, AbsolutePathDenied);
    }
}

#[test]
fn cve_2019_1352_alternate_data_stream() {
    refused(".git::$INDEX_ALLOCATION/config", PathColonDenied);
    refused("runtime/tests/a.py::$DATA", PathColonDenied);
    refused("runtime/tests/.git::$INDEX_ALLOCATION", PathColonDenied);
}

#[test]
fn cve_2019_1353_windows_rules_on_every_platform() {
    refused("runtime/tests/aux.py", PathDeviceNameDenied);
    refused("runtime/TESTS~1/a.py", PathShortNameDenied);
    refused("runtime/tests/a.py ", PathSegmentEdgeDenied);
    refused("runtime/tests/GIT~1/config", PathShortNameDenied);
}

#[test]
fn cve_2019_1354_backslash_in_a_name() {
    refused("runtime/tests/..\\..\\etc", PathTraversalDenied);
    refused("runtime/tests/.git\\config", PathProtectedDenied);
    // Both are separators: what is allowed is allowed as what it means.
    command(
        &["cat", "runtime\\tests\\a.py"],
        Ok(&["cat", "runtime/tests/a.py"]),
    );
}

#[test]
fn cve_2019_1349_short_name_of_the_same_directory() {
    refused("runtime/tests/SUBMOD~1", PathShortNameDenied);
    refused("runtime/tests/submod~1/x", PathShortNameDenied);
}

#[test]
fn cve_2019_1387_lax_submodule_names() {
    refused("runtime/tests/modules/../x", PathTraversalDenied);
    refused("runtime/tests/modules/x/..", PathTraversalDenied);
    refused("runtime/tests/modules//x", PathEmptySegmentDenied);
}

#[test]
fn cve_2018_11235_climbing_submodule_name() {
    refused("../../submodules/evil", PathTraversalDenied);
    refused("runtime/tests/../../.git/modules/evil", PathTraversalDenied);
}

#[test]
fn cve_2018_17456_address_that_is_an_option() {
    refused("-u./payload", PathOptionInjectionDenied);
    refused("--upload-pack=./payload", PathOptionInjectionDenied);
    command(
        &["git", "fetch", "--upload-pack=./x", "origin"],
        Err(ArgumentUnknown),
    );
    command(&["git", "fetch", "-u./payload"], Err(ArgumentUnknown));
    command(&["cat", "--", "-n"], Err(PathOptionInjectionDenied));
}

#[test]
fn cve_2014_9390_dot_git_by_another_name() {
    refused("runtime/tests/.GIT/config", PathProtectedDenied);
    refused("runtime/tests/.Git/config", PathProtectedDenied);
    refused("runtime/tests/.g\u{200c}it/config", PathUnicodeDenied);
    refused("runtime/tests/git~1/config", PathShortNameDenied);
}

#[test]
fn cve_2022_41722_path_cleaned_into_a_drive() {
    refused("runtime/tests/a/../c:/b", PathTraversalDenied);
}

#[test]
fn cve_2023_45283_nt_prefix() {
    refused("\\??\\c:\\x", AbsolutePathDenied);
    refused("\\a\\..\\??\\b", AbsolutePathDenied);
    refused("runtime/tests/a\\..\\??\\b", PathTraversalDenied);
}

#[test]
fn cve_2023_45284_device_with_a_blank_or_a_superscript() {
    refused("runtime/tests/COM1 ", PathSegmentEdgeDenied);
    refused("runtime/tests/COM1 .txt", PathDeviceNameDenied);
    refused("runtime/tests/COM\u{b9}", PathDeviceNameDenied);
}

#[test]
fn cve_2024_51756_superscript_device() {
    for digit in ["\u{b9}", "\u{b2}", "\u{b3}", "\u{2070}", "\u{2079}"] {
        for device in ["COM", "lpt"] {
            refused(
                format!("runtime/tests/{device}{digit}.txt"),
                PathDeviceNameDenied,
            );
        }
    }
}

#[test]
fn cve_2024_35197_device_names_in_a_tree() {
    for name in ["con", "NUL.txt", "aux", "conin$", "CLOCK$"] {
        refused(format!("runtime/tests/{name}"), PathDeviceNameDenied);
    }
}

#[test]
fn cve_2025_23084_drive_taken_for_a_relative_name() {
    refused("C:runtime", AbsolutePathDenied);
    refused("runtime/tests/C:/x", PathColonDenied);
}

#[test]
fn cve_2025_27210_device_name_and_climbing() {
    refused("runtime/tests/AUX/../../x", PathTraversalDenied);
    refused("runtime/tests/CON/a", PathDeviceNameDenied);
}

#[test]
fn cve_2021_37713_drive_relative_path() {
    refused("C:some\\path", AbsolutePathDenied);
    refused("C:../x", AbsolutePathDenied);
}

#[test]
fn rustsec_2022_0043_drive_in_the_middle() {
    refused("runtime/tests/c:/windows/web/screen", PathColonDenied);
    refused("runtime/tests/foo/c:", PathColonDenied);
}

#[test]
fn ghsa_hgf8_39gv_g3f2_device_that_hangs() {
    for name in ["CON", "AUX", "prn", "aux.txt"] {
        refused(format!("runtime/tests/{name}"), PathDeviceNameDenied);
    }
}

#[test]
fn ghsa_6xv5_86q9_7xr8_two_separators() {
    refused("runtime\\tests/..\\..\\x", PathTraversalDenied);
    refused("/runtime/tests\\a.py", AbsolutePathDenied);
    refused("\\runtime/tests/a.py", AbsolutePathDenied);
}

#[test]
fn cve_2025_8088_stream_and_climbing() {
    refused("runtime/tests/a.txt:..\\..\\x", PathTraversalDenied);
    refused("runtime/tests/a.txt:x", PathColonDenied);
}

// Climbing, absolute and encoded paths.

#[test]
fn cve_2024_35186_tree_entry_that_climbs() {
    refused("runtime/tests/..", PathTraversalDenied);
    refused("runtime/tests/.git", PathProtectedDenied);
    refused("..", PathTraversalDenied);
}

#[test]
fn cve_2026_54286_encoded_backslash() {
    refused("runtime/tests/admin%5Csecret.txt", PathEncodedDenied);
    refused("runtime/tests/%5c..%5cx", PathEncodedDenied);
}

#[test]
fn cve_2007_4559_archive_members() {
    refused("../../etc/passwd", PathTraversalDenied);
    refused("/etc/passwd", AbsolutePathDenied);
    refused("runtime/tests/../../../etc/passwd", PathTraversalDenied);
}

#[test]
fn cve_2025_4517_path_too_long_for_realpath() {
    let deep = format!("runtime/tests/{}x", "d/".repeat(600));
    refused(&deep, PathTooLong);
    refused(format!("runtime/tests/{}", "d".repeat(256)), PathTooLong);
    refused(format!("runtime/tests/{}x", "d/".repeat(64)), PathTooLong);
    refused("x".repeat(4097), PathTooLong);
}

#[test]
fn cve_2021_37701_backslash_is_a_separator_on_posix_too() {
    refused("runtime\\tests\\..\\..\\x", PathTraversalDenied);
    refused("foo\\bar", PathOutsideAllowedScope);
}

#[test]
fn cve_2021_37712_names_that_unicode_takes_for_equal() {
    refused("runtime/tests/cafe\u{301}", PathUnicodeDenied);
    refused("runtime/tests/\u{212b}", PathUnicodeDenied);
    refused("runtime/tests/a\u{ff0f}b", PathUnicodeDenied);
}

#[test]
fn cve_2021_32804_root_stripped_once() {
    refused("//etc/passwd", AbsolutePathDenied);
    refused("////runtime/tests/a.py", AbsolutePathDenied);
}

#[test]
fn rustsec_2026_0245_absolute_path_replaces_the_base() {
    refused("/runtime/tests/a.py", AbsolutePathDenied);
    command(&["cat", "/etc/x"], Err(AbsolutePathDenied));
}

#[test]
fn cve_2021_45712_climbing_in_a_look_up() {
    refused("runtime/tests/../../../Cargo.toml", PathTraversalDenied);
    refused("../Cargo.toml", PathTraversalDenied);
}

#[test]
fn cve_2025_48384_carriage_return_at_the_end() {
    refused("runtime/tests/sub\r", PathControlCharDenied);
    refused("runtime/tests/sub\u{85}", PathControlCharDenied);
    refused("runtime/tests/sub ", PathSegmentEdgeDenied);
}

#[test]
fn cve_2020_5260_newline_in_a_line_protocol() {
    refused("runtime/tests/a\nhost=evil", PathControlCharDenied);
    refused("runtime/tests/a%0ahost=evil", PathEncodedDenied);
    // One entry of the ledger is one line, whatever it records.
    let decision = decide(
        &POLICY,
        &asked("read_file", "a\nb\r\u{2028}"),
        &Context::new("test"),
    );
    assert!(!decision.to_json().to_string().contains(['\n', '\r']));
}

#[test]
fn cve_2022_30632_long_pattern_exhausts_the_matcher() {
    assert!(Pattern::parse(&"*/".repeat(600)).is_err());
    assert!(Pattern::parse(&format!("{}x", "**/".repeat(9))).is_err());
    assert!(Pattern::parse(&"*a".repeat(33)).is_err());
    let most = Pattern::parse(&format!("{}x", "**/a/".repeat(8))).unwrap();
    assert!(!most.matches(["a"; 64].join("/")));
    let most = Pattern::parse(&format!("{}b", "*a".repeat(32))).unwrap();
    assert!(!most.matches("a".repeat(255)));
}

// Prefixes of names, and the case of letters.

#[test]
fn cve_2025_53110_sibling_with_the_same_beginning() {
    for path in [
        "runtime/tests_evil/a",
        "runtime/tests-old",
        "runtime/tests.bak/x",
        "runtime/test",
    ] {
        refused(path, PathOutsideAllowedScope);
    }
}

#[test]
fn cve_2025_54794_working_directory_by_prefix() {
    refused("runtime/tests2/a.py", PathOutsideAllowedScope);
    let request = Request::argv(["cat", "tests2/a.py"]).with_cwd("runtime");
    assert_eq!(text(&POLICY, &request), Err(PathOutsideAllowedScope));
}

#[test]
fn cve_2025_59944_protected_file_in_another_case() {
    refused("runtime/tests/.ENV", DeniedByRule);
    refused("runtime/tests/Secrets/key", DeniedByRule);
    let everything = CompiledPolicy::from_yaml(
        "version: 1
name: everything
use: lictor/files@1
scopes: {all: \"**\"}
rules: [{id: all, allow: \"filesystem.*\", within: all}]
",
    )
    .unwrap();
    for path in [
        ".Cursor/mcp.json",
        ".cursor/mcp.json",
        ".MCP.json",
        ".Claude/settings.json",
        "Lictor.yaml",
    ] {
        let answer = text(&everything, &asked("write_file", path));
        assert_eq!(answer, Err(SelfProtected), "{path}");
    }
}

#[test]
fn cve_2024_32002_directory_and_link_by_case() {
    refused("Runtime/tests/a.py", PathOutsideAllowedScope);
    let disk = Disk::new();
    disk.link("runtime/tests/A", "../../../outside");
    disk.file("runtime/tests/a/secret");
    disk.check(&POLICY, "read_file", "runtime/tests/a/secret", Ok(()));
    disk.leads_out("runtime/tests/A/secret");
}

// Links on the disk, with both ways of looking paths up.

#[test]
fn cve_2021_21300_link_in_the_place_of_a_directory() {
    let disk = Disk::new();
    disk.file(".git/hooks/sample");
    disk.link("runtime/tests/A", "../../.git/hooks");
    let path = "runtime/tests/A/post-checkout";
    disk.check(&POLICY, "write_file", path, Err(PathSymlinkDenied));
    disk.check(&LINKED, "write_file", path, Err(PathProtectedDenied));
}

#[test]
fn cve_2024_32021_hard_link_to_a_file_outside() {
    let disk = Disk::new();
    let twin = disk.work().join("runtime/tests/twin");
    fs::hard_link(disk.work().join("../outside/secret"), twin).unwrap();
    let strict = policy("{hardlinks: deny}");
    for action in ["read_file", "write_file"] {
        disk.check(
            &strict,
            action,
            "runtime/tests/twin",
            Err(PathHardlinkDenied),
        );
    }
    disk.check(&strict, "read_file", "runtime/tests/a.py", Ok(()));
}

#[test]
fn cve_2023_23946_write_beyond_a_link() {
    let disk = Disk::new();
    disk.link("runtime/tests/out", "../../../outside");
    disk.leads_out("runtime/tests/out/secret");
    disk.leads_out("runtime/tests/out");
    command(&["git", "apply", "x.patch"], Err(ActionNotAllowed));
}

#[test]
fn cve_2021_32803_directory_replaced_by_a_link_after_it_was_checked() {
    let disk = Disk::new();
    disk.file("runtime/tests/d/secret");
    disk.check(&POLICY, "read_file", "runtime/tests/d/secret", Ok(()));
    let d = disk.work().join("runtime/tests/d");
    fs::rename(&d, d.with_extension("old")).unwrap();
    disk.link("runtime/tests/d", "../../../outside");
    disk.leads_out("runtime/tests/d/secret");
}

#[test]
fn cve_2026_23745_links_that_lead_up_in_steps() {
    refused("runtime/tests/c/up/../../x", PathTraversalDenied);
    let disk = Disk::new();
    disk.link("runtime/tests/up", "..");
    disk.link("runtime/tests/upper", "up/..");
    disk.link("runtime/tests/out", "upper/../outside");
    disk.leads_out("runtime/tests/out/secret");
    disk.check(&LINKED, "read_file", "runtime/tests/up/tests/a.py", Ok(()));
    disk.check(
        &LINKED,
        "read_file",
        "runtime/tests/upper/x",
        Err(PathNotFound),
    );
    disk.file("x");
    disk.check(
        &LINKED,
        "read_file",
        "runtime/tests/upper/x",
        Err(PathOutsideAllowedScope),
    );
}

#[test]
fn cve_2018_20990_write_through_a_link_to_a_file() {
    let disk = Disk::new();
    disk.link("runtime/tests/link", "../../../outside/secret");
    disk.leads_out("runtime/tests/link");
    let absolute = disk.work().join("../outside/secret");
    disk.link("runtime/tests/absolute", absolute.to_str().unwrap());
    disk.leads_out("runtime/tests/absolute");
}

#[test]
fn cve_2025_29787_link_used_by_a_later_entry() {
    let disk = Disk::new();
    disk.link("runtime/tests/link", "../../../outside");
    disk.leads_out("runtime/tests/link/new");
}

#[test]
fn cve_2026_46703_link_to_an_absolute_directory() {
    let disk = Disk::new();
    disk.link("runtime/tests/escape", "/tmp");
    disk.leads_out("runtime/tests/escape");
    disk.leads_out("runtime/tests/escape/x");
}

#[test]
fn cve_2022_39215_linked_directory_below_a_recursive_one() {
    let disk = Disk::new();
    disk.link("runtime/tests/linked", "../../../outside");
    disk.leads_out("runtime/tests/linked/secret");
    // Programs that descend do not follow what they find, and may not be told to.
    command(&["grep", "-R", "x", "runtime/tests"], Err(ArgumentUnknown));
    command(&["find", "-L", "runtime/tests"], Err(ArgumentUnknown));
}

#[test]
fn cve_2022_21658_directory_moved_away_while_it_is_open() {
    let disk = Disk::new();
    for resolver in Disk::resolvers() {
        let workspace = Workspace::open_root_with(&disk.work(), resolver).unwrap();
        let away = disk.work().with_extension("away");
        fs::rename(disk.work(), &away).unwrap();
        symlink(disk.work().join("../outside"), disk.work()).unwrap();
        let request = asked("delete", "runtime/tests/a.py");
        let decision = decide(&POLICY, &request, &Context::new("test"));
        let decision = resolve_paths(&POLICY, decision, &Context::new("test"), &workspace);
        assert_eq!(answer(&decision), Err(PathNotFound));
        fs::remove_file(disk.work()).unwrap();
        fs::rename(away, disk.work()).unwrap();
    }
}

#[test]
fn cve_2019_16884_links_that_the_kernel_makes_up() {
    let mut rules = DiskRules::default();
    rules.symlinks_within = true;
    rules.cross_mounts = true;
    for resolver in Disk::resolvers() {
        let proc = Workspace::open_root_with("/proc".as_ref(), resolver).unwrap();
        let open = |path: &str| {
            let path = CanonicalPath::parse(path.as_bytes(), &Switches::default()).unwrap();
            proc.open(&path, rules).map(drop)
        };
        assert_eq!(open("self/status"), Ok(()), "{proc:?}");
        for made_up in ["self/root/etc/passwd", "self/cwd", "self/exe", "self/fd/0"] {
            assert_eq!(open(made_up), Err(PathSymlinkDenied), "{made_up} {proc:?}");
        }
    }
    let disk = Disk::new();
    disk.link("runtime/tests/proc", "/proc/self/root");
    disk.leads_out("runtime/tests/proc/etc/passwd");
}

#[test]
fn cve_2024_45310_new_name_behind_a_link() {
    let disk = Disk::new();
    disk.link("runtime/tests/dangling", "../../../outside/new");
    disk.leads_out("runtime/tests/dangling");
    disk.link("runtime/tests/dir", "../../../outside");
    disk.leads_out("runtime/tests/dir/new");
    disk.check(&POLICY, "write_file", "runtime/tests/new", Ok(()));
}

#[test]
fn cve_2024_38358_link_and_create() {
    let disk = Disk::new();
    // Within the workspace too: what is written would come to be where nobody was asked about.
    disk.link("runtime/tests/new", "secrets-new");
    disk.check(
        &LINKED,
        "write_file",
        "runtime/tests/new",
        Err(PathSymlinkDenied),
    );
    disk.check(
        &POLICY,
        "write_file",
        "runtime/tests/new",
        Err(PathSymlinkDenied),
    );
}

#[test]
fn cve_2025_53109_link_out_of_the_directory() {
    let disk = Disk::new();
    disk.link("runtime/tests/passwd", "/etc/passwd");
    disk.leads_out("runtime/tests/passwd");
}

#[test]
fn cve_2026_25724_deny_rule_passed_by_a_link() {
    let disk = Disk::new();
    disk.file("runtime/tests/secrets/key");
    disk.file("runtime/tests/.env");
    disk.link("runtime/tests/plain", "secrets/key");
    disk.link("runtime/tests/dir", "secrets");
    disk.link("runtime/tests/env", ".env");
    for path in [
        "runtime/tests/plain",
        "runtime/tests/dir/key",
        "runtime/tests/env",
    ] {
        disk.check(&LINKED, "read_file", path, Err(DeniedByRule));
        disk.check(&POLICY, "read_file", path, Err(PathSymlinkDenied));
    }
}

#[test]
fn cve_2026_25725_protected_file_that_is_not_there_yet() {
    let disk = Disk::new();
    assert!(!disk.work().join("runtime/tests/.env").exists());
    refused("runtime/tests/.env", DeniedByRule);
    refused("runtime/tests/secrets/new/key", DeniedByRule);
    disk.check(&POLICY, "write_file", "runtime/tests/env", Ok(()));
}

// Commands.

#[test]
fn codex_prefix_rule_git_push() {
    command(
        &["git", "-C", "/x", "push", "origin", "main"],
        Err(AbsolutePathDenied),
    );
    command(
        &[
            "git",
            "-c",
            "core.sshCommand=evil",
            "push",
            "origin",
            "main",
        ],
        Err(ArgumentUnknown),
    );
    command(
        &["/usr/bin/git", "push", "origin", "main"],
        Err(ToolNotAllowed),
    );
    command(&["bash", "-lc", "git push"], Err(ToolNotAllowed));
    command(&["sh", "-c", "git push"], Err(ToolNotAllowed));
}

#[test]
fn codex_prefix_rule_pytest() {
    command(&["pytest", "../../etc"], Err(PathTraversalDenied));
    command(
        &["pytest", "runtime/tests/../../../etc/passwd"],
        Err(PathTraversalDenied),
    );
    command(
        &["pytest", "runtime/tests", "/etc"],
        Err(AbsolutePathDenied),
    );
    command(
        &["pytest", "runtime/tests", "src"],
        Err(PathOutsideAllowedScope),
    );
}

#[test]
fn claude_code_4956_shell_text() {
    // These are words; nothing reads them as a shell would.
    command(&["echo", "x", "&&", "ls"], Ok(&["echo", "x", "&&", "ls"]));
    command(&["echo \"x\" && ls"], Err(ToolNotAllowed));
    command(&["cat", "runtime/tests/$(id)"], Err(PathExpansionDenied));
    command(
        &["cat", "runtime/tests/a;id"],
        Ok(&["cat", "runtime/tests/a;id"]),
    );
}

#[test]
fn claude_code_11662_deny_rule_for_relative_paths_only() {
    let disk = Disk::new();
    let absolute = disk.work().join("runtime/tests/secrets/key");
    refused(absolute.to_str().unwrap(), AbsolutePathDenied);
    refused("./runtime/tests/secrets/key", DeniedByRule);
    refused("runtime/tests/secrets/key", DeniedByRule);
}

#[test]
fn claude_code_92542_wrapper_before_the_program() {
    for wrapper in [
        "stdbuf", "env", "timeout", "nice", "nohup", "xargs", "command", "sudo", "busybox", "time",
    ] {
        command(
            &[wrapper, "cat", "runtime/tests/secrets/key"],
            Err(ToolNotAllowed),
        );
        command(&[wrapper, "pytest", "runtime/tests"], Err(ToolNotAllowed));
    }
}

#[test]
fn claude_code_18613_flags_in_another_order() {
    let executed: &[&str] = &["pytest", "-v", "-x", "runtime/tests"];
    command(&["pytest", "-v", "-x", "runtime/tests"], Ok(executed));
    command(&["pytest", "runtime/tests", "-x", "-v"], Ok(executed));
    command(&["pytest", "-xv", "runtime/tests"], Ok(executed));
}

#[test]
fn sudoers_wildcard_over_several_words() {
    command(
        &["cat", "runtime/tests/log", "/etc/shadow"],
        Err(AbsolutePathDenied),
    );
    command(
        &["cat", "runtime/tests/log /etc/shadow"],
        Err(PathSegmentEdgeDenied),
    );
}

#[test]
fn pytest_response_file() {
    command(&["pytest", "@args.txt"], Err(PathOptionInjectionDenied));
    command(
        &["pytest", "runtime/tests", "@runtime/tests/args.txt"],
        Err(PathOptionInjectionDenied),
    );
}

// What a run gets.

const SHELL: &str = "version: 1
name: shell
tools:
  sh:
    program: sh
    actions:
      run: {args: {script: {type: text, option: \"-c\", required: true, lines: true, join: space}}}
rules:
  - {id: shell, allow: sh.run, limits: {timeout: 20s}}
";

#[test]
fn pytest_environment() {
    for name in ["PYTEST_ADDOPTS", "PYTEST_*", "PYTHONPATH", "PYTHON*"] {
        let inherits = format!("{SHELL}defaults: {{env: {{inherit: [\"{name}\"]}}}}\n");
        let told = CompiledPolicy::from_yaml(&inherits)
            .unwrap_err()
            .to_string();
        assert!(told.contains("unsafe_inherit"), "{told}");
    }
    let place = Place::with_policy(SHELL);
    let start = place.lictor(["run", "--", "sh", "-c", "env"]);
    let start = start.env("PYTEST_ADDOPTS", "--rootdir=/");
    let answer = start.env("PYTEST_PLUGINS", "evil").end().ends_with_code(0);
    assert!(!answer.stdout.contains("PYTEST_"), "{}", answer.stdout);
}

#[test]
fn cve_2025_61260_settings_out_of_the_workspace() {
    let place = Place::with_policy(SHELL);
    place.write(
        ".env",
        "PATH=/evil\nLICTOR_POLICY=evil.yaml\nCODEX_HOME=.\n",
    );
    place.write(
        "sub/lictor.yaml",
        SHELL.replace("name: shell", "name: evil"),
    );
    let ask = ["check", "--json", "--dry-run", "--", "sh", "-c", "env"];
    let answer = place
        .lictor(ask)
        .current_dir(place.work().join("sub"))
        .end();
    assert_eq!(answer.json()["policy"]["name"], "shell");
    let answer = place.lictor(["run", "--", "sh", "-c", "env"]).end();
    let answer = answer.ends_with_code(0);
    assert!(!answer.stdout.contains("evil") && !answer.stdout.contains("CODEX_HOME"));
}

#[test]
fn cve_2023_42456_name_that_becomes_a_file() {
    // The ledger's directory is named after the policy.
    for name in ["../../../../bin/cp", "a/b", "..", ".", "a\\\\b", "a\\u0000"] {
        let named = SHELL.replace("name: shell", &format!("name: \"{name}\""));
        assert!(CompiledPolicy::from_yaml(&named).is_err(), "{name}");
    }
    let place = Place::with_policy(SHELL);
    let ask = [
        "check",
        "--actor",
        "../../../../x",
        "--",
        "sh",
        "-c",
        "true",
    ];
    place.lictor(ask).end().ends_with_code(0);
    let held: BTreeSet<_> = fs::read_dir(place.root().join("state/lictor"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(held, BTreeSet::from(["shell".into()]));
}

#[test]
fn cve_2024_21626_leaked_descriptor() {
    let place = Place::with_policy(SHELL);
    // Open while lictor starts, and not closed on the way.
    let leaked = fs::File::open(place.root()).unwrap();
    rustix::io::fcntl_setfd(&leaked, rustix::io::FdFlags::empty()).unwrap();
    let script = "for fd in /proc/self/fd/*; do readlink $fd || :; done";
    let answer = place.lictor(["run", "--", "sh", "-c", script]).end();
    let answer = answer.ends_with_code(0);
    let open: Vec<&str> = answer.stdout.lines().collect();
    let directories = open
        .iter()
        .filter(|target| target.starts_with("/tmp"))
        .count();
    assert_eq!(directories, 0, "{open:?}");
    assert!(open.contains(&"/dev/null"), "{open:?}");
}

#[test]
fn everything_holds_for_an_ordinary_user_as_well() {
    ordinary::again(module_path!(), &[]);
}

// The table.

/// Every row names a test that exists, and every test here has a row.
#[test]
fn the_table_and_the_tests_are_the_same() {
    let root = env!("CARGO_MANIFEST_DIR");
    let read = |path: &str| {
        fs::read_to_string(format!("{root}/{path}")).unwrap_or_else(|why| panic!("{path}: {why}"))
    };
    let mut named: Vec<String> = Vec::new();
    for line in read("KNOWN_ATTACKS.md")
        .lines()
        .filter(|line| line.starts_with("| "))
    {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [ids, _, _, test, why] = cells.as_slice() else {
            panic!("five cells: {line}");
        };
        if *ids == "published as" {
            continue;
        }
        assert!(!why.is_empty(), "{line}");
        let test = test.trim_matches('`');
        let (file, name) = test
            .rsplit_once("::")
            .unwrap_or(("known_attacks/main", test));
        let source = read(&format!("tests/{file}.rs"));
        assert!(
            source.contains(&format!("fn {name}(")),
            "{file}.rs has no {name}"
        );
        let id = ids.split(',').next().unwrap().to_lowercase();
        let id = id.replace(['-', ' ', '#'], "_");
        if file == "known_attacks/main" {
            assert!(name.starts_with(&id), "{name} is not named after {ids}");
            named.push(name.to_owned());
        }
    }
    let source = read("tests/known_attacks/main.rs");
    let here = source.split("#[test]\nfn ").skip(1);
    let mut here: Vec<&str> = here.map(|rest| rest.split('(').next().unwrap()).collect();
    here.retain(|name| {
        ![
            "everything_holds_for_an_ordinary_user_as_well",
            "the_table_and_the_tests_are_the_same",
        ]
        .contains(name)
    });
    here.sort_unstable();
    named.sort_unstable();
    assert_eq!(named, here);
}
