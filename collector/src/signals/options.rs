//! What alerts are told beside their parameters: environment variables.

use jiff::tz::TimeZone;
use koala_destination::environment::Variables;
use reqwest::Url;

use super::outbound::address::Reach;

/// How alerts are evaluated and sent.
#[derive(Debug, Clone)]
pub struct SignalsOptions {
    /// `DIGEST_TIMEZONE`, UTC: whose Monday morning it is.
    pub zone: TimeZone,
    /// `ALERTS_ALLOW_PRIVATE`, false: whether alerts may be sent within one's own network, and without TLS.
    pub reach: Reach,
    /// `PAGE_URL`: where people reach the page, for links in messages.
    pub page_url: Option<Url>,
}

impl Default for SignalsOptions {
    fn default() -> Self {
        Self { zone: TimeZone::UTC, reach: Reach::Public, page_url: None }
    }
}

impl SignalsOptions {
    /// Reads them.
    pub fn read(variables: &mut Variables<'_>) -> Self {
        let zone = variables.parsed("DIGEST_TIMEZONE", |name| {
            TimeZone::get(name.trim()).map_err(|_| {
                format!("is {name:?}; a name of the IANA time zone database is expected, as Europe/Berlin")
            })
        });
        let page_url = variables.parsed("PAGE_URL", |text| {
            let url = Url::parse(text.trim()).ok().filter(|url| matches!(url.scheme(), "https" | "http"));
            url.ok_or_else(|| format!("is {text:?}; a URL is expected, as https://koala.example.com"))
        });
        let reach = if variables.flag("ALERTS_ALLOW_PRIVATE", false) { Reach::Private } else { Reach::Public };
        Self { zone: zone.unwrap_or(TimeZone::UTC), reach, page_url }
    }

    /// The page of a company, for people.
    #[must_use]
    pub fn link_to_company(&self, key: &str) -> Option<String> {
        self.link(&["companies", key])
    }

    /// The page of a visitor, for people.
    #[must_use]
    pub fn link_to_visitor(&self, id: &str) -> Option<String> {
        self.link(&["visitors", id])
    }

    /// The page of all companies.
    #[must_use]
    pub fn link_to_all(&self) -> Option<String> {
        self.link(&[])
    }

    fn link(&self, path: &[&str]) -> Option<String> {
        let mut url = self.page_url.clone()?;
        url.path_segments_mut().ok()?.pop_if_empty().extend(path);
        // What Slack's markup parts a link from its text by; elsewhere it is the same address.
        Some(String::from(url).replace('|', "%7C"))
    }
}

#[cfg(test)]
mod tests {
    use koala_destination::environment;

    use super::*;

    #[test]
    fn a_link_leads_to_a_company_below_the_page_s_address_whatever_its_name() {
        let set = |name: &str| (name == "PAGE_URL").then(|| "https://koala.example/intent/".to_owned());
        let options = environment::read(set, SignalsOptions::read).expect("options");
        let link = options.link_to_company("acme & söhne/../?x|y").expect("a link");
        assert_eq!(link, "https://koala.example/intent/companies/acme%20&%20s%C3%B6hne%2F..%2F%3Fx%7Cy");
        assert_eq!(SignalsOptions::default().link_to_company("acme"), None);
    }

    #[test]
    fn a_time_zone_or_a_page_that_is_none_is_named() {
        let set = |name: &str| match name {
            "DIGEST_TIMEZONE" => Some("Berlin".to_owned()),
            "PAGE_URL" => Some("koala.example".to_owned()),
            _ => None,
        };
        let error = environment::read(set, SignalsOptions::read).expect_err("bad values").to_string();
        assert!(error.contains("DIGEST_TIMEZONE is \"Berlin\"; a name of the IANA"), "{error}");
        assert!(error.contains("PAGE_URL is \"koala.example\"; a URL"), "{error}");
    }
}
