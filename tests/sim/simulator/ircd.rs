//! A model IRC network: one to three servers that each know what reached them, honest and pure. Clients have numbers.
//!
//! Each server works on its own clients' lines in order and tells the others, over links that keep their order and
//! take their time: so a line and a JOIN on two servers cross, and each server has an order of its own. A link that
//! breaks is a netsplit: each side sees the other quit, and what was on the link is gone; when it is back, each side
//! introduces its clients to the other. Of two clients with one nick the one with the higher number is killed,
//! everywhere. The servers of a network offer the same capabilities: none, labels, echoes, tags.
//!
//! It closes nothing itself: the world takes what is in `closed` and lets links take their time.

use std::collections::{BTreeMap, BTreeSet};

use bunraku::text::line::Line;

pub type ClientId = u32;

/// What passes over a link.
#[derive(Clone, Debug)]
pub enum News {
    Client {
        id: ClientId,
        nick: String,
        user: String,
    },
    Nick {
        id: ClientId,
        nick: String,
    },
    Join {
        id: ClientId,
        channel: String,
    },
    Part {
        id: ClientId,
        channel: String,
    },
    Kick {
        id: ClientId,
        channel: String,
    },
    Quit {
        id: ClientId,
        why: String,
    },
    /// The client is to go: its own server closes it.
    Kill {
        id: ClientId,
    },
    Said {
        id: ClientId,
        command: String,
        target: String,
        text: String,
        msgid: u64,
    },
}

/// One server's account of the network.
#[derive(Default)]
pub struct Server {
    clients: BTreeMap<ClientId, Client>,
    channels: BTreeMap<String, BTreeSet<ClientId>>,
}

#[derive(Clone, Default)]
struct Client {
    nick: Option<String>,
    /// What stands before the `@`: the same for all connections of one person.
    user: String,
    welcome: bool,
    /// Asked for capabilities and not done with it.
    negotiates: bool,
    labels: bool,
    echoes: bool,
    tags: bool,
}

/// What the servers offer to clients.
#[derive(Clone, Copy, Default)]
pub struct Offer {
    pub cap: bool,
    pub labels: bool,
    pub echoes: bool,
    pub tags: bool,
}

/// What a channel does not allow at the moment; known to all servers at once.
#[derive(Clone, Copy, Default)]
pub struct Closed {
    /// The numeric that who asks to join gets.
    pub refuses: Option<u16>,
    pub moderated: bool,
}

#[derive(Clone, Debug)]
pub struct Said {
    pub by: ClientId,
    pub text: String,
}

#[derive(Default)]
pub struct Ircd {
    pub servers: Vec<Server>,
    pub homes: BTreeMap<ClientId, usize>,
    pub offer: Offer,
    pub rules: BTreeMap<String, Closed>,
    /// What the clients are told, in order.
    pub told: Vec<(ClientId, String)>,
    /// What goes over the links: from, to, what.
    pub passed: Vec<(usize, usize, News)>,
    /// Who was closed by its server, and why.
    pub closed: Vec<(ClientId, String)>,
    /// What channels were told by clients, where it was said first, in order.
    pub said: Vec<Said>,
    /// What was not taken, by whom, in order.
    pub refused: Vec<(ClientId, String)>,
    /// Servers that are split off; the first is the hub and never is.
    pub apart: BTreeSet<usize>,
    msgids: u64,
    batches: u64,
}

impl Ircd {
    pub fn new(servers: usize, offer: Offer) -> Self {
        Self { servers: (0..servers).map(|_| Server::default()).collect(), offer, ..Self::default() }
    }

    pub fn connect(&mut self, id: ClientId, server: usize) {
        self.homes.insert(id, server);
        self.servers[server].clients.insert(id, Client::default());
    }

    /// Whether its own server still knows it.
    pub fn knows(&self, id: ClientId) -> bool {
        self.homes.get(&id).is_some_and(|home| self.servers[*home].clients.contains_key(&id))
    }

    pub fn nick_of(&self, id: ClientId) -> Option<String> {
        self.home(id)?.clients.get(&id)?.nick.clone()
    }

    /// Whether it is in a channel, as its own server knows.
    pub fn is_in(&self, id: ClientId, channel: &str) -> bool {
        self.home(id).is_some_and(|server| server.is_in(id, channel))
    }

    fn home(&self, id: ClientId) -> Option<&Server> {
        self.homes.get(&id).map(|home| &self.servers[*home])
    }

    fn tell(&mut self, id: ClientId, line: String) {
        self.told.push((id, line));
    }

    fn name(server: usize) -> String {
        format!("s{server}.net")
    }

