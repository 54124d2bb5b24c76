//! `feature`: what somebody can have otherwise than all.

use crate::bridge::errand::{Errand, Report};
use crate::bridge::policy::{Permission, Shown};

use super::args::{Args, Bad};
use super::reply::Reply;
use super::tell::Told;
use super::{Act, Command, Place, Scope, Words};

const MENTIONS: &str = "mentions";

pub static FEATURE: Command = Command {
    name: "feature",
    also: &["features"],
    takes: "[mentions [on|off|default]]",
    help: "Whether your nick, when it is said in a channel, becomes a mention of you; alone, it tells how it is.",
    more: "By default it does, where whoever runs the bridge has not turned mentions off. It is kept until you change it.",
    examples: &["feature", "feature mentions off", "feature mentions default"],
    who: Permission::User,
    scope: Scope::Network,
    place: Place::AdminRoom,
    words: Words::Open,
    read,
    tell,
};

fn read(args: &mut Args<'_>) -> Result<Act, Bad> {
    match args.word()? {
        None => {}
        Some(name) if name.eq_ignore_ascii_case(MENTIONS) => {}
        Some(_) => return Err(Bad),
    }
    let wish = args.word()?.map(shown).transpose()?;
    args.end().map(|()| Act::Errand(Errand::Mentions(wish)))
}

/// What somebody says of a feature; `true` and `false` are the words of older bridges.
fn shown(word: &str) -> Result<Shown, Bad> {
    let is = |words: &[&str]| words.iter().any(|known| word.eq_ignore_ascii_case(known));
    if is(&["on", "true", "yes"]) {
        Ok(Shown::On)
    } else if is(&["off", "false", "no"]) {
        Ok(Shown::Off)
    } else if is(&["default"]) {
        Ok(Shown::default())
    } else {
        Err(Bad)
    }
}

fn tell(told: &Told<'_>) -> Reply {
    told.reported(|report| match report {
        Report::Mentions(Shown::On) => Some(Reply::text(format!(
            "Mentions are on: your nick in a channel of {} becomes a mention of you.",
            told.network
        ))),
        Report::Mentions(Shown::Off) => Some(Reply::text(format!(
            "Mentions are off: your nick in a channel of {} stays a word as others are.",
            told.network
        ))),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feature_is_shown_or_set() {
        let read = |words| read(&mut Args::new(words, None));
        let is = |wish| Ok(Act::Errand(Errand::Mentions(wish)));
        assert_eq!((read(""), read("Mentions")), (is(None), is(None)));
        assert_eq!(
            (read("mentions off"), read("mentions FALSE")),
            (is(Some(Shown::Off)), is(Some(Shown::Off)))
        );
        assert_eq!(
            (read("mentions true"), read("mentions default")),
            (is(Some(Shown::On)), is(Some(Shown::On)))
        );
        for bad in ["colours", "mentions maybe", "mentions on off", "mentions \"\""] {
            assert_eq!(read(bad), Err(Bad), "{bad:?}");
        }
    }
}
