//! A start with much in the database: how long until the first relay, and what the homeserver is asked before it.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bunraku::bridge::input::{PortalOrigin, PortalRow};
use bunraku::ids::{NetworkId, RoomId, UserId};
use bunraku::store::Store;
use tokio::task::JoinSet;

use super::lab::{DOMAIN, Lab, Layout, Plan, Puppets, Rooms, START_TIME_MAX, channel_name, room, user};
use super::messages::{WARM_UP, both_ways};
use super::model::homeserver::{Homeserver, JoinRule};
use super::{Scale, Table};

/// Rooms of one puppet.
const ROOMS_EACH: usize = 100;
/// Questions to the homeserver that a start may take, whatever is in the database: who we are, whether it reaches us,
/// and that it may send what it has kept.
const REQUESTS_MAX: u64 = 20;
/// The device of ghosts, as in `src/app/run.rs`.
const DEVICE: &str = "BUNRAKU";
const BOT: &str = "ircbot";
/// Messages each way that show that all is well afterwards.
const PROOF: usize = 50;
/// How often it is looked whether somebody can speak.
const LOOK: Duration = Duration::from_millis(1);

/// Lets the bridge start twice on a database of this size, and measures the second time.
pub async fn warm(scale: Scale, table: &mut Table) -> Result<()> {
    let puppets = Puppets::InTurn(scale.rooms.div_ceil(ROOMS_EACH).max(1));
    let layout = Layout { channels: scale.rooms, puppets_per_channel: 1, puppets };
    let mut lab = Lab::prepare(Plan { rooms: Rooms::Remembered, ..Plan::new(layout) }).await?;
    let known = Known { rooms: scale.rooms, ghosts: scale.ghosts };
    known.to_homeserver(&lab);
    known.to_database(&lab).await?;
    // What a run leaves behind for the next one is left behind by a run.
    lab.run().await?;
    both_ways(&mut lab, PROOF).await?;
    lab.stop().await?;

    let before: u64 = lab.homeserver.all_calls().values().sum();
    lab.homeserver.take_sent();
    lab.ircd.take_said();
    let started = lab.spawn()?;
    let firsts = tokio::try_join!(first_to_matrix(&lab), first_to_irc(&lab));
    let (to_matrix, to_irc) = firsts.map_err(|error| lab.explain(format!("{error:#}")))?;
    let asked = to_matrix.calls_before - before;
    let name = format!("{} rooms and {} ghosts known", scale.rooms, scale.ghosts);
    table.add(
        &format!("exec to the first line on Matrix, {name}"),
        "s",
        "< 2",
        seconds(started, to_matrix.at),
    );
    table.add(&format!("exec to the first message on IRC, {name}"), "s", "< 2", seconds(started, to_irc));
    table.add("requests before the first line on Matrix", "", "", asked as f64);
    ensure!(asked <= REQUESTS_MAX, "{asked} requests before the first relay: something is asked again");
    lab.wait_until_complete(started + START_TIME_MAX).await?;
    let what = format!("exec until {} puppets are in all {} channels", layout.puppets_len(), scale.rooms);
    table.add(&what, "s", "", started.elapsed().as_secs_f64());
    both_ways(&mut lab, PROOF).await
}

fn seconds(from: Instant, to: Instant) -> f64 {
    to.duration_since(from).as_secs_f64()
}

/// What an earlier life of the bridge has seen.
struct Known {
    rooms: usize,
    ghosts: usize,
}

impl Known {
    /// Each ghost's nick and room.
    fn ghosts(&self) -> impl Iterator<Item = (String, usize)> {
        (0..self.ghosts).map(|number| (format!("ghost{number}"), number % self.rooms))
    }

