//! What fuzzing feeds with bytes, and what has to hold whatever they are. One file for two: the targets in
//! `fuzz_targets`, where libFuzzer picks the bytes, and `tests/fuzz.rs`, where proptest does in every `cargo test`.

use bunraku::bridge::session::caps::{Negotiation, Offer, Step};
use bunraku::bridge::session::isupport::Isupport;
use bunraku::bridge::session::lines;
use bunraku::ids::UserId;
use bunraku::irc::framer::{Charset, Framer, LINE_BYTES_MAX, Observe};
use bunraku::text::html;
use bunraku::text::irc_codes::{self, Codes};
use bunraku::text::line::{Line, PARAMS_MAX};
use bunraku::text::modes::ChannelModes;
use bunraku::text::numerics::{self, SENTENCE_CHARS_MAX};
use bunraku::text::spans::Spans;
use bunraku::text::split;

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

/// A `formatted_body`: read, written for IRC both ways, and as HTML again, which says the same.
pub fn html(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Ok(mut spans) = html::read(&text) else { return };
    lines_of(&spans, 400);
    again(&spans);
    spans.name_mentions(|user| Some(user.localpart().to_owned()));
    spans.mention_room();
    spans.put_before("ada: ");
    lines_of(&spans, 60);
    spans.hide_spoilers();
    lines_of(&spans, 20);
    again(&spans);
}

/// A message of IRC, of one line or several: read, written as HTML, and for IRC again.
pub fn codes(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut spans = irc_codes::read(&text);
    lines_of(&spans, 400);
    let unmarked = irc_codes::strip(&text).replace("[spoiler] ", "");
    let letters = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).collect::<String>();
    assert_eq!(
        letters(&texts(&spans).replace("[spoiler] ", "")),
        letters(&unmarked),
        "no letter is lost or made"
    );
    spans.link_urls();
    spans.mention_words(5, |word| Some((UserId::new(&format!("@{word}:hs"))?, word.to_uppercase())));
    assert!(spans.mentions().count() <= 5);
    let bytes_max = 4 * spans.to_plain().len() + 4_096;
    if let Some(written) = html::write(&spans) {
        assert!(written.formatted.len() <= bytes_max);
    }
    again(&spans);
}

/// The first byte is how many bytes a line may have; the others are lines.
pub fn split(bytes: &[u8]) {
    let Some((&bytes_max, bytes)) = bytes.split_first() else { return };
    let bytes_max = usize::from(bytes_max);
    let logical: Vec<String> = String::from_utf8_lossy(bytes).split('\n').map(split::clean).collect();
    let (lines, none) = split::lines(&logical, bytes_max, usize::MAX);
    assert_eq!(none, 0);
    sendable(&lines, bytes_max);
    let letters = |lines: &[String]| {
        let text = irc_codes::strip(&lines.join("\n"));
        text.chars().filter(|c| c.is_alphanumeric()).collect::<String>()
    };
    assert_eq!(letters(&lines), letters(&logical), "no letter is lost or made");
    let (first, cut) = split::lines(&logical, bytes_max, 3);
    assert_eq!((first.len() + cut, &first[..]), (lines.len(), &lines[..first.len()]));
}

/// The lines of a message are safe to send with and without codes.
fn lines_of(spans: &Spans, bytes_max: usize) {
    for codes in [Codes::On, Codes::Off] {
        let logical = irc_codes::write(spans, codes);
        assert!(!logical.iter().any(|line| line.contains(['\r', '\n', '\0', '\u{1}'])));
        let (lines, _) = split::lines(&logical, bytes_max, usize::MAX);
        sendable(&lines, bytes_max);
        if codes == Codes::Off {
            assert!(!lines.iter().any(|line| line.contains(irc_codes::is_code)));
        }
    }
}

fn sendable(lines: &[String], bytes_max: usize) {
    for line in lines {
        assert!(!line.is_empty() && line.len() <= bytes_max.max(split::PIECE_BYTES_MIN), "{line:?}");
        assert!(!line.contains(|c: char| c.is_control() && !irc_codes::is_code(c)), "{line:?}");
    }
}

/// What is written as HTML is balanced, and read again it is the same text.
fn again(spans: &Spans) {
    let Some(written) = html::write(spans) else { return };
    balanced(&written.formatted);
    if let Ok(again) = html::read(&written.formatted) {
        let words = |spans: &Spans| texts(spans).split_whitespace().collect::<String>();
        assert_eq!(words(&again), words(spans), "{}", written.formatted);
    }
}

/// All that is said, without what is put around it.
fn texts(spans: &Spans) -> String {
    let runs = spans.blocks().iter().flat_map(|block| &block.runs);
    runs.map(|run| run.text.as_str()).collect()
}

/// Each element is of those we write, and closed in turn.
fn balanced(html: &str) {
    let known = "a b i u del code span p blockquote pre ul ol li h1 h2 h3 h4 h5 h6";
    let mut open = Vec::new();
    for piece in html.split('<').skip(1) {
        let (tag, text) = piece.split_once('>').expect("a tag ends");
        assert!(
            !text.contains('>') && !tag.contains(['<', '&', '\'']) || tag.starts_with("a href"),
            "{html}"
        );
        let name = tag.split(' ').next().unwrap_or_default();
        match name.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop(), Some(name), "{html}"),
            None if name == "br" || name == "hr" => {}
            None => {
                assert!(known.split(' ').any(|word| word == name), "{name} in {html}");
                open.push(name);
            }
        }
    }
    assert!(open.is_empty(), "{html}");
}
