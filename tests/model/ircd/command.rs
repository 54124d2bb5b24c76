//! What the model IRC server does with each command. One function per command that needs more than a line.

use std::sync::Arc;
use std::time::Instant;

use super::state::{CapStage, Channel, Stage, State, Urgency, fold};
use super::{CapAnswer, ChatKind, Pings, Said};

/// Longest NAMES reply line built, in bytes; the limit on the wire is 512.
const NAMES_BYTES_MAX: usize = 480;

impl State {
    /// Performs one line of a connection.
    pub fn perform(&mut self, id: usize, line: &str, at: Instant) {
        let mut rest = line;
        for sign in ['@', ':'] {
            if rest.starts_with(sign) {
                rest = rest.split_once(' ').map_or("", |(_, rest)| rest);
            }
        }
        let (command, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        let registered = self.conn(id).is_some_and(|conn| conn.stage == Stage::Registered);
        match command.to_ascii_uppercase().as_str() {
            "" => {}
            "PRIVMSG" if registered => self.chat(id, ChatKind::Privmsg, rest, at),
            "NOTICE" if registered => self.chat(id, ChatKind::Notice, rest, at),
            command => self.rarer(id, command, &params(rest), registered),
        }
    }

    fn rarer(&mut self, id: usize, command: &str, params: &[&str], registered: bool) {
        let first = params.first().copied().unwrap_or_default();
        let second = params.get(1).copied();
        match command {
            "CAP" => self.cap(id, first),
            "PASS" | "AUTHENTICATE" => {}
            "NICK" => self.nick(id, first),
            "USER" => self.user(id, first),
            "PING" => self.pong(id, first),
            "PONG" => self.pongs += 1,
            "QUIT" => self.close(id, &format!("Quit: {first}")),
            _ if !registered => self.numeric(id, 451, ":You have not registered"),
            "JOIN" => first.split(',').for_each(|name| self.join(id, name)),
            "PART" => first.split(',').for_each(|name| self.part(id, name, second.unwrap_or_default())),
            "KICK" => {
                self.kick(first, second.unwrap_or_default(), params.get(2).copied().unwrap_or("kicked"))
            }
            "NAMES" => self.names(id, first),
            "TOPIC" => self.topic(id, first, second),
            "MODE" => self.mode(id, first, second),
            "WHO" => self.who(id, first),
            "WHOIS" => self.whois(id, second.unwrap_or(first)),
            "LIST" => self.list(id),
            "AWAY" if first.is_empty() => self.numeric(id, 305, ":You are no longer marked as being away"),
            "AWAY" => self.numeric(id, 306, ":You have been marked as being away"),
            "MOTD" => self.numeric(id, 422, ":MOTD File is missing"),
            other => self.numeric(id, 421, &format!("{other} :Unknown command")),
        }
    }

    /// One reply of the server: `:name code nick rest`.
    fn numeric(&mut self, id: usize, code: u16, rest: &str) {
        let Some(conn) = self.conn(id) else { return };
        let nick = conn.nick.clone().unwrap_or_else(|| Arc::from("*"));
        let line = format!(":{} {code:03} {nick} {rest}", self.settings.name);
        self.tell(id, &line, Urgency::Now);
    }

    fn cap(&mut self, id: usize, subcommand: &str) {
        let (name, cap) = (self.settings.name.clone(), self.settings.cap);
        let Some(conn) = self.conn(id) else { return };
        match (cap, subcommand.to_ascii_uppercase().as_str()) {
            (CapAnswer::UnknownCommand, _) => self.numeric(id, 421, "CAP :Unknown command"),
            (CapAnswer::InvalidSubcommand, "LS") => self.numeric(id, 410, "LS :Invalid CAP subcommand"),
            (_, "LS") => {
                if conn.stage != Stage::Registered {
                    conn.stage = Stage::Registering { cap: CapStage::Open };
                }
                self.tell(id, &format!(":{name} CAP * LS :"), Urgency::Now);
            }
            (_, "END") => {
                if conn.stage != Stage::Registered {
                    conn.stage = Stage::Registering { cap: CapStage::None };
                }
                self.welcome(id);
            }
            (_, "LIST") => self.tell(id, &format!(":{name} CAP * LIST :"), Urgency::Now),
            (_, "REQ") => self.tell(id, &format!(":{name} CAP * NAK :"), Urgency::Now),
            (_, other) => self.numeric(id, 410, &format!("{other} :Invalid CAP subcommand")),
        }
    }

    fn nick(&mut self, id: usize, nick: &str) {
        if nick.is_empty() || nick.starts_with(|first: char| first.is_ascii_digit() || first == '-') {
            return self.numeric(id, 432, &format!("{nick} :Erroneous nickname"));
        }
        let folded = fold(nick);
        let taken = self.nicks.get(&folded).is_some_and(|owner| *owner != id)
            || self.channels.values().any(|channel| channel.virtuals.contains(nick));
        if taken {
            return self.numeric(id, 433, &format!("{nick} :Nickname is already in use"));
        }
        let Some(conn) = self.conn(id) else { return };
        let change = format!(":{} NICK :{nick}", conn.prefix());
        let registered = conn.stage == Stage::Registered;
        let old = conn.nick.replace(Arc::from(nick));
        if let Some(old) = old {
            self.nicks.remove(&fold(&old));
        }
        self.nicks.insert(folded, id);
        if registered {
            self.tell(id, &change, Urgency::Now);
            self.tell_neighbours(id, &change);
        } else {
            self.welcome(id);
        }
    }

    fn user(&mut self, id: usize, user: &str) {
        if let Some(conn) = self.conn(id) {
            conn.user = Some(Arc::from(user));
        }
        self.welcome(id);
    }

    /// Ends registration when nothing is missing any more.
    fn welcome(&mut self, id: usize) {
        let Some(conn) = self.conn(id) else { return };
        let ready = conn.stage == Stage::Registering { cap: CapStage::None };
        let (Some(nick), Some(_), true) = (conn.nick.clone(), &conn.user, ready) else { return };
        conn.stage = Stage::Registered;
        self.welcomed.push(Instant::now());
        let name = self.settings.name.clone();
        self.numeric(id, 1, &format!(":Welcome to the model network {nick}"));
        self.numeric(id, 2, &format!(":Your host is {name}, running version model"));
        self.numeric(id, 3, ":This server was created just now");
        self.numeric(id, 4, &format!("{name} model io biklmnopstv"));
        let tokens = "CASEMAPPING=ascii CHANTYPES=# PREFIX=(ov)@+ CHANMODES=b,k,l,imnpst NICKLEN=64 \
                      CHANNELLEN=64 LINELEN=512 NETWORK=Model";
        self.numeric(id, 5, &format!("{tokens} :are supported by this server"));
        self.numeric(id, 422, ":MOTD File is missing");
    }

    fn pong(&mut self, id: usize, token: &str) {
        if self.settings.pings == Pings::Answered {
            let line = format!(":{name} PONG {name} :{token}", name = self.settings.name);
            self.tell(id, &line, Urgency::Now);
        }
    }

    fn chat(&mut self, id: usize, kind: ChatKind, rest: &str, at: Instant) {
        let Some((target, text)) = rest.split_once(' ') else {
            return self.numeric(id, 412, ":No text to send");
        };
        let text = text.strip_prefix(':').unwrap_or(text);
        let Some(conn) = self.conn(id) else { return };
        let Some(nick) = conn.nick.clone() else { return };
        let prefix = conn.prefix();
        self.said.push(Said { nick, target: target.to_owned(), text: text.to_owned(), kind, at });
        let command = if kind == ChatKind::Privmsg { "PRIVMSG" } else { "NOTICE" };
        let line = format!(":{prefix} {command} {target} :{text}");
        let folded = fold(target);
        match self.channels.get(&folded) {
            Some(channel) if channel.members.contains(&id) => {
                self.tell_channel(&folded, Some(id), &line, Urgency::Now);
            }
            Some(_) => self.numeric(id, 404, &format!("{target} :Cannot send to channel")),
            None if target.starts_with('#') => self.numeric(id, 403, &format!("{target} :No such channel")),
            None => match self.nicks.get(&folded) {
                Some(&other) => self.tell(other, &line, Urgency::Now),
                None if kind == ChatKind::Privmsg => {
                    self.numeric(id, 401, &format!("{target} :No such nick/channel"));
                }
                None => {}
            },
        }
    }

    fn join(&mut self, id: usize, name: &str) {
        if !name.starts_with('#') || name.len() < 2 {
            return self.numeric(id, 403, &format!("{name} :No such channel"));
        }
        let folded = fold(name);
        let channel = self.channels.entry(folded.clone()).or_default();
        if channel.name.is_empty() {
            channel.name = name.to_owned();
        }
        if !channel.members.insert(id) {
            return;
        }
        let (shown, topic) = (channel.name.clone(), channel.topic.clone());
        let Some(prefix) = self.conn(id).map(|conn| conn.prefix()) else { return };
        let line = format!(":{prefix} JOIN {shown}");
        self.tell(id, &line, Urgency::Now);
        self.tell_channel(&folded, Some(id), &line, Urgency::Lazy);
        if !topic.is_empty() {
            self.numeric(id, 332, &format!("{shown} :{topic}"));
        }
        self.names(id, name);
    }

    fn part(&mut self, id: usize, name: &str, reason: &str) {
        let folded = fold(name);
        let joined = self.channels.get(&folded).is_some_and(|channel| channel.members.contains(&id));
        if !joined {
            return self.numeric(id, 442, &format!("{name} :You're not on that channel"));
        }
        let Some(prefix) = self.conn(id).map(|conn| conn.prefix()) else { return };
        let line = format!(":{prefix} PART {name} :{reason}");
        self.tell(id, &line, Urgency::Now);
        self.tell_channel(&folded, Some(id), &line, Urgency::Lazy);
        if let Some(channel) = self.channels.get_mut(&folded) {
            channel.members.remove(&id);
        }
    }

    fn names(&mut self, id: usize, name: &str) {
        if let Some(channel) = self.channels.get(&fold(name)) {
            let head = format!("= {} :", channel.name);
            let mut lines = vec![head.clone()];
            for nick in self.nicks_in(channel) {
                let current = lines.last_mut().expect("starts with one line");
                if current.len() + nick.len() > NAMES_BYTES_MAX {
                    lines.push(format!("{head}{nick} "));
                } else {
                    current.push_str(nick);
                    current.push(' ');
                }
            }
            for line in lines {
                self.numeric(id, 353, line.trim_end_matches(' '));
            }
        }
        self.numeric(id, 366, &format!("{name} :End of /NAMES list"));
    }

    fn nicks_in<'a>(&'a self, channel: &'a Channel) -> impl Iterator<Item = &'a str> {
        let members = channel.members.iter().filter_map(|id| self.conns[*id].as_ref()?.nick.as_deref());
        members.chain(channel.virtuals.iter().map(String::as_str))
    }

    fn topic(&mut self, id: usize, name: &str, new: Option<&str>) {
        let folded = fold(name);
        let prefix = self.conn(id).map(|conn| conn.prefix()).unwrap_or_default();
        let Some(channel) = self.channels.get_mut(&folded) else {
            return self.numeric(id, 403, &format!("{name} :No such channel"));
        };
        match new {
            Some(new) => {
                channel.topic = new.to_owned();
                self.tell_channel(&folded, None, &format!(":{prefix} TOPIC {name} :{new}"), Urgency::Now);
            }
            None if channel.topic.is_empty() => self.numeric(id, 331, &format!("{name} :No topic is set")),
            None => {
                let topic = channel.topic.clone();
                self.numeric(id, 332, &format!("{name} :{topic}"));
            }
        }
    }

    fn mode(&mut self, id: usize, target: &str, modes: Option<&str>) {
        if !target.starts_with('#') {
            return self.numeric(id, 221, "+i");
        }
        match modes {
            None => self.numeric(id, 324, &format!("{target} +nt")),
            Some("b" | "+b") => self.numeric(id, 368, &format!("{target} :End of channel ban list")),
            Some(_) => self.numeric(id, 482, &format!("{target} :You're not channel operator")),
        }
    }

    fn who(&mut self, id: usize, name: &str) {
        if let Some(channel) = self.channels.get(&fold(name)) {
            let nicks: Vec<String> = self.nicks_in(channel).map(str::to_owned).collect();
            let server = self.settings.name.clone();
            for nick in nicks {
                self.numeric(id, 352, &format!("{name} {nick} 127.0.0.1 {server} {nick} H :0 {nick}"));
            }
        }
        self.numeric(id, 315, &format!("{name} :End of /WHO list"));
    }

    fn whois(&mut self, id: usize, nick: &str) {
        match self.nicks.get(&fold(nick)) {
            Some(_) => self.numeric(id, 311, &format!("{nick} {nick} 127.0.0.1 * :{nick}")),
            None => self.numeric(id, 401, &format!("{nick} :No such nick/channel")),
        }
        self.numeric(id, 318, &format!("{nick} :End of /WHOIS list"));
    }

    fn list(&mut self, id: usize) {
        let count = |channel: &Channel| channel.members.len() + channel.virtuals.len();
        let shown = |channel: &Channel| format!("{} {} :{}", channel.name, count(channel), channel.topic);
        let lines: Vec<String> = self.channels.values().map(shown).collect();
        for line in lines {
            self.numeric(id, 322, &line);
        }
        self.numeric(id, 323, ":End of /LIST");
    }
}

/// Splits parameters; the one after ` :` takes the rest (RFC 2812 section 2.3.1).
fn params(text: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let mut rest = text.trim_start_matches(' ');
    while !rest.is_empty() {
        if let Some(last) = rest.strip_prefix(':') {
            out.push(last);
            break;
        }
        let (word, after) = rest.split_once(' ').unwrap_or((rest, ""));
        out.push(word);
        rest = after.trim_start_matches(' ');
    }
    out
}
