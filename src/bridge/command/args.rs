//! The words behind a command's name. They are a person's, and nothing of them is trusted: a channel, a nick or a mask
//! is one word without a comma, so that it stays one parameter of one line.

use crate::ids::{RoomId, UserId};
use crate::text::whom::server_name;

/// Letters of a word; a longer one is none.
const WORD_CHARS_MAX: usize = 300;

/// What is left of the words.
#[derive(Clone, Debug)]
pub struct Args<'a> {
    rest: &'a str,
    /// The channel or nick of the room where the command was given.
    here: Option<&'a str>,
    /// That room, where others are in it too.
    room: Option<&'a RoomId>,
}

/// The words were not what the command takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bad;

impl<'a> Args<'a> {
    /// Words that were given in the room of this channel or nick, where it has one.
    pub fn new(rest: &'a str, here: Option<&'a str>) -> Self {
        Self { rest: rest.trim(), here, room: None }
    }

    /// Words that were given in this room, which is no admin room.
    pub fn said_in(self, room: Option<&'a RoomId>) -> Self {
        Self { room, ..self }
    }

    /// A room: the next word, if it is the id of one, else that in which it is said. A channel whose name begins with `!` is
    /// none, where the room is known.
    pub fn room(&mut self) -> Result<RoomId, Bad> {
        let named =
            self.peek().and_then(RoomId::new).filter(|id| self.room.is_none() || id.as_str().contains(':'));
        match named {
            Some(room) => self.word().map(|_| room),
            None => self.room.cloned().ok_or(Bad),
        }
    }

    /// The next word; with `"` before and behind it a word may hold spaces.
    pub fn word(&mut self) -> Result<Option<&'a str>, Bad> {
        let text = self.rest;
        let (word, rest) = match text.strip_prefix('"') {
            Some(quoted) => {
                let (word, rest) = quoted.split_once('"').ok_or(Bad)?;
                if !rest.is_empty() && !rest.starts_with(char::is_whitespace) {
                    return Err(Bad);
                }
                (word, rest)
            }
            None if text.is_empty() => return Ok(None),
            None => text.split_once(char::is_whitespace).unwrap_or((text, "")),
        };
        self.rest = rest.trim_start();
        if word.chars().nth(WORD_CHARS_MAX).is_some() { Err(Bad) } else { Ok(Some(word)) }
    }

    /// Looks at the next word, and leaves it there.
    pub fn peek(&self) -> Option<&'a str> {
        self.clone().word().ok().flatten()
    }

    /// The next word, which has to be there.
    pub fn need(&mut self) -> Result<&'a str, Bad> {
        self.word()?.filter(|word| !word.is_empty()).ok_or(Bad)
    }

    /// One parameter of an IRC line: no space, no comma, no colon in front.
    pub fn param(&mut self) -> Result<&'a str, Bad> {
        self.need().and_then(as_param)
    }

    /// A channel: the next word, if it looks like one, else that of the room.
    pub fn channel(&mut self) -> Result<&'a str, Bad> {
        match self.peek() {
            Some(word) if is_channel(word) => self.param(),
            Some(_) | None => self.here.filter(|here| is_channel(here)).ok_or(Bad),
        }
    }

    /// A channel, which has to be named.
    pub fn channel_named(&mut self) -> Result<&'a str, Bad> {
        self.param().and_then(|word| if is_channel(word) { Ok(word) } else { Err(Bad) })
    }

    /// A nick: the next word, else whose private chat the room is.
    pub fn nick(&mut self) -> Result<&'a str, Bad> {
        match self.peek() {
            Some(_) => self.param().and_then(|word| if is_channel(word) { Err(Bad) } else { Ok(word) }),
            None => self.here.filter(|here| !is_channel(here)).ok_or(Bad),
        }
    }

    pub fn user(&mut self) -> Result<UserId, Bad> {
        UserId::new(self.need()?).ok_or(Bad)
    }

    /// A server name (Matrix appendices, "Server Name"), in lower case.
    pub fn server(&mut self) -> Result<String, Bad> {
        server_name(self.need()?).ok_or(Bad)
    }

    /// All that is left, as it was written.
    pub fn rest(&mut self) -> Option<&'a str> {
        let rest = std::mem::take(&mut self.rest).trim();
        Some(rest).filter(|rest| !rest.is_empty())
    }

    /// Nothing more may follow.
    pub fn end(&self) -> Result<(), Bad> {
        if self.rest.is_empty() { Ok(()) } else { Err(Bad) }
    }
}

