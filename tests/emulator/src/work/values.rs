//! Reads the text of a value as the type that a schema asks for; none where it is not of that type.

use serde_json::{Number, Value};

/// The text as the schema's type; the schema is one of a single value.
pub(super) fn typed(text: &str, schema: &Value, kind: &str) -> Option<Value> {
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    if let Some(allowed) = schema["enum"].as_array() {
        return choice(text, allowed);
    }
    match kind {
        "number" => number(text),
        "integer" => number(text).filter(|number| number.is_i64() || number.is_u64()),
        "boolean" => boolean(text).map(Value::from),
        "string" => match schema["format"].as_str() {
            Some("date") => date(text).map(Value::from),
            Some("email") => text.split_whitespace().find(|word| word.contains('@')).map(Value::from),
            _ => Some(Value::from(text)),
        },
        _ => None,
    }
}

/// The one allowed value that the text names.
fn choice(text: &str, allowed: &[Value]) -> Option<Value> {
    let plain = |text: &str| -> Vec<String> {
        let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
        words.map(str::to_lowercase).collect()
    };
    let given = plain(text);
    let words = |value: &Value| plain(value.as_str().map_or_else(|| value.to_string(), str::to_owned).as_str());
    if let Some(same) = allowed.iter().find(|value| !value.is_null() && words(value) == given) {
        return Some(same.clone());
    }
    let mut within = allowed.iter().filter(|value| {
        let wanted = words(value);
        !wanted.is_empty() && given.windows(wanted.len()).any(|window| window == wanted)
    });
    // "not approved" names "approved" only as what it is not.
    let denied = given.iter().any(|word| word == "not" || word == "no");
    match (within.next(), within.next()) {
        (Some(only), None) if !denied => Some(only.clone()),
        _ => None,
    }
}

fn boolean(text: &str) -> Option<bool> {
    let lower = text.to_lowercase();
    let first = lower.split(|c: char| c.is_whitespace() || ",;(".contains(c)).next()?;
    match first.trim_end_matches('.') {
        "yes" | "y" | "true" | "required" | "provided" | "x" | "☑" | "☒" | "✓" | "✔" | "[x]" => Some(true),
        "no" | "n" | "none" | "false" | "not" | "without" | "☐" | "[" | "[]" => Some(false),
        _ => None,
    }
}

