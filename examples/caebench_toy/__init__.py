"""A plug-in of caebench: a pretraining method, an evaluation and a data set from outside of its tree."""
