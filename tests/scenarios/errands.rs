//! What people ask of the network in a story, and what is reported.
//!
//! `errand 7 @ada join #c key`: the seventh errand is ada's. `report 7 …` is how it ended.

use bunraku::bridge::errand::plumbing::{Link, Plumbing};
use bunraku::bridge::errand::{
    ChannelFact, Connection, Errand, Ignoring, Joined, Place, PortalFact, Reaping, Report, RoomDoor, Status,
    UserFact,
};
use bunraku::bridge::input::{AskId, Input};
use bunraku::bridge::policy::Shown;
use bunraku::ids::RoomId;
use bunraku::secret::Secret;

use super::stage::{milliseconds, unescaped, user};

/// `7 @ada join #c key`, `7 @ada part #c: reason`, `7 @ada query eve: hello`, `7 @ada nick countess`, `7 @ada nick`,
/// `7 @root kill @ada: reason`, `7 @root reap 60s trial`, …
pub fn errand(words: &str) -> Input {
    let (head, rest) = cut(words);
    let (by, rest) = cut(rest);
    let (verb, rest) = cut(rest);
    let ask = AskId(head.parse().expect("a number"));
    // A single `-` is nothing at all.
    let (name, said) =
        rest.split_once(": ").map_or((rest, None), |(name, said)| (name, Some(unescaped(said))));
    let named = || if name == "-" { String::new() } else { unescaped(name) };
    let errand = match verb {
        "line" => Errand::Line(unescaped(rest)),
        "join" => {
            let (channel, key) = name.split_once(' ').map_or((named(), None), |(channel, key)| {
                (unescaped(channel), Some(Secret::new(&unescaped(key))))
            });
            Errand::Join { channel, key }
        }
        "part" => Errand::Part { channel: named(), reason: said },
        "query" => Errand::Query { nick: named(), text: said },
        "nick" => Errand::Nick((!name.is_empty()).then(named)),
        "status" => Errand::Status,
        "quit" => Errand::Quit { reason: (!rest.is_empty()).then(|| unescaped(rest)) },
        "reconnect" => Errand::Reconnect,
        "stop" => Errand::Stop,
        "active" => Errand::Active,
        "retry" => Errand::Retry,
        "portals" => Errand::Portals { search: (!name.is_empty()).then(named) },
        "users" => Errand::Users,
        "kill" => Errand::Kill { user: user(name), reason: said },
        "release" => Errand::Release(user(name)),
        "evict" => Errand::Evict { server: named(), reason: said },
        "reap" => {
            let (time, how) = cut(rest);
            let how = if how == "trial" { Reaping::Trial } else { Reaping::Done };
            Errand::Reap { idle_ms: milliseconds(time), how }
        }
        "channel" => Errand::Channel(named()),
        "plumb" => {
            let (room, rest) = cut(rest);
            let mut words = rest.split(' ');
            let channel = unescaped(words.next().expect("a channel"));
            let (operator, key) = (words.next().filter(|word| *word != "-"), words.next().map(Secret::new));
            let operator = operator.map(unescaped);
            Errand::Plumb { room: RoomId::new(room).expect("a room id"), channel, key, operator }
        }
        "unplumb" => {
            let (room, channel) = cut(rest);
            let channel = (!channel.is_empty()).then(|| unescaped(channel));
            Errand::Unplumb { room: RoomId::new(room).expect("a room id"), channel }
        }
        "links" => Errand::Links { room: RoomId::new(rest) },
        "operators" => Errand::Operators { channel: named(), key: None },
        "realname" => Errand::Realname((!rest.is_empty()).then(|| unescaped(rest))),
        "ignore" if rest.is_empty() => Errand::Ignore(Ignoring::Tell),
        "ignore" => Errand::Ignore(Ignoring::Add(unescaped(rest))),
        "unignore" if rest == "all" => Errand::Ignore(Ignoring::RemoveAll),
        "unignore" => Errand::Ignore(Ignoring::Remove(unescaped(rest))),
        "mentions" => Errand::Mentions(match rest {
            "on" => Some(Shown::On),
            "off" => Some(Shown::Off),
            _ => None,
        }),
        _ => panic!("nobody can ask for {verb:?}"),
    };
    Input::Errand { ask, user: user(by), errand }
}

fn cut(words: &str) -> (&str, &str) {
    words.split_once(' ').unwrap_or((words, ""))
}

