//! Capabilities (IRCv3 "Client Capability Negotiation", version 302): what a server offers, what we ask for, what
//! is on.
//!
//! Only what is offered and used is asked for. A server that refuses a request as a whole is asked for each one
//! by itself, once. Knows no login and sends nothing: it gives the lines to send. A server that never heard of
//! CAP answers nothing that matters, and its welcome comes all the same.

use crate::text::line::Line;

/// Bytes of capability names put into one REQ: with the rest of the line, far below 512.
const REQUEST_BYTES_MAX: usize = 400;

/// A capability that the bridge uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cap {
    /// Lines tell the account of who speaks: a nick that changes hands is noticed by it.
    AccountTag,
    /// Answers that belong together come as one.
    Batch,
    /// A host or user name that changes is told, not shown as QUIT and JOIN.
    Chghost,
    /// What we say to a channel comes back to us: so it was taken.
    EchoMessage,
    /// Answers name their question.
    LabeledResponse,
    /// Lines bear a name of their own (`msgid`), by which two sightings of one are known.
    MessageTags,
    /// Messages that are taken back are told of.
    MessageRedaction,
    /// Several lines come, and may be sent, as one message.
    Multiline,
    /// Who is in a channel comes with all signs of rank.
    MultiPrefix,
    Sasl,
    /// Lines tell when they were said.
    ServerTime,
    /// Refusals come in one form (FAIL).
    StandardReplies,
}

/// All of them, with their names on the wire. `cap-notify` is on by version 302 itself.
const KNOWN: [(Cap, &str); 12] = [
    (Cap::AccountTag, "account-tag"),
    (Cap::Batch, "batch"),
    (Cap::Chghost, "chghost"),
    (Cap::MessageRedaction, "draft/message-redaction"),
    (Cap::Multiline, "draft/multiline"),
    (Cap::EchoMessage, "echo-message"),
    (Cap::LabeledResponse, "labeled-response"),
    (Cap::MessageTags, "message-tags"),
    (Cap::MultiPrefix, "multi-prefix"),
    (Cap::Sasl, "sasl"),
    (Cap::ServerTime, "server-time"),
    (Cap::StandardReplies, "standard-replies"),
];

/// A set of capabilities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Caps(u16);

impl Caps {
    pub fn has(self, cap: Cap) -> bool {
        self.0 & bit(cap) != 0
    }

    fn add(&mut self, cap: Cap) {
        self.0 |= bit(cap);
    }

    fn remove(&mut self, cap: Cap) {
        self.0 &= !bit(cap);
    }

    fn is_empty(self) -> bool {
        self.0 == 0
    }

    fn names(self) -> impl Iterator<Item = &'static str> {
        KNOWN.iter().filter(move |(cap, _)| self.has(*cap)).map(|(_, name)| *name)
    }
}

fn bit(cap: Cap) -> u16 {
    1 << cap as u16
}

/// The capabilities of one connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Negotiation {
    /// What is on.
    on: Caps,
    offered: Caps,
    /// Asked for and not answered.
    asked: Caps,
    /// Refused in company, to be asked for alone; or refused alone.
    refused: Caps,
    /// Whether a login makes `sasl` worth asking for.
    login: bool,
    multiline: Option<MultilineLimits>,
}

/// What a CAP line leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// More has to come.
    Wait,
    /// Send these.
    Ask(Vec<String>),
    /// Everything asked for has been answered, or nothing was asked.
    Settled,
}

/// What the server offers about things that are more than a name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offer {
    /// Mechanisms of SASL, as the server lists them; `None`: not offered. Empty: offered without a list.
    pub sasl: Option<String>,
    /// The value of `sts`.
    pub sts: Option<Sts>,
}

/// How much a server takes as one message (IRCv3 "multiline").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MultilineLimits {
    /// Of all lines together, without what stands around their text.
    pub bytes_max: usize,
    /// `None`: as many as the bytes allow.
    pub lines_max: Option<usize>,
}

