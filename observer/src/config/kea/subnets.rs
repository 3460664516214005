//! `shared-networks`, `subnet4` and `subnet6`, and the numbers of subnets that have none.

use std::collections::HashMap;
use std::fmt::Display;
use std::net::Ipv6Addr;
use std::str::FromStr;
use std::sync::Arc;

use super::inherited::Inherited;
use super::reservations;
use crate::config::dhcp4::Subnet4;
use crate::config::dhcp6::{PdPool, Subnet6};
use crate::config::json::{Field, Map};
use crate::config::place::{ConfigError, Place};

/// The highest id that a subnet may have; 4294967295 is Kea's mark for "unused".
const HIGHEST_ID: u32 = u32::MAX - 1;

/// Every DHCPv4 subnet of the configuration.
pub(super) fn read4(scope: &Map, global: &Inherited) -> Result<Vec<Subnet4>, ConfigError> {
    read(scope, "subnet4", global, |common: Common<'_, _>| {
        Ok(Subnet4 {
            id: common.id,
            prefix: common.prefix,
            prefix_len: common.prefix_len,
            shared_network: common.shared_network,
            match_client_id: common.inherited.match_client_id,
            store_extended_info: common.inherited.store_extended_info,
            replaces_client_name: common.inherited.replaces_client_name,
            valid_lifetime: common.inherited.valid_lifetime,
            cache: common.inherited.cache,
            reservations: reservations::read4(common.map)?,
        })
    })
}

/// Every DHCPv6 subnet of the configuration.
pub(super) fn read6(scope: &Map, global: &Inherited) -> Result<Vec<Subnet6>, ConfigError> {
    read(scope, "subnet6", global, |common: Common<'_, _>| {
        Ok(Subnet6 {
            id: common.id,
            prefix: common.prefix,
            prefix_len: common.prefix_len,
            shared_network: common.shared_network,
            store_extended_info: common.inherited.store_extended_info,
            replaces_client_name: common.inherited.replaces_client_name,
            valid_lifetime: common.inherited.valid_lifetime,
            cache: common.inherited.cache,
            pd_pools: common.map.elements("pd-pools")?.into_iter().map(pd_pool).collect::<Result<_, _>>()?,
            reservations: reservations::read6(common.map)?,
        })
    })
}

/// An address of either family.
trait Address: FromStr + Display {
    /// What it is called, and an example of a subnet.
    const SUBNET: &'static str;
    /// How many bits it has.
    const BITS: u8;
}

impl Address for std::net::Ipv4Addr {
    const SUBNET: &'static str = "an IPv4 subnet such as 192.0.2.0/24";
    const BITS: u8 = 32;
}

impl Address for Ipv6Addr {
    const SUBNET: &'static str = "an IPv6 subnet such as 2001:db8:1::/64";
    const BITS: u8 = 128;
}

/// What the subnets of both families have.
struct Common<'a, A> {
    map: &'a Map,
    id: u32,
    prefix: A,
    prefix_len: u8,
    shared_network: Option<Arc<str>>,
    inherited: Inherited,
}

/// Reads the subnets in Kea's order, which decides their numbers: first those in shared networks, then the others,
/// wherever the two stand in the file.
fn read<A: Address, S>(
    scope: &Map,
    key: &str,
    global: &Inherited,
    make: impl Fn(Common<'_, A>) -> Result<S, ConfigError>,
) -> Result<Vec<S>, ConfigError> {
    let mut seen = Seen::default();
    let mut subnets = Vec::new();
    for field in scope.elements("shared-networks")? {
        let network = field.map()?;
        let inherited = global.within(network)?;
        let name = seen.network_name(network)?;
        for field in network.elements(key)? {
            subnets.push(make(common(field, &mut seen, Some(&name), &inherited)?)?);
        }
    }
    for field in scope.elements(key)? {
        subnets.push(make(common(field, &mut seen, None, global)?)?);
    }
    Ok(subnets)
}

fn common<'a, A: Address>(
    field: Field<'a>,
    seen: &mut Seen,
    shared_network: Option<&Arc<str>>,
    inherited: &Inherited,
) -> Result<Common<'a, A>, ConfigError> {
    let map = field.map()?;
    let subnet = map.require("subnet", "subnet")?;
    let (prefix, prefix_len) = parse_subnet::<A>(subnet.text()?).ok_or_else(|| subnet.expected(A::SUBNET))?;
    seen.prefix(subnet, format!("{prefix}/{prefix_len}"))?;
    let id = seen.id(map)?;
    let shared_network = shared_network.cloned();
    Ok(Common { map, id, prefix, prefix_len, shared_network, inherited: inherited.within(map)? })
}

