#!/bin/sh
# Names of leases in the DNS, by dynamic updates (nsupdate(1)): A and AAAA under one domain, and PTR.
#
# A name is a client's only while a DHCID record says so (RFC 4701, RFC 4703): a name that is there without one, or with
# another client's, is left alone, and so is the address's PTR then. Nothing is removed but what this client's DHCID and
# this address vouch for. Kea's own DHCP-DDNS makes the same records, so that the two can take turns.
#
# Configuration, in /etc/dhcp-observer/nsupdate.conf:
#   DNS_DOMAIN    the domain of the names, such as example.org (needed): of a host name the first label counts, cleaned as
#                 Kea cleans names; a client cannot name itself outside this domain
#   DNS_ZONE      the zone of the domain, if it is not the domain itself
#   DNS_KEY_FILE  the TSIG key, a file as tsig-keygen(8) writes it, readable by the observer's user only
#   DNS_SERVER    where to send updates, an address; the zones' own primary servers if not given
#   DNS_PORT      its port, 53 if not given
#   DNS_REVERSE   yes (the default) or no: PTR records; the server says which zone an address belongs to
#   DNS_TTL       of all records, in seconds; a third of the lease if not given, at least 600 (RFC 4702, section 5)
set -u
case $0 in
*/*) here=${0%/*} ;;
*) here=. ;;
esac
# shellcheck source=scripts/lib.sh
. "$here/lib.sh"
read_config nsupdate

# The octets of the domain name $1 on the wire, as \ooo for printf.
wire_name() {
    wire=
    rest=$1.
    while [ -n "$rest" ]; do
        part=${rest%%.*}
        wire="$wire$(printf '\\%03o' "${#part}")$part"
        rest=${rest#*.}
    done
    wire="$wire\\000"
}

# The hexadecimal octets $1, with or without colons, as \ooo for printf.
octets() {
    octal=
    rest=$1
    while [ -n "$rest" ]; do
        tail=${rest#??}
        octal="$octal $((0x${rest%"$tail"}))"
        rest=${tail#:}
    done
    # shellcheck disable=SC2086 # numbers of our own, split on purpose
    octal=$(printf '\\%03o' $octal)
}

# Puts into `dhcid` the record that makes the name $1 the property of this lease's client (RFC 4701, section 3.3): the kind
# of identifier, the kind of digest (1 is SHA-256), and the digest of identifier and name. False for a client without
# identity.
dhcid() {
    case $family$client_id in
    6*)
        kind=0002 identity=$duid
        ;;
    4ff:??:??:??:??:?*)
        # A DUID in a DHCPv4 client identifier (RFC 4361): the same client in both families.
        kind=0002 identity=${client_id#ff:??:??:??:??:}
        ;;
    4?*)
        kind=0001 identity=$client_id
        ;;
    *)
        kind=0000 identity=
        if [ -n "$hwaddr" ]; then
            identity=$(printf '%02x' "${hwtype:-1}"):$hwaddr
        fi
        ;;
    esac
    [ -n "$identity" ] || return 1
    wire_name "$1"
    octets "$identity"
    # shellcheck disable=SC2059 # the format is made of octal escapes and labels of letters, digits and hyphens
    digest=$(printf "$octal$wire" | sha256sum) || fail "cannot run sha256sum"
    octets "${kind}01${digest%% *}"
    # shellcheck disable=SC2059 # octal escapes only
    dhcid=$(printf "$octal" | base64 -w 0) || fail "cannot run base64"
}

# Puts into `reverse` the name under which the address is found.
reverse_name() {
    if [ "$family" = 4 ]; then
        IFS=.
        # shellcheck disable=SC2086 # split at the dots on purpose
        set -- $address
        unset IFS
        reverse="$4.$3.$2.$1.in-addr.arpa."
        return
    fi
    # Groups before and after the `::` come to eight with the zeros between.
    head=${address%%::*}
    tail=
    case $address in
    *::*) tail=${address#*::} ;;
    esac
    groups "$head"
    front=$nibbles
    groups "$tail"
    while [ $((${#front} + ${#nibbles})) -lt 32 ]; do
        front=${front}0
    done
    rest=$front$nibbles
    reverse=ip6.arpa.
    while [ -n "$rest" ]; do
        tail=${rest#?}
        reverse=${rest%"$tail"}.$reverse
        rest=$tail
    done
}

# The groups $1 of an IPv6 address, each in four digits, one after the other.
groups() {
    nibbles=
    more=${1:+$1:}
    while [ -n "$more" ]; do
        group=000${more%%:*}
        while [ "${#group}" -gt 4 ]; do
            group=${group#?}
        done
        nibbles=$nibbles$group
        more=${more#*:}
    done
}

# Runs nsupdate on $1, by TCP: over UDP a late answer would make it ask again, and the second time find its own name taken.
# A prerequisite that does not hold is an answer, not an error: `answers` has all of it.
update() {
    answers=$(printf '%s\n' "${DNS_SERVER:+server $DNS_SERVER ${DNS_PORT:-53}}" "$1" |
        nsupdate -v ${DNS_KEY_FILE:+-k "$DNS_KEY_FILE"} 2>&1) && return
    case $(printf '%s\n' "$answers" | grep -vE 'update failed: (YXDOMAIN|NXRRSET|YXRRSET)$') in
    '') ;;
    *)
        quote "$answers"
        fail "nsupdate of $name: $quoted"
        ;;
    esac
}

# Makes the name a full one, or says why there is none. $1 is a host name.
full_name() {
    [ -n "$1" ] && dns_label "$1" || return 1
    name=$label.$domain
    [ "${#name}" -le 253 ]
}

# The type of the record that names have for the family.
record_type() {
    [ "$type" != IA_PD ] || return 1
    case $family in
    4) record=A ;;
    *) record=AAAA ;;
    esac
}

lease_given() {
    record_type || return 0
    if [ -n "$renamed" ]; then
        new=$hostname
        hostname=$old_hostname
        # Two spellings of one name are one name.
        full_name "$new" && keep=$name || keep=
        remove
        hostname=$new
    fi
    full_name "$hostname" && dhcid "$name" || return 0
    case ${DNS_TTL:-} in
    '')
        is_number "$lifetime" || fail "the lease of $address has no VALID_LIFETIME"
        ttl=$((lifetime / 3))
        [ "$ttl" -ge 600 ] || ttl=600
        [ "$ttl" -le 86400 ] || ttl=86400
        ;;
    *) ttl=$DNS_TTL ;;
    esac
    # First as the client whose name it is already, then as the first to have it; one of the two is refused.
    as_owner="zone $zone
prereq yxrrset $name. IN DHCID $dhcid
update delete $name. $record
update add $name. $ttl $record $address
send"
    update "$as_owner
zone $zone
prereq nxdomain $name.
update add $name. $ttl $record $address
update add $name. $ttl DHCID $dhcid
send"
    case $answers in
    *NXRRSET*YXDOMAIN*)
        # Between the two the same client may have got the name, by its lease in the other family.
        update "$as_owner"
        case $answers in
        *NXRRSET*)
            printf '%s: %s is not the name of %s: somebody else has it\n' "$self" "$name" "$address"
            return 0
            ;;
        esac
        ;;
    esac
    if [ "${DNS_REVERSE:-yes}" = yes ]; then
        reverse_name
        update "update delete $reverse PTR
update add $reverse $ttl PTR $name.
send"
    fi
}

lease_taken() {
    record_type || return 0
    keep=
    remove
}

# Takes the address from the name, then the name from the client if no address is left, then the name from the address.
# A name that is `keep` is to stay.
remove() {
    full_name "$hostname" && [ "$name" != "$keep" ] && dhcid "$name" || return 0
    update "zone $zone
prereq yxrrset $name. IN DHCID $dhcid
update delete $name. $record $address
send
zone $zone
prereq yxrrset $name. IN DHCID $dhcid
prereq nxrrset $name. IN A
prereq nxrrset $name. IN AAAA
update delete $name. DHCID $dhcid
send"
    if [ "${DNS_REVERSE:-yes}" = yes ]; then
        reverse_name
        update "prereq yxrrset $reverse IN PTR $name.
update delete $reverse PTR $name.
send"
    fi
}

[ -n "${DNS_DOMAIN:-}" ] || fail "DNS_DOMAIN is not set; write it into $config"
domain=${DNS_DOMAIN%.}
zone=${DNS_ZONE:-$domain}
each_lease "$1"
