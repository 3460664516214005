//! Which dialects there are, what their calls are named, and how one is made.

use std::fmt;
use std::time::Duration;

use super::dhclient::{Dhclient, Limits, Settings};
use super::eventhook::EventHook;
use super::kea::Kea;
use super::{DEFAULT_LIMIT, Dialect};
use crate::config::KeaVersion;
use crate::tracker::network;

/// The name of a dialect, as the command line and the configuration file have it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DialectName {
    /// Kea's `run_script`.
    #[default]
    Kea,
    /// ISC dhclient's `dhclient-script`.
    Dhclient,
    /// The event hook of the Solaris `dhcpagent`.
    Eventhook,
    /// dnsmasq's `--dhcp-script`.
    Dnsmasq,
}

/// What a dialect can be told. Each looks at what is its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Which Kea is imitated.
    pub version: KeaVersion,
    /// dnsmasq: a call for plain renewals too, as its `--script-on-renewal` has it.
    pub script_on_renewal: bool,
    /// dhclient: how long a client searches for a server before it gives up, as `timeout` of dhclient.conf(5) has it.
    pub search_timeout: Option<Duration>,
}

/// Why a dialect cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("dialect {0} is not built yet")]
pub struct NotBuilt(pub DialectName);

/// Makes a dialect that has seen nothing.
///
/// # Errors
///
/// When this program does not have the dialect.
pub fn make(name: DialectName, options: &Options) -> Result<Box<dyn Dialect>, NotBuilt> {
    match name {
        DialectName::Kea => Ok(Box::new(Kea::new(options.version))),
        // Each of these gets a line of its own.
        DialectName::Dhclient => {
            let timeout = options.search_timeout.unwrap_or(Settings::default().timeout);
            Ok(Box::new(Dhclient::new(Settings { timeout }, Limits::default())))
        }
        DialectName::Eventhook => Ok(Box::new(EventHook::new(options.version, DEFAULT_LIMIT))),
        DialectName::Dnsmasq => Err(NotBuilt(name)),
    }
}

impl DialectName {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Kea, Self::Dhclient, Self::Eventhook, Self::Dnsmasq];

    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kea => "kea",
            Self::Dhclient => "dhclient",
            Self::Eventhook => "eventhook",
            Self::Dnsmasq => "dnsmasq",
        }
    }

    /// The words that its calls can have ([`Call::word`](super::Call::word)): what a configuration can ask for beside the
    /// words of [`Event`](crate::tracker::Event).
    pub fn words(self) -> Vec<&'static str> {
        match self {
            Self::Kea => {
                let network = network::Kind::ALL.map(network::Kind::hook_point);
                super::kea::HOOK_POINTS.into_iter().chain(network).collect()
            }
            Self::Dhclient => vec![
                "PREINIT", "BOUND", "RENEW", "REBIND", "REBOOT", "EXPIRE", "RELEASE", "FAIL", "TIMEOUT",
                "PREINIT6", "BOUND6", "RENEW6", "REBIND6", "DEPREF6", "EXPIRE6", "RELEASE6",
            ],
            Self::Eventhook => vec!["BOUND", "EXTEND", "EXPIRE", "DROP", "RELEASE"],
            Self::Dnsmasq => vec!["add", "old", "del"],
        }
    }
}

impl fmt::Display for DialectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
