//! Why a channel took no message, where the server does not say: ngIRCd and Solanum answer a bare 404.
//!
//! The channel is asked for its modes and bans once, through the same questions as everything else, and whoever
//! waits for the reason is told when the answers are there. What is learned counts for [`KNOWN_MS`]. Where nothing
//! explains it, or nobody answers, the refusal stays what it was.
//!
//! Full: with [`WAITING_MAX`] refusals waiting for one channel's answer the next is told as it came.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::effect::{CommandAnswer, Refusal, Verdict};
use super::super::input::AskId;
use super::super::relay::to_irc::Saying;
use super::super::session::places::Standing;
use super::super::session::question::{Command, Giver};
use super::super::session::register::LoginEnd;
use super::Network;
use crate::ids::{ChannelName, ConnId, PuppetId, Time};
use crate::text::line::Line;
use crate::text::mask;
use crate::text::numerics::{self, Trouble};

/// How long a reason counts before the channel is asked anew.
const KNOWN_MS: u64 = 10_000;
/// Refusals that wait for one channel's answer, at most.
const WAITING_MAX: usize = 32;
/// RPL_CHANNELMODEIS, RPL_BANLIST, and RPL_QUIETLIST of Solanum.
const MODES: &str = "324";
const BANS: &str = "367";
const QUIETS: &str = "728";
/// The list that keeps people from speaking, where there is one beside bans (Solanum).
const QUIET: char = 'q';
/// Nobody without an account may speak: a mode of InspIRCd, ngIRCd and ircd-hybrid, a mask of Solanum.
const ACCOUNTS_SPEAK: char = 'M';
const ACCOUNTS_MASK: &str = "$~a";

/// What is being learned, or was lately, of channels that refused something of a puppet.
#[derive(Debug, Default)]
pub(super) struct Reasons(BTreeMap<(PuppetId, ChannelName), Inquiry>);

#[derive(Debug)]
enum Inquiry {
    Asked {
        /// Questions without an answer.
        open: usize,
        answers: Vec<Line>,
        waiting: Vec<Unexplained>,
    },
    Known {
        since: Time,
        reason: Option<Reason>,
    },
}

/// Somebody whose refusal gave no reason.
#[derive(Debug)]
pub(super) enum Unexplained {
    Refused(Arc<Saying>, Refusal),
    Doubtful(Arc<Saying>, Refusal),
    Command(AskId, CommandAnswer),
}

impl Unexplained {
    fn refusal(&mut self) -> Option<&mut Refusal> {
        match self {
            Self::Refused(_, refusal) | Self::Doubtful(_, refusal) => Some(refusal),
            Self::Command(_, answer) => match &mut answer.verdict {
                Verdict::Refused(refusal) => Some(refusal),
                Verdict::Accepted | Verdict::Doubtful(_) | Verdict::Unknown => None,
            },
        }
    }

    /// The channel that took no message, where that is all that is known.
    fn channel(&mut self) -> Option<String> {
        let refusal = self.refusal()?;
        let is_bare = numerics::trouble(&refusal.code, &refusal.params) == Some(Trouble::CannotSpeak);
        is_bare.then(|| refusal.params.get(1).cloned()).flatten()
    }
}

/// Why a channel takes no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    Outside,
    Banned,
    NoAccount,
    Moderated,
}

impl Reason {
    /// As servers that give reasons write it.
    fn sign(self) -> &'static str {
        match self {
            Self::Outside => "(+n)",
            Self::Banned => "(+b)",
            Self::NoAccount => "(+M)",
            Self::Moderated => "(+m)",
        }
    }
}

/// The one who was refused, as the channel sees them.
struct Speaker {
    /// `nick!user@host`.
    mask: String,
    is_inside: bool,
    is_logged_in: bool,
}

impl Network {
    /// Tells of a refusal, after finding out its reason where the server gave none.
    pub(super) fn tell_refusal(&mut self, conn: ConnId, mut refused: Unexplained) {
        let channel = refused.channel().and_then(|name| ChannelName::new(&name, self.map()));
        let Some(channel) = channel else { return self.tell_explained(refused, None) };
        let (now, key) = (self.now, (conn.puppet, channel.clone()));
        match self.reasons.0.get_mut(&key) {
            Some(Inquiry::Asked { waiting, .. }) if waiting.len() < WAITING_MAX => waiting.push(refused),
            Some(Inquiry::Asked { .. }) => self.tell_explained(refused, None),
            Some(Inquiry::Known { since, reason }) if now.since_ms(*since) < KNOWN_MS => {
                let reason = *reason;
                self.tell_explained(refused, reason);
            }
            Some(Inquiry::Known { .. }) | None => match self.ask_for_reason(conn, &channel) {
                0 => self.tell_explained(refused, None),
                open => {
                    let inquiry = Inquiry::Asked { open, answers: Vec::new(), waiting: vec![refused] };
                    self.reasons.0.insert(key, inquiry);
                }
            },
        }
    }

