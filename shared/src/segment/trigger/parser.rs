//! The trigger language's grammar.
//!
//! ```text
//! expression  = term { "and" term } | term { "or" term }
//! term        = "(" expression ")" | [ "!" ] function | field operator literal
//! function    = "contains" "(" field "," literal ")" | "match" "(" field "," string ")"
//! field       = "type" | "event" | "name" | "userId" | ( "properties" | "traits" | "context" ) { "." key }
//! operator    = "=" | "!=" | "<" | "<=" | ">" | ">="
//! literal     = string | number | "true" | "false" | "null"
//! ```

use super::TriggerError;
use super::condition::{Comparison, Condition, Field, Part, Test};

/// Deeper parentheses are nobody's.
const DEEPEST_NESTING: usize = 50;

/// Parses a whole trigger.
pub fn parse(text: &str) -> Result<Condition, TriggerError> {
    let mut parser = Parser { text, at: 0, depth: 0, pieces: Vec::new() };
    let condition = parser.expression()?;
    parser.skip_space();
    if parser.at < text.len() {
        return Err(parser.expected("`and`, `or`, or the end of the trigger"));
    }
    Ok(as_the_reference_groups(&parser.pieces).unwrap_or(condition))
}

struct Parser<'t> {
    text: &'t str,
    /// In bytes.
    at: usize,
    depth: usize,
    /// What was read so far, for [`as_the_reference_groups`].
    pieces: Vec<Piece>,
}

/// A piece of a trigger as the reference tells them apart.
#[derive(Debug, Clone)]
enum Piece {
    Comparison(Condition),
    /// Has a `)` of its own at its end.
    Function(Condition),
    Open,
    Close,
    And,
    Or,
}

/// The condition that the reference makes of a well-formed trigger.
///
/// Its parentheses end at the first `)`, also when that is a function's own: of `(contains(event, "a") and name = "b") or
/// userId = "c"` it takes the function alone as the group, joins all the rest to it, and the last `and` or `or` counts for
/// all. A trigger that works in Segment has to mean the same here. Where the reference fails on parentheses inside
/// parentheses there is nothing to be true to, and the grammar's own reading holds.
fn as_the_reference_groups(pieces: &[Piece]) -> Option<Condition> {
    let mut conditions = Vec::new();
    let mut all = true;
    let mut rest = pieces;
    while let Some((piece, after)) = rest.split_first() {
        rest = after;
        match piece {
            Piece::Comparison(condition) | Piece::Function(condition) => conditions.push(condition.clone()),
            Piece::And => all = true,
            Piece::Or => all = false,
            Piece::Close => {}
            Piece::Open => {
                let end = after.iter().position(|piece| matches!(piece, Piece::Close | Piece::Function(_)))?;
                let mut group = after[..end].to_vec();
                if let Piece::Function(condition) = &after[end] {
                    // Its `)` was the group's, so that it has none left.
                    group.push(Piece::Comparison(condition.clone()));
                }
                conditions.push(as_the_reference_groups(&group)?);
                rest = &after[end + 1..];
            }
        }
    }
    match (conditions.len(), all) {
        (0 | 1, _) => conditions.pop(),
        (_, true) => Some(Condition::All(conditions)),
        (_, false) => Some(Condition::Any(conditions)),
    }
}

/// What stands to the right of an operator.
enum Literal {
    Text(String),
    Number(f64),
    Boolean(bool),
    Null,
}

