//! A private chat that somebody begins by a command: what they want to say goes first, so that a nick that nobody has gets
//! no room; then there is the room, as when the nick had written.

use super::super::super::effect::Refusal;
use super::super::super::errand::Report;
use super::super::super::input::AskId;
use super::super::super::queries::{Pair, Place};
use super::super::super::session::Session;
use super::super::Network;
use super::waiting::{Needs, Stage};
use super::{BAD_NAME, NO_ROOM, NOT_ALLOWED};
use crate::ids::{Nick, PuppetId, UserId};
use crate::text::line::{Line, clean};

/// Nobody has a longer nick, where the network does not say that they may.
const NICK_BYTES_MAX: usize = 64;
/// `nick!user@host` where it is not known yet.
const SOURCE_BYTES_GUESS: usize = 110;

impl Network {
    pub(super) fn query_asked(
        &mut self,
        ask: AskId,
        user: &UserId,
        name: &str,
        text: Option<&str>,
    ) -> Result<Option<Report>, Refusal> {
        let is_nick =
            name.len() <= self.isupport.nick_bytes_max.max(NICK_BYTES_MAX) && !self.isupport.is_channel(name);
        let Some(nick) = Nick::new(name, self.map()).filter(|_| is_nick) else {
            return Err(Refusal::ours(BAD_NAME, "this is nobody's nick: a nick is one word"));
        };
        let id = self.ensure_puppet(user, None);
        let line = self.private_line(id, &nick, text)?;
        let pair = (user.clone(), nick);
        if self.queries.get(&pair).is_none() {
            let may = self.may_invite(user, &pair.1, true);
            may.map_err(|why| Refusal::ours(NOT_ALLOWED, &why))?;
        }
        match line {
            Some(line) => self.wait_for(ask, id, Needs::Connection, Stage::Writing(pair, line))?,
            None => {
                self.wait_for(ask, id, Needs::Nothing, Stage::Talking(pair.clone()))?;
                self.begin_query_with(&pair);
            }
        }
        Ok(None)
    }

    /// What is to be said, as one line.
    fn private_line(&self, id: PuppetId, nick: &Nick, text: Option<&str>) -> Result<Option<Line>, Refusal> {
        let text = text.map(|text| clean(text).replace('\u{1}', "")).unwrap_or_default();
        let text = text.trim();
        if text.is_empty() {
            return Ok(None);
        }
        let line = Line::new("PRIVMSG", &[nick.as_str(), text]);
        let source =
            self.puppets[id.0 as usize].session.as_ref().map_or(SOURCE_BYTES_GUESS, Session::source_bytes);
        if source + line.build().len() + 2 > self.isupport.line_bytes_max {
            let words = "this is too long for one line: begin the chat without it, and say it in its room";
            return Err(Refusal::ours("TOO_LONG", words));
        }
        Ok(Some(line))
    }

    /// Says it, where the connection may be used.
    pub(super) fn write_privately(&mut self, ask: AskId, id: PuppetId, pair: Pair, line: &Line) {
        let Some(conn) = self.ready_conn(id) else { return };
        self.errands.turn(ask, Stage::Written(pair, conn));
        self.talks(id);
        self.give_line(ask, id, line);
    }

    /// The server took what was said: the chat gets its room.
    pub(super) fn talk(&mut self, ask: AskId, pair: Pair) {
        self.begin_query_with(&pair);
        self.errands.turn(ask, Stage::Talking(pair));
    }

    /// Whether the room is there.
    pub(super) fn look_for_room(&mut self, ask: AskId, pair: &Pair) {
        let nick = pair.1.as_str().to_owned();
        match self.queries.get(pair).map(|query| &query.place) {
            Some(Place::Open(room)) => {
                let room = Some(room.clone());
                self.end_errand(ask, Report::Talking { nick, room });
            }
            Some(Place::Doing(_)) => {}
            Some(Place::Left(_)) => self.end_errand(ask, Report::Talking { nick, room: None }),
            None => {
                let words = format!("there is no room for the chat with {nick}: try again later");
                self.refuse_errand(ask, Refusal::ours(NO_ROOM, &words));
            }
        }
    }
}
