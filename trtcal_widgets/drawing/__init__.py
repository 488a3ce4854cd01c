"""Pictures by matplotlib: for saved notebooks, terminals and reports."""
