#!/usr/bin/env bash
# Makes the secrets that compose.yaml needs, once: random, readable by you alone. There are no default passwords. Beside them
# .env, the settings to fill in, and the folders tls, for certificate and key, payment, for merchants' settings and keys, and
# media, for the settings of a bucket.
set -euo pipefail
cd "$(dirname "$0")"
umask 077
mkdir -p secrets
chmod 700 secrets
new() { head -c 24 /dev/urandom | base64 | tr '+/' '-_'; }
once() { [ -e "secrets/$1" ] || printf '%s' "$2" >"secrets/$1"; }

once postgres_password "$(new)"
once redis_password "$(new)"
once grafana_password "$(new)"
# Until an address stands here alerts are on the page of Alertmanager alone (http://127.0.0.1:9093).
once alert_webhook_url "http://127.0.0.1:9/nobody-is-told"
redis_password=$(cat secrets/redis_password)
postgres_password=$(cat secrets/postgres_password)
once redis_users.acl "user default off
user huizhen on >$redis_password allkeys allchannels +@all -@admin -@dangerous +info +role +client|info
user health on nopass -@all +ping
"
once fleet.env "HUIZHEN_DATABASE_URL=postgres://huizhen:$postgres_password@postgres:5432/huizhen?sslmode=disable
HUIZHEN_REDIS_URL=redis://huizhen:$redis_password@redis:6379/0
"
# The containers' own users read these; on this machine the folder keeps others out.
chmod 644 secrets/redis_users.acl secrets/postgres_password secrets/grafana_password secrets/alert_webhook_url
mkdir -p tls payment media
chmod 755 tls payment media
if [ ! -e .env ]; then
    cat >.env <<'END'
# Settings of compose.yaml, which explains them.
# How SMS codes are sent; without it nothing starts. `log` is for a trial: phones and codes then stand in the log.
#SMS_PROVIDER=webhook
#SMS_WEBHOOK_URL=https://sms.example.com/send
# Providers that members top up by, whose settings are in ./payment; without one nothing is charged.
#PAYMENT_PROVIDERS=wechat,alipay
# The bucket for photos, voice and files, whose address and key are in ./media/s3.toml; without one there are none.
#MEDIA_STORE=s3://clinic-media/huizhen
# The address or domain name of this machine that apps see.
#ADVERTISE=im.example.com
# Certificate chain and key in ./tls, for that name.
#TLS_CERT=certificate.pem
#TLS_KEY=key.pem
END
fi
echo "secrets are in $(pwd)/secrets; next: fill in $(pwd)/.env (SMS_PROVIDER at least) and secrets/alert_webhook_url, then docker compose up --build -d"
