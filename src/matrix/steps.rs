//! Brings rooms nearer to what they should be, one step at a time, behind all that is said.
//!
//! ```text
//!   submit -> place of its key -> the worker: gives way to what is said, asks the homeserver, rests as long as that took
//!                 ^                  |- done or refused -> StepDone, unless a later step for the key waits
//!                 +-- at the end <---+- not now (429, 5xx, no answer): all steps wait
//! ```
//!
//! There is one worker: a homeserver is never busy with steps for more than half of the time, however slow it is, and what
//! is said finds it free. Steps of one key take one another's place, so nobody is let in and out in vain. Nothing is written
//! down: at the next start what is will be compared with what should be.
//!
//! What shows people what goes on in a channel waits while somebody is to be removed from the room who must not read on. A
//! topic is set aside, and the last one goes on when that is over. Who comes and goes is not taken: there are many of them, and
//! they are compared again by and by. What takes rights from people or keeps them out goes on all the same.

mod aside;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use self::aside::{KeptBack, kept_back};
use super::client::{Client, ClientError};
use super::outbox::speak::Voice;
use super::outbox::{GhostBook, Homeserver, OutboxHandle};
use crate::bridge::effect::{Placed, RoomStep, StepKey};
use crate::bridge::input::{Input, StepResult};
use crate::ids::{RoomId, UserId};

pub use self::aside::ASIDE_MAX;

/// Steps that wait, over all networks. One more is not taken, and is found again when its room is compared the next time.
pub const STEPS_MAX: usize = 4_096;
/// How often it is looked whether they may go on.
const ASIDE_LOOK: Duration = Duration::from_secs(1);
/// While more than this waits to be said, no step is begun.
pub const LIVE_MAX: usize = 4;
/// But a step is begun after so long all the same: in a house where somebody always speaks steps are slow, and go on.
pub const PAUSE_MAX: Duration = Duration::from_secs(10);
/// How often it is looked whether there is less to say.
const LOOK: Duration = Duration::from_millis(50);
/// The rest after a step is as long as the step took, within these.
const REST_MIN: Duration = Duration::from_millis(5);
const REST_MAX: Duration = Duration::from_secs(5);
/// The wait after a step in vain, doubled for each in a row.
const BACKOFF_MIN: Duration = Duration::from_millis(500);
const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// A step that is in vain so often while others are done is refused: its room is broken, not the homeserver.
const TRIES_MAX: u32 = 5;

/// The steps, to be run. Generic over the homeserver for tests alone.
pub struct Steps<H = Client> {
    desk: Arc<Desk>,
    voice: Voice<H>,
    live: Box<dyn Live>,
}

/// What waits to be said.
pub trait Live: Send + Sync {
    /// How much waits or is in hand, in all rooms.
    fn waiting(&self) -> usize;
    /// True when nothing does in this room.
    fn is_quiet(&self, room: &RoomId) -> bool;
    /// True while somebody may read in this room who must not: what is said there is kept back.
    fn withholds(&self, room: &RoomId) -> bool;
}

impl Live for OutboxHandle {
    /// What is kept back is said when people see to it, and is no reason to wait.
    fn waiting(&self) -> usize {
        self.len().saturating_sub(self.withheld())
    }

    fn is_quiet(&self, room: &RoomId) -> bool {
        OutboxHandle::is_quiet(self, room)
    }

    fn withholds(&self, room: &RoomId) -> bool {
        OutboxHandle::withholds(self, room)
    }
}

/// The side of those who want steps done. Cheap to clone.
#[derive(Clone)]
pub struct StepsHandle {
    desk: Arc<Desk>,
}

#[derive(Default)]
struct Desk {
    queue: Mutex<Queue>,
    work: Notify,
}

type Slot = (RoomId, StepKey);

#[derive(Default)]
struct Queue {
    /// In which order keys get their turn: each key of `steps` once, here or in `aside`.
    order: VecDeque<Slot>,
    /// Keys whose rooms show nothing at the moment, in order.
    aside: BTreeMap<RoomId, VecDeque<StepKey>>,
    steps: HashMap<Slot, Wanted>,
    /// Answers for steps that were not taken, where the asker's mailbox was full too: at most [`STEPS_MAX`].
    left_out: Vec<(mpsc::Sender<Input>, Input)>,
    /// Steps that the homeserver has answered.
    answered: u64,
}

/// The last step for a key, and who wants to know.
struct Wanted {
    step: RoomStep,
    asker: mpsc::Sender<Input>,
    /// Attempts in vain, each after others were answered.
    tries: u32,
    /// What `answered` was at the last of them.
    tried_at: Option<u64>,
}

