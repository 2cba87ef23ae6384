//! Where the navigation is.

/// The pages that the navigation leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Companies,
    Visitors,
    Alerts,
    Deliveries,
    Mappings,
    Install,
    History,
}
