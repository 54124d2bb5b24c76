//! People who talk both ways without a pause, and what can be seen of it on both sides.
//!
//! ```text
//! speakers (Matrix) --PUT, until answered--> homeserver -> bridge -> IRC server --> watcher (IRC)
//! reader (Matrix) <--- timeline ------------ homeserver <- bridge <- IRC server <-- people (IRC)
//! ```
//!
//! From Matrix a message counts as accepted once the homeserver has answered with its event id. From IRC one counts
//! as accepted when the watcher, who is no part of the bridge, sees it while it also sees a puppet in the channel:
//! what is said in a channel where nobody of ours is, nobody of ours can hear. Every message is numbered (`judge`).

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::irc::{IrcClient, IrcLine};
use super::judge::{Mark, Verdict, judge};
use super::matrix::MatrixUser;
use super::world::{World, alias, ghost};
use super::{PATIENT, QUIET, eventually, join_all};

/// Speakers on Matrix, and people on IRC.
const VOICES: usize = 3;
/// How long one message is tried at a homeserver that is away or slow.
const SEND_TIME_MAX: Duration = Duration::from_secs(120);
/// What was said so shortly before a kill may be lost with it: the bridge has it in memory for 20 ms at most, and on a
/// busy machine it and we take our time to get at it.
const INPUT_LOST_MAX: Duration = Duration::from_millis(250);
/// How long after the end of a bridge its connections may still be shown as there.
const GHOSTLY: Duration = Duration::from_secs(2);

/// Everybody, and what was seen of what they said.
pub struct Crowd {
    tag: String,
    pub channels: Vec<String>,
    pub rooms: Vec<String>,
    speakers: Vec<Arc<MatrixUser>>,
    people: Vec<Arc<IrcClient>>,
    reader: MatrixUser,
    /// How far each room's timeline has been read.
    places: Vec<String>,
    watcher: IrcClient,
    /// How many of the watcher's lines have been read.
    watched: usize,
    book: Arc<Mutex<Book>>,
    /// Puppets count as back when the watcher saw them come from here on.
    back_from: usize,
    irc: IrcSight,
    matrix: MatrixSight,
    kills: Vec<Kill>,
}

/// What was said.
#[derive(Default)]
struct Book {
    numbers: HashMap<(String, usize), u32>,
    /// With the event that each is, in the order of the answers.
    accepted: Vec<(Mark, String)>,
    /// When each message was given to the homeserver or the IRC server, or a little before.
    said_at: HashMap<Mark, Instant>,
}

/// When the bridge was killed, and how much the watcher had seen by then.
struct Kill {
    at: Instant,
    watched: usize,
}

/// What the watcher saw.
#[derive(Default)]
struct IrcSight {
    /// Nicks of ours in each channel, with the place in the watcher's stream where they came.
    present: Vec<HashMap<String, usize>>,
    /// Said by people while one of ours was there.
    heard: Vec<Mark>,
    /// Said by puppets, with the place in the watcher's stream.
    said: Vec<(usize, Mark)>,
    /// Said by people while none of ours was there.
    unheard: usize,
}

/// What the reader saw.
#[derive(Default)]
struct MatrixSight {
    /// Said by ghosts.
    said: Vec<Mark>,
    /// Events whose senders were told by name that they failed.
    told: HashSet<String>,
    /// More failures that were told of by number.
    counted: usize,
    known: HashSet<String>,
}

/// What came of it all.
pub struct Outcome {
    pub to_irc: Verdict,
    pub to_matrix: Verdict,
    /// Said on IRC just before a kill, and lost with it.
    pub input_lost: usize,
    /// How long before it the oldest of those was said.
    pub input_lost_ms: u128,
    /// Most messages of one puppet that one kill doubled on IRC.
    pub doubled_at_once: usize,
    /// Lines that were said while no puppet was there, or none any more and the server did not know yet.
    pub unheard: usize,
}

