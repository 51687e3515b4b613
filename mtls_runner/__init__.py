"""A declarative, YAML-driven mutual TLS lab that says who refused whom, and why."""
