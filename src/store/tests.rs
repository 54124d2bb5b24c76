//! One suite of stories, run on SQLite always and on PostgreSQL with the feature `real-parts`, where
//! `BUNRAKU_TEST_POSTGRES` is the URL of a server on which databases may be made.

use std::collections::HashSet;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{TestCaseError, TestRunner};
use sqlx::{AssertSqlSafe, Executor, SqlSafeStr};

use super::db::{Conn, POSTGRES_SCHEMA, SQLITE_SCHEMA};
use super::*;
use crate::bridge::effect::{
    Asked, Author, Fate, Ghost, Life, Mark, NickRow, Outcome, Post, Redact, Relay, Rule, Said, Saying, Sign,
    Speaker,
};
use crate::bridge::input::{
    About, AbsenceTold, BanRow, BarRow, Before, BodyKind, HoldRow, Member, PolicyRule, PortalOrigin,
    PortalRow, QueryRow, QueryStanding, RuleKey, TombstoneRow, Unfit,
};
use crate::bridge::media::{Media, MediaCipher, MediaKind, MediaSource, PageText};
use crate::bridge::operators::rules::wish::{Reply, Wish};
use crate::ids::{ChannelName, EventId, InboxSeq, NetworkId, Nick, RelaySeq, RoomId, UserId};
use crate::secret::Secret;
use crate::text::casemap::CaseMap;
use crate::text::link::LinkPart;
use crate::vault::Vault;

/// A database of its own. The folder goes with it; on a server it stays, for the server is a throw-away one.
struct Place {
    url: String,
    _dir: Option<tempfile::TempDir>,
}

impl Place {
    async fn sqlite() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { url: format!("sqlite:{}", dir.path().join("bunraku.db").display()), _dir: Some(dir) }
    }

    #[cfg(feature = "real-parts")]
    async fn postgres() -> Self {
        use sqlx::Connection;
        use std::sync::atomic::{AtomicU32, Ordering};
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let server = std::env::var("BUNRAKU_TEST_POSTGRES").expect("BUNRAKU_TEST_POSTGRES names a server");
        let name = format!("bunraku_test_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let mut conn = sqlx::PgConnection::connect(&server).await.unwrap();
        let make = format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'");
        conn.execute(AssertSqlSafe(make).into_sql_str()).await.unwrap();
        let (base, query) = server.split_once('?').map_or((server.as_str(), ""), |parts| parts);
        let authority = base.split('/').nth(2).unwrap();
        Self { url: format!("postgres://{authority}/{name}?{query}"), _dir: None }
    }

    async fn open(&self) -> Store {
        Store::open(&self.url).await.unwrap()
    }

    async fn conn(&self) -> Conn {
        Source::parse(&self.url).unwrap().connect().await.unwrap()
    }
}

macro_rules! stories {
    ($($story:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $story() { super::$story(super::Place::sqlite().await).await })*
        }
        #[cfg(feature = "real-parts")]
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $story() { super::$story(super::Place::postgres().await).await })*
        }
    };
}

stories![
    an_event_is_told_of_before_it_is_durable,
    a_transaction_is_taken_once,
    fifty_copies_of_a_transaction_give_one_delivery,
    a_settled_row_is_over_and_its_text_gone,
    a_row_that_a_socket_took_is_known_after_a_crash,
    pruning_keeps_a_day_and_what_is_open,
    hostile_ids_do_not_fail_their_neighbours,
    lines_wait_in_the_outbox_over_a_restart,
    marks_wait_in_the_outbox_over_a_restart,
    what_lines_have_besides_their_text_waits_with_them,
    joined_lines_stay_joined_and_end_together,
    what_was_said_lately_is_remembered,
    a_line_that_is_named_after_the_end_is_known_by_its_event,
    a_refused_line_becomes_a_dead_letter,
    every_message_is_counted_once,
    what_goes_in_another_way_is_missed,
    a_line_that_never_touched_the_disk_is_counted,
    an_older_database_is_counted_from_here_on,
    random_days_keep_the_balance,
    outbox_numbers_are_never_used_again,
    a_room_is_in_one_portal,
    peoples_own_rooms_are_shared_by_networks,
    an_event_for_two_networks_ends_for_each,
    a_room_that_is_replaced_hands_its_portal_on,
    a_refused_change_leaves_its_neighbours,
    members_and_ghosts_are_remembered,
    facts_are_remembered,
    an_identity_is_for_good,
    an_ident_has_one_owner_in_every_spelling,
    a_crowd_with_one_localpart_finds_idents_and_nobody_waits_for_ever,
    an_address_is_never_given_twice,
    many_first_uses_at_once_collide_nowhere,
    two_processes_do_not_take_one_ident,
    a_login_is_remembered_and_sealed,
    a_sealed_secret_opens_in_its_own_row_only,
    channel_keys_are_remembered_and_sealed,
    everything_is_sealed_anew_after_a_rotation,
    tls_policies_are_remembered_until_they_end,
    private_chats_are_remembered,
    an_admin_room_is_remembered_until_there_is_a_newer_one,
    bans_are_remembered,
    rules_of_policy_lists_are_what_was_read_last,
    nicks_are_remembered,
    realnames_are_remembered,
    ignored_people_and_unwanted_mentions_are_remembered,
    removals_and_tombstones_are_remembered,
    who_stays_away_is_remembered,
    what_operators_asked_for_is_remembered,
    a_link_leads_on_until_it_ends,
    a_redacted_message_has_no_links_whatever_comes_after,
    links_have_one_key_for_good,
    no_number_of_an_event_is_given_twice,
    a_crash_loses_nothing_accepted,
    a_closed_store_says_so,
    a_newer_database_is_left_alone,
    every_statement_is_understood,
];

fn event(id: &str) -> NewEvent {
    let json = format!("{{\"id\":\"{id}\"}}");
    NewEvent { event_id: id.into(), room_id: "!room:hs".into(), json, network: None }
}

fn ids(rows: &[InboxRow]) -> Vec<&str> {
    rows.iter().map(|row| row.event_id.as_str()).collect()
}

fn net(name: &str) -> NetworkId {
    NetworkId::new(name).unwrap()
}

fn room(name: &str) -> RoomId {
    RoomId::new(&format!("!{name}:hs")).unwrap()
}

fn user(name: &str) -> UserId {
    UserId::new(&format!("@{name}:hs")).unwrap()
}

fn line(seq: i64, speaker: Speaker, text: &str) -> OutboxRow {
    let about = EventId::new("$about").filter(|_| speaker == Speaker::Bot);
    let relay =
        Relay { about, ..Relay::plain(RelaySeq(seq), room("a"), speaker, BodyKind::Emote, text.into()) };
    row(Post::Line(relay))
}

fn row(post: Post) -> OutboxRow {
    OutboxRow { seq: post.seq(), network: "net".into(), post, created: Time(77), joined: None }
}

async fn a_transaction_is_taken_once(place: Place) {
    let store = place.open().await;
    let first = store.accept(vec![event("$a"), event("$b")]).await.unwrap();
    assert_eq!(ids(&first), ["$a", "$b"]);
    assert!(first[0].seq < first[1].seq);
    assert_eq!(store.accept(vec![event("$a"), event("$b")]).await.unwrap(), []);
    let second = store.accept(vec![event("$b"), event("$c"), event("$c")]).await.unwrap();
    assert_eq!(ids(&second), ["$c"], "known event ids are left out");
    let open = store.inbox_after(InboxSeq(0), 10).await.unwrap();
    assert_eq!(open, [first.clone(), second].concat(), "all of them wait, in order");
    assert_eq!(ids(&store.inbox_after(first[0].seq, 1).await.unwrap()), ["$b"]);
}

async fn an_event_is_told_of_before_it_is_durable(place: Place) {
    let store = place.open().await;
    let (early, told) = tokio::sync::oneshot::channel();
    let rows = store.accept_early(event("$a"), early).await.unwrap();
    assert_eq!(told.await.as_ref(), Ok(&rows[0]), "the same row, under the same number");
    let (early, told) = tokio::sync::oneshot::channel();
    assert_eq!(store.accept_early(event("$a"), early).await.unwrap(), [], "it is known");
    assert!(told.await.is_err(), "and nobody is told of it twice");
    store.close().await.unwrap();
    let store = place.open().await;
    let later = store.accept(vec![event("$b")]).await.unwrap();
    assert!(later[0].seq > rows[0].seq, "numbers go on after a restart");
    let open = store.inbox_after(InboxSeq(0), 9).await.unwrap();
    assert_eq!(open.iter().map(|row| row.seq).collect::<Vec<_>>(), [rows[0].seq, later[0].seq]);
}

async fn fifty_copies_of_a_transaction_give_one_delivery(place: Place) {
    let store = place.open().await;
    let copies: Vec<_> = (0..50)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.accept(vec![event("$a"), event("$b")]).await.unwrap() })
        })
        .collect();
    let mut deliveries = Vec::new();
    for copy in copies {
        deliveries.extend(Some(copy.await.unwrap()).filter(|rows| !rows.is_empty()));
    }
    assert_eq!(deliveries.len(), 1);
    assert_eq!(ids(&deliveries[0]), ["$a", "$b"]);
    assert_eq!(store.inbox_counts().await.unwrap(), InboxCounts { open: 2, ..InboxCounts::default() });
}

async fn a_settled_row_is_over_and_its_text_gone(place: Place) {
    let store = place.open().await;
    let rows = store.accept(["$a", "$b", "$c", "$d"].map(event).to_vec()).await.unwrap();
    let outcomes = [Outcome::Delivered, Outcome::Failed("no \0 'such' nick".into()), Outcome::Expired];
    for (row, outcome) in rows.iter().zip(&outcomes) {
        store.settle(row.seq, outcome).await.unwrap();
    }
    assert_eq!(ids(&store.inbox_after(InboxSeq(0), 10).await.unwrap()), ["$d"]);
    store.settle(rows[0].seq, &Outcome::Expired).await.unwrap();
    let counts = InboxCounts { open: 1, delivered: 1, failed: 1, expired: 1 };
    assert_eq!(store.inbox_counts().await.unwrap(), counts, "the first outcome stays");
    let left = place.conn().await.fetch("SELECT json, reason FROM inbox ORDER BY seq", &[]).await.unwrap();
    assert_eq!(left[1].maybe_text(0).unwrap(), None);
    assert_eq!(left[1].text(1).unwrap(), "no \0 'such' nick");
    assert!(left[3].maybe_text(0).unwrap().is_some());
    assert_eq!(store.accept(vec![event("$a")]).await.unwrap(), [], "the event id is still known");
}

async fn a_row_that_a_socket_took_is_known_after_a_crash(place: Place) {
    let store = place.open().await;
    let rows = store.accept(["$a", "$b", "$c", "$d"].map(event).to_vec()).await.unwrap();
    assert!(rows.iter().all(|row| row.before == Before::New));
    for row in &rows[1..] {
        store.written(row.seq).await.unwrap().await;
        let noted = "SELECT seq FROM inbox WHERE written IS NOT NULL ORDER BY seq DESC";
        let noted = place.conn().await.fetch(noted, &[]).await.unwrap();
        assert_eq!(noted[0].int(0).unwrap(), row.seq.0, "it is on the disk when it is said to be");
    }
    store.settle(rows[3].seq, &Outcome::Delivered).await.unwrap();
    store.written(rows[3].seq).await.unwrap().await;
    store.close().await.unwrap();
    let store = place.open().await;
    let open = store.inbox_after(InboxSeq(0), 10).await.unwrap();
    let open: Vec<_> = open.iter().map(|row| (row.event_id.as_str(), row.before)).collect();
    assert_eq!(open, [("$a", Before::Accepted), ("$b", Before::Written), ("$c", Before::Written)]);
    store.settle(rows[1].seq, &Outcome::Failed("lost".into())).await.unwrap();
    store.close().await.unwrap();
    let counts = InboxCounts { open: 2, delivered: 1, failed: 1, expired: 0 };
    assert_eq!(place.open().await.inbox_counts().await.unwrap(), counts);
}

