//! A call of the script: its environment, in the order of dhclient-script(8), and our own variables behind it.

use crate::dialect::invocation::{Invocation, Strings};
use crate::dialect::variable::write_one;
use crate::dialect::{Call, observer, text};
use crate::identity::HardwareAddress;
use crate::time::Timestamp;
use crate::tracker::{Event, LeaseEvent, Place, Subject};

use super::values::Values;

/// Where dhclient lets its script look for programs (Debian's build).
pub(in crate::dialect) const PATH: &str = "/usr/sbin:/sbin:/bin:/usr/sbin:/usr/bin";

/// One call in the making.
pub(super) struct Telling<'a> {
    pub(super) reason: &'static str,
    pub(super) at: Timestamp,
    pub(super) event: Event,
    /// The event that brought it; `None` for a deadline of our own.
    pub(super) cause: Option<&'a LeaseEvent>,
    pub(super) subjects: Vec<Subject>,
    pub(super) changes: bool,
    pub(super) place: &'a Place,
    pub(super) hwaddr: Option<&'a HardwareAddress>,
    /// Option 61 or the DUID; empty where the client sent none.
    pub(super) client_id: &'a [u8],
    /// Variables with their prefix.
    pub(super) values: &'a [(&'static str, &'a Values)],
    /// Names of the options that the client asked for.
    pub(super) requested: Vec<String>,
}

impl Telling<'_> {
    pub(super) fn call(self) -> Call {
        let mut environment = Strings::with_capacity(64, 2_048);
        write_one(&mut environment, "reason", |out| out.extend_from_slice(self.reason.as_bytes()));
        write_one(&mut environment, "interface", |out| {
            let name = self.place.interface.as_ref().map_or("", |interface| &interface.name);
            out.extend_from_slice(name.as_bytes());
        });
        write_one(&mut environment, "dad_wait_time", |out| out.push(b'0'));
        write_one(&mut environment, "PATH", |out| out.extend_from_slice(PATH.as_bytes()));
        for (prefix, values) in self.values {
            values.write(&mut environment, prefix);
        }
        for name in &self.requested {
            environment.push_variable("requested_", name, |out| {
                out.push(b'1');
                true
            });
        }
        if let Some(hwaddr) = self.hwaddr.filter(|hwaddr| !hwaddr.is_empty()) {
            write_one(&mut environment, "OBSERVER_CLIENT_HWADDR", |out| text::hardware(out, Some(hwaddr)));
        }
        if !self.client_id.is_empty() {
            write_one(&mut environment, "OBSERVER_CLIENT_ID", |out| text::colon_hex(out, self.client_id));
        }
        match self.cause {
            Some(cause) => observer::write(&mut environment, cause),
            None => observer::write_deadline(&mut environment, self.event, self.place),
        }
        Call {
            word: self.reason,
            event: self.event,
            subjects: self.subjects,
            changes: self.changes,
            invocation: Invocation { at: self.at, arguments: Strings::default(), environment },
        }
    }
}
