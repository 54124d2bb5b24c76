//! Stories of the common form, and what holds whatever goes through it.

use proptest::prelude::*;

use super::*;
use crate::text::html;
use crate::text::irc_codes::{self, Codes};
use crate::text::split;

#[test]
fn plain_text_comes_back_as_it_was() {
    for text in ["a", "a\nb\n\nc", "  indented", "tab\there", ""] {
        assert_eq!(Spans::plain(text).to_plain(), text);
    }
    assert_eq!(Spans::plain("a\r\nb\rc\0\u{1}\u{2}d\u{2028}e\u{85}f\u{202e}").to_plain(), "a\nb\ncd e f");
    assert!(Spans::plain(" \n\t").is_empty() && Spans::default().is_empty() && !Spans::plain("a").is_empty());
    assert!(html::read("<p> </p><b></b>").unwrap().is_empty());
    assert!(!html::read("<hr>").unwrap().is_empty());
}

#[test]
fn mentions_get_the_names_of_the_other_side() {
    let pill = |user: &str| format!("<a href=\"https://matrix.to/#/{user}\">Somebody</a>");
    let html = format!("{}: ask {} or {}", pill("@ada:hs"), pill("@bob:hs"), pill("@eve:hs"));
    let mut spans = html::read(&html).unwrap();
    spans.name_mentions(|user| match user.localpart() {
        "ada" => Some("Ada`away".into()),
        "bob" => Some("b\r\nQUIT\u{1}".into()),
        _ => None,
    });
    assert_eq!(irc_codes::write(&spans, Codes::On), ["Ada`away: ask b", "QUIT or Somebody"]);
}

#[test]
fn something_is_put_before_a_message() {
    let before = |html: &str| {
        let mut spans = html::read(html).unwrap();
        spans.put_before("ada: ");
        irc_codes::write(&spans, Codes::Off).join("|")
    };
    assert_eq!(before("yes"), "ada: yes");
    assert_eq!(before("<b>yes</b>"), "ada: *yes*");
    assert_eq!(before("<ul><li>yes</ul>"), "ada: |* yes");
    assert_eq!(before(""), "ada: ");
}

#[test]
fn a_part_of_a_message_shows_nothing_hidden() {
    let mut spans =
        html::read("a <span data-mx-spoiler>b <b>c</b></span> d <span data-mx-spoiler>e").unwrap();
    assert_eq!(spans.to_plain(), "a [spoiler: b c] d [spoiler: e]");
    spans.hide_spoilers();
    assert_eq!(spans.to_plain(), "a [spoiler] d [spoiler]");
}

#[test]
fn what_old_clients_put_before_a_reply_is_left_out() {
    for (body, expected) in [
        ("> <@ada:hs> question\n> more\n\nanswer\nmore", "answer\nmore"),
        ("> * <@ada:hs> waves\n\nanswer", "answer"),
        ("> <@ada:hs> question", ""),
        ("> quoted by hand\n\nanswer", "> quoted by hand\n\nanswer"),
        ("answer", "answer"),
    ] {
        assert_eq!(without_reply_fallback(body), expected);
    }
}

/// How text looks, apart from how it is divided: each line, each piece that looks the same.
fn look(spans: &Spans) -> Vec<Vec<(String, Style)>> {
    let mut lines = vec![Vec::<(String, Style)>::new()];
    for (index, block) in spans.blocks().iter().enumerate() {
        if index > 0 {
            lines.push(Vec::new());
        }
        for run in &block.runs {
            for (index, text) in run.text.split('\n').enumerate() {
                if index > 0 {
                    lines.push(Vec::new());
                }
                let line = lines.last_mut().unwrap();
                match line.last_mut() {
                    Some((before, style)) if *style == run.style => before.push_str(text),
                    _ if text.is_empty() => {}
                    _ => line.push((text.to_owned(), run.style)),
                }
            }
        }
    }
    lines
}

fn toggles() -> impl Strategy<Value = Style> {
    any::<[bool; 5]>().prop_map(|[bold, italic, underline, strike, mono]| Style {
        bold,
        italic,
        underline,
        strike,
        mono,
        ..Style::default()
    })
}

/// Styles that IRC can say.
fn irc_style() -> impl Strategy<Value = Style> {
    let colour = || proptest::option::weighted(0.4, (0_u8..=98).prop_map(Colour::Irc));
    (toggles(), any::<bool>(), proptest::bool::weighted(0.2), colour(), colour()).prop_map(
        |(style, reverse, spoiler, fg, bg)| match spoiler {
            true => Style { spoiler, ..style },
            false => Style { reverse, fg, bg: bg.filter(|_| fg != bg), ..style },
        },
    )
}

/// Styles that HTML can say.
fn html_style() -> impl Strategy<Value = Style> {
    let colour =
        || proptest::option::weighted(0.3, any::<[u8; 3]>().prop_map(|[r, g, b]| Colour::Rgb(r, g, b)));
    (toggles(), any::<bool>(), colour(), colour()).prop_map(|(style, spoiler, fg, bg)| Style {
        spoiler,
        fg,
        bg,
        ..style
    })
}

