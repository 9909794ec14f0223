# The commands of every day. `just` alone lists them.

_default:
    @just --list

# Serve on http://127.0.0.1:8080
run *ARGS:
    cargo run --release -- {{ARGS}}

# Bring the database to the version of this code (--status, --dry-run, --down)
migrate *ARGS:
    cargo run --release -- migrate {{ARGS}}

# Begin a new migration
migration NAME:
    #!/usr/bin/env bash
    set -euo pipefail
    folder="migrations/sqlite/$(date -u +%Y-%m-%d-%H%M%S)_{{NAME}}"
    mkdir -p "$folder"
    touch "$folder/up.sql" "$folder/down.sql"
    echo "$folder"

# Compile and lint, without running anything
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings

# Run every test
test *ARGS:
    ./tests/run {{ARGS}}

# Measure: every row as a ratio to a limit of the same run (--quick, --only ROW)
bench *ARGS:
    cargo build --release --workspace --bins
    target/release/services -- target/release/bench {{ARGS}}

# Everything that must hold before it lands
ci:
    ./.ci/run