async fn pruning_keeps_a_day_and_what_is_open(place: Place) {
    let store = place.open().await;
    let many: Vec<_> = (0..1_200).map(|n| event(&format!("$e{n}"))).collect();
    let rows = store.accept(many.clone()).await.unwrap();
    let sent: Vec<_> = many.iter().map(|event| event.event_id.as_str()).collect();
    assert_eq!(ids(&rows), sent, "in order");
    for row in &rows[..1_100] {
        store.settle(row.seq, &Outcome::Delivered).await.unwrap();
    }
    assert_eq!(store.prune(Time(u64::MAX)).await.unwrap(), 0, "all of it is of the last day");
    store.flush().await.unwrap();
    let gone = store.prune_before(now().plus_ms(60_000)).await.unwrap();
    assert_eq!(gone, 1_100, "the settled rows");
    let counts = InboxCounts { open: 100, ..InboxCounts::default() };
    assert_eq!(store.inbox_counts().await.unwrap(), counts);
    let again = store.accept(vec![event("$e0")]).await.unwrap();
    assert!(again[0].seq > rows[1_199].seq, "places are not used again");
}

async fn hostile_ids_do_not_fail_their_neighbours(place: Place) {
    let store = place.open().await;
    let long = |tail: &str| format!("${}{tail}", (0..60_000).map(|n| n.to_string()).collect::<String>());
    let mut hostile: Vec<_> =
        ["", "$nul\0", "$nul\u{1}0", "$'; DROP TABLE inbox; --", "$\"\\", "$\u{10FFFF}\u{FFFD}é", "$ok"]
            .map(event)
            .to_vec();
    hostile.extend([event(&long("x")), event(&long("y"))]);
    hostile[1].room_id = "!\0'\"".into();
    hostile[1].json = "{\"raw\":\"\0\u{1}\", \"escaped\":\"\\u0000\"}".into();
    let rows = store.accept(hostile.clone()).await.unwrap();
    assert_eq!(rows.len(), hostile.len(), "each is another event");
    for (row, sent) in rows.iter().zip(&hostile[..7]) {
        let same = (&row.event_id, &row.room_id, &row.json) == (&sent.event_id, &sent.room_id, &sent.json);
        assert!(same, "{row:?}");
    }
    assert!(EventId::new(&rows[7].event_id).is_none(), "a shortened id is no legal id");
    assert_eq!(store.inbox_after(InboxSeq(0), 100).await.unwrap(), rows);
    assert_eq!(store.accept(hostile.clone()).await.unwrap(), []);
    assert_eq!(store.accept(hostile).await.unwrap(), []);
}

async fn lines_wait_in_the_outbox_over_a_restart(place: Place) {
    let store = place.open().await;
    let ghost = Ghost { user: user("irc_nick"), display_name: "ni'ck\0".into() };
    let lines = [line(1, Speaker::Bot, "a \0 \u{1}ACTION\u{1} \"b\""), line(2, Speaker::Ghost(ghost), "ö")];
    for line in [&lines[1], &lines[0], &line(3, Speaker::Bot, "gone"), &lines[0]] {
        store.outbox_put(line.clone()).await.unwrap();
    }
    store.flush().await.unwrap();
    store.outbox_done(RelaySeq(3)).await.unwrap();
    store.outbox_put(line(4, Speaker::Bot, "in and out")).await.unwrap();
    store.outbox_done(RelaySeq(4)).await.unwrap();
    store.close().await.unwrap();
    let store = place.open().await;
    assert_eq!(store.outbox_load().await.unwrap(), lines);
    let speakers = [(lines[1].post.room().clone(), user("irc_nick"))];
    assert_eq!(store.outbox_speakers().await.unwrap(), speakers);
}

async fn marks_wait_in_the_outbox_over_a_restart(place: Place) {
    let store = place.open().await;
    let status = |fate| Sign::Status { network: net("net"), fate };
    let signs = [
        Sign::Reaction("❌".into()),
        status(Fate::Delivered),
        status(Fate::Failed("\"#c\" is moderated\0".into())),
        status(Fate::Expired(String::new())),
    ];
    let row = |(seq, sign): (i64, Sign)| {
        let seq = RelaySeq(seq);
        let event = EventId::new("$said").unwrap();
        self::row(Post::Mark(Mark { seq, room: room("a"), speaker: Speaker::Bot, event, sign }))
    };
    let mut rows: Vec<OutboxRow> = (1..).zip(signs).map(row).collect();
    rows.push(line(5, Speaker::Bot, "reaction"));
    for row in &rows {
        store.outbox_put(row.clone()).await.unwrap();
    }
    // Whose room is no portal any more has no network but in what is told.
    let status = status(Fate::Delivered);
    let nowhere = OutboxRow { network: String::new(), ..row((6, status)) };
    store.outbox_put(nowhere.clone()).await.unwrap();
    rows.push(OutboxRow { network: "net".into(), ..nowhere });
    store.close().await.unwrap();
    let store = place.open().await;
    assert_eq!(store.outbox_load().await.unwrap(), rows);
    store.outbox_done(RelaySeq(1)).await.unwrap();
    store.flush().await.unwrap();
    assert_eq!(store.outbox_load().await.unwrap(), rows[1..]);
}

async fn what_lines_have_besides_their_text_waits_with_them(place: Place) {
    let store = place.open().await;
    let ghost = Speaker::Ghost(Ghost { user: user("irc_nick"), display_name: "nick".into() });
    let OutboxRow { post: Post::Line(plain), .. } = line(1, ghost.clone(), "hi") else { unreachable!() };
    let html = Some("<b>hi</b> \0 \u{1}".to_owned());
    let full = Relay { html, mentions: vec![user("a"), user("b")], said_ms: Some(5), ..plain };
    let event = EventId::new("$said").unwrap();
    let redact = Redact { seq: RelaySeq(2), room: room("a"), speaker: ghost.clone(), event, reason: None };
    let why =
        Redact { seq: RelaySeq(3), speaker: Speaker::Bot, reason: Some("spam\0".into()), ..redact.clone() };
    let (event, sign) = (redact.event.clone(), Sign::Reaction("👍".into()));
    let mark = Mark { seq: RelaySeq(4), room: room("a"), speaker: ghost, event, sign };
    let rows = [Post::Line(full), Post::Redact(redact), Post::Redact(why), Post::Mark(mark)].map(row);
    for row in &rows {
        store.outbox_put(row.clone()).await.unwrap();
    }
    store.close().await.unwrap();
    let store = place.open().await;
    assert_eq!(store.outbox_load().await.unwrap(), rows);
    store.outbox_fail(RelaySeq(1), "no").await.unwrap();
    assert_eq!(store.dead_letters(1).await.unwrap()[0].row, rows[0]);
    assert_eq!(figures(&store, "net", Direction::ToMatrix).await, [3, 0, 1, 0, 2]);
}

async fn joined_lines_stay_joined_and_end_together(place: Place) {
    let store = place.open().await;
    for seq in 1..=4 {
        store.outbox_put(line(seq, Speaker::Bot, "x")).await.unwrap();
    }
    let seqs: Vec<RelaySeq> = (2..=4).map(RelaySeq).collect();
    store.outbox_join(seqs.clone()).await.unwrap().await.unwrap();
    let joined = |rows: Vec<OutboxRow>| rows.iter().map(|row| (row.seq.0, row.joined)).collect::<Vec<_>>();
    let first = Some(RelaySeq(2));
    // Another process sees it: it is on the disk.
    let other = place.open().await;
    assert_eq!(joined(other.outbox_load().await.unwrap()), [(1, None), (2, first), (3, first), (4, first)]);
    store.outbox_done_all(seqs).await.unwrap();
    assert_eq!(joined(store.outbox_load().await.unwrap()), [(1, None)]);
    store.outbox_join(Vec::new()).await.unwrap().await.unwrap();
}

fn saying(id: u64, author: Author, excerpt: &str) -> Saying {
    let (event, msgids) = (EventId::new(&format!("${id}")), vec!["m\u{1}1".into(), "m2".into()]);
    let said = Said { room: room("a"), event, msgids, author, excerpt: excerpt.into(), life: Life::Stands };
    Saying { id, seq: None, said }
}

async fn lately(store: &Store, network: &str) -> Vec<Saying> {
    store.sayings(&net(network), CaseMap::Rfc1459).await.unwrap()
}

async fn what_was_said_lately_is_remembered(place: Place) {
    let store = place.open().await;
    let eve = Author::Irc(Nick::new("eve[]", CaseMap::Rfc1459).unwrap());
    let mut one = saying(1, Author::Matrix(user("ada")), "a \0 \"b\"");
    let two = Saying { seq: Some(RelaySeq(7)), ..saying(2, eve, "ö") };
    let all = vec![one.clone(), two.clone()];
    store.sayings_save(&net("net"), all.clone(), 0).await.unwrap();
    store.sayings_save(&net("other"), vec![saying(1, Author::Matrix(user("bob")), "x")], 0).await.unwrap();
    store.close().await.unwrap();
    let store = place.open().await;
    assert_eq!(lately(&store, "net").await, all);
    (one.said.life, one.said.excerpt) = (Life::Redacted, String::new());
    store.sayings_save(&net("net"), vec![one.clone()], 1).await.unwrap();
    assert_eq!(lately(&store, "net").await, [one, two.clone()]);
    store.sayings_save(&net("net"), vec![], 2).await.unwrap();
    assert_eq!(lately(&store, "net").await, [two]);
    assert_eq!(lately(&store, "other").await.len(), 1);
}

async fn a_line_that_is_named_after_the_end_is_known_by_its_event(place: Place) {
    let store = place.open().await;
    let eve = Author::Irc(Nick::new("eve", CaseMap::Ascii).unwrap());
    let mut unnamed = Saying { seq: Some(RelaySeq(7)), ..saying(1, eve, "x") };
    unnamed.said.event = None;
    store.sayings_save(&net("net"), vec![unnamed.clone()], 0).await.unwrap();
    let event = |name| EventId::new(name).unwrap();
    store.sayings_name(vec![(RelaySeq(7), event("$7")), (RelaySeq(8), event("$8"))]).await.unwrap();
    store.sayings_name(vec![(RelaySeq(7), event("$other"))]).await.unwrap();
    unnamed.said.event = EventId::new("$7");
    assert_eq!(store.sayings(&net("net"), CaseMap::Ascii).await.unwrap(), [unnamed]);
}

async fn a_refused_line_becomes_a_dead_letter(place: Place) {
    let store = place.open().await;
    store.outbox_put(line(1, Speaker::Bot, "too long")).await.unwrap();
    store.outbox_fail(RelaySeq(1), "M_TOO_LARGE").await.unwrap();
    store.outbox_fail(RelaySeq(2), "never was").await.unwrap();
    assert_eq!(store.outbox_load().await.unwrap(), []);
    let dead = store.dead_letters(10).await.unwrap();
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0].row, line(1, Speaker::Bot, "too long"));
    assert_eq!(dead[0].reason, "M_TOO_LARGE");
}

/// The figures of one network in one direction: accepted, delivered, failed, expired, in flight.
async fn figures(store: &Store, network: &str, direction: Direction) -> [u64; 5] {
    let tallies = store.tallies().await.unwrap();
    let tally = tallies.iter().find(|tally| tally.network == network && tally.direction == direction);
    tally.map_or([0; 5], |tally| {
        let Tally { accepted, delivered, failed, expired, in_flight, .. } = tally;
        [*accepted, *delivered, *failed, *expired, *in_flight]
    })
}

/// A message for this network.
fn message(id: &str, network: &str) -> NewEvent {
    NewEvent { network: Some(net(network)), ..event(id) }
}

fn ghost_line(seq: i64) -> OutboxRow {
    line(seq, Speaker::Ghost(Ghost { user: user("irc_nick"), display_name: "nick".into() }), "hi")
}

