//! Unix milliseconds as text a person can read in a wallet's window: RFC 3339 in UTC, always with
//! three digits of milliseconds (`2026-11-23T03:32:00.000Z`). One time has one text.
//!
//! No time library: this is the proleptic Gregorian calendar between 1970 and 9999 and no more.

const MS_PER_DAY: u64 = 86_400_000;

/// Last millisecond that four digits of year can say: 9999-12-31T23:59:59.999Z.
pub(super) const MAX_MS: u64 = 253_402_300_799_999;

/// The text of a time; `None` beyond [`MAX_MS`].
pub(super) fn format(ms: u64) -> Option<String> {
    if ms > MAX_MS {
        return None;
    }
    let (year, month, day) = date(ms / MS_PER_DAY);
    let (rest, milli) = (ms % MS_PER_DAY / 1000, ms % 1000);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    Some(format!(
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z"
    ))
}

/// The time of a text in exactly the form that [`format`] writes.
pub(super) fn parse(text: &str) -> Option<u64> {
    let number = |at: std::ops::Range<usize>| -> Option<u64> { text.get(at)?.parse().ok() };
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    let milli = number(20..23)?;
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let seconds = ((days(year, month, day)? * 24 + hour) * 60 + minute) * 60 + second;
    let ms = seconds * 1000 + milli;
    // Writing it again catches everything else: separators, 30 February, hour 24, "+1".
    (format(ms)? == text).then_some(ms)
}

/// Days from 1970-01-01 to a date. Years are counted from March, so that the leap day comes last
/// and a month's offset is the one line `(153 m + 2) / 5`.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let since_year_zero =
        365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    since_year_zero.checked_sub(EPOCH)
}

/// Days from 1 March of year 0 to 1 January 1970.
const EPOCH: u64 = 719_468;

/// The inverse of [`days`]: year, month, day.
fn date(days: u64) -> (u64, u64, u64) {
    let total = days + EPOCH;
    let (era, day_of_era) = (total / 146_097, total % 146_097);
    // Takes out the leap days before dividing: 1 460 days, 36 524, and the era's last.
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let year = era * 400 + year_of_era;
    if month < 10 {
        (year, month + 3, day)
    } else {
        (year + 1, month - 9, day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_times_have_their_text() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_709_251_199_999, "2024-02-29T23:59:59.999Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (1_795_404_720_000, "2026-11-23T03:32:00.000Z"),
            (MAX_MS, "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(format(ms).as_deref(), Some(text));
            assert_eq!(parse(text), Some(ms));
        }
        assert_eq!(format(MAX_MS + 1), None);
    }

    #[test]
    fn texts_that_are_no_time_are_refused() {
        for text in [
            "",
            "1969-12-31T23:59:59.999Z",
            "2026-02-29T00:00:00.000Z",
            "2100-02-29T00:00:00.000Z",
            "2026-11-23T24:00:00.000Z",
            "2026-11-23T03:60:00.000Z",
            "2026-11-23 03:32:00.000Z",
            "2026-11-23T03:32:00.000z",
            "2026-11-23T03:32:00Z",
            "2026-11-23T03:32:00.000Z ",
            "2026-11-23T+3:32:00.000Z",
            "2026-00-10T00:00:00.000Z",
            "0000-01-01T00:00:00.000Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let mut expected = (1970, 1, 1);
        for day in 0..=MAX_MS / MS_PER_DAY {
            assert_eq!(date(day), expected);
            let (year, month, of_month) = expected;
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let length = match month {
                2 if leap => 29,
                2 => 28,
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            expected = match (of_month == length, month) {
                (false, _) => (year, month, of_month + 1),
                (true, 12) => (year + 1, 1, 1),
                (true, _) => (year, month + 1, 1),
            };
        }
        assert_eq!(expected, (10_000, 1, 1));
    }

    proptest! {
        #[test]
        fn reading_undoes_writing(ms in 0..=MAX_MS) {
            prop_assert_eq!(parse(&format(ms).unwrap()), Some(ms));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,30}") {
            if let Some(ms) = parse(&text) {
                prop_assert_eq!(format(ms).unwrap(), text);
            }
        }
    }
}
