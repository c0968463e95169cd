//! What may be kept, with words for the person where it may not.

use model::saved::{LONGEST_NAME, LONGEST_TEXT, SavedKind};

use crate::access::{Denied, audit, invalid};

/// The longest text that is searched for, in characters.
const LONGEST_SEARCH: usize = 80;

/// The name of anything that is kept.
pub(super) fn name(name: &str) -> Result<String, Denied> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > LONGEST_NAME || !audit::is_one_line(name) {
        return invalid(format!("A name is one line of 1 to {LONGEST_NAME} characters."));
    }
    Ok(name.to_owned())
}

/// The text of a view or query, as it is kept.
pub(super) fn text(kind: SavedKind, text: &str) -> Result<String, Denied> {
    let text = match kind {
        SavedKind::View => view(text)?,
        SavedKind::Query => query(text)?,
    };
    if text.len() > LONGEST_TEXT {
        return invalid(format!("This is too long to be kept: {} bytes, and {LONGEST_TEXT} fit.", text.len()));
    }
    Ok(text)
}

/// Only what stands after the question mark, and only what may stand there: it becomes part of links.
fn view(text: &str) -> Result<String, Denied> {
    let text = text.trim();
    let text = text.strip_prefix('?').unwrap_or(text);
    if !text.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '#' | '"' | '<' | '>' | '\\' | '`')) {
        return invalid("A view is what stands after the question mark in the address of the page Explore.");
    }
    Ok(text.to_owned())
}

/// Forms end lines as CRLF, whatever was typed.
fn query(text: &str) -> Result<String, Denied> {
    let text = text.replace("\r\n", "\n");
    let text = text.trim();
    if text.is_empty() {
        return invalid("There is no SQL to keep.");
    }
    if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t')) {
        return invalid("The SQL has a character that is no text.");
    }
    Ok(text.to_owned())
}

/// A part of a name to search for, as a pattern of the database.
pub(super) fn search(find: &str) -> Result<String, Denied> {
    if find.chars().count() > LONGEST_SEARCH || !audit::is_one_line(find) {
        return invalid(format!("A search is one line of at most {LONGEST_SEARCH} characters."));
    }
    Ok(audit::pattern(find))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_line() {
        assert_eq!(name("  Revenue by store ").expect("good"), "Revenue by store");
        assert!(name(&"x".repeat(80)).is_ok());
        for bad in ["", "   ", "a\nb", "a\u{2028}b", "\u{202e}evil", &"x".repeat(81)] {
            assert!(name(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_view_is_a_query_string_and_nothing_else() {
        let kept = "metric=revenue&range=30d&filter=brand:A%26B";
        assert_eq!(text(SavedKind::View, &format!(" ?{kept}")).expect("good"), kept);
        assert_eq!(text(SavedKind::View, "").expect("the default view"), "");
        assert!(text(SavedKind::View, &"x".repeat(LONGEST_TEXT)).is_ok());
        for bad in ["a b", "a#b", "a\nb", "a\"b", "a<b", "ä", &"x".repeat(LONGEST_TEXT + 1)] {
            assert!(text(SavedKind::View, bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn sql_keeps_its_lines() {
        assert_eq!(text(SavedKind::Query, "SELECT 1\r\n  FROM x\r\n").expect("good"), "SELECT 1\n  FROM x");
        for bad in ["", " \r\n ", "SELECT '\u{0}'", "SELECT '\u{7}'"] {
            assert!(text(SavedKind::Query, bad).is_err(), "{bad:?}");
        }
    }
}
