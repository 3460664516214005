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

/// What there is to tell.
#[derive(Clone, Copy)]
pub(super) struct Occasion<'a> {
    pub(super) reason: &'static str,
    pub(super) at: Timestamp,
    pub(super) event: Event,
    /// The event that brought it; `None` for what is not in the client's own messages.
    pub(super) cause: Option<&'a LeaseEvent>,
    pub(super) changes: bool,
    /// Variables with their prefix.
    pub(super) values: &'a [(&'static str, &'a Values)],
}

impl<'a> Occasion<'a> {
    /// Something in a message of the client or to it.
    pub(super) fn of(cause: &'a LeaseEvent, reason: &'static str, event: Event) -> Self {
        Self { cause: Some(cause), ..Self::alone(cause.at, reason, event) }
    }

    /// Something else: a deadline of our own, or what another client has come to.
    pub(super) fn alone(at: Timestamp, reason: &'static str, event: Event) -> Self {
        Self { reason, at, event, cause: None, changes: true, values: &[] }
    }
}

/// One call in the making.
pub(super) struct Telling<'a> {
    pub(super) occasion: Occasion<'a>,
    pub(super) subjects: Vec<Subject>,
    pub(super) place: &'a Place,
    pub(super) hwaddr: Option<&'a HardwareAddress>,
    /// Option 61 or the DUID; empty where the client sent none.
    pub(super) client_id: &'a [u8],
    /// Codes of the options that the client asked for.
    pub(super) requested: &'a [u16],
    /// The name of such an option.
    pub(super) option_name: fn(u16) -> String,
}

impl Telling<'_> {
    pub(super) fn call(self) -> Call {
        let Occasion { reason, at, event, cause, changes, values } = self.occasion;
        let mut environment = Strings::with_capacity(64, 2_048);
        write_one(&mut environment, "reason", |out| out.extend_from_slice(reason.as_bytes()));
        write_one(&mut environment, "interface", |out| {
            let name = self.place.interface.as_ref().map_or("", |interface| &interface.name);
            out.extend_from_slice(name.as_bytes());
        });
        write_one(&mut environment, "dad_wait_time", |out| out.push(b'0'));
        write_one(&mut environment, "PATH", |out| out.extend_from_slice(PATH.as_bytes()));
        for (prefix, values) in values {
            values.write(&mut environment, prefix);
        }
        // What a client asks for is told together with what it gets.
        for code in self.requested.iter().filter(|_| !values.is_empty()) {
            environment.push_variable("requested_", &(self.option_name)(*code), |out| {
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
        match cause {
            Some(cause) => observer::write(&mut environment, cause),
            None => observer::write_deadline(&mut environment, event, self.place),
        }
        let invocation = Invocation { at, arguments: Strings::default(), environment };
        Call { word: reason, event, subjects: self.subjects, changes, invocation }
    }
}
