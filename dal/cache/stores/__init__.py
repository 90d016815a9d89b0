"""Where cached bytes are kept: in this process, or on a Redis server. `base.py` says what a store does."""
