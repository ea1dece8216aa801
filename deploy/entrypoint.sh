#!/bin/sh
# The image's entrypoint. It needs only python on the PATH, so it also runs outside a container.
set -eu
cd "$(dirname "$0")/.."

usage() {
    cat >&2 <<'TEXT'
usage: entrypoint.sh web         serve HTTP on PORT (8000); with MIGRATE_ON_START=true migrate first
       entrypoint.sh migrate     bring the database up to this version
       entrypoint.sh scheduler   allocate daily, deliver webhooks, prune, for as long as it runs
       entrypoint.sh worker      do what the scheduler spreads over workers (CELERY_BROKER_URL), WORKER_CONCURRENCY at a time
       entrypoint.sh manage ...  any command of manage.py
Each waits for the database, DATABASE_WAIT_SECONDS (60) at most; scheduler and worker until it is migrated, too.
TEXT
    exit 2
}

# Also runs the system checks: a bad configuration ends here, with one line for each variable.
wait_for_database() {
    python manage.py wait_for_database --seconds "$seconds" "$@"
}

# gunicorn reads this variable itself, before its configuration file, and fails with a traceback if it is invalid.
check_web_concurrency() {
    case ${WEB_CONCURRENCY:-} in
    "") unset WEB_CONCURRENCY ;;
    *[!0-9]* | 0)
        echo "WEB_CONCURRENCY is '$WEB_CONCURRENCY'. It must be a whole number, such as 2." >&2
        exit 2
        ;;
    esac
}

# gunicorn.conf.py empties the folder of the workers' counters. Only the server's own processes may write there: a
# command beside them must neither count nor clean.
start_web() {
    check_web_concurrency
    metrics=${PROMETHEUS_MULTIPROC_DIR:-${TMPDIR:-/tmp}/bandit-metrics}
    unset PROMETHEUS_MULTIPROC_DIR
    if [ "${MIGRATE_ON_START:-false}" = true ]; then
        wait_for_database migrate --noinput
    else
        wait_for_database
    fi
    export PROMETHEUS_MULTIPROC_DIR="$metrics"
    exec python -m gunicorn bandit_project.wsgi
}

# A platform that keeps the image's entrypoint calls this script with its own path first.
case ${1:-} in */entrypoint.sh) shift ;; esac
[ $# -gt 0 ] || usage
role=$1
shift
seconds=${DATABASE_WAIT_SECONDS:-60}
# Render passes a service its own host name; ALLOWED_HOSTS set by hand wins.
if [ -z "${ALLOWED_HOSTS:-}" ] && [ -n "${RENDER_EXTERNAL_HOSTNAME:-}" ]; then
    export ALLOWED_HOSTS="$RENDER_EXTERNAL_HOSTNAME"
fi
[ "$role" = web ] || unset PROMETHEUS_MULTIPROC_DIR
case $role in
web)
    start_web
    ;;
migrate)
    exec python manage.py wait_for_database --seconds "$seconds" migrate --noinput
    ;;
scheduler)
    exec python manage.py wait_for_database --seconds "$seconds" --migrated scheduler "$@"
    ;;
worker)
    if ! python -c "import celery" 2>/dev/null; then
        echo "The worker needs the packages of requirements-extras.txt, which the image has." >&2
        exit 2
    fi
    python manage.py wait_for_database --seconds "$seconds" --migrated
    # A process of it that has grown is replaced by a new one.
    exec python -m celery --app bandit_project.workers --quiet worker --max-memory-per-child 400000 \
        ${WORKER_CONCURRENCY:+--concurrency "$WORKER_CONCURRENCY"} "$@"
    ;;
manage)
    [ $# -gt 0 ] || usage
    exec python manage.py wait_for_database --seconds "$seconds" "$@"
    ;;
*) usage ;;
esac
