//! What a hold is told as: what happened, and what its person can do.

use super::{End, Ending, LoginRefusal};

/// What happened to a held puppet, and what its person can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldText {
    pub what: String,
    pub next: &'static str,
}

/// `None` for endings that hold nobody.
pub fn hold_text(end: &End, network: &str) -> Option<HoldText> {
    let staff = "talk to the network's operators, then ask the bridge's operator to let it connect again";
    let login =
        "write `login` to me in a private chat to set your account and password right, and it comes back";
    let way = "write `certfp` to me in a private chat to log in by a certificate, or ask the bridge's operator for another way";
    let admin = "talk to them, they can let it back";
    let (what, next) = match end.ending {
        Ending::Killed => (format!("your IRC user was removed from {network} by an operator"), staff),
        Ending::Banned => (format!("your IRC user is banned from {network}"), staff),
        Ending::LoginRefused(LoginRefusal::Credentials) => {
            (format!("your IRC user could not log in to {network}"), login)
        }
        Ending::LoginRefused(LoginRefusal::NoWay) => {
            (format!("your IRC user cannot log in to {network} in any way the bridge may use"), way)
        }
        Ending::LoginRefused(LoginRefusal::Wanted) => {
            (format!("your IRC user is not let in to {network} without a login"), login)
        }
        Ending::Quit => (
            format!("your IRC user has left {network}, as you wanted"),
            "say something, or ask for it with the command reconnect",
        ),
        Ending::SentAway => (format!("an admin of the bridge sent your IRC user away from {network}"), admin),
        Ending::Asked
        | Ending::Unreachable(_)
        | Ending::Lost
        | Ending::Silent
        | Ending::Unregistered
        | Ending::ServerDown
        | Ending::NickTrouble
        | Ending::Throttled
        | Ending::Full
        | Ending::NotServed
        | Ending::PasswordRefused => return None,
    };
    let what = if end.words.is_empty() { what } else { format!("{what} ({})", end.words) };
    Some(HoldText { what, next })
}

/// What follows for somebody who does not come back for so long, behind a sentence; 0: at once.
pub fn doom(ms: u64, spelled: impl Fn(u64) -> String) -> String {
    let after = if ms == 0 { String::new() } else { format!(", after {}", spelled(ms)) };
    format!(" Nobody there sees you read, so you are removed from rooms where others read on{after}.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_held_learns_why_and_what_to_do() {
        let text = |ending: Ending, words: &str| {
            let end = End { ending, words: words.into() };
            hold_text(&end, "Net").map(|HoldText { what, next }| format!("{what}: {next}"))
        };
        let refused = |why| text(Ending::LoginRefused(why), "").expect("it holds");
        assert_eq!(
            text(Ending::Killed, "spam").as_deref(),
            Some(
                "your IRC user was removed from Net by an operator (spam): talk to the network's operators, then ask \
                 the bridge's operator to let it connect again"
            )
        );
        let by_login = "write `login` to me in a private chat";
        assert!(
            refused(LoginRefusal::Credentials)
                .starts_with(&format!("your IRC user could not log in to Net: {by_login}"))
        );
        assert!(refused(LoginRefusal::NoWay).contains("in any way the bridge may use: write `certfp` to me"));
        assert!(
            refused(LoginRefusal::Wanted)
                .contains(&format!("is not let in to Net without a login: {by_login}"))
        );
        assert_eq!(text(Ending::Lost, "reset"), None);
    }
}
