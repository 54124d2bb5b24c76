//! The setup widget of a real bridge: a person of a real homeserver links their room by clicks, an operator agrees on IRC, and it
//! is unlinked by clicks.
//!
//! `tests/e2e/widget/real.py` drives the page; this plays the operator.

use std::path::Path;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use super::operators::{ask, is_there};
use crate::support::PATIENT;
use crate::support::ircd::{IrcdKind, Setup};
use crate::support::process::free_port;
use crate::support::synapse::DOMAIN;
use crate::support::world::{World, puppet};

const CHANNEL: &str = "#wi-story";

#[tokio::test]
async fn the_widget_links_a_room() {
    let port = free_port();
    let world = World::with(IrcdKind::InspIrcd, &Setup::default(), |config, _| {
        config.network_lines.retain(|line| !line.starts_with("operators:"));
        config.top_lines.push(format!("permissions: {{ \"@wiada:{DOMAIN}\": plumber }}"));
        config.top_lines.push(format!("api: {{ listen: \"127.0.0.1:{port}\" }}"));
    })
    .await;
    let mut operator = world.irc("wieve").await;
    operator.join(CHANNEL).await;
    is_there(&mut operator).await;
    let ada = world.user("wiada").await;
    let room = ada.create_public_room("our place").await;
    let bot = world.bridge.bot();
    ada.invite(&room, &bot).await;
    ada.wait_membership(&room, &bot, "join", PATIENT).await;

    let page = format!("http://localhost:{port}/widget");
    let openid = ada.openid().await.to_string();
    let mut walk =
        Walk::begin(&["--page", &page, "--room", &room, "--channel", CHANNEL, "--openid", &openid]);
    walk.comes_to("asked").await;
    ask(&mut operator, &format!("allow {CHANNEL} {room}"), "Thank you").await;
    walk.comes_to("linked").await;
    operator.wait_member(CHANNEL, &puppet("wiada")).await;
    ada.text(&room, "linked by clicks").await;
    assert_eq!(operator.wait_said(&puppet("wiada"), CHANNEL).await, "linked by clicks");
    walk.goes_on().await;
    walk.comes_to("unlinked").await;
    operator.wait_no_member(CHANNEL, &puppet("wiada")).await;
}

/// Somebody at the page.
struct Walk {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Walk {
    fn begin(arguments: &[&str]) -> Walk {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/widget/real.py");
        let mut command = Command::new("python3");
        command.arg("-B").arg(script).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.kill_on_drop(true).spawn().expect("python3 runs");
        let lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        Walk { child, lines }
    }

    /// Waits until they are so far; what went wrong stands on the error output.
    async fn comes_to(&mut self, word: &str) {
        let line = timeout(PATIENT * 3, self.lines.next_line()).await;
        let line = line.unwrap_or_else(|_| panic!("the page does not come to {word:?}"));
        assert_eq!(line.expect("a pipe").as_deref(), Some(word));
    }

    async fn goes_on(&mut self) {
        let stdin = self.child.stdin.as_mut().expect("it is piped");
        stdin.write_all(b"\n").await.expect("it waits for a line");
    }
}
