//! Stories of one room, and of 5,000 people who are split off.

use super::*;
use crate::bridge::policy::ToMatrix;
use crate::text::casemap::CaseMap;

fn nick(name: &str) -> Nick {
    Nick::new(name, CaseMap::Ascii).unwrap()
}

fn ghost(name: &str) -> UserId {
    UserId::new(&format!("@irc_{}:hs", name.to_lowercase())).unwrap()
}

fn room() -> RoomId {
    RoomId::new("!r").unwrap()
}

const QUIT: Cause = Cause::Went(Going::Quit(Quitting::Gone));
const SPLIT: Cause = Cause::Went(Going::Quit(Quitting::Split));
const PART: Cause = Cause::Went(Going::Parted);

/// A room, and a homeserver that does what is asked within the same moment.
struct Scene {
    members: Memberships,
    now: Time,
    /// What was asked of the homeserver.
    asked: Vec<String>,
}

impl Scene {
    fn new(ghosts_max: usize) -> Self {
        let rules = policy::Members { to_matrix: ToMatrix::Full, ghosts_max, ..policy::Members::default() };
        Self { members: Memberships::new(rules), now: Time(1_000_000), asked: Vec::new() }
    }

    fn comes(&mut self, name: &str) {
        self.members.here(self.now, &room(), &ghost(name), &nick(name), Arrival::Lately);
    }

    fn is_listed(&mut self, name: &str) {
        self.members.here(self.now, &room(), &ghost(name), &nick(name), Arrival::Listed);
    }

    fn goes(&mut self, name: &str, cause: Cause) {
        self.members.gone(self.now, &room(), &ghost(name), cause);
    }

    fn after_s(&mut self, seconds: u64) -> &mut Self {
        self.now = self.now.plus_ms(seconds * 1_000);
        self
    }

    /// Takes one step and leaves it under way.
    fn takes(&mut self) -> Option<Due> {
        let due = self.members.next(self.now)?;
        let what = match &due.wish {
            Wish::Join(nick) => format!("+{nick}"),
            Wish::Leave(cause) => {
                let why = cause.reason().map(|why| format!(" ({why})")).unwrap_or_default();
                format!("-{}{why}", due.user.localpart().trim_start_matches("irc_"))
            }
        };
        self.members.begin(&due);
        self.asked.push(what);
        Some(due)
    }

    /// Takes all that is due, and tells what that was.
    fn asks(&mut self) -> String {
        while let Some(due) = self.takes() {
            self.members.done(self.now, &due.room, &due.user, &StepResult::Done);
        }
        std::mem::take(&mut self.asked).join(" ")
    }

    fn with(ghosts: &[&str]) -> Self {
        let mut scene = Self::new(1_000_000);
        ghosts.iter().for_each(|name| scene.members.inside(&room(), &ghost(name)));
        scene
    }
}

#[test]
fn who_comes_is_shown_soon_and_who_leaves_late_but_for_who_was_put_out() {
    let mut scene = Scene::new(10);
    scene.comes("Ann");
    scene.is_listed("bob");
    assert_eq!(scene.asks(), "+bob");
    assert_eq!(scene.after_s(5).asks(), "+Ann");
    scene.goes("bob", Cause::Went(Going::Kicked { by: "op".into(), reason: "flood".into() }));
    scene.goes("ann", PART);
    assert_eq!(scene.after_s(59).asks(), "-bob (kicked by op: flood)");
    assert_eq!(scene.members.poll_timeout(), Some(scene.now.plus_ms(1_000)));
    assert_eq!(scene.after_s(1).asks(), "-ann");
    assert_eq!(scene.members.poll_timeout(), None);
    let counts = scene.members.counts();
    assert_eq!((counts.waiting, counts.joined, counts.left, counts.refused), (0, 2, 2, 0));
}

#[test]
fn a_return_in_time_costs_nothing_and_neither_does_a_short_visit() {
    let mut scene = Scene::with(&["ann"]);
    scene.goes("ann", QUIT);
    scene.after_s(30).comes("ann");
    scene.comes("visitor");
    scene.after_s(3).goes("visitor", QUIT);
    assert_eq!(scene.after_s(1_000).asks(), "");
    assert_eq!(scene.members.counts().waiting, 0);
}

#[test]
fn joins_go_before_leaves_and_those_who_came_lately_first() {
    let mut scene = Scene::with(&["gone"]);
    scene.goes("gone", PART);
    scene.after_s(56).comes("lately");
    scene.after_s(5);
    scene.is_listed("old");
    assert_eq!(scene.asks(), "+lately +old -gone");
}

#[test]
fn who_speaks_is_in_already() {
    let mut scene = Scene::new(10);
    scene.comes("ann");
    scene.members.inside(&room(), &ghost("ann"));
    assert_eq!(scene.after_s(10).asks(), "");
    scene.goes("ann", PART);
    scene.members.inside(&room(), &ghost("ann"));
    assert_eq!(scene.after_s(60).asks(), "-ann", "a word that comes behind its speaker's PART");
}

