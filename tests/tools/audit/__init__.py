"""An audit of what a user installs, apart from the tests of what it does."""
