//! Effects as lines of a story.

use bunraku::bridge::effect::{
    Chat, CommandAnswer, Door, Effect, Existence, Extent, Fate, Found, JoinRule, KeyWish, Mark, Meanwhile,
    Needed, Outcome, Plate, Presence, QueryStep, Reach, Redact, Relay, RoomDoor, RoomPower, RoomStep, Rule,
    Sign, SpacePlace, SpaceWish, Speaker, Succession, Verdict, WantedSpace,
};
use bunraku::bridge::errand::Report;
use bunraku::bridge::input::{AbsenceTold, BodyKind, QueryRow};
use bunraku::bridge::media::{Publication, Published};
use bunraku::bridge::relay::memory::{Author, Life, Said, Saying};

use super::errands;

/// One effect as one line.
pub fn effect(effect: &Effect) -> String {
    match effect {
        Effect::Connect { conn, user } => format!("irc {conn} connect {user}"),
        Effect::Derive { conn, iterations, .. } => format!("irc {conn} derive {iterations}"),
        Effect::StayEncrypted { conn, duration_s } => {
            format!("irc {conn} stays encrypted for {duration_s} s")
        }
        Effect::Upgrade { conn, port } => format!("irc {conn} upgrade to {port}"),
        Effect::Send { conn, line } => format!("irc {conn} > {}", visible(line)),
        Effect::Close { conn } => format!("irc {conn} close"),
        Effect::Abandon { conn } => format!("irc {conn} abandon"),
        Effect::Observe { conn, chat: Chat::Read } => format!("irc {conn} read chat"),
        Effect::Observe { conn, chat: Chat::Skip } => format!("irc {conn} skip chat"),
        Effect::Written { seq, .. } => format!("written {}", seq.0),
        Effect::Settle { seq, outcome } => format!("settle {} {}", seq.0, settled(outcome)),
        Effect::Relay(said) => relay(said),
        Effect::Mark(made) => mark(made),
        Effect::Redact(Redact { room, speaker, event, reason, .. }) => {
            let why = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
            format!("redact {room} {event} as {}{why}", name(speaker))
        }
        Effect::Remember { sayings, from } => {
            let said = sayings.iter().map(|saying| format!("\n    {}", remembered(saying)));
            format!("remember from {from}{}", said.collect::<String>())
        }
        Effect::Kick { room, user, reason, meanwhile } => {
            let shown = if *meanwhile == Meanwhile::Shown { " (the others read on)" } else { "" };
            format!("kick {user} from {room}: {reason}{shown}")
        }
        Effect::Pardon { room, user } => format!("pardon {user} in {room}"),
        Effect::Publish(publication) => published(publication),
        Effect::Unpublish { room, event } => format!("unpublish {room} {event}"),
        Effect::CreateRoom { channel, alias } => format!("create room {alias} for {channel}"),
        Effect::AddAlias { room, alias } => format!("add alias {alias} to {room}"),
        Effect::Answer { ask, existence: Existence::Exists } => format!("answer {} exists", ask.0),
        Effect::Answer { ask, existence: Existence::Absent } => format!("answer {} absent", ask.0),
        Effect::Reported { ask, report: Report::Line(answer) } => {
            format!("command {} {}", ask.0, answered(answer))
        }
        Effect::Reported { ask, report } => format!("report {} {}", ask.0, errands::report(report)),
        Effect::SavePortal(row) => format!("save portal {} {} {:?}", row.room, row.channel, row.origin),
        Effect::SaveMember { room, user, display_name, presence: Presence::In } => {
            format!("save member {room} {user} in as {}", display_name.as_deref().unwrap_or("-"))
        }
        Effect::SaveMember { room, user, presence: Presence::Out, .. } => {
            format!("save member {room} {user} out")
        }
        Effect::SaveCaseMap { name } => format!("save casemap {name}"),
        Effect::SaveHold(row) => format!("save hold {} {}: {}", row.user, row.ending, row.words),
        Effect::Query(step) => query(step),
        Effect::LeaveQuery { room, ghost, reason } => format!("leave {room} as {ghost}: {reason}"),
        Effect::SaveQuery(row) => {
            let QueryRow { user, nick, room, standing, account, mask, display_name, absence } = row;
            let gone = if *absence == AbsenceTold::Yes { " gone" } else { "" };
            let [account, mask, name] = [account, mask, display_name].map(|it| it.as_deref().unwrap_or("-"));
            format!("save query {room} {user} {nick} {standing:?} {account} {mask} {name}{gone}")
        }
        Effect::DropQuery { room } => format!("drop query {room}"),
        Effect::SaveBan(row) => format!("save ban {} {} {}", row.room, row.ghost, row.mask),
        Effect::DropBan { room, ghost } => format!("drop ban {room} {ghost}"),
        Effect::SaveRule(Rule { channel, asked, by, reason, .. }) => {
            let (kind, subject, number) = (asked.kind(), asked.subject(), asked.number());
            format!(
                "save rule {channel} {kind} {subject} {number} by {by}: {}",
                reason.as_deref().unwrap_or("-")
            )
        }
        Effect::DropRule { channel, asked } => {
            format!("drop rule {channel} {} {}", asked.kind(), asked.subject())
        }
        Effect::SaveNick(row) => format!("save nick {} {}", row.user, row.nick),
        Effect::DropNick { user } => format!("drop nick {user}"),
        Effect::DropHold { user } => format!("drop hold {user}"),
        Effect::Typing { room, ghost, for_ms: 0 } => format!("{ghost} types no longer in {room}"),
        Effect::Typing { room, ghost, for_ms } => format!("{ghost} types in {room} for {for_ms} ms"),
        Effect::Step { room, step: RoomStep::Topic(topic) } => {
            format!("topic of {room}: {}", visible(&topic.text))
        }
        Effect::Step { room, step: RoomStep::Door(RoomDoor { door, alias, .. }) } => match door {
            Door::Open => format!("door of {room}: open by {alias}"),
            Door::Shut => format!("door of {room}: shut"),
        },
        Effect::Step { room, step: RoomStep::Power(power) } => format!("power in {room}{}", levels(power)),
        Effect::Duty { channel, conn, epoch, why } => format!("duty {channel} {conn} {} {why:?}", epoch.0),
        Effect::Step { room, step: RoomStep::GhostJoins(ghost) } => {
            format!("step {room} {} joins as {}", ghost.user, ghost.display_name)
        }
        Effect::Step { room, step: RoomStep::GhostReturns(ghost) } => {
            format!("step {room} {} returns as {}", ghost.user, ghost.display_name)
        }
        Effect::Step { room, step: RoomStep::JoinRule(door) } => {
            let door = match door {
                JoinRule::Closed => "closed",
                JoinRule::Shared => "closed with the channel",
                JoinRule::AsBefore => "as before",
                JoinRule::Open => "open",
            };
            format!("join rule of {room}: {door}")
        }
        Effect::Step { room, step: RoomStep::Place(SpacePlace { room: child, placed }) } => {
            format!("space {room}: {child} {placed:?}")
        }
        Effect::Plumb { room, channel, user } => format!("plumb {room} {channel} for {user}"),
        Effect::DropPortal { room } => format!("drop portal {room}"),
        Effect::Space(SpaceWish::Forget) => "forget the space".to_owned(),
        Effect::Space(SpaceWish::Find(WantedSpace { known, alias, name, listing })) => {
            let known = known.as_ref().map_or("-", |room| room.as_str());
            format!("find space {alias} of {name}, {listing:?}, known as {known}")
        }
        Effect::Step { room, step: RoomStep::GhostPardoned(ghost) } => {
            format!("step {room} {ghost} is banned no longer")
        }
        Effect::Step { room, step: RoomStep::GhostLeaves { ghost, reason } } => {
            format!("step {room} {ghost} leaves: {}", reason.as_deref().unwrap_or("-"))
        }
        Effect::Step { room, step: RoomStep::Plate(plate) } => {
            let Plate { channel, standing, listing, .. } = plate;
            let listed = listing.map(|listing| format!(", {listing:?}")).unwrap_or_default();
            format!("plate of {room}: {channel} {standing:?}{listed}")
        }
        Effect::Succeed(Succession::Follow { room, to, sender, needed }) => {
            let needed = match needed {
                Needed::Removals => ", and the bot may remove people there",
                Needed::Nothing => "",
            };
            format!("look whether {to} replaces {room}, as {sender} says{needed}")
        }
        Effect::Succeed(Succession::Move { from, row, members }) => {
            let people = members.iter().map(|member| format!(" {}", member.user));
            let people = people.collect::<String>();
            format!("move portal {from} to {} {} {:?} with{people}", row.room, row.channel, row.origin)
        }
        Effect::Succeed(Succession::Remember(row)) => {
            format!("save tombstone of {} for {}: {}", row.room, row.to, row.why.name())
        }
        Effect::Succeed(Succession::Forget { room }) => format!("drop tombstone of {room}"),
        Effect::SaveBar(row) => format!("save bar {} in {}", row.user, row.room),
        Effect::DropBar { room, user } => format!("drop bar {user} in {room}"),
        Effect::Hasten { room } => format!("hasten removals from {room}"),
        Effect::Succeed(Succession::GiveUp { to }) => format!("give up {to}"),
        Effect::Succeed(Succession::Vacate { from, to }) => format!("vacate {from} for {to}"),
        Effect::Invite { room, user, reason } => format!("invite {user} to {room}: {reason}"),
        Effect::Found { ask, found } => {
            format!("found {}{}", ask.0, found.iter().map(hit).collect::<String>())
        }
        Effect::Key { user, channel, wish: KeyWish::Keep(_) } => format!("save key of {channel} for {user}"),
        Effect::Key { user, channel, wish: KeyWish::Forget } => format!("drop key of {channel} for {user}"),
        Effect::Realname { user, realname: Some(name) } => format!("save realname of {user}: {name}"),
        Effect::Ignores { user, masks } => format!("save ignored by {user}: {}", masks.join(" ")),
        Effect::Mentions { user, shown } => format!("save mentions of {user}: {shown:?}"),
        Effect::Realname { user, realname: None } => format!("drop realname of {user}"),
        Effect::News { user, news } => format!("news for {user}: {news:?}"),
    }
}

