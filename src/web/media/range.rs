//! Which part of a file is wanted: one range of bytes (RFC 9110 section 14).

/// What a `Range` header means for a file of a known size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    All,
    /// From the first to the last byte, both included.
    Part {
        first: u64,
        last: u64,
    },
    /// Nothing of the file is in it.
    Impossible,
}

/// Reads it. What is no single range of bytes is as if it were not there, as the RFC allows.
pub(super) fn wanted(header: Option<&str>, size: u64) -> Wanted {
    let range = header.and_then(|text| text.trim().strip_prefix("bytes="));
    let Some((first, last)) = range.and_then(|range| range.trim().split_once('-')) else {
        return Wanted::All;
    };
    match (number(first), number(last)) {
        (Number::None, Number::Some(0)) => Wanted::Impossible,
        (Number::None, Number::Some(_)) if size == 0 => Wanted::Impossible,
        (Number::None, Number::Some(length)) => {
            Wanted::Part { first: size.saturating_sub(length), last: size - 1 }
        }
        (Number::Some(first), Number::Some(last)) if last < first => Wanted::All,
        (Number::Some(first), Number::None | Number::Some(_)) if first >= size => Wanted::Impossible,
        (Number::Some(first), Number::None) => Wanted::Part { first, last: size - 1 },
        (Number::Some(first), Number::Some(last)) => Wanted::Part { first, last: last.min(size - 1) },
        (_, _) => Wanted::All,
    }
}

enum Number {
    None,
    Some(u64),
    Nonsense,
}

fn number(text: &str) -> Number {
    match text {
        "" => Number::None,
        // Larger than any file is as good as the largest number.
        _ if text.bytes().all(|byte| byte.is_ascii_digit()) => Number::Some(text.parse().unwrap_or(u64::MAX)),
        _ => Number::Nonsense,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_range_is_understood() {
        let check = |header: &str, expected| assert_eq!(wanted(Some(header), 100), expected, "{header}");
        let part = |first, last| Wanted::Part { first, last };
        check("bytes=0-0", part(0, 0));
        check("bytes=10-19", part(10, 19));
        check("bytes=90-", part(90, 99));
        check("bytes=90-400", part(90, 99));
        check("bytes=-10", part(90, 99));
        check("bytes=-400", part(0, 99));
        check("bytes=0-99999999999999999999999", part(0, 99));
        check("bytes=100-", Wanted::Impossible);
        check("bytes=100-200", Wanted::Impossible);
        check("bytes=-0", Wanted::Impossible);
        for ignored in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=9-1",
            "bytes=1-2,4-5",
            "lines=1-2",
            "bytes=a-b",
            "bytes=+1-2",
        ] {
            check(ignored, Wanted::All);
        }
        assert_eq!(wanted(None, 100), Wanted::All);
        assert_eq!(wanted(Some("bytes=-5"), 0), Wanted::Impossible);
        assert_eq!(wanted(Some("bytes=0-"), 0), Wanted::Impossible);
    }

    proptest! {
        #[test]
        fn what_is_given_is_in_the_file(a in "[0-9]{0,4}", b in "[0-9]{0,4}", size in 0..2_000_u64) {
            match wanted(Some(&format!("bytes={a}-{b}")), size) {
                Wanted::Part { first, last } => prop_assert!(first <= last && last < size),
                Wanted::All | Wanted::Impossible => {}
            }
        }
    }
}
