-- How many attempts have used up one of the hook's configured retries.
ALTER TABLE outbox ADD COLUMN failures INTEGER NOT NULL DEFAULT 0;
