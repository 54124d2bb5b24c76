//! Saying one line: what a ghost needs before it can speak in a room, and what to do when it cannot.
//!
//! Straight-line work over the homeserver and the book; no queue and no waiting here. Everything in it may be
//! repeated: each step is known to the book once done, and the line has its transaction id for life.

use bytes::Bytes;

use super::book::{GhostBook, GhostFact, Known};
use super::homeserver::Homeserver;
use crate::bridge::effect::{Ghost, Mark, Redact, Relay, Speaker};
use crate::ids::{EventId, RelaySeq, RoomId, UserId};
use crate::matrix::client::{As, ClientError, DeviceUse, Registered};
use crate::matrix::content;

pub(in crate::matrix) struct Voice<H> {
    pub(in crate::matrix) homeserver: H,
    pub(in crate::matrix) book: std::sync::Arc<GhostBook>,
    pub(in crate::matrix) bot: UserId,
}

/// Who speaks; the bot keeps whatever name it has.
#[derive(Clone, Copy)]
struct Mouth<'a> {
    user: &'a UserId,
    display_name: Option<&'a str>,
}

/// One event to send.
#[derive(Clone)]
struct Event<'a> {
    kind: Kind<'a>,
    txn: &'a str,
    content: Bytes,
    at_ms: Option<u64>,
}

