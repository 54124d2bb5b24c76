//! Stories of the admin rooms: what happens, and what the bot says and asks.

use super::*;
use crate::bridge::command::{AuditRow, COMMANDS, Kept, Password, UpkeepReport};
use crate::bridge::effect::{CommandAnswer, Extent, Refusal, Verdict};
use crate::bridge::ending::{End, Ending, LoginRefusal};
use crate::bridge::errand::Report;
use crate::bridge::errand::plumbing::{Plumbing, Unplumbable};
use crate::bridge::input::{Before, MatrixEvent, Member, Membership, MessageBody, Relation};
use crate::bridge::news::{First, News};
use crate::bridge::policy::{Permission, Permissions};
use crate::ids::NetworkId;
use crate::text::line::Line;
use crate::text::template::GhostTemplate;
use crate::text::whom::Whom;

struct Stage {
    admin: Admin,
    now: Time,
    seq: i64,
    /// What the last ask was numbered.
    ask: AskId,
}

fn network(name: &str) -> NetworkName {
    let id = NetworkId::new(name).unwrap();
    let ghosts = GhostTemplate::new("@irc_$NETWORK_$NICK", &id).unwrap();
    NetworkName { name: name.to_uppercase(), ghosts, id }
}

fn user(name: &str) -> UserId {
    UserId::new(&format!("@{name}:hs")).unwrap()
}

fn room(name: &str) -> RoomId {
    RoomId::new(&format!("!{name}:hs")).unwrap()
}

fn permissions() -> Permissions {
    let person = |name| Whom::Person(user(name));
    Permissions::new([(person("root"), Permission::Admin), (person("bad"), Permission::Blocked)])
}

impl Stage {
    fn new(networks: &[&str]) -> Self {
        let settings = Settings {
            bot: user("bot"),
            server_name: "hs".into(),
            networks: networks.iter().map(|name| network(name)).collect(),
            permissions: permissions(),
        };
        let admin = Admin::new(settings, RelaySeqs { next: RelaySeq(1), step: 1 });
        Self { admin, now: Time(1_000), seq: 0, ask: AskId(0) }
    }

    /// With an admin room for each of these, named as they are.
    fn with_rooms(networks: &[&str], people: &[&str]) -> Self {
        let mut stage = Self::new(networks);
        for person in people {
            stage.gives(AdminInput::Room { user: user(person), room: room(person) });
        }
        stage
    }

    fn gives(&mut self, input: AdminInput) -> String {
        self.now = self.now.plus_ms(1_000);
        self.admin.handle(self.now, input);
        self.shown()
    }

    fn shown(&mut self) -> String {
        let mut effects = Vec::new();
        self.admin.take_effects(&mut effects);
        let lines: Vec<String> = effects.iter().map(|effect| self.show(effect)).collect();
        lines.join("\n")
    }

    fn show(&mut self, effect: &AdminEffect) -> String {
        match effect {
            AdminEffect::Settle { seq, .. } => format!("settle {}", seq.0),
            AdminEffect::Say(relay) => format!("{}: {}", relay.room, relay.text),
            AdminEffect::Enter { room } => format!("enter {room}"),
            AdminEffect::Ignore { room } => format!("ignore {room}"),
            AdminEffect::Leave { room, reason } => format!("leave {room}: {reason}"),
            AdminEffect::Ask { ask, network, user, errand } => {
                self.ask = *ask;
                format!("ask {network} for {user}: {errand:?}")
            }
            AdminEffect::Keep { ask, network, user, keeping } => {
                self.ask = *ask;
                format!("keep {network} for {user}: {keeping:?}")
            }
            AdminEffect::Upkeep { ask, upkeep } => {
                self.ask = *ask;
                format!("upkeep {upkeep:?}")
            }
            AdminEffect::Hide { room, event } => format!("hide {event} in {room}"),
            AdminEffect::LeaveUnlessLinked { room, user } => format!("leave {room} of {user} unless linked"),
            AdminEffect::SaveRoom { user, room } => format!("save {room} of {user}"),
            AdminEffect::DropRoom { user, room } => format!("drop {room} of {user}"),
        }
    }

    fn event(&mut self, event: MatrixEvent, before: Before, place: Place) -> String {
        self.seq += 1;
        self.gives(AdminInput::Event { seq: InboxSeq(self.seq), event, before, place })
    }

    fn member(&mut self, in_room: &str, sender: &str, target: &str, membership: Membership) -> String {
        self.member_of(in_room, sender, target, (membership, true))
    }

