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
-- Ids whose visitors are yet to be put together further: of many ids some are at once.
CREATE TABLE IF NOT EXISTS regroup (
    id          bigint PRIMARY KEY,
    identity_id bigint NOT NULL
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
    id           bigint PRIMARY KEY,
    -- Which identity of a company it names: the kind and the value of `company_key`.
    company_key  text,
    -- Whether it is taken to be of the company by the network of an address alone.
    is_guess     boolean NOT NULL DEFAULT FALSE,
    -- The domain of its first address that is a company's.
    given        text,
    -- Whether it is kept out of the ranking, and by which version of that it was told.
    excluded     boolean NOT NULL DEFAULT FALSE,
    excluded_for bigint  NOT NULL DEFAULT 0,
    first_seen   bigint  NOT NULL,
    last_seen    bigint  NOT NULL
);
CREATE INDEX ASYNC IF NOT EXISTS visitor_by_last_seen ON visitor (last_seen, id);
CREATE INDEX ASYNC IF NOT EXISTS visitor_of_company ON visitor (company_key, last_seen);
CREATE INDEX ASYNC IF NOT EXISTS visitor_given ON visitor (given);
CREATE INDEX ASYNC IF NOT EXISTS visitor_excluded ON visitor (excluded_for);

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
    -- The message id where what stands for it is its key.
    message_id  text,
    message_key text,
    at          bigint NOT NULL,
    -- What it is about.
    topic_id    bigint,
    -- The entry as it came, compressed.
    body        bytea  NOT NULL,
    UNIQUE (identity_id, kind, message_key)
);
CREATE INDEX ASYNC IF NOT EXISTS entry_of_identity ON entry (identity_id, at, topic_id);

-- What entries are about: events by their names, pages by their names, paths and titles; '' where one has none. Who searches
-- looks through these, which are few, and not through the entries. Their numbers are hashes of what they say.
CREATE TABLE IF NOT EXISTS topic (
    id    bigint PRIMARY KEY,
    -- event or page_view
    kind  text   NOT NULL,
    name  text   NOT NULL,
    path  text   NOT NULL,
    title text   NOT NULL
);
CREATE TABLE IF NOT EXISTS done (
    topic_id    bigint NOT NULL,
    identity_id bigint NOT NULL,
    times       bigint NOT NULL,
    last_at     bigint NOT NULL,
    PRIMARY KEY (topic_id, identity_id)
);
CREATE INDEX ASYNC IF NOT EXISTS done_of_identity ON done (identity_id);
-- Other sites and campaigns that led here; '' where one part is missing.
CREATE TABLE IF NOT EXISTS source (
    id       bigint PRIMARY KEY,
    referrer text   NOT NULL,
    source   text   NOT NULL,
    medium   text   NOT NULL,
    campaign text   NOT NULL
);
CREATE TABLE IF NOT EXISTS came_from (
    source_id   bigint NOT NULL,
    identity_id bigint NOT NULL,
    times       bigint NOT NULL,
    last_at     bigint NOT NULL,
    PRIMARY KEY (source_id, identity_id)
);
CREATE INDEX ASYNC IF NOT EXISTS came_from_of_identity ON came_from (identity_id);

-- The intent rules that count.
CREATE TABLE IF NOT EXISTS intent_rule (
    id             bigint PRIMARY KEY,
    name           text   NOT NULL,
    looked_for     text   NOT NULL,
    score          double precision NOT NULL,
    half_life_days double precision NOT NULL,
    -- How many entries make a day count, and within how many days; nothing where one is enough.
    at_least       bigint,
    within_days    bigint,
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
    -- How many entries a rule that counts took of the day; of another rule 1.
    count       bigint NOT NULL DEFAULT 1,
    PRIMARY KEY (identity_id, rule_id, day)
);
-- The company whose network the address of an id was of, as the newest entry has it that says one; the address is not kept.
CREATE TABLE IF NOT EXISTS network_guess (
    identity_id bigint PRIMARY KEY,
    domain      text   NOT NULL,
    at          bigint NOT NULL
);

