use koala_collector::identity::LATEST;
use koala_destination::clock;
use koala_destination::ids::{Id, IdKind};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::world::{World, shown, shuffled};

/// When the events of a stream arrive, in milliseconds since 1970: all within the seven days.
const NOW: i64 = 1_772_323_200_000;

#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    pub users: u8,
    pub emails: u8,
    pub devices: u8,
}

/// An event of few ids, so that they meet.
pub fn event(sizes: Sizes) -> impl Strategy<Value = Value> {
    let Sizes { users, emails, devices } = sizes;
    let uuid = |n: u8| format!("{n:08x}-0000-4000-8000-000000000000");
    (
        prop::sample::select(vec!["identify", "track", "track", "page", "alias"]),
        prop::option::weighted(0.4, 0..users),
        prop::option::weighted(0.4, 0..emails),
        any::<bool>(),
        prop::option::weighted(0.6, 0..devices),
        prop::option::weighted(0.25, 0..devices),
        0..6 * 24_i64,
    )
        .prop_map(move |(kind, user, email, is_loose, anonymous, profile, hour)| {
            let mut event = json!({"type": kind, "properties": {}, "traits": {}, "context": {"traits": {}}});
            if let Some(user) = user {
                event["userId"] = format!("u{user}").into();
            }
            if let Some(email) = email {
                let at = if is_loose { &mut event["properties"] } else { &mut event["context"]["traits"] };
                at["email"] = format!("e{email}@acme.com").into();
            }
            if let Some(anonymous) = anonymous {
                event["anonymousId"] = uuid(anonymous).into();
            }
            if let Some(profile) = profile {
                event[if kind == "identify" { "traits" } else { "properties" }]["profile_id"] = uuid(profile).into();
            }
            if kind == "alias" {
                event["previousId"] = format!("e{}@acme.com", hour % i64::from(emails)).into();
            }
            event["timestamp"] = clock::from_milliseconds(NOW + hour * 3_600_000).into();
            event["receivedAt"] = clock::from_milliseconds(NOW + LATEST).into();
            event
        })
}

pub fn stream(most: usize) -> impl Strategy<Value = Vec<Value>> {
    let sizes = prop::sample::select(vec![(2, 3, 3), (3, 2, 5), (8, 3, 2), (2, 13, 2), (1, 2, 9), (9, 9, 9)]);
    sizes
        .prop_flat_map(move |(users, emails, devices)| {
            prop::collection::vec(event(Sizes { users, emails, devices }), 1..most)
        })
        .prop_map(numbered)
}

fn numbered(mut events: Vec<Value>) -> Vec<Value> {
    for (number, event) in events.iter_mut().enumerate() {
        event["messageId"] = format!("m{number}").into();
    }
    events
}

proptest! {
    #[test]
    fn neither_order_nor_repetition_matters(events in stream(30), seed: u64) {
        let expected = World::of(&events);
        let mut others = shuffled(&events, seed);
        others.extend(shuffled(&events, seed.wrapping_add(1)).into_iter().take(events.len() / 2));
        let found = World::of(&others);
        prop_assert_eq!(&found.memory, &expected.memory);
        prop_assert_eq!(shown(&found.visitors()), shown(&expected.visitors()));
    }

    /// A batch claims as of its earliest event, and comes at any time.
    #[test]
    fn a_split_into_batches_matters_not(events in stream(30), seed: u64, sizes in prop::collection::vec(1_usize..8, 30)) {
        let expected = World::of(&events);
        let mut left = shuffled(&events, seed);
        let mut found = World::default();
        for size in sizes {
            let mut batch: Vec<Value> = left.drain(..size.min(left.len())).collect();
            // Within a batch, events with equal ids go in one request.
            batch.sort_by_key(crate::world::ids_of);
            for request in batch.chunk_by(|a, b| crate::world::ids_of(a) == crate::world::ids_of(b)) {
                let at = request.iter().map(crate::world::time_of).min().unwrap();
                if let Some(id) = found.memory.ingest(&crate::world::ids_of(&request[0]), at) {
                    let message = |event: &Value| (id.clone(), event["messageId"].as_str().unwrap().to_owned());
                    found.filed.extend(request.iter().map(message));
                }
            }
        }
        for event in &left {
            found.take(event);
        }
        prop_assert_eq!(&found.memory, &expected.memory);
        prop_assert_eq!(shown(&found.visitors()), shown(&expected.visitors()));
    }

    /// Known people: user ids with an address, and addresses known alone for more than seven days.
    #[test]
    fn a_forged_event_never_joins_two_known_people(events in stream(20), forged in prop::collection::vec(event(Sizes { users: 4, emails: 8, devices: 6 }), 1..30)) {
        let mut world = World::default();
        let mut known = Vec::new();
        for n in 0..4 {
            world.take(&json!({"type": "identify", "messageId": format!("u{n}"), "userId": format!("u{n}"),
                "traits": {"email": format!("own{n}@acme.com")}, "timestamp": clock::from_milliseconds(NOW - 1)}));
            known.push(Id::stored(IdKind::User, format!("u{n}")));
        }
        for n in 0..8 {
            world.take(&json!({"type": "identify", "messageId": format!("e{n}"), "traits": {"email": format!("e{n}@acme.com")},
                "timestamp": clock::from_milliseconds(NOW - 1)}));
            known.push(Id::stored(IdKind::Email, format!("e{n}@acme.com")));
        }
        events.iter().chain(&numbered(forged)).for_each(|event| world.take(event));
        let mut roots: Vec<Id> = known.iter().map(|id| world.memory.visitor_of(id)).collect();
        // u0 to u3 have an address of their own; whoever else the addresses found, it is one each.
        roots.sort();
        roots.dedup();
        prop_assert_eq!(roots.len(), known.len());
    }
}