impl Crowd {
    /// Lets everybody come: Matrix users by alias, their puppets seen in both channels; people on IRC; and one line
    /// of each of these, so that their ghosts are there.
    pub async fn gather(world: &World, tag: &str) -> Crowd {
        let channels = vec![format!("#{tag}-one"), format!("#{tag}-two")];
        let mut watcher = world.irc(&format!("{tag}watch")).await;
        for channel in &channels {
            watcher.join(channel).await;
        }
        let mut reader = world.user(&format!("{tag}reader")).await;
        let mut rooms = Vec::new();
        for channel in &channels {
            rooms.push(reader.join(&alias(channel)).await);
        }
        let mut speakers = Vec::new();
        for number in 0..VOICES {
            let user = world.user(&format!("{tag}m{number}")).await;
            join_all(rooms.iter().map(|room| user.join(room))).await;
            speakers.push(Arc::new(user));
        }
        let place = reader.now().await;
        let present = vec![HashMap::new(); channels.len()];
        let mut crowd = Crowd {
            tag: tag.to_owned(),
            places: vec![place; rooms.len()],
            channels,
            rooms,
            speakers,
            people: Vec::new(),
            reader,
            watcher,
            watched: 0,
            back_from: 0,
            book: Arc::default(),
            irc: IrcSight { present, ..IrcSight::default() },
            matrix: MatrixSight::default(),
            kills: Vec::new(),
        };
        crowd.wait_puppets().await;
        crowd.let_people_in(world).await;
        crowd.greet().await;
        crowd
    }

    /// Lets the people on IRC in, again after their server was away.
    pub async fn let_people_in(&mut self, world: &World) {
        self.people.clear();
        for number in 0..VOICES {
            let mut client = world.irc(&self.person(number)).await;
            for channel in &self.channels {
                client.join(channel).await;
            }
            self.people.push(Arc::new(client));
        }
    }

    /// Puts another watcher in the place of one whose server went away, before anybody of ours is back.
    pub async fn watch_anew(&mut self, world: &World) {
        self.watcher.ended().await;
        self.watch();
        self.watcher = world.irc(&format!("{}watch", self.tag)).await;
        for channel in &self.channels {
            self.watcher.join(channel).await;
        }
        (self.watched, self.back_from) = (0, 0);
        self.irc.present.iter_mut().for_each(HashMap::clear);
    }

    /// From now on only puppets that come anew are back.
    pub fn expect_back(&mut self) {
        self.back_from = self.watcher.lines_len();
    }

    /// Waits until the puppets of all who are in the rooms are in the channels, since they were last expected back.
    pub async fn wait_puppets(&mut self) {
        let names: Vec<String> = (0..VOICES).map(|n| self.speaker(n)).chain([self.reader_name()]).collect();
        self.wait_back(&names).await;
    }

    /// The same for some of them.
    pub async fn wait_back(&mut self, names: &[String]) {
        let crowd = tokio::sync::Mutex::new(self);
        eventually(&format!("puppets of {names:?} are in both channels"), PATIENT, || async {
            let mut crowd = crowd.lock().await;
            crowd.watch();
            let from = crowd.back_from;
            let is_back = |there: &HashMap<String, usize>, name: &str| {
                there.iter().any(|(nick, came)| nick.starts_with(name) && *came >= from)
            };
            let are_back = |there| names.iter().all(|name| is_back(there, name));
            crowd.irc.present.iter().all(are_back).then_some(())
        })
        .await;
    }

    /// From now on everybody talks, so many messages a second each way in all; turns through the channels.
    pub fn talk(&self, per_second: u32) -> Talk {
        let (stop, stopped) = watch::channel(false);
        let pace = Duration::from_secs(1) * VOICES as u32 / per_second;
        let mut tasks = JoinSet::new();
        for (number, user) in self.speakers.iter().enumerate() {
            let voice = Voice { name: self.speaker(number), book: Arc::clone(&self.book), pace };
            tasks.spawn(voice.on_matrix(Arc::clone(user), self.rooms.clone(), stopped.clone()));
        }
        for (number, client) in self.people.iter().enumerate() {
            let voice = Voice { name: self.person(number), book: Arc::clone(&self.book), pace };
            tasks.spawn(voice.on_irc(Arc::clone(client), self.channels.clone(), stopped.clone()));
        }
        Talk { stop, tasks }
    }

    /// Notes that the bridge is killed now. To be called just before.
    pub fn killing(&mut self) {
        self.expect_back();
        self.kills.push(Kill { at: Instant::now(), watched: self.back_from });
    }

