//! Which networks a room belongs to, and who of ours is in it.
//!
//! Nearly every room belongs to one. People's own may be shared by several: each is given its own row of what is said
//! there, named by what its pairing says ([`Naming`]).

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::ids::{NetworkId, RelaySeq, RoomId, Time, UserId};
use crate::store::Naming;

/// The register.
#[derive(Default)]
pub struct Routes {
    rooms: RwLock<HashMap<RoomId, Route>>,
    numbering: OnceLock<Numbering>,
}

struct Route {
    ways: Ways,
    /// The ghost that reads the room, where the bot is not in it.
    reader: Option<UserId>,
}

/// The networks of a room, at least one.
pub type Ways = Arc<[Way]>;

/// A network that a room belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    pub network: NetworkId,
    pub naming: Naming,
    /// What was said before is nothing to the network.
    pub since: Time,
}

/// Whose line a number of the outbox is: networks take turns.
#[derive(Debug)]
struct Numbering {
    /// The number before the first of this run.
    last: i64,
    networks: Vec<NetworkId>,
}

impl Way {
    /// A network that has the room for itself.
    pub fn alone(network: NetworkId) -> Self {
        Self { network, naming: Naming::Plain, since: Time::default() }
    }
}

impl Routes {
    /// The bot is in this room, which is this network's alone; one that it shares already stays as it is.
    pub fn set(&self, room: RoomId, network: NetworkId) {
        let mut rooms = self.write();
        match rooms.get_mut(&room) {
            Some(route) if route.ways.iter().any(|way| way.network == network) => route.reader = None,
            Some(_) | None => {
                drop(rooms.insert(room, Route { ways: [Way::alone(network)].into(), reader: None }))
            }
        }
    }

    /// The bot is in this room, which is this network's too.
    pub fn share(&self, room: RoomId, way: Way) {
        let mut rooms = self.write();
        let route = rooms.entry(room).or_insert_with(|| Route { ways: [].into(), reader: None });
        let others = route.ways.iter().filter(|other| other.network != way.network).cloned();
        route.ways = others.chain([way.clone()]).collect();
        route.reader = None;
    }

    /// Only this ghost is in this room.
    pub fn set_read_by(&self, room: RoomId, network: NetworkId, ghost: UserId) {
        self.write().insert(room, Route { ways: [Way::alone(network)].into(), reader: Some(ghost) });
    }

    /// What happens in `to`, which is said to replace `from`, is given to this network as that of `from` is. `false`
    /// where `to` is a network's that has nothing to do with `from`.
    pub fn follow(&self, from: &RoomId, to: &RoomId, network: &NetworkId) -> bool {
        let (old, new) = (self.ways(from), self.ways(to));
        let is_of = |ways: &Option<Ways>, network: &NetworkId| {
            ways.iter().flat_map(|ways| ways.iter()).any(|way| way.network == *network)
        };
        // One that shares the old room may have gone on already, and left it.
        if is_of(&new, network) {
            return true;
        }
        let mut owners = new.iter().flat_map(|ways| ways.iter());
        if !owners.all(|way| is_of(&old, &way.network)) {
            return false;
        }
        let way = old.iter().flat_map(|ways| ways.iter()).find(|way| way.network == *network);
        self.share(to.clone(), way.cloned().unwrap_or_else(|| Way::alone(network.clone())));
        true
    }

    /// The room belongs to this network no more.
    pub fn leave(&self, room: &RoomId, network: &NetworkId) {
        let mut rooms = self.write();
        let Some(route) = rooms.get_mut(room) else { return };
        route.ways = route.ways.iter().filter(|way| way.network != *network).cloned().collect();
        if route.ways.is_empty() {
            rooms.remove(room);
        }
    }

    /// The room belongs to nobody any more.
    pub fn remove(&self, room: &RoomId) {
        self.write().remove(room);
    }

    /// The ghost in whose name a room is to be read; `None`: the bot is in it.
    pub fn reader(&self, room: &RoomId) -> Option<UserId> {
        self.read().get(room)?.reader.clone()
    }

    /// True when a room belongs to a network.
    pub fn has(&self, room: &RoomId) -> bool {
        self.read().contains_key(room)
    }

