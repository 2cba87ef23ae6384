//! The address that something says of the visitor.

use std::net::IpAddr;

use crate::json::Object;

/// An object's `ip`; what is not an address is ignored.
pub fn ip_address(object: &Object<'_>) -> Option<String> {
    object.get_str("ip").as_deref().and_then(parse_ip)
}

/// A text that is an address.
pub fn parse_ip(text: &str) -> Option<String> {
    text.trim().parse::<IpAddr>().is_ok().then(|| text.trim().to_owned())
}
