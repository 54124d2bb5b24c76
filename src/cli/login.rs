//! `bunraku login`: how people log in to the networks, whose an ident is, and the key that seals passwords.
//!
//! Works on the database of the configuration, also while the bridge runs, which looks there at a puppet's next
//! connection. Shows no secret, whatever is asked for.

use bunraku::ids::{NetworkId, UserId};
use bunraku::irc::certificate;
use bunraku::store::{LoginSummary, StoredCertificate};
use clap::{Args, Subcommand};

use super::desk::{Desk, Who, told};
use super::{ConfigFile, Exit, password};

/// Set how people log in to the networks, and tell whose an ident is.
///
/// A login is the account that a network's services know, with a password. Passwords are kept sealed in the
/// database; the key for that is in bunraku.key beside the configuration, made when it is first needed. Keep
/// a copy of it apart from that of the database: without it every password has to be set anew.
#[derive(Debug, Args)]
#[command(
    arg_required_else_help = true,
    after_help = "\
Examples:
  bunraku login set libera @alice:example.org --account alice     asks for the password
  bunraku login show libera @alice:example.org                    account, and what is stored
  bunraku login certificate libera @alice:example.org             a login without a password
  bunraku login list libera                                       everybody's
  bunraku login whois libera alice1                               which Matrix user has this ident?
  bunraku login rotate                                            a new key for all that is sealed

Run it as the user that the bridge runs as: files it makes belong to who made them."
)]
pub struct Login {
    #[command(flatten)]
    config: ConfigFile,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Set(Set),
    Show(Show),
    Remove(Remove),
    Certificate(Certificate),
    List(List),
    Whois(Whois),
    /// Make a new key and seal everything with it, for example when somebody else may have seen the old one.
    ///
    /// The new key is put in front of the others in the key file, and every stored secret is sealed with it.
    /// The bridge may run meanwhile. The old keys stay in the file, because old copies of the database need
    /// them. Cut off half way, it may just be run again.
    #[command(after_help = "\
Examples:
  bunraku login rotate")]
    Rotate,
}

/// Store a user's account and password for a network, in place of what was stored.
///
/// The password is read from standard input: typed at a terminal, where it is not shown, or piped. The
/// bridge logs in with it at the puppet's next connection.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bunraku login set libera @alice:example.org --account alice
  pass show irc/alice | bunraku login set libera @alice:example.org --account alice
  bunraku login set oftc @alice:example.org --account alice --no-password")]
struct Set {
    #[command(flatten)]
    who: Who,
    /// The account's name, as the network's services know it
    #[arg(long, value_name = "NAME", value_parser = account)]
    account: String,
    /// Store no password, and forget one that is stored
    #[arg(long)]
    no_password: bool,
}

/// Show a user's account on a network and what is stored for it; never the password.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bunraku login show libera @alice:example.org")]
struct Show {
    #[command(flatten)]
    who: Who,
}

/// Show the fingerprint of a user's own certificate for a network; make the certificate if there is none.
///
/// Services that know the fingerprint log the user in without a password. Its key is sealed like passwords
/// and never shown. The certificate is good for ten years; to have another one, remove the login and set it anew.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bunraku login set libera @alice:example.org --account alice     first the account
  bunraku login certificate libera @alice:example.org             then its certificate
and then on IRC, logged in as alice: /msg NickServ CERT ADD FINGERPRINT")]
struct Certificate {
    #[command(flatten)]
    who: Who,
}

/// Forget a user's account on a network with its password and certificate.
///
/// A connection that is logged in stays so until it ends. The ident stays the user's.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bunraku login remove libera @alice:example.org")]
struct Remove {
    #[command(flatten)]
    who: Who,
}

/// List who logs in to a network: user, account, and what is stored.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bunraku login list libera")]
struct List {
    /// The network, by its key in the configuration
    network: String,
}

/// Tell which Matrix user has an ident: what operators of a network ask about somebody.
///
/// An ident belongs to one user of a network for ever. Capitals make no difference.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bunraku login whois libera alice1
  bunraku login whois libera 'alice!~alice1@bridge.example.org'     as the operator sees it")]
