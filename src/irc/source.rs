//! Where connections come from: the local addresses of one network.
//!
//! Two kinds. Plain addresses are shared by all puppets and taken in turn. A prefix gives each puppet an
//! address of its own, so that a network can ban one person and hit nobody else:
//!
//! ```text
//!   | prefix, as configured | block: one per homeserver | number: one per user | = 128 bits
//!                                                       '---- block_bits ------'
//! ```
//!
//! Block and number are counters that are kept elsewhere and never used twice. Never falls back: where the
//! counters no longer fit, there is no address, because one shared with somebody else would be worse.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The source addresses of one network. The default one leaves the choice to the kernel. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct SourcePlan {
    addresses: Arc<[IpAddr]>,
    prefix: Option<Ipv6Prefix>,
    block_bits: u8,
    /// Whether the log has been told that the prefix is used up.
    told: Arc<AtomicBool>,
}

/// Why a source cannot be configured so, or why there is no address for somebody.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    #[error("{0:?} is no IPv6 prefix; write it like 2001:db8:1::/64")]
    NoPrefix(String),
    #[error("{0} has bits set behind its length; did you mean {1}?")]
    HostBits(String, Ipv6Prefix),
    #[error("{0} cannot give source addresses: one starts with a unicast prefix of 1 to 124 bits")]
    Unusable(String),
    #[error("blocks of 2^{bits} addresses leave no room for blocks in {prefix}; use at most {bits_max}")]
    BlockBits { prefix: Ipv6Prefix, bits: u8, bits_max: u8 },
    #[error("the source address {0} is no address of one host")]
    Address(IpAddr),
    #[error("{prefix} has no address left for user {number} of homeserver {block}; configure a larger one")]
    Outgrown { prefix: Ipv6Prefix, block: u64, number: u64 },
}

impl SourcePlan {
    /// Checks that they fit each other. `block_bits` counts only where there is a prefix: each homeserver
    /// gets a block of 2^`block_bits` addresses.
    ///
    /// # Errors
    /// Says which setting has to change.
    pub fn new(
        addresses: Vec<IpAddr>,
        prefix: Option<Ipv6Prefix>,
        block_bits: u8,
    ) -> Result<Self, SourceError> {
        if let Some(&address) = addresses.iter().find(|address| !is_one_host(**address)) {
            return Err(SourceError::Address(address));
        }
        if let Some(prefix) = prefix {
            let bits_max = prefix.host_bits() - 1;
            if block_bits == 0 || block_bits > bits_max {
                return Err(SourceError::BlockBits { prefix, bits: block_bits, bits_max });
            }
        }
        Ok(Self { addresses: addresses.into(), prefix, block_bits, told: Arc::default() })
    }

    /// The address that belongs to user `number` of homeserver `block` alone; `None` without a prefix.
    ///
    /// Two pairs never give one address. The all-zero host, which means "any router" (RFC 4291 section
    /// 2.6.1), is nobody's, so one of the two counters has to count from 1.
    ///
    /// # Errors
    /// The counters have outgrown the prefix: whoever asks gets no connection rather than a shared address.
    /// The first such error of a plan is logged.
    pub fn address(&self, block: u64, number: u64) -> Result<Option<Ipv6Addr>, SourceError> {
        let Some(prefix) = self.prefix else { return Ok(None) };
        let blocks_bits = prefix.host_bits() - self.block_bits;
        let fits = fits_in(number, self.block_bits) && fits_in(block, blocks_bits);
        // `fits` keeps the shift below the prefix, and the two apart.
        let host = if fits { u128::from(block) << self.block_bits | u128::from(number) } else { 0 };
        if host != 0 {
            return Ok(Some(Ipv6Addr::from_bits(prefix.bits | host)));
        }
        let error = SourceError::Outgrown { prefix, block, number };
        if !self.told.swap(true, Ordering::Relaxed) {
            tracing::error!(%error, "a puppet has no source address and stays away from irc");
        }
        Err(error)
    }

