//! Whose turn it is: the messages of a queue in lanes, one of each visitor.
//!
//! All of it is in memory and on the monotonic clock, so that no clock that is set strands or doubles anything; what is durable
//! are the messages themselves. A lane is given out whole or not at all: while some of a visitor's messages are in hand or
//! wait to be retried, its newer ones wait behind them. What costs time is one step in a map or a set, however much waits.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use koala_destination::delivery::Lane;
use tokio::time::Instant;

/// How long a lane gathers before its turn, so that a burst of one visitor goes out in one request.
const GATHERING: Duration = Duration::from_millis(100);
/// The most messages of a lane that are given out at once: three requests.
const MOST_IN_HAND: usize = 90;
/// A message that was in hand in as many crashes may be their cause.
const CRASHES_OF_A_SUSPECT: u32 = 3;
/// How suspects are tried, with nothing else beside them: so many lanes at once, so many messages of each, the narrower the more
/// crashes they were in hand in. In an outage all that is in hand is suspected after a few kills, and is tried by the lane as
/// ever; what does crash the process is alone with its crash two crashes later.
const WIDTHS: [(usize, usize); 3] = [(16, MOST_IN_HAND), (1, 9), (1, 1)];
/// How long a suspect waits after its start for the first time, doubled with each further crash, so that all others get on.
const FIRST_WAIT_OF_A_SUSPECT: Duration = Duration::from_secs(2);
/// …and at most.
const LONGEST_WAIT_OF_A_SUSPECT: Duration = Duration::from_mins(15);

/// What keeps its order among itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LaneKey {
    /// The messages of a visitor.
    Visitor(Lane),
    /// A message of nobody that is known, by its row.
    Single(i64),
}

/// A message that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Its row.
    pub id: i64,
    /// How long it was tried before this process.
    pub tried_for: Duration,
    /// Since when this process knows it.
    pub since: Instant,
    /// How often it was retried in this process.
    pub retries: u32,
    /// How often it was in hand when its process ended without a word of it.
    pub crashes: u32,
}

impl Waiting {
    /// How long it has been tried in all.
    pub fn tried_for(&self, now: Instant) -> Duration {
        self.tried_for + now.saturating_duration_since(self.since)
    }

    fn is_suspect(&self) -> bool {
        self.crashes >= CRASHES_OF_A_SUSPECT
    }

    /// How many lanes of such suspects are tried at once, and how many messages of each.
    fn width(&self) -> (usize, usize) {
        let further = usize::try_from(self.crashes.saturating_sub(CRASHES_OF_A_SUSPECT)).unwrap_or(usize::MAX);
        WIDTHS[further.min(WIDTHS.len() - 1)]
    }

    fn first_wait(&self) -> Duration {
        if !self.is_suspect() {
            return GATHERING;
        }
        let doublings = (self.crashes - CRASHES_OF_A_SUSPECT).min(16);
        FIRST_WAIT_OF_A_SUSPECT.saturating_mul(1 << doublings).min(LONGEST_WAIT_OF_A_SUSPECT)
    }
}

/// A lane that is given out.
#[derive(Debug)]
pub struct Hand {
    /// The lane.
    pub lane: LaneKey,
    /// Its oldest messages, in their order.
    pub messages: Vec<Waiting>,
}

#[derive(Debug, Default)]
struct Messages {
    waiting: VecDeque<Waiting>,
    in_hand: usize,
}

/// The lanes of one queue.
#[derive(Debug, Default)]
pub struct Schedule {
    lanes: HashMap<LaneKey, Messages>,
    ready: VecDeque<LaneKey>,
    delayed: BTreeSet<(Instant, LaneKey)>,
    lanes_in_hand: usize,
    messages_in_hand: usize,
    known: usize,
    /// Suspects are in hand: so many lanes of them may be at once, and nothing else. 0 where none are.
    lanes_of_suspects: usize,
}

impl Schedule {
    /// How many messages it knows, those in hand included.
    pub fn known(&self) -> usize {
        self.known
    }

    /// How many messages are in hand.
    pub fn in_hand(&self) -> usize {
        self.messages_in_hand
    }

    /// A message comes in, the newest of its lane.
    pub fn add(&mut self, lane: LaneKey, message: Waiting, now: Instant) {
        self.known += 1;
        let first_wait = message.first_wait();
        let messages = self.lanes.entry(lane).or_default();
        let is_new = messages.waiting.is_empty() && messages.in_hand == 0;
        messages.waiting.push_back(message);
        if is_new {
            self.delay(lane, now + first_wait);
        }
    }

