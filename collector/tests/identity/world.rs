//! Events as they arrive, and the visitors that come of them.

use std::collections::{BTreeMap, BTreeSet};

use koala_collector::identity::memory::Memory;
use koala_collector::identity::{Decision, claim_time};
use koala_destination::clock;
use koala_destination::ids::{EventIds, Id, IdKind, MappedIds};
use koala_destination::segment::Event;
use serde_json::Value;

/// The ids of each visitor, and the messages filed under them.
pub type Visitors = BTreeMap<BTreeSet<Id>, BTreeSet<String>>;

/// A store, and what is filed in it.
#[derive(Debug, Clone, Default)]
pub struct World {
    pub memory: Memory,
    pub filed: BTreeSet<(Id, String)>,
}

impl World {
    pub fn of<'e>(events: impl IntoIterator<Item = &'e Value>) -> Self {
        let mut world = Self::default();
        events.into_iter().for_each(|event| world.take(event));
        world
    }

    /// Takes an event, or a person's decision; one that is refused changes nothing.
    pub fn take(&mut self, event: &Value) {
        if event["type"] == "operator" {
            let _ = self.memory.decide(&decision(event));
            return;
        }
        let (ids, at) = (ids_of(event), time_of(event));
        let Some(id) = self.memory.filed_under(&ids) else { return };
        if self.filed.insert((id.clone(), event["messageId"].as_str().unwrap().to_owned())) {
            assert_eq!(self.memory.ingest(&ids, at), Some(id));
        }
    }

    /// All ids by their visitors, those with nothing filed as well.
    pub fn visitors(&self) -> Visitors {
        let mut by_root: BTreeMap<Id, (BTreeSet<Id>, BTreeSet<String>)> = BTreeMap::new();
        for id in self.memory.ids() {
            by_root.entry(self.memory.visitor_of(id)).or_default().0.insert(id.clone());
        }
        for (id, message) in &self.filed {
            by_root.entry(self.memory.visitor_of(id)).or_default().1.insert(message.clone());
        }
        by_root.into_values().collect()
    }
}

pub fn ids_of(event: &Value) -> EventIds {
    let json = event.to_string();
    EventIds::of(&Event::from_json(&json).unwrap(), &MappedIds::default())
}

/// The time as of which it claims.
pub fn time_of(event: &Value) -> i64 {
    let milliseconds = |key: &str| event[key].as_str().map(|text| clock::milliseconds(text).unwrap());
    let at = milliseconds("timestamp");
    claim_time(at, milliseconds("receivedAt").or(at).unwrap())
}

pub fn id(kind_and_value: &Value) -> Id {
    let kind = IdKind::of(kind_and_value[0].as_str().unwrap()).unwrap();
    Id::stored(kind, kind_and_value[1].as_str().unwrap())
}

fn decision(event: &Value) -> Decision {
    let id = id(&event["id"]);
    match (event["do"].as_str().unwrap(), event.get("to").filter(|to| !to.is_null())) {
        ("block", _) => Decision::Block { id },
        (_, Some(to)) => Decision::Attach { id, to: self::id(to) },
        (_, None) => Decision::Detach { id },
    }
}

/// For what a person reads in a failed test: ids keep their text out of logs.
pub fn shown(visitors: &Visitors) -> String {
    let visitor = |(ids, messages): (&BTreeSet<Id>, &BTreeSet<String>)| {
        let ids: Vec<String> = ids.iter().map(|id| format!("{} {}", id.kind().name(), id.value())).collect();
        format!("{ids:?}: {messages:?}")
    };
    visitors.iter().map(visitor).collect::<Vec<_>>().join("\n")
}

pub fn lines(file: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(file).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

pub fn vectors(name: &str) -> Vec<Value> {
    lines(&format!("{}/../tests/vectors/{name}", env!("CARGO_MANIFEST_DIR")))
}

/// The same in another order.
pub fn shuffled<T: Clone>(of: &[T], seed: u64) -> Vec<T> {
    let mut of = of.to_vec();
    fastrand::Rng::with_seed(seed).shuffle(&mut of);
    of
}