    /// Where a connection to `to` comes from: from `own`, else from one of the plain addresses of that
    /// family in turn, else from where the kernel likes.
    ///
    /// # Errors
    /// `Err(from)`: there are addresses, and none of the family of `to`.
    pub(super) fn towards(
        &self,
        to: SocketAddr,
        own: Option<Ipv6Addr>,
        turn: u32,
    ) -> Result<Option<IpAddr>, IpAddr> {
        let fits = |from: &IpAddr| from.is_ipv6() == to.is_ipv6();
        if let Some(own) = own.map(IpAddr::V6) {
            return if fits(&own) { Ok(Some(own)) } else { Err(own) };
        }
        let Some(&any) = self.addresses.first() else { return Ok(None) };
        let count = self.addresses.iter().filter(|from| fits(from)).count();
        let chosen = self.addresses.iter().filter(|from| fits(from)).nth(turn as usize % count.max(1));
        chosen.copied().map(Some).ok_or(any)
    }
}

fn is_one_host(address: IpAddr) -> bool {
    !address.is_unspecified() && !address.is_multicast()
}

fn fits_in(counter: u64, bits: u8) -> bool {
    bits >= 64 || counter >> bits == 0
}

/// The leading bits of a range of IPv6 addresses; all others are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv6Prefix {
    bits: u128,
    len: u8,
}

impl Ipv6Prefix {
    /// How many bits are left for hosts: 4 to 127.
    pub fn host_bits(self) -> u8 {
        128 - self.len
    }
}

impl FromStr for Ipv6Prefix {
    type Err = SourceError;

    /// Reads `2001:db8:1::/64`. What is behind the length must be zero: whoever wrote more than that meant
    /// another length, or another prefix.
    fn from_str(text: &str) -> Result<Self, SourceError> {
        let no_prefix = || SourceError::NoPrefix(text.to_owned());
        let (address, len) = text.trim().split_once('/').ok_or_else(no_prefix)?;
        let address: Ipv6Addr = address.parse().map_err(|_| no_prefix())?;
        let len: u8 = len.parse().map_err(|_| no_prefix())?;
        if !(1..=124).contains(&len) || address.is_multicast() || address.to_ipv4_mapped().is_some() {
            return Err(if len > 128 { no_prefix() } else { SourceError::Unusable(text.to_owned()) });
        }
        let bits = address.to_bits() & (u128::MAX << (128 - len));
        let prefix = Self { bits, len };
        if bits == address.to_bits() {
            Ok(prefix)
        } else {
            Err(SourceError::HostBits(text.to_owned(), prefix))
        }
    }
}

