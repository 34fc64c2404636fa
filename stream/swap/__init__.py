"""Face swap: one person's face, live, on another."""
