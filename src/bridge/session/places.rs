//! Where one connection stands in its channels: asked, in, or leaving.
//!
//! ```text
//!          JOIN                 JOIN echo            PART                     PART echo
//!   (out) ─────▶ Asked ─────────────────────▶ In ─────────▶ Leaving ───────────────────▶ (out)
//!                  │ refused, or KICK: (out)                   │ wanted back meanwhile: JOIN after the echo
//! ```
//!
//! A JOIN is never sent while a PART of the same channel waits for its echo: the two would cross.

use std::collections::BTreeMap;

use crate::ids::{ChannelName, Time};
use crate::text::casemap::CaseMap;
use crate::text::line::Line;

/// How long a JOIN or PART may stay without an answer before it is asked again.
const ANSWER_MS_MAX: u64 = 30_000;
/// JOIN lines name as many channels as fit into so many bytes.
const JOIN_BYTES_MAX: usize = 400;

/// Our place in one channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// JOIN was asked at this time.
    Asked(Time),
    In,
    /// PART was asked at this time.
    Leaving(Time, Return),
}

/// Whether a channel that is being left is wanted again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Return {
    Wanted,
    No,
}

/// What had no answer in time.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Late {
    pub joins: Vec<ChannelName>,
    /// To be left once more.
    pub parts: Vec<ChannelName>,
}

/// One JOIN line.
#[derive(Debug, PartialEq, Eq)]
pub struct Joining {
    pub line: String,
    /// The channels it names, in order.
    pub channels: Vec<ChannelName>,
}

impl Joining {
    fn bytes(&self) -> usize {
        self.channels.iter().map(|channel| channel.as_str().len() + 1).sum()
    }
}

/// One connection's places.
#[derive(Debug, Default)]
pub struct Places(BTreeMap<ChannelName, Standing>);

impl Places {
    pub fn standing(&self, channel: &ChannelName) -> Option<Standing> {
        self.0.get(channel).copied()
    }

    /// The channels we are in or have asked for.
    pub fn channels(&self) -> impl Iterator<Item = &ChannelName> {
        self.0.iter().filter(|(_, standing)| !matches!(standing, Standing::Leaving(..))).map(|(name, _)| name)
    }

    /// Asks to be let in: returns the lines to send, as few as fit. A channel that is being left is asked for
    /// once it has been left.
    pub fn ask(&mut self, now: Time, channels: &[ChannelName]) -> Vec<Joining> {
        let mut lists: Vec<Joining> = Vec::new();
        for channel in channels {
            if let Some(Standing::Leaving(since, _)) = self.standing(channel) {
                self.0.insert(channel.clone(), Standing::Leaving(since, Return::Wanted));
                continue;
            }
            self.0.insert(channel.clone(), Standing::Asked(now));
            match lists.last_mut() {
                Some(list) if list.bytes() + channel.as_str().len() <= JOIN_BYTES_MAX => {
                    list.channels.push(channel.clone());
                }
                _ => lists.push(Joining { line: String::new(), channels: vec![channel.clone()] }),
            }
        }
        for list in &mut lists {
            let names: Vec<&str> = list.channels.iter().map(ChannelName::as_str).collect();
            list.line = Line::new("JOIN", &[&names.join(",")]).build();
        }
        lists
    }

    /// Our own JOIN echo. Where we have asked to leave meanwhile, that stands.
    pub fn entered(&mut self, channel: &ChannelName) {
        if !matches!(self.standing(channel), Some(Standing::Leaving(..))) {
            self.0.insert(channel.clone(), Standing::In);
        }
    }

    /// Begins to leave; `false` when we neither are in nor asked.
    pub fn leave(&mut self, now: Time, channel: &ChannelName) -> bool {
        match self.standing(channel) {
            Some(Standing::Asked(_) | Standing::In) => {
                self.0.insert(channel.clone(), Standing::Leaving(now, Return::No));
                true
            }
            Some(Standing::Leaving(since, Return::Wanted)) => {
                self.0.insert(channel.clone(), Standing::Leaving(since, Return::No));
                false
            }
            Some(Standing::Leaving(_, Return::No)) | None => false,
        }
    }

