//! Names of people and things, and longer texts, as they may be stored and shown.
//!
//! What is stored is shown in mails and on pages, so control characters never get that far.

use serde::{Deserialize, Deserializer, de};

use crate::limits::{DESCRIPTION_CHARS_MAX, NAME_CHARS_MAX};

/// `text` without the space around it, if that is a name: 1 to 200 characters, none of them a
/// control character.
pub(crate) fn tidy_name(text: &str) -> Option<&str> {
    let name = text.trim();
    let fits = !name.is_empty() && name.chars().count() <= NAME_CHARS_MAX;
    (fits && !name.chars().any(char::is_control)).then_some(name)
}

/// Reads the name of a thing.
pub(crate) fn read_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    let rule = "a name has 1 to 200 characters, and no control characters";
    tidy_name(&text).map(str::to_owned).ok_or_else(|| de::Error::custom(rule))
}

/// Reads a description: it may be empty and have line breaks, but no other control characters.
pub(crate) fn read_description<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    let is_plain = text.chars().all(|c| !c.is_control() || matches!(c, '\n' | '\r' | '\t'));
    if is_plain && text.chars().count() <= DESCRIPTION_CHARS_MAX {
        return Ok(text);
    }
    let rule = "a description has at most 5,000 characters, and no control characters";
    Err(de::Error::custom(rule))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_tidied_or_refused() {
        assert_eq!(tidy_name("  Ann Lee \n"), Some("Ann Lee"));
        assert_eq!(tidy_name(&"ä".repeat(200)).map(|name| name.chars().count()), Some(200));
        for bad in ["", "  ", "a\u{0}b", "a\r\nBcc: x@y", &"ä".repeat(201)] {
            assert_eq!(tidy_name(bad), None, "{bad:?}");
        }
    }
}