/// How it ended.
pub fn report(report: &Report) -> String {
    match report {
        Report::Line(_) => unreachable!("lines are shown with what the server said"),
        Report::Done => "done".to_owned(),
        Report::Refused(refusal) => format!("refused: {} ({})", refusal.words, refusal.code),
        Report::Unknown => "unknown".to_owned(),
        Report::Joined(Joined { channel, room, door }) => {
            let door = match door {
                RoomDoor::Inside => "inside",
                RoomDoor::Invited => "invited",
            };
            format!("joined {channel} by {room}, {door}")
        }
        Report::Talking { nick, room } => {
            let room = room.as_ref().map_or("a room in the making", RoomId::as_str);
            format!("talking with {nick} in {room}")
        }
        Report::Called(nick) => format!("called {nick}"),
        Report::Status(facts) => status(facts),
        Report::Stopped(count) => format!("stopped {count}"),
        Report::Retried(channels) => format!("retried {}", channels.join(" ")),
        Report::Portals(facts) => facts.iter().fold("portals".to_owned(), |text, fact| {
            let PortalFact { channel, rooms, puppets } = fact;
            format!("{text}\n    {channel} {rooms:?} puppets {puppets}")
        }),
        Report::Users(facts) => format!("users{}", people(facts)),
        Report::Ended(facts) => format!("ended{}", people(facts)),
        Report::Channel(fact) => channel(fact),
        Report::Here(place) => format!("here {}", place.as_deref().unwrap_or("nothing")),
        Report::Plumbing(Plumbing::Linked { channel }) => format!("linked with {channel}"),
        Report::Plumbing(Plumbing::Asked { channel, operators }) => {
            format!("asked in {channel}: {}", operators.join(" "))
        }
        Report::Plumbing(Plumbing::Refused(why)) => format!("not linked: {why:?}"),
        Report::Links(links) => links.iter().fold("links".to_owned(), |text, link| {
            let Link { room, channel, state, by } = link;
            format!("{text}\n    {room} {channel} {state:?} {}", shown(by.as_ref().map(|by| by.as_str())))
        }),
        Report::Ignored(masks) => format!("ignored: {}", masks.join(" ")),
        Report::Mentions(shown) => format!("mentions {shown:?}"),
        Report::Operators(nicks) => format!("operators {}", nicks.join(" ")),
    }
}

fn people(facts: &[UserFact]) -> String {
    let person = |fact: &UserFact| {
        let UserFact { user, nick, connection, active, channels } = fact;
        let (nick, active) = (shown(nick.as_deref()), active.map(|at| at.0).unwrap_or_default());
        format!("\n    {user} {nick} {} active {active} channels {channels}", link(connection))
    };
    facts.iter().map(person).collect()
}

fn shown(text: Option<&str>) -> &str {
    text.unwrap_or("-")
}

fn link(connection: &Connection) -> String {
    match connection {
        Connection::Ready { since } => format!("ready since {}", since.map(|at| at.0).unwrap_or_default()),
        Connection::Connecting => "connecting".to_owned(),
        Connection::Waiting { until, why } => format!("waits until {} ({})", until.0, shown(why.as_deref())),
        Connection::Held(why) => format!("held: {why}"),
        Connection::Asleep => "asleep".to_owned(),
        Connection::None => "none".to_owned(),
    }
}

fn status(facts: &Status) -> String {
    let Status {
        connection,
        nick,
        account,
        modes,
        server,
        lag_ms,
        queued_lines,
        waiting_messages,
        channels,
        queries,
    } = facts;
    let lag = lag_ms.map_or("-".to_owned(), |ms| format!("{ms} ms"));
    let place = |place: &Place| {
        let Place { channel, standing, refused, rooms, carrier } = place;
        let refused = refused.as_ref().map(|why| format!(" refused: {why}")).unwrap_or_default();
        format!("\n    {channel} {standing:?} {rooms:?} carried by {}{refused}", shown(carrier.as_deref()))
    };
    let places: String = channels.iter().map(place).collect();
    format!(
        "status {}, nick {}, account {}, modes {modes:?}, server {}, lag {lag}, queued {queued_lines}, waiting \
         {waiting_messages}, queries {queries}{places}",
        link(connection),
        shown(nick.as_deref()),
        shown(account.as_deref()),
        shown(server.as_deref()),
    )
}

fn channel(fact: &ChannelFact) -> String {
    let ChannelFact {
        channel,
        rooms,
        carrier,
        epoch,
        standbys,
        held_lines,
        unseen_lines,
        people,
        ghosts,
        steps_open,
        modes,
    } = fact;
    format!(
        "channel {channel} {rooms:?} carried by {} epoch {epoch} standbys {standbys:?} held {held_lines} unseen \
         {unseen_lines} people {people} ghosts {ghosts} steps {steps_open} modes {modes:?}",
        shown(carrier.as_deref())
    )
}
