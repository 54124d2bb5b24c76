//! `bunraku check`: tells every fault of the files, then walks the way to the homeserver and back.
//!
//! The way has four steps, and a fault at one makes the next meaningless, so the first is told with what to
//! do: somebody answers; it is a homeserver; it knows our token and our bot; it can call us. For the last one
//! somebody must listen: the bridge if it runs, else this command, which takes the call and refuses
//! all else with 503, so that the homeserver keeps what it has for the bridge.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::post;
use bunraku::app::dial_plan::dial_plan;
use bunraku::config::{self, Config, Problems, Registration, registration};
use bunraku::matrix;
use bunraku::matrix::client::{Client, ClientConfig, ClientError};
use bunraku::secret::Secret;
use tokio::net::TcpListener;

use super::{Check, Exit, logging, runtime};

/// Checks, and tells on standard output.
pub fn main(check: &Check) -> Exit {
    let (config, registration) = match files(check) {
        Ok(good) => good,
        Err(exit) => return exit,
    };
    if check.offline {
        println!("The files are good. The homeserver was not asked.");
        return Exit::Good;
    }
    match runtime() {
        Ok(runtime) => runtime.block_on(ask(&config, &registration)),
        Err(exit) => exit,
    }
}

/// The files' part: all faults of configuration and registration.
fn files(check: &Check) -> Result<(Config, Registration), Exit> {
    let loaded = config::load(&check.config.path).map_err(|problems| refuse(&problems))?;
    let filter = logging::filter(&loaded.config.logging, None);
    let registration = registration::load(&loaded.config);
    let found = registration.as_ref().map_or_else(|problems| problems, |(_, warnings)| warnings);
    tell(&loaded.warnings);
    tell(found);
    if let Err(sentence) = &filter {
        println!("{sentence}");
    }
    let dialled = connections(&loaded.config);
    match (registration, filter, dialled) {
        (Ok((registration, _)), Ok(_), Ok(())) => Ok((loaded.config, registration)),
        (Err(_), _, _) | (_, Err(_), _) | (_, _, Err(())) => Err(Exit::Usage),
    }
}

/// What only shows when the files that the networks' blocks name are read: certificates, pins, addresses.
fn connections(config: &Config) -> Result<(), ()> {
    let mut good = Ok(());
    for (key, network) in &config.networks {
        if let Err(fault) = dial_plan(network, None) {
            println!("networks.{key}: {fault:#}");
            good = Err(());
        }
    }
    good
}

fn refuse(problems: &Problems) -> Exit {
    tell(problems);
    Exit::Usage
}

fn tell(problems: &Problems) {
    if !problems.is_empty() {
        println!("{problems}");
    }
}

/// What ended the walk, and how.
type Stop = (Exit, String);

async fn ask(config: &Config, registration: &Registration) -> Exit {
    match walk(config, registration).await {
        Ok(()) => {
            println!("All is good.");
            Exit::Good
        }
        Err((exit, sentence)) => {
            println!("{sentence}");
            exit
        }
    }
}

async fn walk(config: &Config, registration: &Registration) -> Result<(), Stop> {
    let client = client(config, registration)?;
    let homeserver = &config.homeserver.url;
    let versions = client.versions().await.map_err(|fault| no_homeserver(homeserver, &fault))?;
    println!(
        "{homeserver} answers; newest Matrix version: {}",
        versions.last().map_or("none", String::as_str)
    );
    let user = client.whoami().await.map_err(|fault| not_known(homeserver, &fault, config))?;
    if user != registration.bot {
        let bot = &registration.bot;
        let sentence = format!(
            "{homeserver} takes us for {user}, and the registration says {bot}; look whether homeserver.domain is right and the homeserver has this registration file, then restart it"
        );
        return Err((Exit::Homeserver, sentence));
    }
    println!("It knows the bridge as {user}.");
    let took_ms = call_back(&client, config, registration).await?;
    println!("It can call the bridge at {} ({took_ms} ms).", config.appservice.url);
    Ok(())
}

fn client(config: &Config, registration: &Registration) -> Result<Client, Stop> {
    Client::new(ClientConfig {
        homeserver_url: config.homeserver.url.clone(),
        as_token: matrix::Secret::new(registration.as_token.expose()),
        appservice_id: registration.id.clone(),
        server_name: config.homeserver.domain.clone(),
        bot: registration.bot.clone(),
        device: String::new(),
    })
    .map_err(|fault| (Exit::Usage, fault.to_string()))
}

fn no_homeserver(homeserver: &str, fault: &ClientError) -> Stop {
    let sentence = match fault {
        ClientError::Limited { .. } => limited(homeserver),
        // The client's words for an answer that came, but was none of a homeserver in health.
        ClientError::Unavailable(words)
            if words.starts_with("status ") || words.starts_with("the answer ") =>
        {
            format!(
                "{homeserver} answers, but not as a homeserver ({words}); set homeserver.url to the base of its client API, without /_matrix"
            )
        }
        ClientError::Unavailable(words) => {
            format!(
                "{homeserver} cannot be reached ({words}); does the homeserver run, and is homeserver.url right?"
            )
        }
        other => format!(
            "{homeserver} answers, but not as a homeserver ({other}); set homeserver.url to the base of its client API, without /_matrix"
        ),
    };
    (Exit::Homeserver, sentence)
}

