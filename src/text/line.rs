//! One IRC line.

/// One IRC line, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub tags: Vec<Tag>,
    pub source: Option<Source>,
    pub command: String,
    pub params: Vec<String>,
}

/// One IRCv3 message tag, value unescaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    pub key: String,
    pub value: Option<String>,
}

/// Who a line comes from: a server, or `nick!user@host`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    pub name: String,
    pub user: Option<String>,
    pub host: Option<String>,
}
