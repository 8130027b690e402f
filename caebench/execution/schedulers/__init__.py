"""Schedulers, which run jobs on other machines: one package per scheduler."""
