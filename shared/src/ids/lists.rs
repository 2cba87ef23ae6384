//! Values that are nobody's, and mailboxes that are no person's.

use std::cmp::Ordering;

/// Values that programs write where they have no id, in lower case, sorted.
///
/// Sources: the values that Segment recommends to block, and its examples of hard-coded ones (`anonymous`, `null`, `-1`,
/// `void`, `abc123`: <https://www.twilio.com/docs/segment/unify/identity-resolution/identity-resolution-onboarding>); the
/// distinct ids that `PostHog` refuses (<https://posthog.com/docs/data/identify>); those that Mixpanel takes for invalid
/// (<https://docs.mixpanel.com/docs/tracking-methods/id-management>); UUIDs of ones; and addresses of examples.
const NOBODYS: &[&str] = &[
    "-1",
    "a@a.com",
    "abc123",
    "anon",
    "anonymous",
    "anonymous_id",
    "anonymousid",
    "default",
    "distinct_id",
    "distinctid",
    "email",
    "email@example.com",
    "example",
    "false",
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
    "guest",
    "id",
    "n/a",
    "na",
    "nan",
    "nil",
    "none",
    "not_authenticated",
    "null",
    "test",
    "test-user",
    "test@example.com",
    "test@test.com",
    "test_user",
    "testuser",
    "true",
    "uid",
    "undefined",
    "unknown",
    "user",
    "user@example.com",
    "user_id",
    "userid",
    "username",
    "void",
];

/// What a template that nobody filled in, or an object written as text, has in it (in lower case).
const UNEXPANDED: &[&str] = &["{{", "${", "<%", "[object "];

/// What stands before the `@` of an address that a role has, not a person; sorted.
///
/// Sources: RFC 2142, sections 3 to 7 (`info`, `sales`, `abuse`, `postmaster`, `www` …), and the role-based addresses that
/// mail services do not import (<https://mailchimp.com/help/limits-on-role-based-addresses/>).
const ROLES: &[&str] = &[
    "abuse",
    "accounting",
    "accounts",
    "admin",
    "administrator",
    "all",
    "billing",
    "careers",
    "contact",
    "donotreply",
    "enquiries",
    "everyone",
    "ftp",
    "hello",
    "help",
    "helpdesk",
    "hostmaster",
    "hr",
    "info",
    "inquiries",
    "it",
    "jobs",
    "legal",
    "mail",
    "mailer-daemon",
    "marketing",
    "media",
    "news",
    "newsletter",
    "no-reply",
    "noc",
    "noreply",
    "office",
    "orders",
    "postmaster",
    "press",
    "privacy",
    "root",
    "sales",
    "security",
    "service",
    "spam",
    "subscribe",
    "support",
    "sysadmin",
    "team",
    "tech",
    "unsubscribe",
    "usenet",
    "uucp",
    "webmaster",
    "www",
];

/// Whether a value, trimmed, says nothing about who somebody is.
pub(super) fn is_nobodys(value: &str) -> bool {
    if value.bytes().all(|byte| matches!(byte, b'0' | b'-')) {
        return true; // nothing at all, 0, and UUIDs of zeros
    }
    if value.is_ascii() { listed(value) || unexpanded(value) } else { nobodys_lower(&value.to_lowercase()) }
}

#[cold]
fn nobodys_lower(lower: &str) -> bool {
    listed(lower) || unexpanded(lower)
}

fn listed(value: &str) -> bool {
    NOBODYS.binary_search_by(|listed| compare_ignoring_case(listed, value)).is_ok()
}

fn compare_ignoring_case(lower: &str, value: &str) -> Ordering {
    lower.bytes().cmp(value.bytes().map(|byte| byte.to_ascii_lowercase()))
}

fn unexpanded(value: &str) -> bool {
    value.bytes().any(|byte| matches!(byte, b'{' | b'%' | b'['))
        && UNEXPANDED
            .iter()
            .any(|form| value.as_bytes().windows(form.len()).any(|at| at.eq_ignore_ascii_case(form.as_bytes())))
}

/// Whether an address, in lower case, is a role's: what stands before the first `+` or `@` says so.
pub(super) fn is_role_mailbox(address: &str) -> bool {
    address.split(['+', '@']).next().is_some_and(|name| ROLES.binary_search(&name).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_sorted_and_in_lower_case() {
        for list in [NOBODYS, ROLES] {
            assert!(list.is_sorted());
            assert!(list.iter().all(|value| *value == value.to_lowercase()));
        }
    }

    #[test]
    fn an_object_written_as_text_is_nobody_in_any_case() {
        for value in ["[object Object]", "[OBJECT Window]", "x {{user.id}}", "${id}", "<%= id %>", "unnamed}}{{"] {
            assert!(is_nobodys(value), "{value}");
        }
        for value in ["[object]", "{user}", "$id", "50%", "unknown-7"] {
            assert!(!is_nobodys(value), "{value}");
        }
        assert!(is_nobodys("un\u{212a}nown"), "the sign of Kelvin is a k in lower case");
    }
}
