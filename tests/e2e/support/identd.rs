//! A tiny ident server (RFC 1413) of one test, on port 113 of a loopback address of its own.
//!
//! IRC servers ask port 113 of the address that a client comes from, and none of the three can be told another
//! port. All of 127.0.0.0/8 is loopback, so every test takes an address that no other has; the client (or the
//! bridge's puppets) must come from it.

use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::process::loopback_address;

/// The ident server; it ends with it.
pub struct Identd {
    pub address: Ipv4Addr,
    asked: Arc<Mutex<Vec<String>>>,
    server: JoinHandle<()>,
}

impl Identd {
    /// Answers every question with `user`.
    pub async fn start(user: &str) -> Identd {
        let address = loopback_address();
        let listener = listen_113(address).await;
        let (asked, user) = (Arc::new(Mutex::new(Vec::new())), user.to_owned());
        let server = tokio::spawn({
            let asked = asked.clone();
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    answer(stream, &user, &asked).await;
                }
            }
        });
        Identd { address, asked, server }
    }

    /// The questions so far, as they came: `port of the client, port of the server`.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no holder panics").clone()
    }
}

impl Drop for Identd {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// A listener on the port of RFC 1413.
async fn listen_113(address: Ipv4Addr) -> TcpListener {
    match TcpListener::bind((address, 113)).await {
        Ok(listener) => listener,
        Err(e) if e.kind() == ErrorKind::PermissionDenied => panic!(
            "port 113 is not for this user: run as root, or let users have it \
             (sysctl net.ipv4.ip_unprivileged_port_start=113), as scripts/test does"
        ),
        Err(e) => panic!("port 113 of {address}: {e}"),
    }
}

async fn answer(stream: TcpStream, user: &str, asked: &Mutex<Vec<String>>) {
    let mut stream = BufReader::new(stream);
    let mut question = String::new();
    if !matches!(stream.read_line(&mut question).await, Ok(1..)) {
        return;
    }
    let ports = question.trim().to_owned();
    let _ = stream.write_all(format!("{ports} : USERID : UNIX : {user}\r\n").as_bytes()).await;
    asked.lock().expect("no holder panics").push(ports);
}
