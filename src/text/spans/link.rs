//! Where links lead: which targets are let through, which of them are people, and which say no more than their text.

use std::sync::Arc;

use crate::ids::UserId;
use crate::text::percent;

/// Longest target of a link, in bytes. A longer one is left out, and its text stays.
pub const LINK_BYTES_MAX: usize = 2_000;

/// What a link may begin with; all else (`javascript:`, `data:`) is no link.
const SCHEMES: &[&str] =
    &["https:", "http:", "matrix:", "mailto:", "ftp:", "magnet:", "irc:", "ircs:", "xmpp:", "gemini:"];

/// The target of a link: of a known scheme, bounded, without white space or anything unseen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link(Arc<str>);

impl Link {
    /// `None` for what is no link, is too long, or holds what nobody sees. Spaces inside are percent-encoded.
    pub fn new(target: &str) -> Option<Self> {
        let target = target.trim();
        let is_odd = |c: char| super::cleaned(c) != Some(c) || matches!(c, '\n' | '\t');
        if scheme(target).is_none() || target.len() > LINK_BYTES_MAX || target.chars().any(is_odd) {
            return None;
        }
        let mut escaped = String::with_capacity(target.len());
        for c in target.chars() {
            match c {
                '<' => escaped.push_str("%3C"),
                '>' => escaped.push_str("%3E"),
                '"' => escaped.push_str("%22"),
                c if c.is_whitespace() => escaped.push_str("%20"),
                c => escaped.push(c),
            }
        }
        (escaped.len() <= LINK_BYTES_MAX).then(|| Self(escaped.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The person whom it leads to: `https://matrix.to/#/@user:server`, or `matrix:u/user:server` (Matrix appendices,
    /// "URIs").
    pub fn user(&self) -> Option<UserId> {
        if let Some(id) = self.matrix_to() {
            return UserId::new(&id);
        }
        let rest = strip_prefix_any_case(&self.0, "matrix:u/")?;
        let id = percent_decoded(rest.split(['?', '#', '/']).next().unwrap_or_default())?;
        UserId::new(&format!("@{id}"))
    }

    /// The link to a person.
    pub fn of_user(user: &UserId) -> String {
        let mut url = "https://matrix.to/#/".to_owned();
        for byte in user.as_str().bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~@:=+".contains(&byte) {
                url.push(char::from(byte));
            } else {
                url.push_str(&format!("%{byte:02X}"));
            }
        }
        url
    }

    /// What a matrix.to link is about, decoded.
    fn matrix_to(&self) -> Option<String> {
        let schemes = ["https://matrix.to/#/", "http://matrix.to/#/", "https://www.matrix.to/#/"];
        let rest = schemes.iter().find_map(|start| strip_prefix_any_case(&self.0, start))?;
        percent_decoded(rest.split('?').next().unwrap_or_default())
    }

    /// False when whoever reads `text` knows the target already.
    pub(in crate::text) fn says_more_than(&self, text: &str) -> bool {
        let text = text.trim();
        if self.matrix_to().is_some_and(|about| about == text) {
            return false;
        }
        !text.contains(self.as_str()) && !bare(text).eq_ignore_ascii_case(bare(&self.0))
    }
}

/// A URL as people write it: without scheme, `www.` and last slash.
fn bare(url: &str) -> &str {
    let mut rest = url;
    for start in ["https://", "http://", "mailto:", "www."] {
        rest = strip_prefix_any_case(rest, start).unwrap_or(rest);
    }
    rest.strip_suffix('/').unwrap_or(rest)
}

/// The known scheme that a target begins with, with its colon, when anything follows.
pub(super) fn scheme(target: &str) -> Option<&'static str> {
    let mut known = SCHEMES.iter().copied();
    known.find(|scheme| strip_prefix_any_case(target, scheme).is_some_and(|rest| !rest.is_empty()))
}

pub(super) fn strip_prefix_any_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let start = text.get(..prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then(|| &text[prefix.len()..])
}

/// `None` when the bytes are no UTF-8.
fn percent_decoded(text: &str) -> Option<String> {
    String::from_utf8(percent::decode(text)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_schemes_are_links() {
        for (target, link) in [
            ("https://example.org/a?b=c#d", Some("https://example.org/a?b=c#d")),
            (" HTTP://Example.org ", Some("HTTP://Example.org")),
            ("mailto:ada@example.org", Some("mailto:ada@example.org")),
            ("https://a.b/c d\"e", Some("https://a.b/c%20d%22e")),
            ("javascript:alert(1)", None),
            ("JAVASCRIPT:alert(1)", None),
            ("data:text/html,x", None),
            ("java\nscript:x", None),
            ("https:", None),
            ("/relative", None),
            ("https://a\u{202e}b", None),
            ("https://a\r\nQUIT", None),
            ("", None),
        ] {
            assert_eq!(Link::new(target).as_ref().map(Link::as_str), link, "{target:?}");
        }
        assert_eq!(Link::new(&format!("https://{}", "a".repeat(LINK_BYTES_MAX))), None);
        assert_eq!(Link::new(&format!("https://a/{}", " ".repeat(1_000) + "b")), None);
    }

    #[test]
    fn people_are_known_by_their_links() {
        for (target, user) in [
            ("https://matrix.to/#/@ada:example.org", Some("@ada:example.org")),
            ("https://matrix.to/#/%40ada%3Aexample.org?via=x", Some("@ada:example.org")),
            ("HTTPS://MATRIX.TO/#/@a/b:example.org", Some("@a/b:example.org")),
            ("matrix:u/ada:example.org?action=chat", Some("@ada:example.org")),
            ("matrix:u/a%2Fb:example.org", Some("@a/b:example.org")),
            ("https://matrix.to/#/#room:example.org", None),
            ("https://matrix.to/#/@ada", None),
            ("https://matrix.to/#/@a%0d%0aQUIT:b", None),
            ("https://matrix.to/#/@a%FF:b", None),
            ("https://matrix.to.evil.org/#/@ada:example.org", None),
            ("matrix:r/room:example.org", None),
            ("https://example.org", None),
        ] {
            let link = Link::new(target).unwrap();
            assert_eq!(link.user().as_ref().map(UserId::as_str), user, "{target}");
        }
        for id in ["@ada:example.org", "@a/b?c#d%e=f:example.org:8448", "@é:x"] {
            let user = UserId::new(id).unwrap();
            assert_eq!(Link::new(&Link::of_user(&user)).unwrap().user(), Some(user));
        }
    }

    #[test]
    fn a_target_is_shown_where_the_text_says_less() {
        for (target, text, says_more) in [
            ("https://example.org/", "example.org", false),
            ("https://www.example.org/", "Example.org", false),
            ("https://example.org/a", "https://example.org/a", false),
            ("https://example.org/a", "see https://example.org/a", false),
            ("mailto:ada@example.org", "ada@example.org", false),
            ("https://matrix.to/#/%23room:example.org", "#room:example.org", false),
            ("https://example.org/a", "example.org", true),
            ("https://evil.org/", "example.org", true),
            ("https://example.org/", "here", true),
        ] {
            assert_eq!(Link::new(target).unwrap().says_more_than(text), says_more, "{target} {text}");
        }
    }
}
