//! One set of real parts per kind of IRC server, shared by the stories that run on it.
//!
//! ```text
//! bunraku --- StallProxy --- IRC server --- IrcClient
//!    |
//! Synapse --- MatrixUser
//! ```
//!
//! A Synapse takes seconds to start, so the stories of one kind take turns on one world: it lives as long as some
//! story runs or waits for its turn, and ends with the last. Stories use channels and names of their own and leave
//! the bridge running. When a story fails, the ends of all logs are printed with it.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use tokio::sync::{Mutex, OwnedMutexGuard};

use super::bridge::{Bridge, BridgeConfig, NETWORK};
use super::irc::IrcClient;
use super::ircd::{Ircd, IrcdKind, Setup};
use super::matrix::MatrixUser;
use super::process::{sub_dir, temp_dir};
use super::proxy::StallProxy;
use super::synapse::{DOMAIN, Synapse};

/// The channel that the configuration maps to [`World::plumbed_room`].
pub const PLUMBED_CHANNEL: &str = "#plumbed";

/// The running parts. Fields end in this order.
pub struct World {
    pub bridge: Bridge,
    pub proxy: StallProxy,
    pub ircd: Ircd,
    pub synapse: Synapse,
    /// A room that a human made, on [`PLUMBED_CHANNEL`] by configuration, and that human.
    pub plumbed_room: String,
    pub plumber: MatrixUser,
    logs_printed: AtomicBool,
    _dir: tempfile::TempDir,
}

/// A turn on a world.
pub struct Story {
    world: OwnedMutexGuard<World>,
}

type Slot = Mutex<Weak<Mutex<World>>>;

static WORLDS: [Slot; 4] = [const { Slot::const_new(Weak::new()) }; 4];

impl Story {
    /// Waits for the turn on the world of this kind of IRC server, starting it if there is none.
    pub async fn begin(kind: IrcdKind) -> Story {
        let world = {
            let mut slot = WORLDS[kind as usize].lock().await;
            match slot.upgrade() {
                Some(world) => world,
                None => {
                    let world = Arc::new(Mutex::new(World::start(kind).await));
                    *slot = Arc::downgrade(&world);
                    world
                }
            }
        };
        let mut story = Story { world: world.lock_owned().await };
        // An earlier story that failed may have left it stopped.
        if !story.bridge.is_running() {
            story.bridge.run().await;
        }
        story
    }
}

impl World {
    async fn start(kind: IrcdKind) -> World {
        World::with(kind, &Setup::default(), |_, _| {}).await
    }

    /// A world of a story's own, where more is asked of the IRC server, or other settings of the bridge: `change`
    /// gets the configuration before it is written for the first time, and the server that runs already.
    pub async fn with(kind: IrcdKind, setup: &Setup, change: impl FnOnce(&mut BridgeConfig, &Ircd)) -> World {
        let dir = temp_dir();
        let ircd = Ircd::start_as(kind, dir.path(), setup).await;
        let proxy = StallProxy::start(ircd.port);
        // The registration must be there before Synapse starts, and Synapse's port before the registration.
        let bridge_dir = sub_dir(dir.path(), "bunraku");
        let registration = bridge_dir.join("registration.yaml");
        let mut synapse = Synapse::prepare(dir.path(), &[&registration]);
        let mut config = BridgeConfig::new(&bridge_dir, &synapse.url(), proxy.port);
        change(&mut config, &ircd);
        let mut bridge = Bridge::prepare(&bridge_dir, config.clone());
        synapse.run().await;

        let plumber = synapse.user("plumber").await;
        let plumbed_room = plumber.create_public_room("plumbed by hand").await;
        // No invitation for the bot, which may join without: Synapse would push it to a bridge that does not listen
        // yet, and then hold back for two seconds what the first story does.
        config.channels = vec![(PLUMBED_CHANNEL.to_owned(), vec![plumbed_room.clone()])];
        bridge.config = config;
        bridge.write_config();
        bridge.run().await;
        World {
            bridge,
            proxy,
            ircd,
            synapse,
            plumbed_room,
            plumber,
            logs_printed: AtomicBool::new(false),
            _dir: dir,
        }
    }

    /// A Matrix user with that display name.
    pub async fn user(&self, name: &str) -> MatrixUser {
        self.synapse.user(name).await
    }

    /// A client straight on the IRC server, not through the proxy.
    pub async fn irc(&self, nick: &str) -> IrcClient {
        self.ircd.client(nick).await
    }

    /// A new Matrix user who has joined the channel's portal by alias and whose puppet `witness`, an IRC user in
    /// the channel, has seen there; with the room.
    pub async fn joined(&self, name: &str, channel: &str, witness: &mut IrcClient) -> (MatrixUser, String) {
        let user = self.user(name).await;
        let room = user.join(&alias(channel)).await;
        witness.wait_member(channel, &puppet(name)).await;
        (user, room)
    }

    /// Waits for the puppet of [`World::plumber`]: from then on every new connection is one of the story's. `witness`
    /// goes to its channel for that.
    pub async fn settled(&self, witness: &mut IrcClient) {
        witness.join(PLUMBED_CHANNEL).await;
        witness.wait_member(PLUMBED_CHANNEL, &puppet("plumber")).await;
    }

    /// Every story's last word: the end of each message is known. Of one that fails, the logs are what counts.
    fn end(&self) {
        if std::thread::panicking() {
            return self.print_logs_once();
        }
        if let Err(words) = self.bridge.audit() {
            self.print_logs_once();
            panic!("{words}");
        }
    }

    fn print_logs_once(&self) {
        if self.logs_printed.swap(true, Ordering::Relaxed) {
            return;
        }
        eprintln!("--- bunraku\n{}", self.bridge.log_tail());
        eprintln!("--- Synapse\n{}", self.synapse.log_tail());
        eprintln!("--- {:?}\n{}", self.ircd.kind, self.ircd.log_tail());
    }
}

/// The alias of a channel's portal room.
pub fn alias(channel: &str) -> String {
    format!("#irc_{NETWORK}_{channel}:{DOMAIN}")
}

/// The Matrix id of an IRC user whose nick needs no escaping.
pub fn ghost(nick: &str) -> String {
    format!("@irc_{NETWORK}_{nick}:{DOMAIN}")
}

/// The nick of a Matrix user with that display name.
pub fn puppet(name: &str) -> String {
    format!("{name}[m]")
}

impl Deref for Story {
    type Target = World;
    fn deref(&self) -> &World {
        &self.world
    }
}

impl DerefMut for Story {
    fn deref_mut(&mut self) -> &mut World {
        &mut self.world
    }
}

impl Drop for Story {
    fn drop(&mut self) {
        // Others may go on with the world.
        self.world.end();
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.end();
    }
}
