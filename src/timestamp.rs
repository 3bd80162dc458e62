//! Timestamps: strings as the service sent them, which convert to and from `SystemTime`.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// A timestamp as the service sent it, e.g. `2026-04-05T12:00:00.000Z`. It is not validated until
/// [`system_time`](Self::system_time) parses it. `==` compares the text; to compare times, use `system_time`.
///
/// ```
/// use std::time::{Duration, UNIX_EPOCH};
/// use nomic_client::Timestamp;
///
/// let sent = Timestamp::from("1970-01-02T01:00:00.250+01:00");
/// let time = sent.system_time()?;
/// assert_eq!(time, UNIX_EPOCH + Duration::from_millis(86_400_250));
/// assert_eq!(Timestamp::from(time).as_str(), "1970-01-02T00:00:00.250Z");
/// # Ok::<(), nomic_client::InvalidTimestamp>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(#[serde(deserialize_with = "text_or_number")] String);

/// A number is kept as text, for which [`system_time`](Timestamp::system_time) returns an error.
fn text_or_number<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    match Value::deserialize(from)? {
        Value::String(text) => Ok(text),
        Value::Number(number) => Ok(number.to_string()),
        other => Err(serde::de::Error::custom(format_args!("invalid type: {other}, expected a timestamp"))),
    }
}

/// A text that is not a timestamp.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(not(windows), error("{0:?} is not an RFC 3339 timestamp like 2026-04-05T12:00:00Z"))]
#[cfg_attr(windows, error("{0:?} is not an RFC 3339 timestamp like 2026-04-05T12:00:00Z, or is before 1601"))]
pub struct InvalidTimestamp(String);

impl Timestamp {
    /// The text as the service sent it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The point in time, to the nanosecond (on Windows to 100 ns). A leap second counts as the second after it.
    ///
    /// # Errors
    ///
    /// [`InvalidTimestamp`] if the text is not RFC 3339, or if `SystemTime` cannot hold it: on Windows it begins with the
    /// year 1601.
    pub fn system_time(&self) -> Result<SystemTime, InvalidTimestamp> {
        rfc3339(&self.0).ok_or_else(|| InvalidTimestamp(self.0.chars().take(64).collect()))
    }
}

