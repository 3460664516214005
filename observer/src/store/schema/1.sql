-- The store of dhcp-observer. Query it with sqlite3 while the daemon runs; to change it, use `dhcp-observer events`.
-- Moments are Unix seconds where a column is named for DHCP's own fields, and nanoseconds in columns that end in _ns.
-- Identifiers are hexadecimal octets with colons between; host names are text, or a blob where they are no UTF-8.

-- What else is known: see `Session` in the source.
CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value
) WITHOUT ROWID;

CREATE TABLE leases4 (
    number            INTEGER PRIMARY KEY, -- the address as a number
    address           TEXT NOT NULL,
    hwtype            INTEGER NOT NULL,    -- ARP hardware type, 1 is Ethernet
    hwaddr            TEXT NOT NULL,
    client_id         TEXT,
    hostname          NOT NULL,
    cltt              INTEGER NOT NULL,
    valid_lifetime    INTEGER NOT NULL,    -- 4294967295 is for ever
    expires           INTEGER,
    state             TEXT NOT NULL,       -- default, declined, expired-reclaimed, released
    subnet_id         INTEGER,
    interface         TEXT,
    interface_index   INTEGER,
    vlans             TEXT,                -- outermost first, separated by full stops
    relay             TEXT,                -- giaddr
    agent_information BLOB                 -- option 82
);

CREATE TABLE leases6 (
    is_prefix          INTEGER NOT NULL,
    address            TEXT NOT NULL,
    prefix_len         INTEGER NOT NULL,
    type               TEXT NOT NULL,      -- IA_NA, IA_TA, IA_PD
    duid               TEXT NOT NULL,
    iaid               INTEGER NOT NULL,
    hwtype             INTEGER,
    hwaddr             TEXT,
    hostname           NOT NULL,
    cltt               INTEGER NOT NULL,
    preferred_lifetime INTEGER NOT NULL,
    valid_lifetime     INTEGER NOT NULL,
    expires            INTEGER,
    state              TEXT NOT NULL,      -- default, declined, expired-reclaimed, released, registered
    subnet_id          INTEGER,
    interface          TEXT,
    interface_index    INTEGER,
    vlans              TEXT,
    has_way            INTEGER NOT NULL,   -- whether the next four say anything
    next_hop           TEXT,
    next_hop_hwtype    INTEGER,
    next_hop_hwaddr    TEXT,
    relay              TEXT,
    relay_information  BLOB,
    PRIMARY KEY (is_prefix, address)
) WITHOUT ROWID;

-- DHCPv4 servers that were heard, by identifier, in the order in which they were first heard.
CREATE TABLE servers4 (
    place   INTEGER PRIMARY KEY,
    address TEXT NOT NULL UNIQUE
);

-- What dialects remember for their hooks.
CREATE TABLE memories (
    hook  TEXT NOT NULL,
    key   NOT NULL,
    value NOT NULL,
    PRIMARY KEY (hook, key)
) WITHOUT ROWID;

CREATE TABLE events (
    id         INTEGER PRIMARY KEY,        -- OBSERVER_EVENT_ID
    at_ns      INTEGER NOT NULL,
    event      TEXT NOT NULL,              -- OBSERVER_EVENT
    hook_point TEXT NOT NULL,              -- Kea's name for the occasion
    subjects   TEXT NOT NULL
);

-- One row a call of a hook: those to come, those that failed for good, and the last ones that are over.
CREATE TABLE outbox (
    call        INTEGER PRIMARY KEY,       -- event * 65536 + position
    event       INTEGER NOT NULL,
    position    INTEGER NOT NULL,
    hook        TEXT NOT NULL,             -- the name of the hook in the configuration
    word        TEXT NOT NULL,             -- hook point, reason or action, in the words of the hook's dialect
    changes     INTEGER NOT NULL,          -- whether anything is otherwise than before
    subjects    TEXT NOT NULL,
    at_ns       INTEGER NOT NULL,
    state       TEXT NOT NULL,             -- waiting, running, done, dead
    attempts    INTEGER NOT NULL,          -- how many were or may have been begun
    result      TEXT,                      -- how the last one ended
    ended_ns    INTEGER,
    next_try_ns INTEGER,
    change      INTEGER NOT NULL           -- grows with each change of a row
);

CREATE TABLE invocations (
    call        INTEGER PRIMARY KEY,
    arguments   BLOB NOT NULL,             -- each ends with a NUL octet
    environment BLOB NOT NULL              -- NAME=value, each ends with a NUL octet
);

-- When frames may have been missed.
CREATE TABLE gaps (
    id       INTEGER PRIMARY KEY,
    from_ns  INTEGER NOT NULL,
    until_ns INTEGER NOT NULL,
    why      TEXT NOT NULL
);

-- What `dhcp-observer events` asks the daemon to do: replay or drop.
CREATE TABLE requests (
    id     INTEGER PRIMARY KEY,
    action TEXT NOT NULL,
    event  INTEGER NOT NULL
);