fn hit(found: &Found) -> String {
    match found {
        Found::Place { alias, channel } => format!(" {alias} is {channel}"),
        Found::Person { user, nick } => format!(" {user} is {nick}"),
    }
}

fn query(step: &QueryStep) -> String {
    let (user, nick) = (step.user(), &step.ghost().display_name);
    match step {
        QueryStep::Create { .. } => format!("query create for {user} and {nick}"),
        QueryStep::Invite { room, .. } => format!("query invite {user} to {room} as {nick}"),
        QueryStep::Enter { room, .. } => format!("query enter {room} of {user} as {nick}"),
        QueryStep::Move { room, from, .. } => {
            format!("query move {room} of {user} from {} to {nick}", from.display_name)
        }
    }
}

fn levels(power: &RoomPower) -> String {
    let reach = if power.reach == Reach::Given { " of those given" } else { "" };
    let people = power.levels.iter().map(|(user, level)| format!(" {}={level}", user.localpart()));
    let need = |what: &str, level: Option<i64>| level.map(|level| format!(" {what} needs {level}"));
    let needs = [need("to speak", power.needs.speak), need("the topic", power.needs.topic)];
    format!("{reach}:{}{}", people.collect::<String>(), needs.into_iter().flatten().collect::<String>())
}

fn published(publication: &Publication) -> String {
    let Publication { seq, part, room, event, what } = publication;
    let what = match what {
        Published::Media(media) => format!("{:?} {} {:?}", media.kind, media.source.mxc, media.name),
        Published::Text(page) => format!("{:?} by {:?}", page.title, page.author),
    };
    format!("publish {} {part:?} of {event} in {room}: {what}", seq.0)
}

