//! The tool libraries: everyday commands are understood and executed as meant, and what could write,
//! run or read something besides is not understood at all.

use crate::support::need;
use std::sync::LazyLock;

use lictor::decision::{Context, Effect, Request, Value, decide};
use lictor::lint::policy_tests;
use lictor::policy::model::{Argument, ArgumentKind, Spelling};
use lictor::policy::{CompiledPolicy, SourceFile, libraries};
use lictor::reason::Reason::{self, *};

/// Allows everything that the libraries declare, so that only their grammar is left to say no.
static POLICY: LazyLock<CompiledPolicy> = LazyLock::new(|| {
    let uses: Vec<&str> = libraries().map(|library| library.name()).collect();
    let text = format!(
        "version: 1\n\
         name: libraries\n\
         use: [{}]\n\
         scopes: {{everything: [\"**\"]}}\n\
         rules: [{{id: all, allow: \"*\", within: everything}}, {{id: report, allow: pytest.run, within: {{junit: everything}}}}, {{id: plan, allow: terraform.plan, within: {{out: everything}}}}]\n",
        uses.join(", ")
    );
    CompiledPolicy::from_yaml(&text).unwrap()
});

#[test]
fn the_tests_in_each_library_hold() {
    for library in libraries() {
        let file = SourceFile::new(library.name(), library.text());
        let policy = CompiledPolicy::library_allowed(&file).unwrap().unwrap();
        let outcomes = policy_tests::run(&policy);
        for effect in ["allow", "deny"] {
            let mut expected = policy.tests().iter().map(|test| test.expect.as_str());
            assert!(
                expected.any(|word| word == effect),
                "{}: no test expects {effect}",
                library.name()
            );
        }
        let failed: Vec<String> = outcomes
            .iter()
            .filter(|outcome| !outcome.passed())
            .map(|outcome| {
                format!(
                    "{}: {:?}: {}",
                    outcome.request,
                    outcome.failures,
                    outcome.decision.message()
                )
            })
            .collect();
        assert!(
            failed.is_empty(),
            "{}:\n{}",
            library.name(),
            failed.join("\n")
        );
    }
}

/// What git is started with in any case.
const GIT: &str = "git --no-pager --literal-pathspecs --no-optional-locks --git-dir=./.git --work-tree=. \
     -c core.fsmonitor=false -c core.editor=true -c core.askPass= -c core.alternateRefsCommand=true \
     -c safe.bareRepository=explicit -c gc.auto=0 -c maintenance.auto=false -c rerere.enabled=false \
     -c format.pretty=medium -c log.showSignature=false -c mailmap.file= -c mailmap.blob= -c diff.orderFile=/dev/null \
     -c gpg.program=/dev/null -c gpg.openpgp.program=/dev/null -c gpg.ssh.program=/dev/null \
     -c gpg.x509.program=/dev/null -c commit.gpgSign=false -c commit.verbose=false -c push.gpgSign=false -c diff.submodule=short -c status.submoduleSummary=false -c submodule.recurse=false";

/// What ripgrep is started with in any case.
const RG: &str = "rg --no-config --no-ignore-dot --no-require-git";

/// Words set apart by blanks; `'several words'` and `''` are one.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (nth, piece) in line.split('\'').enumerate() {
        if nth % 2 == 1 {
            words.push(piece.to_owned());
        } else {
            words.extend(piece.split_whitespace().map(str::to_owned));
        }
    }
    words
}

#[track_caller]
fn runs(given: &str, executed: &str) {
    let decision = decide(&POLICY, &Request::argv(words(given)), &Context::new("test"));
    assert_eq!(
        decision.effect(),
        Effect::Allow,
        "{given}: {}",
        decision.message()
    );
    let executed = executed.replace("GIT", GIT).replace("RG", RG);
    assert_eq!(decision.argv().unwrap(), words(&executed), "{given}");
}

#[track_caller]
fn refused(given: &str, reason: Reason) {
    let decision = decide(&POLICY, &Request::argv(words(given)), &Context::new("test"));
    assert_eq!(
        decision.reason(),
        Some(reason),
        "{given}: {}",
        decision.message()
    );
}

#[test]
fn everyday_pytest_is_understood() {
    runs(
        "pytest -xvs -k 'a or b' tests/x.py::T::t[1]",
        "pytest -v -s -k 'a or b' -x tests/x.py::T::t[1]",
    );
    runs("pytest tests", "pytest tests");
    runs(
        "pytest -v tests/a.py tests/b.py",
        "pytest -v tests/a.py tests/b.py",
    );
    runs(
        "pytest -vv -ra --tb=short tests",
        "pytest -v -v -ra --tb=short tests",
    );
    runs(
        "pytest -q --tb no tests --maxfail 1",
        "pytest -q --tb=no --maxfail=1 tests",
    );
    runs("python -m pytest -n auto tests/", "pytest -n auto tests");
    runs(
        "uv run pytest -m 'not slow' tests",
        "pytest -m 'not slow' tests",
    );
    runs(
        "pytest --junit-xml=out.xml tests",
        "pytest --junitxml=out.xml tests",
    );
    runs(
        "pytest --cov=app --cov-report=term-missing tests",
        "pytest --cov=app --cov-report=term-missing tests",
    );
    runs(
        "pytest -W error::DeprecationWarning tests",
        "pytest -W error::DeprecationWarning tests",
    );
    runs("pytest --lf -x tests", "pytest --last-failed -x tests");
    runs("pytest -v", "pytest -v");
    // The target is the option's value, for pytest as well: none is left, which means everything.
    runs("pytest --cov tests", "pytest --cov=tests");
    refused("pytest --cov", ArgumentInvalid);
}

