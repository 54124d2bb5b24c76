//! The situations that answers speak of: one sentence each, with what to do next.
//!
//! How names get into the words is told at `Meaning::words`.

use super::{Says, Trouble};

/// A situation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case {
    pub trouble: Trouble,
    pub words: &'static str,
    pub says: Says,
}

const fn quiet(trouble: Trouble, words: &'static str) -> Case {
    Case { trouble, words, says: Says::Quiet }
}

const fn quoted(trouble: Trouble, words: &'static str) -> Case {
    Case { trouble, words, says: Says::Quoted }
}

macro_rules! cases {
    ($($name:ident = $kind:ident $trouble:ident $words:literal;)*) => {
        $(pub(super) const $name: Case = $kind(Trouble::$trouble, $words);)*
    };
}

// Joining.
cases! {
    INVITE_ONLY = quiet InviteOnly "[that channel] is invite-only: ask somebody in it to invite you, then join again.";
    KEY_NEEDED = quiet KeyNeeded "[that channel] has a key: join again with the right one.";
    CHANNEL_FULL = quiet ChannelFull "[that channel] is full: try again later.";
    BANNED_JOIN = quiet Banned "[that channel] has banned you: ask its operators to lift the ban.";
    ACCOUNT_JOIN = quiet NeedsAccount "[that channel] wants a registered nick: register with $NETWORK and give the bridge your login.";
    TLS_CHANNEL = quiet NeedsTls "[that channel] takes TLS connections only: ask whoever runs this bridge to use TLS for $NETWORK.";
    TLS_FOR_ALL = quiet NeedsTls "Not everybody in [that channel] uses TLS, so it cannot be made TLS-only: ask them to reconnect first.";
    STAFF_CHANNEL = quiet StaffOnly "[that channel] is for the staff of $NETWORK only: choose another channel.";
    FORBIDDEN_CHANNEL = quoted ChannelForbidden "$NETWORK does not allow [that channel]: choose another channel.";
    FORWARDED = quiet Forwarded "[that channel] sends you on to <another channel>: it may want an invitation or a registered nick, so ask its operators.";
    JOINS_TOO_FAST = quiet TooFast "[that channel] takes no more joins just now: wait a minute, then try again.";
    TOO_MANY_CHANNELS = quiet TooManyChannels "You are in as many channels as $NETWORK allows: leave one, then join [the new one] again.";
    NO_SUCH_CHANNEL = quiet NoSuchChannel "$NETWORK has no channel [of that name]: check the spelling.";
    BAD_CHANNEL_NAME = quiet ChannelForbidden "[that] is no name for a channel on $NETWORK: choose another.";
    CHANNEL_AWAY = quiet Unavailable "[that channel] cannot be used just now: try again in some minutes.";
    CHANNEL_RENAMED = quiet Forwarded "[that channel] has a new name, <another one>: join that.";
    CREATE_REFUSED = quoted NotAllowed "$NETWORK does not let you open [that channel]: ask its staff.";
}

// Speaking in a channel.
cases! {
    MODERATED = quiet Moderated "[that channel] is moderated: ask its operators for voice.";
    EXTERNAL = quiet NotInChannel "[that channel] takes messages from its members only: join it first.";
    BANNED_SPEAK = quiet Banned "[that channel] does not let you speak, because you are banned or muted there: ask its operators.";
    ACCOUNT_SPEAK = quiet NeedsAccount "[that channel] lets registered nicks speak only: register with $NETWORK and give the bridge your login.";
    TLS_SPEAK = quiet NeedsTls "[that channel] takes messages over TLS only: ask whoever runs this bridge to use TLS for $NETWORK.";
    NO_FORMATTING = quiet NoFormatting "[that channel] takes no colours or formatting: send it as plain text.";
    NO_CTCP = quiet Filtered "[that channel] takes plain messages only: send it without CTCP.";
    NO_NOTICES = quiet Filtered "[that channel] takes no notices: send it as a normal message.";
    FILTERED = quoted Filtered "$NETWORK did not take the message because of its text: say it in other words.";
    SPEAK_REFUSED = quoted CannotSpeak "[that channel] did not take the message: make sure that you are in it, and ask its operators for voice.";
    ROLE_REFUSED = quoted NotAllowed "[that channel] does not take messages in another name: ask its operators.";
}

