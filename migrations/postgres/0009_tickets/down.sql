-- Live connections that are about to be opened are refused once; their clients ask for another ticket.
DROP TABLE tickets;
