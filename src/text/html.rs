//! HTML as Matrix carries it in `formatted_body`: read into [`Spans`](super::spans::Spans), and written from them.
//!
//! Reading is bounded before it starts and has no recursion: an event of 64 KiB may nest 18,000 elements, which is the
//! end of a parser that builds a tree and takes it down again. What is written is well-formed, escaped and balanced.

mod look;
mod read;
mod tags;
mod write;

pub use read::read;
pub use write::{escape, write};

use thiserror::Error;

/// Longest HTML that is read, in bytes. No event is longer (Matrix client-server API, "Size limits").
pub const HTML_BYTES_MAX: usize = 65_536;
/// Most tags, comments and the like in it.
pub const HTML_TAGS_MAX: usize = 10_000;
/// Most elements, one within the other (Matrix client-server API, section "m.room.message msgtypes", recommends 100).
pub const HTML_DEPTH_MAX: usize = 100;

/// Why HTML is not read; its message is shown as its plain body.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum TooMuch {
    #[error("more than {HTML_BYTES_MAX} bytes of HTML")]
    Bytes,
    #[error("more than {HTML_TAGS_MAX} tags")]
    Tags,
    #[error("more than {HTML_DEPTH_MAX} elements within each other")]
    Depth,
}

/// A formatted message, both ways that Matrix wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Html {
    /// `body`: plain, with spoilers hidden.
    pub body: String,
    /// `formatted_body`.
    pub formatted: String,
}
