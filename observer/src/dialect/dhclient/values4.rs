//! What an ACK says to the script.

use std::net::Ipv4Addr;

use crate::dhcpv4::{Message, code};
use crate::dialect::text;
use crate::time::Timestamp;

use super::Suspects;
use super::format::{Format, HEX_OR_TEXT};
use super::options4::OPTIONS4;
use super::spaces;
use super::suspect::{Check, check4};
use super::values::Values;

/// The variables that every renewal changes.
pub(super) const RENEWED: [&str; 1] = ["expiry"];

/// How long dhclient keeps a BOOTP address, which has no lease time.
const BOOTP_SECONDS: u32 = 12 * 3_600;

/// Name and format of an option; `None` for the name of one that dhcp-options(5) does not name.
fn option(code: u8) -> (Option<&'static str>, &'static Format) {
    match OPTIONS4.binary_search_by_key(&code, |(code, ..)| *code).ok().and_then(|at| OPTIONS4.get(at)) {
        Some((_, name, format)) => (Some(name), format),
        None => (None, &HEX_OR_TEXT),
    }
}

/// The name of an option in a variable.
pub(super) fn option_name(code: u16) -> String {
    let known = u8::try_from(code).ok().and_then(|code| option(code).0);
    known.map_or_else(|| format!("unknown_{code}"), str::to_owned)
}

/// What the lease of this answer, which came at `at`, says to the script. What was left out because it looks like an
/// attack on the script is counted.
pub(super) fn values(at: Timestamp, answer: &Message, suspects: &mut Suspects) -> Values {
    let mut values = Values::default();
    let mut set = |name: &str, address: Option<Ipv4Addr>| {
        values.set(name, |out| address.map(|address| text::ipv4(out, address)).is_some());
    };
    let address = answer.yiaddr;
    set("ip_address", Some(address));
    set("next_server", Some(answer.siaddr));
    if let Some(mask) = mask(answer) {
        let network = address.to_bits() & mask.to_bits();
        set("network_number", Some(network.into()));
        set("broadcast_address", Some((network | !mask.to_bits()).into()));
    }
    for (name, field, check) in
        [("filename", &answer.filename, Check::Path), ("server_name", &answer.server_name, Check::Name)]
    {
        if !field.is_empty() && suspects.pass(Some(check), field) {
            values.set(name, |out| {
                out.extend_from_slice(field);
                true
            });
        }
    }
    for code in answer.options.codes() {
        // A relay takes its own option out before the client sees the answer.
        if code == code::RELAY_AGENT_INFORMATION && answer.is_relayed() {
            continue;
        }
        let Some(payload) = answer.options.get(code) else { continue };
        let write =
            |out: &mut Vec<u8>| option(code).1.write(&payload, out) && suspects.pass(check4(code), out);
        match option(code).0 {
            Some(name) => values.set(name, write),
            None => values.set(&option_name(code.into()), write),
        }
        spaces::write4(code, &payload, &mut values);
    }
    let seconds = answer.lease_time().unwrap_or(BOOTP_SECONDS);
    values.set("expiry", |out| {
        text::number(out, at.unix_seconds().saturating_add(seconds.into()));
        true
    });
    values
}

/// The mask: option 1, of which dhclient takes the first four octets.
fn mask(answer: &Message) -> Option<Ipv4Addr> {
    let payload = answer.options.get(code::SUBNET_MASK)?;
    payload.first_chunk::<4>().map(|octets| Ipv4Addr::from(*octets))
}
