# shellcheck shell=sh
# What the scripts beside this file have in common; each reads it from its own directory. Nothing here ever evaluates a
# value: names of variables are built from our own words and counters, and what the variables hold stays data.
set -u
# No file name is ever meant by what a variable holds, and no character is more than one octet.
set -f
unset IFS
umask 077
LC_ALL=C
# Kea's environment, and so ours, has no PATH; `[[hook]] environment` may have set one.
PATH=${PATH:-/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin}
export LC_ALL PATH
self=${0##*/}

# Says on standard error what is wrong, on one line, and ends with status 1, so that `retries` try again.
fail() {
    printf '%s: %s\n' "$self" "$1" >&2
    exit 1
}

# Reads the configuration of the script $1, shell assignments, from the file that HOOK_CONFIG names, or else from
# /etc/dhcp-observer/$1.conf, which need not exist. A file that others could write is not read: it is code.
read_config() {
    config=${HOOK_CONFIG:-/etc/dhcp-observer/$1.conf}
    case $config in
    /*) ;;
    *) fail "HOOK_CONFIG must be an absolute path, not $config" ;;
    esac
    if [ -z "${HOOK_CONFIG:-}" ] && [ ! -e "$config" ]; then
        return 0
    fi
    listing=$(ls -ldnL -- "$config") || fail "cannot read the configuration $config"
    case $listing in
    -????[!w]??[!w]?*) ;;
    -*) fail "$config can be written by others than its owner; run: chmod go-w $config" ;;
    *) fail "$config is not a file" ;;
    esac
    # shellcheck disable=SC2086 # split on purpose; globbing is off
    set -- $listing
    if [ "$3" != 0 ] && [ "$3" != "$(id -u)" ]; then
        fail "$config belongs to somebody else (user $3); run: chown root $config"
    fi
    # shellcheck source=/dev/null
    . "$config" || fail "cannot read the configuration $config"
}

# Whether $1 is a plain decimal number, which alone may go into $((…)).
is_number() {
    case $1 in
    '' | *[!0-9]* | ????????????????*) return 1 ;;
    esac
}

# Calls lease_taken for every lease that the call of hook point $1 ends, and then lease_given for every one that it
# gives or extends.
#
# Nothing is lost by leaving out the rest: lease4_renew, lease6_renew and lease6_rebind are followed by the committed
# hook point of the same packet, as are the two releases; lease4_recover and lease6_recover follow an expire.
each_lease() {
    case $1 in
    leases4_committed | leases6_committed)
        number=${1#leases}
        each_of_committed "${number%_committed}"
        ;;
    lease4_expire | lease4_decline)
        load_lease 4 LEASE4_ OBSERVER_ && lease_taken
        ;;
    lease6_expire | lease6_decline)
        load_lease 6 LEASE6_ OBSERVER_ && lease_taken
        ;;
    *)
        # A hook point that is not known here is no error: newer versions may have more.
        ;;
    esac
}

# The lists of a committed hook point of the family $1, those that end first: an address that changes hands, or a name
# that changes its address, must not end as nobody's.
each_of_committed() {
    number=$1
    taken=''
    given=''
    eval "taken=\${DELETED_LEASES${number}_SIZE:-0} given=\${LEASES${number}_SIZE:-0}"
    if ! is_number "$taken" || ! is_number "$given"; then
        fail "DELETED_LEASES${number}_SIZE or LEASES${number}_SIZE is no number"
    fi
    at=0
    while [ "$at" -lt "$taken" ]; do
        load_lease "$number" "DELETED_LEASES${number}_AT${at}_" "OBSERVER_DELETED_AT${at}_" && lease_taken
        at=$((at + 1))
    done
    at=0
    while [ "$at" -lt "$given" ]; do
        if load_lease "$number" "LEASES${number}_AT${at}_" "OBSERVER_AT${at}_"; then
            # A declined address is listed here too; the decline hook point has told of it, with its owner.
            case $state in
            default | registered | '') lease_given ;;
            esac
        fi
        at=$((at + 1))
    done
}

# Fills the variables of one lease from those that begin with $2 and $3, for the family $1. All of them but hostname and
# old_hostname have a form that is checked. False for an empty lease, which Kea may list.
# shellcheck disable=SC2034 # some scripts need less
load_lease() {
    # Said once in a way that shellcheck understands.
    address='' state='' hostname='' hwaddr='' cltt='' lifetime='' client_id='' duid='' iaid='' prefix_length=''
    type='' hwtype='' old_hostname='' renamed='' next_hop='' relay='' interface=''
    # The prefixes are our own words, with an index that we count.
    eval "address=\${${2}ADDRESS-} state=\${${2}STATE-} hostname=\${${2}HOSTNAME-} hwaddr=\${${2}HWADDR-}
        cltt=\${${2}CLTT-} lifetime=\${${2}VALID_LIFETIME-} client_id=\${${2}CLIENT_ID-} duid=\${${2}DUID-}
        iaid=\${${2}IAID-} prefix_length=\${${2}PREFIX_LEN:-32} type=\${${2}TYPE:-V4} hwtype=\${${2}HWADDR_TYPE-}
        old_hostname=\${${3}OLD_LEASE${1}_HOSTNAME-} renamed=\${${3}OLD_LEASE${1}_HOSTNAME+yes}
        next_hop=\${${3}ROUTE_NEXT_HOP-} relay=\${${3}ROUTE_RELAY-} interface=\${${3}ROUTE_INTERFACE-}"
    family=$1
    [ -n "$address" ] || return 1
    case $family$address in
    4*[!0-9.]* | 6*[!0-9a-f:.]*) fail "no address: ${2}ADDRESS" ;;
    esac
    case $hwaddr$client_id$duid in
    *[!0-9a-f:]*) fail "no identifier: ${2}HWADDR, ${2}CLIENT_ID or ${2}DUID" ;;
    esac
    case $prefix_length$iaid$hwtype in
    *[!0-9]*) fail "no number: ${2}PREFIX_LEN, ${2}IAID or ${2}HWADDR_TYPE" ;;
    esac
    case $type in
    V4 | IA_NA | IA_TA | IA_PD) ;;
    *) fail "no type of lease: ${2}TYPE" ;;
    esac
}

# Puts into `remaining` for how many seconds the lease still runs, 0 or less if it is over, `never` if it never ends.
remaining_time() {
    if ! is_number "$cltt" || ! is_number "$lifetime"; then
        fail "the lease of $address has no CLTT or VALID_LIFETIME"
    elif [ "$lifetime" -ge 4294967295 ]; then
        remaining=never
    else
        # shellcheck disable=SC2034 # for whoever called
        remaining=$((cltt + lifetime - $(date +%s)))
    fi
}

# Puts $1 into `quoted`: in double quotes, on one line, everything but letters, digits and some signs as \ooo.
quote() {
    case $1 in
    *[!A-Za-z0-9\ ._:/@+,\;=\(\)-]*) ;;
    *)
        quoted=\"$1\"
        return
        ;;
    esac
    # In the environment of awk a value is never taken for a program, an option or an escape.
    # shellcheck disable=SC2016 # awk's own variables
    quoted=$(HOOK_VALUE=$1 awk 'BEGIN {
        for (i = 1; i < 256; i++) code[sprintf("%c", i)] = i
        value = ENVIRON["HOOK_VALUE"]
        for (i = 1; i <= length(value); i++) {
            c = substr(value, i, 1)
            if (c ~ /[A-Za-z0-9 ._:\/@+,;=()-]/) printf "%s", c
            else printf "\\%03o", code[c]
        }
    }') || fail "cannot run awk"
    quoted=\"$quoted\"
}

# Puts $1 into `json` as a JSON string. Octets that are no UTF-8 become U+FFFD, as in `--invocations`: JSON has no way to
# say them.
json_string() {
    case $1 in
    *[!A-Za-z0-9\ ._:/@+,\;=\(\)-]*) ;;
    *)
        json=\"$1\"
        return
        ;;
    esac
    # shellcheck disable=SC2016 # awk's own variables
    json=$(HOOK_VALUE=$1 awk '
    # The octet at place i, 0 behind the end.
    function octet(i) { return i <= size ? code[substr(value, i, 1)] : 0 }
    BEGIN {
        for (i = 1; i < 256; i++) code[sprintf("%c", i)] = i
        value = ENVIRON["HOOK_VALUE"]
        size = length(value)
        i = 1
        while (i <= size) {
            c = octet(i)
            # How many octets follow, and between what the first of them must lie (Unicode, table 3-7).
            more = 0; low = 128; high = 191
            if (c < 128) more = 0
            else if (c >= 194 && c <= 223) more = 1
            else if (c >= 224 && c <= 239) { more = 2; if (c == 224) low = 160; if (c == 237) high = 159 }
            else if (c >= 240 && c <= 244) { more = 3; if (c == 240) low = 144; if (c == 244) high = 143 }
            else more = -1
            if (more < 0) { printf "\\ufffd"; i++; continue }
            for (n = 1; n <= more; n++) {
                d = octet(i + n)
                if (d < low || d > high) break
                low = 128; high = 191
            }
            if (n <= more) { printf "\\ufffd"; i += n; continue }
            text = substr(value, i, more + 1)
            if (c == 34 || c == 92) printf "\\%s", text
            else if (c < 32 || c == 127) printf "\\u%04x", c
            else printf "%s", text
            i += more + 1
        }
    }') || fail "cannot run awk"
    json=\"$json\"
}

# Puts into `label` what of the host name $1 can be a label in the DNS: of its first label the letters, in lower case,
# digits and hyphens (RFC 1123), as Kea cleans names. False when nothing is left.
dns_label() {
    rest=${1%%.*}
    case $rest in
    *[A-Z]*) rest=$(printf '%s' "$rest" | tr '[:upper:]' '[:lower:]') ;;
    esac
    label=
    while :; do
        run=${rest%%[!a-z0-9-]*}
        label=$label$run
        rest=${rest#"$run"}
        [ -n "$rest" ] || break
        rest=${rest#?}
    done
    while :; do
        case $label in
        -*) label=${label#-} ;;
        *-) label=${label%-} ;;
        *) break ;;
        esac
    done
    [ -n "$label" ] && [ "${#label}" -le 63 ]
}
