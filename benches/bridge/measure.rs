//! How fast messages pass: latency, throughput, and transactions of the homeserver. Each measurement starts a fresh
//! bridge, warms it up, measures one round, adds to the table.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::lab::{Lab, Layout, Plan, Puppets, channel_name, room};
use super::machine::cpu_s;
use super::messages::{
    AFTERWORK, Arrivals, Message, SPEAKERS_PER_CHANNEL, paced_to_irc, paced_to_matrix, warm_up,
};
use super::model::homeserver::{Event, transaction};
use super::model::ircd::Line;
use super::{DELIVERY_TIME_MAX, PACE, Scale, Table};

/// Where throughput is measured: ten channels of five puppets.
const WIDE: Layout = Layout { channels: 10, puppets_per_channel: 5, puppets: Puppets::OwnPerChannel };
/// For p50 and p99, in milliseconds.
const LATENCY_TARGETS: [&str; 2] = ["<= 1", "<= 5"];
/// Lines said in one channel and not yet at the homeserver. A bridge is kept busy by this and no queue of
/// it overflows: what it does then is a matter for tests.
const WINDOW_PER_CHANNEL: usize = 200;
/// Events in one transaction: as many as Synapse puts there.
const TRANSACTION_EVENTS: usize = 100;
/// Between two transactions where they are paced.
const TRANSACTION_PACE: Duration = Duration::from_millis(100);

/// Latency each way at 50 messages a second, in one channel.
pub async fn latency(scale: Scale, table: &mut Table) -> Result<()> {
    let layout = Layout { channels: 1, ..WIDE };
    let mut lab = Lab::start(Plan { echo: scale.echo, ..Plan::new(layout) }).await?;
    warm_up(&mut lab).await?;
    let count = (scale.latency_s * 1000) as usize / PACE.as_millis() as usize;
    let to_matrix = paced_to_matrix(&lab, count).await.map_err(|error| lab.explain(error))?;
    table.add_times("IRC->Matrix latency", LATENCY_TARGETS, &to_matrix);
    let to_irc = paced_to_irc(&lab, count).await.map_err(|error| lab.explain(error))?;
    table.add_times("Matrix->IRC latency", LATENCY_TARGETS, &to_irc);
    Ok(())
}

/// How long a transaction of 100 events waits for its 200: ten a second, and then each as soon as the last was
/// taken.
pub async fn transactions(scale: Scale, table: &mut Table) -> Result<()> {
    let mut lab = Lab::start(Plan { echo: scale.echo, ..Plan::new(WIDE) }).await?;
    warm_up(&mut lab).await?;
    for (pause, how, targets) in
        [(TRANSACTION_PACE, "ten a second", ["", "<= 50"]), (Duration::ZERO, "one after the other", [""; 2])]
    {
        let taken = push_all(&lab, scale.transactions, pause).await.map_err(|error| lab.explain(error))?;
        table.add_times(
            &format!("transaction of {TRANSACTION_EVENTS} events to its 200, {how}"),
            targets,
            &taken,
        );
    }
    Ok(())
}

/// From just before the first byte of each transaction until its 200 was here. All that they hold arrives.
async fn push_all(lab: &Lab, count: usize, pause: Duration) -> Result<Vec<Duration>> {
    lab.ircd.take_said();
    let events = events_of_run(lab, count * TRANSACTION_EVENTS);
    let bodies: Vec<Vec<u8>> = events.chunks(TRANSACTION_EVENTS).map(transaction).collect();
    let mut taken = Vec::with_capacity(count);
    let mut next = tokio::time::Instant::now();
    for body in &bodies {
        tokio::time::sleep_until(next).await;
        next += pause;
        let pushed = lab.homeserver.push_body(body).await?;
        taken.push(pushed.answered.duration_since(pushed.written));
    }
    let _short = lab.ircd.wait_for(events.len(), DELIVERY_TIME_MAX).await;
    Arrivals::at_ircd(lab, events.len())?;
    Ok(taken)
}

