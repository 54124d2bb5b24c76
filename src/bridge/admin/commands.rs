//! A command's way: read, allowed, asked of a network or the database, answered.

use super::{ANSWER_MS_MAX, Admin, AdminEffect, OPEN_MAX, OPEN_OF_ONE_MAX, Place, words};
use crate::bridge::command::reply::Reply;
use crate::bridge::command::tell::{Came, Told, counted};
use crate::bridge::command::{self, Act, Command, Keeping, Kept, Scope, Spoken, UpkeepReport, Words};
use crate::bridge::errand::{Errand, Report};
use crate::bridge::input::{AskId, Before, BodyKind, MessageBody, Relation};
use crate::bridge::policy::Permission;
use crate::ids::{EventId, InboxSeq, NetworkId, RoomId, Time, UserId};

/// What begins a command in a bridged room.
const PREFIX: &str = "!irc";

/// A command as it was given: where, by whom.
#[derive(Clone, Copy, Debug)]
pub(super) struct Given<'a> {
    pub seq: InboxSeq,
    pub room: &'a RoomId,
    pub event: &'a EventId,
    pub user: &'a UserId,
    /// Where its answer goes, when it is not for those of the room.
    pub apart: Option<&'a RoomId>,
}

/// A command whose answer is waited for.
#[derive(Debug)]
pub(super) struct Open {
    seq: InboxSeq,
    room: RoomId,
    event: EventId,
    user: UserId,
    command: &'static Command,
    network: Option<NetworkId>,
    stage: Stage,
    apart: Option<RoomId>,
    pub until: Time,
}

/// Where a command is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Where<'a> {
    /// In somebody's admin room.
    Alone,
    /// In a room with others, of this network where it is bridged.
    Among(Option<&'a NetworkId>),
}

impl<'a> Where<'a> {
    fn network(self) -> Option<&'a NetworkId> {
        match self {
            Self::Alone => None,
            Self::Among(network) => network,
        }
    }
}

#[derive(Debug)]
enum Stage {
    /// Which channel the room has is asked first; the words wait.
    Here(String),
    Act(Act),
}

/// What a message in a bridged room is as a command: what stands behind `!irc`.
pub fn in_room(text: &str) -> Option<&str> {
    let text = text.trim_start();
    let (_, rest) =
        text.split_at_checked(PREFIX.len()).filter(|(sign, _)| sign.eq_ignore_ascii_case(PREFIX))?;
    (rest.is_empty() || rest.starts_with(char::is_whitespace)).then(|| rest.trim())
}

/// True for what makes an admin room of a direct chat that the bot is in already.
pub fn is_call(text: &str) -> bool {
    text.trim().eq_ignore_ascii_case("!help")
}

impl Admin {
    /// Somebody said something.
    #[expect(clippy::too_many_arguments, reason = "the parts of one event")]
    pub(super) fn message(
        &mut self,
        seq: InboxSeq,
        (room, event): (&RoomId, &EventId),
        sender: &UserId,
        body: &MessageBody,
        relation: &Relation,
        before: Before,
        place: &Place,
    ) {
        let given = Given { seq, room, event, user: sender, apart: None };
        let is_text = body.kind == BodyKind::Text && body.media.is_none();
        let is_blocked = self.settings.who(sender) == Permission::Blocked;
        if is_blocked || !is_text || matches!(relation, Relation::Edit { .. }) || !self.is_person(sender) {
            return self.settle(seq);
        }
        match place {
            Place::Bridged(network) => self.said_among_others(&given, Some(network), &body.text, before),
            Place::Unbridged => self.said_among_others(&given, None, &body.text, before),
            Place::Private => self.said_in_private(&given, &body.text, before),
        }
    }

    fn said_in_private(&mut self, given: &Given<'_>, text: &str, before: Before) {
        match self.rooms.person(given.room) {
            Some(person) if person == given.user => {}
            Some(_) => return self.settle(given.seq),
            None => {
                if is_call(text) {
                    self.called(given.room, given.user);
                }
                return self.settle(given.seq);
            }
        }
        if before == Before::New && self.dialogs.contains_key(given.room) && self.answers_dialog(given, text)
        {
            return;
        }
        self.spoken(given, text, before, Where::Alone);
    }

    fn said_among_others(
        &mut self,
        given: &Given<'_>,
        network: Option<&NetworkId>,
        text: &str,
        before: Before,
    ) {
        let Some(text) = in_room(text) else { return self.settle(given.seq) };
        let text = if text.is_empty() { "help" } else { text };
        self.spoken(given, text, before, Where::Among(network));
    }

    /// A message that holds a secret by its first word leaves its room, whatever else is wrong with it.
    fn hide_secret(&mut self, given: &Given<'_>, text: &str) {
        let name = text.split_whitespace().next().unwrap_or_default().trim_start_matches(['!', '/']);
        if command::find(name).is_some_and(|command| command.words == Words::Secret) {
            self.hide(given.room, given.event);
        }
    }

