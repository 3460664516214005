//! Host names as dnsmasq takes them from a client: one label that DNS can have, in the client's own case, or none.

use crate::domain_name;
use crate::octets::Octets;
use crate::tracker::{Exchange4, Exchange6};
use crate::{dhcpv4, dhcpv6};

/// The longest label, in octets (RFC 1035 section 2.3.4).
const MAX_LABEL: usize = 63;
/// The longest name that dnsmasq looks at.
const MAX_NAME: usize = 1_025;
/// The E bit of option 81: the name is in DNS wire format (RFC 4702 section 2.1).
const WIRE_FORMAT: u8 = 0x04;

/// The host name in a name, if dnsmasq takes it: its first label has letters, digits, hyphens and underscores and begins
/// with a letter or digit; no label is longer than DNS allows; no control character stands anywhere. The domain behind it
/// is left out: which domain a host is in, the server's configuration says.
pub(super) fn legal(name: &[u8]) -> Option<&[u8]> {
    let name = name.split(|&octet| octet == 0).next().unwrap_or_default();
    let name = name.strip_suffix(b".").unwrap_or(name);
    let is_sound = (1..=MAX_NAME).contains(&name.len())
        && !name.iter().any(u8::is_ascii_control)
        && name.iter().any(|octet| !b" .".contains(octet))
        && name.split(|&octet| octet == b'.').all(|label| label.len() <= MAX_LABEL);
    let label = name.split(|&octet| octet == b'.').next().filter(|_| is_sound)?;
    let (first, rest) = label.split_first()?;
    let goes_on = |octet: &u8| octet.is_ascii_alphanumeric() || b"-_".contains(octet);
    (first.is_ascii_alphanumeric() && rest.iter().all(goes_on)).then_some(label)
}

/// What a DHCPv4 message calls the client: option 81 if it is there, good or bad, else option 12.
fn in_message4(message: &dhcpv4::Message) -> Option<Octets> {
    use dhcpv4::code;
    if let Some(payload) = message.options.get(code::CLIENT_FQDN)
        && let [flags, _, _, name @ ..] = payload.as_ref()
    {
        let name = match flags & WIRE_FORMAT {
            0 => name.to_vec(),
            _ => domain_name::from_wire(name)?.into_bytes(),
        };
        return legal(&name).map(Octets::from);
    }
    legal(&message.options.get(code::HOST_NAME)?).map(Octets::from)
}

fn in_message6(message: &dhcpv6::Message) -> Option<Octets> {
    legal(&message.hostname_as_sent()?).map(Octets::from)
}

/// The name that an exchange gives the client: the server's word for it where the answer has one, else the client's own.
pub(super) fn of4(exchange: &Exchange4) -> Option<Octets> {
    let in_answer = exchange.answer.as_deref().and_then(|answer| in_message4(&answer.message));
    in_answer.or_else(|| exchange.query.as_deref().and_then(|query| in_message4(&query.message)))
}

/// The same of DHCPv6.
pub(super) fn of6(exchange: &Exchange6) -> Option<Octets> {
    let in_answer = exchange.answer.as_deref().and_then(|answer| in_message6(&answer.message));
    in_answer.or_else(|| supplied6(exchange))
}

/// What the client calls itself.
pub(super) fn supplied6(exchange: &Exchange6) -> Option<Octets> {
    exchange.query.as_deref().and_then(|query| in_message6(&query.message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_a_host_in_dns_is_a_name() {
        let long = "a".repeat(63);
        for (name, expected) in [
            ("labhost", Some("labhost")),
            ("LabHost", Some("LabHost")),
            ("lab_host-1", Some("lab_host-1")),
            ("9to5", Some("9to5")),
            ("labhost.example.org", Some("labhost")),
            ("labhost.", Some("labhost")),
            ("labhost\0and more", Some("labhost")),
            ("labhost.a b", Some("labhost")),
            (&long, Some(&*long)),
            (&format!("{long}a"), None),
            (&format!("h.{long}a"), None),
            ("", None),
            (".", None),
            (".labhost", None),
            ("-labhost", None),
            ("_labhost", None),
            ("lab host", None),
            ("lab\nhost", None),
            ("labhost.\x07", None),
            ("$(reboot)", None),
            ("l\u{e4}b", None),
        ] {
            assert_eq!(legal(name.as_bytes()), expected.map(str::as_bytes), "{name:?}");
        }
    }
}
