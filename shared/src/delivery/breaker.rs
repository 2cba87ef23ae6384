//! The breaker: while nobody answers at the collector's address, a warm function does not find that out again with every message.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// So many requests in a row without an answer are an outage. One connection that breaks takes all requests on it with it,
/// so it is a few more than one.
const FAILURES_OF_AN_OUTAGE: u32 = 5;

/// Closed at first: requests pass. After five in a row that nobody answered, or that were told that nothing is taken now, it
/// is open: messages that have not been tried go back to the queue at once. From then on one request a pause passes as a
/// probe (half-open); the first that is answered otherwise, with whatever status, closes it. Retries of a request that has
/// begun are probes too, so a short outage ends soon.
#[derive(Debug)]
pub struct Breaker {
    pause: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy, Default)]
struct State {
    failures: u32,
    next_probe: Option<Instant>,
}

impl Breaker {
    /// A closed breaker that lets a probe through every `pause`, once it is open.
    pub fn new(pause: Duration) -> Self {
        Self { pause, state: Mutex::default() }
    }

    /// Whether a request may begin now. A yes of an open breaker is the one of this pause.
    pub fn lets_pass(&self, now: Instant) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match state.next_probe {
            Some(next_probe) if now < next_probe => false,
            Some(_) => {
                state.next_probe = Some(now + self.pause);
                true
            }
            None => true,
        }
    }

    /// The collector answered a request.
    pub fn answered(&self) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = State::default();
    }

    /// Nobody answered a request. Gives back whether this opens the breaker.
    pub fn unanswered(&self, now: Instant) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.failures = state.failures.saturating_add(1);
        if state.failures < FAILURES_OF_AN_OUTAGE || state.next_probe.is_some() {
            return false;
        }
        state.next_probe = Some(now + self.pause);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_secs(30);

    #[test]
    fn five_requests_in_a_row_without_an_answer_open_it() {
        let (breaker, now) = (Breaker::new(PAUSE), Instant::now());
        for _ in 0..4 {
            assert!(!breaker.unanswered(now));
        }
        assert!(breaker.lets_pass(now));
        assert!(breaker.unanswered(now));
        assert!(!breaker.lets_pass(now));
    }

    #[test]
    fn an_answer_in_between_starts_the_count_again() {
        let (breaker, now) = (Breaker::new(PAUSE), Instant::now());
        for _ in 0..20 {
            breaker.unanswered(now);
            breaker.answered();
        }
        assert!(breaker.lets_pass(now));
    }

    #[test]
    fn an_open_one_lets_one_probe_a_pause_through_until_one_is_answered() {
        let (breaker, now) = (Breaker::new(PAUSE), Instant::now());
        for _ in 0..5 {
            breaker.unanswered(now);
        }
        assert!(!breaker.lets_pass(now + PAUSE / 2));
        let later = now + PAUSE;
        assert_eq!([breaker.lets_pass(later), breaker.lets_pass(later)], [true, false]);
        breaker.unanswered(later);
        assert!(!breaker.lets_pass(later + PAUSE / 2));
        assert!(breaker.lets_pass(later + PAUSE));
        breaker.answered();
        assert_eq!([breaker.lets_pass(later + PAUSE), breaker.lets_pass(later + PAUSE)], [true, true]);
    }
}
