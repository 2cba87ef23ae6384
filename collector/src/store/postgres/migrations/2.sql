-- Under which id a trait of a company was said last: it goes when who said it is deleted. What was said before is nobody's.
ALTER TABLE company_trait ADD COLUMN IF NOT EXISTS said_by bigint;
CREATE INDEX ASYNC IF NOT EXISTS company_trait_by_who_said_it ON company_trait (said_by);
-- From when on a target may be sent to: whoever may only send to it alone sets that later while it is under way, and an answer may.
CREATE TABLE IF NOT EXISTS alert_target (
    target  text   PRIMARY KEY,
    next_at bigint NOT NULL
);
