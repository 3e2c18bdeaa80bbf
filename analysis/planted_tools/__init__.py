"""Does each tool find what was planted, and nothing else?"""