/// What kind of event.
#[derive(Clone, Copy)]
enum Kind<'a> {
    Plain(&'static str),
    /// The redaction of this one.
    Redaction(&'a EventId),
}

const MESSAGE: Kind<'static> = Kind::Plain("m.room.message");
/// The homeserver has this reaction of ours on this event already (client-server API, "Avoiding duplicate
/// annotations").
const DUPLICATE: &str = "M_DUPLICATE_ANNOTATION";

/// Unique over all our users, because the homeserver does not tell their transactions apart; and the same for the
/// line's life, also over our restart.
fn txn(seq: RelaySeq) -> String {
    format!("bunraku.{}", seq.0)
}

impl<H: Homeserver> Voice<H> {
    pub(super) async fn say(&self, relay: &Relay) -> Result<EventId, ClientError> {
        self.say_all(&txn(relay.seq), std::slice::from_ref(relay)).await
    }

    /// Says several lines of one person as one event, whose transaction id is that of the first of them there ever was.
    pub(super) async fn say_joined(&self, first: RelaySeq, relays: &[Relay]) -> Result<EventId, ClientError> {
        self.say_all(&txn(first), relays).await
    }

    /// Lines of one person as one event. The levels of a room follow its channel, where it is moderated, a moment late: who
    /// may speak there and is in the room, and is refused here, is quoted by the bot.
    async fn say_all(&self, txn: &str, relays: &[Relay]) -> Result<EventId, ClientError> {
        let relay = relays.first().expect("nothing is never said");
        let content = |relays: &[Relay]| match relays {
            [relay] => content::of_relay(relay).into(),
            relays => content::of_joined(relays).into(),
        };
        let event = Event { kind: MESSAGE, txn, content: content(relays), at_ms: relay.said_ms };
        let said = self.say_as(self.mouth(&relay.speaker), &relay.room, event).await;
        let (Err(ClientError::Forbidden { .. }), Speaker::Ghost(ghost)) = (&said, &relay.speaker) else {
            return said;
        };
        let is_in = self.book.is_joined(&relay.room, &ghost.user);
        if !is_in || !self.homeserver.is_heard(&relay.room, &ghost.user).await? {
            return said;
        }
        let quoted: Vec<Relay> =
            relays.iter().map(|relay| content::quoted(relay, &ghost.display_name)).collect();
        let txn = format!("{txn}.quoted");
        let event = Event { kind: MESSAGE, txn: &txn, content: content(&quoted), at_ms: relay.said_ms };
        self.say_as(self.bot_mouth(), &relay.room, event).await
    }

    /// A reaction that is there already is as good as made: an earlier run, or a transaction that was forgotten. Its event
    /// is not known then.
    pub(super) async fn mark(&self, mark: &Mark) -> Result<Option<EventId>, ClientError> {
        let (kind, txn) = (Kind::Plain(content::mark_kind(&mark.sign)), txn(mark.seq));
        let event = Event { kind, txn: &txn, content: content::of_mark(mark).into(), at_ms: None };
        match self.say_as(self.mouth(&mark.speaker), &mark.room, event).await {
            Err(ClientError::Refused { errcode, .. }) if errcode == DUPLICATE => Ok(None),
            made => made.map(Some),
        }
    }

    pub(super) async fn redact(&self, redact: &Redact) -> Result<(), ClientError> {
        let (kind, txn) = (Kind::Redaction(&redact.event), txn(redact.seq));
        let event = Event { kind, txn: &txn, content: content::of_redact(redact).into(), at_ms: None };
        self.say_as(self.mouth(&redact.speaker), &redact.room, event).await.map(drop)
    }

    pub(super) async fn tell(&self, room: &RoomId, txn: &str, words: &str) -> Result<(), ClientError> {
        let event = Event { kind: MESSAGE, txn, content: content::of_notice(words).into(), at_ms: None };
        self.say_as(self.bot_mouth(), room, event).await.map(drop)
    }

    /// Leaves a room, or declines an invitation to it; not being there is as good.
    pub(super) async fn leave(&self, user: &UserId, room: &RoomId, why: &str) -> Result<(), ClientError> {
        let left = match self.homeserver.leave(user, room, Some(why)).await {
            // Somebody who was invited and has never been here.
            Err(ClientError::Forbidden { .. }) => {
                self.homeserver.register(user.localpart()).await?;
                self.homeserver.leave(user, room, Some(why)).await
            }
            left => left,
        };
        let is_passing = |error: &ClientError| {
            matches!(
                error,
                ClientError::Limited { .. } | ClientError::Unavailable(_) | ClientError::WrongToken
            )
        };
        if let Err(error) = &left
            && is_passing(error)
        {
            return left;
        }
        self.book.learn_room(GhostFact::Left { room: room.clone(), user: user.clone() });
        left
    }

    /// Lets a ghost in that says nothing. The homeserver is asked whatever the book says: somebody there may have put it out.
    pub(in crate::matrix) async fn let_in(&self, ghost: &Ghost, room: &RoomId) -> Result<(), ClientError> {
        let mouth = Mouth { user: &ghost.user, display_name: Some(&ghost.display_name) };
        let device = self.ready(mouth).await?;
        self.join(mouth, room, device).await?;
        self.book.learn_room(GhostFact::Joined { room: room.clone(), user: ghost.user.clone() });
        Ok(())
    }

    /// Lifts a ghost's ban. Where there is none, or the bot may not, the join that follows tells.
    pub(in crate::matrix) async fn pardon(&self, user: &UserId, room: &RoomId) -> Result<(), ClientError> {
        match self.homeserver.unban(room, user).await {
            Err(ClientError::Forbidden { .. }) => Ok(()),
            lifted => lifted,
        }
    }

    /// Lets a ghost leave. One that may not is not in the room, or the room is no more.
    pub(in crate::matrix) async fn let_out(
        &self,
        user: &UserId,
        room: &RoomId,
        why: Option<&str>,
    ) -> Result<(), ClientError> {
        match self.homeserver.leave(user, room, why).await {
            Ok(()) | Err(ClientError::Forbidden { .. } | ClientError::NotFound) => {}
            Err(error) => return Err(error),
        }
        self.book.left(room, user);
        Ok(())
    }

    fn mouth<'a>(&'a self, speaker: &'a Speaker) -> Mouth<'a> {
        match speaker {
            Speaker::Bot => self.bot_mouth(),
            Speaker::Ghost(ghost) => Mouth { user: &ghost.user, display_name: Some(&ghost.display_name) },
        }
    }

    fn bot_mouth(&self) -> Mouth<'_> {
        Mouth { user: &self.bot, display_name: None }
    }

    /// When the homeserver knows better than the book, the book is corrected and the line sent once more.
    async fn say_as(
        &self,
        mouth: Mouth<'_>,
        room: &RoomId,
        event: Event<'_>,
    ) -> Result<EventId, ClientError> {
        let device = self.enter(mouth, room).await?;
        match self.send(mouth, device, room, event.clone()).await {
            Err(ClientError::Forbidden { .. }) => {
                self.book.learn_room(GhostFact::Left { room: room.clone(), user: mouth.user.clone() });
            }
            Err(ClientError::UnknownDevice) => self.forget(mouth.user).await,
            sent => return sent,
        }
        let device = self.enter(mouth, room).await?;
        self.send(mouth, device, room, event).await
    }

    async fn send(
        &self,
        mouth: Mouth<'_>,
        device: DeviceUse,
        room: &RoomId,
        event: Event<'_>,
    ) -> Result<EventId, ClientError> {
        let who = As { user: mouth.user, device, at_ms: event.at_ms };
        match event.kind {
            Kind::Plain(kind) => self.homeserver.send_event(who, room, kind, event.txn, event.content).await,
            Kind::Redaction(of) => {
                self.homeserver.redact_event(who, room, of, event.txn, event.content).await
            }
        }
    }

    /// Makes sure that this user can speak in this room, as far as the book knows.
    async fn enter(&self, mouth: Mouth<'_>, room: &RoomId) -> Result<DeviceUse, ClientError> {
        let mut device = self.ready(mouth).await?;
        if !self.book.is_joined(room, mouth.user) {
            device = self.join(mouth, room, device).await?;
            self.book.learn_room(GhostFact::Joined { room: room.clone(), user: mouth.user.clone() });
        }
        Ok(device)
    }

    /// Registered, with a device, and named.
    async fn ready(&self, mouth: Mouth<'_>) -> Result<DeviceUse, ClientError> {
        let user = mouth.user;
        let entry = self.book.entry(user);
        let mut known = entry.lock().await;
        if !known.registered {
            self.homeserver.register(user.localpart()).await?;
            self.book.learn(&mut known, &GhostFact::Registered { user: user.clone() });
        }
        if !known.device && self.book.devices_exist() {
            self.give_device(user, &mut known).await?;
        }
        if let Some(name) = mouth.display_name
            && known.display_name.as_deref() != Some(name)
        {
            self.name(user, name, &mut known).await?;
        }
        Ok(if known.device && self.book.devices_exist() { DeviceUse::Named } else { DeviceUse::None })
    }

    async fn give_device(&self, user: &UserId, known: &mut Known) -> Result<(), ClientError> {
        match self.homeserver.ensure_device(user).await {
            Ok(()) => self.book.learn(known, &GhostFact::HasDevice { user: user.clone() }),
            Err(ClientError::NoDevices(why)) => {
                if self.book.devices_refused() {
                    tracing::warn!(
                        why,
                        "no devices for the bridge: a line may be said twice when the homeserver restarts \
                         (io.element.msc4190 in the registration helps)"
                    );
                }
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// A refused name is no reason to be silent: it is not tried again until it changes.
    async fn name(&self, user: &UserId, name: &str, known: &mut Known) -> Result<(), ClientError> {
        match self.homeserver.set_display_name(user, name).await {
            Ok(()) => {}
            Err(
                error @ (ClientError::Limited { .. } | ClientError::Unavailable(_) | ClientError::WrongToken),
            ) => {
                return Err(error);
            }
            Err(error) => tracing::warn!(%user, %error, "a ghost could not be named"),
        }
        let fact = GhostFact::Named { user: user.clone(), display_name: name.to_owned() };
        self.book.learn(known, &fact);
        Ok(())
    }

    /// Joins; where that is not allowed, lets the bot invite first. A homeserver that lost our user (its
    /// database was put back) says "not allowed" too.
    async fn join(
        &self,
        mouth: Mouth<'_>,
        room: &RoomId,
        device: DeviceUse,
    ) -> Result<DeviceUse, ClientError> {
        match self.homeserver.join(mouth.user, room).await {
            Err(ClientError::Forbidden { .. }) => {}
            joined => return joined.map(|()| device),
        }
        let device = match self.homeserver.register(mouth.user.localpart()).await? {
            Registered::Before => device,
            Registered::Now => {
                self.forget(mouth.user).await;
                self.ready(mouth).await?
            }
        };
        if *mouth.user != self.bot {
            match self.homeserver.invite(room, mouth.user).await {
                // It may be in the room already, or invited; the join will tell.
                Ok(()) | Err(ClientError::Forbidden { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        self.homeserver.join(mouth.user, room).await.map(|()| device)
    }

    async fn forget(&self, user: &UserId) {
        let entry = self.book.entry(user);
        let mut known = entry.lock().await;
        self.book.learn(&mut known, &GhostFact::Forgotten { user: user.clone() });
    }
}
