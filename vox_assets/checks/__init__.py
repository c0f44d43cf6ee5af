"""The asset checks: each calls one pure predicate and reports its verdict."""
