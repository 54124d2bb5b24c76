//! The wiring: the only place that starts tasks and performs what the machine asks for.
//!
//! ```text
//!   homeserver ──▶ host (axum) ──▶ store ──▶ inbox_pump ─┐                  ┌─▶ irc connections
//!                                                        ├─▶ network_task ──┤
//!   irc connections ─────────────────────────────────────┘   (one each)     └─▶ outbox ──▶ homeserver
//! ```
//!
//! [`run`] starts everything and ends it in order. Nothing here decides about chat.

pub mod admin_task;
mod api;
mod choices;
mod clock;
pub mod dial_plan;
mod directory;
pub mod errands;
pub mod heal;
pub mod heap;
pub mod host;
pub mod inbox_pump;
mod keeping;
mod listeners;
pub mod logs;
mod meters;
pub mod naming;
mod network_task;
mod opening;
mod parts;
pub mod perform;
mod plumbing;
pub mod policy_lists;
mod prune;
mod queries;
mod recall;
pub mod reload;
mod remember;
pub mod routes;
pub mod run;
pub mod settings;
mod shelf;
pub mod shell;
mod space;
pub mod startup;
pub mod stop;
mod upgrades;
