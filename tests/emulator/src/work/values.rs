//! Converts the text of a value to the type of a schema.

use serde_json::{Number, Value};

/// The text as a value of this type, or `None` if it does not have this type.
pub(super) fn typed(text: &str, schema: &Value, kind: &str) -> Option<Value> {
    let text = text.trim();
    if let Some(allowed) = schema["enum"].as_array() {
        return choice(text, allowed);
    }
    match (kind, schema["format"].as_str()) {
        _ if text.is_empty() => None,
        ("number", _) => number(text),
        ("integer", _) => number(text).filter(|number| !number.is_f64()),
        ("boolean", _) => boolean(text).map(Value::from),
        ("string", Some("date")) => date(text).map(Value::from),
        ("string", Some("email")) => text.split_whitespace().find(|word| word.contains('@')).map(Value::from),
        ("string", _) => Some(Value::from(text)),
        _ => None,
    }
}

/// The allowed value with the same words.
fn choice(text: &str, allowed: &[Value]) -> Option<Value> {
    let words = |text: &str| text.to_lowercase().replace(|c: char| !c.is_alphanumeric(), " ");
    let is_same = |value: &&Value| {
        value.as_str().is_some_and(|value| words(value).split_whitespace().eq(words(text).split_whitespace()))
    };
    allowed.iter().find(is_same).cloned()
}

fn boolean(text: &str) -> Option<bool> {
    let first = text.split(|c: char| c.is_whitespace() || ",;(.".contains(c)).next()?.to_lowercase();
    match first.as_str() {
        "yes" | "y" | "true" | "required" | "provided" | "x" | "☑" | "☒" | "✓" | "✔" | "[x]" => Some(true),
        "no" | "n" | "none" | "false" | "not" | "without" | "☐" | "[" | "[]" => Some(false),
        _ => None,
    }
}

/// The first number that is a word of its own, with or without a unit.
pub(super) fn number(text: &str) -> Option<Value> {
    if date(text).is_some() {
        return None;
    }
    let value = text.split_whitespace().find_map(|word| {
        let word = word.trim_start_matches(['$', '€', '£', '(', '+']).trim_end_matches(['.', ',', ';', ')']);
        let digits = word.trim_end_matches(|c: char| !c.is_ascii_digit());
        plain(digits).filter(|_| word[digits.len()..].chars().all(|c| c.is_alphabetic() || "%°\"'²³".contains(c)))
    })?;
    let is_whole = value.fract() == 0.0 && value.abs() < 9e15;
    if is_whole { Some(Value::from(value as i64)) } else { Number::from_f64(value).map(Value::Number) }
}

/// Digits, with commas or apostrophes between thousands and a decimal point.
fn plain(text: &str) -> Option<f64> {
    let text = text.replace(['\'', '’'], ",");
    let whole = text.split('.').next().unwrap_or_default();
    let is_grouped = whole.split(',').skip(1).all(|group| group.len() == 3);
    let is_number = text.trim_start_matches('-').starts_with(|c: char| c.is_ascii_digit());
    text.replace(',', "").parse().ok().filter(|_| is_grouped && is_number)
}

/// A date as `YYYY-MM-DD`. `03/04/2026` is not one, because it can mean two days.
fn date(text: &str) -> Option<String> {
    let number = |text: &str, max: usize| text.parse::<usize>().ok().filter(|number| (1..=max).contains(number));
    let year = |text: &str| number(text, 2999).filter(|_| text.len() == 4);
    let day = |text: &str| number(text.trim_end_matches(char::is_alphabetic), 31);
    let month = |text: &str| {
        let text = text.to_lowercase();
        let mut months =
            "january february march april may june july august september october november december".split(' ');
        months.position(|month| text.len() > 2 && month.starts_with(&text)).map(|index| index + 1)
    };
    let words: Vec<&str> =
        text.split(|c: char| c.is_whitespace() || ",.T".contains(c)).filter(|word| !word.is_empty()).collect();
    let iso = words.iter().find_map(|word| {
        let parts: Vec<&str> = word.split(['-', '/']).collect();
        let [y, m, d] = parts[..] else { return None };
        Some((year(y)?, number(m, 12)?, number(d, 31)?))
    });
    let (year, month, day) = iso.or_else(|| {
        words.windows(3).find_map(|window| {
            let [a, b, c] = window else { return None };
            let (month, day) = month(b).zip(day(a)).or_else(|| month(a).zip(day(b)))?;
            Some((year(c)?, month, day))
        })
    })?;
    Some(format!("{year:04}-{month:02}-{day:02}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_are_read_with_their_separators_and_units() {
        let cases = [
            ("USD 4,250,000", json!(4_250_000)),
            ("38,650 sq ft", json!(38_650)),
            ("-5 °C", json!(-5)),
            ("1'200", json!(1200)),
            ("1,450.5 kN", json!(1450.5)),
            ("about 52 ft", json!(52)),
            ("4 (four)", json!(4)),
        ];
        for (text, expected) in cases {
            assert_eq!(number(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_only_looks_like_a_number_is_none() {
        for text in [
            "PH-2026-0417",
            "044-318-07",
            "HM-2 Harbor",
            "II-B",
            "9 March 2026",
            "2026-03-09",
            "1/2",
            "10:30",
            "v2.1.3-rc1",
            "none",
        ] {
            assert_eq!(number(text), None, "{text}");
        }
        assert_eq!(typed("2.5", &json!({}), "integer"), None);
    }

    #[test]
    fn dates_that_can_mean_one_day_only_are_read() {
        for text in [
            "9 March 2026",
            "March 9, 2026",
            "Mar. 9th 2026",
            "2026-03-09",
            "issued 2026/03/09",
            "2026-03-09T10:00:00Z",
        ] {
            assert_eq!(date(text).as_deref(), Some("2026-03-09"), "{text}");
        }
        for text in ["03/04/2026", "March 2026", "32 March 2026", "soon"] {
            assert_eq!(date(text), None, "{text}");
        }
    }

    #[test]
    fn yes_and_no_are_read_in_many_words() {
        for text in ["Yes", "yes (NFPA 13)", "TRUE", "x", "☑ fitted", "Required"] {
            assert_eq!(boolean(text), Some(true), "{text}");
        }
        for text in ["No", "None", "Not required", "false", "☐", "[ ]"] {
            assert_eq!(boolean(text), Some(false), "{text}");
        }
        assert_eq!(boolean("Maybe"), None);
    }

    #[test]
    fn a_choice_is_one_of_those_allowed_or_none() {
        let schema = json!({ "enum": ["new_construction", "alteration", "approved"] });
        assert_eq!(typed("New Construction", &schema, "string"), Some(json!("new_construction")));
        assert_eq!(typed("Not approved", &schema, "string"), None);
        assert_eq!(typed("Demolition", &schema, "string"), None);
    }
}
