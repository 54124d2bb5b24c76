//! Who asks: the address of the connection, or the one that a trusted proxy names.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use axum::http::HeaderMap;

/// Proxies in a row that are looked through, at most.
const HOPS_MAX: usize = 16;

/// One who asks. An IPv6 network of 64 bits is one: whoever has an address there has all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::web) struct Client(IpAddr);

/// Addresses with a common beginning: `192.0.2.7`, `10.0.0.0/8`, `2001:db8::/32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    address: IpAddr,
    bits: u32,
}

/// No address, nor a block of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no address, nor a block of addresses such as 10.0.0.0/8")]
pub struct NoBlock;

impl FromStr for Block {
    type Err = NoBlock;

    fn from_str(text: &str) -> Result<Self, NoBlock> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u32>().map_err(|_| NoBlock)?)),
            None => (text, None),
        };
        let address = address.parse::<IpAddr>().map_err(|_| NoBlock)?;
        let bits_max = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(bits_max);
        if bits > bits_max { Err(NoBlock) } else { Ok(Self { address, bits }) }
    }
}

impl Block {
    fn holds(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                let apart = ours.to_bits() ^ theirs.to_bits();
                apart.leading_zeros() >= self.bits
            }
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => {
                let apart = ours.to_bits() ^ theirs.to_bits();
                apart.leading_zeros() >= self.bits
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

/// The nearest that is no proxy of ours. `X-Forwarded-For` is read from its end, where our proxy wrote, and only as
/// far as trusted proxies go: what stands before that anybody may have written.
pub(in crate::web) fn of(peer: SocketAddr, headers: &HeaderMap, trusted: &[Block]) -> Client {
    let is_trusted = |address: IpAddr| trusted.iter().any(|block| block.holds(address));
    let mut nearest = peer.ip().to_canonical();
    let named: Vec<&str> =
        headers.get_all("x-forwarded-for").iter().filter_map(|line| line.to_str().ok()).collect();
    let hops = named.iter().rev().flat_map(|line| line.rsplit(',')).take(HOPS_MAX);
    for hop in hops {
        if !is_trusted(nearest) {
            break;
        }
        let Some(address) = address(hop.trim()) else { break };
        nearest = address;
    }
    Client(match nearest {
        IpAddr::V4(_) => nearest,
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    })
}

/// Some proxies write the port behind it.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
    bare.or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()))
        .map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_believed_where_it_is_ours() {
        let trusted: Vec<Block> =
            ["127.0.0.1", "10.0.0.0/8", "2001:db8::/32"].map(|text| text.parse().expect("a block")).into();
        let check = |peer: &str, lines: &[&str], expected: &str| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append("x-forwarded-for", line.parse().expect("a header"));
            }
            let peer = SocketAddr::new(peer.parse().expect("an address"), 4711);
            let expected = Client(expected.parse().expect("an address"));
            assert_eq!(of(peer, &headers, &trusted), expected, "{peer} {lines:?}");
        };
        check("192.0.2.1", &[], "192.0.2.1");
        check("192.0.2.1", &["198.51.100.9"], "192.0.2.1");
        check("127.0.0.1", &["198.51.100.9"], "198.51.100.9");
        check("127.0.0.1", &["1.1.1.1, 198.51.100.9"], "198.51.100.9");
        check("127.0.0.1", &["1.1.1.1", "198.51.100.9, 10.1.2.3"], "198.51.100.9");
        check("::ffff:127.0.0.1", &["[2001:db9:1:2:3::4]:99"], "2001:db9:1:2::");
        check("127.0.0.1", &["198.51.100.9:1234"], "198.51.100.9");
        check("127.0.0.1", &["nonsense"], "127.0.0.1");
        check("127.0.0.1", &["198.51.100.9, nonsense"], "127.0.0.1");
        check("127.0.0.1", &["127.0.0.1, 10.0.0.1"], "127.0.0.1");
        check("2001:db8::1", &["2003::1"], "2003::");
    }

    #[test]
    fn what_is_no_block_is_refused() {
        for text in ["", "localhost", "10.0.0.0/33", "::/129", "1.2.3.4/", "1.2.3.4/x", "1.2.3.4/-1"] {
            assert_eq!(text.parse::<Block>(), Err(NoBlock), "{text}");
        }
        let all: Block = "0.0.0.0/0".parse().expect("a block");
        assert!(all.holds("203.0.113.9".parse().expect("an address")));
    }
}