// People.
cases! {
    NO_SUCH_NICK = quiet NoSuchNick "Nobody on $NETWORK is called [that]: check the nick.";
    WAS_NO_NICK = quiet NoSuchNick "$NETWORK remembers nobody called [that]: check the nick.";
    ACCOUNT_PM = quiet NeedsAccount "[that person] takes messages from registered nicks only: register with $NETWORK and give the bridge your login.";
    TLS_PM = quiet NeedsTls "[that person] takes messages over TLS only: ask whoever runs this bridge to use TLS for $NETWORK.";
    TLS_PM_THEIRS = quiet NeedsTls "[that person] does not use TLS and you take TLS only: unset that mode of yours first.";
    SHARED_CHANNEL = quiet Unwanted "[that person] takes messages only from people in a channel with them: join one that they are in.";
    CALLER_ID = quiet Unwanted "[that person] has to allow your messages first: ask them in a channel to accept you.";
    CALLER_TOLD = quiet Fine "[that person] has been told that you wrote: wait for them to allow it.";
    CALLER_WAITS = quiet Fine "[somebody] wrote to you, but you take messages from accepted people only: accept them to read it.";
    PM_REFUSED = quoted Unwanted "[that person] did not take the message: try to reach them in a channel.";
    NO_ANSWER_POSSIBLE = quoted Unwanted "[that person] could not answer you, so your message was not sent: change your own modes first.";
    NOT_ON_SERVER = quiet NoSuchNick "[that person] is on another server: ask that one.";
    GHOSTED = quiet Unwanted "The message to [them] was lost because they are no longer connected: send it again later.";
    SILENCE_FULL = quiet ListFull "Your list of silenced people is full: take somebody off it first.";
    SILENCE_WRONG = quoted BadValue "The list of silenced people did not take [that mask]: check it.";
    ACCEPT_FULL = quiet ListFull "Your list of accepted people is full: take somebody off it first.";
    ACCEPT_THERE = quiet AlreadyDone "[that person] is on your list of accepted people already: nothing needs to be done.";
    ACCEPT_NOT_THERE = quiet AlreadyDone "[that person] is not on your list of accepted people: nothing needs to be done.";
    WATCH_FULL = quiet ListFull "The list of people you watch is full: take somebody off it first.";
    DCC_FULL = quiet ListFull "The list of people who may send you files is full: take somebody off it first.";
    DCC_WRONG = quoted BadValue "The list of people who may send you files did not take [that]: check the nick.";
}

// Our nick.
cases! {
    NICK_TAKEN = quiet NickTaken "The nick [you want] is in use on $NETWORK: choose another.";
    NICK_ILLEGAL = quoted NickIllegal "The nick [you want] is not allowed on $NETWORK: choose another.";
    NICK_RESERVED = quiet NickHeld "The nick [you want] is reserved on $NETWORK: log in to the account that owns it, or choose another.";
    NICK_HELD = quiet NickHeld "The nick [you want] is held back just now on $NETWORK: wait some minutes, or choose another.";
    NICK_COLLISION = quiet NickTaken "The nick [you want] collided with the same nick elsewhere on $NETWORK: choose another.";
    NICK_STUCK = quiet NickStuck "Your nick cannot change while you are in [a channel that forbids it]: leave that first, or ask its operators.";
    NICK_BANNED = quiet NickStuck "Your nick cannot change while you are banned or muted in [a channel]: leave that first, or ask its operators.";
    NICK_LOCKED = quoted NickStuck "Your nick is locked on $NETWORK: ask its staff.";
    NICK_TOO_FAST = quiet TooFast "You change your nick too often for $NETWORK: wait a minute, then try again.";
    NO_NICK_GIVEN = quiet Incomplete "No nick was given: name one.";
    NICK_NOT_LOCKED = quiet AlreadyDone "[that nick] is not locked: nothing needs to be done.";
}

