//! Logging in by a message to the network's services, where SASL is not to be had.
//!
//! A password is said only over TLS, and only to who was just seen, by WHOIS, to be the services: anybody can
//! take a nick while services are away. The answer is the numeric 900 or words of the services; without one the
//! puppet goes on without its account after [`ANSWER_MS_MAX`].

use crate::bridge::input::Login;
use crate::bridge::policy::Services;
use crate::ids::Time;
use crate::text::casemap::CaseMap;
use crate::text::line::Line;
use crate::text::mask;

/// How long services may take.
const ANSWER_MS_MAX: u64 = 15_000;

/// Words of services that say no; anything else is no answer.
const REFUSALS: [&str; 5] = ["invalid password", "incorrect", "denied", "failed", "no such account"];

/// Those that say no where they name the account. Without it they greet somebody whose nick is nobody's.
const UNKNOWNS: [&str; 2] = ["not registered", "isn't registered"];

/// Words that say that there was no login; they hold one of those that say yes.
const DENIALS: [&str; 2] = ["not logged in", "not identified"];

/// Words of services that say yes, for networks without the numeric 900.
const CONSENTS: [&str; 5] = ["identified", "recognized", "recognised", "logged in", "password accepted"];

/// A login by message under way.
#[derive(Debug)]
pub struct Identify {
    services: Services,
    login: Login,
    map: CaseMap,
    /// When it is given up.
    pub deadline: Time,
    said: Said,
}

#[derive(Debug, PartialEq, Eq)]
enum Said {
    Whois,
    Password,
}

/// What follows.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    Wait,
    Say(String),
    LoggedIn,
    /// There is nobody to log in with.
    Unable(String),
    Refused(String),
}

impl Identify {
    /// Begins; the first line to say comes with it.
    pub fn new(now: Time, services: Services, login: Login, map: CaseMap) -> (Self, String) {
        let whois = Line::new("WHOIS", &[&services.nick]).build();
        let deadline = now.plus_ms(ANSWER_MS_MAX);
        (Self { services, login, map, deadline, said: Said::Whois }, whois)
    }

    /// Takes any line of the server.
    pub fn line(&mut self, line: &Line) -> Step {
        match (line.command.as_str(), &self.said) {
            ("311", Said::Whois) if self.is_services(line.param(1)) => {
                self.seen(line.param(2), line.param(3))
            }
            ("401" | "402", Said::Whois) if self.is_services(line.param(1)) => {
                Step::Unable(format!("{} is not there", self.services.nick))
            }
            ("318", Said::Whois) if self.is_services(line.param(1)) => {
                Step::Unable(format!("nobody knows {}", self.services.nick))
            }
            ("900", Said::Password) => Step::LoggedIn,
            ("NOTICE", Said::Password) => self.answered(line),
            _ => Step::Wait,
        }
    }

    /// What a login without an answer is called.
    pub fn late(&self) -> String {
        format!("{} did not answer", self.services.nick)
    }

    fn is_services(&self, nick: &str) -> bool {
        self.map.fold(nick) == self.map.fold(&self.services.nick)
    }

    fn seen(&mut self, user: &str, host: &str) -> Step {
        let source = format!("{}!{user}@{host}", self.services.nick);
        if !mask::matches(&self.services.mask, &source, self.map) {
            let mask = &self.services.mask;
            return Step::Unable(format!("{source} is not {mask}, so the password was not said"));
        }
        self.said = Said::Password;
        let Some(password) = &self.login.password else {
            return Step::Unable("there is no password".to_owned());
        };
        if self.login.account.contains(char::is_whitespace) {
            return Step::Unable("the account's name holds a space".to_owned());
        }
        let words = filled(&self.services.identify, &self.login.account, password.expose());
        Step::Say(Line::new("PRIVMSG", &[&self.services.nick, &words]).build())
    }