/// The first number that stands on its own, with what multiplies it.
pub(super) fn number(text: &str) -> Option<Value> {
    if date(text).is_some() {
        return None;
    }
    let chars: Vec<char> = text.chars().collect();
    let mut at = 0;
    while at < chars.len() {
        if !chars[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let start = at;
        while at < chars.len() && in_number(&chars, at) {
            at += 1;
        }
        let token: String = chars[start..at].iter().collect();
        let before = start.checked_sub(1).map(|at| chars[at]);
        let before_that = start.checked_sub(2).map(|at| chars[at]);
        let negative = matches!(before, Some('-' | '−')) && before_that.is_none_or(|c| c.is_whitespace() || c == '$');
        let joined_before = match before {
            Some('-' | '−' | '–' | '/' | '.') => !negative,
            Some(c) => c.is_alphanumeric() || c == '_',
            None => false,
        };
        let rest: String = chars[at..].iter().collect();
        let mut after = rest.chars();
        let joined_after = match (after.next(), after.next()) {
            (Some('-' | '–' | '/' | ':' | '.' | '_'), Some(next)) => next.is_alphanumeric(),
            _ => false,
        };
        if joined_before || joined_after {
            while at < chars.len() && !chars[at].is_whitespace() {
                at += 1;
            }
            continue;
        }
        let value = plain(&token)? * multiplier(&rest);
        return json_number(if negative { -value } else { value });
    }
    spelled(text)
}

fn in_number(chars: &[char], at: usize) -> bool {
    let digit = |at: usize| chars.get(at).is_some_and(char::is_ascii_digit);
    digit(at) || (matches!(chars[at], ',' | '.' | '\'' | '’') && at > 0 && digit(at - 1) && digit(at + 1))
}

/// Digits with separators: of three groups or more, or with three digits after it, a comma separates thousands.
fn plain(token: &str) -> Option<f64> {
    let token: String = token.chars().filter(|c| !matches!(c, '\'' | '’')).collect();
    let commas = token.matches(',').count();
    let dots = token.matches('.').count();
    let thousands = |mark: char| token.split(mark).skip(1).all(|group| group.len() == 3);
    let comma_last = token.rfind(',') > token.rfind('.');
    let text = match (commas, dots) {
        (0, 0 | 1) => token,
        (0, _) if thousands('.') => token.replace('.', ""),
        (_, 0) if thousands(',') => token.replace(',', ""),
        (1, 0) => token.replace(',', "."),
        (_, 1) if !comma_last => token.replace(',', ""),
        (1, _) if comma_last => token.replace('.', "").replace(',', "."),
        _ => return None,
    };
    text.parse().ok()
}

fn multiplier(rest: &str) -> f64 {
    let glued = rest.chars().take_while(|c| c.is_alphabetic()).collect::<String>();
    let word = if glued.is_empty() { rest.split_whitespace().next().unwrap_or_default() } else { &glued };
    match (word.to_lowercase().trim_end_matches('.'), glued.is_empty()) {
        ("thousand", _) | ("k", false) => 1e3,
        ("million" | "mio" | "mn", _) => 1e6,
        ("billion" | "bn", _) => 1e9,
        _ => 1.0,
    }
}

fn spelled(text: &str) -> Option<Value> {
    const WORDS: [&str; 13] =
        ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"];
    let first = text.split(|c: char| !c.is_alphabetic()).next()?.to_lowercase();
    WORDS.iter().position(|word| *word == first).map(Value::from)
}

fn json_number(value: f64) -> Option<Value> {
    if value.fract() == 0.0 && value.abs() < 9e15 {
        return Some(Value::from(value as i64));
    }
    Number::from_f64(value).map(Value::Number)
}

/// A date as `YYYY-MM-DD`; one that is written with numbers only must have its year first,
/// because nobody can tell whether 03/04 is in March or in April.
pub(super) fn date(text: &str) -> Option<String> {
    const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    const FULL: [&str; 12] = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    let words: Vec<&str> =
        text.split(|c: char| c.is_whitespace() || ",.T".contains(c)).filter(|word| !word.is_empty()).collect();
    let month = |word: &str| {
        let word = word.to_lowercase();
        let full = FULL.iter().position(|name| *name == word);
        full.or_else(|| MONTHS.iter().position(|name| *name == word || (word == "sept" && *name == "sep")))
            .map(|at| at + 1)
    };
    let day = |word: &str| {
        let digits = word.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let ending = &word[digits.len()..];
        let fits = matches!(ending, "" | "st" | "nd" | "rd" | "th") && digits.len() <= 2;
        digits.parse::<usize>().ok().filter(|day| fits && (1..=31).contains(day))
    };
    let year = |word: &str| word.parse::<usize>().ok().filter(|year| word.len() == 4 && (1000..=2999).contains(year));
    let write = |year: usize, month: usize, day: usize| format!("{year:04}-{month:02}-{day:02}");
    for word in &words {
        let parts: Vec<&str> = word.split(['-', '/']).collect();
        if let [first, second, third] = parts[..] {
            let number = |text: &str, most: usize| text.parse::<usize>().ok().filter(|n| (1..=most).contains(n));
            if let (Some(year), Some(month), Some(day)) = (year(first), number(second, 12), number(third, 31)) {
                return Some(write(year, month, day));
            }
        }
    }
    words.windows(3).find_map(|window| {
        let read = |d: &str, m: &str, y: &str| Some(write(year(y)?, month(m)?, day(d)?));
        let [a, b, c] = window else { return None };
        read(a, b, c).or_else(|| read(b, a, c))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_are_read_with_their_separators_and_units() {
        let cases = [
            ("USD 4,250,000", json!(4_250_000)),
            ("$4.2 million", json!(4_200_000)),
            ("38,650 sq ft", json!(38_650)),
            ("-5 °C", json!(-5)),
            ("12,5 %", json!(12.5)),
            ("1.250.000,75 EUR", json!(1_250_000.75)),
            ("1'200", json!(1200)),
            ("40k", json!(40_000)),
            ("three", json!(3)),
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
        assert_eq!(typed("Alteration of a house", &schema, "string"), Some(json!("alteration")));
        assert_eq!(typed("Not approved", &schema, "string"), None);
        assert_eq!(typed("Demolition", &schema, "string"), None);
    }
}
