-- How many entries a rule took of a day; of a rule that counts none the first alone.
ALTER TABLE intent ADD COLUMN count INTEGER NOT NULL DEFAULT 1;

-- The company whose network the address of an id was of, as the newest entry has it that says one; the address is not kept.
CREATE TABLE network_guess (
    identity_id INTEGER PRIMARY KEY REFERENCES identity (id),
    domain      TEXT    NOT NULL,
    at          INTEGER NOT NULL
) STRICT;
-- 1 where the visitor is taken to be of the company by that alone.
ALTER TABLE visitor ADD COLUMN is_guess INTEGER NOT NULL DEFAULT 0;

-- What changed that alerts have not looked at yet; a row is written with the entry that changed it.
CREATE TABLE alert_changed (
    identity_id INTEGER NOT NULL REFERENCES identity (id),
    -- The rule that took something for the first time on a day; 0 and no day where it happened long ago, so that only points are others.
    rule_id     INTEGER NOT NULL,
    day         INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    PRIMARY KEY (identity_id, rule_id, day)
) STRICT, WITHOUT ROWID;

-- A company as alerts looked at it last, and the alerts that it has set off and that are not armed again, as JSON.
CREATE TABLE alert_standing (
    company_id TEXT PRIMARY KEY,
    points     REAL NOT NULL,
    trend      TEXT NOT NULL,
    fired      TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- One row: when all companies were looked at last, and what their points were made of.
CREATE TABLE alert_turn (
    day     INTEGER NOT NULL,
    made_of TEXT    NOT NULL
) STRICT;

-- What is told to a target: of each occasion once about each subject.
CREATE TABLE alert_message (
    id          TEXT    PRIMARY KEY,
    alert       TEXT    NOT NULL,
    target      TEXT    NOT NULL,
    occasion    TEXT    NOT NULL,
    subject     TEXT    NOT NULL,
    -- Of the visitor whom it is about, where it is about one.
    identity_id INTEGER,
    company_id  TEXT,
    headline    TEXT    NOT NULL,
    -- JSON
    told        TEXT    NOT NULL,
    at          INTEGER NOT NULL,
    -- due, sending, sent, unknown or dead
    state       TEXT    NOT NULL,
    tries       INTEGER NOT NULL DEFAULT 0,
    -- While it is being sent: 1 where it may arrive only once.
    once        INTEGER NOT NULL DEFAULT 0,
    -- Due then; until then in somebody's hands; arrived then.
    next_at     INTEGER NOT NULL,
    reason      TEXT,
    UNIQUE (alert, target, occasion, subject)
) STRICT, WITHOUT ROWID;
CREATE INDEX alert_message_in_turn ON alert_message (state, target, next_at);
CREATE INDEX alert_message_by_time ON alert_message (at);
CREATE INDEX alert_message_of_identity ON alert_message (identity_id) WHERE identity_id IS NOT NULL;
-- Who is named in a message.
CREATE TABLE alert_message_visitor (
    identity_id INTEGER NOT NULL,
    message_id  TEXT    NOT NULL,
    PRIMARY KEY (identity_id, message_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX alert_message_visitors ON alert_message_visitor (message_id);
