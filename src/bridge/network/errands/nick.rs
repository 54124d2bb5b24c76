//! A nick of somebody's own choice: asked of the server, kept over restarts once it is theirs, and from then on no display
//! name changes it.

use super::super::super::effect::{Effect, Refusal, Verdict};
use super::super::super::errand::{NickRow, Report};
use super::super::super::input::AskId;
use super::super::Network;
use super::super::wishes::Services;
use super::waiting::{Needs, Stage};
use super::{BAD_NAME, NOT_CONNECTED, TOO_MANY};
use crate::ids::{ConnId, Nick, PuppetId, UserId};
use crate::text::nick::Alphabet;

/// A nick that is being asked for.
#[derive(Clone, Debug)]
pub(in super::super) struct Naming {
    /// What they had chosen before.
    before: Option<String>,
    /// The connection that was told.
    asked: Option<ConnId>,
}

impl Naming {
    /// True once a server was asked.
    pub(super) fn is_asked(&self) -> bool {
        self.asked.is_some()
    }
}

impl Network {
    /// A nick that somebody chose in an earlier run.
    pub(in super::super) fn nick_known(&mut self, row: NickRow) {
        let id = self.ensure_puppet(&row.user, None);
        self.puppet(id).asked.nick = Nick::new(&row.nick, self.map()).map(|nick| nick.as_str().to_owned());
    }

    pub(super) fn nick_wanted(
        &mut self,
        ask: AskId,
        user: &UserId,
        nick: Option<String>,
    ) -> Result<Option<Report>, Refusal> {
        if let Some(nick) = &nick {
            self.may_be_nick(nick)?;
        }
        let id = self.ensure_puppet(user, None);
        if let Some(why) = self.held_words(id) {
            return Err(Refusal::ours(NOT_CONNECTED, &why));
        }
        let is_open = |(_, _, stage): &(_, _, Stage)| matches!(stage, Stage::Naming(_));
        if self.errands.of(Some(id)).iter().any(is_open) {
            return Err(Refusal::ours(TOO_MANY, "a nick is being asked for already: wait for its answer"));
        }
        let puppet = &self.puppets[id.0 as usize];
        let is_wanted = puppet.session.is_some() || puppet.may_dial();
        let before = puppet.asked.nick.clone();
        if is_wanted {
            let naming = Naming { before, asked: None };
            self.wait_for(ask, id, Needs::Nothing, Stage::Naming(naming))?;
            self.puppet(id).asked.nick = nick;
            return Ok(None);
        }
        self.puppet(id).asked.nick = nick;
        self.keep_nick(id);
        Ok(Some(Report::Done))
    }

    fn may_be_nick(&self, text: &str) -> Result<(), Refusal> {
        let (network, bytes_max) = (&self.policy.network_name, self.isupport.nick_bytes_max);
        let words = if text.len() > bytes_max {
            format!("this nick is too long: on {network} they have {bytes_max} bytes at most")
        } else if !text.is_ascii() && self.alphabet() == Alphabet::Ascii {
            format!("on {network} nicks are made of the letters a to z, digits and a few signs")
        } else if Nick::new(text, self.map()).is_none() || self.isupport.is_channel(text) {
            "this can be no nick: a nick is one word of letters, digits and a few signs".to_owned()
        } else {
            return Ok(());
        };
        Err(Refusal::ours(BAD_NAME, &words))
    }

    /// Asks the server for it, once on each connection that may be used, and looks whether it is theirs.
    pub(super) fn look_at_nick(&mut self, ask: AskId, id: PuppetId, naming: Naming) {
        let Some(conn) = self.ready_conn(id) else { return };
        if let Some(nick) = self.nick_as_wished(id) {
            self.keep_nick(id);
            return self.end_errand(ask, Report::Called(nick));
        }
        if naming.asked == Some(conn) {
            return;
        }
        let wished = self.wished_nick(&self.puppets[id.0 as usize]);
        let Some(nick) = Nick::new(&wished, self.map()) else {
            return self.refuse_errand(ask, Refusal::ours(BAD_NAME, "this can be no nick"));
        };
        self.errands.turn(ask, Stage::Naming(Naming { asked: Some(conn), ..naming }));
        self.puppet(id).nick_asked_at = Some(self.now);
        self.with_session(id, |session, out| session.ask_nick(nick, out));
        self.note_nicks(id);
    }

    /// The puppet's nick, where it is spelled as wished.
    fn nick_as_wished(&self, id: PuppetId) -> Option<String> {
        let puppet = &self.puppets[id.0 as usize];
        let present = puppet.session.as_ref()?.nick()?.as_str();
        (present == self.wished_nick(puppet)).then(|| present.to_owned())
    }

    /// The server has answered to a wish for a nick.
    pub(in super::super) fn naming_answered(&mut self, conn: ConnId, nick: &Nick, verdict: Verdict) {
        let id = conn.puppet;
        let is_it = |stage: &Stage| matches!(stage, Stage::Naming(naming) if naming.asked == Some(conn));
        let open = self.errands.of(Some(id)).into_iter().find(|(_, _, stage)| is_it(stage));
        let wished = self.wished_nick(&self.puppets[id.0 as usize]);
        let Some((ask, ..)) = open.filter(|_| wished == nick.as_str()) else { return };
        if let Some(nick) = self.nick_as_wished(id) {
            self.keep_nick(id);
            return self.end_errand(ask, Report::Called(nick));
        }
        let refusal = match verdict {
            Verdict::Refused(refusal) | Verdict::Doubtful(refusal) => self.in_words(refusal),
            Verdict::Accepted => {
                let words = "the server did not give this nick, and said nothing against it".to_owned();
                Refusal::ours("NOT_GIVEN", &words)
            }
            // A late answer may still come; what is wished for until then is what was before.
            Verdict::Unknown => return self.nick_unknown(ask),
        };
        self.refuse_errand(ask, refusal);
    }

    fn nick_unknown(&mut self, ask: AskId) {
        let Some(Stage::Naming(naming)) = self.errands.stage(ask).cloned() else { return };
        let id = self.errands.of(None).into_iter().find(|(other, ..)| *other == ask).map(|(_, id, _)| id);
        self.end_errand(ask, Report::Unknown);
        if let Some(id) = id {
            self.unname(id, &naming);
        }
    }

    /// They do not get it: what they had chosen before counts again.
    pub(super) fn unname(&mut self, id: PuppetId, naming: &Naming) {
        self.puppet(id).asked.nick = naming.before.clone();
        self.compare_nick(id, Services::LeftAlone);
    }

    /// Keeps over restarts what somebody chose, or that they did not.
    fn keep_nick(&mut self, id: PuppetId) {
        let puppet = &self.puppets[id.0 as usize];
        let user = puppet.user.clone();
        self.out.push(match puppet.asked.nick.clone() {
            Some(nick) => Effect::SaveNick(NickRow { user, nick }),
            None => Effect::DropNick { user },
        });
    }
}
