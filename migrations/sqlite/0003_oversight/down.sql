-- An older version would start what is stopped, so this fails while anything is.
CREATE TABLE stopped (scope TEXT CONSTRAINT something_is_stopped CHECK (false)) STRICT;
INSERT INTO stopped SELECT scope FROM emergency_stops;
DROP TABLE stopped;
DROP TABLE emergency_stops;
DROP TABLE purses;
