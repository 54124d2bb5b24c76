//! The topic of a channel and those of its rooms: when the two are the same.
//!
//! A topic of Matrix may have several lines and any length; one of IRC is a line of bounded length, with formatting codes.
//! So a room's topic agrees with the channel's when it becomes the same line: nobody's longer words are cut in the room in
//! which they wrote them.

use crate::text::{irc_codes, split};

/// What a room's topic is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomTopic {
    /// Without formatting codes; empty for no topic.
    pub text: String,
    /// Longest topic of the network, in bytes.
    pub bytes_max: usize,
}

impl RoomTopic {
    /// True when a room that has this topic needs no other.
    pub fn is_met_by(&self, topic: &str) -> bool {
        topic == self.text || one_line(topic, self.bytes_max) == self.text
    }
}

/// A topic of Matrix as one line of IRC, of at most `bytes_max` bytes, cut where a letter ends. What ends a line becomes a
/// space, and what no line can hold goes.
pub fn one_line(topic: &str, bytes_max: usize) -> String {
    let lines = topic.split(['\r', '\n']).map(|line| irc_codes::strip(&split::clean(line)));
    let lines: Vec<String> =
        lines.map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect();
    split::first_letters(&lines.join(" "), bytes_max).trim_end().to_owned()
}

/// A topic of IRC as people read it.
pub fn read(topic: &str) -> String {
    irc_codes::strip(&split::clean(topic)).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_topic_becomes_one_line_that_no_client_takes_for_more() {
        for (topic, line) in [
            ("tea at five", "tea at five"),
            ("tea\r\nQUIT :bye\n\nat\0 five", "tea QUIT :bye at five"),
            ("  \n ", ""),
            ("\u{2}bold\u{2} \u{3}04red", "bold red"),
            ("\u{1}ACTION x\u{1}", "ACTION x"),
        ] {
            assert_eq!(one_line(topic, 390), line, "{topic:?}");
        }
        assert_eq!(read("\u{2}Welcome\u{f} to \u{3}04,01#rust\u{3} "), "Welcome to #rust");
    }

    #[test]
    fn a_long_topic_ends_where_a_letter_ends() {
        assert_eq!(one_line("aaaa e\u{301}e\u{301}", 8), "aaaa e\u{301}");
        assert_eq!(one_line("aaaa e\u{301}e\u{301}", 9), "aaaa e\u{301}");
        assert_eq!(one_line("ab👨‍👩‍👧", 10), "ab");
    }

    #[test]
    fn a_room_may_say_more_than_fits_into_the_channel() {
        let wanted = RoomTopic { text: "one two".into(), bytes_max: 7 };
        assert!(wanted.is_met_by("one two") && wanted.is_met_by("one\ntwo\nthree"));
        assert!(!wanted.is_met_by("one") && !wanted.is_met_by(""));
        assert!(RoomTopic { text: String::new(), bytes_max: 7 }.is_met_by(" \n"));
    }

    proptest! {
        #[test]
        fn any_topic_is_one_short_line_and_stays_what_it_is(topic in "\\PC{0,40}|[\r\n\0\u{1}-\u{1f} é👨‍👩‍👧a]{0,60}", max in 0usize..60) {
            let line = one_line(&topic, max);
            prop_assert!(line.len() <= max && !line.contains(['\r', '\n', '\0', '\u{1}']), "{line:?}");
            prop_assert_eq!(one_line(&line, max), line.clone());
            let met = RoomTopic { text: line, bytes_max: max }.is_met_by(&topic);
            prop_assert!(met);
        }
    }
}
