//! Made-up traffic like a busy network's: clients of several makes, some behind relays, that get a lease and keep it.
//!
//! Everything follows from the client's number, so two runs on two machines measure the same octets.

mod frame;
mod v4;
mod v6;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::ops::Range;
use std::path::Path;

use anyhow::{Context, Result, bail};

/// When the first client comes, in nanoseconds since the epoch.
const START: u64 = 1_750_000_000_000_000_000;
const MILLISECOND: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MILLISECOND;

/// Which protocol a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// DHCPv4.
    V4,
    /// DHCPv6.
    V6,
}

impl Family {
    /// From `v4` or `v6`.
    pub fn named(name: &str) -> Result<Self> {
        match name {
            "v4" => Ok(Self::V4),
            "v6" => Ok(Self::V6),
            _ => bail!("{name:?} is neither v4 nor v6"),
        }
    }

    /// `v4` or `v6`.
    pub fn name(self) -> &'static str {
        match self {
            Self::V4 => "v4",
            Self::V6 => "v6",
        }
    }
}

/// A client; what it is like follows from its number.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    number: u32,
    family: Family,
}

/// A number that looks random and depends on nothing but `seed` (the finaliser of splitmix64).
fn scatter(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Client {
    /// The client with this number.
    pub fn new(number: u32, family: Family) -> Self {
        Self { number, family }
    }

    /// One of `count` possibilities; `what` tells one question about the client from another.
    fn choose(self, what: u64, count: u64) -> u64 {
        scatter(u64::from(self.number) << 8 | what) % count
    }

    fn mac(self) -> [u8; 6] {
        let [a, b, c, d] = self.number.to_be_bytes();
        // Real makers' prefixes, whose addresses are universal ones.
        let [x, y] = [[0xf0, 0x18], [0x3c, 0x22], [0xb8, 0x27], [0x00, 0x50]][self.choose(0, 4) as usize];
        [x, y, a, b, c, d]
    }

    /// Its transaction for a step: a fresh one for the first exchange and for each renewal.
    pub fn transaction(self, step: u32) -> u32 {
        let exchange = if step < 4 { 0 } else { (step - 2) / 2 };
        scatter(u64::from(self.number) << 16 | u64::from(exchange) << 8 | 0xff) as u32
    }

    /// The frame of a step: 0 to 3 get the lease (DISCOVER, OFFER, REQUEST, ACK; SOLICIT, ADVERTISE, REQUEST, REPLY),
    /// after that an even step renews and an odd one is the answer.
    pub fn frame(self, step: u32) -> Vec<u8> {
        match self.family {
            Family::V4 => v4::frame(self, step),
            Family::V6 => v6::frame(self, step),
        }
    }

    /// The time from a step to the next one.
    fn pause(self, step: u32) -> u64 {
        match step {
            0 => 400_000 + self.choose(1, MILLISECOND),
            1 => 2 * MILLISECOND + self.choose(2, 8 * MILLISECOND),
            // Half of a lease of an hour, give or take: clients must not renew in step with each other.
            step if step % 2 == 1 => 1_740 * SECOND + self.choose(3 + u64::from(step), 120 * SECOND),
            _ => 300_000 + self.choose(3, 500_000),
        }
    }
}

/// Frames in the order of time: `clients` clients that arrive within half an hour, with `renewals` renewals each.
pub struct Traffic {
    /// When the next step of a client is due.
    due: BinaryHeap<Reverse<(u64, u32, u32)>>,
    family_of: fn(u32) -> Family,
    steps: u32,
}

impl Traffic {
    /// Seven clients of ten speak DHCPv4, the others DHCPv6; three renewals each make ten messages a client.
    pub fn mixed(clients: u32) -> Self {
        let family_of = |number| if number % 10 < 7 { Family::V4 } else { Family::V6 };
        Self::new(0..clients, 3, family_of, |number| {
            scatter(u64::from(number) << 8 | 0xfe) % (1_800 * SECOND)
        })
    }

    /// All of one family, one after the other by their numbers, 1,000 in 1.8 seconds, without renewals.
    pub fn arriving(clients: Range<u32>, family: Family) -> Self {
        let family_of = match family {
            Family::V4 => |_| Family::V4,
            Family::V6 => |_| Family::V6,
        };
        Self::new(clients, 0, family_of, |number| u64::from(number) * 1_800 * SECOND / 1_000_000)
    }

    fn new(
        clients: Range<u32>,
        renewals: u32,
        family_of: fn(u32) -> Family,
        arrival: fn(u32) -> u64,
    ) -> Self {
        let arrivals = clients.map(|number| Reverse((START + arrival(number), number, 0)));
        Self { due: arrivals.collect(), family_of, steps: 4 + 2 * renewals }
    }
}

impl Iterator for Traffic {
    /// Nanoseconds since the epoch, and the frame.
    type Item = (u64, Vec<u8>);

    fn next(&mut self) -> Option<Self::Item> {
        let Reverse((at, number, step)) = self.due.pop()?;
        let client = Client::new(number, (self.family_of)(number));
        if step + 1 < self.steps {
            self.due.push(Reverse((at + client.pause(step), number, step + 1)));
        }
        Some((at, client.frame(step)))
    }
}

/// Writes a pcap file with nanoseconds. Gives its length in octets.
pub fn write_pcap(path: &Path, traffic: impl Iterator<Item = (u64, Vec<u8>)>) -> Result<u64> {
    let file = File::create(path).with_context(|| path.display().to_string())?;
    let mut out = BufWriter::with_capacity(1 << 20, file);
    // Magic for nanoseconds, version 2.4, no time zone, no accuracy, snap length, LINKTYPE_ETHERNET.
    for word in [0xa1b2_3c4d_u32, 0x0004_0002, 0, 0, 262_144, 1] {
        out.write_all(&word.to_le_bytes())?;
    }
    let mut length = 24;
    for (at, frame) in traffic {
        let octets = u32::try_from(frame.len())?;
        for word in [(at / SECOND) as u32, (at % SECOND) as u32, octets, octets] {
            out.write_all(&word.to_le_bytes())?;
        }
        out.write_all(&frame)?;
        length += 16 + u64::from(octets);
    }
    out.flush()?;
    Ok(length)
}