    /// A line that is to be a command.
    fn spoken(&mut self, given: &Given<'_>, text: &str, before: Before, here: Where<'_>) {
        self.hide_secret(given, text);
        match self.pace.turn(given.user, self.now) {
            words::Turn::Yours => {}
            words::Turn::TooFast => return self.answer(given, &words::too_fast()),
            words::Turn::Silence => return self.settle(given.seq),
        }
        match command::read(text) {
            Spoken::Command(command, rest) => self.command(given, command, rest, before, here),
            Spoken::Unknown(name) => {
                let guess = words::guess(name, &self.settings, given.user);
                self.answer(given, &guess);
            }
            Spoken::Nothing => self.settle(given.seq),
            Spoken::TooMuch => self.answer(given, &words::too_much()),
        }
    }

    fn command(
        &mut self,
        given: &Given<'_>,
        command: &'static Command,
        rest: &str,
        before: Before,
        place: Where<'_>,
    ) {
        let here = place.network();
        if command.who > self.settings.who(given.user) {
            return self.answer(given, &words::not_allowed(command));
        }
        if place != Where::Alone && command.place == command::Place::AdminRoom {
            let reply = match command.words {
                Words::Secret => words::was_secret(),
                Words::Open => words::elsewhere(command, &self.settings),
            };
            return self.answer(given, &reply);
        }
        let is_harmless = [command::help::HELP.name, command::version::VERSION.name].contains(&command.name);
        if before != Before::New && !is_harmless {
            return self.answer(given, &words::restarted());
        }
        let (network, rest) = match command.scope {
            Scope::Bridge => (None, rest),
            Scope::Network => match self.network_of(rest, here) {
                Some((network, rest)) => (Some(network), rest),
                None => {
                    let reply = words::which_network(command, &self.settings);
                    return self.answer(given, &reply);
                }
            },
        };
        match (here, network) {
            (Some(here), Some(network)) if *here == network => {
                let stage = Stage::Here(rest.to_owned());
                self.open(given, command, Some(network), stage);
            }
            (_, network) => self.read(given, command, network, rest, (place, None)),
        }
    }

