//! How entries are made.

use super::CollectorKind;

/// How entries are made, as the settings say it.
#[derive(Debug, Clone)]
pub struct EntryOptions {
    /// Keep visitors of whom neither a profile id nor an email is known.
    pub keep_anonymous_visitors: bool,
    /// Tell Koala the visitor's IP address.
    pub forward_ip: bool,
    /// Put an identify's traits at the top of the request too, as Segment's cloud-mode destination does.
    pub repeat_identify_traits: bool,
    /// What `context.source` says.
    pub context_source: String,
    /// Which collector gets them.
    pub collector: CollectorKind,
}

impl Default for EntryOptions {
    fn default() -> Self {
        Self {
            keep_anonymous_visitors: true,
            forward_ip: true,
            repeat_identify_traits: false,
            context_source: "segment-webhook".to_owned(),
            collector: CollectorKind::Koala,
        }
    }
}
