"""TensorRT's calibrators: what they are fed, what they may not lose, and the caches that they read and write."""
