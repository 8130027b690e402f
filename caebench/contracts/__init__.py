"""What every method, evaluation, data set and suite promises, as checks of one: `caebench check`, and the tests."""
