//! How fast puppets connect, and how fast they are back after the IRC server's restart: without a limit, and at the
//! rate that the configuration allows.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::config::BURST;
use super::lab::{Lab, Layout, Pace, Plan, Puppets, START_TIME_MAX};
use super::messages::both_ways;
use super::{Scale, Table};

/// How long nobody listens while the IRC server restarts. The figures hold it.
const DOWN: Duration = Duration::from_millis(200);
/// Messages each way that show that all is well afterwards.
const PROOF: usize = 50;

/// All puppets in one channel.
pub async fn connects(scale: Scale, table: &mut Table) -> Result<()> {
    let layout = Layout { channels: 1, puppets_per_channel: scale.puppets, puppets: Puppets::Shared };
    for (pace, target) in [(Pace::Off, "<= 3"), (Pace::PerSecond(scale.rate), "")] {
        let name = match pace {
            Pace::Off => "no limit".to_owned(),
            Pace::PerSecond(rate) => format!("{rate}/s allowed"),
        };
        let mut lab = Lab::start(Plan { pace, ..Plan::new(layout) }).await?;
        Coming::take(&lab)?.report(&format!("{name}, start"), pace, table);
        let what = format!("{} puppets connected, {name}", scale.puppets);
        table.add(&what, "s", target, lab.started_in.as_secs_f64());
        both_ways(&mut lab, PROOF).await?;

        let cut = Instant::now();
        lab.ircd.restart(DOWN).await.context("the model IRC server does not come up again")?;
        lab.wait_until_complete(cut + START_TIME_MAX).await?;
        let what = format!("{} puppets back after the IRC server's restart, {name}", scale.puppets);
        table.add(&what, "s", target, cut.elapsed().as_secs_f64());
        Coming::take(&lab)?.report(&format!("{name}, restart"), pace, table);
        both_ways(&mut lab, PROOF).await?;
    }
    Ok(())
}

/// When connections came to the IRC server, and when they were registered.
struct Coming {
    dialed: Vec<Instant>,
    welcomed: Vec<Instant>,
}

impl Coming {
    fn take(lab: &Lab) -> Result<Self> {
        let (dialed, welcomed) = (lab.ircd.take_dialed(), lab.ircd.take_welcomed());
        anyhow::ensure!(dialed.len() > 1 && welcomed.len() > 1, "nobody connected");
        Ok(Self { dialed, welcomed })
    }

    fn report(&self, name: &str, pace: Pace, table: &mut Table) {
        let what = format!("connections made in a second, {name}");
        match pace {
            Pace::Off => {
                let taken = self.welcomed[self.welcomed.len() - 1].duration_since(self.dialed[0]);
                table.add(&what, "1/s", "", self.welcomed.len() as f64 / taken.as_secs_f64());
            }
            Pace::PerSecond(_) => {
                let steady = &self.dialed[BURST.min(self.dialed.len() - 2)..];
                let taken = steady[steady.len() - 1].duration_since(steady[0]);
                let rate = (steady.len() - 1) as f64 / taken.as_secs_f64();
                table.add(&format!("{what}, after the burst"), "1/s", "the rate", rate);
                let most = most_in_a_second(&self.dialed) as f64;
                table.add(&format!("{what}, the busiest"), "1/s", "rate and burst", most);
            }
        }
    }
}

/// The most of these moments, which are in order, that lie within one second.
fn most_in_a_second(moments: &[Instant]) -> usize {
    let mut first = 0;
    let mut most = 0;
    for (last, moment) in moments.iter().enumerate() {
        while moment.duration_since(moments[first]) >= Duration::from_secs(1) {
            first += 1;
        }
        most = most.max(last - first + 1);
    }
    most
}
