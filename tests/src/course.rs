//! The course of a real client beside a real server: bind, renew, rebind, release, bind, gone without a word until the
//! lease is over; observed all the while.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use crate::call::Call;
use crate::capture::Frame;
use crate::client::datagram::Datagram;
use crate::client::message4::{self, Message4};
use crate::client::message6::{self, Message6};
use crate::clients::any::Client;
use crate::link::Link;
use crate::need::Need;
use crate::servers::Lifetimes;
use crate::servers::any::Server;
use crate::story::{Fact, Story, balance};
use crate::wait;
use crate::watch::{Seen, Watch};

/// The longest wait for an event: the longest time until a client does something by itself, and a slow machine.
const PATIENCE: Duration = Duration::from_secs(100);
/// What clients call themselves.
pub const NAME: &str = "Far-Host";

/// A course.
#[derive(Clone, Copy, Debug)]
pub struct Course<'a> {
    /// The server.
    pub server: Server,
    /// The client.
    pub client: Client,
    /// Whether the client is made to renew.
    pub renews: bool,
    /// Whether the client can be brought to rebind within reason.
    pub rebinds: bool,
    /// Whether a relay overhears what is routed past it and sends it on as well.
    pub overheard: bool,
    /// What is true of each.
    pub facts: &'a [Fact<'a>],
    /// Options of the observer.
    pub options: &'a [&'a str],
}

impl Course<'static> {
    /// The whole course of this client beside this server, of whose leases nothing else is known.
    pub fn of(server: Server, client: Client) -> Self {
        // dnsmasq has a T2 of 105 s in DHCPv6, and dhcp6c solicits anew when its renewals go unanswered.
        let keeps_on = client.is_v6() && server == Server::Dnsmasq || matches!(client, Client::WideDhcp6c(_));
        Self { server, client, renews: true, rebinds: !keeps_on, overheard: false, facts: &[], options: &[] }
    }
}

impl Course<'_> {
    /// What the machine must have for it.
    pub fn needs(&self) -> Vec<Need> {
        let programs = ["tcpdump", self.server.program(), self.client.program()];
        [Need::Root].into_iter().chain(programs.map(Need::Program)).collect()
    }

    /// Runs it between these links and judges it. Where the lease is too long to wait for its end, a replay of what was
    /// captured tells it, on the capture's own time.
    pub fn run(&self, near: &Link, far: &Link, directory: &Path) -> Result<Seen> {
        let leases = self.client.leases();
        let sub = |name: &str| -> Result<_> {
            let path = directory.join(name);
            std::fs::create_dir(&path)?;
            Ok(path)
        };
        let lifetimes = Lifetimes::SHORT;
        let mut server = self.server.start(&near.namespace, &sub("server")?, lifetimes)?;
        let watch = Watch::start(near, directory, self.options)?;
        let mut client = self.client.start(&far.namespace, &sub("first")?, NAME)?;
        watch.wait_for("commit", 1, PATIENCE)?;
        if self.renews {
            client.settle()?;
            client.renew()?;
            watch.wait_for_leases("renew", leases, PATIENCE)?;
        }
        if self.rebinds {
            client.settle()?;
            if !client.rebind()? {
                // The server is away while the client renews, and back when it asks anybody.
                server.stop()?;
                let before = watch.frames()?.len();
                client.renew()?;
                let asked = || Ok(gives_up(watch.frames()?.get(before..)).then_some(()));
                wait::until("unanswered client", PATIENCE, asked)?;
                server.start_again()?;
            }
            watch.wait_for_leases("rebind", leases, PATIENCE)?;
        }
        client.settle()?;
        client.release()?;
        watch.wait_for_leases("release", leases, PATIENCE)?;
        drop(client);
        let mut client = self.client.start(&far.namespace, &sub("second")?, NAME)?;
        watch.wait_for("commit", 2, PATIENCE)?;
        client.vanish()?;
        let valid = self.server.valid(lifetimes);
        let live_expiry = valid <= lifetimes.valid;
        if live_expiry {
            watch.wait_for("expire", leases, PATIENCE)?;
        }
        let seen = watch.finish(valid + 1)?;
        self.judge(&seen, &valid.to_string(), live_expiry)?;
        Ok(seen)
    }

    fn judge(&self, seen: &Seen, valid: &str, live_expiry: bool) -> Result<()> {
        let renewals: &[&str] = match (self.overheard, self.rebinds) {
            (true, _) => &["renew|rebind+"],
            (false, true) => &["renew+", "rebind+"],
            (false, false) => &["renew+"],
        };
        let first = [&["commit"], renewals, &["release"]].concat();
        let second = ["commit", if self.overheard { "renew|rebind*" } else { "renew?" }, "expire"];
        let open = &second[..2];
        let (whole, unfinished) = ([&first[..], &second].concat(), [&first[..], open].concat());
        let facts =
            [&[("HWADDR", "02:00:00:00:00:02"), ("HWADDR_TYPE", "1"), ("VALID_LIFETIME", valid)], self.facts]
                .concat();
        let leases = self.client.leases();
        // The second time the client gets the same address or another, as the server sees fit.
        let story = |calls: &[Call], same: &[&str], second: &[&str]| {
            let one = Story { leases, lives: &[same], overheard: self.overheard, facts: &facts };
            let two = Story { leases, lives: &[&first, second], overheard: self.overheard, facts: &facts };
            one.judge(calls).or_else(|error| two.judge(calls).map_err(|_| error))
        };
        let live = if live_expiry {
            story(&seen.calls, &whole, &second)
        } else {
            story(&seen.calls, &unfinished, open)
        };
        let verdicts = [
            ("live", live),
            ("replay", story(&seen.replayed, &whole, &second)),
            ("wire", balance(&seen.calls, &seen.frames)),
        ];
        let wrong: Vec<String> = verdicts
            .into_iter()
            .filter_map(|(what, verdict)| Some(format!("{what}:\n{}", verdict.err()?)))
            .collect();
        anyhow::ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
        Ok(())
    }
}

/// Whether a client is about to ask anybody: in DHCPv4 it does so, directly or through a relay, and will again in a second
/// or two; in DHCPv6 its renewal is on the wire, and the next message will be a Rebind, since both wait for ten seconds.
fn gives_up(frames: Option<&[Frame]>) -> bool {
    let mut datagrams = frames.unwrap_or_default().iter().filter_map(|frame| Datagram::decode(&frame.bytes));
    datagrams.any(|datagram| match datagram.to.port() {
        67 => Message4::decode(&datagram.payload).is_some_and(|message| {
            let to_anybody =
                !message.giaddr.is_unspecified() || datagram.to.to_string() == "255.255.255.255:67";
            message.is(message4::Kind::Request) && !message.ciaddr.is_unspecified() && to_anybody
        }),
        547 => Message6::decode(&datagram.payload).is_some_and(|message| message.is(message6::Kind::Renew)),
        _ => false,
    })
}