    /// Asks for modes, bans and, where there are such, quiets. Returns how many questions are on their way.
    fn ask_for_reason(&mut self, conn: ConnId, channel: &ChannelName) -> usize {
        if self.puppet_of(conn).is_none() {
            return 0;
        }
        let quiets = self.isupport.modes.is_list(QUIET).then_some("q");
        let questions = [None, Some("b")].into_iter().chain(quiets.map(Some));
        let lines: Vec<Line> = questions
            .map(|list| {
                let params: Vec<&str> = std::iter::once(channel.as_str()).chain(list).collect();
                Line::new("MODE", &params)
            })
            .collect();
        let sent = self.with_session(conn.puppet, |session, out| {
            let sent = lines.iter().map(|line| {
                let command = Command::new(Giver::Reason(channel.clone()), line);
                session.send_command(command, line.build(), out)
            });
            sent.filter(Result::is_ok).count()
        });
        sent.unwrap_or_default()
    }

    /// One of the questions for a reason is over, with what came back to it.
    pub(super) fn reason_heard(&mut self, conn: ConnId, channel: ChannelName, lines: Vec<Line>) {
        let key = (conn.puppet, channel);
        let Some(Inquiry::Asked { open, answers, .. }) = self.reasons.0.get_mut(&key) else { return };
        answers.extend(lines);
        *open = open.saturating_sub(1);
        if *open > 0 {
            return;
        }
        let Some(Inquiry::Asked { answers, waiting, .. }) = self.reasons.0.remove(&key) else { return };
        let reason = self.speaker(conn, &key.1).and_then(|speaker| self.reason(&answers, &speaker));
        let now = self.now;
        // What nobody asked about since is forgotten here.
        self.reasons.0.retain(|_, inquiry| match inquiry {
            Inquiry::Asked { .. } => true,
            Inquiry::Known { since, .. } => now.since_ms(*since) < KNOWN_MS,
        });
        self.reasons.0.insert(key, Inquiry::Known { since: now, reason });
        for refused in waiting {
            self.tell_explained(refused, reason);
        }
    }

    fn speaker(&self, conn: ConnId, channel: &ChannelName) -> Option<Speaker> {
        let session = self.puppets[conn.puppet.0 as usize].session.as_ref()?;
        // Without a mask of our own, only a ban of the nick can be seen to mean us.
        let rest = self.nicks.mask(conn).unwrap_or("*@*");
        Some(Speaker {
            mask: format!("{}!{rest}", session.nick()?),
            is_inside: session.standing(channel) == Some(Standing::In),
            is_logged_in: *session.login_end() == LoginEnd::LoggedIn,
        })
    }

    /// What in a channel's modes and lists keeps somebody from speaking. A mask that names no person as IRC does
    /// (an extended ban) is no reason that can be told, but for the one that means who has no account.
    fn reason(&self, answers: &[Line], speaker: &Speaker) -> Option<Reason> {
        let of = |code: &'static str| answers.iter().filter(move |line| line.command == code);
        let set: Vec<_> = of(MODES)
            .flat_map(|line| self.isupport.mode_changes(line.params.get(2..).unwrap_or_default()))
            .collect();
        let is_set = |mode| set.iter().any(|change| change.sets(mode));
        let masks: Vec<&str> =
            of(BANS).map(|line| line.param(2)).chain(of(QUIETS).map(|line| line.param(3))).collect();
        let is_meant = |mask: &&str| mask.contains('!') && mask::matches(mask, &speaker.mask, self.map());
        let wants_account = is_set(ACCOUNTS_SPEAK) || masks.contains(&ACCOUNTS_MASK);
        if !speaker.is_inside && is_set('n') {
            Some(Reason::Outside)
        } else if masks.iter().any(is_meant) {
            Some(Reason::Banned)
        } else if wants_account && !speaker.is_logged_in {
            Some(Reason::NoAccount)
        } else {
            is_set('m').then_some(Reason::Moderated)
        }
    }

    /// Tells of a refusal where nothing can be asked any more.
    pub(super) fn tell_as_it_came(&mut self, refused: Unexplained) {
        self.tell_explained(refused, None);
    }

    fn tell_explained(&mut self, mut refused: Unexplained, reason: Option<Reason>) {
        if let (Some(reason), Some(refusal)) = (reason, refused.refusal())
            && let Some(words) = refusal.params.last_mut()
        {
            *words = format!("{words} {}", reason.sign());
        }
        match refused {
            Unexplained::Refused(saying, refusal) => self.line_refused(&saying, &refusal),
            Unexplained::Doubtful(saying, refusal) => self.line_in_doubt(&saying, &refusal),
            Unexplained::Command(ask, answer) => self.line_reported(ask, answer),
        }
    }
}
