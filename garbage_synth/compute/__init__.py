"""What every network here needs: a device and a number format, averages of weights, checkpoints (torch)."""
