//! Which dialects there are, what their calls are named, and how one is made.

use std::fmt;
use std::time::Duration;

use super::dhclient::{Dhclient, Limits};
use super::dnsmasq::{self, Dnsmasq};
use super::eventhook::EventHook;
use super::kea::Kea;
use super::{DEFAULT_LIMIT, Dialect};
use crate::config::KeaVersion;
use crate::hook::Output;
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Which Kea is imitated.
    pub version: KeaVersion,
    /// What dnsmasq's own configuration would say.
    pub dnsmasq: dnsmasq::Options,
    /// dhclient: how long a client searches for a server before it gives up, as `timeout` of dhclient.conf(5) has it.
    pub search_timeout: Option<Duration>,
}

/// Makes a dialect that has seen nothing.
pub fn make(name: DialectName, options: &Options) -> Box<dyn Dialect> {
    match name {
        DialectName::Kea => Box::new(Kea::new(options.version)),
        DialectName::Dhclient => Box::new(Dhclient::new(options.into(), Limits::default())),
        DialectName::Eventhook => Box::new(EventHook::new(options.version, DEFAULT_LIMIT)),
        DialectName::Dnsmasq => Box::new(Dnsmasq::new(options.dnsmasq.clone(), DEFAULT_LIMIT)),
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

    /// Where the output of its hooks goes when nobody says otherwise: that of an event hook goes nowhere.
    pub const fn output(self) -> Output {
        match self {
            Self::Eventhook => Output::Null,
            Self::Kea | Self::Dhclient | Self::Dnsmasq => Output::Ours,
        }
    }

    /// How many of its hooks may run at once when nobody says otherwise; `None` for as many as there is room for.
    pub const fn max_parallel(self) -> Option<usize> {
        match self {
            Self::Dnsmasq => Some(dnsmasq::MAX_PARALLEL),
            Self::Kea | Self::Dhclient | Self::Eventhook => None,
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
