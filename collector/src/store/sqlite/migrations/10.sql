-- Under which id a trait of a company was said last: it goes when who said it is deleted. What was said before is nobody's.
ALTER TABLE company_trait ADD COLUMN said_by INTEGER;
CREATE INDEX company_trait_by_who_said_it ON company_trait (said_by) WHERE said_by IS NOT NULL;
-- Who says an address is looked for when it is to be deleted.
CREATE INDEX trait_email ON trait (lower(value)) WHERE lower(name) = 'email';
-- From when on a target may be sent to: whoever may only send to it alone sets that later while it is under way, and an answer may.
CREATE TABLE alert_target (
    target  TEXT    PRIMARY KEY,
    next_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
-- When a change was noted first.
ALTER TABLE alert_changed ADD COLUMN noted_at INTEGER NOT NULL DEFAULT 0;
-- Lists and searches go through visitors in this order, and need not look at those who came after a time.
DROP INDEX visitor_by_last_seen;
CREATE INDEX visitor_by_last_seen ON visitor (last_seen, id, first_seen);