-- Companies by the rules of `company`: a row an identity (a domain, a group's id, a name), and one pointer from a weaker one to the
-- one that it belongs to. Whoever counts companies writes these rows, and nobody else.
CREATE TABLE IF NOT EXISTS company_key (
    -- domain:acme.com, group:…, name:…
    key        text    PRIMARY KEY,
    id         bigint  NOT NULL UNIQUE,
    into_key   text,
    -- The smallest id of all that lead to the same one.
    company_id bigint  NOT NULL,
    -- Whether a request about companies alone told of it: then it is shown also without visitors.
    is_told    boolean NOT NULL
);
CREATE INDEX ASYNC IF NOT EXISTS company_key_of_company ON company_key (company_id);
CREATE INDEX ASYNC IF NOT EXISTS company_key_into ON company_key (into_key);
-- What its identities say together, and what is shown of it as it was when it was last counted.
CREATE TABLE IF NOT EXISTS company (
    id          bigint PRIMARY KEY,
    -- Its domain, else its group's id, else its name in lower case.
    key         text    NOT NULL,
    domain      text,
    name        text,
    -- JSON
    group_ids   text    NOT NULL,
    traits      text    NOT NULL,
    points      double precision NOT NULL,
    -- What it had seven days ago, and both in words.
    points_week_ago double precision NOT NULL,
    strength    text    NOT NULL,
    trend       text    NOT NULL,
    visitors    bigint  NOT NULL,
    -- Whether each of its visitors is guessed to be of it.
    is_guess    boolean NOT NULL DEFAULT FALSE,
    events      bigint  NOT NULL,
    first_seen  bigint,
    last_seen   bigint,
    excluded    boolean NOT NULL,
    -- One without visitors is shown where a request about companies alone told of it.
    is_shown    boolean NOT NULL,
    -- The UTC day, and the versions of the rules and of what is kept out, that it was counted for.
    counted_for text    NOT NULL
);
CREATE INDEX ASYNC IF NOT EXISTS company_by_counted ON company (counted_for);
-- The identities of companies of which something changed since they were counted.
CREATE TABLE IF NOT EXISTS changed (
    id      bigint  PRIMARY KEY,
    key     text    NOT NULL,
    -- Whether more than counts may have changed: what it is called, or what it belongs to.
    is_said boolean NOT NULL,
    is_told boolean NOT NULL
);
-- What visitors say of companies, and what votes.
CREATE TABLE IF NOT EXISTS company_said (
    -- The id that it was said under; 0 where a request about companies alone says it.
    voter_id      bigint  NOT NULL,
    -- What was given together; '' where it was not said.
    domain        text    NOT NULL,
    group_id      text    NOT NULL,
    name          text    NOT NULL,
    -- The name as it was written first.
    written       text    NOT NULL,
    by_group_call boolean NOT NULL,
    -- The earliest time as of which it was said.
    at            bigint  NOT NULL,
    PRIMARY KEY (voter_id, domain, group_id, name)
);
CREATE INDEX ASYNC IF NOT EXISTS company_said_name ON company_said (name, at);
CREATE INDEX ASYNC IF NOT EXISTS company_said_group ON company_said (group_id, at);
CREATE INDEX ASYNC IF NOT EXISTS company_said_domain ON company_said (domain, at);
-- What group calls and requests about companies say of one; the latest of each name counts.
CREATE TABLE IF NOT EXISTS company_trait (
    company_key text   NOT NULL,
    -- The name, or what stands for a long one.
    name_key    text   NOT NULL,
    name        text   NOT NULL,
    -- JSON; null takes the trait away.
    value       text   NOT NULL,
    at          bigint NOT NULL,
    PRIMARY KEY (company_key, name_key)
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

-- What changed that alerts have not looked at yet: a row is inserted with the entry that changed it, and whoever evaluates takes it.
CREATE TABLE IF NOT EXISTS alert_changed (
    id          bigint PRIMARY KEY,
    identity_id bigint NOT NULL,
    -- The rule that took something for the first time on a day; 0 and no day where it happened long ago, so that only points are others.
    rule_id     bigint NOT NULL,
    day         bigint NOT NULL,
    at          bigint NOT NULL
);
CREATE INDEX ASYNC IF NOT EXISTS alert_changed_of_identity ON alert_changed (identity_id);
-- A company as alerts looked at it last, and the alerts that it has set off and that are not armed again, as JSON.
CREATE TABLE IF NOT EXISTS alert_standing (
    company_id bigint PRIMARY KEY,
    points     double precision NOT NULL,
    trend      text   NOT NULL,
    fired      text   NOT NULL
);
-- One row: when all companies were looked at last, and what their points were made of.
CREATE TABLE IF NOT EXISTS alert_turn (
    id      bigint PRIMARY KEY,
    day     bigint NOT NULL,
    made_of text   NOT NULL
);
-- What is told to a target: of each occasion once about each subject.
CREATE TABLE IF NOT EXISTS alert_message (
    id           text    PRIMARY KEY,
    -- The alert, the target, the occasion and the subject, or what stands for them.
    key          text    NOT NULL UNIQUE,
    -- The alert and the occasion, or what stands for them.
    occasion_key text    NOT NULL,
    alert        text    NOT NULL,
    target       text    NOT NULL,
    -- Of the visitor whom it is about, where it is about one.
    identity_id  bigint,
    company_id   bigint,
    headline     text    NOT NULL,
    -- JSON
    told         text    NOT NULL,
    at           bigint  NOT NULL,
    -- due, sending, sent, unknown or dead
    state        text    NOT NULL,
    tries        bigint  NOT NULL DEFAULT 0,
    -- While it is being sent: whether it may arrive only once, and in whose hands it is.
    once         boolean NOT NULL DEFAULT FALSE,
    holder       bigint,
    -- Due then; until then in somebody's hands; arrived then.
    next_at      bigint  NOT NULL,
    reason       text
);
CREATE INDEX ASYNC IF NOT EXISTS alert_message_in_turn ON alert_message (state, next_at);
CREATE INDEX ASYNC IF NOT EXISTS alert_message_by_time ON alert_message (at);
CREATE INDEX ASYNC IF NOT EXISTS alert_message_of_occasion ON alert_message (occasion_key);
CREATE INDEX ASYNC IF NOT EXISTS alert_message_of_identity ON alert_message (identity_id);
-- Who is named in a message.
CREATE TABLE IF NOT EXISTS alert_message_visitor (
    identity_id bigint NOT NULL,
    message_id  text   NOT NULL,
    PRIMARY KEY (identity_id, message_id)
);
CREATE INDEX ASYNC IF NOT EXISTS alert_message_visitors ON alert_message_visitor (message_id);

-- What people did, without an id: kinds, and hashes under the key of the installation.
CREATE TABLE IF NOT EXISTS history (
    id          bigint PRIMARY KEY,
    at          bigint NOT NULL,
    -- deleted, split, joined or blocked
    what        text   NOT NULL,
    -- The fingerprint of the token; nothing where none was asked for.
    token       text,
    kind        text,
    hash        text,
    to_kind     text,
    to_hash     text,
    deletion_id text,
    visitors    bigint
);
CREATE INDEX ASYNC IF NOT EXISTS history_by_time ON history (at);
