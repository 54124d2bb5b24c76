//! The line of a setting in the YAML text it came from.
//!
//! A parsed value no longer knows its line, but the parser's errors do. So the text is read once more by a
//! reader that walks to the wanted place and there fails on purpose; the failure carries the line, exact for
//! every way YAML has to write the same thing.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::problem::{Place, Step};

/// The line of `place` in `text`, counted from 1; of the nearest enclosing block when it is not there.
pub(super) fn line_of(text: &str, place: &Place) -> Option<usize> {
    (1..=place.0.len()).rev().find_map(|len| {
        let failure = Walk(&place.0[..len]).deserialize(serde_yaml::Deserializer::from_str(text)).err()?;
        failure.to_string().contains(ARRIVED).then(|| failure.location().map(|at| at.line()))?
    })
}

/// Marks the failure made on purpose.
const ARRIVED: &str = "\u{1}arrived\u{1}";

/// Walks the remaining steps, then fails.
struct Walk<'a>(&'a [Step]);

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a block")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Some((Step::Key(wanted), rest)) = self.0.split_first() else { return Ok(()) };
        while let Some(here) = map.next_key_seed(IsKey { wanted, last: rest.is_empty() })? {
            if here {
                return map.next_value_seed(Walk(rest));
            }
            map.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Some((Step::Index(wanted), rest)) = self.0.split_first() else { return Ok(()) };
        for _ in 0..*wanted {
            if seq.next_element::<IgnoredAny>()?.is_none() {
                return Ok(());
            }
        }
        let element = if rest.is_empty() { Element::Wanted } else { Element::Passed(rest) };
        seq.next_element_seed(element).map(|_| ())
    }
}

/// Compares one key; fails on it when it is the last step.
struct IsKey<'a> {
    wanted: &'a str,
    last: bool,
}

impl<'de> DeserializeSeed<'de> for IsKey<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for IsKey<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<bool, E> {
        if self.last && key == self.wanted { Err(E::custom(ARRIVED)) } else { Ok(key == self.wanted) }
    }
}

/// One element of a list: the place itself, or on the way to it.
enum Element<'a> {
    Wanted,
    Passed(&'a [Step]),
}

impl<'de> DeserializeSeed<'de> for Element<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self {
            Self::Wanted => deserializer.deserialize_any(Fail),
            Self::Passed(rest) => Walk(rest).deserialize(deserializer),
        }
    }
}

/// Fails on whatever it meets.
struct Fail;

impl<'de> Visitor<'de> for Fail {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(ARRIVED)
    }

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<(), A::Error> {
        Err(A::Error::custom(ARRIVED))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<(), A::Error> {
        Err(A::Error::custom(ARRIVED))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::problem::place;

    const TEXT: &str = "# first\nnetworks:\n  libera:\n    servers:\n      - { host: a,\n          port: 1 }\n      - host: b\n        port: 2\n    \"quoted key\": x\n    list: [1,\n      2]\nname: >\n  folded\nlast: 1\n";

    #[test]
    fn every_way_of_writing_has_its_line() {
        assert_eq!(line_of(TEXT, &place!["networks"]), Some(2));
        assert_eq!(line_of(TEXT, &place!["networks", "libera", "servers", 0usize]), Some(5));
        assert_eq!(line_of(TEXT, &place!["networks", "libera", "servers", 0usize, "port"]), Some(6));
        assert_eq!(line_of(TEXT, &place!["networks", "libera", "servers", 1usize, "port"]), Some(8));
        assert_eq!(line_of(TEXT, &place!["networks", "libera", "quoted key"]), Some(9));
        assert_eq!(line_of(TEXT, &place!["networks", "libera", "list", 1usize]), Some(11));
        assert_eq!(line_of(TEXT, &place!["last"]), Some(14));
    }

    #[test]
    fn what_is_missing_has_the_line_of_its_block() {
        assert_eq!(line_of(TEXT, &place!["networks", "libera", "nick"]), Some(3));
        assert_eq!(line_of(TEXT, &place!["networks", "libera", "servers", 7usize, "host"]), Some(4));
        assert_eq!(line_of(TEXT, &place!["elsewhere"]), None);
    }
}
