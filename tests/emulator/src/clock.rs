//! The emulator's clock, and the two time formats of the API.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A point in time, as the duration since the Unix epoch.
pub(crate) type Moment = Duration;

/// Wall-clock time that never runs backwards, even if the system clock is set.
#[derive(Debug)]
pub(crate) struct Clock {
    started: Instant,
    epoch: Moment,
}

impl Clock {
    pub(crate) fn new() -> Clock {
        Clock { started: Instant::now(), epoch: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() }
    }

    pub(crate) fn now(&self) -> Moment {
        self.epoch + self.started.elapsed()
    }
}

/// Formats a time as RFC 3339 in UTC with milliseconds, such as `2026-04-05T12:00:00.000Z`.
pub(crate) fn rfc3339(moment: Moment) -> String {
    let (year, month, day) = date(moment.as_secs() / 86_400);
    let (hour, minute, second) = time_of_day(moment.as_secs());
    let millis = moment.subsec_millis();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

/// Formats a time as an HTTP date, such as `Sun, 05 Apr 2026 12:00:00 GMT`.
pub(crate) fn http_date(moment: Moment) -> String {
    // 1 January 1970 was a Thursday.
    const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let days = moment.as_secs() / 86_400;
    let (year, month, day) = date(days);
    let (hour, minute, second) = time_of_day(moment.as_secs());
    let weekday = WEEKDAYS[(days % 7) as usize];
    let month = MONTHS[month as usize - 1];
    format!("{weekday}, {day:02} {month} {year} {hour:02}:{minute:02}:{second:02} GMT")
}

/// Parses an RFC 3339 time. A time before 1970 becomes the epoch.
pub(crate) fn parse_rfc3339(text: &str) -> Option<Moment> {
    let bytes = text.as_bytes();
    let number = |from: usize, to: usize| -> Option<i64> {
        let digits = bytes.get(from..to)?;
        digits.iter().try_fold(0, |sum, byte| match byte {
            b'0'..=b'9' => Some(sum * 10 + i64::from(byte - b'0')),
            _ => None,
        })
    };
    let one_of = |at: usize, allowed: &[u8]| bytes.get(at).filter(|byte| allowed.contains(byte));
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    one_of(4, b"-").and(one_of(7, b"-"))?;
    one_of(10, b"Tt ")?;
    one_of(13, b":").and(one_of(16, b":"))?;
    // 60 is a leap second.
    let in_range = (1..=12).contains(&month)
        && (1..=days_in_month(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    if !in_range {
        return None;
    }
    let mut at = 19;
    let mut nanos = 0;
    if one_of(at, b".").is_some() {
        let digits = bytes[at + 1..].iter().take_while(|byte| byte.is_ascii_digit());
        let count = digits.count();
        if count == 0 {
            return None;
        }
        let kept = count.min(9);
        nanos = number(at + 1, at + 1 + kept)? * 10_i64.pow(9 - kept as u32);
        at += 1 + count;
    }
    let offset = match bytes.get(at)? {
        b'Z' | b'z' if bytes.len() == at + 1 => 0,
        sign @ (b'+' | b'-') if bytes.len() == at + 6 => {
            one_of(at + 3, b":")?;
            let (hours, minutes) = (number(at + 1, at + 3)?, number(at + 4, at + 6)?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            let seconds = hours * 3600 + minutes * 60;
            if *sign == b'-' { -seconds } else { seconds }
        }
        _ => return None,
    };
    let seconds = days_since_epoch(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset;
    Some(match u64::try_from(seconds) {
        Ok(seconds) => Duration::new(seconds, nanos as u32),
        Err(_) => Duration::ZERO,
    })
}

fn time_of_day(seconds: u64) -> (u64, u64, u64) {
    (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60)
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// The days since 1 January 1970. The year starts in March here, so that the leap day is its last day.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let shifted = if month <= 2 { year - 1 } else { year };
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let leap_days = shifted.div_euclid(4) - shifted.div_euclid(100) + shifted.div_euclid(400);
    // There are 719,468 days from 1 March of year 0 to the epoch.
    shifted * 365 + leap_days + day_of_year - 719_468
}

/// The year, month and day of a number of days since the epoch.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_times_are_formatted_and_parsed() {
        for (seconds, rfc, http) in [
            (0, "1970-01-01T00:00:00.000Z", "Thu, 01 Jan 1970 00:00:00 GMT"),
            (951_782_400, "2000-02-29T00:00:00.000Z", "Tue, 29 Feb 2000 00:00:00 GMT"),
            (1_775_390_400, "2026-04-05T12:00:00.000Z", "Sun, 05 Apr 2026 12:00:00 GMT"),
            (4_107_542_399, "2100-02-28T23:59:59.000Z", "Sun, 28 Feb 2100 23:59:59 GMT"),
        ] {
            let moment = Duration::from_secs(seconds);
            assert_eq!(rfc3339(moment), rfc);
            assert_eq!(http_date(moment), http);
            assert_eq!(parse_rfc3339(rfc), Some(moment));
        }
    }

    #[test]
    fn every_day_of_four_centuries_is_parsed_as_it_was_formatted() {
        for day in 0..146_097 {
            let moment = Duration::from_secs(day * 86_400 + 86_399);
            assert_eq!(parse_rfc3339(&rfc3339(moment)), Some(moment));
        }
    }

    #[test]
    fn offsets_and_fractions_are_parsed() {
        let noon = Duration::from_secs(1_775_390_400);
        assert_eq!(parse_rfc3339("2026-04-05T14:00:00+02:00"), Some(noon));
        assert_eq!(parse_rfc3339("2026-04-05t07:30:00-04:30"), Some(noon));
        assert_eq!(parse_rfc3339("2026-04-05T12:00:00.25Z"), Some(noon + Duration::from_millis(250)));
        assert_eq!(parse_rfc3339("1969-12-31T23:59:59Z"), Some(Duration::ZERO));
    }

    #[test]
    fn invalid_times_are_refused() {
        for text in [
            "",
            "2026",
            "2026-04-05",
            "2026-04-05T12:00:00",
            "2026-13-05T12:00:00Z",
            "2026-02-29T12:00:00Z",
            "2026-04-05T24:00:00Z",
            "2026-04-05T12:00:00.Z",
            "2026-04-05T12:00:00+2:00",
            "2026-04-05T12:00:00Z ",
            "2026-04-05T12:00:00 00:00",
            "+026-04-05T12:00:00Z",
            "２０２６-04-05T12:00:00Z",
        ] {
            assert_eq!(parse_rfc3339(text), None, "{text}");
        }
    }
}