#[test]
fn pytest_takes_no_other_code_configuration_or_targets() {
    for option in [
        "-p evil",
        "-pevil",
        "-p no:cacheprovider",
        "-c evil.ini",
        "--rootdir=/",
        "--confcutdir=.",
        "-o addopts=x",
        "--override-ini=addopts=x",
        "--pyargs",
        "--basetemp=src",
        "--pdb",
        "--trace",
        "--pdbcls=a:b",
        "--debug",
        "--log-file=x",
        "--pastebin=all",
        "--cache-show",
        "--tx=popen",
        "--root=/",
        "--junit=x",
    ] {
        refused(&format!("pytest {option} tests"), ArgumentUnknown);
    }
    refused("pytest -W error::evil.Category tests", ArgumentInvalid);
    refused("pytest -k -pevil tests", ArgumentInvalid);
    refused("pytest -k '-p' tests", ArgumentInvalid);
    refused("pytest --cov=../x tests", ArgumentInvalid);
    // pytest before 6 read these as Python.
    for text in [
        "[c for c in (1).__class__.__base__.__subclasses__()][0]",
        "a.__class__",
        "a__b",
        "f('x')",
        "\"a\"",
        "(x)for(y)in(z)",
        "([x]for[x]in[y]) .gi_frame",
        "lambda: 0",
        "a, b",
        "a{b}",
        "a=b",
        "a*b",
        "a\nb",
        "a;b",
        "[x]",
        ".a",
        "a ()",
        "-a",
    ] {
        for option in ["-k", "-m"] {
            let request = Request::argv(["pytest", option, text, "tests"]);
            let decision = decide(&POLICY, &request, &Context::new("test"));
            // Of these only a test's own parameters have a meaning for `-k`.
            let is_known = option == "-k" && ["a.b", "lambda: 0"].contains(&text);
            assert!(
                is_known || decision.reason() == Some(ArgumentInvalid),
                "{option} {text}"
            );
        }
    }
    for text in [
        "a",
        "a or b",
        "not (a and b_c)",
        "TestA and not test_b",
        "test_p[1-a/b.c]",
        "(a or (not b)) and c",
        "_private",
    ] {
        let request = Request::argv(["pytest", "-k", text, "tests"]);
        let decision = decide(&POLICY, &request, &Context::new("test"));
        assert_eq!(decision.effect(), Effect::Allow, "{text}");
    }
    refused("pytest @args.txt", PathOptionInjectionDenied);
    refused("pytest -- -p", PathOptionInjectionDenied);
}

#[test]
fn everyday_cargo_is_understood() {
    runs(
        "cargo test -p x --test y -- --nocapture",
        "cargo test --package=x --test=y -- --nocapture",
    );
    runs("cargo t", "cargo test --");
    runs(
        "cargo test decision::tests -- --test-threads 1 --skip slow a b",
        "cargo test decision::tests -- --test-threads=1 --skip=slow a b",
    );
    runs(
        "cargo build --release --all-features -j4",
        "cargo build --all-features --release --jobs=4",
    );
    runs("cargo c -vv", "cargo check --verbose --verbose");
    runs(
        "cargo clippy --all-targets -- -D warnings",
        "cargo clippy --all-targets -- -D warnings",
    );
    runs(
        "cargo nextest run -E 'test(a) & not test(b)'",
        "cargo nextest run -E 'test(a) & not test(b)'",
    );
    runs("cargo fmt", "cargo fmt");
    runs("cargo fmt --all --check", "cargo fmt --check --all");
    runs("cargo fmt --all -- --check", "cargo fmt --all -- --check");
    runs("cargo doc --no-deps", "cargo doc --no-deps");
    runs("cargo --version", "cargo version");
    runs("cargo -q test", "cargo test --quiet --");
    runs("cargo --locked test --lib", "cargo test --lib --locked --");
    runs("cargo --color always test", "cargo test --color=always --");
    runs(
        "cargo --offline -v metadata",
        "cargo metadata --verbose --offline",
    );
    runs(
        "cargo build --target x86_64-unknown-linux-gnu",
        "cargo build --target=x86_64-unknown-linux-gnu",
    );
    runs(
        "cargo build --target thumbv8m.main-none-eabihf",
        "cargo build --target=thumbv8m.main-none-eabihf",
    );
}

#[test]
fn cargo_takes_no_other_compiler_configuration_or_workspace() {
    for option in [
        "--config build.rustc-wrapper='/tmp/x'",
        "-Zunstable-options",
        "--manifest-path=other/Cargo.toml",
        "--target-dir=src",
        "--artifact-dir=src",
        "--timings",
        "--lockfile-path=x",
    ] {
        refused(&format!("cargo build {option}"), ArgumentUnknown);
    }
    refused("cargo +nightly test", ActionNotAllowed);
    refused("cargo --config x test", ArgumentUnknown);
    refused("cargo -C other test", ArgumentUnknown);
    refused("cargo clippy --fix", ArgumentUnknown);
    refused("cargo clippy -- -C linker=x", ArgumentUnknown);
    refused("cargo test -- --logfile x", ArgumentUnknown);
    refused("cargo doc --open", ArgumentUnknown);
    refused("cargo build --target evil.json", ArgumentInvalid);
    refused("cargo build --target ./evil", ArgumentInvalid);
    refused("cargo test -p ../other", ArgumentInvalid);
    for action in ["run", "publish", "login", "fix", "new x", "evil"] {
        refused(&format!("cargo {action}"), ActionNotAllowed);
    }
}

