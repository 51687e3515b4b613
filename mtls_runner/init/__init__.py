"""First scenarios: of the lab's own, for an nginx configuration, for certificates that there are already."""
