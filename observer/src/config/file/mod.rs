//! The observer's own configuration file, TOML: what is observed, and which hooks are told.
//!
//! [`Config::read`] looks at everything that can be looked at without observing: also whether programs, users, directories
//! and the server's files are there. Every problem is told at once, each with file, line and column.

mod attributes;
mod filter;
mod hook;
mod problem;
mod reader;
mod sections;
mod summary;
#[cfg(test)]
mod tests;
mod value;

use std::fs::File;
use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use nix::unistd::Gid;
use serde::{Deserialize, Serialize};
use toml::de::DeTable;
use tracing::level_filters::LevelFilter;

use super::{HostnameFrom, KeaVersion};
use crate::capture::live::Attach;
use crate::capture::pin;
use crate::hook::Credentials;
use crate::logging::Format;
use crate::store;
use crate::tracker::{Answers, network};

pub use attributes::STANDARD_PATH;
pub use hook::Hook;
pub use problem::{Problem, Problems};
pub use summary::summary;

use reader::{At, Reader};

/// Where the file is looked for when nobody says.
pub const DEFAULT_PATH: &str = "/etc/dhcp-observer/config.toml";

/// The longest file that is read, in octets: room for thousands of hooks.
const LONGEST: u64 = 1 << 20;
/// The most hooks. Each may have threads and a process of its own.
const MOST_HOOKS: usize = 256;

/// Everything that can be configured. The default is what holds where neither file nor command line say anything; it has no
/// interface and no hook.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// `[[interface]]`
    pub interfaces: Vec<Interface>,
    /// `[capture]`
    pub capture: Capture,
    /// `[pins]`
    pub pins: Pins,
    /// `[[hook]]`, in their order.
    pub hooks: Vec<Hook>,
    /// `[server]`
    pub server: Server,
    /// `[network_events]`
    pub network: network::Options,
    /// `[limits]`
    pub limits: Limits,
    /// `[store]`
    pub store: Store,
    /// `[control]`
    pub control: Control,
    /// `[daemon]`
    pub daemon: Daemon,
    /// `[log]`
    pub log: Log,
    /// What an administrator should know, though it is no reason not to start.
    pub warnings: Vec<String>,
}

/// `[[interface]]`: where to observe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Whether it is waited for if it does not exist yet.
    pub wait: bool,
}

/// `[capture]`: how to observe, on all interfaces alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capture {
    /// By which hooks of the kernel.
    pub attach: Attach,
    /// Whether frames for other machines are received too.
    pub promiscuous: bool,
    /// Whose answers make leases.
    pub answers: Answers,
    /// What the eBPF programs write to the log.
    pub ebpf_log: log::LevelFilter,
}

impl Default for Capture {
    fn default() -> Self {
        Self {
            attach: Attach::default(),
            promiscuous: false,
            answers: Answers::default(),
            ebpf_log: log::LevelFilter::Off,
        }
    }
}

/// `[pins]`: what of the capture outlives the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pins {
    /// Whether anything does.
    pub enabled: bool,
    /// Whether everything stays pinned and attached at a clean exit too.
    pub keep: bool,
    /// The observer's own name, where its interfaces do not tell it from others.
    pub instance: Option<String>,
    /// Where a bpffs is mounted.
    pub bpffs: PathBuf,
}

impl Default for Pins {
    fn default() -> Self {
        let pin::Options { bpffs, instance, keep, owner: _ } = pin::Options::default();
        Self { enabled: true, keep, instance, bpffs }
    }
}

impl Pins {
    /// How the capture is told, where anything is pinned.
    pub fn options(&self) -> Option<pin::Options> {
        let Self { enabled, keep, instance, bpffs } = self.clone();
        enabled.then_some(pin::Options { bpffs, instance, keep, owner: None })
    }
}

/// `[control]`: what can be asked of a running observer, and by whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Control {
    /// The control socket.
    pub socket: Socket,
    /// Whose members may ask beside root and our own user.
    pub group: Option<Gid>,
    /// Where Prometheus finds the metrics.
    pub metrics: Option<SocketAddr>,
}

/// Whether there is a control socket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Socket {
    /// At [`control::DEFAULT_PATH`](crate::control::DEFAULT_PATH), unless another observer has it or it cannot be made.
    #[default]
    Default,
    /// Here, or it is an error.
    At(PathBuf),
    /// There is none.
    None,
}

/// `[server]`: what is known of the DHCP server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Server {
    /// Kea's configuration files.
    pub kea_config: Vec<PathBuf>,
    /// Which Kea is imitated.
    pub kea_version: KeaVersion,
    /// Whose word counts for host names.
    pub hostname: Option<HostnameFrom>,
    /// Lease files from which to learn the leases of before the start.
    pub seed: Vec<PathBuf>,
}