    /// Tells the local members of a channel of a server.
    fn tell_room(&mut self, server: usize, channel: &str, but: Option<ClientId>, line: &str) {
        for id in self.servers[server].members(channel) {
            if Some(id) != but && self.homes[&id] == server {
                self.tell(id, line.to_owned());
            }
        }
    }

    fn tell_sharing(&mut self, server: usize, id: ClientId, line: &str) {
        for other in self.servers[server].sharing(id) {
            if other != id && self.homes[&other] == server {
                self.tell(other, line.to_owned());
            }
        }
    }

    /// Over every link of this server but the one it came by.
    fn pass(&mut self, server: usize, but: Option<usize>, news: &News) {
        let links: Vec<usize> = match server {
            0 => (1..self.servers.len()).filter(|leaf| !self.apart.contains(leaf)).collect(),
            leaf if self.apart.contains(&leaf) => vec![],
            _ => vec![0],
        };
        for to in links.into_iter().filter(|to| Some(*to) != but) {
            self.passed.push((server, to, news.clone()));
        }
    }

    /// Something that happens to a client at its own server.
    fn begins(&mut self, server: usize, news: &News) {
        self.happens(server, news);
        self.pass(server, None, news);
    }

    /// News that came over a link.
    pub fn arrives(&mut self, from: usize, server: usize, news: &News) {
        let known = self.servers[server].clients.contains_key(&news.id());
        if !known && !matches!(news, News::Client { .. } | News::Kill { .. }) {
            // It is killed here, and its server has yet to hear of it.
            return;
        }
        match news {
            News::Client { id, nick, .. } | News::Nick { id, nick } => {
                if let Some(other) = self.servers[server].holder(nick).filter(|other| other != id) {
                    self.collide(server, from, news, *id, other);
                    return;
                }
            }
            News::Kill { id } if self.homes.get(id) == Some(&server) => {
                return self.close(*id, "Killed (nick collision)");
            }
            _ => {}
        }
        self.happens(server, news);
        self.pass(server, Some(from), news);
    }

    /// Of two with one nick the older number stays; both sides come to the same end.
    fn collide(&mut self, server: usize, from: usize, news: &News, id: ClientId, other: ClientId) {
        let loser = id.max(other);
        if loser == id {
            // Told back to where it came from; whoever was known here under another nick is gone.
            self.drop_known(server, Some(from), id);
            self.passed.push((server, from, News::Kill { id }));
        } else {
            if self.homes.get(&other) == Some(&server) {
                self.close(other, "Killed (nick collision)");
            } else {
                self.drop_known(server, None, other);
                self.pass(server, None, &News::Kill { id: other });
            }
            self.happens(server, news);
            self.pass(server, Some(from), news);
        }
    }

    fn drop_known(&mut self, server: usize, but: Option<usize>, id: ClientId) {
        if self.servers[server].clients.contains_key(&id) {
            let news = News::Quit { id, why: "Killed (nick collision)".into() };
            self.happens(server, &news);
            self.pass(server, but, &news);
        }
    }

    /// What news means at one server: its account changes, and its own clients are told.
    fn happens(&mut self, server: usize, news: &News) {
        let source = self.servers[server].source(news.id());
        match news {
            News::Client { id, nick, user } => {
                let client = Client {
                    nick: Some(nick.clone()),
                    user: user.clone(),
                    welcome: true,
                    ..Client::default()
                };
                self.servers[server].clients.insert(*id, client);
            }
            News::Nick { id, nick } => {
                let line = format!("{source} NICK :{nick}");
                if self.homes[id] == server {
                    self.tell(*id, line.clone());
                }
                self.tell_sharing(server, *id, &line);
                self.servers[server].clients.get_mut(id).expect("known").nick = Some(nick.clone());
            }
            News::Join { id, channel } => {
                if self.servers[server].channels.entry(channel.clone()).or_default().insert(*id) {
                    self.tell_room(server, channel, None, &format!("{source} JOIN {channel}"));
                }
            }
            News::Part { id, channel } => {
                if self.servers[server].is_in(*id, channel) {
                    self.tell_room(server, channel, None, &format!("{source} PART {channel}"));
                    self.servers[server].leaves(*id, channel);
                }
            }
            News::Kick { id, channel } => {
                if self.servers[server].is_in(*id, channel) {
                    let line = format!(":op!o@h KICK {channel} {} :out", self.servers[server].nick(*id));
                    self.tell_room(server, channel, None, &line);
                    self.servers[server].leaves(*id, channel);
                }
            }
            News::Quit { id, why } => {
                self.tell_sharing(server, *id, &format!("{source} QUIT :{why}"));
                self.servers[server].forget(*id);
            }
            News::Kill { id } => {
                self.tell_sharing(server, *id, &format!("{source} QUIT :Killed (nick collision)"));
                self.servers[server].forget(*id);
            }
            News::Said { id, command, target, text, msgid } => {
                for other in self.servers[server].hearers(target) {
                    if other != *id && self.homes[&other] == server {
                        let tag = self.tag(other, *msgid);
                        self.tell(other, format!("{tag}{source} {command} {target} :{text}"));
                    }
                }
            }
        }
    }