    /// We are out: PART or KICK was seen, a JOIN was refused, or we were not in. Returns what we were.
    pub fn out(&mut self, channel: &ChannelName) -> Option<Standing> {
        self.0.remove(channel)
    }

    /// Everything is left at once, by QUIT or a lost connection.
    pub fn take_all(&mut self) -> Vec<ChannelName> {
        let names = self.channels().cloned().collect();
        self.0.clear();
        names
    }

    /// When the first answer is late.
    pub fn poll_timeout(&self) -> Option<Time> {
        self.0.values().filter_map(since).min().map(|since| since.plus_ms(ANSWER_MS_MAX))
    }

    /// Takes the channels whose answer is late: JOINs, to be asked again; and gives the PARTs to repeat. A PART is
    /// never taken for done: until its echo, or 442, the stream may still show the stay before it.
    pub fn take_late(&mut self, now: Time) -> Late {
        let mut late = Late::default();
        for (name, standing) in &mut self.0 {
            match standing {
                Standing::Asked(since) if since.plus_ms(ANSWER_MS_MAX) <= now => {
                    late.joins.push(name.clone())
                }
                Standing::Leaving(since, _) if since.plus_ms(ANSWER_MS_MAX) <= now => {
                    *since = now;
                    late.parts.push(name.clone());
                }
                Standing::Asked(_) | Standing::Leaving(..) | Standing::In => {}
            }
        }
        self.0.retain(|name, _| !late.joins.contains(name));
        late
    }

    /// The network's case mapping is another: names are folded anew.
    pub fn refold(&mut self, map: CaseMap) {
        let places = std::mem::take(&mut self.0).into_iter();
        self.0 = places.map(|(channel, standing)| (channel.refolded(map), standing)).collect();
    }
}

fn since(standing: &Standing) -> Option<Time> {
    match standing {
        Standing::Asked(since) | Standing::Leaving(since, _) => Some(*since),
        Standing::In => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel(text: &str) -> ChannelName {
        ChannelName::new(text, CaseMap::Ascii).unwrap()
    }

    fn asked(places: &mut Places, now: Time, channels: &[ChannelName]) -> Vec<String> {
        places.ask(now, channels).into_iter().map(|joining| joining.line).collect()
    }

    #[test]
    fn a_channel_wanted_back_is_asked_for_after_it_was_left() {
        let (c, mut places) = (channel("#c"), Places::default());
        assert_eq!(asked(&mut places, Time(0), std::slice::from_ref(&c)), ["JOIN #c"]);
        places.entered(&c);
        assert!(places.leave(Time(1), &c));
        assert_eq!(asked(&mut places, Time(2), std::slice::from_ref(&c)), Vec::<String>::new());
        assert_eq!(places.out(&c), Some(Standing::Leaving(Time(1), Return::Wanted)));
        assert_eq!(asked(&mut places, Time(3), &[c]), ["JOIN #c"]);
    }

    #[test]
    fn late_answers_are_asked_again() {
        let (a, b, mut places) = (channel("#a"), channel("#b"), Places::default());
        places.ask(Time(0), &[a.clone(), b.clone()]);
        places.entered(&b);
        places.leave(Time(0), &b);
        assert_eq!(places.poll_timeout(), Some(Time(ANSWER_MS_MAX)));
        let late = places.take_late(Time(ANSWER_MS_MAX));
        assert_eq!(late, Late { joins: vec![a], parts: vec![b] });
        assert_eq!(places.poll_timeout(), Some(Time(2 * ANSWER_MS_MAX)), "until the server has answered");
    }

    #[test]
    fn many_channels_take_few_lines_that_fit() {
        let channels: Vec<ChannelName> = (0..100).map(|n| channel(&format!("#channel-{n}"))).collect();
        let lines = asked(&mut Places::default(), Time(0), &channels);
        assert!(lines.len() <= 5 && lines.iter().all(|line| line.len() <= JOIN_BYTES_MAX + 5), "{lines:?}");
    }
}
