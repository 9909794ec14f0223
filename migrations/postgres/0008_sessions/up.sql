-- Sessions and one-time sign-in links of each person, with the digests of their secrets. The secrets
-- are stored nowhere. Each row has a limited size, and loses what has expired when it is written.
CREATE TABLE sessions (
    principal_id uuid NOT NULL PRIMARY KEY,
    body json NOT NULL
);

COMMENT ON TABLE sessions IS 'Sessions and one-time sign-in links of each person, with the digests of their secrets, which are stored nowhere.';
COMMENT ON TABLE key_uses IS 'Time of the last use of each API key, and of each place that sessions of a person take in turn, in microseconds since 1970.';
