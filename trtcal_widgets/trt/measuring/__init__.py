"""What engines cost: layers with their times and element types, on the GPU of this machine."""
