"""Many runs of one experiment: what varies, in which processes, and one table of them all."""
