"""A run spread over processes and machines: workers count batches, the session puts what they counted in order."""
