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

/// Bytes of anything, or pieces and bytes in a row.
fn input() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(PIECES).prop_map(|text| text.as_bytes().to_vec());
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
    fn any_bytes_of_a_server_are_lines_or_nothing(bytes in input()) {
        entries::line(&bytes);
    }

    #[test]
    fn any_modes_are_read_without_a_guess(bytes in input()) {
        entries::modes(&bytes);
    }

    #[test]
    fn any_capabilities_end(bytes in input()) {
        entries::caps(&bytes);
    }

    #[test]
    fn any_word_of_a_server_leaves_limits_that_work(bytes in input()) {
        entries::isupport(&bytes);
    }
}