    /// Gives out up to `most` lanes whose turn it is.
    pub fn take(&mut self, most: usize, now: Instant) -> Vec<Hand> {
        while let Some((until, lane)) = self.delayed.first().copied().filter(|(until, _)| *until <= now) {
            self.delayed.remove(&(until, lane));
            self.ready.push_back(lane);
        }
        let mut hands = Vec::new();
        while hands.len() < most {
            let Some(lane) = self.ready.front().copied() else { break };
            let Some(messages) = self.lanes.get_mut(&lane) else {
                self.ready.pop_front();
                continue;
            };
            let suspect = messages.waiting.front().filter(|message| message.is_suspect()).map(Waiting::width);
            let (lanes, of_each) = suspect.unwrap_or((0, MOST_IN_HAND));
            // Suspects wait until nothing else is in hand, all else waits for them, and no other lane overtakes for that long.
            let is_room = self.lanes_in_hand == 0
                || (self.lanes_of_suspects == lanes && (lanes == 0 || self.lanes_in_hand < lanes));
            if !is_room {
                break;
            }
            self.ready.pop_front();
            let is_alike = |message: &Waiting| match suspect {
                Some(width) => message.is_suspect() && message.width() == width,
                None => !message.is_suspect(),
            };
            let alike =
                messages.waiting.iter().position(|message| !is_alike(message)).unwrap_or(messages.waiting.len());
            let count = alike.min(of_each);
            let taken: Vec<Waiting> = messages.waiting.drain(..count).collect();
            messages.in_hand = taken.len();
            self.messages_in_hand += taken.len();
            self.lanes_in_hand += 1;
            self.lanes_of_suspects = lanes;
            hands.push(Hand { lane, messages: taken });
        }
        hands
    }

    /// A message that was in hand is done with, whatever became of it.
    pub fn settled(&mut self) {
        self.messages_in_hand = self.messages_in_hand.saturating_sub(1);
        self.known = self.known.saturating_sub(1);
    }

    /// A lane comes back: `retried` are the messages of the hand that are not settled, in their order, and come again after a
    /// while, together with all that is newer.
    pub fn give_back(&mut self, lane: LaneKey, retried: Vec<Waiting>, after: Duration, now: Instant) {
        self.messages_in_hand = self.messages_in_hand.saturating_sub(retried.len());
        self.lanes_in_hand = self.lanes_in_hand.saturating_sub(1);
        let Some(messages) = self.lanes.get_mut(&lane) else { return };
        messages.in_hand = 0;
        let is_delayed = !retried.is_empty();
        for message in retried.into_iter().rev() {
            messages.waiting.push_front(message);
        }
        if messages.waiting.is_empty() {
            self.lanes.remove(&lane);
        } else if is_delayed {
            self.delay(lane, now + after);
        } else {
            self.ready.push_back(lane);
        }
    }

    /// When the next lane's turn comes; nothing where none waits for a time.
    pub fn next(&self) -> Option<Instant> {
        self.delayed.first().map(|(until, _)| *until)
    }

