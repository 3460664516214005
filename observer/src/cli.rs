//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

use crate::config::{HostnameFrom, KeaVersion};
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
    /// Forget the calls of these events that failed for good or still wait
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

/// Options of live observation.
#[derive(Debug, Args)]
pub struct Live {
    /// Interface to observe; give it several times for several
    #[arg(long, value_name = "NAME", required = true)]
    pub iface: Vec<String>,
    /// What is done with events.
    #[command(flatten)]
    pub output: Output,
    /// In whose words the hook is called
    #[arg(long, value_enum, value_name = "kea|dhclient|eventhook|dnsmasq", default_value = "kea")]
    pub dialect: DialectArg,
    /// Whose answers make leases: those that leave the interface, those that arrive, or both (a mirror port)
    #[arg(long, value_enum, value_name = "out|in|both", default_value = "out")]
    pub answers: AnswersArg,
    /// What the network says beside leases.
    #[command(flatten)]
    pub network: Network,
    /// What is known of the server.
    #[command(flatten)]
    pub kea: Kea,
    /// How to attach: tc (TCX, or clsact below Linux 6.6), clsact, or xdp (for what arrives)
    #[arg(long, value_enum, default_value = "tc")]
    pub attach: AttachArg,
    /// Receive frames for other machines too, as a mirror port needs
    #[arg(long)]
    pub promisc: bool,
    /// Wait for an interface that does not exist yet
    #[arg(long)]
    pub wait: bool,
    /// Size of the ring buffer between kernel and observer, in octets
    #[arg(long, value_name = "OCTETS", default_value_t = 8 << 20, value_parser = clap::value_parser!(u32).range(4096..=1 << 30))]
    pub ring_size: u32,
    /// Hooks that run side by side; those of one lease always run one after the other
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..))]
    pub max_hooks: u16,
    /// Hooks that wait; when so many wait, further ones are dropped, counted and complained about
    #[arg(long, value_name = "N", default_value_t = 32_768, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_queue: u32,
    /// Seconds that a hook may take before its process group gets SIGTERM, and 3 s later SIGKILL; 0 is for ever, as in Kea
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    pub hook_timeout: Duration,
    /// Further attempts for a hook that fails; without it an exit status is noted and nothing else, as in Kea
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub hook_retries: u32,
    /// Let the eBPF programs write to the log too (slow): off, error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL", default_value = "off")]
    pub ebpf_log: log::LevelFilter,
    /// Say more: every hook; twice: every detail
    #[arg(short, long, action = ArgAction::Count)]
    pub verbose: u8,
}

/// Options of `replay`.
#[derive(Debug, Args)]
pub struct Replay {
    /// Capture file: pcap or pcapng
    pub file: PathBuf,
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
    /// In whose words the hook is called
    #[arg(long, value_enum, value_name = "kea|dhclient|eventhook|dnsmasq", default_value = "kea")]
    pub dialect: DialectArg,
}

/// What the network says beside leases.
#[derive(Debug, Args)]
pub struct Network {
    /// Run the hook for these too, by hook points of our own: unanswered, foreign-server, nak, pool-exhausted, conflict; or all
    #[arg(long, value_name = "KIND,…", value_delimiter = ',')]
    pub network_events: Vec<NetworkEventArg>,
    /// Seconds after which a question that nobody has answered is unanswered
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub unanswered_after: Duration,
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
        }
    }
}

impl From<&Network> for network::Options {
    fn from(arguments: &Network) -> Self {
        let kinds = arguments.network_events.iter().flat_map(|argument| argument.kinds()).collect();
        Self { kinds, unanswered_after: arguments.unanswered_after }
    }
}

/// What is known of the server.
#[derive(Debug, Args)]
pub struct Kea {
    /// Kea configuration file that supplies subnets and timers; Dhcp4 and Dhcp6 can be given one after the other
    #[arg(long, value_name = "FILE")]
    pub kea_config: Vec<PathBuf>,
    /// Which Kea is imitated where they differ: 2.2, 2.6 (also 2.4), 3.0 or 3.2
    #[arg(long, value_enum, value_name = "VERSION", default_value = "2.2")]
    pub kea_version: KeaVersionArg,
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
#[group(id = "what", required = true, multiple = false)]
pub struct Output {
    /// Hook script, started for every event
    #[arg(long, value_name = "PATH")]
    pub script: Option<PathBuf>,
    /// Start nothing; print each call as a JSON object on a line of its own
    #[arg(long)]
    pub invocations: bool,
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
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_command_people_type() {
        let cli = Cli::try_parse_from(["dhcp-observer", "--iface", "eth0", "--script", "x.sh"]).unwrap();
        assert_eq!(cli.live.iface, ["eth0"]);
        assert!(Cli::try_parse_from(["dhcp-observer", "replay", "x.pcap", "--invocations"]).is_ok());
        assert!(network::Options::from(&cli.live.network).kinds.is_empty());
        for wrong in [
            &["dhcp-observer"][..],
            &["dhcp-observer", "--iface", "eth0"],
            &["dhcp-observer", "--script", "x.sh"],
            &["dhcp-observer", "replay", "x.pcap"],
            &["dhcp-observer", "replay", "x.pcap", "--invocations", "--script", "x.sh"],
            &["dhcp-observer", "replay", "x.pcap", "--invocations", "--settle", "-1"],
            &["dhcp-observer", "replay", "x.pcap", "--invocations", "--network-events", "rogue"],
        ] {
            assert_eq!(Cli::try_parse_from(wrong).unwrap_err().exit_code(), 2, "{wrong:?}");
        }
    }

    #[test]
    fn network_events_are_named_one_by_one_or_all_together() {
        let kinds = |value| {
            let words = ["dhcp-observer", "--iface", "eth0", "--invocations", "--network-events", value];
            network::Options::from(&Cli::try_parse_from(words).unwrap().live.network).kinds
        };
        let wanted = [network::Kind::Nak, network::Kind::ForeignServer];
        assert_eq!(kinds("foreign-server,nak"), wanted.into_iter().collect());
        assert_eq!(kinds("all"), network::Kind::ALL.into_iter().collect());
        // The word on the command line is that of OBSERVER_EVENT.
        for kind in network::Kind::ALL {
            assert_eq!(kinds(kind.name()), [kind].into_iter().collect());
        }
    }
}
