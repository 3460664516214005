//! Reads Kea's configuration files.
//!
//! What Kea accepts is accepted, and means what it means to Kea; of the many parameters only those are looked at
//! that the observer needs, so a file may also be wrong for Kea and pass here.

mod inherited;
mod reservations;
mod subnets;

use std::path::{Path, PathBuf};
use std::{fs, io};

use super::dhcp4::Dhcp4;
use super::dhcp6::{Dhcp6, MacSource};
use super::json::{self, Field, Map};
use super::place::{ConfigError, Place};
use super::timers::ExpiredLeases;
use super::{KeaVersion, ServerConfig};
use inherited::Inherited;

pub use super::source::Files;

/// Reads Kea configuration files: `Dhcp4` from one of them, `Dhcp6` from the same or another. `version` decides what
/// they leave to Kea's defaults.
///
/// # Errors
///
/// A file that cannot be read, is not JSON as Kea knows it, has a value of the wrong type or without a meaning, or has
/// neither `Dhcp4` nor `Dhcp6`; and a second `Dhcp4` or `Dhcp6`.
pub fn load(paths: &[PathBuf], version: KeaVersion) -> Result<ServerConfig, ConfigError> {
    load_from(&FileSystem, paths, version)
}

/// The files of this machine.
struct FileSystem;

impl Files for FileSystem {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path)
    }

    fn resolve(&self, path: &Path) -> PathBuf {
        // A pipe has bytes but no path to resolve, and cannot include itself.
        fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf())
    }
}

/// The same with files from elsewhere.
///
/// # Errors
///
/// As [`load`].
pub fn load_from(
    files: &dyn Files,
    paths: &[PathBuf],
    version: KeaVersion,
) -> Result<ServerConfig, ConfigError> {
    let mut config = ServerConfig::of(version);
    let (mut dhcp4_at, mut dhcp6_at) = (None, None);
    for path in paths {
        let document = json::read(path, files)?;
        let top = document.named("configuration").map()?;
        let (dhcp4, dhcp6) = (top.get("Dhcp4"), top.get("Dhcp6"));
        if let Some(field) = dhcp4 {
            first(&mut dhcp4_at, "Dhcp4", field)?;
            config.dhcp4 = read_dhcp4(field.map()?, version)?;
        }
        if let Some(field) = dhcp6 {
            first(&mut dhcp6_at, "Dhcp6", field)?;
            config.dhcp6 = read_dhcp6(field.map()?, version)?;
        }
        if dhcp4.is_none() && dhcp6.is_none() {
            let found: Vec<_> = top.keys().map(|key| format!("{key:?}")).collect();
            let found = if found.is_empty() { "an empty map".into() } else { found.join(", ") };
            return Err(top.place().wrong(format!("found {found}, expected \"Dhcp4\" or \"Dhcp6\"")));
        }
    }
    Ok(config)
}

/// Two servers' configurations cannot be told apart later, so each family has one.
fn first(earlier: &mut Option<Place>, name: &str, field: Field<'_>) -> Result<(), ConfigError> {
    match earlier.replace(field.place().clone()) {
        None => Ok(()),
        Some(earlier) => {
            Err(field.place().wrong(format!("found {name:?} a second time, the first is at {earlier}")))
        }
    }
}

fn read_dhcp4(scope: &Map, version: KeaVersion) -> Result<Dhcp4, ConfigError> {
    let inherited = Inherited::of(version).within(scope)?;
    let mut dhcp4 = Dhcp4::default();
    dhcp4.configured = true;
    dhcp4.match_client_id = inherited.match_client_id;
    dhcp4.cache = inherited.cache;
    dhcp4.reservations = reservations::read4(scope)?;
    read_timers(scope, &mut dhcp4.decline_probation_period, &mut dhcp4.expired_leases)?;
    Ok(dhcp4.with_subnets(subnets::read4(scope, &inherited)?))
}

fn read_dhcp6(scope: &Map, version: KeaVersion) -> Result<Dhcp6, ConfigError> {
    let inherited = Inherited::of(version).within(scope)?;
    let mut dhcp6 = Dhcp6::default();
    dhcp6.configured = true;
    dhcp6.cache = inherited.cache;
    dhcp6.reservations = reservations::read6(scope)?;
    read_timers(scope, &mut dhcp6.decline_probation_period, &mut dhcp6.expired_leases)?;
    if let Some(field) = scope.get("mac-sources") {
        dhcp6.mac_sources = read_mac_sources(field)?;
    }
    Ok(dhcp6.with_subnets(subnets::read6(scope, &inherited)?))
}

/// The global timers. Their upper limits are Kea's.
fn read_timers(scope: &Map, probation: &mut u32, expired: &mut ExpiredLeases) -> Result<(), ConfigError> {
    if let Some(field) = scope.get("decline-probation-period") {
        *probation = field.number(0..=u32::MAX)?;
    }
    let Some(field) = scope.get("expired-leases-processing") else { return Ok(()) };
    let map = field.map()?;
    for (name, limit, value) in [
        ("reclaim-timer-wait-time", 65_535, &mut expired.reclaim_timer_wait_time),
        ("flush-reclaimed-timer-wait-time", 65_535, &mut expired.flush_reclaimed_timer_wait_time),
        ("hold-reclaimed-time", u32::MAX, &mut expired.hold_reclaimed_time),
        ("max-reclaim-leases", u32::MAX, &mut expired.max_reclaim_leases),
        ("max-reclaim-time", 10_000, &mut expired.max_reclaim_time),
        ("unwarned-reclaim-cycles", 65_535, &mut expired.unwarned_reclaim_cycles),
    ] {
        if let Some(field) = map.get(name) {
            *value = field.number(0..=limit)?;
        }
    }
    Ok(())
}

fn read_mac_sources(field: Field<'_>) -> Result<Vec<MacSource>, ConfigError> {
    const NAMES: [(&str, MacSource); 12] = [
        ("any", MacSource::Any),
        ("raw", MacSource::Raw),
        ("duid", MacSource::Duid),
        ("ipv6-link-local", MacSource::Ipv6LinkLocal),
        ("client-link-addr-option", MacSource::ClientLinkAddrOption),
        ("rfc6939", MacSource::ClientLinkAddrOption),
        ("remote-id", MacSource::RemoteId),
        ("rfc4649", MacSource::RemoteId),
        ("subscriber-id", MacSource::SubscriberId),
        ("rfc4580", MacSource::SubscriberId),
        ("docsis-cmts", MacSource::DocsisCmts),
        ("docsis-modem", MacSource::DocsisModem),
    ];
    let mut sources = Vec::new();
    for entry in field.list()? {
        let name = entry.text()?;
        let Some(&(_, source)) = NAMES.iter().find(|(known, _)| *known == name) else {
            return Err(entry.expected(format!("one of {}", NAMES.map(|(name, _)| name).join(", "))));
        };
        if sources.contains(&source) {
            return Err(entry.expected("each source once"));
        }
        sources.push(source);
    }
    if sources.is_empty() {
        return Err(field.expected("at least one source"));
    }
    Ok(sources)
}

#[cfg(test)]
mod tests;
