//! The part of the homeserver that the outbox needs: the [`Client`], or a model of it in a test.

use std::future::Future;

use bytes::Bytes;

use crate::bridge::effect::{JoinRule, Plate, RoomDoor, RoomPower, RoomTopic, SpacePlace};
use crate::ids::{EventId, RoomId, UserId};
use crate::matrix::client::{As, Client, ClientError, Registered};
use crate::matrix::{plates, room_state, space};

/// See the methods of the same names at [`Client`].
pub trait Homeserver: Send + Sync + 'static {
    fn register(&self, localpart: &str) -> impl Future<Output = Result<Registered, ClientError>> + Send;
    fn ensure_device(&self, user: &UserId) -> impl Future<Output = Result<(), ClientError>> + Send;
    fn set_display_name(
        &self,
        user: &UserId,
        name: &str,
    ) -> impl Future<Output = Result<(), ClientError>> + Send;
    fn join(&self, user: &UserId, room: &RoomId) -> impl Future<Output = Result<(), ClientError>> + Send;
    fn leave(
        &self,
        user: &UserId,
        room: &RoomId,
        why: Option<&str>,
    ) -> impl Future<Output = Result<(), ClientError>> + Send;
    fn invite(&self, room: &RoomId, user: &UserId) -> impl Future<Output = Result<(), ClientError>> + Send;
    fn kick(
        &self,
        room: &RoomId,
        user: &UserId,
        why: &str,
    ) -> impl Future<Output = Result<(), ClientError>> + Send;
    /// Gives a room this topic, where it has another.
    fn set_topic(
        &self,
        room: &RoomId,
        topic: &RoomTopic,
    ) -> impl Future<Output = Result<(), ClientError>> + Send;
    /// Gives people in a room these levels, where they have others.
    fn set_power(
        &self,
        room: &RoomId,
        power: &RoomPower,
    ) -> impl Future<Output = Result<(), ClientError>> + Send;
    /// Lets people outside find a room, or not.
    fn set_door(
        &self,
        room: &RoomId,
        door: &RoomDoor,
    ) -> impl Future<Output = Result<(), ClientError>> + Send;
    /// Lets a room say this of its channel, where it says something else.
    fn hang_plate(
        &self,
        room: &RoomId,
        plate: &Plate,
    ) -> impl Future<Output = Result<(), ClientError>> + Send;
    /// Lets in who might come into a room before, or who is invited only.
    fn set_join_rule(
        &self,
        room: &RoomId,
        door: JoinRule,
    ) -> impl Future<Output = Result<(), ClientError>> + Send;
    /// Lets another room be in this one, which is a space, or not.
    fn place(
        &self,
        space: &RoomId,
        place: &SpacePlace,
    ) -> impl Future<Output = Result<(), ClientError>> + Send;
    fn unban(&self, room: &RoomId, user: &UserId) -> impl Future<Output = Result<(), ClientError>> + Send;
    /// Whether nobody in the room has silenced this user.
    fn is_heard(
        &self,
        room: &RoomId,
        user: &UserId,
    ) -> impl Future<Output = Result<bool, ClientError>> + Send;
    fn send_event(
        &self,
        who: As<'_>,
        room: &RoomId,
        kind: &str,
        txn: &str,
        content: Bytes,
    ) -> impl Future<Output = Result<EventId, ClientError>> + Send;
    fn redact_event(
        &self,
        who: As<'_>,
        room: &RoomId,
        event: &EventId,
        txn: &str,
        content: Bytes,
    ) -> impl Future<Output = Result<EventId, ClientError>> + Send;
}

impl Homeserver for Client {
    async fn register(&self, localpart: &str) -> Result<Registered, ClientError> {
        Client::register(self, localpart).await
    }

    async fn ensure_device(&self, user: &UserId) -> Result<(), ClientError> {
        Client::ensure_device(self, user).await
    }

    async fn set_display_name(&self, user: &UserId, name: &str) -> Result<(), ClientError> {
        Client::set_display_name(self, user, name).await
    }

    async fn join(&self, user: &UserId, room: &RoomId) -> Result<(), ClientError> {
        Client::join(self, user, room).await
    }

    async fn leave(&self, user: &UserId, room: &RoomId, why: Option<&str>) -> Result<(), ClientError> {
        Client::leave(self, user, room, why).await
    }

    async fn invite(&self, room: &RoomId, user: &UserId) -> Result<(), ClientError> {
        Client::invite(self, room, user).await
    }

    async fn kick(&self, room: &RoomId, user: &UserId, why: &str) -> Result<(), ClientError> {
        Client::kick(self, room, user, why).await
    }

    async fn set_topic(&self, room: &RoomId, topic: &RoomTopic) -> Result<(), ClientError> {
        room_state::set_topic(self, room, topic).await
    }

    async fn set_power(&self, room: &RoomId, power: &RoomPower) -> Result<(), ClientError> {
        room_state::set_power(self, room, power).await
    }

    async fn set_door(&self, room: &RoomId, door: &RoomDoor) -> Result<(), ClientError> {
        room_state::set_door(self, room, door).await
    }
    async fn hang_plate(&self, room: &RoomId, plate: &Plate) -> Result<(), ClientError> {
        plates::hang(self, room, plate).await
    }
    async fn set_join_rule(&self, room: &RoomId, door: JoinRule) -> Result<(), ClientError> {
        room_state::set_join_rule(self, room, door).await
    }

    async fn place(&self, space: &RoomId, place: &SpacePlace) -> Result<(), ClientError> {
        space::place(self, space, place).await
    }

    async fn unban(&self, room: &RoomId, user: &UserId) -> Result<(), ClientError> {
        Client::unban(self, room, user).await
    }

    async fn is_heard(&self, room: &RoomId, user: &UserId) -> Result<bool, ClientError> {
        room_state::is_heard(self, room, user).await
    }

    async fn send_event(
        &self,
        who: As<'_>,
        room: &RoomId,
        kind: &str,
        txn: &str,
        content: Bytes,
    ) -> Result<EventId, ClientError> {
        Client::send_event(self, who, room, kind, txn, content).await
    }

    async fn redact_event(
        &self,
        who: As<'_>,
        room: &RoomId,
        event: &EventId,
        txn: &str,
        content: Bytes,
    ) -> Result<EventId, ClientError> {
        Client::redact_event(self, who, room, event, txn, content).await
    }
}
