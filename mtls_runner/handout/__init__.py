"""The material of a scenario for people to take away: files in the forms that tools want, and an index of them."""
