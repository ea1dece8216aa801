#!/bin/sh
# Back up the database of docker-compose.prod.yml into FOLDER, in generations: seven days, five weeks, twelve months.
#   deploy/backup.sh FOLDER
# Of each day, week and month the last dump stays; of today all do. Only days with a dump count. KEEP_DAILY, KEEP_WEEKLY
# and KEEP_MONTHLY change how many; COMPOSE_FILE says which file, as docker compose reads it. A dump that is cut short
# or cannot be read replaces nothing, and ends with the exit code 1.
set -eu
folder=${1:?usage: deploy/backup.sh FOLDER}
export COMPOSE_FILE="${COMPOSE_FILE:-docker-compose.prod.yml}"
umask 077
mkdir -p "$folder/daily" "$folder/weekly" "$folder/monthly"
new=$folder/new.dump
trap 'rm -f "$new"' EXIT

database() { docker compose exec --no-TTY database "$@"; }

# Names sort by time and begin with their day; a week's and a month's is the whole name.
keep() {
    ls "$folder/$1" | sort -r | awk -v most="$2" -v today="$(date -u +%Y-%m-%d)" '
        { day = substr($0, 1, 10); is_last = day != before; before = day; days += is_last }
        days > most || (!is_last && day != today)' | while read -r old; do rm "$folder/$1/$old"; done
}

database pg_dump --username=bandit --format=custom bandit >"$new"
# Reads it to its end.
database pg_restore --file=/dev/null <"$new"
made=$folder/daily/$(date -u +%Y-%m-%dT%H%M%SZ).dump
mv "$new" "$made"
# Another name for the same file: it takes no room. The last of a week and of a month stays.
ln -f "$made" "$folder/weekly/$(date -u +%G-W%V).dump"
ln -f "$made" "$folder/monthly/$(date -u +%Y-%m).dump"
keep daily "${KEEP_DAILY:-7}"
keep weekly "${KEEP_WEEKLY:-5}"
keep monthly "${KEEP_MONTHLY:-12}"
docker compose run --rm --no-deps --no-TTY migrate manage record_backup
