//! Whether the API can listen where it is asked to, and whether what lets people in is worth something.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use super::super::problem::{Findings, Place, place};
use super::super::syntax::{http_url, is_address_block, is_server_name};
use super::super::types::{Api, ApiTokenMay};

/// A token of fewer bytes can be guessed.
const TOKEN_BYTES_MIN: usize = 24;
/// What a header may carry with room to spare.
const TOKEN_BYTES_MAX: usize = 512;

/// The API.
pub(super) fn api(api: &Api, findings: &mut Findings) {
    listens(api, findings);
    tokens(api, findings);
    for (nth, block) in api.trusted_proxies.iter().enumerate() {
        if !is_address_block(block) {
            let sentence = format!("\"{block}\" is no address, nor a block of addresses such as 10.0.0.0/8");
            findings.error(place!["api", "trusted_proxies", nth], sentence);
        }
    }
    let mut seen = BTreeSet::new();
    for (nth, homeserver) in api.homeservers.iter().enumerate() {
        let here = place!["api", "homeservers", nth];
        if !is_server_name(&homeserver.domain) {
            findings.error(here.with("domain"), "must be the part of its users' ids after the colon");
        } else if !seen.insert(&homeserver.domain) {
            findings.error(here.with("domain"), "stands here twice");
        }
        if let Err(why) = http_url(&homeserver.url) {
            findings.error(here.with("url"), why);
        }
    }
}

fn listens(api: &Api, findings: &mut Findings) {
    let mut one = |text: &Option<String>, place: Place, example: &str, warning: &str| {
        let Some(text) = text else { return };
        match text.parse::<SocketAddr>() {
            Ok(address) if address.port() > 0 => {
                if !address.ip().is_loopback() {
                    findings.warning(place, warning);
                }
            }
            Ok(_) | Err(_) => {
                findings.error(place, format!("\"{text}\" is no address with a port, such as {example}"));
            }
        }
    };
    let plain = "the bridge has no TLS of its own, and tokens would be read on the way; listen on 127.0.0.1 and let a proxy \
                 stand before it";
    one(&api.listen, place!["api", "listen"], "127.0.0.1:9900", plain);
    one(&api.admin_listen, place!["api", "admin_listen"], "127.0.0.1:9901", plain);
    if api.listen.is_some() && api.listen == api.admin_listen {
        findings.error(place!["api", "admin_listen"], "must be another port than listen");
    }
    if api.admin_listen.is_some() && !api.tokens.iter().any(|token| token.may == ApiTokenMay::Admin) {
        let sentence = "nobody is let in there without a token whose may is admin; add one to api.tokens";
        findings.warning(place!["api", "admin_listen"], sentence);
    }
}

fn tokens(api: &Api, findings: &mut Findings) {
    let mut names = BTreeSet::new();
    for (nth, token) in api.tokens.iter().enumerate() {
        let here = place!["api", "tokens", nth];
        if token.name.trim().is_empty() || token.name.chars().any(char::is_control) {
            findings.error(here.with("name"), "must be a name people can read, on one line");
        } else if !names.insert(&token.name) {
            findings.error(here.with("name"), "stands here twice");
        }
        let text = token.token.expose();
        if !(TOKEN_BYTES_MIN..=TOKEN_BYTES_MAX).contains(&text.len())
            || !text.bytes().all(|b| b.is_ascii_graphic())
        {
            let sentence = "must be 24 to 512 letters, digits and signs without spaces; `openssl rand -hex 32` makes one";
            findings.error(here.with("token"), sentence);
        }
    }
}
