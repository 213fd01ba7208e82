"""Builds the portable exporter, which brings its own Python: for systems with glibc 2.17 and newer.

deploy/portable/ has the recipe and the files that are not Python; `make portable` runs this.
"""