    fn tag(&self, id: ClientId, msgid: u64) -> String {
        let has_tags = self.home(id).and_then(|server| server.clients.get(&id)).is_some_and(|c| c.tags);
        if has_tags { format!("@msgid=x{msgid} ") } else { String::new() }
    }

    /// A server throws one of its clients off.
    pub fn close(&mut self, id: ClientId, why: &str) {
        self.quit(id, why);
        self.closed.push((id, why.to_owned()));
    }

    /// The client is no more; everybody who shares a channel hears so, sooner or later.
    pub fn quit(&mut self, id: ClientId, why: &str) {
        let Some(home) = self.homes.get(&id).copied() else { return };
        let Some(client) = self.servers[home].clients.get(&id) else { return };
        if client.welcome {
            self.begins(home, &News::Quit { id, why: why.to_owned() });
        } else {
            self.servers[home].forget(id);
        }
    }

    pub fn kick(&mut self, id: ClientId, channel: &str) {
        if self.is_in(id, channel) {
            self.begins(self.homes[&id], &News::Kick { id, channel: channel.to_owned() });
        }
    }

    /// A leaf loses its link: each side loses the other.
    pub fn split(&mut self, leaf: usize) {
        if !self.apart.insert(leaf) {
            return;
        }
        for (server, other_side) in self.sides(leaf) {
            for id in other_side {
                let why = format!("{} {}", Self::name(0), Self::name(leaf));
                let news = News::Quit { id, why };
                if self.servers[server].clients.contains_key(&id) {
                    self.happens(server, &news);
                    self.pass(server, None, &news);
                }
            }
        }
    }

    /// The link is back: each side introduces its clients to the other.
    pub fn rejoin(&mut self, leaf: usize) {
        if !self.apart.remove(&leaf) {
            return;
        }
        for (server, other) in [(0, leaf), (leaf, 0)] {
            let known = &self.servers[server];
            let mut burst = Vec::new();
            for (id, client) in known.clients.iter().filter(|(_, client)| client.welcome) {
                let nick = client.nick.clone().unwrap_or_default();
                burst.push(News::Client { id: *id, nick, user: client.user.clone() });
            }
            for (channel, members) in &known.channels {
                burst.extend(members.iter().map(|id| News::Join { id: *id, channel: channel.clone() }));
            }
            self.passed.extend(burst.into_iter().map(|news| (server, other, news)));
        }
    }

    /// Each end of a leaf's link, with the clients that live behind the other.
    fn sides(&self, leaf: usize) -> [(usize, Vec<ClientId>); 2] {
        let of = |is_leaf: bool| {
            let side = self.homes.iter().filter(move |(_, home)| (**home == leaf) == is_leaf);
            side.map(|(id, _)| *id).collect()
        };
        [(0, of(true)), (leaf, of(false))]
    }

    /// One line of a client. `true` when it has said QUIT.
    pub fn take(&mut self, id: ClientId, text: &str) -> bool {
        let (Some(line), true) = (Line::parse(text), self.knows(id)) else { return false };
        let (label, from) = (line.tag("label").map(str::to_owned), self.told.len());
        let is_over = self.work_on(id, &line);
        if let Some(label) = label {
            self.label(id, from, &label);
        }
        is_over
    }

    fn work_on(&mut self, id: ClientId, line: &Line) -> bool {
        let (target, home) = (line.param(0).to_owned(), self.homes[&id]);
        let nick = self.servers[home].nick(id);
        match line.command.as_str() {
            "CAP" if self.offer.cap => self.cap(id, line),
            "NICK" => self.take_nick(id, &target),
            "USER" => {
                self.client(id).user = target;
                self.greet(id);
            }
            "PING" => self.tell(id, format!(":{} PONG {} :{target}", Self::name(home), Self::name(home))),
            "JOIN" => target.split(',').for_each(|channel| self.take_join(id, channel)),
            "PART" if self.is_in(id, &target) => self.begins(home, &News::Part { id, channel: target }),
            "PART" => self.tell(id, format!(":srv 442 {nick} {target} :You're not on that channel")),
            "NAMES" => self.names(id, &target),
            "WHOIS" => self.whois(id, &target),
            "PRIVMSG" | "NOTICE" => self.take_said(id, line, &target),
            "QUIT" => return true,
            "MODE" => {}
            other => self.tell(id, format!(":srv 421 {nick} {other} :Unknown command")),
        }
        false
    }

