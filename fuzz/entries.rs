//! What fuzzing feeds with bytes, and what has to hold whatever they are. One file for two: the targets in
//! `fuzz_targets`, where libFuzzer picks the bytes, and `tests/fuzz.rs`, where proptest does in every `cargo test`.

use bunraku::bridge::session::caps::{Negotiation, Offer, Step};
use bunraku::bridge::session::isupport::Isupport;
use bunraku::bridge::session::lines;
use bunraku::irc::framer::{Charset, Framer, LINE_BYTES_MAX, Observe};
use bunraku::text::line::{Line, PARAMS_MAX};
use bunraku::text::modes::ChannelModes;
use bunraku::text::numerics::{self, SENTENCE_CHARS_MAX};

/// Bytes of a socket, in pieces as long as the first byte says: framed, parsed, built again, understood, and told to
/// a person where they are a numeric.
pub fn line(bytes: &[u8]) {
    let Some((&piece, bytes)) = bytes.split_first() else { return };
    let observe = if piece.is_multiple_of(2) { Observe::Chat } else { Observe::NoChat };
    let (mut framer, mut isupport) = (Framer::new(Charset::default()), Isupport::default());
    let mut rest = bytes;
    while !rest.is_empty() {
        let (now, later) = rest.split_at(rest.len().min(usize::from(piece) + 1).min(framer.room()));
        framer.push(now);
        rest = later;
        while let Some(line) = framer.next_line(observe) {
            understood(&line, &mut isupport);
        }
        assert!(framer.room() > 0 && framer.room() <= LINE_BYTES_MAX);
    }
}

fn understood(line: &Line, isupport: &mut Isupport) {
    assert!(!line.command.is_empty() && line.params.len() <= PARAMS_MAX);
    let built = line.build();
    assert!(!built.contains(['\r', '\n', '\0']), "{built:?}");
    if let Some(again) = Line::parse(&built) {
        assert_eq!(again.build(), built, "what we say is read as it was meant");
    }
    lines::read(line, isupport);
    learned(isupport);
    if let Some(code) = numerics::code(line) {
        let sentence = numerics::sentence(code, &line.params, "Net");
        assert!(sentence.ends_with('.') && sentence.chars().count() <= SENTENCE_CHARS_MAX, "{sentence:?}");
        assert!(!sentence.contains(char::is_control), "{sentence:?}");
    }
}

/// The first line is CHANMODES, the second PREFIX, each other the words of a MODE.
pub fn modes(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut rows = text.split('\n');
    let mut isupport = Isupport::default();
    let tokens = ["CHANMODES", "PREFIX"].map(|key| format!("{key}={}", rows.next().unwrap_or_default()));
    isupport.learn(&tokens);
    for row in rows {
        let words: Vec<String> = row.split(' ').map(str::to_owned).collect();
        let changes = isupport.mode_changes(&words);
        let given: Vec<&String> = changes.iter().filter_map(|change| change.param.as_ref()).collect();
        assert!(changes.len() <= row.chars().count());
        assert!(given.iter().copied().eq(words.iter().skip(1).take(given.len())), "each once, in order");
        let without = ChannelModes::default().changes(&words, |_| false);
        assert!(without.iter().all(|change| change.mode != '+' && change.mode != '-'));
    }
}

/// Each line is what stands behind `CAP me` in a line of the server.
pub fn caps(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (mut negotiation, mut offer, mut asked) = (Negotiation::new(true), Offer::default(), 0);
    let rows: Vec<&str> = text.split('\n').collect();
    for row in &rows {
        let Some(line) = Line::parse(&format!("CAP me {row}")) else { continue };
        if let Step::Ask(lines) = negotiation.line(&line, &mut offer) {
            asked += lines.len();
            for line in lines {
                assert!(line.starts_with("CAP REQ :") && line.len() <= 510, "{line:?}");
            }
        }
    }
    assert!(asked <= 8 * rows.len(), "no more is asked for than there is");
}

/// The words of 005 lines.
pub fn isupport(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut isupport = Isupport::default();
    for row in text.split('\n') {
        let tokens: Vec<String> = row.split(' ').map(str::to_owned).collect();
        isupport.learn(&tokens);
        learned(&isupport);
        for word in &tokens {
            let (modes, name) = isupport.prefixes.split(word);
            assert!(word.ends_with(name) && modes.chars().all(|mode| isupport.prefixes.rank(mode).is_some()));
            assert!(word.ends_with(isupport.channel_of_target(word)));
        }
    }
}

/// However a server lies, limits stay where they can be worked with.
fn learned(isupport: &Isupport) {
    assert!((5..=255).contains(&isupport.nick_bytes_max));
    assert!((512..=16_384).contains(&isupport.line_bytes_max));
    assert!(isupport.realname_bytes_max.is_none_or(|max| (10..=512).contains(&max)));
    assert!(isupport.bot_mode.is_none_or(|mode| mode.is_ascii_alphanumeric()));
    assert!(isupport.channel_signs.chars().all(|sign| "#&+!".contains(sign)));
}
