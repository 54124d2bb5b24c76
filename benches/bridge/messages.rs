//! Messages that are followed by name: each carries its number, and what arrived is matched to what was sent, so
//! that a figure never hides a message that was lost, doubled or out of its sender's order.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::lab::{Lab, channel_name, room};
use super::{DELIVERY_TIME_MAX, PACE};

/// People on IRC who speak in each channel.
pub const SPEAKERS_PER_CHANNEL: usize = 5;
/// The text of messages that are not measured.
pub const WARM_UP: &str = "warming up with some words so that it is as long as a line of chat";
/// What the bridge still does after the last message has arrived counts as its processor time.
pub const AFTERWORK: Duration = Duration::from_millis(500);

/// One message on its way: who says it where, and the how manyeth of the run it is.
#[derive(Clone, Copy)]
pub struct Message {
    pub number: usize,
    pub channel: usize,
    pub speaker: usize,
}

impl Message {
    /// Spreads the run over channels first, then speakers.
    pub fn of_run(number: usize, channels: usize, speakers: usize) -> Self {
        Self { number, channel: number % channels, speaker: number / channels % speakers }
    }

    pub fn text(&self) -> String {
        format!("m{} and some words so that it is as long as a line of chat", self.number)
    }

    /// The number in a text that arrived.
    fn number_in(text: &str) -> Option<usize> {
        text.strip_prefix('m')?.split(' ').next()?.parse().ok()
    }

    pub fn irc_nick(&self) -> String {
        format!("person{}c{}", self.speaker, self.channel)
    }
}

/// When each message of a run arrived, by number.
pub struct Arrivals(pub Vec<Instant>);

impl Arrivals {
    /// Checks that each of `count` messages arrived once, and those of one lane (room and sender) in order.
    fn check(count: usize, arrived: impl Iterator<Item = (String, String, Instant)>) -> Result<Self> {
        let mut at = vec![None; count];
        let mut last = HashMap::new();
        for (lane, text, when) in arrived {
            let number =
                Message::number_in(&text).with_context(|| format!("unknown text arrived: {text:?}"))?;
            let place = at.get_mut(number).with_context(|| format!("message {number} was never sent"))?;
            ensure!(place.replace(when).is_none(), "message {number} arrived twice");
            if let Some(before) = last.insert(lane, number) {
                ensure!(before < number, "message {number} arrived after its successor {before}");
            }
        }
        let lost = at.iter().filter(|when| when.is_none()).count();
        ensure!(lost == 0, "{lost} of {count} messages were lost");
        Ok(Self(at.into_iter().flatten().collect()))
    }

    /// What came to the homeserver since it was last asked.
    pub fn at_homeserver(lab: &Lab, count: usize) -> Result<Self> {
        let sent = lab.homeserver.take_sent().into_iter().map(|sent| (sent.text(), sent));
        let sent = sent.filter(|(text, sent)| sent.kind == "m.room.message" && text != WARM_UP);
        Self::check(count, sent.map(|(text, sent)| (format!("{} {}", sent.room, sent.sender), text, sent.at)))
    }

    /// What came to the IRC server since it was last asked.
    pub fn at_ircd(lab: &Lab, count: usize) -> Result<Self> {
        let said = lab.ircd.take_said().into_iter().filter(|said| said.text != WARM_UP);
        Self::check(count, said.map(|said| (format!("{} {}", said.target, said.nick), said.text, said.at)))
    }

    pub fn last(&self) -> Option<Instant> {
        self.0.iter().max().copied()
    }
}

/// `count` lines at 50 a second, in the first channel: how long each was on its way to the homeserver.
pub async fn paced_to_matrix(lab: &Lab, count: usize) -> Result<Vec<Duration>> {
    lab.homeserver.take_sent();
    let mut pace = tokio::time::interval(PACE);
    let mut said = Vec::with_capacity(count);
    for number in 0..count {
        pace.tick().await;
        let message = Message::of_run(number, 1, SPEAKERS_PER_CHANNEL);
        said.push(lab.ircd.say(&channel_name(0), &message.irc_nick(), &message.text()));
    }
    // A shortfall is put into words by the check, which knows what is missing.
    let _short = lab.homeserver.wait_for(count, DELIVERY_TIME_MAX).await;
    let arrived = Arrivals::at_homeserver(lab, count)?;
    Ok(arrived.0.iter().zip(&said).map(|(arrived, said)| arrived.duration_since(*said)).collect())
}

/// The same the other way, each message in a transaction of its own; everybody in the room speaks in turn.
pub async fn paced_to_irc(lab: &Lab, count: usize) -> Result<Vec<Duration>> {
    lab.ircd.take_said();
    let users: Vec<String> = lab.layout.users(0).collect();
    let mut pace = tokio::time::interval(PACE);
    let mut written = Vec::with_capacity(count);
    for number in 0..count {
        pace.tick().await;
        let message = Message::of_run(number, 1, users.len());
        let event = lab.homeserver.message(&room(0), &users[message.speaker], &message.text());
        written.push(lab.homeserver.push(&[event]).await?.written);
    }
    let _short = lab.ircd.wait_for(count, DELIVERY_TIME_MAX).await;
    let arrived = Arrivals::at_ircd(lab, count)?;
    Ok(arrived.0.iter().zip(&written).map(|(arrived, written)| arrived.duration_since(*written)).collect())
}

/// So many messages each way in the first channel: nobody hears less or more after what was done to the bridge.
pub async fn both_ways(lab: &mut Lab, count: usize) -> Result<()> {
    let to_matrix = paced_to_matrix(lab, count).await;
    to_matrix.map_err(|error| lab.explain(format!("afterwards, IRC->Matrix: {error:#}")))?;
    let to_irc = paced_to_irc(lab, count).await;
    to_irc.map_err(|error| lab.explain(format!("afterwards, Matrix->IRC: {error:#}")))?;
    Ok(())
}

/// Everybody speaks once, so that ghosts are registered and joined and every path has been taken.
pub async fn warm_up(lab: &mut Lab) -> Result<()> {
    let layout = lab.layout;
    for channel in 0..layout.channels {
        for speaker in 0..SPEAKERS_PER_CHANNEL {
            let nick = Message { number: 0, channel, speaker }.irc_nick();
            lab.ircd.join_virtual(&channel_name(channel), &nick);
            lab.ircd.say(&channel_name(channel), &nick, WARM_UP);
        }
        for user in layout.users(channel) {
            let event = lab.homeserver.message(&room(channel), &user, WARM_UP);
            lab.homeserver.push(&[event]).await.map_err(|error| lab.explain(error))?;
        }
    }
    let to_matrix = lab.homeserver.wait_for(layout.channels * SPEAKERS_PER_CHANNEL, DELIVERY_TIME_MAX).await;
    let to_irc = lab.ircd.wait_for(layout.channels * layout.puppets_per_channel, DELIVERY_TIME_MAX).await;
    to_matrix.map_err(|short| lab.explain(format!("warming up, IRC->Matrix: {short}")))?;
    to_irc.map_err(|short| lab.explain(format!("warming up, Matrix->IRC: {short}")))?;
    tokio::time::sleep(AFTERWORK).await;
    Ok(())
}
