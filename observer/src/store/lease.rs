//! Leases as rows: readable, and exactly what the tracker had when they come back.

use std::collections::HashSet;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use std::sync::Arc;

use rusqlite::types::ValueRef;
use rusqlite::{CachedStatement, Connection, Result, Row, params};

use crate::dhcpv6::IaKind;
use crate::frame::Interface;
use crate::identity::{ClientId, Duid, HardwareAddress};
use crate::time::{Lifetime, Timestamp};
use crate::tracker::{Lease4, Lease6, LeaseChange, Place, Relay4, Way};

use super::text;

const PUT4: &str = "INSERT OR REPLACE INTO leases4 (number, address, hwtype, hwaddr, client_id, hostname, cltt, \
    valid_lifetime, expires, state, subnet_id, interface, interface_index, vlans, relay, agent_information) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)";
const GONE4: &str = "DELETE FROM leases4 WHERE number = ?1";
const PUT6: &str = "INSERT OR REPLACE INTO leases6 (is_prefix, address, prefix_len, type, duid, iaid, hwtype, hwaddr, \
    hostname, cltt, preferred_lifetime, valid_lifetime, expires, state, subnet_id, interface, interface_index, vlans, \
    has_way, next_hop, next_hop_hwtype, next_hop_hwaddr, relay, relay_information) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24)";
const GONE6: &str = "DELETE FROM leases6 WHERE is_prefix = ?1 AND address = ?2";
const SERVER4: &str = "INSERT OR IGNORE INTO servers4 (address) VALUES (?1)";
/// As many as the tracker itself remembers; a flood of forged ones must not fill the disk.
const OLD_SERVERS4: &str = "DELETE FROM servers4 WHERE place <= (SELECT max(place) FROM servers4) - 1024";

/// The columns of [`lease4`], in its order.
pub(super) const ALL4: &str = "SELECT number, hwtype, hwaddr, client_id, hostname, cltt, valid_lifetime, state, subnet_id, \
    interface, interface_index, vlans, relay, agent_information FROM leases4";
/// The columns of [`lease6`], in its order.
pub(super) const ALL6: &str = "SELECT type, address, prefix_len, duid, iaid, hwtype, hwaddr, hostname, cltt, \
    preferred_lifetime, valid_lifetime, state, subnet_id, interface, interface_index, vlans, has_way, next_hop, \
    next_hop_hwtype, next_hop_hwaddr, relay, relay_information FROM leases6";

/// Writes a change into its table.
pub(super) fn write(connection: &Connection, change: &LeaseChange) -> Result<()> {
    match change {
        LeaseChange::Put4(lease) => put4(connection.prepare_cached(PUT4)?, lease),
        LeaseChange::Gone4(address) => {
            connection.prepare_cached(GONE4)?.execute([address.to_bits()]).map(drop)
        }
        LeaseChange::Put6(lease) => put6(connection.prepare_cached(PUT6)?, lease),
        LeaseChange::Gone6 { is_prefix, address } => {
            connection.prepare_cached(GONE6)?.execute(params![is_prefix, address.to_string()]).map(drop)
        }
        LeaseChange::Server4(address) => {
            connection.prepare_cached(SERVER4)?.execute([address.to_string()])?;
            connection.prepare_cached(OLD_SERVERS4)?.execute([]).map(drop)
        }
    }
}

/// A lease's last transmission is a whole second by definition.
fn expires(cltt: Timestamp, lifetime: Lifetime) -> Option<i64> {
    lifetime.end(cltt).map(Timestamp::unix_seconds)
}

fn put4(mut statement: CachedStatement<'_>, lease: &Lease4) -> Result<()> {
    let interface = lease.place.interface.as_deref();
    statement
        .execute(params![
            lease.address.to_bits(),
            lease.address.to_string(),
            lease.hwaddr.htype(),
            text::hex(lease.hwaddr.octets()),
            lease.client_id.as_ref().map(|client_id| text::hex(client_id.octets())),
            Readable(&lease.hostname),
            lease.cltt.unix_seconds(),
            lease.valid_lifetime.to_wire(),
            expires(lease.cltt, lease.valid_lifetime),
            lease.state.name(),
            lease.subnet_id,
            interface.map(|interface| interface.name.as_str()),
            interface.and_then(|interface| interface.index),
            text::vlans(&lease.place.vlans),
            lease.relay.as_ref().map(|relay| relay.address.to_string()),
            lease.relay.as_ref().map(|relay| &*relay.agent_information),
        ])
        .map(drop)
}