#[test]
fn everyday_git_is_understood() {
    const DIFF: &str =
        "GIT diff --no-ext-diff --no-textconv --ignore-submodules=dirty --topo-order";
    const LOG: &str = "--no-ext-diff --no-textconv --ignore-submodules=dirty";
    let log = |words: &str| format!("GIT log {LOG} {words}");
    let show = |words: &str| format!("GIT show {LOG} {words}");
    let diff = |words: &str| format!("{DIFF} {words}");
    const STATUS: &str = "GIT status --ignore-submodules=dirty";
    runs(
        "git diff --stat HEAD~1 -- src",
        &diff("--stat HEAD~1^{commit} -- src"),
    );
    runs("git diff", &diff("--"));
    runs(
        "git diff --cached -U5 main...HEAD",
        &diff("--cached --unified=5 main^{commit}...HEAD^{commit} --"),
    );
    runs(
        "git diff HEAD@{1} ^main -M90%",
        &diff("--find-renames=90% HEAD@{1}^{commit} ^main^{commit} --"),
    );
    runs("git diff main..", &diff("main^{commit}.. --"));
    runs("git log ..origin/main", &log("..origin/main^{commit} --"));
    runs(
        "git diff v1.0.2..feature/a.b2 HEAD~2^2",
        &diff("v1.0.2^{commit}..feature/a.b2^{commit} HEAD~2^2^{commit} --"),
    );
    runs(
        "git diff --name-only --cached",
        &diff("--name-only --cached --"),
    );
    runs("git diff --patch-with-stat", &diff("--patch-with-stat --"));
    runs("git log -5 --oneline", &log("-n 5 --oneline --"));
    runs(
        "git log -n5 --author=x --since '2 weeks ago' -- src",
        &log("-n 5 '--since=2 weeks ago' --author=x -- src"),
    );
    runs(
        "git log -p -Sword HEAD",
        &log("--patch -Sword HEAD^{commit} --"),
    );
    runs("git log -Sword", &log("-Sword --"));
    runs("git log -Gw.rd -Sword", &log("-Sword -Gw.rd --"));
    runs("git log -p --stat", &log("--patch --stat --"));
    runs("git status -s src", &format!("{STATUS} --short src"));
    runs("git diff -p --stat", &diff("--patch --stat --"));
    runs(
        "git show --stat -p HEAD",
        &show("--patch --stat HEAD^{commit} --"),
    );
    runs("git status -sb", &format!("{STATUS} --short --branch"));
    runs(
        "git status --porcelain=v1 -uno",
        &format!("{STATUS} --porcelain --untracked-files=no"),
    );
    runs("git show --stat HEAD", &show("--stat HEAD^{commit} --"));
    runs("git show HEAD --stat", &show("--stat HEAD^{commit} --"));
    runs(
        "git show -s --format=%H main~0",
        &show("-s --pretty=%H main~0^{commit} --"),
    );
    runs(
        "git blame -L 1,20 src/a.py",
        "GIT blame --no-textconv -L 1,20 src/a.py",
    );
    runs(
        "git blame HEAD~3 -- src/a.py",
        "GIT blame --no-textconv HEAD~3^{commit} -- src/a.py",
    );
    runs(
        "git grep -n word -- src",
        "GIT grep --no-textconv --no-recurse-submodules --line-number word -- src",
    );
    runs(
        "git grep word v1 -- src",
        "GIT grep --no-textconv --no-recurse-submodules word v1^{commit} -- src",
    );
    for format in [
        "%h %an <%ae>%n%s",
        "%%x %%",
        "%+b% d",
        "format:%C(auto)%h%x00",
        "%<(20,trunc)%an%>>(9)%ar %Cred%d%Creset",
        "%(trailers:key=Signed-off-by)",
        "oneline",
        "%s 100%",
    ] {
        runs(
            &format!("git log '--format={format}'"),
            &log(&format!("'--pretty={format}' --")),
        );
    }
    runs(
        "git branch --sort=-committerdate '--format=%(refname:short)%(*subject)%(if)%(HEAD)%(then)x%(end)'",
        "GIT branch --sort=-committerdate '--format=%(refname:short)%(*subject)%(if)%(HEAD)%(then)x%(end)'",
    );
    runs(
        "git tag --sort=-v:refname",
        "GIT tag --list --sort=-v:refname",
    );
    runs("git tag -l", "GIT tag --list --list");
    runs("git tag -l v1*", "GIT tag --list v1*");
    runs(
        "git tag --contains HEAD",
        "GIT tag --list --contains=HEAD^{commit}",
    );
    runs("git --no-pager branch -a", "GIT branch --all");
    runs("git branch --show-current", "GIT branch --show-current");
    runs(
        "git branch -a --contains HEAD",
        "GIT branch --all --contains=HEAD^{commit}",
    );
    runs(
        "git branch --merged main",
        "GIT branch --merged=main^{commit}",
    );
    runs("git branch --merged", "GIT branch --merged");
    runs("git rev-parse --short HEAD", "GIT rev-parse --short HEAD");
    runs(
        "git rev-parse --abbrev-ref @{u}",
        "GIT rev-parse --abbrev-ref @{u}",
    );
    runs(
        "git rev-list --left-right --count a...b",
        "GIT rev-list --count --left-right a^{commit}...b^{commit} --",
    );
    runs(
        "git merge-base main HEAD",
        "GIT merge-base main^{commit} HEAD^{commit}",
    );
    runs("git remote -v", "GIT remote --verbose");
    runs("git stash list", "GIT stash list");
    runs(
        "git stash show stash@{0}",
        "GIT stash show --no-ext-diff --no-textconv --no-include-untracked --stat stash@{0}",
    );
    runs("git reset", "GIT reset --");
    runs(
        "git reset -q HEAD~1",
        "GIT reset --quiet HEAD~1^{commit} --",
    );
    runs(
        "git reset --soft HEAD~1",
        "GIT reset --soft HEAD~1^{commit}",
    );
    runs("git tag v1.2", "GIT tag --no-sign v1.2");
    runs("git tag v1.2 main", "GIT tag --no-sign v1.2 main^{commit}");
    runs(
        "git -C sub status",
        &STATUS.replace(
            "GIT",
            &format!(
                "{} -C sub",
                GIT.replace("=./.git", "=../.git")
                    .replace("tree=.", "tree=..")
            ),
        ),
    );
    runs("git add src/a.py tests", "GIT add src/a.py tests");
    runs("git add -A", "GIT add --all");
    runs(
        "git commit -m 'text -with dash'",
        "GIT commit '--message=text -with dash'",
    );
    runs(
        "git commit -m '-dash first'",
        "GIT commit '--message=-dash first'",
    );
    runs(
        "git commit -am 'one\n\ntwo'",
        "GIT commit --all '--message=one\n\ntwo' --",
    );
    runs("git commit --amend -m x", "GIT commit --amend --message=x");
    runs(
        "git commit -m x src/a.py",
        "GIT commit --message=x src/a.py",
    );
    runs(
        "git commit -a --amend --no-edit",
        "GIT commit --amend --no-edit --all --",
    );
    runs("git switch -c feature/x", "GIT switch -c feature/x");
    runs("git checkout -b feature/x", "GIT switch -c feature/x");
    runs("git checkout -- src/a.py", "GIT checkout -- src/a.py");
    runs("git restore src/a.py", "GIT restore src/a.py");
    runs(
        "git restore --staged src/a.py",
        "GIT restore --staged src/a.py",
    );
    runs("git restore . --staged", "GIT restore --staged .");
    runs("git rm --cached .env", "GIT rm --cached .env");
    runs(
        "git mv src/a.py src/c.py docs",
        "GIT mv src/a.py src/c.py docs",
    );
    runs("git fetch", "GIT fetch --no-recurse-submodules");
    runs(
        "git fetch -p origin",
        "GIT fetch --no-recurse-submodules --prune origin",
    );
    runs(
        "git fetch origin main",
        "GIT fetch --no-recurse-submodules origin main",
    );
    runs(
        "git push -u origin feature/x",
        "GIT push --recurse-submodules=no --set-upstream origin feature/x",
    );
}

