# What Python programs do: dictionaries, strings, sorting, objects, big numbers.
class Node:
    def __init__(self, key):
        self.key, self.left, self.right = key, None, None

    def insert(self, key):
        node = self
        while True:
            side = "left" if key < node.key else "right"
            child = getattr(node, side)
            if child is None:
                setattr(node, side, Node(key))
                return
            node = child

    def depth(self):
        return 1 + max(child.depth() if child else 0 for child in (self.left, self.right))


def words(count):
    state = 1
    for _ in range(count):
        state = state * 6364136223846793005 + 1442695040888963407 & (1 << 64) - 1
        yield "w%d" % (state >> 52)


counts = {}
for word in words(5000):
    counts[word] = counts.get(word, 0) + 1
top = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:10]
tree = Node("w2000")
for word in words(1500):
    tree.insert(word)
factorial = 1
for n in range(2, 400):
    factorial *= n
primes = [n for n in range(2, 2000) if all(n % d for d in range(2, int(n**0.5) + 1))]
print(top, tree.depth(), len(str(factorial)), sum(primes))