#[test]
fn what_is_under_way_is_judged_when_it_is_done() {
    let mut scene = Scene::with(&["ann"]);
    scene.goes("ann", PART);
    let leave = scene.after_s(60).takes().unwrap();
    scene.comes("ann");
    assert_eq!(scene.after_s(60).asks(), "-ann", "nothing more before the answer");
    scene.members.done(scene.now, &leave.room, &leave.user, &StepResult::Done);
    scene.is_listed("ann");
    assert_eq!(scene.asks(), "+ann");
}

#[test]
fn nobody_comes_or_goes_while_nobody_of_ours_is_there() {
    let mut scene = Scene::with(&["ann"]);
    scene.goes("ann", PART);
    scene.comes("bob");
    scene.members.unknown(&room());
    assert_eq!(scene.after_s(100_000).asks(), "");
    scene.goes("ann", Cause::Unlisted);
    assert_eq!(scene.after_s(599).asks(), "");
    assert_eq!(scene.after_s(1).asks(), "-ann");
}

#[test]
fn of_5000_split_off_only_those_who_stay_away_leave() {
    for cause in [SPLIT, QUIT] {
        let names: Vec<String> = (0..5_000).map(|n| format!("n{n}")).collect();
        let mut scene = Scene::with(&names.iter().map(String::as_str).collect::<Vec<_>>());
        for (n, name) in names.iter().enumerate() {
            scene.goes(name, cause.clone());
            if n % 50 == 0 {
                scene.now = scene.now.plus_ms(100);
            }
        }
        let mut asked = scene.after_s(300).asks();
        for name in names.iter().skip(250) {
            scene.comes(name);
        }
        asked += &scene.after_s(30_000).asks();
        assert_eq!(asked.split(' ').count(), 250, "{cause:?}: 5 %");
        assert_eq!(scene.members.ghosts(&room()).count(), 4_750);
    }
}

#[test]
fn few_who_quit_are_no_storm() {
    let mut scene = Scene::with(&["a", "b", "c"]);
    ["a", "b", "c"].iter().for_each(|name| scene.goes(name, QUIT));
    assert_eq!(scene.after_s(60).asks(), "-a -b -c");
}

#[test]
fn who_is_refused_is_left_alone_until_something_changes() {
    let mut scene = Scene::new(10);
    scene.is_listed("ann");
    let due = scene.takes().unwrap();
    scene.members.done(scene.now, &due.room, &due.user, &StepResult::Refused("banned".into()));
    scene.asked.clear();
    scene.is_listed("ann");
    assert_eq!(scene.asks(), "");
    scene.members.welcome(&room(), &ghost("ann"));
    scene.is_listed("ann");
    assert_eq!(scene.asks(), "+ann");
    scene.members.put_out(scene.now, &room(), &ghost("ann"));
    scene.is_listed("ann");
    assert_eq!(scene.asks(), "", "somebody put it out");
    scene.comes("ann");
    assert_eq!(scene.after_s(5).asks(), "+ann", "its person came anew");
    assert_eq!(scene.members.counts().refused, 1);
}

#[test]
fn a_room_that_refuses_everybody_rests() {
    let mut scene = Scene::new(1_000);
    let names: Vec<String> = (0..100).map(|n| format!("n{n}")).collect();
    names.iter().for_each(|name| scene.is_listed(name));
    let mut tried = 0;
    while let Some(due) = scene.takes() {
        tried += 1;
        scene.members.done(scene.now, &due.room, &due.user, &StepResult::Refused("no".into()));
        if tried == REFUSALS_MAX {
            break;
        }
    }
    names.iter().for_each(|name| scene.comes(name));
    scene.asked.clear();
    assert_eq!(scene.after_s(10).asks(), "");
    let until = scene.members.poll_timeout().unwrap();
    assert_eq!(until, scene.now.plus_ms(REST_MS - 10_000));
    scene.now = until;
    assert_eq!(scene.members.due_again(until), [room()]);
    names.iter().for_each(|name| scene.is_listed(name));
    assert_eq!(scene.asks().split(' ').count(), 100);
}

#[test]
fn a_full_room_takes_the_next_when_there_is_a_place() {
    let mut scene = Scene::new(2);
    ["a", "b", "c"].iter().for_each(|name| scene.is_listed(name));
    assert_eq!(scene.asks(), "+a +b");
    scene.goes("a", PART);
    assert_eq!(scene.after_s(60).asks(), "-a");
    assert_eq!(scene.members.poll_timeout(), Some(scene.now.plus_ms(AGAIN_MS)));
    scene.now = scene.now.plus_ms(AGAIN_MS);
    assert_eq!(scene.members.due_again(scene.now), [room()]);
    scene.is_listed("c");
    assert_eq!(scene.asks(), "+c");
}

#[test]
fn no_more_than_a_window_is_under_way_and_the_rest_can_be_taken_back() {
    let mut scene = Scene::new(1_000);
    let names: Vec<String> = (0..100).map(|n| format!("n{n}")).collect();
    names.iter().for_each(|name| scene.is_listed(name));
    while scene.takes().is_some() {}
    assert_eq!(scene.asked.len(), WINDOW);
    assert_eq!(scene.members.poll_timeout(), None, "the next answer wakes");
    names.iter().for_each(|name| scene.goes(name, PART));
    assert_eq!(scene.members.counts().waiting, WINDOW as u64);
}
