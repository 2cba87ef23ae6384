//! What is well-formed in a trigger and cannot work.

use super::Trigger;
use super::condition::{Condition, EventField, Part, Test};

/// The types of Segment's events (<https://segment.com/docs/connections/spec/>).
const TYPES: [&str; 6] = ["track", "identify", "page", "screen", "group", "alias"];

/// How many of the events of a type a trigger takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coverage {
    /// Every one.
    All,
    /// It depends on more than the type.
    Some,
    /// None at all.
    None,
}

impl Trigger {
    /// How many of the events of a type it takes.
    #[must_use]
    pub fn coverage(&self, kind: &str) -> Coverage {
        coverage(&self.condition, kind)
    }

    /// What is well-formed in it and cannot work.
    #[must_use]
    pub fn advice(&self) -> Vec<String> {
        let mut advice = Vec::new();
        each_test(&self.condition, &mut |field, test| match test {
            Test::Text(part @ (Part::Start | Part::End), text, false) if text.contains('*') => {
                let pattern = if *part == Part::Start { format!("{text}*") } else { format!("*{text}") };
                advice.push(format!(
                    "match(…, {pattern:?}) looks for a text with a `*` in it: one at the beginning or the end stands for any \
                     text, and no other; contains(…) finds a part anywhere"
                ));
            }
            Test::Is(kind) if field.root == "type" && !TYPES.contains(&kind.as_str()) => {
                advice.push(format!("no event of Segment's has the type {kind:?}; the types are {}", TYPES.join(", ")));
            }
            _ => {}
        });
        if advice.is_empty() && TYPES.iter().all(|kind| self.coverage(kind) == Coverage::None) {
            advice.push("can never match: no type of event fulfills it".to_owned());
        }
        advice
    }
}

fn coverage(condition: &Condition, kind: &str) -> Coverage {
    let of = |conditions: &[Condition]| conditions.iter().map(|one| coverage(one, kind)).collect::<Vec<_>>();
    match condition {
        Condition::All(conditions) => {
            let of = of(conditions);
            match () {
                () if of.contains(&Coverage::None) => Coverage::None,
                () if of.iter().all(|one| *one == Coverage::All) => Coverage::All,
                () => Coverage::Some,
            }
        }
        Condition::Any(conditions) => {
            let of = of(conditions);
            match () {
                () if of.contains(&Coverage::All) => Coverage::All,
                () if of.iter().all(|one| *one == Coverage::None) => Coverage::None,
                () => Coverage::Some,
            }
        }
        Condition::Field(EventField { root: "type", .. }, test) => {
            let holds = match test {
                Test::Is(expected) => expected == kind,
                Test::IsNot(expected) => expected != kind,
                Test::Exists => true,
                Test::IsMissing => false,
                _ => return Coverage::Some,
            };
            if holds { Coverage::All } else { Coverage::None }
        }
        Condition::Field(..) => Coverage::Some,
    }
}

fn each_test(condition: &Condition, look: &mut impl FnMut(&EventField, &Test)) {
    match condition {
        Condition::All(conditions) | Condition::Any(conditions) => {
            for one in conditions {
                each_test(one, look);
            }
        }
        Condition::Field(field, test) => look(field, test),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trigger(text: &str) -> Trigger {
        Trigger::parse(text).expect("a trigger")
    }

    #[test]
    fn a_trigger_covers_a_type_wholly_in_part_or_not_at_all() {
        for (text, track) in [
            (r#"type = "track""#, Coverage::All),
            (r#"type = "track" or type = "page""#, Coverage::All),
            (r#"type != "page""#, Coverage::All),
            (r#"type = "track" and event = "A""#, Coverage::Some),
            (r#"event = "A""#, Coverage::Some),
            (r#"type = "page" and event = "A""#, Coverage::None),
            (r#"type = "page" or event = "A""#, Coverage::Some),
        ] {
            assert_eq!(trigger(text).coverage("track"), track, "{text}");
        }
    }

    #[test]
    fn what_is_well_formed_and_never_matches_is_said() {
        for (text, says) in [
            (r#"match(event, "*mid*")"#, r#"match(…, "*mid*") looks for a text with a `*` in it"#),
            (r#"match(properties.path, "/docs/*/api*")"#, r#"match(…, "/docs/*/api*")"#),
            (r#"type = "Track""#, r#"no event of Segment's has the type "Track""#),
            (r#"type = "track" and type = "page""#, "can never match: no type of event fulfills it"),
        ] {
            let advice = trigger(text).advice();
            assert!(advice.len() == 1 && advice[0].contains(says), "{text}: {advice:?}");
        }
        for text in
            [r#"match(event, "Order*")"#, r#"match(event, "*ed")"#, r#"contains(event, "*")"#, r#"type != "Track""#]
        {
            assert!(trigger(text).advice().is_empty(), "{text}");
        }
    }
}
