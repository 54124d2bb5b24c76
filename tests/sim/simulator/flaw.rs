//! Flaws that a shell could have, each of which the simulator has to find: the tests of the test.

/// What the world between machine and models does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// The homeserver gets its 200 before the commit.
    AckBeforeCommit,
    /// A message counts as settled when it is given to the socket.
    SettleOnWrite,
    /// What the machine settles is not written down.
    SettleForgotten,
    /// Each ghost counts its own transaction ids.
    TxnIdNotUnique,
    /// A line that is sent again has a new transaction id.
    NewTxnIdOnRetry,
    /// An outbox row goes when the request goes.
    DoneBeforeAnswer,
    /// What was not sent at a crash is not sent after it.
    OutboxNotRestored,
    /// What was not settled at a crash is not said after it.
    InboxNotRestored,
    /// Lines of one room go side by side.
    NoLanes,
    /// A line that the homeserver does not take now is dropped.
    GivesUpOn5xx,
    /// Ghosts have no devices.
    NoDevices,
    /// Outbox numbers begin anew at each start.
    SeqsReused,
    /// An event that comes twice is two events.
    EventsNotUnique,
    /// What a restarted homeserver lost is not asked for.
    NoHealing,
    /// Who was held is not known after a start.
    HoldsForgotten,
    /// A ghost is let out before all is said in its room.
    StepsOvertakeWords,
    /// Whose lines outlive a crash is not known to be in the room.
    LateSpeakersUnknown,
}

pub const ALL: [Flaw; 17] = [
    Flaw::AckBeforeCommit,
    Flaw::SettleOnWrite,
    Flaw::SettleForgotten,
    Flaw::TxnIdNotUnique,
    Flaw::NewTxnIdOnRetry,
    Flaw::DoneBeforeAnswer,
    Flaw::OutboxNotRestored,
    Flaw::InboxNotRestored,
    Flaw::NoLanes,
    Flaw::GivesUpOn5xx,
    Flaw::NoDevices,
    Flaw::SeqsReused,
    Flaw::EventsNotUnique,
    Flaw::NoHealing,
    Flaw::HoldsForgotten,
    Flaw::StepsOvertakeWords,
    Flaw::LateSpeakersUnknown,
];
