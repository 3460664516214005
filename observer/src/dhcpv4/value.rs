//! The meaning of option values, by dhcproto, one option at a time.
//!
//! dhcproto drops every option after a bad one and can panic on wrong lengths, so an option is given to it alone and
//! only when its length is right.

use std::net::Ipv4Addr;

use dhcproto::decoder::{Decodable, Decoder};
use dhcproto::v4::DhcpOption;

use super::Options;

/// Decodes an option of exactly four octets.
fn four_octets(options: &Options, code: u8) -> Option<DhcpOption> {
    let payload = options.get(code)?;
    let &[a, b, c, d] = payload.as_ref() else { return None };
    DhcpOption::decode(&mut Decoder::new(&[code, 4, a, b, c, d])).ok()
}

/// An option that holds one address; `None` when it is missing or not four octets long.
pub(super) fn address(options: &Options, code: u8) -> Option<Ipv4Addr> {
    match four_octets(options, code)? {
        DhcpOption::SubnetMask(address)
        | DhcpOption::RequestedIpAddress(address)
        | DhcpOption::ServerIdentifier(address) => Some(address),
        _ => None,
    }
}

/// An option that holds one number of 32 bits; `None` when it is missing or not four octets long.
pub(super) fn number(options: &Options, code: u8) -> Option<u32> {
    match four_octets(options, code)? {
        DhcpOption::AddressLeaseTime(seconds)
        | DhcpOption::Renewal(seconds)
        | DhcpOption::Rebinding(seconds) => Some(seconds),
        _ => None,
    }
}
