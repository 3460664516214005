//! The command line.

mod merge;
mod reread;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

pub use merge::MergeError;
pub use reread::reader;

use crate::capture::pin::bpffs;
use crate::config::file::{self, DEFAULT_PATH, Store};
use crate::config::{HostnameFrom, KeaVersion};
use crate::control;
use crate::dialect::DialectName;
use crate::store;
use crate::tracker::{Answers, network};

/// Watches DHCP beside any server and runs hook scripts for lease events, as Kea's run_script does.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Cli {
    /// What to do instead of watching interfaces.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Watching interfaces.
    #[command(flatten)]
    pub live: Live,
}

/// What can be done instead of watching interfaces.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a capture file through the same engine, on the capture's own time. Needs no root.
    Replay(Box<Replay>),
    /// Look at a configuration file and everything that it names, attach nothing, and say all that is wrong with it.
    Check(Check),
    /// Remove what killed observers left attached and pinned, in every network namespace
    Detach(Detach),
    /// Ask a running observer how things stand
    Status(Status),
    /// Print the environment variables that hooks get, as a Markdown table.
    Variables,
    /// Show the calls of hooks that the store knows, oldest first, and have them made again or forgotten.
    Events(Events),
}

/// Options of `events`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Events {
    /// What to do instead of showing them.
    #[command(subcommand)]
    pub action: Option<EventsAction>,
    /// Only calls that failed for good
    #[arg(long)]
    pub failed: bool,
    /// Go on with what happens from now on, until interrupted
    #[arg(short, long)]
    pub follow: bool,
    /// A JSON object a line, with arguments and environment
    #[arg(long)]
    pub json: bool,
    /// Where the store is.
    #[command(flatten)]
    pub store: StateDirectory,
}

/// What can be done with events.
#[derive(Debug, Subcommand)]
pub enum EventsAction {
    /// Have all calls of these events that are over made again, failed or not
    Replay(EventIds),
    /// Forget the calls of these events that failed for good or still wait; one that runs is let end
    Drop(EventIds),
}

/// Which events.
#[derive(Debug, Args)]
pub struct EventIds {
    /// OBSERVER_EVENT_ID, as the table shows it
    #[arg(value_name = "ID", required = true, value_parser = clap::value_parser!(u64).range(..1 << 47))]
    pub ids: Vec<u64>,
    /// Where the store is.
    #[command(flatten)]
    pub store: StateDirectory,
}

/// Where the store is.
#[derive(Debug, Args)]
pub struct StateDirectory {
    /// State directory of the daemon
    #[arg(long, value_name = "DIRECTORY", default_value = store::DEFAULT_DIRECTORY)]
    pub state_dir: PathBuf,
}

/// Options of `check`.
#[derive(Debug, Args)]
pub struct Check {
    /// Configuration file
    #[arg(long, value_name = "FILE", default_value = DEFAULT_PATH)]
    pub config: PathBuf,
}

