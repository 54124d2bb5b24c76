//! Whatever is written in an admin room is read without harm and answered once; and `docs/ADMIN_ROOM.md`, the page for people
//! on Matrix, is made here from the list of commands.
//!
//! `BUNRAKU_BLESS=1 cargo test --test admin` writes the page anew.

use std::path::Path;

use bunraku::bridge::admin::{
    ANSWER_MS_MAX, Admin, AdminEffect, AdminInput, NetworkName, OPEN_OF_ONE_MAX, Place, Settings,
};
use bunraku::bridge::command::reply::ROWS_MAX;
use bunraku::bridge::command::{self, COMMANDS, Command, Words};
use bunraku::bridge::errand::{Errand, Report};
use bunraku::bridge::input::{Before, BodyKind, MatrixEvent, MessageBody, Relation};
use bunraku::bridge::network::RelaySeqs;
use bunraku::bridge::policy::{Permission, Permissions};
use bunraku::ids::{EventId, InboxSeq, NetworkId, RelaySeq, RoomId, Time, UserId};
use bunraku::text::template::GhostTemplate;
use bunraku::text::whom::Whom;
use proptest::prelude::*;

fn table(who: Permission) -> String {
    let mut table = String::from("| command | what it does | in bridged rooms |\n|---|---|---|\n");
    for command in COMMANDS.iter().filter(|command| command.who == who) {
        let place = match command.place {
            command::Place::Anywhere => "yes",
            command::Place::AdminRoom => "",
        };
        table.push_str(&format!("| {} | {} | {place} |\n", code(&command.usage()), cell(command.help)));
    }
    table.trim_end().to_owned()
}

fn code(text: &str) -> String {
    format!("`{}`", cell(text))
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn each() -> String {
    COMMANDS.iter().map(|command| one(command)).collect::<Vec<_>>().join("\n\n")
}

fn one(command: &Command) -> String {
    let also: Vec<String> = command.also.iter().map(|name| format!("`{name}`")).collect();
    let also = if also.is_empty() { String::new() } else { format!(" Also {}.", also.join(", ")) };
    let more = if command.more.is_empty() { String::new() } else { format!(" {}", command.more) };
    let hidden = match command.words {
        Words::Secret => " Your message is taken out of the room.",
        Words::Open => "",
    };
    let examples: Vec<&str> = command.examples.to_vec();
    format!(
        "**{}**: {}{more}{hidden}{also}\n\n    {}",
        command.usage(),
        command.help,
        examples.join("\n    ")
    )
}

fn bounds() -> String {
    format!(
        "{OPEN_OF_ONE_MAX} commands of one person wait for their answers at once; a list shows {ROWS_MAX} rows and says how many more there \
         are; what nobody answers within {} seconds is told so.",
        ANSWER_MS_MAX / 1_000
    )
}

#[test]
fn the_page_for_people_says_what_the_code_does() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let frame = include_str!("admin/page.md");
    let made = frame
        .replace("{commands}", &table(Permission::User))
        .replace("{admin_commands}", &table(Permission::Admin));
    let made = made.replace("{each}", &each()).replace("{bounds}", &bounds());
    let page = root.join("docs/ADMIN_ROOM.md");
    if std::env::var_os("BUNRAKU_BLESS").is_some() {
        std::fs::write(&page, &made).expect("a writable page");
    }
    let there = std::fs::read_to_string(&page).expect("the page");
    assert!(
        there == made,
        "docs/ADMIN_ROOM.md is not what the code does: BUNRAKU_BLESS=1 cargo test --test admin"
    );
}

/// Lines as people and as others would write them.
fn line() -> impl Strategy<Value = String> {
    let names: Vec<String> = COMMANDS.iter().map(|command| command.name.to_owned()).collect();
    let words = [
        "#c",
        "@ada:hs",
        "@:",
        "hs",
        "net",
        "bob",
        "99999999999",
        "-1",
        "\"",
        "\"a b\"",
        "a,b",
        ":x",
        "+o",
        "`",
    ];
    let word = prop_oneof![
        prop::sample::select(words.to_vec()).prop_map(str::to_owned),
        any::<String>(),
        "[@#:!a-z\\[\\]\r\n\0,]{0,40}",
        (1..3_000usize).prop_map(|len| "é".repeat(len)),
    ];
    (prop::sample::select(names), prop::collection::vec(word, 0..6))
        .prop_map(|(name, words)| format!("{name} {}", words.join(" ")))
}

