//! The database can take nothing for a while: its disk is full, or another process has it locked.
//!
//! The homeserver is told to keep its events, and what comes from IRC is kept in memory: nothing may be lost or
//! doubled on either way.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;

use crate::model::homeserver::transaction;
use crate::model::http::Client;
use crate::support::figures::{count, report};
use crate::support::judge::{Mark, judge};
use crate::support::lab::{Lab, Plan, channel, name, room, user};
use crate::support::part;
use crate::support::process::temp_dir;
use crate::support::small_disk::SmallDisk;
use crate::support::{PATIENT, QUIET};

/// Events of one transaction, each with so much that says nothing, so that a log fills soon.
const EVENTS: usize = 10;
const PADDING_BYTES: usize = 30_000;
/// Transactions are tried again so often while the database takes nothing.
const REFUSALS: usize = 5;
const RETRY: Duration = Duration::from_millis(200);
/// Messages come to IRC within this where the disk has room, and within a part of the time that a store lets a
/// failing database have.
const SOON: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn disk_full() {
    let times = count(1, 20);
    let dir = temp_dir();
    let disk = SmallDisk::mount(dir.path());
    let mut flow = Flow::start(Some(disk.dir())).await;
    for _ in 0..times {
        flow.transactions(3, PADDING_BYTES).await;
        disk.fill();
        let refused = flow.transactions_until_refused(PADDING_BYTES).await;
        disk.relieve();
        flow.try_until_taken(refused).await;
        flow.transactions(3, PADDING_BYTES).await;
    }
    flow.end(&format!("full disk × {times}")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn database_locked() {
    let times = count(1, 20);
    let mut flow = Flow::start(None).await;
    for _ in 0..times {
        flow.transactions(3, 10).await;
        let lock = Lock::take(&flow.lab.bridge.dir().join("bunraku.db"));
        let refused = flow.transactions_until_refused(10).await;
        lock.release();
        flow.try_until_taken(refused).await;
        flow.transactions(3, 10).await;
    }
    flow.end(&format!("database locked by another process × {times}")).await;
}

/// Messages both ways through one bridge.
struct Flow {
    lab: Lab,
    client: Client,
    transactions: usize,
    refusals: usize,
    to_irc: Vec<Mark>,
    to_matrix: Vec<Mark>,
}

/// A transaction that was not taken, and its messages.
struct Refused {
    id: usize,
    body: Vec<u8>,
    marks: Vec<Mark>,
}

impl Flow {
    async fn start(database_dir: Option<&Path>) -> Flow {
        let plan = Plan { database_dir: database_dir.map(Path::to_owned), ..Plan::of(1, 2) };
        let lab = Lab::start(plan).await;
        lab.greet(&["fp0".to_owned()], 0..1).await;
        let client = Client::new(&lab.homeserver.settings().appservice_url);
        Flow { lab, client, transactions: 0, refusals: 0, to_irc: Vec::new(), to_matrix: Vec::new() }
    }

    /// So many transactions that must be taken, and as many lines the other way.
    async fn transactions(&mut self, count: usize, padding: usize) {
        for _ in 0..count {
            let next = self.next(padding);
            self.try_until_taken(next).await;
            self.say_on_irc();
        }
    }

    /// One after the other, and lines the other way, until one has been refused some times. Messages of the last one
    /// that was taken may have to wait for the disk: a puppet says none before the last is noted as said.
    async fn transactions_until_refused(&mut self, padding: usize) -> Refused {
        loop {
            let next = self.next(padding);
            self.say_on_irc();
            let mut refusals = 0;
            while self.deliver(&next).await == 503 {
                refusals += 1;
                self.say_on_irc();
                if refusals == REFUSALS {
                    self.refusals += refusals;
                    return next;
                }
                sleep(RETRY).await;
            }
            self.to_irc.extend(next.marks);
            let _ = self.lab.ircd.wait_for(self.to_irc.len(), SOON).await;
        }
    }

    async fn try_until_taken(&mut self, transaction: Refused) {
        let end = tokio::time::Instant::now() + PATIENT;
        while self.deliver(&transaction).await != 200 {
            assert!(tokio::time::Instant::now() < end, "never taken\n{}", self.lab.bridge.log_tail());
            sleep(RETRY).await;
        }
        self.taken(transaction).await;
    }

    /// Its messages come to IRC: so no queue runs full.
    async fn taken(&mut self, transaction: Refused) {
        self.to_irc.extend(transaction.marks);
        let arrived = self.lab.ircd.wait_for(self.to_irc.len(), PATIENT).await;
        arrived.unwrap_or_else(|short| panic!("to IRC: {short}\n{}", self.lab.bridge.log_tail()));
    }

    fn next(&mut self, padding: usize) -> Refused {
        self.transactions += 1;
        let numbers = (0..EVENTS).map(|n| (self.transactions * EVENTS + n) as u32);
        let marks: Vec<Mark> = numbers.map(|number| Mark::new(&name(0), 0, number)).collect();
        let event = |mark: &Mark| {
            let content = json!({ "msgtype": "m.text", "body": mark.text(), "padding": "x".repeat(padding) });
            self.lab.homeserver.event(&room(0), &user(0), "m.room.message", None, &content)
        };
        let body = transaction(&marks.iter().map(event).collect::<Vec<_>>());
        Refused { id: self.transactions, body, marks }
    }

    async fn deliver(&mut self, transaction: &Refused) -> u16 {
        let path = format!("/_matrix/app/v1/transactions/{}", transaction.id);
        let answer = self.client.call("PUT", &path, &self.lab.hs_token, &transaction.body).await;
        let answer = answer.unwrap_or_else(|error| panic!("{error}\n{}", self.lab.bridge.log_tail()));
        assert!([200, 503].contains(&answer.status), "{}", String::from_utf8_lossy(&answer.body));
        answer.status
    }

    fn say_on_irc(&mut self) {
        let mark = Mark::new("fp0", 0, self.to_matrix.len() as u32);
        self.lab.ircd.say(&channel(0), &mark.from, &mark.text());
        self.to_matrix.push(mark);
    }

    /// The bridge starts again too, and finds nothing that it has not done.
    async fn end(mut self, fault: &str) {
        self.lab.wait_on_matrix(self.to_matrix.len(), PATIENT).await;
        self.lab.bridge.stop();
        self.lab.bridge.run().await;
        self.lab.wait_puppets(2).await;
        sleep(QUIET).await;
        let to_irc = judge(&self.to_irc, &self.lab.arrived_on_irc(), &Default::default());
        let to_matrix = judge(&self.to_matrix, &self.lab.arrived_on_matrix(), &Default::default());
        report(
            fault,
            "Matrix to IRC",
            &to_irc,
            &format!("{} times the homeserver was told to keep them", self.refusals),
        );
        report(fault, "IRC to Matrix", &to_matrix, "");
        to_irc.assert_exactly_once("Matrix to IRC");
        to_matrix.assert_exactly_once("IRC to Matrix");
    }
}

/// Another process that writes to the database and doesn't come to an end.
struct Lock(Child);

impl Lock {
    fn take(database: &Path) -> Lock {
        const HOLD: &str = "import sqlite3, sys\n\
            c = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=20)\n\
            c.execute('BEGIN IMMEDIATE')\nprint('locked', flush=True)\nsys.stdin.readline()\nc.execute('ROLLBACK')";
        let mut command = Command::new(part("BUNRAKU_SYNAPSE_PYTHON"));
        command.args(["-c", HOLD]).arg(database).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("Python runs");
        let mut said = String::new();
        let output = child.stdout.as_mut().expect("it is piped");
        BufReader::new(output).read_line(&mut said).expect("Python says when it has the lock");
        assert_eq!(said, "locked\n");
        Lock(child)
    }

    fn release(mut self) {
        let input = self.0.stdin.as_mut().expect("it is piped");
        writeln!(input).expect("Python listens");
        let status = self.0.wait().expect("it ends");
        assert!(status.success());
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
