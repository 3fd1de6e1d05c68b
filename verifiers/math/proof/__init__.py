"""Fourth step: are two trees the same answer? Containers, then exact algebra, then numbers, last sympy."""