async fn every_message_is_counted_once(place: Place) {
    let store = place.open().await;
    let events = [message("$a", "one"), message("$b", "one"), event("$member"), message("$c", "two")];
    let rows = store.accept(events.to_vec()).await.unwrap();
    assert_eq!(rows[0].network, Some(net("one")));
    store.accept(events.to_vec()).await.unwrap();
    let late = store.accept(vec![event("$late")]).await.unwrap();
    assert_eq!(store.inbox_after(rows[3].seq, 10).await.unwrap(), late);
    for network in ["one", "two"] {
        store.inbox_route(late[0].seq, &net(network)).await.unwrap();
    }
    assert_eq!(figures(&store, "one", Direction::ToIrc).await, [3, 0, 0, 0, 3], "the late one, too");
    for _ in 0..2 {
        store.settle(rows[0].seq, &Outcome::Delivered).await.unwrap();
        store.settle(rows[1].seq, &Outcome::Failed("no".into())).await.unwrap();
        store.settle(rows[2].seq, &Outcome::Delivered).await.unwrap();
        store.settle(rows[3].seq, &Outcome::Expired).await.unwrap();
        store.flush().await.unwrap();
    }
    assert_eq!(figures(&store, "one", Direction::ToIrc).await, [3, 1, 1, 0, 1]);
    assert_eq!(figures(&store, "two", Direction::ToIrc).await, [1, 0, 0, 1, 0]);
    assert_eq!(store.prune_before(now().plus_ms(60_000)).await.unwrap(), 4);
    for row in [ghost_line(1), ghost_line(2), ghost_line(3), line(4, Speaker::Bot, "told")] {
        store.outbox_put(row).await.unwrap();
    }
    store.flush().await.unwrap();
    store.outbox_done(RelaySeq(1)).await.unwrap();
    store.outbox_done(RelaySeq(1)).await.unwrap();
    store.outbox_fail(RelaySeq(2), "too many waited").await.unwrap();
    store.close().await.unwrap();
    let store = place.open().await;
    assert_eq!(figures(&store, "one", Direction::ToIrc).await, [3, 1, 1, 0, 1], "also of what was pruned");
    assert_eq!(figures(&store, "net", Direction::ToMatrix).await, [3, 1, 1, 0, 1]);
    assert_eq!(figures(&store, "net", Direction::Notices).await, [1, 0, 0, 0, 1]);
    let audit = store.audit(1).await.unwrap();
    audit.assert_balanced();
    let seqs: Vec<_> = audit.unsettled.iter().map(|row| (row.direction, row.seq)).collect();
    assert_eq!(seqs, [(Direction::ToIrc, late[0].seq.0), (Direction::ToMatrix, 3)], "the oldest of each");
    assert_eq!(audit.unsettled[1].since, Time(77));
    let [dead] = &audit.given_up[..] else { panic!("{audit:?}") };
    assert_eq!((dead.row.seq, dead.reason.as_str()), (2, "too many waited"));
    assert!(!format!("{audit:?}").contains("hi\""), "no text: {audit:?}");
}

async fn what_goes_in_another_way_is_missed(place: Place) {
    let store = place.open().await;
    store.accept(vec![message("$a", "one"), message("$b", "one")]).await.unwrap();
    store.outbox_put(ghost_line(1)).await.unwrap();
    store.flush().await.unwrap();
    store.audit(0).await.unwrap().assert_balanced();
    let mut conn = place.conn().await;
    conn.execute("DELETE FROM inbox WHERE event_id = '$a'", &[]).await.unwrap();
    conn.execute("DELETE FROM outbox", &[]).await.unwrap();
    let audit = store.audit(0).await.unwrap();
    assert!(!audit.is_balanced());
    assert_eq!(audit.tallies.iter().map(Tally::missing).collect::<Vec<_>>(), [1, 1]);
    conn.execute("INSERT INTO tallies VALUES ('one', 'to_irc', 'expired', 3)", &[]).await.unwrap();
    let tallies = store.tallies().await.unwrap();
    let tally = tallies.iter().find(|tally| tally.network == "one").unwrap();
    assert_eq!(tally.missing(), -2, "more ends than messages");
}

async fn a_line_that_never_touched_the_disk_is_counted(place: Place) {
    let store = place.open().await;
    for seq in 1..=500 {
        store.outbox_put(ghost_line(seq)).await.unwrap();
        store.outbox_done(RelaySeq(seq)).await.unwrap();
    }
    store.close().await.unwrap();
    let store = place.open().await;
    assert_eq!(figures(&store, "net", Direction::ToMatrix).await, [500, 500, 0, 0, 0]);
    // Events do not wait for counts, and counts do not get lost behind events.
    store.outbox_put(ghost_line(501)).await.unwrap();
    store.outbox_done(RelaySeq(501)).await.unwrap();
    store.accept(vec![message("$a", "net")]).await.unwrap();
    assert_eq!(figures(&store, "net", Direction::ToMatrix).await, [501, 501, 0, 0, 0]);
}

async fn an_older_database_is_counted_from_here_on(place: Place) {
    let store = place.open().await;
    let rows = store.accept(vec![event("$open"), event("$settled")]).await.unwrap();
    store.settle(rows[1].seq, &Outcome::Delivered).await.unwrap();
    for row in [ghost_line(1), ghost_line(2), line(3, Speaker::Bot, "told")] {
        store.outbox_put(row).await.unwrap();
    }
    store.outbox_fail(RelaySeq(2), "no").await.unwrap();
    store.close().await.unwrap();
    // Back to the version before the tallies, as far as this table and its helpers go.
    let mut conn = place.conn().await;
    let triggers = conn.choose(OLDER_SQLITE, OLDER_POSTGRES);
    for sql in triggers.split(';').filter(|sql| !sql.trim().is_empty()) {
        let sql = AssertSqlSafe(sql).into_sql_str();
        let ran = match &mut conn {
            Conn::Sqlite(conn) => (&mut **conn).execute(sql).await.map(|_| ()),
            Conn::Postgres(conn) => (&mut **conn).execute(sql).await.map(|_| ()),
        };
        ran.unwrap();
    }
    let store = place.open().await;
    assert_eq!(figures(&store, "net", Direction::ToMatrix).await, [2, 0, 1, 0, 1]);
    assert_eq!(figures(&store, "net", Direction::Notices).await, [1, 0, 0, 0, 1]);
    store.inbox_route(rows[0].seq, &net("net")).await.unwrap();
    store.settle(rows[0].seq, &Outcome::Expired).await.unwrap();
    assert_eq!(figures(&store, "net", Direction::ToIrc).await, [1, 0, 0, 1, 0], "what was open then");
    store.audit(0).await.unwrap().assert_balanced();
}

const OLDER_SQLITE: &str = "DROP TRIGGER inbox_accepted; DROP TRIGGER inbox_routed; DROP TRIGGER inbox_settled; \
    DROP TRIGGER outbox_accepted; DROP TRIGGER dead_letters_failed; DROP TABLE tallies; \
    ALTER TABLE inbox DROP COLUMN network; DELETE FROM _sqlx_migrations WHERE version = 7";
const OLDER_POSTGRES: &str = "DROP TABLE tallies; DROP FUNCTION tally_inbox_accepted CASCADE; \
    DROP FUNCTION tally_inbox_changed CASCADE; DROP FUNCTION tally_lines CASCADE; \
    ALTER TABLE inbox DROP COLUMN network; DELETE FROM _sqlx_migrations WHERE version = 7";

/// One thing that happens; numbers pick among what is there.
#[derive(Clone, Debug)]
enum Happening {
    /// Events, messages or not, some of them known already.
    Accept(Vec<(u8, bool)>),
    Route(usize),
    Settle(usize, Outcome),
    Put(bool),
    Done(usize),
    Fail(usize),
    Flush,
    Prune,
    Restart,
}

fn happening() -> impl Strategy<Value = Happening> {
    let outcome =
        prop_oneof![Just(Outcome::Delivered), Just(Outcome::Failed("no".into())), Just(Outcome::Expired)];
    prop_oneof![
        4 => proptest::collection::vec((0..40u8, any::<bool>()), 1..4).prop_map(Happening::Accept),
        1 => any::<usize>().prop_map(Happening::Route),
        6 => (any::<usize>(), outcome).prop_map(|(pick, outcome)| Happening::Settle(pick, outcome)),
        6 => any::<bool>().prop_map(Happening::Put),
        5 => any::<usize>().prop_map(Happening::Done),
        1 => any::<usize>().prop_map(Happening::Fail),
        2 => Just(Happening::Flush),
        1 => Just(Happening::Prune),
        1 => Just(Happening::Restart),
    ]
}

/// What ought to be in the database after what happened.
#[derive(Default)]
struct Expected {
    /// Event ids that are known: those that are open, by place, with whether they count, and those that are settled.
    open: Vec<(InboxSeq, String, bool)>,
    settled: HashSet<String>,
    /// Lines on their way.
    lines: Vec<(RelaySeq, Direction)>,
    counts: std::collections::HashMap<Direction, [u64; 5]>,
}

impl Expected {
    fn count(&mut self, direction: Direction, figure: usize) {
        self.counts.entry(direction).or_default()[figure] += 1;
    }

    fn in_flight(&mut self) {
        let inbox = self.open.iter().filter(|(.., counts)| *counts).count() as u64;
        self.counts.entry(Direction::ToIrc).or_default()[4] = inbox;
        for direction in [Direction::ToMatrix, Direction::Notices] {
            let lines = self.lines.iter().filter(|line| line.1 == direction).count() as u64;
            self.counts.entry(direction).or_default()[4] = lines;
        }
    }
}

/// A place, its store, and the number of the next line.
struct Days {
    place: Place,
    store: Option<Store>,
    next: i64,
    day: usize,
}

impl Days {
    fn store(&self) -> &Store {
        self.store.as_ref().expect("it is open")
    }

    async fn day(&mut self, happenings: Vec<Happening>) {
        self.day += 1;
        let network = format!("day{}", self.day);
        let mut expected = Expected::default();
        for happening in happenings {
            self.happen(&network, happening, &mut expected).await;
        }
        expected.in_flight();
        for direction in Direction::ALL {
            let counted = figures(self.store(), &network, direction).await;
            let right = expected.counts.get(&direction).copied().unwrap_or_default();
            assert_eq!(counted, right, "{direction:?}: accepted, delivered, failed, expired, in flight");
        }
        self.store().audit(3).await.unwrap().assert_balanced();
    }

    async fn happen(&mut self, network: &str, happening: Happening, expected: &mut Expected) {
        match happening {
            Happening::Accept(events) => self.accept(network, &events, expected).await,
            Happening::Route(pick) => {
                let open = expected.open.len().max(1);
                let Some((seq, _, counts)) = expected.open.get_mut(pick % open) else { return };
                self.store().inbox_route(*seq, &net(network)).await.unwrap();
                if !std::mem::replace(counts, true) {
                    expected.count(Direction::ToIrc, 0);
                }
            }
            Happening::Settle(pick, outcome) => {
                if expected.open.is_empty() {
                    return;
                }
                let (seq, id, counts) = expected.open.remove(pick % expected.open.len());
                self.store().settle(seq, &outcome).await.unwrap();
                self.store().settle(seq, &Outcome::Expired).await.unwrap();
                expected.settled.insert(id);
                let figure = match outcome {
                    Outcome::Delivered => 1,
                    Outcome::Failed(_) => 2,
                    Outcome::Expired => 3,
                };
                if counts {
                    expected.count(Direction::ToIrc, figure);
                }
            }
            Happening::Put(is_own) => {
                self.next += 1;
                let row = if is_own { line(self.next, Speaker::Bot, "x") } else { ghost_line(self.next) };
                let row = OutboxRow { network: network.to_owned(), ..row };
                expected.lines.push((row.seq, row.direction()));
                expected.count(row.direction(), 0);
                self.store().outbox_put(row).await.unwrap();
            }
            Happening::Done(pick) => {
                if expected.lines.is_empty() {
                    return;
                }
                let (seq, direction) = expected.lines.remove(pick % expected.lines.len());
                self.store().outbox_done(seq).await.unwrap();
                self.store().outbox_done(seq).await.unwrap();
                expected.count(direction, 1);
            }
            Happening::Fail(pick) => {
                if expected.lines.is_empty() {
                    return;
                }
                let (seq, direction) = expected.lines.remove(pick % expected.lines.len());
                self.store().outbox_fail(seq, "no").await.unwrap();
                expected.count(direction, 2);
            }
            Happening::Flush => self.store().flush().await.unwrap(),
            Happening::Prune => {
                self.store().flush().await.unwrap();
                self.store().prune_before(now().plus_ms(60_000)).await.unwrap();
                expected.settled.clear();
            }
            Happening::Restart => {
                self.store.take().expect("it is open").close().await.unwrap();
                self.store = Some(self.place.open().await);
            }
        }
    }

    async fn accept(&self, network: &str, events: &[(u8, bool)], expected: &mut Expected) {
        let name = |id: u8| format!("${network}.{id}");
        let new = events.iter().map(|(id, counts)| match counts {
            true => message(&name(*id), network),
            false => event(&name(*id)),
        });
        let rows = self.store().accept(new.collect()).await.unwrap();
        for row in rows {
            let is_known = expected.settled.contains(&row.event_id)
                || expected.open.iter().any(|(_, id, _)| *id == row.event_id);
            assert!(!is_known, "{} was known", row.event_id);
            if row.network.is_some() {
                expected.count(Direction::ToIrc, 0);
            }
            expected.open.push((row.seq, row.event_id, row.network.is_some()));
        }
    }
}

