"""What runs on a cell: the agent that makes an instance of the cloud into one pod.

Standard library only: the folder is shipped to the instance as one archive (archive.py) and started by what the user
data says (user_data.py). Those two files stay where the provider is. docs/cell.md says how it all fits together.
"""
