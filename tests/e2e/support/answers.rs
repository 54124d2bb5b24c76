//! The command-answer suite's data: situations in which a server says no, or says what it knows.
//!
//! A [`Situation`] says what has to be there ([`Situation::prepare`]), what somebody then does ([`Act`]), and the
//! words with which each server answers; `parts.rs` holds the servers to these words by plain clients, so they are
//! facts and not opinions. A story does the act through the bridge instead and asserts what the user is told:
//!
//! ```ignore
//! for situation in situations().iter().filter(|s| s.applies_to(kind)) {
//!     let operator = Situation::operator(&story.ircd, "#an-x").await;
//!     // let the user join the channel's room, if situation.place() is Place::Inside
//!     let scene = situation.prepare(operator, kind, "#an-x", &puppet(name)).await;
//!     // do situation.act(&scene) on Matrix; compare what is said with situation.words(kind, &scene)
//! }
//! ```
//!
//! What the words below do not show:
//! - NOTICE to a channel that refuses: InspIRCd answers 404, ngIRCd and ircd-hybrid say nothing (RFC 2812 3.3.2).
//! - `PRIVMSG #nowhere`: InspIRCd 403, the others 401. `JOIN 0bad`: InspIRCd 476, ngIRCd 403, ircd-hybrid 479.
//! - A nick that is too long: InspIRCd and ngIRCd 432; ircd-hybrid cuts it and says nothing.
//! - InspIRCd refuses a change of nick to who is banned where they are: `447 nick :Cannot change nickname while on
//!   #c (you're banned)`.
//! - In use or held at registration: the same numerics with `*` for the own nick.
//! - Enforced by services: `432 nick held :Services reserved nickname: Registered nickname.`

use super::irc::{IrcClient, IrcLine};
use super::ircd::{Ircd, IrcdKind};

/// One question to a server.
#[derive(Clone, Copy, Debug)]
pub struct Situation {
    pub name: &'static str,
    place: Place,
    /// Said by the channel's operator, who is an IRC operator too; `{channel}` and `{nick}` are filled in.
    lines: &'static [&'static str],
    doing: Doing,
    words: Words,
}

/// Whether the one who acts is in the channel before the operator makes it hard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Outside,
    Inside,
}

/// What somebody does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    Join {
        channel: String,
    },
    Say {
        channel: String,
        text: String,
    },
    Nick {
        nick: String,
    },
    Whois {
        nick: String,
    },
    /// A line as it goes to the server.
    Raw {
        line: String,
    },
}

/// A situation made real on one server.
pub struct Scene {
    /// The channel's operator; stays as long as the scene does.
    pub operator: IrcClient,
    pub channel: String,
    /// The nick of the one who acts.
    pub nick: String,
}

