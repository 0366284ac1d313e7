"""What people and programs are told over HTTP, and what they ask for."""
