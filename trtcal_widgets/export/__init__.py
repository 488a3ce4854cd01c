"""Writers: Q/DQ models, ported caches, and precision plans for other tools."""
