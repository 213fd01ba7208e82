#!/bin/sh
# Runs the exporter with the Python beside this file, also through a symbolic link to it.
self=$(readlink -f "$0")
exec "${self%/*}/bin/python3.13" -sP -m exporter "$@"
