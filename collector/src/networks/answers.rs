//! What a vendor's API has answered, and when it may be asked again: pure, on a clock that is handed in.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use lru::LruCache;

use crate::company::Guess;

/// How many networks are remembered: below 2 MB with their names.
const MOST_REMEMBERED: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();
/// How long an answer holds.
const DAY: Duration = Duration::from_hours(24);
/// How long an API that failed is left alone.
const PAUSE: Duration = Duration::from_mins(1);
/// The bits of an address of IPv6 that name its network: the rest changes by itself each day (RFC 8981).
const NETWORK: u128 = !0 << 64;

/// What is known of an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remembered {
    /// The answer of the last day: a company, or none.
    Answer(Option<Guess>),
    /// Nothing yet; the API may be asked.
    Ask,
    /// Nothing yet, and the API may not be asked: it failed a moment ago, or was asked enough.
    NotNow,
}

/// The answers of a day, and a bucket of requests that fills with time.
#[derive(Debug)]
pub struct Answers {
    by_network: LruCache<IpAddr, (Instant, Option<Guess>)>,
    per_minute: f64,
    requests_left: f64,
    filled: Instant,
    paused_until: Option<Instant>,
}

impl Answers {
    /// An empty one; the first minute's requests may come at once.
    pub fn new(per_minute: usize, now: Instant) -> Self {
        let per_minute = f64::from(u32::try_from(per_minute).unwrap_or(u32::MAX));
        let by_network = LruCache::new(MOST_REMEMBERED);
        Self { by_network, per_minute, requests_left: per_minute, filled: now, paused_until: None }
    }

    /// What is known of an address. Whoever is told to ask has spent a request.
    pub fn look_up(&mut self, address: IpAddr, now: Instant) -> Remembered {
        if let Some((at, guess)) = self.by_network.get(&network(address))
            && now.saturating_duration_since(*at) < DAY
        {
            return Remembered::Answer(guess.clone());
        }
        let minutes = now.saturating_duration_since(self.filled).as_secs_f64() / 60.0;
        self.requests_left = (self.requests_left + minutes * self.per_minute).min(self.per_minute);
        self.filled = now;
        if self.paused_until.is_some_and(|until| now < until) || self.requests_left < 1.0 {
            return Remembered::NotNow;
        }
        self.requests_left -= 1.0;
        Remembered::Ask
    }

    /// The API answered.
    pub fn answered(&mut self, address: IpAddr, guess: Option<Guess>, now: Instant) {
        self.paused_until = None;
        self.by_network.put(network(address), (now, guess));
    }

    /// The API failed. Says whether it had worked before, so that an outage is logged once.
    pub fn failed(&mut self, now: Instant) -> bool {
        let first = self.paused_until.is_none();
        self.paused_until = Some(now + PAUSE);
        first
    }
}

/// What stands for all addresses of a network.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & NETWORK).into(),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn northwind() -> Guess {
        Guess { domain: "northwind.example".to_owned(), name: None }
    }

    #[test]
    fn an_answer_holds_for_a_day_also_where_it_is_no_company() {
        let start = Instant::now();
        let mut answers = Answers::new(60, start);
        let (known, unknown) = (address("192.0.2.1"), address("192.0.2.2"));
        assert_eq!(answers.look_up(known, start), Remembered::Ask);
        answers.answered(known, Some(northwind()), start);
        answers.answered(unknown, None, start);
        let later = start + Duration::from_hours(23);
        assert_eq!(answers.look_up(known, later), Remembered::Answer(Some(northwind())));
        assert_eq!(answers.look_up(unknown, later), Remembered::Answer(None));
        assert_eq!(answers.look_up(known, start + DAY), Remembered::Ask);
    }

    #[test]
    fn addresses_of_one_network_of_ipv6_are_asked_once() {
        let now = Instant::now();
        let mut answers = Answers::new(60, now);
        answers.answered(address("2001:db8:1:1::7"), Some(northwind()), now);
        assert_eq!(answers.look_up(address("2001:db8:1:1:ffff::9"), now), Remembered::Answer(Some(northwind())));
        assert_eq!(answers.look_up(address("2001:db8:1:2::7"), now), Remembered::Ask);
        answers.answered(address("::ffff:192.0.2.1"), Some(northwind()), now);
        assert_eq!(answers.look_up(address("192.0.2.1"), now), Remembered::Answer(Some(northwind())));
    }

    #[test]
    fn requests_of_a_minute_may_come_at_once_and_fill_up_with_time() {
        let now = Instant::now();
        let mut answers = Answers::new(2, now);
        let mut ask =
            |seconds: u64| answers.look_up(address("192.0.2.1"), now + Duration::from_secs(seconds)) == Remembered::Ask;
        assert_eq!([ask(0), ask(0), ask(0), ask(29), ask(31), ask(32)], [true, true, false, false, true, false]);
        assert_eq!([ask(3600), ask(3600), ask(3600)], [true, true, false]);
    }

    #[test]
    fn an_api_that_failed_is_left_alone_for_a_minute_and_its_outage_is_told_once() {
        let now = Instant::now();
        let mut answers = Answers::new(60, now);
        assert!(answers.failed(now));
        assert_eq!(answers.look_up(address("192.0.2.1"), now + PAUSE / 2), Remembered::NotNow);
        assert_eq!(answers.look_up(address("192.0.2.1"), now + PAUSE), Remembered::Ask);
        assert!(!answers.failed(now + PAUSE), "told already");
        answers.answered(address("192.0.2.1"), None, now + PAUSE * 2);
        assert!(answers.failed(now + PAUSE * 3), "it had worked");
    }

    #[test]
    fn what_is_remembered_has_a_bound() {
        let now = Instant::now();
        let mut answers = Answers::new(60, now);
        for number in 0..20_000_u32 {
            answers.answered(IpAddr::from(number.to_be_bytes()), None, now);
        }
        assert_eq!(answers.by_network.len(), MOST_REMEMBERED.get());
    }
}
