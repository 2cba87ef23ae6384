//! What an answer means. Pure: the client says what happened, this says what to do.

use std::time::Duration;

/// How often a message may arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Promise {
    /// Nothing at the other end tells a repeat from a new message: what may have arrived is not sent again.
    AtMostOnce,
    /// The other end knows a message by its id: it is sent until it was taken.
    AtLeastOnce,
}

/// What happened to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetResponse {
    /// An answer came.
    Status {
        /// Its status.
        status: u16,
        /// Its `Retry-After`.
        retry_after: Option<Duration>,
        /// What it says in a word or two, where that may be shown.
        said: Option<String>,
    },
    /// Nothing was sent: there was no address, or no connection.
    NotSent {
        /// Why.
        reason: String,
    },
    /// It was sent, as far as anybody knows, and no answer came.
    Lost {
        /// Why.
        reason: String,
    },
    /// It is not sent: alerts may not go there.
    Forbidden {
        /// Why.
        reason: &'static str,
    },
}

/// What to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendOutcome {
    /// It arrived.
    Delivered,
    /// It did not, and may the next time.
    Later {
        /// Why.
        reason: String,
        /// Not before then, where the other end says so.
        after: Option<Duration>,
    },
    /// There is nobody to tell, and nothing was sent.
    Skipped {
        /// Why.
        reason: String,
    },
    /// It never will as it is.
    Refused {
        /// Why.
        reason: String,
    },
    /// Nobody knows whether it arrived.
    Ambiguous {
        /// Why.
        reason: String,
    },
}

impl TargetResponse {
    /// What to do about it, by what was promised of the target.
    ///
    /// A status is what HTTP says of it (RFC 9110, RFC 6585), and what Slack does
    /// (<https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks#handling_errors>): 400, 403, 404 and 410 name
    /// what is wrong with the webhook or with the message. A webhook of one's own may answer 401 or 404 while it is being deployed;
    /// Standard Webhooks wants 410 to end it.
    #[must_use]
    pub fn outcome(self, promise: Promise) -> SendOutcome {
        match self {
            Self::Forbidden { reason } => SendOutcome::Refused { reason: reason.to_owned() },
            Self::NotSent { reason } => SendOutcome::Later { reason, after: None },
            Self::Lost { reason } => unknown(promise, reason, None),
            Self::Status { status: 200..300, .. } => SendOutcome::Delivered,
            Self::Status { status, retry_after, said } => {
                let reason = match &said {
                    Some(said) => format!("the answer is {status}: {said}"),
                    None => format!("the answer is {status}"),
                };
                match status {
                    425 | 429 => SendOutcome::Later { reason, after: retry_after },
                    300..400 => SendOutcome::Refused {
                        reason: format!("{reason}, a redirect; it is not followed: name the address that it leads to"),
                    },
                    400 | 410 | 413 | 422 => SendOutcome::Refused { reason },
                    // The request was understood, and nothing was done.
                    400..500 if status != 408 => match promise {
                        Promise::AtMostOnce => SendOutcome::Refused { reason },
                        Promise::AtLeastOnce => SendOutcome::Later { reason, after: retry_after },
                    },
                    _ => unknown(promise, reason, retry_after),
                }
            }
        }
    }
}

fn unknown(promise: Promise, reason: String, after: Option<Duration>) -> SendOutcome {
    match promise {
        Promise::AtMostOnce => SendOutcome::Ambiguous { reason },
        Promise::AtLeastOnce => SendOutcome::Later { reason, after },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(status: u16) -> TargetResponse {
        TargetResponse::Status {
            status,
            retry_after: Some(Duration::from_secs(7)),
            said: Some("no_service".to_owned()),
        }
    }

    #[test]
    fn what_may_have_arrived_is_sent_again_only_to_who_knows_a_repeat() {
        let lost = || TargetResponse::Lost { reason: "no answer in time".to_owned() };
        for answer in [lost(), status(500), status(502), status(408)] {
            assert!(matches!(answer.clone().outcome(Promise::AtMostOnce), SendOutcome::Ambiguous { .. }), "{answer:?}");
            assert!(matches!(answer.clone().outcome(Promise::AtLeastOnce), SendOutcome::Later { .. }), "{answer:?}");
        }
        let not_sent = TargetResponse::NotSent { reason: "connection refused".to_owned() };
        for promise in [Promise::AtMostOnce, Promise::AtLeastOnce] {
            assert!(matches!(not_sent.clone().outcome(promise), SendOutcome::Later { after: None, .. }));
            assert_eq!(status(200).outcome(promise), SendOutcome::Delivered);
            assert_eq!(status(204).outcome(promise), SendOutcome::Delivered);
        }
    }

    #[test]
    fn too_many_requests_are_told_when_to_come_back() {
        for promise in [Promise::AtMostOnce, Promise::AtLeastOnce] {
            let expected = SendOutcome::Later {
                reason: "the answer is 429: no_service".to_owned(),
                after: Some(Duration::from_secs(7)),
            };
            assert_eq!(status(429).outcome(promise), expected);
        }
    }

    #[test]
    fn what_is_wrong_with_the_target_or_the_message_is_not_tried_again() {
        for refused in [400, 410, 413, 422, 301, 302, 307, 308] {
            for promise in [Promise::AtMostOnce, Promise::AtLeastOnce] {
                assert!(matches!(status(refused).outcome(promise), SendOutcome::Refused { .. }), "{refused}");
            }
        }
        for being_deployed in [401, 403, 404, 405] {
            assert!(matches!(status(being_deployed).outcome(Promise::AtMostOnce), SendOutcome::Refused { .. }));
            assert!(matches!(status(being_deployed).outcome(Promise::AtLeastOnce), SendOutcome::Later { .. }));
        }
        let forbidden = TargetResponse::Forbidden { reason: "a private address" };
        assert!(matches!(forbidden.outcome(Promise::AtLeastOnce), SendOutcome::Refused { .. }));
    }
}
