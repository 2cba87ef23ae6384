-- Companies by the rules of `company`: a row an identity (a domain, a group's id, a name), and one pointer from a weaker one to the
-- one that it belongs to. What visitors say of them hangs on the id that it was said under, and votes.
CREATE TABLE company_key (
    -- Never used again: an address with the number of a company that is gone leads to no other.
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    -- domain, group or name
    kind       TEXT    NOT NULL,
    value      TEXT    NOT NULL,
    -- What it belongs to; nothing where it stands for itself.
    into_id    INTEGER REFERENCES company_key (id),
    -- The smallest id of all that lead to the same one. What the pointers say, made quick to read.
    company_id INTEGER NOT NULL,
    -- Whether a request about companies alone told of it: then it is shown also without visitors.
    is_told    INTEGER NOT NULL DEFAULT 0,
    -- Whether a visitor or a pointer has left it: it is to be looked at whether anything is left.
    is_left    INTEGER NOT NULL DEFAULT 0,
    UNIQUE (kind, value)
) STRICT;
CREATE INDEX company_key_of_company ON company_key (company_id);
CREATE INDEX company_key_left ON company_key (id) WHERE is_left;
CREATE INDEX company_key_into ON company_key (into_id) WHERE into_id IS NOT NULL;

-- What its identities say together, made quick to read.
CREATE TABLE company (
    id       INTEGER PRIMARY KEY,
    -- Its domain, else its group's id, else its name in lower case.
    key      TEXT    NOT NULL,
    domain   TEXT,
    name     TEXT,
    -- Whether it is kept out of the ranking; nothing until it is looked at.
    excluded INTEGER
) STRICT;
CREATE INDEX company_excluded ON company (excluded) WHERE excluded IS NOT 0;

CREATE TABLE company_said (
    -- The id that it was said under; 0 where a request about companies alone says it.
    voter_id      INTEGER NOT NULL,
    -- What was given together; '' where it was not said.
    domain        TEXT    NOT NULL,
    group_id      TEXT    NOT NULL,
    name          TEXT    NOT NULL,
    -- The name as it was written first.
    written       TEXT    NOT NULL,
    by_group_call INTEGER NOT NULL,
    -- The earliest time as of which it was said.
    at            INTEGER NOT NULL,
    -- The domain; where it was not said, that of the visitor's first address that is a company's.
    given         TEXT    NOT NULL,
    PRIMARY KEY (voter_id, domain, group_id, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX company_said_name ON company_said (name, at) WHERE name <> '';
CREATE INDEX company_said_group ON company_said (group_id, at) WHERE group_id <> '';
CREATE INDEX company_said_given ON company_said (given, at) WHERE given <> '';

-- What group calls and requests about companies say of one; the latest of each name counts.
CREATE TABLE company_trait (
    company_key_id INTEGER NOT NULL REFERENCES company_key (id),
    name           TEXT    NOT NULL,
    -- JSON; null takes the trait away.
    value          TEXT    NOT NULL,
    at             INTEGER NOT NULL,
    PRIMARY KEY (company_key_id, name)
) STRICT, WITHOUT ROWID;

-- Which identity of a company a visitor names, and the company that it leads to.
ALTER TABLE visitor ADD COLUMN company_key_id INTEGER REFERENCES company_key (id);
ALTER TABLE visitor ADD COLUMN company_id INTEGER;
ALTER TABLE visitor ADD COLUMN excluded INTEGER;
CREATE INDEX visitor_of_company ON visitor (company_id, last_seen);
CREATE INDEX visitor_of_company_key ON visitor (company_key_id);
CREATE INDEX visitor_excluded ON visitor (excluded) WHERE excluded IS NOT 0;
DROP INDEX visitor_of_account;

-- What entries are about: events by their names, pages by their names, paths and titles; '' where one has none. Who searches
-- looks through these, which are few, and not through the entries.
CREATE TABLE topic (
    id    INTEGER PRIMARY KEY,
    -- event or page_view
    kind  TEXT    NOT NULL,
    name  TEXT    NOT NULL,
    path  TEXT    NOT NULL,
    title TEXT    NOT NULL,
    UNIQUE (kind, name, path, title)
) STRICT;
CREATE TABLE done (
    topic_id    INTEGER NOT NULL REFERENCES topic (id),
    identity_id INTEGER NOT NULL REFERENCES identity (id),
    times       INTEGER NOT NULL,
    last_at     INTEGER NOT NULL,
    PRIMARY KEY (topic_id, identity_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX done_of_identity ON done (identity_id);
-- What it is about. No reference: to look for entries of a topic that goes would read them all.
ALTER TABLE entry ADD COLUMN topic_id INTEGER;
DROP INDEX entry_by_name;

-- Other sites and campaigns that led here; '' where one part is missing.
CREATE TABLE source (
    id       INTEGER PRIMARY KEY,
    referrer TEXT    NOT NULL,
    source   TEXT    NOT NULL,
    medium   TEXT    NOT NULL,
    campaign TEXT    NOT NULL,
    UNIQUE (referrer, source, medium, campaign)
) STRICT;
CREATE TABLE came_from (
    source_id   INTEGER NOT NULL REFERENCES source (id),
    identity_id INTEGER NOT NULL REFERENCES identity (id),
    times       INTEGER NOT NULL,
    last_at     INTEGER NOT NULL,
    PRIMARY KEY (source_id, identity_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX came_from_of_identity ON came_from (identity_id);

-- Who did what an intent rule looks for.
CREATE INDEX intent_of_rule ON intent (rule_id, identity_id);