/// Options of live observation. What is not given is as the configuration file has it or, without one, as the help says.
#[derive(Debug, Args)]
pub struct Live {
    /// Configuration file, TOML [default: /etc/dhcp-observer/config.toml, if there is one and neither --iface nor --script nor
    /// --invocations is given]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Interface to observe; give it several times for several. These take the place of all that the file names
    #[arg(long, value_name = "NAME")]
    pub iface: Vec<String>,
    /// What is done with events.
    #[command(flatten)]
    pub output: Output,
    /// Whose answers make leases: those that leave the interface, those that arrive, or both (a mirror port) [default: out]
    #[arg(long, value_enum, value_name = "out|in|both")]
    pub answers: Option<AnswersArg>,
    /// What the network says beside leases.
    #[command(flatten)]
    pub network: Network,
    /// What is known of the server.
    #[command(flatten)]
    pub kea: Kea,
    /// How to attach: tc (TCX, or clsact below Linux 6.6), clsact, or xdp (for what arrives) [default: tc]
    #[arg(long, value_enum)]
    pub attach: Option<AttachArg>,
    /// Receive frames for other machines too, as a mirror port needs
    #[arg(long)]
    pub promisc: bool,
    /// Wait for an interface that does not exist yet
    #[arg(long)]
    pub wait: bool,
    /// Size of the ring buffer between kernel and observer, in octets [default: 8388608]
    #[arg(long, value_name = "OCTETS", value_parser = clap::value_parser!(u32).range(4096..=1 << 30))]
    pub ring_size: Option<u32>,
    /// What outlives the process.
    #[command(flatten)]
    pub pins: Pins,
    /// What is kept on disk.
    #[command(flatten)]
    pub state: State,
    /// Hooks that run side by side; those of one lease always run one after the other [default: 32]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub max_hooks: Option<u16>,
    /// Hooks that wait; when so many wait, further ones are dropped, counted and complained about [default: 32768]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_queue: Option<u32>,
    /// Seconds that the script may take before its process group gets SIGTERM, and 3 s later SIGKILL; 0 is for ever, as in
    /// Kea [default: 60]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub hook_timeout: Option<Duration>,
    /// Further attempts for a script that fails; without it an exit status is noted and nothing else, as in Kea
    #[arg(long, value_name = "N")]
    pub hook_retries: Option<u32>,
    /// Control socket, which `dhcp-observer status` asks, or "none" [default: /run/dhcp-observer/control, if it can be had]
    #[arg(long, value_name = "PATH")]
    pub control: Option<PathBuf>,
    /// Group whose members may ask at the control socket, beside root
    #[arg(long, value_name = "GROUP")]
    pub control_group: Option<String>,
    /// Serve metrics for Prometheus at this address, under /metrics
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub metrics: Option<SocketAddr>,
    /// User, by name or number, as whom frames are read and leases kept; hooks still run as whoever starts this, or as their
    /// tables say [default: whoever starts this, without capabilities]
    #[arg(long, value_name = "USER")]
    pub user: Option<String>,
    /// Group of --user [default: that of the user]
    #[arg(long, value_name = "GROUP", requires = "user")]
    pub group: Option<String>,
    /// The descriptor by which a spawner hears its observer
    #[arg(long, hide = true, value_name = "DESCRIPTOR")]
    pub spawner: Option<i32>,
    /// Let the eBPF programs write to the log too (slow): off, error, warn, info, debug or trace [default: off]
    #[arg(long, value_name = "LEVEL")]
    pub ebpf_log: Option<log::LevelFilter>,
    /// Say more: every hook; twice: every detail
    #[arg(short, long, action = ArgAction::Count)]
    pub verbose: u8,
}

/// What is kept on disk.
#[derive(Clone, Debug, Args)]
pub struct State {
    /// Directory in which leases and calls of hooks are kept over restarts; "none" keeps nothing [default:
    /// /var/lib/dhcp-observer, and with --invocations none]
    #[arg(long, value_name = "DIRECTORY", conflicts_with = "invocations")]
    pub state_dir: Option<PathBuf>,
    /// Keep nothing over restarts: the same as --state-dir none
    #[arg(long, conflicts_with = "state_dir")]
    pub no_state: bool,
    /// What that is to survive: the death of the process, or a power cut too, for which each commit waits for the disk
    /// [default: process]
    #[arg(long, value_enum, value_name = "process|power")]
    pub durability: Option<DurabilityArg>,
    /// What is done about a lease that ends after frames were missed, so that it may have been renewed: fire tells of the
    /// end, hold waits for one more lifetime for a sign of it [default: fire]
    #[arg(long, value_enum, value_name = "fire|hold")]
    pub expire_after_gap: Option<ExpireArg>,
}

/// What is done about a lease that ends after frames were missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExpireArg {
    /// It is told
    Fire,
    /// It is held back
    Hold,
}

/// [`store::Durability`] on the command line.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum DurabilityArg {
    /// The death of the process
    Process,
    /// A power cut too
    Power,
}

impl From<DurabilityArg> for store::Durability {
    fn from(argument: DurabilityArg) -> Self {
        match argument {
            DurabilityArg::Process => Self::Process,
            DurabilityArg::Power => Self::Power,
        }
    }
}

impl State {
    /// Puts what is given in place of what is configured.
    fn apply(&self, store: &mut Store) {
        if let Some(directory) = &self.state_dir {
            store.directory = (directory.as_os_str() != "none").then(|| directory.clone());
        }
        if self.no_state {
            store.directory = None;
        }
        store.hold_after_gap =
            self.expire_after_gap.map_or(store.hold_after_gap, |word| word == ExpireArg::Hold);
        store.durability = self.durability.map_or(store.durability, Into::into);
    }
}

/// What outlives the process.
#[derive(Clone, Debug, Args)]
pub struct Pins {
    /// Leave everything attached at the end, so that the next start misses nothing: for an upgrade
    #[arg(long)]
    pub keep: bool,
    /// Name of this observer, where another one observes the same interfaces
    #[arg(long, value_name = "NAME")]
    pub instance: Option<String>,
    /// Do not pin: frames that come while no observer runs are not seen
    #[arg(long, conflicts_with_all = ["keep", "instance", "bpffs"])]
    pub no_pin: bool,
    /// Where the file system for pinned eBPF objects is mounted [default: /sys/fs/bpf]
    #[arg(long, value_name = "DIRECTORY")]
    pub bpffs: Option<PathBuf>,
}

