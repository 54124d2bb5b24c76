//! One question: a line that went to the server, who wants to know what became of it, and what came back so far.

use crate::bridge::effect::{CommandAnswer, Extent, Refusal, Verdict};
use crate::bridge::input::{AskId, BodyKind};
use crate::bridge::session::replies;
use crate::bridge::session::send::Part;
use crate::ids::{ChannelName, InboxSeq, Nick, RoomId, Target, Time};
use crate::text::casemap::CaseMap;
use crate::text::line::Line;

/// Lines kept of the answer to a command, and their bytes; what comes on top is left out, and the answer marked.
pub const ANSWER_LINES_MAX: usize = 512;
pub const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Names of a command that a reply may be about, at most.
const TARGETS_MAX: usize = 16;

/// Who asks, and about what.
#[derive(Clone, Debug)]
pub enum Asker {
    /// A line of a message.
    Line(Part),
    /// Somebody on IRC was told something by us.
    Notice(Nick),
    /// One JOIN line, with the channels that have no answer yet.
    Join(Vec<ChannelName>),
    /// What follows our own JOIN's echo: topic and names.
    Listing(ChannelName),
    Part(ChannelName),
    /// Another nick for us.
    Nick(Nick),
    Names(ChannelName),
    /// What the topic is.
    TopicRead(ChannelName),
    /// Another topic.
    Topic(ChannelName),
    /// Modes of our own, under this nick.
    Modes(Nick),
    /// Somebody who gets the whole answer.
    Command(Box<Command>),
    /// Somebody is to come into a channel.
    Invite(ChannelName, Nick),
    /// What the modes of a channel are.
    ModesRead(ChannelName),
    /// What somebody of Matrix wants done in a channel.
    Deed(Box<Deed>),
}

/// What somebody wants done in a channel, to somebody else there or to the channel itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deed {
    /// By which whoever waits for its answer knows it.
    pub number: u64,
    /// KICK or MODE.
    pub command: &'static str,
    pub channel: ChannelName,
    /// Who is put out, where somebody is.
    pub kicks: Option<Nick>,
    /// The mask that is set or taken back; empty for none.
    pub mask: String,
}

impl Asker {
    /// The IRC command of the line.
    pub fn command(&self) -> &str {
        match self {
            Self::Line(part) if part.saying.kind == BodyKind::Notice => "NOTICE",
            Self::Line(_) => "PRIVMSG",
            Self::Notice(_) => "NOTICE",
            Self::Join(_) | Self::Listing(_) => "JOIN",
            Self::Part(_) => "PART",
            Self::Nick(_) => "NICK",
            Self::Names(_) => "NAMES",
            Self::TopicRead(_) | Self::Topic(_) => "TOPIC",
            Self::Modes(_) | Self::ModesRead(_) => "MODE",
            Self::Command(command) => &command.command,
            Self::Invite(..) => "INVITE",
            Self::Deed(deed) => deed.command,
        }
    }

    /// True when the line named `word`.
    pub fn is_about(&self, word: &str, map: CaseMap) -> bool {
        let is_nick = |nick: &Nick| map.eq(nick.as_str(), word);
        let is_channel = |channel: &ChannelName| map.eq(channel.as_str(), word);
        match self {
            Self::Line(part) => map.eq(part.saying.target.as_str(), word),
            Self::Join(channels) => channels.iter().any(is_channel),
            Self::Listing(channel)
            | Self::Part(channel)
            | Self::Names(channel)
            | Self::TopicRead(channel)
            | Self::ModesRead(channel)
            | Self::Topic(channel) => is_channel(channel),
            Self::Deed(deed) => {
                is_channel(&deed.channel)
                    || deed.kicks.as_ref().is_some_and(is_nick)
                    || map.eq(&deed.mask, word)
            }
            Self::Notice(nick) | Self::Nick(nick) | Self::Modes(nick) => is_nick(nick),
            Self::Command(command) => command.targets.iter().any(|target| map.eq(target, word)),
            Self::Invite(channel, nick) => is_channel(channel) || is_nick(nick),
        }
    }

    /// The message that the line is a part of.
    pub fn message(&self) -> Option<InboxSeq> {
        self.line().map(|part| part.saying.seq)
    }

    /// The part of a message that the line is.
    pub fn line(&self) -> Option<&Part> {
        if let Self::Line(part) = self { Some(part) } else { None }
    }

    /// The command whose whole answer is wanted.
    pub fn as_command(&self) -> Option<&Command> {
        if let Self::Command(command) = self { Some(command) } else { None }
    }

    pub fn as_command_mut(&mut self) -> Option<&mut Command> {
        if let Self::Command(command) = self { Some(command) } else { None }
    }
}

/// Who gave a command, and gets its whole answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Giver {
    /// Somebody outside the machine.
    Outside(AskId),
    /// The machine itself, to learn why this channel took no message.
    Reason(ChannelName),
    /// The machine itself, for the deed of this number.
    Deed(u64),
    /// The machine itself, to learn whether somebody may give the command that has this number.
    Rank(u64),
    /// The machine itself, to learn who of this channel can be asked whether it may be bridged.
    Operators(ChannelName),
    /// The machine itself, to learn whether this channel lets that question in.
    Asked(ChannelName),
    /// The machine itself, to learn who is banned in this channel.
    Bans(ChannelName),
    /// An errand, to learn who are operators of the channel that it is about.
    Plumb(AskId),
    /// The machine itself, to learn whether this channel lets the question in whether this room may be bridged with it.
    AskedAbout(ChannelName, RoomId),
}