fn put6(mut statement: CachedStatement<'_>, lease: &Lease6) -> Result<()> {
    let interface = lease.place.interface.as_deref();
    let way = lease.way.as_deref();
    let next_hop_hwaddr = way.and_then(|way| way.hwaddr);
    statement
        .execute(params![
            lease.kind == IaKind::PrefixDelegation,
            lease.address.to_string(),
            lease.prefix_len,
            text::kind_name(lease.kind),
            text::hex(lease.duid.octets()),
            lease.iaid,
            lease.hwaddr.map(|hwaddr| hwaddr.htype()),
            lease.hwaddr.map(|hwaddr| text::hex(hwaddr.octets())),
            Readable(&lease.hostname),
            lease.cltt.unix_seconds(),
            lease.preferred_lifetime.to_wire(),
            lease.valid_lifetime.to_wire(),
            expires(lease.cltt, lease.valid_lifetime),
            lease.state.name(),
            lease.subnet_id,
            interface.map(|interface| interface.name.as_str()),
            interface.and_then(|interface| interface.index),
            text::vlans(&lease.place.vlans),
            way.is_some(),
            way.and_then(|way| way.next_hop).map(|next_hop| next_hop.to_string()),
            next_hop_hwaddr.map(|hwaddr| hwaddr.htype()),
            next_hop_hwaddr.map(|hwaddr| text::hex(hwaddr.octets())),
            way.and_then(|way| way.relay).map(|relay| relay.to_string()),
            lease.relay_information.as_deref(),
        ])
        .map(drop)
}

/// [`text::readable`] as a parameter.
pub(super) struct Readable<'a>(pub(super) &'a [u8]);

impl rusqlite::ToSql for Readable<'_> {
    fn to_sql(&self) -> Result<rusqlite::types::ToSqlOutput<'_>> {
        Ok(rusqlite::types::ToSqlOutput::Borrowed(text::readable(self.0)))
    }
}

/// The places of leases that are read, so that a million of them share a handful.
#[derive(Debug, Default)]
pub(super) struct Places(HashSet<Arc<Place>>);

impl Places {
    /// More than the VLANs of one interface; whatever is beyond gets a place of its own.
    const LIMIT: usize = 8_192;

    fn shared(&mut self, place: Place) -> Arc<Place> {
        if let Some(known) = self.0.get(&place) {
            return Arc::clone(known);
        }
        let new = Arc::new(place);
        if self.0.len() < Self::LIMIT {
            self.0.insert(Arc::clone(&new));
        }
        new
    }
}

/// Reads the columns of one row in their order. Whatever is not as it was written is `None`: people can write into a
/// database too.
struct Columns<'a> {
    row: &'a Row<'a>,
    next: usize,
}

impl<'a> Columns<'a> {
    fn of(row: &'a Row<'a>) -> Self {
        Self { row, next: 0 }
    }

