//! What puppets cost that say nothing: memory, processor time, and a line that all of them hear.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::lab::{Lab, Layout, Plan, Puppets, Wire, still_resident_kb};
use super::machine::cpu_s;
use super::messages::{AFTERWORK, both_ways, paced_to_matrix};
use super::{Scale, Table};

/// Puppets in one channel of those that idle.
const PUPPETS_PER_CHANNEL: usize = 100;
/// How often the IRC server asks each puppet for a sign of life; the bridge's own questions come as they do by
/// default.
const SERVER_PINGS_EACH: Duration = Duration::from_secs(90);
/// Messages each way that show that all is well after a measurement.
const PROOF: usize = 50;

/// Resident memory at rest with none, a tenth, and all of the puppets, in one channel and in ten. What one costs is the
/// difference between a tenth and all: only after a burst of connections is free memory given back to the system, so
/// that nothing can be said from a bridge that had none.
pub async fn memory(scale: Scale, table: &mut Table) -> Result<()> {
    for channels in [1, 10] {
        let place = if channels == 1 { "one channel" } else { "each of ten channels" };
        let mut few = 0;
        for puppets in [0, scale.puppets / 10, scale.puppets] {
            let layout = Layout { channels, puppets_per_channel: puppets, puppets: Puppets::Shared };
            let lab = Lab::start(Plan::new(layout)).await?;
            let kb = still_resident_kb(lab.pid()).await?;
            table.add(&format!("resident, {puppets} puppets in {place}"), "MB", "", kb as f64 / 1024.0);
            if puppets < scale.puppets {
                few = kb;
                continue;
            }
            let each_kb = kb.saturating_sub(few) as f64 / (puppets - puppets / 10) as f64;
            let target = if channels == 1 { "<= 16" } else { "" };
            table.add(&format!("per puppet, over {puppets} in {place}"), "KB", target, each_kb);
            let start_s = lab.started_in.as_secs_f64();
            table.add(&format!("start until {puppets} puppets are in {place}"), "s", "", start_s);
        }
    }
    Ok(())
}

/// Memory of many puppets in channels of a hundred, plain and over TLS, above that of the first hundred; of the most of
/// them processor time too.
pub async fn idle(scale: Scale, table: &mut Table) -> Result<()> {
    for (wire, name, target) in [(Wire::Plain, "plain", "<= 16"), (Wire::Tls, "TLS", "<= 30")] {
        let first = channels_of_a_hundred(PUPPETS_PER_CHANNEL);
        let few = Lab::start(Plan { wire, ..Plan::new(first) }).await?;
        let few_kb = still_resident_kb(few.pid()).await?;
        drop(few);
        let all = channels_of_a_hundred(scale.idle_puppets.max(2 * PUPPETS_PER_CHANNEL));
        let tenth = channels_of_a_hundred(scale.idle_puppets / 10);
        for layout in [tenth, all].into_iter().filter(|layout| layout.channels > first.channels) {
            let puppets = layout.puppets_len();
            let mut lab = Lab::start(Plan { wire, ..Plan::new(layout) }).await?;
            lab.ircd.ping_each(SERVER_PINGS_EACH);
            let kb = still_resident_kb(lab.pid()).await?;
            let each_kb = kb.saturating_sub(few_kb) as f64 / (puppets - PUPPETS_PER_CHANNEL) as f64;
            table.add(&format!("each of {puppets} idle puppets, {name}"), "KB", target, each_kb);
            let start_s = lab.started_in.as_secs_f64();
            table.add(
                &format!("start until {puppets} puppets are in channels of 100, {name}"),
                "s",
                "",
                start_s,
            );
            if layout.channels == all.channels {
                rest(scale, &mut lab, name, table).await?;
            }
            both_ways(&mut lab, PROOF).await?;
        }
    }
    Ok(())
}

fn channels_of_a_hundred(puppets: usize) -> Layout {
    let channels = puppets.div_ceil(PUPPETS_PER_CHANNEL);
    Layout { channels, puppets_per_channel: PUPPETS_PER_CHANNEL, puppets: Puppets::OwnPerChannel }
}

/// Processor time of doing nothing but answering and asking for signs of life.
async fn rest(scale: Scale, lab: &mut Lab, name: &str, table: &mut Table) -> Result<()> {
    let puppets = lab.layout.puppets_len();
    let (pongs, used, started) = (lab.ircd.pongs(), cpu_s(lab.pid())?, Instant::now());
    tokio::time::sleep(Duration::from_secs(scale.idle_s)).await;
    let share = (cpu_s(lab.pid())? - used) / started.elapsed().as_secs_f64();
    table.add(
        &format!("processor use of {puppets} idle puppets, {name}"),
        "% of a core",
        "<= 5",
        share * 100.0,
    );
    let here = lab.ircd.registered();
    ensure!(here == puppets, lab.explain(format!("{here} of {puppets} puppets are still there")));
    // Each is asked once in the server's interval, however that falls.
    let asked_min = puppets as u64 * scale.idle_s / SERVER_PINGS_EACH.as_secs() / 2;
    let answered = (lab.ircd.pongs() - pongs) as u64;
    ensure!(answered >= asked_min, lab.explain(format!("{answered} signs of life, not {asked_min}")));
    Ok(())
}

/// One line in a channel with a thousand puppets: the server writes a thousand copies, one message is sent.
pub async fn crowd(scale: Scale, table: &mut Table) -> Result<()> {
    let puppets = scale.puppets;
    let layout = Layout { channels: 1, puppets_per_channel: puppets, puppets: Puppets::Shared };
    let mut lab = Lab::start(Plan::new(layout)).await?;
    both_ways(&mut lab, PROOF).await?;
    still_resident_kb(lab.pid()).await?;
    let used = cpu_s(lab.pid())?;
    let taken = paced_to_matrix(&lab, scale.lines).await.map_err(|error| lab.explain(error))?;
    tokio::time::sleep(AFTERWORK).await;
    let each_ms = (cpu_s(lab.pid())? - used) * 1000.0 / scale.lines as f64;
    let what = format!("a line in a channel with {puppets} puppets");
    table.add(&format!("processor time of {what}"), "ms", "<= 2", each_ms);
    table.add_times(&format!("latency of {what}"), [""; 2], &taken);
    Ok(())
}
