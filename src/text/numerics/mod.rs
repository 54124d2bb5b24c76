//! What servers answer, in words for people: numerics of all server families and IRCv3 standard replies.
//!
//! One table, cut by subject: `channels`, `people`, `network`, `replies`. A row points to a *case*, a situation
//! with one sentence, so that one situation reads alike on each server, whatever its number there. Where a number
//! has several meanings the server's text decides (`by_text`). Nothing here panics on any parameters, and no text
//! of a server reaches a person uncleaned or without bound.
//!
//! Parameters are those of the line as it came: for a numeric our own nick first, for a standard reply the
//! command and the code first.

mod by_text;
mod cases;
mod channels;
mod network;
mod people;
mod replies;
#[cfg(test)]
mod tests;

use self::cases::Case;
use super::irc_codes;
use super::line::{self, Line};

/// Longest sentence, in characters.
pub const SENTENCE_CHARS_MAX: usize = 300;

/// How much of a channel, nick or command is shown, in characters.
const NAME_CHARS_MAX: usize = 50;

/// Before and behind what the server says itself.
const QUOTE: (&str, &str) = (" (it says: ", ").");

/// What a numeric or standard reply means.
#[derive(Clone, Copy, Debug)]
pub struct Meaning {
    /// Three digits, or the code of a standard reply.
    pub code: &'static str,
    /// What is wrong; see [`trouble`] for numbers whose text has to be read.
    pub trouble: Trouble,
    /// Commands that it can answer; empty: any.
    pub answers: &'static [&'static str],
    /// The parameter that names what it is about (channel, nick, command), counted from 0 after our own nick, or
    /// after the command and code of a standard reply.
    pub about: Option<usize>,
    /// The sentence. `[x]` is what it is about, or `x` where the server names nothing; `<x>` is the name behind
    /// that; `$NETWORK` is the network.
    pub words: &'static str,
    /// Whether the server's own words are added.
    pub says: Says,
}

/// Whether a server's own words tell more than the sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Says {
    Quiet,
    Quoted,
}

/// What is wrong, as far as anything depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Trouble {
    /// By a channel: join or speech.
    Banned,
    InviteOnly,
    KeyNeeded,
    ChannelFull,
    /// Somebody who is logged in to services would not have met it.
    NeedsAccount,
    NeedsTls,
    /// Voice is wanted.
    Moderated,
    /// A channel refused a message and the server does not say why.
    CannotSpeak,
    /// We are not in the channel.
    NotInChannel,
    /// Somebody else is not in the channel.
    TheyAreNotInChannel,
    NoSuchNick,
    NoSuchChannel,
    NoSuchServer,
    NickTaken,
    NickIllegal,
    /// Kept for its owner or after a split.
    NickHeld,
    /// Our nick cannot change now.
    NickStuck,
    /// No channel can have this name, or nobody may use it.
    ChannelForbidden,
    /// The channel sends us to another one.
    Forwarded,
    /// Wait, then try again.
    TooFast,
    TooManyChannels,
    TooManyTargets,
    /// A ban list, MONITOR list, … is full.
    ListFull,
    TooLong,
    /// The text of a message is refused.
    Filtered,
    /// Its formatting codes are.
    NoFormatting,
    /// A person does not take messages, from us or as things are.
    Unwanted,
    /// Rank in a channel is wanted.
    NotOperator,
    /// Only for the network's staff.
    StaffOnly,
    NotAllowed,
    UnknownCommand,
    /// A parameter is missing.
    Incomplete,
    /// A parameter is wrong.
    BadValue,
    /// It was so before.
    AlreadyDone,
    NotRegistered,
    WrongPassword,
    /// The whole network wants us away: never come back by ourselves.
    NetworkBan,
    LoginFailed,
    /// A login ended for another reason than the password.
    LoginBroken,
    /// Services or a part of the server are away.
    Unavailable,
    /// News, no trouble.
    Fine,
    Other,
}

/// What a code means on servers in general; `None` when it is not known here.
pub fn meaning(code: &str) -> Option<&'static Meaning> {
    let tables = [channels::TABLE, people::TABLE, network::TABLE, replies::TABLE];
    tables.into_iter().flatten().find(|meaning| meaning.code == code)
}

/// The code of a line: its numeric, or the code of a FAIL, WARN or NOTE. `None` for other lines.
pub fn code(line: &Line) -> Option<&str> {
    let is_numeric = line.command.len() == 3 && line.command.bytes().all(|byte| byte.is_ascii_digit());
    let is_standard = matches!(line.command.as_str(), "FAIL" | "WARN" | "NOTE");
    if is_standard { line.params.get(1).map(String::as_str) } else { is_numeric.then_some(&line.command) }
}

/// What is wrong, after reading the text where the code alone does not tell; `None` for an unknown code.
pub fn trouble(code: &str, params: &[String]) -> Option<Trouble> {
    let meaning = meaning(code)?;
    let answer = Answer::new(code, params, meaning.about);
    Some(by_text::case(code, answer.about(meaning), answer.text).map_or(meaning.trouble, |case| case.trouble))
}

/// One sentence for a person, with what to do next: at most [`SENTENCE_CHARS_MAX`] characters, ends with a full
/// stop. `network` is what people call the network. An unknown code is shown as it came.
pub fn sentence(code: &str, params: &[String], network: &str) -> String {
    let meaning = meaning(code);
    let answer = Answer::new(code, params, meaning.and_then(|meaning| meaning.about));
    let Some(meaning) = meaning else { return unknown(code, answer.args) };
    let about = answer.about(meaning);
    let (words, says) = match by_text::case(code, about, answer.text) {
        Some(case) => (case.words, case.says),
        None => (meaning.words, meaning.says),
    };
    let name = |text: &str| shown(text, NAME_CHARS_MAX);
    let body = fill(words, about.map(name), answer.behind(meaning).map(name), &name(network));
    match says {
        Says::Quiet => body,
        Says::Quoted => quoted(body, answer.text),
    }
}