#[test]
fn git_takes_no_other_configuration_output_or_program() {
    refused("git -c core.pager=evil log", ArgumentUnknown);
    refused("git -c log", ArgumentUnknown);
    // What is passed in any case may be written, too.
    runs(
        "git -c core.fsmonitor=false --no-pager remote",
        "GIT remote",
    );
    for option in [
        "--exec-path=/tmp",
        "--config-env=core.pager=X",
        "--git-dir=x",
        "--work-tree=/",
        "--namespace=x",
        "-ccore.pager=x",
        "--bare",
        "-p",
    ] {
        refused(&format!("git {option} status"), ArgumentUnknown);
    }
    for option in [
        "--output=src/a.py",
        "--ext-diff",
        "--textconv",
        "--no-index",
        "-Oorder",
        "--outpu=x",
        "--submodule=diff",
    ] {
        refused(&format!("git diff {option}"), ArgumentUnknown);
        refused(&format!("git log {option}"), ArgumentUnknown);
        refused(&format!("git show {option}"), ArgumentUnknown);
    }
    refused("git diff --output src/a.py", ArgumentUnknown);
    refused("git grep -Oevil word", ArgumentUnknown);
    refused("git grep --open-files-in-pager=evil word", ArgumentUnknown);
    refused("git grep -f list word", ArgumentUnknown);
    refused("git grep --no-index word", ArgumentUnknown);
    refused("git log --show-signature", ArgumentUnknown);
    refused("git log -L1,5:secrets/key", ArgumentUnknown);
    // A signature is looked at by another program, which the repository's settings name.
    for format in [
        "%G?",
        "x%GS",
        "%+GK",
        "% G?",
        "%-GG",
        "%%%GT",
        "%h %an%n%GP",
        "tformat:%G?",
    ] {
        refused(&format!("git log '--format={format}'"), ArgumentInvalid);
        refused(&format!("git show '--pretty={format}'"), ArgumentInvalid);
    }
    for format in [
        "%(signature)",
        "%(signature:grade)",
        "%(*signature)",
        "%(if)%(signature)%(then)x%(end)",
    ] {
        refused(&format!("git branch '--format={format}'"), ArgumentInvalid);
    }
    for order in [
        "signature",
        "-signature:grade",
        "version:signature",
        "v:signature",
        "*signature",
    ] {
        refused(&format!("git branch --sort={order}"), ArgumentInvalid);
        refused(&format!("git tag --sort={order}"), ArgumentInvalid);
    }
    refused("git blame --contents secrets/key src/a.py", ArgumentUnknown);
    refused("git commit -F secrets/key", ArgumentUnknown);
    refused("git commit -n -m x", ArgumentUnknown);
    refused("git commit", ArgumentRequired);
    refused("git add -f secret", ArgumentUnknown);
    refused("git add --pathspec-from-file=x", ArgumentUnknown);
    refused("git show HEAD:secrets/key", ArgumentInvalid);
    refused("git diff --word-diff-regex=x", ArgumentUnknown);
    for climbing in [
        "src/../../../etc/passwd",
        "src/..",
        "a/./b",
        "../x",
        "/etc/passwd",
        "a//b",
    ] {
        refused(
            &format!("git diff {climbing} secrets/key -- src"),
            ArgumentInvalid,
        );
        refused(&format!("git log {climbing}"), ArgumentInvalid);
    }
    refused("git diff -S ''", ArgumentInvalid);
    refused("git add :(exclude)a", PathColonDenied);
    refused("git add *.py", PathReservedCharDenied);
    refused("git add .git/config", PathProtectedDenied);
    refused("git status -- -x", PathOptionInjectionDenied);
    for action in [
        "clean -fd",
        "config x y",
        "clone x",
        "init",
        "submodule update",
        "apply x",
        "filter-branch",
        "bisect run x",
        "evil",
    ] {
        refused(&format!("git {action}"), ActionNotAllowed);
    }
    for action in [
        "pull",
        "merge x",
        "rebase x",
        "stash pop",
        "stash",
        "switch x",
    ] {
        refused(&format!("git {action}"), NoRuleAllows);
    }
    refused("git branch new", ArgumentUnknown);
    refused("git branch -D main", ArgumentUnknown);
    refused("git remote add x y", ArgumentUnknown);
    refused("git tag main", ArgumentUnknown);
    refused("git tag -f v1", ArgumentUnknown);
    refused("git reset --hard", NoRuleAllows);
}

