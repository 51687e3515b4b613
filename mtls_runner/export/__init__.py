"""A scenario as a shell script of plain openssl, nginx and curl."""
