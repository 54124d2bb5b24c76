//! `username`, `storepass`, `removepass`, `logout`, `certfp`: what is kept for logging in to a network.

use crate::bridge::policy::Permission;
use crate::secret::Secret;

use super::args::{Args, Bad};
use super::reply::Reply;
use super::tell::Told;
use super::{Act, Command, Keeping, Kept, Place, Scope, Words};

/// Letters of an account's name.
const ACCOUNT_CHARS_MAX: usize = 64;

pub static USERNAME: Command = Command {
    name: "username",
    also: &["account"],
    takes: "[name]",
    help: "Sets the name of your account on the network, or tells what is kept.",
    more: "",
    examples: &["username ada", "username"],
    who: Permission::User,
    scope: Scope::Network,
    place: Place::AdminRoom,
    words: Words::Open,
    read: read_username,
    tell: tell_username,
};
pub static STOREPASS: Command = Command {
    name: "storepass",
    also: &["password"],
    takes: "[account:]password",
    help: "Keeps your password for the network, sealed.",
    more: "Your message is taken out of the room at once, where I may. Then `reconnect` logs you in. `login` asks for the same step by step.",
    examples: &["storepass hunter2", "storepass ada:correct horse"],
    who: Permission::User,
    scope: Scope::Network,
    place: Place::AdminRoom,
    words: Words::Secret,
    read: read_storepass,
    tell: tell_storepass,
};
pub static REMOVEPASS: Command = Command {
    name: "removepass",
    also: &[],
    takes: "",
    help: "Forgets your password for the network.",
    more: "The account stays; `logout` forgets both.",
    examples: &["removepass"],
    who: Permission::User,
    scope: Scope::Network,
    place: Place::AdminRoom,
    words: Words::Open,
    read: read_removepass,
    tell: tell_removepass,
};
pub static LOGOUT: Command = Command {
    name: "logout",
    also: &[],
    takes: "",
    help: "Forgets your account on the network, with its password and certificate.",
    more: "A connection that is logged in stays so until it ends: `reconnect` ends it.",
    examples: &["logout"],
    who: Permission::User,
    scope: Scope::Network,
    place: Place::AdminRoom,
    words: Words::Open,
    read: read_logout,
    tell: tell_logout,
};
pub static CERTFP: Command = Command {
    name: "certfp",
    also: &["certificate"],
    takes: "",
    help: "Makes a certificate of your own for the network, which logs you in without a password.",
    more: "Tell its fingerprint to the network once, while you are logged in: `msg NickServ CERT ADD` and the fingerprint.",
    examples: &["certfp"],
    who: Permission::User,
    scope: Scope::Network,
    place: Place::AdminRoom,
    words: Words::Open,
    read: read_certfp,
    tell: tell_certfp,
};

fn read_username(args: &mut Args<'_>) -> Result<Act, Bad> {
    let Some(_) = args.peek() else { return Ok(Act::Keep(Keeping::Login)) };
    let name = args.param()?.to_owned();
    args.end()?;
    if name.chars().nth(ACCOUNT_CHARS_MAX).is_some() {
        return Err(Bad);
    }
    Ok(Act::Keep(Keeping::Account(name)))
}

fn read_storepass(args: &mut Args<'_>) -> Result<Act, Bad> {
    let words = args.rest().ok_or(Bad)?;
    let (account, password) = match words.split_once(':') {
        Some((account, password)) if is_account(account) && !password.is_empty() => (Some(account), password),
        Some(_) | None => (None, words),
    };
    let account = account.map(str::to_owned);
    Ok(Act::Keep(Keeping::Password { account, password: Secret::new(password) }))
}

fn is_account(word: &str) -> bool {
    !word.is_empty()
        && word.chars().all(|c| c.is_alphanumeric() || "_-[]{}|^`\\.".contains(c))
        && word.chars().nth(ACCOUNT_CHARS_MAX).is_none()
}

fn read_removepass(args: &mut Args<'_>) -> Result<Act, Bad> {
    args.end().map(|()| Act::Keep(Keeping::DropPassword))
}

fn read_logout(args: &mut Args<'_>) -> Result<Act, Bad> {
    args.end().map(|()| Act::Keep(Keeping::Drop))
}

fn read_certfp(args: &mut Args<'_>) -> Result<Act, Bad> {
    args.end().map(|()| Act::Keep(Keeping::Certificate))
}

fn tell_username(told: &Told<'_>) -> Reply {
    self::told(told)
}

fn tell_storepass(told: &Told<'_>) -> Reply {
    self::told(told)
}

fn tell_removepass(told: &Told<'_>) -> Reply {
    match told.kept() {
        Some(Kept::Done) => Reply::text("Your password is forgotten."),
        _ => self::told(told),
    }
}

fn tell_logout(told: &Told<'_>) -> Reply {
    match told.kept() {
        Some(Kept::Done) => Reply::text("Account, password and certificate are forgotten."),
        _ => self::told(told),
    }
}

fn tell_certfp(told: &Told<'_>) -> Reply {
    match told.kept() {
        Some(Kept::Login { fingerprint: Some(fingerprint), .. }) => {
            Reply::text("The fingerprint of your certificate:")
                .code(vec![fingerprint.clone()])
                .and("Tell it to the network once, while you are logged in:")
                .code(vec![format!("msg NickServ CERT ADD {fingerprint}")])
                .and("From the next connection on it logs you in: `reconnect`.")
        }
        _ => self::told(told),
    }
}

/// What is said of a login that is kept.
pub fn told(told: &Told<'_>) -> Reply {
    match told.kept() {
        Some(Kept::Done) => {
            Reply::text(format!("Kept. `reconnect` logs you in to {} with it.", told.network))
        }
        Some(Kept::Nothing) => Reply::text(format!("Nothing is kept for {}. `login` sets it.", told.network)),
        Some(Kept::NoAccount) => Reply::text("Which account is it? Say `username NAME` first, or `login`."),
        Some(Kept::Login { account, password, fingerprint }) => {
            Reply::text(kept(account, *password, fingerprint.as_deref()))
        }
        Some(Kept::Failed) => Reply::text(
            "It could not be kept: the bridge's database refused. Tell the bridge's admin, or try again.",
        ),
        Some(Kept::Ident(_)) | None => Reply::text("Done."),
    }
}

fn kept(account: &str, password: super::Password, fingerprint: Option<&str>) -> String {
    let password = match password {
        super::Password::Kept => "a password is kept",
        super::Password::None => "no password is kept",
    };
    let certificate =
        fingerprint.map(|fingerprint| format!(", and a certificate with the fingerprint {fingerprint}"));
    format!("Your account is {account}; {password}{}.", certificate.unwrap_or_default())
}
