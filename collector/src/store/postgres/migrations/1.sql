-- Who is who by the rules of `identity`: one row an id, and one pointer from a weaker id to its owner. Rows have numbers that
-- their writers make (`row_ids`), and grow with the time that they were made at.
CREATE TABLE IF NOT EXISTS identity (
    id         bigint PRIMARY KEY,
    -- user, email or device
    kind       text   NOT NULL,
    value      text   NOT NULL,
    -- Whom it belongs to; nothing where it stands for itself.
    into_id    bigint,
    -- The smallest id of all that lead to the same one: it stays when later ids join. What the pointers say, made quick to read.
    visitor_id bigint NOT NULL,
    -- The earliest time as of which an event was filed under it.
    first_at   bigint,
    -- attached, detached or blocked, by a person
    decision   text,
    -- Of the entries filed under it; nothing where it only stood beside a stronger id. Whoever keeps an entry writes this row, so
    -- that a deletion beside it meets it.
    first_seen bigint,
    last_seen  bigint,
    events     bigint NOT NULL DEFAULT 0,
    identifies bigint NOT NULL DEFAULT 0,
    page_views bigint NOT NULL DEFAULT 0,
    UNIQUE (kind, value)
);
CREATE INDEX ASYNC IF NOT EXISTS identity_of_visitor ON identity (visitor_id);
CREATE INDEX ASYNC IF NOT EXISTS identity_into ON identity (into_id);

-- Which id takes which for its owner: of each pair the smallest (rank, at).
CREATE TABLE IF NOT EXISTS claim (
    identity_id bigint   NOT NULL,
    owner_id    bigint   NOT NULL,
    -- The kind of the id that claims.
    kind        text     NOT NULL,
    rank        bigint   NOT NULL,
    at          bigint   NOT NULL,
    PRIMARY KEY (identity_id, owner_id)
);
CREATE INDEX ASYNC IF NOT EXISTS claim_of_owner ON claim (owner_id, kind, rank, at);

-- What people decided of ids, and when.
CREATE TABLE IF NOT EXISTS decision (
    id          bigint PRIMARY KEY,
    at          bigint NOT NULL,
    -- attach, split or block
    what        text   NOT NULL,
    identity_id bigint NOT NULL,
    to_id       bigint
);
CREATE INDEX ASYNC IF NOT EXISTS decision_of_identity ON decision (identity_id);
CREATE INDEX ASYNC IF NOT EXISTS decision_of_owner ON decision (to_id);

-- The visitors that the pointers make.
CREATE TABLE IF NOT EXISTS visitor (
    id         bigint PRIMARY KEY,
    account    text,
    first_seen bigint NOT NULL,
    last_seen  bigint NOT NULL
);
CREATE INDEX ASYNC IF NOT EXISTS visitor_by_last_seen ON visitor (last_seen, id);
CREATE INDEX ASYNC IF NOT EXISTS visitor_of_account ON visitor (account, last_seen);

-- What was said under an id last.
CREATE TABLE IF NOT EXISTS trait (
    identity_id bigint NOT NULL,
    -- The name, or what stands for a long one.
    name_key    text   NOT NULL,
    name        text   NOT NULL,
    -- JSON; null takes the trait away.
    value       text   NOT NULL,
    at          bigint NOT NULL,
    PRIMARY KEY (identity_id, name_key)
);

-- What was done. A message id is an idempotency key among what is filed under one id: nobody can take another's.
CREATE TABLE IF NOT EXISTS entry (
    id          bigint PRIMARY KEY,
    identity_id bigint NOT NULL,
    kind        text   NOT NULL,
    name        text,
    -- The name in lower case, or what stands for a long one.
    name_key    text,
    -- The message id where what stands for it is its key.
    message_id  text,
    message_key text,
    at          bigint NOT NULL,
    -- The entry as it came, compressed.
    body        bytea  NOT NULL,
    UNIQUE (identity_id, kind, message_key)
);
CREATE INDEX ASYNC IF NOT EXISTS entry_of_identity ON entry (identity_id, at);
CREATE INDEX ASYNC IF NOT EXISTS entry_by_name ON entry (name_key, identity_id, at);

