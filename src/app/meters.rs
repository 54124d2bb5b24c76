//! Collects what watchers ask for: figures of the store, the outbox and every network, and whether those that the
//! bridge needs answer. Everything is asked for anew and nothing waits without an end: what does not answer is told
//! as that.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout, timeout_at};

use super::logs::Logs;
use super::network_task::MAILBOX_MAX;
use super::policy_lists;
use super::shell::{Mailbox, Mailboxes, Shell};
use crate::bridge::network::figures::Figures as Machine;
use crate::matrix::client::ClientError;
use crate::store::Tally;
use crate::web::media::Served;
use crate::web::{
    self, Bridge, DutyMoves, Errands, Figures, Gate, Ghosts, Health, Limited, Messages, Meter, Network,
    PolicyLists, Puppets, Source,
};

/// How long each of those that are asked may take.
const ANSWER_MAX: Duration = Duration::from_secs(3);

/// The bridge as its watchers see it.
pub(super) struct Meters {
    shell: Arc<Shell>,
    mailboxes: Mailboxes,
    logs: Arc<Logs>,
    transactions: Meter,
    media: Option<Served>,
}

impl Meters {
    pub(super) fn new(
        shell: Arc<Shell>,
        mailboxes: Mailboxes,
        logs: Arc<Logs>,
        media: Option<Served>,
    ) -> Self {
        Self { shell, mailboxes, logs, transactions: Meter::default(), media }
    }

    /// The homeserver's router, timed, and the pages for watchers.
    pub(super) fn over(self, router: Router) -> (Router, Router) {
        (web::timed(router, &self.transactions), web::router(Arc::new(self)))
    }

    async fn messages(&self) -> Option<Vec<Messages>> {
        let tallies = timeout(ANSWER_MAX, self.shell.store.tallies()).await.ok()?.ok()?;
        Some(tallies.into_iter().map(messages).collect())
    }

    fn bridge(&self) -> Bridge {
        let open = self.shell.open.load(std::sync::atomic::Ordering::Relaxed);
        Bridge {
            inbox_open: u64::try_from(open).unwrap_or_default(),
            outbox_waiting: self.shell.outbox.len() as u64,
            outbox_rooms_parked: self.shell.outbox.rooms_parked() as u64,
            outbox_withheld: self.shell.outbox.withheld() as u64,
            outbox_dropped: self.shell.outbox.dropped(),
            reports_dropped: self.logs.dropped(),
        }
    }

    fn policy_lists(&self) -> PolicyLists {
        let policy_lists::Figures { in_force, left_out, too_wide, unread } =
            self.shell.policy_rooms.figures();
        PolicyLists { in_force, left_out, too_wide, unread }
    }

    /// All at once, so that one that hangs does not hold the others up.
    async fn networks(&self) -> Vec<(Mailbox, Option<Machine>)> {
        let mut asked = Vec::new();
        for mailbox in self.mailboxes.iter() {
            let (asker, answer) = oneshot::channel();
            // Nobody waits for a place: a task that leaves questions lying does not answer.
            let sent = mailbox.figures.try_send(asker).is_ok();
            asked.push((mailbox.clone(), sent.then_some(answer)));
        }
        let (until, mut answers) = (Instant::now() + ANSWER_MAX, Vec::new());
        for (mailbox, answer) in asked {
            let machine = match answer {
                Some(answer) => timeout_at(until, answer).await.ok().and_then(Result::ok),
                None => None,
            };
            answers.push((mailbox, machine));
        }
        answers
    }

    async fn database_fault(&self) -> Option<String> {
        match timeout(ANSWER_MAX, self.shell.store.flush()).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some("the database does not answer".to_owned()),
        }
    }

    async fn homeserver_fault(&self) -> Option<String> {
        match timeout(ANSWER_MAX, self.shell.client.whoami()).await {
            Ok(Ok(_) | Err(ClientError::Forbidden { .. } | ClientError::Limited { .. })) => None,
            Ok(Err(error)) => Some(format!("the homeserver: {error}")),
            Err(_) => Some("the homeserver does not answer".to_owned()),
        }
    }
}

impl Source for Meters {
    async fn figures(&self) -> Figures {
        let (messages, networks) = tokio::join!(self.messages(), self.networks());
        Figures {
            messages,
            bridge: self.bridge(),
            policy_lists: self.policy_lists(),
            networks: networks.into_iter().map(|(mailbox, machine)| network(&mailbox, machine)).collect(),
            commits: Some(self.shell.store.commit_seconds()),
            transactions: self.transactions.clone(),
            media: self.media.clone(),
        }
    }

    async fn health(&self) -> Health {
        let (database, homeserver, networks) =
            tokio::join!(self.database_fault(), self.homeserver_fault(), self.networks());
        let silent = |(mailbox, machine): &(Mailbox, Option<Machine>)| {
            machine.is_none().then(|| format!("the part for the network {} does not answer", mailbox.network))
        };
        let faults = database.into_iter().chain(homeserver);
        Health { faults: faults.chain(networks.iter().filter_map(silent)).collect() }
    }
}

fn messages(tally: Tally) -> Messages {
    let missing = tally.missing();
    let Tally { network, direction, accepted, delivered, failed, expired, in_flight } = tally;
    let direction = direction.name();
    Messages { network, direction, accepted, delivered, failed, expired, in_flight, missing }
}

/// A network that does not answer has its name and its mailbox.
fn network(mailbox: &Mailbox, machine: Option<Machine>) -> Network {
    let Machine { puppets, counts, members, gate, limited } = machine.unwrap_or_default();
    let waiting = MAILBOX_MAX.saturating_sub(mailbox.inputs.capacity());
    let duty = counts.duty;
    Network {
        network: mailbox.network.to_string(),
        mailbox_waiting: waiting as u64,
        puppets: Puppets {
            dialing: puppets.dialing,
            registering: puppets.registering,
            ready: puppets.ready,
            closing: puppets.closing,
            waiting: puppets.waiting,
            held: puppets.held,
            asleep: puppets.asleep,
            excluded: puppets.excluded,
        },
        connects: counts.connects,
        reconnects: counts.reconnects,
        refusals: counts.refusals,
        duty_moves: DutyMoves {
            by_silence: duty.by_silence,
            by_leave: duty.by_leave,
            by_preference: duty.by_preference,
        },
        ghosts: Ghosts {
            waiting: members.waiting,
            joined: members.joined,
            left: members.left,
            refused: members.refused,
        },
        gate: Gate { waiting: gate.waiting, removed: gate.removed, refused: gate.refused },
        limited: Limited {
            connections: limited.connections,
            contacts: limited.contacts,
            joins: limited.joins,
        },
        errands: Errands {
            done: counts.errands.done,
            refused: counts.errands.refused,
            unknown: counts.errands.unknown,
        },
    }
}
