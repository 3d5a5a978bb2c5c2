"""One Python environment per set of requirements, so that one model's needs never touch another's or Argosy's own."""
