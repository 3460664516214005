//! Capture outlives us: the ring, the counters and the links are pinned in a bpffs.
//!
//! What is pinned is `<bpffs>/dhcp-observer/<instance>/<version>/`. The instance is a network namespace and a set of
//! interfaces (or a name that was given), so that several observers do not meet; the directory is locked while an
//! observer runs. The version is a hash of the programs with the size of the ring and the way of attaching: an observer
//! of the same version goes on with the same ring, any other makes a ring of its own and reads the old one to its end.
//! In both cases the links get the new programs in one step of the kernel, by which no frame is missed and none is seen
//! twice.

pub mod bpffs;
pub mod detach;
pub mod left;
pub mod name;
pub mod others;
pub mod owner;
pub mod state;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use nix::fcntl::Flock;
use nix::unistd::Uid;
use thiserror::Error;

use self::left::{Left, LeftLinks};
use self::others::{Adopted, Other};
use self::state::{State, StateMap};
use super::live::Attach;
use crate::frame::RingPlace;

/// The maps that go on from one observer to the next. The last two know which datagrams have been begun.
pub const MAPS: [&str; 4] =
    [dhcp_observer_ebpf::maps::RING, dhcp_observer_ebpf::maps::COUNTERS, "FRAGMENTS", "EARLY"];

/// Where and how to pin.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where a bpffs is mounted.
    pub bpffs: PathBuf,
    /// The observer's own name, where its interfaces do not tell it from others.
    pub instance: Option<String>,
    /// Whether everything stays pinned and attached at a clean exit, for the next observer to go on with.
    pub keep: bool,
    /// Whose it is to be, where not ours: who will have no way into the bpffs itself.
    pub owner: Option<Uid>,
}

impl Default for Options {
    fn default() -> Self {
        Self { bpffs: bpffs::CONVENTIONAL.into(), instance: None, keep: false, owner: None }
    }
}

/// Why nothing can be pinned.
#[derive(Debug, Error)]
pub enum PinError {
    /// No bpffs is there and none can be mounted.
    #[error("there is no bpffs at {} ({source}): mount -t bpf bpf {}", path.display(), path.display())]
    NotBpffs {
        /// Where it should be.
        path: PathBuf,
        /// What is wrong.
        source: io::Error,
    },
    /// A directory that we would use can be written by somebody else.
    #[error("{} is not a directory that only this user can enter: remove it", path.display())]
    Untrusted {
        /// Its path.
        path: PathBuf,
    },
    /// A directory cannot be made or opened.
    #[error("cannot use {}: {source}", path.display())]
    Directory {
        /// Its path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Something cannot be pinned.
    #[error("cannot pin {}: {message}", path.display())]
    Object {
        /// Where.
        path: PathBuf,
        /// What the kernel said.
        message: String,
    },
    /// Another observer has this instance.
    #[error("{} is in use by another observer: give one of them a name with --instance", path.display())]
    InUse {
        /// Its path.
        path: PathBuf,
    },
    /// The network namespace cannot be told.
    #[error("cannot tell which network namespace this is: {0}")]
    NetworkNamespace(io::Error),
}

/// What the directory of an observer in this network namespace is called.
pub fn instance(given: Option<&str>, interfaces: &[String]) -> Result<String, PinError> {
    let namespace = bpffs::network_namespace().map_err(PinError::NetworkNamespace)?;
    Ok(name::instance(namespace, given, interfaces))
}

/// The directory of a running observer. Dropping it removes what is pinned there, unless it is to be kept.
pub struct Shelf {
    instance: PathBuf,
    version: PathBuf,
    /// What people call the version's directory.
    shown: PathBuf,
    state: StateMap,
    keep: bool,
    /// Whether the ring can be thrown away: not before the one that was left is known to be read.
    clear: bool,
    lock: Flock<File>,
    /// Other instances that we go on with.
    adopted: Vec<Adopted>,
    owner: Option<Uid>,
}

/// What observers before us have left.
#[derive(Default)]
pub struct Found {
    /// By version.
    pub left: Vec<Left>,
    /// By interface.
    pub links: LeftLinks,
    /// What was found beside our own directory.
    pub others: Vec<Other>,
    /// What lay among the pins and was none.
    pub removed: Vec<PathBuf>,
}

impl Shelf {
    /// Takes the directory of an instance and finds what was left in it.
    pub fn open(
        options: &Options,
        interfaces: &[String],
        attach: Attach,
        version: &str,
        stored: Option<RingPlace>,
    ) -> Result<(Self, Found), PinError> {
        let all = bpffs::prepare(&options.bpffs)?;
        let namespace = bpffs::network_namespace().map_err(PinError::NetworkNamespace)?;
        let instance = all.join(name::instance(namespace, options.instance.as_deref(), interfaces));
        let Some(lock) = bpffs::hold(&instance)? else { return Err(PinError::InUse { path: instance }) };
        let mut removed = owner::take_back(&lock, &instance)?;
        bpffs::private_directory(&instance)?;
        let shown = instance.join(version);
        let (adopted, others) = others::find(&all, &instance, namespace, stored, options.owner, &mut removed);
        let instance = owner::way(&lock, &instance, options.owner);
        let version = instance.join(version);
        let mut found = Found { others, removed, ..left::find(&instance, &version, attach, stored) };
        for Adopted { path, .. } in &adopted {
            let Found { left, links, .. } = left::find(path, &version, attach, stored);
            found.left.extend(left);
            found.links.extend(links);
        }
        bpffs::private_directory(&version)?;
        let state = StateMap::make(&version)?;
        let (clear, keep, owner) = (found.left.is_empty(), options.keep, options.owner);
        Ok((Self { instance, version, shown, state, keep, clear, lock, adopted, owner }, found))
    }

