//! A block of IPv6 addresses that is this computer's, as a hoster routes one to a server.
//!
//! Loopback has one IPv6 address only, `::1`. A local route makes every address of a block as good (`ip-route(8)`,
//! type `local`), which only root may add. `scripts/test` sees to it; by hand the test does it itself if it is root.

use std::process::Command;

/// The block, out of those for private use (RFC 4193).
pub const PREFIX: &str = "fd00:b0a:ca::/64";

/// As the kernel writes it in its table: address and length in hex.
const PREFIX_IN_TABLE: &str = "fd000b0a00ca00000000000000000000 40";

/// The block is ours for as long as this lives.
pub struct RoutedBlock {
    /// Whether it was not there before, and goes again.
    is_added: bool,
}

impl RoutedBlock {
    /// Sees to it that the block is ours.
    pub fn open() -> RoutedBlock {
        let table = std::fs::read_to_string("/proc/net/ipv6_route").expect("this computer has IPv6");
        if table.lines().any(|route| route.starts_with(PREFIX_IN_TABLE)) {
            return RoutedBlock { is_added: false };
        }
        let added = route("add");
        assert!(
            added,
            "{PREFIX} is not routed to this computer and this user may not change that: run as root, or first \
             `ip -6 route add local {PREFIX} dev lo`, as scripts/test does"
        );
        RoutedBlock { is_added: true }
    }
}

impl Drop for RoutedBlock {
    fn drop(&mut self) {
        if self.is_added {
            route("del");
        }
    }
}

fn route(action: &str) -> bool {
    let mut command = Command::new("ip");
    command.args(["-6", "route", action, "local", PREFIX, "dev", "lo"]);
    command.status().is_ok_and(|status| status.success())
}
