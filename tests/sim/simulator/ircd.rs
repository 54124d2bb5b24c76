//! A model IRC server: pure, one total order, honest. It knows clients by number and says what each is told.
//!
//! It never closes anything itself: the world kills clients and tells it.

use std::collections::{BTreeMap, BTreeSet};

use bunraku::text::line::Line;

pub type ClientId = u32;

#[derive(Default)]
pub struct Ircd {
    pub clients: BTreeMap<ClientId, Client>,
    pub channels: BTreeMap<String, Room>,
    /// What the clients are told, in order.
    pub told: Vec<(ClientId, String)>,
    /// What channels were told by clients, in order.
    pub said: Vec<Said>,
    /// What was not taken, by whom, in order.
    pub refused: Vec<(ClientId, String)>,
}

#[derive(Default)]
pub struct Client {
    pub nick: Option<String>,
    /// What stands before the `@`: the same for all connections of one person.
    user: String,
    pub welcome: bool,
}

#[derive(Default)]
pub struct Room {
    pub members: BTreeSet<ClientId>,
    /// The numeric that who asks to join gets.
    pub refuses: Option<u16>,
    pub moderated: bool,
}

#[derive(Clone, Debug)]
pub struct Said {
    pub by: ClientId,
    pub text: String,
}

impl Ircd {
    pub fn connect(&mut self, id: ClientId) {
        self.clients.insert(id, Client::default());
    }

    fn tell(&mut self, id: ClientId, line: String) {
        self.told.push((id, line));
    }

    fn nick(&self, id: ClientId) -> String {
        self.clients.get(&id).and_then(|client| client.nick.clone()).unwrap_or_else(|| "*".into())
    }

    fn source(&self, id: ClientId) -> String {
        let ident = self.clients.get(&id).map_or("", |client| client.user.as_str());
        format!(":{}!{ident}@host", self.nick(id))
    }

    pub fn holder(&self, nick: &str) -> Option<ClientId> {
        let same = |client: &Client| client.nick.as_deref().is_some_and(|n| n.eq_ignore_ascii_case(nick));
        self.clients.iter().find(|(_, client)| same(client)).map(|(id, _)| *id)
    }

    pub fn is_in(&self, id: ClientId, channel: &str) -> bool {
        self.channels.get(channel).is_some_and(|room| room.members.contains(&id))
    }

    fn sharing(&self, id: ClientId) -> BTreeSet<ClientId> {
        let rooms = self.channels.values().filter(|room| room.members.contains(&id));
        rooms.flat_map(|room| room.members.iter().copied()).collect()
    }

    /// The client is no more; everybody who shares a channel hears so.
    pub fn quit(&mut self, id: ClientId, why: &str) {
        if !self.clients.contains_key(&id) {
            return;
        }
        let line = format!("{} QUIT :{why}", self.source(id));
        for other in self.sharing(id).into_iter().filter(|other| *other != id) {
            self.tell(other, line.clone());
        }
        for room in self.channels.values_mut() {
            room.members.remove(&id);
        }
        self.clients.remove(&id);
    }

    pub fn kick(&mut self, id: ClientId, channel: &str) {
        if self.is_in(id, channel) {
            let line = format!(":op!o@h KICK {channel} {} :out", self.nick(id));
            self.tell_room(channel, None, &line);
            self.channels.get_mut(channel).expect("it is in it").members.remove(&id);
        }
    }

    fn tell_room(&mut self, channel: &str, but: Option<ClientId>, line: &str) {
        let members: Vec<ClientId> =
            self.channels.get(channel).map_or(vec![], |room| room.members.iter().copied().collect());
        for id in members.into_iter().filter(|id| Some(*id) != but) {
            self.tell(id, line.to_owned());
        }
    }