async fn random_days_keep_the_balance(place: Place) {
    let store = Some(place.open().await);
    let days = std::cell::RefCell::new(Days { place, store, next: 0, day: 0 });
    let handle = tokio::runtime::Handle::current();
    let config = ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = TestRunner::new(config);
    let day = proptest::collection::vec(happening(), 1..80);
    tokio::task::block_in_place(|| {
        let ran = runner.run(&day, |happenings| {
            let mut days = days.borrow_mut();
            let ran = std::panic::AssertUnwindSafe(|| handle.block_on(days.day(happenings)));
            std::panic::catch_unwind(ran).map_err(|why| {
                let words = why.downcast_ref::<String>().cloned().unwrap_or_default();
                TestCaseError::fail(words)
            })
        });
        ran.unwrap_or_else(|why| panic!("{why}"));
    });
}

async fn outbox_numbers_are_never_used_again(place: Place) {
    let store = place.open().await;
    assert_eq!(store.outbox_last().await.unwrap(), None);
    let far = 5_000_000;
    for seq in [1, far] {
        store.outbox_put(line(seq, Speaker::Bot, "hi")).await.unwrap();
        store.outbox_done(RelaySeq(seq)).await.unwrap();
    }
    store.close().await.unwrap();
    let store = place.open().await;
    let last = store.outbox_last().await.unwrap();
    assert!(last >= Some(RelaySeq(far)), "{last:?}");
    store.close().await.unwrap();
    assert!(place.open().await.outbox_last().await.unwrap() > last, "the block that was given out is used");
}

async fn a_room_is_in_one_portal(place: Place) {
    let store = place.open().await;
    let row = |name: &str, channel: &str| {
        let channel = channel.to_owned();
        PortalRow { room: room(name), channel, origin: PortalOrigin::Alias }
    };
    let plumbed = PortalRow { origin: PortalOrigin::Config, ..row("b", "#b'\u{1F980}") };
    for portal in [&row("a", "#a"), &plumbed, &row("a", "#other")] {
        store.portal_save(&net("one"), portal).await.unwrap();
    }
    let refused = store.portal_save(&net("two"), &row("a", "#a")).await.unwrap_err();
    assert!(matches!(refused, StoreError::Refused(_)), "{refused}");
    assert_eq!(store.portals(&net("one")).await.unwrap(), [row("a", "#other"), plumbed.clone()]);
    assert_eq!(store.portals(&net("two")).await.unwrap(), []);
    let by_people = PortalRow { origin: PortalOrigin::Plumbed, ..row("p", "#p") };
    store.portal_save(&net("one"), &by_people).await.unwrap();
    let refused = store.portal_save(&net("two"), &by_people).await.unwrap_err();
    assert!(
        matches!(refused, StoreError::Refused(_)),
        "only rooms of the configuration are shared: {refused}"
    );
    let configured = PortalRow { origin: PortalOrigin::Config, ..by_people.clone() };
    assert_eq!(store.portals(&net("one")).await.unwrap()[2], by_people);
    store.portal_save(&net("one"), &configured).await.unwrap();
    assert_eq!(store.portals(&net("one")).await.unwrap()[2], configured, "the configuration takes it over");
    store.portal_remove(&net("one"), &room("p")).await.unwrap();
    store.member_save(&room("a"), &user("alice"), None).await.unwrap();
    store.portal_remove(&net("two"), &room("a")).await.unwrap();
    assert_eq!(store.members(&net("one")).await.unwrap().len(), 1, "another network's portal is not touched");
    store.portal_remove(&net("one"), &room("a")).await.unwrap();
    assert_eq!(store.portals(&net("one")).await.unwrap(), [plumbed]);
    assert_eq!(store.members(&net("one")).await.unwrap(), []);
}

async fn peoples_own_rooms_are_shared_by_networks(place: Place) {
    let store = place.open().await;
    let row = |name: &str, channel: &str| PortalRow {
        room: room(name),
        channel: channel.to_owned(),
        origin: PortalOrigin::Config,
    };
    for (network, channel) in
        [("one", "#a"), ("two", "#b"), ("three", "#c"), ("two", "#other"), ("one", "#a")]
    {
        store.portal_save(&net(network), &row("r", channel)).await.unwrap();
    }
    store.member_save(&room("r"), &user("alice"), None).await.unwrap();
    store.ghost_joined(&room("r"), &user("irc_eve")).await.unwrap();
    let naming = async |network: &str, name: &str| {
        store.pairing(&net(network), &room(name)).await.unwrap().map(|pairing| pairing.naming)
    };
    assert_eq!(naming("one", "r").await, Some(Naming::Plain));
    assert_eq!(naming("two", "r").await, Some(Naming::ByNetwork));
    assert_eq!(store.portals(&net("two")).await.unwrap(), [row("r", "#other")]);
    let rooms = store.portal_rooms().await.unwrap();
    assert_eq!(rooms.iter().map(|(room, _)| room.clone()).collect::<Vec<_>>(), [room("r")], "read back once");
    for network in ["one", "two"] {
        assert_eq!(store.members(&net(network)).await.unwrap().len(), 1, "{network}");
    }
    // The first one leaves: how the others' rows are named stays, also when they are saved again.
    store.portal_remove(&net("one"), &room("r")).await.unwrap();
    store.portal_save(&net("two"), &row("r", "#other")).await.unwrap();
    assert_eq!((naming("one", "r").await, naming("two", "r").await), (None, Some(Naming::ByNetwork)));
    assert_eq!(store.members(&net("two")).await.unwrap().len(), 1, "they are still there");
    assert_eq!(store.ghost_rooms().await.unwrap().len(), 1);
    // A room that is replaced hands on each pairing as it is.
    store.portal_save(&net("one"), &row("r", "#a")).await.unwrap();
    for network in ["two", "one", "three"] {
        for _ in 0..2 {
            store.portal_move(&net(network), &room("r"), &row("s", "#a"), &[]).await.unwrap();
        }
    }
    assert_eq!(naming("one", "s").await, Some(Naming::Plain));
    assert_eq!(naming("two", "s").await, Some(Naming::ByNetwork));
    assert_eq!(naming("two", "r").await, None);
    assert_eq!(store.all_successions().await.unwrap(), [(room("r"), room("s"))]);
    assert_eq!(store.members(&net("three")).await.unwrap(), [], "nobody is in the old room");
    // Rooms that the bridge made are one network's.
    let made = PortalRow { origin: PortalOrigin::Alias, ..row("made", "#m") };
    store.portal_save(&net("one"), &made).await.unwrap();
    for taken in [made, row("made", "#m"), PortalRow { origin: PortalOrigin::Alias, ..row("s", "#m") }] {
        let refused = store.portal_save(&net("four"), &taken).await.unwrap_err();
        assert!(matches!(refused, StoreError::Refused(_)), "{refused}");
    }
}

async fn an_event_for_two_networks_ends_for_each(place: Place) {
    let store = place.open().await;
    let two = || vec![message("$a", "one"), message(&copy_name("$a", &net("two")), "two")];
    let rows = store.accept(two()).await.unwrap();
    assert_eq!(store.accept(two()).await.unwrap(), [], "each of them is known");
    let copies: Vec<_> = rows.iter().map(InboxRow::copy_for).collect();
    assert_eq!(copies, [None, Some(net("two"))]);
    store.settle(rows[0].seq, &Outcome::Delivered).await.unwrap();
    store.written(rows[1].seq).await.unwrap().await;
    store.close().await.unwrap();
    // A crash between the two ends: what is open comes again for its own network alone.
    let store = place.open().await;
    let [open] = &store.inbox_after(InboxSeq(0), 10).await.unwrap()[..] else { panic!("one is open") };
    assert_eq!((open.copy_for(), open.before), (Some(net("two")), Before::Written));
    store.audit(9).await.unwrap().assert_balanced();
    store.settle(open.seq, &Outcome::Expired).await.unwrap();
    store.flush().await.unwrap();
    assert_eq!(figures(&store, "one", Direction::ToIrc).await, [1, 1, 0, 0, 0]);
    assert_eq!(figures(&store, "two", Direction::ToIrc).await, [1, 0, 0, 1, 0]);
}

async fn a_room_that_is_replaced_hands_its_portal_on(place: Place) {
    let store = place.open().await;
    let row = |name: &str| PortalRow { room: room(name), channel: "#a".into(), origin: PortalOrigin::Config };
    store.portal_save(&net("one"), &row("a")).await.unwrap();
    store.member_save(&room("a"), &user("alice"), None).await.unwrap();
    store.portal_save(&net("two"), &row("taken")).await.unwrap();
    for _ in 0..2 {
        // A commit of unknown end is tried again.
        store.portal_move(&net("one"), &room("a"), &row("b"), &[]).await.unwrap();
    }
    let tombstone =
        |of: &str, to: &str, why| TombstoneRow { room: room(of), to: room(to), sender: user("alice"), why };
    let ban =
        |of: &str, name: &str, mask: &str| BanRow { room: room(of), ghost: user(name), mask: mask.into() };
    for (of, name, mask) in [("b", "eve", "old"), ("b", "carl", "carl!*@*"), ("c", "eve", "new")] {
        store.ban_save(&net("one"), &ban(of, name, mask)).await.unwrap();
    }
    store.tombstone_save(&net("one"), &tombstone("b", "c", Unfit::Closed)).await.unwrap();
    let people = [Member { user: user("alice"), display_name: Some("Alice".into()) }];
    store.portal_move(&net("one"), &room("b"), &row("c"), &people).await.unwrap();
    let refused = store.portal_move(&net("one"), &room("c"), &row("taken"), &[]).await.unwrap_err();
    assert!(matches!(refused, StoreError::Refused(_)), "{refused}");
    store.close().await.unwrap();
    let store = place.open().await;
    assert_eq!(store.portals(&net("one")).await.unwrap(), [row("c")], "all of it, or nothing");
    assert_eq!(
        store.members(&net("one")).await.unwrap(),
        [(room("c"), people.to_vec())],
        "with those who are there"
    );
    let bans = [ban("c", "carl", "carl!*@*"), ban("c", "eve", "new")];
    assert_eq!(store.bans(&net("one")).await.unwrap(), bans, "with the bans, but for newer ones");
    assert_eq!(store.tombstones(&net("one")).await.unwrap(), []);
    assert_eq!(store.successor(&room("a")).await.unwrap(), Some(room("b")));
    assert_eq!(store.successor(&room("c")).await.unwrap(), None);
    let pairs = [(room("a"), room("b")), (room("b"), room("c"))];
    assert_eq!(store.successions(&net("one")).await.unwrap(), pairs);
    assert_eq!(store.successions(&net("two")).await.unwrap(), []);
}

async fn a_refused_change_leaves_its_neighbours(place: Place) {
    let store = place.open().await;
    let portal = PortalRow { room: room("a"), channel: "#a".into(), origin: PortalOrigin::Alias };
    store.portal_save(&net("one"), &portal).await.unwrap();
    let rows = store.accept(vec![event("$a")]).await.unwrap();
    // Lazy changes wait for company, so they share a commit with the awaited ones behind them.
    store.outbox_put(line(1, Speaker::Bot, "hi")).await.unwrap();
    store.settle(rows[0].seq, &Outcome::Delivered).await.unwrap();
    store.member_save(&room("a"), &user("alice"), Some("Alice")).await.unwrap();
    let two = net("two");
    let (refused, accepted, noted) = tokio::join!(
        store.portal_save(&two, &portal),
        store.accept(vec![event("$b")]),
        store.meta_set("name", "value"),
    );
    assert!(matches!(refused, Err(StoreError::Refused(_))));
    assert_eq!(ids(&accepted.unwrap()), ["$b"]);
    noted.unwrap();
    assert_eq!(store.outbox_load().await.unwrap().len(), 1);
    assert_eq!(store.members(&net("one")).await.unwrap().len(), 1);
    let counts = InboxCounts { open: 1, delivered: 1, ..InboxCounts::default() };
    assert_eq!(store.inbox_counts().await.unwrap(), counts);
}

