//! What a queue gives.

/// A message as the queue gave it.
#[derive(Debug, Clone, Copy)]
pub struct ReceivedMessage<'a> {
    /// The queue's id of the message.
    pub id: &'a str,
    /// What the queue wants back when the message is retried or deleted.
    pub receipt: &'a str,
    /// What intake wrote.
    pub body: &'a str,
    /// How often the queue has given this message out, this time included.
    pub receive_count: u32,
}
