-- Visitors who say an address that was asked for and stay, since too many do.
ALTER TABLE deletion ADD COLUMN others INTEGER NOT NULL DEFAULT 0;
-- 1 once a message was refused together with others: it goes by itself then.
ALTER TABLE alert_message ADD COLUMN alone INTEGER NOT NULL DEFAULT 0;
