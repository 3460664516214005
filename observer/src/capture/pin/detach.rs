//! Removes what observers that were killed, or asked to keep their pins, have left.

use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

use super::name::{Held, LinkName, namespace_prefix};
use super::{PinError, bpffs, owner};
use crate::capture::clsact;
use crate::capture::interfaces;

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Detached {
    /// The pins of an instance are gone, and with them its links and its ring.
    Instance {
        /// Its directory.
        path: PathBuf,
        /// The interfaces that had links.
        interfaces: Vec<String>,
    },
    /// An observer is running there.
    InUse {
        /// Its directory.
        path: PathBuf,
    },
    /// Filters of a clsact qdisc are gone.
    Filters {
        /// The interface.
        interface: String,
        /// How many.
        count: usize,
    },
}

impl fmt::Display for Detached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Instance { path, interfaces } => {
                write!(f, "removed {}", path.display())?;
                if interfaces.is_empty() {
                    return f.write_str(" (attached to nothing)");
                }
                write!(f, " (attached to {})", interfaces.join(", "))
            }
            Self::InUse { path } => write!(f, "left {}: an observer is running there", path.display()),
            Self::Filters { interface, count } => {
                write!(f, "removed {count} clsact filters from {interface}")
            }
        }
    }
}

/// What is in the way of removing.
#[derive(Debug, thiserror::Error)]
pub enum DetachError {
    /// A directory cannot be removed.
    #[error("cannot remove {}: {source}", path.display())]
    Remove {
        /// Its path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A directory cannot be taken back from the user of its observer.
    #[error(transparent)]
    TakeBack(#[from] PinError),
    /// Interfaces or their filters cannot be listed or changed.
    #[error("cannot ask the kernel about filters (netlink): {0}")]
    Netlink(#[source] io::Error),
}

/// Removes the pins of every instance in every network namespace, or of one, and the clsact filters of ours in this
/// network namespace; but nothing of an observer that runs.
///
/// # Errors
///
/// [`DetachError`] names what could not be removed. What came before it is gone.
pub fn detach(bpffs: &Path, only: Option<&str>) -> Result<Vec<Detached>, DetachError> {
    let mut done = Vec::new();
    let here = namespace_prefix(bpffs::network_namespace().map_err(DetachError::Netlink)?);
    // Interfaces on which somebody still needs the filters.
    let mut spared = Vec::new();
    for path in bpffs::entries(&bpffs::ours(bpffs)) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut spare = || {
            let filters =
                links(&path).into_iter().filter(|link| link.held == Held::Clsact && name.starts_with(&here));
            spared.extend(filters.map(|link| link.index));
        };
        if only.is_some_and(|only| only != name) {
            spare();
            continue;
        }
        match bpffs::lock(&path) {
            Ok(held) => {
                owner::take_back(&held, &path)?;
                let links = links(&path);
                fs::remove_dir_all(&path)
                    .map_err(|source| DetachError::Remove { path: path.clone(), source })?;
                drop(held);
                let mut interfaces: Vec<_> = links.into_iter().map(|link| link.interface).collect();
                interfaces.sort();
                interfaces.dedup();
                done.push(Detached::Instance { path, interfaces });
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                spare();
                done.push(Detached::InUse { path });
            }
            Err(source) => return Err(DetachError::Remove { path, source }),
        }
    }
    for link in interfaces::list().map_err(DetachError::Netlink)? {
        if !spared.contains(&link.index) {
            let count = clsact::sweep(link.index).map_err(DetachError::Netlink)?;
            if count > 0 {
                done.push(Detached::Filters { interface: link.name, count });
            }
        }
    }
    Ok(done)
}

fn links(instance: &Path) -> Vec<LinkName> {
    let files = bpffs::entries(instance).into_iter().flat_map(|version| bpffs::entries(&version));
    files.filter_map(|file| LinkName::parse(&file.file_name()?.to_string_lossy())).collect()
}
