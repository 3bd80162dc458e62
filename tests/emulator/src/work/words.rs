//! Words as they are compared: without case, endings and fillers, and with some synonyms as one.

use std::collections::BTreeSet;

/// Words that say nothing about which thing is meant.
const FILLERS: [&str; 46] = [
    "a", "an", "the", "of", "in", "on", "at", "by", "for", "to", "and", "or", "with", "from", "as", "is", "are", "was",
    "be", "it", "its", "this", "that", "which", "who", "whom", "what", "if", "any", "all", "per", "sq", "ft", "feet",
    "mm", "cm", "usd", "eur", "gbp", "dollar", "us", "inch", "inche", "foot", "metre", "meter",
];

/// Words that are used for the same thing; the first stands for all.
const SYNONYMS: [&[&str]; 19] = [
    &["number", "no", "nr", "num", "id", "identifier", "reference", "ref"],
    &["telephone", "phone", "tel", "mobile"],
    &["email", "mail"],
    &["storey", "story", "floor", "level"],
    &["issue", "issued", "issuance", "issuing"],
    &["expiry", "expiration", "expire", "expiring"],
    &["application", "applied"],
    &["approval", "approved"],
    &["review", "reviewed"],
    &["license", "licence", "licensed"],
    &["address", "location", "addr"],
    &["valuation", "cost"],
    &["sprinkler", "sprinklered"],
    &["company", "firm", "organization", "organisation"],
    &["type", "kind"],
    &["quantity", "qty"],
    &["building", "bldg"],
    &["project", "proj"],
    &["department", "dept"],
];

/// Whether a word says nothing about which thing is meant.
pub(super) fn is_filler(word: &str) -> bool {
    // "e" is all that is left before the hyphen of "e-mail".
    word == "e" || FILLERS.contains(&word) || FILLERS.contains(&stem(word).as_str())
}

/// All words of a text or of a name in camelCase or snake_case, lower case, as they stand.
pub(super) fn split(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut before: Option<char> = None;
    let chars: Vec<char> = text.chars().collect();
    for (at, &c) in chars.iter().enumerate() {
        if c == '#' {
            words.push("number".to_owned());
            before = None;
            continue;
        }
        if !c.is_alphanumeric() {
            // The mark of a genitive or of a contraction is within a word.
            before = if matches!(c, '\'' | '’') { before } else { None };
            continue;
        }
        let next_is_lower = chars.get(at + 1).is_some_and(|next| next.is_lowercase());
        let begins = match before {
            None => true,
            Some(last) => {
                last.is_numeric() != c.is_numeric()
                    || (c.is_uppercase() && (last.is_lowercase() || (last.is_uppercase() && next_is_lower)))
            }
        };
        if begins {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.extend(c.to_lowercase());
        }
        before = Some(c);
    }
    words
}

/// The form in which a word is compared.
pub(super) fn canonical(word: &str) -> String {
    let stem = stem(word);
    let group = SYNONYMS.iter().find(|group| group.contains(&stem.as_str()) || group.contains(&word));
    group.map_or(stem, |group| group[0].to_owned())
}

fn stem(word: &str) -> String {
    let letters = word.chars().count();
    match word {
        _ if letters > 4 && word.ends_with("ies") => format!("{}y", &word[..word.len() - 3]),
        _ if letters > 3 && word.ends_with('s') && !["ss", "us", "is"].iter().any(|end| word.ends_with(end)) => {
            word[..word.len() - 1].to_owned()
        }
        _ => word.to_owned(),
    }
}

/// The words that matter in a text, each once.
pub(super) fn set(text: &str) -> BTreeSet<String> {
    split(text).iter().filter(|word| !is_filler(word)).map(|word| canonical(word)).collect()
}

/// The pieces of a sentence between its fillers, each as a set of words.
pub(super) fn phrases(text: &str) -> Vec<BTreeSet<String>> {
    let mut phrases = vec![BTreeSet::new()];
    for part in text.split(|c: char| c.is_ascii_punctuation() && !"-'#/".contains(c)) {
        for word in split(part) {
            match phrases.last_mut() {
                _ if word == "e" => {}
                Some(phrase) if !is_filler(&word) => {
                    phrase.insert(canonical(&word));
                }
                _ => phrases.push(BTreeSet::new()),
            }
        }
        phrases.push(BTreeSet::new());
    }
    phrases.retain(|phrase| !phrase.is_empty());
    phrases
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        set(text).into_iter().collect()
    }

    #[test]
    fn names_in_any_case_have_the_words_of_their_label() {
        for name in
            ["permitNumber", "permit_number", "PermitNumber", "PERMIT-NUMBER", "Permit No.", "permit #", "Permit ID"]
        {
            assert_eq!(words(name), ["number", "permit"], "{name}");
        }
        assert_eq!(words("HTTPServerId"), ["http", "number", "server"]);
        assert_eq!(words("level1Area"), words("Area, level 1"));
    }

    #[test]
    fn endings_and_fillers_do_not_matter() {
        assert_eq!(words("numberOfStories"), words("Number of storeys"));
        assert_eq!(words("the applicant's e-mail"), words("Applicants Email"));
        assert_eq!(words("Width (in)"), ["width"]);
        assert_ne!(words("address"), words("addresses of glass"));
    }

    #[test]
    fn a_description_falls_into_phrases() {
        let found: Vec<Vec<String>> =
            phrases("Valuation of the work, in US dollars").into_iter().map(|p| p.into_iter().collect()).collect();
        assert_eq!(found, [vec!["valuation"], vec!["work"]]);
    }
}
