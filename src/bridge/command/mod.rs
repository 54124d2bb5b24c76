//! The commands of the admin room: one file each, and here the list of them and how a line becomes one.
//!
//! A [`Command`] is a value: its names, what it takes, what it does in a sentence, who may give it, how its words are
//! read ([`Act`]) and how what came of it is told. `help`, docs/ADMIN_ROOM.md and the tests are made of it. Nothing here
//! knows a room, a connection or a moment: `admin` gives the words and says what is made of the act.

mod active;
pub mod args;
mod audit;
mod away;
mod ban;
mod broadcast;
mod channel;
mod cmd;
mod evict;
mod feature;
pub mod help;
mod ident;
mod ignore;
mod invite;
mod join;
mod kick;
mod kill;
mod links;
mod list;
mod listrooms;
pub mod login;
mod logins;
mod mode;
mod names;
mod nick;
mod part;
mod plumb;
mod query;
mod quit;
mod realname;
mod reap;
mod reconnect;
mod release;
mod reload;
pub mod reply;
mod retry;
mod status;
mod stop;
pub mod tell;
mod topic;
mod unplumb;
mod users;
pub mod version;
mod whois;

use self::args::{Args, Bad};
use self::reply::Reply;
use self::tell::Told;
use super::errand::Errand;
use super::policy::Permission;
use crate::secret::Secret;

/// Letters of a line that are looked at; more is no command.
const LINE_CHARS_MAX: usize = 4_000;
/// How many letters may differ in a name that is offered for an unknown one.
const NEAR_MAX: usize = 2;

/// One command.
#[derive(Debug)]
pub struct Command {
    pub name: &'static str,
    /// Other names for it.
    pub also: &'static [&'static str],
    /// What follows the name, as people are shown it.
    pub takes: &'static str,
    /// What it does, in one sentence.
    pub help: &'static str,
    /// What else is good to know; may be empty.
    pub more: &'static str,
    pub examples: &'static [&'static str],
    /// Who may give it.
    pub who: Permission,
    pub scope: Scope,
    pub place: Place,
    pub words: Words,
    pub read: fn(&mut Args<'_>) -> Result<Act, Bad>,
    /// What is said when it is known what became of it.
    pub tell: fn(&Told<'_>) -> Reply,
}

/// What a command is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The bridge as a whole.
    Bridge,
    /// One network: by its name in front of the other words, or the only one there is, or that of the room.
    Network,
}

/// Where a command may be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    AdminRoom,
    /// Also in bridged rooms, as `!irc NAME …`.
    Anywhere,
}

/// Whether what follows a command's name may be read by others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Words {
    Open,
    /// The message is taken out of its room at once.
    Secret,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    Errand(Errand),
    /// The same, and of a long answer this page; the first is 1.
    Page {
        errand: Errand,
        page: usize,
    },
    Keep(Keeping),
    Upkeep(Upkeep),
    /// The list of commands, or one of them.
    Help(Option<String>),
    Version,
    /// Their login is asked for, step by step; the account's name where it was given.
    Login(Option<String>),
    /// Said in all rooms of all networks.
    Broadcast(String),
}

/// What is asked of the bridge as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upkeep {
    /// What became of all messages.
    Audit,
    /// The configuration is read again.
    Reload,
}

/// What the bridge has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpkeepReport {
    Audit(Vec<AuditRow>),
    /// What counts now, what needs a restart, or what is wrong with the file: in words.
    Reloaded(String),
    /// It could not be done; words for the log are there.
    Failed,
}

/// Messages of one network in one direction, since the first start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRow {
    pub network: String,
    /// In words.
    pub direction: &'static str,
    pub accepted: u64,
    pub delivered: u64,
    pub failed: u64,
    pub expired: u64,
    pub in_flight: u64,
}

/// What is kept of a person, in the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keeping {
    /// What is kept of their login.
    Login,
    /// The account's name; the password, if there is one, stays.
    Account(String),
    /// The account, or the one that is kept, and its password.
    Password { account: Option<String>, password: Secret },
    /// The password is forgotten, the account stays.
    DropPassword,
    /// The login is forgotten: account, password, certificate.
    Drop,
    /// A certificate of their own, made where there is none; the account has to be known.
    Certificate,
    /// Which ident they have.
    Ident,
}

/// What the database has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It is as asked.
    Done,
    /// There is nothing of the kind.
    Nothing,
    /// Which account is missing: they have to name it first.
    NoAccount,
    Login {
        account: String,
        password: Password,
        /// Of their certificate: SHA-256, in hexadecimal.
        fingerprint: Option<String>,
    },
    Ident(String),
    /// The database would not; words for the log are there.
    Failed,
}

/// Whether a password is kept. It is never shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Password {
    Kept,
    None,
}

/// All of them, in the order in which people are shown them.
pub static COMMANDS: [&Command; 47] = [
    &help::HELP,
    &status::STATUS,
    &join::JOIN,
    &part::PART,
    &list::LIST,
    &listrooms::LISTROOMS,
    &names::NAMES,
    &whois::WHOIS,
    &query::QUERY,
    &nick::NICK,
    &realname::REALNAME,
    &away::AWAY,
    &topic::TOPIC,
    &mode::MODE,
    &kick::KICK,
    &ban::BAN,
    &ban::UNBAN,
    &invite::INVITE,
    &ignore::IGNORE,
    &ignore::UNIGNORE,
    &login::LOGIN,
    &logins::USERNAME,
    &logins::STOREPASS,
    &logins::REMOVEPASS,
    &logins::LOGOUT,
    &logins::CERTFP,
    &ident::IDENT,
    &feature::FEATURE,
    &plumb::PLUMB,
    &unplumb::UNPLUMB,
    &links::LINKS,
    &stop::STOP,
    &retry::RETRY,
    &reconnect::RECONNECT,
    &quit::QUIT,
    &cmd::CMD,
    &active::ACTIVE,
    &version::VERSION,
    &users::USERS,
    &channel::CHANNEL,
    &kill::KILL,
    &release::RELEASE,
    &evict::EVICT,
    &reap::REAP,
    &broadcast::BROADCAST,
    &audit::AUDIT,
    &reload::RELOAD,
];

