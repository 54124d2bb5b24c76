//! Crashes at every point of the way out, with a disk that commits late and a homeserver whose answers get lost: no line
//! that was on the disk is lost, none is said twice, and the order stays, however lines were joined.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::time::sleep;

use super::*;
use crate::bridge::effect::{Ghost, Post, Speaker};
use crate::bridge::effect::{JoinRule, Plate, RoomDoor, RoomPower, RoomTopic, SpacePlace};
use crate::bridge::input::BodyKind;
use crate::ids::EventId;
use crate::matrix::client::{As, Registered};

/// As the store's writer: the longest a change waits.
const COMMIT_MS: u64 = 20;

/// Numbers that look random and are the same each time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

enum Op {
    Put(Post),
    Done(Vec<RelaySeq>),
    Join(Vec<RelaySeq>, oneshot::Sender<()>),
}

/// What is written down, and what waits for the next commit.
#[derive(Default)]
struct Disk {
    rows: BTreeMap<RelaySeq, (Post, Option<RelaySeq>)>,
    waiting: Vec<Op>,
    /// All that ever was on it, or was done before it could be.
    kept: BTreeSet<RelaySeq>,
    joins: usize,
}

impl Disk {
    fn commit(&mut self) {
        for op in std::mem::take(&mut self.waiting) {
            match op {
                Op::Put(post) => {
                    self.kept.insert(post.seq());
                    self.rows.insert(post.seq(), (post, None));
                }
                Op::Done(seqs) => self.rows.retain(|seq, _| !seqs.contains(seq)),
                Op::Join(seqs, kept) => {
                    self.joins += 1;
                    for seq in &seqs {
                        self.rows.get_mut(seq).expect("its put came first").1 = seqs.first().copied();
                    }
                    kept.send(()).ok();
                }
            }
        }
    }
}

#[derive(Default)]
struct Log(Mutex<Disk>);

impl OutboxLog for Log {
    fn put(&self, post: &Post) {
        self.0.lock().unwrap().waiting.push(Op::Put(post.clone()));
    }
    fn named(&self, _: &RoomId, _: &[RelaySeq], _: &EventId) {}
    fn done(&self, seqs: &[RelaySeq]) {
        self.0.lock().unwrap().waiting.push(Op::Done(seqs.to_vec()));
    }
    fn join(&self, seqs: &[RelaySeq]) -> oneshot::Receiver<()> {
        let (kept, answer) = oneshot::channel();
        self.0.lock().unwrap().waiting.push(Op::Join(seqs.to_vec(), kept));
        answer
    }
    fn failed(&self, seq: RelaySeq, why: &str) {
        panic!("line {} failed: {why}", seq.0);
    }
    fn forgotten(&self, _: RelaySeq) {}
}

impl GhostLog for Log {
    fn learned(&self, _: &GhostFact) {}
}

/// Knows transactions for ever, as with devices; is slow, and loses questions and answers.
struct Server {
    known: Mutex<HashMap<String, EventId>>,
    said: Mutex<Vec<i64>>,
    chance: Mutex<Chance>,
}

impl Server {
    fn below(&self, limit: u64) -> u64 {
        self.chance.lock().unwrap().below(limit)
    }
}

impl Homeserver for Arc<Server> {
    async fn register(&self, _: &str) -> Result<Registered, ClientError> {
        Ok(Registered::Before)
    }
    async fn ensure_device(&self, _: &UserId) -> Result<(), ClientError> {
        Ok(())
    }
    async fn set_display_name(&self, _: &UserId, _: &str) -> Result<(), ClientError> {
        Ok(())
    }
    async fn join(&self, _: &UserId, _: &RoomId) -> Result<(), ClientError> {
        Ok(())
    }
    async fn leave(&self, _: &UserId, _: &RoomId, _: Option<&str>) -> Result<(), ClientError> {
        Ok(())
    }
    async fn invite(&self, _: &RoomId, _: &UserId) -> Result<(), ClientError> {
        Ok(())
    }
    async fn kick(&self, _: &RoomId, _: &UserId, _: &str) -> Result<(), ClientError> {
        Ok(())
    }
    async fn set_topic(&self, _: &RoomId, _: &RoomTopic) -> Result<(), ClientError> {
        unreachable!("nobody asks for topics here")
    }
    async fn set_door(&self, _: &RoomId, _: &RoomDoor) -> Result<(), ClientError> {
        unreachable!("nobody asks for doors here")
    }
    async fn set_power(&self, _: &RoomId, _: &RoomPower) -> Result<(), ClientError> {
        unreachable!("nobody asks for levels here")
    }
    async fn hang_plate(&self, _: &RoomId, _: &Plate) -> Result<(), ClientError> {
        unreachable!("nobody asks for plates here")
    }
    async fn place(&self, _: &RoomId, _: &SpacePlace) -> Result<(), ClientError> {
        unreachable!("nobody asks for spaces here")
    }
    async fn set_join_rule(&self, _: &RoomId, _: JoinRule) -> Result<(), ClientError> {
        unreachable!("nobody asks for doors here")
    }
    async fn unban(&self, _: &RoomId, _: &UserId) -> Result<(), ClientError> {
        unreachable!("nothing that is said lifts a ban")
    }
    async fn is_heard(&self, _: &RoomId, _: &UserId) -> Result<bool, ClientError> {
        Ok(true)
    }
    async fn send_event(
        &self,
        _: As<'_>,
        _: &RoomId,
        _: &str,
        txn: &str,
        content: Bytes,
    ) -> Result<EventId, ClientError> {
        sleep(Duration::from_millis(self.below(30))).await;
        if self.below(10) == 0 {
            return Err(ClientError::Unavailable("the question was lost".into()));
        }
        let event = EventId::new(&format!("${txn}")).expect("an id");
        if self.known.lock().unwrap().insert(txn.to_owned(), event.clone()).is_none() {
            let content: serde_json::Value = serde_json::from_slice(&content).expect("JSON");
            let lines = content["body"].as_str().expect("a body").lines();
            self.said.lock().unwrap().extend(lines.map(|line| line.parse::<i64>().expect("a number")));
        }
        sleep(Duration::from_millis(self.below(30))).await;
        if self.below(10) == 0 {
            return Err(ClientError::Unavailable("the answer was lost".into()));
        }
        Ok(event)
    }
    async fn redact_event(
        &self,
        _: As<'_>,
        _: &RoomId,
        _: &EventId,
        _: &str,
        _: Bytes,
    ) -> Result<EventId, ClientError> {
        unreachable!("nothing is taken back here")
    }
}

