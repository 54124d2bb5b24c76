//! Moments as text: the `time` tag of a line (IRCv3 "server-time"), and UTC for people.
//!
//! Knows the calendar and nothing of zones or leap seconds; reads no clock. Text that is no moment is `None`.

const DAY_MS: u64 = 24 * 3600 * 1000;
/// Days from 0000-03-01 to 1970-01-01.
const EPOCH_DAYS: u64 = 719_468;
/// Days of 400 years.
const ERA_DAYS: u64 = 146_097;

/// `2026-11-23T08:12:39.123Z` in milliseconds since the Unix epoch; the fraction may be missing.
pub fn parse(text: &str) -> Option<u64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let (time, fraction) = time.split_once('.').unwrap_or((time, ""));
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
    // A leap second is the one before it, for us.
    let is_moment = year >= 1970 && (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24;
    if !is_moment || minute > 59 || second > 60 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let ms: u64 = format!("{fraction:0<3.3}").parse().ok()?;
    Some(days(year, month, day) * DAY_MS + ((hour * 60 + minute) * 60 + second.min(59)) * 1000 + ms)
}

/// A moment for people: `2026-11-23 08:12:39 UTC`.
pub fn utc(ms: u64) -> String {
    let (year, month, day) = date(ms / DAY_MS);
    let second = ms % DAY_MS / 1000;
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

/// Three numbers with so many digits each.
fn numbers(text: &str, separator: char, digits: [usize; 3]) -> Option<[u64; 3]> {
    let mut parts = text.split(separator);
    let mut number = |digits: usize| {
        let part = parts.next().filter(|part| part.len() == digits)?;
        part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse::<u64>().ok()).flatten()
    };
    let found = [number(digits[0])?, number(digits[1])?, number(digits[2])?];
    parts.next().is_none().then_some(found)
}

/// Days since the epoch. Years begin in March, so that a leap day is the last of its year.
fn days(year: u64, month: u64, day: u64) -> u64 {
    let year = year - u64::from(month <= 2);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let (era, of_era) = (year / 400, year % 400);
    era * ERA_DAYS + of_era * 365 + of_era / 4 - of_era / 100 + of_year - EPOCH_DAYS
}

/// Year, month and day of so many days since the epoch.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + EPOCH_DAYS;
    let (era, of_era) = (days / ERA_DAYS, days % ERA_DAYS);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = (month + 2) % 12 + 1;
    (era * 400 + year + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn moments_are_read_as_they_were_written() {
        assert_eq!(parse("1970-01-01T00:00:00.000Z"), Some(0));
        assert_eq!(parse("2011-10-19T16:40:51.620Z"), Some(1_319_042_451_620));
        assert_eq!(parse("2024-02-29T23:59:59Z"), Some(1_709_251_199_000));
        assert_eq!(parse("2000-03-01T00:00:00.5Z"), Some(951_868_800_500));
        assert_eq!(utc(1_709_251_199_000), "2024-02-29 23:59:59 UTC");
        assert_eq!(utc(951_868_800_500), "2000-03-01 00:00:00 UTC");
    }

    #[test]
    fn nonsense_is_no_moment() {
        for text in [
            "",
            "Z",
            "T",
            "2011-10-19",
            "2011-10-19T16:40:51",
            "2011-13-19T16:40:51Z",
            "2011-10-00T16:40:51Z",
            "2011-10-19T24:40:51Z",
            "2011-10-19T16:40:61Z",
            "1969-10-19T16:40:51Z",
            "+011-10-19T16:40:51Z",
            "2011-10-19T16:40:51.6x0Z",
            "2011-10-19-1T16:40:51Z",
            "99999999999999999999-10-19T16:40:51Z",
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_as_the_same_second(second in 0u64..253_402_300_800) {
            let text = utc(second * 1000).replace(" UTC", "Z").replace(' ', "T");
            prop_assert_eq!(parse(&text), Some(second * 1000));
        }

        #[test]
        fn no_text_is_too_odd(text in "[0-9T:Z.é-]{0,30}") {
            let _ = parse(&text);
        }
    }
}