/// Without a repository `git diff A B` takes both for files, which no rule has spoken about.
#[test]
fn git_compares_no_two_files_where_there_is_no_repository() {
    let place = tempfile::tempdir().unwrap();
    std::fs::create_dir(place.path().join("secrets")).unwrap();
    // The very names that the revisions are passed as.
    std::fs::write(place.path().join("secrets/key^{commit}"), "k1").unwrap();
    std::fs::write(place.path().join("plain^{commit}"), "x").unwrap();
    let asked = Request::argv(["git", "diff", "secrets/key", "plain"]);
    let decision = decide(&POLICY, &asked, &Context::new("test"));
    let argv = decision.argv().unwrap();
    let run = |words: &[&str]| {
        std::process::Command::new("git")
            .args(words)
            .current_dir(place.path())
            .env("GIT_CEILING_DIRECTORIES", place.path().parent().unwrap())
            .output()
    };
    let Ok(output) = run(argv.get(1..).unwrap()) else {
        return need::lacks("git", "it cannot be started");
    };
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        !output.status.success() && !told.contains("k1"),
        "{output:?}"
    );
    // Without that one word it would have.
    let without: Vec<&str> = argv
        .into_iter()
        .skip(1)
        .filter(|word| *word != "--topo-order")
        .collect();
    let told = String::from_utf8_lossy(&run(&without).unwrap().stdout).into_owned();
    assert!(told.contains("k1"), "{told}");
}

#[test]
fn git_publishes_plainly_and_to_origin_only() {
    refused("git push", ArgumentRequired);
    refused("git push --force origin main", ArgumentUnknown);
    refused("git push -f origin main", ArgumentUnknown);
    refused("git push origin --delete main", ArgumentUnknown);
    refused("git push origin :main", ArgumentInvalid);
    refused("git push origin +main", ArgumentInvalid);
    refused("git push origin a:b", ArgumentInvalid);
    refused("git push --receive-pack=evil origin main", ArgumentUnknown);
    refused("git fetch --upload-pack=evil origin", ArgumentUnknown);
    for remote in ["evil", "./evil", "ext::sh", "https://example.org/x", "../r"] {
        refused(&format!("git push {remote} main"), ArgumentInvalid);
        refused(&format!("git fetch {remote}"), ArgumentInvalid);
    }
}

#[test]
fn everyday_npm_is_understood() {
    runs("npm test -- --watch", "npm test -- --watch");
    runs("npm t", "npm test --");
    runs(
        "npm run test -- -t adds src/sum.test.js",
        "npm test -- --testNamePattern=adds src/sum.test.js",
    );
    runs("npm run build --silent", "npm run build --silent");
    runs("npm run lint -w @a/b", "npm run lint --workspace=@a/b");
    runs(
        "npm ci",
        "npm ci --ignore-scripts --no-audit --no-fund --node-options=",
    );
    runs(
        "npm i --ignore-scripts",
        "npm install --ignore-scripts --no-audit --no-fund --node-options=",
    );
    runs("npm ls --depth 0", "npm ls --depth=0");
    runs("npm -w a test", "npm test --workspace=a --");
    runs("npm -s run build", "npm run build --silent");
    runs(
        "npm test -w packages/a",
        "npm test --workspace=packages/a --",
    );
    runs("npm run lint -- --fix", "npm run lint -- --fix");
}