/// Kea drops blanks from the text first, and keeps the host bits.
fn parse_subnet<A: Address>(text: &str) -> Option<(A, u8)> {
    let text: String = text.chars().filter(|char| !matches!(char, ' ' | '\t')).collect();
    let (prefix, length) = text.split_once('/')?;
    Some((prefix.parse().ok()?, length.parse().ok().filter(|&length| length <= A::BITS)?))
}

/// What must be unique among the subnets of a family, and where it was first.
#[derive(Default)]
struct Seen {
    numbered: u32,
    ids: HashMap<u32, Place>,
    prefixes: HashMap<String, Place>,
    networks: HashMap<Arc<str>, Place>,
}

impl Seen {
    /// The subnet's id. One that is left out or 0 is the next number, counting only the subnets without an id: Kea does
    /// not step over the ids that others were given, and refuses a file in which the two meet.
    fn id(&mut self, map: &Map) -> Result<u32, ConfigError> {
        let given = map.get("id");
        let (id, place, how) = match given.map(|field| field.number(0..=HIGHEST_ID)).transpose()? {
            Some(id) if id != 0 => (id, given.map_or(map.place(), Field::place), ""),
            _ => {
                self.numbered = self.numbered.saturating_add(1);
                (self.numbered, map.place(), " (the number that Kea gives to this subnet)")
            }
        };
        match self.ids.insert(id, place.clone()) {
            None => Ok(id),
            Some(earlier) => {
                Err(place.wrong(format!("id: found {id}{how} a second time, the first is at {earlier}")))
            }
        }
    }

    /// Kea compares the prefixes as they are written, so 192.0.2.0/24 and 192.0.2.1/24 are two subnets.
    fn prefix(&mut self, field: Field<'_>, written: String) -> Result<(), ConfigError> {
        match self.prefixes.insert(written, field.place().clone()) {
            None => Ok(()),
            Some(earlier) => Err(field.repeats(&earlier)),
        }
    }

    fn network_name(&mut self, network: &Map) -> Result<Arc<str>, ConfigError> {
        let field = network.require("name", "shared network")?;
        let name: Arc<str> = field.text()?.into();
        if name.is_empty() {
            return Err(field.expected("a name"));
        }
        match self.networks.insert(Arc::clone(&name), field.place().clone()) {
            None => Ok(name),
            Some(earlier) => Err(field.repeats(&earlier)),
        }
    }
}

fn pd_pool(field: Field<'_>) -> Result<PdPool, ConfigError> {
    let map = field.map()?;
    let address = |field: Field<'_>| -> Result<Ipv6Addr, ConfigError> {
        field.text()?.parse().map_err(|_| field.expected("an IPv6 address"))
    };
    let prefix_len: u8 = map.require("prefix-len", "pd-pool")?.number(1..=128)?;
    let delegated_len = map.require("delegated-len", "pd-pool")?.number(prefix_len..=128)?;
    // Kea takes "::" and 0 for "nothing is excluded".
    let excluded_prefix =
        map.get("excluded-prefix").map(address).transpose()?.filter(|it| !it.is_unspecified());
    let excluded = match (excluded_prefix, map.get("excluded-prefix-len")) {
        (Some(prefix), Some(length)) => Some((prefix, length.number(delegated_len.saturating_add(1)..=128)?)),
        (Some(_), None) => {
            return Err(map.place().wrong("found \"excluded-prefix\", expected \"excluded-prefix-len\" too"));
        }
        (None, _) => None,
    };
    Ok(PdPool { prefix: address(map.require("prefix", "pd-pool")?)?, prefix_len, delegated_len, excluded })
}
