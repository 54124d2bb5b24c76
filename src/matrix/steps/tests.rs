//! Stories with a model homeserver, in paused time: what is asked of it, in which order, and when.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::Bytes;

use super::*;
use crate::bridge::effect::Ghost;
use crate::bridge::effect::{JoinRule, Plate, RoomDoor, RoomPower, RoomTopic, SpacePlace};
use crate::ids::EventId;
use crate::matrix::client::{As, Registered};
use crate::matrix::outbox::{GhostFact, GhostLog};

/// Answers what it is told to, else yes, after a tenth of a second; and notes every call.
struct Model {
    start: Instant,
    calls: Mutex<Vec<(u128, String)>>,
    /// Calls that start so are answered so; each entry once.
    faults: Mutex<Vec<(&'static str, ClientError)>>,
    /// What waits to be said.
    live: AtomicUsize,
    /// Somebody is to be removed from `!r`.
    is_barred: AtomicBool,
}

impl Model {
    async fn called(&self, call: String) -> Result<(), ClientError> {
        self.calls.lock().unwrap().push((self.start.elapsed().as_millis(), call.clone()));
        sleep(Duration::from_millis(100)).await;
        let mut faults = self.faults.lock().unwrap();
        match faults.iter().position(|(start, _)| call.starts_with(start)) {
            Some(at) => Err(faults.remove(at).1),
            None => Ok(()),
        }
    }
}

impl Live for Arc<Model> {
    fn waiting(&self) -> usize {
        self.live.load(Ordering::Relaxed)
    }

    fn is_quiet(&self, _: &RoomId) -> bool {
        self.live.load(Ordering::Relaxed) == 0
    }

