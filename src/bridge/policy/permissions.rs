//! What people may do through the bridge: a ladder of four steps, given to persons, to homeservers, or to everybody.
//!
//! The most exact word counts: a person before their homeserver, a homeserver with its port before one without, and that
//! before everybody.

use std::collections::BTreeMap;

use crate::ids::UserId;
use crate::text::whom::{Whom, folded, without_port};

/// What somebody may do. Who is higher may do what all below may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Permission {
    /// Nothing: no IRC user, and no word to IRC.
    Blocked,
    /// Be on IRC and talk.
    User,
    /// Also link rooms to channels.
    Plumber,
    /// Everything that can be asked of the bridge.
    Admin,
}

impl Permission {
    /// All of them, from the lowest.
    pub const ALL: [Self; 4] = [Self::Blocked, Self::User, Self::Plumber, Self::Admin];

    /// As the configuration has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::User => "user",
            Self::Plumber => "plumber",
            Self::Admin => "admin",
        }
    }

    /// By its name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|permission| permission.name() == name)
    }
}

/// Who may what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permissions {
    people: BTreeMap<UserId, Permission>,
    /// By name in small letters.
    homeservers: BTreeMap<String, Permission>,
    everybody: Permission,
}

impl Default for Permissions {
    /// Everybody is a user.
    fn default() -> Self {
        Self { people: BTreeMap::new(), homeservers: BTreeMap::new(), everybody: Permission::User }
    }
}

impl Permissions {
    /// Who is not named is a user. Of two words on the same the later counts.
    pub fn new(given: impl IntoIterator<Item = (Whom, Permission)>) -> Self {
        let mut permissions = Self::default();
        for (whom, permission) in given {
            match whom {
                Whom::Everybody => permissions.everybody = permission,
                Whom::Homeserver(name) => drop(permissions.homeservers.insert(name, permission)),
                Whom::Person(user) => drop(permissions.people.insert(user, permission)),
            }
        }
        permissions
    }

    /// What this person may do.
    pub fn of(&self, user: &UserId) -> Permission {
        if let Some(permission) = self.people.get(user) {
            return *permission;
        }
        let server = folded(user.server());
        let named = self.homeservers.get(&server).or_else(|| self.homeservers.get(without_port(&server)));
        named.copied().unwrap_or(self.everybody)
    }

    /// Those who are admins by their own name.
    pub fn admins(&self) -> impl Iterator<Item = &UserId> {
        self.people.iter().filter(|(_, permission)| **permission == Permission::Admin).map(|(user, _)| user)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permissions(given: &[(&str, Permission)]) -> Permissions {
        Permissions::new(given.iter().map(|(whom, permission)| (Whom::read(whom).unwrap(), *permission)))
    }

    fn of(permissions: &Permissions, user: &str) -> &'static str {
        permissions.of(&UserId::new(user).unwrap()).name()
    }

    #[test]
    fn the_most_exact_word_counts() {
        let given = permissions(&[
            ("@op:good.org", Permission::Admin),
            ("@eve:good.org", Permission::Blocked),
            ("good.org", Permission::Plumber),
            ("good.org:8448", Permission::User),
            ("*", Permission::Blocked),
        ]);
        assert_eq!(of(&given, "@op:good.org"), "admin");
        assert_eq!(of(&given, "@eve:good.org"), "blocked");
        assert_eq!(of(&given, "@ada:good.org"), "plumber");
        assert_eq!(of(&given, "@ada:good.org:8448"), "user");
        assert_eq!(of(&given, "@ada:good.org:1"), "plumber", "the same homeserver by another port");
        assert_eq!(of(&given, "@ada:other.org"), "blocked");
        assert_eq!(given.admins().map(UserId::as_str).collect::<Vec<_>>(), ["@op:good.org"]);
    }

    #[test]
    fn who_is_not_named_is_a_user() {
        let given = permissions(&[("@op:hs", Permission::Admin)]);
        assert_eq!((of(&given, "@ada:hs"), of(&Permissions::default(), "@ada:hs")), ("user", "user"));
    }

    #[test]
    fn capitals_hide_no_homeserver_and_neither_does_a_name_that_begins_alike() {
        let given = permissions(&[("evil.org", Permission::Blocked)]);
        assert_eq!(of(&given, "@eve:EVIL.org"), "blocked");
        assert_eq!(of(&given, "@eve:notevil.org"), "user");
        assert_eq!(of(&given, "@eve:evil.org.good.org"), "user");
    }

    #[test]
    fn the_ladder_goes_up() {
        assert!(Permission::ALL.is_sorted());
        for permission in Permission::ALL {
            assert_eq!(Permission::named(permission.name()), Some(permission));
        }
        assert_eq!(Permission::named("root"), None);
    }
}
