//! The homeserver's transactions come in every way they can: again, at the same time, out of order, under an id that
//! was used before, with events that came before, and cut off in their midst.
//!
//! Half of the schedules keep what a homeserver keeps: one transaction after the other, each until it is taken. There
//! the order of messages is judged too; in the others only that each arrives once.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::model::homeserver::{Event, transaction};
use crate::model::http::Client;
use crate::support::PATIENT;
use crate::support::figures::{count, report};
use crate::support::judge::{Mark, judge};
use crate::support::lab::{Lab, Plan, room, user};
use crate::support::random::Random;

const CHANNELS: usize = 2;
/// The first half speak in orderly schedules, the others in wild ones.
const PUPPETS: usize = 4;
/// Deliveries that are cut off wait at most so long for their answer, in milliseconds.
const CUT_MS_MAX: u64 = 4;

#[tokio::test]
async fn schedules() {
    let mut random = Random::of("schedules");
    let times = count(300, 10_000);
    let lab = Lab::start(Plan::of(CHANNELS, PUPPETS)).await;
    let post = Post::to(&lab);

    let mut said = Said { accepted: Vec::new(), events: Vec::new() };
    let mut deliveries = 0;
    for number in 0..times {
        let schedule = if number % 2 == 0 {
            Schedule::orderly(&lab, &mut random, &mut said, number)
        } else {
            Schedule::wild(&lab, &mut random, &mut said, number)
        };
        deliveries += schedule.deliveries();
        schedule.run(&post).await;
        let arrived = lab.ircd.wait_for(said.accepted.len(), PATIENT).await;
        arrived.unwrap_or_else(|short| panic!("schedule {number}: {short}\n{}", lab.bridge.log_tail()));
    }
    // A double would come right behind the last line of its sender.
    lab.wait_read("end").await;
    sleep(Duration::from_millis(500)).await;

    let mut verdict = judge(&said.accepted, &lab.arrived_on_irc(), &HashSet::new());
    let is_orderly = |mark: &Mark| (0..PUPPETS / 2).any(|n| user(n).contains(&format!("@{}:", mark.from)));
    verdict.overtaken.retain(is_orderly);
    let words = format!("{deliveries} deliveries");
    report(&format!("{times} schedules of transactions"), "Matrix to IRC", &verdict, &words);
    verdict.assert_exactly_once("Matrix to IRC");
}

/// What was sent in all, with its events.
struct Said {
    accepted: Vec<Mark>,
    events: Vec<Event>,
}

impl Said {
    /// A new message of one of these.
    fn message(&mut self, lab: &Lab, random: &mut Random, speakers: std::ops::Range<usize>) -> Event {
        let speaker = speakers.start + random.below(speakers.len());
        let place = random.below(CHANNELS);
        let from = crate::support::lab::name(speaker);
        let mark = Mark::new(&from, place, self.accepted.len() as u32);
        let event = lab.homeserver.message(&room(place), &user(speaker), &mark.text());
        self.accepted.push(mark);
        self.events.push(event.clone());
        event
    }
}

/// One transaction on its way.
#[derive(Clone)]
struct Delivery {
    id: String,
    body: Arc<Vec<u8>>,
    /// Hung up after this time, answered or not.
    cut: Option<Duration>,
}

/// Deliveries: those of one round go out at the same time, the rounds one after the other.
struct Schedule(Vec<Vec<Delivery>>);

impl Schedule {
    /// One transaction after the other; each perhaps several times at the same time, or cut off first.
    fn orderly(lab: &Lab, random: &mut Random, said: &mut Said, number: usize) -> Schedule {
        let mut rounds = Vec::new();
        for turn in 0..1 + random.below(4) {
            let events: Vec<Event> =
                (0..1 + random.below(5)).map(|_| said.message(lab, random, 0..PUPPETS / 2)).collect();
            let delivery = Delivery::of(format!("o{number}.{turn}"), &events);
            if random.percent(30) {
                rounds.push(vec![delivery.clone().cut_off(random)]);
            }
            rounds.push(vec![delivery.clone(); 1 + random.below(3)]);
            if random.percent(30) {
                rounds.push(vec![delivery]);
            }
        }
        Schedule(rounds)
    }

    /// All at the same time in any order; events that were in others, ids that belong to others.
    fn wild(lab: &Lab, random: &mut Random, said: &mut Said, number: usize) -> Schedule {
        let mut deliveries = Vec::new();
        for turn in 0..2 + random.below(4) {
            let mut events: Vec<Event> =
                (0..1 + random.below(4)).map(|_| said.message(lab, random, PUPPETS / 2..PUPPETS)).collect();
            for _ in 0..random.below(3) {
                events.push(said.events[random.below(said.events.len())].clone());
            }
            random.shuffle(&mut events);
            let id = if random.percent(20) { "used".to_owned() } else { format!("w{number}.{turn}") };
            let delivery = Delivery::of(id, &events);
            if random.percent(30) {
                deliveries.push(delivery.clone().cut_off(random));
            }
            deliveries.extend(vec![delivery; 1 + random.below(3)]);
        }
        random.shuffle(&mut deliveries);
        let mut rounds = Vec::new();
        while !deliveries.is_empty() {
            let some = 1 + random.below(deliveries.len());
            rounds.push(deliveries.drain(..some).collect());
        }
        Schedule(rounds)
    }

    fn deliveries(&self) -> usize {
        self.0.iter().map(Vec::len).sum()
    }

    async fn run(self, post: &Post) {
        for round in self.0 {
            let mut all = JoinSet::new();
            for delivery in round {
                all.spawn(post.clone().deliver(delivery));
            }
            while let Some(done) = all.join_next().await {
                done.expect("every delivery that is not cut off is taken");
            }
        }
    }
}

impl Delivery {
    fn of(id: String, events: &[Event]) -> Delivery {
        Delivery { id, body: Arc::new(transaction(events)), cut: None }
    }

    fn cut_off(mut self, random: &mut Random) -> Delivery {
        self.cut = Some(random.between_ms(0, CUT_MS_MAX));
        self
    }
}

/// The way to the bridge.
#[derive(Clone)]
struct Post {
    url: String,
    token: String,
}

impl Post {
    fn to(lab: &Lab) -> Post {
        Post { url: lab.homeserver.settings().appservice_url.clone(), token: lab.hs_token.clone() }
    }

    /// Until it is taken, or once and cut off. The bridge takes a few at a time and refuses the others for now (503),
    /// which a homeserver answers with another try.
    async fn deliver(self, delivery: Delivery) {
        let path = format!("/_matrix/app/v1/transactions/{}", delivery.id);
        let mut client = Client::new(&self.url);
        let end = Instant::now() + PATIENT;
        loop {
            let call = client.call("PUT", &path, &self.token, &delivery.body);
            let status = match delivery.cut {
                Some(cut) => return drop(timeout(cut, call).await),
                None => call.await.expect("the bridge answers").status,
            };
            match status {
                200 => return,
                503 => assert!(Instant::now() < end, "{path} is never taken"),
                other => panic!("{path}: {other}"),
            }
            sleep(Duration::from_millis(5)).await;
        }
    }
}
