#!/usr/bin/env bash
# Builds lictor and governs real commands with it: one allowed, two denied, the record verified.
# Needs Rust and nothing else; writes below the target directory only.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
cargo build --profile quick --locked --quiet

target=$(cd "${CARGO_TARGET_DIR:-target}" && pwd)
export PATH=$target/quick:$PATH
demo=$target/quickstart
rm -rf "$demo"
mkdir -p "$demo/project/docs"
cp policy/presets/quickstart.yaml "$demo/project/lictor.yaml"
cd "$demo/project"
echo 'Nothing here is secret.' > docs/notes.md
echo 'PASSWORD=hunter2' > .env

# Shows a command, runs it, and tells how it ended.
show() {
    printf '\n$ %s\n' "$*"
    local code=0
    "$@" 2>&1 || code=$?
    printf '[exit code %s]\n' "$code"
}
export LICTOR_ACTOR=quickstart
show lictor --ledger ../ledger run -- wc -l docs/notes.md
show lictor --ledger ../ledger run -- cat .env
show lictor --ledger ../ledger run -- cat docs/../../ledger/key
show lictor --ledger ../ledger ledger verify
