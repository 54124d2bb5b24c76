//! One IRC network's task: owns the machine, gives it inputs and time, and performs what it asks for.
//!
//! Its mailbox holds [`MAILBOX_MAX`] inputs. Full: connections stop reading (TCP slows their servers), and the
//! inbox pump waits (rows stay on the disk).

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::shell::Shell;
use crate::bridge::effect::Effect;
use crate::bridge::input::{CloseReason, Input};
use crate::bridge::network::Network;
use crate::bridge::network::figures::Figures;
use crate::bridge::policy::Policy;
use crate::config;
use crate::ids::{ConnId, NetworkId};
use crate::irc::connection::ConnHandle;
use crate::irc::dial::DialPlan;
use crate::irc::framer::Charset;

/// Inputs waiting for one network's machine, at most.
pub const MAILBOX_MAX: usize = 4096;
/// Questions for figures that may wait: one for each page that watchers can ask for, and some.
pub const FIGURES_ASKED_MAX: usize = 4;
/// Inputs handled before their effects are performed.
const BATCH_MAX: usize = 256;

/// A network's machine with its hands.
pub struct NetworkTask {
    pub(super) id: NetworkId,
    pub(super) network: Network,
    pub(super) shell: Arc<Shell>,
    pub(super) plan: Arc<DialPlan>,
    pub(super) charset: Charset,
    pub(super) policy: Arc<Policy>,
    /// How portal rooms are made.
    pub(super) portals: config::Portals,
    pub(super) conns: HashMap<ConnId, ConnHandle>,
    /// Hosts that asked for TLS in this run: the port for it, and until when that is tried.
    pub(super) upgrades: HashMap<String, (u16, Instant)>,
    /// Longest username of a puppet, in bytes.
    pub(super) ident_bytes_max: usize,
    /// For connections and calls that answer later.
    pub(super) inputs: mpsc::Sender<Input>,
    pub(super) mailbox: mpsc::Receiver<Input>,
    /// Questions for its figures.
    pub(super) figures: mpsc::Receiver<oneshot::Sender<Figures>>,
}

impl NetworkTask {
    /// Runs until the machine has stopped.
    pub async fn run(mut self) {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        let mut effects: Vec<Effect> = Vec::new();
        while !self.network.is_stopped() {
            self.wait(&mut batch).await;
            self.tell_figures();
            for input in batch.drain(..) {
                self.note_connection(&input);
                self.network.handle(self.shell.clock.now(), input);
            }
            // After the inputs: a slow round must not make anybody look late.
            self.network.handle_timeout(self.shell.clock.now());
            self.network.take_effects(&mut effects);
            for effect in effects.drain(..) {
                self.perform(effect).await;
            }
        }
        tracing::debug!(network = %self.id, "network stopped");
    }

    /// Answers one who asked; whoever asks next is answered in the next round.
    fn tell_figures(&mut self) {
        if let Ok(asker) = self.figures.try_recv() {
            asker.send(self.network.figures()).ok();
        }
    }

    /// Waits for inputs or for the machine's next wake-up.
    async fn wait(&mut self, batch: &mut Vec<Input>) {
        let wake = self.network.poll_timeout().map(|time| self.shell.clock.instant(time));
        let sleep = async {
            match wake {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        if wake.is_some_and(|at| at <= Instant::now()) {
            while batch.len() < BATCH_MAX {
                let Ok(input) = self.mailbox.try_recv() else { break };
                batch.push(input);
            }
            return;
        }
        tokio::select! {
            biased;
            _ = self.mailbox.recv_many(batch, BATCH_MAX) => {}
            Some(asker) = self.figures.recv() => drop(asker.send(self.network.figures())),
            () = sleep => {}
        }
    }

    fn note_connection(&mut self, input: &Input) {
        if matches!(input, Input::ConnOpened { .. } | Input::ConnClosed { .. }) {
            self.shell.churn.count();
        }
        if let Input::ConnClosed { conn, why } = input {
            self.conns.remove(conn);
            let network = &self.id;
            match why {
                CloseReason::DialFailed(words) => {
                    tracing::warn!(%network, %conn, words, "no irc connection; it is tried again");
                }
                CloseReason::Lost(words) => {
                    tracing::warn!(%network, %conn, words, "irc connection lost; it is made again");
                }
                CloseReason::Asked => tracing::info!(%network, %conn, "irc connection closed"),
            }
        }
    }
}
