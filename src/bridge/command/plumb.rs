//! `plumb`: a room of people's own is bridged with a channel, once an operator of it has said yes.

use crate::bridge::errand::plumbing::{Plumbing, Unplumbable};
use crate::bridge::errand::{Errand, Report};
use crate::bridge::policy::Permission;

use super::args::{Args, Bad};
use super::reply::Reply;
use super::tell::{Told, counted, sentence};
use super::{Act, Command, Place, Scope, Words};

pub static PLUMB: Command = Command {
    name: "plumb",
    also: &["link"],
    takes: "[!room] #channel [operator]",
    help: "Bridges a room of your own with a channel, once one of its operators on IRC has said yes.",
    more: "Say it in the room, behind `!irc`, when I am in it; or name the room by its id here. You need the level for changing \
           levels in the room. Where your own IRC user is operator of the channel it is done at once; else operators are asked, \
           or the one whose nick you give, and the room is told what they say. They can end it at any time.",
    examples: &["plumb !room:example.org #bunraku", "plumb !room:example.org #bunraku dora"],
    who: Permission::Plumber,
    scope: Scope::Network,
    place: Place::Anywhere,
    words: Words::Open,
    read,
    tell,
};

fn read(args: &mut Args<'_>) -> Result<Act, Bad> {
    let room = args.room()?;
    let channel = args.channel_named()?.to_owned();
    let operator = args.peek().map(|_| args.param().map(str::to_owned)).transpose()?;
    args.end()?;
    Ok(Act::Errand(Errand::Plumb { room, channel, key: None, operator }))
}

fn tell(told: &Told<'_>) -> Reply {
    told.reported(|report| {
        let Report::Plumbing(plumbing) = report else { return None };
        Some(Reply::text(match plumbing {
            Plumbing::Linked { channel } => {
                format!("Done: the room and {channel} on {} are one conversation now.", told.network)
            }
            Plumbing::Asked { channel, operators } => format!(
                "I have asked operators of {channel} on {} ({}). What they say is told in the room; they have 7 days. `unplumb` \
                 takes the question back.",
                told.network,
                operators.join(", ")
            ),
            Plumbing::Refused(why) => refused(why, told),
        }))
    })
}

/// Why not, and what can be done.
pub(super) fn refused(why: &Unplumbable, told: &Told<'_>) -> String {
    let network = told.network;
    match why {
        Unplumbable::Excluded => {
            format!("That channel of {network} is not bridged with rooms of people's own here. Who runs the bridge can change that.")
        }
        Unplumbable::RoomTaken { channel } => {
            format!("This room is bridged with {channel} on {network}. `unplumb` ends that; then ask again.")
        }
        Unplumbable::ChannelTaken { rooms } => format!(
            "That channel has {} already, and may have no more. Join one of them, or talk to its people.",
            counted(rooms.len(), "room")
        ),
        Unplumbable::Waiting { since, by } => {
            let by = by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
            format!(
                "This was asked for{by} {} ago, and no operator has answered yet. Talk to them on IRC, or take the question back \
                 with `unplumb`.",
                told.ago(*since)
            )
        }
        Unplumbable::Declined => format!(
            "The channel's operators on {network} have said no, and I do not ask them again. Talk to them on IRC: they can allow \
             it at any time."
        ),
        Unplumbable::OtherBridge { name } => format!(
            "Another bridge is in the room: {name}. What is said would be said twice. Take it out of the room first, then ask \
             again."
        ),
        Unplumbable::NoPower { required } => format!(
            "It takes level {required} in the room, which changing levels takes. Ask somebody who has it there to say this."
        ),
        Unplumbable::NotInRoom => "You are not in that room. Join it, then ask again.".to_owned(),
        Unplumbable::NoRoom => {
            "I am not in that room, and could not join it. Invite me there, then ask again.".to_owned()
        }
        Unplumbable::Unfit { words } => format!("This room cannot be bridged. {}", sentence(words)),
        Unplumbable::NoOperator { nick } => format!(
            "{nick} is no operator of the channel now. Leave the nick out, and I ask those who are."
        ),
        Unplumbable::NoOperators => {
            "No operator is to be seen in that channel now, so nobody can be asked. Try again when one is there. Who is invisible \
             (mode +i), or in a secret channel, shows only to those who are in it: be there with your IRC user and ask again."
                .to_owned()
        }
        Unplumbable::Full { rooms_max } => format!(
            "{} are bridged by people or wait for it, and there may be no more. Ask who runs the bridge.",
            counted(*rooms_max, "room")
        ),
        Unplumbable::Busy => {
            "Too much is asked of operators now. Try again in some minutes.".to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::command::tell::{Came, Ears};
    use crate::ids::{RoomId, Time};

    #[test]
    fn every_reason_has_a_sentence_of_its_own_with_a_next_step() {
        let room = RoomId::new("!r:hs").unwrap();
        let act = Act::Version;
        let report = Report::Done;
        let now = Time(120_000);
        let told = Told { act: &act, came: Came::Report(&report), network: "Net", now, ears: Ears::Theirs };
        let all = [
            Unplumbable::Excluded,
            Unplumbable::RoomTaken { channel: "#c".into() },
            Unplumbable::ChannelTaken { rooms: vec![room] },
            Unplumbable::Waiting { since: Time(0), by: None },
            Unplumbable::Declined,
            Unplumbable::OtherBridge { name: "Slack".into() },
            Unplumbable::NoPower { required: 50 },
            Unplumbable::NotInRoom,
            Unplumbable::NoRoom,
            Unplumbable::Unfit { words: "it is encrypted".into() },
            Unplumbable::NoOperator { nick: "eve".into() },
            Unplumbable::NoOperators,
            Unplumbable::Full { rooms_max: 1 },
            Unplumbable::Busy,
        ];
        let mut said: Vec<String> = all.iter().map(|why| refused(why, &told)).collect();
        assert!(said.iter().all(|words| words.ends_with('.')), "{said:?}");
        assert!(said[3].contains("2 minutes ago"), "{said:?}");
        let count = said.len();
        said.sort();
        said.dedup();
        assert_eq!(said.len(), count);
    }
}
