//! The command line: what can be asked for, and what the exit codes mean.
//!
//! Holds no logic of the bridge: each command reads the configuration, does its one thing and ends in an
//! [`Exit`]. What people asked for goes to standard output, faults and logs to standard error.

mod audit;
mod check;
mod desk;
mod held;
mod logging;
mod login;
mod password;
mod registration;
mod run;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bunraku::config::{self, Loaded, Problems};
use clap::{Args, Parser, Subcommand};

const BEGIN: &str = "\
Where to begin:
  cp config.sample.yaml config.yaml      then set the lines marked <== in it
  bunraku registration                   makes registration.yaml for the homeserver
  bunraku check                          tells every fault at once, asks the homeserver
  bunraku run                            starts the bridge

Exit codes:
  0  good
  1  cannot run, or a fault while running
  2  the configuration, the registration or the command line is wrong
  3  the homeserver cannot be reached or refuses
  4  the audit does not balance";

/// A puppeting bridge between Matrix and IRC.
///
/// Every Matrix user is a person of their own on IRC, every IRC user one on Matrix. bunraku is an application
/// service: it runs beside your homeserver, which knows it by a registration file.
#[derive(Debug, Parser)]
#[command(name = "bunraku", version, after_help = BEGIN, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(Run),
    Check(Check),
    Registration(Registration),
    Login(login::Login),
    Held(held::Held),
    Audit(audit::Audit),
}

/// Start the bridge; it runs until it gets SIGTERM or SIGINT.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bunraku run --config /etc/bunraku/config.yaml
  bunraku run --log info,bunraku=debug       see more for once; logs go to standard error")]
struct Run {
    #[command(flatten)]
    config: ConfigFile,
    /// What to log, such as `debug` or `info,bunraku::irc=debug`; before RUST_LOG and logging.filter
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,
}

/// Tell everything that is wrong with the configuration, the registration and the way to the homeserver.
///
/// Changes nothing. Asks the homeserver who we are, and to call us back; while the bridge does not run,
/// this command takes that call itself.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bunraku check                              config.yaml of this folder
  bunraku check --offline                    files only, for example before a deployment

Exit codes: 0 good (there may be warnings), 1 cannot listen, 2 a file is wrong, 3 the homeserver cannot be
reached, refuses, or cannot reach us")]
struct Check {
    #[command(flatten)]
    config: ConfigFile,
    /// Look at the files only, do not ask the homeserver
    #[arg(long)]
    offline: bool,
}

/// Make the registration file, with new tokens, that the homeserver and the bridge both need.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bunraku registration                       writes the file that appservice.registration names
  bunraku registration --bot irc --force     again, with new tokens and another name for the bot

After that the homeserver needs the new file and a restart; the command prints how.")]
struct Registration {
    #[command(flatten)]
    config: ConfigFile,
    /// Where to write it [default: what appservice.registration says]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Localpart of the bridge's own Matrix user
    #[arg(long, value_name = "NAME", default_value = "ircbot")]
    bot: String,
    /// Replace a file that is there; its tokens are lost
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Args)]
struct ConfigFile {
    /// The configuration file
    #[arg(long = "config", short = 'c', value_name = "FILE", default_value = "config.yaml", global = true)]
    path: PathBuf,
}

/// How the program ends. The numbers are in `--help` and part of the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exit {
    Good,
    /// Cannot run, or a fault at run time.
    Fault,
    /// Bad configuration, registration or usage.
    Usage,
    /// The homeserver is not reachable or refuses.
    Homeserver,
    /// Messages are missing in the audit.
    Imbalance,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Good => 0,
            Exit::Fault => 1,
            Exit::Usage => 2,
            Exit::Homeserver => 3,
            Exit::Imbalance => 4,
        })
    }
}

/// Does what the command line asks.
pub fn main() -> ExitCode {
    let exit = match Arguments::parse().command {
        Command::Run(run) => run::main(&run),
        Command::Check(check) => check::main(&check),
        Command::Registration(registration) => registration::main(&registration),
        Command::Login(login) => login::main(&login),
        Command::Held(held) => held::main(&held),
        Command::Audit(audit) => audit::main(&audit),
    };
    exit.into()
}

/// Loads the configuration; tells its faults on standard error.
fn load(path: &Path) -> Result<Loaded, Exit> {
    config::load(path).map_err(|problems| refuse(&problems))
}

/// Tells faults on standard error and ends with [`Exit::Usage`].
fn refuse(problems: &Problems) -> Exit {
    eprintln!("{problems}");
    Exit::Usage
}

/// A runtime for the commands that speak to somebody.
fn runtime() -> Result<tokio::runtime::Runtime, Exit> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|fault| {
        eprintln!("the system gives no threads to run on: {fault}");
        Exit::Fault
    })
}
