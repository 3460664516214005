//! A [`Status`] as a person reads it.

use std::fmt;

use super::{Durations, Hook, Status};

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let up = (self.now - self.started).max(0.0);
        writeln!(f, "dhcp-observer {}, process {}, up {}", self.version, self.pid, Span(up))?;
        for interface in &self.interfaces {
            writeln!(f, "interface {} ({})", interface.name, interface.road)?;
        }
        let gauges: Vec<_> = self.gauges.iter().map(|(name, value)| format!("{name}={value}")).collect();
        writeln!(f, "now: {}", gauges.join(" "))?;
        for group in &super::GROUPS {
            let counts = self.counts.get(group.name).into_iter().flatten();
            let shown: Vec<_> = counts
                .filter(|(_, count)| **count > 0)
                .map(|(name, count)| format!("{name}={count}"))
                .collect();
            if !shown.is_empty() {
                writeln!(f, "{}: {}", group.name, shown.join(" "))?;
            }
        }
        for hook in &self.hooks {
            writeln!(f, "{}", Line(hook))?;
        }
        if let Some(store) = &self.store {
            let state = if store.degraded { ", DEGRADED: in memory only" } else { "" };
            write!(f, "store {}{state}: outbox={} dead={}", store.path, store.outbox, store.dead)?;
            store.counts.iter().try_for_each(|(name, count)| write!(f, " {name}={count}"))?;
            writeln!(f, "{}", Taken("commit", &store.commits))?;
        }
        Ok(())
    }
}

/// One hook in one line.
struct Line<'a>(&'a Hook);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(hook) = self;
        write!(f, "hook {} ({}): queued={} running={}", hook.name, hook.mode, hook.queued, hook.running)?;
        let counts = hook.counts.iter().filter(|(_, count)| **count > 0);
        counts.into_iter().try_for_each(|(name, count)| write!(f, " {name}={count}"))?;
        write!(f, "{}", Taken("took", &hook.durations))
    }
}

/// Median and 99th percentile, as bounds.
struct Taken<'a>(&'a str, &'a Durations);

impl fmt::Display for Taken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(what, durations) = self;
        match (durations.quantile(0.5), durations.quantile(0.99)) {
            (Some(half), Some(most)) => {
                write!(f, " {what}_p50<={} {what}_p99<={}", Span(half), Span(most))
            }
            _ => Ok(()),
        }
    }
}

/// Seconds in a form that fits their size.
struct Span(f64);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(seconds) = *self;
        if seconds.is_infinite() {
            f.write_str("more")
        } else if seconds < 1.0 {
            write!(f, "{}ms", seconds * 1_000.0)
        } else if seconds < 60.0 {
            write!(f, "{seconds:.0}s")
        } else {
            let minutes = (seconds / 60.0) as u64;
            write!(f, "{}d{:02}h{:02}m", minutes / 1_440, minutes / 60 % 24, minutes % 60)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_person_sees_what_is_not_zero() {
        let mut status =
            Status { version: "1.2".into(), pid: 7, started: 10.0, now: 100.0, ..Status::default() };
        status.add("events", "commit", 3);
        status.add("events", "decline", 0);
        status.set("leases4", 2);
        let mut hook = Hook { name: "dns".into(), mode: "exec".into(), ..Hook::default() };
        hook.durations.record(Duration::from_millis(4));
        status.hooks.push(hook);
        assert_eq!(
            status.to_string(),
            "dhcp-observer 1.2, process 7, up 0d00h01m\nnow: leases4=2\nevents: commit=3\n\
             hook dns (exec): queued=0 running=0 took_p50<=5ms took_p99<=5ms\n"
        );
    }
}
