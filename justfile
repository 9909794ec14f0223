# The commands of every day. `just` alone lists them.

_default:
    @just --list

# Serve on http://127.0.0.1:8080
run *ARGS:
    cargo run --release -- {{ARGS}}

# Bring the database to the version of this code (--status, --dry-run, --down)
migrate *ARGS:
    cargo run --release -- migrate {{ARGS}}

# Begin a new migration, for both databases
migration NAME:
    #!/usr/bin/env bash
    set -euo pipefail
    last=$(ls migrations/sqlite | tail -n 1)
    number=$(printf '%04d' $((10#${last%%_*} + 1)))
    for folder in migrations/{sqlite,postgres}/"${number}_{{NAME}}"; do
        mkdir "$folder"
        touch "$folder/up.sql" "$folder/down.sql"
        echo "$folder"
    done

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
    cargo run --release -p botarmy-tests --bin bench -- {{ARGS}}

# Everything that must hold before it lands
ci:
    ./.ci/run