fn paragraph(style: impl Strategy<Value = Style>) -> impl Strategy<Value = Spans> {
    proptest::collection::vec(("[a-c][a-f0-9,<>&\"' é\n]{0,5}[a-c0-9,]", style), 0..6).prop_map(|runs| {
        let mut builder = Builder::default();
        for (text, style) in runs {
            // A line that has no letter is a picture and hides nothing.
            let text = if style.spoiler { text.replace('\n', "-") } else { text };
            builder.text(&text, style, None);
        }
        builder.finish()
    })
}

fn kind() -> impl Strategy<Value = BlockKind> {
    let marker = prop_oneof![Just(Marker::Bullet), (0_u32..30).prop_map(Marker::Number)];
    prop_oneof![
        3 => Just(BlockKind::Paragraph),
        2 => (marker, 0_u8..4).prop_map(|(marker, depth)| BlockKind::Item { marker, depth }),
        1 => proptest::option::of("[a-z]{1,5}").prop_map(|language| BlockKind::Code { language }),
        1 => (1_u8..=6).prop_map(BlockKind::Heading),
        1 => Just(BlockKind::Rule),
    ]
}

/// One run of a message in HTML: text, style, and what it leads to.
type Piece = (String, Style, u8);

fn message() -> impl Strategy<Value = Spans> {
    let piece = ("[a-c][a-f0-9,<>&\"' é\n]{0,5}[a-c]", html_style(), 0_u8..8);
    let pieces = proptest::collection::vec(piece, 1..4);
    proptest::collection::vec((0_u8..4, kind(), pieces), 0..6).prop_map(|blocks| {
        let mut builder = Builder::default();
        for (quote, kind, pieces) in blocks {
            let is_code = matches!(kind, BlockKind::Code { .. });
            builder.start(quote, kind.clone());
            if kind != BlockKind::Rule {
                pieces.into_iter().for_each(|piece| add(&mut builder, piece, is_code));
            }
            builder.end();
        }
        builder.finish()
    })
}

/// Without the spaces before line breaks, that nobody sees.
fn seen(text: &str) -> String {
    text.split('\n').map(str::trim_end).collect::<Vec<_>>().join("\n")
}

fn add(builder: &mut Builder, (text, style, target): Piece, is_code: bool) {
    let style = Style { mono: style.mono && !is_code, ..style };
    let link = Link::new(&format!("https://{target}.example/?a=\"&b"));
    match target {
        0 | 1 if !is_code => {
            let user = UserId::new(&format!("@{target}/é:hs")).unwrap();
            builder.mention(text.replace(['\n', ' '], "").as_str(), style, Mention::User(user));
        }
        2 | 3 => builder.text(&seen(&text), style, link.as_ref()),
        _ => builder.text(&seen(&text), style, None),
    }
}

/// White space is written so that it is seen, and some of it comes back as another.
fn as_html_keeps(spans: &Spans) -> Spans {
    let mut spans = spans.clone();
    for block in &mut spans.blocks {
        if matches!(block.kind, BlockKind::Code { .. }) {
            let last = block.runs.last_mut().unwrap();
            last.text.truncate(last.text.trim_end_matches('\n').len());
        }
    }
    spans
}

proptest! {
    #[test]
    fn a_message_survives_irc_as_far_as_codes_reach(spans in paragraph(irc_style())) {
        let irc = irc_codes::write(&spans, Codes::On).join("\n");
        prop_assert_eq!(look(&irc_codes::read(&irc)), look(&spans), "{:?}", irc);
    }

    #[test]
    fn a_message_survives_html(spans in message()) {
        let Some(written) = html::write(&spans) else { return Ok(()) };
        let again = html::read(&written.formatted).unwrap();
        prop_assert_eq!(&again, &as_html_keeps(&spans), "{}", written.formatted);
    }

    #[test]
    fn a_message_survives_the_cut(spans in paragraph(irc_style()), bytes_max in 40_usize..60) {
        let written = irc_codes::write(&spans, Codes::On);
        let (lines, cut) = split::lines(&written, bytes_max, usize::MAX);
        prop_assert_eq!(cut, 0);
        let seen = |lines: &[String]| {
            let mut letters: Vec<(char, Style)> = Vec::new();
            for (text, style) in look(&irc_codes::read(&lines.join("\n"))).concat() {
                letters.extend(text.chars().filter(|c| *c != ' ').map(|c| (c, style)));
            }
            letters
        };
        let letters = |letters: Vec<(char, Style)>| letters.into_iter().map(|(c, _)| c).collect::<String>();
        if written.iter().any(|line| line.contains("[spoiler]")) {
            // A mark that is cut off from what is hidden stays as text.
            prop_assert_eq!(letters(seen(&lines)).replace("[spoiler]", ""), letters(seen(&written)).replace("[spoiler]", ""));
        } else {
            prop_assert_eq!(seen(&lines), seen(&written));
        }
    }
}
