//! The settings of the bot on IRC, and of consent.

/// The bridge's own nick, to which operators of channels write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operators {
    /// `None`: the bot is not on IRC, and takes no commands.
    pub nick: Option<String>,
    /// Who runs the bridge, for people on IRC; empty for no words.
    pub contact: String,
    pub consent: Consent,
    pub asks: Asks,
}

/// Where operators of a channel are asked for their consent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asks {
    /// A few of them, each alone.
    Alone,
    /// In the channel: those of them who may hear alone, where the network has a way for it. The first time only.
    InChannel,
}

/// Whether rooms are made for channels whose operators were not asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consent {
    Open,
    /// An operator of the channel has to allow it first.
    ByConsent,
}

impl Operators {
    /// No bot.
    pub fn off() -> Self {
        Self { nick: None, ..Self::default() }
    }
}

impl Default for Operators {
    fn default() -> Self {
        Self {
            nick: Some("bunraku".into()),
            contact: String::new(),
            consent: Consent::Open,
            asks: Asks::Alone,
        }
    }
}
