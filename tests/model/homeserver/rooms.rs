//! Rooms, aliases and memberships of the model homeserver.
//!
//! A member is joined, invited, banned or gone, and has a name; power levels are not modelled. New rooms are
//! of version 12: their ids have no server part and their creator may not be in the power levels.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, json};

use super::super::http::{Reply, Request};
use super::JoinRule;
use super::api::{Caller, EMPTY, Outcome, State, body_of, forbidden, not_found};

/// One room.
pub struct Room {
    pub rule: JoinRule,
    /// Membership and display name by user.
    pub members: BTreeMap<String, (String, String)>,
    pub state: HashMap<(String, String), Vec<u8>>,
}

impl State {
    pub fn create_room(&mut self, caller: &Caller<'_>, body: &Value) -> Outcome {
        let version = body["room_version"].as_str().unwrap_or("12");
        let levels = &body["power_level_content_override"]["users"];
        if version == "12" && levels.get(caller.user.as_ref()).is_some() {
            let words = format!("Creator user {} must not appear in content.users", caller.user);
            return Err(Reply::error(400, "M_BAD_JSON", &words));
        }
        let alias = body["room_alias_name"].as_str().map(|name| format!("#{name}:{}", self.settings.domain));
        if alias.as_ref().is_some_and(|alias| self.aliases.contains_key(alias)) {
            return Err(Reply::error(400, "M_ROOM_IN_USE", "Room alias already taken"));
        }
        let room = format!("!made{}", self.fresh_number());
        let rule = if body["preset"] == "public_chat" { JoinRule::Public } else { JoinRule::Invite };
        self.add_room(&room, rule, &[(caller.user.clone().into_owned(), String::new())]);
        self.aliases.extend(alias.map(|alias| (alias, room.clone())));
        for user in body["invite"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            self.set_member(&room, user, "invite", "");
        }
        Ok(Reply::made(json!({"room_id": room}).to_string()))
    }

    pub fn join(&mut self, caller: &Caller<'_>, room_or_alias: &str) -> Outcome {
        let id = self.aliases.get(room_or_alias).map_or(room_or_alias, String::as_str).to_owned();
        let room = self.rooms.get(&id).ok_or_else(not_found)?;
        let member = room.members.get(caller.user.as_ref()).map(|(membership, _)| membership.as_str());
        let may = room.rule == JoinRule::Public || matches!(member, Some("join" | "invite"));
        if !may || member == Some("ban") {
            return Err(forbidden("You are not invited to this room."));
        }
        let name = self.names.get(caller.user.as_ref()).cloned().unwrap_or_default();
        self.set_member(&id, &caller.user, "join", &name);
        self.echo_member(&id, &caller.user, &caller.user, "join", &name);
        Ok(Reply::made(json!({"room_id": id}).to_string()))
    }

    pub fn change_member(&mut self, caller: &Caller<'_>, room: &str, change: &str, body: &Value) -> Outcome {
        self.require_joined(room, &caller.user)?;
        let named =
            || body["user_id"].as_str().ok_or_else(|| Reply::error(400, "M_MISSING_PARAM", "user_id"));
        let (target, membership) = match change {
            "invite" => (named()?, "invite"),
            "kick" => (named()?, "leave"),
            "ban" => (named()?, "ban"),
            _ => (caller.user.as_ref(), "leave"),
        };
        if change == "kick" && self.require_joined(room, target).is_err() {
            return Err(forbidden("The target user is not in the room"));
        }
        self.set_member(room, target, membership, "");
        self.echo_member(room, &caller.user, target, membership, "");
        Ok(EMPTY)
    }

    fn echo_member(&mut self, room: &str, sender: &str, target: &str, membership: &str, name: &str) {
        let content = json!({"membership": membership, "displayname": name}).to_string();
        let event_id = self.fresh_event_id();
        self.echo(&event_id, room, sender, "m.room.member", Some(target), content.as_bytes());
    }

    pub fn joined_members(&self, caller: &Caller<'_>, room: &str) -> Outcome {
        self.require_joined(room, &caller.user)?;
        let members = &self.rooms[room].members;
        let joined = members.iter().filter(|(_, (membership, _))| membership == "join");
        let shown = joined.map(|(user, (_, name))| {
            let name = if name.is_empty() { Value::Null } else { name.as_str().into() };
            (user.clone(), json!({"display_name": name}))
        });
        let shown: serde_json::Map<String, Value> = shown.collect();
        Ok(Reply::made(json!({"joined": shown}).to_string()))
    }

    pub fn directory(&mut self, method: &str, alias: &str, request: &Request<'_>) -> Outcome {
        match method {
            "GET" => {
                let room = self.aliases.get(alias).ok_or_else(not_found)?;
                Ok(Reply::made(json!({"room_id": room, "servers": [self.settings.domain]}).to_string()))
            }
            "PUT" if self.aliases.contains_key(alias) => {
                Err(Reply::error(409, "M_UNKNOWN", "Room alias already exists"))
            }
            "PUT" => {
                let body = body_of(request)?;
                let room = body["room_id"].as_str().unwrap_or_default();
                self.aliases.insert(alias.to_owned(), room.to_owned());
                Ok(EMPTY)
            }
            "DELETE" => self.aliases.remove(alias).map(|_| EMPTY).ok_or_else(not_found),
            _ => Err(Reply::error(405, "M_UNRECOGNIZED", "Unrecognized request")),
        }
    }

    pub fn add_room(&mut self, id: &str, rule: JoinRule, members: &[(String, String)]) {
        let member = |(user, name): &(String, String)| (user.clone(), ("join".to_owned(), name.clone()));
        let members = members.iter().map(member).collect();
        self.rooms.insert(id.to_owned(), Room { rule, members, state: HashMap::new() });
    }

    pub fn set_member(&mut self, room: &str, user: &str, membership: &str, name: &str) {
        if let Some(room) = self.rooms.get_mut(room) {
            room.members.insert(user.to_owned(), (membership.to_owned(), name.to_owned()));
        }
    }

    pub fn joined(&self, room: &str) -> Vec<String> {
        let members = self.rooms.get(room).into_iter().flat_map(|room| &room.members);
        members.filter(|(_, (membership, _))| membership == "join").map(|(user, _)| user.clone()).collect()
    }

    pub fn require_joined(&self, room: &str, user: &str) -> Result<(), Reply> {
        let member = self.rooms.get(room).and_then(|room| room.members.get(user));
        match member {
            Some((membership, _)) if membership == "join" => Ok(()),
            _ => Err(forbidden(&format!("User {user} not in room {room}"))),
        }
    }
}
