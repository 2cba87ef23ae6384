//! What one request may cost, whatever is in its body: memory within a small multiple of it, and work that grows with it.
//!
//! A binary of its own, since its allocator counts. The tests take turns.
#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use http::{HeaderMap, HeaderValue};
use koala_destination::intake::{self, IntakeOptions, Outbox, OutboxError, Request};
use koala_destination::message::OutgoingMessage;
use koala_destination::settings::{Parameter, ParameterSource, SettingsCache, SourceError};
use peak_alloc::PeakAlloc;
use tokio::sync::Mutex;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

static TURN: Mutex<()> = Mutex::const_new(());

/// The largest body that is taken.
const MIB: usize = 1024 * 1024;
/// What a request may cost beside the multiple of its body: lists of at most a thousand, one event at a time, one part of the
/// messages.
const CONSTANT: usize = 2 * MIB;
const OPTIONS: IntakeOptions = IntakeOptions {
    answer_within: Duration::from_mins(2),
    max_body_bytes: MIB,
    koala_pixel_installed: false,
    forward_ip: true,
    consent_categories: &[],
};

struct Tree;

impl ParameterSource for Tree {
    async fn read(&self) -> Result<Vec<Parameter>, SourceError> {
        let tree = [
            ("public-api-key", "pk_1"),
            ("write-keys", "wk"),
            ("bearer-token", "token"),
            ("mappings/all", r#"{"trigger":"type != \"none\"","action":"track-event"}"#),
        ];
        Ok(tree.map(|(name, value)| Parameter::new(name, value)).into())
    }
}

/// Holds a copy of what it is given until it is durable, as the queues' clients do.
struct Copying;

impl Outbox for Copying {
    async fn send(&self, messages: &[OutgoingMessage]) -> Result<(), OutboxError> {
        let copy: Vec<String> = messages.iter().map(|message| message.body.clone()).collect();
        tokio::task::yield_now().await;
        drop(copy);
        Ok(())
    }
}

/// Sends a body; gives the status, the peak of memory beyond what was there before, and the time.
async fn cost(path: &str, body: &[u8], packed: bool) -> (u16, usize, Duration) {
    let settings = SettingsCache::new(Tree, Duration::from_hours(1));
    settings.current().await.unwrap();
    let mut headers = HeaderMap::new();
    let user = if path == "/v1/segment" { "Bearer token" } else { "Basic d2s6" };
    headers.insert("authorization", HeaderValue::from_static(user));
    let packed_body = packed.then(|| {
        headers.insert("content-encoding", HeaderValue::from_static("gzip"));
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap()
    });
    let body = packed_body.as_deref().unwrap_or(body);
    let source_ip = Some("203.0.113.9");
    let request = Request { id: "r-1", trace_id: "r-1", method: "POST", path, headers: &headers, source_ip, body };
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    let begun = cpu_time();
    let answer = intake::handle(&request, &settings, &Copying, OPTIONS).await;
    (answer.status, MEMORY.peak_usage() - before, cpu_time().saturating_sub(begun))
}

/// A body of about this size: its name, its route, and what is repeated in it.
fn bodies(bytes: usize) -> Vec<(&'static str, &'static str, String)> {
    let times = |piece: &str, bytes: usize| vec![piece; bytes / (piece.len() + 1)].join(",");
    let unique = |bytes: usize, value: &str| {
        let fields: Vec<String> = (0..bytes / (9 + value.len())).map(|n| format!(r#""{n:05x}":{value}"#)).collect();
        fields.join(",")
    };
    let event = r#"{"type":"track","event":"A","userId":"u"}"#;
    let many = |event: &str| times(event, (event.len() + 1) * 1000);
    let padded = |bytes: usize| format!(r#"{{"type":"track","event":"A","userId":"u","x":"{}"}}"#, "x".repeat(bytes));
    let nested = |levels: usize, bytes: usize| {
        format!("{}{{{}}}{}", r#"{"a":"#.repeat(levels), unique(bytes, "{}"), "}".repeat(levels))
    };
    let deep = |bytes: usize| format!("{}{}", "[".repeat(bytes / 2), "]".repeat(bytes / 2));
    let batch = |context: &str, events: &str| format!(r#"{{"context":{context},"batch":[{events}]}}"#);
    vec![
        // The first is what the others are compared with.
        ("plain events", "/v1/batch", batch("{}", &vec![padded(950); bytes / 1050].join(","))),
        (
            "a context of nearly all of the body",
            "/v1/batch",
            batch(&format!(r#"{{"a":"{}"}}"#, "x".repeat(bytes - 44 * 1000)), &many(event)),
        ),
        ("a context of nested objects", "/v1/batch", batch(&nested(30, bytes * 3 / 4), &times(event, bytes / 4))),
        (
            "a context of 30 KB for events of 1 KB",
            "/v1/batch",
            batch(&format!(r#"{{"a":"{}"}}"#, "x".repeat(30_000)), &vec![padded(950); bytes / 1050].join(",")),
        ),
        ("a context of equal keys", "/v1/batch", batch(&format!("{{{}}}", times(r#""a":1"#, 32_000)), &many(event))),
        ("contexts that say the same again", "/v1/batch", {
            let fields = format!("{{{}}}", unique(15_000, "1"));
            batch(
                &fields,
                &vec![format!(r#"{{"type":"track","event":"A","context":{fields}}}"#); bytes / 15_500].join(","),
            )
        }),
        ("a context of very many keys, which an event has too", "/v1/batch", {
            let own = format!("{{{}}}", unique(30_000, "1"));
            batch(
                &format!("{{{}}}", unique(bytes - 32_000, "{}")),
                &format!(r#"{{"type":"track","event":"A","context":{own}}}"#),
            )
        }),
        ("equal keys in a batch", "/v1/batch", format!(r#"{{{},"batch":[{event}]}}"#, times(r#""":1"#, bytes))),
        ("empty objects in a batch", "/v1/batch", format!(r#"{{{},"batch":[{event}]}}"#, times(r#""":{}"#, bytes))),
        (
            "known keys again and again",
            "/v1/batch",
            format!(r#"{{{},"batch":[{event}]}}"#, times(r#""context":{"a":1}"#, bytes)),
        ),
        (
            "integrations of very many",
            "/v1/batch",
            format!(r#"{{"integrations":{{{}}},"batch":[{}]}}"#, unique(bytes - 44_000, "{}"), many(event)),
        ),
        (
            "a time of nearly all of the body",
            "/v1/batch",
            format!(r#"{{"sentAt":"{}","batch":[{}]}}"#, "x".repeat(bytes - 44 * 1000), many(event)),
        ),
        ("a batch of tiny elements", "/v1/batch", batch("{}", &times("1", bytes))),
        ("a deep element and tiny ones", "/v1/segment", format!("[{},{}]", deep(400), times("1", bytes))),
        ("deep elements", "/v1/segment", format!("[{}]", vec![deep(bytes / 500); 499].join(","))),
        ("one deep event", "/v1/segment", deep(bytes)),
        ("one event of tiny fields", "/v1/track", format!("{{{}}}", times(r#""":1"#, bytes))),
        ("one event of empty objects", "/v1/segment", format!(r#"{{"type":"track",{}}}"#, times(r#""":{}"#, bytes))),
        ("events of empty objects", "/v1/segment", {
            let event = format!(r#"{{"type":"track",{}}}"#, times(r#""":{}"#, 32_000));
            format!("[{}]", vec![event; bytes / 32_100].join(","))
        }),
        ("events of many keys", "/v1/batch", {
            let event = format!(r#"{{"type":"track","event":"A","properties":{{{}}}}}"#, unique(30_000, "1"));
            batch("{}", &vec![event; bytes / 31_000].join(","))
        }),
        ("events that are too large", "/v1/segment", format!("[{}]", vec![padded(33_000); bytes / 33_100].join(","))),
        ("keys with escapes", "/v1/track", format!("{{{}}}", times(r#""\u0061\ud800":"\ud800""#, bytes))),
        (
            "characters that a queue does not take",
            "/v1/segment",
            format!(
                "[{}]",
                vec![
                    padded(0).replace(r#""x":"""#, &format!(r#""x":"{}""#, "\u{ffff}".repeat(10_000)));
                    bytes / 30_100
                ]
                .join(",")
            ),
        ),
        ("empty events", "/v1/batch", batch("{}", &vec!["{}"; 1000].join(","))),
    ]
}

#[tokio::test]
async fn the_memory_of_a_request_stays_below_eight_times_its_unpacked_body() {
    let _turn = TURN.lock().await;
    let mut too_much = Vec::new();
    for (name, path, body) in bodies(MIB - 2048) {
        assert!(body.len() <= MIB, "{name} has {} bytes", body.len());
        for packed in [false, true] {
            let (status, peak, _) = cost(path, body.as_bytes(), packed).await;
            assert!(matches!(status, 200 | 400 | 413), "{name}: {status}");
            let allowed = if body.len() > MIB / 2 { 8 * body.len() } else { 8 * body.len() + CONSTANT };
            if peak >= allowed {
                too_much.push(format!("{name}: {} KiB for {} KiB", peak / 1024, body.len() / 1024));
            }
        }
    }
    assert!(too_much.is_empty(), "{too_much:#?}");
}

#[tokio::test]
async fn gzip_that_unpacks_to_gigabytes_in_several_members_costs_no_more_than_a_body() {
    let _turn = TURN.lock().await;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(&vec![b' '; 50 * MIB]).unwrap();
    let bomb = encoder.finish().unwrap().repeat(10);
    assert!(bomb.len() < MIB, "{}", bomb.len());
    let mut headers = HeaderMap::new();
    headers.insert("content-encoding", HeaderValue::from_static("gzip"));
    let (id, trace_id, method, path) = ("r-1", "r-1", "POST", "/v1/track");
    let request = Request { id, trace_id, method, path, headers: &headers, source_ip: None, body: &bomb };
    let settings = SettingsCache::new(Tree, Duration::from_hours(1));
    settings.current().await.unwrap();
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    assert_eq!(intake::handle(&request, &settings, &Copying, OPTIONS).await.status, 413);
    assert!(MEMORY.peak_usage() - before < 4 * MIB);
}

/// The time that this thread has worked: what others do on the machine meanwhile does not count.
fn cpu_time() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.try_into().unwrap(), now.tv_nsec.try_into().unwrap())
}

/// The work of a body: the least of several runs, which was disturbed least.
async fn quickest(path: &str, body: &str) -> f64 {
    let mut quickest = Duration::MAX;
    for _ in 0..6 {
        quickest = quickest.min(cost(path, body.as_bytes(), false).await.2);
    }
    quickest.as_secs_f64()
}

/// Two comparisons, none with a clock's own figures. Four times the body is at most ten times the work; were it quadratic,
/// it would be sixteen times. And no body is much more work than one of the same size with events as everyone sends them:
/// what is quadratic within a bound would be.
#[tokio::test]
async fn the_work_of_a_request_grows_with_its_body_and_not_with_its_square() {
    let _turn = TURN.lock().await;
    let (mut plain, mut too_much) = (None, Vec::new());
    for ((name, path, small), (_, _, large)) in bodies(MIB / 4).into_iter().zip(bodies(MIB - 2048)) {
        let times = (quickest(path, &small).await, quickest(path, &large).await);
        // What takes less than a millisecond is nothing to measure.
        let growth = times.1 / times.0.max(0.001);
        let beside = times.1 / *plain.get_or_insert(times.1);
        eprintln!("{name}: {growth:.1} times for four times the size, {beside:.1} times a plain body");
        if growth > 10.0 || beside > 20.0 {
            too_much.push(name);
        }
    }
    assert!(too_much.is_empty(), "{too_much:#?}");
}