    fn value(&mut self) -> Option<ValueRef<'a>> {
        self.next += 1;
        self.row.get_ref(self.next - 1).ok()
    }

    fn number<N: TryFrom<i64>>(&mut self) -> Option<N> {
        self.optional_number()?
    }

    fn optional_number<N: TryFrom<i64>>(&mut self) -> Option<Option<N>> {
        match self.value()? {
            ValueRef::Null => Some(None),
            ValueRef::Integer(number) => Some(Some(N::try_from(number).ok()?)),
            ValueRef::Real(_) | ValueRef::Text(_) | ValueRef::Blob(_) => None,
        }
    }

    fn text(&mut self) -> Option<&'a str> {
        self.optional_text()?
    }

    fn optional_text(&mut self) -> Option<Option<&'a str>> {
        match self.value()? {
            ValueRef::Null => Some(None),
            ValueRef::Text(text) => Some(Some(std::str::from_utf8(text).ok()?)),
            ValueRef::Integer(_) | ValueRef::Real(_) | ValueRef::Blob(_) => None,
        }
    }

    fn optional_parsed<T: FromStr>(&mut self) -> Option<Option<T>> {
        self.optional_text()?.map_or(Some(None), |text| text.parse().ok().map(Some))
    }

    fn octets(&mut self) -> Option<&'a [u8]> {
        text::octets(self.value()?)
    }

    fn optional_octets(&mut self) -> Option<Option<&'a [u8]>> {
        match self.value()? {
            ValueRef::Null => Some(None),
            value => text::octets(value).map(Some),
        }
    }

    fn lifetime(&mut self) -> Option<Lifetime> {
        self.number().map(Lifetime::from_wire)
    }

    fn optional_hwaddr(&mut self) -> Option<Option<HardwareAddress>> {
        match (self.optional_number()?, self.optional_text()?) {
            (None, None) => Some(None),
            (Some(htype), Some(text)) => {
                let octets = text::from_hex(text)?;
                Some(Some(HardwareAddress::new(htype, &octets, octets.len())))
            }
            (None, Some(_)) | (Some(_), None) => None,
        }
    }

    fn place(&mut self, places: &mut Places) -> Option<Arc<Place>> {
        let (name, index) = (self.optional_text()?, self.optional_number()?);
        let interface = name.map(|name| Arc::new(Interface { index, name: name.to_owned() }));
        let vlans = self.optional_text()?.map_or(Some(Default::default()), text::from_vlans)?;
        Some(places.shared(Place { interface, vlans }))
    }
}

/// The lease of a row of [`ALL4`].
pub(super) fn lease4(row: &Row<'_>, places: &mut Places) -> Option<Lease4> {
    let mut columns = Columns::of(row);
    Some(Lease4 {
        address: Ipv4Addr::from_bits(columns.number()?),
        hwaddr: columns.optional_hwaddr()??,
        client_id: match columns.optional_text()? {
            Some(client_id) => Some(ClientId::new(&text::from_hex(client_id)?)),
            None => None,
        },
        hostname: columns.octets()?.into(),
        cltt: Timestamp::from_seconds(columns.number()?),
        valid_lifetime: columns.lifetime()?,
        state: text::state(columns.text()?)?,
        subnet_id: columns.optional_number()?,
        place: columns.place(places)?,
        relay: match (columns.optional_parsed()?, columns.optional_octets()?) {
            (Some(address), agent_information) => Some(Arc::new(Relay4 {
                address,
                agent_information: agent_information.unwrap_or_default().into(),
            })),
            (None, _) => None,
        },
    })
}

/// The lease of a row of [`ALL6`].
pub(super) fn lease6(row: &Row<'_>, places: &mut Places) -> Option<Lease6> {
    let mut columns = Columns::of(row);
    Some(Lease6 {
        kind: text::kind(columns.text()?)?,
        address: Ipv6Addr::from_str(columns.text()?).ok()?,
        prefix_len: columns.number()?,
        duid: Duid::new(&text::from_hex(columns.text()?)?),
        iaid: columns.number()?,
        hwaddr: columns.optional_hwaddr()?,
        hostname: columns.octets()?.into(),
        cltt: Timestamp::from_seconds(columns.number()?),
        preferred_lifetime: columns.lifetime()?,
        valid_lifetime: columns.lifetime()?,
        state: text::state(columns.text()?)?,
        subnet_id: columns.optional_number()?,
        place: columns.place(places)?,
        way: {
            let has_way: u8 = columns.number()?;
            let next_hop = columns.optional_parsed()?;
            let way = Way { next_hop, hwaddr: columns.optional_hwaddr()?, relay: columns.optional_parsed()? };
            (has_way != 0).then(|| Arc::new(way))
        },
        relay_information: columns.optional_octets()?.map(Into::into),
    })
}
