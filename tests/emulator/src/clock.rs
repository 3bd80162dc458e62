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
    humantime::format_rfc3339_millis(UNIX_EPOCH + moment).to_string()
}

/// Formats a time as an HTTP date, such as `Sun, 05 Apr 2026 12:00:00 GMT`.
pub(crate) fn http_date(moment: Moment) -> String {
    httpdate::fmt_http_date(UNIX_EPOCH + moment)
}

/// Parses an RFC 3339 time. A time before 1970 becomes the epoch.
pub(crate) fn parse_rfc3339(text: &str) -> Option<Moment> {
    let text = text.replacen([' ', 't'], "T", 1).replace('z', "Z");
    let (local, offset) = text.split_at_checked(text.len().checked_sub(if text.ends_with('Z') { 1 } else { 6 })?)?;
    let number = |from: usize, limit: u64| {
        let digits = offset.get(from..from + 2).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
        digits?.parse::<u64>().ok().filter(|number| *number < limit)
    };
    let seconds = match offset.as_bytes() {
        b"Z" => 0,
        [b'+' | b'-', _, _, b':', ..] => number(1, 24)? * 3600 + number(4, 60)? * 60,
        _ => return None,
    };
    if local.ends_with('.') {
        return None;
    }
    // humantime parses no year before 1970. The leap year 1972 has every day.
    let is_old = local.starts_with(|c: char| c.is_ascii_digit()) && local < "1970";
    let local = if is_old { format!("1972{}", local.get(4..)?) } else { local.to_owned() };
    let time = humantime::parse_rfc3339(&format!("{local}Z")).ok()?.duration_since(UNIX_EPOCH).ok()?;
    let difference = Duration::from_secs(seconds);
    let moment = if offset.starts_with('-') { time + difference } else { time.saturating_sub(difference) };
    Some(if is_old { Duration::ZERO } else { moment })
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