fn not_known(homeserver: &str, fault: &ClientError, config: &Config) -> Stop {
    let file = config.appservice.registration.display();
    let sentence = match fault {
        ClientError::WrongToken => format!(
            "{homeserver} does not accept our token; give it the file {file} (Synapse: app_service_config_files) and restart it"
        ),
        ClientError::Forbidden { words, .. } => format!(
            "{homeserver} knows our token, but not our bot ({words}); look whether homeserver.domain is right and the homeserver has this {file}, then restart it"
        ),
        ClientError::Limited { .. } => limited(homeserver),
        other => format!("{homeserver} does not say who we are: {other}; look into its log"),
    };
    (Exit::Homeserver, sentence)
}

fn limited(homeserver: &str) -> String {
    format!(
        "{homeserver} limits how fast we may ask; put rate_limited: false into the registration and restart the homeserver"
    )
}

/// Has the homeserver call us, and takes the call if nobody does. Returns the milliseconds it took.
async fn call_back(client: &Client, config: &Config, registration: &Registration) -> Result<u128, Stop> {
    let stand_in = StandIn::listen(config, registration).await?;
    let answer = client.ping("bunraku-check").await;
    let Err(fault) = answer else { return Ok(answer.map_or(0, |took| took.as_millis())) };
    Err((Exit::Homeserver, not_called(&fault, &stand_in, config)))
}

fn not_called(fault: &ClientError, stand_in: &StandIn, config: &Config) -> String {
    let homeserver = &config.homeserver.url;
    let url = &config.appservice.url;
    match fault {
        ClientError::Limited { .. } => limited(homeserver),
        _ if stand_in.wrong_token.load(Ordering::Relaxed) => format!(
            "{homeserver} called us with another hs_token; it has another registration file than ours: give it {} and restart it",
            config.appservice.registration.display()
        ),
        ClientError::NotFound | ClientError::Refused { status: 404 | 405, .. } => format!(
            "{homeserver} has no way to call us for a test ({fault}); it is too old, bunraku needs a homeserver with Matrix 1.7"
        ),
        ClientError::Forbidden { .. } | ClientError::Refused { .. } => format!(
            "{homeserver} does not call us: {fault}; it has another registration file than ours: give it {} and restart it",
            config.appservice.registration.display()
        ),
        other => format!(
            "{homeserver} cannot call us at {url}: {other}; {}, look at appservice.listen ({}), appservice.url and a firewall between the two",
            stand_in.who_listens(),
            config.appservice.listen
        ),
    }
}

/// Takes the homeserver's test call while the bridge does not run.
struct StandIn {
    /// Somebody called without our hs_token.
    wrong_token: Arc<AtomicBool>,
    task: Option<tokio::task::JoinHandle<()>>,
}

#[derive(Clone)]
struct Expected {
    hs_token: Secret,
    wrong_token: Arc<AtomicBool>,
}

impl StandIn {
    async fn listen(config: &Config, registration: &Registration) -> Result<Self, Stop> {
        let wrong_token = Arc::new(AtomicBool::new(false));
        let address = config.appservice.listen_address();
        let listener = match TcpListener::bind(address).await {
            Ok(listener) => listener,
            Err(fault) if fault.kind() == std::io::ErrorKind::AddrInUse => {
                return Ok(Self { wrong_token, task: None });
            }
            Err(fault) => {
                let sentence = format!("appservice.listen: cannot listen on {address}: {fault}");
                return Err((Exit::Fault, sentence));
            }
        };
        let expected =
            Expected { hs_token: registration.hs_token.clone(), wrong_token: Arc::clone(&wrong_token) };
        let router = Router::new()
            .route("/_matrix/app/v1/ping", post(take_call))
            .fallback(|| async { StatusCode::SERVICE_UNAVAILABLE })
            .with_state(expected);
        // It only ends with an error of the listener, and then the call does not come: that is told.
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap_or_default() });
        Ok(Self { wrong_token, task: Some(task) })
    }

    fn who_listens(&self) -> &'static str {
        match self.task {
            Some(_) => "this command listened for the call",
            None => "another program listens there (the bridge?)",
        }
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

async fn take_call(State(expected): State<Expected>, headers: HeaderMap) -> (StatusCode, &'static str) {
    let given = headers.get(header::AUTHORIZATION).map(|value| value.as_bytes());
    let token = given.and_then(|value| value.strip_prefix(b"Bearer "));
    if token.is_some_and(|token| expected.hs_token.matches(token)) {
        return (StatusCode::OK, "{}");
    }
    expected.wrong_token.store(true, Ordering::Relaxed);
    (StatusCode::FORBIDDEN, "{\"errcode\":\"M_FORBIDDEN\"}")
}