impl fmt::Display for Ipv6Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", Ipv6Addr::from_bits(self.bits), self.len)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn plan(prefix: &str, block_bits: u8) -> SourcePlan {
        SourcePlan::new(Vec::new(), Some(prefix.parse().unwrap()), block_bits).unwrap()
    }

    fn given(plan: &SourcePlan, block: u64, number: u64) -> String {
        match plan.address(block, number) {
            Ok(address) => address.expect("there is a prefix").to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_user_has_a_place_in_the_block_of_their_homeserver() {
        let plan = plan("2001:db8:1::/64", 16);
        assert_eq!(given(&plan, 0, 1), "2001:db8:1::1");
        assert_eq!(given(&plan, 1, 0), "2001:db8:1::1:0");
        assert_eq!(given(&plan, 3, 0xffff), "2001:db8:1::3:ffff");
        assert_eq!(given(&plan, 0xffff_ffff_ffff, 2), "2001:db8:1:0:ffff:ffff:ffff:2");
        assert_eq!(SourcePlan::default().address(1, 1), Ok(None));
    }

    #[test]
    fn counters_that_outgrow_the_prefix_get_no_address_and_never_somebody_elses() {
        let none = |block: u64, number: u64| {
            format!(
                "2001:db8:1::/112 has no address left for user {number} of homeserver {block}; configure a larger one"
            )
        };
        let plan = plan("2001:db8:1::/112", 8);
        assert_eq!(given(&plan, 255, 255), "2001:db8:1::ffff");
        // The all-zero host; the next user of a full block; the next block of a full prefix; nonsense.
        for (block, number) in [(0, 0), (0, 256), (256, 0), (256, 1), (u64::MAX, u64::MAX)] {
            assert_eq!(given(&plan, block, number), none(block, number));
        }
        assert!(plan.told.load(Ordering::Relaxed));
    }

    #[test]
    fn a_prefix_is_what_it_says_or_nothing() {
        let read = |text: &str| text.parse::<Ipv6Prefix>().map_err(|error| error.to_string());
        assert_eq!(read(" fd00::/8 ").unwrap().to_string(), "fd00::/8");
        assert_eq!(read("2001:DB8:0:0::/64").unwrap().to_string(), "2001:db8::/64");
        assert_eq!(
            read("2001:db8::1/64").unwrap_err(),
            "2001:db8::1/64 has bits set behind its length; did you mean 2001:db8::/64?"
        );
        for text in ["", "/", "2001:db8::", "2001:db8::/", "2001:db8::/x", "2001:db8::/-1", "10.0.0.0/8"] {
            let words = read(text).unwrap_err();
            assert_eq!(words, format!("{text:?} is no IPv6 prefix; write it like 2001:db8:1::/64"));
        }
        assert!(read("2001:db8::/300").unwrap_err().contains("is no IPv6 prefix"));
        for text in ["::/0", "2001:db8::/128", "2001:db8::/125", "ff02::/64", "::ffff:10.0.0.0/104"] {
            assert!(read(text).unwrap_err().contains("cannot give source addresses"), "{text}");
        }
    }

    #[test]
    fn settings_that_do_not_fit_each_other_are_refused() {
        let with = |bits: u8| SourcePlan::new(Vec::new(), Some("fd00::/112".parse().unwrap()), bits);
        assert!(with(1).is_ok() && with(15).is_ok());
        for bits in [0, 16, 64, 200] {
            let words = with(bits).unwrap_err().to_string();
            let expected = format!("blocks of 2^{bits} addresses leave no room for blocks in fd00::/112");
            assert_eq!(words, expected + "; use at most 15");
        }
        for address in ["0.0.0.0", "::", "224.0.0.1", "ff02::1"] {
            let address: IpAddr = address.parse().unwrap();
            assert!(matches!(SourcePlan::new(vec![address], None, 0), Err(SourceError::Address(_))));
        }
    }

    #[test]
    fn plain_addresses_take_turns_within_the_family_of_the_server() {
        let addresses = ["127.0.0.2", "fd00::2", "127.0.0.3"].map(|text| text.parse().unwrap());
        let plan = SourcePlan::new(addresses.to_vec(), None, 0).unwrap();
        let (v4, v6): (SocketAddr, SocketAddr) =
            ("127.0.0.1:6667".parse().unwrap(), "[::1]:1".parse().unwrap());
        for (turn, from) in [(0, 0), (1, 2), (2, 0), (u32::MAX, 2)] {
            assert_eq!(plan.towards(v4, None, turn), Ok(Some(addresses[from])));
            assert_eq!(plan.towards(v6, None, turn), Ok(Some(addresses[1])));
        }
        let own: Ipv6Addr = "fd00::99".parse().unwrap();
        assert_eq!(plan.towards(v6, Some(own), 0), Ok(Some(own.into())));
        assert_eq!(plan.towards(v4, Some(own), 0), Err(own.into()));

        let plan = SourcePlan::new(vec![addresses[0]], None, 0).unwrap();
        assert_eq!(plan.towards(v6, None, 5), Err(addresses[0]));
        assert_eq!(SourcePlan::default().towards(v6, None, 5), Ok(None));
    }

    proptest! {
        #[test]
        fn no_two_users_share_an_address(
            len in 1u8..=124,
            bits in any::<u8>(),
            pairs in prop::collection::hash_set((0u64..70, 0u64..70), 1..40),
        ) {
            let prefix = Ipv6Prefix { bits: 1 << 127, len };
            let bits = 1 + bits % (prefix.host_bits() - 1);
            let plan = SourcePlan::new(Vec::new(), Some(prefix), bits).unwrap();
            let mut given = HashSet::new();
            for (block, number) in pairs {
                if let Ok(address) = plan.address(block, number) {
                    let address = address.unwrap().to_bits();
                    prop_assert!(address != prefix.bits && given.insert(address));
                    prop_assert_eq!(address & (u128::MAX << (128 - len)), prefix.bits);
                }
            }
        }

        #[test]
        fn no_text_makes_a_prefix_panic(text in "[0-9a-f:./ ]{0,30}|\\PC{0,20}") {
            let _ = text.parse::<Ipv6Prefix>();
        }
    }
}