impl Literal {
    /// What `String(value)` makes of it.
    fn into_text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Number(number) => crate::segment::value::number_text(number),
            Self::Boolean(value) => value.to_string(),
            Self::Null => "null".to_owned(),
        }
    }

    /// What `Number(value)` makes of it.
    fn into_number(self) -> f64 {
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

impl Parser<'_> {
    fn expression(&mut self) -> Result<Condition, TriggerError> {
        let first = self.term()?;
        let Some(word) = self.conjunction() else { return Ok(first) };
        let mut conditions = vec![first, self.term()?];
        while let Some(next) = self.conjunction() {
            if next != word {
                self.at -= next.len();
                return Err(self.expected(if word == "and" {
                    "`and`: parentheses say what belongs together where `and` and `or` are mixed"
                } else {
                    "`or`: parentheses say what belongs together where `and` and `or` are mixed"
                }));
            }
            conditions.push(self.term()?);
        }
        Ok(if word == "and" { Condition::All(conditions) } else { Condition::Any(conditions) })
    }

    fn conjunction(&mut self) -> Option<&'static str> {
        self.skip_space();
        let word = ["and", "or"].into_iter().find(|word| self.take_word(word))?;
        self.pieces.push(if word == "and" { Piece::And } else { Piece::Or });
        Some(word)
    }

    fn term(&mut self) -> Result<Condition, TriggerError> {
        self.skip_space();
        if self.take("(") {
            self.pieces.push(Piece::Open);
            self.depth += 1;
            if self.depth > DEEPEST_NESTING {
                return Err(self.expected("fewer parentheses inside each other"));
            }
            let condition = self.expression()?;
            self.skip_space();
            if !self.take(")") {
                return Err(self.expected("`)`, `and` or `or`"));
            }
            self.pieces.push(Piece::Close);
            self.depth -= 1;
            return Ok(condition);
        }
        let negated = self.take("!");
        for function in ["contains", "match"] {
            let before = self.at;
            if self.take_word(function) {
                self.skip_space();
                if self.take("(") {
                    return self.function(function, negated);
                }
                self.at = before;
            }
        }
        if negated {
            return Err(self.expected("contains(…) or match(…) after `!`"));
        }
        self.comparison()
    }

    fn function(&mut self, function: &str, negated: bool) -> Result<Condition, TriggerError> {
        let before = self.at;
        let field = self.field()?;
        if field.root == "type" {
            self.at = before;
            return Err(self
                .expected("event, name, userId, properties.…, traits.… or context.…: the functions do not know type"));
        }
        self.skip_space();
        if !self.take(",") {
            return Err(self.expected("`,` and what to look for"));
        }
        self.skip_space();
        let before = self.at;
        let part = self.literal("a string in double quotes")?.into_text();
        let test = match (function, part.strip_suffix('*'), part.strip_prefix('*')) {
            ("contains", ..) => Test::Text(Part::Anywhere, part, negated),
            (_, Some(start), _) => Test::Text(Part::Start, start.to_owned(), negated),
            (_, None, Some(end)) => Test::Text(Part::End, end.to_owned(), negated),
            _ => {
                self.at = before;
                return Err(self.expected("a pattern with `*` at its beginning or its end, as in \"Order*\""));
            }
        };
        self.skip_space();
        if !self.take(")") {
            return Err(self.expected("`)`"));
        }
        let condition = Condition::Field(field, test);
        self.pieces.push(Piece::Function(condition.clone()));
        Ok(condition)
    }

    fn comparison(&mut self) -> Result<Condition, TriggerError> {
        let field = self.field()?;
        self.skip_space();
        // The longer first: `<` begins `<=`.
        let operators = ["!=", "<=", ">=", "=", "<", ">"];
        let Some(operator) = operators.into_iter().find(|operator| self.take(operator)) else {
            return Err(self.expected("an operator: = != < <= > >="));
        };
        self.skip_space();
        let literal = self.literal("a value: a string in double quotes, a number, true, false or null")?;
        let nested = !field.path.is_empty();
        let test = match (operator, literal) {
            // In `type` and `event` null and true are words like others.
            ("=", Literal::Null) if nested || matches!(field.root, "name" | "userId") => Test::IsMissing,
            ("!=", Literal::Null) if nested || matches!(field.root, "name" | "userId") => Test::Exists,
            ("=", Literal::Boolean(value)) if nested || field.root == "userId" => Test::Boolean(value),
            ("=", Literal::Number(number)) if nested => Test::NumberIs(number),
            ("!=", Literal::Number(number)) if nested => Test::NumberIsNot(number),
            ("=", literal) => Test::Is(literal.into_text()),
            ("!=", literal) => Test::IsNot(literal.into_text()),
            ("<", literal) => Test::Number(Comparison::Less, literal.into_number()),
            ("<=", literal) => Test::Number(Comparison::AtMost, literal.into_number()),
            (">", literal) => Test::Number(Comparison::Greater, literal.into_number()),
            (_, literal) => Test::Number(Comparison::AtLeast, literal.into_number()),
        };
        let condition = Condition::Field(field, test);
        self.pieces.push(Piece::Comparison(condition.clone()));
        Ok(condition)
    }

    fn field(&mut self) -> Result<Field, TriggerError> {
        const FIELDS: &str = "a field: type, event, name, userId, properties.…, traits.… or context.…";
        self.skip_space();
        let before = self.at;
        let root = self.key();
        let Some(known) = ["type", "event", "name", "userId", "properties", "traits", "context"]
            .into_iter()
            .find(|known| *known == root)
        else {
            self.at = before;
            return Err(self.expected(FIELDS));
        };
        let mut path = Vec::new();
        while self.take(".") {
            let key = self.key();
            if key.is_empty() {
                return Err(self.expected("a key after `.`"));
            }
            // An escaped point parts keys like a plain one in the reference.
            path.extend(key.split('.').filter(|key| !key.is_empty()).map(str::to_owned));
        }
        let is_object = matches!(known, "properties" | "traits" | "context");
        if is_object == path.is_empty() {
            return Err(self.expected(if is_object {
                "`.` and a key"
            } else {
                "an operator, since this field has no keys"
            }));
        }
        Ok(Field { root: known, path })
    }

    /// Letters, digits, `_` and `-`; a backslash takes any character.
    fn key(&mut self) -> String {
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

    fn literal(&mut self, expected: &'static str) -> Result<Literal, TriggerError> {
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

    fn skip_space(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
    }

    fn take(&mut self, token: &str) -> bool {
        let there = self.text[self.at..].starts_with(token);
        if there {
            self.at += token.len();
        }
        there
    }

    /// Takes a word that does not go on.
    fn take_word(&mut self, word: &str) -> bool {
        let rest = &self.text[self.at..];
        let ends = rest.strip_prefix(word).is_some_and(|after| {
            !after.starts_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '\\'))
        });
        if ends {
            self.at += word.len();
        }
        ends
    }

    fn expected(&self, expected: &'static str) -> TriggerError {
        TriggerError { position: self.text[..self.at].chars().count() + 1, expected }
    }
}
