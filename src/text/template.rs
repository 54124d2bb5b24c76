//! Name templates of the configuration.

/// `#irc_$NETWORK_$CHANNEL`.
#[derive(Clone, Debug)]
pub struct AliasTemplate;

/// `@irc_$NETWORK_$NICK`.
#[derive(Clone, Debug)]
pub struct GhostTemplate;

/// `$DISPLAY[m]`.
#[derive(Clone, Debug)]
pub struct NickTemplate;
