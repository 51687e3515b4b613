"""What a scenario's dates bring: each is lived through, just before and just after."""
