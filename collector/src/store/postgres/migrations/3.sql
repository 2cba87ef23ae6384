-- Visitors who say an address that was asked for and stay, since too many do; nothing where a release before this one wrote it.
ALTER TABLE deletion ADD COLUMN IF NOT EXISTS others bigint;
-- Once a message was refused together with others it goes by itself.
ALTER TABLE alert_message ADD COLUMN IF NOT EXISTS alone boolean;
