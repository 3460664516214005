#!/bin/sh
# Leases in NetBox, by its REST API: an address as an object of /api/ipam/ip-addresses/, a delegated prefix as one of
# /api/ipam/prefixes/. Made when a lease is given, kept up to date, deleted when it ends. Needs curl(1) and jq(1).
#
# Only objects with our tag are ever changed or deleted. An address that somebody has entered without it is left alone, and
# so is one whose description names another client when a lease ends.
#
# Configuration, in /etc/dhcp-observer/netbox.conf:
#   NETBOX_URL         such as https://netbox.example.org (needed)
#   NETBOX_TOKEN_FILE  a file with nothing but the API token, readable by the observer's user only (needed)
#   NETBOX_TAG         the tag's slug, dhcp-observer if not given; make it in NetBox first
#   NETBOX_DOMAIN      domain of dns_name, such as example.org; without it the cleaned label stands alone
#   NETBOX_CA_FILE     the certificates to trust, the system's if not given
#   NETBOX_RETRIES     how many more times to try each request, 3 if not given
set -u
case $0 in
*/*) here=${0%/*} ;;
*) here=. ;;
esac
# shellcheck source=scripts/lib.sh
. "$here/lib.sh"
read_config netbox
[ -n "${NETBOX_URL:-}" ] || fail "NETBOX_URL is not set; write it into $config"
[ -n "${NETBOX_TOKEN_FILE:-}" ] || fail "NETBOX_TOKEN_FILE is not set; write it into $config"
token=$(cat -- "$NETBOX_TOKEN_FILE") || fail "cannot read the token"
case $token in
'' | *[!A-Za-z0-9_.-]*) fail "$NETBOX_TOKEN_FILE must hold one token and nothing else" ;;
esac
tag=${NETBOX_TAG:-dhcp-observer}

# Sends a request: method $1, path $2, body $3. The answer's body is in `answer`.
request() {
    method=$1
    url=${NETBOX_URL%/}/api/ipam/$2
    body=$3
    set -- --silent --show-error --fail --request "$method" --globoff --proto =http,https --max-time 15 \
        --retry "${NETBOX_RETRIES:-3}" --retry-connrefused --retry-max-time 40 \
        --header 'Accept: application/json' --header @/dev/fd/3
    if [ -n "$body" ]; then
        set -- "$@" --header 'Content-Type: application/json' --data-binary @-
    fi
    if [ -n "${NETBOX_CA_FILE:-}" ]; then
        set -- "$@" --cacert "$NETBOX_CA_FILE"
    fi
    # The token is in no argument, which every user could see.
    answer=$(printf '%s' "$body" | curl -q "$@" --url "$url" 3<<TOKEN
Authorization: Token $token
TOKEN
    ) || fail "$method $url failed"
}

# Looks the lease up. Of several objects the first that is ours counts: `id`, empty if there is none, and `description`;
# `others` is how many there are that are not ours.
find_object() {
    case $type in
    IA_PD)
        kind=prefixes key=prefix value=$address/$prefix_length
        ;;
    V4)
        kind=ip-addresses key=address value=$address/32
        ;;
    *)
        kind=ip-addresses key=address value=$address/128
        ;;
    esac
    # NetBox looks for an address without its mask under any mask.
    case $key in
    address) request GET "$kind/?address=$address" '' ;;
    prefix) request GET "$kind/?prefix=$value" '' ;;
    esac
    case $answer in
    '{"count":0,'*)
        id='' others=0 description=''
        return
        ;;
    esac
    # shellcheck disable=SC2016 # jq's own variables
    found=$(printf '%s' "$answer" | jq --raw-output --arg tag "$tag" '
        [.results[] | .ours = any(.tags[]; .slug == $tag)] |
        (first(.[] | select(.ours)) // {}) as $ours |
        "\($ours.id // "") \([.[] | select(.ours | not)] | length) \($ours.description // "" | @json)"
    ') || fail "the answer of $url is not NetBox's"
    id=${found%% *}
    rest=${found#* }
    others=${rest%% *}
    description=${rest#* }
    case $id$others in
    '' | *[!0-9]*) fail "the answer of $url is not NetBox's" ;;
    esac
}

# Whose lease it is, in the words of the description; empty where the lease does not say.
describe() {
    owner=${duid:-${client_id:-$hwaddr}}
    [ -z "$owner" ] || owner="DHCP client $owner"
}

lease_given() {
    find_object
    if [ -z "$id" ] && [ "$others" != 0 ]; then
        printf '%s: %s is somebody else%s in NetBox, left alone\n' "$self" "$value" "'s"
        return 0
    fi
    describe
    json_string "$owner"
    object="\"$key\": \"$value\", \"description\": $json"
    if [ "$key" = address ]; then
        name=
        if dns_label "$hostname"; then
            name=$label${NETBOX_DOMAIN:+.$NETBOX_DOMAIN}
        fi
        json_string "$name"
        object="$object, \"status\": \"dhcp\", \"dns_name\": $json"
    else
        object="$object, \"status\": \"active\""
    fi
    json_string "$tag"
    object="{$object, \"tags\": [{\"slug\": $json}]}"
    if [ -n "$id" ]; then
        request PATCH "$kind/$id/" "$object"
    else
        request POST "$kind/" "$object"
    fi
}

lease_taken() {
    find_object
    describe
    if [ -z "$id" ]; then
        return 0
    fi
    json_string "$owner"
    if [ -z "$owner" ] || [ "$json" = "$description" ]; then
        request DELETE "$kind/$id/" ''
    fi
}

each_lease "$1"
