//! A poll as one readable line: its question and its answers. Nobody votes from IRC.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{elements, object, text};

/// Answers that are shown; a poll has twenty at most (MSC3381).
const ANSWERS_MAX: usize = 20;

#[derive(Deserialize)]
struct PollContent<'a> {
    #[serde(borrow, rename = "m.poll")]
    stable: Option<&'a RawValue>,
    #[serde(borrow, rename = "org.matrix.msc3381.poll.start")]
    unstable: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Poll<'a> {
    #[serde(borrow)]
    question: Option<&'a RawValue>,
    #[serde(borrow)]
    answers: Option<&'a RawValue>,
}

/// A text block in one of the forms there have been (MSC1767).
#[derive(Deserialize)]
struct Block<'a> {
    #[serde(borrow, rename = "m.text")]
    stable: Option<&'a RawValue>,
    #[serde(borrow, rename = "org.matrix.msc1767.text")]
    unstable: Option<&'a RawValue>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
}

/// `[poll] Tea or coffee? (1) tea (2) coffee`; `None` without a question.
pub(super) fn words(content: &RawValue) -> Option<String> {
    let content: PollContent<'_> = object(content.get())?;
    let poll: Poll<'_> = object(content.stable.or(content.unstable)?.get())?;
    let mut words = format!("[poll] {}", block(poll.question?)?);
    let answers = elements(poll.answers, ANSWERS_MAX);
    for (number, answer) in (1..).zip(answers.into_iter().filter_map(block)) {
        words.push_str(&format!(" ({number}) {answer}"));
    }
    Some(words)
}

/// The plain text of a block, in one line.
fn block(raw: &RawValue) -> Option<String> {
    let block: Block<'_> = object(raw.get())?;
    let words = text(block.stable)
        .or_else(|| {
            elements(block.stable, 1)
                .first()
                .and_then(|first| object::<Block<'_>>(first.get()))
                .and_then(|inner| text(inner.body))
        })
        .or_else(|| text(block.unstable))
        .or_else(|| text(block.body))?;
    let line = words.split_whitespace().collect::<Vec<_>>().join(" ");
    (!line.is_empty()).then_some(line)
}