#[derive(Clone, Copy, Debug)]
enum Doing {
    Join,
    Say,
    /// The nick; `{operator}` is that of the scene's operator.
    Nick(&'static str),
    Whois(&'static str),
    Raw(&'static str),
}

/// The answer's line from the numeric on; `None` where the situation cannot be had.
#[derive(Clone, Copy, Debug)]
struct Words {
    inspircd: Option<&'static str>,
    ngircd: Option<&'static str>,
    hybrid: Option<&'static str>,
}

/// All of them.
pub fn situations() -> &'static [Situation] {
    SITUATIONS
}

impl Situation {
    /// Whether that server can be brought into this situation.
    pub fn applies_to(&self, kind: IrcdKind) -> bool {
        self.line(kind).is_some()
    }

    /// Whether the one who acts has to be in the channel before [`Situation::prepare`].
    pub fn place(&self) -> Place {
        self.place
    }

    /// An IRC operator who is the first in `channel`, and so its operator.
    pub async fn operator(ircd: &Ircd, channel: &str) -> IrcClient {
        let nick = format!("op{}", channel.trim_start_matches('#').replace('-', ""));
        let mut operator = ircd.operator(&nick).await.client;
        operator.join(channel).await;
        operator
    }

    /// Lets the channel's operator make it so for the client or puppet `nick`; who has to be inside is waited for.
    pub async fn prepare(&self, mut operator: IrcClient, kind: IrcdKind, channel: &str, nick: &str) -> Scene {
        if self.place == Place::Inside {
            operator.wait_member(channel, nick).await;
        }
        let values = [("{channel}", channel), ("{nick}", nick), ("{hold}", hold(kind))];
        for line in self.lines {
            operator.send(&fill(line, &values)).await;
        }
        operator.fence().await;
        Scene { operator, channel: channel.to_owned(), nick: nick.to_owned() }
    }

    /// What is to be done in that scene.
    pub fn act(&self, scene: &Scene) -> Act {
        let (channel, operator) = (scene.channel.clone(), scene.operator.nick.as_str());
        match self.doing {
            Doing::Join => Act::Join { channel },
            Doing::Say => Act::Say { channel, text: "may I?".to_owned() },
            Doing::Nick(nick) => Act::Nick { nick: nick.replace("{operator}", operator) },
            Doing::Whois(nick) => Act::Whois { nick: nick.replace("{operator}", operator) },
            Doing::Raw(line) => Act::Raw { line: line.to_owned() },
        }
    }

    /// The server's answer from the numeric on, as [`IrcLine::words`] gives it; panics where it does
    /// not apply.
    pub fn words(&self, kind: IrcdKind, scene: &Scene) -> String {
        let line = self.line(kind).unwrap_or_else(|| panic!("{} is not to be had on {kind:?}", self.name));
        let values = [
            ("{channel}", scene.channel.as_str()),
            ("{nick}", &scene.nick),
            ("{operator}", &scene.operator.nick),
        ];
        fill(line, &values)
    }

    /// Only the sentence at the end of [`Situation::words`]: what a bridge may repeat to the user.
    pub fn sentence(&self, kind: IrcdKind) -> &'static str {
        let line = self.line(kind).unwrap_or_else(|| panic!("{} is not to be had on {kind:?}", self.name));
        line.split_once(" :").map_or("", |(_, sentence)| sentence)
    }

    fn line(&self, kind: IrcdKind) -> Option<&'static str> {
        match kind {
            IrcdKind::InspIrcd | IrcdKind::Services => self.words.inspircd,
            IrcdKind::NgIrcd => self.words.ngircd,
            IrcdKind::Hybrid => self.words.hybrid,
        }
    }
}

impl Act {
    /// Does it by a plain client; gives everything the server said to it.
    pub async fn by(&self, client: &mut IrcClient) -> Vec<IrcLine> {
        let line = match self {
            Act::Join { channel } => format!("JOIN {channel}"),
            Act::Say { channel, text } => format!("PRIVMSG {channel} :{text}"),
            Act::Nick { nick } => format!("NICK {nick}"),
            Act::Whois { nick } => format!("WHOIS {nick}"),
            Act::Raw { line } => line.clone(),
        };
        client.fence().await;
        client.send(&line).await;
        client.fence().await
    }
}

/// How an operator keeps a nick from everybody; ngIRCd cannot.
fn hold(kind: IrcdKind) -> &'static str {
    match kind {
        IrcdKind::InspIrcd | IrcdKind::Services => "QLINE heldnick 60 :held by staff",
        IrcdKind::Hybrid => "RESV heldnick :held by staff",
        IrcdKind::NgIrcd => "",
    }
}

fn fill(text: &str, values: &[(&str, &str)]) -> String {
    values.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value))
}

const fn all(inspircd: &'static str, ngircd: &'static str, hybrid: &'static str) -> Words {
    Words { inspircd: Some(inspircd), ngircd: Some(ngircd), hybrid: Some(hybrid) }
}

