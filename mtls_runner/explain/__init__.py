"""What a scenario says, in sentences: the PKI, the servers, and what should happen to each client. Nothing is run."""