    fn answered(&self, line: &Line) -> Step {
        let from_services = line.source.as_ref().is_some_and(|source| {
            let part = |part: &Option<String>| part.clone().unwrap_or_default();
            let whole = format!("{}!{}@{}", source.name, part(&source.user), part(&source.host));
            self.is_services(&source.name) && mask::matches(&self.services.mask, &whole, self.map)
        });
        if !from_services {
            return Step::Wait;
        }
        let words = line.params.last().map_or("", String::as_str);
        let lower = words.to_lowercase();
        let has = |phrases: &[&str]| phrases.iter().any(|phrase| lower.contains(phrase));
        let is_named = lower.contains(&self.login.account.to_lowercase());
        if has(&REFUSALS) || is_named && has(&UNKNOWNS) {
            return Step::Refused(words.to_owned());
        }
        if has(&CONSENTS) && !has(&DENIALS) { Step::LoggedIn } else { Step::Wait }
    }
}

/// The template with both names put in; neither is looked into for the other.
fn filled(template: &str, account: &str, password: &str) -> String {
    let parts = template.split("$PASSWORD").map(|part| part.replace("$ACCOUNT", account));
    parts.collect::<Vec<_>>().join(password)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::input::Certificate;
    use crate::secret::Secret;

    fn begun() -> Identify {
        let services = Services {
            nick: "NickServ".into(),
            mask: "NickServ!*@services.net".into(),
            identify: "IDENTIFY $ACCOUNT $PASSWORD".into(),
        };
        let login = Login {
            account: "ada".into(),
            password: Some(Secret::new("canary")),
            certificate: Certificate::None,
        };
        let (identify, whois) = Identify::new(Time(1), services, login, CaseMap::Rfc1459);
        assert_eq!(whois, "WHOIS NickServ");
        identify
    }

    fn hears(identify: &mut Identify, text: &str) -> Step {
        identify.line(&Line::parse(text).unwrap())
    }

    #[test]
    fn the_password_is_said_to_the_services_alone() {
        let mut identify = begun();
        let seen = hears(&mut identify, ":s 311 me nickserv services services.net * :Services");
        assert_eq!(seen, Step::Say("PRIVMSG NickServ :IDENTIFY ada canary".into()));
        let notice = ":NickServ!services@services.net NOTICE me :";
        assert_eq!(hears(&mut identify, &format!("{notice}This nickname is registered.")), Step::Wait);
        assert_eq!(hears(&mut identify, ":NickServ!x@evil NOTICE me :You are now identified"), Step::Wait);
        assert_eq!(hears(&mut identify, &format!("{notice}You are now identified for ada")), Step::LoggedIn);
        let words = "Invalid password for ada.".to_owned();
        assert_eq!(hears(&mut identify, &format!("{notice}{words}")), Step::Refused(words));
    }

    /// Anope says so to whoever connects with a nick that is nobody's, and it may come after the password went.
    #[test]
    fn a_nick_that_is_nobodys_is_no_refused_login() {
        let mut identify = begun();
        hears(&mut identify, ":s 311 me NickServ services services.net * :Services");
        let notice = ":NickServ!services@services.net NOTICE me :";
        for words in
            ["Your nickname is not registered. To register it, type: REGISTER", "Your nick isn't registered."]
        {
            assert_eq!(hears(&mut identify, &format!("{notice}{words}")), Step::Wait);
        }
        let words = "Nick \u{2}ada\u{2} isn't registered.".to_owned();
        assert_eq!(hears(&mut identify, &format!("{notice}{words}")), Step::Refused(words));
        assert_eq!(hears(&mut identify, &format!("{notice}You are not logged in.")), Step::Wait);
    }

    #[test]
    fn what_is_said_is_the_networks_choice() {
        assert_eq!(filled("IDENTIFY $PASSWORD $ACCOUNT", "ada", "a$ACCOUNTb"), "IDENTIFY a$ACCOUNTb ada");
    }

    #[test]
    fn somebody_elses_nickserv_hears_nothing() {
        let mut identify = begun();
        let Step::Unable(words) = hears(&mut identify, ":s 311 me NickServ eve evil.example * :hi") else {
            panic!()
        };
        assert_eq!(
            words,
            "NickServ!eve@evil.example is not NickServ!*@services.net, so the password was not said"
        );
        let Step::Unable(words) = hears(&mut begun(), ":s 401 me NickServ :No such nick") else { panic!() };
        assert_eq!(words, "NickServ is not there");
    }
}
