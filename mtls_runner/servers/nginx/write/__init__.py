"""The one writer of nginx configurations: for the lab, and plain, as a person would write them."""
