//! Reads the configuration again while the bridge runs: what can count at once does, the rest is named. A file with a fault
//! changes nothing.
//!
//! By SIGHUP, or by whoever calls [`reload`]. One after the other, never two at once.

pub mod plan;

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use self::plan::Plan;
use super::policy_lists::Wanted;
use super::shell::{Mailboxes, Shell};
use super::{settings, startup};
use crate::bridge::admin::AdminInput;
use crate::bridge::input::Input;
use crate::config::{self, Config, Registration};
use crate::ids::UserId;

/// Where the configuration comes from, and what it sets outside of the bridge.
pub struct Source {
    pub file: PathBuf,
    /// Logs by another filter. The error is one sentence.
    pub set_filter: SetFilter,
}

/// Takes a filter for logs.
pub type SetFilter = Box<dyn Fn(&config::Logging) -> Result<(), String> + Send + Sync>;

/// What became of a reading.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReloadReport {
    /// Settings that count now.
    pub changed: Vec<String>,
    /// Settings that were changed and count after a restart.
    pub restart_needed: Vec<String>,
    /// Why nothing was changed: each fault with file and line, one a line.
    pub fault: Option<String>,
}

impl ReloadReport {
    fn fault(words: impl Into<String>) -> Self {
        Self { fault: Some(words.into()), ..Self::default() }
    }
}

impl fmt::Display for ReloadReport {
    /// For people, a sentence or a few.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(fault) = &self.fault {
            return write!(out, "Nothing was changed: {fault}");
        }
        match (&self.changed[..], &self.restart_needed[..]) {
            ([], []) => out.write_str("Nothing has changed."),
            (changed, []) => write!(out, "Counts now: {}.", changed.join(", ")),
            ([], waiting) => write!(out, "Needs a restart: {}.", waiting.join(", ")),
            (changed, waiting) => {
                write!(out, "Counts now: {}. Needs a restart: {}.", changed.join(", "), waiting.join(", "))
            }
        }
    }
}

/// What it takes to read the configuration again.
pub struct Reloader {
    source: Source,
    registration: Registration,
    mailboxes: Mailboxes,
    /// What counts now.
    running: Mutex<Config>,
    cancel: CancellationToken,
}

impl Reloader {
    pub fn new(
        source: Source,
        (running, registration): (Config, Registration),
        mailboxes: Mailboxes,
        cancel: CancellationToken,
    ) -> Self {
        Self { source, registration, mailboxes, running: Mutex::new(running), cancel }
    }
}

/// Reads the configuration again and lets count what can. Also tries policy lists again that could not be read.
pub async fn reload(shell: &Arc<Shell>) -> ReloadReport {
    let report = match shell.reloader.get() {
        Some(reloader) => reloader.reload(shell).await,
        None => ReloadReport::fault("the bridge is still starting; try again in a moment"),
    };
    match &report.fault {
        Some(fault) => tracing::error!(fault, "the configuration was not reloaded, nothing has changed"),
        None => {
            let (changed, restart_needed) = (report.changed.join(", "), report.restart_needed.join(", "));
            tracing::info!(changed, restart_needed, "the configuration was reloaded");
        }
    }
    report
}

impl Reloader {
    async fn reload(&self, shell: &Arc<Shell>) -> ReloadReport {
        let mut running = self.running.lock().await;
        let file = self.source.file.clone();
        let loaded = match tokio::task::spawn_blocking(move || config::load(&file)).await {
            Ok(Ok(loaded)) => loaded,
            Ok(Err(problems)) => return ReloadReport::fault(problems.to_string()),
            Err(error) => return ReloadReport::fault(error.to_string()),
        };
        for warning in &loaded.warnings.0 {
            tracing::warn!("{warning}");
        }
        let mut plan = Plan::new(&running, &loaded.config);
        plan.leave_shared(&startup::shared(&loaded.config));
        if plan.has_changed("logging.filter")
            && let Err(words) = (self.source.set_filter)(&plan.effective.logging)
        {
            return ReloadReport::fault(words);
        }
        self.give(shell, &plan).await;
        let Plan { effective, changed, restart_needed, .. } = plan;
        *running = effective;
        ReloadReport { changed, restart_needed, fault: None }
    }

    /// Lets it count.
    async fn give(&self, shell: &Arc<Shell>, plan: &Plan) {
        let concerns_networks = ["permissions", "policy_lists", "networks"];
        if concerns_networks.iter().any(|place| plan.has_changed(place)) {
            let policies = settings::policies(&plan.effective, &self.registration);
            for (mailbox, mut policy) in self.mailboxes.iter().zip(policies) {
                // Made of more than the configuration.
                policy.links = mailbox.policy.links.clone();
                mailbox.inputs.send(Input::PolicyChanged(Box::new(policy))).await.ok();
            }
        }
        if plan.has_changed("permissions") {
            let permissions = settings::permissions(&plan.effective);
            *shell.permissions.write().unwrap_or_else(PoisonError::into_inner) = permissions;
            shell.admin.give(AdminInput::Permissions(settings::permissions(&plan.effective))).await;
        }
        shell.policy_rooms.follow(lists(&plan.effective, &self.registration.bot));
        let shared = Arc::new(startup::shared(&plan.effective));
        for (key, added) in &plan.added {
            let mailbox = self.mailboxes.iter().find(|mailbox| mailbox.network.as_str() == key);
            if let Some(mailbox) = mailbox.filter(|_| !added.is_empty()) {
                let (shell, mailbox, cancel) = (Arc::clone(shell), mailbox.clone(), self.cancel.clone());
                let linking = startup::link_mapped_rooms(
                    Arc::clone(&shell),
                    mailbox,
                    added.clone(),
                    Arc::clone(&shared),
                    cancel,
                );
                shell.tasks.spawn(linking);
            }
        }
    }
}

/// What a configuration says about policy lists.
pub fn lists(config: &Config, bot: &UserId) -> Wanted {
    let permissions = settings::permissions(config);
    Wanted {
        names: config.policy_lists.rooms.clone(),
        spared: permissions.admins().chain([bot]).cloned().collect(),
    }
}

/// SIGHUP, which ends a process that does not listen for it.
pub struct Hangups(Signal);

impl Hangups {
    /// Listens from now on.
    pub fn listen() -> std::io::Result<Self> {
        signal(SignalKind::hangup()).map(Self)
    }

    /// Reads the configuration again at each of them, until cancelled.
    pub async fn run(mut self, shell: Arc<Shell>, cancel: CancellationToken) {
        loop {
            tokio::select! {
                () = cancel.cancelled() => return,
                hangup = self.0.recv() => match hangup {
                    Some(()) => drop(reload(&shell).await),
                    None => return,
                },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_a_sentence_for_people() {
        let report = |changed: &[&str], restart_needed: &[&str], fault: Option<&str>| {
            let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
            let fault = fault.map(str::to_owned);
            ReloadReport { changed: owned(changed), restart_needed: owned(restart_needed), fault }.to_string()
        };
        assert_eq!(report(&[], &[], None), "Nothing has changed.");
        assert_eq!(report(&["a", "b"], &[], None), "Counts now: a, b.");
        assert_eq!(report(&["a"], &["b"], None), "Counts now: a. Needs a restart: b.");
        assert_eq!(report(&[], &[], Some("c.yaml:3: x")), "Nothing was changed: c.yaml:3: x");
    }
}
