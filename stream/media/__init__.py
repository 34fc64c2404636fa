"""The ends of the path: sources and sinks."""
