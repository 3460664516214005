//! A [`Status`] as Prometheus reads it (OpenMetrics text).

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::{Durations, GROUPS, Hook, Status};

/// The content type of [`render`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The whole answer to a scrape.
pub fn render(status: Status) -> String {
    let mut registry = Registry::with_prefix("dhcp_observer");
    registry.register_collector(Box::new(Scrape(status)));
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = text::encode(&mut text, &registry);
    text
}

#[derive(Debug)]
struct Scrape(Status);

/// No exemplars are given.
type NoExemplar<'a> =
    Option<&'a prometheus_client::metrics::exemplar::Exemplar<[(&'a str, &'a str); 0], u64>>;

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Self(status) = self;
        gauge(
            &mut encoder,
            "start_time_seconds",
            "When the observer began, in Unix seconds",
            status.started,
        )?;
        let mut info = encoder.encode_descriptor("build", "The program", None, MetricType::Info)?;
        info.encode_info(&[("version", status.version.as_str())])?;
        for group in &GROUPS {
            let Some(counts) = status.counts.get(group.name) else { continue };
            let mut metric = encoder.encode_descriptor(group.name, group.help, None, MetricType::Counter)?;
            for (name, count) in counts {
                let labels = [(group.label, name.as_str())];
                metric.encode_family(&labels)?.encode_counter(count, NoExemplar::None)?;
            }
        }
        for (name, value) in &status.gauges {
            gauge(&mut encoder, name, "What there is at the moment", *value as f64)?;
        }
        let interfaces = "Interfaces that are observed";
        let mut metric = encoder.encode_descriptor("interface", interfaces, None, MetricType::Gauge)?;
        for interface in &status.interfaces {
            let labels = [("interface", interface.name.as_str()), ("road", interface.road.as_str())];
            metric.encode_family(&labels)?.encode_gauge(&1_u64)?;
        }
        hooks(&mut encoder, &status.hooks)?;
        if let Some(store) = &status.store {
            gauge(
                &mut encoder,
                "store_degraded",
                "1 while the disk fails",
                f64::from(u8::from(store.degraded)),
            )?;
            gauge(&mut encoder, "store_outbox", "Calls that are stored and not done", store.outbox as f64)?;
            gauge(&mut encoder, "store_dead", "Calls that were given up", store.dead as f64)?;
            let help = "What the store did";
            let mut metric = encoder.encode_descriptor("store", help, None, MetricType::Counter)?;
            for (name, count) in &store.counts {
                let labels = [("what", name.as_str())];
                metric.encode_family(&labels)?.encode_counter(count, NoExemplar::None)?;
            }
            let help = "Seconds that a transaction took from its beginning to its commit";
            let mut metric =
                encoder.encode_descriptor("store_commit_seconds", help, None, MetricType::Histogram)?;
            histogram(&mut metric, &store.commits)?;
        }
        Ok(())
    }
}

fn gauge(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: f64) -> Result<(), fmt::Error> {
    encoder.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(&value)
}

fn histogram(
    metric: &mut prometheus_client::encoding::MetricEncoder<'_>,
    durations: &Durations,
) -> Result<(), fmt::Error> {
    // The encoder itself has the sums run on from bucket to bucket, and knows the one without a bound by infinity.
    let buckets: Vec<_> = durations.buckets().collect();
    metric.encode_histogram::<[(&str, &str); 0]>(durations.sum(), durations.count(), &buckets, None)
}

fn hooks(encoder: &mut DescriptorEncoder<'_>, hooks: &[Hook]) -> Result<(), fmt::Error> {
    let help = "Calls of each hook, by what became of them";
    let mut metric = encoder.encode_descriptor("hook_calls", help, None, MetricType::Counter)?;
    for hook in hooks {
        for (name, count) in &hook.counts {
            let labels = [("hook", hook.name.as_str()), ("what", name.as_str())];
            metric.encode_family(&labels)?.encode_counter(count, NoExemplar::None)?;
        }
    }
    let help = "Calls of each hook that wait or run";
    let mut metric = encoder.encode_descriptor("hook_calls_now", help, None, MetricType::Gauge)?;
    for hook in hooks {
        for (state, count) in [("queued", hook.queued), ("running", hook.running)] {
            let labels = [("hook", hook.name.as_str()), ("state", state)];
            metric.encode_family(&labels)?.encode_gauge(&count)?;
        }
    }
    let help = "Seconds that calls of each hook took";
    let mut metric = encoder.encode_descriptor("hook_duration_seconds", help, None, MetricType::Histogram)?;
    for hook in hooks {
        let labels = [("hook", hook.name.as_str())];
        histogram(&mut metric.encode_family(&labels)?, &hook.durations)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::Store;
    use super::*;

    #[test]
    fn a_scrape_has_every_count_once_and_ends_as_openmetrics_wants() {
        let mut status = Status { version: "1.2".into(), started: 5.5, ..Status::default() };
        status.add("events", "commit", 7);
        status.add_all("kernel", [("lost", 2), ("seen", 9)]);
        status.set("leases4", 3);
        let mut hook = Hook { name: "dns \"x\"\n".into(), queued: 4, ..Hook::default() };
        hook.counts.insert("started".into(), 6);
        hook.durations.record(Duration::from_millis(3));
        status.hooks.push(hook);
        status.store = Some(Store { dead: 1, ..Store::default() });
        let text = render(status);
        for line in [
            "dhcp_observer_events_total{event=\"commit\"} 7",
            "dhcp_observer_kernel_total{outcome=\"lost\"} 2",
            "dhcp_observer_leases4 3.0",
            "dhcp_observer_build_info{version=\"1.2\"} 1",
            "dhcp_observer_hook_calls_total{hook=\"dns \\\"x\\\"\\n\",what=\"started\"} 6",
            "dhcp_observer_hook_duration_seconds_bucket{le=\"0.005\",hook=\"dns \\\"x\\\"\\n\"} 1",
            "dhcp_observer_hook_duration_seconds_bucket{le=\"+Inf\",hook=\"dns \\\"x\\\"\\n\"} 1",
            "dhcp_observer_hook_duration_seconds_count{hook=\"dns \\\"x\\\"\\n\"} 1",
            "dhcp_observer_store_dead 1.0",
            "# TYPE dhcp_observer_events counter",
        ] {
            assert_eq!(text.lines().filter(|found| *found == line).count(), 1, "{line}\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }
}
