//! ISC dhcpd's lease files, `dhcpd.leases` and `dhcpd6.leases`: a journal of declarations, the later having the last word.
//! Their language is described in dhcpd.leases(5).

mod declaration;
mod statement;
mod word;

use std::path::Path;
use std::sync::Arc;

use super::ledger::Ledger;
use declaration::Declarations;
use statement::Statements;

/// What stands at the top of a lease file. Only the leases and the byte order matter here.
const DECLARATIONS: [&[u8]; 14] = [
    b"lease",
    b"ia-na",
    b"ia-ta",
    b"ia-pd",
    b"server-duid",
    b"authoring-byte-order",
    b"failover",
    b"host",
    b"group",
    b"class",
    b"subclass",
    b"pool",
    b"dynamic",
    b"option",
];

/// Whether a file that begins with this word may be a lease file.
pub(super) fn is_declaration(word: &[u8]) -> bool {
    DECLARATIONS.contains(&word)
}

/// Whether this word begins a lease, which is never inside another declaration.
fn begins_lease(word: &[u8]) -> bool {
    matches!(word, b"lease" | b"ia-na" | b"ia-ta" | b"ia-pd")
}

/// Reads a whole file.
pub(super) fn parse(file: Arc<Path>, bytes: &[u8]) -> Ledger {
    let mut declarations = Declarations::new(file);
    for statement in Statements::new(bytes) {
        declarations.take(statement);
    }
    declarations.into_ledger()
}

#[cfg(test)]
mod tests;
