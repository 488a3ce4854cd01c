"""What all screens are made of: the binding to the browser, figures, lists, words."""
