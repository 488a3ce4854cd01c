"""Models with explicit quantisation: their Q/DQ pairs as facts, whoever put them there."""
