"""What every layer may use: checks of arguments, atomic files, words, colours."""
