//! The two pages, asked over a socket.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::routing::get as page;

use super::*;

/// Gives these figures and this health, and counts how often it is asked.
#[derive(Default)]
struct Fixed {
    figures: Figures,
    health: Health,
    asked: AtomicUsize,
    hangs: bool,
}

impl Source for Fixed {
    async fn figures(&self) -> Figures {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if self.hangs {
            std::future::pending::<()>().await;
        }
        self.figures.clone()
    }

    async fn health(&self) -> Health {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.health.clone()
    }
}

/// Status, content type and body of a page.
async fn get(source: &Arc<Fixed>, path: &str) -> (u16, String, String) {
    serve(router(Arc::clone(source)), reqwest::Method::GET, path).await
}

async fn serve(router: Router, method: reqwest::Method, path: &str) -> (u16, String, String) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let url = format!("http://{}{path}", listener.local_addr().expect("bound"));
    let serving = tokio::spawn(async move { axum::serve(listener, router).await });
    // No TLS here; the client wants a provider all the same.
    rustls::crypto::ring::default_provider().install_default().ok();
    let answer = reqwest::Client::new().request(method, url).send().await.expect("an answer");
    let status = answer.status().as_u16();
    let content_type = answer.headers()["content-type"].to_str().expect("text").to_owned();
    let body = answer.text().await.expect("a body");
    serving.abort();
    (status, content_type, body)
}

fn figures() -> Figures {
    let messages = Messages {
        network: "libera".into(),
        direction: "to_irc",
        accepted: 10,
        delivered: 6,
        failed: 1,
        expired: 1,
        in_flight: 1,
        missing: 1,
    };
    let network = Network {
        network: "libera".into(),
        mailbox_waiting: 3,
        puppets: Puppets { ready: 5, held: 2, ..Puppets::default() },
        connects: 9,
        reconnects: 4,
        refusals: BTreeMap::from([("404".to_owned(), 7)]),
        duty_moves: DutyMoves { by_silence: 1, by_leave: 2, by_preference: 0 },
        ghosts: Ghosts { waiting: 4, joined: 5, left: 6, refused: 0 },
        gate: Gate { waiting: 3, removed: 2, refused: 1 },
        limited: Limited { connections: 1, contacts: 2, joins: 0 },
        errands: Errands { done: 7, refused: 2, unknown: 1 },
    };
    let bridge = Bridge { inbox_open: 2, outbox_waiting: 8, outbox_rooms_parked: 1, ..Bridge::default() };
    let policy_lists = PolicyLists { in_force: 7, left_out: 1, too_wide: 2, unread: 0 };
    let (messages, networks) = (Some(vec![messages]), vec![network]);
    Figures { messages, bridge, policy_lists, networks, ..Figures::default() }
}

#[tokio::test]
async fn figures_are_written_as_prometheus_reads_them() {
    let source = Arc::new(Fixed { figures: figures(), ..Fixed::default() });
    let (status, content_type, body) = get(&source, "/metrics").await;
    assert_eq!(status, 200);
    assert!(content_type.starts_with("application/openmetrics-text; version=1.0.0"), "{content_type}");
    for line in [
        "# TYPE bunraku_messages counter",
        "bunraku_messages_total{network=\"libera\",direction=\"to_irc\",outcome=\"delivered\"} 6",
        "bunraku_messages_in_flight{network=\"libera\",direction=\"to_irc\"} 1",
        "bunraku_messages_missing{network=\"libera\",direction=\"to_irc\"} 1",
        "bunraku_database_up 1",
        "bunraku_inbox_open 2",
        "bunraku_outbox_waiting 8",
        "bunraku_outbox_rooms_parked 1",
        "bunraku_outbox_dropped_total 0",
        "bunraku_mailbox_waiting{network=\"libera\"} 3",
        "bunraku_puppets{network=\"libera\",state=\"ready\"} 5",
        "bunraku_limited_total{network=\"libera\",limit=\"contacts\"} 2",
        "bunraku_policy_rules{state=\"in_force\"} 7",
        "bunraku_policy_lists_unread 0",
        "bunraku_reconnects_total{network=\"libera\"} 4",
        "bunraku_refusals_total{network=\"libera\",code=\"404\"} 7",
        "bunraku_duty_moves_total{network=\"libera\",why=\"leave\"} 2",
        "bunraku_ghost_steps_waiting{network=\"libera\"} 4",
        "bunraku_ghost_steps_total{network=\"libera\",end=\"joined\"} 5",
        "bunraku_unseen{network=\"libera\"} 3",
        "bunraku_removals_total{network=\"libera\",end=\"refused\"} 1",
        "bunraku_errands_total{network=\"libera\",end=\"unknown\"} 1",
        "bunraku_outbox_withheld 0",
    ] {
        assert!(body.lines().any(|written| written == line), "{line}\nis not in\n{body}");
    }
    assert!(body.ends_with("# EOF\n"), "{body}");
}

#[tokio::test]
async fn without_a_database_the_rest_is_told() {
    let source = Arc::new(Fixed { figures: Figures { messages: None, ..figures() }, ..Fixed::default() });
    let (status, _, body) = get(&source, "/metrics").await;
    assert_eq!(status, 200);
    assert!(
        body.contains("\nbunraku_database_up 0\n") && body.contains("\nbunraku_inbox_open 2\n"),
        "{body}"
    );
    assert!(!body.contains("bunraku_messages_total{"), "{body}");
}

#[tokio::test]
async fn health_is_a_status_and_words() {
    let well = Arc::new(Fixed::default());
    assert_eq!(get(&well, "/health").await.0, 200);
    let faults = vec!["the database does not answer".to_owned(), "the homeserver is away".to_owned()];
    let ill = Arc::new(Fixed { health: Health { faults }, ..Fixed::default() });
    let (status, content_type, body) = get(&ill, "/health").await;
    assert_eq!((status, body.as_str()), (503, "the database does not answer\nthe homeserver is away\n"));
    assert!(content_type.starts_with("text/plain"), "{content_type}");
}

#[tokio::test]
async fn many_who_ask_at_once_cost_one_look() {
    let source = Arc::new(Fixed::default());
    let desk = Arc::new(Desk { source, figures: Mutex::default(), health: Mutex::default() });
    let asking: Vec<_> = (0..50).map(|_| tokio::spawn(metrics(State(Arc::clone(&desk))))).collect();
    for asked in asking {
        assert_eq!(asked.await.expect("it answers").status(), StatusCode::OK);
    }
    assert_eq!(desk.source.asked.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_bridge_that_hangs_is_told_as_that() {
    let source = Arc::new(Fixed { hangs: true, ..Fixed::default() });
    let desk = Arc::new(Desk { source, figures: Mutex::default(), health: Mutex::default() });
    let answer = metrics(State(Arc::clone(&desk))).await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn only_transactions_are_timed() {
    let meter = Meter::default();
    let path = "/_matrix/app/v1/transactions/1";
    let other = "/_matrix/app/v1/users/x";
    let refused = || async { (StatusCode::FORBIDDEN, "no") };
    let pages = || Router::new().route(path, page(refused)).route(other, page(|| async { "yes" }));
    for path in [path, path, other] {
        serve(timed(pages(), &meter), reqwest::Method::GET, path).await;
    }
    let text = metrics::render(&Figures { transactions: meter.clone(), ..Figures::default() });
    assert!(text.contains("bunraku_transaction_seconds_count{status=\"403\"} 2\n"), "{text}");
    assert!(!text.contains("status=\"200\""), "{text}");
}
