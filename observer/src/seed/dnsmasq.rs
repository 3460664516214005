//! dnsmasq's lease file: one line a lease, DHCPv4 first; the line with the server's DUID begins the DHCPv6 part.
//!
//! It holds when a lease ends and not when it began. dnsmasq writes the whole file at every change, so no lease is younger
//! than the file: CLTT is taken to be when the file was last written, or the end if that was earlier, and the lifetime is
//! what was left then. Thus CLTT and lifetime add up to the end, and the lifetime is never more than was granted.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::dhcpv6::IaKind;
use crate::identity::{ClientId, Duid, HardwareAddress, hardware_address_in_duid};
use crate::octets::Octets;
use crate::time::{Lifetime, Timestamp};
use crate::tracker::{Lease4, Lease6, LeaseState};

use super::ledger::Ledger;
use super::lines;
use super::octets::{from_colon_hex, parsed};

/// What is in no lease's line: the server's DUID, and what newer versions add to the line before.
const NO_LEASES: [&[u8]; 3] = [b"duid", b"agent-info", b"vendorclass"];

/// An end before the year 2000 is a number of seconds: dnsmasq was built for machines without a clock (`HAVE_BROKEN_RTC`).
const EARLIEST: i64 = 946_684_800;

/// Whether a file that begins with this word may be one of dnsmasq's.
pub(super) fn is_first_word(word: &[u8]) -> bool {
    NO_LEASES.contains(&word) || (!word.is_empty() && word.iter().all(u8::is_ascii_digit))
}

/// Reads a whole file that was last written at `written`.
pub(super) fn parse(file: Arc<Path>, bytes: &[u8], written: Timestamp) -> Ledger {
    let mut ledger = Ledger::default();
    for (number, line) in lines(bytes) {
        let words: Vec<&[u8]> =
            line.split(|byte| byte.is_ascii_whitespace()).filter(|word| !word.is_empty()).collect();
        let taken = match words.as_slice() {
            [] => Ok(()),
            [first, ..] if NO_LEASES.contains(first) => Ok(()),
            [expiry, who, address, name, id] => {
                Line { expiry, who, address, name, id, written: written.whole_second() }.take(&mut ledger)
            }
            words => Err(format!("found {} words, expected 5", words.len())),
        };
        if let Err(why) = taken {
            ledger.skip(&file, number, why);
        }
    }
    ledger
}

struct Line<'a> {
    expiry: &'a [u8],
    who: &'a [u8],
    address: &'a [u8],
    name: &'a [u8],
    id: &'a [u8],
    written: Timestamp,
}

fn found(what: &[u8], expected: &str) -> String {
    format!("found {:?}, expected {expected}", String::from_utf8_lossy(what))
}

impl Line<'_> {
    fn take(&self, ledger: &mut Ledger) -> Result<(), String> {
        if self.address.contains(&b':') {
            ledger.put6(self.lease6()?);
        } else {
            ledger.put4(self.lease4()?);
        }
        Ok(())
    }

    fn lease4(&self) -> Result<Lease4, String> {
        let (cltt, valid_lifetime) = self.period()?;
        Ok(Lease4 {
            address: parsed(self.address).ok_or_else(|| found(self.address, "an IP address"))?,
            hwaddr: self.hwaddr()?,
            client_id: self.identifier()?.map(|octets| ClientId::new(&octets)),
            hostname: self.hostname(),
            cltt,
            valid_lifetime,
            state: LeaseState::Default,
            subnet_id: None,
            place: Arc::default(),
            relay: None,
        })
    }

    fn lease6(&self) -> Result<Lease6, String> {
        let (cltt, valid_lifetime) = self.period()?;
        let (kind, iaid) = match self.who.strip_prefix(b"T") {
            Some(iaid) => (IaKind::Temporary, iaid),
            None => (IaKind::NonTemporary, self.who),
        };
        let duid = self.identifier()?.ok_or_else(|| found(self.id, "a DUID"))?;
        Ok(Lease6 {
            kind,
            address: parsed(self.address).ok_or_else(|| found(self.address, "an IP address"))?,
            prefix_len: 128,
            hwaddr: hardware_address_in_duid(&duid),
            duid: Duid::new(&duid),
            iaid: parsed(iaid).ok_or_else(|| found(self.who, "an IAID"))?,
            hostname: self.hostname(),
            cltt,
            // dnsmasq grants both alike unless the address is deprecated.
            preferred_lifetime: valid_lifetime,
            valid_lifetime,
            state: LeaseState::Default,
            subnet_id: None,
            place: Arc::default(),
            way: None,
            relay_information: None,
        })
    }

    fn period(&self) -> Result<(Timestamp, Lifetime), String> {
        let wrong = || found(self.expiry, "seconds since 1970, or 0 for a lease without end");
        let end: i64 = parsed(self.expiry).ok_or_else(wrong)?;
        match end {
            0 => Ok((self.written, Lifetime::Infinite)),
            EARLIEST.. => {
                let end = Timestamp::from_seconds(end);
                let left = end.since(self.written).as_secs();
                let left = u32::try_from(left).unwrap_or(u32::MAX).min(u32::MAX - 1);
                Ok((end - Duration::from_secs(u64::from(left)), Lifetime::Seconds(left)))
            }
            _ => Err(wrong()),
        }
    }

    /// `02:00:…`, with the hardware type before it, `06-02:00:…`, where that is not Ethernet.
    fn hwaddr(&self) -> Result<HardwareAddress, String> {
        let wrong = || found(self.who, "a hardware address");
        let dash =
            self.who.iter().position(|&byte| byte == b'-').and_then(|at| self.who.split_at_checked(at));
        let (htype, octets) = match dash {
            Some((htype, octets)) => {
                let htype = from_colon_hex(htype).filter(|htype| htype.len() == 1).ok_or_else(wrong)?;
                (
                    htype.first().copied().map(u16::from).unwrap_or_default(),
                    octets.strip_prefix(b"-").unwrap_or(octets),
                )
            }
            None => (HardwareAddress::ETHERNET, self.who),
        };
        let octets =
            from_colon_hex(octets).filter(|octets| octets.len() <= HardwareAddress::MAX).ok_or_else(wrong)?;
        Ok(HardwareAddress::new(htype, &octets, octets.len()))
    }

    /// The client identifier or DUID, `*` for none.
    fn identifier(&self) -> Result<Option<Vec<u8>>, String> {
        match self.id {
            b"*" => Ok(None),
            id => from_colon_hex(id)
                .map(Some)
                .ok_or_else(|| found(id, "octets in hexadecimal with colons, or *")),
        }
    }

    fn hostname(&self) -> Octets {
        if self.name == b"*" { Octets::default() } else { self.name.into() }
    }
}

#[cfg(test)]
mod tests;