/// The parameters of an answer, taken apart.
struct Answer<'a> {
    /// All of the line, for servers that leave our nick out.
    params: &'a [String],
    /// Without our nick, or the command and code.
    args: &'a [String],
    /// Those before the text.
    names: &'a [String],
    /// What the server says; empty when it says nothing.
    text: &'a str,
}

impl<'a> Answer<'a> {
    fn new(code: &str, params: &'a [String], about: Option<usize>) -> Self {
        let is_standard = !code.starts_with(|c: char| c.is_ascii_digit());
        let front = match params {
            // These name their subcommand before what they are about.
            [command, ..] if is_standard && matches!(command.as_str(), "CHATHISTORY" | "WEBPUSH") => 3,
            _ if is_standard => 2,
            _ => 1,
        };
        let args = params.get(front..).unwrap_or_default();
        // A word alone may be the name, from a server that says nothing more.
        let is_name =
            |last: &str| is_channel(last) || (args.len() == 1 && about.is_some() && !last.contains(' '));
        match args.split_last() {
            Some((last, names)) if !is_name(last) => Self { params, args, names, text: last },
            Some(_) | None => Self { params, args, names: args, text: "" },
        }
    }

    /// What the answer is about, if it says so in any way.
    fn about(&self, meaning: &Meaning) -> Option<&'a str> {
        let index = meaning.about?;
        let named = self.names.get(index).map(String::as_str).filter(|name| !matches!(*name, "" | "*"));
        // Ergo leaves our nick out in some, UnrealIRCd puts the channel into the text.
        let elsewhere = || self.params.iter().map(String::as_str).find(|param| is_channel(param));
        named.or_else(elsewhere).or_else(|| channel_in(self.text))
    }

    /// The name behind that one.
    fn behind(&self, meaning: &Meaning) -> Option<&'a str> {
        let name = self.names.get(meaning.about? + 1)?;
        (!name.is_empty()).then_some(name)
    }
}

fn is_channel(text: &str) -> bool {
    text.starts_with(['#', '&', '+', '!']) && text.len() > 1 && !text.contains(' ')
}

/// The first channel named inside a text.
fn channel_in(text: &str) -> Option<&str> {
    let word = text.split(' ').find(|word| word.starts_with('#') && word.len() > 1)?;
    Some(word.split('(').next().unwrap_or(word).trim_end_matches(['.', ',', ':', '!', ')', ';']))
}

/// Puts names into words; see [`Meaning::words`].
fn fill(words: &str, about: Option<String>, behind: Option<String>, network: &str) -> String {
    let mut out = String::new();
    let mut rest = words;
    while let Some(at) = rest.find(['[', '<', '$']) {
        let (before, sign) = rest.split_at(at);
        out.push_str(before);
        let (name, close) = match sign.as_bytes()[0] {
            b'[' => (about.as_deref(), ']'),
            b'<' => (behind.as_deref(), '>'),
            _ => (Some(network), 'K'),
        };
        let (inside, after) = sign[1..].split_once(close).expect("each sign in the table is closed");
        match name.filter(|name| !name.is_empty()) {
            Some(name) => out.push_str(name),
            None if out.is_empty() => out.push_str(&capital(inside)),
            None => out.push_str(inside),
        }
        rest = after;
    }
    out + rest
}

fn capital(text: &str) -> String {
    let mut out = text.to_owned();
    out[..1].make_ascii_uppercase();
    out
}

/// Adds what the server says itself, when that is more than its usual phrase.
fn quoted(body: String, text: &str) -> String {
    let room = SENTENCE_CHARS_MAX.saturating_sub(body.chars().count() + QUOTE.0.len() + QUOTE.1.len());
    let text = shown(by_text::reason(text), room);
    let text = text.trim_end_matches(['.', ' ']);
    if text.is_empty() {
        return body;
    }
    format!("{}{}{text}{}", body.trim_end_matches('.'), QUOTE.0, QUOTE.1)
}

/// An answer that means nothing here, as it came.
fn unknown(code: &str, args: &[String]) -> String {
    let front = format!("The server answered {}", shown(code, NAME_CHARS_MAX));
    let room = SENTENCE_CHARS_MAX - front.chars().count() - 3;
    let text = shown(&args.join(" "), room);
    let text = text.trim_end_matches(['.', ' ']);
    if text.is_empty() { format!("{front}.") } else { format!("{front}: {text}.") }
}

/// A server's text, fit to be shown: one line, no codes, no characters that hide or turn others around, at most
/// `chars_max` characters, with `…` where it is cut.
fn shown(text: &str, chars_max: usize) -> String {
    let hidden = |c: &char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    let plain = line::clean(&irc_codes::strip(text));
    let kept: String = plain.chars().filter(|c| !c.is_control() && !hidden(c)).collect();
    let words = kept.split_whitespace().collect::<Vec<_>>().join(" ");
    if words.chars().count() <= chars_max {
        return words;
    }
    let mut cut: String = words.chars().take(chars_max.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

/// A row of the table.
const fn row(
    code: &'static str,
    case: Case,
    about: Option<usize>,
    answers: &'static [&'static str],
) -> Meaning {
    Meaning { code, trouble: case.trouble, answers, about, words: case.words, says: case.says }
}