    fn withholds(&self, room: &RoomId) -> bool {
        room.as_str() == "!r" && self.is_barred.load(Ordering::Relaxed)
    }
}

impl Homeserver for Arc<Model> {
    async fn register(&self, localpart: &str) -> Result<Registered, ClientError> {
        self.called(format!("register {localpart}")).await.map(|()| Registered::Now)
    }
    async fn ensure_device(&self, user: &UserId) -> Result<(), ClientError> {
        self.called(format!("device {}", user.localpart())).await
    }
    async fn set_display_name(&self, user: &UserId, name: &str) -> Result<(), ClientError> {
        self.called(format!("name {} {name}", user.localpart())).await
    }
    async fn join(&self, user: &UserId, room: &RoomId) -> Result<(), ClientError> {
        self.called(format!("join {} {room}", user.localpart())).await
    }
    async fn leave(&self, user: &UserId, room: &RoomId, why: Option<&str>) -> Result<(), ClientError> {
        self.called(format!("leave {} {room} {}", user.localpart(), why.unwrap_or("-"))).await
    }
    async fn invite(&self, room: &RoomId, user: &UserId) -> Result<(), ClientError> {
        self.called(format!("invite {} {room}", user.localpart())).await
    }
    async fn kick(&self, _: &RoomId, _: &UserId, _: &str) -> Result<(), ClientError> {
        unreachable!("no step puts anybody out")
    }
    async fn set_topic(&self, room: &RoomId, topic: &RoomTopic) -> Result<(), ClientError> {
        self.called(format!("topic {room} {}", topic.text)).await
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
    async fn unban(&self, room: &RoomId, user: &UserId) -> Result<(), ClientError> {
        self.called(format!("unban {} {room}", user.localpart())).await
    }
    async fn is_heard(&self, _: &RoomId, _: &UserId) -> Result<bool, ClientError> {
        unreachable!("nothing is said here")
    }
    async fn send_event(
        &self,
        _: As<'_>,
        _: &RoomId,
        _: &str,
        _: &str,
        _: Bytes,
    ) -> Result<EventId, ClientError> {
        unreachable!("nothing is said here")
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

/// Which ghosts are in which rooms, as the store would have it.
#[derive(Default)]
struct Facts(Mutex<Vec<String>>);

impl GhostLog for Facts {
    fn learned(&self, fact: &GhostFact) {
        let line = match fact {
            GhostFact::Joined { room, user } => format!("{} in {room}", user.localpart()),
            GhostFact::Left { room, user } => format!("{} out of {room}", user.localpart()),
            GhostFact::Registered { .. }
            | GhostFact::HasDevice { .. }
            | GhostFact::Named { .. }
            | GhostFact::Forgotten { .. } => return,
        };
        self.0.lock().unwrap().push(line);
    }
}

struct Scene {
    model: Arc<Model>,
    facts: Arc<Facts>,
    steps: StepsHandle,
    asker: mpsc::Sender<Input>,
    answers: mpsc::Receiver<Input>,
    cancel: CancellationToken,
}

impl Scene {
    fn new(faults: Vec<(&'static str, ClientError)>) -> Self {
        let model = Arc::new(Model {
            start: Instant::now(),
            calls: Mutex::default(),
            faults: Mutex::new(faults),
            live: AtomicUsize::new(0),
            is_barred: AtomicBool::new(false),
        });
        let facts = Arc::new(Facts::default());
        let book = Arc::new(GhostBook::new(Arc::clone(&facts) as _));
        let bot = UserId::new("@bot:hs").unwrap();
        let live = Box::new(Arc::clone(&model));
        let (steps, worker) = Steps::with_homeserver(Arc::clone(&model), bot, book, live);
        let (asker, answers) = mpsc::channel(STEPS_MAX * 2);
        let cancel = CancellationToken::new();
        tokio::spawn(worker.run(cancel.clone()));
        Self { model, facts, steps, asker, answers, cancel }
    }

    fn joins(&self, name: &str) {
        let user = UserId::new(&format!("@{name}:hs")).unwrap();
        let step = RoomStep::GhostJoins(Ghost { user, display_name: name.to_uppercase() });
        self.steps.submit(RoomId::new("!r").unwrap(), step, self.asker.clone());
    }

    fn returns(&self, name: &str) {
        let user = UserId::new(&format!("@{name}:hs")).unwrap();
        let step = RoomStep::GhostReturns(Ghost { user, display_name: name.to_uppercase() });
        self.steps.submit(RoomId::new("!r").unwrap(), step, self.asker.clone());
    }

    fn leaves(&self, name: &str, reason: Option<&str>) {
        let ghost = UserId::new(&format!("@{name}:hs")).unwrap();
        let step = RoomStep::GhostLeaves { ghost, reason: reason.map(str::to_owned) };
        self.steps.submit(RoomId::new("!r").unwrap(), step, self.asker.clone());
    }

    /// The next answer, in a line.
    async fn answered(&mut self) -> String {
        let input = tokio::time::timeout(Duration::from_secs(3_600), self.answers.recv()).await;
        let Ok(Some(Input::StepDone { key: StepKey::Ghost(user), result, .. })) = input else {
            panic!("{input:?}")
        };
        match result {
            StepResult::Done => format!("{} done", user.localpart()),
            StepResult::Refused(words) => format!("{} refused: {words}", user.localpart()),
            StepResult::NotTaken => format!("{} not taken", user.localpart()),
        }
    }

    fn calls(&self) -> Vec<String> {
        let calls = self.model.calls.lock().unwrap();
        calls.iter().map(|(at, call)| format!("{at} {call}")).collect()
    }
}

fn away() -> ClientError {
    ClientError::Unavailable("no answer".into())
}

fn forbidden() -> ClientError {
    ClientError::Forbidden { errcode: "M_FORBIDDEN".into(), words: "banned".into() }
}

#[tokio::test(start_paused = true)]
async fn a_ghost_is_made_and_let_in_and_out_and_the_worker_rests_as_long() {
    let mut scene = Scene::new(vec![]);
    scene.joins("ann");
    scene.leaves("bob", Some("kicked by op"));
    assert_eq!(scene.answered().await, "ann done");
    assert_eq!(scene.answered().await, "bob done");
    let expected = [
        "0 register ann",
        "100 device ann",
        "200 name ann ANN",
        "300 join ann !r",
        "800 leave bob !r kicked by op",
    ];
    assert_eq!(scene.calls(), expected);
    // Of bob the book knew nothing: there is nothing to be forgotten.
    assert_eq!(*scene.facts.0.lock().unwrap(), ["ann in !r"]);
    scene.leaves("ann", None);
    assert_eq!(scene.answered().await, "ann done");
    assert_eq!(scene.facts.0.lock().unwrap().last().unwrap(), "ann out of !r");
    assert!(scene.steps.is_empty());
    scene.cancel.cancel();
}

#[tokio::test(start_paused = true)]
async fn who_was_put_out_by_mistake_is_let_in_again_banned_or_not() {
    let mut scene = Scene::new(vec![("unban", forbidden())]);
    for name in ["ann", "bob"] {
        scene.returns(name);
    }
    assert_eq!(scene.answered().await, "ann done");
    assert_eq!(scene.answered().await, "bob done");
    let calls = scene.calls().into_iter();
    let calls: Vec<String> = calls.filter(|call| call.contains("ban") || call.contains("join")).collect();
    assert_eq!(calls, ["0 unban ann !r", "400 join ann !r", "1000 unban bob !r", "1400 join bob !r"]);
    scene.cancel.cancel();
}

#[tokio::test(start_paused = true)]
async fn a_later_step_takes_the_place_of_one_that_waits_and_is_answered_alone() {
    let mut scene = Scene::new(vec![]);
    scene.leaves("ann", None);
    sleep(Duration::from_millis(50)).await;
    // Under way by now. Only the last of these is done.
    scene.joins("bob");
    scene.joins("ann");
    scene.leaves("ann", Some("gone again"));
    scene.leaves("bob", None);
    assert_eq!(scene.answered().await, "bob done");
    assert_eq!(scene.answered().await, "ann done");
    let calls = ["0 leave ann !r -", "200 leave bob !r -", "400 leave ann !r gone again"];
    assert_eq!(scene.calls(), calls);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_told_and_one_who_may_not_leave_is_out() {
    let mut scene = Scene::new(vec![
        ("join ann", forbidden()),
        ("join ann", forbidden()),
        ("leave bob", forbidden()),
        ("leave eve", ClientError::NotFound),
    ]);
    scene.joins("ann");
    scene.leaves("bob", None);
    scene.leaves("eve", None);
    assert_eq!(scene.answered().await, "ann refused: not allowed: M_FORBIDDEN: banned");
    assert!(scene.calls().iter().any(|call| call.ends_with("invite ann !r")), "the bot tries to invite");
    assert_eq!(scene.answered().await, "bob done");
    assert_eq!(scene.answered().await, "eve done");
}

#[tokio::test(start_paused = true)]
async fn a_homeserver_that_asks_to_wait_or_is_away_is_left_alone_for_so_long() {
    let retry_after = Duration::from_secs(7);
    let mut scene = Scene::new(vec![
        ("leave ann", ClientError::Limited { retry_after }),
        ("leave bob", away()),
        ("leave ann", away()),
    ]);
    scene.leaves("ann", None);
    scene.leaves("bob", None);
    assert_eq!(scene.answered().await, "bob done");
    assert_eq!(scene.answered().await, "ann done");
    let calls = [
        "0 leave ann !r -",
        "7100 leave bob !r -",
        "7700 leave ann !r -",
        "8800 leave bob !r -",
        "9000 leave ann !r -",
    ];
    assert_eq!(scene.calls(), calls);
}

#[tokio::test(start_paused = true)]
async fn an_outage_refuses_nothing_and_a_broken_room_does_not_stop_the_others() {
    let mut scene = Scene::new((0..1_000).map(|_| ("leave ann", away())).collect());
    scene.leaves("ann", None);
    sleep(Duration::from_secs(300)).await;
    assert_eq!(scene.steps.len(), 1, "nobody was answered meanwhile");
    let mut answers = Vec::new();
    for n in 0..20 {
        scene.leaves(&format!("n{n}"), None);
        sleep(Duration::from_secs(60)).await;
        while let Ok(answer) = scene.answers.try_recv() {
            answers.push(answer);
        }
    }
    let refused = |input: &&Input| matches!(input, Input::StepDone { result: StepResult::Refused(_), .. });
    assert_eq!(answers.iter().filter(refused).count(), 1, "ann's room is broken: {answers:?}");
    assert_eq!(answers.len(), 21);
}

#[tokio::test(start_paused = true)]
async fn what_is_said_goes_first_but_not_for_ever() {
    let mut scene = Scene::new(vec![]);
    scene.model.live.store(LIVE_MAX + 1, Ordering::Relaxed);
    scene.joins("ann");
    sleep(Duration::from_secs(3)).await;
    assert_eq!(scene.calls(), Vec::<String>::new());
    scene.model.live.store(LIVE_MAX, Ordering::Relaxed);
    assert_eq!(scene.answered().await, "ann done");
    scene.model.live.store(1_000, Ordering::Relaxed);
    let before = Instant::now();
    scene.joins("bob");
    assert_eq!(scene.answered().await, "bob done");
    assert!(before.elapsed() >= PAUSE_MAX && before.elapsed() < PAUSE_MAX * 2);
}

#[tokio::test(start_paused = true)]
async fn who_leaves_goes_when_all_is_said_in_the_room_and_holds_up_nobody() {
    let mut scene = Scene::new(vec![]);
    scene.model.live.store(1, Ordering::Relaxed);
    scene.leaves("ann", None);
    scene.joins("bob");
    assert_eq!(scene.answered().await, "bob done");
    sleep(PAUSE_MAX * 6).await;
    assert!(!scene.calls().iter().any(|call| call.starts_with("leave")), "{:?}", scene.calls());
    scene.model.live.store(0, Ordering::Relaxed);
    assert_eq!(scene.answered().await, "ann done");
}

#[tokio::test(start_paused = true)]
async fn too_many_are_not_taken_and_nobody_waits_for_that() {
    let mut scene = Scene::new(vec![]);
    scene.model.live.store(1_000, Ordering::Relaxed);
    (0..STEPS_MAX).for_each(|n| scene.leaves(&format!("n{n}"), None));
    scene.leaves("late", None);
    scene.leaves("n7", Some("in its place"));
    assert_eq!(scene.answered().await, "late not taken");
    assert_eq!(scene.steps.len(), STEPS_MAX);
}

#[tokio::test(start_paused = true)]
async fn where_somebody_is_to_be_removed_nothing_of_the_channel_is_shown_and_the_last_of_it_afterwards() {
    let mut scene = Scene::new(vec![]);
    let topic = |room: &str, text: &str| {
        let step = RoomStep::Topic(RoomTopic { text: text.into(), bytes_max: 300 });
        scene.steps.submit(RoomId::new(room).unwrap(), step, scene.asker.clone());
    };
    scene.model.is_barred.store(true, Ordering::Relaxed);
    topic("!r", "a secret");
    topic("!other", "hello");
    sleep(Duration::from_secs(60)).await;
    topic("!r", "another secret");
    sleep(Duration::from_secs(60)).await;
    topic("!r", "the last");
    scene.joins("ann");
    scene.leaves("bob", Some("kicked: a secret"));
    sleep(Duration::from_secs(600)).await;
    assert_eq!(scene.calls(), ["0 topic !other hello"]);
    while let Ok(answer) = scene.answers.try_recv() {
        let Input::StepDone { key, result, .. } = answer else { panic!("{answer:?}") };
        let is_ghost = matches!(key, StepKey::Ghost(_));
        assert_eq!(result, if is_ghost { StepResult::NotTaken } else { StepResult::Done }, "{key:?}");
    }
    assert_eq!(scene.steps.len(), 1, "of all topics the last");
    scene.model.is_barred.store(false, Ordering::Relaxed);
    sleep(Duration::from_secs(3)).await;
    assert!(scene.calls()[1..].iter().all(|call| call.ends_with("topic !r the last")), "{:?}", scene.calls());
    assert_eq!((scene.calls().len(), scene.steps.is_empty()), (2, true));
}

#[tokio::test(start_paused = true)]
async fn what_is_set_aside_is_bounded_and_the_rest_is_told() {
    let mut scene = Scene::new(vec![]);
    scene.model.is_barred.store(true, Ordering::Relaxed);
    for n in 0..=ASIDE_MAX {
        scene.returns(&format!("n{n}"));
    }
    assert_eq!(scene.answered().await, format!("n{ASIDE_MAX} not taken"));
    assert_eq!(scene.steps.len(), ASIDE_MAX);
    scene.joins("n0");
    sleep(Duration::from_secs(1)).await;
    assert_eq!((scene.calls().len(), scene.steps.len()), (0, ASIDE_MAX), "in the place of the one before");
}
