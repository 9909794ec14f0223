DROP TABLE events, artifacts, packages, agents, hitl_requests, tasks, projects, heads;
DROP FUNCTION refuse_to_change_the_log, refuse_to_change_an_artifact, hold_the_tasks_of_a_project;
