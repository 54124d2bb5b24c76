//! What was said on IRC becomes something said in a room.
//!
//! Codes become formatting, names become pills, and nothing of a line is taken for more than it is: HTML is escaped,
//! and nobody is called by a line but those whom it names, `@room` least of all.

use super::super::effect::{Ghost, Speaker};
use crate::bridge::input::BodyKind;
use crate::bridge::session::seen::{Audience, Speaking, Words};
use crate::ids::{Nick, UserId};
use crate::text::html;
use crate::text::irc_codes;
use crate::text::spans::Spans;
use crate::text::template::GhostTemplate;

/// What is said, before it is known in which room.
#[derive(Clone, Debug)]
pub struct Message {
    pub speaker: Speaker,
    pub kind: BodyKind,
    spans: Spans,
}

/// What is said in a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    pub text: String,
    pub html: Option<String>,
    /// Who is named, each once.
    pub mentions: Vec<UserId>,
}

/// Puts words into the common form. `None` when nothing is left to read, or the nick makes no user id.
pub fn message(from: &Speaking, words: &Words, ghosts: &GhostTemplate, server_name: &str) -> Option<Message> {
    let mut spans = irc_codes::read(&words.text);
    if spans.is_empty() {
        return None;
    }
    spans.link_urls();
    if let Audience::Rank(sign) = words.audience {
        spans.put_before(&format!("[{} only] ", rank(sign)));
    }
    match from {
        Speaking::Person(nick) => {
            Some(Message { speaker: ghost(nick, ghosts, server_name)?, kind: words.kind, spans })
        }
        // A server has no ghost: the bot says whose words these are.
        Speaking::Server(name) => {
            spans.put_before(&format!("{name}: "));
            Some(Message { speaker: Speaker::Bot, kind: BodyKind::Notice, spans })
        }
    }
}

impl Message {
    /// Without formatting, for what remembers it.
    pub fn plain(&self) -> String {
        self.spans.to_plain()
    }

    /// As one room is told it: of its words at most `max` become pills of those whom `person` knows.
    pub fn content(&self, max: usize, mut person: impl FnMut(&str) -> Option<UserId>) -> Content {
        let mut spans = self.spans.clone();
        let mut mentions: Vec<UserId> = Vec::new();
        spans.mention_words(usize::MAX, |word| {
            let user = person(word)?;
            if !mentions.contains(&user) {
                if mentions.len() >= max {
                    return None;
                }
                mentions.push(user.clone());
            }
            Some((user, word.to_owned()))
        });
        let (text, html) = match html::write(&spans) {
            Some(html) => (html.body, Some(html.formatted)),
            None => (spans.to_plain(), None),
        };
        Content { text, html, mentions }
    }
}

/// The ghost of a nick.
pub fn ghost(nick: &Nick, ghosts: &GhostTemplate, server_name: &str) -> Option<Speaker> {
    let user = ghosts.user(nick, server_name)?;
    Some(Speaker::Ghost(Ghost { user, display_name: nick.as_str().to_owned() }))
}

/// Whom a line with this sign before its channel is for.
fn rank(sign: char) -> String {
    match sign {
        '~' => "owners".to_owned(),
        '&' | '!' => "admins".to_owned(),
        '@' => "operators".to_owned(),
        '%' => "half-operators".to_owned(),
        '+' => "voiced".to_owned(),
        sign => format!("{sign}"),
    }
}
