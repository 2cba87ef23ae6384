-- What came in, by the library that made the events, their type and what they came to at intake; and when the last one came.
CREATE TABLE received (
    source     TEXT    NOT NULL,
    event_type TEXT    NOT NULL,
    outcome    TEXT    NOT NULL,
    count      INTEGER NOT NULL,
    last_at    INTEGER NOT NULL,
    PRIMARY KEY (source, event_type, outcome)
) STRICT, WITHOUT ROWID;
