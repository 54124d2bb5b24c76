//! Whether the settings make sense by which a network and its puppets know each other: certificates, passwords,
//! services, addresses, names.

use std::net::{IpAddr, Ipv6Addr};

use super::super::problem::{Findings, Place};
use super::super::syntax::is_host;
use super::super::types::{Network, Services, Source, Tls, Webirc};
use crate::secret::Secret;
use crate::text::realname::RealnameTemplate;

/// Notes every fault of one network's block.
pub(super) fn check(network: &Network, here: &Place, findings: &mut Findings) {
    tls(&network.tls, &here.with("tls"), findings);
    webirc(&network.webirc, &network.source, &here.with("webirc"), findings);
    services(&network.services, &here.with("services"), findings);
    source(&network.source, &here.with("source"), findings);
    if let Err(why) = RealnameTemplate::new(&network.realname) {
        findings.error(here.with("realname"), format!("\"{}\" {why}", network.realname));
    }
    if network.tls.client_key.is_some() && network.tls.client_certificate.is_none() {
        let sentence = "a key without a certificate; name its file in client_certificate";
        findings.error(here.with("tls").with("client_key"), sentence);
    }
}

fn tls(tls: &Tls, here: &Place, findings: &mut Findings) {
    let files = [
        ("ca_file", &tls.ca_file),
        ("client_certificate", &tls.client_certificate),
        ("client_key", &tls.client_key),
    ];
    for (key, file) in files.into_iter().filter_map(|(key, file)| Some((key, file.as_ref()?))) {
        if let Err(fault) = std::fs::File::open(file) {
            findings.error(here.with(key), format!("{} cannot be read: {fault}", file.display()));
        }
    }
    if !tls.verify {
        findings.warning(
            here.with("verify"),
            "certificates are not checked, so anybody on the way can pose as the server; put its authority into ca_file instead",
        );
    }
    if let Some(name) = &tls.server_name
        && !is_host(name)
    {
        findings.error(here.with("server_name"), format!("\"{name}\" is no host name"));
    }
}

/// True for what can be one word of an IRC line.
fn is_word(text: &str) -> bool {
    let ends = |c: char| c.is_whitespace() || c.is_control();
    !text.is_empty() && !text.starts_with(':') && !text.contains(ends)
}

fn webirc(webirc: &Webirc, source: &Source, here: &Place, findings: &mut Findings) {
    let Some(password) = webirc.password.as_ref().map(Secret::expose) else { return };
    if !is_word(password) {
        findings.error(here.with("password"), "must be one word");
    }
    if !is_word(&webirc.gateway) {
        findings.error(here.with("gateway"), format!("\"{}\" must be one word", webirc.gateway));
    }
    if !is_word(&webirc.host) {
        findings.error(
            here.with("host"),
            format!("\"{}\" must be one word, such as $IDENT.example.org", webirc.host),
        );
    }
    if source.ipv6_prefix.is_none() {
        let sentence =
            "WEBIRC needs an address for each puppet; set source.ipv6_prefix, or leave the password out";
        findings.error(here.with("password"), sentence);
    }
}

fn services(services: &Services, here: &Place, findings: &mut Findings) {
    if !is_word(&services.nick) {
        findings.error(here.with("nick"), format!("\"{}\" is no nick", services.nick));
    }
    if !services.identify.contains("$PASSWORD") || services.identify.chars().any(char::is_control) {
        let sentence = format!("\"{}\" must hold $PASSWORD, on one line", services.identify);
        findings.error(here.with("identify"), sentence);
    }
    let Some(mask) = &services.mask else { return };
    let host = mask.split_once('!').and_then(|(_, rest)| rest.split_once('@')).map(|(_, host)| host);
    match host {
        None => {
            let sentence = format!("\"{mask}\" is no mask, such as NickServ!*@services.example.org");
            findings.error(here.with("mask"), sentence);
        }
        Some(host) if host.chars().all(|c| matches!(c, '*' | '?' | '.')) => {
            let sentence =
                "fits any host, so anybody who takes the nick would get passwords; name the services' host";
            findings.error(here.with("mask"), sentence);
        }
        Some(_) => {}
    }
}

fn source(source: &Source, here: &Place, findings: &mut Findings) {
    for (nth, text) in source.addresses.iter().enumerate() {
        if text.parse::<IpAddr>().is_err() {
            let sentence = format!("\"{text}\" is no address, such as 192.0.2.7 or 2001:db8::7");
            findings.error(here.with("addresses").with(nth), sentence);
        }
    }
    let Some(text) = &source.ipv6_prefix else { return };
    let parts = text.split_once('/').and_then(|(address, bits)| {
        Some((address.parse::<Ipv6Addr>().ok()?, bits.parse::<u8>().ok().filter(|bits| *bits <= 128)?))
    });
    match parts {
        None => {
            let sentence = format!("\"{text}\" is no prefix, such as 2001:db8:1::/64");
            findings.error(here.with("ipv6_prefix"), sentence);
        }
        Some((address, bits))
            if address.to_bits().checked_shl(u32::from(bits)).is_some_and(|rest| rest != 0) =>
        {
            let sentence = format!("\"{text}\" has bits behind the first {bits}; write zeros there");
            findings.error(here.with("ipv6_prefix"), sentence);
        }
        Some((_, bits)) if 128 - bits < source.ipv6_block_bits => {
            let sentence = format!(
                "blocks of {} bits do not fit behind {text}; take a smaller number, or a larger prefix",
                source.ipv6_block_bits
            );
            findings.error(here.with("ipv6_block_bits"), sentence);
        }
        Some(_) => {}
    }
}
