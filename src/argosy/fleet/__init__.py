"""The fleet: what is wanted (planner), what runs (launcher), and the controller that makes one into the other."""
