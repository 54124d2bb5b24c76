//! What the routes ask of the bridge. The bridge has one set of hands; tests have their own.

use std::future::Future;

use serde::Serialize;

use super::fault::Fault;
use crate::bridge::errand::{Errand, Report};
use crate::ids::{NetworkId, RoomId, UserId};

/// Does what is asked, and decides nothing about HTTP.
pub trait Hands: Send + Sync + 'static {
    /// What somebody may do, at this moment.
    fn may(&self, user: &UserId) -> May;

    /// All networks.
    fn networks(&self) -> &[Network];

    /// Gives an errand to a network; ends with its report, in two minutes at the latest.
    fn errand(
        &self,
        network: &NetworkId,
        user: &UserId,
        errand: Errand,
    ) -> impl Future<Output = Report> + Send;

    /// What is kept of somebody's login.
    fn login(
        &self,
        network: &NetworkId,
        user: &UserId,
    ) -> impl Future<Output = Result<Option<Login>, Fault>> + Send;

    /// Whether somebody is in a room; `Out` also where the bot cannot see it.
    fn presence(&self, room: &RoomId, user: &UserId) -> impl Future<Output = Result<InRoom, Fault>> + Send;

    /// How many rooms people may link; `None`: no end.
    fn links_max(&self) -> Option<usize>;

    /// In whose name something is asked that nobody in particular asks for.
    fn bot(&self) -> &UserId;

    /// Reads the configuration again; in words.
    fn reload(&self) -> impl Future<Output = String> + Send;

    /// What became of all messages.
    fn audit(&self) -> impl Future<Output = Result<Vec<Tallied>, Fault>> + Send;
}

/// What somebody may do. Who is higher may do what all below may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum May {
    /// Nothing.
    Blocked,
    /// Be on IRC.
    User,
    /// Link rooms.
    Plumber,
    /// Everything.
    Admin,
}

/// Whether somebody is in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InRoom {
    In,
    Out,
}

/// A network as it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    pub id: NetworkId,
    pub name: String,
    /// Names of its servers, by which integration managers may know it.
    pub hosts: Vec<String>,
}

/// What is kept of a login; never a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    pub account: String,
    pub password: Kept,
    pub fingerprint: Option<String>,
}

/// Whether something is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    Yes,
    No,
}

/// A row of an audit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tallied {
    pub network: String,
    pub direction: &'static str,
    pub accepted: u64,
    pub delivered: u64,
    pub failed: u64,
    pub expired: u64,
    pub in_flight: u64,
}
