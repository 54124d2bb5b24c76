//! `bunraku held`: who is kept away from a network, and letting them come back.
//!
//! Works on the database of the configuration, also while the bridge runs, which looks there now and then.

use bunraku::ids::UserId;
use bunraku::store::Store;
use clap::{Args, Subcommand};

use super::desk::{Desk, told, user};
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
  bunraku held release libera @alice:example.org        lets her puppet connect again
  bunraku held release libera --all                     lets all of them"
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

/// Let a user's puppet connect again, or all of them: a bridge that runs does so within half a minute.
///
/// After a ban of the whole bridge was lifted, say. Puppets that were killed or banned one by one are for the
/// network's operators to agree to one by one.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bunraku held release libera @alice:example.org
  bunraku held release libera --all")]
struct Release {
    /// The network, by its key in the configuration
    network: String,
    /// The Matrix user, such as @alice:example.org
    #[arg(value_parser = user, required_unless_present = "all", conflicts_with = "all")]
    user: Option<UserId>,
    /// Everybody who is kept away from this network
    #[arg(long)]
    all: bool,
}

/// Does what is asked.
pub fn main(held: &Held) -> Exit {
    let done = Desk::open(&held.config.path).and_then(|desk| match &held.action {
        Action::List(list) => desk.held(&list.network),
        Action::Release(release) => desk.release(release),
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

    fn release(&self, release: &Release) -> Result<(), Exit> {
        let network = self.network(&release.network)?;
        let wanted = |user: &UserId| release.user.as_ref().is_none_or(|wanted| wanted == user);
        let released: Vec<UserId> = self.ask(async |store: &Store| {
            let mut released = Vec::new();
            for hold in store.holds(&network).await?.into_iter().filter(|hold| wanted(&hold.user)) {
                store.hold_remove(&network, &hold.user).await?;
                released.push(hold.user);
            }
            Ok(released)
        })?;
        if released.is_empty() {
            let sentence = match &release.user {
                Some(user) => {
                    format!("{user} is not kept away from {network}; see: bunraku held list {network}")
                }
                None => format!("nobody is kept away from {network}"),
            };
            return Err(told(Exit::Fault, sentence));
        }
        for user in released {
            println!(
                "{user} may connect to {network} again; a bridge that runs does so within half a minute"
            );
        }
        Ok(())
    }
}
