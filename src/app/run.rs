//! Starts the bridge, and ends it in order: the listener first, then the pump, then the networks (each puppet
//! says QUIT), then the outbox, then the store. What is left undone is on the disk for the next start.

use std::collections::HashMap;
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context, anyhow};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::admin_task::{AdminDoor, AdminTask};
use super::api::{self, Api};
use super::clock::Clock;
use super::dial_plan::dial_plan;
use super::heal::gaps::Gaps;
use super::heal::{self, watch};
use super::heap::{self, Churn};
use super::host::{BridgeHost, Intake};
use super::inbox_pump::InboxPump;
use super::listeners::{ident_server, watchers};
use super::logs::Logs;
use super::meters::Meters;
use super::naming;
use super::network_task::{FIGURES_ASKED_MAX, MAILBOX_MAX, NetworkTask};
use super::parts::{book, client, restore};
use super::policy_lists::Follower;
use super::reload::{self, Hangups, Reloader, Source};
use super::routes::Routes;
use super::shelf::{self, Shown};
use super::shell::{Asks, Held, Mailbox, Mailboxes, Shell};
use super::stop::Stop;
use super::{prune, recall, remember};
use super::{settings, startup};
use crate::bridge::input::{Concerns, Input, PolicyRules};
use crate::bridge::network::{Network, RelaySeqs};
use crate::bridge::policy::Policy;
use crate::config::{Config, Registration};
use crate::ids::{RelaySeq, UserId};
use crate::irc::framer::Charset;
use crate::irc::identd;
use crate::matrix::appservice;
use crate::matrix::client::ClientError;
use crate::matrix::outbox::Outbox;
use crate::matrix::steps::Steps;
use crate::matrix::typing;
use crate::store::Store;
use crate::vault::Vault;

/// How long sessions may take to say goodbye.
const QUIT_WAIT: Duration = Duration::from_secs(7);
/// How long the outbox may take to say what it has.
const OUTBOX_WAIT: Duration = Duration::from_secs(5);
/// Outbox numbers that a millisecond of running may use up, as a power of two.
const SEQ_BITS: u32 = 10;

/// Runs the bridge until it is asked to stop.
///
/// # Errors
/// What keeps it from starting, in one sentence: the database, the port, a certificate file, or a homeserver
/// that refuses the registration.
pub async fn run(config: Config, registration: Registration, source: Source) -> anyhow::Result<()> {
    let hangups = Hangups::listen().context("SIGHUP cannot be listened for")?;
    let bridge = Bridge::assemble(&config, &registration).await?;
    bridge.run(config, registration, (source, hangups)).await
}

/// Where watchers come in, and what they find.
type Watched = (TcpListener, axum::Router);

/// Everything, put together and not yet moving.
struct Bridge {
    shell: Arc<Shell>,
    listener: TcpListener,
    /// Where ident questions come in.
    idents: Option<TcpListener>,
    watched: Option<Watched>,
    shown: Option<Shown>,
    api: Api,
    router: axum::Router,
    pump: InboxPump,
    intake: Arc<Intake>,
    gaps: Arc<Gaps>,
    outbox: Outbox,
    steps: Steps,
    networks: Vec<NetworkTask>,
    admin: AdminTask,
    mailboxes: Mailboxes,
    lists: Follower,
}