impl MultilineLimits {
    /// `max-bytes=40000,max-lines=10`; `None` without a number of bytes, which has to be there.
    fn parse(value: &str) -> Option<Self> {
        let mut limits = (None, None);
        for pair in value.split(',') {
            match pair.split_once('=') {
                Some(("max-bytes", bytes)) => limits.0 = bytes.parse().ok(),
                Some(("max-lines", lines)) => limits.1 = lines.parse().ok(),
                Some(_) | None => {}
            }
        }
        Some(Self { bytes_max: limits.0?, lines_max: limits.1 })
    }
}

/// "Strict transport security" (IRCv3 "sts"): what a server says about TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sts {
    /// Where to connect with TLS.
    pub port: Option<u16>,
    /// How long to remember that; 0 is to forget.
    pub duration_s: Option<u64>,
}

impl Negotiation {
    /// `login`: whether `sasl` is of any use.
    pub fn new(login: bool) -> Self {
        Self { login, ..Self::default() }
    }

    /// What is on.
    pub fn on(&self) -> Caps {
        self.on
    }

    /// How much may be sent as one message, where that is on.
    pub fn multiline(&self) -> Option<MultilineLimits> {
        self.multiline.filter(|_| self.on.has(Cap::Multiline))
    }

    /// Takes a CAP line of the server. What it offers beyond names goes into `offer`.
    pub fn line(&mut self, line: &Line, offer: &mut Offer) -> Step {
        let list = line.params.last().map_or("", String::as_str);
        match line.param(1).to_ascii_uppercase().as_str() {
            "LS" => {
                self.offers(list, offer);
                // `CAP * LS * :…` says that more follows.
                if line.params.len() > 3 && line.param(2) == "*" { Step::Wait } else { self.ask() }
            }
            "NEW" => {
                self.offers(list, offer);
                self.ask()
            }
            "DEL" => {
                for cap in known(list) {
                    self.on.remove(cap);
                    self.offered.remove(cap);
                    self.refused.remove(cap);
                }
                Step::Wait
            }
            "ACK" => self.acknowledged(list),
            "NAK" => self.refused(list),
            _ => Step::Wait,
        }
    }

    fn offers(&mut self, list: &str, offer: &mut Offer) {
        known(list).for_each(|cap| self.offered.add(cap));
        for word in list.split(' ') {
            let (name, value) = word.split_once('=').unwrap_or((word, ""));
            match name {
                "sasl" => offer.sasl = Some(value.to_owned()),
                "sts" => offer.sts = Some(Sts::parse(value)),
                "draft/multiline" => self.multiline = MultilineLimits::parse(value),
                _ => {}
            }
        }
    }

    /// Asks for what is offered, of use, not on and not asked for yet.
    fn ask(&mut self) -> Step {
        let mut wanted = Caps::default();
        for (cap, _) in KNOWN {
            let useful = match cap {
                Cap::Sasl => self.login,
                // The answers of a label come as batches, and so do messages of several lines.
                Cap::LabeledResponse => self.offered.has(Cap::Batch),
                Cap::Batch => self.offered.has(Cap::LabeledResponse) || self.offers_multiline(),
                Cap::Multiline => self.offers_multiline(),
                // What is taken back is known by its name alone.
                Cap::MessageRedaction => self.offered.has(Cap::MessageTags),
                Cap::AccountTag
                | Cap::Chghost
                | Cap::EchoMessage
                | Cap::MessageTags
                | Cap::MultiPrefix
                | Cap::ServerTime
                | Cap::StandardReplies => true,
            };
            let fresh = !self.on.has(cap) && !self.asked.has(cap) && !self.refused.has(cap);
            if useful && fresh && self.offered.has(cap) {
                wanted.add(cap);
            }
        }
        self.asked = Caps(self.asked.0 | wanted.0);
        if wanted.is_empty() { self.settled() } else { Step::Ask(requests(wanted)) }
    }

    fn offers_multiline(&self) -> bool {
        [Cap::Batch, Cap::MessageTags, Cap::Multiline].into_iter().all(|cap| self.offered.has(cap))
    }

