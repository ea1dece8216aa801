#!/bin/sh
# certbot's --deploy-hook: copies a new certificate where nginx reads it, and has nginx take it.
# certbot sets RENEWED_LINEAGE to the folder of the certificate.
set -eu
cd "$(dirname "$0")/.."
from=${RENEWED_LINEAGE:?certbot sets RENEWED_LINEAGE}
to=deploy/secrets/certificates
# In a folder that only root enters; nginx's user in the container is another.
install -m 444 "$from/fullchain.pem" "$from/privkey.pem" "$to/"
COMPOSE_FILE="${COMPOSE_FILE:-docker-compose.prod.yml}" docker compose exec --no-TTY nginx nginx -s reload
