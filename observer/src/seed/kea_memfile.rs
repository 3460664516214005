//! Kea's memfile: a journal in CSV, one row for each change of a lease.
//!
//! Versions of Kea have different columns, so these go by the names in the header. A row with a valid lifetime of zero takes
//! the lease out. Commas inside host names are written `&#x2c`.

use std::path::Path;
use std::sync::Arc;

use crate::dhcpv6::IaKind;
use crate::identity::{ClientId, Duid, HardwareAddress};
use crate::octets::Octets;
use crate::time::{Lifetime, Timestamp};
use crate::tracker::{Lease4, Lease6, LeaseState};

use super::ledger::Ledger;
use super::lines;
use super::octets::{from_colon_hex, parsed};

/// Which of the two files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    V4,
    V6,
}

/// Whether this is the header of one of Kea's files.
pub(super) fn is_header(line: &[u8]) -> bool {
    Header::parse(line).is_some()
}

/// Which column is which.
struct Header {
    family: Family,
    names: Vec<Vec<u8>>,
}

impl Header {
    fn parse(line: &[u8]) -> Option<Self> {
        let names: Vec<Vec<u8>> =
            line.split(|&byte| byte == b',').map(|name| name.trim_ascii().to_vec()).collect();
        let has = |wanted: &str| names.iter().any(|name| name == wanted.as_bytes());
        let common = ["address", "valid_lifetime", "expire", "subnet_id"].into_iter().all(has);
        let family = match (has("duid"), has("client_id")) {
            (true, false) if has("lease_type") && has("iaid") => Family::V6,
            (false, true) => Family::V4,
            _ => return None,
        };
        common.then_some(Self { family, names })
    }
}

/// One row.
struct Row<'a> {
    header: &'a Header,
    values: Vec<&'a [u8]>,
}

impl<'a> Row<'a> {
    /// The value in a column; empty where this version of Kea has no such column.
    fn get(&self, column: &str) -> &'a [u8] {
        let named = self.header.names.iter().zip(&self.values).find(|(name, _)| *name == column.as_bytes());
        named.map(|(_, value)| *value).unwrap_or_default()
    }

    fn wrong(&self, column: &str, expected: &str) -> String {
        format!("{column}: found {:?}, expected {expected}", String::from_utf8_lossy(self.get(column)))
    }

    fn parsed<T: std::str::FromStr>(&self, column: &str, expected: &str) -> Result<T, String> {
        parsed(self.get(column)).ok_or_else(|| self.wrong(column, expected))
    }

    fn number(&self, column: &str) -> Result<u32, String> {
        self.parsed(column, "a number below 2^32")
    }

    /// A number that may be missing.
    fn number_or(&self, column: &str, otherwise: u32) -> Result<u32, String> {
        if self.get(column).is_empty() { Ok(otherwise) } else { self.number(column) }
    }

    fn octets(&self, column: &str) -> Result<Vec<u8>, String> {
        from_colon_hex(self.get(column))
            .ok_or_else(|| self.wrong(column, "octets in hexadecimal with colons"))
    }

    fn hwaddr(&self, htype: u32) -> Result<HardwareAddress, String> {
        let octets = self.octets("hwaddr")?;
        if octets.len() > HardwareAddress::MAX {
            return Err(self.wrong("hwaddr", "at most 20 octets"));
        }
        let htype = u16::try_from(htype).map_err(|_| self.wrong("hwtype", "a number below 2^16"))?;
        Ok(HardwareAddress::new(htype, &octets, octets.len()))
    }

    /// The lifetime and when it began. Kea writes down the end.
    fn period(&self) -> Result<(Timestamp, Lifetime), String> {
        let expire: i64 = self.parsed("expire", "seconds since 1970")?;
        let valid = self.number("valid_lifetime")?;
        let start = match Lifetime::from_wire(valid) {
            // A sum that was kept in 32 bits is the start alone.
            Lifetime::Infinite if expire < i64::from(valid) => Some(expire),
            _ => expire.checked_sub(i64::from(valid)),
        };
        let start = start.filter(|start| *start >= 0);
        let start = start
            .ok_or_else(|| self.wrong("expire", "a time not before 1970 when valid_lifetime is taken off"))?;
        Ok((Timestamp::from_seconds(start), Lifetime::from_wire(valid)))
    }

    /// The state; `None` when there is no lease (any more).
    fn state(&self) -> Result<Option<LeaseState>, String> {
        match self.number_or("state", 0)? {
            0 => Ok(Some(LeaseState::Default)),
            1 => Ok(Some(LeaseState::Declined)),
            2 => Ok(Some(LeaseState::ExpiredReclaimed)),
            // Released and kept for its owner (2.7.0): over for everybody else. Registered (2.7.7): no lease was given.
            3 | 4 => Ok(None),
            _ => Err(self.wrong("state", "0 to 4")),
        }
    }

    fn hostname(&self) -> Octets {
        unescape(self.get("hostname"))
    }
}

