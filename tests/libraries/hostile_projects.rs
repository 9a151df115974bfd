//! A project whose own files name programs, with every key that a library's head speaks of pointing to one that leaves a
//! mark: nothing of it runs but what the head says is the project's code. With the real programs; where one is not
//! installed, the test says that it is not run.

use crate::support::need;
use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::program::Place;

/// A place under a policy that allows what a library declares, with programs of these directories.
fn place(library: &str, directories: &[&Path]) -> Place {
    let listed: Vec<String> = directories
        .iter()
        .map(|directory| format!("\"{}\", ", directory.display()))
        .collect();
    Place::with_policy(&format!(
        "version: 1
name: hostile
use: [lictor/{library}@1]
scopes: {{all: [\"**\"]}}
defaults: {{program_path: [{}/usr/local/bin, /usr/bin, /bin], limits: {{timeout: 120s}}}}
rules: [{{id: all, allow: \"*\", within: all}}]
",
        listed.concat()
    ))
}

/// Writes a program that leaves a mark under its name, and then does this.
fn marker(place: &Place, name: &str, then: &str) -> PathBuf {
    let marks = place.root().join("marks");
    let path = place.root().join("markers").join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let text = format!("#!/bin/sh\necho {name} >> {}\n{then}\n", marks.display());
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// Runs a command line and returns whose marks it left.
fn marks(place: &Place, line: &str) -> BTreeSet<String> {
    let marks = place.root().join("marks");
    let _ = std::fs::remove_file(&marks);
    // What cargo remembers of the compiler.
    let _ = std::fs::remove_dir_all(place.work().join("target"));
    let start = place.lictor(["run", "--"].into_iter().chain(line.split(' ')));
    let answer = start.end();
    assert!(
        !answer.stderr.contains("lictor: deny") && !answer.stderr.contains("error[P"),
        "{line}: {answer:?}"
    );
    let text = std::fs::read_to_string(marks).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

#[track_caller]
fn leaves(place: &Place, line: &str, expected: &[&str]) {
    let expected: BTreeSet<String> = expected.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(marks(place, line), expected, "{line}");
}

/// Where a program is, looked up as a shell does.
fn found(name: &str) -> Option<PathBuf> {
    let paths = std::env::var_os("PATH")?;
    std::env::split_paths(&paths)
        .map(|directory| directory.join(name))
        .find(|path| path.is_file())
}

fn git(directory: &Path, words: &[&str]) {
    let done = Command::new("git")
        .args(["-c", "user.name=n", "-c", "user.email=n@example.com"])
        .args(words)
        .current_dir(directory)
        .status();
    assert!(done.unwrap().success(), "{words:?}");
}

#[test]
fn npmrc_names_no_program_for_what_only_looks_or_installs() {
    let usual = ["/usr/local/bin/npm", "/usr/bin/npm"];
    if !usual.iter().any(|path| Path::new(path).is_file()) {
        return need::lacks("npm", "it is not installed");
    }
    let place = place("npm", &[]);
    let mark = |name: &str| marker(&place, name, "exit 1").display().to_string();
    let root = place.root().display().to_string();
    let evil = format!("{root}/evil.js");
    let script = format!("require('fs').appendFileSync('{root}/marks', 'node-options\\n')\n");
    std::fs::write(&evil, script).unwrap();
    // A dependency from git, with a script and settings of its own.
    let dependency = place.root().join("dependency");
    std::fs::create_dir(&dependency).unwrap();
    let scripts = format!(
        "{{\"name\":\"dep\",\"version\":\"1.0.0\",\"scripts\":{{\"prepare\":\"{0}\",\"install\":\"{0}\"}}}}",
        mark("prepare")
    );
    std::fs::write(dependency.join("package.json"), scripts).unwrap();
    let settings = format!(
        "git={}\nscript-shell={}\n",
        mark("git-of-dependency"),
        mark("shell-of-dependency")
    );
    std::fs::write(dependency.join(".npmrc"), settings).unwrap();
    git(&dependency, &["init", "-q"]);
    git(&dependency, &["add", "-A"]);
    git(&dependency, &["commit", "-qm", "x"]);
    let package = format!(
        "{{\"name\":\"x\",\"version\":\"1.0.0\",\"scripts\":{{\"test\":\"true\",\"lint\":\"true\",\"preinstall\":\"{0}\",\"prepare\":\"{0}\"}},\
         \"dependencies\":{{\"dep\":\"git+file://{root}/dependency\"}}}}",
        mark("own-install")
    );
    place.write("package.json", package);
    let mut settings = format!(
        "global=true\nlocation=global\nprefix={root}/elsewhere\nuserconfig={root}/userconfig\nnode-options=--require={evil}\nignore-scripts=false\n\
         init-module={evil}\nonload-script={evil}\nregistry=http://127.0.0.1:9/\nfetch-retries=0\n"
    );
    for key in [
        "git",
        "script-shell",
        "shell",
        "editor",
        "viewer",
        "browser",
        "node-gyp",
    ] {
        settings.push_str(&format!("{key}={}\n", mark(key)));
    }
    place.write(".npmrc", settings);
    std::fs::write(
        place.root().join("userconfig"),
        format!("prefix={root}/elsewhere\n"),
    )
    .unwrap();
    for line in [
        "npm install",
        "npm ci",
        "npm ls",
        "npm outdated",
        "npm audit",
        "npm --version",
    ] {
        leaves(&place, line, &[]);
        assert!(!place.root().join("elsewhere").exists(), "{line}");
    }
    assert!(place.work().join("node_modules/dep/package.json").is_file());
    // By design: what is for running the project's scripts starts them as the project says.
    for line in ["npm test", "npm run lint"] {
        leaves(&place, line, &["script-shell"]);
    }
}

#[test]
fn cargo_runs_what_its_head_says_of_the_projects_configuration() {
    let asked = Command::new("rustc").args(["--print", "sysroot"]).output();
    let sysroot = PathBuf::from(String::from_utf8(asked.unwrap().stdout).unwrap().trim());
    let bin = sysroot.join("bin");
    if found("cc").is_none() || !bin.join("cargo").is_file() || !bin.join("cargo-clippy").is_file()
    {
        return need::lacks(
            "cargo",
            "there is no cc, or no cargo with clippy beside rustc",
        );
    }
    let place = place("cargo", &[&bin]);
    let real = |name: &str| format!("exec {} \"$@\"", bin.join(name).display());
    let wraps = "exec \"$@\"";
    let mark = |name: &str, then: &str| marker(&place, name, then).display().to_string();
    let asked = Command::new("rustc").arg("-vV").output();
    let version = String::from_utf8(asked.unwrap().stdout).unwrap();
    let host = version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .unwrap();
    let configuration = format!(
        "[build]\nrustc = {:?}\nrustc-wrapper = {:?}\nrustc-workspace-wrapper = {:?}\nrustdoc = {:?}\n\
         [target.{host}]\nlinker = {:?}\nrunner = {:?}\n[registry]\nglobal-credential-providers = [{:?}]\n\
         [doc]\nbrowser = [{:?}]\n[alias]\nversion = \"metadata\"\ncheck = \"metadata\"\n",
        mark("rustc", &real("rustc")),
        mark("wrapper", wraps),
        mark("workspace-wrapper", wraps),
        mark("rustdoc", &real("rustdoc")),
        mark("linker", "exec cc \"$@\""),
        mark("runner", wraps),
        mark("credentials", "exit 1"),
        mark("browser", "exit 1"),
    );
    place.write(".cargo/config.toml", &configuration);
    place.write(
        "Cargo.toml",
        "[package]\nname = \"x\"\nversion = \"0.1.0\"\nedition = \"2021\"\n",
    );
    place.write("src/lib.rs", "pub fn f() {}\n\n#[test]\nfn t() {}\n");
    let compiler = ["rustc", "wrapper", "workspace-wrapper"];
    leaves(&place, "cargo version", &[]);
    leaves(&place, "cargo fmt --check", &[]);
    leaves(&place, "cargo fmt", &[]);
    leaves(&place, "cargo clippy --offline", &["wrapper"]);
    for line in [
        "cargo fetch --offline",
        "cargo tree --offline",
        "cargo metadata --offline",
        "cargo check --offline",
        "cargo build --offline",
    ] {
        leaves(&place, line, &compiler);
    }
    leaves(
        &place,
        "cargo doc --offline",
        &[&compiler[..], &["rustdoc"]].concat(),
    );
    leaves(
        &place,
        "cargo test --offline",
        &[&compiler[..], &["linker", "runner", "rustdoc"]].concat(),
    );
    // An alias stands in for what is not built in, and for nothing else.
    place.write(
        ".cargo/config.toml",
        format!("{configuration}fmt = \"test\"\n"),
    );
    assert!(marks(&place, "cargo fmt").contains("runner"));
}

/// What stands in front of a request for the rustup that is installed: the toolchain of the project, for every action.
#[test]
fn a_toolchain_file_decides_which_cargo_runs() {
    let Some(proxies) = found("rustup").and_then(|path| Some(path.parent()?.to_owned())) else {
        return need::lacks("rustup", "it is not in PATH");
    };
    let place = place("cargo", &[&proxies]);
    let evil = marker(&place, "toolchain/bin/cargo", "exit 0");
    let toolchain = evil.parent().unwrap().parent().unwrap();
    let text = format!("[toolchain]\npath = \"{}\"\n", toolchain.display());
    place.write("crates/core/rust-toolchain.toml", &text);
    place.write("crates/core/Cargo.toml", "[package]\nname = \"x\"\n");
    let lines = [
        "cargo version",
        "cargo fmt --check",
        "cargo tree --offline",
        "cargo metadata --offline",
    ];
    for line in lines {
        let run = place.lictor(
            ["run", "--cwd", "crates/core", "--"]
                .into_iter()
                .chain(line.split(' ')),
        );
        run.end().ends_with_code(0);
        let marks = place.root().join("marks");
        assert_eq!(
            std::fs::read_to_string(&marks).unwrap(),
            "toolchain/bin/cargo\n",
            "{line}"
        );
        std::fs::remove_file(marks).unwrap();
    }
    // From elsewhere it counts for nothing.
    leaves(&place, "cargo version", &[]);
    for name in ["rust-toolchain.toml", "rust-toolchain"] {
        place.write(name, &text);
        leaves(&place, "cargo version", &["toolchain/bin/cargo"]);
        std::fs::remove_file(place.work().join(name)).unwrap();
    }
}

/// A registry that wants a token has the program asked that the project names for it.
#[test]
fn a_registry_that_wants_a_token_starts_what_the_project_names() {
    let asked = Command::new("rustc").args(["--print", "sysroot"]).output();
    let sysroot = PathBuf::from(String::from_utf8(asked.unwrap().stdout).unwrap().trim());
    let bin = sysroot.join("bin");
    if !bin.join("cargo").is_file() {
        return need::lacks("cargo", "it is not beside rustc");
    }
    let place = place("cargo", &[&bin]);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    // Ends with the test's process.
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut stream = stream;
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(
                b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Cargo login_url=\"http://x/\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            );
        }
    });
    let program = marker(&place, "credentials", "exit 1");
    place.write(
        "Cargo.toml",
        "[package]\nname = \"x\"\nversion = \"0.1.0\"\n[dependencies]\ny = { version = \"1\", registry = \"mine\" }\n",
    );
    place.write("src/lib.rs", "");
    let registry =
        format!("[registries.mine]\nindex = \"sparse+http://127.0.0.1:{port}/index/\"\n");
    for setting in [
        "credential-provider",
        "[registry]\nglobal-credential-providers",
    ] {
        let value = match setting.starts_with('[') {
            true => format!("[\"{}\"]", program.display()),
            false => format!("\"{}\"", program.display()),
        };
        place.write(
            ".cargo/config.toml",
            format!("{registry}{setting} = {value}\n"),
        );
        for line in [
            "cargo fetch",
            "cargo tree",
            "cargo metadata",
            "cargo check",
            "cargo test",
        ] {
            leaves(&place, line, &["credentials"]);
        }
        for line in [
            "cargo fetch --offline",
            "cargo tree --offline",
            "cargo version",
            "cargo fmt --check",
        ] {
            leaves(&place, line, &[]);
        }
    }
}

#[test]
fn pytest_runs_what_its_head_says_of_the_projects_configuration() {
    let Some(pytest) = need::named("pytest").map(PathBuf::from) else {
        return;
    };
    let place = place("pytest", &[pytest.parent().unwrap()]);
    let root = place.root().display().to_string();
    let leaves_mark = |name: &str| format!("open('{root}/marks', 'a').write('{name}\\n')\n");
    place.write("tests/test_a.py", "def test_a():\n    pass\n");
    let code = format!(
        "{}class Warn(Warning):\n    pass\n",
        leaves_mark("category")
    );
    place.write("modules/category.py", code);
    place.write("conftest.py", leaves_mark("conftest"));
    place.write("other/conftest.py", leaves_mark("other"));
    leaves(&place, "pytest -q tests", &["conftest"]);
    for (file, section) in [
        ("pytest.ini", "[pytest]"),
        ("tox.ini", "[pytest]"),
        ("setup.cfg", "[tool:pytest]"),
    ] {
        let settings = format!(
            "{section}\npythonpath = modules\nfilterwarnings =\n    ignore::category.Warn\n"
        );
        place.write(file, settings);
        leaves(&place, "pytest -q tests", &["category", "conftest"]);
        std::fs::remove_file(place.work().join(file)).unwrap();
    }
    // What a request may say brings in nothing else.
    for line in [
        "pytest -q -k a tests",
        "pytest -q -m a tests",
        "pytest -q --deselect tests/test_a.py::test_b tests",
        "pytest -q --ignore modules tests",
    ] {
        leaves(&place, line, &["conftest"]);
    }
}

/// What programs make, copy, move, remove and show, on disk: no name that is kept out, and nothing of `.git`.
#[test]
fn programs_for_files_touch_no_name_that_is_kept_out() {
    let place = Place::with_policy(
        "version: 1
name: files
use: [lictor/coreutils@1]
scopes: {all: [\"**\"], locked: [\"out/*.yml\"]}
rules:
  - {id: all, allow: \"*\", within: all}
  - {id: locked, deny: \"*\", touching: locked, access: write}
",
    );
    git(&place.work(), &["init", "-q"]);
    git(&place.work(), &["config", "user.token", "WORD"]);
    place.write("src/a.txt", "WORD\n");
    place.write("src/prod.yml", "x\n");
    place.write("src/sub/.claude/settings.json", "{}\n");
    place.write("private/name", "x\n");
    for directory in ["out", "!"] {
        std::fs::create_dir(place.work().join(directory)).unwrap();
    }
    let run = |line: &str| {
        let words = ["run", "--"].into_iter().chain(line.split(' '));
        place.lictor(words).end()
    };
    for (line, reason) in [
        ("cp src/prod.yml out", "DENIED_BY_RULE"),
        ("cp src/prod.yml out/prod.yml", "DENIED_BY_RULE"),
        ("cp -r src/sub out", "SELF_PROTECTED"),
        ("cp -r src/sub out/new", "SELF_PROTECTED"),
        ("mv src/prod.yml out", "DENIED_BY_RULE"),
        ("mv src/sub out", "PATH_TREE_TOUCHES_DENIED"),
        ("rm -r src/sub", "PATH_TREE_TOUCHES_DENIED"),
        ("rm -rf .", "PATH_TREE_TOUCHES_DENIED"),
        ("rm -rf .git", "PATH_PROTECTED_DENIED"),
        ("mkdir -p .git/x", "PATH_PROTECTED_DENIED"),
        ("mkdir -p new/.claude/x", "SELF_PROTECTED"),
        ("touch out/x.yml", "DENIED_BY_RULE"),
    ] {
        let answer = run(line);
        assert!(
            answer
                .stderr
                .starts_with(&format!("lictor: deny {reason}\n")),
            "{line}: {answer:?}"
        );
    }
    for line in [
        "mkdir -p new/deep/er",
        "touch new/x new/deep/y",
        "cp src/a.txt out",
        "cp -r new out",
        "mv out/a.txt out/b.txt",
        "rm -rf new",
    ] {
        let answer = run(line);
        assert_eq!(answer.code, Some(0), "{line}: {answer:?}");
    }
    assert!(place.work().join("out/new/deep/y").is_file());
    assert!(place.work().join("out/b.txt").is_file());
    assert_eq!(run("rm out/b.txt").code, Some(0));
    // `!` is a directory, and `.git` is shown by none of these.
    assert!(!run("find ! -name name").stdout.contains("private"));
    assert_eq!(run("grep -rl WORD .").stdout, "./src/a.txt\n");
    if Path::new("/usr/bin/rg").is_file() {
        for line in [
            "rg -l WORD",
            "rg -l --hidden WORD",
            "rg -l -g .git/** -g .git -g ** WORD",
        ] {
            let answer = run(line);
            assert_eq!(answer.stdout, "src/a.txt\n", "{line}: {answer:?}");
        }
        // ripgrep 13 forgets this pattern when the directory is named.
        place.write(".gitignore", "/out/*.yml\n");
        place.write("out/key.yml", "WORD\n");
        let policy = std::fs::read_to_string(place.work().join("lictor.yaml")).unwrap();
        place.write("lictor.yaml", policy.replace(", access: write", ""));
        let answer = run("rg -l WORD out");
        assert!(
            answer.stderr.contains("PATH_TREE_TOUCHES_DENIED"),
            "{answer:?}"
        );
        assert_eq!(run("rg -l WORD").stdout, "src/a.txt\n");
    } else {
        need::lacks("ripgrep", "there is no /usr/bin/rg");
    }
}