async fn members_and_ghosts_are_remembered(place: Place) {
    let store = place.open().await;
    for name in ["a", "b"] {
        let portal = PortalRow { room: room(name), channel: "#c".into(), origin: PortalOrigin::Alias };
        store.portal_save(&net("one"), &portal).await.unwrap();
    }
    store.member_save(&room("a"), &user("alice"), Some("A")).await.unwrap();
    store.member_remove(&room("a"), &user("alice")).await.unwrap();
    store.member_save(&room("a"), &user("alice"), Some("Al\0ice")).await.unwrap();
    store.member_save(&room("b"), &user("bob"), None).await.unwrap();
    store.member_save(&room("b"), &user("carol"), None).await.unwrap();
    store.member_remove(&room("b"), &user("carol")).await.unwrap();
    store.ghost_save(&user("irc_x"), "x").await.unwrap();
    store.ghost_save(&user("irc_x"), "X").await.unwrap();
    store.ghost_joined(&room("a"), &user("irc_x")).await.unwrap();
    store.ghost_joined(&room("b"), &user("irc_x")).await.unwrap();
    store.ghost_left(&room("b"), &user("irc_x")).await.unwrap();
    store.close().await.unwrap();
    let store = place.open().await;
    let member = |name: &str, display_name: Option<&str>| {
        vec![Member { user: user(name), display_name: display_name.map(str::to_owned) }]
    };
    let expected = [(room("a"), member("alice", Some("Al\0ice"))), (room("b"), member("bob", None))];
    assert_eq!(store.members(&net("one")).await.unwrap(), expected, "the last word of each counts");
    let ghost = Ghost { user: user("irc_x"), display_name: "X".into() };
    assert_eq!(store.ghosts().await.unwrap(), [ghost]);
    assert_eq!(store.ghost_rooms().await.unwrap(), [(room("a"), user("irc_x"))]);
}

async fn facts_are_remembered(place: Place) {
    let store = place.open().await;
    assert_eq!(store.casemap(&net("one")).await.unwrap(), None);
    store.casemap_save(&net("one"), "ascii").await.unwrap();
    store.casemap_save(&net("one"), "rfc1459").await.unwrap();
    assert_eq!(store.casemap(&net("one")).await.unwrap().as_deref(), Some("rfc1459"));
    assert_eq!(store.meta_get("control room").await.unwrap(), None);
    store.meta_set("control room", "!a:hs").await.unwrap();
    assert_eq!(store.meta_get("control room").await.unwrap().as_deref(), Some("!a:hs"));
}

/// `alice`, `alice1`, `alice2`, …
fn counted(name: &str) -> impl Iterator<Item = String> + Send + use<> {
    let name = name.to_owned();
    std::iter::once(name.clone()).chain((1..).map(move |n| format!("{name}{n}")))
}

fn only(ident: &str) -> [String; 1] {
    [ident.to_owned()]
}

async fn an_identity_is_for_good(place: Place) {
    let store = place.open().await;
    let first = store.identity(&net("one"), &user("alice"), counted("alice")).await.unwrap();
    assert_eq!(first, StoredIdentity { ident: "alice".into(), block: 1, number: 1 });
    let renamed = store.identity(&net("one"), &user("alice"), counted("other")).await.unwrap();
    assert_eq!(renamed, first, "what is proposed later is not looked at");
    store.close().await.unwrap();
    let store = place.open().await;
    assert_eq!(store.identity(&net("one"), &user("alice"), []).await.unwrap(), first);
    let two = store.identity(&net("two"), &user("alice"), counted("alice")).await.unwrap();
    assert_eq!(two, StoredIdentity { ident: "alice".into(), block: 1, number: 2 }, "networks are apart");
    let told = store.identity(&net("one"), &user("bob"), only("alice")).await.unwrap_err();
    let sentence = "every ident for @bob:hs on one belongs to somebody else".to_owned();
    assert_eq!(told, StoreError::Refused(sentence));
}

async fn an_ident_has_one_owner_in_every_spelling(place: Place) {
    let store = place.open().await;
    let one = net("one");
    store.identity(&one, &user("alice"), only("Al[x]~")).await.unwrap();
    for spelling in ["Al[x]~", "al[x]~", "AL{X}^"] {
        let told = store.identity(&one, &user("bob"), only(spelling)).await;
        assert!(matches!(told, Err(StoreError::Refused(_))), "{spelling}: {told:?}");
        let owner = store.identity_of_ident(&one, spelling).await.unwrap().expect("somebody's");
        assert_eq!((owner.user, owner.identity.ident.as_str()), (user("alice"), "Al[x]~"));
        assert!(owner.since > Time(0));
    }
    let hostile = ["", "a\0", "a\nb", "'; --"].map(str::to_owned);
    let identity = store.identity(&one, &user("mallory"), hostile).await.unwrap();
    assert_eq!(identity.ident, "'; --", "what cannot be an ident is left out");
    assert_eq!(store.identity_of_ident(&one, "nobody").await.unwrap(), None);
    assert_eq!(store.identity_of_ident(&net("two"), "Al[x]~").await.unwrap(), None);
}

async fn a_crowd_with_one_localpart_finds_idents_and_nobody_waits_for_ever(place: Place) {
    let store = place.open().await;
    let everybody = |n: u32| UserId::new(&format!("@alice:hs{n}")).unwrap();
    let mut idents = HashSet::new();
    for n in 0..300 {
        let candidates = crate::text::ident::candidates(&everybody(n), 9);
        idents.insert(store.identity(&net("net"), &everybody(n), candidates).await.unwrap().ident);
    }
    assert_eq!(idents.len(), 300);
    let told = store.identity(&net("net"), &user("late"), std::iter::repeat("alice".to_owned())).await;
    assert!(matches!(told, Err(StoreError::Refused(_))), "{told:?}");
}

async fn an_address_is_never_given_twice(place: Place) {
    let store = place.open().await;
    let mut seen = Vec::new();
    for (name, block, number) in
        [("@a:one", 1, 1), ("@b:one", 1, 2), ("@a:two", 2, 1), ("@c:ONE", 1, 3), ("@a:two:8448", 3, 1)]
    {
        let user = UserId::new(name).unwrap();
        let identity = store.identity(&net("net"), &user, counted("x")).await.unwrap();
        assert_eq!((identity.block, identity.number), (block, number), "{name}");
        seen.push(identity);
    }
    // Not even where somebody has deleted rows by hand.
    place.conn().await.execute("DELETE FROM identities", &[]).await.unwrap();
    let again = store.identity(&net("net"), &UserId::new("@a:one").unwrap(), counted("x")).await.unwrap();
    assert_eq!((again.block, again.number), (1, 4));
    seen.push(again);
    let addresses: HashSet<_> = seen.iter().map(|identity| (identity.block, identity.number)).collect();
    assert_eq!(addresses.len(), seen.len());
}

async fn many_first_uses_at_once_collide_nowhere(place: Place) {
    let store = place.open().await;
    let uses: Vec<_> = (0..200)
        .map(|n| {
            let store = store.clone();
            let user = UserId::new(&format!("@alice:hs{}", n % 100)).unwrap();
            tokio::spawn(async move {
                (user.clone(), store.identity(&net("net"), &user, counted("alice")).await.unwrap())
            })
        })
        .collect();
    let mut of_user = std::collections::HashMap::new();
    for taken in uses {
        let (user, identity) = taken.await.unwrap();
        let known = of_user.entry(user).or_insert_with(|| identity.clone());
        assert_eq!(*known, identity, "two uses of one user give one identity");
    }
    let idents: HashSet<_> = of_user.values().map(|identity| identity.ident.clone()).collect();
    let addresses: HashSet<_> = of_user.values().map(|identity| (identity.block, identity.number)).collect();
    assert_eq!((of_user.len(), idents.len(), addresses.len()), (100, 100, 100));
}

async fn two_processes_do_not_take_one_ident(place: Place) {
    let stores = [place.open().await, place.open().await];
    let take = |store: &Store, n: usize| {
        let (store, user) = (store.clone(), UserId::new(&format!("@alice:hs{n}")).unwrap());
        tokio::spawn(async move { store.identity(&net("net"), &user, counted("alice")).await.unwrap() })
    };
    let takes: Vec<_> = (0..60).map(|n| take(&stores[n % 2], n)).collect();
    let mut idents = HashSet::new();
    let mut blocks = HashSet::new();
    for taken in takes {
        let identity = taken.await.unwrap();
        idents.insert(identity.ident);
        blocks.insert(identity.block);
    }
    assert_eq!((idents.len(), blocks.len()), (60, 60));
}

const CANARY: &str = "canary-7f3e";

fn vault() -> (tempfile::TempDir, Vault) {
    let dir = tempfile::tempdir().unwrap();
    let vault = Vault::open_or_make(&dir.path().join("bunraku.key")).unwrap();
    (dir, vault)
}

fn certificate(name: &str) -> StoredCertificate {
    StoredCertificate {
        pem: format!("pem of {name}"),
        key_pem: Secret::new(&format!("{CANARY} key of {name}")),
        fingerprint: format!("f1{name}"),
    }
}

/// Every stored byte of the tables with secrets, as text.
async fn stored_bytes(place: &Place) -> String {
    let mut conn = place.conn().await;
    let mut text = String::new();
    for row in
        conn.fetch("SELECT account, certificate, password, certificate_key FROM logins", &[]).await.unwrap()
    {
        text += &format!("{:?} {:?}", row.text(0).unwrap(), row.maybe_text(1).unwrap());
        for column in [2, 3] {
            text += &String::from_utf8_lossy(&row.maybe_bytes(column).unwrap().unwrap_or_default());
        }
    }
    for row in conn.fetch("SELECT channel, sealed FROM channel_keys", &[]).await.unwrap() {
        text += &row.text(0).unwrap();
        text += &String::from_utf8_lossy(&row.maybe_bytes(1).unwrap().unwrap());
    }
    text
}

async fn a_login_is_remembered_and_sealed(place: Place) {
    let (_dir, vault) = vault();
    let store = place.open().await;
    let (one, alice) = (net("one"), user("alice"));
    assert_eq!(store.login(&vault, &one, &alice).await.unwrap(), None);
    assert!(
        !store.login_certificate_save(&vault, &one, &alice, &certificate("a")).await.unwrap(),
        "no login"
    );
    let password = Secret::new(&format!("{CANARY}'\"\\ß"));
    store.login_save(&vault, &one, &alice, "Alice'", Some(&password)).await.unwrap();
    assert!(store.login_certificate_save(&vault, &one, &alice, &certificate("a")).await.unwrap());
    assert!(!store.login_certificate_save(&vault, &one, &alice, &certificate("b")).await.unwrap(), "has one");
    store.login_save(&vault, &one, &user("bob"), "bob", None).await.unwrap();
    store.login_save(&vault, &net("two"), &alice, "else", None).await.unwrap();
    store.close().await.unwrap();

    let store = place.open().await;
    let login = StoredLogin {
        account: "Alice'".into(),
        password: Some(password),
        certificate: Some(certificate("a")),
    };
    assert_eq!(store.login(&vault, &one, &alice).await.unwrap().as_ref(), Some(&login));
    assert!(!format!("{login:?}").contains(CANARY));
    assert!(!stored_bytes(&place).await.contains(CANARY));
    let list = store.logins_list(&one).await.unwrap();
    let [of_alice, of_bob] = list.as_slice() else { panic!("{list:?}") };
    assert_eq!(
        (&of_alice.user, of_alice.has_password, of_alice.fingerprint.as_deref()),
        (&alice, true, Some("f1a"))
    );
    assert_eq!((of_bob.account.as_str(), of_bob.has_password, &of_bob.fingerprint), ("bob", false, &None));
    assert_eq!(store.login_summary(&one, &alice).await.unwrap().as_ref(), Some(of_alice));
    assert_eq!(store.login_summary(&one, &user("carol")).await.unwrap(), None);
    assert!(of_alice.created > Time(0) && of_alice.changed >= of_alice.created);

    store.login_save(&vault, &one, &alice, "alice2", None).await.unwrap();
    let changed = StoredLogin { account: "alice2".into(), password: None, ..login };
    assert_eq!(store.login(&vault, &one, &alice).await.unwrap(), Some(changed), "the certificate stays");
    assert!(store.login_remove(&one, &alice).await.unwrap());
    assert!(!store.login_remove(&one, &alice).await.unwrap());
    assert_eq!(store.login(&vault, &one, &alice).await.unwrap(), None);
    assert_eq!(
        store.login(&vault, &net("two"), &alice).await.unwrap().map(|login| login.account),
        Some("else".into())
    );
}

