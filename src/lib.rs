//! bunraku, a puppeting bridge between Matrix and IRC: the library behind the `bunraku` program.
//!
//! A pure machine in the middle ([`bridge`], with [`text`] and [`ids`]), adapters around it ([`irc`],
//! [`matrix`], [`store`]), one place that wires them ([`app`]). `docs/ARCHITECTURE.md` is the map;
//! `tests/tidy.rs` holds its walls.

pub mod app;
pub mod bridge;
pub mod config;
pub mod ids;
pub mod irc;
pub mod lanes;
pub mod matrix;
pub mod secret;
pub mod store;
pub mod text;
pub mod vault;
pub mod web;
