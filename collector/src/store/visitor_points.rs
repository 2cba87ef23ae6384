//! The points of all visitors, for whoever looks for some by them: a visitor's points are those of all its ids under the rules of
//! now, and move with each day, so that no row has them.

use std::collections::HashMap;

use super::filter::Filter;
use crate::intent::Intent;
use crate::intent::worth::Worth;

/// The points of each visitor by the row, as they were at one time; one that is not here has none.
#[derive(Debug, Default)]
pub(super) struct VisitorPoints(HashMap<i64, Worth>);

/// The visitors that a filter looks for by their points, by their rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rows {
    /// These.
    These(Vec<i64>),
    /// All but these.
    AllBut(Vec<i64>),
}

impl VisitorPoints {
    /// Adds to a visitor's points.
    pub(super) fn add(&mut self, row: i64, worth: Worth) {
        self.0.entry(row).or_default().add(worth, 1.0);
    }

    /// How many visitors have points.
    pub(super) fn visitors(&self) -> usize {
        self.0.len()
    }

    #[cfg(feature = "sqlite")]
    /// Whether a filter looks for the visitor.
    pub(super) fn are_found_by(&self, filter: &Filter, row: i64) -> bool {
        filter.takes(self.of(row))
    }

    /// What a visitor's points say.
    pub(super) fn intent_of(&self, row: i64) -> Intent {
        let Worth { now, week_ago } = self.of(row);
        Intent::of(now, week_ago)
    }

    /// The visitors that a filter looks for.
    pub(super) fn rows(&self, filter: &Filter) -> Rows {
        // Whoever has no points stands in no row.
        let takes_none = filter.takes(Worth::default());
        let others = self.0.iter().filter(|(_, worth)| filter.takes(**worth) != takes_none);
        let mut rows: Vec<i64> = others.map(|(row, _)| *row).collect();
        rows.sort_unstable();
        if takes_none { Rows::AllBut(rows) } else { Rows::These(rows) }
    }

    fn of(&self, row: i64) -> Worth {
        self.0.get(&row).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intent::{StrengthLabel, Trend};

    #[test]
    fn who_has_no_points_is_low_and_neutral_and_found_as_that() {
        let mut points = VisitorPoints::default();
        for (row, now, week_ago) in [(1, 5.0, 0.0), (2, 5.0, 4.0), (2, 15.0, 15.0), (3, 0.0, 0.1)] {
            points.add(row, Worth { now, week_ago });
        }
        let low = Filter { strength: Some(StrengthLabel::Low), ..Filter::default() };
        let high = Filter { strength: Some(StrengthLabel::High), ..Filter::default() };
        let surging = Filter { trend: Some(Trend::Surging), ..low.clone() };
        assert_eq!(points.rows(&low), Rows::AllBut(vec![2]));
        assert_eq!(points.rows(&high), Rows::These(vec![2]));
        assert_eq!(points.rows(&surging), Rows::These(vec![1]));
        let found = |filter: &Filter| (1..=4).filter(|row| points.are_found_by(filter, *row)).collect::<Vec<_>>();
        assert_eq!([found(&low), found(&high), found(&surging)], [vec![1, 3, 4], vec![2], vec![1]]);
    }
}
