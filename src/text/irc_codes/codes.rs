//! One formatting code at a time: what it says, what it does to a style, and how a change of style is written.

use std::fmt::Write;

use crate::text::colour::{Colour, IRC_COLOUR_MAX};
use crate::text::spans::Style;

/// The number of "no colour".
const DEFAULT_NUMBER: u8 = 99;
/// Does nothing, but keeps what follows a colour code from being read as part of it.
const NOTHING: &str = "\u{2}\u{2}";

/// What a code says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::text) enum Code {
    Bold,
    Italic,
    Underline,
    Strike,
    Mono,
    Reverse,
    Reset,
    /// Text, and background where it is named. `None` is the reader's own colour.
    Colour(Option<Colour>, Option<Option<Colour>>),
    /// Both colours end.
    NoColours,
}

impl Code {
    /// The code at the beginning of `text`, and its length in bytes with its digits; `None` when there is none.
    pub(in crate::text) fn first(text: &str) -> Option<(Self, usize)> {
        let sign = text.bytes().next()?;
        let rest = text.get(1..)?;
        let one = |code| Some((code, 1));
        match sign {
            0x02 => one(Self::Bold),
            0x1d => one(Self::Italic),
            0x1f => one(Self::Underline),
            0x1e => one(Self::Strike),
            0x11 => one(Self::Mono),
            0x16 => one(Self::Reverse),
            0x0f => one(Self::Reset),
            0x03 => Some(colours(rest, super::decimal_len, number)),
            0x04 => Some(colours(rest, super::hex_len, Colour::parse_hex)),
            _ => None,
        }
    }

    /// What text looks like behind it.
    pub(in crate::text) fn apply(self, style: &mut Style) {
        match self {
            Self::Bold => style.bold = !style.bold,
            Self::Italic => style.italic = !style.italic,
            Self::Underline => style.underline = !style.underline,
            Self::Strike => style.strike = !style.strike,
            Self::Mono => style.mono = !style.mono,
            Self::Reverse => style.reverse = !style.reverse,
            Self::Reset => *style = Style::default(),
            Self::Colour(fg, bg) => {
                style.fg = fg;
                style.bg = bg.unwrap_or(style.bg);
            }
            Self::NoColours => (style.fg, style.bg) = (None, None),
        }
    }
}

/// The colours behind their sign: `fg` or `fg,bg`. A comma without a second colour is text.
fn colours(text: &str, colour_len: fn(&str) -> usize, colour: fn(&str) -> Option<Colour>) -> (Code, usize) {
    let first = colour_len(text);
    if first == 0 {
        return (Code::NoColours, 1);
    }
    let fg = colour(&text[..first]);
    let behind = text[first..].strip_prefix(',').unwrap_or_default();
    match colour_len(behind) {
        0 => (Code::Colour(fg, None), 1 + first),
        second => (Code::Colour(fg, Some(colour(&behind[..second]))), 1 + first + 1 + second),
    }
}

fn number(digits: &str) -> Option<Colour> {
    digits.parse().ok().filter(|number| *number <= IRC_COLOUR_MAX).map(Colour::Irc)
}

/// Writes the codes that make text look like `to` where it looked like `from`. `next` is the text that follows, which
/// never becomes a part of a code. Spoilers have no code: hide them by colours before.
pub(in crate::text) fn switch(out: &mut String, from: Style, to: Style, next: &str) {
    if from == to {
        return;
    }
    let mut from = from;
    let loses = |was: Option<Colour>, is: Option<Colour>| was.is_some() && is.is_none();
    if to == Style::default() && toggles(&from).count() + usize::from(from.fg.or(from.bg).is_some()) > 1
        || loses(from.fg, to.fg)
        || loses(from.bg, to.bg)
    {
        out.push('\u{f}');
        from = Style::default();
    }
    for (sign, was, is) in both(&from, &to) {
        if was != is {
            out.push(sign);
        }
    }
    if (from.fg, from.bg) != (to.fg, to.bg) {
        write_colours(out, to.fg, to.bg);
        let swallows_comma = to.bg.is_none() && next.starts_with(',');
        if swallows_comma {
            out.push_str(NOTHING);
        }
    }
}

fn both(from: &Style, to: &Style) -> [(char, bool, bool); 6] {
    [
        ('\u{2}', from.bold, to.bold),
        ('\u{1d}', from.italic, to.italic),
        ('\u{1f}', from.underline, to.underline),
        ('\u{1e}', from.strike, to.strike),
        ('\u{11}', from.mono, to.mono),
        ('\u{16}', from.reverse, to.reverse),
    ]
}

fn toggles(style: &Style) -> impl Iterator<Item = char> {
    both(style, style).into_iter().filter(|(_, is_on, _)| *is_on).map(|(sign, ..)| sign)
}

/// At least one of the two is there.
fn write_colours(out: &mut String, fg: Option<Colour>, bg: Option<Colour>) {
    let written = match (fg, bg) {
        (Some(fg @ Colour::Rgb(..)), None) => write!(out, "\u{4}{:06x}", fg.rgb()),
        (Some(fg @ Colour::Rgb(..)), Some(bg @ Colour::Rgb(..))) => {
            write!(out, "\u{4}{:06x},{:06x}", fg.rgb(), bg.rgb())
        }
        (fg, bg) => {
            let number = |colour: Option<Colour>| colour.map_or(DEFAULT_NUMBER, Colour::irc_number);
            match bg {
                // Two digits each: a digit of the text that follows is never taken for one of them.
                Some(_) => write!(out, "\u{3}{:02},{:02}", number(fg), number(bg)),
                None => write!(out, "\u{3}{:02}", number(fg)),
            }
        }
    };
    written.expect("text takes all");
}
