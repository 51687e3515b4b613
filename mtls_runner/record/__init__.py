"""What happens, written down as what is expected: runs the cases of a scenario that expect nothing yet."""
