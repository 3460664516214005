//! What one address or prefix of a Reply says to the script.

use crate::dhcpv6::{IaKind, IaLease, IdentityAssociation, Message, OptionsIter, code};
use crate::dialect::text;
use crate::time::Timestamp;

use super::Suspects;
use super::format::{Format, HEX_OR_TEXT};
use super::options6::OPTIONS6;
use super::spaces;
use super::suspect::check6;
use super::values::Values;

/// The variables that every renewal changes.
pub(super) const RENEWED: [&str; 2] = ["starts", "life_starts"];

/// Preference: it helps to choose a server and is no part of the lease (RFC 8415 section 21.8).
const PREFERENCE: u16 = 7;

fn option(code: u16) -> (Option<&'static str>, &'static Format) {
    match OPTIONS6.binary_search_by_key(&code, |(code, ..)| *code).ok().and_then(|at| OPTIONS6.get(at)) {
        Some((_, name, format)) => (Some(name), format),
        None => (None, &HEX_OR_TEXT),
    }
}

/// The name of an option in a variable.
pub(super) fn option_name(code: u16) -> String {
    match option(code).0 {
        Some(name) => format!("dhcp6_{name}"),
        None => format!("dhcp6_unknown_{code}"),
    }
}

/// What an address or prefix in an identity association of this Reply, which came at `at`, says to the script.
pub(super) fn values(
    at: Timestamp,
    answer: &Message,
    ia: &IdentityAssociation<'_>,
    lease: &IaLease,
    suspects: &mut Suspects,
) -> Values {
    let mut values = Values::default();
    let seconds = at.unix_seconds();
    for (name, number) in [
        ("starts", seconds),
        ("renew", ia.t1.into()),
        ("rebind", ia.t2.into()),
        ("life_starts", seconds),
        ("preferred_life", lease.preferred_lifetime.to_wire().into()),
        ("max_life", lease.valid_lifetime.to_wire().into()),
    ] {
        values.set(name, |out| write_number(number, out));
    }
    match ia.kind {
        IaKind::PrefixDelegation => values.set("ip6_prefix", |out| {
            text::ipv6(out, lease.address);
            out.push(b'/');
            text::number(out, lease.prefix_len);
            true
        }),
        IaKind::NonTemporary | IaKind::Temporary => {
            values.set("ip6_prefixlen", |out| write_number(lease.prefix_len.into(), out));
            values.set("ip6_address", |out| {
                text::ipv6(out, lease.address);
                true
            });
        }
    }
    values.set("iaid", |out| {
        text::colon_hex(out, &ia.iaid.to_be_bytes());
        true
    });
    let is_part = |code: u16| {
        !matches!(code, code::IA_NA | code::IA_TA | code::IA_PD | code::IAADDR | code::IAPREFIX | PREFERENCE)
    };
    let mut write = |code: u16, payload: &[u8]| {
        if is_part(code) {
            values.set(&option_name(code), |out| {
                option(code).1.write(payload, out) && suspects.pass(check6(code), out)
            });
            spaces::write6(code, payload, &mut values);
        }
    };
    answer.options().for_each(|(code, payload)| write(code, payload));
    // What stands closer to the address hides what is said further out.
    ia.options().for_each(|(code, payload)| write(code, payload));
    if let Some(inner) = options_of(ia, lease) {
        inner.for_each(|(code, payload)| write(code, payload));
    }
    values
}

fn write_number(number: i64, out: &mut Vec<u8>) -> bool {
    text::number(out, number);
    true
}

/// The options behind the fixed fields of an address or prefix.
fn options_of<'a>(ia: &IdentityAssociation<'a>, lease: &IaLease) -> Option<OptionsIter<'a>> {
    let (holder, address, fixed) = match ia.kind {
        IaKind::PrefixDelegation => (code::IAPREFIX, 9, 25),
        IaKind::NonTemporary | IaKind::Temporary => (code::IAADDR, 0, 24),
    };
    let is_it = |payload: &[u8]| payload.get(address..address + 16) == Some(&lease.address.octets()[..]);
    let (_, payload) = ia.options().find(|(code, payload)| *code == holder && is_it(payload))?;
    payload.get(fixed..).map(OptionsIter::new)
}
