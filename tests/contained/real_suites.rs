//! Real suites run at every level of containment as they do without it: pytest with workers, cargo, npm, go, git over
//! ssh, gdb and chromium.
//!
//! What is not installed, or out of an ordinary user's reach, is said to be not run.

use crate::support::need;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::twice::{Test, test};
use lictor::evidence::{Level, Status};
use lictor::executor::contract;
use lictor::executor::{Directory, Posix};

/// Longest run. Under load a browser takes half a minute to start.
const TIMEOUT: Duration = Duration::from_secs(180);

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test("pytest with workers", pytest),
        test("cargo test", cargo_test),
        test("npm test", npm_test),
        test("go test", go_test),
        test("git over ssh", git_over_ssh),
        test("gdb", gdb),
        test("chromium", chromium),
    ]
}

/// A directory that ends with the test, and what a suite is started with.
struct Suite {
    place: tempfile::TempDir,
    path: Vec<PathBuf>,
    env: Vec<(&'static str, String)>,
}

impl Suite {
    /// Needs each of `programs`, started with the word behind it. Says so if one is not there.
    fn new(programs: &[(&str, &str)]) -> Option<Suite> {
        Suite::with_path(Vec::new(), programs)
    }

    fn with_path(path: Vec<PathBuf>, programs: &[(&str, &str)]) -> Option<Suite> {
        let suite = Suite {
            place: tempfile::tempdir().unwrap(),
            path,
            env: Vec::new(),
        };
        let is_there = |(program, word): &(&str, &str)| suite.has(program, word);
        programs.iter().all(is_there).then_some(suite)
    }

    /// Returns true if the program can be started with this word; says so if not.
    fn has(&self, program: &str, word: &str) -> bool {
        let found = self.command(program).arg(word).output();
        let has = found.is_ok_and(|output| output.status.success());
        if !has {
            need::lacks(program, "this user can start none");
        }
        has
    }

    fn search(&self) -> String {
        let ordinary = ["/usr/local/bin", "/usr/bin", "/bin"].map(PathBuf::from);
        let all = self.path.iter().chain(&ordinary);
        std::env::join_paths(all).unwrap().into_string().unwrap()
    }

    /// A start without lictor.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("/usr/bin/env");
        command
            .arg(program)
            .current_dir(self.place.path())
            .env_clear()
            .env("PATH", self.search())
            .env("HOME", self.place.path())
            .stdin(Stdio::null());
        command
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.place.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Runs `script` at each level. It has to succeed, and to print `said`.
    fn check(&self, script: &str, said: &str) {
        for trial in Posix::new().trial().unwrap() {
            let level = trial.level;
            if let Some(error) = trial.error {
                need::lacks(level.name(), error);
                continue;
            }
            self.check_at(level, script, said);
        }
    }

