//! Metrics in the embedded format of `CloudWatch`: a line of JSON on standard output, from which its logs make metrics
//! without a call of the function's
//! (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>).
//!
//! What is counted is said by what has come to something: it has [`Figures`]. `CloudWatch` bills a metric for each hour in which
//! it has a value, whoever looks at it. So there are two kinds of figures: metrics, on which alarms are, under one dimension that
//! all functions share; and fields beside them, which queries of the logs find. What a metric of AWS's own says (requests, messages,
//! errors, durations) is no metric here. This adds the metric `SettingsStale`, 1 while the settings cannot be read again or were
//! never read, and the field `SettingsAge`, the seconds since they were.

use std::io::Write;
use std::time::Duration;

use time::OffsetDateTime;

use crate::json::ObjectWriter;
use crate::settings::Freshness;

/// A line has no more values of one name than this, so that it stays a line; an array of the embedded format has at most 100.
const MOST_VALUES: usize = 100;

/// The one dimension: the same for all functions, so that three of them cost one metric and need one alarm.
const SERVICE: &str = "koala-destination";

/// Where a function's metrics go: a namespace, and the service as the only dimension.
#[derive(Debug, Clone)]
pub struct Metrics {
    namespace: String,
    function: &'static str,
    sink: fn(&str),
}

/// What an invocation came to, in figures.
pub trait Figures {
    /// Each of them, where the settings were as fresh as that.
    fn metrics(&self, settings: Freshness) -> Vec<Metric>;
}

/// One figure under its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Metric {
    /// A metric with an alarm on it: a value each time, so that an alarm ends when it is 0.
    Alarmed(&'static str, usize),
    /// A metric of what seldom is: without a value, and without a price, where it is 0.
    Seldom(&'static str, usize),
    /// How many; a field.
    Count(&'static str, usize),
    /// How long each of several took; a field. At most 100 of them are written.
    Milliseconds(&'static str, Vec<Duration>),
    /// How long ago, or how long; a field.
    Seconds(&'static str, Duration),
}

impl Metrics {
    /// Metrics of a function in a namespace.
    #[must_use]
    pub fn new(function: &'static str, namespace: &str) -> Self {
        Self { namespace: namespace.to_owned(), function, sink: to_standard_output }
    }

    /// The same metrics, with each line given to `sink`.
    #[must_use]
    pub fn to(self, sink: fn(&str)) -> Self {
        Self { sink, ..self }
    }

    /// Writes the line of an invocation.
    pub fn write(&self, figures: &impl Figures, request_id: &str, settings: Freshness) {
        let mut metrics = figures.metrics(settings);
        metrics.push(Metric::Alarmed("SettingsStale", usize::from(settings.stale)));
        metrics.extend(settings.age.map(|age| Metric::Seconds("SettingsAge", age)));
        (self.sink)(&self.line(request_id, &metrics));
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
        directive.raw("Dimensions", r#"[["Service"]]"#);
        let definitions = directive.key("Metrics");
        definitions.push('[');
        for (at, metric) in metrics.iter().filter(|metric| metric.has_a_value()).enumerate() {
            if at > 0 {
                definitions.push(',');
            }
            let mut definition = ObjectWriter::start(definitions);
            definition.string("Name", metric.name());
            definition.string("Unit", "Count");
            definition.end();
        }
        definitions.push(']');
        directive.end();
        directives.push(']');
        aws.end();
        root.string("Service", SERVICE);
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
            Self::Alarmed(name, _)
            | Self::Seldom(name, _)
            | Self::Count(name, _)
            | Self::Milliseconds(name, _)
            | Self::Seconds(name, _) => name,
        }
    }

    /// Whether it is a metric that has a value.
    fn has_a_value(&self) -> bool {
        matches!(self, Self::Alarmed(..) | Self::Seldom(_, 1..))
    }

    fn value(&self) -> String {
        match self {
            Self::Alarmed(_, count) | Self::Seldom(_, count) | Self::Count(_, count) => count.to_string(),
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

    #[test]
    fn a_line_is_of_the_embedded_format() {
        let latencies = (0..130).map(Duration::from_millis).collect();
        let metrics = [
            Metric::Alarmed("Failing", 0),
            Metric::Count("Delivered", 90),
            Metric::Milliseconds("CollectorLatency", latencies),
            Metric::Seconds("SettingsAge", Duration::from_secs(12)),
        ];
        let line = read(&Metrics::new("track-event", "KoalaDestination/dev").line("r-1", &metrics));
        holds_to_the_specification(&line);
        assert_eq!(line["_aws"]["CloudWatchMetrics"][0]["Namespace"], "KoalaDestination/dev");
        assert_eq!((&line["Delivered"], &line["SettingsAge"]), (&json!(90), &json!(12)));
        assert_eq!((&line["Function"], &line["request_id"]), (&json!("track-event"), &json!("r-1")));
        assert_eq!(line["CollectorLatency"].as_array().map(Vec::len), Some(100));
    }

    #[test]
    fn only_what_an_alarm_is_on_is_a_metric_and_what_seldom_is_has_no_value_otherwise() {
        let metrics = [
            Metric::Count("Delivered", 1),
            Metric::Alarmed("Failing", 0),
            Metric::Seldom("Dead", 0),
            Metric::Seldom("CredentialsRefused", 2),
        ];
        let line = read(&Metrics::new("track-event", "KoalaDestination/dev").line("r-1", &metrics));
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        let defined = directive["Metrics"].as_array().expect("definitions").iter().map(|it| it["Name"].clone());
        assert_eq!(defined.collect::<Vec<_>>(), ["Failing", "CredentialsRefused"]);
        assert_eq!((&directive["Dimensions"], &line["Service"]), (&json!([["Service"]]), &json!("koala-destination")));
        assert_eq!((&line["Delivered"], &line["Dead"]), (&json!(1), &json!(0)));
    }

    struct Nothing;

    impl Figures for Nothing {
        fn metrics(&self, _: Freshness) -> Vec<Metric> {
            Vec::new()
        }
    }

    #[test]
    fn settings_that_cannot_be_read_again_are_a_metric_and_their_age_a_field() {
        static LINE: std::sync::Mutex<String> = std::sync::Mutex::new(String::new());
        let metrics = Metrics::new("dispatch", "Test").to(|line| line.clone_into(&mut LINE.lock().expect("a lock")));
        metrics.write(&Nothing, "r-1", Freshness { age: Some(Duration::from_secs(400)), stale: true });
        let line = read(&LINE.lock().expect("a lock"));
        holds_to_the_specification(&line);
        assert_eq!((&line["SettingsStale"], &line["SettingsAge"]), (&json!(1), &json!(400)));
        metrics.write(&Nothing, "r-1", Freshness { age: None, stale: false });
        let line = read(&LINE.lock().expect("a lock"));
        assert!(line["SettingsStale"] == 0 && line.get("SettingsAge").is_none());
    }
}
