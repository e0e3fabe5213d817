"""What the tests stand on: the machine, the manager process, waiting, and the report of a failure."""
