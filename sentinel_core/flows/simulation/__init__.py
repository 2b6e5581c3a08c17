"""`sentinel simulate`: weeks of traffic, labels and checks in minutes, with real components and a simulated clock."""
