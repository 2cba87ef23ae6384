//! The queues in SQS: what dispatch writes, and what a consumer tells the queue of its batch.

mod calls;
mod outbox;
mod source;

pub use self::outbox::SqsOutbox;
pub use self::source::SqsSource;
