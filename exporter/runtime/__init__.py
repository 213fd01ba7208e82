"""Clock, logging, threads and memory, used by all other packages."""
