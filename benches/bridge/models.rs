//! What the models cost by themselves: they run on a thread of their own, plain clients on another.

use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use super::lab::{DOMAIN, room};
use super::machine::thread_cpu_s;
use super::messages::WARM_UP;
use super::model::homeserver::{Homeserver, JoinRule, Settings as HomeserverSettings};
use super::model::http::Client;
use super::model::ircd::{Ircd, Settings as IrcdSettings};
use super::{DELIVERY_TIME_MAX, Table};

/// A byte that no other line of the model holds.
const CHAT_MARK: u8 = b'~';

/// Measures both.
pub fn measure(table: &mut Table) -> Result<()> {
    let (ready, is_ready) = std::sync::mpsc::channel();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = std::thread::spawn(move || -> Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let homeserver = Homeserver::start(HomeserverSettings::new(DOMAIN, "http://127.0.0.1:1")).await?;
            let bot = (format!("@ircbot:{DOMAIN}"), String::new());
            homeserver.add_room(&room(0), JoinRule::Public, &[bot]);
            let ircd = Ircd::start(IrcdSettings::default()).await?;
            let thread = std::fs::read_link("/proc/thread-self")?;
            let thread = thread.file_name().context("no thread id")?.to_string_lossy().into_owned();
            ready.send((thread, homeserver, ircd)).context("nobody measures")?;
            let _asked = stopped.await;
            Ok(())
        })
    });
    let measured = match is_ready.recv() {
        Ok((thread, homeserver, ircd)) => {
            let client = std::thread::spawn(move || load_models(&thread, &homeserver, &ircd));
            client.join().map_err(|_| anyhow::anyhow!("the measuring thread panicked"))?
        }
        Err(_) => bail!("the models did not start"),
    };
    drop(stop);
    server.join().map_err(|_| anyhow::anyhow!("the models panicked"))??;
    for (what, unit, value) in measured? {
        table.add(what, unit, "", value);
    }
    Ok(())
}

type Figures = Vec<(&'static str, &'static str, f64)>;

fn load_models(thread: &str, homeserver: &Homeserver, ircd: &Ircd) -> Result<Figures> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut figures = Vec::new();
    let (started, used) = (Instant::now(), thread_cpu_s(thread)?);
    let count = runtime.block_on(put_many(homeserver))? as f64;
    figures.push(("model homeserver, wall clock", "sends/s", count / started.elapsed().as_secs_f64()));
    figures.push(("model homeserver, own processor time", "sends/s", count / (thread_cpu_s(thread)? - used)));
    let (started, used) = (Instant::now(), thread_cpu_s(thread)?);
    let copies = runtime.block_on(chat_much(ircd))? as f64;
    figures.push(("model IRC server, wall clock", "lines out/s", copies / started.elapsed().as_secs_f64()));
    figures.push((
        "model IRC server, own processor time",
        "lines out/s",
        copies / (thread_cpu_s(thread)? - used),
    ));
    Ok(figures)
}

/// Sends from 32 connections, one request in flight on each; returns how many.
async fn put_many(homeserver: &Homeserver) -> Result<usize> {
    const CONNECTIONS: usize = 32;
    const EACH: usize = 1_000;
    let mut tasks = tokio::task::JoinSet::new();
    for connection in 0..CONNECTIONS {
        let url = homeserver.url();
        let body = format!(r#"{{"msgtype":"m.text","body":"{WARM_UP}"}}"#);
        tasks.spawn(async move {
            let mut client = Client::new(&url);
            for number in 0..EACH {
                let path =
                    format!("/_matrix/client/v3/rooms/{}/send/m.room.message/{connection}.{number}", room(0));
                let answer = client.call("PUT", &path, "as", body.as_bytes()).await?;
                ensure!(answer.status == 200, "the model answered {}", answer.status);
            }
            Ok(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    ensure!(homeserver.sent_len() == CONNECTIONS * EACH, "the model lost a send");
    Ok(CONNECTIONS * EACH)
}

/// One speaker, nine listeners; returns how many copies were heard.
async fn chat_much(ircd: &Ircd) -> Result<usize> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    const LISTENERS: usize = 9;
    const LINES: usize = 20_000;
    let address = ("127.0.0.1", ircd.port());
    let mut tasks = tokio::task::JoinSet::new();
    for listener in 0..=LISTENERS {
        let mut stream = tokio::net::TcpStream::connect(address).await?;
        stream.write_all(format!("NICK n{listener}\r\nUSER n 0 * :n\r\nJOIN #c\r\n").as_bytes()).await?;
        tasks.spawn(async move {
            let speaks = listener == LISTENERS;
            let mut heard = 0;
            let mut buffer = vec![0; 16 * 1024];
            while !speaks && heard < LINES {
                let length = stream.read(&mut buffer).await?;
                ensure!(length > 0, "the model closed a connection");
                heard += memchr::memchr_iter(CHAT_MARK, &buffer[..length]).count();
            }
            if speaks {
                let line = format!("PRIVMSG #c :{} {WARM_UP}\r\n", CHAT_MARK as char);
                for _ in 0..LINES {
                    stream.write_all(line.as_bytes()).await?;
                }
                // The others hear its last line before it closes, as the model reads in order.
                stream.write_all(b"QUIT\r\n").await?;
                while stream.read(&mut buffer).await? > 0 {}
            }
            Ok(heard)
        });
        ensure!(
            ircd.wait_for_members("#c", listener + 1, DELIVERY_TIME_MAX).await.is_ok(),
            "a listener did not join"
        );
    }
    let mut heard = 0;
    while let Some(done) = tasks.join_next().await {
        heard += done??;
    }
    ensure!(heard == LISTENERS * LINES, "the model lost a line");
    Ok(heard)
}
