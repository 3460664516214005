#!/bin/sh
# One line for every call: the hook point, then what it is about. What a client may have written stands in double quotes,
# with everything odd as \ooo, so that a line is a line and a terminal stays what it is.
#
# Configuration, in /etc/dhcp-observer/log.conf:
#   LOG_TO        stdout (the default: the observer's own, which is the terminal or the journal) or syslog (by logger(1);
#                 with systemd that is the journal too)
#   LOG_TAG       the name in the log of the system, dhcp-observer if not given
#   LOG_PRIORITY  facility and level, daemon.info if not given
#   LOG_SOCKET    the socket of the log, /dev/log if not given
#   LOG_SERVER    a host to which to send instead, by UDP (RFC 5424)
set -u
case $0 in
*/*) here=${0%/*} ;;
*) here=. ;;
esac
# shellcheck source=scripts/lib.sh
. "$here/lib.sh"
read_config log

# Adds $1 to the line.
say() {
    line="$line${separator}$1"
    separator='; '
}

# The lease, and who has it under which name.
name_lease() {
    case $type in
    IA_PD) lease=$address/$prefix_length ;;
    *) lease=$address ;;
    esac
    owner=${duid:-${hwaddr:-${client_id:-nobody}}}
    if [ -n "$hostname" ]; then
        quote "$hostname"
        owner="$owner $quoted"
    fi
}

lease_taken() {
    name_lease
    say "$lease taken back from $owner"
}

lease_given() {
    name_lease
    say "$lease given to $owner"
}

# A lease that stands alone, as most hook points have it.
one_lease() {
    if load_lease "$1" "LEASE$1_" OBSERVER_; then
        name_lease
        say "$lease of $owner${state:+, state $state}"
    fi
}

line=$1
separator=': '
case $1 in
leases[46]_committed) each_lease "$1" ;;
lease4_*) one_lease 4 ;;
lease6_*) one_lease 6 ;;
observer_*)
    say "${QUERY4_HWADDR:-${QUERY6_CLIENT_ID:-}}${OBSERVER_ADDRESS:+ $OBSERVER_ADDRESS}${OBSERVER_SERVER_ID:+, server $OBSERVER_SERVER_ID}"
    ;;
esac
if [ "$separator" = ': ' ]; then
    say 'no lease'
fi

case ${LOG_TO:-stdout} in
stdout) printf '%s\n' "$line" ;;
syslog)
    set -- -t "${LOG_TAG:-dhcp-observer}" -p "${LOG_PRIORITY:-daemon.info}"
    if [ -n "${LOG_SERVER:-}" ]; then
        set -- "$@" --rfc5424 --udp --server "$LOG_SERVER"
    elif [ -n "${LOG_SOCKET:-}" ]; then
        set -- "$@" --socket "$LOG_SOCKET"
    fi
    logger "$@" -- "$line" || fail "logger failed"
    ;;
*) fail "LOG_TO must be stdout or syslog, not $LOG_TO" ;;
esac
