//! Text that means harm, through all that text goes through: HTML and bodies to IRC lines, IRC lines to HTML. Each row
//! has the number that a list of hostile inputs to bridges gave it, and what has to come out.
//!
//! What concerns rooms, people and connections is told in other places; here is only what a text can do by itself.

use std::time::{Duration, Instant};

use bunraku::ids::UserId;
use bunraku::irc::framer::{Charset, Framer, Observe};
use bunraku::text::html::{self, HTML_BYTES_MAX, TooMuch};
use bunraku::text::irc_codes::{self, Codes, Ctcp};
use bunraku::text::line::Line;
use bunraku::text::spans::Spans;
use bunraku::text::split;

/// Bytes of text for which a line of IRC has room.
const LINE_BYTES: usize = 400;
/// Lines of a message that are said.
const LINES: usize = 10;
/// Longest time for one event, on a machine that is busy with other tests and without optimisation.
const TIME_MAX: Duration = Duration::from_secs(5);

/// What IRC gets of a message.
fn sent(spans: &Spans) -> Vec<String> {
    let (lines, _) = split::lines(&irc_codes::write(spans, Codes::On), LINE_BYTES, LINES);
    for text in &lines {
        assert!(text.len() <= LINE_BYTES && !text.contains(['\r', '\n', '\0', '\u{1}']), "{text:?}");
        let wire = Line::new("PRIVMSG", &["#c", text]).build();
        let read = Line::parse(&wire).expect("a line");
        assert_eq!((read.command.as_str(), read.params.len(), &read.params[1]), ("PRIVMSG", 2, text));
    }
    lines
}

fn body(text: &str) -> Vec<String> {
    sent(&Spans::plain(text))
}

fn formatted(html: &str) -> Vec<String> {
    sent(&html::read(html).expect("not too much"))
}

/// What Matrix gets of a line: the body, and the HTML where there is any.
fn shown(irc: &str) -> (String, Option<String>) {
    let mut spans = irc_codes::read(irc);
    spans.link_urls();
    match html::write(&spans) {
        Some(html) => (html.body, Some(html.formatted)),
        None => (spans.to_plain(), None),
    }
}

#[test]
fn matrix_to_irc_by_number() {
    for (number, body_text, expected) in [
        (1, "a\r\nQUIT :x\rJOIN #y\n\nb", vec!["a", "QUIT :x", "JOIN #y", "b"]),
        (6, "cat\r\nQUIT.png", vec!["cat", "QUIT.png"]),
        (13, "a\0b", vec!["ab"]),
        (14, "a\u{2028}b\u{2029}c\u{85}d", vec!["a b c d"]),
        (15, "/quit now", vec!["/quit now"]),
        (16, "\u{1}ACTION waves\u{1}", vec!["ACTION waves"]),
        (16, "\u{1}DCC SEND x 1 2 3\u{1}", vec!["DCC SEND x 1 2 3"]),
        (20, "\u{202e}evil\u{2066}b", vec!["evilb"]),
        (58, "\u{3}4,4x\u{2}y", vec!["4,4xy"]),
    ] {
        assert_eq!(body(body_text), expected, "number {number}");
    }
    for (number, html, expected) in [
        (1, "a&#13;&#10;QUIT :x<br>JOIN&#10;#y", vec!["a QUIT :x", "JOIN #y"]),
        (1, "<pre>a&#13;QUIT&#10;JOIN</pre>", vec!["\u{11}a", "\u{11}QUIT", "\u{11}JOIN"]),
        (1, "<a href=\"https://a/&#13;&#10;QUIT\">x</a>", vec!["x"]),
        (13, "a&#0;b\0c", vec!["a\u{fffd}bc"]),
        (16, "&#1;ACTION waves&#1;", vec!["ACTION waves"]),
        (20, "&#x202e;evil&rlm;", vec!["evil\u{200f}"]),
        (22, "<script>alert(1)</script><b onclick='x'>a</b>", vec!["\u{2}a"]),
        (22, "<a href='javascript:alert(1)'>x</a> <a href='data:text/html,y'>y</a>", vec!["x y"]),
        (22, "<!DOCTYPE x [<!ENTITY a 'bbbb'>]>&a;", vec!["]>&a;"]),
        (22, "&lt;b&gt; &amp;lt;", vec!["<b> &lt;"]),
        (58, "&#3;4x&#2;y", vec!["4xy"]),
    ] {
        assert_eq!(formatted(html), expected, "number {number}: {html}");
    }
}

