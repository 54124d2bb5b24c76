//! The connection with the duty in a channel ends again and again while people talk.
//!
//! All puppets see each line, each with its own lag, and one of them relays it. Without names for lines (`msgid`): what
//! is alike is told apart by order alone.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::{interval, sleep};

use crate::support::figures::{count, report};
use crate::support::judge::{Mark, judge};
use crate::support::lab::{Lab, Plan, channel};
use crate::support::random::Random;
use crate::support::{PATIENT, QUIET, eventually};

const PUPPETS: usize = 4;
const PEOPLE: usize = 3;
/// Between two lines.
const PACE: Duration = Duration::from_millis(10);
/// The longest lag of one connection. None is without: the model keeps lines in order only while there is some.
const LAG_MS_MAX: u64 = 30;

#[tokio::test]
async fn duty_moves() {
    let mut random = Random::of("duty_moves");
    let times = count(20, 1_000);
    let people: Vec<String> = (0..PEOPLE).map(|n| format!("fp{n}")).collect();
    let mut lab = Lab::start(Plan::of(1, PUPPETS)).await;
    lab.greet(&people, 0..1).await;

    let talk = Talk::start(&lab, &people);
    for turn in 0..times {
        for nick in lab.ircd.members(&channel(0)) {
            lab.ircd.delay(&nick, random.between_ms(1, LAG_MS_MAX));
        }
        sleep(random.between_ms(20, 200)).await;
        // Who has been there longest has the duty.
        let nominee = lab.ircd.members(&channel(0)).first().cloned().expect("puppets are there");
        if random.percent(50) {
            lab.ircd.kill(&nominee, "enough");
        } else {
            lab.ircd.cut(&nominee);
        }
        let ended = format!("the end of {nominee}, turn {turn}");
        let members = || lab.ircd.members(&channel(0));
        eventually(&ended, PATIENT, || async { (members().last() == Some(&nominee)).then_some(()) }).await;
        lab.wait_puppets(PUPPETS).await;
    }
    let accepted = talk.stop().await;
    lab.wait_on_matrix(accepted.len(), PATIENT).await;
    sleep(QUIET).await;

    let verdict = judge(&accepted, &lab.arrived_on_matrix(), &HashSet::new());
    report(&format!("nominated connection ends × {times}"), "IRC to Matrix", &verdict, "no `msgid`");
    verdict.assert_exactly_once("IRC to Matrix");
}

/// People who talk without a pause.
struct Talk {
    is_over: Arc<AtomicBool>,
    said: Arc<Mutex<Vec<Mark>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Talk {
    fn start(lab: &Lab, people: &[String]) -> Talk {
        let (is_over, said) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let (ircd, people) = (lab.ircd.clone(), people.to_vec());
        let task = tokio::spawn({
            let (is_over, said) = (Arc::clone(&is_over), Arc::clone(&said));
            async move {
                let (mut tick, number) = (interval(PACE), AtomicU32::new(0));
                while !is_over.load(Ordering::Acquire) {
                    tick.tick().await;
                    let number = number.fetch_add(1, Ordering::Relaxed);
                    let mark = Mark::new(&people[number as usize % people.len()], 0, number);
                    ircd.say(&channel(0), &mark.from, &mark.text());
                    let said: &Mutex<Vec<Mark>> = &said;
                    said.lock().expect("no holder panics").push(mark);
                }
            }
        });
        Talk { is_over, said, task }
    }

    async fn stop(self) -> Vec<Mark> {
        self.is_over.store(true, Ordering::Release);
        self.task.await.expect("nobody who talks panics");
        std::mem::take(&mut self.said.lock().expect("no holder panics"))
    }
}
