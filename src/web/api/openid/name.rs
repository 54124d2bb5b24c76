//! Names of homeservers as they stand in user ids (Matrix appendices, "Server Name"), and what they say of the way there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The longest that a name may be, in bytes.
const NAME_BYTES_MAX: usize = 230;

/// A name that a server may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ServerName {
    /// IPv6 without its brackets.
    pub(super) host: String,
    pub(super) port: Option<u16>,
}

impl ServerName {
    /// `None`: no server has this name.
    pub(super) fn read(text: &str) -> Option<Self> {
        if text.is_empty() || text.len() > NAME_BYTES_MAX {
            return None;
        }
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => bracketed(rest)?,
            None => plain(text)?,
        };
        let port = match port {
            Some(digits) if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                Some(digits.parse::<u16>().ok().filter(|port| *port > 0)?)
            }
            Some(_) => return None,
            None => None,
        };
        Some(Self { host: host.to_ascii_lowercase(), port })
    }

    /// The address, where the name is one.
    pub(super) fn address(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    /// As it stands in a URL.
    pub(super) fn in_url(&self) -> String {
        if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() }
    }
}

/// What stands behind the first bracket of `[::1]:8448`.
fn bracketed(rest: &str) -> Option<(&str, Option<&str>)> {
    let (inside, after) = rest.split_once(']')?;
    inside.parse::<Ipv6Addr>().ok()?;
    match after.strip_prefix(':') {
        Some(port) => Some((inside, Some(port))),
        None => after.is_empty().then_some((inside, None)),
    }
}

fn plain(text: &str) -> Option<(&str, Option<&str>)> {
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    let is_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    let last = host.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    // What URLs take for an address of IPv4 has to be written as one: `127.1` and `0x7f.1` are addresses too.
    let is_number = last.starts_with(|c: char| c.is_ascii_digit());
    let is_good = if is_number { host.parse::<Ipv4Addr>().is_ok() } else { host.chars().all(is_host) };
    (!last.is_empty() && !host.starts_with('.') && is_good).then_some((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_host_and_perhaps_a_port() {
        let read = |text: &str| ServerName::read(text).map(|name| (name.host, name.port));
        assert_eq!(read("Example.org"), Some(("example.org".into(), None)));
        assert_eq!(read("example.org:8448"), Some(("example.org".into(), Some(8448))));
        assert_eq!(read("192.0.2.7:1"), Some(("192.0.2.7".into(), Some(1))));
        assert_eq!(read("[::1]"), Some(("::1".into(), None)));
        assert_eq!(read("[::1]:8"), Some(("::1".into(), Some(8))));
        let wrong = [
            "",
            ":1",
            "a:",
            "a:0",
            "a:99999",
            "a:+1",
            "a/b",
            "a@b",
            "a b",
            "a\r\nb",
            "a\0",
            "[::1",
            "::1",
            "[x]",
            "a:1:2",
            "a?b",
            "a#b",
            "[::1]x",
            "[::1]:",
            ".",
            "ä.org",
            "a%2fb",
            "127.1",
            "2130706433",
            "0x7f.1",
            "127.0.0.1.",
            "0177.0.0.1",
        ];
        for text in wrong {
            assert_eq!(read(text), None, "{text:?}");
        }
        assert_eq!(read(&"a".repeat(300)), None);
    }
}