    /// How many messages that were said on Matrix between these moments are on IRC.
    pub fn arrived_of(&self, from: Instant, to: Instant) -> usize {
        let book = book(&self.book);
        let said = |mark: &Mark| book.said_at.get(mark).is_some_and(|at| (from..to).contains(at));
        self.irc.said.iter().filter(|(_, mark)| said(mark)).count()
    }

    /// When each of these was said, by the kills around it.
    pub fn moments(&self, marks: &[Mark]) -> String {
        let book = book(&self.book);
        let moment = |mark: &Mark| {
            let said = book.said_at[mark];
            let before = self.kills.iter().rev().find(|kill| kill.at <= said);
            let after = self.kills.iter().find(|kill| kill.at > said);
            let since = before.map(|kill| said.duration_since(kill.at));
            let until = after.map(|kill| kill.at.duration_since(said));
            format!("{mark:?} was said {since:?} after a kill and {until:?} before the next")
        };
        marks.iter().map(moment).collect::<Vec<_>>().join("\n")
    }

    /// How many messages were accepted from Matrix so far.
    pub fn accepted(&self) -> usize {
        book(&self.book).accepted.len()
    }

    /// How many of these messages are among events, given as text that holds their ids.
    pub fn among(&self, marks: &[Mark], events: &str) -> usize {
        let book = book(&self.book);
        book.accepted.iter().filter(|(mark, id)| marks.contains(mark) && events.contains(id.as_str())).count()
    }

    /// How many senders were told so far that a message failed.
    pub async fn told(&mut self) -> usize {
        self.read().await;
        self.matrix.told.len()
    }

    /// What has become of everything: once nothing is missing any more, or nothing has come for `limit`, and then as long as a hold
    /// that runs out may still double something. Everybody must be silent.
    pub async fn outcome(&mut self, limit: Duration) -> Outcome {
        self.arrive(limit).await;
        sleep(QUIET).await;
        self.watch();
        self.read().await;
        self.judge()
    }

    /// Waits until nothing is missing any more, or until for `limit` nothing more has come: a homeserver may be slow.
    pub async fn arrive(&mut self, limit: Duration) -> Outcome {
        let (mut end, mut missing_before) = (Instant::now() + limit, usize::MAX);
        loop {
            self.watch();
            self.read().await;
            let outcome = self.judge();
            let missing = outcome.to_irc.lost.len() + outcome.to_matrix.lost.len();
            if missing < missing_before {
                (end, missing_before) = (Instant::now() + limit, missing);
            }
            if missing == 0 || Instant::now() > end {
                return outcome;
            }
            sleep(Duration::from_millis(300)).await;
        }
    }

    /// Every speaker says one message in each room, all at the same time; returns when all are answered. Nobody else may
    /// talk meanwhile.
    pub async fn burst(&self) {
        let voice =
            |number| Voice { name: self.speaker(number), book: Arc::clone(&self.book), pace: Duration::ZERO };
        let voices: Vec<(Voice, &MatrixUser)> =
            self.speakers.iter().enumerate().map(|(number, user)| (voice(number), user.as_ref())).collect();
        let all = voices.iter().flat_map(|(voice, user)| {
            (0..self.rooms.len()).map(|place| voice.say_on_matrix(user, &self.rooms, place))
        });
        join_all(all).await;
    }

    /// Each person says one line in each channel and each speaker one in each room; all arrive.
    async fn greet(&mut self) {
        let talk = self.talk(10 * VOICES as u32);
        sleep(Duration::from_millis(200)).await;
        talk.stop().await;
        let outcome = self.arrive(PATIENT).await;
        outcome.to_irc.assert_exactly_once("greetings to IRC");
        outcome.to_matrix.assert_exactly_once("greetings to Matrix");
    }

    /// The display name of one of those who speak on Matrix.
    pub fn speaker(&self, number: usize) -> String {
        format!("{}m{number}", self.tag)
    }

    fn person(&self, number: usize) -> String {
        format!("{}p{number}", self.tag)
    }

    /// The display name of who came first and only reads: its puppet has the duty in both channels.
    pub fn reader_name(&self) -> String {
        format!("{}reader", self.tag)
    }