    /// The rooms with their members, and the ghosts.
    fn to_homeserver(&self, lab: &Lab) {
        let mut members: Vec<Vec<(String, String)>> = (0..self.rooms)
            .map(|channel| {
                lab.layout.users(channel).chain([bot()]).map(|user| (user, String::new())).collect()
            })
            .collect();
        for (nick, channel) in self.ghosts() {
            lab.homeserver.add_ghost(&ghost(&nick), DEVICE, &nick);
            members[channel].push((ghost(&nick), nick));
        }
        for (channel, members) in members.iter().enumerate() {
            lab.homeserver.add_room(&room(channel), JoinRule::Public, members);
        }
    }

    /// The same as the bridge would have it, which was not started yet.
    async fn to_database(&self, lab: &Lab) -> Result<()> {
        let store = Store::open(&format!("sqlite:{}", lab.folder().join("bunraku.db").display())).await?;
        let network = NetworkId::new("local").context("a network's key")?;
        // All at once: the store puts into one commit what waits together.
        let mut saving = JoinSet::new();
        for channel in 0..self.rooms {
            let (store, network) = (store.clone(), network.clone());
            let (room, channel_name, origin) =
                (room_id(channel)?, channel_name(channel), PortalOrigin::Alias);
            let row = PortalRow { room, channel: channel_name, origin };
            saving.spawn(async move { store.portal_save(&network, &row).await });
        }
        while let Some(saved) = saving.join_next().await {
            saved??;
        }
        for channel in 0..self.rooms {
            for user in lab.layout.users(channel) {
                store.member_save(&room_id(channel)?, &user_id(&user)?, None).await?;
            }
        }
        for (nick, channel) in self.ghosts() {
            let user = user_id(&ghost(&nick))?;
            store.ghost_save(&user, &nick).await?;
            store.ghost_joined(&room_id(channel)?, &user).await?;
        }
        Ok(store.close().await?)
    }
}

fn bot() -> String {
    format!("@{BOT}:{DOMAIN}")
}

fn ghost(nick: &str) -> String {
    format!("@irc_local_{nick}:{DOMAIN}")
}

fn room_id(channel: usize) -> Result<RoomId> {
    RoomId::new(&room(channel)).context("a room id")
}

fn user_id(user: &str) -> Result<UserId> {
    UserId::new(user).context("a user id")
}

/// The first line that came to the homeserver.
struct First {
    at: Instant,
    /// Requests by then, in the homeserver's life.
    calls_before: u64,
}

/// Somebody speaks as soon as there is a puppet to hear it.
async fn first_to_matrix(lab: &Lab) -> Result<First> {
    let channel = channel_name(0);
    let deadline = Instant::now() + START_TIME_MAX;
    while lab.ircd.members_len(&channel) == 0 {
        ensure!(Instant::now() < deadline, "no puppet came to {channel}");
        tokio::time::sleep(LOOK).await;
    }
    lab.ircd.say(&channel, "ghost0", WARM_UP);
    first_line(&lab.homeserver).await
}

/// The event that the bridge sends in its control room is none.
async fn first_line(homeserver: &Homeserver) -> Result<First> {
    loop {
        let sent = homeserver.sent();
        if let Some(line) = sent.iter().find(|sent| sent.kind == "m.room.message") {
            let calls: u64 = homeserver.all_calls().values().sum();
            return Ok(First { at: line.at, calls_before: calls - 1 });
        }
        homeserver.wait_for(sent.len() + 1, START_TIME_MAX).await?;
    }
}

/// Somebody on Matrix speaks as soon as the bridge takes transactions.
async fn first_to_irc(lab: &Lab) -> Result<Instant> {
    let deadline = Instant::now() + START_TIME_MAX;
    while !lab.is_listening().await {
        ensure!(Instant::now() < deadline, "the bridge takes no transactions");
        tokio::time::sleep(LOOK).await;
    }
    let event = lab.homeserver.message(&room(0), &user(0), WARM_UP);
    lab.homeserver.push(&[event]).await?;
    lab.ircd.wait_for(1, START_TIME_MAX).await?;
    lab.ircd.said().first().map(|said| said.at).context("nothing was said")
}
