//! A vendor's API that tells whose network an address is of. It is asked while an event is taken in, so it has less than a second, and its outage
//! costs nothing but the guess.

use std::fmt;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use koala_destination::environment::Variables;
use koala_destination::http_client::{self, BuildClientError};
use koala_destination::koala::USER_AGENT;
use koala_destination::public_address::is_public;
use reqwest::header::ACCEPT;
use reqwest::{StatusCode, Url, redirect};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::answers::{Answers, Remembered};
use super::fields::{Names, RecordFields};
use crate::company::Guess;

/// Where the address stands in the URL.
const PLACE: &str = "{ip}";
/// What a request may take: less than guessing for a whole batch may, so that an API that hangs is noticed.
const TIMEOUT: Duration = Duration::from_millis(750);
/// The longest answer that is read, in bytes.
const LONGEST_ANSWER: usize = 64 * 1024;
/// The most requests a minute that a setting may allow.
const MOST_PER_MINUTE: usize = 60_000;

/// Which API is asked, and what its fields are called.
#[derive(Debug, Clone)]
pub struct LookupOptions {
    url: LookupUrl,
    /// `IP_LOOKUP_PER_MINUTE`, 60: how often it is asked; what is beyond has no guess.
    per_minute: usize,
    /// `IP_LOOKUP_DOMAIN`, `IP_LOOKUP_NAME`, `IP_LOOKUP_TYPE`: where its answers say them.
    fields: RecordFields,
}

/// The URL, in which a vendor's token may stand.
#[derive(Clone)]
struct LookupUrl(SecretString);

impl fmt::Debug for LookupUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("LookupUrl(…)")
    }
}

impl LookupUrl {
    fn parse(text: &str) -> Result<Self, String> {
        let expected = || {
            Err(format!(
                "must be an https:// URL with {PLACE} where the address goes, as https://api.example.com/{PLACE}"
            ))
        };
        if !text.contains(PLACE) {
            return expected();
        }
        let Ok(url) = Url::parse(&text.trim().replace(PLACE, "192.0.2.1")) else { return expected() };
        let is_on_this_machine = url.host_str().is_some_and(|host| {
            host == "localhost" || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|it| it.is_loopback())
        });
        match url.scheme() {
            "https" => Ok(Self(text.trim().into())),
            "http" if is_on_this_machine => Ok(Self(text.trim().into())),
            _ => expected(),
        }
    }

    fn of(&self, address: IpAddr) -> Option<Url> {
        Url::parse(&self.0.expose_secret().replace(PLACE, &address.to_string())).ok()
    }
}

impl LookupOptions {
    /// Reads them from the environment; nothing where `IP_LOOKUP_URL` is not set.
    pub fn read(variables: &mut Variables<'_>) -> Option<Self> {
        let url = variables.parsed("IP_LOOKUP_URL", LookupUrl::parse);
        let per_minute = variables.number("IP_LOOKUP_PER_MINUTE", 60, 1..=MOST_PER_MINUTE);
        let names = Names { domain: "IP_LOOKUP_DOMAIN", name: "IP_LOOKUP_NAME", kind: "IP_LOOKUP_TYPE" };
        let fields = RecordFields::read(variables, names);
        url.map(|url| Self { url, per_minute, fields })
    }
}

/// The API, and what it has answered.
#[derive(Debug)]
pub struct AddressLookup {
    http: reqwest::Client,
    url: LookupUrl,
    fields: RecordFields,
    answers: Mutex<Answers>,
}

impl AddressLookup {
    /// A client for it, which follows no redirect.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(options: LookupOptions) -> Result<Self, BuildClientError> {
        let LookupOptions { url, per_minute, fields } = options;
        let http = http_client::builder()?
            .user_agent(USER_AGENT)
            .timeout(TIMEOUT)
            .redirect(redirect::Policy::none())
            .build()
            .map_err(BuildClientError::from)?;
        Ok(Self { http, url, fields, answers: Mutex::new(Answers::new(per_minute, Instant::now())) })
    }

    /// The company whose own network an address is of, by the answer of the last day or a new one. Addresses of private networks are
    /// nobody's, and are not told to a vendor.
    pub async fn guess(&self, address: IpAddr) -> Option<Guess> {
        let address = address.to_canonical();
        if !is_public(address) {
            return None;
        }
        match self.answers().look_up(address, Instant::now()) {
            Remembered::Answer(guess) => return guess,
            Remembered::NotNow => return None,
            Remembered::Ask => {}
        }
        match self.ask(address).await {
            Ok(guess) => {
                self.answers().answered(address, guess.clone(), Instant::now());
                guess
            }
            Err(reason) => {
                if self.answers().failed(Instant::now()) {
                    tracing::warn!(
                        reason,
                        "the lookup of addresses (IP_LOOKUP_URL) failed; no company is guessed until it answers"
                    );
                }
                None
            }
        }
    }

    /// Asks; a reason names nothing of the URL.
    async fn ask(&self, address: IpAddr) -> Result<Option<Guess>, String> {
        let url = self.url.of(address).ok_or("no valid URL")?;
        let request = self.http.get(url).header(ACCEPT, "application/json");
        let mut response = request.send().await.map_err(|error| what_failed(&error))?;
        match response.status() {
            StatusCode::NOT_FOUND => return Ok(None),
            status if status.is_success() => {}
            status => return Err(format!("status {status}")),
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| what_failed(&error))? {
            body.extend_from_slice(&chunk);
            if body.len() > LONGEST_ANSWER {
                return Err(format!("an answer of more than {LONGEST_ANSWER} bytes"));
            }
        }
        let answer: Value = serde_json::from_slice(&body).map_err(|_| "an answer that is not JSON".to_owned())?;
        Ok(self.fields.guess(|field| field.split('.').try_fold(&answer, |value, part| value.get(part))?.as_str()))
    }

    fn answers(&self) -> std::sync::MutexGuard<'_, Answers> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// reqwest's own words name the URL.
fn what_failed(error: &reqwest::Error) -> String {
    let what = match error {
        error if error.is_timeout() => "no answer in time",
        error if error.is_connect() => "no connection",
        _ => "the connection broke before an answer came",
    };
    what.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_https_or_of_this_machine_and_says_where_the_address_goes() {
        let is_fine = |text: &str| LookupUrl::parse(text).is_ok();
        assert!(is_fine("https://api.example.com/{ip}?token=hunter2"));
        assert!(
            is_fine("http://127.0.0.1:9/{ip}")
                && is_fine("http://[::1]:9/{ip}")
                && is_fine("http://localhost:9/?q={ip}")
        );
        for text in
            ["https://api.example.com/", "http://api.example.com/{ip}", "{ip}", "ftp://api.example.com/{ip}", ""]
        {
            let problem = LookupUrl::parse(text).expect_err("no such URL");
            assert!(problem.contains("https://") && problem.contains("{ip}"), "{text}: {problem}");
        }
        let options = LookupUrl::parse("https://api.example.com/{ip}?token=hunter2").expect("a URL");
        assert!(!format!("{options:?}").contains("hunter2"));
    }

    #[test]
    fn an_address_of_ipv6_stands_in_the_url_as_it_is_written() {
        let url = LookupUrl::parse("https://api.example.com/v1/{ip}/company?token=t").expect("a URL");
        let url = url.of("2606:4700::1111".parse().expect("an address")).expect("a URL");
        assert_eq!(url.as_str(), "https://api.example.com/v1/2606:4700::1111/company?token=t");
    }
}