/// True for what people write when they mean a channel. What the network takes for one is its own matter. `+x` is a mode
/// to all who live now.
pub fn is_channel(word: &str) -> bool {
    word.starts_with(['#', '&', '!']) && word.chars().nth(1).is_some()
}

fn as_param(word: &str) -> Result<&str, Bad> {
    let is_one = !word.starts_with(':') && !word.contains([' ', ',', '\u{7}']);
    if is_one && !word.contains(char::is_control) { Ok(word) } else { Err(Bad) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_may_be_quoted() {
        let mut args = Args::new(r#"  one "two words" "" three  and more "#, None);
        assert_eq!(args.word(), Ok(Some("one")));
        assert_eq!(args.word(), Ok(Some("two words")));
        assert_eq!(args.word(), Ok(Some("")));
        assert_eq!(args.need(), Ok("three"));
        assert_eq!(args.rest(), Some("and more"));
        assert_eq!((args.word(), args.end()), (Ok(None), Ok(())));
        assert_eq!(Args::new(r#""open"#, None).word(), Err(Bad));
        assert_eq!(Args::new(r#""a"b"#, None).word(), Err(Bad));
        assert_eq!(Args::new(&"x".repeat(WORD_CHARS_MAX + 1), None).word(), Err(Bad));
    }

    #[test]
    fn what_would_be_more_than_one_parameter_is_none() {
        for hostile in [r##""#a b""##, "#a,#b", "#a\u{7}b", "\"#a\tb\"", "#", ""] {
            assert_eq!(Args::new(hostile, None).channel_named(), Err(Bad), "{hostile:?}");
        }
        for hostile in [r#""a b""#, "a,b", ":a", r#""a :b""#] {
            assert_eq!(Args::new(hostile, None).nick(), Err(Bad), "{hostile:?}");
        }
    }

    #[test]
    fn a_room_is_named_or_the_one_where_it_is_said() {
        let (here, there) = (RoomId::new("!here:hs").unwrap(), RoomId::new("!there:hs").unwrap());
        let room = |words, said_in| Args::new(words, None).said_in(said_in).room();
        assert_eq!(room("#c", Some(&here)), Ok(here.clone()));
        assert_eq!(room("!there:hs #c", Some(&here)), Ok(there.clone()));
        assert_eq!(room("!there:hs #c", None), Ok(there));
        assert_eq!(room("!safe", Some(&here)), Ok(here.clone()), "a channel");
        assert_eq!(room("!new", None), Ok(RoomId::new("!new").unwrap()), "ids of room version 12");
        assert_eq!((room("#c", None), room("", None)), (Err(Bad), Err(Bad)));
    }

    #[test]
    fn the_room_says_what_is_left_out() {
        assert_eq!(Args::new("+m", Some("#here")).channel(), Ok("#here"), "that is a mode");
        assert_eq!(Args::new("", Some("#here")).channel(), Ok("#here"));
        assert_eq!(Args::new("#there", Some("#here")).channel(), Ok("#there"));
        assert_eq!(Args::new("", Some("bob")).channel(), Err(Bad));
        assert_eq!(Args::new("", Some("bob")).nick(), Ok("bob"));
        assert_eq!(Args::new("#there", Some("bob")).nick(), Err(Bad));
        assert_eq!(Args::new("", None).channel(), Err(Bad));
    }
}