fn answered(answer: &CommandAnswer) -> String {
    let verdict = match &answer.verdict {
        Verdict::Accepted => "accepted".to_owned(),
        Verdict::Refused(refusal) => format!("refused: {} ({})", refusal.words, refusal.code),
        Verdict::Doubtful(refusal) => format!("doubtful: {} ({})", refusal.words, refusal.code),
        Verdict::Unknown => "unknown".to_owned(),
    };
    let lines = answer.lines.iter().map(|line| format!("\n    {}", visible(&line.build())));
    let cut = if answer.extent == Extent::Cut { "\n    …" } else { "" };
    format!("{verdict}{}{cut}", lines.collect::<String>())
}

fn settled(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Delivered => "delivered".to_owned(),
        Outcome::Failed(why) => format!("failed: {why}"),
        Outcome::Expired => "expired".to_owned(),
    }
}

fn relay(relay: &Relay) -> String {
    let Relay { room, speaker, kind, text, html, mentions, about, said_ms, seq: _ } = relay;
    let name = name(speaker);
    let mut more = about.as_ref().map(|event| format!(" [about {event}]")).unwrap_or_default();
    more.extend(html.as_ref().map(|html| format!(" [html {}]", visible(html))));
    if !mentions.is_empty() {
        let users: Vec<&str> = mentions.iter().map(|user| user.as_str()).collect();
        more.push_str(&format!(" [names {}]", users.join(" ")));
    }
    more.extend(said_ms.map(|ms| format!(" [said at {ms}]")));
    let (text, about) = (visible(text), more);
    match kind {
        BodyKind::Text => format!("relay {room} <{name}> {text}{about}"),
        BodyKind::Emote => format!("relay {room} * {name} {text}{about}"),
        BodyKind::Notice => format!("relay {room} -{name}- {text}{about}"),
    }
}

