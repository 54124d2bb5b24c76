//! The measurements. Each starts a fresh bridge, warms it up, measures one round, adds to the table.
//!
//! A message carries its number; what arrives is matched to what was sent, so that a figure never hides a
//! lost message.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::lab::{DOMAIN, Lab, Layout, Puppets, channel_name, room, still_resident_kb};
use super::machine::{cpu_s, ms, thread_cpu_s};
use super::model::homeserver::{
    Echo, Event, Homeserver, JoinRule, Settings as HomeserverSettings, transaction,
};
use super::model::http::Client;
use super::model::ircd::{Ircd, Line, Settings as IrcdSettings};
use super::{DELIVERY_TIME_MAX, Scale, Table};

/// The pace of the latency measurement: 50 messages a second.
const PACE: Duration = Duration::from_millis(20);
/// Puppets in each channel of the latency and throughput measurements.
const PUPPETS_PER_CHANNEL: usize = 5;
const THROUGHPUT_CHANNELS: usize = 10;
/// People on IRC who speak in each channel.
const SPEAKERS_PER_CHANNEL: usize = 5;
/// Lines said in one channel and not yet at the homeserver. A bridge is kept busy by this and no queue of
/// it overflows: what it does then is a matter for tests.
const WINDOW_PER_CHANNEL: usize = 200;
/// Events in one transaction: as many as Synapse puts there.
const TRANSACTION_EVENTS: usize = 100;
/// A byte that no other line of the model holds.
const CHAT_MARK: u8 = b'~';
/// The text of messages that are not measured.
const WARM_UP: &str = "warming up with some words so that it is as long as a line of chat";
/// What the bridge still does after the last message has arrived counts as its processor time.
const AFTERWORK: Duration = Duration::from_millis(500);

/// One message on its way: who says it where, and the how manyeth of the run it is.
#[derive(Clone, Copy)]
struct Message {
    number: usize,
    channel: usize,
    speaker: usize,
}

impl Message {
    /// Spreads the run over channels first, then speakers.
    fn of_run(number: usize, channels: usize, speakers: usize) -> Self {
        Self { number, channel: number % channels, speaker: number / channels % speakers }
    }

    fn text(&self) -> String {
        format!("m{} and some words so that it is as long as a line of chat", self.number)
    }

    /// The number in a text that arrived.
    fn number_in(text: &str) -> Option<usize> {
        text.strip_prefix('m')?.split(' ').next()?.parse().ok()
    }

    fn irc_nick(&self) -> String {
        format!("person{}c{}", self.speaker, self.channel)
    }
}

/// When each message of a run arrived, by number.
struct Arrivals(Vec<Instant>);

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

    fn at_homeserver(lab: &Lab, count: usize) -> Result<Self> {
        let sent = lab.homeserver.take_sent().into_iter().map(|sent| (sent.text(), sent));
        let sent = sent.filter(|(text, sent)| sent.kind == "m.room.message" && text != WARM_UP);
        Self::check(count, sent.map(|(text, sent)| (format!("{} {}", sent.room, sent.sender), text, sent.at)))
    }

    fn at_ircd(lab: &Lab, count: usize) -> Result<Self> {
        let said = lab.ircd.take_said().into_iter().filter(|said| said.text != WARM_UP);
        Self::check(count, said.map(|said| (format!("{} {}", said.target, said.nick), said.text, said.at)))
    }

    fn last(&self) -> Option<Instant> {
        self.0.iter().max().copied()
    }
}

/// Latency each way at 50 messages a second, in one channel.
pub async fn latency(scale: Scale, table: &mut Table) -> Result<()> {
    let layout =
        Layout { channels: 1, puppets_per_channel: PUPPETS_PER_CHANNEL, puppets: Puppets::OwnPerChannel };
    let mut lab = Lab::start(layout, scale.echo).await?;
    warm_up(&mut lab).await?;
    let count = (scale.latency_s * 1000) as usize / PACE.as_millis() as usize;
    let to_matrix = latency_to_matrix(&lab, count).await;
    report_latency(table, "IRC->Matrix", &to_matrix.map_err(|error| lab.explain(error))?);
    let to_irc = latency_to_irc(&lab, count).await;
    report_latency(table, "Matrix->IRC", &to_irc.map_err(|error| lab.explain(error))?);
    Ok(())
}