impl Pins {
    /// Puts what is given in place of what is configured. Who asks by a flag for something to be kept has it pinned.
    fn apply(&self, pins: &mut file::Pins) {
        pins.enabled = (pins.enabled || self.keep) && !self.no_pin;
        pins.keep = (pins.keep || self.keep) && !self.no_pin;
        pins.instance = self.instance.clone().or(pins.instance.take());
        pins.bpffs = self.bpffs.clone().unwrap_or(std::mem::take(&mut pins.bpffs));
    }
}

/// Options of `detach`.
#[derive(Debug, Args)]
pub struct Detach {
    /// Only the observer that was given this name, in this network namespace
    #[arg(long, value_name = "NAME", conflicts_with = "iface")]
    pub instance: Option<String>,
    /// Only the observer of this interface, in this network namespace; as many times as that observer was given it
    #[arg(long, value_name = "NAME")]
    pub iface: Vec<String>,
    /// Where the file system for pinned eBPF objects is mounted
    #[arg(long, value_name = "DIRECTORY", default_value = bpffs::CONVENTIONAL)]
    pub bpffs: PathBuf,
}

/// Options of `status`.
#[derive(Debug, Args)]
pub struct Status {
    /// The observer's control socket
    #[arg(long, value_name = "PATH", default_value = control::DEFAULT_PATH)]
    pub control: PathBuf,
    /// Everything as JSON
    #[arg(long)]
    pub json: bool,
}

/// Options of `replay`.
#[derive(Debug, Args)]
pub struct Replay {
    /// Capture file: pcap or pcapng
    pub file: PathBuf,
    /// Configuration file, TOML, of which hooks, server, network events and limits count here
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// What hooks see as the interface's name
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    pub iface_name: String,
    /// What hooks see as the interface's index
    #[arg(long, value_name = "N")]
    pub iface_index: Option<u32>,
    /// Seconds for which time runs on after the last frame, so that what is due then happens
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = seconds)]
    pub settle: Duration,
    /// Whose answers make leases
    #[arg(long, value_enum, value_name = "out|in|both", default_value = "both")]
    pub answers: AnswersArg,
    /// What the network says beside leases.
    #[command(flatten)]
    pub network: Network,
    /// What is known of the server.
    #[command(flatten)]
    pub kea: Kea,
    /// What is done with events.
    #[command(flatten)]
    pub output: Output,
}

/// What the network says beside leases.
#[derive(Debug, Args)]
pub struct Network {
    /// Run the hook for these too, by hook points of our own: unanswered, foreign-server, nak, pool-exhausted, conflict, gap; or all
    #[arg(long, value_name = "KIND,…", value_delimiter = ',')]
    pub network_events: Vec<NetworkEventArg>,
    /// Seconds after which a question that nobody has answered is unanswered [default: 10]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub unanswered_after: Option<Duration>,
}

/// [`network::Kind`] on the command line.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum NetworkEventArg {
    /// All of them
    All,
    /// A client's question has no answer
    Unanswered,
    /// Another server answers
    ForeignServer,
    /// A client is refused
    Nak,
    /// A server has nothing left to give
    PoolExhausted,
    /// Two clients want one address
    Conflict,
    /// Frames were missed, because the ring was full or no observer ran
    Gap,
}

impl NetworkEventArg {
    fn kinds(self) -> Vec<network::Kind> {
        match self {
            Self::All => network::Kind::ALL.to_vec(),
            Self::Unanswered => vec![network::Kind::Unanswered],
            Self::ForeignServer => vec![network::Kind::ForeignServer],
            Self::Nak => vec![network::Kind::Nak],
            Self::PoolExhausted => vec![network::Kind::PoolExhausted],
            Self::Conflict => vec![network::Kind::Conflict],
            Self::Gap => vec![network::Kind::Gap],
        }
    }
}

impl Network {
    /// Puts what is given in place of what is configured.
    fn apply(&self, options: &mut network::Options) {
        if !self.network_events.is_empty() {
            options.kinds = self.network_events.iter().flat_map(|argument| argument.kinds()).collect();
        }
        options.unanswered_after = self.unanswered_after.unwrap_or(options.unanswered_after);
    }
}

