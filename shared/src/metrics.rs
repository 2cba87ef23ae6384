//! Metrics in the embedded format of `CloudWatch`: a line of JSON on standard output, from which its logs make metrics
//! without a call of the function's
//! (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>).
//!
//! | metric | unit | of | what it counts |
//! |---|---|---|---|
//! | `Received`, `Accepted`, `Skipped`, `Rejected` | Count | dispatch | events |
//! | `SkippedNoMapping`, `SkippedIntegrations`, `SkippedConsent`, `SkippedBot`, `SkippedPixelInstalled` | Count | dispatch | events skipped, by reason, where there are some |
//! | `QueuedIdentifyVisitor`, `QueuedTrackEvent` | Count | dispatch | messages, by function |
//! | `Refused`, `Unavailable` | Count | dispatch | requests answered with 4xx, with 503 |
//! | `Delivered`, `Skipped`, `Retried`, `Dead` | Count | delivery | messages |
//! | `KoalaRequests`, `KoalaFailed` | Count | delivery | requests to Koala, and those that it did not take |
//! | `KoalaUnavailable`, `KeyRefused` | Count | delivery | of these, ingest suspended or host gone; key not taken |
//! | `KoalaLatency` | Milliseconds | delivery | each request's time |
//! | `SettingsAge` | Seconds | all | since the settings were read |

use std::io::Write;
use std::time::Duration;

use time::OffsetDateTime;

use crate::delivery::BatchCounts;
use crate::environment::Variables;
use crate::intake::Answer;
use crate::json::ObjectWriter;
use crate::segment::Function;

/// An array of values in the embedded format has at most 100.
const MOST_VALUES: usize = 100;

/// Where a function's metrics go: a namespace, and the function's name as the only dimension.
#[derive(Debug, Clone)]
pub struct Metrics {
    namespace: String,
    function: &'static str,
    sink: fn(&str),
}