/// `[limits]`: what may grow, and how far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Leases of each family.
    pub leases: usize,
    /// Questions that wait for an answer, of each family.
    pub exchanges: usize,
    /// Fragmented datagrams that are being put together.
    pub fragments: usize,
    /// Processes of hooks side by side.
    pub max_hooks: usize,
    /// Calls that wait.
    pub max_queue: usize,
    /// Calls of one hook about one lease that wait.
    pub max_queue_per_lease: usize,
    /// Octets of the ring buffer between kernel and observer.
    pub ring_size: u32,
}

impl Default for Limits {
    fn default() -> Self {
        let (tracker, hooks) = (crate::tracker::Limits::default(), crate::hook::Limits::default());
        Self {
            leases: tracker.leases,
            exchanges: tracker.exchanges,
            fragments: crate::dissect::FragmentLimits::default().datagrams,
            max_hooks: hooks.max_running,
            max_queue: hooks.max_queued,
            max_queue_per_lease: hooks.max_queued_per_subject,
            ring_size: 8 << 20,
        }
    }
}

impl From<Limits> for crate::tracker::Limits {
    fn from(limits: Limits) -> Self {
        Self { leases: limits.leases, exchanges: limits.exchanges }
    }
}

impl From<Limits> for crate::hook::Limits {
    fn from(limits: Limits) -> Self {
        Self {
            max_running: limits.max_hooks,
            max_queued: limits.max_queue,
            max_queued_per_subject: limits.max_queue_per_lease,
        }
    }
}

/// `[store]`: what outlives the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    /// The state directory; `None`: nothing is kept.
    pub directory: Option<PathBuf>,
    /// What is to survive.
    pub durability: store::Durability,
    /// How much is kept.
    pub limits: store::Limits,
    /// Whether the end of a lease that may have been renewed while frames were missed is held back.
    pub hold_after_gap: bool,
}

impl Default for Store {
    fn default() -> Self {
        let (durability, limits) = (store::Durability::default(), store::Limits::default());
        Self { directory: Some(store::DEFAULT_DIRECTORY.into()), durability, limits, hold_after_gap: false }
    }
}

impl Store {
    /// How the store is made, where there is one.
    pub fn options(&self) -> Option<store::Options> {
        let directory = self.directory.clone()?;
        Some(store::Options { directory, durability: self.durability, limits: self.limits })
    }
}

/// `[daemon]`: the process itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Daemon {
    /// The user that it becomes before it looks at the first frame; hooks do not. `None`: it stays who has started it.
    pub run_as: Option<Credentials>,
}

/// `[log]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// What is said.
    pub level: LevelFilter,
    /// How, and where to.
    pub format: Format,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: LevelFilter::INFO, format: Format::default() }
    }
}

/// What the command line gives, so that the file need not.
#[derive(Clone, Copy, Debug, Default)]
pub struct Given {
    /// An interface, or none is needed.
    pub interface: bool,
    /// A hook, or none is needed.
    pub hook: bool,
    /// That programs, directories and other files which it names were looked at already, by who may see them.
    pub looked_at: bool,
}

/// A configuration file as it was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Text {
    /// Where it is.
    pub path: PathBuf,
    /// What it says.
    #[serde(with = "serde_bytes")]
    pub octets: Vec<u8>,
}

impl Text {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or is too long to be a configuration.
    pub fn read(path: &Path) -> Result<Self, Problems> {
        let alone = |message| Problems(vec![Problem { place: None, message }]);
        let octets = read_octets(path).map_err(|message| alone(format!("{}: {message}", path.display())))?;
        Ok(Self { path: path.to_owned(), octets })
    }
}

impl Config {
    /// The names of the interfaces in their order, with commas between.
    pub fn interface_names(&self) -> String {
        let names: Vec<_> = self.interfaces.iter().map(|interface| interface.name.as_str()).collect();
        names.join(", ")
    }

    /// Warns of words for which hooks wait and that nobody looks out for, once it is known what holds.
    pub fn warn_of_unheard_words(&mut self) {
        let kind_of = |word: &str| {
            let known = |kind: &network::Kind| kind.name() == word || kind.hook_point() == word;
            network::Kind::ALL.into_iter().find(known)
        };
        for hook in &self.hooks {
            for (word, kind) in hook.words.iter().filter_map(|word| Some((word, kind_of(word)?))) {
                if !self.network.kinds.has(kind) {
                    self.warnings.push(format!(
                        "hook {:?} waits for {word:?}, which will not come: add {:?} to kinds in [network_events], or to \
                         --network-events",
                        hook.name,
                        kind.name()
                    ));
                }
            }
        }
    }

    /// Reads and checks a file.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it.
    pub fn read(path: &Path, given: Given) -> Result<Self, Problems> {
        let Text { path, octets } = Text::read(path)?;
        Self::parse(&path, &octets, given)
    }