impl Bridge {
    async fn assemble(config: &Config, registration: &Registration) -> anyhow::Result<Self> {
        let listen = &config.appservice.listen;
        let listener = TcpListener::bind(listen.as_str())
            .await
            .with_context(|| format!("cannot listen on {listen} (appservice.listen)"))?;
        let idents = ident_server(config).await?;
        let watchers = watchers(config).await?;
        let api = Api::listen(config).await?;
        let store = Store::open(config.database.url.expose()).await?;
        if let Err(error) = store.lengthen_log().await {
            tracing::debug!(%error, "the database's log could not be made longer; commits take longer");
        }
        let clock = Clock::start();
        let tasks = TaskTracker::new();
        let routes = Arc::new(Routes::default());
        let (logs, names, carrying) = Logs::new(store.clone(), clock, Arc::clone(&routes));
        tasks.spawn(carrying);
        let client = client(config, registration)?;
        let vault = Vault::open_or_make(&config.secrets.key_file)?;
        let shown = Shown::new(config, &store, &vault).await?;
        let book = book(&store, &logs).await?;
        let (outbox, outbox_task) = Outbox::new(client.clone(), Arc::clone(&logs) as _, Arc::clone(&book));
        let (typing, showing) = typing::channel(client.clone(), Arc::clone(&book), Box::new(outbox.clone()));
        tasks.spawn(showing);
        let (steps, steps_task) = Steps::new(client.clone(), book, outbox.clone());
        let open = store.inbox_counts().await?.open;
        let (door, admin_mailbox) = AdminDoor::new();
        let shell = Arc::new(Shell {
            clock,
            client,
            outbox,
            typing,
            steps,
            admins: config.appservice.admins.iter().filter_map(|admin| UserId::new(admin)).collect(),
            tasks,
            routes,
            permissions: settings::permissions(config).into(),
            admin: door,
            policy_rooms: Arc::default(),
            reloader: OnceLock::new(),
            asks: Asks::default(),
            held: Held::default(),
            errands: Asks::default(),
            looked_up: Asks::default(),
            churn: Churn::default(),
            vault,
            link_ms: shelf::link_ms(config),
            idents: idents.as_ref().map(|(_, idents)| idents.clone()),
            open: AtomicI64::new(i64::try_from(open).unwrap_or(i64::MAX)),
            intake: OnceLock::new(),
            store,
        });
        let mut policies = settings::policies(config, registration);
        shown.iter().for_each(|shown| policies.iter_mut().for_each(|policy| shown.equip(policy)));
        let lists = Follower::load(&shell, reload::lists(config, &registration.bot)).await?;
        let (networks, mailboxes, seqs) = networks(config, policies, &shell, &lists.rules()).await?;
        let admin =
            AdminTask::new(&shell, &mailboxes, settings::permissions(config), seqs, admin_mailbox).await?;
        // Behind the removals that go on: what they keep back is not said first.
        restore(&shell.store, &shell.outbox).await?;
        remember::end_removals(&shell, &mailboxes).await?;
        let (routes, to) = (Arc::clone(&shell.routes), Arc::clone(&mailboxes));
        shell.tasks.spawn(naming::carry(names, routes, to, shell.store.clone()));
        let (feed, pump) = InboxPump::new(Arc::clone(&shell), Arc::clone(&mailboxes));
        let gaps = Arc::new(Gaps::new(watch::good_until(&shell).await?));
        let host = BridgeHost::new(Arc::clone(&shell), Arc::clone(&mailboxes), feed, Arc::clone(&gaps));
        let intake = host.intake();
        shell.intake.set(Arc::downgrade(&intake)).ok();
        let router = appservice::router(Arc::new(host), registration.hs_token.clone());
        let meters = Meters::new(
            Arc::clone(&shell),
            Arc::clone(&mailboxes),
            logs,
            shown.as_ref().map(|shown| shown.served.clone()),
        );
        let (router, watched) = match watchers {
            Some(listener) => {
                let (router, pages) = meters.over(router);
                (router, Some((listener, pages)))
            }
            None => (router, None),
        };
        let idents = idents.map(|(listener, _)| listener);
        let (outbox, steps) = (outbox_task, steps_task);
        Ok(Self {
            shell,
            listener,
            idents,
            watched,
            shown,
            api,
            router,
            pump,
            intake,
            gaps,
            outbox,
            steps,
            networks,
            admin,
            mailboxes,
            lists,
        })
    }

