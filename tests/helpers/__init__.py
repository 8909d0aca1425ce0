"""What several test files share: small samples, tables of results, studies of known truth."""
