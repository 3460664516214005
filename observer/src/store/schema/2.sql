-- How many attempts have used up one of the hook's configured retries; none, when somebody had the call made again since.
ALTER TABLE outbox ADD COLUMN failures INTEGER NOT NULL DEFAULT 0;
