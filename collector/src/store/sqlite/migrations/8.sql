-- What an id did at a time, and what about, without the entries themselves, which are large.
CREATE INDEX entry_of_identity_about ON entry (identity_id, at, topic_id);
DROP INDEX entry_of_identity;
