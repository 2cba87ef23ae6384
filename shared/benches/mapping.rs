//! Triggers and mappings per event: one trigger's match, and an event's bytes to the bytes of Koala's entry with the two
//! presets, beside `serde_json` reading and writing the same bytes.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use koala_destination::json::Object;
use koala_destination::koala::{CollectorKind, Delivered, EntryOptions, entry};
use koala_destination::segment::{Event, Mapping, Trigger};

/// An event of 1.5 KB, as analytics.js sends them.
const TRACK: &str = include_str!("../../benches/peer/track.json");
const IDENTIFY: &str = include_str!("../../benches/peer/identify.json");

fn triggers(criterion: &mut Criterion) {
    let event = Object::from_json(TRACK).unwrap_or_default();
    let mut group = criterion.benchmark_group("trigger");
    for (name, text) in [
        ("type", "type = \"track\""),
        ("type and event", "type = \"track\" and match(event, \"Order*\")"),
        ("property", "properties.plan = \"team\""),
        ("nested context", "context.page.path != \"/pricing\""),
    ] {
        let Ok(trigger) = Trigger::parse(text) else { unreachable!("{text}") };
        group.bench_function(name, |bencher| bencher.iter(|| black_box(&trigger).matches(black_box(&event))));
    }
    group.finish();
}

fn presets(criterion: &mut Criterion) {
    let presets = Mapping::presets(CollectorKind::Koala);
    let options = EntryOptions::default();
    for (name, event) in [("track", TRACK), ("identify", IDENTIFY)] {
        let mut group = criterion.benchmark_group(format!("{name}, event bytes to entry bytes"));
        group.throughput(Throughput::Bytes(event.len() as u64));
        group.bench_function("presets", |bencher| bencher.iter(|| mapped(black_box(event), &presets, &options)));
        group.bench_function("serde_json value, read and written", |bencher| {
            bencher.iter(|| serde_json::from_str::<serde_json::Value>(black_box(event)).map(|value| value.to_string()));
        });
        group.finish();
    }
}

/// What dispatch and delivery do with an event between them: match both presets, map with the one that takes it.
fn mapped(event: &str, presets: &[Mapping], options: &EntryOptions) -> Option<String> {
    let event = Event::from_json(event).ok()?;
    let mapping = presets.iter().find(|mapping| mapping.takes(&event))?;
    let delivered = Delivered { received_at: "2026-11-20T09:15:01.150Z", another: false };
    Some(entry(&event, mapping, delivered, options).ok()?.json)
}

criterion_group!(benches, triggers, presets);
criterion_main!(benches);