fn name(speaker: &Speaker) -> String {
    match speaker {
        Speaker::Bot => "(bot)".to_owned(),
        Speaker::Ghost(ghost) => ghost.display_name.clone(),
    }
}

fn remembered(saying: &Saying) -> String {
    let Saying { id, said: Said { room, event, msgids, author, excerpt, life }, .. } = saying;
    let author = match author {
        Author::Matrix(user) => user.to_string(),
        Author::Irc(nick) => nick.to_string(),
    };
    let event = event.as_ref().map_or("-", |event| event.as_str());
    let life = if *life == Life::Redacted { " (redacted)" } else { "" };
    format!("{id} {room} {event} [{}] <{author}> {excerpt}{life}", msgids.join(" "))
}

fn mark(mark: &Mark) -> String {
    let Mark { room, event, sign, speaker, .. } = mark;
    let by = match speaker {
        Speaker::Bot => String::new(),
        Speaker::Ghost(ghost) => format!(" by {}", ghost.display_name),
    };
    let sign = match sign {
        Sign::Reaction(key) => key.clone(),
        Sign::Status { fate: Fate::Delivered, .. } => "delivered".to_owned(),
        Sign::Status { fate: Fate::Failed(words), .. } => format!("failed ({})", visible(words)),
        Sign::Status { fate: Fate::Expired(words), .. } => format!("expired ({})", visible(words)),
    };
    format!("mark {room} {event} {sign}{by}")
}

/// Control characters made visible; a line too long to read is shortened, with its length.
fn visible(text: &str) -> String {
    let shown: String = text
        .chars()
        .flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] })
        .collect();
    if shown.len() <= 160 {
        return shown;
    }
    let head: String = shown.chars().take(100).collect();
    format!("{head}… ({} bytes)", text.len())
}

/// Joins neighbours of `answer` lines, which come by the hundred.
pub fn gathered(lines: Vec<String>) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut run: Option<(u64, u64, String)> = None;
    for line in lines {
        let answer = line.strip_prefix("answer ").and_then(|rest| rest.split_once(' '));
        let answer = answer.and_then(|(n, what)| Some((n.parse::<u64>().ok()?, what.to_owned())));
        match (&mut run, answer) {
            (Some((_, to, what)), Some((n, said))) if n == *to + 1 && said == *what => *to = n,
            (_, answer) => {
                out.extend(run.take().map(spelled));
                match answer {
                    Some((n, what)) => run = Some((n, n, what)),
                    None => out.push(line),
                }
            }
        }
    }
    out.extend(run.map(spelled));
    out
}

fn spelled((from, to, what): (u64, u64, String)) -> String {
    if from == to { format!("answer {from} {what}") } else { format!("answer {from}..{to} {what}") }
}
