//! Networks behind relays: server – relay – client, and server – relay – relay – client.
