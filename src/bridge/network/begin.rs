//! The machine of one IRC network as it begins: it knows nothing yet.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::super::clock::MachineClock;
use super::super::nicks::Nicks;
use super::super::pacer::{Dice, Pacer, Spacing};
use super::super::policy::Policy;
use super::super::portal::Portals;
use super::super::portal::birth::Births;
use super::super::portal::gate::Gate;
use super::super::portal::membership::Memberships;
use super::super::queries::Queries;
use super::super::queries::pace::Pace;
use super::super::queries::watch::Watches;
use super::super::relay::memory::{Memory, Order};
use super::super::relay::reactions::Reactions;
use super::super::relay::to_irc::originals::Originals;
use super::super::session::isupport::Isupport;
use super::super::tell::Tell;
use super::super::tell::gather::Gather;
use super::super::timer::Timers;
use super::{
    Life, Network, RelaySeqs, access, admission, answered, ban_lists, chat, ctcp, doors, errands, figures,
    invites, kicks, news, operators, plates, reasons, room_modes, space, topic, typing, upgrades, wishes,
};
use crate::ids::Time;
use crate::text::casemap::CaseMap;

/// Idle connections are closed one by one, at least so many milliseconds apart.
const GOODBYE_MS_MIN: u64 = 1_000;

/// When idle connections may be closed.
pub(super) fn goodbyes(policy: &Policy) -> Spacing {
    Spacing::new(policy.connect.interval_ms.max(GOODBYE_MS_MIN))
}

impl Network {
    /// A network that knows nothing yet. `casemap` is what was remembered from the last time; `seed` spreads
    /// reconnects.
    pub fn new(policy: Policy, casemap: Option<CaseMap>, seqs: RelaySeqs, seed: u64) -> Self {
        let clock = MachineClock::default();
        let pacer = Pacer::new(&policy.connect);
        let goodbyes = goodbyes(&policy);
        let members = Memberships::new(policy.members.clone());
        Self {
            policy,
            life: Life::Loading,
            now: Time::default(),
            clock,
            dice: Dice::new(seed),
            seqs,
            isupport: Isupport { casemap, ..Isupport::default() },
            puppets: Vec::new(),
            puppet_ids: HashMap::new(),
            nicks: Nicks::default(),
            wishes: wishes::Wishes::default(),
            reasons: reasons::Reasons::default(),
            channels: BTreeMap::new(),
            portals: Portals::default(),
            births: Births::default(),
            gate: Gate::default(),
            doors: doors::Doors::default(),
            members,
            out_read: 0,
            pacer,
            goodbyes,
            bans_in_a_row: 0,
            under_way: HashMap::new(),
            memory: Memory::default(),
            began: Order::default(),
            originals: Originals::default(),
            threads: answered::Threads::default(),
            plain_until: BTreeMap::new(),
            encrypted_told: BTreeSet::new(),
            later: chat::Later::new(),
            topics: topic::Topics::default(),
            access: access::Access::default(),
            plates: plates::Plates::default(),
            space: space::Space::default(),
            invites: invites::Invites::default(),
            upgrades: upgrades::Upgrades::default(),
            removals: kicks::Removals::default(),
            ban_lists: ban_lists::BanLists::default(),
            room_modes: room_modes::RoomModes::default(),
            operators: operators::Desk::default(),
            ctcp: ctcp::Answers::default(),
            reactions: Reactions::default(),
            typing: typing::Typists::default(),
            queries: Queries::default(),
            watches: Watches::default(),
            query_paces: (Pace::default(), Pace::default()),
            refusals: Pace::default(),
            admission: admission::Admission::default(),
            errands: errands::Errands::default(),
            reached: news::Reached::default(),
            tell: Tell::default(),
            gather: Gather::default(),
            outage_told: BTreeSet::new(),
            connections: 0,
            counts: figures::Counts::default(),
            timers: Timers::default(),
            out: Vec::new(),
        }
    }
}