impl StepsHandle {
    /// Takes a step in the place of one for the same key that waits. Never blocks. `asker` is told once by
    /// [`Input::StepDone`] what became of the last step for the key.
    pub fn submit(&self, room: RoomId, step: RoomStep, asker: mpsc::Sender<Input>) {
        let slot = (room, step.key());
        let mut queue = self.desk.queue();
        if let Some(wanted) = queue.steps.get_mut(&slot) {
            *wanted = Wanted { step, asker, tries: 0, tried_at: None };
            return;
        }
        if queue.steps.len() >= STEPS_MAX {
            return queue.leave_out(slot, &asker);
        }
        let is_urgent = matches!(&step, RoomStep::Place(place) if place.placed == Placed::Out);
        queue.steps.insert(slot.clone(), Wanted { step, asker, tries: 0, tried_at: None });
        match slot.1 {
            StepKey::Ghost(_) => queue.order.push_back(slot),
            // One for a room, and what people wait for: not behind a thousand ghosts.
            StepKey::Topic | StepKey::Power | StepKey::JoinRule | StepKey::Door => {
                queue.order.push_front(slot)
            }
            // For programs, and they are patient.
            StepKey::Plate(_) => queue.order.push_back(slot),
            StepKey::Ban(_) => queue.order.push_back(slot),
            // What is taken out of a space is not to be found any more.
            StepKey::Place(_) if is_urgent => queue.order.push_front(slot),
            StepKey::Place(_) => queue.order.push_back(slot),
        }
        drop(queue);
        self.desk.work.notify_one();
    }

    /// Steps that wait.
    pub fn len(&self) -> usize {
        self.desk.queue().steps.len()
    }

    /// True when none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Steps<Client> {
    /// Steps done through `client`, behind what waits in `outbox`.
    pub fn new(client: Client, book: Arc<GhostBook>, outbox: OutboxHandle) -> (StepsHandle, Self) {
        let bot = client.bot().clone();
        Self::with_homeserver(client, bot, book, Box::new(outbox))
    }
}

impl<H: Homeserver> Steps<H> {
    /// As [`Steps::new`], over any homeserver; `live` tells how much waits to be said.
    pub fn with_homeserver(
        homeserver: H,
        bot: UserId,
        book: Arc<GhostBook>,
        live: Box<dyn Live>,
    ) -> (StepsHandle, Self) {
        let desk = Arc::new(Desk::default());
        let voice = Voice { homeserver, book, bot };
        (StepsHandle { desk: Arc::clone(&desk) }, Self { desk, voice, live })
    }

    /// Does steps until cancelled. What is in flight then may have been done or not.
    pub async fn run(self, cancel: CancellationToken) {
        cancel.run_until_cancelled_owned(self.work()).await;
    }

    async fn work(self) {
        let mut in_vain = 0;
        loop {
            let slot = self.next().await;
            self.tell_left_out().await;
            self.give_way().await;
            // Taken after the wait: it may be another one by now.
            let Some(wanted) = self.desk.take(&slot) else { continue };
            if self.live.withholds(&slot.0) {
                match kept_back(&wanted.step) {
                    KeptBack::No => {}
                    KeptBack::Aside => {
                        self.set_aside(slot, wanted).await;
                        continue;
                    }
                    KeptBack::NotTaken => {
                        self.tell(slot, &wanted, StepResult::NotTaken).await;
                        continue;
                    }
                }
            }
            if !self.may_do(&slot.0, &wanted.step) {
                self.desk.again(slot, wanted);
                sleep(LOOK).await;
                continue;
            }
            let began = Instant::now();
            let rest = match self.attempt(&slot.0, &wanted.step).await {
                Err(ClientError::Limited { retry_after }) => {
                    self.desk.again(slot, wanted);
                    retry_after
                }
                Err(error @ (ClientError::Unavailable(_) | ClientError::WrongToken)) => {
                    tracing::debug!(room = %slot.0, %error, "a step will be tried again");
                    in_vain += 1;
                    self.in_vain(slot, wanted, &error).await;
                    backoff(in_vain)
                }
                result => {
                    in_vain = 0;
                    self.over(slot, wanted, result).await;
                    began.elapsed().clamp(REST_MIN, REST_MAX)
                }
            };
            sleep(rest).await;
        }
    }

    /// The key whose turn it is, once there is one. What is set aside is looked at meanwhile.
    async fn next(&self) -> Slot {
        loop {
            self.desk.queue().go_on(|room| self.live.withholds(room));
            if let Ok(slot) = timeout(ASIDE_LOOK, self.desk.next()).await {
                return slot;
            }
        }
    }

    async fn set_aside(&self, slot: Slot, wanted: Wanted) {
        let refused = self.desk.queue().set_aside(slot, wanted);
        if let Some((slot, wanted)) = refused {
            self.tell(slot, &wanted, StepResult::NotTaken).await;
        }
    }