    /// `is_direct`: of an invitation.
    fn member_of(
        &mut self,
        in_room: &str,
        sender: &str,
        target: &str,
        (membership, is_direct): (Membership, bool),
    ) -> String {
        let event = MatrixEvent::Member {
            room: room(in_room),
            sender: user(sender),
            target: Member { user: user(target), display_name: None },
            membership,
            reason: None,
            is_direct,
        };
        self.event(event, Before::New, Place::Private)
    }

    fn entered(&mut self, in_room: &str, people: &[&str]) -> String {
        let member = |name: &&str| Member { user: user(name), display_name: None };
        let result = Ok(people.iter().map(member).collect());
        self.gives(AdminInput::Entered { room: room(in_room), result })
    }

    fn message(
        &mut self,
        in_room: &str,
        sender: &str,
        body: MessageBody,
        before: Before,
        place: Place,
    ) -> String {
        let event_id = EventId::new(&format!("${}", self.seq + 1)).unwrap();
        let event = MatrixEvent::Message {
            room: room(in_room),
            event_id,
            sender: user(sender),
            body,
            relation: Relation::None,
            origin_ms: 0,
        };
        self.event(event, before, place)
    }

    /// Somebody says something in the room that has their name.
    fn says(&mut self, sender: &str, text: &str) -> String {
        let body = MessageBody::plain(BodyKind::Text, text);
        self.message(sender, sender, body, Before::New, Place::Private)
    }

    /// Somebody says something in a bridged room.
    fn says_among_others(&mut self, sender: &str, text: &str) -> String {
        let place = Place::Bridged(NetworkId::new("net").unwrap());
        self.message("bridged", sender, MessageBody::plain(BodyKind::Text, text), Before::New, place)
    }

    fn reported(&mut self, report: Report) -> String {
        self.gives(AdminInput::Reported { ask: self.ask, report })
    }

    fn kept(&mut self, kept: Kept) -> String {
        self.gives(AdminInput::Kept { ask: self.ask, kept })
    }

    /// Something happens to Ada's connection.
    fn news(&mut self, news: News) -> String {
        self.gives(AdminInput::News { network: NetworkId::new("net").unwrap(), user: user("ada"), news })
    }

    /// Her connection is lost, to be made again in a minute.
    fn lost(&mut self) -> String {
        let again = self.now.plus_ms(61_000);
        self.news(News::Lost { why: "connection reset".into(), again })
    }

    /// Time goes by, in steps of a second.
    fn passes(&mut self, seconds: u64) -> String {
        let mut shown = Vec::new();
        for _ in 0..seconds {
            self.now = self.now.plus_ms(1_000);
            self.admin.handle_timeout(self.now);
            shown.extend(Some(self.shown()).filter(|shown| !shown.is_empty()));
        }
        shown.join("\n")
    }
}

fn accepted(lines: &[&str]) -> Report {
    let lines = lines.iter().map(|line| Line::parse(line).unwrap()).collect();
    Report::Line(CommandAnswer { verdict: Verdict::Accepted, lines, extent: Extent::Whole })
}

#[test]
fn an_invitation_makes_an_admin_room() {
    let mut stage = Stage::new(&["net"]);
    assert_eq!(stage.member("a", "ada", "bot", Membership::Invite), "enter !a:hs\nsettle 1");
    assert_eq!(stage.member("a", "ada", "bot", Membership::Invite), "settle 2", "it is on its way");
    let shown = stage.entered("a", &["bot", "ada"]);
    assert!(shown.starts_with("save !a:hs of @ada:hs\n!a:hs: Hello!"), "{shown}");
    let shown = stage.says("a", "help");
    assert_eq!(shown, "settle 3", "it is ada's room, and @a is somebody else");
}

#[test]
fn one_person_has_one_room_and_the_newest_counts() {
    let mut stage = Stage::new(&["net"]);
    // Both at once: the one that is entered last is the newer.
    stage.member("one", "ada", "bot", Membership::Invite);
    stage.member("two", "ada", "bot", Membership::Invite);
    stage.entered("two", &["ada", "bot"]);
    let shown = stage.entered("one", &["ada", "bot"]);
    assert!(shown.contains("leave !two:hs: there is a newer admin room\nsave !one:hs of @ada:hs"), "{shown}");
    // What ends the older one does not end the newer.
    assert_eq!(stage.member("two", "bot", "bot", Membership::Leave), "settle 3");
    let body = MessageBody::plain(BodyKind::Text, "version");
    let shown = stage.message("one", "ada", body, Before::New, Place::Private);
    assert!(shown.contains("This is bunraku"), "{shown}");
}