    fn acknowledged(&mut self, list: &str) -> Step {
        for word in list.split(' ') {
            let (gone, name) = word.strip_prefix('-').map_or((false, word), |name| (true, name));
            // `~` and `=` are of version 301.
            let Some(cap) = by_name(name.trim_start_matches(['~', '='])) else { continue };
            self.asked.remove(cap);
            if gone { self.on.remove(cap) } else { self.on.add(cap) }
        }
        self.settled()
    }

    /// A request is refused as a whole: each of its capabilities is asked for alone, unless it was alone.
    fn refused(&mut self, list: &str) -> Step {
        let asked = self.asked;
        let mut named: Vec<Cap> = known(list).filter(|cap| asked.has(*cap)).collect();
        if named.is_empty() {
            // It cannot be told what was refused, and nothing else will come.
            named = KNOWN.iter().map(|(cap, _)| *cap).filter(|cap| asked.has(*cap)).collect();
        }
        let alone = named.len() < 2;
        let mut again = Vec::new();
        for cap in named {
            if alone || self.refused.has(cap) {
                self.asked.remove(cap);
            } else {
                again.push(request(name(cap)));
            }
            self.refused.add(cap);
        }
        if again.is_empty() { self.settled() } else { Step::Ask(again) }
    }

    fn settled(&self) -> Step {
        if self.asked.is_empty() { Step::Settled } else { Step::Wait }
    }
}

impl Sts {
    fn parse(value: &str) -> Self {
        let mut sts = Self::default();
        for pair in value.split(',') {
            match pair.split_once('=') {
                Some(("port", port)) => sts.port = port.parse().ok().filter(|port| *port > 0),
                Some(("duration", seconds)) => sts.duration_s = seconds.parse().ok(),
                Some(_) | None => {}
            }
        }
        sts
    }
}

fn known(list: &str) -> impl Iterator<Item = Cap> + '_ {
    list.split(' ').filter_map(|word| by_name(word.split('=').next().unwrap_or_default()))
}

fn by_name(text: &str) -> Option<Cap> {
    KNOWN.iter().find(|(_, name)| *name == text).map(|(cap, _)| *cap)
}

fn name(cap: Cap) -> &'static str {
    KNOWN.iter().find(|(known, _)| *known == cap).map_or("", |(_, name)| *name)
}

fn requests(wanted: Caps) -> Vec<String> {
    let mut lists: Vec<String> = Vec::new();
    for name in wanted.names() {
        match lists.last_mut() {
            Some(list) if list.len() + 1 + name.len() <= REQUEST_BYTES_MAX => {
                list.push(' ');
                list.push_str(name);
            }
            _ => lists.push(name.to_owned()),
        }
    }
    lists.iter().map(|list| request(list)).collect()
}

