"""Data sets of users: folders in common formats, which a site file names (ADR 41). No torch."""
