#!/bin/sh
# Replace the app, the scheduler and the workers of docker-compose.prod.yml by what .env and the compose file say now,
# without a moment in which nobody serves: a new app starts beside the old one, and the old one ends once the new one is
# healthy.
#   deploy/replace.sh
# Build and migrate first (DEPLOY_CHECKLIST.md, 8). If the new app does not get healthy, it is removed, the old one serves
# on, and this ends with 1. Workers of other machines are not among them (docs/operations.md). COMPOSE_FILE and
# COMPOSE_PROJECT_NAME are read as docker compose reads them.
set -eu
export COMPOSE_FILE="${COMPOSE_FILE:-docker-compose.prod.yml}"

up() { docker compose up --detach --wait --no-build --no-deps "$@"; }

# Containers that came after the old ones.
added() {
    for id in $(docker compose ps --all --quiet app); do
        case $old in *"$id"*) ;; *) echo "$id" ;; esac
    done
}

old=$(docker compose ps --quiet app)
if [ -z "$old" ]; then
    up --force-recreate app
else
    # It would answer every request with an error, beside an old one that does not.
    docker compose run --rm --no-deps --no-TTY migrate manage migrate --check >/dev/null || {
        echo "The database is not migrated: docker compose run --rm --no-deps migrate" >&2
        exit 1
    }
    if ! up --no-recreate --scale app="$(($(echo "$old" | wc -l) + 1))" app; then
        docker compose logs --tail 20 app >&2
        new=$(added)
        # none where it could not even be made
        [ -z "$new" ] || docker rm --force $new
        echo "The new app is not healthy and was removed. The old one serves on." >&2
        exit 1
    fi
    # It answers what it has begun; nginx goes to the new one.
    docker stop $old
    docker rm $old
fi
# Nobody waits for it. Also where only a secret's file has changed, which compose does not see.
up --force-recreate scheduler
# As many as there are: none where the profile is not used, or the compose file has none.
workers=$(docker compose --profile workers ps --quiet worker 2>/dev/null | wc -l)
[ "$workers" -eq 0 ] || up --force-recreate --scale worker="$workers" worker