/// A line whose whole answer is wanted, and what came back so far.
#[derive(Clone, Debug)]
pub struct Command {
    pub giver: Giver,
    command: String,
    /// Names in it that a reply may be about.
    targets: Vec<String>,
    params: usize,
    lines: Vec<Line>,
    bytes: usize,
    extent: Extent,
    pub refusal: Option<Refusal>,
}

impl Command {
    pub fn new(giver: Giver, line: &Line) -> Self {
        // What is said to somebody is no name.
        let is_speech = matches!(line.command.as_str(), "PRIVMSG" | "NOTICE" | "TAGMSG");
        let named = if is_speech { 1 } else { line.params.len() };
        let params = line.params.iter().take(named);
        // `@#chan`: some servers refuse it under the channel's name.
        let bare = params.clone().filter(|_| is_speech).filter_map(|param| param.strip_prefix(['@', '%']));
        let lists = params.clone().filter(|param| param.contains(',')).flat_map(|param| param.split(','));
        Self {
            giver,
            command: line.command.clone(),
            targets: params
                .map(String::as_str)
                .chain(lists)
                .chain(bare)
                .take(TARGETS_MAX)
                .map(str::to_owned)
                .collect(),
            params: line.params.len(),
            lines: Vec::new(),
            bytes: 0,
            extent: Extent::Whole,
            refusal: None,
        }
    }

    /// Keeps a line of the answer.
    pub fn collect(&mut self, line: &Line) {
        let params: usize = line.params.iter().map(|param| param.len() + 1).sum();
        let bytes = self.bytes + line.command.len() + params;
        if self.lines.len() >= ANSWER_LINES_MAX || bytes > ANSWER_BYTES_MAX {
            self.extent = Extent::Cut;
            return;
        }
        self.bytes = bytes;
        self.lines.push(line.clone());
    }

    /// Names in it that a reply may be about.
    pub fn targets(&self) -> &[String] {
        &self.targets
    }

    /// True when another server may answer it.
    pub fn is_remote(&self) -> bool {
        replies::is_remote(&self.command, self.params)
    }

    /// True when nothing of its answer comes after `code`.
    pub fn ends_with(&self, code: &str) -> bool {
        if self.is_remote() {
            replies::ends_remote(code, &self.command)
        } else {
            replies::ends(code, &self.command)
        }
    }

    /// Takes what came back; what comes later is nobody's.
    pub fn take(&mut self) -> Self {
        let (lines, refusal) = (std::mem::take(&mut self.lines), self.refusal.take());
        Self { lines, refusal, targets: Vec::new(), ..self.clone() }
    }

    /// The answer, with `verdict` where nothing was refused.
    pub fn into_answer(self, verdict: Verdict) -> CommandAnswer {
        let verdict = self.refusal.map_or(verdict, Verdict::Refused);
        CommandAnswer { verdict, lines: self.lines, extent: self.extent }
    }
}

/// What ends a question that nothing else has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The labelled answer (IRCv3 "Labeled Responses").
    Label,
    /// The PONG of the next fence.
    Fence,
    /// The last numeric of another server.
    End,
}

/// Whether whoever asked knows the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    No,
    /// The question stays only so that what the server still says to it is not taken for an answer to another.
    Yes,
}

/// A question that the server has not finished with.
#[derive(Debug)]
pub struct Question {
    /// Its place among all that was asked on this connection; its label.
    pub number: u64,
    pub sent: Time,
    pub asker: Asker,
    pub proof: Proof,
    pub told: Told,
    /// A refusal of this line, or of another like it.
    pub noted: Option<Box<Refusal>>,
}

impl Question {
    /// True unless the server has taken it already.
    pub fn can_be_refused(&self) -> bool {
        !matches!(self.asker, Asker::Listing(_) | Asker::TopicRead(_) | Asker::ModesRead(_))
    }

    /// True when this was a line of `command`, in any letter case, and can be refused.
    pub fn is_of(&self, command: &str) -> bool {
        self.can_be_refused() && self.asker.command().eq_ignore_ascii_case(command)
    }

    /// True when the reply `code` can be one to this line.
    pub fn can_get(&self, code: &str) -> bool {
        let may = self.can_be_refused() || !replies::is_trouble(code);
        may && self.noted.is_none() && replies::answers(code, self.asker.command())
    }

    /// True for a part of a message to this channel or person that went without a label.
    pub fn is_line_to(&self, target: &Target) -> bool {
        self.proof != Proof::Label && self.asker.line().is_some_and(|part| part.saying.target == *target)
    }

    /// As [`is_line_to`](Self::is_line_to), of a channel.
    pub fn is_line_in(&self, channel: &ChannelName) -> bool {
        let part = self.asker.line().filter(|_| self.proof != Proof::Label);
        part.is_some_and(|part| part.saying.target.is_channel(channel))
    }

    /// True for an untold question whose whole answer is kept.
    pub fn is_open_command(&self) -> bool {
        self.told == Told::No && self.asker.as_command().is_some()
    }
}

/// What became of a question.
#[derive(Debug)]
pub struct Answered {
    pub asker: Asker,
    pub verdict: Verdict,
}
