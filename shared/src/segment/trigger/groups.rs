//! What the reference makes of parentheses.

use super::condition::Condition;

/// A piece of a trigger as the reference tells them apart.
#[derive(Debug, Clone)]
pub enum Piece {
    /// A field, an operator and a literal.
    Comparison(Condition),
    /// A function, which has a `)` of its own at its end.
    Function(Condition),
    /// `(`
    Open,
    /// `)`
    Close,
    /// `and`
    And,
    /// `or`
    Or,
}

/// The condition that the reference makes of a well-formed trigger.
///
/// Its parentheses end at the first `)`, also when that is a function's own: of `(contains(event, "a") and name = "b") or
/// userId = "c"` it takes the function alone as the group, joins all the rest to it, and the last `and` or `or` counts for
/// all. A trigger that works in Segment has to mean the same here. Where the reference fails on parentheses inside
/// parentheses there is nothing to be true to, and the grammar's own reading holds.
pub fn as_the_reference_groups(pieces: &[Piece]) -> Option<Condition> {
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