async fn latency_to_matrix(lab: &Lab, count: usize) -> Result<Vec<Duration>> {
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

async fn latency_to_irc(lab: &Lab, count: usize) -> Result<Vec<Duration>> {
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

fn report_latency(table: &mut Table, way: &str, latencies: &[Duration]) {
    let mut sorted = latencies.to_vec();
    sorted.sort_unstable();
    let at = |share: f64| sorted.get((sorted.len() as f64 * share) as usize).or(sorted.last());
    for (name, share, target) in [("p50", 0.50, "<= 1"), ("p99", 0.99, "<= 5"), ("worst", 1.0, "")] {
        if let Some(latency) = at(share) {
            table.add(&format!("{way} latency, {name}"), "ms", target, ms(*latency));
        }
    }
}

/// Flat out each way, over ten channels.
pub async fn throughput(scale: Scale, table: &mut Table) -> Result<()> {
    let layout = Layout {
        channels: THROUGHPUT_CHANNELS,
        puppets_per_channel: PUPPETS_PER_CHANNEL,
        puppets: Puppets::OwnPerChannel,
    };
    let mut lab = Lab::start(layout, scale.echo).await?;
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

/// From the first transaction written until the last line was at the IRC server.
async fn flat_out_to_irc(lab: &Lab, count: usize) -> Result<Duration> {
    lab.ircd.take_said();
    let layout = lab.layout;
    let users: Vec<Vec<String>> =
        (0..layout.channels).map(|channel| layout.users(channel).collect()).collect();
    let event = |number| -> Event {
        let message = Message::of_run(number, layout.channels, layout.puppets_per_channel);
        let sender = &users[message.channel][message.speaker];
        lab.homeserver.message(&room(message.channel), sender, &message.text())
    };
    let events: Vec<Event> = (0..count).map(event).collect();
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

/// Everybody speaks once, so that ghosts are registered and joined and every path has been taken.
async fn warm_up(lab: &mut Lab) -> Result<()> {
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

/// Resident memory at rest with none, a tenth, and all of the puppets, in one channel and in ten.
pub async fn memory(scale: Scale, table: &mut Table) -> Result<()> {
    for channels in [1, 10] {
        let place = if channels == 1 { "one channel" } else { "each of ten channels" };
        let mut empty_kb = 0;
        for puppets in [0, scale.puppets / 10, scale.puppets] {
            let layout = Layout { channels, puppets_per_channel: puppets, puppets: Puppets::Shared };
            let lab = Lab::start(layout, Echo::Off).await?;
            let kb = still_resident_kb(lab.pid()).await?;
            table.add(&format!("resident, {puppets} puppets in {place}"), "MB", "", kb as f64 / 1024.0);
            if puppets == 0 {
                empty_kb = kb;
                continue;
            }
            let each_kb = kb.saturating_sub(empty_kb) as f64 / puppets as f64;
            let target = if puppets == scale.puppets && channels == 1 { "<= 16" } else { "" };
            table.add(&format!("per puppet, over {puppets} in {place}"), "KB", target, each_kb);
            let start_s = lab.started_in.as_secs_f64();
            table.add(&format!("start until {puppets} puppets are in {place}"), "s", "", start_s);
        }
    }
    Ok(())
}

/// What the models cost by themselves: they run on a thread of their own, plain clients on another.
pub fn models(table: &mut Table) -> Result<()> {
    let (ready, is_ready) = std::sync::mpsc::channel();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = std::thread::spawn(move || -> Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let homeserver = Homeserver::start(HomeserverSettings::new(DOMAIN, "http://127.0.0.1:1")).await?;
            let bot = (format!("@ircbot:{DOMAIN}"), String::new());
            homeserver.add_room(&room(0), JoinRule::Public, &[bot]);
            let ircd = Ircd::start(IrcdSettings::default()).await?;
            let thread = std::fs::read_link("/proc/thread-self")?;
            let thread = thread.file_name().context("no thread id")?.to_string_lossy().into_owned();
            ready.send((thread, homeserver, ircd)).context("nobody measures")?;
            let _asked = stopped.await;
            Ok(())
        })
    });
    let measured = match is_ready.recv() {
        Ok((thread, homeserver, ircd)) => {
            let client = std::thread::spawn(move || load_models(&thread, &homeserver, &ircd));
            client.join().map_err(|_| anyhow::anyhow!("the measuring thread panicked"))?
        }
        Err(_) => bail!("the models did not start"),
    };
    drop(stop);
    server.join().map_err(|_| anyhow::anyhow!("the models panicked"))??;
    for (what, unit, value) in measured? {
        table.add(what, unit, "", value);
    }
    Ok(())
}

type Figures = Vec<(&'static str, &'static str, f64)>;

fn load_models(thread: &str, homeserver: &Homeserver, ircd: &Ircd) -> Result<Figures> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut figures = Vec::new();
    let (started, used) = (Instant::now(), thread_cpu_s(thread)?);
    let count = runtime.block_on(put_many(homeserver))? as f64;
    figures.push(("model homeserver, wall clock", "sends/s", count / started.elapsed().as_secs_f64()));
    figures.push(("model homeserver, own processor time", "sends/s", count / (thread_cpu_s(thread)? - used)));
    let (started, used) = (Instant::now(), thread_cpu_s(thread)?);
    let copies = runtime.block_on(chat_much(ircd))? as f64;
    figures.push(("model IRC server, wall clock", "lines out/s", copies / started.elapsed().as_secs_f64()));
    figures.push((
        "model IRC server, own processor time",
        "lines out/s",
        copies / (thread_cpu_s(thread)? - used),
    ));
    Ok(figures)
}

/// Sends from 32 connections, one request in flight on each; returns how many.
async fn put_many(homeserver: &Homeserver) -> Result<usize> {
    const CONNECTIONS: usize = 32;
    const EACH: usize = 1_000;
    let mut tasks = tokio::task::JoinSet::new();
    for connection in 0..CONNECTIONS {
        let url = homeserver.url();
        let body = format!(r#"{{"msgtype":"m.text","body":"{WARM_UP}"}}"#);
        tasks.spawn(async move {
            let mut client = Client::new(&url);
            for number in 0..EACH {
                let path =
                    format!("/_matrix/client/v3/rooms/{}/send/m.room.message/{connection}.{number}", room(0));
                let answer = client.call("PUT", &path, "as", body.as_bytes()).await?;
                ensure!(answer.status == 200, "the model answered {}", answer.status);
            }
            Ok(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    ensure!(homeserver.sent_len() == CONNECTIONS * EACH, "the model lost a send");
    Ok(CONNECTIONS * EACH)
}

/// One speaker, nine listeners; returns how many copies were heard.
async fn chat_much(ircd: &Ircd) -> Result<usize> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    const LISTENERS: usize = 9;
    const LINES: usize = 20_000;
    let address = ("127.0.0.1", ircd.port());
    let mut tasks = tokio::task::JoinSet::new();
    for listener in 0..=LISTENERS {
        let mut stream = tokio::net::TcpStream::connect(address).await?;
        stream.write_all(format!("NICK n{listener}\r\nUSER n 0 * :n\r\nJOIN #c\r\n").as_bytes()).await?;
        tasks.spawn(async move {
            let speaks = listener == LISTENERS;
            let mut heard = 0;
            let mut buffer = vec![0; 16 * 1024];
            while !speaks && heard < LINES {
                let length = stream.read(&mut buffer).await?;
                ensure!(length > 0, "the model closed a connection");
                heard += memchr::memchr_iter(CHAT_MARK, &buffer[..length]).count();
            }
            if speaks {
                let line = format!("PRIVMSG #c :{} {WARM_UP}\r\n", CHAT_MARK as char);
                for _ in 0..LINES {
                    stream.write_all(line.as_bytes()).await?;
                }
                // The others hear its last line before it closes, as the model reads in order.
                stream.write_all(b"QUIT\r\n").await?;
                while stream.read(&mut buffer).await? > 0 {}
            }
            Ok(heard)
        });
        ensure!(
            ircd.wait_for_members("#c", listener + 1, DELIVERY_TIME_MAX).await.is_ok(),
            "a listener did not join"
        );
    }
    let mut heard = 0;
    while let Some(done) = tasks.join_next().await {
        heard += done??;
    }
    ensure!(heard == LISTENERS * LINES, "the model lost a line");
    Ok(heard)
}
