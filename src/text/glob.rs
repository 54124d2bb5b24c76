//! Globs as policy lists have them: `*` is any text, `?` is exactly one character, nothing else is special.
//!
//! Work is bounded by the product of both lengths, whatever the pattern: what a `*` took is given back one character at a
//! time and never twice.

/// A pattern, ready to be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob(Box<[char]>);

impl Glob {
    /// Several `*` in a row are one.
    pub fn new(pattern: &str) -> Self {
        let mut chars: Vec<char> = pattern.chars().collect();
        chars.dedup_by(|next, before| *next == '*' && *before == '*');
        Self(chars.into())
    }

    /// True for a text that means itself alone.
    pub fn is_plain(pattern: &str) -> bool {
        !pattern.contains(['*', '?'])
    }

    /// True when the whole of `text` fits. Capitals matter.
    pub fn fits(&self, text: &[char]) -> bool {
        let pattern = &self.0;
        let (mut at_pattern, mut at_text) = (0, 0);
        // Where to go back to: behind the last `*`, with one more character given to it.
        let mut retry = None;
        while at_text < text.len() {
            match pattern.get(at_pattern) {
                Some('*') => {
                    retry = Some((at_pattern + 1, at_text + 1));
                    at_pattern += 1;
                }
                Some(&c) if c == '?' || c == text[at_text] => {
                    (at_pattern, at_text) = (at_pattern + 1, at_text + 1);
                }
                Some(_) | None => {
                    let Some((back_pattern, back_text)) = retry else { return false };
                    retry = Some((back_pattern, back_text + 1));
                    (at_pattern, at_text) = (back_pattern, back_text);
                }
            }
        }
        pattern[at_pattern..].iter().all(|&c| c == '*')
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fits(pattern: &str, text: &str) -> bool {
        Glob::new(pattern).fits(&text.chars().collect::<Vec<char>>())
    }

    #[test]
    fn stars_are_any_text_and_question_marks_one_character() {
        assert!(fits("*", "") && fits("", "") && !fits("?", "") && !fits("", "a"));
        assert!(fits("@spam*:evil.org", "@spam123:evil.org") && !fits("@spam*:evil.org", "@ham:evil.org"));
        assert!(fits("@?:hs", "@ü:hs") && !fits("@?:hs", "@ab:hs"));
        assert!(fits("*.evil.org", "a.b.evil.org") && !fits("*.evil.org", "evil.org"));
        assert!(fits("a[b]", "a[b]") && !fits("a[b]", "ab"), "brackets mean themselves");
        assert!(!fits("Evil", "evil"));
    }

    #[test]
    fn many_stars_cost_no_more_than_the_product_of_the_lengths() {
        let (pattern, text) = ("*a".repeat(127) + "b", "a".repeat(255));
        (0..100).for_each(|_| assert!(!fits(&pattern, &text)));
    }

    /// What a glob means, said the slow way.
    fn means(pattern: &[char], text: &[char]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some(('*', rest)), Some((_, after))) => means(rest, text) || means(pattern, after),
            (Some(('*', rest)), None) => means(rest, text),
            (Some(('?', rest)), Some((_, after))) => means(rest, after),
            (Some((c, rest)), Some((d, after))) => c == d && means(rest, after),
            (None, Some(_)) | (Some(_), None) => false,
        }
    }

    proptest! {
        #[test]
        fn any_pattern_means_what_it_says(pattern in "[ab*?]{0,8}", text in "[ab]{0,8}") {
            let chars = |text: &str| text.chars().collect::<Vec<char>>();
            prop_assert_eq!(fits(&pattern, &text), means(&chars(&pattern), &chars(&text)));
        }
    }
}
