"""What INT8 gains in time and costs in accuracy: variants of a model, measured, and the best of them."""
