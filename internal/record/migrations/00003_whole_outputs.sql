-- +goose Up

-- An output that is longer than one piece is a row of outputs whose coding is 2:
-- its data are the ids of its pieces in order, as unsigned varints. Each piece is
-- an output of its own, so equal pieces are stored once; the sum of the list is
-- made of theirs. (Those written by
-- schemas 1 and 2 have further rows in the table pieces.)

-- What has come of outputs whose host has no result yet: pieces, and behind the
-- last the beginning of the next one, as it comes. They go when the result comes.
CREATE TABLE partial (
	run INTEGER NOT NULL,
	pos INTEGER NOT NULL,
	stream INTEGER NOT NULL,          -- 1 stdout, 2 stderr
	at INTEGER NOT NULL,              -- where it begins, in bytes
	part INTEGER,                     -- outputs.id, of which this is a use
	tail BLOB,                        -- or the bytes
	PRIMARY KEY (run, pos, stream, at)
) WITHOUT ROWID;

ALTER TABLE results ADD COLUMN out_kept INTEGER; -- bytes in the store of an output that is not there whole, else NULL
ALTER TABLE results ADD COLUMN err_kept INTEGER;

PRAGMA user_version = 3;
