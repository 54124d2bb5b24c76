//! The entries of the fuzz targets (`fuzz/entries.rs`) with random input: bytes, and what is nearly what servers
//! say. `PROPTEST_CASES=100000 cargo test --release --test fuzz` goes on for longer.

use proptest::prelude::*;

#[path = "../fuzz/entries.rs"]
mod entries;

/// Pieces of what servers say, for each entry: what is nearly right gets further than what is not.
const PIECES: &[&str] = &[
    "\r\n",
    "\n",
    " ",
    " :",
    ":",
    ",",
    "=",
    "*",
    "@",
    "!",
    "\0",
    "\u{1}",
    "\u{3}4,5",
    "+",
    "-",
    "é",
    "\u{202e}",
    "@time=x;+a\\:=b ",
    ":irc.test ",
    ":ada!~ada@host ",
    "PRIVMSG #c :",
    "NOTICE ada :",
    "JOIN #c",
    "MODE #c ",
    "001 ada :",
    "005 ada ",
    "353 ada = #c :@bob +eve",
    "404 ada #c :",
    "433 * ada :",
    "471 ada #c :",
    "FAIL JOIN BANNED #c :",
    "CAP * LS * :",
    "LS * :",
    "LS :",
    "ACK :",
    "NAK :",
    "NEW :",
    "DEL :",
    "sasl=PLAIN",
    "batch",
    "labeled-response",
    "cap-notify",
    "-sasl",
    "~",
    "sts=port=6697,duration=99",
    "multi-prefix",
    "chghost",
    "standard-replies",
    "CASEMAPPING=rfc1459",
    "CASEMAPPING=rfc8265",
    "CHANMODES=b,k,l,imnpst",
    "CHANMODES=",
    "b,k,l,imnpst",
    "beI,k,lfj,imnpst",
    "PREFIX=(ov)@+",
    "PREFIX=",
    "(qaohv)~&@%+",
    "(ov)@+",
    "(ov",
    "NICKLEN=30",
    "NICKLEN=0",
    "LINELEN=99999999999999999999",
    "CHANTYPES=#&",
    "CHANTYPES=",
    "UTF8ONLY",
    "BOT=B",
    "NAMELEN=50",
    "MONITOR",
    "+ov-k+b ada bob key *!*@spam",
    "+o",
    "-l",
    "+kl key 5",
    "+bbb",
    "ada",
    "#c",
    "@#c",
    "5",
];

/// Pieces of what people's clients write, of both sides.
const TEXT_PIECES: &[&str] = &[
    "<b>",
    "</b>",
    "<i>",
    "</i>",
    "<u>",
    "<del>",
    "</del>",
    "<code>",
    "</code>",
    "<pre>",
    "</pre>",
    "<code class=\"language-rust\">",
    "<p>",
    "</p>",
    "<br>",
    "<hr>",
    "<div>",
    "</div>",
    "<h1>",
    "</h1>",
    "<ul>",
    "</ul>",
    "<ol>",
    "<ol start=\"7\">",
    "</ol>",
    "<li>",
    "</li>",
    "<blockquote>",
    "</blockquote>",
    "<a href=\"https://a.b/?c&amp;d\">",
    "<a href=\"https://matrix.to/#/%40ada%3Ahs\">",
    "<a href='javascript:x'>",
    "</a>",
    "<span data-mx-spoiler>",
    "<span data-mx-spoiler=\"why\">",
    "</span>",
    "<font color=red data-mx-bg-color=#00ff00>",
    "</font>",
    "<table>",
    "<tr>",
    "<td>",
    "<th>",
    "</table>",
    "<img alt=\":cat:\">",
    "<details>",
    "<summary>",
    "<mx-reply>",
    "</mx-reply>",
    "<script>",
    "</script>",
    "<sup>",
    "</sup>",
    "<!--",
    "-->",
    "<unknown a=b>",
    "&lt;",
    "&amp;",
    "&#1;",
    "&#13;",
    "&nbsp;",
    "&",
    "<",
    ">",
    "\"",
    "'",
    "\u{2}",
    "\u{3}",
    "\u{3}4",
    "\u{3}04,12",
    "\u{3}1,1",
    "\u{3}99,99",
    "\u{4}",
    "\u{4}ff00aa",
    "\u{4}ff00aa,000000",
    "\u{f}",
    "\u{11}",
    "\u{16}",
    "\u{1d}",
    "\u{1e}",
    "\u{1f}",
    "\u{1}",
    "\0",
    "\r",
    "\n",
    "\t",
    " ",
    "  ",
    "> ",
    "> > ",
    "    ",
    "[spoiler] ",
    ",",
    ",5",
    "1",
    "7",
    "ada",
    "ada:",
    "@ada",
    "@room",
    "ada's",
    "https://a.b/c",
    "(https://a.b)",
    "matrix:u/a:b",
    "mailto:a@b",
    "e\u{301}",
    "\u{1f468}\u{200d}\u{1f469}",
    "żółć",
    "\u{202e}",
    "\u{2028}",
    "\u{a0}",
    "word",
    "x",
];

/// Bytes of anything, or pieces and bytes in a row.
fn input(pieces: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(pieces).prop_map(|text| text.as_bytes().to_vec());
    let bytes = prop::collection::vec(any::<u8>(), 0..8);
    let long = (any::<u8>(), 1..10_000_usize).prop_map(|(byte, count)| vec![byte; count]);
    let part = prop_oneof![16 => piece, 4 => bytes, 1 => long];
    prop_oneof![
        1 => prop::collection::vec(any::<u8>(), 0..600),
        4 => prop::collection::vec(part, 0..40).prop_map(|parts| parts.concat()),
    ]
}

proptest! {
    #[test]
    fn any_bytes_of_a_server_are_lines_or_nothing(bytes in input(PIECES)) {
        entries::line(&bytes);
    }

    #[test]
    fn any_modes_are_read_without_a_guess(bytes in input(PIECES)) {
        entries::modes(&bytes);
    }

    #[test]
    fn any_capabilities_end(bytes in input(PIECES)) {
        entries::caps(&bytes);
    }

    #[test]
    fn any_word_of_a_server_leaves_limits_that_work(bytes in input(PIECES)) {
        entries::isupport(&bytes);
    }

    #[test]
    fn any_html_is_lines_and_html_again(bytes in input(TEXT_PIECES)) {
        entries::html(&bytes);
    }

    #[test]
    fn any_codes_are_html_and_lines_again(bytes in input(TEXT_PIECES)) {
        entries::codes(&bytes);
    }

    #[test]
    fn any_text_is_cut_into_lines(bytes in input(TEXT_PIECES)) {
        entries::split(&bytes);
    }
}