/// What is known of the server.
#[derive(Debug, Args)]
pub struct Kea {
    /// Kea configuration file that supplies subnets and timers; Dhcp4 and Dhcp6 can be given one after the other
    #[arg(long, value_name = "FILE")]
    pub kea_config: Vec<PathBuf>,
    /// Which Kea is imitated where they differ: 2.2, 2.6 (also 2.4), 3.0 or 3.2 [default: 2.2]
    #[arg(long, value_enum, value_name = "VERSION")]
    pub kea_version: Option<KeaVersionArg>,
    /// Lease file from which to learn the leases of before the start: Kea's memfile, dhcpd.leases or dnsmasq.leases; give
    /// it several times for several
    #[arg(long, value_name = "FILE")]
    pub seed: Vec<PathBuf>,
    /// Whose word counts for host names [default: answer with --kea-config, else answer-then-client]
    #[arg(long, value_enum, value_name = "answer|client|answer-then-client|client-then-answer")]
    pub hostname: Option<HostnameArg>,
}

/// [`KeaVersion`] on the command line.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum KeaVersionArg {
    /// As Debian 12 has it
    #[value(name = "2.2")]
    V2_2,
    /// Released leases are kept for their clients
    #[value(name = "2.6", alias = "2.4")]
    V2_6,
    /// Relay options in DHCPv6, state "released", address registration, lease cache on by default
    #[value(name = "3.0")]
    V3_0,
    /// Rejected messages cause nothing
    #[value(name = "3.2")]
    V3_2,
}

impl From<KeaVersionArg> for KeaVersion {
    fn from(argument: KeaVersionArg) -> Self {
        match argument {
            KeaVersionArg::V2_2 => Self::V2_2,
            KeaVersionArg::V2_6 => Self::V2_6,
            KeaVersionArg::V3_0 => Self::V3_0,
            KeaVersionArg::V3_2 => Self::V3_2,
        }
    }
}

/// What is done with events.
#[derive(Debug, Args)]
pub struct Output {
    /// Hook script, started for every event: the one hook of a command line without a file
    #[arg(long, value_name = "PATH", conflicts_with = "invocations")]
    pub script: Option<PathBuf>,
    /// Run the script although somebody other than root could change it or replace it
    #[arg(long, requires = "script", conflicts_with = "invocations")]
    pub allow_writable: bool,
    /// Start nothing; print each call as a JSON object on a line of its own. With a file: the calls of its hooks
    #[arg(long)]
    pub invocations: bool,
    /// In whose words the script is called [default: kea]
    #[arg(long, value_enum, value_name = "kea|dhclient|eventhook|dnsmasq")]
    pub dialect: Option<DialectArg>,
}

/// [`DialectName`] on the command line.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum DialectArg {
    /// As Kea's run_script calls its script
    Kea,
    /// As ISC dhclient calls dhclient-script
    Dhclient,
    /// As the Solaris dhcpagent calls its event hook
    Eventhook,
    /// As dnsmasq calls its dhcp-script
    Dnsmasq,
}

impl From<DialectArg> for DialectName {
    fn from(argument: DialectArg) -> Self {
        match argument {
            DialectArg::Kea => Self::Kea,
            DialectArg::Dhclient => Self::Dhclient,
            DialectArg::Eventhook => Self::Eventhook,
            DialectArg::Dnsmasq => Self::Dnsmasq,
        }
    }
}

/// [`Answers`] on the command line.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum AnswersArg {
    /// Answers that leave the interface: the observer stands at the server
    Out,
    /// Answers that arrive: the observer stands at the client
    In,
    /// All answers: a mirror port
    Both,
}

impl From<AnswersArg> for Answers {
    fn from(argument: AnswersArg) -> Self {
        match argument {
            AnswersArg::Out => Self::Out,
            AnswersArg::In => Self::In,
            AnswersArg::Both => Self::Both,
        }
    }
}

/// [`HostnameFrom`] on the command line.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum HostnameArg {
    /// The server's answer alone
    Answer,
    /// The client alone, cleaned
    Client,
    /// The server's answer or, where it holds none, the client
    AnswerThenClient,
    /// The client or, where it has none, the server's answer
    ClientThenAnswer,
}

impl From<HostnameArg> for HostnameFrom {
    fn from(argument: HostnameArg) -> Self {
        match argument {
            HostnameArg::Answer => Self::Answer,
            HostnameArg::Client => Self::Client,
            HostnameArg::AnswerThenClient => Self::AnswerThenClient,
            HostnameArg::ClientThenAnswer => Self::ClientThenAnswer,
        }
    }
}

/// How to attach, on the command line.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum AttachArg {
    /// TCX where the kernel has it, clsact elsewhere
    Tc,
    /// clsact
    Clsact,
    /// XDP for what arrives, TC for what leaves
    Xdp,
}

/// Seconds, whole or with a fraction.
fn seconds(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no number of seconds");
    let seconds: f64 = text.parse().map_err(|_| wrong())?;
    Duration::try_from_secs_f64(seconds).map_err(|_| wrong())
}

#[cfg(test)]
mod tests;
