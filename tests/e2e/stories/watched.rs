//! What watchers read: figures that agree with what was said, and a health that knows when the homeserver is away.
//!
//! On InspIRCd only: the pages know no IRC server.

use std::time::Duration;

use crate::support::bridge::NETWORK;
use crate::support::ircd::{IrcdKind, Setup};
use crate::support::matrix::http;
use crate::support::process::free_port;
use crate::support::world::World;
use crate::support::{PATIENT, eventually};

/// A page's status and body.
async fn page(port: u16, path: &str) -> Option<(u16, String)> {
    let answer = http().get(format!("http://127.0.0.1:{port}{path}")).send().await.ok()?;
    let status = answer.status().as_u16();
    Some((status, answer.text().await.ok()?))
}

/// The value of a figure.
fn figure(text: &str, name: &str) -> Option<i64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

#[tokio::test]
async fn figures_and_health() {
    let port = free_port();
    let mut world = World::with(IrcdKind::InspIrcd, &Setup::default(), |config, _| {
        config.top_lines.push(format!("metrics: {{ listen: \"127.0.0.1:{port}\" }}"));
    })
    .await;
    let mut irc = world.irc("watcher").await;
    irc.join("#watched").await;
    let (mut user, room) = world.joined("watchme", "#watched", &mut irc).await;
    user.text(&room, "to irc").await;
    assert_eq!(irc.wait_said("watchme[m]", "#watched").await, "to irc");
    for line in ["one", "two", "three"] {
        irc.say("#watched", line).await;
    }
    user.wait_body(&room, "three", PATIENT).await;

    let of = |what: &str, direction: &str, rest: &str| {
        format!("bunraku_{what}{{network=\"{NETWORK}\",direction=\"{direction}\"{rest}}}")
    };
    let text = eventually("the figures of what was said", PATIENT, || async {
        let (status, text) = page(port, "/metrics").await?;
        assert_eq!(status, 200, "{text}");
        let count = |direction, outcome: &str| {
            figure(&text, &of("messages_total", direction, &format!(",outcome=\"{outcome}\"")))
        };
        let said =
            ["accepted", "delivered"].map(|outcome| (count("to_irc", outcome), count("to_matrix", outcome)));
        (said == [(Some(1), Some(3)); 2]).then_some(text.clone())
    })
    .await;
    for direction in ["to_irc", "to_matrix"] {
        assert_eq!(figure(&text, &of("messages_missing", direction, "")), Some(0), "{text}");
        assert_eq!(figure(&text, &of("messages_in_flight", direction, "")), Some(0), "{text}");
    }
    let ready = format!("bunraku_puppets{{network=\"{NETWORK}\",state=\"ready\"}}");
    assert!(figure(&text, &ready).is_some_and(|ready| ready >= 1), "{text}");
    assert!(
        figure(&text, "bunraku_transaction_seconds_count{status=\"200\"}").is_some_and(|n| n > 0),
        "{text}"
    );
    assert!(figure(&text, "bunraku_commit_seconds_count").is_some_and(|n| n > 0), "{text}");
    for private in ["watch", "@", "!", "#watched"] {
        let labels = text.lines().filter(|line| !line.starts_with('#'));
        assert!(!labels.clone().any(|line| line.contains(private)), "{private} is in\n{text}");
    }

    assert_eq!(page(port, "/health").await.map(|(status, _)| status), Some(200));
    world.synapse.stop();
    let words = eventually("an unhealthy word", Duration::from_secs(20), || async {
        let (status, words) = page(port, "/health").await?;
        (status == 503).then_some(words)
    })
    .await;
    assert!(words.starts_with("the homeserver"), "{words}");
    world.synapse.run().await;
    eventually("health again", Duration::from_secs(20), || async {
        page(port, "/health").await.filter(|(status, _)| *status == 200)
    })
    .await;
}
