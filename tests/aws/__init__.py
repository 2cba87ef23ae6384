"""What AWS does around the functions, on this machine: see tests/functions.py."""
