"""Boards as static pages that ask no server and no other host for anything: see `building`."""
