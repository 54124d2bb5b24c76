//! What URLs, server names, hosts and modes look like. Loose where the other side decides anyway.

use std::net::{IpAddr, Ipv6Addr};

/// Whether `text` is the base of an HTTP API.
pub(super) fn http_url(text: &str) -> Result<(), String> {
    let authority = ["http://", "https://"].iter().find_map(|scheme| text.strip_prefix(scheme));
    let Some(rest) = authority else {
        return Err(format!("\"{text}\" must begin with http:// or https://"));
    };
    if text.contains(|c: char| c.is_whitespace() || c.is_control() || matches!(c, '?' | '#' | '@')) {
        return Err("must be scheme, host, port and perhaps a path, nothing else".into());
    }
    let authority = rest.split('/').next().unwrap_or_default();
    if is_server_name(authority) { Ok(()) } else { Err(format!("\"{text}\" names no host")) }
}

/// `host` or `host:port`, an IPv6 address in brackets (Matrix appendices, "Server Name").
pub(super) fn is_server_name(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        Some(_) | None => (text, None),
    };
    let port_is_good = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
    let bracketed = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let host_is_good = match bracketed {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => is_host_name(host),
    };
    port_is_good && host_is_good && text.len() <= 230
}

pub(super) fn is_host_name(text: &str) -> bool {
    let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    !text.is_empty() && text.len() <= 253 && !text.starts_with(['-', '.']) && text.bytes().all(legal)
}

pub(super) fn is_host(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok() || is_host_name(text)
}

pub(super) fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Signs and letters, beginning with a sign; or nothing.
pub(super) fn is_modes(text: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphabetic() || matches!(c, '+' | '-');
    text.is_empty()
        || (text.starts_with(['+', '-']) && !text.ends_with(['+', '-']) && text.chars().all(legal))
}

/// An address, or a block of them: `192.0.2.7`, `10.0.0.0/8`, `2001:db8::/32`.
pub(super) fn is_address_block(text: &str) -> bool {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, bits.parse::<u32>().ok()),
        None => (text, Some(0)),
    };
    address.parse::<IpAddr>().is_ok_and(|address| {
        let bits_max = if address.is_ipv4() { 32 } else { 128 };
        bits.is_some_and(|bits| bits <= bits_max)
    })
}