    async fn run(
        self,
        config: Config,
        registration: Registration,
        (source, hangups): (Source, Hangups),
    ) -> anyhow::Result<()> {
        let Self {
            shell,
            listener,
            idents,
            watched,
            shown,
            api,
            router,
            pump,
            intake,
            gaps,
            outbox,
            steps,
            networks,
            admin,
            mailboxes,
            lists,
        } = self;
        let mut stop = Stop::listen()?;
        let (serving, pumping, saying, starting) = (
            CancellationToken::new(),
            CancellationToken::new(),
            CancellationToken::new(),
            CancellationToken::new(),
        );
        let served = axum::serve(listener, router).with_graceful_shutdown(serving.clone().cancelled_owned());
        shell.tasks.spawn(async move {
            served.await.map_err(|error| tracing::error!(%error, "the listener failed"))
        });
        // Tasks that only end when they are told to: one that ends by itself has failed, and the bridge with it.
        let mut network_tasks = JoinSet::new();
        for network in networks {
            network_tasks.spawn(network.run());
        }
        shell.tasks.spawn(admin.run(saying.clone()));
        let mut outbox_task = JoinSet::new();
        outbox_task.spawn(outbox.run(saying.clone()));
        if let (Some(listener), Some(idents)) = (idents, shell.idents.clone()) {
            shell.tasks.spawn(identd::serve(listener, idents, saying.clone()));
        }
        if let Some((listener, pages)) = watched {
            let served =
                axum::serve(listener, pages).with_graceful_shutdown(saying.clone().cancelled_owned());
            shell.tasks.spawn(async move {
                served.await.map_err(|error| tracing::error!(%error, "the listener for figures failed"))
            });
        }
        if let Some(shown) = shown {
            shell.tasks.spawn(shown.serve(Arc::clone(&shell), saying.clone()));
        }
        shell.tasks.spawn(prune::prune(Arc::clone(&shell), starting.clone()));
        shell.tasks.spawn(heap::watch(Arc::clone(&shell), starting.clone()));

        let refused: Option<ClientError> = tokio::select! {
            contact = async {
                startup::contact(&shell, &starting).await?;
                lists.begin(&shell, &mailboxes, &starting).await;
                Ok(())
            } => contact.err(),
            () = stop.asked() => { starting.cancel(); None }
        };
        let result = match refused {
            Some(error) => Err(anyhow!(error).context(format!(
                "the homeserver at {} does not take this bridge: is the registration file in its configuration, \
                 and was it restarted since?",
                config.homeserver.url
            ))),
            None => {
                if !starting.is_cancelled() {
                    let api_settings = api::settings(&config);
                    let running = (config.clone(), registration);
                    let reloader = Reloader::new(source, running, Arc::clone(&mailboxes), starting.clone());
                    shell.reloader.set(reloader).ok();
                    shell.tasks.spawn(hangups.run(Arc::clone(&shell), starting.clone()));
                    begin(&shell, &mailboxes, config, &starting).await;
                    shell.tasks.spawn(pump.run(pumping.clone()));
                    let recalling = recall::watch(Arc::clone(&shell), Arc::clone(&mailboxes), starting.clone());
                    shell.tasks.spawn(recalling);
                    let (watching, healing) = (starting.clone(), starting.clone());
                    shell.tasks.spawn(watch::watch(Arc::clone(&shell), Arc::clone(&gaps), watching));
                    // Ends with the start of the stop: nobody comes or goes because we do.
                    shell.tasks.spawn(steps.run(starting.clone()));
                    shell.tasks.spawn(heal::heal(Arc::clone(&shell), intake, gaps, healing));
                    api.serve(&shell, &mailboxes, api_settings, &starting);
                    tracing::info!("ready");
                    tokio::select! {
                        () = stop.asked() => Ok(()),
                        Some(_) = network_tasks.join_next() => Err(anyhow!("a network's task has failed")),
                        Some(_) = outbox_task.join_next() => Err(anyhow!("the outbox has failed")),
                    }
                } else {
                    Ok(())
                }
            }
        };
        tracing::info!("stopping");
        starting.cancel();
        serving.cancel();
        pumping.cancel();
        for mailbox in mailboxes.iter() {
            mailbox.inputs.send(Input::Stopping).await.ok();
        }
        let all_stopped = async { while network_tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(QUIT_WAIT, all_stopped).await.is_err() {
            tracing::warn!("some connections did not close in time");
        }
        let left = shell.outbox.drain(OUTBOX_WAIT).await;
        saying.cancel();
        if left > 0 {
            tracing::info!(left, "lines are kept for the next start");
        }
        shell.store.close().await.context("the database did not close")?;
        tracing::info!("stopped");
        result
    }
}

/// Gives the networks what is known, and lets them begin.
async fn begin(shell: &Arc<Shell>, mailboxes: &Mailboxes, config: Config, cancel: &CancellationToken) {
    let shared = Arc::new(startup::shared(&config));
    for (mailbox, network) in mailboxes.iter().zip(config.networks.into_values()) {
        mailbox.inputs.send(Input::Started).await.ok();
        let (shell, mailbox, shared) = (Arc::clone(shell), mailbox.clone(), Arc::clone(&shared));
        let linking =
            startup::link_mapped_rooms(Arc::clone(&shell), mailbox, network.channels, shared, cancel.clone());
        shell.tasks.spawn(linking);
    }
}

/// The networks' machines, with everything that was remembered of them; and which numbers of the outbox are left.
async fn networks(
    config: &Config,
    policies: Vec<Policy>,
    shell: &Arc<Shell>,
    rules: &Arc<PolicyRules>,
) -> anyhow::Result<(Vec<NetworkTask>, Mailboxes, RelaySeqs)> {
    let last = shell.store.outbox_last().await?.unwrap_or(RelaySeq(0));
    // A new database knows no number of a run before it, but the homeserver may remember that run's
    // transactions: a number that time alone makes larger is none of them.
    let last = last.0.max(i64::try_from(shell.clock.now().0 << SEQ_BITS).unwrap_or(i64::MAX / 2));
    // One more than there are networks: the admin rooms have numbers too.
    let step = i64::try_from(policies.len() + 1).unwrap_or(1);
    shell.routes.number(last, policies.iter().map(|policy| policy.network.clone()).collect());
    let mut ghosts = remember::ghosts_by_room(&shell.store).await?;
    let mut tasks = Vec::new();
    let mut mailboxes = Vec::new();
    for ((index, policy), settings) in (1..).zip(policies).zip(config.networks.values()) {
        let policy = Arc::new(policy);
        let id = policy.network.clone();
        let casemap = shell.store.casemap(&id).await?;
        let casemap = casemap.and_then(|name| crate::text::casemap::CaseMap::from_isupport(&name));
        let seqs = RelaySeqs { next: RelaySeq(last + index), step };
        let mut network = Network::new(Policy::clone(&policy), casemap, seqs, rand::random());
        let lists = Input::PolicyRules { rules: Arc::clone(rules), concerns: Concerns::Everybody };
        network.handle(shell.clock.now(), lists);
        remember::remember(&mut network, &policy, settings, shell, &mut ghosts).await?;
        for saying in shell.store.sayings(&id, casemap.unwrap_or_default()).await? {
            network.handle(shell.clock.now(), Input::Remembered(saying));
        }
        let (inputs, mailbox) = mpsc::channel(MAILBOX_MAX);
        remember::removals(&mut network, &policy, shell, &inputs).await?;
        let (asking, figures) = mpsc::channel(FIGURES_ASKED_MAX);
        tasks.push(NetworkTask {
            id: id.clone(),
            network,
            shell: Arc::clone(shell),
            plan: Arc::new(dial_plan(settings, shell.idents.as_ref())?),
            charset: Charset::for_label(&settings.encoding_fallback).unwrap_or_default(),
            policy: Arc::clone(&policy),
            portals: settings.portals.clone(),
            conns: HashMap::new(),
            upgrades: HashMap::new(),
            ident_bytes_max: settings.ident_bytes_max,
            inputs: inputs.clone(),
            mailbox,
            figures,
        });
        mailboxes.push(Mailbox { network: id, inputs, policy, figures: asking });
    }
    let admin = RelaySeqs { next: RelaySeq(last + step), step };
    Ok((tasks, Arc::new(mailboxes), admin))
}
