//! A time in which frames may have passed unseen.

use std::fmt;

use crate::time::Timestamp;

/// A time in which frames were lost, or may have been.
///
/// What was leased, renewed or released in it may be unknown, and a lease whose renewal fell into it looks older than
/// it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// No frame from before this was lost.
    pub from: Timestamp,
    /// No frame from after this was lost.
    pub until: Timestamp,
    /// How many DHCP frames were lost, where that is known.
    pub frames_lost: Option<u64>,
    /// Why.
    pub reason: GapReason,
}

/// Why frames were lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GapReason {
    /// The ring buffer was full, because the observer was slow, stopped or not running.
    RingFull {
        /// How many frames were lost for this reason since the ring was made.
        in_all: u64,
    },
    /// Nothing of ours was attached to the interface while the observer was not running: the interface was made anew, or
    /// the observer before this one attached to it in another way.
    NotAttached {
        /// The interface's name.
        interface: String,
    },
    /// The observer before this one was of another version, and left records that this one cannot read.
    OtherVersion,
    /// No observer ran, and nothing was left attached.
    NotRunning,
    /// The observer before this one died before it had stored what it had read, and the ring was written over since.
    NotStored,
    /// Promiscuous mode ends with the process: frames for other machines did not arrive while the observer was not
    /// running.
    NotPromiscuous,
}

impl GapReason {
    /// One word for it: `OBSERVER_GAP_REASON` of the event.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::RingFull { .. } => "ring-full",
            Self::NotAttached { .. } => "not-attached",
            Self::OtherVersion => "other-version",
            Self::NotRunning => "not-running",
            Self::NotPromiscuous => "not-promiscuous",
        }
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, until, frames_lost, reason } = self;
        match frames_lost {
            Some(frames) => write!(f, "{frames} DHCP frames lost")?,
            None => f.write_str("DHCP frames may have been lost")?,
        }
        if let GapReason::RingFull { in_all } = reason {
            write!(f, ", {in_all} in all")?;
        }
        match reason {
            GapReason::RingFull { .. } => f.write_str(": the ring buffer was full")?,
            GapReason::NotAttached { interface } => {
                write!(f, ": nothing was attached to {interface} while the observer was not running")?;
            }
            GapReason::NotRunning => f.write_str(": no observer ran")?,
            GapReason::OtherVersion => {
                f.write_str(": the observer before this one left records of another version")?
            }
            GapReason::NotStored => f.write_str(
                ": the observer before this one had not stored what it read, and the ring was full",
            )?,
            GapReason::NotPromiscuous => {
                f.write_str(": no interface was promiscuous while the observer was not running")?;
            }
        }
        write!(f, "; leases may be wrong (from {from} until {until})")?;
        if matches!(reason, GapReason::RingFull { .. }) {
            f.write_str(". Give it more room with --ring-size")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_one_line_with_its_number_where_there_is_one() {
        let (from, until) = (Timestamp::from_seconds(5), Timestamp::from_seconds(7));
        let full = Gap { from, until, frames_lost: Some(3), reason: GapReason::RingFull { in_all: 8 } };
        assert_eq!(
            full.to_string(),
            "3 DHCP frames lost, 8 in all: the ring buffer was full; leases may be wrong (from 5.000000000 until \
             7.000000000). Give it more room with --ring-size"
        );
        let reason = GapReason::NotAttached { interface: "eth0".to_owned() };
        let away = Gap { from, until, frames_lost: None, reason };
        assert_eq!(
            away.to_string(),
            "DHCP frames may have been lost: nothing was attached to eth0 while the observer was not running; leases \
             may be wrong (from 5.000000000 until 7.000000000)"
        );
    }
}
