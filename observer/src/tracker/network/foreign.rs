//! Answers of servers that are not the one that is observed.

use std::net::IpAddr;
use std::time::Duration;

use crate::time::Timestamp;
use crate::tracker::servers;

use super::recent::Recent;
use super::sighting::ServerId;
use super::{Client, LIMIT};

/// A foreign server is told so often.
const PAUSE: Duration = Duration::from_secs(3_600);
/// For so long it is remembered how often it was not told.
const DAY: Duration = Duration::from_secs(86_400);
/// Between the first answer to a question and the last.
const PATIENCE: Duration = Duration::from_secs(120);

/// By which a server is told from another: frame source, IP source, identity.
pub(super) type Server = (Option<[u8; 6]>, IpAddr, Option<ServerId>);

/// What is known of foreign servers.
#[derive(Debug)]
pub(super) struct Foreign {
    /// When each was told, and its answers since.
    told: Recent<Server, (Timestamp, u64)>,
    /// Who answered first, by client and transaction.
    answered: Recent<(Client, u32), ServerId>,
}

impl Foreign {
    pub(super) fn new() -> Self {
        Self { told: Recent::new(servers::LIMIT, DAY), answered: Recent::new(LIMIT, PATIENCE) }
    }

    /// A foreign server answers. Says whether that is to be told: how many answers were not.
    pub(super) fn see(&mut self, at: Timestamp, server: Server) -> Option<u64> {
        match self.told.get_mut(at, &server) {
            Some((told, left_out)) if at.since(*told) < PAUSE => {
                *left_out += 1;
                return None;
            }
            _ => {}
        }
        let left_out = self.told.take(at, &server).map_or(0, |(_, left_out)| left_out);
        self.told.put(at, server, (at, 0), 0);
        Some(left_out)
    }

    /// Who answered this question first, if it was another server than this.
    pub(super) fn first(
        &mut self,
        at: Timestamp,
        client: Client,
        transaction: u32,
        server: &ServerId,
    ) -> Option<ServerId> {
        let key = (client, transaction);
        match self.answered.get_mut(at, &key) {
            Some(first) => (first != server).then(|| first.clone()),
            None => {
                self.answered.put(at, key, server.clone(), 0);
                None
            }
        }
    }

    /// How many servers and answers made room for others.
    pub(super) fn evicted(&self) -> u64 {
        self.told.evicted() + self.answered.evicted()
    }
}

/// The servers that were heard: those whose answers count, and others.
#[derive(Debug, Default)]
pub(super) struct Servers {
    ours: servers::Servers<ServerId>,
    others: servers::Servers<ServerId>,
}

impl Servers {
    /// This one was heard.
    pub(super) fn heard(&mut self, server: &ServerId, ours: bool) {
        if ours { &mut self.ours } else { &mut self.others }.hear(server);
    }

    /// How many made room for others.
    pub(super) fn evicted(&self) -> u64 {
        self.ours.forgotten() + self.others.forgotten()
    }

    /// Whether a question that names this server, or none, is for one whose answers count. Before any of ours of that
    /// family was heard, everything is that is not known to be for another.
    pub(super) fn is_for_ours(&self, named: Option<&ServerId>) -> bool {
        let Some(server) = named else { return true };
        let same_family = |ours: &ServerId| {
            matches!((ours, server), (ServerId::V4(_), ServerId::V4(_)) | (ServerId::V6(_), ServerId::V6(_)))
        };
        self.ours.contains(server) || (!self.ours.iter().any(same_family) && !self.others.contains(server))
    }
}
