//! The short and the long form of tests that are the better the longer they run.
//!
//! `cargo xtask soak` runs the long form: it sets the numbers by environment variables, and reads what the tests found
//! from a file, a line each.

use std::fs::OpenOptions;
use std::io::Write;

/// The file to which [`report`] appends.
pub const REPORT: &str = "SOAK_REPORT";

/// A number that the long form sets, or that of the short form.
///
/// # Panics
///
/// When the variable is no number.
pub fn number(variable: &str, short: u64) -> u64 {
    std::env::var(variable).map_or(short, |text| {
        text.parse().unwrap_or_else(|error| panic!("{variable}={text:?} is not a number: {error}"))
    })
}

/// Says what a test found: on its standard output, and in the report of the long form.
///
/// # Panics
///
/// When there is a report that cannot be written.
pub fn report(test: &str, found: &str) {
    let line = format!("{test}: {found}\n");
    print!("{line}");
    if let Some(path) = std::env::var_os(REPORT) {
        let mut file = OpenOptions::new().create(true).append(true).open(path).expect("the report opens");
        file.write_all(line.as_bytes()).expect("the report is written");
    }
}

/// Octets as people read them.
pub fn mebibytes(octets: u64) -> String {
    format!("{:.1} MiB", octets as f64 / f64::from(1 << 20))
}

/// Numbers that look random and are the same for the same seed: xorshift64* of Vigna.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Any seed but 0 will do.
    pub const fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// The next number.
    pub const fn roll(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// The next number below `limit`, which is not 0.
    pub const fn below(&mut self, limit: u64) -> u64 {
        (self.roll() >> 32) % limit
    }
}
