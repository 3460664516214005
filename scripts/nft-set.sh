#!/bin/sh
# The leased addresses as sets of nftables, for rules that let in what the DHCP server knows. Each element has a timeout, so
# that an address goes with its lease even when nobody tells us.
#
# The sets are your rule set's, not the script's:
#   table inet dhcp {
#       set leased4 { type ipv4_addr; flags timeout; }
#       set leased6 { type ipv6_addr; flags timeout; }
#       set delegated6 { type ipv6_addr; flags interval, timeout; }
#   }
#
# Configuration, in /etc/dhcp-observer/nft-set.conf:
#   NFT_TABLE       family and table, "inet dhcp" if not given
#   NFT_SET4        the set of IPv4 addresses, leased4 if not given; empty for none
#   NFT_SET6        the set of IPv6 addresses, leased6 if not given; empty for none
#   NFT_SET_PREFIX  the set of delegated prefixes; none if not given
#   NFT_GRACE       seconds that an element outlives its lease, 0 if not given
set -u
case $0 in
*/*) here=${0%/*} ;;
*) here=. ;;
esac
# shellcheck source=scripts/lib.sh
. "$here/lib.sh"
read_config nft-set
table=${NFT_TABLE:-inet dhcp}
set4=${NFT_SET4-leased4}
set6=${NFT_SET6-leased6}
set_prefix=${NFT_SET_PREFIX-}
is_number "${NFT_GRACE:-0}" || fail "NFT_GRACE must be a number of seconds, not $NFT_GRACE"
commands=

# Puts into `set` the set that the lease belongs in, and into `element` what it is there. False where none is wanted.
find_set() {
    element=$address
    case $type in
    V4) set=$set4 ;;
    IA_PD)
        set=$set_prefix
        element=$address/$prefix_length
        ;;
    *) set=$set6 ;;
    esac
    [ -n "$set" ]
}

lease_taken() {
    find_set || return 0
    # What is not there cannot be deleted, so it is added first; nobody sees it, all is one transaction.
    commands="${commands}add element $table $set { $element }
delete element $table $set { $element }
"
}

lease_given() {
    find_set || return 0
    # The timeout of an element that is there cannot be changed otherwise.
    lease_taken
    remaining_time
    case $remaining in
    never) commands="${commands}add element $table $set { $element }
" ;;
    *)
        remaining=$((remaining + ${NFT_GRACE:-0}))
        if [ "$remaining" -gt 0 ]; then
            commands="${commands}add element $table $set { $element timeout ${remaining}s }
"
        fi
        ;;
    esac
}

each_lease "$1"
if [ -n "$commands" ]; then
    printf '%s' "$commands" | nft -f - || fail "nft refused this"
fi