async fn a_sealed_secret_opens_in_its_own_row_only(place: Place) {
    let (_dir, vault) = vault();
    let store = place.open().await;
    let one = net("one");
    for name in ["alice", "mallory"] {
        let password = Secret::new(&format!("{CANARY} of {name}"));
        store.login_save(&vault, &one, &user(name), name, Some(&password)).await.unwrap();
    }
    let steal = "UPDATE logins SET password = (SELECT password FROM logins WHERE mxid = '@alice:hs') \
        WHERE mxid = '@mallory:hs'";
    place.conn().await.execute(steal, &[]).await.unwrap();
    let told = store.login(&vault, &one, &user("mallory")).await.unwrap_err();
    assert_eq!(told, StoreError::Sealed(VaultError::Moved));
    place
        .conn()
        .await
        .execute(
            "UPDATE logins SET certificate = 'x', certificate_fingerprint = 'x', \
        certificate_key = password",
            &[],
        )
        .await
        .unwrap();
    let told = store.login(&vault, &one, &user("alice")).await.unwrap_err();
    assert_eq!(told, StoreError::Sealed(VaultError::Moved), "not in another column either");
    let (_other_dir, other) = self::vault();
    let told = store.login(&other, &one, &user("alice")).await.unwrap_err();
    assert!(matches!(&told, StoreError::Sealed(VaultError::UnknownKey { .. })), "{told}");
    assert!(!told.to_string().contains(CANARY));
}

async fn channel_keys_are_remembered_and_sealed(place: Place) {
    let (_dir, vault) = vault();
    let store = place.open().await;
    let (one, alice) = (net("one"), user("alice"));
    let channel = |name: &str| ChannelName::new(name, CaseMap::Rfc1459).unwrap();
    for (name, key) in [("#a", "old"), ("#B[", CANARY), ("#A", "new")] {
        store.channel_key_save(&vault, &one, &alice, &channel(name), &Secret::new(key)).await.unwrap();
    }
    assert_eq!(
        store.channel_key(&vault, &one, &alice, &channel("#b{")).await.unwrap(),
        Some(Secret::new(CANARY))
    );
    assert_eq!(store.channel_key(&vault, &one, &user("bob"), &channel("#a")).await.unwrap(), None);
    let all = [("#a".to_owned(), Secret::new("new")), ("#b{".to_owned(), Secret::new(CANARY))];
    assert_eq!(store.channel_keys(&vault, &one, &alice).await.unwrap(), all);
    let of_network = |(channel, key): &(String, Secret)| (alice.clone(), channel.clone(), key.clone());
    let everybodys: Vec<_> = all.iter().map(of_network).collect();
    assert_eq!(store.all_channel_keys(&vault, &one).await.unwrap(), everybodys);
    assert_eq!(store.all_channel_keys(&vault, &net("two")).await.unwrap(), []);
    assert!(!stored_bytes(&place).await.contains(CANARY));
    let steal = "UPDATE channel_keys SET sealed = (SELECT sealed FROM channel_keys WHERE channel = '#b{') \
        WHERE channel = '#a'";
    place.conn().await.execute(steal, &[]).await.unwrap();
    let told = store.channel_key(&vault, &one, &alice, &channel("#a")).await.unwrap_err();
    assert_eq!(told, StoreError::Sealed(VaultError::Moved));
    assert_eq!(
        store.channel_keys(&vault, &one, &alice).await.unwrap(),
        all[1..],
        "the others are still good"
    );
    assert_eq!(store.all_channel_keys(&vault, &one).await.unwrap(), everybodys[1..]);
    store.channel_key_remove(&one, &alice, &channel("#B{")).await.unwrap();
    assert_eq!(store.channel_keys(&vault, &one, &alice).await.unwrap(), []);
}

async fn everything_is_sealed_anew_after_a_rotation(place: Place) {
    let (dir, vault) = vault();
    let store = place.open().await;
    let one = net("one");
    let channel = ChannelName::new("#a", CaseMap::Rfc1459).unwrap();
    let people: Vec<UserId> = (0..600).map(|n| user(&format!("u{n}"))).collect();
    for person in &people {
        let password = Secret::new(person.as_str());
        store.login_save(&vault, &one, person, "x", Some(&password)).await.unwrap();
    }
    store.login_certificate_save(&vault, &one, &people[0], &certificate("a")).await.unwrap();
    store.login_save(&vault, &net("two"), &people[0], "x", None).await.unwrap();
    store.channel_key_save(&vault, &one, &people[0], &channel, &Secret::new(CANARY)).await.unwrap();
    assert_eq!(store.reseal(&vault).await.unwrap(), Resealed::default(), "nothing to do");
    place
        .conn()
        .await
        .execute("UPDATE logins SET password = certificate_key WHERE mxid = '@u1:hs'", &[])
        .await
        .unwrap();
    let harm = "UPDATE logins SET password = (SELECT password FROM logins WHERE mxid = '@u3:hs') WHERE mxid = '@u2:hs'";
    place.conn().await.execute(harm, &[]).await.unwrap();

    vault.rotate().unwrap();
    // 600 passwords without the one that is gone and the one that was moved, a certificate's key, a channel's key.
    assert_eq!(store.reseal(&vault).await.unwrap(), Resealed { renewed: 600, unreadable: 1 });
    assert_eq!(store.reseal(&vault).await.unwrap(), Resealed { renewed: 0, unreadable: 1 }, "done already");
    let path = dir.path().join("bunraku.key");
    let lines = std::fs::read_to_string(&path).unwrap();
    let newest: Vec<&str> = lines.lines().filter(|line| !line.starts_with('#')).take(1).collect();
    std::fs::write(&path, newest.concat()).unwrap();
    let alone = Vault::open_or_make(&path).unwrap();
    let login = store.login(&alone, &one, &people[0]).await.unwrap().unwrap();
    assert_eq!(login.password, Some(Secret::new(people[0].as_str())), "the new key is enough");
    assert_eq!(login.certificate, Some(certificate("a")));
    let last = store.login(&alone, &one, &people[599]).await.unwrap().unwrap();
    assert_eq!(last.password, Some(Secret::new(people[599].as_str())));
    assert_eq!(store.channel_keys(&alone, &one, &people[0]).await.unwrap().len(), 1);
}

async fn who_stays_away_is_remembered(place: Place) {
    let store = place.open().await;
    let (one, two) = (NetworkId::new("one").unwrap(), NetworkId::new("two").unwrap());
    let hold = |name: &str, ending: &str| HoldRow {
        user: UserId::new(name).unwrap(),
        ending: ending.into(),
        words: "be gone".into(),
        since: Time(7),
    };
    store.hold_save(&one, &hold("@ada:hs", "killed")).await.unwrap();
    store.hold_save(&one, &hold("@ada:hs", "banned")).await.unwrap();
    store.hold_save(&one, &hold("@bob:hs", "killed")).await.unwrap();
    store.hold_remove(&one, &UserId::new("@bob:hs").unwrap()).await.unwrap();
    // Another login ends what a login was the reason for, and nothing that came in between.
    let (carl, dora) = (hold("@carl:hs", "login"), hold("@dora:hs", "login-wanted"));
    store.hold_save(&one, &carl).await.unwrap();
    store.hold_save(&one, &dora).await.unwrap();
    assert!(store.release_for_login(&one, &carl.user).await.unwrap());
    assert!(!store.release_for_login(&one, &UserId::new("@ada:hs").unwrap()).await.unwrap());
    store.hold_save(&one, &hold("@dora:hs", "killed")).await.unwrap();
    let release = super::change::Write::HoldRelease { network: one.clone(), user: dora.user };
    store.writer.write(release).await.unwrap();
    assert_eq!(store.holds(&one).await.unwrap(), [hold("@ada:hs", "banned"), hold("@dora:hs", "killed")]);
    store.hold_remove(&one, &UserId::new("@dora:hs").unwrap()).await.unwrap();
    store.close().await.unwrap();
    let store = place.open().await;
    assert_eq!(store.holds(&one).await.unwrap(), [hold("@ada:hs", "banned")], "the newer one counts");
    assert_eq!(store.holds(&two).await.unwrap(), []);
}

async fn bans_are_remembered(place: Place) {
    let store = place.open().await;
    let (one, two) = (NetworkId::new("one").unwrap(), NetworkId::new("two").unwrap());
    let room = RoomId::new("!r").unwrap();
    let id = |name: &str| UserId::new(name).unwrap();
    let ban = |name: &str, mask: &str| BanRow { room: room.clone(), ghost: id(name), mask: mask.into() };
    store.ban_save(&one, &ban("@eve:hs", "eve!*@*")).await.unwrap();
    store.ban_save(&one, &ban("@eve:hs", "*!eve@h'")).await.unwrap();
    store.ban_save(&one, &ban("@carl:hs", "carl!*@*")).await.unwrap();
    store.ban_remove(&room, &id("@carl:hs")).await.unwrap();
    store.close().await.unwrap();
    let store = place.open().await;
    assert_eq!(store.bans(&one).await.unwrap(), [ban("@eve:hs", "*!eve@h'")], "the newer one counts");
    assert_eq!(store.bans(&two).await.unwrap(), []);
}

async fn an_admin_room_is_remembered_until_there_is_a_newer_one(place: Place) {
    let store = place.open().await;
    let user = |name: &str| UserId::new(name).unwrap();
    let room = |name: &str| RoomId::new(name).unwrap();
    store.admin_room_save(&user("@ada:hs"), &room("!old")).await.unwrap();
    store.admin_room_save(&user("@ada:hs"), &room("!new")).await.unwrap();
    // The end of the older one says nothing of the newer.
    store.admin_room_remove(&user("@ada:hs"), &room("!old")).await.unwrap();
    store.admin_room_save(&user("@bob:hs"), &room("!bob")).await.unwrap();
    store.admin_room_remove(&user("@bob:hs"), &room("!bob")).await.unwrap();
    store.close().await.unwrap();
    let store = place.open().await;
    assert_eq!(store.admin_rooms().await.unwrap(), [(user("@ada:hs"), room("!new"))]);
}

async fn nicks_are_remembered(place: Place) {
    let store = place.open().await;
    let (one, two) = (NetworkId::new("one").unwrap(), NetworkId::new("two").unwrap());
    let chosen = |name: &str, nick: &str| NickRow { user: UserId::new(name).unwrap(), nick: nick.into() };
    store.nick_save(&one, &chosen("@ada:hs", "ada")).await.unwrap();
    store.nick_save(&one, &chosen("@ada:hs", "Countess'")).await.unwrap();
    store.nick_save(&one, &chosen("@bob:hs", "bob")).await.unwrap();
    store.nick_remove(&one, &UserId::new("@bob:hs").unwrap()).await.unwrap();
    store.close().await.unwrap();
    let store = place.open().await;
    assert_eq!(store.nicks(&one).await.unwrap(), [chosen("@ada:hs", "Countess'")], "the newer one counts");
    assert_eq!(store.nicks(&two).await.unwrap(), []);
}

async fn realnames_are_remembered(place: Place) {
    let store = place.open().await;
    let (one, two) = (net("one"), net("two"));
    for (name, realname) in
        [("ada", Some("Ada")), ("bob", Some("Bob")), ("ada", Some("O'Ada")), ("bob", None)]
    {
        store.realname_save(&one, &user(name), realname.map(str::to_owned)).await.unwrap();
    }
    store.close().await.unwrap();
    let store = place.open().await;
    assert_eq!(
        store.realnames(&one).await.unwrap(),
        [(user("ada"), "O'Ada".to_owned())],
        "the newer one counts"
    );
    assert_eq!(store.realnames(&two).await.unwrap(), []);
}

async fn ignored_people_and_unwanted_mentions_are_remembered(place: Place) {
    let store = place.open().await;
    let (one, two) = (net("one"), net("two"));
    let masks = |masks: &[&str]| masks.iter().map(ToString::to_string).collect::<Vec<_>>();
    for (name, of) in
        [("ada", &["eve!*@*"][..]), ("bob", &["a!*@*"]), ("ada", &["'!*@*", "*!*@%"]), ("bob", &[])]
    {
        store.ignores_save(&one, &user(name), masks(of)).await.unwrap();
    }
    for name in ["ada", "ada", "bob"] {
        store.mentions_off(&one, &user(name)).await.unwrap();
    }
    for name in ["bob", "eve"] {
        store.mentions_on(&one, &user(name)).await.unwrap();
    }
    store.close().await.unwrap();
    let store = place.open().await;
    assert_eq!(
        store.ignores(&one).await.unwrap(),
        [(user("ada"), masks(&["'!*@*", "*!*@%"]))],
        "the newer ones count"
    );
    assert_eq!(store.unmentioned(&one).await.unwrap(), [user("ada")]);
    assert_eq!(
        (store.ignores(&two).await.unwrap(), store.unmentioned(&two).await.unwrap()),
        (vec![], vec![])
    );
}

