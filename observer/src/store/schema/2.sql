-- How many attempts there had been when somebody had the call made again: its retries begin anew with the next one.
ALTER TABLE outbox ADD COLUMN replayed INTEGER NOT NULL DEFAULT 0;