struct Whois {
    /// The network, by its key in the configuration
    network: String,
    /// The ident, alone or in a NICK!IDENT@HOST
    ident: String,
}

/// Does what is asked.
pub fn main(login: &Login) -> Exit {
    let done = Desk::open(&login.config.path).and_then(|desk| match &login.action {
        Action::Set(set) => desk.set(set),
        Action::Show(show) => desk.show(&show.who),
        Action::Remove(remove) => desk.remove(&remove.who),
        Action::Certificate(certificate) => desk.certificate(&certificate.who),
        Action::List(list) => desk.list(&list.network),
        Action::Whois(whois) => desk.whois(whois),
        Action::Rotate => desk.rotate(),
    });
    done.map_or_else(|exit| exit, |()| Exit::Good)
}

impl Desk {
    fn set(&self, set: &Set) -> Result<(), Exit> {
        let (network, user) = (self.network(&set.who.network)?, &set.who.user);
        // Before the database is opened: people type slowly.
        let password = match set.no_password {
            true => None,
            false => {
                let prompt = format!("Password of {} on {network}, it is not shown: ", set.account);
                Some(password::read(&prompt).map_err(|sentence| told(Exit::Usage, sentence))?)
            }
        };
        let vault = self.vault()?;
        let released = self.ask(async |store| {
            store.login_save(&vault, &network, user, &set.account, password.as_ref()).await?;
            store.release_for_login(&network, user).await
        })?;
        let how = if password.is_some() { "with a password" } else { "without a password" };
        println!("{user} logs in to {network} as {} {how}, from the next connection on", set.account);
        tell_of_release(released);
        Ok(())
    }

    fn show(&self, who: &Who) -> Result<(), Exit> {
        let network = self.network(&who.network)?;
        let login = self.summary(&network, &who.user)?;
        println!("account      {}", login.account);
        println!("password     {}", if login.has_password { "stored" } else { "none" });
        println!("certificate  {}", login.fingerprint.as_deref().unwrap_or("none"));
        Ok(())
    }

    fn remove(&self, who: &Who) -> Result<(), Exit> {
        let network = self.network(&who.network)?;
        let (removed, released) = self.ask(async |store| {
            let removed = store.login_remove(&network, &who.user).await?;
            Ok((removed, removed && store.release_for_login(&network, &who.user).await?))
        })?;
        if !removed {
            return Err(no_login(&network, &who.user));
        }
        println!("the login of {} on {network} is forgotten", who.user);
        tell_of_release(released);
        Ok(())
    }

    fn certificate(&self, who: &Who) -> Result<(), Exit> {
        let (network, user) = (self.network(&who.network)?, &who.user);
        let login = self.summary(&network, user)?;
        let mut released = false;
        if login.fingerprint.is_none() {
            let made = certificate::generate(user.as_str()).map_err(|fault| told(Exit::Fault, fault))?;
            let certificate::Certificate { pem, key_pem, fingerprint } = made;
            let made = StoredCertificate { pem, key_pem, fingerprint };
            let vault = self.vault()?;
            released = self.ask(async |store| {
                store.login_certificate_save(&vault, &network, user, &made).await?;
                store.release_for_login(&network, user).await
            })?;
        }
        // Another one may have come first: what counts is what is stored.
        let login = self.summary(&network, user)?;
        let Some(fingerprint) = login.fingerprint else { return Err(no_login(&network, user)) };
        println!("{fingerprint}");
        println!(
            "{user} shows the certificate with this fingerprint to {network}, from the next connection on."
        );
        println!(
            "Let its services know, logged in as {}: /msg NickServ CERT ADD {fingerprint}",
            login.account
        );
        tell_of_release(released);
        Ok(())
    }

