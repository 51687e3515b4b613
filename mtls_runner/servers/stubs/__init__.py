"""What stands in for others: the applications behind a server, the OCSP responders that it asks."""