fn line(seq: i64, ghost: u64) -> Relay {
    let user = UserId::new(&format!("@g{ghost}:s")).expect("a user id");
    let speaker = Speaker::Ghost(Ghost { user, display_name: format!("g{ghost}") });
    let room = RoomId::new("!r").expect("a room id");
    Relay::plain(RelaySeq(seq), room, speaker, BodyKind::Text, seq.to_string())
}

/// One life of the bridge, from its start to its crash, or to its end when all is said.
async fn live(
    server: &Arc<Server>,
    log: &Arc<Log>,
    chance: &mut Chance,
    lines: &mut std::ops::Range<i64>,
    crash: Option<u64>,
) {
    let book = Arc::new(GhostBook::new(Arc::clone(log) as Arc<dyn GhostLog>));
    let bot = UserId::new("@bot:s").expect("a user id");
    let (handle, outbox) = Outbox::with_homeserver(Arc::clone(server), bot, Arc::clone(log) as _, book);
    let rows: Vec<_> = log.0.lock().unwrap().rows.values().cloned().collect();
    handle.restore_all(rows);
    let committing = tokio::spawn({
        let log = Arc::clone(log);
        async move {
            loop {
                sleep(Duration::from_millis(COMMIT_MS)).await;
                log.0.lock().unwrap().commit();
            }
        }
    });
    let cancel = CancellationToken::new();
    let running = tokio::spawn(outbox.run(cancel.clone()));
    let end = Instant::now() + Duration::from_millis(crash.unwrap_or(u64::MAX >> 20));
    while Instant::now() < end && !lines.is_empty() {
        for _ in 0..chance.below(30).min((lines.end - lines.start) as u64) {
            // Mostly the same person goes on.
            handle.submit(line(lines.start, u64::from(chance.below(8) == 0)));
            lines.start += 1;
        }
        sleep(Duration::from_millis(chance.below(60))).await;
    }
    match crash {
        Some(_) => tokio::time::sleep_until(end).await,
        None => assert_eq!(handle.drain(Duration::from_secs(3600)).await, 0),
    }
    cancel.cancel();
    running.await.expect("ends in peace");
    committing.abort();
    committing.await.ok();
    let mut disk = log.0.lock().unwrap();
    match crash {
        Some(_) => disk.waiting.clear(),
        None => disk.commit(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_anywhere_doubles_nothing_and_loses_nothing_that_was_kept() {
    let mut joins = 0;
    for seed in 0..60 {
        let mut chance = Chance(seed);
        let server = Arc::new(Server {
            known: Mutex::default(),
            said: Mutex::default(),
            chance: Mutex::new(Chance(seed + 1_000)),
        });
        let (log, mut lines) = (Arc::new(Log::default()), 1..120);
        for _ in 0..chance.below(4) + 1 {
            let crash = Some(chance.below(600));
            live(&server, &log, &mut chance, &mut lines, crash).await;
        }
        live(&server, &log, &mut chance, &mut lines, None).await;
        let said = server.said.lock().unwrap().clone();
        assert!(said.is_sorted_by(|a, b| a < b), "seed {seed}: twice, or out of order: {said:?}");
        let disk = log.0.lock().unwrap();
        let lost: Vec<_> = disk.kept.iter().filter(|seq| !said.contains(&seq.0)).collect();
        assert!(
            lost.is_empty() && disk.rows.is_empty(),
            "seed {seed}: lost {lost:?}, left {}",
            disk.rows.len()
        );
        joins += disk.joins;
    }
    assert!(joins > 100, "lines were joined {joins} times");
}
