"""What stands out in the data, and its cause: from recorded batches, and from the inputs where they can be read."""
