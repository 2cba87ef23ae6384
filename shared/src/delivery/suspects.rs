//! Messages that came back again and again: an outage does that, and so does one that crashes its function.

use std::collections::HashSet;

use super::{Lane, ReceivedMessage};

/// From so many receipts on a message may have crashed its function: it is taken alone.
const RECEIPTS_OF_A_SUSPECT: u32 = 3;

/// The places of a batch's messages, in the order in which they are to be taken.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// Taken first and together.
    pub together: Vec<usize>,
    /// Taken after them, one by one, each with its lane.
    pub alone: Vec<(usize, Option<Lane>)>,
}

/// Suspects last and one by one, so that one that crashes its function takes no neighbour along. What is newer of a suspect's
/// visitor follows it: a visitor's order holds.
pub fn order(messages: &[ReceivedMessage<'_>]) -> Order {
    let is_suspect = |message: &ReceivedMessage<'_>| message.receive_count >= RECEIPTS_OF_A_SUSPECT;
    if !messages.iter().any(is_suspect) {
        return Order { together: (0..messages.len()).collect(), alone: Vec::new() };
    }
    let lanes: Vec<Option<Lane>> = messages.iter().map(|message| Lane::of(message.body)).collect();
    let suspects = messages.iter().zip(&lanes).enumerate().filter(|(_, (message, _))| is_suspect(message));
    let mut alone: Vec<(usize, Option<Lane>)> = suspects.map(|(at, (_, lane))| (at, *lane)).collect();
    let lanes_of_suspects: HashSet<Lane> = alone.iter().filter_map(|(_, lane)| *lane).collect();
    let follows = |at: usize| lanes[at].is_some_and(|lane| lanes_of_suspects.contains(&lane));
    let others = (0..messages.len()).filter(|at| !is_suspect(&messages[*at]));
    let (following, together): (Vec<usize>, Vec<usize>) = others.partition(|at| follows(*at));
    alone.extend(following.into_iter().map(|at| (at, lanes[at])));
    Order { together, alone }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Origin, accepted};
    use crate::segment::{Action, Event, Mapping};

    fn body(visitor: &str) -> String {
        let event = format!(r#"{{"type":"track","event":"A","userId":"{visitor}"}}"#);
        let event = Event::parse(&event).expect("an event");
        accepted(&event, &Mapping::preset(Action::TrackEvent), false, Origin::default()).body
    }

    #[test]
    fn messages_received_three_times_go_last_and_alone_and_what_is_newer_of_their_visitor_follows() {
        let bodies = [body("a"), body("b"), body("a"), "unreadable".to_owned(), body("c")];
        let counts = [1, 2, 3, 7, 1];
        let messages: Vec<ReceivedMessage<'_>> = bodies
            .iter()
            .zip(counts)
            .map(|(body, receive_count)| ReceivedMessage { id: "", receipt: "", body, receive_count })
            .collect();
        let order = order(&messages);
        assert_eq!(order.together, [1, 4]);
        assert_eq!(order.alone.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [2, 3, 0]);
    }
}