/// 7: who is quoted and what they said goes before an answer, and neither makes a line.
#[test]
fn a_quote_makes_no_line_of_its_own() {
    let mut source = Spans::plain("\u{1}one\r\ntwo");
    source.hide_spoilers();
    let quoted: String = source.to_plain().lines().take(1).collect();
    let mut answer = Spans::plain("yes\0");
    answer.put_before(&format!("<ada> \"{quoted}\" <- "));
    assert_eq!(sent(&answer), ["<ada> \"one\" <- yes"]);
}

/// 17: a message of 400 lines or 60 kB is said in part, and how much is left is known.
#[test]
fn a_long_message_is_no_flood() {
    for text in [
        "line\n".repeat(400),
        "word ".repeat(12_000),
        "a".repeat(60_000),
        format!("<b>{}</b>", "a ".repeat(30_000)),
    ] {
        let spans = html::read(&text.replace('\n', "<br>")).expect("not too much");
        let logical = irc_codes::write(&spans, Codes::On);
        let (lines, cut) = split::lines(&logical, LINE_BYTES, LINES);
        assert_eq!(lines.len(), LINES);
        let (all, none) = split::lines(&logical, LINE_BYTES, usize::MAX);
        assert_eq!((all.len(), none), (LINES + cut, 0));
    }
}

/// 18, 19: limits are of bytes; letters stay whole, and a letter that is too long does not stop anything.
#[test]
fn bytes_are_counted_and_letters_kept() {
    let letters = "e\u{301}".repeat(1_000);
    let (lines, _) = split::lines(&[letters], LINE_BYTES, usize::MAX);
    assert!(
        lines
            .iter()
            .all(|line| line.len() <= LINE_BYTES && line.starts_with('e') && line.ends_with('\u{301}'))
    );
    let bomb = format!("a{}", "\u{301}\u{489}".repeat(15_000));
    let started = Instant::now();
    assert!(body(&bomb).len() <= LINES);
    assert!(started.elapsed() < TIME_MAX);
    for size in 1..40 {
        let (lines, _) = split::lines(&["\u{2}żółć\u{3}04,05x\u{4}ff0000y 👨‍👩‍👧".to_owned()], size, usize::MAX);
        assert!(lines.iter().all(|line| line.len() <= size.max(4)), "{size}: {lines:?}");
    }
}

/// 21: whatever is nested how deep, it is said at once that it is too much, or read; on a small stack.
#[test]
fn a_deep_event_is_refused_before_it_is_read() {
    for (tag, verdict) in [
        ("<b>", Err(TooMuch::Tags)),
        ("<div>", Err(TooMuch::Tags)),
        ("<blockquote>", Err(TooMuch::Depth)),
        ("<unknown-element>", Ok(())),
    ] {
        let html = tag.repeat(HTML_BYTES_MAX / tag.len());
        let reader = std::thread::Builder::new().stack_size(64 * 1024).spawn(move || {
            let started = Instant::now();
            (html::read(&html).map(|_| ()), started.elapsed())
        });
        let (read, time) = reader.expect("a thread").join().expect("no overflow");
        assert_eq!(read, verdict, "{tag}");
        assert!(time < TIME_MAX, "{tag}: {time:?}");
    }
    assert_eq!(html::read(&"<b>".repeat(100_000)), Err(TooMuch::Bytes));
}

/// 30: a message that names a thousand people is a message, with at most as many mentions as were allowed.
#[test]
fn a_thousand_names_are_text() {
    let mut spans = irc_codes::read(&(0..1_000).map(|at| format!("user{at} ")).collect::<String>());
    spans.mention_words(5, |nick| Some((UserId::new(&format!("@{nick}:hs"))?, nick.to_owned())));
    assert_eq!(spans.mentions().count(), 5);
    assert!(html::write(&spans).expect("mentions").formatted.ends_with("user998 user999 "));
}

