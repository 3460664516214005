//! Back to the frames that were read and whose outcome was not stored when the observer died.
//!
//! The kernel does not clear what was read from a ring; it only may write there again. So where the store knows up to which
//! place everything is in it, the next observer sets the ring back to that place and reads on from there, and what one
//! commit could have lost is not lost.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::Path;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aya::maps::{MapData, MapInfo};
use nix::libc;

use crate::frame::RingPlace;

/// What stands in a ring before each record (`BPF_RINGBUF_HDR_SZ`); records begin at multiples of it.
const HEAD: usize = 8;
/// How long a program that has looked at the consumer's place before it was set back may take to write its record: it cannot
/// be interrupted by a process.
const SETTLE: Duration = Duration::from_millis(1);

/// One of the pages of a ring that hold a place.
struct Page {
    start: NonNull<libc::c_void>,
    size: usize,
}

// SAFETY: the page is owned, and is only used as an atomic number.
unsafe impl Send for Page {}

impl Page {
    /// The consumer's page is the first one and the only one that can be written.
    fn map(ring: BorrowedFd<'_>, index: usize, protection: libc::c_int) -> io::Result<Self> {
        // SAFETY: asks for a number.
        let size = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096);
        let offset = libc::off_t::try_from(index * size).map_err(io::Error::other)?;
        // SAFETY: a new mapping, at a place that the kernel chooses.
        let start = unsafe {
            libc::mmap(std::ptr::null_mut(), size, protection, libc::MAP_SHARED, ring.as_raw_fd(), offset)
        };
        match NonNull::new(start).filter(|_| start != libc::MAP_FAILED) {
            Some(start) => Ok(Self { start, size }),
            None => Err(io::Error::last_os_error()),
        }
    }

    fn place(&self) -> &AtomicUsize {
        // SAFETY: the page begins with the place, is mapped as long as `self` is, and others use it as an atomic too.
        unsafe { self.start.cast::<AtomicUsize>().as_ref() }
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // SAFETY: it was mapped with this size, and nothing borrows it any more.
        unsafe { libc::munmap(self.start.as_ptr(), self.size) };
    }
}

/// Tells where in a pinned ring its reader is.
pub struct Meter {
    consumer: Page,
    ring: u32,
}

impl Meter {
    /// For the ring that is pinned there.
    pub fn open(pin: &Path) -> io::Result<Self> {
        let info = MapInfo::from_pin(pin).map_err(io::Error::other)?;
        let map = MapData::from_pin(pin).map_err(io::Error::other)?;
        Ok(Self { consumer: Page::map(map.fd().as_fd(), 0, libc::PROT_READ)?, ring: info.id() })
    }

    /// The place up to which the ring is read.
    pub fn place(&self) -> RingPlace {
        RingPlace { ring: self.ring, octets: self.consumer.place().load(Ordering::Acquire) as u64 }
    }

    /// The place behind the record of so many octets that is being read.
    pub fn behind(&self, record: usize) -> RingPlace {
        let octets = self.consumer.place().load(Ordering::Acquire) + (HEAD + record).next_multiple_of(HEAD);
        RingPlace { ring: self.ring, octets: octets as u64 }
    }
}

/// What became of setting a ring back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rewound {
    /// Nothing was read that was not stored, or it was another ring.
    NotNeeded,
    /// What the reader had in its hand when it died was stored already, and is not read again.
    Forward(u64),
    /// So many octets are read again.
    Back(u64),
    /// What was read and not stored was written over.
    Overwritten,
}

/// Sets the ring that is pinned there back to a place. Its reader is dead, and the next one has not looked yet; programs may
/// be writing to it.
///
/// # Errors
///
/// When the ring cannot be looked at.
pub fn rewind(pin: &Path, to: RingPlace) -> io::Result<Rewound> {
    let info = MapInfo::from_pin(pin).map_err(io::Error::other)?;
    if info.id() != to.ring {
        return Ok(Rewound::NotNeeded);
    }
    let map = MapData::from_pin(pin).map_err(io::Error::other)?;
    let consumer = Page::map(map.fd().as_fd(), 0, libc::PROT_READ | libc::PROT_WRITE)?;
    let producer = Page::map(map.fd().as_fd(), 1, libc::PROT_READ)?;
    let read = consumer.place().load(Ordering::Acquire);
    let Ok(stored) = usize::try_from(to.octets) else { return Ok(Rewound::NotNeeded) };
    let course = course(read, stored, producer.place().load(Ordering::Acquire));
    if let Rewound::Forward(_) = course {
        consumer.place().store(stored, Ordering::SeqCst);
    }
    let Rewound::Back(_) = course else { return Ok(course) };
    // From here on nothing is written beyond a ring's size from this place, if it was not already.
    consumer.place().store(stored, Ordering::SeqCst);
    std::thread::sleep(SETTLE);
    if producer.place().load(Ordering::SeqCst) - stored > info.max_entries() as usize {
        consumer.place().store(read, Ordering::SeqCst);
        return Ok(Rewound::Overwritten);
    }
    Ok(course)
}

/// Which way the consumer is to be moved. A record counts as read when it is let go, and its change goes to the store before
/// that: so what is stored may be ahead of what is read, by one record.
fn course(read: usize, stored: usize, written: usize) -> Rewound {
    if stored < read {
        Rewound::Back((read - stored) as u64)
    } else if stored > read && stored <= written {
        Rewound::Forward((stored - read) as u64)
    } else {
        Rewound::NotNeeded
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_is_not_read_again_and_what_is_not_is() {
        for (read, stored, written, expected) in [
            (800, 800, 1_600, Rewound::NotNeeded),
            (800, 400, 1_600, Rewound::Back(400)),
            // It died with a record in its hand whose change was in the store already.
            (800, 1_200, 1_600, Rewound::Forward(400)),
            (800, 1_600, 1_600, Rewound::Forward(800)),
            // Nothing was written there: that place is not of this ring.
            (800, 2_000, 1_600, Rewound::NotNeeded),
            (0, 0, 0, Rewound::NotNeeded),
        ] {
            assert_eq!(course(read, stored, written), expected, "{read} {stored} {written}");
        }
    }
}
