//! Text as each side writes it: IRC lines, case mappings, nicks, templates, splitting.
//!
//! Pure: no I/O, no clock, no randomness; nothing here panics on any text.

pub mod casemap;
pub mod colour;
pub mod glob;
pub mod html;
pub mod ident;
pub mod irc_codes;
pub mod line;
pub mod link;
pub mod mask;
pub mod modes;
pub mod moment;
pub mod nick;
pub mod numerics;
pub mod percent;
pub mod realname;
pub mod sasl;
pub mod scram;
pub mod spans;
pub mod split;
pub mod template;
pub mod whom;
