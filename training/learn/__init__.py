"""What every training shares: prepared data, the loop, losses, logs."""
