"""The lab's speed and memory against peers in the same run; ``python -m bench``."""
