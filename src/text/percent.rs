//! Percent encoding (RFC 3986 section 2.1): of one path segment, query value or parameter, written straight into the text that
//! is being built, and back.

/// Appends `text` to `url` with everything escaped that is not unreserved. `.` and `..` as whole path segments
/// cannot be escaped at all: URL parsers take `%2E%2E` for a step up, too.
pub fn push(url: &mut String, text: &str) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        let plain = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~' | b'.');
        if plain {
            url.push(char::from(byte));
        } else {
            url.push('%');
            url.push(char::from(HEX[usize::from(byte >> 4)]));
            url.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
}

/// The bytes that a form-encoded query value stands for: as [`decode`], and a `+` is a space.
pub fn decode_form(value: &str) -> Vec<u8> {
    decode(&value.replace('+', " "))
}

/// The bytes that a text stands for; a `%` without two hex digits stands for itself.
pub fn decode(text: &str) -> Vec<u8> {
    let hex = |byte: Option<&u8>| byte.and_then(|b| char::from(*b).to_digit(16));
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match (byte, hex(bytes.get(at + 1)), hex(bytes.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                decoded.push((high * 16 + low) as u8);
                at += 2;
            }
            (_, _, _) => decoded.push(byte),
        }
        at += 1;
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_stays_one_segment() {
        let check = |text: &str, expected: &str| {
            let mut url = String::new();
            push(&mut url, text);
            assert_eq!(url, expected);
        };
        check("!abc:lab.test", "%21abc%3Alab.test");
        check("#irc_#a/b?c%2f", "%23irc_%23a%2Fb%3Fc%252f");
        check("é\0 ~", "%C3%A9%00%20~");
        check("a/../b", "a%2F..%2Fb");
    }

    #[test]
    fn a_query_value_is_read_whatever_it_holds() {
        assert_eq!(decode_form("a%2Fb+c"), b"a/b c");
        assert_eq!(decode_form("%zz%4%"), b"%zz%4%");
        assert_eq!(decode_form("%ff"), [0xff]);
        assert_eq!(decode("a+b%2b"), b"a+b+");
    }
}
