"""Networks: light ones for the live path, and those of the papers."""
