//! Domains of companies.

use std::borrow::Cow;
use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::LazyLock;

/// Domains where people, and not companies, have their mail.
static FREE_MAIL: LazyLock<HashSet<&str>> =
    LazyLock::new(|| include_str!("free_mail.txt").lines().filter(|line| !line.starts_with('#')).collect());
/// The longest name that DNS has (RFC 1035, 2.3.4).
const LONGEST: usize = 253;

/// The domain that somebody can register, by the public suffix list (<https://publicsuffix.org>), of a host, an address of the web
/// or a part behind an `@`: `acme.co.uk` of `https://www.mail.acme.co.uk/about`. Letters beyond ASCII are written as DNS has them.
#[must_use]
pub fn registrable(text: &str) -> Option<String> {
    let text = text.trim();
    let authority = text.split_once("://").map_or(text, |(_, rest)| rest).split(['/', '?', '#']).next()?;
    let host = authority.rsplit('@').next()?.split(':').next()?.trim_end_matches('.');
    if host.is_empty() || host.len() > LONGEST || host.parse::<IpAddr>().is_ok() {
        return None;
    }
    let host = idna::domain_to_ascii(host).ok()?;
    let is_label = |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let is_host = host.len() <= LONGEST && host.split('.').all(is_label);
    is_host.then(|| psl::domain_str(&host).map(str::to_owned)).flatten()
}

/// Hosts of addresses that forward to one that is hidden: everybody who signs in with them may have one.
const RELAYS: [&str; 4] = ["privaterelay.appleid.com", "users.noreply.github.com", "mozmail.com", "duck.com"];

/// The same, where it can be a company's: not one where everybody may have an address, and none for disposable addresses.
#[must_use]
pub fn of_company(text: &str) -> Option<String> {
    let domain = registrable(text)?;
    let host = text.trim().trim_end_matches('.').to_lowercase();
    let is_free = [domain.as_str(), &host].into_iter().any(|it| FREE_MAIL.contains(it) || RELAYS.contains(&it));
    (!is_free && mailchecker::is_valid(&format!("someone@{domain}"))).then_some(domain)
}

/// The company's domain that a text is by itself, neither a host below it nor an address of the web.
#[must_use]
pub fn exactly(text: &str) -> Option<String> {
    let host = idna::domain_to_ascii(text.trim().trim_end_matches('.')).ok()?;
    // Only registered suffixes count: an id may have a point in it.
    let is_listed = || psl::suffix(host.as_bytes()).is_some_and(|suffix| suffix.is_known());
    of_company(text).filter(|domain| *domain == host && is_listed())
}

/// A domain as people read it: in its own letters, with the form of DNS beside it where they are of more than one script (the
/// top-level domain's among them), since letters of two scripts may look the same.
#[must_use]
pub fn shown(domain: &str) -> Cow<'_, str> {
    if !domain.split('.').any(|label| label.starts_with("xn--")) {
        return Cow::Borrowed(domain);
    }
    match idna::domain_to_unicode(domain) {
        (_, Err(_)) => Cow::Borrowed(domain),
        (unicode, Ok(())) if unicode.chars().filter(|c| c.is_alphabetic()).all(is_latin) => Cow::Owned(unicode),
        (unicode, Ok(())) => Cow::Owned(format!("{unicode} ({domain})")),
    }
}

/// Whether a letter is Latin: ASCII, Latin-1, Latin Extended-A and -B, Latin Extended Additional. Those for phonetics look like
/// others, and are none here.
fn is_latin(letter: char) -> bool {
    matches!(letter, 'a'..='z' | 'A'..='Z' | '\u{aa}' | '\u{ba}' | '\u{c0}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}')
}

/// The company's domain of an address.
#[must_use]
pub fn of_address(email: &str) -> Option<String> {
    of_company(email.rsplit_once('@')?.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_domain_is_what_somebody_can_register() {
        for (text, domain) in [
            ("mail.acme.com", "acme.com"),
            (" https://www.Mail.Acme.co.uk:8443/about?x=1#y ", "acme.co.uk"),
            ("ada@eng.acme.com", "acme.com"),
            ("acme.com.", "acme.com"),
            ("team.acme.example", "acme.example"),
            // What people get below some domains is theirs.
            ("docs.acme.github.io", "acme.github.io"),
            ("Bücher.example", "xn--bcher-kva.example"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ] {
            assert_eq!(registrable(text).as_deref(), Some(domain), "{text}");
        }
        for text in [
            "",
            "acme",
            "co.uk",
            "github.io",
            "192.0.2.1",
            "http://[2001:db8::1]/",
            "a b.com",
            ".",
            "..",
            "-",
            "acme..com",
            "localhost",
        ] {
            assert_eq!(registrable(text), None, "{text}");
        }
        assert_eq!(registrable(&format!("{}.com", "a.".repeat(200))), None);
    }

    #[test]
    fn a_domain_is_shown_in_its_letters_and_as_dns_has_it_where_scripts_are_mixed() {
        for (domain, expected) in [
            ("acme.com", "acme.com"),
            ("xn--bcher-kva.example", "bücher.example"),
            ("xn--fiqs8s", "中国 (xn--fiqs8s)"),
            // `аррӏе.com` in Cyrillic letters, of the report on homographs that browsers changed for.
            ("xn--80ak6aa92e.com", "аррӏе.com (xn--80ak6aa92e.com)"),
            ("xn--e1afmkfd.com", "пример.com (xn--e1afmkfd.com)"),
            ("xn--a.com", "xn--a.com"),
        ] {
            assert_eq!(shown(domain), expected, "{domain}");
        }
    }

    #[test]
    fn a_text_that_is_a_domain_by_itself_is_that_one() {
        for (text, domain) in [("acme.com", "acme.com"), (" Acme.COM. ", "acme.com"), ("acme.co.uk", "acme.co.uk")] {
            assert_eq!(exactly(text).as_deref(), Some(domain), "{text}");
        }
        for text in ["eu.acme.com", "https://acme.com", "ada@acme.com", "acct.42", "v1.2", "acme", "co.uk", "gmail.com"]
        {
            assert_eq!(exactly(text), None, "{text}");
        }
    }

    #[test]
    fn free_and_disposable_mail_is_no_company_s() {
        for address in
            ["ada@gmail.com", "ada@GMX.de", "ada@mailinator.com", "ada@sub.mailinator.com", "ada", "@", "ada@"]
        {
            assert_eq!(of_address(address), None, "{address}");
        }
        for address in ["x1@privaterelay.appleid.com", "1+ada@users.noreply.github.com"] {
            assert_eq!(of_address(address), None, "{address}");
        }
        assert_eq!(of_address("ada@github.com").as_deref(), Some("github.com"));
        assert_eq!(of_address("ada@mail.acme.com").as_deref(), Some("acme.com"));
        assert_eq!((of_company("https://gmail.com"), of_company("www.yahoo.co.uk")), (None, None));
    }
}
