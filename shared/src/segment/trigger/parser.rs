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

use super::condition::{Comparison, Condition, EventField, Part, Test};
use super::cursor::{Cursor, Literal};
use super::error::TriggerError;
use super::groups::{Piece, as_the_reference_groups};

/// Deeper parentheses are nobody's.
const DEEPEST_NESTING: usize = 50;

/// Parses a whole trigger.
pub fn parse(text: &str) -> Result<Condition, TriggerError> {
    let mut parser = Parser { cursor: Cursor { text, at: 0 }, depth: 0, pieces: Vec::new() };
    let condition = parser.expression()?;
    parser.cursor.skip_space();
    if parser.cursor.at < text.len() {
        return Err(parser.cursor.expected("`and`, `or`, or the end of the trigger"));
    }
    Ok(as_the_reference_groups(&parser.pieces).unwrap_or(condition))
}

struct Parser<'t> {
    cursor: Cursor<'t>,
    depth: usize,
    /// What was read so far, for [`as_the_reference_groups`].
    pieces: Vec<Piece>,
}

impl Parser<'_> {
    fn expression(&mut self) -> Result<Condition, TriggerError> {
        let first = self.term()?;
        let Some(word) = self.conjunction() else { return Ok(first) };
        let mut conditions = vec![first, self.term()?];
        while let Some(next) = self.conjunction() {
            if next != word {
                self.cursor.at -= next.len();
                return Err(self.cursor.expected(if word == "and" {
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
        self.cursor.skip_space();
        let word = ["and", "or"].into_iter().find(|word| self.cursor.take_word(word))?;
        self.pieces.push(if word == "and" { Piece::And } else { Piece::Or });
        Some(word)
    }

    fn term(&mut self) -> Result<Condition, TriggerError> {
        self.cursor.skip_space();
        if self.cursor.take("(") {
            self.pieces.push(Piece::Open);
            self.depth += 1;
            if self.depth > DEEPEST_NESTING {
                return Err(self.cursor.expected("fewer parentheses inside each other"));
            }
            let condition = self.expression()?;
            self.cursor.skip_space();
            if !self.cursor.take(")") {
                return Err(self.cursor.expected("`)`, `and` or `or`"));
            }
            self.pieces.push(Piece::Close);
            self.depth -= 1;
            return Ok(condition);
        }
        let negated = self.cursor.take("!");
        for function in ["contains", "match"] {
            let before = self.cursor.at;
            if self.cursor.take_word(function) {
                self.cursor.skip_space();
                if self.cursor.take("(") {
                    return self.function(function, negated);
                }
                self.cursor.at = before;
            }
        }
        if negated {
            return Err(self.cursor.expected("contains(…) or match(…) after `!`"));
        }
        self.comparison()
    }

    fn function(&mut self, function: &str, negated: bool) -> Result<Condition, TriggerError> {
        let before = self.cursor.at;
        let field = self.field()?;
        if field.root == "type" {
            self.cursor.at = before;
            return Err(self
                .cursor
                .expected("event, name, userId, properties.…, traits.… or context.…: the functions do not know type"));
        }
        self.cursor.skip_space();
        if !self.cursor.take(",") {
            return Err(self.cursor.expected("`,` and what to look for"));
        }
        self.cursor.skip_space();
        let before = self.cursor.at;
        let part = self.cursor.literal("a string in double quotes")?.into_text();
        let test = match (function, part.strip_suffix('*'), part.strip_prefix('*')) {
            ("contains", ..) => Test::Text(Part::Anywhere, part, negated),
            (_, Some(start), _) => Test::Text(Part::Start, start.to_owned(), negated),
            (_, None, Some(end)) => Test::Text(Part::End, end.to_owned(), negated),
            _ => {
                self.cursor.at = before;
                return Err(self.cursor.expected("a pattern with `*` at its beginning or its end, as in \"Order*\""));
            }
        };
        self.cursor.skip_space();
        if !self.cursor.take(")") {
            return Err(self.cursor.expected("`)`"));
        }
        let condition = Condition::Field(field, test);
        self.pieces.push(Piece::Function(condition.clone()));
        Ok(condition)
    }

    fn comparison(&mut self) -> Result<Condition, TriggerError> {
        let field = self.field()?;
        self.cursor.skip_space();
        // The longer first: `<` begins `<=`.
        let operators = ["!=", "<=", ">=", "=", "<", ">"];
        let Some(operator) = operators.into_iter().find(|operator| self.cursor.take(operator)) else {
            return Err(self.cursor.expected("an operator: = != < <= > >="));
        };
        self.cursor.skip_space();
        let literal = self.cursor.literal("a value: a string in double quotes, a number, true, false or null")?;
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

    fn field(&mut self) -> Result<EventField, TriggerError> {
        const FIELDS: &str = "a field: type, event, name, userId, properties.…, traits.… or context.…";
        self.cursor.skip_space();
        let before = self.cursor.at;
        let root = self.cursor.key();
        let Some(known) = ["type", "event", "name", "userId", "properties", "traits", "context"]
            .into_iter()
            .find(|known| *known == root)
        else {
            self.cursor.at = before;
            return Err(self.cursor.expected(FIELDS));
        };
        let mut path = Vec::new();
        while self.cursor.take(".") {
            let key = self.cursor.key();
            if key.is_empty() {
                return Err(self.cursor.expected("a key after `.`"));
            }
            // An escaped point parts keys like a plain one in the reference.
            path.extend(key.split('.').filter(|key| !key.is_empty()).map(str::to_owned));
        }
        let is_object = matches!(known, "properties" | "traits" | "context");
        if is_object == path.is_empty() {
            return Err(self.cursor.expected(if is_object {
                "`.` and a key"
            } else {
                "an operator, since this field has no keys"
            }));
        }
        Ok(EventField { root: known, path })
    }
}
