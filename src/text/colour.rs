//! Colours as each side names them: IRC's numbers, hex digits, and the names of CSS; and which number is nearest.
//!
//! Nothing here knows what a background is: who reads sees colours on a screen of their own.

mod names;

use std::fmt;

/// A colour of text or of what is behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// Red, green, blue.
    Rgb(u8, u8, u8),
    /// One of IRC's, 0 to 98; a larger number counts as 98. The first 16 look different in each client.
    Irc(u8),
}

/// The last of IRC's colours.
pub const IRC_COLOUR_MAX: u8 = 98;

/// The classic colours, that every client knows.
const CLASSIC: usize = 16;

/// How far from a colour one of the classic 16 may be to be taken, although one of the other 83 is nearer: those are
/// unknown to many clients. In units of [`distance`].
const NEAR: u32 = 12_000;

impl Colour {
    /// Reads `#rrggbb`, `#rgb`, or a name of CSS in any letter case; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        match text.strip_prefix('#') {
            Some(hex) => Self::parse_hex(hex),
            None => names::rgb(text).map(Self::from_number),
        }
    }

    /// Reads six hex digits, or three that count twice.
    pub(super) fn parse_hex(hex: &str) -> Option<Self> {
        if !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let number = u32::from_str_radix(hex, 16).ok()?;
        match hex.len() {
            6 => Some(Self::from_number(number)),
            3 => {
                let twice = |shift: u32| (number >> shift & 15) * 17;
                Some(Self::from_number(twice(8) << 16 | twice(4) << 8 | twice(0)))
            }
            _ => None,
        }
    }

    fn from_number(number: u32) -> Self {
        let [_, red, green, blue] = number.to_be_bytes();
        Self::Rgb(red, green, blue)
    }

    /// Red, green and blue in one number, as in `rrggbb`.
    pub fn rgb(self) -> u32 {
        match self {
            Self::Rgb(red, green, blue) => u32::from_be_bytes([0, red, green, blue]),
            Self::Irc(number) => PALETTE[usize::from(number.min(IRC_COLOUR_MAX))],
        }
    }

    /// The number of the IRC colour that looks most like it, 0 to 98: one of the first 16 where one is near.
    pub fn irc_number(self) -> u8 {
        let rgb = match self {
            Self::Irc(number) => return number.min(IRC_COLOUR_MAX),
            Self::Rgb(..) => self.rgb(),
        };
        let (classic, how_far) = nearest(rgb, &PALETTE[..CLASSIC]);
        if how_far <= NEAR { classic } else { nearest(rgb, &PALETTE).0 }
    }
}

/// As HTML writes it: `#rrggbb`.
impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{:06x}", self.rgb())
    }
}

/// The place of the first nearest colour, and how far it is.
fn nearest(rgb: u32, palette: &[u32]) -> (u8, u32) {
    let all = (0..).zip(palette.iter().map(|&other| distance(rgb, other)));
    all.min_by_key(|(_, how_far)| *how_far).unwrap_or_default()
}

/// How different two colours look, squared: red counts less where there is little of it, green most.
fn distance(a: u32, b: u32) -> u32 {
    let part = |rgb: u32, shift: u32| (rgb >> shift & 255) as i32;
    let red_mean = (part(a, 16) + part(b, 16)) / 2;
    let gap = |shift: u32| (part(a, shift) - part(b, shift)).pow(2);
    let sum = (((512 + red_mean) * gap(16)) >> 8) + 4 * gap(8) + (((767 - red_mean) * gap(0)) >> 8);
    sum.unsigned_abs()
}

/// IRC's colours: the classic 16 as most clients show them, 16 to 98 as everybody agrees on them
/// (modern.ircdocs.horse/formatting).
#[rustfmt::skip]
const PALETTE: [u32; 99] = [
    0xffffff, 0x000000, 0x00007f, 0x009300, 0xff0000, 0x7f0000, 0x9c009c, 0xfc7f00,
    0xffff00, 0x00fc00, 0x009393, 0x00ffff, 0x0000fc, 0xff00ff, 0x7f7f7f, 0xd2d2d2,
    0x470000, 0x472100, 0x474700, 0x324700, 0x004700, 0x00472c,
    0x004747, 0x002747, 0x000047, 0x2e0047, 0x470047, 0x47002a,
    0x740000, 0x743a00, 0x747400, 0x517400, 0x007400, 0x007449,
    0x007474, 0x004074, 0x000074, 0x4b0074, 0x740074, 0x740045,
    0xb50000, 0xb56300, 0xb5b500, 0x7db500, 0x00b500, 0x00b571,
    0x00b5b5, 0x0063b5, 0x0000b5, 0x7500b5, 0xb500b5, 0xb5006b,
    0xff0000, 0xff8c00, 0xffff00, 0xb2ff00, 0x00ff00, 0x00ffa0,
    0x00ffff, 0x008cff, 0x0000ff, 0xa500ff, 0xff00ff, 0xff0098,
    0xff5959, 0xffb459, 0xffff71, 0xcfff60, 0x6fff6f, 0x65ffc9,
    0x6dffff, 0x59b4ff, 0x5959ff, 0xc459ff, 0xff66ff, 0xff59bc,
    0xff9c9c, 0xffd39c, 0xffff9c, 0xe2ff9c, 0x9cff9c, 0x9cffdb,
    0x9cffff, 0x9cd3ff, 0x9c9cff, 0xdc9cff, 0xff9cff, 0xff94d3,
    0x000000, 0x131313, 0x282828, 0x363636, 0x4d4d4d, 0x656565,
    0x818181, 0x9f9f9f, 0xbcbcbc, 0xe2e2e2, 0xffffff,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_colour_is_read_however_html_writes_it() {
        for (text, shown) in [
            ("#ff0000", Some("#ff0000")),
            ("#F0A", Some("#ff00aa")),
            (" Red ", Some("#ff0000")),
            ("rebeccapurple", Some("#663399")),
            ("LightGoldenrodYellow", Some("#fafad2")),
            ("#ff000", None),
            ("#gg0000", None),
            ("#+f0000", None),
            ("", None),
            ("#", None),
            ("javascript", None),
        ] {
            assert_eq!(Colour::parse(text).map(|colour| colour.to_string()).as_deref(), shown, "{text}");
        }
    }

    #[test]
    fn the_nearest_number_is_a_classic_one_where_one_is_near() {
        for (text, number) in [
            ("#ffffff", 0),
            ("black", 1),
            ("navy", 2),
            ("green", 3),
            ("red", 4),
            ("#fe0202", 4),
            ("maroon", 5),
            ("purple", 6),
            ("orange", 7),
            ("yellow", 8),
            ("lime", 9),
            ("teal", 10),
            ("cyan", 11),
            ("blue", 12),
            ("magenta", 13),
            ("gray", 14),
            ("silver", 15),
            ("#ff9c9c", 76),
            ("#59b4ff", 71),
            ("#0063b5", 47),
        ] {
            assert_eq!(Colour::parse(text).map(Colour::irc_number), Some(number), "{text}");
        }
        assert_eq!(Colour::Irc(55).irc_number(), 55);
        assert_eq!(Colour::Irc(200).irc_number(), IRC_COLOUR_MAX);
        assert_eq!(Colour::Irc(4).to_string(), "#ff0000");
    }
}
