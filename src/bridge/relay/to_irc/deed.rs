//! What somebody did with a message, as IRC says it where it knows no such deed: in the third person.

use super::answer::{Words, shortened};

/// `* ada reacted with 👍 to bob: "tea?"`
pub fn reacted(key: &str, words: &Words) -> String {
    format!("reacted with {}{}", shortened(key), words.aside())
}

/// `* ada took back a message: "tea?"` would show what is to be forgotten; so whose it was is all.
pub fn took_back(author: Option<&str>) -> String {
    match author {
        None => "took back a message".to_owned(),
        Some(author) => format!("removed a message of {author}"),
    }
}
