"""One attempt at an endpoint that runs already: what happened, what was compared, and what most likely caused it."""
