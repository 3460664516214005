//! What the tracker counted. Everything that is dropped has a name here.

/// Counts since the tracker was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// DHCPv4 and BOOTP messages.
    pub messages4: u64,
    /// DHCPv6 messages.
    pub messages6: u64,
    /// Messages with at least one fault.
    pub malformed: u64,
    /// Answers that went the wrong way for `--answers`: another server's.
    pub foreign_answers: u64,
    /// Questions that went the wrong way for `--answers`: to another server.
    pub foreign_queries: u64,
    /// Messages that were seen a moment before on the other side of a relay or router, at a mirror port.
    pub relayed_copies: u64,
    /// Questions from a client's port that say what only relays say. A switch that snoops puts option 82 into what passes
    /// it, and a client can make it up.
    pub relayed_by_clients: u64,
    /// ACKs of a server that the client had not chosen, where more than one server's answers count.
    pub unchosen_answers: u64,
    /// Answers whose question was not seen.
    pub inferred_answers: u64,
    /// Answers without a question that do not tell enough to count.
    pub unmatched_answers: u64,
    /// Messages of no consequence for leases: BOOTP, leasequeries, reconfigure, and those whose type and direction disagree.
    pub other_messages: u64,
    /// Questions that made room for newer ones before an answer came.
    pub exchanges_evicted: u64,
    /// Releases and declines that were not held until the answer to the question before them, because too many were.
    pub held_over_limit: u64,
    /// Messages whose copies beyond a relay would not be known again, because there were too many in a second.
    pub legs_evicted: u64,
    /// Leases that were not remembered because the table was full.
    pub leases_over_limit: u64,
    /// Leases that were left out because their message has more of them than hooks can be told of.
    pub leases_left_out: u64,
    /// Addresses and prefixes that a Reply gives a second time, or in an identity association that it has already.
    pub leases_repeated: u64,
    /// Server identifiers that made room for others.
    pub servers_forgotten: u64,
    /// Records in the DHCPv4 table now.
    pub leases4: u64,
    /// Records in the DHCPv6 table now.
    pub leases6: u64,
    /// Entries in the queue of deadlines now: one a record that will end, and some that are stale.
    pub deadlines: u64,
    /// Events that came out.
    pub events: u64,
}
