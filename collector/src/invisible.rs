//! Characters that show nothing: a name of these alone is no name.

/// Whether a character shows nothing and turns or joins what stands beside it: signs of direction, joiners, fillers, tags
/// (Unicode's `Default_Ignorable_Code_Point`, as far as names have them).
#[must_use]
pub fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
            | '\u{feff}' | '\u{ffa0}' | '\u{e0000}'..='\u{e0fff}'
    )
}

/// Whether nobody can read anything of a text.
#[must_use]
pub fn is_blank(text: &str) -> bool {
    text.chars().all(|character| character.is_whitespace() || character.is_control() || is_invisible(character))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_what_shows_nothing_is_blank_and_one_of_any_script_is_not() {
        for text in ["", " ", "\u{200b}\u{200b}", "\u{115f}", "\u{e0041}\u{202e}", "\0\n"] {
            assert!(is_blank(text), "{text:?}");
        }
        for text in ["Ada", "李", "عمر", "🐨", ".", "\u{200b}x"] {
            assert!(!is_blank(text), "{text:?}");
        }
    }
}
