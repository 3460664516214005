//! Parameters that a subnet inherits from its shared network, and that from the global scope.

use crate::config::KeaVersion;
use crate::config::json::{Field, Map};
use crate::config::place::ConfigError;
use crate::config::timers::{CacheRule, VALID_LIFETIME};
use crate::time::Lifetime;

/// The parameters in force in one scope.
#[derive(Clone, Debug)]
pub(super) struct Inherited {
    pub(super) match_client_id: bool,
    pub(super) store_extended_info: bool,
    pub(super) replaces_client_name: bool,
    pub(super) valid_lifetime: Lifetime,
    pub(super) cache: CacheRule,
}

impl Inherited {
    /// What is in force where no scope says anything.
    pub(super) fn of(version: KeaVersion) -> Self {
        Self {
            match_client_id: true,
            store_extended_info: false,
            replaces_client_name: false,
            valid_lifetime: VALID_LIFETIME,
            cache: CacheRule::of(version),
        }
    }

    /// These with what `scope` says itself, each parameter on its own.
    pub(super) fn within(&self, scope: &Map) -> Result<Self, ConfigError> {
        let mut inner = self.clone();
        if let Some(field) = scope.get("match-client-id") {
            inner.match_client_id = field.boolean()?;
        }
        if let Some(field) = scope.get("store-extended-info") {
            inner.store_extended_info = field.boolean()?;
        }
        if let Some(field) = scope.get("ddns-replace-client-name") {
            inner.replaces_client_name = replaces_client_name(field)?;
        }
        if let Some(field) = scope.get("valid-lifetime") {
            inner.valid_lifetime = Lifetime::from_wire(wrapped(field.integer()?));
        }
        if let Some(field) = scope.get("cache-threshold") {
            inner.cache.threshold = Some(field.share()?);
        }
        if let Some(field) = scope.get("cache-max-age") {
            inner.cache.max_age = Some(wrapped(field.integer()?));
        }
        Ok(inner)
    }
}

/// Whether the server makes up a name also for a client that brings one.
fn replaces_client_name(field: Field<'_>) -> Result<bool, ConfigError> {
    match field.text()? {
        "always" | "when-present" => Ok(true),
        "never" | "when-not-present" => Ok(false),
        _ => Err(field.expected("one of always, never, when-present, when-not-present")),
    }
}

/// Kea does not look at the range of these numbers and keeps their low 32 bits, so -1 is 4294967295: forever.
fn wrapped(number: i64) -> u32 {
    number as u32
}
