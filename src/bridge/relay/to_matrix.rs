//! A channel's line becomes something said in a room.

use super::super::effect::{Ghost, Speaker};
use crate::bridge::channel::Heard;
use crate::bridge::input::BodyKind;
use crate::bridge::session::seen::Speaking;
use crate::ids::Nick;
use crate::text::irc_codes;
use crate::text::template::GhostTemplate;

/// What is said in a room, and in whose name.
#[derive(Debug)]
pub struct Content {
    pub speaker: Speaker,
    pub kind: BodyKind,
    pub text: String,
}

/// Puts a line into Matrix form. `None` when nothing is left to read, or the nick makes no user id.
pub fn content(heard: &Heard, ghosts: &GhostTemplate, server_name: &str) -> Option<Content> {
    let text = irc_codes::strip(&heard.text);
    if text.trim().is_empty() {
        return None;
    }
    match &heard.from {
        Speaking::Person(nick) => {
            Some(Content { speaker: ghost(nick, ghosts, server_name)?, kind: heard.kind, text })
        }
        // A server has no ghost: the bot says whose words these are.
        Speaking::Server(name) => {
            Some(Content { speaker: Speaker::Bot, kind: BodyKind::Notice, text: format!("{name}: {text}") })
        }
    }
}

/// The ghost of a nick.
pub fn ghost(nick: &Nick, ghosts: &GhostTemplate, server_name: &str) -> Option<Speaker> {
    let user = ghosts.user(nick, server_name)?;
    Some(Speaker::Ghost(Ghost { user, display_name: nick.as_str().to_owned() }))
}