async fn removals_and_tombstones_are_remembered(place: Place) {
    let store = place.open().await;
    let net = |name: &str| NetworkId::new(name).unwrap();
    let (one, two) = (net("one"), net("two"));
    let (r, ada, bob) =
        (RoomId::new("!r").unwrap(), UserId::new("@ada:hs").unwrap(), UserId::new("@bob:hs").unwrap());
    let bar =
        |user: &UserId, reason: &str| BarRow { room: r.clone(), user: user.clone(), reason: reason.into() };
    store.bar_save(&one, &bar(&ada, "kicked")).await.unwrap();
    store.bar_save(&one, &bar(&bob, "kicked")).await.unwrap();
    store.bar_save(&one, &bar(&ada, "banned \u{0}")).await.unwrap();
    store.bar_remove(&one, &r, &bob).await.unwrap();
    store.bar_remove(&one, &r, &bob).await.unwrap();
    let tombstone = |to: &str, why| TombstoneRow {
        room: r.clone(),
        to: RoomId::new(to).unwrap(),
        sender: ada.clone(),
        why,
    };
    store.tombstone_save(&one, &tombstone("!a", Unfit::Closed)).await.unwrap();
    store.tombstone_save(&one, &tombstone("!b", Unfit::Powerless)).await.unwrap();
    store.close().await.unwrap();
    let store = place.open().await;
    assert_eq!(store.bars(&one).await.unwrap(), [bar(&ada, "banned \u{0}")]);
    assert_eq!(
        store.tombstones(&one).await.unwrap(),
        [tombstone("!b", Unfit::Powerless)],
        "what it says at last"
    );
    assert_eq!((store.bars(&two).await.unwrap(), store.tombstones(&two).await.unwrap()), (vec![], vec![]));
    store.tombstone_remove(&one, &r).await.unwrap();
    store.close().await.unwrap();
    assert_eq!(place.open().await.tombstones(&one).await.unwrap(), []);
}

async fn private_chats_are_remembered(place: Place) {
    let store = place.open().await;
    let (one, two) = (NetworkId::new("one").unwrap(), NetworkId::new("two").unwrap());
    let row = |room: &str, nick: &str| QueryRow {
        user: UserId::new("@ada:hs").unwrap(),
        nick: nick.into(),
        room: RoomId::new(room).unwrap(),
        standing: QueryStanding::Open,
        account: None,
        mask: Some("e@h".into()),
        display_name: Some("Ada \u{0}".into()),
        absence: AbsenceTold::No,
    };
    let renamed = QueryRow {
        standing: QueryStanding::Left,
        account: Some("eve".into()),
        absence: AbsenceTold::Yes,
        ..row("!a", "adam")
    };
    store.query_save(&one, &row("!a", "eve")).await.unwrap();
    store.query_save(&one, &renamed).await.unwrap();
    store.query_save(&one, &row("!b", "carl")).await.unwrap();
    store.query_remove(&RoomId::new("!b").unwrap()).await.unwrap();
    store.query_remove(&RoomId::new("!nobody").unwrap()).await.unwrap();
    let rooms: Vec<RoomId> = store.rooms().await.unwrap().into_iter().map(|(room, _)| room).collect();
    assert_eq!(rooms, [RoomId::new("!a").unwrap()], "to be read back with the others");
    store.close().await.unwrap();
    let store = place.open().await;
    assert_eq!(store.queries(&one).await.unwrap(), [renamed]);
    assert_eq!(store.queries(&two).await.unwrap(), []);
}

async fn what_operators_asked_for_is_remembered(place: Place) {
    let store = place.open().await;
    let (one, two) = (NetworkId::new("one").unwrap(), NetworkId::new("two").unwrap());
    let rule = |channel: &str, asked: Asked, since: u64| {
        let (by, reason) = ("eve".to_owned(), Some("caf\u{e9} \u{0} noise".to_owned()));
        Rule { channel: channel.to_owned(), asked, by, reason, since: Time(since) }
    };
    let ada = Asked::Mute(UserId::new("@ada:hs").unwrap());
    let bob = Asked::Mute(UserId::new("@bob:hs").unwrap());
    let other = Rule { reason: None, by: "carl".into(), ..rule("#C", ada.clone(), 1) };
    store.rule_save(&one, &rule("#C", ada.clone(), 1)).await.unwrap();
    store.rule_save(&one, &other).await.unwrap();
    store.rule_save(&one, &rule("#C", bob.clone(), 2)).await.unwrap();
    store.rule_save(&one, &rule("#C", Asked::Limit(5), 3)).await.unwrap();
    store.rule_save(&one, &rule("#C", Asked::Limit(9), 4)).await.unwrap();
    store.rule_save(&one, &rule("#C", Asked::Block("evil.example".into()), 5)).await.unwrap();
    store.rule_save(&one, &rule("#d", Asked::Dismissed, 6)).await.unwrap();
    let wish = |room: &str, reply| {
        let (room, user) = (RoomId::new(room).unwrap(), UserId::new("@ada:hs").unwrap());
        Asked::Room(Box::new(Wish { room, user, reply }))
    };
    for reply in [Reply::None, Reply::Refused] {
        store.rule_save(&one, &rule("#e", wish("!r:hs", reply), 8)).await.unwrap();
    }
    store.rule_save(&one, &rule("#e", wish("!s:hs", Reply::None), 9)).await.unwrap();
    store.rule_save(&one, &rule("#e", wish("!t:hs", Reply::Allowed), 10)).await.unwrap();
    store.rule_remove(&one, "#e", &wish("!t:hs", Reply::None)).await.unwrap();
    store.rule_save(&two, &rule("#C", ada.clone(), 7)).await.unwrap();
    store.rule_remove(&one, "#C", &bob).await.unwrap();
    store.rule_remove(&one, "#nowhere", &bob).await.unwrap();
    store.rule_remove(&two, "#C", &ada).await.unwrap();
    store.close().await.unwrap();
    let store = place.open().await;
    let kept = [
        other,
        rule("#C", Asked::Limit(9), 4),
        rule("#C", Asked::Block("evil.example".into()), 5),
        rule("#d", Asked::Dismissed, 6),
        rule("#e", wish("!r:hs", Reply::Refused), 8),
        rule("#e", wish("!s:hs", Reply::None), 9),
    ];
    assert_eq!(store.rules(&one).await.unwrap(), kept);
    assert_eq!(store.rules(&two).await.unwrap(), []);
}

async fn rules_of_policy_lists_are_what_was_read_last(place: Place) {
    let store = place.open().await;
    let key = |key: &str| RuleKey { kind: "m.policy.rule.user".into(), key: key.into() };
    let rule =
        |entity: &str| PolicyRule { about: About::Person, entity: entity.into(), reason: "a\0b".into() };
    let (list, room) = ("#list:hs", RoomId::new("!list").unwrap());
    let put = |names: &[&str]| names.iter().map(|name| (key(name), rule(name))).collect::<Vec<_>>();
    let change = |put, gone| RulesChange { put, gone };
    store.policy_rules_change(list, &room, change(put(&["@a:hs", "@b:hs"]), Vec::new())).await.unwrap();
    store.policy_rules_change("!other", &room, change(put(&["@a:hs"]), Vec::new())).await.unwrap();
    let next = change(vec![(key("@b:hs"), rule("@c:hs"))], vec![key("@a:hs"), key("@nobody:hs")]);
    store.policy_rules_change(list, &room, next).await.unwrap();
    let many: Vec<String> = (0..1_203).map(|n| format!("@u{n}:hs")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    store.policy_rules_change("!many", &room, change(put(&many), Vec::new())).await.unwrap();
    store.close().await.unwrap();
    let store = place.open().await;
    let of = |kept: &[KeptRule], list: &str| {
        let rules = kept.iter().filter(|kept| kept.list == list);
        rules.map(|kept| (kept.key.key.clone(), kept.rule.entity.clone())).collect::<Vec<_>>()
    };
    let kept = store.policy_rules().await.unwrap();
    assert_eq!(of(&kept, list), [("@b:hs".to_owned(), "@c:hs".to_owned())]);
    assert_eq!((of(&kept, "!other").len(), of(&kept, "!many").len()), (1, 1_203));
    assert_eq!((&kept[0].rule.reason, &kept[0].room), (&"a\0b".to_owned(), &room));
    store.policy_list_forget(list).await.unwrap();
    assert_eq!(of(&store.policy_rules().await.unwrap(), list), []);
}

fn link(seq: i64, part: LinkPart) -> LinkId {
    LinkId { network: net("one"), seq: InboxSeq(seq), part }
}

/// An encrypted image.
fn image(name: &str) -> Linked {
    let cipher = MediaCipher { key: *b"canary-7f3e-canary-7f3e-canary-7", iv: [2; 16], sha256: [3; 32] };
    Linked::Media(Media {
        kind: MediaKind::Image,
        source: MediaSource::new("mxc://hs/abc", Some(cipher)).unwrap(),
        name: name.into(),
        mime: Some("image/png".into()),
        size_bytes: None,
        duration_ms: None,
    })
}

fn page(text: &str) -> Linked {
    let (title, author) = ("a \"title\"".to_owned(), "ada\0".to_owned());
    Linked::Text(PageText { title, author, html: format!("<b>{text}</b>"), plain: text.into() })
}

fn in_an_hour() -> Time {
    now().plus_ms(3_600_000)
}

async fn a_link_leads_on_until_it_ends(place: Place) {
    let (_dir, vault) = vault();
    let store = place.open().await;
    let (here, said) = (room("r"), EventId::new("$said").unwrap());
    let (media, text) = (link(7, LinkPart::Media), link(7, LinkPart::Text));
    let until = in_an_hour();
    assert_eq!(store.link(&vault, &media).await.unwrap(), None);
    store.link_save(&vault, media.clone(), (&here, &said), &image("ä.png"), until).await.unwrap();
    store.link_save(&vault, text.clone(), (&here, &said), &page("long"), until).await.unwrap();
    assert_eq!(store.link(&vault, &media).await.unwrap(), Some((image("ä.png"), until)), "at once");
    let stored =
        place.conn().await.fetch("SELECT cipher FROM links WHERE part = 'media'", &[]).await.unwrap();
    let cipher = stored[0].maybe_bytes(0).unwrap().unwrap();
    let hex = "63616e6172792d37663365";
    let holds = |part: &str| String::from_utf8_lossy(&cipher).contains(part);
    assert!(!holds(CANARY) && !holds(hex), "the key of a file is sealed");
    store.link_save(&vault, text.clone(), (&here, &said), &page("other"), Time(1)).await.unwrap();
    store.close().await.unwrap();

    let store = place.open().await;
    assert_eq!(store.link(&vault, &text).await.unwrap(), Some((page("long"), until)), "what was first stays");
    let others = LinkId { network: net("two"), ..media.clone() };
    assert_eq!(store.link(&vault, &others).await.unwrap(), None, "each network has its own");
    store.link_save(&vault, link(8, LinkPart::Text), (&here, &said), &page("late"), now()).await.unwrap();
    assert_eq!(store.link(&vault, &link(8, LinkPart::Text)).await.unwrap(), None, "expired");
    assert_eq!(store.links_prune().await.unwrap(), 1);
    assert!(store.link(&vault, &media).await.unwrap().is_some(), "and nothing else is removed");
    for seq in 10..15 {
        store.link_save(&vault, link(seq, LinkPart::Text), (&here, &said), &page("x"), until).await.unwrap();
    }
    assert_eq!(store.links_prune_to(3).await.unwrap(), 3, "of six pages");
    for (seq, is_kept) in [(7, false), (10, false), (11, false), (12, true), (14, true)] {
        let found = store.link(&vault, &link(seq, LinkPart::Text)).await.unwrap();
        assert_eq!(found.is_some(), is_kept, "{seq}");
    }
    assert!(store.link(&vault, &media).await.unwrap().is_some(), "files are small here");

    let (_elsewhere, other_vault) = self::vault();
    let told = store.link(&other_vault, &media).await.unwrap_err();
    assert!(matches!(told, StoreError::Sealed(_)), "{told}");
}

async fn a_redacted_message_has_no_links_whatever_comes_after(place: Place) {
    let (_dir, vault) = vault();
    let store = place.open().await;
    let (here, said, other) = (room("r"), EventId::new("$a").unwrap(), EventId::new("$b").unwrap());
    let (media, text) = (link(7, LinkPart::Media), link(7, LinkPart::Text));
    for (id, event, linked) in [
        (&media, &said, image("secret-name")),
        (&text, &said, page("secret-text")),
        (&link(9, LinkPart::Text), &other, page("stays")),
    ] {
        store.link_save(&vault, id.clone(), (&here, event), &linked, in_an_hour()).await.unwrap();
    }
    store.links_end(&room("elsewhere"), &said).await.unwrap();
    assert!(store.link(&vault, &media).await.unwrap().is_some(), "another room's redaction is none of ours");
    store.links_end(&here, &said).await.unwrap();
    for id in [&media, &text] {
        assert_eq!(store.link(&vault, id).await.unwrap(), None);
        store.link_save(&vault, id.clone(), (&here, &said), &page("again"), in_an_hour()).await.unwrap();
        assert_eq!(
            store.link(&vault, id).await.unwrap(),
            None,
            "a message that is said again stays redacted"
        );
    }
    assert!(store.link(&vault, &link(9, LinkPart::Text)).await.unwrap().is_some());
    let rows = "SELECT COALESCE(name, ''), COALESCE(page, ''), COALESCE(mxc, '') FROM links WHERE seq = 7";
    for row in place.conn().await.fetch(rows, &[]).await.unwrap() {
        for column in 0..3 {
            assert_eq!(row.text(column).unwrap(), "", "nothing of it is kept");
        }
    }
}

async fn links_have_one_key_for_good(place: Place) {
    let (dir, vault) = vault();
    let store = place.open().await;
    let (first, again) = tokio::join!(store.link_key(&vault), store.link_key(&vault));
    let key = first.unwrap();
    assert_eq!(*key, *again.unwrap(), "also when two ask at once");
    let id = link(7, LinkPart::Media);
    let (here, said) = (room("r"), EventId::new("$a").unwrap());
    store.link_save(&vault, id.clone(), (&here, &said), &image("x"), in_an_hour()).await.unwrap();
    vault.rotate().unwrap();
    assert_eq!(store.reseal(&vault).await.unwrap(), Resealed { renewed: 2, unreadable: 0 });
    let path = dir.path().join("bunraku.key");
    let lines = std::fs::read_to_string(&path).unwrap();
    let newest: Vec<&str> = lines.lines().filter(|line| !line.starts_with('#')).take(1).collect();
    std::fs::write(&path, newest.concat()).unwrap();
    let alone = Vault::open_or_make(&path).unwrap();
    assert_eq!(*store.link_key(&alone).await.unwrap(), *key);
    assert_eq!(store.link(&alone, &id).await.unwrap().unwrap().0, image("x"), "the new key is enough");
    let (_elsewhere, other) = self::vault();
    assert!(matches!(store.link_key(&other).await, Err(StoreError::Sealed(_))));
}

/// A link is made of the number: two messages with one number would have one link.
async fn no_number_of_an_event_is_given_twice(place: Place) {
    let store = place.open().await;
    let rows = store.accept(vec![event("$a"), event("$b")]).await.unwrap();
    for row in &rows {
        store.settle(row.seq, &Outcome::Delivered).await.unwrap();
    }
    store.flush().await.unwrap();
    store.prune_before(now().plus_ms(60_000)).await.unwrap();
    store.close().await.unwrap();
    let store = place.open().await;
    let next = store.accept(vec![event("$c")]).await.unwrap();
    assert!(next[0].seq > rows[1].seq, "after a quiet week too");
}

async fn tls_policies_are_remembered_until_they_end(place: Place) {
    let store = place.open().await;
    let later = StsPolicy { port: 6697, expires: now().plus_ms(60_000) };
    assert_eq!(store.sts("irc.example.org").await.unwrap(), None);
    store.sts_save("irc.example.org", StsPolicy { port: 1, expires: Time(u64::MAX) }).await.unwrap();
    store.sts_save("IRC.example.org", later).await.unwrap();
    store.sts_save("old.example.org", StsPolicy { port: 6697, expires: Time(5) }).await.unwrap();
    store.close().await.unwrap();
    let store = place.open().await;
    assert_eq!(store.sts("irc.EXAMPLE.org").await.unwrap(), Some(later), "the newer one counts");
    assert_eq!(store.sts("old.example.org").await.unwrap(), None, "it is over");
    store.sts_remove("irc.example.org").await.unwrap();
    assert_eq!(store.sts("irc.example.org").await.unwrap(), None);
}

async fn a_crash_loses_nothing_accepted(place: Place) {
    let url = place.url.clone();
    let accepted = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let rows = runtime.block_on(async {
            let store = Store::open(&url).await.unwrap();
            let rows = store.accept(vec![event("$a"), event("$b")]).await.unwrap();
            store.outbox_put(line(1, Speaker::Bot, "lazy")).await.unwrap();
            rows
        });
        runtime.shutdown_background();
        rows
    });
    let accepted = accepted.join().unwrap();
    let store = place.open().await;
    let open = store.inbox_after(InboxSeq(0), 10).await.unwrap();
    let inherited = accepted.into_iter().map(|row| InboxRow { before: Before::Accepted, ..row });
    assert_eq!(open, inherited.collect::<Vec<_>>(), "as they were, and known to be an earlier run's");
    assert_eq!(store.accept(vec![event("$a"), event("$b")]).await.unwrap(), []);
}