// Members and operators of a channel.
cases! {
    NOT_IN_CHANNEL = quiet NotInChannel "You are not in [that channel]: join it first.";
    THEY_ARE_NOT_IN = quiet TheyAreNotInChannel "[that person] is not in <that channel>: check the nick.";
    THEY_ARE_IN = quiet AlreadyDone "[that person] is in <that channel> already: nothing needs to be done.";
    YOU_ARE_IN = quiet AlreadyDone "You are in [that channel] already: nothing needs to be done.";
    OPERATOR_NEEDED = quiet NotOperator "You are not an operator of [that channel]: ask one of them to do it.";
    OWNER_NEEDED = quiet NotOperator "Only an owner of [that channel] can do this: ask one of them.";
    PROTECTED = quoted NotAllowed "$NETWORK does not let you do this in [that channel]: ask its staff.";
    NO_INVITES = quiet NotAllowed "[that channel] takes no invitations: ask its operators.";
    INVITE_NOT_THERE = quiet AlreadyDone "[that person] was not invited to <that channel>: nothing needs to be done.";
    INVITES_TOO_FAST = quiet TooFast "Too many invitations went to [that channel]: wait a minute, then try again.";
    BAN_LIST_FULL = quiet ListFull "A list of [that channel] is full: ask its operators to take entries off it.";
    UNKNOWN_MODE = quiet BadValue "$NETWORK knows no mode [like that]: check the letter.";
    BAD_MODE_VALUE = quoted BadValue "That mode of [the channel] does not take this value: check it.";
    NO_MODES = quiet NotAllowed "[that channel] has no modes: leave them alone there.";
    MODE_LOCKED = quiet NotAllowed "That mode of [the channel] is locked by the services of $NETWORK: ask the channel's founder to unlock it.";
    TOPIC_LOCKED = quiet NotAllowed "The topic of [that channel] is locked by the services of $NETWORK: ask the channel's founder to unlock it.";
    TOPIC_LATER = quiet TooFast "The topic of [that channel] cannot change just now: try again in a minute.";
    ENTRY_THERE = quiet AlreadyDone "The list of [that channel] has this entry already: nothing needs to be done.";
    ENTRY_NOT_THERE = quiet AlreadyDone "The list of [that channel] does not have this entry: nothing needs to be done.";
    KEY_SET = quiet AlreadyDone "[that channel] has a key already: unset it first.";
    BAD_BAN = quiet BadValue "[that channel] does not take this ban mask: check how it is written.";
    SERVERS_ONLY_MODE = quiet NotAllowed "Only servers can set that mode: leave it alone.";
    REDIRECT_REFUSED = quoted NotAllowed "That channel cannot be sent on to [another one]: check the name and your rank there.";
    CANNOT_SET_MODE = quoted NotAllowed "$NETWORK does not let you set the mode [you want]: ask its staff.";
    KNOCK_REFUSED = quoted NotAllowed "You cannot knock at [that channel]: ask somebody in it to invite you.";
    KNOCKS_TOO_FAST = quiet TooFast "There was too much knocking at [that channel]: wait some minutes, then try again.";
    KNOCK_OPEN = quiet AlreadyDone "[that channel] is open: join it without knocking.";
    KNOCK_OFF = quiet NotAllowed "$NETWORK does not know knocking: ask somebody in the channel to invite you.";
    DESYNC = quoted Unavailable "The servers of $NETWORK do not agree about [that channel]: try again later.";
}

