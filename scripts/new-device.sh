#!/bin/sh
# Says when a device is seen for the first time, gets another address, or goes back to the one it had before ("flip flop"),
# as arpwatch(8) does: in the log, by mail, or by a command of yours.
#
# A device is a hardware address; where DHCPv6 does not tell it, a DUID. Its addresses are kept apart by family and, in
# DHCPv6, by identity association.
#
# Configuration, in /etc/dhcp-observer/new-device.conf:
#   DEVICE_FILE      what is known, one line for each, /var/lib/dhcp-observer/devices if not given; its directory must exist
#   DEVICE_LIMIT     how many lines there may be, 65536 if not given: the ones not seen for longest are forgotten
#   DEVICE_IGNORE    a shell pattern of devices to pass over, such as 02:*
#   DEVICE_MAIL      mail address to which to write
#   DEVICE_SENDMAIL  by which program, /usr/sbin/sendmail if not given
#   DEVICE_COMMAND   program to run: arguments new, changed or flip-flop, device, address, previous address; the environment is
#                    the hook's
# One line on standard output is always written.
set -u
case $0 in
*/*) here=${0%/*} ;;
*) here=. ;;
esac
# shellcheck source=scripts/lib.sh
. "$here/lib.sh"
read_config new-device
file=${DEVICE_FILE:-/var/lib/dhcp-observer/devices}
limit=${DEVICE_LIMIT:-65536}
is_number "$limit" || fail "DEVICE_LIMIT must be a number, not $limit"

lease_taken() { :; }

lease_given() {
    device=${hwaddr:-${duid:+duid=$duid}}
    device=${device:-${client_id:+client-id=$client_id}}
    # shellcheck disable=SC2254 # a pattern on purpose
    case $device in
    '' | ${DEVICE_IGNORE:-}) return 0 ;;
    esac
    binding=$family
    case $type in
    IA_PD)
        binding=pd$iaid
        address=$address/$prefix_length
        ;;
    IA_*) binding=6$iaid ;;
    esac
    # What takes time and needs no lock comes first.
    now=$(date +%s)
    quote "$hostname"
    # Calls of different leases run side by side: one at a time may look and write.
    (
        flock 9 || fail "cannot lock $file.lock"
        watch
    ) 9>>"$file.lock" || exit 1
}

# Compares with the file, says what is new, then writes it down: killed in between, it is said once more.
watch() {
    [ -e "$file" ] || : >>"$file" || fail "cannot make $file"
    # One line each: device, binding, address, the address before, when last seen. None of it has blanks.
    # shellcheck disable=SC2016 # awk's own variables
    known=$(awk -v device="$device" -v binding="$binding" '
        $1 == device { seen = 1; if ($2 == binding) { print $3, $4, $5; found = 1; exit } }
        END { if (!found) print seen ? "other - 0" : "- - 0" }
    ' "$file") || fail "cannot read $file"
    # shellcheck disable=SC2086 # split on purpose
    set -- $known
    current=$1 previous=$2
    case $current in
    "$address")
        # The time is kept to the hour, so that a renewal writes nothing.
        [ "$((now - $3))" -ge 3600 ] || return 0
        ;;
    -) tell new '' ;;
    # A device that is known gets its first address of this kind.
    other) ;;
    *)
        if [ "$previous" = "$address" ]; then
            tell flip-flop "$current"
        else
            tell changed "$current"
        fi
        ;;
    esac
    case $current in
    "$address") before=$previous ;;
    - | other) before=- ;;
    *) before=$current ;;
    esac
    # shellcheck disable=SC2016 # awk's own variables
    awk -v device="$device" -v binding="$binding" -v limit="$limit" -v line="$device $binding $address $before $now" '
        $1 == device && $2 == binding { next }
        { lines[++count] = $0 }
        END {
            for (i = count + 1 < limit ? 1 : count + 2 - limit; i <= count; i++) print lines[i]
            print line
        }
    ' "$file" >"$file.new" || fail "cannot write $file.new"
    mv -- "$file.new" "$file" || fail "cannot write $file"
}

# Says that $1 has happened; the address was $2 before.
tell() {
    text="$1 device $device: $address${2:+, before $2}${hostname:+, calls itself $quoted}"
    printf '%s\n' "$text"
    if [ -n "${DEVICE_MAIL:-}" ]; then
        printf 'To: %s\nSubject: %s device %s\n\n%s\n' "$DEVICE_MAIL" "$1" "$device" "$text" |
            "${DEVICE_SENDMAIL:-/usr/sbin/sendmail}" -t -i 9>&- || fail "cannot send mail"
    fi
    if [ -n "${DEVICE_COMMAND:-}" ]; then
        # The lock stays ours.
        "$DEVICE_COMMAND" "$1" "$device" "$address" "$2" 9>&- || fail "$DEVICE_COMMAND failed"
    fi
}

each_lease "$1"
