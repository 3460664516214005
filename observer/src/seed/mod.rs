//! The leases that were given before the observer started, from the lease file of the server.
//!
//! [`read`] opens a file of Kea (memfile), ISC dhcpd or dnsmasq, whichever it is; everything after the opening is pure and
//! total. What cannot be understood is named, with file and line, and skipped, as the servers themselves do when they
//! start. What comes out goes to [`crate::tracker::Tracker::seed`]; from then on frames tell more and better.

#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::indexing_slicing))]

mod civil_time;
mod dnsmasq;
mod isc_dhcpd;
mod kea_memfile;
mod ledger;
mod octets;

use std::fmt;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use crate::time::Timestamp;
use crate::tracker::{Lease4, Lease6};

use ledger::Ledger;

/// What lease files said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seed {
    /// DHCPv4 leases, one for each address.
    pub leases4: Vec<Lease4>,
    /// DHCPv6 leases, one for each address or prefix.
    pub leases6: Vec<Lease6>,
    /// What was not understood.
    pub skipped: Vec<SkippedLine>,
}

/// A line, or what begins there, that was not understood. Displayed as `dhcpd.leases:12: why`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkippedLine {
    /// The file as it was named.
    pub file: Arc<Path>,
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub why: String,
}

impl fmt::Display for SkippedLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file.display(), self.line, self.why)
    }
}

/// Why a lease file cannot be used at all. Displayed as one line.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// The file cannot be read.
    #[error("{}: {source}", file.display())]
    Unreadable {
        /// The file as it was named.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is none of those that are known.
    #[error(
        "{}:{line}: found {found:?}, expected a lease file of Kea (CSV with its header), ISC dhcpd or dnsmasq",
        file.display()
    )]
    UnknownFormat {
        /// The file as it was named.
        file: PathBuf,
        /// The first line that says something.
        line: usize,
        /// How it begins.
        found: String,
    },
}

/// Whose file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Kea,
    IscDhcpd,
    Dnsmasq,
}

/// Reads a lease file of any known format.
///
/// Kea spreads its leases over several files while it cleans up; those beside the named one are read as Kea would.
///
/// # Errors
///
/// A file that cannot be read, or whose first line is of no known format. An empty file is one without leases.
pub fn read(path: &Path) -> Result<Seed, SeedError> {
    let file = File::open(path)?;
    let ledger = match known_format(path, &file)? {
        None => Ledger::default(),
        Some(Format::Kea) => read_kea(path, &file)?,
        Some(Format::IscDhcpd) => isc_dhcpd::parse(path.into(), &file.bytes),
        Some(Format::Dnsmasq) => dnsmasq::parse(path.into(), &file.bytes, file.written),
    };
    Ok(ledger.into_seed())
}

fn known_format(path: &Path, file: &File) -> Result<Option<Format>, SeedError> {
    let unknown = |(line, found)| SeedError::UnknownFormat { file: path.to_path_buf(), line, found };
    format(&file.bytes).map_err(unknown)
}

/// Reads what a lease file of any known format says, given its bytes and when it was last written. No other file is looked at.
///
/// # Errors
///
/// When the first line is of no known format.
pub fn parse(path: &Path, bytes: Vec<u8>, written: Timestamp) -> Result<Seed, SeedError> {
    let file = File { bytes, written };
    let mut ledger = Ledger::default();
    match known_format(path, &file)? {
        None => {}
        Some(Format::Kea) => kea_memfile::parse(path.into(), &file.bytes, &mut ledger),
        Some(Format::IscDhcpd) => ledger = isc_dhcpd::parse(path.into(), &file.bytes),
        Some(Format::Dnsmasq) => ledger = dnsmasq::parse(path.into(), &file.bytes, file.written),
    }
    Ok(ledger.into_seed())
}

/// Finds out whether [`read_all`] would take these files, without looking at more than how they begin.
///
/// # Errors
///
/// As [`read`], at the first file with which something is wrong.
pub fn check(paths: &[PathBuf]) -> Result<(), SeedError> {
    paths.iter().try_for_each(|path| known_format(path, &File::open(path)?).map(drop))
}

/// Reads several lease files, of which a later one has the last word about an address.
///
/// # Errors
///
/// As [`read`], at the first file with which something is wrong.
pub fn read_all(paths: &[PathBuf]) -> Result<Seed, SeedError> {
    let mut all = Seed::default();
    for path in paths {
        let seed = read(path)?;
        all.leases4.extend(seed.leases4);
        all.leases6.extend(seed.leases6);
        all.skipped.extend(seed.skipped);
    }
    Ok(all)
}

/// The named file and what Kea's cleanup left beside it: first `.completed` or else `.2`, then `.1`, then the file itself,
/// the later having the last word.
///
/// They are opened the other way round, because that is against the direction in which Kea moves rows: whatever a cleanup
/// does meanwhile, each row is seen, and one that is seen twice says the same twice.
fn read_kea(path: &Path, newest: &File) -> Result<Ledger, SeedError> {
    let beside = |suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        match File::open(Path::new(&name)) {
            Ok(file) => Ok(Some((PathBuf::from(name), file))),
            Err(SeedError::Unreadable { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    };
    let input = beside(".1")?;
    let older = match beside(".completed")? {
        Some(completed) => Some(completed),
        None => beside(".2")?,
    };
    let mut ledger = Ledger::default();
    for (name, file) in [older, input].into_iter().flatten() {
        kea_memfile::parse(name.into(), &file.bytes, &mut ledger);
    }
    kea_memfile::parse(path.into(), &newest.bytes, &mut ledger);
    Ok(ledger)
}

/// A file that was read.
struct File {
    bytes: Vec<u8>,
    /// When it was last written.
    written: Timestamp,
}

impl File {
    fn open(path: &Path) -> Result<Self, SeedError> {
        let unreadable = |source| SeedError::Unreadable { file: path.to_path_buf(), source };
        let bytes = fs::read(path).map_err(unreadable)?;
        let written = fs::metadata(path).and_then(|metadata| metadata.modified()).map_err(unreadable)?;
        let since = written.duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(Self { bytes, written: Timestamp::EPOCH + since })
    }
}

/// The lines of a file with their numbers, without their ends.
fn lines(bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let text = bytes.split(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    (1..).zip(text)
}

/// Whose file it is by its first line that is neither blank nor a comment: `None` when there is none. The error is that
/// line.
fn format(bytes: &[u8]) -> Result<Option<Format>, (usize, String)> {
    let says_something = |line: &[u8]| !line.trim_ascii().is_empty() && !line.trim_ascii().starts_with(b"#");
    let Some((number, line)) = lines(bytes).find(|(_, line)| says_something(line)) else { return Ok(None) };
    let first =
        line.split(|byte| b" \t{;\"".contains(byte)).find(|word| !word.is_empty()).unwrap_or_default();
    if kea_memfile::is_header(line) {
        Ok(Some(Format::Kea))
    } else if isc_dhcpd::is_declaration(first) {
        Ok(Some(Format::IscDhcpd))
    } else if dnsmasq::is_first_word(first) {
        Ok(Some(Format::Dnsmasq))
    } else {
        let shown: String = String::from_utf8_lossy(line).chars().take(40).collect();
        Err((number, shown))
    }
}

#[cfg(test)]
mod tests;