    fn list(&self, network: &str) -> Result<(), Exit> {
        let network = self.network(network)?;
        let logins = self.ask(async |store| store.logins_list(&network).await)?;
        if logins.is_empty() {
            println!("nobody has a login on {network}");
        }
        let width = |text: fn(&LoginSummary) -> &str| {
            logins.iter().map(|login| text(login).chars().count()).max().unwrap_or_default()
        };
        let (users, accounts) = (width(|login| login.user.as_str()), width(|login| &login.account));
        for login in &logins {
            println!("{:users$}  {:accounts$}  {}", login.user.as_str(), login.account, stored(login));
        }
        Ok(())
    }

    fn whois(&self, whois: &Whois) -> Result<(), Exit> {
        let (network, ident) = (self.network(&whois.network)?, bare_ident(&whois.ident));
        let owner = self.ask(async |store| store.identity_of_ident(&network, ident).await)?;
        let nobody = || {
            let sentence = format!(
                "nobody has the ident {ident} on {network}; look whether it is written right, or ask for another network"
            );
            told(Exit::Fault, sentence)
        };
        let owner = owner.ok_or_else(nobody)?;
        println!("{} has the ident {} on {network}", owner.user, owner.identity.ident);
        Ok(())
    }

    fn rotate(&self) -> Result<(), Exit> {
        let vault = self.vault()?;
        let (key, done) = self.ask(async |store| {
            // First what may fail without harm: the database is open by now.
            let key = vault.rotate()?;
            Ok((key, store.reseal(&vault).await?))
        })?;
        println!("the new key is {key}; secrets sealed with it: {}", done.renewed);
        println!("The older keys in {} are for older copies of the database.", vault.file());
        match done.unreadable {
            0 => Ok(()),
            unreadable => {
                let sentence = format!(
                    "secrets that do not open and were left as they are: {unreadable}; the log names each, set those logins anew"
                );
                Err(told(Exit::Fault, sentence))
            }
        }
    }

    fn summary(&self, network: &NetworkId, user: &UserId) -> Result<LoginSummary, Exit> {
        let login = self.ask(async |store| store.login_summary(network, user).await)?;
        login.ok_or_else(|| no_login(network, user))
    }
}

fn tell_of_release(released: bool) {
    if released {
        println!("Their puppet, kept away for a refused login, may connect again.");
    }
}

fn no_login(network: &NetworkId, user: &UserId) -> Exit {
    let sentence = format!(
        "{user} has no login on {network}; make one with: bunraku login set {network} {user} --account NAME"
    );
    told(Exit::Fault, sentence)
}

fn stored(login: &LoginSummary) -> &'static str {
    match (login.has_password, login.fingerprint.is_some()) {
        (true, true) => "password, certificate",
        (true, false) => "password",
        (false, true) => "certificate",
        (false, false) => "nothing",
    }
}

/// The ident of `NICK!IDENT@HOST`, without the sign of servers for one that nobody has vouched for.
fn bare_ident(text: &str) -> &str {
    let ident = text.rsplit('!').next().unwrap_or(text);
    let ident = ident.split('@').next().unwrap_or(ident);
    ident.strip_prefix('~').unwrap_or(ident)
}

/// Longest name of an account, in bytes. Networks allow some 30.
const ACCOUNT_BYTES_MAX: usize = 200;

fn account(text: &str) -> Result<String, String> {
    let bad = |c: char| c.is_control() || c.is_whitespace();
    if text.is_empty() || text.len() > ACCOUNT_BYTES_MAX || text.chars().any(bad) || text.starts_with(':') {
        return Err("an account is one word, as the network's services know it".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ident_is_found_in_what_operators_see() {
        for text in ["al1", "~al1", "nick!al1@host", "nick!~al1@2001:db8::1", "~al1@host"] {
            assert_eq!(bare_ident(text), "al1", "{text}");
        }
    }

    #[test]
    fn an_account_is_one_word() {
        assert_eq!(account("Al[i]ce"), Ok("Al[i]ce".to_owned()));
        for text in ["", "a b", "a\n", "a\0b", ":a", &"a".repeat(201)] {
            assert!(account(text).is_err(), "{text:?}");
        }
    }
}
