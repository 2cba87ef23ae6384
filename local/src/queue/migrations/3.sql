-- The answer may be any collector's.
ALTER TABLE dead_letter RENAME COLUMN koala_answer TO collector_answer;