    /// One line of a client. `true` when it has said QUIT.
    pub fn take(&mut self, id: ClientId, text: &str) -> bool {
        let (Some(line), true) = (Line::parse(text), self.clients.contains_key(&id)) else { return false };
        let target = line.param(0).to_owned();
        match line.command.as_str() {
            "NICK" => self.take_nick(id, &target),
            "USER" => {
                self.clients.get_mut(&id).expect("known").user = target;
                self.greet(id);
            }
            "PING" => self.tell(id, format!(":srv PONG srv :{target}")),
            "JOIN" => target.split(',').for_each(|channel| self.take_join(id, channel)),
            "PART" if self.is_in(id, &target) => {
                let line = format!("{} PART {target}", self.source(id));
                self.tell_room(&target, None, &line);
                self.channels.get_mut(&target).expect("it is in it").members.remove(&id);
            }
            "PART" => {
                self.tell(id, format!(":srv 442 {} {target} :You're not on that channel", self.nick(id)))
            }
            "NAMES" => self.names(id, &target),
            "WHOIS" => self.whois(id, &target),
            "PRIVMSG" | "NOTICE" => self.take_said(id, &line, &target),
            "QUIT" => return true,
            "MODE" => {}
            other => self.tell(id, format!(":srv 421 {} {other} :Unknown command", self.nick(id))),
        }
        false
    }

    fn take_nick(&mut self, id: ClientId, nick: &str) {
        if self.holder(nick).is_some_and(|other| other != id) {
            return self.tell(id, format!(":srv 433 {} {nick} :Nickname is already in use", self.nick(id)));
        }
        if self.clients[&id].welcome {
            let line = format!("{} NICK :{nick}", self.source(id));
            self.tell(id, line.clone());
            for other in self.sharing(id).into_iter().filter(|other| *other != id) {
                self.tell(other, line.clone());
            }
        }
        self.clients.get_mut(&id).expect("known").nick = Some(nick.to_owned());
        self.greet(id);
    }

    fn greet(&mut self, id: ClientId) {
        let client = self.clients.get_mut(&id).expect("known");
        if client.welcome || client.user.is_empty() || client.nick.is_none() {
            return;
        }
        client.welcome = true;
        let nick = self.nick(id);
        self.tell(id, format!(":srv 001 {nick} :Welcome"));
        self.tell(id, format!(":srv 005 {nick} CASEMAPPING=ascii NICKLEN=12 :are supported"));
        self.tell(id, format!(":srv 376 {nick} :End of MOTD"));
    }

    fn take_join(&mut self, id: ClientId, channel: &str) {
        if !self.clients[&id].welcome || self.is_in(id, channel) {
            return;
        }
        let room = self.channels.entry(channel.to_owned()).or_default();
        if let Some(numeric) = room.refuses {
            return self.tell(id, format!(":srv {numeric} {} {channel} :Cannot join channel", self.nick(id)));
        }
        room.members.insert(id);
        let line = format!("{} JOIN {channel}", self.source(id));
        self.tell_room(channel, None, &line);
        self.names(id, channel);
    }

    fn names(&mut self, id: ClientId, channel: &str) {
        let (nick, inside) = (self.nick(id), self.is_in(id, channel));
        let members =
            self.channels.get(channel).map_or(vec![], |room| room.members.iter().copied().collect());
        let names: Vec<String> = members.into_iter().map(|member| self.nick(member)).collect();
        if inside {
            self.tell(id, format!(":srv 353 {nick} = {channel} :{}", names.join(" ")));
        }
        self.tell(id, format!(":srv 366 {nick} {channel} :End of NAMES"));
    }

    /// Each line of the answer names whom it was about, so that one can tell whose answer it is.
    fn whois(&mut self, id: ClientId, who: &str) {
        let nick = self.nick(id);
        match self.holder(who) {
            Some(_) => self.tell(id, format!(":srv 311 {nick} {who} user host * :{who}")),
            None => self.tell(id, format!(":srv 401 {nick} {who} :No such nick/channel")),
        }
        self.tell(id, format!(":srv 318 {nick} {who} :End of WHOIS"));
    }

    fn take_said(&mut self, id: ClientId, line: &Line, channel: &str) {
        let moderated = self.channels.get(channel).is_some_and(|room| room.moderated);
        if !self.is_in(id, channel) || moderated {
            self.refused.push((id, line.param(1).to_owned()));
            return self.tell(id, format!(":srv 404 {} {channel} :Cannot send to channel", self.nick(id)));
        }
        let text = line.param(1).to_owned();
        let told = format!("{} {} {channel} :{text}", self.source(id), line.command);
        self.tell_room(channel, Some(id), &told);
        self.said.push(Said { by: id, text });
    }
}
