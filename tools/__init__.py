"""What makes files of the project, or gets a machine ready for it."""