    /// True when several networks share a room.
    pub fn is_shared(&self, room: &RoomId) -> bool {
        self.read().get(room).is_some_and(|route| route.ways.len() > 1)
    }

    /// The networks of a room.
    pub fn ways(&self, room: &RoomId) -> Option<Ways> {
        self.read().get(room).map(|route| Arc::clone(&route.ways))
    }

    /// Numbers of the outbox above `last` go to these networks in turn, and then one to the admin rooms. Said once, before anything is put there.
    pub fn number(&self, last: i64, networks: Vec<NetworkId>) {
        let set = self.numbering.set(Numbering { last, networks });
        debug_assert!(set.is_ok(), "numbered once");
    }

    /// The network that says something in a room under this number of this run; what an admin room's command is answered in
    /// a bridged room counts for its first.
    pub fn says(&self, room: &RoomId, seq: RelaySeq) -> Option<NetworkId> {
        let ways = self.ways(room)?;
        let numbered = || {
            let Numbering { last, networks } = self.numbering.get()?;
            let place = usize::try_from(seq.0.checked_sub(last + 1)?).ok()?;
            networks.get(place % (networks.len() + 1)).cloned()
        };
        let first = || ways.first().map(|way| way.network.clone());
        if ways.len() > 1 { numbered().or_else(first) } else { first() }
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<RoomId, Route>> {
        self.rooms.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self) -> RwLockReadGuard<'_, HashMap<RoomId, Route>> {
        self.rooms.read().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(key: &str) -> NetworkId {
        NetworkId::new(key).expect("a key")
    }

    fn room(id: &str) -> RoomId {
        RoomId::new(id).expect("a room id")
    }

    fn further(key: &str) -> Way {
        Way { naming: Naming::ByNetwork, ..Way::alone(net(key)) }
    }

    #[test]
    fn who_shares_a_room_leaves_it_alone() {
        let routes = Routes::default();
        routes.share(room("!r"), Way::alone(net("a")));
        routes.share(room("!r"), further("b"));
        routes.set(room("!r"), net("a"));
        assert_eq!(routes.ways(&room("!r")).unwrap()[..], [Way::alone(net("a")), further("b")]);
        assert!(routes.is_shared(&room("!r")));
        routes.leave(&room("!r"), &net("a"));
        assert_eq!(routes.ways(&room("!r")).unwrap()[..], [further("b")]);
        routes.leave(&room("!r"), &net("b"));
        assert!(!routes.has(&room("!r")));
    }

    #[test]
    fn those_who_share_a_room_share_its_successor() {
        let routes = Routes::default();
        routes.share(room("!old"), Way::alone(net("a")));
        routes.share(room("!old"), further("b"));
        routes.set(room("!other"), net("c"));
        assert!(routes.follow(&room("!old"), &room("!new"), &net("b")));
        assert!(routes.follow(&room("!old"), &room("!new"), &net("a")));
        assert_eq!(routes.ways(&room("!new")).unwrap()[..], [further("b"), Way::alone(net("a"))]);
        routes.leave(&room("!old"), &net("a"));
        assert!(routes.follow(&room("!old"), &room("!new"), &net("b")), "the other one was quicker");
        assert!(!routes.follow(&room("!old"), &room("!other"), &net("a")), "it is another network's");
        assert!(!routes.follow(&room("!other"), &room("!new"), &net("c")));
    }

    #[test]
    fn numbers_say_whose_line_it_is() {
        let routes = Routes::default();
        routes.number(40, vec![net("a"), net("b")]);
        routes.set(room("!one"), net("b"));
        routes.share(room("!two"), Way::alone(net("a")));
        routes.share(room("!two"), further("b"));
        let says = |name: &str, seq| routes.says(&room(name), RelaySeq(seq)).map(|id| id.to_string());
        assert_eq!(says("!one", 41).as_deref(), Some("b"), "who has a room for itself says everything there");
        assert_eq!((says("!two", 41).as_deref(), says("!two", 44).as_deref()), (Some("a"), Some("a")));
        assert_eq!((says("!two", 45).as_deref(), says("!two", 43).as_deref()), (Some("b"), Some("a")));
        assert_eq!(says("!nowhere", 41), None);
    }
}
