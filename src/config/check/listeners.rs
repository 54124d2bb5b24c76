//! Whether the bridge can listen where it is asked to, beside its port for the homeserver.

use std::net::SocketAddr;

use super::super::problem::{Findings, place};
use super::super::syntax::{http_url, is_address_block};
use super::super::types::{Identd, Media, Metrics};

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

/// The media proxy.
pub(super) fn media(media: &Media, findings: &mut Findings) {
    for (nth, block) in media.trusted_proxies.iter().enumerate() {
        if !is_address_block(block) {
            let sentence = format!("\"{block}\" is no address, nor a block of addresses such as 10.0.0.0/8");
            findings.error(place!["media", "trusted_proxies", nth], sentence);
        }
    }
    if let Some(url) = &media.public_url
        && let Err(why) = http_url(url)
    {
        findings.error(place!["media", "public_url"], why);
    }
    let Some(text) = &media.listen else { return };
    let place = place!["media", "listen"];
    match text.parse::<SocketAddr>() {
        Ok(address) if address.port() > 0 => match &media.public_url {
            None => {
                let sentence =
                    "needed with listen: what links on IRC begin with, such as https://media.example.org";
                findings.error(place!["media", "public_url"], sentence);
            }
            Some(url) if !address.ip().is_loopback() && url.starts_with("https://") => {
                let sentence =
                    "the bridge has no TLS of its own; listen on 127.0.0.1 and let a proxy stand before it";
                findings.warning(place, sentence);
            }
            Some(_) => {}
        },
        Ok(_) | Err(_) => {
            let sentence = format!("\"{text}\" is no address with a port, such as 127.0.0.1:9899");
            findings.error(place, sentence);
        }
    }
}
