"""Job folders: their files, their leases, their states."""