    /// Reads what the watcher got since the last time.
    fn watch(&mut self) {
        for line in self.watcher.lines_from(self.watched) {
            self.irc.take(self.watched, &line, &self.channels);
            self.watched += 1;
        }
    }

    /// Reads the rooms' timelines on; a homeserver that is away is asked again next time.
    async fn read(&mut self) {
        for (room, place) in self.rooms.iter().zip(&mut self.places) {
            let Some((events, end)) = self.reader.timeline(room, place).await else { return };
            *place = end;
            events.iter().for_each(|event| self.matrix.take(event));
        }
    }

    fn judge(&self) -> Outcome {
        let book = book(&self.book);
        let by_event: HashMap<&str, &Mark> =
            book.accepted.iter().map(|(mark, id)| (id.as_str(), mark)).collect();
        let told =
            self.matrix.told.iter().filter_map(|id| by_event.get(id.as_str()).copied().cloned()).collect();
        let said = self.irc.said.iter().map(|(_, mark)| mark);
        let mut to_irc = judge(book.accepted.iter().map(|(mark, _)| mark), said, &told);
        to_irc.excuse(self.matrix.counted);
        let mut to_matrix = judge(&self.irc.heard, &self.matrix.said, &HashSet::new());
        let (mut input_lost, mut input_lost_ms, mut unheard) = (0, 0, self.irc.unheard);
        to_matrix.lost.retain(|mark| match self.before_kill(book.said_at[mark]) {
            Some(Duration::ZERO) => {
                unheard += 1;
                false
            }
            Some(before) => {
                (input_lost, input_lost_ms) = (input_lost + 1, before.as_millis().max(input_lost_ms));
                false
            }
            None => true,
        });
        to_matrix.accepted = to_matrix.arrived + to_matrix.lost.len();
        Outcome {
            doubled_at_once: self.doubled_at_once(),
            to_irc,
            to_matrix,
            input_lost,
            input_lost_ms,
            unheard,
        }
    }

    /// How long before a kill a line was said, where that excuses its loss; zero for one said after it.
    fn before_kill(&self, said: Instant) -> Option<Duration> {
        let excused = |kill: &&Kill| said + INPUT_LOST_MAX >= kill.at && said < kill.at + GHOSTLY;
        self.kills.iter().find(excused).map(|kill| kill.at.saturating_duration_since(said))
    }

    /// The most doubles that one puppet owes to one kill: those seen after it and before the next.
    fn doubled_at_once(&self) -> usize {
        let (mut seen, mut doubled) = (HashSet::new(), HashMap::new());
        for (at, mark) in &self.irc.said {
            if !seen.insert(mark) {
                let kill = self.kills.iter().filter(|kill| kill.watched <= *at).count();
                *doubled.entry((kill, mark.from.as_str())).or_insert(0) += 1;
            }
        }
        doubled.values().copied().max().unwrap_or(0)
    }
}

impl IrcSight {
    fn take(&mut self, at: usize, line: &IrcLine, channels: &[String]) {
        let is_ours = line.source.contains("[m]");
        let place = line.params.first().and_then(|p| channels.iter().position(|channel| channel == p));
        match (line.command.as_str(), place) {
            ("JOIN", Some(place)) if is_ours => {
                self.present[place].insert(line.source.clone(), at);
            }
            ("PART", Some(place)) => {
                self.present[place].remove(&line.source);
            }
            ("KICK", Some(place)) => {
                self.present[place].remove(line.params.get(1).map_or("", String::as_str));
            }
            ("QUIT", _) => self.present.iter_mut().for_each(|there| {
                there.remove(&line.source);
            }),
            ("NICK", _) if is_ours => {
                self.rename(&line.source, line.params.first().map_or("", String::as_str))
            }
            ("PRIVMSG", Some(place)) => self.said(at, line, place, is_ours),
            _ => {}
        }
    }

    fn rename(&mut self, from: &str, to: &str) {
        for there in &mut self.present {
            if let Some(came) = there.remove(from) {
                there.insert(to.to_owned(), came);
            }
        }
    }

