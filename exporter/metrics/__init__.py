"""The metric families, how they are declared, and their text formats."""
