-- An older version would take the half for the whole, so this fails while there is a row.
CREATE TABLE unfinished (source text CONSTRAINT a_copy_is_in_progress CHECK (false));
INSERT INTO unfinished SELECT source FROM copies_in_progress;
DROP TABLE unfinished;
DROP TABLE copies_in_progress;
