//! The table of settings that count without a restart, in `docs/OPERATING.md`, is made here from the code that reloads.
//!
//! `BUNRAKU_BLESS=1 cargo test --test reload` writes it anew. That the code does what its table says is tested beside it.

use std::path::Path;

use bunraku::app::reload::plan::{Counts, LIVE};

const BEGIN: &str = "<!-- made from the code: BUNRAKU_BLESS=1 cargo test --test reload -->\n";
const END: &str = "<!-- end -->";

fn table() -> String {
    let row = |(place, counts): &(&str, Counts)| {
        let name = place.replace("networks.*.", "");
        let of = if place.starts_with("networks.") { "of a network: " } else { "" };
        format!("| {of}`{name}` | {} |\n", counts.words())
    };
    format!("| setting | counts |\n|---|---|\n{}", LIVE.iter().map(row).collect::<String>())
}

#[test]
fn the_manual_has_the_table_of_the_code() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/OPERATING.md");
    let there = std::fs::read_to_string(&page).expect("the page");
    let (before, rest) = there.split_once(BEGIN).expect("where the table begins");
    let (_, after) = rest.split_once(END).expect("where it ends");
    let made = format!("{before}{BEGIN}{}{END}{after}", table());
    if std::env::var_os("BUNRAKU_BLESS").is_some() {
        std::fs::write(&page, &made).expect("a writable page");
    } else {
        assert!(there == made, "not what the code does: BUNRAKU_BLESS=1 cargo test --test reload");
    }
}
