"""Does a sentence encoder know which relations say the same the other way round, as "X is a sibling
of Y" does, and which contradict it, as "X is the mother of Y" does?"""
