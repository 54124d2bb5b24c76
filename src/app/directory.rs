//! What people look up by way of the homeserver: asks the networks it may be on.

use super::shell::{Mailbox, Mailboxes, Shell};
use crate::bridge::input::{Input, LookUp};
use crate::matrix::appservice::thirdparty::{Hit, Instance};

/// A network as clients are shown it.
pub(super) fn instance(mailbox: &Mailbox) -> Instance {
    let policy = &mailbox.policy;
    Instance {
        network: mailbox.network.to_string(),
        name: policy.network_name.clone(),
        domain: domain(mailbox).to_owned(),
    }
}

/// The network's own name where it has no server.
fn domain(mailbox: &Mailbox) -> &str {
    mailbox.policy.directory.domains.first().map_or(mailbox.network.as_str(), String::as_str)
}

/// True for the names by which people ask for a network, in any letter case.
fn is_called(mailbox: &Mailbox, name: &str) -> bool {
    let policy = &mailbox.policy;
    let own = [mailbox.network.as_str(), policy.network_name.as_str()];
    let mut names = own.into_iter().chain(policy.directory.domains.iter().map(String::as_str));
    names.any(|known| known.eq_ignore_ascii_case(name))
}

/// Asks one network after the other; each answers at once. One that is gone finds nothing.
pub(super) async fn look_up(
    shell: &Shell,
    mailboxes: &Mailboxes,
    domain_asked: Option<&str>,
    what: LookUp,
) -> Vec<Hit> {
    let mut hits = Vec::new();
    for mailbox in mailboxes.iter().filter(|mailbox| domain_asked.is_none_or(|name| is_called(mailbox, name)))
    {
        let (ask, answer) = shell.looked_up.make();
        let what = what.clone();
        if mailbox.inputs.send(Input::LookUp { ask, what }).await.is_err() {
            continue;
        }
        let domain = domain(mailbox).to_owned();
        let found = answer.await.unwrap_or_default();
        hits.extend(found.into_iter().map(|found| Hit { domain: domain.clone(), found }));
    }
    hits
}