    async fn tell_left_out(&self) {
        let left_out = std::mem::take(&mut self.desk.queue().left_out);
        for (asker, answer) in left_out {
            asker.send(answer).await.ok();
        }
    }

    /// Waits while much waits to be said.
    async fn give_way(&self) {
        let end = Instant::now() + PAUSE_MAX;
        while self.live.waiting() > LIVE_MAX && Instant::now() < end {
            sleep(LOOK).await;
        }
    }

    /// A ghost leaves when all is said in its room: what it has to say would bring it back, and nobody would know.
    fn may_do(&self, room: &RoomId, step: &RoomStep) -> bool {
        !matches!(step, RoomStep::GhostLeaves { .. }) || self.live.is_quiet(room)
    }

    async fn attempt(&self, room: &RoomId, step: &RoomStep) -> Result<(), ClientError> {
        match step {
            RoomStep::GhostJoins(ghost) => self.voice.let_in(ghost, room).await,
            RoomStep::GhostLeaves { ghost, reason } => {
                self.voice.let_out(ghost, room, reason.as_deref()).await
            }
            RoomStep::Topic(topic) => self.voice.homeserver.set_topic(room, topic).await,
            RoomStep::Power(power) => self.voice.homeserver.set_power(room, power).await,
            RoomStep::Door(door) => self.voice.homeserver.set_door(room, door).await,
            RoomStep::Plate(plate) => self.voice.homeserver.hang_plate(room, plate).await,
            RoomStep::GhostReturns(ghost) => {
                self.voice.pardon(&ghost.user, room).await?;
                self.voice.let_in(ghost, room).await
            }
            RoomStep::JoinRule(door) => self.voice.homeserver.set_join_rule(room, *door).await,
            RoomStep::GhostPardoned(ghost) => self.voice.pardon(ghost, room).await,
            RoomStep::Place(place) => self.voice.homeserver.place(room, place).await,
        }
    }

    async fn in_vain(&self, slot: Slot, mut wanted: Wanted, error: &ClientError) {
        let answered = self.desk.queue().answered;
        if wanted.tried_at.is_some_and(|then| then < answered) {
            wanted.tries += 1;
        }
        wanted.tried_at = Some(answered);
        match wanted.tries {
            TRIES_MAX.. => self.tell(slot, &wanted, StepResult::Refused(error.to_string())).await,
            _ => self.desk.again(slot, wanted),
        }
    }

    async fn over(&self, slot: Slot, wanted: Wanted, result: Result<(), ClientError>) {
        let is_superseded = {
            let mut queue = self.desk.queue();
            queue.answered += 1;
            queue.steps.contains_key(&slot)
        };
        let result = match result {
            Ok(()) => StepResult::Done,
            Err(error) => {
                tracing::info!(room = %slot.0, %error, "the homeserver refuses a step");
                StepResult::Refused(error.to_string())
            }
        };
        if !is_superseded {
            self.tell(slot, &wanted, result).await;
        }
    }

    /// A network that has ended need not know.
    async fn tell(&self, (room, key): Slot, wanted: &Wanted, result: StepResult) {
        wanted.asker.send(Input::StepDone { room, key, result }).await.ok();
    }
}

impl Queue {
    /// There is no place for a step. Who asked for it is told at once, or else when the worker comes by.
    fn leave_out(&mut self, (room, key): Slot, asker: &mpsc::Sender<Input>) {
        let answer = Input::StepDone { room, key, result: StepResult::NotTaken };
        if let Err(TrySendError::Full(answer)) = asker.try_send(answer) {
            debug_assert!(self.left_out.len() < STEPS_MAX, "networks have few steps under way");
            if self.left_out.len() < STEPS_MAX {
                self.left_out.push((asker.clone(), answer));
            }
        }
    }
}

impl Desk {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The key whose turn it is, once there is one.
    async fn next(&self) -> Slot {
        loop {
            let next = self.queue().order.pop_front();
            match next {
                Some(slot) => return slot,
                None => self.work.notified().await,
            }
        }
    }

    fn take(&self, slot: &Slot) -> Option<Wanted> {
        self.queue().steps.remove(slot)
    }

    /// Tries a step again after the others, unless a later one took its place meanwhile.
    fn again(&self, slot: Slot, wanted: Wanted) {
        let mut queue = self.queue();
        if !queue.steps.contains_key(&slot) {
            queue.steps.insert(slot.clone(), wanted);
            queue.order.push_back(slot);
        }
    }
}

fn backoff(in_vain: u32) -> Duration {
    BACKOFF_MIN.saturating_mul(1 << (in_vain - 1).min(10)).min(BACKOFF_MAX)
}

#[cfg(test)]
mod tests;