impl From<&str> for Timestamp {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<String> for Timestamp {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<SystemTime> for Timestamp {
    /// In UTC, to the millisecond, as the service writes it.
    fn from(time: SystemTime) -> Self {
        // A duration has less than 2^64 seconds, so its milliseconds fit into an i128.
        let millis = match time.duration_since(UNIX_EPOCH) {
            Ok(after) => after.as_millis() as i128,
            Err(before) => -(before.duration().as_nanos().div_ceil(1_000_000) as i128),
        };
        // RFC 3339 has years of four digits.
        let millis = millis.clamp(days(0, 1, 1) as i128 * DAY_MILLIS, days(10_000, 1, 1) as i128 * DAY_MILLIS - 1);
        let (day, millis) = (millis.div_euclid(DAY_MILLIS) as i64, millis.rem_euclid(DAY_MILLIS));
        let (year, month, day) = date(day);
        let (hour, minute) = (millis / 3_600_000, millis / 60_000 % 60);
        let (second, milli) = (millis / 1_000 % 60, millis % 1_000);
        Self(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z"))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

const DAY_MILLIS: i128 = 86_400_000;

/// Days from 1970-01-01 to a date of the Gregorian calendar. Years begin in March here, so that the leap day comes last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    // 719 468 days lie between 0000-03-01 and 1970-01-01.
    year * 365 + leap_days + (153 * month + 2) / 5 + day - 1 - 719_468
}

/// The reverse of [`days`].
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (year * 365 + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (year, day) = (era * 400 + year, day - (153 * month + 2) / 5 + 1);
    if month < 10 { (year, month + 3, day) } else { (year + 1, month - 9, day) }
}

/// Seconds from 1970 to a time in UTC; `None` if there is no such day or time. A leap second counts as the one after it.
pub(crate) fn unix_seconds([year, month, day]: [i64; 3], [hour, minute, second]: [i64; 3]) -> Option<i64> {
    let days = days(year, month, day);
    let exists = date(days) == (year, month, day) && hour < 24 && minute < 60 && second <= 60;
    exists.then_some(days * 86_400 + hour * 3_600 + minute * 60 + second)
}

/// Reads numbers with these numbers of decimal digits, between separators.
pub(crate) fn numbers<const N: usize>(text: &str, separator: char, widths: [usize; N]) -> Option<[i64; N]> {
    let mut parts = text.split(separator);
    let mut numbers = [0; N];
    for (number, width) in numbers.iter_mut().zip(widths) {
        let part = parts.next().filter(|part| part.len() == width && is_decimal(part))?;
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(numbers)
}

/// Whether a text consists of decimal digits.
pub(crate) fn is_decimal(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn rfc3339(text: &str) -> Option<SystemTime> {
    let (date, time) = text.split_once(['T', 't', ' '])?;
    let (time, zone) = time.split_at(time.find(['Z', 'z', '+', '-'])?);
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let (sign, offset) = match zone.split_at(1) {
        ("Z" | "z", "") => (1, "00:00"),
        ("+", offset) => (1, offset),
        ("-", offset) => (-1, offset),
        _ => return None,
    };
    let [hours, minutes] = numbers(offset, ':', [2, 2]).filter(|[hours, minutes]| *hours < 24 && *minutes < 60)?;
    let local = unix_seconds(numbers(date, '-', [4, 2, 2])?, numbers(time, ':', [2, 2, 2])?)?;
    let seconds = local - sign * (hours * 3_600 + minutes * 60);
    // Padded or truncated to nine digits.
    let nanos = Some(fraction).filter(|fraction| is_decimal(fraction)).map(|fraction| format!("{fraction:0<9.9}"))?;
    let whole = Duration::from_secs(seconds.unsigned_abs());
    let base = if seconds < 0 { UNIX_EPOCH.checked_sub(whole)? } else { UNIX_EPOCH.checked_add(whole)? };
    base.checked_add(Duration::from_nanos(nanos.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(text: &str) -> Option<f64> {
        let time = Timestamp::from(text).system_time().ok()?;
        Some(match time.duration_since(UNIX_EPOCH) {
            Ok(after) => after.as_secs_f64(),
            Err(before) => -before.duration().as_secs_f64(),
        })
    }

    #[test]
    fn a_timestamp_is_its_text_in_json_and_a_number_harms_nothing() {
        let read = |json: &str| serde_json::from_str::<Timestamp>(json).unwrap();
        let text = r#""2026-04-05T12:00:00Z""#;
        assert_eq!(serde_json::to_string(&read(text)).unwrap(), text);
        for number in ["1775390400", "-5", "1.5"] {
            assert_eq!(read(number).as_str(), number);
            assert!(read(number).system_time().is_err());
        }
        assert!(serde_json::from_str::<Timestamp>("[]").is_err());
    }

    #[test]
    fn timestamps_of_every_form_are_read() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", 0.0),
            ("2026-04-05T12:00:00.000Z", 1_775_390_400.0),
            ("2026-04-05t12:00:00.5z", 1_775_390_400.5),
            ("2026-04-05 14:30:00+02:30", 1_775_390_400.0),
            ("2026-04-05T00:00:00-12:00", 1_775_390_400.0),
            ("2000-02-29T23:59:60Z", 951_868_800.0),
            ("1969-12-31T23:59:59.25Z", -0.75),
            ("1601-01-01T00:00:00Z", -11_644_473_600.0),
            ("9999-12-31T23:59:59Z", 253_402_300_799.0),
        ] {
            assert_eq!(seconds(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn a_time_before_1601_is_an_error_on_windows_and_never_another_time() {
        for (text, expected) in
            [("1600-12-31T23:59:59Z", -11_644_473_601.0), ("0000-01-01T00:00:00Z", -62_167_219_200.0)]
        {
            assert_eq!(seconds(text), (!cfg!(windows)).then_some(expected), "{text}");
        }
    }

    #[test]
    fn a_text_that_is_not_a_timestamp_is_an_error() {
        for text in [
            "",
            "yesterday",
            "2026-04-05",
            "2026-04-05T12:00:00",
            "2026-13-01T00:00:00Z",
            "2026-02-29T00:00:00Z",
            "2026-04-31T00:00:00Z",
            "2026-04-05T24:00:00Z",
            "2026-04-05T12:60:00Z",
            "2026-04-05T12:00:00.Z",
            "2026-04-05T12:00:00+0200",
            "2026-04-05T12:00:00+24:00",
            "2026-04-05T12:00:00Z ",
            "+026-04-05T12:00:00Z",
            "2026-04-05T12:00:0ßZ",
            "２０２６-04-05T12:00:00Z",
            "2026-04-05T12:00:00.5",
        ] {
            assert_eq!(seconds(text), None, "{text}");
        }
        assert!(Timestamp::from("no").system_time().unwrap_err().to_string().contains("\"no\" is not an RFC 3339"));
    }

    #[test]
    fn every_day_goes_there_and_back() {
        for day in (-800_000..2_900_000).step_by(17) {
            let (year, month, of_month) = date(day);
            assert_eq!(days(year, month, of_month), day);
        }
        for (millis, text) in [(0, "1970-01-01T00:00:00.000Z"), (1_775_390_400_001, "2026-04-05T12:00:00.001Z")] {
            let time = UNIX_EPOCH + Duration::from_millis(millis);
            assert_eq!(Timestamp::from(time).as_str(), text);
        }
        let before = UNIX_EPOCH - Duration::from_millis(1);
        assert_eq!(Timestamp::from(before).as_str(), "1969-12-31T23:59:59.999Z");
        assert_eq!(Timestamp::from(before).system_time(), Ok(before));
    }
}
