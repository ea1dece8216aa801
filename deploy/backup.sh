#!/bin/sh
# Back up the database of docker-compose.prod.yml into FOLDER, in generations: seven days, five weeks, twelve months.
#   deploy/backup.sh FOLDER
# KEEP_DAILY, KEEP_WEEKLY and KEEP_MONTHLY change how many; COMPOSE_FILE_NAME which file. A dump that is cut short or
# cannot be read replaces nothing, and ends with the exit code 1.
set -eu
folder=${1:?usage: deploy/backup.sh FOLDER}
file=${COMPOSE_FILE_NAME:-docker-compose.prod.yml}
umask 077
mkdir -p "$folder/daily" "$folder/weekly" "$folder/monthly"
new=$folder/new.dump
trap 'rm -f "$new"' EXIT

database() { docker compose -f "$file" exec --no-TTY database "$@"; }

# The newest of a folder; names sort by time.
keep() {
    ls "$folder/$1" | sort -r | tail -n "+$(($2 + 1))" | while read -r old; do rm "$folder/$1/$old"; done
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
docker compose -f "$file" run --rm --no-deps --no-TTY migrate manage record_backup
