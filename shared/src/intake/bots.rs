//! Bots and monitors, by their user agent.
//!
//! The list is that of npm isbot (<https://github.com/omrilotan/isbot>), whose keepers hold it against user agents of crawlers,
//! monitors and headless browsers on one side and of browsers and apps on the other. `tests/clients/bots.cjs` brings it here.

use std::sync::LazyLock;

use regex::bytes::{NoExpand, Regex};

/// The part of a user agent that is looked at; those of browsers have up to 300 bytes.
const LONGEST_LOOKED_AT: usize = 1024;

/// Compiled when the first event with a user agent comes in.
static BOTS: LazyLock<Bots> = LazyLock::new(Bots::compiled);

struct Bots {
    /// What would match and is not a bot: taken out first.
    exceptions: Regex,
    patterns: Regex,
}

impl Bots {
    fn compiled() -> Self {
        let lines = || include_str!("bots.txt").lines().filter(|line| !line.starts_with('#'));
        let any = |patterns: Vec<&str>| {
            // ASCII alone: a user agent is a header's value.
            let pattern = format!("(?i-u:{})", patterns.join("|"));
            // The list is compiled into the binary: `the_list_says_what_its_source_says` holds that it is well-formed.
            Regex::new(&pattern).unwrap_or_else(|error| unreachable!("the list of bots: {error}"))
        };
        Self {
            exceptions: any(lines().filter_map(|line| line.strip_prefix('!')).collect()),
            patterns: any(lines().filter(|line| !line.starts_with('!')).collect()),
        }
    }
}

/// Whether a user agent is that of a bot, a monitor or a headless browser. An empty one says nothing.
pub fn is_bot(user_agent: &str) -> bool {
    let user_agent = &user_agent.as_bytes()[..user_agent.len().min(LONGEST_LOOKED_AT)];
    let rest = BOTS.exceptions.replace_all(user_agent, NoExpand(b""));
    !user_agent.is_empty() && BOTS.patterns.is_match(&rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_says_what_its_source_says() {
        let vectors = include_str!("../../../tests/vectors/bots.jsonl");
        let mut differ = Vec::new();
        for line in vectors.lines() {
            let vector: serde_json::Value = serde_json::from_str(line).expect("JSON");
            let user_agent = vector["user_agent"].as_str().expect("a text");
            if is_bot(user_agent) != vector["bot"] {
                differ.push(line);
            }
        }
        assert!(differ.is_empty(), "{differ:#?}");
    }

    #[test]
    fn an_empty_user_agent_is_no_bot_and_a_huge_one_is_looked_at_in_part() {
        assert!(!is_bot(""));
        assert!(is_bot(&format!("Googlebot/2.1 {}", "é".repeat(1_000_000))));
    }
}
