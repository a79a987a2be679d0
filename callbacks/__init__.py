"""What watches, averages and saves while a game is trained."""