async fn a_closed_store_says_so(place: Place) {
    let store = place.open().await;
    let other = store.clone();
    other.meta_set("a", "b").await.unwrap();
    store.close().await.unwrap();
    assert_eq!(other.meta_get("a").await, Err(StoreError::Closed));
    assert_eq!(other.settle(InboxSeq(1), &Outcome::Expired).await, Err(StoreError::Closed));
    assert_eq!(other.close().await, Err(StoreError::Closed));
}

async fn a_newer_database_is_left_alone(place: Place) {
    place.open().await.close().await.unwrap();
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
        SELECT 9999, description, success, checksum, execution_time FROM _sqlx_migrations WHERE version = 1";
    place.conn().await.execute(newer, &[]).await.unwrap();
    let told = Store::open(&place.url).await.err().expect("refused");
    let known = SQLITE_SCHEMA.iter().map(|step| step.version).max().expect("there are some");
    assert_eq!(told, StoreError::Newer { found: 9999, known });
}

async fn every_statement_is_understood(place: Place) {
    place.open().await.close().await.unwrap();
    let mut conn = place.conn().await;
    let mut understood = HashSet::new();
    for (name, sql) in STATEMENTS.iter().copied().flatten() {
        let prepared = match &mut conn {
            Conn::Sqlite(_) if name.ends_with("_POSTGRES") => continue,
            Conn::Postgres(_) if name.ends_with("_SQLITE") => continue,
            Conn::Sqlite(conn) => (&mut **conn).prepare(sql.into_sql_str()).await.map(|_| ()),
            Conn::Postgres(conn) => (&mut **conn).prepare(sql.into_sql_str()).await.map(|_| ()),
        };
        assert!(prepared.is_ok(), "{name}: {prepared:?}");
        understood.insert(sql);
    }
    assert!(understood.len() > 30, "{} statements", understood.len());
}

#[test]
fn every_schema_file_is_embedded_for_both_databases() {
    let folder = |name: &str| {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("schema").join(name);
        std::fs::read_dir(folder).unwrap().count()
    };
    let versions = |schema: &sqlx::migrate::Migrator| {
        schema.iter().map(|step| (step.version, step.description.clone())).collect::<Vec<_>>()
    };
    assert_eq!(versions(&SQLITE_SCHEMA), versions(&POSTGRES_SCHEMA));
    assert_eq!(versions(&SQLITE_SCHEMA).len(), folder("sqlite"));
    assert_eq!(versions(&POSTGRES_SCHEMA).len(), folder("postgres"));
}

async fn refusal(url: &str) -> StoreError {
    Store::open(url).await.err().expect("it cannot be opened")
}

#[tokio::test]
async fn what_cannot_be_opened_is_named() {
    for url in ["", "mysql://x", "sqlite::memory:", "sqlite:x?mode=memory", "postgres://u:secret@h:port/x"] {
        let told = refusal(url).await;
        assert!(matches!(told, StoreError::BadUrl(_)), "{url}: {told}");
        assert!(!told.to_string().contains("secret"), "{told}");
    }
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let told = refusal(&format!("sqlite:{}", path("no/such/db"))).await.to_string();
    assert!(told.ends_with("no/such/db cannot be written: its folder does not exist"), "{told}");
    let told = refusal(&format!("sqlite:{}", dir.path().display())).await.to_string();
    assert!(told.ends_with("it is a folder"), "{told}");
    std::fs::write(path("text"), "not a database, however long one looks at it".repeat(100)).unwrap();
    let told = refusal(&format!("sqlite:{}", path("text"))).await.to_string();
    assert!(told.ends_with("text is not an SQLite database"), "{told}");
    let told = refusal("postgres://u:secret@127.0.0.1:1/x").await;
    assert!(matches!(&told, StoreError::Unreachable { address, .. } if address == "127.0.0.1:1"), "{told}");
}

#[tokio::test]
async fn a_read_only_file_is_named() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let url = format!("sqlite:{}", path.display());
    std::fs::write(&path, "").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o444)).unwrap();
    // The superuser may write all the same; for SQLite the file is then made read-only by the URL.
    let superuser = std::fs::OpenOptions::new().append(true).open(&path).is_ok();
    let url = if superuser { format!("{url}?mode=ro") } else { url };
    let told = refusal(&url).await;
    assert!(matches!(told, StoreError::NotWritable { .. }), "{told}");
}

#[tokio::test]
async fn what_is_handed_over_before_the_last_clone_goes_is_committed() {
    let place = Place::sqlite().await;
    let store = place.open().await;
    store.outbox_put(line(1, Speaker::Bot, "hi")).await.unwrap();
    drop(store);
    let seen = async {
        while place.open().await.outbox_load().await.unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), seen).await.expect("committed soon");
}

#[cfg(feature = "real-parts")]
mod postgres_only {
    use super::*;

    #[tokio::test]
    async fn a_wrong_user_and_a_missing_database_are_named() {
        let place = Place::postgres().await;
        let (_, rest) = place.url.split_once("//").unwrap();
        let host = rest.split_once('@').map_or(rest, |(_, host)| host);
        let told = refusal(&format!("postgres://nobody_known:secret@{host}")).await;
        assert!(matches!(&told, StoreError::LoginRefused { user, .. } if user == "nobody_known"), "{told}");
        assert!(!told.to_string().contains("secret"), "{told}");
        let told = refusal(&place.url.replace("bunraku_test", "no_such")).await;
        assert!(matches!(&told, StoreError::Unusable(why) if why.contains("does not exist")), "{told}");
    }

    #[tokio::test]
    async fn a_lost_connection_is_made_again_and_loses_nothing() {
        let place = Place::postgres().await;
        let store = place.open().await;
        let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
            WHERE datname = current_database() AND pid <> pg_backend_pid()";
        place.conn().await.fetch(cut, &[]).await.unwrap();
        let others = "SELECT pid FROM pg_stat_activity \
            WHERE datname = current_database() AND pid <> pg_backend_pid()";
        let mut conn = place.conn().await;
        while !conn.fetch(others, &[]).await.unwrap().is_empty() {}
        store.outbox_put(line(1, Speaker::Bot, "hi")).await.unwrap();
        let rows = store.accept(vec![event("$a")]).await.unwrap();
        assert_eq!(ids(&rows), ["$a"], "the caller saw nothing of it");
        assert_eq!(store.outbox_load().await.unwrap().len(), 1);
        assert_eq!(ids(&store.inbox_after(InboxSeq(0), 10).await.unwrap()), ["$a"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_was_made_long_does_not_grow() {
    let place = Place::sqlite().await;
    let log = std::path::PathBuf::from(format!("{}-wal", place.url.trim_start_matches("sqlite:")));
    let store = place.open().await;
    store.lengthen_log().await.unwrap();
    let before = std::fs::metadata(&log).unwrap().len();
    assert!(before >= 4_000_000, "{before}");
    for n in 0..50 {
        store.accept(vec![event(&format!("${n}"))]).await.unwrap();
    }
    assert_eq!(std::fs::metadata(&log).unwrap().len(), before);
    assert_eq!(store.meta_get("filler").await.unwrap(), None, "nothing of it stays");
}