#[test]
fn npm_takes_no_other_scripts_packages_shells_or_projects() {
    refused("npm run deploy", ActionNotAllowed);
    refused("npm exec evil", ActionNotAllowed);
    refused("npm publish", ActionNotAllowed);
    refused("npm install ./evil.tgz", ArgumentUnknown);
    refused("npm audit fix", ArgumentUnknown);
    refused("npm --prefix other test", ArgumentUnknown);
    for option in [
        "--prefix=other",
        "--script-shell=/tmp/x",
        "--node-options=-r./x",
        "--userconfig=x",
        "--silent=false",
    ] {
        refused(&format!("npm test {option}"), ArgumentUnknown);
    }
    refused("npm test x", ArgumentUnknown);
    refused("npm test -- --globalSetup=./x.js", ArgumentUnknown);
    refused("npm test -- --config x", ArgumentUnknown);
    refused("npm test -- -u", ArgumentUnknown);
    refused("npm test -- -t '$(id)'", ArgumentInvalid);
    refused("npm test -- -t '`id`'", ArgumentInvalid);
    // A script may start a second shell, which reads the words once more.
    for text in [
        "a|touch x",
        "a --config=x",
        "a;b",
        "a#b",
        "(a)",
        "a^b",
        "a b",
        "a*",
        "a<b",
        "a'b",
    ] {
        let words = ["npm", "test", "--", "-t", text];
        let request = Request::argv(words);
        let decision = decide(&POLICY, &request, &Context::new("test"));
        assert_eq!(decision.reason(), Some(ArgumentInvalid), "{text}");
    }
    for path in [
        "src/x;touch PWN;#.js",
        "src/`id`.js",
        "src/$(id).js",
        "src/a b.js",
        "src/a'b.js",
        "src/(a).js",
        "src/a&b.js",
        "src/a#b.js",
        "src/a!.js",
        "src/[a].js",
        "src/é.js",
        "src\\a.js",
        "~x",
        "src/a^b.js",
    ] {
        let request = Request::argv(["npm", "test", "--", path]);
        let decision = decide(&POLICY, &request, &Context::new("test"));
        assert_eq!(decision.reason(), Some(ArgumentInvalid), "{path}");
    }
    refused("npm test -- ../x.js", PathTraversalDenied);
    refused("npm run lint -w ../other", ArgumentInvalid);
}

#[test]
fn everyday_looking_at_files_is_understood() {
    runs("ls -la", "ls -l -a");
    runs("ls -1 src docs", "ls -1 src docs");
    runs("cat -n a b", "cat -n a b");
    runs("head -5 a", "head -n 5 a");
    runs("head -n -5 a", "head -n -5 a");
    runs("head -c 1K a", "head -c 1K a");
    runs("tail -n +3 a", "tail -n +3 a");
    runs("tail -20 a", "tail -n 20 a");
    runs("wc -lw a", "wc -l -w a");
    runs(
        "grep -rn word src",
        "grep -r -n --exclude-dir=.git --exclude=.git word src",
    );
    runs(
        "grep -A3 -i --include=*.py -r word .github",
        "grep -r -i -A 3 --include=*.py --exclude-dir=.git --exclude=.git word .github",
    );
    runs(
        "grep -e -one -e two a",
        "grep -e -one -e two --exclude-dir=.git --exclude=.git a",
    );
    // What leaves `.git` out stands behind the caller's globs, of which the last one wins.
    runs(
        "rg -g '.git/**' -g !tests -g --glob=x word",
        "RG -g .git/** -g !tests -g --glob=x --glob=!.git word",
    );
    runs("rg -g !tests word", "RG -g !tests --glob=!.git word");
    runs("rg -e a -e -b src", "RG -e a -e -b --glob=!.git src");
    runs("rg -n 'a|b' src -t py", "RG -n -t py --glob=!.git a|b src");
    runs("rg -g '*.py' word", "RG -g *.py --glob=!.git word");
    runs("rg --files src", "RG --files --glob=!.git src");
    runs(
        "find src tests -name '*.py' -type f -maxdepth 2",
        "find src tests -maxdepth 2 -type f -name *.py",
    );
    runs("find -print -name x", "find -name x -print");
    runs("diff -u a b", "diff --no-dereference -u a b");
    runs("sort -t , -k2,2n -r a", "sort -r -t , -k 2,2n a");
    runs("cut -d: -f1,3 a", "cut -f 1,3 -d : a");
    runs("du -sh src", "du -s -h src");
    runs("stat -c %s a", "stat -c %s a");
    runs("echo done", "echo done");
    runs("pwd", "pwd");
}

