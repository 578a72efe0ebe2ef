@main
struct Emulate {
    static func main() { print("emulate") }
}
