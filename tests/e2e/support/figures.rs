//! How much is tried, and the figures that come of it, as lines of a table for `docs/RELIABILITY.md`.

use super::judge::Verdict;

/// Whether the long version was asked for (`scripts/faults --long`).
pub fn is_long() -> bool {
    std::env::var("BUNRAKU_FAULTS").is_ok_and(|value| value == "long")
}

/// How often something is tried: `BUNRAKU_FAULTS_COUNT`, else by the version.
pub fn count(short: usize, long: usize) -> usize {
    match std::env::var("BUNRAKU_FAULTS_COUNT") {
        Ok(text) => text.parse().expect("BUNRAKU_FAULTS_COUNT is a number"),
        Err(_) => {
            if is_long() {
                long
            } else {
                short
            }
        }
    }
}

/// Messages a second each way: `BUNRAKU_FAULTS_RATE`, else 20.
pub fn rate() -> u32 {
    let rate = std::env::var("BUNRAKU_FAULTS_RATE").ok();
    rate.map_or(20, |text| text.parse().expect("BUNRAKU_FAULTS_RATE is a number"))
}

/// Prints one line of the table; `scripts/faults` finds it by its mark.
pub fn report(fault: &str, direction: &str, verdict: &Verdict, more: &str) {
    let Verdict { accepted, arrived, told, .. } = verdict;
    let (lost, doubled, overtaken) = (verdict.lost.len(), verdict.doubled.len(), verdict.overtaken.len());
    eprintln!(
        "FIGURES | {fault} | {direction} | {accepted} | {arrived} | {told} | {lost} | {doubled} | {overtaken} | {more} |"
    );
}
