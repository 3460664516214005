//! Instances beside ours in the same network namespace whose observers do not run: the one before us may have had other
//! interfaces, or another name.
//!
//! That it was the one before us is known where the ring that is pinned there is the one that our store was filled from: then we
//! go on with what it has left. Of any other it cannot be known who is to come back for it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use nix::fcntl::Flock;
use nix::unistd::Uid;

use super::{bpffs, left, name, owner};
use crate::frame::RingPlace;

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Other {
    /// We go on with what is pinned there.
    Adopted {
        /// Its directory.
        path: PathBuf,
    },
    /// It is none of ours, and stays.
    Abandoned {
        /// Its directory.
        path: PathBuf,
        /// What removes it.
        command: String,
    },
}

/// An instance that is ours to go on with.
pub struct Adopted {
    /// A way to its directory that leads there for whoever reads it.
    pub path: PathBuf,
    /// Nobody else may take it meanwhile.
    pub lock: Flock<File>,
}

/// Looks at the instances in the directory of all observers of this machine, but for our own. What lay in one that was looked
/// into, and was no pin, goes to `removed`.
pub fn find(
    all: &Path,
    ours: &Path,
    network_namespace: u64,
    stored: Option<RingPlace>,
    owned_by: Option<Uid>,
    removed: &mut Vec<PathBuf>,
) -> (Vec<Adopted>, Vec<Other>) {
    let (mut adopted, mut others) = (Vec::new(), Vec::new());
    for path in bpffs::entries(all) {
        let called = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Some(options) = name::detach_options(&called, network_namespace).filter(|_| path != ours) else {
            continue;
        };
        // One whose observer runs, or is just being started, is held.
        let Ok(lock) = bpffs::lock(&path) else { continue };
        if bpffs::entries(&path).is_empty() {
            // Its observer could empty it and no more.
            let _ = fs::remove_dir(&path);
            continue;
        }
        // Nothing is opened in one that cannot be taken back.
        let mut is_from_us = |stored: RingPlace| {
            let taken = owner::take_back(&lock, &path);
            taken.is_ok_and(|found| {
                removed.extend(found);
                left::has_ring(&path, stored.ring)
            })
        };
        if stored.is_some_and(&mut is_from_us) {
            adopted.push(Adopted { path: owner::way(&lock, &path, owned_by), lock });
            others.push(Other::Adopted { path });
            continue;
        }
        let elsewhere = all.parent().filter(|bpffs| *bpffs != Path::new(bpffs::CONVENTIONAL));
        let bpffs = elsewhere.map(|bpffs| format!(" --bpffs {}", name::quoted(&bpffs.to_string_lossy())));
        let command = format!("dhcp-observer detach{options}{}", bpffs.unwrap_or_default());
        others.push(Other::Abandoned { path, command });
    }
    (adopted, others)
}