fn request(list: &str) -> String {
    // Always with a colon: some servers read only the first word without it.
    format!("CAP REQ :{list}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn step(negotiation: &mut Negotiation, text: &str) -> Step {
        negotiation.line(&Line::parse(text).unwrap(), &mut Offer::default())
    }

    #[test]
    fn only_what_is_offered_and_used_is_asked_for() {
        let (mut negotiation, mut offer) = (Negotiation::new(true), Offer::default());
        let first = Line::parse(":s CAP * LS * :away-notify sasl=PLAIN,SCRAM-SHA-256 batch").unwrap();
        assert_eq!(negotiation.line(&first, &mut offer), Step::Wait, "a list of several lines");
        let last = Line::parse(":s CAP * LS :multi-prefix sts=port=6697,duration=3600").unwrap();
        let asked = negotiation.line(&last, &mut offer);
        assert_eq!(asked, Step::Ask(vec!["CAP REQ :multi-prefix sasl".into()]), "batch serves labels only");
        assert_eq!(offer.sasl.as_deref(), Some("PLAIN,SCRAM-SHA-256"));
        assert_eq!(offer.sts, Some(Sts { port: Some(6697), duration_s: Some(3600) }));
        assert_eq!(step(&mut negotiation, "CAP * ACK :sasl"), Step::Wait);
        assert_eq!(step(&mut negotiation, "CAP * ACK :multi-prefix "), Step::Settled);
        assert!(negotiation.on().has(Cap::Sasl) && negotiation.on().has(Cap::MultiPrefix));
    }

    #[test]
    fn messages_of_several_lines_need_batches_and_tags() {
        let mut negotiation = Negotiation::new(false);
        let limits = "draft/multiline=max-bytes=4096,max-lines=24,x=y";
        assert_eq!(step(&mut negotiation, &format!("CAP * LS :{limits} batch")), Step::Settled);
        let asked = step(&mut negotiation, "CAP x NEW :message-tags server-time draft/message-redaction");
        let all = "CAP REQ :batch draft/message-redaction draft/multiline message-tags server-time";
        assert_eq!(asked, Step::Ask(vec![all.into()]));
        assert_eq!(negotiation.multiline(), None, "not yet");
        step(&mut negotiation, &all.replace("CAP REQ", "CAP x ACK"));
        let limits = MultilineLimits { bytes_max: 4096, lines_max: Some(24) };
        assert_eq!(negotiation.multiline(), Some(limits));
        assert_eq!(MultilineLimits::parse("max-lines=3"), None);
    }

    #[test]
    fn without_a_login_nobody_asks_for_sasl() {
        assert_eq!(step(&mut Negotiation::new(false), "CAP * LS :sasl"), Step::Settled);
    }

    #[test]
    fn what_is_refused_in_company_is_asked_for_alone_and_then_no_more() {
        let mut negotiation = Negotiation::new(false);
        step(&mut negotiation, "CAP * LS :chghost multi-prefix");
        let again = step(&mut negotiation, "CAP * NAK :chghost multi-prefix");
        assert_eq!(again, Step::Ask(vec!["CAP REQ :chghost".into(), "CAP REQ :multi-prefix".into()]));
        assert_eq!(step(&mut negotiation, "CAP * NAK :chghost"), Step::Wait);
        assert_eq!(step(&mut negotiation, "CAP * ACK :multi-prefix"), Step::Settled);
        assert_eq!(step(&mut negotiation, "CAP * NEW :chghost"), Step::Settled, "refused for good");
    }

    #[test]
    fn capabilities_come_and_go_while_we_are_connected() {
        let mut negotiation = Negotiation::new(true);
        assert_eq!(step(&mut negotiation, "CAP * LS :"), Step::Settled);
        assert_eq!(step(&mut negotiation, "CAP x NEW :sasl=PLAIN"), Step::Ask(vec!["CAP REQ :sasl".into()]));
        step(&mut negotiation, "CAP x ACK :sasl");
        assert!(negotiation.on().has(Cap::Sasl));
        step(&mut negotiation, "CAP x DEL :sasl");
        assert!(!negotiation.on().has(Cap::Sasl));
    }

    #[test]
    fn a_refusal_that_names_nothing_refuses_all_that_was_asked() {
        let mut negotiation = Negotiation::new(false);
        step(&mut negotiation, "CAP * LS :chghost multi-prefix");
        let again = step(&mut negotiation, "CAP * NAK :");
        assert_eq!(again, Step::Ask(vec!["CAP REQ :chghost".into(), "CAP REQ :multi-prefix".into()]));
        assert_eq!(step(&mut negotiation, "CAP * NAK :"), Step::Settled);
    }

    proptest! {
        /// Whatever a server says, what is on was offered or at least acknowledged, and it ends.
        #[test]
        fn nonsense_costs_nothing(lines in prop::collection::vec(("(LS|ACK|NAK|NEW|DEL|XX|)", "[*a]{0,2}", "(sasl|batch|=|-|~| |chghost|labeled-response|sts=port=){0,8}"), 0..20)) {
            let mut negotiation = Negotiation::new(true);
            let mut asked = 0;
            for (verb, star, list) in lines {
                let line = Line { params: vec!["*".into(), verb, star, list], ..Line::new("CAP", &[]) };
                if let Step::Ask(lines) = negotiation.line(&line, &mut Offer::default()) {
                    prop_assert!(lines.iter().all(|line| line.len() < 500));
                    asked += lines.len();
                }
            }
            prop_assert!(asked <= 20 * KNOWN.len());
        }
    }
}
