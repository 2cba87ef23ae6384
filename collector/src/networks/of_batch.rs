//! The guesses of a request.

use std::net::IpAddr;
use std::time::Duration;

use koala_destination::json::Object;

use super::Networks;
use crate::company::Guess;
use crate::received::Batch;

impl Networks {
    /// Looks up whose networks the addresses of a request's entries are of, within a time: what is not known by then has no guess.
    pub async fn guess_companies(&self, batch: &mut Batch, within: Duration) {
        let looking = async {
            // The entries of a request are mostly from one address.
            let mut last: Option<(IpAddr, Option<Guess>)> = None;
            for entry in &mut batch.entries {
                let Some(address) = address_of(&entry.json) else { continue };
                if last.as_ref().is_none_or(|(before, _)| *before != address) {
                    last = Some((address, self.guess(address).await));
                }
                entry.guess = last.as_ref().and_then(|(_, guess)| guess.clone());
            }
        };
        // Its end is no fault: the guesses so far stand.
        let _ = tokio::time::timeout(within, looking).await;
    }
}

/// The address that an entry came from: its `context.ip`, as Segment's events have it.
fn address_of(entry: &str) -> Option<IpAddr> {
    let entry = Object::from_json(entry)?;
    entry.get_object("context")?.get_str("ip")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_s_address_is_that_of_its_context() {
        let of = |json: &str| address_of(json).map(|address| address.to_string());
        assert_eq!(of(r#"{"context":{"ip":"192.0.2.1"}}"#).as_deref(), Some("192.0.2.1"));
        for json in [r#"{"context":{"ip":"unknown"}}"#, r#"{"context":{}}"#, "{}", "[]"] {
            assert_eq!(of(json), None, "{json}");
        }
    }
}
