"""Plans: specs compiled to numbers for names and closures for inputs."""
