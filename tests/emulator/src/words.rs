//! Words as searches compare them: without case, plural, fillers and differences between synonyms.

use std::collections::BTreeSet;

pub(crate) type Words = BTreeSet<String>;

/// Words that do not tell one label from another.
const FILLERS: &str = " a an the of in on at by for to and or with from as is are was be it its this that which who what if any all \
     per sq ft feet mm cm usd eur gbp dollar us inch foot metre meter e ";

/// Words with the same meaning, separated by semicolons. The first one stands for all.
const SYNONYMS: &str = " number no nr num id identifier reference ref ; telephone phone tel mobile ; email mail ; \
     storey story floor level ; issue issued issuance ; expiry expiration expire ; application applied ; \
     approval approved ; license licence licensed ; address location ; valuation cost ; sprinkler sprinklered ; \
     company firm organization organisation ; type kind ";

fn is_filler(word: &str) -> bool {
    [word, &stem(word)].iter().any(|word| FILLERS.contains(&format!(" {word} ")))
}

/// The words of a text, or of a name in camelCase or snake_case, in lower case.
fn split(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut before = ' ';
    let mut chars = text.chars().filter(|c| !matches!(c, '\'' | '’')).peekable();
    while let Some(c) = chars.next() {
        let ends_acronym = before.is_uppercase() && chars.peek().is_some_and(|next| next.is_lowercase());
        let is_capital = c.is_uppercase() && (before.is_lowercase() || ends_acronym);
        match words.last_mut() {
            _ if c == '#' => words.push("number".to_owned()),
            _ if !c.is_alphanumeric() => {}
            Some(word) if before.is_alphanumeric() && before.is_numeric() == c.is_numeric() && !is_capital => {
                word.extend(c.to_lowercase());
            }
            _ => words.push(c.to_lowercase().collect()),
        }
        before = c;
    }
    words
}

/// The form in which a word is compared.
fn canonical(word: &str) -> String {
    let stem = stem(word);
    let has = |group: &&str| [word, &stem].iter().any(|word| group.contains(&format!(" {word} ")));
    let synonym = SYNONYMS.split(';').find(has).and_then(|group| group.split_whitespace().next());
    synonym.unwrap_or(&stem).to_owned()
}

fn stem(word: &str) -> String {
    let is_singular = ["ss", "us", "is"].iter().any(|end| word.ends_with(end)) || word.chars().count() < 4;
    match (word.strip_suffix("ies"), word.strip_suffix('s')) {
        (Some(stem), _) if stem.chars().count() > 1 => format!("{stem}y"),
        (_, Some(stem)) if !is_singular => stem.to_owned(),
        _ => word.to_owned(),
    }
}

/// The words of a text without fillers.
pub(crate) fn set(text: &str) -> Words {
    split(text).iter().filter(|word| !is_filler(word)).map(|word| canonical(word)).collect()
}

/// The first words of a text up to a filler: `Valuation` of "The valuation of the work".
pub(crate) fn first_phrase(text: &str) -> Words {
    let words = split(text).into_iter().skip_while(|word| is_filler(word));
    words.take_while(|word| !is_filler(word)).map(|word| canonical(&word)).collect()
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
    fn a_description_begins_with_another_name() {
        assert_eq!(
            first_phrase("The valuation of the work, in US dollars").into_iter().collect::<Vec<_>>(),
            ["valuation"]
        );
    }
}
