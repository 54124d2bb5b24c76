//! Stories with a model homeserver, in paused time: what is asked of it, in which order, and when.

use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;

use super::*;
use crate::bridge::effect::{
    Fate, Ghost, JoinRule, Meanwhile, Plate, Post, RoomDoor, RoomPower, RoomTopic, Sign, SpacePlace, Speaker,
};
use crate::bridge::input::{BarRow, BodyKind, Input};
use crate::ids::{EventId, NetworkId};

use crate::matrix::client::{As, DeviceUse, Registered};

/// Answers what it is told to, else yes; and notes every call.
struct Model {
    start: Instant,
    calls: Mutex<Vec<(u128, String)>>,
    /// Calls that start so are answered so; each entry once.
    faults: Mutex<Vec<(&'static str, ClientError)>>,
    latency: Duration,
    in_flight: AtomicUsize,
    in_flight_peak: AtomicUsize,
}

impl Model {
    async fn called(&self, call: String) -> Result<(), ClientError> {
        self.calls.lock().unwrap().push((self.start.elapsed().as_millis(), call.clone()));
        let now = self.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
        self.in_flight_peak.fetch_max(now, Ordering::SeqCst);
        sleep(self.latency).await;
        self.in_flight.fetch_sub(1, Ordering::SeqCst);
        let mut faults = self.faults.lock().unwrap();
        match faults.iter().position(|(start, _)| call.starts_with(start)) {
            Some(at) => Err(faults.remove(at).1),
            None => Ok(()),
        }
    }
}

impl Homeserver for Arc<Model> {
    async fn register(&self, localpart: &str) -> Result<Registered, ClientError> {
        match self.called(format!("register {localpart}")).await {
            Ok(()) => Ok(Registered::Now),
            Err(ClientError::Exists) => Ok(Registered::Before),
            Err(error) => Err(error),
        }
    }
    async fn ensure_device(&self, user: &UserId) -> Result<(), ClientError> {
        self.called(format!("device {user}")).await
    }
    async fn set_display_name(&self, user: &UserId, name: &str) -> Result<(), ClientError> {
        self.called(format!("name {user} {name}")).await
    }
    async fn join(&self, user: &UserId, room: &RoomId) -> Result<(), ClientError> {
        self.called(format!("join {room} {user}")).await
    }
    async fn leave(&self, user: &UserId, room: &RoomId, why: Option<&str>) -> Result<(), ClientError> {
        self.called(format!("leave {room} {user} {}", why.unwrap_or("-"))).await
    }
    async fn invite(&self, room: &RoomId, user: &UserId) -> Result<(), ClientError> {
        self.called(format!("invite {room} {user}")).await
    }
    async fn kick(&self, room: &RoomId, user: &UserId, why: &str) -> Result<(), ClientError> {
        self.called(format!("kick {room} {user} {why}")).await
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
    async fn is_heard(&self, room: &RoomId, user: &UserId) -> Result<bool, ClientError> {
        self.called(format!("heard {room} {user}")).await.map(|()| true)
    }
    async fn send_event(
        &self,
        who: As<'_>,
        room: &RoomId,
        kind: &str,
        txn: &str,
        content: Bytes,
    ) -> Result<EventId, ClientError> {
        let content: serde_json::Value = serde_json::from_slice(&content).expect("JSON");
        let device = if who.device == DeviceUse::Named { "" } else { " deviceless" };
        let what = match kind {
            "m.room.message" => content["body"].as_str().expect("a body").to_owned(),
            "m.reaction" => content["m.relates_to"]["key"].as_str().expect("a key").to_owned(),
            _ => format!("{kind} {}", content["status"].as_str().expect("a status")),
        };
        let at = who.at_ms.map(|ms| format!(" at {ms}")).unwrap_or_default();
        self.called(format!("send {room} {txn} {}{device}{at}: {what}", who.user)).await?;
        Ok(EventId::new(&format!("${txn}")).expect("an id"))
    }
    async fn redact_event(
        &self,
        who: As<'_>,
        room: &RoomId,
        event: &EventId,
        txn: &str,
        content: Bytes,
    ) -> Result<EventId, ClientError> {
        let content: serde_json::Value = serde_json::from_slice(&content).expect("JSON");
        let why = content["reason"].as_str().unwrap_or("-");
        self.called(format!("redact {room} {txn} {}: {event} {why}", who.user)).await?;
        Ok(EventId::new(&format!("${txn}")).expect("an id"))
    }
}

fn numbers(seqs: &[RelaySeq]) -> String {
    seqs.iter().map(|seq| seq.0.to_string()).collect::<Vec<_>>().join("+")
}

/// Both logs in one, and apart from them which lines are which events.
#[derive(Default)]
struct Diary(Mutex<Vec<String>>, Mutex<Vec<String>>);

impl OutboxLog for Diary {
    fn put(&self, post: &Post) {
        self.0.lock().unwrap().push(format!("put {}", post.seq().0));
    }
    fn named(&self, room: &RoomId, seqs: &[RelaySeq], event: &EventId) {
        self.1.lock().unwrap().push(format!("{room} {} is {event}", numbers(seqs)));
    }
    fn done(&self, seqs: &[RelaySeq]) {
        self.0.lock().unwrap().push(format!("done {}", numbers(seqs)));
    }
    fn join(&self, seqs: &[RelaySeq]) -> oneshot::Receiver<()> {
        self.0.lock().unwrap().push(format!("join {}", numbers(seqs)));
        let (kept, answer) = oneshot::channel();
        kept.send(()).expect("the other side is here");
        answer
    }
    fn failed(&self, seq: RelaySeq, why: &str) {
        self.0.lock().unwrap().push(format!("failed {}: {why}", seq.0));
    }
    fn forgotten(&self, seq: RelaySeq) {
        self.0.lock().unwrap().push(format!("forgotten {}", seq.0));
    }
}

impl GhostLog for Diary {
    fn learned(&self, fact: &GhostFact) {
        self.0.lock().unwrap().push(format!("{fact:?}"));
    }
}

struct Scene {
    model: Arc<Model>,
    lines: Arc<Diary>,
    ghosts: Arc<Diary>,
    book: Arc<GhostBook>,
    handle: OutboxHandle,
    outbox: Option<Outbox<Arc<Model>>>,
    cancel: CancellationToken,
}

impl Scene {
    fn new(faults: Vec<(&'static str, ClientError)>) -> Self {
        let model = Arc::new(Model {
            start: Instant::now(),
            calls: Mutex::default(),
            faults: Mutex::new(faults),
            latency: Duration::from_millis(1),
            in_flight: AtomicUsize::new(0),
            in_flight_peak: AtomicUsize::new(0),
        });
        let (lines, ghosts) = (Arc::<Diary>::default(), Arc::<Diary>::default());
        let book = Arc::new(GhostBook::new(Arc::clone(&ghosts) as Arc<dyn GhostLog>));
        let log = Arc::clone(&lines) as Arc<dyn OutboxLog>;
        let (handle, outbox) =
            Outbox::with_homeserver(Arc::clone(&model), user("@bot:s"), log, Arc::clone(&book));
        let cancel = CancellationToken::new();
        Self { model, lines, ghosts, book, handle, outbox: Some(outbox), cancel }
    }

    /// A scene in which everybody named here is in their room already.
    fn settled(faults: Vec<(&'static str, ClientError)>, members: &[(&str, &str)]) -> Self {
        let scene = Self::new(faults);
        for (in_room, who) in members {
            let (user, room) = (user(who), room(in_room));
            let name = user.localpart().to_owned();
            scene.book.preload([
                GhostFact::Registered { user: user.clone() },
                GhostFact::HasDevice { user: user.clone() },
                GhostFact::Named { user: user.clone(), display_name: name },
                GhostFact::Joined { room, user },
            ]);
        }
        scene
    }

    /// Lets somebody be removed; gives where the answers come.
    fn kick(&self, who: &str, meanwhile: Meanwhile) -> mpsc::Receiver<Input> {
        let (asker, answers) = mpsc::channel(8);
        self.handle.kick(room("!a"), user(who), "not on IRC".into(), meanwhile, asker);
        answers
    }

    /// Runs until all is said, an hour at most, and returns the calls.
    async fn play(&mut self) -> Vec<String> {
        if let Some(outbox) = self.outbox.take() {
            tokio::spawn(outbox.run(self.cancel.clone()));
        }
        assert_eq!(self.handle.drain(Duration::from_secs(3600)).await, 0);
        self.model.calls.lock().unwrap().iter().map(|(_, call)| call.clone()).collect()
    }

    fn times_of(&self, start: &str) -> Vec<u128> {
        let calls = self.model.calls.lock().unwrap();
        calls.iter().filter(|(_, call)| call.starts_with(start)).map(|(at, _)| *at).collect()
    }

    fn outcome(&self) -> Vec<String> {
        self.lines.0.lock().unwrap().iter().filter(|line| !line.starts_with("put")).cloned().collect()
    }
}

fn user(text: &str) -> UserId {
    UserId::new(text).expect("a user id")
}

fn room(text: &str) -> RoomId {
    RoomId::new(text).expect("a room id")
}

fn line(seq: i64, in_room: &str, ghost: &str) -> Relay {
    let ghost = Ghost { user: user(ghost), display_name: user(ghost).localpart().to_owned() };
    let text = format!("line {seq}");
    Relay::plain(RelaySeq(seq), room(in_room), Speaker::Ghost(ghost), BodyKind::Text, text)
}

fn reaction(seq: i64, in_room: &str) -> Mark {
    let (event, sign) = (EventId::new("$e").expect("an id"), Sign::Reaction("❌".into()));
    Mark { seq: RelaySeq(seq), room: room(in_room), speaker: Speaker::Bot, event, sign }
}

fn away() -> ClientError {
    ClientError::Unavailable("away".into())
}

fn forbidden() -> ClientError {
    ClientError::Forbidden { errcode: "M_FORBIDDEN".into(), words: "no".into() }
}

#[tokio::test(start_paused = true)]
async fn a_ghost_is_made_ready_once() {
    let mut scene = Scene::new(vec![]);
    scene.handle.submit(line(1, "!a", "@g:s"));
    scene.handle.submit(line(2, "!a", "@g:s"));
    let calls = scene.play().await;
    assert_eq!(
        calls,
        [
            "register g",
            "device @g:s",
            "name @g:s g",
            "join !a @g:s",
            "send !a bunraku.1 @g:s: line 1",
            "send !a bunraku.2 @g:s: line 2"
        ]
    );
    assert_eq!(*scene.lines.0.lock().unwrap(), ["put 1", "put 2", "done 1", "done 2"]);
    let facts = scene.ghosts.0.lock().unwrap().join("\n");
    for kind in ["Registered", "HasDevice", "Named", "Joined"] {
        assert_eq!(facts.matches(kind).count(), 1, "{facts}");
    }
    let renamed = Ghost { user: user("@g:s"), display_name: "G".into() };
    scene.handle.submit(Relay { speaker: Speaker::Ghost(renamed), ..line(3, "!a", "@g:s") });
    assert_eq!(scene.play().await[6..], ["name @g:s G", "send !a bunraku.3 @g:s: line 3"]);
}

#[tokio::test(start_paused = true)]
async fn two_rooms_do_not_register_one_ghost_twice() {
    let mut scene = Scene::new(vec![]);
    scene.handle.submit(line(1, "!a", "@g:s"));
    scene.handle.submit(line(2, "!b", "@g:s"));
    let calls = scene.play().await;
    for once in ["register g", "device @g:s", "name @g:s g", "join !a @g:s", "join !b @g:s"] {
        assert_eq!(calls.iter().filter(|call| *call == once).count(), 1, "{once}: {calls:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_known_before_the_start_is_not_asked() {
    let mut scene = Scene::settled(vec![], &[("!a", "@g:s")]);
    scene.handle.restore(Post::Line(line(7, "!a", "@g:s")));
    assert_eq!(scene.play().await, ["send !a bunraku.7 @g:s: line 7"]);
    assert_eq!(*scene.lines.0.lock().unwrap(), ["done 7"]);
    assert!(scene.ghosts.0.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_homeserver_that_is_away_gets_the_same_transaction_later_and_other_rooms_go_on() {
    let faults = vec![("send !a", away()); 3];
    let mut scene = Scene::settled(faults, &[("!a", "@g:s"), ("!b", "@h:s")]);
    for seq in [1, 2] {
        scene.handle.submit(line(seq, "!a", "@g:s"));
        scene.handle.submit(line(seq + 10, "!b", "@h:s"));
    }
    scene.play().await;
    assert_eq!(scene.outcome(), ["done 11", "done 12", "done 1", "done 2"]);
    assert_eq!(scene.times_of("send !b"), [0, 1]);
    let tries = scene.times_of("send !a bunraku.1 ");
    let waits: Vec<u128> = tries.windows(2).map(|pair| pair[1] - pair[0]).collect();
    for (wait, full) in waits.iter().zip([500, 1000, 2000]) {
        assert!((full / 2..=full + 3).contains(wait), "{waits:?}");
    }
    assert_eq!((tries.len(), scene.times_of("send !a bunraku.2 ").len()), (4, 1));
}

#[tokio::test(start_paused = true)]
async fn a_homeserver_that_asks_to_wait_is_obeyed() {
    let limited = ClientError::Limited { retry_after: Duration::from_secs(7) };
    let mut scene = Scene::settled(vec![("send", limited)], &[("!a", "@g:s")]);
    scene.handle.submit(line(1, "!a", "@g:s"));
    scene.play().await;
    let tries = scene.times_of("send");
    assert!((7000..7010).contains(&(tries[1] - tries[0])), "{tries:?}");
}

#[tokio::test(start_paused = true)]
async fn a_ghost_that_was_removed_joins_again_and_says_it_once() {
    let mut scene = Scene::settled(vec![("send", forbidden())], &[("!a", "@g:s")]);
    scene.handle.submit(line(1, "!a", "@g:s"));
    let sent = "send !a bunraku.1 @g:s: line 1";
    assert_eq!(scene.play().await, [sent, "join !a @g:s", sent]);
    assert_eq!(scene.outcome(), ["done 1"]);
}

#[tokio::test(start_paused = true)]
async fn a_ghost_that_may_not_speak_gives_up_after_one_more_try() {
    let faults = vec![("send", forbidden()), ("send", forbidden()), ("heard", forbidden())];
    let mut scene = Scene::settled(faults, &[("!a", "@g:s")]);
    scene.handle.submit(line(1, "!a", "@g:s"));
    scene.handle.submit(line(2, "!a", "@g:s"));
    assert_eq!(scene.play().await.len(), 5);
    assert_eq!(scene.outcome(), ["failed 1: not allowed: M_FORBIDDEN: no", "done 2"]);
}

#[tokio::test(start_paused = true)]
async fn who_lacks_no_more_than_a_level_is_quoted() {
    let faults = vec![("send", forbidden()), ("send", forbidden())];
    let mut scene = Scene::settled(faults, &[("!a", "@g:s"), ("!a", "@bot:s")]);
    let emote = Relay { kind: BodyKind::Emote, html: Some("<b>waves</b>".into()), ..line(1, "!a", "@g:s") };
    scene.handle.submit(emote);
    scene.handle.submit(line(2, "!a", "@g:s"));
    let calls = scene.play().await;
    assert_eq!(calls[3..5], ["heard !a @g:s", "send !a bunraku.1.quoted @bot:s: * g line 1"], "{calls:?}");
    assert_eq!(scene.outcome(), ["done 1", "done 2"]);
}

#[tokio::test(start_paused = true)]
async fn into_a_closed_room_a_ghost_is_invited() {
    let faults = vec![("join", forbidden()), ("register g", ClientError::Exists)];
    let mut scene = Scene::settled(faults, &[("!a", "@g:s")]);
    scene.handle.submit(line(1, "!b", "@g:s"));
    let calls = scene.play().await;
    assert_eq!(
        calls,
        ["join !b @g:s", "register g", "invite !b @g:s", "join !b @g:s", "send !b bunraku.1 @g:s: line 1"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_banned_ghost_fails_its_line_and_the_next_is_heard() {
    let faults = vec![
        ("join !a @g:s", forbidden()),
        ("register", ClientError::Exists),
        ("invite", forbidden()),
        ("join !a @g:s", forbidden()),
    ];
    let mut scene = Scene::settled(faults, &[("!b", "@g:s"), ("!a", "@h:s")]);
    scene.handle.submit(line(1, "!a", "@g:s"));
    scene.handle.submit(line(2, "!a", "@h:s"));
    scene.play().await;
    assert_eq!(scene.outcome(), ["failed 1: not allowed: M_FORBIDDEN: no", "done 2"]);
}

#[tokio::test(start_paused = true)]
async fn a_homeserver_that_lost_our_ghost_gets_it_again_whole() {
    let faults = vec![("send", forbidden()), ("join", forbidden())];
    let mut scene = Scene::settled(faults, &[("!a", "@g:s")]);
    scene.handle.submit(line(1, "!a", "@g:s"));
    let calls = scene.play().await;
    let again = ["register g", "register g", "device @g:s", "name @g:s g", "invite !a @g:s", "join !a @g:s"];
    assert_eq!(calls[2..8], again);
    assert_eq!(scene.outcome(), ["done 1"]);
}

#[tokio::test(start_paused = true)]
async fn a_lost_device_is_made_again() {
    let mut scene = Scene::settled(vec![("send", ClientError::UnknownDevice)], &[("!a", "@g:s")]);
    scene.handle.submit(line(1, "!a", "@g:s"));
    assert!(scene.play().await.contains(&"device @g:s".to_owned()));
    assert_eq!(scene.outcome(), ["done 1"]);
}

#[tokio::test(start_paused = true)]
async fn without_devices_it_goes_on_and_does_not_ask_again() {
    let mut scene = Scene::new(vec![("device", ClientError::NoDevices("M_NOT_FOUND".into()))]);
    scene.handle.submit(line(1, "!a", "@g:s"));
    scene.handle.submit(line(2, "!a", "@h:s"));
    let calls = scene.play().await;
    assert_eq!(calls.iter().filter(|call| call.starts_with("device")).count(), 1);
    assert!(calls.contains(&"send !a bunraku.2 @h:s deviceless: line 2".to_owned()), "{calls:?}");
}

#[tokio::test(start_paused = true)]
async fn a_line_that_is_too_large_or_refused_makes_room_for_the_next() {
    let refused = ClientError::Refused { status: 400, errcode: "M_BAD_JSON".into(), words: "odd".into() };
    let mut scene =
        Scene::settled(vec![("send", ClientError::TooLarge), ("send", refused)], &[("!a", "@g:s")]);
    for seq in 1..=3 {
        scene.handle.submit(line(seq, "!a", "@g:s"));
    }
    scene.play().await;
    let outcome = scene.outcome();
    assert!(
        outcome[0].starts_with("failed 1: too large") && outcome[1].starts_with("failed 2: refused with 400")
    );
    assert_eq!(outcome[2], "done 3");
}

#[tokio::test(start_paused = true)]
async fn a_kick_comes_after_the_notice_that_explains_it_and_outlasts_an_outage() {
    let mut scene = Scene::new(vec![("send", away()), ("kick", away())]);
    let notice = Relay { speaker: Speaker::Bot, ..line(1, "!a", "@g:s") };
    scene.handle.submit(notice);
    let _answers = scene.kick("@alice:s", Meanwhile::Withheld);
    let calls = scene.play().await;
    let (send, kick) = ("send !a bunraku.1 @bot:s: line 1", "kick !a @alice:s not on IRC");
    assert_eq!(calls[calls.len() - 4..], [send, send, kick, kick]);
}

#[tokio::test(start_paused = true)]
async fn what_is_said_after_a_removal_that_is_refused_waits_behind_it() {
    let refused = vec![("kick", forbidden()), ("kick", forbidden())];
    let mut scene = Scene::settled(refused, &[("!a", "@g:s"), ("!b", "@g:s"), ("!a", "@bot:s")]);
    scene.handle.submit(line(1, "!a", "@g:s"));
    let mut answers = scene.kick("@alice:s", Meanwhile::Withheld);
    scene.handle.submit(line(2, "!a", "@g:s"));
    scene.handle.submit(line(3, "!b", "@g:s"));
    let calls = scene.play().await;
    let kick = "kick !a @alice:s not on IRC";
    let in_room: Vec<&String> = calls.iter().filter(|call| !call.contains("!b")).collect();
    let [first, refused, told, again, done, last] = in_room[..] else { panic!("{calls:?}") };
    assert_eq!([refused, again, done], [kick; 3]);
    assert!(first.ends_with("line 1") && last.ends_with("line 2"), "{calls:?}");
    assert!(told.contains("@bot:s: @alice:s is not in this room's channel on IRC"), "{told}");
    let kicks = scene.times_of("kick");
    assert_eq!([kicks[1] - kicks[0], kicks[2] - kicks[1]].map(|ms| ms / 1_000), [30, 60]);
    assert!(scene.times_of("send !b")[0] < 1_000, "other rooms go on");
    let mut said = Vec::new();
    while let Ok(Input::KickDone { user, result, .. }) = answers.try_recv() {
        said.push((user.to_string(), result.is_ok()));
    }
    assert_eq!(said, [("@alice:s".to_owned(), false), ("@alice:s".into(), false), ("@alice:s".into(), true)]);
    assert_eq!(scene.handle.withheld(), 0);
}

#[tokio::test(start_paused = true)]
async fn who_is_pardoned_is_not_removed_and_what_waited_goes_on_at_once() {
    let refused = vec![("kick", forbidden())];
    let mut scene = Scene::settled(refused, &[("!a", "@g:s"), ("!a", "@bot:s")]);
    let _answers = scene.kick("@alice:s", Meanwhile::Withheld);
    scene.handle.submit(line(1, "!a", "@g:s"));
    scene.handle.submit(line(2, "!a", "@g:s"));
    let outbox = scene.outbox.take().expect("not running yet");
    tokio::spawn(outbox.run(scene.cancel.clone()));
    sleep(Duration::from_secs(5)).await;
    assert_eq!((scene.handle.withheld(), scene.handle.rooms_parked()), (2, 1));
    scene.handle.pardon(&room("!a"), &user("@bob:s"));
    sleep(Duration::from_secs(1)).await;
    assert_eq!(scene.handle.withheld(), 2, "another's pardon frees nothing");
    scene.handle.pardon(&room("!a"), &user("@alice:s"));
    let calls = scene.play().await;
    assert!(calls[calls.len() - 1].ends_with("line 2"), "{calls:?}");
    assert_eq!(scene.times_of("kick").len(), 1);
    assert!(scene.times_of("send !a")[2] < 7_000, "at once");
    assert_eq!((scene.handle.withheld(), scene.handle.rooms_parked()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_removal_of_an_earlier_run_goes_before_what_that_run_left_and_tells_nobody_again() {
    let refused = vec![("kick", forbidden()), ("kick", forbidden())];
    let mut scene = Scene::settled(refused, &[("!a", "@g:s"), ("!a", "@bot:s")]);
    let (asker, _answers) = tokio::sync::mpsc::channel(16);
    let bar = BarRow { room: room("!a"), user: user("@alice:s"), reason: "not on IRC".into() };
    scene.handle.kick_again(bar, asker);
    scene.handle.restore(Post::Line(line(1, "!a", "@g:s")));
    let calls = scene.play().await;
    let kick = "kick !a @alice:s not on IRC";
    assert_eq!(calls, [kick, kick, kick, "send !a bunraku.1 @g:s: line 1"]);
}

#[tokio::test(start_paused = true)]
async fn a_removal_is_tried_at_once_where_it_may_go_well_now() {
    let mut scene = Scene::settled(vec![("kick", forbidden())], &[("!a", "@g:s"), ("!a", "@bot:s")]);
    let _answers = scene.kick("@alice:s", Meanwhile::Withheld);
    scene.handle.submit(line(1, "!a", "@g:s"));
    let outbox = scene.outbox.take().expect("not running yet");
    tokio::spawn(outbox.run(scene.cancel.clone()));
    sleep(Duration::from_secs(2)).await;
    scene.handle.hasten(&room("!b"));
    sleep(Duration::from_secs(1)).await;
    assert_eq!(scene.times_of("kick").len(), 1, "another room's levels");
    scene.handle.hasten(&room("!a"));
    scene.play().await;
    let kicks = scene.times_of("kick");
    assert!(kicks.len() == 2 && kicks[1] - kicks[0] < 4_000, "{kicks:?}");
    assert_eq!((scene.handle.withheld(), scene.handle.rooms_parked()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_pardon_that_comes_before_the_removal_was_tried_leaves_it_out() {
    let mut scene = Scene::settled(vec![("send", away())], &[("!a", "@g:s")]);
    scene.handle.submit(line(1, "!a", "@g:s"));
    let _answers = scene.kick("@alice:s", Meanwhile::Withheld);
    scene.handle.pardon(&room("!a"), &user("@alice:s"));
    scene.handle.submit(line(2, "!a", "@g:s"));
    scene.play().await;
    assert_eq!((scene.times_of("kick").len(), scene.times_of("send").len()), (0, 3));
}

#[tokio::test(start_paused = true)]
async fn without_a_gate_a_removal_is_tried_once() {
    let mut scene = Scene::settled(vec![("kick", forbidden())], &[("!a", "@g:s")]);
    let mut answers = scene.kick("@alice:s", Meanwhile::Shown);
    scene.handle.submit(line(1, "!a", "@g:s"));
    let calls = scene.play().await;
    assert_eq!(calls.len(), 2, "{calls:?}");
    assert!(matches!(answers.try_recv(), Ok(Input::KickDone { result: Err(_), .. })));
}

#[tokio::test(start_paused = true)]
async fn marks_go_in_the_bots_name_and_in_order_with_lines() {
    let mut scene = Scene::settled(vec![], &[("!a", "@g:s"), ("!a", "@bot:s")]);
    let status = Sign::Status { network: NetworkId::new("net").expect("an id"), fate: Fate::Delivered };
    scene.handle.submit(line(1, "!a", "@g:s"));
    scene.handle.mark(reaction(2, "!a"));
    scene.handle.mark(Mark { sign: status, ..reaction(3, "!a") });
    scene.handle.submit(line(4, "!a", "@g:s"));
    let calls = scene.play().await;
    assert_eq!(
        calls,
        [
            "send !a bunraku.1 @g:s: line 1",
            "send !a bunraku.2 @bot:s: ❌",
            "send !a bunraku.3 @bot:s: com.beeper.message_send_status SUCCESS",
            "send !a bunraku.4 @g:s: line 4"
        ]
    );
    let puts = ["put 1", "put 2", "put 3", "put 4"];
    assert_eq!(*scene.lines.0.lock().unwrap(), [puts, ["done 1", "done 2", "done 3", "done 4"]].concat());
}

#[tokio::test(start_paused = true)]
async fn a_mark_that_is_refused_is_forgotten_and_lines_go_on() {
    let faults = vec![("send !a bunraku.1 ", forbidden()), ("send !a bunraku.1 ", forbidden())];
    let mut scene = Scene::settled(faults, &[("!a", "@g:s"), ("!a", "@bot:s")]);
    scene.handle.mark(reaction(1, "!a"));
    scene.handle.submit(line(2, "!a", "@g:s"));
    assert_eq!(scene.play().await.len(), 4, "once more after joining, then no more");
    assert_eq!(scene.outcome(), ["forgotten 1", "done 2"]);
    assert_eq!((scene.handle.marks_lost(), scene.handle.dropped()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_mark_outlasts_an_outage_under_its_own_transaction() {
    let mut scene = Scene::settled(vec![("send", away()), ("send", away())], &[("!a", "@bot:s")]);
    scene.handle.restore(Post::Mark(reaction(1, "!a")));
    assert_eq!(scene.play().await, ["send !a bunraku.1 @bot:s: ❌"; 3]);
    assert_eq!(scene.outcome(), ["done 1"]);
}

#[tokio::test(start_paused = true)]
async fn in_a_room_that_is_behind_lines_are_joined_after_that_was_written_down() {
    let mut scene = Scene::settled(vec![("send", away())], &[("!a", "@g:s"), ("!a", "@h:s")]);
    for seq in 1..=11 {
        scene.handle.submit(Relay { said_ms: Some(seq as u64), ..line(seq, "!a", "@g:s") });
    }
    scene.handle.submit(line(12, "!a", "@h:s"));
    let lines = (1..=11).map(|seq| format!("line {seq}")).collect::<Vec<_>>().join("\n");
    let joined = format!("send !a bunraku.1 @g:s at 1: {lines}");
    assert_eq!(scene.play().await, [joined.clone(), joined, "send !a bunraku.12 @h:s: line 12".to_owned()]);
    let seqs = "1+2+3+4+5+6+7+8+9+10+11";
    assert_eq!(scene.outcome(), [format!("join {seqs}"), format!("done {seqs}"), "done 12".to_owned()]);
    let names = scene.lines.1.lock().unwrap().clone();
    assert_eq!(names, [format!("!a {seqs} is $bunraku.1"), "!a 12 is $bunraku.12".to_owned()]);
}

#[tokio::test(start_paused = true)]
async fn redactions_and_reactions_of_ghosts_go_in_their_names_and_their_failures_are_kept() {
    let faults = vec![("send !a bunraku.3 ", forbidden()), ("send !a bunraku.3 ", forbidden())];
    let mut scene = Scene::settled(faults, &[("!a", "@g:s"), ("!a", "@bot:s")]);
    let Relay { speaker, .. } = line(0, "!a", "@g:s");
    let (event, reason) = (EventId::new("$said").expect("an id"), Some("off topic".to_owned()));
    let redact = Redact { seq: RelaySeq(1), room: room("!a"), speaker: speaker.clone(), event, reason };
    scene.handle.redact(redact.clone());
    scene.handle.redact(Redact { seq: RelaySeq(2), speaker: Speaker::Bot, reason: None, ..redact });
    scene.handle.mark(Mark { speaker: speaker.clone(), ..reaction(3, "!a") });
    scene.handle.mark(Mark { speaker, ..reaction(4, "!a") });
    scene.handle.mark(reaction(5, "!a"));
    let calls = scene.play().await;
    assert_eq!(calls[0], "redact !a bunraku.1 @g:s: $said off topic");
    assert_eq!(calls[1], "redact !a bunraku.2 @bot:s: $said -");
    assert_eq!(calls[2], "send !a bunraku.3 @g:s: ❌");
    let failed = "failed 3: not allowed: M_FORBIDDEN: no";
    assert_eq!(scene.outcome(), ["done 1", "done 2", failed, "done 4", "done 5"]);
    assert_eq!(scene.handle.marks_lost(), 0);
    // What a person has done can be taken back by them.
    assert_eq!(*scene.lines.1.lock().unwrap(), ["!a 4 is $bunraku.4"]);
}

#[tokio::test(start_paused = true)]
async fn a_reaction_that_is_there_already_is_made() {
    let (errcode, words) = ("M_DUPLICATE_ANNOTATION".into(), "again".into());
    let twice = ClientError::Refused { status: 400, errcode, words };
    let mut scene = Scene::settled(vec![("send", twice)], &[("!a", "@bot:s")]);
    scene.handle.mark(reaction(1, "!a"));
    scene.play().await;
    assert_eq!((scene.outcome(), scene.handle.marks_lost()), (vec!["done 1".to_owned()], 0));
}

#[tokio::test(start_paused = true)]
async fn rooms_share_the_places_and_keep_their_order() {
    let mut scene = Scene::new(vec![]);
    for seq in 0..500 {
        let name = format!("!r{}", seq % 50);
        scene.book.preload([GhostFact::Joined { room: room(&name), user: user("@g:s") }]);
        scene.handle.submit(line(seq, &name, "@g:s"));
    }
    let calls = scene.play().await;
    assert_eq!(scene.model.in_flight_peak.load(Ordering::SeqCst), IN_FLIGHT_MAX);
    for lane in 0..50 {
        let start = format!("send !r{lane} bunraku.");
        let seqs =
            calls.iter().filter_map(|call| call.strip_prefix(&start)?.split(' ').next()?.parse::<i64>().ok());
        assert!(seqs.eq((0..10).map(|n| lane + 50 * n)), "lane {lane}");
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_flood_the_room_hears_how_much_it_missed() {
    let mut scene = Scene::settled(vec![], &[("!a", "@g:s")]);
    for seq in 0..LANE_MAX as i64 + 5 {
        scene.handle.submit(line(seq, "!a", "@g:s"));
    }
    assert_eq!(scene.handle.dropped(), 5);
    assert!(scene.handle.is_behind(&room("!a")) && !scene.handle.is_behind(&room("!b")));
    let calls = scene.play().await;
    let last = calls.last().expect("calls");
    assert!(
        last.starts_with("send !a bunraku.missed.") && last.contains("@bot:s: 5 earlier lines"),
        "{last}"
    );
    let outcome = scene.outcome();
    assert_eq!(outcome.iter().filter(|line| line.starts_with("failed")).count(), 5);
    let done = outcome.iter().filter_map(|line| line.strip_prefix("done ")).flat_map(|seqs| seqs.split('+'));
    assert_eq!(done.count(), LANE_MAX);
}

#[tokio::test(start_paused = true)]
async fn what_is_in_flight_when_the_bridge_stops_is_neither_done_nor_failed() {
    let mut scene = Scene::settled(vec![("send", away()); 100], &[("!a", "@g:s")]);
    scene.handle.submit(line(1, "!a", "@g:s"));
    let running = tokio::spawn(scene.outbox.take().expect("not run yet").run(scene.cancel.clone()));
    assert_eq!(scene.handle.drain(Duration::from_secs(10)).await, 1);
    scene.cancel.cancel();
    running.await.expect("ends in peace");
    assert_eq!(scene.outcome(), [""; 0]);
}