-- The intent rules that count.
CREATE TABLE IF NOT EXISTS intent_rule (
    id             bigint PRIMARY KEY,
    name           text   NOT NULL,
    looked_for     text   NOT NULL,
    score          double precision NOT NULL,
    half_life_days double precision NOT NULL,
    -- When it came.
    since          bigint NOT NULL,
    -- Entries that were there before it are looked at from the newest down: those from here and below there are yet to be.
    unseen_from    bigint NOT NULL,
    unseen_below   bigint NOT NULL,
    -- Whether what was under way when it came was looked at as well.
    is_settled     boolean NOT NULL
);
-- The UTC days (since 1970) on which what a rule looks for was done under an id.
CREATE TABLE IF NOT EXISTS intent (
    identity_id bigint NOT NULL,
    rule_id     bigint NOT NULL,
    day         bigint NOT NULL,
    PRIMARY KEY (identity_id, rule_id, day)
);

-- Companies, with what is shown of them as it was when they were last counted.
CREATE TABLE IF NOT EXISTS account (
    key         text   PRIMARY KEY,
    domain      text,
    name        text,
    traits      text   NOT NULL DEFAULT '{}',
    points      double precision NOT NULL DEFAULT 0,
    visitors    bigint NOT NULL DEFAULT 0,
    events      bigint NOT NULL DEFAULT 0,
    last_seen   bigint,
    -- The UTC day and the version of the rules that the points are of.
    counted_for bigint NOT NULL DEFAULT 0
);
CREATE INDEX ASYNC IF NOT EXISTS account_by_points ON account (points);
CREATE INDEX ASYNC IF NOT EXISTS account_by_counted ON account (counted_for);
-- The companies of which something changed since they were counted, and how they were named: nobody writes another's row.
CREATE TABLE IF NOT EXISTS changed (
    id      bigint PRIMARY KEY,
    account text   NOT NULL,
    domain  text,
    name    text
);

-- Numbers of the whole store: the version of the intent rules.
CREATE TABLE IF NOT EXISTS number (
    name  text   PRIMARY KEY,
    value bigint NOT NULL
);

-- The key of the tombstones' hashes: this installation's own.
CREATE TABLE IF NOT EXISTS installation (
    id            bigint PRIMARY KEY,
    tombstone_key bytea  NOT NULL
);
-- A hash for each id of those who were deleted.
CREATE TABLE IF NOT EXISTS tombstone (
    hash     bytea   PRIMARY KEY,
    -- What was received by then does not come back.
    at       bigint  NOT NULL,
    -- Whether it is an address that was asked for by itself: whoever says that it is theirs is the same person.
    is_whole boolean NOT NULL
);
CREATE INDEX ASYNC IF NOT EXISTS tombstone_by_time ON tombstone (at);

CREATE TABLE IF NOT EXISTS deletion (
    id           text   PRIMARY KEY,
    requested_at bigint NOT NULL,
    -- When the queues had nothing of them any more, and when nothing was left of them here.
    forgotten_at bigint,
    completed_at bigint,
    visitors     bigint NOT NULL,
    entries      bigint NOT NULL DEFAULT 0,
    messages     bigint NOT NULL DEFAULT 0
);
CREATE INDEX ASYNC IF NOT EXISTS deletion_by_completion ON deletion (completed_at, requested_at);
-- Their ids, until the queues have nothing of them.
CREATE TABLE IF NOT EXISTS departed (
    deletion_id text    NOT NULL,
    kind        text    NOT NULL,
    value       text    NOT NULL,
    at          bigint  NOT NULL,
    is_whole    boolean NOT NULL,
    PRIMARY KEY (deletion_id, kind, value)
);
-- Rows of identity that nothing leads to any more (their kind is taken), until all that hangs on them is deleted; without a
-- deletion those that are older than data is kept.
CREATE TABLE IF NOT EXISTS taken (
    identity_id bigint PRIMARY KEY,
    deletion_id text
);
CREATE INDEX ASYNC IF NOT EXISTS taken_of_deletion ON taken (deletion_id);
