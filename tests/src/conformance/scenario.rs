//! What a scenario is.

use anyhow::Result;

use crate::conformance::stage::Stage;
use crate::kea::{Config, Family};

/// One story: a row of the truth table in Kea's specification, or a shape that its variables take.
#[derive(Clone, Copy)]
pub struct Scenario {
    /// Its name, which says what happens.
    pub name: &'static str,
    /// Which server.
    pub family: Family,
    /// What is changed in the plain configuration.
    pub kea: fn(Config) -> Config,
    /// The script of the traffic.
    pub traffic: fn(&mut Stage) -> Result<()>,
    /// Which calls Kea must have made, so that a scenario cannot pass by showing nothing; see
    /// [`crate::conformance::shows`].
    pub shows: &'static str,
    /// Programs that it drives, beside Kea.
    pub programs: &'static [&'static str],
}

/// A scenario of DHCPv4 in which nothing happens, to fill in.
pub const V4: Scenario = Scenario {
    name: "",
    family: Family::V4,
    kea: |config| config,
    traffic: |_| Ok(()),
    shows: "",
    programs: &[],
};

/// A scenario of DHCPv6 in which nothing happens, to fill in.
pub const V6: Scenario = Scenario { family: Family::V6, ..V4 };
