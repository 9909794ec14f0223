# shellcheck shell=bash
# Replicas as the services botarmy-1, botarmy-2, … of compose.yaml. A release is the compose file it
# was deployed with; the image has the version as its tag.

check() {
  docker compose version >/dev/null 2>&1 || fail 2 "docker compose is not installed"
}

# VERSION ARGUMENTS…
compose() {
  VERSION=$1 docker compose --project-directory "$ROOT" --file "$STATE/releases/$1/compose.yaml" \
    --profile full "${@:2}" 9>&-
}

# IMAGE=pull uses an image that was built elsewhere.
prepare() {
  mkdir -p "$STATE/releases/$1" && cp "$ROOT/compose.yaml" "$STATE/releases/$1/" &&
    compose "$1" "${IMAGE:-build}" migrate
}

# Also starts PostgreSQL and Redis if they do not run.
migrate() {
  compose "$1" up --detach --wait postgres redis && compose "$1" run --rm --no-deps migrate
}

accepts() { compose "$1" run --rm --no-deps migrate migrate --status >/dev/null; }

start_replica() { compose "$2" up --detach --no-deps --no-build --force-recreate "botarmy-$1"; }

# The replica gets the stop_grace_period of compose.yaml.
stop_replica() {
  docker compose --project-directory "$ROOT" --file "$ROOT/compose.yaml" --profile full \
    stop "botarmy-$1" 9>&-
}

# Compose restarts a replica that ends, so only the time limit shows a failure.
alive() { true; }

ready() { compose "$2" exec -T "botarmy-$1" botarmy-server health-check >/dev/null 2>&1; }
