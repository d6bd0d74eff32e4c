"""Cash and holdings, exact to the last digit."""
