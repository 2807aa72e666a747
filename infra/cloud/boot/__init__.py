"""From a started instance to its running user data: boot.py is what runs on the machine, machine.py its life."""
