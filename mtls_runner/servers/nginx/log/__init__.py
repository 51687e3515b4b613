"""The one reader of what nginx writes: its logs, whose connection a line is about, why it did not start."""