    /// Gives everything to whose it is to be, when it is open.
    pub fn hand_over(&self) -> Result<(), PinError> {
        let Some(owner) = self.owner else { return Ok(()) };
        self.directories().try_for_each(|(held, path)| owner::give_away(held, path, owner))
    }

    /// Takes everything back, after [`Self::hand_over`], where we are still who we were.
    pub fn take_back(&self) {
        for (held, path) in self.directories() {
            // It can only be that we may not any more.
            let _ = owner::take_back(held, path);
        }
    }

    fn directories(&self) -> impl Iterator<Item = (&File, &Path)> {
        let adopted = self.adopted.iter().map(|adopted| (&*adopted.lock, &*adopted.path));
        adopted.chain([(&*self.lock, &*self.instance)])
    }

    /// Where everything of this version is pinned.
    pub fn directory(&self) -> &Path {
        &self.version
    }

    /// The same as people call it.
    pub fn shown(&self) -> &Path {
        &self.shown
    }

    /// Whether what is pinned stays at a clean exit.
    pub const fn keeps(&self) -> bool {
        self.keep
    }

    /// Has what is pinned stay there.
    pub const fn keep(&mut self) {
        self.keep = true;
    }

    /// Says that the observer runs, and removes its pins when it ends.
    pub const fn begin(&mut self) {
        self.clear = true;
    }

    /// Leaves these numbers for the next observer.
    pub fn remember(&mut self, state: &State) -> Result<(), aya::maps::MapError> {
        self.state.write(state)
    }
}

/// Removes the directories of this network namespace that an observer has emptied, its own and those that it went on with, but
/// could not remove. Nothing happens to one that is not empty, or has an observer.
pub fn tidy(bpffs: &Path) {
    let Ok(namespace) = bpffs::network_namespace() else { return };
    for path in bpffs::entries(&bpffs::ours(bpffs)) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with(&name::namespace_prefix(namespace))
            && let Ok(_held) = bpffs::lock(&path)
        {
            let _ = fs::remove_dir(&path);
        }
    }
}

impl Drop for Shelf {
    fn drop(&mut self) {
        if self.clear && !self.keep {
            // What cannot be removed is found by the next observer, or by `dhcp-observer detach`.
            let _ = fs::remove_dir_all(&self.version);
            let _ = fs::remove_dir(&self.instance);
        }
    }
}