// Commands and the server.
cases! {
    UNKNOWN_COMMAND = quiet UnknownCommand "$NETWORK knows no command [like that]: check the spelling.";
    AMBIGUOUS = quoted UnknownCommand "That short form can stand for several commands: write it out.";
    DISABLED = quiet UnknownCommand "$NETWORK has switched [that command] off: do without it.";
    MORE_NEEDED = quiet Incomplete "The command [you gave] needs more words: look up how it is written.";
    WRONG_VALUE = quoted BadValue "The command has a value that $NETWORK does not take: check how it is written.";
    COMMAND_REFUSED = quoted NotAllowed "$NETWORK did not do [that]: ask its staff.";
    GENERAL_FAULT = quoted Other "$NETWORK could not do [that]: try again later.";
    STAFF_ONLY = quiet StaffOnly "This is for the staff of $NETWORK only: ask them to do it.";
    SERVERS_ONLY = quiet NotAllowed "This is for servers only: leave it alone.";
    CANNOT_KILL = quiet NotAllowed "This person or server cannot be removed from $NETWORK: leave it alone.";
    NO_OPER_HERE = quiet NotAllowed "You cannot become staff of $NETWORK from here: ask its staff.";
    TRY_LATER = quiet TooFast "$NETWORK is too busy for [that command]: wait a minute, then try again.";
    TOO_LONG = quiet TooLong "The line was too long for $NETWORK: make it shorter.";
    NO_TEXT = quiet Incomplete "There was no text to send: write some.";
    NO_RECIPIENT = quiet Incomplete "Nobody was named to send it to: name a channel or a nick.";
    NO_ORIGIN = quiet Incomplete "A server name was missing: tell whoever runs this bridge.";
    TOO_MANY_TARGETS = quiet TooManyTargets "That is too many at once for $NETWORK: name fewer.";
    TARGETS_TOO_FAST = quiet TooFast "You write to new people too fast for $NETWORK: wait a minute, then write to [them] again.";
    TOO_MANY_MATCHES = quiet TooManyTargets "Too much was found: ask for something narrower.";
    BAD_MASK = quiet BadValue "$NETWORK does not take [that mask]: check how it is written.";
    NO_SUCH_SERVER = quiet NoSuchServer "$NETWORK has no server [of that name]: check the spelling.";
    NO_SUCH_SERVICE = quiet NoSuchServer "$NETWORK has no service [of that name]: check the spelling.";
    SERVICES_DOWN = quiet Unavailable "The services of $NETWORK are away just now: try again in some minutes.";
    NOTHING_THERE = quiet Fine "$NETWORK has no text of that kind: there is nothing to read.";
    FILE_FAULT = quiet Unavailable "The server could not read a file of its own: tell the staff of $NETWORK.";
    AWAY_TOO_FAST = quiet TooFast "You change your away message too often for $NETWORK: wait a minute, then try again.";
    NOT_LOGGED_IN_THERE = quiet NoSuchNick "[that person] is not logged in there: ask elsewhere.";
    NOT_READY = quiet NotRegistered "The connection to $NETWORK is not ready yet: try again in a moment.";
    ALREADY_READY = quiet AlreadyDone "The connection to $NETWORK is registered already: nothing needs to be done.";
    WRONG_PASSWORD = quiet WrongPassword "$NETWORK does not accept the password: check the one that the bridge has for it.";
    HOST_REFUSED = quoted NetworkBan "$NETWORK takes no connections from this bridge: ask whoever runs it.";
    NETWORK_BAN = quoted NetworkBan "$NETWORK has banned you: write to its staff.";
    BAN_COMING = quiet NetworkBan "$NETWORK is about to ban you: write to its staff.";
    SERVER_FULL = quoted Unavailable "This server of $NETWORK sends us to another one, [not named]: ask whoever runs this bridge to use that.";
    BAD_IDENT = quiet BadValue "$NETWORK does not accept the ident of your connection: tell whoever runs this bridge.";
    OWN_MODES_ONLY = quiet NotAllowed "You can change your own modes only: name yourself.";
    BAD_PING = quiet NotRegistered "$NETWORK waits for another PONG than it got: tell whoever runs this bridge.";
    BAD_CAP = quiet BadValue "$NETWORK does not know a capability request: tell whoever runs this bridge.";
    TLS_NOT_STARTED = quoted NeedsTls "TLS could not be started with $NETWORK: tell whoever runs this bridge.";
    NO_HELP = quiet Fine "$NETWORK has no help on [that]: look for another word.";
    OPER_VERIFY = quiet NotAllowed "Staff have to invite themselves to [that channel] first: do that, then join.";
    BAD_ENCODING = quiet BadValue "$NETWORK takes UTF-8 only: send the text again.";
    NO_ENCODING = quiet BadValue "$NETWORK could not set up the encoding: choose another.";
    BAD_IDLE_TIME = quiet BadValue "This is no time that $NETWORK takes: check it.";
    LANGUAGE = quiet BadValue "$NETWORK does not speak that language: choose another.";
    MODULE_FAULT = quoted Other "The server could not change its module [that]: look at its log.";
    OTHER_FAULT = quoted Other "$NETWORK refused: read what it says and try otherwise.";
    PLAIN_NEWS = quoted Fine "$NETWORK has news for you: read what it says.";
}

