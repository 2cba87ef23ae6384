-- What stands in the queues: a row is a message, until it is delivered or dead. The body stands last, so that what is asked of
-- the other columns does not read it.
CREATE TABLE message (
    -- Never given twice: a consumer looks for what came after the last one that it has seen.
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    queue      TEXT    NOT NULL,
    mapping    TEXT,
    -- How long it was tried, in milliseconds of processes that ran: a clock that is set does not change it, nor does a stop.
    tried_for  INTEGER NOT NULL DEFAULT 0,
    -- How often it was in hand when its process ended without a word of it.
    open_hands INTEGER NOT NULL DEFAULT 0,
    body       ANY     NOT NULL
) STRICT;
CREATE INDEX message_of_queue ON message (queue, mapping);
CREATE INDEX message_in_turn ON message (queue, id);

-- What can never be delivered as it is, with the reason. The body is kept as it is, whether it can be read or not.
CREATE TABLE dead_letter (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    queue        TEXT    NOT NULL,
    reason       TEXT    NOT NULL,
    mapping      TEXT    NOT NULL,
    koala_answer TEXT,
    died_at      INTEGER NOT NULL,
    body         ANY     NOT NULL
) STRICT;
CREATE INDEX dead_letter_of_mapping ON dead_letter (mapping);

-- How many messages of a mapping came to what, and (under no mapping) how many events of requests.
CREATE TABLE tally (
    mapping TEXT    NOT NULL,
    outcome TEXT    NOT NULL,
    count   INTEGER NOT NULL,
    PRIMARY KEY (mapping, outcome)
) STRICT, WITHOUT ROWID;

-- While what an earlier version kept in the data file is brought over: up to which rows it is here.
CREATE TABLE brought (
    messages     INTEGER NOT NULL,
    dead_letters INTEGER NOT NULL
) STRICT;