#[test]
fn an_admin_room_is_for_one_person() {
    let mut stage = Stage::new(&["net"]);
    stage.member("a", "ada", "bot", Membership::Invite);
    let shown = stage.entered("a", &["ada", "bot", "eve"]);
    assert!(shown.starts_with("ignore !a:hs\n!a:hs: To bridge this room"), "it is none: {shown}");

    for how in [Membership::Invite, Membership::Join] {
        let mut stage = Stage::with_rooms(&["net"], &["ada"]);
        let shown = stage.member("ada", "ada", "eve", how);
        assert!(shown.contains("drop !ada:hs of @ada:hs\nleave !ada:hs"), "{shown}");
        assert_eq!(stage.says("ada", "status"), "settle 2", "nothing is answered there any more");
        assert_eq!(
            stage.says("ada", "!help"),
            "enter !ada:hs\nsettle 3",
            "unless it is alone again, which is looked at"
        );
    }
    let mut stage = Stage::with_rooms(&["net"], &["ada"]);
    assert_eq!(stage.member("ada", "ada", "ada", Membership::Join), "settle 1", "a new display name");
    let shown = stage.member("ada", "ada", "ada", Membership::Leave);
    assert!(shown.starts_with("drop !ada:hs of @ada:hs\nleave !ada:hs"), "{shown}");
}

