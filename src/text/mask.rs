//! IRC masks: `nick!user@host` with `*` for any text and `?` for any one character, as bans use them.
//!
//! No other sign is special (brackets and backslashes are letters of nicks). Work is bounded by the product
//! of both lengths, with no recursion.

use super::casemap::CaseMap;

/// True when the whole of `text` fits `mask` under the network's case mapping.
pub fn matches(mask: &str, text: &str, map: CaseMap) -> bool {
    let fold = |text: &str| -> Vec<char> { text.chars().map(|c| map.fold_char(c)).collect() };
    let (mask, text) = (fold(mask), fold(text));
    let (mut at_mask, mut at_text) = (0, 0);
    // Where to go back to: behind the last `*`, with one more character given to it.
    let mut retry = None;
    while at_text < text.len() {
        match mask.get(at_mask) {
            Some('*') => {
                retry = Some((at_mask + 1, at_text + 1));
                at_mask += 1;
            }
            Some(&c) if c == '?' || c == text[at_text] => (at_mask, at_text) = (at_mask + 1, at_text + 1),
            _ => {
                let Some((back_mask, back_text)) = retry else { return false };
                retry = Some((back_mask, back_text + 1));
                (at_mask, at_text) = (back_mask, back_text);
            }
        }
    }
    mask[at_mask..].iter().all(|&c| c == '*')
}

/// Longest user name and host that a mask is made of, in bytes.
const HOST_BYTES_MAX: usize = 100;

/// A mask that means who is `user@host`, by any nick. The user name counts as it is shown, with the sign that servers put before
/// one that nobody confirmed: `*eve` would mean Steve as well. `None` where it would mean others, or nobody.
pub fn of_host(user_host: &str) -> Option<String> {
    let (user, host) = user_host.split_once('@')?;
    let is_odd = |c: char| c.is_whitespace() || c.is_control() || "*?!@,".contains(c);
    let is_good = |part: &str| part.contains(char::is_alphanumeric) && !part.contains(is_odd);
    let is_short = user_host.len() <= HOST_BYTES_MAX;
    (is_short && is_good(user) && is_good(host)).then(|| format!("*!{user}@{host}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks_fit_and_brackets_are_letters() {
        let fits = |mask, text| matches(mask, text, CaseMap::Rfc1459);
        assert!(fits("*", "") && fits("", "") && !fits("?", ""));
        assert!(fits("*!*@*.example.org", "a!b@c.example.org"));
        assert!(fits("a*b*c", "aXbYbZc") && !fits("a*b*c", "aXbYbZ"));
        assert!(fits("Foo[x]!*@*", "foo{X}!u@h") && !matches("foo[x]", "foo{x}", CaseMap::Ascii));
    }

    #[test]
    fn a_ban_means_one_person_or_is_not_made() {
        let of = |host: &str| of_host(host).unwrap_or_default();
        assert_eq!(of("~eve@example.org"), "*!~eve@example.org");
        assert_eq!(of("eve@2001:db8::1"), "*!eve@2001:db8::1");
        for bad in ["", "eve", "~@host", "eve@", "e*e@host", "eve@h?st", "eve@a b", &"e@h".repeat(50)] {
            assert_eq!(of_host(bad), None, "{bad:?}");
        }
        let mask = of("~eve@h");
        let fits = |person| matches(&mask, person, CaseMap::Ascii);
        assert!(fits("evelyn!~eve@h") && !fits("steve!~steve@h") && !fits("eve!~eve@g"));
    }

    #[test]
    fn many_stars_cost_no_more_than_the_product_of_the_lengths() {
        let mask = "*a".repeat(500) + "b";
        assert!(!matches(&mask, &"a".repeat(4_000), CaseMap::Ascii));
    }
}
