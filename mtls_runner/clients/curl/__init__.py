"""The curl client: its command line, the traces that it writes, and what they say."""