/// Flat out each way, over ten channels.
pub async fn throughput(scale: Scale, table: &mut Table) -> Result<()> {
    let mut lab = Lab::start(Plan { echo: scale.echo, ..Plan::new(WIDE) }).await?;
    warm_up(&mut lab).await?;
    for (way, flow) in [("IRC->Matrix", Flow::ToMatrix), ("Matrix->IRC", Flow::ToIrc)] {
        let meter = Meter::start(lab.pid())?;
        let taken = match flow {
            Flow::ToMatrix => flat_out_to_matrix(&lab, scale.messages).await,
            Flow::ToIrc => flat_out_to_irc(&lab, scale.messages).await,
        };
        let taken = taken.map_err(|error| lab.explain(error))?;
        table.add(
            &format!("{way} throughput"),
            "messages/s",
            ">= 5000",
            scale.messages as f64 / taken.as_secs_f64(),
        );
        meter.stop(table, way, scale.messages).await?;
    }
    Ok(())
}

#[derive(Clone, Copy)]
enum Flow {
    ToMatrix,
    ToIrc,
}

/// Processor time of the bridge and of the models from one moment on.
struct Meter {
    bridge: u32,
    bridge_s: f64,
    models_s: f64,
}

impl Meter {
    fn start(bridge: u32) -> Result<Self> {
        Ok(Self { bridge, bridge_s: cpu_s(bridge)?, models_s: cpu_s(std::process::id())? })
    }

    async fn stop(self, table: &mut Table, way: &str, messages: usize) -> Result<()> {
        tokio::time::sleep(AFTERWORK).await;
        let per_10_000 = 10_000.0 / messages as f64;
        let bridge = (cpu_s(self.bridge)? - self.bridge_s) * per_10_000;
        let models = (cpu_s(std::process::id())? - self.models_s) * per_10_000;
        table.add(&format!("{way} processor time, bridge"), "s per 10,000", "", bridge);
        table.add(&format!("{way} processor time, models"), "s per 10,000", "", models);
        Ok(())
    }
}

/// From the first line written until the last event was at the homeserver.
async fn flat_out_to_matrix(lab: &Lab, count: usize) -> Result<Duration> {
    lab.homeserver.take_sent();
    let channels = lab.layout.channels;
    let names: Vec<String> = (0..channels).map(channel_name).collect();
    let step = 10 * channels;
    let window = WINDOW_PER_CHANNEL * channels;
    let started = Instant::now();
    for first in (0..count).step_by(step) {
        let room_for_a_step = (first + step).saturating_sub(window);
        if lab.homeserver.wait_for(room_for_a_step, DELIVERY_TIME_MAX).await.is_err() {
            break;
        }
        let messages =
            (first..count.min(first + step)).map(|n| Message::of_run(n, channels, SPEAKERS_PER_CHANNEL));
        let spoken: Vec<_> = messages.map(|message| (message, message.irc_nick(), message.text())).collect();
        let lines =
            spoken.iter().map(|(message, nick, text)| Line { channel: &names[message.channel], nick, text });
        lab.ircd.say_all(&lines.collect::<Vec<_>>());
    }
    let _short = lab.homeserver.wait_for(count, DELIVERY_TIME_MAX).await;
    let arrived = Arrivals::at_homeserver(lab, count)?;
    Ok(arrived.last().context("nothing was sent")?.duration_since(started))
}

/// What the puppets are to say in a run, over all rooms in turn.
fn events_of_run(lab: &Lab, count: usize) -> Vec<Event> {
    let layout = lab.layout;
    let users: Vec<Vec<String>> =
        (0..layout.channels).map(|channel| layout.users(channel).collect()).collect();
    let event = |number| -> Event {
        let message = Message::of_run(number, layout.channels, layout.puppets_per_channel);
        let sender = &users[message.channel][message.speaker];
        lab.homeserver.message(&room(message.channel), sender, &message.text())
    };
    (0..count).map(event).collect()
}

/// From the first transaction written until the last line was at the IRC server.
async fn flat_out_to_irc(lab: &Lab, count: usize) -> Result<Duration> {
    lab.ircd.take_said();
    let events = events_of_run(lab, count);
    let bodies: Vec<Vec<u8>> = events.chunks(TRANSACTION_EVENTS).map(transaction).collect();
    let mut first_written = None;
    let mut refused = 0;
    for body in &bodies {
        let pushed = lab.homeserver.push_body(body).await?;
        first_written.get_or_insert(pushed.written);
        refused += pushed.attempts - 1;
    }
    let _short = lab.ircd.wait_for(count, DELIVERY_TIME_MAX).await;
    if refused > 0 {
        println!("  the bridge refused {refused} transactions for a while; they were sent again");
    }
    let arrived = Arrivals::at_ircd(lab, count)?;
    arrived
        .last()
        .zip(first_written)
        .map(|(last, first)| last.duration_since(first))
        .context("nothing was sent")
}
