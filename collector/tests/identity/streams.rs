use std::collections::BTreeSet;

use serde_json::Value;

use crate::world::{Visitors, World, id, lines, shown, vectors};

fn expected(stream: &Value) -> Visitors {
    let visitor = |visitor: &Value| {
        let ids = visitor[0].as_array().unwrap().iter().map(id).collect();
        (ids, visitor[1].as_array().unwrap().iter().map(|message| message.as_str().unwrap().to_owned()).collect())
    };
    stream["visitors"].as_array().unwrap().iter().map(visitor).collect()
}

/// Ids that nothing was filed under and that belong to nobody are left out: whether a row of theirs is kept is the store's.
fn with_entries(visitors: Visitors) -> Visitors {
    visitors.into_iter().filter(|(ids, messages): &(BTreeSet<_>, _)| ids.len() > 1 || !messages.is_empty()).collect()
}

#[test]
fn every_random_stream_gives_the_visitors_of_the_reference() {
    let streams = match std::env::var("IDENTITY_STREAMS") {
        Ok(file) => lines(&file),
        Err(_) => vectors("identity-streams.jsonl"),
    };
    assert!(streams.len() >= 150);
    for (number, stream) in streams.iter().enumerate() {
        let found = with_entries(World::of(stream["events"].as_array().unwrap()).visitors());
        let expected = with_entries(expected(stream));
        assert!(
            found == expected,
            "stream {number}: {}\nfound\n{}\nexpected\n{}",
            stream["events"],
            shown(&found),
            shown(&expected)
        );
    }
}