/// One metric of a line.
enum Metric {
    Count(&'static str, usize),
    Milliseconds(&'static str, Vec<Duration>),
    Seconds(&'static str, Duration),
}

impl Metrics {
    /// Metrics of a function in the namespace `METRIC_NAMESPACE`, or `KoalaDestination`.
    #[must_use]
    pub fn new(function: &'static str, variables: &impl Variables) -> Self {
        let namespace = variables("METRIC_NAMESPACE").unwrap_or_else(|| "KoalaDestination".to_owned());
        Self { namespace, function, sink: to_standard_output }
    }

    /// The same metrics, with each line given to `sink`.
    #[must_use]
    pub fn to(self, sink: fn(&str)) -> Self {
        Self { sink, ..self }
    }

    /// Writes the line of a request to intake.
    pub fn request(&self, answer: &Answer, request_id: &str, settings_age: Option<Duration>) {
        (self.sink)(&self.request_line(answer, request_id, settings_age));
    }

    /// Writes the line of a batch of a queue.
    pub fn batch(&self, counts: &BatchCounts, request_id: &str, settings_age: Option<Duration>) {
        (self.sink)(&self.batch_line(counts, request_id, settings_age));
    }

    fn request_line(&self, answer: &Answer, request_id: &str, settings_age: Option<Duration>) -> String {
        let counts = answer.counts();
        let queued = |function: Function| counts.queued.iter().filter(|queued| **queued == function).count();
        let mut metrics = vec![
            Metric::Count("Received", counts.accepted + counts.skipped.total() + counts.rejected),
            Metric::Count("Accepted", counts.accepted),
            Metric::Count("Skipped", counts.skipped.total()),
            Metric::Count("Rejected", counts.rejected),
            Metric::Count("QueuedIdentifyVisitor", queued(Function::IdentifyVisitor)),
            Metric::Count("QueuedTrackEvent", queued(Function::TrackEvent)),
            Metric::Count("Refused", usize::from((400..500).contains(&answer.status))),
            Metric::Count("Unavailable", usize::from(answer.status >= 500)),
        ];
        metrics.extend(counts.skipped.iter().map(|(reason, count)| Metric::Count(reason.metric(), count)));
        metrics.extend(settings_age.map(|age| Metric::Seconds("SettingsAge", age)));
        self.line(request_id, &metrics)
    }

    fn batch_line(&self, counts: &BatchCounts, request_id: &str, settings_age: Option<Duration>) -> String {
        let requests = &counts.requests;
        let mut metrics = vec![
            Metric::Count("Delivered", counts.delivered),
            Metric::Count("Skipped", counts.skipped),
            Metric::Count("Retried", counts.retried),
            Metric::Count("Dead", counts.dead),
            Metric::Count("KoalaRequests", requests.latencies.len()),
            Metric::Count("KoalaFailed", requests.failed),
            Metric::Count("KoalaUnavailable", requests.unavailable),
            Metric::Count("KeyRefused", requests.key_refused),
        ];
        if !requests.latencies.is_empty() {
            metrics.push(Metric::Milliseconds("KoalaLatency", requests.latencies.clone()));
        }
        metrics.extend(settings_age.map(|age| Metric::Seconds("SettingsAge", age)));
        self.line(request_id, &metrics)
    }

    fn line(&self, request_id: &str, metrics: &[Metric]) -> String {
        let mut line = String::with_capacity(1024);
        let mut root = ObjectWriter::start(&mut line);
        let mut aws = ObjectWriter::start(root.key("_aws"));
        aws.raw("Timestamp", &(OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000).to_string());
        let directives = aws.key("CloudWatchMetrics");
        directives.push('[');
        let mut directive = ObjectWriter::start(directives);
        directive.string("Namespace", &self.namespace);
        directive.raw("Dimensions", r#"[["Function"]]"#);
        let definitions = directive.key("Metrics");
        for (at, metric) in metrics.iter().enumerate() {
            definitions.push(if at == 0 { '[' } else { ',' });
            let mut definition = ObjectWriter::start(definitions);
            definition.string("Name", metric.name());
            definition.string("Unit", metric.unit());
            definition.end();
        }
        definitions.push(']');
        directive.end();
        directives.push(']');
        aws.end();
        root.string("Function", self.function);
        root.string("request_id", request_id);
        for metric in metrics {
            root.raw(metric.name(), &metric.value());
        }
        root.end();
        line
    }
}

impl Metric {
    fn name(&self) -> &'static str {
        match self {
            Self::Count(name, _) | Self::Milliseconds(name, _) | Self::Seconds(name, _) => name,
        }
    }

    fn unit(&self) -> &'static str {
        match self {
            Self::Count(..) => "Count",
            Self::Milliseconds(..) => "Milliseconds",
            Self::Seconds(..) => "Seconds",
        }
    }

    fn value(&self) -> String {
        match self {
            Self::Count(_, count) => count.to_string(),
            Self::Seconds(_, duration) => duration.as_secs().to_string(),
            Self::Milliseconds(_, values) => {
                let values = values.iter().take(MOST_VALUES).map(|value| value.as_millis().to_string());
                format!("[{}]", values.collect::<Vec<_>>().join(","))
            }
        }
    }
}

/// One write, so that no other line comes between.
fn to_standard_output(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::delivery::KoalaRequests;

    fn read(line: &str) -> Value {
        assert!(!line.contains('\n'), "one line is one metric object");
        serde_json::from_str(line).expect("JSON")
    }

    /// The rules of the specification: what a definition names is a number, or an array of at most 100, at the root; so is
    /// each dimension as a string.
    fn holds_to_the_specification(line: &Value) {
        let aws = &line["_aws"];
        assert!(aws["Timestamp"].as_u64().is_some_and(|time| time > 1_700_000_000_000));
        let directive = &aws["CloudWatchMetrics"][0];
        assert!(directive["Namespace"].as_str().is_some_and(|name| (1..=255).contains(&name.len())));
        for dimension in directive["Dimensions"][0].as_array().expect("a dimension set") {
            assert!(line[dimension.as_str().expect("a name")].is_string());
        }
        let definitions = directive["Metrics"].as_array().expect("definitions");
        assert!(!definitions.is_empty() && definitions.len() <= 100);
        for definition in definitions {
            let value = &line[definition["Name"].as_str().expect("a name")];
            let values = value.as_array().map_or(1, Vec::len);
            assert!(value.is_number() || value.is_array() && values <= 100, "{definition} is {value}");
            assert!(["Count", "Milliseconds", "Seconds"].map(Value::from).contains(&definition["Unit"]));
        }
    }

    fn metrics() -> Metrics {
        Metrics::new("track-event", &|name: &str| {
            (name == "METRIC_NAMESPACE").then(|| "KoalaDestination/dev".to_owned())
        })
    }

    #[test]
    fn a_batch_s_line_is_of_the_embedded_format_and_has_its_counts() {
        let latencies = (0..130).map(Duration::from_millis).collect();
        let requests = KoalaRequests { latencies, failed: 4, unavailable: 2, key_refused: 1 };
        let counts = BatchCounts { delivered: 90, skipped: 1, retried: 7, dead: 2, requests };
        let line = read(&metrics().batch_line(&counts, "r-1", Some(Duration::from_secs(12))));
        holds_to_the_specification(&line);
        assert_eq!(line["_aws"]["CloudWatchMetrics"][0]["Namespace"], "KoalaDestination/dev");
        for (name, value) in [("Delivered", 90), ("Skipped", 1), ("Retried", 7), ("Dead", 2), ("KoalaRequests", 130)] {
            assert_eq!(line[name], value, "{name}");
        }
        for (name, value) in [("KoalaFailed", 4), ("KoalaUnavailable", 2), ("KeyRefused", 1), ("SettingsAge", 12)] {
            assert_eq!(line[name], value, "{name}");
        }
        assert_eq!((&line["Function"], &line["request_id"]), (&json!("track-event"), &json!("r-1")));
        assert_eq!(line["KoalaLatency"].as_array().map(Vec::len), Some(100));
    }

    #[test]
    fn a_batch_without_a_request_has_no_latency() {
        let line = read(&metrics().batch_line(&BatchCounts::default(), "r-1", None));
        holds_to_the_specification(&line);
        assert!(line.get("KoalaLatency").is_none() && line.get("SettingsAge").is_none());
    }
}
