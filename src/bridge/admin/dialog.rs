//! The login, asked for step by step: the account, then its password or a certificate.

use super::{Admin, commands::Given};
use crate::bridge::command::reply::Reply;
use crate::bridge::command::{Act, Keeping};
use crate::ids::{NetworkId, Time};
use crate::secret::Secret;

/// How long a question of ours waits for its answer. After that a message is a command again.
pub(super) const DIALOG_MS_MAX: u64 = 10 * 60_000;
/// Letters of an account's name and of a password.
const ACCOUNT_CHARS_MAX: usize = 64;
const PASSWORD_CHARS_MAX: usize = 300;

/// Somebody who is being asked.
#[derive(Debug)]
pub(super) struct Dialog {
    pub until: Time,
    network: NetworkId,
    step: Step,
}

#[derive(Debug)]
enum Step {
    Account,
    /// Of this account.
    Password(String),
}

impl Admin {
    /// Begins to ask.
    pub(super) fn ask_login(&mut self, given: &Given<'_>, network: NetworkId, account: Option<String>) {
        let name = self.settings.name(&network).to_owned();
        let (step, question) = match account {
            None => (
                Step::Account,
                Reply::text(format!("What is the name of your account on {name}? Or `cancel`.")),
            ),
            Some(account) => (Step::Password(account.clone()), for_password(&account)),
        };
        let until = self.now.plus_ms(DIALOG_MS_MAX);
        self.dialogs.insert(given.room.clone(), Dialog { until, network, step });
        self.say(given.room, Some(given.event), &question);
    }

    /// A message in a room where somebody is being asked: true when it was the answer.
    pub(super) fn answers_dialog(&mut self, given: &Given<'_>, text: &str) -> bool {
        let Some(Dialog { network, step, .. }) = self.dialogs.remove(given.room) else { return false };
        let text = text.trim();
        if text.eq_ignore_ascii_case("cancel") || text.eq_ignore_ascii_case("!cancel") {
            self.say(given.room, Some(given.event), &Reply::text("Nothing is changed."));
            self.settle(given.seq);
            return true;
        }
        match step {
            Step::Account => {
                let is_name = !text.contains(|c: char| c.is_whitespace() || c.is_control() || c == ':');
                if text.is_empty() || !is_name || text.chars().nth(ACCOUNT_CHARS_MAX).is_some() {
                    let words = "That is no name of an account: it is one word of at most 64 letters. `login` begins again.";
                    self.say(given.room, Some(given.event), &Reply::text(words));
                } else {
                    self.ask_login(given, network, Some(text.to_owned()));
                }
                self.settle(given.seq);
            }
            Step::Password(account) => self.password_given(given, network, account, text),
        }
        true
    }

    fn password_given(&mut self, given: &Given<'_>, network: NetworkId, account: String, text: &str) {
        if text.eq_ignore_ascii_case("certificate") || text.eq_ignore_ascii_case("certfp") {
            // The account first: a certificate is one of an account.
            let act = Act::Keep(Keeping::Account(account));
            return self.act(given, "certfp", Some(network), act);
        }
        self.hide(given.room, given.event);
        if text.is_empty()
            || text.contains(char::is_control)
            || text.chars().nth(PASSWORD_CHARS_MAX).is_some()
        {
            let words = "That is no password: it is one line of at most 300 letters. `login` begins again.";
            self.say(given.room, Some(given.event), &Reply::text(words));
            return self.settle(given.seq);
        }
        let keeping = Keeping::Password { account: Some(account), password: Secret::new(text) };
        self.act(given, "login", Some(network), Act::Keep(keeping));
    }
}

fn for_password(account: &str) -> Reply {
    Reply::text(format!(
        "Now the password of {account}: I take your message out of this room at once, if I may, and keep the password sealed. Or \
         `certificate`, to log in without one; or `cancel`."
    ))
}
