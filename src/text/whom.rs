//! Whom a setting means: one person, all people of a homeserver, or everybody. And homeserver names as they are compared.
//!
//! Names of homeservers are names of the DNS: capitals make no other of them, and whoever runs `EVIL.org` runs `evil.org`.

use crate::ids::UserId;

/// Whom a setting means.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Whom {
    /// `*`
    Everybody,
    /// By its server name, in small letters.
    Homeserver(String),
    Person(UserId),
}

impl Whom {
    /// `*`, `@alice:example.org` or `example.org`. `None` for what can be none of them; whether a homeserver could have that
    /// name is not asked here.
    pub fn read(text: &str) -> Option<Self> {
        match text {
            "*" => Some(Self::Everybody),
            _ if text.starts_with('@') => UserId::new(text).map(Self::Person),
            _ if text.is_empty() || text.contains(|c: char| c.is_whitespace() || "*?@/".contains(c)) => None,
            _ => Some(Self::Homeserver(folded(text))),
        }
    }
}

/// A server name in small letters.
pub fn folded(server: &str) -> String {
    server.to_ascii_lowercase()
}

/// A word as the server name it is, in small letters; `None` for what is none.
pub fn server_name(word: &str) -> Option<String> {
    Some(folded(word)).filter(|name| is_server_name(name))
}

/// True for a host name, an IPv4 address or an IPv6 address in brackets, with or without a port (appendices, "Server Name").
pub fn is_server_name(name: &str) -> bool {
    let (host, port) = match name.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (Host::V6(host), None),
        Some((host, rest)) => (Host::V6(host), Some(rest.strip_prefix(':').unwrap_or_default())),
        None => match name.split_once(':') {
            Some((host, port)) => (Host::Name(host), Some(port)),
            None => (Host::Name(name), None),
        },
    };
    let host_is_legal = match host {
        Host::V6(host) => {
            (2..=45).contains(&host.len())
                && host.bytes().all(|b| b.is_ascii_hexdigit() || b":.".contains(&b))
        }
        Host::Name(host) => {
            let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.');
            (1..=230).contains(&host.len()) && host.bytes().all(legal) && host.bytes().any(|b| b != b'.')
        }
    };
    let is_port = |port: &str| (1..=5).contains(&port.len()) && port.bytes().all(|b| b.is_ascii_digit());
    host_is_legal && port.is_none_or(is_port)
}

enum Host<'a> {
    Name(&'a str),
    V6(&'a str),
}

/// A server name without its port: `example.org` of `example.org:8448`, `[::1]` of `[::1]:8448`.
pub fn without_port(server: &str) -> &str {
    match server.rsplit_once(':') {
        Some((host, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => {
            let is_cut_address = host.starts_with('[') && !host.ends_with(']');
            if is_cut_address { server } else { host }
        }
        Some(_) | None => server,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_name_has_a_host_and_perhaps_a_port() {
        for good in ["hs", "Example.ORG:8448", "1.2.3.4", "[::1]:80"] {
            assert_eq!(server_name(good), Some(good.to_ascii_lowercase()));
        }
        for bad in ["", ":", ".", "hs:", "hs:x", "[::1", "[]", "a b", "a_b@c", "hs\r\nQUIT"] {
            assert_eq!(server_name(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_word_means_somebody_a_homeserver_everybody_or_nobody() {
        let person = UserId::new("@Ada:hs").expect("an id");
        assert_eq!(Whom::read("*"), Some(Whom::Everybody));
        assert_eq!(Whom::read("@Ada:hs"), Some(Whom::Person(person)));
        assert_eq!(Whom::read("Example.ORG:8448"), Some(Whom::Homeserver("example.org:8448".into())));
        for bad in ["", "@ada", "*.example.org", "exam ple.org", "a?b", "ada@example.org"] {
            assert_eq!(Whom::read(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_port_is_no_part_of_the_host() {
        let hosts = ["a.org", "a.org:8448", "[::1]:8448", "[::1]", "a.org:", "a.org:x"].map(without_port);
        assert_eq!(hosts, ["a.org", "a.org", "[::1]", "[::1]", "a.org:", "a.org:x"]);
    }
}
