//! What a server refuses, the user is told: once, in one sentence that is the same on every server.
