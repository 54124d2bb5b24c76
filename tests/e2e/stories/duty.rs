//! The nominated connection fails in the midst of talk, and no line is lost or doubled.
//!
//! The nominee is the puppet that has been in the channel longest, so these stories fail them in the order of
//! joining. Lines are all different, so that a lost and a doubled one cannot make up for each other.

use std::ops::Range;
use std::time::Duration;

use tokio::time::sleep;

use super::tell;
use crate::support::irc::IrcClient;
use crate::support::matrix::MatrixUser;
use crate::support::world::{Story, ghost, puppet};
use crate::support::{PATIENT, QUIET};

tell!(nominee_killed, nominee_stalled, nominee_cut);

/// Server-side KILL of each nominee in turn, in the midst of sixty lines.
async fn nominee_killed(story: Story) {
    let mut irc = story.irc("nkirc").await;
    irc.join("#nk-duty").await;
    let names = ["nkone", "nktwo", "nkthree", "nkfour"];
    let (mut reader, room) = crowd(&story, &names, "#nk-duty", &mut irc).await;
    let mut oper = story.ircd.operator("nkoper").await;

    say(&irc, "#nk-duty", 0..15).await;
    oper.kill(&puppet(names[0])).await;
    say(&irc, "#nk-duty", 15..30).await;
    oper.kill(&puppet(names[1])).await;
    say(&irc, "#nk-duty", 30..45).await;
    oper.kill(&puppet(names[2])).await;
    say(&irc, "#nk-duty", 45..60).await;

    assert_all_once(&mut reader, &room, &ghost("nkirc"), 60).await;
}

/// The nominee's TCP connection falls silent without closing; later it comes back with everything it held.
async fn nominee_stalled(story: Story) {
    let mut irc = story.irc("nsirc").await;
    irc.join("#ns-duty").await;
    let names = ["nsone", "nstwo", "nsthree"];
    let (mut reader, room) = crowd(&story, &names, "#ns-duty", &mut irc).await;

    say(&irc, "#ns-duty", 0..20).await;
    story.proxy.stall(&puppet(names[0]));
    say(&irc, "#ns-duty", 20..60).await;
    assert_all_once(&mut reader, &room, &ghost("nsirc"), 60).await;

    // What the silent connection shows at last is old news.
    story.proxy.resume(&puppet(names[0]));
    say(&irc, "#ns-duty", 60..80).await;
    assert_all_once(&mut reader, &room, &ghost("nsirc"), 80).await;
}

/// The nominee's TCP connection is closed on both sides.
async fn nominee_cut(story: Story) {
    let mut irc = story.irc("ncirc").await;
    irc.join("#nc-duty").await;
    let names = ["ncone", "nctwo", "ncthree"];
    let (mut reader, room) = crowd(&story, &names, "#nc-duty", &mut irc).await;

    say(&irc, "#nc-duty", 0..20).await;
    story.proxy.cut(&puppet(names[0]));
    say(&irc, "#nc-duty", 20..40).await;
    story.proxy.cut(&puppet(names[1]));
    say(&irc, "#nc-duty", 40..60).await;
    assert_all_once(&mut reader, &room, &ghost("ncirc"), 60).await;
    // A lost connection is no reason to stay away.
    irc.wait_member("#nc-duty", &puppet(names[0])).await;
    irc.wait_member("#nc-duty", &puppet(names[1])).await;
}

/// Lets users join one after the other; the last is the reader, whose puppet nobody fails.
async fn crowd(story: &Story, names: &[&str], channel: &str, irc: &mut IrcClient) -> (MatrixUser, String) {
    let mut last = None;
    for name in names {
        last = Some(story.joined(name, channel, irc).await);
    }
    last.expect("a crowd is not empty")
}

/// Says numbered lines at the pace of a busy channel, so that a failure falls between them and not after them.
async fn say(irc: &IrcClient, channel: &str, numbers: Range<u32>) {
    for number in numbers {
        irc.say(channel, &format!("line {number}")).await;
        sleep(Duration::from_millis(10)).await;
    }
}

/// Each of the lines so far is one event, in the order they were said.
async fn assert_all_once(reader: &mut MatrixUser, room: &str, sender: &str, count: u32) {
    let all: Vec<String> = (0..count).map(|number| format!("line {number}")).collect();
    reader.wait_message(room, &format!("{count} lines"), PATIENT, |m| m.body == all[all.len() - 1]).await;
    reader.drain(QUIET).await;
    let got = reader.bodies_from(room, sender);
    let (mut sorted, mut expected) = (got.clone(), all.clone());
    sorted.sort();
    expected.sort();
    assert_eq!(sorted, expected, "each line once");
    assert_eq!(got, all, "in the order they were said");
}
