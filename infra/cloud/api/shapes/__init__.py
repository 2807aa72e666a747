"""How resources look in answers: plain values in the form of the Amazon EC2 API Reference, Data Types."""
