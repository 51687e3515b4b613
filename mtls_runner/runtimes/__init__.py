"""How a program is run: as a process of this machine's; what is the same for every program, whatever it speaks."""
