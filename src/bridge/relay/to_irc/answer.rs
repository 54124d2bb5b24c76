//! What a message answers, in words: IRC shows no replies, so a line says itself whom it is for.
//!
//! | the message answered | on IRC |
//! |---|---|
//! | was said a few lines ago, and is its author's last | `bob: yes` |
//! | is older | `bob: "shall we meet at five?" <- yes` |
//! | is one's own of a moment ago | `yes` |
//! | is not known here, or of another room | `yes` |
//! | was said before who answers came, or taken back | `bob: yes` |
//!
//! An emote speaks to nobody: what it answers stands behind it, in brackets. Which of these it is, is decided where the
//! room's order is known; here are the words only.

use std::sync::Arc;

use crate::bridge::relay::memory::Author;
use crate::ids::{EventId, UserId};

/// Characters of a quotation at most.
const QUOTE_CHARS_MAX: usize = 60;
/// Characters of a name that is no nick.
const NAME_CHARS_MAX: usize = 30;

/// A message that is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub of: EventId,
    /// Who said it.
    pub to: Author,
    pub told: Told,
    /// The name of its first line on IRC, as far as known.
    pub msgid: Option<Arc<str>>,
}

/// How much has to be said of the message that is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// Nothing: it is clear.
    Nothing,
    /// Whose it is.
    Author,
    /// What it said, or the beginning of it; not empty.
    Quote(String),
}

/// Whom a message is for, and what it answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    name: Option<String>,
    quote: Option<String>,
}

impl Answer {
    pub fn is_quote(&self) -> bool {
        matches!(self.told, Told::Quote(_))
    }

    /// What is answered was taken back.
    pub fn unquote(&mut self) {
        self.told = Told::Author;
    }

    pub fn words(&self, sender: &UserId, nick: &dyn Fn(&UserId) -> Option<String>) -> Words {
        let name = match &self.to {
            Author::Irc(nick) => nick.as_str().to_owned(),
            Author::Matrix(user) => nick(user).unwrap_or_else(|| name_of(user)),
        };
        let is_own = self.to == Author::Matrix(sender.clone());
        match &self.told {
            Told::Nothing => Words { name: None, quote: None },
            Told::Author => Words { name: (!is_own).then_some(name), quote: None },
            Told::Quote(text) => Words { name: Some(name), quote: Some(shortened(text)) },
        }
    }
}

impl Words {
    /// What stands before the text.
    pub fn address(&self) -> String {
        match (&self.name, &self.quote) {
            (Some(name), Some(quote)) => format!("{name}: \"{quote}\" <- "),
            (Some(name), None) => format!("{name}: "),
            (None, _) => String::new(),
        }
    }

    /// What stands behind an emote.
    pub fn aside(&self) -> String {
        match (&self.name, &self.quote) {
            (Some(name), Some(quote)) => format!(" (to {name}: \"{quote}\")"),
            (Some(name), None) => format!(" (to {name})"),
            (None, _) => String::new(),
        }
    }
}

/// What somebody is called who has no nick at the moment.
pub fn name_of(user: &UserId) -> String {
    let is_plain = |c: &char| !c.is_control() && !c.is_whitespace();
    user.localpart().chars().filter(is_plain).take(NAME_CHARS_MAX).collect()
}

/// The beginning of a text, cut between words where that leaves most of it.
pub fn shortened(text: &str) -> String {
    let text = text.trim();
    let Some((end, _)) = text.char_indices().nth(QUOTE_CHARS_MAX) else { return text.to_owned() };
    let cut = &text[..end];
    let at = cut.rfind(char::is_whitespace).filter(|at| *at >= end / 2).unwrap_or(end);
    format!("{}…", cut[..at].trim_end_matches(['…', ' ', ',', '.', ';', ':']))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Nick;
    use crate::text::casemap::CaseMap;

    fn words(to: Author, told: Told) -> Words {
        let nick = |user: &UserId| (user.localpart() == "ada").then(|| "ada[m]".to_owned());
        Answer { of: EventId::new("$o").unwrap(), to, told, msgid: None }
            .words(&UserId::new("@ada:hs").unwrap(), &nick)
    }

    fn user(name: &str) -> Author {
        Author::Matrix(UserId::new(name).unwrap())
    }

    #[test]
    fn a_line_says_whom_it_is_for() {
        let bob = Author::Irc(Nick::new("bob", CaseMap::Ascii).unwrap());
        assert_eq!(words(bob.clone(), Told::Author).address(), "bob: ");
        assert_eq!(words(bob.clone(), Told::Quote("tea?".into())).address(), "bob: \"tea?\" <- ");
        assert_eq!(words(bob, Told::Quote("tea?".into())).aside(), " (to bob: \"tea?\")");
        assert_eq!(words(user("@carl:hs"), Told::Author).address(), "carl: ", "who has no nick has a name");
        assert_eq!(words(user("@ada:hs"), Told::Author).address(), "", "nobody calls themselves");
        assert_eq!(words(user("@ada:hs"), Told::Quote("x".into())).address(), "ada[m]: \"x\" <- ");
    }

    #[test]
    fn a_quotation_is_short_and_ends_with_a_word() {
        assert_eq!(shortened(" short "), "short");
        let long = shortened("one two three four five six seven eight nine ten eleven, twelve thirteen");
        assert_eq!(long, "one two three four five six seven eight nine ten eleven…");
        let unbroken = shortened(&"ö".repeat(200));
        assert_eq!(unbroken.chars().count(), QUOTE_CHARS_MAX + 1);
    }
}
