#!/usr/bin/env bash
# The one command: installs what the tests need, then runs every check.
#
#   ./test.sh          everything, as it has to pass before a change lands
#   ./test.sh --quick  formatting, lints and tests only; installs nothing
#
# Plain `cargo test` needs nothing but Rust; what it leaves out, it says. Here a test fails if what it needs is not
# there. LICTOR_TEST_REQUIRE, if you set it, names what has to be there (names of tests/support/need.rs, with commas).
# Set LICTOR_FUZZ_SECONDS to search for new inputs with each fuzz target for that long; without it, each runs the same
# few thousand.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

quick=false
case "${1-}" in
    "") ;;
    --quick) quick=true ;;
    *) sed -n '2,10s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
fuzz_seconds=${LICTOR_FUZZ_SECONDS-}
export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-auto}

step() { printf '\n== %s\n' "$*"; }

# Installs Debian packages that are missing. Without root it says what is missing and goes on: the tests
# that need them say that they are not run.
need() {
    local missing=()
    for package in "$@"; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return
    if [ "$(id -u)" -ne 0 ]; then
        echo "not installed, and needs root: ${missing[*]}"
        return
    fi
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

if ! $quick; then
    step "what the tests need"
    need g++ jq python3 python3-venv golang-go golang-golang-x-mod-dev golang-golang-x-crypto-dev bubblewrap openssh-client openssh-server gdb \
        strace tmux zsh busybox mksh chromium ripgrep
    command -v npm >/dev/null || need npm # it may have come with node
    # A pytest of its own, outside every workspace that a test makes.
    venv=$PWD/target/test-venv
    if [ ! -x "$venv/bin/pytest" ]; then
        /usr/bin/python3 -m venv "$venv"
        "$venv/bin/pip" install --quiet --disable-pip-version-check pytest pytest-xdist
    fi
    export LICTOR_TEST_PYTEST=$venv/bin/pytest
    # A second validator of JSON Schema, and the schema of SARIF, which comes with a crate that is made of it.
    "$venv/bin/python" -c 'import jsonschema, yaml' 2>/dev/null ||
        "$venv/bin/pip" install --quiet --disable-pip-version-check jsonschema PyYAML
    export LICTOR_TEST_JSONSCHEMA=$venv/bin/python
    sarif=$PWD/target/test-sarif
    if [ ! -f "$sarif/vendor/serde-sarif/src/schema.json" ]; then
        mkdir -p "$sarif" && : >"$sarif/lib.rs"
        printf '[package]\nname = "schema"\nversion = "0.0.0"\n[lib]\npath = "lib.rs"\n[workspace]\n[dependencies]\nserde-sarif = { version = "0.8", default-features = false }\n' >"$sarif/Cargo.toml"
        (cd "$sarif" && cargo vendor --quiet vendor >/dev/null)
    fi
    export LICTOR_TEST_SARIF_SCHEMA=$sarif/vendor/serde-sarif/src/schema.json
    "$LICTOR_TEST_PYTEST" --version
    # Programs that are not ours, for the ledger: a verifier of tiles, the schema of OCSF events, and the
    # parser of Prometheus.
    if ! "$venv/bin/python" -c 'import tlog_scales, ocsf_json_schema, jsonschema, prometheus_client' 2>/dev/null; then
        "$venv/bin/pip" install --quiet --disable-pip-version-check \
            tlog-scales ocsf-json-schema jsonschema prometheus-client
    fi
    export LICTOR_TEST_PYTHON=$venv/bin/python
    # The agents themselves, for the tests of hooks: their models are played by a script on loopback.
    agents=$PWD/target/test-agents
    if [ ! -x "$agents/node_modules/.bin/codex" ]; then
        mkdir -p "$agents"
        (cd "$agents" && npm install --silent --no-audit --no-fund @anthropic-ai/claude-code@2.1.330 @openai/codex@0.169.0 >/dev/null)
    fi
    export LICTOR_TEST_AGENTS=$agents/node_modules/.bin
    for name in go jq; do
        found=$(command -v "$name") && export "LICTOR_TEST_${name^^}=$found"
    done
    # What is there now. A test that lacks it fails; without root, when not all could be installed, it says so.
    require=()
    if [ "$(id -u)" -eq 0 ]; then
        require+=(agents bwrap cargo cc chromium gdb git go jq jsonschema landlock npm node openssl pid-namespace)
        require+=(pytest python python3 ripgrep root sarif-schema script setpriv shells ssh sshd strace tmux unshare)
    fi
    export LICTOR_TEST_REQUIRE=${LICTOR_TEST_REQUIRE-$(IFS=,; echo "${require[*]}")}
fi

step "formatting"
cargo fmt --check
(cd fuzz && cargo fmt --check)
(cd examples/executor-ssh && cargo fmt --check)

step "lints"
cargo clippy --locked --all-targets --all-features -- -D warnings

step "features: deciding alone, running without the program"
cargo clippy --locked --no-default-features -- -D warnings
for feature in run contract cli; do
    cargo clippy --locked --no-default-features --features "$feature" -- -D warnings
done

step "documentation"
RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --all-features --quiet

if ! $quick; then
    step "dependencies"
    # Advisories need a database from outside: a job with a network checks them daily.
    command -v cargo-deny >/dev/null || cargo install --quiet --locked --debug cargo-deny
    cargo deny --log-level error check bans licenses sources

    step "fuzz targets"
    # libFuzzer on the stable compiler: the instrumentation that `cargo fuzz` asks the nightly one for.
    fuzz_flags="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4"
    fuzz_flags+=" -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table"
    fuzz_flags+=" -Cllvm-args=-sanitizer-coverage-trace-compares -Copt-level=2 -Cdebug-assertions"
    target=$(rustc -vV | sed -n 's/^host: //p')
    (cd fuzz && RUSTFLAGS="$fuzz_flags" cargo build --locked --quiet --target "$target")
    # The same inputs every time, unless a time to search for new ones is given.
    effort=(-seed=1 -runs=2000)
    [ -n "$fuzz_seconds" ] && effort=("-max_total_time=$fuzz_seconds")
    for source in fuzz/fuzz_targets/*.rs; do
        name=$(basename "$source" .rs)
        # Not the corpus itself: what is found goes into the tree by hand, when it is worth keeping.
        found=target/fuzz/$name
        rm -rf "$found" && mkdir -p "$found"
        dictionary=()
        [ -f "fuzz/dictionaries/$name.dict" ] && dictionary=("-dict=fuzz/dictionaries/$name.dict")
        if ! "fuzz/target/$target/debug/$name" "$found" "fuzz/corpus/$name" "${dictionary[@]}" "${effort[@]}" \
            -timeout=10 -rss_limit_mb=2048 -verbosity=0 -print_final_stats=1 \
            -artifact_prefix="$found/" >"$found.log" 2>&1; then
            tail -n 40 "$found.log"
            echo "fuzz target $name failed; what it found is in $found"
            exit 1
        fi
        echo "$name: $(grep -a '^stat::number_of_executed' "$found.log")"
    done
fi

step "tests"
cargo test --locked --all-features

if ! $quick; then
    step "an executor of another package, over an sshd on loopback"
    (cd examples/executor-ssh && cargo test --locked)
fi