fn admin() -> Admin {
    let id = NetworkId::new("net").expect("a name");
    let ghosts = GhostTemplate::new("@irc_$NETWORK_$NICK", &id).expect("a template");
    let settings = Settings {
        bot: UserId::new("@bot:hs").expect("an id"),
        server_name: "hs".to_owned(),
        networks: vec![NetworkName { id, name: "Net".to_owned(), ghosts }],
        permissions: Permissions::new([(
            Whom::Person(UserId::new("@root:hs").expect("an id")),
            Permission::Admin,
        )]),
    };
    let mut admin = Admin::new(settings, RelaySeqs { next: RelaySeq(1), step: 1 });
    let (user, room) = (UserId::new("@root:hs").expect("an id"), RoomId::new("!r:hs").expect("an id"));
    admin.handle(Time(0), AdminInput::Room { user, room });
    admin
}

/// What was said: plain, and with its formatting.
type Said = (String, Option<String>);

/// One message, until nothing more comes of it: what was asked, how often it was settled, and what was said.
fn told(text: &str) -> (Vec<Errand>, usize, Vec<Said>) {
    let mut admin = admin();
    let event = MatrixEvent::Message {
        room: RoomId::new("!r:hs").expect("an id"),
        event_id: EventId::new("$e").expect("an id"),
        sender: UserId::new("@root:hs").expect("an id"),
        body: MessageBody::plain(BodyKind::Text, text),
        relation: Relation::None,
        origin_ms: 0,
    };
    admin.handle(
        Time(1),
        AdminInput::Event { seq: InboxSeq(1), event, before: Before::New, place: Place::Private },
    );
    let (mut asked, mut settled, mut said) = (Vec::new(), 0, Vec::new());
    loop {
        let mut effects = Vec::new();
        admin.take_effects(&mut effects);
        if effects.is_empty() {
            return (asked, settled, said);
        }
        for effect in effects {
            match effect {
                AdminEffect::Settle { .. } => settled += 1,
                AdminEffect::Say(relay) => said.push((relay.text, relay.html)),
                AdminEffect::Ask { ask, errand, .. } => {
                    asked.push(errand);
                    admin.handle(Time(2), AdminInput::Reported { ask, report: Report::Unknown });
                }
                AdminEffect::Keep { ask, .. } => {
                    admin.handle(Time(2), AdminInput::Kept { ask, kept: command::Kept::Failed });
                }
                AdminEffect::Upkeep { ask, .. } => {
                    admin.handle(Time(2), AdminInput::Upkept { ask, report: command::UpkeepReport::Failed });
                }
                AdminEffect::Hide { .. }
                | AdminEffect::Enter { .. }
                | AdminEffect::Ignore { .. }
                | AdminEffect::Leave { .. }
                | AdminEffect::LeaveUnlessLinked { .. }
                | AdminEffect::SaveRoom { .. }
                | AdminEffect::DropRoom { .. } => {}
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, ..ProptestConfig::default() })]

    #[test]
    fn anything_can_be_written_to_the_bot(line in line()) {
        let (asked, settled, said) = told(&line);
        prop_assert_eq!(settled, 1, "settled once: {:?}", line);
        prop_assert!(said.len() <= 2 && asked.len() <= 1, "{:?} {:?}", said, asked);
        for (text, html) in &said {
            prop_assert!(text.len() < 30_000 && html.as_ref().is_none_or(|html| html.len() < 30_000));
        }
        for errand in asked {
            if let Errand::Line(line) = errand {
                prop_assert!(!line.contains(['\r', '\n', '\0']), "{line:?}");
            }
        }
    }
}
