//! An edit, as people correct themselves on IRC: `s/old/new/` where one small place of one line is another, else the
//! lines that are.
//!
//! What is said has to be clear to who reads it: the old words stand in the line once, and are not longer than what they
//! correct is worth.

/// Characters of either side of a small correction.
const PLACE_CHARS_MAX: usize = 60;
/// Signs that may part the two sides; the first that is in neither.
const SEPARATORS: [char; 4] = ['/', '|', '#', '~'];
/// Before a line that takes the place of another.
pub const MARK: &str = "[edit] ";

/// What is said of an edit: nothing where no word of it is another. The first line says what it is.
pub fn correction(old: &str, new: &str) -> Option<String> {
    let (old, new) = (lines(old), lines(new));
    if old == new || new.is_empty() {
        return None;
    }
    if let Some(place) = one_line(&old, &new).and_then(|(old, new)| place(old, new)) {
        return Some(place);
    }
    let same_before = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    let rest = (&old[same_before..], &new[same_before..]);
    let same_behind =
        rest.0.iter().rev().zip(rest.1.iter().rev()).take_while(|(old, new)| old == new).count();
    let changed = &new[same_before..new.len() - same_behind];
    // Only lines that went: all that is left says so best.
    let said = if changed.is_empty() { &new[..] } else { changed };
    Some(format!("{MARK}{}", said.join("\n")))
}

/// What people see of a text: its lines, without those that are empty, and white space as one space.
fn lines(text: &str) -> Vec<String> {
    let line = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    text.lines().map(line).filter(|line| !line.is_empty()).collect()
}

/// The one line that is another.
fn one_line<'a>(old: &'a [String], new: &'a [String]) -> Option<(&'a str, &'a str)> {
    let mut changed = old.iter().zip(new).filter(|(old, new)| old != new);
    let (old_line, new_line) = changed.next()?;
    (old.len() == new.len() && changed.next().is_none()).then_some((old_line, new_line))
}

/// `s/old/new/`, if that is short and clear.
fn place(old_line: &str, new_line: &str) -> Option<String> {
    let (old, new): (Vec<&str>, Vec<&str>) = (old_line.split(' ').collect(), new_line.split(' ').collect());
    let before = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    let behind =
        old[before..].iter().rev().zip(new[before..].iter().rev()).take_while(|(o, n)| o == n).count();
    let (mut start, mut behind) = (before, behind);
    // Where words are only added or only gone, a neighbour shows the place.
    if start == old.len() - behind || start == new.len() - behind {
        match (start, behind) {
            (0, 0) => return None,
            (0, _) => behind -= 1,
            (_, _) => start -= 1,
        }
    }
    let sides = loop {
        let sides = (old[start..old.len() - behind].join(" "), new[start..new.len() - behind].join(" "));
        // Once in the line, also where it could overlap with itself.
        let is_clear = old_line.find(&sides.0) == old_line.rfind(&sides.0);
        match is_clear {
            true => break sides,
            false if start > 0 => start -= 1,
            false if behind > 0 => behind -= 1,
            false => return None,
        }
    };
    let (old_len, new_len) = (sides.0.chars().count(), sides.1.chars().count());
    let is_small = old_len.max(new_len) <= PLACE_CHARS_MAX
        // Else the whole line is shorter, or says more.
        && old_len + new_len + 4 <= new_line.chars().count() + MARK.len();
    let free = |sign: &char| !sides.0.contains(*sign) && !sides.1.contains(*sign);
    let sign = SEPARATORS.iter().copied().find(|sign| free(sign))?;
    is_small.then(|| format!("s{sign}{}{sign}{}{sign}", sides.0, sides.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(old: &str, new: &str, expected: &str) {
        assert_eq!(correction(old, new).as_deref().unwrap_or_default(), expected, "{old:?} to {new:?}");
    }

    #[test]
    fn one_small_place_is_a_short_correction() {
        check("we meet at five by the sea", "we meet at six by the sea", "s/five/six/");
        check("I like tea and cake", "I like hot tea and cake", "s/like/like hot/");
        check("hot tea is what I like most", "tea is what I like most", "s/hot tea/tea/");
        check("one two\nthree for five\nsix", "one two\nthree four five\nsix", "s/for/four/");
        check("see a/b for the details please", "see a/c for the details please", "s|a/b|a/c|");
        check("the cat and the dog and the cow", "the cat and a dog and the cow", "s/cat and the/cat and a/");
        check("a a a a a a a a", "a a a b a a a a", "[edit] a a a b a a a a");
    }

    #[test]
    fn what_changed_much_is_said_anew() {
        check("hello", "goodbye", "[edit] goodbye");
        check("a\nb\nc", "a\nx\ny\nc", "[edit] x\ny");
        check("a\nb\nc", "a\nc", "[edit] a\nc");
        check(
            "x/|#~ one two three four five six seven",
            "y/|#~ one two three four five six seven",
            "[edit] y/|#~ one two three four five six seven",
        );
        let long = "word ".repeat(30);
        check(&format!("say {long}"), &format!("say not {long}"), "s/say/say not/");
    }

    #[test]
    fn what_reads_the_same_says_nothing() {
        check("a  b\n\nc", "a b\nc", "");
        check("a", " a\n", "");
        check("gone", "", "");
        check("", "there now", "[edit] there now");
    }
}
