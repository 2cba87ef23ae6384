//! How often somebody may try to sign in: so often from one address, and so often in all.
//!
//! A token of 32 random bytes is not guessed at any speed. What this bounds is the work, the log, and what a short-lived mistake
//! (a token that is not random) costs. The memory is bounded by the tries in all; a function has one of these in each process.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use koala_destination::clock;

/// After so long all is forgotten.
const WINDOW: Duration = Duration::from_mins(5);
/// Tries of one address in a window that did not succeed.
const MOST_OF_AN_ADDRESS: u32 = 10;
/// The same of all addresses.
const MOST_IN_ALL: u32 = 1000;

/// The tries to sign in.
#[derive(Debug, Default)]
pub struct Throttle(Mutex<Tries>);

#[derive(Debug, Default)]
struct Tries {
    /// Milliseconds since 1970.
    since: i64,
    in_all: u32,
    /// No more of them than tries in all.
    of_address: HashMap<IpAddr, u32>,
}

impl Throttle {
    /// Counts a try, and says how long to wait in its place when there were too many.
    pub fn begin(&self, address: Option<IpAddr>) -> Result<(), Duration> {
        self.tries(|tries| tries.begin(address, clock::now_milliseconds()))
    }

    /// A try that succeeded is none.
    pub fn succeeded(&self, address: Option<IpAddr>) {
        self.tries(|tries| tries.succeeded(address));
    }

    fn tries<T>(&self, with: impl FnOnce(&mut Tries) -> T) -> T {
        with(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Tries {
    fn begin(&mut self, address: Option<IpAddr>, now: i64) -> Result<(), Duration> {
        let window = i64::try_from(WINDOW.as_millis()).unwrap_or(i64::MAX);
        // A clock that was set back does not make it longer.
        if !(self.since..self.since.saturating_add(window)).contains(&now) {
            *self = Self { since: now, ..Self::default() };
        }
        let of_address =
            address.map_or(0, |address| self.of_address.get(&network(address)).copied().unwrap_or_default());
        if self.in_all >= MOST_IN_ALL || of_address >= MOST_OF_AN_ADDRESS {
            let left = self.since.saturating_add(window) - now;
            return Err(Duration::from_millis(left.unsigned_abs()));
        }
        self.in_all += 1;
        if let Some(address) = address {
            *self.of_address.entry(network(address)).or_default() += 1;
        }
        Ok(())
    }

    fn succeeded(&mut self, address: Option<IpAddr>) {
        self.in_all = self.in_all.saturating_sub(1);
        let Some(address) = address.map(network) else { return };
        if let Some(tries) = self.of_address.get_mut(&address) {
            *tries -= 1;
            if *tries == 0 {
                self.of_address.remove(&address);
            }
        }
    }
}

/// Who has an IPv6 address has all of its /64 (RFC 6177).
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000_000;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn try_all(tries: &mut Tries, address: impl Into<Option<IpAddr>>, now: i64) -> usize {
        let address = address.into();
        (0..5000).take_while(|_| tries.begin(address, now).is_ok()).count()
    }

    #[test]
    fn an_address_has_ten_tries_in_five_minutes_and_others_have_their_own() {
        let mut tries = Tries::default();
        assert_eq!(try_all(&mut tries, address("203.0.113.7"), NOW), 10);
        assert_eq!(try_all(&mut tries, address("::ffff:203.0.113.7"), NOW), 0);
        assert_eq!(try_all(&mut tries, address("203.0.113.8"), NOW), 10);
        assert_eq!(tries.begin(Some(address("203.0.113.7")), NOW + 299_000), Err(Duration::from_secs(1)));
        assert_eq!(try_all(&mut tries, address("203.0.113.7"), NOW + 300_000), 10);
    }

    #[test]
    fn all_addresses_of_an_ipv6_network_count_as_one() {
        let mut tries = Tries::default();
        assert_eq!(try_all(&mut tries, address("2001:db8::1"), NOW), 10);
        assert_eq!(try_all(&mut tries, address("2001:db8::2:1:1:1"), NOW), 0);
        assert_eq!(try_all(&mut tries, address("2001:db8:0:1::1"), NOW), 10);
    }

    #[test]
    fn there_is_an_end_in_all_and_with_it_of_the_memory() {
        let mut tries = Tries::default();
        let begun = (0..100_000_u32).filter(|n| tries.begin(Some(IpAddr::from(n.to_be_bytes())), NOW).is_ok()).count();
        assert_eq!((begun, tries.of_address.len()), (1000, 1000));
        assert_eq!(try_all(&mut Tries::default(), None, NOW), 1000);
    }

    #[test]
    fn who_signs_in_again_and_again_is_not_kept_out() {
        let mut tries = Tries::default();
        for _ in 0..5000 {
            tries.begin(Some(address("203.0.113.7")), NOW).expect("a try");
            tries.succeeded(Some(address("203.0.113.7")));
        }
        assert!(tries.of_address.is_empty());
    }

    #[test]
    fn a_clock_that_is_set_back_keeps_nobody_out() {
        let mut tries = Tries::default();
        try_all(&mut tries, address("203.0.113.7"), NOW);
        assert!(tries.begin(Some(address("203.0.113.7")), NOW - 1).is_ok());
    }
}
