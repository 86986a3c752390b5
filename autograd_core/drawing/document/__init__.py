"""What there is to show, as plain data: watching a program run, its operations, modules, repeats and parts."""
