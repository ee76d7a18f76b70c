"""The demonstration: the main job end to end, with real processes on one machine, over public data."""