impl Command {
    /// The whole of it, as people write it.
    pub fn usage(&self) -> String {
        format!("{} {}", self.name, self.takes).trim_end().to_owned()
    }

    fn is_called(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name) || self.also.iter().any(|also| also.eq_ignore_ascii_case(name))
    }
}

impl PartialEq for Command {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Command {}

/// The command of that name.
pub fn find(name: &str) -> Option<&'static Command> {
    COMMANDS.into_iter().find(|command| command.is_called(name))
}

/// Commands whose names are much like this one, the nearest first; at most three, of those that `who` may give.
pub fn near(name: &str, who: Permission) -> Vec<&'static Command> {
    let name = name.to_ascii_lowercase();
    let distance = |command: &Command| {
        let names = std::iter::once(&command.name).chain(command.also);
        names.map(|own| if own.starts_with(&name) { 0 } else { differ(own, &name) }).min()
    };
    let mut found: Vec<(usize, &'static Command)> = COMMANDS
        .into_iter()
        .filter(|command| command.who <= who)
        .filter_map(|command| Some((distance(command)?, command)))
        .filter(|(distance, _)| *distance <= NEAR_MAX && !name.is_empty())
        .collect();
    found.sort_by_key(|(distance, _)| *distance);
    found.into_iter().take(3).map(|(_, command)| command).collect()
}

/// How many letters are to be put in, left out or changed to make one of the other (Levenshtein).
fn differ(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(40).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut before = std::mem::replace(&mut row[0], i + 1);
        for (j, cb) in b.iter().enumerate() {
            let changed = before + usize::from(ca != *cb);
            before = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(before + 1);
        }
    }
    row[b.len()]
}

/// A line, taken apart so far as it can be without knowing what it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spoken<'a> {
    /// A command, and what follows its name.
    Command(&'static Command, &'a str),
    /// Its first word is no command.
    Unknown(&'a str),
    /// There is nothing in it.
    Nothing,
    /// It has more than one line, or far too many letters.
    TooMuch,
}

/// Reads what somebody wrote in their admin room, where a command needs no sign, or behind `!irc` elsewhere.
pub fn read(text: &str) -> Spoken<'_> {
    let text = text.trim();
    if text.chars().nth(LINE_CHARS_MAX).is_some() || text.contains(['\n', '\r', '\0']) {
        return Spoken::TooMuch;
    }
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let name = word.trim_start_matches(['!', '/']);
    match find(name) {
        _ if name.is_empty() => Spoken::Nothing,
        Some(command) => Spoken::Command(command, rest.trim()),
        None => Spoken::Unknown(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_found_by_all_its_names_and_says_what_it_does() {
        let mut names: Vec<&str> = Vec::new();
        for command in COMMANDS {
            for name in std::iter::once(&command.name).chain(command.also) {
                assert_eq!(find(&name.to_uppercase()), Some(command));
                names.push(name);
            }
            assert!(command.help.ends_with('.') && command.help.len() < 160, "{}", command.name);
            assert!(command.more.is_empty() || command.more.ends_with('.'), "{}", command.name);
            assert!(!command.examples.is_empty(), "{} has no example", command.name);
        }
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count, "two commands have one name");
    }

    #[test]
    fn every_example_is_a_command_as_it_should_be() {
        for command in COMMANDS {
            for example in command.examples {
                let Spoken::Command(found, rest) = read(example) else { panic!("{example} is no command") };
                assert_eq!(found, command, "{example}");
                let act = (command.read)(&mut Args::new(rest, None));
                assert!(act.is_ok(), "{example} is not what {} takes", command.name);
            }
        }
    }

    #[test]
    fn a_name_that_is_nearly_right_is_known() {
        let names =
            |word| near(word, Permission::User).iter().map(|command| command.name).collect::<Vec<_>>();
        assert_eq!(names("joim"), ["join"]);
        assert_eq!(names("statsu"), ["status"]);
        assert_eq!(names("who"), ["whois"]);
        assert_eq!(names("kil"), ["kick"], "what is for admins is not offered to others");
        assert_eq!(near("kil", Permission::Admin)[0].name, "kill");
        assert_eq!(names(""), [""; 0]);
        assert_eq!(names(&"x".repeat(3_000)), [""; 0]);
    }

    #[test]
    fn what_is_no_line_is_no_command() {
        assert_eq!(read("  "), Spoken::Nothing);
        assert_eq!(read("!"), Spoken::Nothing);
        assert_eq!(read("hello there"), Spoken::Unknown("hello"));
        assert_eq!(read("join #a\nQUIT"), Spoken::TooMuch);
        assert_eq!(read("join #a\rQUIT"), Spoken::TooMuch);
        assert_eq!(read("join #a\0"), Spoken::TooMuch);
        assert_eq!(read(&"x".repeat(LINE_CHARS_MAX + 1)), Spoken::TooMuch);
        assert!(
            matches!(read("!JOIN  #a key "), Spoken::Command(command, "#a key") if command.name == "join")
        );
    }
}
