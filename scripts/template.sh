#!/bin/sh
# A hook script to begin with: every hook point, and what is known there. Copy it and write your own into it; it needs no
# other file. It runs under Kea's run_script as well.
#
# One argument, the hook point; everything else is in the environment, which has nothing else in it: no PATH, no HOME. What
# a variable says may have been written by a stranger with a DHCP client. So: always "$IN_QUOTES", never eval, never as the
# format of printf, and `--` before it wherever a command would take it for an option.
set -u
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export PATH LC_ALL

# What there is to do when a lease is given or extended. The same event can come again: with the same OBSERVER_EVENT_ID
# and a higher OBSERVER_ATTEMPT. Doing it twice must do no harm.
given() {
    printf 'given: %s to %s\n' "$1" "$2"
}

# What there is to do when a lease ends.
taken() {
    printf 'taken: %s from %s\n' "$1" "$2"
}

# The variable whose name is made of $1, a number and $3: `value`. Only names that this script writes itself may go
# through eval; what it holds is data.
indexed() {
    value=''
    eval "value=\${$1$2$3-}"
}

# The leases that a packet took away, then those that it gave. $1 is 4 or 6, $2 what says who has the lease.
committed() {
    deleted=0
    size=0
    eval "deleted=\${DELETED_LEASES$1_SIZE:-0} size=\${LEASES$1_SIZE:-0}"
    # Old before new: an address that changed hands must not end as nobody's.
    i=0
    while [ "$i" -lt "$deleted" ]; do
        indexed "DELETED_LEASES$1_AT" "$i" _ADDRESS && address=$value
        indexed "DELETED_LEASES$1_AT" "$i" "_$2" && taken "$address" "$value"
        i=$((i + 1))
    done
    i=0
    while [ "$i" -lt "$size" ]; do
        indexed "LEASES$1_AT" "$i" _ADDRESS && address=$value
        indexed "LEASES$1_AT" "$i" _STATE && state=$value
        # DHCPv6: _PREFIX_LEN is 128 for an address, _TYPE is IA_NA or IA_PD.
        if [ "$state" != declined ]; then
            indexed "LEASES$1_AT" "$i" "_$2" && given "$address" "$value"
        fi
        i=$((i + 1))
    done
}

case $1 in
# The server has answered a request: LEASES4_SIZE leases given, DELETED_LEASES4_SIZE taken away. Both 0: it refused.
leases4_committed) committed 4 HWADDR ;;
# A known lease is asked for again (QUERY4_TYPE says how). leases4_committed follows, except after a DHCPDISCOVER.
lease4_renew) ;;
# The client gives its address back. leases4_committed follows, with the lease among the deleted ones.
lease4_release) ;;
# The client has found its address in use by somebody else. leases4_committed follows, with the state `declined`.
lease4_decline) taken "$LEASE4_ADDRESS" "$LEASE4_HWADDR" ;;
# The lease has run out. Once declined (LEASE4_STATE), LEASE4_HWADDR is empty.
lease4_expire) taken "$LEASE4_ADDRESS" "$LEASE4_HWADDR" ;;
# A declined address may be given again; lease4_expire came just before.
lease4_recover) ;;

# The same for DHCPv6. A client is known by its DUID; it may have several leases at once.
leases6_committed) committed 6 DUID ;;
lease6_renew) ;;
lease6_rebind) ;;
lease6_release) ;;
lease6_decline) taken "$LEASE6_ADDRESS" "$LEASE6_DUID" ;;
lease6_expire) taken "$LEASE6_ADDRESS" "$LEASE6_DUID" ;;
lease6_recover) ;;
# An address that a client made up itself and registered (Kea 3.0). leases6_committed follows.
addr6_register) ;;

# Ours, where `--network-events` asks for them.
# Nobody has answered a client's question.
observer_unanswered) ;;
# Another DHCP server answers here: OBSERVER_SERVER_ID.
observer_foreign_server) ;;
# A client was refused: OBSERVER_ADDRESS, OBSERVER_REASON.
observer_nak) ;;
# There is nothing left to give.
observer_pool_exhausted) ;;
# Two want one address: OBSERVER_ADDRESS, OBSERVER_RIVAL_HWADDR.
observer_conflict) ;;

# A newer version may have more.
*) ;;
esac
