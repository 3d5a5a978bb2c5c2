"""What is wrong with this machine and its fleets, and what to do: `argosy doctor`. Looks only; changes nothing."""