#[test]
fn programs_that_look_at_files_write_run_and_follow_nothing() {
    // To find these are operators.
    for name in ["!", "(", ")", ","] {
        runs(
            &format!("find '{name}' -name q"),
            &format!("find './{name}' -name q"),
        );
    }
    for command in [
        "grep -f patterns a",
        "grep --file=patterns a",
        "grep -R word src",
        "grep --exclude-from=x word a",
        "grep --directories=recurse word src",
        "rg --pre evil word",
        "rg --hostname-bin evil word",
        "rg -f patterns word",
        "rg -L word",
        "rg -z word",
        "rg -u word",
        "rg --no-ignore word",
        "rg --ignore-file x word",
        "rg --type-add 'x:*' word",
        "find src -exec cat x",
        "find src -ok cat x",
        "find src -execdir cat x",
        "find src -delete",
        "find src -fprint a",
        "find src -fprintf a x",
        "find src -fls a",
        "find -L src",
        "find -follow",
        "find -H src",
        "find -files0-from x",
        "find src -o -name x",
        "ls -L src",
        "ls -H src",
        "wc --files0-from=x",
        "du --files0-from=x",
        "du -L src",
        "du -X x src",
        "sort -o a a",
        "sort --output=a a",
        "sort -T x a",
        "sort --compress-program=evil a",
        "sort --files0-from=x",
        "tail -f a",
        "tail -F a",
        "tail --pid=1 a",
        "tail --follow=name a",
        "diff -X x a b",
        "diff --from-file=x a",
        "file -f list",
        "file -C -m x",
        "sha256sum -c list",
        "stat -L a",
        "cat --help",
    ] {
        refused(command, ArgumentUnknown);
    }
    // A second operand is where uniq writes to.
    refused("uniq a b", ArgumentUnknown);
    for program in [
        "sh", "bash", "xargs", "tee", "ln", "dd", "install", "timeout", "sudo",
    ] {
        let decision = decide(
            &POLICY,
            &Request::argv([program, "x"]),
            &Context::new("test"),
        );
        assert_eq!(
            decision.effect(),
            Effect::Deny,
            "{program}: {}",
            decision.message()
        );
    }
    refused("env", ToolNotAllowed);
    refused("printenv", ArgumentRequired);
    refused("printenv AWS_SECRET_ACCESS_KEY", ArgumentInvalid);
    // Scripts and programs that write, run or read something else are told by what they hold.
    for script in [
        "w x",
        "1,2w x",
        "s/a/b/w x",
        "r x",
        "R x",
        "W x",
        "e id",
        "s/a/b/e",
        "1e id",
        "p;w x",
        "/a/w x",
        "s/[/]/;s/w f/y/",
        "F;e",
        "y/a/b/;w x",
        "{p}",
        ":a;ba",
    ] {
        refused(&format!("sed '{script}' a"), ArgumentInvalid);
        refused(&format!("sed -e '{script}' a"), ArgumentInvalid);
    }
    for program in [
        "{print > \"x\"}",
        "{print >> \"x\"}",
        "{print | \"id\"}",
        "{\"id\" | getline}",
        "{getline < \"x\"}",
        "BEGIN{system(\"id\")}",
        "{print system(\"id\")}",
        "@load \"x\"",
        "@include \"x\"",
        "function f(x){}",
        "{print ENVIRON[\"HOME\"]}",
        "/[a/ {print \"]/ {system(\"}",
    ] {
        refused(&format!("awk '{program}' a"), ArgumentInvalid);
    }
    // Only bare names: another directory may hold another program.
    refused("./ls", ToolNotAllowed);
    refused("/tmp/ls", ToolNotAllowed);
}

/// What people and agents type all day: understood, or refused whatever the rules allow.
#[test]
fn everyday_lines_are_understood() {
    for line in include_str!("../data/everyday.tsv").lines() {
        let (expected, line) = line.split_once('\t').unwrap();
        let decision = decide(&POLICY, &Request::argv(words(line)), &Context::new("test"));
        let answer = match decision.effect() {
            Effect::Allow => "allow",
            Effect::Ask | Effect::Deny => "deny",
        };
        assert_eq!(answer, expected, "{line}: {}", decision.message());
    }
}

/// A value that the argument takes; a text is made of its pattern.
fn value(argument: &Argument) -> Value {
    let text = match &argument.kind {
        ArgumentKind::Flag => return Value::Flag(true),
        ArgumentKind::Path(_) => "src/a.py".to_owned(),
        ArgumentKind::Choice(words) => words.first().unwrap().clone(),
        ArgumentKind::Int { min, .. } => (*min).max(1).to_string(),
        ArgumentKind::Text {
            pattern: Some(pattern),
            ..
        } => pattern.example().unwrap(),
        ArgumentKind::Text { .. } | _ => "a".to_owned(),
    };
    Value::from(text)
}

#[test]
fn every_argument_means_the_same_named_and_as_a_command_line() {
    let mut seen = 0;
    let policies = libraries().map(|library| {
        let file = SourceFile::new(library.name(), library.text());
        CompiledPolicy::library_allowed(&file).unwrap().unwrap()
    });
    for policy in policies {
        for tool in policy.tools().iter().filter(|tool| tool.program.is_some()) {
            for action in &tool.actions {
                let own = || action.args.iter().chain(action.after.iter().flatten());
                for argument in tool.args.iter().chain(own()) {
                    // A word that is known by its place needs those in front of it.
                    let is_before = |other: &Argument| {
                        argument.spelling == Spelling::Positional
                            && other.spelling == Spelling::Positional
                            && own()
                                .take_while(|one| one.name != argument.name)
                                .any(|one| one.name == other.name)
                    };
                    let required = own().filter(|other| {
                        (other.required || is_before(other)) && other.name != argument.name
                    });
                    let named = required.chain([argument]).fold(
                        Request::named(&tool.name, &action.name),
                        |request, argument| request.with_arg(&argument.name, value(argument)),
                    );
                    let by_name = decide(
                        &policy,
                        &named,
                        &Context::new("test").with_approval("person"),
                    );
                    let argv = by_name.argv().unwrap_or_else(|| {
                        panic!(
                            "{}.{} {}: {}",
                            tool.name,
                            action.name,
                            argument.name,
                            by_name.message()
                        )
                    });
                    let by_words = decide(
                        &policy,
                        &Request::argv(argv.iter().copied()),
                        &Context::new("test").with_approval("person"),
                    );
                    assert_eq!(
                        by_words.argv(),
                        by_name.argv(),
                        "{argv:?}: {}",
                        by_words.message()
                    );
                    seen += 1;
                }
            }
        }
    }
    assert!(seen > 900, "{seen}");
}