    fn said(&mut self, at: usize, line: &IrcLine, place: usize, is_ours: bool) {
        let Some(mark) = line.params.last().and_then(|text| Mark::read(text)) else { return };
        assert!(
            line.source.starts_with(&mark.from) && mark.place == place,
            "{} said what {} said in channel {}: {line:?}",
            line.source,
            mark.from,
            mark.place
        );
        if is_ours {
            self.said.push((at, mark));
        } else if self.present[place].is_empty() {
            self.unheard += 1;
        } else {
            self.heard.push(mark);
        }
    }
}

impl MatrixSight {
    fn take(&mut self, event: &Value) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        if !self.known.insert(text(&event["event_id"])) {
            return;
        }
        let (sender, content) = (text(&event["sender"]), &event["content"]);
        // Lines of one person may come as one event.
        let lines = content["body"].as_str().unwrap_or_default().lines();
        let marks: Vec<Mark> = lines.filter_map(Mark::read).collect();
        if marks.is_empty() {
            return self.take_word_of_bridge(event, content);
        }
        // The others were said by a speaker, on this side.
        self.said.extend(marks.into_iter().filter(|mark| sender == ghost(&mark.from)));
    }

    /// A reaction, a notice or a status that names an event says that it failed; a notice that names none may say
    /// how many more did.
    fn take_word_of_bridge(&mut self, event: &Value, content: &Value) {
        let about = &content["m.relates_to"];
        let named = about["event_id"].as_str().or(about["m.in_reply_to"]["event_id"].as_str());
        let is_good = content["status"] == "SUCCESS";
        match (event["type"].as_str(), named) {
            (Some("m.reaction" | "m.room.message" | "com.beeper.message_send_status"), Some(id))
                if !is_good =>
            {
                self.told.insert(id.to_owned());
            }
            (Some("m.room.message"), None) => {
                let body = content["body"].as_str().unwrap_or_default();
                self.counted += body.split(' ').find_map(|word| word.parse::<usize>().ok()).unwrap_or(0);
            }
            _ => {}
        }
    }
}

/// Everybody's talk, until it is stopped.
pub struct Talk {
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Talk {
    /// Nobody's.
    pub fn silent() -> Talk {
        Talk { stop: watch::Sender::new(false), tasks: JoinSet::new() }
    }

    /// Lets everybody finish what they are saying.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        while let Some(done) = self.tasks.join_next().await {
            done.expect("nobody who talks panics");
        }
    }
}

/// Who says the next message, and how often.
struct Voice {
    name: String,
    book: Arc<Mutex<Book>>,
    pace: Duration,
}

impl Voice {
    async fn on_matrix(self, user: Arc<MatrixUser>, rooms: Vec<String>, stop: watch::Receiver<bool>) {
        let mut tick = self.ticks();
        for turn in 0.. {
            tick.tick().await;
            if *stop.borrow() {
                return;
            }
            self.say_on_matrix(&user, &rooms, turn % rooms.len()).await;
        }
    }

    async fn say_on_matrix(&self, user: &MatrixUser, rooms: &[String], place: usize) {
        let mark = self.next(place);
        let sent = user.text_at_last(&rooms[place], &mark.text(), SEND_TIME_MAX).await;
        let event = sent.unwrap_or_else(|| panic!("no answer for {mark:?} within {SEND_TIME_MAX:?}"));
        book(&self.book).accepted.push((mark, event));
    }

    async fn on_irc(self, client: Arc<IrcClient>, channels: Vec<String>, stop: watch::Receiver<bool>) {
        let mut tick = self.ticks();
        for turn in 0.. {
            tick.tick().await;
            if *stop.borrow() {
                return;
            }
            let place = turn % channels.len();
            let mark = self.next(place);
            client.say(&channels[place], &mark.text()).await;
        }
    }

    fn ticks(&self) -> tokio::time::Interval {
        let mut tick = interval(self.pace);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tick
    }

    fn next(&self, place: usize) -> Mark {
        let mut book = book(&self.book);
        let number = book.numbers.entry((self.name.clone(), place)).or_insert(0);
        *number += 1;
        let mark = Mark::new(&self.name, place, *number);
        book.said_at.insert(mark.clone(), Instant::now());
        mark
    }
}

fn book(book: &Mutex<Book>) -> MutexGuard<'_, Book> {
    book.lock().expect("no holder panics")
}