    fn client(&mut self, id: ClientId) -> &mut Client {
        let home = self.homes[&id];
        self.servers[home].clients.get_mut(&id).expect("its own server knows it")
    }

    fn cap(&mut self, id: ClientId, line: &Line) {
        match line.param(0) {
            "LS" => {
                self.client(id).negotiates = true;
                let all = [
                    (self.offer.labels, "batch labeled-response"),
                    (self.offer.echoes, "echo-message"),
                    (self.offer.tags, "message-tags"),
                    (true, "multi-prefix"),
                ];
                let names: Vec<&str> = all.into_iter().filter(|(on, _)| *on).map(|(_, name)| name).collect();
                self.tell(id, format!(":srv CAP * LS :{}", names.join(" ")));
            }
            "REQ" => {
                let asked = line.param(1).to_owned();
                for name in asked.split(' ') {
                    match name {
                        "labeled-response" => self.client(id).labels = true,
                        "echo-message" => self.client(id).echoes = true,
                        "message-tags" => self.client(id).tags = true,
                        _ => {}
                    }
                }
                self.tell(id, format!(":srv CAP * ACK :{asked}"));
            }
            "END" => {
                self.client(id).negotiates = false;
                self.greet(id);
            }
            _ => {}
        }
    }

    /// Puts a label on what a client was told since `from`: one line, several in a batch, or that there is none.
    fn label(&mut self, id: ClientId, from: usize, label: &str) {
        if !self.client_or_gone(id).is_some_and(|client| client.labels) {
            return;
        }
        let own: Vec<usize> = (from..self.told.len()).filter(|n| self.told[*n].0 == id).collect();
        match own.as_slice() {
            [] => self.tell(id, format!("@label={label} :srv ACK")),
            [only] => {
                let line = &mut self.told[*only].1;
                *line = match line.strip_prefix('@') {
                    Some(rest) => format!("@label={label};{rest}"),
                    None => format!("@label={label} {line}"),
                };
            }
            several => {
                self.batches += 1;
                let batch = self.batches;
                for n in several {
                    let line = &mut self.told[*n].1;
                    *line = match line.strip_prefix('@') {
                        Some(rest) => format!("@batch={batch};{rest}"),
                        None => format!("@batch={batch} {line}"),
                    };
                }
                let begin = format!("@label={label} :srv BATCH +{batch} labeled-response");
                self.told.insert(several[0], (id, begin));
                self.tell(id, format!(":srv BATCH -{batch}"));
            }
        }
    }

    fn client_or_gone(&self, id: ClientId) -> Option<&Client> {
        self.home(id)?.clients.get(&id)
    }

    fn take_nick(&mut self, id: ClientId, nick: &str) {
        let home = self.homes[&id];
        if self.servers[home].holder(nick).is_some_and(|other| other != id) {
            let mine = self.servers[home].nick(id);
            return self.tell(id, format!(":srv 433 {mine} {nick} :Nickname is already in use"));
        }
        if self.client(id).welcome {
            return self.begins(home, &News::Nick { id, nick: nick.to_owned() });
        }
        self.client(id).nick = Some(nick.to_owned());
        self.greet(id);
    }

    fn greet(&mut self, id: ClientId) {
        let home = self.homes[&id];
        let client = self.client(id);
        if client.welcome || client.negotiates || client.user.is_empty() || client.nick.is_none() {
            return;
        }
        client.welcome = true;
        let (nick, user) = (client.nick.clone().unwrap_or_default(), client.user.clone());
        self.pass(home, None, &News::Client { id, nick: nick.clone(), user });
        let name = Self::name(home);
        self.tell(id, format!(":{name} 001 {nick} :Welcome"));
        self.tell(
            id,
            format!(
                ":{name} 005 {nick} CASEMAPPING=ascii NICKLEN=12 STATUSMSG=@+ PREFIX=(ov)@+ :are supported"
            ),
        );
        self.tell(id, format!(":{name} 376 {nick} :End of MOTD"));
    }

    fn take_join(&mut self, id: ClientId, channel: &str) {
        if !self.client(id).welcome || self.is_in(id, channel) {
            return;
        }
        let home = self.homes[&id];
        if let Some(numeric) = self.rules.get(channel).and_then(|rules| rules.refuses) {
            let nick = self.servers[home].nick(id);
            return self.tell(id, format!(":srv {numeric} {nick} {channel} :Cannot join channel"));
        }
        self.begins(home, &News::Join { id, channel: channel.to_owned() });
        self.names(id, channel);
    }

