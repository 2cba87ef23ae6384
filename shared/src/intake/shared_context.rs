//! A batch's `context`, which holds for each of its events: counted before it is copied into any of them.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use crate::json::{self, Object, ObjectWriter, RawJson};
use crate::segment::LARGEST_EVENT_BYTES;

/// The context of a batch. A field that an event has of its own counts in place of the batch's.
#[derive(Debug)]
pub struct SharedContext<'a> {
    /// How many bytes it has as it stands in the body.
    bytes: usize,
    /// None of one that no event could be given, since it is larger than an event may be.
    fields: Option<SharedFields<'a>>,
}

#[derive(Debug)]
struct SharedFields<'a> {
    object: Object<'a>,
    /// What each key's field takes when it is written.
    bytes_of: HashMap<Cow<'a, str>, usize>,
    /// What all take.
    bytes: usize,
}

/// What of a batch's context an event takes over.
#[derive(Debug)]
pub struct TakenOver<'s, 'a, 'e> {
    fields: Option<&'s Object<'a>>,
    /// The keys that the event has of its own.
    own: HashSet<&'e str>,
    /// What it adds to the event's bytes.
    pub bytes: usize,
}

impl<'a> SharedContext<'a> {
    /// Reads the context of a batch, unless it is not an object.
    pub fn of(raw: RawJson<'a>) -> Option<Self> {
        let bytes = raw.get().len();
        if json::kind(raw) != json::Kind::Object {
            return None;
        }
        if bytes > LARGEST_EVENT_BYTES {
            return Some(Self { bytes, fields: None });
        }
        let object = Object::from_raw(raw)?;
        let mut bytes_of: HashMap<Cow<'a, str>, usize> = HashMap::new();
        for (key, value) in object.entries() {
            let mut field = String::with_capacity(key.len() + 4);
            ObjectWriter::start(&mut field).key(&key);
            // A key that stands twice is written twice, as it came.
            *bytes_of.entry(key).or_default() += field.len() + value.get().len();
        }
        let all = bytes_of.values().sum();
        Some(Self { bytes, fields: Some(SharedFields { object, bytes_of, bytes: all }) })
    }

    /// A field that is an object.
    pub fn get_object(&self, key: &str) -> Option<&Object<'a>> {
        self.fields.as_ref()?.object.get_object(key)
    }

    /// Whether it has a field.
    pub fn has(&self, key: &str) -> bool {
        self.fields.as_ref().is_some_and(|fields| fields.bytes_of.contains_key(key))
    }

    /// What an event takes over that has these fields in a context of its own. The work is that of looking at its own.
    pub fn for_event<'s, 'e>(&'s self, own: Option<&'e Object<'_>>) -> TakenOver<'s, 'a, 'e> {
        let Some(shared) = &self.fields else {
            return TakenOver { fields: None, own: HashSet::new(), bytes: self.bytes };
        };
        let own = own.into_iter().flat_map(Object::iter).map(|(key, _)| key);
        let own: HashSet<&str> = own.filter(|key| shared.bytes_of.contains_key(*key)).collect();
        let theirs: usize = own.iter().filter_map(|key| shared.bytes_of.get(*key)).sum();
        TakenOver { fields: Some(&shared.object), own, bytes: shared.bytes - theirs }
    }
}

impl TakenOver<'_, '_, '_> {
    /// Writes the fields.
    pub fn write(&self, context: &mut ObjectWriter<'_>) {
        for (key, value) in self.fields.into_iter().flat_map(Object::iter).filter(|(key, _)| !self.own.contains(key)) {
            context.raw(key, value.get());
        }
    }
}