    fn delay(&mut self, lane: LaneKey, until: Instant) {
        self.delayed.insert((until, lane));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(id: i64, crashes: u32, now: Instant) -> Waiting {
        Waiting { id, tried_for: Duration::ZERO, since: now, retries: 0, crashes }
    }

    fn ids(hands: &[Hand]) -> Vec<Vec<i64>> {
        hands.iter().map(|hand| hand.messages.iter().map(|message| message.id).collect()).collect()
    }

    /// A lane without the hash of a visitor: what holds for one holds for the other.
    const A: LaneKey = LaneKey::Single(-1);
    const B: LaneKey = LaneKey::Single(-2);

    #[test]
    fn a_lane_in_hand_or_waiting_to_be_retried_gives_nothing_to_another_consumer() {
        let (mut schedule, now) = (Schedule::default(), Instant::now());
        schedule.add(A, message(1, 0, now), now);
        schedule.add(A, message(2, 0, now), now);
        assert!(schedule.take(9, now).is_empty(), "it gathers");
        let now = now + GATHERING;
        let hands = schedule.take(9, now);
        assert_eq!(ids(&hands), [[1, 2]]);
        schedule.add(A, message(3, 0, now), now);
        schedule.add(B, message(4, 0, now), now);
        let now = now + GATHERING;
        assert_eq!(ids(&schedule.take(9, now)), [[4]]);
        // The first is delivered, the second has to be retried: it comes back with what is newer, after its delay.
        schedule.settled();
        schedule.give_back(A, vec![message(2, 0, now)], Duration::from_secs(30), now);
        assert!(schedule.take(9, now + Duration::from_secs(29)).is_empty());
        assert_eq!(ids(&schedule.take(9, now + Duration::from_secs(30))), [[2, 3]]);
    }

    #[test]
    fn what_was_in_hand_in_several_crashes_is_tried_alone() {
        let (mut schedule, now) = (Schedule::default(), Instant::now());
        schedule.add(A, message(1, 3, now), now);
        schedule.add(A, message(2, 0, now), now);
        schedule.add(B, message(3, 0, now), now);
        // It waits, so that all others get on first.
        assert_eq!(ids(&schedule.take(9, now + GATHERING)), [[3]]);
        let now = now + FIRST_WAIT_OF_A_SUSPECT;
        assert!(schedule.take(9, now).is_empty(), "another lane is in hand");
        schedule.settled();
        schedule.give_back(B, Vec::new(), Duration::ZERO, now);
        assert_eq!(ids(&schedule.take(9, now)), [[1]]);
        schedule.add(B, message(4, 0, now), now);
        assert!(schedule.take(9, now + GATHERING).is_empty(), "nothing beside it");
        schedule.settled();
        schedule.give_back(A, Vec::new(), Duration::ZERO, now);
        assert_eq!(ids(&schedule.take(9, now + GATHERING)), [[4], [2]]);
    }

    #[test]
    fn what_was_in_hand_in_three_crashes_of_an_outage_is_tried_by_the_lane() {
        let (mut schedule, now) = (Schedule::default(), Instant::now());
        for id in 0..600 {
            schedule.add(LaneKey::Single(-1 - id % 20), message(id, 3, now), now);
        }
        schedule.add(LaneKey::Single(-100), message(1000, 0, now), now + FIRST_WAIT_OF_A_SUSPECT);
        let mut now = now + FIRST_WAIT_OF_A_SUSPECT + GATHERING;
        let mut requests = 0;
        while schedule.known() > 0 {
            let hands = schedule.take(32, now);
            assert!(!hands.is_empty());
            let with_suspects = hands.iter().filter(|hand| hand.messages.iter().any(Waiting::is_suspect)).count();
            assert!(with_suspects == 0 || with_suspects == hands.len(), "nothing else beside suspects");
            for hand in hands {
                requests += 1;
                for _ in &hand.messages {
                    schedule.settled();
                }
                schedule.give_back(hand.lane, Vec::new(), Duration::ZERO, now);
            }
            now += GATHERING;
        }
        assert_eq!(requests, 21);
    }

    #[test]
    fn a_message_that_crashes_each_time_is_alone_after_two_more_crashes() {
        let now = Instant::now();
        // The crashes of thirty messages of a lane, of which the one with the id 7 ends the process.
        let mut crashes = vec![3; 30];
        for _ in 0..2 {
            let mut schedule = Schedule::default();
            for (id, crashes) in (0..).zip(&crashes) {
                schedule.add(A, message(id, *crashes, now), now);
            }
            let mut now = now + LONGEST_WAIT_OF_A_SUSPECT;
            let hand = loop {
                let mut hands = schedule.take(32, now);
                assert_eq!(hands.len(), 1);
                let hand = hands.remove(0);
                if hand.messages.iter().any(|message| message.id == 7) {
                    break hand;
                }
                for _ in &hand.messages {
                    schedule.settled();
                }
                schedule.give_back(A, Vec::new(), Duration::ZERO, now);
                now += GATHERING;
            };
            for message in hand.messages {
                crashes[usize::try_from(message.id).expect("an id")] += 1;
            }
        }
        let mut schedule = Schedule::default();
        schedule.add(A, message(7, crashes[7], now), now);
        schedule.add(A, message(8, crashes[8], now), now);
        assert_eq!(ids(&schedule.take(32, now + LONGEST_WAIT_OF_A_SUSPECT)), [[7]]);
    }

    #[test]
    fn a_hundred_thousand_messages_that_wait_cost_a_step_each() {
        let (mut schedule, now) = (Schedule::default(), Instant::now());
        for id in 0..100_000 {
            schedule.add(LaneKey::Single(id % 10_000), message(id, 0, now), now);
        }
        let begun = std::time::Instant::now();
        let mut now = now;
        let mut given = 0;
        while schedule.known() > 0 {
            now += GATHERING;
            for hand in schedule.take(32, now) {
                given += hand.messages.len();
                for _ in &hand.messages {
                    schedule.settled();
                }
                schedule.give_back(hand.lane, Vec::new(), Duration::ZERO, now);
            }
        }
        assert_eq!((given, schedule.in_hand()), (100_000, 0));
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    }
}