    fn check_at(&self, level: Level, script: &str, said: &str) {
        let mut job = contract::shell(script);
        job.directory = Directory::open(self.place.path()).unwrap();
        job.limits.timeout = TIMEOUT;
        job.env = vec![
            ("PATH".into(), self.search().into()),
            ("HOME".into(), self.place.path().into()),
            ("LANG".into(), "C.UTF-8".into()),
            ("TERM".into(), "dumb".into()),
        ];
        for (name, value) in &self.env {
            job.env.push((name.into(), value.into()));
        }
        let evidence = contract::run(&Posix::new().at_most(level), &job, &mut ());
        let text = evidence.stdout.text.to_lossy() + &evidence.stderr.text.to_lossy();
        assert_eq!(evidence.containment.level, level);
        assert!(
            evidence.status == Status::Pass && text.contains(said),
            "{}: {:?}, exit code {:?}\n{text}",
            level.name(),
            evidence.status,
            evidence.exit_code
        );
    }
}

fn pytest() {
    let Some(pytest) = need::named("pytest").map(PathBuf::from) else {
        return;
    };
    let path = vec![pytest.parent().unwrap_or(Path::new("/")).to_owned()];
    let Some(suite) = Suite::with_path(path, &[("pytest", "--version")]) else {
        return;
    };
    suite.write(
        "test_a.py",
        "import multiprocessing, subprocess, sys, tempfile, pytest

@pytest.mark.parametrize('n', range(20))
def test_number(n, tmp_path):
    (tmp_path / 'a').write_text(str(n))
    assert (tmp_path / 'a').read_text() == str(n)

def test_child():
    assert subprocess.check_output([sys.executable, '-c', 'print(6 * 7)']) == b'42\\n'

def test_pool():
    with multiprocessing.Pool(2) as pool:
        assert pool.map(abs, [-1, -2]) == [1, 2]
",
    );
    suite.check("pytest -q -n 2 -p no:cacheprovider", "22 passed");
}

fn cargo_test() {
    let asked = Command::new("rustc").args(["--print", "sysroot"]).output();
    let sysroot = asked.map(|output| String::from_utf8(output.stdout).unwrap());
    let bin = PathBuf::from(sysroot.unwrap_or_default().trim()).join("bin");
    let Some(suite) = Suite::with_path(vec![bin], &[("cargo", "--version"), ("cc", "--version")])
    else {
        return;
    };
    suite.write(
        "Cargo.toml",
        "[package]\nname = \"real\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[workspace]\n",
    );
    suite.write(
        "src/lib.rs",
        "/// ```\n/// assert_eq!(real::six(), 6);\n/// ```\npub fn six() -> u32 { 6 }\n\
         #[test]\nfn is_six() { assert_eq!(six(), 6); }\n",
    );
    suite.check(
        "rm -rf target && cargo test --offline",
        "test src/lib.rs - six (line 1) ... ok",
    );
}

fn npm_test() {
    let Some(suite) = Suite::new(&[("npm", "--version"), ("node", "--version")]) else {
        return;
    };
    suite.write(
        "package.json",
        r#"{"name": "real", "version": "1.0.0", "scripts": {"pretest": "node -e 'console.log(1)'", "test": "node test.js"}}"#,
    );
    suite.write(
        "test.js",
        "const { execFileSync } = require('child_process');
         const { Worker } = require('worker_threads');
         const out = execFileSync(process.execPath, ['-p', '6 * 7']).toString();
         new Worker('process.exit(0)', { eval: true }).on('exit', code => console.log('all', out.trim(), code));\n",
    );
    suite.check("npm test", "all 42 0");
}

fn go_test() {
    let Some(mut suite) = Suite::new(&[("go", "version")]) else {
        return;
    };
    for (name, directory) in [("GOCACHE", "cache"), ("GOPATH", "path")] {
        let directory = suite.place.path().join(directory);
        suite.env.push((name, directory.display().to_string()));
    }
    suite.write("go.mod", "module real\n\ngo 1.19\n");
    suite.write(
        "real_test.go",
        "package real\n\nimport (\n\t\"os/exec\"\n\t\"testing\"\n)\n\nfunc TestChild(t *testing.T) {\n\
         \tif out, err := exec.Command(\"echo\", \"42\").Output(); err != nil || string(out) != \"42\\n\" {\n\
         \t\tt.Fatal(string(out), err)\n\t}\n}\n",
    );
    suite.check("go test -count=1 -v ./...", "--- PASS: TestChild");
}

fn gdb() {
    let Some(suite) = Suite::new(&[("gdb", "--version")]) else {
        return;
    };
    // A breakpoint that is hit, and a program that goes on behind it.
    suite.check(
        "gdb -q -batch -ex 'catch syscall exit_group' -ex run -ex 'info inferiors' -ex continue --args /bin/echo ran",
        "exited normally",
    );
}

fn chromium() {
    let Some(suite) = Suite::new(&[("chromium", "--version")]) else {
        return;
    };
    suite.write(
        "page.html",
        "<p id=a></p><script>a.textContent = 6 * 7</script>",
    );
    // Its own sandbox refuses root, with or without lictor.
    let sandbox = if need::is_root() { "--no-sandbox" } else { "" };
    let script = format!(
        "chromium --headless {sandbox} --disable-gpu --no-first-run --user-data-dir=\"$PWD/profile\" --dump-dom \"file://$PWD/page.html\""
    );
    suite.check(&script, "<p id=\"a\">42</p>");
}

/// A server that ends with the test.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn git_over_ssh() {
    let Some(suite) = Suite::new(&[("git", "--version")]) else {
        return;
    };
    let sshd = Path::new("/usr/sbin/sshd");
    if !sshd.exists() {
        return need::lacks("sshd", "it is not installed");
    }
    let has_entry = suite.command("whoami").output().unwrap().status.success();
    if !has_entry {
        return need::lacks("user-name", "ssh refuses a user without one");
    }
    if !suite.has("ssh", "-V") {
        return;
    }
    let place = suite.place.path();
    let sh = |script: &str| {
        let done = suite.command("sh").args(["-ec", script]).output().unwrap();
        assert!(done.status.success(), "{done:?}");
    };
    sh("ssh-keygen -q -t ed25519 -N '' -f host && ssh-keygen -q -t ed25519 -N '' -f key && cp key.pub authorized
        git -c init.defaultBranch=main init -q there && cd there
        git -c user.name=a -c user.email=a@b.c commit -q --allow-empty -m one");
    // Free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .unwrap()
        .port();
    let at = place.display();
    suite.write(
        "sshd_config",
        &format!(
            "ListenAddress 127.0.0.1\nPort {port}\nHostKey {at}/host\nAuthorizedKeysFile {at}/authorized\n\
             PidFile none\nStrictModes no\nUsePAM no\nPermitRootLogin yes\n"
        ),
    );
    if need::is_root() {
        fs::create_dir_all("/run/sshd").unwrap();
        fs::set_permissions("/run/sshd", fs::Permissions::from_mode(0o755)).unwrap();
    }
    let config = place.join("sshd_config");
    let log = fs::File::create(place.join("log")).unwrap();
    let server = Command::new(sshd)
        .args(["-D", "-e", "-f"])
        .arg(config)
        .stdin(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap();
    let _server = Server(server);
    let started = Instant::now();
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        let log = fs::read_to_string(place.join("log")).unwrap();
        assert!(started.elapsed() < Duration::from_secs(20), "{log}");
        std::thread::sleep(Duration::from_millis(50));
    }
    let script = format!(
        "export GIT_SSH_COMMAND='ssh -p {port} -i {at}/key -o IdentitiesOnly=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null'
         user=$(id -un); rm -rf here
         git clone -q ssh://$user@127.0.0.1{at}/there here && cd here
         git -c user.name=a -c user.email=a@b.c commit -q --allow-empty -m two
         git push -q origin HEAD:refs/heads/run-$$ && git ls-remote origin | grep -q run- && echo all done"
    );
    suite.check(&script, "all done");
}
