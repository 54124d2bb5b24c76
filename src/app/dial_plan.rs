//! From a network's settings to how its connections are made.

use std::path::PathBuf;

use anyhow::Context;

use crate::config;
use crate::irc::certificate::ClientCertificate;
use crate::irc::dial::{DialPlan, ServerAddr, Transport};
use crate::irc::identd::Idents;
use crate::irc::source::SourcePlan;
use crate::irc::tls::{TlsOptions, TlsSetup, Verify};
use crate::secret::Secret;

/// Reads the files that the settings name. Every fault says which setting is to be changed.
pub fn dial_plan(settings: &config::Network, idents: Option<&Idents>) -> anyhow::Result<DialPlan> {
    let servers = settings.servers.iter().map(server).collect();
    let tls = TlsSetup::new(tls_options(&settings.tls)?).context("tls")?;
    let source = source(&settings.source).context("source")?;
    let idents = idents.cloned();
    Ok(DialPlan { source, idents, ..DialPlan::new(servers, tls) })
}

fn server(server: &config::Server) -> ServerAddr {
    ServerAddr {
        host: server.host.clone(),
        port: server.port,
        transport: if server.tls { Transport::Tls } else { Transport::Plain },
    }
}

fn tls_options(tls: &config::Tls) -> anyhow::Result<TlsOptions> {
    Ok(TlsOptions {
        ca_pem: tls
            .ca_file
            .as_ref()
            .map(|file| read(file, "tls.ca_file"))
            .transpose()?
            .map(String::into_bytes),
        verify: if tls.verify { Verify::Full } else { Verify::None },
        server_name: tls.server_name.clone(),
        fingerprints: tls.fingerprints.clone(),
        certificate: certificate(tls)?,
    })
}

fn certificate(tls: &config::Tls) -> anyhow::Result<Option<ClientCertificate>> {
    let Some(file) = &tls.client_certificate else { return Ok(None) };
    let pem = read(file, "tls.client_certificate")?;
    let key = match &tls.client_key {
        Some(file) => read(file, "tls.client_key")?,
        None => pem.clone(),
    };
    let certificate = ClientCertificate::from_pem(&pem, &Secret::new(&key));
    Ok(Some(certificate.with_context(|| format!("{} (tls.client_certificate)", file.display()))?))
}

fn read(file: &PathBuf, setting: &str) -> anyhow::Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("cannot read {} ({setting})", file.display()))
}

fn source(source: &config::Source) -> anyhow::Result<SourcePlan> {
    let addresses = source.addresses.iter().map(|text| text.parse()).collect::<Result<_, _>>()?;
    let prefix = source.ipv6_prefix.as_ref().map(|text| text.parse()).transpose()?;
    Ok(SourcePlan::new(addresses, prefix, source.ipv6_block_bits)?)
}
