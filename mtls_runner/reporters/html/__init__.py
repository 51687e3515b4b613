"""``--html``: one self-contained page about a run, for reading, printing and sending to somebody else."""
