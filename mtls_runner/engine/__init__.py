"""Runs plans: forges, serves, probes, judges, compares; tells what happens as events."""
