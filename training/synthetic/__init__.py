"""People who do not exist, rendered with everything about them known."""
