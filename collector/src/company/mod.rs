//! Companies: which one a visitor is of, and what belongs together as one company.
//!
//! A company has identities of three kinds ([`CompanyKey`]): domains, ids of Segment's group calls, names. Visitors say them
//! ([`Said`]). [`of_visitor`] decides which one a visitor is of; [`joins`] decides which weaker identity belongs to which stronger
//! one, by the votes of visitors, so that neither the order in which events arrive nor their repetition matters.
//! `docs/companies.md` has the rules in words.

mod account;
mod domain;
mod guess;
mod join;
mod key;
mod said;

pub use account::{Account, domain_of};
pub use domain::{of_address, of_company, registrable, shown};
pub use guess::Guess;
pub use join::{MOST_VOTES, Naming, Vote, called, joins};
pub use key::{CompanyKey, CompanyKind};
pub use said::{MOST_STATEMENTS, Said, TRAITS_OF_COMPANY, WhatIsSaid, of_visitor};
