"""Who gets in where: clients against doors, as a table for a review."""
