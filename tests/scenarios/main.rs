//! Stories of the machine: a transcript in, the same transcript out.
//!
//! Each `.txt` file beside this one is a story. A line that starts in the first column happens; the indented
//! lines under it are what the machine then asks for. [`check`] plays what happens and compares the whole
//! text, so a story shows everything the machine did and nothing is checked that a reader cannot see.
//! `BUNRAKU_UPDATE=1 cargo test --test scenarios` writes the files anew; read the difference before you keep it.

mod any_order;
mod content;
mod errands;
mod show;
mod stage;

use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios")
}

/// Plays a story and compares it with what its file says.
fn check(story: &str) {
    let path = folder().join(format!("{story}.txt"));
    let expected = std::fs::read_to_string(&path).expect("the story's file");
    let played = stage::play(&expected);
    let mut shown = played.lines().filter(|line| line.starts_with("  ") && !line.contains(" > "));
    assert_eq!(shown.find(|line| line.contains("canary")), None, "a secret is told");
    if std::env::var_os("BUNRAKU_UPDATE").is_some() {
        std::fs::write(&path, &played).expect("a writable story");
    } else if played != expected {
        panic!("{}", difference(story, &expected, &played));
    }
}

/// The lines around the first difference, and the whole of what was played.
fn difference(story: &str, expected: &str, played: &str) -> String {
    let at = expected.lines().zip(played.lines()).take_while(|(a, b)| a == b).count();
    let line = |text: &str| text.lines().nth(at).unwrap_or("(the end)").to_owned();
    format!(
        "story {story}, line {}\n  expected: {}\n  played:   {}\nthe whole, as played:\n{played}",
        at + 1,
        line(expected),
        line(played),
    )
}

macro_rules! stories {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            check(stringify!($name));
        })*

        const STORIES: &[&str] = &[$(stringify!($name)),*];
    };
}

stories! {
    alias
    answer_command
    answer_fences
    answer_never
    answer_reason
    answer_reason_quiet
    answer_refused_join
    answer_refused_message
    ban
    bot_mode
    casemap
    casemap_message_waits
    casemap_own_nick
    command_disguised
    ctcp
    door
    door_closed
    edit
    edit_storm
    edits_off
    encrypted
    errand_admin
    errand_contacts
    errand_facts
    errand_ignore
    errand_ignore_full
    errand_join
    errand_join_consent
    errand_join_key_kept
    errand_join_plumbed
    errand_join_refused
    errand_join_silent
    errand_line
    errand_line_full
    errand_mentions
    errand_muted
    errand_nick
    errand_nick_kept
    errand_part
    errand_query
    errand_query_off
    errand_quit
    errand_quit_again
    errand_quit_kept
    errand_realname
    errand_realname_fixed
    errand_reconnect
    errand_reconnect_walled
    errand_retry
    errand_status
    errand_stop
    errand_stopping
    excluded_at_start
    excluded_by_list
    excluded_by_permission
    fence_unanswered
    flood
    formatting
    formatting_modes
    formatting_refused
    full
    gate_banned
    gate_full
    gate_held_before
    gate_killed
    gate_lenient
    gate_lenient_refused
    gate_login
    gate_mapped
    gate_not_removed
    gate_off
    gate_outage
    gate_restart
    gate_silent
    gate_start
    gate_throttled
    gate_two_rooms
    greeting_twice
    heard_about
    heard_formatted
    heard_mentions
    heard_multiline
    heard_times
    heard_typing
    heard_typing_hidden
    held_before
    homeserver_connections
    homeserver_contacts
    homeserver_joins
    hostile_lines
    idle
    join_late
    join_refused
    join_refused_mapped
    join_throttled
    join_try_again
    kick
    kick_while_holding
    killed
    late_witness
    leave
    leave_and_return
    linger
    login
    login_certificate
    login_echoed
    login_plain
    login_refused
    login_services
    login_settles_first
    login_unanswered
    login_without_services
    lost_and_killed
    lost_and_left
    lost_and_predecessor_quits
    lost_and_said_again
    lost_and_seen_quitting
    lost_and_witnessed
    lost_in_a_split
    lost_in_part
    lost_unseen
    lost_without_witness
    media
    members_full
    members_lazy
    members_return
    message_expires
    message_forms
    message_waits
    moderation_ban
    moderation_banned
    moderation_bans_lifted
    moderation_bans_unseen
    moderation_door
    moderation_door_off
    moderation_kick
    moderation_modes
    moderation_muted
    moderation_of_people
    moderation_off
    moderation_unban
    multiline
    neighbours
    neighbours_fail
    neighbours_many_rooms
    neighbours_operators
    netsplit
    netsplit_joined_in
    news
    news_first
    nick_disputed
    nick_in_all_scripts
    nick_of_another_puppet
    nick_taken_away
    nick_wished_by_us_is_theirs
    noted_first
    opens_too_late
    operators_block
    operators_bot
    operators_commands
    operators_consent
    operators_consent_here
    operators_consent_in_channel
    operators_consent_kept
    operators_dismiss
    operators_flood
    operators_hostile
    operators_limit
    operators_limit_edit
    operators_limit_lifted
    operators_limit_order
    operators_mute
    operators_outside
    operators_rank
    operators_refuse_first
    operators_restart
    operators_roomless
    operators_signs
    own_lines
    password_refused
    ping
    ping_by_server
    plumb_consent
    plumb_dismissed
    plumb_operator
    plumb_refused
    plumb_unplumb
    plumb_waits
    power
    power_by_people
    power_of_mapped_rooms
    power_takeover
    query_contacts
    query_edited
    query_fails
    query_flood
    query_foreign
    query_from_irc
    query_from_matrix
    query_left
    query_off
    query_proofs
    query_refusals
    query_renamed
    query_restart
    query_stranger
    query_third
    query_watched
    query_watched_not
    quit_seen
    react
    redact
    redact_tags
    refused_in_part
    regain
    regain_services
    registration
    rename
    reply
    reply_tags
    restart_accepted
    restart_written
    rooms_directory
    rooms_directory_only
    rooms_forwarded
    rooms_ghost_invited
    rooms_invited
    rooms_looked_up
    rooms_looked_up_portals
    rooms_other_bridges
    rooms_plates
    rooms_space
    rooms_space_lost
    rooms_space_off
    rooms_upgrade_again
    rooms_upgrade_bans
    rooms_upgrade_barred
    rooms_upgrade_lenient
    rooms_upgrade_powerless
    rooms_upgrade_refused
    rooms_upgraded
    seat_of_the_doubted
    send_refused
    settled_by_echo
    settled_by_fence
    settled_by_label
    settled_by_witness
    shed
    slow_list_shows_a_nick_given_up
    slow_stream_shows_a_predecessor
    stale_generation
    statusmsg
    statusmsg_hidden
    stop_waits_for_answers
    stopping
    sts
    throttled
    told_at_the_end
    told_marks
    told_outage
    told_reasons
    told_together
    told_without_notices
    too_many_waiting
    topic_from_irc
    topic_from_matrix
    topic_hidden
    topic_none
    topic_not_bridged
    topic_refused
    topic_unsent
    two_rooms
    two_sightings_by_msgid
    typing
    typing_denied
    typing_hidden
    unreact
    webirc
}

#[test]
fn every_story_is_played() {
    let files = std::fs::read_dir(folder()).expect("the folder of the stories");
    let mut found: Vec<String> = files
        .filter_map(|file| {
            file.expect("an entry").file_name().to_str()?.strip_suffix(".txt").map(str::to_owned)
        })
        .collect();
    found.sort();
    assert_eq!(found, STORIES);
}