    fn names(&mut self, id: ClientId, channel: &str) {
        let server = &self.servers[self.homes[&id]];
        let nick = server.nick(id);
        let names: Vec<String> =
            server.members(channel).into_iter().map(|member| server.nick(member)).collect();
        if server.is_in(id, channel) {
            self.tell(id, format!(":srv 353 {nick} = {channel} :{}", names.join(" ")));
        }
        self.tell(id, format!(":srv 366 {nick} {channel} :End of NAMES"));
    }

    /// Each line of the answer names whom it was about, so that one can tell whose answer it is.
    fn whois(&mut self, id: ClientId, who: &str) {
        let server = &self.servers[self.homes[&id]];
        let nick = server.nick(id);
        match server.holder(who) {
            Some(_) => self.tell(id, format!(":srv 311 {nick} {who} user host * :{who}")),
            None => self.tell(id, format!(":srv 401 {nick} {who} :No such nick/channel")),
        }
        self.tell(id, format!(":srv 318 {nick} {who} :End of WHOIS"));
    }

    fn take_said(&mut self, id: ClientId, line: &Line, target: &str) {
        let (home, channel, text) = (self.homes[&id], target.trim_start_matches(['@', '+']), line.param(1));
        let moderated = self.rules.get(channel).is_some_and(|rules| rules.moderated);
        if !self.is_in(id, channel) || moderated {
            self.refused.push((id, text.to_owned()));
            let nick = self.servers[home].nick(id);
            return self.tell(id, format!(":srv 404 {nick} {target} :Cannot send to channel"));
        }
        self.msgids += 1;
        let (msgid, source) = (self.msgids, self.servers[home].source(id));
        if self.client(id).echoes {
            let tag = self.tag(id, msgid);
            self.tell(id, format!("{tag}{source} {} {target} :{text}", line.command));
        }
        let news = News::Said {
            id,
            command: line.command.clone(),
            target: target.to_owned(),
            text: text.to_owned(),
            msgid,
        };
        self.begins(home, &news);
        self.said.push(Said { by: id, text: text.to_owned() });
    }
}

impl News {
    fn id(&self) -> ClientId {
        match self {
            Self::Client { id, .. }
            | Self::Nick { id, .. }
            | Self::Join { id, .. }
            | Self::Part { id, .. }
            | Self::Kick { id, .. }
            | Self::Quit { id, .. }
            | Self::Kill { id }
            | Self::Said { id, .. } => *id,
        }
    }
}

impl Server {
    fn nick(&self, id: ClientId) -> String {
        self.clients.get(&id).and_then(|client| client.nick.clone()).unwrap_or_else(|| "*".into())
    }

    fn source(&self, id: ClientId) -> String {
        let ident = self.clients.get(&id).map_or("", |client| client.user.as_str());
        format!(":{}!{ident}@host", self.nick(id))
    }

    fn holder(&self, nick: &str) -> Option<ClientId> {
        let same = |client: &Client| client.nick.as_deref().is_some_and(|n| n.eq_ignore_ascii_case(nick));
        self.clients.iter().find(|(_, client)| same(client)).map(|(id, _)| *id)
    }

    fn is_in(&self, id: ClientId, channel: &str) -> bool {
        self.channels.get(channel).is_some_and(|members| members.contains(&id))
    }

    fn members(&self, channel: &str) -> Vec<ClientId> {
        self.channels.get(channel).map_or(vec![], |members| members.iter().copied().collect())
    }

    /// Who hears what is said to this target: all of a channel, or those of rank, every third.
    fn hearers(&self, target: &str) -> Vec<ClientId> {
        match target.strip_prefix(['@', '+']) {
            Some(channel) => self.members(channel).into_iter().filter(|id| id % 3 == 0).collect(),
            None => self.members(target),
        }
    }

    fn sharing(&self, id: ClientId) -> BTreeSet<ClientId> {
        let shared = self.channels.values().filter(|members| members.contains(&id));
        shared.flat_map(|members| members.iter().copied()).collect()
    }

    fn leaves(&mut self, id: ClientId, channel: &str) {
        if let Some(members) = self.channels.get_mut(channel) {
            members.remove(&id);
        }
    }

    fn forget(&mut self, id: ClientId) {
        self.channels.values_mut().for_each(|members| {
            members.remove(&id);
        });
        self.clients.remove(&id);
    }
}
