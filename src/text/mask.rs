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
    fn many_stars_cost_no_more_than_the_product_of_the_lengths() {
        let mask = "*a".repeat(500) + "b";
        assert!(!matches(&mask, &"a".repeat(4_000), CaseMap::Ascii));
    }
}
