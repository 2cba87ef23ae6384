//! The words of a trigger: keys, literals, white space.

use super::error::TriggerError;
use crate::segment::value::number_text;

/// A place in a trigger's text.
#[derive(Debug)]
pub struct Cursor<'t> {
    /// The trigger.
    pub text: &'t str,
    /// In bytes.
    pub at: usize,
}

impl Cursor<'_> {
    /// Letters, digits, `_` and `-`; a backslash takes any character.
    pub fn key(&mut self) -> String {
        let mut key = String::new();
        let mut rest = self.text[self.at..].chars();
        while let Some(character) = rest.next() {
            match character {
                '\\' => match rest.next() {
                    Some(escaped) => {
                        key.push(escaped);
                        self.at += 1 + escaped.len_utf8();
                    }
                    None => break,
                },
                c if c.is_ascii_alphanumeric() || c == '_' || c == '-' => {
                    key.push(c);
                    self.at += 1;
                }
                _ => break,
            }
        }
        key
    }

    /// A literal.
    pub fn literal(&mut self, expected: &'static str) -> Result<Literal, TriggerError> {
        for (word, literal) in
            [("true", Literal::Boolean(true)), ("false", Literal::Boolean(false)), ("null", Literal::Null)]
        {
            if self.take_word(word) {
                return Ok(literal);
            }
        }
        let rest = &self.text[self.at..];
        if let Some(quote) = rest.chars().next().filter(|c| matches!(c, '"' | '\'')) {
            let Some(end) = rest[1..].find(quote) else {
                self.at = self.text.len();
                return Err(self.expected("the quote that ends the string"));
            };
            self.at += end + 2;
            // The reference takes double quotes off and leaves single ones on.
            let text = if quote == '"' { &rest[1..=end] } else { &rest[..end + 2] };
            return Ok(Literal::Text(text.to_owned()));
        }
        let end = rest
            .char_indices()
            .find(|(at, c)| !(c.is_ascii_digit() || *c == '.' || (*at == 0 && matches!(c, '-' | '+'))));
        let digits = &rest[..end.map_or(rest.len(), |(at, _)| at)];
        let well_formed = digits.bytes().any(|byte| byte.is_ascii_digit()) && !digits.ends_with('.');
        match digits.parse::<f64>() {
            Ok(number) if well_formed => {
                self.at += digits.len();
                Ok(Literal::Number(number))
            }
            _ => Err(self.expected(expected)),
        }
    }

    /// Goes over white space.
    pub fn skip_space(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
    }

    /// Takes a text that stands here.
    pub fn take(&mut self, token: &str) -> bool {
        let there = self.text[self.at..].starts_with(token);
        if there {
            self.at += token.len();
        }
        there
    }

    /// Takes a word that does not go on.
    pub fn take_word(&mut self, word: &str) -> bool {
        let rest = &self.text[self.at..];
        let ends = rest.strip_prefix(word).is_some_and(|after| {
            !after.starts_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '\\'))
        });
        if ends {
            self.at += word.len();
        }
        ends
    }

    /// The error that something else should stand here.
    pub fn expected(&self, expected: &'static str) -> TriggerError {
        TriggerError { position: self.text[..self.at].chars().count() + 1, expected }
    }
}

/// What stands to the right of an operator.
#[derive(Debug)]
pub enum Literal {
    /// A text in quotes.
    Text(String),
    /// A number.
    Number(f64),
    /// `true` or `false`
    Boolean(bool),
    /// `null`
    Null,
}

impl Literal {
    /// What `String(value)` makes of it.
    pub fn into_text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Number(number) => number_text(number),
            Self::Boolean(value) => value.to_string(),
            Self::Null => "null".to_owned(),
        }
    }

    /// What `Number(value)` makes of it.
    pub fn into_number(self) -> f64 {
        match self {
            Self::Text(text) => js_number(&text),
            Self::Number(number) => number,
            Self::Boolean(value) => f64::from(u8::from(value)),
            // The reference turns the word itself into a number.
            Self::Null => f64::NAN,
        }
    }
}

/// What `Number("…")` is for the texts that people compare with.
fn js_number(text: &str) -> f64 {
    let text = text.trim();
    if text.is_empty() {
        return 0.0;
    }
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    if plain { text.parse().unwrap_or(f64::NAN) } else { f64::NAN }
}