    /// The same for the text of a file that was read already.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it.
    pub fn parse(path: &Path, text: &[u8], given: Given) -> Result<Self, Problems> {
        let text = match std::str::from_utf8(text) {
            Ok(text) => text,
            Err(error) => {
                let sound = std::str::from_utf8(text.get(..error.valid_up_to()).unwrap_or_default())
                    .unwrap_or_default();
                let reader = Reader::new(path, sound, false);
                reader.wrong(sound.len(), "this is no UTF-8");
                return Err(Problems(reader.problems()));
            }
        };
        let reader = Reader::new(path, text, !given.looked_at);
        let (table, errors) = DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            for error in errors {
                let message = super::json::clipped_to(error.message(), 200);
                reader.wrong(error.span().map_or(0, |span| span.start), message);
            }
            return Err(Problems(reader.problems()));
        }
        let config = Self::of(&reader, table.get_ref(), given);
        let problems = reader.problems();
        if problems.is_empty() { Ok(config) } else { Err(Problems(problems)) }
    }

    fn of<'a>(reader: &Reader<'a>, table: &DeTable<'a>, given: Given) -> Self {
        let top = reader.top(table);
        let mut config = Self {
            interfaces: sections::interfaces(&top),
            pins: top.table("pins").map(|section| sections::pins(&section)).unwrap_or_default(),
            capture: top.table("capture").map(|section| sections::capture(&section)).unwrap_or_default(),
            server: top.table("server").map(|section| sections::server(&section)).unwrap_or_default(),
            network: top
                .table("network_events")
                .map(|section| sections::network(&section))
                .unwrap_or_default(),
            limits: top.table("limits").map(|section| sections::limits(&section)).unwrap_or_default(),
            store: top.table("store").map(|section| sections::store(&section)).unwrap_or_default(),
            control: top.table("control").map(|section| sections::control(&section)).unwrap_or_default(),
            daemon: top.table("daemon").map(|section| sections::daemon(&section)).unwrap_or_default(),
            log: top.table("log").map(|section| sections::log(&section)).unwrap_or_default(),
            ..Self::default()
        };
        if config.interfaces.is_empty() && !top.has("interface") && !given.interface {
            reader.wrong(0, "there is no [[interface]]: name the one beside the server, or give --iface");
        }
        config.read_hooks(reader, &top);
        if !top.has("hook") && !given.hook {
            reader.wrong(0, "there is no [[hook]]: nobody would be told anything");
        }
        config.warn_of_shared_users();
        top.finish();
        config
    }

    /// Adds a warning for each hook that runs as the observer's own user, who can change the leases.
    pub fn warn_of_shared_users(&mut self) {
        let Some(own) = &self.daemon.run_as else { return };
        let of = |hook: &Hook| Some(hook.spec.as_ref()?.attributes.credentials.as_ref()?.user);
        let shared = self.hooks.iter().filter(|hook| of(hook) == Some(own.user));
        let warnings = shared.map(|hook| {
            format!(
                "hook {:?} runs as user {}, to whom the leases belong; give it another",
                hook.name, own.user
            )
        });
        self.warnings.extend(warnings.collect::<Vec<_>>());
    }

    fn read_hooks(&mut self, reader: &Reader<'_>, top: &reader::Section<'_, '_>) {
        let sections = top.tables("hook");
        if let Some(section) = sections.get(MOST_HOOKS) {
            reader.wrong(section.at, format!("more than {MOST_HOOKS} hooks"));
        }
        let mut names: Vec<At<String>> = Vec::new();
        for mut section in sections.into_iter().take(MOST_HOOKS) {
            let Some((name, mut hook)) = hook::read(&mut section, |warning| self.warnings.push(warning))
            else {
                continue;
            };
            if names.iter().any(|earlier| earlier.value == name.value) {
                section.wrong(name.at, "name", "another hook has this name; give each its own");
            }
            hook.options.version = self.server.kea_version;
            for interface in &hook.filter.interface {
                if !self.interfaces.is_empty()
                    && !self.interfaces.iter().any(|known| known.name == *interface)
                {
                    self.warnings.push(format!(
                        "hook {:?} is told of interface {interface} only, which is not observed",
                        name.value
                    ));
                }
            }
            names.push(name);
            self.hooks.push(hook);
        }
    }
}

/// Reads a file that is not too long.
fn read_octets(path: &Path) -> Result<Vec<u8>, String> {
    let mut text = Vec::new();
    let file = File::open(path).map_err(|error| error.to_string())?;
    file.take(LONGEST + 1).read_to_end(&mut text).map_err(|error| error.to_string())?;
    if text.len() as u64 > LONGEST {
        return Err(format!("longer than {LONGEST} octets, which is no configuration"));
    }
    Ok(text)
}