    /// The network that a command is about, and the words behind its name.
    fn network_of<'a>(&self, rest: &'a str, here: Option<&NetworkId>) -> Option<(NetworkId, &'a str)> {
        let (word, behind) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        if let Some(network) = self.settings.network(word) {
            return Some((network.id.clone(), behind.trim_start()));
        }
        match (here, self.settings.networks.as_slice()) {
            (Some(here), _) => Some((here.clone(), rest)),
            (None, [only]) => Some((only.id.clone(), rest)),
            (None, _) => None,
        }
    }

    /// Does what a command says. What can be answered at once is.
    pub(super) fn act(&mut self, given: &Given<'_>, name: &str, network: Option<NetworkId>, act: Act) {
        let Some(command) = command::find(name) else { return self.settle(given.seq) };
        match act {
            Act::Help(name) => {
                let who = self.settings.who(given.user);
                let reply = match name.as_deref().map(|name| (name, command::find(name))) {
                    None => command::help::list(who),
                    Some((_, Some(command))) => command::help::of(command),
                    Some((name, None)) => words::unknown(name, &command::near(name, who)),
                };
                self.answer(given, &reply);
            }
            Act::Version => self.answer(given, &command::version::words()),
            Act::Broadcast(text) => {
                let rooms = self.broadcast(&text);
                self.answer(given, &Reply::text(format!("Said in {}.", counted(rooms, "room"))));
            }
            Act::Login(account) => {
                if let Some(network) = network {
                    self.ask_login(given, network, account);
                }
                self.settle(given.seq);
            }
            act @ (Act::Errand(_) | Act::Page { .. } | Act::Keep(_) | Act::Upkeep(_)) => {
                self.open(given, command, network, Stage::Act(act))
            }
        }
    }

    /// Asks, and waits for the answer.
    fn open(
        &mut self,
        given: &Given<'_>,
        command: &'static Command,
        network: Option<NetworkId>,
        stage: Stage,
    ) {
        let of_one = self.open.values().filter(|open| open.user == *given.user).count();
        if self.open.len() >= OPEN_MAX || of_one >= OPEN_OF_ONE_MAX {
            return self.answer(given, &words::too_many());
        }
        let ask = AskId(self.next_ask);
        let Some(asked) = asked(ask, given, network.as_ref(), &stage) else {
            return self.settle(given.seq);
        };
        self.next_ask += 1;
        self.out.push(asked);
        let Given { seq, room, event, user, apart } = *given;
        let (room, event, user, apart) = (room.clone(), event.clone(), user.clone(), apart.cloned());
        let until = self.now.plus_ms(ANSWER_MS_MAX);
        self.open.insert(ask, Open { seq, room, event, user, command, network, stage, apart, until });
    }

    /// A network has answered.
    pub(super) fn reported(&mut self, ask: AskId, report: &Report) {
        let Some(open) = self.open.remove(&ask) else { return };
        match (&open.stage, report) {
            (Stage::Here(rest), Report::Here(here)) => {
                let given = open.given();
                self.read(
                    &given,
                    open.command,
                    open.network.clone(),
                    rest,
                    (Where::Among(None), here.as_deref()),
                );
            }
            // Whatever it is, it is no place: the words have to do without.
            (Stage::Here(rest), _) => {
                let given = open.given();
                self.read(&given, open.command, open.network.clone(), rest, (Where::Among(None), None));
            }
            (Stage::Act(_), report) => self.tell(&open, Came::Report(report)),
        }
    }

    /// The database has answered.
    pub(super) fn kept(&mut self, ask: AskId, kept: &Kept) {
        let Some(open) = self.open.remove(&ask) else { return };
        let is_certificate = open.command.name == "certfp";
        match (&open.stage, kept) {
            // Its account is kept; now the certificate itself.
            (Stage::Act(Act::Keep(Keeping::Account(_))), Kept::Done) if is_certificate => {
                let act = Act::Keep(Keeping::Certificate);
                self.act(&open.given(), open.command.name, open.network.clone(), act);
            }
            _ => self.tell(&open, Came::Kept(kept)),
        }
    }

    /// The bridge has answered.
    pub(super) fn upkept(&mut self, ask: AskId, report: &UpkeepReport) {
        let Some(open) = self.open.remove(&ask) else { return };
        self.tell(&open, Came::Upkept(report));
    }

    fn tell(&mut self, open: &Open, came: Came<'_>) {
        let Stage::Act(act) = &open.stage else { return self.settle(open.seq) };
        let network = open.network.as_ref().map_or("", |id| self.settings.name(id));
        let ears = self.ears(&open.given());
        let reply = (open.command.tell)(&Told { act, came, network, now: self.now, ears });
        self.answer(&open.given(), &reply);
    }

    /// Those that waited for too long are told so.
    pub(super) fn commands_due(&mut self) {
        let now = self.now;
        let late: Vec<AskId> =
            self.open.iter().filter(|(_, open)| open.until <= now).map(|(ask, _)| *ask).collect();
        for ask in late {
            let Some(open) = self.open.remove(&ask) else { continue };
            self.answer(&open.given(), &words::no_answer());
        }
    }

    /// What somebody asked in a room that is theirs no more is answered to nobody: others may be there.
    pub(super) fn drop_open(&mut self, room: &RoomId) {
        let asked: Vec<AskId> =
            self.open.iter().filter(|(_, open)| open.room == *room).map(|(ask, _)| *ask).collect();
        for ask in asked {
            if let Some(open) = self.open.remove(&ask) {
                self.settle(open.seq);
            }
        }
    }

    pub(super) fn answer(&mut self, given: &Given<'_>, reply: &Reply) {
        self.say_to_whom_it_is_for(given, reply);
        self.settle(given.seq);
    }

    /// Takes a message with a secret out of its room.
    pub(super) fn hide(&mut self, room: &RoomId, event: &EventId) {
        self.out.push(AdminEffect::Hide { room: room.clone(), event: event.clone() });
    }

    pub(super) fn hidden(&mut self, room: &RoomId, event: &EventId, result: Result<(), String>) {
        if result.is_err() {
            self.say(room, Some(event), &words::not_hidden());
        }
    }
}

/// Whom a command asks for what; `None` for what waits for nobody.
fn asked(ask: AskId, given: &Given<'_>, network: Option<&NetworkId>, stage: &Stage) -> Option<AdminEffect> {
    let user = given.user.clone();
    let to = |errand| Some(AdminEffect::Ask { ask, network: network?.clone(), user: user.clone(), errand });
    match stage {
        Stage::Here(_) => to(Errand::Here(given.room.clone())),
        Stage::Act(Act::Errand(errand) | Act::Page { errand, .. }) => to(errand.clone()),
        Stage::Act(Act::Keep(keeping)) => {
            Some(AdminEffect::Keep { ask, network: network?.clone(), user, keeping: keeping.clone() })
        }
        Stage::Act(Act::Upkeep(upkeep)) => Some(AdminEffect::Upkeep { ask, upkeep: *upkeep }),
        Stage::Act(Act::Help(_) | Act::Version | Act::Login(_) | Act::Broadcast(_)) => None,
    }
}

impl Open {
    fn given(&self) -> Given<'_> {
        let apart = self.apart.as_ref();
        Given { seq: self.seq, room: &self.room, event: &self.event, user: &self.user, apart }
    }
}