// Logging in, accounts, metadata, history.
cases! {
    LOGGED_IN = quiet Fine "You are logged in to $NETWORK as <your account>.";
    LOGGED_OUT = quiet Fine "You are no longer logged in to $NETWORK: log in again to use what needs an account.";
    LOGIN_DONE = quiet Fine "The login to $NETWORK worked: nothing needs to be done.";
    LOGIN_LOCKED = quiet LoginFailed "$NETWORK does not let this account use your nick, or has locked it: ask its services.";
    LOGIN_FAILED = quoted LoginFailed "$NETWORK did not accept your login: check the account and password that you gave to the bridge.";
    LOGIN_TOO_LONG = quiet LoginBroken "Your login was too long for $NETWORK: choose a shorter password.";
    LOGIN_ABORTED = quiet LoginBroken "The login to $NETWORK was broken off: try again.";
    LOGIN_ALREADY = quiet AlreadyDone "You are logged in to $NETWORK already: nothing needs to be done.";
    LOGIN_METHODS = quiet LoginBroken "$NETWORK takes other kinds of login ([not named]): ask whoever runs this bridge.";
    LOGIN_VERIFY = quoted LoginFailed "$NETWORK wants your account to be verified first: follow the mail that it sent you.";
    ACCOUNT_NEEDED = quiet NeedsAccount "$NETWORK wants a registered nick for this: register with it and give the bridge your login.";
    ACCOUNT_TO_CONNECT = quiet NeedsAccount "$NETWORK wants everybody to log in: register with it and give the bridge your login.";
    ACCOUNT_EXISTS = quiet NickTaken "The account [you want] exists already on $NETWORK: log in to it, or choose another name.";
    ACCOUNT_IS_NICK = quiet BadValue "On $NETWORK an account has the name of your nick: register [that name] under that nick.";
    ACCOUNT_NAME_BAD = quiet BadValue "The account name [you want] is not allowed on $NETWORK: choose another.";
    REGISTER_REFUSED = quoted NotAllowed "$NETWORK does not register accounts this way: see its website.";
    PASSWORD_BAD = quiet BadValue "$NETWORK does not accept this password for a new account: choose a longer one.";
    MAIL_BAD = quiet BadValue "$NETWORK does not accept this mail address: give another.";
    CODE_BAD = quiet LoginFailed "The code is wrong or too old: check it, or ask $NETWORK for a new one.";
    PASSWORD_CHANGED = quiet Fine "$NETWORK has stored your password anew: nothing needs to be done.";
    REALNAME_BAD = quiet BadValue "$NETWORK does not accept this realname: choose a shorter one.";
    REALNAME_STUCK = quoted NotAllowed "Your realname cannot change just now: try again later.";
    CHANNEL_NAME_TAKEN = quiet ChannelForbidden "There is a channel of the new name for [that channel] already: choose another.";
    RENAME_REFUSED = quoted NotAllowed "[that channel] cannot get another name: ask the staff of $NETWORK.";
    MESSAGE_GONE = quiet Other "$NETWORK does not know that message of [the channel]: it is too old or was deleted.";
    REDACT_LATE = quiet NotAllowed "That message of [the channel] is too old to be deleted: ask its operators.";
    REDACT_REFUSED = quiet NotAllowed "You may not delete that message of [the channel]: ask its operators.";
    HISTORY_FAULT = quiet Unavailable "$NETWORK could not read its history: try again later.";
    BAD_TARGET = quiet BadValue "$NETWORK cannot do this for [that]: check the name.";
    BATCH_FAULT = quoted Other "A message of several lines did not reach $NETWORK: send it again in smaller parts.";
    BATCH_TOO_LONG = quiet TooLong "The message is too long for $NETWORK: send it in smaller parts.";
    BATCH_OTHER_TARGET = quiet BadValue "A message of several lines named several targets: send it again.";
    META_LIMIT = quiet ListFull "There is no room for more data about [that]: remove some first.";
    META_KEY = quiet BadValue "$NETWORK does not take the key [you gave]: check its name.";
    META_VALUE = quiet BadValue "$NETWORK does not take the value that you gave: check it.";
    META_NOT_SET = quiet AlreadyDone "Nothing is stored under that key for [that]: nothing needs to be done.";
    META_REFUSED = quiet NotAllowed "You may not read or change that data about [that]: ask its owner.";
    SUBSCRIPTIONS = quiet ListFull "You follow as many things as $NETWORK allows: give one up first.";
    RATE_LIMITED = quiet TooFast "You do this too often for $NETWORK: wait a minute, then try again.";
    CAPABILITY_NEEDED = quiet Other "$NETWORK wants the bridge to do more for this: tell whoever runs it.";
    LATER = quiet Unavailable "$NETWORK cannot do this just now: try again in some minutes.";
}
