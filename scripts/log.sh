#!/bin/sh
# One line for every call: the hook point, then what it is about. Written for Kea's run_script; runs under dhcp-observer
# unchanged. The environment holds nothing but the variables of the hook point, not even PATH, so only the shell's own
# commands are used. Standard output is the observer's: the terminal, or the journal.
set -u

case "$1" in
leases4_committed)
    line="given ${LEASES4_AT0_ADDRESS:-nothing} to ${LEASES4_AT0_HWADDR:-$QUERY4_HWADDR}"
    line="$line${LEASES4_AT0_HOSTNAME:+ ($LEASES4_AT0_HOSTNAME)}, taken back ${DELETED_LEASES4_AT0_ADDRESS:-nothing}"
    ;;
leases6_committed)
    line="given ${LEASES6_AT0_ADDRESS:-nothing}${LEASES6_AT1_ADDRESS:+ and $LEASES6_AT1_ADDRESS}"
    line="$line to $QUERY6_CLIENT_ID, taken back ${DELETED_LEASES6_AT0_ADDRESS:-nothing}"
    ;;
lease4_*)
    line="$LEASE4_ADDRESS of ${LEASE4_HWADDR:-nobody}, state $LEASE4_STATE"
    ;;
lease6_*)
    line="$LEASE6_ADDRESS/$LEASE6_PREFIX_LEN of $LEASE6_DUID, state $LEASE6_STATE"
    ;;
*)
    # A hook point that this script does not know is no error: newer versions may have more.
    exit 0
    ;;
esac
printf '%s: %s\n' "$1" "$line"