/// The one free text that a program reads like an option if it begins like one is passed joined to
/// its option, or may not begin like one.
#[test]
fn no_value_can_be_taken_for_an_option() {
    let getopt = [
        "head", "tail", "grep", "rg", "find", "sort", "cut", "stat", "du", "diff", "uniq", "curl",
        "go",
    ];
    let mut wrong = Vec::new();
    for tool in POLICY.tools() {
        for action in &tool.actions {
            for argument in tool
                .args
                .iter()
                .chain(&action.args)
                .chain(action.after.iter().flatten())
            {
                let ArgumentKind::Text {
                    pattern,
                    dash: true,
                    ..
                } = &argument.kind
                else {
                    continue;
                };
                let Spelling::Option { names, join, .. } = &argument.spelling else {
                    panic!(
                        "`{}` of {}.{} is a word of its own",
                        argument.name, tool.name, action.name
                    )
                };
                let may_dash = pattern
                    .as_ref()
                    .is_none_or(|pattern| pattern.matches("-x") || pattern.matches("-1"));
                let is_joined = match join {
                    Some(join) => *join != lictor::policy::model::Join::Space,
                    None => names.iter().take(1).all(|name| name.starts_with("--")),
                };
                // These take the next word for a value, whatever it is.
                let takes_any_word = getopt.contains(&tool.name.as_str());
                if may_dash && !is_joined && !takes_any_word {
                    wrong.push(format!(
                        "`{}` of {}.{}",
                        argument.name, tool.name, action.name
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// A path argument says how much of a directory it means: silence would leave the reader guessing.
#[test]
fn every_path_argument_of_the_libraries_states_its_access_and_its_tree() {
    for entry in std::fs::read_dir("policy/tools").unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        for line in text.lines().filter(|line| line.contains("type: path")) {
            let is_stated = line.contains("access: ") && line.contains("tree: ");
            let is_plain = line.contains("required: true")
                || line.contains("option: ")
                || line.contains("absent: ");
            assert!(is_stated && is_plain, "{}: {line}", path.display());
        }
    }
}

/// Actions that change or show something and decide no path but where they start, each with the reason; a `*` stands for
/// all of a tool, or of an action's name. Whoever adds an action to a library says here why its files need not be decided, or
/// gives it an argument for them: one with `absent: workspace` where a flag means every file (`git commit --all`).
const WITHOUT_PATHS: &str = include_str!("../data/without_paths.tsv");

/// A flag that makes a command mean files has to imply a path, or nothing about these files is decided.
#[test]
fn an_action_without_paths_says_why() {
    let own_paths = |arguments: &[Argument]| {
        let is_own =
            |argument: &Argument| matches!(&argument.kind, ArgumentKind::Path(path) if !path.base);
        arguments.iter().any(is_own)
    };
    let mut found = Vec::new();
    for tool in POLICY.tools() {
        for action in &tool.actions {
            let after = action.after.as_deref().unwrap_or_default();
            let decides = [&tool.args, &action.args, after].into_iter().any(own_paths);
            if !decides {
                found.push(format!("{}.{}", tool.name, action.name));
            }
        }
    }
    for line in WITHOUT_PATHS.lines() {
        let (name, _) = line.split_once('\t').unwrap();
        let before = found.len();
        let (tool, action) = name.split_once('.').unwrap();
        let is = |pattern: &str, name: &str| pattern == "*" || pattern == name;
        found.retain(|found: &String| {
            let (own_tool, own_action) = found.split_once('.').unwrap();
            !(is(tool, own_tool) && is(action, own_action))
        });
        assert!(
            found.len() < before,
            "{name} is none of them, or is named twice"
        );
    }
    assert!(
        found.is_empty(),
        "no path is decided, and WITHOUT_PATHS has no reason: {found:?}"
    );
}

/// `git -C src diff` shows the whole repository, not only what is below `src`.
#[test]
fn a_path_that_is_left_out_means_the_whole_workspace_from_every_directory() {
    let text = "version: 1\n\
         name: below-src\n\
         use: [lictor/git@1]\n\
         scopes: {src: [\"src/**\"]}\n\
         rules: [{id: look, allow: git.diff, within: src}]\n";
    let policy = CompiledPolicy::from_yaml(text).unwrap();
    let allowed =
        |request| decide(&policy, &request, &Context::new("test")).effect() == Effect::Allow;
    assert!(!allowed(Request::argv(["git", "diff"])));
    assert!(!allowed(Request::argv(["git", "-C", "src", "diff"])));
    assert!(!allowed(Request::argv(["git", "diff"]).with_cwd("src")));
}

/// Else the second would be passed where the program looks for the first.
#[test]
fn a_positional_argument_is_not_passed_in_the_place_of_another() {
    let text = "version: 1\n\
         name: positions\n\
         tools:\n  t: {program: t, actions: {run: {args: {first: {type: choice, of: [safe]}, second: {type: text}}}}}\n\
         rules: [{id: all, allow: t.run}]\n";
    let policy = CompiledPolicy::from_yaml(text).unwrap();
    let request = Request::named("t", "run").with_arg("second", "unsafe");
    let decision = decide(&policy, &request, &Context::new("test"));
    assert_eq!(decision.effect(), Effect::Deny, "{:?}", decision.argv());
}
