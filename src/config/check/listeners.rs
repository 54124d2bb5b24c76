//! Whether the bridge can listen where it is asked to, beside its port for the homeserver.

use std::net::SocketAddr;

use super::super::problem::{Findings, place};
use super::super::types::{Identd, Metrics};

/// The ident server.
pub(super) fn identd(identd: &Identd, findings: &mut Findings) {
    if let Some(text) = &identd.listen
        && !text.parse::<SocketAddr>().is_ok_and(|address| address.port() > 0)
    {
        let sentence = format!("\"{text}\" is no address with a port, such as 0.0.0.0:113 or [::]:113");
        findings.error(place!["identd", "listen"], sentence);
    }
}

/// The figures.
pub(super) fn metrics(metrics: &Metrics, findings: &mut Findings) {
    let Some(text) = &metrics.listen else { return };
    let place = place!["metrics", "listen"];
    match text.parse::<SocketAddr>() {
        Ok(address) if address.port() > 0 => {
            if !address.ip().is_loopback() {
                let sentence = "whoever reaches this address reads how much the bridge does; nobody is asked for a password";
                findings.warning(place, sentence);
            }
        }
        Ok(_) | Err(_) => {
            let sentence = format!("\"{text}\" is no address with a port, such as 127.0.0.1:9003");
            findings.error(place, sentence);
        }
    }
}
