#!/bin/sh
# Kernel routes to delegated prefixes: through the client's link-local address, or through its relay. They have a protocol
# number of their own, by which only they are removed, and they end with the lease even when nobody tells us.
#
# Under dhcp-observer the way is in the variables OBSERVER_…_ROUTE_…; under Kea itself it is taken from the question.
#
# Configuration, in /etc/dhcp-observer/pd-routes.conf:
#   ROUTE_INTERFACE  the interface towards clients and relays; the one that the DHCP message came by if not given
#   ROUTE_TABLE      routing table, main if not given
#   ROUTE_METRIC     metric, 1024 if not given
#   ROUTE_PROTOCOL   routing protocol number or name that marks our routes, 219 if not given
#   ROUTE_GRACE      seconds that a route outlives its lease, 60 if not given
set -u
case $0 in
*/*) here=${0%/*} ;;
*) here=. ;;
esac
# shellcheck source=scripts/lib.sh
. "$here/lib.sh"
read_config pd-routes
table=${ROUTE_TABLE:-main}
protocol=${ROUTE_PROTOCOL:-219}
metric=${ROUTE_METRIC:-1024}
is_number "${ROUTE_GRACE:-60}" || fail "ROUTE_GRACE must be a number of seconds, not $ROUTE_GRACE"

# Removes our routes to the prefix, whatever they go through. None is no error.
remove() {
    [ -n "$(ip -6 route show exact "$1" table "$table" proto "$protocol")" ] || return 0
    ip -6 route flush exact "$1" table "$table" proto "$protocol" || fail "cannot remove the route to $1"
}

lease_taken() {
    [ "$type" = IA_PD ] || return 0
    remove "$address/$prefix_length"
}

lease_given() {
    [ "$type" = IA_PD ] || return 0
    via=${relay:-${next_hop:-${QUERY6_REMOTE_ADDR:-}}}
    device=${ROUTE_INTERFACE:-${interface:-${QUERY6_IFACE_NAME:-}}}
    case $via in
    '' | *[!0-9a-f:.]*) fail "nobody says through whom $address/$prefix_length is reached" ;;
    fe[89ab]?:*) [ -n "$device" ] || fail "set ROUTE_INTERFACE: nobody says by which interface $via is reached" ;;
    # A relay's address of global scope is routed by what the kernel knows.
    *) device=${ROUTE_INTERFACE:-} ;;
    esac
    remaining_time
    set -- proto "$protocol" table "$table" metric "$metric"
    if [ "$remaining" != never ]; then
        remaining=$((remaining + ${ROUTE_GRACE:-60}))
        if [ "$remaining" -le 0 ]; then
            remove "$address/$prefix_length"
            return 0
        fi
        set -- "$@" expires "$remaining"
    fi
    if [ -n "$device" ]; then
        set -- dev "$device" "$@"
    fi
    ip -6 route replace "$address/$prefix_length" via "$via" "$@" ||
        fail "cannot set the route to $address/$prefix_length via $via"
}

each_lease "$1"