/// `&#xHH` is one octet.
fn unescape(text: &[u8]) -> Octets {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, after)) = rest.split_first() {
        let escaped =
            rest.strip_prefix(b"&#x").and_then(|rest| rest.split_at_checked(2)).and_then(|(digits, rest)| {
                let octets = from_colon_hex(digits).filter(|_| !digits.contains(&b':'))?;
                Some((octets.first().copied()?, rest))
            });
        let (octet, following) = escaped.unwrap_or((first, after));
        plain.push(octet);
        rest = following;
    }
    plain.into()
}

/// Takes the rows of one file into `ledger`.
pub(super) fn parse(file: Arc<Path>, bytes: &[u8], ledger: &mut Ledger) {
    let mut lines = lines(bytes).filter(|(_, line)| !line.trim_ascii().is_empty());
    let Some((number, first)) = lines.next() else { return };
    let Some(header) = Header::parse(first) else {
        return ledger.skip(&file, number, "found no header of a Kea lease file; the whole file is skipped");
    };
    for (number, line) in lines {
        let row = Row { header: &header, values: line.split(|&byte| byte == b',').collect() };
        let taken = if row.values.len() != header.names.len() {
            Err(format!(
                "found {} columns, expected {} as in the header",
                row.values.len(),
                header.names.len()
            ))
        } else {
            match header.family {
                Family::V4 => take4(&row, ledger),
                Family::V6 => take6(&row, ledger),
            }
        };
        if let Err(why) = taken {
            ledger.skip(&file, number, why);
        }
    }
}

fn take4(row: &Row<'_>, ledger: &mut Ledger) -> Result<(), String> {
    let address = row.parsed("address", "an IPv4 address")?;
    let (cltt, valid_lifetime) = row.period()?;
    let client_id = row.octets("client_id")?;
    let hwaddr = row.hwaddr(u32::from(HardwareAddress::ETHERNET))?;
    let subnet_id = row.number("subnet_id")?;
    let Some(state) = row.state()?.filter(|_| valid_lifetime != Lifetime::Seconds(0)) else {
        ledger.remove4(address);
        return Ok(());
    };
    ledger.put4(Lease4 {
        address,
        hwaddr,
        client_id: (!client_id.is_empty()).then(|| ClientId::new(&client_id)),
        hostname: row.hostname(),
        cltt,
        valid_lifetime,
        state,
        subnet_id: Some(subnet_id),
        place: Arc::default(),
        relay: None,
    });
    Ok(())
}

fn take6(row: &Row<'_>, ledger: &mut Ledger) -> Result<(), String> {
    let address = row.parsed("address", "an IPv6 address")?;
    let (kind, longest) = match row.number("lease_type")? {
        0 => (IaKind::NonTemporary, 128),
        1 => (IaKind::Temporary, 128),
        2 => (IaKind::PrefixDelegation, row.number_or("prefix_len", 128)?),
        _ => return Err(row.wrong("lease_type", "0, 1 or 2")),
    };
    let prefix_len = u8::try_from(longest).ok().filter(|length| *length <= 128);
    let prefix_len = prefix_len.ok_or_else(|| row.wrong("prefix_len", "at most 128"))?;
    let (cltt, valid_lifetime) = row.period()?;
    let duid = row.octets("duid")?;
    let hwaddr = row.hwaddr(row.number_or("hwtype", u32::from(HardwareAddress::ETHERNET))?)?;
    let (iaid, subnet_id) = (row.number("iaid")?, row.number("subnet_id")?);
    let preferred_lifetime = Lifetime::from_wire(row.number("pref_lifetime")?);
    let Some(state) = row.state()?.filter(|_| valid_lifetime != Lifetime::Seconds(0)) else {
        ledger.remove6(kind, address);
        return Ok(());
    };
    if duid.is_empty() {
        return Err(row.wrong("duid", "a DUID"));
    }
    ledger.put6(Lease6 {
        kind,
        address,
        prefix_len,
        duid: Duid::new(&duid),
        iaid,
        hwaddr: (!hwaddr.is_empty()).then_some(hwaddr),
        hostname: row.hostname(),
        cltt,
        preferred_lifetime,
        valid_lifetime,
        state,
        subnet_id: Some(subnet_id),
        place: Arc::default(),
        way: None,
        relay_information: None,
    });
    Ok(())
}

#[cfg(test)]
mod tests;