/// 48: bytes that are no UTF-8 are read as another charset, and never as more than text.
#[test]
fn bytes_of_any_charset_are_text() {
    let mut framer = Framer::new(Charset::default());
    framer.push(b":a!b@c PRIVMSG #c :caf\xe9 \xff\xfe\x02\x80\r\n");
    let line = framer.next_line(Observe::Chat).expect("a line");
    let (text, html) = shown(&line.params[1]);
    assert!(text.starts_with("café ") && html.is_some_and(|html| html.contains("<b>")), "{text:?}");
}

#[test]
fn irc_to_matrix_by_number() {
    for (number, irc, body, formatted) in [
        (58, "\u{3}99,99\u{4}zz\u{2}", "zz", None),
        (58, "\u{3}4unclosed", "unclosed", Some("<span data-mx-color=\"#ff0000\">unclosed</span>")),
        (59, "<b>&amp;</b>", "<b>&amp;</b>", None),
        (59, "\u{2}<b>&amp;</b>", "<b>&amp;</b>", Some("<b>&lt;b&gt;&amp;amp;&lt;/b&gt;</b>")),
        (59, "@room \u{2}hi", "@room hi", Some("@room <b>hi</b>")),
        (
            59,
            "@ada:example.org https://matrix.to/#/@ada:example.org",
            "@ada:example.org https://matrix.to/#/@ada:example.org",
            None,
        ),
        (
            59,
            "\u{2}https://a.b/\"><script>",
            "https://a.b/\"><script>",
            Some("<a href=\"https://a.b/\"><b>https://a.b/</b></a><b>&quot;&gt;&lt;script&gt;</b>"),
        ),
        (60, "Quit: \u{2}<img src=x>", "Quit: <img src=x>", Some("Quit: <b>&lt;img src=x&gt;</b>")),
        (20, "\u{202e}evil \u{2}x", "evil x", Some("evil <b>x</b>")),
    ] {
        assert_eq!(shown(irc), (body.to_owned(), formatted.map(str::to_owned)), "number {number}: {irc:?}");
        assert_eq!(irc_codes::read(irc).mentions().count(), 0, "nobody is mentioned who was not found");
    }
}

/// 58: however many codes there are, HTML is bounded by the text.
#[test]
fn a_bomb_of_codes_makes_no_bomb_of_html() {
    let codes = [
        "\u{2}",
        "\u{3}4,5",
        "\u{3}",
        "\u{4}ff0000,00ff00",
        "\u{16}",
        "\u{1d}\u{1f}\u{1e}\u{11}",
        "\u{3}1,1",
        "\u{f}",
    ];
    for code in codes {
        for text in ["", "a", "&", "a b", "\n"] {
            let bomb = format!("{code}{text}").repeat(4_000);
            let started = Instant::now();
            let (body, html) = shown(&bomb);
            assert!(html.is_none_or(|html| html.len() <= 4 * bomb.len() + 4_096), "{code:?} {text:?}");
            assert!(body.len() <= bomb.len() + 4_096 && started.elapsed() < TIME_MAX, "{code:?} {text:?}");
        }
    }
}

/// 61: what is CTCP is no text, whatever it asks for.
#[test]
fn requests_are_told_from_text() {
    for (text, verb) in [
        ("\u{1}VERSION\u{1}", Some("VERSION")),
        ("\u{1}DCC SEND \"x y\" 2130706433 80 1\u{1}", Some("DCC")),
        ("\u{1}CLIENTINFO", Some("CLIENTINFO")),
        ("\u{1}\u{1}", Some("")),
        ("x\u{1}VERSION\u{1}", None),
    ] {
        let read = match irc_codes::parse_ctcp(text) {
            Ctcp::Other { verb, .. } => Some(verb),
            Ctcp::None => None,
            Ctcp::Action(words) => panic!("{words}"),
        };
        assert_eq!(read, verb, "{text:?}");
    }
    assert_eq!(shown("x\u{1}VERSION\u{1}").0, "xVERSION");
}
