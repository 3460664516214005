#!/bin/sh
# Posts each call as JSON to a URL, by curl(1), and tries again for a while when that fails.
#
# The body: {"hook_point": "leases4_committed", "event_id": "17", "attempt": 1, "taken": [LEASE…], "given": [LEASE…],
# "variables": {…}}. A LEASE has address, prefix_length, type, hostname, hwaddr, client_id, duid, iaid, state, cltt and
# valid_lifetime, strings as in the environment; "variables" has them all. The header Idempotency-Key is the event's id:
# an event that comes again has the same.
#
# Configuration, in /etc/dhcp-observer/webhook.conf:
#   WEBHOOK_URL          where to (needed)
#   WEBHOOK_HEADER_FILE  a file with further header lines, such as "Authorization: Bearer …"
#   WEBHOOK_CA_FILE      the certificates to trust, the system's if not given
#   WEBHOOK_RETRIES      how many more times to try, 5 if not given
#   WEBHOOK_DELAY        seconds between two tries; if not given 1, and twice as long each time
#   WEBHOOK_TIME         seconds after which no more try begins, 40 if not given: the hook's own timeout is 60
set -u
case $0 in
*/*) here=${0%/*} ;;
*) here=. ;;
esac
# shellcheck source=scripts/lib.sh
. "$here/lib.sh"
read_config webhook
[ -n "${WEBHOOK_URL:-}" ] || fail "WEBHOOK_URL is not set; write it into $config"
taken_leases=
given_leases=

# Puts the lease into `object`.
lease_object() {
    object=
    for member in address prefix_length type hostname hwaddr client_id duid iaid state cltt lifetime; do
        value=
        eval "value=\$$member"
        json_string "$value"
        [ "$member" != lifetime ] || member=valid_lifetime
        object="$object, \"$member\": $json"
    done
    object="{${object#, }}"
}

lease_taken() {
    lease_object
    taken_leases="$taken_leases, $object"
}

lease_given() {
    lease_object
    given_leases="$given_leases, $object"
}

each_lease "$1"
json_string "$1"
hook_point=$json
json_string "${OBSERVER_EVENT_ID:-}"
event_id=$json

# Our own variables and Kea's, and nothing else that may be in the environment; their names are letters, digits and _.
# shellcheck disable=SC2016 # awk's own variables
names=$(awk 'BEGIN {
    for (name in ENVIRON)
        if (name ~ /^(QUERY[46]|SUBNET4|PKT[46]|(OLD_|NEW_)?LEASE[46]|(DELETED_)?LEASES[46]|OBSERVER)_[A-Z0-9_]+$/ ||
            name == "REMOVE_LEASE" || name == "ADDRESS6") print name
}' </dev/null | sort) || fail "cannot run awk"
variables=
for name in $names; do
    eval "value=\$$name"
    json_string "$value"
    variables="$variables, \"$name\": $json"
done
attempt=${OBSERVER_ATTEMPT:-1}
is_number "$attempt" || attempt=1

set -- --silent --show-error --fail --output /dev/null --request POST --data-binary @- --globoff --proto =http,https \
    --header 'Content-Type: application/json' --header 'Expect:' --max-time 20 \
    --retry "${WEBHOOK_RETRIES:-5}" --retry-connrefused --retry-all-errors --retry-max-time "${WEBHOOK_TIME:-40}"
if [ -n "${WEBHOOK_DELAY:-}" ]; then
    set -- "$@" --retry-delay "$WEBHOOK_DELAY"
fi
if is_number "${OBSERVER_EVENT_ID:-}"; then
    set -- "$@" --header "Idempotency-Key: $OBSERVER_EVENT_ID"
fi
if [ -n "${WEBHOOK_HEADER_FILE:-}" ]; then
    set -- "$@" --header "@$WEBHOOK_HEADER_FILE"
fi
if [ -n "${WEBHOOK_CA_FILE:-}" ]; then
    set -- "$@" --cacert "$WEBHOOK_CA_FILE"
fi
# -q: nobody's .curlrc. The body goes through standard input, so that it may be long and no `ps` shows it.
printf '{"hook_point": %s, "event_id": %s, "attempt": %s, "taken": [%s], "given": [%s], "variables": {%s}}\n' \
    "$hook_point" "$event_id" "$attempt" "${taken_leases#, }" "${given_leases#, }" "${variables#, }" |
    curl -q "$@" --url "$WEBHOOK_URL" || fail "$WEBHOOK_URL did not take the event"