#[test]
fn a_command_is_asked_of_the_network_and_its_answer_told() {
    let mut stage = Stage::with_rooms(&["net"], &["ada"]);
    let shown = stage.says("ada", "!join #bunraku");
    assert_eq!(shown, r##"ask net for @ada:hs: Join { channel: "#bunraku", key: None }"##);
    let refusal = Refusal {
        code: "473".into(),
        words: "Cannot join channel (+i)".into(),
        params: vec!["ada".into(), "#bunraku".into(), "Cannot join channel (+i)".into()],
    };
    let shown = stage.reported(Report::Refused(refusal));
    assert!(
        shown.starts_with("!ada:hs: ") && shown.contains("#bunraku") && shown.ends_with("\nsettle 1"),
        "{shown}"
    );
    assert_eq!(stage.reported(Report::Done), "", "each is answered once");
    stage.says("ada", "whois bob");
    let shown = stage
        .reported(accepted(&[":s 311 ada bob ~b host * :Bob B", ":s 330 ada bob bobby :is logged in as"]));
    assert!(shown.contains("bob!~b@host (Bob B)") && shown.contains("account · bobby"), "{shown}");
}

#[test]
fn what_nobody_answers_is_told_so_in_the_end() {
    let mut stage = Stage::with_rooms(&["net"], &["ada"]);
    stage.says("ada", "status");
    assert_eq!(stage.admin.poll_timeout(), Some(stage.now.plus_ms(ANSWER_MS_MAX)));
    stage.admin.handle_timeout(stage.now.plus_ms(ANSWER_MS_MAX - 1));
    assert_eq!(stage.shown(), "");
    stage.admin.handle_timeout(stage.now.plus_ms(ANSWER_MS_MAX));
    let shown = stage.shown();
    assert!(shown.contains("nobody knows whether it worked") && shown.ends_with("settle 1"), "{shown}");
    assert_eq!(stage.reported(Report::Done), "", "too late");
}

#[test]
fn a_network_is_named_where_there_are_several() {
    let mut stage = Stage::with_rooms(&["net", "oftc"], &["ada"]);
    let shown = stage.says("ada", "join #a");
    assert!(shown.contains("Which network? Its name comes first, as in `join net …`"), "{shown}");
    let shown = stage.says("ada", "join OFTC #a");
    assert!(shown.starts_with("ask oftc for @ada:hs: Join"), "{shown}");
    // In a bridged room it is that of the room, and the channel too.
    assert_eq!(stage.says_among_others("ada", "!irc topic"), "ask net for @ada:hs: Here(!bridged:hs)");
    let shown = stage.reported(Report::Here(Some("#there".into())));
    assert_eq!(shown, "ask net for @ada:hs: Line(\"TOPIC #there\")");
    let shown = stage.reported(accepted(&[":s 332 ada #there :Puppets"]));
    assert_eq!(shown, "!bridged:hs: Puppets\nsettle 3");
    let shown = stage.says_among_others("ada", "!irc oftc topic #a");
    assert_eq!(shown, "!bridged:hs: That is no command. `help` lists them.\nsettle 4");
    let shown = stage.says_among_others("ada", "!irc topic oftc #a");
    assert_eq!(shown, "ask oftc for @ada:hs: Line(\"TOPIC #a\")");
}

#[test]
fn what_is_no_command_gets_the_nearest_name() {
    let mut stage = Stage::with_rooms(&["net"], &["ada"]);
    assert!(stage.says("ada", "staus").contains("Did you mean `status`"));
    assert_eq!(
        stage.says("ada", "hunter22"),
        "!ada:hs: That is no command. `help` lists them.\nsettle 2",
        "it may be a secret"
    );
    assert!(stage.says("ada", "join").contains("It is `join #channel [key]`, for example"));
    assert!(stage.says("ada", "join #a\nQUIT").contains("one line"));
    assert_eq!(stage.says("ada", "   "), "settle 5");
}

#[test]
fn what_is_no_text_is_left_alone() {
    let mut stage = Stage::with_rooms(&["net"], &["ada"]);
    for kind in [BodyKind::Notice, BodyKind::Emote] {
        let shown =
            stage.message("ada", "ada", MessageBody::plain(kind, "help"), Before::New, Place::Private);
        assert!(shown.starts_with("settle "), "{shown}");
    }
    let body = MessageBody::plain(BodyKind::Text, "help");
    let shown = stage.message("ada", "bot", body.clone(), Before::New, Place::Private);
    assert_eq!(shown, "settle 3", "what we say ourselves is no command");
    let shown = stage.message(
        "ada",
        "irc_net_eve",
        body,
        Before::New,
        Place::Bridged(NetworkId::new("net").unwrap()),
    );
    assert_eq!(shown, "settle 4", "a ghost gives none");
}

#[test]
fn commands_of_admins_are_theirs() {
    let mut stage = Stage::with_rooms(&["net"], &["ada", "root"]);
    for command in COMMANDS.iter().filter(|command| command.who == Permission::Admin) {
        let shown = stage.says("ada", command.examples[0]);
        assert!(shown.contains("is for admins of the bridge"), "{}: {shown}", command.name);
    }
    assert_eq!(stage.says("root", "users"), "ask net for @root:hs: Users");
    stage.reported(Report::Users(Vec::new()));
    let shown = stage.says("root", "broadcast noon");
    assert_eq!(shown.matches("noon").count(), 2, "{shown}");
    assert!(!stage.says("ada", "help").contains("kill"));
    assert!(stage.says("root", "help").contains("kill"));
}

#[test]
fn what_was_asked_in_a_room_that_is_left_is_answered_nowhere() {
    let mut stage = Stage::with_rooms(&["net"], &["ada"]);
    stage.says("ada", "whois bob");
    let shown = stage.member("ada", "ada", "eve", Membership::Join);
    assert!(shown.contains("settle 1\ndrop !ada:hs of @ada:hs"), "{shown}");
    assert_eq!(stage.reported(accepted(&[":s 311 ada bob ~b host * :Bob"])), "");
}

#[test]
fn a_word_in_a_room_of_others_makes_no_admin_room_and_ends_nothing() {
    let mut stage = Stage::new(&["net"]);
    let body = MessageBody::plain(BodyKind::Text, "!help");
    assert_eq!(stage.message("list", "ada", body, Before::New, Place::Private), "enter !list:hs\nsettle 1");
    assert_eq!(stage.entered("list", &["ada", "bot", "moderator"]), "ignore !list:hs");
    // Who comes between the invitation and the list of members is not overlooked.
    stage.member("new", "ada", "bot", Membership::Invite);
    stage.member("new", "ada", "eve", Membership::Join);
    let shown = stage.entered("new", &["ada", "bot"]);
    assert!(shown.starts_with("ignore !new:hs\n!new:hs: To bridge this room"), "{shown}");
}

#[test]
fn in_a_room_that_is_no_private_chat_the_bot_waits_to_be_told_a_channel() {
    let mut stage = Stage::new(&["net"]);
    stage.member_of("r", "ada", "bot", (Membership::Invite, false));
    let shown = stage.entered("r", &["ada", "bot"]);
    assert!(shown.starts_with("ignore !r:hs\n!r:hs: To bridge this room"), "{shown}");
    assert!(shown.contains("permission `plumber`"), "ada has it not: {shown}");
    let says = |stage: &mut Stage, who: &str, text: &str| {
        let body = MessageBody::plain(BodyKind::Text, text);
        stage.message("r", who, body, Before::New, Place::Unbridged)
    };
    assert!(says(&mut stage, "ada", "!irc plumb #c").contains("takes the permission `plumber`"));
    assert!(says(&mut stage, "root", "!irc join #c").contains("is for your admin room"));
    let shown = says(&mut stage, "root", "!irc plumb #c dora");
    assert!(shown.starts_with("ask net for @root:hs: Plumb { room: !r:hs, channel: \"#c\""), "{shown}");
    assert!(shown.contains("operator: Some(\"dora\")"), "{shown}");
    let refused = Plumbing::Refused(Unplumbable::NoPower { required: 50 });
    assert!(stage.reported(Report::Plumbing(refused)).contains("It takes level 50"));
    assert_eq!(
        says(&mut stage, "bob", "!irc unplumb"),
        "ask net for @bob:hs: Unplumb { room: !r:hs, channel: None }"
    );
    stage.reported(Report::Done);
    let until = stage.admin.poll_timeout().expect("it waits");
    stage.admin.handle_timeout(until);
    assert_eq!(stage.shown(), "leave !r:hs of @ada:hs unless linked");
    // Who put it out waits for nothing.
    stage.member_of("s", "root", "bot", (Membership::Invite, false));
    assert!(!stage.entered("s", &["root", "bot", "eve"]).contains("permission"));
    stage.member("s", "root", "bot", Membership::Leave);
    stage.admin.handle_timeout(stage.now.plus_ms(GUEST_MS_MAX));
    assert!(!stage.shown().contains("leave"));
}

#[test]
fn who_is_blocked_has_no_room_and_gives_no_commands() {
    let mut stage = Stage::with_rooms(&["net"], &["bad", "ada"]);
    assert_eq!(stage.says("bad", "help"), "settle 1");
    assert_eq!(stage.says_among_others("bad", "!irc status"), "settle 2");
    let shown = stage.member("new", "bad", "bot", Membership::Invite);
    assert_eq!(shown, "leave !new:hs: you may not use this bridge; its operator can say why\nsettle 3");
    let person = Whom::Person(user("ada"));
    stage.gives(AdminInput::Permissions(Permissions::new([(person, Permission::Admin)])));
    assert_eq!(stage.says("ada", "users"), "ask net for @ada:hs: Users", "from now on");
}

#[test]
fn the_audit_says_whether_it_balances() {
    let mut stage = Stage::with_rooms(&["net"], &["root"]);
    assert_eq!(stage.says("root", "audit"), "upkeep Audit");
    let row = |delivered| AuditRow {
        network: "net".into(),
        direction: "to IRC",
        accepted: 5,
        delivered,
        failed: 1,
        expired: 1,
        in_flight: 1,
    };
    let ask = stage.ask;
    let shown = stage.gives(AdminInput::Upkept { ask, report: UpkeepReport::Audit(vec![row(2)]) });
    assert!(shown.contains("accounted for") && shown.contains("net · to IRC · 5 · 2 · 1 · 1 · 1"), "{shown}");
    stage.says("root", "audit");
    let ask = stage.ask;
    let shown = stage.gives(AdminInput::Upkept { ask, report: UpkeepReport::Audit(vec![row(1)]) });
    assert!(shown.contains("do not balance"), "{shown}");
    stage.says("root", "audit");
    let ask = stage.ask;
    assert!(stage.gives(AdminInput::Upkept { ask, report: UpkeepReport::Failed }).contains("cannot be read"));
}

#[test]
fn a_password_is_taken_out_of_the_room_and_shown_nowhere() {
    let mut stage = Stage::with_rooms(&["net"], &["ada"]);
    let shown = stage.says("ada", "storepass ada:hunter22");
    assert!(shown.starts_with("hide $1 in !ada:hs\nkeep net for @ada:hs: Password"), "{shown}");
    assert!(!shown.contains("hunter22") && !format!("{:?}", stage.admin).contains("hunter22"), "{shown}");
    assert!(stage.kept(Kept::Done).contains("`reconnect` logs you in to NET"));
    let event = EventId::new("$1").unwrap();
    let shown = stage.gives(AdminInput::Hidden { room: room("ada"), event, result: Err("no".into()) });
    assert!(shown.contains("Please remove it yourself"), "{shown}");
    // Whatever else is wrong with it.
    assert!(stage.says("ada", "!storepass").starts_with("hide $2"));
    let twice = MessageBody::plain(BodyKind::Text, "storepass two\nlines");
    assert!(stage.message("ada", "ada", twice, Before::Accepted, Place::Private).starts_with("hide $3"));
    let shown = stage.says_among_others("ada", "!IRC storepass hunter22");
    assert!(
        shown.starts_with("hide $4 in !bridged:hs") && shown.contains("Change it on the network"),
        "{shown}"
    );
}

#[test]
fn a_login_is_asked_for_step_by_step() {
    let mut stage = Stage::with_rooms(&["net"], &["ada"]);
    assert!(stage.says("ada", "login").contains("What is the name of your account on NET?"));
    assert!(stage.says("ada", "ada_account").contains("Now the password of ada_account"));
    let shown = stage.says("ada", "quit");
    assert!(
        shown.starts_with(
            "hide $3 in !ada:hs\nkeep net for @ada:hs: Password { account: Some(\"ada_account\")"
        ),
        "{shown}"
    );
    assert!(stage.kept(Kept::Done).contains("Kept."));
    // At any step it can be ended, and what follows is a command again.
    stage.says("ada", "login ada");
    assert!(stage.says("ada", "cancel").contains("Nothing is changed"));
    assert_eq!(stage.says("ada", "status"), "ask net for @ada:hs: Status");
    stage.reported(Report::Unknown);
    // Or a certificate.
    stage.says("ada", "login ada");
    assert_eq!(stage.says("ada", "certificate"), "keep net for @ada:hs: Account(\"ada\")");
    assert_eq!(stage.kept(Kept::Done), "keep net for @ada:hs: Certificate");
    let login =
        Kept::Login { account: "ada".into(), password: Password::None, fingerprint: Some("ab12".into()) };
    assert!(stage.kept(login).contains("msg NickServ CERT ADD ab12"));
    // Nobody waits for ever.
    stage.says("ada", "login");
    stage.now = stage.now.plus_ms(dialog::DIALOG_MS_MAX);
    stage.admin.handle_timeout(stage.now);
    assert_eq!(stage.says("ada", "status"), "ask net for @ada:hs: Status");
}

#[test]
fn what_an_earlier_run_began_is_not_done_twice() {
    let mut stage = Stage::with_rooms(&["net"], &["ada"]);
    let body = MessageBody::plain(BodyKind::Text, "msg bob hello");
    let shown = stage.message("ada", "ada", body, Before::Accepted, Place::Private);
    assert!(
        shown.contains("The bridge was restarted while it worked on this") && shown.ends_with("settle 1"),
        "{shown}"
    );
}

#[test]
fn nobody_has_more_than_a_few_commands_under_way_or_gives_them_too_fast() {
    let mut stage = Stage::with_rooms(&["net"], &["ada", "bob"]);
    for _ in 0..OPEN_OF_ONE_MAX {
        assert!(stage.says("ada", "status").starts_with("ask net"));
    }
    assert!(stage.says("ada", "status").contains("Too many commands wait"));
    assert!(stage.says("bob", "status").starts_with("ask net"), "that is another's matter");
    for _ in OPEN_OF_ONE_MAX + 1..words::PACE_MAX as usize {
        stage.says("ada", "version");
    }
    assert!(stage.says("ada", "version").contains("That is too fast"));
    assert!(stage.says("ada", "version").starts_with("settle"));
    stage.now = stage.now.plus_ms(60_000);
    assert!(stage.says("ada", "version").contains("This is bunraku"));
}

#[test]
fn no_word_of_anybody_becomes_a_second_line_or_another_parameter() {
    let mut stage = Stage::with_rooms(&["net"], &["root"]);
    let hostile = [
        "a\rQUIT",
        "a\nQUIT",
        "a\0b",
        "\"a b\"",
        "a,b",
        ":a",
        "#a,#b",
        "\"#a b\"",
        "\u{1}VERSION\u{1}",
        "#a\u{7}b",
    ];
    for command in COMMANDS {
        for word in hostile {
            for line in [format!("{} {word}", command.name), format!("{} #a {word}", command.name)] {
                stage.now = stage.now.plus_ms(60_000);
                let shown = stage.says("root", &line);
                for asked in shown.lines().filter(|line| line.starts_with("ask ") && line.contains("Line(")) {
                    assert!(
                        !asked.contains("\\n") && !asked.contains("\\r") && !asked.contains("\\0"),
                        "{asked}"
                    );
                }
                stage.reported(Report::Unknown);
                stage.kept(Kept::Failed);
            }
        }
    }
}

#[test]
fn every_report_is_told_in_words_whatever_was_asked() {
    let refusal = || Refusal::ours("X", "it may not be");
    let answer = |verdict| Report::Line(CommandAnswer { verdict, lines: Vec::new(), extent: Extent::Cut });
    let reports = [
        Report::Done,
        Report::Unknown,
        Report::Refused(refusal()),
        answer(Verdict::Accepted),
        answer(Verdict::Refused(refusal())),
        answer(Verdict::Doubtful(refusal())),
        answer(Verdict::Unknown),
        accepted(&[
            "322",
            "353 a = #a",
            "311",
            "324 a",
            ":s 332",
            "317 a b -1 99999999999999999999",
            "367 a #a",
        ]),
    ];
    for command in COMMANDS {
        for example in command.examples {
            for report in &reports {
                let mut stage = Stage::with_rooms(&["net"], &["root"]);
                if !stage.says("root", example).starts_with("ask") {
                    continue;
                }
                let shown = stage.reported(report.clone());
                assert!(shown.starts_with("!root:hs: ") && shown.ends_with("settle 1"), "{example}: {shown}");
                assert!(shown.len() > "!root:hs: \nsettle 1".len() + 3, "{example}: {shown}");
            }
        }
    }
}

#[test]
fn a_room_hears_of_its_own_channel_and_of_no_other() {
    let names = accepted(&[":s 353 ada @ #secret :ada eve"]);
    // Without an admin room nobody is asked.
    let mut stage = Stage::new(&["net"]);
    for line in ["names #secret", "topic #secret", "mode #secret", "mode #secret +b", "invite bob #secret"] {
        stage.says_among_others("ada", &format!("!irc {line}"));
        let shown = stage.reported(Report::Here(Some("#here".into())));
        assert!(
            shown.starts_with("!bridged:hs: What you see of another channel is not for everybody here"),
            "{shown}"
        );
    }
    // With one the answer is there.
    let mut stage = Stage::with_rooms(&["net"], &["ada"]);
    stage.says_among_others("ada", "!irc names #secret");
    let shown = stage.reported(Report::Here(Some("#here".into())));
    assert_eq!(shown, r##"ask net for @ada:hs: Line("NAMES #secret")"##);
    let shown = stage.reported(names.clone());
    let told = "!bridged:hs: That is another channel, so the answer is in your admin room.";
    assert_eq!(shown, format!("!ada:hs: 2 people: ada, eve\n{told}\nsettle 1"));
    // A refusal tells of the channel, too.
    stage.says_among_others("ada", "!irc topic #secret");
    stage.reported(Report::Here(Some("#here".into())));
    let shown = stage.reported(Report::Unknown);
    assert!(shown.starts_with("!ada:hs: ") && shown.contains(told), "{shown}");
    // It is theirs no more when the answer comes.
    stage.says_among_others("ada", "!irc names #secret");
    stage.reported(Report::Here(Some("#here".into())));
    stage.member("ada", "ada", "eve", Membership::Join);
    let shown = stage.reported(names.clone());
    assert!(!shown.contains("ada, eve") && shown.contains("Ask me in a private chat"), "{shown}");
    // Its own, however it is written, and in the room of nothing that the network names.
    stage.says_among_others("ada", "!irc names #Here");
    stage.reported(Report::Here(Some("#here".into())));
    assert!(stage.reported(names.clone()).starts_with("!bridged:hs: 2 people"));
    stage.says_among_others("ada", "!irc names #secret");
    assert!(stage.reported(Report::Here(None)).contains("Ask me in a private chat"));
}

#[test]
fn keys_and_the_channels_of_others_are_for_admin_rooms() {
    let mut stage = Stage::with_rooms(&["net"], &["ada"]);
    let modes = accepted(&[":s 324 ada #here +klnt canary 20"]);
    stage.says_among_others("ada", "!irc mode");
    stage.reported(Report::Here(Some("#here".into())));
    let shown = stage.reported(modes.clone());
    assert!(shown.contains("`+klnt`") && !shown.contains("canary"), "{shown}");
    stage.says("ada", "mode #here");
    assert!(stage.reported(modes).contains("`+klnt canary 20`"));

    let whois = accepted(&[":s 311 ada bob ~b host * :Bob B", ":s 319 ada bob :@#secret #open"]);
    stage.says_among_others("ada", "!irc whois bob");
    stage.reported(Report::Here(Some("#here".into())));
    let shown = stage.reported(whois.clone());
    assert!(shown.contains("bob!~b@host") && !shown.contains("#secret"), "{shown}");
    stage.says("ada", "whois bob");
    assert!(stage.reported(whois).contains("#secret"));
}

fn connected(first: First) -> News {
    News::Connected { nick: "Countess".into(), first }
}

#[test]
fn a_restart_and_a_blip_are_no_news() {
    let mut stage = Stage::with_rooms(&["net"], &["ada"]);
    assert_eq!(stage.news(connected(First::No)), "");
    assert_eq!(stage.lost(), "");
    assert_eq!(stage.passes(10), "");
    assert_eq!(stage.news(connected(First::No)), "");
    assert_eq!(stage.passes(1_000), "");
    assert_eq!(stage.admin.poll_timeout(), None, "nothing is remembered");
    assert_eq!(stage.news(connected(First::Yes)), "!ada:hs: You are on NET now, as Countess.");
}

#[test]
fn what_lasts_is_told_and_so_is_its_end_once() {
    let mut stage = Stage::with_rooms(&["net"], &["ada"]);
    stage.lost();
    let shown = stage.passes(20);
    let text = "!ada:hs: You have not been connected to NET for 15 seconds (connection reset). The next try is in 45 seconds at \
                the earliest; `reconnect` tries at once, and what you say meanwhile waits for a while.";
    assert_eq!(shown, text);
    // Another thirty tries in five minutes are one notice, with the last.
    let mut heard = Vec::new();
    for _ in 0..30 {
        heard.push(stage.lost());
        heard.push(stage.passes(9));
    }
    heard.retain(|shown| !shown.is_empty());
    assert_eq!(heard.len(), 1, "{heard:?}");
    assert!(heard[0].contains("for 5 minutes; that was try 31 (connection reset)"), "{heard:?}");
    assert_eq!(stage.news(connected(First::No)), "!ada:hs: You are back on NET, as Countess.");
    assert_eq!(stage.news(connected(First::No)), "", "it is told once");
}

#[test]
fn a_day_of_trouble_is_told_ever_more_seldom() {
    let mut stage = Stage::with_rooms(&["net"], &["ada"]);
    let mut notices = 0;
    for _ in 0..24 * 60 {
        stage.lost();
        notices += stage.passes(59).lines().count();
    }
    assert!((10..=25).contains(&notices), "{notices} notices in a day");
}

#[test]
fn a_connection_that_comes_and_goes_is_told_of_once_in_five_minutes() {
    let mut stage = Stage::with_rooms(&["net"], &["ada"]);
    let mut notices = Vec::new();
    for _ in 0..10 {
        stage.lost();
        notices.push(stage.passes(20));
        notices.push(stage.news(connected(First::No)));
        notices.push(stage.passes(7));
    }
    notices.retain(|shown| !shown.is_empty());
    assert_eq!(notices.len(), 2, "{notices:?}");
    assert!(notices[1].contains("back on NET"), "{notices:?}");
}

#[test]
fn who_is_held_hears_at_once_why_and_what_is_next() {
    let mut stage = Stage::with_rooms(&["net"], &["ada"]);
    let end = End { ending: Ending::LoginRefused(LoginRefusal::Credentials), words: "904".into() };
    let held = || News::Held { end: end.clone(), removed_after_ms: Some(300_000) };
    let shown = stage.news(held());
    let text = "!ada:hs: Your IRC user could not log in to NET (904). It does not come back by itself, and what you say in its \
                rooms does not reach IRC: write `login` to me in a private chat to set your account and password right, and \
                it comes back. Nobody there sees you read, so you are removed from rooms where others read on, after 5 \
                minutes.";
    assert_eq!(shown, text);
    // She tries again and again: each is answered by itself, and the same news wait.
    assert_eq!(stage.news(held()), "");
    assert_eq!(stage.news(held()), "");
    assert_eq!(stage.passes(600).lines().count(), 1);
    // Another reason is other news.
    let killed = End { ending: Ending::Killed, words: "spam".into() };
    let shown = stage.news(News::Held { end: killed, removed_after_ms: None });
    assert!(shown.contains("was removed from NET by an operator (spam)"), "{shown}");
    assert!(stage.news(connected(First::No)).contains("back on NET"));
}

#[test]
fn a_nick_that_changes_all_the_time_is_told_once_with_the_last_one() {
    let mut stage = Stage::with_rooms(&["net"], &["ada"]);
    let renamed = |from: &str, to: &str| News::Renamed { from: from.into(), to: to.into() };
    let shown = stage.news(renamed("ada", "Guest1"));
    let text =
        "!ada:hs: NET gave you another nick: you are Guest1 now, no longer ada. `nick` asks for another.";
    assert_eq!(shown, text);
    assert_eq!(stage.news(renamed("Guest1", "Guest2")), "");
    assert_eq!(stage.news(renamed("Guest2", "Guest3")), "");
    let shown = stage.passes(400);
    assert!(shown.contains("you are Guest3 now, no longer Guest1") && shown.lines().count() == 1, "{shown}");
    stage.news(renamed("Guest3", "ada"));
    stage.news(renamed("ada", "Guest3"));
    assert_eq!(stage.passes(1_000), "", "all is as it was told");
}

#[test]
fn other_news_of_a_connection_are_told_as_they_come() {
    let mut stage = Stage::with_rooms(&["net"], &["ada"]);
    let shown = stage.news(News::NoAccount { why: "services are away".into() });
    assert!(
        shown.contains("without your account: services are away") && shown.contains("`login`"),
        "{shown}"
    );
    stage.lost();
    let shown = stage.news(News::Asleep { why: "your connection to NET was closed".into() });
    assert_eq!(shown, "!ada:hs: Your connection to NET was closed. Say something and it comes back.");
    assert_eq!(stage.passes(1_000), "", "who sleeps is not missed");
}

#[test]
fn who_has_no_admin_room_any_more_is_told_nothing_there() {
    let mut stage = Stage::with_rooms(&["net"], &["ada"]);
    stage.lost();
    stage.member("ada", "ada", "ada", Membership::Leave);
    assert_eq!(stage.passes(1_000), "");
    assert_eq!(stage.lost(), "");
    assert_eq!(stage.admin.poll_timeout(), None);
}
