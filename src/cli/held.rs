//! `bunraku held`: who is kept away from a network, and letting them come back.
//!
//! Works on the database of the configuration, also while the bridge runs, which looks there now and then.

use bunraku::store::Store;
use clap::{Args, Subcommand};

use super::desk::{Desk, Who, told};
use super::{ConfigFile, Exit};

/// See who is kept away from a network after a KILL, a ban or a refused login, and let them come back.
///
/// A puppet that a network's operators removed does not come back by itself, also not with a restart: they
/// would ban the whole bridge. When they agree, or a wrong password was mended, let it come back here.
#[derive(Debug, Args)]
#[command(
    arg_required_else_help = true,
    after_help = "\
Examples:
  bunraku held list libera                              who is kept away, and why
  bunraku held release libera @alice:example.org        lets her puppet connect again"
)]
pub struct Held {
    #[command(flatten)]
    config: ConfigFile,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    List(List),
    Release(Release),
}

/// List who is kept away from a network, with the network's words.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bunraku held list libera")]
struct List {
    /// The network, by its key in the configuration
    network: String,
}

/// Let a user's puppet connect again: a bridge that runs does so within half a minute.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bunraku held release libera @alice:example.org")]
struct Release {
    #[command(flatten)]
    who: Who,
}

/// Does what is asked.
pub fn main(held: &Held) -> Exit {
    let done = Desk::open(&held.config.path).and_then(|desk| match &held.action {
        Action::List(list) => desk.held(&list.network),
        Action::Release(release) => desk.release(&release.who),
    });
    done.map_or_else(|exit| exit, |()| Exit::Good)
}

impl Desk {
    fn held(&self, network: &str) -> Result<(), Exit> {
        let network = self.network(network)?;
        let holds = self.ask(async |store: &Store| store.holds(&network).await)?;
        if holds.is_empty() {
            println!("nobody is kept away from {network}");
        }
        let width = holds.iter().map(|hold| hold.user.as_str().len()).max().unwrap_or_default();
        for hold in &holds {
            println!("{:width$}  {}: {}", hold.user.as_str(), hold.ending, hold.words);
        }
        Ok(())
    }

    fn release(&self, who: &Who) -> Result<(), Exit> {
        let (network, user) = (self.network(&who.network)?, &who.user);
        let was_held = self.ask(async |store: &Store| {
            let was_held = store.holds(&network).await?.iter().any(|hold| hold.user == *user);
            store.hold_remove(&network, user).await.map(|()| was_held)
        })?;
        if !was_held {
            let sentence =
                format!("{user} is not kept away from {network}; see: bunraku held list {network}");
            return Err(told(Exit::Fault, sentence));
        }
        println!("{user} may connect to {network} again; a bridge that runs does so within half a minute");
        Ok(())
    }
}
