-- Back to an empty file. What was in it is gone.
DROP TABLE events;
DROP TABLE agents;
DROP TABLE packages;
DROP TABLE artifacts;
DROP TABLE hitl_requests;
DROP TABLE tasks;
DROP TABLE projects;
DROP TABLE heads;
PRAGMA application_id = 0;
