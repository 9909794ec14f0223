# Shortcuts for frequent commands. `just` without a name lists them.

_default:
    @just --list

# Start the server on http://127.0.0.1:8080
run *ARGS:
    cargo run --release -- {{ARGS}}

# Migrate the database to the version of this code (--status, --dry-run, --down)
migrate *ARGS:
    cargo run --release -- migrate {{ARGS}}

# Start PostgreSQL, Redis and two replicas in containers (`just up services`: without the replicas)
up PROFILE="full":
    docker compose --profile {{PROFILE}} up --detach --build --wait

# Stop the containers; the data stays in the volumes
down:
    docker compose --profile full --profile services --profile workers down

# Deploy to the replicas of an environment (deploy/ENV.env), one after another; go back on failure
deploy ENV *VERSION:
    ./deploy/deploy up {{ENV}} {{VERSION}}

# Go back to the previous version
rollback ENV:
    ./deploy/deploy rollback {{ENV}}

# Ask a running server whether it is ready
health-check URL="http://127.0.0.1:8080/readyz":
    cargo run --release -- health-check --url {{URL}}

# Create the files of a new migration, for both databases
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

# Check formatting and lints
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings

# Run the tests (--with-model: also those against external programs)
test *ARGS:
    ./tests/run {{ARGS}}

# Measure each row against a limit of the same run, or against an older server: --against OLD_BINARY (--pairs N, --quick, --only ROW)
bench *ARGS:
    cargo build --release --workspace --bins
    target/release/services -- target/release/bench {{ARGS}}

# Run the counted tests in their long form: release build, full counts, a seed that repeats them (--with-model: those against external programs)
prove *ARGS:
    ./tests/prove {{ARGS}}

# Make the pictures of docs/console.md anew
pictures:
    BOTARMY_TEST_DOCS_PICTURES={{justfile_directory()}}/docs/console ./tests/run --with-model -E 'test(pictures::)'

# Run everything that must pass before a change lands
ci:
    ./.ci/run
