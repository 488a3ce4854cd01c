"""What a store keeps batches in, and what of their samples."""
