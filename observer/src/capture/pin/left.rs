//! What the observer before this one left pinned.

use std::fs;
use std::path::{Path, PathBuf};

use aya::maps::{Map, MapData, MapInfo, PerCpuArray, RingBuf};
use dhcp_observer_ebpf::{COUNTER_COUNT, Direction, maps};

use super::Found;
use super::bpffs;
use super::name::{self, Held, LinkName};
use super::state::State;
use crate::capture::counters::Counters;
use crate::capture::live::Attach;
use crate::capture::rewind::{self, Rewound};
use crate::frame::RingPlace;

/// A version that was left.
pub struct Left {
    /// Its directory.
    pub directory: PathBuf,
    /// Whether it is the same version as ours, and so goes on being used.
    pub is_ours: bool,
    /// Its numbers.
    pub state: Option<State>,
    /// What is in its ring, where it is not ours. `None` when it cannot be opened.
    pub ring: Option<RingBuf<MapData>>,
    /// Whether it was set back to what is stored, where it is not ours.
    pub rewound: Rewound,
    /// Whether its counters lie in the order of ours.
    same_counters: bool,
}

impl Left {
    /// What its programs have counted until now. `None` when we cannot read that.
    pub fn counters(&self) -> Option<Counters> {
        let make = |map| PerCpuArray::<MapData, [u64; COUNTER_COUNT]>::try_from(map).ok();
        let map = if self.same_counters { open(&self.directory, maps::COUNTERS, make) } else { None };
        map?.get(&0, 0).ok().map(|cpus| Counters::sum(cpus.iter()))
    }
}

/// A link that was left, or the mark of a clsact filter.
#[derive(Clone, Debug)]
pub struct LeftLink {
    /// Where it is pinned.
    pub path: PathBuf,
    /// What it is.
    pub name: LinkName,
    /// Whether the observer that left it was told to attach as we are.
    pub same_attach: bool,
}

/// Whether a ring is pinned by an instance.
pub fn has_ring(instance: &Path, ring: u32) -> bool {
    let rings = bpffs::entries(instance).into_iter().map(|version| version.join(maps::RING));
    rings.filter_map(|pin| MapInfo::from_pin(pin).ok()).any(|info| info.id() == ring)
}

/// Everything that an instance's earlier observers left. `stored` is up to where what one of them read is stored.
pub fn find(instance: &Path, ours: &Path, attach: Attach, stored: Option<RingPlace>) -> Found {
    let mut versions = Vec::new();
    let mut links = Vec::new();
    for directory in bpffs::entries(instance) {
        if !directory.join(maps::RING).exists() {
            // Whoever made it did not come further than that.
            if directory != ours {
                let _ = fs::remove_dir_all(&directory);
            }
            continue;
        }
        let version = file_name(&directory);
        let is_ours = directory == ours;
        // Before it is opened here: whoever reads a ring keeps its place in mind.
        let rewound = match stored.filter(|_| !is_ours) {
            Some(stored) => {
                rewind::rewind(&directory.join(maps::RING), stored).unwrap_or(Rewound::Overwritten)
            }
            None => Rewound::NotNeeded,
        };
        let same_attach = name::is_attached_by(&version, attach);
        links.extend(bpffs::entries(&directory).into_iter().filter_map(|path| {
            let name = LinkName::parse(&file_name(&path))?;
            Some(LeftLink { path, name, same_attach })
        }));
        versions.push(Left {
            state: State::read(&directory),
            ring: if is_ours {
                None
            } else {
                open(&directory, maps::RING, |map| RingBuf::try_from(map).ok())
            },
            same_counters: name::same_counters(&version, &file_name(ours)),
            is_ours,
            rewound,
            directory,
        });
    }
    Found { left: versions, links: LeftLinks { links }, ..Found::default() }
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn open<T>(directory: &Path, name: &str, make: impl FnOnce(Map) -> Option<T>) -> Option<T> {
    MapData::from_pin(directory.join(name)).and_then(Map::from_map_data).ok().and_then(make)
}

/// Links that were left and have not been taken over yet.
#[derive(Default)]
pub struct LeftLinks {
    links: Vec<LeftLink>,
}

impl LeftLinks {
    /// Adds those of another instance.
    pub fn extend(&mut self, others: Self) {
        self.links.extend(others.links);
    }

    /// The names that interfaces had by their indexes, for frames of interfaces that have gone.
    pub fn interfaces(&self) -> impl Iterator<Item = (u32, &str)> {
        self.links.iter().map(|link| (link.name.index, link.name.interface.as_str()))
    }

    /// Removes those of an interface that are of no use, so that what they are links to does not see frames twice. Says
    /// whether a clsact filter is among those that are of use.
    pub fn keep_only(&mut self, index: u32, usable: impl Fn(&LeftLink) -> bool) -> bool {
        for useless in self.links.extract_if(.., |link| link.name.index == index && !usable(link)) {
            let _ = fs::remove_file(&useless.path);
        }
        self.links.iter().any(|link| link.name.index == index && link.name.held == Held::Clsact)
    }

    /// Takes out the one of this interface, direction and kind.
    pub fn take(&mut self, index: u32, direction: Direction, held: &[Held]) -> Option<LeftLink> {
        let fits = |link: &LeftLink| {
            link.name.index == index && link.name.direction == direction && held.contains(&link.name.held)
        };
        let place = self.links.iter().position(fits)?;
        Some(self.links.swap_remove(place))
    }

    /// Removes all that were not taken: their interfaces have gone.
    pub fn remove_rest(&mut self) {
        for link in self.links.drain(..) {
            let _ = fs::remove_file(&link.path);
        }
    }
}
