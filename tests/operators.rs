//! Whatever is written to the bot is read without harm and answered in few lines; and `docs/CHANNEL_OPERATORS.md`, the page for people on IRC, is made here from the table of commands and the very answers.
//!
//! `BUNRAKU_BLESS=1 cargo test --test operators` writes the page anew.

use std::collections::BTreeSet;
use std::path::Path;

use bunraku::bridge::operators::answer::Answer;
use bunraku::bridge::operators::answer::examples::{question, room_question};
use bunraku::bridge::operators::command::{COMMANDS, Command, Deed, REASON_CHARS_MAX, Who, read};
use bunraku::bridge::operators::pace::{ALL_MAX, FIRST_MAX, HOST_MAX, KEPT, OWN_MAX};
use bunraku::bridge::operators::rules::{BLOCKS_MAX, LIMIT_MAX, MUTES_MAX};
use bunraku::bridge::policy::Operators;
use proptest::prelude::*;

fn bot() -> String {
    Operators::default().nick.expect("there is a bot unless it is switched off")
}

fn who(command: &Command) -> &'static str {
    match command.who {
        Who::Everybody => "anybody",
        Who::HalfOperators => "half-operators and operators",
        Who::Operators => "operators",
    }
}

fn commands() -> String {
    let mut table = String::from("| command | who may | what it does |\n|---|---|---|\n");
    for command in &COMMANDS {
        let usage = command.usage().replace('|', "\\|");
        table.push_str(&format!("| `{usage}` | {} | {} |\n", who(command), command.help));
    }
    table
}

fn bounds() -> String {
    format!(
        "{MUTES_MAX} muted people and {BLOCKS_MAX} homeservers a channel, a limit of 1 to {LIMIT_MAX} lines, reasons of \
         {REASON_CHARS_MAX} characters, {OWN_MAX} commands a minute of one person, {HOST_MAX} of one host or account and {ALL_MAX} of all, of which {KEPT} are kept for \
         hosts that gave few, and first rules for {FIRST_MAX} channels without a room an hour from one host. Who gives more is told once, and then \
         not answered for a minute"
    )
}

fn quoted(answer: &Answer) -> String {
    format!("> {}", answer.lines(&bot()).join("<br>").replace('|', "\\|"))
}

/// Each answer under the first command that may get it.
fn answers() -> String {
    let (mut page, mut shown) = (String::new(), BTreeSet::new());
    for command in &COMMANDS {
        page.push_str(&format!("**{}**\n\n", command.name));
        for answer in (command.answers)() {
            let lines = answer.lines(&bot());
            if shown.insert(lines.clone()) {
                page.push_str(&format!("{}\n\n", quoted(&answer)));
            }
        }
    }
    page
}

#[test]
fn the_page_for_operators_says_what_the_code_does() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let frame = include_str!("operators/page.md");
    let made = frame.replace("{commands}\n", &commands()).replace("{answers}\n", answers().trim_end());
    let made = made.replace("{bounds}", &bounds()).replace("{question}", &quoted(&question()));
    let made = made.replace("{room_question}", &quoted(&room_question()));
    let made = format!("{}\n", made.trim_end());
    let page = root.join("docs/CHANNEL_OPERATORS.md");
    if std::env::var_os("BUNRAKU_BLESS").is_some() {
        std::fs::write(&page, &made).expect("a writable page");
    }
    let there = std::fs::read_to_string(&page).expect("the page");
    assert!(
        there == made,
        "docs/CHANNEL_OPERATORS.md is not what the code does: BUNRAKU_BLESS=1 cargo test --test operators"
    );
}

/// Lines as people and as others would write them.
fn line() -> impl Strategy<Value = String> {
    let words = [
        "mute",
        "LIMIT",
        "block",
        "help",
        "dismiss",
        "#c",
        "@ada:hs",
        "!r:hs",
        "!",
        "@:",
        "hs",
        "off",
        "99999999999",
        "-1",
        "\u{3}4",
    ];
    let word = prop_oneof![
        prop::sample::select(words.to_vec()).prop_map(str::to_owned),
        any::<String>(),
        "[@#:!a-z\\[\\]]{0,40}",
        (1..3_000usize).prop_map(|len| "é".repeat(len)),
    ];
    prop::collection::vec(word, 0..6).prop_map(|words| words.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn anything_can_be_written_to_the_bot(line in line()) {
        match read(&line) {
            Err(answer) => {
                let lines = answer.lines("bunraku");
                prop_assert!(lines.len() == 1 && lines[0].len() < 400, "{lines:?}");
            }
            Ok(order) => {
                let reason = match &order.deed {
                    Deed::Mute { reason, .. } | Deed::Block { reason, .. } | Deed::Dismiss(reason)
                    | Deed::Refuse { reason, .. } => reason.clone(),
                    Deed::Help(_) | Deed::Status | Deed::People | Deed::Unmute(_) | Deed::Unblock(_) | Deed::Limit(_)
                    | Deed::Welcome | Deed::Admit(_) => None,
                };
                prop_assert!(reason.is_none_or(|reason| reason.chars().count() <= REASON_CHARS_MAX));
                prop_assert!(!matches!(order.deed, Deed::Limit(Some(lines)) if !(1..=LIMIT_MAX).contains(&lines)));
            }
        }
    }
}