const SITUATIONS: &[Situation] = &[
    Situation {
        name: "join refused by +i",
        place: Place::Outside,
        lines: &["MODE {channel} +i"],
        doing: Doing::Join,
        words: all(
            "473 {nick} {channel} :Cannot join channel (invite only)",
            "473 {nick} {channel} :Cannot join channel (+i) -- Invited users only",
            "473 {nick} {channel} :Cannot join channel (+i)",
        ),
    },
    Situation {
        name: "join refused by +k",
        place: Place::Outside,
        lines: &["MODE {channel} +k sesame"],
        doing: Doing::Join,
        words: all(
            "475 {nick} {channel} :Cannot join channel (incorrect channel key)",
            "475 {nick} {channel} :Cannot join channel (+k) -- Wrong channel key",
            "475 {nick} {channel} :Cannot join channel (+k)",
        ),
    },
    Situation {
        name: "join refused by +l",
        place: Place::Outside,
        lines: &["MODE {channel} +l 1"],
        doing: Doing::Join,
        words: all(
            "471 {nick} {channel} :Cannot join channel (channel is full)",
            "471 {nick} {channel} :Cannot join channel (+l) -- Channel is full, try later",
            "471 {nick} {channel} :Cannot join channel (+l)",
        ),
    },
    Situation {
        name: "join refused by +b",
        place: Place::Outside,
        lines: &["MODE {channel} +b {nick}!*@*"],
        doing: Doing::Join,
        words: all(
            "474 {nick} {channel} :Cannot join channel (you're banned)",
            "474 {nick} {channel} :Cannot join channel (+b) -- You are banned",
            "474 {nick} {channel} :Cannot join channel (+b)",
        ),
    },
    // For those with an account only: `+r` on networks of the Charybdis family, `+R` on these. ngIRCd says it with
    // the numeric of a full channel.
    Situation {
        name: "join refused by +R",
        place: Place::Outside,
        lines: &["MODE {channel} +R"],
        doing: Doing::Join,
        words: all(
            "477 {nick} {channel} :You need to be identified to a registered account to join this channel",
            "471 {nick} {channel} :Cannot join channel (+R) -- Registered users only",
            "477 {nick} {channel} :You need to identify to a registered nick to join that channel.",
        ),
    },
    Situation {
        name: "message refused by +m",
        place: Place::Inside,
        lines: &["MODE {channel} +m"],
        doing: Doing::Say,
        words: all(
            "404 {nick} {channel} :You cannot send messages to this channel whilst the +m (moderated) mode is set.",
            "404 {nick} {channel} :Cannot send to channel",
            "404 {nick} {channel} :Cannot send to channel: channel is moderated (+m)",
        ),
    },
    Situation {
        name: "message refused by +n",
        place: Place::Outside,
        lines: &["MODE {channel} +n"],
        doing: Doing::Say,
        words: all(
            "404 {nick} {channel} :You cannot send external messages to this channel whilst the +n (noextmsg) mode is set.",
            "404 {nick} {channel} :Cannot send to channel",
            "404 {nick} {channel} :Cannot send to channel: external messages are not permitted",
        ),
    },
    Situation {
        name: "message refused by +b",
        place: Place::Inside,
        lines: &["MODE {channel} +b {nick}!*@*"],
        doing: Doing::Say,
        words: all(
            "404 {nick} {channel} :You cannot send messages to this channel whilst banned.",
            "404 {nick} {channel} :Cannot send to channel",
            "404 {nick} {channel} :Cannot send to channel: you are banned (+b)",
        ),
    },
    Situation {
        name: "nick in use",
        place: Place::Outside,
        lines: &[],
        doing: Doing::Nick("{operator}"),
        words: all(
            "433 {nick} {operator} :Nickname is already in use.",
            "433 {nick} {operator} :Nickname already in use",
            "433 {nick} {operator} :Nickname is already in use.",
        ),
    },
    Situation {
        name: "nick illegal",
        place: Place::Outside,
        lines: &[],
        doing: Doing::Nick("9lives"),
        words: all(
            "432 {nick} 9lives :Erroneous Nickname",
            "432 {nick} 9lives :Erroneous nickname",
            "432 {nick} 9lives :Erroneous Nickname",
        ),
    },
    Situation {
        name: "nick held",
        place: Place::Outside,
        lines: &["{hold}"],
        doing: Doing::Nick("heldnick"),
        words: Words {
            inspircd: Some("432 {nick} heldnick :Invalid nickname: held by staff"),
            ngircd: None,
            hybrid: Some("432 {nick} heldnick :held by staff"),
        },
    },
    Situation {
        name: "whois of somebody",
        place: Place::Outside,
        lines: &[],
        doing: Doing::Whois("{operator}"),
        words: all(
            "318 {nick} {operator} :End of /WHOIS list.",
            "318 {nick} {operator} :End of WHOIS list",
            "318 {nick} {operator} :End of /WHOIS list.",
        ),
    },
    Situation {
        name: "whois of nobody",
        place: Place::Outside,
        lines: &[],
        doing: Doing::Whois("nosuchnick"),
        words: all(
            "401 {nick} nosuchnick :No such nick",
            "401 {nick} nosuchnick :No such nick or channel name",
            "401 {nick} nosuchnick :No such nick/channel",
        ),
    },
    Situation {
        name: "raw command known",
        place: Place::Outside,
        lines: &[],
        doing: Doing::Raw("AWAY :at lunch"),
        words: all(
            "306 {nick} :You have been marked as being away",
            "306 {nick} :You have been marked as being away",
            "306 {nick} :You have been marked as being away",
        ),
    },
    Situation {
        name: "raw command unknown",
        place: Place::Outside,
        lines: &[],
        doing: Doing::Raw("NOSUCH thing"),
        words: all(
            "421 {nick} NOSUCH :Unknown command",
            "421 {nick} NOSUCH :Unknown command",
            "421 {nick} NOSUCH :Unknown command",
        ),
    },
];
